//! How an attempt in doubt ends: bound, given up, or found to have been somebody else's.

use std::collections::HashMap;

use actor::failpoint;
use bytes::Bytes;
use serde_json::value::RawValue;
use store::{Batch, Error, Put};

use super::{Attempt, Closed, DOCUMENT, Document, Intent, Records, State, document_row, read};
use crate::answer;
use crate::naming::is_blob_id;
use crate::registrar::Commit;

/// The one document of an attempt, and the id it was committed under. Of several nobody can say here which is which.
fn the_one_document<'a>(attempt: &'a Attempt, won: &'a Commit) -> Option<(&'a str, &'a str)> {
    let mut blobs = attempt.blobs();
    let (Some(blob), None) = (blobs.next(), blobs.next()) else { return None };
    let [url] = won.documents.as_deref()? else { return None };
    let id = url.strip_prefix(&answer::documents_under(&attempt.base))?;
    is_blob_id(id).then_some((blob, id))
}

impl Records {
    /// Closes a key: the registry has committed it. The documents of the attempt that won are bound, those of others go,
    /// and the answer is kept: the one given, or one made of the receipts. If the same content was committed from elsewhere,
    /// the answer is that of there. Answers the answer; none if other content was committed, and then nothing is changed.
    pub(crate) async fn close(
        &self,
        key: &str,
        won: &Commit,
        answer: Option<&Bytes>,
    ) -> Result<Option<Bytes>, Error> {
        if let Some((_, intent)) = self.intent(key)?
            && intent.open.is_empty()
            && intent.withheld.is_empty()
        {
            // Somebody else has closed it already.
            let known = intent.closed.filter(|closed| won.has_content(&closed.digest));
            return Ok(known.map(|closed| Bytes::copy_from_slice(closed.answer.get().as_bytes())));
        }
        failpoint!(async "repo.bind.pre_commit");
        let answer = self.change(key, |intent, batch| self.closing(intent, batch, won, answer)).await?;
        failpoint!(async "repo.bind.post_commit");
        Ok(answer)
    }

    fn closing(
        &self,
        intent: &mut Intent,
        batch: &mut Batch,
        won: &Commit,
        answer: Option<&Bytes>,
    ) -> Result<Option<Bytes>, Error> {
        // What was withheld is in doubt again, now that the registry knows something of this key.
        let withheld = std::mem::take(&mut intent.withheld);
        intent.open.splice(0..0, withheld);
        let winner = intent.open.iter().position(|open| won.is(open));
        let same = intent.open.iter().rposition(|open| won.has_content(&open.digest));
        if let Some(meant) = winner.or(same) {
            let meant = &intent.open[meant];
            let ours = winner.is_some();
            if ours {
                self.bind(meant, won, batch)?;
            }
            let answer = match answer {
                Some(given) => serde_json::from_slice(given),
                None => RawValue::from_string(answer::of(meant, won, ours, &self.registry)),
            };
            intent.closed = Some(Closed {
                attempt: won.attempt,
                digest: meant.digest.clone(),
                answer: answer.map_err(|error| Error::Damaged(error.to_string()))?,
                sequence: won.sequence,
                ours,
                refused: None,
            });
        }
        let Some(closed) = intent.closed.as_ref().filter(|closed| won.has_content(&closed.digest)) else {
            return Ok(None);
        };
        let answer = Bytes::copy_from_slice(closed.answer.get().as_bytes());
        let open = std::mem::take(&mut intent.open);
        // Equal content may be what a restore has lost.
        let healed = if winner.is_none() { same } else { None };
        for (index, gone) in open.iter().enumerate() {
            if winner == Some(index) {
                continue;
            }
            if healed != Some(index) || !self.heal(gone, won, batch)? {
                self.discard(gone, batch)?;
            }
        }
        Ok(Some(answer))
    }

    /// Takes the bytes of this attempt for those of the committed document, if these were lost here. Answers whether it did.
    fn heal(&self, came_again: &Attempt, won: &Commit, batch: &mut Batch) -> Result<bool, Error> {
        let Some((blob, id)) = the_one_document(came_again, won) else { return Ok(false) };
        let Some(staged) = self.store.get(DOCUMENT, blob)? else { return Ok(false) };
        let mut given: Document = read(&staged)?;
        let lost = self.store.get(DOCUMENT, id)?;
        let (version, entry) = match &lost {
            Some(row) => {
                let found: Document = read(row)?;
                if found.state != State::Lost {
                    return Ok(false);
                }
                (row.version, found.entry)
            }
            // Restored, and not yet told by the registry what was lost: this is it.
            None if self.store.incarnation().number > 1 => {
                let entries = answer::entries_of_blobs(came_again, &won.receipts);
                (0, entries.get(blob).cloned())
            }
            None => return Ok(false),
        };
        if given.state != State::Staged {
            return Ok(false);
        }
        given.state = State::Rejected;
        batch.puts.push(Put { deleted: true, ..document_row(blob, staged.version + 1, &given) });
        let found = Document { state: State::Bound, entry, bytes: Some(blob.to_owned()), ..given };
        batch.puts.push(document_row(id, version + 1, &found));
        tracing::warn!("the bytes of a document that a restore had lost came in again");
        Ok(true)
    }

    fn bind(&self, won: &Attempt, commit: &Commit, batch: &mut Batch) -> Result<(), Error> {
        let entries: HashMap<&str, String> = answer::entries_of_blobs(won, &commit.receipts);
        for id in won.blobs() {
            let Some(row) = self.store.get(DOCUMENT, id)? else { continue };
            let mut document: Document = read(&row)?;
            if matches!(document.state, State::Staged | State::Withheld) {
                document.state = State::Bound;
                document.entry = entries.get(id).cloned();
                batch.puts.push(document_row(id, row.version + 1, &document));
            }
        }
        Ok(())
    }

    /// Gives up these attempts of a key: their documents go to the trash.
    pub(crate) async fn reject(&self, key: &str, which: impl Fn(u64) -> bool) -> Result<(), Error> {
        let rejected = self.change(key, |intent, batch| {
            let (gone, open): (Vec<_>, Vec<_>) = intent.open.drain(..).partition(|open| which(open.attempt));
            intent.open = open;
            for attempt in &gone {
                self.discard(attempt, batch)?;
            }
            Ok((!gone.is_empty()).then_some(()))
        });
        rejected.await.map(|_| ())
    }

    fn discard(&self, attempt: &Attempt, batch: &mut Batch) -> Result<(), Error> {
        for id in attempt.blobs() {
            let Some(row) = self.store.get(DOCUMENT, id)? else { continue };
            let mut document: Document = read(&row)?;
            if matches!(document.state, State::Staged | State::Withheld) {
                document.state = State::Rejected;
                batch.puts.push(Put { deleted: true, ..document_row(id, row.version + 1, &document) });
                batch.trash.push(id.to_owned());
            }
        }
        Ok(())
    }

    /// Takes these attempts of a key for absent without giving them up: a registry of another make does not know them, and has
    /// promised nothing. Their bytes stay, and are not given out.
    pub(crate) async fn withhold(&self, key: &str, which: impl Fn(u64) -> bool) -> Result<(), Error> {
        let withheld = self.change(key, |intent, batch| {
            let (gone, open): (Vec<_>, Vec<_>) = intent.open.drain(..).partition(|open| which(open.attempt));
            intent.open = open;
            for id in gone.iter().flat_map(Attempt::blobs) {
                let Some(row) = self.store.get(DOCUMENT, id)? else { continue };
                let mut document: Document = read(&row)?;
                if document.state == State::Staged {
                    document.state = State::Withheld;
                    batch.puts.push(document_row(id, row.version + 1, &document));
                }
            }
            let any = !gone.is_empty();
            intent.withheld.extend(gone);
            Ok(any.then_some(()))
        });
        withheld.await.map(|_| ())
    }

    /// Gives up what was withheld of a key: it was long enough.
    pub(crate) async fn drop_withheld(&self, key: &str) -> Result<(), Error> {
        let gone = self.change(key, |intent, batch| {
            let withheld = std::mem::take(&mut intent.withheld);
            for attempt in &withheld {
                self.discard(attempt, batch)?;
            }
            Ok((!withheld.is_empty()).then_some(()))
        });
        gone.await.map(|_| ())
    }

    /// Takes these documents away: their bytes go to the trash, and what is known of them says so from then on. One whose state
    /// is another meanwhile makes the commit fail.
    pub(crate) fn remove(&self, ids: &[String], batch: &mut Batch) -> Result<(), Error> {
        for id in ids {
            let Some(row) = self.store.get(DOCUMENT, id)? else { continue };
            let mut document: Document = read(&row)?;
            if !matches!(document.state, State::Bound | State::Lost) {
                continue;
            }
            let blob = document.blob(id).to_owned();
            if self.store.blob(&blob)?.is_some() {
                batch.trash.push(blob);
            }
            document.state = State::Removed;
            batch.puts.push(document_row(id, row.version + 1, &document));
        }
        Ok(())
    }

    /// Gives an attempt another number: the registry has promised never to commit one with the number it has.
    pub(crate) async fn renumber(&self, key: &str, from: u64, to: u64) -> Result<(), Error> {
        let renumbered = self.change(key, |intent, _| {
            intent.last = intent.last.max(to);
            let open = intent.open.iter_mut().find(|open| open.attempt == from);
            Ok(open.map(|open| open.attempt = to))
        });
        renumbered.await.map(|_| ())
    }

    /// Notes that a registry that had lost a submission has it again, by this commit.
    pub(crate) async fn committed_again(&self, key: &str, attempt: u64, sequence: u64) -> Result<(), Error> {
        let noted = self.change(key, |intent, _| {
            intent.last = intent.last.max(attempt);
            let closed = intent.closed.as_mut();
            Ok(closed
                .map(|closed| (closed.attempt, closed.sequence, closed.refused) = (attempt, sequence, None)))
        });
        noted.await.map(|_| ())
    }

    /// Notes that a registry has lost a submission and does not take it back.
    pub(crate) async fn not_taken_back(&self, key: &str, why: &str) -> Result<(), Error> {
        let noted = self.change(key, |intent, _| {
            let closed = intent.closed.as_mut();
            Ok(closed.map(|closed| closed.refused = Some(why.to_owned())))
        });
        noted.await.map(|_| ())
    }

    /// Notes that the bytes of a registered document are not here. One whose bytes are here, or have come in again
    /// meanwhile, stays as it is.
    pub(crate) async fn lost(&self, id: &str, mut document: Document) -> Result<(), Error> {
        let known = self.store.get(DOCUMENT, id)?;
        if let Some(row) = &known
            && read::<Document>(row)?.state != State::Rejected
        {
            return Ok(());
        }
        let version = known.as_ref().map_or(0, |row| row.version);
        document.state = State::Lost;
        let puts = vec![document_row(id, version + 1, &document)];
        match self.store.apply(Batch { instant: self.clock.now(), puts, ..Batch::default() }).await {
            Ok(_) | Err(Error::Lost(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
