//! Stored queries and retrievals that are wrong, or cost too much.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use uuid::Uuid;

use super::message::{ASK, RETRIEVE, cx, simple};
use super::told;
use crate::answer::Answer;
use crate::conformance::world::{Person, World};
use crate::conformance::{Case, case};
use crate::region::Actor;
use crate::soap::{self, Reply};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("soap-05", unknown_query),
        case!("soap-06", parameter_missing),
        case!("soap-07", too_many_values),
        case!("soap-08", sql),
        case!("soap-09", unterminated_quote),
        case!("soap-10", a_hundred_thousand_values),
        case!("soap-11", two_patients),
        case!("soap-13", pathological_pattern),
        case!("soap-14", wrong_repository),
        case!("soap-15", unknown_document),
        case!("soap-16", one_of_two),
        case!("soap-18", amplification),
    ]
}

const FIND_DOCUMENTS: &str = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d";
const GET_DOCUMENTS: &str = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4";
const APPROVED: &str = "'urn:oasis:names:tc:ebxml-regrep:StatusType:Approved'";

/// A stored query with these parameters.
fn query(id: &str, returned: &str, parameters: &[(&str, Vec<String>)]) -> String {
    let mut slots = String::new();
    for (name, values) in parameters {
        let values: String = values
            .iter()
            .map(|value| {
                format!("<rim:Value>{}</rim:Value>", value.replace('&', "&amp;").replace('<', "&lt;"))
            })
            .collect();
        slots += &format!("<rim:Slot name=\"{name}\"><rim:ValueList>{values}</rim:ValueList></rim:Slot>");
    }
    format!(
        "<query:AdhocQueryRequest xmlns:query=\"urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0\" \
         xmlns:rim=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\"><query:ResponseOption returnComposedObjects=\"true\" \
         returnType=\"{returned}\"/><rim:AdhocQuery id=\"{id}\">{slots}</rim:AdhocQuery></query:AdhocQueryRequest>"
    )
}

/// FindDocuments of these patients (one is right), with further parameters.
fn find(patients: &[String], more: &[(&str, Vec<String>)]) -> String {
    let mut parameters = vec![
        ("$XDSDocumentEntryPatientId", patients.to_vec()),
        ("$XDSDocumentEntryStatus", vec![format!("({APPROVED})")]),
    ];
    parameters.retain(|(_, values)| !values.is_empty());
    parameters.extend(more.iter().cloned());
    query(FIND_DOCUMENTS, "LeafClass", &parameters)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// S18.
pub(super) fn of_patient(person: &Person) -> String {
    find(&[quoted(&cx(person))], &[])
}

async fn ask(world: &World, body: &str) -> Result<(String, Reply, Duration)> {
    let message = simple(world, Actor::Registry, ASK, body)?;
    let answer = world.post_soap(Actor::Registry, &message).await?;
    let (told, reply) = told(&answer)?;
    Ok((told, reply, answer.took))
}

/// A question is refused with one of these codes, and says nothing of what is registered.
async fn is_refused(world: &World, body: &str, codes: &[&str]) -> Result<Duration> {
    let (told, reply, took) = ask(world, body).await?;
    ensure!(codes.iter().any(|code| told.contains(code)), "refused by one of {codes:?}: {told}");
    ensure!(reply.envelope.find("ExtrinsicObject").is_empty(), "no metadata comes back");
    Ok(took)
}

async fn unknown_query(world: &World) -> Result<()> {
    let body = query("urn:uuid:00000000-0000-0000-0000-000000000000", "LeafClass", &[]);
    is_refused(world, &body, &["Failure XDSUnknownStoredQuery"]).await.map(drop)
}

async fn parameter_missing(world: &World) -> Result<()> {
    is_refused(world, &find(&[], &[]), &["XDSStoredQueryMissingParam"]).await.map(drop)
}

async fn too_many_values(world: &World) -> Result<()> {
    let body = find(&[quoted(&cx(&world.p1)), quoted(&cx(&world.p2))], &[]);
    is_refused(world, &body, &["XDSStoredQueryParamNumber"]).await.map(drop)
}

async fn sql(world: &World) -> Result<()> {
    let (told, reply, took) = ask(world, &find(&["'x'' OR ''1''=''1'".to_owned()], &[])).await?;
    ensure!(told.starts_with("Success") || told.contains("XDSUnknownPatientId"), "{told}");
    ensure!(reply.envelope.find("ExtrinsicObject").is_empty(), "nothing is found");
    ensure!(took < Duration::from_secs(1), "the answer took {took:?}");
    Ok(())
}

async fn unterminated_quote(world: &World) -> Result<()> {
    let body = find(&[quoted(&cx(&world.p1))], &[("$XDSDocumentEntryClassCode", vec!["('abc".to_owned()])]);
    is_refused(world, &body, &["XDSRegistryError", "XDSStoredQueryParamNumber"]).await.map(drop)
}

async fn a_hundred_thousand_values(world: &World) -> Result<()> {
    let ids: Vec<String> = (0..100_000).map(|_| format!("('urn:uuid:{}')", Uuid::new_v4())).collect();
    let body = query(GET_DOCUMENTS, "LeafClass", &[("$XDSDocumentEntryEntryUUID", ids)]);
    let codes = ["OutOfResources", "XDSTooManyResults", "XDSStoredQueryParamNumber", "Sender"];
    let took = is_refused(world, &body, &codes).await?;
    ensure!(!world.subject.bars() || took < Duration::from_secs(3), "the answer took {took:?}");
    Ok(())
}

async fn two_patients(world: &World) -> Result<()> {
    let ids = format!("('urn:uuid:{}','urn:uuid:{}')", world.d1.id, world.d2.id);
    let body = query(GET_DOCUMENTS, "LeafClass", &[("$XDSDocumentEntryEntryUUID", vec![ids])]);
    is_refused(world, &body, &["XDSResultNotSinglePatient"]).await.map(drop)
}

async fn pathological_pattern(world: &World) -> Result<()> {
    let pattern = format!("('{}%b')", "%a".repeat(15));
    let body = find(&[quoted(&cx(&world.p1))], &[("$XDSDocumentEntryAuthorPerson", vec![pattern])]);
    let (told, _, took) = ask(world, &body).await?;
    ensure!(told.starts_with("Success"), "{told}");
    ensure!(took < Duration::from_secs(1), "the answer took {took:?}");
    Ok(())
}

/// S43 of these documents; none names the repository: that of D1.
async fn retrieve(world: &World, repository: Option<&str>, documents: &[String]) -> Result<Answer> {
    let own = match repository {
        Some(repository) => repository.to_owned(),
        None => repository_of(world).await?,
    };
    let mut body = String::from("<xds:RetrieveDocumentSetRequest xmlns:xds=\"urn:ihe:iti:xds-b:2007\">");
    for document in documents {
        body += &format!(
            "<xds:DocumentRequest><xds:RepositoryUniqueId>{own}</xds:RepositoryUniqueId><xds:DocumentUniqueId>{document}\
             </xds:DocumentUniqueId></xds:DocumentRequest>"
        );
    }
    body += "</xds:RetrieveDocumentSetRequest>";
    let message = soap::mtom(&world.soap_url(Actor::Repository)?, RETRIEVE, &body, &[]);
    world.post_soap(Actor::Repository, &message).await
}

/// The repository of the documents of P1, as their entries name it.
pub(super) async fn repository_of(world: &World) -> Result<String> {
    let (told, reply, _) = ask(world, &of_patient(&world.p1)).await?;
    let slots = reply.envelope.find("Slot");
    let slot = slots.into_iter().find(|slot| slot.attribute("name") == Some("repositoryUniqueId"));
    let slot = slot.with_context(|| format!("an entry names its repository: {told}"))?;
    Ok(slot.text().trim().to_owned())
}

/// ITI-43 of one document.
pub(super) async fn bytes_of(world: &World, unique_id: &str) -> Result<Vec<u8>> {
    let answer = retrieve(world, None, &[unique_id.to_owned()]).await?;
    let (told, reply) = told(&answer)?;
    ensure!(told.starts_with("Success"), "{told}");
    Ok(reply.documents()?.into_iter().next().context("a document comes back")?.1)
}

fn unique_id_of_d1(world: &World) -> String {
    world.d1.unique_id.trim_start_matches("urn:oid:").to_owned()
}

async fn wrong_repository(world: &World) -> Result<()> {
    let answer = retrieve(world, Some("9.9.9"), &[unique_id_of_d1(world)]).await?;
    let (told, _) = told(&answer)?;
    ensure!(told == "Failure XDSUnknownRepositoryId", "{told}");
    Ok(())
}

async fn unknown_document(world: &World) -> Result<()> {
    let answer = retrieve(world, None, &["9.9.9.9".to_owned()]).await?;
    let (told, reply) = told(&answer)?;
    ensure!(told == "Failure XDSDocumentUniqueIdError", "{told}");
    let error = reply.envelope.first("RegistryError").context("an error")?;
    ensure!(error.attribute("location") == Some("9.9.9.9"), "its location is the id: {}", error.write());
    Ok(())
}

async fn one_of_two(world: &World) -> Result<()> {
    let answer = retrieve(world, None, &[unique_id_of_d1(world), "9.9.9.9".to_owned()]).await?;
    let (told, reply) = told(&answer)?;
    ensure!(told == "PartialSuccess XDSDocumentUniqueIdError", "{told}");
    let documents = reply.documents()?;
    ensure!(documents.len() == 1 && documents[0].1 == world.d1.bytes, "D1 comes back as it is");
    Ok(())
}

async fn amplification(world: &World) -> Result<()> {
    let answer = retrieve(world, None, &vec![unique_id_of_d1(world); 10_000]).await?;
    let (told, _) = told(&answer)?;
    let codes = ["XDSTooManyResults", "XDSRepositoryOutOfResources", "Sender"];
    ensure!(codes.iter().any(|code| told.contains(code)), "{told}");
    ensure!(
        !world.subject.bars() || answer.took < Duration::from_secs(3),
        "the answer took {:?}",
        answer.took
    );
    Ok(())
}
