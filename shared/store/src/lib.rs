//! Records, documents and pending messages: how they are kept.
//!
//! Lives here: records with their facts and edges, blobs, the outbox, the engines that keep them, and the battery
//! every engine must pass.
//! Does not live here: anything that knows what a document entry or a patient is.
//! Doors: none of our crates.

pub mod ask;
pub mod batch;
pub mod blob;
mod commit;
mod encode;
mod engine;
mod error;
mod files;
mod find;
mod index;
mod journal;
mod open;
mod read;
mod receive;
pub mod record;
mod row;
mod serve;
mod space;
mod store;

pub use ask::{AnyOf, Ask, Cursor, Order, Page, Scope, Span, Test};
pub use batch::{Applied, AuditLine, Batch, Claim, Outgoing, Pending, Put};
pub use error::{Error, Lost};
pub use open::{IndexKind, Options};
pub use record::{Edge, Fact, Instant, Kind, Reach, Row, Sequence, Version};
pub use store::{Health, Store};
