//! The codec of HL7 v2, as far as patient identity speaks it.
//!
//! Lives here: segments, fields and their escapes, acknowledgements, the MLLP frame.
//! Does not live here: sockets, what a message does, anything of a patient beyond what its message says.
//! Doors: none of our crates.
