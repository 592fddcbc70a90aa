//! The stored queries of the framework (ITI TF-2 3.18, 3.51): what each is called, what it takes and what it asks.
//!
//! One table ([`TABLE`]) says every query with its parameters; it can be printed. A face splits a message into names and
//! values ([`Given`]) and [`read`] makes the question of it. What asks for objects by what holds for them becomes the same
//! [`Filter`] a search in FHIR becomes.

mod build;
mod read;
mod table;
mod urn;
mod value;

use crate::filter::Filter;
use crate::types::{AssociationType, Availability, EntryUuid};
use crate::{Attribute, Findings};

pub use read::read;
pub use table::TABLE;
pub use urn::{association_type, association_urn, status, status_urn};

/// A stored query.
#[derive(Debug)]
pub struct StoredQuery {
    /// Its UUID with `urn:uuid:`.
    pub id: &'static str,
    /// Its name in the framework.
    pub name: &'static str,
    /// Number of the transaction it belongs to.
    pub transaction: &'static str,
    /// What it answers, in a sentence.
    pub purpose: &'static str,
    /// What it takes.
    pub parameters: &'static [Parameter],
    /// Parameters of which one at least must be given where no patient is named.
    pub one_of: &'static [&'static str],
    /// How its question is made.
    kind: Kind,
}

/// A parameter of a stored query.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name, with the dollar sign.
    pub name: &'static str,
    /// What it asks for.
    pub means: Means,
    /// How many values it takes.
    pub takes: Takes,
    /// Whether the query cannot do without it.
    pub required: bool,
    /// What it is, in a sentence.
    pub documentation: &'static str,
}

/// How many values a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// One.
    One,
    /// Any number, of which one must hold.
    Any,
    /// The same, and the parameter may be repeated: each time one must hold (AND).
    AllOfAny,
}

/// What a parameter asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// patientId.
    Patient,
    /// availabilityStatus of this sort of object.
    Status(Object),
    /// A code.
    Code(Attribute),
    /// The beginning of a stretch of time, inclusive.
    From(Attribute),
    /// Its end, exclusive.
    To(Attribute),
    /// A text with `%` and `_` in place of what may stand there.
    Like(Attribute),
    /// A text as it is.
    Text(Attribute),
    /// An OID.
    Oid(Attribute),
    /// objectType: stable, on-demand.
    EntryType,
    /// documentAvailability.
    Online,
    /// entryUUID.
    EntryUuid,
    /// uniqueId.
    UniqueId,
    /// logicalID.
    LogicalId,
    /// Types of associations.
    AssociationTypes,
    /// Whether the caller understands versions.
    MetadataLevel,
    /// Communities the question is for.
    Community,
}

impl Means {
    /// How a value is written, in words.
    pub fn form(self) -> &'static str {
        match self {
            Means::Patient => "'id^^^&OID&ISO'",
            Means::Status(_) => "'urn:oasis:names:tc:ebxml-regrep:StatusType:Approved' or '…:Deprecated'",
            Means::Code(_) => "'code^^scheme'",
            Means::From(_) | Means::To(_) => "YYYY[MM[DD[hh[mm[ss]]]]], UTC",
            Means::Like(_) => "'text', where % stands for any text and _ for one character",
            Means::Text(_) => "'text'",
            Means::Oid(_) => "'1.2.3'",
            Means::EntryType => {
                "'urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1' (stable) or 'urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248' (on-demand)"
            }
            Means::Online => {
                "'urn:ihe:iti:2010:DocumentAvailability:Online' or 'urn:ihe:iti:2010:DocumentAvailability:Offline'"
            }
            Means::EntryUuid | Means::LogicalId => "'urn:uuid:…'",
            Means::UniqueId => "'1.2.3', or 'root^extension'",
            Means::AssociationTypes => "'urn:ihe:iti:2007:AssociationType:RPLC' and the like",
            Means::MetadataLevel => "1 or 2",
            Means::Community => "'urn:oid:1.2.3'",
        }
    }
}

/// A sort of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// DocumentEntry.
    Document,
    /// SubmissionSet.
    SubmissionSet,
    /// Folder.
    Folder,
    /// Association.
    Association,
}

/// How a question is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Find(Object),
    All,
    Documents { associations: bool },
    Folders,
    Associations,
    SubmissionSets,
    SubmissionSetAndContents,
    FolderAndContents,
    FoldersForDocument,
    RelatedDocuments,
}

/// A parameter as a face read it: values without their quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Its name.
    pub name: String,
    /// Where it stands, as a path of the request.
    pub at: String,
    /// Its values, in order.
    pub values: Vec<String>,
}

/// How much a question may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Values of all parameters (`stored_query.max_values`).
    pub values: usize,
    /// Bytes of one value (`server.limits.max_search_value_bytes`).
    pub value_bytes: usize,
}

/// Whether the caller understands versions (metadata update, `$MetadataLevel`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetadataLevel {
    /// It does not: a uniqueId names the newest version.
    #[default]
    Newest,
    /// It does: a uniqueId names every version.
    Versions,
}

/// A question, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What is asked.
    pub question: Question,
    /// Whether a uniqueId names every version.
    pub level: MetadataLevel,
    /// Status of the associations that are wanted.
    pub association_status: Vec<Availability>,
    /// Communities the question is for; empty: whoever is asked.
    pub communities: Vec<String>,
}

/// How objects are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By entryUUID: one version each.
    Entry(Vec<EntryUuid>),
    /// By uniqueId.
    Unique(Vec<String>),
    /// By logicalID: every version.
    Logical(Vec<EntryUuid>),
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Objects of whom one of these holds.
    Find(Vec<Filter>),
    /// Everything of a patient, and each association that touches some of it.
    All {
        /// Its documents.
        documents: Filter,
        /// Its submission sets.
        submission_sets: Filter,
        /// Its folders.
        folders: Filter,
    },
    /// These documents.
    Documents {
        /// Which.
        named: Named,
        /// Whether the associations that touch them are wanted too.
        associations: bool,
    },
    /// These folders.
    Folders(Named),
    /// The associations that touch these objects.
    Associations(Vec<EntryUuid>),
    /// The submission sets these objects are members of, with those memberships.
    SubmissionSets(Vec<EntryUuid>),
    /// A submission set with what it holds.
    SubmissionSetAndContents {
        /// Which.
        named: Named,
        /// What must hold for its documents.
        documents: Filter,
    },
    /// A folder with what it holds.
    FolderAndContents {
        /// Which.
        named: Named,
        /// What must hold for its documents.
        documents: Filter,
    },
    /// The folders a document is in.
    FoldersForDocument(Named),
    /// What a document has a relation to, whichever way it points, with those associations.
    RelatedDocuments {
        /// Which.
        named: Named,
        /// By which relations.
        kinds: Vec<AssociationType>,
        /// What must hold for the documents.
        documents: Filter,
    },
}

/// The stored query of a UUID, with or without `urn:uuid:`, in either case.
pub fn by_id(id: &str) -> Option<&'static StoredQuery> {
    let uuid = EntryUuid::parse(&id.trim().to_ascii_lowercase())?;
    TABLE.iter().find(|query| query.id.strip_prefix("urn:uuid:") == Some(uuid.as_str()))
}

/// The stored query of a name, in any case.
pub fn by_name(name: &str) -> Option<&'static StoredQuery> {
    TABLE.iter().find(|query| query.name.eq_ignore_ascii_case(name))
}

impl StoredQuery {
    /// A parameter by its name.
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }

    /// The parameters of which exactly one names what is asked for.
    pub fn names(&self) -> impl Iterator<Item = &'static Parameter> {
        let naming = |parameter: &&Parameter| {
            !parameter.required
                && matches!(parameter.means, Means::EntryUuid | Means::UniqueId | Means::LogicalId)
        };
        self.parameters.iter().filter(naming)
    }

    /// Makes the question; see [`read()`].
    pub fn read(&self, given: &[Given], limits: &Limits) -> Result<Asked, Findings> {
        read(self, given, limits)
    }
}

#[cfg(test)]
mod tests;
