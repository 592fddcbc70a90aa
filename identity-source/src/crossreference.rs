//! Which other names a patient goes by [ITI-83].

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use fhir::iti83::{Question, Target};
use xds::{Finding, Findings, Identifier, Place, Rule};

use crate::records::{Kept, Records};

/// The use case.
pub(crate) struct CrossReference {
    pub(crate) records: Records,
    pub(crate) clock: Clock,
}

/// The answer.
pub(crate) struct Names {
    /// The Patient resource, unless it was what was asked by, or its domain was not asked for.
    pub(crate) patient: Option<String>,
    /// The identifiers.
    pub(crate) targets: Vec<Target>,
}

impl Transaction for CrossReference {
    type Request = (Question, String);
    type Response = Names;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-83";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        _grant: Grant<Self>,
        trail: Trail,
        (question, written): (Question, String),
    ) -> Result<Audited<Names>, Fault<Findings>> {
        let authorities = self.records.authorities();
        let question = Question {
            source: authorities.identifier(&question.source),
            targets: question.targets.iter().map(|target| authorities.canonical(target)).collect(),
        };
        let (id, names) = self.answer(&question, &trail.context().base)?;
        let subject = Subject {
            patient: Some(id.clone()),
            entities: vec![format!("Patient/{id}")],
            query: Some(written),
        };
        Ok(trail.note(self.records.store(), self.clock.now(), subject, names).await?)
    }
}

impl CrossReference {
    /// Judges in the order of 2:3.83.4.2.2: the source's domain, the target domains, the identifier.
    fn answer(&self, question: &Question, base: &str) -> Result<(String, Names), Fault<Findings>> {
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
        let row = self.records.identified(source, base)?;
        let found = row.map(|row| Kept::of(&row).map(|kept| (row, kept))).transpose()?;
        // A patient that is out of use has no names to answer with, and its identifier must not lead anywhere.
        let Some((row, kept)) = found.filter(|(_, kept)| kept.active) else {
            let text = "sourceIdentifier Patient Identifier not found";
            return Err(refused(Rule::SourceIdentifierNotFound, "sourceIdentifier", text));
        };
        let names = names(question, &row.id, kept, base);
        Ok((row.id, names))
    }
}

/// Every name but the one asked by, within the domains asked for. The Patient resource belongs to our own domain, and to each
/// domain it has an identifier in (2:3.83.4.2.2.1 and its examples).
fn names(question: &Question, id: &str, kept: Kept, base: &str) -> Names {
    let source = &question.source;
    let wanted =
        |system: &str| question.targets.is_empty() || question.targets.iter().any(|target| target == system);
    let is_source = |system: &str, value: &str| source.system == system && source.value == value;
    let targets: Vec<Target> = kept
        .identifiers
        .into_iter()
        .filter(|known| wanted(&known.system) && !is_source(&known.system, &known.value))
        .map(|known| Target {
            identifier: Identifier { system: known.system, value: known.value },
            assigner: known.assigner,
        })
        .collect();
    let asked_by_resource = source.system == base;
    let is_wanted = question.targets.is_empty() || wanted(base) || !targets.is_empty();
    let patient = (is_wanted && !asked_by_resource).then(|| format!("{base}/Patient/{id}"));
    Names { patient, targets }
}

fn refused(rule: Rule, parameter: &str, text: &str) -> Fault<Findings> {
    Fault::Refused(vec![Finding::error(rule, Place::at(parameter), text)])
}
