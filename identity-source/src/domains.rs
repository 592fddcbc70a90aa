//! The identifier domains of the configuration: how each is spelled, who may feed it, and what its source may do.

use std::collections::HashMap;

use xds::authority::{Authorities, Authority};

use crate::config;

/// All configured domains.
#[derive(Debug, Clone, Default)]
pub(crate) struct Domains {
    authorities: Authorities,
    /// What is said of each, by its canonical system.
    rights: HashMap<String, Rights>,
    strict: bool,
    remove: bool,
}

#[derive(Debug, Clone, Default)]
struct Rights {
    senders: Vec<String>,
    remove: Option<bool>,
}

impl Domains {
    /// Reads the settings.
    ///
    /// # Errors
    /// Words for the operator.
    pub(crate) fn read(settings: &config::Domain) -> Result<Domains, String> {
        let short = |text: &String| Authority::read(text).map_err(|why| format!("domain.authorities: {why}"));
        let mut all: Vec<Authority> = settings.authorities.iter().map(short).collect::<Result<_, _>>()?;
        let mut rights = HashMap::new();
        for (index, one) in settings.authority.iter().enumerate() {
            let at = |why: String| format!("domain.authority[{index}] ({}): {why}", one.namespace);
            if one.namespace.contains(['|', '^', '&', '~', '\\']) || one.namespace.trim() != one.namespace {
                return Err(at(
                    "namespace is the name alone, as it stands in PID-3.4 before the first &".to_owned()
                ));
            }
            // One that names nobody would let in everybody.
            let names =
                |sender: &str| sender.split('|').count() <= 2 && !sender.trim_matches(['|', ' ']).is_empty();
            if let Some(wrong) = one.senders.iter().find(|sender| !names(sender)) {
                return Err(at(format!(
                    "senders: {wrong:?} names nobody; write APPLICATION|FACILITY (MSH-3 and MSH-4; * is any), and leave senders out if everybody may feed it"
                )));
            }
            let authority = Authority {
                namespace: one.namespace.clone(),
                oid: one.oid.strip_prefix("urn:oid:").unwrap_or(&one.oid).to_owned(),
                uris: one.uris.clone(),
                display: one.display.clone(),
            };
            Authorities::new(vec![authority.clone()]).map_err(at)?;
            let said = Rights { senders: one.senders.clone(), remove: one.remove };
            rights.insert(authority.system(), said);
            all.push(authority);
        }
        let authorities = Authorities::new(all).map_err(|why| format!("domain.authority: {why}"))?;
        Ok(Domains { authorities, rights, strict: settings.strict, remove: settings.remove })
    }

    /// How domains are spelled.
    pub(crate) fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    /// Whether patients may be fed under identifiers of this domain.
    pub(crate) fn takes(&self, system: &str) -> bool {
        !self.strict || self.authorities.has(system)
    }

    /// Whether a domain becomes known by a patient who has an identifier of it.
    pub(crate) fn learns(&self) -> bool {
        !self.strict
    }

    /// Who may feed this domain in HL7 v2, `APPLICATION|FACILITY`; empty where nothing is said.
    pub(crate) fn senders(&self, system: &str) -> &[String] {
        self.rights(system).map(|rights| rights.senders.as_slice()).unwrap_or_default()
    }

    /// Whether the source of this domain may remove patients.
    pub(crate) fn may_remove(&self, system: &str) -> bool {
        self.rights(system).and_then(|rights| rights.remove).unwrap_or(self.remove)
    }

    /// Whether any source may remove patients.
    pub(crate) fn anybody_may_remove(&self) -> bool {
        self.remove || self.rights.values().any(|rights| rights.remove == Some(true))
    }

    fn rights(&self, system: &str) -> Option<&Rights> {
        self.rights.get(&self.authorities.canonical(system))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AuthoritySettings, Domain};

    fn red() -> AuthoritySettings {
        AuthoritySettings {
            namespace: "RED".into(),
            oid: "1.2.3".into(),
            uris: vec!["http://red.example".into()],
            remove: Some(true),
            ..AuthoritySettings::default()
        }
    }

    #[test]
    fn what_a_domain_says_of_itself_goes_before_what_is_said_of_all() {
        let settings =
            Domain { authority: vec![red()], authorities: vec!["2.16.1".into()], ..Domain::default() };
        let domains = Domains::read(&settings).expect("is sound");
        assert!(domains.may_remove("http://red.example") && domains.may_remove("1.2.3"));
        assert!(!domains.may_remove("urn:oid:2.16.1") && !domains.may_remove("urn:oid:9.9"));
        assert!(domains.anybody_may_remove());
        let kept = AuthoritySettings { remove: Some(false), ..red() };
        let settings = Domain { authority: vec![kept], remove: true, ..Domain::default() };
        let domains = Domains::read(&settings).expect("is sound");
        assert!(!domains.may_remove("1.2.3") && domains.may_remove("urn:oid:9.9"));
    }

    #[test]
    fn a_strict_source_takes_configured_domains_only() {
        let settings = Domain { authority: vec![red()], strict: true, ..Domain::default() };
        let domains = Domains::read(&settings).expect("is sound");
        assert!(domains.takes("http://red.example") && !domains.takes("urn:oid:9.9"));
    }

    #[test]
    fn an_authority_that_is_none_is_refused_with_its_key() {
        for (settings, key) in [
            (Domain { authorities: vec!["RED".into()], ..Domain::default() }, "domain.authorities: \"RED\""),
            (
                Domain { authority: vec![AuthoritySettings::default()], ..Domain::default() },
                "domain.authority[0] (): ",
            ),
            (
                Domain {
                    authority: vec![
                        red(),
                        AuthoritySettings { oid: "1.2.x".into(), ..AuthoritySettings::default() },
                    ],
                    ..Domain::default()
                },
                "domain.authority[1] (): \"1.2.x\" is no OID",
            ),
            (
                Domain {
                    authority: vec![AuthoritySettings { senders: vec![" |".into()], ..red() }],
                    ..Domain::default()
                },
                "domain.authority[0] (RED): senders",
            ),
            (
                Domain {
                    authority: vec![AuthoritySettings { namespace: "RED&1.2.3&ISO".into(), ..red() }],
                    ..Domain::default()
                },
                "(RED&1.2.3&ISO): namespace",
            ),
            (Domain { authority: vec![red(), red()], ..Domain::default() }, "is given for two"),
        ] {
            let words = Domains::read(&settings).expect_err("is refused");
            assert!(words.contains(key), "{words}");
        }
    }
}
