//! What is meant for interrupting actors is not in those that are given to people.

use std::fs;
use std::path::Path;

use tests::region::Actor;

/// Packages that have failpoints.
const PACKAGES: [&str; 5] = ["shared/store", "shared/actor", "registry", "repository", "identity-source"];

fn binary(actor: Actor) -> Vec<u8> {
    let folder = tests::binaries::folder().expect("the actors are built");
    fs::read(folder.join(format!("docshare-{}", actor.name()))).expect("a binary can be read")
}

fn holds(bytes: &[u8], word: &str) -> bool {
    memchr::memmem::find(bytes, word.as_bytes()).is_some()
}

/// Names of points in the tables of the sources.
fn names() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the workspace");
    let mut names = Vec::new();
    for package in PACKAGES {
        let Ok(text) = fs::read_to_string(root.join(package).join("src/points.rs")) else { continue };
        names.extend(text.split("Point::").skip(1).filter_map(|point| {
            let begins = point.starts_with("new(") || point.starts_with("shared(");
            point.split('"').nth(1).filter(|name| begins && name.contains('.')).map(str::to_owned)
        }));
    }
    names
}

#[test]
fn an_actor_as_it_is_given_to_people_has_no_failpoints() {
    let names = names();
    assert!(names.len() > 20, "the tables of points are found: {names:?}");
    for actor in Actor::ALL {
        let bytes = binary(actor);
        assert!(holds(&bytes, "docshare_submissions_total") || actor == Actor::Identity, "words are found");
        for word in names.iter().map(String::as_str).chain(["DOCSHARE_FAILPOINTS", "failpoint"]) {
            assert!(!holds(&bytes, word), "docshare-{} holds {word:?}", actor.name());
        }
    }
}

#[test]
fn no_package_has_failpoints_by_default() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the workspace");
    for package in PACKAGES {
        let text = fs::read_to_string(root.join(package).join("Cargo.toml")).expect("a manifest");
        let manifest: toml::Table = text.parse().expect("a manifest is TOML");
        let features = manifest["features"].as_table().expect("it has features");
        assert!(features.contains_key("failpoints"), "{package} has the feature");
        let defaults = features.get("default").and_then(toml::Value::as_array);
        let by_default =
            defaults.is_some_and(|names| names.iter().any(|name| name.as_str() == Some("failpoints")));
        assert!(!by_default, "{package} has failpoints by default");
    }
    let workspace = fs::read_to_string(root.join("Cargo.toml")).expect("a manifest");
    assert!(!workspace.contains("failpoints"), "nobody asks for failpoints for the whole workspace");
}
