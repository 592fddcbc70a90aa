//! Faults on purpose, and the proof that nothing was lost: what clients were told is written down, and judged afterwards.

pub mod checker;
pub mod history;
