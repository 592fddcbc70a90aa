//! Bulk export into a folder: ordered once, followed, fetched with resume, and counted before it is believed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::Method;
use reqwest::header::{IF_RANGE, RANGE};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::Context;
use crate::client::{self, Answer, Call};
use crate::doc;
use crate::exit::{self, Exit, Failure};
use crate::outcome;
use crate::output::{Column, Row, shown};
use crate::patient::resource_url;
use crate::{sanitize, task};

/// Tries of a file that breaks off.
const TRIES: u32 = 5;
/// The order, while it is followed; a run that was interrupted goes on with it.
const ORDER: &str = ".order.json";
/// What the server says is there; written when all of it is here.
const MANIFEST: &str = "manifest.json";

/// Export what the registry has, as NDJSON files
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Folder to write to; an export that was interrupted goes on in the same one
    #[arg(long, short = 'O', value_name = "DIR")]
    out: PathBuf,
    /// Only what belongs to this patient (its id)
    #[arg(long, value_name = "ID", conflicts_with = "group")]
    patient: Option<String>,
    /// Only what belongs to the members of this group
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// Types: Patient, DocumentReference, List; several with commas in between [default: all]
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Written at or after this instant, e.g. 2026-11-20T00:00:00Z
    #[arg(long, value_name = "INSTANT")]
    since: Option<String>,
    /// Written before this instant
    #[arg(long, value_name = "INSTANT")]
    until: Option<String>,
    /// Only what a search finds, e.g. 'DocumentReference?status=current'; may be repeated
    #[arg(long, value_name = "TYPE?SEARCH")]
    filter: Vec<String>,
    /// Also retrieve the documents, each into a folder of its own under documents/
    #[arg(long)]
    documents: bool,
    /// Leave the files at the server, which lets them go after a while by itself
    #[arg(long)]
    keep: bool,
}

const COLUMNS: &[Column] = &[shown("file"), shown("part"), shown("type"), shown("count"), shown("size")];

pub(crate) async fn run(export: Export, context: &Context) -> Result<Exit, Failure> {
    let folder = &export.out;
    if folder.join(MANIFEST).exists() {
        return Err(Failure::usage(format!("{} holds an export that is complete", folder.display()))
            .next("name another folder with --out"));
    }
    std::fs::create_dir_all(folder).map_err(|error| exit::file("making the folder", folder, &error))?;
    let url = match ordered(folder)? {
        Some(url) => {
            context.output.remark("going on with the export that was begun here");
            url
        }
        None => order(&export, context).await?,
    };
    let answer = follow(&url, folder, context).await?;
    let manifest = answer.json("the export")?;
    let mut listing = context.output.list(COLUMNS)?;
    let mut documents = Vec::new();
    let mut number = 0;
    for part in ["output", "deleted", "error"] {
        for file in manifest[part].as_array().into_iter().flatten() {
            number += 1;
            let fetched = fetch(file, part, number, folder, context).await?;
            if part == "output" && fetched.kind == "DocumentReference" {
                documents.push(fetched.path.clone());
            }
            if part == "error" {
                tell(&fetched.path, context);
            }
            listing.push(&fetched.row(part))?;
        }
    }
    write(&folder.join(MANIFEST), &answer.body)?;
    let _ = std::fs::remove_file(folder.join(ORDER));
    if !export.keep {
        let call = Call::new(Method::DELETE, url, "letting the export go");
        if let Err(failure) = context.client.ask(call).await {
            context.output.remark(&format!("the files stay at the server for now: {}", failure.text));
        }
    }
    if listing.wants_bytes() {
        listing.page(&answer.body, number)?;
    }
    let listed = listing.finish()?;
    if export.documents { retrieve(&documents, folder, context).await } else { Ok(listed) }
}

/// The address of an export that was ordered for this folder before.
fn ordered(folder: &Path) -> Result<Option<String>, Failure> {
    let path = folder.join(ORDER);
    match std::fs::read(&path) {
        Ok(text) => {
            let order: Value = serde_json::from_slice(&text).unwrap_or_default();
            Ok(order["url"].as_str().map(str::to_owned))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(exit::file("reading", &path, &error)),
    }
}

/// Orders, and keeps where.
async fn order(export: &Export, context: &Context) -> Result<String, Failure> {
    let base = &context.settings.registry.base;
    let of = match (&export.patient, &export.group) {
        (Some(id), _) => format!("{}/$export", resource_url(base, "Patient", id)?),
        (None, Some(id)) => format!("{}/$export", resource_url(base, "Group", id)?),
        (None, None) => format!("{base}/$export"),
    };
    let mut url = url::Url::parse(&of).map_err(|error| Failure::usage(format!("{of} is no URL: {error}")))?;
    {
        let mut query = url.query_pairs_mut();
        if !export.types.is_empty() {
            query.append_pair("_type", &export.types.join(","));
        }
        if let Some(since) = &export.since {
            query.append_pair("_since", since);
        }
        if let Some(until) = &export.until {
            query.append_pair("_until", until);
        }
        for filter in &export.filter {
            query.append_pair("_typeFilter", filter);
        }
    }
    let url = url.as_str().trim_end_matches('?').to_owned();
    let call = Call::get(url, "the export")
        .fhir()
        .header(reqwest::header::HeaderName::from_static("prefer"), "respond-async, handling=strict")?;
    let answer = context.client.ask(call).await?;
    let url = answer.header("content-location").map(str::to_owned).ok_or_else(|| {
        Failure::new(Exit::Server, "the export was not answered with the address to follow it")
    })?;
    write(&export.out.join(ORDER), json!({ "url": url }).to_string().as_bytes())?;
    Ok(url)
}

/// Asks how far it is until it is there.
async fn follow(url: &str, folder: &Path, context: &Context) -> Result<Answer, Failure> {
    let mut told = String::new();
    loop {
        let sent = context.client.send(Call::get(url, "the export")).await;
        let answer = match sent {
            Ok(answer) => answer,
            // The export goes on without us; a server that starts again takes a moment.
            Err(failure) if failure.unknown => {
                context.output.remark(&failure.text);
                tokio::time::sleep(Duration::from_secs(2)).await;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        match answer.status {
            200 => return Ok(answer),
            202 => {
                let progress = answer.header("x-progress").unwrap_or_default();
                if progress != told {
                    context.output.remark(progress);
                    told = progress.to_owned();
                }
            }
            429 | 503 => {}
            status => {
                // Another run shall order anew.
                let _ = std::fs::remove_file(folder.join(ORDER));
                let (headers, body) = (&answer.headers, &answer.body);
                return Err(outcome::failure(status, headers, body, &answer.request_id, "the export"));
            }
        }
        tokio::time::sleep(task::pause(&answer.headers)).await;
    }
}

/// A file that is here.
struct Fetched {
    path: PathBuf,
    kind: String,
    count: u64,
    size: u64,
}

impl Fetched {
    fn row(&self, part: &str) -> Row {
        let mut row = Row::new();
        row.insert("file".into(), json!(self.path.display().to_string()));
        row.insert("part".into(), json!(part));
        row.insert("type".into(), json!(self.kind));
        row.insert("count".into(), json!(self.count));
        row.insert("size".into(), json!(self.size));
        row
    }
}

async fn fetch(
    file: &Value,
    part: &str,
    number: usize,
    folder: &Path,
    context: &Context,
) -> Result<Fetched, Failure> {
    let url = file["url"].as_str().ok_or_else(|| Failure::new(Exit::Server, "a file has no address"))?;
    let kind = file["type"].as_str().and_then(sanitize::file_name).unwrap_or_else(|| "file".to_owned());
    let promised = file["count"].as_u64();
    let prefix = if part == "output" { String::new() } else { format!("{part}-") };
    let path = folder.join(format!("{prefix}{kind}-{number:04}.ndjson"));
    if !path.exists() {
        let part = path.with_extension("part");
        pour(url, &part, context).await?;
        std::fs::rename(&part, &path).map_err(|error| exit::file("writing", &path, &error))?;
    }
    let (count, size) = count(&path).await?;
    if promised.is_some_and(|promised| promised != count) {
        let _ = std::fs::remove_file(&path);
        let promised = promised.unwrap_or_default();
        let text = format!("{} has {count} lines; {promised} were promised", path.display());
        return Err(Failure::new(Exit::Mismatch, text).next("run it again: the file is fetched anew"));
    }
    Ok(Fetched { path, kind, count, size })
}

/// Fetches a file, from where it broke off.
async fn pour(url: &str, part: &Path, context: &Context) -> Result<(), Failure> {
    let failed = |error: std::io::Error| exit::file("writing", part, &error);
    let mut tag: Option<String> = None;
    let mut tries = 0;
    let transfer = context.progress.bytes("exporting", None);
    loop {
        let mut file = tokio::fs::OpenOptions::new();
        let mut file = file.create(true).append(true).open(part).await.map_err(failed)?;
        let have = file.metadata().await.map_err(failed)?.len();
        let mut call = Call::get(url, "a file of the export");
        match &tag {
            Some(tag) if have > 0 => {
                call = call.header(RANGE, &format!("bytes={have}-"))?.header(IF_RANGE, tag)?;
            }
            // What an earlier run left is of a file nobody can name any more.
            _ => file.set_len(0).await.map_err(failed)?,
        }
        let poured = async {
            let (mut response, request_id) = context.client.open(call).await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            if status == 416 {
                return Ok(());
            }
            if !(200..300).contains(&status) {
                return Err(outcome::failure(status, &headers, &[], &request_id, "a file of the export"));
            }
            if status == 200 {
                file.set_len(0).await.map_err(failed)?;
            }
            tag = headers.get("etag").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
            while let Some(piece) = client::piece(&mut response, "a file of the export").await? {
                file.write_all(&piece).await.map_err(failed)?;
                transfer.passed(piece.len() as u64);
            }
            file.flush().await.map_err(failed)?;
            file.sync_all().await.map_err(failed)
        }
        .await;
        match poured {
            Ok(()) => {
                transfer.end();
                return Ok(());
            }
            Err(failure) if failure.exit == Exit::Network && tries < TRIES => {
                tries += 1;
                context.output.remark(&format!("{}; going on where it broke off", failure.text));
                tokio::time::sleep(Duration::from_millis(200 << tries)).await;
            }
            Err(failure) => {
                transfer.end();
                return Err(failure);
            }
        }
    }
}

/// Lines and bytes of a file.
async fn count(path: &Path) -> Result<(u64, u64), Failure> {
    let failed = |error: std::io::Error| exit::file("reading", path, &error);
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let size = file.metadata().await.map_err(failed)?.len();
    let mut reader = BufReader::with_capacity(256 << 10, file);
    let mut lines = 0;
    loop {
        let bytes = reader.fill_buf().await.map_err(failed)?;
        if bytes.is_empty() {
            return Ok((lines, size));
        }
        lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let length = bytes.len();
        reader.consume(length);
    }
}

/// Tells what the server could not do.
fn tell(path: &Path, context: &Context) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    for line in text.lines() {
        let outcome: Value = serde_json::from_str(line).unwrap_or_default();
        for warning in outcome::warnings(&outcome) {
            context.output.remark(&format!("warning: {warning}"));
        }
    }
}

/// Retrieves the documents of the entries in these files.
async fn retrieve(files: &[PathBuf], folder: &Path, context: &Context) -> Result<Exit, Failure> {
    let (mut done, mut failures) = (0, Vec::new());
    for path in files {
        let failed = |error: std::io::Error| exit::file("reading", path, &error);
        let mut lines = BufReader::new(tokio::fs::File::open(path).await.map_err(failed)?).lines();
        while let Some(line) = lines.next_line().await.map_err(failed)? {
            let entry: Value = serde_json::from_str(&line).map_err(|error| {
                Failure::new(
                    Exit::Server,
                    format!("{} holds a line that is no JSON: {error}", path.display()),
                )
            })?;
            let id = entry["id"].as_str().and_then(sanitize::file_name).unwrap_or_default();
            let place = folder.join("documents").join(id);
            let here = std::fs::read_dir(&place).is_ok_and(|mut entries| {
                // A part of a document is hidden.
                entries.any(|entry| {
                    entry.is_ok_and(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
                })
            });
            if here {
                done += 1;
                continue;
            }
            match doc::into_folder(context, &entry, &place).await {
                Ok(()) => done += 1,
                Err(failure) => failures.push(exit::tell(&failure)),
            }
        }
    }
    context.output.remark(&format!("{done} documents retrieved, {} not", failures.len()));
    Ok(Exit::of_many(done, &failures))
}

/// Writes a file in one step, readable by the user only.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |error: std::io::Error| exit::file("writing", path, &error);
    let temporary = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new();
    let mut file =
        file.write(true).create(true).truncate(true).mode(0o600).open(&temporary).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&temporary, path).map_err(failed)
}
