//! What a steward does to patients [ITI-104]: merge two, undo that, remove one, and see what became of one.

use std::collections::HashSet;

use clap::Args;
use reqwest::Method;
use reqwest::header::IF_MATCH;
use serde_json::{Value, json};
use url::Url;

use super::{each, name, nothing_found, resource_url};
use crate::Context;
use crate::client::{Answer, Body, Call, FHIR};
use crate::confirm;
use crate::exit::{self, Exit, Failure};
use crate::output::{Column, Row, hidden, shown};
use crate::search::{self, Search};
use crate::token::{PatientName, escape};

/// Two patients of one domain, one of them a duplicate.
#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// Who goes: SYSTEM|VALUE, URL or id
    #[arg(value_name = "GONE")]
    gone: PatientName,
    /// Who stays
    #[arg(value_name = "SURVIVOR")]
    survivor: PatientName,
}

/// Patients, each named as one likes.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Patients: SYSTEM|VALUE, URL or id
    #[arg(required = true, value_name = "PATIENT")]
    patients: Vec<PatientName>,
}

const CHANGED: &[Column] =
    &[shown("id"), shown("result"), shown("version"), shown("active"), shown("survivor"), hidden("name")];

/// A patient as it stands at the identity source.
struct Stands {
    id: String,
    /// Base of the identity source, as it names itself.
    base: String,
    patient: Value,
}

pub(super) async fn merge(merge: &Merge, context: &Context) -> Result<Exit, Failure> {
    let gone = stands(&merge.gone, context).await?;
    let survivor = stands(&merge.survivor, context).await?;
    if gone.id == survivor.id {
        return Err(Failure::usage(format!("both names are of one patient, {}", gone.id)));
    }
    let mut body = gone.patient.clone();
    let mut links = other_links(&body);
    links
        .push(json!({ "other": { "reference": format!("Patient/{}", survivor.id) }, "type": "replaced-by" }));
    body["link"] = Value::Array(links);
    body["active"] = json!(false);
    let answer = put(&gone, body, context).await?;
    print(context, &[("merged", answer)])
}

pub(super) async fn unmerge(named: &Named, context: &Context) -> Result<Exit, Failure> {
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for patient in &named.patients {
        match undo(patient, context).await {
            Ok(answer) => done.push(("unmerged", answer)),
            Err(failure) => failures.push(exit::tell(&failure)),
        }
    }
    concluded(context, &done, &failures)
}

async fn undo(patient: &PatientName, context: &Context) -> Result<Answer, Failure> {
    let merged = stands(patient, context).await?;
    if survivor(&merged.patient).is_none() {
        return Err(Failure::usage(format!("patient {} is not merged into another one", merged.id)));
    }
    let mut body = merged.patient.clone();
    let links = other_links(&body);
    if let Some(members) = body.as_object_mut() {
        members.remove("link");
        if !links.is_empty() {
            members.insert("link".to_owned(), Value::Array(links));
        }
        members.insert("active".to_owned(), json!(true));
    }
    put(&merged, body, context).await
}

pub(super) async fn remove(named: &Named, context: &Context) -> Result<Exit, Failure> {
    if !context.yes && !confirm::is_possible() {
        return Err(Failure::usage("patients who are removed do not come back; nothing was removed")
            .next("say --yes if that is meant"));
    }
    let mut listing = context.output.list(CHANGED)?;
    let (mut done, mut failures) = (0, Vec::new());
    for patient in &named.patients {
        match remove_one(patient, context).await {
            Err(failure) => failures.push(exit::tell(&failure)),
            Ok((gone, answer)) => {
                done += 1;
                if listing.wants_bytes() {
                    listing.page(&answer.body, 1)?;
                } else {
                    let mut row = Row::new();
                    row.insert("id".into(), json!(gone.id));
                    row.insert("result".into(), json!("removed"));
                    row.insert("version".into(), json!(answer.header("etag").map(version)));
                    row.insert("name".into(), json!(name(&gone.patient)));
                    listing.push(&row)?;
                }
            }
        }
    }
    if done > 0 {
        listing.finish()?;
    }
    Ok(Exit::of_many(done, &failures))
}

async fn remove_one(patient: &PatientName, context: &Context) -> Result<(Stands, Answer), Failure> {
    let gone = stands(patient, context).await?;
    let question = format!("Remove patient {} ({}) for good?", gone.id, name(&gone.patient));
    if !context.yes && !confirm::confirmed(&question)? {
        return Err(Failure::other(format!("patient {} was not removed", gone.id)));
    }
    let call = Call::new(Method::DELETE, url(&gone, context)?, "the removal of the patient").fhir();
    let answer = context.client.ask(call.header(IF_MATCH, &tag(&gone.patient))?).await?;
    Ok((gone, answer))
}

const PAST: &[Column] = &[
    shown("version"),
    shown("updated"),
    shown("change"),
    shown("active"),
    shown("survivor"),
    shown("name"),
    hidden("identifiers"),
];

pub(super) async fn history(patient: &PatientName, context: &Context) -> Result<Exit, Failure> {
    let base = &context.settings.identity.base;
    // A removed one is found by no search: who knows its id asks by that.
    let path = match patient {
        PatientName::Id(id) => resource_url(base, "Patient", id)?,
        PatientName::Url(url) => url.clone(),
        PatientName::Identifier(_) => format!("{base}/Patient/{}", stands(patient, context).await?.id),
    };
    let mut listing = context.output.list(PAST)?;
    let mut next = Some(format!("{path}/_history?_count=100"));
    let mut seen = HashSet::new();
    // What a version was is seen by the one before it, which comes after it.
    let mut newer: Option<Row> = None;
    while let Some(url) = next {
        if !seen.insert(url.clone()) {
            return Err(Failure::other(format!("the server's pages go in a circle: {url} came twice")));
        }
        let answer = context.client.ask(Call::get(url, "the history").fhir()).await.map_err(nothing_found)?;
        let page = answer.json("the history")?;
        let entries = page["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
        if listing.wants_bytes() {
            listing.page(&answer.body, entries.len())?;
        } else {
            for entry in entries {
                if let Some(mut row) = newer.replace(past(entry)) {
                    if row["change"] == "revised" && survivor(&entry["resource"]).is_some() {
                        row.insert("change".into(), json!("unmerged"));
                    }
                    listing.push(&row)?;
                }
            }
        }
        let links = page["link"].as_array().map(Vec::as_slice).unwrap_or_default();
        let link = links.iter().find(|link| link["relation"] == "next");
        let link = link.and_then(|link| link["url"].as_str());
        next = link.map(|link| search::same_origin(&path, link)).transpose()?;
    }
    if let Some(row) = newer {
        listing.push(&row)?;
    }
    listing.finish()?;
    Ok(Exit::Done)
}

/// One version of a history.
fn past(entry: &Value) -> Row {
    let patient = &entry["resource"];
    let change = match entry["request"]["method"].as_str() {
        Some("POST") => "created",
        Some("DELETE") => "removed",
        _ if survivor(patient).is_some() => "merged",
        _ => "revised",
    };
    let identifier = |one: &Value| {
        Some(format!("{}|{}", one["system"].as_str().unwrap_or_default(), one["value"].as_str()?))
    };
    let mut row = Row::new();
    row.insert("version".into(), json!(entry["response"]["etag"].as_str().map(version)));
    row.insert("updated".into(), entry["response"]["lastModified"].clone());
    row.insert("change".into(), json!(change));
    row.insert("active".into(), patient["active"].clone());
    row.insert("survivor".into(), json!(survivor(patient)));
    row.insert("name".into(), json!(name(patient)));
    row.insert("identifiers".into(), json!(each(&patient["identifier"], identifier)));
    row
}

/// The one patient a name is of.
async fn stands(patient: &PatientName, context: &Context) -> Result<Stands, Failure> {
    let base = &context.settings.identity.base;
    let (parameter, value) = match patient {
        PatientName::Identifier(identifier) => ("identifier", identifier.token()),
        PatientName::Id(id) => ("_id", escape(id)),
        PatientName::Url(url) => ("_id", escape(url.rsplit('/').next().unwrap_or(url))),
    };
    let parameters = vec![(parameter.to_owned(), value.clone())];
    let answer =
        search::first(context, &Search { base, resource: "Patient", parameters, all: false }).await?;
    let found = answer.json("the patient")?;
    let entries = found["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    let matches: Vec<&Value> =
        entries.iter().filter(|entry| entry["resource"]["resourceType"] == "Patient").collect();
    let id = |entry: &Value| entry["resource"]["id"].as_str().unwrap_or_default().to_owned();
    match matches.as_slice() {
        [] => Err(Failure::new(Exit::NothingFound, format!("no patient is known by {value}"))),
        [one] => {
            let (id, full_url) = (id(one), one["fullUrl"].as_str().unwrap_or_default());
            let own = full_url.strip_suffix(&format!("/Patient/{id}")).unwrap_or(base);
            Ok(Stands { base: own.to_owned(), patient: one["resource"].clone(), id })
        }
        several => {
            let ids = several.iter().map(|entry| id(entry)).collect::<Vec<_>>().join(", ");
            let text = format!("{value} is said of several patients: {ids}");
            Err(Failure::usage(text).next("name the one that is meant by its id"))
        }
    }
}

/// Where a patient is fed under its id here.
fn url(stands: &Stands, context: &Context) -> Result<Url, Failure> {
    let base = &context.settings.identity.base;
    let mut url =
        Url::parse(&format!("{base}/Patient")).map_err(|error| Failure::usage(format!("{base}: {error}")))?;
    let token = format!("{}|{}", escape(&stands.base), escape(&format!("Patient/{}", stands.id)));
    url.query_pairs_mut().append_pair("identifier", &token);
    Ok(url)
}

/// Feeds a patient, unless somebody else changed it since it was read.
async fn put(stands: &Stands, body: Value, context: &Context) -> Result<Answer, Failure> {
    let call = Call::new(Method::PUT, url(stands, context)?, "the patient feed").fhir();
    let call = call.header(IF_MATCH, &tag(&stands.patient))?;
    context.client.ask(call.body(Body::Bytes(body.to_string().into()), FHIR)?).await
}

fn tag(patient: &Value) -> String {
    format!("W/\"{}\"", patient["meta"]["versionId"].as_str().unwrap_or_default())
}

/// The version of an entity tag.
fn version(tag: &str) -> String {
    tag.trim_start_matches("W/").trim_matches('"').to_owned()
}

/// Links that say something else than who took the place.
fn other_links(patient: &Value) -> Vec<Value> {
    let links = patient["link"].as_array().cloned().unwrap_or_default();
    links.into_iter().filter(|link| link["type"] != "replaced-by").collect()
}

/// Who took a patient's place.
fn survivor(patient: &Value) -> Option<String> {
    let links = patient["link"].as_array()?;
    let other = &links.iter().find(|link| link["type"] == "replaced-by")?["other"];
    other["reference"].as_str().or_else(|| other["identifier"]["value"].as_str()).map(str::to_owned)
}

fn concluded(context: &Context, done: &[(&str, Answer)], failures: &[Exit]) -> Result<Exit, Failure> {
    if !done.is_empty() {
        print(context, done)?;
    }
    Ok(Exit::of_many(done.len(), failures))
}

fn print(context: &Context, done: &[(&str, Answer)]) -> Result<Exit, Failure> {
    let mut listing = context.output.list(CHANGED)?;
    for (result, answer) in done {
        if listing.wants_bytes() {
            listing.page(&answer.body, 1)?;
            continue;
        }
        let patient = answer.json("the feed")?;
        let mut row = Row::new();
        row.insert("id".into(), patient["id"].clone());
        row.insert("result".into(), json!(result));
        row.insert("version".into(), patient["meta"]["versionId"].clone());
        row.insert("active".into(), patient["active"].clone());
        row.insert("survivor".into(), json!(survivor(&patient)));
        row.insert("name".into(), json!(name(&patient)));
        listing.push(&row)?;
    }
    listing.finish()?;
    Ok(Exit::Done)
}
