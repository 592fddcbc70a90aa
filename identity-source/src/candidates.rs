//! Who fits a description [ITI-21].

mod criteria;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use serde_json::{Map, Value};
use store::{Cursor, Row, Sequence};
use xds::Identifier;
use xds::hl7::Hd;

use crate::records::{Kept, Names, Records};

pub(crate) use criteria::{Criteria, Name, Pattern};

/// Patients who may be a mother by what is known of her name.
const MOST_MOTHERS: usize = 100;
/// Patients looked at for one answer.
const MOST_LOOKED_AT: usize = 20_000;
/// Patients read at once, where more than this are looked for.
const PAGE: usize = 200;

/// The use case.
pub(crate) struct FindCandidates {
    pub(crate) records: Records,
    pub(crate) clock: Clock,
    /// Patients of one answer at most.
    pub(crate) most: usize,
}

/// What is asked.
pub(crate) enum Asked {
    /// Who fits.
    Question(Box<Question>),
    /// Nothing more: the rest of an earlier answer is not wanted.
    End,
}

/// A description.
pub(crate) struct Question {
    /// What is known.
    pub(crate) criteria: Criteria,
    /// The domains of the identifiers that are asked for, by the numbers of their repetitions; none: all.
    pub(crate) domains: Vec<(u32, Hd)>,
    /// Patients of an answer; none: all in one.
    pub(crate) increment: Option<usize>,
    /// Where the answer goes on.
    pub(crate) place: Option<PlaceInAnswer>,
    /// As it was written.
    pub(crate) written: String,
}

/// Where an answer goes on.
#[derive(Debug, Clone)]
pub(crate) struct PlaceInAnswer {
    /// Behind this one.
    pub(crate) after: Cursor,
    /// As things stood then.
    pub(crate) as_of: Sequence,
}

/// Some of those who fit.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// They.
    pub(crate) patients: Vec<Candidate>,
    /// Where it goes on; none: these are the last.
    pub(crate) next: Option<PlaceInAnswer>,
    /// Whether these are the first.
    pub(crate) is_first: bool,
}

/// One who fits.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// Id here.
    pub(crate) id: String,
    /// The Patient.
    pub(crate) resource: Map<String, Value>,
    /// Its identifiers, as they are asked for.
    pub(crate) identifiers: Vec<Identifier>,
    /// Its mother's.
    pub(crate) mother: Vec<Identifier>,
}

/// Why it is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// These of the domains asked for are not known here, by the numbers of their repetitions.
    UnknownDomains(Vec<u32>),
    /// More fit than one answer holds, or more have to be looked at than are for one: their number at most.
    TooMany(usize),
    /// More records are linked as one who fits than are looked at.
    TooManyLinked,
    /// More may be the mother than are looked through.
    TooManyMothers,
    /// The place where it goes on is none.
    BadPlace,
    /// It cannot be read; whoever read it knows why.
    Unread,
}

impl Transaction for FindCandidates {
    type Request = Asked;
    type Response = Candidates;
    type Findings = Unanswered;
    const NUMBER: &'static str = "ITI-21";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        _grant: Grant<Self>,
        trail: Trail,
        asked: Asked,
    ) -> Result<Audited<Candidates>, Fault<Unanswered>> {
        let (found, written) = match asked {
            Asked::Question(question) => (self.answer(&question)?, Some(question.written)),
            Asked::End => (Candidates::default(), None),
        };
        let patient = match found.patients.as_slice() {
            [one] => Some(one.id.clone()),
            _ => None,
        };
        let entities = found.patients.iter().map(|one| format!("Patient/{}", one.id)).collect();
        let subject = Subject { patient, entities, query: written };
        Ok(trail.note(self.records.store(), self.clock.now(), subject, found).await?)
    }
}

/// A description with what had to be found out for it.
struct Search<'q> {
    criteria: &'q Criteria,
    /// The systems of the identifiers that are asked for.
    systems: Vec<String>,
    /// Identifiers of those who may be the mother.
    mothers: Vec<Identifier>,
    /// How many were looked at, those linked with them among them.
    looked_at: usize,
}

impl FindCandidates {
    fn answer(&self, question: &Question) -> Result<Candidates, Fault<Unanswered>> {
        let mut search = Search {
            criteria: &question.criteria,
            systems: self.systems(&question.domains)?,
            mothers: Vec::new(),
            looked_at: 0,
        };
        if question.criteria.names_mother() {
            search.mothers = self.mothers(&question.criteria.of_mother())?;
        }
        let most = question.increment.unwrap_or(self.most).min(self.most);
        let mut patients = Vec::new();
        let next = self.fill(&mut search, question.place.clone(), most, &mut patients)?;
        // Where it goes on is told only if somebody is there.
        let next = match next {
            Some(place) if !self.is_last(&mut search, &place)? => Some(place),
            _ => None,
        };
        if next.is_some() && question.increment.is_none() {
            return Err(Fault::Refused(Unanswered::TooMany(most)));
        }
        Ok(Candidates { patients, next, is_first: question.place.is_none() })
    }

    fn systems(&self, domains: &[(u32, Hd)]) -> Result<Vec<String>, Fault<Unanswered>> {
        let mut systems = Vec::with_capacity(domains.len());
        let mut unknown = Vec::new();
        for (repetition, domain) in domains {
            match self.records.domain_of(domain)? {
                Some(system) => systems.push(system),
                None => unknown.push(*repetition),
            }
        }
        if unknown.is_empty() {
            Ok(systems)
        } else {
            Err(Fault::Refused(Unanswered::UnknownDomains(unknown)))
        }
    }

    /// Identifiers of everybody whose name fits that of the mother.
    fn mothers(&self, named: &Criteria) -> Result<Vec<Identifier>, Fault<Unanswered>> {
        let mut search = Search { criteria: named, systems: Vec::new(), mothers: Vec::new(), looked_at: 0 };
        let mut mothers = Vec::new();
        if self.fill(&mut search, None, MOST_MOTHERS, &mut mothers)?.is_some() {
            return Err(Fault::Refused(Unanswered::TooManyMothers));
        }
        Ok(mothers.into_iter().flat_map(|mother| mother.identifiers).collect())
    }

    fn is_last(&self, search: &mut Search<'_>, place: &PlaceInAnswer) -> Result<bool, Fault<Unanswered>> {
        let mut further = Vec::new();
        self.fill(search, Some(place.clone()), 1, &mut further)?;
        Ok(further.is_empty())
    }

    /// Adds those who fit until there are enough; answers where it goes on.
    fn fill(
        &self,
        search: &mut Search<'_>,
        from: Option<PlaceInAnswer>,
        most: usize,
        patients: &mut Vec<Candidate>,
    ) -> Result<Option<PlaceInAnswer>, Fault<Unanswered>> {
        let mut place = from;
        loop {
            let wanted = most.saturating_sub(patients.len());
            let page = self.records.described(
                search.criteria,
                &search.mothers,
                place.as_ref(),
                wanted.clamp(1, PAGE),
            );
            let page = page.map_err(|error| match error {
                store::Error::BadCursor => Fault::Refused(Unanswered::BadPlace),
                other => other.into(),
            })?;
            for row in &page.rows {
                search.looked_at += 1;
                patients.extend(self.candidate(search, row)?);
                // With everybody who is linked with them.
                if search.looked_at >= MOST_LOOKED_AT + PAGE {
                    return Err(Fault::Refused(Unanswered::TooMany(patients.len())));
                }
            }
            let Some(after) = page.next else { return Ok(None) };
            place = Some(PlaceInAnswer { after, as_of: page.as_of });
            if patients.len() >= most {
                return Ok(place);
            }
            if search.looked_at >= MOST_LOOKED_AT {
                return Err(Fault::Refused(Unanswered::TooMany(patients.len())));
            }
        }
    }

    /// A record as an answer has it; none if it does not fit, or has no identifier that is asked for.
    fn candidate(&self, search: &mut Search<'_>, row: &Row) -> Result<Option<Candidate>, Fault<Unanswered>> {
        let kept = Kept::of(row)?;
        if !kept.active || row.deleted {
            return Ok(None);
        }
        let Ok(Value::Object(resource)) = serde_json::from_slice(&row.rendering) else {
            let text = format!("patient {} is not written as JSON", row.id);
            return Err(store::Error::Damaged(text).into());
        };
        let authorities = self.records.authorities();
        let held: Vec<Identifier> =
            kept.held().map(|known| authorities.identifier(&known.identifier())).collect();
        if !search.criteria.fit(&resource, &held, &search.mothers, authorities) {
            return Ok(None);
        }
        let mut identifiers = held;
        if !search.systems.is_empty() {
            // Another source may know the person by the identifier that is asked for.
            let Some(Names { ids, identifiers: names }) = self.records.names_of_person(row)? else {
                return Err(Fault::Refused(Unanswered::TooManyLinked));
            };
            search.looked_at += ids.len().saturating_sub(1);
            identifiers = names;
            identifiers.retain(|one| search.systems.contains(&one.system));
        }
        if identifiers.is_empty() {
            return Ok(None);
        }
        let mother = fhir::patient::mothers_identifiers(&resource);
        let mother = mother.iter().map(|one| authorities.identifier(one)).collect();
        Ok(Some(Candidate { id: row.id.clone(), resource, identifiers, mother }))
    }
}
