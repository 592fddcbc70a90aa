//! One leniency: where R4 wants an array, some sources write the one item alone.

use serde_json::{Map, Value};
use xds::{Finding, Findings, Place, Rule};

use super::path::Path;
use super::table::{self, Kind, Shape};

/// Puts such items into arrays; answers a warning for each.
pub(crate) fn mend(resource: &mut Value, at: &Place) -> Findings {
    let mut warnings = Findings::new();
    mend_resource(resource, &Path::root(&at.path), &mut warnings);
    warnings
}

fn mend_resource(value: &mut Value, path: &Path<'_>, warnings: &mut Findings) {
    let shape = value
        .get("resourceType")
        .and_then(Value::as_str)
        .and_then(|name| table::r4().resource(name))
        .filter(|shape| shape.strict);
    if let (Some(shape), Some(members)) = (shape, value.as_object_mut()) {
        mend_object(shape, members, path, warnings);
    }
}

fn mend_object(
    shape: &'static Shape,
    members: &mut Map<String, Value>,
    path: &Path<'_>,
    warnings: &mut Findings,
) {
    for (name, value) in members.iter_mut() {
        let Some(field) = shape.field(name) else { continue };
        let place = path.member(name);
        if field.many && !value.is_array() && !value.is_null() {
            let text =
                "This element may be repeated, so it is an array; the one value was taken as its only item.";
            warnings.push(Finding::warning(Rule::Structure, Place::at(place.to_string()), text));
            *value = Value::Array(vec![value.take()]);
        }
        let items = match value {
            Value::Array(items) => items.as_mut_slice(),
            one => std::slice::from_mut(one),
        };
        for (index, item) in items.iter_mut().enumerate() {
            let item_place = place.item(index);
            let place = if field.many { &item_place } else { &place };
            match (&field.kind, item.as_object_mut()) {
                (Kind::Shape(inner), Some(members)) if table::r4().shape(*inner).strict => {
                    mend_object(table::r4().shape(*inner), members, place, warnings);
                }
                (Kind::Entry | Kind::Contained, Some(_)) => mend_resource(item, place, warnings),
                _ => {}
            }
        }
    }
}
