//! Submissions as a repository and a registry read them, from our own Bundle with one thing changed at a time.

use bytes::Bytes;
use fhir::document_reference::{self, Relation, Stamp};
use fhir::iti65::{
    Door, Event, Limits, Measured, Provided, Reader, Role, read_request, resolve, write_registration,
};
use fhir::list;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use xds::{AssociationType, Findings, Identifier, ObjectRef, Rule, Severity};

const LIMITS: Limits =
    Limits { body: 8 << 20, document: 1 << 20, submission: 2 << 20, documents: 10, entries: 20 };
const SET: &str = "urn:uuid:0b6a2f6e-6b0e-4a44-9a06-5a4b6c7d0001";
const DOCUMENT: &str = "urn:uuid:0b6a2f6e-6b0e-4a44-9a06-5a4b6c7d0002";
const TARGET: &str = "6e3a8a5c-1f0e-4a5e-9b9d-222222222222";
const PATIENT: &str = "https://identity.example/fhir/Patient/6e3a8a5c-1f0e-4a5e-9b9d-111111111111";

fn bundle() -> Value {
    serde_json::from_str(include_str!("data/comprehensive.json")).expect("our own Bundle is JSON")
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut bundle = bundle();
    change(&mut bundle);
    bundle
}

fn read(body: &str) -> Result<(Value, Vec<Measured>), Findings> {
    let mut reader = Reader::new(LIMITS);
    let mut events = Vec::new();
    reader.feed(body.as_bytes(), &mut events)?;
    let (mut measured, mut bytes, mut entry) = (Vec::new(), Vec::new(), 0);
    for event in events {
        match event {
            Event::Begin(index) => entry = index,
            Event::Bytes(more) => bytes.extend_from_slice(&more),
            Event::End => {
                let (sha1, sha256) = (Sha1::digest(&bytes).into(), Sha256::digest(&bytes).into());
                measured.push(Measured { entry, size: bytes.len() as u64, sha1, sha256 });
                bytes.clear();
            }
        }
    }
    Ok((reader.finish()?, measured))
}

fn provide(bundle: &Value) -> Result<Provided, Findings> {
    let (shell, measured) = read(&bundle.to_string())?;
    read_request(shell, &measured, Door::Repository)
}

fn accepted(bundle: &Value) -> Provided {
    match provide(bundle) {
        Ok(provided) => provided,
        Err(findings) => panic!("refused: {findings:#?}"),
    }
}

fn digest(bundle: &Value) -> [u8; 32] {
    let (shell, measured) = read(&bundle.to_string()).expect("a sound body");
    let mut provided = read_request(shell, &measured, Door::Repository).expect("a sound Bundle");
    provided.set_patient("p", PATIENT, None);
    provided.digest(&measured)
}

fn push(bundle: &mut Value, entry: Value) {
    append(&mut bundle["entry"], entry);
}

fn append(array: &mut Value, item: Value) {
    array.as_array_mut().expect("an array").push(item);
}

/// A second document like the first, with its Binary.
fn with_second_document(bundle: &mut Value, master: &str) {
    let symbol = |text: &str| text.replace("0002", "1002").replace("0003", "1003");
    let document = symbol(&bundle["entry"][1].to_string()).replace("urn:oid:2.25.2001", master);
    let binary = symbol(&bundle["entry"][2].to_string());
    for entry in [document, binary] {
        push(bundle, serde_json::from_str(&entry).expect("still JSON"));
    }
    append(
        &mut bundle["entry"][0]["resource"]["entry"],
        json!({ "item": { "reference": symbol(DOCUMENT) } }),
    );
}

fn replacing(bundle: &mut Value) {
    let target = json!({ "reference": format!("DocumentReference/{TARGET}") });
    bundle["entry"][1]["resource"]["relatesTo"] = json!([{ "code": "replaces", "target": target }]);
}

fn patch(of: &str) -> Value {
    json!({
        "fullUrl": "urn:uuid:0b6a2f6e-6b0e-4a44-9a06-5a4b6c7d0009",
        "resource": { "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
            { "name": "value", "valueCode": "superseded" },
            { "name": "path", "valueString": "DocumentReference.status" },
            { "name": "type", "valueCode": "replace" }] }] },
        "request": { "method": "PATCH", "url": format!("DocumentReference/{of}") },
    })
}

#[test]
fn a_comprehensive_submission_is_read_whole() {
    let provided = accepted(&bundle());
    let submission = &provided.submission;
    let document = &submission.documents[0];
    assert_eq!(submission.submission_set.source_id.value, "urn:oid:1.2.3.4.5");
    assert_eq!(submission.submission_set.authors[0].family, ["Okafor"]);
    assert_eq!(document.authors[0].institution, ["North Hospital"]);
    assert_eq!(document.source_patient_ids[0].value, "MRN-7");
    assert_eq!(document.reference_ids[0].value, "order-1");
    assert_eq!((document.size, document.hash.is_some(), document.sha256.is_some()), (Some(11), true, true));
    let member = &submission.associations[0];
    assert_eq!(member.kind, AssociationType::HasMember);
    assert_eq!(
        (&member.source, &member.target),
        (&ObjectRef::Symbol(SET.into()), &ObjectRef::Symbol(DOCUMENT.into()))
    );
    let roles = [Role::Object(SET.into()), Role::Object(DOCUMENT.into()), Role::Binary(DOCUMENT.into())];
    assert_eq!(provided.roles, roles);
    assert!(provided.warnings.is_empty(), "{:#?}", provided.warnings);
}

#[test]
fn every_mistake_is_refused_under_its_name_at_its_place() {
    const A: &str = "/entry/1/resource/content/0/attachment";
    let set = |pointer: &str, value: Value| {
        changed(|bundle| *bundle.pointer_mut(pointer).expect("the Bundle has this") = value)
    };
    let remove = |pointer: &str, name: &str| {
        changed(|bundle| {
            if let Some(Value::Object(members)) = bundle.pointer_mut(pointer) {
                members.shift_remove(name);
            }
        })
    };
    let add = |pointer: &str, name: &str, value: Value| {
        changed(|bundle| bundle.pointer_mut(pointer).expect("the Bundle has this")[name] = value)
    };
    let cases = [
        (set("/type", json!("batch")), Rule::Value, "Bundle.type"),
        (set("/meta/profile/0", json!("https://example.org/p")), Rule::UnknownProfile, "Bundle.meta.profile"),
        (remove("/entry/1/resource", "type"), Rule::MetadataRequired, "Bundle.entry[1].resource.type"),
        (
            remove("/entry/1/resource", "securityLabel"),
            Rule::MetadataRequired,
            "Bundle.entry[1].resource.securityLabel",
        ),
        (
            remove(A, "creation"),
            Rule::MetadataRequired,
            "Bundle.entry[1].resource.content[0].attachment.creation",
        ),
        (
            add(A, "hash", json!("DEKhpqqcAOdm+C0w6gk8Zp+eRek=")),
            Rule::ContentMismatch,
            "Bundle.entry[1].resource.content[0].attachment.hash",
        ),
        (
            add(A, "hash", json!("SGVsbG8=")),
            Rule::ContentMismatch,
            "Bundle.entry[1].resource.content[0].attachment.hash",
        ),
        (
            add(A, "size", json!(12)),
            Rule::ContentMismatch,
            "Bundle.entry[1].resource.content[0].attachment.size",
        ),
        (
            set(&format!("{A}/contentType"), json!("text/html")),
            Rule::InvalidDocumentContent,
            "Bundle.entry[1].resource.content[0].attachment.contentType",
        ),
        (
            set(&format!("{A}/url"), json!("http://169.254.169.254/latest/meta-data/")),
            Rule::NotSupported,
            "Bundle.entry[1].resource.content[0].attachment.url",
        ),
        (
            set(&format!("{A}/url"), json!("file:///etc/passwd")),
            Rule::NotSupported,
            "Bundle.entry[1].resource.content[0].attachment.url",
        ),
        (
            set(&format!("{A}/url"), json!("urn:uuid:0b6a2f6e-6b0e-4a44-9a06-5a4b6c7dffff")),
            Rule::MissingDocument,
            "Bundle.entry[1].resource.content[0].attachment.url",
        ),
        (set("/entry/2/resource/data", json!("")), Rule::MissingDocument, "Bundle.entry[2].resource.data"),
        (remove("/entry/2/resource", "data"), Rule::MissingDocument, "Bundle.entry[2].resource.data"),
        (
            set("/entry/0/resource/subject/reference", json!("Patient/other")),
            Rule::PatientIdDoesNotMatch,
            "Bundle.entry[1].resource.subject",
        ),
        (
            set(
                "/entry/0/resource/identifier/0/value",
                json!("urn:oid:6848d77b-8c45-4e05-90d4-be9210bb1f6d"),
            ),
            Rule::MetadataInvalid,
            "Bundle.entry[0].resource.identifier[0].value",
        ),
        (
            set("/entry/0/resource/code/coding/0/code", json!("other")),
            Rule::CodeInvalid,
            "Bundle.entry[0].resource.code",
        ),
        (set("/entry/1/fullUrl", json!(SET)), Rule::DuplicateFullUrl, "Bundle.entry[1].fullUrl"),
        (
            set("/entry/1/resource/author/0/reference", json!("https://elsewhere/Practitioner/1")),
            Rule::MetadataInvalid,
            "Bundle.entry[1].resource.author[0].reference",
        ),
        (
            set("/entry/1/resource/context/sourcePatientInfo/reference", json!("#nobody")),
            Rule::UnresolvedReference,
            "Bundle.entry[1].resource.context.sourcePatientInfo.reference",
        ),
        (
            add("/entry/2/resource", "id", json!("../../../../etc/cron.d/x")),
            Rule::Value,
            "Bundle.entry[2].resource.id",
        ),
        (
            changed(|b| with_second_document(b, "urn:oid:2.25.2001")),
            Rule::DuplicateUniqueIdInMessage,
            "Bundle.entry[3].resource.masterIdentifier",
        ),
        (
            changed(|b| push(b, json!({"request": {"method": "DELETE", "url": "DocumentReference/D2"}}))),
            Rule::BusinessRule,
            "Bundle.entry[3].request.method",
        ),
        (changed(|b| push(b, patch(TARGET))), Rule::BusinessRule, "Bundle.entry[3].request.url"),
        (
            changed(|b| {
                replacing(b);
                push(b, patch("6e3a8a5c-1f0e-4a5e-9b9d-999999999999"));
            }),
            Rule::BusinessRule,
            "Bundle.entry[3].request.url",
        ),
        (
            changed(|b| {
                replacing(b);
                b["entry"][1]["resource"]["relatesTo"][0]["target"] =
                    json!({"reference": "DocumentReference/x"});
            }),
            Rule::UnresolvedReference,
            "Bundle.entry[1].resource.relatesTo[0].target",
        ),
        (
            changed(|b| {
                let again = b["entry"][2].to_string().replace("0003", "1003");
                push(b, serde_json::from_str(&again).expect("JSON"));
            }),
            Rule::MissingDocumentMetadata,
            "Bundle.entry[3].resource",
        ),
        (
            changed(|b| {
                let again = b["entry"][0].to_string().replace("0001", "1001");
                push(b, serde_json::from_str(&again).expect("JSON"));
            }),
            Rule::Invariant,
            "Bundle.entry[3].resource",
        ),
    ];
    for (bundle, rule, place) in cases {
        let findings = provide(&bundle).expect_err(place);
        assert_eq!((findings[0].rule, findings[0].at.path.as_str()), (rule, place), "{findings:#?}");
        assert_eq!(fhir::outcome::status(&findings), 400, "{place}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let bundle = changed(|b| {
        b["entry"][0]["resource"]["dokument"] = json!("x");
        for name in ["type", "category", "context"] {
            if let Some(members) = b["entry"][1]["resource"].as_object_mut() {
                members.shift_remove(name);
            }
        }
    });
    let findings = provide(&bundle).expect_err("five problems");
    let paths: Vec<&str> = findings.iter().map(|f| f.at.path.as_str()).collect();
    assert_eq!(paths[0], "Bundle.entry[0].resource.dokument");
    assert!(paths.contains(&"Bundle.entry[1].resource.context.facilityType"));
    assert_eq!(paths.len(), 6, "{paths:?}");
    assert_eq!(findings[1].xds_code(), Some("XDSRepositoryMetadataError"));
}

#[test]
fn a_bundle_without_a_submission_set_is_refused() {
    let bundle = changed(|b| {
        if let Some(entries) = b["entry"].as_array_mut() {
            entries.remove(0);
        }
    });
    assert_eq!(provide(&bundle).expect_err("no set")[0].rule, Rule::Required);
}

#[test]
fn a_replace_with_its_patch_is_one_association() {
    let bundle = changed(|b| {
        replacing(b);
        push(b, patch(TARGET));
    });
    let provided = accepted(&bundle);
    let replace = &provided.submission.associations[1];
    assert_eq!(replace.kind, AssociationType::Replace);
    assert!(matches!(&replace.target, ObjectRef::Registered(uuid) if uuid.as_str() == TARGET));
    assert_eq!(provided.roles[3], Role::Patch(format!("DocumentReference/{TARGET}")));
}

#[test]
fn the_address_of_a_patch_entry_is_the_document_it_patches() {
    let mut plain = bundle();
    replacing(&mut plain);
    push(&mut plain, patch(TARGET));
    let expected = accepted(&plain).submission.associations;
    for address in [
        format!("https://registry.example/fhir/DocumentReference/{TARGET}"),
        "urn:uuid:0b6a2f6e-6b0e-4a44-9a06-5a4b6c7d0009".to_owned(),
    ] {
        for reference in [format!("DocumentReference/{TARGET}"), address.clone()] {
            let mut bundle = plain.clone();
            let last = bundle["entry"].as_array().map_or(0, Vec::len) - 1;
            bundle["entry"][last]["fullUrl"] = json!(address);
            bundle["entry"][1]["resource"]["relatesTo"][0]["target"]["reference"] = json!(reference);
            assert_eq!(accepted(&bundle).submission.associations, expected, "{reference} of {address}");
        }
    }
}

#[test]
fn replaces_and_transforms_of_one_document_are_joined() {
    let bundle = changed(|b| {
        replacing(b);
        let target = b["entry"][1]["resource"]["relatesTo"][0]["target"].clone();
        append(
            &mut b["entry"][1]["resource"]["relatesTo"],
            json!({ "code": "transforms", "target": target }),
        );
    });
    let provided = accepted(&bundle);
    assert_eq!(provided.submission.associations.len(), 2);
    assert_eq!(provided.submission.associations[1].kind, AssociationType::TransformReplace);
}

#[test]
fn uncontained_people_are_allowed_where_the_profile_says_so() {
    let bundle = changed(|b| {
        b["meta"]["profile"][0] = json!(
            "http://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.UnContained.Comprehensive.ProvideBundle"
        );
        b["entry"][1]["resource"]["author"][0] = json!({ "reference": "https://elsewhere/Practitioner/1" });
    });
    let provided = accepted(&bundle);
    assert_eq!(
        provided.submission.documents[0].authors[0].reference.as_deref(),
        Some("https://elsewhere/Practitioner/1")
    );
}

#[test]
fn a_folder_is_new_or_gains_members() {
    let folder = |method: &str, url: &str| {
        json!({
            "fullUrl": "urn:uuid:0b6a2f6e-6b0e-4a44-9a06-5a4b6c7d0007",
            "resource": { "resourceType": "List", "status": "current", "mode": "working", "title": "Surgery",
                "extension": [{ "url": "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-designationType",
                    "valueCodeableConcept": { "coding": [{ "code": "a" }] } }],
                "code": { "coding": [{ "system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "code": "folder" }] },
                "subject": { "reference": "Patient/6e3a8a5c-1f0e-4a5e-9b9d-111111111111" },
                "entry": [{ "item": { "reference": DOCUMENT } }] },
            "request": { "method": method, "url": url },
        })
    };
    let member = json!({ "item": { "reference": "urn:uuid:0b6a2f6e-6b0e-4a44-9a06-5a4b6c7d0007" } });
    for (method, url, update) in [("POST", "List".to_owned(), false), ("PUT", format!("List/{TARGET}"), true)]
    {
        let bundle = changed(|b| {
            push(b, folder(method, &url));
            append(&mut b["entry"][0]["resource"]["entry"], member.clone());
        });
        let provided = accepted(&bundle);
        let folder = &provided.submission.folders[0];
        assert_eq!((folder.update, folder.entry_uuid.is_some()), (update, update));
        assert_eq!(provided.submission.associations.len(), 3);
    }
}

#[test]
fn the_digest_does_not_depend_on_symbols_or_order() {
    let mut two = bundle();
    with_second_document(&mut two, "urn:oid:2.25.2002");
    let again = changed(|b| *b = two.clone());
    let renamed: Value = serde_json::from_str(&two.to_string().replace("6c7d", "ffff")).expect("JSON");
    let reordered = {
        let mut other = two.clone();
        if let Some(entries) = other["entry"].as_array_mut() {
            entries.reverse();
        }
        other
    };
    assert_eq!(digest(&two), digest(&again));
    assert_eq!(digest(&two), digest(&renamed));
    assert_eq!(digest(&two), digest(&reordered));
    let other_bytes = changed(|b| {
        *b = two.clone();
        b["entry"][2]["resource"]["data"] = json!("SGVsbG8=");
    });
    let other_title = changed(|b| {
        *b = two.clone();
        b["entry"][0]["resource"]["title"] = json!("x");
    });
    assert_ne!(digest(&two), digest(&other_bytes));
    assert_ne!(digest(&two), digest(&other_title));
    // Whose bytes are whose is part of it.
    let swapped = changed(|b| {
        *b = two.clone();
        b["entry"][2]["resource"]["data"] = json!("SGVsbG8=");
        let (one, other) = (b["entry"][2]["fullUrl"].clone(), b["entry"][4]["fullUrl"].clone());
        b["entry"][1]["resource"]["content"][0]["attachment"]["url"] = other;
        b["entry"][3]["resource"]["content"][0]["attachment"]["url"] = one;
    });
    assert_ne!(digest(&other_bytes), digest(&swapped));
}

/// What the registry reads of a submission the repository passed on.
fn registered(provided: &mut Provided) -> Provided {
    let name = Identifier { system: "urn:oid:1.2.3".to_owned(), value: "MRN-7".to_owned() };
    provided.set_patient("6e3a8a5c-1f0e-4a5e-9b9d-111111111111", PATIENT, Some(&name));
    provided.set_document(DOCUMENT, "https://repository.example/documents/1", 11, [1; 20], [2; 32]);
    let registration = write_registration(provided);
    let shell = fhir::json::parse(&registration, &fhir::json::Limits::default()).expect("we write JSON");
    match read_request(shell, &[], Door::Registry) {
        Ok(read) => read,
        Err(findings) => panic!("our own registration is refused: {findings:#?}"),
    }
}

#[test]
fn a_registration_reads_as_what_was_provided() {
    let mut provided = accepted(&changed(|b| {
        replacing(b);
        push(b, patch(TARGET));
    }));
    let read = registered(&mut provided);
    let (ours, theirs) = (&provided.submission, &read.submission);
    assert_eq!(theirs.documents[0].sha256, Some([2; 32]));
    assert_eq!(theirs.documents[0].url, "https://repository.example/documents/1");
    assert_eq!(theirs.submission_set.patient.reference.as_deref(), Some(PATIENT));
    assert_eq!(theirs.submission_set.patient.identifier, ours.submission_set.patient.identifier);
    assert_eq!(ours.associations, theirs.associations);
    assert_eq!(read.roles.len(), 3);
    assert_eq!(provided.original_path("Bundle.entry[2].resource"), "Bundle.entry[3].resource");
}

#[test]
fn a_registry_takes_no_bytes_and_no_relative_address() {
    let (shell, _) = read(&bundle().to_string()).expect("a sound body");
    let findings = read_request(shell, &[], Door::Registry).expect_err("it has a Binary");
    assert!(findings.iter().any(|f| f.rule == Rule::NotSupported));
    assert!(findings.iter().all(|f| f.xds_code() != Some("XDSRepositoryMetadataError")));
}

#[test]
fn what_is_served_is_what_was_sent_with_the_registrys_part_added() {
    let mut provided = accepted(&changed(replacing));
    let mut read = registered(&mut provided);
    let document = &mut read.submission.documents[0];
    document.entry_uuid = xds::EntryUuid::parse(TARGET);
    let relation = Relation { code: "replaces", target: TARGET.to_owned() };
    let text = document_reference::write(document, Stamp { version: 3, updated: 0 }, &[relation]);
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(
        text.starts_with(&format!(
            r#"{{"resourceType":"DocumentReference","id":"{TARGET}","meta":{{"profile":"#
        )),
        "{text}"
    );
    assert!(text.contains("1.50") && !text.contains("sha256") && !text.contains("urn:uuid:0b6a"), "{text}");
    let written: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&written["meta"]["versionId"], &written["meta"]["tag"][0]["code"]),
        (&json!("3"), &json!("kept"))
    );
    assert_eq!(written["subject"]["reference"], PATIENT);
    assert_eq!(written["subject"]["identifier"]["value"], "MRN-7");
    assert_eq!(written["content"][0]["attachment"]["size"], 11);
    assert_eq!(written["content"][0]["attachment"]["title"], "Letter");
    assert_eq!(written["identifier"][0]["use"], "official");
    assert_eq!(written["identifier"][0]["type"]["coding"][0]["code"], "entryUUID");
    assert_eq!(written["relatesTo"][0]["target"]["reference"], format!("DocumentReference/{TARGET}"));
    let sent = &bundle()["entry"][1]["resource"];
    for name in ["contained", "extension", "text", "type", "author", "context", "masterIdentifier"] {
        assert_eq!(written[name], sent[name], "{name}");
    }
    assert!(fhir::schema::check(&written, &xds::Place::whole()).is_empty());

    let set = &mut read.submission.submission_set;
    set.entry_uuid = xds::EntryUuid::parse(TARGET);
    let member = format!("DocumentReference/{TARGET}");
    let written: Value = serde_json::from_slice(&list::write_submission_set(
        set,
        Stamp { version: 1, updated: 0 },
        std::slice::from_ref(&member),
    ))
    .expect("JSON");
    assert_eq!(written["entry"][0]["item"]["reference"], member);
    assert_eq!(written["identifier"].as_array().map(Vec::len), Some(2));
    assert_eq!(written["note"][0]["text"], "as agreed");
}

#[test]
fn an_entry_no_fhir_source_sent_is_written_soundly() {
    let mut document = accepted(&bundle()).submission.documents.remove(0);
    let carried = document.carried.fhir.take();
    document.entry_uuid = xds::EntryUuid::parse(TARGET);
    "https://repository.example/documents/1".clone_into(&mut document.url);
    let text = document_reference::write(&document, Stamp { version: 1, updated: 0 }, &[]);
    let written: Value = serde_json::from_slice(&text).expect("JSON");
    assert!(
        carried.is_some() && fhir::schema::check(&written, &xds::Place::whole()).is_empty(),
        "{written:#}"
    );
    let again =
        document_reference::read(&written, DOCUMENT, xds::Profile::Comprehensive, &xds::Place::whole());
    let again = again.expect("what we write, we read");
    assert_eq!((&again.type_codes, &again.unique_id), (&document.type_codes, &document.unique_id));
    assert_eq!((again.hash, again.size, &again.url), (document.hash, document.size, &document.url));
}

#[test]
fn symbols_elsewhere_in_a_resource_are_resolved_when_ids_are_known() {
    let json = format!(r#"{{"context":{{"related":[{{"reference":"{DOCUMENT}"}}]}},"n":1.50}}"#);
    assert_eq!(
        resolve(&json, &[(DOCUMENT, "DocumentReference/1")]),
        r#"{"context":{"related":[{"reference":"DocumentReference/1"}]},"n":1.50}"#
    );
    assert_eq!(resolve(&json, &[(SET, "List/1")]), json);
}

#[test]
fn a_fhir_document_is_kept_as_its_source_wrote_it() {
    let inner = json!({ "resourceType": "Bundle", "type": "document", "entry": [{ "resource": { "resourceType": "Composition", "title": "x" } }] });
    let bundle = changed(|b| {
        b["entry"][1]["resource"]["content"][0]["attachment"]["contentType"] = json!("application/fhir+json");
        b["entry"][2]["resource"] = inner.clone();
        b["entry"][2]["request"]["url"] = json!("Bundle");
    });
    let provided = accepted(&bundle);
    assert_eq!(provided.roles[2], Role::FhirDocument(DOCUMENT.into(), Bytes::from(inner.to_string())));
    let odd = changed(|b| {
        *b = bundle.clone();
        b["entry"][2]["resource"]["type"] = json!("collection");
    });
    assert_eq!(provide(&odd).expect_err("no document")[0].rule, Rule::InvalidDocumentContent);
}

#[test]
fn a_set_without_unique_id_can_be_given_one() {
    let mut provided = accepted(&changed(|b| {
        b["entry"][0]["resource"]["identifier"] = json!([{ "use": "official", "system": "urn:ietf:rfc:3986", "value": format!("urn:uuid:{TARGET}") }]);
    }));
    assert_eq!(provided.submission.submission_set.unique_id, None);
    let made = Identifier { system: "urn:ietf:rfc:3986".to_owned(), value: "urn:oid:2.25.7".to_owned() };
    provided.set_unique_id(&made);
    let read = registered(&mut provided);
    assert_eq!(read.submission.submission_set.unique_id, Some(made));
}

#[test]
fn raw_mistakes_of_json_are_refused() {
    let text = bundle().to_string();
    for (body, rule) in [
        (String::new(), Rule::Structure),
        (text[..text.len() / 2].to_owned(), Rule::Structure),
        (format!("{text}{{}}"), Rule::Structure),
        (text.replace(r#""title":"Letter""#, r#""title":"Letter","title":"Letter""#), Rule::Structure),
        (text.replace("Letter", r"abc\ud800def"), Rule::Structure),
        (text.replace("Letter", r"a\u0000b"), Rule::Value),
        (text.replace(r#""title":"Letter""#, r#""size":1e400"#), Rule::Value),
        (text.replace("Letter", &"x".repeat(2 << 20)), Rule::TooLong),
    ] {
        let findings = match read(&body) {
            Ok((shell, measured)) => {
                read_request(shell, &measured, Door::Repository).expect_err("must be refused")
            }
            Err(findings) => findings,
        };
        assert_eq!(findings[0].rule, rule, "{findings:#?}");
        assert_eq!(findings[0].severity, Severity::Error);
    }
}
