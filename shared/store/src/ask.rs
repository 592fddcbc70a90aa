//! A question to the store, already free of any protocol.

use std::collections::HashSet;
use std::sync::Arc;

use crate::record::{Instant, Kind, Row, Sequence};

/// Which records, in which order, how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Of this kind; deleted records are never found.
    pub kind: Kind,
    /// In which partitions.
    pub scope: Scope,
    /// All of these must hold.
    pub all: Vec<AnyOf>,
    /// In which order.
    pub order: Order,
    /// Continue behind this place.
    pub after: Option<Cursor>,
    /// At most so many rows; 0 asks for the total alone.
    pub limit: usize,
    /// As things stood then; the present if absent.
    pub as_of: Option<Sequence>,
    /// Whether the number of all matches is wanted.
    pub total: bool,
}

/// In which partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// In these (one range of the index each).
    Partitions(Vec<String>),
    /// Everywhere. Where tests are about facts of global reach, matches are counted from their indexes (held in memory once they
    /// are asked for, up to a bound), and only the rows of the page are read; so is a question without any test. Where none is,
    /// every record of the kind is looked at, which is for the owner's own use.
    Everywhere,
    /// Everywhere, but only through an index that leaves no more than this many records to look at; otherwise the answer
    /// is `Error::TooBroad`.
    Indexed(usize),
}

/// One of these must hold (or none of them, if `negated`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnyOf {
    /// The alternatives.
    pub tests: Vec<Test>,
    /// True turns the answer round.
    pub negated: bool,
}

/// One test on one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// The record has this id.
    Id(String),
    /// A term of this name; `None` means any. `space: Some("")` means a term without name space.
    Term {
        /// What the fact is called.
        name: &'static str,
        /// Its name space.
        space: Option<String>,
        /// Its value.
        value: Option<String>,
    },
    /// An instant of this name, compared with a stretch of time.
    Instant {
        /// What the fact is called.
        name: &'static str,
        /// How it must compare.
        span: Span,
    },
    /// A text of this name that begins with these folded characters.
    Prefix {
        /// What the fact is called.
        name: &'static str,
        /// Its beginning.
        folded: String,
    },
    /// A text of this name that contains these folded characters.
    Contains {
        /// What the fact is called.
        name: &'static str,
        /// A part of it.
        folded: String,
    },
    /// A text of this name that is exactly this.
    Exact {
        /// What the fact is called.
        name: &'static str,
        /// The whole of it.
        exact: String,
    },
    /// A text of this name that is like this, letter for letter: `%` stands for any text, `_` for any character.
    Like {
        /// What the fact is called.
        name: &'static str,
        /// The pattern.
        pattern: String,
    },
    /// Any fact of this name is there.
    Present {
        /// What the fact is called.
        name: &'static str,
    },
    /// The record has an edge of this name to this target.
    Edge {
        /// What the relation is called.
        name: &'static str,
        /// Where it points.
        target: String,
    },
    /// The record has an edge of this name, wherever it points.
    Linked {
        /// What the relation is called.
        name: &'static str,
    },
    /// The record has one of these ids.
    Among(Arc<HashSet<String>>),
    /// The record was last written within this stretch of time.
    Written(Span),
}

/// How a stretch of time (`from` inclusive, `to` exclusive) compares with the one asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Lies wholly within `from..to`.
    Within {
        /// Its beginning.
        from: Instant,
        /// Its end, exclusive.
        to: Instant,
    },
    /// Has a moment in common with `from..to`.
    Overlaps {
        /// Its beginning.
        from: Instant,
        /// Its end, exclusive.
        to: Instant,
    },
    /// Begins before this instant.
    BeginsBefore(Instant),
    /// Begins at this instant or later.
    BeginsFrom(Instant),
    /// Has ended by this instant.
    EndsBy(Instant),
    /// Goes on beyond this instant.
    EndsAfter(Instant),
}

/// In which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// By the record's own order key, largest first, then id. The natural order of the index: costs nothing.
    Natural,
    /// By an instant or text of this name, then id; records without one come last.
    By {
        /// What the fact is called.
        name: &'static str,
        /// Largest first.
        descending: bool,
    },
    /// By when the record was last written, then id.
    Written {
        /// Latest first.
        descending: bool,
    },
    /// By the first of these keys, where it is equal by the second, and so on; then id.
    Keys(Vec<OrderKey>),
}

/// One key of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKey {
    /// An instant, text or term of this name; records without one come last.
    Fact {
        /// What the fact is called.
        name: &'static str,
        /// Largest first.
        descending: bool,
    },
    /// When the record was last written.
    Written {
        /// Latest first.
        descending: bool,
    },
    /// The id.
    Id {
        /// Largest first.
        descending: bool,
    },
}

/// A place in an answer, opaque to everybody but the store; safe to keep in a sealed token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// A part of an answer.
#[derive(Debug, Clone)]
pub struct Page {
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// Where to go on; none at the end (also when the last page is exactly full).
    pub next: Option<Cursor>,
    /// The number of all matches, if it was asked for.
    pub total: Option<u64>,
    /// The state that was read; give it back as `as_of` with the cursor for a stable next page.
    pub as_of: Sequence,
    /// How many rows were looked at.
    pub scanned: u64,
}
