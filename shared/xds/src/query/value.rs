//! What single values of stored queries say (TF-2 3.18.4.1.2.3.5).

use super::{Means, Parameter};
use crate::attribute::{identifier_value, system};
use crate::filter::{PatientIs, Test, Token};
use crate::hl7;
use crate::types::{EntryKind, EntryUuid, Timestamp};

const STABLE: &str = "7edca82f-054d-47f2-a032-9b2a5b5186c1";
const ON_DEMAND: &str = "34268e47-fdf5-41a6-ba33-82133c465248";
const ONLINE: &str = "urn:ihe:iti:2010:DocumentAvailability:Online";
const OFFLINE: &str = "urn:ihe:iti:2010:DocumentAvailability:Offline";

/// Whose objects. An id without assigning authority is one in no name space.
pub(super) fn patient(value: &str) -> PatientIs {
    let (system, value) = match hl7::Cx::read(value).map(|cx| cx.identifier()) {
        Some(identifier) => (identifier.system, identifier.value),
        None => (String::new(), value.to_owned()),
    };
    PatientIs::Identifier { system: Some(system), value }
}

/// `code^^scheme`. A code alone is one of any scheme: an old way to ask, which the samples of the framework still show.
pub(super) fn code(value: &str) -> Option<Test> {
    let token = |scheme: Option<&str>, code: &str| {
        Test::Token(Token { system: scheme.map(system), code: Some(code.to_owned()) })
    };
    match value.split('^').collect::<Vec<_>>().as_slice() {
        [code] if !code.is_empty() => Some(token(None, code)),
        [code, "", scheme] if !code.is_empty() && !scheme.trim().is_empty() => {
            Some(token(Some(scheme), code))
        }
        _ => None,
    }
}

/// A time, of any precision.
pub(super) fn time(value: &str) -> Option<Timestamp> {
    hl7::dtm::read(value.trim())
}

/// A pattern; one that leaves nothing open is a text.
pub(super) fn pattern(value: &str) -> Test {
    if value.contains(['%', '_']) { Test::Like(value.to_owned()) } else { Test::Exactly(value.to_owned()) }
}

/// An identifier of referenceIdList: compared as it is, unless `%` says that something is left open.
pub(super) fn reference_id(value: &str) -> Test {
    let value = value.trim_end_matches('^');
    if value.contains('%') { Test::Like(value.to_owned()) } else { Test::Exactly(value.to_owned()) }
}

/// An OID, with or without prefix.
pub(super) fn oid(value: &str) -> Test {
    Test::Token(Token { system: None, code: Some(identifier_value(value)) })
}

/// An entryUUID; one that is none names nothing.
pub(super) fn entry_uuid(value: &str) -> Option<EntryUuid> {
    EntryUuid::parse(value.trim())
}

/// objectType.
pub(super) fn entry_kind(value: &str) -> Option<EntryKind> {
    match EntryUuid::parse(&value.trim().to_ascii_lowercase())?.as_str() {
        STABLE => Some(EntryKind::Stable),
        ON_DEMAND => Some(EntryKind::OnDemand),
        _ => None,
    }
}

/// documentAvailability: whether it is online.
pub(super) fn online(value: &str) -> Option<bool> {
    match value {
        ONLINE => Some(true),
        OFFLINE => Some(false),
        _ => None,
    }
}

/// What is wrong with a value, and what is accepted.
pub(super) fn wrong(parameter: &Parameter, value: &str) -> String {
    let shown: String = match parameter.means {
        // Who a patient is does not go into an error.
        Means::Patient => "The value".to_owned(),
        _ => format!("The value {}", value.chars().filter(|c| !c.is_control()).take(64).collect::<String>()),
    };
    format!("{shown} of {} cannot be read; it is written {}.", parameter.name, parameter.means.form())
}
