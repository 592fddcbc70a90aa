//! Which other names a patient goes by [ITI-83].

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use fhir::iti83::{Named, Question, Target};
use store::Row;
use xds::{Finding, Findings, Identifier, Place, Rule};

use crate::links::{person, too_many_linked};
use crate::records::{Kept, Records};

/// The use case.
pub(crate) struct CrossReference {
    pub(crate) records: Records,
    pub(crate) clock: Clock,
}

impl Transaction for CrossReference {
    type Request = (Question, String);
    type Response = Vec<Named>;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-83";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        _grant: Grant<Self>,
        trail: Trail,
        (question, written): (Question, String),
    ) -> Result<Audited<Vec<Named>>, Fault<Findings>> {
        let authorities = self.records.authorities();
        let question = Question {
            source: authorities.identifier(&question.source),
            targets: question.targets.iter().map(|target| authorities.canonical(target)).collect(),
        };
        let base = &trail.context().base;
        let source = self.source(&question, base)?;
        let names = self.names(&question, &source, base)?;
        let subject = Subject {
            patient: Some(source.id.clone()),
            entities: vec![format!("Patient/{}", source.id)],
            query: Some(written),
        };
        Ok(trail.note(self.records.store(), self.clock.now(), subject, names).await?)
    }
}

impl CrossReference {
    /// The record asked by. Judges in the order of 2:3.83.4.2.2: the source's domain, the target domains, the identifier.
    fn source(&self, question: &Question, base: &str) -> Result<Row, Fault<Findings>> {
        let source = &question.source;
        if !self.records.knows_domain(&source.system, base)? {
            let text = "sourceIdentifier Assigning Authority not found";
            return Err(refused(Rule::AssigningAuthorityNotFound, "sourceIdentifier", text));
        }
        for target in &question.targets {
            if !self.records.knows_domain(target, base)? {
                return Err(refused(Rule::TargetSystemNotFound, "targetSystem", "targetSystem not found"));
            }
        }
        if let Some(row) = self.records.identified(source, base)?
            && Kept::of(&row)?.active
        {
            return Ok(row);
        }
        // A patient that is out of use has no names to answer with, and its identifier must not lead anywhere.
        let text = "sourceIdentifier Patient Identifier not found";
        Err(refused(Rule::SourceIdentifierNotFound, "sourceIdentifier", text))
    }

    /// What every record of the person is called, but the name asked by, within the domains asked for.
    fn names(&self, question: &Question, source: &Row, base: &str) -> Result<Vec<Named>, Fault<Findings>> {
        let person = person(&self.records, &source.id)?;
        if !person.is_whole {
            return Err(refused(Rule::SearchTooCostly, "sourceIdentifier", &too_many_linked()));
        }
        let mut names = Vec::with_capacity(person.records.len());
        for (row, kept) in &person.records {
            let targets = self.targets(question, kept);
            let is_source = row.id == source.id;
            if is_named(question, is_source, !targets.is_empty(), base) {
                names.push(Named { patient: Some(format!("{base}/Patient/{}", row.id)), targets });
            } else if !targets.is_empty() {
                names.push(Named { patient: None, targets });
            }
        }
        Ok(names)
    }

    /// The identifiers a record holds. One it only states is another record's, which answers for itself if they are linked.
    fn targets(&self, question: &Question, kept: &Kept) -> Vec<Target> {
        let is_wanted = |identifier: &Identifier| {
            let is_asked = question.targets.is_empty() || question.targets.contains(&identifier.system);
            is_asked && *identifier != question.source
        };
        let mut targets: Vec<Target> = Vec::new();
        for known in kept.held() {
            let identifier = self.records.authorities().identifier(&known.identifier());
            if is_wanted(&identifier) && !targets.iter().any(|target| target.identifier == identifier) {
                targets.push(Target { identifier, assigner: known.assigner.clone() });
            }
        }
        targets
    }
}

/// Whether the Patient resource of a record is named (2:3.83.4.2.2.1 and its examples): it belongs to each domain the record
/// has a name in, and to our own. Of the record asked by, nothing is named but what is beside the name asked by.
fn is_named(question: &Question, is_source: bool, has_targets: bool, base: &str) -> bool {
    let asks_for_us = question.targets.iter().any(|target| target == base);
    if is_source && question.source.system == base {
        return false;
    }
    has_targets || asks_for_us || (!is_source && question.targets.is_empty())
}

fn refused(rule: Rule, parameter: &str, text: &str) -> Fault<Findings> {
    Fault::Refused(vec![Finding::error(rule, Place::at(parameter), text)])
}
