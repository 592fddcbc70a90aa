//! Records of one person across domains: what $ihe-pix answers of them (ITI-83), and who may say so.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use testkit::oid;

use super::world::{World, encode, text};
use super::{Case, case};
use crate::region::Actor;

const RED: &str = "urn:oid:1.3.6.1.4.1.21367.13.20.1000";
const GREEN: &str = "urn:oid:1.3.6.1.4.1.21367.13.20.2000";
const BLUE: &str = "urn:oid:1.3.6.1.4.1.21367.13.20.3000";

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("identity-links-answer", answer_to_the_letter),
        case!("identity-links-by-feed", a_statement_links),
        case!("identity-links-by-match", a_certain_match_links),
        case!("identity-links-by-steward", a_steward_decides),
        case!("identity-links-merged", a_merged_identifier_is_not_answered),
        case!("identity-links-xml", an_answer_in_xml),
    ]
}

/// A record of somebody nobody else is like.
fn record(system: &str, value: &str) -> Value {
    let name: String = value.chars().rev().filter(char::is_ascii_alphanumeric).take(14).collect();
    testkit::patient(system, value, &format!("Q{name}"), &format!("X{name}"))
}

/// Feeds a record; answers its URL and its token.
async fn fed(world: &World, patient: &Value) -> Result<(String, String)> {
    let identifier = &patient["identifier"][0];
    let token = encode(&format!("{}|{}", text(&identifier["system"]), text(&identifier["value"])));
    let url = world.url(Actor::Identity, &format!("Patient?identifier={token}"));
    let answer = world.wire.put(&url, patient).await?;
    ensure!([200, 201].contains(&answer.status), "the feed answers {}: {}", answer.status, answer.excerpt());
    let id = text(&answer.json()?["id"]);
    Ok((world.url(Actor::Identity, &format!("Patient/{id}")), token))
}

/// Three records of one person, linked by a steward.
async fn three(world: &World) -> Result<[(String, String); 3]> {
    let number = oid();
    let red = fed(world, &record(RED, &format!("r{number}"))).await?;
    let green = fed(world, &record(GREEN, &format!("{number}g"))).await?;
    let blue = fed(world, &record(BLUE, &format!("b-{number}-b"))).await?;
    decide(world, &red.0, "link", &green.0).await?;
    decide(world, &green.0, "link", &blue.0).await?;
    Ok([red, green, blue])
}

async fn decide(world: &World, one: &str, verb: &str, other: &str) -> Result<Value> {
    let body = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "other", "valueReference": { "reference": other } },
        { "name": "reason", "valueString": "looked at both" },
    ]});
    world.wire.post(&format!("{one}/${verb}"), &body).await?.expect(200)
}

/// References and identifiers, in the order in which they are answered.
async fn names(world: &World, query: &str) -> Result<Vec<String>> {
    let url = world.url(Actor::Identity, &format!("Patient/$ihe-pix?sourceIdentifier={query}"));
    let answer = world.wire.get(&url).await?.expect(200)?;
    ensure!(answer["resourceType"] == "Parameters", "Parameters are answered: {answer}");
    let parameters = answer["parameter"].as_array().cloned().unwrap_or_default();
    parameters
        .iter()
        .map(|parameter| match parameter["name"].as_str() {
            Some("targetId") => Ok(text(&parameter["valueReference"]["reference"])),
            Some("targetIdentifier") => {
                let identifier = &parameter["valueIdentifier"];
                Ok(encode(&format!("{}|{}", text(&identifier["system"]), text(&identifier["value"]))))
            }
            other => bail!("a parameter is called {other:?}"),
        })
        .collect()
}

async fn becomes(world: &World, token: &str, expected: &[&str]) -> Result<()> {
    let mut found = Vec::new();
    for _ in 0..100 {
        found = names(world, token).await?;
        if found.len() == expected.len() && expected.iter().all(|name| found.iter().any(|is| is == name)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("{token} is cross-referenced with {found:?}, not with {expected:?}")
}

async fn answer_to_the_letter(world: &World) -> Result<()> {
    let [red, green, blue] = three(world).await?;
    let all = names(world, &red.1).await?;
    let others = [&green.0, &green.1, &blue.0, &blue.1];
    ensure!(all.len() == 4 && others.iter().all(|one| all.contains(one)), "the other domains: {all:?}");
    let one = names(world, &format!("{}&targetSystem={BLUE}", red.1)).await?;
    ensure!(one == [blue.0.clone(), blue.1.clone()], "the domain asked for: {one:?}");
    let two = names(world, &format!("{}&targetSystem={BLUE}&targetSystem={GREEN}", red.1)).await?;
    ensure!(two.len() == 4, "both domains asked for: {two:?}");
    let own = names(world, &format!("{}&targetSystem={RED}", red.1)).await?;
    ensure!(own.is_empty(), "the identifier asked by is not answered, and nothing is 200 and empty: {own:?}");
    let by_resource = encode(&red.0.replace("/Patient/", "|Patient/"));
    let by_resource = names(world, &by_resource).await?;
    ensure!(
        by_resource.contains(&red.1) && by_resource.contains(&blue.0) && !by_resource.contains(&red.0),
        "asked by resource: {by_resource:?}"
    );
    Ok(())
}

async fn a_statement_links(world: &World) -> Result<()> {
    let number = oid();
    let (r, b) = (format!("r{number}"), format!("b-{number}-b"));
    let red = fed(world, &record(RED, &r)).await?;
    let mut stating = record(BLUE, &b);
    if let Some(identifiers) = stating["identifier"].as_array_mut() {
        identifiers.push(json!({ "system": RED, "value": r }));
    }
    let blue = fed(world, &stating).await?;
    ensure!(red.0 != blue.0, "each source has a record of its own");
    let found = names(world, &red.1).await?;
    ensure!(found == [blue.0.clone(), blue.1.clone()], "linked when the feed is answered: {found:?}");
    fed(world, &record(BLUE, &b)).await?;
    let found = names(world, &red.1).await?;
    ensure!(found.is_empty(), "a statement that is taken back links nobody: {found:?}");
    Ok(())
}

async fn a_certain_match_links(world: &World) -> Result<()> {
    let number = oid();
    let like = |system: &str, value: String| {
        let mut patient = record(system, &format!("m{number}"));
        patient["identifier"] = json!([{ "system": system, "value": value }]);
        patient["birthDate"] = json!("1933-07-29");
        patient["address"] =
            json!([{ "line": [format!("Gasse {number}")], "city": "Hallein", "postalCode": "5400" }]);
        patient["telecom"] = json!([{ "system": "email", "value": format!("{number}@example.org") }]);
        patient
    };
    let red = fed(world, &like(RED, format!("r{number}"))).await?;
    let blue = fed(world, &like(BLUE, format!("b{number}"))).await?;
    becomes(world, &red.1, &[&blue.0, &blue.1]).await?;
    decide(world, &red.0, "unlink", &blue.0).await?;
    let mut moved = like(BLUE, format!("b{number}"));
    moved["address"][0]["city"] = json!("Salzburg");
    fed(world, &moved).await?;
    becomes(world, &red.1, &[]).await
}

async fn a_steward_decides(world: &World) -> Result<()> {
    let [red, green, _] = three(world).await?;
    let told = decide(world, &red.0, "unlink", &green.0).await?;
    let link = told["parameter"].as_array().and_then(|all| all.iter().find(|one| one["name"] == "link"));
    ensure!(link.is_some_and(|link| link.to_string().contains("apart")), "held apart: {told}");
    ensure!(names(world, &red.1).await?.is_empty(), "held apart is not answered");
    let links = world.wire.get(&format!("{}/$links", red.0)).await?.expect(200)?.to_string();
    ensure!(
        links.matches("\"decision\"").count() == 2 && links.contains("looked at both"),
        "every decision with its reason: {links}"
    );
    decide(world, &red.0, "link", &green.0).await?;
    ensure!(names(world, &red.1).await?.len() == 4, "a decision can be reversed");
    let other = format!("{}/$link", red.0);
    let nobody = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "other", "valueReference": { "reference": "Patient/nobody" } },
    ]});
    world.wire.post(&other, &nobody).await?.refused(&[400, 404, 422], &["not-found", "business-rule"])?;
    world
        .wire
        .post(&other, &json!({ "resourceType": "Parameters" }))
        .await?
        .refused(&[400], &["required"])?;
    world.wire.get(&world.url(Actor::Identity, "Patient/$duplicates")).await?.expect(200).map(drop)
}

async fn a_merged_identifier_is_not_answered(world: &World) -> Result<()> {
    let [red, green, blue] = three(world).await?;
    let married = record(RED, &format!("w-{}-w", oid()));
    let survivor = fed(world, &married).await?;
    let before = world.wire.get(&red.0).await?.expect(200)?;
    let maiden = text(&before["identifier"][0]["value"]);
    let merged = testkit::merged_patient(RED, &maiden, RED, &text(&married["identifier"][0]["value"]));
    let url = world.url(Actor::Identity, &format!("Patient?identifier={}", red.1));
    world.wire.put(&url, &merged).await?.expect(200)?;
    let found = names(world, &green.1).await?;
    ensure!(found.contains(&survivor.1) && !found.contains(&red.1), "the survivor stands for it: {found:?}");
    let found = names(world, &survivor.1).await?;
    ensure!(found.contains(&blue.1) && found.contains(&green.1), "and has its links: {found:?}");
    let url = world.url(Actor::Identity, &format!("Patient/$ihe-pix?sourceIdentifier={}", red.1));
    world.wire.get(&url).await?.refused(&[404], &["not-found"]).map(drop)
}

async fn an_answer_in_xml(world: &World) -> Result<()> {
    let [red, green, _] = three(world).await?;
    let url = format!("Patient/$ihe-pix?sourceIdentifier={}&_format=xml", red.1);
    let answer = world.wire.get(&world.url(Actor::Identity, &url)).await?;
    let written = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(answer.status == 200 && written.contains("<Parameters"), "XML is answered: {}", answer.excerpt());
    ensure!(written.contains(&format!("<reference value=\"{}\"", green.0)), "with the others: {written}");
    Ok(())
}
