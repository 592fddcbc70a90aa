//! The corridor: who, read, allow, act with audit, write.

use access::{Attempt, Caller, Grant, Policy};
use audit::{Action, Outcome};
use store::Store;
use web::{Answer, Request};

use crate::clock::Clock;
use crate::fault::Fault;
use crate::trail::{Audited, Trail, append};

/// What a transaction knows about its surroundings.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who is calling.
    pub caller: Caller,
    /// The request id.
    pub request: String,
    /// The W3C trace.
    pub trace: String,
    /// Absolute base URL of this actor's FHIR endpoint, without trailing slash.
    pub base: String,
}

/// A use case: what happens between reading a request and writing an answer.
pub trait Transaction: Sized {
    /// What it is asked.
    type Request;
    /// What it answers.
    type Response;
    /// What the domain calls a broken rule.
    type Findings;
    /// Number of the transaction, e.g. `ITI-67`.
    const NUMBER: &'static str;
    /// What an auditor calls it.
    const ACTION: Action;
    /// Whether it only concludes what was begun: then it is served though the volume has no room for anything new.
    const CONCLUDES: bool = false;

    /// Does it. The trail must be spent for the answer to exist.
    fn run(
        &self,
        grant: Grant<Self>,
        trail: Trail,
        request: Self::Request,
    ) -> impl Future<Output = Result<Audited<Self::Response>, Fault<Self::Findings>>>;
}

/// How a face reads the request of a transaction, and writes its answer.
pub trait Codec<T: Transaction> {
    /// Reads the request; problems of the body are findings.
    fn read(
        &self,
        request: &mut Request,
        context: &Context,
    ) -> impl Future<Output = Result<T::Request, Fault<T::Findings>>>;
    /// Writes the answer.
    fn write(&self, response: T::Response, context: &Context) -> Answer;
    /// Writes a fault. `context.caller` may be unknown here.
    fn refuse(&self, fault: Fault<T::Findings>, context: &Context) -> Answer;
    /// One word for a fault, for metrics and the audit record.
    fn reason(&self, fault: &Fault<T::Findings>) -> String;
}

/// How a face finds out which transaction a request is, where only its body says so. Who is calling is asked before; the
/// transaction itself then walks the corridor like any other.
pub trait Opening {
    /// What it is read into.
    type Opened;
    /// What is wrong with it, if so.
    type Findings;

    /// Number of the transaction, as far as it is known by now.
    fn transaction(&self) -> &'static str;
    /// Reads the request.
    fn read(
        &self,
        request: &mut Request,
        context: &Context,
    ) -> impl Future<Output = Result<Self::Opened, Fault<Self::Findings>>>;
    /// Writes a fault. `context.caller` may be unknown here.
    fn refuse(&self, fault: Fault<Self::Findings>, context: &Context) -> Answer;
    /// One word for a fault, for metrics and the audit record.
    fn reason(&self, fault: &Fault<Self::Findings>) -> String;
}

/// What every transaction of an actor walks through.
#[derive(Clone)]
pub struct Corridor {
    /// Who may do what.
    pub policy: Policy,
    /// Where audit records of reads and refusals go.
    pub store: Store,
    /// Time.
    pub clock: Clock,
}

impl Corridor {
    /// Walks one request through: who, read, allow, act, write.
    pub async fn walk<T: Transaction, C: Codec<T>>(
        &self,
        transaction: &T,
        codec: &C,
        request: &mut Request,
    ) -> Answer {
        let mut context = Context {
            caller: Caller { name: "unknown".to_owned(), address: request.peer },
            request: request.id.clone(),
            trace: request.trace.clone(),
            base: request.base.clone(),
        };
        let fault = match self.policy.identify(request.peer) {
            Err(_) => Fault::Unauthenticated,
            Ok(caller) => {
                context.caller = caller;
                match self.attempt(transaction, codec, request, &context).await {
                    Ok(response) => return codec.write(response.into_response(), &context),
                    Err(fault) => fault,
                }
            }
        };
        self.refused::<T, C>(codec, fault, context, &request.query).await
    }

    /// Opens a request whose body says which transaction it is: the caller first, then the body. A refusal is recorded here;
    /// what was opened is recorded by the transaction.
    ///
    /// # Errors
    /// The answer that refuses it.
    pub async fn open<O: Opening>(&self, opening: &O, request: &mut Request) -> Result<O::Opened, Answer> {
        let mut context = Context {
            caller: Caller { name: "unknown".to_owned(), address: request.peer },
            request: request.id.clone(),
            trace: request.trace.clone(),
            base: request.base.clone(),
        };
        let fault = match self.policy.identify(request.peer) {
            Err(_) => Fault::Unauthenticated,
            Ok(caller) => {
                context.caller = caller;
                match opening.read(request, &context).await {
                    Ok(opened) => return Ok(opened),
                    Err(fault) => fault,
                }
            }
        };
        let reason = opening.reason(&fault);
        let trail = Trail::new(context.clone(), opening.transaction(), Action::Execute);
        self.record(&fault, &reason, trail, &request.query).await;
        Err(opening.refuse(fault, &context))
    }

    async fn attempt<T: Transaction, C: Codec<T>>(
        &self,
        transaction: &T,
        codec: &C,
        request: &mut Request,
        context: &Context,
    ) -> Result<Audited<T::Response>, Fault<T::Findings>> {
        let attempt =
            Attempt { transaction: T::NUMBER, writes: !matches!(T::ACTION, Action::Read | Action::Execute) };
        if attempt.writes && !T::CONCLUDES {
            // Told before the body is read: it would be read for nothing.
            self.store.room()?;
        }
        let read = codec.read(request, context).await?;
        let grant = self.policy.allow::<T>(context.caller.clone(), attempt).map_err(|_| Fault::Forbidden)?;
        transaction.run(grant, Trail::new(context.clone(), T::NUMBER, T::ACTION), read).await
    }

    async fn refused<T: Transaction, C: Codec<T>>(
        &self,
        codec: &C,
        fault: Fault<T::Findings>,
        context: Context,
        asked: &str,
    ) -> Answer {
        let reason = codec.reason(&fault);
        self.record(&fault, &reason, Trail::new(context.clone(), T::NUMBER, T::ACTION), asked).await;
        codec.refuse(fault, &context)
    }

    /// Writes a refusal down: the audit record, and for the operator what only he may know.
    async fn record<F>(&self, fault: &Fault<F>, reason: &str, trail: Trail, asked: &str) {
        let outcome = match fault {
            Fault::Internal(_)
            | Fault::Damaged
            | Fault::Unreadable(_)
            | Fault::NoRoom(_)
            | Fault::Unwritable(_) => Outcome::SeriousFailure,
            _ => Outcome::MinorFailure,
        };
        let (request_id, transaction) = (trail.context().request.clone(), trail.transaction());
        if let Fault::Internal(cause) = fault {
            tracing::error!(request_id, transaction, cause, "internal fault");
        }
        let now = self.clock.now();
        if let Fault::Unreadable(cause) | Fault::Unwritable(cause) = fault {
            tracing::error!(request_id, transaction, cause, "storage cannot be used");
        }
        let event = trail.refusal(now, outcome, reason, asked);
        if let Err(error) = append(&self.store, now, &event).await {
            tracing::error!(request_id, %error, "the audit record of a refusal was not written");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::SocketAddr;

    use http::{HeaderMap, Method, StatusCode};
    use web::{Body, Params};

    use super::*;
    use crate::trail::Subject;

    struct Greet(Store);

    impl Transaction for Greet {
        type Request = String;
        type Response = String;
        type Findings = Vec<String>;
        const NUMBER: &'static str = "ITI-0";
        const ACTION: Action = Action::Read;

        async fn run(
            &self,
            grant: Grant<Greet>,
            trail: Trail,
            request: String,
        ) -> Result<Audited<String>, Fault<Vec<String>>> {
            if request.is_empty() {
                return Err(Fault::Refused(vec!["nobody to greet".to_owned()]));
            }
            let greeting = format!("{request}, {}", grant.caller().name);
            Ok(trail.note(&self.0, 1, Subject::default(), greeting).await?)
        }
    }

    #[derive(Default)]
    struct Words {
        read: Cell<bool>,
    }

    impl Codec<Greet> for Words {
        async fn read(&self, request: &mut Request, _: &Context) -> Result<String, Fault<Vec<String>>> {
            self.read.set(true);
            let bytes = request.body.whole(10, "a.limit").await?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }

        fn write(&self, response: String, _: &Context) -> Answer {
            Answer::bytes(StatusCode::OK, "text/plain", response)
        }

        fn refuse(&self, fault: Fault<Vec<String>>, _: &Context) -> Answer {
            let status = fault.told().map_or(400, |told| told.status);
            Answer::empty(StatusCode::from_u16(status).expect("a status"))
        }

        fn reason(&self, fault: &Fault<Vec<String>>) -> String {
            fault.told().map_or("refused", |told| told.code).to_owned()
        }
    }

    async fn walk(store: Store, address: &str, body: &'static str) -> (u16, bool) {
        let corridor =
            Corridor { policy: Policy::LocalDevelopment, store: store.clone(), clock: Clock::fake(1) };
        let mut request = Request {
            method: Method::POST,
            path: "/".to_owned(),
            query: "name=Ada".to_owned(),
            headers: HeaderMap::new(),
            peer: address.parse::<SocketAddr>().expect("an address"),
            id: "r".to_owned(),
            trace: "t".to_owned(),
            base: "http://a/fhir".to_owned(),
            params: Params::default(),
            transaction: None,
            body: Body::from_bytes(body),
        };
        let words = Words::default();
        let answer = corridor.walk(&Greet(store.clone()), &words, &mut request).await;
        (answer.status.as_u16(), words.read.get())
    }

    #[tokio::test]
    async fn a_request_walks_through() {
        assert_eq!(walk(Store::memory(), "127.0.0.1:5", "hello").await, (200, true));
    }

    #[tokio::test]
    async fn nothing_is_read_of_an_unknown_caller() {
        assert_eq!(walk(Store::memory(), "10.0.0.1:5", "hello").await, (401, false));
    }

    #[tokio::test]
    async fn a_refusal_by_rule_or_limit_is_told() {
        assert_eq!(walk(Store::memory(), "127.0.0.1:5", "").await, (400, true));
        assert_eq!(walk(Store::memory(), "127.0.0.1:5", "much too long a name").await, (413, true));
    }

    #[tokio::test]
    async fn a_refusal_is_written_down_with_what_was_asked() {
        let store = Store::memory();
        assert_eq!(walk(store.clone(), "127.0.0.1:5", "").await, (400, true));
        let lines = store.audited(0, 9).expect("can be read");
        let event: audit::Event = serde_json::from_slice(&lines[0].record).expect("is JSON");
        assert_eq!((event.outcome, event.query.as_deref()), (Outcome::MinorFailure, Some("name=Ada")));
    }

    #[tokio::test]
    async fn without_its_audit_record_nothing_is_answered() {
        let store = Store::memory();
        store.close().await.expect("it was open");
        assert_eq!(walk(store, "127.0.0.1:5", "hello").await, (503, true));
    }
}
