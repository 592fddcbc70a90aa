//! Messages as HTTP answers.

use bytes::Bytes;
use ebxml::addressing::Addressing;
use ebxml::mtom::{self, Enclosed, Encoder, Format, Frame, Package, Piece};
use ebxml::soap;
use futures_util::stream::{self, LocalBoxStream, StreamExt};
use http::{HeaderValue, StatusCode, header};
use web::{Answer, AnswerBody};

/// Bytes of a document on its way out.
pub type Chunks = LocalBoxStream<'static, Result<Bytes, web::Error>>;

/// A document that goes out with an answer.
pub struct Document {
    /// Its media type.
    pub content_type: String,
    /// Its bytes: exactly so many come.
    pub length: u64,
    /// They.
    pub stream: Chunks,
}

impl Enclosed for Document {
    fn content_type(&self) -> &str {
        &self.content_type
    }

    fn length(&self) -> u64 {
        self.length
    }
}

/// Bytes of an answer, below which it is sent in one piece: joining so few costs less than each piece on its own way.
const JOINED: u64 = 16 << 10;

/// A message as an answer.
pub(crate) fn message(addressing: &Addressing, body: Vec<Piece<Document>>, format: Format) -> Answer {
    let unique = uuid::Uuid::new_v4().to_string();
    let Package { content_type, length, frames } = mtom::package(addressing, body, format, &unique);
    let answer = Answer::empty(StatusCode::OK).with(header::CONTENT_TYPE, value(&content_type));
    if frames.iter().all(|frame| matches!(frame, Frame::Bytes(_))) {
        let parts = frames.into_iter().filter_map(|frame| match frame {
            Frame::Bytes(bytes) => Some(bytes),
            Frame::Document { .. } => None,
        });
        let parts: Vec<Bytes> = parts.collect();
        return answer.body(match length {
            ..JOINED => AnswerBody::Bytes(parts.concat().into()),
            _ => AnswerBody::Parts(parts),
        });
    }
    let stream = stream::iter(frames).flat_map(|frame| match frame {
        Frame::Bytes(bytes) => stream::once(async { Ok(bytes) }).boxed_local(),
        Frame::Document { document, base64: false } => document.stream,
        Frame::Document { document, base64: true } => encoded(document.stream),
    });
    answer.body(AnswerBody::Stream { length, stream: stream.boxed_local() })
}

/// A document as base64, a piece at a time.
fn encoded(stream: Chunks) -> Chunks {
    stream::unfold(Some((stream, Encoder::default())), |state| async {
        let (mut stream, mut encoder) = state?;
        match stream.next().await {
            Some(Ok(bytes)) => Some((Ok(Bytes::from(encoder.feed(&bytes))), Some((stream, encoder)))),
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Ok(Bytes::from(encoder.finish())), None)),
        }
    })
    .boxed_local()
}

/// A fault as an answer. `request` is what it answers, as far as that was read.
pub(crate) fn fault(fault: &soap::Fault, request: &Addressing) -> Answer {
    let status = StatusCode::from_u16(fault.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = fault.write(&message_id(), request);
    let content_type = format!("{}; charset=UTF-8", soap::MEDIA_TYPE);
    Answer::empty(status)
        .with(header::CONTENT_TYPE, value(&content_type))
        .body(AnswerBody::Bytes(Bytes::from(body)))
}

/// A name for a message of ours.
pub(crate) fn message_id() -> String {
    format!("urn:uuid:{}", uuid::Uuid::new_v4())
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(soap::MEDIA_TYPE))
}
