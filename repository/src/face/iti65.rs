//! Provide Document Bundle [ITI-65] on the wire: the body streams through the reader, its documents into the store.

use actor::{Codec, Context, Fault, failpoint};
use fhir::iti65::{Door, Event, Limits, Measured, Provided, Reader, Role, local_subjects, read_request};
use fhir::negotiate::{self, Format};
use http::{HeaderName, HeaderValue, StatusCode, header};
use store::Store;
use store::blob::{Sink, Staged};
use web::{Answer, Request};
use xds::{Findings, Severity, Side};

use crate::Repository;
use crate::face::fhir as face;
use crate::provide::{Accepted, Provide, Received};

/// Answers one submission.
pub(crate) async fn serve(repository: &Repository, request: &mut Request) -> Answer {
    let format = face::format(request);
    let own = repository.provide.patients.own();
    let codec =
        Bundle { store: &repository.house.corridor.store, limits: &repository.house.limits, format, own };
    repository.house.corridor.walk(&repository.provide, &codec, request).await
}

struct Bundle<'a> {
    store: &'a Store,
    limits: &'a web::Limits,
    format: Result<Format, String>,
    /// Bases under which a patient is one of this domain.
    own: [&'a str; 2],
}

impl Codec<Provide> for Bundle<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Received, Fault<Findings>> {
        if let Err(why) = &self.format {
            return Err(Fault::NotAcceptable(why.clone()));
        }
        let content_type = face::text(request, header::CONTENT_TYPE);
        negotiate::request(content_type.as_deref()).map_err(Fault::UnsupportedMedia)?;
        self.declared(request.body.declared())?;
        let mut documents = Documents::new(self.store, self.limits.max_document_bytes);
        let mut reader = Reader::new(self.reader_limits());
        let mut events = Vec::new();
        while let Some(chunk) = request.body.next().await.transpose()? {
            failpoint!(async "repo.body.chunk");
            reader.feed(&chunk, &mut events).map_err(Fault::Refused)?;
            for event in events.drain(..) {
                documents.take(event).await?;
            }
        }
        let mut bundle = reader.finish().map_err(Fault::Refused)?;
        local_subjects(&mut bundle, &self.own);
        let provided = read_request(bundle, &documents.measured, Door::Repository).map_err(Fault::Refused)?;
        check(&provided)?;
        documents.take_fhir_documents(&provided).await?;
        Ok(Received { provided, staged: documents.staged, measured: documents.measured })
    }

    fn write(&self, response: Accepted, _: &Context) -> Answer {
        let format = self.format.clone().unwrap_or_default();
        let answer = face::json(StatusCode::OK, response.bundle, format);
        #[cfg(feature = "failpoints")]
        let answer = actor::points::in_the_middle("repo.answer.mid", answer);
        if response.replayed {
            let replayed = HeaderName::from_static("idempotency-replayed");
            return answer.with(replayed, HeaderValue::from_static("true"));
        }
        answer
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        face::refuse(&fault, face::id(context), self.format.clone().unwrap_or_default())
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        face::reason(fault)
    }
}

/// The rules of the framework, judged here already: a submission that breaks them is never written down.
fn check(provided: &Provided) -> Result<(), Fault<Findings>> {
    let mut findings = xds::rules::check(&provided.submission);
    if findings.iter().all(|finding| finding.severity != Severity::Error) {
        return Ok(());
    }
    for finding in &mut findings {
        finding.side = Side::Repository;
    }
    xds::finding::sort(&mut findings);
    Err(Fault::Refused(findings))
}

impl Bundle<'_> {
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

/// The documents of a submission on their way into the store.
struct Documents<'a> {
    store: &'a Store,
    limit: u64,
    open: Option<(usize, Box<dyn Sink>)>,
    staged: Vec<(usize, Staged)>,
    measured: Vec<Measured>,
}

impl Documents<'_> {
    fn new(store: &Store, limit: u64) -> Documents<'_> {
        Documents { store, limit, open: None, staged: Vec::new(), measured: Vec::new() }
    }

    async fn take(&mut self, event: Event) -> Result<(), Fault<Findings>> {
        match event {
            Event::Begin(entry) => self.open = Some((entry, self.store.stage(self.limit))),
            Event::Bytes(bytes) => {
                if let Some((_, sink)) = &mut self.open {
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
    async fn take_fhir_documents(&mut self, provided: &Provided) -> Result<(), Fault<Findings>> {
        for (entry, role) in provided.roles.iter().enumerate() {
            if let Role::FhirDocument(_, bytes) = role {
                let mut sink = self.store.stage(self.limit);
                sink.write(bytes).await?;
                self.keep(entry, sink).await?;
            }
        }
        Ok(())
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
