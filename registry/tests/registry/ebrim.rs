//! Messages of XDS.b, written out as a source would send them.

use reqwest::Method;

use super::world::{Reply, World};

const SUCCESS: &str = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success";
const OID_OF_PATIENTS: &str = "1.2.36.146.595.217.0.1";

/// An association type.
pub(crate) const HAS_MEMBER: &str = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember";
pub(crate) const REPLACE: &str = "urn:ihe:iti:2007:AssociationType:RPLC";
pub(crate) const APPEND: &str = "urn:ihe:iti:2007:AssociationType:APND";
pub(crate) const SNAPSHOT: &str = "urn:ihe:iti:2010:AssociationType:IsSnapshotOf";
pub(crate) const UPDATE_STATUS: &str = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus";
pub(crate) const SUBMIT: &str = "urn:ihe:iti:2010:AssociationType:SubmitAssociation";

/// A fresh entryUUID.
pub(crate) fn uuid() -> String {
    format!("urn:uuid:{}", uuid::Uuid::new_v4())
}

fn slot(name: &str, values: &[&str]) -> String {
    let values: String = values.iter().map(|value| format!("<rim:Value>{value}</rim:Value>")).collect();
    format!("<rim:Slot name=\"{name}\"><rim:ValueList>{values}</rim:ValueList></rim:Slot>")
}

fn code(owner: &str, scheme: &str, code: &str, system: &str) -> String {
    format!(
        "<rim:Classification id=\"{}\" classifiedObject=\"{owner}\" classificationScheme=\"urn:uuid:{scheme}\" \
         nodeRepresentation=\"{code}\">{}<rim:Name><rim:LocalizedString value=\"{code}\"/></rim:Name></rim:Classification>",
        uuid(),
        slot("codingScheme", &[system])
    )
}

fn identifier(owner: &str, scheme: &str, name: &str, value: &str) -> String {
    format!(
        "<rim:ExternalIdentifier id=\"{}\" registryObject=\"{owner}\" identificationScheme=\"urn:uuid:{scheme}\" \
         value=\"{value}\"><rim:Name><rim:LocalizedString value=\"{name}\"/></rim:Name></rim:ExternalIdentifier>",
        uuid()
    )
}

fn name(title: &str) -> String {
    format!("<rim:Name><rim:LocalizedString value=\"{title}\"/></rim:Name>")
}

fn patient(mrn: &str) -> String {
    format!("{mrn}^^^&amp;{OID_OF_PATIENTS}&amp;ISO")
}

/// A document entry.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) lid: Option<String>,
    pub(crate) unique_id: String,
    pub(crate) title: String,
    pub(crate) patient: String,
    pub(crate) hash: String,
    pub(crate) repository: String,
    pub(crate) on_demand: bool,
}

impl Entry {
    pub(crate) fn new(id: &str) -> Entry {
        Entry {
            id: id.to_owned(),
            lid: None,
            unique_id: bare_oid(),
            title: "Letter".to_owned(),
            patient: "one".to_owned(),
            hash: "da39a3ee5e6b4b0d3255bfef95601890afd80700".to_owned(),
            repository: "1.2.3.4".to_owned(),
            on_demand: false,
        }
    }

    fn xml(&self) -> String {
        let id = &self.id;
        let kind = if self.on_demand {
            "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"
        } else {
            "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
        };
        let lid = self.lid.as_ref().map(|lid| format!(" lid=\"{lid}\"")).unwrap_or_default();
        let source = patient("local");
        let measured = if self.on_demand {
            String::new()
        } else {
            slot("creationTime", &["20240102"]) + &slot("hash", &[&self.hash]) + &slot("size", &["42"])
        };
        [
            format!("<rim:ExtrinsicObject id=\"{id}\"{lid} objectType=\"{kind}\" mimeType=\"text/plain\">"),
            measured,
            slot("languageCode", &["en-US"]),
            slot("repositoryUniqueId", &[&self.repository]),
            slot("sourcePatientId", &[&source]),
            name(&self.title),
            code(id, "41a5887f-8865-4c09-adf7-e362475b143a", "class", "1.2.840.1"),
            code(id, "f4f85eac-e6cb-4883-b524-f2705394840f", "N", "2.16.840.1.113883.5.25"),
            code(id, "a09d5840-386c-46f2-b5ad-9c3699a4309d", "format", "1.2.840.2"),
            code(id, "f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "facility", "1.2.840.3"),
            code(id, "cccf5598-8b07-4b77-a05e-ae952c785ead", "practice", "1.2.840.4"),
            code(id, "f0306f51-975f-434e-a61c-c59651d33983", "type", "1.2.840.5"),
            identifier(
                id,
                "58a6f841-87b3-4a3e-92fd-a8ffeff98427",
                "XDSDocumentEntry.patientId",
                &patient(&self.patient),
            ),
            identifier(
                id,
                "2e82c1f6-a085-4c72-9da3-8640a32e42ab",
                "XDSDocumentEntry.uniqueId",
                &self.unique_id,
            ),
            "</rim:ExtrinsicObject>".to_owned(),
        ]
        .concat()
    }
}

/// A folder.
#[derive(Clone)]
pub(crate) struct Fold {
    pub(crate) id: String,
    pub(crate) lid: Option<String>,
    pub(crate) unique_id: String,
    pub(crate) title: String,
    pub(crate) patient: String,
}

impl Fold {
    pub(crate) fn new(id: &str) -> Fold {
        Fold {
            id: id.to_owned(),
            lid: None,
            unique_id: bare_oid(),
            title: "Folder".to_owned(),
            patient: "one".to_owned(),
        }
    }

    fn xml(&self) -> String {
        let id = &self.id;
        let lid = self.lid.as_ref().map(|lid| format!(" lid=\"{lid}\"")).unwrap_or_default();
        [
            format!("<rim:RegistryPackage id=\"{id}\"{lid}>"),
            name(&self.title),
            node(id, "d9d542f3-6cc4-48b6-8870-ea235fbc94c2"),
            code(id, "1ba97051-7806-41a8-a48b-8fce7af683c5", "folder", "1.2.840.6"),
            identifier(
                id,
                "f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a",
                "XDSFolder.patientId",
                &patient(&self.patient),
            ),
            identifier(id, "75df8f67-9973-4fbe-a900-df66cefecc5a", "XDSFolder.uniqueId", &self.unique_id),
            "</rim:RegistryPackage>".to_owned(),
        ]
        .concat()
    }
}

fn node(owner: &str, node: &str) -> String {
    format!(
        "<rim:Classification id=\"{}\" classifiedObject=\"{owner}\" classificationNode=\"urn:uuid:{node}\"/>",
        uuid()
    )
}

/// An association.
#[derive(Clone)]
pub(crate) struct Tie {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) slots: Vec<(&'static str, String)>,
}

pub(crate) fn tie(kind: &'static str, source: &str, target: &str) -> Tie {
    Tie { id: uuid(), kind, source: source.to_owned(), target: target.to_owned(), slots: Vec::new() }
}

impl Tie {
    pub(crate) fn saying(mut self, name: &'static str, value: impl ToString) -> Tie {
        self.slots.push((name, value.to_string()));
        self
    }

    fn xml(&self) -> String {
        let Tie { id, kind, source, target, slots } = self;
        let slots: String = slots.iter().map(|(name, value)| slot(name, &[value])).collect();
        format!(
            "<rim:Association id=\"{id}\" associationType=\"{kind}\" sourceObject=\"{source}\" \
             targetObject=\"{target}\">{slots}</rim:Association>"
        )
    }
}

/// An OID without prefix that nobody has used.
pub(crate) fn bare_oid() -> String {
    testkit::oid().trim_start_matches("urn:oid:").to_owned()
}

/// A submission.
#[derive(Clone)]
pub(crate) struct Message {
    /// entryUUID of the set.
    pub(crate) set: String,
    pub(crate) unique_id: String,
    pub(crate) patient: String,
    pub(crate) entries: Vec<Entry>,
    pub(crate) folders: Vec<Fold>,
    pub(crate) ties: Vec<Tie>,
}

impl Message {
    /// A set with nothing in it.
    pub(crate) fn new() -> Message {
        Message {
            set: uuid(),
            unique_id: bare_oid(),
            patient: "one".to_owned(),
            entries: Vec::new(),
            folders: Vec::new(),
            ties: Vec::new(),
        }
    }

    /// With an entry, which the set has as its member.
    pub(crate) fn entry(mut self, entry: Entry) -> Message {
        let member = tie(HAS_MEMBER, &self.set, &entry.id).saying("SubmissionSetStatus", "Original");
        self.ties.push(member);
        self.entries.push(entry);
        self
    }

    /// With a folder, likewise.
    pub(crate) fn folder(mut self, folder: Fold) -> Message {
        self.ties.push(tie(HAS_MEMBER, &self.set, &folder.id));
        self.folders.push(folder);
        self
    }

    pub(crate) fn tie(mut self, tie: Tie) -> Message {
        self.ties.push(tie);
        self
    }

    /// With a membership of a folder, which the set holds.
    pub(crate) fn put_in(self, folder: &str, entry: &str) -> Message {
        let put = tie(HAS_MEMBER, folder, entry);
        let held = tie(HAS_MEMBER, &self.set, &put.id);
        self.tie(put).tie(held)
    }

    /// With the next version of an entry.
    pub(crate) fn update(mut self, entry: Entry, previous: u64) -> Message {
        let member = tie(HAS_MEMBER, &self.set, &entry.id)
            .saying("SubmissionSetStatus", "Original")
            .saying("PreviousVersion", previous);
        self.ties.push(member);
        self.entries.push(entry);
        self
    }

    /// With another status for a registered object.
    pub(crate) fn status(self, target: &str, original: &str, new: &str) -> Message {
        let urn = |status: &str| format!("urn:oasis:names:tc:ebxml-regrep:StatusType:{status}");
        let asks = tie(UPDATE_STATUS, &self.set, target)
            .saying("OriginalStatus", urn(original))
            .saying("NewStatus", urn(new));
        self.tie(asks)
    }

    fn xml(&self) -> String {
        let set = &self.set;
        let mut objects = [
            format!("<rim:RegistryPackage id=\"{set}\">"),
            slot("submissionTime", &["20240103120000"]),
            name("Set"),
            node(set, "a54d6aa5-d40d-43f9-88c5-b4633d873bdd"),
            code(set, "aa543740-bdda-424e-8c96-df4873be8500", "content", "1.2.840.7"),
            identifier(
                set,
                "6b5aea1a-874d-4603-a4bc-96a0a7b38446",
                "XDSSubmissionSet.patientId",
                &patient(&self.patient),
            ),
            identifier(set, "554ac39e-e3fe-47fe-b233-965d2a147832", "XDSSubmissionSet.sourceId", "1.2.3.9"),
            identifier(
                set,
                "96fdda7c-d067-4183-912e-bf5ee74998a8",
                "XDSSubmissionSet.uniqueId",
                &self.unique_id,
            ),
            "</rim:RegistryPackage>".to_owned(),
        ]
        .concat();
        self.entries.iter().for_each(|entry| objects += &entry.xml());
        self.folders.iter().for_each(|folder| objects += &folder.xml());
        self.ties.iter().for_each(|tie| objects += &tie.xml());
        format!(
            "<lcm:SubmitObjectsRequest xmlns:lcm=\"urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0\" \
             xmlns:rim=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\"><rim:RegistryObjectList>{objects}\
             </rim:RegistryObjectList></lcm:SubmitObjectsRequest>"
        )
    }
}

/// What came back of a SOAP message.
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Told {
    #[track_caller]
    pub(crate) fn succeeds(&self) {
        assert!(self.text.contains(SUCCESS), "{} {}", self.status, self.text);
    }

    /// It is refused with this code.
    #[track_caller]
    pub(crate) fn fails(&self, code: &str) {
        assert_eq!(self.status, 200, "{}", self.text);
        assert!(self.text.contains("ResponseStatusType:Failure"), "{}", self.text);
        assert!(self.text.contains(&format!("errorCode=\"{code}\"")), "{code} expected: {}", self.text);
    }
}

impl World {
    pub(crate) async fn soap(&self, action: &str, body: &str) -> Told {
        let envelope = format!(
            "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
             xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header><a:Action s:mustUnderstand=\"1\">{action}</a:Action>\
             <a:MessageID>{}</a:MessageID></s:Header><s:Body>{body}</s:Body></s:Envelope>",
            uuid()
        );
        let request = self.request(Method::POST, "/xds/registry");
        let request = request.header("content-type", "application/soap+xml; charset=UTF-8").body(envelope);
        let response = request.send().await.expect("the registry answers");
        let status = response.status().as_u16();
        Told { status, text: response.text().await.expect("the answer has a body") }
    }

    pub(crate) async fn iti42(&self, message: &Message) -> Told {
        self.soap("urn:ihe:iti:2007:RegisterDocumentSet-b", &message.xml()).await
    }

    pub(crate) async fn iti61(&self, message: &Message) -> Told {
        self.soap("urn:ihe:iti:2010:RegisterOnDemandDocumentEntry", &message.xml()).await
    }

    pub(crate) async fn iti57(&self, message: &Message) -> Told {
        self.soap("urn:ihe:iti:2010:UpdateDocumentSet", &message.xml()).await
    }

    pub(crate) async fn iti92(&self, message: &Message) -> Told {
        self.soap("urn:ihe:iti:2018:RestrictedUpdateDocumentSet", &message.xml()).await
    }

    pub(crate) async fn iti62(&self, ids: &[&str]) -> Told {
        let references: String = ids.iter().map(|id| format!("<rim:ObjectRef id=\"{id}\"/>")).collect();
        let body = format!(
            "<lcm:RemoveObjectsRequest xmlns:lcm=\"urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0\" \
             xmlns:rim=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\"><rim:ObjectRefList>{references}</rim:ObjectRefList>\
             </lcm:RemoveObjectsRequest>"
        );
        self.soap("urn:ihe:iti:2010:DeleteDocumentSet", &body).await
    }

    /// The resource an entryUUID is the id of.
    pub(crate) async fn resource(&self, kind: &str, id: &str) -> Reply {
        self.get(&format!("/fhir/{kind}/{}", id.trim_start_matches("urn:uuid:"))).await
    }
}
