//! PIX Query [ITI-9]: QBP^Q23 read, RSP^K23 written.

use std::cell::RefCell;

use actor::{Codec, Context, Fault};
use hl7v2::{
    Acknowledgement, Condition, Corresponding, Cx, Location, Message, Refusal, Response, Separators,
};
use mllp::Hearing;
use web::{Answer, Request};
use xds::Identifier;

use super::{TAKEN, Unread, party};
use crate::corresponding::{Asked, FindCorresponding, Unanswered};
use crate::links;

/// The type of the answer.
const ANSWER: [&str; 3] = ["RSP", "K23", "RSP_K23"];

/// One question, with what its answer has to look like.
pub(super) struct Query<'a> {
    hearing: Hearing<'a>,
    finding: &'a FindCorresponding,
    unread: Unread,
    /// The message, and the numbers of the repetitions in which domains are asked for.
    asked: RefCell<Option<(Message, Vec<u32>)>>,
}

impl<'a> Query<'a> {
    pub(super) fn new(hearing: Hearing<'a>, finding: &'a FindCorresponding) -> Query<'a> {
        Query { hearing, finding, unread: Unread::default(), asked: RefCell::default() }
    }

    fn answer(&self, response: &Response) -> Answer {
        match self.asked.borrow().as_ref() {
            Some((message, _)) => {
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

    /// As 2:3.9.4.2.2 has each case.
    fn unanswered(&self, why: &Unanswered) -> Vec<Refusal> {
        let unknown = |place: Location, text: String| Refusal::new(Condition::UnknownKey, text).at(place);
        let source = |component: u32| Location::field("QPD", 3).repetition(1).component(component);
        match why {
            Unanswered::Identifier => {
                vec![unknown(source(1), "nobody is known here by this identifier".to_owned())]
            }
            Unanswered::TooManyLinked => {
                vec![Refusal::new(Condition::Internal, links::too_many_linked()).at(source(1))]
            }
            Unanswered::Source => {
                let known = self.finding.records.authorities().words();
                let text =
                    format!("the assigning authority of the identifier is not known here; known are {known}");
                vec![unknown(source(4), text)]
            }
            Unanswered::Targets(places) => {
                let asked = self.asked.borrow();
                let numbers = asked.as_ref().map(|(_, numbers)| numbers.as_slice()).unwrap_or_default();
                let number = |place: &usize| numbers.get(*place).copied().unwrap_or_default();
                let known = self.finding.records.authorities().words();
                let text = format!("this domain is not known here; known are {known}");
                places
                    .iter()
                    .map(|place| unknown(Location::field("QPD", 4).repetition(number(place)), text.clone()))
                    .collect()
            }
        }
    }
}

impl Codec<FindCorresponding> for Query<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Asked, Fault<Unanswered>> {
        let refused = |refusal: Refusal| {
            self.unread.keep(refusal, false);
            Fault::Refused(Unanswered::Identifier)
        };
        let message = match self.hearing.read(request).await {
            Ok(message) => message,
            Err(Fault::Refused(refusal)) => return Err(refused(refusal)),
            Err(fault) => return Err(fault.map(|_| Unanswered::Identifier)),
        };
        message.event("QBP", TAKEN).map_err(refused)?;
        *self.asked.borrow_mut() = Some((message.clone(), Vec::new()));
        let Corresponding { identifier, domains, .. } = Corresponding::read(&message).map_err(refused)?;
        let written = message.fields("QPD");
        *self.asked.borrow_mut() = Some((message, domains.iter().map(|(number, _)| *number).collect()));
        Ok(Asked {
            value: identifier.id,
            authority: party::hd(&identifier.authority),
            targets: domains.iter().map(|(_, cx)| party::hd(&cx.authority)).collect(),
            written,
        })
    }

    fn write(&self, identifiers: Vec<Identifier>, _: &Context) -> Answer {
        let separators = Separators::default();
        let cx = |one: &Identifier| {
            let authority = party::authority(self.finding.records.hd(&one.system));
            Cx { id: one.value.clone(), authority }.write(&separators)
        };
        let all: Vec<String> = identifiers.iter().map(cx).collect();
        // No name is told: its first repetition is empty, its second says that it is of no type (2:3.9.4.2.2.6).
        let pid = separators.segment("PID", [(3, all.join("~")), (5, "~^^^^^^S".to_owned())]);
        let segments = if all.is_empty() { Vec::new() } else { vec![pid] };
        self.answer(&Response { segments, ..Response::default() })
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
        self.unread.reason(fault, |_| format!("hl7-{}", Condition::UnknownKey.code()))
    }
}
