//! Our own registry told of patients as if it were of another make: by ITI-8 at its MLLP port, by ITI-44 at its SOAP endpoint.

use std::time::Duration;

use identity_source::{Protocol, Receiver};
use repository::RegistryProtocol;

use super::foreign::about;
use super::sets::{self, Entry};
use super::*;

fn authority() -> String {
    format!("AFFINITY&{}&ISO", DOMAIN.trim_start_matches("urn:oid:"))
}

/// A region whose registry knows patients only by this feed.
fn region(receiver: impl FnOnce(&Running) -> Receiver) -> Region {
    let mut registry = registry::Settings::default();
    registry.identity.authorities = vec![authority()];
    registry.mllp.listen = "127.0.0.1:0".to_owned();
    let speak = |settings: &mut repository::Settings, registry: &str| {
        settings.registry.protocol = RegistryProtocol::XdsB;
        settings.registry.url = format!("{registry}/xds/registry");
        settings.registry.public_url = format!("{registry}/fhir");
        settings.registry.patient_authority = DOMAIN.trim_start_matches("urn:oid:").to_owned();
    };
    Region::fed(speak, registry, |settings, registry| {
        let receiver = Receiver { domains: vec![authority()], ..receiver(registry) };
        settings.receivers = vec![receiver];
    })
}

fn by_iti_8() -> Region {
    region(|registry| {
        let (_, address) = registry.doors[0];
        Receiver { address: address.to_string(), ..Receiver::new("affinity", Protocol::Iti8) }
    })
}

fn by_iti_44() -> Region {
    region(|registry| Receiver {
        url: format!("{}/xds/registry", registry.host),
        sending_application: "1.2.3.1".to_owned(),
        receiving_application: "1.2.3.2".to_owned(),
        ..Receiver::new("affinity-v3", Protocol::Iti44)
    })
}

/// Feeds a Patient who must be taken.
async fn feed(region: &Region, value: &str, patient: &Value) {
    let path = format!("/fhir/Patient?identifier={DOMAIN}%7C{value}");
    let answer = send(&region.identity.host, Method::PUT, &path, &patient.to_string()).await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
}

/// Merges a patient into another one.
async fn merge(region: &Region, value: &str, into: &str) {
    let mut patient = testkit::patient(DOMAIN, value, "Huber", "Maria");
    patient["active"] = json!(false);
    let survivor = json!({ "identifier": { "system": DOMAIN, "value": into } });
    patient["link"] = json!([{ "type": "replaced-by", "other": survivor }]);
    feed(region, value, &patient).await;
}

/// Waits until the identity source has told everything.
async fn told(region: &Region) {
    let settings = PeerSettings { url: region.identity.admin.clone(), ..PeerSettings::default() };
    let admin = Peer::new("test", settings);
    for _ in 0..500 {
        let answer = admin.send(Method::GET, "/readyz?verbose", &[], Bytes::new()).await.unwrap();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if text.contains("knows every patient") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the registry was not told");
}

/// Documents that a search by this identifier finds.
async fn count(region: &Region, value: &str) -> usize {
    region.search(&format!("patient.identifier={DOMAIN}|{value}&status=current")).await.len()
}

/// What came of a submission: `Success`, or the code of its error.
async fn submitted(region: &Region, value: &str, text: &str) -> String {
    let told = region.provide_set(&about(value, Entry::new(text))).await;
    match sets::status(&told).as_str() {
        "Success" => "Success".to_owned(),
        _ => sets::attribute(&told, "errorCode").unwrap_or(told),
    }
}

async fn documents_follow_a_merge(region: Region) {
    assert_eq!(submitted(&region, "a", "too early").await, "XDSUnknownPatientId");
    region.patient("a").await;
    region.patient("b").await;
    told(&region).await;
    assert_eq!(submitted(&region, "a", "of a").await, "Success");
    assert_eq!(submitted(&region, "b", "of b").await, "Success");
    let mut revised = testkit::patient(DOMAIN, "a", "Huber", "Maria");
    revised["birthDate"] = json!("1999-12-31");
    feed(&region, "a", &revised).await;
    merge(&region, "b", "a").await;
    told(&region).await;
    assert_eq!(count(&region, "a").await, 2, "the survivor has the documents of both");
    assert_eq!(submitted(&region, "b", "too late").await, "XDSUnknownPatientId");
    assert_eq!(submitted(&region, "a", "still").await, "Success");

    region.patient("c").await;
    merge(&region, "a", "c").await;
    told(&region).await;
    assert_eq!(count(&region, "c").await, 3, "along the chain");
    assert_eq!(submitted(&region, "a", "too late").await, "XDSUnknownPatientId");

    // Telling everything again has no further effect.
    let settings = PeerSettings { url: region.identity.admin.clone(), ..PeerSettings::default() };
    let name = if region.registry_is_told_in_v3().await { "affinity-v3" } else { "affinity" };
    let admin = Peer::new("test", settings);
    let again =
        admin.send(Method::POST, &format!("/receivers/{name}/again"), &[], Bytes::new()).await.unwrap();
    assert_eq!(again.status, 200, "{again:?}");
    told(&region).await;
    assert_eq!(count(&region, "c").await, 3);
    assert_eq!(submitted(&region, "b", "too late").await, "XDSUnknownPatientId");
    assert_eq!(submitted(&region, "c", "of c").await, "Success");
}

impl Region {
    async fn registry_is_told_in_v3(&self) -> bool {
        let settings = PeerSettings { url: self.identity.admin.clone(), ..PeerSettings::default() };
        let answer = Peer::new("test", settings).send(Method::GET, "/receivers", &[], Bytes::new()).await;
        String::from_utf8_lossy(&answer.unwrap().body).contains("ITI-44")
    }
}

#[tokio::test]
async fn documents_follow_patients_told_by_iti_8() {
    documents_follow_a_merge(by_iti_8()).await;
}

#[tokio::test]
async fn documents_follow_patients_told_by_iti_44() {
    documents_follow_a_merge(by_iti_44()).await;
}
