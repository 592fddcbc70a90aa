//! What must hold once it is quiet: everything acknowledged is there, once and whole; nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testkit::Provide;

use super::stage::Stage;
use crate::answer::Answer;
use crate::region::Actor;

/// How long it may take until nothing is in doubt any more.
const QUIET: Duration = Duration::from_secs(60);

/// Documents of more bytes have files of their own.
const INLINE: usize = 1 << 20;

/// What a source was promised.
pub(super) struct Promise {
    set: String,
    /// Unique id and bytes of each document.
    documents: Vec<(String, Vec<u8>)>,
    /// Their ids in the registry.
    pub(super) ids: Vec<String>,
    pub(super) status: &'static str,
}

impl Promise {
    pub(super) fn new(provide: &Provide, ids: Vec<String>, set: String) -> Promise {
        let documents = provide.documents.iter().map(|one| (one.unique_id.clone(), one.bytes.clone()));
        Promise { set, documents: documents.collect(), ids, status: "current" }
    }
}

impl Stage {
    /// Judges what is left of a case.
    pub(super) fn inspect(&mut self, patient: &str, promises: &[Promise]) -> Result<()> {
        let registry = self.region.base(Actor::Registry);
        let documents =
            self.matches(&format!("{registry}/DocumentReference?patient={patient}&_count=500"))?;
        let sets =
            self.matches(&format!("{registry}/List?patient={patient}&code=submissionset&_count=500"))?;
        let count = promises.iter().map(|promise| promise.documents.len()).sum::<usize>();
        ensure!(documents.len() == count, "{} documents for {count} promised", documents.len());
        ensure!(sets.len() == promises.len(), "{} sets for {} promised", sets.len(), promises.len());
        let by_id: BTreeMap<&str, &Value> =
            documents.iter().map(|one| (one["id"].as_str().unwrap_or_default(), one)).collect();
        for promise in promises {
            ensure!(
                sets.iter().any(|set| set.to_string().contains(&promise.set)),
                "the submission set {} is lost",
                promise.set
            );
            for ((unique_id, bytes), id) in promise.documents.iter().zip(&promise.ids) {
                let found = by_id.get(id.as_str()).with_context(|| format!("{unique_id} is lost"))?;
                ensure!(found["masterIdentifier"]["value"] == **unique_id, "{id} is another document");
                ensure!(
                    found["status"] == promise.status,
                    "{unique_id} is {}, not {}",
                    found["status"],
                    promise.status
                );
                self.retrieve(found, bytes).with_context(|| unique_id.clone())?;
            }
        }
        self.quiet()
    }

    fn retrieve(&mut self, document: &Value, bytes: &[u8]) -> Result<()> {
        let url = document["content"][0]["attachment"]["url"].as_str().context("a document has a url")?;
        let answer = self.get(url)?;
        ensure!(answer.body[..] == *bytes, "it has other bytes");
        if bytes.len() > INLINE {
            let id = url.rsplit('/').next().unwrap_or_default();
            self.large.insert(id.to_owned());
        }
        Ok(())
    }

    fn matches(&mut self, url: &str) -> Result<Vec<Value>> {
        self.get(url)?.matches()
    }

    /// Asks until the answer is no 5xx.
    fn get(&mut self, url: &str) -> Result<Answer> {
        let begin = Instant::now();
        loop {
            let answer = self.runtime.block_on(self.wire.get(url));
            match answer {
                Ok(answer) if answer.status == 200 => return Ok(answer),
                Ok(answer) => {
                    ensure!(
                        answer.status >= 500,
                        "{url} is answered {}: {}",
                        answer.status,
                        answer.excerpt()
                    );
                }
                Err(_) => {}
            }
            ensure!(begin.elapsed() < QUIET, "{url} is not answered within {QUIET:?}");
            std::thread::sleep(Duration::from_millis(50));
            self.revive()?;
        }
    }

    /// Waits until nothing is in doubt, nothing is being received, and every file of a document is one that was promised.
    fn quiet(&mut self) -> Result<()> {
        let begin = Instant::now();
        loop {
            // Longer than a round of settling, so that what is told is not of before.
            std::thread::sleep(Duration::from_millis(150));
            self.revive()?;
            let left = self.left()?;
            match left {
                None => return Ok(()),
                Some(left) => ensure!(begin.elapsed() < QUIET, "after {QUIET:?} {left}"),
            }
        }
    }

    /// What is not yet as it has to be.
    fn left(&mut self) -> Result<Option<String>> {
        let url = format!("{}/readyz?verbose", self.region.admin(Actor::Repository));
        let Ok(ready) = self.runtime.block_on(self.wire.get(&url)) else {
            return Ok(Some("the repository does not tell how it is".to_owned()));
        };
        let checks = ready.json()?;
        let settle =
            checks["checks"].as_array().into_iter().flatten().find(|check| check["name"] == "settle");
        let doubt = settle.and_then(|check| check["text"].as_str()).context("readyz tells of settling")?;
        if ready.status != 200 || !doubt.starts_with("0 ") {
            return Ok(Some(format!("the repository answers {}: {}", ready.status, ready.excerpt())));
        }
        let data = self.region.data(Actor::Repository);
        let staging = files(&data.join("staging"))?;
        if !staging.is_empty() {
            return Ok(Some(format!("{} files are being received", staging.len())));
        }
        let kept = files(&data.join("blobs"))?;
        if kept != self.large {
            let more: Vec<_> = kept.difference(&self.large).collect();
            let less: Vec<_> = self.large.difference(&kept).collect();
            return Ok(Some(format!(
                "files nobody was promised: {more:?}; files that are missing: {less:?}"
            )));
        }
        Ok(None)
    }
}

/// Names of all files below a folder.
fn files(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.append(&mut files(&entry.path())?);
        } else {
            found.insert(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(found)
}
