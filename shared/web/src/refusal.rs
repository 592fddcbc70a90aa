//! Requests that are refused below the faces, because their head cannot be trusted, or they would cost too much or take too long.

use http::StatusCode;

/// Why a request was not even routed, or not waited for. The connection closes after the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The head breaks HTTP; how.
    Malformed(&'static str),
    /// The path could mean different things to different readers; how.
    Path(&'static str),
    /// The header section is larger than `server.limits.max_header_bytes`.
    HeadTooLarge {
        /// The limit.
        limit: u64,
    },
    /// There are more header lines than `server.limits.max_headers`.
    TooManyHeaders {
        /// The limit.
        limit: u64,
    },
    /// The target is longer than `server.limits.max_target_bytes`.
    TargetTooLong {
        /// The limit.
        limit: u64,
    },
    /// The head was not complete within `server.limits.header_timeout`.
    TooSlow,
    /// Not HTTP/1.0 or HTTP/1.1.
    Version,
    /// A method that no server of this kind knows.
    Method,
    /// A question that was not answered within `server.limits.read_deadline`.
    TooLong,
    /// A change that was not answered within `server.limits.submission_deadline`; it goes on.
    Unfinished,
    /// More connections than `server.limits.max_connections` or `…max_connections_per_address`.
    TooManyConnections,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::Malformed(_) | Refusal::Path(_) => StatusCode::BAD_REQUEST,
            Refusal::HeadTooLarge { .. } | Refusal::TooManyHeaders { .. } => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Refusal::TargetTooLong { .. } => StatusCode::URI_TOO_LONG,
            Refusal::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Refusal::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Refusal::Method => StatusCode::NOT_IMPLEMENTED,
            Refusal::TooLong | Refusal::Unfinished | Refusal::TooManyConnections => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The FHIR issue type, our code, and a sentence.
    pub fn told(&self) -> (&'static str, &'static str, String) {
        match self {
            Refusal::Malformed(why) => {
                ("structure", "malformed-request", format!("The request is not sound HTTP: {why}."))
            }
            Refusal::Path(why) => ("invalid", "malformed-path", format!("The path is refused: {why}.")),
            Refusal::HeadTooLarge { limit } => (
                "too-long",
                "head-too-large",
                format!("The header section is larger than {limit} bytes (server.limits.max_header_bytes)."),
            ),
            Refusal::TooManyHeaders { limit } => (
                "too-long",
                "too-many-headers",
                format!("There are more than {limit} header lines (server.limits.max_headers)."),
            ),
            Refusal::TargetTooLong { limit } => (
                "too-long",
                "target-too-long",
                format!("The request target is longer than {limit} bytes (server.limits.max_target_bytes); send searches by POST."),
            ),
            Refusal::TooSlow => (
                "timeout",
                "head-too-slow",
                "The head of the request was not complete in time (server.limits.header_timeout).".to_owned(),
            ),
            Refusal::Version => {
                ("not-supported", "http-version", "This server speaks HTTP/1.1 and HTTP/1.0.".to_owned())
            }
            Refusal::Method => ("not-supported", "method-unknown", "The method is not known here.".to_owned()),
            Refusal::TooLong => (
                "timeout",
                "deadline",
                "The answer took too long (server.limits.read_deadline); ask for less, or again later.".to_owned(),
            ),
            Refusal::Unfinished => (
                "timeout",
                "deadline",
                "The request was not done in time (server.limits.submission_deadline), and whether it will be is not known; send it again, under the same identifiers."
                    .to_owned(),
            ),
            Refusal::TooManyConnections => (
                "throttled",
                "too-many-connections",
                "There are too many connections (server.limits.max_connections, server.limits.max_connections_per_address); try again in a moment."
                    .to_owned(),
            ),
        }
    }
}
