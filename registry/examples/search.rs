//! What one search and one registration cost the processor, without the HTTP server: 20 documents of a patient among many,
//! found by identifier. Processor time of the thread that serves; the committer of the store has its own.
//!
//! `cargo run --release -p registry --example search [patients]`

use std::net::SocketAddr;

use access::Policy;
use actor::{Actor, Clock, Corridor, House, Route};
use http::{HeaderMap, Method};
use registry::{Registry, Settings};
use serde_json::json;
use store::{Options, Store};
use testkit::{Document, Provide};
use web::{Answer, AnswerBody, Body, Limits, Params, Request};

const DOCUMENTS: usize = 20;
const ROUNDS: u32 = 20_000;

fn request(method: Method, query: &str, params: Params, body: Vec<u8>) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", http::HeaderValue::from_static("application/fhir+json"));
    Request {
        method,
        path: "/".to_owned(),
        query: query.to_owned(),
        headers,
        peer: SocketAddr::from(([127, 0, 0, 1], 4711)),
        id: "018f3c2e-0000-7000-8000-000000000000".to_owned(),
        trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        base: "http://127.0.0.1:8081/fhir".to_owned(),
        params,
        transaction: None,
        body: Body::from_bytes(body),
    }
}

fn route(method: &str, path: &str) -> &'static Route<Registry> {
    let routes = Registry::routes();
    routes.iter().find(|route| route.method == method && route.path == path).expect("the table has this line")
}

fn length(answer: &Answer) -> usize {
    match &answer.body {
        AnswerBody::Parts(parts) => parts.iter().map(bytes::Bytes::len).sum(),
        AnswerBody::Bytes(bytes) => bytes.len(),
        AnswerBody::Empty | AnswerBody::Stream { .. } => 0,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let patients: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200);
    let directory = std::env::temp_dir().join(format!("docshare-search-{}", std::process::id()));
    let mut options = Options::new(&directory);
    options.sync = false;
    let store = Store::open(&options).expect("the temporary directory can be used");
    let clock = Clock::wall(0);
    let (_stop, stopping) = tokio::sync::watch::channel(false);
    let house = House {
        settings: Settings::default(),
        corridor: Corridor { policy: Policy::LocalDevelopment, store: store.clone(), clock: clock.clone() },
        clock,
        limits: Limits::default(),
        public_url: None,
        time_zone: jiff::tz::TimeZone::UTC,
        secret: [7; 32],
        stopping,
        carrier: None,
        doors: actor::Doors::default(),
    };
    let registry = Registry::build(house).await.expect("the registry builds");
    load(&registry, patients).await;
    let find = route("GET", "/fhir/DocumentReference");
    for query in [
        "patient.identifier=urn:oid:1.2.3.4%7Cmrn-7&status=current",
        "patient=Patient/p7&status=current",
        "patient=Patient/p7&status=current&_count=5",
    ] {
        let started = spent();
        let mut bytes = 0;
        for _ in 0..ROUNDS {
            let mut request = request(Method::GET, query, Params::default(), Vec::new());
            bytes = length(&(find.serve)(&registry, &mut request).await);
        }
        let micros = (spent() - started) / f64::from(ROUNDS);
        println!("{micros:8.1} µs  {bytes:6} bytes  {query}");
    }
    store.close().await.expect("the store closes");
    std::fs::remove_dir_all(&directory).expect("the temporary directory is ours");
}

async fn load(registry: &Registry, patients: usize) {
    let feed = route("PUT", "/fhir/Patient/{id}");
    let register = route("POST", "/fhir");
    let mut registering = 0.0;
    for n in 0..patients {
        let id = format!("p{n}");
        let patient = json!({
            "resourceType": "Patient", "id": id, "meta": { "versionId": "1" },
            "identifier": [{ "system": "urn:oid:1.2.3.4", "value": format!("mrn-{n}") }]
        });
        let params = Params(vec![("id".to_owned(), id.clone())]);
        let mut fed = request(Method::PUT, "", params, patient.to_string().into_bytes());
        assert_eq!((feed.serve)(registry, &mut fed).await.status, 201, "the patient is taken");
        for d in 0..DOCUMENTS {
            let place = format!("http://repository.example/documents/{n}-{d}");
            let provide = Provide::new(&format!("Patient/{id}"));
            let bundle = provide.only(Document::new(format!("{n} {d}")).elsewhere(&place)).bundle();
            let bytes = bundle.to_string().into_bytes();
            let started = spent();
            let mut submitted = request(Method::POST, "", Params::default(), bytes);
            let answer = (register.serve)(registry, &mut submitted).await;
            registering += spent() - started;
            assert_eq!(answer.status, 200, "the document is registered");
        }
    }
    println!("{:8.1} µs  per registration of one document", registering / (patients * DOCUMENTS) as f64);
}

/// Processor time of this thread, microseconds.
fn spent() -> f64 {
    let text =
        std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts processor time");
    let nanoseconds = text.split(' ').next().and_then(|word| word.parse::<f64>().ok());
    nanoseconds.expect("the first word is nanoseconds") / 1e3
}
