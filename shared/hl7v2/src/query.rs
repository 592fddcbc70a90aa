//! Questions about patients: PIX (QBP^Q23), PDQ (QBP^Q22), and their end (QCN^J01), as they stand in a message.

use crate::identifier::Cx;
use crate::message::{Message, Part};
use crate::refusal::{Condition, Location, Refusal};

/// Digits of an increment.
const LONGEST_NUMBER: usize = 9;

/// What every question has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// QPD-1 as it stands there. Senders write what they like in it; MSH-9 says what is asked.
    pub name: String,
    /// QPD-2, by which an answer says which question it is to.
    pub tag: String,
}

/// Which other identifiers name a patient [ITI-9].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corresponding {
    /// What it is called.
    pub question: Question,
    /// QPD-3.
    pub identifier: Cx,
    /// QPD-4: the domains asked for, with the numbers of their repetitions. None: all.
    pub domains: Vec<(u32, Cx)>,
}

/// Who fits a description [ITI-21].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    /// What it is called.
    pub question: Question,
    /// QPD-3: what is known of them.
    pub criteria: Vec<Criterion>,
    /// QPD-8: the domains of the identifiers asked for, with the numbers of their repetitions. None: all.
    pub domains: Vec<(u32, Cx)>,
    /// RCP-2: patients of one answer. None: all in one.
    pub increment: Option<usize>,
    /// DSC-1: where the answer goes on.
    pub continuation: Option<String>,
}

/// One repetition of QPD-3 of a PDQ: `@PID.5.1^SMITH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criterion {
    /// Which repetition it is.
    pub repetition: u32,
    /// The name as it was written.
    pub written: String,
    /// The segment and the numbers of field, component and subcomponent: `PID`, 5, 1. None: it is no name of a field.
    pub field: Option<(String, Vec<u32>)>,
    /// What it has to be.
    pub value: String,
}

impl Criterion {
    /// Where it stands.
    pub fn place(&self) -> Location {
        Location::field("QPD", 3).repetition(self.repetition)
    }

    fn read((repetition, part): (u32, Part<'_>)) -> Result<Criterion, Refusal> {
        let written = part.component(1).text().trim().to_owned();
        let field = field_name(&written);
        let criterion = Criterion { repetition, field, value: part.component(2).text(), written };
        if !part.component(3).is_empty() {
            let text = format!(
                "the value of {} goes on after a component separator; a value is one component, as in @PID.5.1^SMITH~@PID.5.2^JANE",
                criterion.written
            );
            return Err(Refusal::new(Condition::DataType, text).at(criterion.place().component(3)));
        }
        Ok(criterion)
    }
}

/// `@PID.5.1.1`, `PID.5` or `PID-5.1`.
fn field_name(written: &str) -> Option<(String, Vec<u32>)> {
    let mut parts = written.trim_start_matches('@').split(['.', '-']);
    let segment = parts.next().filter(|name| name.len() == 3)?.to_ascii_uppercase();
    let numbers: Vec<u32> = parts.map(|part| part.parse().ok()).collect::<Option<_>>()?;
    (1..=3).contains(&numbers.len()).then_some((segment, numbers))
}

impl Question {
    fn read(message: &Message) -> Result<Question, Refusal> {
        if message.count("QPD") != 1 {
            let text = format!("there are {} QPD segments; a question has one", message.count("QPD"));
            return Err(Refusal::new(Condition::SegmentSequence, text).at(Location::segment("QPD")));
        }
        let tag = message.field("QPD", 2);
        if tag.is_empty() {
            let text =
                "QPD-2, the query tag, is empty; without it the answer cannot say which question it is to";
            return Err(Refusal::new(Condition::RequiredField, text).at(Location::field("QPD", 2)));
        }
        Ok(Question { name: message.field("QPD", 1).raw().to_owned(), tag: tag.raw().to_owned() })
    }
}

impl Corresponding {
    /// Reads QPD and RCP of a QBP^Q23.
    ///
    /// # Errors
    /// Something is missing, or is asked for that nobody gives.
    pub fn read(message: &Message) -> Result<Corresponding, Refusal> {
        let question = Question::read(message)?;
        immediate(message)?;
        let field = message.field("QPD", 3);
        if field.repetitions().count() > 1 {
            let text = "QPD-3 has several identifiers; one question is about one of them";
            return Err(Refusal::new(Condition::DataType, text).at(Location::field("QPD", 3).repetition(2)));
        }
        let identifier = Cx::read(field);
        let required = |component: u32, text: &str| {
            let place = Location::field("QPD", 3).component(component);
            Err(Refusal::new(Condition::RequiredField, text).at(place))
        };
        if identifier.id.is_empty() {
            return required(1, "QPD-3.1, the identifier, is empty");
        }
        if identifier.authority.is_empty() {
            return required(4, "QPD-3.4, who assigned the identifier, is empty");
        }
        Ok(Corresponding { question, identifier, domains: domains(message.field("QPD", 4)) })
    }
}

impl Candidates {
    /// Reads QPD, RCP and DSC of a QBP^Q22.
    ///
    /// # Errors
    /// Something is missing, or is asked for that nobody gives.
    pub fn read(message: &Message) -> Result<Candidates, Refusal> {
        let question = Question::read(message)?;
        immediate(message)?;
        let field = message.field("QPD", 3);
        let criteria: Vec<Criterion> =
            (1..).zip(field.repetitions()).map(Criterion::read).collect::<Result<_, _>>()?;
        let criteria: Vec<Criterion> =
            criteria.into_iter().filter(|criterion| !criterion.value.trim().is_empty()).collect();
        if criteria.is_empty() {
            let text =
                "QPD-3 says nothing of the patients that are looked for; write e.g. @PID.5.1^SMITH~@PID.8^F";
            return Err(Refusal::new(Condition::RequiredField, text).at(Location::field("QPD", 3)));
        }
        let continuation = message.field("DSC", 1).text().trim().to_owned();
        Ok(Candidates {
            question,
            criteria,
            domains: domains(message.field("QPD", 8)),
            increment: increment(message)?,
            continuation: Some(continuation).filter(|pointer| !pointer.is_empty()),
        })
    }
}

/// The query tag of a QCN^J01.
///
/// # Errors
/// It is missing.
pub fn cancelled(message: &Message) -> Result<String, Refusal> {
    let tag = message.field("QID", 1);
    if tag.is_empty() {
        let text = "QID-1, the query tag, is empty; it says which question is at its end";
        return Err(Refusal::new(Condition::RequiredField, text).at(Location::field("QID", 1)));
    }
    Ok(tag.raw().to_owned())
}

/// Domains are identifiers without an identifier: only component 4 counts.
fn domains(field: Part<'_>) -> Vec<(u32, Cx)> {
    (1..).zip(field.repetitions().map(Cx::read)).filter(|(_, cx)| !cx.authority.is_empty()).collect()
}

/// RCP-1: now, and not later.
fn immediate(message: &Message) -> Result<(), Refusal> {
    let priority = message.field("RCP", 1).text();
    if matches!(priority.trim(), "" | "I" | "i") {
        return Ok(());
    }
    let text = "RCP-1 wants an answer at another time; questions are answered at once (I)";
    Err(Refusal::new(Condition::TableValue, text).at(Location::field("RCP", 1)))
}

fn increment(message: &Message) -> Result<Option<usize>, Refusal> {
    let field = message.field("RCP", 2);
    let number = field.component(1).text();
    let number = number.trim();
    if number.is_empty() {
        return Ok(None);
    }
    let wrong = |component: u32, text: &str| {
        Err(Refusal::new(Condition::DataType, text).at(Location::field("RCP", 2).component(component)))
    };
    let digits = number.len() <= LONGEST_NUMBER && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|number| digits && *number > 0);
    let Some(number) = number else {
        return wrong(1, "RCP-2.1 must be a number of patients, at least 1, as in 10^RD");
    };
    if !matches!(field.component(2).text().trim(), "" | "RD") {
        return wrong(2, "RCP-2.2 must be RD: answers are counted in patients");
    }
    Ok(Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn message(rest: &str) -> Message {
        let text = format!("MSH|^~\\&|A|B|C|D|20260101||QBP^Q22^QBP_Q21|1|P|2.5\r{rest}");
        Message::read(text.as_bytes(), &Limits::AMPLE).expect("it is a message")
    }

    #[test]
    fn names_of_fields_are_read_in_every_spelling() {
        for (written, numbers) in [
            ("@PID.5.1", vec![5, 1]),
            ("@PID.5.1.1", vec![5, 1, 1]),
            ("PID.5", vec![5]),
            ("@PID-3.4.2", vec![3, 4, 2]),
            ("@pid.7", vec![7]),
        ] {
            assert_eq!(field_name(written), Some(("PID".to_owned(), numbers)), "{written}");
        }
        for written in ["", "@PID", "@PID.x", "@PID.5.1.1.1", "@Q.1"] {
            assert_eq!(field_name(written), None, "{written}");
        }
    }

    #[test]
    fn a_description_is_read_with_its_domains_and_its_increment() {
        let rest = "QPD|Q22^Find Candidates^HL7|Q1|@PID.3.1^RJ-439~@PID.3.4.1^TEST~@PID.8^|||||^^^TEST~^^^&1.2&ISO\rRCP|I|10^RD\rDSC|abc|I";
        let asked = Candidates::read(&message(rest)).expect("it is a question");
        assert_eq!(
            (asked.question.name.as_str(), asked.question.tag.as_str()),
            ("Q22^Find Candidates^HL7", "Q1")
        );
        let criteria: Vec<_> =
            asked.criteria.iter().map(|one| (one.written.as_str(), one.value.as_str())).collect();
        assert_eq!(criteria, [("@PID.3.1", "RJ-439"), ("@PID.3.4.1", "TEST")]);
        let domains: Vec<_> = asked.domains.iter().map(|(at, cx)| (*at, cx.authority.to_string())).collect();
        assert_eq!(domains, [(1, "TEST".to_owned()), (2, "&1.2&ISO".to_owned())]);
        assert_eq!((asked.increment, asked.continuation.as_deref()), (Some(10), Some("abc")));
    }

    #[test]
    fn what_is_missing_or_not_given_is_told_with_its_place() {
        let told = |refusal: Refusal| {
            (refusal.condition.code(), refusal.location.map(|place| place.to_string()).unwrap_or_default())
        };
        for (rest, code, place) in [
            ("RCP|I", 100, "QPD"),
            ("QPD|Q|\rRCP|I", 101, "QPD-2"),
            ("QPD|Q|1|\rRCP|I", 101, "QPD-3"),
            ("QPD|Q|1|@PID.5.1^A^B\rRCP|I", 102, "QPD-3.3"),
            ("QPD|Q|1|@PID.5.1^A\rRCP|D", 103, "RCP-1"),
            ("QPD|Q|1|@PID.5.1^A\rRCP|I|0^RD", 102, "RCP-2.1"),
            ("QPD|Q|1|@PID.5.1^A\rRCP|I|10^LI", 102, "RCP-2.2"),
        ] {
            let refusal = Candidates::read(&message(rest)).expect_err(rest);
            assert_eq!(told(refusal), (code, place.to_owned()), "{rest}");
        }
        for (rest, code, place) in [
            ("QPD|Q|1|^^^RED\rRCP|I", 101, "QPD-3.1"),
            ("QPD|Q|1|7\rRCP|I", 101, "QPD-3.4"),
            ("QPD|Q|1|7^^^RED~8^^^RED\rRCP|I", 102, "QPD-3(2)"),
        ] {
            let refusal = Corresponding::read(&message(rest)).expect_err(rest);
            assert_eq!(told(refusal), (code, place.to_owned()), "{rest}");
        }
        assert_eq!(told(cancelled(&message("QID|")).expect_err("no tag")), (101, "QID-1".to_owned()));
    }
}
