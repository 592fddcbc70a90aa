//! What a registration would come to, asked by the repository that was asked to validate a submission: the same path as
//! [ITI-42], which ends before the commit. Nothing is written but the record that somebody asked.

use access::Grant;
use actor::{Audited, Fault, Subject, Trail, Transaction};
use audit::Action;
use xds::Findings;

use crate::register::{Register, Registration};

/// The use case.
#[derive(Clone)]
pub(crate) struct Validate(pub(crate) Register);

impl Transaction for Validate {
    type Request = Registration;
    type Response = Findings;
    type Findings = Findings;
    const NUMBER: &'static str = "validate";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        grant: Grant<Validate>,
        trail: Trail,
        mut registration: Registration,
    ) -> Result<Audited<Findings>, Fault<Findings>> {
        let register = &self.0;
        let findings = match register.prepare(&mut registration, &grant.caller().name) {
            Ok((said, judged)) => register.rehearse(&said, &registration.provided, judged)?,
            Err(Fault::Refused(findings)) => findings,
            Err(other) => return Err(other),
        };
        let patient = registration.provided.patient().id.clone();
        let subject = Subject { patient, entities: Vec::new(), query: None };
        Ok(trail.note(&register.store, register.clock.now(), subject, findings).await?)
    }
}
