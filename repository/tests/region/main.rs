//! The repository between the real registry and the real identity source, spoken to over HTTP.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod feeds;
mod foreign;
mod generate;
mod letter;
mod publish;
mod restored;
#[expect(dead_code, reason = "the sets of the other tests have more than is needed here")]
#[path = "../wire/world/xds.rs"]
mod sets;

use actor::{Running, Setup, start, start_with};
use bytes::Bytes;
use http::Method;
use identity_source::IdentitySource;
use registry::Registry;
use repository::Repository;
use serde_json::{Value, json};
use store::{Options, Store};
use testkit::{Document, Provide};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use web::{Peer, PeerAnswer, PeerSettings};

/// Under which base patients are referred to.
const IDENTITY: &str = "http://identity.example/fhir";
/// An identifier domain.
const DOMAIN: &str = "urn:oid:1.2.840.114350.1";

struct Region {
    registry: Running,
    repository: Running,
    identity: Running,
    settings: repository::Settings,
    store: Store,
    directory: tempfile::TempDir,
}

/// repositoryUniqueId of the repository.
const REPOSITORY: &str = "1.2.40.0.34.99.1";

impl Region {
    fn start() -> Region {
        Region::speaking(|settings, registry| settings.registry.url = format!("{registry}/fhir"))
    }

    /// A region whose repository speaks to the registry at this host as it is set.
    fn speaking(speak: impl FnOnce(&mut repository::Settings, &str)) -> Region {
        Region::fed(speak, registry::Settings::default(), |settings, registry| {
            settings.registry.url = format!("{}/fhir", registry.host);
        })
    }

    /// The same with a registry that is set so, and is told of patients as the identity source is set.
    fn fed(
        speak: impl FnOnce(&mut repository::Settings, &str),
        mut settings: registry::Settings,
        feed: impl FnOnce(&mut identity_source::Settings, &Running),
    ) -> Region {
        settings.identity.url = IDENTITY.to_owned();
        Region::around(start::<Registry>(settings), speak, feed)
    }

    /// The same with this registry, which is the first that identity source and repository meet.
    fn around(
        registry: Running,
        speak: impl FnOnce(&mut repository::Settings, &str),
        feed: impl FnOnce(&mut identity_source::Settings, &Running),
    ) -> Region {
        let mut settings = identity_source::Settings::default();
        feed(&mut settings, &registry);
        let identity = start::<IdentitySource>(settings);
        let mut settings = repository::Settings::default();
        speak(&mut settings, &registry.host);
        settings.identity.url = format!("{}/fhir", identity.host);
        settings.identity.public_url = IDENTITY.to_owned();
        settings.documents.repository_unique_id = REPOSITORY.to_owned();
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path())).unwrap();
        let repository = repository_on(&store, &settings);
        Region { registry, repository, identity, settings, store, directory }
    }

    /// Stops the repository, and starts it again on its data directory.
    fn restart_repository(&mut self) {
        let stop = std::mem::replace(&mut self.repository.stop, Box::new(|| {}));
        stop();
        // The lock of the directory goes with the last handle of the store.
        self.store = Store::memory();
        self.store = Store::open(&Options::new(self.directory.path())).unwrap();
        self.repository = repository_on(&self.store, &self.settings);
    }

    /// Feeds a patient; answers the id.
    async fn patient(&self, value: &str) -> String {
        let patient = testkit::patient(DOMAIN, value, "Huber", "Maria");
        let path = format!("/fhir/Patient?identifier={DOMAIN}%7C{value}");
        let answer = send(&self.identity.host, Method::PUT, &path, &patient.to_string()).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        let location = answer.headers["location"].to_str().unwrap();
        location.rsplit_once("/Patient/").unwrap().1.split('/').next().unwrap().to_owned()
    }

    async fn provide(&self, bundle: &Value) -> PeerAnswer {
        send(&self.repository.host, Method::POST, "/fhir", &bundle.to_string()).await
    }

    async fn provide_set(&self, source: &sets::Source) -> String {
        self.soap(source.package()).await
    }

    async fn retrieve_set(&self, unique_ids: &[&str]) -> String {
        self.soap(sets::retrieve(REPOSITORY, unique_ids)).await
    }

    async fn soap(&self, (content_type, body): (String, Vec<u8>)) -> String {
        let settings = PeerSettings { url: self.repository.host.clone(), ..PeerSettings::default() };
        let headers = vec![("content-type", content_type)];
        let peer = Peer::new("test", settings);
        let answer = peer.send(Method::POST, "/xds/repository", &headers, body.into()).await.unwrap();
        String::from_utf8_lossy(&answer.body).into_owned()
    }

    async fn search(&self, query: &str) -> Vec<Value> {
        let path = format!("/fhir/DocumentReference?{query}");
        let answer = send(&self.registry.host, Method::GET, &path, "").await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let bundle = json(&answer);
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|entry| entry["resource"].clone()).collect()
    }
}

fn repository_on(store: &Store, settings: &repository::Settings) -> Running {
    start_with::<Repository>(Setup {
        clock: actor::Clock::wall(store.last_instant()),
        store: store.clone(),
        ..Setup::new(settings.clone())
    })
}

async fn send(host: &str, method: Method, path: &str, body: &str) -> PeerAnswer {
    let settings = PeerSettings { url: host.to_owned(), ..PeerSettings::default() };
    let headers =
        if body.is_empty() { Vec::new() } else { vec![("content-type", "application/fhir+json".to_owned())] };
    Peer::new("test", settings).send(method, path, &headers, Bytes::from(body.to_owned())).await.unwrap()
}

async fn get(url: &str) -> PeerAnswer {
    let path = url.find('/').unwrap() + 2;
    let path = path + url[path..].find('/').unwrap();
    send(&url[..path], Method::GET, &url[path..], "").await
}

fn json(answer: &PeerAnswer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn locations(answer: &PeerAnswer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let bundle = json(answer);
    let entries = bundle["entry"].as_array().unwrap();
    entries.iter().map(|entry| entry["response"]["location"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_document_that_was_submitted_is_found_by_its_patient_and_retrieved() {
    let region = Region::start();
    let id = region.patient("a-1").await;
    let subjects = [
        json!({ "reference": format!("{IDENTITY}/Patient/{id}") }),
        json!({ "reference": format!("Patient/{id}") }),
        json!({ "reference": format!("Patient?identifier={DOMAIN}|a-1") }),
        json!({ "identifier": { "system": DOMAIN, "value": "a-1" } }),
    ];
    for (count, subject) in subjects.iter().enumerate() {
        let text = format!("document {count}");
        let bundle = Provide::with_subject(subject.clone()).only(Document::new(&text)).bundle();
        let locations = locations(&region.provide(&bundle).await);
        for location in &locations {
            assert_eq!(get(location).await.status, 200, "{location} of {subject}");
        }
        let found = region.search(&format!("patient.identifier={DOMAIN}|a-1&status=current")).await;
        assert_eq!(found.len(), count + 1, "{subject}");
        let ours = found.iter().find(|entry| locations[1].contains(entry["id"].as_str().unwrap())).unwrap();
        assert_eq!(ours["subject"]["reference"], format!("{IDENTITY}/Patient/{id}"));
        let attachment = &ours["content"][0]["attachment"];
        assert_eq!(attachment["size"], text.len());
        let document = get(attachment["url"].as_str().unwrap()).await;
        assert_eq!((document.status, &document.body[..]), (200, text.as_bytes()));
        assert_eq!(document.headers["content-type"], "text/plain");
        assert_eq!(document.headers["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn a_replaced_document_is_superseded_and_the_patch_is_answered() {
    let region = Region::start();
    let id = region.patient("b-1").await;
    let subject = format!("{IDENTITY}/Patient/{id}");
    let first = locations(&region.provide(&Provide::new(&subject).bundle()).await);
    let old = first[1].split("/DocumentReference/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let new = Document::new("new").relates_to("replaces", &format!("DocumentReference/{old}"));
    let answer = region.provide(&Provide::new(&subject).only(new).superseding(&old).bundle()).await;
    let second = locations(&answer);
    assert_eq!(second.len(), 4);
    assert!(second[3].contains(&old), "{second:?}");
    let current = region.search(&format!("patient={id}&status=current")).await;
    assert_eq!(current.len(), 1);
    assert!(second[1].contains(current[0]["id"].as_str().unwrap()));
    let superseded = region.search(&format!("patient={id}&status=superseded")).await;
    assert_eq!(superseded[0]["id"], old.as_str());
}

#[tokio::test]
async fn an_unknown_patient_is_refused_and_leaves_nothing() {
    let region = Region::start();
    let unknown = format!("{IDENTITY}/Patient/8d3ab1a4-9a5b-4c9d-9a4e-0e8f7a3a1f00");
    for subject in [unknown.as_str(), "http://127.0.0.1:1/Patient/1", "Patient?identifier=urn:oid:1.2|x"] {
        let mut bundle = Provide::new(subject).bundle();
        bundle["entry"].as_array_mut().unwrap().rotate_right(1);
        let answer = region.provide(&bundle).await;
        assert_eq!(answer.status, 400, "{subject}: {:?}", answer.body);
        let issue = &json(&answer)["issue"][0];
        assert_eq!(issue["details"]["coding"][0]["code"], "XDSUnknownPatientId");
        let path = issue["expression"][0].as_str().unwrap();
        assert!(path.starts_with("Bundle.entry[1].resource.subject"), "{path}");
        assert_eq!(region.store.health().documents, 0);
    }
}

#[tokio::test]
async fn a_patient_that_comes_along_is_known_from_then_on() {
    let region = Region::start();
    let url = testkit::urn_uuid();
    let patient = json!({
        "fullUrl": url,
        "resource": testkit::patient(DOMAIN, "c-1", "Neu", "Nora"),
        "request": { "method": "POST", "url": "Patient" }
    });
    let answer = region.provide(&Provide::new(&url).entry(patient).bundle()).await;
    assert_eq!(locations(&answer).len(), 4);
    assert_eq!(region.search(&format!("patient.identifier={DOMAIN}|c-1&status=current")).await.len(), 1);
}

#[tokio::test]
async fn a_submission_is_known_again_after_a_restart() {
    let mut region = Region::start();
    let id = region.patient("d-1").await;
    let bundle = Provide::new(&format!("{IDENTITY}/Patient/{id}")).bundle();
    let first = region.provide(&bundle).await;
    let path = locations(&first)[2].clone();
    let path = format!("/fhir/Binary/{}", path.split("/Binary/").nth(1).unwrap());
    region.restart_repository();
    let again = region.provide(&bundle).await;
    assert_eq!(again.status, 200, "{:?}", again.body);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.body, first.body);
    let binary = send(&region.repository.host, Method::GET, &path, "").await;
    assert_eq!(&binary.body[..], b"Hello World");
}

#[tokio::test]
async fn a_head_tells_the_length_and_a_wrong_method_those_that_are_there() {
    let region = Region::start();
    let id = region.patient("e-1").await;
    let answer = region.provide(&Provide::new(&format!("{IDENTITY}/Patient/{id}")).bundle()).await;
    let blob = locations(&answer)[2].split("/Binary/").nth(1).unwrap()[..32].to_owned();
    let path = format!("/documents/{blob}");
    let head = send(&region.repository.host, Method::HEAD, &path, "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.headers["content-length"], "11");
    let put = send(&region.repository.host, Method::PUT, &path, "x").await;
    assert_eq!(put.status, 405);
    assert!(put.headers["allow"].to_str().unwrap().contains("GET"));
    let metadata = send(&region.repository.host, Method::GET, "/fhir/metadata", "").await;
    let metadata = json(&metadata);
    assert_eq!(metadata["resourceType"], "CapabilityStatement");
    assert_eq!(metadata["rest"][0]["interaction"][0]["code"], "transaction");
    let types: Vec<&Value> =
        metadata["rest"][0]["resource"].as_array().unwrap().iter().map(|one| &one["type"]).collect();
    assert!(types.contains(&&json!("Binary")) && types.contains(&&json!("DocumentReference")), "{types:?}");
}

/// Flips the last bit of every place in the files below where these bytes stand; answers how many there were.
fn damage(directory: &std::path::Path, wanted: &[u8]) -> usize {
    let mut hits = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            hits += damage(&path, wanted);
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        let places: Vec<usize> = memchr::memmem::find_iter(&bytes, wanted).collect();
        for at in &places {
            bytes[at + wanted.len() - 1] ^= 1;
        }
        if !places.is_empty() {
            let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            std::io::Write::write_all(&mut file, &bytes).unwrap();
        }
        hits += places.len();
    }
    hits
}

/// Gets a document over a bare socket; answers the length that was declared and the bytes that came.
async fn raw(host: &str, path: &str) -> (usize, usize) {
    let mut socket = TcpStream::connect(host.strip_prefix("http://").unwrap()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: repository.example\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is reset says the same as one that ends early.
    let _ = socket.read_to_end(&mut answer).await;
    let body = memchr::memmem::find(&answer, b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(answer[..body].to_vec()).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
    (length.parse().unwrap(), answer.len() - body)
}

#[tokio::test]
async fn damaged_bytes_are_never_given_out_and_other_documents_are() {
    let region = Region::start();
    let id = region.patient("f-1").await;
    let small = b"small and soon damaged";
    // Large enough for a file of its own, and for an answer that streams.
    let mark = b"large and soon damaged";
    let mut large = vec![b'.'; 20 << 20];
    large[18 << 20..][..mark.len()].copy_from_slice(mark);
    let documents = vec![Document::new(small), Document::new(large), Document::new("healthy")];
    let bundle = Provide::new(&format!("{IDENTITY}/Patient/{id}")).documents(documents).bundle();
    let locations = locations(&region.provide(&bundle).await);
    let path =
        |entry: usize| format!("/documents/{}", &locations[entry].split("/Binary/").nth(1).unwrap()[..32]);
    assert!(damage(region.directory.path(), small) > 0);
    assert!(damage(region.directory.path(), mark) > 0);

    let refused = send(&region.repository.host, Method::GET, &path(2), "").await;
    assert_eq!(refused.status, 503, "{:?}", refused.body);
    assert_eq!(json(&refused)["issue"][0]["code"], "exception");
    let (declared, came) = raw(&region.repository.host, &path(4)).await;
    assert_eq!(declared, 20 << 20);
    assert!(came < declared, "the connection is cut before the damage: {came}");
    let healthy = send(&region.repository.host, Method::GET, &path(6), "").await;
    assert_eq!((healthy.status, &healthy.body[..]), (200, &b"healthy"[..]));
    let metrics = send(&region.repository.admin, Method::GET, "/metrics", "").await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(metrics.contains("docshare_integrity_failures_total 2"), "{metrics}");
}
