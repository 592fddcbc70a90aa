//! `CommunicationRequest/$send-to-ehr` and `$tracking`: a compatibility door for writers of documents that know no Bundle.
//!
//! Parameters become a Minimal Provide Document Bundle, which is taken in and made later like any other (`task.rs`).

use std::cell::RefCell;

use actor::{Codec, Context, Fault};
use fhir::negotiate::{self, Format};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use store::Row;
use web::{Answer, Request};
use xds::{Finding, Findings, Place, Rule};

use crate::Repository;
use crate::face::fhir as face;
use crate::face::task;
use crate::records::{TaskRecord, TaskStatus};
use crate::tasks::{Known, ReadTask, TakeIn, Taken};

/// Canonicals of the two operations: they are read under `OperationDefinition/…` of this server.
pub(crate) const SEND: &str = "https://docshare.example/fhir/OperationDefinition/send-to-ehr";
/// The other one.
pub(crate) const TRACKING: &str = "https://docshare.example/fhir/OperationDefinition/tracking";

const STRUCTURE: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/";
const URI: &str = "urn:ietf:rfc:3986";
const LOINC: &str = "http://loinc.org";
/// Consult note: what a document is where nobody says.
const CONSULT_NOTE: &str = "11488-4";

/// `POST CommunicationRequest/$send-to-ehr`.
pub(crate) async fn send(repository: &Repository, request: &mut Request) -> Answer {
    let codec = Sending { repository, format: face::format(request) };
    repository.house.corridor.walk(&TakeIn(repository.tasks.clone()), &codec, request).await
}

struct Sending<'a> {
    repository: &'a Repository,
    format: Result<Format, String>,
}

/// What the parameters say.
#[derive(Default)]
struct Said {
    subject: Option<Value>,
    context: Option<Value>,
    content_type: Option<String>,
    document_type: Option<Value>,
    title: Option<String>,
    sender: Option<Value>,
    payload: Option<String>,
}

impl Codec<TakeIn> for Sending<'_> {
    async fn read(&self, request: &mut Request, context: &Context) -> Result<Taken, Fault<Findings>> {
        if let Err(why) = &self.format {
            return Err(Fault::NotAcceptable(why.clone()));
        }
        let content_type = face::text(request, header::CONTENT_TYPE);
        let syntax = negotiate::request(content_type.as_deref()).map_err(Fault::UnsupportedMedia)?;
        let limits = &self.repository.house.limits;
        let body = request.body.whole(limits.max_body_bytes, "server.limits.max_body_bytes").await?;
        let string = usize::try_from(limits.max_body_bytes).unwrap_or(usize::MAX);
        let limits = fhir::json::Limits { string, ..fhir::json::Limits::default() };
        let parameters = syntax.parse(&body, &limits).map_err(Fault::Refused)?;
        let said = said(&parameters).map_err(Fault::Refused)?;
        let now = self.repository.tasks.records.now();
        let mut kept = task::kept(request, context, "/fhir");
        kept.headers.retain(|(name, _)| name != "content-type");
        kept.headers.push(("content-type".to_owned(), "application/fhir+json".to_owned()));
        let bundle = bundle(said, now).to_string();
        let mut sink = self.repository.tasks.records.store.stage_apart(u64::MAX);
        sink.write(bundle.as_bytes()).await?;
        face::idempotency_key(request)?;
        let fingerprint = Sha256::digest(&body).into();
        Ok(Taken { request: kept, body: sink.finish().await?, fingerprint })
    }

    fn write(&self, (id, task, _): Known, context: &Context) -> Answer {
        let format = self.format.clone().unwrap_or_default();
        task::accepted(tracked(&id, &task, &context.base).to_string(), &id, format, context)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        face::refuse(&fault, face::id(context), self.format.clone().unwrap_or_default())
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        face::reason(fault)
    }
}

/// Reads the parameters; all that is wrong with them is told at once.
fn said(parameters: &Value) -> Result<Said, Findings> {
    let mut findings = Findings::new();
    if parameters["resourceType"] != "Parameters" {
        let text = "a Parameters resource is expected: subject, payload and, if need be, context, content-type, document-type, document-title, sender-identifier";
        return Err(vec![Finding::error(Rule::Structure, Place::at("resourceType"), text)]);
    }
    let mut said = Said::default();
    for (index, parameter) in parameters["parameter"].as_array().into_iter().flatten().enumerate() {
        let at = format!("Parameters.parameter[{index}]");
        let name = parameter["name"].as_str().unwrap_or_default();
        let text = || {
            ["valueString", "valueCode", "valueUri", "valueId"]
                .iter()
                .find_map(|kind| parameter[*kind].as_str().map(str::to_owned))
        };
        let mut expect = |value: Option<Value>, what: &str| {
            if value.is_none() {
                let text = format!("{name} is expected as {what}");
                findings.push(Finding::error(Rule::Value, Place::at(&*at), text));
            }
            value
        };
        match name {
            "subject" => said.subject = expect(reference(parameter), "valueReference or valueIdentifier"),
            "context" => said.context = expect(reference(parameter), "valueReference (of an Encounter)"),
            "content-type" => {
                let value =
                    expect(text().map(Value::String), "valueCode or valueString, e.g. application/pdf");
                said.content_type = value.and_then(|value| value.as_str().map(str::to_owned));
            }
            "document-type" => {
                said.document_type = expect(
                    concept(parameter, text()),
                    "valueCodeableConcept, valueCoding, or valueCode (of LOINC)",
                );
            }
            "document-title" => {
                let value = expect(text().map(Value::String), "valueString");
                said.title = value.and_then(|value| value.as_str().map(str::to_owned));
            }
            "sender-identifier" => {
                let plain = text().map(|value| json!({ "value": value }));
                let identifier = Some(parameter["valueIdentifier"].clone())
                    .filter(|identifier| identifier["value"].is_string());
                said.sender = expect(identifier.or(plain), "valueIdentifier or valueString");
            }
            "payload" => payload(parameter, &at, &mut said, &mut findings),
            other => {
                let text = format!(
                    "the parameter {other} is not known; known are subject, context, content-type, document-type, document-title, sender-identifier and payload"
                );
                findings.push(Finding::error(Rule::UnknownParameter, Place::at(at), text));
            }
        }
    }
    for (name, missing) in [("subject", said.subject.is_none()), ("payload", said.payload.is_none())] {
        let told = findings.iter().any(|finding| finding.text.starts_with(name));
        if missing && !told {
            let text = format!("{name} is required");
            findings.push(Finding::error(Rule::Required, Place::at("Parameters.parameter"), text));
        }
    }
    if findings.is_empty() { Ok(said) } else { Err(findings) }
}

/// The document: base64, or an Attachment or Binary that has it.
fn payload(parameter: &Value, at: &str, said: &mut Said, findings: &mut Findings) {
    let (attachment, binary) = (&parameter["valueAttachment"], &parameter["resource"]);
    let data = parameter["valueBase64Binary"]
        .as_str()
        .or_else(|| attachment["data"].as_str())
        .or_else(|| binary["data"].as_str());
    let Some(data) = data.filter(|data| !data.is_empty()) else {
        let text = "payload is expected with its bytes: as valueBase64Binary, valueAttachment with data, or resource (a Binary with data); an address is never fetched";
        findings.push(Finding::error(Rule::Required, Place::at(at), text));
        return;
    };
    said.payload = Some(data.to_owned());
    for kind in [&attachment["contentType"], &binary["contentType"]] {
        if let (Some(kind), None) = (kind.as_str(), &said.content_type) {
            said.content_type = Some(kind.to_owned());
        }
    }
    if let (Some(title), None) = (attachment["title"].as_str(), &said.title) {
        said.title = Some(title.to_owned());
    }
}

fn reference(parameter: &Value) -> Option<Value> {
    let value = &parameter["valueReference"];
    if value["reference"].is_string() || value["identifier"]["value"].is_string() {
        return Some(value.clone());
    }
    let identifier = &parameter["valueIdentifier"];
    if identifier["value"].is_string() {
        return Some(json!({ "identifier": identifier }));
    }
    let text = parameter["valueString"].as_str().or_else(|| parameter["valueUri"].as_str())?;
    Some(json!({ "reference": text }))
}

fn concept(parameter: &Value, code: Option<String>) -> Option<Value> {
    let concept = &parameter["valueCodeableConcept"];
    if concept["coding"][0]["code"].is_string() {
        return Some(concept.clone());
    }
    let coding = &parameter["valueCoding"];
    if coding["code"].is_string() {
        return Some(json!({ "coding": [coding] }));
    }
    let code = code?;
    let (system, code) = code.split_once('|').unwrap_or((LOINC, &code));
    Some(json!({ "coding": [{ "system": system, "code": code }] }))
}

/// The submission, as Minimal metadata has it.
fn bundle(said: Said, now: i64) -> Value {
    let symbol = || format!("urn:uuid:{}", uuid::Uuid::new_v4());
    let oid = || format!("urn:oid:2.25.{}", uuid::Uuid::new_v4().as_u128());
    let (set, document, binary) = (symbol(), symbol(), symbol());
    let date = fhir::when::instant(now);
    let subject = said.subject.unwrap_or_default();
    let content_type = said.content_type.unwrap_or_else(|| "application/pdf".to_owned());
    let kind = said
        .document_type
        .unwrap_or_else(|| json!({ "coding": [{ "system": LOINC, "code": CONSULT_NOTE }] }));
    let source = source_id(said.sender.as_ref());
    let mut list = json!({
        "resourceType": "List",
        "meta": { "profile": [format!("{STRUCTURE}IHE.MHD.Minimal.SubmissionSet")] },
        "extension": [
            { "url": format!("{STRUCTURE}ihe-designationType"), "valueCodeableConcept": kind },
            { "url": format!("{STRUCTURE}ihe-sourceId"), "valueIdentifier": { "value": source } },
        ],
        "identifier": [{
            "use": "usual",
            "type": { "coding": [{
                "system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/IHE.MHD.MHDIdentifierType", "code": "uniqueId",
            }] },
            "system": URI,
            "value": oid(),
        }],
        "status": "current",
        "mode": "working",
        "code": { "coding": [{
            "system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "code": "submissionset",
        }] },
        "subject": subject,
        "date": date,
        "entry": [{ "item": { "reference": document } }],
    });
    let mut attachment = Map::new();
    attachment.insert("contentType".to_owned(), json!(content_type));
    attachment.insert("url".to_owned(), json!(binary));
    attachment.insert("creation".to_owned(), json!(date));
    if let Some(title) = &said.title {
        attachment.insert("title".to_owned(), json!(title));
        list["title"] = json!(title);
    }
    let mut reference = json!({
        "resourceType": "DocumentReference",
        "meta": { "profile": [format!("{STRUCTURE}IHE.MHD.Minimal.DocumentReference")] },
        "masterIdentifier": { "system": URI, "value": oid() },
        "status": "current",
        "type": kind,
        "subject": subject,
        "date": date,
        "content": [{ "attachment": attachment }],
    });
    if let Some(sender) = said.sender {
        reference["contained"] =
            json!([{ "resourceType": "Organization", "id": "sender", "identifier": [sender] }]);
        reference["author"] = json!([{ "reference": "#sender" }]);
    }
    if let Some(encounter) = said.context {
        reference["context"] = json!({ "encounter": [encounter] });
    }
    let entry = |url: &str, kind: &str, resource: Value| json!({ "fullUrl": url, "resource": resource, "request": { "method": "POST", "url": kind } });
    let bytes = json!({
        "resourceType": "Binary", "contentType": content_type, "data": said.payload.unwrap_or_default(),
    });
    json!({
        "resourceType": "Bundle",
        "meta": { "profile": [format!("{STRUCTURE}IHE.MHD.Minimal.ProvideBundle")] },
        "type": "transaction",
        "entry": [
            entry(&set, "List", list),
            entry(&document, "DocumentReference", reference),
            entry(&binary, "Binary", bytes),
        ],
    })
}

/// The sender as SubmissionSet.sourceId, which is an OID: its own where it is one, else one made of it.
fn source_id(sender: Option<&Value>) -> String {
    let text = |member: &str| sender.and_then(|sender| sender[member].as_str()).unwrap_or_default();
    let (system, value) = (text("system"), text("value"));
    let bare = value.strip_prefix("urn:oid:").unwrap_or(value);
    let is_oid = bare.contains('.')
        && bare.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()));
    if is_oid {
        return format!("urn:oid:{bare}");
    }
    xds::identifier::oid_of_name(&format!("{system}|{value}"))
}

/// `CommunicationRequest/$tracking?id=…`, and `CommunicationRequest/{id}/$tracking`.
pub(crate) async fn track(repository: &Repository, request: &mut Request) -> Answer {
    let codec = Tracking {
        format: face::format(request),
        max_bytes: repository.house.limits.max_form_bytes,
        base: RefCell::default(),
    };
    repository.house.corridor.walk(&ReadTask(repository.tasks.clone()), &codec, request).await
}

struct Tracking {
    format: Result<Format, String>,
    max_bytes: u64,
    base: RefCell<String>,
}

impl Codec<ReadTask> for Tracking {
    async fn read(&self, request: &mut Request, context: &Context) -> Result<String, Fault<Findings>> {
        if let Err(why) = &self.format {
            return Err(Fault::NotAcceptable(why.clone()));
        }
        self.base.borrow_mut().clone_from(&context.base);
        let mut id = request.params.get("id").map(str::to_owned);
        id = id.or_else(|| {
            request.query.split('&').find_map(|pair| pair.strip_prefix("id=")).map(str::to_owned)
        });
        if id.is_none() && request.method == http::Method::POST {
            let content_type = face::text(request, header::CONTENT_TYPE);
            let syntax = negotiate::request(content_type.as_deref()).map_err(Fault::UnsupportedMedia)?;
            let body = request.body.whole(self.max_bytes, "server.limits.max_form_bytes").await?;
            let parameters = syntax.parse(&body, &fhir::json::Limits::default()).map_err(Fault::Refused)?;
            let named = |parameter: &&Value| parameter["name"] == "id";
            let parameter = parameters["parameter"].as_array().and_then(|all| all.iter().find(named));
            id = parameter.and_then(|parameter| {
                ["valueId", "valueString", "valueCode"]
                    .iter()
                    .find_map(|kind| parameter[*kind].as_str().map(str::to_owned))
            });
        }
        id.ok_or_else(|| {
            let text = "$tracking needs the id that $send-to-ehr answered: CommunicationRequest/[id]/$tracking, or the parameter id";
            Fault::Refused(vec![Finding::error(Rule::Required, Place::at("id"), text)])
        })
    }

    fn write(&self, (row, task): (Row, TaskRecord), context: &Context) -> Answer {
        let parameters = tracked(&row.id, &task, &context.base).to_string();
        face::json(StatusCode::OK, parameters, self.format.clone().unwrap_or_default())
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        face::refuse(&fault, face::id(context), self.format.clone().unwrap_or_default())
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        face::reason(fault)
    }
}

/// What can be told of a document that was sent.
fn tracked(id: &str, task: &TaskRecord, base: &str) -> Value {
    let resource = task::resource(id, 1, task.received, task);
    let mut parameters = vec![
        json!({ "name": "id", "valueId": id }),
        json!({ "name": "status", "valueCode": task.state.word() }),
        json!({ "name": "task", "valueReference": { "reference": format!("{base}/Task/{id}") } }),
    ];
    if let Some(why) = &task.why {
        parameters.push(json!({ "name": "reason", "valueString": why }));
    }
    for output in resource["output"].as_array().into_iter().flatten() {
        if output["type"]["text"] == "DocumentReference" {
            parameters.push(json!({ "name": "document", "valueReference": output["valueReference"] }));
        }
    }
    if task.state == TaskStatus::Failed {
        let outcome = resource["contained"].as_array().and_then(|all| all.first()).cloned();
        parameters.extend(outcome.map(|outcome| json!({ "name": "outcome", "resource": outcome })));
    }
    json!({ "resourceType": "Parameters", "parameter": parameters })
}

/// `OperationDefinition/{id}`: the two operations, for whoever reads about them in `/metadata`.
pub(crate) fn definition(request: &Request) -> Answer {
    let format = match face::format(request) {
        Ok(format) => format,
        Err(why) => return face::refuse(&Fault::NotAcceptable(why), &request.id, Format::default()),
    };
    let id = request.params.get("id").unwrap_or_default();
    let parameter = |name: &str, way: &str, min: u32, kind: &str, words: &str| json!({ "name": name, "use": way, "min": min, "max": "1", "type": kind, "documentation": words });
    let answers = |many: bool| {
        let mut document = parameter("document", "out", 0, "Reference", "What was registered, once it is.");
        document["max"] = json!(if many { "*" } else { "1" });
        vec![
            parameter("id", "out", 1, "id", "What $tracking is asked with; also the id of the Task."),
            parameter("status", "out", 1, "code", "received, in-progress, completed or failed."),
            parameter("task", "out", 1, "Reference", "The Task, at this server."),
            parameter("reason", "out", 0, "string", "Why it waits, or was refused."),
            document,
            parameter("outcome", "out", 0, "OperationOutcome", "All that was wrong, if it was refused."),
        ]
    };
    let (url, code, title, instance, affects, mut parameters) = match id {
        "send-to-ehr" => (
            SEND,
            "send-to-ehr",
            "Sends a document to the record of a patient. It is taken in durably and registered later as a submission of its own.",
            false,
            true,
            vec![
                parameter(
                    "subject",
                    "in",
                    1,
                    "Reference",
                    "The patient, by reference or identifier (also as Identifier).",
                ),
                parameter("context", "in", 0, "Reference", "The Encounter."),
                parameter(
                    "content-type",
                    "in",
                    0,
                    "code",
                    "Media type of the payload; application/pdf if absent.",
                ),
                parameter(
                    "document-type",
                    "in",
                    0,
                    "CodeableConcept",
                    "What it is; LOINC 11488-4 if absent. Also as Coding or code.",
                ),
                parameter("document-title", "in", 0, "string", "Its title."),
                parameter(
                    "sender-identifier",
                    "in",
                    0,
                    "Identifier",
                    "Who sends: the author organization, and the sourceId of the submission.",
                ),
                parameter(
                    "payload",
                    "in",
                    1,
                    "base64Binary",
                    "The document. Also as Attachment or Binary with data.",
                ),
            ],
        ),
        "tracking" => (
            TRACKING,
            "tracking",
            "Tells what became of a document that was sent with $send-to-ehr.",
            true,
            false,
            vec![parameter(
                "id",
                "in",
                0,
                "id",
                "What $send-to-ehr answered, where it is not in the address.",
            )],
        ),
        _ => return face::refuse(&Fault::NotFound, &request.id, format),
    };
    parameters.extend(answers(true));
    let definition = json!({
        "resourceType": "OperationDefinition",
        "id": id,
        "url": url,
        "version": env!("CARGO_PKG_VERSION"),
        "name": if id == "tracking" { "Tracking" } else { "SendToEhr" },
        "title": title,
        "status": "active",
        "kind": "operation",
        "description": title,
        "affectsState": affects,
        "code": code,
        "resource": ["CommunicationRequest"],
        "system": false,
        "type": true,
        "instance": instance,
        "parameter": parameters,
    });
    face::json(StatusCode::OK, definition.to_string(), format)
}
