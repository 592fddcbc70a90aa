//! Metadata of documents that are registered: `doc update` and `doc deprecate`. The document is read, what is to change goes
//! back as a JSON Patch for the version that was read (If-Match), so that nobody's change in between is lost.

use clap::Args;
use reqwest::Method;
use reqwest::header::IF_MATCH;
use serde_json::{Map, Value, json};

use crate::Context;
use crate::client::{Body, Call};
use crate::doc::{concept, read};
use crate::exit::{self, Exit, Failure};
use crate::output::{Column, Row, hidden, shown};
use crate::patient::{nothing_found, resource_url};
use crate::token::Code;

const PATCH: &str = "application/json-patch+json";

/// Change what is said about documents
#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Which documents: ids, URLs, or SYSTEM|VALUE of an identifier
    #[arg(required = true, value_name = "DOCUMENT")]
    names: Vec<String>,
    /// What is to be said: title=…, description=…, type=SYSTEM|CODE|DISPLAY; an empty value takes it away. Again for each value of
    /// event and confidentiality
    #[arg(long = "set", required = true, value_name = "NAME=VALUE")]
    sets: Vec<Set>,
    /// Only if this version stands
    #[arg(long, value_name = "VERSION")]
    if_version: Option<String>,
}

/// Take documents out of what is current
#[derive(Debug, Args)]
pub(crate) struct Deprecate {
    /// Which documents: ids, URLs, or SYSTEM|VALUE of an identifier
    #[arg(required = true, value_name = "DOCUMENT")]
    names: Vec<String>,
    /// Make them current again
    #[arg(long)]
    undo: bool,
}

/// Where a word of `--set` stands in a DocumentReference, and what its value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it is written.
    Text,
    /// A Coding.
    Coding,
    /// A CodeableConcept.
    Concept,
    /// One or more CodeableConcepts.
    Concepts,
}

const WORDS: &[(&str, &[&str], Form)] = &[
    ("title", &["content", "0", "attachment", "title"], Form::Text),
    ("description", &["description"], Form::Text),
    ("type", &["type"], Form::Concept),
    ("category", &["category"], Form::Concepts),
    ("format", &["content", "0", "format"], Form::Coding),
    ("language", &["content", "0", "attachment", "language"], Form::Text),
    ("creation", &["content", "0", "attachment", "creation"], Form::Text),
    ("date", &["date"], Form::Text),
    ("confidentiality", &["securityLabel"], Form::Concepts),
    ("facility", &["context", "facilityType"], Form::Concept),
    ("practice-setting", &["context", "practiceSetting"], Form::Concept),
    ("event", &["context", "event"], Form::Concepts),
    ("service-start", &["context", "period", "start"], Form::Text),
    ("service-stop", &["context", "period", "end"], Form::Text),
];

/// One `--set`.
#[derive(Debug, Clone, PartialEq)]
struct Set {
    path: &'static [&'static str],
    form: Form,
    /// None takes it away.
    value: Option<Value>,
}

impl std::str::FromStr for Set {
    type Err = String;

    fn from_str(text: &str) -> Result<Set, String> {
        let (name, value) =
            text.split_once('=').ok_or_else(|| format!("this is written NAME=VALUE; it is {text:?}"))?;
        let Some((_, path, form)) = WORDS.iter().find(|(word, _, _)| *word == name) else {
            let known: Vec<&str> = WORDS.iter().map(|(word, _, _)| *word).collect();
            return Err(format!("there is no {name:?} to be set; there are: {}", known.join(", ")));
        };
        let value = match form {
            _ if value.is_empty() => None,
            Form::Text => Some(json!(value)),
            Form::Coding => Some(value.parse::<Code>()?.coding()),
            Form::Concept | Form::Concepts => Some(value.parse::<Code>()?.concept()),
        };
        Ok(Set { path, form: *form, value })
    }
}

pub(crate) async fn update(update: Update, context: &Context) -> Result<Exit, Failure> {
    let sets = update.sets;
    each(&update.names, context, update.if_version.as_deref(), |document| patch(document, &sets)).await
}

pub(crate) async fn deprecate(deprecate: Deprecate, context: &Context) -> Result<Exit, Failure> {
    let status = if deprecate.undo { "current" } else { "superseded" };
    let patch = |_: &Value| vec![json!({ "op": "replace", "path": "/status", "value": status })];
    each(&deprecate.names, context, None, patch).await
}

const COLUMNS: &[Column] =
    &[shown("id"), shown("version"), shown("status"), shown("title"), shown("type"), hidden("updated")];

async fn each(
    names: &[String],
    context: &Context,
    if_version: Option<&str>,
    patch: impl Fn(&Value) -> Vec<Value>,
) -> Result<Exit, Failure> {
    let mut listing = context.output.list(COLUMNS)?;
    let (mut done, mut failures) = (0, Vec::new());
    for name in names {
        match one(name, context, if_version, &patch).await {
            Err(failure) => failures.push(exit::tell(&failure.note("document", name.clone()))),
            Ok((document, body)) => {
                done += 1;
                if listing.wants_bytes() { listing.page(&body, 1)? } else { listing.push(&row(&document))? }
            }
        }
    }
    if done > 0 {
        listing.finish()?;
    }
    Ok(Exit::of_many(done, &failures))
}

async fn one(
    name: &str,
    context: &Context,
    if_version: Option<&str>,
    patch: impl Fn(&Value) -> Vec<Value>,
) -> Result<(Value, bytes::Bytes), Failure> {
    let document = read(context, name).await?;
    let id = document["id"].as_str().unwrap_or_default();
    let stands = document["meta"]["versionId"].as_str();
    let version = if_version
        .or(stands)
        .ok_or_else(|| Failure::new(Exit::Server, format!("the server names no version of document {id}")))?;
    let url = resource_url(&context.settings.registry.base, "DocumentReference", id)?;
    let body = Value::Array(patch(&document)).to_string();
    let call = Call::new(Method::PATCH, url, format!("the update of document {id}"))
        .fhir()
        .header(IF_MATCH, &format!("W/\"{version}\""))?
        .body(Body::Bytes(body.into()), PATCH)?;
    let answer = context.client.ask(call).await.map_err(nothing_found)?;
    Ok((answer.json("the update")?, answer.body))
}

/// The operations that say what is set. What an element stands in is made where it is not there.
fn patch(document: &Value, sets: &[Set]) -> Vec<Value> {
    let mut operations = Vec::new();
    let mut seen = document.clone();
    let mut listed: Vec<&[&str]> = Vec::new();
    for set in sets {
        let path = pointer(set.path);
        let Some(value) = &set.value else {
            if seen.pointer(&path).is_some() {
                operations.push(json!({ "op": "remove", "path": path }));
                take(&mut seen, set.path);
            }
            continue;
        };
        // The first value takes the place of what was there, the next join it.
        if set.form == Form::Concepts && listed.contains(&set.path) {
            operations.push(json!({ "op": "add", "path": format!("{path}/-"), "value": value }));
            continue;
        }
        listed.push(set.path);
        let value = if set.form == Form::Concepts { json!([value]) } else { value.clone() };
        let there = (1..set.path.len()).find(|depth| seen.pointer(&pointer(&set.path[..*depth])).is_none());
        let depth = there.unwrap_or(set.path.len());
        let value = set.path[depth..].iter().rev().fold(value, |inner, name| json!({ *name: inner }));
        let path = &set.path[..depth];
        operations.push(json!({ "op": "add", "path": pointer(path), "value": value }));
        put(&mut seen, path, value);
    }
    operations
}

fn pointer(path: &[&str]) -> String {
    path.iter().map(|step| format!("/{step}")).collect()
}

fn parent<'a>(document: &'a mut Value, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let (_, above) = path.split_last()?;
    document.pointer_mut(&pointer(above))?.as_object_mut()
}

fn put(document: &mut Value, path: &[&str], value: Value) {
    if let (Some(members), Some(name)) = (parent(document, path), path.last()) {
        members.insert((*name).to_owned(), value);
    }
}

fn take(document: &mut Value, path: &[&str]) {
    if let (Some(members), Some(name)) = (parent(document, path), path.last()) {
        members.remove(*name);
    }
}

fn row(document: &Value) -> Row {
    let cells = [
        ("id", document["id"].clone()),
        ("version", document["meta"]["versionId"].clone()),
        ("status", document["status"].clone()),
        ("title", document["content"][0]["attachment"]["title"].clone()),
        ("type", json!(concept(document.get("type")))),
        ("updated", document["meta"]["lastUpdated"].clone()),
    ];
    cells.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations(document: &Value, sets: &[&str]) -> Value {
        let sets: Vec<Set> = sets.iter().map(|set| set.parse().expect("a good set")).collect();
        Value::Array(patch(document, &sets))
    }

    #[test]
    fn what_is_set_becomes_a_patch() {
        let document = json!({ "description": "old", "content": [{ "attachment": { "title": "old" } }] });
        let patch = operations(
            &document,
            &["title=new", "description=", "facility=urn:a|1", "event=urn:b|1|One", "event=urn:b|2", "date="],
        );
        assert_eq!(
            patch,
            json!([
                { "op": "add", "path": "/content/0/attachment/title", "value": "new" },
                { "op": "remove", "path": "/description" },
                { "op": "add", "path": "/context", "value": { "facilityType": { "coding": [{ "system": "urn:a", "code": "1" }] } } },
                { "op": "add", "path": "/context/event", "value": [{ "coding": [{ "system": "urn:b", "code": "1", "display": "One" }] }] },
                { "op": "add", "path": "/context/event/-", "value": { "coding": [{ "system": "urn:b", "code": "2" }] } },
            ])
        );
    }

    #[test]
    fn a_word_nobody_knows_is_refused_with_those_there_are() {
        for wrong in ["titel=x", "title", "type=x", "format=a"] {
            assert!(wrong.parse::<Set>().is_err(), "{wrong}");
        }
        assert!("nose=x".parse::<Set>().expect_err("no such word").contains("practice-setting"));
    }
}
