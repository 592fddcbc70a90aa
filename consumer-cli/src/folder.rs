//! Folders: list and get [ITI-66], create and add to [ITI-65].

use clap::{Args, Subcommand};
use reqwest::Method;
use reqwest::header::HeaderName;
use serde_json::{Value, json};

use crate::client::{Body, Call, FHIR};
use crate::doc::{bundle, id_in, new_oid};
use crate::exit::{Exit, Failure};
use crate::output::{Column, Row, hidden, shown};
use crate::patient::{each, nothing_found, resource_url};
use crate::search::{self, Search};
use crate::submission::unique_id;
use crate::token::{Code, PatientName};
use crate::{Context, clock};

/// Folders
#[derive(Debug, Subcommand)]
pub(crate) enum FolderVerb {
    /// List the folders of a patient
    List(List),
    /// Show one folder and what it holds
    Get(Get),
    /// Make a folder, with documents that are registered
    Create(Create),
    /// Put registered documents into a folder
    Add(Add),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Whose: SYSTEM|VALUE, URL or id
    #[arg(long, value_name = "PATIENT")]
    patient: PatientName,
    /// Status; empty for any
    #[arg(long, default_value = "current")]
    status: String,
    /// All pages
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The folder: id or URL
    #[arg(value_name = "ID")]
    folder: String,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Whose: SYSTEM|VALUE, URL or id
    #[arg(long, value_name = "PATIENT")]
    patient: PatientName,
    /// What it is called
    #[arg(long)]
    title: String,
    /// What it is for: SYSTEM|CODE|DISPLAY
    #[arg(long, value_name = "CODE")]
    code: Vec<Code>,
    /// Registered documents that are put into it: ids or URLs
    #[arg(value_name = "DOCUMENT")]
    documents: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The folder: id or URL
    #[arg(value_name = "FOLDER")]
    folder: String,
    /// Registered documents: ids or URLs
    #[arg(value_name = "DOCUMENT", required = true)]
    documents: Vec<String>,
}

const COLUMNS: &[Column] = &[
    shown("id"),
    shown("date"),
    shown("title"),
    shown("members"),
    hidden("uniqueId"),
    hidden("status"),
    hidden("version"),
    hidden("items"),
];

pub(crate) async fn run(verb: FolderVerb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        FolderVerb::List(list) => self::list(list, context).await,
        FolderVerb::Get(get) => {
            let folder = read(&get.folder, context).await?;
            show(&folder, context)
        }
        FolderVerb::Create(create) => self::create(create, context).await,
        FolderVerb::Add(add) => self::add(add, context).await,
    }
}

async fn list(list: List, context: &Context) -> Result<Exit, Failure> {
    let mut parameters = vec![list.patient.parameter(), ("code".to_owned(), "folder".to_owned())];
    if !list.status.is_empty() {
        parameters.push(("status".to_owned(), list.status.clone()));
    }
    let base = &context.settings.registry.base;
    search::list(context, Search { base, resource: "List", parameters, all: list.all }, COLUMNS, row).await
}

async fn read(name: &str, context: &Context) -> Result<Value, Failure> {
    let name = name.strip_prefix("urn:uuid:").unwrap_or(name);
    let url = resource_url(&context.settings.registry.base, "List", name)?;
    let folder = context.client.ask(Call::get(url, format!("folder {name}")).fhir()).await;
    let folder = folder.map_err(nothing_found)?.json("the folder")?;
    let is_folder = folder["code"]["coding"]
        .as_array()
        .is_some_and(|codings| codings.iter().any(|one| one["code"] == "folder"));
    if is_folder { Ok(folder) } else { Err(Failure::usage(format!("{name} is no folder"))) }
}

fn show(folder: &Value, context: &Context) -> Result<Exit, Failure> {
    let mut listing = context.output.list(COLUMNS)?;
    if listing.wants_bytes() {
        listing.page(folder.to_string().as_bytes(), 1)?;
    } else {
        listing.push(&row(folder))?;
    }
    listing.finish()
}

fn row(folder: &Value) -> Row {
    let items = each(&folder["entry"], |entry| entry["item"]["reference"].as_str().map(str::to_owned));
    let mut row = Row::new();
    row.insert("id".into(), folder["id"].clone());
    row.insert("date".into(), folder["date"].clone());
    row.insert("title".into(), folder["title"].clone());
    row.insert("members".into(), json!(items.len()));
    row.insert("uniqueId".into(), json!(unique_id(&folder["identifier"])));
    row.insert("status".into(), folder["status"].clone());
    row.insert("version".into(), folder["meta"]["versionId"].clone());
    row.insert("items".into(), json!(items));
    row
}

async fn create(create: Create, context: &Context) -> Result<Exit, Failure> {
    let subject = bundle::subject_of(&create.patient, &context.settings.identity.base);
    let codes: Vec<Value> = create.code.iter().map(Code::concept).collect();
    let folder =
        bundle::folder(&subject, &create.title, &codes, &new_oid(), &members(&create.documents, context)?);
    submit(&subject, folder, "POST", "List", context).await
}

async fn add(add: Add, context: &Context) -> Result<Exit, Failure> {
    let mut folder = read(&add.folder, context).await?;
    let id = folder["id"].as_str().unwrap_or_default().to_owned();
    let subject = folder["subject"].clone();
    let added = members(&add.documents, context)?;
    if let Some(members) = folder.as_object_mut() {
        let entries = members.entry("entry").or_insert_with(|| json!([]));
        for member in added {
            let is_there = each(entries, |entry| entry["item"]["reference"].as_str().map(str::to_owned))
                .iter()
                .any(|known| id_in(known, "DocumentReference") == id_in(&member, "DocumentReference"));
            if let Some(entries) = entries.as_array_mut().filter(|_| !is_there) {
                entries.push(json!({"item": {"reference": member}}));
            }
        }
        members.remove("meta");
        members.remove("text");
    }
    submit(&subject, folder, "PUT", &format!("List/{id}"), context).await
}

/// References of registered documents.
fn members(documents: &[String], context: &Context) -> Result<Vec<String>, Failure> {
    let one = |name: &String| {
        let name = name.strip_prefix("urn:uuid:").unwrap_or(name);
        resource_url(&context.settings.registry.base, "DocumentReference", name)
    };
    documents.iter().map(one).collect()
}

/// Sends a folder in a submission of its own, and shows it as it is then.
async fn submit(
    subject: &Value,
    folder: Value,
    method: &str,
    url: &str,
    context: &Context,
) -> Result<Exit, Failure> {
    let submission_id = new_oid();
    let now = clock::now().to_string();
    let body = bundle::of_folder(subject, folder, (method, url), &submission_id, &now).to_string();
    let mut tries = 3;
    let answer = loop {
        tries -= 1;
        let call = Call::new(Method::POST, context.settings.repository.base.clone(), "the folder")
            .fhir()
            .header(HeaderName::from_static("idempotency-key"), &submission_id)?
            .body(Body::Bytes(body.clone().into()), FHIR)?;
        match context.client.ask(call).await {
            // Sent again under the same id it is one submission, however often it arrives.
            Err(failure) if failure.unknown && tries > 0 => {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await
            }
            other => break other?,
        }
    };
    let told = answer.json("the folder")?;
    for entry in told["entry"].as_array().map(Vec::as_slice).unwrap_or_default() {
        for warning in crate::outcome::warnings(&entry["response"]["outcome"]) {
            context.output.remark(&format!("warning: {warning}"));
        }
    }
    let location = told["entry"][1]["response"]["location"].as_str().unwrap_or_default();
    let id = id_in(location, "List")
        .ok_or_else(|| Failure::new(Exit::Server, "the answer does not say where the folder is"))?;
    show(&read(&id, context).await?, context)
}
