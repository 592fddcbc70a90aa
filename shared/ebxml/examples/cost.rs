//! What a document entry costs to write as ebRIM, and to read: `cargo run --release -p ebxml --example cost FILE` with a
//! SubmitObjectsRequest.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement by hand")]

use std::time::Instant;

use ebxml::reader::{self, Limits};
use ebxml::rim::{self, Column, Standing};
use ebxml::{Element, Writer};

const TIMES: u32 = 20_000;

fn request(element: &Element) -> Option<&Element> {
    let is = &*element.name == "SubmitObjectsRequest";
    if is { Some(element) } else { element.children.iter().find_map(request) }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("which file?")?;
    let bytes = std::fs::read(path)?;
    let element = reader::read(&bytes, &Limits::default())?;
    let request = request(&element).ok_or("no SubmitObjectsRequest")?;
    let (submission, _) = rim::read_submission(request, Column::Answer);
    let mut entry = submission.documents.into_iter().next().ok_or("no document")?;
    entry.entry_uuid = xds::EntryUuid::parse("4c5ca0e4-14d3-4b1d-9c4e-5f2c4a1d7b6a");
    let standing = Standing { status: Some(entry.availability), version: Some(1), ..Standing::default() };
    let started = Instant::now();
    let mut length = 0;
    for _ in 0..TIMES {
        let mut out = Writer::with_capacity(8192);
        rim::write_document(&mut out, &entry, &standing);
        length = out.finish().len();
    }
    println!("written: {length} bytes in {:?}", started.elapsed() / TIMES);
    let started = Instant::now();
    for _ in 0..TIMES / 10 {
        reader::read(&bytes, &Limits::default())?;
    }
    println!("parsed: {} bytes in {:?}", bytes.len(), started.elapsed() / (TIMES / 10));
    let started = Instant::now();
    for _ in 0..TIMES / 10 {
        rim::read_submission(request, Column::Answer);
    }
    println!("read: in {:?}", started.elapsed() / (TIMES / 10));
    Ok(())
}
