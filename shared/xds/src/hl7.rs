//! The data types that XDS borrows from HL7 v2: identifiers (CX, CXi), people (XCN), organizations (XON), addresses (XTN), coded
//! strings and times (DTM), as TF-3 4.2.3.1.7 restricts them.
//!
//! The domain keeps such values as they were written; here is how one is taken apart and put together. What is well-formed
//! comes back equal; whoever needs a value that is not compares what was read and written, and keeps the text.

pub mod dtm;
mod fill;
mod identifier;
mod person;
mod telecom;
mod told;

pub use fill::{fill, fill_author, fill_document};
pub use identifier::{Cx, Hd, coded, write_coded};
pub use person::{Xcn, Xon};
pub use telecom::Xtn;
pub use told::{birth_date, clean};

use std::borrow::Cow;

/// Type code of a CXi that names an encounter.
pub const ENCOUNTER_ID: &str = "urn:ihe:iti:xds:2015:encounterId";
/// Type code of a CXi that is a uniqueId.
pub const UNIQUE_ID: &str = "urn:ihe:iti:xds:2013:uniqueId";
/// Type code of a CXi that is an accession number.
pub const ACCESSION: &str = "urn:ihe:iti:xds:2013:accession";
/// Type code of a CXi that is an order number.
pub const ORDER: &str = "urn:ihe:iti:xds:2013:order";
/// Type code of a CXi that is a DICOM Study Instance UID.
pub const STUDY_INSTANCE_UID: &str = "urn:ihe:iti:xds:2016:studyInstanceUID";

/// Delimiters and what stands for each within a value.
const ESCAPES: &[(char, &str)] =
    &[('|', "\\F\\"), ('^', "\\S\\"), ('~', "\\R\\"), ('&', "\\T\\"), ('\\', "\\E\\")];

/// A value as it stands within a component: delimiters written as escapes.
pub fn escape(value: &str) -> Cow<'_, str> {
    if !value.contains(['|', '^', '~', '&', '\\']) {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len() + 8);
    for letter in value.chars() {
        match ESCAPES.iter().find(|(plain, _)| *plain == letter) {
            Some((_, written)) => out.push_str(written),
            None => out.push(letter),
        }
    }
    Cow::Owned(out)
}

/// A value as it is meant. Escapes for anything but delimiters (highlighting, hexadecimal) stay as they are written.
pub fn unescape(written: &str) -> Cow<'_, str> {
    if !written.contains('\\') {
        return Cow::Borrowed(written);
    }
    let mut out = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match ESCAPES.iter().find(|(_, escape)| rest.starts_with(escape)) {
            Some((plain, escape)) => {
                out.push(*plain);
                rest = &rest[escape.len()..];
            }
            None => {
                out.push('\\');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// A value taken apart: components and their subcomponents, counted from 1 as the standard does.
struct Parts<'a>(Vec<&'a str>);

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Parts<'a> {
        Parts(text.split('^').collect())
    }

    fn raw(&self, component: usize) -> &'a str {
        self.0.get(component - 1).copied().unwrap_or_default()
    }

    fn text(&self, component: usize) -> String {
        unescape(self.raw(component)).into_owned()
    }

    fn authority(&self, component: usize) -> Option<Hd> {
        Some(Hd::read(self.raw(component))).filter(|authority| *authority != Hd::default())
    }
}

/// Components put together; delimiters at the end say nothing and are left out.
fn join(components: &[Cow<'_, str>]) -> String {
    let mut out = components.join("^");
    out.truncate(out.trim_end_matches('^').len());
    out
}

fn authority(authority: Option<&Hd>) -> Cow<'static, str> {
    authority.map_or(Cow::Borrowed(""), |authority| Cow::Owned(authority.write()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_within_a_value_are_escaped() {
        assert_eq!(escape("a|b^c~d&e\\f"), "a\\F\\b\\S\\c\\R\\d\\T\\e\\E\\f");
        assert_eq!(unescape("\\T\\ \\X0D\\ \\"), "& \\X0D\\ \\");
    }

    proptest::proptest! {
        #[test]
        fn an_escaped_value_is_the_value(text in "[a-zA-Z|^~&\\\\ üé]{0,20}") {
            let written = escape(&text);
            proptest::prop_assert!(!written.contains(['|', '^', '~', '&']));
            proptest::prop_assert_eq!(unescape(&written), text.as_str());
        }
    }
}
