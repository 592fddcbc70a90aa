//! Remove Documents [ITI-86]: the bytes go to the trash, and what is said of them at the registry stays as it is.
//!
//! Afterwards a reader is told that the document was removed (410, XDSDocumentUniqueIdError), never that it is damaged or was
//! unknown all along. The row of a removed document stays, so that this does not change when the trash is emptied.

use access::Grant;
use actor::{Audited, Fault, Trail, Transaction};
use audit::Action;
use store::Batch;
use xds::{Finding, Findings, Rule, Side};

use crate::documents::Retrieve;
use crate::own::Own;
use crate::provide::RETRY;
use crate::records::{Document, State};
use crate::retrieve_set::{Subjects, Wanted, misdirected, place, spelled};

/// The use case.
#[derive(Clone)]
pub(crate) struct Remove {
    pub(crate) retrieve: Retrieve,
    pub(crate) own: Own,
    /// Documents of one request, at most.
    pub(crate) documents: u64,
}

/// What was removed, and what was not.
pub(crate) struct Removed {
    /// How many of the requested documents.
    pub(crate) removed: usize,
    /// One for each that was not.
    pub(crate) findings: Findings,
}

impl Transaction for Remove {
    type Request = Vec<Wanted>;
    type Response = Removed;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-86";
    const ACTION: Action = Action::Delete;
    // It makes room.
    const CONCLUDES: bool = true;

    async fn run(
        &self,
        _: Grant<Remove>,
        trail: Trail,
        wanted: Vec<Wanted>,
    ) -> Result<Audited<Removed>, Fault<Findings>> {
        if wanted.len() as u64 > self.documents {
            let text = format!(
                "{} documents are to be removed by one request, and {} is the most (documents.retrieve_documents); none was \
                 removed. Send several requests.",
                wanted.len(),
                self.documents
            );
            let finding = Finding::error(Rule::TooManyResults, xds::Place::at("DocumentRequest"), text);
            return Err(Fault::Refused(vec![finding.by(Side::Repository)]));
        }
        let records = &self.retrieve.records;
        let (mut ids, mut removed) = (Vec::new(), 0);
        let (mut findings, mut subjects) = (Findings::new(), Subjects::default());
        for wanted in wanted {
            match self.meant(&wanted).await {
                Ok(documents) => {
                    removed += 1;
                    for (id, document) in documents {
                        // Asked for twice in one request: removed once.
                        if !ids.contains(&id) {
                            subjects.touch(&document.patient, &id);
                            ids.push(id);
                        }
                    }
                }
                Err(finding) => findings.push(*finding),
            }
        }
        let (subject, also) = subjects.parted(&findings);
        let mut batch = Batch { instant: records.now(), concluding: true, ..Batch::default() };
        records.remove(&ids, &mut batch)?;
        let response = Removed { removed, findings };
        let committed = trail.also(also).commit(&records.store, batch, subject, |_| response).await;
        committed.map_err(|(_, error)| match error {
            store::Error::Lost(_) => Fault::Busy(RETRY),
            other => other.into(),
        })
    }
}

impl Remove {
    /// Every document with this uniqueId; what is in doubt is settled first.
    async fn meant(&self, wanted: &Wanted) -> Result<Vec<(String, Document)>, Box<Finding>> {
        if let Some(finding) = misdirected(&self.own, wanted) {
            return Err(Box::new(finding.by(Side::Repository)));
        }
        let refused = |rule, text: &str| {
            Box::new(Finding::error(rule, place(wanted), text.to_owned()).by(Side::Repository))
        };
        let busy = || {
            refused(
                Rule::RemoveFailed,
                "whether this document is registered is not known at present, so it was not removed; send the request again in a \
                 few seconds",
            )
        };
        let unreadable = |error: store::Error| {
            tracing::error!(%error, "a document that is to be removed cannot be looked up");
            refused(Rule::RemoveFailed, "this document cannot be looked up at present; it was not removed")
        };
        let candidates =
            self.retrieve.records.documents_called(&spelled(&wanted.unique_id)).map_err(unreadable)?;
        let (mut meant, mut was_removed) = (Vec::new(), false);
        for (id, document) in candidates {
            let document = match document.state {
                State::Bound | State::Lost => document,
                State::Removed => {
                    was_removed = true;
                    continue;
                }
                State::Rejected => continue,
                State::Staged | State::Withheld => match self.retrieve.registered(&id).await {
                    Ok(document) => document,
                    Err(Fault::NotFound) => continue,
                    Err(_) => return Err(busy()),
                },
            };
            meant.push((id, document));
        }
        match (meant.is_empty(), was_removed) {
            (false, _) => Ok(meant),
            (true, true) => Err(refused(
                Rule::DocumentNotAvailable,
                "this document was removed from this repository before",
            )),
            (true, false) if matches!(self.retrieve.unknown(), Fault::Busy(_)) => Err(busy()),
            (true, false) => Err(refused(
                Rule::DocumentNotAvailable,
                "there is no document by this uniqueId at this repository; it is written as the registry tells it \
                 (DocumentEntry.uniqueId)",
            )),
        }
    }
}
