//! Retrieve Document [ITI-68] on the wire: plain HTTP, the document itself under its own type.

use actor::{Codec, Context, Fault};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fhir::negotiate::Format;
use futures_util::StreamExt as _;
use http::{HeaderName, HeaderValue, StatusCode, header};
use web::{Answer, AnswerBody, Request};
use xds::Findings;

use crate::Repository;
use crate::disposition::essence;
use crate::documents::{Content, Extent, Given, Question, Retrieve, damaged, etag};
use crate::face::fhir as face;

/// Answers one retrieval.
pub(crate) async fn serve(repository: &Repository, request: &mut Request) -> Answer {
    let codec = Raw { inline_types: &repository.retrieve.inline_types };
    repository.house.corridor.walk(&repository.retrieve, &codec, request).await
}

/// The document as its own bytes.
pub(crate) struct Raw<'a> {
    /// Types a browser may show.
    pub(crate) inline_types: &'a [String],
}

impl Codec<Retrieve> for Raw<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Question, Fault<Findings>> {
        Ok(Question { accept: face::text(request, header::ACCEPT), ..question(request) })
    }

    fn write(&self, given: Given, _: &Context) -> Answer {
        raw(given, self.inline_types)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        let fault = match fault {
            Fault::NotAcceptable(content_type) => Fault::NotAcceptable(format!(
                "The document is {content_type}; it can be had in no other type."
            )),
            other => other,
        };
        face::refuse(&fault, face::id(context), Format::default())
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        face::reason(fault)
    }
}

/// What a request asks for, whatever type it accepts.
pub(crate) fn question(request: &Request) -> Question {
    let head = request.method == http::Method::HEAD;
    Question {
        id: request.params.get("id").unwrap_or_default().to_owned(),
        accept: None,
        none_match: face::text(request, header::IF_NONE_MATCH),
        // Ranges are defined for GET alone.
        range: if head { None } else { face::text(request, header::RANGE) },
        if_range: face::text(request, header::IF_RANGE),
        head,
    }
}

/// The answer with the document as its own bytes.
pub(crate) fn raw(given: Given, inline_types: &[String]) -> Answer {
    let size = given.blob.size;
    let (status, length) = match &given.extent {
        Extent::Whole => (StatusCode::OK, size),
        Extent::Part(range) => (StatusCode::PARTIAL_CONTENT, range.end - range.start),
        Extent::NotModified => (StatusCode::NOT_MODIFIED, 0),
        Extent::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0),
    };
    let mut answer = Answer::empty(status);
    answer.headers.reserve(10);
    let headers = &mut answer.headers;
    headers.push((header::ETAG, value(&etag(&given.blob))));
    headers.push((header::ACCEPT_RANGES, HeaderValue::from_static("bytes")));
    match &given.extent {
        Extent::NotModified => return answer,
        Extent::Unsatisfiable => {
            headers.push((header::CONTENT_RANGE, value(&format!("bytes */{size}"))));
            return answer;
        }
        Extent::Part(range) => {
            let of = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            headers.push((header::CONTENT_RANGE, value(&of)));
        }
        Extent::Whole => {}
    }
    describe(headers, &given, inline_types);
    let body = match given.content {
        Content::Nothing => face::headless(length),
        Content::Parts(parts) => AnswerBody::Parts(parts),
        Content::Stream(chunks) => {
            let blob = given.blob;
            let verified = chunks.map(move |chunk| {
                chunk.map_err(|error| {
                    damaged(&blob, error);
                    web::Error::Source("the stored bytes are damaged".to_owned())
                })
            });
            AnswerBody::Stream { length, stream: verified.boxed_local() }
        }
    };
    answer.body(body)
}

/// Headers about the document itself.
fn describe(headers: &mut Vec<(HeaderName, HeaderValue)>, given: &Given, inline_types: &[String]) {
    let document = &given.document;
    let content_type = HeaderValue::from_str(&document.content_type)
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    headers.push((header::CONTENT_TYPE, content_type));
    let mut digest = String::with_capacity(56);
    digest.push_str("sha-256=:");
    STANDARD.encode_string(given.blob.sha256, &mut digest);
    digest.push(':');
    headers.push((HeaderName::from_static("repr-digest"), value(&digest)));
    let essence = essence(&document.content_type);
    let shown = inline_types.contains(&essence);
    headers.push((header::CONTENT_DISPOSITION, web::content_disposition(shown, Some(&document.file_name))));
    // A document is a stranger's: whatever a browser makes of it, it runs nothing and reaches nothing.
    let sandbox = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.push((header::CONTENT_SECURITY_POLICY, sandbox));
    if let Some(modified) = last_modified(given.blob.instant) {
        headers.push((header::LAST_MODIFIED, value(&modified)));
    }
}

/// An HTTP date.
pub(crate) fn last_modified(microseconds: i64) -> Option<String> {
    jiff::Timestamp::from_microsecond(microseconds).ok().map(web::range::http_date)
}

/// A header value made here of digits, hexadecimal and clean file names.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
