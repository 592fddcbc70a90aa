//! What searches are answered from is brought to memory at the start: the first one would otherwise wait for it, and with it
//! whatever else its thread serves.

use fhir::patient::Attribute;
use store::{AnyOf, Ask, Order, Scope, Span, Test};
use tokio::sync::watch;

use super::asked::{DOMAIN, attribute};
use super::{PATIENT, Records};

/// What is asked for, the most frequent first: what does not fit any more is left out.
const ASKED: &[Attribute] = &[
    Attribute::Name,
    Attribute::Family,
    Attribute::Given,
    Attribute::BirthDate,
    Attribute::Gender,
    Attribute::Active,
    Attribute::City,
    Attribute::PostalCode,
    Attribute::Address,
    Attribute::State,
    Attribute::Country,
];

/// Warms the catalogue of patients on a thread of its own, until it is done or the actor stops.
pub(crate) async fn warm(records: Records, stopping: watch::Receiver<bool>) {
    // Before the first patient there is nothing to read; what comes later is added as it comes.
    if records.store().changes(PATIENT, 0, 1).is_ok_and(|first| first.is_empty()) {
        return;
    }
    let work = move || {
        for test in tests() {
            if *stopping.borrow() {
                return;
            }
            if let Err(error) = records.count(test) {
                tracing::warn!(%error, "what searches are answered from was not read before the first of them");
                return;
            }
        }
    };
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        tracing::error!(%error, "warming the catalogue of patients ended early");
    }
}

/// Questions that look at everybody, each at another attribute.
fn tests() -> impl Iterator<Item = Test> {
    let names = ASKED.iter().map(|asked| attribute(*asked).0).chain([DOMAIN]);
    names.map(|name| Test::Present { name }).chain([Test::Written(Span::BeginsFrom(store::Instant::MIN))])
}

impl Records {
    /// How many patients a test holds for.
    fn count(&self, test: Test) -> Result<u64, store::Error> {
        let page = self.store().find(&Ask {
            kind: PATIENT,
            scope: Scope::Everywhere,
            all: vec![AnyOf { tests: vec![test], negated: false }],
            order: Order::Natural,
            after: None,
            limit: 0,
            as_of: None,
            total: true,
        })?;
        Ok(page.total.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use store::{Batch, Fact, Put, Reach, Store};

    use super::*;

    fn patient(id: &str) -> Put {
        let text = |text: &str| Fact::Text {
            name: "family",
            folded: text.to_lowercase(),
            exact: text.to_owned(),
            reach: Reach::Global,
        };
        Put {
            kind: PATIENT,
            id: id.to_owned(),
            version: 1,
            partition: id.to_owned(),
            order: 0,
            facts: vec![text("Berger")],
            edges: Vec::new(),
            body: bytes::Bytes::new(),
            rendering: bytes::Bytes::new(),
            deleted: false,
        }
    }

    #[tokio::test]
    async fn what_comes_behind_the_warming_is_found_like_what_was_there_before() {
        let records = Records::new(Store::memory(), crate::domains::Domains::default());
        let feed = |id| Batch { puts: vec![patient(id)], ..Batch::default() };
        records.store().apply(feed("one")).await.unwrap();
        let (_stop, stopping) = watch::channel(false);
        warm(records.clone(), stopping).await;
        records.store().apply(feed("two")).await.unwrap();
        for test in tests().take(2) {
            records.count(test).unwrap();
        }
        assert_eq!(records.count(Test::Present { name: "family" }).unwrap(), 2);
        assert_eq!(records.count(Test::Present { name: "gender" }).unwrap(), 0);
    }
}
