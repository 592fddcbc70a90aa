//! The identity source as its callers see it, over HTTP and MLLP.

mod consumer;
mod crossreference;
mod crowds;
mod delivery;
mod feed;
mod hl7v2;
mod links;
mod listener;
mod matching;
mod measure;
mod merging;
mod messages;
mod query;
mod receivers;
mod secure;
mod silence;
mod sources;
mod subject;
