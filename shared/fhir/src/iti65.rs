//! Provide Document Bundle [ITI-65], and the same without bytes: registration in FHIR [ITI-42].

use bytes::Bytes;
use serde_json::Value;
use xds::{Finding, Findings, Identifier, Patient, Submission};

/// Limits of a submission.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the Bundle without its documents.
    pub body: u64,
    /// Bytes of one document.
    pub document: u64,
    /// Bytes of all documents.
    pub submission: u64,
    /// Documents.
    pub documents: u64,
    /// Entries.
    pub entries: u64,
}

/// What comes out of the reader while the body goes in.
#[derive(Debug)]
pub enum Event {
    /// The data of the Binary of this entry (index in the Bundle) begins.
    Begin(usize),
    /// Its next bytes, decoded.
    Bytes(Bytes),
    /// It ends.
    End,
}

/// A pull parser over the body: the base64 of each `entry[n].resource.data` is decoded as it passes and given out as events;
/// everything else is kept (at most `limits.body` bytes) with the data left out.
pub struct Reader {
    _limits: Limits,
}

impl Reader {
    /// A reader at the beginning of a body.
    pub fn new(limits: Limits) -> Reader {
        Reader { _limits: limits }
    }

    /// Takes the next bytes of the body.
    pub fn feed(&mut self, _chunk: &[u8], _events: &mut Vec<Event>) -> Result<(), Findings> {
        todo!()
    }

    /// Ends the body: the Bundle without its data, as JSON text, strictly parsed.
    pub fn finish(self) -> Result<Value, Findings> {
        todo!()
    }
}

/// A document of a submission as it was measured while it came in.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Index of its entry in the Bundle.
    pub entry: usize,
    /// Bytes.
    pub size: u64,
    /// SHA-1.
    pub sha1: [u8; 20],
    /// SHA-256.
    pub sha256: [u8; 32],
}

/// At which door a Bundle came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The repository's: Binaries belong to it.
    Repository,
    /// The registry's: metadata of bytes that are elsewhere; `attachment.url` is absolute.
    Registry,
}

/// What an entry of the Bundle is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The submission set, a document or a folder, by symbol.
    Object(String),
    /// The bytes of a document: its symbol.
    Binary(String),
    /// A FHIR document (Bundle): the symbol of its entry, and its bytes.
    FhirDocument(String, Bytes),
    /// The status change that accompanies a replace: the reference it patches.
    Patch(String),
    /// The Patient resource sent along.
    Patient,
}

/// A Bundle read whole.
#[derive(Debug, Clone)]
pub struct Provided {
    /// The submission.
    pub submission: Submission,
    /// What each entry of the Bundle is, in order.
    pub roles: Vec<Role>,
    /// The Patient resource sent along, with its fullUrl.
    pub patient: Option<(String, Value)>,
    /// Reservations.
    pub warnings: Vec<Finding>,
}

impl Provided {
    /// How the source named the patient.
    pub fn patient(&self) -> &Patient {
        &self.submission.submission_set.patient
    }

    /// Says who the patient is: sets id and reference in every object (domain and carried), keeping a logical identifier.
    pub fn set_patient(&mut self, _id: &str, _reference: &str, _identifier: Option<&Identifier>) {
        todo!()
    }

    /// Says where the bytes of a document are and what they measure (domain and carried).
    pub fn set_document(
        &mut self,
        _symbol: &str,
        _url: &str,
        _size: u64,
        _sha1: [u8; 20],
        _sha256: [u8; 32],
    ) {
        todo!()
    }

    /// SHA-256 of the canonical submission: symbolic ids renumbered, order normalised, each document as SHA-256 and size
    /// (reliability 2). To be taken before `set_document`, after `set_patient`.
    pub fn digest(&self, _measured: &[Measured]) -> [u8; 32] {
        todo!()
    }
}

/// Reads a Bundle: checks its shape and its profile, verifies declared hash and size against the measured ones (Repository door).
/// Answers all problems.
pub fn read_request(_bundle: Value, _measured: &[Measured], _door: Door) -> Result<Provided, Findings> {
    todo!()
}

/// Writes the registration of a submission for the registry: the Bundle without its bytes. SHA-256 travels in an extension.
pub fn write_registration(_provided: &Provided) -> Vec<u8> {
    todo!()
}

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryReceipt {
    /// `201 Created` or `200 OK`.
    pub status: String,
    /// Relative versioned location, e.g. `DocumentReference/…/_history/1`; absolute where it is on another actor.
    pub location: String,
    /// `W/"1"`.
    pub etag: Option<String>,
    /// FHIR instant.
    pub last_modified: Option<String>,
    /// Warnings.
    pub warnings: Vec<Finding>,
}

/// Writes the transaction-response, one entry for each of the request, in order.
pub fn write_response(_entries: &[EntryReceipt]) -> Vec<u8> {
    todo!()
}

/// Reads a transaction-response.
pub fn read_response(_bytes: &[u8]) -> Result<Vec<EntryReceipt>, Findings> {
    todo!()
}
