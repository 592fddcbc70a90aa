//! Which life of the registry is trusted. A registry that was restored from a backup has forgotten what it had committed
//! since, its promises included: it is another one until this repository has reconciled itself with it.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::Notify;

/// The life of the registry that is trusted; none as long as it was never met.
#[derive(Debug, Clone, Default)]
pub(crate) struct Life {
    trusted: Arc<RwLock<Option<String>>>,
    strange: Arc<Notify>,
}

impl Life {
    /// A life that is trusted.
    pub(crate) fn trusting(life: &str) -> Life {
        Life { trusted: Arc::new(RwLock::new(Some(life.to_owned()))), strange: Arc::default() }
    }

    /// The one that is trusted.
    pub(crate) fn trusted(&self) -> Option<String> {
        self.trusted.read().clone()
    }

    /// From now on this one is trusted.
    pub(crate) fn trust(&self, life: &str) {
        *self.trusted.write() = Some(life.to_owned());
    }

    /// Another one answered: it is to be reconciled with.
    pub(crate) fn met_another(&self) {
        self.strange.notify_one();
    }

    /// Waits until another one has answered.
    pub(crate) async fn another(&self) {
        self.strange.notified().await;
    }
}
