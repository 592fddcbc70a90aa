//! The simulation itself is tried: with one step of the protocol left out it must see a broken promise.
//!
//! Each double is tried with the shortest schedule that shows it, which the real actors pass; with `SIMULATION_SCHEDULES` also
//! by chance, as a bug nobody has thought of would have to be found.

use std::time::Duration;

use crate::lies::Lie;
use crate::operation::Operation::{self, Crash, Hold, Lose, Pass, Run, Start, Submit};
use crate::runs::{Search, run};
use crate::schedules::variable;

const FIRST: Operation = Submit { key: 0, other: false, second: false };

fn is_seen(lie: Lie, operations: &[Operation], counts: fn(&str) -> bool) {
    let sound = run(operations, Lie::None, true);
    assert!(sound.wrong.is_empty(), "the real actors: {:#?}\n{}", sound.wrong, sound.told.join("\n"));
    let outcome = run(operations, lie, true);
    assert!(outcome.wrong.iter().any(|words| counts(words)), "{lie:?}\n{}", outcome.told.join("\n"));
    if let Some(most) = variable("SIMULATION_SCHEDULES") {
        is_found(lie, most, counts);
    }
}

fn is_found(lie: Lie, most: u64, counts: fn(&str) -> bool) {
    let search = Search { seed: 1, least: most, most, time: Duration::ZERO, second: 0.0, lie, counts };
    let searched = search.run();
    let Some((operations, outcome)) = searched.broken else {
        panic!("{lie:?} was not found in {} schedules", searched.schedules);
    };
    println!("{lie:?} found by schedule {}: {:?} {operations:?}", searched.schedules, outcome.wrong);
}

fn is_without_bytes(words: &str) -> bool {
    words.starts_with("I3 ") || words.starts_with("I10 ")
}

/// A registration is held back while the repository starts again and settles it; then it arrives.
const HELD_BACK: &[Operation] =
    &[FIRST, Run { steps: 4 }, Hold { pick: 0 }, Crash { actor: 1 }, Start { actor: 1 }, Pass { tenths: 60 }];

#[test]
fn a_registry_that_promises_without_raising_its_fence_is_seen() {
    is_seen(Lie::NoFence, HELD_BACK, is_without_bytes);
}

#[test]
fn a_registry_that_takes_attempts_that_were_given_up_is_seen() {
    is_seen(Lie::FencedAttempts, HELD_BACK, is_without_bytes);
}

#[test]
fn a_repository_that_takes_a_lost_answer_for_a_request_never_sent_is_seen() {
    let operations = [FIRST, Run { steps: 6 }, Lose { pick: 0, silent: false }, Pass { tenths: 2 }];
    is_seen(Lie::NeverSent, &operations, is_without_bytes);
}

#[test]
fn a_registry_that_answers_before_it_has_committed_is_seen() {
    let operations = [FIRST, Run { steps: 5 }, Crash { actor: 0 }, Pass { tenths: 2 }, Start { actor: 0 }];
    // The double cannot know the id of a submission set; only documents count.
    is_seen(Lie::AnswerFirst, &operations, |words| words.starts_with("I1 document"));
}
