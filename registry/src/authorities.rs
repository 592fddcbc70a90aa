//! The assigning authorities whose identifiers name patients here: what a feed of HL7 v2 or v3 may bring.

use hl7v2::Authority;

/// How an identifier of an OID's is named in every face: the system of a FHIR Identifier.
const OID: &str = "urn:oid:";

/// The authorities of `identity.authorities`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Authorities(Vec<Authority>);

impl Authorities {
    /// Reads the setting; refuses with words for the operator.
    pub(crate) fn read(settings: &[String]) -> Result<Authorities, String> {
        let one = |text: &String| {
            let parts: Vec<&str> = text.split('&').map(str::trim).collect();
            let (namespace, oid) = match parts.as_slice() {
                [oid] => ("", *oid),
                [namespace, oid] | [namespace, oid, "ISO"] => (*namespace, *oid),
                _ => ("", ""),
            };
            let oid = oid.strip_prefix(OID).unwrap_or(oid);
            if !is_oid(oid) {
                return Err(format!(
                    "identity.authorities: {text:?} is no assigning authority; write its OID, or NAMESPACE&1.2.3&ISO as it stands in PID-3.4"
                ));
            }
            Ok(Authority {
                namespace: namespace.to_owned(),
                universal_id: oid.to_owned(),
                universal_id_type: "ISO".to_owned(),
            })
        };
        settings.iter().map(one).collect::<Result<_, _>>().map(Authorities)
    }

    /// Whether none is configured.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in words.
    pub(crate) fn words(&self) -> String {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        if all.is_empty() { "none (identity.authorities is empty)".to_owned() } else { all.join(", ") }
    }

    /// The system of the identifiers of an authority, if it is one of these. An OID decides; where there is none, the name
    /// space does, which is completed from the configuration (TF-2 3.8.4.1.2).
    pub(crate) fn system(&self, named: &Authority) -> Option<String> {
        let oid = named.universal_id.strip_prefix(OID).unwrap_or(&named.universal_id);
        let fits = |known: &&Authority| {
            if oid.is_empty() {
                !named.namespace.is_empty() && known.namespace == named.namespace
            } else {
                known.universal_id == oid
            }
        };
        self.0.iter().find(fits).map(|known| format!("{OID}{}", known.universal_id))
    }

    /// Whether identifiers of a system are of one of these.
    pub(crate) fn has(&self, system: &str) -> bool {
        system.strip_prefix(OID).is_some_and(|oid| self.0.iter().any(|known| known.universal_id == oid))
    }
}

fn is_oid(text: &str) -> bool {
    let arc = |arc: &str| {
        !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'))
    };
    text.len() <= 64 && text.contains('.') && text.starts_with(['0', '1', '2']) && text.split('.').all(arc)
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
