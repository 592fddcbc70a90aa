//! The documents of a patient.

use clap::Args;
use serde_json::{Value, json};

use super::{concept, date_range, soap_list};
use crate::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Column, Row, hidden, shown};
use crate::patient::each;
use crate::search::{self, Search};
use crate::soap::Via;
use crate::token::{Identifier, PatientName, escape};

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Whose: SYSTEM|VALUE, URL or id
    #[arg(long, value_name = "PATIENT", required_unless_present_any = ["identifier"])]
    pub(super) patient: Option<PatientName>,
    /// Unique id or other identifier of the document
    #[arg(long, value_name = "SYSTEM|VALUE")]
    pub(super) identifier: Vec<Identifier>,
    /// Status: current, superseded, or empty for any
    #[arg(long, default_value = "current")]
    pub(super) status: String,
    /// What kind of document: CODE or SYSTEM|CODE
    #[arg(long, value_name = "CODE")]
    pub(super) r#type: Option<String>,
    /// Class of document
    #[arg(long, value_name = "CODE")]
    pub(super) category: Option<String>,
    /// Format
    #[arg(long, value_name = "CODE")]
    pub(super) format: Option<String>,
    /// Clinical specialty
    #[arg(long, value_name = "CODE")]
    pub(super) setting: Option<String>,
    /// Kind of facility
    #[arg(long, value_name = "CODE")]
    pub(super) facility: Option<String>,
    /// Event
    #[arg(long, value_name = "CODE")]
    pub(super) event: Option<String>,
    /// Family name of an author
    #[arg(long, value_name = "NAME")]
    pub(super) author: Option<String>,
    /// Document created at or after
    #[arg(long, value_name = "DATE")]
    pub(super) since: Option<String>,
    /// Document created before
    #[arg(long, value_name = "DATE")]
    pub(super) until: Option<String>,
    /// Order, e.g. -date
    #[arg(long, value_name = "KEYS")]
    pub(super) sort: Option<String>,
    /// Any other search parameter
    #[arg(long = "where", value_name = "NAME=VALUE")]
    pub(super) wheres: Vec<String>,
    /// Results per page
    #[arg(long, value_name = "N")]
    pub(super) count: Option<u32>,
    /// All pages
    #[arg(long)]
    pub(super) all: bool,
}

const COLUMNS: &[Column] = &[
    shown("id"),
    shown("creation"),
    shown("type"),
    shown("title"),
    shown("contentType"),
    shown("size"),
    shown("status"),
    hidden("category"),
    hidden("format"),
    hidden("language"),
    hidden("author"),
    hidden("date"),
    hidden("uniqueId"),
    hidden("patient"),
    hidden("hash"),
    hidden("url"),
    hidden("replaces"),
];

pub(crate) async fn run(list: List, context: &Context) -> Result<Exit, Failure> {
    if context.via == Via::Soap {
        return soap_list::run(&list, context, COLUMNS).await;
    }
    let base = &context.settings.registry.base;
    let search =
        Search { base, resource: "DocumentReference", parameters: parameters(&list)?, all: list.all };
    search::list(context, search, COLUMNS, row).await
}

fn parameters(list: &List) -> Result<Vec<(String, String)>, Failure> {
    let mut parameters: Vec<(String, String)> = list.patient.iter().map(PatientName::parameter).collect();
    parameters.extend(list.identifier.iter().map(|identifier| ("identifier".to_owned(), identifier.token())));
    if !list.status.is_empty() {
        parameters.push(("status".into(), list.status.clone()));
    }
    let tokens = [
        ("type", &list.r#type),
        ("category", &list.category),
        ("format", &list.format),
        ("setting", &list.setting),
        ("facility", &list.facility),
        ("event", &list.event),
        ("_sort", &list.sort),
    ];
    parameters.extend(tokens.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))));
    parameters.extend(list.author.iter().map(|name| ("author.family".to_owned(), escape(name))));
    parameters.extend(date_range("creation", &list.since, &list.until));
    for pair in &list.wheres {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--where is written NAME=VALUE; this is {pair:?}")))?;
        parameters.push((name.to_owned(), value.to_owned()));
    }
    parameters.extend(list.count.map(|count| ("_count".to_owned(), count.to_string())));
    Ok(parameters)
}

fn row(document: &Value) -> Row {
    let content = &document["content"][0];
    let attachment = &content["attachment"];
    let cells = [
        ("id", document["id"].clone()),
        ("creation", attachment["creation"].clone()),
        ("type", json!(concept(document.get("type")))),
        ("title", attachment.get("title").or(document.get("description")).cloned().unwrap_or(Value::Null)),
        ("contentType", attachment["contentType"].clone()),
        ("size", attachment["size"].clone()),
        ("status", document["status"].clone()),
        ("category", json!(concept(document["category"].get(0)))),
        ("format", content["format"]["code"].clone()),
        ("language", attachment["language"].clone()),
        ("author", json!(each(&document["author"], |author| author_name(document, author)))),
        ("date", document["date"].clone()),
        ("uniqueId", document["masterIdentifier"]["value"].clone()),
        (
            "patient",
            json!(
                document["subject"]["reference"]
                    .as_str()
                    .or(document["subject"]["identifier"]["value"].as_str())
            ),
        ),
        ("hash", attachment["hash"].clone()),
        ("url", attachment["url"].clone()),
        ("replaces", json!(each(&document["relatesTo"], replaced))),
    ];
    cells.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn replaced(relation: &Value) -> Option<String> {
    (relation["code"] == "replaces")
        .then(|| relation["target"]["reference"].as_str().map(str::to_owned))
        .flatten()
}

/// The name of an author: as displayed, or of the contained resource.
fn author_name(document: &Value, author: &Value) -> Option<String> {
    if let Some(display) = author["display"].as_str() {
        return Some(display.to_owned());
    }
    let reference = author["reference"].as_str()?;
    let Some(id) = reference.strip_prefix('#') else { return Some(reference.to_owned()) };
    let contained = document["contained"].as_array()?.iter().find(|resource| resource["id"] == id)?;
    let name = &contained["name"];
    let family = name[0]["family"].as_str().or(name[0]["text"].as_str()).or(name.as_str())?;
    let given = each(&name[0]["given"], |given| given.as_str().map(str::to_owned)).join(" ");
    Some(if given.is_empty() { family.to_owned() } else { format!("{family}, {given}") })
}
