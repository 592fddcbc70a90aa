//! A FHIR document in the syntax it was not submitted in, made when somebody asks for it.

use std::ops::Range;

use bytes::Bytes;
use fhir::negotiate::{self, Syntax};
use fhir::{json, xml};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::disposition::essence;
use crate::documents::accepts;

/// Bytes of the largest document that is written anew: it is held in memory twice meanwhile.
pub(crate) const MOST: u64 = 32 << 20;

/// A document may hold others in base64, and lists as long as a record.
const LIMITS: json::Limits = json::Limits { depth: 64, string: 32 << 20, items: 1 << 20, nodes: 2 << 20 };

/// The syntax in which somebody who does not take a document as it is would take it.
pub(crate) fn wanted(accept: &str, content_type: &str) -> Option<Syntax> {
    let essence = essence(content_type);
    let syntax = negotiate::named(&essence).filter(|_| essence.contains("fhir"))?;
    accepts(accept, syntax.other().media_type()).then(|| syntax.other())
}

/// The bytes in a syntax, with their check sums; none if they are no resource of R4 in the other.
pub(crate) fn convert(bytes: &[u8], syntax: Syntax) -> Option<(Bytes, [u8; 20], [u8; 32])> {
    let bytes = match syntax {
        Syntax::Json => xml::parse(bytes, &LIMITS).ok()?.to_string().into_bytes(),
        Syntax::Xml => xml::write(bytes)?,
    };
    let (sha1, sha256) = (Sha1::digest(&bytes).into(), Sha256::digest(&bytes).into());
    Some((bytes.into(), sha1, sha256))
}

/// A range of bytes at hand.
pub(crate) fn part(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(range.start)..at(range.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fhir_document_is_had_in_the_other_syntax() {
        assert_eq!(wanted("application/fhir+xml", "application/fhir+json"), Some(Syntax::Xml));
        assert_eq!(
            wanted("application/fhir+json", "application/fhir+xml; charset=utf-8"),
            Some(Syntax::Json)
        );
        assert_eq!(wanted("application/pdf", "application/fhir+json"), None);
        assert_eq!(wanted("application/fhir+xml", "application/pdf"), None);
        assert_eq!(wanted("application/fhir+xml", "application/json"), None);
    }

    #[test]
    fn a_document_comes_back_from_the_other_syntax() {
        let json = br#"{"resourceType":"Bundle","type":"document"}"#;
        let (xml, _, _) = convert(json, Syntax::Xml).expect("it is FHIR");
        let (back, _, sha256) = convert(&xml, Syntax::Json).expect("it is FHIR");
        assert_eq!(back, json[..]);
        assert_eq!(sha256, <[u8; 32]>::from(Sha256::digest(json)));
        assert!(convert(b"{}", Syntax::Xml).is_none() && convert(b"{}", Syntax::Json).is_none());
    }
}
