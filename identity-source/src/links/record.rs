//! A link as a record: who speaks for it, who against it, and what was decided last.

use serde::{Deserialize, Serialize};
use store::{Edge, Instant, Kind, Put, Row, Store, Version};
use xds::Identifier;

use crate::matching::Explanation;

/// The sort of record a link is.
pub(crate) const LINK: Kind = Kind("link");

/// Points to both patients while the link stands.
pub(super) const LINKS: &str = "links";
/// Points to both patients whatever was decided.
const DECIDED: &str = "decided";

/// Two patient records, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Pair(String, String);

impl Pair {
    /// These two, in whatever order; none if they are one.
    pub(crate) fn of(one: &str, other: &str) -> Option<Pair> {
        match one.cmp(other) {
            std::cmp::Ordering::Less => Some(Pair(one.to_owned(), other.to_owned())),
            std::cmp::Ordering::Greater => Some(Pair(other.to_owned(), one.to_owned())),
            std::cmp::Ordering::Equal => None,
        }
    }

    /// Its id, which is that of the link.
    pub(super) fn id(&self) -> String {
        format!("{}~{}", self.0, self.1)
    }

    /// The pair of a link's id.
    pub(crate) fn parse(id: &str) -> Option<Pair> {
        let (one, other) = id.split_once('~')?;
        Pair::of(one, other)
    }

    /// The other one of the two.
    pub(crate) fn other(&self, one: &str) -> &str {
        if self.0 == one { &self.1 } else { &self.0 }
    }

    /// Both.
    pub(crate) fn both(&self) -> [&str; 2] {
        [&self.0, &self.1]
    }
}

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum By {
    /// What a source states of its own patient.
    Feed,
    /// The matcher.
    Match,
    /// A person who has looked at both.
    Steward,
}

impl By {
    /// As it is told.
    pub(crate) fn word(self) -> &'static str {
        match self {
            By::Feed => "feed",
            By::Match => "match",
            By::Steward => "steward",
        }
    }
}

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// They are one person.
    Linked,
    /// They are not, and no feed and no match may say so.
    Apart,
    /// What was said before no longer counts.
    Withdrawn,
}

impl Verdict {
    /// As it is told.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Verdict::Linked => "linked",
            Verdict::Apart => "apart",
            Verdict::Withdrawn => "withdrawn",
        }
    }
}

/// A source states an identifier that the other record holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Statement {
    /// The record that states it.
    pub(crate) by: String,
    /// The domain, canonical.
    pub(crate) system: String,
    /// The name in it.
    pub(crate) value: String,
}

impl Statement {
    /// The identifier that is stated.
    pub(crate) fn identifier(&self) -> Identifier {
        Identifier { system: self.system.clone(), value: self.value.clone() }
    }
}

/// What the matcher found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Matched {
    /// From 0 to 1.
    pub(crate) score: f64,
    /// `certain`, `probable`, `possible`.
    pub(crate) grade: String,
    /// What counted for it and against it.
    pub(crate) explanation: Explanation,
}

/// What a steward has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Word {
    /// One person.
    Linked,
    /// Two.
    Apart,
}

/// The decision a version of a link is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decision {
    /// Who decided.
    pub(crate) by: By,
    /// What.
    pub(crate) verdict: Verdict,
    /// The caller, or `linker`.
    pub(crate) who: String,
    /// When, microseconds since 1970.
    pub(crate) when: Instant,
    /// Why, in the steward's words or ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// A link as it stands: who speaks for it and against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// Whom it is about.
    pub(crate) pair: Pair,
    /// What feeds state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) stated: Vec<Statement>,
    /// What the matcher says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) matched: Option<Matched>,
    /// What a steward says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) steward: Option<Word>,
    /// What was decided last.
    pub(crate) decision: Decision,
}

/// A link beside the version it was read at; 0 if there is none yet.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) link: Option<Link>,
    pub(super) version: Version,
}

impl Link {
    /// One about which nobody has said anything yet.
    pub(super) fn new(pair: Pair, decision: Decision) -> Link {
        Link { pair, stated: Vec::new(), matched: None, steward: None, decision }
    }

    /// Who holds the two together, the weightiest voice first; none: nobody, or a steward holds them apart.
    pub(crate) fn held_by(&self) -> Option<By> {
        match self.steward {
            Some(Word::Apart) => None,
            Some(Word::Linked) => Some(By::Steward),
            None if !self.stated.is_empty() => Some(By::Feed),
            None => self.matched.as_ref().map(|_| By::Match),
        }
    }

    /// Whether the same voices say the same.
    pub(super) fn speaks_like(&self, other: &Link) -> bool {
        (&self.stated, &self.matched, self.steward) == (&other.stated, &other.matched, other.steward)
    }

    /// Whether a steward holds the two apart.
    pub(crate) fn is_apart(&self) -> bool {
        self.steward == Some(Word::Apart)
    }

    /// What it comes to.
    pub(crate) fn verdict(&self) -> Verdict {
        match self.held_by() {
            Some(_) => Verdict::Linked,
            None if self.is_apart() => Verdict::Apart,
            None => Verdict::Withdrawn,
        }
    }

    /// What a row keeps.
    pub(crate) fn of(row: &Row) -> Result<Link, store::Error> {
        serde_json::from_slice(&row.body)
            .map_err(|error| store::Error::Damaged(format!("link {}: {error}", row.id)))
    }

    /// The version of it that follows this one.
    pub(super) fn put(&self, before: Version) -> Put {
        let mut edges = Vec::with_capacity(4);
        for patient in self.pair.both() {
            edges.push(Edge { name: DECIDED, target: patient.to_owned() });
            if self.held_by().is_some() {
                edges.push(Edge { name: LINKS, target: patient.to_owned() });
            }
        }
        Put {
            kind: LINK,
            id: self.pair.id(),
            version: before + 1,
            partition: self.pair.0.clone(),
            order: 0,
            facts: Vec::new(),
            edges,
            body: serde_json::to_vec(self).expect("texts and numbers can be written as JSON").into(),
            rendering: bytes::Bytes::new(),
            deleted: false,
        }
    }
}

/// The link of a pair as it stands.
pub(super) fn standing(store: &Store, pair: &Pair) -> Result<Standing, store::Error> {
    let Some(row) = store.get(LINK, &pair.id())? else { return Ok(Standing { link: None, version: 0 }) };
    let link = if row.deleted { None } else { Some(Link::of(&row)?) };
    Ok(Standing { link, version: row.version })
}

/// Every pair with this patient about which anything was ever decided.
pub(super) fn decided(store: &Store, patient: &str) -> Result<Vec<Pair>, store::Error> {
    let ids = store.sources(LINK, DECIDED, patient)?;
    Ok(ids.iter().filter_map(|id| Pair::parse(id)).collect())
}

/// Every pair with this patient that is linked.
pub(super) fn linked(store: &Store, patient: &str) -> Result<Vec<Pair>, store::Error> {
    let ids = store.sources(LINK, LINKS, patient)?;
    Ok(ids.iter().filter_map(|id| Pair::parse(id)).collect())
}

/// Everything that was decided about a pair, newest first.
pub(super) fn decisions(store: &Store, pair: &Pair) -> Result<Vec<Decision>, store::Error> {
    let versions = store.history(LINK, &pair.id())?;
    let mut decisions = Vec::with_capacity(versions.len());
    for row in versions.iter().filter(|row| !row.deleted) {
        decisions.push(Link::of(row)?.decision);
    }
    // A version may only note that a voice beside the one that counts has changed.
    decisions.dedup();
    Ok(decisions)
}
