//! Whom an identifier names here: asked by a repository whose identity source does not know the patient, because ITI-8 or ITI-44
//! told of it at the registry alone.

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use store::Store;
use xds::plan::PatientState;
use xds::{Findings, Identifier, Patient};

use crate::patients;

/// The use case.
#[derive(Clone)]
pub(crate) struct Whom {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
}

impl Transaction for Whom {
    type Request = Identifier;
    type Response = Option<String>;
    type Findings = Findings;
    const NUMBER: &'static str = "patients";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        identifier: Identifier,
    ) -> Result<Audited<Option<String>>, Fault<Findings>> {
        let patient = Patient { identifier: Some(identifier), ..Patient::default() };
        let id = match patients::resolve(&self.store, "", &patient, None)? {
            PatientState::Active(id) => Some(id),
            PatientState::Inactive | PatientState::Unknown => None,
        };
        let subject = Subject { patient: id.clone(), ..Subject::default() };
        Ok(trail.note(&self.store, self.clock.now(), subject, id).await?)
    }
}
