//! Who listens where, keeps its data where, and is told what: decided before anything is started.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::arguments::{Arguments, Index};
use crate::compile;

/// Distance of an admin port from the actor's.
const ADMIN: u16 = 10;

/// One actor to be started.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    /// Also the name of its folder, configuration and log.
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) port: u16,
    /// Peers it is told about.
    peers: &'static [&'static str],
}

impl Actor {
    /// Its FHIR base.
    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}/fhir", self.port)
    }
    /// Its admin listener.
    pub(crate) fn admin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port + ADMIN)
    }
}

/// The whole domain.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Absolute.
    pub(crate) dir: PathBuf,
    pub(crate) registry: Actor,
    pub(crate) repository: Actor,
    pub(crate) identity: Actor,
    /// The command line, for the lines to try.
    pub(crate) docshare: PathBuf,
    index: Index,
}

impl Plan {
    /// Decides, and refuses if a program is missing or a port taken.
    pub(crate) fn make(arguments: &Arguments) -> Outcome<Plan> {
        let dir = std::path::absolute(&arguments.dir)
            .map_err(|error| format!("{}: {error}", arguments.dir.display()))?;
        let beside = compile::own()?.parent().map(Path::to_path_buf).unwrap_or_default();
        let actor = |name, program: &str, number, peers| Actor {
            name,
            program: beside.join(program),
            port: arguments.base_port + number,
            peers,
        };
        let plan = Plan {
            dir,
            registry: actor("registry", "docshare-registry", 1, &["identity"]),
            repository: actor("repository", "docshare-repository", 2, &["registry", "identity"]),
            identity: actor("identity", "docshare-identity", 3, &["registry"]),
            docshare: beside.join("docshare"),
            index: arguments.index,
        };
        for actor in plan.actors() {
            if !actor.program.is_file() {
                return Err(format!(
                    "{} is missing; build it with `cargo build --release`, or start this with `cargo run --release -p region`",
                    actor.program.display()
                ));
            }
            for port in [actor.port, actor.port + ADMIN] {
                TcpListener::bind(("127.0.0.1", port)).map_err(|error| {
                    format!("port {port}, meant for the {}, cannot be used: {error}; choose others with --base-port", actor.name)
                })?;
            }
        }
        Ok(plan)
    }

    /// In the order they are started.
    pub(crate) fn actors(&self) -> [&Actor; 3] {
        [&self.registry, &self.identity, &self.repository]
    }

    fn named(&self, name: &str) -> &Actor {
        self.actors().into_iter().find(|actor| actor.name == name).unwrap_or(&self.registry)
    }

    /// The configuration file of an actor.
    pub(crate) fn config(&self, actor: &Actor) -> PathBuf {
        self.dir.join("config").join(format!("{}.toml", actor.name))
    }

    /// Where an actor writes its log.
    pub(crate) fn log(&self, actor: &Actor) -> PathBuf {
        self.dir.join("logs").join(format!("{}.log", actor.name))
    }

    /// The configuration of the command line for this domain.
    pub(crate) fn cli_config(&self) -> PathBuf {
        self.dir.join("config").join("docshare.toml")
    }

    /// The configuration of an actor, in words for the operator.
    pub(crate) fn settings(&self, actor: &Actor) -> String {
        let mut text = format!(
            "# Written by docshare-region at every start; changes belong elsewhere.\nversion = 1\n\n\
             [server]\nlisten = \"127.0.0.1:{}\"\npublic_url = \"{}\"\n\n[admin]\nlisten = \"127.0.0.1:{}\"\n\n\
             [storage]\ndirectory = {}\nindex = \"{}\"\n",
            actor.port,
            actor.base(),
            actor.port + ADMIN,
            quoted(&self.dir.join(actor.name)),
            self.index.name(),
        );
        for peer in actor.peers {
            text.push_str(&format!("\n[{peer}]\nurl = \"{}\"\n", self.named(peer).base()));
        }
        text
    }

    /// The configuration of the command line: where the actors are, and what the samples' clinic usually files.
    pub(crate) fn cli_settings(&self) -> String {
        format!(
            "# Written by docshare-region at every start. Use it with DOCSHARE_CONFIG or `docshare --config`.\n\
             default_profile = \"region\"\n\n[profile.region]\nregistry = \"{}\"\nrepository = \"{}\"\nidentity = \"{}\"\n\n\
             [profile.region.defaults]\n\
             type = \"http://loinc.org|34109-9|Note\"\n\
             category = \"urn:oid:1.3.6.1.4.1.19376.1.2.6.1|REPORTS|Reports\"\n\
             facility = \"http://snomed.info/sct|22232009|Hospital\"\n\
             practice_setting = \"http://snomed.info/sct|394802001|General medicine\"\n\
             source_id = \"{}\"\n",
            self.registry.base(),
            self.repository.base(),
            self.identity.base(),
            crate::submission::SOURCE,
        )
    }

    /// Makes the folders and writes the configuration.
    pub(crate) fn write(&self) -> Outcome<()> {
        let failed = |path: &Path, error: std::io::Error| format!("writing {}: {error}", path.display());
        for folder in ["config", "logs"] {
            let path = self.dir.join(folder);
            std::fs::create_dir_all(&path).map_err(|error| failed(&path, error))?;
        }
        for actor in self.actors() {
            let path = self.config(actor);
            std::fs::write(&path, self.settings(actor)).map_err(|error| failed(&path, error))?;
        }
        let path = self.cli_config();
        std::fs::write(&path, self.cli_settings()).map_err(|error| failed(&path, error))
    }
}

/// A path as a TOML string.
fn quoted(path: &Path) -> String {
    serde_json::Value::String(path.display().to_string()).to_string()
}
