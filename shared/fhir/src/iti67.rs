//! Find Document References [ITI-67].

use xds::filter::Of;
use xds::{Attribute, Filter, Findings};

use crate::search::{self, Ask, Asked, Here, Kind, Limits, Parameter, Search};

/// Every parameter beside those of the patient ([`search::PATIENT_PARAMETERS`]), in the order of `/metadata`. A new one
/// over a known attribute is a row here.
pub const PARAMETERS: &[Parameter<Attribute>] = &[
    row("status", Attribute::AvailabilityStatus, Kind::Token, "current or superseded."),
    row(
        "identifier",
        Attribute::Identifier,
        Kind::Token,
        "masterIdentifier, entryUUID or another identifier.",
    ),
    row("type", Attribute::TypeCode, Kind::Token, "typeCode."),
    row("category", Attribute::ClassCode, Kind::Token, "classCode."),
    Parameter {
        name: "creation",
        asks: Attribute::CreationTime,
        kind: Kind::Date,
        definition: Some("https://profiles.ihe.net/ITI/MHD/SearchParameter/DocumentReference-Creation"),
        targets: &[],
        documentation: "creationTime: when the document was made.",
    },
    row("date", Attribute::Date, Kind::Date, "When the reference was made."),
    row("period", Attribute::ServiceTime, Kind::Date, "serviceStartTime to serviceStopTime."),
    row("setting", Attribute::PracticeSettingCode, Kind::Token, "practiceSettingCode."),
    row("facility", Attribute::HealthcareFacilityTypeCode, Kind::Token, "healthcareFacilityTypeCode."),
    row("format", Attribute::FormatCode, Kind::Token, "formatCode."),
    row("event", Attribute::EventCode, Kind::Token, "eventCodeList."),
    row("security-label", Attribute::ConfidentialityCode, Kind::Token, "confidentialityCode."),
    refers("author", Attribute::AuthorReference, AUTHORS, "An author by reference, or author:identifier."),
    chain("author.identifier", Attribute::AuthorIdentifier, Kind::Token, "The same as author:identifier."),
    chain(
        "author.family",
        Attribute::AuthorFamily,
        Kind::String,
        "Family name of an author; :exact, :contains too.",
    ),
    chain(
        "author.given",
        Attribute::AuthorGiven,
        Kind::String,
        "Given name of an author; :exact, :contains too.",
    ),
    chain(
        "author.name",
        Attribute::AuthorName,
        Kind::String,
        "Any part of an author's name, or the name of its organization.",
    ),
    refers(
        "authenticator",
        Attribute::AuthenticatorReference,
        &["Practitioner", "PractitionerRole", "Organization"],
        "legalAuthenticator by reference, or authenticator:identifier.",
    ),
    row(
        "authenticator.identifier",
        Attribute::AuthenticatorIdentifier,
        Kind::Token,
        "The same as authenticator:identifier.",
    ),
    refers(
        "custodian",
        Attribute::CustodianReference,
        &["Organization"],
        "Who keeps the document, by reference, or custodian:identifier.",
    ),
    row(
        "custodian.identifier",
        Attribute::CustodianIdentifier,
        Kind::Token,
        "The same as custodian:identifier.",
    ),
    refers(
        "encounter",
        Attribute::EncounterReference,
        &["Encounter", "EpisodeOfCare"],
        "The encounter by reference, or encounter:identifier.",
    ),
    row(
        "encounter.identifier",
        Attribute::EncounterIdentifier,
        Kind::Token,
        "The same as encounter:identifier.",
    ),
    refers("related", Attribute::Related, &[], "referenceIdList: by reference, or related:identifier."),
    row("related.identifier", Attribute::ReferenceId, Kind::Token, "The same as related:identifier."),
    refers(
        "relatesto",
        Attribute::RelatesTo,
        &["DocumentReference"],
        "A document this one has a relation to; relatesto:identifier takes the identifier of that document.",
    ),
    row("relatesto.identifier", Attribute::RelatesTo, Kind::Token, "The same as relatesto:identifier."),
    row("relation", Attribute::RelatesTo, Kind::Token, "replaces, transforms, signs or appends."),
    row("description", Attribute::Comments, Kind::String, "comments."),
    row("contenttype", Attribute::MimeType, Kind::Token, "mimeType."),
    row("language", Attribute::LanguageCode, Kind::Token, "languageCode."),
    row("location", Attribute::Location, Kind::Uri, "Where the document is (content.attachment.url)."),
    Parameter {
        name: "targetCommunityIdList",
        asks: Attribute::HomeCommunity,
        kind: Kind::Uri,
        definition: Some(TARGET_COMMUNITIES),
        targets: &[],
        documentation: "homeCommunityId: this registry serves its own (domain.home_community_id).",
    },
    row("_id", Attribute::Id, Kind::Token, "Logical id."),
    row("_lastUpdated", Attribute::LastUpdated, Kind::Date, "When the registry last wrote it."),
];

/// Canonical of the search parameter of the Target Communities option.
pub(crate) const TARGET_COMMUNITIES: &str =
    "https://profiles.ihe.net/ITI/MHD/SearchParameter/IHE-TargetCommunityIdList";

/// What an author can be.
pub(crate) const AUTHORS: &[&str] =
    &["Practitioner", "PractitionerRole", "Organization", "Device", "Patient", "RelatedPerson"];

const fn row(
    name: &'static str,
    asks: Attribute,
    kind: Kind,
    documentation: &'static str,
) -> Parameter<Attribute> {
    Parameter { name, asks, kind, definition: None, targets: &[], documentation }
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

pub(crate) const ASK: Ask = Ask {
    of: Of::Documents,
    parameters: PARAMETERS,
    status_system: "http://hl7.org/fhir/document-reference-status",
};

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
    use xds::filter::{PatientIs, Test};
    use xds::{Availability, Moment, Rule, Token};

    use super::*;

    const LIMITS: Limits = Limits { parameters: 64, values: 100, value_bytes: 1024, count: 1000 };
    const HERE: Here<'_> = Here {
        own: &["https://identity.example/fhir", "https://registry.example/fhir"],
        home_community: Some("urn:oid:1.2.3.4"),
        zone: &jiff::tz::TimeZone::UTC,
    };

    fn ask(query: &str) -> Result<Search<Filter>, Findings> {
        read_request(query, None, None, HERE, &LIMITS)
    }

    fn identifier(system: Option<&str>, value: &str) -> PatientIs {
        PatientIs::Identifier { system: system.map(str::to_owned), value: value.to_owned() }
    }

    #[test]
    fn a_patient_is_named_in_every_form() {
        for (query, is) in [
            ("patient=9876", PatientIs::Id("9876".to_owned())),
            ("patient=Patient/9876", PatientIs::Id("9876".to_owned())),
            ("subject=Patient/9876", PatientIs::Id("9876".to_owned())),
            ("patient:Patient=9876", PatientIs::Id("9876".to_owned())),
            ("patient=https://identity.example/fhir/Patient/9876", PatientIs::Id("9876".to_owned())),
            (
                "patient=https://identity.example/fhir/Patient/9876/_history/3",
                PatientIs::Id("9876".to_owned()),
            ),
            (
                "patient=http://elsewhere/fhir/Patient/1",
                identifier(Some("http://elsewhere/fhir"), "Patient/1"),
            ),
            ("patient.identifier=urn:oid:1.2|a", identifier(Some("urn:oid:1.2"), "a")),
            ("patient.identifier=a", identifier(None, "a")),
            ("patient:Patient.identifier=a", identifier(None, "a")),
            ("subject:Patient.identifier=|a", identifier(Some(""), "a")),
            ("patient:identifier=s%7Ca", identifier(Some("s"), "a")),
        ] {
            assert_eq!(ask(query).unwrap().filter.patients, [vec![is]], "{query}");
        }
        for query in [
            "patient=Organization/1",
            "patient=a b",
            "patient.identifier=s|",
            "patient:name=x",
            "patient.gender=f",
            "patient.birthdate=soon",
            "patient:Group.identifier=x",
            "patient=../x",
        ] {
            assert!(ask(query).is_err(), "{query}");
        }
    }

    #[test]
    fn alternatives_are_or_and_repetition_is_and() {
        let filter =
            ask("patient=1&type=http://loinc.org|1,2&type=3&status=current,superseded").unwrap().filter;
        let code = |system: Option<&str>, code: &str| {
            Test::Token(Token { system: system.map(str::to_owned), code: Some(code.to_owned()) })
        };
        assert_eq!(filter.all.len(), 3);
        assert_eq!(filter.all[0].any, [code(Some("2.16.840.1.113883.6.1"), "1"), code(None, "2")]);
        assert_eq!(
            filter.all[2].any,
            [Test::Status(Availability::Approved), Test::Status(Availability::Deprecated)]
        );
    }

    #[test]
    fn unknown_parameters_are_named_and_left_out_of_self() {
        let search = ask("patient=1&foo=bar&_count=3&_fancy=1&_include=DocumentReference:content").unwrap();
        let names: Vec<&str> = search.honoured.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["patient", "_count"]);
        assert_eq!(search.warnings.len(), 2);
        let strict = read_request("patient=1&foo=bar", None, Some("handling=strict"), HERE, &LIMITS)
            .expect_err("strict");
        assert_eq!((strict[0].rule, strict[0].rule.row().status), (Rule::UnknownParameter, 400));
        assert!(strict[0].text.contains("security-label"));
    }

    #[test]
    fn what_nothing_is_sorted_by_is_told_and_left_out_of_self() {
        let search = ask("patient=1&_sort=date,-creation,author,contents").unwrap();
        assert_eq!(search.result.sort, [("date".to_owned(), false), ("creation".to_owned(), true)]);
        assert_eq!(search.honoured[1], ("_sort".to_owned(), "date,-creation".to_owned()));
        assert_eq!(search.warnings.len(), 2);
        let strict = "patient=1&_sort=date,contents";
        assert!(read_request(strict, None, Some("handling=strict"), HERE, &LIMITS).is_err());
    }

    #[test]
    fn a_misspelled_name_is_answered_with_the_nearest_one() {
        for (given, meant) in [
            ("patient.identifer", "patient.identifier"),
            ("authr.family", "author.family"),
            ("Status", "status"),
            ("securitylabel", "security-label"),
        ] {
            let search = ask(&format!("patient=1&{given}=x")).unwrap();
            let text = &search.warnings[0].text;
            assert!(text.contains(&format!("Did you mean {meant}?")), "{text}");
        }
    }

    #[test]
    fn a_reference_is_looked_for_in_every_spelling() {
        let spellings = |query: &str| -> Vec<String> {
            let clause = ask(&format!("patient=1&{query}")).unwrap().filter.all.remove(0);
            clause
                .any
                .into_iter()
                .map(|test| match test {
                    Test::Reference(text) => text,
                    other => panic!("{other:?}"),
                })
                .collect()
        };
        let own = [
            "Practitioner/7",
            "https://identity.example/fhir/Practitioner/7",
            "https://registry.example/fhir/Practitioner/7",
        ];
        for query in [
            "author=Practitioner/7",
            "author:Practitioner=7",
            "author=https://registry.example/fhir/Practitioner/7/_history/2",
        ] {
            let found = spellings(query);
            assert!(own.iter().all(|own| found.iter().any(|one| one == own)), "{query}: {found:?}");
        }
        assert!(spellings("author=7").contains(&"Device/7".to_owned()));
        assert_eq!(
            spellings("custodian=http://directory.example/Organization/1"),
            ["http://directory.example/Organization/1"]
        );
        assert_eq!(
            spellings("relatesto=DocumentReference/0C3151BD-1CBF-4D64-B04D-CD9187A4C6E0"),
            ["0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"]
        );
        for query in ["author=%23author", "author:Location=1", "author:Location.family=x", "relatesto=List/1"]
        {
            assert!(ask(&format!("patient=1&{query}")).is_err(), "{query}");
        }
    }

    #[test]
    fn modifiers_say_what_they_say_in_r4() {
        let clause = |query: &str| ask(&format!("patient=1&{query}")).unwrap().filter.all.remove(0);
        assert!(clause("type:not=1,2").negated && clause("status:not=current").negated);
        let missing = clause("author:missing=true");
        assert_eq!((missing.attribute, missing.negated), (Attribute::AuthorReference, true));
        assert_eq!(clause("type:text=Consult").any, [Test::Begins("Consult".to_owned())]);
        assert_eq!(clause("author:identifier=a|1").attribute, Attribute::AuthorIdentifier);
        assert_eq!(clause("related:identifier=a|1").attribute, Attribute::ReferenceId);
        for query in
            ["type:in=http://x", "type:below=1", "identifier:text=1", "_id:missing=true", "date:exact=1"]
        {
            let refused = ask(&format!("patient=1&{query}")).expect_err(query);
            assert_eq!(refused[0].rule, Rule::UnsupportedModifier, "{query}");
        }
        assert_eq!(ask("patient=1&type:missing=perhaps").expect_err("a word")[0].rule, Rule::Value);
    }

    #[test]
    fn a_community_is_served_or_refused() {
        for own in ["urn:oid:1.2.3.4", "1.2.3.4"] {
            assert!(ask(&format!("patient=1&targetCommunityIdList={own}")).unwrap().filter.all.is_empty());
        }
        for other in ["urn:oid:9.9", "urn:oid:1.2.3.4,urn:oid:9.9"] {
            let refused = ask(&format!("patient=1&targetCommunityIdList={other}")).expect_err(other);
            assert_eq!(refused[0].rule, Rule::UnknownCommunity);
        }
    }

    #[test]
    fn what_points_to_a_document_can_be_asked_for() {
        let filter = ask("patient=1&_has:List:item:code=folder").unwrap().filter;
        assert_eq!((filter.has[0].of, filter.has[0].link), (Of::Lists, xds::filter::Link::Member));
        assert_eq!(filter.has[0].clause.attribute, Attribute::ListKind);
        let filter = ask("patient=1&_has:DocumentReference:relatesto:type:not=1").unwrap().filter;
        assert!(filter.has[0].clause.negated);
        assert!(ask("patient=1&_has:List:item:source.family=x").unwrap().filter.has[0].clause.any.len() == 1);
        for query in
            ["_has:Observation:subject:code=1", "_has:List:item=1", "_has:List:item:nothing=1", "_has=1"]
        {
            assert_eq!(
                ask(&format!("patient=1&{query}")).expect_err(query)[0].rule,
                Rule::NotSupported,
                "{query}"
            );
        }
    }

    #[test]
    fn what_is_to_be_included_is_read_from_a_table() {
        let steps = |query: &str| ask(&format!("patient=1&{query}")).unwrap().result.follow;
        assert_eq!(steps("_include=DocumentReference:patient").len(), 1);
        assert_eq!(steps("_include=*").len(), 3);
        assert!(steps("_include=DocumentReference:author").is_empty());
        assert!(steps("_include:iterate=DocumentReference:relatesto")[0].iterate);
        assert_eq!(steps("_revinclude=List:item").len(), 2);
        for query in [
            "_include=DocumentReference:patient:Patient",
            "_include:iterate=*",
            "_revinclude=Provenance:target",
        ] {
            let search = ask(&format!("patient=1&{query}")).unwrap();
            assert_eq!((search.warnings.len(), search.honoured.len()), (1, 1), "{query}");
        }
    }

    #[test]
    fn a_date_without_zone_is_one_of_the_server() {
        let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        let here = Here { zone: &berlin, ..HERE };
        let asked = |query: &str| {
            read_request(query, None, None, here, &LIMITS).unwrap().filter.all[0].any[0].clone()
        };
        assert_eq!(asked("date=2024-07-01T10:00"), asked("date=2024-07-01T08:00Z"));
        assert_ne!(asked("date=2024-07-01"), ask("date=2024-07-01").unwrap().filter.all[0].any[0]);
    }

    #[test]
    fn unsupported_modifiers_and_bad_values_are_refused_in_both_modes() {
        for (query, rule) in [
            ("patient=1&type:fuzzy=1", Rule::UnsupportedModifier),
            ("patient=1&creation=ge2024-02-30", Rule::Value),
            ("patient=1&status=final", Rule::Value),
            ("patient=1&_id=a%20b", Rule::Value),
            ("patient=1&date=ap2024", Rule::Value),
        ] {
            assert_eq!(ask(query).expect_err(query)[0].rule, rule, "{query}");
        }
    }

    #[test]
    fn an_id_that_cannot_be_one_of_ours_finds_nothing() {
        let filter = ask("_id=example").unwrap().filter;
        assert_eq!(filter.all[0].any, [Test::Id(uuid::Uuid::nil().into())]);
    }

    #[test]
    fn get_and_form_parameters_both_apply() {
        let filter =
            read_request("patient=1", Some("patient=2&date=2024"), None, HERE, &LIMITS).unwrap().filter;
        assert_eq!(filter.patients.len(), 2);
        assert!(matches!(filter.all[0].any[0], Test::Moment(Moment::Within(..))));
    }

    #[test]
    fn a_search_must_name_something_narrow() {
        let narrow = |query: &str| search::narrow(&ask(query).unwrap()).is_ok();
        assert!(!narrow("status=current"));
        assert!(!narrow("identifier=urn:ietf:rfc:3986%7C"), "a name space names nothing");
        assert!(!narrow("identifier=a,urn:ietf:rfc:3986%7C"));
        assert!(!narrow("_has:List:item:code=folder"));
        assert!(!narrow("relation=replaces"));
        for query in [
            "patient=1",
            "subject.identifier=a",
            "identifier=a",
            "_id=1",
            "patient.family=x",
            "relatesto=0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
            "_has:List:item:identifier=1.2",
            "status=current&_summary=count",
            "_count=0",
        ] {
            assert!(narrow(query), "{query}");
        }
    }

    #[test]
    fn a_misspelt_name_of_the_patient_is_told_with_the_refusal() {
        let refused =
            search::narrow(&ask("patient.identifer=a&status=current").unwrap()).expect_err("too broad");
        assert_eq!(refused[0].rule, Rule::SearchTooBroad);
        assert!(refused[1].text.contains("Did you mean patient.identifier?"), "{}", refused[1].text);
    }

    #[test]
    fn an_identifier_is_no_reference() {
        for query in ["patient=urn:oid:1.2|a", "subject=1.2|a"] {
            let refused = ask(query).expect_err(query);
            assert!(refused[0].text.contains("patient.identifier"), "{}", refused[0].text);
        }
        for query in
            ["patient=urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "patient:identifier=urn:oid:1.2|a"]
        {
            assert!(ask(query).is_ok(), "{query}");
        }
    }

    #[test]
    fn what_would_narrow_the_answer_and_does_not_is_told() {
        for name in ["_text", "_content", "_filter", "_tag", "_profile", "_security"] {
            let query = format!("patient=1&{name}=x");
            let search = ask(&query).unwrap();
            assert_eq!(search.warnings.len(), 1, "{name}");
            assert!(!search.honoured.iter().any(|(honoured, _)| honoured == name), "{name}");
            assert!(read_request(&query, None, Some("handling=strict"), HERE, &LIMITS).is_err(), "{name}");
        }
        assert!(ask("patient=1&_contained=true&_fancy=1").unwrap().warnings.is_empty());
    }
}
