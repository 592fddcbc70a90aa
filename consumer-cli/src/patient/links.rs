//! Who is the same person: links between the records of different sources, and pairs that may deserve one.

use std::collections::HashSet;

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};
use url::Url;

use super::{nothing_found, resource_url};
use crate::Context;
use crate::client::{Answer, Body, Call, FHIR};
use crate::exit::{Exit, Failure};
use crate::output::{Column, Listing, Row, hidden, shown};
use crate::search::{self, Search};
use crate::token::PatientName;

/// Pages fetched by `--all` at most.
const PAGES: usize = 10_000;

#[derive(Debug, Args)]
pub(crate) struct Links {
    /// The patient: id, URL or SYSTEM|VALUE
    #[arg(value_name = "PATIENT")]
    patient: PatientName,
    /// Every decision that was ever made, not only what stands
    #[arg(long)]
    history: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Decision {
    /// The patient: id, URL or SYSTEM|VALUE
    #[arg(value_name = "PATIENT")]
    patient: PatientName,
    /// The other one: id, URL or SYSTEM|VALUE
    #[arg(value_name = "OTHER")]
    other: PatientName,
    /// Why, for those who come after
    #[arg(long)]
    reason: Option<String>,
    /// Take back what was said before: feeds and matches decide again
    #[arg(long)]
    withdraw: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Duplicates {
    /// Only those with this patient: id, URL or SYSTEM|VALUE
    #[arg(value_name = "PATIENT")]
    patient: Option<PatientName>,
    /// Pairs per page
    #[arg(long, value_name = "N")]
    count: Option<u32>,
    /// All pages
    #[arg(long)]
    all: bool,
}

const LINKS: &[Column] = &[
    shown("id"),
    shown("state"),
    shown("by"),
    shown("identifiers"),
    shown("score"),
    hidden("grade"),
    hidden("explanation"),
    shown("verdict"),
    shown("who"),
    shown("when"),
    shown("reason"),
    hidden("patient"),
];

const DUPLICATES: &[Column] = &[
    shown("id"),
    shown("other"),
    shown("score"),
    shown("grade"),
    shown("within"),
    shown("who"),
    shown("otherWho"),
    hidden("explanation"),
    hidden("patient"),
    hidden("otherPatient"),
];

/// What holds a patient's records together.
pub(super) async fn links(links: Links, context: &Context) -> Result<Exit, Failure> {
    let url = format!("{}/$links", patient_url(&links.patient, context).await?);
    let answer = context.client.ask(Call::get(url, "the links of the patient").fhir()).await;
    let answer = answer.map_err(nothing_found)?;
    let mut listing = context.output.list(LINKS)?;
    if listing.wants_bytes() {
        listing.page(&answer.body, 1)?;
        return listing.finish();
    }
    let told = answer.json("the links of the patient")?;
    for link in named(&told["parameter"], "link") {
        let decisions: Vec<&Value> = named(&link["part"], "decision").collect();
        let kept = if links.history { decisions.len() } else { decisions.len().min(1) };
        for decision in &decisions[..kept] {
            listing.push(&link_row(link, decision))?;
        }
    }
    listing.finish()
}

/// Says of two records that they are one person's, or not.
pub(super) async fn decide(
    decision: Decision,
    verb: &'static str,
    context: &Context,
) -> Result<Exit, Failure> {
    let url = format!("{}/${verb}", patient_url(&decision.patient, context).await?);
    let other = match &decision.other {
        PatientName::Identifier(identifier) => {
            json!({ "identifier": { "system": identifier.system, "value": identifier.value } })
        }
        PatientName::Url(url) => json!({ "reference": url }),
        PatientName::Id(id) => json!({ "reference": format!("Patient/{id}") }),
    };
    let mut parameters = vec![json!({ "name": "other", "valueReference": other })];
    parameters.extend(decision.reason.iter().map(|why| json!({ "name": "reason", "valueString": why })));
    if decision.withdraw {
        parameters.push(json!({ "name": "withdraw", "valueBoolean": true }));
    }
    let body = json!({ "resourceType": "Parameters", "parameter": parameters });
    let call = Call::new(Method::POST, url, "the decision about two patients").fhir();
    let call = call.body(Body::Bytes(body.to_string().into()), FHIR)?;
    let answer = context.client.ask(call).await.map_err(nothing_found)?;
    let told = answer.json("the decision about two patients")?;
    for warning in named(&told["parameter"], "warning") {
        context.output.remark(&format!("warning: {}", warning["valueString"].as_str().unwrap_or_default()));
    }
    let mut listing = context.output.list(LINKS)?;
    if listing.wants_bytes() {
        listing.page(&answer.body, 1)?;
        return listing.finish();
    }
    for link in named(&told["parameter"], "link") {
        let none = Value::Null;
        let decision = named(&link["part"], "decision").next().unwrap_or(&none);
        listing.push(&link_row(link, decision))?;
    }
    listing.finish()
}

/// Pairs that may be one person, for somebody to decide.
pub(super) async fn duplicates(duplicates: Duplicates, context: &Context) -> Result<Exit, Failure> {
    let base = &context.settings.identity.base;
    let mut url = Url::parse(&format!("{base}/Patient/$duplicates"))
        .map_err(|error| Failure::usage(format!("{base}: {error}")))?;
    if let Some(patient) = &duplicates.patient {
        url.query_pairs_mut().append_pair("patient", &patient_url(patient, context).await?);
    }
    if let Some(count) = duplicates.count {
        url.query_pairs_mut().append_pair("_count", &count.to_string());
    }
    let mut listing = context.output.list(DUPLICATES)?;
    let mut seen = HashSet::new();
    let mut answer = ask(context, url.into()).await?;
    loop {
        let told = answer.json("the probable duplicates")?;
        let pairs: Vec<&Value> = named(&told["parameter"], "pair").collect();
        push_pairs(&mut listing, &answer, &pairs)?;
        let next = named(&told["parameter"], "next").next();
        let Some(next) = next.and_then(|next| next["valueUri"].as_str()) else { break };
        if !duplicates.all {
            context.output.remark("there are more; --all fetches every page, --count sets their size");
            break;
        }
        let next = search::same_origin(base, next)?;
        if !seen.insert(next.clone()) || seen.len() >= PAGES {
            return Err(Failure::other("the server's pages do not come to an end".to_owned()));
        }
        answer = ask(context, next).await?;
    }
    listing.finish()
}

async fn ask(context: &Context, url: String) -> Result<Answer, Failure> {
    context.client.ask(Call::get(url, "the probable duplicates").fhir()).await.map_err(nothing_found)
}

fn push_pairs(listing: &mut Listing<'_>, answer: &Answer, pairs: &[&Value]) -> Result<(), Failure> {
    if listing.wants_bytes() {
        return listing.page(&answer.body, pairs.len());
    }
    for pair in pairs {
        listing.push(&duplicate_row(pair))?;
    }
    Ok(())
}

/// The URL of a patient, who is looked for where only an identifier is given.
async fn patient_url(patient: &PatientName, context: &Context) -> Result<String, Failure> {
    let base = &context.settings.identity.base;
    let identifier = match patient {
        PatientName::Url(url) => return Ok(url.clone()),
        PatientName::Id(id) => return resource_url(base, "Patient", id),
        PatientName::Identifier(identifier) => identifier,
    };
    let parameters = vec![("identifier".to_owned(), identifier.token())];
    let search = Search { base, resource: "Patient", parameters, all: false };
    let found = search::matches(&search::bundle(&search::first(context, &search).await?)?);
    match found.first().and_then(|patient| patient["id"].as_str()) {
        Some(id) => resource_url(base, "Patient", id),
        None => Err(Failure::new(Exit::NothingFound, "no patient has this identifier")
            .next("find patients with: docshare patient find NAME")),
    }
}

/// The parameters, or parts, of this name.
fn named<'v>(list: &'v Value, name: &'static str) -> impl Iterator<Item = &'v Value> {
    list.as_array().into_iter().flatten().filter(move |one| one["name"] == name)
}

/// The value of the first part of this name.
fn value(of: &Value, name: &'static str) -> Value {
    let part = named(&of["part"], name).next().and_then(Value::as_object);
    let value = |part: &Map<String, Value>| {
        part.iter().find(|(name, _)| name.starts_with("value")).map(|(_, value)| value.clone())
    };
    part.and_then(value).unwrap_or_default()
}

fn explanation(of: &Value) -> String {
    let lines = named(&of["part"], "explanation").filter_map(|line| line["valueString"].as_str());
    lines.collect::<Vec<_>>().join("; ")
}

fn id_of(url: &Value) -> Value {
    let url = url["reference"].as_str().unwrap_or_default();
    json!(url.rsplit_once('/').map_or(url, |(_, id)| id))
}

fn link_row(link: &Value, decision: &Value) -> Row {
    let patient = value(link, "patient");
    let token = |identifier: &Value| {
        let text = |name: &str| identifier["valueIdentifier"][name].as_str().unwrap_or_default().to_owned();
        format!("{}|{}", text("system"), text("value"))
    };
    let identifiers: Vec<String> = named(&link["part"], "identifier").map(token).collect();
    let mut row = Row::new();
    row.insert("id".into(), id_of(&patient));
    row.insert("identifiers".into(), json!(identifiers));
    row.insert("explanation".into(), json!(explanation(link)));
    row.insert("patient".into(), patient["reference"].clone());
    for name in ["state", "score", "grade"] {
        row.insert(name.into(), value(link, name));
    }
    for name in ["by", "verdict", "who", "when", "reason"] {
        row.insert(name.into(), value(decision, name));
    }
    row
}

fn duplicate_row(pair: &Value) -> Row {
    let patients: Vec<&Value> = named(&pair["part"], "patient").map(|part| &part["valueReference"]).collect();
    let patient = |index: usize| patients.get(index).map_or(&Value::Null, |patient| *patient);
    let (one, other) = (patient(0), patient(1));
    let within = if value(pair, "sameDomain") == true { "one domain: merge" } else { "two domains: link" };
    let mut row = Row::new();
    row.insert("id".into(), id_of(one));
    row.insert("other".into(), id_of(other));
    row.insert("score".into(), value(pair, "score"));
    row.insert("grade".into(), value(pair, "grade"));
    row.insert("within".into(), json!(within));
    row.insert("who".into(), one["display"].clone());
    row.insert("otherWho".into(), other["display"].clone());
    row.insert("explanation".into(), json!(explanation(pair)));
    row.insert("patient".into(), one["reference"].clone());
    row.insert("otherPatient".into(), other["reference"].clone());
    row
}
