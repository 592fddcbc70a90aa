//! Every ebRIM submission of the corpus is read, written and read again, and is the same (skipped where there is no corpus).

use std::path::{Path, PathBuf};

use ebxml::reader::{self, Limits};
use ebxml::rim::{self, Column};
use ebxml::{Element, Writer};
use xds::{Finding, Severity, Submission};

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
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "xml") {
                let text = String::from_utf8_lossy(&std::fs::read(&entry).unwrap_or_default()).into_owned();
                // A package of several parts is for those who read packages.
                if !text.contains("SubmitObjectsRequest") || !text.trim_start().starts_with('<') {
                    continue;
                }
                let name = entry.strip_prefix(&root).unwrap_or(&entry).display().to_string();
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

/// Which transaction a file is sent with: the plan of the kit says it for its own.
fn column(name: &str, plan: &str) -> Column {
    let file = name.strip_prefix("toolkit2-testkit/").unwrap_or(name);
    let step = plan.lines().find(|line| line.contains(&format!("\"file\": \"{file}\"")));
    let transaction = step.and_then(|line| line.split("\"transaction\": \"").nth(1)).unwrap_or_default();
    match transaction.split('"').next().unwrap_or_default() {
        "Register" => Column::Repository,
        "RegisterODDE" => Column::OnDemand,
        "Mu" | "Rmu" => Column::Update,
        "" if name.contains("dcm4chee") => Column::Repository,
        "" if name.contains("ebrs30_update") => Column::Update,
        _ => Column::Source,
    }
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

fn read(request: &Element, column: Column) -> (Submission, Vec<Finding>) {
    if column == Column::Update {
        let (update, findings) = rim::read_update(request);
        return (update.submission, findings);
    }
    rim::read_submission(request, column)
}

/// Files that are to be refused, and what each is about first. Everything else of the corpus is sound.
const REFUSED: &[(&str, &str)] = &[
    ("openmrs-shr-xds/PnR_noClassCode.xml", "DocumentEntry.classCode"),
    ("openmrs-shr-xds/PnR_noUniqueId.xml", "DocumentEntry.uniqueId"),
    ("toolkit2-testkit/11998a/classCode/single_doc.xml", "DocumentEntry.classCode"),
    ("toolkit2-testkit/11998a/creationTime/single_doc.xml", "DocumentEntry.creationTime"),
    (
        "toolkit2-testkit/11998a/healthcareFacilityTypeCode/single_doc.xml",
        "DocumentEntry.healthcareFacilityTypeCode",
    ),
    ("toolkit2-testkit/11998a/practiceSettingCode/single_doc.xml", "DocumentEntry.practiceSettingCode"),
    ("toolkit2-testkit/11998a/typeCode/single_doc.xml", "DocumentEntry.typeCode"),
    ("toolkit2-testkit/12370/not_configured/single_doc.xml", "DocumentEntry.repositoryUniqueId"),
    ("toolkit2-testkit/15800d/update/single_doc.xml", "DocumentEntry.repositoryUniqueId"),
    ("toolkit2-testkit/21001/update/update.xml", "SubmissionSet.HasMember"),
    ("toolkit2-testkit/20001/submit_invalid_assoc/metadata.xml", "Association.associationType"),
];

#[test]
fn every_submission_comes_back_as_it_was_read() {
    let plan =
        corpus().map(|root| std::fs::read_to_string(root.join("toolkit2-testkit/steps.jsonl")).unwrap());
    let plan = plan.unwrap_or_default();
    let mut faults = Vec::new();
    for (name, request) in submissions() {
        let column = column(&name, &plan);
        let (submission, findings) = read(&request, column);
        let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        let attribute = errors.first().map(|finding| finding.at.attribute.unwrap_or_default());
        let expected = REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, attribute)| *attribute);
        if attribute != expected {
            let told = errors.iter().map(|error| format!("  {} | {}\n", error.at.path, error.text));
            faults.push(format!("{name}, {column:?}:\n{}", told.collect::<String>()));
        }
        if !errors.is_empty() {
            continue;
        }
        let mut out = Writer::default();
        rim::write_submission(&mut out, &submission).unwrap_or_else(|finding| panic!("{name}: {finding:?}"));
        let written = out.finish();
        let element = reader::read(&written, &Limits::default()).unwrap();
        in_order(&element, &name);
        let (again, findings) = read(&element, column);
        assert!(findings.is_empty(), "{name}: {findings:?}\n{}", String::from_utf8_lossy(&written));
        let (mut again, mut submission) = (as_sent(again, &submission), submission);
        // What asks for a change is no object of the submission, and is not written.
        submission.places.retain(|place| again.places.contains(place) || column != Column::Update);
        again.places.sort();
        submission.places.sort();
        assert_eq!(again, submission, "{name}");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The rules that need nothing but the submission hold for what is sound, too.
#[test]
fn every_sound_submission_keeps_the_rules_of_the_framework() {
    /// One uniqueId for two documents; nothing is submitted.
    const BROKEN: &[&str] = &[
        "openmrs-shr-xds/PnR_missingDoc.xml",
        "openmrs-shr-xds/PnR_multiDoc.xml",
        "toolkit2-testkit/11983/submit_no_metadata/no_doc.xml",
    ];
    let plan =
        corpus().map(|root| std::fs::read_to_string(root.join("toolkit2-testkit/steps.jsonl")).unwrap());
    let plan = plan.unwrap_or_default();
    let mut faults = Vec::new();
    for (name, request) in submissions() {
        let column = column(&name, &plan);
        if column == Column::Update {
            continue;
        }
        let (mut submission, findings) = read(&request, column);
        // What the kits put in when they send: one patient, and an OID for each object.
        let patient = submission.submission_set.patient.clone();
        let patients = submission.documents.iter_mut().map(|entry| &mut entry.patient);
        let patients = patients.chain(submission.folders.iter_mut().map(|folder| &mut folder.patient));
        patients.for_each(|named| named.clone_from(&patient));
        let ids = submission.documents.iter_mut().map(|entry| &mut entry.unique_id);
        let ids = ids.chain(submission.folders.iter_mut().filter_map(|folder| folder.unique_id.as_mut()));
        for (id, number) in ids.chain(submission.submission_set.unique_id.as_mut()).zip(1..) {
            if !id.value.starts_with("urn:oid:") {
                id.value = format!("urn:oid:1.2.{number}");
            }
        }
        let broken = if findings.is_empty() { xds::rules::check(&submission) } else { Vec::new() };
        if broken.is_empty() == BROKEN.contains(&name.as_str()) {
            let told = broken.iter().map(|finding| format!("  {} | {}\n", finding.at.path, finding.text));
            faults.push(format!("{name}, {column:?}:\n{}", told.collect::<String>()));
        }
    }
    assert!(faults.is_empty() || corpus().is_none(), "{}", faults.join("\n"));
}

/// The children of every object stand in the order of the schema.
fn in_order(request: &Element, name: &str) {
    const ORDER: &[&str] =
        &["Slot", "Name", "Description", "VersionInfo", "Classification", "ExternalIdentifier"];
    for object in request.children.iter().flat_map(|list| &list.children) {
        let ranks = object.children.iter().map(|child| ORDER.iter().position(|known| **known == *child.name));
        let ranks: Vec<_> = ranks.collect();
        assert!(ranks.iter().all(Option::is_some) && ranks.is_sorted(), "{name}: {ranks:?}");
    }
}
