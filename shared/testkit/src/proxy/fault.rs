//! What can happen to a request and its answer.

use std::time::Duration;

use crate::Dice;

/// One fault, done to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A new connection to the target, opened only after this time.
    DelayConnect(Duration),
    /// The request arrives after this time.
    DelayRequest(Duration),
    /// The answer arrives after this time.
    DelayAnswer(Duration),
    /// Both connections are reset after so many bytes of the request.
    ResetRequest(usize),
    /// The request is carried out; the client's connection is reset after so many bytes of the answer.
    ResetAnswer(usize),
    /// The request is read, goes nowhere, and nothing is ever answered.
    Silent,
    /// Nothing is read any more behind the head of the request, and nothing answered.
    Deaf,
    /// The request is carried out and answered, and delivered once more after this time.
    Duplicate(Duration),
    /// The client's connection is reset, and the request delivered after this time.
    HoldBack(Duration),
    /// The request is carried out; instead of its answer come bytes that are no HTTP.
    Rubbish,
    /// The request is carried out; instead of its answer comes a 200 with JSON that says something else.
    Nonsense,
    /// Instead of the answer comes this status, without a body; the request is carried out or not.
    Status {
        /// The status.
        status: u16,
        /// Whether the request is carried out all the same.
        carried_out: bool,
    },
    /// The request is carried out; instead of its answer comes that of another request. Passes if there was none.
    OtherAnswer,
    /// The request is carried out; the connection ends orderly after so many bytes of the answer.
    Truncate(usize),
    /// The request is carried out; the connection ends without an answer.
    DropAnswer,
}

impl Fault {
    /// Its name, as it is counted.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::DelayConnect(_) => "delay-connect",
            Fault::DelayRequest(_) => "delay-request",
            Fault::DelayAnswer(_) => "delay-answer",
            Fault::ResetRequest(_) => "reset-request",
            Fault::ResetAnswer(_) => "reset-answer",
            Fault::Silent => "silent",
            Fault::Deaf => "deaf",
            Fault::Duplicate(_) => "duplicate",
            Fault::HoldBack(_) => "hold-back",
            Fault::Rubbish => "rubbish",
            Fault::Nonsense => "nonsense",
            Fault::Status { .. } => "status",
            Fault::OtherAnswer => "other-answer",
            Fault::Truncate(_) => "truncate",
            Fault::DropAnswer => "drop-answer",
        }
    }

    /// One of each kind, with delays of this length.
    pub fn each(delay: Duration) -> Vec<Fault> {
        vec![
            Fault::DelayConnect(delay),
            Fault::DelayRequest(delay),
            Fault::DelayAnswer(delay),
            Fault::ResetRequest(0),
            Fault::ResetRequest(300),
            Fault::ResetAnswer(0),
            Fault::ResetAnswer(100),
            Fault::Silent,
            Fault::Deaf,
            Fault::Duplicate(delay),
            Fault::HoldBack(delay),
            Fault::Rubbish,
            Fault::Nonsense,
            Fault::Status { status: 500, carried_out: true },
            Fault::Status { status: 503, carried_out: false },
            Fault::OtherAnswer,
            Fault::Truncate(120),
            Fault::DropAnswer,
        ]
    }

    /// Any of them, with bytes and delays of any size up to this one.
    pub fn random(dice: &mut Dice, longest: Duration) -> Fault {
        let most = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX).max(1);
        let delay = Duration::from_millis(dice.below(most));
        let near = usize::try_from(dice.below(1_500)).unwrap_or_default();
        let far = usize::try_from(dice.below(40_000)).unwrap_or_default();
        let kinds = Fault::each(delay);
        match dice.pick(&kinds).cloned().unwrap_or(Fault::DropAnswer) {
            Fault::ResetRequest(0) => Fault::ResetRequest(near),
            Fault::ResetRequest(_) => Fault::ResetRequest(far),
            Fault::ResetAnswer(_) => Fault::ResetAnswer(near),
            Fault::Truncate(_) => Fault::Truncate(near),
            other => other,
        }
    }
}
