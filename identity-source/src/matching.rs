//! Who is probably who: records of one person told from those of others by what they say [ITI-119, links by match].
//!
//! Candidates are looked for by blocking keys (`keys`), which every patient is found by; each is compared field by field (`compare`)
//! in the forms of `features` and `letters`; the weights and grades are in `model`, changed by `settings`. Everything but this file and
//! `commonness` is pure: the same input gives the same score, whatever the input is.

mod commonness;
mod compare;
mod explanation;
mod features;
mod keys;
mod letters;
mod model;
mod settings;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use actor::meter;
use serde_json::{Map, Value};
use store::{AnyOf, Ask, Order, Row, Scope, Test};
use xds::Identifier;

pub(crate) use compare::Comparison;
pub(crate) use explanation::Explanation;
pub(crate) use features::Features;
pub(crate) use keys::keys;
pub(crate) use model::Grade;
pub use settings::Settings;

use crate::records::{KEY, Kept, PATIENT, Records};
use commonness::Census;

static COMPARED: LazyLock<Arc<meter::Sizes>> =
    LazyLock::new(|| meter::sizes("docshare_match_candidates", &[]));

/// Finds records of a person.
#[derive(Clone)]
pub(crate) struct Matcher {
    records: Records,
    settings: Arc<Settings>,
    census: Census,
}

/// A candidate with what speaks for it.
#[derive(Debug, Clone)]
pub(crate) struct Scored {
    /// The record.
    pub(crate) row: Row,
    /// Probability that it is the person looked for, 0 to 1.
    pub(crate) score: f64,
    /// What that comes to, of this pair alone.
    pub(crate) grade: Grade,
    /// How it came about.
    pub(crate) explanation: Explanation,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// Candidates that are at least possible, best first.
    pub(crate) scored: Vec<Scored>,
    /// Records that were compared.
    pub(crate) looked_at: usize,
    /// What so many records share that they were not looked through, in words.
    pub(crate) passed_over: Vec<&'static str>,
}

impl Matcher {
    /// A matcher of these records.
    pub(crate) fn new(records: Records, settings: &Settings) -> Matcher {
        let census = Census::new(records.clone(), settings.people);
        Matcher { records, settings: Arc::new(settings.clone()), census }
    }

    /// What can be compared of a Patient, its identifiers under the names their domains have here.
    pub(crate) fn features(&self, patient: &Map<String, Value>) -> Features {
        let mut features = Features::of(patient);
        for identifier in &mut features.identifiers {
            *identifier = self.records.authorities().identifier(identifier);
        }
        features
    }

    /// Records in use that are possibly those of this person, best first, at most so many. Looks at no more than
    /// `match.max_candidates` records, all of them found by an index.
    pub(crate) fn candidates(&self, features: &Features, most: usize) -> Result<Found, store::Error> {
        let (rows, passed_over) = self.blocks(features)?;
        let looked_at = rows.len();
        COMPARED.record(looked_at as u64);
        let mut scored = Vec::new();
        for row in rows {
            let kept = Kept::of(&row)?;
            if !kept.active || kept.replaced_by.is_some() {
                continue;
            }
            let Ok(Value::Object(patient)) = serde_json::from_slice::<Value>(&row.rendering) else {
                continue;
            };
            let its = self.features(&patient);
            let Comparison { score, grade, explanation } = self.compare(features, &its)?;
            if grade > Grade::CertainlyNot {
                scored.push(Scored { row, score, grade, explanation });
            }
        }
        scored.sort_by(|one, other| {
            let better = other.grade.cmp(&one.grade).then(other.score.total_cmp(&one.score));
            let heavier = other.explanation.weight.total_cmp(&one.explanation.weight);
            better.then(heavier).then_with(|| one.row.id.cmp(&other.row.id))
        });
        scored.truncate(most);
        Ok(Found { scored, looked_at, passed_over })
    }

    /// How two patients compare, either way round the same.
    pub(crate) fn compare(&self, one: &Features, other: &Features) -> Result<Comparison, store::Error> {
        let failed = RefCell::new(None);
        let common = |word: &letters::Word| match self.census.part(word) {
            Ok(part) => part,
            Err(error) => {
                *failed.borrow_mut() = Some(error);
                compare::UNKNOWN
            }
        };
        let found = compare::compare(one, other, &common, self.census.people()?, &self.settings);
        failed.into_inner().map_or(Ok(found), Err)
    }

    /// The records that share a key, by id, and which keys are shared by too many. Sharp keys go first, so that what the bound
    /// leaves out is what is least likely.
    fn blocks(&self, features: &Features) -> Result<(Vec<Row>, Vec<&'static str>), store::Error> {
        let most = self.settings.max_candidates as usize;
        let mut rows = BTreeMap::new();
        let mut passed_over = BTreeSet::new();
        let spelled = |known: &Identifier| {
            let spellings = self.records.authorities().spellings(&known.system);
            let value = known.value.clone();
            spellings.into_iter().map(move |system| Test::Term {
                name: "identifier",
                space: Some(system),
                value: Some(value.clone()),
            })
        };
        let identifiers = features.identifiers.iter().flat_map(spelled);
        let (broad, sharp): (Vec<String>, Vec<String>) =
            keys(features).into_iter().partition(|key| key.starts_with("n:"));
        let test = |key: &String| Test::Term { name: KEY, space: None, value: Some(key.clone()) };
        let together: Vec<Test> = identifiers.chain(sharp.iter().map(test)).collect();
        match self.ask(together.clone(), most)? {
            Some(found) => rows.extend(found.into_iter().map(|row| (row.id.clone(), row))),
            None => {
                for one in together {
                    self.one_by_one(one, most, &mut rows, &mut passed_over)?;
                }
            }
        }
        for key in &broad {
            self.one_by_one(test(key), most, &mut rows, &mut passed_over)?;
        }
        Ok((rows.into_values().take(most).collect(), passed_over.into_iter().collect()))
    }

    fn one_by_one(
        &self,
        test: Test,
        most: usize,
        rows: &mut BTreeMap<String, Row>,
        passed_over: &mut BTreeSet<&'static str>,
    ) -> Result<(), store::Error> {
        let words = describe(&test);
        let room = most.saturating_sub(rows.len()).min(self.settings.max_per_key as usize);
        match self.ask(vec![test], room)? {
            Some(found) => rows.extend(found.into_iter().map(|row| (row.id.clone(), row))),
            None => {
                passed_over.insert(words);
            }
        }
        Ok(())
    }

    /// The records one of these tests fits; none if there are more than wanted.
    fn ask(&self, tests: Vec<Test>, most: usize) -> Result<Option<Vec<Row>>, store::Error> {
        if tests.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let found = self.records.store().find(&Ask {
            kind: PATIENT,
            scope: Scope::Indexed(most),
            all: vec![AnyOf { tests, negated: false }],
            order: Order::Natural,
            after: None,
            limit: most,
            as_of: None,
            total: false,
        });
        match found {
            Ok(page) => Ok(Some(page.rows)),
            Err(store::Error::TooBroad { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What a test stands for, in words.
fn describe(test: &Test) -> &'static str {
    match test {
        Test::Term { name: KEY, value: Some(key), .. } => keys::describe(key),
        _ => "the same identifier",
    }
}

/// Whether no other candidate is near this one: none that is not the same person is at least probable too. Where two are near,
/// it takes somebody who knows more to say which of them is meant.
pub(crate) fn stands_alone(
    scored: &[Scored],
    index: usize,
    same_person: &dyn Fn(&str, &str) -> bool,
) -> bool {
    let Some(chosen) = scored.get(index) else { return false };
    let others = scored.iter().enumerate().filter(|(other, _)| *other != index);
    let mut near = others.filter(|(_, other)| other.grade >= Grade::Probable);
    near.all(|(_, other)| same_person(&chosen.row.id, &other.row.id))
}

/// The blocking keys of a Patient resource.
pub(crate) fn keys_of(patient: &Map<String, Value>) -> Vec<String> {
    keys(&Features::of(patient))
}
