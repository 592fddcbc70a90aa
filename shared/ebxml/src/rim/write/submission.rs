//! A whole submission, for a registry or repository of somebody else.

use std::collections::HashMap;

use xds::{
    Association, AssociationType, Availability, EntryUuid, Finding, ObjectRef, Place, Rule, Submission,
};

use super::part::urn;
use super::{association, document, package};
use crate::names::namespace::{LCM, RIM};
use crate::rim::Standing;
use crate::writer::Writer;

/// The ids under which the objects of a submission are written.
#[derive(Debug, Clone)]
pub struct Ids(HashMap<String, String>);

impl Ids {
    /// An entryUUID stays; a symbol that would be taken for one, as those of FHIR are, becomes a word.
    pub fn of(submission: &Submission) -> Ids {
        let mut ids = Ids(HashMap::new());
        let set = &submission.submission_set;
        ids.add("SubmissionSet", 1, &set.symbol, set.entry_uuid.as_ref());
        for (entry, number) in submission.documents.iter().zip(1..) {
            ids.add("Document", number, &entry.symbol, entry.entry_uuid.as_ref());
        }
        for (folder, number) in submission.folders.iter().zip(1..) {
            ids.add("Folder", number, &folder.symbol, folder.entry_uuid.as_ref());
        }
        for (association, number) in submission.associations.iter().zip(1..) {
            if !association.symbol.is_empty() {
                ids.add("Association", number, &association.symbol, association.entry_uuid.as_ref());
            }
        }
        ids
    }

    fn add(&mut self, what: &str, number: usize, symbol: &str, uuid: Option<&EntryUuid>) {
        let id = match uuid {
            Some(uuid) => urn(uuid),
            None if symbol.is_empty() || symbol.contains(':') => format!("{what}{number:02}"),
            None => symbol.to_owned(),
        };
        self.0.insert(symbol.to_owned(), id);
    }

    /// The id of an object, by its symbol.
    pub fn of_symbol(&self, symbol: &str) -> Option<&str> {
        self.0.get(symbol).map(String::as_str)
    }

    fn end(&self, reference: &ObjectRef, at: &str) -> Result<String, Finding> {
        let unknown = match reference {
            ObjectRef::Registered(uuid) => return Ok(urn(uuid)),
            ObjectRef::Symbol(symbol) => match self.of_symbol(symbol) {
                Some(id) => return Ok(id.to_owned()),
                None => symbol.as_str(),
            },
            ObjectRef::Unique(identifier) => identifier.value.as_str(),
        };
        let text = format!(
            "{unknown} is neither of this submission nor named by an entryUUID, which a registry of XDS.b needs."
        );
        let place = Place::at(at).of("Association.targetObject");
        Err(Finding::error(Rule::UnresolvedReference, place, text))
    }
}

/// Writes the `lcm:SubmitObjectsRequest` of a submission, with its namespaces. Every membership of a folder is made a member
/// of the set, as XDS.b demands.
///
/// # Errors
/// An association to something that only its uniqueId names.
pub fn write_submission(out: &mut Writer, submission: &Submission) -> Result<Ids, Finding> {
    let ids = Ids::of(submission);
    let nothing = Standing::default();
    let id = |symbol: &str| ids.of_symbol(symbol).unwrap_or_default();
    out.start("lcm:SubmitObjectsRequest").attribute("xmlns:lcm", LCM).attribute("xmlns:rim", RIM);
    out.start("rim:RegistryObjectList");
    for entry in &submission.documents {
        // Only an update says that an entry is deprecated.
        let deprecated = Some(entry.availability).filter(|status| *status == Availability::Deprecated);
        let standing = Standing { status: deprecated, ..Standing::default() };
        document::write_as(out, entry, &standing, id(&entry.symbol));
    }
    let set = &submission.submission_set;
    package::write_set_as(out, set, &nothing, id(&set.symbol));
    for folder in submission.folders.iter().filter(|folder| !folder.update) {
        package::write_folder_as(out, folder, &nothing, id(&folder.symbol));
    }
    associations(out, submission, &ids)?;
    out.end().end();
    Ok(ids)
}

fn associations(out: &mut Writer, submission: &Submission, ids: &Ids) -> Result<(), Finding> {
    let set = &submission.submission_set.symbol;
    let of_set = |association: &Association| {
        association.kind == AssociationType::HasMember && is_symbol(&association.source, set)
    };
    let mut number = submission.associations.len();
    for (association, index) in submission.associations.iter().zip(1..) {
        if of_set(association) && is_grown_folder(submission, &association.target) {
            continue;
        }
        let id = id_of(association, index, ids);
        let source = ids.end(&association.source, &association.at)?;
        let target = ids.end(&association.target, &association.at)?;
        let original = of_set(association).then(|| original(submission, &association.target)).flatten();
        let standing = Standing { original, ..Standing::default() };
        association::write_as(out, association, &standing, &id, [&source, &target]);
        let held =
            submission.associations.iter().any(|other| of_set(other) && names(&other.target, association));
        if association.kind == AssociationType::HasMember && !of_set(association) && !held {
            number += 1;
            let own = format!("Association{number:02}");
            let nobody = ObjectRef::Symbol(String::new());
            let member = Association::new(AssociationType::HasMember, nobody.clone(), nobody, "");
            let set = ids.of_symbol(set).unwrap_or_default();
            association::write_as(out, &member, &Standing::default(), &own, [set, &id]);
        }
    }
    Ok(())
}

/// The id of an association: the one it has, or a number.
fn id_of(association: &Association, number: usize, ids: &Ids) -> String {
    let own = association.entry_uuid.as_ref().map(urn);
    let word = || ids.of_symbol(&association.symbol).filter(|_| !association.symbol.is_empty());
    own.or_else(|| word().map(str::to_owned)).unwrap_or_else(|| format!("Association{number:02}"))
}

/// SubmissionSetStatus of what the set has as a member: of documents only.
fn original(submission: &Submission, target: &ObjectRef) -> Option<bool> {
    match target {
        ObjectRef::Symbol(symbol) => {
            submission.documents.iter().any(|entry| entry.symbol == *symbol).then_some(true)
        }
        ObjectRef::Registered(_) | ObjectRef::Unique(_) => Some(false),
    }
}

/// Whether this is a registered folder that gets further members: it is a member of the set it came with already.
fn is_grown_folder(submission: &Submission, target: &ObjectRef) -> bool {
    submission.folders.iter().any(|folder| folder.update && is_symbol(target, &folder.symbol))
}

fn is_symbol(reference: &ObjectRef, symbol: &str) -> bool {
    matches!(reference, ObjectRef::Symbol(known) if known == symbol)
}

/// Whether a reference means this association.
fn names(reference: &ObjectRef, association: &Association) -> bool {
    match reference {
        ObjectRef::Symbol(symbol) => !symbol.is_empty() && *symbol == association.symbol,
        ObjectRef::Registered(uuid) => association.entry_uuid.as_ref() == Some(uuid),
        ObjectRef::Unique(_) => false,
    }
}
