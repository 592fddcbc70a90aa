//! Submission sets: what was sent together, and when [ITI-66].

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::Context;
use crate::doc::{concept, date_range, pending};
use crate::exit::{Exit, Failure};
use crate::output::{Column, Row, hidden, shown};
use crate::patient::each;
use crate::search::{self, Search};
use crate::token::PatientName;

/// What was sent together
#[derive(Debug, Subcommand)]
pub(crate) enum SubmissionVerb {
    /// List the submission sets of a patient
    List(List),
    /// List the submissions whose outcome is not known here: interrupted, or never answered
    Pending,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Whose: SYSTEM|VALUE, URL or id
    #[arg(long, value_name = "PATIENT")]
    patient: PatientName,
    /// Status; empty for any
    #[arg(long, default_value = "current")]
    status: String,
    /// Folders instead of submission sets
    #[arg(long)]
    folders: bool,
    /// Sent at or after
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
    /// Sent before
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// Sent by this source (its OID)
    #[arg(long, value_name = "OID")]
    source: Option<String>,
    /// Results per page
    #[arg(long, value_name = "N")]
    count: Option<u32>,
    /// All pages
    #[arg(long)]
    all: bool,
}

const COLUMNS: &[Column] = &[
    shown("id"),
    shown("date"),
    shown("contentType"),
    shown("title"),
    shown("members"),
    hidden("sourceId"),
    hidden("uniqueId"),
    hidden("status"),
    hidden("items"),
];

pub(crate) async fn run(verb: SubmissionVerb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        SubmissionVerb::List(list) => find(list, context).await,
        SubmissionVerb::Pending => pending(context),
    }
}

const PENDING: &[Column] = &[shown("id"), shown("files"), shown("server")];

/// What `doc submit --resume` can send again.
fn pending(context: &Context) -> Result<Exit, Failure> {
    let mut listing = context.output.list(PENDING)?;
    for pending in pending::all()? {
        let files: Vec<&str> = pending.documents.iter().map(|document| document.name.as_str()).collect();
        let mut row = Row::new();
        row.insert("id".into(), json!(pending.submission_id));
        row.insert("files".into(), json!(files));
        row.insert("server".into(), json!(pending.url));
        listing.push(&row)?;
    }
    listing.finish()
}

pub(crate) async fn find(list: List, context: &Context) -> Result<Exit, Failure> {
    let mut parameters = vec![list.patient.parameter()];
    parameters.push(("code".into(), if list.folders { "folder" } else { "submissionset" }.into()));
    if !list.status.is_empty() {
        parameters.push(("status".into(), list.status.clone()));
    }
    parameters.extend(date_range("date", &list.since, &list.until));
    parameters.extend(list.source.iter().map(|source| ("sourceId".to_owned(), source.clone())));
    parameters.extend(list.count.map(|count| ("_count".to_owned(), count.to_string())));
    let base = &context.settings.registry.base;
    search::list(context, Search { base, resource: "List", parameters, all: list.all }, COLUMNS, row).await
}

fn row(list: &Value) -> Row {
    let items = each(&list["entry"], |entry| entry["item"]["reference"].as_str().map(str::to_owned));
    let mut row = Row::new();
    row.insert("id".into(), list["id"].clone());
    row.insert("date".into(), list["date"].clone());
    row.insert(
        "contentType".into(),
        json!(concept(extension(list, "ihe-designationType").map(|e| &e["valueCodeableConcept"]))),
    );
    row.insert("title".into(), list["title"].clone());
    row.insert("members".into(), json!(items.len()));
    let source = extension(list, "ihe-sourceId").map(|e| e["valueIdentifier"]["value"].clone());
    row.insert("sourceId".into(), source.unwrap_or(Value::Null));
    row.insert("uniqueId".into(), json!(unique_id(&list["identifier"])));
    row.insert("status".into(), list["status"].clone());
    row.insert("items".into(), json!(items));
    row
}

fn extension<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list["extension"]
        .as_array()?
        .iter()
        .find(|e| e["url"].as_str().is_some_and(|url| url.rsplit('/').next() == Some(name)))
}

/// The identifier marked as uniqueId, by use or by type.
pub(crate) fn unique_id(identifiers: &Value) -> Option<String> {
    let is_unique = |identifier: &&Value| {
        identifier["use"] == "usual"
            || identifier["type"]["coding"]
                .as_array()
                .is_some_and(|codings| codings.iter().any(|c| c["code"] == "uniqueId"))
    };
    identifiers.as_array()?.iter().find(is_unique)?["value"].as_str().map(str::to_owned)
}
