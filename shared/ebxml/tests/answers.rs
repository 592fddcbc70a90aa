//! Answers of other servers in the corpus are read as what they are (skipped where there is no corpus).

use std::path::{Path, PathBuf};

use ebxml::names::namespace::RIM;
use ebxml::reader::{self, Limits};
use ebxml::response::{self, Status};
use ebxml::soap::Envelope;
use ebxml::{Element, iti18, iti43};

fn answer(file: &str) -> Option<Element> {
    let path = std::env::var_os("DOCSHARE_CORPUS").map(PathBuf::from);
    let corpus =
        path.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/corpus"));
    if !corpus.is_dir() {
        eprintln!("1 case skipped: no corpus at ../shared/data/corpus (DOCSHARE_CORPUS)");
        return None;
    }
    let bytes = std::fs::read(corpus.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let root = reader::read(&bytes, &Limits::default()).unwrap_or_else(|broken| panic!("{file}: {broken}"));
    Some(Envelope::read(root).unwrap_or_else(|fault| panic!("{file}: {fault:?}")).body)
}

#[test]
fn every_document_entry_of_a_foreign_answer_to_a_query_is_read() {
    let files = [
        "wxdsb/query_res.xml",
        "epr-by-example/ITI-18_response_raw.xml",
        "openhim-mediator-xds/adhocQueryResponse_wSOAP.xml",
    ];
    for file in files {
        let Some(body) = answer(file) else { continue };
        let read = iti18::read_response(&body).unwrap_or_else(|| panic!("{file}: no status"));
        assert_eq!(read.status, Status::Success, "{file}");
        let list = body.child(RIM, "RegistryObjectList").unwrap_or_else(|| panic!("{file}: no list"));
        let told = list.children_named(RIM, "ExtrinsicObject").count();
        assert!(told > 0, "{file} has entries");
        assert_eq!(read.objects.documents.len(), told, "{file}: {:?}", read.remarks);
    }
}

#[test]
fn a_foreign_answer_to_a_submission_or_a_removal_is_read() {
    for file in ["wxdsb/remove_res.xml", "epr-by-example/ITI-41_response.xml"] {
        let Some(body) = answer(file) else { continue };
        let read = response::read(&body).unwrap_or_else(|| panic!("{file}: no status"));
        assert_eq!((read.status, read.errors.len()), (Status::Success, 0), "{file}");
    }
}

#[test]
fn a_foreign_answer_to_a_retrieval_is_read() {
    let Some(body) = answer("epr-by-example/ITI-43_response_raw.xml") else { return };
    let (head, told) = iti43::read_answer(&body);
    let head = response::read(head.expect("a RegistryResponse")).expect("a status we know");
    assert_eq!(head.status, Status::Success);
    assert_eq!(told.len(), 1, "one document");
}
