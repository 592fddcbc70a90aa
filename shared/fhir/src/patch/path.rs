//! The paths of a FHIRPath Patch: names, indexes, `where(a = 'b')`, `first()`, `last()`, `extension('url')`.

use serde_json::Value;

/// A step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Member(String),
    Item(usize),
}

/// Where a value lies in a resource.
pub(super) type Pointer = Vec<Step>;

/// One part of a path.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Name(String),
    Index(usize),
    First,
    Last,
    Extension(String),
    Where(Vec<(Path, Value)>),
}

/// A path that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Path {
    parts: Vec<Part>,
}

/// Parts of one path.
const MOST_PARTS: usize = 32;

/// Bytes of one path.
const MOST_BYTES: usize = 1 << 10;

/// Tests of one `where`: each is made of every element that is there.
const MOST_TESTS: usize = 8;

impl Path {
    /// Reads a path; an error says at which character.
    pub(super) fn read(text: &str) -> Result<Path, String> {
        if text.len() > MOST_BYTES {
            return Err(format!("a path has at most {MOST_BYTES} bytes, this one has {}", text.len()));
        }
        let mut reader = Reader { text, at: 0 };
        let path = reader.path(0)?;
        if reader.rest().is_empty() { Ok(path) } else { Err(reader.wrong("a dot, an index or the end")) }
    }

    /// Everything in the resource that the path names.
    pub(super) fn find(&self, resource: &Value) -> Vec<Pointer> {
        let mut parts = self.parts.as_slice();
        // A path may begin with the type of the resource.
        if let [Part::Name(name), rest @ ..] = parts
            && resource.get("resourceType").and_then(Value::as_str) == Some(name)
        {
            parts = rest;
        }
        find(parts, resource)
    }

    /// The list a path names: what contains it, and its element.
    pub(super) fn list(&self, resource: &Value) -> Result<(Pointer, String), String> {
        let Some((Part::Name(name), above)) = self.parts.split_last() else {
            return Err("the path must end with the name of a list".to_owned());
        };
        let mut parents = Path { parts: above.to_vec() }.find(resource);
        match (parents.pop(), parents.len()) {
            (Some(parent), 0) => Ok((parent, name.clone())),
            (None, _) => Err("there is nothing at the path".to_owned()),
            (Some(_), more) => Err(format!("the path names {} lists; it must name one", more + 1)),
        }
    }
}

fn find(parts: &[Part], resource: &Value) -> Vec<Pointer> {
    let mut found: Vec<Pointer> = vec![Vec::new()];
    for part in parts {
        found = match part {
            Part::Name(name) => members(&found, resource, name),
            Part::Index(index) => found.into_iter().nth(*index).into_iter().collect(),
            Part::First => found.into_iter().take(1).collect(),
            Part::Last => found.pop().into_iter().collect(),
            Part::Extension(url) => {
                let all = members(&found, resource, "extension");
                let of_url = |pointer: &Pointer| {
                    at(resource, pointer).and_then(|e| e.get("url")).and_then(Value::as_str) == Some(url)
                };
                all.into_iter().filter(of_url).collect()
            }
            Part::Where(tests) => found
                .into_iter()
                .filter(|pointer| at(resource, pointer).is_some_and(|v| holds(tests, v)))
                .collect(),
        };
    }
    found
}

fn holds(tests: &[(Path, Value)], value: &Value) -> bool {
    tests.iter().all(|(path, expected)| {
        let found = find(&path.parts, value);
        found.iter().any(|pointer| at(value, pointer) == Some(expected))
    })
}

/// The member of this name of each value, items of a list one by one.
fn members(found: &[Pointer], resource: &Value, name: &str) -> Vec<Pointer> {
    let mut all = Vec::new();
    for pointer in found {
        let Some(Value::Object(object)) = at(resource, pointer) else { continue };
        let Some(key) = key(object, name) else { continue };
        let mut member = pointer.clone();
        member.push(Step::Member(key.clone()));
        match object.get(&key) {
            Some(Value::Array(items)) => all.extend((0..items.len()).map(|index| {
                let mut item = member.clone();
                item.push(Step::Item(index));
                item
            })),
            Some(_) => all.push(member),
            None => {}
        }
    }
    all
}

/// The member of an element: `value` is found under `valueString`.
fn key(object: &serde_json::Map<String, Value>, name: &str) -> Option<String> {
    if object.contains_key(name) {
        return Some(name.to_owned());
    }
    let is_choice = |key: &&String| {
        key.strip_prefix(name).and_then(|rest| rest.chars().next()).is_some_and(|c| c.is_ascii_uppercase())
    };
    let mut choices =
        object.keys().filter(|_| matches!(name, "value" | "deceased" | "multipleBirth" | "author"));
    choices.find(is_choice).cloned()
}

/// The value at a place.
pub(super) fn at<'a>(resource: &'a Value, pointer: &[Step]) -> Option<&'a Value> {
    pointer.iter().try_fold(resource, |value, step| match step {
        Step::Member(name) => value.get(name),
        Step::Item(index) => value.get(index),
    })
}

/// The same, to be changed.
pub(super) fn at_mut<'a>(resource: &'a mut Value, pointer: &[Step]) -> Option<&'a mut Value> {
    pointer.iter().try_fold(resource, |value, step| match step {
        Step::Member(name) => value.get_mut(name),
        Step::Item(index) => value.get_mut(index),
    })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn wrong(&self, expected: &str) -> String {
        format!(
            "at character {} of the path \"{}\" {expected} is expected; taken are names with dots, [index], first(), last(), \
             where(name = 'value') and extension('url')",
            self.text[..self.at].chars().count() + 1,
            self.text
        )
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn path(&mut self, depth: usize) -> Result<Path, String> {
        let mut parts = Vec::new();
        loop {
            parts.push(self.part(depth)?);
            while self.take("[") {
                parts.push(Part::Index(self.number()?));
                if !self.take("]") {
                    return Err(self.wrong("]"));
                }
            }
            if parts.len() > MOST_PARTS {
                return Err(self.wrong("an end"));
            }
            if !self.take(".") {
                return Ok(Path { parts });
            }
        }
    }

    fn part(&mut self, depth: usize) -> Result<Part, String> {
        let name = self.name()?;
        if !self.take("(") {
            return Ok(Part::Name(name));
        }
        self.spaces();
        let part = match name.as_str() {
            "first" => Part::First,
            "last" => Part::Last,
            "extension" => Part::Extension(self.quoted()?),
            "where" if depth == 0 => Part::Where(self.tests()?),
            _ => return Err(self.wrong("a name or one of the functions")),
        };
        self.spaces();
        if self.take(")") { Ok(part) } else { Err(self.wrong(")")) }
    }

    fn tests(&mut self) -> Result<Vec<(Path, Value)>, String> {
        let mut tests = Vec::new();
        loop {
            self.spaces();
            let path = self.path(1)?;
            self.spaces();
            if !self.take("=") {
                return Err(self.wrong("="));
            }
            self.spaces();
            tests.push((path, self.literal()?));
            self.spaces();
            if !self.take("and ") {
                return Ok(tests);
            }
            if tests.len() == MOST_TESTS {
                return Err(self.wrong("the end of the tests, of which there are 8 at most,"));
            }
        }
    }

    fn literal(&mut self) -> Result<Value, String> {
        if self.rest().starts_with('\'') {
            return self.quoted().map(Value::from);
        }
        let word: String =
            self.rest().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
        let literal = serde_json::from_str(&word)
            .map_err(|_| self.wrong("a text in quotes, a number, true or false"))?;
        self.at += word.len();
        Ok(literal)
    }

    fn name(&mut self) -> Result<String, String> {
        let rest = self.rest();
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let name = &rest[..length];
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.at += length;
            Ok(name.to_owned())
        } else {
            Err(self.wrong("the name of an element"))
        }
    }

    fn number(&mut self) -> Result<usize, String> {
        let digits: String = self.rest().chars().take_while(char::is_ascii_digit).collect();
        let number = digits.parse().map_err(|_| self.wrong("an index"))?;
        self.at += digits.len();
        Ok(number)
    }

    fn quoted(&mut self) -> Result<String, String> {
        if !self.take("'") {
            return Err(self.wrong("a text in single quotes"));
        }
        let mut text = String::new();
        let mut escaped = false;
        for (offset, c) in self.rest().char_indices() {
            match c {
                _ if escaped => {
                    text.push(match c {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        other => other,
                    });
                    escaped = false;
                }
                '\\' => escaped = true,
                '\'' => {
                    self.at += offset + 1;
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        Err(self.wrong("the end of the text in quotes"))
    }
}
