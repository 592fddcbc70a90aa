//! The answer to a message: ACK in original mode, in the form of the sender's version.

use std::fmt::Write as _;

use crate::charset::Charset;
use crate::message::{Header, Separators};
use crate::refusal::{Location, Refusal};

/// MSA-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// `AA`: taken.
    Accept,
    /// `AE`: its content is wrong, or it could not be done.
    Error,
    /// `AR`: it is none this receiver takes.
    Reject,
}

impl Code {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Accept => "AA",
            Code::Error => "AE",
            Code::Reject => "AR",
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acknowledgement {
    /// What is wrong; nothing: it is accepted.
    pub refusals: Vec<Refusal>,
    /// What is to be said of a message that is accepted.
    pub note: Option<String>,
    /// Whether what is wrong makes it a message this receiver does not take at all (AR), whatever the condition.
    pub rejects: bool,
}

impl Acknowledgement {
    /// It is done.
    pub fn accepted() -> Acknowledgement {
        Acknowledgement::default()
    }

    /// It is not.
    pub fn refused(refusal: Refusal) -> Acknowledgement {
        Acknowledgement { refusals: vec![refusal], ..Acknowledgement::default() }
    }

    /// MSA-1.
    pub fn code(&self) -> Code {
        match self.refusals.as_slice() {
            [] => Code::Accept,
            [first, ..] if self.rejects || first.condition.rejects() => Code::Reject,
            _ => Code::Error,
        }
    }

    /// Writes it: to whom the header says, under an id and a time (`YYYYMMDDHHMMSS+ZZZZ`) of its own. Without a header it is
    /// a message of version 2.5 to nobody in particular.
    pub fn write(&self, to: Option<&Header>, id: &str, time: &str) -> Vec<u8> {
        let charset = to.map(|header| header.charset).unwrap_or_default();
        charset.encode(&self.text(to, None, id, time))
    }

    /// The same as text: MSH, MSA and ERR, of a message of another type if one is given (`RSP`, `K23`, `RSP_K23`).
    pub(crate) fn text(&self, to: Option<&Header>, kind: Option<[&str; 3]>, id: &str, time: &str) -> String {
        let unknown = Header { version: "2.5".to_owned(), ..Header::default() };
        let header = to.unwrap_or(&unknown);
        let Separators { field: f, component: c, repetition, escape, subcomponent: s } = header.separators;
        let form = Form::of(&header.version);
        let [sender, facility, receiver, at] = &header.parties;
        let event = &header.event;
        let kind = match (kind, event.is_empty(), form) {
            (Some([kind, event, structure]), _, _) => format!("{kind}{c}{event}{c}{structure}"),
            (None, true, _) => "ACK".to_owned(),
            (None, false, Form::Before24) => format!("ACK{c}{event}"),
            (None, false, _) => format!("ACK{c}{event}{c}ACK"),
        };
        let processing = if header.processing_id.is_empty() { "P" } else { &header.processing_id };
        let version = if header.version.is_empty() { "2.3.1" } else { &header.version };
        let mut out = format!(
            "MSH{f}{c}{repetition}{escape}{s}{f}{receiver}{f}{at}{f}{sender}{f}{facility}{f}{time}{f}{f}{kind}{f}{id}{f}{processing}{f}{version}"
        );
        let charset = match header.charset {
            Charset::Unsaid => None,
            Charset::Ascii => Some("ASCII"),
            Charset::Latin1 => Some("8859/1"),
            Charset::Utf8 => Some("UNICODE UTF-8"),
        };
        if let Some(charset) = charset {
            let empty = f.to_string().repeat(6);
            let _ = write!(out, "{empty}{charset}");
        }
        let first = self.refusals.first();
        let text = first.map(|refusal| refusal.text.as_str()).or(self.note.as_deref()).unwrap_or_default();
        let text = header.separators.escape(&short(text));
        let _ = write!(out, "\rMSA{f}{}{f}{}", self.code().as_str(), header.control_id);
        let condition = first.filter(|_| form != Form::Since25);
        match condition {
            Some(refusal) => {
                let condition = refusal.condition;
                let coded = format!("{}{c}{}{c}HL70357", condition.code(), condition.name());
                let _ = write!(out, "{f}{text}{f}{f}{f}{coded}");
            }
            None if !text.is_empty() => {
                let _ = write!(out, "{f}{text}");
            }
            None => {}
        }
        for refusal in &self.refusals {
            let _ = write!(out, "\r{}", error(refusal, &header.separators, form));
        }
        out.push('\r');
        out
    }
}

/// What differs between versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Before24,
    Version24,
    Since25,
}

impl Form {
    fn of(version: &str) -> Form {
        let minor = version.strip_prefix("2.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        match minor.unwrap_or(3) {
            0..=3 => Form::Before24,
            4 => Form::Version24,
            _ => Form::Since25,
        }
    }
}

fn error(refusal: &Refusal, separators: &Separators, form: Form) -> String {
    let (f, c, s) = (separators.field, separators.component, separators.subcomponent);
    let condition = refusal.condition;
    let (code, name) = (condition.code(), condition.name());
    if form == Form::Since25 {
        let place = refusal.location.as_ref().map(|at| since25(at, c)).unwrap_or_default();
        let text = separators.escape(&short(&refusal.text));
        return format!("ERR{f}{f}{place}{f}{code}{c}{name}{c}HL70357{f}E{f}{f}{f}{f}{text}");
    }
    let place = match &refusal.location {
        Some(Location { segment, sequence, field, .. }) if *field > 0 => {
            format!("{segment}{c}{sequence}{c}{field}")
        }
        Some(Location { segment, sequence, .. }) => format!("{segment}{c}{sequence}{c}"),
        None => format!("{c}{c}"),
    };
    format!("ERR{f}{place}{c}{code}{s}{name}{s}HL70357")
}

/// ERR-2 (ERL), as far as the place goes.
fn since25(at: &Location, component: char) -> String {
    let mut out = format!("{}{component}{}", at.segment, at.sequence);
    let (field, repetition) = (at.field, at.repetition.max(u32::from(at.component > 0)));
    for number in [field, repetition, at.component] {
        if number == 0 {
            break;
        }
        let _ = write!(out, "{component}{number}");
    }
    out
}

/// Words for a field that older receivers keep in 80 or 250 characters; ours may be longer, but not endless.
fn short(text: &str) -> String {
    text.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Limits, Message};
    use crate::refusal::Condition;

    const LIMITS: Limits = Limits::AMPLE;

    fn header(version: &str) -> Header {
        let text = format!("MSH|^~\\&|A&x|B|C|D|1||ADT^A01|id 1|T|{version}\rPID|1");
        Message::read(text.as_bytes(), &LIMITS).expect("it is a message").header().clone()
    }

    fn refusal() -> Refusal {
        let location = Location::field("PID", 3).repetition(2).component(4);
        Refusal::new(Condition::UnknownKey, "no | such").at(location)
    }

    fn written(acknowledgement: &Acknowledgement, version: &str) -> String {
        let bytes = acknowledgement.write(Some(&header(version)), "new", "20260101");
        String::from_utf8(bytes).expect("it is UTF-8")
    }

    #[test]
    fn sender_and_receiver_change_places_and_the_id_comes_back() {
        let text = written(&Acknowledgement::accepted(), "2.3.1");
        assert_eq!(text, "MSH|^~\\&|C|D|A&x|B|20260101||ACK^A01|new|T|2.3.1\rMSA|AA|id 1\r");
        let text = written(&Acknowledgement::accepted(), "2.5");
        assert!(text.starts_with("MSH|^~\\&|C|D|A&x|B|20260101||ACK^A01^ACK|new|T|2.5\r"), "{text}");
    }

    #[test]
    fn an_error_is_said_in_the_form_of_the_version() {
        let refused = Acknowledgement::refused(refusal());
        let older = "MSA|AE|id 1|no \\F\\ such|||204^Unknown key identifier^HL70357\rERR|PID^1^3^204&Unknown key identifier&HL70357\r";
        for version in ["2.3", "2.3.1", "2.4"] {
            assert!(written(&refused, version).ends_with(older), "{}", written(&refused, version));
        }
        let newer = "MSA|AE|id 1|no \\F\\ such\rERR||PID^1^3^2^4|204^Unknown key identifier^HL70357|E||||no \\F\\ such\r";
        for version in ["2.5", "2.5.1", "2.8"] {
            assert!(written(&refused, version).ends_with(newer), "{}", written(&refused, version));
        }
    }

    #[test]
    fn a_type_that_is_not_taken_is_rejected() {
        let refused = Acknowledgement::refused(Refusal::new(Condition::UnsupportedEvent, "no"));
        assert_eq!(refused.code(), Code::Reject);
        assert_eq!(Acknowledgement::refused(refusal()).code(), Code::Error);
    }

    #[test]
    fn a_message_without_a_header_is_answered() {
        let bytes = Acknowledgement::refused(refusal()).write(None, "new", "1");
        let text = String::from_utf8(bytes.clone()).expect("it is UTF-8");
        assert!(text.starts_with("MSH|^~\\&|||||1||ACK|new|P|2.5\rMSA|AE||"), "{text}");
        assert!(Message::read(&bytes, &LIMITS).is_ok());
    }

    #[test]
    fn the_answer_is_in_the_letters_of_the_message() {
        let text = b"MSH|^~\\&|Z\xFCrich|B|C|D|1||ADT^A01|1|T|2.5||||||8859/1\rPID|1";
        let message = Message::read(text, &LIMITS).expect("it is a message");
        let bytes = Acknowledgement::accepted().write(Some(message.header()), "new", "1");
        let answer = Message::read(&bytes, &LIMITS).expect("it is a message");
        assert_eq!(answer.header().charset, Charset::Latin1);
        assert_eq!(answer.field("MSA", 1).raw(), "AA");
    }
}
