//! Answers that go to another address than the connection they were asked on (WS-Addressing), if it is a configured one.

use std::time::Duration;

use bytes::Bytes;
use ebxml::addressing::Addressing;
use ebxml::soap::{Fault, Subcode};
use http::{Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use web::{Answer, AnswerBody, Begun, Peer, PeerSettings};

/// The section `soap` of an actor's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Addresses that answers may be sent to later, each as messages name it in `wsa:ReplyTo`.
    pub reply_to: Vec<String>,
}

/// The words on each key, for the manual page.
pub const KEYS: &[(&str, &str)] = &[(
    "soap.reply_to",
    "Addresses a SOAP message may have its answer sent to (`wsa:ReplyTo`), each in full, e.g. `[\"https://hospital.example/xds/answers\"]`; such a message is answered 202 at once. Empty: every answer goes back on the connection it was asked on, and a message that wants otherwise gets a fault.",
)];

/// Tries of an answer that is sent later.
const TRIES: u32 = 5;

/// The pause before the second try; each further one is twice as long.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the other side may take to say that it has the answer.
const TIMEOUT_MS: u64 = 30_000;

/// Whether an answer may go where the message wants it.
pub(crate) fn allowed(settings: &Settings, addressing: &Addressing) -> Result<(), Fault> {
    let Some(address) = &addressing.reply_to else { return Ok(()) };
    let known = settings.reply_to.iter().any(|known| known == address);
    if known && (address.starts_with("http://") || address.starts_with("https://")) {
        return Ok(());
    }
    Err(Fault::sender(
        "The wsa:ReplyTo is not the anonymous address, and not one this server may send answers to (soap.reply_to). Send \
         http://www.w3.org/2005/08/addressing/anonymous, or have the operator add the address. Nothing was stored, nothing was sent.",
    )
    .named(Subcode::OnlyAnonymousAddressSupported))
}

/// Sends an answer to the address its request wants it at, and answers that request at once.
pub(crate) fn send(address: String, answer: Answer) -> Answer {
    let content_type = answer.headers.iter().find(|(name, _)| *name == header::CONTENT_TYPE);
    let content_type = content_type.and_then(|(_, value)| value.to_str().ok()).unwrap_or_default().to_owned();
    tokio::task::spawn_local(deliver(address, content_type, answer.body));
    Answer::empty(StatusCode::ACCEPTED)
}

/// Delivers an answer, trying again as long as that cannot do harm: what streams out of the store is sent once.
async fn deliver(address: String, content_type: String, mut body: AnswerBody) {
    let settings = PeerSettings { url: address, timeout_ms: TIMEOUT_MS, ..PeerSettings::default() };
    let (peer, mut pause) = (Peer::new("reply_to", settings), PAUSE);
    let headers = [("content-type", content_type)];
    for attempt in 1..=TRIES {
        let (sent, again) = match &mut body {
            AnswerBody::Stream { length, stream } => match peer.pour(&headers, *length, stream).await {
                Ok(answer) => (Ok(answer), false),
                Err((error, Begun(begun))) => (Err(error), !begun),
            },
            AnswerBody::Bytes(bytes) => (peer.send(Method::POST, "", &headers, bytes.clone()).await, true),
            AnswerBody::Parts(parts) => {
                (peer.send(Method::POST, "", &headers, Bytes::from(parts.concat())).await, true)
            }
            AnswerBody::Empty => return,
        };
        match sent {
            Ok(answer) if answer.status < 500 => {
                tracing::info!(status = answer.status, attempt, "an answer was sent to its address");
                return;
            }
            Ok(answer) => {
                tracing::warn!(status = answer.status, attempt, "an answer was not taken at its address");
            }
            Err(error) => tracing::warn!(%error, attempt, "an answer did not reach its address"),
        }
        if !again {
            break;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    tracing::error!("an answer was given up: its address did not take it; the caller can ask again");
}
