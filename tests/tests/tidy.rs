//! The house is as its ground plan says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms a room may depend on. `testkit` is for tests only and free for all.
const DOORS: &[(&str, &[&str])] = &[
    ("xds", &[]),
    ("store", &[]),
    ("web", &[]),
    ("audit", &[]),
    ("ebxml", &["xds"]),
    ("hl7v2", &[]),
    ("hl7v3", &["xds", "ebxml"]),
    ("mllp", &["hl7v2", "store", "web", "access", "actor"]),
    ("soap", &["xds", "ebxml", "store", "web", "audit", "actor"]),
    ("fhir", &["xds", "audit"]),
    ("access", &["web"]),
    ("actor", &["store", "web", "access", "audit"]),
    ("affinity", &["xds", "fhir"]),
    ("testkit", &[]),
    ("registry", SERVER),
    ("repository", SERVER),
    ("identity-source", SERVER),
    ("consumer-cli", CLIENT),
    ("region", STARTER),
    ("tests", &["testkit"]),
];

const SERVER: &[&str] = &[
    "xds", "ebxml", "fhir", "hl7v2", "hl7v3", "mllp", "soap", "store", "web", "access", "audit", "actor",
    "affinity",
];
const CLIENT: &[&str] = &["xds", "ebxml", "fhir", "hl7v2", "web", "affinity"];
/// The launcher is compiled together with what it starts.
const STARTER: &[&str] =
    &["xds", "ebxml", "fhir", "hl7v2", "web", "registry", "repository", "identity-source", "consumer-cli"];

/// Lines of the longest file a room may have.
const LONGEST: usize = 700;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the workspace").to_path_buf()
}

/// Folder and manifest of every member.
fn members() -> Vec<(PathBuf, toml::Table)> {
    let workspace = manifest(&root());
    let members = workspace["workspace"]["members"].as_array().expect("the workspace has members").clone();
    let folders = members.iter().map(|member| root().join(member.as_str().expect("a member is a path")));
    folders.map(|folder| (folder.clone(), manifest(&folder))).collect()
}

fn manifest(folder: &Path) -> toml::Table {
    let text = fs::read_to_string(folder.join("Cargo.toml")).expect("a member has a manifest");
    text.parse().expect("a manifest is TOML")
}

fn name(manifest: &toml::Table) -> String {
    manifest["package"]["name"].as_str().expect("a package has a name").to_owned()
}

/// The packages a crate ships with: its dependencies for building and for running, on whatever platform, under their own
/// names and not those they are given here.
fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let workspace = crate::manifest(&root());
    let renamed = |entry: &toml::Value| entry.get("package").and_then(toml::Value::as_str).map(str::to_owned);
    let package = |(key, entry): (&String, &toml::Value)| {
        let common = workspace["workspace"]["dependencies"].get(key);
        renamed(entry).or_else(|| renamed(common?)).unwrap_or_else(|| key.clone())
    };
    let platforms = manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten();
    let platforms = platforms.filter_map(|(_, platform)| platform.as_table());
    std::iter::once(manifest)
        .chain(platforms)
        .flat_map(|table| ["dependencies", "build-dependencies"].map(|section| table.get(section)))
        .filter_map(|section| section.and_then(toml::Value::as_table))
        .flat_map(|section| section.iter().map(package).collect::<Vec<_>>())
        .collect()
}

/// Files of the workspace that are ours, by ending.
fn sources(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') || name == ".ci" {
                let generated = name.starts_with("target") || name.ends_with("-data");
                if !generated {
                    found.extend(sources(&path, endings));
                }
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_room_uses_only_its_doors() {
    let rooms: BTreeSet<&str> = DOORS.iter().map(|(room, _)| *room).collect();
    for (_, manifest) in members() {
        let name = name(&manifest);
        let allowed = DOORS.iter().find(|(room, _)| *room == name).map(|(_, doors)| *doors);
        let allowed = allowed.unwrap_or_else(|| panic!("{name} is not in the table of doors"));
        for dependency in dependencies(&manifest) {
            let ours = rooms.contains(dependency.as_str());
            assert!(!ours || allowed.contains(&dependency.as_str()), "{name} has no door to {dependency}");
        }
    }
}

#[test]
fn no_actor_imports_another() {
    let actors = ["registry", "repository", "identity-source", "consumer-cli"];
    for (_, manifest) in members() {
        let name = name(&manifest);
        let reached = dependencies(&manifest);
        // `region` only starts them, and is held to that below.
        let free = name == "region";
        let other = actors.iter().find(|actor| !free && **actor != name && reached.contains(**actor));
        assert!(other.is_none(), "{name} imports the actor {other:?}");
    }
}

#[test]
fn the_launcher_calls_nothing_of_what_it_starts() {
    for path in sources(&root().join("deploy").join("src"), &[".rs"]) {
        let text = fs::read_to_string(&path).expect("a source is text");
        let actors = ["registry::", "repository::", "identity_source::", "consumer_cli::"];
        let called = actors.iter().find(|actor| text.contains(**actor));
        assert!(called.is_none(), "{} reaches into {called:?}", path.display());
    }
}

#[test]
fn a_dependency_is_seen_under_any_name_and_section() {
    let manifest = "[dependencies]\na.workspace = true\n[build-dependencies]\nb = { path = \"x\", package = \"store\" }\n\
                    [target.'cfg(unix)'.dependencies]\nring-seal.workspace = true\n[dev-dependencies]\nc = \"1\"\n";
    let seen = dependencies(&manifest.parse().expect("TOML"));
    assert_eq!(seen, BTreeSet::from(["a", "aws-lc-rs", "store"].map(str::to_owned)));
}

#[test]
fn the_test_kit_is_for_tests_only() {
    for (_, manifest) in members() {
        let used = dependencies(&manifest).contains("testkit");
        assert!(!used || name(&manifest) == "tests", "{} ships the test kit", name(&manifest));
    }
}

#[test]
fn every_room_begins_with_its_charter() {
    for (folder, manifest) in members() {
        let front = fs::read_to_string(folder.join("src/lib.rs")).expect("a room has a front page");
        for word in ["Lives here", "Does not live here", "Doors"] {
            assert!(front.contains(word), "the front page of {} says {word:?}", name(&manifest));
        }
    }
}

#[test]
fn no_file_is_longer_than_two_ideas() {
    for path in sources(&root(), &[".rs"]) {
        let lines = fs::read_to_string(&path).expect("a source is text").lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines", path.display());
    }
}

#[test]
fn nothing_is_left_to_do() {
    let words =
        [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("FIX", "ME"), concat!("XX", "X:")];
    for path in sources(&root(), &[".rs"]) {
        let text = fs::read_to_string(&path).expect("a source is text");
        let left = words.iter().find(|word| text.contains(**word));
        assert!(left.is_none(), "{} holds {left:?}", path.display());
    }
}

#[test]
fn no_source_names_a_machine() {
    let words = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/")];
    for path in sources(&root(), &[".rs", ".toml", ".md", ".service", "run", ".yml", ".yaml", ".json"]) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        // The client of the tests looks for such paths in answers.
        if path.ends_with("tests/src/wire.rs") {
            continue;
        }
        let named = words.iter().find(|word| text.contains(**word));
        assert!(named.is_none(), "{} holds {named:?}", path.display());
    }
}

#[test]
fn divergences_that_are_named_exist() {
    for (folder, manifest) in members() {
        let named = sources(&folder.join("src"), &[".rs"])
            .iter()
            .any(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("DIVERGENCES.md")));
        let there = folder.join("DIVERGENCES.md").is_file();
        assert!(!named || there, "{} names DIVERGENCES.md and has none", name(&manifest));
    }
}

#[test]
fn the_lints_of_the_workspace_hold_everywhere() {
    for (_, manifest) in members() {
        let inherited =
            manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        assert_eq!(inherited, Some(true), "{} inherits the lints", name(&manifest));
    }
}

#[test]
fn sample_configurations_are_understood() {
    let folder = root().join("deploy").join("config");
    let binaries = tests::binaries::folder().expect("the actors are built");
    for (file, binary) in [
        ("registry.toml", "docshare-registry"),
        ("repository.toml", "docshare-repository"),
        ("identity.toml", "docshare-identity"),
    ] {
        let sample = folder.join(file);
        assert!(sample.is_file(), "there is a sample {file}");
        let mut check = std::process::Command::new(binaries.join(binary));
        let output =
            check.args(["config", "check", "--config"]).arg(&sample).output().expect("the binary runs");
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_manual_page_of_the_configuration_is_what_the_actors_print() {
    let binaries = tests::binaries::folder().expect("the actors are built");
    let page = |actor: &str| {
        let mut reference = std::process::Command::new(binaries.join(format!("docshare-{actor}")));
        let output = reference.args(["config", "reference"]).output().expect("the binary runs");
        assert!(output.status.success(), "{actor}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a manual page is text")
    };
    let printed = ["registry", "repository", "identity"].map(|actor| page(actor) + "\n").concat();
    let kept = fs::read_to_string(root().join("docs/configuration.md")).expect("the manual page is there");
    let differs = printed.lines().zip(kept.lines()).find(|(printed, kept)| printed != kept);
    assert!(
        printed == kept,
        "docs/configuration.md is not what the actors print, first in {differs:?}; deploy/README.md says how to print it again"
    );
}

#[test]
fn every_error_code_has_its_page() {
    let binaries = tests::binaries::folder().expect("the actors are built");
    let folder = std::env::temp_dir().join(format!("docshare-errors-{}", std::process::id()));
    let mut explain = std::process::Command::new(binaries.join("docshare"));
    let output = explain.args(["explain", "--write"]).arg(&folder).output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let pages = |folder: &Path| -> Vec<(String, String)> {
        let mut pages: Vec<_> = sources(folder, &[".md"])
            .into_iter()
            .map(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                (name, fs::read_to_string(&path).expect("a page is text"))
            })
            .collect();
        pages.sort();
        pages
    };
    let (printed, kept) = (pages(&folder), pages(&root().join("docs/errors")));
    fs::remove_dir_all(&folder).expect("our own folder");
    let differs = printed
        .iter()
        .find(|page| !kept.contains(page))
        .or_else(|| kept.iter().find(|page| !printed.contains(page)));
    assert!(
        differs.is_none(),
        "docs/errors is not what `docshare explain --write docs/errors` writes, e.g. {}",
        differs.map_or("", |(name, _)| name)
    );
}
