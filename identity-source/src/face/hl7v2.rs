//! The HL7 v2 face: which transaction a message is, and what all of them have in common.

mod feed;
mod party;
mod pdq;
mod person;
mod pix;

use actor::Fault;
use hl7v2::{Limits, Message, Refusal};
use mllp::{Heard, Hearing};
use web::Request;

use crate::IdentitySource;
use crate::feed::Iti8;

/// What is taken.
const TAKEN: &str = "ADT^A01, A04, A05, A28 (a patient becomes known), A08, A31 (more is told of a patient), A40 (an identifier is merged \
                     into another one), QBP^Q23 (PIX query), QBP^Q22 (patient demographics query), QCN^J01 (such a query is at its end)";

/// Carries out a message.
pub(super) async fn hear(source: &IdentitySource, request: &mut Request) -> Heard {
    let hearing = Hearing::new(source.ear.settings(), &source.corridor.clock);
    let deadline = source.ear.deadline();
    let (kind, event) = type_of(request, &hearing.limits()).await;
    let corridor = &source.corridor;
    let (answer, transaction) = match (kind.as_str(), event.as_str()) {
        ("QBP", "Q23") => {
            let codec = pix::Query::new(hearing, &source.corresponding);
            (mllp::carried(deadline, corridor.walk(&source.corresponding, &codec, request)).await, "ITI-9")
        }
        ("QBP", "Q22") | ("QCN", _) => {
            let codec = pdq::Query::new(hearing, source);
            (mllp::carried(deadline, corridor.walk(&source.candidates, &codec, request)).await, "ITI-21")
        }
        // Whatever else it is, it is told what is taken.
        _ => {
            let codec = feed::Feed::new(hearing, &source.records);
            let feeding = source.feeding::<Iti8>();
            let walk = corridor.walk(&feeding, &codec, request);
            (mllp::carried(deadline, walk).await, "ITI-8")
        }
    };
    Heard { answer, transaction }
}

/// MSH-9, as far as it can be read; nothing is refused here.
async fn type_of(request: &mut Request, limits: &Limits) -> (String, String) {
    let Ok(bytes) = request.body.whole(u64::MAX, "").await else { return Default::default() };
    let header = match Message::read(&bytes, limits) {
        Ok(message) => message.header().clone(),
        Err(unread) => unread.header.map(|header| *header).unwrap_or_default(),
    };
    request.body = web::Body::from_bytes(bytes);
    (header.message_type, header.event)
}

/// A refusal, kept until it is answered: the rules of the domain have no place in a message.
#[derive(Debug, Default)]
struct Unread(std::cell::RefCell<Option<(Refusal, bool)>>);

impl Unread {
    fn keep(&self, refusal: Refusal, rejects: bool) {
        *self.0.borrow_mut() = Some((refusal, rejects));
    }

    fn take(&self) -> Option<(Refusal, bool)> {
        self.0.borrow_mut().take()
    }

    /// Why a message was refused, briefly; `refused` says it of what the domain's rules refuse.
    fn reason<R>(&self, fault: &Fault<R>, refused: impl FnOnce(&R) -> String) -> String {
        match (fault, self.0.borrow().as_ref()) {
            (_, Some((refusal, _))) => format!("hl7-{}", refusal.condition.code()),
            (Fault::Refused(why), None) => refused(why),
            (other, None) => other.told().map_or("refused", |told| told.code).to_owned(),
        }
    }
}
