//! `GET /fhir/Binary/{id}`: the same bytes by FHIR's rules. Who accepts a FHIR type gets them wrapped in a Binary, made
//! while it is sent; everybody else gets them raw.

use actor::{Codec, Context, Fault};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fhir::negotiate::{self, Format, Syntax};
use futures_util::stream::LocalBoxStream;
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use web::{Answer, AnswerBody, Request};
use xds::Findings;

use crate::Repository;
use crate::answer::instant;
use crate::documents::{Content, Extent, Given, Question, Retrieve, damaged};
use crate::face::fhir as face;
use crate::face::iti68::{last_modified, question, raw};

/// Answers one read.
pub(crate) async fn serve(repository: &Repository, request: &mut Request) -> Answer {
    let accept = face::text(request, header::ACCEPT);
    let wrapped = wants_resource(&request.query, accept.as_deref());
    let format = wrapped.then(|| negotiate::answer(&request.query, accept.as_deref()));
    let codec = Binary { retrieve: &repository.retrieve, format };
    repository.house.corridor.walk(&repository.retrieve, &codec, request).await
}

struct Binary<'a> {
    retrieve: &'a Retrieve,
    /// What the resource is written as; none where the bytes themselves are wanted.
    format: Option<Result<Format, String>>,
}

/// Whether a FHIR type is asked for, by name.
fn wants_resource(query: &str, accept: Option<&str>) -> bool {
    if query.split('&').any(|parameter| parameter.starts_with("_format=")) {
        return true;
    }
    let accept = accept.unwrap_or_default();
    let first = accept.split(',').next().and_then(|range| range.split(';').next()).unwrap_or_default().trim();
    // A plain JSON or XML type is a document's own.
    first.to_ascii_lowercase().contains("fhir") && negotiate::named(first).is_some()
}

impl Codec<Retrieve> for Binary<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Question, Fault<Findings>> {
        if request.params.get("version").is_some_and(|version| version != "1") {
            return Err(Fault::NotFound);
        }
        let question = question(request);
        match &self.format {
            None => return Ok(question),
            Some(Err(why)) => return Err(Fault::NotAcceptable(why.clone())),
            Some(Ok(_)) => {}
        }
        Ok(Question { none_match: None, range: None, if_range: None, ..question })
    }

    fn write(&self, given: Given, _: &Context) -> Answer {
        match &self.format {
            Some(format) => {
                let syntax = format.as_ref().map_or(Syntax::Json, |format| format.syntax);
                wrapped(given, &self.retrieve.registry, syntax)
            }
            None => raw(given, &self.retrieve.inline_types),
        }
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        face::refuse(&fault, face::id(context), Format::default())
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        face::reason(fault)
    }
}

/// The Binary resource: a head, the bytes in base64 as they are read, a tail.
fn wrapped(given: Given, registry: &str, syntax: Syntax) -> Answer {
    let (head, tail) = frame(&given, registry, syntax);
    let length = head.len() as u64 + given.blob.size.div_ceil(3) * 4 + tail.len() as u64;
    let mut answer = Answer::empty(StatusCode::OK)
        .with(header::CONTENT_TYPE, HeaderValue::from_static(syntax.content_type()))
        .with(header::ETAG, HeaderValue::from_static("W/\"1\""));
    if let Some(Ok(modified)) =
        last_modified(given.blob.instant).map(|modified| HeaderValue::from_str(&modified))
    {
        answer = answer.with(header::LAST_MODIFIED, modified);
    }
    let blob = given.blob;
    let chunks: LocalBoxStream<'static, Result<Bytes, web::Error>> = match (given.extent, given.content) {
        (Extent::Whole, Content::Parts(parts)) => stream::iter(parts.into_iter().map(Ok)).boxed_local(),
        (Extent::Whole, Content::Stream(chunks)) => chunks
            .map(move |chunk| {
                chunk.map_err(|error| {
                    damaged(&blob, error);
                    web::Error::Source("the stored bytes are damaged".to_owned())
                })
            })
            .boxed_local(),
        _ => return answer.body(face::headless(length)),
    };
    let body = stream::iter([Ok(head)]).chain(encoded(chunks)).chain(stream::iter([Ok(tail)])).boxed_local();
    answer.body(AnswerBody::Stream { length, stream: body })
}

/// What stands before and behind the data.
fn frame(given: &Given, registry: &str, syntax: Syntax) -> (Bytes, Bytes) {
    let document = &given.document;
    let mut resource = json!({
        "resourceType": "Binary",
        "id": given.id,
        "meta": { "versionId": "1" },
        "contentType": document.content_type,
    });
    if let Some(updated) = instant(given.blob.instant) {
        resource["meta"]["lastUpdated"] = updated.into();
    }
    if let Some(entry) = &document.entry {
        resource["securityContext"] = json!({ "reference": format!("{registry}/DocumentReference/{entry}") });
    }
    let head = resource.to_string();
    let (head, data, end, tail) = match syntax {
        Syntax::Json => (head.into_bytes(), ",\"data\":\"", "\"", "}"),
        // The head is a resource whole: it ends as one, and its data comes last.
        Syntax::Xml => {
            (fhir::xml::write(head.as_bytes()).unwrap_or_default(), "<data value=\"", "\"/>", "</Binary>")
        }
    };
    let head = head.strip_suffix(tail.as_bytes()).unwrap_or(&head);
    if given.blob.size == 0 {
        return (Bytes::copy_from_slice(head), tail.into());
    }
    (Bytes::from([head, data.as_bytes()].concat()), format!("{end}{tail}").into())
}

/// Base64 of a stream, three bytes at a time: what is left of a chunk goes before the next.
fn encoded(
    chunks: LocalBoxStream<'static, Result<Bytes, web::Error>>,
) -> impl futures_util::Stream<Item = Result<Bytes, web::Error>> {
    stream::unfold((chunks, Vec::new(), false), |(mut chunks, mut rest, done)| async move {
        if done {
            return None;
        }
        match chunks.next().await {
            Some(Ok(chunk)) => {
                rest.extend_from_slice(&chunk);
                let whole = rest.len() / 3 * 3;
                let text = STANDARD.encode(&rest[..whole]);
                rest.drain(..whole);
                Some((Ok(Bytes::from(text)), (chunks, rest, false)))
            }
            Some(Err(error)) => Some((Err(error), (chunks, rest, true))),
            None => {
                let text = STANDARD.encode(&rest);
                Some((Ok(Bytes::from(text)), (chunks, rest, true)))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fhir_type_by_name_asks_for_the_resource() {
        assert!(wants_resource("", Some("application/fhir+json")));
        assert!(wants_resource("_format=json", None));
        for accept in [None, Some("*/*"), Some("image/png"), Some("text/html, application/fhir+json;q=0.5")] {
            assert!(!wants_resource("", accept), "{accept:?}");
        }
    }

    #[tokio::test]
    async fn base64_does_not_show_where_the_chunks_met() {
        let bytes: Vec<u8> = (0..=255).collect();
        for size in [1, 2, 3, 5, 64, 255] {
            let chunks: Vec<_> = bytes.chunks(size).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
            let text: Vec<Bytes> = encoded(stream::iter(chunks).boxed_local())
                .map(|chunk| chunk.expect("no damage"))
                .collect()
                .await;
            assert_eq!(text.concat(), STANDARD.encode(&bytes).into_bytes(), "{size}");
        }
    }
}
