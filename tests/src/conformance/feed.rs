//! The patient identity source: feed, cross-references, demographics (ITI-104, 83, 78).

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use serde_json::json;
use testkit::oid;

use super::world::{World, encode, text};
use super::{Case, case};
use crate::answer::Answer;
use crate::region::Actor;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("identity-01", update_without_condition),
        case!("identity-02", condition_and_body_differ),
        case!("identity-03", merge_into_itself),
        case!("identity-04", fifty_concurrent_creates),
        case!("search-18", unknown_source_identifier),
        case!("search-19", unknown_source_domain),
        case!("search-20", unknown_target_domain),
        case!("identity-revise", revised_patient_keeps_its_id),
        case!("identity-search", patient_is_found_by_demographics),
        case!("identity-cross", cross_references_of_one_patient),
    ]
}

async fn update_without_condition(world: &World) -> Result<()> {
    let body = testkit::patient(&world.p1.system, &format!("new-{}", oid()), "Neu", "Nora");
    let answer = world.wire.put(&world.url(Actor::Identity, "Patient"), &body).await?;
    answer.refused(&[400, 405], &[])?;
    absent(world, &text(&body["identifier"][0]["value"])).await
}

async fn condition_and_body_differ(world: &World) -> Result<()> {
    let (one, two) = (format!("a-{}", oid()), format!("b-{}", oid()));
    let body = testkit::patient(&world.p1.system, &two, "Neu", "Nora");
    let path = format!("Patient?identifier={}", encode(&format!("{}|{one}", world.p1.system)));
    let answer = world.wire.put(&world.url(Actor::Identity, &path), &body).await?;
    answer.refused(&[400, 422], &["invalid", "value", "business-rule", "invariant", "required"])?;
    absent(world, &one).await?;
    absent(world, &two).await
}

async fn merge_into_itself(world: &World) -> Result<()> {
    let person = world.person("itself").await?;
    let body = testkit::merged_patient(&person.system, &person.value, &person.system, &person.value);
    let path = format!("Patient?identifier={}", person.token());
    let answer = world.wire.put(&world.url(Actor::Identity, &path), &body).await?;
    answer.refused(&[400, 422], &["invariant", "invalid", "business-rule"])?;
    let read = world.wire.get(&person.reference).await?.expect(200)?;
    ensure!(read["active"] == true && read["link"].is_null(), "the patient stays as it was");
    Ok(())
}

async fn fifty_concurrent_creates(world: &World) -> Result<()> {
    world.wire.tolerate(&[503]);
    let value = format!("many-{}", oid());
    let body = testkit::patient(&world.p1.system, &value, "Viele", "Vera");
    let path = format!("Patient?identifier={}", encode(&format!("{}|{value}", world.p1.system)));
    let url = world.url(Actor::Identity, &path);
    let answers = join_all((0..50).map(|_| world.wire.put(&url, &body))).await;
    let mut created = 0;
    for answer in answers {
        let answer = answer?;
        match answer.status {
            201 => created += 1,
            200 | 409 | 412 => {}
            503 => ensure!(answer.header("Retry-After").is_some(), "503 says when to come again"),
            other => anyhow::bail!("answered {other}: {}", answer.excerpt()),
        }
    }
    ensure!(created == 1, "exactly one create, {created} did");
    let found = world.search(Actor::Identity, &path).await?;
    ensure!(found.len() == 1, "one Patient, found {}", found.len());
    Ok(())
}

async fn pix(world: &World, query: &str) -> Result<Answer> {
    world.wire.get(&world.url(Actor::Identity, &format!("Patient/$ihe-pix?{query}"))).await
}

fn said(answer: &Answer, words: &str) -> Result<()> {
    let issues = answer.issues()?;
    let issue = &issues[0];
    ensure!(issue.diagnostics.contains(words), "diagnostics say {words:?}: {}", answer.excerpt());
    Ok(())
}

async fn unknown_source_identifier(world: &World) -> Result<()> {
    let token = encode(&format!("{}|nobody", world.p1.system));
    let answer = pix(world, &format!("sourceIdentifier={token}")).await?;
    answer.refused(&[404], &["not-found"])?;
    said(&answer, "sourceIdentifier Patient Identifier not found")
}

async fn unknown_source_domain(world: &World) -> Result<()> {
    let answer = pix(world, "sourceIdentifier=urn:oid:9.9%7Cx").await?;
    answer.refused(&[400], &["code-invalid"])?;
    said(&answer, "sourceIdentifier Assigning Authority not found")
}

async fn unknown_target_domain(world: &World) -> Result<()> {
    let answer =
        pix(world, &format!("sourceIdentifier={}&targetSystem=urn:oid:9.9", world.p1.token())).await?;
    answer.refused(&[403], &["code-invalid"])?;
    said(&answer, "targetSystem not found")
}

async fn revised_patient_keeps_its_id(world: &World) -> Result<()> {
    let person = world.person("revised").await?;
    let mut body = testkit::patient(&person.system, &person.value, "Umbenannt", "Uta");
    body["address"][0]["city"] = json!("Linz");
    let again = world.fed(&body).await?;
    ensure!(again.id == person.id, "the id stays");
    let read = world.wire.get(&person.reference).await?.expect(200)?;
    ensure!(read["name"][0]["family"] == "Umbenannt", "the new name is read");
    let old = format!("{}/_history/1", person.reference);
    ensure!(
        world.wire.get(&old).await?.expect(200)?["name"][0]["family"] == "Quidproquo",
        "the old version is read"
    );
    Ok(())
}

async fn patient_is_found_by_demographics(world: &World) -> Result<()> {
    let family = format!("Zq{}", oid().chars().rev().take(12).collect::<String>());
    let value = format!("demo-{}", oid());
    let body = testkit::patient(&world.p1.system, &value, &family, "Änne");
    let person = world.fed(&body).await?;
    let yes = [
        format!("family={family}"),
        format!("family={}", family.to_lowercase()),
        format!("family={family}&given=anne"),
        format!("name={family}"),
        format!("family={family}&gender=female"),
        format!("family={family}&birthdate=1958-01-30"),
        format!("family={family}&birthdate=ge1958"),
        format!("family={family}&address=wien"),
        format!("family={family}&telecom={}", encode("+43 1 5550147")),
        format!("family={family}&active=true"),
        format!("_id={}", person.id),
        format!("identifier={}", person.token()),
    ];
    for query in yes {
        let found = world.search(Actor::Identity, &format!("Patient?{query}")).await?;
        ensure!(
            found.len() == 1 && text(&found[0]["id"]) == person.id,
            "{query} finds the patient, found {}",
            found.len()
        );
    }
    let no = ["given=Otto", "gender=male", "birthdate=1958-01-31", "address=graz", "active=false"];
    for condition in no {
        let found = world.search(Actor::Identity, &format!("Patient?family={family}&{condition}")).await?;
        ensure!(found.is_empty(), "{condition} excludes the patient");
    }
    Ok(())
}

async fn cross_references_of_one_patient(world: &World) -> Result<()> {
    let (one, two) = (format!("x-{}", oid()), format!("y-{}", oid()));
    let other = "urn:oid:2.25.314159265358979323846264338327950288";
    let mut body = testkit::patient(&world.p1.system, &one, "Zweifach", "Zoe");
    body["identifier"] =
        json!([{ "system": world.p1.system, "value": one }, { "system": other, "value": two }]);
    let person = world.fed(&body).await?;
    let all = pix(world, &format!("sourceIdentifier={}", person.token())).await?.expect(200)?;
    let named = |name: &str| -> Vec<serde_json::Value> {
        let parameters = all["parameter"].as_array().into_iter().flatten();
        parameters.filter(|one| one["name"] == name).cloned().collect()
    };
    let identifiers = named("targetIdentifier");
    ensure!(
        identifiers.iter().any(|one| one["valueIdentifier"]["value"] == two),
        "the other identifier is told: {all}"
    );
    ensure!(
        identifiers.iter().all(|other| other["valueIdentifier"]["value"] != one),
        "the asked identifier is not told"
    );
    let ids = named("targetId");
    ensure!(
        ids.iter().any(|id| text(&id["valueReference"]["reference"]).contains(&person.id)),
        "the Patient is told: {all}"
    );
    let restricted = format!("sourceIdentifier={}&targetSystem={}", person.token(), encode(other));
    let restricted = pix(world, &restricted).await?.expect(200)?.to_string();
    ensure!(restricted.contains(&two), "the asked domain is told: {restricted}");
    Ok(())
}

async fn absent(world: &World, value: &str) -> Result<()> {
    let query = format!("Patient?identifier={}", encode(&format!("{}|{value}", world.p1.system)));
    ensure!(world.search(Actor::Identity, &query).await?.is_empty(), "no such patient was stored");
    Ok(())
}
