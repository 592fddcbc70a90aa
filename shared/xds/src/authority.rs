//! Assigning authorities: the domains patients' identifiers belong to, and every way one is spelled. A name space in HL7 v2,
//! an OID in XDS and HL7 v3, an `urn:oid:` or a URL in FHIR are one domain, and are compared as one.

use std::collections::HashMap;

use crate::hl7::Hd;
use crate::identifier::is_oid;
use crate::types::Identifier;

/// How an OID is written where a URI is expected.
const OID: &str = "urn:oid:";

/// One domain, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authority {
    /// Its name in HL7 v2 (HD.1), which is compared to the letter; empty if it has none.
    pub namespace: String,
    /// Its OID, without prefix; empty if it has none.
    pub oid: String,
    /// URIs it goes by in FHIR beside the OID's.
    pub uris: Vec<String>,
    /// What people call it; empty if nothing was said.
    pub display: String,
}

impl Authority {
    /// Reads the short form of the configuration: an OID, a URI, or `NAMESPACE&1.2.3&ISO` as it stands in PID-3.4.
    ///
    /// # Errors
    /// Words for the operator.
    pub fn read(text: &str) -> Result<Authority, String> {
        let parts: Vec<&str> = text.split('&').map(str::trim).collect();
        let (namespace, id, is_iso) = match parts.as_slice() {
            [id] => ("", *id, false),
            [namespace, id] => (*namespace, *id, false),
            [namespace, id, "ISO"] => (*namespace, *id, true),
            _ => ("", "", true),
        };
        let bare = bare(id);
        let namespace = namespace.to_owned();
        if is_oid(bare) {
            return Ok(Authority { namespace, oid: bare.to_owned(), ..Authority::default() });
        }
        if !is_iso && is_uri(id) {
            return Ok(Authority { namespace, uris: vec![id.to_owned()], ..Authority::default() });
        }
        Err(format!(
            "{text:?} is no assigning authority; write its OID, its URI, or NAMESPACE&1.2.3&ISO as it stands in PID-3.4"
        ))
    }

    /// The one spelling this domain is compared by: `urn:oid:…` where it has an OID, else its first URI.
    pub fn system(&self) -> String {
        match (self.oid.as_str(), self.uris.first()) {
            ("", Some(uri)) => uri.clone(),
            (oid, _) => format!("{OID}{oid}"),
        }
    }

    /// As HL7 v2 writes it (HD): all that is known of it.
    pub fn hd(&self) -> Hd {
        let known = Hd::of(&self.system()).unwrap_or_default();
        Hd { namespace: self.namespace.clone(), ..known }
    }

    /// Every spelling in FHIR, the canonical one first; the name in HL7 v2 is the last, which sources write there too.
    fn systems(&self) -> Vec<String> {
        let mut all = vec![self.system()];
        if !self.oid.is_empty() {
            all.push(self.oid.clone());
        }
        for uri in &self.uris {
            if !all.contains(uri) {
                all.push(uri.clone());
            }
        }
        if !self.namespace.is_empty() {
            all.push(self.namespace.clone());
        }
        all
    }

    fn check(&self) -> Result<(), String> {
        if !self.oid.is_empty() && !is_oid(&self.oid) {
            return Err(format!("{:?} is no OID", self.oid));
        }
        if let Some(uri) = self.uris.iter().find(|uri| !is_uri(uri)) {
            return Err(format!("{uri:?} is no absolute URI"));
        }
        if self.oid.is_empty() && self.uris.is_empty() {
            return Err("an assigning authority needs an oid or a uri".to_owned());
        }
        Ok(())
    }
}

/// As it stands in a message: `NAMESPACE&1.2.3&ISO`.
impl std::fmt::Display for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hd().write())
    }
}

/// The domains that are known by configuration.
#[derive(Debug, Clone, Default)]
pub struct Authorities {
    all: Vec<Authority>,
    /// From every spelling in FHIR to its place.
    spelled: HashMap<String, usize>,
    /// From the name in HL7 v2.
    named: HashMap<String, usize>,
}

impl Authorities {
    /// These; a spelling names one domain only.
    ///
    /// # Errors
    /// Words for the operator: which authority is no authority, or which spelling is given twice.
    pub fn new(all: Vec<Authority>) -> Result<Authorities, String> {
        let mut known = Authorities::default();
        for (place, mut authority) in all.into_iter().enumerate() {
            authority.oid = bare(authority.oid.trim()).to_owned();
            authority.check()?;
            for system in authority.systems() {
                if known.spelled.insert(system.clone(), place).is_some_and(|other| other != place) {
                    return Err(format!("{system} is given for two assigning authorities"));
                }
            }
            let name = authority.namespace.clone();
            if !name.is_empty() && known.named.insert(name, place).is_some() {
                let name = &authority.namespace;
                return Err(format!("the name space {name} is given for two assigning authorities"));
            }
            known.all.push(authority);
        }
        Ok(known)
    }

    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Authority> {
        self.all.iter()
    }

    /// Whether none is configured.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The domain of a system, however it is spelled.
    pub fn of(&self, system: &str) -> Option<&Authority> {
        let place = self.spelled.get(system).or_else(|| self.spelled.get(&plain(system)))?;
        self.all.get(*place)
    }

    /// Whether identifiers of a system are of one of these.
    pub fn has(&self, system: &str) -> bool {
        self.of(system).is_some()
    }

    /// The domain of a name space of HL7 v2.
    pub fn by_namespace(&self, namespace: &str) -> Option<&Authority> {
        self.all.get(*self.named.get(namespace)?)
    }

    /// The domain an HL7 v2 message names (HD). A universal id decides; where there is none, the name space does, which is
    /// completed from the configuration (TF-2 3.8.4.1.2). None is named by the name space of one and the universal id of
    /// another.
    pub fn named(&self, hd: &Hd) -> Option<&Authority> {
        if self.is_torn(hd) {
            return None;
        }
        if hd.universal_id.is_empty() { self.by_namespace(&hd.namespace) } else { self.of(&hd.universal_id) }
    }

    /// Whether an HD has the name space of one domain of these and the universal id of another: whose number it is then nobody
    /// can tell.
    pub fn is_torn(&self, hd: &Hd) -> bool {
        let told = self.of(&hd.universal_id).filter(|_| !hd.universal_id.is_empty());
        told.zip(self.by_namespace(&hd.namespace))
            .is_some_and(|(told, named)| told.system() != named.system())
    }

    /// The one spelling all spellings of a domain are compared by: `urn:oid:…` where an OID is known, given or configured.
    pub fn canonical(&self, system: &str) -> String {
        match self.of(system) {
            Some(authority) => authority.system(),
            None => plain(system),
        }
    }

    /// The same of an identifier.
    pub fn identifier(&self, identifier: &Identifier) -> Identifier {
        Identifier { system: self.canonical(&identifier.system), value: identifier.value.clone() }
    }

    /// Every spelling of a domain in FHIR, the canonical one first: what has to be looked for where something was kept before
    /// a spelling was configured.
    pub fn spellings(&self, system: &str) -> Vec<String> {
        match self.of(system) {
            Some(authority) => authority.systems(),
            None => vec![plain(system)],
        }
    }

    /// A system as HL7 v2 writes it (HD): with the name space, if one is configured. None for an empty one.
    pub fn hd(&self, system: &str) -> Option<Hd> {
        match self.of(system) {
            Some(authority) => Some(authority.hd()),
            None => Hd::of(&plain(system)),
        }
    }

    /// All of them, for a sentence that says which are known here.
    pub fn words(&self) -> String {
        self.all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// An OID without its prefix, in whatever case that is written.
fn bare(system: &str) -> &str {
    match system.get(..OID.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(OID) => &system[OID.len()..],
        _ => system,
    }
}

/// A system in the form everybody agrees on: an OID with its prefix, anything else as it is.
fn plain(system: &str) -> String {
    let oid = bare(system);
    if is_oid(oid) { format!("{OID}{oid}") } else { system.to_owned() }
}

/// Whether this has a scheme, as an absolute URI does.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(of_scheme)
        && !rest.is_empty()
        && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn red() -> Authority {
        Authority {
            namespace: "IHERED".into(),
            oid: "urn:oid:1.2.3".into(),
            uris: vec!["http://red.example/mrn".into()],
            display: "Red".into(),
        }
    }

    fn hd(namespace: &str, id: &str) -> Hd {
        Hd { namespace: namespace.into(), universal_id: id.into(), universal_type: String::new() }
    }

    #[test]
    fn every_spelling_of_a_domain_is_that_domain() {
        let known = Authorities::new(vec![red()]).expect("is sound");
        for spelling in ["urn:oid:1.2.3", "1.2.3", "URN:OID:1.2.3", "http://red.example/mrn", "IHERED"] {
            assert_eq!(known.canonical(spelling), "urn:oid:1.2.3", "{spelling}");
        }
        assert_eq!(known.spellings("1.2.3"), ["urn:oid:1.2.3", "1.2.3", "http://red.example/mrn", "IHERED"]);
        assert_eq!(known.hd("http://red.example/mrn").expect("is known").write(), "IHERED&1.2.3&ISO");
    }

    #[test]
    fn the_name_space_of_one_domain_with_the_oid_of_another_names_neither() {
        let green =
            Authority { namespace: "GREEN".into(), oid: "urn:oid:2.5.6".into(), ..Authority::default() };
        let known = Authorities::new(vec![red(), green]).expect("are sound");
        let named = |namespace, id| known.named(&hd(namespace, id)).map(Authority::system);
        assert_eq!(named("IHERED", "2.5.6"), None);
        assert!(known.is_torn(&hd("IHERED", "2.5.6")));
        assert_eq!(
            named("OTHER", "2.5.6"),
            Some("urn:oid:2.5.6".to_owned()),
            "a name nobody has says nothing"
        );
        assert_eq!(named("GREEN", "2.5.6"), Some("urn:oid:2.5.6".to_owned()));
        assert_eq!(named("IHERED", ""), Some("urn:oid:1.2.3".to_owned()));
        assert_eq!(named("IHERED", "9.9"), None);
    }

    #[test]
    fn a_domain_nobody_configured_is_compared_by_its_oid_or_as_it_stands() {
        let known = Authorities::default();
        assert_eq!(known.canonical("1.2.3"), "urn:oid:1.2.3");
        assert_eq!(known.canonical("http://x.example"), "http://x.example");
        assert_eq!(known.spellings("2.16.1"), ["urn:oid:2.16.1"]);
        assert_eq!(known.hd("urn:oid:2.16.1").expect("has an OID").write(), "&2.16.1&ISO");
        assert!(!known.has("urn:oid:2.16.1"));
    }

    #[test]
    fn a_domain_without_oid_goes_by_its_first_uri() {
        let uris = vec!["http://a.example".to_owned(), "http://b.example".to_owned()];
        let known = Authorities::new(vec![Authority { uris, ..Authority::default() }]).expect("is sound");
        assert_eq!(known.canonical("http://b.example"), "http://a.example");
    }

    #[test]
    fn a_message_names_a_domain_by_oid_by_name_space_or_by_both() {
        let known = Authority::read("2.16.1").expect("an OID is one");
        let known = Authorities::new(vec![red(), known]).expect("are sound");
        for (named, system) in [
            (hd("IHERED", "1.2.3"), Some("urn:oid:1.2.3")),
            (hd("", "1.2.3"), Some("urn:oid:1.2.3")),
            (hd("IHERED", ""), Some("urn:oid:1.2.3")),
            (hd("other name of it", "2.16.1"), Some("urn:oid:2.16.1")),
            (hd("", "http://red.example/mrn"), Some("urn:oid:1.2.3")),
            (hd("IHERED", "9.9"), None),
            (hd("", ""), None),
        ] {
            assert_eq!(known.named(&named).map(Authority::system).as_deref(), system, "{named:?}");
        }
    }

    #[test]
    fn the_short_form_is_an_oid_a_uri_or_as_in_a_message() {
        for (text, written) in [
            ("1.2.3", "&1.2.3&ISO"),
            ("urn:oid:1.2.3", "&1.2.3&ISO"),
            ("IHERED&1.2.3&ISO", "IHERED&1.2.3&ISO"),
            ("http://red.example/mrn", "&http://red.example/mrn&URI"),
        ] {
            assert_eq!(Authority::read(text).expect(text).to_string(), written);
        }
        for text in ["", "IHERED", "IHERED&1.2.3&DNS", "1.02.3", "a&b&c&d", "a b:c"] {
            assert!(Authority::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_spelling_of_two_domains_is_refused() {
        let other = Authority { oid: "9.9".into(), ..red() };
        assert!(Authorities::new(vec![red(), other.clone()]).is_err(), "9.9 is no OID");
        let other = Authority { oid: "1.9".into(), ..other };
        let words = Authorities::new(vec![red(), other]).expect_err("the URI is the same");
        assert!(words.contains("http://red.example/mrn"), "{words}");
        assert!(Authorities::new(vec![Authority::default()]).is_err());
    }
}
