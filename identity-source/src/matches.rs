//! Finding the records of a person from what is known of them [ITI-119].

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use fhir::iti119::{self, Question};
use xds::{Finding, Findings, Place, Rule};

use crate::links;
use crate::matching::{Found, Grade, Matcher, Scored, stands_alone};
use crate::records::Records;

/// Matches that are told if the caller does not say how many.
const USUAL: usize = 20;
/// Matches that are told at most.
const MOST: usize = 100;

/// The use case.
pub(crate) struct MatchPatient {
    pub(crate) records: Records,
    pub(crate) matcher: Matcher,
    pub(crate) clock: Clock,
}

/// The answer.
pub(crate) struct Matched {
    /// The matches, best first.
    pub(crate) scored: Vec<Scored>,
    /// How many there are.
    pub(crate) total: usize,
    /// What the caller should know of them.
    pub(crate) warnings: Vec<Finding>,
}

impl Transaction for MatchPatient {
    type Request = Question;
    type Response = Matched;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-119";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        _grant: Grant<Self>,
        trail: Trail,
        question: Question,
    ) -> Result<Audited<Matched>, Fault<Findings>> {
        let matched = self.answer(&question)?;
        let patient = match matched.scored.as_slice() {
            [one] => Some(one.row.id.clone()),
            _ => None,
        };
        let entities = matched.scored.iter().map(|one| format!("Patient/{}", one.row.id)).collect();
        let subject = Subject { patient, entities, query: Some(iti119::written(&question)) };
        Ok(trail.note(self.records.store(), self.clock.now(), subject, matched).await?)
    }
}

impl MatchPatient {
    fn answer(&self, question: &Question) -> Result<Matched, Fault<Findings>> {
        let features = self.matcher.features(&question.patient);
        if features.says_nothing() {
            let text = "the Patient says too little to look for anybody: give an identifier (system and value), a family and a \
                        given name, a name with the whole date of birth, or a telephone number or mail address";
            return Err(Fault::Refused(vec![Finding::error(Rule::Required, Place::at("Patient"), text)]));
        }
        let Found { mut scored, looked_at, passed_over } = self.matcher.candidates(&features, MOST)?;
        for one in &scored {
            let Scored { score, grade, explanation, .. } = one;
            tracing::debug!(score, grade = grade.code(), explanation = explanation.words(), "a candidate");
        }
        let mut warnings: Vec<Finding> = passed_over.iter().map(|what| too_many(what)).collect();
        if question.only_certain {
            let certain = scored.first().is_some_and(|best| best.grade == Grade::Certain);
            if certain && self.stands_alone(&scored)? {
                scored.retain(|one| one.grade == Grade::Certain);
            } else {
                warnings.extend(eliminated(&scored, looked_at));
                scored.clear();
            }
        }
        let total = scored.len();
        scored.truncate(question.count.unwrap_or(USUAL).min(MOST));
        Ok(Matched { scored, total, warnings })
    }

    /// Whether all that are at least probable are known to be one person, by links or merges.
    fn stands_alone(&self, scored: &[Scored]) -> Result<bool, store::Error> {
        let Some(best) = scored.first() else { return Ok(false) };
        let person = links::person(&self.records, &best.row.id)?;
        let is_the_same = |_: &str, other: &str| person.records.iter().any(|(row, _)| row.id == other);
        Ok(stands_alone(scored, 0, &is_the_same))
    }
}

/// What was not looked through.
fn too_many(what: &str) -> Finding {
    let text = format!(
        "too many patients have {what} to look through them all; say more (the whole date of birth, an address, an identifier) to find \
         those among them"
    );
    Finding::warning(Rule::SearchTooCostly, Place::whole(), text)
}

/// What would have been told had only certain matches not been asked for.
fn eliminated(scored: &[Scored], looked_at: usize) -> Option<Finding> {
    let best = scored.first()?;
    let text = match best.grade {
        Grade::Certain => "more than one patient matches, and they are not known to be one person".to_owned(),
        Grade::Probable | Grade::Possible | Grade::CertainlyNot => {
            format!("{} of {looked_at} patients compared match, but none certainly", scored.len())
        }
    };
    Some(Finding::warning(Rule::BusinessRule, Place::whole(), text))
}
