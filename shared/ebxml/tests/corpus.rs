//! Every ebRIM submission of the corpus is read, written and read again, and is the same (skipped where there is no corpus).

use std::path::{Path, PathBuf};

use ebxml::reader::{self, Limits};
use ebxml::rim::{self, Column};
use ebxml::{Element, Writer};
use xds::{Severity, Submission};

fn corpus() -> Option<PathBuf> {
    let path = std::env::var_os("DOCSHARE_CORPUS").map(PathBuf::from);
    let path =
        path.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/corpus"));
    path.is_dir().then_some(path)
}

/// All files of the corpus that hold a SubmitObjectsRequest, with what the kits fill in when they send them.
fn submissions() -> Vec<(String, Element)> {
    let Some(root) = corpus() else {
        eprintln!("skipped: no corpus at ../shared/data/corpus (DOCSHARE_CORPUS)");
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "xml") {
                let text = String::from_utf8_lossy(&std::fs::read(&entry).unwrap()).into_owned();
                // A package of several parts is for those who read packages.
                if !text.contains("SubmitObjectsRequest") || !text.trim_start().starts_with('<') {
                    continue;
                }
                let name = entry.strip_prefix(&root).unwrap().display().to_string();
                let element = reader::read(fill(&text).as_bytes(), &Limits::default());
                let element = element.unwrap_or_else(|broken| panic!("{name}: {broken}"));
                let request = request(&element).unwrap_or_else(|| panic!("{name}: no request")).clone();
                found.push((name, request));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn request(element: &Element) -> Option<&Element> {
    if &*element.name == "SubmitObjectsRequest" {
        return Some(element);
    }
    element.children.iter().find_map(request)
}

/// Places that the kits fill in at send time.
fn fill(text: &str) -> String {
    let uuid = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38447";
    let patient = "p1^^^&amp;1.2.3&amp;ISO";
    let mut text = text.to_owned();
    for name in [
        "$patientid$",
        "$patientId",
        "$patientidDE$",
        "$patientid1$",
        "$patientid2$",
        "$basePatientId$",
        "\"patient_id\"",
    ] {
        let value = if name.starts_with('"') { format!("\"{patient}\"") } else { patient.to_owned() };
        text = text.replace(name, &value);
    }
    text = text.replace("L$baseSourcePatientId$", patient).replace("$lid$", uuid);
    text = text.replace("$doc1", "Document01");
    while let Some(at) = text.find("Object=\"$") {
        let end = at + 8 + text[at + 8..].find('"').unwrap_or_default();
        text.replace_range(at + 8..end, uuid);
    }
    for name in ["sourceId", "129.6.58.92.1.1"] {
        text = text.replace(&format!("value=\"{name}\""), "value=\"1.3.6.1.4.1\"");
    }
    text
}

fn column(name: &str) -> Column {
    if name.contains("Register_OD") { Column::OnDemand } else { Column::Source }
}

/// The same without what the writer adds: a folder's new member is made a member of the set, an association without an id
/// of its own gets a number.
fn as_sent(mut again: Submission, sent: &Submission) -> Submission {
    let added = |symbol: &str| !sent.associations.iter().any(|association| association.symbol == symbol);
    let numbered = again.associations.iter_mut().filter(|association| added(&association.symbol));
    for association in numbered {
        association.symbol.clear();
        let same = |known: &&xds::Association| {
            (&known.source, &known.target) == (&association.source, &association.target)
        };
        association.at =
            sent.associations.iter().find(same).map(|known| known.at.clone()).unwrap_or_default();
    }
    again.associations.retain(|association| !association.at.is_empty());
    again.places.retain(|(symbol, _)| sent.places.iter().any(|(known, _)| known == symbol));
    again
}

#[test]
fn every_submission_comes_back_as_it_was_read() {
    let (mut read, mut refused) = (0, Vec::new());
    for (name, request) in submissions() {
        let (submission, findings) = rim::read_submission(&request, column(&name));
        let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        if !errors.is_empty() {
            refused.push(format!(
                "{name}: {}",
                errors.iter().map(|e| format!("{} | {}", e.at.path, e.text)).collect::<Vec<_>>().join("; ")
            ));
            continue;
        }
        read += 1;
        let mut out = Writer::default();
        rim::write_submission(&mut out, &submission).unwrap_or_else(|finding| panic!("{name}: {finding:?}"));
        let written = out.finish();
        let element = reader::read(&written, &Limits::default()).unwrap();
        let (again, findings) = rim::read_submission(&element, column(&name));
        assert!(findings.is_empty(), "{name}: {findings:?}\n{}", String::from_utf8_lossy(&written));
        let (mut again, mut submission) = (as_sent(again, &submission), submission);
        again.places.sort();
        submission.places.sort();
        assert_eq!(again, submission, "{name}");
    }
    eprintln!("{read} submissions read, {} refused:\n{}", refused.len(), refused.join("\n"));
}
