//! Provide and Register Document Set-b [ITI-41]: the same submission as one of ITI-65, answered in the words of XDS.

use access::Grant;
use actor::{Audited, Fault, Trail, Transaction};
use audit::Action;
use fhir::iti65::read_response;
use xds::Findings;

use crate::provide::{Provide, Received};

/// The use case.
#[derive(Clone)]
pub(crate) struct ProvideSet(pub(crate) Provide);

/// What was registered.
pub(crate) struct Registered {
    /// Reservations, ours and the registry's, with their places in the request.
    pub(crate) warnings: Findings,
    /// True if the submission was known already.
    pub(crate) replayed: bool,
}

impl Transaction for ProvideSet {
    type Request = Received;
    type Response = Registered;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-41";
    const ACTION: Action = Action::Create;

    async fn run(
        &self,
        grant: Grant<ProvideSet>,
        trail: Trail,
        received: Received,
    ) -> Result<Audited<Registered>, Fault<Findings>> {
        // Only its places are needed afterwards.
        let provided = received.provided.clone();
        let (accepted, subject) = self.0.counted(&grant.caller().name, trail.context(), received).await?;
        let receipts = read_response(&accepted.bundle)
            .map_err(|_| Fault::Internal("an answer of ours cannot be read".to_owned()))?;
        let mut warnings: Findings = receipts.into_iter().flat_map(|receipt| receipt.warnings).collect();
        for warning in &mut warnings {
            warning.at.path = provided.path(&warning.at.path);
        }
        let registered = Registered { warnings, replayed: accepted.replayed };
        self.0.note(trail, registered, subject).await
    }
}
