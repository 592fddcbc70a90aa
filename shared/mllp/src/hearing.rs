//! One message and its answer: what every server that hears HL7 v2 does alike.

use std::cell::RefCell;

use actor::{Clock, Fault};
use hl7v2::{Acknowledgement, Condition, Header, Limits, Message, Refusal};
use http::StatusCode;
use jiff::Timestamp;
use uuid::Uuid;
use web::Request;

use crate::settings::Settings;

/// The key of the limit of a frame.
const MAX_FRAME: &str = "mllp.max_frame_bytes";
/// The media type of HL7 v2 in its usual form.
const MEDIA_TYPE: &str = "application/hl7-v2+er7";

/// A message that is heard, with what its answer has to look like.
pub struct Hearing<'a> {
    settings: &'a Settings,
    clock: &'a Clock,
    /// What is known of whom to answer.
    header: RefCell<Option<Header>>,
}

impl<'a> Hearing<'a> {
    /// Before anything is known of the message.
    pub fn new(settings: &'a Settings, clock: &'a Clock) -> Hearing<'a> {
        Hearing { settings, clock, header: RefCell::default() }
    }

    /// Reads the message; whom to answer is known from then on, as far as it can be.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn read(&self, request: &mut Request) -> Result<Message, Fault<Refusal>> {
        let bytes = request.body.whole(self.settings.max_frame_bytes, MAX_FRAME).await?;
        let message = Message::read(&bytes, &self.settings.limits()).map_err(|unread| {
            *self.header.borrow_mut() = unread.header.map(|header| *header);
            Fault::Refused(unread.refusal)
        })?;
        *self.header.borrow_mut() = Some(message.header().clone());
        Ok(message)
    }

    /// The header of the message, if it could be read.
    pub fn header(&self) -> Option<Header> {
        self.header.borrow().clone()
    }

    /// The answer to a frame that is too long, by its beginning.
    pub fn too_long(&self, beginning: &[u8]) -> Vec<u8> {
        let beginning = beginning.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
        if let Ok(message) = Message::read(beginning, &self.settings.limits()) {
            *self.header.borrow_mut() = Some(message.header().clone());
        }
        let text = format!(
            "the message is longer than {} bytes ({MAX_FRAME}); nothing was stored",
            self.settings.max_frame_bytes
        );
        self.acknowledged(&Acknowledgement::refused(Refusal::new(Condition::DataType, text)))
    }

    /// The time of an answer, for its MSH-7.
    pub fn time(&self) -> String {
        let time = Timestamp::from_microsecond(self.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH);
        time.strftime("%Y%m%d%H%M%S+0000").to_string()
    }

    /// An id for an answer: MSH-10 has room for 20 letters in older versions.
    pub fn fresh_id() -> String {
        Uuid::new_v4().simple().to_string().chars().take(20).collect()
    }

    fn acknowledged(&self, acknowledgement: &Acknowledgement) -> Vec<u8> {
        acknowledgement.write(self.header.borrow().as_ref(), &Hearing::fresh_id(), &self.time())
    }

    /// An acknowledgement as the corridor carries it.
    pub fn answer(&self, acknowledgement: &Acknowledgement) -> web::Answer {
        Hearing::written(self.acknowledged(acknowledgement))
    }

    /// A message of one's own as the corridor carries it.
    pub fn written(message: Vec<u8>) -> web::Answer {
        web::Answer::bytes(StatusCode::OK, MEDIA_TYPE, message)
    }

    /// Nothing: without an answer the sender sends it again.
    pub fn silence() -> web::Answer {
        web::Answer::empty(StatusCode::OK)
    }

    /// The limits of messages.
    pub fn limits(&self) -> Limits {
        self.settings.limits()
    }
}

/// A fault in the words of HL7; none: what may have happened is not denied, and the sender, who gets no answer, sends it
/// again.
pub fn told<F>(fault: Fault<F>, refused: impl FnOnce(F) -> Refusal) -> Option<Refusal> {
    let text = fault.told().map(|told| told.text).unwrap_or_default();
    let condition = match fault {
        Fault::Refused(findings) => return Some(refused(findings)),
        Fault::Unknown { .. } | Fault::Unauthenticated => return None,
        Fault::Busy(_) => Condition::Locked,
        Fault::TooLarge { .. } => Condition::DataType,
        Fault::Forbidden
        | Fault::NotFound
        | Fault::Gone(_)
        | Fault::BodyLost
        | Fault::BodyBroken(_)
        | Fault::UnsupportedMedia(_)
        | Fault::NotAcceptable(_)
        | Fault::Precondition(_)
        | Fault::Unavailable { .. }
        | Fault::NoRoom(_)
        | Fault::Unwritable(_)
        | Fault::Damaged
        | Fault::Unreadable(_)
        | Fault::Internal(_) => Condition::Internal,
    };
    Some(Refusal::new(condition, text))
}

/// The code of an answer, for the log and the metrics: `AA`, `AE`, `AR`, or `none` where there is none.
pub fn code(answer: &[u8]) -> &'static str {
    let message = Message::read(answer, &Limits::AMPLE).ok();
    match message.as_ref().map(|message| message.field("MSA", 1).raw()) {
        Some("AA") => "AA",
        Some("AE") => "AE",
        Some("AR") => "AR",
        _ => "none",
    }
}
