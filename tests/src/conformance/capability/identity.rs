//! What the identity source says of itself, held against the guides of patient identity and against what it answers.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{asked, list};
use crate::conformance::skip;
use crate::conformance::world::{World, text};
use crate::region::Actor;

/// What the guides of patient identity require of a manager and a supplier, and what they expect of servers in the statements of
/// clients. Modifiers (told as parameters of their own there), subscriptions, and search over all types, of which no transaction speaks, are told apart.
pub(super) async fn requirements(world: &World) -> Result<()> {
    let folder = world.data.as_ref().ok_or_else(|| skip("the definitions of the guides are not here"))?;
    for (guide, name, others) in [
        // Nothing is created without a condition: the feed has no POST.
        ("pixm", "IHE.PIXm.Manager", &["conditionalCreate"][..]),
        ("pixm", "IHE.PIXm.Consumer", &[]),
        ("pixm", "IHE.PIXm.Source", &[]),
        ("pdqm", "IHE.PDQm.PatientDemographicsSupplier", &["search-system", ":exact of"]),
        ("pdqm", "IHE.PDQm.PatientDemographicsSupplierMatch", &["search-system", ":exact of"]),
        (
            "pmir",
            "IHE.PMIR.PatientIdentityRegistry",
            &["ihe-pix on Patient", "Subscription", "search-system", "sender"],
        ),
        ("pmir", "IHE.PMIR.PatientIdentityConsumer", &[]),
    ] {
        let path =
            folder.join("ihe").join(guide).join(format!("definitions/CapabilityStatement-{name}.json"));
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let statement: Value = serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?;
        let outcome = asked(world, Actor::Identity, "implements", &statement).await?.expect(200)?;
        for issue in list(&outcome, "issue").iter().filter(|issue| issue["severity"] == "error") {
            let words = text(&issue["diagnostics"]);
            ensure!(
                others.iter().any(|other| words.contains(other)),
                "{name}: {words} at {}",
                issue["expression"]
            );
        }
    }
    Ok(())
}

/// The operations of the identity source that no guide defines are defined by the server itself, and all it says is routed.
pub(super) async fn operations(world: &World) -> Result<()> {
    let statement = world.wire.get(&world.url(Actor::Identity, "metadata")).await?.expect(200)?;
    let patient =
        list(&statement["rest"][0], "resource").iter().find(|one| one["type"] == "Patient").cloned();
    let patient = patient.context("there is Patient")?;
    for operation in ["ihe-pix", "match", "link", "unlink", "links", "duplicates"] {
        let found = list(&patient, "operation").iter().find(|one| one["name"] == operation).cloned();
        let definition = text(&found.with_context(|| format!("${operation} is told"))?["definition"]);
        if let Some((_, id)) = definition.split_once("docshare.example/fhir/") {
            let read = world.wire.get(&world.url(Actor::Identity, id)).await?.expect(200)?;
            ensure!(read["url"] == definition && read["code"] == operation, "{id} defines it: {read}");
        }
    }
    ensure!(patient["conditionalUpdate"] == true, "conditional update is told");
    ensure!(
        list(&statement["rest"][0], "operation").iter().any(|one| one["name"] == "process-message"),
        "messages are taken"
    );
    let message = &statement["messaging"][0]["supportedMessage"][0];
    let definition = "https://profiles.ihe.net/ITI/PMIR/MessageDefinition/IHE.PMIR.MessageDefinition";
    ensure!(message["mode"] == "receiver" && message["definition"] == definition, "which ones: {message}");
    Ok(())
}
