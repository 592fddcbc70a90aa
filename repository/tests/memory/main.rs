//! How much memory a large submission takes: a process of its own, because it measures the process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, unused_imports, reason = "the world of the other tests has more than is needed here")]
#[path = "../wire/world/mod.rs"]
mod world;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use store::{Options, Store};
use testkit::{Document, Provide};
use web::{Body, BodySource};
use world::World;

const MEBIBYTE: usize = 1 << 20;
/// Size of the document.
const DOCUMENT: usize = 96 * MEBIBYTE;
/// What the data is in the Bundle until it is sent.
const MARK: &str = "AAAA";

/// A Bundle whose one document is made while it is sent.
struct Large {
    head: Option<Bytes>,
    groups: usize,
    tail: Option<Bytes>,
    chunk: Bytes,
}

impl BodySource for Large {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<Result<Bytes, web::Error>>> {
        let next = self.head.take().or_else(|| {
            let bytes = self.groups.min(self.chunk.len());
            self.groups -= bytes;
            (bytes > 0).then(|| self.chunk.slice(..bytes))
        });
        let next = next.or_else(|| self.tail.take());
        Box::pin(async move { next.map(Ok) })
    }
    fn declared(&self) -> Option<u64> {
        None
    }
}

/// The most memory since it was last forgotten.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() * 1024
}

/// What the process has now counts as its most.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[tokio::test]
async fn a_large_document_passes_through_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&Options::new(directory.path())).unwrap();
    let world = World::with(store, |_| {}).await;
    // Everything that is needed once is there before it is measured.
    let small = world.provide(&Provide::new(&world.patient()).bundle()).await;
    assert_eq!(small.status, 200, "{small:?}");

    let mut replies = Vec::new();
    for syntax in ["application/fhir+json", "application/fhir+xml"] {
        let document = Document::new([0, 0, 0]).content_type("application/dicom").unmeasured();
        let mut bundle = Provide::new(&world.patient()).only(document).bundle().to_string();
        if syntax.ends_with("xml") {
            bundle = String::from_utf8(fhir::xml::write(bundle.as_bytes()).unwrap()).unwrap();
        }
        let (head, tail) = bundle.split_once(MARK).expect("three zeroes are AAAA in base64");
        let body = Large {
            head: Some(head.to_owned().into()),
            groups: DOCUMENT / 3 * 4,
            tail: Some(tail.to_owned().into()),
            chunk: Bytes::from(vec![b'A'; 32 * 1024]),
        };
        forget_peak();
        let before = peak();
        let headers = [("content-type", syntax), ("accept", "application/fhir+json")];
        let reply = world.ask_with("POST", "/fhir", &headers, Body::new(body)).await;
        let grown = peak() - before;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(grown < 48 * MEBIBYTE, "{} MiB more for a document of 96 MiB in {syntax}", grown / MEBIBYTE);
        replies.push(reply);
    }
    let reply = replies.remove(0);

    let before = peak();
    let head = world.ask("HEAD", &reply.document(2), &[], "").await;
    assert_eq!(head.status, 200);
    let range = format!("bytes={}-", DOCUMENT - MEBIBYTE);
    let part = world.get(&reply.document(2), &[("range", &range)]).await;
    assert_eq!(part.bytes(), vec![0; MEBIBYTE]);
    assert!(peak() - before < 48 * MEBIBYTE, "{} MiB more to read", (peak() - before) / MEBIBYTE);
}
