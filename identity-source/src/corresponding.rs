//! Which other identifiers name a patient [ITI-9].

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use xds::Identifier;
use xds::hl7::Hd;

use crate::records::{Kept, Names, Records};

/// The use case.
pub(crate) struct FindCorresponding {
    pub(crate) records: Records,
    pub(crate) clock: Clock,
}

/// What is asked.
pub(crate) struct Asked {
    /// The identifier.
    pub(crate) value: String,
    /// Who assigned it.
    pub(crate) authority: Hd,
    /// The domains the others shall be of; none: all.
    pub(crate) targets: Vec<Hd>,
    /// As it was written.
    pub(crate) written: String,
}

/// Why it is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// Who assigned the identifier asked by is not known here.
    Source,
    /// These of the domains asked for are not known here, by their places.
    Targets(Vec<usize>),
    /// Nobody here has the identifier.
    Identifier,
    /// More records are linked as this person than are looked at.
    TooManyLinked,
}

impl Transaction for FindCorresponding {
    type Request = Asked;
    /// Identifiers, those of one domain one after the other.
    type Response = Vec<Identifier>;
    type Findings = Unanswered;
    const NUMBER: &'static str = "ITI-9";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        _grant: Grant<Self>,
        trail: Trail,
        asked: Asked,
    ) -> Result<Audited<Vec<Identifier>>, Fault<Unanswered>> {
        let (ids, identifiers) = self.answer(&asked)?;
        let subject = Subject {
            patient: ids.first().cloned(),
            entities: ids.iter().map(|id| format!("Patient/{id}")).collect(),
            query: Some(asked.written),
        };
        Ok(trail.note(self.records.store(), self.clock.now(), subject, identifiers).await?)
    }
}

impl FindCorresponding {
    /// Judges in the order of 2:3.9.4.2.2: the domain of the identifier, the domains asked for, the identifier.
    fn answer(&self, asked: &Asked) -> Result<(Vec<String>, Vec<Identifier>), Fault<Unanswered>> {
        let Some(system) = self.records.domain_of(&asked.authority)? else {
            return Err(Fault::Refused(Unanswered::Source));
        };
        let mut targets = Vec::with_capacity(asked.targets.len());
        let mut unknown = Vec::new();
        for (place, target) in asked.targets.iter().enumerate() {
            match self.records.domain_of(target)? {
                Some(system) => targets.push(system),
                None => unknown.push(place),
            }
        }
        if !unknown.is_empty() {
            return Err(Fault::Refused(Unanswered::Targets(unknown)));
        }
        let source = Identifier { system, value: asked.value.clone() };
        let row = self.records.identified(&source, "")?;
        let found = row.map(|row| Kept::of(&row).map(|kept| (row, kept))).transpose()?;
        // One that was merged away has no names to answer with.
        let Some((row, _)) = found.filter(|(_, kept)| kept.active) else {
            return Err(Fault::Refused(Unanswered::Identifier));
        };
        let Some(Names { ids, mut identifiers }) = self.records.names_of_person(&row)? else {
            return Err(Fault::Refused(Unanswered::TooManyLinked));
        };
        identifiers.retain(|one| *one != source && (targets.is_empty() || targets.contains(&one.system)));
        Ok((ids, identifiers))
    }
}
