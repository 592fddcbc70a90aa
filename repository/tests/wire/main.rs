//! The repository as its callers see it, between a registry and an identity source that can be made to fail.

mod retrieval;
mod submission;
mod world;
