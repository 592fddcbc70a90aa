//! Rows of the catalogue of bad input whose transaction is ITI-41 or ITI-42, as XDS.b sends them. Those with a form in FHIR
//! as well are judged twice, there under the bare number.

use anyhow::{Context as _, Result, ensure};

use super::super::world::World;
use super::super::{Case, case, skip};
use super::ask::{ITI_18, ITI_42, objects};
use super::fixture::{Entry, Set};
use super::seed::query;
use crate::markup::Element;
use crate::soap::Reply;

const GET_DOCUMENTS: &str = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4";

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("submission-02/xds", wrong_size),
        case!("submission-13/xds", known_unique_id_with_the_same_bytes),
        case!("submission-14/xds", sha1_collision),
        case!("submission-18/xds", known_entry_uuid),
        case!("submission-19/xds", one_of_two_is_faulty),
        case!("submission-21/xds", replace_of_a_deprecated_document),
        case!("submission-23/xds", replace_across_patients),
        case!("submission-27/xds", folder_of_another_patient),
        case!("submission-30", slot_without_urn),
    ]
}

/// Refused as a whole, with one of these codes.
async fn refused(world: &World, set: &Set, reply: Reply, codes: &[&str]) -> Result<()> {
    let status = reply.registry_status()?;
    ensure!(status == "Failure", "Failure is expected, {status} came: {}", reply.told());
    let errors = reply.errors();
    ensure!(
        errors.iter().any(|(code, ..)| codes.contains(&code.as_str())),
        "one of {codes:?} is expected: {}",
        reply.told()
    );
    ensure!(errors.iter().all(|(_, context, _)| !context.is_empty()), "each error says what it is about");
    for entry in &set.entries {
        ensure!(found(world, &entry.unique_id).await? == 0, "nothing is registered of {}", entry.unique_id);
    }
    Ok(())
}

/// How many entries have this unique id.
async fn found(world: &World, unique_id: &str) -> Result<usize> {
    let parameters = [("$XDSDocumentEntryUniqueId".to_owned(), vec![format!("('{unique_id}')")])];
    let reply = world.ask(ITI_18, &query(GET_DOCUMENTS, "ObjectRef", &parameters)).await?;
    ensure!(reply.registry_status()? == "Success", "{}", reply.told());
    Ok(objects(&reply)?.references.len())
}

async fn register(world: &World, submit: &Element) -> Result<Reply> {
    world.ask(ITI_42, &submit.write()).await
}

async fn registered(world: &World, set: &Set) -> Result<()> {
    let reply = register(world, &set.write(true)?).await?;
    ensure!(reply.registry_status()? == "Success", "{}", reply.told());
    Ok(())
}

/// Registers a set that is to be refused.
async fn refuses(world: &World, set: &Set, codes: &[&str]) -> Result<()> {
    let reply = register(world, &set.write(true)?).await?;
    refused(world, set, reply, codes).await
}

async fn wrong_size(world: &World) -> Result<()> {
    let mut entry = Entry::new("Document01", "of another size");
    entry.slots.push(("size".to_owned(), (entry.bytes.len() + 1).to_string()));
    let set = Set::new(&world.p1, vec![entry]);
    let reply = world.provide_xds(&set.write(false)?, &set.documents()).await?;
    refused(world, &set, reply, &["XDSRepositoryMetadataError"]).await
}

async fn known_unique_id_with_the_same_bytes(world: &World) -> Result<()> {
    let first = Entry::new("Document01", "told twice");
    let again = first.clone();
    registered(world, &Set::new(&world.p1, vec![first])).await?;
    let unique_id = again.unique_id.clone();
    registered(world, &Set::new(&world.p1, vec![again])).await.context("it is legal")?;
    let entries = found(world, &unique_id).await?;
    ensure!(entries == 2, "two entries have the unique id, found {entries}");
    Ok(())
}

async fn sha1_collision(world: &World) -> Result<()> {
    let Some(data) = &world.data else { return Err(skip("needs the two colliding files")) };
    let read =
        |name: &str| std::fs::read(data.join("bad-input").join(name)).context("reading a colliding file");
    let (a, b) = (read("sha1-collision-a.bin")?, read("sha1-collision-b.bin")?);
    let entry = |bytes: Vec<u8>| Entry {
        bytes,
        mime: "application/octet-stream".to_owned(),
        ..Entry::new("Document01", "collides")
    };
    let first = Set::new(&world.p1, vec![entry(a)]);
    let reply = world.provide_xds(&first.write(false)?, &first.documents()).await?;
    ensure!(reply.registry_status()? == "Success", "{}", reply.told());
    let unique_id = first.entries[0].unique_id.clone();
    let second = Set::new(&world.p1, vec![Entry { unique_id: unique_id.clone(), ..entry(b) }]);
    let reply = world.provide_xds(&second.write(false)?, &second.documents()).await?;
    ensure!(reply.registry_status()? == "Failure", "equal SHA-1, other bytes: {}", reply.told());
    let told = reply.errors();
    ensure!(told.iter().any(|(code, ..)| code == "XDSNonIdenticalHash"), "{}", reply.told());
    let entries = found(world, &unique_id).await?;
    ensure!(entries == 1, "the first entry is the only one, found {entries}");
    Ok(())
}

async fn known_entry_uuid(world: &World) -> Result<()> {
    let id = format!("urn:uuid:{}", world.d1.id);
    let set = Set::new(&world.p1, vec![Entry::new(&id, "takes the name of another")]);
    refuses(world, &set, &["XDSRegistryMetadataError", "XDSRegistryError"]).await
}

async fn one_of_two_is_faulty(world: &World) -> Result<()> {
    let entries = vec![Entry::new("Document01", "sound"), Entry::new("Document02", "faulty")];
    let set = Set::new(&world.p1, entries);
    let mut submit = set.write(true)?;
    submit.visit(&mut |element| {
        if element.attribute("id") == Some("Document02") {
            element.visit(&mut |slot| {
                if slot.attribute("name") == Some("repositoryUniqueId") {
                    slot.set("name", "urn:docshare:tests:repository");
                }
            });
        }
    });
    let reply = register(world, &submit).await?;
    refused(world, &set, reply, &["XDSRegistryMetadataError"]).await
}

fn replacing(world: &World, target: &str) -> Set {
    let mut entry = Entry::new("Document01", "replaces");
    entry.relations.push(("RPLC", format!("urn:uuid:{target}")));
    Set::new(&world.p1, vec![entry])
}

async fn replace_of_a_deprecated_document(world: &World) -> Result<()> {
    let set = replacing(world, &world.d1s.id);
    refuses(world, &set, &["XDSRegistryDeprecatedDocumentError"]).await
}

async fn replace_across_patients(world: &World) -> Result<()> {
    let set = replacing(world, &world.d2.id);
    refuses(world, &set, &["XDSPatientIdDoesNotMatch"]).await
}

async fn folder_of_another_patient(world: &World) -> Result<()> {
    let mut set = Set::new(&world.p1, vec![Entry::new("Document01", "in a folder of another")]);
    set.folder = Some(testkit::oid());
    let mut submit = set.write(true)?;
    let other = super::fixture::cx(&world.p2);
    submit.visit(&mut |element| {
        if element.attribute("identificationScheme") == Some("urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a")
        {
            element.set("value", &other);
        }
    });
    let reply = register(world, &submit).await?;
    refused(world, &set, reply, &["XDSPatientIdDoesNotMatch"]).await
}

async fn slot_without_urn(world: &World) -> Result<()> {
    let mut entry = Entry::new("Document01", "with a slot of its own");
    entry.slots.push(("foo".to_owned(), "bar".to_owned()));
    refuses(world, &Set::new(&world.p1, vec![entry]), &["XDSRegistryMetadataError"]).await
}
