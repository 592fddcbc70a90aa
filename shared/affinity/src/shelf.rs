//! Where an actor keeps its domain: the current one is at hand without waiting, and is exchanged whole.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use xds::Findings;
use xds::affinity::{Coded, Difference, Enforce, Enforcement, Given, compare};

use crate::file::{self, Loaded};
use crate::settings::Settings;

/// The shelf.
pub struct Shelf {
    settings: Settings,
    enforcement: Enforcement,
    current: RwLock<Arc<Loaded>>,
    /// Why the files were not taken the last time, if they were not.
    refused: Mutex<Option<String>>,
    /// Held while files are read again: of two reloads at once, the one that reads later decides.
    reloading: Mutex<()>,
}

/// What a reload came to.
#[derive(Debug, Clone)]
pub struct Change {
    /// The domain that is current now.
    pub loaded: Arc<Loaded>,
    /// How it differs from the one before.
    pub differences: Vec<Difference>,
}

impl Change {
    /// In words for a log.
    pub fn words(&self) -> String {
        if self.differences.is_empty() {
            return "the codes are as they were".to_owned();
        }
        let one = |difference: &Difference| {
            let (added, removed) = (difference.added.len(), difference.removed.len());
            format!("{} +{added} -{removed}", difference.attribute.name())
        };
        format!("codes changed: {}", self.differences.iter().map(one).collect::<Vec<_>>().join(", "))
    }
}

impl Shelf {
    /// Reads the files for the first time; refuses with all faults, for the operator.
    pub fn open(settings: &Settings) -> Result<Shelf, String> {
        let loaded = file::load(&settings.files, &settings.bindings)
            .map_err(|faults| format!("domain.files: {}", faults.join("\n")))?;
        Ok(Shelf {
            settings: settings.clone(),
            enforcement: settings.enforcement(),
            current: RwLock::new(Arc::new(loaded)),
            refused: Mutex::new(None),
            reloading: Mutex::new(()),
        })
    }

    /// The domain as it is now.
    pub fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.current.read())
    }

    /// What happens to values that are not accepted.
    pub fn enforcement(&self) -> &Enforcement {
        &self.enforcement
    }

    /// Whether any value could be objected to.
    pub fn judges(&self) -> bool {
        let enforced = |attribute: &Coded| self.enforcement.of(*attribute) != Enforce::Off;
        self.is_configured() && Coded::ALL.iter().any(enforced)
    }

    /// What is to be said of these values, by the domain as it is now.
    pub fn judge(&self, given: &[Given]) -> Findings {
        self.current().domain.check(given, &self.enforcement)
    }

    /// Whether any files are named.
    pub fn is_configured(&self) -> bool {
        !self.settings.files.is_empty()
    }

    /// Reads the files again. Bad ones change nothing, and are told here and by [`Shelf::note`].
    pub fn reload(&self) -> Result<Change, String> {
        let _one = self.reloading.lock();
        match file::load(&self.settings.files, &self.settings.bindings) {
            Ok(loaded) => {
                let loaded = Arc::new(loaded);
                let before = std::mem::replace(&mut *self.current.write(), Arc::clone(&loaded));
                *self.refused.lock() = None;
                Ok(Change { differences: compare(&before.domain, &loaded.domain), loaded })
            }
            Err(faults) => {
                let words = faults.join("; ");
                *self.refused.lock() = Some(words.clone());
                Err(words)
            }
        }
    }

    /// What is to be said of the domain beside the probes.
    pub fn note(&self) -> String {
        if !self.is_configured() {
            return "no files are configured (domain.files): every code is taken".to_owned();
        }
        let current = self.current();
        let codes: usize = current.domain.sets().map(|(_, set)| set.codes.len()).sum();
        let attributes = current.domain.sets().count();
        let stands = format!("{codes} codes for {attributes} attributes, {}", current.fingerprint);
        match &*self.refused.lock() {
            None => stands,
            Some(words) => format!("OLD CODES ARE IN USE ({stands}); the files could not be taken: {words}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::settings::Settings;

    fn codes(code: &str) -> String {
        format!(
            "<Codes><CodeType name=\"classCode\"><Code code=\"{code}\" codingScheme=\"1.2.3\"/></CodeType></Codes>"
        )
    }

    #[test]
    fn a_reload_exchanges_the_whole_and_bad_files_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codes.xml");
        fs::write(&path, codes("a")).unwrap();
        let settings = Settings { files: vec![folder.path().to_path_buf()], ..Settings::default() };
        let shelf = Shelf::open(&settings).unwrap();
        fs::write(&path, codes("b")).unwrap();
        let change = shelf.reload().unwrap();
        assert_eq!(change.words(), "codes changed: classCode +1 -1");
        fs::write(&path, "<Codes>").unwrap();
        let words = shelf.reload().unwrap_err();
        assert!(words.contains("codes.xml") && words.contains("ends before"), "{words}");
        assert_eq!(shelf.current().value_sets[0].set.codes[0].code, "b");
        assert!(shelf.note().starts_with("OLD CODES ARE IN USE"), "{}", shelf.note());
        fs::write(&path, codes("b")).unwrap();
        assert_eq!(shelf.reload().unwrap().words(), "the codes are as they were");
        assert!(shelf.note().starts_with("1 codes for 1 attributes"), "{}", shelf.note());
    }

    #[test]
    fn a_missing_file_keeps_an_actor_from_starting_with_words() {
        let settings = Settings { files: vec!["/nowhere/codes.xml".into()], ..Settings::default() };
        let words = Shelf::open(&settings).err().unwrap();
        assert!(words.contains("domain.files") && words.contains("/nowhere/codes.xml"), "{words}");
    }
}
