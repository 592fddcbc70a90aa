//! An XML element read whole: what a message holds beside its documents, which stream past it.

use std::sync::Arc;

/// An attribute, its namespace resolved. An attribute without prefix has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The namespace; empty: none.
    pub namespace: Arc<str>,
    /// The local name.
    pub name: Box<str>,
    /// The value, unescaped.
    pub value: String,
}

/// An element, its namespace resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// The namespace; empty: none.
    pub namespace: Arc<str>,
    /// The local name.
    pub name: Box<str>,
    /// Its attributes, in order; declarations of namespaces are not among them.
    pub attributes: Vec<Attribute>,
    /// Its child elements, in order.
    pub children: Vec<Element>,
    /// Its own text, unescaped: all pieces in one, without that of its children.
    pub text: String,
    /// Line of its start tag, from 1; 0: it was not read.
    pub line: u64,
}

impl Element {
    /// Whether it is this one.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        &*self.name == name && &*self.namespace == namespace
    }

    /// An attribute in no namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attribute_in("", name)
    }

    /// An attribute in a namespace.
    pub fn attribute_in(&self, namespace: &str, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|a| &*a.name == name && &*a.namespace == namespace);
        found.map(|attribute| attribute.value.as_str())
    }

    /// The first child of this name.
    pub fn child(&self, namespace: &str, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.is(namespace, name))
    }

    /// All children of this name.
    pub fn children_named<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.is(namespace, name))
    }

    /// Its text without white space around it.
    pub fn trimmed(&self) -> &str {
        self.text.trim_matches([' ', '\t', '\r', '\n'])
    }
}
