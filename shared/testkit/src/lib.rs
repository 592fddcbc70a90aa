//! Requests and resources to test with: the base requests that every case changes a little.
//!
//! Lives here: builders of submissions (ITI-65), patients (ITI-104) and the ids in them, as plain JSON; a population of people who
//! do not exist, and who is who among them; a proxy that does what networks do; random numbers that can be repeated.
//! Does not live here: anything that asks, stores or judges; rules of the domain (a builder can make wrong things on purpose).
//! Doors: none of our crates, so that every room can use it under `[dev-dependencies]`.
//!
//! ```
//! let bundle = testkit::Provide::new("Patient/1").bundle();
//! assert_eq!(bundle["type"], "transaction");
//! let two = testkit::Provide::new("Patient/1").document(testkit::Document::new(b"second")).bundle();
//! assert_eq!(two["entry"].as_array().map(Vec::len), Some(5));
//! ```

mod dice;
mod document;
mod folder;
mod ids;
mod patient;
mod population;
mod provide;
pub mod proxy;

pub use dice::Dice;
pub use document::Document;
pub use folder::Folder;
pub use ids::{oid, urn_oid, urn_uuid};
pub use patient::{merged_patient, patient};
pub use population::{Person, population};
pub use provide::{Profile, Provide};

/// System of URIs used as identifier values.
pub const URI_SYSTEM: &str = "urn:ietf:rfc:3986";
/// Prefix of the canonical URLs of MHD profiles and extensions.
pub const MHD: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/";
/// Code system of `List.code`.
pub const LIST_TYPES: &str = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes";
/// Code system of `Identifier.type`.
pub const IDENTIFIER_TYPES: &str = "https://profiles.ihe.net/ITI/MHD/CodeSystem/IHE.MHD.MHDIdentifierType";
