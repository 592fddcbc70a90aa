//! The steps of the NIST XDS toolkit, in their order, each a case: what to send, what of earlier steps goes into it, and what has to
//! come of it.

mod contents;
mod prepare;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::super::world::Person;
use super::super::{Case, make};
use crate::markup::Element;
use crate::soap::Reply;

/// One line of the plan.
#[derive(Debug, Clone, Deserialize)]
struct Step {
    test: String,
    section: String,
    step: String,
    transaction: Option<String>,
    expected_status: Option<String>,
    #[serde(default)]
    expected_error_code: Vec<String>,
    file: Option<String>,
    #[serde(default)]
    uses: Vec<Value>,
    #[serde(default)]
    expected_contents: Vec<Value>,
    #[serde(default)]
    assertions: Vec<Value>,
    #[serde(default)]
    documents: BTreeMap<String, String>,
    #[serde(default)]
    flags: BTreeSet<String>,
}

type Key = (String, String, String);

impl Step {
    fn key(&self) -> Key {
        (self.test.clone(), self.section.clone(), self.step.clone())
    }

    fn flag(&self, name: &str) -> bool {
        self.flags.contains(name)
    }

    fn transaction(&self) -> &str {
        self.transaction.as_deref().unwrap_or_default()
    }
}

/// What was sent under an object's own id, and what came of a step.
#[derive(Debug, Clone, Default)]
struct Done {
    /// Ids the objects were given, by those of the metadata.
    uuids: BTreeMap<String, String>,
    /// uniqueIds, by the ids of the metadata.
    uids: BTreeMap<String, String>,
    /// What kind each object is: its element, sets told from folders.
    kinds: BTreeMap<String, &'static str>,
    /// Documents by their uniqueId.
    documents: BTreeMap<String, Vec<u8>>,
    /// The patient id that was sent.
    patient: String,
    /// What was sent.
    sent: Option<Element>,
    /// What was answered, if it was an answer.
    reply: Option<Reply>,
    /// Which step it was, in the order they were done.
    at: usize,
}

/// What the steps share.
#[derive(Default)]
struct Session {
    /// Patients by what they are to a test.
    patients: BTreeMap<(String, String), Person>,
    done: BTreeMap<Key, Done>,
    /// Steps that were not applicable.
    skipped: BTreeSet<Key>,
}

struct Plan {
    folder: PathBuf,
    session: Mutex<Session>,
    steps: BTreeMap<Key, Step>,
}

pub(super) fn cases(data: &Path) -> Result<Vec<Case>> {
    let folder = data.join("corpus/toolkit2-testkit");
    let path = folder.join("steps.jsonl");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.is_empty());
    let steps: Vec<Step> =
        lines.map(serde_json::from_str).collect::<Result<_, _>>().context("reading the steps")?;
    ensure!(steps.len() > 100, "the plan has steps");
    let by_key = steps.iter().map(|step| (step.key(), step.clone())).collect();
    let plan = Arc::new(Plan { folder, session: Mutex::default(), steps: by_key });
    let case = |step: Step| {
        let plan = plan.clone();
        let (test, section, name) = step.key();
        make(&format!("nist/{test}/{section}/{name}"), move |world| {
            let (plan, step) = (plan.clone(), step.clone());
            Box::pin(async move { steps::run(&plan, world, &step).await })
        })
    };
    Ok(steps.into_iter().map(case).collect())
}

/// Which earlier step a use names, and the symbol it stands for.
struct Use {
    key: Key,
    what: What,
    symbol: String,
}

enum What {
    Uuid(String),
    Uid(String),
    Patient,
    Report(String),
}

/// Patients that are fed before any test: their tests send nothing but a feed, and are no part of the plan.
const FEED: &str = "pif";

impl Use {
    fn read(step: &Step, given: &Value) -> Result<Use> {
        let get = |name: &str| given[name].as_str().unwrap_or_default().to_owned();
        if given["kind"] == "UseReport" {
            let test = given["test"].as_str().unwrap_or(&step.test).to_owned();
            let section = if get("section") == "THIS" { step.section.clone() } else { get("section") };
            return Ok(Use {
                key: (test, section, get("step")),
                what: What::Report(get("reportName")),
                symbol: get("useAs"),
            });
        }
        let folder = get("testdir");
        let parts: Vec<&str> = folder.split('/').filter(|part| *part != "..").collect();
        let (test, section) = match (parts.as_slice(), folder.starts_with("../../")) {
            ([] | [""], _) => (step.test.clone(), step.section.clone()),
            ([test, section], true) => ((*test).to_owned(), (*section).to_owned()),
            ([section], false) => (step.test.clone(), (*section).to_owned()),
            _ => bail!("the folder {folder} names no section"),
        };
        let what = match get("section").as_str() {
            "AssignedUuids" => What::Uuid(get("id")),
            "AssignedUids" => What::Uid(get("id")),
            "AssignedPatientId" => What::Patient,
            other => bail!("nothing is assigned under {other}"),
        };
        Ok(Use { key: (test, section, get("step")), what, symbol: get("symbol") })
    }
}
