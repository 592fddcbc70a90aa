//! Merges among everything else: two patients of its own at a time, with submissions and replacements while one is merged into the
//! other, and again while that is undone. What the registry has been told of is judged from that moment on (I9).

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::feed::{SYSTEM, tell};
use super::reader::Finder;
use super::recipe::Recipe;
use super::source::send_once;
use super::{Load, Person, http, lock};
use crate::faults::history::{Merge, Told, Unmerge, What};
use testkit::Dice;

/// How long a step is tried again: longer than any fault lasts.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(150);

/// Merges until the load ends.
pub(super) async fn run(load: &Load, client: u32, mut dice: Dice) -> Result<()> {
    let mut merger = Merger { load, client, wire: http(Duration::from_secs(20))?, rounds: 0 };
    while !load.stopped() {
        merger.round(&mut dice).await?;
        merger.rounds += 1;
        tokio::time::sleep(Duration::from_millis(dice.between(100, 600))).await;
    }
    Ok(())
}

struct Merger<'a> {
    load: &'a Load,
    client: u32,
    wire: reqwest::Client,
    rounds: u32,
}

impl Merger<'_> {
    /// Two patients from their first document to the end of their merge.
    async fn round(&mut self, dice: &mut Dice) -> Result<()> {
        let (Some(gone), Some(kept)) = (self.known("gone").await?, self.known("kept").await?) else {
            return Ok(());
        };
        lock(&self.load.merged).extend([gone.clone(), kept.clone()]);
        let Some(first) = self.submit(&self.recipe(&gone, None)).await? else { return Ok(()) };
        self.submit(&self.recipe(&kept, None)).await?;
        let (racing, replacing) = (self.recipe(&gone, None), self.recipe(&gone, Some(&first)));
        let (merged, ..) = tokio::try_join!(
            self.merge(&gone, &kept),
            send_once(self.load, &self.wire, &racing),
            send_once(self.load, &self.wire, &replacing),
        )?;
        self.look(&[&gone, &kept]).await?;
        if !merged {
            return Ok(());
        }
        let (later, racing) = (self.recipe(&kept, None), self.recipe(&kept, Some(&first)));
        self.submit(&later).await?;
        if dice.per_mille(500) {
            tokio::try_join!(self.unmerge(&gone, &kept), send_once(self.load, &self.wire, &racing))?;
            self.look(&[&gone, &kept]).await?;
            self.decide(dice.per_mille(500)).await;
            self.look(&[&gone, &kept]).await?;
        }
        Ok(())
    }

    /// A patient nobody else speaks of.
    async fn known(&self, word: &str) -> Result<Option<Person>> {
        let value = self.value(word);
        let patient = testkit::patient(SYSTEM, &value, "Wander", word);
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE && !self.load.stopped() {
            if let Ok(person) = tell(self.load, &self.wire, &value, &patient).await
                && self.whom(&person).await.as_ref() == Some(&Some(person.id.clone()))
            {
                return Ok(Some(person));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(None)
    }

    fn value(&self, word: &str) -> String {
        format!("{:x}-{}-{}-{word}", self.load.seed, self.client, self.rounds)
    }

    fn recipe(&self, patient: &Person, replaces: Option<&str>) -> Recipe {
        Recipe {
            number: self.load.number(),
            variant: 0,
            patient: patient.clone(),
            sizes: vec![500],
            replaces: replaces.map(str::to_owned),
            folder: replaces.is_none(),
        }
    }

    /// Submits until that is acknowledged or refused; the id of its document.
    async fn submit(&self, recipe: &Recipe) -> Result<Option<String>> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            match send_once(self.load, &self.wire, recipe).await? {
                Told::Acknowledged { ids, .. } => return Ok(ids.get(1).cloned()),
                Told::Refused { .. } => return Ok(None),
                Told::Declined { .. } | Told::Unknown { .. } => tokio::time::sleep(PAUSE).await,
            }
        }
        Ok(None)
    }

    /// Merges, and waits until the registry has been told of it.
    async fn merge(&self, gone: &Person, kept: &Person) -> Result<bool> {
        let resource = testkit::merged_patient(SYSTEM, &gone.value, SYSTEM, &kept.value);
        let begin = self.load.history.now();
        let told = |status| What::Merge(Merge { from: gone.id.clone(), into: kept.id.clone(), status });
        self.until_told(gone, &resource, None, (begin, told)).await
    }

    /// Undoes the merge, likewise.
    async fn unmerge(&self, gone: &Person, kept: &Person) -> Result<bool> {
        let resource = testkit::patient(SYSTEM, &gone.value, "Wander", "gone");
        let begin = self.load.history.now();
        let told =
            |status| What::Unmerge(Unmerge { patient: gone.id.clone(), from: kept.id.clone(), status });
        self.until_told(gone, &resource, Some(gone.id.clone()), (begin, told)).await
    }

    async fn until_told(
        &self,
        gone: &Person,
        resource: &Value,
        stands: Option<String>,
        (begin, told): (u64, impl Fn(u16) -> What),
    ) -> Result<bool> {
        let started = Instant::now();
        let mut taken = false;
        while started.elapsed() < PATIENCE {
            taken = taken || tell(self.load, &self.wire, &gone.value, resource).await.is_ok();
            if taken && self.whom(gone).await.as_ref() == Some(&stands) {
                self.load.record(self.client, begin, told(200))?;
                return Ok(true);
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.load.record(self.client, begin, told(0))?;
        Ok(false)
    }

    /// Whom the identifier of a patient names at the registry; none if it does not say.
    async fn whom(&self, person: &Person) -> Option<Option<String>> {
        let host = self.load.doors.registry.trim_end_matches("/fhir");
        let url = format!("{host}/patients?system={SYSTEM}&value={}", person.value);
        let answer = self.wire.get(url).send().await.ok().filter(|answer| answer.status().as_u16() == 200)?;
        let told: Value = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
        Some(told.get("id")?.as_str().map(str::to_owned))
    }

    /// Everything of these patients.
    async fn look(&self, persons: &[&Person]) -> Result<()> {
        let finder = Finder::new(self.load, self.client)?;
        for person in persons {
            finder.all(person).await?;
        }
        Ok(())
    }

    /// Decides about the first item of the reviews, whatever becomes of it.
    async fn decide(&self, moves: bool) {
        let base = &self.load.doors.registry;
        let Ok(answer) = self.wire.get(format!("{base}/Task?status=requested&_count=1")).send().await else {
            return;
        };
        let bundle: Value =
            serde_json::from_slice(&answer.bytes().await.unwrap_or_default()).unwrap_or_default();
        if let Some(id) = bundle["entry"][0]["resource"]["id"].as_str() {
            let decision = if moves { "moves" } else { "stays" };
            let url = format!("{base}/Task/{id}/$settle?decision={decision}");
            // What is lost on the way is decided by somebody else.
            drop(self.wire.post(url).send().await);
        }
    }
}
