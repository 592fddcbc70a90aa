//! The header of a CDA document as a small tree: everything before its body. No DTD, no entities but the five, bounded depth.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Elements deeper than this are in no header.
const DEPTH: usize = 64;
/// Elements of the longest header.
const NODES: usize = 20_000;

/// An element, by its local name.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) children: Vec<Node>,
}

impl Node {
    /// An attribute that says something.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name)?;
        Some(found.1.trim()).filter(|value| !value.is_empty())
    }

    /// The children with this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first element down this path of names.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| node.children.iter().find(|child| child.name == *name))
    }

    /// All words in it, one space between them.
    pub(super) fn words(&self) -> String {
        let mut all = String::new();
        self.collect(&mut all);
        all.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn collect(&self, all: &mut String) {
        all.push_str(&self.text);
        all.push(' ');
        self.children.iter().for_each(|child| child.collect(all));
    }
}

/// Reads the header of a CDA document: up to the kind of its body, which is the last element of the tree.
pub(super) fn read(head: &[u8], whole: bool) -> Result<Node, String> {
    let text = decoded(head)?;
    let mut reader = Reader::from_str(&text);
    reader.config_mut().expand_empty_elements = true;
    let (mut open, mut count): (Vec<Node>, usize) = (Vec::new(), 0);
    loop {
        let event = reader.read_event().map_err(|error| broken(&error.to_string(), whole))?;
        match event {
            Event::Start(start) => {
                count += 1;
                if open.len() == DEPTH || count > NODES {
                    return Err(format!(
                        "The header of the document is deeper than {DEPTH} or has more than {NODES} elements."
                    ));
                }
                let node = node(&start)?;
                if open.is_empty() {
                    is_clinical_document(&node)?;
                }
                let is_body = open.len() == 2 && open[1].name == "component";
                open.push(node);
                if is_body {
                    return Ok(folded(open));
                }
            }
            Event::End(_) => {
                let Some(node) = open.pop() else {
                    return Err(broken("an element ends that is not open", whole));
                };
                match open.last_mut() {
                    Some(parent) => parent.children.push(node),
                    None => return Ok(node),
                }
            }
            Event::Text(text) => {
                let text = text.xml10_content();
                if let Some(node) = open.last_mut() {
                    node.text.push_str(&text);
                }
            }
            Event::CData(text) => {
                if let Some(node) = open.last_mut() {
                    node.text.push_str(&text);
                }
            }
            Event::GeneralRef(reference) => {
                let letter = match reference.resolve_char_ref() {
                    Ok(Some(letter)) => letter,
                    Ok(None) => match &*reference {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "quot" => '"',
                        "apos" => '\'',
                        other => {
                            return Err(format!(
                                "The document uses the entity {other}, which nobody declares."
                            ));
                        }
                    },
                    Err(error) => return Err(broken(&error.to_string(), whole)),
                };
                if let Some(node) = open.last_mut() {
                    node.text.push(letter);
                }
            }
            Event::DocType(_) => {
                return Err("The document has a DOCTYPE; a CDA document has none.".to_owned());
            }
            Event::Eof => return Err(broken("it ends before its header does", whole)),
            Event::Empty(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
}

/// Closes what is open: the body itself is not read.
fn folded(mut open: Vec<Node>) -> Node {
    while open.len() > 1 {
        if let (Some(node), Some(parent)) = (open.pop(), open.last_mut()) {
            parent.children.push(node);
        }
    }
    open.pop().unwrap_or_default()
}

fn node(start: &BytesStart<'_>) -> Result<Node, String> {
    let name = start.local_name().as_ref().to_owned();
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| broken(&error.to_string(), true))?;
        let value = attribute
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .map_err(|error| broken(&error.to_string(), true))?;
        attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
    }
    Ok(Node { name, attributes, ..Node::default() })
}

fn is_clinical_document(root: &Node) -> Result<(), String> {
    let is_v3 = root.attributes.iter().any(|(_, value)| value == "urn:hl7-org:v3");
    if root.name == "ClinicalDocument" && is_v3 {
        return Ok(());
    }
    Err(format!(
        "The document is XML, and no CDA document: its root is {}, and ClinicalDocument of urn:hl7-org:v3 is understood.",
        root.name
    ))
}

/// The text of a document in UTF-8, or in Latin-1 where it says so.
fn decoded(head: &[u8]) -> Result<String, String> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let declaration = String::from_utf8_lossy(&head[..head.len().min(200)]).to_ascii_lowercase();
    let declared = declaration.split("?>").next().unwrap_or_default();
    if ["iso-8859-1", "windows-1252", "latin1"].iter().any(|name| declared.contains(name)) {
        return Ok(head.iter().map(|byte| char::from(*byte)).collect());
    }
    match std::str::from_utf8(head) {
        Ok(text) => Ok(text.to_owned()),
        // A letter may be cut where the beginning ends.
        Err(error) if error.error_len().is_none() => {
            Ok(String::from_utf8_lossy(&head[..error.valid_up_to()]).into_owned())
        }
        Err(_) => Err("The document is not in UTF-8, and does not say that it is in ISO-8859-1.".to_owned()),
    }
}

fn broken(why: &str, whole: bool) -> String {
    if whole {
        return format!("The document is no well-formed XML: {why}.");
    }
    format!(
        "The header of the document cannot be read within its beginning (server.limits.max_body_bytes): {why}."
    )
}
