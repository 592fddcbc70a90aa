//! Records, documents and pending messages: how they are kept.
//!
//! Lives here: records with their facts and edges, blobs, the outbox, the engines that keep them, copies of what they keep
//! (taken, looked through, put back), and the battery every engine must pass.
//! Does not live here: anything that knows what a document entry or a patient is.
//! Doors: none of our crates.
//!
//! # Keeping something and finding it again
//!
//! ```
//! use store::{AnyOf, Ask, Batch, Fact, Kind, Order, Put, Reach, Scope, Store, Test};
//!
//! const LETTER: Kind = Kind("letter");
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), store::Error> {
//! let store = Store::memory();
//! let colour =
//!     Fact::Term { name: "colour", space: String::new(), value: "blue".into(), reach: Reach::Partition };
//! let letter = Put {
//!     kind: LETTER,
//!     id: "letter-1".into(),
//!     version: 1, // one more than the version it builds on; whoever comes second gets `Error::Lost`
//!     partition: "drawer-7".into(),
//!     order: 0,
//!     facts: vec![colour],
//!     edges: Vec::new(),
//!     body: "Dear reader".into(),
//!     rendering: Default::default(),
//!     deleted: false,
//! };
//! store.apply(Batch { puts: vec![letter], ..Batch::default() }).await?;
//!
//! let blue = Test::Term { name: "colour", space: None, value: Some("blue".into()) };
//! let page = store.find(&Ask {
//!     kind: LETTER,
//!     scope: Scope::Partitions(vec!["drawer-7".into()]),
//!     all: vec![AnyOf { tests: vec![blue], negated: false }],
//!     order: Order::Natural,
//!     after: None,
//!     limit: 10,
//!     as_of: None,
//!     total: false,
//! })?;
//! assert_eq!(page.rows[0].id, "letter-1");
//! # Ok(())
//! # }
//! ```
//!
//! # Adding an engine
//!
//! An engine is one file in `engine/` that implements `Engine`, one line in `open.rs`, and one line in the battery
//! (`tests/battery/main.rs`), which then runs every promise on it. Another library under the journal is one file in
//! `journal/index/` that implements `Library`. Questions are answered by `find`, commits are turned into changes of
//! the index by `index::derive`; neither knows which engine it works for.

mod aside;
pub mod ask;
pub mod backup;
pub mod batch;
pub mod blob;
mod cited;
mod commit;
mod encode;
mod engine;
mod error;
mod failpoint;
mod files;
mod find;
mod halt;
mod incarnation;
mod index;
mod interference;
mod journal;
mod open;
mod pass;
#[cfg(feature = "failpoints")]
pub mod point;
mod progress;
mod quarantine;
mod read;
mod receive;
pub mod record;
mod reserve;
pub mod restore;
mod row;
mod scrub;
mod serve;
mod space;
mod store;
mod upkeep;
pub mod verify;

pub use ask::{AnyOf, Ask, Cursor, Order, OrderKey, Page, Scope, Span, Test};
pub use batch::{Applied, AuditLine, Backlog, Batch, Claim, Outgoing, Pending, Put};
pub use error::{Error, Lost};
pub use incarnation::{Incarnation, examine, mark_beside};
pub use interference::{Interference, Write};
pub use open::{IndexKind, Options};
pub use progress::Progress;
pub use quarantine::Quarantined;
pub use record::{Edge, Fact, Instant, Kind, Reach, Row, Sequence, Version};
pub use scrub::Scrubbed;
pub use store::{Health, Mark, Store};
