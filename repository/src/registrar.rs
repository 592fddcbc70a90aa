//! The registry as a peer: it is asked to register, and later what became of an attempt.

mod answers;
mod commit;
pub(crate) mod foreign;
mod life;

use std::time::Duration;

use actor::failpoint;
use bytes::Bytes;
use http::Method;
use serde_json::json;
use web::{Error, Peer, PeerAnswer};
use xds::{Finding, Findings, Place, Rule, Severity};

use crate::records::Attempt;

pub(crate) use answers::{Binding, BindingPage, KnownSubmission};
pub(crate) use commit::Commit;
pub(crate) use foreign::{Expected, Foreign};
pub(crate) use life::Life;

const KEY: &str = "docshare-submission-key";
const ATTEMPT: &str = "docshare-attempt";
const DIGEST: &str = "docshare-digest";
const ASSIGNED: &str = "docshare-assigned";
const INCARNATION: &str = "docshare-incarnation";

/// What became of a registration, as far as the registry told.
#[derive(Debug)]
pub(crate) enum Registration {
    /// It is registered.
    Committed(Commit),
    /// The registry refuses it, for these findings.
    Refused(Findings),
    /// The registry has promised never to commit an attempt with this number: a new one may be made.
    GivenUp,
    /// The registry, or something before it, refuses to talk about it (status): the submission is not at fault.
    Declined(u16),
    /// Another life of the registry answered, restored from a backup, and did nothing.
    Restored,
    /// Certainly not reached: nothing was sent.
    NotReached,
    /// It was sent, and nobody knows.
    Unknown,
}

/// What an attempt in doubt turned out to be.
#[derive(Debug)]
pub(crate) enum Settled {
    /// The registry committed this submission.
    Committed(Commit),
    /// It has not, and never will commit this attempt or one up to the fence.
    Absent {
        /// The highest attempt that has been given up.
        fence: u64,
    },
}

/// One registration.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) key: String,
    pub(crate) attempt: u64,
    pub(crate) digest: String,
    pub(crate) body: Bytes,
    /// How many receipts are due: one for each entry of the body that the registry writes.
    pub(crate) receipts: usize,
    /// Ids its objects had in an earlier life of the registry; empty: they are new.
    pub(crate) assigned: Vec<String>,
    /// What a registry of another make holds once it has committed it.
    pub(crate) expected: Expected,
    /// `traceparent` and request id of the transaction that caused it; empty: none did.
    pub(crate) trace: String,
    pub(crate) request: String,
}

impl Order {
    /// No registration: a question about a key.
    fn question(key: &str) -> Order {
        Order {
            key: key.to_owned(),
            attempt: 0,
            digest: String::new(),
            body: Bytes::new(),
            receipts: 0,
            assigned: Vec::new(),
            expected: Expected::default(),
            trace: String::new(),
            request: String::new(),
        }
    }
}

/// A registration the registry is asked about, and that is not made.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) key: String,
    pub(crate) digest: String,
    pub(crate) body: Bytes,
    pub(crate) trace: String,
    pub(crate) request: String,
}

/// The registry.
#[derive(Clone)]
pub(crate) struct Registrar {
    peer: Peer,
    tries: u32,
    /// How it is spoken to if it is of another make.
    pub(crate) foreign: Option<Foreign>,
    /// Which life of the registry this repository has reconciled itself with.
    pub(crate) life: Life,
}

type Headers = Vec<(&'static str, String)>;

impl Registrar {
    /// The registry as this peer; `foreign` if it is of another make.
    pub(crate) fn new(peer: Peer, foreign: Option<Foreign>) -> Registrar {
        Registrar { tries: peer.settings().tries.max(1), peer, foreign, life: Life::default() }
    }

    /// The same registry, spoken to as the life it says it is now. For reconciling, before that life is trusted.
    pub(crate) fn in_life(&self, life: &str) -> Registrar {
        Registrar { life: Life::trusting(life), ..self.clone() }
    }

    /// Registers, and tries again with the same attempt while the outcome is unknown and time is left.
    /// `NotReached` is answered only if no try was ever sent. A replayed answer is asked about: it may be that of another
    /// attempt, or of somebody else, and only the registry knows whose documents it has. The second word is true if a try
    /// may have been carried out behind our back.
    pub(crate) async fn register(
        &self,
        order: &Order,
        deadline: tokio::time::Instant,
    ) -> (Registration, bool) {
        let mut doubt = false;
        let mut pause = Duration::from_millis(200);
        for last in (0..self.tries).rev() {
            let outcome = match tokio::time::timeout_at(deadline, self.register_once(order)).await {
                Ok(outcome) => outcome,
                Err(_) => Registration::Unknown,
            };
            match outcome {
                Registration::NotReached if !doubt => return (outcome, doubt),
                Registration::NotReached | Registration::Unknown => doubt = true,
                Registration::Committed(commit) if commit.replayed || commit.attempt != order.attempt => {
                    return (self.replayed(order).await, true);
                }
                Registration::Committed(_)
                | Registration::Refused(_)
                | Registration::GivenUp
                | Registration::Restored => return (outcome, doubt),
                // A refusal without its reason may be somebody's on the way, who knows nothing of what the registry does. One of
                // another make has no other way to say that it did not understand, or is busy.
                Registration::Declined(_) => return (outcome, doubt || self.foreign.is_none()),
            }
            if last == 0 || tokio::time::Instant::now() + pause >= deadline {
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        (Registration::Unknown, true)
    }

    async fn replayed(&self, order: &Order) -> Registration {
        match self.settle(&order.key, order.attempt, &[]).await {
            Ok(Settled::Committed(commit)) => Registration::Committed(commit),
            Ok(Settled::Absent { .. }) | Err(_) => Registration::Unknown,
        }
    }

    async fn register_once(&self, order: &Order) -> Registration {
        if let Some(foreign) = &self.foreign {
            failpoint!(peer "repo.reg.pre_send", _failed => return Registration::NotReached);
            let asking = foreign.register(&self.peer, order);
            let told = failpoint!(during "repo.reg.sent", asking, _failed => return Registration::Unknown);
            failpoint!(peer "repo.reg.received", _failed => return Registration::Unknown);
            return told;
        }
        let mut headers = vec![
            ("content-type", "application/fhir+json".to_owned()),
            ("accept", "application/fhir+json".to_owned()),
            (KEY, order.key.clone()),
            (ATTEMPT, order.attempt.to_string()),
            (DIGEST, order.digest.clone()),
        ];
        if !order.assigned.is_empty() {
            headers.push((ASSIGNED, order.assigned.join(",")));
        }
        if !order.trace.is_empty() {
            headers.push(("traceparent", order.trace.clone()));
            headers.push(("x-request-id", order.request.clone()));
        }
        let meant = self.expecting(&mut headers);
        failpoint!(peer "repo.reg.pre_send", _failed => return Registration::NotReached);
        let asking = self.peer.send(Method::POST, "", &headers, order.body.clone());
        let answer = failpoint!(during "repo.reg.sent", asking, _failed => return Registration::Unknown);
        failpoint!(peer "repo.reg.received", _failed => return Registration::Unknown);
        match answer {
            Ok(answer) if self.is_strange(meant.as_deref(), &answer) => match answer.status {
                412 => Registration::Restored,
                // Of a life that is over: what it says of its commits is no more.
                _ => Registration::Unknown,
            },
            Ok(answer) => answers::registration(&answer, order),
            Err(Error::NotReached { .. }) => Registration::NotReached,
            Err(_) => Registration::Unknown,
        }
    }

    /// Asks what became of the attempts of a key up to this one; after `Absent` none of them can be committed any more. `open`
    /// are those in doubt: a registry of another make says what it has, and not whose it is.
    pub(crate) async fn settle(&self, key: &str, attempt: u64, open: &[Attempt]) -> Result<Settled, Error> {
        if let Some(foreign) = &self.foreign {
            return foreign.settle(&self.peer, key, attempt, open).await;
        }
        let body = json!({ "key": key, "attempt": attempt });
        let asking = self.ask(Method::POST, "/settle", Bytes::from(body.to_string()));
        let answer =
            failpoint!(during "repo.settle.asked", asking, error => return Err(unknown(error.to_string())))?;
        failpoint!(peer "repo.settle.answered", error => return Err(unknown(error.to_string())));
        answers::settled(&answer.body, attempt).map_err(unknown)
    }

    /// Which of these submissions the registry has committed. Raises no fence.
    pub(crate) async fn known(&self, keys: &[&str]) -> Result<Vec<KnownSubmission>, Error> {
        self.ours()?;
        let body = json!({ "keys": keys });
        let answer = self.ask(Method::POST, "/submissions", Bytes::from(body.to_string())).await?;
        answers::known(&answer.body).map_err(unknown)
    }

    /// Documents registered under a URL that begins so, behind this commit of the registry, and behind this document of the
    /// next one.
    pub(crate) async fn bindings(
        &self,
        under: &str,
        since: u64,
        after: Option<&str>,
    ) -> Result<BindingPage, Error> {
        self.ours()?;
        let under = percent_encoding::utf8_percent_encode(under, percent_encoding::NON_ALPHANUMERIC);
        let after = after.map(|id| format!("&after={id}")).unwrap_or_default();
        let path = format!("/bindings?under={under}&since={since}{after}");
        let answer = self.ask(Method::GET, &path, Bytes::new()).await?;
        answers::bindings(&answer.body).map_err(unknown)
    }

    /// The id of the patient whom an identifier names at the registry.
    pub(crate) async fn patient(&self, identifier: &xds::Identifier) -> Result<Option<String>, Error> {
        let encoded = |text| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let (system, value) = (encoded(&identifier.system), encoded(&identifier.value));
        let path = format!("/patients?system={system}&value={value}");
        let answer = self.ask(Method::GET, &path, Bytes::new()).await?;
        answers::patient(&answer.body).map_err(unknown)
    }

    /// What a registration would come to: every finding, reservations too.
    pub(crate) async fn validate(&self, question: &Question) -> Result<Findings, Error> {
        if self.foreign.is_some() {
            let text = "The registry behind this repository speaks XDS.b, which has no validation: what it will say of codes, \
                        references and uniqueIds is not known before it registers.";
            let told = Finding::warning(Rule::NotSupported, Place::whole(), text);
            return Ok(vec![Finding { severity: Severity::Information, ..told }]);
        }
        let headers = vec![
            ("content-type", "application/fhir+json".to_owned()),
            (KEY, question.key.clone()),
            (ATTEMPT, "1".to_owned()),
            (DIGEST, question.digest.clone()),
            ("traceparent", question.trace.clone()),
            ("x-request-id", question.request.clone()),
        ];
        let answer =
            self.peer.send_beside(Method::POST, "/validate", &headers, question.body.clone()).await?;
        // A registration that cannot even be read is refused, and says why in the same way.
        let is_told = answer.status == 200 || (400..=422).contains(&answer.status);
        let findings = fhir::outcome::read(&answer.body).filter(|_| is_told);
        findings.ok_or_else(|| unknown(format!("validation was answered with status {}", answer.status)))
    }

    /// A registered document entry as it reads in this version.
    pub(crate) async fn document(&self, id: &str, version: &str) -> Result<Bytes, Error> {
        self.ours()?;
        let headers = vec![("accept", "application/fhir+json".to_owned())];
        let path = format!("/DocumentReference/{id}/_history/{version}");
        let answer = self.peer.send(Method::GET, &path, &headers, Bytes::new()).await?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        Err(unknown(format!("a document entry was answered with status {}", answer.status)))
    }

    /// Which life of the registry answers now; none if it is a registry that does not say.
    pub(crate) async fn lives(&self) -> Result<Option<String>, Error> {
        if self.foreign.is_some() {
            return Ok(None);
        }
        let answer = self.peer.send_beside(Method::GET, "/incarnation", &[], Bytes::new()).await?;
        Ok(life_of(&answer))
    }

    /// Refuses what only a registry of our own make can be asked.
    fn ours(&self) -> Result<(), Error> {
        match &self.foreign {
            None => Ok(()),
            Some(_) => {
                Err(unknown("it speaks XDS.b (registry.protocol), which has no question for this".to_owned()))
            }
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<PeerAnswer, Error> {
        let mut headers = Headers::new();
        if !body.is_empty() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let meant = self.expecting(&mut headers);
        let answer = self.peer.send_beside(method, path, &headers, body).await?;
        if self.is_strange(meant.as_deref(), &answer) {
            return Err(unknown("it was restored from a backup and is reconciled first".to_owned()));
        }
        if answer.status != 200 {
            let what = path.split('?').next().unwrap_or(path);
            return Err(unknown(format!("{what} was answered with status {}", answer.status)));
        }
        Ok(answer)
    }

    /// Says which life is meant, and answers it.
    fn expecting(&self, headers: &mut Headers) -> Option<String> {
        let meant = self.life.trusted();
        headers.extend(meant.clone().map(|life| (INCARNATION, life)));
        meant
    }

    /// Whether another life of the registry answered than the one that was meant, or one that is trusted no more: an answer
    /// may come so late that the registry has been reconciled with meanwhile.
    fn is_strange(&self, meant: Option<&str>, answer: &PeerAnswer) -> bool {
        let Some(told) = life_of(answer) else { return false };
        let is_trusted = self.life.trusted().is_none_or(|trusted| trusted == told);
        if !is_trusted {
            self.life.met_another();
        }
        !is_trusted || meant.is_some_and(|meant| meant != told)
    }
}

fn life_of(answer: &PeerAnswer) -> Option<String> {
    answer.headers.get(INCARNATION)?.to_str().ok().map(str::to_owned)
}

fn unknown(reason: String) -> Error {
    Error::Unknown { peer: "registry".to_owned(), reason }
}
