//! Tasks: what became of submissions that are made later.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::Context;
use crate::client::{Answer, Call};
use crate::doc::date_range;
use crate::exit::{self, Exit, Failure};
use crate::outcome;
use crate::output::{Column, Row, hidden, shown};
use crate::patient::{each, nothing_found, resource_url};
use crate::search::{self, Search};
use crate::token::PatientName;

/// The pause between two questions, where the server names none.
const PAUSE: Duration = Duration::from_secs(1);

/// Submissions that are made later, and what became of them
#[derive(Debug, Subcommand)]
pub(crate) enum TaskVerb {
    /// List tasks, the newest first
    List(List),
    /// Show tasks
    Get(Get),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Of this patient: URL or id
    #[arg(long, value_name = "PATIENT")]
    patient: Option<PatientName>,
    /// Status: received, in-progress, completed or failed; several with commas in between
    #[arg(long)]
    status: Option<String>,
    /// Of the submission set with this unique id
    #[arg(long, value_name = "urn:oid:…")]
    submission: Option<String>,
    /// Changed at or after
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
    /// Changed before
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// Results per page
    #[arg(long, value_name = "N")]
    count: Option<u32>,
    /// All pages
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// Tasks: ids or URLs
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Wait until each has come to its end
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    deadline: u64,
}

const COLUMNS: &[Column] = &[
    shown("id"),
    shown("status"),
    shown("date"),
    shown("patient"),
    shown("reason"),
    hidden("submission"),
    hidden("requester"),
    hidden("ended"),
    hidden("documents"),
];

pub(crate) async fn run(verb: TaskVerb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        TaskVerb::List(list) => find(list, context).await,
        TaskVerb::Get(get) => show(get, context).await,
    }
}

async fn find(list: List, context: &Context) -> Result<Exit, Failure> {
    let mut parameters = Vec::new();
    let mut put = |name: &str, value: String| parameters.push((name.to_owned(), value));
    match &list.patient {
        Some(PatientName::Id(id)) => put("patient", id.clone()),
        Some(PatientName::Url(url)) => put("patient", url.clone()),
        Some(PatientName::Identifier(_)) => {
            return Err(Failure::usage("tasks are found by the patient's id or URL")
                .next("find it with: docshare patient find --identifier SYSTEM|VALUE"));
        }
        None => {}
    }
    list.status.iter().for_each(|status| put("status", status.clone()));
    list.submission.iter().for_each(|set| put("group-identifier", set.clone()));
    list.count.iter().for_each(|count| put("_count", count.to_string()));
    parameters.extend(date_range("_lastUpdated", &list.since, &list.until));
    let base = &context.settings.repository.base;
    search::list(context, Search { base, resource: "Task", parameters, all: list.all }, COLUMNS, row).await
}

async fn show(get: Get, context: &Context) -> Result<Exit, Failure> {
    let mut listing = context.output.list(COLUMNS)?;
    let (mut done, mut failures) = (0, Vec::new());
    for id in &get.ids {
        let url = resource_url(&context.settings.repository.base, "Task", id)?;
        let answered = match get.wait {
            true => ended(context, &url, Duration::from_secs(get.deadline)).await,
            false => read(context, &url).await,
        };
        match answered.map_err(nothing_found) {
            Err(failure) => failures.push(exit::tell(&failure)),
            Ok(answer) => {
                let task = answer.json("the task")?;
                if listing.wants_bytes() {
                    listing.page(&answer.body, 1)?;
                } else {
                    listing.push(&row(&task))?;
                }
                match task["status"].as_str() {
                    Some("failed") => failures.push(Exit::Rejected),
                    _ => done += 1,
                }
            }
        }
    }
    listing.finish()?;
    Ok(Exit::of_many(done, &failures))
}

async fn read(context: &Context, url: &str) -> Result<Answer, Failure> {
    context.client.ask(Call::get(url, "the task").fhir()).await
}

/// A task at its end, asked for as often as the server likes.
pub(crate) async fn ended(context: &Context, url: &str, patience: Duration) -> Result<Answer, Failure> {
    let until = Instant::now() + patience;
    loop {
        let wait = match read(context, url).await {
            Ok(answer) => {
                let task = answer.json("the task")?;
                if matches!(task["status"].as_str(), Some("completed" | "failed" | "cancelled" | "rejected"))
                {
                    return Ok(answer);
                }
                pause(&answer.headers)
            }
            // What was taken in is made whether anybody asks or not.
            Err(failure) if failure.exit == Exit::Network || failure.retry_after.is_some() => {
                failure.retry_after.unwrap_or(PAUSE)
            }
            Err(failure) => return Err(failure),
        };
        if Instant::now() + wait >= until {
            return Err(Failure::other(format!(
                "the submission is taken in and not made yet after {} s",
                patience.as_secs()
            ))
            .next(format!("ask later: docshare task get {url} --wait")));
        }
        tokio::time::sleep(wait).await;
    }
}

/// How long the server asks to wait.
pub(crate) fn pause(headers: &HeaderMap) -> Duration {
    let asked = headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    asked.map_or(PAUSE, |seconds: u64| Duration::from_secs(seconds.clamp(1, 60)))
}

/// What a task at its end says of its submission: the answer the source would have got.
pub(crate) fn response(answer: &Answer) -> Result<Answer, Failure> {
    let task = answer.json("the task")?;
    let inside = &task["contained"][0];
    let body: bytes::Bytes = inside.to_string().into();
    if task["status"] == "completed" {
        return Ok(Answer { body, ..answer.clone() });
    }
    Err(outcome::failure(400, &answer.headers, &body, &answer.request_id, "the submission"))
}

fn row(task: &Value) -> Row {
    let documents = each(&task["output"], |output| {
        let is_document = output["type"]["text"] == "DocumentReference";
        output["valueReference"]["reference"].as_str().filter(|_| is_document).map(str::to_owned)
    });
    let mut row = Row::new();
    row.insert("id".into(), task["id"].clone());
    row.insert("status".into(), task["status"].clone());
    row.insert("date".into(), task["authoredOn"].clone());
    row.insert("patient".into(), task["for"]["reference"].clone());
    row.insert("reason".into(), task["statusReason"]["text"].clone());
    row.insert("submission".into(), task["groupIdentifier"]["value"].clone());
    row.insert("requester".into(), task["requester"]["display"].clone());
    row.insert("ended".into(), task["executionPeriod"]["end"].clone());
    row.insert("documents".into(), json!(documents));
    row
}
