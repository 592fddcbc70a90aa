//! How much memory a large document takes that comes and goes as a part of a package [ITI-41, ITI-43]: a process of its own,
//! because it measures the process.
//!
//! The full size: `DOCSHARE_TEST_MIB=1024 cargo test --release -p repository --test sets_memory -- --nocapture`
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, unused_imports, reason = "the world of the other tests has more than is needed here")]
#[path = "../wire/world/mod.rs"]
mod world;

use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use sha1::{Digest as _, Sha1};
use store::{Options, Store};
use web::{AnswerBody, Body, BodySource};
use world::World;
use world::xds::{self, AUTHORITY, Entry, Source};

const MEBIBYTE: usize = 1 << 20;
const REPOSITORY: &str = "1.2.40.0.34.99.1";
/// What the document is in the package until it is sent.
const MARK: &str = "here stands the document";

/// A package whose one document is made while it is sent.
struct Large {
    head: Option<Bytes>,
    rest: usize,
    tail: Option<Bytes>,
    chunk: Bytes,
}

impl BodySource for Large {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<Result<Bytes, web::Error>>> {
        let next = self.head.take().or_else(|| {
            let bytes = self.rest.min(self.chunk.len());
            self.rest -= bytes;
            (bytes > 0).then(|| self.chunk.slice(..bytes))
        });
        let next = next.or_else(|| self.tail.take());
        Box::pin(async move { next.map(Ok) })
    }
    fn declared(&self) -> Option<u64> {
        None
    }
}

/// What stands before a document in a package of one: everything but its bytes and what follows them.
fn around(source: &Source) -> (String, Vec<u8>, Vec<u8>) {
    let (content_type, bytes) = source.package();
    let mark = &source.documents[0].bytes;
    let at = memchr::memmem::rfind(&bytes, mark).unwrap();
    (content_type, bytes[..at].to_vec(), bytes[at + mark.len()..].to_vec())
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
async fn a_large_document_comes_and_goes_in_a_package_through_little_memory() {
    let mebibytes = std::env::var("DOCSHARE_TEST_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(96);
    let size: usize = mebibytes * MEBIBYTE;
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&Options::new(directory.path())).unwrap();
    let world = World::with(store, |settings| {
        settings.documents.repository_unique_id = REPOSITORY.to_owned();
        settings.documents.retrieve_bytes = (size as u64).max(settings.documents.retrieve_bytes);
    })
    .await;
    world.identity.knows("p1", &format!("urn:oid:{AUTHORITY}"), "p-1");
    // Everything that is needed once is there before it is measured.
    let (content_type, body) = Source::new(vec![Entry::new("small")]).package();
    let small = world.ask("POST", "/xds/repository", &[("content-type", &content_type)], body).await;
    assert_eq!(small.status, 200, "{small:?}");

    let chunk = Bytes::from((0..64 * 1024_u32).map(|n| (n % 251) as u8).collect::<Vec<u8>>());
    let source = Source::new(vec![Entry { mime_type: "application/dicom".to_owned(), ..Entry::new(MARK) }]);
    let (content_type, head, tail) = around(&source);
    let body = Large { head: Some(head.into()), rest: size, tail: Some(tail.into()), chunk: chunk.clone() };
    forget_peak();
    let (before, began) = (peak(), Instant::now());
    let reply =
        world.ask_with("POST", "/xds/repository", &[("content-type", &content_type)], Body::new(body)).await;
    let (grown, taken) = (peak() - before, began.elapsed());
    println!("in: {mebibytes} MiB in {:.2} s, {} MiB more memory", taken.as_secs_f64(), grown / MEBIBYTE);
    let told = String::from_utf8_lossy(reply.bytes()).into_owned();
    assert_eq!(xds::status(&told), "Success", "{told}");
    assert!(grown < 48 * MEBIBYTE, "{} MiB more memory to take {mebibytes} MiB in", grown / MEBIBYTE);

    let (content_type, body) = xds::retrieve(REPOSITORY, &[&source.documents[0].unique_id]);
    forget_peak();
    let (before, began) = (peak(), Instant::now());
    let body = Body::from_bytes(body);
    let answer = world.answered("POST", "/xds/repository", &[("content-type", &content_type)], body).await;
    let AnswerBody::Stream { length, mut stream } = answer.body else { panic!("a large document streams") };
    let (mut seen, mut kept, mut sum): (u64, Vec<u8>, Sha1) = (0, Vec::new(), Sha1::new());
    while let Some(piece) = stream.next().await {
        let piece = piece.unwrap();
        seen += piece.len() as u64;
        if kept.len() < 4096 {
            kept.extend_from_slice(&piece[..piece.len().min(4096)]);
        }
        sum.update(&piece);
    }
    let (grown, taken) = (peak() - before, began.elapsed());
    println!("out: {mebibytes} MiB in {:.2} s, {} MiB more memory", taken.as_secs_f64(), grown / MEBIBYTE);
    assert_eq!(seen, length, "the answer is as long as it said");
    assert!(seen > size as u64);
    assert!(grown < 48 * MEBIBYTE, "{} MiB more memory to give {mebibytes} MiB out", grown / MEBIBYTE);
    // The same bytes by the other door have the digest that was measured on the way in.
    let mut expected = Sha1::new();
    let (mut rest, mut all) = (size, 0);
    while rest > 0 {
        let bytes = rest.min(chunk.len());
        expected.update(&chunk[..bytes]);
        rest -= bytes;
        all += bytes;
    }
    assert_eq!(all, size);
    let expected: String = expected.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let registered = world.registry.state.lock().unwrap();
    let bundles: String = registered.committed.values().map(|(_, _, _, bundle)| bundle.to_string()).collect();
    let base64 = {
        use base64::Engine as _;
        let bytes: Vec<u8> = (0..expected.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&expected[at..at + 2], 16).unwrap())
            .collect();
        base64::engine::general_purpose::STANDARD.encode(bytes)
    };
    assert!(bundles.contains(&base64), "what came in is what was sent");
}
