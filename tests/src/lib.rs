//! What no single room can show: the actors together, as real processes, spoken to over the wire only.
//!
//! Lives here: a region of real binaries, the conformance run, faults and their judge, the bench, the tidiness of the house. And, as
//! the one thing that is not on the wire, the simulation (`tests/simulation`): the actors in one thread, in pretended time.
//! Does not live here: tests of one room or one actor (they live with it); anything a running actor needs.
//! Doors: `testkit`; never an actor, but in the simulation.

pub mod answer;
pub mod bench;
pub mod binaries;
pub mod canary;
pub mod conformance;
pub mod corpus;
pub mod faults;
pub mod markup;
pub mod outcome;
pub mod points;
pub mod process;
pub mod raw;
pub mod region;
pub mod soap;
pub mod wire;
pub mod xml;
pub mod xpath;
