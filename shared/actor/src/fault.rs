//! What leaves a use case when it does not succeed. Each face has one exhaustive `match` from here to its own shape.

use std::time::Duration;

/// Why a transaction did not happen. `F` is what the domain calls a broken rule.
#[derive(Debug)]
pub enum Fault<F> {
    /// Rules were broken: all of them, worst first.
    Refused(F),
    /// Nobody knows who the caller is.
    Unauthenticated,
    /// The caller may not.
    Forbidden,
    /// Nothing there by that name.
    NotFound,
    /// It was there and is no more; the version that says so.
    Gone(u64),
    /// The body is larger than a limit (bytes); its key.
    TooLarge {
        /// The limit.
        limit: u64,
        /// Its configuration key.
        key: &'static str,
    },
    /// The body stalled, or the caller went away.
    BodyLost,
    /// `Content-Type` or `Content-Encoding` is not one we take; which ones we do.
    UnsupportedMedia(String),
    /// Nothing the caller accepts can be given.
    NotAcceptable(String),
    /// A precondition of the caller (`If-Match`) does not hold; what stands.
    Precondition(String),
    /// Too much at once; come again after this time.
    Busy(Duration),
    /// A peer is certainly not reached; nothing was stored.
    Unavailable {
        /// Which peer.
        peer: String,
        /// When to come again.
        retry: Duration,
    },
    /// Whether it happened is not known: send again with the same id.
    Unknown {
        /// When to come again.
        retry: Duration,
    },
    /// The store has no room.
    NoRoom(String),
    /// Stored bytes are damaged; the alarm has been raised.
    Damaged,
    /// Our own defect. The cause goes to the log under the request id, never to the caller.
    Internal(String),
}

impl<F> From<store::Error> for Fault<F> {
    fn from(error: store::Error) -> Fault<F> {
        match error {
            store::Error::NoRoom(why) => Fault::NoRoom(why),
            store::Error::Damaged(_) => Fault::Damaged,
            store::Error::TooLarge { limit } => {
                Fault::TooLarge { limit, key: "server.limits.max_document_bytes" }
            }
            store::Error::Lost(_) => Fault::Busy(Duration::from_secs(1)),
            store::Error::BadCursor
            | store::Error::Stopped(_)
            | store::Error::Unusable(_)
            | store::Error::Io { .. } => Fault::Internal(error.to_string()),
        }
    }
}

impl<F> From<web::Error> for Fault<F> {
    fn from(error: web::Error) -> Fault<F> {
        match error {
            web::Error::TooLarge { limit, key } => Fault::TooLarge { limit, key },
            web::Error::Slow | web::Error::Gone => Fault::BodyLost,
            web::Error::Coding(what) => Fault::UnsupportedMedia(what),
            web::Error::NotReached { peer, .. } => Fault::Unavailable { peer, retry: Duration::from_secs(2) },
            web::Error::Unknown { .. } | web::Error::Deadline(_) => {
                Fault::Unknown { retry: Duration::from_secs(2) }
            }
            web::Error::Source(why) => Fault::Internal(why),
        }
    }
}
