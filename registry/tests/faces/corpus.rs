//! Every submission of the corpora, in whatever language it was written, says the same in the other one.
//!
//! Read from `DOCSHARE_CORPUS` (default: the folder `data` beside the workspace); skipped, and said so, where that is absent.

use std::path::{Path, PathBuf};

use ebxml::Element;
use ebxml::names::namespace::LCM;
use ebxml::reader;
use ebxml::rim::{Column, read_submission};
use fhir::iti65::{Door, Provided, read_request};

use crate::trips::{errors, in_xds, through_ebxml, through_fhir};

fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("DOCSHARE_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let there = root.is_dir();
    if !there {
        println!("skipped: there is no corpus (set DOCSHARE_CORPUS)");
    }
    there.then_some(root)
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|is| is == extension) {
            found.push(path);
        }
    }
    found.sort();
}

/// The requests in a message, however deep.
fn requests<'a>(element: &'a Element, found: &mut Vec<&'a Element>) {
    if element.is(LCM, "SubmitObjectsRequest") {
        found.push(element);
    }
    element.children.iter().for_each(|child| requests(child, found));
}

/// Fills a template of a test kit as the kit does: who the patient is, unique ids, ids of objects registered before.
fn fill(element: &mut Element, made: &mut u32) {
    const PATIENT: &[&str] =
        &["XDSDocumentEntry.patientId", "XDSSubmissionSet.patientId", "XDSFolder.patientId"];
    const UNIQUE: &[&str] = &[
        "XDSDocumentEntry.uniqueId",
        "XDSSubmissionSet.uniqueId",
        "XDSFolder.uniqueId",
        "XDSSubmissionSet.sourceId",
    ];
    let name =
        element.children.iter().find(|child| &*child.name == "Name").and_then(|name| name.children.first());
    let name = name.and_then(|text| text.attribute("value")).unwrap_or_default().to_owned();
    let identifies = &*element.name == "ExternalIdentifier";
    for attribute in &mut element.attributes {
        if identifies && &*attribute.name == "value" {
            *made += 1;
            if PATIENT.contains(&name.as_str()) {
                attribute.value = "p1^^^&1.2.3&ISO".to_owned();
            } else if UNIQUE.contains(&name.as_str()) && !attribute.value.contains("^") {
                attribute.value = format!("1.2.3.4.{made}");
            }
        } else if attribute.value.starts_with('$') && attribute.value.ends_with('$') {
            attribute.value = registered(&attribute.value);
        }
    }
    if element.text.trim().starts_with('$') && element.text.trim().ends_with('$') {
        element.text = registered(element.text.trim());
    }
    element.children.iter_mut().for_each(|child| fill(child, made));
}

/// A registered object that a template names.
fn registered(name: &str) -> String {
    format!("urn:uuid:{}", uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).hyphenated())
}

/// What differs between two lists of what is said.
pub(crate) fn differences(one: &[String], other: &[String]) -> Vec<String> {
    let lost = one.iter().filter(|said| !other.contains(said)).map(|said| format!("lost   {said}"));
    lost.chain(other.iter().filter(|said| !one.contains(said)).map(|said| format!("gained {said}"))).collect()
}

#[test]
fn what_was_submitted_in_xds_reads_the_same_after_fhir() {
    let Some(root) = corpus() else { return };
    let mut paths = Vec::new();
    files(&root.join("corpus"), "xml", &mut paths);
    let (mut passed, mut skipped, mut wrong) = (0, Vec::new(), Vec::new());
    for path in paths {
        let bytes = std::fs::read(&path).expect("the corpus has this file");
        let Ok(mut message) = reader::read(&bytes, &reader::Limits::default()) else { continue };
        fill(&mut message, &mut 0);
        let mut found = Vec::new();
        requests(&message, &mut found);
        for request in found {
            let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
            let (submission, findings) = read_submission(request, Column::Source);
            let faults = errors(&findings);
            if !faults.is_empty() {
                skipped.push(format!("{name}: refused by itself: {}", faults[0]));
                continue;
            }
            match through_fhir(&submission) {
                Err(fault) => {
                    let broken = Provided::of(submission.clone(), Door::Repository).check();
                    if errors(&broken).is_empty() {
                        wrong.push(format!("{name}: {fault}"));
                    } else {
                        skipped.push(format!("{name}: {}", errors(&broken)[0]));
                    }
                }
                Ok(read) => {
                    let differences = differences(&in_xds(&submission), &in_xds(&read));
                    if differences.is_empty() {
                        passed += 1;
                    } else {
                        wrong.push(format!("{name}:\n  {}", differences.join("\n  ")));
                    }
                }
            }
        }
    }
    tell(passed, &skipped);
    assert!(passed > 0, "somebody's submission says the same");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), passed + wrong.len(), wrong.join("\n"));
}

#[test]
fn what_was_submitted_in_fhir_reads_the_same_after_xds() {
    let Some(root) = corpus() else { return };
    let mut paths = Vec::new();
    files(&root.join("corpus"), "json", &mut paths);
    files(&root.join("ihe/mhd/examples"), "json", &mut paths);
    let (mut passed, mut skipped, mut wrong) = (0, Vec::new(), Vec::new());
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("the corpus has this file");
        if !text.contains("ProvideBundle") || !text.contains("\"transaction\"") {
            continue;
        }
        let text = text
            .replace(
                "${patientResourceId}",
                "http://localhost:8083/fhir/Patient/6e3a8a5c-1f0e-4a5e-9b9d-111111111111",
            )
            .replace("${original}", "DocumentReference/6e3a8a5c-1f0e-4a5e-9b9d-222222222222")
            .replace("@{RandomUUID}", "6e3a8a5c-1f0e-4a5e-9b9d-333333333333")
            .replace(
                "DocumentReference/ex-documentreference",
                "DocumentReference/6e3a8a5c-1f0e-4a5e-9b9d-444444444444",
            );
        let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        let Ok(bundle) = fhir::json::parse(text.as_bytes(), &fhir::json::Limits::default()) else { continue };
        // Without their bytes: what is declared of them is not looked at here.
        let measured = measured(&bundle);
        let provided = match read_request(bundle, &measured, Door::Repository) {
            Ok(provided) => provided,
            Err(findings) => {
                skipped.push(format!("{name}: refused by itself: {:?}", errors(&findings).first()));
                continue;
            }
        };
        let sent = xds_form(provided.submission);
        let there = match through_ebxml(&sent) {
            Ok(there) => there,
            Err(why) => {
                // A registry of XDS demands more than Minimal metadata has, and references by entryUUID.
                let least = sent.profile == xds::Profile::Minimal
                    || why.contains("which a registry of XDS.b needs")
                    || sent.folders.iter().any(|folder| folder.update);
                if least {
                    skipped.push(format!("{name}: {}", why.lines().next().unwrap_or_default()))
                } else {
                    wrong.push(format!("{name}: {why}"))
                }
                continue;
            }
        };
        let mut different = differences(&in_xds(&sent), &in_xds(&there));
        match through_fhir(&there) {
            Ok(back) => different.extend(differences(&in_xds(&sent), &in_xds(&back))),
            Err(why) => different.push(why),
        }
        if different.is_empty() {
            passed += 1;
        } else {
            wrong.push(format!("{name}:\n  {}", different.join("\n  ")));
        }
    }
    tell(passed, &skipped);
    assert!(passed > 0, "somebody's submission says the same");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), passed + wrong.len(), wrong.join("\n"));
}

fn tell(passed: usize, skipped: &[String]) {
    println!("{passed} submissions say the same; {} skipped:", skipped.len());
    skipped.iter().for_each(|reason| println!("  {}", reason.chars().take(240).collect::<String>()));
}

/// Declared sizes and hashes taken as they are.
fn measured(bundle: &serde_json::Value) -> Vec<fhir::iti65::Measured> {
    use base64::Engine;
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let attachments: Vec<serde_json::Value> =
        entries.iter().map(|entry| entry["resource"]["content"][0]["attachment"].clone()).collect();
    let of = |(index, entry): (usize, &serde_json::Value)| {
        let url = entry["fullUrl"].as_str()?;
        let attachment = attachments.iter().find(|attachment| {
            attachment["url"].as_str().is_some_and(|named| named == url || url.ends_with(named))
        })?;
        let hash = attachment["hash"]
            .as_str()
            .and_then(|hash| base64::engine::general_purpose::STANDARD.decode(hash).ok()?.try_into().ok());
        Some(fhir::iti65::Measured {
            entry: index,
            size: attachment["size"].as_u64().unwrap_or(7),
            sha1: hash.unwrap_or([1; 20]),
            sha256: [2; 32],
        })
    };
    entries.iter().enumerate().filter_map(of).collect()
}

/// A submission of FHIR as one of XDS: what a source may leave to the recipient is given, and the patient has the identifier
/// by which XDS knows it.
fn xds_form(mut submission: xds::Submission) -> xds::Submission {
    let patient = xds::Patient {
        identifier: Some(xds::Identifier { system: "urn:oid:1.2.3".to_owned(), value: "p1".to_owned() }),
        ..xds::Patient::default()
    };
    let set = &mut submission.submission_set;
    set.patient = patient.clone();
    set.unique_id.get_or_insert_with(|| xds::identifier::unique_id_of("1.2.3.4.5.6"));
    set.carried = xds::Carried::default();
    for document in &mut submission.documents {
        document.patient = patient.clone();
        document.carried = xds::Carried::default();
    }
    for (folder, number) in submission.folders.iter_mut().zip(1..) {
        folder.patient = patient.clone();
        folder
            .unique_id
            .get_or_insert_with(|| xds::identifier::unique_id_of(&format!("1.2.3.4.5.7.{number}")));
        folder.carried = xds::Carried::default();
    }
    submission
}
