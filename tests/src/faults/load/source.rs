//! A source: makes submissions, sends each until it is told something definite, and writes down what it was told.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::recipe::{Ready, Recipe};
use super::{Load, http};
use crate::faults::content;
use crate::faults::history::{Kind, Submit, Told, What};
use crate::outcome;
use testkit::Dice;

/// How long a source waits for one answer.
const ANSWER: Duration = Duration::from_secs(25);
/// How long nothing may stay without a definite answer, from when there are no faults any more.
const PATIENCE: Duration = Duration::from_secs(90);

/// Tells requests apart, and their answers.
const ID: &str = "X-Request-Id";

/// Submits until the load ends.
pub(super) async fn run(load: &Load, client: u32, mut dice: Dice) -> Result<()> {
    let wire = http(ANSWER)?;
    while !load.stopped() {
        let Some(recipe) = draw(load, &mut dice) else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        // Some go away in the middle and never come back.
        if dice.per_mille(15) {
            let patience = Duration::from_millis(dice.between(1, 80));
            let ready = prepare(load, &recipe);
            once(load, &wire, client, &ready, Some(patience)).await?;
            continue;
        }
        submit(load, &wire, client, &recipe, &mut dice).await?;
    }
    Ok(())
}

/// What to submit next.
fn draw(load: &Load, dice: &mut Dice) -> Option<Recipe> {
    let single = |load: &Load, dice: &mut Dice, documents: u64| {
        let sizes = (0..documents).map(|_| content::size(dice)).collect();
        let (patient, folder) = (load.patient(dice)?, dice.per_mille(80));
        Some(Recipe { number: load.number(), variant: 0, patient, sizes, replaces: None, folder })
    };
    match dice.below(100) {
        0..55 => single(load, dice, 1),
        55..72 => {
            let documents = dice.between(2, 6);
            single(load, dice, documents)
        }
        72..88 => {
            let (target, patient) = load.target(dice)?;
            let mut recipe = single(load, dice, 1)?;
            recipe.patient = patient;
            recipe.replaces = Some(target);
            Some(recipe)
        }
        88..96 => load.acknowledged(dice),
        _ => load.acknowledged(dice).map(|recipe| Recipe { variant: 1 + dice.below(7), ..recipe }),
    }
}

fn prepare(load: &Load, recipe: &Recipe) -> Ready {
    if recipe.variant == 0 {
        load.announce(recipe);
    }
    recipe.ready(load.seed, &load.doors.identity)
}

/// Sends a submission by the source rule: with the same id until the answer is definite. What that was.
pub(in crate::faults) async fn submit(
    load: &Load,
    wire: &reqwest::Client,
    client: u32,
    recipe: &Recipe,
    dice: &mut Dice,
) -> Result<Told> {
    let ready = prepare(load, recipe);
    let mut pause = 200;
    let mut begin = Instant::now();
    let first = begin;
    loop {
        let told = once(load, wire, client, &ready, None).await?;
        match &told {
            Told::Acknowledged { ids, .. } => {
                let given = ready.objects.iter().zip(ids);
                let documents: Vec<String> = given
                    .filter(|(object, _)| object.kind == Kind::Document)
                    .map(|(_, id)| id.clone())
                    .collect();
                load.remember(recipe, &documents);
                return Ok(told);
            }
            // The identity source may have been struck down between taking in a patient and telling the registry.
            Told::Refused { code, .. } if code == "not-found" && first.elapsed() < PATIENCE => {}
            Told::Refused { status, code } => {
                // Only what lost a race, or another content under a known key, may be refused.
                if recipe.variant == 0 && recipe.replaces.is_none() {
                    load.complain(format!("a good submission ({}) is refused: {status} {code}", ready.key));
                }
                return Ok(told);
            }
            Told::Declined { .. } | Told::Unknown { .. } => {}
        }
        if !load.stopped() {
            begin = Instant::now();
        }
        if begin.elapsed() > PATIENCE {
            load.complain(format!(
                "{} has no definite answer {PATIENCE:?} after the storm: {told:?}",
                ready.key
            ));
            return Ok(told);
        }
        tokio::time::sleep(Duration::from_millis(dice.between(pause / 2, pause * 3 / 2))).await;
        pause = (pause * 2).min(2000);
    }
}

/// Sends a submission once, by client 1.
pub(in crate::faults) async fn send_once(
    load: &Load,
    wire: &reqwest::Client,
    recipe: &Recipe,
) -> Result<Told> {
    let ready = prepare(load, recipe);
    once(load, wire, 1, &ready, None).await
}

/// Sends a submission once, and writes down what came of it.
async fn once(
    load: &Load,
    wire: &reqwest::Client,
    client: u32,
    ready: &Ready,
    patience: Option<Duration>,
) -> Result<Told> {
    let body = serde_json::to_vec(&ready.bundle)?;
    let begin = load.history.now();
    let sending = send(wire, &load.doors.repository, body, &ready.places);
    let told = match patience {
        None => sending.await,
        Some(patience) => tokio::time::timeout(patience, sending)
            .await
            .unwrap_or_else(|_| Told::unknown("the client went away")),
    };
    let submit = Submit {
        key: ready.key.clone(),
        content: ready.content.clone(),
        patient: ready_patient(ready),
        objects: ready.objects.clone(),
        told: told.clone(),
    };
    load.record(client, begin, What::Submit(submit))?;
    Ok(told)
}

fn ready_patient(ready: &Ready) -> String {
    let reference = ready.bundle["entry"][0]["resource"]["subject"]["reference"].as_str();
    reference.and_then(|reference| reference.rsplit('/').next()).unwrap_or_default().to_owned()
}

async fn send(wire: &reqwest::Client, base: &str, body: Vec<u8>, places: &[usize]) -> Told {
    let id = uuid::Uuid::new_v4().to_string();
    let request = wire.post(base).header("Content-Type", "application/fhir+json").header(ID, &id).body(body);
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) if error.is_connect() => return Told::not_sent(),
        Err(error) => return Told::unknown(brief(&error)),
    };
    let status = answer.status().as_u16();
    if answer.headers().get(ID).is_none_or(|named| named.as_bytes() != id.as_bytes()) {
        return Told::unknown("what came is no answer to this request");
    }
    let replayed = answer.headers().get("Idempotency-Replayed").is_some_and(|value| value == "true");
    let body = match answer.bytes().await {
        Ok(body) => body,
        Err(error) => return Told::unknown(brief(&error)),
    };
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return Told::unknown(format!("{status}, and no JSON"));
    };
    if status == 200 {
        return match places.iter().map(|place| given(&body, *place)).collect() {
            Some(ids) => Told::Acknowledged { ids, replayed },
            None => Told::unknown("an answer without the ids of all objects"),
        };
    }
    let issues = outcome::issues(&body).unwrap_or_default();
    Told::failure(status, issues.first().map_or("", |issue| issue.code.as_str()))
}

/// The id an entry of the answer tells.
fn given(body: &Value, place: usize) -> Option<String> {
    let location = body["entry"][place]["response"]["location"].as_str()?;
    let bare = location.split("/_history/").next()?;
    bare.rsplit('/').next().map(str::to_owned)
}

fn brief(error: &reqwest::Error) -> String {
    if error.is_timeout() { "no answer in time".into() } else { "the connection broke".into() }
}
