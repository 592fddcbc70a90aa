//! Two faces, one truth: what came in by one door is found, retrieved, replaced and refused by the other.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testkit::{Document, Provide};

use super::super::world::{World, encode};
use super::super::{Case, case};
use super::ask::{ITI_18, ITI_43, ITI_62, objects};
use super::fixture::{Entry, Set, cx};
use super::seed::query;
use crate::markup::Element;
use crate::region::Actor;
use crate::soap::Reply;

const FIND_DOCUMENTS: &str = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d";
const GET_DOCUMENTS: &str = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4";
const GET_SET: &str = "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83";
const STATUS: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:";

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("doors-soap-in-fhir-out", soap_in),
        case!("doors-fhir-in-soap-out", fhir_in),
        case!("doors-fhir-replaces", fhir_replaces),
        case!("doors-soap-replaces", soap_replaces),
        case!("doors-same-submission-again", again),
        case!("doors-same-key-other-content", other_content),
        case!("doors-many-documents-and-folder", many),
        case!("doors-extra-metadata", extra),
        case!("doors-inline-documents", inline),
        case!("doors-partial-retrieval", partial),
        case!("doors-removed-metadata", removed),
        case!("doors-mime-type-kept", mime_type),
    ]
}

/// The answer, if it is a success.
fn success(reply: Reply) -> Result<Reply> {
    let status = reply.registry_status()?;
    ensure!(status == "Success", "Success is expected, {status} came: {}", reply.told());
    Ok(reply)
}

async fn submitted(world: &World, set: &Set) -> Result<()> {
    success(world.provide_xds(&set.write(false)?, &set.documents()).await?).map(drop)
}

/// The reference of a document by its unique id, over FHIR.
async fn reference(world: &World, unique_id: &str) -> Result<Value> {
    let query =
        format!("DocumentReference?identifier={}", encode(&format!("urn:ietf:rfc:3986|urn:oid:{unique_id}")));
    let found = world.search(Actor::Registry, &query).await?;
    ensure!(found.len() == 1, "one document has the unique id {unique_id}, not {}", found.len());
    Ok(found[0].clone())
}

/// An entry by its unique id, over SOAP.
async fn entry(world: &World, unique_id: &str) -> Result<Element> {
    let parameters = [("$XDSDocumentEntryUniqueId".to_owned(), vec![format!("('{unique_id}')")])];
    let reply = success(world.ask(ITI_18, &query(GET_DOCUMENTS, "LeafClass", &parameters)).await?)?;
    let found = objects(&reply)?;
    ensure!(
        found.documents.len() == 1,
        "one entry has the unique id {unique_id}, not {}",
        found.documents.len()
    );
    Ok(found.documents[0].clone())
}

fn of(reference: &Value, pointer: &str) -> String {
    reference.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn first(entry: &Element, slot: &str) -> Result<String> {
    entry.slot(slot).into_iter().next().with_context(|| format!("the entry has {slot}"))
}

async fn retrieve(world: &World, wanted: &[(&str, &str)]) -> Result<Reply> {
    let mut body = String::from("<xds:RetrieveDocumentSetRequest xmlns:xds=\"urn:ihe:iti:xds-b:2007\">");
    for (repository, document) in wanted {
        body += &format!(
            "<xds:DocumentRequest><xds:RepositoryUniqueId>{repository}</xds:RepositoryUniqueId>\
             <xds:DocumentUniqueId>{document}</xds:DocumentUniqueId></xds:DocumentRequest>"
        );
    }
    body += "</xds:RetrieveDocumentSetRequest>";
    world.ask(ITI_43, &body).await
}

async fn soap_in(world: &World) -> Result<()> {
    let person = world.person("doors").await?;
    let set = Set::new(&person, vec![Entry::new("Document01", "by SOAP")]);
    submitted(world, &set).await?;
    let found = world
        .search(
            Actor::Registry,
            &format!("DocumentReference?patient={}&status=current", encode(&person.reference)),
        )
        .await?;
    ensure!(found.len() == 1, "the patient has one document: {}", found.len());
    let document = &found[0];
    ensure!(
        of(document, "/masterIdentifier/value") == format!("urn:oid:{}", set.entries[0].unique_id),
        "its unique id"
    );
    ensure!(of(document, "/content/0/attachment/contentType") == "text/plain", "its media type");
    ensure!(of(document, "/type/coding/0/system") == "http://loinc.org", "its type is of LOINC: {document}");
    let bytes = world.wire.get(&of(document, "/content/0/attachment/url")).await?;
    ensure!(bytes.status == 200 && bytes.body[..] == set.entries[0].bytes[..], "its bytes come by ITI-68");
    let again = entry(world, &set.entries[0].unique_id).await?;
    let id = again.attribute("id").unwrap_or_default();
    ensure!(id == format!("urn:uuid:{}", of(document, "/id")), "the id is the entryUUID: {id}");
    Ok(())
}

async fn fhir_in(world: &World) -> Result<()> {
    let person = world.person("doors").await?;
    let stored = world.stored(Provide::new(&person.reference).only(Document::new("by FHIR"))).await?;
    let unique_id = stored.unique_id.trim_start_matches("urn:oid:").to_owned();
    let parameters = [
        ("$XDSDocumentEntryPatientId".to_owned(), vec![format!("'{}'", cx(&person))]),
        ("$XDSDocumentEntryStatus".to_owned(), vec![format!("('{STATUS}Approved')")]),
    ];
    let reply = success(world.ask(ITI_18, &query(FIND_DOCUMENTS, "LeafClass", &parameters)).await?)?;
    let found = objects(&reply)?;
    ensure!(found.documents.len() == 1, "the patient has one document: {}", found.documents.len());
    let document = found.documents[0];
    ensure!(document.attribute("id") == Some(&format!("urn:uuid:{}", stored.id)), "the entryUUID is the id");
    ensure!(document.attribute("mimeType") == Some("text/plain"), "its media type");
    ensure!(first(document, "size")? == stored.bytes.len().to_string(), "its size");
    let patient = document
        .named("ExternalIdentifier")
        .find(|id| {
            id.attribute("identificationScheme") == Some("urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427")
        })
        .and_then(|id| id.attribute("value"));
    ensure!(patient == Some(&cx(&person)), "the patient is a CX: {patient:?}");
    let repository = first(document, "repositoryUniqueId")?;
    let reply = success(retrieve(world, &[(&repository, &unique_id)]).await?)?;
    ensure!(reply.documents()? == [(unique_id, stored.bytes)], "the bytes come by ITI-43");
    Ok(())
}

async fn fhir_replaces(world: &World) -> Result<()> {
    let person = world.person("doors").await?;
    let set = Set::new(&person, vec![Entry::new("Document01", "to be replaced by FHIR")]);
    submitted(world, &set).await?;
    let old = of(&reference(world, &set.entries[0].unique_id).await?, "/id");
    let target = format!("DocumentReference/{old}");
    let new = Document::new("the new one").relates_to("replaces", &target);
    world.stored(Provide::new(&person.reference).only(new).superseding(&old)).await?;
    let entry = entry(world, &set.entries[0].unique_id).await?;
    ensure!(entry.attribute("status") == Some(&format!("{STATUS}Deprecated")), "the old one is deprecated");
    Ok(())
}

async fn soap_replaces(world: &World) -> Result<()> {
    let person = world.person("doors").await?;
    let stored =
        world.stored(Provide::new(&person.reference).only(Document::new("to be replaced by SOAP"))).await?;
    let mut new = Entry::new("Document01", "the new one");
    new.relations.push(("RPLC", format!("urn:uuid:{}", stored.id)));
    submitted(world, &Set::new(&person, vec![new])).await?;
    let old = world.reference(&stored.id).await?;
    ensure!(old["status"] == "superseded", "the old one is superseded: {}", old["status"]);
    Ok(())
}

async fn again(world: &World) -> Result<()> {
    let person = world.person("doors").await?;
    let set = Set::new(&person, vec![Entry::new("Document01", "sent twice")]);
    submitted(world, &set).await?;
    submitted(world, &set).await.context("the same again is answered as the first time")?;
    reference(world, &set.entries[0].unique_id).await.map(drop)
}

async fn other_content(world: &World) -> Result<()> {
    let person = world.person("doors").await?;
    let set = Set::new(&person, vec![Entry::new("Document01", "the first")]);
    submitted(world, &set).await?;
    let mut other = Set::new(&person, vec![Entry::new("Document01", "another")]);
    other.unique_id.clone_from(&set.unique_id);
    let reply = world.provide_xds(&other.write(false)?, &other.documents()).await?;
    ensure!(reply.registry_status()? == "Failure", "other content under the same id is refused");
    let codes: Vec<String> = reply.errors().into_iter().map(|(code, ..)| code).collect();
    ensure!(codes.iter().any(|code| code == "XDSDuplicateUniqueIdInRegistry"), "by its code: {codes:?}");
    let mut bundle = Provide::new(&person.reference).only(Document::new("by the other door")).bundle();
    let mut named = 0;
    for entry in bundle["entry"].as_array_mut().context("a bundle has entries")? {
        let resource = &mut entry["resource"];
        if resource["resourceType"] == "List" {
            for identifier in resource["identifier"].as_array_mut().into_iter().flatten() {
                if identifier["value"].as_str().is_some_and(|value| value.starts_with("urn:oid:")) {
                    identifier["value"] = Value::from(format!("urn:oid:{}", set.unique_id));
                    named += 1;
                }
            }
        }
    }
    ensure!(named > 0, "the set has a unique id");
    let answer = world.provide(&bundle).await?;
    answer.refused_with(&[400, 409, 422], &[], &["XDSDuplicateUniqueIdInRegistry"]).map(drop)
}

async fn many(world: &World) -> Result<()> {
    let person = world.person("doors").await?;
    let entries =
        (1..=3).map(|number| Entry::new(&format!("Document0{number}"), &format!("number {number}")));
    let mut set = Set::new(&person, entries.collect());
    set.folder = Some(testkit::oid());
    submitted(world, &set).await?;
    let parameters = [("$XDSSubmissionSetUniqueId".to_owned(), vec![format!("'{}'", set.unique_id)])];
    let reply = success(world.ask(ITI_18, &query(GET_SET, "LeafClass", &parameters)).await?)?;
    let found = objects(&reply)?;
    let counts = (found.documents.len(), found.sets.len(), found.folders.len(), found.associations.len());
    ensure!(counts == (3, 1, 1, 10), "the set holds what was sent: {counts:?}");
    let repository = first(found.documents[0], "repositoryUniqueId")?;
    let wanted: Vec<_> =
        set.entries.iter().map(|entry| (repository.as_str(), entry.unique_id.as_str())).collect();
    let mut documents = success(retrieve(world, &wanted).await?)?.documents()?;
    documents.sort();
    let mut sent: Vec<_> =
        set.entries.iter().map(|entry| (entry.unique_id.clone(), entry.bytes.clone())).collect();
    sent.sort();
    ensure!(documents == sent, "all three come back");
    let folders = world
        .search(Actor::Registry, &format!("List?patient={}&code=folder", encode(&person.reference)))
        .await?;
    ensure!(
        folders.len() == 1 && folders[0]["entry"].as_array().is_some_and(|e| e.len() == 3),
        "the folder holds three"
    );
    Ok(())
}

async fn extra(world: &World) -> Result<()> {
    let person = world.person("doors").await?;
    let mut own = Entry::new("Document01", "with more metadata");
    own.slots.push(("urn:example:ward".to_owned(), "7 West & <North>".to_owned()));
    let set = Set::new(&person, vec![own]);
    submitted(world, &set).await?;
    let entry = entry(world, &set.entries[0].unique_id).await?;
    ensure!(entry.slot("urn:example:ward") == ["7 West & <North>"], "the slot comes back: {}", entry.write());
    Ok(())
}

async fn inline(world: &World) -> Result<()> {
    use base64::Engine as _;
    let person = world.person("doors").await?;
    let set = Set::new(&person, vec![Entry::new("Document01", "within the message")]);
    let document = base64::engine::general_purpose::STANDARD.encode(&set.entries[0].bytes);
    let body = format!(
        "<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds=\"urn:ihe:iti:xds-b:2007\">{}<xds:Document id=\"Document01\">\n  {document}\n</xds:Document></xds:ProvideAndRegisterDocumentSetRequest>",
        set.write(false)?.write()
    );
    let to = world.soap_url(Actor::Repository)?;
    let message = crate::soap::simple(&to, super::ask::ITI_41.action, &body);
    let answer = world.post_soap(Actor::Repository, &message).await?;
    let kind = answer.header("Content-Type").unwrap_or_default().to_owned();
    ensure!(kind.starts_with("application/soap+xml"), "a simple message is answered by one: {kind}");
    success(Reply::read(&answer)?)?;
    let reference = reference(world, &set.entries[0].unique_id).await?;
    let bytes = world.wire.get(&of(&reference, "/content/0/attachment/url")).await?;
    ensure!(bytes.body[..] == set.entries[0].bytes[..], "its bytes are decoded");
    Ok(())
}

async fn partial(world: &World) -> Result<()> {
    let unique_id = world.d1.unique_id.trim_start_matches("urn:oid:").to_owned();
    let repository = first(&entry(world, &unique_id).await?, "repositoryUniqueId")?;
    let reply = retrieve(world, &[(&repository, &unique_id), (&repository, "9.9.9.9")]).await?;
    ensure!(reply.registry_status()? == "PartialSuccess", "one of two is a partial success");
    ensure!(reply.documents()? == [(unique_id, world.d1.bytes.clone())], "the one that is there comes");
    let errors = reply.envelope.find("RegistryError");
    let error = errors.first().context("the other is told")?;
    ensure!(error.attribute("errorCode") == Some("XDSDocumentUniqueIdError"), "by its code");
    ensure!(error.attribute("location") == Some("9.9.9.9"), "and its id: {}", error.write());
    Ok(())
}

async fn removed(world: &World) -> Result<()> {
    let person = world.person("doors").await?;
    let set = Set::new(&person, vec![Entry::new("Document01", "to be removed")]);
    submitted(world, &set).await?;
    let id = of(&reference(world, &set.entries[0].unique_id).await?, "/id");
    let parameters = [("$XDSSubmissionSetUniqueId".to_owned(), vec![format!("'{}'", set.unique_id)])];
    let reply = success(world.ask(ITI_18, &query(GET_SET, "ObjectRef", &parameters)).await?)?;
    let references = objects(&reply)?
        .references
        .iter()
        .filter_map(|r| r.attribute("id"))
        .map(str::to_owned)
        .collect::<Vec<_>>();
    ensure!(references.len() == 3, "set, entry and what ties them: {references:?}");
    let mut body = String::from(
        "<lcm:RemoveObjectsRequest xmlns:lcm=\"urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0\"><rim:ObjectRefList xmlns:rim=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\">",
    );
    for reference in &references {
        body += &format!("<rim:ObjectRef id=\"{reference}\"/>");
    }
    body += "</rim:ObjectRefList></lcm:RemoveObjectsRequest>";
    success(world.ask(ITI_62, &body).await?)?;
    let gone = world.wire.get(&world.url(Actor::Registry, &format!("DocumentReference/{id}"))).await?;
    ensure!(gone.status == 410, "what was removed reads as gone: {}", gone.status);
    let reply = success(world.ask(ITI_18, &query(GET_SET, "ObjectRef", &parameters)).await?)?;
    ensure!(objects(&reply)?.references.is_empty(), "and is not found");
    Ok(())
}

async fn mime_type(world: &World) -> Result<()> {
    let person = world.person("doors").await?;
    let mut own = Entry::new("Document01", "{}");
    own.mime = "application/vnd.example+json;charset=utf-8".to_owned();
    let set = Set::new(&person, vec![own]);
    submitted(world, &set).await?;
    let entry = entry(world, &set.entries[0].unique_id).await?;
    ensure!(
        entry.attribute("mimeType") == Some("application/vnd.example+json;charset=utf-8"),
        "the media type is kept as it was: {:?}",
        entry.attribute("mimeType")
    );
    Ok(())
}
