//! What is kept of a body while it passes, and the limits it is held to, whatever it is written in.

use bytes::Bytes;
use xds::{Finding, Place, Rule};

use super::base64::Base64;
use super::{Event, Form, Limits};

/// Bytes decoded at a time, at most.
const PIECE: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Shell {
    form: Form,
    limits: Limits,
    /// The Bundle without its data: each is left as an empty string.
    pub(super) text: Vec<u8>,
    /// Where data was left out, and how much: for the columns of findings.
    pub(super) cuts: Vec<(usize, u64)>,
    entries: u64,
    documents: u64,
    total: u64,
}

/// A document on its way through.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) base64: Base64,
    bytes: u64,
    /// Characters of the text, for the column of later findings.
    pub(super) characters: u64,
}

impl Shell {
    pub(super) fn new(form: Form, limits: Limits) -> Shell {
        Shell { form, limits, text: Vec::new(), cuts: Vec::new(), entries: 0, documents: 0, total: 0 }
    }

    pub(super) fn keep(&mut self, bytes: &[u8]) -> Result<(), Finding> {
        if self.text.len() as u64 + bytes.len() as u64 > self.limits.body {
            let most = self.limits.body;
            let what = "The Bundle without its documents is longer than";
            return Err(limit(Rule::TooLong, Place::whole(), what, most, "max_body_bytes"));
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    /// Counts an entry.
    pub(super) fn next_entry(&mut self) -> Result<(), Finding> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            let most = self.limits.entries;
            let what = "The Bundle has more entries than";
            return Err(limit(Rule::TooCostly, Place::at(self.form.list()), what, most, "max_entries"));
        }
        Ok(())
    }

    /// Index of the entry that is being read.
    fn entry(&self) -> usize {
        usize::try_from(self.entries.saturating_sub(1)).unwrap_or(usize::MAX)
    }

    /// Begins a document.
    pub(super) fn begin(&mut self, events: &mut Vec<Event>) -> Result<Document, Finding> {
        self.documents += 1;
        if self.documents > self.limits.documents {
            let most = self.limits.documents;
            let what = "The Bundle has more documents than";
            return Err(limit(Rule::TooCostly, Place::at(self.form.list()), what, most, "max_documents"));
        }
        events.push(Event::Begin(self.entry()));
        Ok(Document::default())
    }

    /// Room for what becomes of so many bytes of base64.
    pub(super) fn room(length: usize) -> Vec<u8> {
        Vec::with_capacity(length.min(PIECE) / 4 * 3 + 4)
    }

    /// Takes decoded bytes of a document.
    pub(super) fn decoded(
        &mut self,
        document: &mut Document,
        bytes: Vec<u8>,
        events: &mut Vec<Event>,
    ) -> Result<(), Finding> {
        document.bytes += bytes.len() as u64;
        self.total += bytes.len() as u64;
        if document.bytes > self.limits.document {
            let most = self.limits.document;
            let what = "The document is longer than";
            return Err(limit(Rule::TooLong, self.place(), what, most, "max_document_bytes"));
        }
        if self.total > self.limits.submission {
            let most = self.limits.submission;
            let what = "The documents together are longer than";
            return Err(limit(Rule::TooLong, self.place(), what, most, "max_submission_bytes"));
        }
        if !bytes.is_empty() {
            events.push(Event::Bytes(Bytes::from(bytes)));
        }
        Ok(())
    }

    /// Ends a document.
    pub(super) fn end(&mut self, document: &Document, events: &mut Vec<Event>) -> Result<(), Finding> {
        if !document.base64.complete() {
            return Err(self.invalid());
        }
        self.cuts.push((self.text.len(), document.characters));
        events.push(Event::End);
        Ok(())
    }

    fn place(&self) -> Place {
        Place::at(self.form.data(self.entry()))
    }

    /// The document is not what it should be written in.
    pub(super) fn invalid(&self) -> Finding {
        Finding::error(Rule::Value, self.place(), "data is not base64.")
    }
}

/// Containers deeper than a limit are refused while the body passes, so that a bomb costs nothing.
pub(super) fn too_deep(levels: usize) -> Finding {
    let text = format!("The body is nested deeper than {levels} levels.");
    Finding::error(Rule::Structure, Place::whole(), text)
}

fn limit(rule: Rule, place: Place, what: &str, most: u64, key: &str) -> Finding {
    Finding::error(rule, place, format!("{what} {most} (server.limits.{key})."))
}
