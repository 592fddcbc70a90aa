//! What may carry requests to peers instead of the network: a simulation delays, loses and repeats them on purpose.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::error::Error;
use crate::peer::PeerAnswer;

/// A request on its way to a peer.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The peer's name in the configuration.
    pub peer: &'static str,
    /// The method.
    pub method: http::Method,
    /// The whole address.
    pub url: String,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

/// Carries letters to peers. Dropped before it has answered, it has been given up by the sender, who knows no more than that
/// the letter may have arrived.
pub trait Carrier: Send + Sync {
    /// Carries one letter and brings the answer: `NotReached` if it certainly never arrived, `Unknown` if it may have.
    fn carry(&self, letter: Letter) -> BoxFuture<'static, Result<PeerAnswer, Error>>;
}
