//! JSON to XML and back again says the same: over every resource others wrote, and over one of ours that has every oddity.
//!
//! Read from `DOCSHARE_CORPUS` (default: the folder `data` two levels up, beside the workspace); skipped, and said so,
//! where that is absent.

use std::path::{Path, PathBuf};

use fhir::{json, xml};
use serde_json::Value;

/// Definitions are larger than what anybody may send.
const LIMITS: json::Limits = json::Limits { depth: 128, string: 64 << 20, items: 1 << 20, nodes: 10 << 20 };

fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("DOCSHARE_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let there = root.is_dir();
    if !there {
        println!("skipped: there is no corpus (set DOCSHARE_CORPUS)");
    }
    there.then_some(root)
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|given| given == ending) {
            found.push(path);
        }
    }
    found.sort();
}

/// Narratives are compared as an XML reader sees them.
fn level(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(div)) = members.get_mut("div") {
                *div = div.trim().replace("\r\n", "\n");
            }
            members.values_mut().for_each(level);
        }
        Value::Array(items) => items.iter_mut().for_each(level),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn read(xml: &[u8], name: &Path) -> Value {
    xml::parse(xml, &LIMITS).unwrap_or_else(|found| {
        panic!("{}: {found:?}\n{:.2000}", name.display(), String::from_utf8_lossy(xml))
    })
}

/// Asserts that a resource comes back from XML as it was.
fn assert_comes_back(mut resource: Value, name: &Path) {
    let text = resource.to_string();
    level(&mut resource);
    for written in [xml::write(text.as_bytes()), xml::write_pretty(text.as_bytes())] {
        let mut back = read(&written.expect("it was written a moment ago"), name);
        level(&mut back);
        let difference = difference(&resource, &back, String::new());
        assert_eq!(difference, None, "{}", name.display());
    }
}

/// Where two values part.
fn difference(a: &Value, b: &Value, path: String) -> Option<String> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            names.into_iter().find_map(|name| {
                let none = Value::Null;
                let (a, b) = (a.get(name).unwrap_or(&none), b.get(name).unwrap_or(&none));
                difference(a, b, format!("{path}.{name}"))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(index, (a, b))| difference(a, b, format!("{path}[{index}]"))),
        (a, b) if a == b => None,
        // One item written without its brackets: it is read from either form alike.
        (a, Value::Array(items)) if items.len() == 1 && !a.is_array() => difference(a, &items[0], path),
        (a, b) => Some(format!("{path}: {a:.200} became {b:.200}")),
    }
}

#[test]
fn every_resource_of_others_comes_back_from_xml() {
    let Some(corpus) = corpus() else { return };
    let mut found = Vec::new();
    files(&corpus, "json", &mut found);
    let (mut count, mut skipped) = (0, Vec::new());
    for path in &found {
        let bytes = std::fs::read(path).expect("a file of the corpus can be read");
        let Ok(resource) = json::parse(&bytes, &LIMITS) else {
            skipped.push(format!("{} (not JSON)", path.display()));
            continue;
        };
        if xml::write(resource.to_string().as_bytes()).is_none() {
            skipped.push(format!("{} ({})", path.display(), resource["resourceType"]));
            continue;
        }
        assert_comes_back(resource, path);
        count += 1;
    }
    println!("{count} resources came back; skipped: {}\n{}", skipped.len(), skipped.join("\n"));
    assert!(count > 400, "only {count} of {} files", found.len());
}

#[test]
fn the_xml_of_others_is_read_as_the_twin_it_has_in_json() {
    let Some(corpus) = corpus() else { return };
    let mut found = Vec::new();
    files(&corpus.join("ihe"), "xml", &mut found);
    for path in &found {
        let mut value = read(&std::fs::read(path).expect("it can be read"), path);
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let examples = path.ancestors().nth(2).expect("a guide").join("examples");
        let mut all = Vec::new();
        files(&examples, "json", &mut all);
        let twin = all.iter().find(|twin| {
            let twin = twin.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            twin == name || twin.ends_with(name) || twin.ends_with(value["id"].as_str().unwrap_or("-"))
        });
        let Some(twin) = twin else {
            println!("{} has no twin", path.display());
            continue;
        };
        let mut expected =
            json::parse(&std::fs::read(twin).expect("it can be read"), &LIMITS).expect("a twin is JSON");
        level(&mut value);
        level(&mut expected);
        let difference = difference(&expected, &value, String::new());
        assert_eq!(difference, None, "{} and {}", path.display(), twin.display());
    }
    println!("{} files", found.len());
}

#[test]
fn the_xml_of_others_comes_back_from_json() {
    let Some(corpus) = corpus() else { return };
    let mut found = Vec::new();
    files(&corpus, "xml", &mut found);
    let mut count = 0;
    for path in found {
        let bytes = std::fs::read(&path).expect("it can be read");
        if !String::from_utf8_lossy(&bytes).contains("xmlns=\"http://hl7.org/fhir\"") {
            continue;
        }
        assert_comes_back(read(&bytes, &path), &path);
        count += 1;
    }
    println!("{count} files");
}

#[test]
fn a_resource_with_every_oddity_comes_back() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/oddities.json");
    let bytes = std::fs::read(&path).expect("our own fixture");
    assert_comes_back(json::parse(&bytes, &LIMITS).expect("it is JSON"), &path);
}
