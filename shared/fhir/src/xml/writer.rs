//! XML from stored JSON, led by the table.

use bytes::Bytes;

use super::escape;
use super::narrative;
use super::tree::{Id, Tree, What};
use super::{FHIR, XHTML};
use crate::schema::primitive::Primitive;
use crate::schema::table::{self, Field, Kind, Shape, Table};

const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;

/// Writes the resource of a JSON text as an XML document.
pub(super) fn write(json: &[u8], pretty: bool) -> Option<Vec<u8>> {
    let tree = Tree::read(json)?;
    let mut writer = Writer::new(&tree, &[], json.len());
    writer.pretty = pretty;
    writer.push(DECLARATION);
    writer.resource(0, true)?;
    if pretty {
        writer.out.push(b'\n');
    }
    Some(writer.out)
}

/// The same of a Bundle in which numbers stand for the resources of entries, which are given as [`fragment`] wrote them.
pub(super) fn spliced(json: &[u8], resources: &[Bytes]) -> Option<Vec<u8>> {
    let tree = Tree::read(json)?;
    let mut writer =
        Writer::new(&tree, resources, json.len() + resources.iter().map(Bytes::len).sum::<usize>());
    writer.push(DECLARATION);
    writer.resource(0, true)?;
    Some(writer.out)
}

/// Writes a resource as it stands within another.
pub(super) fn fragment(json: &[u8]) -> Option<Vec<u8>> {
    let tree = Tree::read(json)?;
    let mut writer = Writer::new(&tree, &[], json.len());
    writer.resource(0, false)?;
    Some(writer.out)
}

/// A member on its way out: the number of its element, whether it is the `_` sibling, its node.
type Member = (u16, bool, Id);

/// The number of an element the table does not know: it comes last.
const UNKNOWN: u16 = u16::MAX;

struct Writer<'a> {
    tree: &'a Tree<'a>,
    /// Resources of entries in XML, for which their numbers stand in the text.
    resources: &'a [Bytes],
    table: &'static Table,
    out: Vec<u8>,
    /// Members of the objects that are open, the innermost last.
    members: Vec<Member>,
    pretty: bool,
    depth: usize,
}

/// What stands in the start tag of an element.
#[derive(Default)]
struct Attributes {
    id: Option<Id>,
    url: Option<Id>,
    value: Option<Id>,
}

impl<'a> Writer<'a> {
    /// A writer of a text with so many bytes.
    fn new(tree: &'a Tree<'a>, resources: &'a [Bytes], length: usize) -> Writer<'a> {
        let out = Vec::with_capacity(length + length / 3 + 128);
        Writer { tree, resources, table: table::r4(), out, members: Vec::new(), pretty: false, depth: 0 }
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn line(&mut self) {
        if self.pretty {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 2 * self.depth, b' ');
        }
    }

    fn open(&mut self, name: &str) {
        self.line();
        self.out.push(b'<');
        self.push(name);
    }

    fn close(&mut self, name: &str) {
        self.line();
        self.push("</");
        self.push(name);
        self.out.push(b'>');
    }

    fn attribute(&mut self, name: &str, value: Option<Id>) {
        let Some(value) = value else { return };
        self.out.push(b' ');
        self.push(name);
        self.push("=\"");
        match self.tree.what(value) {
            What::Text(_) => escape::attribute(self.tree.text(value), &mut self.out),
            _ => self.push(self.tree.text(value)),
        }
        self.out.push(b'"');
    }

    fn resource(&mut self, node: Id, root: bool) -> Option<()> {
        let tree = self.tree;
        let name = tree.children(node).find(|member| tree.name(*member) == "resourceType")?;
        let shape = self.table.resource(tree.text(name))?;
        self.open(shape.name);
        if root {
            self.push(" xmlns=\"");
            self.push(FHIR);
            self.out.push(b'"');
        }
        self.elements(shape.name, shape, Some(node), Attributes::default())
    }

    /// Writes the rest of an element whose start tag is open: attributes, elements, end.
    fn elements(
        &mut self,
        name: &str,
        shape: &'static Shape,
        node: Option<Id>,
        mut attributes: Attributes,
    ) -> Option<()> {
        let base = self.members.len();
        if let Some(node) = node {
            self.collect(shape, node, &mut attributes);
        }
        self.attribute("id", attributes.id);
        self.attribute("url", attributes.url);
        self.attribute("value", attributes.value);
        if self.members.len() == base {
            self.push("/>");
            return Some(());
        }
        self.out.push(b'>');
        self.depth += 1;
        let written = self.collected(shape, base);
        self.depth -= 1;
        self.members.truncate(base);
        self.close(name);
        written
    }

    /// Puts the members of an object on the pile, in the order of their elements.
    fn collect(&mut self, shape: &Shape, node: Id, attributes: &mut Attributes) {
        let base = self.members.len();
        let tree = self.tree;
        let mut sorted = true;
        let mut last = 0;
        for member in tree.children(node) {
            let written = tree.name(member);
            let name = written.strip_prefix('_').unwrap_or(written);
            match name {
                "resourceType" if shape.is_resource => continue,
                "id" if !shape.is_resource => {
                    attributes.id = Some(member);
                    continue;
                }
                "url" if shape.name == "Extension" => {
                    attributes.url = Some(member);
                    continue;
                }
                _ => {}
            }
            let before = if last == UNKNOWN { 0 } else { usize::from(last) };
            let number = shape.position_behind(before, name);
            let number = number.and_then(|number| u16::try_from(number).ok()).unwrap_or(UNKNOWN);
            sorted &= number >= last;
            last = number;
            self.members.push((number, name.len() < written.len(), member));
        }
        if !sorted {
            self.members[base..].sort_by_key(|(number, ..)| *number);
        }
    }

    fn collected(&mut self, shape: &'static Shape, base: usize) -> Option<()> {
        let end = self.members.len();
        let mut at = base;
        while at < end {
            let (number, is_sibling, member) = self.members[at];
            at += 1;
            let Some(field) = shape.fields.get(usize::from(number)) else {
                self.unknown(self.tree.name(member), member)?;
                continue;
            };
            let mut pair = if is_sibling { (None, Some(member)) } else { (Some(member), None) };
            if at < end && self.members[at].0 == number {
                let (_, is_sibling, member) = self.members[at];
                *(if is_sibling { &mut pair.1 } else { &mut pair.0 }) = Some(member);
                at += 1;
            }
            self.field(field, pair.0, pair.1)?;
        }
        Some(())
    }

    /// Writes an element with its `_` sibling, item by item where it repeats.
    fn field(&mut self, field: &'static Field, value: Option<Id>, sibling: Option<Id>) -> Option<()> {
        let tree = self.tree;
        let is_array = |node: Option<Id>| node.is_some_and(|node| tree.what(node) == What::Array);
        if !is_array(value) && !is_array(sibling) {
            return self.item(field, value, sibling);
        }
        let mut values = value.map(|node| tree.children(node));
        let mut siblings = sibling.map(|node| tree.children(node));
        loop {
            let value = values.as_mut().and_then(Iterator::next);
            let sibling = siblings.as_mut().and_then(Iterator::next);
            if value.is_none() && sibling.is_none() {
                return Some(());
            }
            self.item(field, value, sibling)?;
        }
    }

    fn item(&mut self, field: &'static Field, value: Option<Id>, sibling: Option<Id>) -> Option<()> {
        let tree = self.tree;
        let there = |node: &Id| tree.what(*node) != What::Null;
        let (value, sibling) = (value.filter(there), sibling.filter(there));
        if value.is_none() && sibling.is_none() {
            return Some(());
        }
        let name = &*field.name;
        match (&field.kind, value.map(|value| (value, tree.what(value)))) {
            (Kind::Primitive(Primitive::Xhtml), Some((text, What::Text(_)))) => {
                self.line();
                let text = escape::plain(tree.text(text));
                narrative::write(&text, XHTML, &mut self.out);
                Some(())
            }
            // By far the most are a value and nothing else.
            (Kind::Primitive(_) | Kind::Code(_), Some((value, what @ (What::Text(_) | What::Bare))))
                if sibling.is_none() =>
            {
                self.open(name);
                self.push(" value=\"");
                match what {
                    What::Text(_) => escape::attribute(tree.text(value), &mut self.out),
                    _ => self.push(tree.text(value)),
                }
                self.push("\"/>");
                Some(())
            }
            (Kind::Primitive(_) | Kind::Code(_), None | Some((_, What::Text(_) | What::Bare))) => {
                self.open(name);
                let attributes = Attributes { value, ..Attributes::default() };
                self.elements(name, self.table.element(), sibling, attributes)
            }
            (Kind::Shape(index), Some((node, What::Object))) => {
                self.open(name);
                self.elements(name, self.table.shape(*index), Some(node), Attributes::default())
            }
            (Kind::Entry | Kind::Contained, Some((node, What::Object))) => {
                self.open(name);
                self.out.push(b'>');
                self.depth += 1;
                self.resource(node, false)?;
                self.depth -= 1;
                self.close(name);
                Some(())
            }
            (Kind::Entry, Some((node, What::Bare))) if self.spliced(node).is_some() => {
                let resource = self.spliced(node)?;
                self.open(name);
                self.out.push(b'>');
                self.out.extend_from_slice(resource);
                self.close(name);
                Some(())
            }
            (_, Some((node, _))) => self.unknown(name, node),
            (_, None) => Some(()),
        }
    }

    /// The resource for which a number stands.
    fn spliced(&self, node: Id) -> Option<&'a Bytes> {
        self.resources.get(self.tree.text(node).parse::<usize>().ok()?)
    }

    /// Writes what the table does not know as one would guess: it is kept where somebody's resource holds it.
    fn unknown(&mut self, name: &str, node: Id) -> Option<()> {
        let tree = self.tree;
        let name = name.strip_prefix('_').unwrap_or(name);
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric())
            || !name.as_bytes()[0].is_ascii_alphabetic()
        {
            return None;
        }
        match tree.what(node) {
            What::Null => {}
            What::Array => {
                for item in tree.children(node) {
                    self.unknown(name, item)?;
                }
            }
            What::Text(_) | What::Bare => {
                self.open(name);
                self.attribute("value", Some(node));
                self.push("/>");
            }
            What::Object => {
                self.open(name);
                self.out.push(b'>');
                self.depth += 1;
                for member in tree.children(node) {
                    self.unknown(tree.name(member), member)?;
                }
                self.depth -= 1;
                self.close(name);
            }
        }
        Some(())
    }
}
