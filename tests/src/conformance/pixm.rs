//! Official examples of PIXm and PDQm, and the searches seen in the kits.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::fill::read;
use super::world::{World, encode, text};
use super::{Case, case};
use crate::answer::Answer;
use crate::region::Actor;

const RED: &str = "urn:oid:1.3.6.1.4.1.21367.13.20.1000";
const BLUE: &str = "urn:oid:1.3.6.1.4.1.21367.13.20.3000";

pub(super) fn cases(data: &Path) -> Result<Vec<Case>> {
    ensure!(data.join("ihe").join("pixm").is_dir(), "the PIXm examples are there");
    Ok(vec![
        case!("pixm/feed-and-query", feed_and_query),
        case!("pixm/resolve-duplicate", resolve_duplicate),
        case!("pixm/patient-without-identifier", without_identifier),
        case!("pdqm/patient", demographics),
        case!("searches/as-seen-in-kits", searches),
    ])
}

fn example(world: &World, guide: &str, name: &str) -> Result<Value> {
    let data = world.data.as_ref().context("the data folder is known")?;
    read(&data.join("ihe").join(guide).join("examples").join(name))
}

/// Feeds an example patient under this identifier.
async fn feed(world: &World, patient: &Value, system: &str, value: &str) -> Result<Answer> {
    let path = format!("Patient?identifier={}", encode(&format!("{system}|{value}")));
    world.wire.put(&world.url(Actor::Identity, &path), patient).await
}

async fn feed_and_query(world: &World) -> Result<()> {
    let alice = example(world, "pixm", "Patient-Patient-MohrAlice.json")?;
    let answer = feed(world, &alice, RED, "IHERED-994").await?;
    ensure!(
        [200, 201].contains(&answer.status),
        "feeding Alice answers {}: {}",
        answer.status,
        answer.excerpt()
    );
    let again = feed(world, &alice, RED, "IHERED-994").await?;
    ensure!(again.status == 200, "the second feed is an update, got {}", again.status);
    let query = format!("Patient/$ihe-pix?sourceIdentifier={RED}%7CIHERED-994");
    let all = world.wire.get(&world.url(Actor::Identity, &query)).await?.expect(200)?.to_string();
    ensure!(all.contains("IHEBLUE-994") && all.contains("IHEGREEN-994"), "the other domains are told: {all}");
    ensure!(!all.contains("IHERED-994"), "the asked identifier is not: {all}");
    let blue = world.wire.get(&world.url(Actor::Identity, &format!("{query}&targetSystem={BLUE}"))).await?;
    let blue = blue.expect(200)?.to_string();
    ensure!(blue.contains("IHEBLUE-994") && !blue.contains("IHEGREEN-994"), "only the blue domain: {blue}");
    let input = example(world, "pixm", "Parameters-pixm-request-mohralice-red-all.json")?;
    let posted =
        world.wire.post(&world.url(Actor::Identity, "Patient/$ihe-pix"), &input).await?.expect(200)?;
    ensure!(posted.to_string().contains("IHEBLUE-994"), "POST answers as GET: {posted}");
    let found =
        world.search(Actor::Identity, "Patient?family=MOHR&given=ALICE&active=true&gender=female").await?;
    ensure!(!found.is_empty(), "Alice is found by name");
    Ok(())
}

async fn resolve_duplicate(world: &World) -> Result<()> {
    feed_and_query(world).await?;
    let merged = example(world, "pixm", "Patient-Patient-MohrMaidenResolvedByMohrMalice-Red.json")?;
    let mut before = merged.clone();
    before["active"] = Value::from(true);
    if let Some(members) = before.as_object_mut() {
        members.remove("link");
    }
    let fed = feed(world, &before, RED, "IHERED-m94").await?;
    ensure!([200, 201, 409, 422].contains(&fed.status), "feeding the maiden name answers {}", fed.status);
    let answer = feed(world, &merged, RED, "IHERED-m94").await?;
    ensure!([200, 201].contains(&answer.status), "the merge answers {}: {}", answer.status, answer.excerpt());
    let found = world.search(Actor::Identity, &format!("Patient?identifier={RED}%7CIHERED-m94")).await?;
    let read = found.first().context("the subsumed patient is still found")?;
    let away = read["active"] == false || text(&read["name"][0]["given"][0]) == "ALICE";
    ensure!(away, "it is inactive, or the surviving one answers: {read}");
    Ok(())
}

async fn without_identifier(world: &World) -> Result<()> {
    let patient = example(world, "pixm", "Patient-ex-patient.json")?;
    feed(world, &patient, RED, "nobody").await?.refused(&[400, 422], &[]).map(drop)
}

async fn demographics(world: &World) -> Result<()> {
    let patient = example(world, "pdqm", "Patient-ex-patient.json")?;
    let answer = feed(world, &patient, "http://example.org/exampleSystem", "8675309").await?;
    ensure!([200, 201].contains(&answer.status), "feeding answers {}: {}", answer.status, answer.excerpt());
    for query in [
        "family=Schnidt&given=Jingle",
        "name=Jack",
        "birthdate=1923-07-25&family=schmidt",
        "gender=other&family=Schmidt",
    ] {
        let found = world.search(Actor::Identity, &format!("Patient?{query}")).await?;
        let known = found.iter().any(|one| one["identifier"][0]["value"] == "8675309");
        ensure!(known, "{query} finds the patient");
    }
    Ok(())
}

async fn searches(world: &World) -> Result<()> {
    let seen = "Patient?family=MOHR&given=ALICE&active=true&gender=female";
    let seen = world.wire.get(&world.url(Actor::Identity, seen)).await?;
    ensure!(seen.expect(200)?["type"] == "searchset", "the search of the PDQm guide is answered");
    let paths = [
        "DocumentReference?patient=9876&status=current&type=http://loinc.org|1234-5",
        "List?patient=9876&code=submissionset&status=current&designationType=http://loinc.org|1234-5",
    ];
    for path in paths {
        let answer = world.wire.get(&world.url(Actor::Registry, path)).await?;
        ensure!(answer.matches()?.is_empty(), "{path} finds nothing");
        ensure!(answer.link("self")?.is_some(), "{path} has link self");
    }
    let forms = [
        (
            "DocumentReference/_search",
            vec![("patient", "9876"), ("status", "current"), ("type", "http://loinc.org|1234-5")],
        ),
        ("List/_search", vec![("patient", "9876"), ("code", "submissionset"), ("status", "current")]),
    ];
    for (path, form) in forms {
        let request =
            world.wire.request(reqwest::Method::POST, &world.url(Actor::Registry, path)).form(&form);
        ensure!(world.wire.send(request).await?.matches()?.is_empty(), "{path} finds nothing");
    }
    let designation = format!(
        "List?patient={}&code=submissionset&designationType=http://snomed.info/sct%7C225728007",
        encode(&world.p1.reference)
    );
    ensure!(
        !world.search(Actor::Registry, &designation).await?.is_empty(),
        "designationType finds P1's submission sets"
    );
    Ok(())
}
