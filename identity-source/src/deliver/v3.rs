//! Patient Identity Feed HL7 V3 [ITI-44]: a change as messages, and what their answers say.

use bytes::Bytes;
use ebxml::addressing::Addressing;
use ebxml::reader::{self, Limits};
use ebxml::soap::{self, Envelope};
use hl7v3::acknowledgement::{self, Code};
use hl7v3::{Event, InstanceId, Sending, feed};
use jiff::Timestamp;
use web::PeerAnswer;

use super::adt::{self, Head, Step, Unsaid};
use super::answer::{Judged, Refusal, code};
use super::told::Told;
use crate::pid::Named;

/// One message with what HTTP has to say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// `wsa:Action`.
    pub(crate) action: &'static str,
    /// The id of the message of HL7 v3, which its answer repeats.
    pub(crate) id: String,
    /// The envelope.
    pub(crate) body: Bytes,
}

/// The messages of a change, in order, what cannot be said, and whether a refusal is no reason to try again.
pub(crate) fn letters(told: &Told, head: &Head<'_>) -> (Vec<Letter>, Option<Unsaid>, bool) {
    let (steps, unsaid) = adt::steps(told, head.receiver);
    let letters = steps.into_iter().enumerate().map(|(index, step)| letter(told, head, index, step));
    (letters.collect(), unsaid, told.is_tolerant())
}

fn letter(told: &Told, head: &Head<'_>, index: usize, step: Step) -> Letter {
    let settings = &head.receiver.settings;
    let event = match &step {
        Step::Add(_) => Event::Added,
        Step::Revise(_) => Event::Revised,
        Step::Merge { .. } => Event::DuplicatesResolved,
    };
    let (own, gone, patient) = match step {
        Step::Add(own) | Step::Revise(own) => (own, None, &told.record.patient),
        Step::Merge { gone, kept } => {
            let about = told.survivor.as_ref().map_or(&told.record.patient, |survivor| &survivor.patient);
            (vec![kept], Some(gone), about)
        }
    };
    let name = format!("{}/{index}", head.name);
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string();
    let created = Timestamp::from_microsecond(head.instant).unwrap_or(Timestamp::UNIX_EPOCH);
    let created = created.strftime("%Y%m%d%H%M%S").to_string();
    let sending = Sending {
        id: &id,
        created: &created,
        sender: &settings.sending_application,
        receiver: &settings.receiving_application,
    };
    let instances = |named: &[Named]| named.iter().map(instance).collect::<Vec<_>>();
    let (identifiers, replaced) = (instances(&own), instances(gone.as_slice()));
    let roots = |system: &str| head.receiver.root(system);
    let body = feed::write(
        event,
        &sending,
        &feed::Told {
            patient,
            identifiers: &identifiers,
            others: &[],
            replaced: &replaced,
            organization: &settings.sending_application,
            roots: &roots,
        },
    );
    // The same message comes under a MessageID of its own each time: what is not repeated is the id within.
    let addressing =
        Addressing::of_request(event.action(), &format!("urn:uuid:{}", uuid::Uuid::new_v4()), &settings.url);
    Letter { action: event.action(), id, body: soap::message(&addressing, &body).into() }
}

fn instance(named: &Named) -> InstanceId {
    let authority = named.authority.namespace.clone();
    InstanceId { root: named.authority.universal_id.clone(), extension: named.value.clone(), authority }
}

/// What an answer says of the message of this id; none: nothing of the message, but of the place it went to.
pub(crate) fn judged(answer: &PeerAnswer, id: &str) -> Option<Judged> {
    let Some(envelope) = envelope(&answer.body) else {
        // A place where no such messages are taken, or which does not know us, judges none of them.
        return (!(400..500).contains(&answer.status)).then(|| {
            Judged::Rubbish(format!("it answered with status {} and no SOAP message", answer.status))
        });
    };
    if let Some(fault) = envelope.fault() {
        let words = format!("a SOAP fault, {}", fault_code(fault.code));
        let passes = fault.code == soap::Code::Receiver;
        return Some(Judged::Refused(Refusal { words, passes }));
    }
    let Some(told) = acknowledgement::read(&envelope.body) else {
        return Some(Judged::Rubbish("its answer is no MCCI_IN000002UV01".to_owned()));
    };
    if told.target.root != id && told.target.extension != id {
        return Some(Judged::Rubbish("its answer is to another message".to_owned()));
    }
    Some(match told.code {
        Code::Accept => Judged::Taken,
        Code::Error | Code::Reject => {
            let codes = told.details.iter().filter_map(|detail| code(detail.split(':').next()?));
            let codes: Vec<String> = codes.filter(|code| code.bytes().any(|b| b.is_ascii_digit())).collect();
            let passes = codes.iter().any(|code| matches!(code.as_str(), "KEY206" | "INTERR"));
            let words = std::iter::once(told.code.as_str().to_owned()).chain(codes).collect::<Vec<_>>();
            Judged::Refused(Refusal { words: words.join(" "), passes })
        }
    })
}

fn envelope(body: &[u8]) -> Option<Envelope> {
    // A package of parts is unusual here; its root is found by what it begins with.
    let start = body.windows(5).position(|five| five == b"<?xml" || five.starts_with(b"<"))?;
    let end = body.iter().rposition(|byte| *byte == b'>')?;
    let root = reader::read(body.get(start..=end)?, &Limits::default()).ok()?;
    Envelope::read(root).ok()
}

fn fault_code(code: soap::Code) -> &'static str {
    match code {
        soap::Code::Sender => "Sender",
        soap::Code::Receiver => "Receiver",
        soap::Code::MustUnderstand => "MustUnderstand",
        soap::Code::VersionMismatch => "VersionMismatch",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> Option<Judged> {
        let addressing = Addressing::of_request("answer", "urn:uuid:1", "http://nobody.example");
        let body = match body {
            "" => Bytes::new(),
            body => soap::message(&addressing, body.as_bytes()).into(),
        };
        judged(&PeerAnswer { status, headers: http::HeaderMap::new(), body }, "m-1")
    }

    fn acknowledged(code: &str, id: &str, detail: &str) -> String {
        format!(
            "<MCCI_IN000002UV01 xmlns=\"urn:hl7-org:v3\"><acknowledgement><typeCode code=\"{code}\"/>\
             <targetMessage><id root=\"{id}\"/></targetMessage><acknowledgementDetail>{detail}</acknowledgementDetail>\
             </acknowledgement></MCCI_IN000002UV01>"
        )
    }

    #[test]
    fn an_answer_is_judged_by_its_codes() {
        let refused =
            |words: &str, passes| Some(Judged::Refused(Refusal { words: words.to_owned(), passes }));
        let detail = "<code code=\"KEY204\"/><text>Mohr is unknown</text>";
        assert_eq!(said(200, &acknowledged("CA", "m-1", "")), Some(Judged::Taken));
        assert_eq!(said(200, &acknowledged("CE", "m-1", detail)), refused("CE KEY204", false));
        assert_eq!(
            said(200, &acknowledged("CE", "m-1", "<code code=\"KEY206\"/>")),
            refused("CE KEY206", true)
        );
        assert_eq!(said(200, &acknowledged("CE", "m-1", "<text>Mohr</text>")), refused("CE", false));
        assert!(matches!(said(200, &acknowledged("CA", "m-2", "")), Some(Judged::Rubbish(_))));
        assert_eq!(said(404, ""), None, "the place is wrong, not the message");
        assert!(matches!(said(500, ""), Some(Judged::Rubbish(_))));
    }
}
