//! Under `cargo run`: the other programs are built first, the way this one was.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use crate::Outcome;
use crate::steps::Steps;

/// What is built. Each is also a dependency of this package, so that cargo has compiled it together with this program.
const PACKAGES: &[&str] = &["registry", "repository", "identity-source", "consumer-cli"];

/// Builds, if cargo started this program; its own output shows the progress.
pub(crate) async fn run(steps: &Steps) -> Outcome<()> {
    let (Some(cargo), Some(package)) = (std::env::var_os("CARGO"), std::env::var_os("CARGO_MANIFEST_DIR"))
    else {
        return Ok(());
    };
    let workspace = Path::new(&package).join("../Cargo.toml");
    let mut command = Command::new(own()?);
    command.args(["guard", &std::process::id().to_string()]).arg(cargo);
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
    // A group of its own: it ends with its compilers, when this program says so.
    command.stdin(Stdio::null()).process_group(0);
    steps
        .done("build the actors and the command line", async {
            let failed = |error: std::io::Error| format!("running cargo: {error}");
            let mut build = Build(command.spawn().map_err(failed)?);
            let status = build.0.wait().await.map_err(failed)?;
            if status.success() { Ok(()) } else { Err("the actors could not be built; see above".to_owned()) }
        })
        .await
}

/// A build under way. Dropped before it is done, it ends, and the compilers it started end with it.
struct Build(Child);

impl Drop for Build {
    fn drop(&mut self) {
        let group = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            // One that has just ended by itself is what we want.
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_built_was_compiled_with_this_program() {
        let manifest = include_str!("../Cargo.toml");
        for package in PACKAGES {
            let line = format!("\n{package}.workspace = true\n");
            assert!(
                manifest.contains(&line),
                "{package} would be compiled a second time, with other features"
            );
        }
    }
}
