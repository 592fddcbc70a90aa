//! The answer to a question: RSP with MSA, ERR, QAK, the question itself, and what was found.

use crate::acknowledgement::Acknowledgement;
use crate::message::{Header, Message, Separators};
use crate::query::Question;

/// QAK-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `OK`: something was found.
    Found,
    /// `NF`: nothing was.
    Nothing,
    /// `AE`: it was not looked for.
    Error,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Status::Found => "OK",
            Status::Nothing => "NF",
            Status::Error => "AE",
        }
    }
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// What is wrong with the question, if anything is.
    pub acknowledgement: Acknowledgement,
    /// QAK-4 to QAK-6: found in all, found in this answer, left for later ones; as far as they are known.
    pub counts: [Option<usize>; 3],
    /// Segments of what was found, written with the usual separators, without their ends.
    pub segments: Vec<String>,
    /// DSC-1, if there is more.
    pub continuation: Option<String>,
}

impl Response {
    /// Writes the answer to a question that could be read as a message, under an id and a time of its own. It has the usual
    /// separators, whatever those of the question are.
    pub fn write(&self, question: &Message, kind: [&str; 3], id: &str, time: &str) -> Vec<u8> {
        let theirs = question.header().separators;
        let usual = Separators::default();
        let parties = question.header().parties.clone().map(|party| theirs.translate(&party, &usual));
        let header = Header { separators: usual, parties, ..question.header().clone() };
        let mut out = self.acknowledgement.text(Some(&header), Some(kind), id, time);
        let status = match (self.acknowledgement.refusals.is_empty(), self.segments.is_empty()) {
            (false, _) => Status::Error,
            (true, true) => Status::Nothing,
            (true, false) => Status::Found,
        };
        let asked = Question {
            name: theirs.translate(question.field("QPD", 1).raw(), &usual),
            tag: theirs.translate(question.field("QPD", 2).raw(), &usual),
        };
        let [all, here, left] =
            self.counts.map(|count| count.map(|count| count.to_string()).unwrap_or_default());
        let fields = [
            (1, asked.tag),
            (2, status.as_str().to_owned()),
            (3, asked.name),
            (4, all),
            (5, here),
            (6, left),
        ];
        let mut line = |line: &str| {
            out.push_str(line);
            out.push('\r');
        };
        line(&usual.segment("QAK", fields));
        line(&format!("QPD|{}", theirs.translate(&question.fields("QPD"), &usual)));
        self.segments.iter().for_each(|segment| line(segment));
        if let Some(pointer) = &self.continuation {
            line(&usual.segment("DSC", [(1, usual.escape(pointer)), (2, "I".to_owned())]));
        }
        header.charset.encode(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Condition, Limits, Location, Refusal};

    fn question(separators: &str) -> Message {
        let text = "MSH|^~\\&|A|B&1.2&ISO|C|D|20260101||QBP^Q23^QBP_Q21|9|P|2.5\rQPD|IHE PIX Query|Q1|7^^^RED|^^^BLUE~^^^RAW\rRCP|I";
        let text: String = text
            .chars()
            .map(|c| "|^~\\&".find(c).and_then(|at| separators.chars().nth(at)).unwrap_or(c))
            .collect();
        Message::read(text.as_bytes(), &Limits::AMPLE).expect("it is a message")
    }

    fn written(response: &Response, separators: &str) -> String {
        let bytes = response.write(&question(separators), ["RSP", "K23", "RSP_K23"], "new", "20260102");
        String::from_utf8(bytes).expect("it is UTF-8")
    }

    const HEAD: &str = "MSH|^~\\&|C|D|A|B&1.2&ISO|20260102||RSP^K23^RSP_K23|new|P|2.5\r";

    #[test]
    fn what_was_found_stands_behind_the_question() {
        let response = Response { segments: vec!["PID|||8^^^BLUE".to_owned()], ..Response::default() };
        let expected = format!(
            "{HEAD}MSA|AA|9\rQAK|Q1|OK|IHE PIX Query\rQPD|IHE PIX Query|Q1|7^^^RED|^^^BLUE~^^^RAW\rPID|||8^^^BLUE\r"
        );
        for separators in ["|^~\\&", "!*+/%"] {
            assert_eq!(written(&response, separators), expected, "{separators}");
        }
    }

    #[test]
    fn every_error_is_told_and_nothing_found() {
        let unknown = |repetition| {
            let place = Location::field("QPD", 4).repetition(repetition);
            Refusal::new(Condition::UnknownKey, "unknown").at(place)
        };
        let acknowledgement =
            Acknowledgement { refusals: vec![unknown(1), unknown(2)], ..Acknowledgement::default() };
        let text = written(&Response { acknowledgement, ..Response::default() }, "|^~\\&");
        assert!(text.contains("\rMSA|AE|9|unknown\rERR||QPD^1^4^1|204^"), "{text}");
        assert!(text.contains("\rERR||QPD^1^4^2|204^"), "{text}");
        assert!(text.contains("\rQAK|Q1|AE|IHE PIX Query\r"), "{text}");
    }

    #[test]
    fn nothing_found_is_said_and_more_is_pointed_to() {
        assert!(written(&Response::default(), "|^~\\&").contains("\rQAK|Q1|NF|"));
        let response = Response {
            segments: vec!["PID|||8".to_owned()],
            counts: [Some(7), Some(1), Some(6)],
            continuation: Some("a^b".to_owned()),
            ..Response::default()
        };
        let text = written(&response, "|^~\\&");
        assert!(
            text.contains("\rQAK|Q1|OK|IHE PIX Query|7|1|6\r") && text.ends_with("\rDSC|a\\S\\b|I\r"),
            "{text}"
        );
    }
}
