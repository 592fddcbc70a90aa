//! What is registered already, as far as a submission touches it.

use std::collections::{HashMap, HashSet};

use crate::attribute::{identifier_value, system};
use crate::ties::End;
use crate::types::{Availability, EntryKind, EntryUuid, Folder, Hash, Identifier, ObjectRef, Patient};

/// Everything registered that a submission touches. Loaded by whoever keeps the records.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Each patient the submission names, and who that is.
    pub patients: Vec<(Patient, PatientState)>,
    /// Registered documents it refers to.
    pub documents: HashMap<EntryUuid, KnownDocument>,
    /// Registered documents it refers to by uniqueId: which one that is.
    pub by_unique_id: HashMap<Identifier, EntryUuid>,
    /// Which object an entryUUID names that is not its logicalID: that of a later version.
    pub versions: HashMap<EntryUuid, EntryUuid>,
    /// Folders it extends or refers to, and those that hold a document it replaces.
    pub folders: HashMap<EntryUuid, KnownFolder>,
    /// Which of the entryUUIDs it brings are taken.
    pub taken: HashSet<EntryUuid>,
    /// What the uniqueIds it brings stand for already, by [`claim_name`].
    pub holders: HashMap<String, Holder>,
}

impl Known {
    /// Who a patient is.
    pub fn patient(&self, patient: &Patient) -> &PatientState {
        self.patients
            .iter()
            .find(|(named, _)| named == patient)
            .map_or(&PatientState::Unknown, |(_, state)| state)
    }

    /// A registered document.
    pub fn document(&self, reference: &ObjectRef) -> Option<&KnownDocument> {
        match reference {
            ObjectRef::Registered(id) => self.documents.get(self.logical(id)),
            ObjectRef::Unique(identifier) => self.documents.get(self.by_unique_id.get(identifier)?),
            ObjectRef::Symbol(_) => None,
        }
    }

    /// The logicalID of the object with this entryUUID.
    fn logical<'a>(&'a self, id: &'a EntryUuid) -> &'a EntryUuid {
        self.versions.get(id).unwrap_or(id)
    }

    /// A registered folder.
    pub fn folder(&self, reference: &ObjectRef) -> Option<&KnownFolder> {
        match reference {
            ObjectRef::Registered(id) => self.folders.get(self.logical(id)),
            ObjectRef::Unique(_) | ObjectRef::Symbol(_) => None,
        }
    }

    /// The registered folder that an update means: by entryUUID, else by uniqueId.
    pub fn updated(&self, folder: &Folder) -> Option<&KnownFolder> {
        match (&folder.entry_uuid, &folder.unique_id) {
            (Some(id), _) => self.folders.get(self.logical(id)),
            (None, Some(unique_id)) => {
                self.folders.values().find(|known| known.unique_id.as_ref() == Some(unique_id))
            }
            (None, None) => None,
        }
    }
}

/// Who a patient is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatientState {
    /// Known and active, with its id in this domain.
    Active(String),
    /// Known, but no longer active, or merged into another one.
    Inactive,
    /// Not known here.
    Unknown,
}

/// A registered document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDocument {
    /// Its logicalID.
    pub id: EntryUuid,
    /// entryUUID of the version that stands, where it is not the first.
    pub version: Option<EntryUuid>,
    /// Whether its bytes are fixed.
    pub kind: EntryKind,
    /// Its patient, by the id of this domain.
    pub patient: String,
    /// Whether it is current.
    pub availability: Availability,
    /// Whether it is a transformation of another one.
    pub is_transformation: bool,
    /// Current documents that are transformations of it or appended to it, or to one of these.
    pub children: Vec<EntryUuid>,
    /// Current folders that hold it.
    pub folders: Vec<EntryUuid>,
}

impl KnownDocument {
    /// A stable document in its first version, of which nothing follows.
    pub fn new(id: EntryUuid, patient: impl Into<String>, availability: Availability) -> KnownDocument {
        KnownDocument {
            id,
            version: None,
            kind: EntryKind::Stable,
            patient: patient.into(),
            availability,
            is_transformation: false,
            children: Vec::new(),
            folders: Vec::new(),
        }
    }
    /// The version that stands, as an association points to it.
    pub fn end(&self) -> End {
        End { object: self.id.clone(), version: self.version.clone() }
    }
}

/// A registered folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFolder {
    /// Its logicalID.
    pub id: EntryUuid,
    /// entryUUID of the version that stands, where it is not the first.
    pub version: Option<EntryUuid>,
    /// Whether it is current.
    pub availability: Availability,
    /// Its uniqueId.
    pub unique_id: Option<Identifier>,
    /// Its title.
    pub title: Option<String>,
    /// Its patient, by the id of this domain.
    pub patient: String,
    /// Its documents.
    pub members: Vec<EntryUuid>,
}

impl KnownFolder {
    /// The version that stands, as an association points to it.
    pub fn end(&self) -> End {
        End { object: self.id.clone(), version: self.version.clone() }
    }
}

/// The name under which a uniqueId is claimed.
pub fn claim_name(unique_id: &Identifier) -> String {
    format!("unique-id/{}|{}", system(&unique_id.system), identifier_value(&unique_id.value))
}

/// What a uniqueId stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Documents with these bytes: several entries may share a uniqueId if they describe the same bytes.
    Document(Content),
    /// Documents that are put together when they are asked for.
    OnDemand,
    /// One submission set or folder.
    List(EntryUuid),
}

/// The bytes of a document, as far as they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Content {
    /// SHA-256, where somebody we trust measured it.
    pub sha256: Option<[u8; 32]>,
    /// hash.
    pub hash: Option<Hash>,
    /// size.
    pub size: Option<u64>,
}

impl Holder {
    /// As it is written with a claim: words and hexadecimal digits.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Holder::List(id) => format!("list {}", id.as_str()),
            Holder::OnDemand => "on-demand".to_owned(),
            Holder::Document(content) => format!(
                "document {} {} {}",
                content.sha256.map_or("-".to_owned(), |digest| hex(&digest)),
                content.hash.map_or("-".to_owned(), |hash| hex(&hash.0)),
                content.size.map_or("-".to_owned(), |size| size.to_string()),
            ),
        }
        .into_bytes()
    }

    /// Reads what [`Holder::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Holder> {
        let mut words = std::str::from_utf8(bytes).ok()?.split(' ');
        match words.next()? {
            "on-demand" => Some(Holder::OnDemand),
            "list" => EntryUuid::parse(words.next()?).map(Holder::List),
            "document" => Some(Holder::Document(Content {
                sha256: unhex(words.next()?),
                hash: unhex(words.next()?).map(Hash),
                size: words.next()?.parse().ok(),
            })),
            _ => None,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes any text");
        text
    })
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_unique_id_stands_for_survives_being_written() {
        let whole = Content { sha256: Some([7; 32]), hash: Some(Hash([9; 20])), size: Some(42) };
        for holder in [
            Holder::Document(whole),
            Holder::Document(Content::default()),
            Holder::OnDemand,
            Holder::List(EntryUuid::from(uuid::Uuid::from_u128(1))),
        ] {
            assert_eq!(Holder::from_bytes(&holder.to_bytes()), Some(holder));
        }
        assert_eq!(Holder::from_bytes(b"something else"), None);
    }
}
