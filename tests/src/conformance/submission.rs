//! Submissions that are well-formed and must not be accepted, and some that must (ITI-65, ITI-42 in FHIR).

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::{Document, Folder, Provide, oid, urn_oid, urn_uuid};

use super::json::changed;
use super::world::{World, created, encode, text};
use super::{Case, case, skip};
use crate::answer::Answer;
use crate::region::Actor;

const REFUSED: [u16; 2] = [400, 422];

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("submission-01", wrong_hash),
        case!("submission-02", wrong_size),
        case!("submission-03", missing_binary),
        case!("submission-04", binary_without_metadata),
        case!("submission-05", empty_document),
        case!("submission-06", two_patients),
        case!("submission-07", unknown_patient),
        case!("submission-08", merged_patient),
        case!("submission-09", two_submission_sets),
        case!("submission-10", no_submission_set),
        case!("submission-11", one_unique_id_twice),
        case!("submission-12", known_unique_id_with_other_bytes),
        case!("submission-13", known_unique_id_with_the_same_bytes),
        case!("submission-14", sha1_collision),
        case!("submission-15", identical_resubmission),
        case!("submission-16", same_set_with_other_content),
        case!("submission-17", fifty_identical_at_once),
        case!("submission-18", known_entry_uuid),
        case!("submission-19", one_of_two_is_faulty),
        case!("submission-20", replace_of_nothing),
        case!("submission-21", replace_of_a_superseded_document),
        case!("submission-22", twenty_concurrent_replaces),
        case!("submission-23", replace_across_patients),
        case!("submission-24", status_of_an_unrelated_document),
        case!("submission-25", hidden_delete),
        case!("submission-26", one_full_url_twice),
        case!("submission-27", folder_of_another_patient),
        case!("submission-28", line_break_in_content_type),
        case!("submission-29", path_as_id),
    ]
}

async fn wrong_hash(world: &World) -> Result<()> {
    let other = Document::new("other").sha1_base64();
    let bundle = changed(world, |reference| reference["content"][0]["attachment"]["hash"] = json!(other));
    let codes = ["invariant", "value", "invalid"];
    world.refuses(&bundle, &REFUSED, &codes, &["XDSRepositoryMetadataError"]).await.map(drop)
}

/// A wrong size beside a right hash may be put right with a warning: an official example is like that. Without a hash it is refused.
async fn wrong_size(world: &World) -> Result<()> {
    let bundle = changed(world, |reference| {
        reference["content"][0]["attachment"]["size"] = json!(12);
        if let Some(attachment) = reference["content"][0]["attachment"].as_object_mut() {
            attachment.remove("hash");
        }
    });
    let codes = ["invariant", "value", "invalid"];
    world.refuses(&bundle, &REFUSED, &codes, &["XDSRepositoryMetadataError"]).await.map(drop)
}

async fn missing_binary(world: &World) -> Result<()> {
    let mut bundle = world.b65().bundle();
    remove(&mut bundle, 2);
    world.refuses(&bundle, &REFUSED, &["required", "not-found"], &["XDSMissingDocument"]).await.map(drop)
}

async fn binary_without_metadata(world: &World) -> Result<()> {
    let stray = json!({ "fullUrl": urn_uuid(), "resource": Document::new("stray").binary(),
                        "request": { "method": "POST", "url": "Binary" } });
    let bundle = world.b65().entry(stray).bundle();
    let codes = ["required", "invalid", "business-rule"];
    world.refuses(&bundle, &REFUSED, &codes, &["XDSMissingDocumentMetadata"]).await.map(drop)
}

async fn empty_document(world: &World) -> Result<()> {
    let mut bundle = world.b65().only(Document::new("").unmeasured()).bundle();
    bundle["entry"][1]["resource"]["content"][0]["attachment"]["size"] = json!(0);
    if let Some(binary) = bundle["entry"][2]["resource"].as_object_mut() {
        binary.remove("data");
    }
    let details = ["XDSMissingDocument", "InvalidDocumentContent"];
    world.refuses(&bundle, &REFUSED, &["required", "value"], &details).await.map(drop)
}

async fn two_patients(world: &World) -> Result<()> {
    let mut bundle = world.b65().bundle();
    bundle["entry"][0]["resource"]["subject"]["reference"] = json!(world.p2.reference);
    let details = ["XDSPatientIdDoesNotMatch"];
    world.refuses(&bundle, &REFUSED, &["invariant", "invalid"], &details).await.map(drop)
}

async fn unknown_patient(world: &World) -> Result<()> {
    let subject =
        json!({ "identifier": { "system": world.p1.system, "value": format!("nobody-{}", oid()) } });
    let bundle = Provide::with_subject(subject).bundle();
    world.refuses(&bundle, &REFUSED, &["not-found"], &["XDSUnknownPatientId"]).await.map(drop)
}

async fn merged_patient(world: &World) -> Result<()> {
    let bundle = Provide::new(&world.p9.reference).bundle();
    world.refuses(&bundle, &REFUSED, &["not-found"], &["XDSUnknownPatientId"]).await.map(drop)
}

async fn two_submission_sets(world: &World) -> Result<()> {
    let mut second = world.b65().bundle()["entry"][0].clone();
    second["resource"]["entry"] = json!([]);
    if let Some(list) = second["resource"].as_object_mut() {
        list.remove("entry");
    }
    let bundle = world.b65().entry(second).bundle();
    world.refuses(&bundle, &REFUSED, &["invariant", "structure", "invalid"], &[]).await.map(drop)
}

async fn no_submission_set(world: &World) -> Result<()> {
    let mut bundle = world.b65().bundle();
    remove(&mut bundle, 0);
    world.refuses(&bundle, &REFUSED, &["required", "invariant", "structure"], &[]).await.map(drop)
}

async fn one_unique_id_twice(world: &World) -> Result<()> {
    let first = Document::new("one");
    let second = Document::new("two").unique_id(&first.unique_id);
    let bundle = world.b65().documents(vec![first, second]).bundle();
    let details = ["XDSRegistryDuplicateUniqueIdInMessage", "XDSRepositoryDuplicateUniqueIdInMessage"];
    world.refuses(&bundle, &REFUSED, &["duplicate"], &details).await.map(drop)
}

async fn known_unique_id_with_other_bytes(world: &World) -> Result<()> {
    let other = Document::new("something else").unique_id(&world.d1.unique_id);
    let details = ["XDSNonIdenticalHash", "XDSNonIdenticalSize"];
    world.refuses(&world.b65().only(other).bundle(), &[409], &["conflict"], &details).await?;
    let document = world.wire.get(&world.d1.url).await?;
    ensure!(document.body[..] == world.d1.bytes[..], "D1 still returns its bytes");
    Ok(())
}

async fn known_unique_id_with_the_same_bytes(world: &World) -> Result<()> {
    let first = world.stored(world.b65().only(Document::new("told twice"))).await?;
    let again = Document::new("told twice").unique_id(&first.unique_id);
    world.stored(world.b65().only(again)).await.context("the same document in a new submission is legal")?;
    let query = format!("DocumentReference?identifier={}", encode(&first.unique_id));
    let found = world.search(Actor::Registry, &query).await?;
    ensure!(found.len() == 2, "two entries have the unique id, found {}", found.len());
    Ok(())
}

async fn sha1_collision(world: &World) -> Result<()> {
    let Some(data) = &world.data else { return Err(skip("needs the two colliding files")) };
    let read =
        |name: &str| std::fs::read(data.join("bad-input").join(name)).context("reading a colliding file");
    let (a, b) = (read("sha1-collision-a.bin")?, read("sha1-collision-b.bin")?);
    let first =
        world.stored(world.b65().only(Document::new(&a).content_type("application/octet-stream"))).await?;
    let second = Document::new(&b).content_type("application/octet-stream").unique_id(&first.unique_id);
    let before = world.census().await?;
    let answer = world.provide(&world.b65().only(second).bundle()).await?;
    answer
        .refused_with(&[409], &["conflict"], &["XDSNonIdenticalHash"])
        .context("equal SHA-1, other bytes")?;
    ensure!(world.census().await? == before, "nothing is stored");
    let document = world.wire.get(&first.url).await?;
    ensure!(document.body[..] == a[..], "the first file is still what is returned");
    Ok(())
}

async fn identical_resubmission(world: &World) -> Result<()> {
    let provide = world.b65();
    let bundle = provide.bundle();
    let first = world.provide(&bundle).await?;
    first.expect(200)?;
    let second = world.provide(&bundle).await?;
    if second.status == 409 {
        second.refused_with(&[409], &["duplicate"], &["XDSDuplicateUniqueIdInRegistry"])?;
    } else {
        second.expect(200)?;
        ensure!(
            locations(&first)? == locations(&second)?,
            "the same locations: {} and {}",
            first.excerpt(),
            second.excerpt()
        );
        ensure!(second.header("Idempotency-Replayed") == Some("true"), "the replay says that it is one");
    }
    only_one_set(world, &provide).await
}

async fn same_set_with_other_content(world: &World) -> Result<()> {
    let provide = world.b65();
    let first = world.provide(&provide.bundle()).await?;
    first.expect(200)?;
    let changed = provide.clone().title("Andere Befunde").bundle();
    let before = world.census().await?;
    let answer = world.provide(&changed).await?;
    answer.refused_with(&[409], &["duplicate", "conflict"], &["XDSDuplicateUniqueIdInRegistry"])?;
    ensure!(world.census().await? == before, "nothing is stored");
    let set = created(&first, "List")?.remove(0);
    let list = world.wire.get(&world.url(Actor::Registry, &format!("List/{set}"))).await?.expect(200)?;
    ensure!(list["title"] == provide.title, "the first submission is unchanged");
    Ok(())
}

async fn fifty_identical_at_once(world: &World) -> Result<()> {
    world.wire.tolerate(&[503]);
    let provide = world.b65();
    let bundle = provide.bundle();
    let answers = join_all((0..50).map(|_| world.provide(&bundle))).await;
    let mut places = Vec::new();
    for answer in answers {
        let answer = answer?;
        match answer.status {
            200 => places.push(locations(&answer)?),
            503 => ensure!(answer.header("Retry-After").is_some(), "503 says when to come again"),
            409 => {}
            other => anyhow::bail!("answered {other}: {}", answer.excerpt()),
        }
    }
    ensure!(!places.is_empty(), "at least one succeeds");
    ensure!(places.iter().all(|place| *place == places[0]), "all successes name the same locations");
    only_one_set(world, &provide).await?;
    let query = format!("DocumentReference?identifier={}", encode(&provide.documents[0].unique_id));
    let found = world.search(Actor::Registry, &query).await?;
    ensure!(found.len() == 1, "one document, found {}", found.len());
    Ok(())
}

async fn known_entry_uuid(world: &World) -> Result<()> {
    let taken = Document::new("usurper").entry_uuid(&format!("urn:uuid:{}", world.d1.id));
    let before = world.census().await?;
    let answer = world.provide(&world.b65().only(taken.clone()).bundle()).await?;
    answer.refused(&[400, 409, 422], &[])?;
    ensure!(world.census().await? == before, "nothing is stored");
    ensure!(world.reference(&world.d1.id).await? == world.d1.resource, "D1 is unchanged");
    Ok(())
}

async fn one_of_two_is_faulty(world: &World) -> Result<()> {
    let provide = world.b65().document(Document::new("second"));
    let mut bundle = provide.bundle();
    if let Some(reference) = bundle["entry"][3]["resource"].as_object_mut() {
        reference.remove("category");
    }
    let answer = world.refuses(&bundle, &REFUSED, &[], &[]).await?;
    let issues = answer.issues()?;
    let place = issues
        .iter()
        .any(|issue| issue.expressions.iter().any(|at| at.contains("entry[3]") && at.contains("category")));
    ensure!(place, "the outcome points at the missing category: {}", answer.excerpt());
    Ok(())
}

async fn replace_of_nothing(world: &World) -> Result<()> {
    let target = "DocumentReference/00000000-0000-0000-0000-000000000000";
    let bundle = world.b65().only(Document::new("x").relates_to("replaces", target)).bundle();
    world.refuses(&bundle, &REFUSED, &["not-found"], &["UnresolvedReferenceException"]).await.map(drop)
}

async fn replace_of_a_superseded_document(world: &World) -> Result<()> {
    let target = format!("DocumentReference/{}", world.d1s.id);
    let bundle = world.b65().only(Document::new("x").relates_to("replaces", &target)).bundle();
    let statuses = [400, 409, 422];
    world.refuses(&bundle, &statuses, &[], &["XDSRegistryDeprecatedDocumentError"]).await.map(drop)
}

async fn twenty_concurrent_replaces(world: &World) -> Result<()> {
    let original = world.stored(world.b65().only(Document::new("wanted by many"))).await?;
    let target = format!("DocumentReference/{}", original.id);
    let bundles: Vec<Value> = (0..20)
        .map(|n| {
            let successor = Document::new(format!("successor {n}")).relates_to("replaces", &target);
            world.b65().only(successor).superseding(&original.id).bundle()
        })
        .collect();
    let answers = join_all(bundles.iter().map(|bundle| world.provide(bundle))).await;
    let mut accepted = 0;
    for answer in answers {
        let answer = answer?;
        if answer.status == 200 {
            accepted += 1;
        } else {
            answer.refused_with(&[400, 409, 422], &[], &["XDSRegistryDeprecatedDocumentError"])?;
        }
    }
    ensure!(accepted == 1, "exactly one replace succeeds, {accepted} did");
    let query =
        format!("DocumentReference?patient={}&status=current&_count=1000", encode(&world.p1.reference));
    let current = world.search(Actor::Registry, &query).await?;
    let successors = current.iter().filter(|reference| relates_to(reference, &original.id)).count();
    ensure!(successors == 1, "one approved successor, found {successors}");
    ensure!(world.reference(&original.id).await?["status"] == "superseded", "the original is superseded");
    Ok(())
}

async fn replace_across_patients(world: &World) -> Result<()> {
    let target = format!("DocumentReference/{}", world.d1.id);
    let document = Document::new("x").relates_to("replaces", &target);
    let bundle = Provide::new(&world.p2.reference).only(document).bundle();
    world.refuses(&bundle, &REFUSED, &[], &["XDSPatientIdDoesNotMatch"]).await?;
    ensure!(world.reference(&world.d1.id).await?["status"] == "current", "D1 stays current");
    Ok(())
}

async fn status_of_an_unrelated_document(world: &World) -> Result<()> {
    let bundle = world.b65().superseding(&world.d1.id).bundle();
    world.refuses(&bundle, &[400, 403, 422], &["business-rule", "forbidden", "not-supported"], &[]).await?;
    ensure!(world.reference(&world.d1.id).await?["status"] == "current", "D1 stays current");
    Ok(())
}

async fn hidden_delete(world: &World) -> Result<()> {
    let delete =
        json!({ "request": { "method": "DELETE", "url": format!("DocumentReference/{}", world.d2.id) } });
    let bundle = world.b65().entry(delete).bundle();
    world.refuses(&bundle, &[400, 403, 422], &["not-supported", "forbidden", "business-rule"], &[]).await?;
    ensure!(world.reference(&world.d2.id).await? == world.d2.resource, "D2 is still there");
    Ok(())
}

async fn one_full_url_twice(world: &World) -> Result<()> {
    let provide = world.b65().document(Document::new("second"));
    let mut bundle = provide.bundle();
    bundle["entry"][3]["fullUrl"] = bundle["entry"][1]["fullUrl"].clone();
    world.refuses(&bundle, &REFUSED, &["invariant", "invalid", "duplicate", "structure"], &[]).await.map(drop)
}

async fn folder_of_another_patient(world: &World) -> Result<()> {
    let document = Document::new("x");
    let folder = Folder::new("Mappe", &[&document.url]);
    let provide = world.b65().only(document).folder(folder);
    let mut bundle = provide.bundle();
    bundle["entry"][3]["resource"]["subject"]["reference"] = json!(world.p2.reference);
    world.refuses(&bundle, &REFUSED, &[], &["XDSPatientIdDoesNotMatch"]).await.map(drop)
}

async fn line_break_in_content_type(world: &World) -> Result<()> {
    let content_type = json!("text/plain\r\nSet-Cookie: a=b");
    let bundle =
        changed(world, |reference| reference["content"][0]["attachment"]["contentType"] = content_type);
    world.refuses(&bundle, &REFUSED, &["value"], &[]).await.map(drop)
}

async fn path_as_id(world: &World) -> Result<()> {
    let mut bundle = world.b65().bundle();
    bundle["entry"][2]["resource"]["id"] = json!("../../../../etc/cron.d/x");
    world.refuses(&bundle, &[400], &["value", "structure"], &[]).await.map(drop)
}

async fn only_one_set(world: &World, provide: &Provide) -> Result<()> {
    let unique_id = provide.unique_id.clone().unwrap_or_else(urn_oid);
    let query = format!("List?code=submissionset&identifier={}", encode(&unique_id));
    let patient = format!("{query}&patient={}", encode(&world.p1.reference));
    let sets = world.search(Actor::Registry, &patient).await?;
    ensure!(sets.len() == 1, "one SubmissionSet is visible, found {}", sets.len());
    Ok(())
}

pub(super) fn locations(answer: &Answer) -> Result<Vec<String>> {
    let bundle = answer.json()?;
    let entries = bundle["entry"].as_array().context("a response has entries")?;
    Ok(entries.iter().map(|entry| text(&entry["response"]["location"])).collect())
}

fn relates_to(reference: &Value, id: &str) -> bool {
    let relations = reference["relatesTo"].as_array();
    relations.is_some_and(|all| all.iter().any(|one| text(&one["target"]["reference"]).ends_with(id)))
}

fn remove(bundle: &mut Value, index: usize) {
    if let Some(entries) = bundle["entry"].as_array_mut() {
        entries.remove(index);
    }
}
