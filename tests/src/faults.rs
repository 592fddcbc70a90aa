//! Faults on purpose, and the proof that nothing was lost: what clients were told is written down, and judged afterwards.
//!
//! A run ([`run`]) is a [`world`] of actors on disks of their own, clients that load it ([`load`]), and faults drawn by
//! lot from a seed ([`strike`]); the [`rows`] are single faults, each with what has to come of it.

pub(crate) mod binaries;
pub mod checker;
pub(crate) mod compile;
mod content;
mod control;
mod disk;
pub mod history;
pub mod load;
pub mod resource;
pub mod rows;
pub mod run;
mod settle;
pub mod source;
mod strike;
pub mod world;

pub use binaries::with_failpoints;
pub use strike::Strike;
