//! How much memory a large document takes on its way in: a process of its own, because it measures the process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the world of the other tests has more than is needed here")]
#[path = "../wire/world.rs"]
mod world;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use store::{Options, Store};
use web::{Body, BodySource};
use world::{Actor, addressed, envelope};

const MEBIBYTE: usize = 1 << 20;
/// Size of the document, a multiple of three.
const DOCUMENT: usize = 96 * MEBIBYTE;

/// A message whose document is made while it is sent.
struct Large {
    head: Option<Bytes>,
    left: usize,
    tail: Option<Bytes>,
    chunk: Bytes,
}

impl BodySource for Large {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<Result<Bytes, web::Error>>> {
        let next = self.head.take().or_else(|| {
            let bytes = self.left.min(self.chunk.len());
            self.left -= bytes;
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
    let actor = Actor::new(Store::open(&Options::new(directory.path())).unwrap());
    let message = |content: &str| {
        envelope(
            &addressed("urn:test:count"),
            &format!("<Count xmlns='urn:test'><Document>{content}</Document></Count>"),
        )
    };
    let include = "<i:Include xmlns:i='http://www.w3.org/2004/08/xop/include' href='cid:1'/>";
    let package = format!(
        "--b\r\nContent-ID: <r>\r\n\r\n{}\r\n--b\r\nContent-ID: <1>\r\nContent-Transfer-Encoding: binary\r\n\r\n|\r\n--b--",
        message(include)
    );
    let written = DOCUMENT / 3 * 4;
    for (content_type, whole, left) in [
        ("multipart/related; boundary=b; start=\"<r>\"", package.clone(), DOCUMENT),
        ("application/soap+xml", message("|"), written),
        (
            "multipart/related; boundary=b; start=\"<r>\"",
            package.replace("Encoding: binary", "Encoding: base64"),
            written,
        ),
    ] {
        let (head, tail) = whole.split_once('|').unwrap();
        let body = Large {
            head: Some(head.to_owned().into()),
            left,
            tail: Some(tail.to_owned().into()),
            chunk: Bytes::from(vec![b'A'; 32 * 1024]),
        };
        forget_peak();
        let before = peak();
        let reply = actor.ask_from("127.0.0.1:5", content_type, Body::new(body)).await;
        let grown = peak() - before;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.body().attribute("sizes"), Some(DOCUMENT.to_string().as_str()));
        assert!(grown < 32 * MEBIBYTE, "{} MiB more for 96 MiB in {content_type}", grown / MEBIBYTE);
    }
}
