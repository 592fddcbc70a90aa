//! The server: actix's accept loop, workers and HTTP/1 dispatcher, behind our guard and in front of our requests and answers.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive};
use actix_service::{ServiceFactoryExt, fn_service};
use actix_web::dev::ServerHandle;
use actix_web::rt::net::TcpStream;
use http::HeaderValue;
use http::header::RETRY_AFTER;
use tokio::io::AsyncWriteExt;

use crate::answer::{Answer, AnswerBody};
use crate::connections::Connections;
use crate::cors::{Cors, Origin};
use crate::guard::{Connection, Guard};
use crate::head::{Framing, Head};
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::send::{Dressing, Outgoing, dress};
use crate::site::{Network, Site};

/// What answers the requests of a server. Runs on the worker threads; nothing it makes leaves its thread.
pub trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: &mut Request) -> impl Future<Output = Answer>;
    /// Writes a refusal that came before any routing.
    fn refused(&self, refusal: &Refusal, request_id: &str) -> Answer;
}

/// How a server is run.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Worker threads.
    pub workers: usize,
    /// What connections and requests may cost.
    pub limits: Limits,
    /// The FHIR base as callers see it, without trailing slash; none: it follows from the `Host`.
    pub public_url: Option<String>,
    /// Whose `Forwarded` and `X-Forwarded-…` headers count.
    pub trusted_proxies: Vec<Network>,
    /// Origins whose pages may read answers in a browser; none: no page of another site may.
    pub cors_origins: Vec<Origin>,
    /// How long requests under way may take when the server stops.
    pub drain: Duration,
}

impl Default for ServerSettings {
    fn default() -> ServerSettings {
        ServerSettings {
            workers: 1,
            limits: Limits::default(),
            public_url: None,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            drain: Duration::from_secs(30),
        }
    }
}

/// Bytes of an answer that are gathered before they are written; no more than a connection may keep of a buffer anyway.
const WRITTEN_AT_ONCE: usize = 128 << 10;

/// A running server. Dropped, it stops without waiting.
pub struct Server {
    handle: ServerHandle,
    thread: Option<JoinHandle<io::Result<()>>>,
    address: SocketAddr,
}

impl Server {
    /// Starts to serve on a listener; answers when connections are taken.
    pub fn start<S: Service>(
        listener: TcpListener,
        service: Arc<S>,
        settings: ServerSettings,
    ) -> io::Result<Server> {
        let address = listener.local_addr()?;
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("web".to_owned()).spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = match listen(listener, service, settings) {
                    Ok(server) => server,
                    Err(error) => {
                        // The receiver waits for exactly this; the error is given to it, not to the join.
                        drop(tell.send(Err(error)));
                        return Ok(());
                    }
                };
                drop(tell.send(Ok(server.handle())));
                server.await
            })
        })?;
        let handle = told.recv().map_err(|_| io::Error::other("the server's thread ended at once"))??;
        Ok(Server { handle, thread: Some(thread), address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, lets requests under way finish within the drain time, and answers when all is done.
    pub fn stop(mut self) {
        drop(self.handle.stop(true));
        if let Some(thread) = self.thread.take()
            && let Ok(Err(error)) = thread.join()
        {
            tracing::error!(%error, "the server ended with an error");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            drop(self.handle.stop(false));
            drop(thread);
        }
    }
}

fn listen<S: Service>(
    listener: TcpListener,
    service: Arc<S>,
    settings: ServerSettings,
) -> io::Result<actix_web::dev::Server> {
    listener.set_nonblocking(true)?;
    let connections = Connections::default();
    let builder = actix_web::dev::Server::build()
        .workers(settings.workers.max(1))
        .max_concurrent_connections(
            usize::try_from(settings.limits.max_connections * 2).unwrap_or(usize::MAX),
        )
        .shutdown_timeout(settings.drain.as_secs().max(1))
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let name = format!("web-{}", listener.local_addr()?);
    let builder = builder.listen(name, listener, move || {
        let site = Rc::new(Site::new(&settings));
        let limits = Rc::clone(&site.limits);
        let (service, connections, stopping) = (Arc::clone(&service), connections.clone(), stopping.clone());
        let turning = Arc::clone(&service);
        let http = HttpService::build()
            .keep_alive(KeepAlive::Timeout(Duration::from_secs(limits.keep_alive_seconds.max(1))))
            // The guard keeps the time a head may take.
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(Duration::from_secs(3))
            // A page of a search goes out at once, not in pieces for each of which the caller is woken.
            .h1_write_buffer_size(WRITTEN_AT_ONCE)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(|guard: &Guard<TcpStream>, data| {
                data.insert(guard.connection());
            })
            .h1(fn_service(move |request: actix_http::Request| {
                let (service, site) = (Arc::clone(&service), Rc::clone(&site));
                async move { Ok::<_, Infallible>(serve(service, &site, request).await) }
            }));
        fn_service(move |stream: TcpStream| {
            let (connections, limits) = (connections.clone(), Rc::clone(&limits));
            let turning = Arc::clone(&turning);
            async move {
                let admitted = admit(stream, &connections, limits, turning.as_ref()).await;
                admitted.map_err(actix_http::error::DispatchError::Io)
            }
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}

async fn admit<S: Service>(
    mut stream: TcpStream,
    connections: &Connections,
    limits: Rc<Limits>,
    service: &S,
) -> io::Result<(Guard<TcpStream>, Option<SocketAddr>)> {
    let peer = stream.peer_addr()?;
    stream.set_nodelay(true)?;
    match connections.admit(peer.ip(), &limits) {
        Some(slot) => Ok((Guard::new(stream, limits, slot), Some(peer))),
        None => {
            stream.write_all(&turned_away(service)).await?;
            stream.shutdown().await?;
            Err(io::Error::other("too many connections"))
        }
    }
}

/// The whole answer to a connection that is one too many: nobody reads its requests, and no dispatcher writes for it.
fn turned_away<S: Service>(service: &S) -> Vec<u8> {
    let dressing = Dressing::plain();
    let answer = service.refused(&Refusal::TooManyConnections, &dressing.id);
    let body = match &answer.body {
        AnswerBody::Bytes(bytes) => bytes.clone(),
        AnswerBody::Empty | AnswerBody::Parts(_) | AnswerBody::Stream { .. } => bytes::Bytes::new(),
    };
    let response = dress(answer, dressing);
    let mut message = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        message.extend_from_slice(format!("{name}: ").as_bytes());
        message.extend_from_slice(value.as_bytes());
        message.extend_from_slice(b"\r\n");
    }
    let rest = format!("Retry-After: 2\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    message.extend_from_slice(rest.as_bytes());
    message.extend_from_slice(&body);
    message
}

/// Serves what may change something in a task of its own: a caller who hangs up in the middle ends the connection, but not
/// what is already under way for it.
async fn to_the_end<S: Service>(service: Arc<S>, mut request: Request) -> Answer {
    let task = actix_web::rt::spawn(async move { service.answer(&mut request).await });
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request was not served to its end");
        let mut answer = Answer::empty(http::StatusCode::INTERNAL_SERVER_ERROR);
        answer.close = true;
        answer
    })
}

/// The longest anything may take until its answer begins.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How long a request may take until its answer begins, and what is told when it does not.
fn deadline(head: &Head, limits: &Limits) -> (Duration, Refusal) {
    let question = matches!(head.method, http::Method::GET | http::Method::HEAD);
    if question || head.path.ends_with("/_search") {
        return (Duration::from_secs(limits.read_deadline_seconds), Refusal::TooLong);
    }
    // A body that does not say its length may be the longest.
    let most = match head.framing {
        Framing::None => Duration::ZERO,
        Framing::Length(length) => Duration::from_secs(length >> 20),
        Framing::Chunked => LONGEST,
    };
    (LONGEST.min(most + Duration::from_secs(limits.submission_deadline_seconds)), Refusal::Unfinished)
}

/// Serves a request within its time. A question is given up then; a change goes on, but its caller waits no longer.
async fn in_time<S: Service>(
    service: Arc<S>,
    mut request: Request,
    (time, refusal): (Duration, Refusal),
) -> Answer {
    let id = request.id.clone();
    let answered = if matches!(request.method, http::Method::GET | http::Method::HEAD) {
        tokio::time::timeout(time, service.answer(&mut request)).await
    } else {
        tokio::time::timeout(time, to_the_end(Arc::clone(&service), request)).await
    };
    answered.unwrap_or_else(|_| {
        let mut answer = service.refused(&refusal, &id);
        answer.headers.push((RETRY_AFTER, HeaderValue::from_static("2")));
        answer.close = true;
        answer
    })
}

async fn serve<S: Service>(
    service: Arc<S>,
    site: &Rc<Site>,
    mut incoming: actix_http::Request,
) -> actix_http::Response<Outgoing> {
    let connection = incoming.conn_data::<Rc<Connection>>().cloned();
    let peer = incoming.peer_addr();
    let (Some(connection), Some(peer)) = (connection, peer) else {
        // Every connection comes through `admit`; without its guard nothing can be said about a request.
        return actix_http::Response::with_body(actix_http::StatusCode::BAD_REQUEST, Outgoing::nothing());
    };
    match connection.head() {
        Some(Ok(head)) => {
            let headless = head.method == http::Method::HEAD;
            let cors = Cors::of(&head.method, &head.headers, &site.cors_origins);
            let deadline = deadline(&head, &site.limits);
            let request = site.request(head, peer, incoming.take_payload(), Rc::clone(&connection));
            let dressing = Dressing::of(&request, headless);
            let mut answer = in_time(service, request, deadline).await;
            if let Some(cors) = cors {
                cors.tell(&mut answer);
            }
            if answer.close || connection.broken() || connection.in_body() {
                answer.close = true;
                connection.close();
            }
            dress(answer, dressing).map_body(|_, body| body.on(connection))
        }
        refused => {
            let refusal = match refused {
                Some(Err(refusal)) => refusal,
                _ => Refusal::Malformed("a request without a head"),
            };
            let dressing = Dressing::plain();
            let mut answer = service.refused(&refusal, &dressing.id);
            answer.close = true;
            dress(answer, dressing).map_body(|_, body| body.on(connection))
        }
    }
}
