//! A query of the registry, in the domain's own words: FHIR search and stored queries both become one of these.

use crate::types::{Availability, EntryUuid, Identifier};

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
    /// A reference.
    Reference(String),
    /// An entryUUID.
    Id(EntryUuid),
    /// availabilityStatus.
    Status(Availability),
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

/// A query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// About what.
    pub of: Of,
    /// For these patients: all groups must hold (AND), one of each group (OR). Empty: any patient.
    pub patients: Vec<Vec<PatientIs>>,
    /// All of these must hold.
    pub all: Vec<Clause>,
}
