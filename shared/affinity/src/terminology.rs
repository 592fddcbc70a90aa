//! FHIR ValueSet, CodeSystem, ConceptMap and NamingSystem: what of them an affinity domain needs.

use std::collections::HashMap;

use serde_json::{Value, json};
use xds::Code;
use xds::affinity::{Authority, CodeSet, Coded, Domain, Translation};

use crate::file::{Draft, Loaded, Shown};

/// How deep value sets may be made of value sets.
const DEPTH: usize = 16;

/// Takes a resource, or those of a Bundle.
pub(crate) fn take(resource: Value, draft: &mut Draft) -> Result<(), String> {
    match resource["resourceType"].as_str() {
        Some("Bundle") => {
            let entries = resource["entry"].as_array().cloned().unwrap_or_default();
            let resources =
                entries.into_iter().filter_map(|mut entry| entry.get_mut("resource").map(Value::take));
            resources
                .filter(|resource| resource["resourceType"] != "OperationOutcome")
                .try_for_each(|r| take(r, draft))
        }
        Some("ValueSet" | "CodeSystem" | "ConceptMap" | "NamingSystem") => {
            draft.resources.push(resource);
            Ok(())
        }
        Some(other) => Err(format!(
            "a {other} says nothing of codes; taken are ValueSet, CodeSystem, ConceptMap, NamingSystem and a Bundle of them"
        )),
        None => Err("the JSON is no FHIR resource: it has no resourceType".to_owned()),
    }
}

/// Follows what the resources say of each other.
pub(crate) fn finish(draft: &mut Draft, bindings: &[String]) -> Result<Vec<Shown>, String> {
    let resources = std::mem::take(&mut draft.resources);
    let of = |kind: &'static str| resources.iter().filter(move |resource| resource["resourceType"] == kind);
    for system in of("CodeSystem") {
        for identifier in array(system, "identifier") {
            if let (Some(url), Some(oid)) = (text(system, "url"), text(identifier, "value"))
                && oid.starts_with("urn:oid:")
            {
                draft.learn(oid, url);
            }
        }
    }
    of("NamingSystem").for_each(|system| naming_system(system, draft));
    of("ConceptMap").for_each(|map| concept_map(map, draft));
    let shelf = Shelf {
        systems: of("CodeSystem").filter_map(|system| Some((bare(text(system, "url")?), system))).collect(),
        sets: of("ValueSet").filter_map(|set| Some((bare(text(set, "url")?), set))).collect(),
    };
    let bindings = bindings.iter().map(|binding| bound(binding)).collect::<Result<Vec<_>, _>>()?;
    for (attribute, url) in &bindings {
        if !shelf.sets.contains_key(bare(url)) {
            return Err(format!(
                "domain.bindings says that {} is {url}, but no file holds a ValueSet of that URL",
                attribute.name()
            ));
        }
    }
    let mut shown = Vec::new();
    let mut faults = Vec::new();
    for resource in of("ValueSet") {
        let name = text(resource, "id").or(text(resource, "url")).unwrap_or("without id");
        let attribute = attribute_of(resource, &bindings);
        match shelf.codes_of(resource, 0) {
            Ok(mut set) => {
                set.url = text(resource, "url").map(str::to_owned);
                if attribute.is_some() && set.codes.is_empty() && set.whole_systems.is_empty() {
                    draft.remark(format!(
                        "ValueSet {name} holds no code: nothing is accepted for its attribute"
                    ));
                }
                let id = text(resource, "id").unwrap_or_default().to_owned();
                shown.push(Shown { id, resource: resource.clone(), set, attribute });
            }
            Err(words) if attribute.is_some() => faults.push(format!("ValueSet {name}: {words}")),
            Err(words) => draft.remark(format!("ValueSet {name} is left out: {words}")),
        }
    }
    draft.resources = resources;
    if faults.is_empty() { Ok(shown) } else { Err(faults.join("; ")) }
}

fn bound(binding: &str) -> Result<(Coded, &str), String> {
    let (name, url) = binding
        .split_once('=')
        .ok_or_else(|| format!("domain.bindings: {binding:?} is not written attribute=URL"))?;
    let attribute = Coded::named(name.trim()).ok_or_else(|| {
        let names: Vec<&str> = Coded::ALL.iter().map(|attribute| attribute.name()).collect();
        format!("domain.bindings: {name} is no attribute; there are {}", names.join(", "))
    })?;
    Ok((attribute, url.trim()))
}

/// The attribute a value set is that of: as configured, or as its id, its name or its URL ends.
fn attribute_of(resource: &Value, bindings: &[(Coded, &str)]) -> Option<Coded> {
    let url = text(resource, "url").unwrap_or_default();
    if let Some((attribute, _)) = bindings.iter().find(|(_, named)| bare(named) == bare(url)) {
        return Some(*attribute);
    }
    let last = bare(url).rsplit(['/', ':']).next().unwrap_or_default();
    let names = [text(resource, "id"), text(resource, "name"), Some(last)];
    names.into_iter().flatten().find_map(|name| {
        let short = ["ValueSet", "valueset", "VS", "vs"].iter().find_map(|end| name.strip_suffix(end));
        Coded::named(short.unwrap_or(name))
    })
}

/// A canonical without its version.
fn bare(url: &str) -> &str {
    url.split('|').next().unwrap_or(url)
}

/// What value sets are made of.
struct Shelf<'a> {
    systems: HashMap<&'a str, &'a Value>,
    sets: HashMap<&'a str, &'a Value>,
}

impl Shelf<'_> {
    fn codes_of(&self, resource: &Value, depth: usize) -> Result<CodeSet, String> {
        if depth > DEPTH {
            return Err(format!("value sets are made of each other more than {DEPTH} deep, or in a circle"));
        }
        let title =
            text(resource, "title").or(text(resource, "name")).or(text(resource, "id")).unwrap_or_default();
        let mut set = CodeSet::new(title, Vec::new());
        let includes = array(&resource["compose"], "include");
        if includes.is_empty() {
            expanded(array(&resource["expansion"], "contains"), &mut set.codes);
            return Ok(set);
        }
        for include in includes {
            let part = self.include(include, depth);
            // A composition nobody can follow here may have been expanded by somebody who could.
            match part {
                Ok(part) => {
                    set.codes.extend(part.codes);
                    set.whole_systems.extend(part.whole_systems);
                }
                Err(words) => {
                    set.codes.clear();
                    expanded(array(&resource["expansion"], "contains"), &mut set.codes);
                    return if set.codes.is_empty() { Err(words) } else { Ok(set) };
                }
            }
        }
        for exclude in array(&resource["compose"], "exclude") {
            let out = self.include(exclude, depth)?;
            if let Some(system) = out.whole_systems.first() {
                return Err(format!("it excludes all of {system}, which is not loaded"));
            }
            set.codes
                .retain(|code| !out.codes.iter().any(|o| o.code == code.code && o.system == code.system));
        }
        Ok(set)
    }

    fn include(&self, include: &Value, depth: usize) -> Result<CodeSet, String> {
        let mut part = CodeSet::default();
        if !array(include, "filter").is_empty() {
            return Err("a compose.filter needs a terminology server; list the codes, or give an expansion"
                .to_owned());
        }
        let system = text(include, "system");
        let concepts = array(include, "concept");
        match system {
            Some(system) if !concepts.is_empty() => {
                part.codes.extend(concepts.iter().filter_map(|concept| code(system, concept)));
            }
            Some(system) => match self.systems.get(bare(system)) {
                Some(resource) => whole(system, array(resource, "concept"), &mut part.codes),
                None => part.whole_systems.push(system.to_owned()),
            },
            None => {}
        }
        for (index, url) in array(include, "valueSet").iter().filter_map(Value::as_str).enumerate() {
            let Some(other) = self.sets.get(bare(url)) else {
                return Err(format!("the value set {url} is not loaded"));
            };
            let other = self.codes_of(other, depth + 1)?;
            if index == 0 && system.is_none() {
                part = other;
            } else {
                // Several conditions of one include must all hold.
                let has = |code: &Code| {
                    other.codes.iter().any(|o| o.code == code.code && o.system == code.system)
                        || other.whole_systems.contains(&code.system)
                };
                part.codes.retain(has);
                part.whole_systems.retain(|system| other.whole_systems.contains(system));
            }
        }
        Ok(part)
    }
}

fn code(system: &str, concept: &Value) -> Option<Code> {
    Some(Code {
        system: system.to_owned(),
        code: text(concept, "code")?.to_owned(),
        display: text(concept, "display").map(str::to_owned),
    })
}

/// All concepts of a code system, those below others too.
fn whole(system: &str, concepts: &[Value], codes: &mut Vec<Code>) {
    for concept in concepts {
        codes.extend(code(system, concept));
        whole(system, array(concept, "concept"), codes);
    }
}

fn expanded(contains: &[Value], codes: &mut Vec<Code>) {
    for item in contains {
        if item["abstract"] != true {
            codes.extend(code(text(item, "system").unwrap_or_default(), item));
        }
        expanded(array(item, "contains"), codes);
    }
}

/// Its unique ids are spellings of one name space; that of identifiers is an assigning authority.
fn naming_system(resource: &Value, draft: &mut Draft) {
    let ids = array(resource, "uniqueId");
    let name = |kind: &[&str]| {
        ids.iter()
            .find(|id| text(id, "type").is_some_and(|given| kind.contains(&given)))
            .and_then(|id| text(id, "value"))
    };
    let first = name(&["oid"]).or_else(|| name(&["uri", "other", "uuid"]));
    if let Some(first) = first {
        ids.iter().filter_map(|id| text(id, "value")).for_each(|other| draft.learn(first, other));
    }
    if let (Some("identifier"), Some(oid)) = (text(resource, "kind"), name(&["oid"])) {
        let oid = oid.trim_start_matches("urn:oid:").to_owned();
        let display = text(resource, "name").unwrap_or_default().to_owned();
        draft.authorities.push(Authority { oid, display });
    }
}

/// Codes of one system that stand for codes of another. Where every code stands for itself, the systems are one.
fn concept_map(resource: &Value, draft: &mut Draft) {
    for group in array(resource, "group") {
        let (Some(source), Some(target)) = (text(group, "source"), text(group, "target")) else { continue };
        let elements = array(group, "element");
        let mut itself = !elements.is_empty();
        for element in elements {
            let equal = |target: &&Value| {
                matches!(text(target, "equivalence"), Some("equal" | "equivalent" | "relatedto") | None)
            };
            let targets = array(element, "target");
            let Some(from) = code(source, element) else { continue };
            itself &= targets.len() == 1
                && text(&targets[0], "code") == Some(from.code.as_str())
                && matches!(text(&targets[0], "equivalence"), Some("equal"));
            if let Some(to) = targets.iter().find(equal).and_then(|to| code(target, to)) {
                draft.translations.push(Translation { from, to });
            }
        }
        if itself {
            draft.learn(source, target);
        }
    }
}

/// The value set of a list of a `codes.xml`.
pub(crate) fn of_list(attribute: Option<Coded>, set: CodeSet) -> Shown {
    let name = attribute.map_or_else(|| set.title.clone(), |attribute| attribute.name().to_owned());
    let id: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '-' })
        .collect();
    let title = attribute.map_or_else(|| set.title.clone(), |attribute| attribute.attribute().to_owned());
    let resource = json!({
        "resourceType": "ValueSet", "id": id, "name": id, "title": title, "status": "active",
        "description": format!("The codes this affinity domain accepts for {title}."),
        "compose": { "include": composed(attribute, &set.codes) },
    });
    Shown { id, resource, set, attribute }
}

/// `compose.include`: one for each system, in the order of their first code.
fn composed(attribute: Option<Coded>, codes: &[Code]) -> Vec<Value> {
    // Media types and languages have no system in XDS; FHIR names one.
    let unnamed = if attribute == Some(Coded::LanguageCode) { "urn:ietf:bcp:47" } else { "urn:ietf:bcp:13" };
    let mut order: Vec<&str> = Vec::new();
    let mut by_system: HashMap<&str, Vec<Value>> = HashMap::new();
    for code in codes {
        let concepts = by_system.entry(&code.system).or_insert_with(|| {
            order.push(&code.system);
            Vec::new()
        });
        let mut concept = json!({ "code": code.code });
        if let Some(display) = &code.display {
            concept["display"] = display.as_str().into();
        }
        concepts.push(concept);
    }
    let include = |system: &str| {
        let mut include = json!({ "concept": by_system.remove(system) });
        include["system"] = if system.is_empty() { unnamed } else { system }.into();
        include
    };
    order.into_iter().map(include).collect()
}

/// A domain as a Bundle of ValueSets and, for the spellings of its systems, NamingSystems. `base` is where the value sets of
/// a `codes.xml` get their canonical URL from.
pub fn write_bundle(loaded: &Loaded, base: &str) -> Value {
    let mut resources: Vec<Value> = loaded.value_sets.iter().map(|shown| shown.resource_at(base)).collect();
    let have = |kind: &str| loaded.others.iter().any(|resource| resource["resourceType"] == kind);
    if !have("NamingSystem") {
        resources.extend(naming_systems(&loaded.domain));
    }
    resources.extend(loaded.others.iter().cloned());
    let entries: Vec<Value> = resources
        .into_iter()
        .map(|resource| {
            let url = text(&resource, "url").map(str::to_owned);
            let mut entry = json!({});
            if let Some(url) = url {
                entry["fullUrl"] = url.into();
            }
            entry["resource"] = resource;
            entry
        })
        .collect();
    json!({ "resourceType": "Bundle", "type": "collection", "entry": entries })
}

/// The spellings of systems and the assigning authorities of a domain.
fn naming_systems(domain: &Domain) -> Vec<Value> {
    let id = |name: &str| {
        let (kind, value) = match xds::identifier::is_oid(name) {
            true => ("oid", name.to_owned()),
            false => ("uri", name.to_owned()),
        };
        json!({ "type": kind, "value": value })
    };
    let system = |number: usize, name: String, kind: &str, ids: Vec<Value>| {
        json!({
            "resourceType": "NamingSystem", "id": format!("system-{number}"), "name": name, "status": "active",
            "kind": kind, "date": "2026-01-01", "uniqueId": ids,
        })
    };
    // What every domain knows is not written, but a group it belongs to needs it.
    let codes = domain
        .systems()
        .learned()
        .map(|names| ("codesystem", names[0].clone(), names.iter().map(|n| id(n)).collect()));
    let authorities =
        domain.authorities().iter().map(|a| ("identifier", a.display.clone(), vec![id(&a.oid)]));
    codes
        .chain(authorities)
        .enumerate()
        .map(|(n, (kind, name, ids))| system(n + 1, name, kind, ids))
        .collect()
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

pub(crate) fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::read;

    fn loaded(resources: &[Value], bindings: &[String]) -> Result<Loaded, Vec<String>> {
        let files: Vec<_> = resources
            .iter()
            .enumerate()
            .map(|(n, r)| (format!("{n}.json"), r.to_string().into_bytes()))
            .collect();
        read(&files, bindings)
    }

    fn value_set(id: &str, compose: Value) -> Value {
        json!({ "resourceType": "ValueSet", "id": id, "url": format!("http://region.example/ValueSet/{id}"), "status": "active", "compose": compose })
    }

    fn code_system() -> Value {
        json!({ "resourceType": "CodeSystem", "url": "http://region.example/class", "status": "active", "content": "complete",
            "identifier": [{ "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3" }],
            "concept": [{ "code": "a", "concept": [{ "code": "b", "display": "B" }] }] })
    }

    #[test]
    fn a_whole_code_system_of_the_files_is_taken_with_what_is_below() {
        let set = value_set("classCode", json!({ "include": [{ "system": "http://region.example/class" }] }));
        let loaded = loaded(&[set, code_system()], &[]).unwrap();
        let set = loaded.domain.set(Coded::ClassCode).unwrap();
        assert_eq!(set.codes.iter().map(|code| code.code.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(set.find("1.2.3", "b", loaded.domain.systems()).is_some(), "its OID was learned");
    }

    #[test]
    fn a_system_that_is_not_loaded_is_accepted_whole() {
        let set = value_set("typeCode", json!({ "include": [{ "system": "http://loinc.org" }] }));
        let loaded = loaded(&[set], &[]).unwrap();
        let set = loaded.domain.set(Coded::TypeCode).unwrap();
        let code = Code { system: "2.16.840.1.113883.6.1".into(), code: "34133-9".into(), display: None };
        assert!(set.accepts(&code, loaded.domain.systems()));
    }

    #[test]
    fn value_sets_are_made_of_value_sets_and_exclude_codes() {
        let all = value_set("all", json!({ "include": [{ "system": "http://region.example/class" }] }));
        let mine = value_set(
            "classCode",
            json!({ "include": [{ "valueSet": ["http://region.example/ValueSet/all"] }],
                "exclude": [{ "system": "http://region.example/class", "concept": [{ "code": "a" }] }] }),
        );
        let loaded = loaded(&[all, mine, code_system()], &[]).unwrap();
        let codes = &loaded.domain.set(Coded::ClassCode).unwrap().codes;
        assert_eq!(codes.iter().map(|code| code.code.as_str()).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_set_is_bound_by_name_or_by_configuration() {
        let set =
            value_set("formats", json!({ "include": [{ "system": "urn:x", "concept": [{ "code": "f" }] }] }));
        assert!(loaded(std::slice::from_ref(&set), &[]).unwrap().domain.is_empty());
        let binding = "formatCode=http://region.example/ValueSet/formats".to_owned();
        let bound = loaded(std::slice::from_ref(&set), &[binding]).unwrap();
        assert_eq!(bound.domain.set(Coded::FormatCode).unwrap().codes.len(), 1);
        let faults = loaded(&[set], &["formatCode=http://elsewhere.example".to_owned()]).unwrap_err();
        assert!(faults[0].contains("no file holds"), "{faults:?}");
    }

    #[test]
    fn a_filter_nobody_can_follow_is_refused_where_it_matters() {
        let compose = json!({ "include": [{ "system": "urn:x", "filter": [{ "property": "p", "op": "=", "value": "v" }] }] });
        let faults = loaded(&[value_set("classCode", compose.clone())], &[]).unwrap_err();
        assert!(faults[0].contains("compose.filter"), "{faults:?}");
        assert!(loaded(&[value_set("colours", compose)], &[]).unwrap().remarks[0].contains("left out"));
    }

    #[test]
    fn naming_systems_and_concept_maps_teach_spellings() {
        let naming = json!({ "resourceType": "NamingSystem", "name": "Ours", "kind": "codesystem", "status": "active",
            "uniqueId": [{ "type": "oid", "value": "1.2.9" }, { "type": "uri", "value": "http://ours.example" }] });
        let map = json!({ "resourceType": "ConceptMap", "status": "active", "group": [{
            "source": "http://old.example", "target": "http://ours.example",
            "element": [{ "code": "a", "target": [{ "code": "a", "equivalence": "equal" }] }] }, {
            "source": "http://other.example", "target": "http://ours.example",
            "element": [{ "code": "x", "target": [{ "code": "a", "equivalence": "equivalent" }] }] }] });
        let loaded = loaded(&[naming, map], &[]).unwrap();
        let systems = loaded.domain.systems();
        assert_eq!(systems.canonical("http://old.example"), "1.2.9");
        assert_ne!(systems.canonical("http://other.example"), "1.2.9");
        assert_eq!(loaded.domain.translations().iter().filter(|t| t.from.code == "x").count(), 1);
    }

    #[test]
    fn a_resource_in_xml_is_taken_as_one_in_json() {
        let set = value_set(
            "classCode",
            json!({ "include": [{ "system": "urn:x", "concept": [{ "code": "a" }] }] }),
        );
        let xml = fhir::xml::write(set.to_string().as_bytes()).expect("a value set can be written");
        let loaded = read(&[("classCode.xml".to_owned(), xml)], &[]).unwrap();
        assert_eq!(loaded.domain.set(Coded::ClassCode).unwrap().codes[0].code, "a");
    }

    #[test]
    fn a_domain_survives_the_trip_through_a_bundle() {
        let xml = br#"<Codes><CodeType name="classCode"><Code code="c" display="C" codingScheme="1.2.3" system="http://region.example/c"/></CodeType>
            <CodeType name="mimeType"><Code code="text/plain"/></CodeType><AssigningAuthority id="&amp;1.3.6&amp;ISO" display="RED"/></Codes>"#;
        let before = read(&[("codes.xml".to_owned(), xml.to_vec())], &[]).unwrap();
        let after = loaded(&[write_bundle(&before, "http://registry.example/fhir")], &[]).unwrap();
        assert_eq!(xds::affinity::compare(&before.domain, &after.domain), []);
        assert_eq!(after.domain.systems().canonical("http://region.example/c"), "1.2.3");
        assert_eq!(before.domain.authorities(), after.domain.authorities());
    }
}
