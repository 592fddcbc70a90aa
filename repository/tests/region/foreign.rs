//! The repository before our own registry as if it were of another make: registered by ITI-42, asked by ITI-18.

use repository::RegistryProtocol;

use super::sets::{self, Entry, Source};
use super::*;

/// A set with this document, about the patient with this identifier.
fn about(value: &str, entry: Entry) -> Source {
    let authority = DOMAIN.trim_start_matches("urn:oid:");
    Source { patient: format!("{value}^^^&amp;{authority}&amp;ISO"), ..Source::new(vec![entry]) }
}

/// A region whose repository speaks XDS.b to the registry.
fn region() -> Region {
    Region::speaking(|settings, registry| {
        settings.registry.protocol = RegistryProtocol::XdsB;
        settings.registry.url = format!("{registry}/xds/registry");
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
