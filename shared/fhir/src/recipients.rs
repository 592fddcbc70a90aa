//! intendedRecipient: `XON|XCN|XTN` in XDS, a reference in an extension of the submission set in FHIR (spec 4.5).

use serde_json::Value;
use xds::Author;
use xds::hl7::{Xcn, Xon};

use crate::people;

/// An intended recipient as XDS writes it; none of whom nothing is said but a URL.
pub(crate) fn read(resource: &Value, reference: &Value) -> Option<String> {
    let who = people::author(resource, reference);
    let institution = who.institutions.first().map(String::as_str).unwrap_or_default();
    let telecom = who.telecommunications.first().map(String::as_str).unwrap_or_default();
    let written = [institution, who.person.as_deref().unwrap_or_default(), telecom].join("|");
    let written = written.trim_end_matches('|');
    (!written.is_empty()).then(|| written.to_owned())
}

/// The reference that stands for an intended recipient; what it is made of goes among the contained resources.
pub(crate) fn write(written: &str, id: &str, contained: &mut Vec<Value>) -> Option<Value> {
    let mut parts = written.split('|');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (institution, person, telecom) = (part(), part(), part());
    let some = |text: String| (!text.is_empty()).then_some(text);
    let says =
        |text: &str| text.chars().any(|letter| !matches!(letter, '^' | '&') && !letter.is_whitespace());
    let who = Author {
        person: some(person).filter(|person| says(&Xcn::read(person).write())),
        institutions: some(institution).filter(|one| says(&Xon::read(one).write())).into_iter().collect(),
        telecommunications: some(telecom).into_iter().collect(),
        ..Author::default()
    };
    people::reference_to(&who, id, contained)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn intended_recipients_come_back() {
        for text in [
            "Some Hospital^^^^^^^^^1.2.3.9.1789.45|^Wel^Marcus^^^Dr^MD|^^Internet^mwel@healthcare.example.org",
            "Some Hospital^^^^^^^^^1.2.3.9.1789.45",
            "|12345^Welby^Marcus^^^Dr.^^^&1.2&ISO",
            "||^^Internet^a@b",
        ] {
            let mut contained = Vec::new();
            let reference = write(text, "r", &mut contained).unwrap();
            let back = read(&json!({ "contained": contained }), &reference).unwrap();
            // A degree is said among the suffixes.
            assert_eq!(back.replace("^Marcus^^MD^Dr", "^Marcus^^^Dr^MD"), text);
        }
    }
}
