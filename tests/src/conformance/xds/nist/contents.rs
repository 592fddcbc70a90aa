//! What a step expects of an answer: how many of what, and in which state.

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use super::super::ask::{all_are, objects};
use crate::soap::Reply;

pub(super) fn check(reply: &Reply, expected: &Value, documents: &[String]) -> Result<()> {
    let found = objects(reply)?;
    let kind = expected["is"].as_str().unwrap_or_default();
    let (all, sets, folders) = (found.documents.len(), found.sets.len(), found.folders.len());
    let told = format!(
        "{all} documents, {sets} sets, {folders} folders, {} associations, {} references came",
        found.associations.len(),
        found.references.len()
    );
    let count = expected["count"].as_str().map(str::parse::<usize>).transpose()?;
    if let Some(count) = count {
        let counted = match kind {
            "Documents" => all,
            "SubmissionSets" => sets,
            "Folders" => folders,
            "Associations" => found.associations.len(),
            "ObjectRefs" => found.references.len(),
            other => bail!("nobody knows what {other} are"),
        };
        ensure!(counted == count, "{count} {kind} are expected: {told}");
        return Ok(());
    }
    let holds = match kind {
        "None" => all + sets + folders + found.associations.len() + found.references.len() == 0,
        "SSwithOneDoc" => (all, sets, folders) == (1, 1, 0) && found.associations.len() == 1,
        "SSwithTwoDoc" => (all, sets, folders) == (2, 1, 0) && found.associations.len() == 2,
        "SSwithOneFol" => (all, sets, folders) == (0, 1, 1) && found.associations.len() == 1,
        "SSwithOneDocOneFol" => (all, sets, folders) == (1, 1, 1),
        "OneDocApp" => all == 1 && all_are(&found.documents, "Approved"),
        "OneDocDep" => all == 1 && all_are(&found.documents, "Deprecated"),
        "DocApp" => all_are(&found.documents, "Approved"),
        "DocDep" => all_are(&found.documents, "Deprecated"),
        "SSApproved" => sets > 0 && all_are(&found.sets, "Approved"),
        "FolApp" => folders > 0 && all_are(&found.folders, "Approved"),
        "DocumentEntries" => {
            let mut ids: Vec<&str> =
                found.documents.iter().filter_map(|object| object.attribute("id")).collect();
            ids.sort_unstable();
            let mut wanted: Vec<&str> = documents.iter().map(String::as_str).collect();
            wanted.sort_unstable();
            ids == wanted
        }
        other => bail!("nobody knows what {other} means"),
    };
    ensure!(holds, "{kind} is expected: {told}");
    Ok(())
}
