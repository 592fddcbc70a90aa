//! What a Patient says beside itself: its mother, and the numbers of its accounts.

use serde_json::{Map, Value};
use xds::Identifier;

use super::{items, read_identifier, text};

/// Of a Patient: the number of an account of it (PID-18), as an Identifier. Everybody may see it.
pub const ACCOUNT: &str = "https://docshare.example/StructureDefinition/patient-account-number";
/// The mother, among codes of relationships (v3-RoleCode).
const MOTHER: &str = "MTH";

/// The mother of a patient: the contained RelatedPerson that says so and is of this patient.
pub fn mother(patient: &Map<String, Value>) -> Option<&Value> {
    items(patient.get("contained")).iter().find(|contained| {
        let of_it = contained.pointer("/patient/reference").and_then(Value::as_str) == Some("#");
        let relations = items(contained.get("relationship")).iter();
        let mut codes = relations.flat_map(|relation| items(relation.get("coding")));
        text(contained, "resourceType") == Some("RelatedPerson")
            && of_it
            && codes.any(|coding| text(coding, "code") == Some(MOTHER))
    })
}

/// The identifiers the mother of a patient is known by.
pub fn mothers_identifiers(patient: &Map<String, Value>) -> Vec<Identifier> {
    let mother = mother(patient).map(|mother| items(mother.get("identifier"))).unwrap_or_default();
    mother.iter().filter_map(read_identifier).collect()
}

/// The numbers of the accounts of a patient, as Identifiers; one may have no system.
pub fn accounts(patient: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let extensions = items(patient.get("extension")).iter();
    extensions
        .filter(|extension| text(extension, "url") == Some(ACCOUNT))
        .filter_map(|extension| extension.get("valueIdentifier"))
}

/// Digits of a number that is worth comparing.
const DIGITS: usize = 3;

/// A telephone number as numbers are compared: its digits. What is none, an address of mail, say, as it stands, in small letters.
pub fn plain_number(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_number = digits.len() >= DIGITS && !text.contains(char::is_alphabetic);
    if is_number { digits } else { text.trim().to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_digits_and_an_address_is_itself() {
        assert_eq!(plain_number("(414) 379-1212"), "4143791212");
        assert_eq!(plain_number("Ida.12345@Example.org "), "ida.12345@example.org");
        assert_eq!(plain_number("112"), "112");
        assert_eq!(plain_number("#1"), "#1");
    }
}
