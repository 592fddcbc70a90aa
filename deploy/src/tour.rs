//! The proof that it works: a document found by its patient's number and fetched, byte for byte; then where everything is.

use comfy_table::{Table, presets};
use serde_json::Value;

use crate::Outcome;
use crate::plan::Plan;
use crate::samples::{self, Document, PATIENTS, SUBMISSIONS};
use crate::steps::Steps;
use crate::submission;
use crate::wire::{Wire, matches};

/// What was found on the way, for the lines to try.
pub(crate) struct Found {
    patient: &'static str,
    document_id: String,
    document_url: String,
}

/// Finds, fetches and compares every sample; answers one of them.
pub(crate) async fn walk(wire: &Wire, steps: &Steps) -> Outcome<Found> {
    let walking = async {
        let mut found = None;
        for sample in SUBMISSIONS {
            for document in sample.documents {
                let one = look(wire, sample.patient, document).await?;
                found = found.or(Some(one));
            }
        }
        found.ok_or_else(|| "there are no samples".to_owned())
    };
    steps.step("find every sample by its patient's number and fetch it byte for byte", walking).await
}

async fn look(wire: &Wire, patient: &'static str, document: &Document) -> Outcome<Found> {
    let name = document.name;
    let unique_id = submission::unique_id(name);
    let identifier = format!("{PATIENTS}|{patient}");
    let parameters = [("patient.identifier", identifier.as_str()), ("status", "current"), ("_count", "1000")];
    let searchset = wire.search(&wire.registry, "DocumentReference", &parameters).await?;
    let of_patient = matches(&searchset);
    let entry: &Value = of_patient
        .iter()
        .find(|entry| entry["masterIdentifier"]["value"] == unique_id.as_str())
        .ok_or_else(|| format!("{name} is not found under patient {patient}"))?;
    match samples::registered(wire, document).await?.len() {
        1 => {}
        times => return Err(format!("{name} is registered {times} times")),
    }
    let attachment = &entry["content"][0]["attachment"];
    let url = attachment["url"].as_str().ok_or_else(|| format!("{name} has no address"))?;
    let (bytes, media_type) = wire.retrieve(url).await?;
    if bytes != document.bytes {
        return Err(format!(
            "{name} came back with other bytes: {} instead of {}",
            bytes.len(),
            document.bytes.len()
        ));
    }
    if media_type.split(';').next().map(str::trim) != Some(document.content_type) {
        return Err(format!("{name} came back as {media_type} instead of {}", document.content_type));
    }
    let document_id = entry["id"].as_str().unwrap_or_default().to_owned();
    Ok(Found { patient, document_id, document_url: url.to_owned() })
}

/// What lives where, and lines to try.
pub(crate) fn table(plan: &Plan, found: Option<&Found>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["ACTOR", "FHIR BASE", "ADMIN", "DATA", "LOG"]);
    for actor in [&plan.registry, &plan.repository, &plan.identity] {
        let data = plan.dir.join(actor.name).display().to_string();
        table.add_row([
            actor.name.to_owned(),
            actor.base(),
            actor.admin(),
            data,
            plan.log(actor).display().to_string(),
        ]);
    }
    let table: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    let mut text =
        format!("\n{}\n\nPatients in HL7 v2 (MLLP, ITI-8): {}\n\nTo try:\n", table.join("\n"), plan.mllp());
    let mut line = |words: String| text.push_str(&format!("  {words}\n"));
    if let Some(found) = found {
        let (registry, identity, patient) = (plan.registry.base(), plan.identity.base(), found.patient);
        line(format!("curl -s '{identity}/Patient?identifier={PATIENTS}|{patient}&_pretty=true'"));
        line(format!(
            "curl -s '{registry}/DocumentReference?patient.identifier={PATIENTS}|{patient}&status=current&_pretty=true'"
        ));
        line(format!("curl -s '{registry}/DocumentReference/{}?_pretty=true'", found.document_id));
        line(format!("curl -s '{}'", found.document_url));
    }
    line(format!("curl -s '{}/metadata?_pretty=true'", plan.registry.base()));
    line(format!("curl -s '{}/readyz?verbose'", plan.registry.admin()));
    line(format!("export DOCSHARE_CONFIG='{}'", plan.cli_config().display()));
    line(format!("{} status", plan.docshare.display()));
    if let Some(found) = found {
        line(format!("{} doc list --patient '{PATIENTS}|{}'", plan.docshare.display(), found.patient));
        line(format!("{} doc get {} --out -", plan.docshare.display(), found.document_id));
    }
    text
}
