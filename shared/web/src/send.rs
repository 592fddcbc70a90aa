//! How an answer goes out: the headers every answer has, compression for those who ask, and bodies without copies of ours.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::body::{BodySize, MessageBody};
use actix_http::header::{HeaderName, HeaderValue};
use actix_http::{ConnectionType, Response};
use bytes::Bytes;
use futures_util::stream::LocalBoxStream;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE,
};

use crate::answer::{Answer, AnswerBody};
use crate::coding::Coding;
use crate::error::Error;
use crate::guard::Connection;
use crate::request::Request;
use crate::trace;

/// Bodies smaller than this are not worth compressing.
const WORTHWHILE: usize = 1 << 10;

/// A name one peer gives to a request, which comes back with the answer to it. Not `X-Request-Id`: what stands between two
/// peers may put its own there.
pub(crate) const EXCHANGE: &str = "docshare-exchange";

/// What an answer needs to know of its request.
pub(crate) struct Dressing {
    pub(crate) id: String,
    trace: String,
    /// What a peer calls this exchange, so that it can tell whose answer it gets.
    exchange: Option<http::HeaderValue>,
    headless: bool,
    coding: Option<Coding>,
}

impl Dressing {
    pub(crate) fn of(request: &Request, headless: bool) -> Dressing {
        // Documents go out as they are: their check sums and ranges are those of the bytes as stored.
        let coding = if request.path.starts_with("/documents") {
            None
        } else {
            Coding::wanted(request.headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()))
        };
        let exchange = request.headers.get(EXCHANGE).filter(|name| name.len() <= 64).cloned();
        Dressing { id: request.id.clone(), trace: request.trace.clone(), exchange, headless, coding }
    }

    /// For an answer to a request that was never understood.
    pub(crate) fn plain() -> Dressing {
        let none = http::HeaderMap::new();
        let (id, trace) = (trace::request_id(&none), trace::trace(&none));
        Dressing { id, trace, exchange: None, headless: false, coding: None }
    }
}

/// A body on its way out. When it is gone, the answer is written.
pub(crate) struct Outgoing {
    content: Content,
    connection: Option<Rc<Connection>>,
}

enum Content {
    Nothing,
    /// The answer to a HEAD: a length and no bytes.
    Headless(u64),
    Bytes(Bytes),
    Parts(std::vec::IntoIter<Bytes>, u64),
    Stream(LocalBoxStream<'static, Result<Bytes, Error>>, u64),
}

impl Outgoing {
    pub(crate) fn nothing() -> Outgoing {
        Outgoing { content: Content::Nothing, connection: None }
    }

    /// Tells the connection when it is gone.
    pub(crate) fn on(mut self, connection: Rc<Connection>) -> Outgoing {
        self.connection = Some(connection);
        self
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.answered();
        }
    }
}

impl MessageBody for Outgoing {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        size(&self.content)
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        match &mut self.content {
            Content::Nothing | Content::Headless(_) => Poll::Ready(None),
            Content::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Nothing;
                Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)))
            }
            Content::Parts(parts, _) => Poll::Ready(parts.find(|part| !part.is_empty()).map(Ok)),
            Content::Stream(stream, _) => {
                stream.as_mut().poll_next(cx).map(|next| next.map(|item| item.map_err(io::Error::other)))
            }
        }
    }
}

fn size(content: &Content) -> BodySize {
    match content {
        Content::Nothing => BodySize::Sized(0),
        Content::Bytes(bytes) => BodySize::Sized(bytes.len() as u64),
        Content::Headless(length) | Content::Parts(_, length) | Content::Stream(_, length) => {
            BodySize::Sized(*length)
        }
    }
}

/// The answer as actix sends it.
pub(crate) fn dress(mut answer: Answer, dressing: Dressing) -> Response<Outgoing> {
    compress(&mut answer, dressing.coding);
    let mut body = match answer.body {
        AnswerBody::Empty => Content::Nothing,
        AnswerBody::Bytes(bytes) => Content::Bytes(bytes),
        AnswerBody::Parts(parts) => {
            let length = parts.iter().map(|part| part.len() as u64).sum();
            Content::Parts(parts.into_iter(), length)
        }
        AnswerBody::Stream { length, stream } => Content::Stream(stream, length),
    };
    if dressing.headless
        && let BodySize::Sized(length) = size(&body)
    {
        body = Content::Headless(length);
    }
    let status = actix_http::StatusCode::from_u16(answer.status.as_u16())
        .unwrap_or(actix_http::StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::with_body(status, Outgoing { content: body, connection: None });
    let own_cache_control = answer.headers.iter().any(|(name, _)| *name == CACHE_CONTROL);
    let headers = response.headers_mut();
    for (name, value) in &answer.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    const VARY: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding, Prefer, Origin");
    const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
    const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
    const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
    headers.insert(actix_http::header::VARY, VARY);
    headers.insert(actix_http::header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if !own_cache_control {
        headers.insert(actix_http::header::CACHE_CONTROL, NO_STORE);
    }
    for (name, text) in [(REQUEST_ID, dressing.id), (TRACEPARENT, dressing.trace)] {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
    if let Some(Ok(exchange)) = dressing.exchange.map(|name| HeaderValue::from_bytes(name.as_bytes())) {
        headers.insert(HeaderName::from_static(EXCHANGE), exchange);
    }
    if answer.close {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

fn compress(answer: &mut Answer, coding: Option<Coding>) {
    let Some(coding) = coding else { return };
    let parts = match &answer.body {
        AnswerBody::Bytes(bytes) => std::slice::from_ref(bytes),
        AnswerBody::Parts(parts) => parts.as_slice(),
        AnswerBody::Empty | AnswerBody::Stream { .. } => return,
    };
    if parts.iter().map(Bytes::len).sum::<usize>() < WORTHWHILE || !compressible(answer) {
        return;
    }
    match coding.encode(parts) {
        Ok(encoded) => {
            answer.body = AnswerBody::Bytes(encoded.into());
            answer.headers.push((CONTENT_ENCODING, http::HeaderValue::from_static(coding.name())));
        }
        Err(error) => tracing::warn!(%error, "an answer goes out uncompressed"),
    }
}

fn compressible(answer: &Answer) -> bool {
    let has = |wanted: http::HeaderName| answer.headers.iter().any(|(name, _)| *name == wanted);
    let kind =
        answer.headers.iter().find(|(name, _)| *name == CONTENT_TYPE).map(|(_, value)| value.as_bytes());
    let text = kind.is_some_and(|kind| {
        [&b"application/fhir+"[..], b"application/json", b"application/xml", b"text/"]
            .iter()
            .any(|start| kind.starts_with(start))
    });
    text && !has(CONTENT_ENCODING)
        && !has(CONTENT_RANGE)
        && !has(ACCEPT_RANGES)
        && !has(http::HeaderName::from_static("repr-digest"))
}
