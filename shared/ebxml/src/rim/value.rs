//! The data types of ebRIM attributes (TF-3 4.2.3.1.7).

use std::borrow::Cow;

use xds::attribute::{system, url_of_oid};
use xds::hl7::Cx;
use xds::identifier::is_oid;
use xds::{EntryUuid, Hash, Identifier};

/// A code system as the domain keeps it: the URL everybody knows, else an OID as `urn:oid:…`, else as it is.
pub(crate) fn read_system(written: &str) -> String {
    let bare = system(written);
    match url_of_oid(&bare) {
        Some(url) => url.to_owned(),
        None if is_oid(&bare) => format!("urn:oid:{bare}"),
        None => written.trim().to_owned(),
    }
}

/// A code system as XDS writes it: an OID without prefix where there is one.
pub(crate) fn write_system(kept: &str) -> Cow<'_, str> {
    match kept.strip_prefix("urn:oid:") {
        Some(oid) => Cow::Borrowed(oid),
        None if kept.contains("://") => Cow::Owned(system(kept)),
        None => Cow::Borrowed(kept),
    }
}

/// Reads a patient id: `id^^^&OID&ISO`. A name space before the OID is passed over.
pub(crate) fn read_patient_id(text: &str) -> Option<Identifier> {
    let cx = Cx::read(text)?;
    let authority = cx.authority.as_ref()?;
    let dotted =
        |text: &str| text.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()));
    // Some authorities are no OIDs by the letter, such as 3.4.5: no harm, they are compared as they are.
    let sound = authority.universal_type == "ISO" && dotted(&authority.universal_id);
    (sound && cx.type_code.is_none() && cx.home.is_none()).then(|| cx.identifier())
}

/// Reads an identifier in the form of a CX, whatever its authority is.
pub(crate) fn read_any_cx(text: &str) -> Option<Identifier> {
    Cx::read(text).map(|cx| cx.identifier())
}

/// Writes an identifier as a CX.
pub(crate) fn write_cx(identifier: &Identifier) -> String {
    let Identifier { system, value } = identifier;
    match system.strip_prefix("urn:oid:") {
        Some(oid) if !value.contains(['|', '^', '~', '&', '\\']) => {
            let mut text = String::with_capacity(value.len() + oid.len() + 8);
            for part in [value, "^^^&", oid, "&ISO"] {
                text.push_str(part);
            }
            text
        }
        _ => Cx::of(identifier).write(),
    }
}

/// Reads a SHA-1: 40 hexadecimal digits of either case.
pub(crate) fn read_hash(text: &str) -> Option<Hash> {
    let digits = text.as_bytes();
    if digits.len() != 40 {
        return None;
    }
    let mut hash = [0; 20];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (char::from(pair[0]).to_digit(16)?, char::from(pair[1]).to_digit(16)?);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(Hash(hash))
}

/// A SHA-1 as hexadecimal digits in lower case.
pub(crate) fn write_hash(hash: &Hash) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    hash.0
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// The entryUUID an id is, if it is one rather than a symbol.
pub(crate) fn entry_uuid(id: &str) -> Option<EntryUuid> {
    let head = id.get(..9)?;
    head.eq_ignore_ascii_case("urn:uuid:").then(|| EntryUuid::parse(&id[9..])).flatten()
}

/// A homeCommunityId with its prefix; none if it is not an OID.
pub(crate) fn read_home(text: &str) -> Option<String> {
    let oid = text.strip_prefix("urn:oid:").unwrap_or(text);
    is_oid(oid).then(|| format!("urn:oid:{oid}"))
}

/// Whether this may be a language: letters and digits in groups.
pub(crate) fn is_language(text: &str) -> bool {
    let mut groups = text.split(['-', '_']);
    let fits =
        |group: &str| (1..=8).contains(&group.len()) && group.bytes().all(|b| b.is_ascii_alphanumeric());
    groups.next().is_some_and(|group| fits(group) && group.bytes().all(|b| b.is_ascii_alphabetic()))
        && groups.all(fits)
}

/// Whether this may be a media type: two words with a slash between, then perhaps parameters, all in one line.
pub(crate) fn is_media_type(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic());
    let (kind, _) = text.split_once(';').unwrap_or((text, ""));
    let sound = kind.trim().split_once('/').is_some_and(|(major, minor)| word(major) && word(minor));
    sound && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_id_names_its_authority_by_oid() {
        let read = |text| read_patient_id(text).map(|id| (id.system, id.value));
        let expected = Some(("urn:oid:1.2.3".to_owned(), "a&b".to_owned()));
        assert_eq!(read("a\\T\\b^^^&1.2.3&ISO"), expected);
        assert_eq!(read("a\\T\\b^^^Hospital&1.2.3&ISO^^"), expected);
        assert_eq!(write_cx(&read_patient_id("a\\T\\b^^^&1.2.3&ISO").unwrap()), "a\\T\\b^^^&1.2.3&ISO");
        for wrong in
            ["a", "a^^^Hospital", "^^^&1.2.3&ISO", "a^^^&1.2.3&DNS", "a^^^&x&ISO", "a^^^&1.2.3&ISO^PI"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_identifier_of_any_authority_comes_back() {
        for (system, value) in [("urn:oid:1.2", "a^b"), ("http://h.example/a&b", "1"), ("urn:oid:1.2", "x")] {
            let identifier = Identifier { system: system.to_owned(), value: value.to_owned() };
            assert_eq!(read_any_cx(&write_cx(&identifier)), Some(identifier));
        }
    }

    #[test]
    fn a_code_system_has_the_spelling_of_the_domain_and_of_xds() {
        for (written, kept) in [
            ("2.16.840.1.113883.6.1", "http://loinc.org"),
            ("1.3.6.1.4.1.21367.2017.3", "urn:oid:1.3.6.1.4.1.21367.2017.3"),
            ("Connect-a-thon classCodes", "Connect-a-thon classCodes"),
        ] {
            assert_eq!(read_system(written), kept);
            assert_eq!(write_system(kept), written);
        }
        assert_eq!(read_system("urn:oid:1.2.3"), "urn:oid:1.2.3");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_read_is_no_panic(text in "\\PC{0,40}") {
            let _ = (read_patient_id(&text), read_any_cx(&text), read_hash(&text), entry_uuid(&text));
        }
    }
}
