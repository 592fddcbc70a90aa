//! Patient Demographics Query [ITI-21]: QBP^Q22 and QCN^J01 read, RSP^K22 written.

mod fields;

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};

use actor::{Codec, Context, Fault};
use fhir::page::{PageToken, Refused, Sealer};
use hl7v2::{Acknowledgement, Condition, Location, Message, Refusal, Response};
use mllp::Hearing;
use store::Cursor;
use web::{Answer, Request};

use super::{TAKEN, Unread, party};
use crate::IdentitySource;
use crate::candidates::{Asked, Candidate, Candidates, FindCandidates, PlaceInAnswer, Question, Unanswered};
use crate::{links, pid};

/// The type of the answer.
const ANSWER: [&str; 3] = ["RSP", "K22", "RSP_K21"];

/// One question, with what its answer has to look like.
pub(super) struct Query<'a> {
    hearing: Hearing<'a>,
    source: &'a IdentitySource,
    unread: Unread,
    /// The message, once it is known to be a question.
    asked: RefCell<Option<Message>>,
}

impl<'a> Query<'a> {
    pub(super) fn new(hearing: Hearing<'a>, source: &'a IdentitySource) -> Query<'a> {
        Query { hearing, source, unread: Unread::default(), asked: RefCell::default() }
    }

    fn question(&self, message: &Message) -> Result<Asked, Refusal> {
        message.event(&message.header().message_type, TAKEN)?;
        if message.header().message_type == "QCN" {
            // Nothing is held for a question that is not at its end: this one is.
            return hl7v2::cancelled(message).map(|_| Asked::End);
        }
        *self.asked.borrow_mut() = Some(message.clone());
        let asked = hl7v2::Candidates::read(message)?;
        let place = asked.continuation.as_ref().map(|pointer| self.place(pointer, message)).transpose()?;
        Ok(Asked::Question(Box::new(Question {
            criteria: fields::criteria(&asked.criteria, &self.source.records)?,
            domains: asked.domains.iter().map(|(number, cx)| (*number, party::hd(&cx.authority))).collect(),
            increment: asked.increment,
            place,
            written: message.fields("QPD"),
        })))
    }

    fn sealer(&self) -> &Sealer {
        &self.source.sealer
    }

    /// Where an answer goes on, by its pointer.
    fn place(&self, pointer: &str, message: &Message) -> Result<PlaceInAnswer, Refusal> {
        let wrong = |text: &str| Err(Refusal::new(Condition::UnknownKey, text).at(Location::field("DSC", 1)));
        let now = self.source.corridor.clock.now();
        let token = match self.sealer().open(pointer, now, self.source.page_ttl_seconds) {
            Ok(token) => token,
            Err(Refused::Expired) => {
                return wrong("this continuation is too old; ask again from the beginning");
            }
            Err(Refused::Tampered) => return wrong(NO_POINTER),
        };
        if token.query != digest(message) {
            return wrong(
                "this continuation is that of another question; QPD-3 and QPD-8 must be those of the question it goes on with",
            );
        }
        Ok(PlaceInAnswer { after: Cursor(token.cursor), as_of: token.as_of })
    }

    fn pointer(&self, place: &PlaceInAnswer, message: &Message) -> String {
        self.sealer().seal(&PageToken {
            query: digest(message),
            cursor: place.after.0.clone(),
            as_of: place.as_of,
            made: self.source.corridor.clock.now(),
            total: None,
            back: Vec::new(),
        })
    }

    fn answer(&self, response: &Response) -> Answer {
        match self.asked.borrow().as_ref() {
            Some(message) => {
                let (id, time) = (Hearing::fresh_id(), self.hearing.time());
                Hearing::written(response.write(message, ANSWER, &id, &time))
            }
            None => self.hearing.answer(&response.acknowledgement),
        }
    }

    fn refused(&self, refusals: Vec<Refusal>) -> Answer {
        let acknowledgement = Acknowledgement { refusals, ..Acknowledgement::default() };
        self.answer(&Response { acknowledgement, ..Response::default() })
    }

    fn segment(&self, candidate: &Candidate) -> String {
        let records = &self.source.records;
        let named = |one: &xds::Identifier| pid::Named {
            value: one.value.clone(),
            authority: records.hd(&one.system),
        };
        let accounts = fhir::patient::accounts(&candidate.resource).filter_map(|account| {
            let text =
                |member: &str| account.get(member).and_then(serde_json::Value::as_str).unwrap_or_default();
            let value = text("value").to_owned();
            (!value.is_empty()).then(|| pid::Named { value, authority: records.hd(text("system")) })
        });
        let beside = pid::Beside {
            mother: candidate.mother.iter().map(named).collect(),
            accounts: accounts.collect(),
        };
        let identifiers: Vec<pid::Named> = candidate.identifiers.iter().map(named).collect();
        pid::segment(&candidate.resource, &identifiers, &beside)
    }

    /// As 2:3.21.4.2.2 has each case.
    fn unanswered(&self, why: &Unanswered) -> Vec<Refusal> {
        let wrong = |condition, field, text: &str| {
            vec![Refusal::new(condition, text).at(Location::field("QPD", field))]
        };
        match why {
            Unanswered::UnknownDomains(repetitions) => {
                let known = self.source.records.authorities().words();
                let one = |repetition: &u32| {
                    let text = format!("this domain is not known here; known are {known}");
                    let place = Location::field("QPD", 8).repetition(*repetition);
                    Refusal::new(Condition::UnknownKey, text).at(place)
                };
                repetitions.iter().map(one).collect()
            }
            Unanswered::TooMany(most) => {
                let text = format!(
                    "more than {most} patients fit, or more have to be looked at than are for one answer; say more of them, or ask for increments (RCP-2, e.g. 50^RD)"
                );
                wrong(Condition::Internal, 3, &text)
            }
            Unanswered::TooManyLinked => wrong(Condition::Internal, 8, &links::too_many_linked()),
            Unanswered::TooManyMothers => wrong(
                Condition::Internal,
                3,
                "too many patients are called so who may be the mother; say more of her (@PID.6, @PID.21)",
            ),
            Unanswered::BadPlace | Unanswered::Unread => {
                vec![Refusal::new(Condition::UnknownKey, NO_POINTER).at(Location::field("DSC", 1))]
            }
        }
    }
}

/// Said of a pointer that is none.
const NO_POINTER: &str = "this is no continuation of an answer from here; send DSC-1 back as it came";

/// A question, briefly: its continuation is for no other.
fn digest(message: &Message) -> String {
    let mut hasher = DefaultHasher::new();
    for number in [3, 8] {
        message.field("QPD", number).raw().hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

impl Codec<FindCandidates> for Query<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Asked, Fault<Unanswered>> {
        let refused = |refusal: Refusal| {
            self.unread.keep(refusal, false);
            Fault::Refused(Unanswered::Unread)
        };
        let message = match self.hearing.read(request).await {
            Ok(message) => message,
            Err(Fault::Refused(refusal)) => return Err(refused(refusal)),
            Err(fault) => return Err(fault.map(|_| Unanswered::Unread)),
        };
        self.question(&message).map_err(refused)
    }

    fn write(&self, found: Candidates, _: &Context) -> Answer {
        let here = found.patients.len();
        let counts = match (found.is_first, &found.next) {
            (true, None) => [Some(here), Some(here), Some(0)],
            (false, None) => [None, Some(here), Some(0)],
            (_, Some(_)) => [None, Some(here), None],
        };
        let continuation = {
            let asked = self.asked.borrow();
            found.next.as_ref().zip(asked.as_ref()).map(|(place, message)| self.pointer(place, message))
        };
        let segments = found.patients.iter().map(|candidate| self.segment(candidate)).collect();
        self.answer(&Response { segments, counts, continuation, ..Response::default() })
    }

    fn refuse(&self, fault: Fault<Unanswered>, _: &Context) -> Answer {
        if let Some((refusal, _)) = self.unread.take() {
            return self.refused(vec![refusal]);
        }
        match fault {
            Fault::Refused(why) => self.refused(self.unanswered(&why)),
            other => match mllp::told(other, |_| Refusal::new(Condition::Internal, "")) {
                Some(refusal) => self.refused(vec![refusal]),
                None => Hearing::silence(),
            },
        }
    }

    fn reason(&self, fault: &Fault<Unanswered>) -> String {
        self.unread.reason(fault, |_| "hl7-refused".to_owned())
    }
}
