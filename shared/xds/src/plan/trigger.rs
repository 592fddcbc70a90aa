//! What a metadata update asks for (TF-2 3.57.4.1.3.3, 3.92): the associations of its submission set, each with what it does.

use crate::types::{Availability, EntryUuid};

/// One operation of a metadata update. All of one request are done, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// A document entry of the submission is the next version of a registered one.
    Document(NewVersion),
    /// A folder of the submission is the next version of a registered one.
    Folder(NewVersion),
    /// The availabilityStatus of a registered object becomes another one.
    Status {
        /// entryUUID of the document, folder or association.
        target: EntryUuid,
        /// What it must be now; none: the request says nothing we know.
        original: Option<Availability>,
        /// What it becomes; likewise.
        new: Option<Availability>,
        /// Place of the association that asks for it.
        at: String,
    },
    /// An association of the submission ties registered objects.
    Submit {
        /// Its symbol.
        association: String,
        /// Place of the association that asks for it.
        at: String,
    },
}

/// A next version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// Symbol of the object in the submission.
    pub symbol: String,
    /// logicalID: of which object it is the next version; none: it is an original.
    pub logical_id: Option<EntryUuid>,
    /// PreviousVersion: the version it was made from; none: the request does not say.
    pub previous_version: Option<u64>,
    /// AssociationPropagation: whether the associations of the version before are made again for this one.
    pub propagate: bool,
    /// Place of the association that asks for it.
    pub at: String,
}

impl Trigger {
    /// What it asks for, in one word: the same request says the same.
    pub fn word(&self) -> String {
        let version = |kind: &str, version: &NewVersion| {
            let logical = version.logical_id.as_ref().map_or("", EntryUuid::as_str);
            let previous = version.previous_version.map(|number| number.to_string()).unwrap_or_default();
            format!("{kind} {logical} {previous} {}", version.propagate)
        };
        match self {
            Trigger::Document(next) => version("document", next),
            Trigger::Folder(next) => version("folder", next),
            Trigger::Status { target, original, new, .. } => {
                let word = |status: &Option<Availability>| status.map_or("", Availability::word);
                format!("status {} {} {}", target.as_str(), word(original), word(new))
            }
            Trigger::Submit { .. } => "submit".to_owned(),
        }
    }

    /// Place of the association that asks for it.
    pub fn at(&self) -> &str {
        match self {
            Trigger::Document(version) | Trigger::Folder(version) => &version.at,
            Trigger::Status { at, .. } | Trigger::Submit { at, .. } => at,
        }
    }
}
