//! Patient Identity Feed [ITI-8]: ADT messages read, acknowledgements written.

use actor::{Codec, Context, Fault};
use hl7v2::{Acknowledgement, Condition, Cx, Location, Message, Part, Refusal};
use mllp::Hearing;
use serde_json::{Map, Value, json};
use web::{Answer, Request};
use xds::Identifier;

use crate::authorities::Authorities;
use crate::identify::{Change, Done, FeedV2, Misfit, Spot};

/// What is taken.
const TAKEN: &str = "ADT^A01, A04, A05 (a patient becomes known), A08 (acknowledged), A40 (an identifier is merged into another one)";
/// Bytes of an identifier.
const MAX_ID: usize = 255;

/// One message, with what its answer has to look like.
pub(super) struct Feed<'a> {
    pub(super) hearing: Hearing<'a>,
    pub(super) authorities: &'a Authorities,
}

impl Codec<FeedV2> for Feed<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Change, Fault<Misfit>> {
        let message = self.hearing.read(request).await.map_err(|fault| fault.map(misfit))?;
        change(&message, self.authorities).map_err(Fault::Refused)
    }

    fn write(&self, done: Done, _: &Context) -> Answer {
        let note = match done {
            Done::Added | Done::Revised | Done::Merged => None,
            Done::Known => Some("known already; nothing had to be changed"),
            Done::MergedBefore => Some("merged already; nothing had to be changed"),
            Done::Ignored => Some("acknowledged; nothing was changed"),
        };
        self.hearing.answer(&Acknowledgement { note: note.map(str::to_owned), ..Acknowledgement::accepted() })
    }

    fn refuse(&self, fault: Fault<Misfit>, _: &Context) -> Answer {
        let refusal = mllp::told(fault, |misfit| {
            let Misfit { condition, spot, text } = misfit;
            Refusal { condition, location: location(&spot), text }
        });
        match refusal {
            Some(refusal) => self.hearing.answer(&Acknowledgement::refused(refusal)),
            None => Hearing::silence(),
        }
    }

    fn reason(&self, fault: &Fault<Misfit>) -> String {
        match fault {
            Fault::Refused(misfit) => format!("hl7-{}", misfit.condition.code()),
            other => other.told().map_or("refused", |told| told.code).to_owned(),
        }
    }
}

/// Where a place is in a message of HL7 v2.
fn location(spot: &Spot) -> Option<Location> {
    match spot {
        Spot::Message | Spot::Path(_) => None,
        Spot::Patient => Some(Location::field("PID", 3)),
        Spot::Subsumed => Some(Location::field("MRG", 1)),
        Spot::Field(location) => Some(location.clone()),
    }
}

fn wrong(condition: Condition, location: Location, text: impl Into<String>) -> Misfit {
    Misfit::new(condition, Spot::Field(location), text)
}

/// What a message wants done.
fn change(message: &Message, authorities: &Authorities) -> Result<Change, Misfit> {
    let event = message.event("ADT", TAKEN).map_err(misfit)?;
    let one = |name: &str| message.one(name).map_err(misfit);
    let identifiers = |segment: &str, field: usize| identifiers(message, segment, field, authorities);
    match event.as_str() {
        "A01" | "A04" | "A05" => {
            one("PID")?;
            Ok(Change::Add { identifiers: identifiers("PID", 3)?, about: about(message) })
        }
        "A08" => {
            one("PID")?;
            Ok(Change::Revise {
                identifiers: identifiers("PID", 3).unwrap_or_default(),
                about: about(message),
            })
        }
        "A40" => {
            one("PID")?;
            one("MRG")?;
            Ok(Change::Merge { survivors: identifiers("PID", 3)?, subsumed: identifiers("MRG", 1)? })
        }
        _ => {
            let text = format!("this event is not taken here; accepted are {TAKEN}");
            Err(wrong(Condition::UnsupportedEvent, Location::field("MSH", 9).component(2), text))
        }
    }
}

fn misfit(refusal: Refusal) -> Misfit {
    let Refusal { condition, location, text } = refusal;
    Misfit::new(condition, location.map_or(Spot::Message, Spot::Field), text)
}

/// The identifiers of configured authorities; there is at least one.
fn identifiers(
    message: &Message,
    segment: &str,
    number: usize,
    authorities: &Authorities,
) -> Result<Vec<Identifier>, Misfit> {
    let field = message.field(segment, number);
    let place = Location::field(segment, u32::try_from(number).unwrap_or_default());
    let mut found: Vec<Identifier> = Vec::new();
    let (mut nameless, mut foreign) = (None, None);
    for (index, part) in (1_u32..).zip(field.repetitions()) {
        let at = || place.clone().repetition(index);
        let Cx { id, authority } = Cx::read(part);
        if id.is_empty() {
            continue;
        }
        let Some(system) = authorities.system(&authority) else {
            let kind = if authority.is_empty() { &mut nameless } else { &mut foreign };
            kind.get_or_insert(at().component(4));
            continue;
        };
        if id.len() > MAX_ID || id.chars().any(char::is_control) {
            let text = format!("an identifier has at most {MAX_ID} bytes and no control characters");
            return Err(wrong(Condition::DataType, at().component(1), text));
        }
        let identifier = Identifier { system, value: id };
        if !found.contains(&identifier) {
            found.push(identifier);
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let accepted = authorities.words();
    Err(match (foreign, nameless) {
        (Some(at), _) => {
            let text = format!(
                "{segment}-{number} has no identifier of an assigning authority of this domain; accepted are {accepted}. Nothing was stored"
            );
            wrong(Condition::UnknownKey, at, text)
        }
        (None, Some(at)) => {
            let text = format!(
                "{segment}-{number}.4, the assigning authority, is empty; accepted are {accepted}. Nothing was stored"
            );
            wrong(Condition::RequiredField, at, text)
        }
        (None, None) => {
            let text = format!("{segment}-{number} holds no identifier; nothing was stored");
            wrong(Condition::RequiredField, place, text)
        }
    })
}

/// What is told of the patient: PID-5, 7 and 8, as a Patient says it.
fn about(message: &Message) -> Map<String, Value> {
    let mut about = Map::new();
    let names: Vec<Value> = message.field("PID", 5).repetitions().filter_map(name).collect();
    if !names.is_empty() {
        about.insert("name".to_owned(), Value::Array(names));
    }
    let gender = match message.field("PID", 8).text().trim() {
        "M" => Some("male"),
        "F" => Some("female"),
        "O" | "A" => Some("other"),
        "U" => Some("unknown"),
        _ => None,
    };
    if let Some(gender) = gender {
        about.insert("gender".to_owned(), json!(gender));
    }
    if let Some(day) = xds::hl7::birth_date(&message.field("PID", 7).text()) {
        about.insert("birthDate".to_owned(), json!(day));
    }
    about
}

fn name(part: Part<'_>) -> Option<Value> {
    let text = |part: Part<'_>| {
        if part.is_null() { String::new() } else { xds::hl7::clean(&part.text()) }
    };
    let mut name = Map::new();
    let family = text(part.component(1).subcomponent(1));
    if !family.is_empty() {
        name.insert("family".to_owned(), json!(family));
    }
    for (member, components) in [("given", [2, 3].as_slice()), ("prefix", &[5]), ("suffix", &[4])] {
        let all = components.iter().map(|number| text(part.component(*number)));
        let all: Vec<String> = all.filter(|text| !text.is_empty()).collect();
        if !all.is_empty() {
            name.insert(member.to_owned(), json!(all));
        }
    }
    if name.is_empty() {
        return None;
    }
    let usage = match part.component(7).raw() {
        "L" => Some("official"),
        "N" => Some("nickname"),
        "M" | "B" => Some("maiden"),
        _ => None,
    };
    if let Some(usage) = usage {
        name.insert("use".to_owned(), json!(usage));
    }
    Some(Value::Object(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Change, Misfit> {
        let message = Message::read(text.as_bytes(), &hl7v2::Limits::AMPLE).expect("it is a message");
        let authorities = Authorities::read(&["RED&1.2.3&ISO".to_owned()]).expect("it is sound");
        change(&message, &authorities)
    }

    fn id(value: &str) -> Identifier {
        Identifier { system: "urn:oid:1.2.3".to_owned(), value: value.to_owned() }
    }

    fn message(event: &str, rest: &str) -> String {
        format!("MSH|^~\\&|A|B|C|D|20260101||{event}|1|P|2.3.1\r{rest}")
    }

    #[test]
    fn identifiers_of_the_domain_are_taken_and_others_are_not() {
        let pid = "PID|||7^^^&1.2.3&ISO~8^^^RED~9^^^BLUE~\"\"^^^&1.2.3&ISO~7^^^RED&1.2.3&ISO||Müller^Ida^Maria^^Dr.^^L||19750229|F";
        let Ok(Change::Add { identifiers, about }) = read(&message("ADT^A01", pid)) else {
            panic!("it adds somebody")
        };
        assert_eq!(identifiers, [id("7"), id("8")]);
        let name =
            json!([{ "family": "Müller", "given": ["Ida", "Maria"], "prefix": ["Dr."], "use": "official" }]);
        // The 29th of February 1975 was no day.
        assert_eq!(Value::Object(about), json!({ "name": name, "gender": "female" }));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let told = |text: &str| {
            let misfit = read(text).expect_err("it is refused");
            let place = location(&misfit.spot).map(|location| location.to_string()).unwrap_or_default();
            (misfit.condition.code(), place)
        };
        let pid = "PID|||7^^^RED";
        for (text, code, place) in [
            (message("ADT^A99", pid), 201, "MSH-9.2"),
            (message("ADT^A31^ADT_A05", pid), 201, "MSH-9.2"),
            (message("MDM^T02", pid), 200, "MSH-9"),
            (message("", pid), 101, "MSH-9"),
            (message("ADT^A01", "EVN|A01"), 100, "PID"),
            (message("ADT^A01", "PID|||"), 101, "PID-3"),
            (message("ADT^A01", "PID|||7"), 101, "PID-3.4"),
            (message("ADT^A01", "PID|||7^^^&9.9&ISO"), 204, "PID-3.4"),
            (message("ADT^A40", pid), 100, "MRG"),
            (message("ADT^A40", "PID|||7^^^RED\rMRG|8"), 101, "MRG-1.4"),
            (message("ADT^A40", "PID|||7^^^RED\rMRG|8^^^RED\rPID|||6^^^RED\rMRG|5^^^RED"), 100, "PID"),
            (message("ADT^A01", pid).replace("|2.3.1", "|3.0"), 203, "MSH-12"),
            (message("ADT^A01", pid).replace("|1|P", "||P"), 101, "MSH-10"),
        ] {
            assert_eq!(told(&text), (code, place.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_merge_names_both() {
        let merge = Change::Merge { survivors: vec![id("7")], subsumed: vec![id("8")] };
        assert_eq!(read(&message("ADT^A40^ADT_A39", "PID|||7^^^RED\rMRG|8^^^RED~9")), Ok(merge));
    }

    #[test]
    fn the_event_may_stand_in_evn_alone() {
        assert!(matches!(read(&message("ADT", "EVN|A04\rPID|||7^^^RED")), Ok(Change::Add { .. })));
    }
}
