//! Retrieve Document [ITI-68]: the bytes as they were submitted, or an honest word why not.

use std::ops::Range;
use std::time::Duration;

use access::Grant;
use actor::{Audited, Fault, House, Subject, Trail, Transaction, meter};
use audit::Action;
use bytes::Bytes;
use fhir::negotiate::Syntax;
use futures_util::StreamExt as _;
use store::blob::{Blob, Chunks};
use web::range::{Selection, if_range_holds, names_tag, select};
use xds::Findings;

use crate::config::Settings;
use crate::converted;
use crate::naming::{hexadecimal, is_blob_id};
use crate::records::{Document, Records, State};
use crate::settle::Settler;

/// Bytes of a document that are put together before the answer begins, instead of being streamed.
const AT_ONCE: u64 = 1 << 20;

/// When a consumer should come again for a document whose submission is in doubt.
const RETRY: Duration = Duration::from_secs(2);

/// What a consumer asks for.
#[derive(Debug, Default)]
pub(crate) struct Question {
    /// Which document.
    pub(crate) id: String,
    /// `Accept`, where it restricts the type.
    pub(crate) accept: Option<String>,
    /// `If-None-Match`.
    pub(crate) none_match: Option<String>,
    /// `Range`.
    pub(crate) range: Option<String>,
    /// `If-Range`.
    pub(crate) if_range: Option<String>,
    /// Only the head of the answer is wanted.
    pub(crate) head: bool,
}

/// What a consumer gets.
pub(crate) struct Given {
    /// Its id.
    pub(crate) id: String,
    /// What is kept beside the bytes.
    pub(crate) document: Document,
    /// The bytes as the store knows them.
    pub(crate) blob: Blob,
    /// Which of them.
    pub(crate) extent: Extent,
    /// They.
    pub(crate) content: Content,
}

/// Which part of a document is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// A range.
    Part(Range<u64>),
    /// None: the caller has it.
    NotModified,
    /// None: the range lies outside.
    Unsatisfiable,
}

/// The bytes of an answer.
pub(crate) enum Content {
    /// None.
    Nothing,
    /// At hand.
    Parts(Vec<Bytes>),
    /// As they are read and verified.
    Stream(Chunks),
}

/// The use case.
#[derive(Clone)]
pub(crate) struct Retrieve {
    pub(crate) records: Records,
    pub(crate) settler: Settler,
    settle_wait: Duration,
    /// Types a browser may show.
    pub(crate) inline_types: std::sync::Arc<[String]>,
    /// The registry's public base.
    pub(crate) registry: String,
}

impl Retrieve {
    pub(crate) fn new(house: &House<Settings>, settler: Settler) -> Retrieve {
        Retrieve {
            records: settler.records.clone(),
            settler,
            settle_wait: Duration::from_millis(house.settings.documents.settle_wait_ms),
            inline_types: house.settings.documents.inline_types.clone().into(),
            registry: house.settings.registry.public(),
        }
    }

    /// A document that is registered, settling it first if that is in doubt.
    pub(crate) async fn registered(&self, id: &str) -> Result<Document, Fault<Findings>> {
        if !is_blob_id(id) {
            return Err(Fault::NotFound);
        }
        let mut document = self.records.document(id)?.ok_or_else(|| self.unknown())?;
        if matches!(document.state, State::Staged | State::Withheld) {
            document = tokio::time::timeout(self.settle_wait, self.settled(id, &document.key))
                .await
                .unwrap_or(Err(Fault::Busy(RETRY)))?;
        }
        match document.state {
            State::Bound => Ok(document),
            State::Staged => Err(Fault::Busy(RETRY)),
            State::Withheld | State::Rejected => Err(self.unknown()),
            State::Lost => {
                alarm();
                Err(Fault::Damaged)
            }
            State::Removed => Err(Fault::Gone(1)),
        }
    }

    /// The bytes of a registered document, as the store knows them.
    pub(crate) fn blob(&self, id: &str, document: &Document) -> Result<Blob, Fault<Findings>> {
        self.records.store.blob(document.blob(id))?.ok_or_else(|| {
            tracing::error!(blob = id, "the bytes of a registered document are missing");
            alarm();
            Fault::Damaged
        })
    }

    /// What is said of a document that is not here: after a restore it may have been, until the registry has been asked.
    pub(crate) fn unknown(&self) -> Fault<Findings> {
        if self.settler.recover.going_on() { Fault::Busy(RETRY) } else { Fault::NotFound }
    }

    /// A document whose submission is in doubt, once that is settled. One that is just being bound is waited for.
    async fn settled(&self, id: &str, key: &str) -> Result<Document, Fault<Findings>> {
        let _held = self.settler.keys.hold(key, self.settle_wait).await.ok_or(Fault::Busy(RETRY))?;
        let document = self.records.document(id)?.ok_or(Fault::NotFound)?;
        let settled = match document.state {
            State::Staged => self.settler.settle(key).await,
            State::Withheld => self.settler.ask_again(key).await,
            State::Bound | State::Rejected | State::Removed | State::Lost => return Ok(document),
        };
        settled.map_err(|error| {
            tracing::warn!(%error, "a document that was asked for stays in doubt");
            Fault::Busy(RETRY)
        })?;
        self.records.document(id)?.ok_or(Fault::NotFound)
    }

    /// A FHIR document in the other syntax, with what it measures there.
    async fn converted(
        &self,
        blob: &Blob,
        content_type: &str,
        syntax: Syntax,
    ) -> Result<(Blob, Bytes), Fault<Findings>> {
        let refused = || Fault::NotAcceptable(content_type.to_owned());
        if blob.size > converted::MOST {
            return Err(refused());
        }
        let mut chunks =
            self.records.store.read(blob, 0..blob.size).await.map_err(|error| damaged(blob, error))?;
        let mut bytes = Vec::with_capacity(usize::try_from(blob.size).unwrap_or_default());
        while let Some(chunk) = chunks.next().await {
            bytes.extend_from_slice(&chunk.map_err(|error| damaged(blob, error))?);
        }
        let work = tokio::task::spawn_blocking(move || converted::convert(&bytes, syntax));
        let (bytes, sha1, sha256) = work.await.ok().flatten().ok_or_else(refused)?;
        Ok((Blob { size: bytes.len() as u64, sha1, sha256, ..blob.clone() }, bytes))
    }

    /// The bytes of an extent as they are stored.
    async fn stored(&self, blob: &Blob, extent: &Extent) -> Result<Content, Fault<Findings>> {
        match extent {
            Extent::Whole => self.content(blob, 0..blob.size).await,
            Extent::Part(range) => self.content(blob, range.clone()).await,
            Extent::NotModified | Extent::Unsatisfiable => Ok(Content::Nothing),
        }
    }

    async fn content(&self, blob: &Blob, range: Range<u64>) -> Result<Content, Fault<Findings>> {
        let small = range.end - range.start <= AT_ONCE;
        let mut chunks = self.records.store.read(blob, range).await.map_err(|error| damaged(blob, error))?;
        if !small {
            return Ok(Content::Stream(chunks));
        }
        let mut parts = Vec::with_capacity(2);
        while let Some(chunk) = chunks.next().await {
            parts.push(chunk.map_err(|error| damaged(blob, error))?);
        }
        Ok(Content::Parts(parts))
    }
}

impl Transaction for Retrieve {
    type Request = Question;
    type Response = Given;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-68";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _grant: Grant<Retrieve>,
        trail: Trail,
        question: Question,
    ) -> Result<Audited<Given>, Fault<Findings>> {
        let mut document = self.registered(&question.id).await?;
        let accept = question.accept.as_deref().unwrap_or("*/*");
        let other = if accepts(accept, &document.content_type) {
            None
        } else {
            let other = converted::wanted(accept, &document.content_type);
            Some(other.ok_or_else(|| Fault::NotAcceptable(document.content_type.clone()))?)
        };
        let blob = self.blob(&question.id, &document)?;
        let (blob, bytes) = match other {
            None => (blob, None),
            Some(syntax) => {
                let (other, bytes) = self.converted(&blob, &document.content_type, syntax).await?;
                document.content_type = syntax.media_type().to_owned();
                (other, Some(bytes))
            }
        };
        let extent = extent(&question, &blob);
        let content = match (&extent, bytes) {
            _ if question.head => Content::Nothing,
            (Extent::Whole, Some(bytes)) => Content::Parts(vec![bytes]),
            (Extent::Part(range), Some(bytes)) => Content::Parts(vec![converted::part(&bytes, range)]),
            (extent, _) => self.stored(&blob, extent).await?,
        };
        let subject = Subject {
            patient: Some(document.patient.clone()),
            entities: vec![format!("Document/{}", question.id)],
            query: None,
        };
        let now = self.records.now();
        let given = Given { id: question.id, document, blob, extent, content };
        Ok(trail.note(&self.records.store, now, subject, given).await?)
    }
}

/// The strong entity tag of a document: what its bytes are.
pub(crate) fn etag(blob: &Blob) -> String {
    format!("\"{}\"", hexadecimal(&blob.sha256))
}

fn extent(question: &Question, blob: &Blob) -> Extent {
    let etag = etag(blob);
    if question.none_match.as_ref().is_some_and(|tags| names_tag(tags, &etag, true)) {
        return Extent::NotModified;
    }
    let modified = jiff::Timestamp::from_microsecond(blob.instant).ok();
    let range = question.range.as_deref();
    match select(range.filter(|_| if_range_holds(question.if_range.as_deref(), &etag, modified)), blob.size) {
        Selection::Whole => Extent::Whole,
        Selection::Part(range) => Extent::Part(range),
        Selection::Beyond => Extent::Unsatisfiable,
    }
}

/// Whether a media type is among those an `Accept` header allows: the most exact range that fits decides.
pub(crate) fn accepts(accept: &str, content_type: &str) -> bool {
    let wanted = crate::disposition::essence(content_type);
    let kind = wanted.split('/').next().unwrap_or_default();
    let mut best: Option<(u8, bool)> = None;
    for range in accept.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let exactness = match name.as_str() {
            "*/*" | "*" => 0,
            name if name == wanted => 2,
            name if name.strip_suffix("/*") == Some(kind) => 1,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let allowed = weight.is_none_or(|weight| weight.trim().parse::<f32>().is_ok_and(|q| q > 0.0));
        if best.is_none_or(|(known, _)| exactness >= known) {
            best = Some((exactness, allowed));
        }
    }
    best.map_or(accept.trim().is_empty(), |(_, allowed)| allowed)
}

/// What the store's refusal to give bytes means to a consumer; damage is told to the operator.
pub(crate) fn damaged(blob: &Blob, error: store::Error) -> Fault<Findings> {
    if let store::Error::Damaged(what) = &error {
        tracing::error!(blob = blob.id, what, "a stored document is damaged");
        alarm();
    }
    Fault::from(error)
}

/// Raises the alarm of damaged or missing bytes.
fn alarm() {
    meter::count("docshare_integrity_failures_total", &[], 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_range_of_accept_decides() {
        assert!(accepts("*/*", "text/plain"));
        assert!(accepts("application/pdf, text/*;q=0.5", "text/plain; charset=utf-8"));
        assert!(!accepts("application/pdf", "text/plain"));
        assert!(!accepts("*/*, text/plain;q=0", "text/plain"));
        assert!(accepts("text/*;q=0, text/plain", "text/plain"));
        assert!(!accepts("application/fhir+json", "text/plain"));
        assert!(accepts("", "text/plain"));
    }
}
