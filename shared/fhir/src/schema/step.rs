//! What the shapes say of one element, found by the names on the way to it.

use serde_json::Value;

use super::table::{self, Kind};

/// Whether the element of this name repeats, below the elements named in `above`; none if R4 has no such element there. Of
/// what has no shape here, the value itself decides.
pub(crate) fn repeats(resource: &Value, above: &[&str], name: &str) -> Option<bool> {
    let table = table::r4();
    let mut shape = table.resource(resource.get("resourceType")?.as_str()?)?;
    for step in above {
        match &shape.field(step)?.kind {
            Kind::Shape(index) => shape = table.shape(*index),
            Kind::Contained | Kind::Entry => return Some(false),
            _ => return None,
        }
    }
    shape.field(name).map(|field| field.many)
}
