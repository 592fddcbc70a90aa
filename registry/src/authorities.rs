//! The assigning authorities whose identifiers name patients here: what a feed of HL7 v2 or v3 may bring.

use hl7v2::Authority;
use xds::authority;
use xds::hl7::Hd;

/// The authorities of `identity.authorities`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Authorities(authority::Authorities);

impl Authorities {
    /// Reads the setting; refuses with words for the operator.
    pub(crate) fn read(settings: &[String]) -> Result<Authorities, String> {
        let one = |text: &String| match authority::Authority::read(text) {
            Ok(known) if !known.oid.is_empty() => Ok(known),
            Ok(_) | Err(_) => Err(format!(
                "identity.authorities: {text:?} is no assigning authority; write its OID, or NAMESPACE&1.2.3&ISO as it stands in PID-3.4"
            )),
        };
        let all = settings.iter().map(one).collect::<Result<_, _>>()?;
        let known = authority::Authorities::new(all).map_err(|why| format!("identity.authorities: {why}"))?;
        Ok(Authorities(known))
    }

    /// Whether none is configured.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in words.
    pub(crate) fn words(&self) -> String {
        if self.is_empty() { "none (identity.authorities is empty)".to_owned() } else { self.0.words() }
    }

    /// The system of the identifiers of an authority, if it is one of these. An OID decides; where there is none, the name
    /// space does, which is completed from the configuration (TF-2 3.8.4.1.2).
    pub(crate) fn system(&self, named: &Authority) -> Option<String> {
        let hd = Hd {
            namespace: named.namespace.clone(),
            universal_id: named.universal_id.clone(),
            universal_type: named.universal_id_type.clone(),
        };
        self.0.named(&hd).map(authority::Authority::system)
    }

    /// Whether identifiers of a system, in its canonical spelling, are of one of these.
    pub(crate) fn has(&self, system: &str) -> bool {
        self.0.of(system).is_some_and(|known| known.system() == system)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(namespace: &str, oid: &str) -> Authority {
        Authority {
            namespace: namespace.to_owned(),
            universal_id: oid.to_owned(),
            universal_id_type: String::new(),
        }
    }

    #[test]
    fn an_authority_is_known_by_oid_by_namespace_or_by_both() {
        let known = Authorities::read(&["IHERED&1.2.3&ISO".to_owned(), "2.16.1".to_owned()]);
        let known = known.expect("they are sound");
        for (authority, system) in [
            (named("IHERED", "1.2.3"), Some("urn:oid:1.2.3")),
            (named("", "1.2.3"), Some("urn:oid:1.2.3")),
            (named("IHERED", ""), Some("urn:oid:1.2.3")),
            (named("other name of it", "2.16.1"), Some("urn:oid:2.16.1")),
            (named("IHERED", "9.9"), None),
            (named("", ""), None),
        ] {
            assert_eq!(known.system(&authority).as_deref(), system, "{authority}");
        }
        assert!(known.has("urn:oid:2.16.1") && !known.has("2.16.1") && !known.has("urn:oid:9.9"));
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        for text in ["", "IHERED", "IHERED&1.2.3&DNS", "1.02.3", "a&b&c&d"] {
            let words = Authorities::read(&[text.to_owned()]).expect_err(text);
            assert!(words.contains("identity.authorities"), "{words}");
        }
    }
}
