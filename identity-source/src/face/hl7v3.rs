//! Patient Identity Feed HL7 V3 [ITI-44] at the SOAP door: messages read, MCCI_IN000002UV01 written.

use std::cell::RefCell;

use ::soap::{Call, Line};
use actor::{Codec, Context, Fault};
use fhir::patient;
use futures_util::future::LocalBoxFuture;
use hl7v3::acknowledgement::{self, Code, Detail};
use hl7v3::{Event, Header, InstanceId, Message, NAMESPACE, feed as message};
use serde_json::{Value, json};
use uuid::Uuid;
use web::{Answer, Request};
use xds::hl7::Hd;
use xds::{Finding, Findings, Identifier, Place, Rule};

use crate::IdentitySource;
use crate::events::Happened;
use crate::feed::{self, Change, Fed, FeedPatient, Iti44};
use crate::known::Names;

/// Bytes of an identifier.
const MAX_ID: usize = 255;
/// Where the patient is.
const PATIENT: &str = "//registrationEvent/subject1/patient";
/// Where the patient's identifiers are.
const IDS: &str = "//registrationEvent/subject1/patient/id";
/// Where those are that are merged away.
const SUBSUMED: &str = "//replacementOf/priorRegistration/subject1/priorRegisteredRole/id";

/// A line of the table for one of the messages.
pub(super) const fn line(action: &'static str, element: &'static str) -> Line<IdentitySource> {
    Line {
        action,
        reply: acknowledgement::ACTION,
        body: (NAMESPACE, element),
        transaction: "ITI-44",
        documents: false,
        refusal,
        serve,
    }
}

fn serve<'a>(source: &'a IdentitySource, request: &'a mut Request, call: Call) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = Hearing { source, call, passed_over: RefCell::default() };
        source.corridor.walk(&source.feeding::<Iti44>(), &codec, request).await
    })
}

/// An acknowledgement of a message nothing is known of but what is wrong with it.
fn refusal(findings: &[Finding]) -> Vec<u8> {
    let details: Vec<Detail> = findings.iter().map(|finding| detail(finding, "INTERR")).collect();
    let id = Uuid::new_v4().to_string();
    acknowledgement::write(&Header::default(), Code::Error, &details, &id, "")
}

struct Hearing<'a> {
    source: &'a IdentitySource,
    call: Call,
    /// Identifiers of authorities nobody here knows.
    passed_over: RefCell<Vec<InstanceId>>,
}

impl Hearing<'_> {
    fn answer(&self, code: Code, details: &[Detail]) -> Answer {
        let header = hl7v3::read_header(self.call.body());
        let created = xds::hl7::dtm::of_micros(self.source.clock.now());
        let id = Uuid::new_v4().to_string();
        self.call.answer(acknowledgement::write(&header, code, details, &id, &created))
    }

    /// The system of an identifier of a configured authority. An OID decides; where there is none, the name space does.
    fn system(&self, id: &InstanceId) -> Option<String> {
        let named = Hd {
            namespace: if id.root.is_empty() { id.authority.clone() } else { String::new() },
            universal_id: id.root.clone(),
            universal_type: "ISO".to_owned(),
        };
        self.source.records.authorities().named(&named).map(|authority| authority.system())
    }

    /// What a message wants done.
    fn changes(&self, message: Option<Message>, base: &str) -> Result<Vec<Change>, Fault<Findings>> {
        let refused =
            |rule, at: &str, text: &str| Fault::Refused(vec![Finding::error(rule, Place::at(at), text)]);
        let Some(message) = message else {
            let text = "the body is no message of ITI-44; accepted are PRPA_IN201301UV02, PRPA_IN201302UV02, PRPA_IN201304UV02";
            return Err(refused(Rule::NotSupported, "", text));
        };
        if self.source.records.authorities().iter().next().is_none() {
            let text = "this identity source takes no feed of HL7 v3: domain.authorities names no assigning authority. Nothing was \
                        stored";
            return Err(refused(Rule::NotSupported, "", text));
        }
        let names = self.identifiers(&message.identifiers, IDS)?;
        if message.event != Event::DuplicatesResolved {
            return Ok(vec![self.put(message, &names, base)?]);
        }
        if message.replacements != 1 {
            let text = format!(
                "there are {} replacementOf; a message merges one record into another one. Nothing was changed",
                message.replacements
            );
            return Err(refused(Rule::Structure, "//registrationEvent/replacementOf", &text));
        }
        let mut changes = Vec::new();
        for subsumed in self.identifiers(&message.replaced, SUBSUMED)? {
            let Some(survivor) = names.iter().find(|name| name.system == subsumed.system) else {
                let text = format!(
                    "the patient has no identifier of {}, of which the one to be merged is; an identifier is merged into one of the \
                     same authority. Nothing was changed",
                    subsumed.system
                );
                return Err(refused(Rule::UnresolvedReference, IDS, &text));
            };
            let survivor = survivor.clone();
            let (at, survivor_at) = (Place::at(SUBSUMED), Place::at(IDS));
            changes.push(Change::Merge { subsumed, survivor, at, survivor_at });
        }
        Ok(changes)
    }

    /// A patient as a message tells of it: new, or as it is from now on.
    fn put(&self, message: Message, names: &[Identifier], base: &str) -> Result<Change, Fault<Findings>> {
        let mut resource = message.about;
        let mut identifiers: Vec<Value> = Vec::new();
        let others = message.others.iter().filter(|id| !id.extension.is_empty());
        let others = others.filter_map(|id| {
            let system = self.system(id);
            if system.is_none() {
                self.passed_over.borrow_mut().push(id.clone());
            }
            Some(Identifier { system: system?, value: id.extension.clone() })
        });
        for name in names.iter().cloned().chain(others) {
            let item = json!({ "system": name.system, "value": name.value });
            if !identifiers.contains(&item) {
                identifiers.push(item);
            }
        }
        resource.insert("resourceType".to_owned(), json!("Patient"));
        resource.insert("identifier".to_owned(), Value::Array(identifiers));
        let at = Place::at(PATIENT);
        let patient = patient::read(Value::Object(resource), &at).map_err(Fault::Refused)?;
        let condition = Names { business: names, url: None }.condition(&self.source.records, base)?;
        let condition = condition.ok_or_else(|| Fault::Internal("a patient without a name".to_owned()))?;
        Ok(Change::Put { condition, patient: Box::new(patient), unmerges: false, keeps_mother: true, at })
    }

    /// The identifiers of configured authorities; there is at least one.
    fn identifiers(&self, ids: &[InstanceId], at: &str) -> Result<Vec<Identifier>, Fault<Findings>> {
        let refused = |rule, text: String| Fault::Refused(vec![Finding::error(rule, Place::at(at), text)]);
        let mut found: Vec<Identifier> = Vec::new();
        let told = || ids.iter().filter(|id| !id.extension.is_empty());
        for id in told() {
            let Some(system) = self.system(id) else {
                self.passed_over.borrow_mut().push(id.clone());
                continue;
            };
            if id.extension.len() > MAX_ID || id.extension.chars().any(char::is_control) {
                let text = format!(
                    "an identifier has at most {MAX_ID} bytes and no control characters. Nothing was stored"
                );
                return Err(refused(Rule::Value, text));
            }
            let identifier = Identifier { system, value: id.extension.clone() };
            if !found.contains(&identifier) {
                found.push(identifier);
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
        if told().next().is_none() {
            let text =
                "there is no identifier: an id with root and extension is required. Nothing was stored";
            return Err(refused(Rule::Required, text.to_owned()));
        }
        let text = format!(
            "no identifier is of an assigning authority of this identity source; accepted are {}. Nothing was stored",
            self.source.records.authorities().words()
        );
        Err(refused(Rule::AuthorityNotTaken, text))
    }
}

impl Codec<FeedPatient<Iti44>> for Hearing<'_> {
    async fn read(&self, _: &mut Request, context: &Context) -> Result<feed::Request, Fault<Findings>> {
        let message = message::read(self.call.body(), &|id| self.system(id));
        let changes = self.changes(message, &context.base)?;
        Ok(feed::Request { changes, if_match: None, only_new: false, once: None, message: None })
    }

    fn write(&self, fed: Vec<Fed>, _: &Context) -> Answer {
        let detail = |text: String| Detail { is_error: false, code: None, text, location: None };
        let mut details: Vec<Detail> = fed.iter().filter_map(words).map(detail).collect();
        details.extend(self.passed_over.borrow().iter().map(|id| {
            detail(format!(
                "the identifier of {} {} was passed over: no assigning authority of this identity source",
                id.root, id.authority
            ))
        }));
        self.answer(Code::Accept, &details)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        if let Fault::Refused(findings) = &fault {
            let details: Vec<Detail> =
                findings.iter().map(|finding| detail(finding, named(finding.rule))).collect();
            let rejects = findings.iter().any(|finding| finding.rule == Rule::NotSupported);
            return self.answer(if rejects { Code::Reject } else { Code::Error }, &details);
        }
        if matches!(fault, Fault::Unknown { .. } | Fault::Unauthenticated | Fault::Forbidden) {
            return self.call.refuse(&fault, context);
        }
        let code = if matches!(fault, Fault::Busy(_)) { "KEY206" } else { "INTERR" };
        let text = fault.told().map(|told| told.text).unwrap_or_default();
        self.answer(Code::Error, &[Detail { is_error: true, code: Some(code), text, location: None }])
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        super::fhir::reason(fault)
    }
}

/// What an accepted message did not need to do; none where it did what it says.
fn words(fed: &Fed) -> Option<String> {
    match &fed.happened {
        None => Some("known already; nothing had to be changed".to_owned()),
        Some(Happened::Created | Happened::Revised { .. } | Happened::Merged { .. }) => None,
        Some(Happened::Unmerged { .. } | Happened::Removed { .. }) => None,
    }
}

fn detail(finding: &Finding, code: &'static str) -> Detail {
    // A place in the message; what was made of it as FHIR says nothing to a sender of HL7 v3.
    let place = finding.at.path.split('.').next().filter(|path| path.starts_with("//"));
    Detail {
        is_error: true,
        code: Some(code),
        text: finding.text.clone(),
        location: place.map(str::to_owned),
    }
}

/// The code of AcknowledgementDetailCode that says the same as one of our rules.
fn named(rule: Rule) -> &'static str {
    match rule {
        Rule::NotSupported => "NS200",
        Rule::Structure => "SYN105",
        Rule::Required => "SYN101",
        Rule::AuthorityNotTaken | Rule::UnresolvedReference | Rule::MergeIsFinal => "KEY204",
        Rule::MultipleMatches | Rule::Invariant => "KEY205",
        Rule::BusinessRule => "KEY204",
        _ => "SYN102",
    }
}
