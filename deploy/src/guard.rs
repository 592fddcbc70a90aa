//! A small step between the launcher and an actor: it asks the kernel to end the actor when the launcher ends, however
//! that happens, and then becomes the actor. (Between fork and exec this would need unsafe code; after exec it does not.)

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Becomes `command`; comes back only if that fails.
pub(crate) fn run(parent: i32, command: &[OsString]) -> ExitCode {
    if let Err(words) = bind(parent) {
        eprintln!("{words}");
        return ExitCode::FAILURE;
    }
    let Some((program, arguments)) = command.split_first() else { return ExitCode::FAILURE };
    let error = Command::new(program).args(arguments).exec();
    eprintln!("{} cannot be started: {error}", program.display());
    ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
fn bind(parent: i32) -> Result<(), String> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| format!("asking to end with the launcher: {error}"))?;
    // The launcher may have ended before the kernel knew.
    if getppid().is_none_or(|pid| pid.as_raw_nonzero().get() != parent) {
        return Err("the launcher has ended already".to_owned());
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn bind(_parent: i32) -> Result<(), String> {
    Ok(())
}
