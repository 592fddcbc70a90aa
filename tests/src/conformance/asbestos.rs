//! Bundles of the public MHD test tool: each accepted or refused as its index says.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::accept::{accepted, entries_of};
use super::fill::{each_string, fill, read};
use super::world::{World, encode, text};
use super::{Case, make};
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
        .filter(|(file, _)| file.ends_with(".json"))
        .map(|(file, expected)| (file, expected.starts_with("HTTP 200")))
        .collect();
    ensure!(!bundles.is_empty(), "the index lists bundles of asbestos");
    Ok(bundles.into_iter().map(|(file, accept)| case(data, &file, accept)).collect())
}

fn case(data: &Path, file: &str, accept: bool) -> Case {
    let path = data.join("corpus").join(file);
    let id = file.trim_end_matches(".json").replace("asbestos-mhd420", "asbestos");
    make(&id, move |world| {
        let path = path.clone();
        Box::pin(async move {
            if accept { accept_bundle(world, &path).await } else { refuse_bundle(world, &path).await }
        })
    })
}

/// A bundle about another document is sent after its original.
async fn accept_bundle(world: &World, path: &Path) -> Result<()> {
    let mut bundle = fill(&read(path)?, &world.p1);
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
    accepted(world, &bundle, &world.p1).await?;
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
    ["replace.json", "addendum.json"].contains(&name).then(|| path.with_file_name("original.json"))
}

async fn refuse_bundle(world: &World, path: &Path) -> Result<()> {
    let bundle = fill(&read(path)?, &world.p1);
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    let (_, place) =
        PLACES.iter().find(|(name, _)| *name == folder).context("the place of the fault is known")?;
    let answer = world.refuses(&bundle, &[400, 422], &[], &[]).await?;
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
