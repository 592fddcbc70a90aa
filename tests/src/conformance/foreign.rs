//! Messages of other projects: Norwegian and Swiss bundles, generic FHIR transactions.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testkit::oid;
use uuid::Uuid;

use super::accept::accepted;
use super::fill::{about, each_string, fill, read};
use super::world::World;
use super::{Case, make, skip};
use crate::region::Actor;

/// File and expectation of every line of the index below a folder.
pub(super) fn index(data: &Path, folder: &str) -> Result<Vec<(String, String)>> {
    let path = data.join("corpus").join("INDEX.tsv");
    let table = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let lines = table.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    let lines = lines.filter(|columns| columns.len() > 7 && columns[0].starts_with(folder));
    Ok(lines.map(|columns| (columns[0].to_owned(), columns[7].to_owned())).collect())
}

pub(super) fn cases(data: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let folders: [(&str, Kind); 3] = [
        ("nhn-xca/", Kind::Explained),
        ("mobile-access-gateway/", Kind::Swiss),
        ("ms-fhir-server/", Kind::Generic),
    ];
    for (folder, kind) in folders {
        for (file, _) in index(data, folder)? {
            if file.ends_with(".json") && !file.ends_with("patientfeed.json") {
                cases.push(case(data, &file, kind));
            }
        }
    }
    Ok(cases)
}

#[derive(Clone, Copy)]
enum Kind {
    Explained,
    Swiss,
    Generic,
}

fn case(data: &Path, file: &str, kind: Kind) -> Case {
    let path = data.join("corpus").join(file);
    make(file.trim_end_matches(".json"), move |world| {
        let path = path.clone();
        Box::pin(async move {
            match kind {
                Kind::Explained => explained(world, &path).await,
                Kind::Swiss => swiss(world, path).await,
                Kind::Generic => generic(world, &path).await,
            }
        })
    })
}

/// Either accepted with everything that means, or refused with words and nothing left.
async fn explained(world: &World, path: &Path) -> Result<()> {
    let mut bundle = read(path)?;
    about(&mut bundle, &world.p1);
    explained_bundle(world, &bundle).await
}

async fn explained_bundle(world: &World, bundle: &Value) -> Result<()> {
    let before = world.census().await?;
    let answer = world.provide(bundle).await?;
    if answer.status == 200 {
        accepted(world, &fill(bundle, &world.p1), &world.p1).await?;
        return Ok(());
    }
    let issues = answer.refused(&[400, 409, 413, 422], &[])?;
    ensure!(!issues[0].expressions.is_empty(), "the outcome points at a place: {}", answer.excerpt());
    world.nothing_stored(&before, bundle).await
}

async fn swiss(world: &World, path: PathBuf) -> Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let value = read(&path)?;
    if name.contains("ITI-65") {
        let bundle = variables(world, &value);
        accepted(world, &bundle, &world.p1).await.map(drop)
    } else if name.starts_with("ch-mhd") {
        let mut bundle = fill(&value, &world.p1);
        about(&mut bundle, &world.p1);
        explained_bundle(world, &bundle).await
    } else if name.contains("ITI-104") {
        let mut patient = variables(world, &value);
        let fresh = oid();
        patient["identifier"][0]["value"] = json!(fresh);
        world.fed(&patient).await.map(drop)
    } else {
        Err(skip("asked by pdqm/match-by-identifier-as-in-switzerland"))
    }
}

/// Fills `{{variables}}`, and puts two elements right that repeat in FHIR but are written there as one.
fn variables(world: &World, value: &Value) -> Value {
    let mut value = value.clone();
    each_string(&mut value, &mut |text| {
        while let Some((before, rest)) = text.clone().split_once("{{") {
            let Some((name, after)) = rest.split_once("}}") else { break };
            *text = format!("{before}{}{after}", variable(world, name));
        }
    });
    for entry in value.get_mut("entry").and_then(Value::as_array_mut).into_iter().flatten() {
        let resource = &mut entry["resource"];
        let own = resource["resourceType"] == "DocumentReference";
        if own && resource["identifier"].is_object() {
            resource["identifier"] = json!([resource["identifier"]]);
        }
        let contained = resource.get_mut("contained").and_then(Value::as_array_mut);
        for contained in contained.into_iter().flatten() {
            let names = contained.get_mut("name").and_then(Value::as_array_mut);
            for name in names.into_iter().flatten() {
                if name["given"].is_string() {
                    name["given"] = json!([name["given"]]);
                }
            }
        }
        if resource["subject"]["identifier"].is_object() {
            resource["subject"]["identifier"] = json!({ "system": world.p1.system, "value": world.p1.value });
        }
    }
    value
}

fn variable(world: &World, name: &str) -> String {
    match name {
        "ssUniqueId" | "docUniqueId" | "author-institution-oid" => oid(),
        "conf-oid-ihe-sourceId" => "1.2.3.4.5".into(),
        "conf-oid-local-assigning-patient-authority" => "1.2.3.4.6".into(),
        "docEntryUuid" => Uuid::new_v4().to_string(),
        "dateNow" | "dateDoc" => "2024-05-06T07:08:09Z".into(),
        "eprSpid" => world.p1.value.clone(),
        "birthdate" | "birthDate" => "1974-12-25".into(),
        "gender" => "female".into(),
        _ => "Muster".into(),
    }
}

/// A transaction about things that are nobody's business here: refused with words, nothing kept of it.
async fn generic(world: &World, path: &Path) -> Result<()> {
    let value = read(path)?;
    if value["resourceType"] != "Bundle" {
        return Err(skip("a resource alone: no door takes it"));
    }
    let patients = |family: &str| format!("Patient?family={family}&_summary=count");
    let mut counts = Vec::new();
    for family in ["Chalmers", "TransactionRollback"] {
        counts.push(
            world.wire.get(&world.url(Actor::Identity, &patients(family))).await?.expect(200)?["total"]
                .clone(),
        );
    }
    world.refuses(&value, &[400, 405, 422], &[], &[]).await?;
    for (family, count) in ["Chalmers", "TransactionRollback"].into_iter().zip(counts) {
        let now = world.wire.get(&world.url(Actor::Identity, &patients(family))).await?.expect(200)?["total"]
            .clone();
        ensure!(now == count, "no patient {family} was stored");
    }
    Ok(())
}
