//! FHIRPath Patch (R4 fhirpatch): the operations of a Parameters resource.

use serde_json::{Map, Value};
use xds::{Finding, Findings, Place, Rule};

use super::path::{Path, Pointer, Step, at_mut};
use crate::element::{items, text};
use crate::schema::repeats;

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    kind: Kind,
    path: Path,
    /// The path as it was written.
    written: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Add { name: String, value: New },
    Insert { index: usize, value: New },
    Delete,
    Replace { value: New },
    Move { source: usize, destination: usize },
}

/// A value to be put somewhere; a choice of types is named by the member it came in (`valueString`).
#[derive(Debug, Clone, PartialEq)]
struct New {
    value: Value,
    type_name: Option<String>,
}

/// Reads the operations of a Parameters resource, or says what is wrong with all of them.
pub(super) fn read(body: &Value) -> Result<Vec<Operation>, Findings> {
    if text(body, "resourceType") != Some("Parameters") {
        let said = "A FHIRPath Patch is a Parameters resource.";
        return Err(vec![Finding::error(Rule::Structure, Place::at("resourceType"), said)]);
    }
    let mut findings = crate::schema::check(body, &Place::at("Parameters"));
    let mut operations = Vec::new();
    for (index, parameter) in items(body, "parameter").iter().enumerate() {
        let at = Place::at("Parameters.parameter").item(index);
        match operation(parameter) {
            Ok(operation) => operations.push(operation),
            Err((member, said)) => {
                let place =
                    if member.is_empty() { at } else { at.member(&format!("part.where(name='{member}')")) };
                findings.push(Finding::error(Rule::Value, place, said));
            }
        }
    }
    if operations.is_empty() && findings.is_empty() {
        let said =
            "The patch has no operation: parameter[] named operation, with the parts type, path and value.";
        findings.push(Finding::error(Rule::Required, Place::at("Parameters.parameter"), said));
    }
    if findings.is_empty() { Ok(operations) } else { Err(findings) }
}

type Wrong = (&'static str, String);

fn operation(parameter: &Value) -> Result<Operation, Wrong> {
    if text(parameter, "name") != Some("operation") {
        return Err(("", "Every parameter of a FHIRPath Patch is named operation.".to_owned()));
    }
    let written = word(parameter, "path")?.to_owned();
    let path = Path::read(&written).map_err(|wrong| ("path", sentence(&wrong)))?;
    let kind = match word(parameter, "type")? {
        "add" => Kind::Add { name: word(parameter, "name")?.to_owned(), value: value(parameter)? },
        "insert" => Kind::Insert { index: number(parameter, "index")?, value: value(parameter)? },
        "delete" => Kind::Delete,
        "replace" => Kind::Replace { value: value(parameter)? },
        "move" => Kind::Move {
            source: number(parameter, "source")?,
            destination: number(parameter, "destination")?,
        },
        other => {
            let said =
                format!("type is \"{other}\"; the operations are add, insert, delete, replace and move.");
            return Err(("type", said));
        }
    };
    Ok(Operation { kind, path, written })
}

fn part<'a>(parameter: &'a Value, name: &str) -> Option<&'a Value> {
    items(parameter, "part").iter().find(|part| text(part, "name") == Some(name))
}

/// The value of a part, whatever its type, with the name it came under.
fn given(part: &Value) -> Option<(&String, &Value)> {
    part.as_object()?.iter().find(|(name, _)| name.starts_with("value") || *name == "resource")
}

fn word<'a>(parameter: &'a Value, name: &'static str) -> Result<&'a str, Wrong> {
    let found = part(parameter, name).and_then(given).and_then(|(_, value)| value.as_str());
    found.ok_or_else(|| (name, format!("The operation has no part {name} with a text.")))
}

fn number(parameter: &Value, name: &'static str) -> Result<usize, Wrong> {
    let found = part(parameter, name).and_then(given).and_then(|(_, value)| value.as_u64());
    let found = found.and_then(|number| usize::try_from(number).ok());
    found.ok_or_else(|| (name, format!("The operation has no part {name} with a whole number from 0.")))
}

fn value(parameter: &Value) -> Result<New, Wrong> {
    let part =
        part(parameter, "value").ok_or_else(|| ("value", "The operation has no part value.".to_owned()))?;
    new(part).ok_or_else(|| ("value", "The part value has neither a value nor parts.".to_owned()))
}

/// What a part says: its value, or an element of its own parts.
fn new(part: &Value) -> Option<New> {
    if let Some((name, value)) = given(part) {
        let type_name = name.strip_prefix("value").map(str::to_owned);
        return Some(New { value: value.clone(), type_name });
    }
    let mut element = Map::new();
    for inner in items(part, "part") {
        let New { value, type_name } = new(inner)?;
        let name = match (text(inner, "name")?, type_name) {
            ("value", Some(kind)) => format!("value{kind}"),
            (name, _) => name.to_owned(),
        };
        match element.get_mut(&name) {
            Some(Value::Array(items)) => items.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => {
                element.insert(name, value);
            }
        }
    }
    (!element.is_empty()).then_some(New { value: Value::Object(element), type_name: None })
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).chain(['.']).collect())
}

impl Operation {
    /// Does it; an error says why not.
    pub(super) fn apply(&self, resource: &mut Value) -> Result<(), String> {
        let done = match &self.kind {
            Kind::Add { name, value } => self.add(resource, name, value),
            Kind::Insert { index, value } => self.insert(resource, *index, value),
            Kind::Delete => self.delete(resource),
            Kind::Replace { value } => self.replace(resource, value),
            Kind::Move { source, destination } => self.relocate(resource, *source, *destination),
        };
        done.map_err(|why| format!("{}: {why}.", self.written))
    }

    fn one(&self, resource: &Value) -> Result<Pointer, String> {
        let mut found = self.path.find(resource);
        match (found.pop(), found.len()) {
            (Some(pointer), 0) => Ok(pointer),
            (None, _) => Err("there is nothing at the path".to_owned()),
            (Some(_), more) => Err(format!("the path names {} elements; it must name one", more + 1)),
        }
    }

    fn add(&self, resource: &mut Value, name: &str, value: &New) -> Result<(), String> {
        let pointer = self.one(resource)?;
        let (name, repeated) = element(resource, &pointer, name, value)?;
        let new = shaped(resource, &pointer, &name, value);
        let Some(Value::Object(members)) = at_mut(resource, &pointer) else {
            return Err("this is a simple value; nothing can be added to it".to_owned());
        };
        match members.get_mut(&name) {
            Some(Value::Array(items)) => items.push(new),
            Some(_) => return Err(format!("{name} is there already and does not repeat; replace it")),
            None if repeated => {
                members.insert(name, Value::Array(vec![new]));
            }
            None => {
                members.insert(name, new);
            }
        }
        Ok(())
    }

    fn insert(&self, resource: &mut Value, index: usize, value: &New) -> Result<(), String> {
        let (parent, name) = self.path.list(resource)?;
        let new = shaped(resource, &parent, &name, value);
        let items = list(resource, &parent, &name)?;
        if index > items.len() {
            return Err(format!("there are {} items; index {index} is behind them", items.len()));
        }
        items.insert(index, new);
        Ok(())
    }

    fn delete(&self, resource: &mut Value) -> Result<(), String> {
        let found = self.path.find(resource);
        // Deleting what is not there leaves what was asked for.
        if found.is_empty() {
            return Ok(());
        }
        let pointer = self.one(resource)?;
        let Some((last, parent)) = pointer.split_last() else {
            return Err("the resource itself is not deleted by a patch".to_owned());
        };
        match (at_mut(resource, parent), last) {
            (Some(Value::Object(members)), Step::Member(name)) => {
                members.shift_remove(name);
                members.shift_remove(&format!("_{name}"));
            }
            (Some(Value::Array(items)), Step::Item(index)) if *index < items.len() => {
                items.remove(*index);
                if items.is_empty() {
                    leave_out(resource, parent);
                }
            }
            _ => return Err("there is nothing at the path".to_owned()),
        }
        Ok(())
    }

    fn replace(&self, resource: &mut Value, value: &New) -> Result<(), String> {
        let pointer = self.one(resource)?;
        let new = match pointer.split_last() {
            Some((Step::Member(name), parent)) => shaped(resource, parent, name, value),
            _ => value.value.clone(),
        };
        match at_mut(resource, &pointer) {
            Some(old) if !pointer.is_empty() => {
                *old = new;
                Ok(())
            }
            _ => Err("the resource itself is replaced by PUT".to_owned()),
        }
    }

    fn relocate(&self, resource: &mut Value, source: usize, destination: usize) -> Result<(), String> {
        let (parent, name) = self.path.list(resource)?;
        let items = list(resource, &parent, &name)?;
        if source >= items.len() || destination >= items.len() {
            return Err(format!("there are {} items; {source} cannot become {destination}", items.len()));
        }
        let item = items.remove(source);
        items.insert(destination, item);
        Ok(())
    }
}

/// Takes an empty list out of its element.
fn leave_out(resource: &mut Value, list: &[Step]) {
    if let Some((Step::Member(name), parent)) = list.split_last()
        && let Some(Value::Object(members)) = at_mut(resource, parent)
    {
        members.shift_remove(name);
        members.shift_remove(&format!("_{name}"));
    }
}

fn list<'a>(resource: &'a mut Value, parent: &[Step], name: &str) -> Result<&'a mut Vec<Value>, String> {
    let found = at_mut(resource, parent).and_then(|value| value.get_mut(name)).and_then(Value::as_array_mut);
    found.ok_or_else(|| "there is no list at the path".to_owned())
}

/// Under which name an element stands here, and whether it repeats: `value` stands as `valueString`.
fn element(resource: &Value, parent: &[Step], name: &str, value: &New) -> Result<(String, bool), String> {
    let steps = names(parent);
    if let Some(repeated) = repeats(resource, &steps, name) {
        return Ok((name.to_owned(), repeated));
    }
    let choice = value.type_name.as_ref().map(|kind| format!("{name}{kind}"));
    let choice =
        choice.and_then(|choice| repeats(resource, &steps, &choice).map(|repeated| (choice, repeated)));
    choice.ok_or_else(|| format!("there is no element {name} here"))
}

/// Parts of an element are given one by one; those that repeat stand in a list though there is one.
fn shaped(resource: &Value, parent: &[Step], name: &str, value: &New) -> Value {
    let mut new = value.value.clone();
    if value.type_name.is_none() {
        let mut steps = names(parent);
        steps.push(name);
        enlist(resource, &steps, &mut new);
    }
    new
}

fn enlist(resource: &Value, steps: &[&str], element: &mut Value) {
    let Some(members) = element.as_object_mut() else { return };
    for (name, value) in members {
        if !value.is_array() && repeats(resource, steps, name) == Some(true) {
            *value = Value::Array(vec![value.take()]);
        }
    }
}

/// The elements on the way, without indexes.
fn names(pointer: &[Step]) -> Vec<&str> {
    let named = pointer.iter().filter_map(|step| match step {
        Step::Member(name) => Some(name.as_str()),
        Step::Item(_) => None,
    });
    named.collect()
}
