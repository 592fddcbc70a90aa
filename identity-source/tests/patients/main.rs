//! The identity source as its callers see it, over HTTP.

mod crossreference;
mod delivery;
mod feed;
mod links;
mod matching;
mod merging;
mod query;
mod sources;
mod subject;
