//! Domains as HL7 v2 names them.

use xds::hl7::Hd;

use super::Records;

impl Records {
    /// The system of a domain that a message names, if it is known here: by configuration, or because an identifier of it is or
    /// was in use. A name space alone says nothing but what is configured.
    pub(crate) fn domain_of(&self, named: &Hd) -> Result<Option<String>, store::Error> {
        if let Some(known) = self.authorities().named(named) {
            return Ok(Some(known.system()));
        }
        let system = self.authorities().canonical(&named.system());
        Ok(if !system.is_empty() && self.has_learned(&system)? { Some(system) } else { None })
    }

    /// A domain as HL7 v2 writes it, with all that is known of it.
    pub(crate) fn hd(&self, system: &str) -> Hd {
        self.authorities().hd(system).unwrap_or_default()
    }
}
