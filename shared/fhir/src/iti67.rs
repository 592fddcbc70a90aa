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
        documentation: "creationTime: when the document was made.",
    },
    row("date", Attribute::Date, Kind::Date, "When the reference was made."),
    row("period", Attribute::ServiceTime, Kind::Date, "serviceStartTime to serviceStopTime."),
    row("setting", Attribute::PracticeSettingCode, Kind::Token, "practiceSettingCode."),
    row("facility", Attribute::HealthcareFacilityTypeCode, Kind::Token, "healthcareFacilityTypeCode."),
    row("format", Attribute::FormatCode, Kind::Token, "formatCode."),
    row("event", Attribute::EventCode, Kind::Token, "eventCodeList."),
    row("security-label", Attribute::ConfidentialityCode, Kind::Token, "confidentialityCode."),
    row(
        "author.family",
        Attribute::AuthorFamily,
        Kind::String,
        "Family name of an author; :exact, :contains too.",
    ),
    row(
        "author.given",
        Attribute::AuthorGiven,
        Kind::String,
        "Given name of an author; :exact, :contains too.",
    ),
    row(
        "related",
        Attribute::ReferenceId,
        Kind::Reference,
        "referenceIdList: by reference, or related:identifier.",
    ),
    row("related.identifier", Attribute::ReferenceId, Kind::Token, "The same as related:identifier."),
    row("_id", Attribute::Id, Kind::Token, "Logical id."),
    row("_lastUpdated", Attribute::LastUpdated, Kind::Date, "When the registry last wrote it."),
];

const fn row(
    name: &'static str,
    asks: Attribute,
    kind: Kind,
    documentation: &'static str,
) -> Parameter<Attribute> {
    Parameter { name, asks, kind, definition: None, documentation }
}

const ASK: Ask = Ask {
    of: Of::Documents,
    parameters: PARAMETERS,
    sorts: &["date", "creation", "_lastUpdated"],
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
        let search = ask("patient=1&foo=bar&_count=3&_fancy=1&_include=DocumentReference:patient").unwrap();
        let names: Vec<&str> = search.honoured.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["patient", "_count"]);
        assert_eq!(search.warnings.len(), 2);
        let strict = read_request("patient=1&foo=bar", None, Some("handling=strict"), HERE, &LIMITS)
            .expect_err("strict");
        assert_eq!((strict[0].rule, strict[0].rule.row().status), (Rule::UnknownParameter, 400));
        assert!(strict[0].text.contains("security-label"));
    }

    #[test]
    fn a_second_key_of_sorting_is_told_and_left_out_of_self() {
        let search = ask("patient=1&_sort=date,-creation").unwrap();
        assert_eq!(search.result.sort, [("date".to_owned(), false)]);
        assert_eq!(search.honoured[1], ("_sort".to_owned(), "date".to_owned()));
        assert_eq!(search.warnings.len(), 1);
        let strict = "patient=1&_sort=date,-creation";
        assert!(read_request(strict, None, Some("handling=strict"), HERE, &LIMITS).is_err());
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
            ("patient=1&status:not=current", Rule::UnsupportedModifier),
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
        let narrow = |query: &str| {
            let search = ask(query).unwrap();
            search::narrow(&search.filter, &search.result).is_ok()
        };
        assert!(!narrow("status=current"));
        assert!(!narrow("identifier=urn:ietf:rfc:3986%7C"), "a name space names nothing");
        assert!(!narrow("identifier=a,urn:ietf:rfc:3986%7C"));
        for query in [
            "patient=1",
            "subject.identifier=a",
            "identifier=a",
            "_id=1",
            "status=current&_summary=count",
            "_count=0",
        ] {
            assert!(narrow(query), "{query}");
        }
    }
}
