//! Patient: how a patient is read from one (PDQm Patient profile) and written as one, and what it can be found by.

mod beside;
mod identifiers;

use serde_json::{Map, Value};
use xds::identifier::is_oid;
use xds::{Finding, Findings, Identifier, Place, Rule};

use crate::document_reference::Stamp;
use crate::when;

pub use beside::{ACCOUNT, accounts, mother, mothers_identifiers, plain_number};
pub use identifiers::restricted;

/// The extension that carries the mother's maiden name (PDQm 3.2, 2:3.78.4.1.2.3).
pub const MOTHERS_MAIDEN_NAME: &str = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName";

/// What a patient can be asked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// The FHIR id.
    Id,
    /// When it was last written.
    LastUpdated,
    /// Business identifiers.
    Identifier,
    /// Whether the record is in use; one without the element counts as in use.
    Active,
    /// Administrative gender.
    Gender,
    /// Date of birth.
    BirthDate,
    /// Any part of a name.
    Name,
    /// Family name.
    Family,
    /// Given names.
    Given,
    /// Phone, mail and so on.
    Telecom,
    /// Any part of an address.
    Address,
    /// City.
    City,
    /// State.
    State,
    /// Postal code.
    PostalCode,
    /// Country.
    Country,
    /// Mother's maiden name.
    MothersMaidenName,
    /// Given names of the mother.
    MothersGiven,
    /// Identifiers of the mother.
    MothersIdentifier,
    /// Numbers of accounts.
    Account,
}

/// One thing a patient can be found by, free of any store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A value in a name space (empty for none).
    Term {
        /// The name space.
        space: String,
        /// The value.
        value: String,
    },
    /// A text as it stands.
    Text(String),
    /// A stretch of time, `from` inclusive, `to` exclusive, microseconds since 1970.
    Span(i64, i64),
}

/// Who took the place of a patient: one of the two forms, or both, as the source gave them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survivor {
    /// By business identifier (what ITI-104 asks for).
    pub identifier: Option<Identifier>,
    /// By reference.
    pub reference: Option<String>,
}

/// A patient as a source describes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Patient {
    /// The resource as sent.
    pub resource: Map<String, Value>,
    /// Its business identifiers, systems in canonical form, in order, without repetitions.
    pub identifiers: Vec<Identifier>,
    /// `active`; absent counts as true.
    pub active: bool,
    /// The patient it was merged into (`link` of type `replaced-by`).
    pub replaced_by: Option<Survivor>,
}

/// A name space in the form in which it is compared: a bare OID gets its `urn:oid:`.
pub fn canonical_system(system: &str) -> String {
    if is_oid(system) { format!("urn:oid:{system}") } else { system.to_owned() }
}

/// Reads a patient and checks it against the R4 shape and the PDQm Patient profile. Answers all problems.
pub fn read(resource: Value, at: &Place) -> Result<Patient, Findings> {
    let mut findings = Findings::new();
    let Value::Object(members) = &resource else {
        return Err(vec![Finding::error(
            Rule::Structure,
            at.clone(),
            "the body must be one Patient resource",
        )]);
    };
    if members.get("resourceType").and_then(Value::as_str) != Some("Patient") {
        let text = "the body must be a Patient resource (resourceType \"Patient\")";
        return Err(vec![Finding::error(Rule::Structure, at.member("resourceType"), text)]);
    }
    findings.extend(crate::schema::check(&resource, at));
    if findings.iter().any(|finding| finding.severity == xds::Severity::Error) {
        return Err(findings);
    }
    let Value::Object(members) = resource else {
        return Err(findings);
    };
    let identifiers = read_identifiers(&members, at, &mut findings);
    check_profile(&members, at, &mut findings);
    let replaced_by = read_replaced_by(&members, at, &mut findings);
    let active = members.get("active").and_then(Value::as_bool);
    if replaced_by.is_some() && active == Some(true) {
        let text = "a Patient that another one replaces (link.type replaced-by) must have active false";
        findings.push(Finding::error(Rule::Invariant, at.member("active"), text));
    }
    if findings.iter().any(|finding| finding.severity == xds::Severity::Error) {
        return Err(findings);
    }
    let active = active.unwrap_or(true) && replaced_by.is_none();
    Ok(Patient { resource: members, identifiers, active, replaced_by })
}

/// Reads `identifier`; each needs system and value (PDQm Patient: identifier 1..*, system 1..1, value 1..1).
fn read_identifiers(members: &Map<String, Value>, at: &Place, findings: &mut Findings) -> Vec<Identifier> {
    let mut identifiers: Vec<Identifier> = Vec::new();
    let list = items(members.get("identifier"));
    if list.is_empty() {
        let text = "Patient.identifier is required: at least one identifier with system and value";
        findings.push(Finding::error(Rule::Required, at.member("identifier"), text));
    }
    for (index, item) in list.iter().enumerate() {
        let place = at.member("identifier").item(index);
        match read_identifier(item) {
            Some(identifier) if !identifiers.contains(&identifier) => identifiers.push(identifier),
            Some(_) => {}
            None => {
                for name in ["system", "value"] {
                    if text(item, name).is_none() {
                        let text = format!("every Patient.identifier needs a {name}");
                        findings.push(Finding::error(Rule::Required, place.member(name), text));
                    }
                }
            }
        }
    }
    identifiers
}

/// An identifier with system and value, in canonical form.
pub fn read_identifier(item: &Value) -> Option<Identifier> {
    let system = text(item, "system")?;
    let value = text(item, "value")?;
    Some(Identifier { system: canonical_system(system), value: value.to_owned() })
}

/// What the PDQm Patient profile asks beyond R4, identifiers apart.
fn check_profile(members: &Map<String, Value>, at: &Place, findings: &mut Findings) {
    for name in ["implicitRules", "modifierExtension"] {
        if members.contains_key(name) {
            let text = format!("Patient.{name} is not allowed by the PDQm Patient profile");
            findings.push(Finding::error(Rule::NotSupported, at.member(name), text));
        }
    }
    if !items(members.get("link")).is_empty() && !members.contains_key("active") {
        let text = "a Patient with a link must say whether it is active";
        findings.push(Finding::error(Rule::Invariant, at.member("active"), text));
    }
    for (index, name) in items(members.get("name")).iter().enumerate() {
        // A part that only says why it is absent is there too.
        let parts = ["family", "given", "text", "_family", "_given", "_text"];
        let has_part = parts.iter().any(|part| name.get(part).is_some());
        if !has_part && name.get("extension").is_none() {
            let text = "a name needs family, given or text, or the reason why it is absent";
            findings.push(Finding::error(Rule::Invariant, at.member("name").item(index), text));
        }
    }
    let tags = members.get("meta").map(|meta| items(meta.get("tag"))).unwrap_or_default();
    if tags.iter().any(|tag| text(tag, "code") == Some("SUBSETTED")) {
        let text =
            "this Patient is tagged SUBSETTED: it is only a part of one and cannot be taken for the whole";
        findings.push(Finding::error(Rule::BusinessRule, at.member("meta").member("tag"), text));
    }
}

/// Reads the link that says who took this patient's place.
fn read_replaced_by(members: &Map<String, Value>, at: &Place, findings: &mut Findings) -> Option<Survivor> {
    let links: Vec<(usize, &Value)> = items(members.get("link"))
        .iter()
        .enumerate()
        .filter(|(_, link)| text(link, "type") == Some("replaced-by"))
        .collect();
    let &(index, link) = links.first()?;
    let place = at.member("link").item(index).member("other");
    if links.len() > 1 {
        let text = "a Patient can be replaced by one other Patient only";
        findings.push(Finding::error(Rule::Invariant, at.member("link"), text));
    }
    let other = link.get("other").unwrap_or(&Value::Null);
    let survivor = Survivor {
        identifier: other.get("identifier").and_then(read_identifier),
        reference: text(other, "reference").map(str::to_owned),
    };
    if survivor == Survivor::default() {
        let text = "link.other must name the surviving patient by identifier (system and value) or reference";
        findings.push(Finding::error(Rule::Required, place, text));
    }
    Some(survivor)
}

impl Patient {
    /// Adds an identifier the source knows the patient by and did not list.
    pub fn add_identifier(&mut self, identifier: &Identifier) {
        self.identifiers.push(identifier.clone());
        let item = serde_json::json!({ "system": identifier.system, "value": identifier.value });
        match self.resource.get_mut("identifier") {
            Some(Value::Array(list)) => list.push(item),
            _ => {
                self.resource.insert("identifier".to_owned(), Value::Array(vec![item]));
            }
        }
    }

    /// The resource as this domain serves it: what the source sent, with id and meta of ours. A merged patient is not active
    /// and names its survivor by id of this domain too.
    pub fn write(&self, id: &str, stamp: Stamp, survivor: Option<&str>) -> Vec<u8> {
        let mut written = Map::new();
        written.insert("resourceType".to_owned(), "Patient".into());
        written.insert("id".to_owned(), id.into());
        written.insert("meta".to_owned(), Value::Object(meta(self.resource.get("meta"), stamp)));
        for (name, value) in &self.resource {
            if !matches!(name.as_str(), "resourceType" | "id" | "meta") {
                written.insert(name.clone(), value.clone());
            }
        }
        if let Some(survivor) = survivor {
            written.insert("active".to_owned(), Value::Bool(false));
            name_survivor(&mut written, survivor);
        }
        serde_json::to_vec(&written).expect("a JSON value can always be written")
    }

    /// Everything it can be found by.
    pub fn facts(&self) -> Vec<(Attribute, Fact)> {
        let mut facts = Vec::new();
        for identifier in &self.identifiers {
            facts.push((
                Attribute::Identifier,
                Fact::Term { space: identifier.system.clone(), value: identifier.value.clone() },
            ));
        }
        facts.push((Attribute::Active, term("", if self.active { "true" } else { "false" })));
        if let Some(gender) = self.resource.get("gender").and_then(Value::as_str) {
            facts.push((Attribute::Gender, term("", gender)));
        }
        if let Some(born) = self.resource.get("birthDate").and_then(Value::as_str).and_then(when::read) {
            facts.push((Attribute::BirthDate, Fact::Span(born.from, born.to)));
        }
        for name in items(self.resource.get("name")) {
            push_texts(&mut facts, Attribute::Family, name, &["family"]);
            push_texts(&mut facts, Attribute::Given, name, &["given"]);
            push_texts(&mut facts, Attribute::Name, name, &["text", "prefix", "suffix"]);
        }
        for point in items(self.resource.get("telecom")) {
            if let Some(value) = text(point, "value") {
                let system = text(point, "system").unwrap_or("");
                facts.push((Attribute::Telecom, term(system, value)));
                // Numbers are written in many ways.
                let plain = plain_number(value);
                if plain != value.to_lowercase() {
                    facts.push((Attribute::Telecom, term(system, &plain)));
                }
            }
        }
        for address in items(self.resource.get("address")) {
            push_texts(&mut facts, Attribute::City, address, &["city"]);
            push_texts(&mut facts, Attribute::State, address, &["state"]);
            push_texts(&mut facts, Attribute::PostalCode, address, &["postalCode"]);
            push_texts(&mut facts, Attribute::Country, address, &["country"]);
            push_texts(&mut facts, Attribute::Address, address, &["text", "line", "district"]);
        }
        for extension in items(self.resource.get("extension")) {
            if text(extension, "url") == Some(MOTHERS_MAIDEN_NAME) {
                push_texts(&mut facts, Attribute::MothersMaidenName, extension, &["valueString"]);
            }
        }
        self.push_beside(&mut facts);
        facts
    }

    /// What it can be found by beside itself.
    fn push_beside(&self, facts: &mut Vec<(Attribute, Fact)>) {
        for name in mother(&self.resource).map(|mother| items(mother.get("name"))).unwrap_or_default() {
            push_texts(facts, Attribute::MothersGiven, name, &["given"]);
        }
        for identifier in mothers_identifiers(&self.resource) {
            facts.push((Attribute::MothersIdentifier, term(&identifier.system, &identifier.value)));
        }
        for account in accounts(&self.resource) {
            let space = text(account, "system").map(canonical_system).unwrap_or_default();
            if let Some(number) = text(account, "value") {
                facts.push((Attribute::Account, term(&space, number)));
            }
        }
    }
}

/// `meta` as served: the source's profiles, tags and labels, and version and time of ours.
fn meta(sent: Option<&Value>, stamp: Stamp) -> Map<String, Value> {
    let mut meta = Map::new();
    meta.insert("versionId".to_owned(), stamp.version.to_string().into());
    meta.insert("lastUpdated".to_owned(), when::instant(stamp.updated).into());
    if let Some(Value::Object(sent)) = sent {
        for (name, value) in sent {
            if !matches!(name.as_str(), "versionId" | "lastUpdated") {
                meta.insert(name.clone(), value.clone());
            }
        }
    }
    meta
}

/// Puts the survivor's reference into the link that names it.
fn name_survivor(members: &mut Map<String, Value>, survivor: &str) {
    let Some(Value::Array(links)) = members.get_mut("link") else { return };
    let replaced = links.iter_mut().find(|link| text(link, "type") == Some("replaced-by"));
    if let Some(Value::Object(other)) = replaced.and_then(|link| link.get_mut("other")) {
        other.insert("reference".to_owned(), format!("Patient/{survivor}").into());
    }
}

fn term(space: &str, value: &str) -> Fact {
    Fact::Term { space: space.to_owned(), value: value.to_owned() }
}

/// Adds the texts found under these members, each a string or a list of strings.
fn push_texts(facts: &mut Vec<(Attribute, Fact)>, attribute: Attribute, of: &Value, names: &[&str]) {
    for name in names {
        match of.get(name) {
            Some(Value::String(text)) => facts.push((attribute, Fact::Text(text.clone()))),
            Some(Value::Array(list)) => {
                let texts = list.iter().filter_map(Value::as_str);
                facts.extend(texts.map(|text| (attribute, Fact::Text(text.to_owned()))));
            }
            _ => {}
        }
    }
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
    of.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alice() -> Value {
        json!({
            "resourceType": "Patient",
            "meta": { "versionId": "77", "security": [{ "code": "HTEST" }] },
            "identifier": [
                { "system": "1.2.3", "value": "A-1", "assigner": { "display": "Red" } },
                { "system": "urn:oid:1.2.3", "value": "A-1" },
                { "system": "http://example.org/mrn", "value": "7|7" }
            ],
            "name": [{ "family": "Mühlbauer", "given": ["Alice", "Zoë"] }],
            "gender": "female",
            "birthDate": "1958-01-30",
            "extension": [
                { "url": MOTHERS_MAIDEN_NAME, "valueString": "Berger" },
                { "url": ACCOUNT, "valueIdentifier": { "system": "1.2.9", "value": "ACC-1" } }
            ],
            "contained": [{
                "resourceType": "RelatedPerson",
                "id": "mother",
                "identifier": [{ "system": "1.2.3", "value": "M-1" }],
                "patient": { "reference": "#" },
                "relationship": [{ "coding": [{ "code": "MTH" }] }],
                "name": [{ "family": "Berger", "given": ["Ida"] }]
            }]
        })
    }

    fn place() -> Place {
        Place::at("Patient")
    }

    fn problems(resource: Value) -> Vec<(Rule, String)> {
        let findings = read(resource, &place()).expect_err("is refused");
        findings.into_iter().map(|finding| (finding.rule, finding.at.path)).collect()
    }

    #[test]
    fn identifiers_are_compared_with_and_without_urn_oid() {
        let patient = read(alice(), &place()).expect("is a patient");
        let systems: Vec<&str> =
            patient.identifiers.iter().map(|identifier| identifier.system.as_str()).collect();
        assert_eq!(systems, ["urn:oid:1.2.3", "http://example.org/mrn"]);
    }

    #[test]
    fn a_patient_without_the_element_counts_as_active() {
        assert!(read(alice(), &place()).expect("is a patient").active);
    }

    #[test]
    fn a_patient_is_written_with_our_id_and_version_and_everything_the_source_sent() {
        let patient = read(alice(), &place()).expect("is a patient");
        let written = patient.write("p-1", Stamp { version: 3, updated: 1_600_000_000_123_456 }, None);
        let written: Value = serde_json::from_slice(&written).expect("is JSON");
        assert_eq!(written["id"], "p-1");
        assert_eq!(written["meta"]["versionId"], "3");
        assert_eq!(written["meta"]["lastUpdated"], "2020-09-13T12:26:40.123Z");
        assert_eq!(written["meta"]["security"], alice()["meta"]["security"]);
        assert_eq!(written["identifier"], alice()["identifier"]);
        assert_eq!(written["extension"], alice()["extension"]);
    }

    #[test]
    fn a_merged_patient_is_written_inactive_with_its_survivor() {
        let mut resource = alice();
        resource["active"] = json!(false);
        resource["link"] = json!([{
            "other": { "identifier": { "system": "1.2.3", "value": "B-2" } },
            "type": "replaced-by"
        }]);
        let patient = read(resource, &place()).expect("is a patient");
        assert!(!patient.active);
        let survivor = patient.replaced_by.clone().expect("names its survivor");
        assert_eq!(survivor.identifier.expect("by identifier").system, "urn:oid:1.2.3");
        let written = patient.write("p-1", Stamp { version: 1, updated: 0 }, Some("p-2"));
        let written: Value = serde_json::from_slice(&written).expect("is JSON");
        assert_eq!(written["active"], false);
        assert_eq!(written["link"][0]["other"]["reference"], "Patient/p-2");
        assert_eq!(written["link"][0]["other"]["identifier"]["value"], "B-2");
    }

    #[test]
    fn an_identifier_without_system_or_value_is_refused_where_it_stands() {
        let mut resource = alice();
        resource["identifier"] = json!([{ "value": "x" }, { "system": "urn:oid:1.2" }]);
        assert_eq!(
            problems(resource),
            [
                (Rule::Required, "Patient.identifier[0].system".to_owned()),
                (Rule::Required, "Patient.identifier[1].value".to_owned())
            ]
        );
    }

    #[test]
    fn a_patient_without_identifier_is_refused() {
        let mut resource = alice();
        resource.as_object_mut().expect("is an object").remove("identifier");
        assert_eq!(problems(resource), [(Rule::Required, "Patient.identifier".to_owned())]);
    }

    #[test]
    fn a_name_may_say_of_a_part_why_it_is_absent() {
        let mut resource = alice();
        resource["name"] = json!([{ "use": "official" }]);
        assert_eq!(problems(resource.clone()), [(Rule::Invariant, "Patient.name[0]".to_owned())]);
        let absent = json!({ "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown" });
        for name in [json!({ "_family": { "extension": [absent] } }), json!({ "extension": [absent] })] {
            resource["name"] = json!([name]);
            assert!(read(resource.clone(), &place()).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_link_needs_a_word_about_active() {
        let mut resource = alice();
        resource["link"] = json!([{ "other": { "reference": "Patient/2" }, "type": "seealso" }]);
        assert_eq!(problems(resource), [(Rule::Invariant, "Patient.active".to_owned())]);
    }

    #[test]
    fn a_replaced_patient_cannot_be_active() {
        let mut resource = alice();
        resource["active"] = json!(true);
        resource["link"] = json!([{ "other": { "reference": "Patient/2" }, "type": "replaced-by" }]);
        assert_eq!(problems(resource), [(Rule::Invariant, "Patient.active".to_owned())]);
    }

    #[test]
    fn a_part_of_a_patient_is_not_taken_for_the_whole() {
        let mut resource = alice();
        resource["meta"] = json!({ "tag": [{ "code": "SUBSETTED" }] });
        assert_eq!(problems(resource), [(Rule::BusinessRule, "Patient.meta.tag".to_owned())]);
    }

    #[test]
    fn another_resource_is_not_a_patient() {
        assert_eq!(
            problems(json!({ "resourceType": "Person" })),
            [(Rule::Structure, "Patient.resourceType".to_owned())]
        );
        assert_eq!(problems(json!([])), [(Rule::Structure, "Patient".to_owned())]);
    }

    #[test]
    fn a_patient_is_found_by_every_part_of_it() {
        let patient = read(alice(), &place()).expect("is a patient");
        let facts = patient.facts();
        let has = |attribute, fact: Fact| facts.contains(&(attribute, fact));
        assert!(has(Attribute::Family, Fact::Text("Mühlbauer".into())));
        assert!(has(Attribute::Given, Fact::Text("Zoë".into())));
        assert!(has(Attribute::Gender, term("", "female")));
        assert!(has(Attribute::Active, term("", "true")));
        assert!(has(Attribute::MothersMaidenName, Fact::Text("Berger".into())));
        assert!(has(Attribute::MothersGiven, Fact::Text("Ida".into())));
        assert!(has(Attribute::MothersIdentifier, term("urn:oid:1.2.3", "M-1")));
        assert!(has(Attribute::Account, term("urn:oid:1.2.9", "ACC-1")));
        let day = -376_185_600_000_000;
        assert!(has(Attribute::BirthDate, Fact::Span(day, day + 86_400_000_000)));
    }
}
