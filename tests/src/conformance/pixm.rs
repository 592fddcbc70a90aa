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
        case!("ch-epr-fhir/PatientPIXmFeed", swiss_feed),
        case!("pixm/resolve-duplicate", resolve_duplicate),
        case!("pixm/patient-without-identifier", without_identifier),
        case!("pixm/undo-merge", undo_merge),
        case!("pixm/remove-patient", remove_patient),
        case!("pixm/one-source-of-a-domain", one_source_of_a_domain),
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

/// The Swiss feed, in XML, and the Swiss question about its patient.
async fn swiss_feed(world: &World) -> Result<()> {
    let data = world.data.as_ref().context("the data folder is known")?.join("corpus/ch-epr-fhir");
    let patient = std::fs::read_to_string(data.join("PatientPIXmFeed.xml")).context("reading the feed")?;
    let path = format!("Patient?identifier={}", encode("urn:oid:2.999.1.2.3.4|8734"));
    let request = world.wire.request(reqwest::Method::PUT, &world.url(Actor::Identity, &path));
    let answer = world.wire.send(request.header("Content-Type", crate::wire::FHIR_XML).body(patient)).await?;
    ensure!([200, 201].contains(&answer.status), "the feed answers {}: {}", answer.status, answer.excerpt());
    let mut question = read(&data.join("ParametersPIXmInput.json"))?;
    question["parameter"][0]["valueString"] = Value::from("urn:oid:2.999.1.2.3.4|8734");
    // Of the two domains it asks for, nobody has told of the first.
    if let Some(parameters) = question["parameter"].as_array_mut() {
        parameters.remove(1);
    }
    let url = world.url(Actor::Identity, "Patient/$ihe-pix");
    let told = world.wire.post(&url, &question).await?.expect(200)?.to_string();
    ensure!(told.contains("761337610000000002"), "the national identifier is told: {told}");
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

/// Undoing a merge is not defined by PIXm: it takes a feed that says so.
async fn undo_merge(world: &World) -> Result<()> {
    resolve_duplicate(world).await?;
    let merged = example(world, "pixm", "Patient-Patient-MohrMaidenResolvedByMohrMalice-Red.json")?;
    let mut silent = merged.clone();
    if let Some(members) = silent.as_object_mut() {
        members.remove("link");
        members.remove("active");
    }
    feed(world, &silent, RED, "IHERED-m94").await?.refused(&[409], &["conflict"])?;
    let mut active = silent;
    active["active"] = Value::from(true);
    let answer = feed(world, &active, RED, "IHERED-m94").await?;
    let stands = answer.expect(200)?;
    ensure!(stands["active"] == true && stands["link"].is_null(), "the merge is undone: {stands}");
    let query = format!("Patient/$ihe-pix?sourceIdentifier={RED}%7CIHERED-m94");
    world.wire.get(&world.url(Actor::Identity, &query)).await?.expect(200)?;
    Ok(())
}

/// Remove Patient option. The identifier of the example is that of the survivor; here it is the subsumed one's.
async fn remove_patient(world: &World) -> Result<()> {
    let system = &world.p1.system;
    let value = format!("gone-{}", testkit::oid());
    let person = world.fed(&testkit::patient(system, &value, "Fort", "Franziska")).await?;
    let url = world.url(Actor::Identity, &format!("Patient?identifier={}", person.token()));
    let answer = world.wire.send(world.wire.request(reqwest::Method::DELETE, &url)).await?;
    ensure!([200, 204].contains(&answer.status), "removing answers {}: {}", answer.status, answer.excerpt());
    let gone = world.wire.get(&person.reference).await?;
    ensure!(gone.status == 410, "the patient is gone, reading answers {}", gone.status);
    let pix = format!("Patient/$ihe-pix?sourceIdentifier={}", person.token());
    world.wire.get(&world.url(Actor::Identity, &pix)).await?.refused(&[404], &["not-found"])?;
    let history = world.wire.get(&format!("{}/_history", person.reference)).await?.expect(200)?;
    ensure!(history["entry"][0]["request"]["method"] == "DELETE", "the history says so: {history}");
    let again = world.wire.send(world.wire.request(reqwest::Method::DELETE, &url)).await?;
    ensure!([200, 204, 404].contains(&again.status), "again it answers {}", again.status);
    Ok(())
}

/// The blue source's own record of Alice does not overwrite what the red one says of her.
async fn one_source_of_a_domain(world: &World) -> Result<()> {
    let (red, blue) = (format!("r-{}", testkit::oid()), format!("b-{}", testkit::oid()));
    let mut of_red = testkit::patient(RED, &red, "Rotblau", "Rosa");
    of_red["identifier"] =
        serde_json::json!([{ "system": RED, "value": red }, { "system": BLUE, "value": blue }]);
    let known = feed(world, &of_red, RED, &red).await?.expect(201)?;
    let own = feed(world, &testkit::patient(BLUE, &blue, "Blau", "Berta"), BLUE, &blue).await?.expect(201)?;
    ensure!(known["id"] != own["id"], "each source has its own record");
    let reference = world.url(Actor::Identity, &format!("Patient/{}", text(&known["id"])));
    let stands = world.wire.get(&reference).await?.expect(200)?;
    ensure!(stands["name"][0]["family"] == "Rotblau", "what red said stands: {stands}");
    let query = format!("Patient/$ihe-pix?sourceIdentifier={RED}%7C{red}&targetSystem={BLUE}");
    let told = world.wire.get(&world.url(Actor::Identity, &query)).await?.expect(200)?.to_string();
    ensure!(told.contains(&blue), "the two are linked by the identifier red states: {told}");
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
