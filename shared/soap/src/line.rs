//! The table of a door: which message is which transaction.

use ebxml::soap::{Envelope, Fault, Subcode};
use futures_util::future::LocalBoxFuture;
use web::{Answer, Request};
use xds::Finding;

use crate::call::Call;

/// Writes the element of the body that tells findings: a `RegistryResponse`, or what the transaction puts around it.
pub type Refusing = fn(&[Finding]) -> Vec<u8>;

/// One line of the table. `A` is the actor.
pub struct Line<A: 'static> {
    /// `wsa:Action` of the request.
    pub action: &'static str,
    /// `wsa:Action` of the answer.
    pub reply: &'static str,
    /// Namespace and name of the element of the body. Where several lines have the same one, a message that names no action is
    /// for the first of them.
    pub body: (&'static str, &'static str),
    /// `ITI-42`, for audit, metrics and logs.
    pub transaction: &'static str,
    /// Whether documents come with it.
    pub documents: bool,
    /// How the transaction tells that it was refused.
    pub refusal: Refusing,
    /// What answers it. It walks the corridor.
    pub serve: for<'a> fn(&'a A, &'a mut Request, Call) -> LocalBoxFuture<'a, Answer>,
}

/// Actions of document sharing whose wrong place is a slip of a client, not something unknown.
const ELSEWHERE: &[&str] = &[
    "urn:ihe:iti:2007:RegistryStoredQuery",
    "urn:ihe:iti:2007:RetrieveDocumentSet",
    "urn:ihe:iti:2007:CrossGatewayQuery",
    "urn:ihe:iti:2007:CrossGatewayRetrieve",
];

/// The line a message is for.
pub(crate) fn find<A>(lines: &'static [Line<A>], envelope: &Envelope) -> Result<&'static Line<A>, Fault> {
    let body = &envelope.body;
    let fits = |line: &&Line<A>| body.is(line.body.0, line.body.1);
    let Some(action) = envelope.addressing.action.as_deref() else {
        return lines.iter().find(fits).ok_or_else(|| {
            Fault::sender(format!(
                "The message names no wsa:Action, and the element of its body is none this endpoint takes. {} Nothing was stored.",
                accepted(lines)
            ))
            .named(Subcode::MessageAddressingHeaderRequired)
        });
    };
    let named = lines.iter().find(|line| line.action == action);
    // The action of another endpoint around a body of this one: what is asked for is beyond doubt.
    let meant = || lines.iter().find(fits).filter(|_| ELSEWHERE.contains(&action));
    let line = named.or_else(meant).ok_or_else(|| {
        let text =
            format!("The wsa:Action is none of this endpoint. {} Nothing was stored.", accepted(lines));
        Fault::sender(text).named(Subcode::ActionNotSupported).with("ProblemAction", shortened(action))
    })?;
    if fits(&line) {
        return Ok(line);
    }
    Err(Fault::sender(format!(
        "The wsa:Action asks for {}, whose body is {} of {}; {} was sent. Nothing was stored.",
        line.transaction,
        line.body.1,
        line.body.0,
        sent(envelope)
    )))
}

/// The element that came instead.
fn sent(envelope: &Envelope) -> String {
    let (name, namespace) = (shortened(&envelope.body.name), shortened(&envelope.body.namespace));
    if namespace.is_empty() { format!("{name} of no namespace") } else { format!("{name} of {namespace}") }
}

fn accepted<A>(lines: &[Line<A>]) -> String {
    // Other spellings of an action are taken, and not recommended.
    let is_first = |at: usize| {
        let same = |one: &Line<A>| (one.transaction, one.body) == (lines[at].transaction, lines[at].body);
        !lines[..at].iter().any(same)
    };
    let first = (0..lines.len()).filter(|at| is_first(*at)).map(|at| &lines[at]);
    let actions: Vec<String> = first.map(|line| format!("{} ({})", line.action, line.transaction)).collect();
    if actions.is_empty() {
        return "No transaction is offered here.".to_owned();
    }
    format!("Accepted are {}.", actions.join(", "))
}

/// An action as a fault repeats it.
fn shortened(action: &str) -> String {
    action.chars().take(200).collect()
}
