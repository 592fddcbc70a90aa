//! What an earlier version of this registry wrote: it is served as it is, but has not the facts that searches ask for since,
//! and nothing that is found by those alone may be taken for complete without a word.

use store::{AnyOf, Ask, Kind, Order, Scope, Store, Test};
use xds::Attribute;

use crate::records::{DOCUMENT, PATIENT};

/// Objects looked at: what was written longest ago comes first.
const FEW: usize = 8;

/// What an operator is told.
pub(crate) const TOLD: &str = "some entries or patients were written by an earlier version: they are not found by search \
                               parameters that came since (contenttype, location, title, author by reference, :text, \
                               patient.family and the like); their next version is";

/// Whether documents or patients are here without a fact that every one has that is written today.
pub(crate) fn is_there(store: &Store) -> Result<bool, store::Error> {
    for (kind, attribute) in [(DOCUMENT, Attribute::MimeType), (PATIENT, Attribute::PatientActive)] {
        for row in store.changes(kind, 0, FEW)?.into_iter().filter(|row| !row.deleted) {
            if !has(store, kind, (row.partition, row.id), attribute)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn has(
    store: &Store,
    kind: Kind,
    (partition, id): (String, String),
    attribute: Attribute,
) -> Result<bool, store::Error> {
    let one = |test| AnyOf { tests: vec![test], negated: false };
    let page = store.find(&Ask {
        kind,
        scope: Scope::Partitions(vec![partition]),
        all: vec![one(Test::Id(id)), one(Test::Present { name: attribute.name() })],
        order: Order::Natural,
        after: None,
        limit: 1,
        as_of: None,
        total: false,
    })?;
    Ok(!page.rows.is_empty())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use store::{Batch, Fact, Put, Reach};

    use super::*;

    async fn holding(facts: Vec<Fact>) -> Store {
        let store = Store::memory();
        let put = Put {
            kind: PATIENT,
            id: "p1".into(),
            version: 1,
            partition: "p1".into(),
            order: 0,
            facts,
            edges: Vec::new(),
            body: Bytes::new(),
            rendering: Bytes::new(),
            deleted: false,
        };
        store.apply(Batch { instant: 1, puts: vec![put], ..Batch::default() }).await.unwrap();
        store
    }

    #[tokio::test]
    async fn what_lacks_a_fact_of_today_is_noticed() {
        assert!(!is_there(&Store::memory()).unwrap());
        assert!(is_there(&holding(Vec::new()).await).unwrap());
        let active = Fact::Term {
            name: Attribute::PatientActive.name(),
            space: String::new(),
            value: "true".into(),
            reach: Reach::Partition,
        };
        assert!(!is_there(&holding(vec![active]).await).unwrap());
    }
}
