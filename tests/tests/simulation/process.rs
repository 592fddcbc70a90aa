//! An actor of the simulation: built as in its own process, over a store that outlives it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use access::Policy;
use actor::{Actor, Clock, Corridor, House};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use store::Store;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use web::{Answer, AnswerBody, Body, Found, Letter, Limits, Params, PeerAnswer, Request, Router};

use crate::network::{Disk, Life, Network, Place, Wire};

/// Answers one request.
type Serve = Rc<dyn Fn(Request) -> LocalBoxFuture<'static, Answer>>;

/// An actor that is up.
pub(crate) struct Running {
    pub(crate) life: Arc<Life>,
    serve: Serve,
    clock: Clock,
    /// Everything it does at the moment; requests behind its own tasks.
    tasks: Vec<AbortHandle>,
    own: usize,
    /// Keeps its background tasks from stopping.
    _stop: watch::Sender<bool>,
}

impl Running {
    /// Builds an actor over its store.
    pub(crate) async fn start<A: Actor>(
        place: Place,
        settings: A::Settings,
        store: &Store,
        wall: i64,
        network: &Arc<Network>,
    ) -> (Running, Arc<A>) {
        let life = Life::new(place, network);
        let store = store.through(Arc::new(Disk(Arc::clone(&life))));
        let clock = Clock::fake(wall.max(store.last_instant()));
        let (stop, stopping) = watch::channel(false);
        let policy = Policy::LocalDevelopment;
        let house = House {
            settings,
            corridor: Corridor { policy, store, clock: clock.clone() },
            clock: clock.clone(),
            limits: Limits::default(),
            public_url: None,
            time_zone: jiff::tz::TimeZone::UTC,
            secret: [7; 32],
            stopping,
            carrier: Some(Arc::new(Wire(Arc::clone(&life)))),
            doors: actor::Doors::default(),
        };
        let actor = Arc::new(A::build(house).await.expect("the settings are sound"));
        let tasks: Vec<AbortHandle> = Arc::clone(&actor)
            .background()
            .into_iter()
            .map(|task| tokio::task::spawn_local(task).abort_handle())
            .collect();
        let serve = serve(Arc::clone(&actor));
        let own = tasks.len();
        (Running { life, serve, clock, tasks, own, _stop: stop }, actor)
    }

    /// Tells it the time.
    pub(crate) fn set_clock(&self, wall: i64) {
        self.clock.set(wall);
    }

    /// Begins to answer a request; `answered` is called with the answer.
    pub(crate) fn take(&mut self, letter: Letter, answered: impl FnOnce(PeerAnswer) + 'static) {
        let request = request(self.life.place, letter);
        let served = (self.serve)(request);
        let task = async move { answered(peer_answer(served.await).await) };
        self.tasks.push(tokio::task::spawn_local(task).abort_handle());
    }

    /// Gives up one of the requests it is busy with, counted round; false if there is none.
    pub(crate) fn abandon(&mut self, pick: u8) -> bool {
        let own = self.own;
        let busy: Vec<usize> =
            (own..self.tasks.len()).filter(|place| !self.tasks[*place].is_finished()).collect();
        let Some(place) = busy.get(usize::from(pick) % busy.len().max(1)) else { return false };
        self.tasks.remove(*place).abort();
        true
    }

    /// Ends it at once.
    pub(crate) fn end(self) {
        self.life.end();
        self.life.network.forget(&self.life);
        for task in self.tasks {
            task.abort();
        }
    }
}

fn serve<A: Actor>(actor: Arc<A>) -> Serve {
    let router = Router::new(A::routes().iter().map(|route| (route.method, route.path)));
    let router = router.expect("the lines of an actor do not contradict each other");
    Rc::new(move |mut request: Request| {
        let found = router.find(request.method.as_str(), &request.path);
        let actor = Arc::clone(&actor);
        Box::pin(async move {
            request.path = web::below_base(std::mem::take(&mut request.path));
            match found {
                Found::Line(number, params) => {
                    request.params = params;
                    (A::routes()[number].serve)(&actor, &mut request).await
                }
                Found::OtherMethods(allowed) => actor.unrouted(&request, &allowed),
                Found::Nothing => actor.unrouted(&request, &[]),
            }
        })
    })
}

fn request(place: Place, letter: Letter) -> Request {
    let rest = letter.url.strip_prefix(place.host()).unwrap_or(&letter.url);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut headers = HeaderMap::new();
    for (name, value) in &letter.headers {
        let value = HeaderValue::from_str(value).expect("actors send header values");
        headers.insert(HeaderName::from_static(name), value);
    }
    Request {
        method: letter.method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        peer: SocketAddr::from(([127, 0, 0, 1], 9)),
        id: "simulated".to_owned(),
        trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        base: format!("{}/fhir", place.host()),
        params: Params::default(),
        transaction: None,
        body: Body::from_bytes(letter.body),
    }
}

/// An answer whose body breaks off is one that never came whole.
async fn peer_answer(answer: Answer) -> PeerAnswer {
    let mut headers = HeaderMap::new();
    headers.extend(answer.headers.into_iter().map(|(name, value)| (Some(name), value)));
    let (status, body) = match answer.body {
        AnswerBody::Empty => (answer.status, Bytes::new()),
        AnswerBody::Bytes(bytes) => (answer.status, bytes),
        AnswerBody::Parts(parts) => (answer.status, Bytes::from(parts.concat())),
        AnswerBody::Stream { mut stream, .. } => {
            let mut all = Vec::new();
            let mut status = answer.status;
            while let Some(chunk) = stream.next().await {
                match chunk {
                    Ok(chunk) => all.extend_from_slice(&chunk),
                    Err(_) => status = StatusCode::INTERNAL_SERVER_ERROR,
                }
            }
            (status, Bytes::from(all))
        }
    };
    PeerAnswer { status: status.as_u16(), headers, body }
}
