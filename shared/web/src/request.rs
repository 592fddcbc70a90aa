//! A request as the faces see it.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use http::{HeaderMap, Method};

use crate::error::Error;

/// A request whose head has been checked; the body has not been touched.
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path below the base, still percent-encoded, beginning with `/` (the base itself is `/`). The server gives the whole
    /// path; the runner cuts the base off once it has routed the request.
    pub path: String,
    /// The query string without `?`, still encoded.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// Who is at the other end of the connection.
    pub peer: SocketAddr,
    /// `X-Request-Id`: the caller's if it is well formed, else a new one.
    pub id: String,
    /// W3C `traceparent` of this request.
    pub trace: String,
    /// Absolute base URL of this actor's FHIR endpoint without trailing slash, from `server.public_url` or the `Host`.
    pub base: String,
    /// What the router found in the path.
    pub params: Params,
    /// Which transaction it is, where its path does not say so but its body: set by who has read it, for metrics and logs.
    pub transaction: Option<&'static str>,
    /// The body.
    pub body: Body,
}

impl Request {
    /// A message that did not come over HTTP, so that it walks the same corridor: its bytes are the body, and it has an id and
    /// a trace of its own.
    pub fn message(peer: SocketAddr, bytes: impl Into<Bytes>) -> Request {
        let none = HeaderMap::new();
        Request {
            method: Method::POST,
            path: "/".to_owned(),
            query: String::new(),
            peer,
            id: crate::trace::new_request_id(),
            trace: crate::trace::trace(&none),
            headers: none,
            base: String::new(),
            params: Params::default(),
            transaction: None,
            body: Body::from_bytes(bytes),
        }
    }

    /// A header as text; several lines are joined as one list.
    pub fn header(&self, name: http::HeaderName) -> Option<String> {
        let mut lines = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let first = lines.next()?.to_owned();
        Some(lines.fold(first, |all, line| format!("{all}, {line}")))
    }
}

/// Values of the variable parts of a path, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(pub Vec<(String, String)>);

impl Params {
    /// The value of a variable part.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// A body that streams: limits of size (after decoding), stall and rate are kept while it is read.
pub struct Body {
    source: Box<dyn BodySource>,
}

/// Where the bytes of a body come from.
pub trait BodySource {
    /// The next bytes (decoded), none at the end.
    fn next(&mut self) -> LocalBoxFuture<'_, Option<Result<Bytes, Error>>>;
    /// `Content-Length`, if declared and not compressed.
    fn declared(&self) -> Option<u64>;
}

impl Body {
    /// A body from a source.
    pub fn new(source: impl BodySource + 'static) -> Body {
        Body { source: Box::new(source) }
    }

    /// A body from bytes, for tests.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Body {
        struct Whole(Option<Bytes>);
        impl BodySource for Whole {
            fn next(&mut self) -> LocalBoxFuture<'_, Option<Result<Bytes, Error>>> {
                let bytes = self.0.take().filter(|b| !b.is_empty());
                Box::pin(async move { bytes.map(Ok) })
            }
            fn declared(&self) -> Option<u64> {
                self.0.as_ref().map(|b| b.len() as u64)
            }
        }
        Body::new(Whole(Some(bytes.into())))
    }

    /// The next bytes, none at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        self.source.next().await
    }

    /// `Content-Length`, if declared and not compressed.
    pub fn declared(&self) -> Option<u64> {
        self.source.declared()
    }

    /// The whole body, at most `limit` bytes; `key` names the limit in the refusal.
    pub async fn whole(&mut self, limit: u64, key: &'static str) -> Result<Bytes, Error> {
        if self.declared().is_some_and(|declared| declared > limit) {
            return Err(Error::TooLarge { limit, key });
        }
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        if first.len() as u64 > limit {
            return Err(Error::TooLarge { limit, key });
        }
        let Some(second) = self.next().await.transpose()? else { return Ok(first) };
        let mut all = bytes::BytesMut::from(first.as_ref());
        all.extend_from_slice(&second);
        while let Some(more) = self.next().await.transpose()? {
            if (all.len() + more.len()) as u64 > limit {
                return Err(Error::TooLarge { limit, key });
            }
            all.extend_from_slice(&more);
        }
        if all.len() as u64 > limit { Err(Error::TooLarge { limit, key }) } else { Ok(all.freeze()) }
    }
}
