//! Schedules that once broke a promise.

use crate::lies::Lie;
use crate::operation::Operation::{self, Crash, Lose, Pass, Repeat, Run, Spoil, Start, Submit};
use crate::operation::Spoilt;
use crate::runs::run;

fn keeps_every_promise(operations: &[Operation]) {
    let outcome = run(operations, Lie::None, true);
    assert!(outcome.wrong.is_empty(), "{:#?}\n{}", outcome.wrong, outcome.told.join("\n"));
}

/// A replacement is refused because its target is not there yet; a copy of its registration comes when it is.
#[test]
fn a_registration_that_was_refused_is_not_committed_by_a_copy_that_comes_late() {
    keeps_every_promise(&[
        Submit { key: 1, other: false, second: false },
        Submit { key: 0, other: false, second: false },
        Run { steps: 6 },
        Lose { pick: 0, silent: false },
        Run { steps: 2 },
        Repeat { pick: 0 },
    ]);
}

/// The repository has forgotten who the patient is, asks, and is answered with something that is no answer.
#[test]
fn an_answer_about_a_patient_that_cannot_be_read_is_no_reason_to_refuse_a_submission() {
    for how in [Spoilt::Rubbish, Spoilt::Empty] {
        keeps_every_promise(&[
            Submit { key: 0, other: false, second: false },
            Pass { tenths: 2 },
            Crash { actor: 1 },
            Start { actor: 1 },
            Spoil { pick: 0, how },
            Submit { key: 0, other: false, second: false },
            Run { steps: 3 },
        ]);
    }
}

/// Both stage the bytes, and only one of them is in the registration that was first.
#[test]
fn a_submission_that_was_sent_to_two_repositories_leaves_no_second_copy() {
    keeps_every_promise(&[
        Submit { key: 4, other: false, second: false },
        Submit { key: 4, other: false, second: true },
    ]);
    keeps_every_promise(&[
        Submit { key: 0, other: false, second: true },
        Submit { key: 0, other: false, second: false },
        Submit { key: 0, other: false, second: false },
    ]);
}
