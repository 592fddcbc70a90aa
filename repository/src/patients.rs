//! The identity source as a peer: who the patient of a submission is.
//!
//! A literal reference is taken as it is, since the registry knows every patient by its own records and decides.
//! Anything else is asked for here, by identifier. A foreign server is never asked.

use std::time::Duration;

use bytes::Bytes;
use fhir::iti65::{Origin, Provided};
use http::Method;
use moka::sync::Cache;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};
use web::{Error, Peer, PeerAnswer};
use xds::hl7::Cx;
use xds::{Finding, Findings, Identifier, Patient, Place, Rule};

use crate::config::{IdentitySettings, PatientEntries};
use crate::registrar::Registrar;

/// How long the registry may take to say whom an identifier names.
const SECOND_LOOK: Duration = Duration::from_secs(10);
/// The same when the identity source was not reached, which has cost time already.
const SHORT_LOOK: Duration = Duration::from_millis(250);

/// Who the patient is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Id in this domain.
    pub(crate) id: String,
    /// Canonical absolute reference.
    pub(crate) reference: String,
    /// The identifier the source named the patient by.
    pub(crate) identifier: Option<Identifier>,
}

impl Resolved {
    /// A patient whom only a registry of another make knows, by this identifier: the same one has the same id here.
    pub(crate) fn by(identifier: &Identifier) -> Resolved {
        let name = format!("{}|{}", identifier.system, identifier.value);
        let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes());
        Resolved {
            id: id.to_string(),
            reference: format!("urn:uuid:{id}"),
            identifier: Some(identifier.clone()),
        }
    }
}

/// Why nobody is resolved.
#[derive(Debug)]
pub(crate) enum Nobody {
    /// The submission is at fault.
    Refused(Findings),
    /// The identity source is not reached, or does not answer.
    Unavailable,
    /// Only rehearsed: a Patient entry that would be fed is not.
    NotFed,
}

/// How a submission names its patient.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    /// By id in this domain.
    Id(String),
    /// By an identifier.
    By(Identifier),
    /// By the Patient resource that came along.
    Entry,
    /// Not at all, or in a way nobody understands.
    Not,
}

/// The identity source.
#[derive(Clone)]
pub(crate) struct Patients {
    peer: Peer,
    public: String,
    tries: u32,
    entries: PatientEntries,
    known: Cache<Identifier, String>,
    /// Knows patients the identity source does not: those of ITI-8 and ITI-44.
    registry: Option<Registrar>,
    /// Whether nothing is done, but for asking.
    rehearsing: bool,
}

impl Patients {
    /// The identity source as this peer.
    pub(crate) fn new(peer: Peer, settings: &IdentitySettings, entries: PatientEntries) -> Patients {
        Patients {
            peer,
            public: settings.public(),
            tries: settings.tries.max(1),
            entries,
            registry: None,
            rehearsing: false,
            known: Cache::builder()
                .max_capacity(settings.cache_entries)
                .time_to_live(Duration::from_secs(settings.cache_seconds))
                .build(),
        }
    }

    /// The same, looking at the registry too, if it is one that can be asked.
    pub(crate) fn and_registry(self, registry: &Registrar) -> Patients {
        let asked = registry.foreign.is_none().then(|| registry.clone());
        Patients { registry: asked, ..self }
    }

    /// Bases under which a patient is one of this domain: as callers know it, and as it is reached from here.
    pub(crate) fn own(&self) -> [&str; 2] {
        [self.public.as_str(), self.peer.url()]
    }

    /// Who the patient of a submission is. `trace` is the trace of the transaction that asks.
    pub(crate) async fn resolve(&self, provided: &Provided, trace: &str) -> Result<Resolved, Nobody> {
        let at = subject_of(provided);
        let entry = provided.patient.as_ref();
        match self.named(provided.patient(), entry.map(|(full_url, _)| full_url.as_str())) {
            Named::Id(id) => Ok(self.resolved(id, provided.patient().identifier.clone())),
            Named::By(identifier) => match self.find(&identifier, trace, &at).await? {
                Some(id) => Ok(self.resolved(id, Some(identifier))),
                None => Err(unknown(&at, &not_known(&identifier, provided.origin))),
            },
            Named::Entry => match entry {
                Some((full_url, patient)) => self.entered(provided, full_url, patient, trace, &at).await,
                None => Err(unknown(&at, "the Patient resource of the submission is missing")),
            },
            Named::Not => Err(unknown(
                &at,
                "the patient is named in a way that leads nowhere; use the absolute URL of the Patient, \
                 Patient?identifier=system|value, subject.identifier, or the fullUrl of a Patient entry",
            )),
        }
    }

    /// The same, without feeding anybody.
    pub(crate) async fn rehearse(&self, provided: &Provided, trace: &str) -> Result<Resolved, Nobody> {
        Patients { rehearsing: true, ..self.clone() }.resolve(provided, trace).await
    }

    /// The identifier a submission names its patient by, if it does.
    pub(crate) fn identifier(&self, provided: &Provided) -> Option<Identifier> {
        let entry = provided.patient.as_ref();
        match self.named(provided.patient(), entry.map(|(full_url, _)| full_url.as_str())) {
            Named::By(identifier) => Some(identifier),
            Named::Entry => entry.and_then(|(_, patient)| identifiers(patient).into_iter().next()),
            Named::Id(_) | Named::Not => None,
        }
    }

    fn resolved(&self, id: String, identifier: Option<Identifier>) -> Resolved {
        Resolved { reference: format!("{}/Patient/{id}", self.public), id, identifier }
    }

    fn named(&self, patient: &Patient, entry: Option<&str>) -> Named {
        let Some(reference) = patient.reference.as_deref() else {
            return patient.identifier.clone().map_or(Named::Not, Named::By);
        };
        // A relative reference is one to an entry whose fullUrl ends with it.
        let relative = reference.starts_with("Patient/")
            && entry.is_some_and(|url| url.strip_suffix(reference).is_some_and(|base| base.ends_with('/')));
        if relative || entry == Some(reference) {
            return Named::Entry;
        }
        let ours = self.own().into_iter().find_map(|base| reference.strip_prefix(base)?.strip_prefix('/'));
        if let Some(literal) = ours.unwrap_or(reference).strip_prefix("Patient/") {
            return id(literal).map_or(Named::Not, Named::Id);
        }
        let is_http = reference.starts_with("http://") || reference.starts_with("https://");
        if let Some((base, query)) = reference.split_once("Patient?")
            && (base.is_empty() || (is_http && base.ends_with('/')))
        {
            return condition(query).map_or(Named::Not, Named::By);
        }
        match reference.rsplit_once("/Patient/") {
            Some((base, literal)) if is_http => id(literal).map_or(Named::Not, |id| {
                Named::By(Identifier { system: base.to_owned(), value: format!("Patient/{id}") })
            }),
            _ => patient.identifier.clone().map_or(Named::Not, Named::By),
        }
    }

    /// The patient that came along as a resource: found by any of its identifiers, else fed.
    async fn entered(
        &self,
        provided: &Provided,
        full_url: &str,
        patient: &Value,
        trace: &str,
        at: &Place,
    ) -> Result<Resolved, Nobody> {
        let mut identifiers = identifiers(patient);
        let mut found: Option<String> = None;
        for identifier in &identifiers {
            let id = self.find(identifier, trace, at).await?;
            if found.is_some() && id.is_some() && found != id {
                return Err(unknown(at, "the identifiers of the Patient entry belong to different patients"));
            }
            found = found.or(id);
        }
        if identifiers.is_empty() {
            let name = Identifier { system: "urn:ietf:rfc:3986".to_owned(), value: full_url.to_owned() };
            found = self.find(&name, trace, at).await?;
            identifiers.push(name);
        }
        let first = identifiers.swap_remove(0);
        let id = match (found, self.entries) {
            (Some(id), _) => id,
            (None, _) if provided.origin == Origin::Document => {
                return Err(unknown(at, "the patient the document is about is not known in this domain"));
            }
            (None, PatientEntries::Feed) if self.rehearsing => return Err(Nobody::NotFed),
            (None, PatientEntries::Feed) => self.feed(provided, patient, &first, trace, at).await?,
            (None, PatientEntries::Refuse) => {
                return Err(unknown(
                    at,
                    "the patient of the submission is not known in this domain, and a Patient entry does not make it known here",
                ));
            }
        };
        Ok(self.resolved(id, Some(first)))
    }

    /// The id of the one patient with this identifier: as the identity source knows it, or else the registry.
    async fn find(&self, identifier: &Identifier, trace: &str, at: &Place) -> Result<Option<String>, Nobody> {
        let known = self.find_at_source(identifier, trace, at).await;
        let (Ok(None) | Err(Nobody::Unavailable), Some(registry)) = (&known, &self.registry) else {
            return known;
        };
        // Whose identity source is away is told so within two seconds (reliability 4), whatever has befallen the registry.
        let wait = if known.is_ok() { SECOND_LOOK } else { SHORT_LOOK };
        match tokio::time::timeout(wait, registry.patient(identifier)).await {
            Ok(Ok(Some(id))) => Ok(Some(id)),
            // Nobody there either: what the identity source has said stands.
            Ok(Ok(None)) => known,
            Ok(Err(_)) | Err(_) => Err(Nobody::Unavailable),
        }
    }

    async fn find_at_source(
        &self,
        identifier: &Identifier,
        trace: &str,
        at: &Place,
    ) -> Result<Option<String>, Nobody> {
        if let Some(id) = self.known.get(identifier) {
            return Ok(Some(id));
        }
        let path = format!("/Patient?identifier={}&_count=5", token(identifier));
        let answer = self.ask(Method::GET, &path, Bytes::new(), trace).await?;
        match answer.status {
            200 => {
                let Some(found) = searchset(&answer.body) else {
                    // What cannot be read says nothing about the patient, so nobody is at fault but the way.
                    tracing::error!("a look-up at the identity source was answered with something else");
                    return Err(Nobody::Unavailable);
                };
                let id = one_of(&found).map_err(|problem| unknown(at, problem))?;
                if let Some(id) = &id {
                    self.known.insert(identifier.clone(), id.clone());
                }
                Ok(id)
            }
            // 404: the domain of the identifier is not known. 400: it is none.
            400 | 404 => Ok(None),
            status => {
                tracing::error!(status, "the identity source did not answer a look-up");
                Err(Nobody::Unavailable)
            }
        }
    }

    /// The identifiers of a patient of this domain.
    pub(crate) async fn identifiers_of(&self, id: &str, trace: &str) -> Result<Vec<Identifier>, Nobody> {
        let answer = self.ask(Method::GET, &format!("/Patient/{id}"), Bytes::new(), trace).await?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body).map(|patient: Value| identifiers(&patient)).map_err(
                |_| {
                    tracing::error!("a read at the identity source was answered with something else");
                    Nobody::Unavailable
                },
            ),
            404 | 410 => Ok(Vec::new()),
            status => {
                tracing::error!(status, "the identity source did not answer a read");
                Err(Nobody::Unavailable)
            }
        }
    }

    /// Asks again the next time who has this identifier.
    pub(crate) fn forget(&self, identifier: Option<&Identifier>) {
        if let Some(identifier) = identifier {
            self.known.invalidate(identifier);
        }
    }

    /// Feeds a patient to the identity source (ITI-104) under this identifier.
    async fn feed(
        &self,
        provided: &Provided,
        patient: &Value,
        identifier: &Identifier,
        trace: &str,
        at: &Place,
    ) -> Result<String, Nobody> {
        let mut patient = patient.clone();
        if let Some(members) = patient.as_object_mut() {
            members.remove("id");
            members.remove("meta");
            let listed =
                members.get("identifier").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
            if !listed {
                let identifier = json!([{ "system": identifier.system, "value": identifier.value }]);
                members.insert("identifier".to_owned(), identifier);
            }
        }
        let path = format!("/Patient?identifier={}", token(identifier));
        let answer = self.ask(Method::PUT, &path, patient.to_string().into(), trace).await?;
        match answer.status {
            200 | 201 => fed_id(&answer).ok_or(Nobody::Unavailable),
            400 | 409 | 412 | 422 => {
                let findings = fhir::outcome::read(&answer.body).filter(|findings| !findings.is_empty());
                Err(findings.map_or_else(
                    || unknown(at, "the identity source refused the Patient entry"),
                    |findings| Nobody::Refused(within(findings, provided)),
                ))
            }
            status => {
                tracing::error!(status, "the identity source did not take a patient");
                Err(Nobody::Unavailable)
            }
        }
    }

    /// Asks, and asks again: looking up changes nothing, and feeding twice is feeding once.
    async fn ask(&self, method: Method, path: &str, body: Bytes, trace: &str) -> Result<PeerAnswer, Nobody> {
        let mut headers =
            vec![("accept", "application/fhir+json".to_owned()), ("traceparent", trace.to_owned())];
        if !body.is_empty() {
            headers.push(("content-type", "application/fhir+json".to_owned()));
        }
        let mut pause = Duration::from_millis(100);
        for last in (0..self.tries).rev() {
            match self.peer.send(method.clone(), path, &headers, body.clone()).await {
                Ok(answer) if answer.status < 500 => return Ok(answer),
                Err(Error::NotReached { .. }) => return Err(Nobody::Unavailable),
                Ok(_) | Err(_) if last == 0 => return Err(Nobody::Unavailable),
                Ok(_) | Err(_) => tokio::time::sleep(pause).await,
            }
            pause *= 2;
        }
        Err(Nobody::Unavailable)
    }
}

fn unknown(at: &Place, text: &str) -> Nobody {
    Nobody::Refused(vec![Finding::error(Rule::UnknownPatient, at.clone(), text)])
}

/// Which patient it was, as the language of the request writes it (ITI TF-3 table 4.2.4.1-2).
fn not_known(identifier: &Identifier, origin: Origin) -> String {
    let named = match origin {
        Origin::Ebxml => Cx::of(identifier).write(),
        _ => format!("{}|{}", identifier.system, identifier.value),
    };
    format!("the patient of the submission, {named}, is not known in this domain")
}

fn subject_of(provided: &Provided) -> Place {
    let submission = &provided.submission;
    let place = Place::at(submission.place(&submission.submission_set.symbol).to_owned()).member("subject");
    Place::at(provided.path(&place.path)).of("SubmissionSet.patientId")
}

/// A logical id, without the version that may follow it.
fn id(literal: &str) -> Option<String> {
    let bare = literal.split_once("/_history/").map_or(literal, |(bare, _)| bare);
    let fits = (1..=64).contains(&bare.len())
        && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    fits.then(|| bare.to_owned())
}

/// The identifier of a conditional reference: exactly one `identifier=system|value`.
fn condition(query: &str) -> Option<Identifier> {
    let mut parameters = query.split('&');
    let value = parameters.next()?.strip_prefix("identifier=")?;
    if parameters.next().is_some() {
        return None;
    }
    let decoded = percent_decode_str(&value.replace('+', " ")).decode_utf8().ok()?.into_owned();
    let (system, value) = decoded.split_once('|')?;
    let whole = !system.is_empty() && !value.is_empty();
    whole.then(|| Identifier { system: system.to_owned(), value: value.to_owned() })
}

/// An identifier as the value of a token parameter.
fn token(identifier: &Identifier) -> String {
    let escaped =
        |text: &str| text.replace('\\', "\\\\").replace(',', "\\,").replace('|', "\\|").replace('$', "\\$");
    let token = format!("{}|{}", escaped(&identifier.system), escaped(&identifier.value));
    utf8_percent_encode(&token, NON_ALPHANUMERIC).to_string()
}

fn identifiers(patient: &Value) -> Vec<Identifier> {
    let all = patient.get("identifier").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let text = |item: &Value, name: &str| {
        item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    all.iter()
        .filter_map(|item| Some(Identifier { system: text(item, "system")?, value: text(item, "value")? }))
        .collect()
}

/// The answer to a look-up, if it is one.
fn searchset(answer: &[u8]) -> Option<Value> {
    let bundle: Value = serde_json::from_slice(answer).ok()?;
    (bundle.get("resourceType").and_then(Value::as_str) == Some("Bundle")).then_some(bundle)
}

/// The one patient of a searchset; an active one goes before those that are no more.
fn one_of(bundle: &Value) -> Result<Option<String>, &'static str> {
    let entries = bundle.get("entry").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let patients: Vec<&Value> = entries
        .iter()
        .filter_map(|entry| entry.get("resource"))
        .filter(|resource| resource.get("resourceType").and_then(Value::as_str) == Some("Patient"))
        .collect();
    let active: Vec<&Value> = patients
        .iter()
        .copied()
        .filter(|patient| patient.get("active").and_then(Value::as_bool) != Some(false))
        .collect();
    let named = |patient: &Value| patient.get("id").and_then(Value::as_str).map(str::to_owned);
    match (active.as_slice(), patients.as_slice()) {
        ([one], _) => Ok(named(one)),
        ([], [first, ..]) => Ok(named(first)),
        ([], []) => Ok(None),
        _ => Err("several patients have the identifier the submission names"),
    }
}

/// The id of a patient that was fed: where it is, or what came back.
fn fed_id(answer: &PeerAnswer) -> Option<String> {
    let located = answer
        .headers
        .get(http::header::LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| id(location.rsplit_once("Patient/")?.1));
    located.or_else(|| {
        let patient: Value = serde_json::from_slice(&answer.body).ok()?;
        id(patient.get("id")?.as_str()?)
    })
}

/// Findings about a Patient, told at its place in the Bundle.
fn within(mut findings: Findings, provided: &Provided) -> Findings {
    let entry = provided.roles.iter().position(|role| matches!(role, fhir::iti65::Role::Patient));
    for finding in &mut findings {
        if let (Some(index), Some(rest)) = (entry, finding.at.path.strip_prefix("Patient")) {
            finding.at.path = format!("Bundle.entry[{index}].resource{rest}");
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patients() -> Patients {
        let settings = IdentitySettings {
            url: "http://10.0.0.1:8083/fhir".to_owned(),
            public_url: "https://identity.example/fhir".to_owned(),
            ..IdentitySettings::default()
        };
        Patients::new(Peer::new("identity", settings.peer()), &settings, PatientEntries::Feed)
    }

    fn named(reference: &str) -> Named {
        let patient = Patient { reference: Some(reference.to_owned()), ..Patient::default() };
        patients().named(&patient, Some("urn:uuid:0"))
    }

    fn by(system: &str, value: &str) -> Named {
        Named::By(Identifier { system: system.to_owned(), value: value.to_owned() })
    }

    #[test]
    fn a_patient_of_our_identity_source_is_named_by_id() {
        for reference in [
            "https://identity.example/fhir/Patient/p1",
            "http://10.0.0.1:8083/fhir/Patient/p1",
            "Patient/p1",
            "Patient/p1/_history/3",
        ] {
            assert_eq!(named(reference), Named::Id("p1".to_owned()), "{reference}");
        }
        assert_eq!(named("urn:uuid:0"), Named::Entry);
        let relative = Patient { reference: Some("Patient/p1".to_owned()), ..Patient::default() };
        let named = |entry| patients().named(&relative, Some(entry));
        assert_eq!(named("http://other.example/fhir/Patient/p1"), Named::Entry);
        assert_eq!(named("http://other.example/fhir/Patient/p11"), Named::Id("p1".to_owned()));
    }

    #[test]
    fn a_conditional_reference_names_an_identifier() {
        assert_eq!(named("Patient?identifier=urn:oid:1.2|a%20b"), by("urn:oid:1.2", "a b"));
        assert_eq!(
            named("https://identity.example/fhir/Patient?identifier=urn%3Aoid%3A1.2%7C7"),
            by("urn:oid:1.2", "7")
        );
        assert_eq!(named("Patient?name=Smith"), Named::Not);
        assert_eq!(named("Patient?identifier=urn:oid:1.2|7&active=true"), Named::Not);
    }

    #[test]
    fn a_patient_of_a_foreign_server_is_an_identifier_and_never_fetched() {
        assert_eq!(
            named("http://other.example/fhir/Patient/7"),
            by("http://other.example/fhir", "Patient/7")
        );
        assert_eq!(named("urn:uuid:unheard-of"), Named::Not);
        assert_eq!(named("http://other.example/fhir/Practitioner/7"), Named::Not);
    }

    #[test]
    fn an_active_patient_goes_before_a_merged_one_and_two_are_none() {
        let bundle = |patients: &[(&str, bool)]| {
            let entries: Vec<Value> = patients
                .iter()
                .map(|(id, active)| json!({"resource": {"resourceType": "Patient", "id": id, "active": active}}))
                .collect();
            json!({ "entry": entries })
        };
        assert_eq!(one_of(&bundle(&[("old", false), ("new", true)])), Ok(Some("new".to_owned())));
        assert_eq!(one_of(&bundle(&[("old", false)])), Ok(Some("old".to_owned())));
        assert_eq!(one_of(&bundle(&[])), Ok(None));
        assert!(one_of(&bundle(&[("a", true), ("b", true)])).is_err());
    }

    #[test]
    fn an_answer_that_is_no_searchset_is_none() {
        assert_eq!(searchset(b"{}"), None);
        assert_eq!(searchset(b"\x00 not what you think"), None);
        assert!(searchset(br#"{"resourceType":"Bundle","type":"searchset"}"#).is_some());
    }
}
