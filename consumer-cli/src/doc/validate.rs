//! What would come of a submission, as the repository says it: nothing is stored (`Bundle/$validate`).

use std::path::PathBuf;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use crate::Context;
use crate::client::{Body, Call, FHIR};
use crate::exit::{self, Exit, Failure};
use crate::output::{Column, Row, hidden, shown};

/// Where it is asked, below the base of the repository.
pub(super) const PATH: &str = "/Bundle/$validate";

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// A Bundle of ITI-65, in JSON or XML; - is standard input
    #[arg(value_name = "BUNDLE")]
    file: PathBuf,
}

const COLUMNS: &[Column] = &[shown("severity"), shown("text"), shown("at"), shown("code"), hidden("issue")];

pub(crate) async fn run(validate: Validate, context: &Context) -> Result<Exit, Failure> {
    let file = &validate.file;
    let bytes = if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut tokio::io::stdin(), &mut bytes)
            .await
            .map_err(|error| Failure::other(format!("reading standard input: {error}")))?;
        bytes
    } else {
        tokio::fs::read(file).await.map_err(|error| exit::file("reading", file, &error))?
    };
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let media = if first == Some(&b'<') { "application/fhir+xml" } else { FHIR };
    let url = format!("{}{PATH}", context.settings.repository.base.trim_end_matches('/'));
    ask(&url, Body::Bytes(bytes.into()), media, context).await
}

/// Asks, and lists what was found; rejected if any of it is an error.
pub(super) async fn ask(url: &str, body: Body, media: &str, context: &Context) -> Result<Exit, Failure> {
    let call = Call::new(Method::POST, url, "the validation").fhir().body(body, media)?;
    let answer = context.client.ask(call).await?;
    let outcome = answer.json("the validation")?;
    let issues = outcome["issue"].as_array().cloned().unwrap_or_default();
    let mut listing = context.output.list(COLUMNS)?;
    if listing.wants_bytes() {
        listing.page(&answer.body, issues.len())?;
    } else {
        for issue in &issues {
            listing.push(&row(issue))?;
        }
    }
    listing.finish()?;
    let is_refused = |issue: &Value| matches!(issue["severity"].as_str(), Some("error" | "fatal"));
    Ok(if issues.iter().any(is_refused) { Exit::Rejected } else { Exit::Done })
}

fn row(issue: &Value) -> Row {
    let codes: Vec<&str> = issue["details"]["coding"]
        .as_array()
        .map(|codings| codings.iter().filter_map(|coding| coding["code"].as_str()).collect())
        .unwrap_or_default();
    let mut row = Row::new();
    row.insert("severity".into(), issue["severity"].clone());
    row.insert("text".into(), issue["details"]["text"].clone());
    row.insert("at".into(), issue["expression"][0].clone());
    row.insert("code".into(), json!(codes.first()));
    row.insert("issue".into(), issue["code"].clone());
    row
}
