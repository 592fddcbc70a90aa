//! The registry put back from a backup, by the means operators have.

use std::path::Path;
use std::time::Duration;

use store::backup::Backup;
use store::restore::Restore;

use super::*;

fn registry_on(directory: &Path) -> Running {
    let store = Store::open(&Options::new(directory)).unwrap();
    let mut settings = registry::Settings::default();
    settings.identity.url = IDENTITY.to_owned();
    start_with::<Registry>(Setup {
        clock: actor::Clock::wall(store.last_instant()),
        store,
        ..Setup::new(settings)
    })
}

fn entry_of(answer: &PeerAnswer) -> String {
    let location = locations(answer).remove(1);
    location.split("/DocumentReference/").nth(1).unwrap().split('/').next().unwrap().to_owned()
}

/// What the registry tells of an entry, once it is there again.
async fn again(registry: &Running, entry: &str, status: &str) -> Value {
    let path = format!("/fhir/DocumentReference/{entry}");
    for _ in 0..200 {
        let answer = send(&registry.host, Method::GET, &path, "").await;
        if answer.status == 200 && json(&answer)["status"] == status {
            return json(&answer);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{entry} did not come back as {status}");
}

#[tokio::test]
async fn a_registry_put_back_from_a_backup_gets_back_what_it_has_lost_under_the_same_ids() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    // A repository that has met another registry refuses for the moment, until it has looked what this one has.
    let mut region = Region::around(
        registry_on(&place("first")),
        |settings, registry| settings.registry.url = format!("{registry}/fhir"),
        |settings, registry| settings.registry.url = format!("{}/fhir", registry.host),
    );

    let subject = format!("{IDENTITY}/Patient/{}", region.patient("r-1").await);
    let kept = region.provide(&Provide::new(&subject).bundle()).await;
    let (first, backup) = (place("first"), place("backup"));
    let taking = Backup { directory: &first, to: &backup, actor: "registry", version: "test", now: 1 };
    taking.take().unwrap();
    let bundle = Provide::new(&subject).only(Document::new("lost and replaced")).bundle();
    let lost = region.provide(&bundle).await;
    let replaced = entry_of(&lost);
    let new = Document::new("replaces it").relates_to("replaces", &format!("DocumentReference/{replaced}"));
    let replacing = region.provide(&Provide::new(&subject).only(new).superseding(&replaced).bundle()).await;
    let replacement = entry_of(&replacing);

    std::mem::replace(&mut region.registry.stop, Box::new(|| {}))();
    let second = place("second");
    let restore = Restore { from: &backup, directory: &second, mark: None, actor: "registry", force: false };
    assert_eq!(restore.make().unwrap().incarnation.number, 2);
    region.registry = registry_on(&second);
    region.settings.registry.url = format!("{}/fhir", region.registry.host);
    region.restart_repository();

    again(&region.registry, &entry_of(&kept), "current").await;
    again(&region.registry, &replacement, "current").await;
    let entry = again(&region.registry, &replaced, "superseded").await;
    assert_eq!(entry["meta"]["versionId"], "2");
    let url = entry["content"][0]["attachment"]["url"].as_str().unwrap().to_owned();
    let path = format!("/documents/{}", url.split("/documents/").nth(1).unwrap());
    let document = send(&region.repository.host, Method::GET, &path, "").await;
    assert_eq!((document.status, &document.body[..]), (200, &b"lost and replaced"[..]));
    let repeated = region.provide(&bundle).await;
    assert_eq!((repeated.status, &repeated.body), (200, &lost.body), "the answer is that of the first time");

    let compared = send(&region.repository.admin, Method::POST, "/reconcile?apply=false", "").await;
    let report = json(&compared);
    assert_eq!((compared.status, &report["clean"]), (200, &json!(true)), "{report}");
    assert_eq!((&report["counts"]["documents"], &report["counts"]["submissions"]), (&json!(3), &json!(3)));
}
