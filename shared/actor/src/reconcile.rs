//! Comparing with the peers, as the admin listener asks for it: one comparison at a time, its report kept.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use http::StatusCode;
use parking_lot::Mutex;
use web::Answer;

use crate::report::Report;
use crate::run::Actor;

type Outcome = Result<Report, String>;

/// What the actor does when it is asked to compare.
type Compare = Box<dyn Fn(bool) -> Option<LocalBoxFuture<'static, Outcome>> + Send + Sync>;

/// The comparisons of an actor.
pub(crate) struct Reconciling {
    compare: Compare,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
enum State {
    #[default]
    Never,
    UnderWay,
    Done(Outcome),
}

/// A comparison under way; one that ends without an outcome can be begun again.
struct Guard<'a>(&'a Mutex<State>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if matches!(*state, State::UnderWay) {
            *state = State::Done(Err("the comparison was broken off; begin it again".to_owned()));
        }
    }
}

impl Reconciling {
    pub(crate) fn new<A: Actor>(actor: Arc<A>) -> Reconciling {
        let compare = Box::new(move |apply| Arc::clone(&actor).reconcile(apply));
        Reconciling { compare, state: Mutex::default() }
    }

    /// Compares, and answers with the report.
    pub(crate) async fn begin(&self, query: &str) -> Answer {
        let apply = match query {
            "apply=true" => true,
            "apply=false" => false,
            _ => {
                return words(
                    StatusCode::BAD_REQUEST,
                    "write /reconcile?apply=true or /reconcile?apply=false",
                );
            }
        };
        if matches!(*self.state.lock(), State::UnderWay) {
            return words(StatusCode::CONFLICT, "a comparison is under way; wait for it, and ask again");
        }
        let Some(comparing) = (self.compare)(apply) else {
            return words(StatusCode::NOT_FOUND, "this actor has nothing to reconcile with its peers");
        };
        *self.state.lock() = State::UnderWay;
        let guard = Guard(&self.state);
        let outcome = comparing.await;
        *self.state.lock() = State::Done(outcome);
        drop(guard);
        self.last()
    }

    /// The report of the last comparison.
    pub(crate) fn last(&self) -> Answer {
        match &*self.state.lock() {
            State::Never => words(StatusCode::NOT_FOUND, "nothing was compared since the actor started"),
            State::UnderWay => words(StatusCode::ACCEPTED, "under way"),
            State::Done(Ok(report)) => {
                Answer::bytes(StatusCode::OK, "application/json", format!("{:#}\n", report.json()))
            }
            State::Done(Err(why)) => words(StatusCode::BAD_GATEWAY, why),
        }
    }
}

fn words(status: StatusCode, words: &str) -> Answer {
    Answer::bytes(status, "text/plain; charset=utf-8", format!("{words}\n"))
}
