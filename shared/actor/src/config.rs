//! Reading the configuration: defaults, files, environment, flags, each over the one before; all faults told at once.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use config::{Config, File, FileFormat};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use crate::settings::{Engine, KEYS, Settings};

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) origin: String,
    pub(crate) words: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.words)
    }
}

/// A configuration that has been read and found sound.
#[derive(Debug, Clone)]
pub(crate) struct Loaded<S> {
    pub(crate) house: Settings,
    pub(crate) own: S,
    /// All of it as TOML, secrets taken out.
    pub(crate) shown: String,
}

/// Where the parts of a configuration come from.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// Directory with `common.toml`, `<actor>.toml` and `conf.d/`.
    pub(crate) directory: Option<PathBuf>,
    /// `--config FILE`, in order: over the files of the directory, but files still.
    pub(crate) files: Vec<PathBuf>,
    /// Variables of the environment.
    pub(crate) environment: Vec<(String, String)>,
    /// `--set key=value`, in order.
    pub(crate) set: Vec<String>,
}

/// What an actor's configuration consists of: its keys and their defaults.
pub(crate) struct Shape<S> {
    own_keys: &'static [(&'static str, &'static str)],
    house: Settings,
    own: S,
    defaults: Value,
}

/// One value of one source.
struct Leaf {
    key: String,
    value: Value,
    origin: String,
}

impl<S: DeserializeOwned + Serialize + Default + Clone> Shape<S> {
    pub(crate) fn new(name: &str, port: u16, own_keys: &'static [(&'static str, &'static str)]) -> Shape<S> {
        let (house, own) = (Settings::of(name, port), S::default());
        let mut defaults = tree(&house);
        defaults.extend(tree(&own));
        Shape { own_keys, house, own, defaults: Value::Object(defaults) }
    }

    /// Every key with its words, the house's first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        KEYS.iter().chain(self.own_keys).copied()
    }

    /// All defaults.
    pub(crate) fn defaults(&self) -> &Value {
        &self.defaults
    }

    /// The default of a key.
    pub(crate) fn default_of(&self, key: &str) -> Option<&Value> {
        key.split('.').try_fold(&self.defaults, |value, part| value.get(part))
    }

    /// Reads all sources.
    pub(crate) fn load(&self, name: &str, sources: &Sources) -> Result<Loaded<S>, Vec<Flaw>> {
        let mut flaws = Vec::new();
        let mut leaves = Vec::new();
        let mut files = standard_files(name, sources.directory.as_deref(), &mut flaws);
        files.extend_from_slice(&sources.files);
        for path in files {
            self.read_file(&path, &mut leaves, &mut flaws);
        }
        for (variable, value) in &sources.environment {
            if let Some(rest) = variable.strip_prefix("DOCSHARE__") {
                let key = rest.to_ascii_lowercase().replace("__", ".");
                leaves.push(self.words(key, value, format!("environment, {variable}")));
            }
        }
        for setting in &sources.set {
            match setting.split_once('=') {
                Some((key, value)) => {
                    leaves.push(self.words(key.trim().to_owned(), value.trim(), format!("--set {key}")))
                }
                None => flaws.push(Flaw {
                    origin: format!("--set {setting}"),
                    words: "write it as section.key=value".to_owned(),
                }),
            }
        }
        flaws.extend(leaves.iter().filter_map(|leaf| self.flaw(leaf)));
        if !flaws.is_empty() {
            return Err(flaws);
        }
        self.merge(leaves)
    }

    fn read_file(&self, path: &Path, leaves: &mut Vec<Leaf>, flaws: &mut Vec<Flaw>) {
        let origin = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                flaws.push(Flaw { origin, words: format!("cannot be read: {error}") });
                return;
            }
        };
        let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            flaws.push(Flaw { origin: format!("{origin}:{}", line(at)), words: error.message().to_owned() });
        }
        if errors.is_empty() {
            self.walk(table.get_ref(), "", &mut |key, value, at| {
                leaves.push(Leaf { key, value, origin: format!("{origin}:{}", line(at)) });
            });
        }
    }

    fn walk(&self, table: &DeTable<'_>, above: &str, found: &mut impl FnMut(String, Value, usize)) {
        for (name, value) in table {
            let at = name.span().start;
            let name = name.get_ref();
            let key = if above.is_empty() { name.to_string() } else { format!("{above}.{name}") };
            match value.get_ref() {
                // A table that is itself a value (a map) is taken whole.
                DeValue::Table(table) if !self.is_key(&key) => self.walk(table, &key, found),
                value => found(key, json(value), at),
            }
        }
    }

    /// A value given as words: read as the default's type wants it.
    fn words(&self, key: String, text: &str, origin: String) -> Leaf {
        let bare = || Value::String(text.to_owned());
        let as_toml = || {
            let line = format!("value = {text}");
            DeTable::parse(&line)
                .ok()
                .and_then(|table| table.get_ref().get("value").map(|value| json(value.get_ref())))
        };
        let value = match self.default_of(&key) {
            Some(Value::Bool(_) | Value::Number(_)) => as_toml().unwrap_or_else(bare),
            Some(Value::Array(_)) if text.starts_with('[') => as_toml().unwrap_or_else(bare),
            Some(Value::Array(_)) => {
                Value::Array(text.split(',').map(|part| Value::String(part.trim().to_owned())).collect())
            }
            Some(Value::Object(_)) => as_toml().unwrap_or_else(bare),
            Some(Value::String(_) | Value::Null) | None => bare(),
        };
        Leaf { key, value, origin }
    }

    fn is_key(&self, key: &str) -> bool {
        self.keys().any(|(known, _)| known == key)
    }

    fn flaw(&self, leaf: &Leaf) -> Option<Flaw> {
        let words = if self.is_key(&leaf.key) {
            let mut tree = self.defaults.clone();
            put(&mut tree, &leaf.key, leaf.value.clone());
            self.split(tree).err().map(|error| format!("{}: {error}", leaf.key))
        } else {
            Some(self.unknown(&leaf.key))
        };
        words.map(|words| Flaw { origin: leaf.origin.clone(), words })
    }

    fn unknown(&self, key: &str) -> String {
        let distance = |(known, _): &(&str, &str)| strsim::damerau_levenshtein(known, key);
        match self.keys().min_by_key(distance) {
            Some(near) if distance(&near) <= key.len() / 2 => {
                format!("{key} is not a key; the nearest is {}", near.0)
            }
            _ => format!("{key} is not a key; `config reference` lists them all"),
        }
    }

    fn merge(&self, leaves: Vec<Leaf>) -> Result<Loaded<S>, Vec<Flaw>> {
        let whole = |words: String| vec![Flaw { origin: "configuration".to_owned(), words }];
        let mut builder = Config::builder().add_source(layer(&self.defaults));
        for leaf in leaves {
            let mut tree = Value::Object(Map::new());
            put(&mut tree, &leaf.key, leaf.value);
            builder = builder.add_source(layer(&tree));
        }
        let merged = builder.build().map_err(|error| whole(error.to_string()))?;
        let tree: Value = merged.try_deserialize().map_err(|error| whole(error.to_string()))?;
        let shown =
            toml::to_string_pretty(&as_toml(&redacted(&tree))).map_err(|error| whole(error.to_string()))?;
        let (house, own) = self.split(tree).map_err(whole)?;
        let flaws = contradictions(&house);
        if flaws.is_empty() { Ok(Loaded { house, own, shown }) } else { Err(flaws) }
    }

    /// The house's sections and the actor's own, each in its type.
    fn split(&self, tree: Value) -> Result<(Settings, S), String> {
        let Value::Object(tree) = tree else { return Err("a configuration is a table".to_owned()) };
        let Value::Object(shape) = serde_json::to_value(&self.house).unwrap_or_default() else {
            return Err("the house's sections are a table".to_owned());
        };
        let (house, own): (Map<_, _>, Map<_, _>) =
            tree.into_iter().partition(|(name, _)| shape.contains_key(name));
        let own = match serde_json::to_value(&self.own) {
            Ok(Value::Object(_)) => Value::Object(own),
            Ok(Value::Null) | Ok(_) | Err(_) => Value::Null,
        };
        Ok((typed(Value::Object(house))?, typed(own)?))
    }
}

fn typed<T: DeserializeOwned>(tree: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(tree).map_err(|error| match error.path().to_string() {
        // Which of several tables it is.
        path if path.contains('[') => format!("{path}: {}", error.into_inner()),
        _ => error.into_inner().to_string(),
    })
}

fn tree(settings: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(tree)) => tree,
        _ => Map::new(),
    }
}

fn layer(tree: &Value) -> File<config::FileSourceString, FileFormat> {
    // The same text a file would hold; `config` lays one over the other.
    let text = as_toml(tree).and_then(|tree| toml::to_string(&tree).ok()).unwrap_or_default();
    File::from_str(&text, FileFormat::Toml)
}

/// Numbers in JSON keep their digits, which only JSON understands; absent values have no place in TOML.
fn as_toml(value: &Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(yes) => toml::Value::Boolean(*yes),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => toml::Value::Integer(whole),
            None => toml::Value::Float(number.as_f64()?),
        },
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Array(array) => toml::Value::Array(array.iter().filter_map(as_toml).collect()),
        Value::Object(map) => toml::Value::Table(
            map.iter().filter_map(|(name, value)| Some((name.clone(), as_toml(value)?))).collect(),
        ),
    })
}

fn put(tree: &mut Value, key: &str, value: Value) {
    let mut place = tree;
    for part in key.split('.') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(map) = place else { return };
        place = map.entry(part).or_insert(Value::Null);
    }
    *place = value;
}

fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
            .map_or_else(|_| Value::String(number.to_string()), Value::from),
        DeValue::Float(number) => {
            number.as_str().parse::<f64>().map_or_else(|_| Value::String(number.to_string()), Value::from)
        }
        DeValue::Boolean(yes) => Value::Bool(*yes),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(array) => Value::Array(array.iter().map(|value| json(value.get_ref())).collect()),
        DeValue::Table(table) => Value::Object(
            table.iter().map(|(name, value)| (name.get_ref().to_string(), json(value.get_ref()))).collect(),
        ),
    }
}

/// The files of the directory. One that is not there is not missed; one that may not be looked at is a fault.
fn standard_files(name: &str, directory: Option<&Path>, flaws: &mut Vec<Flaw>) -> Vec<PathBuf> {
    let Some(directory) = directory else { return Vec::new() };
    let mut files: Vec<PathBuf> = ["common", name]
        .iter()
        .map(|name| directory.join(format!("{name}.toml")))
        // An error is told when the file is read.
        .filter(|path| path.try_exists().unwrap_or(true))
        .collect();
    let parts = directory.join("conf.d");
    let list = std::fs::read_dir(&parts).and_then(|list| list.map(|entry| Ok(entry?.path())).collect());
    let mut parts: Vec<PathBuf> = list.unwrap_or_else(|error: std::io::Error| {
        if error.kind() != std::io::ErrorKind::NotFound {
            let origin = parts.display().to_string();
            flaws.push(Flaw { origin, words: format!("cannot be read: {error}") });
        }
        Vec::new()
    });
    parts.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    parts.sort();
    files.extend(parts);
    files
}

/// Addresses that the policy does not let an actor listen on.
pub(crate) fn not_allowed(addresses: impl Iterator<Item = (&'static str, SocketAddr)>) -> Vec<Flaw> {
    let policy = access::Policy::LocalDevelopment;
    let flaw = |(key, address): (&str, SocketAddr)| Flaw {
        origin: "configuration".to_owned(),
        words: format!(
            "{key} is {address}, but under security.policy = \"local-development\" everyone may do everything, so only loopback addresses (127.0.0.1, ::1) can be listened on"
        ),
    };
    addresses.filter(|(_, address)| !policy.may_listen(*address)).map(flaw).collect()
}

/// What each key allows for itself but not beside the others.
fn contradictions(house: &Settings) -> Vec<Flaw> {
    let mut flaws = not_allowed(
        [("server.listen", house.server.listen), ("admin.listen", house.admin.listen)].into_iter(),
    );
    let mut flaw = |words: String| flaws.push(Flaw { origin: "configuration".to_owned(), words });
    if !house.storage.sync
        && house.storage.engine == Engine::Embedded
        && house.env == crate::settings::Environment::Production
    {
        flaw("storage.sync = false loses acknowledged submissions at a power cut; it needs env = \"development\"".to_owned());
    }
    if house.server.limits.max_header_bytes > 96 << 10 {
        flaw("server.limits.max_header_bytes is more than 96KiB".to_owned());
    }
    flaws
}

/// Values under these names are shown only as being set.
fn redacted(tree: &Value) -> Value {
    let secret = |name: &str| {
        ["secret", "password", "token", "key"]
            .iter()
            .any(|word| name == *word || name.ends_with(&format!("_{word}")))
    };
    match tree {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| match value {
                    Value::String(text) if secret(name) && !text.is_empty() => {
                        (name.clone(), Value::String("(set)".to_owned()))
                    }
                    value => (name.clone(), redacted(value)),
                })
                .collect(),
        ),
        Value::Array(array) => Value::Array(array.iter().map(redacted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
