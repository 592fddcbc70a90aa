//! Asking before something is done that cannot be undone.

use std::io::{IsTerminal, Write};

use crate::exit::Failure;

/// Whether there is somebody who could answer.
pub(crate) fn is_possible() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks on a terminal; elsewhere nobody could answer.
pub(crate) fn confirmed(question: &str) -> Result<bool, Failure> {
    if !is_possible() {
        return Err(Failure::usage(question.to_owned()).next("say --yes if that is meant"));
    }
    let _ = write!(std::io::stderr(), "{} [y/N] ", crate::sanitize::line(question));
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::other(format!("reading the answer: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
