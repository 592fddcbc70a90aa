//! Who listens where, keeps its data where, and is told what: decided before anything is started.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::arguments::{Arguments, Index};
use crate::compile;

/// Where the ports begin if nobody says otherwise.
const BASE: u16 = 8080;
/// Distance of an admin port from the actor's.
const ADMIN: u16 = 10;
/// Distance of the registry's port for HL7 v2 from its own.
const MLLP: u16 = 20;

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
    base: u16,
    index: Index,
}

/// The file that keeps a folder's ports: the addresses of its documents are made of them.
const PORTS: &str = "base-port";

/// The ports of this folder: those of its first start, since what is registered names them.
fn base_port(dir: &Path, asked: Option<u16>) -> Outcome<u16> {
    let kept = std::fs::read_to_string(dir.join(PORTS)).ok().and_then(|text| text.trim().parse().ok());
    match (kept, asked) {
        (Some(kept), Some(asked)) if kept != asked => Err(format!(
            "the documents in {} are registered under base port {kept}; start without --base-port, or choose another --dir",
            dir.display()
        )),
        (kept, asked) => Ok(kept.or(asked).unwrap_or(BASE)),
    }
}

impl Plan {
    /// Decides, and refuses if a program is missing or a port taken.
    pub(crate) fn make(arguments: &Arguments) -> Outcome<Plan> {
        let dir = std::path::absolute(&arguments.dir)
            .map_err(|error| format!("{}: {error}", arguments.dir.display()))?;
        let beside = compile::own()?.parent().map(Path::to_path_buf).unwrap_or_default();
        let base = base_port(&dir, arguments.base_port)?;
        let actor = |name, program: &str, number, peers| Actor {
            name,
            program: beside.join(program),
            port: base + number,
            peers,
        };
        let plan = Plan {
            dir,
            registry: actor("registry", "docshare-registry", 1, &["identity"]),
            repository: actor("repository", "docshare-repository", 2, &["registry", "identity"]),
            identity: actor("identity", "docshare-identity", 3, &["registry"]),
            docshare: beside.join("docshare"),
            base,
            index: arguments.index,
        };
        for actor in plan.actors() {
            if !actor.program.is_file() {
                return Err(format!(
                    "{} is missing; build it with `cargo build --release`, or start this with `cargo run --release -p region`",
                    actor.program.display()
                ));
            }
            let mllp = (actor.name == plan.registry.name).then_some(actor.port + MLLP);
            for port in [actor.port, actor.port + ADMIN].into_iter().chain(mllp) {
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

    /// Where the registry listens to patients in HL7 v2.
    pub(crate) fn mllp(&self) -> String {
        format!("127.0.0.1:{}", self.registry.port + MLLP)
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
        if actor.name == self.registry.name {
            let authority = crate::samples::PATIENTS.trim_start_matches("urn:oid:");
            text.push_str(&format!(
                "authorities = [\"DOCSHARE&{authority}&ISO\"]\n\n[mllp]\nlisten = \"{}\"\n",
                self.mllp()
            ));
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
        let path = self.dir.join(PORTS);
        std::fs::write(&path, format!("{}\n", self.base)).map_err(|error| failed(&path, error))?;
        let path = self.cli_config();
        std::fs::write(&path, self.cli_settings()).map_err(|error| failed(&path, error))
    }
}

/// A path as a TOML string.
fn quoted(path: &Path) -> String {
    serde_json::Value::String(path.display().to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_the_ports_its_documents_are_registered_under() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(base_port(folder.path(), None), Ok(BASE));
        assert_eq!(base_port(folder.path(), Some(9000)), Ok(9000));
        std::fs::write(folder.path().join(PORTS), "9000\n").unwrap();
        assert_eq!(base_port(folder.path(), None), Ok(9000));
        assert!(base_port(folder.path(), Some(9100)).unwrap_err().contains("9000"));
    }
}
