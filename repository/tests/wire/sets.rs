//! Document sets by SOAP: provided [ITI-41], retrieved [ITI-43], removed [ITI-86], beside FHIR on the same ground.

use actor::Actor as _;
use store::Store;
use testkit::{Document, Provide};

use crate::world::xds::{self, AUTHORITY, Entry, Source};
use crate::world::{Reply, Step, World, outcome};

const REPOSITORY: &str = "1.2.40.0.34.99.1";

async fn world() -> World {
    let world = World::with(Store::memory(), |settings| {
        settings.documents.repository_unique_id = REPOSITORY.to_owned();
        settings.documents.home_community_id = "urn:oid:1.2.40.0.34.99".to_owned();
    })
    .await;
    world.identity.knows("p1", &format!("urn:oid:{AUTHORITY}"), "p-1");
    world
}

async fn ask(world: &World, (content_type, body): (String, Vec<u8>)) -> Reply {
    world.ask("POST", "/xds/repository", &[("content-type", &content_type)], body).await
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(reply.bytes()).into_owned()
}

/// The code of the first error of an answer.
fn code(reply: &Reply) -> String {
    xds::attribute(&text(reply), "errorCode").unwrap_or_default()
}

async fn provided(world: &World, source: &Source) {
    let reply = ask(world, source.package()).await;
    assert_eq!((reply.status, xds::status(&text(&reply)).as_str()), (200, "Success"), "{reply:?}");
}

#[tokio::test]
async fn a_set_that_was_provided_is_retrieved_as_it_came() {
    let world = world().await;
    let image: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let first = Entry { mime_type: "text/plain; charset=UTF-8".to_owned(), ..Entry::new("Hello World") };
    let second =
        Entry { id: "Document02".to_owned(), mime_type: "image/png".to_owned(), ..Entry::new(&image) };
    provided(&world, &Source::new(vec![first.clone(), second.clone()])).await;

    let reply = ask(&world, xds::retrieve(REPOSITORY, &[&second.unique_id, &first.unique_id])).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.header("content-type").unwrap().starts_with("multipart/related"), "{:?}", reply.headers);
    let told = text(&reply);
    assert_eq!(xds::status(&told), "Success");
    for (entry, bytes) in [(&first, &b"Hello World"[..]), (&second, &image)] {
        assert!(told.contains(&format!("mimeType>{}<", entry.mime_type)), "{told}");
        assert!(memchr::memmem::find(reply.bytes(), bytes).is_some(), "{}", entry.unique_id);
    }
    let order =
        [&second, &first].map(|entry| told.find(&format!("DocumentUniqueId>{}<", entry.unique_id)).unwrap());
    assert!(order[0] < order[1], "in the order of the request");
    assert!(told.contains(&format!("RepositoryUniqueId>{REPOSITORY}<")), "{told}");
}

#[tokio::test]
async fn what_came_by_one_door_goes_out_by_the_other() {
    let world = world().await;
    let source = Source::new(vec![Entry::new("by SOAP")]);
    provided(&world, &source).await;
    let url = world.registry.urls().remove(0);
    let path = url.split_once("/documents/").unwrap().1;
    let raw = world.get(&format!("/documents/{path}"), &[]).await;
    assert_eq!((raw.status, raw.bytes()), (200, &b"by SOAP"[..]));

    for unique_id in ["urn:oid:1.2.3.4.77", "urn:uuid:29946a9c-e77c-4c19-bc05-324d87605646"] {
        let document = Document::new("by FHIR").unique_id(unique_id);
        let reply = world.provide(&Provide::new(&world.patient()).only(document).bundle()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let asked = unique_id.replace("urn:oid:", "");
        let reply = ask(&world, xds::retrieve(REPOSITORY, &[&asked])).await;
        assert!(text(&reply).contains("by FHIR"), "{asked}: {reply:?}");
    }
}

#[tokio::test]
async fn some_of_a_set_are_retrieved_and_the_others_told_one_by_one() {
    let world = world().await;
    let entry = Entry::new("here");
    provided(&world, &Source::new(vec![entry.clone()])).await;
    let reply = ask(&world, xds::retrieve(REPOSITORY, &["1.2.3.999", &entry.unique_id])).await;
    let told = text(&reply);
    assert_eq!(xds::status(&told), "PartialSuccess", "{told}");
    assert!(told.contains("status=\"urn:ihe:iti:2007:ResponseStatusType:PartialSuccess\""), "{told}");
    assert_eq!(code(&reply), "XDSDocumentUniqueIdError");
    assert_eq!(xds::attribute(&told, "location").as_deref(), Some("1.2.3.999"));
    assert!(told.contains("here"));

    let none = ask(&world, xds::retrieve(REPOSITORY, &["1.2.3.999"])).await;
    assert_eq!(
        (xds::status(&text(&none)).as_str(), code(&none).as_str()),
        ("Failure", "XDSDocumentUniqueIdError")
    );
    let other = ask(&world, xds::retrieve("1.2.3", &[&entry.unique_id])).await;
    assert_eq!(
        (xds::status(&text(&other)).as_str(), code(&other).as_str()),
        ("Failure", "XDSUnknownRepositoryId")
    );
    assert!(text(&other).contains(REPOSITORY), "the answer says which repository this is");
}

#[tokio::test]
async fn a_community_is_said_again_and_a_foreign_one_is_not_served() {
    let world = world().await;
    let entry = Entry::new("here");
    provided(&world, &Source::new(vec![entry.clone()])).await;
    for (home, status) in [("urn:oid:1.2.40.0.34.99", "Success"), ("urn:oid:1.2.3", "Failure")] {
        let (content_type, body) = xds::retrieve(REPOSITORY, &[&entry.unique_id]);
        let named = format!("<xds:HomeCommunityId>{home}</xds:HomeCommunityId><xds:RepositoryUniqueId>");
        let body = String::from_utf8(body).unwrap().replace("<xds:RepositoryUniqueId>", &named);
        let reply = ask(&world, (content_type, body.into_bytes())).await;
        assert_eq!(xds::status(&text(&reply)), status, "{reply:?}");
        if status == "Success" {
            assert!(text(&reply).contains(&format!("HomeCommunityId>{home}<")));
        } else {
            assert_eq!(code(&reply), "XDSUnknownCommunity");
        }
    }
}

#[tokio::test]
async fn more_than_an_answer_may_have_is_refused_before_it_is_read() {
    let world = World::with(Store::memory(), |settings| {
        settings.documents.repository_unique_id = REPOSITORY.to_owned();
        settings.documents.retrieve_documents = 2;
        settings.documents.retrieve_bytes = 10;
    })
    .await;
    world.identity.knows("p1", &format!("urn:oid:{AUTHORITY}"), "p-1");
    let many = ask(&world, xds::retrieve(REPOSITORY, &["1.2.1", "1.2.2", "1.2.3"])).await;
    assert_eq!(code(&many), "XDSTooManyResults");
    assert!(text(&many).contains("documents.retrieve_documents"));
    let entry = Entry::new("eleven bytes");
    provided(&world, &Source::new(vec![entry.clone()])).await;
    let long = ask(&world, xds::retrieve(REPOSITORY, &[&entry.unique_id])).await;
    assert_eq!(code(&long), "XDSTooManyResults");
    assert!(text(&long).contains("documents.retrieve_bytes"));
}

#[tokio::test]
async fn what_is_declared_must_be_what_came() {
    let world = world().await;
    let entry = Entry::new("bytes");
    let wrong = [
        ("hash", Some(("da39a3ee5e6b4b0d3255bfef95601890afd80709".to_owned(), 5))),
        ("size", Some((entry.sha1(), 6))),
    ];
    for (what, declared) in wrong {
        let reply = ask(&world, Source::new(vec![Entry { declared, ..entry.clone() }]).package()).await;
        assert_eq!(
            (reply.status, code(&reply).as_str()),
            (200, "XDSRepositoryMetadataError"),
            "{what}: {reply:?}"
        );
    }
    assert_eq!((world.documents(), world.registry.urls().len()), (0, 0));
    let declared = Some((entry.sha1().to_uppercase(), 5));
    provided(&world, &Source::new(vec![Entry { declared, ..entry }])).await;
}

#[tokio::test]
async fn an_entry_without_document_and_a_document_without_entry_are_told_apart() {
    let world = world().await;
    let source = Source::new(vec![Entry::new("bytes")]);
    let (content_type, body) = source.package();
    let body = String::from_utf8(body).unwrap();
    let start = body.find("<xds:Document ").unwrap();
    let end = body.find("</xds:Document>").unwrap() + "</xds:Document>".len();
    let without = format!("{}{}", &body[..start], &body[end..]);
    let reply = ask(&world, (content_type.clone(), without.into_bytes())).await;
    assert_eq!(code(&reply), "XDSMissingDocument", "{reply:?}");
    let other = body.replace("<xds:Document id=\"Document01\"", "<xds:Document id=\"Document99\"");
    let reply = ask(&world, (content_type, other.into_bytes())).await;
    let told = text(&reply);
    assert!(told.contains("XDSMissingDocumentMetadata") && told.contains("Document99"), "{told}");
    assert_eq!(world.documents(), 0);
}

#[tokio::test]
async fn a_set_sent_again_is_one_submission_and_other_content_under_its_id_is_refused() {
    let world = world().await;
    let source = Source::new(vec![Entry::new("once")]);
    provided(&world, &source).await;
    provided(&world, &source).await;
    assert_eq!((world.documents(), world.registry.urls().len()), (1, 1));
    let other = Source { title: "Something else".to_owned(), ..source };
    let reply = ask(&world, other.package()).await;
    assert_eq!(code(&reply), "XDSDuplicateUniqueIdInRegistry", "{reply:?}");
    assert_eq!(world.documents(), 1);
}

#[tokio::test]
async fn the_registrys_refusal_is_the_answer_and_leaves_nothing() {
    let world = world().await;
    let refused = outcome("XDSRegistryDeprecatedDocumentError", "business-rule", "Bundle.entry[1].resource");
    world.registry.then(&[Step::Refuse(400, refused)]);
    let reply = ask(&world, Source::new(vec![Entry::new("x")]).package()).await;
    assert_eq!(
        (reply.status, code(&reply).as_str()),
        (200, "XDSRegistryDeprecatedDocumentError"),
        "{reply:?}"
    );
    assert!(text(&reply).contains("ResponseStatusType:Failure"));
    assert_eq!(world.documents(), 0);
}

#[tokio::test]
async fn a_lost_answer_is_a_fault_and_the_same_set_again_a_success() {
    let world = world().await;
    world.registry.then(&[Step::CommitAndLose, Step::CommitAndLose, Step::CommitAndLose]);
    let source = Source::new(vec![Entry::new("lost on its way")]);
    let reply = ask(&world, source.package()).await;
    assert_eq!(reply.status, 500, "{reply:?}");
    let told = text(&reply);
    assert!(told.contains("soap:Receiver") && told.contains("send again with the same id"), "{told}");
    // Whoever asks meanwhile is answered once it is settled.
    let retrieved = ask(&world, xds::retrieve(REPOSITORY, &[&source.documents[0].unique_id])).await;
    assert!(text(&retrieved).contains("lost on its way"), "{retrieved:?}");
    provided(&world, &source).await;
    assert_eq!(world.registry.urls().len(), 1);
}

#[tokio::test]
async fn an_unknown_patient_is_told_with_its_id() {
    let world = world().await;
    let patient = format!("nobody^^^&amp;{AUTHORITY}&amp;ISO");
    let reply = ask(&world, Source { patient, ..Source::new(vec![Entry::new("x")]) }.package()).await;
    let told = text(&reply);
    assert_eq!(code(&reply), "XDSUnknownPatientId", "{told}");
    let named = format!("nobody^^^&amp;{AUTHORITY}&amp;ISO");
    assert!(told.contains(&named) && told.contains("Nothing was stored."), "{told}");
    assert_eq!(world.documents(), 0);
}

#[tokio::test]
async fn a_target_that_is_nowhere_is_told_by_the_name_it_was_given() {
    let world = world().await;
    let (content_type, body) = Source::new(vec![Entry::new("bytes")]).package();
    let body = String::from_utf8(body).unwrap();
    let relation = "<rim:Association id=\"relation\" associationType=\"urn:ihe:iti:2007:AssociationType:APND\" \
                    sourceObject=\"Document01\" targetObject=\"nowhere\"/></rim:RegistryObjectList>";
    let body = body.replacen("</rim:RegistryObjectList>", relation, 1);
    let reply = ask(&world, (content_type, body.into_bytes())).await;
    assert_eq!(code(&reply), "UnresolvedReferenceException", "{reply:?}");
    let context = xds::attribute(&text(&reply), "codeContext").unwrap();
    assert!(context.starts_with("nowhere is neither"), "{context}");
}

#[tokio::test]
async fn a_part_that_no_document_names_is_not_lost_in_silence() {
    let world = world().await;
    let (content_type, body) = Source::new(vec![Entry::new("bytes")]).package();
    let body = String::from_utf8(body).unwrap();
    let at = body.rfind("\r\n--").unwrap();
    let boundary = body[at + 2..].trim_end().trim_end_matches("--");
    let extra =
        format!("\r\n{boundary}\r\nContent-Type: text/plain\r\nContent-ID: <nobody@tests>\r\n\r\nlost");
    let more = format!("{}{extra}{}", &body[..at], &body[at..]);
    let reply = ask(&world, (content_type.clone(), more.into_bytes())).await;
    assert_eq!(code(&reply), "XDSMissingDocumentMetadata", "{reply:?}");
    assert!(text(&reply).contains("1 part of the message is named by no Document"), "{reply:?}");
    let other = body.replacen("href=\"cid:", "href=\"cid:other-", 1);
    let reply = ask(&world, (content_type, other.into_bytes())).await;
    let told = text(&reply);
    assert_eq!(code(&reply), "XDSMissingDocument", "{told}");
    assert!(told.contains("the part of the message that its Document names"), "{told}");
    assert_eq!(world.documents(), 0);
}

#[tokio::test]
async fn a_removed_document_is_said_to_be_removed_and_its_submission_stays_known() {
    let world = world().await;
    let source = Source::new(vec![Entry::new("to be removed")]);
    provided(&world, &source).await;
    let unique_id = source.documents[0].unique_id.as_str();
    let path = world.registry.urls().remove(0).split_once("/documents/").unwrap().1.to_owned();
    let partly = ask(&world, xds::remove(REPOSITORY, &[unique_id, "1.2.3.999"])).await;
    assert_eq!(xds::status(&text(&partly)), "PartialSuccess", "{partly:?}");
    assert_eq!(code(&partly), "XDSDocumentUniqueIdError");
    assert_eq!(world.documents(), 0);
    assert_eq!(world.get(&format!("/documents/{path}"), &[]).await.status, 410);
    let retrieved = ask(&world, xds::retrieve(REPOSITORY, &[unique_id])).await;
    assert_eq!(code(&retrieved), "XDSDocumentUniqueIdError");
    assert!(text(&retrieved).contains("removed"), "{retrieved:?}");
    let again = ask(&world, xds::remove(REPOSITORY, &[unique_id])).await;
    assert_eq!(
        (xds::status(&text(&again)).as_str(), code(&again).as_str()),
        ("Failure", "XDSDocumentUniqueIdError")
    );
    // The submission happened; its repetition is answered as the first time.
    provided(&world, &source).await;
    assert_eq!(world.documents(), 0);
    let elsewhere = ask(&world, xds::remove("1.2.3", &[unique_id])).await;
    assert_eq!(code(&elsewhere), "XDSUnknownRepositoryId");
}

#[tokio::test]
async fn two_entries_with_one_unique_id_are_one_document_to_a_consumer() {
    let world = world().await;
    let entry = Entry::new("the same bytes");
    provided(&world, &Source::new(vec![entry.clone()])).await;
    provided(&world, &Source::new(vec![entry.clone()])).await;
    assert_eq!(world.documents(), 2);
    let reply = ask(&world, xds::retrieve(REPOSITORY, &[&entry.unique_id])).await;
    assert_eq!(text(&reply).matches("the same bytes").count(), 1, "{reply:?}");
    let removed = ask(&world, xds::remove(REPOSITORY, &[&entry.unique_id])).await;
    assert_eq!(xds::status(&text(&removed)), "Success");
    assert_eq!(world.documents(), 0);
}

#[tokio::test]
async fn a_removed_document_is_no_loss_and_its_submission_comes_back_to_a_restored_registry() {
    let world = world().await;
    let source = Source::new(vec![Entry::new("removed on purpose")]);
    provided(&world, &source).await;
    let removed = ask(&world, xds::remove(REPOSITORY, &[&source.documents[0].unique_id])).await;
    assert_eq!(xds::status(&text(&removed)), "Success", "{removed:?}");
    let plan = world.repository.clone().reconcile(false).expect("a repository compares").await.unwrap();
    assert!(plan.is_clean(), "{plan:?}");
    world.registry.state.lock().unwrap().restore(0, "r;2");
    let report = world.repository.clone().reconcile(true).expect("a repository compares").await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(
        world.registry.urls().len(),
        1,
        "what is said of it was acknowledged, and is registered again"
    );
}

#[tokio::test]
async fn documents_of_two_patients_leave_a_record_for_each() {
    let world = world().await;
    world.identity.knows("p2", &format!("urn:oid:{AUTHORITY}"), "p-2");
    let (one, other) = (Entry::new("of one"), Entry::new("of the other"));
    provided(&world, &Source::new(vec![one.clone()])).await;
    let patient = format!("p-2^^^&amp;{AUTHORITY}&amp;ISO");
    provided(&world, &Source { patient, ..Source::new(vec![other.clone()]) }).await;
    let before = world.store.audited(0, usize::MAX).unwrap().len();
    let reply =
        ask(&world, xds::retrieve(REPOSITORY, &[&one.unique_id, &other.unique_id, "1.2.3.999"])).await;
    assert_eq!(xds::status(&text(&reply)), "PartialSuccess");
    let records = world.store.audited(0, usize::MAX).unwrap().split_off(before);
    let records: Vec<String> =
        records.iter().map(|line| String::from_utf8_lossy(&line.record).into_owned()).collect();
    assert_eq!(records.len(), 3, "{records:?}");
    for (record, about) in records.iter().zip(["p1", "p2", "unavailable/1.2.3.999"]) {
        assert!(record.contains("ITI-43") && record.contains(about), "{record}");
    }
}
