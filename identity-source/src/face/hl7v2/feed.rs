//! Patient Identity Feed [ITI-8]: ADT messages read, acknowledgements written.

use std::cell::RefCell;

use actor::{Codec, Context, Fault};
use fhir::patient;
use hl7v2::{Acknowledgement, Condition, Cx, Header, Location, Message, Refusal};
use mllp::Hearing;
use serde_json::{Map, Value, json};
use web::{Answer, Request};
use xds::hl7::clean;
use xds::{Findings, Identifier, Place, Rule};

use super::person::About;
use super::{TAKEN, Unread, party};
use crate::events::Happened;
use crate::feed::{self, Change, Fed, FeedPatient, Iti8};
use crate::records::Records;

/// Bytes of an identifier.
const MAX_ID: usize = 255;
/// Where the identifiers of a patient are, and those that are merged away.
const PATIENT: &str = "PID-3";
const SUBSUMED: &str = "MRG-1";

/// One message, with what its answer has to look like.
pub(super) struct Feed<'a> {
    hearing: Hearing<'a>,
    records: &'a Records,
    unread: Unread,
    /// What was said and could not be taken.
    notes: RefCell<Vec<String>>,
}

/// Why a message is not read: what is wrong, and whether it makes it one that is not taken at all.
type Misread = (Refusal, bool);

impl<'a> Feed<'a> {
    pub(super) fn new(hearing: Hearing<'a>, records: &'a Records) -> Feed<'a> {
        Feed { hearing, records, unread: Unread::default(), notes: RefCell::default() }
    }

    fn changes(&self, message: &Message) -> Result<Vec<Change>, Fault<Misread>> {
        let wrong = |refusal| Fault::Refused(content(refusal));
        let event = message.event("ADT", TAKEN).map_err(wrong)?;
        match event.as_str() {
            "A01" | "A04" | "A05" | "A08" | "A28" | "A31" => {
                message.one("PID").map_err(wrong)?;
                Ok(vec![self.told(message).map_err(Fault::Refused)?])
            }
            "A40" => {
                message.one("PID").map_err(wrong)?;
                message.one("MRG").map_err(wrong)?;
                self.merges(message)
            }
            _ => {
                let text = format!("this event is not taken here; accepted are {TAKEN}");
                let place = Location::field("MSH", 9).component(2);
                Err(wrong(Refusal::new(Condition::UnsupportedEvent, text).at(place)))
            }
        }
    }

    /// What a message tells of one patient.
    fn told(&self, message: &Message) -> Result<Change, Misread> {
        let said = self.identifiers(message, "PID", 3)?;
        let condition = self.fed_by(&said.named, message.header(), Location::field("PID", 3))?;
        let about = About::read(message, self.records.authorities());
        let mut notes = self.notes.borrow_mut();
        notes.extend(said.notes);
        notes.extend(about.notes.iter().cloned());
        let stated: Vec<Identifier> = said.named.into_iter().map(|(_, identifier)| identifier).collect();
        let (home, named, emptied) = (condition.system.clone(), stated.clone(), said.emptied);
        let authorities = self.records.authorities().clone();
        let over = move |current: Option<&Map<String, Value>>| {
            let mut patient = current.cloned().unwrap_or_default();
            patient.insert("resourceType".to_owned(), json!("Patient"));
            let canonical =
                |item: &Value| patient::read_identifier(item).map(|one| authorities.identifier(&one));
            lay_identifiers(&mut patient, &home, &named, &emptied, canonical);
            about.lay_over(&mut patient);
            patient::read(Value::Object(patient), &Place::at(PATIENT))
        };
        Ok(Change::Told { condition, stated, over: Box::new(over), at: Place::at(PATIENT) })
    }

    /// MRG-1 becomes PID-3. Beside the first identifier there, others of its domain may name further patients: all of them
    /// are merged, or none is.
    fn merges(&self, message: &Message) -> Result<Vec<Change>, Fault<Misread>> {
        let gone = self.identifiers(message, "MRG", 1).map_err(Fault::Refused)?.named;
        let (subsumed, survivor) = self.merge(message, &gone).map_err(Fault::Refused)?;
        let holder = |identifier: &Identifier| {
            self.records.identified(identifier, "").map(|row| row.map(|row| row.id))
        };
        let mut done = vec![holder(&subsumed)?, holder(&survivor)?];
        let change = |subsumed| Change::Merge {
            subsumed,
            survivor: survivor.clone(),
            at: Place::at(SUBSUMED),
            survivor_at: Place::at(PATIENT),
        };
        let mut changes = vec![change(subsumed.clone())];
        for (_, other) in gone.into_iter().filter(|(_, other)| other.system == subsumed.system) {
            let id = holder(&other)?;
            // One nobody has ever told of here names no further patient.
            if id.is_some() && !done.contains(&id) {
                done.push(id);
                changes.push(change(other));
            }
        }
        Ok(changes)
    }

    /// A pair of identifiers of one domain: the one that goes, and the one that stays.
    fn merge(
        &self,
        message: &Message,
        gone: &[(u32, Identifier)],
    ) -> Result<(Identifier, Identifier), Misread> {
        let subsumed = self.fed_by(gone, message.header(), Location::field("MRG", 1))?;
        let kept = self.identifiers(message, "PID", 3)?.named;
        let survivor = kept.iter().find(|(_, one)| one.system == subsumed.system);
        let Some((_, survivor)) = survivor else {
            let domain = self.words(&subsumed.system);
            let text = format!(
                "PID-3 has no identifier of {domain}, of which the one in MRG-1 is; a merge is for duplicates within a domain. Nothing was stored"
            );
            let refusal =
                Refusal::new(Condition::UnknownKey, text).at(Location::field("PID", 3).component(4));
            return Err(content(refusal));
        };
        if *survivor == subsumed {
            let text = "the identifiers in PID-3 and MRG-1 are the same: a patient cannot be merged into itself. Nothing was stored";
            return Err(content(Refusal::new(Condition::UnknownKey, text).at(Location::field("MRG", 1))));
        }
        Ok((subsumed, survivor.clone()))
    }

    /// The identifiers of a field, those of authorities that are known; there is at least one.
    fn identifiers(&self, message: &Message, segment: &str, number: u32) -> Result<Said, Misread> {
        let authorities = self.records.authorities();
        let place = Location::field(segment, number);
        let mut said = Said::default();
        let (mut nameless, mut foreign) = (None, None);
        let accepted = authorities.words();
        let field = message.field(segment, usize::try_from(number).unwrap_or_default());
        for (index, part) in (1_u32..).zip(field.repetitions()) {
            let at = || place.clone().repetition(index);
            let Cx { id, authority } = Cx::read(part);
            let system = party::system(&authority, authorities);
            if part.component(1).is_null() {
                said.emptied.extend(system);
                continue;
            }
            if id.is_empty() {
                continue;
            }
            if authorities.is_torn(&party::hd(&authority)) {
                let hd = party::hd(&authority);
                let text = format!(
                    "{segment}-{number}.4 has the name space of one assigning authority and the universal id of another ({}&{}); known are \
                     {accepted}. Nothing was stored",
                    hd.namespace, hd.universal_id
                );
                return Err(content(Refusal::new(Condition::UnknownKey, text).at(at().component(4))));
            }
            let Some(system) = system else {
                let kind = if authority.is_empty() { &mut nameless } else { &mut foreign };
                kind.get_or_insert(at().component(4));
                continue;
            };
            if id.len() > MAX_ID || clean(&id) != id {
                let text = format!("an identifier has at most {MAX_ID} bytes and no control characters");
                return Err(content(Refusal::new(Condition::DataType, text).at(at().component(1))));
            }
            let identifier = Identifier { system, value: id };
            if said.named.iter().all(|(_, known)| *known != identifier) {
                said.named.push((index, identifier));
            }
        }
        if !said.named.is_empty() {
            if foreign.is_some() || nameless.is_some() {
                said.notes.push(format!(
                    "identifiers in {segment}-{number} of authorities that are not known here were left out; known are {accepted}"
                ));
            }
            return Ok(said);
        }
        Err(match (foreign, nameless) {
            // Nobody here has an opinion on such a patient: the message is for somebody else.
            (Some(at), _) => {
                let text = format!(
                    "{segment}-{number} has no identifier of an assigning authority that is known here; known are {accepted}. Nothing was stored"
                );
                (Refusal::new(Condition::UnknownKey, text).at(at), true)
            }
            (None, Some(at)) => {
                let text = format!(
                    "{segment}-{number}.4, the assigning authority, is empty; known are {accepted}. Nothing was stored"
                );
                content(Refusal::new(Condition::RequiredField, text).at(at))
            }
            (None, None) => {
                let text = format!("{segment}-{number} holds no identifier; nothing was stored");
                content(Refusal::new(Condition::RequiredField, text).at(place))
            }
        })
    }

    /// The first identifier of a domain the sender may feed: under that one it speaks.
    fn fed_by(
        &self,
        named: &[(u32, Identifier)],
        sender: &Header,
        place: Location,
    ) -> Result<Identifier, Misread> {
        let domains = self.records.domains();
        let own = named.iter().find(|(_, one)| may_feed(domains.senders(&one.system), sender));
        if let Some((_, identifier)) = own {
            return Ok(identifier.clone());
        }
        let (index, first) = &named[0];
        let text = format!(
            "{}|{} is no sender of {} (MSH-3 and MSH-4; `senders` of the authority in domain.authority says who is). Nothing was stored",
            sender.parties[0],
            sender.parties[1],
            self.words(&first.system)
        );
        Err((Refusal::new(Condition::UnknownKey, text).at(place.repetition(*index).component(4)), true))
    }

    /// A domain as HL7 v2 writes it.
    fn words(&self, system: &str) -> String {
        self.records.authorities().hd(system).map_or_else(|| system.to_owned(), |hd| hd.write())
    }

    fn told_back(&self, fed: &[Fed]) -> Option<String> {
        let mut notes = self.notes.take();
        if fed.iter().all(|fed| fed.happened.is_none()) {
            notes.insert(0, "known already; nothing had to be changed".to_owned());
        } else if fed.iter().any(|fed| matches!(fed.happened, Some(Happened::Merged { .. }))) {
            notes.insert(0, "merged".to_owned());
        }
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

/// What a field of identifiers says.
#[derive(Debug, Default)]
struct Said {
    /// The identifiers, with the numbers of their repetitions.
    named: Vec<(u32, Identifier)>,
    /// Domains of which it says that there is none.
    emptied: Vec<String>,
    notes: Vec<String>,
}

/// What is wrong with the content of a message.
fn content(refusal: Refusal) -> Misread {
    (refusal, false)
}

/// Whether a sender is one of those that may feed a domain; where none is named, everybody may.
fn may_feed(senders: &[String], sender: &Header) -> bool {
    let separators = sender.separators;
    // HD: by its name space or by its universal id.
    let is = |wanted: &str, party: &str| {
        let wanted = wanted.trim();
        wanted.is_empty()
            || wanted == "*"
            || party.split(separators.component).any(|part| part.trim() == wanted)
    };
    let [application, facility, ..] = &sender.parties;
    let may = |known: &String| {
        let (wanted_application, wanted_facility) = known.split_once('|').unwrap_or((known, ""));
        is(wanted_application, application) && is(wanted_facility, facility)
    };
    senders.is_empty() || senders.iter().any(may)
}

/// Identifiers of the source's own domain are added to those that are known; those of another domain are what the message
/// says, where it says something of that domain.
fn lay_identifiers(
    patient: &mut Map<String, Value>,
    home: &str,
    named: &[Identifier],
    emptied: &[String],
    canonical: impl Fn(&Value) -> Option<Identifier>,
) {
    let before = patient.get("identifier").and_then(Value::as_array).cloned().unwrap_or_default();
    let stays = |item: &Value| {
        let Some(known) = canonical(item) else { return true };
        let is_told = named.iter().any(|one| one.system == known.system);
        let goes = emptied.contains(&known.system) || (is_told && known.system != home);
        named.contains(&known) || !goes
    };
    let mut all: Vec<Value> = before.into_iter().filter(stays).collect();
    let known: Vec<Identifier> = all.iter().filter_map(&canonical).collect();
    let new = named.iter().filter(|one| !known.contains(one));
    all.extend(new.map(|one| json!({ "system": one.system, "value": one.value })));
    patient.insert("identifier".to_owned(), Value::Array(all));
}

impl Codec<FeedPatient<Iti8>> for Feed<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<feed::Request, Fault<Findings>> {
        let refused = |(refusal, rejects): Misread| {
            self.unread.keep(refusal, rejects);
            Fault::Refused(Findings::new())
        };
        let message = match self.hearing.read(request).await {
            Ok(message) => message,
            Err(Fault::Refused(refusal)) => return Err(refused(content(refusal))),
            Err(fault) => return Err(fault.map(|_| Findings::new())),
        };
        let changes = match self.changes(&message) {
            Ok(changes) => changes,
            Err(Fault::Refused(misread)) => return Err(refused(misread)),
            Err(fault) => return Err(fault.map(|_| Findings::new())),
        };
        Ok(feed::Request { changes, if_match: None, only_new: false, once: None, message: None })
    }

    fn write(&self, fed: Vec<Fed>, _: &Context) -> Answer {
        let note = self.told_back(&fed);
        self.hearing.answer(&Acknowledgement { note, ..Acknowledgement::accepted() })
    }

    fn refuse(&self, fault: Fault<Findings>, _: &Context) -> Answer {
        if let Some((refusal, rejects)) = self.unread.take() {
            let acknowledgement = Acknowledgement::refused(refusal);
            return self.hearing.answer(&Acknowledgement { rejects, ..acknowledgement });
        }
        let refusals = match fault {
            Fault::Refused(findings) => findings.iter().map(refusal).collect(),
            other => match mllp::told(other, |_| Refusal::new(Condition::Internal, "")) {
                Some(refusal) => vec![refusal],
                None => return Hearing::silence(),
            },
        };
        self.hearing.answer(&Acknowledgement { refusals, ..Acknowledgement::default() })
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        let first =
            |findings: &Findings| findings.first().map_or("refused", |finding| finding.rule.row().code);
        self.unread.reason(fault, |findings| first(findings).to_owned())
    }
}

/// A broken rule in the words of HL7.
fn refusal(finding: &xds::Finding) -> Refusal {
    let condition = match finding.rule {
        Rule::MultipleMatches => Condition::DuplicateKey,
        Rule::UnresolvedReference
        | Rule::MergeIsFinal
        | Rule::BusinessRule
        | Rule::Invariant
        | Rule::AuthorityNotTaken => Condition::UnknownKey,
        _ => Condition::DataType,
    };
    let place = match finding.at.path.starts_with(SUBSUMED) {
        true => Location::field("MRG", 1),
        false => Location::field("PID", 3),
    };
    Refusal::new(condition, finding.text.clone()).at(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(application: &str, facility: &str) -> Header {
        let parties = [application, facility, "", ""].map(str::to_owned);
        Header { parties, ..Header::default() }
    }

    #[test]
    fn a_sender_is_known_by_application_and_facility() {
        let senders = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let a = header("HARNESS_A^1.2.3^ISO", "TEST^^");
        assert!(may_feed(&[], &a));
        for known in ["HARNESS_A|TEST", "1.2.3|TEST", "HARNESS_A|*", "HARNESS_A", "|TEST"] {
            assert!(may_feed(&senders(&["X|Y", known]), &a), "{known}");
        }
        for known in ["HARNESS_B|TEST", "HARNESS_A|OTHER", "HARNESS"] {
            assert!(!may_feed(&senders(&[known]), &a), "{known}");
        }
    }

    #[test]
    fn identifiers_of_the_source_are_added_and_those_of_others_are_told_anew() {
        let id =
            |system: &str, value: &str| Identifier { system: system.to_owned(), value: value.to_owned() };
        let item = |system: &str, value: &str| json!({ "system": system, "value": value });
        let known = ["own|1", "other|2", "gone|3", "third|4"];
        let known: Vec<Value> =
            known.iter().filter_map(|one| one.split_once('|')).map(|(s, v)| item(s, v)).collect();
        let mut patient = Map::new();
        patient.insert("identifier".to_owned(), Value::Array(known));
        let named = [id("own", "9"), id("other", "8")];
        lay_identifiers(&mut patient, "own", &named, &["gone".to_owned()], patient::read_identifier);
        let expected = [item("own", "1"), item("third", "4"), item("own", "9"), item("other", "8")];
        assert_eq!(patient["identifier"], json!(expected));
    }
}
