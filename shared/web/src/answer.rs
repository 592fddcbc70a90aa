//! An answer as the faces give it.

use bytes::Bytes;
use futures_util::stream::LocalBoxStream;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::error::Error;

/// An answer: status, headers beside the ones every answer carries, body.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Headers of this answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: AnswerBody,
    /// True when the connection must not be used again.
    pub close: bool,
}

/// The body of an answer.
pub enum AnswerBody {
    /// Nothing.
    Empty,
    /// Bytes at hand.
    Bytes(Bytes),
    /// Bytes at hand, in parts that are sent one behind the other without being joined.
    Parts(Vec<Bytes>),
    /// A stream of known length; an error ends the connection in the middle.
    Stream {
        /// Bytes in all.
        length: u64,
        /// The bytes.
        stream: LocalBoxStream<'static, Result<Bytes, Error>>,
    },
}

impl Answer {
    /// An answer without a body.
    pub fn empty(status: StatusCode) -> Answer {
        Answer { status, headers: Vec::new(), body: AnswerBody::Empty, close: false }
    }

    /// An answer with a body of a type.
    pub fn bytes(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
        Answer::empty(status)
            .with(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type))
            .body(AnswerBody::Bytes(body.into()))
    }

    /// The same with one more header.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Answer {
        self.headers.push((name, value));
        self
    }

    /// The same with another body.
    pub fn body(mut self, body: AnswerBody) -> Answer {
        self.body = body;
        self
    }
}
