//! Where the actors are and what is assumed: flags before `DOCSHARE_*` before the profile before defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Deserialize;

use crate::arguments::Global;
use crate::confirm;
use crate::doc::metadata::Metadata;
use crate::exit::{self, Exit, Failure};
use crate::output;

const REGISTRY: &str = "http://127.0.0.1:8081/fhir";
const REPOSITORY: &str = "http://127.0.0.1:8082/fhir";
const IDENTITY: &str = "http://127.0.0.1:8083/fhir";

/// How far the admin port is from the port of an actor, where nothing else is said and the actor is on this machine.
const ADMIN_DISTANCE: u16 = 10;

/// The configuration of this program
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Where the configuration file is
    Path,
    /// What is in force, and where it comes from; secrets replaced
    Show,
    /// Write a commented configuration file to begin with
    Init,
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The profile used where none is named.
    default_profile: Option<String>,
    #[serde(default)]
    profile: BTreeMap<String, Profile>,
}

/// One domain, under a name.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    server: Option<String>,
    registry: Option<String>,
    repository: Option<String>,
    identity: Option<String>,
    xds_registry: Option<String>,
    xds_repository: Option<String>,
    #[serde(default)]
    admin: Admin,
    ca: Option<PathBuf>,
    token_file: Option<PathBuf>,
    #[serde(default)]
    defaults: Metadata,
}

/// Admin listeners, for `status`.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Admin {
    registry: Option<String>,
    repository: Option<String>,
    identity: Option<String>,
}

/// A bearer token. Does not print itself.
#[derive(Clone)]
pub(crate) struct Token(pub(crate) String);

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// One actor as this program knows it.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) name: &'static str,
    /// FHIR base, without trailing slash.
    pub(crate) base: String,
    /// Admin listener, where known.
    pub(crate) admin: Option<String>,
    source: &'static str,
}

/// A door of XDS.b, or why none is known.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    name: &'static str,
    url: Option<String>,
}

impl Door {
    /// Flag or environment, then the profile, then beside the FHIR base.
    fn find(
        name: &'static str,
        flag: &Option<String>,
        own: &Option<String>,
        actor: &Actor,
    ) -> Result<Door, Failure> {
        let beside = || actor.base.strip_suffix("/fhir").map(|host| format!("{host}/xds/{name}"));
        let url = flag.clone().or_else(|| own.clone()).or_else(beside);
        let sound = |url: &String| {
            url::Url::parse(url)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
        };
        match url {
            Some(url) if !sound(&url) => {
                Err(Failure::usage(format!("the address of XDS.b at the {name} is no http(s) URL: {url}")))
            }
            url => Ok(Door { name, url }),
        }
    }

    /// Its address.
    pub(crate) fn url(&self) -> Result<&str, Failure> {
        self.url.as_deref().ok_or_else(|| {
            Failure::usage(format!(
                "where the {} takes XDS.b is not known: its FHIR base does not end in /fhir",
                self.name
            ))
            .next(format!("say --xds-{} URL, or xds_{} in the profile", self.name, self.name))
        })
    }

    /// Its address, if it is known.
    pub(crate) fn known(&self) -> Option<&str> {
        self.url.as_deref()
    }
}

/// Everything resolved.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) registry: Actor,
    pub(crate) repository: Actor,
    pub(crate) identity: Actor,
    /// Where the registry takes XDS.b.
    pub(crate) xds_registry: Door,
    /// Where the repository takes XDS.b.
    pub(crate) xds_repository: Door,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) token: Option<Token>,
    pub(crate) defaults: Metadata,
    profile: Option<String>,
    path: PathBuf,
}

impl Settings {
    pub(crate) fn resolve(global: &Global) -> Result<Settings, Failure> {
        let path = path(global)?;
        let file = read(&path, global.config.is_some())?;
        let (name, profile) = choose(file, global, &path)?;
        let actor =
            |name, flag: &Option<String>, own: &Option<String>, admin: &Option<String>, fallback: &str| {
                actor(name, flag, global, own, &profile, admin, fallback)
            };
        let registry =
            actor("registry", &global.registry, &profile.registry, &profile.admin.registry, REGISTRY)?;
        let repository = actor(
            "repository",
            &global.repository,
            &profile.repository,
            &profile.admin.repository,
            REPOSITORY,
        )?;
        Ok(Settings {
            xds_registry: Door::find("registry", &global.xds_registry, &profile.xds_registry, &registry)?,
            xds_repository: Door::find(
                "repository",
                &global.xds_repository,
                &profile.xds_repository,
                &repository,
            )?,
            registry,
            repository,
            identity: actor(
                "identity",
                &global.identity,
                &profile.identity,
                &profile.admin.identity,
                IDENTITY,
            )?,
            ca: global.ca.clone().or(profile.ca.clone()),
            token: token(&profile)?,
            defaults: profile.defaults,
            profile: name,
            path,
        })
    }

    /// The actors, in the order people think of them.
    pub(crate) fn actors(&self) -> [&Actor; 3] {
        [&self.registry, &self.repository, &self.identity]
    }
}

/// Flag or environment, then `--server`, then the profile, then the default.
fn actor(
    name: &'static str,
    flag: &Option<String>,
    global: &Global,
    own: &Option<String>,
    profile: &Profile,
    admin: &Option<String>,
    fallback: &str,
) -> Result<Actor, Failure> {
    let (base, source) = [
        (flag, "flag or environment"),
        (&global.server, "flag or environment"),
        (own, "profile"),
        (&profile.server, "profile"),
    ]
    .into_iter()
    .find_map(|(base, source)| base.as_deref().map(|base| (base, source)))
    .unwrap_or((fallback, "default"));
    let url = url::Url::parse(base)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
        .ok_or_else(|| Failure::usage(format!("the address of the {name} is no http(s) URL: {base}")))?;
    let admin = admin.clone().or_else(|| neighbour(&url));
    Ok(Actor { name, base: base.trim_end_matches('/').to_owned(), admin, source })
}

/// The admin listener of an actor on this machine, by our convention of ports.
fn neighbour(base: &url::Url) -> Option<String> {
    let host = base.host_str()?;
    let here = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
    let port = base.port().filter(|_| here)?.checked_add(ADMIN_DISTANCE)?;
    Some(format!("http://{host}:{port}"))
}

fn token(profile: &Profile) -> Result<Option<Token>, Failure> {
    if let Ok(token) = std::env::var("DOCSHARE_TOKEN") {
        return Ok(Some(Token(token.trim().to_owned())).filter(|token| !token.0.is_empty()));
    }
    let Some(path) = &profile.token_file else { return Ok(None) };
    let text =
        std::fs::read_to_string(path).map_err(|error| exit::file("reading the token", path, &error))?;
    Ok(Some(Token(text.trim().to_owned())))
}

fn path(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(path) = &global.config {
        return Ok(path.clone());
    }
    directories::ProjectDirs::from("", "", "docshare")
        .map(|directories| directories.config_dir().join("config.toml"))
        .ok_or_else(|| {
            Failure::other("there is no home directory to look for a configuration in")
                .next("name one with --config FILE")
        })
}

fn read(path: &Path, must_exist: bool) -> Result<File, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => {
            return Ok(File::default());
        }
        Err(error) => {
            return Err(Failure::usage(format!("reading the configuration {}: {error}", path.display())));
        }
    };
    toml::from_str(&text).map_err(|error| {
        Failure::usage(format!("the configuration {} is not valid: {error}", path.display()))
    })
}

fn choose(mut file: File, global: &Global, path: &Path) -> Result<(Option<String>, Profile), Failure> {
    let Some(name) = global.profile.clone().or(file.default_profile.take()) else {
        return Ok((None, Profile::default()));
    };
    match file.profile.remove(&name) {
        Some(profile) => Ok((Some(name), profile)),
        None => {
            let known: Vec<&str> = file.profile.keys().map(String::as_str).collect();
            Err(Failure::usage(format!(
                "{} has no profile {name:?}; it has: {}",
                path.display(),
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )))
        }
    }
}

/// A folder for what must outlive the process, with access for the user only.
pub(crate) fn state_directory() -> Result<PathBuf, Failure> {
    let directories = directories::ProjectDirs::from("", "", "docshare").ok_or_else(|| {
        Failure::other("there is no home directory to keep the submission in while it is under way")
    })?;
    let directory = directories.state_dir().unwrap_or_else(|| directories.data_local_dir()).to_path_buf();
    Ok(directory)
}

pub(crate) fn run(verb: ConfigVerb, global: &Global) -> Result<Exit, Failure> {
    match verb {
        ConfigVerb::Path => output::text(&format!("{}\n", path(global)?.display())),
        ConfigVerb::Show => show(&Settings::resolve(global)?),
        ConfigVerb::Init => init(&path(global)?, global),
    }
}

fn show(settings: &Settings) -> Result<Exit, Failure> {
    let mut text = format!(
        "file        {}{}\nprofile     {}\n",
        settings.path.display(),
        if settings.path.exists() { "" } else { " (does not exist)" },
        settings.profile.as_deref().unwrap_or("(none)"),
    );
    for actor in settings.actors() {
        let admin = actor.admin.as_deref().unwrap_or("(unknown)");
        text.push_str(&format!("{:<11} {}  [{}], admin {admin}\n", actor.name, actor.base, actor.source));
    }
    for (name, door) in [("registry", &settings.xds_registry), ("repository", &settings.xds_repository)] {
        text.push_str(&format!("XDS.b       {name}: {}\n", door.known().unwrap_or("(unknown)")));
    }
    text.push_str(&format!("token       {}\n", if settings.token.is_some() { "(set)" } else { "(none)" }));
    output::text(&text)
}

const BEGINNING: &str = r#"# Configuration of docshare. Order: flags, then DOCSHARE_* in the environment, then the profile, then defaults.
default_profile = "local"

[profile.local]
registry = "http://127.0.0.1:8081/fhir"
repository = "http://127.0.0.1:8082/fhir"
identity = "http://127.0.0.1:8083/fhir"
# xds_registry = "http://127.0.0.1:8081/xds/registry"        # where --via soap goes, if not beside the FHIR base
# xds_repository = "http://127.0.0.1:8082/xds/repository"
# ca = "/path/to/authority.pem"         # trusted besides those of the system
# token_file = "/path/to/token"         # or DOCSHARE_TOKEN in the environment

# What `doc submit` assumes where neither a flag nor --meta says otherwise. Codes: "system|code|display".
[profile.local.defaults]
language = "en"
confidentiality = ["http://terminology.hl7.org/CodeSystem/v3-Confidentiality|N|normal"]
# type = "http://loinc.org|34133-9|Summarization of Episode Note"
# category = "http://loinc.org|11503-0|Medical records"
# facility = "http://snomed.info/sct|22232009|Hospital"
# practice_setting = "http://snomed.info/sct|394802001|General medicine"
# The OID of this source of documents:
source_id = "@SOURCE@"
"#;

fn init(path: &Path, global: &Global) -> Result<Exit, Failure> {
    if path.exists()
        && !global.yes
        && !confirm::confirmed(&format!("{} exists. Overwrite it?", path.display()))?
    {
        return Err(Failure::other("nothing was written"));
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(|error| exit::file("making the folder", parent, &error))?;
    }
    let text = BEGINNING.replace("@SOURCE@", &crate::doc::new_oid());
    std::fs::write(path, text).map_err(|error| exit::file("writing", path, &error))?;
    output::text(&format!("{}\n", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_written_to_begin_with_is_a_valid_configuration() {
        let file: File = toml::from_str(BEGINNING).unwrap();
        assert_eq!(file.default_profile.as_deref(), Some("local"));
        assert!(file.profile.contains_key("local"));
        let all = BEGINNING
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|l| l.contains(" = ")).unwrap_or(line));
        let _: File = toml::from_str(&all.collect::<Vec<_>>().join("\n")).unwrap();
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(toml::from_str::<File>("[profile.x]\nregistri = \"u\"\n").is_err());
    }

    #[test]
    fn the_admin_port_is_guessed_only_on_this_machine() {
        let guess = |text: &str| neighbour(&url::Url::parse(text).unwrap());
        assert_eq!(guess("http://127.0.0.1:8081/fhir").as_deref(), Some("http://127.0.0.1:8091"));
        assert_eq!(guess("https://registry.example/fhir"), None);
    }
}
