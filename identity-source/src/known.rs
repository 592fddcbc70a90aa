//! Under which of its names a patient is fed, where a message gives several and says of none that it is the condition.

use xds::Identifier;

use crate::records::{Kept, Records};

/// The names of a patient in a message.
pub(crate) struct Names<'a> {
    /// Business identifiers, best first.
    pub(crate) business: &'a [Identifier],
    /// The URL of its resource at the source: the base of that server, and `Patient/id`.
    pub(crate) url: Option<&'a Identifier>,
}

impl Names<'_> {
    /// The name to feed the patient under. Who is known by the URL at the source is that patient, whatever names come and go;
    /// then a name counts under which its own source has fed it; then the first one.
    pub(crate) fn condition(
        &self,
        records: &Records,
        base: &str,
    ) -> Result<Option<Identifier>, store::Error> {
        let is_of = |home: &str, name: &Identifier| records.authorities().canonical(&name.system) == home;
        if let Some(url) = self.url
            && let Some(row) = records.identified(url, base)?
        {
            let kept = Kept::of(&row)?;
            if self.business.iter().chain(self.url).any(|name| is_of(kept.home(), name)) {
                return Ok(Some(own(base, &row.id)));
            }
        }
        for name in self.business {
            if let Some(row) = records.identified(name, base)?
                && is_of(Kept::of(&row)?.home(), name)
            {
                return Ok(Some(name.clone()));
            }
        }
        Ok(self.business.first().or(self.url).cloned())
    }

    /// Who is meant where nothing but the names is said: the record known by one of them, whichever domain it is of.
    pub(crate) fn record(&self, records: &Records, base: &str) -> Result<Option<Identifier>, store::Error> {
        for name in self.url.into_iter().chain(self.business) {
            if let Some(row) = records.identified(name, base)? {
                return Ok(Some(own(base, &row.id)));
            }
        }
        Ok(self.url.or(self.business.first()).cloned())
    }
}

/// A patient by its id here.
fn own(base: &str, id: &str) -> Identifier {
    Identifier { system: base.to_owned(), value: format!("Patient/{id}") }
}
