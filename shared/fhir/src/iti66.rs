//! Find Document Lists [ITI-66].

use xds::filter::Of;
use xds::{Attribute, Filter, Findings};

use crate::iti67::{AUTHORS, TARGET_COMMUNITIES};
use crate::search::{self, Ask, Asked, Here, Kind, Limits, Parameter, Search};

/// Every parameter beside those of the patient ([`search::PATIENT_PARAMETERS`]), in the order of `/metadata`.
pub const PARAMETERS: &[Parameter<Attribute>] = &[
    row("code", Attribute::ListKind, Kind::Token, None, "submissionset or folder."),
    row("status", Attribute::AvailabilityStatus, Kind::Token, None, "current, or superseded (retired)."),
    row("date", Attribute::Date, Kind::Date, None, "submissionTime, or lastUpdateTime of a folder."),
    row(
        "designationType",
        Attribute::DesignationType,
        Kind::Token,
        Some("https://profiles.ihe.net/ITI/MHD/SearchParameter/List-DesignationType"),
        "contentTypeCode, or codeList of a folder.",
    ),
    row("identifier", Attribute::Identifier, Kind::Token, None, "uniqueId or entryUUID."),
    row(
        "sourceId",
        Attribute::SourceId,
        Kind::Token,
        Some("https://profiles.ihe.net/ITI/MHD/SearchParameter/List-SourceId"),
        "sourceId; a system is passed over.",
    ),
    refers("source", Attribute::AuthorReference, AUTHORS, "The author by reference, or source:identifier."),
    chain("source.identifier", Attribute::AuthorIdentifier, Kind::Token, "The same as source:identifier."),
    chain("source.family", Attribute::AuthorFamily, Kind::String, "Family name of the author."),
    chain("source.given", Attribute::AuthorGiven, Kind::String, "Given name of the author."),
    chain(
        "source.name",
        Attribute::AuthorName,
        Kind::String,
        "Any part of the author's name, or the name of its organization.",
    ),
    refers(
        "item",
        Attribute::Member,
        &["DocumentReference", "List"],
        "A member; item:identifier takes the identifier of the document or folder.",
    ),
    row("item.identifier", Attribute::Member, Kind::Token, None, "The same as item:identifier."),
    row("title", Attribute::Title, Kind::String, None, "title."),
    row("notes", Attribute::Comments, Kind::String, None, "comments."),
    refers(
        "encounter",
        Attribute::EncounterReference,
        &["Encounter"],
        "The encounter by reference, or encounter:identifier.",
    ),
    row(
        "encounter.identifier",
        Attribute::EncounterIdentifier,
        Kind::Token,
        None,
        "The same as encounter:identifier.",
    ),
    row(
        "targetCommunityIdList",
        Attribute::HomeCommunity,
        Kind::Uri,
        Some(TARGET_COMMUNITIES),
        "homeCommunityId: this registry serves its own (domain.home_community_id).",
    ),
    row("_id", Attribute::Id, Kind::Token, None, "Logical id."),
    row("_lastUpdated", Attribute::LastUpdated, Kind::Date, None, "When the registry last wrote it."),
];

const fn row(
    name: &'static str,
    asks: Attribute,
    kind: Kind,
    definition: Option<&'static str>,
    documentation: &'static str,
) -> Parameter<Attribute> {
    Parameter { name, asks, kind, definition, targets: &[], documentation }
}

const fn chain(
    name: &'static str,
    asks: Attribute,
    kind: Kind,
    documentation: &'static str,
) -> Parameter<Attribute> {
    Parameter { name, asks, kind, definition: None, targets: AUTHORS, documentation }
}

const fn refers(
    name: &'static str,
    asks: Attribute,
    targets: &'static [&'static str],
    documentation: &'static str,
) -> Parameter<Attribute> {
    Parameter { name, asks, kind: Kind::Reference, definition: None, targets, documentation }
}

pub(crate) const ASK: Ask =
    Ask { of: Of::Lists, parameters: PARAMETERS, status_system: "http://hl7.org/fhir/list-status" };

/// Reads a search.
pub fn read_request(
    query: &str,
    form: Option<&str>,
    prefer: Option<&str>,
    here: Here<'_>,
    limits: &Limits,
) -> Result<Search<Filter>, Findings> {
    search::ask(&ASK, &Asked { query, form, prefer, here }, limits)
}

#[cfg(test)]
mod tests {
    use xds::filter::Test;
    use xds::{Availability, Token};

    use super::*;

    const LIMITS: Limits = Limits { parameters: 64, values: 100, value_bytes: 1024, count: 1000 };

    #[test]
    fn lists_are_asked_for_by_kind_source_and_author() {
        let query = "patient=1&code=submissionset&status=retired&sourceId=x|urn:oid:1.2&source.family=Care";
        let filter = read_request(
            query,
            None,
            None,
            Here { own: &[], home_community: None, zone: &jiff::tz::TimeZone::UTC },
            &LIMITS,
        )
        .unwrap()
        .filter;
        assert_eq!(filter.of, Of::Lists);
        let token = |code: &str| Test::Token(Token { system: None, code: Some(code.to_owned()) });
        let tests: Vec<&Test> = filter.all.iter().map(|clause| &clause.any[0]).collect();
        let expected = [
            token("submissionset"),
            Test::Status(Availability::Deprecated),
            token("1.2"),
            Test::Begins("Care".to_owned()),
        ];
        assert_eq!(tests, expected.iter().collect::<Vec<_>>());
    }
}
