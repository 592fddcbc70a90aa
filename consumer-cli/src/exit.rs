//! Exit codes, and failures as they are told on standard error.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use crate::sanitize;

/// What the process answers to its caller: a stable contract for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// Something else went wrong.
    Failed = 1,
    /// The command was not understood.
    Usage = 2,
    /// Nothing was found, where that counts as a failure.
    NothingFound = 3,
    /// The server understood and refused.
    Rejected = 4,
    /// The server could not do it.
    Server = 5,
    /// The caller is not known, or may not do this.
    Unauthorized = 6,
    /// No connection, or none that can be trusted.
    Network = 7,
    /// Bytes differ from what was promised.
    Mismatch = 8,
    /// Some was done, some was not.
    Partly = 9,
    /// Ended by the user.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl Exit {
    /// What an HTTP status that is not a success means.
    pub(crate) fn of_status(status: u16) -> Exit {
        match status {
            401 | 403 => Exit::Unauthorized,
            400..=499 => Exit::Rejected,
            500..=599 => Exit::Server,
            _ => Exit::Failed,
        }
    }

    /// The exit of many things done one after the other.
    pub(crate) fn of_many(done: usize, failures: &[Exit]) -> Exit {
        match failures {
            [] => Exit::Done,
            _ if failures.contains(&Exit::Mismatch) => Exit::Mismatch,
            _ if done > 0 => Exit::Partly,
            [first, rest @ ..] if rest.iter().all(|exit| exit == first) => *first,
            _ => Exit::Failed,
        }
    }
}

/// Why a verb could not do what was asked.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// One sentence.
    pub(crate) text: String,
    /// Further lines: label and words.
    pub(crate) notes: Vec<(&'static str, String)>,
    /// What to do now.
    pub(crate) next: Option<String>,
    /// The HTTP status, if it was an answer.
    pub(crate) status: Option<u16>,
    /// Whether the request may have been carried out nevertheless.
    pub(crate) unknown: bool,
    /// How long the server asks to wait.
    pub(crate) retry_after: Option<std::time::Duration>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Failure {
        Failure {
            exit,
            text: text.into(),
            notes: Vec::new(),
            next: None,
            status: None,
            unknown: false,
            retry_after: None,
        }
    }
    pub(crate) fn other(text: impl Into<String>) -> Failure {
        Failure::new(Exit::Failed, text)
    }
    pub(crate) fn usage(text: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, text)
    }
    pub(crate) fn next(mut self, next: impl Into<String>) -> Failure {
        self.next = Some(next.into());
        self
    }
    pub(crate) fn note(mut self, label: &'static str, words: impl Into<String>) -> Failure {
        self.notes.push((label, words.into()));
        self
    }
}

/// A failure about a local file.
pub(crate) fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::other(format!("{what} {}: {error}", path.display()))
}

/// Tells a failure on standard error and answers its exit code.
pub(crate) fn report(failure: &Failure, quiet: bool) -> ExitCode {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(words(failure, quiet, coloured()).as_bytes());
    failure.exit.into()
}

/// Tells a failure of one of several things, without ending.
pub(crate) fn tell(failure: &Failure) -> Exit {
    let _ = std::io::stderr().lock().write_all(words(failure, false, coloured()).as_bytes());
    failure.exit
}

fn coloured() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return false;
    }
    let declined = std::env::var_os("CLICOLOR").is_some_and(|value| value == "0");
    set("CLICOLOR_FORCE") || (!declined && std::io::stderr().is_terminal())
}

fn words(failure: &Failure, quiet: bool, colour: bool) -> String {
    let (red, plain) = if colour { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    let mut words = format!("{red}error:{plain} {}\n", sanitize::line(&failure.text));
    if quiet {
        return words;
    }
    for (label, text) in &failure.notes {
        words.push_str(&format!("  {label}: {}\n", sanitize::line(text)));
    }
    if let Some(next) = &failure.next {
        words.push_str(&format!("  next: {}\n", sanitize::line(next)));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_becomes_the_exit_code_of_its_family() {
        let exits: Vec<Exit> = [400, 401, 403, 404, 409, 500, 503].into_iter().map(Exit::of_status).collect();
        assert_eq!(
            exits,
            [
                Exit::Rejected,
                Exit::Unauthorized,
                Exit::Unauthorized,
                Exit::Rejected,
                Exit::Rejected,
                Exit::Server,
                Exit::Server
            ]
        );
    }

    #[test]
    fn some_done_and_some_not_is_partly_done() {
        assert_eq!(Exit::of_many(1, &[Exit::NothingFound]), Exit::Partly);
        assert_eq!(Exit::of_many(0, &[Exit::NothingFound, Exit::NothingFound]), Exit::NothingFound);
        assert_eq!(Exit::of_many(3, &[Exit::Mismatch]), Exit::Mismatch);
        assert_eq!(Exit::of_many(2, &[]), Exit::Done);
    }

    #[test]
    fn a_failure_tells_place_request_id_and_next_step_and_hides_escapes() {
        let failure = Failure::new(Exit::Rejected, "title \x1b]0;pwned\x07 is refused")
            .note("at", "Bundle.entry[0]")
            .next("send it again");
        let words = words(&failure, false, false);
        assert_eq!(
            words,
            "error: title \\x1b]0;pwned\\x07 is refused\n  at: Bundle.entry[0]\n  next: send it again\n"
        );
    }
}
