//! Whose documents are, as the registry has it by now: a merge moves them to the survivor, an update to another patient. What is kept
//! beside the bytes follows, so that the audit record of a retrieval names the patient the document is about.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::naming::is_blob_id;
use crate::records::{Records, Whose};
use crate::recover::Recover;
use crate::registrar::Registrar;
use crate::settle::Undecided;

/// After so many pauses of the rounds that settle, the registry is asked: half a minute, as a rule.
const ROUNDS: u32 = 6;
/// Pages of changes asked for in one round.
const PAGES: usize = 20;
/// Commits of the registry that are looked through again after a restart, rather than that each round syncs how far it came.
const AGAIN: u64 = 10_000;

/// Follows the registry.
pub(crate) struct Follow {
    /// How long a change may be unknown here.
    pause: Duration,
    /// When the registry was asked last.
    asked: Mutex<Instant>,
    /// The life of the registry, and its commit up to which all was taken over.
    seen: Mutex<Option<(String, u64)>>,
}

impl Follow {
    /// `pause` is that between two rounds.
    pub(crate) fn new(pause: Duration) -> Follow {
        Follow { pause: pause * ROUNDS, asked: Mutex::new(Instant::now()), seen: Mutex::default() }
    }

    /// Takes over what has changed at the registry, now and then.
    pub(crate) async fn run(
        &self,
        records: &Records,
        registrar: &Registrar,
        recover: &Recover,
    ) -> Result<(), Undecided> {
        let is_due = self.asked.lock().elapsed() >= self.pause;
        if !is_due || registrar.foreign.is_some() {
            return Ok(());
        }
        *self.asked.lock() = Instant::now();
        let (Some(life), Some(under)) = (registrar.life.trusted(), recover.under()?) else { return Ok(()) };
        let kept = records.life(Whose::Followed)?;
        // Another life of the registry counts its commits anew.
        let kept = kept.as_deref().and_then(|kept| kept.strip_prefix(&format!("{life} "))?.parse().ok());
        let kept: u64 = kept.unwrap_or_default();
        let seen = self.seen.lock().clone().filter(|(of, _)| *of == life).map(|(_, seen)| seen);
        let begin = seen.unwrap_or(kept);
        let mut is_moved = false;
        let (mut since, mut after) = (begin, None::<String>);
        for _ in 0..PAGES {
            let page = registrar.bindings(&under, since, after.as_deref()).await?;
            for binding in &page.bindings {
                let id = binding.url.rsplit('/').next().filter(|id| is_blob_id(id));
                if let Some(id) = id
                    && !binding.patient.is_empty()
                    && records.document(id)?.is_some_and(|document| document.patient != binding.patient)
                {
                    records.rehome(id, &binding.patient).await?;
                    is_moved = true;
                }
            }
            match page.next {
                Some(next) => (since, after) = (next, page.after),
                None => break,
            }
        }
        // A commit that was cut is begun anew the next time.
        *self.seen.lock() = Some((life.clone(), since));
        if is_moved || since.saturating_sub(kept) > AGAIN {
            records.reconciled(Whose::Followed, &format!("{life} {since}")).await?;
        }
        Ok(())
    }
}
