//! What reading a submission of one 64 KiB document costs the processor, part by part.

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fhir::iti65::{Door, Limits, Measured, Reader, read_request, write_registration};

const LIMITS: Limits =
    Limits { body: 8 << 20, document: 100 << 20, submission: 250 << 20, documents: 100, entries: 500 };

fn main() {
    let document: Vec<u8> = (0..64 << 10).map(|n: u32| n.wrapping_mul(31).to_le_bytes()[1]).collect();
    let body = include_str!("../tests/data/comprehensive.json")
        .replace("SGVsbG8gV29ybGQ=", &STANDARD.encode(&document));
    let measured = [Measured { entry: 2, size: document.len() as u64, sha1: [1; 20], sha256: [2; 32] }];
    println!("body: {} bytes", body.len());
    measure("reader (base64 decoded)", || {
        let mut reader = Reader::new(LIMITS);
        let mut events = Vec::new();
        for chunk in body.as_bytes().chunks(32 << 10) {
            reader.feed(chunk, &mut events).expect("a sound body");
        }
        black_box(&events);
        reader
    });
    let shell = || {
        let mut reader = Reader::new(LIMITS);
        reader.feed(body.as_bytes(), &mut Vec::new()).expect("a sound body");
        reader.finish().expect("a sound body")
    };
    measure("reader and parse", shell);
    let value = shell();
    let text = value.to_string();
    let limits = fhir::json::Limits::default();
    measure("parse of the Bundle without its document", || fhir::json::parse(text.as_bytes(), &limits));
    measure("schema", || fhir::schema::check(&value, &xds::Place::at("Bundle")));
    measure("clone of the tree", || value.clone());
    measure("read_request, schema and clone included", || {
        read_request(value.clone(), &measured, Door::Repository).expect("a sound Bundle")
    });
    measure("reader, parse and read_request", || {
        read_request(shell(), &measured, Door::Repository).expect("a sound Bundle")
    });
    let provided = read_request(shell(), &measured, Door::Repository).expect("a sound Bundle");
    measure("digest", || provided.digest(&measured));
    measure("write_registration", || write_registration(&provided));
    let stamp = fhir::document_reference::Stamp { version: 1, updated: 0 };
    let entry = &provided.submission.documents[0];
    measure("write of the DocumentReference", || fhir::document_reference::write(entry, stamp, &[]));
}

/// Prints the least of many times, in microseconds: what the work costs when nothing interferes.
fn measure<T>(name: &str, mut work: impl FnMut() -> T) {
    let mut least = Duration::MAX;
    for _ in 0..3000 {
        let start = Instant::now();
        black_box(work());
        least = least.min(start.elapsed());
    }
    println!("{name}: {:.1} us", least.as_secs_f64() * 1e6);
}
