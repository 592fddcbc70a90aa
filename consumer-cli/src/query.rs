//! Stored queries of XDS.b [ITI-18, ITI-51]: which there are, what they take, and asking them.

mod object;
mod write;

pub(crate) use object::{cell, classification, identifier, objects, slot, text};
use write::adhoc_query;
pub(crate) use write::{Ask, Parameter, cx, dtm};

use clap::{Args, Subcommand, ValueEnum};
use ebxml::mtom::Format as Packaging;
use serde_json::json;
use xds::query::{StoredQuery, TABLE, Takes};

use crate::arguments::Global;
use crate::client::Answer;
use crate::exit::{Exit, Failure};
use crate::output::{Column, Output, Row, hidden, shown};
use crate::{Context, soap};

/// Stored queries of XDS.b
#[derive(Debug, Subcommand)]
pub(crate) enum QueryVerb {
    /// Which stored queries there are
    List,
    /// What a stored query takes
    Describe {
        /// Name (FindDocuments) or UUID
        query: String,
    },
    /// Ask the registry a stored query
    Run(Run),
}

const VALUES: &str = "\
Parameters are written NAME=VALUE; the name with its dollar sign or without, in full or without the XDSDocumentEntry,
XDSSubmissionSet or XDSFolder it begins with. The same NAME=VALUE given again is an alternative (OR); NAME+=VALUE must hold
besides (AND). Values need no quotes. A patient or code may be written SYSTEM|VALUE, a status approved or deprecated, the type
of an entry stable or on-demand, an association RPLC, APND, XFRM, XFRM_RPLC, signs, HasMember or IsSnapshotOf, a time as DTM
(20240131) or as FHIR writes it. A value in quotes or parentheses goes as it is.

  docshare query run FindDocuments 'PatientId=urn:oid:1.2.3|4711' Status=approved CreationTimeFrom=2024";

#[derive(Debug, Args)]
#[command(after_help = VALUES)]
pub(crate) struct Run {
    /// Name (FindDocuments) or UUID
    query: String,
    /// Its parameters
    #[arg(value_name = "NAME=VALUE")]
    parameters: Vec<Parameter>,
    /// What comes back
    #[arg(long = "return", value_enum, default_value = "leafclass", value_name = "WHAT")]
    returns: Returns,
    /// The community the question is for
    #[arg(long, value_name = "urn:oid:…")]
    home: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Returns {
    /// Whole objects
    Leafclass,
    /// Their ids
    Objectref,
}

const QUERIES: &[Column] = &[shown("name"), shown("transaction"), shown("purpose"), hidden("id")];
const PARAMETERS: &[Column] =
    &[shown("parameter"), shown("required"), shown("values"), shown("form"), shown("meaning")];
const OBJECTS: &[Column] = &[
    shown("id"),
    shown("object"),
    shown("status"),
    shown("title"),
    shown("uniqueId"),
    shown("time"),
    shown("codes"),
    shown("source"),
    shown("target"),
    hidden("patientId"),
    hidden("mimeType"),
    hidden("size"),
    hidden("hash"),
    hidden("repositoryUniqueId"),
    hidden("home"),
    hidden("lid"),
    hidden("version"),
];

pub(crate) async fn run(verb: QueryVerb, global: &Global) -> Result<Exit, Failure> {
    match verb {
        QueryVerb::List => list(&Output::new(global)),
        QueryVerb::Describe { query } => describe(named(&query)?, &Output::new(global)),
        QueryVerb::Run(run) => ask(run, &crate::context(global)?).await,
    }
}

/// A query by its name or UUID.
pub(crate) fn named(text: &str) -> Result<&'static StoredQuery, Failure> {
    xds::query::by_name(text).or_else(|| xds::query::by_id(text)).ok_or_else(|| {
        let names: Vec<&str> = TABLE.iter().map(|query| query.name).collect();
        Failure::usage(format!("there is no stored query {text:?}; there are: {}", names.join(", ")))
            .next("docshare query list says what each answers")
    })
}

fn list(output: &Output) -> Result<Exit, Failure> {
    let mut listing = output.list(QUERIES)?;
    for query in TABLE {
        let cells = [
            ("name", json!(query.name)),
            ("transaction", json!(query.transaction)),
            ("purpose", json!(query.purpose)),
            ("id", json!(query.id)),
        ];
        listing.push(&cells.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())?;
    }
    listing.finish()
}

fn describe(query: &StoredQuery, output: &Output) -> Result<Exit, Failure> {
    output.remark(&format!("{} ({}, {}): {}", query.name, query.transaction, query.id, query.purpose));
    let mut listing = output.list(PARAMETERS)?;
    for parameter in query.parameters {
        let values = match parameter.takes {
            Takes::One => "one",
            Takes::Any => "any (OR)",
            Takes::AllOfAny => "any (OR), and repeated (AND)",
        };
        let required = if parameter.required { "yes" } else { "" };
        let cells = [
            ("parameter", json!(parameter.name)),
            ("required", json!(required)),
            ("values", json!(values)),
            ("form", json!(parameter.means.form())),
            ("meaning", json!(parameter.documentation)),
        ];
        listing.push(&cells.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())?;
    }
    if !query.one_of.is_empty() {
        output.remark(&format!("one of these is needed: {}", query.one_of.join(", ")));
    }
    listing.finish()
}

async fn ask(run: Run, context: &Context) -> Result<Exit, Failure> {
    let query = named(&run.query)?;
    let references = run.returns == Returns::Objectref;
    let ask = Ask { query, references, home: run.home, parameters: run.parameters };
    let (body, answer) = send(context, &ask).await?;
    let mut listing = context.output.list(OBJECTS)?;
    let found = objects(&body);
    if listing.wants_bytes() {
        listing.page(&answer.body, found.len())?;
        return listing.finish();
    }
    for object in found {
        let row: Row = object::row(object);
        listing.push(&row)?;
    }
    listing.finish()
}

/// Asks the registry; a refusal is a failure, warnings are told.
pub(crate) async fn send(context: &Context, ask: &Ask) -> Result<(ebxml::Element, Answer), Failure> {
    let multiple = ask.query.transaction == "ITI-51";
    let action = if multiple {
        "urn:ihe:iti:2009:MultiPatientStoredQuery"
    } else {
        "urn:ihe:iti:2007:RegistryStoredQuery"
    };
    let url = context.settings.xds_registry.url()?;
    let body = adhoc_query(ask)?;
    let call = soap::question(action, url, body, Packaging::Simple, "the query")?;
    let (body, answer) = soap::ask(context, call).await?;
    soap::accepted(context, &body, "the query")?;
    Ok((body, answer))
}
