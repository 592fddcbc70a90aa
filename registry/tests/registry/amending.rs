//! Register [ITI-42, ITI-61], metadata update [ITI-57, ITI-92] and removal [ITI-62] over XDS.b, as FHIR sees them afterwards.

use serde_json::Value;

use super::ebrim::{APPEND, Entry, Fold, HAS_MEMBER, Message, REPLACE, SNAPSHOT, SUBMIT, Told, tie, uuid};
use super::world::World;

fn title(resource: &Value) -> &str {
    resource["content"][0]["attachment"]["title"].as_str().unwrap_or_default()
}

/// An entry that is registered, and its message.
async fn registered(world: &World) -> (Entry, Message) {
    let entry = Entry::new(&uuid());
    let message = Message::new().entry(entry.clone());
    world.iti42(&message).await.succeeds();
    (entry, message)
}

/// The entry as its next version.
fn next(entry: &Entry, title: &str) -> Entry {
    Entry { id: uuid(), lid: Some(entry.id.clone()), title: title.to_owned(), ..entry.clone() }
}

async fn status(world: &World, entry: &Entry) -> String {
    let reply = world.resource("DocumentReference", &entry.id).await.expect(200);
    reply.body["status"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_is_registered_by_xds_is_read_by_fhir() {
    let world = World::new().await;
    let (entry, _) = registered(&world).await;
    let reply = world.resource("DocumentReference", &entry.id).await.expect(200);
    assert_eq!(title(&reply.body), "Letter");
    assert_eq!(reply.body["status"], "current");
    assert_eq!(reply.body["content"][0]["attachment"]["url"], format!("urn:oid:{}", entry.unique_id));
    assert_eq!(reply.body["subject"]["reference"], "http://identity.example/fhir/Patient/p1");
    let question =
        format!("/fhir/DocumentReference?patient=Patient/p1&identifier=urn:oid:{}", entry.unique_id);
    assert_eq!(world.get(&question).await.expect(200).ids().len(), 1);
}

#[tokio::test]
async fn the_same_submission_is_answered_again_and_another_with_its_unique_id_refused() {
    let world = World::new().await;
    let (entry, message) = registered(&world).await;
    world.iti42(&message).await.succeeds();
    let other = Message { unique_id: message.unique_id.clone(), ..Message::new().entry(Entry::new("d")) };
    world.iti42(&other).await.fails("XDSDuplicateUniqueIdInRegistry");
    let again = Message::new().entry(Entry { id: "again".to_owned(), ..entry.clone() });
    world.iti42(&again).await.succeeds();
    let hash = "0000000000000000000000000000000000000000".to_owned();
    let bytes = Message::new().entry(Entry { id: "bytes".to_owned(), hash, ..entry });
    world.iti42(&bytes).await.fails("XDSNonIdenticalHash");
}

#[tokio::test]
async fn other_symbols_and_another_order_are_the_same_submission() {
    let world = World::new().await;
    let (first, second, folder) = (Entry::new("Document01"), Entry::new("Document02"), Fold::new("Folder01"));
    let message = Message { set: "Set01".to_owned(), ..Message::new() }
        .entry(first.clone())
        .entry(second.clone())
        .folder(folder.clone())
        .put_in("Folder01", "Document01")
        .put_in("Folder01", "Document02");
    // The ids of associations are symbols, too, and one of them says more of itself.
    let called = |mut message: Message, prefix: &str| {
        let ids: Vec<String> = message.ties.iter().map(|tie| tie.id.clone()).collect();
        for (number, tie) in message.ties.iter_mut().enumerate() {
            tie.id = format!("{prefix}{number}");
            if let Some(index) = ids.iter().position(|id| *id == tie.target) {
                tie.target = format!("{prefix}{index}");
            }
        }
        message
    };
    world.iti42(&called(message.clone(), "as")).await.succeeds();
    let renamed = |id: &str| id.replace("Document", "d").replace("Folder", "f").replace("Set", "s");
    let mut again = called(message.clone(), "x");
    again.set = renamed(&again.set);
    again.entries.iter_mut().for_each(|entry| entry.id = renamed(&entry.id));
    again.folders.iter_mut().for_each(|folder| folder.id = renamed(&folder.id));
    for tie in &mut again.ties {
        (tie.source, tie.target) = (renamed(&tie.source), renamed(&tie.target));
    }
    again.entries.reverse();
    again.ties.reverse();
    world.iti42(&again).await.succeeds();
    let lists = world.get("/fhir/List?patient=Patient/p1").await.expect(200);
    assert_eq!(lists.ids().len(), 2, "a set and a folder: nothing was registered twice");
    // One membership less is another submission.
    let mut other = called(message, "as");
    other.ties.truncate(other.ties.len() - 2);
    world.iti42(&other).await.fails("XDSDuplicateUniqueIdInRegistry");
}

#[tokio::test]
async fn an_entry_uuid_that_something_had_is_told_as_taken() {
    let world = World::new().await;
    let (entry, message) = registered(&world).await;
    let (gone, removed) = registered(&world).await;
    let ids: Vec<&str> = [&removed.set, &gone.id, &removed.ties[0].id].map(String::as_str).to_vec();
    world.iti62(&ids).await.succeeds();
    let update = |id: &str| Message::new().update(Entry { id: id.to_owned(), ..next(&entry, "Next") }, 1);
    let mut of_the_set = Message { set: removed.set.clone(), ..Message::new() };
    of_the_set = of_the_set.update(next(&entry, "Next"), 1);
    world.iti57(&of_the_set).await.fails("XDSRegistryMetadataError");
    world.iti57(&update(&gone.id)).await.fails("XDSMetadataUpdateError");
    world.iti57(&update(&message.ties[0].id)).await.fails("XDSMetadataUpdateError");
    world.iti57(&update(&uuid())).await.succeeds();
}

#[tokio::test]
async fn a_patient_that_is_not_known_is_named() {
    let world = World::new().await;
    let entry = Entry { patient: "nobody".to_owned(), ..Entry::new("d") };
    let told = world.iti42(&Message { patient: "nobody".to_owned(), ..Message::new() }.entry(entry)).await;
    told.fails("XDSUnknownPatientId");
    let other = Entry { patient: "two".to_owned(), ..Entry::new("d") };
    world.iti42(&Message::new().entry(other)).await.fails("XDSPatientIdDoesNotMatch");
}

#[tokio::test]
async fn a_replacement_takes_the_addenda_and_the_folders_along() {
    let world = World::new().await;
    let (old, addendum, transform) = (Entry::new(&uuid()), Entry::new(&uuid()), Entry::new(&uuid()));
    let folder = Fold::new(&uuid());
    let first = Message::new().entry(old.clone()).folder(folder.clone()).put_in(&folder.id, &old.id);
    world.iti42(&first).await.succeeds();
    let appended = Message::new().entry(addendum.clone()).tie(tie(APPEND, &addendum.id, &old.id));
    world.iti42(&appended).await.succeeds();
    const TRANSFORM: &str = "urn:ihe:iti:2007:AssociationType:XFRM";
    let transformed =
        Message::new().entry(transform.clone()).tie(tie(TRANSFORM, &transform.id, &addendum.id));
    world.iti42(&transformed).await.succeeds();
    let new = Entry::new(&uuid());
    world.iti42(&Message::new().entry(new.clone()).tie(tie(REPLACE, &new.id, &old.id))).await.succeeds();
    for gone in [&old, &addendum, &transform] {
        assert_eq!(status(&world, gone).await, "superseded");
    }
    let list = world.resource("List", &folder.id).await.expect(200).body;
    let members: Vec<&str> =
        list["entry"].as_array().unwrap().iter().filter_map(|e| e["item"]["reference"].as_str()).collect();
    let reference = |entry: &Entry| format!("DocumentReference/{}", entry.id.trim_start_matches("urn:uuid:"));
    assert_eq!(members, [reference(&old), reference(&new)]);
    let late = Entry::new(&uuid());
    let again = Message::new().entry(late.clone()).tie(tie(REPLACE, &late.id, &old.id));
    world.iti42(&again).await.fails("XDSRegistryDeprecatedDocumentError");
    let nobody = Message::new().entry(late.clone()).tie(tie(REPLACE, &late.id, &uuid()));
    world.iti42(&nobody).await.fails("UnresolvedReferenceException");
    let on_a_transform = Message::new().entry(late.clone()).tie(tie(APPEND, &late.id, &late.id));
    world.iti42(&on_a_transform).await.fails("XDSRegistryMetadataError");
}

#[tokio::test]
async fn a_registered_folder_gains_a_document() {
    let world = World::new().await;
    let folder = Fold::new(&uuid());
    world.iti42(&Message::new().folder(folder.clone())).await.succeeds();
    let before = world.resource("List", &folder.id).await.expect(200).body;
    let entry = Entry::new(&uuid());
    let message = Message::new().entry(entry.clone()).put_in(&folder.id, &entry.id);
    world.iti42(&message).await.succeeds();
    let after = world.resource("List", &folder.id).await.expect(200).body;
    assert_eq!(after["entry"].as_array().map(Vec::len), Some(1));
    assert!(after["date"].as_str() > before["date"].as_str(), "lastUpdateTime");
    let other = Entry { patient: "two".to_owned(), ..Entry::new("d") };
    let strange =
        Message { patient: "two".to_owned(), ..Message::new() }.entry(other).put_in(&folder.id, "d");
    world.iti42(&strange).await.fails("XDSPatientIdDoesNotMatch");
}

#[tokio::test]
async fn an_on_demand_entry_has_no_bytes_yet_and_a_snapshot_has() {
    let world = World::new().await;
    let entry = Entry { on_demand: true, ..Entry::new(&uuid()) };
    world.iti61(&Message::new().entry(entry.clone())).await.succeeds();
    let resource = world.resource("DocumentReference", &entry.id).await.expect(200).body;
    assert_eq!(resource["content"][0]["attachment"]["hash"], Value::Null);
    assert_eq!(resource["content"][0]["attachment"]["size"], Value::Null);
    world.iti61(&Message::new().entry(Entry { id: uuid(), ..entry.clone() })).await.succeeds();
    world
        .iti42(&Message::new().entry(Entry { on_demand: true, ..Entry::new("d") }))
        .await
        .fails("XDSRegistryMetadataError");
    world.iti61(&Message::new().entry(Entry::new("d"))).await.fails("XDSRegistryMetadataError");
    let stable = Entry::new(&uuid());
    world
        .iti42(&Message::new().entry(stable.clone()).tie(tie(SNAPSHOT, &stable.id, &entry.id)))
        .await
        .succeeds();
    assert_eq!(status(&world, &entry).await, "current");
}

#[tokio::test]
async fn an_update_makes_the_next_version_and_fhir_sees_one_document() {
    let world = World::new().await;
    let (entry, _) = registered(&world).await;
    let update = Message::new().update(next(&entry, "Second"), 1);
    world.iti57(&update).await.succeeds();
    let resource = world.resource("DocumentReference", &entry.id).await.expect(200).body;
    assert_eq!((title(&resource), &resource["status"]), ("Second", &Value::from("current")));
    world.iti57(&update).await.succeeds();
    let found = world.get("/fhir/DocumentReference?patient=Patient/p1").await.expect(200);
    assert_eq!(found.ids(), [entry.id.trim_start_matches("urn:uuid:")], "sent again, nothing is made again");
    world.iti57(&Message::new().update(next(&entry, "Late"), 1)).await.fails("XDSMetadataVersionError");
    let history = format!("/fhir/DocumentReference/{}/_history", entry.id.trim_start_matches("urn:uuid:"));
    assert_eq!(world.get(&history).await.expect(200).body["total"], 2);
}

#[tokio::test]
async fn an_update_over_fhir_and_one_over_xds_do_not_overwrite_each_other() {
    let world = World::new().await;
    let (entry, _) = registered(&world).await;
    let path = format!("/fhir/DocumentReference/{}", entry.id.trim_start_matches("urn:uuid:"));
    let mut resource = world.get(&path).await.expect(200).body;
    resource["description"] = "by FHIR".into();
    let put = |version: &str, resource: &Value| {
        world.request(reqwest::Method::PUT, &path).header("if-match", version.to_owned()).json(resource)
    };
    world.send(put("W/\"1\"", &resource)).await.expect(200);
    world.iti57(&Message::new().update(next(&entry, "Second"), 1)).await.fails("XDSMetadataVersionError");
    world.iti57(&Message::new().update(next(&entry, "Third"), 2)).await.succeeds();
    world.send(put("W/\"2\"", &resource)).await.expect(412);
    assert_eq!(title(&world.get(&path).await.expect(200).body), "Third");
}

#[tokio::test]
async fn what_an_update_may_not_do_is_told_with_its_code() {
    let world = World::new().await;
    let (entry, _) = registered(&world).await;
    let update = |entry: Entry| Message::new().update(entry, 1);
    let unknown = Entry { lid: Some(uuid()), ..next(&entry, "a") };
    world.iti57(&update(unknown)).await.fails("XDSMetadataVersionError");
    let renamed = Entry { unique_id: super::ebrim::bare_oid(), ..next(&entry, "a") };
    world.iti57(&update(renamed.clone())).await.fails("XDSMetadataUpdateError");
    world.iti92(&update(renamed)).await.fails("XDSMetadataIdentifierError");
    let elsewhere = Entry { repository: "1.2.3.5".to_owned(), ..next(&entry, "a") };
    world.iti92(&update(elsewhere.clone())).await.fails("UnmodifiableMetadataError");
    let moved = Entry { patient: "two".to_owned(), ..next(&entry, "a") };
    let moving = Message { patient: "two".to_owned(), ..Message::new() }.update(moved, 1);
    world.iti92(&moving).await.fails("XDSPatientIDReconciliationError");
    let original = Message::new().entry(Entry::new("d"));
    world.iti57(&original).await.fails("XDSMetadataUpdateError");
    world
        .iti92(&Message::new().status(&entry.id, "Approved", "Deprecated"))
        .await
        .fails("UnmodifiableMetadataError");
    let twice = update(next(&entry, "a")).update(next(&entry, "b"), 2);
    let told: Told = world.iti57(&twice).await;
    assert!(told.text.contains("Failure"), "{}", told.text);
    assert_eq!(title(&world.resource("DocumentReference", &entry.id).await.expect(200).body), "Letter");
    world.iti57(&update(elsewhere)).await.succeeds();
}

#[tokio::test]
async fn a_status_goes_both_ways_if_it_is_what_the_request_says() {
    let world = World::new().await;
    let (entry, _) = registered(&world).await;
    world.iti57(&Message::new().status(&entry.id, "Approved", "Deprecated")).await.succeeds();
    assert_eq!(status(&world, &entry).await, "superseded");
    world
        .iti57(&Message::new().status(&entry.id, "Approved", "Deprecated"))
        .await
        .fails("XDSMetadataUpdateError");
    world.iti57(&Message::new().update(next(&entry, "a"), 1)).await.fails("XDSMetadataUpdateError");
    world.iti92(&Message::new().update(next(&entry, "restricted"), 1)).await.succeeds();
    let resource = world.resource("DocumentReference", &entry.id).await.expect(200).body;
    assert_eq!((title(&resource), &resource["status"]), ("restricted", &Value::from("superseded")));
    // The newest version has an entryUUID of its own; the first one is no longer the newest.
    world
        .iti57(&Message::new().status(&entry.id, "Deprecated", "Approved"))
        .await
        .fails("XDSMetadataUpdateError");
}

#[tokio::test]
async fn an_association_is_submitted_and_deprecated_by_itself() {
    let world = World::new().await;
    let ((one, _), (two, _)) = (registered(&world).await, registered(&world).await);
    let appends = tie(APPEND, &one.id, &two.id);
    let message = Message::new();
    let asks = tie(SUBMIT, &message.set, &appends.id);
    world.iti57(&message.tie(appends.clone()).tie(asks)).await.succeeds();
    let relates = |resource: &Value| resource["relatesTo"].as_array().map_or(0, Vec::len);
    assert_eq!(relates(&world.resource("DocumentReference", &one.id).await.expect(200).body), 1);
    world.iti57(&Message::new().status(&appends.id, "Approved", "Deprecated")).await.succeeds();
    assert_eq!(relates(&world.resource("DocumentReference", &one.id).await.expect(200).body), 0);
    world.iti57(&Message::new().status(&appends.id, "Deprecated", "Approved")).await.succeeds();
    assert_eq!(relates(&world.resource("DocumentReference", &one.id).await.expect(200).body), 1);
}

#[tokio::test]
async fn documents_that_belong_together_move_to_another_patient_together() {
    let world = World::new().await;
    let (entry, addendum) = (Entry::new(&uuid()), Entry::new(&uuid()));
    world.iti42(&Message::new().entry(entry.clone())).await.succeeds();
    let appended = Message::new().entry(addendum.clone()).tie(tie(APPEND, &addendum.id, &entry.id));
    world.iti42(&appended).await.succeeds();
    let moved = |entry: &Entry| Entry { patient: "two".to_owned(), ..next(entry, "moved") };
    let to_two = || Message { patient: "two".to_owned(), ..Message::new() };
    world.iti57(&to_two().update(moved(&entry), 1)).await.fails("XDSPatientIDReconciliationError");
    world.iti57(&to_two().update(moved(&entry), 1).update(moved(&addendum), 1)).await.succeeds();
    for (patient, count) in [("p1", 0), ("p2", 2)] {
        let found =
            world.get(&format!("/fhir/DocumentReference?patient=Patient/{patient}")).await.expect(200);
        assert_eq!(found.ids().len(), count, "{patient}");
    }
    let resource = world.resource("DocumentReference", &addendum.id).await.expect(200).body;
    assert_eq!(resource["relatesTo"].as_array().map(Vec::len), Some(1), "they stay tied");
}

#[tokio::test]
async fn a_removal_is_whole_or_not_at_all() {
    let world = World::new().await;
    let (entry, message) = registered(&world).await;
    let member = message.ties[0].id.clone();
    world.iti62(&[&uuid()]).await.fails("UnresolvedReferenceException");
    world.iti62(&[&entry.id]).await.fails("ReferencesExistException");
    world.iti62(&[&entry.id, &member]).await.fails("XDSUnreferencedObjectException");
    world.resource("DocumentReference", &entry.id).await.expect(200);
    world.iti62(&[&entry.id, &member, &message.set]).await.succeeds();
    world.resource("DocumentReference", &entry.id).await.expect(410);
    world.resource("List", &message.set).await.expect(410);
    let found = world.get("/fhir/DocumentReference?patient=Patient/p1").await.expect(200);
    assert!(found.ids().is_empty());
    world.iti62(&[&entry.id]).await.fails("UnresolvedReferenceException");
}

#[tokio::test]
async fn an_association_leaves_without_its_objects() {
    let world = World::new().await;
    let (one, two) = (Entry::new(&uuid()), Entry::new(&uuid()));
    world.iti42(&Message::new().entry(one.clone())).await.succeeds();
    let appends = tie(APPEND, &two.id, &one.id);
    world.iti42(&Message::new().entry(two.clone()).tie(appends.clone())).await.succeeds();
    world.iti62(&[&appends.id]).await.succeeds();
    let resource = world.resource("DocumentReference", &two.id).await.expect(200).body;
    assert_eq!(resource["relatesTo"], Value::Null);
    let folder = Fold::new(&uuid());
    let message = Message::new().folder(folder.clone());
    let member = message.ties[0].id.clone();
    world.iti42(&message).await.succeeds();
    world.iti62(&[&folder.id, &member]).await.fails("XDSUnreferencedObjectException");
    world.iti62(&[&folder.id, &member, &message.set]).await.succeeds();
}

#[tokio::test]
async fn what_replaces_a_document_in_another_form_may_be_appended_to() {
    const TRANSFORM_REPLACE: &str = "urn:ihe:iti:2007:AssociationType:XFRM_RPLC";
    const TRANSFORM: &str = "urn:ihe:iti:2007:AssociationType:XFRM";
    let world = World::new().await;
    let (old, _) = registered(&world).await;
    let other_form = Entry::new(&uuid());
    let aside = Message::new().entry(other_form.clone()).tie(tie(TRANSFORM, &other_form.id, &old.id));
    world.iti42(&aside).await.succeeds();
    let addendum = Entry::new(&uuid());
    let append = |to: &Entry| Message::new().entry(addendum.clone()).tie(tie(APPEND, &addendum.id, &to.id));
    world.iti42(&append(&other_form)).await.fails("XDSRegistryMetadataError");
    let new = Entry::new(&uuid());
    let replaces = Message::new().entry(new.clone()).tie(tie(TRANSFORM_REPLACE, &new.id, &old.id));
    world.iti42(&replaces).await.succeeds();
    world.iti42(&append(&new)).await.succeeds();
}

const QUERY: &str = "urn:ihe:iti:2007:RegistryStoredQuery";

/// What GetDocuments answers for a uniqueId at this metadata level.
async fn by_unique_id(world: &World, unique_id: &str, level: u8) -> String {
    let slot = |name: &str, value: &str| {
        format!(
            "<rim:Slot name=\"{name}\"><rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList></rim:Slot>"
        )
    };
    let slots = slot("$XDSDocumentEntryUniqueId", &format!("('{unique_id}')"))
        + &slot("$MetadataLevel", &level.to_string());
    let body = format!(
        "<q:AdhocQueryRequest xmlns:q=\"urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0\" \
         xmlns:rim=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\">\
         <q:ResponseOption returnComposedObjects=\"true\" returnType=\"LeafClass\"/>\
         <rim:AdhocQuery id=\"urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4\">{slots}</rim:AdhocQuery></q:AdhocQueryRequest>"
    );
    world.soap(QUERY, &body).await.text
}

#[tokio::test]
async fn every_version_has_its_entry_uuid_and_all_have_one_logical_id() {
    let world = World::new().await;
    let (entry, _) = registered(&world).await;
    let second = next(&entry, "Second");
    world.iti57(&Message::new().update(second.clone(), 1)).await.succeeds();
    let newest = by_unique_id(&world, &entry.unique_id, 1).await;
    assert_eq!(newest.matches("<rim:ExtrinsicObject").count(), 1, "{newest}");
    assert!(
        newest.contains(&format!("id=\"{}\"", second.id)) && newest.contains("versionName=\"2\""),
        "{newest}"
    );
    let all = by_unique_id(&world, &entry.unique_id, 2).await;
    assert_eq!(all.matches("<rim:ExtrinsicObject").count(), 2, "{all}");
    assert_eq!(all.matches(&format!("lid=\"{}\"", entry.id)).count(), 2, "{all}");
    assert_eq!(all.matches("StatusType:Deprecated").count(), 1, "{all}");
    let third = next(&entry, "Third");
    world.iti57(&Message::new().update(Entry { id: "Document01".to_owned(), ..third }, 2)).await.succeeds();
    let late = Entry::new(&uuid());
    let replaces_the_second = Message::new().entry(late.clone()).tie(tie(REPLACE, &late.id, &second.id));
    world.iti42(&replaces_the_second).await.fails("XDSRegistryDeprecatedDocumentError");
    let replaces_the_first = Message::new().entry(late.clone()).tie(tie(REPLACE, &late.id, &entry.id));
    world.iti42(&replaces_the_first).await.fails("XDSRegistryDeprecatedDocumentError");
}

#[tokio::test]
async fn a_version_keeps_its_place_in_folders_unless_it_is_said_otherwise() {
    let world = World::new().await;
    let (entry, folder) = (Entry::new(&uuid()), Fold::new(&uuid()));
    let first = Message::new().entry(entry.clone()).folder(folder.clone()).put_in(&folder.id, &entry.id);
    world.iti42(&first).await.succeeds();
    let second = next(&entry, "Second");
    world.iti57(&Message::new().update(second.clone(), 1)).await.succeeds();
    let list = world.resource("List", &folder.id).await.expect(200).body;
    assert_eq!(list["entry"].as_array().map(Vec::len), Some(1), "one document, whatever its versions");
    let new = Entry::new(&uuid());
    world.iti42(&Message::new().entry(new.clone()).tie(tie(REPLACE, &new.id, &second.id))).await.succeeds();
    let list = world.resource("List", &folder.id).await.expect(200).body;
    assert_eq!(
        list["entry"].as_array().map(Vec::len),
        Some(2),
        "what replaces the newest version follows it"
    );
    let later =
        Fold { id: uuid(), lid: Some(folder.id.clone()), title: "Later".to_owned(), ..folder.clone() };
    let message = Message { folders: vec![later.clone()], ..Message::new() };
    let asks = tie(HAS_MEMBER, &message.set, &later.id)
        .saying("PreviousVersion", 1)
        .saying("AssociationPropagation", "no");
    world.iti57(&message.tie(asks)).await.succeeds();
    let list = world.resource("List", &folder.id).await.expect(200).body;
    assert_eq!((list["title"].as_str(), &list["entry"]), (Some("Later"), &Value::Null));
}
