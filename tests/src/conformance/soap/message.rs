//! The messages the rows begin with: each succeeds unchanged.

use anyhow::Result;
use uuid::Uuid;

use crate::conformance::world::{Person, World};
use crate::region::Actor;
use crate::soap::{self, Message};

pub(super) const PROVIDE: &str = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b";
pub(super) const REGISTER: &str = "urn:ihe:iti:2007:RegisterDocumentSet-b";
pub(super) const ASK: &str = "urn:ihe:iti:2007:RegistryStoredQuery";
pub(super) const RETRIEVE: &str = "urn:ihe:iti:2007:RetrieveDocumentSet";

/// The SHA-1 of nothing.
const SHA1_OF_NOTHING: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

/// A message without attachments to an actor.
pub(super) fn simple(world: &World, actor: Actor, action: &str, body: &str) -> Result<Message> {
    Ok(soap::simple(&world.soap_url(actor)?, action, body))
}

/// A new OID.
fn oid() -> String {
    format!("2.25.{}", Uuid::new_v4().as_u128())
}

/// A patient's identifier as XDS writes it.
pub(super) fn cx(person: &Person) -> String {
    format!("{}^^^&{}&ISO", person.value, person.system.trim_start_matches("urn:oid:"))
}

/// A submission of one document.
#[derive(Debug, Clone)]
pub(super) struct Submission {
    pub(super) unique_id: String,
    set_id: String,
    pub(super) patient: String,
    pub(super) title: String,
}

impl Submission {
    pub(super) fn new(patient: &Person) -> Submission {
        Submission { unique_id: oid(), set_id: oid(), patient: cx(patient), title: "Befund".to_owned() }
    }

    /// S42: the document is at another repository.
    pub(super) fn registered(&self) -> String {
        let slots =
            slot("hash", SHA1_OF_NOTHING) + &slot("repositoryUniqueId", "2.25.99") + &slot("size", "0");
        self.metadata(&slots)
    }

    /// S41 with this in its Document, which is `<xds:Document id="Document01">…`.
    pub(super) fn provided(&self, content: &str) -> String {
        format!(
            "<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds=\"urn:ihe:iti:xds-b:2007\">{}<xds:Document id=\"Document01\">{content}\
             </xds:Document></xds:ProvideAndRegisterDocumentSetRequest>",
            self.metadata("")
        )
    }

    fn metadata(&self, slots: &str) -> String {
        let (title, unique_id, set_id) = (&self.title, &self.unique_id, &self.set_id);
        let patient = self.patient.replace('&', "&amp;");
        let classes = [
            ("41a5887f-8865-4c09-adf7-e362475b143a", "34117-2", "2.16.840.1.113883.6.1"),
            ("f4f85eac-e6cb-4883-b524-f2705394840f", "N", "2.16.840.1.113883.5.25"),
            (
                "a09d5840-386c-46f2-b5ad-9c3699a4309d",
                "urn:ihe:iti:xds:2017:mimeTypeSufficient",
                "1.3.6.1.4.1.19376.1.2.3",
            ),
            ("f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "Hospital", "2.25.1"),
            ("cccf5598-8b07-4b77-a05e-ae952c785ead", "Medicine", "2.25.2"),
            ("f0306f51-975f-434e-a61c-c59651d33983", "34117-2", "2.16.840.1.113883.6.1"),
        ];
        let mut document = slot("creationTime", "20250101") + slots + &slot("languageCode", "de-DE");
        document += &slot("sourcePatientId", &patient);
        document += &format!("<rim:Name><rim:LocalizedString value=\"{title}\"/></rim:Name>");
        for (number, (scheme, code, system)) in classes.iter().enumerate() {
            document += &classification(&format!("cl{number}"), scheme, "Document01", code, system);
        }
        document += &external(
            "ei1",
            "58a6f841-87b3-4a3e-92fd-a8ffeff98427",
            "Document01",
            "XDSDocumentEntry.patientId",
            &patient,
        );
        document += &external(
            "ei2",
            "2e82c1f6-a085-4c72-9da3-8640a32e42ab",
            "Document01",
            "XDSDocumentEntry.uniqueId",
            unique_id,
        );
        let mut set = slot("submissionTime", "20250102030405");
        set += &classification(
            "cl9",
            "aa543740-bdda-424e-8c96-df4873be8500",
            "Set01",
            "34117-2",
            "2.16.840.1.113883.6.1",
        );
        set += &external(
            "ei3",
            "6b5aea1a-874d-4603-a4bc-96a0a7b38446",
            "Set01",
            "XDSSubmissionSet.patientId",
            &patient,
        );
        set += &external(
            "ei4",
            "554ac39e-e3fe-47fe-b233-965d2a147832",
            "Set01",
            "XDSSubmissionSet.sourceId",
            "2.25.3",
        );
        set += &external(
            "ei5",
            "96fdda7c-d067-4183-912e-bf5ee74998a8",
            "Set01",
            "XDSSubmissionSet.uniqueId",
            set_id,
        );
        let member = slot("SubmissionSetStatus", "Original");
        format!(
            "<lcm:SubmitObjectsRequest xmlns:lcm=\"urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0\" \
             xmlns:rim=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\"><rim:RegistryObjectList>\
             <rim:ExtrinsicObject id=\"Document01\" mimeType=\"text/plain\" objectType=\"urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1\">\
             {document}</rim:ExtrinsicObject><rim:RegistryPackage id=\"Set01\">{set}</rim:RegistryPackage>\
             <rim:Classification id=\"cl10\" classifiedObject=\"Set01\" \
             classificationNode=\"urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd\"/>\
             <rim:Association id=\"as01\" associationType=\"urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember\" \
             sourceObject=\"Set01\" targetObject=\"Document01\">{member}</rim:Association>\
             </rim:RegistryObjectList></lcm:SubmitObjectsRequest>"
        )
    }
}

fn slot(name: &str, value: &str) -> String {
    format!(
        "<rim:Slot name=\"{name}\"><rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList></rim:Slot>"
    )
}

fn classification(id: &str, scheme: &str, object: &str, code: &str, system: &str) -> String {
    format!(
        "<rim:Classification id=\"{id}\" classificationScheme=\"urn:uuid:{scheme}\" classifiedObject=\"{object}\" \
         nodeRepresentation=\"{code}\">{}<rim:Name><rim:LocalizedString value=\"{code}\"/></rim:Name></rim:Classification>",
        slot("codingScheme", system)
    )
}

fn external(id: &str, scheme: &str, object: &str, name: &str, value: &str) -> String {
    format!(
        "<rim:ExternalIdentifier id=\"{id}\" identificationScheme=\"urn:uuid:{scheme}\" registryObject=\"{object}\" \
         value=\"{value}\"><rim:Name><rim:LocalizedString value=\"{name}\"/></rim:Name></rim:ExternalIdentifier>"
    )
}
