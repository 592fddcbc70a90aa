//! The domain of document sharing, true on every face.
//!
//! Lives here: DocumentEntry, SubmissionSet, Folder, Association; the rules of the framework and the findings that name
//! them; the plan of a submission; the filter of a query and the stored queries; which facts an entry can be found by.
//! Does not live here: JSON, XML, storage, time, randomness.
//! Doors: none of our crates.

pub mod affinity;
pub mod attribute;
pub mod authority;
pub mod calendar;
pub mod filter;
pub mod finding;
pub mod hl7;
pub mod identifier;
pub mod plan;
pub mod query;
pub mod rules;
pub mod ties;
pub mod types;

pub use attribute::Attribute;
pub use filter::{Filter, Moment, Token};
pub use finding::{Accepted, Detail, Finding, Findings, Place, Rule, Severity, Side};
pub use types::{
    Association, AssociationType, Author, Availability, Carried, Code, DocumentEntry, EntryKind, EntryUuid,
    Folder, Hash, Identifier, Linked, Members, ObjectRef, Patient, Profile, Slot, Submission, SubmissionSet,
    Timestamp,
};
