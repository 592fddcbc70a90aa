//! Promises of the embedded engine beyond those of every engine.
