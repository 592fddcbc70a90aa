//! ADT messages: Patient Identity Feed [ITI-8] in version 2.3.1, PIX Update Notification [ITI-10] in version 2.5.

use hl7v2::{Charset, Message, Separators};
use jiff::Timestamp;
use serde_json::Value;
use xds::Identifier;

use super::answer::{Judged, Refusal};
use super::told::{Told, What};
use crate::pid::{self, Beside, Named};
use crate::receivers::Known;

/// What one message of the outbox comes to for a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// The messages, in order.
    pub(crate) messages: Vec<Vec<u8>>,
    /// What the receiver's protocol has no word for, so that an operator has to see to it.
    pub(crate) unsaid: Option<Unsaid>,
    /// Whether a refusal is no reason to try again.
    pub(crate) tolerant: bool,
}

/// What cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unsaid {
    /// That a merge was undone.
    Unmerged,
    /// That a record is no more, or not in use.
    Removed,
    /// That an identifier names a record no longer: its source has dropped it, or another record has it now.
    Renamed,
    /// That a record was merged into one that has no identifier of its domain.
    MergedElsewhere,
}

impl Unsaid {
    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Unsaid::Unmerged => "a merge was undone",
            Unsaid::Removed => "a patient was removed",
            Unsaid::Renamed => "a patient no longer has one of its identifiers",
            Unsaid::MergedElsewhere => {
                "a patient was merged into one without an identifier of the same domain"
            }
        }
    }
}

/// The head of a message: who sends it under which name.
pub(crate) struct Head<'a> {
    /// To whom, and as whom.
    pub(crate) receiver: &'a Known,
    /// A name for the message: the same whenever it is sent.
    pub(crate) name: &'a str,
    /// When what it tells happened.
    pub(crate) instant: i64,
}

/// What ITI-8 and ITI-44 tell of a change; their words differ, their plan does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The patient is known by these identifiers.
    Add(Vec<Named>),
    /// More, or other things, are known of it.
    Revise(Vec<Named>),
    /// The first is no more; whom it named, the other names.
    Merge {
        /// MRG-1.
        gone: Named,
        /// PID-3.
        kept: Named,
    },
}

/// What is to be said of a change to a receiver of ITI-8 or ITI-44.
pub(crate) fn steps(told: &Told, receiver: &Known) -> (Vec<Step>, Option<Unsaid>) {
    let interest = &receiver.interest;
    let own = receiver.named(&told.record.identifiers);
    match told.what {
        What::Stands | What::Created | What::Revised => match (own.is_empty(), told.active) {
            // All it was known by there; if another record has that now, it is told of under it, and nothing is left to be said.
            (true, _) => (Vec::new(), (told.loses(interest) && !told.handed).then_some(Unsaid::Renamed)),
            // A record that goes out of use without a survivor has no event of its own.
            (false, false) => (Vec::new(), interest.any(&told.before).then_some(Unsaid::Removed)),
            (false, true) => {
                // Neither standard takes an identifier from a patient: a revision without it leaves it, and registries ignore that.
                let unsaid = told.loses(interest).then_some(Unsaid::Renamed);
                let is_new = told.what != What::Revised || told.adds(interest);
                (vec![if is_new { Step::Add(own) } else { Step::Revise(own) }], unsaid)
            }
        },
        What::Merged => {
            let pairs = told.merges(interest);
            let unsaid =
                (pairs.len() < receiver.named(&told.known()).len()).then_some(Unsaid::MergedElsewhere);
            let merge = |(gone, kept): ((String, String), (String, String))| {
                let (mut gone, mut kept) = (receiver.named(&[gone]), receiver.named(&[kept]));
                Some(Step::Merge { gone: gone.pop()?, kept: kept.pop()? })
            };
            (pairs.into_iter().filter_map(merge).collect(), unsaid)
        }
        // Neither standard undoes a merge: the record is told as if it were new, which receivers that can revive an
        // identifier understand.
        What::Unmerged if own.is_empty() => (Vec::new(), None),
        What::Unmerged => (vec![Step::Add(own)], Some(Unsaid::Unmerged)),
        What::Removed => (Vec::new(), interest.any(&told.before).then_some(Unsaid::Removed)),
    }
}

/// The messages of ITI-8.
pub(crate) fn feed(told: &Told, head: &Head<'_>) -> Plan {
    let receiver = head.receiver;
    let (steps, unsaid) = steps(told, receiver);
    let beside = Beside {
        mother: receiver.beside(fhir::patient::mothers_identifiers(&told.record.patient)),
        accounts: receiver.beside(fhir::patient::accounts(&told.record.patient).filter_map(account)),
    };
    let message = |(index, step): (usize, Step)| {
        let (trigger, structure) = match &step {
            Step::Add(_) => ("A04", "ADT_A01"),
            Step::Revise(_) => ("A08", "ADT_A01"),
            Step::Merge { .. } => ("A40", "ADT_A39"),
        };
        let mut segments = vec![evn(trigger, head.instant)];
        match &step {
            Step::Add(own) | Step::Revise(own) => {
                segments.push(pid::segment(&told.record.patient, own, &beside));
                segments.push(PV1.to_owned());
            }
            Step::Merge { gone, kept } => {
                let about = told.survivor.as_ref().map(|survivor| &survivor.patient);
                let about = about.unwrap_or(&told.record.patient);
                segments.push(pid::segment(about, std::slice::from_ref(kept), &Beside::default()));
                segments.push(format!("MRG|{}", pid::cx(gone)));
            }
        }
        written(head, index, (trigger, structure), "2.3.1", &segments)
    };
    let tolerant = told.is_tolerant();
    Plan { messages: steps.into_iter().enumerate().map(message).collect(), unsaid, tolerant }
}

/// The number of an account; it may have no system.
fn account(item: &Value) -> Option<Identifier> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(Identifier { system: text("system").unwrap_or_default(), value: text("value")? })
}

/// PIX Update Notification: the names of one person, in the domains the receiver wants.
pub(crate) fn notification(identifiers: &[Named], head: &Head<'_>) -> Vec<u8> {
    let segments = [evn("A31", head.instant), format!("PID|||{}|| ", pid::cxs(identifiers)), PV1.to_owned()];
    written(head, 0, ("A31", "ADT_A05"), "2.5", &segments)
}

/// A visit there is none of.
const PV1: &str = "PV1||N";

fn evn(trigger: &str, instant: i64) -> String {
    format!("EVN|{trigger}|{}", moment(instant))
}

/// `YYYYMMDDHHMMSS+0000`.
fn moment(instant: i64) -> String {
    let time = Timestamp::from_microsecond(instant).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y%m%d%H%M%S+0000").to_string()
}

fn written(
    head: &Head<'_>,
    index: usize,
    (trigger, structure): (&str, &str),
    version: &str,
    segments: &[String],
) -> Vec<u8> {
    let Known { settings, charset, .. } = head.receiver;
    let parties = [
        &settings.sending_application,
        &settings.sending_facility,
        &settings.receiving_application,
        &settings.receiving_facility,
    ];
    let [sender, facility, receiver, at] = parties.map(String::as_str);
    let time = moment(head.instant);
    let id = control_id(head.name, index);
    let letters = match charset {
        Charset::Unsaid => "",
        Charset::Ascii => "||||||ASCII",
        Charset::Latin1 => "||||||8859/1",
        Charset::Utf8 => "||||||UNICODE UTF-8",
    };
    let mut out = format!(
        "MSH|^~\\&|{sender}|{facility}|{receiver}|{at}|{time}||ADT^{trigger}^{structure}|{id}|P|{version}{letters}\r"
    );
    for segment in segments {
        out.push_str(segment);
        out.push('\r');
    }
    charset.encode(&out)
}

/// MSH-10: twenty letters, the same whenever this message is sent, and no other one's.
pub(crate) fn control_id(name: &str, index: usize) -> String {
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("{name}/{index}").as_bytes());
    id.simple().to_string().chars().take(20).collect::<String>().to_uppercase()
}

/// How an acknowledgement judges its message.
pub(crate) fn judged(answer: &Message) -> Judged {
    let code = answer.field("MSA", 1).raw().trim().to_owned();
    match code.as_str() {
        "AA" | "CA" => Judged::Taken,
        "AE" | "AR" | "CE" | "CR" => {
            let condition = condition(answer);
            let mut words = code;
            if let Some(number) = condition {
                words.push_str(&format!(" {number}"));
                words.push_str(named(number));
            }
            if let Some(place) = place(answer) {
                words.push_str(&format!(" at {place}"));
            }
            // Locked, and internal error: about the moment, not about the message.
            Judged::Refused(Refusal { words, passes: matches!(condition, Some(206 | 207)) })
        }
        _ => Judged::Rubbish("its answer has a code in MSA-1 that is none".to_owned()),
    }
}

/// The number of table 0357, wherever versions put it.
fn condition(answer: &Message) -> Option<u16> {
    let since25 = answer.field("ERR", 3).component(1);
    let before = answer.field("ERR", 1).component(4).subcomponent(1);
    let in_msa = answer.field("MSA", 6).component(1);
    [since25, before, in_msa].into_iter().find_map(|part| part.raw().trim().parse().ok())
}

/// Its name there. Words of the receiver are not repeated: they may speak of the patient.
fn named(number: u16) -> &'static str {
    match number {
        100 => " (segment sequence error)",
        101 => " (required field missing)",
        102 => " (data type error)",
        103 => " (table value not found)",
        200 => " (unsupported message type)",
        201 => " (unsupported event code)",
        202 => " (unsupported processing id)",
        203 => " (unsupported version id)",
        204 => " (unknown key identifier)",
        205 => " (duplicate key identifier)",
        206 => " (application record locked)",
        207 => " (application internal error)",
        _ => "",
    }
}

/// Segment and field, as far as they are names and numbers.
fn place(answer: &Message) -> Option<String> {
    let since25 = answer.field("ERR", 2);
    let (of, field) = if since25.is_empty() {
        (answer.field("ERR", 1).component(1), answer.field("ERR", 1).component(3))
    } else {
        (since25.component(1), since25.component(3))
    };
    let segment = of.raw().trim();
    let is_name = segment.len() == 3 && segment.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let field: Option<u8> = field.raw().trim().parse().ok();
    match (is_name, field) {
        (true, Some(field)) => Some(format!("{segment}-{field}")),
        (true, None) => Some(segment.to_owned()),
        (false, _) => None,
    }
}

/// A text as it may stand in MSH-3 to MSH-6: an HD, whose parts are parted by `&` in the configuration.
pub(crate) fn party(written: &str) -> String {
    let separators = Separators::default();
    written.split(['&', '^']).map(|part| separators.escape(part.trim())).collect::<Vec<_>>().join("^")
}

#[cfg(test)]
mod tests {
    use hl7v2::Limits;

    use super::*;

    fn said(answer: &str) -> Judged {
        let text = format!("MSH|^~\\&|R|R|S|S|20260101||ACK|1|P|2.5\r{answer}");
        judged(&Message::read(text.as_bytes(), &Limits::AMPLE).expect("it is a message"))
    }

    #[test]
    fn a_refusal_is_told_by_its_codes_and_never_in_the_receivers_words() {
        let since25 = "MSA|AE|1|Mohr is unknown\rERR||PID^1^3|204^Mohr|E||||Mohr is unknown\r";
        let before = "MSA|AR|1|Mohr\rERR|MSH^1^9^201&no&HL70357\r";
        for (answer, words, passes) in [
            (since25, "AE 204 (unknown key identifier) at PID-3", false),
            (before, "AR 201 (unsupported event code) at MSH-9", false),
            ("MSA|AE|1||||206^locked\r", "AE 206 (application record locked)", true),
            ("MSA|CE|1|Mohr\rERR||Mohr^1|Mohr\r", "CE", false),
        ] {
            assert_eq!(
                said(answer),
                Judged::Refused(Refusal { words: words.to_owned(), passes }),
                "{answer}"
            );
        }
        assert_eq!(said("MSA|CA|1\r"), Judged::Taken);
        assert!(matches!(said("MSA|??|1\r"), Judged::Rubbish(_)));
    }
}
