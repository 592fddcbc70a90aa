//! OIDs, and the uniqueId of a submission whose source gave none.

use crate::attribute::URI;
use crate::types::Identifier;

/// Longer than any OID seen in the field; the framework's 64 is for repository ids only.
const MAX_OID_CHARS: usize = 128;

/// Whether this is an OID without prefix: digits with dots, no leading zeros, a first arc that begins with 0 to 2. Sources
/// that take the first digits of a date or an address for theirs (`2009.9.1`, `129.6.58`) are many, and do no harm.
pub fn is_oid(text: &str) -> bool {
    let mut arcs = 0;
    let well_formed = text.split('.').all(|arc| {
        arcs += 1;
        !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'))
    });
    well_formed && arcs > 1 && text.starts_with(['0', '1', '2']) && text.len() <= MAX_OID_CHARS
}

/// The OID in `urn:oid:…`, if it is one.
pub fn oid(urn: &str) -> Option<&str> {
    urn.strip_prefix("urn:oid:").filter(|bare| is_oid(bare))
}

/// The uniqueId of an object as XDS writes it, one opaque text (TF-3 4.2.3.2.26): an OID without prefix, `root^extension`, or
/// the URI it is.
pub fn unique_id_text(name: &Identifier) -> String {
    match (name.system.as_str(), name.value.as_str()) {
        ("" | URI, value) => oid(value).unwrap_or(value).to_owned(),
        (system, value) => format!("{}^{value}", oid(system).unwrap_or(system)),
    }
}

/// A uniqueId XDS writes so, as a name in a name space: an OID in full (`urn:oid:…`), `root^extension` as a value in the
/// name space of its root. What is none of these is taken as a URI: FHIR names no document without a name space.
pub fn unique_id_of(text: &str) -> Identifier {
    let name = |system: &str, value: String| Identifier { system: system.to_owned(), value };
    if is_oid(text) {
        return name(URI, format!("urn:oid:{text}"));
    }
    match text.split_once('^') {
        Some((root, extension)) if is_oid(root) && !extension.is_empty() => {
            name(&format!("urn:oid:{root}"), extension.to_owned())
        }
        Some((root, extension)) if root.contains(':') && !extension.is_empty() => {
            name(root, extension.to_owned())
        }
        Some(_) | None => name(URI, text.to_owned()),
    }
}

/// An OID for a name, as a URN: the same name gives the same one.
pub fn oid_of_name(name: &str) -> String {
    let number = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).as_u128();
    format!("urn:oid:2.25.{number}")
}

/// The uniqueId of a submission whose source gave none: the same client, patient, documents and content give the same one
/// (reliability: the key of a submission), so that sending it again is recognised.
pub fn derived_unique_id(
    client: &str,
    patient: &str,
    documents: &[Identifier],
    digest: &[u8; 32],
) -> Identifier {
    let mut name = Vec::with_capacity(256);
    for part in [client, patient] {
        name.extend_from_slice(part.as_bytes());
        name.push(0);
    }
    for document in documents {
        name.extend_from_slice(document.system.as_bytes());
        name.push(b'|');
        name.extend_from_slice(document.value.as_bytes());
        name.push(0);
    }
    name.extend_from_slice(digest);
    let number = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &name).as_u128();
    Identifier { system: URI.to_owned(), value: format!("urn:oid:2.25.{number}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oid_has_digits_dots_and_no_leading_zeros() {
        assert!(is_oid("1.2.840.113556"));
        assert!(is_oid("2009.9.1.2456"));
        assert!(is_oid("2.25.340282366920938463463374607431768211455"));
        for wrong in
            ["", "1", "3.1", "1..2", "1.02", "1.2.", ".1", "1.a", "29946a9c-e77c-4c19-bc05-324d87605646"]
        {
            assert!(!is_oid(wrong), "{wrong:?} is not an OID");
        }
    }

    #[test]
    fn a_unique_id_reads_as_it_was_written() {
        for (text, system, value) in [
            ("1.2.3", URI, "urn:oid:1.2.3"),
            ("1.2.3^a-7", "urn:oid:1.2.3", "a-7"),
            ("1.2.3^a^b", "urn:oid:1.2.3", "a^b"),
            (
                "urn:uuid:29946a9c-e77c-4c19-bc05-324d87605646",
                URI,
                "urn:uuid:29946a9c-e77c-4c19-bc05-324d87605646",
            ),
            ("http://example.org/d/7", URI, "http://example.org/d/7"),
            ("http://example.org/ids^7", "http://example.org/ids", "7"),
            ("just a word^1", URI, "just a word^1"),
        ] {
            let name = unique_id_of(text);
            assert_eq!((name.system.as_str(), name.value.as_str()), (system, value));
            assert_eq!(unique_id_text(&name), text);
        }
    }

    #[test]
    fn a_derived_unique_id_is_an_oid_and_depends_on_the_content() {
        let documents = [Identifier { system: URI.to_owned(), value: "urn:oid:1.2.3".to_owned() }];
        let one = derived_unique_id("client", "patient", &documents, &[1; 32]);
        assert!(oid(&one.value).is_some());
        assert_eq!(one, derived_unique_id("client", "patient", &documents, &[1; 32]));
        assert_ne!(one, derived_unique_id("client", "patient", &documents, &[2; 32]));
        assert_ne!(one, derived_unique_id("client", "other", &documents, &[1; 32]));
    }
}
