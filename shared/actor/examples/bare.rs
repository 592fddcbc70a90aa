//! An actor that does nothing but answer: the bare handler of the bench.
//! `GET /empty` answers nothing, `GET /bytes?n=65536` that many bytes, `POST /bytes` reads a body and tells its length.

use std::process::ExitCode;

use actor::{Actor, House, Route};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use http::StatusCode;
use web::{Answer, Request};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Bare {
    bytes: Bytes,
}

impl Actor for Bare {
    const NAME: &'static str = "bare";
    type Settings = ();

    async fn build(_house: House<()>) -> Result<Bare, String> {
        Ok(Bare { bytes: vec![b'x'; 16 << 20].into() })
    }

    fn routes() -> &'static [Route<Bare>] {
        &[
            Route { method: "GET", path: "/empty", transaction: "none", serve: empty },
            Route { method: "GET", path: "/bytes", transaction: "none", serve: bytes },
            Route { method: "POST", path: "/bytes", transaction: "none", serve: count },
        ]
    }

    fn unrouted(&self, _request: &Request, allowed: &[&'static str]) -> Answer {
        Answer::empty(if allowed.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::METHOD_NOT_ALLOWED })
    }

    fn keys() -> &'static [(&'static str, &'static str)] {
        &[]
    }
}

fn empty<'a>(_bare: &'a Bare, _request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async { Answer::empty(StatusCode::OK) })
}

fn bytes<'a>(bare: &'a Bare, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async {
        let n = request.query.strip_prefix("n=").and_then(|n| n.parse::<usize>().ok()).unwrap_or(1024);
        Answer::bytes(StatusCode::OK, "application/octet-stream", bare.bytes.slice(..n.min(bare.bytes.len())))
    })
}

fn count<'a>(_bare: &'a Bare, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async {
        let mut length = 0;
        while let Some(bytes) = request.body.next().await {
            match bytes {
                Ok(bytes) => length += bytes.len(),
                Err(_) => return Answer::empty(StatusCode::BAD_REQUEST),
            }
        }
        Answer::bytes(StatusCode::OK, "text/plain", length.to_string())
    })
}

fn main() -> ExitCode {
    actor::main::<Bare>()
}
