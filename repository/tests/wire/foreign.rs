//! The repository before a registry of another make, which speaks XDS.b and gives no promises.

use repository::RegistryProtocol;
use store::Store;
use testkit::{Document, Provide};

use crate::world::xds::{self, AUTHORITY, Entry, Source};
use crate::world::{Fate, ForeignRegistry, Reply, World};

const REPOSITORY: &str = "1.2.40.0.34.99.1";

struct Between {
    world: World,
    registry: ForeignRegistry,
}

async fn between(change: impl FnOnce(&mut repository::Settings)) -> Between {
    let registry = ForeignRegistry::start().await;
    let url = registry.url.clone();
    let world = World::with(Store::memory(), |settings| {
        settings.registry.protocol = RegistryProtocol::XdsB;
        settings.registry.url = url;
        settings.registry.patient_authority = AUTHORITY.to_owned();
        settings.documents.repository_unique_id = REPOSITORY.to_owned();
        change(settings);
    })
    .await;
    world.identity.knows("p1", &format!("urn:oid:{AUTHORITY}"), "p-1");
    Between { world, registry }
}

impl Between {
    async fn provide(&self, source: &Source) -> Reply {
        let (content_type, body) = source.package();
        self.world.ask("POST", "/xds/repository", &[("content-type", &content_type)], body).await
    }

    async fn retrieve(&self, unique_id: &str) -> String {
        let (content_type, body) = xds::retrieve(REPOSITORY, &[unique_id]);
        let reply = self.world.ask("POST", "/xds/repository", &[("content-type", &content_type)], body).await;
        text(&reply)
    }
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(reply.bytes()).into_owned()
}

fn succeeded(reply: &Reply) {
    assert_eq!((reply.status, xds::status(&text(reply)).as_str()), (200, "Success"), "{reply:?}");
}

#[tokio::test]
async fn a_set_is_registered_by_iti_42_with_what_the_repository_adds() {
    let here = between(|_| {}).await;
    let entry = Entry::new("to be registered elsewhere");
    let source = Source::new(vec![entry.clone()]);
    succeeded(&here.provide(&source).await);
    let objects = here.registry.registered().remove(0);
    assert!(objects.contains(REPOSITORY) && objects.contains(&entry.sha1()), "{objects}");
    assert!(objects.contains(&format!("p-1^^^&amp;{AUTHORITY}&amp;ISO")), "{objects}");
    assert!(objects.contains("SubmissionSetStatus"), "{objects}");
    assert!(here.retrieve(&entry.unique_id).await.contains("to be registered elsewhere"));
    succeeded(&here.provide(&source).await);
    assert_eq!((here.registry.registered().len(), here.world.documents()), (1, 1));
}

#[tokio::test]
async fn a_bundle_is_registered_there_too_and_answered_with_what_is_known() {
    let here = between(|_| {}).await;
    let document = Document::new("by FHIR").unique_id("urn:oid:1.2.3.4.99");
    let reply = here.world.provide(&Provide::new(&here.world.patient()).only(document).bundle()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let locations = reply.locations();
    assert!(locations[0].starts_with("urn:uuid:") && locations[1].starts_with("urn:uuid:"), "{locations:?}");
    let objects = here.registry.registered().remove(0);
    // What the source is told is the id that was registered.
    assert!(objects.contains(&locations[1]), "{locations:?} {objects}");
    assert!(here.retrieve("1.2.3.4.99").await.contains("by FHIR"));
}

#[tokio::test]
async fn a_refusal_is_told_in_its_words_and_leaves_nothing() {
    let here = between(|_| {}).await;
    here.registry.then(&[Fate::Refuse("XDSUnknownPatientId")]);
    let reply = here.provide(&Source::new(vec![Entry::new("x")])).await;
    let told = text(&reply);
    assert_eq!(xds::attribute(&told, "errorCode").as_deref(), Some("XDSUnknownPatientId"), "{told}");
    assert!(told.contains("so says the registry"), "{told}");
    assert_eq!(here.world.documents(), 0);
}

#[tokio::test]
async fn a_lost_answer_is_asked_about_and_the_ids_stay_the_same() {
    let here = between(|_| {}).await;
    here.registry.then(&[Fate::CommitAndLose]);
    let source = Source::new(vec![Entry::new("committed, and the answer lost")]);
    succeeded(&here.provide(&source).await);
    let state = here.registry.state.lock().unwrap();
    assert!(
        state.arrived.len() > 1 && state.arrived.windows(2).all(|pair| pair[0] == pair[1]),
        "{:?}",
        state.arrived
    );
    drop(state);
    assert_eq!(here.world.documents(), 1);
}

#[tokio::test]
async fn what_is_not_known_is_told_as_such_and_settled_later() {
    let here = between(|_| {}).await;
    here.registry.then(&[Fate::CommitAndLose, Fate::Fault, Fate::Fault]);
    here.registry.state.lock().unwrap().silent = 10;
    let source = Source::new(vec![Entry::new("in doubt for a while")]);
    let reply = here.provide(&source).await;
    assert!(reply.status == 500 && text(&reply).contains("soap:Receiver"), "{reply:?}");
    let busy = here.retrieve(&source.documents[0].unique_id).await;
    assert_eq!(xds::attribute(&busy, "errorCode").as_deref(), Some("XDSRepositoryBusy"), "{busy}");
    here.registry.state.lock().unwrap().silent = 0;
    here.world.settle().await;
    assert!(here.retrieve(&source.documents[0].unique_id).await.contains("in doubt for a while"));
    succeeded(&here.provide(&source).await);
    assert_eq!(here.registry.registered().len(), 1);
}

/// What a reader is served where the registry says that the first document is.
async fn where_it_is_registered(here: &Between) -> Reply {
    let objects = here.registry.registered().remove(0);
    let (_, slot) = objects.split_once("\"URI\"").expect("an address is registered");
    let url = slot.split_once("<rim:Value>").unwrap().1.split_once('<').unwrap().0;
    let path = &url[url.find("/documents/").expect("the address is here")..];
    here.world.ask("GET", path, &[], Vec::new()).await
}

#[tokio::test]
async fn sent_again_while_in_doubt_the_attempt_that_is_registered_is_kept() {
    let here = between(|_| {}).await;
    here.registry.then(&[Fate::CommitAndLose, Fate::Fault, Fate::Fault]);
    here.registry.state.lock().unwrap().silent = 10;
    let source = Source::new(vec![Entry::new("the bytes of the first attempt")]);
    assert_eq!(here.provide(&source).await.status, 500);
    here.registry.state.lock().unwrap().silent = 0;
    succeeded(&here.provide(&source).await);
    here.world.settle().await;
    assert_eq!(here.world.documents(), 1);
    let served = where_it_is_registered(&here).await;
    assert_eq!(text(&served), "the bytes of the first attempt", "{served:?}");
}

#[tokio::test]
async fn a_registry_that_answers_a_repetition_with_success_is_asked_which_attempt_it_has() {
    let here = between(|_| {}).await;
    here.registry.state.lock().unwrap().forgiving = true;
    here.registry.then(&[Fate::CommitAndLose, Fate::Fault, Fate::Fault]);
    here.registry.state.lock().unwrap().silent = 10;
    let source = Source::new(vec![Entry::new("registered by the first attempt")]);
    assert_eq!(here.provide(&source).await.status, 500);
    here.registry.state.lock().unwrap().silent = 0;
    succeeded(&here.provide(&source).await);
    here.world.settle().await;
    assert_eq!(here.world.documents(), 1);
    let served = where_it_is_registered(&here).await;
    assert_eq!(text(&served), "registered by the first attempt", "{served:?}");
}

#[tokio::test]
async fn an_attempt_that_was_believed_absent_is_kept_when_a_later_one_is_settled() {
    let here = between(|settings| settings.registry.absent_after = 0).await;
    here.registry.then(&[Fate::Delay, Fate::Lose, Fate::Lose]);
    let source = Source::new(vec![Entry::new("registered after all")]);
    assert_eq!(here.provide(&source).await.status, 500);
    here.world.settle().await;
    here.registry.then(&[Fate::Fault, Fate::Fault, Fate::Fault]);
    assert_eq!(here.provide(&source).await.status, 500);
    here.registry.let_through();
    here.world.settle().await;
    assert_eq!(here.world.documents(), 1);
    let served = where_it_is_registered(&here).await;
    assert_eq!(text(&served), "registered after all", "{served:?}");
}

#[tokio::test]
async fn other_metadata_with_the_same_documents_is_not_taken_for_what_is_registered() {
    let here = between(|_| {}).await;
    here.registry.then(&[Fate::CommitAndLose, Fate::Fault, Fate::Fault]);
    here.registry.state.lock().unwrap().silent = 10;
    let source = Source::new(vec![Entry::new("one document")]);
    assert_eq!(here.provide(&source).await.status, 500);
    here.registry.state.lock().unwrap().silent = 0;
    let other = Source { title: "Something else".to_owned(), ..source.clone() };
    let told = text(&here.provide(&other).await);
    assert_eq!(
        xds::attribute(&told, "errorCode").as_deref(),
        Some("XDSDuplicateUniqueIdInRegistry"),
        "{told}"
    );
    succeeded(&here.provide(&source).await);
    let served = where_it_is_registered(&here).await;
    assert_eq!(text(&served), "one document", "{served:?}");
}

#[tokio::test]
async fn a_registry_that_does_not_know_a_set_is_not_believed_at_once() {
    let here = between(|_| {}).await;
    here.registry.then(&[Fate::Delay, Fate::Lose, Fate::Lose]);
    let source = Source::new(vec![Entry::new("late")]);
    let reply = here.provide(&source).await;
    assert_eq!(reply.status, 500, "{reply:?}");
    assert!(here.world.repository.settle_now().await.is_err(), "it stays in doubt");
    assert_eq!(here.world.documents(), 1);
    here.registry.let_through();
    here.world.settle().await;
    assert!(here.retrieve(&source.documents[0].unique_id).await.contains("late"));
}

#[tokio::test]
async fn what_was_believed_absent_is_found_again_when_the_registry_comes_to_know_it() {
    let here = between(|settings| settings.registry.absent_after = 0).await;
    here.registry.then(&[Fate::Delay, Fate::Lose, Fate::Lose]);
    let source = Source::new(vec![Entry::new("very late")]);
    assert_eq!(here.provide(&source).await.status, 500);
    here.world.settle().await;
    let unique_id = source.documents[0].unique_id.as_str();
    let gone = here.retrieve(unique_id).await;
    assert_eq!(xds::attribute(&gone, "errorCode").as_deref(), Some("XDSDocumentUniqueIdError"), "{gone}");
    assert_eq!(here.world.documents(), 1, "its bytes are kept all the same");
    here.registry.let_through();
    assert!(here.retrieve(unique_id).await.contains("very late"));
}

#[tokio::test]
async fn the_bytes_of_what_stays_absent_go_after_their_time() {
    let here = between(|settings| {
        settings.registry.absent_after = 0;
        settings.registry.keep_absent = 0;
    })
    .await;
    here.registry.then(&[Fate::Lose, Fate::Lose, Fate::Lose]);
    assert_eq!(here.provide(&Source::new(vec![Entry::new("never came")])).await.status, 500);
    here.world.settle().await;
    here.world.settle().await;
    assert_eq!(here.world.documents(), 0);
}

#[tokio::test]
async fn a_patient_without_an_id_of_that_authority_cannot_be_registered_there() {
    let here = between(|settings| settings.registry.patient_authority = "1.2.3.4.5.6".to_owned()).await;
    let reply = here.provide(&Source::new(vec![Entry::new("x")])).await;
    let told = text(&reply);
    assert_eq!(xds::attribute(&told, "errorCode").as_deref(), Some("XDSUnknownPatientId"), "{told}");
    assert!(told.contains("registry.patient_authority"), "{told}");
    assert!(here.registry.registered().is_empty());
}

#[tokio::test]
async fn a_patient_whom_only_that_registry_knows_is_its_business() {
    let here = between(|_| {}).await;
    let patient = format!("theirs^^^&amp;{AUTHORITY}&amp;ISO");
    let source = Source { patient: patient.clone(), ..Source::new(vec![Entry::new("for them to say")]) };
    succeeded(&here.provide(&source).await);
    assert!(here.registry.registered().remove(0).contains(&patient));
    assert!(here.retrieve(&source.documents[0].unique_id).await.contains("for them to say"));
}

#[tokio::test]
async fn a_registry_that_does_not_understand_or_is_busy_has_registered_nothing() {
    let here = between(|_| {}).await;
    here.registry.then(&[Fate::Refuse("XDSRegistryBusy")]);
    let source = Source::new(vec![Entry::new("again, then")]);
    let told = text(&here.provide(&source).await);
    assert_eq!(xds::attribute(&told, "errorCode").as_deref(), Some("XDSRegistryNotAvailable"), "{told}");
    assert_eq!(here.world.documents(), 0);
    succeeded(&here.provide(&source).await);
}

#[tokio::test]
async fn a_registry_that_is_down_is_told_as_not_available() {
    let here =
        between(|settings| settings.registry.url = "http://127.0.0.1:9/services/registry".to_owned()).await;
    let reply = here.provide(&Source::new(vec![Entry::new("x")])).await;
    let told = text(&reply);
    assert_eq!(xds::attribute(&told, "errorCode").as_deref(), Some("XDSRegistryNotAvailable"), "{told}");
    assert_eq!(here.world.documents(), 0);
}
