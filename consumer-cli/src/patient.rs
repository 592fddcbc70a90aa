//! Patients: find [ITI-78], match [ITI-119], get, feed, merge and remove [ITI-104], link.

mod change;
mod links;
mod matching;
mod review;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::Context;
use crate::client::{Body, Call, FHIR};
use crate::exit::{self, Exit, Failure};
use crate::output::{Column, Row, hidden, shown};
use crate::search::{self, Search};
use crate::token::{Identifier, PatientName, escape, is_id};

/// Who is who
#[derive(Debug, Subcommand)]
pub(crate) enum PatientVerb {
    /// Find patients by identifier or demographics
    Find(Find),
    /// Find the records of a person from what is known, each with how probable it is and why
    Match(Box<matching::Match>),
    /// Get patients by id
    Get {
        /// Ids or URLs of patients
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Tell the identity source about patients: added if new, revised if known
    Feed(Feed),
    /// Show which records of other sources are the same person, and who says so
    Links(links::Links),
    /// Say that two records of different domains are the same person
    Link(links::Decision),
    /// Say that two records are not the same person, whatever feeds and matches say
    Unlink(links::Decision),
    /// List pairs of records that are probably the same person, for somebody to decide
    Duplicates(links::Duplicates),
    /// Merge a duplicate into the patient it is one of; documents follow
    Merge(change::Merge),
    /// Undo merges: patients that were merged away stand for themselves again
    Unmerge(change::Named),
    /// Remove patients, where their domain allows it
    Remove(change::Named),
    /// Show every version of a patient
    History {
        /// Patient: SYSTEM|VALUE, URL or id
        #[arg(value_name = "PATIENT")]
        patient: PatientName,
    },
    /// Decide what becomes of objects that stayed with the survivor when a merge was undone
    #[command(subcommand)]
    Review(review::ReviewVerb),
}

#[derive(Debug, Args)]
pub(crate) struct Find {
    /// Name: any part, from its beginning
    name: Option<String>,
    /// Identifier
    #[arg(long, short, value_name = "SYSTEM|VALUE")]
    identifier: Vec<Identifier>,
    /// Family name
    #[arg(long)]
    family: Option<String>,
    /// Given name
    #[arg(long)]
    given: Option<String>,
    /// Birth date, e.g. 1970-05-17, ge1970
    #[arg(long, value_name = "DATE")]
    birthdate: Option<String>,
    /// Gender
    #[arg(long, value_name = "CODE")]
    gender: Option<String>,
    /// Any part of an address
    #[arg(long)]
    address: Option<String>,
    /// Phone number or mail address
    #[arg(long)]
    telecom: Option<String>,
    /// Only active, or only inactive ones
    #[arg(long, value_name = "true|false")]
    active: Option<bool>,
    /// Results per page
    #[arg(long, value_name = "N")]
    count: Option<u32>,
    /// All pages
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Feed {
    /// Patient resources in JSON; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The identifier the patient is known by [default: the first one in the resource]
    #[arg(long, short, value_name = "SYSTEM|VALUE")]
    identifier: Option<Identifier>,
}

const COLUMNS: &[Column] = &[
    shown("id"),
    shown("name"),
    shown("gender"),
    shown("birthDate"),
    shown("identifiers"),
    shown("active"),
    hidden("address"),
    hidden("telecom"),
    hidden("version"),
    hidden("updated"),
];

pub(crate) async fn run(verb: PatientVerb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        PatientVerb::Find(find) => find_patients(find, context).await,
        PatientVerb::Match(asked) => matching::run(*asked, context).await,
        PatientVerb::Get { ids } => get(&ids, context).await,
        PatientVerb::Feed(feed) => feed_patients(feed, context).await,
        PatientVerb::Links(links) => links::links(links, context).await,
        PatientVerb::Link(decision) => links::decide(decision, "link", context).await,
        PatientVerb::Unlink(decision) => links::decide(decision, "unlink", context).await,
        PatientVerb::Duplicates(duplicates) => links::duplicates(duplicates, context).await,
        PatientVerb::Merge(merge) => change::merge(&merge, context).await,
        PatientVerb::Unmerge(named) => change::unmerge(&named, context).await,
        PatientVerb::Remove(named) => change::remove(&named, context).await,
        PatientVerb::History { patient } => change::history(&patient, context).await,
        PatientVerb::Review(verb) => review::run(verb, context).await,
    }
}

async fn find_patients(find: Find, context: &Context) -> Result<Exit, Failure> {
    let mut parameters = Vec::new();
    let texts = [
        ("name", &find.name),
        ("family", &find.family),
        ("given", &find.given),
        ("birthdate", &find.birthdate),
        ("gender", &find.gender),
        ("address", &find.address),
        ("telecom", &find.telecom),
    ];
    for (name, value) in texts {
        parameters.extend(value.as_deref().map(|value| (name.to_owned(), escape(value))));
    }
    parameters.extend(find.identifier.iter().map(|identifier| ("identifier".to_owned(), identifier.token())));
    parameters.extend(find.active.map(|active| ("active".to_owned(), active.to_string())));
    parameters.extend(find.count.map(|count| ("_count".to_owned(), count.to_string())));
    let base = &context.settings.identity.base;
    search::list(context, Search { base, resource: "Patient", parameters, all: find.all }, COLUMNS, row).await
}

async fn get(ids: &[String], context: &Context) -> Result<Exit, Failure> {
    let mut listing = context.output.list(COLUMNS)?;
    let (mut done, mut failures) = (0, Vec::new());
    for id in ids {
        let call =
            Call::get(resource_url(&context.settings.identity.base, "Patient", id)?, format!("patient {id}"));
        match context.client.ask(call.fhir()).await.map_err(nothing_found) {
            Err(failure) => failures.push(exit::tell(&failure)),
            Ok(answer) => {
                done += 1;
                if listing.wants_bytes() {
                    listing.page(&answer.body, 1)?;
                } else {
                    listing.push(&row(&answer.json("the patient")?))?;
                }
            }
        }
    }
    if done > 0 {
        listing.finish()?;
    }
    Ok(Exit::of_many(done, &failures))
}

/// The URL of a resource named by id, `Type/id` or URL.
pub(crate) fn resource_url(base: &str, kind: &str, name: &str) -> Result<String, Failure> {
    if name.starts_with("http://") || name.starts_with("https://") {
        return Ok(name.to_owned());
    }
    let id = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
    if is_id(id) {
        Ok(format!("{base}/{kind}/{id}"))
    } else {
        let failure = Failure::usage(format!("{name:?} is no id"));
        Err(failure
            .next(format!("the verbs find and list take an identifier and show the id of each {kind}")))
    }
}

/// Of a thing asked for by its id, "not there" has an exit code of its own.
pub(crate) fn nothing_found(mut failure: Failure) -> Failure {
    if matches!(failure.status, Some(404 | 410)) {
        failure.exit = Exit::NothingFound;
    }
    failure
}

fn row(patient: &Value) -> Row {
    let mut row = Row::new();
    row.insert("id".into(), patient["id"].clone());
    row.insert("name".into(), json!(name(patient)));
    row.insert("gender".into(), patient["gender"].clone());
    row.insert("birthDate".into(), patient["birthDate"].clone());
    row.insert(
        "identifiers".into(),
        json!(each(&patient["identifier"], |identifier| {
            Some(format!("{}|{}", identifier["system"].as_str().unwrap_or(""), identifier["value"].as_str()?))
        })),
    );
    row.insert("active".into(), patient["active"].clone());
    row.insert("address".into(), json!(each(&patient["address"], address)));
    row.insert(
        "telecom".into(),
        json!(each(&patient["telecom"], |telecom| telecom["value"].as_str().map(str::to_owned))),
    );
    row.insert("version".into(), patient["meta"]["versionId"].clone());
    row.insert("updated".into(), patient["meta"]["lastUpdated"].clone());
    row
}

fn name(patient: &Value) -> String {
    let Some(name) = patient["name"].as_array().and_then(|names| names.first()) else { return String::new() };
    if let Some(text) = name["text"].as_str() {
        return text.to_owned();
    }
    let given = each(&name["given"], |given| given.as_str().map(str::to_owned)).join(" ");
    [name["family"].as_str().unwrap_or(""), &given]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

fn address(address: &Value) -> Option<String> {
    if let Some(text) = address["text"].as_str() {
        return Some(text.to_owned());
    }
    let mut parts = each(&address["line"], |line| line.as_str().map(str::to_owned));
    parts.extend(
        ["postalCode", "city", "state", "country"]
            .iter()
            .filter_map(|part| address[part].as_str().map(str::to_owned)),
    );
    Some(parts.join(" "))
}

/// What is made of each element of an array.
pub(crate) fn each(values: &Value, make: impl Fn(&Value) -> Option<String>) -> Vec<String> {
    values.as_array().map(|values| values.iter().filter_map(make).collect()).unwrap_or_default()
}

const FED: &[Column] = &[shown("id"), shown("result"), shown("identifier"), shown("location"), shown("file")];

async fn feed_patients(feed: Feed, context: &Context) -> Result<Exit, Failure> {
    if feed.identifier.is_some() && feed.files.len() > 1 {
        return Err(Failure::usage("--identifier names one patient, but there are several files"));
    }
    let mut listing = context.output.list(FED)?;
    let (mut done, mut failures) = (0, Vec::new());
    for file in &feed.files {
        match feed_one(file, feed.identifier.clone(), context).await {
            Err(failure) => failures.push(exit::tell(&failure.note("file", file.display().to_string()))),
            Ok((row, body)) => {
                done += 1;
                if listing.wants_bytes() { listing.page(&body, 1)? } else { listing.push(&row)? }
            }
        }
    }
    if done > 0 {
        listing.finish()?;
    }
    Ok(Exit::of_many(done, &failures))
}

async fn feed_one(
    file: &std::path::Path,
    identifier: Option<Identifier>,
    context: &Context,
) -> Result<(Row, bytes::Bytes), Failure> {
    let bytes = crate::raw::read(file).await?;
    let patient: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::usage(format!("{} is not JSON: {error}", file.display())))?;
    if patient["resourceType"] != "Patient" {
        return Err(Failure::usage(format!("{} is not a Patient resource", file.display())));
    }
    let identifier = match identifier {
        Some(identifier) => identifier,
        None => first_identifier(&patient).ok_or_else(|| {
            Failure::usage(format!("{} has no identifier with system and value", file.display()))
                .next("add one, or name it with --identifier")
        })?,
    };
    let base = &context.settings.identity.base;
    let mut url =
        Url::parse(&format!("{base}/Patient")).map_err(|error| Failure::usage(format!("{base}: {error}")))?;
    url.query_pairs_mut().append_pair("identifier", &identifier.token());
    let call =
        Call::new(Method::PUT, url, "the patient feed").fhir().body(Body::Bytes(bytes.into()), FHIR)?;
    let answer = context.client.ask(call).await?;
    let location = answer.header("location").or(answer.header("content-location")).map(str::to_owned);
    let id = answer.json("the feed").ok().and_then(|patient| patient["id"].as_str().map(str::to_owned));
    let id = id.or_else(|| location.as_deref().and_then(|location| crate::doc::id_in(location, "Patient")));
    let mut row = Row::new();
    row.insert("id".into(), json!(id));
    row.insert("result".into(), json!(if answer.status == 201 { "added" } else { "revised" }));
    row.insert("identifier".into(), json!(format!("{}|{}", identifier.system, identifier.value)));
    row.insert("location".into(), json!(location));
    row.insert("file".into(), json!(file.display().to_string()));
    Ok((row, answer.body))
}

fn first_identifier(patient: &Value) -> Option<Identifier> {
    patient["identifier"].as_array()?.iter().find_map(|identifier| {
        let text = |name: &str| identifier[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Some(Identifier { system: text("system")?, value: text("value")? })
    })
}
