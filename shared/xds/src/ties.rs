//! Associations as registered objects hold them (TF-3 4.2.2): each lies with the object it begins at and has an entryUUID of
//! its own, given by its source or derived from what it ties.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::types::{AssociationType, Code, EntryUuid, Slot};

/// The object an association points to: the object itself under its logical id, and which version of it is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct End {
    /// logicalID of the object: also its FHIR id.
    pub object: EntryUuid,
    /// entryUUID of the version that is meant; none: the first, whose entryUUID is the logicalID.
    pub version: Option<EntryUuid>,
}

impl End {
    /// The end at a version of an object.
    pub fn at(object: EntryUuid, version: EntryUuid) -> End {
        let version = (version != object).then_some(version);
        End { object, version }
    }
    /// entryUUID of the version that is meant.
    pub fn entry_uuid(&self) -> &EntryUuid {
        self.version.as_ref().unwrap_or(&self.object)
    }
}

impl From<EntryUuid> for End {
    fn from(object: EntryUuid) -> End {
        End { object, version: None }
    }
}

/// What an association says of itself, beside kind, source and target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tie {
    /// entryUUID that was given; none: the one that [`association_id`] derives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EntryUuid>,
    /// Whether it is Deprecated (metadata update).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
    /// Why it was made (association documentation, TF-3 4.2.2.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documentation: Option<Code>,
    /// Extra metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<Slot>,
}

impl Tie {
    /// entryUUID of the association.
    pub fn id(&self, kind: AssociationType, source: &EntryUuid, target: &EntryUuid) -> EntryUuid {
        self.id.clone().unwrap_or_else(|| association_id(kind, source, target))
    }
}

/// entryUUID of an association whose source gave none: the same kind, source and target give the same one.
pub fn association_id(kind: AssociationType, source: &EntryUuid, target: &EntryUuid) -> EntryUuid {
    let name = format!("{} {} {}", kind.edge(), source.as_str(), target.as_str());
    EntryUuid::from(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
}

/// A relation of a document to another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredRelation", into = "StoredRelation")]
pub struct Relation {
    /// What it says.
    pub kind: AssociationType,
    /// To which document.
    pub target: End,
    /// The association itself.
    pub tie: Tie,
}

impl Relation {
    /// A relation that says nothing of itself.
    pub fn new(kind: AssociationType, target: End) -> Relation {
        Relation { kind, target, tie: Tie::default() }
    }
    /// entryUUID of the association, of a document with this entryUUID.
    pub fn id(&self, source: &EntryUuid) -> EntryUuid {
        self.tie.id(self.kind, source, self.target.entry_uuid())
    }
}

/// As it is written: a relation that says nothing of itself is a pair, as it was before associations were objects.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredRelation {
    Plain(AssociationType, EntryUuid),
    Whole { kind: AssociationType, target: End, tie: Tie },
}

impl From<StoredRelation> for Relation {
    fn from(stored: StoredRelation) -> Relation {
        match stored {
            StoredRelation::Plain(kind, target) => Relation::new(kind, target.into()),
            StoredRelation::Whole { kind, target, tie } => Relation { kind, target, tie },
        }
    }
}

impl From<Relation> for StoredRelation {
    fn from(relation: Relation) -> StoredRelation {
        let Relation { kind, target, tie } = relation;
        if target.version.is_none() && tie == Tie::default() {
            return StoredRelation::Plain(kind, target.object);
        }
        StoredRelation::Whole { kind, target, tie }
    }
}

/// A member of a submission set or folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredMember", into = "StoredMember")]
pub struct Tied {
    /// What is a member.
    pub target: End,
    /// Of a submission set's document: whether it was registered before (SubmissionSetStatus `Reference`).
    pub reference: bool,
    /// The association itself.
    pub tie: Tie,
}

impl Tied {
    /// A membership that says nothing of itself, of something submitted along.
    pub fn new(target: impl Into<End>) -> Tied {
        Tied { target: target.into(), reference: false, tie: Tie::default() }
    }
    /// entryUUID of the association, of a list with this entryUUID.
    pub fn id(&self, source: &EntryUuid) -> EntryUuid {
        self.tie.id(AssociationType::HasMember, source, self.target.entry_uuid())
    }
}

/// As it is written: a membership that says nothing of itself is the member's id, as it was before.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredMember {
    Plain(EntryUuid),
    Whole { target: End, reference: bool, tie: Tie },
}

impl From<StoredMember> for Tied {
    fn from(stored: StoredMember) -> Tied {
        match stored {
            StoredMember::Plain(object) => Tied::new(object),
            StoredMember::Whole { target, reference, tie } => Tied { target, reference, tie },
        }
    }
}

impl From<Tied> for StoredMember {
    fn from(tied: Tied) -> StoredMember {
        let Tied { target, reference, tie } = tied;
        if target.version.is_none() && !reference && tie == Tie::default() {
            return StoredMember::Plain(target.object);
        }
        StoredMember::Whole { target, reference, tie }
    }
}

/// That a submission set holds a membership of a folder (SS-HM HasMember, TF-3 4.1.9.1): who put the document there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// entryUUID of the association it holds.
    pub association: EntryUuid,
    /// The association that holds it.
    #[serde(default)]
    pub tie: Tie,
}

impl Holding {
    /// entryUUID of the holding association, of a set with this entryUUID.
    pub fn id(&self, set: &EntryUuid) -> EntryUuid {
        self.tie.id(AssociationType::HasMember, set, &self.association)
    }
}

/// Which version of a registered object this is (metadata update, TF-2 3.57).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionOf {
    /// VersionInfo: from 1.
    pub number: u64,
    /// entryUUID of this version; none: it is the logicalID, as of every first version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_uuid: Option<EntryUuid>,
}

impl Default for VersionOf {
    fn default() -> VersionOf {
        VersionOf { number: 1, entry_uuid: None }
    }
}

impl VersionOf {
    /// Whether it is the first one, of which nothing needs to be kept.
    pub fn is_first(&self) -> bool {
        *self == VersionOf::default()
    }
    /// entryUUID of this version of the object with this logicalID.
    pub fn id<'a>(&'a self, logical: &'a EntryUuid) -> &'a EntryUuid {
        self.entry_uuid.as_ref().unwrap_or(logical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uuid(number: u128) -> EntryUuid {
        EntryUuid::from(Uuid::from_u128(number))
    }

    #[test]
    fn an_association_has_one_id_for_what_it_ties() {
        let id = |kind, source, target| association_id(kind, &uuid(source), &uuid(target));
        let one = id(AssociationType::Append, 1, 2);
        assert_eq!(one, id(AssociationType::Append, 1, 2));
        for other in [id(AssociationType::Append, 2, 1), id(AssociationType::Signs, 1, 2)] {
            assert_ne!(one, other);
        }
    }
}
