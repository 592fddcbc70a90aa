//! Reading the files of a domain, all of them before anything is decided: one bad file and the whole is refused.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use serde_json::Value;
use xds::affinity::{Authority, CodeSet, Coded, Domain, Systems, Translation};

use crate::{codes_xml, terminology};

/// Bytes of one file.
const MOST_BYTES: u64 = 256 << 20;

/// JSON and XML of terminology may be long, but not endless.
const LIMITS: fhir::json::Limits =
    fhir::json::Limits { depth: 64, string: 1 << 20, items: 500_000, nodes: 8_000_000 };

/// A domain as its files say it.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// What is accepted.
    pub domain: Domain,
    /// Its value sets, those of a `codes.xml` too.
    pub value_sets: Vec<Shown>,
    /// CodeSystem, ConceptMap and NamingSystem resources as they were loaded.
    pub others: Vec<Value>,
    /// What was left out or is doubtful, in words for the operator.
    pub remarks: Vec<String>,
    /// Sixteen digits that change when a file does.
    pub fingerprint: String,
}

/// A value set, as FHIR shows it and as it is asked.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Logical id.
    pub id: String,
    /// The resource; without `url` where it comes from a `codes.xml`.
    pub resource: Value,
    /// Its codes.
    pub set: CodeSet,
    /// The attribute it restricts; none if it is only there to be looked at.
    pub attribute: Option<Coded>,
}

/// Where the bytes of a domain come from, for words about them.
pub type Origin = String;

/// What has been gathered from the files so far.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) origin: Origin,
    pub(crate) lists: Vec<(Option<Coded>, CodeSet)>,
    pub(crate) resources: Vec<Value>,
    pub(crate) systems: Systems,
    pub(crate) translations: Vec<Translation>,
    pub(crate) authorities: Vec<Authority>,
    remarks: Vec<String>,
}

impl Draft {
    pub(crate) fn remark(&mut self, words: impl AsRef<str>) {
        let separator = if self.origin.is_empty() { "" } else { ": " };
        self.remarks.push(format!("{}{separator}{}", self.origin, words.as_ref()));
    }

    /// Learns two spellings of one system; a contradiction is remarked once.
    pub(crate) fn learn(&mut self, one: &str, other: &str) {
        if let Err(words) = self.systems.learn(one, other)
            && !self.remarks.iter().any(|remark| remark.ends_with(&words))
        {
            self.remark(words);
        }
    }

    pub(crate) fn add_list(&mut self, attribute: Option<Coded>, set: CodeSet) {
        self.lists.push((attribute, set));
    }

    /// The whole. `bindings` are `attribute=canonical URL`.
    pub(crate) fn finish(mut self, bindings: &[String]) -> Result<Loaded, String> {
        let mut value_sets = terminology::finish(&mut self, bindings)?;
        for (attribute, set) in std::mem::take(&mut self.lists) {
            value_sets.push(terminology::of_list(attribute, set));
        }
        for (index, shown) in value_sets.iter_mut().enumerate() {
            shown.set.index(&self.systems);
            if shown.id.is_empty() {
                shown.id = format!("set-{}", index + 1);
            }
        }
        distinct(&mut value_sets);
        let bound = value_sets
            .iter()
            .filter_map(|shown| Some((shown.attribute?, shown.set.clone())))
            .collect::<Vec<_>>();
        let others = self.resources.into_iter().filter(|resource| resource["resourceType"] != "ValueSet");
        let others = others.collect();
        let mut authorities = self.authorities;
        authorities.sort();
        authorities.dedup();
        let domain = Domain::new(bound, self.systems, self.translations, authorities);
        Ok(Loaded { domain, value_sets, others, remarks: self.remarks, fingerprint: String::new() })
    }
}

/// Two sets of one id are told apart by a number.
fn distinct(value_sets: &mut [Shown]) {
    let mut seen = std::collections::HashMap::new();
    for shown in value_sets {
        let count: &mut usize = seen.entry(shown.id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            shown.id = format!("{}-{count}", shown.id);
        }
        if let Some(resource) = shown.resource.as_object_mut() {
            resource.insert("id".to_owned(), shown.id.clone().into());
        }
    }
}

/// Reads the files of a domain; a folder stands for the `.xml` and `.json` files in it. All faults are told at once.
pub fn load(files: &[PathBuf], bindings: &[String]) -> Result<Loaded, Vec<String>> {
    let mut faults = Vec::new();
    let mut contents = Vec::new();
    for path in paths(files, &mut faults) {
        match bytes(&path) {
            Ok(bytes) => contents.push((path.display().to_string(), bytes)),
            Err(words) => faults.push(format!("{}: {words}", path.display())),
        }
    }
    if faults.is_empty() { read(&contents, bindings) } else { Err(faults) }
}

/// The same with the bytes at hand, each with where it comes from.
pub fn read(contents: &[(Origin, Vec<u8>)], bindings: &[String]) -> Result<Loaded, Vec<String>> {
    let mut draft = Draft::default();
    let mut faults = Vec::new();
    let mut fingerprint = DefaultHasher::new();
    for (origin, bytes) in contents {
        draft.origin.clone_from(origin);
        bytes.hash(&mut fingerprint);
        if let Err(words) = take(bytes, &mut draft) {
            faults.push(format!("{origin}: {words}"));
        }
    }
    draft.origin.clear();
    bindings.hash(&mut fingerprint);
    match draft.finish(bindings) {
        Ok(loaded) if faults.is_empty() => {
            Ok(Loaded { fingerprint: format!("{:016x}", fingerprint.finish()), ..loaded })
        }
        Ok(_) => Err(faults),
        Err(words) => {
            faults.push(words);
            Err(faults)
        }
    }
}

/// One file, by what it begins with.
fn take(bytes: &[u8], draft: &mut Draft) -> Result<(), String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {
            let resource = fhir::json::parse(bytes, &LIMITS).map_err(|findings| in_words(&findings))?;
            terminology::take(resource, draft)
        }
        Some(b'<') if is_codes_xml(bytes) => codes_xml::read(bytes, draft),
        Some(b'<') => {
            let resource = fhir::xml::parse(bytes, &LIMITS).map_err(|findings| in_words(&findings))?;
            terminology::take(resource, draft)
        }
        Some(_) => Err("neither JSON nor XML".to_owned()),
        None => Err("the file is empty".to_owned()),
    }
}

/// Whether the root element is `Codes`.
fn is_codes_xml(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut reader = quick_xml::Reader::from_str(&text);
    loop {
        match reader.read_event() {
            Ok(quick_xml::events::Event::Start(root) | quick_xml::events::Event::Empty(root)) => {
                return root.name().as_ref() == "Codes";
            }
            Ok(quick_xml::events::Event::Eof) => return true,
            // What is wrong with it is told by whoever reads it whole.
            Err(_) | Ok(quick_xml::events::Event::DocType(_)) => return true,
            Ok(_) => {}
        }
    }
}

fn in_words(findings: &[xds::Finding]) -> String {
    findings.iter().map(|finding| finding.text.as_str()).collect::<Vec<_>>().join("; ")
}

fn paths(files: &[PathBuf], faults: &mut Vec<String>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in files {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let listed = std::fs::read_dir(path).and_then(|list| list.map(|entry| Ok(entry?.path())).collect());
        let mut inside: Vec<PathBuf> = listed.unwrap_or_else(|error: std::io::Error| {
            faults.push(format!("{}: cannot be read: {error}", path.display()));
            Vec::new()
        });
        let ours = |path: &PathBuf| {
            path.extension()
                .is_some_and(|end| end.eq_ignore_ascii_case("xml") || end.eq_ignore_ascii_case("json"))
        };
        inside.retain(ours);
        inside.sort();
        found.extend(inside);
    }
    found
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let length = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if length > MOST_BYTES {
        return Err(format!("is larger than {MOST_BYTES} bytes"));
    }
    std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))
}
