//! Messages of other projects: Norwegian and Swiss bundles, generic FHIR transactions, patients of a client registry.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testkit::oid;
use uuid::Uuid;

use super::accept::accepted;
use super::fill::{about, each_string, fill, read};
use super::world::{World, encode, text};
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
    let folders: [(&str, Kind); 4] = [
        ("nhn-xca/", Kind::Explained),
        ("mobile-access-gateway/", Kind::Swiss),
        ("ms-fhir-server/", Kind::Generic),
        ("openhie-cr/FHIR/", Kind::Client),
    ];
    for (folder, kind) in folders {
        for (file, expected) in index(data, folder)? {
            if file.ends_with(".json") {
                cases.push(case(data, &file, expected, kind));
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
    Client,
}

fn case(data: &Path, file: &str, expected: String, kind: Kind) -> Case {
    let path = data.join("corpus").join(file);
    make(file.trim_end_matches(".json"), move |world| {
        let (path, expected) = (path.clone(), expected.clone());
        Box::pin(async move {
            match kind {
                Kind::Explained => explained(world, &path).await,
                Kind::Swiss => swiss(world, path).await,
                Kind::Generic => generic(world, &path).await,
                Kind::Client => client_registry(world, &path, &expected).await,
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
    } else if name.contains("ITI-119") {
        Err(skip("waiting for ITI-119"))
    } else {
        Err(skip("waiting for ITI-93"))
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

/// The patients of these messages, fed one by one by ITI-104.
async fn client_registry(world: &World, path: &Path, expected: &str) -> Result<()> {
    if expected.contains("unknown authority") {
        return Err(skip("waiting for a list of authorities: every domain is accepted"));
    }
    let mut patients = Vec::new();
    collect_patients(&read(path)?, &mut patients);
    ensure!(!patients.is_empty(), "the message holds a patient");
    for mut patient in patients {
        if let Some(members) = patient.as_object_mut() {
            members.remove("id");
        }
        if expected.starts_with("reject") {
            let path = format!(
                "Patient?identifier={}",
                encode(&format!("|{}", text(&patient["identifier"][0]["value"])))
            );
            let answer = world.wire.put(&world.url(Actor::Identity, &path), &patient).await?;
            answer.refused(&[400, 422], &[])?;
        } else {
            let system = text(&patient["identifier"][0]["system"]);
            if system.is_empty() {
                return Err(skip("an identifier without a system cannot be fed by ITI-104"));
            }
            patient["identifier"][0]["value"] = json!(oid());
            drop_links(&mut patient);
            fed_or_malformed(world, &patient).await?;
        }
    }
    Ok(())
}

/// Some of these patients are no valid FHIR: then the refusal says where.
async fn fed_or_malformed(world: &World, patient: &Value) -> Result<()> {
    let identifier = &patient["identifier"][0];
    let token = encode(&format!("{}|{}", text(&identifier["system"]), text(&identifier["value"])));
    let url = world.url(Actor::Identity, &format!("Patient?identifier={token}"));
    let answer = world.wire.put(&url, patient).await?;
    if answer.status == 201 {
        return Ok(());
    }
    let issues = answer.refused(&[400], &["structure", "value"])?;
    ensure!(!issues[0].expressions.is_empty(), "the outcome points at a place: {}", answer.excerpt());
    Ok(())
}

/// Links to patients that are not in the message cannot be followed.
fn drop_links(patient: &mut Value) {
    if let Some(members) = patient.as_object_mut() {
        members.remove("link");
    }
}

fn collect_patients(value: &Value, patients: &mut Vec<Value>) {
    match value {
        Value::Object(members) => {
            if members.get("resourceType").is_some_and(|kind| kind == "Patient") {
                patients.push(value.clone());
                return;
            }
            members.values().for_each(|member| collect_patients(member, patients));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_patients(item, patients)),
        _ => {}
    }
}
