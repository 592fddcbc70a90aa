//! Sending one message in the receiver's language, and understanding what it answers.

use actor::{House, meter};
use audit::{Action, Event, Outcome};
use bytes::Bytes;
use http::Method;
use mllp::{Client, Unsent};
use store::{Pending, Row, Sequence};
use web::{Error, Peer, PeerAnswer};

use super::adt::{self, Head};
use super::again::{INCARNATION, known_version, life_of};
use super::answer::{Judged, Refusal, outcome_code};
use super::courier::Courier;
use super::ledger::Untold;
use super::told::{Payload, Record, Told, What, pair};
use super::{pmir, v3};
use crate::config::Settings;
use crate::links;
use crate::receivers::{Known, Protocol};
use crate::records::{Kept, PATIENT, held_only};

/// Patients told of at the same time over HTTP.
const AT_ONCE: usize = 16;

/// How a receiver is reached.
pub(super) enum Way {
    /// FHIR, to a registry of ours.
    Registry(Peer),
    /// HL7 v2.
    Mllp(Client),
    /// HL7 v3.
    Soap(Peer),
    /// FHIR messages.
    Messages(Peer),
}

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent {
    /// The receiver has it, or is not concerned.
    Taken {
        /// For the auditor.
        events: Vec<Event>,
        /// What could not be told.
        untold: Option<Untold>,
    },
    /// The receiver does not take it.
    Refused(Refusal),
    /// It was sent, and not answered, or by nothing that can be understood; in words.
    Silent(String),
    /// The receiver is away, or another life of it answers than the one that was meant; in words.
    Away(String),
}

impl Sent {
    /// It has it, and nothing is to be told to an auditor.
    pub(super) fn taken() -> Sent {
        Sent::Taken { events: Vec::new(), untold: None }
    }
}

impl Way {
    /// As it is configured; refuses with words for the operator.
    pub(super) fn new(house: &House<Settings>, known: &Known) -> Result<Way, String> {
        let settings = &known.settings;
        let at = |words: String| format!("receivers ({}): {words}", known.name);
        let peer = || house.peer(known.name, settings.peer()).with_tls(&settings.tls).map_err(at);
        Ok(match known.protocol() {
            Protocol::Fhir if known.name == crate::receivers::REGISTRY => {
                Way::Registry(house.peer(known.name, house.settings.registry.clone()))
            }
            Protocol::Fhir => Way::Registry(peer()?),
            Protocol::Iti44 => Way::Soap(peer()?),
            Protocol::Iti93 => Way::Messages(peer()?),
            Protocol::Iti8 | Protocol::Iti10 => Way::Mllp(Client::new(settings.line()).map_err(at)?),
        })
    }

    /// Where it is.
    pub(super) fn place(&self) -> &str {
        match self {
            Way::Registry(peer) | Way::Soap(peer) | Way::Messages(peer) => peer.url(),
            Way::Mllp(client) => client.address(),
        }
    }

    /// How many lanes of messages go side by side. Over MLLP there is one connection, and one message at a time.
    pub(super) fn at_once(&self) -> usize {
        match self {
            Way::Registry(_) | Way::Soap(_) | Way::Messages(_) => AT_ONCE,
            Way::Mllp(_) => 1,
        }
    }
}

impl Courier {
    /// Sends a message of the outbox. What was left before the receiver was told of everybody is told already.
    pub(super) async fn send(
        &self,
        message: &Pending,
        meant: Option<&str>,
        until: Sequence,
    ) -> Result<Sent, store::Error> {
        if let Way::Registry(peer) = &self.way {
            let id = message.stream.split(' ').next().unwrap_or_default();
            return Ok(self.put(peer, meant, id, message.payload.clone()).await);
        }
        let name = format!("{}.{}", message.sequence, message.position);
        match Payload::read(&message.payload)? {
            Payload::Told(_) | Payload::CrossReference(_) if message.sequence <= until => Ok(Sent::taken()),
            Payload::Told(told) => self.tell(&told, &name).await,
            Payload::Stands(id) => match self.store.get(PATIENT, &id)? {
                Some(row) => self.tell_how_it_stands(&row, true).await,
                None => Ok(Sent::taken()),
            },
            Payload::CrossReference(id) => self.notify(&id).await,
        }
    }

    /// Tells of a change. `name` is the same whenever this change is told.
    pub(super) async fn tell(&self, told: &Told, name: &str) -> Result<Sent, store::Error> {
        let life = self.store.incarnation();
        let name = format!("{};{}/{}/{name}", life.id, life.number, self.receiver.peer);
        let head = Head { receiver: &self.receiver, name: &name, instant: told.instant };
        let (judged, unsaid, tolerant) = match &self.way {
            Way::Registry(_) => (Judged::Taken, None, false),
            Way::Mllp(client) => {
                let plan = adt::feed(told, &head);
                let mut judged = Said::Judged(Judged::Taken);
                for message in &plan.messages {
                    judged = self.exchange(client, message).await;
                    if judged != Said::Judged(Judged::Taken) {
                        break;
                    }
                }
                match judged {
                    Said::Judged(judged) => (judged, plan.unsaid, plan.tolerant),
                    Said::Silent(words) => return Ok(Sent::Silent(words)),
                    Said::Away(words) => return Ok(Sent::Away(words)),
                }
            }
            Way::Soap(peer) => {
                let (letters, unsaid, tolerant) = v3::letters(told, &head);
                let mut judged = Judged::Taken;
                for letter in letters {
                    let content_type =
                        format!("application/soap+xml; charset=UTF-8; action=\"{}\"", letter.action);
                    let answer = match self.post(peer, content_type, letter.body).await {
                        Ok(answer) => answer,
                        Err(sent) => return Ok(sent),
                    };
                    match self.heard(v3::judged(&answer, &letter.id)) {
                        Some(Judged::Taken) => {}
                        Some(other) => {
                            judged = other;
                            break;
                        }
                        None => return Ok(Sent::Silent(format!("HTTP {}", answer.status))),
                    }
                }
                (judged, unsaid, tolerant)
            }
            Way::Messages(peer) => {
                let Some(letter) = pmir::letter(told, &head) else { return Ok(Sent::taken()) };
                let answer = match self.post(peer, "application/fhir+json".to_owned(), letter.body).await {
                    Ok(answer) => answer,
                    Err(sent) => return Ok(sent),
                };
                match self.heard(pmir::judged(&answer, &letter.id)) {
                    Some(judged) => (judged, None, false),
                    None => return Ok(Sent::Silent(format!("HTTP {}", answer.status))),
                }
            }
        };
        let untold =
            unsaid.map(|what| Untold { patient: told.record.id.clone(), what, instant: told.instant });
        Ok(match judged {
            Judged::Taken => Sent::Taken { events: self.events(told, &name), untold },
            Judged::Refused(refusal) if tolerant => {
                tracing::debug!(receiver = self.name(), "not taken, and not told again: {}", refusal.words);
                Sent::Taken { events: Vec::new(), untold }
            }
            Judged::Refused(refusal) => Sent::Refused(refusal),
            Judged::Rubbish(words) => Sent::Silent(words),
        })
    }

    /// Tells how a patient stands, to one who may not know. A merge is told only to one who may know the patient (`again`):
    /// to others the identifiers that are no more were never any.
    pub(super) async fn tell_how_it_stands(&self, row: &Row, again: bool) -> Result<Sent, store::Error> {
        let kept = Kept::of(row)?;
        if self.receiver.protocol() == Protocol::Iti10 {
            return if kept.active { self.notify(&row.id).await } else { Ok(Sent::taken()) };
        }
        let is_messages = matches!(self.way, Way::Messages(_));
        let name = format!("stands/{}/{}", row.id, row.version);
        if let (Some(survivor), false) = (&kept.replaced_by, row.deleted) {
            let survivor = match self.store.get(PATIENT, survivor)? {
                Some(row) if again => self.records.final_survivor(row)?,
                _ => return Ok(Sent::taken()),
            };
            let (survivor, survivor_kept) = survivor;
            if survivor_kept.active {
                let stands = stands(&survivor, &survivor_kept, What::Stands);
                let sent =
                    self.tell(&stands, &format!("stands/{}/{}", survivor.id, survivor.version)).await?;
                if !matches!(sent, Sent::Taken { .. }) {
                    return Ok(sent);
                }
            }
            let mut told = stands(row, &kept, What::Merged);
            told.survivor = Some(record(&survivor, &survivor_kept));
            told.before.clone_from(&told.record.identifiers);
            return Ok(match self.tell(&told, &name).await? {
                // It never knew the one, or merged the two long ago.
                Sent::Refused(refusal) if !refusal.passes && !is_messages => Sent::taken(),
                sent => sent,
            });
        }
        match (kept.active && !row.deleted, again, is_messages) {
            (true, false, true) => self.tell(&stands(row, &kept, What::Created), &name).await,
            (true, _, _) => self.tell(&stands(row, &kept, What::Stands), &name).await,
            (false, true, true) if row.deleted => self.tell(&stands(row, &kept, What::Removed), &name).await,
            (false, true, true) => self.tell(&stands(row, &kept, What::Stands), &name).await,
            (false, _, _) => Ok(Sent::taken()),
        }
    }

    /// Tells by which names a person goes [ITI-10].
    pub(super) async fn notify(&self, id: &str) -> Result<Sent, store::Error> {
        let Way::Mllp(client) = &self.way else { return Ok(Sent::taken()) };
        let links::Person { records, is_whole } = links::person(&self.records, id)?;
        if !is_whole {
            return Ok(Sent::Refused(Refusal { words: links::too_many_linked(), passes: false }));
        }
        let identifiers: Vec<(String, String)> = records
            .iter()
            .flat_map(|(_, kept)| kept.held().map(|held| pair(&held.identifier())).collect::<Vec<_>>())
            .collect();
        let named = self.receiver.named(&identifiers);
        if named.is_empty() {
            return Ok(Sent::taken());
        }
        let life = self.store.incarnation();
        // The same names are told under the same name, whenever that is.
        let names = crate::pid::cxs(&named);
        let name = format!("{};{}/{}/{names}", life.id, life.number, self.receiver.peer);
        let instant = records.iter().map(|(row, _)| row.instant).max().unwrap_or_default();
        let head = Head { receiver: &self.receiver, name: &name, instant };
        let message = adt::notification(&named, &head);
        Ok(match self.exchange(client, &message).await {
            Said::Judged(Judged::Taken) => {
                // A PIX manager's record of it is a read (TF-2 3.10.5.1).
                let event = self.event(Action::Read, Outcome::Success, id, &adt::control_id(&name, 0));
                let entities = records.iter().map(|(row, _)| format!("Patient/{}", row.id)).collect();
                Sent::Taken { events: vec![Event { entities, ..event }], untold: None }
            }
            Said::Judged(Judged::Refused(refusal)) => Sent::Refused(refusal),
            Said::Judged(Judged::Rubbish(words)) | Said::Silent(words) => Sent::Silent(words),
            Said::Away(words) => Sent::Away(words),
        })
    }

    /// What an auditor is told of a change that was told.
    fn events(&self, told: &Told, name: &str) -> Vec<Event> {
        let request = adt::control_id(name, 0);
        let event = |action, patient: &str| self.event(action, Outcome::Success, patient, &request);
        let own = &told.record.id;
        match (told.what, &told.survivor) {
            (What::Created, _) => vec![event(Action::Create, own)],
            (What::Stands | What::Revised | What::Unmerged, _) | (What::Merged, None) => {
                vec![event(Action::Update, own)]
            }
            // A record of its own for each of the two (TF-2 3.8.5.1).
            (What::Merged, Some(survivor)) => {
                vec![event(Action::Update, &survivor.id), event(Action::Delete, own)]
            }
            (What::Removed, _) => vec![event(Action::Delete, own)],
        }
    }

    /// Sends a message of HL7 v2 and judges the answer.
    async fn exchange(&self, client: &Client, message: &[u8]) -> Said {
        let answer = client.send(message).await;
        let (word, said) = match answer {
            Ok(answer) => match adt::judged(&answer.message) {
                Judged::Taken => ("success", Said::Judged(Judged::Taken)),
                judged => ("refused", Said::Judged(judged)),
            },
            Err(Unsent::NotReached(words)) => ("not-reached", Said::Away(words)),
            Err(Unsent::Unknown(words)) => ("unknown", Said::Silent(words)),
            // Its words may speak of the patient.
            Err(Unsent::Unreadable(_)) => {
                let words = "its answer is no acknowledgement of this message";
                ("unknown", Said::Silent(words.to_owned()))
            }
            Err(Unsent::NoMessage(_)) => {
                tracing::error!(receiver = self.name(), "a message was composed that is none");
                let words = "a message that is none was composed here".to_owned();
                ("failed", Said::Judged(Judged::Refused(Refusal { words, passes: false })))
            }
        };
        let labels = [("peer", self.name()), ("result", word)];
        meter::count("docshare_peer_requests_total", &labels, 1);
        if word == "success" || word == "refused" {
            self.shown().silences.answered();
        }
        said
    }

    /// Notes that a message was judged.
    fn heard(&self, judged: Option<Judged>) -> Option<Judged> {
        if matches!(judged, Some(Judged::Taken | Judged::Refused(_))) {
            self.shown().silences.answered();
        }
        judged
    }

    /// Posts to the receiver's URL; if nothing comes back, why.
    async fn post(&self, peer: &Peer, content_type: String, body: Bytes) -> Result<PeerAnswer, Sent> {
        let headers = [("content-type", content_type)];
        peer.send(Method::POST, "", &headers, body).await.map_err(unanswered)
    }

    /// Sends one version of a patient to a registry of ours, to no other life of it than the one that is meant.
    pub(super) async fn put(&self, peer: &Peer, meant: Option<&str>, id: &str, patient: Bytes) -> Sent {
        let path = format!("/Patient/{id}");
        let mut headers = vec![("content-type", "application/fhir+json".to_owned())];
        headers.extend(meant.map(|life| (INCARNATION, life.to_owned())));
        let answer = match peer.send(Method::PUT, &path, &headers, patient).await {
            Ok(answer) => answer,
            Err(error) => return unanswered(error),
        };
        let told = life_of(&answer);
        // Taken or not: what else that life has forgotten must go there first.
        if let (Some(meant), Some(told)) = (meant, &told)
            && meant != told
        {
            tracing::warn!(receiver = self.name(), life = told, "another life of the registry answered");
            return Sent::Away("another life of it answers".to_owned());
        }
        if answer.status < 500 {
            self.shown().silences.answered();
        }
        if !matches!(answer.status, 200 | 201 | 204) {
            return Sent::Refused(Refusal::status(answer.status, outcome_code(&answer.body)));
        }
        // A registry that tells no life may be a foreign one, and counts versions of its own.
        if told.is_some() {
            self.compare(id, &answer);
        }
        Sent::taken()
    }

    /// A registry ignores what is older than what it knows. If it knows more than we do, our own data went back, and what
    /// is fed from now on is ignored until it has caught up: an operator has to hear of that.
    fn compare(&self, id: &str, answer: &PeerAnswer) {
        let Some(known) = known_version(answer) else { return };
        let Ok(Some(ours)) = self.store.get(PATIENT, id) else { return };
        if known > ours.version {
            meter::count("docshare_patients_behind_registry_total", &[], 1);
            tracing::error!(
                receiver = self.name(),
                patient = id,
                known,
                ours = ours.version,
                "the registry knows a newer version of a patient than this identity source, and ignores ours; was this \
                 data directory restored from an older backup?"
            );
        }
    }
}

/// What became of a message that was sent over MLLP.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Judged(Judged),
    /// It was sent, and nothing that can be understood came back.
    Silent(String),
    Away(String),
}

/// Why nothing came back, without what was sent.
fn unanswered(error: Error) -> Sent {
    match error {
        Error::NotReached { reason, .. } => Sent::Away(reason),
        Error::Unknown { reason, .. } => Sent::Silent(reason),
        other => Sent::Away(other.to_string()),
    }
}

/// A patient as it stands.
fn stands(row: &Row, kept: &Kept, what: What) -> Told {
    Told {
        what,
        version: row.version,
        instant: row.instant,
        record: record(row, kept),
        active: kept.active,
        before: Vec::new(),
        handed: false,
        survivor: None,
    }
}

fn record(row: &Row, kept: &Kept) -> Record {
    Record::of(&row.id, kept, &held_only(kept, &row.rendering))
}
