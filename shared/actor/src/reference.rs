//! The manual page of the configuration, printed from the tables the code reads it by.

use std::fmt::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::Shape;

/// The page, in Markdown.
pub(crate) fn page<S: DeserializeOwned + Serialize + Default + Clone>(
    name: &str,
    shape: &Shape<S>,
) -> String {
    let mut out = format!(
        "# Configuration of docshare-{name}\n\n\
         TOML, laid one over the other: the defaults, `/etc/docshare/common.toml`, `/etc/docshare/{name}.toml`,\n\
         `/etc/docshare/conf.d/*.toml` in the order of their names, files named by `--config FILE`, variables of the\n\
         environment (`DOCSHARE__SECTION__KEY`), and last `--set section.key=value`.\n\
         An unknown or mistyped key is refused, with its file, its line and the nearest key there is.\n\
         Sizes are written like `\"64MiB\"`, spans of time like `\"30s\"`.\n"
    );
    let mut section = None;
    for (key, words) in shape.keys() {
        let (above, _) = key.rsplit_once('.').unwrap_or(("", key));
        if section != Some(above) {
            section = Some(above);
            let title = if above.is_empty() { "Top level".to_owned() } else { format!("`[{above}]`") };
            let _ = writeln!(out, "\n## {title}\n\n| key | default | meaning |\n|---|---|---|");
        }
        let default = shape.default_of(key).map_or_else(|| "none".to_owned(), |value| format!("`{value}`"));
        let _ = writeln!(out, "| `{key}` | {default} | {} |", words.replace('|', "\\|"));
    }
    out
}

/// Where the table of keys and the settings themselves disagree; empty when every key has words and every word a key.
pub(crate) fn differences<S: DeserializeOwned + Serialize + Default + Clone>(
    shape: &Shape<S>,
) -> Vec<String> {
    let keys: Vec<&str> = shape.keys().map(|(key, _)| key).collect();
    let mut differences: Vec<String> = keys
        .iter()
        .filter(|key| shape.default_of(key).is_none())
        .map(|key| format!("{key} has words but is no setting"))
        .collect();
    let mut leaves = Vec::new();
    collect(shape.defaults(), "", &keys, &mut leaves);
    differences.extend(
        leaves
            .iter()
            .filter(|leaf| !keys.contains(&leaf.as_str()))
            .map(|leaf| format!("{leaf} has no words")),
    );
    let twice = keys.iter().enumerate().filter(|(at, key)| keys[..*at].contains(key));
    differences.extend(twice.map(|(_, key)| format!("{key} has words twice")));
    differences
}

fn collect(value: &Value, above: &str, keys: &[&str], leaves: &mut Vec<String>) {
    match value {
        Value::Object(map) if !keys.contains(&above) && (!map.is_empty() || above.is_empty()) => {
            for (name, value) in map {
                let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
                collect(value, &key, keys, leaves);
            }
        }
        _ => leaves.push(above.to_owned()),
    }
}
