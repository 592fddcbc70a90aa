//! Links by feed: a source states of its patient an identifier that a record of another source holds.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use store::{Batch, Instant, Put};
use xds::Identifier;

use super::graph::{CrossReferenceChanged, Graph, MOST};
use super::record::{By, Decision, Link, Pair, Standing, Statement, Verdict, decided, standing};
use crate::deliver::cross_reference_changed;
use crate::receivers::Receivers;
use crate::records::{Kept, Records};

/// Other records that may state one identifier and be linked for it: more would be too many for one person anyway.
const MOST_STATING: usize = MOST;

/// What a commit says of one record.
pub(crate) struct Said {
    /// Its id.
    pub(crate) id: String,
    /// What is said.
    pub(crate) what: What,
}

/// What is said of a record.
pub(crate) enum What {
    /// What its source states.
    States {
        /// Whether it is in use.
        active: bool,
        /// The domain whose source says so.
        home: String,
        /// Identifiers it holds from now on, canonical.
        holds: Vec<Identifier>,
        /// Identifiers it states that another record holds: with that record's id.
        states: Vec<(Identifier, String)>,
    },
    /// It is removed: none of its links stands any longer, whoever made it.
    Gone,
}

/// What changes among the links: to be put into the same commit.
#[derive(Default)]
pub(crate) struct Changed {
    /// New versions of links.
    pub(crate) puts: Vec<Put>,
    /// What is to be told, if anything.
    pub(crate) told: Option<CrossReferenceChanged>,
}

/// What the records of one commit say about others, and others about them, as links. A record that is being merged away is
/// not among them: its links stay, so that an unmerge finds them.
pub(crate) fn stated(
    records: &Records,
    all: &[Said],
    who: &str,
    now: Instant,
) -> Result<Changed, store::Error> {
    let speaking: HashMap<&str, &What> = all.iter().map(|said| (said.id.as_str(), &said.what)).collect();
    let mut changes: BTreeMap<Pair, (Standing, Option<Link>)> = BTreeMap::new();
    for said in all {
        let Wanted { wanted, crowded } = wanted(records, said, &speaking)?;
        let mut pairs: BTreeSet<Pair> = wanted.keys().cloned().collect();
        pairs.extend(decided(records.store(), &said.id)?);
        pairs.extend(changes.keys().filter(|pair| pair.both().contains(&said.id.as_str())).cloned());
        for pair in pairs {
            if !changes.contains_key(&pair) {
                let before = standing(records.store(), &pair)?;
                let link = before.link.clone();
                changes.insert(pair.clone(), (before, link));
            }
            let Some((_, link)) = changes.get_mut(&pair) else { continue };
            let by = Decision {
                by: By::Feed,
                verdict: Verdict::Withdrawn,
                who: who.to_owned(),
                when: now,
                reason: None,
            };
            match &said.what {
                What::Gone => {
                    let reason = Some(format!("Patient/{} was removed", said.id));
                    *link = link.take().map(|link| forgotten(link, Decision { reason, ..by }));
                }
                What::States { holds, .. } => {
                    let kept = link.as_ref().map(|link| link.stated.clone()).unwrap_or_default();
                    let mut stated = BTreeSet::new();
                    for statement in kept.iter().filter(|statement| statement.by != said.id) {
                        let is_said_beside = speaking.contains_key(statement.by.as_str());
                        // Where not all who state it were looked at, whoever stops stating it says so.
                        if is_said_beside
                            || crowded.contains(&statement.identifier())
                            || (holds.contains(&statement.identifier()) && is_merged(records, &statement.by)?)
                        {
                            stated.insert(statement.clone());
                        }
                    }
                    stated.extend(wanted.get(&pair).into_iter().flatten().cloned());
                    if stated.iter().ne(&kept) {
                        *link = Some(restated(link.take(), pair, stated, by));
                    }
                }
            }
        }
    }
    let graph = || {
        Graph::new(records).writing(all.iter().map(|said| {
            let active = matches!(said.what, What::States { active: true, .. });
            (said.id.as_str(), active)
        }))
    };
    // What was said and taken back within one commit was never said.
    let is_new = |before: &Standing, link: &Link| match &before.link {
        Some(before) => !before.speaks_like(link),
        None => link.verdict() != Verdict::Withdrawn,
    };
    let changed = changes.into_values().filter_map(|(before, link)| Some((before, link?)));
    let mut changed: Vec<(Standing, Link)> = changed.filter(|(before, link)| is_new(before, link)).collect();
    drop_crowds(&graph, &mut changed)?;
    written(graph(), changed)
}

/// A name that hundreds of sources give to everybody ("unknown") must not make one person of them all.
fn drop_crowds<'a>(
    graph: &impl Fn() -> Graph<'a>,
    changed: &mut Vec<(Standing, Link)>,
) -> Result<(), store::Error> {
    let reach = graph().with(changed.iter().map(|(_, link)| link));
    let mut crowds = HashSet::new();
    // Who hangs together is looked at once: thousands may state one identifier.
    let (mut whole, mut crowd): (HashSet<String>, HashSet<String>) = Default::default();
    for (_, link) in changed.iter().filter(|(before, link)| !was_linked(before) && link.held_by().is_some()) {
        let both = link.pair.both();
        if both.iter().any(|id| whole.contains(*id)) {
            continue;
        }
        if !both.iter().any(|id| crowd.contains(*id)) {
            let reached = reach.reach(both[0])?;
            if reached.is_whole {
                whole.extend(reached.ids);
                continue;
            }
            crowd.extend(reached.ids);
        }
        crowds.insert(link.pair.clone());
    }
    if !crowds.is_empty() {
        actor::meter::count("docshare_links_refused_total", &[], crowds.len() as u64);
        tracing::warn!(
            links = crowds.len(),
            most = MOST,
            "too many records would be one person by what feeds state"
        );
        changed.retain(|(_, link)| !crowds.contains(&link.pair));
    }
    Ok(())
}

/// The link with these statements.
fn restated(link: Option<Link>, pair: Pair, stated: BTreeSet<Statement>, by: Decision) -> Link {
    let verdict = if stated.is_empty() { Verdict::Withdrawn } else { Verdict::Linked };
    let decision = Decision { verdict, ..by };
    let mut link = link.unwrap_or_else(|| Link::new(pair, decision.clone()));
    link.stated = stated.into_iter().collect();
    link.decision = decision;
    link
}

/// The link of which nothing stands any longer.
fn forgotten(link: Link, decision: Decision) -> Link {
    if link.verdict() == Verdict::Withdrawn {
        return link;
    }
    Link { stated: Vec::new(), matched: None, steward: None, decision, ..link }
}

/// Whether another record stands for this one: what it stated when it was merged stands until it is unmerged.
fn is_merged(records: &Records, id: &str) -> Result<bool, store::Error> {
    let row = records.patient(id)?.filter(|row| !row.deleted);
    Ok(row.as_ref().map(Kept::of).transpose()?.is_some_and(|kept| kept.replaced_by.is_some()))
}

fn was_linked(before: &Standing) -> bool {
    before.link.as_ref().is_some_and(|link| link.held_by().is_some())
}

/// The commit of a change among links, with the messages to everybody who is told.
pub(super) fn linking(now: Instant, changed: Changed, receivers: &Receivers) -> Batch {
    let outgoing = changed.told.map(|told| cross_reference_changed(&told.groups, receivers));
    Batch { instant: now, puts: changed.puts, outgoing: outgoing.unwrap_or_default(), ..Batch::default() }
}

/// New versions of links as puts, and what is to be told of them.
pub(super) fn written(graph: Graph<'_>, changed: Vec<(Standing, Link)>) -> Result<Changed, store::Error> {
    let touched: BTreeSet<&str> = changed
        .iter()
        .filter(|(before, link)| was_linked(before) != link.held_by().is_some())
        .flat_map(|(_, link)| link.pair.both())
        .collect();
    let graph = graph.with(changed.iter().map(|(_, link)| link));
    let told = if touched.is_empty() { None } else { Some(graph.groups(touched)?) };
    let puts = changed.iter().map(|(before, link)| link.put(before.version)).collect();
    Ok(Changed { puts, told })
}

/// What holds of one record.
#[derive(Default)]
struct Wanted {
    /// The statements, by who is linked for them.
    wanted: BTreeMap<Pair, BTreeSet<Statement>>,
    /// Identifiers it holds that more others state than were looked at.
    crowded: Vec<Identifier>,
}

/// The statements that hold once the record is written: its own, and those of others about names it holds. What others state
/// that are in the same commit is said with them. Of two records of one source nobody says by a number of another domain that
/// they are one person: their source would merge them.
fn wanted(records: &Records, said: &Said, speaking: &HashMap<&str, &What>) -> Result<Wanted, store::Error> {
    let mut crowded = Vec::new();
    let mut wanted: BTreeMap<Pair, BTreeSet<Statement>> = BTreeMap::new();
    let mut add = |by: &str, about: &str, identifier: &Identifier| {
        if let Some(pair) = Pair::of(by, about) {
            wanted.entry(pair).or_default().insert(Statement {
                by: by.to_owned(),
                system: identifier.system.clone(),
                value: identifier.value.clone(),
            });
        }
    };
    let What::States { home, holds, states, .. } = &said.what else { return Ok(Wanted::default()) };
    for (identifier, holder) in states {
        if !is_of(records, holder, home, speaking)? {
            add(&said.id, holder, identifier);
        }
    }
    for identifier in holds {
        let stating = records.stating(identifier, MOST_STATING)?;
        if stating.len() >= MOST_STATING {
            crowded.push(identifier.clone());
        }
        for by in stating {
            if !speaking.contains_key(by.as_str()) && !is_of(records, &by, home, speaking)? {
                add(&by, &said.id, identifier);
            }
        }
    }
    Ok(Wanted { wanted, crowded })
}

/// Whether a record is one of the source of this domain.
fn is_of(
    records: &Records,
    id: &str,
    home: &str,
    speaking: &HashMap<&str, &What>,
) -> Result<bool, store::Error> {
    if let Some(What::States { home: own, .. }) = speaking.get(id) {
        return Ok(own == home);
    }
    let row = records.patient(id)?.filter(|row| !row.deleted);
    Ok(row.as_ref().map(Kept::of).transpose()?.is_some_and(|kept| kept.home() == home))
}
