//! One spelling for what can be spelled in several ways: decided here, at write and at question alike.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Code systems that are written as URL in FHIR and as OID in XDS.
const KNOWN: &[(&str, &str)] = &[
    ("http://loinc.org", "2.16.840.1.113883.6.1"),
    ("http://snomed.info/sct", "2.16.840.1.113883.6.96"),
    ("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "2.16.840.1.113883.5.25"),
    ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "2.16.840.1.113883.5.4"),
    ("http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode", "1.3.6.1.4.1.19376.1.2.3"),
    ("http://profiles.ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode", "1.3.6.1.4.1.19376.1.2.3"),
    ("https://profiles.ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode", "1.3.6.1.4.1.19376.1.2.3"),
    ("http://hl7.org/fhir/sid/icd-10", "2.16.840.1.113883.6.3"),
    ("http://unitsofmeasure.org", "2.16.840.1.113883.6.8"),
];

/// A code system or name space in the one spelling it is kept in: an OID without prefix where there is one.
pub fn system(written: &str) -> String {
    let bare = without(written.trim(), "urn:oid:").trim();
    if bare.contains("%20") {
        // XDS has code systems with blanks in their names, which FHIR writes so.
        return system(&bare.replace("%20", " "));
    }
    KNOWN.iter().find(|(url, _)| *url == bare).map_or(bare, |(_, oid)| oid).to_owned()
}

/// The URL FHIR writes a code system as, by its OID without prefix; none if it is not one of those everybody knows.
pub fn url_of_oid(oid: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(_, known)| *known == oid).map(|(url, _)| *url)
}

/// The value of an identifier in the one spelling it is kept in: OIDs and UUIDs without prefix, UUIDs in lower case.
pub fn identifier_value(written: &str) -> String {
    let oid = without(written, "urn:oid:");
    let uuid = without(oid, "urn:uuid:");
    if uuid.len() < oid.len() { uuid.to_ascii_lowercase() } else { oid.to_owned() }
}

/// A text without this prefix, however often it stands there: what is in its one spelling must stay as it is.
fn without<'a>(text: &'a str, prefix: &str) -> &'a str {
    let mut bare = text;
    while let Some(rest) = strip(bare, prefix) {
        bare = rest;
    }
    bare
}

fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// A name without case and accents, as names are compared.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let bare = text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    let mut folded = String::with_capacity(text.len());
    bare.for_each(|letter| match plain(letter) {
        Some(plain) => folded.push_str(plain),
        None => folded.push(letter),
    });
    folded
}

/// Letters of names whose stroke or ligature is no accent to Unicode, as they are written where a keyboard lacks them.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ł' => "l",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ŧ' => "t",
        'ı' => "i",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_system_is_the_same_by_url_and_by_oid() {
        assert_eq!(system("http://loinc.org"), system("urn:oid:2.16.840.1.113883.6.1"));
        assert_eq!(system("http://loinc.org"), system("2.16.840.1.113883.6.1"));
        assert_eq!(system("http://example.org/codes"), "http://example.org/codes");
        assert_eq!(system("Connect-a-thon%20classCodes"), system("Connect-a-thon classCodes"));
    }

    #[test]
    fn an_identifier_is_the_same_with_and_without_its_urn_prefix() {
        assert_eq!(identifier_value("urn:oid:1.2.3"), "1.2.3");
        assert_eq!(
            identifier_value("URN:UUID:0C3151BD-1CBF-4D64-B04D-CD9187A4C6E0"),
            "0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
        );
        assert_eq!(identifier_value("Abc"), "Abc");
    }

    proptest::proptest! {
        #[test]
        fn a_value_in_its_one_spelling_stays_as_it_is(text in "(urn:oid:|URN:OID:|urn:uuid:)?[a-zA-Z0-9.: |ü%-]{0,24}") {
            let system_once = system(&text);
            proptest::prop_assert_eq!(system(&system_once), system_once);
            let value_once = fold(&identifier_value(&text));
            proptest::prop_assert_eq!(fold(&value_once), value_once);
        }
    }

    #[test]
    fn names_fold_case_and_accents() {
        assert_eq!(fold("Müller"), "muller");
        assert_eq!(fold("ÅNGSTRÖM"), "angstrom");
        assert_eq!(fold("Łukasz Øre-Đorđević"), "lukasz ore-dordevic");
        assert_eq!(fold("Weiß"), fold("WEISS"));
        assert_eq!(fold("Æsa Þór IŞIK Işık"), "aesa thor isik isik");
        assert_eq!(fold("O'Neil"), "o'neil");
        assert_eq!(fold("%_"), "%_");
    }
}
