//! A query of the registry, in the domain's own words: FHIR search and stored queries both become one of these.

use crate::types::{AssociationType, Availability, EntryUuid, Identifier};

/// A coded value asked for; `None` is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The code system; `Some("")` asks for none.
    pub system: Option<String>,
    /// The code.
    pub code: Option<String>,
}

/// A comparison with a stretch of time, `from` inclusive, `to` exclusive, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Lies wholly within (`eq`).
    Within(i64, i64),
    /// Does not lie within (`ne`).
    Outside(i64, i64),
    /// Shares a moment with (`eq` on a period that overlaps, TF-3 service times).
    Overlaps(i64, i64),
    /// Goes on beyond (`gt`).
    EndsAfter(i64),
    /// Begins before (`lt`).
    BeginsBefore(i64),
    /// Goes on beyond, or lies within (`ge`).
    EndsAfterOrWithin(i64, i64),
    /// Begins before, or lies within (`le`).
    BeginsBeforeOrWithin(i64, i64),
    /// Begins at or after (`sa`).
    BeginsFrom(i64),
    /// Has ended by (`eb`).
    EndsBy(i64),
}

/// One alternative of a clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// A code or identifier.
    Token(Token),
    /// A point or stretch of time.
    Moment(Moment),
    /// A name that begins with this (any case, accents ignored).
    Begins(String),
    /// A name that contains this.
    Contains(String),
    /// A name that is exactly this.
    Exactly(String),
    /// A text like this: `%` stands for any text, `_` for any character (SQL LIKE, TF-2 3.18.4.1.2.3.5).
    Like(String),
    /// A reference.
    Reference(String),
    /// An entryUUID.
    Id(EntryUuid),
    /// availabilityStatus.
    Status(Availability),
    /// One of these relations to another document.
    Relation(Vec<AssociationType>),
    /// Anything at all (`:missing=false`; turned round, `:missing=true`).
    Present,
}

/// All of these alternatives of one attribute: one must hold (none, if `negated`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// The attribute asked for.
    pub attribute: crate::Attribute,
    /// One of these.
    pub any: Vec<Test>,
    /// Turns the answer round.
    pub negated: bool,
}

/// How the patient of a query is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatientIs {
    /// By id in this domain (`patient=Patient/…`).
    Id(String),
    /// By business identifier (`patient.identifier=…`); a system of `None` is any.
    Identifier {
        /// The name space.
        system: Option<String>,
        /// The name.
        value: String,
    },
    /// By a whole identifier.
    Known(Identifier),
}

/// What a query is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Document entries.
    Documents,
    /// Submission sets and folders.
    Lists,
}

/// How one object points to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// A list has it as its member.
    Member,
    /// A document has a relation to it.
    RelatesTo,
}

/// Something that must point to what is found (`_has`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Has {
    /// What points.
    pub of: Of,
    /// How.
    pub link: Link,
    /// What holds for it.
    pub clause: Clause,
}

/// A query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// About what.
    pub of: Of,
    /// For these patients: all groups must hold (AND), one of each group (OR). Empty: any patient.
    pub patients: Vec<Vec<PatientIs>>,
    /// All of these must hold for the patient.
    pub patient: Vec<Clause>,
    /// All of these must hold.
    pub all: Vec<Clause>,
    /// All of these must point to it.
    pub has: Vec<Has>,
}

impl Filter {
    /// A query that asks for everything of one sort.
    pub fn of(of: Of) -> Filter {
        Filter { of, patients: Vec::new(), patient: Vec::new(), all: Vec::new(), has: Vec::new() }
    }
}
