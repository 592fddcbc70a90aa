//! The identity source as its callers see it, over HTTP.

mod consumer;
mod crossreference;
mod delivery;
mod feed;
mod links;
mod listener;
mod matching;
mod merging;
mod query;
mod receivers;
mod sources;
mod subject;
