//! Faults in words of SOAP and of XDS: one exhaustive match from each to its shape (`docs/errors`).

use actor::Fault;
use ebxml::addressing::Addressing;
use ebxml::soap::{self, Code, Subcode};
use http::{HeaderValue, header};
use web::Answer;
use xds::{Finding, Findings, Place, Rule, Side};

use crate::answer;
use crate::call::Call;

/// One word for a fault, for metrics and the audit record.
pub fn reason(fault: &Fault<Findings>) -> String {
    let word = match fault {
        Fault::Refused(findings) => findings.first().map_or("refused", |worst| worst.rule.row().code),
        other => other.told().map_or("refused", |told| told.code),
    };
    word.to_owned()
}

/// The rule by which XDS has a code for a fault; none: it is told as a SOAP fault.
fn rule<F>(fault: &Fault<F>) -> Option<Rule> {
    match fault {
        Fault::Busy(_) => Some(Rule::ActorBusy),
        Fault::NoRoom(_) | Fault::Unwritable(_) => Some(Rule::OutOfResources),
        Fault::Unavailable { peer, .. } if peer == "registry" => Some(Rule::RegistryNotAvailable),
        Fault::Unavailable { .. } => Some(Rule::ActorBusy),
        Fault::Damaged | Fault::Unreadable(_) | Fault::Internal(_) => Some(Rule::ActorFailed),
        Fault::NotFound | Fault::Gone(_) | Fault::Precondition(_) => Some(Rule::ActorFailed),
        Fault::Refused(_)
        | Fault::Unauthenticated
        | Fault::Forbidden
        | Fault::TooLarge { .. }
        | Fault::BodyLost
        | Fault::BodyBroken(_)
        | Fault::UnsupportedMedia(_)
        | Fault::NotAcceptable(_)
        | Fault::Unknown { .. } => None,
    }
}

/// The finding a fault is in the words of XDS, and the seconds after which to come again; none: XDS has no word for it.
pub(crate) fn finding<F>(fault: &Fault<F>, request_id: &str, side: Side) -> Option<(Finding, Option<u64>)> {
    let (rule, told) = (rule(fault)?, fault.told()?);
    let text = format!("{} (request {request_id})", told.text);
    Some((Finding::error(rule, Place::whole(), text).by(side), told.retry_after))
}

pub(crate) fn refuse(call: &Call, fault: &Fault<Findings>, request_id: &str) -> Answer {
    if let Fault::Refused(findings) = fault {
        return call.tell(findings);
    }
    match finding(fault, request_id, call.side) {
        Some((finding, retry)) => retrying(call.tell(&[finding]), retry),
        None => of(fault, request_id, &call.envelope.addressing),
    }
}

/// A fault as SOAP tells it. What was refused by a rule has been told otherwise.
pub(crate) fn of<F>(fault: &Fault<F>, request_id: &str, request: &Addressing) -> Answer {
    let Some(told) = fault.told() else {
        return answer::fault(&soap::Fault::sender("The message is refused."), request);
    };
    let (code, subcode) = match fault {
        Fault::Unauthenticated => (Code::Sender, Some(Subcode::InvalidSecurityToken)),
        Fault::Forbidden => (Code::Sender, Some(Subcode::FailedAuthentication)),
        _ if told.status < 500 => (Code::Sender, None),
        _ => (Code::Receiver, None),
    };
    let fault = soap::Fault { subcode, ..soap::Fault::new(code, told.text.clone()) };
    let mut answer = answer::fault(&fault.with("RequestId", request_id), request);
    answer.close = told.close;
    retrying(answer, told.retry_after)
}

pub(crate) fn retrying(answer: Answer, seconds: Option<u64>) -> Answer {
    match seconds {
        Some(seconds) => answer.with(header::RETRY_AFTER, HeaderValue::from(seconds)),
        None => answer,
    }
}
