//! The rows: which points there are, what happens at each, and what has to be done so that it is reached.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::region::Actor;

/// A point, as an actor tells of it.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) actor: Actor,
    pub(super) name: String,
    /// Whether it is in code that waits on its thread and knows nothing of callers.
    deep: bool,
}

/// What is done so that a point is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scene {
    /// Documents are submitted.
    Submit,
    /// The registry hangs up on the first registration without having done anything, so that it has to be settled.
    Doubt,
    /// Something is read of the actor.
    Read,
    /// A patient is fed.
    Feed,
    /// Patients are told of in HL7 v2, and merged.
    Tell,
    /// What was submitted is exported.
    Export,
    /// Documents are submitted to be registered later.
    Later,
}

/// One row.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) point: Point,
    pub(super) scene: Scene,
    /// Which hit.
    hit: u32,
    pub(super) action: &'static str,
    /// How often an actor that died of it is started again with it.
    pub(super) again: u32,
}

impl Case {
    /// As it is armed.
    pub(super) fn rule(&self) -> String {
        format!("{}:{}", self.hit, self.action)
    }

    /// Whether the step is a sync that fails, after which a process must end.
    pub(super) fn is_failed_sync(&self) -> bool {
        let syncs = ["repo.blob.pre_sync", "reg.tx.mid", "audit.pre_sync"];
        self.action == "error(5)" && syncs.contains(&self.point.name.as_str())
    }
}

/// All points of the actors in a folder.
pub(super) fn points(binaries: &Path) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for (actor, binary) in [
        (Actor::Repository, "docshare-repository"),
        (Actor::Registry, "docshare-registry"),
        (Actor::Identity, "docshare-identity"),
    ] {
        let output = Command::new(binaries.join(binary)).args(["version", "--json"]).output();
        let output = output.with_context(|| format!("asking {binary} for its points"))?;
        let version: Value = serde_json::from_slice(&output.stdout).context("the version is JSON")?;
        let listed = version["failpoints"].as_array();
        let listed = listed.with_context(|| format!("{binary} is built without the feature failpoints"))?;
        ensure!(!listed.is_empty(), "{binary} has points");
        for point in listed {
            let text = |member: &str| point[member].as_str().unwrap_or_default().to_owned();
            points.push(Point { actor, name: text("name"), deep: text("place").starts_with("store,") });
        }
    }
    Ok(points)
}

/// What happens at a point, row by row.
pub(super) fn cases(point: &Point) -> Vec<Case> {
    // A backup is taken by a process of its own, which serves nobody.
    if point.name.starts_with("backup.") {
        return Vec::new();
    }
    let scene = scene(point);
    let case = |hit, action, again| Case { point: point.clone(), scene, hit, action, again };
    let mut cases = vec![case(1, "kill", 0), case(1, "kill", 3)];
    // Only one of the submissions has a document with a file of its own.
    if scene == Scene::Submit && !point.name.contains(".blob.") {
        cases.extend([2, 3, 4].map(|hit| case(hit, "kill", 0)));
    }
    cases
        .extend(["error(5)", "error(28)", "delay(800)", "panic", "stop(1)"].map(|action| case(1, action, 0)));
    if !point.deep {
        cases.extend(["error(503)", "close"].map(|action| case(1, action, 0)));
    }
    cases
}

fn scene(point: &Point) -> Scene {
    let named = |begin: &str| point.name.starts_with(begin);
    if named("reg.export.") {
        Scene::Export
    } else if named("repo.task.") {
        Scene::Later
    } else if named("repo.settle.") || named("repo.trash.") || named("reg.fence.") {
        Scene::Doubt
    } else if named("audit.") {
        Scene::Read
    } else if named("id.") {
        Scene::Feed
    } else if named("reg.feed.") || named("reg.merge.") {
        Scene::Tell
    } else {
        Scene::Submit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(name: &str, deep: bool) -> Point {
        Point { actor: Actor::Repository, name: name.into(), deep }
    }

    #[test]
    fn a_connection_is_closed_only_where_there_is_one() {
        let closes = |point: &Point| cases(point).iter().any(|case| case.action == "close");
        assert!(closes(&point("repo.answer.pre", false)));
        assert!(!closes(&point("repo.blob.pre_sync", true)));
    }

    #[test]
    fn what_settles_is_reached_by_a_submission_in_doubt() {
        assert_eq!(scene(&point("repo.settle.asked", false)), Scene::Doubt);
        assert_eq!(scene(&point("repo.reg.sent", false)), Scene::Submit);
    }
}
