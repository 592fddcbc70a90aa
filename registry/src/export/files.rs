//! The files of an export, as they are given out.

use std::ops::Range;
use std::sync::Arc;

use access::Grant;
use actor::{Audited, Fault, Subject, Trail, Transaction};
use audit::Action;
use store::Instant;
use store::blob::{Blob, Chunks};
use web::range::{self, Selection};
use xds::Findings;

use super::Exports;

/// Gives a file out.
#[derive(Clone)]
pub(crate) struct Fetch(pub(crate) Arc<Exports>);

/// Which file, and what of it.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The export.
    pub(crate) id: String,
    /// The name of the file: its number, from 1, and `.ndjson`.
    pub(crate) file: String,
    /// `Range`.
    pub(crate) range: Option<String>,
    /// `If-Range`.
    pub(crate) if_range: Option<String>,
    /// `If-None-Match`.
    pub(crate) none_match: Option<String>,
    /// Whether only the head is wanted.
    pub(crate) head: bool,
}

/// A file, or a part of it.
pub(crate) struct Fetched {
    /// The file.
    pub(crate) blob: Blob,
    /// Its entity tag.
    pub(crate) etag: String,
    /// What of it; none: the caller has it.
    pub(crate) selection: Option<Selection>,
    /// The bytes of that; none if only the head is wanted, or there is nothing to send.
    pub(crate) chunks: Option<Chunks>,
    /// Until when it is there.
    pub(crate) expires: Instant,
}

impl Transaction for Fetch {
    type Request = Wanted;
    type Response = Fetched;
    type Findings = Findings;
    const NUMBER: &'static str = "export";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        wanted: Wanted,
    ) -> Result<Audited<Fetched>, Fault<Findings>> {
        let Fetch(exports) = self;
        let store = &exports.store;
        let record = exports.known(&wanted.id, exports.clock.now())?.ok_or(Fault::NotFound)?;
        let ended = record.ended.ok_or(Fault::NotFound)?;
        let number: usize = wanted
            .file
            .strip_suffix(".ndjson")
            .and_then(|number| number.parse().ok())
            .and_then(|number: usize| number.checked_sub(1))
            .ok_or(Fault::NotFound)?;
        let file = record.files.get(number).ok_or(Fault::NotFound)?;
        let blob = store.blob(&file.blob)?.ok_or(Fault::Damaged)?;
        let etag = format!("\"{}\"", hexadecimal(&blob.sha256));
        let known = wanted.none_match.is_some_and(|tags| range::names_tag(&tags, &etag, true));
        let asked = wanted
            .range
            .as_deref()
            .filter(|_| !wanted.head && range::if_range_holds(wanted.if_range.as_deref(), &etag, None));
        let selection = (!known).then(|| range::select(asked, blob.size));
        let extent: Option<Range<u64>> = match &selection {
            Some(Selection::Whole) => Some(0..blob.size),
            Some(Selection::Part(part)) => Some(part.clone()),
            Some(Selection::Beyond) | None => None,
        };
        let chunks = match extent.filter(|_| !wanted.head) {
            Some(extent) => Some(store.read(&blob, extent).await?),
            None => None,
        };
        let expires = ended.saturating_add(exports.keep());
        let subject = Subject {
            patient: None,
            entities: vec![format!("export/{}/{}", wanted.id, wanted.file)],
            query: None,
        };
        let fetched = Fetched { blob, etag, selection, chunks, expires };
        Ok(trail.note(store, exports.clock.now(), subject, fetched).await?)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes any text");
        text
    })
}
