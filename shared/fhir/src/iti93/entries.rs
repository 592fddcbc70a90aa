//! The entries of the history: each Patient made to stand for itself.

use serde_json::{Map, Value, json};
use xds::{Finding, Findings, Identifier, Place, Rule, Severity};

use super::references::{Entries, base, id_of};
use super::{Change, Header, What, items, text};
use crate::patient::{self, canonical_system, read_identifier};
use crate::search::shortened;

/// What is read of the entries, and of what is found wrong with them.
struct Reading<'a> {
    entries: Entries<'a>,
    at: &'a Place,
    header: &'a Header,
    own: &'a str,
    /// Which entries have found their place in a Patient.
    used: Vec<bool>,
    findings: Findings,
}

/// Reads the entries. Answers every problem.
pub(super) fn read(
    entries: &[Value],
    at: &Place,
    header: &Header,
    own: &str,
) -> Result<Vec<Change>, Findings> {
    if entries.is_empty() {
        let words =
            "the Bundle of type history has no entry, so that nothing happened; it needs at least one";
        return Err(vec![Finding::error(Rule::Required, at.clone(), words)]);
    }
    let used = vec![false; entries.len()];
    let mut reading = Reading { entries: Entries(entries), at, header, own, used, findings: Findings::new() };
    let mut changes: Vec<(usize, Change)> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        if Entries::kind(entry) == Some("Patient")
            && let Some(change) = reading.patient(index, entry)
        {
            changes.push((index, change));
        }
    }
    reading.check_others();
    reading.check_repeats(&changes);
    let mut findings = reading.findings;
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(findings);
    }
    if changes.is_empty() {
        let words = "the message is about no Patient";
        findings.push(Finding::error(Rule::Required, at.clone(), words));
        return Err(findings);
    }
    let mut changes: Vec<Change> = changes.into_iter().map(|(_, change)| change).collect();
    // Whoever survives, or is revised once more, is there before somebody is merged into them.
    changes.sort_by_key(|change| match &change.what {
        What::Put { patient, .. } => u8::from(patient.replaced_by.is_some()),
        What::Remove => 2,
    });
    Ok(changes)
}

impl<'a> Reading<'a> {
    fn say(&mut self, rule: Rule, at: Place, text: impl Into<String>) {
        self.findings.push(Finding::error(rule, at, text));
    }

    /// What an entry says of a patient.
    fn patient(&mut self, index: usize, entry: &'a Value) -> Option<Change> {
        let place = self.at.item(index);
        let request = entry.get("request").unwrap_or(&Value::Null);
        let resource = entry.get("resource").and_then(Value::as_object);
        let url = self.url(entry);
        match (text(request, "method"), resource) {
            (Some("POST" | "PUT"), Some(resource)) => {
                let at = place.member("resource");
                let (resource, relatives) = self.whole(index, entry, resource.clone(), url.as_ref());
                let mut patient = match patient::read(Value::Object(resource), &at) {
                    Ok(patient) => patient,
                    Err(findings) => {
                        self.findings.extend(findings);
                        return None;
                    }
                };
                let url = url.filter(|url| url.system != self.own || !patient.identifiers.contains(url));
                let is_url = |name: &&Identifier| url.as_ref() != Some(*name);
                let names: Vec<Identifier> = patient.identifiers.iter().filter(is_url).cloned().collect();
                if let Some(url) = &url
                    && url.system != self.own
                    && !patient.identifiers.contains(url)
                {
                    patient.add_identifier(url);
                }
                Some(Change { at, what: What::Put { patient: Box::new(patient), relatives }, names, url })
            }
            (Some("DELETE"), resource) => {
                let named = resource.and_then(|resource| resource.get("identifier"));
                let names: Vec<Identifier> = items(named).iter().filter_map(read_identifier).collect();
                if names.is_empty() && url.is_none() {
                    let words = "nobody can tell who is meant: a deleted Patient is named by the fullUrl of the entry \
                                 (http…/Patient/id) or by an identifier of its resource";
                    self.say(Rule::Required, place.member("fullUrl"), words);
                    return None;
                }
                Some(Change { at: place, what: What::Remove, names, url })
            }
            (Some("POST" | "PUT"), None) => {
                self.say(
                    Rule::Required,
                    place.member("resource"),
                    "a created or updated Patient needs its resource",
                );
                None
            }
            (method, _) => {
                let words = format!(
                    "request.method is {}; accepted are POST, PUT and DELETE",
                    method.map_or("missing".to_owned(), shortened)
                );
                self.say(Rule::Value, place.member("request").member("method"), words);
                None
            }
        }
    }

    /// The patient's URL at the source, as an identifier: the base of its server, and `Patient/id`.
    fn url(&self, entry: &Value) -> Option<Identifier> {
        let request = entry.get("request").unwrap_or(&Value::Null);
        let full_url = text(entry, "fullUrl");
        let id = full_url
            .and_then(|url| id_of(url, "Patient"))
            .or_else(|| entry.get("resource").and_then(|resource| text(resource, "id")))
            .or_else(|| id_of(text(request, "url")?, "Patient"))?;
        let server = match full_url {
            Some(url) if !url.starts_with("urn:") => base(url)?,
            // The entry says nothing of its server; the message is on it, or comes from it.
            _ => self.server()?,
        };
        Some(Identifier { system: canonical_system(server), value: format!("Patient/{id}") })
    }

    /// The server a message comes from.
    fn server(&self) -> Option<&str> {
        let source = self.header.source.trim_end_matches('/');
        let is_url = source.starts_with("http://") || source.starts_with("https://");
        self.header.base.as_deref().or(is_url.then_some(source))
    }

    /// A Patient that needs no other entry: references resolved, relatives and whatever else it names contained. The flag says
    /// whether the message tells of relatives.
    fn whole(
        &mut self,
        index: usize,
        entry: &'a Value,
        mut resource: Map<String, Value>,
        url: Option<&Identifier>,
    ) -> (Map<String, Value>, bool) {
        if items(resource.get("identifier")).is_empty()
            && let Some(url) = url
        {
            let named = json!([{ "system": url.system, "value": url.value }]);
            resource.insert("identifier".to_owned(), named);
        }
        let is_linked = !items(resource.get("link")).is_empty();
        let is_replaced =
            items(resource.get("link")).iter().any(|link| text(link, "type") == Some("replaced-by"));
        if is_linked && !is_replaced {
            // PMIR asks no word about it; PDQm does.
            resource.entry("active").or_insert(Value::Bool(true));
        }
        let from = text(entry, "fullUrl").map(str::to_owned);
        let mut contained: Vec<Value> = items(resource.get("contained")).to_vec();
        let said = contained.iter().any(|one| text(one, "resourceType") == Some("RelatedPerson"));
        let place = self.at.item(index).member("resource");
        let mut whole = Value::Object(resource);
        self.resolve(&mut whole, (index, from.as_deref()), &mut contained, &place);
        let relatives = self.relatives(index, entry, &mut contained);
        let mut resource = match whole {
            Value::Object(resource) => resource,
            _ => Map::new(),
        };
        if !contained.is_empty() {
            resource.insert("contained".to_owned(), Value::Array(contained));
        }
        (resource, relatives || said)
    }

    /// Resolves every reference within a value.
    fn resolve(
        &mut self,
        value: &mut Value,
        (index, from): (usize, Option<&str>),
        contained: &mut Vec<Value>,
        at: &Place,
    ) {
        match value {
            Value::Array(list) => {
                for (item, value) in list.iter_mut().enumerate() {
                    self.resolve(value, (index, from), contained, &at.item(item));
                }
            }
            Value::Object(members) => {
                if let Some(reference) = members.get("reference").and_then(Value::as_str).map(str::to_owned) {
                    self.replace(members, &reference, (index, from), contained, at);
                } else if let Some(uuid) = uuid_alone(members.get("identifier")) {
                    // A URN in place of an identifier names an entry, or a Patient by its id here.
                    members.shift_remove("identifier");
                    let is_entry = self.entries.named(&format!("urn:uuid:{uuid}"), from).is_some();
                    let reference = if is_entry {
                        format!("urn:uuid:{uuid}")
                    } else {
                        format!("{}/Patient/{uuid}", self.own)
                    };
                    members.insert("reference".to_owned(), json!(reference));
                    self.replace(members, &reference, (index, from), contained, at);
                }
                for (name, value) in members.iter_mut() {
                    if !matches!(name.as_str(), "contained" | "text" | "reference") {
                        self.resolve(value, (index, from), contained, &at.member(name));
                    }
                }
            }
            _ => {}
        }
    }

    /// Writes one reference as it holds outside of the message.
    fn replace(
        &mut self,
        members: &mut Map<String, Value>,
        reference: &str,
        (index, from): (usize, Option<&str>),
        contained: &mut Vec<Value>,
        at: &Place,
    ) {
        if reference.starts_with('#') {
            return;
        }
        let Some((found, entry)) = self.entries.named(reference, from) else {
            if reference.starts_with("urn:") {
                let words = format!(
                    "{} names no entry of the message, and nobody outside of it",
                    shortened(reference)
                );
                self.say(Rule::UnresolvedReference, at.member("reference"), words);
            } else if !reference.contains("://")
                && let Some(base) = from.and_then(base)
            {
                members.insert("reference".to_owned(), json!(format!("{base}/{reference}")));
            }
            return;
        };
        let resource = entry.get("resource").unwrap_or(&Value::Null);
        let kind = Entries::kind(entry);
        match kind {
            Some("Patient" | "RelatedPerson") if found == index => {}
            Some("Patient" | "RelatedPerson") => {
                let identifier =
                    items(resource.get("identifier")).iter().find(|item| read_identifier(item).is_some());
                let identifier = identifier.cloned().or_else(|| {
                    let url = self.url(entry).filter(|_| kind == Some("Patient"))?;
                    Some(json!({ "system": url.system, "value": url.value }))
                });
                let Some(identifier) = identifier else {
                    if kind == Some("Patient") {
                        let words = "the Patient this refers to has no identifier it could be known by";
                        self.say(Rule::UnresolvedReference, at.member("reference"), words);
                    } else if let Some(absolute) = text(entry, "fullUrl").filter(|url| base(url).is_some()) {
                        members.insert("reference".to_owned(), json!(absolute));
                    } else {
                        members.shift_remove("reference");
                        members.insert("type".to_owned(), json!("RelatedPerson"));
                        members.entry("display").or_insert(json!("RelatedPerson of the same message"));
                    }
                    return;
                };
                members.shift_remove("reference");
                members.insert("type".to_owned(), json!(kind));
                members.insert("identifier".to_owned(), identifier);
            }
            _ => {
                self.used[found] = true;
                let id = contain(contained, resource.clone());
                members.insert("reference".to_owned(), json!(format!("#{id}")));
            }
        }
    }

    /// Puts the relatives of a patient into its contained resources; answers whether there are any.
    fn relatives(&mut self, index: usize, patient: &Value, contained: &mut Vec<Value>) -> bool {
        let mut any = false;
        let named: Vec<Identifier> =
            items(patient.pointer("/resource/identifier")).iter().filter_map(read_identifier).collect();
        for (at, entry) in self.entries.0.iter().enumerate() {
            let resource = entry.get("resource").unwrap_or(&Value::Null);
            if text(resource, "resourceType") != Some("RelatedPerson") || is_deleted(entry) {
                continue;
            }
            let of = resource.get("patient").unwrap_or(&Value::Null);
            let by_reference = text(of, "reference")
                .and_then(|reference| self.entries.named(reference, text(entry, "fullUrl")))
                .is_some_and(|(found, _)| found == index);
            let by_name =
                of.get("identifier").and_then(read_identifier).is_some_and(|name| named.contains(&name));
            if !(by_reference || by_name) {
                continue;
            }
            self.used[at] = true;
            any = true;
            let mut relative = resource.clone();
            relative["patient"] = json!({ "reference": "#" });
            contain(contained, relative);
        }
        any
    }

    /// Entries that are no patients must have found their place in one.
    fn check_others(&mut self) {
        for (index, entry) in self.entries.0.iter().enumerate() {
            if self.used[index] || Entries::kind(entry) == Some("Patient") {
                continue;
            }
            let place = self.at.item(index).member("resource");
            let kind = Entries::kind(entry).map_or("nothing".to_owned(), shortened);
            let words = match kind.as_str() {
                "RelatedPerson" if is_deleted(entry) => {
                    "a RelatedPerson is kept with its Patient; to delete one, send the Patient with the relatives that remain"
                        .to_owned()
                }
                "RelatedPerson" => {
                    "a RelatedPerson is kept with the Patient it is related to (RelatedPerson.patient), who must be in the same message"
                        .to_owned()
                }
                _ => format!("{kind} is taken only where a Patient of the same message refers to it"),
            };
            self.say(Rule::NotSupported, place, words);
        }
    }

    /// Each patient is once in a message: nobody could say which of two came last.
    fn check_repeats(&mut self, changes: &[(usize, Change)]) {
        for (place, (index, change)) in changes.iter().enumerate() {
            let same = |other: &&(usize, Change)| {
                let is_named = other.1.names.iter().any(|name| change.names.contains(name));
                is_named || (change.url.is_some() && other.1.url == change.url)
            };
            if let Some((earlier, _)) = changes[..place].iter().find(same) {
                let words = format!(
                    "the Patient of entry[{earlier}] is here again; each Patient is once in a message"
                );
                let at = self.at.item(*index);
                self.say(Rule::Invariant, at, words);
            }
        }
    }
}

fn is_deleted(entry: &Value) -> bool {
    entry.get("request").and_then(|request| text(request, "method")) == Some("DELETE")
}

/// The UUID of an identifier that has nothing else: `urn:uuid:…` and no system.
fn uuid_alone(identifier: Option<&Value>) -> Option<String> {
    let identifier = identifier?;
    if identifier.get("system").is_some_and(|system| system != "urn:ietf:rfc:3986") {
        return None;
    }
    text(identifier, "value")?.strip_prefix("urn:uuid:").map(str::to_owned)
}

/// Adds a contained resource under an id no other one has; answers the id.
fn contain(contained: &mut Vec<Value>, mut resource: Value) -> String {
    let ids: Vec<&str> = contained.iter().filter_map(|one| text(one, "id")).collect();
    let wanted = text(&resource, "id").map_or_else(|| "contained".to_owned(), str::to_owned);
    if contained.iter().any(|one| text(one, "id") == Some(&wanted) && is_same(one, &resource)) {
        return wanted;
    }
    let mut id = wanted.clone();
    let mut number = 2;
    while ids.contains(&id.as_str()) {
        id = format!("{wanted:.60}-{number}");
        number += 1;
    }
    if let Value::Object(members) = &mut resource {
        // What is contained has neither a version nor a narrative of its own (dom-2, dom-4).
        for member in ["meta", "text", "contained"] {
            members.shift_remove(member);
        }
        members.insert("id".to_owned(), json!(id));
    }
    contained.push(resource);
    id
}

/// Whether a contained resource is this one, taken in before.
fn is_same(contained: &Value, resource: &Value) -> bool {
    let bare = |value: &Value| {
        let mut members = value.as_object().cloned().unwrap_or_default();
        for member in ["meta", "text", "contained"] {
            members.shift_remove(member);
        }
        members
    };
    bare(contained) == bare(resource)
}
