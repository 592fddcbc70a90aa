//! The codes of an affinity domain: shown, checked against, converted, compared. A domain is one or more files, or what the
//! registry serves.

use std::path::{Path, PathBuf};

use ::affinity::{self as domains, Loaded};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use xds::affinity::{Coded, Difference, Enforce, Enforcement, compare};
use xds::{Code, Place};

use crate::Context;
use crate::client::Call;
use crate::exit::{Exit, Failure};
use crate::output::{self, Column, Row, hidden, shown};
use crate::{outcome, raw};

/// The word that means the domain of the registry.
const SERVER: &str = "server";

/// The codes a document sharing domain has agreed on
#[derive(Debug, Subcommand)]
pub(crate) enum AffinityVerb {
    /// What is accepted: the sets, or the codes of one attribute
    Show(Show),
    /// Judge a Bundle, DocumentReference or List by a domain; exit status 4 if a code is not accepted
    Check(Check),
    /// Write a domain as codes.xml or as a Bundle of FHIR ValueSets, on standard output
    Convert(Convert),
    /// What differs between two domains; exit status 4 if anything does
    Diff(Diff),
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// A codes.xml, FHIR terminology, a folder of them, or "server" for what the registry accepts
    #[arg(default_value = SERVER)]
    domain: Vec<PathBuf>,
    /// The codes of this attribute, e.g. formatCode, DocumentEntry.formatCode
    #[arg(long, short, value_name = "NAME", value_parser = attribute)]
    attribute: Option<Coded>,
    /// Which ValueSet is that of which attribute, where its name does not say it
    #[arg(long, value_name = "ATTRIBUTE=URL")]
    bind: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// FHIR JSON or XML; - is standard input
    file: PathBuf,
    /// The domain: files, folders, or "server"
    #[arg(long, short, default_value = SERVER, value_name = "DOMAIN")]
    domain: Vec<PathBuf>,
    /// Which ValueSet is that of which attribute, where its name does not say it
    #[arg(long, value_name = "ATTRIBUTE=URL")]
    bind: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// The domain: files, folders, or "server"
    #[arg(required = true)]
    domain: Vec<PathBuf>,
    /// What to write [default: the other one]
    #[arg(long, value_enum)]
    to: Option<Form>,
    /// Where the ValueSets of a codes.xml get their canonical URL from
    #[arg(long, value_name = "URL", default_value = "https://affinity-domain.example/fhir")]
    base: String,
    /// Which ValueSet is that of which attribute, where its name does not say it
    #[arg(long, value_name = "ATTRIBUTE=URL")]
    bind: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// A file, a folder, or "server"
    before: PathBuf,
    /// A file, a folder, or "server"
    #[arg(default_value = SERVER)]
    after: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A codes.xml.
    CodesXml,
    /// A Bundle of ValueSets and NamingSystems.
    Fhir,
}

fn attribute(text: &str) -> Result<Coded, String> {
    let names = || Coded::ALL.iter().map(|attribute| attribute.name()).collect::<Vec<_>>().join(", ");
    Coded::named(text).ok_or_else(|| format!("attributes are {}", names()))
}

pub(crate) async fn run(verb: AffinityVerb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        AffinityVerb::Show(show) => {
            let loaded = domain(&show.domain, &show.bind, context).await?;
            match show.attribute {
                Some(attribute) => codes(&loaded, attribute, context),
                None => sets(&loaded, context),
            }
        }
        AffinityVerb::Check(check) => judge(check, context).await,
        AffinityVerb::Convert(convert) => {
            let loaded = domain(&convert.domain, &convert.bind, context).await?;
            let is_xml = |path: &PathBuf| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("xml"));
            let other = if convert.domain.iter().any(is_xml) { Form::Fhir } else { Form::CodesXml };
            match convert.to.unwrap_or(other) {
                Form::CodesXml => output::text(&domains::write_codes_xml(&loaded.domain)),
                Form::Fhir => output::text(&format!("{:#}\n", domains::write_bundle(&loaded, &convert.base))),
            }
        }
        AffinityVerb::Diff(diff) => {
            let before = domain(std::slice::from_ref(&diff.before), &[], context).await?;
            let after = domain(std::slice::from_ref(&diff.after), &[], context).await?;
            differences(&compare(&before.domain, &after.domain), context)
        }
    }
}

/// The domain of these files, or the registry's.
async fn domain(sources: &[PathBuf], bindings: &[String], context: &Context) -> Result<Loaded, Failure> {
    let loaded = if sources == [Path::new(SERVER)] {
        domains::read(&served(context).await?, bindings)
    } else {
        domains::load(sources, bindings)
    };
    let loaded = loaded.map_err(|faults| {
        let (first, rest) =
            faults.split_first().map_or(("nothing was read", &[][..]), |(f, r)| (f.as_str(), r));
        let failure = Failure::other(first.to_owned());
        rest.iter().fold(failure, |failure, fault| failure.note("also", fault.clone()))
    })?;
    for remark in &loaded.remarks {
        context.output.remark(&format!("remark: {remark}"));
    }
    Ok(loaded)
}

/// What the registry serves of its domain.
async fn served(context: &Context) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut contents = Vec::new();
    for kind in ["ValueSet", "CodeSystem", "ConceptMap", "NamingSystem"] {
        let url = format!("{}/{kind}", context.settings.registry.base);
        let answer = context.client.send(Call::get(&url, "the affinity domain").fhir()).await?;
        if answer.status >= 400 {
            let (headers, body, id) = (&answer.headers, &answer.body, &answer.request_id);
            return Err(outcome::failure(answer.status, headers, body, id, "the affinity domain"));
        }
        contents.push((url, answer.body.to_vec()));
    }
    Ok(contents)
}

const SETS: &[Column] =
    &[shown("attribute"), shown("codes"), shown("title"), hidden("url"), hidden("element"), hidden("key")];

fn sets(loaded: &Loaded, context: &Context) -> Result<Exit, Failure> {
    let mut listing = context.output.list(SETS)?;
    for (attribute, set) in loaded.domain.sets() {
        let mut row = Row::new();
        row.insert("attribute".into(), json!(attribute.attribute()));
        row.insert("codes".into(), json!(set.codes.len()));
        row.insert("title".into(), json!(set.title));
        row.insert("url".into(), json!(set.url));
        row.insert("element".into(), json!(attribute.element()));
        row.insert("key".into(), json!(attribute.key()));
        listing.push(&row)?;
    }
    listing.finish()
}

const CODES: &[Column] = &[shown("code"), shown("display"), shown("system")];

fn codes(loaded: &Loaded, attribute: Coded, context: &Context) -> Result<Exit, Failure> {
    let mut listing = context.output.list(CODES)?;
    for code in loaded.domain.set(attribute).into_iter().flat_map(|set| &set.codes) {
        let mut row = Row::new();
        row.insert("code".into(), json!(code.code));
        row.insert("display".into(), json!(code.display));
        row.insert("system".into(), json!(code.system));
        listing.push(&row)?;
    }
    listing.finish()
}

const FOUND: &[Column] =
    &[shown("place"), shown("text"), hidden("attribute"), hidden("value"), hidden("nearest")];

/// Everything a domain would object to, whatever the server enforces.
async fn judge(check: Check, context: &Context) -> Result<Exit, Failure> {
    let bytes = raw::read(&check.file).await?;
    let resource = resource(&bytes)?;
    let loaded = domain(&check.domain, &check.bind, context).await?;
    let given = match resource["resourceType"].as_str() {
        Some("Bundle") => fhir::coded::of_bundle(&resource),
        Some(kind) => fhir::coded::of_resource(&resource, &Place::at(kind)),
        None => return Err(Failure::usage("the file holds no FHIR resource: it has no resourceType")),
    };
    let findings = loaded.domain.check(&given, &Enforcement::all(Enforce::Reject));
    let mut listing = context.output.list(FOUND)?;
    for finding in &findings {
        let detail = finding.detail.as_deref();
        let mut row = Row::new();
        row.insert("place".into(), json!(finding.at.path));
        row.insert("text".into(), json!(finding.text));
        row.insert("attribute".into(), json!(finding.at.attribute));
        row.insert("value".into(), json!(detail.map(|detail| &detail.value)));
        row.insert("nearest".into(), json!(detail.and_then(|detail| detail.nearest.as_ref())));
        listing.push(&row)?;
    }
    listing.finish()?;
    context.output.remark(&format!("{} coded values, {} not accepted", given.len(), findings.len()));
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Rejected })
}

fn resource(bytes: &[u8]) -> Result<Value, Failure> {
    let limits = fhir::json::Limits { string: 64 << 20, ..fhir::json::Limits::default() };
    let is_xml = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<');
    let read = if is_xml { fhir::xml::parse(bytes, &limits) } else { fhir::json::parse(bytes, &limits) };
    read.map_err(|findings| {
        let texts: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
        Failure::usage(texts.join(" "))
    })
}

const DIFFERENCES: &[Column] =
    &[shown("attribute"), shown("change"), shown("code"), shown("display"), shown("system")];

fn differences(differences: &[Difference], context: &Context) -> Result<Exit, Failure> {
    let mut listing = context.output.list(DIFFERENCES)?;
    for difference in differences {
        let mut push = |change: &str, code: Option<&Code>| {
            let mut row = Row::new();
            row.insert("attribute".into(), json!(difference.attribute.attribute()));
            row.insert("change".into(), json!(change));
            row.insert("code".into(), json!(code.map(|code| &code.code)));
            row.insert("display".into(), json!(code.and_then(|code| code.display.as_ref())));
            row.insert("system".into(), json!(code.map(|code| &code.system)));
            listing.push(&row)
        };
        match difference.restricted {
            (true, false) => push("no longer restricted", None)?,
            (false, true) => push("restricted", None)?,
            (true, true) | (false, false) => {}
        }
        difference.added.iter().try_for_each(|code| push("added", Some(code)))?;
        difference.removed.iter().try_for_each(|code| push("removed", Some(code)))?;
    }
    listing.finish()?;
    Ok(if differences.is_empty() { Exit::Done } else { Exit::Rejected })
}
