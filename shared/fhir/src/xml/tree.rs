//! JSON text as a tree of slices: nothing is copied, so that the writer can put members into another order cheaply.

use memchr::memchr2;

/// Levels of nesting that are written; what is stored was read with fewer.
const DEPTH: usize = 128;

/// Number of a node.
pub(super) type Id = u32;

/// Stands for no node.
const NONE: Id = Id::MAX;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Object,
    Array,
    /// A string; true if there is an escape in it.
    Text(bool),
    /// A number, true or false.
    Bare,
    Null,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    what: What,
    /// The member's name, without quotes.
    name: (u32, u32),
    /// The text, without quotes.
    text: (u32, u32),
    child: Id,
    next: Id,
}

/// The tree. The root is node 0.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    text: &'a str,
    nodes: Vec<Node>,
}

impl<'a> Tree<'a> {
    /// Reads a text that is known to be JSON; none if it is not.
    pub(super) fn read(json: &'a [u8]) -> Option<Tree<'a>> {
        u32::try_from(json.len()).ok()?;
        let text = std::str::from_utf8(json).ok()?;
        let mut parser = Parser { bytes: json, at: 0, nodes: Vec::with_capacity(json.len() / 24) };
        parser.value(0)?;
        parser.space();
        (parser.at == json.len()).then_some(Tree { text, nodes: parser.nodes })
    }

    pub(super) fn what(&self, id: Id) -> What {
        self.nodes[id as usize].what
    }

    /// The text of a node as it is written.
    pub(super) fn text(&self, id: Id) -> &'a str {
        self.slice(self.nodes[id as usize].text)
    }

    /// The name of a member.
    pub(super) fn name(&self, id: Id) -> &'a str {
        self.slice(self.nodes[id as usize].name)
    }

    fn slice(&self, (start, end): (u32, u32)) -> &'a str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Members of an object, items of an array.
    pub(super) fn children(&self, id: Id) -> Children<'_> {
        Children { nodes: &self.nodes, next: self.nodes[id as usize].child }
    }
}

/// The nodes below a node.
#[derive(Debug, Clone)]
pub(super) struct Children<'t> {
    nodes: &'t [Node],
    next: Id,
}

impl Iterator for Children<'_> {
    type Item = Id;

    fn next(&mut self) -> Option<Id> {
        let id = self.next;
        self.next = self.nodes.get(id as usize)?.next;
        Some(id)
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
}

impl Parser<'_> {
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn push(&mut self, what: What, (start, end): (usize, usize)) -> Option<Id> {
        let id = Id::try_from(self.nodes.len()).ok().filter(|id| *id != NONE)?;
        let text = (u32::try_from(start).ok()?, u32::try_from(end).ok()?);
        self.nodes.push(Node { what, name: (0, 0), text, child: NONE, next: NONE });
        Some(id)
    }

    fn value(&mut self, depth: usize) -> Option<Id> {
        self.space();
        let start = self.at;
        match self.bytes.get(self.at)? {
            b'{' => self.container(What::Object, b'}', depth),
            b'[' => self.container(What::Array, b']', depth),
            b'"' => {
                let (start, end, escaped) = self.string()?;
                self.push(What::Text(escaped), (start, end))
            }
            _ => {
                let rest = &self.bytes[start..];
                let length =
                    rest.iter().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count();
                self.at += length;
                let what = if rest.starts_with(b"null") { What::Null } else { What::Bare };
                (length > 0).then(|| self.push(what, (start, start + length)))?
            }
        }
    }

    fn container(&mut self, what: What, end: u8, depth: usize) -> Option<Id> {
        if depth == DEPTH {
            return None;
        }
        self.at += 1;
        let id = self.push(what, (0, 0))?;
        if self.take(end) {
            return Some(id);
        }
        let mut last = NONE;
        loop {
            let mut name = (0, 0);
            if what == What::Object {
                self.space();
                let (start, end, _) = self.string()?;
                name = (u32::try_from(start).ok()?, u32::try_from(end).ok()?);
                if !self.take(b':') {
                    return None;
                }
            }
            let child = self.value(depth + 1)?;
            self.nodes[child as usize].name = name;
            match self.nodes.get_mut(last as usize) {
                Some(before) => before.next = child,
                None => self.nodes[id as usize].child = child,
            }
            last = child;
            if self.take(end) {
                return Some(id);
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    /// Passes a string; answers its slice, and whether an escape is in it.
    fn string(&mut self) -> Option<(usize, usize, bool)> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        let start = self.at + 1;
        let mut escaped = false;
        let mut at = start;
        loop {
            at += memchr2(b'"', b'\\', self.bytes.get(at..)?)?;
            if self.bytes[at] == b'"' {
                self.at = at + 1;
                return Some((start, at, escaped));
            }
            escaped = true;
            at += 2;
        }
    }
}
