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
    /// The body is not what its framing or content coding says; how.
    BodyBroken(String),
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
    /// The store cannot be written at present; nothing was.
    Unwritable(String),
    /// Stored bytes are damaged; the alarm has been raised.
    Damaged,
    /// Stored bytes cannot be read at present, which does not say that they are damaged.
    Unreadable(String),
    /// Our own defect. The cause goes to the log under the request id, never to the caller.
    Internal(String),
}

impl<F> Fault<F> {
    /// The same fault, its broken rules in other words.
    pub fn map<G>(self, words: impl FnOnce(F) -> G) -> Fault<G> {
        match self {
            Fault::Refused(findings) => Fault::Refused(words(findings)),
            Fault::Unauthenticated => Fault::Unauthenticated,
            Fault::Forbidden => Fault::Forbidden,
            Fault::NotFound => Fault::NotFound,
            Fault::Gone(version) => Fault::Gone(version),
            Fault::TooLarge { limit, key } => Fault::TooLarge { limit, key },
            Fault::BodyLost => Fault::BodyLost,
            Fault::BodyBroken(how) => Fault::BodyBroken(how),
            Fault::UnsupportedMedia(taken) => Fault::UnsupportedMedia(taken),
            Fault::NotAcceptable(what) => Fault::NotAcceptable(what),
            Fault::Precondition(stands) => Fault::Precondition(stands),
            Fault::Busy(after) => Fault::Busy(after),
            Fault::Unavailable { peer, retry } => Fault::Unavailable { peer, retry },
            Fault::Unknown { retry } => Fault::Unknown { retry },
            Fault::NoRoom(why) => Fault::NoRoom(why),
            Fault::Unwritable(why) => Fault::Unwritable(why),
            Fault::Damaged => Fault::Damaged,
            Fault::Unreadable(why) => Fault::Unreadable(why),
            Fault::Internal(cause) => Fault::Internal(cause),
        }
    }
}

impl<F> From<store::Error> for Fault<F> {
    fn from(error: store::Error) -> Fault<F> {
        match error {
            store::Error::NoRoom(why) => Fault::NoRoom(why),
            store::Error::Unwritable(why) => Fault::Unwritable(why),
            // What was being written when it stopped may be on storage or not: only the next start can tell.
            store::Error::Stopped(_) => Fault::Unknown { retry: Duration::from_secs(5) },
            store::Error::Damaged(_) => Fault::Damaged,
            store::Error::TooLarge { limit } => {
                Fault::TooLarge { limit, key: "server.limits.max_document_bytes" }
            }
            store::Error::Lost(_) => Fault::Busy(Duration::from_secs(1)),
            // What could not be written is told as `Unwritable`: this was read.
            store::Error::Io { attempt, source } => Fault::Unreadable(format!("{attempt}: {source}")),
            store::Error::BadCursor | store::Error::TooBroad { .. } | store::Error::Unusable(_) => {
                Fault::Internal(error.to_string())
            }
        }
    }
}

impl<F> From<web::Error> for Fault<F> {
    fn from(error: web::Error) -> Fault<F> {
        match error {
            web::Error::TooLarge { limit, key } => Fault::TooLarge { limit, key },
            web::Error::Slow | web::Error::Gone => Fault::BodyLost,
            web::Error::Broken(why) => Fault::BodyBroken(why),
            web::Error::Coding(what) => Fault::UnsupportedMedia(what),
            web::Error::NotReached { peer, .. } => Fault::Unavailable { peer, retry: Duration::from_secs(2) },
            web::Error::Unknown { .. } | web::Error::Deadline(_) => {
                Fault::Unknown { retry: Duration::from_secs(2) }
            }
            web::Error::Source(why) => Fault::Internal(why),
        }
    }
}

/// A fault in words, for a face to print: everything but `Refused`, which only the domain can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// HTTP status.
    pub status: u16,
    /// FHIR issue type.
    pub issue: &'static str,
    /// Our own code, kebab-case and stable.
    pub code: &'static str,
    /// One or two sentences: what is wrong, what is accepted, whether anything was stored.
    pub text: String,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u64>,
    /// True when the connection cannot be used again, because a body was not read to its end.
    pub close: bool,
}

impl Told {
    fn new(status: u16, issue: &'static str, code: &'static str, text: impl Into<String>) -> Told {
        Told { status, issue, code, text: text.into(), retry_after: None, close: false }
    }

    fn retry(mut self, after: Duration) -> Told {
        self.retry_after = Some(after.as_secs().max(1));
        self
    }

    fn closing(mut self) -> Told {
        self.close = true;
        self
    }
}

impl<F> Fault<F> {
    /// The fault in words; none for `Refused`.
    pub fn told(&self) -> Option<Told> {
        Some(match self {
            Fault::Refused(_) => return None,
            Fault::Unauthenticated => Told::new(
                401,
                "login",
                "caller-unknown",
                "The caller is not known; this server, under the local development policy, answers only callers on its own machine. Nothing was read or stored.",
            )
            .closing(),
            Fault::Forbidden => Told::new(
                403,
                "forbidden",
                "not-allowed",
                "The caller may not do this. Nothing was stored.",
            )
            .closing(),
            Fault::NotFound => {
                Told::new(404, "not-found", "not-found", "There is nothing by this name on this server.")
            }
            Fault::Gone(version) => Told::new(
                410,
                "deleted",
                "deleted",
                format!("It was removed; version {version} says so. Earlier versions can still be read."),
            ),
            Fault::TooLarge { limit, key } => Told::new(
                413,
                "too-long",
                "too-large",
                format!("The request, or what it would change at once, is larger than {limit} ({key}). Nothing was stored."),
            )
            .closing(),
            Fault::BodyLost => Told::new(
                408,
                "timeout",
                "body-too-slow",
                "The body stalled, came too slowly (server.limits.body_stall, server.limits.min_body_rate), or ended before its declared length. Nothing was stored; send the request again.",
            )
            .closing(),
            Fault::BodyBroken(why) => Told::new(
                400,
                "structure",
                "body-broken",
                format!("The body cannot be read: {why}. Nothing was stored."),
            )
            .closing(),
            Fault::UnsupportedMedia(accepted) => Told::new(
                415,
                "not-supported",
                "media-type",
                format!(
                    "The body's type or coding is not one this server takes: {}. Nothing was stored.",
                    accepted.trim_end_matches('.')
                ),
            ),
            Fault::NotAcceptable(given) => Told::new(
                406,
                "not-supported",
                "not-acceptable",
                format!("Nothing the caller accepts can be given: {}.", given.trim_end_matches('.')),
            ),
            Fault::Precondition(stands) => Told::new(
                412,
                "conflict",
                "precondition-failed",
                format!("A precondition of the request does not hold: {stands}. Nothing was changed."),
            ),
            Fault::Busy(after) => Told::new(
                503,
                "transient",
                "busy",
                "The server is busy with the same thing or with too much at once. Nothing was stored; send the request again.",
            )
            .retry(*after),
            Fault::Unavailable { peer, retry } => Told::new(
                503,
                "transient",
                "peer-unavailable",
                format!("The {peer} this server depends on was not reached. Nothing was stored; send the request again."),
            )
            .retry(*retry),
            Fault::Unknown { retry } => Told::new(
                503,
                "timeout",
                "outcome-unknown",
                "It is not known whether the request was carried out; send again with the same id, and it will be carried out at most once.",
            )
            .retry(*retry),
            Fault::NoRoom(_) => Told::new(
                503,
                "no-store",
                "no-room",
                "The server has no room to store this. Nothing was stored; reading goes on.",
            )
            .retry(Duration::from_secs(60)),
            Fault::Unwritable(_) => Told::new(
                503,
                "no-store",
                "not-writable",
                "The server cannot write to its storage. Nothing was stored; the operator has been told.",
            )
            .retry(Duration::from_secs(60)),
            Fault::Damaged => Told::new(
                503,
                "exception",
                "stored-bytes-damaged",
                "The stored bytes are damaged and are not served; the operator has been alarmed.",
            )
            .retry(Duration::from_secs(300)),
            Fault::Unreadable(_) => Told::new(
                503,
                "exception",
                "stored-bytes-unreadable",
                "What is stored cannot be read at present; the operator has been told. Send the request again later.",
            )
            .retry(Duration::from_secs(60)),
            Fault::Internal(_) => Told::new(
                500,
                "exception",
                "internal",
                "The server failed in a way it should not. The cause is in its log under the request id of this answer.",
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_but_a_refusal_has_words() {
        let second = Duration::from_secs(1);
        let faults: Vec<(Fault<()>, u16)> = vec![
            (Fault::Unauthenticated, 401),
            (Fault::Forbidden, 403),
            (Fault::NotFound, 404),
            (Fault::Gone(3), 410),
            (Fault::TooLarge { limit: 5, key: "server.limits.max_body_bytes" }, 413),
            (Fault::BodyLost, 408),
            (Fault::BodyBroken("its chunked coding does not hold".into()), 400),
            (Fault::UnsupportedMedia("text/html".into()), 415),
            (Fault::NotAcceptable("application/fhir+json".into()), 406),
            (Fault::Precondition("version 3".into()), 412),
            (Fault::Busy(second), 503),
            (Fault::Unavailable { peer: "registry".into(), retry: second }, 503),
            (Fault::Unknown { retry: second }, 503),
            (Fault::NoRoom("disk".into()), 503),
            (Fault::Unwritable("gone".into()), 503),
            (Fault::Damaged, 503),
            (Fault::Unreadable("no".into()), 503),
            (Fault::Internal("cause".into()), 500),
        ];
        for (fault, status) in faults {
            let told = fault.told().expect("only a refusal has no words");
            assert_eq!(told.status, status, "{fault:?}");
            assert_eq!(told.retry_after.is_some(), status == 503, "{fault:?}");
            assert!(told.text.ends_with('.'));
        }
        assert_eq!(Fault::Refused(()).told(), None);
    }

    #[test]
    fn what_the_system_does_not_give_is_no_defect_of_ours() {
        let source = std::io::Error::from_raw_os_error(5);
        let fault: Fault<()> = store::Error::Io { attempt: "reading document 1".into(), source }.into();
        let told = fault.told().expect("it has words");
        assert_eq!((told.status, told.issue, told.code), (503, "exception", "stored-bytes-unreadable"));
        assert!(
            !told.text.contains("document 1") && !told.text.contains("Nothing was stored"),
            "{}",
            told.text
        );
        let fault: Fault<()> = store::Error::Unwritable("writing a document: no".into()).into();
        assert_eq!(fault.told().map(|told| (told.status, told.issue)), Some((503, "no-store")));
    }

    #[test]
    fn nothing_internal_is_told_to_the_caller() {
        let fault: Fault<()> = Fault::Internal("reading /data/journal failed".into());
        assert!(!fault.told().expect("it has words").text.contains("journal"));
        let fault: Fault<()> = Fault::NoRoom("/data has 3 bytes left".into());
        assert!(!fault.told().expect("it has words").text.contains("/data"));
    }
}
