//! Codes the affinity domain does not accept: refused before anybody is asked, and never in the way of an answer that is known.

use std::fs;

use actor::Actor;
use repository::{Domain, Enforced, Enforcing};
use testkit::Provide;

use crate::world::World;

const CODES: &str = r#"<Codes><CodeType name="formatCode">
    <Code code="urn:ihe:iti:xds-sd:text:2008" codingScheme="1.3.6.1.4.1.19376.1.2.3"/></CodeType></Codes>"#;

async fn world(folder: &std::path::Path, enforce: Enforced) -> World {
    let file = folder.join("codes.xml");
    fs::write(&file, CODES).unwrap();
    let enforce = Enforcing { default: enforce, ..Enforcing::default() };
    World::with(store::Store::memory(), |settings| {
        settings.domain = Domain { files: vec![file], enforce, ..Domain::default() };
    })
    .await
}

#[tokio::test]
async fn a_code_that_is_not_accepted_is_refused_before_the_registry_hears_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(folder.path(), Enforced::Reject).await;
    let mut bundle = Provide::new(&world.patient()).bundle();
    bundle["entry"][1]["resource"]["content"][0]["format"]["code"] = "urn:ihe:iti:xds-sd:txt:2008".into();
    let reply = world.provide(&bundle).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    let issue = &reply.json()["issue"][0];
    assert_eq!(issue["details"]["coding"][0]["code"], "XDSRepositoryMetadataError");
    assert_eq!(issue["expression"][0], "Bundle.entry[1].resource.content[0].format");
    assert_eq!((world.registry.state.lock().unwrap().arrived, world.documents()), (0, 0));
}

#[tokio::test]
async fn a_warning_stands_with_the_entry_it_is_about() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(folder.path(), Enforced::Warn).await;
    let mut bundle = Provide::new(&world.patient()).bundle();
    bundle["entry"][1]["resource"]["content"][0]["format"]["code"] = "urn:ihe:iti:xds-sd:txt:2008".into();
    let reply = world.provide(&bundle).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let outcome = &reply.json()["entry"][1]["response"]["outcome"];
    assert_eq!(outcome["issue"][0]["severity"], "warning", "{outcome}");
}

#[tokio::test]
async fn what_was_accepted_once_is_answered_as_it_was_then() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(folder.path(), Enforced::Reject).await;
    let bundle = Provide::new(&world.patient()).bundle();
    let first = world.provide(&bundle).await;
    assert_eq!(first.status, 200, "{first:?}");
    fs::write(folder.path().join("codes.xml"), CODES.replace(":text:", ":pdf:")).unwrap();
    assert_eq!(world.repository.reload().unwrap(), "codes changed: formatCode +1 -1");
    let again = world.provide(&bundle).await;
    assert_eq!((again.status, &again.body), (200, &first.body), "{again:?}");
}
