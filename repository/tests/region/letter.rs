//! ITI-65 to the letter: what the profile lets a source say, before real actors.

use serde_json::{Value, json};
use testkit::{Document, Folder, Provide};
use web::PeerAnswer;

use crate::{DOMAIN, IDENTITY, Region, json as read, locations};

fn accepted(answer: &PeerAnswer) -> Value {
    let told = read(answer);
    assert_eq!(answer.status, 200, "{told}");
    told
}

fn refused(answer: &PeerAnswer, path: &str) {
    let told = read(answer);
    assert_eq!(answer.status, 400, "{told}");
    let issues = told["issue"].as_array().unwrap();
    assert!(issues.iter().any(|issue| issue["expression"][0] == path), "{path} {told}");
}

fn id_at(locations: &[String], kind: &str) -> String {
    let found = locations.iter().find(|location| location.contains(&format!("/{kind}/"))).unwrap();
    found.split(&format!("/{kind}/")).nth(1).unwrap().split('/').next().unwrap().to_owned()
}

fn patch(url: &str) -> Value {
    let mut entry = Provide::new("Patient/x").superseding("x").bundle()["entry"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["request"]["method"] == "PATCH")
        .unwrap()
        .clone();
    entry["request"]["url"] = url.into();
    entry["fullUrl"] = testkit::urn_uuid().into();
    entry
}

#[tokio::test]
async fn a_replacement_names_its_target_and_its_patch_by_id_or_by_identifier() {
    let region = Region::start();
    let id = region.patient("l-1").await;
    let patient = format!("{IDENTITY}/Patient/{id}");
    let mut unique_id = "urn:oid:1.2.3.100".to_owned();
    let first = Provide::new(&patient).only(Document::new("0").unique_id(&unique_id)).bundle();
    let mut old = id_at(&locations(&region.provide(&first).await), "DocumentReference");
    for (number, (by_identifier, condition)) in
        [(false, true), (true, false), (true, true), (false, false)].into_iter().enumerate()
    {
        let next = format!("urn:oid:1.2.3.10{}", number + 1);
        let document = Document::new(next.as_bytes()).unique_id(&next);
        let url = match condition {
            true => format!("DocumentReference?identifier=urn:ietf:rfc:3986%7C{unique_id}"),
            false => format!("DocumentReference/{old}"),
        };
        let mut bundle = Provide::new(&patient).only(document).entry(patch(&url)).bundle();
        let target = match by_identifier {
            true => json!({ "identifier": { "system": "urn:ietf:rfc:3986", "value": unique_id } }),
            false => json!({ "reference": format!("DocumentReference/{old}") }),
        };
        bundle["entry"][1]["resource"]["relatesTo"] = json!([{ "code": "replaces", "target": target }]);
        let answer = region.provide(&bundle).await;
        accepted(&answer);
        let places = locations(&answer);
        let patched = format!("DocumentReference/{old}/_history/2");
        assert!(places.iter().any(|place| place.ends_with(&patched)), "{places:?}");
        (old, unique_id) = (id_at(&places, "DocumentReference"), next);
    }
    let current = region.search(&format!("patient=Patient/{id}&status=current")).await;
    assert_eq!((current.len(), &current[0]["id"]), (1, &json!(old)));
}

#[tokio::test]
async fn a_patch_of_a_document_that_nothing_replaces_is_refused_however_it_is_named() {
    let region = Region::start();
    let id = region.patient("l-2").await;
    let patient = format!("{IDENTITY}/Patient/{id}");
    let documents = vec![
        Document::new("one").unique_id("urn:oid:1.2.3.201"),
        Document::new("two").unique_id("urn:oid:1.2.3.202"),
    ];
    let stored = region.provide(&Provide::new(&patient).documents(documents).bundle()).await;
    let old = id_at(&locations(&stored), "DocumentReference");
    let url = "DocumentReference?identifier=urn:ietf:rfc:3986%7Curn:oid:1.2.3.202";
    let mut bundle = Provide::new(&patient).entry(patch(url)).bundle();
    let target = json!({ "reference": format!("DocumentReference/{old}") });
    bundle["entry"][1]["resource"]["relatesTo"] = json!([{ "code": "replaces", "target": target }]);
    let at = bundle["entry"].as_array().unwrap().iter().position(|one| one["request"]["method"] == "PATCH");
    let at = at.unwrap();
    refused(&region.provide(&bundle).await, &format!("Bundle.entry[{at}].request.url"));
    bundle["entry"][at]["resource"] =
        json!({ "resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10=" });
    refused(&region.provide(&bundle).await, &format!("Bundle.entry[{at}].request"));
    assert_eq!(region.search(&format!("patient=Patient/{id}&status=current")).await.len(), 2);
}

#[tokio::test]
async fn a_folder_is_updated_by_id_by_condition_or_by_its_own_identifier() {
    let region = Region::start();
    let id = region.patient("l-3").await;
    let patient = format!("{IDENTITY}/Patient/{id}");
    let mut bundle = Provide::new(&patient).folder(Folder::new("Knee", &[])).bundle();
    let at = bundle["entry"].as_array().unwrap().len() - 1;
    let name = json!({ "use": "usual", "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3.300" });
    bundle["entry"][at]["resource"]["identifier"] = json!([name]);
    let answer = region.provide(&bundle).await;
    let told = accepted(&answer);
    let place = told["entry"][at]["response"]["location"].as_str().unwrap().to_owned();
    let folder = place.split("/List/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let condition = "List?identifier=urn:ietf:rfc:3986%7Curn:oid:1.2.3.300".to_owned();
    for (number, url) in [format!("List/{folder}"), condition, "List".to_owned()].iter().enumerate() {
        let mut update = Provide::new(&patient).folder(Folder::new("Knee", &[])).bundle();
        let document = update["entry"][1]["fullUrl"].clone();
        let entry = &mut update["entry"][at];
        entry["request"] = json!({ "method": "PUT", "url": url });
        entry["resource"]["entry"] = json!([{ "item": { "reference": document } }]);
        let list = entry["resource"].as_object_mut().unwrap();
        list.remove("identifier");
        if url == "List" {
            list.insert("identifier".to_owned(), json!([name]));
        }
        let answer = region.provide(&update).await;
        let told = accepted(&answer);
        let response = &told["entry"][at]["response"];
        let place = format!("/List/{folder}/_history/{}", number + 2);
        assert!(response["location"].as_str().unwrap().ends_with(&place), "{response}");
        // What it held before stays, and is told.
        assert_eq!(response["outcome"].is_object(), number > 0, "{response}");
    }
    let mut nameless = Provide::new(&patient).folder(Folder::new("Knee", &[])).bundle();
    nameless["entry"][at]["request"] = json!({ "method": "PUT", "url": "List" });
    nameless["entry"][at]["resource"].as_object_mut().unwrap().remove("identifier");
    refused(&region.provide(&nameless).await, &format!("Bundle.entry[{at}].resource.identifier"));
    nameless["entry"][at]["request"]["url"] = "Patient/1".into();
    refused(&region.provide(&nameless).await, &format!("Bundle.entry[{at}].request.url"));
}

#[tokio::test]
async fn a_registered_document_and_folder_are_members_of_a_submission_by_reference() {
    let region = Region::start();
    let id = region.patient("l-4").await;
    let patient = format!("{IDENTITY}/Patient/{id}");
    let bundle = Provide::new(&patient).folder(Folder::new("Knee", &[])).bundle();
    let at = bundle["entry"].as_array().unwrap().len() - 1;
    let places = locations(&region.provide(&bundle).await);
    let document = id_at(&places, "DocumentReference");
    let folder = id_at(&places[at..], "List");
    let mut second = Provide::new(&patient).bundle();
    let members = second["entry"][0]["resource"]["entry"].as_array_mut().unwrap();
    members.push(json!({ "item": { "reference": format!("DocumentReference/{document}") } }));
    members.push(json!({ "item": { "reference": format!("List/{folder}") } }));
    accepted(&region.provide(&second).await);
    second["entry"][0]["resource"]["entry"][1]["item"]["reference"] =
        "DocumentReference/00000000-0000-4000-8000-000000000000".into();
    second["entry"][0]["resource"]["identifier"][0]["value"] = testkit::urn_oid().into();
    let refused = region.provide(&second).await;
    assert_eq!(refused.status, 400, "{:?}", refused.body);
}

#[tokio::test]
async fn a_patient_that_is_only_looked_up_is_known_by_the_url_of_its_entry() {
    let region = Region::start();
    let id = region.patient("l-5").await;
    for url in [format!("Patient/{id}"), format!("Patient?identifier={DOMAIN}%7Cl-5")] {
        let symbol = testkit::urn_uuid();
        let entry = json!({ "fullUrl": symbol, "request": { "method": "GET", "url": url } });
        let answer = region.provide(&Provide::new(&symbol).entry(entry).bundle()).await;
        let told = accepted(&answer);
        let last = told["entry"].as_array().unwrap().last().unwrap();
        assert!(last["response"]["location"].as_str().unwrap().ends_with(&format!("Patient/{id}")), "{last}");
    }
}

#[tokio::test]
async fn reservations_stand_with_the_entry_they_are_about() {
    let region = Region::start();
    let id = region.patient("l-6").await;
    let mut bundle = Provide::new(&format!("{IDENTITY}/Patient/{id}")).bundle();
    let recipient = json!({
        "url": "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-intendedRecipient",
        "valueReference": { "display": "Dr. Brown" },
    });
    bundle["entry"][0]["resource"]["extension"].as_array_mut().unwrap().push(recipient);
    bundle["entry"][1]["resource"]["status"] = "superseded".into();
    bundle["meta"]["profile"][0] =
        format!("{}|4.2.3", bundle["meta"]["profile"][0].as_str().unwrap().replace("https:", "http:")).into();
    bundle["entry"].as_array_mut().unwrap().rotate_right(1);
    let told = accepted(&region.provide(&bundle).await);
    let code = |entry: usize| {
        let outcome = &told["entry"][entry]["response"]["outcome"];
        outcome["issue"].as_array().map_or(0, Vec::len)
    };
    assert_eq!([code(0), code(1), code(2)], [0, 1, 1], "{told}");
    let issue = &told["entry"][1]["response"]["outcome"]["issue"][0];
    assert_eq!(issue["severity"], "warning");
    assert_eq!(issue["details"]["coding"][0]["code"], "UnavailableRecipient");
    assert!(issue["expression"][0].as_str().unwrap().starts_with("Bundle.entry[1].resource.extension["));
}

#[tokio::test]
async fn a_document_of_no_bytes_is_refused_in_every_form() {
    let region = Region::start();
    let id = region.patient("l-7").await;
    let mut bundle = Provide::new(&format!("{IDENTITY}/Patient/{id}")).bundle();
    let attachment = &mut bundle["entry"][1]["resource"]["content"][0]["attachment"];
    attachment["size"] = 0.into();
    attachment["hash"] = "2jmj7l5rSw0yVb/vlWAYkK/YBwk=".into();
    attachment["url"] = "https://repository.example/Binary/1".into();
    bundle["entry"][2]["fullUrl"] = "https://repository.example/Binary/1".into();
    for data in [Some(json!("")), None] {
        let binary = bundle["entry"][2]["resource"].as_object_mut().unwrap();
        binary.remove("data");
        binary.extend(data.map(|data| ("data".to_owned(), data)));
        let answer = region.provide(&bundle).await;
        assert_eq!(answer.status, 400, "{:?}", answer.body);
        assert_eq!(read(&answer)["issue"][0]["details"]["coding"][0]["code"], "XDSMissingDocument");
    }
    assert!(region.search(&format!("patient=Patient/{id}&status=current")).await.is_empty());
}
