//! What a registry of another make answers.

use bytes::Bytes;
use ebxml::Element;
use ebxml::names::namespace::{QUERY, RIM, RS};
use ebxml::response::{self, RegistryError, Status};
use xds::{Finding, Findings, Place, Rule, Severity};

use super::{Found, Registered};

/// Scheme of DocumentEntry.uniqueId.
const UNIQUE_ID: &str = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab";

/// What a registration came to.
pub(super) enum Response {
    /// Registered, with these reservations.
    Success(Findings),
    /// Refused.
    Failure(Findings),
    /// Not taken for a reason that has nothing to do with the submission.
    Away,
}

/// The SOAP message in an answer; some registries answer a plain request by a package with one part.
pub(super) fn root(content_type: &str, body: &Bytes) -> Option<Bytes> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !essence.starts_with("multipart/") {
        return essence.ends_with("xml").then(|| body.clone());
    }
    let boundary = content_type.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    })?;
    let text = std::str::from_utf8(body).ok()?;
    let part = text.split(&format!("--{boundary}")).nth(1)?;
    let (_, content) = part.split_once("\r\n\r\n")?;
    Some(Bytes::copy_from_slice(content.trim_end().as_bytes()))
}

/// A RegistryResponse; none if it is something else.
pub(super) fn registration(body: &Element) -> Option<Response> {
    let response = response::read(body).filter(|_| body.is(RS, "RegistryResponse"))?;
    let findings: Findings = response.errors.iter().map(finding).collect();
    if response.status == Status::Success {
        return Some(Response::Success(findings));
    }
    let away = ["XDSRegistryBusy", "XDSRegistryNotAvailable", "XDSRegistryOutOfResources"];
    if response.errors.iter().any(|error| away.contains(&error.code.as_str())) {
        return Some(Response::Away);
    }
    // A failure without a word is one all the same.
    let silent = "the registry refused the submission without saying why";
    let silent = || vec![Finding::error(Rule::ActorFailed, Place::whole(), silent)];
    Some(Response::Failure(if findings.is_empty() { silent() } else { findings }))
}

/// A RegistryError as a finding: its rule by the code, its words as they came.
fn finding(error: &RegistryError) -> Finding {
    let rule = Rule::ALL.iter().copied().find(|rule| rule.row().xds == Some(error.code.as_str()));
    let text = match rule {
        Some(_) => error.context.clone(),
        None => format!("{}: {}", error.code, error.context),
    };
    let place = Place::at(error.location.clone().unwrap_or_default());
    let finding = Finding::error(rule.unwrap_or(Rule::ActorFailed), place, text);
    if error.is_error { finding } else { Finding { severity: Severity::Warning, ..finding } }
}

/// The submission set that was asked for, and its documents; none if the registry does not know it.
pub(super) fn contents(body: &Element) -> Result<Option<Found>, String> {
    if !body.is(QUERY, "AdhocQueryResponse") {
        return Err("a stored query was answered with something else".to_owned());
    }
    match response::read(body) {
        Some(response) if response.status == Status::Success => {}
        Some(response) => {
            let code = response.errors.first().map(|error| error.code.as_str()).unwrap_or_default();
            return Err(format!("a stored query was refused: {code}"));
        }
        None => return Err("a stored query was answered without a status".to_owned()),
    }
    let Some(list) = body.child(RIM, "RegistryObjectList") else { return Ok(None) };
    if list.child(RIM, "RegistryPackage").is_none() {
        return Ok(None);
    }
    let of_packages = list.children_named(RIM, "RegistryPackage");
    let objects = of_packages.chain(list.children_named(RIM, "ExtrinsicObject"));
    let ids = objects.filter_map(|object| object.attribute("id"));
    let ids = ids.map(|id| id.strip_prefix("urn:uuid:").unwrap_or(id).to_ascii_lowercase()).collect();
    let members: Vec<&str> = list
        .children_named(RIM, "Association")
        .filter(|association| {
            slot(association, "SubmissionSetStatus").is_none_or(|status| status != "Reference")
        })
        .filter_map(|association| association.attribute("targetObject"))
        .collect();
    let documents: Vec<&Element> = list
        .children_named(RIM, "ExtrinsicObject")
        .filter(|document| {
            // Documents that are only referred to did not come with this submission.
            members.is_empty() || document.attribute("id").is_some_and(|id| members.contains(&id))
        })
        .collect();
    let addresses = documents.iter().filter_map(|document| slot(document, "URI").map(str::to_owned));
    let addresses = addresses.collect();
    Ok(Some(Found { ids, addresses, documents: documents.into_iter().map(document).collect() }))
}

fn document(object: &Element) -> Registered {
    let unique_id = object
        .children_named(RIM, "ExternalIdentifier")
        .find(|identifier| identifier.attribute("identificationScheme") == Some(UNIQUE_ID))
        .and_then(|identifier| identifier.attribute("value"));
    Registered {
        unique_id: unique_id.unwrap_or_default().trim().to_owned(),
        hash: slot(object, "hash").unwrap_or_default().to_ascii_lowercase(),
        size: slot(object, "size").and_then(|size| size.parse().ok()).unwrap_or_default(),
    }
}

/// The first value of a slot.
fn slot<'a>(object: &'a Element, name: &str) -> Option<&'a str> {
    let slot = object.children_named(RIM, "Slot").find(|slot| slot.attribute("name") == Some(name))?;
    slot.child(RIM, "ValueList")?.child(RIM, "Value").map(Element::trimmed)
}
