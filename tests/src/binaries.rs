//! Where the actors' binaries are: beside this executable, built first when cargo runs us.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail, ensure};

/// Packages of the actors, and their binaries.
const ACTORS: [(&str, &str); 3] = [
    ("registry", "docshare-registry"),
    ("repository", "docshare-repository"),
    ("identity-source", "docshare-identity"),
];

/// The folder with the three binaries, built at most once in this process.
///
/// `DOCSHARE_BIN_DIR` names another folder.
pub fn folder() -> Result<PathBuf> {
    static FOLDER: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    FOLDER.get_or_init(|| find().map_err(|error| format!("{error:#}"))).clone().map_err(anyhow::Error::msg)
}

fn find() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("DOCSHARE_BIN_DIR") {
        return complete(PathBuf::from(given));
    }
    let own = std::env::current_exe().context("asking for the own executable")?;
    let beside = own.parent().context("an executable has a folder")?;
    let profile =
        if beside.ends_with("deps") { beside.parent().context("deps has a parent")? } else { beside };
    if let Some(cargo) = std::env::var_os("CARGO") {
        build(Path::new(&cargo), profile)?;
    }
    complete(profile.to_path_buf())
}

fn build(cargo: &Path, profile: &Path) -> Result<()> {
    let target = profile.parent().context("the profile's folder lies in the target folder")?;
    let mut command = Command::new(cargo);
    command.arg("build").arg("--quiet").arg("--target-dir").arg(target);
    if profile.file_name().is_some_and(|name| name == "release") {
        command.arg("--release");
    }
    for (package, _) in ACTORS {
        command.args(["-p", package]);
    }
    let status = command.status().context("running cargo build for the actors")?;
    ensure!(status.success(), "cargo build of the actors ended with {status}");
    Ok(())
}

fn complete(folder: PathBuf) -> Result<PathBuf> {
    for (_, binary) in ACTORS {
        if !folder.join(binary).is_file() {
            bail!("no {binary} in {}: build the workspace first", folder.display());
        }
    }
    Ok(folder)
}
