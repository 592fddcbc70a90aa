//! Patches of a resource: JSON Patch (RFC 6902) and FHIRPath Patch (R4 fhirpatch), applied to what stands. A patch is applied
//! as a whole or not at all; whether its result is a good resource is judged as with any other.

mod fhirpath;
mod path;

use json_patch::jsonptr::PointerBuf;
use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchErrorKind, PatchOperation, RemoveOperation,
    ReplaceOperation, TestOperation,
};
use serde_json::Value;
use xds::{Finding, Findings, Place, Rule};

pub use fhirpath::Operation;

/// Media type of a JSON Patch.
pub const JSON_PATCH: &str = "application/json-patch+json";

/// What a PATCH takes, for a refusal (415).
pub const TAKEN: &str = "a PATCH takes application/json-patch+json (an array of operations, RFC 6902) or a FHIRPath Patch \
                         (a Parameters resource, application/fhir+json or application/fhir+xml)";

/// Operations of one patch.
const MOST_OPERATIONS: usize = 200;

/// Bytes a patch may copy: copies of copies double.
const MOST_COPIED: usize = 1 << 20;

/// Levels of a patched resource, as of one that is sent.
const DEPTH: usize = 64;

/// A patch that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// RFC 6902.
    Json(Vec<PatchOperation>),
    /// R4 FHIRPath Patch.
    FhirPath(Vec<Operation>),
}

impl Patch {
    /// Reads a JSON Patch.
    pub fn json(body: &Value) -> Result<Patch, Findings> {
        let Some(items) = body.as_array() else {
            return Err(vec![Finding::error(
                Rule::Structure,
                Place::at("Patch"),
                "A JSON Patch is an array of operations, each with op, path and, but for remove, value or from.",
            )]);
        };
        few(items.len(), "Patch")?;
        let mut findings = Findings::new();
        let mut operations = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match operation(item) {
                Ok(operation) => operations.push(operation),
                Err(text) => {
                    findings.push(Finding::error(Rule::Structure, Place::at("Patch").item(index), text));
                }
            }
        }
        if findings.is_empty() { Ok(Patch::Json(operations)) } else { Err(findings) }
    }

    /// Reads a FHIRPath Patch.
    pub fn parameters(body: &Value) -> Result<Patch, Findings> {
        let operations = fhirpath::read(body)?;
        few(operations.len(), "Parameters.parameter")?;
        Ok(Patch::FhirPath(operations))
    }

    /// The resource as the patch makes it: of no more than `most` bytes, the limit of one that is sent
    /// (`server.limits.max_body_bytes`), unless it was larger before.
    pub fn apply(&self, resource: &Value, most: u64) -> Result<Value, Findings> {
        let mut patched = resource.clone();
        match self {
            Patch::Json(operations) => {
                let mut copied = 0;
                for (index, operation) in operations.iter().enumerate() {
                    bounded(&patched, operation, &mut copied).map_err(|(rule, text)| {
                        vec![Finding::error(rule, Place::at("Patch").item(index), text)]
                    })?;
                    one(&mut patched, operation).map_err(|(rule, text)| {
                        vec![Finding::error(rule, Place::at("Patch").item(index), text)]
                    })?;
                }
            }
            Patch::FhirPath(operations) => {
                for (index, operation) in operations.iter().enumerate() {
                    operation.apply(&mut patched).map_err(|text| {
                        let at = Place::at("Parameters.parameter").item(index);
                        vec![Finding::error(Rule::PatchNotApplicable, at, text)]
                    })?;
                }
            }
        }
        if !is_within(&patched, DEPTH) {
            let text = format!("The patched resource is nested deeper than {DEPTH} levels.");
            return Err(vec![Finding::error(Rule::Structure, Place::at(self.root()), text)]);
        }
        let bytes = |value: &Value| value.to_string().len() as u64;
        let grown = bytes(&patched);
        if grown > most && grown > bytes(resource) {
            let text = format!(
                "The patched resource has {grown} bytes; server.limits.max_body_bytes allows {most}. Nothing was changed."
            );
            return Err(vec![Finding::error(Rule::TooCostly, Place::at(self.root()), text)]);
        }
        Ok(patched)
    }

    fn root(&self) -> &'static str {
        match self {
            Patch::Json(_) => "Patch",
            Patch::FhirPath(_) => "Parameters",
        }
    }
}

/// An operation of RFC 6902, read by hand: numbers keep every digit.
fn operation(item: &Value) -> Result<PatchOperation, String> {
    let text = |name: &str| item.get(name).and_then(Value::as_str);
    let pointer = |name: &str| {
        let text = text(name).ok_or_else(|| format!("The operation has no {name} with a text."))?;
        PointerBuf::parse(text).map_err(|_| {
            format!("{name} is \"{text}\"; a JSON Pointer begins with a slash: /content/0/attachment/title.")
        })
    };
    let value = || item.get("value").cloned().ok_or_else(|| "The operation has no value.".to_owned());
    let path = pointer("path")?;
    Ok(match text("op").unwrap_or_default() {
        "add" => PatchOperation::Add(AddOperation { path, value: value()? }),
        "remove" => PatchOperation::Remove(RemoveOperation { path }),
        "replace" => PatchOperation::Replace(ReplaceOperation { path, value: value()? }),
        "move" => PatchOperation::Move(MoveOperation { from: pointer("from")?, path }),
        "copy" => PatchOperation::Copy(CopyOperation { from: pointer("from")?, path }),
        "test" => PatchOperation::Test(TestOperation { path, value: value()? }),
        other => {
            return Err(format!(
                "op is \"{other}\"; the operations of RFC 6902 are add, remove, replace, move, copy and test."
            ));
        }
    })
}

fn few(count: usize, path: &str) -> Result<(), Findings> {
    if count <= MOST_OPERATIONS {
        return Ok(());
    }
    let text = format!("The patch has {count} operations; at most {MOST_OPERATIONS} are applied at once.");
    Err(vec![Finding::error(Rule::TooCostly, Place::at(path), text)])
}

/// Refuses an operation whose result would be nested deeper than any resource that is sent, or that copies without end.
fn bounded(resource: &Value, operation: &PatchOperation, copied: &mut usize) -> Result<(), (Rule, String)> {
    let from = |pointer: &PointerBuf| resource.pointer(pointer.as_str());
    let (path, value) = match operation {
        PatchOperation::Add(AddOperation { path, value })
        | PatchOperation::Replace(ReplaceOperation { path, value }) => (path, Some(value)),
        PatchOperation::Move(MoveOperation { from: source, path }) => (path, from(source)),
        PatchOperation::Copy(CopyOperation { from: source, path }) => {
            let value = from(source);
            *copied += value.map_or(0, |value| value.to_string().len());
            if *copied > MOST_COPIED {
                return Err((Rule::TooCostly, format!("The patch copies more than {MOST_COPIED} bytes.")));
            }
            (path, value)
        }
        PatchOperation::Remove(_) | PatchOperation::Test(_) => return Ok(()),
    };
    let above = path.count();
    if above > DEPTH || value.is_some_and(|value| !is_within(value, DEPTH - above)) {
        return Err((
            Rule::Structure,
            format!("The operation nests the resource deeper than {DEPTH} levels."),
        ));
    }
    Ok(())
}

/// Whether a value has no more than so many levels.
fn is_within(value: &Value, levels: usize) -> bool {
    let is_within = |inner: &Value| levels > 0 && self::is_within(inner, levels - 1);
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(is_within),
        Value::Object(members) => levels > 0 && members.values().all(is_within),
        _ => true,
    }
}

fn one(resource: &mut Value, operation: &PatchOperation) -> Result<(), (Rule, String)> {
    json_patch::patch(resource, std::slice::from_ref(operation)).map_err(|error| {
        let path = error.path.as_str().to_owned();
        match error.kind {
            PatchErrorKind::TestFailed => (
                Rule::PatchTestFailed,
                format!(
                    "The value at {path} is {}, not the one that is tested for; nothing was changed.",
                    shown(resource.pointer(&path))
                ),
            ),
            other => (Rule::PatchNotApplicable, format!("There is nothing to be done at {path}: {other}.")),
        }
    })
}

/// A value in a sentence.
fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "absent".to_owned() };
    let text = value.to_string();
    if text.chars().count() <= 80 {
        text
    } else {
        format!("{}…", text.chars().take(80).collect::<String>())
    }
}

#[cfg(test)]
mod tests;
