//! What each object can be found by.

use super::{
    Attribute, FOLDER, Fact, LIST_KINDS, Reach, SOMEBODY, SUBMISSION_SET, URI, Value, fold, identifier_value,
    system,
};
use crate::types::{
    Author, Availability, Code, DocumentEntry, EntryUuid, Folder, Identifier, Linked, SubmissionSet,
    Timestamp,
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
    facts.time(Attribute::ServiceStart, entry.service_start.as_ref());
    facts.time(Attribute::ServiceStop, entry.service_stop.as_ref());
    facts.authors(&entry.authors);
    for identifier in &entry.reference_ids {
        facts.term(Attribute::ReferenceId, system(&identifier.system), identifier_value(&identifier.value));
    }
    for identifier in &entry.reference_id_list {
        facts.text(Attribute::ReferenceIdList, Some(identifier.trim_end_matches('^')));
    }
    for reference in &entry.related {
        facts.reference(Attribute::Related, reference);
    }
    for encounter in &entry.encounters {
        facts.linked(Attribute::EncounterReference, Attribute::EncounterIdentifier, encounter);
    }
    facts.somebody(
        Attribute::AuthenticatorReference,
        Attribute::AuthenticatorIdentifier,
        entry.authenticator.as_ref(),
    );
    facts.somebody(Attribute::CustodianReference, Attribute::CustodianIdentifier, entry.custodian.as_ref());
    facts.text(Attribute::Comments, entry.comments.as_deref());
    facts.text(Attribute::Title, entry.title.as_deref());
    facts.term(Attribute::MimeType, String::new(), entry.mime_type.clone());
    if let Some(language) = &entry.language {
        facts.term(Attribute::LanguageCode, String::new(), language.clone());
    }
    facts.term(Attribute::Location, String::new(), entry.url.clone());
    if !entry.kind.is_stable() {
        facts.term(Attribute::OnDemand, String::new(), "true".to_owned());
    }
    if entry.online == Some(false) {
        facts.term(Attribute::Offline, String::new(), "true".to_owned());
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
    facts.text(Attribute::Title, set.title.as_deref());
    facts.text(Attribute::Comments, set.comments.as_deref());
    if let Some(encounter) = &set.encounter {
        facts.linked(Attribute::EncounterReference, Attribute::EncounterIdentifier, encounter);
    }
    facts.0
}

/// The fact that an object is found by this entryUUID, too.
pub fn of_entry_uuid(id: &EntryUuid) -> Fact {
    let mut facts = Facts(Vec::with_capacity(1));
    facts.entry_uuid(id);
    facts.0.swap_remove(0)
}

/// The facts of a registered folder; `updated` is its lastUpdateTime.
pub fn of_folder(folder: &Folder, availability: Availability, id: &EntryUuid, updated: i64) -> Vec<Fact> {
    let mut facts = Facts::new(availability);
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
    facts.text(Attribute::Title, folder.title.as_deref());
    facts.text(Attribute::Comments, folder.comments.as_deref());
    if let Some(encounter) = &folder.encounter {
        facts.linked(Attribute::EncounterReference, Attribute::EncounterIdentifier, encounter);
    }
    facts.0
}

/// Who a patient is, as far as a search can ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person<'a> {
    /// Business identifiers.
    pub identifiers: &'a [Identifier],
    /// Family names.
    pub family: Vec<String>,
    /// Given names.
    pub given: Vec<String>,
    /// Names written as one text, prefixes and suffixes.
    pub names: Vec<String>,
    /// Date of birth: the day, month or year, microseconds since 1970.
    pub born: Option<(i64, i64)>,
    /// Administrative gender.
    pub gender: Option<String>,
    /// Whether the record is in use.
    pub active: bool,
}

/// The facts of a patient.
pub fn of_patient(person: &Person<'_>) -> Vec<Fact> {
    let mut facts = Facts(Vec::with_capacity(person.identifiers.len() + 6));
    for identifier in person.identifiers {
        facts.identifier(identifier);
    }
    facts.texts(Attribute::PatientFamily, &person.family);
    facts.texts(Attribute::PatientGiven, &person.given);
    facts.texts(Attribute::PatientName, &person.names);
    if let Some((from, to)) = person.born {
        let attribute = Attribute::PatientBirthDate;
        let value = Value::Time { from, to };
        facts.0.push(Fact { name: attribute.name(), value, reach: attribute.reach() });
    }
    if let Some(gender) = &person.gender {
        facts.term(Attribute::PatientGender, String::new(), gender.clone());
    }
    let active = if person.active { "true" } else { "false" };
    facts.term(Attribute::PatientActive, String::new(), active.to_owned());
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
            // How a code reads lies beside it: a question for words (`:text`) asks for texts, one for codes asks for terms.
            self.text(attribute, code.display.as_deref());
        }
    }

    /// A literal reference, without the version it may name.
    fn reference(&mut self, attribute: Attribute, reference: &str) {
        let bare = reference.split("/_history/").next().unwrap_or(reference);
        self.term(attribute, String::new(), bare.to_owned());
    }

    fn linked(&mut self, reference: Attribute, identifier: Attribute, linked: &Linked) {
        if let Some(url) = &linked.reference {
            self.reference(reference, url);
        }
        if let Some(name) = &linked.identifier {
            self.term(identifier, system(&name.system), identifier_value(&name.value));
        }
    }

    /// Somebody who signed or keeps the document.
    fn somebody(&mut self, reference: Attribute, identifier: Attribute, who: Option<&Author>) {
        let Some(who) = who else { return };
        match &who.reference {
            Some(url) => self.reference(reference, url),
            None => self.term(reference, String::new(), SOMEBODY.to_owned()),
        }
        for name in &who.identifiers {
            self.term(identifier, system(&name.system), identifier_value(&name.value));
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
            self.text(Attribute::AuthorPerson, author.person.as_deref());
            self.texts(Attribute::AuthorFamily, &author.family);
            self.texts(Attribute::AuthorGiven, &author.given);
            self.texts(Attribute::AuthorName, &author.names);
            self.texts(Attribute::AuthorInstitution, &author.institution);
            self.somebody(Attribute::AuthorReference, Attribute::AuthorIdentifier, Some(author));
        }
    }

    fn texts(&mut self, attribute: Attribute, texts: &[String]) {
        for text in texts {
            self.text(attribute, Some(text));
        }
    }

    fn text(&mut self, attribute: Attribute, text: Option<&str>) {
        if let Some(text) = text {
            let value = Value::Text { exact: text.to_owned(), folded: fold(text) };
            self.0.push(Fact { name: attribute.name(), value, reach: attribute.reach() });
        }
    }
}
