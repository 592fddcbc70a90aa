//! The small C files beside these tests: what safe Rust cannot do to a process or a file system.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

const CONTROL: &str = include_str!("../../faults/control.c");
const SHIM: &str = include_str!("../../faults/shim.c");
const POWER: &str = include_str!("../../faults/power.c");

/// The library that stands before an actor's calls for time and syncing.
pub(super) fn control(folder: &Path) -> Result<PathBuf> {
    compile(folder, "control.so", CONTROL, &["-shared", "-fPIC"])
}

/// The library that stands before an actor's calls for files.
pub(crate) fn shim(folder: &Path) -> Result<PathBuf> {
    compile(folder, "shim.so", SHIM, &["-shared", "-fPIC"])
}

/// The program that cuts the power of a file system.
pub(super) fn power(folder: &Path) -> Result<PathBuf> {
    compile(folder, "power", POWER, &[])
}

fn compile(folder: &Path, name: &str, text: &str, flags: &[&str]) -> Result<PathBuf> {
    let (source, made) = (folder.join(format!("{name}.c")), folder.join(name));
    std::fs::write(&source, text).with_context(|| format!("writing {name}.c"))?;
    let mut cc = Command::new("cc");
    run(cc.args(["-O1", "-Wall"]).args(flags).arg("-o").arg(&made).arg(&source).arg("-ldl"))?;
    Ok(made)
}

/// Runs a program that has to succeed.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("running {:?}", command.get_program()))?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {words}", output.status);
    Ok(())
}
