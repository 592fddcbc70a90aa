//! The end of a schedule: no more faults, what is in doubt settles, and then every promise has to hold at once.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use store::{AnyOf, Ask, Kind as Sort, Order, Scope, Store};
use tests::faults::history::{Gauge, Inventory, Kind, Phase, Told, What};

use crate::driver::World;
use crate::network::Place;
use crate::samples::{self, KEYS, PATIENTS};

/// How long a client may wait for its answer.
const CLIENTS: Duration = Duration::from_secs(100);
/// Quiet time after which every feed of a patient has reached the registry.
const TOLD: Duration = Duration::from_mins(1);
/// How long an attempt may stay in doubt when it is quiet (I12).
const IN_DOUBT: Duration = Duration::from_secs(60);
const SLICE: Duration = Duration::from_secs(5);

impl World {
    /// Ends the faults, waits for quiet, and writes down what there is then.
    pub(crate) async fn finish(&mut self) {
        for actor in Place::ACTORS {
            self.start(actor).await;
        }
        self.end_faults();
        self.phase(Phase::Settling);
        self.until_answered().await;
        self.until_settled().await;
        // Whatever was held back all this time arrives now, long after everybody has given it up.
        self.release_all();
        self.pass(SLICE).await;
        self.until_answered().await;
        self.until_settled().await;
        if self.clients.merged.get() {
            // By then the registry has been told of every merge, however often it was away.
            self.pass(TOLD).await;
        }
        self.phase(Phase::Quiet);
        if self.send_again().await {
            self.until_settled().await;
        }
        self.look().await;
        for second in [false, true] {
            self.take_stock(second);
        }
    }

    fn phase(&self, phase: Phase) {
        let begin = self.clients.now();
        self.clients.record(begin, What::Phase(phase));
    }

    async fn until_answered(&mut self) {
        let mut left = CLIENTS;
        while self.clients.waiting.get() > 0 && !left.is_zero() {
            self.pass(SLICE).await;
            left = left.saturating_sub(SLICE);
        }
        assert_eq!(self.clients.waiting.get(), 0, "every client has its answer or has given up");
    }

    async fn until_settled(&mut self) {
        let mut left = IN_DOUBT;
        while self.doubtful() > 0 && !left.is_zero() {
            self.pass(SLICE).await;
            left = left.saturating_sub(SLICE);
        }
    }

    fn doubtful(&self) -> u64 {
        [1, 2].into_iter().map(|number: usize| in_doubt(&self.stores[number])).sum()
    }

    /// All documents and submission sets of all patients, and the bytes of all documents.
    async fn look(&mut self) {
        for patient in 0..PATIENTS {
            self.clients.search(patient, Kind::Document);
            self.clients.search(patient, Kind::Set);
        }
        self.until_quiet().await;
        let unique_ids: BTreeSet<String> =
            (0..KEYS).flat_map(|key| (0..3).map(move |document| samples::unique_id(key, document))).collect();
        for unique_id in unique_ids {
            self.clients.retrieve(&unique_id);
        }
        self.until_quiet().await;
    }

    async fn until_quiet(&mut self) {
        while self.clients.waiting.get() > 0 {
            self.pass(Duration::from_millis(50)).await;
        }
    }

    /// A source sends again what it does not know about, with the same id. False if there was nothing.
    async fn send_again(&mut self) -> bool {
        let mut sent = false;
        for key in 0..KEYS {
            let Some(other) = self.unknown(key) else { continue };
            self.clients.submit(samples::submission(key, other), false);
            self.until_quiet().await;
            sent = true;
        }
        sent
    }

    /// Whether the last word about a key was "unknown", and about which content.
    fn unknown(&self, key: u8) -> Option<bool> {
        let history = self.clients.history.borrow();
        let last = history.iter().rev().find_map(|event| match &event.what {
            What::Submit(submit) if submit.key == samples::submission(key, false).key => Some(submit),
            _ => None,
        })?;
        let in_doubt = matches!(last.told, Told::Unknown { .. } | Told::Declined { .. });
        in_doubt.then_some(last.content == samples::submission(key, true).content)
    }

    /// What a repository holds, beside what the registry refers to.
    fn take_stock(&self, second: bool) {
        let actor = Place::Repository(second);
        let store = &self.stores[actor.number().expect("a repository is an actor")];
        let begin = self.clients.now();
        let rows = store.changes(Sort("document-bytes"), 0, 10_000).expect("the store is open");
        let kept: Vec<String> = rows.into_iter().filter(|row| !row.deleted).map(|row| row.id).collect();
        let referenced = referenced(&self.stores[0], actor.host());
        let is_there = |id: &String| store.blob(id).expect("the store is open").is_some();
        let mut inventory = Inventory {
            actor: format!("{actor:?}"),
            blobs: store.health().documents,
            in_doubt: in_doubt(store),
            unreferenced: kept.iter().filter(|id| !referenced.contains(*id)).cloned().collect(),
            missing: referenced.iter().filter(|id| !is_there(id)).cloned().collect(),
            ..Inventory::default()
        };
        if inventory.blobs > kept.len() as u64 {
            inventory.unreferenced.push("bytes without a row".to_owned());
        }
        let gauge = Gauge { actor: inventory.actor.clone(), in_doubt: inventory.in_doubt, oldest_ms: None };
        self.clients.record(begin, What::Gauge(gauge));
        self.clients.record(begin, What::Inventory(inventory));
    }
}

/// Ids of the documents of a repository that the registry refers to.
fn referenced(registry: &Store, host: &str) -> BTreeSet<String> {
    let rows = registry.changes(Sort("document"), 0, 10_000).expect("the store is open");
    let url = |row: store::Row| {
        let resource: Value = serde_json::from_slice(&row.rendering).ok()?;
        let url = resource["content"][0]["attachment"]["url"].as_str()?.to_owned();
        url.strip_prefix(host)?.rsplit('/').next().map(str::to_owned)
    };
    rows.into_iter().filter_map(url).collect()
}

/// Keys of a repository with an attempt in doubt.
fn in_doubt(store: &Store) -> u64 {
    let page = store.find(&Ask {
        kind: Sort("submission-intent"),
        scope: Scope::Partitions(vec!["in-doubt".to_owned()]),
        all: Vec::<AnyOf>::new(),
        order: Order::Natural,
        after: None,
        limit: 100,
        as_of: None,
        total: false,
    });
    page.expect("the store is open").rows.len() as u64
}
