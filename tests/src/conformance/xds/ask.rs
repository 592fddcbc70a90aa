//! Sending the messages of XDS.b, and judging the shape of what comes back.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;

use super::super::{World, skip};
use crate::answer::Answer;
use crate::markup::Element;
use crate::region::Actor;
use crate::soap::{self, Message, Reply};

/// A transaction: its action, who serves it, whether its messages are MTOM.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transaction {
    pub(super) action: &'static str,
    pub(super) actor: Actor,
    pub(super) mtom: bool,
}

const fn registry(action: &'static str) -> Transaction {
    Transaction { action, actor: Actor::Registry, mtom: false }
}

const fn repository(action: &'static str, mtom: bool) -> Transaction {
    Transaction { action, actor: Actor::Repository, mtom }
}

pub(super) const ITI_18: Transaction = registry("urn:ihe:iti:2007:RegistryStoredQuery");
pub(super) const ITI_41: Transaction = repository("urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b", true);
pub(super) const ITI_42: Transaction = registry("urn:ihe:iti:2007:RegisterDocumentSet-b");
pub(super) const ITI_43: Transaction = repository("urn:ihe:iti:2007:RetrieveDocumentSet", true);
pub(super) const ITI_51: Transaction = registry("urn:ihe:iti:2009:MultiPatientStoredQuery");
pub(super) const ITI_57: Transaction = registry("urn:ihe:iti:2010:UpdateDocumentSet");
pub(super) const ITI_61: Transaction = registry("urn:ihe:iti:2010:RegisterOnDemandDocumentEntry");
/// What the framework's text says, where reference implementations say `…EntryResponse`.
const ON_DEMAND_RESPONSE: &str = "urn:ihe:iti:2010:RegisterOnDemandDocumentResponse";
pub(super) const ITI_62: Transaction = registry("urn:ihe:iti:2010:DeleteDocumentSet");
pub(super) const ITI_86: Transaction = repository("urn:ihe:iti:2017:RemoveDocuments", false);
pub(super) const ITI_92: Transaction = registry("urn:ihe:iti:2018:RestrictedUpdateDocumentSet");

/// A document of an ITI-41: the id of its entry, its media type, its bytes.
pub(super) type Document = (String, String, Vec<u8>);

impl World {
    /// Where an actor takes SOAP.
    pub(in crate::conformance) fn soap_url(&self, actor: Actor) -> Result<String> {
        let door = if actor == Actor::Registry { "registry" } else { "repository" };
        Ok(format!("{}/xds/{door}", self.subject.host(actor)?))
    }

    /// Sends a body as its transaction has it, and reads the answer, which has to fit the request.
    pub(super) async fn ask(&self, transaction: Transaction, body: &str) -> Result<Reply> {
        self.ask_with(transaction, body, &[]).await
    }

    /// The same with parts beside the envelope: Content-ID, media type, bytes.
    pub(super) async fn ask_with(
        &self,
        transaction: Transaction,
        body: &str,
        parts: &[(String, String, Vec<u8>)],
    ) -> Result<Reply> {
        let to = self.soap_url(transaction.actor)?;
        let message = match transaction.mtom {
            true => soap::mtom(&to, transaction.action, body, parts),
            false => soap::simple(&to, transaction.action, body),
        };
        let answer = self.post_soap(transaction.actor, &message).await?;
        if transaction.mtom && answer.status == 200 {
            let content_type = answer.header("Content-Type").unwrap_or_default();
            ensure!(
                content_type.starts_with("multipart/related"),
                "an MTOM request is answered so: {content_type}"
            );
        }
        let reply = Reply::read(&answer)?;
        if reply.fault().is_none() {
            let related = reply.envelope.first("RelatesTo").map(Element::text).unwrap_or_default();
            ensure!(related.trim() == message.id, "the answer relates to its request: {related:?}");
            let action = reply.envelope.first("Action").map(Element::text).unwrap_or_default();
            let on_demand = transaction.action == ITI_61.action && action.trim() == ON_DEMAND_RESPONSE;
            ensure!(
                on_demand || action.trim() == format!("{}Response", transaction.action),
                "the action is that of the answer: {action}"
            );
        }
        Ok(reply)
    }

    /// Posts a message as it is.
    pub(in crate::conformance) async fn post_soap(&self, actor: Actor, message: &Message) -> Result<Answer> {
        // What a fault is answered with is said by the fault.
        self.wire.tolerate(&[500]);
        let request = self.wire.request(Method::POST, &self.soap_url(actor)?);
        let request = request.header("Content-Type", &message.content_type).body(message.body.clone());
        let answer = self.wire.send(request).await?;
        if answer.status == 404 {
            return Err(skip("there is no SOAP door"));
        }
        Ok(answer)
    }

    /// ITI-41 with its documents beside the envelope.
    pub(super) async fn provide_xds(&self, submit: &Element, documents: &[Document]) -> Result<Reply> {
        let mut body =
            String::from("<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds=\"urn:ihe:iti:xds-b:2007\">");
        body += &submit.write();
        let mut parts = Vec::new();
        for (id, mime, bytes) in documents {
            let cid = format!("{}@tests", uuid::Uuid::new_v4());
            body += &format!(
                "<xds:Document id=\"{id}\"><xop:Include xmlns:xop=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:{}\"/></xds:Document>",
                cid.replace('@', "%40")
            );
            parts.push((cid, mime.clone(), bytes.clone()));
        }
        body += "</xds:ProvideAndRegisterDocumentSetRequest>";
        self.ask_with(ITI_41, &body, &parts).await
    }
}

/// Objects of an answer to a query, by kind.
#[derive(Debug, Default)]
pub(super) struct Objects<'a> {
    pub(super) documents: Vec<&'a Element>,
    pub(super) sets: Vec<&'a Element>,
    pub(super) folders: Vec<&'a Element>,
    pub(super) associations: Vec<&'a Element>,
    pub(super) references: Vec<&'a Element>,
}

const SET: &str = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd";
const FOLDER: &str = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2";
const RIM: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0";
const STATUS: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:";
/// Order in which the schema wants what stands in an object.
const ORDER: [&str; 6] =
    ["Slot", "Name", "Description", "VersionInfo", "Classification", "ExternalIdentifier"];

/// Sorts the objects of an answer, each of which has to be as the schema has it.
pub(super) fn objects(reply: &Reply) -> Result<Objects<'_>> {
    let list = reply.envelope.first("RegistryObjectList");
    let list = list.with_context(|| {
        format!("an answer to a query has a RegistryObjectList: {:.700}", reply.envelope.write())
    })?;
    let mut objects = Objects::default();
    for object in list.elements() {
        ensure!(
            object.namespace == RIM,
            "{} is of the namespace of ebRIM: {}",
            object.name,
            object.namespace
        );
        match object.local() {
            "ExtrinsicObject" => objects.documents.push(object),
            "RegistryPackage" => {
                let nodes: Vec<&str> = object
                    .named("Classification")
                    .filter_map(|class| class.attribute("classificationNode"))
                    .collect();
                ensure!(
                    nodes.contains(&SET) != nodes.contains(&FOLDER),
                    "a package is a set or a folder: {nodes:?}"
                );
                if nodes.contains(&SET) { objects.sets.push(object) } else { objects.folders.push(object) }
            }
            "Association" => objects.associations.push(object),
            "ObjectRef" => objects.references.push(object),
            "Classification" => continue,
            other => anyhow::bail!("no query is answered by {other}"),
        }
        shape(object)?;
    }
    Ok(objects)
}

fn shape(object: &Element) -> Result<()> {
    let id = object.attribute("id").context("an object has an id")?;
    ensure!(id.starts_with("urn:uuid:"), "a registered object has a UUID: {id}");
    if object.local() == "ObjectRef" {
        return Ok(());
    }
    let status = object.attribute("status").with_context(|| format!("{id} has a status"))?;
    ensure!(status.starts_with(STATUS), "the status is a URN: {status}");
    let place = |name: &str| ORDER.iter().position(|known| *known == name);
    let places: Vec<_> = object.elements().filter_map(|element| place(element.local())).collect();
    ensure!(places.is_sorted(), "what stands in {id} is in the order of the schema: {:.600}", object.write());
    for (kind, owner) in [("Classification", "classifiedObject"), ("ExternalIdentifier", "registryObject")] {
        for part in object.named(kind) {
            ensure!(
                part.attribute(owner) == Some(id),
                "a {kind} of {id} names its owner: {:.400}",
                part.write()
            );
            ensure!(part.attribute("id").is_some_and(|id| !id.is_empty()), "a {kind} of {id} has an id");
        }
    }
    if object.local() == "Association" {
        for end in ["associationType", "sourceObject", "targetObject"] {
            ensure!(object.attribute(end).is_some_and(|end| !end.is_empty()), "{id} has {end}");
        }
    }
    Ok(())
}

/// Whether all of these have a status.
pub(super) fn all_are(objects: &[&Element], status: &str) -> bool {
    let status = format!("{STATUS}{status}");
    objects.iter().all(|object| object.attribute("status") == Some(&status))
}
