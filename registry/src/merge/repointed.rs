//! A patient who was merged away, and of whom the source says that another one took its place, though it comes to the same survivor:
//! nothing moves, but undoing a merge in between must leave it where it is.

use super::{Moving, Planned};
use crate::merged;
use crate::records::{GROUP, GroupRecord, Held, Moved, unreadable};

impl Moving<'_> {
    /// The patient was said to be merged into `before`, and is said to be merged into `after` now. What was moved on with those
    /// who stand between it and the survivor no longer is no concern of their ledgers.
    pub(crate) fn repoint(
        &self,
        patient: &str,
        (before, after): (&str, &str),
    ) -> Result<Planned, store::Error> {
        let mut planned = Planned::default();
        let under = self.under(patient)?;
        let own = under.moved();
        let stays = merged::chain(self.store, after)?;
        for id in merged::chain(self.store, before)?.into_iter().filter(|id| !stays.contains(id)) {
            let put = self.forget(&id, |moved| match own.get(&(moved.held, moved.id.as_str())) {
                None => Ok(false),
                // Either may have been a member.
                Some(first) if moved.held == Held::Group => Ok(!self.was_member(first, &id)?),
                Some(_) => Ok(true),
            })?;
            planned.puts.extend(put);
        }
        Ok(planned)
    }

    /// Whether a group had this member before it was changed by a merge.
    pub(super) fn was_member(&self, moved: &Moved, patient: &str) -> Result<bool, store::Error> {
        let Some(row) = self.store.version(GROUP, &moved.id, moved.version)? else { return Ok(false) };
        let record: GroupRecord =
            serde_json::from_slice(&row.body).map_err(|error| unreadable(GROUP, &row.id, &error))?;
        Ok(record.members.iter().any(|member| member == patient))
    }
}
