//! The same fault is the same finding in both languages: the same rule, at the same attribute.

use std::collections::BTreeSet;

use ebxml::rim::{Column, read_submission, write_submission};
use ebxml::{Element, Writer, reader};
use fhir::iti65::{Door, Measured, Provided, read_request, write_registration};
use serde_json::{Value, json};
use xds::hl7::dtm;
use xds::{
    Association, AssociationType, Author, Code, DocumentEntry, Findings, Folder, Hash, Identifier, ObjectRef,
    Patient, Profile, Severity, Submission, SubmissionSet,
};

/// A finding as far as both languages say it: rule and attribute.
type Told = BTreeSet<(String, &'static str)>;

/// A fault, made in both languages.
struct Fault {
    name: &'static str,
    fhir: fn(&mut Value),
    ebxml: fn(&mut Element),
}

/// Entries of the Bundle.
const SET: &str = "/entry/0/resource";
const DOCUMENT: &str = "/entry/1/resource";
const SECOND: &str = "/entry/2/resource";
const FOLDER: &str = "/entry/3/resource";

const FAULTS: &[Fault] = &[
    Fault {
        name: "no classCode",
        fhir: |bundle| drop(remove(bundle, DOCUMENT, "category")),
        ebxml: |request| unclassified(request, "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"),
    },
    Fault {
        name: "no typeCode",
        fhir: |bundle| drop(remove(bundle, DOCUMENT, "type")),
        ebxml: |request| unclassified(request, "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"),
    },
    Fault {
        name: "no formatCode",
        fhir: |bundle| drop(remove(bundle, "/entry/1/resource/content/0", "format")),
        ebxml: |request| unclassified(request, "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"),
    },
    Fault {
        name: "no confidentialityCode",
        fhir: |bundle| drop(remove(bundle, DOCUMENT, "securityLabel")),
        ebxml: |request| unclassified(request, "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"),
    },
    Fault {
        name: "no healthcareFacilityTypeCode",
        fhir: |bundle| drop(remove(bundle, "/entry/1/resource/context", "facilityType")),
        ebxml: |request| unclassified(request, "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1"),
    },
    Fault {
        name: "no practiceSettingCode",
        fhir: |bundle| drop(remove(bundle, "/entry/1/resource/context", "practiceSetting")),
        ebxml: |request| unclassified(request, "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead"),
    },
    Fault {
        name: "no languageCode",
        fhir: |bundle| drop(remove(bundle, "/entry/1/resource/content/0/attachment", "language")),
        ebxml: |request| no_slot(request, "languageCode"),
    },
    Fault {
        name: "no creationTime",
        fhir: |bundle| drop(remove(bundle, "/entry/1/resource/content/0/attachment", "creation")),
        ebxml: |request| no_slot(request, "creationTime"),
    },
    Fault {
        name: "no uniqueId of a document",
        fhir: |bundle| drop(remove(bundle, DOCUMENT, "masterIdentifier")),
        ebxml: |request| unidentified(request, "XDSDocumentEntry.uniqueId"),
    },
    Fault {
        name: "no contentTypeCode",
        fhir: |bundle| no_extension(bundle, SET, "ihe-designationType"),
        ebxml: |request| unclassified(request, "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"),
    },
    Fault {
        name: "no sourceId",
        fhir: |bundle| no_extension(bundle, SET, "ihe-sourceId"),
        ebxml: |request| unidentified(request, "XDSSubmissionSet.sourceId"),
    },
    Fault {
        name: "no submissionTime",
        fhir: |bundle| drop(remove(bundle, SET, "date")),
        ebxml: |request| no_slot(request, "submissionTime"),
    },
    Fault {
        name: "no codeList of a folder",
        fhir: |bundle| no_extension(bundle, FOLDER, "ihe-designationType"),
        ebxml: |request| unclassified(request, "urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5"),
    },
    Fault {
        name: "no patientId of a document",
        fhir: |bundle| drop(remove(bundle, DOCUMENT, "subject")),
        ebxml: |request| unidentified(request, "XDSDocumentEntry.patientId"),
    },
    Fault {
        name: "the uniqueId of the set is no OID",
        fhir: |bundle| bundle["entry"][0]["resource"]["identifier"][0]["value"] = json!("urn:oid:1.2.x"),
        ebxml: |request| identified(request, "XDSSubmissionSet.uniqueId", "1.2.x"),
    },
    Fault {
        name: "the sourceId is no OID",
        fhir: |bundle| extension(bundle, "ihe-sourceId")["valueIdentifier"]["value"] = json!("urn:oid:1.2.x"),
        ebxml: |request| identified(request, "XDSSubmissionSet.sourceId", "1.2.x"),
    },
    Fault {
        name: "a service that stops before it starts",
        fhir: |bundle| bundle["entry"][1]["resource"]["context"]["period"]["end"] = json!("1999-12-31"),
        ebxml: |request| slot(request, "serviceStopTime", "19991231"),
    },
    Fault {
        name: "a title that is too long",
        fhir: |bundle| {
            bundle["entry"][1]["resource"]["content"][0]["attachment"]["title"] = json!("x".repeat(129));
        },
        ebxml: |request| {
            each(request, &mut |element| {
                if element.attribute("value") == Some("A letter") {
                    set(element, "value", &"x".repeat(129));
                }
            });
        },
    },
    Fault {
        name: "two documents with one uniqueId",
        fhir: |bundle| {
            let name = bundle["entry"][1]["resource"]["masterIdentifier"].clone();
            bundle["entry"][2]["resource"]["masterIdentifier"] = name;
        },
        ebxml: |request| identified(request, "XDSDocumentEntry.uniqueId", "1.2.3.1"),
    },
    Fault {
        name: "two patients",
        fhir: |bundle| bundle["entry"][1]["resource"]["subject"]["identifier"]["value"] = json!("p2"),
        ebxml: |request| {
            let mut first = true;
            each(request, &mut |element| {
                if named(element) == Some("XDSDocumentEntry.patientId") && std::mem::take(&mut first) {
                    set(element, "value", "p2^^^&1.2.3&ISO");
                }
            });
        },
    },
    Fault {
        name: "a document that replaces one of its own submission",
        fhir: |bundle| relates(bundle, "replaces"),
        ebxml: |request| related(request, "urn:ihe:iti:2007:AssociationType:RPLC"),
    },
    Fault {
        name: "an addendum to a transformation",
        fhir: |bundle| {
            relates(bundle, "appends");
            let other = json!({ "reference": "DocumentReference/00000000-0000-0000-0000-0000000000aa" });
            bundle["entry"][2]["resource"]["relatesTo"] = json!([{ "code": "transforms", "target": other }]);
        },
        ebxml: |request| {
            related(request, "urn:ihe:iti:2007:AssociationType:APND");
            associate(
                request,
                "urn:ihe:iti:2007:AssociationType:XFRM",
                ["Document02", "urn:uuid:00000000-0000-0000-0000-0000000000aa"],
            );
        },
    },
];

#[test]
fn the_same_fault_is_the_same_finding() {
    let (bundle, request) = (bundle(), request());
    assert_eq!(told_by_fhir(bundle.clone()), Told::new(), "the Bundle is sound");
    assert_eq!(told_by_ebxml(&request), Told::new(), "the request is sound");
    let mut wrong = Vec::new();
    for fault in FAULTS {
        let (mut faulty, mut request) = (bundle.clone(), request.clone());
        (fault.fhir)(&mut faulty);
        (fault.ebxml)(&mut request);
        let (fhir, ebxml) = (told_by_fhir(faulty), told_by_ebxml(&request));
        if fhir != ebxml || fhir.is_empty() {
            wrong.push(format!("{}:\n  FHIR  {fhir:?}\n  ebXML {ebxml:?}", fault.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), FAULTS.len(), wrong.join("\n"));
}

#[test]
fn bytes_that_are_not_those_declared_are_the_same_finding() {
    let submission = submission();
    let mut provided = Provided::of(submission, Door::Repository);
    let entry = provided.bytes_of("Document01").expect("a document has bytes");
    let other = provided.bytes_of("Document02").expect("a document has bytes");
    let measured = |entry, sha1| Measured { entry, size: 7, sha1, sha256: [2; 32] };
    let findings = provided.verify(&[measured(entry, [9; 20]), measured(other, [1; 20])]);
    let told = told(&findings);
    assert_eq!(told, Told::from([("ContentMismatch".to_owned(), "DocumentEntry.hash")]));
    assert_eq!(findings[0].at.path, "ExtrinsicObject[@id='Document01']");
    let findings = provided.verify(&[measured(other, [1; 20])]);
    assert_eq!(findings[0].rule, xds::Rule::MissingDocument);
}

fn told(findings: &Findings) -> Told {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| (format!("{:?}", finding.rule), finding.at.attribute.unwrap_or(""))).collect()
}

fn told_by_fhir(bundle: Value) -> Told {
    match read_request(bundle, &[], Door::Registry) {
        Ok(provided) => told(&provided.check()),
        Err(findings) => told(&findings),
    }
}

fn told_by_ebxml(request: &Element) -> Told {
    let (submission, findings) = read_submission(request, Column::Repository);
    let read = told(&findings);
    if read.is_empty() { told(&Provided::of(submission, Door::Registry).check()) } else { read }
}

fn bundle() -> Value {
    let mut provided = Provided::of(submission(), Door::Registry);
    for document in provided.submission.documents.clone() {
        let url = format!("http://repository.example/{}", document.symbol);
        provided.set_document(&document.symbol, &url, 7, [1; 20], [2; 32]);
    }
    let written = write_registration(&provided);
    let mut bundle: Value = serde_json::from_slice(&written).expect("what is written is JSON");
    // As a source of FHIR would send it.
    for entry in bundle["entry"].as_array_mut().expect("it has entries") {
        if let Some(extensions) = entry.pointer_mut("/resource/extension").and_then(Value::as_array_mut) {
            extensions.retain(|one| !one["url"].as_str().is_some_and(|url| url.ends_with("xds-metadata")));
            if extensions.is_empty() {
                entry["resource"].as_object_mut().expect("a resource").remove("extension");
            }
        }
    }
    bundle
}

fn request() -> Element {
    let mut out = Writer::with_capacity(16 << 10);
    write_submission(&mut out, &submission()).expect("XDS can say it");
    reader::read(&out.finish(), &reader::Limits::default()).expect("what is written is XML")
}

fn submission() -> Submission {
    let identifier = |oid: &str| xds::identifier::unique_id_of(oid);
    let patient = || Patient {
        identifier: Some(Identifier { system: "urn:oid:1.2.3".to_owned(), value: "p1".to_owned() }),
        ..Patient::default()
    };
    let code = |code: &str| Code {
        system: "urn:oid:1.2.9".to_owned(),
        code: code.to_owned(),
        display: Some(code.to_owned()),
    };
    let time = |text: &str| dtm::read(text).expect("a time");
    let document = |number: u8| {
        let mut entry =
            DocumentEntry::new(format!("Document0{number}"), identifier(&format!("1.2.3.{number}")));
        entry.patient = patient();
        (entry.mime_type, entry.language) = ("text/plain".to_owned(), Some("en".to_owned()));
        entry.title = Some(if number == 1 { "A letter" } else { "Another" }.to_owned());
        entry.creation_time = Some(time("20040101120000"));
        (entry.service_start, entry.service_stop) =
            (Some(time("20040101110000")), Some(time("20040101113000")));
        entry.type_code = Some(code("type"));
        entry.class_codes = vec![code("class")];
        entry.format_code = Some(code("format"));
        entry.confidentiality_codes = vec![code("N")];
        (entry.facility_codes, entry.practice_setting_codes) =
            (vec![code("facility")], vec![code("practice")]);
        entry.source_patient_ids =
            vec![Identifier { system: "urn:oid:1.2.4".to_owned(), value: "local".to_owned() }];
        entry.authors = vec![Author { person: Some("^Welby^Marcus".to_owned()), ..Author::default() }];
        (entry.size, entry.hash, entry.repository_unique_id) =
            (Some(7), Some(Hash([1; 20])), Some("1.2.5".to_owned()));
        entry
    };
    let mut set = SubmissionSet::new("SubmissionSet01", identifier("1.2.6"), time("20040101120000"));
    (set.patient, set.unique_id, set.content_type_codes) =
        (patient(), Some(identifier("1.2.7")), vec![code("content")]);
    let mut folder = Folder::new("Folder01");
    (folder.patient, folder.unique_id, folder.codes) =
        (patient(), Some(identifier("1.2.8")), vec![code("folder")]);
    folder.title = Some("A folder".to_owned());
    let symbol = |name: &str| ObjectRef::Symbol(name.to_owned());
    let has = |from: &str, to: &str| {
        Association::new(
            AssociationType::HasMember,
            symbol(from),
            symbol(to),
            format!("Association[@id='{from}{to}']"),
        )
    };
    Submission {
        profile: Profile::Comprehensive,
        submission_set: set,
        documents: vec![document(1), document(2)],
        folders: vec![folder],
        associations: vec![
            has("SubmissionSet01", "Document01"),
            has("SubmissionSet01", "Document02"),
            has("SubmissionSet01", "Folder01"),
        ],
        places: ["Document01", "Document02"]
            .iter()
            .map(|id| ((*id).to_owned(), format!("ExtrinsicObject[@id='{id}']")))
            .collect(),
    }
}

fn remove(bundle: &mut Value, at: &str, member: &str) -> Option<Value> {
    bundle.pointer_mut(at)?.as_object_mut()?.remove(member)
}

fn no_extension(bundle: &mut Value, at: &str, name: &str) {
    let extensions = bundle.pointer_mut(at).and_then(|resource| resource["extension"].as_array_mut());
    let extensions = extensions.expect("it has extensions");
    extensions.retain(|one| !one["url"].as_str().is_some_and(|url| url.ends_with(name)));
    if extensions.is_empty() {
        remove(bundle, at, "extension");
    }
}

fn extension<'a>(bundle: &'a mut Value, name: &str) -> &'a mut Value {
    let extensions = bundle["entry"][0]["resource"]["extension"].as_array_mut().expect("it has extensions");
    let found = extensions.iter_mut().find(|one| one["url"].as_str().is_some_and(|url| url.ends_with(name)));
    found.expect("it has this extension")
}

/// Lets the first document of the Bundle relate to the second one.
fn relates(bundle: &mut Value, code: &str) {
    let target = json!({ "reference": bundle["entry"][2]["fullUrl"] });
    bundle["entry"][1]["resource"]["relatesTo"] = json!([{ "code": code, "target": target }]);
    assert!(bundle.pointer(SECOND).is_some());
}

fn each(element: &mut Element, act: &mut impl FnMut(&mut Element)) {
    act(element);
    element.children.iter_mut().for_each(|child| each(child, act));
}

fn without(element: &mut Element, unwanted: &dyn Fn(&Element) -> bool) {
    // Of several alike, the first: the other document stays sound.
    let mut found = false;
    fn walk(element: &mut Element, unwanted: &dyn Fn(&Element) -> bool, found: &mut bool) {
        if *found {
            return;
        }
        if let Some(at) = element.children.iter().position(unwanted) {
            element.children.remove(at);
            *found = true;
            return;
        }
        element.children.iter_mut().for_each(|child| walk(child, unwanted, found));
    }
    walk(element, unwanted, &mut found);
    assert!(found, "there is something to leave out");
}

fn unclassified(request: &mut Element, scheme: &str) {
    without(request, &|element| element.attribute("classificationScheme") == Some(scheme));
}

fn no_slot(request: &mut Element, name: &str) {
    without(request, &|element| &*element.name == "Slot" && element.attribute("name") == Some(name));
}

fn unidentified(request: &mut Element, name: &str) {
    without(request, &|element| named(element) == Some(name));
}

/// The name of an ExternalIdentifier.
fn named(element: &Element) -> Option<&str> {
    if &*element.name != "ExternalIdentifier" {
        return None;
    }
    let name = element.children.iter().find(|child| &*child.name == "Name")?;
    name.children.first()?.attribute("value")
}

fn identified(request: &mut Element, name: &str, value: &str) {
    each(request, &mut |element| {
        if named(element) == Some(name) {
            set(element, "value", value);
        }
    });
}

fn slot(request: &mut Element, name: &str, value: &str) {
    let mut first = true;
    each(request, &mut |element| {
        if element.attribute("name") == Some(name) && std::mem::take(&mut first) {
            element.children[0].children[0].text = value.to_owned();
        }
    });
}

fn set(element: &mut Element, name: &str, value: &str) {
    for attribute in element.attributes.iter_mut().filter(|attribute| &*attribute.name == name) {
        attribute.value = value.to_owned();
    }
}

/// Lets the first document of the request relate to the second one.
fn related(request: &mut Element, kind: &str) {
    associate(request, kind, ["Document01", "Document02"]);
}

fn associate(request: &mut Element, kind: &str, [source, target]: [&str; 2]) {
    let list = request.children.iter_mut().find(|child| &*child.name == "RegistryObjectList");
    let list = list.expect("a request has a list");
    let association = list.children.iter().find(|child| &*child.name == "Association");
    let mut association = association.expect("it has associations").clone();
    association.children.clear();
    for (name, value) in [
        ("id", format!("related{}", list.children.len()).as_str()),
        ("associationType", kind),
        ("sourceObject", source),
        ("targetObject", target),
    ] {
        set(&mut association, name, value);
    }
    list.children.push(association);
}
