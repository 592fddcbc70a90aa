//! A document source and consumer of XDS.b: messages written by hand, as a stranger would.

use std::fmt::Write as _;

use sha1::{Digest as _, Sha1};

const BOUNDARY: &str = "a-boundary";
/// The authority of the patient ids.
pub(crate) const AUTHORITY: &str = "1.2.840.114350.1";

/// A document of a submission.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) unique_id: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) mime_type: String,
    /// Slots hash and size, where they are declared.
    pub(crate) declared: Option<(String, usize)>,
    /// An association of this kind to this registered document.
    pub(crate) relation: Option<(String, String)>,
}

impl Entry {
    pub(crate) fn new(bytes: impl AsRef<[u8]>) -> Entry {
        Entry {
            id: "Document01".to_owned(),
            unique_id: oid(),
            bytes: bytes.as_ref().to_vec(),
            mime_type: "text/plain".to_owned(),
            declared: None,
            relation: None,
        }
    }

    pub(crate) fn sha1(&self) -> String {
        Sha1::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A submission.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) patient: String,
    pub(crate) unique_id: String,
    pub(crate) documents: Vec<Entry>,
    pub(crate) title: String,
}

/// An OID nobody had before.
pub(crate) fn oid() -> String {
    testkit::urn_oid().replace("urn:oid:", "")
}

impl Source {
    pub(crate) fn new(documents: Vec<Entry>) -> Source {
        Source {
            patient: format!("p-1^^^&amp;{AUTHORITY}&amp;ISO"),
            unique_id: oid(),
            documents,
            title: "Befunde".to_owned(),
        }
    }

    /// `lcm:SubmitObjectsRequest`.
    pub(crate) fn metadata(&self) -> String {
        let mut objects = String::new();
        for document in &self.documents {
            objects.push_str(&self.entry(document));
        }
        let set = "SubmissionSet01";
        write!(
            objects,
            "<rim:RegistryPackage id=\"{set}\"><rim:Slot name=\"submissionTime\"><rim:ValueList><rim:Value>20201224235050</rim:Value>\
             </rim:ValueList></rim:Slot>{}{}{}{}{}{}</rim:RegistryPackage>\
             <rim:Classification id=\"cl-set\" classifiedObject=\"{set}\" classificationNode=\"urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd\"/>",
            name(&self.title),
            author("urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d", set),
            code("urn:uuid:aa543740-bdda-424e-8c96-df4873be8500", set, "225728007", "2.16.840.1.113883.6.96"),
            identifier("urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446", set, &self.patient, "XDSSubmissionSet.patientId"),
            identifier("urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832", set, "1.2.3.4", "XDSSubmissionSet.sourceId"),
            identifier("urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8", set, &self.unique_id, "XDSSubmissionSet.uniqueId"),
        )
        .unwrap();
        for (index, document) in self.documents.iter().enumerate() {
            write!(
                objects,
                "<rim:Association id=\"as{index}\" associationType=\"urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember\" \
                 sourceObject=\"{set}\" targetObject=\"{}\">{}</rim:Association>",
                document.id,
                slot("SubmissionSetStatus", "Original")
            )
            .unwrap();
            if let Some((kind, target)) = &document.relation {
                write!(
                    objects,
                    "<rim:Association id=\"rel{index}\" associationType=\"urn:ihe:iti:2007:AssociationType:{kind}\" \
                     sourceObject=\"{}\" targetObject=\"urn:uuid:{target}\"/>",
                    document.id
                )
                .unwrap();
            }
        }
        format!(
            "<lcm:SubmitObjectsRequest xmlns:lcm=\"urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0\" \
             xmlns:rim=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\"><rim:RegistryObjectList>{objects}</rim:RegistryObjectList>\
             </lcm:SubmitObjectsRequest>"
        )
    }

    fn entry(&self, document: &Entry) -> String {
        let id = &document.id;
        let declared = document
            .declared
            .iter()
            .map(|(hash, size)| slot("hash", hash) + &slot("size", &size.to_string()))
            .collect::<String>();
        let codes = [
            ("urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a", "11369-6", "2.16.840.1.113883.6.1"),
            ("urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f", "N", "2.16.840.1.113883.5.25"),
            (
                "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d",
                "urn:ihe:iti:xds-sd:text:2008",
                "1.3.6.1.4.1.19376.1.2.3",
            ),
            ("urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "82242000", "2.16.840.1.113883.6.96"),
            ("urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead", "408467006", "2.16.840.1.113883.6.96"),
            ("urn:uuid:f0306f51-975f-434e-a61c-c59651d33983", "60591-5", "2.16.840.1.113883.6.1"),
        ];
        let codes: String =
            codes.iter().map(|(scheme, value, system)| code(scheme, id, value, system)).collect();
        format!(
            "<rim:ExtrinsicObject id=\"{id}\" mimeType=\"{}\" objectType=\"urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1\">\
             {}{declared}{}{}{}{}{codes}{}{}</rim:ExtrinsicObject>",
            document.mime_type,
            slot("creationTime", "20201224235050"),
            slot("languageCode", "de-AT"),
            slot("sourcePatientId", &format!("mrn-7^^^&amp;{AUTHORITY}.7&amp;ISO")),
            name("Befund"),
            author("urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d", id),
            identifier(
                "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427",
                id,
                &self.patient,
                "XDSDocumentEntry.patientId"
            ),
            identifier(
                "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab",
                id,
                &document.unique_id,
                "XDSDocumentEntry.uniqueId"
            ),
        )
    }

    /// The message as a package: its content type and its bytes.
    pub(crate) fn package(&self) -> (String, Vec<u8>) {
        let documents: String = self
            .documents
            .iter()
            .enumerate()
            .map(|(index, document)| {
                format!(
                    "<xds:Document id=\"{}\"><xop:Include xmlns:xop=\"http://www.w3.org/2004/08/xop/include\" \
                     href=\"cid:doc{index}%40here\"/></xds:Document>",
                    document.id
                )
            })
            .collect();
        let body = format!(
            "<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds=\"urn:ihe:iti:xds-b:2007\">{}{documents}\
             </xds:ProvideAndRegisterDocumentSetRequest>",
            self.metadata()
        );
        let parts: Vec<(String, &str, &[u8])> = self
            .documents
            .iter()
            .enumerate()
            .map(|(index, document)| {
                (format!("doc{index}@here"), document.mime_type.as_str(), document.bytes.as_slice())
            })
            .collect();
        package("urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b", &body, &parts)
    }
}

/// A retrieval as a package.
pub(crate) fn retrieve(repository: &str, unique_ids: &[&str]) -> (String, Vec<u8>) {
    let requests = requests(repository, unique_ids);
    let body = format!(
        "<xds:RetrieveDocumentSetRequest xmlns:xds=\"urn:ihe:iti:xds-b:2007\">{requests}</xds:RetrieveDocumentSetRequest>"
    );
    package("urn:ihe:iti:2007:RetrieveDocumentSet", &body, &[])
}

/// A removal, as a message without parts.
pub(crate) fn remove(repository: &str, unique_ids: &[&str]) -> (String, Vec<u8>) {
    let requests = requests(repository, unique_ids);
    let body = format!(
        "<rmd:RemoveDocumentsRequest xmlns:rmd=\"urn:ihe:iti:rmd:2017\" xmlns:xds=\"urn:ihe:iti:xds-b:2007\">{requests}\
         </rmd:RemoveDocumentsRequest>"
    );
    (
        "application/soap+xml; charset=UTF-8".to_owned(),
        envelope("urn:ihe:iti:2017:RemoveDocuments", &body).into_bytes(),
    )
}

fn requests(repository: &str, unique_ids: &[&str]) -> String {
    let request = |id: &&str| {
        format!(
            "<xds:DocumentRequest><xds:RepositoryUniqueId>{repository}</xds:RepositoryUniqueId>\
             <xds:DocumentUniqueId>{id}</xds:DocumentUniqueId></xds:DocumentRequest>"
        )
    };
    unique_ids.iter().map(request).collect()
}

fn package(action: &str, body: &str, parts: &[(String, &str, &[u8])]) -> (String, Vec<u8>) {
    let content_type = format!(
        "multipart/related; boundary=\"{BOUNDARY}\"; type=\"application/xop+xml\"; start=\"<root@here>\"; \
         start-info=\"application/soap+xml\"; action=\"{action}\""
    );
    let mut bytes = format!(
        "--{BOUNDARY}\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"application/soap+xml\"\r\n\
         Content-Transfer-Encoding: binary\r\nContent-ID: <root@here>\r\n\r\n{}",
        envelope(action, body)
    )
    .into_bytes();
    for (id, mime_type, content) in parts {
        let head = format!(
            "\r\n--{BOUNDARY}\r\nContent-Type: {mime_type}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{id}>\r\n\r\n"
        );
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(content);
    }
    bytes.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    (content_type, bytes)
}

fn envelope(action: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header>\
         <a:Action s:mustUnderstand=\"1\">{action}</a:Action><a:MessageID>{}</a:MessageID><a:To>http://here</a:To>\
         <a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo></s:Header>\
         <s:Body>{body}</s:Body></s:Envelope>",
        testkit::urn_uuid()
    )
}

fn slot(name: &str, value: &str) -> String {
    format!(
        "<rim:Slot name=\"{name}\"><rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList></rim:Slot>"
    )
}

fn name(text: &str) -> String {
    format!("<rim:Name><rim:LocalizedString value=\"{text}\"/></rim:Name>")
}

fn code(scheme: &str, owner: &str, code: &str, system: &str) -> String {
    format!(
        "<rim:Classification id=\"c-{owner}-{code}\" classificationScheme=\"{scheme}\" classifiedObject=\"{owner}\" \
         nodeRepresentation=\"{code}\">{}{}</rim:Classification>",
        slot("codingScheme", system),
        name(code)
    )
}

fn author(scheme: &str, owner: &str) -> String {
    format!(
        "<rim:Classification id=\"a-{owner}\" classificationScheme=\"{scheme}\" classifiedObject=\"{owner}\" nodeRepresentation=\"\">{}\
         </rim:Classification>",
        slot("authorPerson", "doc-7^Huber^Maria^^^^^^&amp;1.2.3.4.5&amp;ISO")
    )
}

fn identifier(scheme: &str, owner: &str, value: &str, name_of: &str) -> String {
    format!(
        "<rim:ExternalIdentifier id=\"i-{owner}-{name_of}\" identificationScheme=\"{scheme}\" registryObject=\"{owner}\" value=\"{value}\">{}\
         </rim:ExternalIdentifier>",
        name(name_of)
    )
}

/// The value of the first attribute of this name in an answer.
pub(crate) fn attribute(answer: &str, name: &str) -> Option<String> {
    let (_, rest) = answer.split_once(&format!(" {name}=\""))?;
    rest.split('"').next().map(str::to_owned)
}

/// The last word of the status of the RegistryResponse in an answer.
pub(crate) fn status(answer: &str) -> String {
    let status = attribute(answer, "status").unwrap_or_default();
    status.rsplit(':').next().unwrap_or_default().to_owned()
}
