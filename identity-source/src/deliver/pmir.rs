//! Mobile Patient Identity Feed [ITI-93]: a change as a message Bundle, and what its answer says.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use web::PeerAnswer;

use super::adt::Head;
use super::answer::{Judged, Refusal, code, outcome_code};
use super::told::{Told, What};
use crate::receivers::Known;

/// Where the definitions of PMIR are.
const PMIR: &str = "https://profiles.ihe.net/ITI/PMIR";

/// A message, and the id its answer repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// The id of its MessageHeader.
    pub(crate) id: String,
    /// The Bundle, as JSON.
    pub(crate) body: Bytes,
}

/// The message of a change; none: the receiver is not concerned.
pub(crate) fn letter(told: &Told, head: &Head<'_>) -> Option<Letter> {
    let receiver = head.receiver;
    let base = receiver.settings.sending_application.as_str();
    let interest = &receiver.interest;
    let concerned = interest.is_all() || interest.any(&told.record.identifiers) || interest.any(&told.before);
    if !concerned {
        return None;
    }
    let path = format!("Patient/{}", told.record.id);
    let (method, url, status) = match told.what {
        What::Created => ("POST", "Patient", "201"),
        What::Stands | What::Revised | What::Merged | What::Unmerged => ("PUT", path.as_str(), "200"),
        What::Removed => ("DELETE", path.as_str(), "204"),
    };
    let mut entry = json!({
        "fullUrl": format!("{base}/{path}"),
        "request": { "method": method, "url": url },
        "response": { "status": status },
    });
    if told.what != What::Removed {
        entry["resource"] = Value::Object(patient(told, receiver, base));
        entry["response"]["location"] = json!(format!("{path}/_history/{}", told.version));
    }
    let uuid = |part: &str| {
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("{}/{part}", head.name).as_bytes())
    };
    let (header, history, whole) = (uuid("header"), uuid("history"), uuid("bundle"));
    let profile = |name: &str| json!({ "profile": [format!("{PMIR}/StructureDefinition/{name}")] });
    let timestamp = fhir_instant(head.instant);
    let body = json!({
        "resourceType": "Bundle",
        "id": whole.to_string(),
        "meta": profile("IHE.PMIR.Bundle"),
        "type": "message",
        "timestamp": timestamp,
        "entry": [{
            "fullUrl": format!("urn:uuid:{header}"),
            "resource": {
                "resourceType": "MessageHeader",
                "id": header.to_string(),
                "meta": profile("IHE.PMIR.MessageHeader"),
                "eventUri": "urn:ihe:iti:pmir:2019:patient-feed",
                "destination": [{ "endpoint": receiver.settings.url }],
                "source": { "name": "docshare", "endpoint": base },
                "focus": [{ "reference": format!("urn:uuid:{history}") }],
                "definition": format!("{PMIR}/MessageDefinition/IHE.PMIR.MessageDefinition"),
            },
        }, {
            "fullUrl": format!("urn:uuid:{history}"),
            "resource": {
                "resourceType": "Bundle",
                "id": history.to_string(),
                "meta": profile("IHE.PMIR.Bundle.History"),
                "type": "history",
                "timestamp": timestamp,
                "entry": [entry],
            },
        }],
    });
    Some(Letter { id: header.to_string(), body: body.to_string().into() })
}

/// The resource with the identifiers the receiver is told, and links it can follow.
fn patient(told: &Told, receiver: &Known, base: &str) -> Map<String, Value> {
    let mut patient = told.record.patient.clone();
    patient.entry("active").or_insert(json!(told.active));
    if !receiver.interest.is_all()
        && let Some(Value::Array(identifiers)) = patient.get_mut("identifier")
    {
        identifiers.retain(|item| {
            let identifier = fhir::patient::read_identifier(item);
            identifier
                .is_some_and(|identifier| receiver.interest.has(&receiver.canonical(&identifier.system)))
        });
    }
    if let Some(Value::Array(links)) = patient.get_mut("link") {
        for link in links {
            let Some(Value::String(reference)) = link.pointer_mut("/other/reference") else { continue };
            if reference.starts_with("Patient/") {
                *reference = format!("{base}/{reference}");
            }
        }
    }
    patient
}

fn fhir_instant(instant: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(instant).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// What an answer says of the message of this id; none: nothing of the message, but of the place it went to.
pub(crate) fn judged(answer: &PeerAnswer, id: &str) -> Option<Judged> {
    if matches!(answer.status, 401 | 403 | 404 | 405 | 415) {
        return None;
    }
    if !(200..300).contains(&answer.status) {
        return Some(Judged::Refused(Refusal::status(answer.status, outcome_code(&answer.body))));
    }
    let bundle: Value = match serde_json::from_slice(&answer.body) {
        Ok(bundle) => bundle,
        Err(_) => return Some(Judged::Rubbish("its answer is no JSON".to_owned())),
    };
    let response = bundle.pointer("/entry/0/resource/response");
    let Some(response) = response.filter(|_| bundle["type"] == "message") else {
        return Some(Judged::Rubbish("its answer is no message with a response in its header".to_owned()));
    };
    let answered = response["identifier"].as_str().unwrap_or_default();
    if !answered.is_empty() && answered.rsplit(['/', ':']).next() != Some(id) {
        return Some(Judged::Rubbish("its answer is to another message".to_owned()));
    }
    Some(match response["code"].as_str() {
        Some("ok") => Judged::Taken,
        Some(other) => {
            let words = format!("response {}", code(other).unwrap_or_default());
            Judged::Refused(Refusal { words, passes: other == "transient-error" })
        }
        None => Judged::Rubbish("its answer has no response code".to_owned()),
    })
}
