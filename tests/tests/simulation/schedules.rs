//! Any schedule keeps the promises.

use std::time::Duration;

use crate::lies::Lie;
use crate::operation::Operation;
use crate::runs::{Search, run};

/// A whole number of the environment.
pub(crate) fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, not {value:?}")))
}

#[test]
fn no_schedule_breaks_a_promise() {
    let seed = variable("SIMULATION_SEED").unwrap_or(1);
    let asked = variable("SIMULATION_SCHEDULES");
    let search = Search {
        seed,
        least: asked.unwrap_or(50),
        most: asked.unwrap_or(u64::MAX),
        time: Duration::from_secs(10),
        second: variable("SIMULATION_SECOND").map_or(0.2, |percent| percent as f64 / 100.0),
        lie: Lie::None,
        counts: |_| true,
    };
    let searched = search.run();
    let rate = searched.schedules as f64 / searched.time.as_secs_f64();
    let [acknowledged, refused, neither] = searched.submissions;
    println!(
        "seed {seed}: {} schedules in {:.1} s, {rate:.0} a second; submissions acknowledged {acknowledged}, \
         refused {refused}, neither {neither}",
        searched.schedules,
        searched.time.as_secs_f64()
    );
    if let Some((operations, outcome)) = searched.broken {
        let told = run(&operations, Lie::None, true).told.join("\n");
        panic!("seed {seed}, schedule {}: {:#?}\n{operations:?}\n{told}", searched.schedules, outcome.wrong);
    }
}

#[test]
fn a_schedule_runs_the_same_way_every_time() {
    use Operation::{Crash, Lose, Merge, Pass, Repeat, Run, Search, Start, Submit};
    let operations = [
        Submit { key: 0, other: false, second: false },
        Submit { key: 0, other: false, second: true },
        Submit { key: 3, other: true, second: false },
        Run { steps: 9 },
        Repeat { pick: 1 },
        Lose { pick: 0, silent: true },
        Submit { key: 1, other: false, second: false },
        Merge { back: false },
        Run { steps: 12 },
        Crash { actor: 1 },
        Search { patient: 0 },
        Pass { tenths: 160 },
        Start { actor: 1 },
        Submit { key: 2, other: false, second: false },
        Pass { tenths: 20 },
    ];
    let first = run(&operations, Lie::None, true);
    for _ in 0..5 {
        let again = run(&operations, Lie::None, true);
        assert_eq!(again.trace, first.trace, "{:#?}\n{:#?}", first.told, again.told);
        assert_eq!(again.submissions, first.submissions);
    }
}

#[test]
fn a_document_is_updated_between_other_things() {
    use Operation::{Pass, Repeat, Run, Search, Submit, Update};
    let operations = [
        Submit { key: 0, other: false, second: false },
        Pass { tenths: 20 },
        Search { patient: 0 },
        Pass { tenths: 10 },
        Update { key: 0, document: 0, guarded: true },
        Update { key: 0, document: 0, guarded: false },
        Submit { key: 1, other: false, second: false },
        Update { key: 0, document: 0, guarded: false },
        Run { steps: 3 },
        Repeat { pick: 0 },
        Pass { tenths: 20 },
        Search { patient: 0 },
        Pass { tenths: 10 },
    ];
    let outcome = run(&operations, Lie::None, true);
    assert!(outcome.wrong.is_empty(), "{:#?}\n{}", outcome.wrong, outcome.told.join("\n"));
    assert!(outcome.updates >= 2, "updates are acknowledged: {}", outcome.told.join("\n"));
}
