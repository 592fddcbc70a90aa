//! Links by match: behind a feed, the record is compared with those that are likely to be the same person.

use std::collections::HashSet;

use serde_json::{Map, Value};
use store::{Put, Row};

use super::graph::{Graph, MOST};
use super::probable::{self, Possible};
use super::record::{By, Decision, Link, Matched, Pair, Standing, Verdict, decided, standing};
use crate::config::LinkSettings;
use crate::matching::{Comparison, Explanation, Features, Grade, Matcher, Scored};
use crate::records::{Kept, Records};

/// Candidates looked at for one record.
const CANDIDATES: usize = 50;
/// Probable pairs left behind for one record at most: one that is like so many is told apart by nobody.
const MOST_PROBABLE: usize = 20;

/// Judges records.
pub(crate) struct Judge {
    records: Records,
    matcher: Matcher,
    /// Whether what is certain is linked; otherwise it is left to a steward like the rest.
    links: bool,
}

/// What came of judging a record.
#[derive(Default)]
pub(super) struct Judged {
    /// Links that change, with what stood.
    pub(super) links: Vec<(Standing, Link)>,
    /// Probable pairs remembered and forgotten.
    pub(super) probable: Vec<Put>,
    /// Records that are at least probably the same: the judgement rests on what stands between them and others.
    pub(super) near: Vec<String>,
}

/// The record that is judged, and what is known of its person.
struct Subject<'a> {
    id: &'a str,
    home: String,
    features: Features,
    /// Everybody it is one person with already.
    person: Vec<String>,
}

impl Judge {
    /// A judge of these records.
    pub(crate) fn new(records: Records, matcher: Matcher, settings: &LinkSettings) -> Judge {
        Judge { records, matcher, links: settings.by_match }
    }

    /// What the matcher has to say of a record as it stands: whom it is linked with, with whom no longer, and who may be the
    /// same. A steward's word is not touched.
    pub(super) fn judge(&self, row: &Row, when: store::Instant, who: &str) -> Result<Judged, store::Error> {
        if row.deleted {
            return self.forget(&row.id, &HashSet::new(), Judged::default());
        }
        let kept = Kept::of(row)?;
        let patient = resource(row);
        // One out of use is nobody's match; a link that stands does so for whoever has its place.
        let Some(patient) = patient.filter(|_| kept.active && kept.replaced_by.is_none()) else {
            return self.forget(&row.id, &HashSet::new(), Judged::default());
        };
        let subject = Subject {
            id: &row.id,
            home: self.home(&kept),
            features: self.matcher.features(&patient),
            person: Graph::new(&self.records).reach(&row.id)?.ids,
        };
        let by =
            Decision { by: By::Match, verdict: Verdict::Linked, who: who.to_owned(), when, reason: None };
        let mut judged = Judged::default();
        self.judge_again(&subject, &by, &mut judged)?;
        if !judged.links.is_empty() {
            return Ok(judged);
        }
        let candidates = self.candidates(&subject)?;
        let near = candidates.iter().filter(|one| one.grade >= Grade::Probable);
        judged.near = near.map(|one| one.row.id.clone()).collect();
        let mut remembered = HashSet::new();
        for (index, one) in candidates.iter().enumerate() {
            if one.grade < Grade::Probable || subject.person.contains(&one.row.id) {
                continue;
            }
            let Some(pair) = Pair::of(subject.id, &one.row.id) else { continue };
            let before = standing(self.records.store(), &pair)?;
            if before.link.as_ref().is_some_and(|link| link.steward.is_some()) {
                continue;
            }
            if self.may_link(&subject, &candidates, index)? {
                let mut link = before.link.clone().unwrap_or_else(|| Link::new(pair, by.clone()));
                link.matched = Some(matched(one.score, one.grade, &one.explanation));
                link.decision = by.clone();
                // Its person is another one from now on; the rest is judged when this stands.
                return Ok(Judged { links: vec![(before, link)], probable: Vec::new(), near: judged.near });
            } else if remembered.len() < MOST_PROBABLE {
                let possible = Possible {
                    is_within_domain: self.home(&Kept::of(&one.row)?) == subject.home,
                    matched: matched(one.score, one.grade, &one.explanation),
                    pair: pair.clone(),
                };
                judged.probable.extend(probable::remember(self.records.store(), &possible)?);
                remembered.insert(pair);
            }
        }
        self.forget(subject.id, &remembered, judged)
    }

    /// Links this matcher made: one that is no longer certain no longer stands. That another record has come to be as like is
    /// no ground to break one.
    fn judge_again(
        &self,
        subject: &Subject<'_>,
        by: &Decision,
        judged: &mut Judged,
    ) -> Result<(), store::Error> {
        for pair in decided(self.records.store(), subject.id)? {
            let before = standing(self.records.store(), &pair)?;
            let Some(link) = before.link.as_ref().filter(|link| link.matched.is_some()) else { continue };
            let Some(other) = self.records.patient(pair.other(subject.id))? else { continue };
            if other.deleted || Kept::of(&other)?.replaced_by.is_some() {
                continue;
            }
            let Some(patient) = resource(&other) else { continue };
            let its = self.matcher.features(&patient);
            let Comparison { score, grade, explanation } = self.matcher.compare(&subject.features, &its)?;
            if grade == Grade::Certain {
                continue;
            }
            let mut link = link.clone();
            link.matched = None;
            // What a steward said stays the last word, even though the ground under it has moved.
            if link.steward.is_none() {
                let reason = format!("now only {} ({score:.4}): {}", grade.code(), explanation.words());
                link.decision = Decision { verdict: Verdict::Withdrawn, reason: Some(reason), ..by.clone() };
            }
            judged.links.push((before, link));
        }
        Ok(())
    }

    /// Whether a candidate is linked: certain, of another domain, the only one of its domain anywhere near, seen from either
    /// side, and nothing speaks against putting the two persons together.
    fn may_link(
        &self,
        subject: &Subject<'_>,
        candidates: &[Scored],
        index: usize,
    ) -> Result<bool, store::Error> {
        let Some(chosen) =
            candidates.get(index).filter(|chosen| self.links && chosen.grade == Grade::Certain)
        else {
            return Ok(false);
        };
        let kept = Kept::of(&chosen.row)?;
        let home = self.home(&kept);
        if home == subject.home || !self.is_alone(candidates, &chosen.row.id, &home)? {
            return Ok(false);
        }
        let Some(patient) = resource(&chosen.row) else { return Ok(false) };
        let other = Subject {
            id: &chosen.row.id,
            home,
            features: self.matcher.features(&patient),
            person: Graph::new(&self.records).reach(&chosen.row.id)?.ids,
        };
        let theirs = self.candidates(&other)?;
        if !self.is_alone(&theirs, subject.id, &subject.home)? {
            return Ok(false);
        }
        self.may_be_one(subject, &other)
    }

    /// Whether no other record of this domain is at least probable.
    fn is_alone(&self, candidates: &[Scored], id: &str, home: &str) -> Result<bool, store::Error> {
        for one in candidates.iter().filter(|one| one.grade >= Grade::Probable && one.row.id != id) {
            if self.home(&Kept::of(&one.row)?) == home {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether two persons can be put together by a match: no steward holds one of the one apart from one of the other, and
    /// they have no domain in common, of whose two records one would be a duplicate, which a steward has to see.
    fn may_be_one(&self, one: &Subject<'_>, other: &Subject<'_>) -> Result<bool, store::Error> {
        if one.person.len() + other.person.len() > MOST {
            return Ok(false);
        }
        let homes = self.homes(&one.person)?;
        if !homes.is_disjoint(&self.homes(&other.person)?) {
            return Ok(false);
        }
        let theirs: HashSet<&String> = other.person.iter().collect();
        for id in &one.person {
            for pair in decided(self.records.store(), id)? {
                let is_across = theirs.contains(&pair.other(id).to_owned());
                let before = if is_across { standing(self.records.store(), &pair)?.link } else { None };
                if before.is_some_and(|link| link.is_apart()) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The domains the records in use of a person are at home in.
    fn homes(&self, person: &[String]) -> Result<HashSet<String>, store::Error> {
        let mut homes = HashSet::new();
        for id in person {
            let Some(row) = self.records.patient(id)?.filter(|row| !row.deleted) else { continue };
            let kept = Kept::of(&row)?;
            if kept.active {
                homes.insert(self.home(&kept));
            }
        }
        Ok(homes)
    }

    fn candidates(&self, subject: &Subject<'_>) -> Result<Vec<Scored>, store::Error> {
        if subject.features.says_nothing() {
            return Ok(Vec::new());
        }
        let mut found = self.matcher.candidates(&subject.features, CANDIDATES)?.scored;
        found.retain(|one| one.row.id != subject.id);
        Ok(found)
    }

    /// Forgets the probable pairs of a record that are none any longer.
    fn forget(
        &self,
        id: &str,
        remembered: &HashSet<Pair>,
        mut judged: Judged,
    ) -> Result<Judged, store::Error> {
        let store = self.records.store();
        for pair in probable::with(store, id)?.into_iter().filter(|pair| !remembered.contains(pair)) {
            judged.probable.extend(probable::forget(store, &pair)?);
        }
        Ok(judged)
    }

    fn home(&self, kept: &Kept) -> String {
        self.records.authorities().canonical(kept.home())
    }
}

fn resource(row: &Row) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&row.rendering) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

fn matched(score: f64, grade: Grade, explanation: &Explanation) -> Matched {
    Matched { score, grade: grade.code().to_owned(), explanation: explanation.clone() }
}
