//! The transaction Bundle of a submission [ITI-65], with marks where the documents' bytes go.

use serde_json::{Map, Value, json};

use super::metadata::Metadata;
use crate::token::{Code, PatientName};

const STRUCTURE: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/";
const LIST_TYPES: &str = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes";
const URI: &str = "urn:ietf:rfc:3986";

/// Who sends, where nobody configured an OID: a constant, so that such submissions can be told apart.
pub(super) const SOURCE: &str = "urn:oid:2.25.210371489243174137418353943352384237189";

/// A submission about to be written.
pub(crate) struct Provide {
    pub(crate) minimal: bool,
    pub(crate) patient: PatientName,
    /// FHIR base of the identity source: makes an id an absolute reference.
    pub(crate) identity: String,
    /// SubmissionSet.uniqueId.
    pub(crate) submission_id: String,
    /// When it is sent.
    pub(crate) now: String,
    pub(crate) documents: Vec<Document>,
    /// The registered document they relate to.
    pub(crate) relates: Option<Relates>,
    /// Of the submission as a whole.
    pub(crate) metadata: Metadata,
}

/// A relation to a registered document.
#[derive(Debug, Clone)]
pub(crate) struct Relates {
    pub(crate) how: How,
    /// Its absolute reference.
    pub(crate) reference: String,
    /// Its id.
    pub(crate) id: String,
}

/// How a document relates to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It takes its place.
    Replaces,
    /// It adds to it.
    Appends,
}

impl How {
    fn code(self) -> &'static str {
        match self {
            How::Replaces => "replaces",
            How::Appends => "appends",
        }
    }
}

/// One document of it.
pub(crate) struct Document {
    /// DocumentEntry.uniqueId.
    pub(crate) unique_id: String,
    pub(crate) content_type: String,
    pub(crate) size: u64,
    /// SHA-1 in base64.
    pub(crate) hash: String,
    pub(crate) metadata: Metadata,
    /// Stands where the base64 of the bytes will be.
    pub(crate) mark: String,
}

/// The Bundle. The set comes first, then the documents' metadata in order, then a status change, then the bytes.
pub(crate) fn write(provide: &Provide) -> Value {
    let flavour = if provide.minimal { "Minimal" } else { "Comprehensive" };
    let symbols: Vec<(String, String)> = provide.documents.iter().map(|_| (symbol(), symbol())).collect();
    let mut entries = vec![entry(&symbol(), submission_set(provide, flavour, &symbols), "POST", "List")];
    for (document, (own, binary)) in provide.documents.iter().zip(&symbols) {
        let resource = document_reference(provide, flavour, document, binary);
        entries.push(entry(own, resource, "POST", "DocumentReference"));
    }
    if let Some(Relates { how: How::Replaces, id, .. }) = &provide.relates {
        entries.push(entry(&symbol(), status_change(), "PATCH", &format!("DocumentReference/{id}")));
    }
    for (document, (_, binary)) in provide.documents.iter().zip(&symbols) {
        let resource =
            json!({"resourceType": "Binary", "contentType": document.content_type, "data": document.mark});
        entries.push(entry(binary, resource, "POST", "Binary"));
    }
    json!({
        "resourceType": "Bundle",
        "meta": {"profile": [format!("{STRUCTURE}IHE.MHD.{flavour}.ProvideBundle")]},
        "type": "transaction",
        "entry": entries,
    })
}

/// One document as it is published alone [ITI-105]: the bytes stand in it, and the server makes the rest.
pub(crate) fn write_alone(provide: &Provide, document: &Document) -> Value {
    let mut resource = document_reference(provide, "SimplifiedPublish", document, "");
    if let Some(attachment) = resource.pointer_mut("/content/0/attachment").and_then(Value::as_object_mut) {
        attachment.remove("url");
        attachment.insert("data".into(), json!(document.mark));
    }
    resource
}

/// Index of the first document's entry in the Bundle.
pub(crate) const FIRST_DOCUMENT: usize = 1;

fn symbol() -> String {
    format!("urn:uuid:{}", uuid::Uuid::new_v4())
}

fn entry(full_url: &str, resource: Value, method: &str, url: &str) -> Value {
    json!({"fullUrl": full_url, "resource": resource, "request": {"method": method, "url": url}})
}

fn submission_set(provide: &Provide, flavour: &str, symbols: &[(String, String)]) -> Value {
    let metadata = &provide.metadata;
    let source = metadata.source_id.as_deref().unwrap_or(SOURCE);
    let mut extensions = Vec::new();
    if let Some(code) = metadata.submission_type.as_ref().or(metadata.r#type.as_ref()) {
        extensions.push(
            json!({"url": format!("{STRUCTURE}ihe-designationType"), "valueCodeableConcept": code.concept()}),
        );
    }
    extensions.push(json!({"url": format!("{STRUCTURE}ihe-sourceId"), "valueIdentifier": {"value": source}}));
    let items: Vec<Value> = symbols.iter().map(|(own, _)| json!({"item": {"reference": own}})).collect();
    json!({
        "resourceType": "List",
        "meta": {"profile": [format!("{STRUCTURE}IHE.MHD.{flavour}.SubmissionSet")]},
        "extension": extensions,
        "identifier": [{"use": "usual", "type": identifier_type("uniqueId"), "system": URI, "value": provide.submission_id}],
        "status": "current",
        "mode": "working",
        "code": {"coding": [{"system": LIST_TYPES, "code": "submissionset"}]},
        "subject": subject(provide),
        "date": provide.now,
        "entry": items,
    })
}

fn identifier_type(code: &str) -> Value {
    json!({"coding": [{"system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/IHE.MHD.MHDIdentifierType", "code": code}]})
}

/// The patient: by reference where one is known, else by identifier; the repository finds out.
fn subject(provide: &Provide) -> Value {
    subject_of(&provide.patient, &provide.identity)
}

/// The subject of whatever is about this patient; `identity` makes an id an absolute reference.
pub(crate) fn subject_of(patient: &PatientName, identity: &str) -> Value {
    match patient {
        PatientName::Identifier(identifier) => json!({"identifier": identifier.fhir()}),
        PatientName::Url(url) => json!({"reference": url}),
        PatientName::Id(id) => json!({"reference": format!("{identity}/Patient/{id}")}),
    }
}

/// A folder of these members.
pub(crate) fn folder(
    subject: &Value,
    title: &str,
    codes: &[Value],
    unique_id: &str,
    members: &[String],
) -> Value {
    let codes: Vec<Value> = codes
        .iter()
        .map(|code| json!({"url": format!("{STRUCTURE}ihe-designationType"), "valueCodeableConcept": code}))
        .collect();
    let entries: Vec<Value> = members.iter().map(|member| json!({"item": {"reference": member}})).collect();
    let mut list = json!({
        "resourceType": "List",
        "meta": {"profile": [format!("{STRUCTURE}IHE.MHD.Minimal.Folder")]},
        "extension": codes,
        "identifier": [{"use": "usual", "type": identifier_type("uniqueId"), "system": URI, "value": unique_id}],
        "status": "current",
        "mode": "working",
        "title": title,
        "code": {"coding": [{"system": LIST_TYPES, "code": "folder"}]},
        "subject": subject,
        "entry": entries,
    });
    if let Some(members) = list.as_object_mut() {
        members.retain(|_, value| value.as_array().is_none_or(|items| !items.is_empty()));
    }
    list
}

/// A submission of one folder, which is made or grows. The folder is its second entry.
pub(crate) fn of_folder(
    subject: &Value,
    folder: Value,
    (method, url): (&str, &str),
    submission_id: &str,
    now: &str,
) -> Value {
    let own = symbol();
    let set = json!({
        "resourceType": "List",
        "meta": {"profile": [format!("{STRUCTURE}IHE.MHD.Minimal.SubmissionSet")]},
        "extension": [{"url": format!("{STRUCTURE}ihe-sourceId"), "valueIdentifier": {"value": SOURCE}}],
        "identifier": [{"use": "usual", "type": identifier_type("uniqueId"), "system": URI, "value": submission_id}],
        "status": "current",
        "mode": "working",
        "code": {"coding": [{"system": LIST_TYPES, "code": "submissionset"}]},
        "subject": subject,
        "date": now,
        "entry": [{"item": {"reference": own}}],
    });
    json!({
        "resourceType": "Bundle",
        "meta": {"profile": [format!("{STRUCTURE}IHE.MHD.Minimal.ProvideBundle")]},
        "type": "transaction",
        "entry": [entry(&symbol(), set, "POST", "List"), entry(&own, folder, method, url)],
    })
}

/// What this source calls the patient (sourcePatientId): the identifier given, or the Patient resource at its server.
fn source_patient(provide: &Provide) -> Value {
    let identifier = match &provide.patient {
        PatientName::Identifier(identifier) => identifier.fhir(),
        PatientName::Id(id) => json!({"system": provide.identity, "value": format!("Patient/{id}")}),
        PatientName::Url(url) => match url.rfind("/Patient/") {
            Some(at) => json!({"system": url[..at], "value": url[at + 1..]}),
            None => json!({"system": URI, "value": url}),
        },
    };
    json!({"resourceType": "Patient", "id": "source-patient", "identifier": [identifier]})
}

fn document_reference(provide: &Provide, flavour: &str, document: &Document, binary: &str) -> Value {
    let metadata = &document.metadata;
    let mut contained = Vec::new();
    let mut authors = Vec::new();
    for (number, name) in metadata.author.iter().enumerate() {
        let id = format!("author-{}", number + 1);
        contained.push(json!({"resourceType": "Practitioner", "id": id, "name": [person(name)]}));
        authors.push(json!({"reference": format!("#{id}")}));
    }
    let mut context = context(metadata);
    if !provide.minimal {
        contained.push(source_patient(provide));
        context.insert("sourcePatientInfo".into(), json!({"reference": "#source-patient"}));
    }
    let mut resource = Map::new();
    let mut put = |name: &str, value: Value| {
        let empty = value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(Map::is_empty);
        if !empty {
            resource.insert(name.to_owned(), value);
        }
    };
    put("resourceType", json!("DocumentReference"));
    put("meta", json!({"profile": [format!("{STRUCTURE}IHE.MHD.{flavour}.DocumentReference")]}));
    put("contained", json!(contained));
    put("masterIdentifier", json!({"system": URI, "value": document.unique_id}));
    put("status", json!("current"));
    put("type", json!(metadata.r#type.as_ref().map(Code::concept)));
    put("category", json!(metadata.category.iter().map(Code::concept).collect::<Vec<_>>()));
    put("subject", subject(provide));
    put("date", json!(provide.now));
    put("author", json!(authors));
    if let Some(Relates { how, reference, .. }) = &provide.relates {
        put("relatesTo", json!([{"code": how.code(), "target": {"reference": reference}}]));
    }
    put("description", json!(metadata.description));
    put("securityLabel", json!(metadata.confidentiality.iter().map(Code::concept).collect::<Vec<_>>()));
    put("content", json!([content(document, binary)]));
    put("context", Value::Object(context));
    Value::Object(resource)
}

fn content(document: &Document, binary: &str) -> Value {
    let metadata = &document.metadata;
    let mut attachment = json!({"contentType": document.content_type});
    if let Some(language) = &metadata.language {
        attachment["language"] = json!(language);
    }
    attachment["url"] = json!(binary);
    attachment["size"] = json!(document.size);
    attachment["hash"] = json!(document.hash);
    if let Some(title) = &metadata.title {
        attachment["title"] = json!(title);
    }
    if let Some(creation) = &metadata.creation {
        attachment["creation"] = json!(creation);
    }
    let mut content = json!({"attachment": attachment});
    if let Some(format) = &metadata.format {
        content["format"] = format.coding();
    }
    content
}

fn context(metadata: &Metadata) -> Map<String, Value> {
    let mut context = Map::new();
    if !metadata.event.is_empty() {
        context.insert("event".into(), json!(metadata.event.iter().map(Code::concept).collect::<Vec<_>>()));
    }
    let mut period = Map::new();
    for (name, time) in [("start", &metadata.service_start), ("end", &metadata.service_stop)] {
        if let Some(time) = time {
            period.insert(name.into(), json!(time));
        }
    }
    if !period.is_empty() {
        context.insert("period".into(), Value::Object(period));
    }
    for (name, code) in
        [("facilityType", &metadata.facility), ("practiceSetting", &metadata.practice_setting)]
    {
        if let Some(code) = code {
            context.insert(name.into(), code.concept());
        }
    }
    context
}

fn person(name: &str) -> Value {
    match name.split_once(',') {
        Some((family, given)) => {
            let given: Vec<&str> = given.split_whitespace().collect();
            json!({"family": family.trim(), "given": given})
        }
        None => json!({"family": name.trim()}),
    }
}

/// The only status change a submission may carry: the replaced document becomes superseded.
fn status_change() -> Value {
    json!({
        "resourceType": "Parameters",
        "meta": {"profile": [format!("{STRUCTURE}IHE.MHD.Patch.Parameters")]},
        "parameter": [{"name": "operation", "part": [
            {"name": "type", "valueCode": "replace"},
            {"name": "path", "valueString": "DocumentReference.status"},
            {"name": "value", "valueCode": "superseded"},
        ]}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provide(minimal: bool) -> Provide {
        let metadata = Metadata {
            r#type: Some("http://loinc.org|34133-9|Summary".parse().unwrap()),
            author: vec!["Curie, Marie".into()],
            language: Some("en".into()),
            ..Metadata::default()
        };
        Provide {
            minimal,
            patient: "urn:oid:1.2|7".parse().unwrap(),
            identity: "http://i/fhir".into(),
            submission_id: "urn:oid:2.25.1".into(),
            now: "2026-01-01T00:00:00Z".into(),
            documents: vec![Document {
                unique_id: "urn:oid:2.25.2".into(),
                content_type: "text/plain".into(),
                size: 3,
                hash: "x".into(),
                metadata: metadata.clone(),
                mark: "@@".into(),
            }],
            relates: None,
            metadata,
        }
    }

    #[test]
    fn a_bundle_ties_set_document_and_bytes_together() {
        let bundle = write(&provide(false));
        let entry = |n: usize| &bundle["entry"][n];
        assert_eq!(entry(0)["resource"]["entry"][0]["item"]["reference"], entry(FIRST_DOCUMENT)["fullUrl"]);
        let attachment = &entry(1)["resource"]["content"][0]["attachment"];
        assert_eq!(attachment["url"], entry(2)["fullUrl"]);
        assert_eq!(entry(2)["resource"]["data"], "@@");
        assert_eq!(entry(1)["resource"]["subject"], entry(0)["resource"]["subject"]);
        assert_eq!(entry(1)["resource"]["contained"][0]["name"][0]["family"], "Curie");
        assert_eq!(entry(1)["resource"]["context"]["sourcePatientInfo"]["reference"], "#source-patient");
    }

    #[test]
    fn a_replacement_names_its_target_and_marks_it_superseded() {
        let mut provide = provide(true);
        provide.relates = Some(Relates {
            how: How::Replaces,
            reference: "http://r/fhir/DocumentReference/old".into(),
            id: "old".into(),
        });
        let bundle = write(&provide);
        let relation = &bundle["entry"][1]["resource"]["relatesTo"][0];
        assert_eq!(relation["target"]["reference"], "http://r/fhir/DocumentReference/old");
        assert_eq!(bundle["entry"][2]["request"], json!({"method": "PATCH", "url": "DocumentReference/old"}));
        assert_eq!(bundle["entry"][3]["resource"]["resourceType"], "Binary");
    }

    #[test]
    fn a_patient_known_by_url_is_known_to_its_source_by_server_and_id() {
        let mut provide = provide(false);
        provide.patient = "http://other/fhir/Patient/9".parse().unwrap();
        assert_eq!(
            source_patient(&provide)["identifier"][0],
            json!({"system": "http://other/fhir", "value": "Patient/9"})
        );
    }
}
