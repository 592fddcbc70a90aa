//! Reviews after a merge of patients was undone: which objects stayed with the survivor, and whose they are.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::resource_url;
use crate::Context;
use crate::client::{Body, Call, FHIR};
use crate::exit::{self, Exit, Failure};
use crate::output::{Column, Row, hidden, shown};
use crate::search::{self, Search};
use crate::token::PatientName;

/// What has to be decided after a merge of patients was undone
#[derive(Debug, Subcommand)]
pub(crate) enum ReviewVerb {
    /// List what is to be decided, the newest first
    List(List),
    /// Decide that objects stay with the patient they are with
    Stays {
        /// Items, as list shows them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Decide that objects move to the other patient, with all they are tied to
    Moves {
        /// Items, as list shows them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Of objects of this patient: URL or id
    #[arg(long, value_name = "PATIENT")]
    patient: Option<PatientName>,
    /// Those that are decided, too
    #[arg(long)]
    settled: bool,
    /// Results per page
    #[arg(long, value_name = "N")]
    count: Option<u32>,
    /// All pages
    #[arg(long)]
    all: bool,
}

const COLUMNS: &[Column] = &[
    shown("id"),
    shown("status"),
    shown("object"),
    shown("patient"),
    shown("other"),
    shown("why"),
    shown("since"),
    shown("submission"),
    shown("decision"),
    hidden("opened"),
    hidden("by"),
    hidden("words"),
];

pub(crate) async fn run(verb: ReviewVerb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        ReviewVerb::List(list) => find(list, context).await,
        ReviewVerb::Stays { ids } => settle(&ids, "stays", context).await,
        ReviewVerb::Moves { ids } => settle(&ids, "moves", context).await,
    }
}

async fn find(list: List, context: &Context) -> Result<Exit, Failure> {
    let mut parameters = Vec::new();
    let mut put = |name: &str, value: String| parameters.push((name.to_owned(), value));
    match &list.patient {
        Some(PatientName::Id(id)) => put("patient", id.clone()),
        Some(PatientName::Url(url)) => put("patient", url.clone()),
        Some(PatientName::Identifier(_)) => {
            return Err(Failure::usage("reviews are found by the patient's id or URL")
                .next("find it with: docshare patient find --identifier SYSTEM|VALUE"));
        }
        None => {}
    }
    if !list.settled {
        put("status", "requested".to_owned());
    }
    list.count.iter().for_each(|count| put("_count", count.to_string()));
    let base = &context.settings.registry.base;
    search::list(context, Search { base, resource: "Task", parameters, all: list.all }, COLUMNS, row).await
}

async fn settle(ids: &[String], decision: &str, context: &Context) -> Result<Exit, Failure> {
    let mut listing = context.output.list(COLUMNS)?;
    let (mut done, mut failures) = (0, Vec::new());
    for id in ids {
        let url = resource_url(&context.settings.registry.base, "Task", id)?;
        let url = Url::parse(&format!("{url}/$settle"))
            .map_err(|error| Failure::usage(format!("{id}: {error}")))?;
        let parameters = json!({
            "resourceType": "Parameters", "parameter": [{ "name": "decision", "valueCode": decision }],
        });
        let call = Call::new(Method::POST, url, format!("the review {id}")).fhir();
        let call = call.body(Body::Bytes(parameters.to_string().into()), FHIR)?;
        match context.client.ask(call).await.map_err(super::nothing_found) {
            Err(failure) => failures.push(exit::tell(&failure)),
            Ok(answer) => {
                done += 1;
                if listing.wants_bytes() {
                    listing.page(&answer.body, 1)?;
                } else {
                    listing.push(&row(&answer.json("the review")?))?;
                }
            }
        }
    }
    if done > 0 {
        listing.finish()?;
    }
    Ok(Exit::of_many(done, &failures))
}

fn row(task: &Value) -> Row {
    let input = |code: &str| -> Value {
        let inputs = task["input"].as_array().map_or(&[][..], Vec::as_slice);
        inputs
            .iter()
            .find(|input| input["type"]["coding"][0]["code"] == code)
            .map(|input| {
                let values = ["valueString", "valueInstant"].into_iter().map(|name| &input[name]);
                let reference = &input["valueReference"]["reference"];
                values.chain([reference]).find(|value| !value.is_null()).cloned().unwrap_or_default()
            })
            .unwrap_or_default()
    };
    let mut row = Row::new();
    row.insert("id".into(), task["id"].clone());
    row.insert("status".into(), task["status"].clone());
    row.insert("object".into(), task["focus"]["reference"].clone());
    row.insert("patient".into(), task["for"]["reference"].clone());
    row.insert("other".into(), input("other-patient"));
    row.insert("why".into(), task["reasonCode"]["coding"][0]["code"].clone());
    row.insert("since".into(), input("since"));
    row.insert("submission".into(), input("submission"));
    row.insert("decision".into(), task["output"][0]["valueCode"].clone());
    row.insert("opened".into(), task["authoredOn"].clone());
    row.insert("by".into(), task["owner"]["display"].clone());
    row.insert("words".into(), task["reasonCode"]["text"].clone());
    row
}
