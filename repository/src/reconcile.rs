//! What is here, compared with what the registry says. In quiet times the two are one; what differs is named, and set right
//! where that loses nothing.

use actor::{Finding, Report, meter};
use store::Cursor;

use crate::answer;
use crate::naming::{hexadecimal, is_blob_id};
use crate::records::{Closed, Records, State};
use crate::recover::lost_document;
use crate::redrive::Redrive;
use crate::registrar::{Binding, KnownSubmission};
use crate::settle::{Settler, Undecided};

/// Submissions asked about at once.
const PAGE: usize = 500;
/// Submissions in doubt, or not taken back, that are told one by one.
const TOLD: usize = 10_000;

/// The use case.
#[derive(Clone)]
pub(crate) struct Reconcile {
    records: Records,
    settler: Settler,
    public_url: Option<String>,
}

/// Whether what differs is only named, or set right where that loses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Plan,
    Apply,
}

impl Reconcile {
    pub(crate) fn new(settler: &Settler, public_url: Option<String>) -> Reconcile {
        Reconcile { records: settler.records.clone(), settler: settler.clone(), public_url }
    }

    /// Compares; with `Apply` sets right first what can be, so that the report says what is left.
    pub(crate) async fn run(&self, mode: Mode) -> Result<Report, Undecided> {
        let mut report = Report::default();
        if mode == Mode::Apply {
            // Whatever is in doubt is settled, and who was restored is reconciled with.
            self.settler.beat().await?;
            let registrar = self.settler.registrar.clone();
            Redrive::new(self.records.clone(), registrar, self.settler.keys.clone()).run().await?;
        }
        self.documents(mode, &mut report).await?;
        let orphans = self.submissions(&mut report).await?;
        meter::set("docshare_documents_not_registered", &[], orphans);
        self.undecided(&mut report)?;
        Ok(report)
    }

    /// Every registered document that should be here: whether it is, and whether it is what was registered.
    async fn documents(&self, mode: Mode, report: &mut Report) -> Result<(), Undecided> {
        report.count("documents", 0);
        let Some(under) = self.records.documents_url(self.public_url.as_deref())? else { return Ok(()) };
        let (mut since, mut after) = (0, None::<String>);
        loop {
            let page = self.settler.registrar.bindings(&under, since, after.as_deref()).await?;
            report.count("documents", page.bindings.len() as u64);
            for binding in &page.bindings {
                if let Some(finding) = self.document(mode, binding).await? {
                    report.find(finding);
                }
            }
            match page.next {
                Some(next) => (since, after) = (next, page.after),
                None => return Ok(()),
            }
        }
    }

    async fn document(&self, mode: Mode, binding: &Binding) -> Result<Option<Finding>, Undecided> {
        let id = binding.url.rsplit('/').next().unwrap_or_default();
        let known = if is_blob_id(id) { self.records.document(id)? } else { None };
        let blob = match known.as_ref().map(|known| (known.state, known)) {
            // In doubt, and told as such; or taken away on purpose, which the registry need not know.
            Some((State::Staged | State::Withheld | State::Removed, _)) => return Ok(None),
            Some((State::Bound, known)) => self.records.store.blob(known.blob(id))?,
            Some((State::Rejected | State::Lost, _)) | None => None,
        };
        let Some(blob) = blob else {
            let is_new = known.is_none_or(|known| known.state == State::Rejected);
            if mode == Mode::Apply && is_new && is_blob_id(id) {
                // From now on it is said to be lost, and no more to be unknown.
                self.records.lost(id, lost_document(binding)).await?;
            }
            let words = format!(
                "registered as DocumentReference/{}, and its bytes are not here; restore a backup that has them",
                binding.entry
            );
            return Ok(Some(finding("missing-bytes", &binding.url, words)));
        };
        let differs = |registered: &Option<String>, here: &[u8]| {
            registered.as_ref().is_some_and(|registered| *registered != hexadecimal(here))
        };
        let what: Vec<&str> = [
            ("size", binding.size.is_some_and(|size| size != blob.size)),
            ("SHA-1", differs(&binding.sha1, &blob.sha1)),
            ("SHA-256", differs(&binding.sha256, &blob.sha256)),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect();
        if what.is_empty() {
            return Ok(None);
        }
        let words = format!(
            "registered as DocumentReference/{} with another {} than the bytes here have",
            binding.entry,
            what.join(" and ")
        );
        Ok(Some(finding("mismatch", &binding.url, words)))
    }

    /// Every submission that was acknowledged here: whether the registry knows it, and cites its documents. Answers how many
    /// documents are not cited.
    async fn submissions(&self, report: &mut Report) -> Result<u64, Undecided> {
        report.count("submissions", 0);
        let mut orphans = 0;
        let mut after: Option<Cursor> = None;
        loop {
            let (page, next) = self.records.settled(after, PAGE)?;
            let ours: Vec<(String, Closed)> = page
                .into_iter()
                .filter_map(|(key, intent)| Some((key, intent.closed.filter(|closed| closed.ours)?)))
                .collect();
            if !ours.is_empty() {
                let keys: Vec<&str> = ours.iter().map(|(key, _)| key.as_str()).collect();
                let known = self.settler.registrar.known(&keys).await?;
                report.count("submissions", ours.len() as u64);
                for (key, closed) in &ours {
                    orphans += unregistered(key, closed, &known, report);
                }
            }
            after = next;
            if after.is_none() {
                return Ok(orphans);
            }
        }
    }

    fn undecided(&self, report: &mut Report) -> Result<(), store::Error> {
        let doubt = self.records.in_doubt(TOLD)?;
        report.count("in_doubt", 0);
        for key in &doubt.keys {
            // A key that is being submitted right now is not in doubt yet.
            let held = self.settler.keys.hold_now(key);
            let is_open = self.records.intent(key)?.is_some_and(|(_, intent)| !intent.open.is_empty());
            if held.is_none() || !is_open {
                continue;
            }
            report.count("in_doubt", 1);
            let words =
                "its outcome is not known yet; --apply settles it, and so does the running repository";
            report.find(finding("in-doubt", key, words.to_owned()));
        }
        let (refused, total) = self.records.refused(TOLD)?;
        report.count("not_taken_back", total);
        for (key, intent) in refused {
            let why = intent.closed.and_then(|closed| closed.refused).unwrap_or_default();
            let words = format!(
                "the registry was restored from a backup without it and does not take it back ({why}); its documents are kept"
            );
            report.find(finding("not-taken-back", &key, words));
        }
        Ok(())
    }
}

fn unregistered(key: &str, closed: &Closed, known: &[KnownSubmission], report: &mut Report) -> u64 {
    let known = known.iter().find(|known| known.key == key && known.digest == closed.digest);
    let blobs = answer::blobs_of(closed.answer.get());
    if known.is_none() && blobs.is_empty() {
        let words = "acknowledged here, and the registry does not know it; --apply registers it again";
        report.find(finding("unregistered-submission", key, words.to_owned()));
    }
    let mut orphans = 0;
    for blob in blobs {
        if !known.is_some_and(|known| known.documents.iter().any(|url| url.ends_with(&blob))) {
            orphans += 1;
            let words = format!(
                "its submission {key} was acknowledged here, and the registry does not cite it; --apply registers it again"
            );
            report.find(finding("unregistered-bytes", &blob, words));
        }
    }
    orphans
}

fn finding(kind: &str, subject: &str, words: String) -> Finding {
    Finding { kind: kind.to_owned(), subject: subject.to_owned(), words, mended: false }
}
