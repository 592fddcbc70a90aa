//! Bundles that others wrote: accepted or refused as their index says, with the place named.
//!
//! Read from `DOCSHARE_CORPUS` (default: the folder `data` two levels up, beside the workspace); skipped, and said so,
//! where that is absent.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fhir::iti65::{Door, Event, Limits, Measured, Provided, Reader, read_request};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use xds::{Findings, Rule, Severity};

const LIMITS: Limits =
    Limits { body: 8 << 20, document: 100 << 20, submission: 250 << 20, documents: 100, entries: 500 };

fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("DOCSHARE_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let there = root.is_dir();
    if !there {
        println!("skipped: there is no corpus (set DOCSHARE_CORPUS)");
    }
    there.then_some(root)
}

/// The text of a file with its placeholders filled.
fn filled(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("the corpus has this file");
    let text = text
        .replace(
            "${patientResourceId}",
            "http://localhost:8083/fhir/Patient/6e3a8a5c-1f0e-4a5e-9b9d-111111111111",
        )
        .replace("${original}", "DocumentReference/6e3a8a5c-1f0e-4a5e-9b9d-222222222222")
        .replace("@{RandomUUID}", "6e3a8a5c-1f0e-4a5e-9b9d-333333333333");
    fill_named(&text)
}

/// `{{name}}` placeholders: a time where the name says so, a UUID or an OID where one is due, else a word.
fn fill_named(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, tail) = after.split_once("}}").expect("a placeholder ends");
        out.push_str(before);
        out.push_str(if name.starts_with("date") {
            "2024-02-07T13:28:17+01:00"
        } else if before.ends_with("urn:uuid:") {
            "6e3a8a5c-1f0e-4a5e-9b9d-444444444444"
        } else if before.ends_with("urn:oid:") && name.starts_with("ss") {
            "1.2.3.4"
        } else if before.ends_with("urn:oid:") {
            "1.2.3.5"
        } else {
            "word"
        });
        rest = tail;
    }
    out + rest
}

/// Reads a body as the repository does, in chunks.
fn provide(body: &str) -> Result<Provided, Findings> {
    let mut reader = Reader::new(LIMITS);
    let (mut measured, mut document) = (Vec::new(), Vec::new());
    let mut entry = 0;
    for chunk in body.as_bytes().chunks(1000) {
        let mut events = Vec::new();
        reader.feed(chunk, &mut events)?;
        for event in events {
            match event {
                Event::Begin(index) => entry = index,
                Event::Bytes(bytes) => document.extend_from_slice(&bytes),
                Event::End => {
                    measured.push(measure(entry, &document));
                    document.clear();
                }
            }
        }
    }
    read_request(reader.finish()?, &measured, Door::Repository)
}

fn measure(entry: usize, bytes: &[u8]) -> Measured {
    Measured {
        entry,
        size: bytes.len() as u64,
        sha1: Sha1::digest(bytes).into(),
        sha256: Sha256::digest(bytes).into(),
    }
}

fn accepted(root: &Path, file: &str) -> Provided {
    match provide(&filled(&root.join(file))) {
        Ok(provided) => provided,
        Err(findings) => panic!("{file} is refused: {findings:#?}"),
    }
}

#[test]
fn every_sound_bundle_is_accepted() {
    let Some(root) = corpus() else { return };
    for (file, documents) in [
        ("corpus/asbestos-mhd420/comprehensive/1_Prerequisite_Single_Document_with_Binary/pdb.json", 1),
        ("corpus/asbestos-mhd420/comprehensive/Document_Replace/original.json", 1),
        ("corpus/asbestos-mhd420/comprehensive/Document_Replace/replace.json", 1),
        ("corpus/asbestos-mhd420/minimal/1_Prerequisite_Single_Document_with_Binary/pdb.json", 1),
        ("corpus/asbestos-mhd420/minimal/DocumentAddendum/original.json", 1),
        ("corpus/asbestos-mhd420/minimal/DocumentAddendum/addendum.json", 1),
        ("corpus/asbestos-mhd420/minimal/Two_Documents_Submit/pdb.json", 2),
        ("corpus/mobile-access-gateway/ch-mhd-bundle-sample.json", 1),
        ("corpus/mobile-access-gateway/postman/MHD-TCU-ITI-65-Provide-Document-Bundle-PDF.json", 1),
        ("ihe/mhd/examples/Bundle-ex-minimalProvideDocumentBundleSimple.json", 1),
        ("ihe/mhd/examples/Bundle-ex-comprehensiveProvideDocumentBundleSimple.json", 1),
        ("ihe/mhd/examples/Bundle-ex-comprehensiveProvideDocumentBundleDocument.json", 1),
    ] {
        let provided = accepted(&root, file);
        assert_eq!(provided.submission.documents.len(), documents, "{file}");
        println!("accepted {file}: {:#?}", provided.warnings);
    }
}

#[test]
fn every_faulty_bundle_is_refused_at_its_place() {
    let Some(root) = corpus() else { return };
    for (case, rule, place) in [
        ("comprehensive/Bad_Patient_Link", Rule::PatientIdDoesNotMatch, ".subject"),
        ("comprehensive/Missing_ContentTypeCode", Rule::MetadataRequired, "ihe-designationType')"),
        ("comprehensive/Missing_Format_Code", Rule::MetadataRequired, ".content[0].format"),
        ("comprehensive/Missing_LanguageCode", Rule::MetadataRequired, ".attachment.language"),
        ("comprehensive/Missing_PatientID", Rule::MetadataRequired, ".subject"),
        ("comprehensive/Missing_PracticeSettingCode", Rule::MetadataRequired, ".context.practiceSetting"),
        ("comprehensive/Missing_Profile", Rule::UnknownProfile, "Bundle.meta.profile"),
        ("comprehensive/Missing_SourceId", Rule::MetadataRequired, "ihe-sourceId')"),
        ("comprehensive/Missing_SubmissionTime", Rule::MetadataRequired, ".date"),
        ("comprehensive/Missing_UniqueId_Reference", Rule::MetadataRequired, ".masterIdentifier"),
        ("minimal/Bad_Patient_Link", Rule::PatientIdDoesNotMatch, ".subject"),
        ("minimal/Missing_DocumentReference_with_reference", Rule::UnresolvedReference, ".entry[0].item"),
        ("minimal/Missing_MimeType", Rule::MetadataRequired, ".attachment.contentType"),
        ("minimal/Missing_Profile", Rule::UnknownProfile, "Bundle.meta.profile"),
        ("minimal/Missing_UniqueId_SubmissionSetTypeList", Rule::MetadataRequired, ".identifier"),
    ] {
        let body = filled(&root.join("corpus/asbestos-mhd420").join(case).join("pdb.json"));
        let findings = provide(&body).expect_err(case);
        let named = findings.iter().any(|finding| finding.rule == rule && finding.at.path.ends_with(place));
        assert!(named, "{case}: {findings:#?}");
        assert!(
            findings.iter().all(|f| f.severity != Severity::Error || f.rule.row().status == 400),
            "{case}"
        );
    }
}

#[test]
fn the_examples_with_known_defects_get_what_their_defect_deserves() {
    let Some(root) = corpus() else { return };
    // The replaced document is named by an id that no registry of ours gives.
    for (file, rule) in [
        (
            "ihe/mhd/examples/Bundle-ex-comprehensiveProvideDocumentBundleReplace.json",
            Rule::UnresolvedReference,
        ),
        (
            "ihe/mhd/examples/Bundle-ex-comprehensiveProvideDocumentBundleComplete.json",
            Rule::UnresolvedReference,
        ),
        ("corpus/nhn-xca/BundleCreate.json", Rule::MetadataInvalid),
        (
            "corpus/nhn-xca/IT_iti-65_ProvideBundle02_dept_with_reference_in_authors.json",
            Rule::MetadataInvalid,
        ),
        (
            "corpus/ms-fhir-server/Bundle-TransactionWithMultipleResourcesWithSameFullUrl.json",
            Rule::UnknownProfile,
        ),
        ("corpus/ms-fhir-server/Bundle-TypeMissing.json", Rule::Required),
        ("corpus/ms-fhir-server/Bundle-Transaction.json", Rule::UnknownProfile),
    ] {
        let findings = provide(&filled(&root.join(file))).expect_err(file);
        println!("{file}: {findings:#?}");
        assert!(findings.iter().any(|finding| finding.rule == rule), "{file}: {findings:#?}");
    }
}

#[test]
fn the_replace_example_is_taken_with_its_wrong_size_once_its_target_exists() {
    let Some(root) = corpus() else { return };
    let file = root.join("ihe/mhd/examples/Bundle-ex-comprehensiveProvideDocumentBundleReplace.json");
    let uuid = "6e3a8a5c-1f0e-4a5e-9b9d-222222222222";
    let provided = provide(&filled(&file).replace("ex-documentreference", uuid)).unwrap();
    assert_eq!(provided.submission.documents[0].size, Some(23));
    assert!(provided.warnings.iter().any(|warning| warning.rule == Rule::ContentMismatch));
    let hash = provided.submission.documents[0].hash.unwrap();
    assert_eq!(STANDARD.encode(hash.0), "6OMXIUMAFYfLdQhEaqCS61GZWAk=");
}

#[test]
fn r4_samples_have_a_sound_shape() {
    let Some(root) = corpus() else { return };
    let mut checked = 0;
    let samples =
        ["DocumentReference-example-relatesTo-code-appends", "documentreference-example", "list-example"];
    let mut files: Vec<PathBuf> =
        samples.iter().map(|name| root.join("corpus/ms-fhir-server").join(format!("{name}.json"))).collect();
    for guide in ["mhd", "pixm", "pdqm", "pmir"] {
        let folder = root.join("ihe").join(guide).join("examples");
        files.extend(std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()));
    }
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "json")) {
        let text = std::fs::read(file).unwrap();
        let resource = fhir::json::parse(&text, &fhir::json::Limits::default()).unwrap();
        let findings = fhir::schema::check(&resource, &xds::Place::whole());
        assert!(findings.is_empty(), "{}: {findings:#?}", file.display());
        checked += 1;
    }
    println!("{checked} resources are sound");
}
