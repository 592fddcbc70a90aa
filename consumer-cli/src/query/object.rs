//! Objects of ebRIM as rows. What a foreign registry leaves out is an empty cell.

use ebxml::Element;
use serde_json::{Value, json};

use crate::output::Row;

/// classificationScheme and identificationScheme of what is shown.
const SET: &str = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd";
const AUTHORS: [&str; 2] =
    ["urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d", "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"];

/// The objects of an answer.
pub(crate) fn objects(response: &Element) -> Vec<&Element> {
    let list = response.children.iter().find(|child| &*child.name == "RegistryObjectList");
    let objects = list.map(|list| list.children.as_slice()).unwrap_or_default();
    objects.iter().filter(|object| kind(object).is_some()).collect()
}

/// What an object is.
fn kind(object: &Element) -> Option<&'static str> {
    Some(match &*object.name {
        "ExtrinsicObject" => "DocumentEntry",
        "RegistryPackage" => {
            let is_set =
                named(object, "Classification").any(|c| c.attribute("classificationNode") == Some(SET));
            if is_set { "SubmissionSet" } else { "Folder" }
        }
        "Association" => "Association",
        "ObjectRef" => "ObjectRef",
        _ => return None,
    })
}

fn named<'a>(object: &'a Element, name: &'a str) -> impl Iterator<Item = &'a Element> {
    object.children.iter().filter(move |child| &*child.name == name)
}

/// Values of a slot.
pub(crate) fn slot(object: &Element, name: &str) -> Vec<String> {
    let slots = named(object, "Slot").filter(|slot| slot.attribute("name") == Some(name));
    let lists = slots.flat_map(|slot| slot.children.iter());
    lists.flat_map(|list| list.children.iter()).map(|value| value.trimmed().to_owned()).collect()
}

/// Value of an ExternalIdentifier whose name ends so: `.uniqueId`.
pub(crate) fn identifier(object: &Element, name: &str) -> Option<String> {
    let fits = |id: &&Element| text(id, "Name").is_some_and(|given| given.ends_with(name));
    named(object, "ExternalIdentifier").find(fits)?.attribute("value").map(str::to_owned)
}

/// Code and its display of the Classifications under a scheme.
pub(crate) fn classification(object: &Element, scheme: &str) -> Vec<(String, Option<String>)> {
    let fits = |class: &&Element| class.attribute("classificationScheme") == Some(scheme);
    let code = |class: &Element| {
        let code = class.attribute("nodeRepresentation").unwrap_or_default().to_owned();
        (code, text(class, "Name"))
    };
    named(object, "Classification").filter(fits).map(code).collect()
}

/// The value of a Name or Description.
pub(crate) fn text(object: &Element, name: &str) -> Option<String> {
    let localized = named(object, name).next()?.children.first()?;
    localized.attribute("value").map(str::to_owned).filter(|value| !value.is_empty())
}

/// A cell: the value, or nothing.
pub(crate) fn cell(values: Vec<String>) -> Value {
    match values.len() {
        0 => Value::Null,
        1 => json!(values[0]),
        _ => json!(values),
    }
}

/// The last word of a URN.
fn last(urn: Option<&str>) -> Option<String> {
    urn.map(|urn| urn.rsplit(':').next().unwrap_or(urn).to_owned())
}

/// Any object.
pub(super) fn row(object: &Element) -> Row {
    let kind = kind(object).unwrap_or_default();
    let name = match kind {
        "Association" => last(object.attribute("associationType")).unwrap_or_default(),
        _ => kind.to_owned(),
    };
    let time = ["creationTime", "submissionTime", "lastUpdateTime"]
        .into_iter()
        .find_map(|name| slot(object, name).into_iter().next());
    let version = named(object, "VersionInfo").next().and_then(|info| info.attribute("versionName"));
    let codes: Vec<String> = named(object, "Classification")
        .filter(|class| {
            let scheme = class.attribute("classificationScheme");
            scheme.is_some_and(|scheme| !AUTHORS.contains(&scheme))
        })
        .filter_map(|class| class.attribute("nodeRepresentation").map(str::to_owned))
        .collect();
    let cells = [
        ("id", json!(object.attribute("id"))),
        ("object", json!(name)),
        ("status", json!(last(object.attribute("status")))),
        ("title", json!(text(object, "Name"))),
        ("uniqueId", json!(identifier(object, ".uniqueId"))),
        ("time", json!(time)),
        ("codes", cell(codes)),
        ("source", json!(object.attribute("sourceObject"))),
        ("target", json!(object.attribute("targetObject"))),
        ("patientId", json!(identifier(object, ".patientId"))),
        ("mimeType", json!(object.attribute("mimeType"))),
        ("size", cell(slot(object, "size"))),
        ("hash", cell(slot(object, "hash"))),
        ("repositoryUniqueId", cell(slot(object, "repositoryUniqueId"))),
        ("home", json!(object.attribute("home"))),
        ("lid", json!(object.attribute("lid"))),
        ("version", json!(version)),
    ];
    cells.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
