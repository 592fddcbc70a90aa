//! The admin listener: probes, metrics, version, configuration. Plain HTTP, its own port, loopback by default, no token.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::LocalBoxFuture;
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;
use store::{Mark, Store};
use web::{Answer, Refusal, Request};

use crate::meter;
use crate::process;
use crate::reconcile::Reconciling;
use crate::run::{Actor, Check};

/// Loads again what can be loaded again; told by a signal as well as here.
pub(crate) type Reload = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// What the actor answers beside the paths every admin listener has.
type Own = Box<dyn Fn(&Request) -> Option<Answer> + Send + Sync>;

/// The same for what takes a while.
type Operate = Box<dyn Fn(&Request) -> Option<LocalBoxFuture<'static, Answer>> + Send + Sync>;

/// The same words for the log, whoever asked.
fn reloaded(ended: Result<String, String>) -> Result<String, String> {
    match &ended {
        Ok(words) => tracing::info!("loaded again: {words}"),
        Err(words) => tracing::error!("nothing was loaded again, the old stays in use: {words}"),
    }
    ended
}

/// What the admin listener asks of the actor.
pub(crate) struct Probe {
    name: &'static str,
    store: Store,
    ready: Arc<AtomicBool>,
    checks: Box<dyn Fn() -> Vec<Check> + Send + Sync>,
    own: Own,
    operate: Operate,
    pub(crate) reload: Reload,
    pub(crate) reconciling: Reconciling,
    config: String,
}

impl Probe {
    pub(crate) fn new<A: Actor>(
        actor: Arc<A>,
        store: Store,
        ready: Arc<AtomicBool>,
        config: String,
    ) -> Probe {
        let reconciling = Reconciling::new(Arc::clone(&actor));
        let checking = Arc::clone(&actor);
        let checks = Box::new(move || checking.checks());
        let loading = Arc::clone(&actor);
        let reload: Reload = Arc::new(move || reloaded(loading.reload()));
        let operated = Arc::clone(&actor);
        let operate: Operate = Box::new(move |request| operated.operate(request));
        let own: Own = Box::new(move |request| actor.admin(request));
        Probe { name: A::NAME, store, ready, checks, own, operate, reload, reconciling, config }
    }

    fn checks(&self) -> Vec<Check> {
        let health = self.store.health();
        let serving = self.ready.load(Ordering::Acquire);
        let text = if serving { "serving" } else { "starting or stopping" };
        let mut checks = vec![
            Check { name: "serving", ok: serving, text: text.to_owned() },
            Check {
                name: "storage",
                ok: health.writable,
                text: health.reason.unwrap_or_else(|| format!("writable, at sequence {}", health.sequence)),
            },
            // What is damaged is refused by itself; everything else is served.
            Check { name: "integrity", ok: true, text: integrity(health.quarantined, health.damage) },
        ];
        checks.extend((self.checks)());
        checks
    }

    fn measure(&self) {
        let health = self.store.health();
        meter::set("docshare_documents_stored", &[("actor", self.name)], health.documents);
        meter::set("docshare_document_bytes_stored", &[("actor", self.name)], health.document_bytes);
        meter::set("docshare_storage_free_bytes", &[("volume", "data")], health.free_bytes);
        let below = |mark| u64::from(health.mark >= mark);
        meter::set("docshare_storage_below_mark", &[("mark", "soft")], below(Mark::Soft));
        meter::set("docshare_storage_below_mark", &[("mark", "hard")], below(Mark::Hard));
        meter::set("docshare_storage_reserve_held", &[], u64::from(health.keeps_back));
        let by_scrub = [("by", "scrub")];
        meter::set("docshare_integrity_failures_total", &by_scrub, health.integrity_failures);
        meter::set("docshare_documents_in_quarantine", &[], health.quarantined);
        meter::set("docshare_orphan_documents", &[], health.uncited);
        for (peer, result, count) in web::peer_counts() {
            meter::set("docshare_peer_requests_total", &[("peer", peer), ("result", result)], count);
        }
        let build =
            [("actor", self.name), ("version", env!("CARGO_PKG_VERSION")), ("commit", process::COMMIT)];
        meter::set("docshare_build_info", &build, 1);
    }
}

/// What is known to be damaged.
fn integrity(quarantined: u64, damage: Option<String>) -> String {
    let documents = match quarantined {
        0 => None,
        number => Some(format!("{number} damaged documents are not given out")),
    };
    let words: Vec<_> = documents.into_iter().chain(damage).collect();
    if words.is_empty() { "no damage is known".to_owned() } else { format!("DAMAGE: {}", words.join("; ")) }
}

/// The service behind the admin listener.
pub(crate) struct Admin {
    probe: Probe,
}

impl Admin {
    pub(crate) fn new(probe: Probe) -> Admin {
        Admin { probe }
    }

    /// Files may be slow to read; probes are answered meanwhile.
    async fn reload(&self) -> Answer {
        let reload = Arc::clone(&self.probe.reload);
        match tokio::task::spawn_blocking(move || reload()).await {
            Ok(Ok(words)) => text(StatusCode::OK, &format!("{words}\n")),
            Ok(Err(words)) => {
                text(StatusCode::UNPROCESSABLE_ENTITY, &format!("the old stays in use: {words}\n"))
            }
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "loading ended in a panic; the log has more\n"),
        }
    }

    fn ready(&self, verbose: bool) -> Answer {
        let checks = self.probe.checks();
        let ok = checks.iter().all(|check| check.ok);
        let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        if !verbose {
            return text(status, if ok { "ready\n" } else { "not ready\n" });
        }
        let list: Vec<_> =
            checks.iter().map(|c| json!({"name": c.name, "ok": c.ok, "text": c.text})).collect();
        let body = json!({"actor": self.probe.name, "ready": ok, "checks": list});
        Answer::bytes(status, "application/json", format!("{body:#}\n"))
    }
}

fn text(status: StatusCode, words: &str) -> Answer {
    Answer::bytes(status, "text/plain; charset=utf-8", words.to_owned())
}

impl web::Service for Admin {
    async fn answer(&self, request: &mut Request) -> Answer {
        if request.method == Method::POST && request.path == "/reconcile" {
            return self.probe.reconciling.begin(&request.query).await;
        }
        if request.method == Method::POST && request.path == "/reload" {
            return self.reload().await;
        }
        if let Some(answer) = (self.probe.own)(request) {
            return answer;
        }
        if let Some(operating) = (self.probe.operate)(request) {
            return operating.await;
        }
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return text(
                StatusCode::METHOD_NOT_ALLOWED,
                "read only, but for POST /reconcile and POST /reload\n",
            )
            .with(http::header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        let verbose = request.query.split('&').any(|p| p == "verbose" || p.starts_with("verbose="));
        match request.path.as_str() {
            "/livez" => text(StatusCode::OK, "alive\n"),
            "/readyz" => self.ready(verbose),
            "/startupz" if self.probe.ready.load(Ordering::Acquire) => text(StatusCode::OK, "started\n"),
            "/startupz" => text(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            "/metrics" => {
                self.probe.measure();
                let body = format!("{}{}", meter::render(), process::metrics());
                Answer::bytes(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", body)
            }
            "/version" => Answer::bytes(
                StatusCode::OK,
                "application/json",
                format!("{}\n", process::version(self.probe.name)),
            ),
            "/reconcile" => self.probe.reconciling.last(),
            "/config" => {
                Answer::bytes(StatusCode::OK, "application/toml; charset=utf-8", self.probe.config.clone())
            }
            _ => text(
                StatusCode::NOT_FOUND,
                "there are /livez /readyz /startupz /metrics /version /config /reconcile, and POST /reload\n",
            ),
        }
    }

    fn refused(&self, refusal: &Refusal, _request_id: &str) -> Answer {
        text(refusal.status(), &refusal.told().2)
    }
}
