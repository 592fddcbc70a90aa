//! The actors with their failpoints: built once, and kept beside the plain ones.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

const PACKAGES: [&str; 3] = ["registry", "repository", "identity-source"];
const FEATURES: &str = "registry/failpoints,repository/failpoints,identity-source/failpoints";
const BINARIES: [&str; 3] = ["docshare-registry", "docshare-repository", "docshare-identity"];

/// The folder with actors that have failpoints. `DOCSHARE_FAULT_BIN_DIR` names one that is there already; cargo is asked
/// for one if it runs us, and none is told otherwise.
pub fn with_failpoints() -> Result<Option<PathBuf>> {
    if let Some(given) = std::env::var_os("DOCSHARE_FAULT_BIN_DIR") {
        return Ok(Some(PathBuf::from(given)));
    }
    let own = std::env::current_exe().context("asking for the own executable")?;
    let profile = own.parent().context("an executable has a folder")?;
    let kept = profile.join("failpoints");
    match std::env::var_os("CARGO") {
        Some(cargo) => build(cargo.as_ref(), profile, &kept).map(Some),
        None => Ok(kept.join(BINARIES[0]).is_file().then_some(kept)),
    }
}

/// Built into a target folder of its own kind would compile everything again: they are built beside, and copied away.
fn build(cargo: &std::ffi::OsStr, profile: &std::path::Path, kept: &std::path::Path) -> Result<PathBuf> {
    let target = profile.parent().context("the profile's folder lies in the target folder")?;
    let run = |features: &[&str]| {
        let mut command = Command::new(cargo);
        command.arg("build").arg("--quiet").arg("--target-dir").arg(target);
        if profile.file_name().is_some_and(|name| name == "release") {
            command.arg("--release");
        }
        for package in PACKAGES {
            command.args(["-p", package]);
        }
        let status = command.args(features).status().context("running cargo build for the actors")?;
        ensure!(status.success(), "cargo build of the actors ended with {status}");
        Ok(())
    };
    run(&["--features", FEATURES])?;
    fs::create_dir_all(kept).context("making a folder for the actors with failpoints")?;
    for binary in BINARIES {
        let (from, to) = (profile.join(binary), kept.join(binary));
        // The old one may be running.
        let _ = fs::remove_file(&to);
        fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
    }
    // The plain ones come back to where everybody looks for them.
    run(&[])?;
    Ok(kept.to_path_buf())
}
