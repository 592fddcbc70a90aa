//! The real actors in one thread, joined by a network that delays, loses, repeats and spoils on purpose: lists of operations
//! are run until one breaks a promise, and are then made as short as they can be.
//!
//! `SIMULATION_SCHEDULES=100000 cargo test --release -p tests --test simulation schedules -- --nocapture` runs longer than the
//! few seconds it takes by default; `SIMULATION_SEED` repeats a run, `SIMULATION_SECOND` says
//! how many of a hundred submissions go to a second repository. A list that broke a promise is kept in `reproduction.rs`.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod client;
mod driver;
mod finale;
mod lies;
mod mutation;
mod network;
mod operation;
mod process;
mod reproduction;
mod runs;
mod samples;
mod schedules;
mod verdict;
