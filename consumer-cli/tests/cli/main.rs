//! The command line as its users meet it: the program run, its output and exit code judged.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod affinity;
mod documents;
mod exit_codes;
mod folders;
mod later;
mod links;
mod matching;
mod receivers;
mod reviews;
mod scripted;
mod soap;
mod stewards;
mod updates;
