//! Running schedules: one, or many until one breaks a promise, which is then made as short as it can be.

use std::time::{Duration, Instant};

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tests::faults::history::{Told, What};

use crate::driver::World;
use crate::lies::Lie;
use crate::operation::{Operation, schedule};
use crate::verdict::judge;

/// Operations of the longest schedule.
const LONGEST: usize = 24;
/// How long a schedule that broke a promise is made shorter.
const SHRINKING: Duration = Duration::from_secs(60);

/// What a schedule came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Broken promises.
    pub(crate) wrong: Vec<String>,
    /// What happened, in a number.
    pub(crate) trace: u64,
    /// The same in words, if they were asked for.
    pub(crate) told: Vec<String>,
    /// Submissions that were acknowledged, refused, and neither.
    pub(crate) submissions: [u64; 3],
    /// Updates that were acknowledged.
    pub(crate) updates: u64,
}

/// Runs one schedule in a world of its own, in which time is pretended.
pub(crate) fn run(operations: &[Operation], lie: Lie, telling: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime needs no more than memory");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut world = World::begin(lie, telling).await;
        for operation in operations {
            world.operate(*operation).await;
        }
        world.finish().await;
        let history = world.clients.history.borrow();
        let mut submissions = [0; 3];
        for event in history.iter() {
            if let What::Submit(submit) = &event.what {
                match submit.told {
                    Told::Acknowledged { .. } => submissions[0] += 1,
                    Told::Refused { .. } => submissions[1] += 1,
                    Told::Declined { .. } | Told::Unknown { .. } => submissions[2] += 1,
                }
            }
        }
        let updated = |what: &What| matches!(what, What::Update(update) if update.version.is_some());
        let updates = history.iter().filter(|event| updated(&event.what)).count() as u64;
        let told = world.told.iter().flatten().cloned();
        let told = told.chain(history.iter().filter(|_| telling).map(|event| format!("{event:?}")));
        Outcome { wrong: judge(&history), trace: world.trace(), told: told.collect(), submissions, updates }
    })
}

/// Many schedules.
pub(crate) struct Search {
    /// Where chance begins.
    pub(crate) seed: u64,
    /// At least so many.
    pub(crate) least: u64,
    /// At most so many.
    pub(crate) most: u64,
    /// Beyond the least, not longer than this.
    pub(crate) time: Duration,
    /// How often a submission goes to the second repository.
    pub(crate) second: f64,
    /// Which step of the protocol is left out.
    pub(crate) lie: Lie,
    /// Which broken promises count.
    pub(crate) counts: fn(&str) -> bool,
}

/// What a search came to.
#[derive(Debug)]
pub(crate) struct Searched {
    /// How many schedules were run.
    pub(crate) schedules: u64,
    /// In which time.
    pub(crate) time: Duration,
    /// Submissions that were acknowledged, refused, and neither.
    pub(crate) submissions: [u64; 3],
    /// The shortest schedule known to break a promise.
    pub(crate) broken: Option<(Vec<Operation>, Outcome)>,
}

impl Search {
    /// Runs schedules until one breaks a promise, or they are enough.
    pub(crate) fn run(&self) -> Searched {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        let chance = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), chance);
        let strategy = schedule(LONGEST, self.second);
        let started = Instant::now();
        let mut searched = Searched { schedules: 0, time: Duration::ZERO, submissions: [0; 3], broken: None };
        while searched.schedules < self.most
            && (searched.schedules < self.least || started.elapsed() < self.time)
        {
            let mut tree = strategy.new_tree(&mut runner).expect("a list of operations can always be made");
            let outcome = self.one(&tree.current());
            searched.schedules += 1;
            searched.time = started.elapsed();
            for (sum, more) in searched.submissions.iter_mut().zip(outcome.submissions) {
                *sum += more;
            }
            if !outcome.wrong.is_empty() {
                searched.broken = Some(self.shorten(&mut tree, outcome));
                break;
            }
        }
        searched
    }

    fn one(&self, operations: &[Operation]) -> Outcome {
        let mut outcome = run(operations, self.lie, false);
        outcome.wrong.retain(|words| (self.counts)(words));
        outcome
    }

    /// Makes a schedule shorter for as long as it breaks a promise.
    fn shorten(
        &self,
        tree: &mut impl proptest::strategy::ValueTree<Value = Vec<Operation>>,
        outcome: Outcome,
    ) -> (Vec<Operation>, Outcome) {
        let started = Instant::now();
        let mut shortest = (tree.current(), outcome);
        let mut goes_on = tree.simplify();
        while goes_on && started.elapsed() < SHRINKING {
            let operations = tree.current();
            let outcome = self.one(&operations);
            goes_on = if outcome.wrong.is_empty() {
                tree.complicate()
            } else {
                shortest = (operations, outcome);
                tree.simplify()
            };
        }
        shortest
    }
}
