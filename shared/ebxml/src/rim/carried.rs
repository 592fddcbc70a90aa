//! What only ebRIM has a form for: classifications and identifiers in schemes nobody knows, names in further languages. Kept
//! with the object as XML of ebRIM with our prefix, in the order of the schema, and put back in its places.

use crate::element::{Attribute, Element};
use crate::names::namespace::RIM;
use crate::reader::{self, Limits};
use crate::writer::Writer;

/// Elements that can stand in an object, as we write them.
const ELEMENTS: &[&str] = &[
    "rim:Slot",
    "rim:ValueList",
    "rim:Value",
    "rim:Name",
    "rim:Description",
    "rim:LocalizedString",
    "rim:VersionInfo",
    "rim:ContentVersionInfo",
    "rim:Classification",
    "rim:ExternalIdentifier",
];

/// Attributes that are kept of them. Ids and owners are not: they are given anew.
const ATTRIBUTES: &[&str] = &[
    "name",
    "slotType",
    "value",
    "xml:lang",
    "charset",
    "versionName",
    "comment",
    "classificationScheme",
    "classificationNode",
    "nodeRepresentation",
    "identificationScheme",
    "index",
];

const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// What is kept of an object, each in its place.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) name: Option<Element>,
    pub(super) description: Option<Element>,
    /// In schemes nobody knows, or by node.
    pub(super) classifications: Vec<Element>,
    /// Slots and names that belong into a classification of a scheme we know; `index` says which of them.
    pub(super) leftovers: Vec<Element>,
    pub(super) identifiers: Vec<Element>,
    pub(super) content_version: Option<Element>,
}

/// What is left of a classification beyond code, scheme and display.
pub(super) fn leftover<'a>(
    one: &Element,
    index: usize,
    slots: impl Iterator<Item = &'a Element>,
) -> Option<Element> {
    let mut children: Vec<Element> = slots.cloned().collect();
    children.extend(one.child(RIM, "Name").filter(|name| says_more(name)).cloned());
    children.extend(one.child(RIM, "Description").filter(|text| !text.children.is_empty()).cloned());
    let nested = one.children.iter().filter(|child| child.is(RIM, "Classification"));
    children.extend(nested.cloned());
    if children.is_empty() {
        return None;
    }
    let attribute = |name: &str, value: &str| Attribute {
        namespace: "".into(),
        name: name.into(),
        value: value.to_owned(),
    };
    let scheme = one.attribute("classificationScheme").unwrap_or_default();
    let scheme: String = scheme.chars().filter(|letter| !letter.is_whitespace()).collect();
    let attributes = vec![attribute("classificationScheme", &scheme), attribute("index", &index.to_string())];
    Some(Element {
        namespace: RIM.into(),
        name: "Classification".into(),
        attributes,
        children,
        ..Element::default()
    })
}

/// What is left of an object.
pub(super) fn of_object<'a>(
    element: &'a Element,
    classifications: impl Iterator<Item = &'a Element>,
    identifiers: Vec<&'a Element>,
) -> Option<String> {
    let mut out = Writer::default();
    let mut empty = true;
    let names = ["Name", "Description"].into_iter().filter_map(|name| element.child(RIM, name));
    let versions =
        element.children_named(RIM, "ContentVersionInfo").filter(|version| !version.attributes.is_empty());
    for kept in names.filter(|name| says_more(name)).chain(classifications).chain(identifiers).chain(versions)
    {
        write(&mut out, kept);
        empty = false;
    }
    (!empty).then(|| String::from_utf8(out.finish()).unwrap_or_default())
}

/// Whether a Name or Description says more than one text in the language ebRIM takes for granted.
fn says_more(name: &Element) -> bool {
    let is = |given: Option<&str>, usual: &str| given.is_none_or(|given| given.eq_ignore_ascii_case(usual));
    let usual = |text: &Element| {
        is(text.attribute_in(XML, "lang"), "en-us") && is(text.attribute("charset"), "utf-8")
    };
    match name.children.as_slice() {
        [] => false,
        [one] => !usual(one),
        [_, _, ..] => true,
    }
}

/// Reads what was kept.
pub(super) fn read(xml: &str) -> Kept {
    let mut kept = Kept::default();
    for element in elements(xml) {
        match &*element.name {
            "Name" => kept.name = Some(element),
            "Description" => kept.description = Some(element),
            "Classification" if element.attribute("index").is_some() => kept.leftovers.push(element),
            "Classification" => kept.classifications.push(element),
            "ExternalIdentifier" => kept.identifiers.push(element),
            "ContentVersionInfo" => kept.content_version = Some(element),
            _ => {}
        }
    }
    kept
}

/// Writes an element with the attributes that are kept.
pub(super) fn write(out: &mut Writer, element: &Element) {
    let Some(name) = ELEMENTS.iter().find(|known| known[4..] == *element.name) else { return };
    out.start(name);
    attributes(out, element);
    content(out, element);
    out.end();
}

/// Writes the attributes that are kept.
pub(super) fn attributes(out: &mut Writer, element: &Element) {
    for attribute in &element.attributes {
        let prefix = if &*attribute.namespace == XML { "xml:" } else { "" };
        let known = ATTRIBUTES.iter().find(|known| known.strip_prefix(prefix) == Some(&*attribute.name));
        if let Some(name) = known {
            out.attribute(name, &attribute.value);
        }
    }
}

/// Writes what is in an element.
pub(super) fn content(out: &mut Writer, element: &Element) {
    if &*element.name == "Value" {
        out.text(&element.text);
    }
    element.children.iter().for_each(|child| write(out, child));
}

/// The elements of a piece of XML we wrote.
fn elements(xml: &str) -> Vec<Element> {
    let whole = format!("<kept xmlns:rim=\"{RIM}\">{xml}</kept>");
    // It was held to the limits when it came, whatever they were.
    let limits = Limits { text: u64::MAX, nodes: u64::MAX, ..Limits::default() };
    reader::read(whole.as_bytes(), &limits).map(|kept| kept.children).unwrap_or_default()
}
