//! What the registry says it has committed under a key.

use fhir::iti65::EntryReceipt;

use crate::records::Attempt;

/// A committed submission. Attempts are numbered from 1 by everybody who submits under a key, so a number alone does not
/// say whose it is: the content and the places of the documents do.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    /// Its attempt.
    pub(crate) attempt: u64,
    /// Digest of what was committed, hexadecimal, where the registry says it.
    pub(crate) digest: Option<String>,
    /// Where its documents are, where the registry says it, in the order of their receipts.
    pub(crate) documents: Option<Vec<String>>,
    /// One receipt for each entry that was registered.
    pub(crate) receipts: Vec<EntryReceipt>,
    /// The commit of the registry that holds it; 0 if it does not say.
    pub(crate) sequence: u64,
    /// Whether this was answered before.
    pub(crate) replayed: bool,
}

impl Commit {
    /// Whether it is this attempt of ours.
    pub(crate) fn is(&self, ours: &Attempt) -> bool {
        if !self.has_content(&ours.digest) {
            return false;
        }
        match &self.documents {
            Some(urls) if ours.blobs().next().is_some() => {
                ours.blobs().all(|blob| urls.iter().any(|url| is_document(url, blob)))
            }
            Some(_) | None => self.attempt == ours.attempt,
        }
    }

    /// Whether it has the content with this digest, as far as the registry says.
    pub(crate) fn has_content(&self, digest: &str) -> bool {
        self.digest.as_ref().is_none_or(|committed| committed == digest)
    }
}

/// Whether a URL is that of this document. Ids of documents are never given twice.
pub(crate) fn is_document(url: &str, blob: &str) -> bool {
    url.strip_suffix(blob).is_some_and(|before| before.ends_with("/documents/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Slot;

    fn attempt(number: u64, blobs: &[&str]) -> Attempt {
        let bytes = |blob: &&str| Slot::Bytes { blob: (*blob).to_owned(), symbol: "d".to_owned() };
        Attempt {
            attempt: number,
            digest: "d".to_owned(),
            base: "http://repository/fhir".to_owned(),
            instant: 0,
            slots: blobs.iter().map(bytes).collect(),
            warnings: None,
            expected: None,
        }
    }

    fn commit(documents: Option<&[&str]>) -> Commit {
        Commit {
            attempt: 1,
            digest: Some("d".to_owned()),
            documents: documents.map(|urls| urls.iter().map(|url| (*url).to_owned()).collect()),
            receipts: Vec::new(),
            sequence: 0,
            replayed: true,
        }
    }

    #[test]
    fn an_attempt_is_the_committed_one_by_its_documents_and_not_by_its_number() {
        let committed = commit(Some(&["http://repository/documents/a", "http://repository/documents/b"]));
        assert!(committed.is(&attempt(2, &["b", "a"])));
        assert!(!committed.is(&attempt(1, &["c", "a"])));
        assert!(!Commit { digest: Some("e".to_owned()), ..committed }.is(&attempt(1, &["a", "b"])));
    }

    #[test]
    fn without_documents_the_number_decides() {
        assert!(commit(Some(&["http://elsewhere/1"])).is(&attempt(1, &[])));
        assert!(!commit(Some(&[])).is(&attempt(2, &[])));
        assert!(commit(None).is(&attempt(1, &["a"])));
    }
}
