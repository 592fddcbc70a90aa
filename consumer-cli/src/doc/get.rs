//! Documents as files, complete and checked, or only checked.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::json;

use super::retrieve::{self, Promise, Received, Sink};
use super::soap_get::{self, Place};
use crate::exit::{self, Exit, Failure};
use crate::output::{Column, Row, hidden, shown};
use crate::soap::Via;
use crate::{Context, output, sanitize};

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// Documents: ids, URLs of their metadata, or SYSTEM|VALUE
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// File or folder to write to; - is standard output [default: a safe form of the document's name, here]
    #[arg(long, short = 'O', value_name = "PATH")]
    out: Option<PathBuf>,
    /// Overwrite a file that exists
    #[arg(long, short)]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Documents: ids, URLs of their metadata, or SYSTEM|VALUE
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

/// Bytes shown on a terminal at most.
const SHOWN: u64 = 1 << 20;

const COLUMNS: &[Column] = &[
    shown("id"),
    shown("file"),
    shown("size"),
    shown("contentType"),
    hidden("hash"),
    shown("checked"),
    hidden("url"),
];

pub(crate) async fn get(get: Get, context: &Context) -> Result<Exit, Failure> {
    let to_stdout = get.out.as_deref().is_some_and(|out| out.as_os_str() == "-");
    if get.ids.len() > 1 && (to_stdout || get.out.as_deref().is_some_and(|out| !is_folder(out))) {
        return Err(Failure::usage("several documents need a folder to be written to")
            .next("name one with --out DIR/"));
    }
    if to_stdout {
        let promise = promise(context, &get.ids[0]).await?;
        return pour(context, &promise).await;
    }
    each(context, &get.ids, async |id| {
        let wanted = promise(context, id).await?;
        let (received, path) = fetch(context, &wanted, get.out.as_deref(), get.force).await?;
        Ok(row(&wanted.promise, &received, Some(&path)))
    })
    .await
}

pub(crate) async fn verify(verify: Verify, context: &Context) -> Result<Exit, Failure> {
    each(context, &verify.ids, async |id| {
        let wanted = promise(context, id).await?;
        let received = wanted.retrieve(context, &mut Sink::nowhere()).await?;
        Ok(row(&wanted.promise, &received, None))
    })
    .await
}

/// Does one after the other, tells each failure, and goes on.
async fn each(
    context: &Context,
    ids: &[String],
    one: impl AsyncFn(&str) -> Result<Row, Failure>,
) -> Result<Exit, Failure> {
    let mut listing = context.output.list(COLUMNS)?;
    let (mut done, mut failures) = (0, Vec::new());
    for id in ids {
        match one(id).await {
            Ok(row) => {
                done += 1;
                listing.push(&row)?;
            }
            Err(failure) if ids.len() == 1 => return Err(failure),
            Err(failure) => failures.push(exit::tell(&failure)),
        }
    }
    if done > 0 {
        listing.finish()?;
    }
    Ok(Exit::of_many(done, &failures))
}

/// What is promised of a document, and where it lies if it is asked for over SOAP.
struct Wanted {
    promise: Promise,
    place: Option<Place>,
}

impl Wanted {
    async fn retrieve(&self, context: &Context, sink: &mut Sink) -> Result<Received, Failure> {
        match &self.place {
            None => retrieve::retrieve(context, &self.promise, sink).await,
            Some(place) => soap_get::retrieve(context, (&self.promise, place), sink).await,
        }
    }
}

async fn promise(context: &Context, id: &str) -> Result<Wanted, Failure> {
    if context.via == Via::Soap {
        let (promise, place) = soap_get::promise(context, id).await?;
        return Ok(Wanted { promise, place: Some(place) });
    }
    let document = super::read(context, id).await?;
    Ok(Wanted { promise: Promise::of(&document, &context.settings.registry.base)?, place: None })
}

/// The document of this metadata, into a folder of its own.
pub(crate) async fn into_folder(
    context: &Context,
    document: &serde_json::Value,
    folder: &Path,
) -> Result<(), Failure> {
    let promise = Promise::of(document, &context.settings.registry.base)?;
    let wanted = Wanted { promise, place: None };
    std::fs::create_dir_all(folder).map_err(|error| exit::file("making the folder", folder, &error))?;
    fetch(context, &wanted, Some(folder), false).await.map(|_| ())
}

/// To standard output, but only after the last byte is checked.
async fn pour(context: &Context, wanted: &Wanted) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::other(format!("using a temporary file: {error}"));
    let spool = tempfile::tempfile().map_err(failed)?;
    let mut sink = Sink::file(spool.try_clone().map_err(failed)?.into()).await.map_err(failed)?;
    wanted.retrieve(context, &mut sink).await?;
    let mut spool = spool;
    std::io::Seek::rewind(&mut spool).map_err(failed)?;
    if context.output.terminal {
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(&mut spool, SHOWN + 1), &mut text)
            .map_err(failed)?;
        if text.len() as u64 > SHOWN {
            return Err(
                Failure::usage("the document is too long for a terminal").next("name a file with --out FILE")
            );
        }
        return context.output.bytes(&text).map(|()| Exit::Done);
    }
    let mut piece = vec![0; 256 * 1024];
    loop {
        let read = std::io::Read::read(&mut spool, &mut piece).map_err(failed)?;
        if read == 0 {
            return Ok(Exit::Done);
        }
        output::write(&piece[..read])?;
    }
}

fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/')
}

/// Into a file: under a provisional name first, under its own when every byte is checked and synced.
async fn fetch(
    context: &Context,
    wanted: &Wanted,
    out: Option<&Path>,
    force: bool,
) -> Result<(Received, PathBuf), Failure> {
    let promise = &wanted.promise;
    let exact = out.filter(|out| !is_folder(out));
    let folder = match (exact, out) {
        (Some(exact), _) => exact.parent().map(Path::to_path_buf).unwrap_or_default(),
        (None, Some(folder)) => folder.to_path_buf(),
        (None, None) => PathBuf::new(),
    };
    let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
    if let Some(exact) = exact {
        free(exact, force)?;
    }
    std::fs::create_dir_all(&folder).map_err(|error| exit::file("making the folder", &folder, &error))?;
    let part = folder.join(format!(
        ".{}.docshare-part",
        sanitize::file_name(&promise.id).unwrap_or_else(|| "document".into())
    ));
    let file = retrieve::part_file(&part, promise).await?;
    let mut sink = Sink::file(file).await.map_err(|error| exit::file("reading", &part, &error))?;
    let received = match wanted.retrieve(context, &mut sink).await {
        Ok(received) => received,
        Err(failure) => {
            // What broke off can be resumed; what is wrong cannot.
            if failure.exit != Exit::Network || promise.sha1.is_none() {
                let _ = std::fs::remove_file(&part);
            }
            return Err(failure);
        }
    };
    let path = match exact {
        Some(exact) => exact.to_path_buf(),
        None => folder.join(name(promise, &received)),
    };
    free(&path, force).and_then(|()| publish(&part, &path, force)).inspect_err(|_| {
        let _ = std::fs::remove_file(&part);
    })?;
    Ok((received, path))
}

fn free(path: &Path, force: bool) -> Result<(), Failure> {
    if path.is_dir() {
        return Err(Failure::usage(format!("{} is a folder", path.display())));
    }
    if !force && path.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!("{} exists and is left as it is", path.display()))
            .next("say --force to overwrite it, or --out another name"));
    }
    Ok(())
}

/// Gives the file its name in one step; a file that came to be meanwhile stays unless `force`.
fn publish(part: &Path, path: &Path, force: bool) -> Result<(), Failure> {
    let failed = |error: std::io::Error| exit::file("writing", path, &error);
    if force {
        return std::fs::rename(part, path).map_err(failed);
    }
    match std::fs::hard_link(part, path) {
        Ok(()) => std::fs::remove_file(part).map_err(failed),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(failed(error)),
        // Some file systems have no links.
        Err(_) => std::fs::rename(part, path).map_err(failed),
    }
}

/// A name of its own in the folder, from what the server, the title or the id suggest.
fn name(promise: &Promise, received: &Received) -> String {
    let suggested = received.suggested.as_deref().and_then(sanitize::file_name);
    let title = promise.title.as_deref().and_then(sanitize::file_name);
    let base = suggested
        .or(title)
        .or_else(|| sanitize::file_name(&promise.id))
        .unwrap_or_else(|| "document".to_owned());
    let extension = extension(promise.content_type.as_deref().unwrap_or_default());
    if base.contains('.') || extension.is_empty() { base } else { format!("{base}.{extension}") }
}

fn extension(content_type: &str) -> &'static str {
    match content_type.split(';').next().unwrap_or_default().trim() {
        "application/pdf" => "pdf",
        "text/plain" => "txt",
        "text/xml" | "application/xml" | "application/fhir+xml" => "xml",
        "application/json" | "application/fhir+json" => "json",
        "text/html" => "html",
        "text/csv" => "csv",
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/tiff" => "tiff",
        "application/dicom" => "dcm",
        "application/rtf" => "rtf",
        "application/zip" => "zip",
        _ => "",
    }
}

fn row(promise: &Promise, received: &Received, path: Option<&Path>) -> Row {
    let checked = match (promise.size.is_some(), promise.sha1.is_some()) {
        (true, true) => "size and hash",
        (true, false) => "size",
        (false, true) => "hash",
        (false, false) => "nothing promised",
    };
    let mut row = Row::new();
    row.insert("id".into(), json!(promise.id));
    row.insert(
        "file".into(),
        json!(path.map(|path| path.strip_prefix(".").unwrap_or(path).display().to_string())),
    );
    row.insert("size".into(), json!(received.size));
    row.insert("contentType".into(), json!(promise.content_type));
    row.insert("hash".into(), json!(STANDARD.encode(received.sha1)));
    row.insert("checked".into(), json!(checked));
    row.insert("url".into(), json!(promise.url));
    row
}
