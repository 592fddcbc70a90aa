//! The parts of the index, and the state readers see: what is new, what is being written to the library, the library.

use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};

use crate::index::catalogues::{self, Catalogues};
use crate::index::digests::Digests;
use crate::index::overlay::{Run, Runs};
use crate::index::values::State;
use crate::index::view::{Base, View};

/// The index as it grows.
pub(crate) struct Layers {
    parts: Mutex<Parts>,
    view: Arc<RwLock<Arc<View>>>,
}

struct Parts {
    /// Not yet on its way to the library.
    active: Runs,
    /// On its way.
    frozen: Runs,
    base: Option<Arc<dyn Base>>,
    state: State,
    digests: Arc<Digests>,
    catalogues: Arc<Catalogues>,
    generation: Arc<()>,
}

impl Parts {
    fn view(&self) -> Arc<View> {
        Arc::new(View {
            runs: self.active.over(&self.frozen),
            base: self.base.clone(),
            state: self.state,
            digests: Arc::clone(&self.digests),
            catalogues: Arc::clone(&self.catalogues),
            _generation: self.generation.clone(),
        })
    }
}

impl Layers {
    pub(crate) fn new(base: Option<Arc<dyn Base>>, state: State) -> Layers {
        let mut parts = Parts {
            active: Runs::default(),
            frozen: Runs::default(),
            base,
            state,
            digests: Arc::new(Digests::after(state.sequence)),
            catalogues: Arc::default(),
            generation: Arc::default(),
        };
        let view = Arc::new_cyclic(|now| {
            parts.catalogues = Arc::new(Catalogues::of(now.clone()));
            RwLock::new(parts.view())
        });
        Layers { view, parts: Mutex::new(parts) }
    }

    /// What a reader sees now.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.read().clone()
    }

    /// Makes a group of commits visible.
    pub(crate) fn publish(&self, run: Run, state: State) {
        let mut parts = self.parts.lock();
        parts.digests.let_go(&run, state.sequence);
        let news = catalogues::news(&run);
        parts.active = parts.active.with(run);
        parts.state = state;
        let view = parts.view();
        parts.catalogues.publish(&news, || *self.view.write() = view);
    }

    /// Bytes that are not on their way to the library, and whether others are.
    pub(crate) fn backlog(&self) -> (usize, bool) {
        let parts = self.parts.lock();
        (parts.active.weight(), !parts.frozen.is_empty())
    }

    /// Puts everything new on its way; answers it, and a token that is gone when nobody reads an older state.
    pub(crate) fn freeze(&self) -> (Run, Weak<()>) {
        let mut parts = self.parts.lock();
        parts.frozen = std::mem::take(&mut parts.active);
        let older = Arc::downgrade(&parts.generation);
        parts.generation = Arc::default();
        *self.view.write() = parts.view();
        let frozen = parts.frozen.clone();
        drop(parts);
        (frozen.flattened(), older)
    }

    /// Lets the library go, once nobody reads it any more.
    pub(crate) fn detach(&self) {
        let mut parts = self.parts.lock();
        let older = Arc::downgrade(&parts.generation);
        let state = parts.state;
        *parts = Parts {
            active: Runs::default(),
            frozen: Runs::default(),
            base: None,
            state,
            digests: Arc::new(Digests::after(state.sequence)),
            catalogues: Arc::new(Catalogues::of(Arc::downgrade(&self.view))),
            generation: Arc::default(),
        };
        *self.view.write() = parts.view();
        drop(parts);
        wait_for_readers(&older);
    }

    /// What was on its way has arrived.
    pub(crate) fn arrived(&self, base: Arc<dyn Base>) {
        let mut parts = self.parts.lock();
        parts.frozen = Runs::default();
        parts.base = Some(base);
        *self.view.write() = parts.view();
    }
}

/// Waits until nobody reads an older state. Reads are short, so this is too.
pub(crate) fn wait_for_readers(older: &Weak<()>) {
    while older.strong_count() > 0 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
