//! A steward's word about two records: one person, two, or taken back.

use std::sync::Arc;
use std::time::Duration;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use fhir::links::Other;
use store::{Batch, Row};
use xds::{Finding, Findings, Place, Rule};

use super::graph::{Graph, MOST};
use super::probable;
use super::record::{By, Decision, Link, Pair, Standing, Verdict, Word, standing};
use super::stated::{linking, written};
use crate::deliver::Delivery;
use crate::records::{Kept, Records};

/// Rounds of deciding again after somebody else was first.
const ROUNDS: usize = 16;

/// The use case.
pub(crate) struct Decide {
    pub(crate) records: Records,
    pub(crate) clock: Clock,
    pub(crate) delivery: Arc<Delivery>,
    /// One decision at a time, so that each tells of persons as the one before has left them.
    pub(crate) deciding: Arc<tokio::sync::Mutex<()>>,
}

/// What the steward says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// They are one person.
    Link,
    /// They are two.
    Unlink,
    /// What was said before no longer counts: feeds and matches decide again.
    Withdraw,
}

/// What is asked.
pub(crate) struct Wanted {
    /// Id of the one record.
    pub(crate) id: String,
    /// The other one.
    pub(crate) other: Other,
    /// What of them.
    pub(crate) wish: Wish,
    /// Why.
    pub(crate) reason: Option<String>,
}

/// What became of it.
pub(crate) struct Decided {
    /// Id of the one record.
    pub(crate) id: String,
    /// The link as it stands now.
    pub(crate) link: Link,
    /// Ids of the records in use of the person the one record is of.
    pub(crate) person: Vec<String>,
    /// What the steward has to know beside.
    pub(crate) warnings: Vec<String>,
}

impl Transaction for Decide {
    type Request = Wanted;
    type Response = Decided;
    type Findings = Findings;
    const NUMBER: &'static str = "link";
    const ACTION: Action = Action::Update;

    async fn run(
        &self,
        _grant: Grant<Self>,
        trail: Trail,
        wanted: Wanted,
    ) -> Result<Audited<Decided>, Fault<Findings>> {
        let _one_at_a_time = self.deciding.lock().await;
        let mut trail = trail;
        for _ in 0..ROUNDS {
            let context = trail.context();
            let (batch, decided) = self.plan(&wanted, &context.base, &context.caller.name)?;
            let subject = subject(&decided.link.pair, &decided.id);
            let Some(batch) = batch else {
                return Ok(trail.note(self.records.store(), self.clock.now(), subject, decided).await?);
            };
            match trail.commit(self.records.store(), batch, subject, |_| decided).await {
                Ok(audited) => {
                    self.delivery.wake();
                    return Ok(audited);
                }
                Err((back, store::Error::Lost(_))) => trail = *back,
                Err((_, error)) => return Err(error.into()),
            }
        }
        Err(Fault::Busy(Duration::from_secs(1)))
    }
}

impl Decide {
    /// The commit, unless everything stands already as wanted, and what it comes to.
    fn plan(
        &self,
        wanted: &Wanted,
        base: &str,
        who: &str,
    ) -> Result<(Option<Batch>, Decided), Fault<Findings>> {
        let one = self.one(&wanted.id)?;
        let other = self.other(&wanted.other, base)?;
        let Some(pair) = Pair::of(&one.0.id, &other.0.id) else {
            return Err(refused(
                Rule::Invariant,
                "a Patient cannot be linked with itself, or held apart from itself",
            ));
        };
        let before = standing(self.records.store(), &pair)?;
        let now = self.clock.now();
        let link = decide(&before, &pair, wanted, who, now);
        let graph = Graph::new(&self.records).with([&link]);
        let reached = graph.reach(&one.0.id)?;
        if wanted.wish == Wish::Link {
            self.check_domains(&one, &other)?;
            if !reached.is_whole {
                let text = format!("more than {MOST} records would be one person; nothing was linked");
                return Err(refused(Rule::TooCostly, &text));
            }
        }
        let mut warnings = Vec::new();
        if wanted.wish == Wish::Unlink && reached.ids.contains(&other.0.id) {
            warnings.push(self.still_together(&reached.ids, &one.0.id, &other.0.id, base));
        }
        if wanted.wish == Wish::Withdraw {
            warnings.push(
                "what feeds and matches say counts again; the matcher looks at both records anew".to_owned(),
            );
        }
        let person = graph.groups([one.0.id.as_str()])?.groups.pop().unwrap_or_default();
        let stands = before.link.as_ref() == Some(&link);
        let decided = Decided { id: one.0.id, link: link.clone(), person, warnings };
        if stands {
            return Ok((None, decided));
        }
        let mut changed = written(Graph::new(&self.records), vec![(before, link)])?;
        changed.puts.extend(probable::forget(self.records.store(), &pair)?);
        let batch = linking(now, changed, self.delivery.receivers());
        Ok((Some(batch), decided))
    }

    /// The record of the path.
    fn one(&self, id: &str) -> Result<(Row, Kept), Fault<Findings>> {
        let row = self.records.patient(id)?.ok_or(Fault::NotFound)?;
        if row.deleted {
            return Err(Fault::Gone(row.version));
        }
        in_use(row)
    }

    /// The other one.
    fn other(&self, other: &Other, base: &str) -> Result<(Row, Kept), Fault<Findings>> {
        let Some(row) = named(&self.records, other, base)? else {
            return Err(refused(Rule::UnresolvedReference, "the other Patient is not known here"));
        };
        in_use(row)
    }

    /// Two records of one domain are put together by a merge, which moves their documents too.
    fn check_domains(&self, one: &(Row, Kept), other: &(Row, Kept)) -> Result<(), Fault<Findings>> {
        let home = self.records.authorities().canonical(one.1.home());
        if home != self.records.authorities().canonical(other.1.home()) {
            return Ok(());
        }
        let text = format!(
            "both records are of the domain {home}; a link is between domains. If they are one person, merge them \
             (docshare patient merge, or ITI-104 with link replaced-by). Nothing was linked"
        );
        Err(refused(Rule::BusinessRule, &text))
    }

    /// Two that are held apart and yet hang together over others.
    fn still_together(&self, reached: &[String], one: &str, other: &str, base: &str) -> String {
        let between: Vec<String> = reached
            .iter()
            .filter(|id| *id != one && *id != other)
            .take(10)
            .map(|id| format!("{base}/Patient/{id}"))
            .collect();
        format!(
            "the two are still one person over links with others ({}); unlink those that are wrong as well",
            between.join(", ")
        )
    }
}

/// What becomes of the link; equal to what stands where nothing new is said.
fn decide(before: &Standing, pair: &Pair, wanted: &Wanted, who: &str, now: store::Instant) -> Link {
    let word = match wanted.wish {
        Wish::Link => Some(Word::Linked),
        Wish::Unlink => Some(Word::Apart),
        Wish::Withdraw => None,
    };
    let verdict = match wanted.wish {
        Wish::Link => Verdict::Linked,
        Wish::Unlink => Verdict::Apart,
        Wish::Withdraw => Verdict::Withdrawn,
    };
    let decision =
        Decision { by: By::Steward, verdict, who: who.to_owned(), when: now, reason: wanted.reason.clone() };
    let Some(standing) = &before.link else {
        let mut link = Link::new(pair.clone(), decision);
        link.steward = word;
        return link;
    };
    let mut link = standing.clone();
    let is_repeat = link.steward == word
        && (word.is_none() || wanted.reason.is_none() || link.decision.reason == wanted.reason);
    if !is_repeat {
        link.steward = word;
        link.decision = decision;
    }
    link
}

/// The patient somebody names, unless it was removed.
pub(super) fn named(records: &Records, named: &Other, base: &str) -> Result<Option<Row>, store::Error> {
    let found = match named {
        Other::Id(id) => records.patient(id)?,
        Other::Identifier(identifier) => records.identified(identifier, base)?,
    };
    Ok(found.filter(|row| !row.deleted))
}

fn in_use(row: Row) -> Result<(Row, Kept), Fault<Findings>> {
    let kept = Kept::of(&row)?;
    if let Some(survivor) = &kept.replaced_by {
        let text = format!(
            "Patient/{} was merged into Patient/{survivor}; decide about that one, or undo the merge first",
            row.id
        );
        return Err(refused(Rule::BusinessRule, &text));
    }
    Ok((row, kept))
}

fn refused(rule: Rule, text: &str) -> Fault<Findings> {
    Fault::Refused(vec![Finding::error(rule, Place::at("other"), text)])
}

fn subject(pair: &Pair, id: &str) -> Subject {
    let entities = pair.both().iter().map(|id| format!("Patient/{id}")).collect();
    Subject { patient: Some(id.to_owned()), entities, query: None }
}
