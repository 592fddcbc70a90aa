//! The limits of `server.limits`, each with its key and default. The key of a span of time is its field's name
//! without the unit, which stands in the value: `header_timeout = "10s"`.

use serde::{Deserialize, Serialize};

/// What one request may cost. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of all header lines together.
    #[serde(with = "crate::units::size")]
    pub max_header_bytes: u64,
    /// Header lines.
    pub max_headers: u64,
    /// Bytes of the request target.
    #[serde(with = "crate::units::size")]
    pub max_target_bytes: u64,
    /// Bytes of a FHIR body without its documents.
    #[serde(with = "crate::units::size")]
    pub max_body_bytes: u64,
    /// Bytes of a search form.
    #[serde(with = "crate::units::size")]
    pub max_form_bytes: u64,
    /// Bytes of a Patient resource.
    #[serde(with = "crate::units::size")]
    pub max_patient_bytes: u64,
    /// Bytes of one document.
    #[serde(with = "crate::units::size")]
    pub max_document_bytes: u64,
    /// Bytes of all documents of a submission.
    #[serde(with = "crate::units::size")]
    pub max_submission_bytes: u64,
    /// Documents of a submission.
    pub max_documents: u64,
    /// Entries of a Bundle.
    pub max_entries: u64,
    /// Elements of an XML message that lie in each other.
    pub max_xml_depth: u64,
    /// Attributes of a tag.
    pub max_xml_attributes: u64,
    /// Declarations of namespaces of a tag.
    pub max_xml_namespaces: u64,
    /// Bytes of a text or attribute.
    #[serde(with = "crate::units::size")]
    pub max_xml_text_bytes: u64,
    /// Elements and attributes of an XML message.
    pub max_xml_nodes: u64,
    /// Parts of a package.
    pub max_parts: u64,
    /// Bytes of the head of a part.
    #[serde(with = "crate::units::size")]
    pub max_part_header_bytes: u64,
    /// Connections, together.
    pub max_connections: u64,
    /// Connections of one address.
    pub max_connections_per_address: u64,
    /// Seconds until the head of a request must be complete.
    #[serde(rename = "header_timeout", with = "crate::units::seconds")]
    pub header_timeout_seconds: u64,
    /// Seconds a connection may stay idle.
    #[serde(rename = "keep_alive", with = "crate::units::seconds")]
    pub keep_alive_seconds: u64,
    /// Seconds without a byte of the body.
    #[serde(rename = "body_stall", with = "crate::units::seconds")]
    pub body_stall_seconds: u64,
    /// Seconds a caller may take none of the answer.
    #[serde(rename = "write_stall", with = "crate::units::seconds")]
    pub write_stall_seconds: u64,
    /// Seconds until the answer to a question must begin.
    #[serde(rename = "read_deadline", with = "crate::units::seconds")]
    pub read_deadline_seconds: u64,
    /// Seconds until the answer to what changes something must begin; one more for each MiB of its body.
    #[serde(rename = "submission_deadline", with = "crate::units::seconds")]
    pub submission_deadline_seconds: u64,
    /// Bytes a second of a body, at least, after its first ten seconds.
    #[serde(with = "crate::units::size")]
    pub min_body_rate: u64,
    /// Times a compressed body may grow.
    pub max_compression_ratio: u64,
    /// Search parameters of a request.
    pub max_search_parameters: u64,
    /// Alternatives (OR values) of a search parameter.
    pub max_search_values: u64,
    /// Bytes of the value of a search parameter.
    #[serde(with = "crate::units::size")]
    pub max_search_value_bytes: u64,
    /// Entries of a page, at most.
    pub max_count: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_header_bytes: 32 << 10,
            max_headers: 64,
            max_target_bytes: 8 << 10,
            max_body_bytes: 8 << 20,
            max_form_bytes: 64 << 10,
            max_patient_bytes: 256 << 10,
            max_document_bytes: 100 << 20,
            max_submission_bytes: 250 << 20,
            max_documents: 100,
            max_entries: 500,
            max_xml_depth: 64,
            max_xml_attributes: 64,
            max_xml_namespaces: 32,
            max_xml_text_bytes: 1 << 20,
            max_xml_nodes: 200_000,
            max_parts: 102,
            max_part_header_bytes: 8 << 10,
            max_connections: 1024,
            max_connections_per_address: 128,
            header_timeout_seconds: 10,
            keep_alive_seconds: 60,
            body_stall_seconds: 20,
            write_stall_seconds: 30,
            read_deadline_seconds: 30,
            submission_deadline_seconds: 60,
            min_body_rate: 1 << 10,
            max_compression_ratio: 100,
            max_search_parameters: 64,
            max_search_values: 100,
            max_search_value_bytes: 1 << 10,
            max_count: 1000,
        }
    }
}
