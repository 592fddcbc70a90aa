//! Simplified Publish [ITI-105]: a document in one request, provided as a submission of its own.

use access::Grant;
use actor::{Audited, Fault, Trail, Transaction};
use audit::Action;
use bytes::Bytes;
use fhir::iti65::{Origin, Provided, Role, read_response};
use xds::Findings;

use crate::answer;
use crate::provide::{Accepted, Provide, Received};

/// The use case.
#[derive(Clone)]
pub(crate) struct Publish(pub(crate) Provide);

/// A document to be published.
pub(crate) struct Publication {
    /// The submission it stands for.
    pub(crate) received: Received,
    /// Whether the source wants the entry as it was registered.
    pub(crate) wants_resource: bool,
}

/// What was published.
pub(crate) struct Published {
    /// Where its entry is, absolute, with version.
    pub(crate) location: String,
    /// Entity tag of that version.
    pub(crate) etag: Option<String>,
    /// When it was registered: a FHIR instant.
    pub(crate) last_modified: Option<String>,
    /// The entry as it was registered; none if nobody wants it, or the registry could not be asked any more.
    pub(crate) resource: Option<Bytes>,
    /// Reservations, in words about the DocumentReference.
    pub(crate) warnings: Findings,
    /// True if the submission was known already.
    pub(crate) replayed: bool,
}

impl Transaction for Publish {
    type Request = Publication;
    type Response = Published;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-105";
    const ACTION: Action = Action::Create;

    async fn run(
        &self,
        grant: Grant<Publish>,
        trail: Trail,
        publication: Publication,
    ) -> Result<Audited<Published>, Fault<Findings>> {
        let Publication { received, wants_resource } = publication;
        let origin = received.provided.origin;
        let entry = entry_of_document(&received.provided);
        let (accepted, subject) = self.0.counted(&grant.caller().name, trail.context(), received).await?;
        let published = published(&self.0, accepted, (origin, entry), wants_resource).await?;
        self.0.note(trail, published, subject).await
    }
}

/// Which entry of the answer is about the document.
pub(crate) fn entry_of_document(provided: &Provided) -> Option<usize> {
    let symbol = &provided.submission.documents.first()?.symbol;
    provided.roles.iter().position(|role| matches!(role, Role::Object(of) if of == symbol))
}

/// What an answer to a submission of one document says of it; `entry` is that of the document.
pub(crate) async fn published(
    provide: &Provide,
    accepted: Accepted,
    (origin, entry): (Origin, Option<usize>),
    wants_resource: bool,
) -> Result<Published, Fault<Findings>> {
    let receipts = read_response(&accepted.bundle)
        .map_err(|_| Fault::Internal("an answer of ours cannot be read".to_owned()))?;
    let mut warnings = Findings::new();
    for mut warning in receipts.iter().flat_map(|receipt| receipt.warnings.clone()) {
        warning.at.path = origin.path(&warning.at.path);
        warnings.push(warning);
    }
    let Some(receipt) = entry.and_then(|entry| receipts.get(entry)) else {
        return Err(Fault::Internal("an answer of ours names no DocumentReference".to_owned()));
    };
    let resource = if wants_resource {
        let (id, version) = answer::version_at(&receipt.location);
        // It is registered, whatever this question comes to.
        provide.registrar.document(id, version).await.ok()
    } else {
        None
    };
    Ok(Published {
        location: receipt.location.clone(),
        etag: receipt.etag.clone(),
        last_modified: receipt.last_modified.clone(),
        resource,
        warnings,
        replayed: accepted.replayed,
    })
}
