//! Patients: who they are, and how the identity source hears of them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Load, http, lock};
use testkit::Dice;

pub(super) const SYSTEM: &str = "urn:oid:2.25.2718281828";
/// How long the first patients may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A patient the identity source knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::faults) struct Person {
    /// Id at the identity source.
    pub(in crate::faults) id: String,
    /// Value of its identifier.
    pub(in crate::faults) value: String,
}

impl Person {
    /// Absolute reference.
    pub(in crate::faults) fn reference(&self, identity: &str) -> String {
        format!("{identity}/Patient/{}", self.id)
    }

    /// `system|value`, ready for a URL.
    pub(in crate::faults) fn token(&self) -> String {
        format!("{SYSTEM}%7C{}", self.value)
    }
}

/// Feeds the first patients to the identity source. Nothing may be at fault at this time.
pub(in crate::faults) async fn feed(load: &Load, count: u32) -> Result<()> {
    let client = http(Duration::from_secs(20))?;
    for number in 0..count {
        let begin = Instant::now();
        loop {
            match put(load, &client, number.into()).await {
                Ok(person) => {
                    lock(&load.patients).push(person);
                    break;
                }
                Err(error) if begin.elapsed() > PATIENCE => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
    Ok(())
}

/// Feeds new patients, and known ones again, now and then.
pub(super) async fn run(load: &Load, first: u32, mut dice: Dice) -> Result<()> {
    let client = http(Duration::from_secs(10))?;
    let mut next = u64::from(first);
    while !load.stopped() {
        tokio::time::sleep(Duration::from_millis(dice.between(50, 400))).await;
        let fresh = next < u64::from(first) * 2 && dice.per_mille(50);
        let number = if fresh { next } else { dice.below(next) };
        if let Ok(person) = put(load, &client, number).await
            && fresh
        {
            lock(&load.patients).push(person);
            next += 1;
        }
    }
    Ok(())
}

async fn put(load: &Load, client: &reqwest::Client, number: u64) -> Result<Person> {
    let value = format!("{:x}-{number}", load.seed);
    let patient = testkit::patient(SYSTEM, &value, &format!("Sturm{number}"), "Stella");
    tell(load, client, &value, &patient).await
}

/// Tells the identity source of the patient with this value.
pub(super) async fn tell(
    load: &Load,
    client: &reqwest::Client,
    value: &str,
    patient: &Value,
) -> Result<Person> {
    let url = format!("{}/Patient?identifier={SYSTEM}%7C{value}", load.doors.identity);
    let request = client.put(url).header("Content-Type", "application/fhir+json");
    let answer = request.body(patient.to_string()).send().await.context("feeding a patient")?;
    let status = answer.status().as_u16();
    let body: Value =
        serde_json::from_slice(&answer.bytes().await.context("reading an answer")?).unwrap_or_default();
    match (status, body["id"].as_str()) {
        (200 | 201, Some(id)) => Ok(Person { id: id.to_owned(), value: value.to_owned() }),
        _ => bail!("feeding a patient is answered {status}: {body}"),
    }
}
