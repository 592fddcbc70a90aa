//! The examples of the PMIR guide and the messages of other projects.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{response, send};
use crate::answer::Answer;
use crate::conformance::fill::read;
use crate::conformance::foreign::index;
use crate::conformance::world::{World, encode, text};
use crate::conformance::{Case, make, skip};
use crate::region::Actor;
use crate::wire::FHIR_XML;

/// What a message comes to.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// It is taken, and these identifiers are known then.
    Taken(&'static [(&'static str, &'static str)]),
    /// It is refused, and its place or reason told in these words.
    Refused(&'static str),
    /// It merges ONE into TWO, of whom its source was told under an id that is another one here.
    Merge,
}

/// The domain of the connectathon's samples.
const TIANI: &str = "urn:oid:1.3.6.1.4.1.21367.13.20.308";
const GOLD: &str = "urn:oid:1.3.6.1.4.1.21367.13.20.4000";
const GREEN: &str = "urn:oid:1.3.6.1.4.1.21367.13.20.2000";
const HERE: &str = "https://profiles.ihe.net/ITI/PMIR";
const OHIE: &str = "http://ohie.org/test/test";
/// The survivor of the sample, as its own manager had named it.
const SURVIVOR: &str = "371a3246-f77c-eb11-95e7-d067e54cbc0c";

const EXAMPLES: &[(&str, Expected)] = &[
    (
        "Bundle-ex-PMIRBundleCreate.json",
        Expected::Taken(&[(HERE, "Patient/ex-patient-create1"), (HERE, "Patient/ex-patient-create2")]),
    ),
    (
        "Bundle-ex-PMIRBundleUpdate.json",
        Expected::Taken(&[("http://example.com/fhir", "Patient/ex-patient-update")]),
    ),
    ("Bundle-ex-PMIRBundleDelete.json", Expected::Taken(&[])),
    ("Bundle-3594fe3c-31af-4695-b533-550e3bc0f1c9.json", Expected::Taken(&[(TIANI, "Mother")])),
    ("Bundle-30e285b5-a28c-444f-a898-a15159c82f38.json", Expected::Taken(&[(TIANI, "Child")])),
    ("Bundle-72681afa-2bee-4422-bdf7-d0363e113b65.json", Expected::Taken(&[(TIANI, "Child")])),
    ("Bundle-d97b9e33-4b48-4190-8622-0b4b5be9770d.json", Expected::Merge),
    // Responses of a manager: they answer, and are not sent.
    ("Bundle-08b38db4-13c1-48a3-ab50-80104d6dd66a.json", Expected::Refused("MessageHeader")),
    ("Bundle-22125985-cac7-4da9-9557-ef4e7ff97140.json", Expected::Refused("MessageHeader")),
    ("Bundle-d0bceb02-ddc1-4855-98a0-00bc364f24eb.json", Expected::Refused("MessageHeader")),
    // What a message holds, without the message.
    ("Bundle-ex-bundle-history-create.json", Expected::Refused("type message")),
    ("Bundle-ex-bundle-history-update.json", Expected::Refused("type message")),
    ("Bundle-ex-bundle-history-delete.json", Expected::Refused("type message")),
];

const EXAMPLES_XML: &[(&str, Expected)] = &[
    ("CATsample1-ITI-93-mother.xml", Expected::Taken(&[(TIANI, "Mother")])),
    ("CATsample2-ITI-93-mother.xml", Expected::Refused("MessageHeader")),
    ("CATsample3-ITI-93-baby.xml", Expected::Taken(&[(TIANI, "Child")])),
    ("CATsample4-ITI-93-baby.xml", Expected::Refused("MessageHeader")),
    ("CATsample5-ITI-93-RelatedPerson.xml", Expected::Refused("Bundle of type message")),
    ("CATsample6-ITI-93-updateBaby.xml", Expected::Taken(&[(TIANI, "Child")])),
    ("CATsample7-ITI-93-merge.xml", Expected::Merge),
    ("CATsample8-ITI-93-merge.xml", Expected::Refused("MessageHeader")),
];

const CORPUS: &[(&str, Expected)] = &[
    (
        "connectathon-artifacts/PMIR/001_PMIR-Bundle-POST-AlfaBravoCharlie-GOLD.xml",
        Expected::Taken(&[(GOLD, "IHE-GOLD-1"), (GOLD, "IHE-GOLD-2"), (GOLD, "IHE-GOLD-3")]),
    ),
    (
        "connectathon-artifacts/PMIR/003_Subsc-Bundle-PUT-Alfa-IDGreen.xml",
        Expected::Taken(&[(GOLD, "IHE-GOLD-1"), (GREEN, "IHE-GREEN-1")]),
    ),
    ("connectathon-artifacts/PMIR/012_Subsc-Bundle-PUT-Bravo-Given.xml", Expected::Taken(&[])),
    (
        "connectathon-artifacts/PMIR/014_Subsc-Bundle-PUT-Bravo-DOB.xml",
        Expected::Taken(&[(GREEN, "IHE-GREEN-2")]),
    ),
    (
        "connectathon-artifacts/PMIR/023_Subsc-Bundle-PUT-Charlie-IDGreen.xml",
        Expected::Taken(&[(GREEN, "IHE-GREEN-3")]),
    ),
    (
        "connectathon-artifacts/PMIR/999_PMIR-Bundle-POST-all-GOLD.xml",
        Expected::Taken(&[(GOLD, "IHE-GOLD-4"), (GOLD, "IHE-GOLD-25")]),
    ),
    // The patient stands where the Bundle of type history belongs, and its request has no URL.
    ("mobile-access-gateway/patientfeed.json", Expected::Refused("request.url")),
    ("openhie-cr/FHIR/OHIE-CR-01-10.json", Expected::Refused("identifier[0].system")),
    ("openhie-cr/FHIR/OHIE-CR-05-10.json", Expected::Taken(&[(OHIE, "FHR-4956")])),
    ("openhie-cr/FHIR/OHIE-CR-05-20.json", Expected::Taken(&[(OHIE, "FHR-4837"), (OHIE, "FHR-0844")])),
    // generalPractitioner repeats in FHIR, and is one there.
    ("openhie-cr/FHIR/OHIE-CR-07-10.json", Expected::Refused("generalPractitioner")),
];

pub(in crate::conformance) fn cases(data: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let guide = data.join("ihe").join("pmir");
    for (folder, list) in [("examples", EXAMPLES), ("examples-xml", EXAMPLES_XML)] {
        for (file, expected) in list {
            cases.push(case(format!("pmir/{file}"), guide.join(folder).join(file), *expected)?);
        }
    }
    for (file, expected) in CORPUS {
        cases.push(case((*file).to_owned(), data.join("corpus").join(file), *expected)?);
    }
    let path = data.join("corpus/openhie-cr/FHIR/OHIE-CR-07-10.json");
    cases.push(make("openhie-cr/FHIR/OHIE-CR-07-10-mended", move |world| {
        let path = path.clone();
        Box::pin(async move { mended(world, &path).await })
    }));
    for (file, _) in index(data, "openhie-cr/FHIR/OHIE-CR-03-")? {
        cases.push(make(&file, |_| {
            Box::pin(async {
                Err(skip(
                    "a region here learns new authorities; domain.strict is tested by the identity source",
                ))
            })
        }));
    }
    Ok(cases)
}

fn case(name: String, path: PathBuf, expected: Expected) -> Result<Case> {
    ensure!(path.is_file(), "{} is there", path.display());
    Ok(make(&name, move |world| {
        let path = path.clone();
        Box::pin(async move { judged(world, &path, expected).await })
    }))
}

/// Sends a file as it is.
async fn sent(world: &World, path: &Path, change: impl Fn(String) -> String) -> Result<Answer> {
    let content = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let content = change(content.trim_start_matches('\u{feff}').to_owned());
    let is_xml = path.extension().is_some_and(|ending| ending == "xml");
    let kind = if is_xml { FHIR_XML } else { crate::wire::FHIR_JSON };
    let url = world.url(Actor::Identity, "$process-message");
    world.wire.send(world.wire.request(Method::POST, &url).header("Content-Type", kind).body(content)).await
}

async fn judged(world: &World, path: &Path, expected: Expected) -> Result<()> {
    if !world.subject.is_own() {
        return Err(skip("which patients another server has already is not known"));
    }
    match expected {
        Expected::Taken(known) => {
            let answer = sent(world, path, |text| text).await?;
            ensure!(answer.status == 200, "the message is taken: {}", answer.excerpt());
            for (system, value) in known {
                ensure!(is_known(world, system, value).await?.is_some(), "{system}|{value} is known");
            }
        }
        Expected::Refused(words) => {
            let answer = sent(world, path, |text| text).await?;
            answer.refused(&[400, 422], &[])?;
            ensure!(
                String::from_utf8_lossy(&answer.body).contains(words),
                "{words:?} is told: {}",
                answer.excerpt()
            );
        }
        Expected::Merge => merge(world, path).await?,
    }
    Ok(())
}

async fn is_known(world: &World, system: &str, value: &str) -> Result<Option<Value>> {
    let token = encode(&format!("{system}|{value}"));
    Ok(world.search(Actor::Identity, &format!("Patient?identifier={token}")).await?.pop())
}

async fn merge(world: &World, path: &Path) -> Result<()> {
    let ready = async |value: &str| {
        let patient = testkit::patient(TIANI, value, "Merge", value);
        match is_known(world, TIANI, value).await? {
            Some(known) => Ok::<_, anyhow::Error>(text(&known["id"])),
            None => Ok(world.fed(&patient).await?.id),
        }
    };
    ready("ONE").await?;
    let two = ready("TWO").await?;
    let answer = sent(world, path, |text| text.replace(SURVIVOR, &two)).await?;
    ensure!(answer.status == 200, "the merge is taken: {}", answer.excerpt());
    let one = is_known(world, TIANI, "ONE").await?.context("ONE is known")?;
    ensure!(one["active"] == false, "ONE is merged away: {one}");
    ensure!(one["link"][0]["other"]["reference"] == format!("Patient/{two}"), "into TWO: {one}");
    Ok(())
}

/// The one message of the corpus that is no valid FHIR, with its two slips put right: everything in it is taken.
async fn mended(world: &World, path: &Path) -> Result<()> {
    let mut message = read(path)?;
    let entries = message["entry"][1]["resource"]["entry"].as_array_mut().context("it has entries")?;
    for entry in entries {
        // Two elements that repeat in FHIR are written there as one.
        let resource = entry["resource"].as_object_mut().context("an entry has a resource")?;
        let is_person = resource["resourceType"] == "RelatedPerson";
        for (name, one) in resource.iter_mut() {
            if one.is_object() && (name == "generalPractitioner" || (is_person && name == "name")) {
                *one = json!([one.take()]);
            }
        }
    }
    let answer = send(world, &message).await?;
    response(&answer, "1")?;
    let flynn = is_known(world, OHIE, "FHR-070").await?.context("the patient is known")?;
    let contained = flynn["contained"].as_array().context("what the patient names goes with it")?;
    let kinds: Vec<String> = contained.iter().map(|one| text(&one["resourceType"])).collect();
    for kind in ["Organization", "Practitioner", "RelatedPerson"] {
        ensure!(kinds.iter().any(|known| known == kind), "the {kind} is kept with the patient: {kinds:?}");
    }
    Ok(())
}
