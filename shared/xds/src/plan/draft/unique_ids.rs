//! uniqueIds: what is taken, and for which bytes.

use super::Draft;
use crate::finding::{Finding, Rule};
use crate::plan::changeset::UniqueIdClaim;
use crate::plan::known::{Content, Holder, claim_name};
use crate::types::{DocumentEntry, EntryKind, Identifier};

impl Draft<'_> {
    /// uniqueIds: of sets and folders unused, of documents unused or for the same bytes (TF-2 3.42.4.1.3.5).
    pub(in crate::plan) fn unique_ids(&mut self) {
        let submission = self.submission;
        let set = &submission.submission_set;
        if let Some(unique_id) = &set.unique_id {
            self.claim_list(&set.symbol, unique_id, "SubmissionSet.uniqueId");
        }
        for folder in submission.folders.iter().filter(|f| !f.update) {
            if let Some(unique_id) = &folder.unique_id {
                self.claim_list(&folder.symbol, unique_id, "Folder.uniqueId");
            }
        }
        for document in &submission.documents {
            self.claim_document(document);
        }
    }

    fn claim_list(&mut self, symbol: &str, unique_id: &Identifier, attribute: &'static str) {
        let name = claim_name(unique_id);
        if self.known.holders.contains_key(&name) {
            let at = self.place(symbol).member("identifier").of(attribute);
            self.refuse(
                Rule::DuplicateUniqueId,
                at,
                format!("the uniqueId {} is taken by a registered object", unique_id.value),
            );
        } else if let Some(id) = self.assigned.get(symbol) {
            self.claims.push(UniqueIdClaim { name, holder: Holder::List(id.clone()) });
        }
    }

    fn claim_document(&mut self, document: &DocumentEntry) {
        let name = claim_name(&document.unique_id);
        let given = Content { sha256: document.sha256, hash: document.hash, size: document.size };
        let holder = match self.known.holders.get(&name) {
            None if document.kind == EntryKind::OnDemand => Holder::OnDemand,
            None => Holder::Document(given),
            Some(Holder::OnDemand) if document.kind == EntryKind::OnDemand => Holder::OnDemand,
            Some(Holder::OnDemand) => {
                let text =
                    "is that of a registered on-demand entry; a document with fixed bytes has one of its own";
                return self.not_of_this_kind(document, text);
            }
            Some(Holder::Document(_)) if document.kind == EntryKind::OnDemand => {
                let text = "is that of a registered document with fixed bytes; an on-demand entry has one of its own";
                return self.not_of_this_kind(document, text);
            }
            Some(Holder::List(_)) => {
                return self.not_of_this_kind(document, "is that of a registered submission set or folder");
            }
            Some(Holder::Document(registered)) => {
                if let Some(finding) = self.other_bytes(document, &given, registered) {
                    self.findings.push(finding);
                    return;
                }
                Holder::Document(*registered)
            }
        };
        self.claims.push(UniqueIdClaim { name, holder });
    }

    fn not_of_this_kind(&mut self, document: &DocumentEntry, why: &str) {
        let at = self.place(&document.symbol).member("masterIdentifier").of("DocumentEntry.uniqueId");
        let text = format!("the uniqueId {} {why}", document.unique_id.value);
        self.refuse(Rule::MetadataInvalid, at, text);
    }

    /// Equality of content is SHA-256 and size; where one side has no SHA-256, SHA-1 and size; SHA-1 alone can be forged.
    fn other_bytes(
        &self,
        document: &DocumentEntry,
        given: &Content,
        registered: &Content,
    ) -> Option<Finding> {
        let at = self.place(&document.symbol).member("content[0].attachment");
        let unique_id = &document.unique_id.value;
        if let (Some(given), Some(registered)) = (given.size, registered.size)
            && given != registered
        {
            let text =
                format!("document {unique_id} is registered with {registered} bytes, this one has {given}");
            return Some(Finding::error(
                Rule::NonIdenticalSize,
                at.member("size").of("DocumentEntry.size"),
                text,
            ));
        }
        let differ = match (given.sha256, registered.sha256) {
            (Some(given), Some(registered)) => given != registered,
            _ => {
                matches!((given.hash, registered.hash), (Some(given), Some(registered)) if given != registered)
            }
        };
        differ.then(|| {
            let text = format!("document {unique_id} is registered with other content (hash)");
            Finding::error(Rule::NonIdenticalHash, at.member("hash").of("DocumentEntry.hash"), text)
        })
    }
}
