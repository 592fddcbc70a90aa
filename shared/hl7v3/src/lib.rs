//! Messages of patient identity in HL7 v3: the feed ITI-44, and its acknowledgement.
//!
//! Lives here: the three messages of the feed read and written, what they tell of a person as members of a FHIR Patient, the
//! acknowledgement MCCI_IN000002UV01 read and written.
//! Does not live here: envelopes and XML itself (`ebxml`, `soap`), what a message does, which assigning authorities are known.
//! Doors: `xds`, `ebxml`.

pub mod acknowledgement;
mod address;
pub mod feed;
mod name;
mod person;
mod telecom;
mod wrapper;

pub use feed::{Event, Message};
pub use wrapper::{Header, InstanceId, Sending, read_header};

use ebxml::Element;

/// The namespace of HL7 v3.
pub const NAMESPACE: &str = "urn:hl7-org:v3";

/// The element at the end of a path of child elements.
fn find<'a>(element: &'a Element, path: &[&str]) -> Option<&'a Element> {
    path.iter().try_fold(element, |element, name| element.child(NAMESPACE, name))
}

/// An attribute, without white space around it; empty where there is none.
fn value(element: &Element, attribute: &str) -> String {
    element.attribute(attribute).unwrap_or_default().trim().to_owned()
}

/// The texts of all child elements of a name, fit for people, without empty ones.
fn texts(element: &Element, name: &str) -> Vec<String> {
    let texts = element.children_named(NAMESPACE, name).map(|part| xds::hl7::clean(part.trimmed()));
    texts.filter(|text| !text.is_empty()).collect()
}

#[cfg(test)]
fn element(xml: &str) -> Element {
    ebxml::reader::read(xml.as_bytes(), &ebxml::reader::Limits::default()).expect("it is XML")
}
