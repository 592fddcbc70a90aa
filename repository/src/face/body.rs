//! The body of a submission on its way in: it streams through the reader, its documents into the store.

use actor::{Fault, failpoint};
use affinity::Shelf;
use fhir::iti65::{Event, Form, Limits, Measured, Provided, Reader, Role};
use fhir::negotiate::{self, Format, Syntax};
use http::header;
use serde_json::Value;
use store::Store;
use store::blob::{Sink, Staged};
use web::Request;
use xds::{Findings, Place, Side};

use super::fhir as face;

/// Where documents go while a body is read, and how much of it is taken.
#[derive(Clone, Copy)]
pub(crate) struct Intake<'a> {
    pub(crate) store: &'a Store,
    pub(crate) limits: &'a web::Limits,
    /// Which codes are accepted.
    pub(crate) domain: &'a Shelf,
}

/// The documents of a submission, by index of their entry.
pub(super) struct Documents<'a> {
    store: &'a Store,
    limit: u64,
    open: Option<(usize, Box<dyn Sink>)>,
    pub(super) staged: Vec<(usize, Staged)>,
    pub(super) measured: Vec<Measured>,
    /// What the body is written in.
    pub(super) syntax: Syntax,
    /// The beginning of the first document, where somebody wants to look at it.
    pub(super) head: Vec<u8>,
    /// So much of it.
    look: usize,
    /// What the domain says of the codes: told beside what else is wrong, where something is.
    pub(super) judged: Findings,
}

impl<'a> Intake<'a> {
    /// Reads a body: the resource without its documents, and they. Of the first one, `look` bytes are kept to be looked at.
    pub(super) async fn read(
        &self,
        request: &mut Request,
        format: &Result<Format, String>,
        form: Form,
        look: usize,
    ) -> Result<(Value, Documents<'a>), Fault<Findings>> {
        if let Err(why) = format {
            return Err(Fault::NotAcceptable(why.clone()));
        }
        let content_type = face::text(request, header::CONTENT_TYPE);
        let syntax = negotiate::request(content_type.as_deref()).map_err(Fault::UnsupportedMedia)?;
        self.declared(request.body.declared())?;
        let mut documents = Documents {
            store: self.store,
            limit: self.limits.max_document_bytes,
            open: None,
            staged: Vec::new(),
            measured: Vec::new(),
            syntax,
            head: Vec::new(),
            look,
            judged: Findings::new(),
        };
        let mut reader = Reader::of(form, syntax, self.reader_limits());
        let mut events = Vec::new();
        while let Some(chunk) = request.body.next().await.transpose()? {
            failpoint!(async "repo.body.chunk");
            reader.feed(&chunk, &mut events).map_err(Fault::Refused)?;
            for event in events.drain(..) {
                documents.take(event).await?;
            }
        }
        let body = reader.finish().map_err(Fault::Refused)?;
        if self.domain.judges() {
            let given = match body["resourceType"].as_str() {
                Some("Bundle") => fhir::coded::of_bundle(&body),
                _ => fhir::coded::of_resource(&body, &Place::at("DocumentReference")),
            };
            documents.judged = self.domain.judge(&given);
        }
        Ok((body, documents))
    }

    fn reader_limits(&self) -> Limits {
        Limits {
            body: self.limits.max_body_bytes,
            document: self.limits.max_document_bytes,
            submission: self.limits.max_submission_bytes,
            documents: self.limits.max_documents,
            entries: self.limits.max_entries,
        }
    }

    /// Refuses a body that says it is too large before a byte of it is read. Base64 makes four bytes of three, and its
    /// lines may be broken.
    fn declared(&self, declared: Option<u64>) -> Result<(), Fault<Findings>> {
        let limit = self.limits.max_submission_bytes;
        let most = limit / 3 * 4 + limit / 16 + self.limits.max_body_bytes;
        match declared {
            Some(declared) if declared > most => {
                Err(Fault::TooLarge { limit, key: "server.limits.max_submission_bytes" })
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Documents<'_> {
    async fn take(&mut self, event: Event) -> Result<(), Fault<Findings>> {
        match event {
            Event::Begin(entry) => self.open = Some((entry, self.store.stage(self.limit))),
            Event::Bytes(bytes) => {
                if let Some((_, sink)) = &mut self.open {
                    if self.staged.is_empty() {
                        let wanted = self.look.saturating_sub(self.head.len()).min(bytes.len());
                        self.head.extend_from_slice(&bytes[..wanted]);
                    }
                    sink.write(&bytes).await?;
                }
            }
            Event::End => {
                if let Some((entry, sink)) = self.open.take() {
                    self.keep(entry, sink).await?;
                }
            }
        }
        Ok(())
    }

    /// FHIR documents are entries themselves: their bytes are known once the Bundle is read.
    pub(super) async fn take_fhir_documents(&mut self, provided: &Provided) -> Result<(), Fault<Findings>> {
        for (entry, role) in provided.roles.iter().enumerate() {
            if let Role::FhirDocument(_, bytes) = role {
                let mut sink = self.store.stage(self.limit);
                sink.write(bytes).await?;
                self.keep(entry, sink).await?;
            }
        }
        Ok(())
    }

    /// A refusal, with what is wrong with the codes beside it.
    pub(super) fn refusal(&self, mut findings: Findings) -> Fault<Findings> {
        findings.extend(self.judged.iter().cloned().map(|finding| finding.by(Side::Repository)));
        xds::finding::sort(&mut findings);
        Fault::Refused(findings)
    }

    /// Says that the documents of this index are those of another entry.
    pub(super) fn renumber(&mut self, from: usize, to: usize) {
        self.staged.iter_mut().filter(|(entry, _)| *entry == from).for_each(|(entry, _)| *entry = to);
        self.measured.iter_mut().filter(|one| one.entry == from).for_each(|one| one.entry = to);
    }

    async fn keep(&mut self, entry: usize, sink: Box<dyn Sink>) -> Result<(), Fault<Findings>> {
        let staged = sink.finish().await?;
        self.measured.push(Measured {
            entry,
            size: staged.size(),
            sha1: staged.sha1(),
            sha256: staged.sha256(),
        });
        self.staged.push((entry, staged));
        Ok(())
    }
}
