//! The bench: what the actors do in a second, beside what the machine could do at best, measured in the same run.

mod bare;
mod cases;
mod identity;
mod limit;
mod load;
mod nginx;
mod region;
mod table;
mod work;

pub use bare::serve as serve_bare;
pub use cases::{Plan, run, run_identity};
