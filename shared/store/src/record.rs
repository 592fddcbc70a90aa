//! What a record is: an identified, versioned body in a partition, with the facts it can be found by.

use bytes::Bytes;

/// The sort of a record, under the word that is written to storage, e.g. `document`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(pub &'static str);

/// Position of a commit in the journal, from 1. 0 is before the first.
pub type Sequence = u64;

/// Version of a record, from 1. 0 is absent.
pub type Version = u64;

/// Microseconds since 1970-01-01T00:00:00Z.
pub type Instant = i64;

/// How far a fact can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only inside the partition of its record; costs no index.
    Partition,
    /// Across partitions; indexed on its own.
    Global,
}

/// One thing a record can be found by. Names are words of the domain, written to storage as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Equality: a value inside an optional name space (`""` is none), e.g. a code of a code system.
    Term {
        /// What the fact is called.
        name: &'static str,
        /// Its name space.
        space: String,
        /// Its value.
        value: String,
        /// How far it can be asked for.
        reach: Reach,
    },
    /// A stretch of time, `from` inclusive, `to` exclusive; open ends are `Instant::MIN` and `Instant::MAX`.
    Instant {
        /// What the fact is called.
        name: &'static str,
        /// Its beginning.
        from: Instant,
        /// Its end, exclusive; a moment may give its beginning.
        to: Instant,
        /// How far it can be asked for.
        reach: Reach,
    },
    /// A text: `folded` for tests without regard to case and accents (folded by whoever writes it), `exact` as it was.
    Text {
        /// What the fact is called.
        name: &'static str,
        /// Without regard to case and accents.
        folded: String,
        /// As it was.
        exact: String,
        /// How far it can be asked for.
        reach: Reach,
    },
}

/// A directed relation from the record that holds it to another, e.g. `replaces`. Can be followed both ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// What the relation is called.
    pub name: &'static str,
    /// The id of the record it points to, which need not exist.
    pub target: String,
}

/// A record as it stands at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Id, unique within its kind.
    pub id: String,
    /// Partition, e.g. the patient.
    pub partition: String,
    /// Version, from 1.
    pub version: Version,
    /// The commit that wrote this version.
    pub sequence: Sequence,
    /// When that commit was made.
    pub instant: Instant,
    /// True when this version says that the record is no more.
    pub deleted: bool,
    /// Key of the default order (largest first).
    pub order: i64,
    /// What the owner needs to work with the record.
    pub body: Bytes,
    /// What a reader is served, ready made; may be empty.
    pub rendering: Bytes,
    /// What it points to, as it is stored; see [`Row::edges`].
    pub(crate) links: Bytes,
}

impl Row {
    /// The edges of the record: name and target.
    pub fn edges(&self) -> impl Iterator<Item = (&str, &str)> {
        crate::row::stored_edges(&self.links).filter_map(|(name, target)| {
            Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(target).ok()?))
        })
    }

    /// A row that lies in no store, for tests.
    pub fn loose(id: &str, version: Version, instant: Instant, rendering: Bytes) -> Row {
        Row {
            id: id.to_owned(),
            partition: String::new(),
            version,
            sequence: 1,
            instant,
            deleted: false,
            order: 0,
            body: Bytes::new(),
            rendering,
            links: Bytes::new(),
        }
    }
}
