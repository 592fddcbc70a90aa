//! CapabilityStatement, printed from the tables that route.

mod ask;
mod compare;

use serde_json::{Value, json};
use xds::{Finding, Findings, Place, Rule};

pub use ask::{Question, answer};

use crate::element::put;
use crate::search::{self, Kind, Parameter};

/// An interaction of a type or of the system, as the actor's table routes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interaction {
    /// Resource type; none for the system.
    pub resource: Option<&'static str>,
    /// `read`, `search-type`, `transaction`, …, or an operation as `$ihe-pix`.
    pub code: &'static str,
    /// Canonical of the OperationDefinition, for operations.
    pub definition: Option<&'static str>,
    /// One line.
    pub documentation: &'static str,
}

/// A search parameter as it is printed.
#[derive(Debug, Clone, Copy)]
pub struct SearchParameter {
    /// Resource type.
    pub resource: &'static str,
    /// Name.
    pub name: &'static str,
    /// `token`, `date`, …
    pub kind: &'static str,
    /// Canonical, if it is not R4's own.
    pub definition: Option<&'static str>,
    /// One line.
    pub documentation: &'static str,
}

/// What holds of a resource type and no interaction tells.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traits {
    /// Resource type.
    pub resource: &'static str,
    /// `If-None-Exist` is honoured.
    pub conditional_create: bool,
    /// `If-None-Match` and `If-Modified-Since` are honoured.
    pub conditional_read: bool,
    /// An update by search parameters is possible.
    pub conditional_update: bool,
    /// One that fits search parameters can be deleted.
    pub conditional_delete: bool,
    /// An update may create what is not there yet.
    pub update_create: bool,
    /// An update has to name the version it changes.
    pub versioned_update: bool,
    /// `literal`, `logical`, `resolves`, `enforced`, `local`.
    pub references: &'static [&'static str],
}

/// What is printed.
#[derive(Debug, Clone, Default)]
pub struct Capability {
    /// `docshare registry` and so on.
    pub title: String,
    /// Version of the software.
    pub version: String,
    /// Base URL.
    pub url: String,
    /// FHIR dateTime of the build's publication.
    pub date: String,
    /// Canonicals of the actors it implements.
    pub instantiates: Vec<&'static str>,
    /// Canonicals of the guides.
    pub guides: Vec<&'static str>,
    /// Interactions and operations.
    pub interactions: Vec<Interaction>,
    /// Search parameters.
    pub parameters: Vec<SearchParameter>,
    /// Profiles: (resource type, canonical).
    pub profiles: Vec<(&'static str, &'static str)>,
    /// What else holds of a type, beside what its interactions say.
    pub traits: Vec<Traits>,
    /// Includes: (resource type, value).
    pub includes: Vec<(&'static str, &'static str)>,
    /// Reverse includes: (resource type, value).
    pub revincludes: Vec<(&'static str, &'static str)>,
    /// Messages: (`sender` or `receiver`, canonical of the MessageDefinition). They are taken at `$process-message`.
    pub messages: Vec<(&'static str, &'static str)>,
}

/// Canonical of R4's `CapabilityStatement/$implements`.
pub const IMPLEMENTS: &str = "http://hl7.org/fhir/OperationDefinition/CapabilityStatement-implements";
/// Canonical of R4's `CapabilityStatement/$conforms`.
pub const CONFORMS: &str = "http://hl7.org/fhir/OperationDefinition/CapabilityStatement-conforms";

/// What `GET [base]/metadata` answers, by its `mode`: the CapabilityStatement, or the TerminologyCapabilities of a server that
/// has value sets.
pub fn describe(capability: &Capability, query: &str) -> Result<Vec<u8>, Findings> {
    let mode = search::pairs(query).into_iter().find(|(name, _)| name == "mode").map(|(_, value)| value);
    let finding = |rule, text: String| vec![Finding::error(rule, Place::at("mode"), text)];
    match mode.as_deref() {
        None | Some("full" | "normative") => Ok(write(capability)),
        Some("terminology") => terminology(capability).ok_or_else(|| {
            let text =
                "This server has no value sets and tells nothing about terminologies; mode can be full.";
            finding(Rule::NotSupported, text.to_owned())
        }),
        Some(other) => {
            let other: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
            Err(finding(Rule::Value, format!("mode is {other:?}; it can be full, normative or terminology.")))
        }
    }
}

/// The TerminologyCapabilities of a server that expands value sets and validates codes.
fn terminology(capability: &Capability) -> Option<Vec<u8>> {
    let has =
        |code: &str| capability.interactions.iter().any(|i| i.resource == Some("ValueSet") && i.code == code);
    if !has("$expand") && !has("$validate-code") {
        return None;
    }
    let mut statement = json!({
        "resourceType": "TerminologyCapabilities",
        "url": format!("{}/metadata?mode=terminology", capability.url),
        "name": format!("{}Terminology", name(&capability.title)),
        "title": capability.title,
        "status": "active",
        "date": capability.date,
        "kind": "instance",
        "software": { "name": capability.title, "version": capability.version },
        "implementation": { "description": capability.title, "url": capability.url },
    });
    put(
        &mut statement,
        "expansion",
        has("$expand").then(|| json!({ "hierarchical": false, "paging": false })),
    );
    put(&mut statement, "codeSearch", Some("explicit"));
    put(&mut statement, "validateCode", has("$validate-code").then(|| json!({ "translations": false })));
    Some(statement.to_string().into_bytes())
}

/// Writes the CapabilityStatement.
pub fn write(capability: &Capability) -> Vec<u8> {
    statement(capability).to_string().into_bytes()
}

/// The CapabilityStatement.
pub fn statement(capability: &Capability) -> Value {
    let mut statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": capability.date,
        "kind": "instance",
    });
    put(&mut statement, "url", Some(format!("{}/metadata", capability.url)));
    put(&mut statement, "name", Some(name(&capability.title)));
    put(&mut statement, "title", Some(capability.title.as_str()));
    put(&mut statement, "instantiates", several(&capability.instantiates));
    put(&mut statement, "software", Some(json!({ "name": capability.title, "version": capability.version })));
    let implementation = json!({ "description": capability.title, "url": capability.url });
    put(&mut statement, "implementation", Some(implementation));
    put(&mut statement, "fhirVersion", Some("4.0.1"));
    put(
        &mut statement,
        "format",
        Some(json!(["application/fhir+json", "application/fhir+xml", "json", "xml"])),
    );
    if capability.interactions.iter().any(|interaction| interaction.code == "patch") {
        put(
            &mut statement,
            "patchFormat",
            Some(json!(["application/json-patch+json", "application/fhir+json", "application/fhir+xml"])),
        );
    }
    put(&mut statement, "implementationGuide", several(&capability.guides));
    let mut rest = json!({ "mode": "server" });
    let resources: Vec<Value> =
        types(capability).into_iter().map(|kind| resource(capability, kind)).collect();
    put(&mut rest, "resource", Some(resources).filter(|resources| !resources.is_empty()));
    put(&mut rest, "interaction", interactions(capability, None));
    put(&mut rest, "operation", operations(capability, None));
    put(&mut statement, "rest", Some(json!([rest])));
    put(&mut statement, "messaging", messaging(capability));
    statement
}

fn messaging(capability: &Capability) -> Option<Value> {
    let one = |(mode, definition): &(&str, &str)| json!({ "mode": mode, "definition": definition });
    let messages: Vec<Value> = capability.messages.iter().map(one).collect();
    let protocol =
        json!({ "system": "http://terminology.hl7.org/CodeSystem/message-transport", "code": "http" });
    let endpoint = json!({ "protocol": protocol, "address": format!("{}/$process-message", capability.url) });
    (!messages.is_empty()).then(|| json!([{ "endpoint": [endpoint], "supportedMessage": messages }]))
}

/// The resource types that appear in any table, in the order of their first appearance.
fn types(capability: &Capability) -> Vec<&'static str> {
    let all = capability
        .interactions
        .iter()
        .filter_map(|interaction| interaction.resource)
        .chain(capability.parameters.iter().map(|parameter| parameter.resource))
        .chain(capability.profiles.iter().map(|(kind, _)| *kind));
    let mut types = Vec::new();
    for kind in all {
        if !types.contains(&kind) {
            types.push(kind);
        }
    }
    types
}

fn resource(capability: &Capability, kind: &'static str) -> Value {
    let of_kind = |table: &[(&'static str, &'static str)]| {
        let own: Vec<&'static str> =
            table.iter().filter(|(k, _)| *k == kind).map(|(_, value)| *value).collect();
        several(&own)
    };
    let routed =
        |code: &str| capability.interactions.iter().any(|i| i.resource == Some(kind) && i.code == code);
    let mut resource = json!({ "type": kind });
    put(&mut resource, "supportedProfile", of_kind(&capability.profiles));
    put(&mut resource, "interaction", interactions(capability, Some(kind)));
    let traits = capability.traits.iter().copied().find(|traits| traits.resource == kind).unwrap_or_default();
    if routed("vread") || routed("history-instance") {
        let versioning = if traits.versioned_update { "versioned-update" } else { "versioned" };
        put(&mut resource, "versioning", Some(versioning));
        put(&mut resource, "readHistory", Some(routed("vread")));
    }
    put(&mut resource, "updateCreate", traits.update_create.then_some(true));
    put(&mut resource, "conditionalCreate", traits.conditional_create.then_some(true));
    put(&mut resource, "conditionalRead", traits.conditional_read.then_some("full-support"));
    put(&mut resource, "conditionalUpdate", traits.conditional_update.then_some(true));
    put(&mut resource, "conditionalDelete", traits.conditional_delete.then_some("single"));
    put(&mut resource, "referencePolicy", several(traits.references));
    put(&mut resource, "searchInclude", of_kind(&capability.includes));
    put(&mut resource, "searchRevInclude", of_kind(&capability.revincludes));
    let parameters: Vec<Value> =
        capability.parameters.iter().filter(|parameter| parameter.resource == kind).map(parameter).collect();
    put(&mut resource, "searchParam", Some(parameters).filter(|parameters| !parameters.is_empty()));
    put(&mut resource, "operation", operations(capability, Some(kind)));
    resource
}

fn parameter(parameter: &SearchParameter) -> Value {
    let mut value = json!({ "name": parameter.name });
    put(&mut value, "definition", parameter.definition);
    put(&mut value, "type", Some(parameter.kind));
    put(&mut value, "documentation", Some(parameter.documentation).filter(|text| !text.is_empty()));
    value
}

fn interactions(capability: &Capability, kind: Option<&'static str>) -> Option<Value> {
    let all = capability.interactions.iter().filter(|i| i.resource == kind && !i.code.starts_with('$'));
    let all: Vec<Value> = all
        .map(|interaction| {
            let mut value = json!({ "code": interaction.code });
            put(&mut value, "documentation", Some(interaction.documentation).filter(|text| !text.is_empty()));
            value
        })
        .collect();
    (!all.is_empty()).then_some(Value::Array(all))
}

/// R4 demands the definition of an operation; one without is not shown.
fn operations(capability: &Capability, kind: Option<&'static str>) -> Option<Value> {
    let all = capability.interactions.iter().filter(|i| i.resource == kind);
    let all: Vec<Value> = all
        .filter_map(|operation| {
            let name = operation.code.strip_prefix('$')?;
            let mut value = json!({ "name": name, "definition": operation.definition? });
            put(&mut value, "documentation", Some(operation.documentation).filter(|text| !text.is_empty()));
            Some(value)
        })
        .collect();
    (!all.is_empty()).then_some(Value::Array(all))
}

/// A name for machines: the title without spaces, each word with a capital letter.
fn name(title: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
            .unwrap_or_default()
    };
    title.split(' ').map(capital).collect()
}

fn several(values: &[&'static str]) -> Option<Value> {
    (!values.is_empty()).then(|| json!(values))
}

/// The word of a kind of parameter in a CapabilityStatement.
pub fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Token => "token",
        Kind::Date => "date",
        Kind::String => "string",
        Kind::Reference => "reference",
        Kind::Uri => "uri",
    }
}

/// A table of parameters as it is printed.
pub fn search_parameters<A>(resource: &'static str, table: &[Parameter<A>]) -> Vec<SearchParameter> {
    let print = |parameter: &Parameter<A>| SearchParameter {
        resource,
        name: parameter.name,
        kind: kind_word(parameter.kind),
        definition: parameter.definition,
        documentation: parameter.documentation,
    };
    table.iter().map(print).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_says_what_is_routed_and_nothing_else() {
        let interaction =
            |resource, code| Interaction { resource, code, definition: None, documentation: "" };
        let capability = Capability {
            title: "docshare registry".to_owned(),
            version: "1".to_owned(),
            url: "https://r/fhir".to_owned(),
            date: "2024-01-01".to_owned(),
            interactions: vec![
                interaction(None, "transaction"),
                interaction(Some("List"), "read"),
                interaction(Some("List"), "vread"),
                Interaction { definition: Some("https://x"), ..interaction(Some("Patient"), "$ihe-pix") },
            ],
            parameters: search_parameters("List", crate::iti66::PARAMETERS),
            ..Capability::default()
        };
        let written = write(&capability);
        let statement: Value = serde_json::from_slice(&written).unwrap();
        let rest = &statement["rest"][0];
        assert_eq!(rest["interaction"][0]["code"], "transaction");
        assert_eq!(rest["resource"][0]["versioning"], "versioned");
        assert_eq!(
            rest["resource"][0]["searchParam"][3]["definition"],
            crate::iti66::PARAMETERS[3].definition.unwrap()
        );
        assert_eq!(rest["resource"][1]["operation"][0]["name"], "ihe-pix");
        assert!(rest["resource"][1].get("interaction").is_none());
        assert!(statement.get("instantiates").is_none());
    }
}
