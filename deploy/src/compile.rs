//! Under `cargo run`: the other programs are built first, the way this one was.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::Outcome;
use crate::steps::Steps;

const PACKAGES: &[&str] = &["registry", "repository", "identity-source", "consumer-cli"];

/// Builds, if cargo started this program; its own output shows the progress.
pub(crate) async fn run(steps: &Steps) -> Outcome<()> {
    let (Some(cargo), Some(package)) = (std::env::var_os("CARGO"), std::env::var_os("CARGO_MANIFEST_DIR"))
    else {
        return Ok(());
    };
    let workspace = Path::new(&package).join("../Cargo.toml");
    let mut command = Command::new(cargo);
    command.arg("build").arg("--manifest-path").arg(&workspace);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    if let Some(target) = target()? {
        command.arg("--target-dir").arg(target);
    }
    for package in PACKAGES {
        command.args(["-p", package]);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    steps
        .done("build the actors and the command line", async {
            let status = command.status().await.map_err(|error| format!("starting cargo: {error}"))?;
            if status.success() { Ok(()) } else { Err("the actors could not be built; see above".to_owned()) }
        })
        .await
}

/// The target folder this program was built into: `…/release/docshare-region` is two below it.
fn target() -> Outcome<Option<PathBuf>> {
    let own = own()?;
    Ok(own.parent().and_then(Path::parent).map(Path::to_path_buf))
}

/// Where this program is.
pub(crate) fn own() -> Outcome<PathBuf> {
    std::env::current_exe().map_err(|error| format!("finding out where this program is: {error}"))
}
