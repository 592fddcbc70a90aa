//! What can go wrong with a connection.

use std::time::Duration;

/// Why a body could not be read, a request not be taken, or a peer not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is larger than a limit (bytes); `key` is the configuration key of the limit.
    #[error("the body is larger than {limit} bytes ({key})")]
    TooLarge {
        /// The limit.
        limit: u64,
        /// Its configuration key.
        key: &'static str,
    },
    /// The body came too slowly.
    #[error("the body stalled or came too slowly")]
    Slow,
    /// The caller went away.
    #[error("the connection ended before the body did")]
    Gone,
    /// The body's content coding is not one we take.
    #[error("the content coding is not one this server takes: {0}")]
    Coding(String),
    /// The body is not what its framing or its content coding says.
    #[error("the body is broken: {0}")]
    Broken(String),
    /// The peer was certainly not reached: nothing was sent.
    #[error("peer {peer} was not reached: {reason}")]
    NotReached {
        /// The peer's name in the configuration.
        peer: String,
        /// Why, in words.
        reason: String,
    },
    /// The request went out and no usable answer came: whether it was carried out is unknown.
    #[error("peer {peer} did not answer ({reason}); the outcome is unknown")]
    Unknown {
        /// The peer's name in the configuration.
        peer: String,
        /// Why, in words.
        reason: String,
    },
    /// The deadline passed.
    #[error("not done within {0:?}")]
    Deadline(Duration),
    /// What the source of a stream said.
    #[error("{0}")]
    Source(String),
}
