//! Bundles of the public MHD test tool: each accepted or refused as its index says.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::accept::{accepted, entries_of, held};
use super::fill::{each_string, fill, read};
use super::world::{World, encode, text};
use super::{Case, make};
use crate::answer::Answer;
use crate::region::Actor;

/// Folder of a bundle that must be refused, and what its refusal must point at.
const PLACES: &[(&str, &str)] = &[
    ("Bad_Patient_Link", "subject"),
    ("Missing_ContentTypeCode", "designationType"),
    ("Missing_Format_Code", "format"),
    ("Missing_LanguageCode", "language"),
    ("Missing_PatientID", "subject"),
    ("Missing_PracticeSettingCode", "practiceSetting"),
    ("Missing_Profile", "meta"),
    ("Missing_SourceId", "sourceId"),
    ("Missing_SubmissionTime", "date"),
    ("Missing_UniqueId_Reference", "masterIdentifier"),
    ("Missing_DocumentReference_with_reference", "entry"),
    ("Missing_MimeType", "contentType"),
    ("Missing_UniqueId_SubmissionSetTypeList", "identifier"),
];

pub(super) fn cases(data: &Path) -> Result<Vec<Case>> {
    let index = super::foreign::index(data, "asbestos-mhd420/")?;
    let bundles: Vec<(String, bool)> = index
        .into_iter()
        .filter(|(file, _)| !file.contains("/patients/"))
        .map(|(file, expected)| (file, expected.starts_with("HTTP 200")))
        .collect();
    ensure!(!bundles.is_empty(), "the index lists bundles of asbestos");
    Ok(bundles.into_iter().map(|(file, accept)| case(data, &file, accept)).collect())
}

fn case(data: &Path, file: &str, accept: bool) -> Case {
    let path = data.join("corpus").join(file);
    let id = file.trim_end_matches(".json").replace(".xml", " in XML").replace("asbestos-mhd420", "asbestos");
    make(&id, move |world| {
        let path = path.clone();
        Box::pin(async move {
            if accept { accept_bundle(world, &path).await } else { refuse_bundle(world, &path).await }
        })
    })
}

/// The text of a file in XML with everything in it that was filled in the JSON of its twin.
fn filled_xml(path: &Path, twin: &Value, filled: &Value) -> Result<String> {
    let mut changes = Vec::new();
    changed(twin, filled, &mut changes);
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let fill = |text: String, (old, new): &(String, String)| {
        // Each in its place: one value may stand in two objects, which are given different ones.
        text.replacen(&format!("\"{}\"", escape(old)), &format!("\"{}\"", escape(new)), 1)
    };
    Ok(changes.iter().fold(text, fill))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// Strings that differ, as they were and as they are.
fn changed(was: &Value, is: &Value, changes: &mut Vec<(String, String)>) {
    match (was, is) {
        (Value::String(was), Value::String(is)) if was != is => changes.push((was.clone(), is.clone())),
        (Value::Array(was), Value::Array(is)) => {
            was.iter().zip(is).for_each(|(was, is)| changed(was, is, changes));
        }
        (Value::Object(was), Value::Object(is)) => {
            was.iter().filter_map(|(name, was)| Some((was, is.get(name)?))).for_each(|(was, is)| {
                changed(was, is, changes);
            });
        }
        _ => {}
    }
}

/// Provides a bundle as its file has it: in JSON, or in the XML beside it.
async fn provide(world: &World, path: &Path, bundle: &Value) -> Result<Answer> {
    if path.extension().is_some_and(|ending| ending == "xml") {
        let twin = read(&path.with_extension("json"))?;
        return super::xml::provide(world, filled_xml(path, &twin, bundle)?).await;
    }
    world.provide(bundle).await
}

/// A bundle about another document is sent after its original.
async fn accept_bundle(world: &World, path: &Path) -> Result<()> {
    let mut bundle = fill(&read(&path.with_extension("json"))?, &world.p1);
    let original = original_of(path);
    let mut replaced = None;
    if let Some(original) = original {
        let first =
            accepted(world, &fill(&read(&original)?, &world.p1), &world.p1).await.context("the original")?;
        let id = first.into_iter().next().context("the original has a document")?;
        each_string(&mut bundle, &mut |text| {
            if text == "${original}" {
                *text = format!("DocumentReference/{id}");
            }
        });
        replaced = Some(id);
    }
    let answer = provide(world, path, &bundle).await?;
    held(world, &bundle, &world.p1, &answer).await?;
    if let Some(id) = replaced {
        let replaces = bundle["entry"][0]["resource"]["relatesTo"][0]["code"] == "replaces";
        let status = text(&world.reference(&id).await?["status"]);
        let wanted = if replaces { "superseded" } else { "current" };
        ensure!(status == wanted, "the original is {wanted}, got {status}");
    }
    Ok(())
}

fn original_of(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let about = ["replace.", "addendum."].iter().any(|about| name.starts_with(about));
    about.then(|| path.with_file_name("original.json"))
}

async fn refuse_bundle(world: &World, path: &Path) -> Result<()> {
    let bundle = fill(&read(&path.with_extension("json"))?, &world.p1);
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    let (_, place) =
        PLACES.iter().find(|(name, _)| *name == folder).context("the place of the fault is known")?;
    let before = world.census().await?;
    let answer = provide(world, path, &bundle).await?;
    answer.refused(&[400, 422], &[])?;
    world.nothing_stored(&before, &bundle).await?;
    let issues = answer.issues()?;
    let named = issues.iter().any(|issue| {
        !issue.expressions.is_empty()
            && (issue.expressions.iter().any(|at| at.contains(place)) || issue.text.contains(place))
    });
    ensure!(named, "the outcome points at {place}: {}", answer.excerpt());
    absent(world, &bundle).await
}

/// The queries of the tool after a refused submission find nothing.
async fn absent(world: &World, bundle: &Value) -> Result<()> {
    for entry in entries_of(bundle) {
        let resource = &entry["resource"];
        let query = match resource["resourceType"].as_str() {
            Some("DocumentReference") => {
                let value = text(&resource["masterIdentifier"]["value"]);
                format!("DocumentReference?identifier={}&status=current", encode(&value))
            }
            Some("List") => {
                let value = text(&resource["identifier"][0]["value"]);
                format!("List?code=submissionset&identifier={}&status=current", encode(&value))
            }
            _ => continue,
        };
        if query.contains("identifier=&") {
            continue;
        }
        let found = world
            .search(Actor::Registry, &format!("{query}&patient.identifier={}", world.p1.token()))
            .await?;
        ensure!(found.is_empty(), "nothing of a refused submission is found");
    }
    Ok(())
}
