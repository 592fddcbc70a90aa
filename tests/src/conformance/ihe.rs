//! Official examples of the MHD guide.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::accept::{accepted, entries_of};
use super::fill::{about, each_string, fill, read};
use super::world::{World, text};
use super::{Case, make};
use crate::region::Actor;

/// Example bundles that are requests, and whether they name the patient by an entry of their own.
const BUNDLES: &[&str] = &[
    "comprehensiveProvideDocumentBundleSimple",
    "comprehensiveProvideDocumentBundleComplete",
    "comprehensiveProvideDocumentBundleDocument",
    "comprehensiveProvideDocumentBundleReplace",
    "minimalProvideDocumentBundleSimple",
];

pub(super) fn cases(data: &Path) -> Result<Vec<Case>> {
    let folder = data.join("ihe").join("mhd").join("examples");
    let mut cases = Vec::new();
    for name in BUNDLES {
        let path = folder.join(format!("Bundle-ex-{name}.json"));
        ensure!(path.is_file(), "{} is there", path.display());
        cases.push(make(&format!("ihe/{name}"), move |world| {
            let path = path.clone();
            Box::pin(async move { example(world, &path).await })
        }));
    }
    let path = folder.join("Bundle-ex-dummyBundleDocAndBinary.json");
    cases.push(make("ihe/dummyBundleDocAndBinary", move |world| {
        let path = path.clone();
        Box::pin(async move { without_profile(world, path).await })
    }));
    Ok(cases)
}

async fn example(world: &World, path: &Path) -> Result<()> {
    let mut bundle = fill(&read(path)?, &world.p1);
    let mut patient = world.p1.clone();
    let own =
        entries_of(&bundle).into_iter().position(|entry| entry["resource"]["resourceType"] == "Patient");
    match own {
        // The patient travels along: it gets the identifier of one the server knows.
        Some(at) => {
            let identifier = json!([{ "system": world.p1.system, "value": world.p1.value }]);
            bundle["entry"][at]["resource"]["identifier"] = identifier;
        }
        None => about(&mut bundle, &world.p1),
    }
    let related = related(&bundle);
    let mut original = None;
    if let Some((_, target)) = &related {
        let stored = world.stored(world.b65()).await.context("an original to be related to")?;
        each_string(&mut bundle, &mut |text| {
            if text == target {
                *text = format!("DocumentReference/{}", stored.id);
            }
        });
        original = Some(stored);
    }
    if own.is_some() {
        patient = person_of(world).await?;
    }
    accepted(world, &bundle, &patient).await?;
    if let (Some(original), Some((code, _))) = (original, related) {
        let wanted = if code == "replaces" { "superseded" } else { "current" };
        let status = text(&world.reference(&original.id).await?["status"]);
        ensure!(status == wanted, "the related document is {wanted}, got {status}");
    }
    Ok(())
}

/// Code and target of the relation in an example, to a document the server does not know.
fn related(bundle: &Value) -> Option<(String, String)> {
    entries_of(bundle).iter().find_map(|entry| {
        let relation = &entry["resource"]["relatesTo"][0];
        relation.is_object().then(|| (text(&relation["code"]), text(&relation["target"]["reference"])))
    })
}

/// P1 as the identity source gives it now: an entry of a bundle may have revised it.
async fn person_of(world: &World) -> Result<super::world::Person> {
    let found = world.search(Actor::Identity, &format!("Patient?identifier={}", world.p1.token())).await?;
    let id = found.first().map(|patient| text(&patient["id"])).context("P1 is found")?;
    ensure!(id == world.p1.id, "P1 keeps its id");
    Ok(world.p1.clone())
}

async fn without_profile(world: &World, path: PathBuf) -> Result<()> {
    let bundle = fill(&read(&path)?, &world.p1);
    world.refuses(&bundle, &[400, 422], &[], &[]).await.map(drop)
}
