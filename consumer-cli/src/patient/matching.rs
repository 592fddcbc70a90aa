//! `docshare patient match`: whose records are these probably [ITI-119].

use std::path::PathBuf;

use clap::Args;
use fhir::iti119::{self, Question, Told};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::row;
use crate::Context;
use crate::client::{Body, Call, FHIR};
use crate::exit::{Exit, Failure};
use crate::output::{Column, Row, hidden, shown};
use crate::search;
use crate::token::Identifier;

#[derive(Debug, Args)]
pub(crate) struct Match {
    /// A Patient resource in JSON with what is known; - is standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Identifier
    #[arg(long, short, value_name = "SYSTEM|VALUE")]
    identifier: Vec<Identifier>,
    /// Family name
    #[arg(long)]
    family: Option<String>,
    /// Given names
    #[arg(long)]
    given: Vec<String>,
    /// Date of birth, e.g. 1970-05-17
    #[arg(long, value_name = "DATE")]
    birthdate: Option<String>,
    /// Gender
    #[arg(long, value_name = "CODE")]
    gender: Option<String>,
    /// Phone number or mail address
    #[arg(long)]
    telecom: Vec<String>,
    /// Street and number
    #[arg(long)]
    street: Option<String>,
    /// Postal code
    #[arg(long, value_name = "CODE")]
    postal_code: Option<String>,
    /// City
    #[arg(long)]
    city: Option<String>,
    /// Only a match that is certain, and nobody else near it
    #[arg(long)]
    certain: bool,
    /// Matches at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Say what each field was worth, in bits
    #[arg(long)]
    explain: bool,
}

const COLUMNS: &[Column] = &[
    shown("id"),
    shown("grade"),
    shown("score"),
    shown("name"),
    shown("gender"),
    shown("birthDate"),
    shown("identifiers"),
    hidden("explanation"),
    hidden("address"),
    hidden("telecom"),
];

/// The same with the explanation in sight.
const EXPLAINED: &[Column] = &[
    shown("id"),
    shown("grade"),
    shown("score"),
    shown("name"),
    shown("birthDate"),
    shown("explanation"),
    hidden("gender"),
    hidden("identifiers"),
    hidden("address"),
    hidden("telecom"),
];

pub(super) async fn run(asked: Match, context: &Context) -> Result<Exit, Failure> {
    let mut listing = context.output.list(if asked.explain { EXPLAINED } else { COLUMNS })?;
    let patient = patient(&asked).await?;
    let count = asked.count.and_then(|count| usize::try_from(count).ok());
    let question = iti119::write_request(&Question { patient, only_certain: asked.certain, count });
    let url = format!("{}/Patient/$match", context.settings.identity.base);
    let call = Call::new(Method::POST, url, "the match")
        .fhir()
        .body(Body::Bytes(question.to_string().into()), FHIR)?;
    let answer = context.client.ask(call).await?;
    let bundle = search::bundle(&answer)?;
    let matches = iti119::read_response(&bundle);
    if listing.wants_bytes() {
        listing.page(&answer.body, matches.len())?;
    } else {
        for told in &matches {
            listing.push(&told_row(told))?;
        }
    }
    for warning in search::warnings(&bundle) {
        context.output.remark(&format!("warning: {warning}"));
    }
    listing.finish()
}

/// What is known of the person: the file, and what the flags say beside it.
async fn patient(asked: &Match) -> Result<Map<String, Value>, Failure> {
    let mut patient = match &asked.file {
        Some(file) => read(file).await?,
        None => Map::from_iter([("resourceType".to_owned(), json!("Patient"))]),
    };
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            patient.insert(name.to_owned(), value);
        }
    };
    let some = |list: Vec<Value>| (!list.is_empty()).then_some(Value::Array(list));
    let identifiers = asked.identifier.iter().map(|one| json!({ "system": one.system, "value": one.value }));
    put("identifier", some(identifiers.collect()));
    let part = |name: &str, text: &Option<String>| text.as_ref().map(|text| (name.to_owned(), json!(text)));
    let mut name = Map::from_iter(part("family", &asked.family));
    name.extend(
        some(asked.given.iter().map(|given| json!(given)).collect()).map(|given| ("given".to_owned(), given)),
    );
    put("name", (!name.is_empty()).then(|| json!([name])));
    put("birthDate", asked.birthdate.as_ref().map(|date| json!(date)));
    put("gender", asked.gender.as_ref().map(|code| json!(code)));
    let telecom = asked.telecom.iter().map(
        |value| json!({ "system": if value.contains('@') { "email" } else { "phone" }, "value": value }),
    );
    put("telecom", some(telecom.collect()));
    let mut address = Map::from_iter(part("city", &asked.city));
    address.extend(part("postalCode", &asked.postal_code));
    address.extend(asked.street.as_ref().map(|line| ("line".to_owned(), json!([line]))));
    put("address", (!address.is_empty()).then(|| json!([address])));
    if patient.len() < 2 {
        return Err(Failure::usage("nothing is said of the person").next(
            "name a file with a Patient, or say --family, --given, --birthdate, --identifier and so on",
        ));
    }
    Ok(patient)
}

async fn read(file: &std::path::Path) -> Result<Map<String, Value>, Failure> {
    let bytes = crate::raw::read(file).await?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(patient)) if patient.get("resourceType") == Some(&json!("Patient")) => Ok(patient),
        Ok(_) => Err(Failure::usage(format!("{} is not a Patient resource", file.display()))),
        Err(error) => Err(Failure::usage(format!("{} is not JSON: {error}", file.display()))),
    }
}

fn told_row(told: &Told) -> Row {
    let mut row = row(&told.patient);
    row.insert("grade".into(), json!(told.grade));
    row.insert("score".into(), json!(told.score));
    let mut explanation: Vec<String> =
        told.fields.iter().map(|(_, says, bits)| format!("{says} {bits:+}")).collect();
    explanation.extend(told.held.iter().map(|why| format!("not certain: {why}")));
    row.insert("explanation".into(), json!(explanation));
    row
}
