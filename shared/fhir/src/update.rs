//! Metadata update in FHIR: a registered DocumentReference or folder as it is to read from now on (rest-conventions 4, PUT and
//! PATCH). What may change is `xds::plan`'s to say; here is how FHIR says it.

use jiff::tz::TimeZone;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use xds::{
    AssociationType, DocumentEntry, EntryUuid, Finding, Findings, Folder, Place, Profile, Rule, Severity,
};

use crate::beyond;
use crate::document_reference::{self, zoned};
use crate::element::{items, text};
use crate::iti65::registered;
use crate::list::{self, ListKind};
use crate::schema;

/// The tag of a resource that is not whole.
const SUBSETTED: &str = "SUBSETTED";

/// A document entry as an update says it.
#[derive(Debug, Clone)]
pub struct Document {
    /// The metadata.
    pub entry: DocumentEntry,
    /// `relatesTo`; one whose target cannot be read is left out, so that it differs from what is registered.
    pub relations: Vec<(AssociationType, EntryUuid)>,
    /// Reservations.
    pub warnings: Findings,
}

/// What kind of list one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// A submission set: what happened, never changed.
    SubmissionSet,
    /// A folder.
    Folder,
}

/// Checks that a resource is whole, of this type, under this id, and of the shape R4 wants; mends what sources often write.
pub fn check(mut resource: Value, kind: &str, id: &str) -> Result<Value, Findings> {
    let root = Place::at(kind);
    if text(&resource, "resourceType") != Some(kind) {
        let text = format!("A {kind} is expected here.");
        return Err(vec![Finding::error(Rule::Structure, Place::at("resourceType"), text)]);
    }
    let mut findings = schema::check(&resource, &root);
    if !findings.is_empty() {
        let mended = schema::mend(&mut resource, &root);
        if !mended.is_empty() {
            findings = schema::check(&resource, &root);
        }
    }
    match text(&resource, "id") {
        Some(given) if given == id => {}
        Some(given) => {
            let text =
                format!("The id of the resource is {given}, that of the request {id}; they must be equal.");
            findings.push(Finding::error(Rule::Value, root.member("id"), text));
        }
        None => {
            let text = format!("The resource has no id; an update names it in the body too: {id}.");
            findings.push(Finding::error(Rule::Required, root.member("id"), text));
        }
    }
    // What our actors tell each other, nobody tells us.
    beyond::conceal(&mut resource);
    let tags = resource.get("meta").map(|meta| items(meta, "tag")).unwrap_or_default();
    if let Some(index) = tags.iter().position(|tag| text(tag, "code") == Some(SUBSETTED)) {
        let place = root.member("meta").member("tag").item(index);
        let text = "This is only a part of the resource (tag SUBSETTED, from _summary or _elements); written back, it would \
                    lose the rest. Read it whole and change that.";
        findings.push(Finding::error(Rule::BusinessRule, place, text));
    }
    if is_faulty(&findings) { Err(findings) } else { Ok(resource) }
}

/// The rule set a registered entry follows: the strictest it fulfils. An update may not fall behind it.
pub fn profile_of(registered: &Value) -> Profile {
    let at = Place::whole();
    let fits = |profile: &Profile| document_reference::read(registered, "", *profile, &at).is_ok();
    [Profile::Comprehensive, Profile::UnContained].into_iter().find(fits).unwrap_or(Profile::Minimal)
}

/// The same of a folder.
pub fn profile_of_folder(registered: &Value) -> Profile {
    let at = Place::whole();
    let fits = |profile: &Profile| list::read_folder(registered, "", false, *profile, &at).is_ok();
    [Profile::Comprehensive, Profile::UnContained].into_iter().find(fits).unwrap_or(Profile::Minimal)
}

/// Reads a checked DocumentReference. Times without zone are read in `zone`.
pub fn read_document(resource: &Value, profile: Profile, zone: &TimeZone) -> Result<Document, Findings> {
    let at = Place::at("DocumentReference");
    let mut findings = Findings::new();
    let mut entry = document_reference::read_into(resource, &at.path, profile, &at, &mut findings);
    zoned(&mut entry, zone);
    if is_faulty(&findings) {
        return Err(findings);
    }
    Ok(Document { entry, relations: relations(resource), warnings: findings })
}

/// Keeps of a registered entry what an update leaves as FHIR shows it: what XDS says of it in other words, and what FHIR
/// does not show. `shown` is the registered resource.
pub fn keep_document(registered: &DocumentEntry, shown: &Value, zone: &TimeZone, new: &mut DocumentEntry) {
    let at = Place::whole();
    let mut shown = document_reference::read_into(shown, "", Profile::Minimal, &at, &mut Findings::new());
    zoned(&mut shown, zone);
    shown.url.clone_from(&new.url);
    keep(registered, &shown, new);
    new.carried.ebxml.clone_from(&registered.carried.ebxml);
}

/// The same of a folder.
pub fn keep_folder(registered: &Folder, shown: &Value, new: &mut Folder) {
    let shown = list::folder_into(shown, "", false, Profile::Minimal, &Place::whole(), &mut Findings::new());
    keep(registered, &shown, new);
    new.carried.ebxml.clone_from(&registered.carried.ebxml);
}

/// Attributes that an update decides about by itself.
const DECIDED: &[&str] = &["symbol", "patient", "url", "availability", "carried", "sha256"];

fn keep<T: Serialize + DeserializeOwned>(registered: &T, shown: &T, new: &mut T) {
    let members = |object: &T| match serde_json::to_value(object) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let (registered, shown, mut kept) = (members(registered), members(shown), members(new));
    let names: Vec<String> = registered.keys().chain(kept.keys()).cloned().collect();
    for name in names.iter().filter(|name| !DECIDED.contains(&name.as_str())) {
        if shown.get(name) != kept.get(name) {
            continue;
        }
        match registered.get(name) {
            Some(value) => kept.insert(name.clone(), value.clone()),
            None => kept.remove(name),
        };
    }
    if let Ok(kept) = serde_json::from_value(Value::Object(kept)) {
        *new = kept;
    }
}

/// Reads a checked List that is a folder: its metadata and its documents in their order.
pub fn read_folder(resource: &Value, profile: Profile) -> Result<(Folder, Vec<EntryUuid>), Findings> {
    let at = Place::at("List");
    let mut findings = Findings::new();
    let folder = list::folder_into(resource, &at.path, false, profile, &at, &mut findings);
    if let Some(status) = text(resource, "status").filter(|status| *status != "current") {
        let text =
            format!("status is {status}; a folder is always current (Folder.availabilityStatus Approved).");
        let place = at.member("status").of("Folder.availabilityStatus");
        findings.push(Finding::error(Rule::Unmodifiable, place, text));
    }
    if listed(resource) != Some(Listed::Folder) {
        let text = "code says what a List is; a folder stays one.";
        findings.push(Finding::error(Rule::Unmodifiable, at.member("code"), text));
    }
    if is_faulty(&findings) {
        return Err(findings);
    }
    let member = |entry: &Value| {
        entry
            .get("item")
            .and_then(|item| text(item, "reference"))
            .and_then(|r| registered(r, "DocumentReference"))
    };
    // A member that cannot be read makes the list another one than the registered.
    let entries = items(resource, "entry");
    let members: Vec<EntryUuid> = entries.iter().filter_map(member).collect();
    Ok((folder, members))
}

/// Says what a List is, by its code.
pub fn listed(resource: &Value) -> Option<Listed> {
    list::kind(resource).map(|kind| match kind {
        ListKind::SubmissionSet => Listed::SubmissionSet,
        ListKind::Folder => Listed::Folder,
    })
}

/// The relations of a document; what replaces and transforms at once is one (TF-3 4.2.2.2.4).
fn relations(resource: &Value) -> Vec<(AssociationType, EntryUuid)> {
    let mut relations: Vec<(AssociationType, EntryUuid)> = Vec::new();
    for relation in items(resource, "relatesTo") {
        let kind = match text(relation, "code") {
            Some("replaces") => AssociationType::Replace,
            Some("transforms") => AssociationType::Transform,
            Some("appends") => AssociationType::Append,
            Some("signs") => AssociationType::Signs,
            _ => continue,
        };
        let target = relation.get("target").and_then(|target| text(target, "reference"));
        let Some(target) = target.and_then(|target| registered(target, "DocumentReference")) else {
            continue;
        };
        let partner = match kind {
            AssociationType::Replace => Some(AssociationType::Transform),
            AssociationType::Transform => Some(AssociationType::Replace),
            _ => None,
        };
        match relations.iter_mut().find(|(known, of)| Some(*known) == partner && *of == target) {
            Some((known, _)) => *known = AssociationType::TransformReplace,
            None => relations.push((kind, target)),
        }
    }
    relations
}

fn is_faulty(findings: &Findings) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// Members of a resource that XDS has no words for: an update in XDS says nothing of them.
const UNSAID: &[&str] =
    &["docStatus", "date", "custodian", "encounter", "orderedBy", "language", "implicitRules"];

/// A resource as an update in XDS composed it, with what the resource that stands says beyond XDS.
pub fn keep_unsaid(composed: &str, stands: &[u8]) -> String {
    let (Ok(Value::Object(mut new)), Ok(Value::Object(old))) =
        (serde_json::from_str::<Value>(composed), serde_json::from_slice::<Value>(stands))
    else {
        return composed.to_owned();
    };
    for name in UNSAID {
        // What points into the resource itself would point to nothing.
        let local =
            |value: &Value| text(value, "reference").is_some_and(|reference| reference.starts_with('#'));
        if let Some(value) = old.get(*name).filter(|value| !local(value)) {
            new.entry(*name).or_insert_with(|| value.clone());
        }
    }
    Value::Object(new).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_of_a_resource_is_not_written_back() {
        let part = json!({
            "resourceType": "DocumentReference", "id": "1", "status": "current",
            "meta": { "tag": [{ "code": "SUBSETTED" }] },
            "content": [{ "attachment": { "contentType": "text/plain" } }]
        });
        let findings = check(part, "DocumentReference", "1").expect_err("it is not whole");
        assert_eq!(findings[0].at.path, "DocumentReference.meta.tag[0]");
    }

    #[test]
    fn the_id_is_in_the_body_and_in_the_request() {
        let named = |id: Option<&str>| {
            let mut resource = json!({
                "resourceType": "DocumentReference", "status": "current",
                "content": [{ "attachment": { "contentType": "text/plain" } }]
            });
            if let Some(id) = id {
                resource["id"] = json!(id);
            }
            check(resource, "DocumentReference", "1").map(|_| ()).map_err(|findings| findings[0].rule)
        };
        assert_eq!(named(Some("1")), Ok(()));
        assert_eq!(named(Some("2")), Err(Rule::Value));
        assert_eq!(named(None), Err(Rule::Required));
        assert!(check(json!({ "resourceType": "List", "id": "1" }), "DocumentReference", "1").is_err());
    }

    #[test]
    fn replaces_and_transforms_of_one_document_are_one_relation() {
        let target =
            json!({ "reference": "https://r/fhir/DocumentReference/7d5bb8ac-68ee-4926-85e7-b8aac8e1f09d" });
        let resource = json!({ "relatesTo": [
            { "code": "transforms", "target": target }, { "code": "appends", "target": target }, { "code": "replaces", "target": target },
        ] });
        let kinds: Vec<_> = relations(&resource).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [AssociationType::TransformReplace, AssociationType::Append]);
    }
}
