//! Generate Metadata [ITI-106]: a document that came alone, provided with what it says of itself.

use access::Grant;
use actor::{Audited, Fault, Trail, Transaction};
use audit::Action;
use xds::Findings;

use crate::provide::{Provide, Received};
use crate::publish::{Published, entry_of_document, published};

/// The use case.
#[derive(Clone)]
pub(crate) struct Generate(pub(crate) Provide);

impl Transaction for Generate {
    type Request = Received;
    type Response = Published;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-106";
    const ACTION: Action = Action::Create;

    async fn run(
        &self,
        grant: Grant<Generate>,
        trail: Trail,
        received: Received,
    ) -> Result<Audited<Published>, Fault<Findings>> {
        let about = (received.provided.origin, entry_of_document(&received.provided));
        let (accepted, subject) = self.0.counted(&grant.caller().name, trail.context(), received).await?;
        let published = published(&self.0, accepted, about, false).await?;
        self.0.note(trail, published, subject).await
    }
}
