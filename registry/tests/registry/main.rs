//! The registry, started inside the test and spoken to over HTTP: what a caller can see.

mod amending;
mod codes;
mod conditions;
mod ebrim;
mod exporting;
mod feeding;
mod merging;
mod questions;
mod reading;
mod reconciling;
mod registration;
mod searching;
mod settling;
mod stored_queries;
mod unmerging;
mod updating;
mod world;
