//! Two faces, one truth: what was submitted in one language reads the same in the other, and a fault is the same finding.
//!
//! Here because only an actor sees both codecs.

mod corpus;
mod faults;
mod property;
mod samples;
mod trips;
