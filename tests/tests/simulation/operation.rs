//! What a schedule is made of: what clients ask, and what befalls messages, actors, disks and clocks.

use proptest::prelude::*;

/// One step of a schedule. A `pick` is a place in the queue of what is under way, counted round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A source submits; `other`: with other content under the same key; `second`: to the second repository.
    Submit { key: u8, other: bool, second: bool },
    /// A consumer asks for all documents of a patient.
    Search { patient: u8 },
    /// A consumer follows the URL of a document that a search has shown.
    Retrieve { key: u8, document: u8 },
    /// A source updates what is said about a document that a search has shown; `guarded`: only the version it has seen.
    Update { key: u8, document: u8, guarded: bool },
    /// A patient is merged into the other one: the second into the first, or the other way.
    Merge { back: bool },
    /// A merge of that patient is undone.
    Unmerge { patient: u8 },
    /// Whoever reviews what stayed with a survivor decides about the first item there is.
    Decide { moves: bool },
    /// A repository settles what is in doubt.
    Settle { second: bool },
    /// So many messages and commits go on, in their order.
    Run { steps: u8 },
    /// One of them goes first.
    Deliver { pick: u8 },
    /// So many tenths of a second pass, and messages flow.
    Pass { tenths: u16 },
    /// So many tenths of a second pass, and nothing moves.
    Stall { tenths: u16 },
    /// A message is lost; `silent`: its sender does not even hear of a broken connection.
    Lose { pick: u8, silent: bool },
    /// A request arrives twice.
    Repeat { pick: u8 },
    /// A message or a commit waits until it is released.
    Hold { pick: u8 },
    /// One that waits goes on.
    Release { pick: u8 },
    /// An answer between actors becomes something else; if none is under way, the next one does.
    Spoil { pick: u8, how: Spoilt },
    /// A commit finds no room; if none is under way, the next one does not.
    Refuse { pick: u8 },
    /// A commit's sync fails, with the bytes written or not; nothing more is written until the actor starts again.
    Break { pick: u8, written: bool },
    /// A request is given up at the place it has come to, as when its caller hangs up or its time is over.
    Abandon { pick: u8 },
    /// An actor ends; nothing in its memory is left.
    Crash { actor: u8 },
    /// An actor that ended starts again.
    Start { actor: u8 },
    /// The wall clock is set.
    Jump { seconds: i16 },
}

/// What an answer becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoilt {
    /// 500 without a body.
    Failure,
    /// 503 of something in between.
    Unavailable,
    /// 200 with bytes that mean nothing.
    Rubbish,
    /// 200 with an empty object.
    Empty,
}

/// Any schedule of at most so many operations; `second`: how often a submission goes to the second repository.
pub(crate) fn schedule(longest: usize, second: f64) -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(second), 1..longest)
}

fn operation(second: f64) -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => submit(second),
        2 => (0..2u8).prop_map(|patient| Operation::Search { patient }),
        2 => (0..5u8, 0..3u8).prop_map(|(key, document)| Operation::Retrieve { key, document }),
        2 => (0..5u8, 0..3u8, any::<bool>())
            .prop_map(|(key, document, guarded)| Operation::Update { key, document, guarded }),
        2 => merging(),
        1 => any::<bool>().prop_map(|second| Operation::Settle { second }),
        10 => (1..24u8).prop_map(|steps| Operation::Run { steps }),
        4 => passing(),
        10 => befalling(),
        3 => ending(),
    ]
}

fn merging() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => prop::bool::weighted(0.3).prop_map(|back| Operation::Merge { back }),
        3 => (0..2u8).prop_map(|patient| Operation::Unmerge { patient }),
        1 => any::<bool>().prop_map(|moves| Operation::Decide { moves }),
    ]
}

fn submit(second: f64) -> impl Strategy<Value = Operation> {
    let other = prop::bool::weighted(0.2);
    let second = prop::bool::weighted(second);
    (0..5u8, other, second).prop_map(|(key, other, second)| Operation::Submit { key, other, second })
}

fn passing() -> impl Strategy<Value = Operation> {
    let tenths = || prop::sample::select(vec![2u16, 10, 25, 60, 160, 700]);
    prop_oneof![
        3 => tenths().prop_map(|tenths| Operation::Pass { tenths }),
        2 => tenths().prop_map(|tenths| Operation::Stall { tenths }),
        1 => prop::sample::select(vec![-7200i16, -90, 90, 7200]).prop_map(|seconds| Operation::Jump { seconds }),
    ]
}

fn befalling() -> impl Strategy<Value = Operation> {
    let pick = || 0..8u8;
    let how =
        prop::sample::select(vec![Spoilt::Failure, Spoilt::Unavailable, Spoilt::Rubbish, Spoilt::Empty]);
    prop_oneof![
        3 => pick().prop_map(|pick| Operation::Deliver { pick }),
        4 => (pick(), any::<bool>()).prop_map(|(pick, silent)| Operation::Lose { pick, silent }),
        2 => pick().prop_map(|pick| Operation::Repeat { pick }),
        3 => pick().prop_map(|pick| Operation::Hold { pick }),
        2 => pick().prop_map(|pick| Operation::Release { pick }),
        2 => (pick(), how).prop_map(|(pick, how)| Operation::Spoil { pick, how }),
        1 => pick().prop_map(|pick| Operation::Refuse { pick }),
        1 => (pick(), any::<bool>()).prop_map(|(pick, written)| Operation::Break { pick, written }),
        1 => pick().prop_map(|pick| Operation::Abandon { pick }),
    ]
}

fn ending() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (0..4u8).prop_map(|actor| Operation::Crash { actor }),
        (0..4u8).prop_map(|actor| Operation::Start { actor }),
    ]
}
