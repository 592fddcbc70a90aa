//! Find Document References [ITI-67].

use xds::{Attribute, Filter, Findings};

use crate::search::{Limits, Parameter, Search};

/// Every parameter, in the order of `/metadata`. A new one over a known attribute is a row here.
pub const PARAMETERS: &[Parameter<Attribute>] = &[];

/// Reads a search. `own` are the bases under which references count as ours (identity source, registry).
pub fn read_request(
    _query: &str,
    _form: Option<&str>,
    _prefer: Option<&str>,
    _own: &[&str],
    _limits: &Limits,
) -> Result<Search<Filter>, Findings> {
    todo!()
}
