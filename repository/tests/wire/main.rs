//! The repository as its callers see it, between a registry and an identity source that can be made to fail.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod codes;
mod foreign;
mod later;
mod protocol;
mod publish;
mod restored;
mod retrieval;
mod sets;
mod submission;
mod world;
