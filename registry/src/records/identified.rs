//! Objects by one of their identifiers.

use fhir::condition::Identified;
use store::{AnyOf, Ask, Kind, Order, Row, Scope, Store, Test};
use xds::attribute::{Attribute, identifier_value, system};

/// Entries that may share one identifier before we stop to look.
const MOST: usize = 100;

/// Every object of a kind with this identifier, across patients.
pub(crate) fn identified(store: &Store, kind: Kind, name: &Identified) -> Result<Vec<Row>, store::Error> {
    let test = Test::Term {
        name: Attribute::Identifier.name(),
        space: name.system.as_deref().map(system),
        value: Some(identifier_value(&name.value)),
    };
    let ask = Ask {
        kind,
        scope: Scope::Everywhere,
        all: vec![AnyOf { tests: vec![test], negated: false }],
        order: Order::Natural,
        after: None,
        limit: MOST,
        as_of: None,
        total: false,
    };
    Ok(store.find(&ask)?.rows)
}
