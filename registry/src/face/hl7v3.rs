//! Patient Identity Feed HL7 V3 [ITI-44] at the SOAP door: messages read, MCCI_IN000002UV01 written.

use ::soap::{Call, Line};
use actor::{Codec, Context, Fault};
use futures_util::future::LocalBoxFuture;
use hl7v2::{Authority, Condition};
use hl7v3::acknowledgement::{self, Code, Detail};
use hl7v3::{Event, Header, InstanceId, Message, NAMESPACE, feed};
use jiff::Timestamp;
use uuid::Uuid;
use web::{Answer, Request};
use xds::{Finding, Identifier};

use crate::Registry;
use crate::authorities::Authorities;
use crate::identify::{Change, Done, FeedV3, Misfit, Spot, TOLD};

/// Bytes of an identifier.
const MAX_ID: usize = 255;
/// Where the patient's identifiers are.
const PATIENT: &str = "//registrationEvent/subject1/patient/id";
/// Where those are that are merged away.
const SUBSUMED: &str = "//replacementOf/priorRegistration/subject1/priorRegisteredRole/id";

/// A line of the table for one of the messages.
pub(super) const fn line(action: &'static str, element: &'static str) -> Line<Registry> {
    Line {
        action,
        reply: acknowledgement::ACTION,
        body: (NAMESPACE, element),
        transaction: "ITI-44",
        documents: false,
        refusal,
        serve,
    }
}

fn serve<'a>(registry: &'a Registry, request: &'a mut Request, call: Call) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let clock = &registry.corridor.clock;
        let codec = Hearing { authorities: &registry.identities.authorities, clock, call };
        registry.corridor.walk(&registry.feed_v3, &codec, request).await
    })
}

/// An acknowledgement of a message nothing is known of but what is wrong with it.
fn refusal(findings: &[Finding]) -> Vec<u8> {
    let detail = |finding: &Finding| Detail {
        is_error: true,
        code: Some("INTERR"),
        text: finding.text.clone(),
        location: None,
    };
    let details: Vec<Detail> = findings.iter().map(detail).collect();
    let id = Uuid::new_v4().to_string();
    acknowledgement::write(&Header::default(), Code::Error, &details, &id, "")
}

struct Hearing<'a> {
    authorities: &'a Authorities,
    clock: &'a actor::Clock,
    call: Call,
}

impl Hearing<'_> {
    fn answer(&self, code: Code, details: &[Detail]) -> Answer {
        let header = hl7v3::read_header(self.call.body());
        let time = Timestamp::from_microsecond(self.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH);
        let created = time.strftime("%Y%m%d%H%M%S").to_string();
        let id = Uuid::new_v4().to_string();
        self.call.answer(acknowledgement::write(&header, code, details, &id, &created))
    }

    fn refused(&self, condition: Condition, text: String, location: Option<String>) -> Answer {
        let code = if condition.rejects() { Code::Reject } else { Code::Error };
        self.answer(code, &[Detail { is_error: true, code: Some(named(condition)), text, location }])
    }
}

/// The code of AcknowledgementDetailCode that means the same as one of HL7 v2.
fn named(condition: Condition) -> &'static str {
    match condition {
        Condition::SegmentSequence => "SYN105",
        Condition::RequiredField => "SYN101",
        Condition::DataType => "SYN102",
        Condition::TableValue => "SYN103",
        Condition::UnsupportedType | Condition::UnsupportedEvent => "NS200",
        Condition::UnsupportedVersion => "NS203",
        Condition::UnknownKey => "KEY204",
        Condition::DuplicateKey => "KEY205",
        Condition::Locked => "KEY206",
        Condition::Internal => "INTERR",
    }
}

impl Codec<FeedV3> for Hearing<'_> {
    async fn read(&self, _: &mut Request, _: &Context) -> Result<Change, Fault<Misfit>> {
        let message = feed::read(self.call.body(), &|id| system(id, self.authorities));
        change(message, self.authorities).map_err(Fault::Refused)
    }

    fn write(&self, done: Done, _: &Context) -> Answer {
        let note = match done {
            Done::Added | Done::Revised | Done::Merged => None,
            Done::Known => Some("known already; nothing had to be changed"),
            Done::MergedBefore => Some("merged already; nothing had to be changed"),
            Done::Ignored => Some("acknowledged; nothing was changed"),
        };
        let detail =
            |text: &str| Detail { is_error: false, code: None, text: text.to_owned(), location: None };
        self.answer(Code::Accept, &note.map(detail).into_iter().collect::<Vec<_>>())
    }

    fn refuse(&self, fault: Fault<Misfit>, context: &Context) -> Answer {
        let fault: Fault<Vec<Finding>> = match fault {
            Fault::Refused(Misfit { condition, spot, text }) => {
                return self.refused(condition, text, location(spot));
            }
            Fault::Busy(_) => {
                let text = fault.told().map(|told| told.text).unwrap_or_default();
                return self.refused(Condition::Locked, text, None);
            }
            Fault::Unknown { retry } => Fault::Unknown { retry },
            Fault::Unauthenticated => Fault::Unauthenticated,
            Fault::Forbidden => Fault::Forbidden,
            Fault::NotFound
            | Fault::Gone(_)
            | Fault::TooLarge { .. }
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
            | Fault::Internal(_) => {
                let text = fault.told().map(|told| told.text).unwrap_or_default();
                return self.refused(Condition::Internal, text, None);
            }
        };
        self.call.refuse(&fault, context)
    }

    fn reason(&self, fault: &Fault<Misfit>) -> String {
        match fault {
            Fault::Refused(misfit) => format!("hl7-{}", misfit.condition.code()),
            other => other.told().map_or("refused", |told| told.code).to_owned(),
        }
    }
}

/// Where a place is in a message of HL7 v3.
fn location(spot: Spot) -> Option<String> {
    match spot {
        Spot::Message | Spot::Field(_) => None,
        Spot::Patient => Some(PATIENT.to_owned()),
        Spot::Subsumed => Some(SUBSUMED.to_owned()),
        Spot::Path(path) => Some(path),
    }
}

/// What a message wants done.
fn change(message: Option<Message>, authorities: &Authorities) -> Result<Change, Misfit> {
    let Some(mut message) = message else {
        let text = "the body is no message of ITI-44; accepted are PRPA_IN201301UV02, PRPA_IN201302UV02, PRPA_IN201304UV02";
        return Err(Misfit::new(Condition::UnsupportedType, Spot::Message, text));
    };
    if authorities.is_empty() {
        let text = "this registry takes no patient identity feed of HL7 v3: identity.authorities names no assigning authority. Nothing was stored";
        return Err(Misfit::new(Condition::UnsupportedType, Spot::Message, text));
    }
    let own = |ids: &[InstanceId], path: &str| identifiers(ids, path, authorities);
    // Whose child the patient is, is the business of an identity source.
    message.about.retain(|member, _| TOLD.contains(&member.as_str()));
    match message.event {
        Event::Added => {
            Ok(Change::Add { identifiers: own(&message.identifiers, PATIENT)?, about: message.about })
        }
        Event::Revised => Ok(Change::Revise {
            identifiers: own(&message.identifiers, PATIENT).unwrap_or_default(),
            about: message.about,
        }),
        Event::DuplicatesResolved => {
            if message.replacements != 1 {
                let text = format!(
                    "there are {} replacementOf; a message merges one record into another one. Nothing was changed",
                    message.replacements
                );
                let path = "//registrationEvent/replacementOf".to_owned();
                return Err(Misfit::new(Condition::SegmentSequence, Spot::Path(path), text));
            }
            let survivors = own(&message.identifiers, PATIENT)?;
            Ok(Change::Merge { survivors, subsumed: own(&message.replaced, SUBSUMED)? })
        }
    }
}

/// The system of an identifier of a configured authority.
fn system(id: &InstanceId, authorities: &Authorities) -> Option<String> {
    authorities.system(&Authority {
        namespace: id.authority.clone(),
        universal_id: id.root.clone(),
        universal_id_type: "ISO".to_owned(),
    })
}

/// The identifiers of configured authorities; there is at least one.
fn identifiers(ids: &[InstanceId], path: &str, authorities: &Authorities) -> Result<Vec<Identifier>, Misfit> {
    let wrong = |condition, text: String| Misfit::new(condition, Spot::Path(path.to_owned()), text);
    let mut found: Vec<Identifier> = Vec::new();
    let told = || ids.iter().filter(|id| !id.extension.is_empty());
    for id in told() {
        let Some(system) = system(id, authorities) else { continue };
        if id.extension.len() > MAX_ID || id.extension.chars().any(char::is_control) {
            let text = format!("an identifier has at most {MAX_ID} bytes and no control characters");
            return Err(wrong(Condition::DataType, text));
        }
        let identifier = Identifier { system, value: id.extension.clone() };
        if !found.contains(&identifier) {
            found.push(identifier);
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    if told().next().is_none() {
        let text = "there is no identifier: an id with root and extension is required. Nothing was stored";
        return Err(wrong(Condition::RequiredField, text.to_owned()));
    }
    let text = format!(
        "no identifier is of an assigning authority of this domain; accepted are {}. Nothing was stored",
        authorities.words()
    );
    Err(wrong(Condition::UnknownKey, text))
}
