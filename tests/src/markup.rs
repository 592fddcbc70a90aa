//! An XML message as a tree that can be looked at, changed and written again. Names are kept as they stand; whether a prefix is bound
//! to the right namespace is asked of the server, whose messages are read with [`Element::namespace`].

use anyhow::{Context as _, Result, bail, ensure};
use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity, unescape};
use quick_xml::events::{BytesStart, Event};

/// One element with everything below it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Name as written, with its prefix.
    pub name: String,
    /// Namespace its prefix is bound to; empty if none is.
    pub namespace: String,
    /// Attributes in order, names as written; declarations of namespaces among them.
    pub attributes: Vec<(String, String)>,
    /// What stands inside.
    pub children: Vec<Node>,
}

/// What stands inside an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Characters, with references resolved.
    Text(String),
}

/// The name without its prefix.
fn plain(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

impl Element {
    /// Reads a message; a byte order mark before it is passed over.
    pub fn parse(bytes: &[u8]) -> Result<Element> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).context("XML is UTF-8")?.trim_start();
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let (mut open, mut bound): (Vec<Element>, Vec<(String, String)>) = (Vec::new(), Vec::new());
        let mut marks = Vec::new();
        loop {
            match reader.read_event().with_context(|| format!("well-formed XML: {text:.500}"))? {
                Event::Start(tag) => {
                    marks.push(bound.len());
                    open.push(start(&tag, &mut bound)?);
                }
                Event::End(_) => {
                    bound.truncate(marks.pop().unwrap_or_default());
                    let element = open.pop().context("an end has a beginning")?;
                    match open.last_mut() {
                        Some(above) => above.children.push(Node::Element(element)),
                        None => return Ok(element),
                    }
                }
                Event::Text(text) => add(&mut open, &text),
                Event::CData(text) => add(&mut open, &text),
                Event::GeneralRef(reference) => {
                    let known = resolve_predefined_entity(&reference).map(str::to_owned);
                    let character = reference.resolve_char_ref().context("a reference")?;
                    let text = known.or(character.map(String::from));
                    add(&mut open, &text.with_context(|| format!("unknown entity {reference:?}"))?);
                }
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => bail!("the XML ends too early: {text:.500}"),
                other => bail!("unexpected {other:?}"),
            }
        }
    }

    /// Name without prefix.
    pub fn local(&self) -> &str {
        plain(&self.name)
    }

    /// An attribute by its name without prefix.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| plain(key) == name).map(|(_, value)| value.as_str())
    }

    /// Sets an attribute.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.attributes.iter_mut().find(|(key, _)| plain(key) == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.attributes.push((name.to_owned(), value.to_owned())),
        }
    }

    /// The elements right below.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|child| match child {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The elements right below that have this name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements().filter(move |element| element.local() == name)
    }

    /// All elements below and this one, in the order they begin.
    pub fn all(&self) -> Vec<&Element> {
        let mut all = vec![self];
        for element in self.elements() {
            all.extend(element.all());
        }
        all
    }

    /// All elements of a name, at any depth.
    pub fn find(&self, name: &str) -> Vec<&Element> {
        self.all().into_iter().filter(|element| element.local() == name).collect()
    }

    /// The first element of a name, at any depth.
    pub fn first(&self, name: &str) -> Option<&Element> {
        self.find(name).into_iter().next()
    }

    /// The first element of a name, at any depth, with the declarations of namespaces it stands under.
    pub fn detached(&self, name: &str) -> Option<Element> {
        if self.local() == name {
            return Some(self.clone());
        }
        let mut found = self.elements().find_map(|element| element.detached(name))?;
        for (key, value) in &self.attributes {
            let declares = key == "xmlns" || key.starts_with("xmlns:");
            if declares && !found.attributes.iter().any(|(known, _)| known == key) {
                found.attributes.push((key.clone(), value.clone()));
            }
        }
        Some(found)
    }

    /// The text below, put together.
    pub fn text(&self) -> String {
        self.children
            .iter()
            .map(|child| match child {
                Node::Element(element) => element.text(),
                Node::Text(text) => text.clone(),
            })
            .collect()
    }

    /// Replaces what stands inside by text.
    pub fn set_text(&mut self, text: &str) {
        self.children = vec![Node::Text(text.to_owned())];
    }

    /// Values of a slot.
    pub fn slot(&self, name: &str) -> Vec<String> {
        let slots = self.named("Slot").filter(|slot| slot.attribute("name") == Some(name));
        slots.flat_map(|slot| slot.find("Value")).map(|value| value.text().trim().to_owned()).collect()
    }

    /// Visits this element and all below.
    pub fn visit(&mut self, change: &mut dyn FnMut(&mut Element)) {
        change(self);
        for child in &mut self.children {
            if let Node::Element(element) = child {
                element.visit(change);
            }
        }
    }

    /// Visits every value of an attribute and every text.
    pub fn strings(&mut self, change: &mut dyn FnMut(&mut String)) {
        self.visit(&mut |element| {
            element.attributes.iter_mut().for_each(|(_, value)| change(value));
            for child in &mut element.children {
                if let Node::Text(text) = child {
                    change(text);
                }
            }
        });
    }

    /// The element as XML, without a declaration.
    pub fn write(&self) -> String {
        let mut out = String::new();
        self.write_to(&mut out);
        out
    }

    fn write_to(&self, out: &mut String) {
        *out += &format!("<{}", self.name);
        for (name, value) in &self.attributes {
            *out += &format!(
                " {name}=\"{}\"",
                escape(value.as_str()).replace('\n', "&#10;").replace('\t', "&#9;")
            );
        }
        if self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for child in &self.children {
            match child {
                Node::Element(element) => element.write_to(out),
                Node::Text(text) => out.push_str(&escape(text.as_str())),
            }
        }
        *out += &format!("</{}>", self.name);
    }
}

fn start(tag: &BytesStart<'_>, bound: &mut Vec<(String, String)>) -> Result<Element> {
    let mut element = Element { name: tag.name().as_ref().to_owned(), ..Element::default() };
    for attribute in tag.attributes() {
        let attribute = attribute.context("an attribute")?;
        let name: &str = attribute.key.as_ref();
        let value = unescape(&attribute.value).context("an attribute's value")?.into_owned();
        match name.split_once(':') {
            Some(("xmlns", prefix)) => bound.push((prefix.to_owned(), value.clone())),
            None if name == "xmlns" => bound.push((String::new(), value.clone())),
            _ => {}
        }
        element.attributes.push((name.to_owned(), value));
    }
    let prefix = element.name.split_once(':').map_or("", |(prefix, _)| prefix);
    let namespace = bound.iter().rev().find(|(name, _)| name == prefix).map(|(_, value)| value.clone());
    ensure!(namespace.is_some() || prefix.is_empty() || prefix == "xml", "the prefix {prefix} is bound");
    element.namespace = namespace.unwrap_or_default();
    Ok(element)
}

fn add(open: &mut [Element], text: &str) {
    let Some(element) = open.last_mut() else { return };
    match element.children.last_mut() {
        Some(Node::Text(before)) => before.push_str(text),
        _ => element.children.push(Node::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_the_same() {
        let text = "<a:b xmlns:a=\"urn:a\" c=\"1 &amp; 2\"><d>x &lt; y</d><e/></a:b>";
        let element = Element::parse(text.as_bytes()).expect("sound");
        assert_eq!(element.write(), text);
        assert_eq!((element.local(), element.namespace.as_str()), ("b", "urn:a"));
        assert_eq!(element.attribute("c"), Some("1 & 2"));
        assert_eq!(element.first("d").expect("there is one").text(), "x < y");
        let inner = Element::parse(b"<a:b xmlns:a='urn:a'><a:c/></a:b>").expect("sound").detached("c");
        assert_eq!(inner.expect("there is one").write(), "<a:c xmlns:a=\"urn:a\"/>");
        assert!(Element::parse(b"<a><b></a>").is_err());
        assert!(Element::parse(b"<a:b/>").is_err());
    }
}
