//! While storage opens: after a crash the index may have to be built again, which takes a while at a million documents.
//! Then the ports answer already: the admin listener how far it is, the other one that callers shall come again.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use store::Progress;
use web::{Answer, Refusal, Request, Server, ServerSettings};

use crate::front::outcome;
use crate::process;

/// Storage that opens sooner than this needs no word.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

/// Both listeners, served until storage is open.
pub(crate) struct Meanwhile {
    servers: Vec<Server>,
}

impl Meanwhile {
    /// Serves the listeners; they stay open when this ends.
    pub(crate) fn serve(
        name: &'static str,
        listener: &TcpListener,
        admin: &TcpListener,
        progress: &Progress,
    ) -> io::Result<Meanwhile> {
        let settings = || ServerSettings { drain: Duration::from_secs(1), ..ServerSettings::default() };
        let probes = Arc::new(Probes { name, progress: progress.clone() });
        Ok(Meanwhile {
            servers: vec![
                Server::start(admin.try_clone()?, probes, settings())?,
                Server::start(listener.try_clone()?, Arc::new(Later), settings())?,
            ],
        })
    }

    pub(crate) fn end(self) {
        self.servers.into_iter().for_each(Server::stop);
    }
}

/// A connection ends with its answer: the next request may meet the actor itself.
fn closing(answer: Answer) -> Answer {
    Answer { close: true, ..answer }
}

struct Probes {
    name: &'static str,
    progress: Progress,
}

impl web::Service for Probes {
    async fn answer(&self, request: &mut Request) -> Answer {
        let text = |status, words: String| Answer::bytes(status, "text/plain; charset=utf-8", words);
        let starting = StatusCode::SERVICE_UNAVAILABLE;
        closing(match request.path.as_str() {
            "/livez" => text(StatusCode::OK, "alive\n".to_owned()),
            "/readyz" if request.query.split('&').any(|part| part.starts_with("verbose")) => {
                let check =
                    serde_json::json!({"name": "storage", "ok": false, "text": self.progress.words()});
                let body = serde_json::json!({"actor": self.name, "ready": false, "checks": [check]});
                Answer::bytes(starting, "application/json", format!("{body:#}\n"))
            }
            "/readyz" => text(starting, "not ready\n".to_owned()),
            "/startupz" => text(starting, format!("starting: {}\n", self.progress.words())),
            "/metrics" => text(StatusCode::OK, process::metrics()),
            _ => text(starting, "starting: there are /livez /readyz /startupz /metrics\n".to_owned()),
        })
    }

    fn refused(&self, refusal: &Refusal, _request_id: &str) -> Answer {
        Answer::bytes(refusal.status(), "text/plain; charset=utf-8", refusal.told().2)
    }
}

struct Later;

impl web::Service for Later {
    async fn answer(&self, request: &mut Request) -> Answer {
        let text = "The server is starting and reads its storage. Nothing was stored; come again.";
        let answer = outcome(StatusCode::SERVICE_UNAVAILABLE, "transient", "starting", text, &request.id);
        closing(answer.with(RETRY_AFTER, HeaderValue::from_static("5")))
    }

    fn refused(&self, refusal: &Refusal, request_id: &str) -> Answer {
        let (issue, code, text) = refusal.told();
        outcome(refusal.status(), issue, code, &text, request_id)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn get(listener: &TcpListener, path: &str) -> String {
        let address = listener.local_addr().expect("an address");
        let mut stream = std::net::TcpStream::connect(address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer, then the end");
        answer
    }

    #[test]
    fn while_storage_opens_callers_are_told_to_come_again_and_operators_how_far_it_is() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let admin = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let meanwhile =
            Meanwhile::serve("registry", &listener, &admin, &Progress::default()).expect("it is served");
        let answer = get(&listener, "/fhir/DocumentReference?patient=1");
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(
            answer.to_lowercase().contains("retry-after: 5") && answer.contains("\"starting\""),
            "{answer}"
        );
        assert!(get(&admin, "/livez").starts_with("HTTP/1.1 200"));
        let ready = get(&admin, "/readyz?verbose");
        assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("is being opened"), "{ready}");
        assert!(get(&admin, "/startupz").contains("starting: "));
        meanwhile.end();
        let again =
            Server::start(listener.try_clone().expect("a copy"), Arc::new(Later), ServerSettings::default());
        assert!(get(&listener, "/").starts_with("HTTP/1.1 503"), "the listener is still there");
        again.expect("it is served again").stop();
    }
}
