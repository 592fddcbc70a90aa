//! The repository before our own registry as if it were of another make: registered by ITI-42, asked by ITI-18.

use repository::RegistryProtocol;
use testkit::proxy::{Fault, Proxy};

use super::sets::{self, Entry, Source};
use super::*;

/// A set with this document, about the patient with this identifier.
pub(super) fn about(value: &str, entry: Entry) -> Source {
    let authority = DOMAIN.trim_start_matches("urn:oid:");
    Source { patient: format!("{value}^^^&amp;{authority}&amp;ISO"), ..Source::new(vec![entry]) }
}

/// A region whose repository speaks XDS.b to the registry.
fn region() -> Region {
    region_through(|registry| registry.to_owned())
}

/// The same, its registry reached by the host this says.
fn region_through(through: impl FnOnce(&str) -> String) -> Region {
    Region::speaking(|settings, registry| {
        settings.registry.protocol = RegistryProtocol::XdsB;
        settings.registry.url = format!("{}/xds/registry", through(registry));
        settings.registry.public_url = format!("{registry}/fhir");
        settings.registry.patient_authority = DOMAIN.trim_start_matches("urn:oid:").to_owned();
    })
}

#[tokio::test]
async fn what_is_provided_is_found_retrieved_and_replaced() {
    let region = region();
    region.patient("x-1").await;
    let source = about("x-1", Entry::new("first"));
    let told = region.provide_set(&source).await;
    assert_eq!(sets::status(&told), "Success", "{told}");
    let found = region.search(&format!("patient.identifier={DOMAIN}|x-1&status=current")).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["content"][0]["attachment"]["size"], 5);
    let told = region.retrieve_set(&[&source.documents[0].unique_id]).await;
    assert!(told.contains("first"), "{told}");
    let raw = get(found[0]["content"][0]["attachment"]["url"].as_str().unwrap()).await;
    assert_eq!((raw.status, &raw.body[..]), (200, &b"first"[..]), "a reader of FHIR follows the URI");

    let old = found[0]["id"].as_str().unwrap().to_owned();
    let relation = Some(("RPLC".to_owned(), old.clone()));
    let second = about("x-1", Entry { relation, ..Entry::new("second") });
    let told = region.provide_set(&second).await;
    assert_eq!(sets::status(&told), "Success", "{told}");
    let current = region.search(&format!("patient.identifier={DOMAIN}|x-1&status=current")).await;
    assert_eq!(current.len(), 1);
    let superseded = region.search(&format!("patient.identifier={DOMAIN}|x-1&status=superseded")).await;
    assert_eq!(superseded[0]["id"], old.as_str());

    // Of a document that is superseded already nothing is replaced, and nothing stays of the try.
    let relation = Some(("RPLC".to_owned(), old));
    let third = about("x-1", Entry { relation, ..Entry::new("third") });
    let told = region.provide_set(&third).await;
    assert_eq!(
        sets::attribute(&told, "errorCode").as_deref(),
        Some("XDSRegistryDeprecatedDocumentError"),
        "{told}"
    );
    assert_eq!(region.store.health().documents, 2);
}

#[tokio::test]
async fn a_bundle_is_registered_by_iti_42_and_found_as_it_was_sent() {
    let region = region();
    let id = region.patient("x-2").await;
    let bundle = Provide::new(&format!("{IDENTITY}/Patient/{id}")).bundle();
    let answer = region.provide(&bundle).await;
    let locations = locations(&answer);
    assert!(locations[1].starts_with(&region.registry.host), "{locations:?}");
    let found = region.search(&format!("patient={id}&status=current")).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(locations[1].contains(found[0]["id"].as_str().unwrap()), "{locations:?}");
    let sent = &bundle["entry"][1]["resource"];
    assert_eq!(found[0]["masterIdentifier"], sent["masterIdentifier"]);
    assert_eq!(found[0]["content"][0]["attachment"]["hash"], sent["content"][0]["attachment"]["hash"]);
    assert_eq!(found[0]["content"][0]["attachment"]["title"], sent["content"][0]["attachment"]["title"]);
    let again = region.provide(&bundle).await;
    assert_eq!((again.status, &again.body), (200, &answer.body));
    assert_eq!(region.store.health().documents, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_leave_one_submission_and_a_success_in_the_end() {
    // The proxy listens before its registry does: it learns where that is when the region has started.
    let proxy = std::cell::OnceCell::new();
    let region = {
        let listening = |registry: &str| {
            let target = registry.trim_start_matches("http://").parse().unwrap();
            let listened = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(Proxy::listen(target))
            });
            let host = listened.as_ref().unwrap().host();
            assert!(proxy.set(listened.unwrap()).is_ok());
            host
        };
        region_through(listening)
    };
    let proxy = proxy.get().unwrap();
    region.patient("x-4").await;
    // The registry has committed, and says so to nobody; the second try is told that the set is there already.
    proxy.inject("POST /xds/registry", Fault::DropAnswer);
    let source = about("x-4", Entry::new("answered once"));
    let told = region.provide_set(&source).await;
    assert_eq!(sets::status(&told), "Success", "{told}");
    assert_eq!(proxy.counts().get("drop-answer"), Some(&1));
    // No answer comes at all: nobody knows, and nothing is said that is not known.
    proxy.inject_times("POST /xds/registry", Fault::DropAnswer, 3);
    let second = about("x-4", Entry::new("in doubt"));
    let told = region.provide_set(&second).await;
    assert!(told.contains("soap:Receiver") && told.contains("send again with the same id"), "{told}");
    assert_eq!(region.store.health().documents, 2);
    let told = region.retrieve_set(&[&second.documents[0].unique_id]).await;
    assert!(told.contains("in doubt"), "whoever asks has it settled: {told}");
    let told = region.provide_set(&second).await;
    assert_eq!(sets::status(&told), "Success", "{told}");
    let found = region.search(&format!("patient.identifier={DOMAIN}|x-4&status=current")).await;
    assert_eq!((found.len(), region.store.health().documents), (2, 2));
    // Sent again before anybody has asked: the registry takes it for what it has, which is the attempt before.
    proxy.inject_times("POST /xds/registry", Fault::DropAnswer, 3);
    let third = about("x-4", Entry::new("sent twice"));
    let told = region.provide_set(&third).await;
    assert!(told.contains("soap:Receiver"), "{told}");
    let told = region.provide_set(&third).await;
    assert_eq!(sets::status(&told), "Success", "{told}");
    let found = region.search(&format!("patient.identifier={DOMAIN}|x-4&status=current")).await;
    assert_eq!((found.len(), region.store.health().documents), (3, 3));
    for document in &found {
        let url = document["content"][0]["attachment"]["url"].as_str().unwrap();
        assert_eq!(get(url).await.status, 200, "what is registered is where it says");
    }
}

#[tokio::test]
async fn a_registry_that_is_away_is_told_and_the_same_set_is_taken_when_it_is_back() {
    let region = Region::speaking(|settings, registry| {
        settings.registry.protocol = RegistryProtocol::XdsB;
        settings.registry.url = "http://127.0.0.1:9/xds/registry".to_owned();
        settings.registry.public_url = format!("{registry}/fhir");
        settings.registry.patient_authority = DOMAIN.trim_start_matches("urn:oid:").to_owned();
    });
    region.patient("x-3").await;
    let source = about("x-3", Entry::new("waits"));
    let told = region.provide_set(&source).await;
    assert_eq!(sets::attribute(&told, "errorCode").as_deref(), Some("XDSRegistryNotAvailable"), "{told}");
    assert_eq!(region.store.health().documents, 0);
}
