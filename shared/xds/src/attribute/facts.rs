//! What each object can be found by.

use super::{
    Attribute, FOLDER, Fact, LIST_KINDS, RELATED, Reach, SUBMISSION_SET, URI, Value, fold, identifier_value,
    system,
};
use crate::types::{
    Author, Availability, Code, DocumentEntry, EntryUuid, Folder, Identifier, SubmissionSet, Timestamp,
};

/// The facts of a registered document entry.
pub fn of_document(entry: &DocumentEntry, id: &EntryUuid) -> Vec<Fact> {
    let mut facts = Facts::new(entry.availability);
    facts.identifier(&entry.unique_id);
    facts.entry_uuid(id);
    for identifier in &entry.identifiers {
        facts.identifier(identifier);
    }
    facts.codes(Attribute::TypeCode, either(&entry.type_codes, &entry.type_code));
    facts.codes(Attribute::ClassCode, &entry.class_codes);
    facts.codes(Attribute::PracticeSettingCode, &entry.practice_setting_codes);
    facts.codes(Attribute::HealthcareFacilityTypeCode, &entry.facility_codes);
    facts.codes(Attribute::FormatCode, entry.format_code.as_slice());
    facts.codes(Attribute::EventCode, &entry.event_codes);
    facts.codes(Attribute::ConfidentialityCode, &entry.confidentiality_codes);
    facts.time(Attribute::CreationTime, entry.creation_time.as_ref());
    facts.time(Attribute::Date, entry.date.as_ref());
    facts.service_time(entry.service_start.as_ref(), entry.service_stop.as_ref());
    facts.authors(&entry.authors);
    for identifier in &entry.reference_ids {
        facts.term(Attribute::ReferenceId, system(&identifier.system), identifier_value(&identifier.value));
    }
    for reference in &entry.related {
        facts.named(RELATED, String::new(), reference.clone(), Reach::Patient);
    }
    facts.0
}

/// The facts of a registered submission set.
pub fn of_submission_set(set: &SubmissionSet, id: &EntryUuid) -> Vec<Fact> {
    let mut facts = Facts::new(Availability::Approved);
    facts.term(Attribute::ListKind, LIST_KINDS.to_owned(), SUBMISSION_SET.to_owned());
    facts.entry_uuid(id);
    if let Some(identifier) = &set.unique_id {
        facts.identifier(identifier);
    }
    facts.codes(Attribute::DesignationType, &set.content_type_codes);
    // sourceId is a plain OID in XDS: whoever asks for it may name a system or not (MHD 2:3.66, "simple string").
    facts.term(Attribute::SourceId, String::new(), identifier_value(&set.source_id.value));
    facts.time(Attribute::Date, Some(&set.submission_time));
    facts.authors(&set.authors);
    facts.0
}

/// The facts of a registered folder; `updated` is its lastUpdateTime.
pub fn of_folder(folder: &Folder, id: &EntryUuid, updated: i64) -> Vec<Fact> {
    let mut facts = Facts::new(Availability::Approved);
    facts.term(Attribute::ListKind, LIST_KINDS.to_owned(), FOLDER.to_owned());
    facts.entry_uuid(id);
    if let Some(identifier) = &folder.unique_id {
        facts.identifier(identifier);
    }
    facts.codes(Attribute::DesignationType, &folder.codes);
    facts.0.push(Fact {
        name: Attribute::Date.name(),
        value: Value::Time { from: updated, to: updated + 1 },
        reach: Reach::Patient,
    });
    facts.0
}

/// The facts of a patient: its identifiers.
pub fn of_patient(identifiers: &[Identifier]) -> Vec<Fact> {
    let mut facts = Facts(Vec::with_capacity(identifiers.len()));
    for identifier in identifiers {
        facts.identifier(identifier);
    }
    facts.0
}

fn either<'a>(all: &'a [Code], one: &'a Option<Code>) -> &'a [Code] {
    if all.is_empty() { one.as_slice() } else { all }
}

struct Facts(Vec<Fact>);

impl Facts {
    fn new(availability: Availability) -> Facts {
        let mut facts = Facts(Vec::with_capacity(16));
        facts.term(Attribute::AvailabilityStatus, String::new(), availability.word().to_owned());
        facts
    }

    fn named(&mut self, name: &'static str, system: String, value: String, reach: Reach) {
        let fact = Fact { name, value: Value::Term { system, value }, reach };
        if !self.0.contains(&fact) {
            self.0.push(fact);
        }
    }

    fn term(&mut self, attribute: Attribute, system: String, value: String) {
        self.named(attribute.name(), system, value, attribute.reach());
    }

    fn identifier(&mut self, identifier: &Identifier) {
        self.term(Attribute::Identifier, system(&identifier.system), identifier_value(&identifier.value));
    }

    fn entry_uuid(&mut self, id: &EntryUuid) {
        self.term(Attribute::Identifier, URI.to_owned(), id.as_str().to_owned());
    }

    fn codes(&mut self, attribute: Attribute, codes: &[Code]) {
        for code in codes {
            self.term(attribute, system(&code.system), code.code.clone());
        }
    }

    fn time(&mut self, attribute: Attribute, time: Option<&Timestamp>) {
        if let Some(time) = time {
            let value = Value::Time { from: time.from, to: time.to };
            self.0.push(Fact { name: attribute.name(), value, reach: attribute.reach() });
        }
    }

    /// An open end of a service is open in time, too (TF-2 3.18.4.1.2.3.6.1: what is absent does not exclude).
    fn service_time(&mut self, start: Option<&Timestamp>, stop: Option<&Timestamp>) {
        if start.is_some() || stop.is_some() {
            let from = start.map_or(i64::MIN, |t| t.from);
            let to = stop.map_or(i64::MAX, |t| t.to);
            let attribute = Attribute::ServiceTime;
            self.0.push(Fact {
                name: attribute.name(),
                value: Value::Time { from, to },
                reach: attribute.reach(),
            });
        }
    }

    fn authors(&mut self, authors: &[Author]) {
        for author in authors {
            self.texts(Attribute::AuthorFamily, &author.family);
            self.texts(Attribute::AuthorGiven, &author.given);
        }
    }

    fn texts(&mut self, attribute: Attribute, texts: &[String]) {
        for text in texts {
            let value = Value::Text { exact: text.clone(), folded: fold(text) };
            self.0.push(Fact { name: attribute.name(), value, reach: attribute.reach() });
        }
    }
}
