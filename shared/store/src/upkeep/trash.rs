//! The trash: what lies there long enough is deleted, and only from there.

use std::time::Duration;

use crate::engine::embedded::Shared;
use crate::error::Error;
use crate::scrub::Place;
use crate::upkeep::ledger::Ledger;

/// Looks through the trash once. `period` is counted from when the document was first seen there, in time observed. What is
/// seen there for the first time, be it by this process, and is kept after all goes back at once.
pub(crate) fn empty(
    shared: &Shared,
    ledger: &mut Ledger,
    period: Duration,
    first: bool,
) -> Result<(), Error> {
    let lying = shared.files.in_trash()?;
    ledger.trash.retain(|id, _| lying.contains(id));
    let now = ledger.observed();
    for id in lying {
        let seen = ledger.trash.get(&id).copied();
        let since = *ledger.trash.entry(id.clone()).or_insert(now);
        let due = now.saturating_sub(since) >= period.as_secs();
        let scrubbed =
            ledger.scrub.place == Place::Done && ledger.scrub.began.is_some_and(|began| began >= since);
        let looked_at = due || first || seen.is_none();
        // One that is kept after all goes back whether it is due or not.
        let leaves = looked_at && leaves(shared, &id, scrubbed)?;
        if due && leaves {
            shared.files.delete(&id)?;
            ledger.trash.remove(&id);
            tracing::info!(document = id, "a document was deleted out of the trash");
        }
    }
    Ok(())
}

/// Whether nothing cites a document any more. One that is cited after all goes back. `scrubbed` says whether a scrub came by
/// since it lies there.
fn leaves(shared: &Shared, id: &str, scrubbed: bool) -> Result<bool, Error> {
    if !shared.keeps(id)? {
        // An index that lost a document does not know it either, and its bytes would be gone for good.
        return Ok(shared.knows(id)? || scrubbed && shared.knows_all());
    }
    if shared.files.put_back(id)? {
        tracing::error!(document = id, "a document that is kept lay in the trash; it is back in its place");
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Batch;
    use crate::engine::Engine as _;
    use crate::open::Options;

    const WEEK: Duration = Duration::from_hours(7 * 24);

    async fn kept(engine: &crate::engine::embedded::Embedded) -> String {
        let mut sink = engine.stage(u64::MAX);
        sink.write(&vec![7; 1_500_000]).await.unwrap();
        let blob = sink.finish().await.unwrap();
        let id = blob.id().to_owned();
        engine.apply(Batch { blobs: vec![blob], ..Batch::default() }).await.unwrap();
        id
    }

    #[tokio::test]
    async fn a_week_in_the_trash_is_a_week_of_running_and_what_is_kept_goes_back() {
        let directory = tempfile::tempdir().unwrap();
        let engine = crate::engine::embedded::open(&Options::new(directory.path())).unwrap();
        let shared = engine.shared();
        let (removed, stays) = (kept(&engine).await, kept(&engine).await);
        engine.apply(Batch { trash: vec![removed.clone()], ..Batch::default() }).await.unwrap();
        shared.files.trash(&stays).unwrap();
        let unknown = "0123456789abcdef0123456789abcdef";
        std::fs::write(directory.path().join("trash").join(unknown), "nobody's").unwrap();
        let mut ledger = Ledger::open(&directory.path().join("elsewhere"));
        ledger.pretend_observed(1000);
        empty(&shared, &mut ledger, WEEK, false).unwrap();
        assert!(shared.files.blob_path(&stays).exists(), "a document that is kept goes back at once");
        ledger.pretend_observed(1000 + WEEK.as_secs() - 1);
        empty(&shared, &mut ledger, WEEK, false).unwrap();
        assert!(shared.files.in_trash().unwrap().contains(&removed));
        ledger.pretend_observed(1000 + WEEK.as_secs());
        empty(&shared, &mut ledger, WEEK, false).unwrap();
        assert!(!ledger.trash.contains_key(&removed));
        let lying: Vec<_> = shared.files.in_trash().unwrap().into_iter().collect();
        assert_eq!(lying, [unknown], "the index may have lost it");
        engine.scrub().await.unwrap();
        ledger.scrub.began = Some(1000);
        empty(&shared, &mut ledger, WEEK, false).unwrap();
        assert!(shared.files.in_trash().unwrap().is_empty(), "the index has lost nothing");
        assert!(shared.files.blob_path(&stays).exists(), "a document that is kept is never deleted");
    }
}
