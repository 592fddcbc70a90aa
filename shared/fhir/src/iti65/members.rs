//! What the objects of a Bundle say about each other: members of lists, relations of documents.

use serde_json::Value;
use xds::{Association, AssociationType, EntryUuid, Finding, Findings, ObjectRef, Place, Rule, Submission};

use super::request::{Entry, Kind};
use crate::beyond;
use crate::element::{identifier, items, text};

/// The entries of a Bundle, to which its references lead.
pub(super) struct Links<'a> {
    pub(super) entries: &'a [Entry<'a>],
}

impl Links<'_> {
    /// Fills the associations of a submission.
    pub(super) fn follow(&self, submission: &mut Submission, findings: &mut Findings) {
        let set = submission.submission_set.symbol.clone();
        let mut associations = Vec::new();
        for entry in self.entries {
            match entry.kind {
                Kind::SubmissionSet | Kind::Folder { .. } => self.members(entry, &mut associations, findings),
                Kind::Document => self.relations(entry, &mut associations, findings),
                Kind::Binary | Kind::FhirDocument | Kind::Patch | Kind::Patient => {}
            }
        }
        if let Some(list) = self.entries.iter().find(|entry| entry.kind == Kind::SubmissionSet) {
            beyond::into_associations(&mut associations, list.resource, &list.place(), findings);
        }
        self.complete(&set, &mut associations, findings);
        submission.associations = associations;
    }

    fn members(&self, list: &Entry<'_>, associations: &mut Vec<Association>, findings: &mut Findings) {
        for (index, item) in items(list.resource, "entry").iter().enumerate() {
            let at = list.place().member("entry").item(index).member("item");
            let Some(target) = item.get("item").and_then(|item| self.target(item, list.kind)) else {
                let text = "The member is neither in this Bundle nor named as a registered document.";
                findings.push(Finding::error(Rule::UnresolvedReference, at, text));
                continue;
            };
            let source = ObjectRef::Symbol(list.symbol.to_owned());
            if associations.iter().any(|known| known.source == source && known.target == target) {
                findings.push(Finding::error(Rule::MetadataInvalid, at, "This member is listed twice."));
                continue;
            }
            associations.push(Association::new(AssociationType::HasMember, source, target, at.path));
        }
    }

    /// What a list's entry names: an object of this Bundle, or a registered one.
    fn target(&self, item: &Value, kind: Kind) -> Option<ObjectRef> {
        if let Some(reference) = text(item, "reference") {
            if let Some(entry) = self.entry(reference) {
                if entry.kind == Kind::Patch {
                    return patched(entry);
                }
                let fits = match entry.kind {
                    Kind::Document => true,
                    Kind::Folder { .. } => kind == Kind::SubmissionSet,
                    _ => false,
                };
                return fits.then(|| ObjectRef::Symbol(entry.symbol.to_owned()));
            }
            // A bare UUID here is a fullUrl that is missing, not a registered document.
            if reference.starts_with("urn:") {
                return None;
            }
            let folder = || registered(reference, "List").filter(|_| kind == Kind::SubmissionSet);
            return registered(reference, "DocumentReference").or_else(folder).map(ObjectRef::Registered);
        }
        item.get("identifier").and_then(identifier).map(named)
    }

    fn entry(&self, reference: &str) -> Option<&Entry<'_>> {
        self.entries
            .iter()
            .find(|entry| entry.symbol == reference || is_relative_form(entry.symbol, reference))
    }

    fn relations(&self, document: &Entry<'_>, associations: &mut Vec<Association>, findings: &mut Findings) {
        let first = associations.len();
        for (index, relation) in items(document.resource, "relatesTo").iter().enumerate() {
            let at = document.place().member("relatesTo").item(index);
            let kind = match text(relation, "code") {
                Some("replaces") => AssociationType::Replace,
                Some("transforms") => AssociationType::Transform,
                Some("appends") => AssociationType::Append,
                Some("signs") => AssociationType::Signs,
                // The shape check names the codes there are.
                _ => continue,
            };
            let at = at.member("target");
            let Some(target) = relation.get("target").and_then(|target| self.related(target)) else {
                let text = "The document this one relates to is neither in this Bundle nor registered: name it as \
                            DocumentReference/[id], by its entryUUID, or by its masterIdentifier.";
                findings.push(Finding::error(Rule::UnresolvedReference, at, text));
                continue;
            };
            if target == ObjectRef::Symbol(document.symbol.to_owned()) {
                let text = "A document does not relate to itself.";
                findings.push(Finding::error(Rule::MetadataInvalid, at, text));
                continue;
            }
            let source = ObjectRef::Symbol(document.symbol.to_owned());
            match join(&mut associations[first..], kind, &target) {
                Some(known) => known.kind = AssociationType::TransformReplace,
                None => associations.push(Association::new(kind, source, target, at.path)),
            }
        }
    }

    fn related(&self, target: &Value) -> Option<ObjectRef> {
        if let Some(reference) = text(target, "reference") {
            if let Some(entry) = self.entry(reference) {
                if entry.kind == Kind::Patch {
                    return patched(entry);
                }
                return (entry.kind == Kind::Document).then(|| ObjectRef::Symbol(entry.symbol.to_owned()));
            }
            return registered(reference, "DocumentReference").map(ObjectRef::Registered);
        }
        target.get("identifier").and_then(identifier).map(named)
    }

    /// A document or folder the submission set does not list is a member all the same: whoever submits it, submits it.
    fn complete(&self, set: &str, associations: &mut Vec<Association>, findings: &mut Findings) {
        let source = ObjectRef::Symbol(set.to_owned());
        for entry in self.entries {
            let member = matches!(entry.kind, Kind::Document | Kind::Folder { .. });
            let target = ObjectRef::Symbol(entry.symbol.to_owned());
            let listed = associations.iter().any(|known| {
                known.kind == AssociationType::HasMember && known.source == source && known.target == target
            });
            if !member || listed {
                continue;
            }
            let at = entry.place();
            let text = "The SubmissionSet does not list this; it is taken as its member.";
            findings.push(Finding::warning(Rule::MetadataInvalid, at.clone(), text));
            let kind = AssociationType::HasMember;
            associations.push(Association::new(kind, source.clone(), target, at.path));
        }
        let any = associations
            .iter()
            .any(|known| known.kind == AssociationType::HasMember && known.source == source);
        let faulty = findings.iter().any(|finding| finding.rule == Rule::UnresolvedReference);
        if !any && !faulty {
            let text =
                "The submission has no member: no DocumentReference, no Folder, no registered document.";
            findings.push(Finding::error(Rule::MetadataRequired, Place::at("Bundle.entry"), text));
        }
    }
}

/// Replaces and transforms of one document are one association (TF-3 4.2.2.2.4).
fn join<'a>(
    known: &'a mut [Association],
    kind: AssociationType,
    target: &ObjectRef,
) -> Option<&'a mut Association> {
    let partner = match kind {
        AssociationType::Replace => AssociationType::Transform,
        AssociationType::Transform => AssociationType::Replace,
        _ => return None,
    };
    known.iter_mut().find(|association| association.kind == partner && association.target == *target)
}

/// A PATCH entry stands for the registered document it changes, which is also what its fullUrl names (R4 Bundle, resolving
/// references): a `relatesTo` that is written like it means that document.
fn patched(entry: &Entry<'_>) -> Option<ObjectRef> {
    registered(entry.url, "DocumentReference").map(ObjectRef::Registered)
}

/// A registered object named by one of its identifiers.
fn named(name: xds::Identifier) -> ObjectRef {
    match EntryUuid::parse(&name.value).filter(|_| name.value.starts_with("urn:uuid:")) {
        Some(uuid) if name.system.is_empty() => ObjectRef::Registered(uuid),
        _ => ObjectRef::Unique(name),
    }
}

/// The entryUUID in `Type/[id]`, relative or absolute, with or without version, or in `urn:uuid:[id]`.
pub(crate) fn registered(reference: &str, kind: &str) -> Option<EntryUuid> {
    if reference.starts_with("urn:uuid:") {
        return EntryUuid::parse(reference);
    }
    let bare = reference.split("/_history/").next()?;
    let (head, id) = bare.rsplit_once('/')?;
    let named = head == kind || head.strip_suffix(kind).is_some_and(|base| base.ends_with('/'));
    if named { EntryUuid::parse(id) } else { None }
}

/// The identifier in `Type?identifier=system|value`, relative or absolute, if the condition says nothing else.
pub(super) fn condition(url: &str, kind: &str) -> Option<xds::Identifier> {
    let (head, query) = url.split_once('?')?;
    if head != kind && !head.strip_suffix(kind).is_some_and(|base| base.ends_with('/')) {
        return None;
    }
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let (name, token) = pairs.next()?;
    if name != "identifier" || pairs.next().is_some() {
        return None;
    }
    let (system, value) = token.split_once('|').unwrap_or(("", &token));
    (!value.is_empty()).then(|| xds::Identifier { system: system.to_owned(), value: value.to_owned() })
}

/// Says which registered folder a PUT means: by `request.url`, else by what the List says of itself.
pub(super) fn name_folder(entry: &Entry<'_>, folder: &mut xds::Folder, findings: &mut Findings) {
    let at = Place::at(format!("Bundle.entry[{}].request.url", entry.index));
    let other = "request.url names another folder than the List itself does.";
    if let Some(uuid) = registered(entry.url, "List") {
        if folder.entry_uuid.as_ref().is_some_and(|own| *own != uuid) {
            findings.push(Finding::error(Rule::Value, at, other));
        }
        folder.entry_uuid = Some(uuid);
    } else if let Some(name) = condition(entry.url, "List") {
        match EntryUuid::parse(&name.value).filter(|_| name.value.starts_with("urn:uuid:")) {
            Some(uuid) => folder.entry_uuid = Some(uuid),
            None => {
                if folder.unique_id.as_ref().is_some_and(|own| own.value != name.value) {
                    findings.push(Finding::error(Rule::Value, at, other));
                }
                folder.entry_uuid = None;
                folder.unique_id.get_or_insert(name);
            }
        }
    } else if entry.url != "List" && entry.url != entry.symbol {
        let text = "request.url of a PUT is List/[id], List?identifier=system|value, or List for a folder that names itself \
                    by an identifier.";
        findings.push(Finding::error(Rule::Value, at, text));
    } else if folder.entry_uuid.is_none() && folder.unique_id.is_none() {
        let text = "Nothing says which folder is updated: put its id into request.url (List/[id]), or its entryUUID or uniqueId \
                    into identifier.";
        let at = entry.place().member("identifier").of("Folder.entryUUID");
        findings.push(Finding::error(Rule::Required, at, text));
    }
}

/// Whether a relative reference (`Binary/1`) is the entry with this absolute fullUrl.
pub(super) fn is_relative_form(full_url: &str, reference: &str) -> bool {
    full_url.starts_with("http")
        && reference.contains('/')
        && !reference.contains(':')
        && full_url.strip_suffix(reference).is_some_and(|base| base.ends_with('/'))
}
