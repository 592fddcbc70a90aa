//! The gate of a patient: what one commit decides from many records must not change under it.
//!
//! Versions and claims catch every race over one record. A replacement also deprecates what was appended to the replaced
//! document, and a submission needs an active patient: these depend on records the commit does not write. So whoever
//! changes a patient's structure (relations, folders, the patient itself) goes through alone, everybody else together.

use std::hash::{DefaultHasher, Hash, Hasher};

use std::collections::BTreeSet;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Patients share gates; more of them only make needless waiting rarer.
const GATES: usize = 256;

/// The gates of all patients.
#[derive(Debug)]
pub(crate) struct Gates(Vec<RwLock<()>>);

/// Held while a commit is decided and made.
#[derive(Debug)]
#[expect(dead_code, reason = "a guard is held, not looked at")]
pub(crate) enum Pass<'a> {
    /// Nobody else goes through.
    Alone(RwLockWriteGuard<'a, ()>),
    /// Others of this kind go through as well.
    Together(RwLockReadGuard<'a, ()>),
}

impl Gates {
    pub(crate) fn new() -> Gates {
        Gates((0..GATES).map(|_| RwLock::new(())).collect())
    }

    fn gate(&self, patient: &str) -> &RwLock<()> {
        &self.0[Gates::number(patient)]
    }

    fn number(name: &str) -> usize {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        hasher.finish() as usize % GATES
    }

    /// Through the gates of all of these alone, always in the same order: two who want the same gates cannot wait for each
    /// other.
    pub(crate) async fn all_alone(&self, names: impl IntoIterator<Item = &str>) -> Vec<Pass<'_>> {
        let numbers: BTreeSet<usize> = names.into_iter().map(Gates::number).collect();
        let mut passes = Vec::with_capacity(numbers.len());
        for number in numbers {
            passes.push(Pass::Alone(self.0[number].write().await));
        }
        passes
    }

    /// To change the structure of what belongs to a patient, or the patient.
    pub(crate) async fn alone(&self, patient: &str) -> Pass<'_> {
        Pass::Alone(self.gate(patient).write().await)
    }

    /// To add to it.
    pub(crate) async fn together(&self, patient: &str) -> Pass<'_> {
        Pass::Together(self.gate(patient).read().await)
    }
}
