//! The index: one ordered space of keys that says what stands, and where.
//!
//! It is derived from commits alone ([`mod@derive`]), so it can be built again from them. The newest part is kept in
//! memory ([`overlay`]), the rest in an ordered key-value library.

pub(crate) mod bits;
pub(crate) mod catalogue;
pub(crate) mod catalogues;
pub(crate) mod column;
pub(crate) mod derive;
pub(crate) mod digests;
pub(crate) mod judge;
pub(crate) mod keys;
pub(crate) mod layers;
pub(crate) mod overlay;
pub(crate) mod values;
pub(crate) mod view;
