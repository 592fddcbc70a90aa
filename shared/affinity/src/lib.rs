//! The files an affinity domain is agreed on in: `codes.xml` as the framework's test tools have it, and FHIR ValueSet,
//! CodeSystem, ConceptMap and NamingSystem.
//!
//! Lives here: reading and writing these files, the section `[domain]` of the configuration, the shelf an actor keeps the
//! current domain on, and the value sets as FHIR shows them.
//! Does not live here: what is accepted and what is said of the rest (`xds::affinity`), HTTP, storage.
//! Doors: `xds`, `fhir`.

mod codes_xml;
mod file;
mod serve;
mod settings;
mod shelf;
mod terminology;

pub use codes_xml::write as write_codes_xml;
pub use file::{Loaded, Origin, Shown, load, read};
pub use serve::{Expansion, Validation};
pub use settings::{Enforced, Enforcing, KEYS, Settings};
pub use shelf::{Change, Shelf};
pub use terminology::write_bundle;
