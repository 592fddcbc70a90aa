//! Both ways, and what is refused.

use serde_json::json;
use xds::{Finding, Rule};

use super::*;

fn back(resource: &Value) -> Value {
    let xml = write(resource.to_string().as_bytes()).expect("a resource of R4 can be written");
    parse(&xml, &Limits::default()).unwrap_or_else(|e| panic!("{e:?}\n{}", String::from_utf8_lossy(&xml)))
}

fn text(resource: &Value) -> String {
    String::from_utf8(write(resource.to_string().as_bytes()).expect("it can be written")).expect("UTF-8")
}

fn refused(text: &str) -> Finding {
    parse(text.as_bytes(), &Limits::default()).expect_err(text).remove(0)
}

fn patient(inner: &str) -> String {
    format!("<Patient xmlns=\"http://hl7.org/fhir\">{inner}</Patient>")
}

#[test]
fn every_kind_of_element_comes_back() {
    let resource = json!({
        "resourceType": "Patient",
        "id": "a",
        "meta": { "versionId": "1", "profile": ["https://example.org/p", "https://example.org/q"] },
        "text": { "status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p class=\"x\">a <b>bold</b> tail &amp; more<br/></p></div>" },
        "contained": [{ "resourceType": "Organization", "id": "o", "name": "A & \"B\" <C>" }],
        "extension": [
            { "url": "https://example.org/e", "valueDecimal": serde_json::from_str::<Value>("1.50").unwrap() },
            { "url": "https://example.org/f", "extension": [{ "url": "x", "valueBoolean": true }] },
        ],
        "active": true,
        "_active": { "id": "x1", "extension": [{ "url": "u", "valueCode": "c" }] },
        "name": [{ "id": "n1", "family": "Müller\n\t\"😀\"", "given": ["A", null, "C"], "_given": [null, { "extension": [{ "url": "u", "valueString": "v" }] }, { "id": "g" }] }],
        "_birthDate": { "extension": [{ "url": "absent", "valueCode": "unknown" }] },
        "multipleBirthInteger": 2,
        "managingOrganization": { "reference": "#o" },
    });
    assert_eq!(back(&resource), resource);
}

#[test]
fn elements_are_written_in_their_order_whatever_that_of_the_members() {
    let resource = json!({
        "birthDate": "2000-01-01",
        "_gender": { "id": "g" },
        "name": [{ "given": ["B"], "family": "A" }],
        "gender": "other",
        "id": "p",
        "resourceType": "Patient",
    });
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Patient xmlns=\"http://hl7.org/fhir\"><id value=\"p\"/><name><family value=\"A\"/><given value=\"B\"/></name><gender id=\"g\" value=\"other\"/><birthDate value=\"2000-01-01\"/></Patient>";
    assert_eq!(text(&resource), expected);
}

#[test]
fn a_bundle_holds_resources_of_every_type() {
    let resource = json!({
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 1,
        "link": [{ "relation": "self", "url": "https://example.org/?a=b&c=d" }],
        "entry": [
            { "fullUrl": "urn:uuid:1", "resource": { "resourceType": "Observation", "status": "final", "valueQuantity": { "value": 5, "code": "mg" } }, "search": { "mode": "match" } },
            { "resource": { "resourceType": "Parameters", "parameter": [{ "name": "r", "resource": { "resourceType": "Basic", "code": { "text": "t" } } }, { "name": "b", "valueBoolean": false }] } },
            { "response": { "status": "201", "outcome": { "resourceType": "OperationOutcome", "issue": [{ "severity": "error", "code": "invalid" }] } } },
        ],
    });
    assert_eq!(back(&resource), resource);
}

#[test]
fn pretty_says_the_same() {
    let resource = json!({ "resourceType": "Patient", "text": { "status": "empty", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">a\n  b</div>" }, "name": [{ "family": "A" }] });
    let xml = write_pretty(resource.to_string().as_bytes()).unwrap();
    assert!(xml.iter().filter(|byte| **byte == b'\n').count() > 5);
    assert_eq!(parse(&xml, &Limits::default()).unwrap(), resource);
}

#[test]
fn letters_that_xml_has_not_do_not_spoil_the_document() {
    let xml =
        write(br#"{"resourceType":"Patient","name":[{"family":"a\u0001b\ud83d\ude00\/\u00e9\uffff"}]}"#)
            .unwrap();
    let value = parse(&xml, &Limits::default()).unwrap();
    assert_eq!(value["name"][0]["family"], "a\u{fffd}b😀/é\u{fffd}");
}

#[test]
fn a_narrative_that_is_no_xml_is_written_as_its_text() {
    for div in
        ["<div>a &nbsp; b</div>", "<div><p></div>", "plain < text", "<div>a</div><div/>", "<divx/>", ""]
    {
        let resource = json!({ "resourceType": "Basic", "text": { "status": "generated", "div": div } });
        let read = back(&resource);
        let read = read["text"]["div"].as_str().unwrap();
        assert!(read.starts_with("<div xmlns=\"http://www.w3.org/1999/xhtml\">"), "{read}");
    }
    let without = json!({ "resourceType": "Basic", "text": { "div": "<div><p>x</p></div>" } });
    let with = "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>x</p></div>";
    assert_eq!(back(&without)["text"]["div"], with);
}

#[test]
fn what_is_no_resource_is_not_written() {
    for text in ["", "{", "[]", "1", "{}", r#"{"resourceType":"Patienz"}"#, r#"{"resourceType":"Patient"} x"#]
    {
        assert_eq!(write(text.as_bytes()), None, "{text}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(write(deep.as_bytes()), None);
}

#[test]
fn documents_that_could_hide_something_are_refused() {
    let bomb = patient(&"<extension url=\"u\">".repeat(100_000));
    let cases = [
        "<!DOCTYPE Patient><Patient xmlns=\"http://hl7.org/fhir\"/>".to_owned(),
        "<!DOCTYPE b [<!ENTITY x SYSTEM \"file:///etc/hostname\">]><Patient xmlns=\"http://hl7.org/fhir\"><id value=\"&x;\"/></Patient>".to_owned(),
        patient("<id value=\"&x;\"/>"),
        patient("<id value=\"&#1;\"/>"),
        patient("<id value=\"a<b\"/>"),
        patient("text"),
        patient("<![CDATA[ ]]>"),
        patient("&amp;"),
        patient("<x:name xmlns:x=\"urn:x\"/>"),
        patient("<id value=\"a\" value=\"b\"/>"),
        patient("<id other=\"a\"/>"),
        patient("<id value=\"a\">"),
        patient("<name></nam>"),
        patient("<contained/>"),
        patient("<contained><Basic/><Basic/></contained>"),
        patient("<text><div>no namespace</div></text>"),
        patient("<text><div xmlns=\"http://www.w3.org/1999/xhtml\">&nbsp;</div></text>"),
        patient("<active/>"),
        patient("\u{1}"),
        patient("") + "<Patient xmlns=\"http://hl7.org/fhir\"/>",
        "<Patient xmlns=\"http://hl7.org/fhir2\"/>".to_owned(),
        "<Patient/>".to_owned(),
        "<Patienz xmlns=\"http://hl7.org/fhir\"/>".to_owned(),
        "<?xml version=\"1.0\" encoding=\"UTF-16\"?>".to_owned() + &patient(""),
        "{\"resourceType\":\"Patient\"}".to_owned(),
        String::new(),
        bomb,
    ];
    for text in &cases {
        assert_eq!(refused(text).rule, Rule::Structure, "{text:.200}");
    }
}

#[test]
fn a_fault_says_line_and_path() {
    let finding = refused(
        "<Patient xmlns=\"http://hl7.org/fhir\">\n <name/>\n <name>\n  <given value=\"a\"/>\n  <given value=\"&x;\"/>\n </name></Patient>",
    );
    assert_eq!((finding.at.line, finding.at.path.as_str()), (Some((5, 3)), "Patient.name[1].given[1]"));
}

#[test]
fn limits_are_kept() {
    let limits = Limits { items: 3, nodes: 30, string: 20, ..Limits::default() };
    let refused = |inner: &str| parse(patient(inner).as_bytes(), &limits).expect_err(inner).remove(0).rule;
    assert_eq!(refused(&"<name><text value=\"a\"/></name>".repeat(4)), Rule::TooCostly);
    assert_eq!(
        refused(&"<name><text value=\"a\"/><text value=\"a\"/><text value=\"a\"/></name>".repeat(5)),
        Rule::TooCostly
    );
    assert_eq!(refused("<id value=\"aaaaaaaaaaaaaaaaaaaaaaa\"/>"), Rule::TooLong);
    let attributes: String = (0..200_000).map(|n| format!(" a{n}=\"\"")).collect();
    assert_eq!(refused(&format!("<id{attributes}/>")), Rule::Structure);
}

#[test]
fn what_other_writers_do_is_read() {
    let text = "\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<?xml-stylesheet href=\"x.xsl\"?><!-- c -->\n<f:Patient xmlns:f='http://hl7.org/fhir' xmlns:h=\"http://www.w3.org/1999/xhtml\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"a b\">
        <f:birthDate value='2000-01-01'></f:birthDate><!-- out of order --><f:id value='a'/>
        <f:text><f:status value=\"generated\"/><h:div class='a'>x<h:br/><![CDATA[<y>]]></h:div></f:text>
        <f:name><f:text value=\"a&#xA;b&apos;\nc\"/></f:name><f:active value=' true '/></f:Patient>\n";
    let value = parse(text.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(
        value,
        json!({
            "resourceType": "Patient", "id": "a", "birthDate": "2000-01-01", "active": true,
            "text": { "status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\" class=\"a\">x<br></br>&lt;y&gt;</div>" },
            "name": [{ "text": "a\nb' c" }],
        })
    );
}

#[test]
fn a_mistake_is_left_to_the_check_of_the_shapes() {
    let text = patient(
        "<foo value=\"1\"/><active value=\"yes\"/><managingOrganization><display value=\"a\"/></managingOrganization><managingOrganization><display value=\"b\"/></managingOrganization><name><family/></name>",
    );
    let found = parse(text.as_bytes(), &Limits::default()).expect_err("an empty element");
    assert_eq!(found[0].at.path, "Patient.name[0].family");
    let value =
        parse(text.replace("<family/>", "<family value=\"a\"/>").as_bytes(), &Limits::default()).unwrap();
    let found = crate::schema::check(&value, &xds::Place::at("Patient"));
    let paths: Vec<&str> = found.iter().map(|finding| finding.at.path.as_str()).collect();
    assert_eq!(paths, ["Patient.foo", "Patient.active", "Patient.managingOrganization"]);
}

#[test]
fn a_mistake_nobody_checks_later_is_told_with_its_place() {
    let text = "<Observation xmlns=\"http://hl7.org/fhir\"><foo value=\"a\"/><code><text value=\"a\"/></code><code><text value=\"b\"/></code><valueBoolean value=\"yes\"/></Observation>";
    let found = parse(text.as_bytes(), &Limits::default()).expect_err("three mistakes");
    let paths: Vec<&str> = found.iter().map(|finding| finding.at.path.as_str()).collect();
    assert_eq!(paths, ["Observation.foo", "Observation.code", "Observation.valueBoolean"]);
}

#[test]
fn of_a_value_given_twice_the_last_counts_and_the_first_is_kept() {
    let text =
        patient("<gender id=\"g\" value=\"other\"/><gender value=\"male\"/><birthDate value=\"2000\"/>");
    let value = parse(text.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(value["gender"], "male");
    assert_eq!(value["_gender"]["id"], "g");
    assert_eq!(value["_gender"]["extension"][0]["valueString"], "other");
    assert!(crate::schema::check(&value, &xds::Place::at("Patient")).is_empty());
    assert_eq!(back(&value), value);
}

proptest::proptest! {
    #[test]
    fn any_text_survives(family in "\\PC{0,40}", given in proptest::collection::vec(proptest::option::of("[a-z<>&\"'\n\t ]{1,9}"), 1..5)) {
        proptest::prop_assume!(!family.is_empty() && given.iter().any(Option::is_some));
        let siblings: Vec<Value> = given.iter().map(|g| if g.is_none() { json!({ "id": "i" }) } else { Value::Null }).collect();
        let mut name = json!({ "family": family, "given": given });
        if siblings.iter().any(|s| !s.is_null()) {
            name["_given"] = Value::Array(siblings);
        }
        let resource = json!({ "resourceType": "Patient", "name": [name] });
        proptest::prop_assert_eq!(back(&resource), resource);
    }

    #[test]
    fn no_document_panics(inner in "[<>/!?&;=\"'a-c \\-\\[\\]]{0,60}") {
        let _ = parse(patient(&inner).as_bytes(), &Limits::default());
        let _ = parse(inner.as_bytes(), &Limits::default());
    }

    #[test]
    fn no_json_panics(text in r#"[\[\]{}":,\\a-cu0 ]{0,60}"#) {
        let _ = write(text.as_bytes());
        let _ = write(format!(r#"{{"resourceType":"Patient","name":{text}}}"#).as_bytes());
    }
}
