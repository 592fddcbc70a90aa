//! Retrieve Document Set [ITI-43]: several documents by uniqueId in one answer, and of each that is not in it a word why.

use access::Grant;
use actor::{Audited, Fault, Subject, Trail, Transaction};
use audit::Action;
use bytes::Bytes;
use futures_util::StreamExt as _;
use store::blob::{Blob, Chunks};
use xds::identifier::{unique_id_of, unique_id_text};
use xds::{Finding, Findings, Place, Rule, Severity, Side};

use crate::documents::{Retrieve, damaged};
use crate::own::Own;
use crate::records::{Document, State};

/// Bytes of a document that are kept at hand when they have been verified; of a larger one they are read again when it is
/// its turn in the answer.
const AT_HAND: u64 = 256 << 10;

/// The use case.
#[derive(Clone)]
pub(crate) struct RetrieveSet {
    pub(crate) retrieve: Retrieve,
    pub(crate) own: Own,
    /// Documents of one request, at most.
    pub(crate) documents: u64,
    /// Bytes of one answer, at most.
    pub(crate) bytes: u64,
}

/// One document that is asked for, or that is to be removed [ITI-86].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    /// HomeCommunityId, as it was written.
    pub(crate) home: Option<String>,
    /// RepositoryUniqueId.
    pub(crate) repository: String,
    /// DocumentUniqueId.
    pub(crate) unique_id: String,
}

/// A document that is given.
pub(crate) struct Found {
    /// As it was asked for.
    pub(crate) wanted: Wanted,
    /// Its media type, as its source declared it.
    pub(crate) content_type: String,
    /// The bytes as the store knows them.
    pub(crate) blob: Blob,
    /// They, where they are few.
    pub(crate) at_hand: Option<Vec<Bytes>>,
}

/// What is given, and what is not.
pub(crate) struct Retrieved {
    /// In the order of the request.
    pub(crate) found: Vec<Found>,
    /// One for each document that is not among them.
    pub(crate) findings: Findings,
}

impl Transaction for RetrieveSet {
    type Request = Vec<Wanted>;
    type Response = Retrieved;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-43";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _: Grant<RetrieveSet>,
        trail: Trail,
        wanted: Vec<Wanted>,
    ) -> Result<Audited<Retrieved>, Fault<Findings>> {
        if wanted.len() as u64 > self.documents {
            let text = format!(
                "{} documents are asked for in one request, and {} is the most (documents.retrieve_documents); none was read. \
                 Ask in several requests.",
                wanted.len(),
                self.documents
            );
            return Err(refused(Finding::error(Rule::TooManyResults, Place::at("DocumentRequest"), text)));
        }
        let (mut found, mut findings, mut subjects) = (Vec::new(), Findings::new(), Subjects::default());
        let mut bytes: u64 = 0;
        for wanted in wanted {
            match self.find(&wanted).await {
                Ok((id, document, blob)) => {
                    bytes = bytes.saturating_add(blob.size);
                    if bytes > self.bytes {
                        return Err(refused(self.too_large(&wanted)));
                    }
                    match self.verified(&blob).await {
                        Ok(at_hand) => {
                            subjects.touch(&document.patient, &id);
                            let content_type = document.content_type;
                            found.push(Found { wanted, content_type, blob, at_hand });
                        }
                        Err(fault) => findings.push(self.told(&wanted, &fault)),
                    }
                }
                Err(Missed::Told(finding)) => findings.push(finding),
                Err(Missed::Fault(fault)) => findings.push(self.told(&wanted, &fault)),
            }
        }
        let records = &self.retrieve.records;
        let (subject, also) = subjects.parted(&findings);
        let retrieved = Retrieved { found, findings };
        Ok(trail.also(also).note(&records.store, records.now(), subject, retrieved).await?)
    }
}

/// Why a document is not given.
enum Missed {
    /// The request is at fault.
    Told(Finding),
    /// We are.
    Fault(Fault<Findings>),
}

impl RetrieveSet {
    /// A document that is registered, and its bytes. Of several with this uniqueId, which have the same bytes, the first one
    /// that can be given.
    async fn find(&self, wanted: &Wanted) -> Result<(String, Document, Blob), Missed> {
        if let Some(finding) = misdirected(&self.own, wanted) {
            return Err(Missed::Told(finding));
        }
        let mut candidates =
            self.retrieve.records.documents_called(&spelled(&wanted.unique_id)).map_err(fault)?;
        candidates.sort_by_key(|(_, document)| match document.state {
            State::Bound => 0,
            State::Staged => 1,
            State::Withheld => 2,
            State::Lost => 3,
            State::Removed | State::Rejected => 4,
        });
        let mut first = None;
        for (id, _) in candidates {
            let tried = match self.retrieve.registered(&id).await {
                Ok(document) => self.retrieve.blob(&id, &document).map(|blob| (id, document, blob)),
                Err(fault) => Err(fault),
            };
            match tried {
                Ok(found) => return Ok(found),
                // One that came to nothing says nothing about another one of its name.
                Err(Fault::NotFound) => {}
                Err(fault) => first = first.or(Some(fault)),
            }
        }
        Err(Missed::Fault(first.unwrap_or_else(|| self.retrieve.unknown())))
    }

    /// Verifies the bytes, so that nothing is promised that breaks off: up to 16 MiB all of them; beyond, that they are there.
    async fn verified(&self, blob: &Blob) -> Result<Option<Vec<Bytes>>, Fault<Findings>> {
        let read = self.retrieve.records.store.read(blob, 0..blob.size).await;
        let mut chunks = read.map_err(|error| damaged(blob, error))?;
        if blob.size > AT_HAND {
            return Ok(None);
        }
        let mut parts = Vec::with_capacity(4);
        while let Some(chunk) = chunks.next().await {
            parts.push(chunk.map_err(|error| damaged(blob, error))?);
        }
        Ok(Some(parts))
    }

    fn too_large(&self, wanted: &Wanted) -> Finding {
        let text = format!(
            "the documents up to this one are longer than {} bytes together, the most of one answer \
             (documents.retrieve_bytes); none was sent. Ask for fewer at once, or for each by ITI-68.",
            self.bytes
        );
        Finding::error(Rule::TooManyResults, place(wanted), text)
    }

    /// Why a document is not in the answer, in words.
    fn told(&self, wanted: &Wanted, fault: &Fault<Findings>) -> Finding {
        let (rule, text) = match fault {
            Fault::Busy(_)
            | Fault::Unavailable { .. }
            | Fault::Unknown { .. }
            | Fault::NoRoom(_)
            | Fault::Unwritable(_) => (
                Rule::DocumentInDoubt,
                "whether this document is registered is not known at present; ask again in a few seconds",
            ),
            Fault::Gone(_) => {
                (Rule::DocumentNotAvailable, "this document was removed from this repository (ITI-86)")
            }
            Fault::NotFound => (
                Rule::DocumentNotAvailable,
                "there is no document by this uniqueId at this repository; it is written as the registry tells it \
                 (DocumentEntry.uniqueId)",
            ),
            _ => (
                Rule::DocumentDamaged,
                "the stored bytes of this document cannot be given out at present; the operator has been told",
            ),
        };
        Finding::error(rule, place(wanted), text).by(Side::Repository)
    }
}

/// The bytes of a document when it is its turn in the answer.
pub(crate) async fn content(store: &store::Store, found: Found) -> Result<Chunks, store::Error> {
    match found.at_hand {
        Some(parts) => Ok(futures_util::stream::iter(parts.into_iter().map(Ok)).boxed()),
        None => store.read(&found.blob, 0..found.blob.size).await,
    }
}

/// Whether a request for a document is meant for somebody else.
pub(crate) fn misdirected(own: &Own, wanted: &Wanted) -> Option<Finding> {
    let home = wanted.home.as_deref().filter(|home| !home.trim().is_empty());
    if let Some(home) = home.filter(|home| !own.is_community(home)) {
        let community = own.community.as_deref().unwrap_or_default();
        let text = format!(
            "the community {home} is not served here; this repository belongs to urn:oid:{community}"
        );
        return Some(Finding::error(Rule::UnknownCommunity, place(wanted), text));
    }
    if !own.is_repository(&wanted.repository) {
        let text = match wanted.repository.trim() {
            "" => format!("RepositoryUniqueId is missing; this repository is {}", own.repository),
            named => format!("the repository {named} is not this one; this is {}", own.repository),
        };
        return Some(Finding::error(Rule::UnknownRepository, place(wanted), text));
    }
    let text = "DocumentUniqueId is missing; it is written as the registry tells it (DocumentEntry.uniqueId)";
    let is_missing = wanted.unique_id.trim().is_empty();
    is_missing.then(|| Finding::error(Rule::DocumentNotAvailable, place(wanted), text))
}

/// Where a finding about one document is: the location is its uniqueId (ITI TF-2 3.43.4.2.3).
pub(crate) fn place(wanted: &Wanted) -> Place {
    Place::at(wanted.unique_id.clone())
}

/// A uniqueId in the one spelling it is kept in: `urn:oid:1.2.3` is that of `1.2.3`.
pub(crate) fn spelled(unique_id: &str) -> String {
    unique_id_text(&unique_id_of(unique_id.trim()))
}

fn fault(error: store::Error) -> Missed {
    Missed::Fault(error.into())
}

fn refused(finding: Finding) -> Fault<Findings> {
    Fault::Refused(vec![finding.by(Side::Repository)])
}

/// What an auditor is told: of each patient, which documents.
#[derive(Default)]
pub(crate) struct Subjects(Vec<(String, Vec<String>)>);

impl Subjects {
    /// A document of a patient was touched.
    pub(crate) fn touch(&mut self, patient: &str, document: &str) {
        let entity = format!("Document/{document}");
        match self.0.iter_mut().find(|(known, _)| known == patient) {
            Some((_, entities)) => entities.push(entity),
            None => self.0.push((patient.to_owned(), vec![entity])),
        }
    }

    /// The first record and those beside it. What was asked for in vain is told in one without a patient.
    pub(crate) fn parted(self, findings: &[Finding]) -> (Subject, Vec<Subject>) {
        let subject = |patient, entities| Subject { patient, entities, query: None };
        let mut all: Vec<Subject> =
            self.0.into_iter().map(|(patient, entities)| subject(Some(patient), entities)).collect();
        let missed = findings.iter().filter(|finding| finding.severity == Severity::Error);
        let missed: Vec<String> = missed.map(|finding| format!("unavailable/{}", finding.at.path)).collect();
        if !missed.is_empty() || all.is_empty() {
            all.push(subject(None, missed));
        }
        let first = all.remove(0);
        (first, all)
    }
}
