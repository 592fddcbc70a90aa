//! Which key a submission has, and what its documents are called on the way out.

use fhir::iti65::Provided;
use xds::Identifier;
use xds::identifier::derived_unique_id;

use crate::patients::Resolved;

/// The key of a submission: its uniqueId. A source that gives none gets one made of what it sent, so that sending the same
/// again is a repetition.
pub(crate) fn key_of(provided: &mut Provided, client: &str, patient: &Resolved, digest: &[u8; 32]) -> String {
    if let Some(unique_id) = &provided.submission.submission_set.unique_id {
        return unique_id.value.clone();
    }
    let mut documents: Vec<Identifier> =
        provided.submission.documents.iter().map(|document| document.unique_id.clone()).collect();
    documents.sort();
    let unique_id = derived_unique_id(client, &patient.id, &documents, digest);
    provided.set_unique_id(&unique_id);
    unique_id.value
}

/// A digest as it stands in headers and records.
pub(crate) fn hexadecimal(digest: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half & 0xf)]);
    digest.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Whether this is a blob's id: 32 hexadecimal digits.
pub(crate) fn is_blob_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_in_lower_case_digits() {
        assert_eq!(hexadecimal(&[0x00, 0x9f, 0xff]), "009fff");
    }

    #[test]
    fn only_what_the_store_can_have_made_is_a_blob_id() {
        assert!(is_blob_id("0123456789abcdef0123456789abcdef"));
        for wrong in ["", "x y", "0123456789ABCDEF0123456789ABCDEF", "../../etc/passwd"] {
            assert!(!is_blob_id(wrong), "{wrong}");
        }
    }
}
