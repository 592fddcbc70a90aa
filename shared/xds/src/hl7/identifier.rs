//! Identifiers: who gave one (HD), patients' and others (CX, CXi), and coded strings, which XDS writes in the same shape.

use std::borrow::Cow;

use super::{Parts, STUDY_INSTANCE_UID, authority, escape, join, unescape};
use crate::attribute::URI;
use crate::identifier::{is_oid, oid};
use crate::types::{Code, Identifier};

/// Name space of DICOM UIDs in FHIR.
const DICOM_UID: &str = "urn:dicom:uid";

/// Who assigns an identifier (HD): in XDS an OID, `&1.2.3&ISO`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Hd {
    /// Namespace id, a name of local agreement.
    pub namespace: String,
    /// Universal id.
    pub universal_id: String,
    /// Type of the universal id; `ISO`: it is an OID.
    pub universal_type: String,
}

impl Hd {
    /// Reads subcomponents.
    pub fn read(written: &str) -> Hd {
        let mut parts = written.split('&').map(|part| unescape(part).into_owned());
        let mut next = || parts.next().unwrap_or_default();
        Hd { namespace: next(), universal_id: next(), universal_type: next() }
    }

    /// The subcomponents.
    pub fn write(&self) -> String {
        let parts = [&self.namespace, &self.universal_id, &self.universal_type];
        let mut out = parts.map(|part| escape(part)).join("&");
        out.truncate(out.trim_end_matches('&').len());
        out
    }

    /// The name space as identifiers of the domain have it: `urn:oid:…` for an OID; empty where only a local name is given.
    pub fn system(&self) -> String {
        match self.universal_id.as_str() {
            "" => String::new(),
            id if is_oid(id) || self.universal_type == "ISO" => format!("urn:oid:{id}"),
            id => id.to_owned(),
        }
    }

    /// The authority of a name space; none for an empty one.
    pub fn of(system: &str) -> Option<Hd> {
        if system.is_empty() {
            return None;
        }
        // An OID that is none, such as 3.4.5, is written as it came.
        let (id, kind) = match system.strip_prefix("urn:oid:").or(Some(system).filter(|bare| is_oid(bare))) {
            Some(bare) => (bare, "ISO"),
            None => (system, "URI"),
        };
        Some(Hd { namespace: String::new(), universal_id: id.to_owned(), universal_type: kind.to_owned() })
    }
}

/// An identifier (CX), in a referenceIdList with its type (CXi).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Cx {
    /// The id.
    pub id: String,
    /// Who assigned it; none where the id is unique by itself.
    pub authority: Option<Hd>,
    /// What kind of thing it names (CXi only).
    pub type_code: Option<String>,
    /// Where it is known (CXi.6 of older texts).
    pub home: Option<Hd>,
}

impl Cx {
    /// Reads one; none without an id.
    pub fn read(text: &str) -> Option<Cx> {
        let parts = Parts::read(text);
        let cx = Cx {
            id: parts.text(1),
            authority: parts.authority(4),
            type_code: Some(parts.text(5)).filter(|kind| !kind.is_empty()),
            home: parts.authority(6),
        };
        Some(cx).filter(|cx| !cx.id.is_empty())
    }

    /// Writes one: `id^^^&OID&ISO`.
    pub fn write(&self) -> String {
        join(&[
            escape(&self.id),
            Cow::Borrowed(""),
            Cow::Borrowed(""),
            authority(self.authority.as_ref()),
            escape(self.type_code.as_deref().unwrap_or_default()),
            authority(self.home.as_ref()),
        ])
    }

    /// As an identifier of the domain. An id without authority that is an OID or another URI is one in the name space of these.
    pub fn identifier(&self) -> Identifier {
        let named = |system: &str, value: String| Identifier { system: system.to_owned(), value };
        match &self.authority {
            Some(authority) => Identifier { system: authority.system(), value: self.id.clone() },
            None if self.type_code.as_deref() == Some(STUDY_INSTANCE_UID) && is_oid(&self.id) => {
                named(DICOM_UID, format!("urn:oid:{}", self.id))
            }
            None if is_oid(&self.id) => named(URI, format!("urn:oid:{}", self.id)),
            None if self.id.contains(':') => named(URI, self.id.clone()),
            None => named("", self.id.clone()),
        }
    }

    /// An identifier of the domain.
    pub fn of(identifier: &Identifier) -> Cx {
        let Identifier { system, value } = identifier;
        let bare = || oid(value).unwrap_or(value).to_owned();
        match system.as_str() {
            DICOM_UID => Cx { id: bare(), type_code: Some(STUDY_INSTANCE_UID.to_owned()), ..Cx::default() },
            "" | URI => Cx { id: bare(), ..Cx::default() },
            system => Cx { id: value.clone(), authority: Hd::of(system), ..Cx::default() },
        }
    }
}

/// A coded string (authorRole, authorSpecialty): `code^^^&OID&ISO`, or words. Of words, the display is all there is.
pub fn coded(text: &str) -> Code {
    match Cx::read(text) {
        Some(Cx { id, authority: Some(authority), .. }) => {
            Code { system: authority.system(), code: id, display: None }
        }
        _ => Code { system: String::new(), code: String::new(), display: Some(unescape(text).into_owned()) },
    }
}

/// The coded string for a code: with its system where it has one, else how it reads.
pub fn write_coded(code: &Code) -> String {
    if !code.code.is_empty() && !code.system.is_empty() {
        let system = crate::attribute::system(&code.system);
        return Cx { id: code.code.clone(), authority: Hd::of(&system), ..Cx::default() }.write();
    }
    let words = code.display.as_deref().filter(|words| !words.is_empty()).unwrap_or(&code.code);
    escape(words).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_id_is_read_and_written() {
        let text = "6578946^^^&1.3.6.1.4.1.21367.2005.3.7&ISO";
        let cx = Cx::read(text).unwrap();
        let identifier = cx.identifier();
        assert_eq!(
            (identifier.system.as_str(), identifier.value.as_str()),
            ("urn:oid:1.3.6.1.4.1.21367.2005.3.7", "6578946")
        );
        assert_eq!(cx.write(), text);
        assert_eq!(Cx::of(&identifier), cx);
        assert_eq!(Cx::read("^^^&1.2&ISO"), None);
    }

    #[test]
    fn reference_ids_keep_their_type() {
        for text in [
            "2009.9.1.2455^^^&1.3.6.1.4.1.21367.2005.3.7&ISO^urn:ihe:iti:xds:2013:accession",
            "1.2.3.4^^^^urn:ihe:iti:xds:2016:studyInstanceUID",
            "urn:uuid:5a3b^^^^urn:ihe:iti:xdw:2013:workflowInstanceId",
            "a\\T\\b^^^NAME&1.2&ISO^urn:ihe:iti:xds:2013:order^&1.9&ISO",
        ] {
            assert_eq!(Cx::read(text).unwrap().write(), text);
        }
        let study = Cx::read("1.2.3.4^^^^urn:ihe:iti:xds:2016:studyInstanceUID").unwrap();
        assert_eq!(study.identifier().system, DICOM_UID);
        assert_eq!(Cx::of(&study.identifier()), study);
    }

    #[test]
    fn an_identifier_of_any_name_space_comes_back() {
        for (system, value) in [
            ("urn:oid:1.2.3", "a^b&c"),
            ("http://hospital.example/mrn", "7"),
            ("urn:ietf:rfc:3986", "urn:oid:1.2.3"),
            ("urn:ietf:rfc:3986", "urn:uuid:7d5bb8ac-68ee-4926-85e7-b8aac8e1f09d"),
            ("", "7"),
        ] {
            let identifier = Identifier { system: system.to_owned(), value: value.to_owned() };
            let text = Cx::of(&identifier).write();
            assert_eq!(Cx::read(&text).unwrap().identifier(), identifier, "{text}");
        }
    }

    #[test]
    fn a_coded_string_is_a_code_or_words() {
        let text = "101^^^&1.2.3&ISO";
        let code = coded(text);
        assert_eq!((code.system.as_str(), code.code.as_str()), ("urn:oid:1.2.3", "101"));
        assert_eq!(write_coded(&code), text);
        assert_eq!(coded("Attending"), Code { display: Some("Attending".into()), ..coded("") });
        assert_eq!(write_coded(&coded("Attending")), "Attending");
        let loinc = Code { system: "http://loinc.org".into(), code: "1".into(), display: None };
        assert_eq!(write_coded(&loinc), "1^^^&2.16.840.1.113883.6.1&ISO");
    }
}
