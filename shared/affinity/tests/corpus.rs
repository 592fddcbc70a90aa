//! The codes of others: a `codes.xml` as it is exchanged between test tools loads whole, and judges bundles of others.
//!
//! Read from `DOCSHARE_CORPUS` (default: the folder `data` two levels up, beside the workspace); skipped, and said so,
//! where that is absent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use affinity::{Loaded, load, read, write_bundle, write_codes_xml};
use xds::affinity::{Coded, Enforce, Enforcement, compare};

fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("DOCSHARE_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let there = root.is_dir();
    if !there {
        println!("skipped: there is no corpus (set DOCSHARE_CORPUS)");
    }
    there.then_some(root)
}

fn codes(data: &Path) -> Loaded {
    let file = data.join("corpus/toolkit2-codes/codes-default.xml");
    load(&[file], &[]).expect("the codes.xml is sound")
}

#[test]
fn the_codes_of_the_test_tools_load_whole() {
    let Some(data) = corpus() else { return };
    let loaded = codes(&data);
    let text = std::fs::read_to_string(data.join("corpus/toolkit2-codes/codes-default.xml")).unwrap();
    // The same, counted in another way: distinct lines of each type.
    let mut written: BTreeMap<String, std::collections::BTreeSet<(String, String)>> = BTreeMap::new();
    let mut of = String::new();
    let between = |line: &str, name: &str| {
        let start = line.find(&format!("{name}=\""))? + name.len() + 2;
        line[start..].split('"').next().map(|text| text.trim().replace("&amp;", "&"))
    };
    for line in text.lines() {
        if line.contains("<CodeType ") {
            of = between(line, "name").unwrap();
        } else if line.contains("<Code ") {
            let system = between(line, "codingScheme").unwrap_or_default();
            written.entry(of.clone()).or_default().insert((between(line, "code").unwrap(), system));
        }
    }
    for attribute in Coded::ALL {
        let expected = written.get(attribute.name()).map_or(0, std::collections::BTreeSet::len);
        let found = loaded.domain.set(*attribute).map_or(0, |set| set.codes.len());
        assert_eq!(found, expected, "{}", attribute.name());
    }
    assert_eq!(loaded.domain.authorities().len(), 3);
    println!("remarks: {:#?}", loaded.remarks);
    assert!(loaded.remarks.len() < 10, "{:#?}", loaded.remarks);
}

#[test]
fn they_survive_both_ways_of_writing_them() {
    let Some(data) = corpus() else { return };
    let before = codes(&data);
    let xml = write_codes_xml(&before.domain);
    let again = read(&[("codes.xml".to_owned(), xml.into_bytes())], &[]).expect("what we wrote is sound");
    assert_eq!(compare(&before.domain, &again.domain), []);
    let bundle = write_bundle(&before, "http://registry.example/fhir").to_string();
    let again =
        read(&[("bundle.json".to_owned(), bundle.into_bytes())], &[]).expect("what we wrote is sound");
    assert_eq!(compare(&before.domain, &again.domain), []);
    assert_eq!(before.domain.authorities(), again.domain.authorities());
}

#[test]
fn bundles_of_the_test_tools_are_judged_by_them() {
    let Some(data) = corpus() else { return };
    let loaded = codes(&data);
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut bundles = 0;
    let mut folders = vec![data.join("corpus/asbestos-mhd420")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let Ok(bundle) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
            let given = fhir::coded::of_bundle(&bundle);
            if given.is_empty() {
                continue;
            }
            bundles += 1;
            for finding in loaded.domain.check(&given, &Enforcement::all(Enforce::Reject)) {
                refused.entry(finding.text).or_default().push(finding.at.path);
            }
        }
    }
    assert!(bundles > 20, "{bundles} bundles carry codes");
    // One mistake of theirs, copied from bundle to bundle: the display stands where the code belongs.
    assert_eq!(refused.len(), 1, "{refused:#?}");
    let (text, _) = refused.first_key_value().expect("one is refused");
    assert!(
        text.contains("(DocumentEntry.practiceSettingCode) is Accident and Emergency department"),
        "{text}"
    );
}
