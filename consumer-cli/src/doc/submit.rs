//! Sending documents [ITI-65]: prepared once, sent under one id until its outcome is known.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use futures_util::TryStreamExt;
use reqwest::Method;
use reqwest::header::HeaderName;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::bundle::{self, Document, Provide, Relates};
use super::metadata::{self, Metadata};
use super::pending::{self, Attached, Pending};
use super::{id_in, new_oid, sniff, soap_submit};
use crate::client::{Answer, Body, Call, FHIR};
use crate::exit::{self, Exit, Failure};
use crate::output::{Column, Row, hidden, shown};
use crate::patient::resource_url;
use crate::soap::Via;
use crate::token::{self, Code, PatientName};
use crate::{Context, clock, output, soap, task};

/// Where one document is published alone [ITI-105], below the base.
const ALONE: &str = "/DocumentReference";

#[derive(Debug, Args)]
pub(crate) struct Submit {
    /// Files; - is standard input. Together they are one submission: all are stored, or none
    #[arg(required_unless_present = "resume", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Whose: SYSTEM|VALUE, URL or id
    #[arg(long, value_name = "PATIENT", required_unless_present = "resume")]
    patient: Option<PatientName>,
    /// Send a submission again whose outcome is not known, under the same id
    #[arg(long, value_name = "SUBMISSION", conflicts_with_all = ["files", "patient", "submission_id"])]
    resume: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
pub(crate) struct Append {
    /// The document that is added to: id, URL or SYSTEM|VALUE. What is not said of the new one is taken from it
    #[arg(value_name = "ID")]
    target: String,
    /// The file that adds to it; - is standard input
    file: PathBuf,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
pub(crate) struct Replace {
    /// The document to be replaced: id, URL or SYSTEM|VALUE. What is not said of the new one is taken from it
    #[arg(value_name = "ID")]
    target: String,
    /// The file that takes its place; - is standard input
    file: PathBuf,
    #[command(flatten)]
    how: How,
}

/// What both have in common.
#[derive(Debug, Args)]
struct How {
    /// Metadata from a file: JSON (*.json) or TOML
    #[arg(long, value_name = "FILE")]
    meta: Option<PathBuf>,
    /// Little metadata will do: the Minimal profile instead of Comprehensive
    #[arg(long, visible_alias = "profile-minimal")]
    minimal: bool,
    /// Unique id of the document [default: a new OID]
    #[arg(long, value_name = "urn:oid:…", value_parser = token::uri)]
    unique_id: Option<String>,
    /// Unique id of the submission [default: a new OID]
    #[arg(long, value_name = "urn:oid:…", value_parser = token::oid)]
    submission_id: Option<String>,
    /// Seconds to go on trying while the outcome is unknown
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    deadline: u64,
    /// Let the repository take the submission in at once and register it later; wait until it is registered
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// The same without waiting: tells the id of the task to ask about (`docshare task get`)
    #[arg(long)]
    no_wait: bool,
    /// Print the Bundle instead of sending it
    #[arg(long)]
    print_bundle: bool,
    /// Ask what would come of it, to the last check; nothing is stored
    #[arg(long, conflicts_with_all = ["print_bundle", "simple"])]
    dry_run: bool,
    /// One file in one request (Simplified Publish): the server makes the submission set
    #[arg(long)]
    simple: bool,
    #[command(flatten)]
    metadata: Metadata,
}

/// When a submission is to be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Before it is answered.
    Now,
    /// Later, and somebody waits for it.
    Followed,
    /// Later, and nobody waits.
    Later,
}

impl How {
    fn mode(&self) -> Mode {
        match (self.wait, self.no_wait) {
            (_, true) => Mode::Later,
            (true, false) => Mode::Followed,
            (false, false) => Mode::Now,
        }
    }

    /// Flags, then the metadata file, then the defaults of the profile.
    fn metadata(&self, context: &Context) -> Result<Metadata, Failure> {
        let flags = self.metadata.clone();
        let said = match &self.meta {
            Some(path) => flags.or(&metadata::read(path)?),
            None => flags,
        };
        Ok(said.or(&context.settings.defaults))
    }
}

pub(crate) async fn submit(submit: Submit, context: &Context) -> Result<Exit, Failure> {
    if let Some(id) = &submit.resume {
        let pending = pending::find(id)?;
        for document in &pending.documents {
            unchanged(document).await?;
        }
        return send(&pending, &submit.how, true, context).await;
    }
    let patient = submit.patient.ok_or_else(|| Failure::usage("whose documents? say --patient"))?;
    provide(&submit.files, patient, None, &submit.how, &Metadata::default(), context).await
}

pub(crate) async fn replace(replace: Replace, context: &Context) -> Result<Exit, Failure> {
    relate(&replace.target, &replace.file, bundle::How::Replaces, &replace.how, context).await
}

pub(crate) async fn append(append: Append, context: &Context) -> Result<Exit, Failure> {
    relate(&append.target, &append.file, bundle::How::Appends, &append.how, context).await
}

async fn relate(
    target: &str,
    file: &PathBuf,
    relation: bundle::How,
    how: &How,
    context: &Context,
) -> Result<Exit, Failure> {
    let old = super::read(context, target).await?;
    let id = old["id"]
        .as_str()
        .ok_or_else(|| Failure::new(Exit::Server, format!("document {target} has no id")))?;
    let reference = resource_url(&context.settings.registry.base, "DocumentReference", id)?;
    let patient =
        subject_of(&old).ok_or_else(|| Failure::other(format!("document {target} names no patient")))?;
    let relates = Some(Relates { how: relation, reference, id: id.to_owned() });
    provide(std::slice::from_ref(file), patient, relates, how, &inherited(&old), context).await
}

fn subject_of(document: &Value) -> Option<PatientName> {
    let subject = &document["subject"];
    if let Some(reference) = subject["reference"].as_str() {
        return reference.parse().ok();
    }
    let part = |name: &str| subject["identifier"][name].as_str();
    format!("{}|{}", part("system")?, part("value")?).parse().ok()
}

/// What a new version has in common with the old one, unless somebody says otherwise.
fn inherited(old: &Value) -> Metadata {
    let coding = |value: &Value| {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Some(Code { system: text("system")?, code: text("code")?, display: text("display") })
    };
    let concept = |value: &Value| coding(&value["coding"][0]);
    let content = &old["content"][0];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Metadata {
        title: text(&content["attachment"]["title"]),
        description: text(&old["description"]),
        r#type: concept(&old["type"]),
        category: concept(&old["category"][0]),
        format: coding(&content["format"]),
        language: text(&content["attachment"]["language"]),
        confidentiality: old["securityLabel"]
            .as_array()
            .map(|l| l.iter().filter_map(concept).collect())
            .unwrap_or_default(),
        facility: concept(&old["context"]["facilityType"]),
        practice_setting: concept(&old["context"]["practiceSetting"]),
        event: old["context"]["event"]
            .as_array()
            .map(|l| l.iter().filter_map(concept).collect())
            .unwrap_or_default(),
        ..Metadata::default()
    }
}

async fn provide(
    files: &[PathBuf],
    patient: PatientName,
    relates: Option<Relates>,
    how: &How,
    fallback: &Metadata,
    context: &Context,
) -> Result<Exit, Failure> {
    if how.unique_id.is_some() && files.len() > 1 {
        return Err(Failure::usage("--unique-id names one document, but there are several files"));
    }
    if how.simple && files.len() > 1 {
        return Err(Failure::usage("--simple publishes one document, but there are several files"));
    }
    // Of a document that relates to another, what the old document says comes before the defaults of the profile.
    let metadata = if relates.is_some() {
        let mut own = how.metadata.clone();
        if let Some(path) = &how.meta {
            own = own.or(&metadata::read(path)?);
        }
        own.or(fallback).or(&context.settings.defaults)
    } else {
        how.metadata(context)?
    };
    let spool =
        tempfile::tempdir().map_err(|error| Failure::other(format!("making a temporary folder: {error}")))?;
    let (mut documents, mut attached) = (Vec::new(), Vec::new());
    for file in files {
        let (document, file) = measure(file, how, &metadata, &spool).await?;
        documents.push(document);
        attached.push(file);
    }
    if !how.minimal && !how.simple {
        complete(&documents, files)?;
    }
    let provide = Provide {
        minimal: how.minimal || how.simple,
        patient,
        identity: context.settings.identity.base.clone(),
        submission_id: how.submission_id.clone().unwrap_or_else(new_oid),
        now: clock::now().to_string(),
        documents,
        relates,
        metadata,
    };
    if context.via == Via::Soap {
        return over_soap(&provide, attached, files, how, context).await;
    }
    let resource = match provide.documents.first().filter(|_| how.simple) {
        Some(document) => bundle::write_alone(&provide, document),
        None => bundle::write(&provide),
    };
    let texts = texts(&resource, &provide.documents);
    let base = context.settings.repository.base.trim_end_matches('/');
    let url = match (how.simple, how.dry_run) {
        (true, _) => format!("{base}{ALONE}"),
        (false, true) => format!("{base}{}", super::validate::PATH),
        (false, false) => context.settings.repository.base.clone(),
    };
    let pending =
        Pending { submission_id: provide.submission_id, url, texts, documents: attached, package: None };
    if how.print_bundle {
        return print(&pending, context).await;
    }
    if how.dry_run {
        let transfer = context.progress.bytes("asking", None);
        let body = Body::Submission(pending.upload(transfer));
        return super::validate::ask(&pending.url, body, FHIR, context).await;
    }
    let keepable = !files.iter().any(|file| file.as_os_str() == "-");
    send(&pending, how, keepable, context).await
}

/// The same as ITI-41.
async fn over_soap(
    provide: &Provide,
    attached: Vec<Attached>,
    files: &[PathBuf],
    how: &How,
    context: &Context,
) -> Result<Exit, Failure> {
    let unspoken = [
        ("--wait", how.wait),
        ("--no-wait", how.no_wait),
        ("--simple", how.simple),
        ("--dry-run", how.dry_run),
    ];
    if let Some((flag, _)) = unspoken.iter().find(|(_, given)| *given) {
        return Err(Failure::usage(format!("{flag} cannot be said over SOAP")).next("leave out --via soap"));
    }
    let pending = soap_submit::pending(context.settings.xds_repository.url()?, provide, attached)?;
    if how.print_bundle {
        return print(&pending, context).await;
    }
    send(&pending, how, !files.iter().any(|file| file.as_os_str() == "-"), context).await
}

/// All that is missing, of all files, in one message.
fn complete(documents: &[Document], files: &[PathBuf]) -> Result<(), Failure> {
    let mut failure = Failure::usage("the Comprehensive profile needs more metadata")
        .next("say it by flag, --meta FILE or the profile's defaults (docshare config init), or send --minimal metadata");
    for (document, file) in documents.iter().zip(files) {
        let missing = document.metadata.missing();
        if !missing.is_empty() {
            failure = failure.note("missing", format!("{} of {}", missing.join(", "), file.display()));
        }
    }
    if failure.notes.is_empty() { Ok(()) } else { Err(failure) }
}

/// Looks at a file: size, hash, media type, and what else it says about itself.
async fn measure(
    file: &Path,
    how: &How,
    common: &Metadata,
    spool: &tempfile::TempDir,
) -> Result<(Document, Attached), Failure> {
    let path = if file.as_os_str() == "-" { spooled(spool).await? } else { absolute(file)? };
    let failed = |error: std::io::Error| exit::file("reading", file, &error);
    let facts = tokio::fs::metadata(&path).await.map_err(failed)?;
    if !facts.is_file() {
        return Err(Failure::usage(format!("{} is not a file", file.display())));
    }
    let (size, digest, head) = hash(&path).await.map_err(failed)?;
    let mut metadata = common.clone();
    let content_type =
        metadata.content_type.clone().unwrap_or_else(|| sniff::media_type(&head, file).to_owned());
    metadata.format = metadata.format.or_else(|| sniff::format(&content_type));
    metadata.language = metadata.language.or_else(|| Some("en".to_owned()));
    if metadata.title.is_none() && file.as_os_str() != "-" {
        metadata.title = file.file_name().map(|name| name.to_string_lossy().into_owned());
    }
    if metadata.creation.is_none() {
        let modified = facts.modified().ok().and_then(|time| jiff::Timestamp::try_from(time).ok());
        let time = modified.unwrap_or_else(clock::now);
        metadata.creation = jiff::Timestamp::from_second(time.as_second()).ok().map(|time| time.to_string());
    }
    if metadata.confidentiality.is_empty() {
        metadata.confidentiality = vec![Code {
            system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality".into(),
            code: "N".into(),
            display: Some("normal".into()),
        }];
    }
    let unique_id = how.unique_id.clone().unwrap_or_else(new_oid);
    let attached = Attached {
        name: file.display().to_string(),
        path,
        size,
        sha1: STANDARD.encode(digest),
        unique_id: unique_id.clone(),
    };
    let mark = format!("@@{}@@", uuid::Uuid::new_v4());
    Ok((Document { unique_id, content_type, size, hash: attached.sha1.clone(), metadata, mark }, attached))
}

fn absolute(file: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(file).map_err(|error| exit::file("reading", file, &error))
}

/// Standard input as a file, since its hash is sent before its bytes.
async fn spooled(spool: &tempfile::TempDir) -> Result<PathBuf, Failure> {
    let path = spool.path().join("stdin");
    let copy = async {
        let mut file = tokio::fs::File::create_new(&path).await?;
        tokio::io::copy(&mut tokio::io::stdin(), &mut file).await?;
        file.flush().await
    };
    copy.await.map_err(|error| Failure::other(format!("reading standard input: {error}")))?;
    Ok(path)
}

async fn hash(path: &Path) -> std::io::Result<(u64, [u8; 20], Vec<u8>)> {
    let mut file = tokio::fs::File::open(path).await?;
    let (mut sha1, mut size, mut head) = (Sha1::new(), 0, Vec::new());
    let mut piece = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut piece).await?;
        if read == 0 {
            return Ok((size, sha1.finalize().into(), head));
        }
        if size == 0 {
            head = piece[..read.min(sniff::LOOK)].to_vec();
        }
        sha1.update(&piece[..read]);
        size += read as u64;
    }
}

async fn unchanged(document: &Attached) -> Result<(), Failure> {
    let (size, digest, _) =
        hash(&document.path).await.map_err(|error| exit::file("reading", &document.path, &error))?;
    if size == document.size && STANDARD.encode(digest) == document.sha1 {
        return Ok(());
    }
    Err(Failure::usage(format!("{} has changed since it was sent", document.path.display()))
        .next("submit it anew, under a new id"))
}

/// The Bundle's text, cut where the bytes of each document go.
fn texts(bundle: &Value, documents: &[Document]) -> Vec<String> {
    let mut rest = bundle.to_string();
    let mut texts = Vec::new();
    for document in documents {
        let at = rest.find(&document.mark).expect("each mark was written once, in order");
        texts.push(rest[..at].to_owned());
        rest = rest[at + document.mark.len()..].to_owned();
    }
    texts.push(rest);
    texts
}

async fn print(pending: &Pending, context: &Context) -> Result<Exit, Failure> {
    let upload = pending.upload(context.progress.bytes("writing", None));
    let mut body = std::pin::pin!(upload.stream());
    while let Some(piece) =
        body.try_next().await.map_err(|error| Failure::other(format!("reading a document: {error}")))?
    {
        output::write(&piece)?;
    }
    output::write(b"\n")?;
    Ok(Exit::Done)
}

/// Sends until the outcome is known or the time is over.
async fn send(pending: &Pending, how: &How, keepable: bool, context: &Context) -> Result<Exit, Failure> {
    let deadline = how.deadline;
    if keepable {
        pending.keep()?;
    }
    let until = Instant::now() + Duration::from_secs(deadline);
    let transfer =
        context.progress.bytes("submitting", Some(pending.upload(context.progress.bytes("", None)).length()));
    let mut attempt = 0;
    let mut in_doubt = false;
    loop {
        transfer.again();
        let upload = pending.upload(transfer.clone());
        let mut call = match &pending.package {
            Some(content_type) => {
                soap::call(&pending.url, content_type, Body::Submission(upload), "the submission")?
            }
            None => Call::new(Method::POST, pending.url.clone(), "the submission")
                .fhir()
                .header(HeaderName::from_static("idempotency-key"), &pending.submission_id)?
                .body(Body::Submission(upload), FHIR)?,
        };
        if how.mode() != Mode::Now {
            call = call.header(HeaderName::from_static("prefer"), "respond-async")?;
        }
        let failure = match asked(pending, call, context).await {
            Ok(answer) => {
                transfer.end();
                pending.forget();
                return match (answer.status, how.mode()) {
                    (202, Mode::Later) => taken(pending, &answer, context),
                    (202, _) => followed(pending, &answer, deadline, context).await,
                    // A server that registers at once has done so.
                    _ => receipt(pending, &answer, context),
                };
            }
            Err(failure) => failure,
        };
        in_doubt |= failure.unknown;
        if !in_doubt || (!failure.unknown && failure.status.is_some()) {
            transfer.end();
            pending.forget();
            return Err(failure);
        }
        let wait = pause(attempt, failure.retry_after);
        if Instant::now() + wait >= until {
            transfer.end();
            return Err(unknown(failure, pending, keepable));
        }
        context.output.remark(&format!("outcome unknown ({}); sending again with the same id", failure.text));
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

/// Sends it once; a refusal is a failure on either face.
async fn asked(pending: &Pending, call: Call, context: &Context) -> Result<Answer, Failure> {
    if pending.package.is_none() {
        return context.client.ask(call).await;
    }
    let (response, answer) = soap::ask(context, call).await?;
    soap::accepted(context, &response, "the submission")?;
    Ok(answer)
}

/// A submission that was taken in: what to ask about it.
fn taken(pending: &Pending, answer: &Answer, context: &Context) -> Result<Exit, Failure> {
    const COLUMNS: &[Column] = &[shown("task"), shown("status"), shown("submission"), hidden("location")];
    let task = answer.json("the submission")?;
    let mut listing = context.output.list(COLUMNS)?;
    if listing.wants_bytes() {
        listing.page(&answer.body, 1)?;
        return listing.finish();
    }
    let mut row = Row::new();
    row.insert("task".into(), task["id"].clone());
    row.insert("status".into(), task["status"].clone());
    row.insert("submission".into(), json!(pending.submission_id));
    row.insert("location".into(), json!(answer.header("content-location")));
    listing.push(&row)?;
    listing.finish()
}

/// The same, waited for until it is registered or refused.
async fn followed(
    pending: &Pending,
    answer: &Answer,
    deadline: u64,
    context: &Context,
) -> Result<Exit, Failure> {
    let url = answer.header("content-location").ok_or_else(|| {
        Failure::new(Exit::Server, "the submission was taken in without an address to ask about it")
    })?;
    let ended = task::ended(context, url, Duration::from_secs(deadline)).await?;
    receipt(pending, &task::response(&ended)?, context)
}

fn unknown(failure: Failure, pending: &Pending, kept: bool) -> Failure {
    let failure = failure.note("submission", format!("{}: outcome unknown", pending.submission_id));
    if kept {
        failure.next(format!(
            "send it again with the same id: docshare doc submit --resume {}",
            pending.submission_id
        ))
    } else {
        failure.next(format!(
            "look for it: docshare submission list; its unique id is {}",
            pending.submission_id
        ))
    }
}

/// 0.2 s, doubled each time, more or less by half, so that many sources do not come back at once; or what the server asks.
fn pause(attempt: u32, asked: Option<Duration>) -> Duration {
    let spread = f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 255.0;
    let own = 0.2 * f64::from(1_u32 << attempt.min(8)) * (0.5 + spread);
    Duration::from_secs_f64(own).max(asked.unwrap_or_default())
}

const COLUMNS: &[Column] = &[
    shown("id"),
    shown("file"),
    shown("size"),
    shown("submission"),
    hidden("uniqueId"),
    hidden("hash"),
    hidden("location"),
    hidden("status"),
    shown("replayed"),
];

fn receipt(pending: &Pending, answer: &Answer, context: &Context) -> Result<Exit, Failure> {
    if pending.package.is_some() {
        return soap_receipt(pending, answer, context);
    }
    let alone = pending.url.ends_with(ALONE);
    let bundle = if alone && answer.body.is_empty() { Value::Null } else { answer.json("the submission")? };
    let mut listing = context.output.list(COLUMNS)?;
    if listing.wants_bytes() {
        listing.page(&answer.body, pending.documents.len())?;
        return listing.finish();
    }
    for entry in bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default() {
        for warning in crate::outcome::warnings(&entry["response"]["outcome"]) {
            context.output.remark(&format!("warning: {warning}"));
        }
    }
    for (number, document) in pending.documents.iter().enumerate() {
        let response = &bundle["entry"][bundle::FIRST_DOCUMENT + number]["response"];
        let location = if alone { answer.header("location") } else { response["location"].as_str() };
        let status = if alone { json!("201 Created") } else { response["status"].clone() };
        let mut row = Row::new();
        row.insert("id".into(), json!(location.and_then(|location| id_in(location, "DocumentReference"))));
        row.insert("file".into(), json!(document.name));
        row.insert("size".into(), json!(document.size));
        row.insert("submission".into(), json!(pending.submission_id));
        row.insert("uniqueId".into(), json!(document.unique_id));
        row.insert("hash".into(), json!(document.sha1));
        row.insert("location".into(), json!(location));
        row.insert("status".into(), status);
        row.insert("replayed".into(), json!(answer.header("idempotency-replayed") == Some("true")));
        listing.push(&row)?;
    }
    listing.finish()
}

/// What ITI-41 answers names no objects: the unique ids stand for them.
fn soap_receipt(pending: &Pending, answer: &Answer, context: &Context) -> Result<Exit, Failure> {
    let mut listing = context.output.list(COLUMNS)?;
    if listing.wants_bytes() {
        listing.page(&answer.body, pending.documents.len())?;
        return listing.finish();
    }
    for document in &pending.documents {
        let cells = [
            ("id", json!(document.unique_id)),
            ("file", json!(document.name)),
            ("size", json!(document.size)),
            ("submission", json!(pending.submission_id)),
            ("uniqueId", json!(document.unique_id)),
            ("hash", json!(document.sha1)),
            ("status", json!("registered")),
        ];
        listing.push(&cells.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())?;
    }
    listing.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_tries_grows_and_respects_the_server() {
        let first = pause(0, None);
        assert!(first >= Duration::from_millis(100) && first <= Duration::from_millis(300), "{first:?}");
        assert!(pause(4, None) >= Duration::from_millis(1600));
        assert_eq!(pause(0, Some(Duration::from_secs(9))), Duration::from_secs(9));
    }

    #[test]
    fn a_new_version_inherits_what_the_old_one_said() {
        let old = json!({"type": {"coding": [{"system": "s", "code": "c"}]}, "subject": {"reference": "http://i/fhir/Patient/1"},
            "content": [{"attachment": {"language": "de", "title": "T"}, "format": {"system": "f", "code": "x"}}]});
        let metadata = inherited(&old);
        assert_eq!(metadata.r#type.unwrap().code, "c");
        assert_eq!((metadata.language.as_deref(), metadata.title.as_deref()), (Some("de"), Some("T")));
        assert_eq!(subject_of(&old), Some(PatientName::Url("http://i/fhir/Patient/1".into())));
    }
}
