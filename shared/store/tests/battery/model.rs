//! Every engine against a plain list of versions, over random operations.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use store::{Ask, Batch, Claim, Put, Reach, Scope, Test};

use crate::samples::{Engine, Home, NOTE, ask, batch, everywhere, found, put, term};

#[derive(Debug, Clone)]
enum Step {
    Put { id: u8, partition: u8, order: i8, code: u8, deleted: bool, stale: bool },
    Claim { name: u8, value: u8 },
    Reopen,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..6u8, 0..3u8, -2..3i8, 0..3u8, prop::bool::weighted(0.2), prop::bool::weighted(0.1)).prop_map(
            |(id, partition, order, code, deleted, stale)| Step::Put { id, partition, order, code, deleted, stale }
        ),
        2 => (0..3u8, 0..3u8).prop_map(|(name, value)| Step::Claim { name, value }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Close),
    ]
}

/// What should be: every version ever put, with its sequence.
#[derive(Default)]
struct Model {
    versions: Vec<(u64, Put)>,
    claims: BTreeMap<u8, u8>,
    sequence: u64,
}

impl Model {
    fn version_of(&self, id: &str) -> u64 {
        self.versions.iter().filter(|(_, put)| put.id == id).map(|(_, put)| put.version).max().unwrap_or(0)
    }

    /// Ids that match, in natural order, as things stood then.
    fn standing(&self, as_of: u64, matches: impl Fn(&Put) -> bool) -> Vec<String> {
        let mut newest: BTreeMap<&str, &Put> = BTreeMap::new();
        for (_, put) in self.versions.iter().filter(|(sequence, _)| *sequence <= as_of) {
            newest.insert(&put.id, put);
        }
        let mut standing: Vec<&Put> =
            newest.into_values().filter(|put| !put.deleted && matches(put)).collect();
        standing.sort_by(|left, right| right.order.cmp(&left.order).then(left.id.cmp(&right.id)));
        standing.iter().map(|put| put.id.clone()).collect()
    }
}

async fn run(engine: Engine, steps: Vec<Step>) {
    let mut home = Home::new(engine);
    let mut model = Model::default();
    for step in steps {
        home = take(home, &mut model, step).await;
    }
    for as_of in 0..=model.sequence {
        agree(&home, &model, as_of);
    }
    for id in 0..6 {
        let id = format!("r{id}");
        let versions: Vec<u64> =
            home.store.history(NOTE, &id).unwrap().iter().map(|row| row.version).collect();
        assert_eq!(versions, (1..=model.version_of(&id)).rev().collect::<Vec<_>>());
    }
}

async fn take(home: Home, model: &mut Model, step: Step) -> Home {
    match step {
        Step::Put { id, partition, order, code, deleted, stale } => {
            let id = format!("r{id}");
            let current = model.version_of(&id);
            let version = if stale { current } else { current + 1 };
            let facts =
                if deleted { Vec::new() } else { vec![term("code", "s", &code.to_string(), Reach::Global)] };
            let put = Put {
                partition: format!("p{partition}"),
                order: order.into(),
                facts,
                deleted,
                ..put(&id, version)
            };
            let outcome = home.store.apply(batch([put.clone()])).await;
            assert_eq!(outcome.is_ok(), !stale);
            if !stale {
                model.sequence += 1;
                model.versions.push((model.sequence, put));
            }
        }
        Step::Claim { name, value } => {
            let claims = vec![Claim { name: name.to_string(), value: vec![value] }];
            let outcome = home.store.apply(Batch { claims, ..Batch::default() }).await;
            let free = model.claims.get(&name).is_none_or(|holder| *holder == value);
            assert_eq!(outcome.is_ok(), free);
            if free {
                model.sequence += 1;
                model.claims.insert(name, value);
            }
        }
        Step::Reopen | Step::Close if home.engine == Engine::Memory => {}
        Step::Reopen => return home.reopened(),
        Step::Close => {
            home.store.close().await.unwrap();
            return home.reopened();
        }
    }
    assert_eq!(home.store.sequence(), model.sequence);
    home
}

fn agree(home: &Home, model: &Model, as_of: u64) {
    let as_of_then = Some(as_of);
    for partition in ["p0", "p1", "p2"] {
        let question = Ask { scope: Scope::Partitions(vec![partition.into()]), as_of: as_of_then, ..ask() };
        let expected = model.standing(as_of, |put| put.partition == partition);
        assert_eq!(found(&home.store, &question), expected, "{partition} as of {as_of}");
    }
    for code in ["0", "1", "2"] {
        let test = Test::Term { name: "code", space: Some("s".into()), value: Some(code.into()) };
        let expected = model.standing(as_of, |put| put.facts == [term("code", "s", code, Reach::Global)]);
        let question = Ask { as_of: as_of_then, ..everywhere([test]) };
        assert_eq!(found(&home.store, &question), expected, "code {code} as of {as_of}");
    }
}

fn check(engine: Engine, steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    runtime.block_on(run(engine, steps));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_does_what_the_model_does(steps in vec(step(), 1..60)) {
        check(Engine::Memory, steps);
    }

    #[test]
    fn redb_does_what_the_model_does(steps in vec(step(), 1..60)) {
        check(Engine::Redb, steps);
    }

    #[test]
    fn sled_does_what_the_model_does(steps in vec(step(), 1..40)) {
        check(Engine::Sled, steps);
    }
}
