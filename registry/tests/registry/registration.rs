//! Registering documents: what a source or a repository sees.

use crate::world::{IDENTITY, MRN, World, document, provide};
use testkit::{Folder, Provide};

#[tokio::test]
async fn a_registered_document_can_be_read_by_its_location() {
    let world = World::new().await;
    let reply = world.register(&provide("p1", document("Befund"))).await.expect(200);
    assert_eq!(reply.body["type"], "transaction-response");
    let id = &reply.located("DocumentReference")[0];
    let read = world.get(&format!("/fhir/DocumentReference/{id}")).await.expect(200);
    assert_eq!(read.header("etag"), Some("W/\"1\""));
    assert_eq!(read.body["id"], id.as_str());
    assert_eq!(read.body["status"], "current");
    assert_eq!(read.body["subject"]["reference"], format!("{IDENTITY}/Patient/p1"));
    let list = &reply.located("List")[0];
    let set = world.get(&format!("/fhir/List/{list}")).await.expect(200);
    assert_eq!(set.body["entry"][0]["item"]["reference"], format!("DocumentReference/{id}"));
}

#[tokio::test]
async fn a_replaced_document_is_superseded_in_the_same_instant() {
    let world = World::new().await;
    let first = world.register(&provide("p1", document("first"))).await.expect(200);
    let old = first.located("DocumentReference").remove(0);
    let target = format!("DocumentReference/{old}");
    let replacement = provide("p1", document("second").relates_to("replaces", &target));
    let second = world.register(&replacement.superseding(&old)).await.expect(200);
    assert_eq!(
        second.body["entry"].as_array().map(Vec::len),
        Some(3),
        "document, set and patch are answered"
    );
    let read = world.get(&format!("/fhir/{target}")).await.expect(200);
    assert_eq!(read.body["status"], "superseded");
    assert_eq!(read.body["meta"]["versionId"], "2");
    let before = world.get(&format!("/fhir/{target}/_history/1")).await.expect(200);
    assert_eq!(before.body["status"], "current");
    let new =
        second.located("DocumentReference").iter().find(|id| **id != old).cloned().expect("a new document");
    let new = world.get(&format!("/fhir/DocumentReference/{new}")).await.expect(200);
    assert_eq!(new.body["relatesTo"][0]["code"], "replaces");
    assert_eq!(new.body["relatesTo"][0]["target"]["reference"], target);
    let again = provide("p1", document("third").relates_to("replaces", &target));
    let refused = world.register(&again).await.expect(400);
    assert!(refused.codes().contains(&"XDSRegistryDeprecatedDocumentError".to_owned()), "{}", refused.body);
}

#[tokio::test]
async fn of_twenty_concurrent_replaces_one_wins() {
    let world = World::new().await;
    let first = world.register(&provide("p1", document("first"))).await.expect(200);
    let target = format!("DocumentReference/{}", first.located("DocumentReference")[0]);
    let replaces: Vec<Provide> =
        (0..20).map(|n| provide("p1", document(&format!("{n}")).relates_to("replaces", &target))).collect();
    let replies =
        futures_util::future::join_all(replaces.iter().map(|replace| world.register(replace))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!(reply.status, 400, "{}", reply.body);
        assert!(reply.codes().contains(&"XDSRegistryDeprecatedDocumentError".to_owned()), "{}", reply.body);
    }
}

#[tokio::test]
async fn the_same_submission_again_gets_the_first_answer() {
    let world = World::new().await;
    let submission = provide("p1", document("Befund"));
    let first = world.register(&submission).await.expect(200);
    let again = world.register(&submission).await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body, first.body);
    let found = world.get("/fhir/DocumentReference?patient=p1").await.expect(200);
    assert_eq!(found.body["total"].to_string(), "1");
}

#[tokio::test]
async fn fifty_identical_submissions_at_once_make_one() {
    let world = World::new().await;
    let submission = provide("p1", document("Befund"));
    let replies = futures_util::future::join_all((0..50).map(|_| world.register(&submission))).await;
    let first = replies[0].body.clone();
    for reply in replies {
        assert_eq!((reply.status, &reply.body), (200, &first));
    }
    assert_eq!(world.get("/fhir/List?patient=p1&code=submissionset").await.body["total"].to_string(), "1");
}

#[tokio::test]
async fn the_same_key_with_other_content_is_a_conflict() {
    let world = World::new().await;
    let key = testkit::urn_oid();
    world.register(&provide("p1", document("one")).unique_id(&key)).await.expect(200);
    let other = world.register(&provide("p1", document("two")).unique_id(&key)).await.expect(409);
    assert!(other.codes().contains(&"XDSDuplicateUniqueIdInRegistry".to_owned()), "{}", other.body);
}

#[tokio::test]
async fn a_known_unique_id_needs_the_same_bytes() {
    let world = World::new().await;
    let unique_id = testkit::urn_oid();
    let first = document("same").unique_id(&unique_id);
    world.register(&provide("p1", first)).await.expect(200);
    world.register(&provide("p1", document("same").unique_id(&unique_id))).await.expect(200);
    let hash = world.register(&provide("p1", document("else").unique_id(&unique_id))).await.expect(409);
    assert!(hash.codes().contains(&"XDSNonIdenticalHash".to_owned()), "{}", hash.body);
    let size = world.register(&provide("p1", document("longer").unique_id(&unique_id))).await.expect(409);
    assert!(size.codes().contains(&"XDSNonIdenticalSize".to_owned()), "{}", size.body);
}

#[tokio::test]
async fn an_entry_uuid_the_source_chose_is_kept_and_taken_only_once() {
    let world = World::new().await;
    let chosen = testkit::urn_uuid();
    let reply = world.register(&provide("p1", document("one").entry_uuid(&chosen))).await.expect(200);
    assert_eq!(format!("urn:uuid:{}", reply.located("DocumentReference")[0]), chosen);
    let taken = world.register(&provide("p1", document("two").entry_uuid(&chosen))).await.expect(400);
    assert!(taken.codes().contains(&"XDSRegistryMetadataError".to_owned()), "{}", taken.body);
}

#[tokio::test]
async fn an_unknown_or_retired_patient_is_refused() {
    let world = World::new().await;
    let unknown = world.register(&provide("nobody", document("x"))).await.expect(400);
    assert!(unknown.codes().contains(&"XDSUnknownPatientId".to_owned()), "{}", unknown.body);
    assert_eq!(unknown.body["issue"][0]["code"], "not-found");
    world.feed("p2", 2, "two", false).await.expect(200);
    let retired = world.register(&provide("p2", document("x"))).await.expect(400);
    assert!(retired.codes().contains(&"XDSUnknownPatientId".to_owned()), "{}", retired.body);
}

#[tokio::test]
async fn a_patient_may_be_named_by_identifier_in_every_form() {
    let world = World::new().await;
    let conditional = format!("Patient?identifier={MRN}|one");
    let absolute = format!("{IDENTITY}/Patient?identifier={MRN}%7Cone");
    for reference in ["Patient/p1", &conditional, &absolute] {
        world.register(&Provide::new(reference).only(document("x"))).await.expect(200);
    }
    let logical = serde_json::json!({ "identifier": { "system": MRN, "value": "one" } });
    let reply = world.register(&Provide::with_subject(logical).only(document("x"))).await.expect(200);
    let read = world.get(&format!("/fhir/DocumentReference/{}", reply.located("DocumentReference")[0])).await;
    assert_eq!(read.body["subject"]["reference"], format!("{IDENTITY}/Patient/p1"));
    assert_eq!(read.body["subject"]["identifier"]["value"], "one", "the identifier the source sent is kept");
    assert_eq!(world.get("/fhir/DocumentReference?patient=p1").await.body["total"].to_string(), "4");
}

#[tokio::test]
async fn a_relation_across_patients_does_not_match() {
    let world = World::new().await;
    let first = world.register(&provide("p1", document("first"))).await.expect(200);
    let target = format!("DocumentReference/{}", first.located("DocumentReference")[0]);
    let reply =
        world.register(&provide("p2", document("x").relates_to("replaces", &target))).await.expect(400);
    assert!(reply.codes().contains(&"XDSPatientIdDoesNotMatch".to_owned()), "{}", reply.body);
    assert_eq!(world.get(&format!("/fhir/{target}")).await.body["status"], "current");
}

#[tokio::test]
async fn a_replace_of_nothing_is_unresolved_and_leaves_nothing_behind() {
    let world = World::new().await;
    let target = "DocumentReference/00000000-0000-0000-0000-000000000000";
    let reply =
        world.register(&provide("p1", document("x").relates_to("replaces", target))).await.expect(400);
    assert!(reply.codes().contains(&"UnresolvedReferenceException".to_owned()), "{}", reply.body);
    assert_eq!(world.get("/fhir/DocumentReference?patient=p1").await.body["total"].to_string(), "0");
}

#[tokio::test]
async fn a_replacement_takes_its_place_in_the_folder_of_the_old_one() {
    let world = World::new().await;
    let first = document("first");
    let url = first.url.clone();
    let submission = provide("p1", first).folder(Folder::new("Schwangerschaft", &[&url]));
    let reply = world.register(&submission).await.expect(200);
    let old = reply.located("DocumentReference").remove(0);
    let folders = world.get("/fhir/List?patient=p1&code=folder").await.expect(200);
    let folder = folders.ids().remove(0);
    let second =
        provide("p1", document("second").relates_to("replaces", &format!("DocumentReference/{old}")));
    let new = world.register(&second).await.expect(200).located("DocumentReference").remove(0);
    let grown = world.get(&format!("/fhir/List/{folder}")).await.expect(200);
    assert_eq!(grown.body["meta"]["versionId"], "2");
    let items: Vec<_> =
        grown.body["entry"].as_array().expect("members").iter().map(|e| &e["item"]["reference"]).collect();
    assert_eq!(items, [&format!("DocumentReference/{old}"), &format!("DocumentReference/{new}")]);
}

#[tokio::test]
async fn what_was_appended_to_a_document_is_superseded_with_it() {
    let world = World::new().await;
    let first = world.register(&provide("p1", document("first"))).await.expect(200);
    let target = format!("DocumentReference/{}", first.located("DocumentReference")[0]);
    let appended =
        world.register(&provide("p1", document("more").relates_to("appends", &target))).await.expect(200);
    assert_eq!(world.get(&format!("/fhir/{target}")).await.body["status"], "current");
    world.register(&provide("p1", document("new").relates_to("replaces", &target))).await.expect(200);
    let child =
        world.get(&format!("/fhir/DocumentReference/{}", appended.located("DocumentReference")[0])).await;
    assert_eq!(child.body["status"], "superseded");
    assert_eq!(child.body["relatesTo"][0]["target"]["reference"], target);
    let current = world.get("/fhir/DocumentReference?patient=p1&status=current").await;
    assert_eq!(current.body["total"].to_string(), "1");
}

/// An entry that puts a folder List: with this id in its address, or by its uniqueId alone.
#[tokio::test]
async fn a_subject_that_names_two_patients_is_refused() {
    let world = World::new().await;
    let subject = |mrn: &str| serde_json::json!({ "reference": "Patient/p1", "identifier": { "system": MRN, "value": mrn } });
    for (mrn, status) in [("two", 400), ("one", 200), ("of another domain", 200)] {
        let mut bundle = provide("p1", document("x")).bundle();
        for entry in bundle["entry"].as_array_mut().expect("entries") {
            entry["resource"]["subject"] = subject(mrn);
        }
        let reply = world.post(&bundle).await.expect(status);
        if status == 400 {
            assert_eq!(reply.codes(), ["XDSPatientIdDoesNotMatch", "patient-does-not-match"]);
        }
    }
}

fn folder_entry(folder: &Folder, address: &str) -> serde_json::Value {
    let subject = serde_json::json!({ "reference": format!("{IDENTITY}/Patient/p1") });
    serde_json::json!({
        "fullUrl": folder.url,
        "resource": folder.list(testkit::Profile::Comprehensive, &subject),
        "request": { "method": "PUT", "url": address },
    })
}

#[tokio::test]
async fn a_folder_gains_documents_by_id_and_by_unique_id() {
    let world = World::new().await;
    let mut folder = Folder::new("Schwangerschaft", &[]);
    let first = world.register(&provide("p1", document("first")).folder(folder.clone())).await.expect(200);
    let id = world.get("/fhir/List?patient=p1&code=folder").await.ids().remove(0);
    assert_eq!(first.located("List").len(), 2);
    for (version, address) in [("2", format!("List/{id}")), ("3", "List".to_owned())] {
        let added = document("more");
        folder.url = testkit::urn_uuid();
        folder.members = vec![added.url.clone()];
        let reply =
            world.register(&provide("p1", added).entry(folder_entry(&folder, &address))).await.expect(200);
        let answers = reply.body["entry"].as_array().expect("entries");
        assert_eq!(answers.last().expect("the folder")["response"]["status"], "200 OK");
        let grown = world.get(&format!("/fhir/List/{id}")).await.expect(200);
        assert_eq!(grown.body["meta"]["versionId"], version);
    }
    let grown = world.get(&format!("/fhir/List/{id}")).await;
    assert_eq!(grown.body["entry"].as_array().map(Vec::len), Some(2), "nothing was taken away");
}

#[tokio::test]
async fn a_document_of_another_patient_is_not_put_into_a_folder() {
    let world = World::new().await;
    let foreign = world.register(&provide("p2", document("x"))).await.expect(200);
    let foreign = format!("DocumentReference/{}", foreign.located("DocumentReference")[0]);
    let submission = provide("p1", document("y")).folder(Folder::new("Mappe", &[&foreign]));
    let reply = world.register(&submission).await.expect(400);
    assert!(reply.codes().contains(&"XDSPatientIdDoesNotMatch".to_owned()), "{}", reply.body);
}

#[tokio::test]
async fn all_problems_of_a_submission_are_told_with_their_places() {
    let world = World::new().await;
    let mut entry = document("x");
    entry.title = "ü".repeat(200);
    let submission = provide("p1", entry).title(&"ü".repeat(300));
    let reply = world.register(&submission).await.expect(400);
    let places: Vec<_> = reply.body["issue"]
        .as_array()
        .expect("issues")
        .iter()
        .map(|issue| issue["expression"][0].as_str().unwrap_or_default().to_owned())
        .collect();
    let document = "Bundle.entry[1].resource.content[0].attachment.title";
    assert_eq!(places, ["Bundle.entry[0].resource.title", document]);
}

#[tokio::test]
async fn a_document_that_lies_elsewhere_is_published_without_being_fetched() {
    let world = World::new().await;
    let document = serde_json::json!({
        "resourceType": "DocumentReference",
        "masterIdentifier": { "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3.9" },
        "status": "current",
        "subject": { "reference": "Patient/p1" },
        "content": [{ "attachment": { "contentType": "text/plain", "url": "http://elsewhere.example/1" } }],
    });
    let publish = async |document: &serde_json::Value| {
        world.send(world.request(reqwest::Method::POST, "/fhir/DocumentReference").json(document)).await
    };
    let reply = publish(&document).await.expect(201);
    assert_eq!(reply.body["content"][0]["attachment"]["url"], "http://elsewhere.example/1");
    assert_eq!(reply.body["subject"]["reference"], format!("{IDENTITY}/Patient/p1"));
    let location = reply.header("location").expect("a place").to_owned();
    let read = world.get(location.split("/_history").next().expect("a place")).await.expect(200);
    assert_eq!(read.body, reply.body);
    let again = publish(&document).await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("location"), Some(location.as_str()));

    let mut relative = document.clone();
    relative["content"][0]["attachment"]["url"] = "Binary/1".into();
    let refused = publish(&relative).await.expect(400);
    let at = &refused.body["issue"][0]["expression"][0];
    assert_eq!(at, "DocumentReference.content[0].attachment.url", "{}", refused.body);
}

#[tokio::test]
async fn what_is_registered_says_which_community_holds_it() {
    let mut settings = crate::world::settings();
    settings.domain.home_community_id = "urn:oid:1.2.3.77".to_owned();
    let world = World::with(settings).await;
    let folder = Folder::new("Knie", &[]);
    let reply = world.register(&provide("p1", document("Befund")).folder(folder)).await.expect(200);
    let home = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-HomeCommunityId";
    for kind in ["DocumentReference", "List"] {
        for id in reply.located(kind) {
            let read = world.get(&format!("/fhir/{kind}/{id}")).await.expect(200);
            let extensions = read.body["extension"].as_array().expect("extensions");
            let told: Vec<_> = extensions.iter().filter(|one| one["url"] == home).collect();
            assert_eq!(told.len(), 1, "{}", read.body);
            assert_eq!(told[0]["valueOid"], "urn:oid:1.2.3.77");
        }
    }
}
