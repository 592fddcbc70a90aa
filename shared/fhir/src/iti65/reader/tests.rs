//! Bodies in JSON and XML, cut anywhere.

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use xds::Rule;

use super::*;

const LIMITS: Limits =
    Limits { body: 1 << 20, document: 1 << 20, submission: 2 << 20, documents: 4, entries: 5 };

/// The documents by entry, and the shell; the body cut at these positions.
type Outcome = Result<(Vec<(usize, Vec<u8>)>, Value), Findings>;

fn read_in(pieces: &[&[u8]], limits: Limits) -> Outcome {
    read_as(pieces, limits, Syntax::Json)
}

fn read_as(pieces: &[&[u8]], limits: Limits, syntax: Syntax) -> Outcome {
    let mut reader = Reader::of(Form::Bundle, syntax, limits);
    let mut documents: Vec<(usize, Vec<u8>)> = Vec::new();
    for piece in pieces {
        let mut events = Vec::new();
        reader.feed(piece, &mut events)?;
        for event in events {
            match event {
                Event::Begin(entry) => documents.push((entry, Vec::new())),
                Event::Bytes(bytes) => documents.last_mut().unwrap().1.extend_from_slice(&bytes),
                Event::End => {}
            }
        }
    }
    Ok((documents, reader.finish()?))
}

fn read(text: &str) -> Outcome {
    read_in(&[text.as_bytes()], LIMITS)
}

fn bundle(data: &str) -> String {
    format!(
        r#"{{"resourceType":"Bundle","data":"x","entry":[{{"resource":{{"resourceType":"List","title":"\"data\":"}}}},
        {{"fullUrl":"urn:uuid:1","resource":{{"nested":{{"data":"kept"}},"data":"{data}","resourceType":"Binary"}}}}]}}"#
    )
}

#[test]
fn data_is_decoded_and_left_out() {
    let (documents, shell) = read(&bundle("SGVsbG8gV29ybGQ=")).unwrap();
    assert_eq!(documents, [(1, b"Hello World".to_vec())]);
    assert_eq!(shell["entry"][1]["resource"]["data"], "");
    assert_eq!(shell["entry"][1]["resource"]["nested"]["data"], "kept");
    assert_eq!(shell["data"], "x");
    assert_eq!(shell["entry"][0]["resource"]["title"], "\"data\":");
}

#[test]
fn each_form_has_its_documents_in_its_own_place() {
    let cases = [
        (Form::DocumentReference, r#"{"content":[{"attachment":{"data":"SGVsbG8="}}],"data":"x"}"#, 0),
        (Form::Parameters, r#"{"parameter":[{"name":"x"},{"resource":{"data":"SGVsbG8="}}]}"#, 1),
        (Form::BundleOrParameters, r#"{"entry":[{},{"resource":{"data":"SGVsbG8="}}]}"#, 1),
        (
            Form::BundleOrParameters,
            r#"{"parameter":[{"resource":{"entry":[{"resource":{"data":"SGVsbG8="}}]}}]}"#,
            0,
        ),
    ];
    for (form, text, index) in cases {
        let (mut events, mut reader) = (Vec::new(), Reader::of(form, Syntax::Json, LIMITS));
        reader.feed(text.as_bytes(), &mut events).unwrap();
        assert!(matches!(events[0], Event::Begin(n) if n == index), "{form:?} {events:?}");
        assert!(matches!(&events[1], Event::Bytes(bytes) if bytes[..] == b"Hello"[..]), "{form:?}");
        assert!(!reader.finish().unwrap().to_string().contains("SGVs"), "{form:?}");
    }
    // In a FHIR document that travels in Parameters, the Binaries belong to it.
    let document = r#"{"parameter":[{"resource":{"entry":[{"resource":{"data":"SGVsbG8="}}]}}]}"#;
    let (mut events, mut reader) = (Vec::new(), Reader::of(Form::Parameters, Syntax::Json, LIMITS));
    reader.feed(document.as_bytes(), &mut events).unwrap();
    assert!(events.is_empty());
    assert!(reader.finish().unwrap().to_string().contains("SGVs"));
}

#[test]
fn each_form_has_its_documents_in_its_own_place_in_xml() {
    let cases = [
        (
            Form::DocumentReference,
            "<DocumentReference xmlns=\"http://hl7.org/fhir\"><content><attachment><data value=\"SGVsbG8=\"/></attachment></content></DocumentReference>",
            0,
        ),
        (
            Form::Parameters,
            "<Parameters xmlns=\"http://hl7.org/fhir\"><parameter><name value=\"x\"/></parameter><parameter><resource><Binary><data value=\"SGVsbG8=\"/></Binary></resource></parameter></Parameters>",
            1,
        ),
        (
            Form::BundleOrParameters,
            "<Bundle xmlns=\"http://hl7.org/fhir\"><entry><fullUrl value=\"x\"/></entry><entry><resource><Binary><data value=\"SGVsbG8=\"/></Binary></resource></entry></Bundle>",
            1,
        ),
        (
            Form::BundleOrParameters,
            "<Parameters xmlns=\"http://hl7.org/fhir\"><parameter><resource><Bundle><entry><resource><Binary><data value=\"SGVsbG8=\"/></Binary></resource></entry></Bundle></resource></parameter></Parameters>",
            0,
        ),
    ];
    for (form, text, index) in cases {
        let (mut events, mut reader) = (Vec::new(), Reader::of(form, Syntax::Xml, LIMITS));
        reader.feed(text.as_bytes(), &mut events).unwrap();
        assert!(matches!(events[0], Event::Begin(n) if n == index), "{form:?} {events:?}");
        assert!(matches!(&events[1], Event::Bytes(bytes) if bytes[..] == b"Hello"[..]), "{form:?}");
        assert!(!reader.finish().unwrap().to_string().contains("SGVs"), "{form:?}");
    }
}

#[test]
fn line_breaks_and_escapes_within_base64_are_resolved() {
    let (documents, _) = read(&bundle(r"SGVs\nbG8g\r\n V29y\u0062GQ\u003d\t")).unwrap();
    assert_eq!(documents[0].1, b"Hello World");
    let (documents, _) = read(&bundle(r"\/\/79")).unwrap();
    assert_eq!(documents[0].1, STANDARD.decode("//79").unwrap());
}

#[test]
fn what_is_not_base64_is_named() {
    for data in [
        "SGVsbG8*",
        "SGVsbG8",
        "S===",
        "SGVsbG8=SGVs",
        "=",
        "SGVs\u{e9}",
        r"SGVs\b",
        r"SGVs\u1234",
        "SGVsbG8===",
    ] {
        let findings = read(&bundle(data)).expect_err(data);
        assert_eq!(findings[0].rule, Rule::Value, "{data}");
        assert_eq!(findings[0].at.path, "Bundle.entry[1].resource.data");
    }
}

#[test]
fn a_member_name_written_in_escapes_hides_nothing() {
    let text = bundle("SGVsbG8gV29ybGQ=").replace("\"data\":\"SG", "\"d\\u0061ta\":\"SG");
    assert_eq!(read(&text).unwrap().0, [(1, b"Hello World".to_vec())]);
}

#[test]
fn an_empty_document_begins_and_ends() {
    assert_eq!(read(&bundle("")).unwrap().0, [(1, Vec::new())]);
}

#[test]
fn limits_are_named() {
    let long = STANDARD.encode(vec![7; 100]);
    let refused = |limits, rule, key: &str| {
        let findings = read_in(&[bundle(&long).as_bytes()], limits).expect_err(key);
        assert_eq!(findings[0].rule, rule);
        assert!(findings[0].text.contains(key), "{}", findings[0].text);
    };
    refused(Limits { document: 99, ..LIMITS }, Rule::TooLong, "max_document_bytes");
    refused(Limits { submission: 99, ..LIMITS }, Rule::TooLong, "max_submission_bytes");
    refused(Limits { body: 99, ..LIMITS }, Rule::TooLong, "max_body_bytes");
    refused(Limits { entries: 1, ..LIMITS }, Rule::TooCostly, "max_entries");
    refused(Limits { documents: 0, ..LIMITS }, Rule::TooCostly, "max_documents");
}

#[test]
fn a_syntax_error_behind_a_document_is_where_the_source_sees_it() {
    let text = r#"{"entry":[{"resource":{"data":"SGVsbG8gV29ybGQ=",}}]}"#;
    let findings = read(text).expect_err("a trailing comma");
    let column = text.find(",}").unwrap() as u64 + 2;
    assert_eq!(findings[0].at.line, Some((1, column)));
}

#[test]
fn malformed_bodies_end_in_findings() {
    for text in [
        "",
        "{",
        "[",
        "}",
        "]]]",
        "{\"entry\":[{\"resource\":{\"data\":\"SG",
        "{}{}",
        "\"",
        "{\"a\" \"b\"}",
        "null",
    ] {
        let outcome = read(text);
        assert!(text == "null" || outcome.is_err(), "{text}");
    }
    let bomb = "[".repeat(100_000);
    assert_eq!(read(&bomb).expect_err("a bomb")[0].rule, Rule::Structure);
}

#[test]
fn duplicates_of_data_are_refused() {
    let text = r#"{"entry":[{"resource":{"data":"SGVs","data":"SGVs"}}]}"#;
    assert_eq!(read(text).expect_err("twice")[0].rule, Rule::Structure);
}

#[test]
fn every_cut_gives_the_same() {
    let text = bundle(r"SGVsbG8gV29ybGQ\u0067SGVs\nbG8gV29ybGQgSGVsbG8gV29ybGQgSGVsbG8gV29ybGQhISE\/IQ==");
    let whole = read(&text).unwrap();
    for cut in 0..=text.len() {
        let (head, tail) = text.as_bytes().split_at(cut);
        assert_eq!(read_in(&[head, tail], LIMITS).unwrap(), whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    assert_eq!(read_in(&bytes, LIMITS).unwrap(), whole);
}

proptest! {
    #[test]
    fn any_document_in_any_chunks_comes_out(bytes in proptest::collection::vec(any::<u8>(), 0..600), size in 1usize..90, wrap in 1usize..80) {
        let encoded = STANDARD.encode(&bytes);
        let lines: Vec<&str> = encoded.as_bytes().chunks(wrap).map(|l| std::str::from_utf8(l).unwrap()).collect();
        for data in [encoded.clone(), lines.join("\\n"), lines.join(" ")] {
            let text = bundle(&data);
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let (documents, _) = read_in(&pieces, LIMITS).unwrap();
            prop_assert_eq!(&documents[0].1, &bytes);
        }
    }

    #[test]
    fn no_input_panics(text in r#"[\[\]{}":,\\a-f/=u0 ]{0,80}"#, cut in 0usize..80) {
        let cut = cut.min(text.len());
        let (head, tail) = text.as_bytes().split_at(cut);
        let whole = read_in(&[text.as_bytes()], LIMITS).is_ok();
        prop_assert_eq!(whole, read_in(&[head, tail], LIMITS).is_ok());
    }
}

fn xml_bundle(data: &str) -> String {
    format!(
        r#"<?xml version="1.0"?><!-- <entry> --><Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/>
        <entry><fullUrl value='a>b' ></fullUrl><resource><List><title value="&lt;data value="/></List></resource></entry>
        <entry><resource><Binary><contentType value="text/plain"/><data id="d"  value = "{data}" /></Binary></resource></entry>
        </Bundle>"#
    )
}

fn read_xml(text: &str) -> Outcome {
    read_as(&[text.as_bytes()], LIMITS, Syntax::Xml)
}

#[test]
fn data_in_xml_is_decoded_and_left_out() {
    let (documents, shell) = read_xml(&xml_bundle("SGVsbG8gV29ybGQ=")).unwrap();
    assert_eq!(documents, [(1, b"Hello World".to_vec())]);
    assert_eq!(shell["entry"][1]["resource"]["data"], "");
    assert_eq!(shell["entry"][1]["resource"]["contentType"], "text/plain");
    assert_eq!(shell["entry"][0]["resource"]["title"], "<data value=");
    assert_eq!(shell["entry"][0]["fullUrl"], "a>b");
}

#[test]
fn line_breaks_and_references_within_base64_are_resolved() {
    for data in ["SGVs\nbG8g\r\n V29ybGQ=", "SGVs&#10;bG8g&#xD;&#xA; V29y&#98;GQ&#x3d;&#9;"] {
        assert_eq!(read_xml(&xml_bundle(data)).unwrap().0[0].1, b"Hello World", "{data}");
    }
    for data in ["SGVs&lt;", "SGVs&x;", "SGVsbG8", "SGVs<a/>", "SGVs&#256;"] {
        let findings = read_xml(&xml_bundle(data)).expect_err(data);
        assert_eq!(findings[0].rule, Rule::Value, "{data}");
        assert_eq!(findings[0].at.path, "Bundle.entry[1].resource.data");
    }
}

#[test]
fn a_prefix_hides_no_document() {
    let text = xml_bundle("SGVsbG8gV29ybGQ=").replace("xmlns=", "xmlns:f=").replace("</", "</f:");
    let text = [
        "Bundle",
        "type",
        "entry>",
        "fullUrl ",
        "resource",
        "List",
        "title",
        "Binary",
        "contentType",
        "data ",
    ]
    .iter()
    .fold(text, |text, name| text.replace(&format!("<{name}"), &format!("<f:{name}")));
    let text = text.replace("<!-- <f:entry> -->", "");
    assert_eq!(read_xml(&text).unwrap().0, [(1, b"Hello World".to_vec())]);
}

#[test]
fn limits_hold_in_xml() {
    let long = STANDARD.encode(vec![7; 100]);
    let refused = |limits, rule, key: &str| {
        let findings = read_as(&[xml_bundle(&long).as_bytes()], limits, Syntax::Xml).expect_err(key);
        assert_eq!(findings[0].rule, rule);
        assert!(findings[0].text.contains(key), "{}", findings[0].text);
    };
    refused(Limits { document: 99, ..LIMITS }, Rule::TooLong, "max_document_bytes");
    refused(Limits { submission: 99, ..LIMITS }, Rule::TooLong, "max_submission_bytes");
    refused(Limits { body: 99, ..LIMITS }, Rule::TooLong, "max_body_bytes");
    refused(Limits { entries: 1, ..LIMITS }, Rule::TooCostly, "max_entries");
    refused(Limits { documents: 0, ..LIMITS }, Rule::TooCostly, "max_documents");
}

#[test]
fn malformed_bodies_in_xml_end_in_findings() {
    let bomb = format!("<Bundle xmlns=\"http://hl7.org/fhir\">{}", "<extension url=\"u\">".repeat(100_000));
    let twice = xml_bundle("SGVs").replace("<data id", "<data value=\"SGVs\" id");
    let entity = format!(
        "<!DOCTYPE b [<!ENTITY x \"y\">]>{}",
        xml_bundle("SGVs").replace("<?xml version=\"1.0\"?>", "")
    );
    for text in
        ["", "<", "{}", "<Bundle", "<Bundle>", "</a>", "<!--", "<![CDATA[", "<?", &bomb, &twice, &entity]
    {
        let findings = read_xml(text).expect_err(text);
        assert_eq!(findings[0].rule, Rule::Structure, "{text:.80}");
    }
}

#[test]
fn a_syntax_error_behind_a_document_in_xml_is_where_the_source_sees_it() {
    let text = "<Bundle xmlns=\"http://hl7.org/fhir\"><entry><resource><Binary><data value=\"SGVsbG8gV29ybGQ=\"/>x</Binary></resource></entry></Bundle>";
    let findings = read_xml(text).expect_err("text between elements");
    assert_eq!(findings[0].at.line, Some((1, text.find(">x<").unwrap() as u64 + 2)));
    assert_eq!(findings[0].at.path, "Bundle.entry[0].resource");
}

#[test]
fn every_cut_of_xml_gives_the_same() {
    let text =
        xml_bundle("SGVsbG8gV29ybGQ&#x67;SGVs\nbG8gV29ybGQgSGVsbG8gV29ybGQgSGVsbG8gV29ybGQhISE&#47;IQ==")
            .replace("<type", "<?a b?><!-- - -> > --><type");
    let whole = read_xml(&text).unwrap();
    for cut in 0..=text.len() {
        let (head, tail) = text.as_bytes().split_at(cut);
        assert_eq!(read_as(&[head, tail], LIMITS, Syntax::Xml).unwrap(), whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    assert_eq!(read_as(&bytes, LIMITS, Syntax::Xml).unwrap(), whole);
}

proptest! {
    #[test]
    fn any_document_in_xml_in_any_chunks_comes_out(bytes in proptest::collection::vec(any::<u8>(), 0..600), size in 1usize..90, wrap in 1usize..80) {
        let encoded = STANDARD.encode(&bytes);
        let lines: Vec<&str> = encoded.as_bytes().chunks(wrap).map(|l| std::str::from_utf8(l).unwrap()).collect();
        for data in [encoded.clone(), lines.join("\n"), lines.join("&#10;")] {
            let text = xml_bundle(&data);
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let (documents, _) = read_as(&pieces, LIMITS, Syntax::Xml).unwrap();
            prop_assert_eq!(&documents[0].1, &bytes);
        }
    }

    #[test]
    fn no_xml_panics(text in r#"[<>!?/\-\[\]&;:="' a-dBentryrsoucev]{0,80}"#, cut in 0usize..80) {
        let cut = cut.min(text.len());
        let (head, tail) = text.as_bytes().split_at(cut);
        let whole = read_as(&[text.as_bytes()], LIMITS, Syntax::Xml).is_ok();
        prop_assert_eq!(whole, read_as(&[head, tail], LIMITS, Syntax::Xml).is_ok());
    }
}
