//! Stored queries over a seed whose counts are known: six documents in five submission sets and two folders, one of them replaced
//! (`dcm4chee-xds/sq`), loaded once for a patient of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::super::world::World;
use super::super::{Case, make};
use super::ask::{ITI_18, ITI_42, ITI_51, Objects, Transaction, objects};
use super::questions::{Expected, QUESTIONS, Question};
use crate::markup::{Element, Node};
use crate::soap::Reply;

/// Order in which the files build on each other.
const FILES: [&str; 5] = ["single_doc", "single_doc_w_fol", "two_doc_w_fol", "single_doc_for_rplc", "rplc"];
/// What all UUIDs of the seed begin with; four digits follow, by which the questions name the objects.
const UUIDS: &str = "aabbccdd-bdda-424e-8c96-df4873ba";

/// What was loaded.
pub(super) struct Seed {
    /// Symbols of the questions: `$patient`, `$1001` (entryUUID), `$1001.uid` (uniqueId).
    symbols: Vec<(String, String)>,
}

type Shared = Arc<Mutex<Option<Seed>>>;

pub(super) fn cases(data: &Path) -> Vec<Case> {
    let folder = data.join("corpus/dcm4chee-xds/sq");
    let shared: Shared = Arc::default();
    let case = |question: &'static Question| {
        let (folder, shared) = (folder.clone(), shared.clone());
        make(&format!("sq/{}", question.name), move |world| {
            let (folder, shared) = (folder.clone(), shared.clone());
            Box::pin(async move { ask(world, &folder, &shared, question).await })
        })
    };
    QUESTIONS.iter().map(case).collect()
}

async fn ask(world: &World, folder: &Path, shared: &Shared, question: &Question) -> Result<()> {
    let mut seed = shared.lock().await;
    if seed.is_none() {
        *seed = Some(load(world, folder).await.context("loading the seed")?);
    }
    let symbols = seed.as_ref().map(|seed| seed.symbols.clone()).unwrap_or_default();
    drop(seed);
    for return_type in question.returns {
        let transaction = if question.multiple { ITI_51 } else { ITI_18 };
        let reply = send(world, transaction, question, return_type, &symbols).await?;
        judge(&reply, question, return_type)?;
    }
    Ok(())
}

/// The text of a query.
pub(super) fn query(id: &str, return_type: &str, parameters: &[(String, Vec<String>)]) -> String {
    let mut text = format!(
        "<query:AdhocQueryRequest xmlns:query=\"urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0\" \
         xmlns:rim=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\">\
         <query:ResponseOption returnComposedObjects=\"true\" returnType=\"{return_type}\"/><rim:AdhocQuery id=\"{id}\">"
    );
    for (name, values) in parameters {
        text += &format!("<rim:Slot name=\"{name}\"><rim:ValueList>");
        for value in values {
            text += &format!("<rim:Value>{}</rim:Value>", quick_xml::escape::escape(value.as_str()));
        }
        text += "</rim:ValueList></rim:Slot>";
    }
    text + "</rim:AdhocQuery></query:AdhocQueryRequest>"
}

async fn send(
    world: &World,
    transaction: Transaction,
    question: &Question,
    return_type: &str,
    symbols: &[(String, String)],
) -> Result<Reply> {
    let fill = |value: &&str| {
        let mut value = (*value).to_owned();
        for (symbol, text) in symbols {
            value = value.replace(symbol.as_str(), text);
        }
        value
    };
    let parameters = question.parameters.iter();
    let parameters: Vec<_> =
        parameters.map(|(name, values)| ((*name).to_owned(), values.iter().map(fill).collect())).collect();
    world.ask(transaction, &query(question.query, return_type, &parameters)).await
}

fn judge(reply: &Reply, question: &Question, return_type: &str) -> Result<()> {
    let status = reply.registry_status()?;
    if let Expected::Refused(code) = question.expected {
        ensure!(status == "Failure", "{code} is expected, {status} came");
        ensure!(
            reply.errors().iter().any(|(given, ..)| given == code),
            "{code} is expected: {}",
            reply.told()
        );
        let none = objects(reply).map(|found| total(&found)).unwrap_or_default();
        ensure!(none == 0, "a refused query tells nothing, but {none} objects came");
        return Ok(());
    }
    ensure!(status == "Success", "Success is expected, {status} came: {}", reply.told());
    let found = objects(reply)?;
    let Expected::Found(documents, sets, folders, associations) = question.expected else { return Ok(()) };
    let counts = (found.documents.len(), found.sets.len(), found.folders.len(), found.associations.len());
    if return_type == "ObjectRef" {
        let all = documents + sets + folders + associations;
        ensure!(
            found.references.len() == all,
            "{all} references are expected, {} came",
            found.references.len()
        );
        ensure!(counts == (0, 0, 0, 0), "references alone are expected: {counts:?}");
        return Ok(());
    }
    ensure!(
        counts == (documents, sets, folders, associations),
        "expected {documents} documents, {sets} sets, {folders} folders, {associations} associations, got {counts:?}"
    );
    Ok(())
}

fn total(found: &Objects<'_>) -> usize {
    found.documents.len()
        + found.sets.len()
        + found.folders.len()
        + found.associations.len()
        + found.references.len()
}

async fn load(world: &World, folder: &Path) -> Result<Seed> {
    let mut symbols = Vec::new();
    for (patient, files) in [("$patient", FILES.as_slice()), ("$other", &FILES[..1])] {
        let person = world.person("seed").await?;
        let cx = format!("{}^^^&{}&ISO", person.value, person.system.trim_start_matches("urn:oid:"));
        let uuids = &Uuid::new_v4().to_string()[..32];
        let mut uids = BTreeMap::new();
        for file in files {
            let path: PathBuf = folder.join(format!("{file}.xml"));
            let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let message = fresh(Element::parse(&bytes)?, &cx, uuids, &mut uids);
            let reply = world.ask(ITI_42, &message.write()).await?;
            let status = reply.registry_status()?;
            ensure!(status == "Success", "{file} is registered: {}", reply.told());
        }
        for (id, uid) in uids {
            let own = if patient == "$patient" { "$" } else { "$other." };
            symbols.push((format!("{own}{id}.uid"), uid));
            symbols.push((format!("{own}{id}"), format!("urn:uuid:{uuids}{id}")));
        }
        symbols.push((patient.to_owned(), cx));
    }
    // `$1001.uid` before `$1001`.
    symbols.sort_by_key(|(symbol, _)| std::cmp::Reverse(symbol.len()));
    Ok(Seed { symbols })
}

/// The patient, the UUIDs and the unique ids of this run.
fn fresh(mut message: Element, cx: &str, uuids: &str, uids: &mut BTreeMap<String, String>) -> Element {
    message.strings(&mut |text| *text = text.replace(UUIDS, uuids));
    message.visit(&mut |object| {
        let owner = object.attribute("id").unwrap_or_default().to_owned();
        let owner: String = owner.chars().skip(owner.len().saturating_sub(4)).collect();
        for child in &mut object.children {
            let Node::Element(element) = child else { continue };
            if element.local() != "ExternalIdentifier" {
                continue;
            }
            let name = element.first("LocalizedString").and_then(|name| name.attribute("value"));
            let name = name.unwrap_or_default().to_owned();
            if name.ends_with(".patientId") {
                element.set("value", cx);
            } else if name.ends_with(".uniqueId") {
                let uid = testkit::oid();
                element.set("value", &uid);
                uids.insert(owner.clone(), uid);
            }
        }
    });
    message
}
