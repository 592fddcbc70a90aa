//! Random histories of a region that does everything right are sound, and each kind of damage to one is found.

use std::collections::BTreeMap;

use proptest::prelude::*;
use testkit::Dice;

use super::judge_events;
use super::sample::{
    acknowledged, document, fault, found_all, gauge, inventory, recovery, seen, set, superseded, whole,
};
use crate::faults::history::{Asked, Body, Event, FaultKind, Kind, Phase, Seen, Sent, Submit, Told, What};

/// A submission as its source knows it.
#[derive(Clone)]
struct Known {
    key: String,
    patient: &'static str,
    objects: Vec<Sent>,
    ids: Option<Vec<String>>,
}

/// A region in which everything happens in one instant, somewhere between the begin and the end of its event.
struct Model {
    dice: Dice,
    now: u64,
    events: Vec<Event>,
    known: Vec<Known>,
    visible: BTreeMap<String, Seen>,
    next: u64,
}

const PATIENTS: [&str; 2] = ["p", "q"];

impl Model {
    fn run(seed: u64, steps: usize) -> Vec<Event> {
        let mut model = Model {
            dice: Dice::new(seed),
            now: 1_000_000,
            events: Vec::new(),
            known: Vec::new(),
            visible: BTreeMap::new(),
            next: 0,
        };
        model.happen(What::Phase(Phase::Storm));
        for _ in 0..steps {
            model.step();
        }
        model.end();
        model.events.sort_by_key(|event| event.end);
        model.events
    }

    /// What has just happened, between two instants that nobody knows better.
    fn happen(&mut self, what: What) {
        self.now += 1_000;
        let begin = self.now - self.dice.below(50_000).min(self.now);
        let end = self.now + self.dice.below(50_000);
        self.events.push(Event { client: 1, begin, end, what });
    }

    fn step(&mut self) {
        match self.dice.below(12) {
            0..4 => self.submit_new(),
            4 | 5 => self.submit_again(),
            6 => self.submit_other_content(),
            7 | 8 => self.search(),
            9 | 10 => self.retrieve(),
            _ => {
                let kind = if self.dice.below(2) == 0 { FaultKind::Kill } else { FaultKind::PowerCut };
                self.now += 100_000;
                self.happen(fault(kind, "registry", None));
                self.now += 100_000;
                self.happen(recovery("registry"));
            }
        }
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{}", self.next)
    }

    fn submit_new(&mut self) {
        let key = self.fresh("k");
        let patient = PATIENTS[usize::from(self.dice.below(2) == 0)];
        let mut objects = vec![set(&key)];
        for _ in 0..=self.dice.below(3) {
            objects.push(document(&self.fresh("u")));
        }
        let documents: Vec<String> =
            self.of(patient, Kind::Document).into_iter().map(|seen| seen.id).collect();
        if self.dice.below(3) == 0 {
            objects[1].replaces = self.dice.pick(&documents).cloned();
        }
        self.known.push(Known { key, patient, objects, ids: None });
        self.send(self.known.len() - 1);
    }

    fn submit_again(&mut self) {
        let indexes: Vec<usize> = (0..self.known.len()).collect();
        if let Some(index) = self.dice.pick(&indexes).copied() {
            self.send(index);
        }
    }

    fn submit_other_content(&mut self) {
        let Some(known) = self.dice.pick(&self.known).filter(|known| known.ids.is_some()).cloned() else {
            return;
        };
        let other = Known { objects: vec![set(&known.key), document(&self.fresh("other"))], ..known };
        self.told(&other, "other", Told::failure(409, "duplicate"));
    }

    /// Sends a submission, which is committed or not, and told or not.
    fn send(&mut self, index: usize) {
        let known = self.known[index].clone();
        if known.ids.is_none() {
            let target = known.objects[1].replaces.as_ref();
            let replaced = target.is_some_and(|id| self.visible[id].superseded);
            match self.dice.below(8) {
                _ if replaced => return self.told(&known, "one", Told::failure(400, "business-rule")),
                0 => return self.told(&known, "one", Told::failure(503, "transient")),
                1 => return self.told(&known, "one", Told::unknown("it never came")),
                _ => self.commit(index),
            }
        }
        let ids: Vec<&str> = self.known[index].ids.iter().flatten().map(String::as_str).collect();
        let told =
            if self.dice.below(4) == 0 { Told::unknown("its answer was lost") } else { acknowledged(&ids) };
        self.told(&known, "one", told);
    }

    fn told(&mut self, known: &Known, content: &str, told: Told) {
        self.happen(What::Submit(Submit {
            key: known.key.clone(),
            content: content.into(),
            patient: known.patient.into(),
            objects: known.objects.clone(),
            told,
        }));
    }

    fn commit(&mut self, index: usize) {
        let Known { patient, objects, .. } = self.known[index].clone();
        let mut ids = Vec::new();
        for object in &objects {
            let id = self.fresh("id");
            if let Some(target) = &object.replaces {
                let old = self.visible.remove(target).expect("what is replaced is visible");
                self.visible.insert(target.clone(), superseded(old));
            }
            self.visible.insert(id.clone(), Seen { patient: patient.into(), ..seen(&id, object) });
            ids.push(id);
        }
        self.known[index].ids = Some(ids);
    }

    fn of(&self, patient: &str, kind: Kind) -> Vec<Seen> {
        self.visible.values().filter(|seen| seen.patient == patient && seen.kind == kind).cloned().collect()
    }

    fn search(&mut self) {
        let patient = PATIENTS[usize::from(self.dice.below(2) == 0)];
        let kind = if self.dice.below(3) == 0 { Kind::Set } else { Kind::Document };
        let current_only = self.dice.below(2) == 0;
        self.search_for(patient, kind, current_only);
    }

    fn search_for(&mut self, patient: &str, kind: Kind, current_only: bool) {
        let mut found = self.of(patient, kind);
        found.retain(|seen| !current_only || !seen.superseded);
        let asked = Asked::Patient { patient: patient.into(), kind, current_only };
        self.happen(found_all(asked, &found));
    }

    fn retrieve(&mut self) {
        let mut documents = self.of("p", Kind::Document);
        documents.extend(self.of("q", Kind::Document));
        let Some(document) = self.dice.pick(&documents).cloned() else { return };
        let (status, body) = match self.dice.below(4) {
            0 => (503, Body::Nothing),
            1 => (200, Body::Cut),
            _ => (200, whole(&document.unique_id)),
        };
        self.retrieve_one(&document, status, body);
    }

    fn retrieve_one(&mut self, document: &Seen, status: u16, body: Body) {
        let (id, unique_id) = (document.id.clone(), document.unique_id.clone());
        self.happen(What::Retrieve(crate::faults::history::Retrieve { id, unique_id, status, body }));
    }

    /// It becomes quiet, and everything is looked at.
    fn end(&mut self) {
        self.now += 1_000_000;
        self.happen(What::Phase(Phase::Quiet));
        self.now += 1_000_000;
        for _ in 0..2 {
            for patient in PATIENTS {
                self.search_for(patient, Kind::Document, false);
                self.search_for(patient, Kind::Set, false);
            }
            self.now += 1_000_000;
        }
        for document in PATIENTS.map(|patient| self.of(patient, Kind::Document)).concat() {
            self.retrieve_one(&document, 200, whole(&document.unique_id));
        }
        self.happen(gauge(0, None));
        self.happen(What::Inventory(inventory()));
    }
}

/// The last search of each patient for a kind of objects.
fn last_searches(events: &mut [Event], kind: Kind) -> impl Iterator<Item = &mut Vec<Seen>> {
    let begin =
        events.iter().find(|event| event.what == What::Phase(Phase::Quiet)).map_or(0, |event| event.end);
    events.iter_mut().filter(move |event| event.begin > begin).filter_map(move |event| match &mut event.what {
        What::Search(search) if matches!(search.asked, Asked::Patient { kind: asked, .. } if asked == kind) => {
            search.total = None;
            Some(&mut search.found)
        }
        _ => None,
    })
}

fn last_documents(events: &mut [Event]) -> Option<&mut Vec<Seen>> {
    last_searches(events, Kind::Document).filter(|found| !found.is_empty()).last()
}

/// A kind of damage: what it breaks, and how it is done; false if this history has nothing it could be done to.
type Damage = (&'static str, fn(&mut Vec<Event>) -> bool);

const DAMAGES: &[Damage] = &[
    ("I7", |events| last_documents(events).is_some_and(|found| found.pop().is_some())),
    ("I1", |events| {
        let ids: Vec<String> = events
            .iter()
            .filter_map(|event| match &event.what {
                What::Submit(submit) => Some(submit.told.ids()?.get(1)?.clone()),
                _ => None,
            })
            .collect();
        let Some(lost) = ids.first() else { return false };
        last_searches(events, Kind::Document).for_each(|found| found.retain(|seen| seen.id != *lost));
        true
    }),
    ("I2", |events| {
        let sent = events.iter().find_map(|event| match &event.what {
            What::Submit(submit) if submit.objects.len() > 2 => Some(submit.objects[2].unique_id.clone()),
            _ => None,
        });
        let Some(half) = sent else { return false };
        let mut done = false;
        for found in last_searches(events, Kind::Document) {
            let before = found.len();
            found.retain(|seen| seen.unique_id != half);
            done |= found.len() < before;
        }
        done
    }),
    ("I3", |events| {
        events.iter_mut().rev().any(|event| match &mut event.what {
            What::Retrieve(retrieve) => {
                (retrieve.status, retrieve.body) = (404, Body::Nothing);
                true
            }
            _ => false,
        })
    }),
    ("I4", |events| {
        let Some(seen) = last_documents(events).and_then(|found| found.first_mut()) else { return false };
        seen.attributes += " and more";
        true
    }),
    ("I5", |events| {
        let Some(found) = last_documents(events) else { return false };
        let twin = Seen { id: "twin".into(), ..found[0].clone() };
        found.push(twin);
        true
    }),
    ("I6", |events| {
        let refused = events.iter().find_map(|event| match &event.what {
            What::Submit(submit) if submit.told == Told::failure(409, "duplicate") => {
                Some(submit.objects[1].clone())
            }
            _ => None,
        });
        let (Some(refused), Some(found)) = (refused, last_searches(events, Kind::Document).last()) else {
            return false;
        };
        found.push(seen("late", &refused));
        true
    }),
    ("I7", |events| {
        let Some(id) = last_documents(events).and_then(|found| found.first()).map(|seen| seen.id.clone())
        else {
            return false;
        };
        let last = events.iter().map(|event| event.end).max().unwrap_or_default();
        let mut earlier = None;
        for event in events.iter_mut().filter(|event| event.end + 1_500_000 < last) {
            if let What::Search(search) = &mut event.what
                && let Some(seen) = search.found.iter_mut().find(|seen| seen.id == id)
            {
                seen.version = 99;
                earlier = Some(());
            }
        }
        earlier.is_some()
    }),
    ("I8", |events| {
        for found in last_searches(events, Kind::Document) {
            let target = found.iter().find_map(|seen| seen.replaces.first().cloned());
            let other = found.iter_mut().find(|seen| seen.replaces.is_empty() && !seen.superseded);
            if let (Some(target), Some(other)) = (target, other) {
                other.replaces.push(target);
                return true;
            }
        }
        false
    }),
    ("I8", |events| {
        for found in last_searches(events, Kind::Document) {
            if let Some(old) = found.iter_mut().find(|seen| seen.superseded) {
                old.superseded = false;
                return true;
            }
        }
        false
    }),
    ("I11", |events| {
        events.iter_mut().any(|event| match &mut event.what {
            What::Retrieve(retrieve) if matches!(retrieve.body, Body::Whole { .. }) => {
                retrieve.body = whole("another one");
                true
            }
            _ => false,
        })
    }),
    ("I10", |events| {
        let last = events.iter_mut().rev().find_map(|event| match &mut event.what {
            What::Inventory(inventory) => Some(inventory),
            _ => None,
        });
        last.is_some_and(|inventory| {
            inventory.unreferenced.push("0a1b".into());
            true
        })
    }),
    ("I12", |events| {
        events.iter_mut().any(|event| match &mut event.what {
            What::Inventory(inventory) => {
                inventory.in_doubt = 1;
                true
            }
            _ => false,
        })
    }),
    ("I15", |events| {
        let before = events.len();
        let last = events.iter().rposition(|event| matches!(event.what, What::Recovery(_)));
        last.map(|at| events.remove(at));
        events.len() < before
    }),
    ("I18", |events| {
        let acknowledged = events
            .iter()
            .find(|event| matches!(&event.what, What::Submit(submit) if submit.told.ids().is_some()));
        let Some(acknowledged) = acknowledged.cloned() else { return false };
        let what = fault(FaultKind::SyncFailed, "registry", Some(74));
        events.push(Event { what, ..acknowledged.clone() });
        events.push(Event { what: recovery("registry"), begin: acknowledged.end, ..acknowledged });
        true
    }),
    ("I19", |events| {
        let Some(found) = last_documents(events) else { return false };
        found[0].hash = "another one".into();
        let same = found[0].clone();
        let Some(last) = events.last().cloned() else { return false };
        let asked = Asked::UniqueId { kind: Kind::Document, unique_id: same.unique_id.clone() };
        let right = Seen { hash: format!("hash of {}", same.unique_id), ..same };
        events.push(Event { what: found_all(asked, &[right]), ..last });
        true
    }),
    ("I20", |events| {
        let last = last_documents(events).and_then(|found| found.first().cloned());
        let (Some(before), Some(event)) = (last, events.last().cloned()) else { return false };
        let asked = Asked::UniqueId { kind: Kind::Document, unique_id: before.unique_id.clone() };
        let earlier = Seen { updated: before.updated - 1, ..before };
        let (begin, end) = (event.end + 1, event.end + 2);
        events.push(Event { begin, end, what: found_all(asked, &[earlier]), ..event });
        true
    }),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_right_region_does_is_sound(seed: u64, steps in 1_usize..120) {
        let report = judge_events(&Model::run(seed, steps));
        prop_assert!(report.is_sound(), "{}", report);
    }

    #[test]
    fn whatever_is_damaged_is_found(seed: u64, steps in 10_usize..80, damage in 0..DAMAGES.len()) {
        let (number, damage) = DAMAGES[damage];
        let mut events = Model::run(seed, steps);
        if damage(&mut events) {
            let broken = judge_events(&events).broken();
            prop_assert!(broken.contains(&number), "{} is broken, and only {:?} are said to be", number, broken);
        }
    }
}

#[test]
fn every_damage_can_be_done_to_most_histories() {
    for (number, damage) in DAMAGES {
        let done = (1..=20).filter(|seed| damage(&mut Model::run(*seed, 80))).count();
        assert!(done >= 10, "damage to {number} was done to {done} of 20 histories");
    }
}

#[test]
fn a_long_history_is_judged_in_seconds() {
    let events = Model::run(7, 1_500);
    let begin = std::time::Instant::now();
    assert!(judge_events(&events).is_sound());
    let rate = events.len() as f64 / begin.elapsed().as_secs_f64();
    println!("{} events, {rate:.0} a second", events.len());
}
