//! Generate Metadata [ITI-106]: a document alone, and the metadata that is taken out of it (PCC TF-2 4.1).
//!
//! What is taken is written as the DocumentReference a source would have published; from there on it is read as one
//! (`iti105`). What a document does not say, the maps of the configuration say.

mod cda;
mod composition;
mod header;

use serde_json::{Value, json};
use xds::{Code, Finding, Findings, Place, Rule};

use crate::element::{self, coding_value, text};
use crate::iti65::{Door, Measured, Origin, Provided};
use crate::iti105;
use crate::negotiate::Syntax;

/// What documents do not say of themselves, or say in codes of their own.
#[derive(Debug, Clone, Default)]
pub struct Maps {
    /// Type to class.
    pub classes: Vec<(Code, Code)>,
    /// Template id (CDA) or profile (FHIR) to format.
    pub formats: Vec<(String, Code)>,
    /// healthcareFacilityTypeCode.
    pub facility_type: Option<Code>,
    /// practiceSettingCode.
    pub practice_setting: Option<Code>,
}

/// A document that came alone.
#[derive(Debug)]
pub enum Document<'a> {
    /// In a Binary.
    Binary {
        /// Its media type, as the Binary says it.
        content_type: &'a str,
        /// Its beginning, at least as much as `whole` says.
        head: &'a [u8],
        /// Whether that is all of it.
        whole: bool,
    },
    /// A Bundle of type document, and what it is written in.
    Bundle(Value, Syntax),
}

/// The format of a document of which only the media type says how to read it.
pub(crate) const MIME_TYPE_SUFFICIENT: &str = "urn:ihe:iti:xds:2017:mimeTypeSufficient";
/// The code system of formats.
pub(crate) const FORMATS: &str = "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode";
/// The name of the Patient in the Bundle that is made.
const PATIENT: &str = "urn:uuid:3a0f5cf0-7c3b-5b52-9f0e-0d9d4c6f1053";

/// What was taken out of a document.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The DocumentReference, without its attachment's bytes.
    pub(crate) reference: Value,
    /// The Patient it is about, as the document knows them; none if the DocumentReference names them otherwise.
    pub(crate) patient: Option<Value>,
}

/// Takes the metadata out of a document, and reads it as the submission of that document. `measured` are the bytes of a
/// Binary (entry [`iti105::BINARY`]). `zone` is that of times which name none.
pub fn read_request(
    document: Document<'_>,
    measured: &[Measured],
    maps: &Maps,
    source_id: &str,
    zone: &jiff::tz::TimeZone,
) -> Result<Provided, Findings> {
    let syntax = match &document {
        Document::Binary { .. } => Syntax::Json,
        Document::Bundle(_, syntax) => *syntax,
    };
    let (taken, bytes) = match document {
        Document::Binary { content_type, head, whole } => {
            let taken =
                from_bytes(content_type, head, whole, maps, zone).map_err(|text| vec![unfit(text)])?;
            let binary = json!({ "resourceType": "Binary", "contentType": content_type });
            (taken, binary)
        }
        Document::Bundle(bundle, _) => {
            let taken =
                composition::take(&bundle, syntax.media_type(), maps).map_err(|text| vec![unfit(text)])?;
            (taken, bundle)
        }
    };
    let Taken { mut reference, patient } = taken;
    if patient.is_some() {
        element::put(&mut reference, "subject", Some(json!({ "reference": PATIENT })));
    }
    let mut bundle = iti105::bundle(reference, Some(bytes), source_id);
    if let (Some(patient), Some(entries)) = (patient, bundle["entry"].as_array_mut()) {
        let request = json!({ "method": "GET", "url": "Patient" });
        entries.push(json!({ "fullUrl": PATIENT, "resource": patient, "request": request }));
    }
    iti105::read_made((syntax, bundle), measured, Door::Repository, Origin::Document, Findings::new())
}

fn from_bytes(
    content_type: &str,
    head: &[u8],
    whole: bool,
    maps: &Maps,
    zone: &jiff::tz::TimeZone,
) -> Result<Taken, String> {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "text/xml" | "application/xml" | "application/hl7-v3+xml" | "application/hl7-cda+xml" => {
            let root = header::read(head, whole)?;
            cda::take(&root, content_type, maps, zone)
        }
        "application/fhir+json" | "application/json" if whole => {
            let bundle = crate::json::parse(head, &crate::json::Limits::default())
                .map_err(|findings| findings.first().map_or_else(String::new, |one| one.text.clone()))?;
            composition::take(&bundle, content_type, maps)
        }
        "application/fhir+xml" if whole => {
            let bundle = crate::xml::parse(head, &crate::json::Limits::default())
                .map_err(|findings| findings.first().map_or_else(String::new, |one| one.text.clone()))?;
            composition::take(&bundle, content_type, maps)
        }
        "application/fhir+json" | "application/json" | "application/fhir+xml" => {
            Err("The FHIR document is too long for its metadata to be taken out of it; submit it with metadata of its own \
                 (server.limits.max_body_bytes)."
                .to_owned())
        }
        _ => Err(format!(
            "Nothing can be taken out of a document of type {content_type}; CDA (text/xml, application/hl7-cda+xml) and FHIR \
             documents (application/fhir+json, application/fhir+xml, or a Bundle of type document) are understood."
        )),
    }
}

/// A document nothing can be taken from.
pub(crate) fn unfit(text: impl Into<String>) -> Finding {
    let at = Place::at("Parameters.parameter.where(name='document').resource");
    Finding::error(Rule::DocumentNotUnderstood, at, text).by(xds::Side::Repository)
}

/// A code with its system in the spelling of FHIR; none without a code.
pub(crate) fn concept(code: &Code) -> Value {
    json!({ "coding": [coding_value(code)] })
}

/// Class, facility and practice setting: what the maps say beside the document.
pub(crate) fn complete(reference: &mut Value, kind: Option<&Code>, own_class: Option<Value>, maps: &Maps) {
    let mapped = kind.and_then(|kind| {
        let is_same = |known: &Code| {
            known.code == kind.code
                && xds::attribute::system(&known.system) == xds::attribute::system(&kind.system)
        };
        maps.classes.iter().find(|(from, _)| is_same(from)).map(|(_, class)| concept(class))
    });
    let class = mapped.or(own_class).or_else(|| kind.map(concept));
    element::put(reference, "category", class.map(|class| json!([class])));
    let Some(context) = reference.get_mut("context") else { return };
    if context.get("facilityType").is_none() {
        element::put(context, "facilityType", maps.facility_type.as_ref().map(concept));
    }
    element::put(context, "practiceSetting", maps.practice_setting.as_ref().map(concept));
}

/// The format the maps give to the first of these names they know.
pub(crate) fn mapped_format<'a>(names: impl IntoIterator<Item = &'a str>, maps: &Maps) -> Option<Value> {
    let names: Vec<&str> = names.into_iter().collect();
    let found = maps.formats.iter().find(|(name, _)| names.iter().any(|given| given == name));
    found.map(|(_, format)| coding_value(format))
}

/// Leaves out members without content, so that nothing empty is registered.
pub(crate) fn pruned(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| {
            !(member.is_null()
                || member.as_array().is_some_and(Vec::is_empty)
                || member.as_object().is_some_and(serde_json::Map::is_empty)
                || member.as_str().is_some_and(str::is_empty))
        });
    }
    value
}

/// The document of a request: the one parameter named `document`, and nothing else beside it.
pub fn document_of(parameters: &mut Value) -> Result<Value, Findings> {
    let refuse = |path: &str, words: &str| {
        let finding = Finding::error(Rule::Required, Place::at(path), words);
        Err(vec![finding.by(xds::Side::Repository)])
    };
    if text(parameters, "resourceType") != Some("Parameters") {
        return refuse("resourceType", "Parameters with one parameter named document are expected here.");
    }
    match parameters.get_mut("parameter").and_then(Value::as_array_mut).map(Vec::as_mut_slice) {
        Some([one]) if text(one, "name") == Some("document") => match one.get_mut("resource") {
            Some(resource) if resource.is_object() => Ok(resource.take()),
            _ => refuse(
                "Parameters.parameter[0].resource",
                "The document is a resource: a Binary, or a Bundle of type document.",
            ),
        },
        _ => refuse("Parameters.parameter", "There is one parameter, named document, and no other."),
    }
}
