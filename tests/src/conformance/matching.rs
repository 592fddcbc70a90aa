//! Patient Demographics Match [ITI-119]: each case of 2:3.119.4.2, the examples of PDQm, and how a portal of the Swiss record asks.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::fill::read;
use super::world::{World, encode};
use super::{Case, case};
use crate::answer::Answer;
use crate::region::Actor;

/// One match.
#[derive(Debug)]
struct Told {
    patient: Value,
    score: Option<f64>,
    grade: String,
}

/// The extension that says how sure a match is.
const GRADE: &str = "http://hl7.org/fhir/StructureDefinition/match-grade";
/// Domains of the patients made here.
const HOSPITAL: &str = "urn:oid:2.25.27182818284.1";
const CLINIC: &str = "urn:oid:2.25.27182818284.2";

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("pdqm/match-one", one),
        case!("pdqm/match-several", several),
        case!("pdqm/match-only-certain", only_certain),
        case!("pdqm/match-only-certain-but-not-certain", not_certain),
        case!("pdqm/match-only-certain-but-ambiguous", ambiguous),
        case!("pdqm/match-count", count),
        case!("pdqm/match-none", none),
        case!("pdqm/match-deprecated", deprecated),
        case!("pdqm/match-problem", problem),
        case!("pdqm/match-with-warning", warning),
        case!("pdqm/match-xml", in_xml),
        case!("pdqm/match-hostile", hostile),
    ]
}

/// The examples.
pub(super) fn examples(data: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    if data.join("ihe").join("pdqm").join("examples").is_dir() {
        cases.push(case!("pdqm/match-examples", official));
    }
    if data.join("corpus").join("mobile-access-gateway").join("postman").is_dir() {
        cases.push(case!("pdqm/match-by-identifier-as-in-switzerland", swiss));
    }
    cases
}

/// A patient with names nobody else in the world of the cases has: the case's own word is in them.
fn person(system: &str, word: &str, number: usize, given: &str) -> Value {
    let born = born(word);
    json!({
        "resourceType": "Patient", "active": true,
        "identifier": [{ "system": system, "value": format!("{word}-{number}") }],
        "name": [{ "family": format!("{word}mair"), "given": [given] }],
        "gender": "female", "birthDate": born
    })
}

/// A day of birth for the people of one case, so that cases do not find those of others.
fn born(word: &str) -> String {
    let sum: u32 = word.bytes().map(u32::from).sum();
    format!("{}-{:02}-{:02}", 1921 + sum % 80, 1 + sum % 12, 2 + sum % 27)
}

/// The same as somebody knows it who does not have the identifier.
fn looked_for(word: &str, given: &str) -> Value {
    let mut patient = person(HOSPITAL, word, 0, given);
    patient.as_object_mut().map(|members| members.shift_remove("identifier"));
    patient
}

async fn feed(world: &World, patient: &Value) -> Result<()> {
    let text = |name: &str| patient["identifier"][0][name].as_str().unwrap_or_default().to_owned();
    let path = format!("Patient?identifier={}", encode(&format!("{}|{}", text("system"), text("value"))));
    let answer = world.wire.put(&world.url(Actor::Identity, &path), patient).await?;
    ensure!([200, 201].contains(&answer.status), "feeding answers {}: {}", answer.status, answer.excerpt());
    Ok(())
}

fn parameters(patient: &Value, more: &[Value]) -> Value {
    let mut parameter = vec![json!({ "name": "resource", "resource": patient })];
    parameter.extend(more.iter().cloned());
    json!({ "resourceType": "Parameters", "parameter": parameter })
}

fn certain() -> Value {
    json!({ "name": "onlyCertainMatches", "valueBoolean": true })
}

async fn ask(world: &World, body: &Value) -> Result<Answer> {
    world.wire.post(&world.url(Actor::Identity, "Patient/$match"), body).await
}

/// The matches of an answer, held to what every answer must be.
async fn matched(world: &World, body: &Value) -> Result<(Vec<Told>, Value)> {
    let bundle = ask(world, body).await?.expect(200)?;
    ensure!(bundle["resourceType"] == "Bundle" && bundle["type"] == "searchset", "a searchset: {bundle}");
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    for entry in entries {
        let kind = entry["resource"]["resourceType"].as_str().unwrap_or_default();
        ensure!(["Patient", "OperationOutcome"].contains(&kind), "only patients and outcomes: {entry}");
        ensure!(
            entry.get("request").is_none() && entry.get("response").is_none(),
            "no request, no response: {entry}"
        );
        let mode = if kind == "Patient" { "match" } else { "outcome" };
        ensure!(entry["search"]["mode"] == mode, "search.mode is {mode}: {entry}");
        let issues = entry["resource"]["issue"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_grave = |issue: &Value| issue["severity"] == "error" || issue["severity"] == "fatal";
        ensure!(!issues.iter().any(is_grave), "nothing is an error beside matches: {entry}");
    }
    let told: Vec<Told> =
        entries.iter().filter(|entry| entry["search"]["mode"] == "match").map(read_told).collect();
    for one in &told {
        ensure!(one.score.is_some_and(|score| (0.0..=1.0).contains(&score)), "a score from 0 to 1: {one:?}");
        let grades = ["certain", "probable", "possible", "certainly-not"];
        ensure!(grades.contains(&one.grade.as_str()), "a grade of the value set: {one:?}");
    }
    ensure!(told.is_sorted_by(|one, next| one.score >= next.score), "the most likely one first: {told:?}");
    Ok((told, bundle))
}

fn read_told(entry: &Value) -> Told {
    let extensions = entry["search"]["extension"].as_array().map(Vec::as_slice).unwrap_or_default();
    let grade = extensions.iter().find(|one| one["url"] == GRADE).and_then(|one| one["valueCode"].as_str());
    Told {
        patient: entry["resource"].clone(),
        score: entry["search"]["score"].as_f64(),
        grade: grade.unwrap_or_default().to_owned(),
    }
}

fn values(told: &[Told]) -> Vec<(&str, &str)> {
    told.iter()
        .map(|one| (one.patient["identifier"][0]["value"].as_str().unwrap_or_default(), one.grade.as_str()))
        .collect()
}

async fn one(world: &World) -> Result<()> {
    feed(world, &person(HOSPITAL, "Einz", 1, "Alice")).await?;
    for body in [looked_for("Einz", "Alice"), parameters(&looked_for("Einz", "Alice"), &[])] {
        let (told, _) = matched(world, &body).await?;
        ensure!(values(&told) == [("Einz-1", "certain")], "the bare Patient and Parameters: {told:?}");
    }
    Ok(())
}

async fn several(world: &World) -> Result<()> {
    feed(world, &person(HOSPITAL, "Vielf", 1, "Alica")).await?;
    feed(world, &person(HOSPITAL, "Vielf", 2, "Alice")).await?;
    let mut sister = person(HOSPITAL, "Vielf", 3, "Rosalinde");
    sister["birthDate"] = json!("1911-12-01");
    feed(world, &sister).await?;
    let (told, _) = matched(world, &looked_for("Vielf", "Alice")).await?;
    ensure!(values(&told) == [("Vielf-2", "certain"), ("Vielf-1", "probable")], "{told:?}");
    Ok(())
}

async fn only_certain(world: &World) -> Result<()> {
    feed(world, &person(HOSPITAL, "Gewiss", 1, "Alice")).await?;
    let (told, _) = matched(world, &parameters(&looked_for("Gewiss", "Alice"), &[certain()])).await?;
    ensure!(values(&told) == [("Gewiss-1", "certain")], "{told:?}");
    Ok(())
}

async fn not_certain(world: &World) -> Result<()> {
    feed(world, &person(HOSPITAL, "Zweifel", 1, "Alice")).await?;
    let (told, bundle) = matched(world, &parameters(&looked_for("Zweifel", "Alica"), &[certain()])).await?;
    ensure!(told.is_empty(), "a single match that is not certain is not told: {bundle}");
    Ok(())
}

async fn ambiguous(world: &World) -> Result<()> {
    feed(world, &person(HOSPITAL, "Doppel", 1, "Alice")).await?;
    feed(world, &person(HOSPITAL, "Doppel", 2, "Alice")).await?;
    let (told, bundle) = matched(world, &parameters(&looked_for("Doppel", "Alice"), &[certain()])).await?;
    ensure!(told.is_empty(), "two records nobody says are one person: {bundle}");
    Ok(())
}

async fn count(world: &World) -> Result<()> {
    for (number, given) in ["Alice", "Alica", "Alicia"].into_iter().enumerate() {
        feed(world, &person(HOSPITAL, "Zahl", number, given)).await?;
    }
    let most = |count: usize| json!({ "name": "count", "valueInteger": count });
    let (told, _) = matched(world, &parameters(&looked_for("Zahl", "Alice"), &[most(1)])).await?;
    ensure!(values(&told) == [("Zahl-0", "certain")], "the best one: {told:?}");
    let (told, _) = matched(world, &parameters(&looked_for("Zahl", "Alice"), &[most(50)])).await?;
    ensure!(told.len() == 3, "no more than there are: {told:?}");
    Ok(())
}

async fn none(world: &World) -> Result<()> {
    let (told, bundle) = matched(world, &looked_for("Niemandsl", "Philomena")).await?;
    ensure!(told.is_empty() && bundle["total"].as_u64().is_none_or(|total| total == 0), "{bundle}");
    Ok(())
}

async fn deprecated(world: &World) -> Result<()> {
    let mut gone = person(HOSPITAL, "Vergang", 1, "Alice");
    gone["active"] = json!(false);
    feed(world, &gone).await?;
    let (told, bundle) = matched(world, &looked_for("Vergang", "Alice")).await?;
    let marked = told.iter().all(|one| one.patient["active"] == false);
    ensure!(marked, "left out, or told as out of use: {bundle}");
    Ok(())
}

async fn problem(world: &World) -> Result<()> {
    for (words, body) in [
        ("nothing to match by", json!({ "resourceType": "Patient", "gender": "female" })),
        ("no resource", json!({ "resourceType": "Parameters", "parameter": [certain()] })),
        ("another resource", json!({ "resourceType": "Practitioner" })),
        ("two patients", {
            let mut twice = parameters(&looked_for("X", "Y"), &[]);
            let again = twice["parameter"][0].clone();
            twice["parameter"].as_array_mut().into_iter().for_each(|list| list.push(again.clone()));
            twice
        }),
        ("a count of nothing", {
            parameters(&looked_for("X", "Y"), &[json!({ "name": "count", "valueInteger": 0 })])
        }),
        ("no such parameter", {
            parameters(&looked_for("X", "Y"), &[json!({ "name": "fuzzy", "valueBoolean": true })])
        }),
        ("a date that is none", {
            let mut patient = looked_for("X", "Y");
            patient["birthDate"] = json!("1958-02-30");
            patient
        }),
        ("an unknown member", json!({ "resourceType": "Patient", "shoeSize": 44 })),
    ] {
        let answer = ask(world, &body).await?;
        answer.refused(&[400, 422], &[]).with_context(|| words.to_owned())?;
    }
    Ok(())
}

async fn warning(world: &World) -> Result<()> {
    feed(world, &person(HOSPITAL, "Warn", 1, "Alice")).await?;
    let (told, bundle) = matched(world, &parameters(&looked_for("Warn", "Alica"), &[certain()])).await?;
    let warned = bundle["entry"].as_array().into_iter().flatten().any(|entry| {
        entry["resource"]["issue"][0]["severity"] == "warning" && entry["search"]["mode"] == "outcome"
    });
    ensure!(
        told.is_empty() && warned,
        "what was left out is said in an outcome beside the matches: {bundle}"
    );
    Ok(())
}

async fn in_xml(world: &World) -> Result<()> {
    feed(world, &person(CLINIC, "Spitz", 1, "Alice")).await?;
    let body = format!(
        "<Parameters xmlns=\"http://hl7.org/fhir\"><parameter><name value=\"resource\"/><resource><Patient>\
                <name><family value=\"Spitzmair\"/><given value=\"Alice\"/></name><gender value=\"female\"/>\
                <birthDate value=\"{}\"/></Patient></resource></parameter></Parameters>",
        born("Spitz")
    );
    let request = world.wire.request(reqwest::Method::POST, &world.url(Actor::Identity, "Patient/$match"));
    let request = request
        .header("content-type", "application/fhir+xml")
        .header("accept", "application/fhir+xml")
        .body(body);
    let answer = world.wire.send(request).await?;
    let text = answer.excerpt();
    ensure!(answer.status == 200, "asked and answered in XML: {} {text}", answer.status);
    let whole = String::from_utf8_lossy(&answer.body).into_owned();
    for part in ["<score value=\"0.99", "match-grade", "<valueCode value=\"certain\"", "Spitz-1"] {
        ensure!(whole.contains(part), "{part} in {whole}");
    }
    Ok(())
}

async fn hostile(world: &World) -> Result<()> {
    for text in [
        "a".repeat(30_000),
        "(a+)+$".to_owned(),
        "👩‍👩‍👧".repeat(200),
        "'; DROP TABLE patient --".to_owned(),
        "%_*".to_owned(),
    ] {
        let body = looked_for(&text, &text);
        let begin = std::time::Instant::now();
        let answer = ask(world, &body).await?;
        ensure!([200, 400].contains(&answer.status), "{}: {}", answer.status, answer.excerpt());
        ensure!(begin.elapsed().as_secs_f64() < 1.0, "answered within a second");
    }
    Ok(())
}

async fn official(world: &World) -> Result<()> {
    let data = world.data.as_ref().context("the data folder is known")?;
    let example = |name: &str| read(&data.join("ihe").join("pdqm").join("examples").join(name));
    feed(world, &example("Patient-ex-patient.json")?).await?;
    for name in
        ["Parameters-ex-match-input-patient-only.json", "Parameters-ex-match-input-onlyCertainMatches.json"]
    {
        let (told, bundle) = matched(world, &example(name)?).await?;
        ensure!(values(&told) == [("8675309", "certain")], "{name}: {bundle}");
    }
    let (told, _) = matched(world, &example("Patient-ex-match-input-patient.json")?).await?;
    ensure!(values(&told) == [("8675309", "certain")], "the bare Patient: {told:?}");
    Ok(())
}

/// The collection asks by the national identifier alone, which the feed before it has told.
async fn swiss(world: &World) -> Result<()> {
    let data = world.data.as_ref().context("the data folder is known")?;
    let filled = |name: &str| -> Result<Value> {
        let path = data.join("corpus").join("mobile-access-gateway").join("postman").join(name);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let text = text.replace("{{eprSpid}}", "761337610469261945").replace("{{localPid}}", "match-swiss-1");
        let text = text.replace("{{conf-oid-local-assigning-patient-authority}}", "2.25.27182818284.3");
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    };
    let patient = filled("PIXm-ITI-104-Feed-localPID-incl-patient-demographics-for-match.json")?;
    feed(world, &patient).await?;
    let (told, bundle) = matched(world, &filled("PDQm-ITI-119-Match-by-identifier-EPR-SPID.json")?).await?;
    ensure!(values(&told) == [("761337610469261945", "certain")], "{bundle}");
    Ok(())
}
