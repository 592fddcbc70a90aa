//! Stored queries as they come over the wire.

use xds::query::{Limits, Question};

use super::*;
use crate::reader;

const STATUS: &str = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')";
const FIND_DOCUMENTS: &str = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d";

fn element(xml: &[u8]) -> Element {
    reader::read(xml, &reader::Limits::default()).expect("well-formed")
}

fn message(id: &str, option: &str, slots: &[(&str, &[&str])]) -> Element {
    let mut xml = Writer::default();
    xml.start("q:AdhocQueryRequest")
        .attribute("xmlns:q", namespace::QUERY)
        .attribute("xmlns", namespace::RIM);
    xml.start("q:ResponseOption").attribute("returnType", option).end();
    xml.start("AdhocQuery").attribute("id", id);
    for (name, values) in slots {
        xml.start("Slot").attribute("name", name).start("ValueList");
        values.iter().for_each(|value| {
            xml.leaf("Value", value);
        });
        xml.end().end();
    }
    element(&xml.finish())
}

fn read(values: &[&str]) -> Result<Vec<String>, Wrong> {
    let mut read = Vec::new();
    values.iter().try_for_each(|value| syntax::read(value, &mut read)).map(|()| read)
}

#[test]
fn values_are_read_in_every_writing_that_has_one_meaning() {
    let two = vec!["a".to_owned(), "b c".to_owned()];
    for written in [
        &["('a','b c')"][..],
        &[" ( 'a' ,\n 'b c' ) "],
        &["('a')", "('b c')"],
        &["('a')", "'b c'"],
        &["(\"a\",\"b c\")"],
        &["(a, b c)"],
        &["'a','b c'"],
        &["a", "b c"],
    ] {
        assert_eq!(read(written).as_ref(), Ok(&two), "{written:?}");
    }
    assert_eq!(read(&["'Children''s'"]), Ok(vec!["Children's".to_owned()]));
    assert_eq!(read(&["('it''s, (so)')"]), Ok(vec!["it's, (so)".to_owned()]));
    assert_eq!(read(&["20041224"]), Ok(vec!["20041224".to_owned()]));
    assert_eq!(read(&["1^^^&1.2&ISO"]), Ok(vec!["1^^^&1.2&ISO".to_owned()]));
    assert_eq!(read(&["", "()"]), Ok(Vec::new()));
    assert_eq!(read(&["''"]), Ok(vec![String::new()]));
}

#[test]
fn what_is_not_closed_is_told() {
    assert_eq!(read(&["('abc"]), Err(Wrong::Quote));
    assert_eq!(read(&["'593603^^^&1.2&ISO''%20and%20611%3d611--%20"]), Err(Wrong::Quote));
    assert_eq!(read(&["('abc'"]), Err(Wrong::Parenthesis));
    for behind in ["('a') or 1=1", "('a' 'b')", "'a' b", "('a'b)"] {
        assert_eq!(read(&[behind]), Err(Wrong::Behind), "{behind}");
    }
    let slots: [(&str, &[&str]); 2] =
        [("$XDSDocumentEntryPatientId", &["('abc"]), ("$XDSDocumentEntryStatus", &[STATUS])];
    let refused = read_request(&message(FIND_DOCUMENTS, "LeafClass", &slots), "ITI-18").unwrap_err();
    assert_eq!(refused[0].rule, Rule::StoredQueryParameter);
    assert_eq!(refused[0].at.path, "AdhocQuery/Slot[@name='$XDSDocumentEntryPatientId']");
}

#[test]
fn a_query_is_known_by_its_id_and_its_transaction() {
    let rule = |id: &str, option: &str, transaction: &str| {
        read_request(&message(id, option, &[]), transaction).map_err(|refused| refused[0].rule)
    };
    assert!(rule(&format!(" {FIND_DOCUMENTS} "), "ObjectRef", "ITI-18").is_ok());
    assert_eq!(
        rule("urn:uuid:00000000-0000-0000-0000-000000000000", "LeafClass", "ITI-18").unwrap_err(),
        Rule::UnknownStoredQuery
    );
    assert_eq!(rule(FIND_DOCUMENTS, "LeafClass", "ITI-51").unwrap_err(), Rule::UnknownStoredQuery);
    assert_eq!(rule(FIND_DOCUMENTS, "RegistryObject", "ITI-18").unwrap_err(), Rule::Value);
    let mut parts = message(FIND_DOCUMENTS, "LeafClass", &[]);
    let attribute = |value: &str| crate::element::Attribute {
        namespace: "".into(),
        name: "maxResults".into(),
        value: value.to_owned(),
    };
    parts.attributes.push(attribute("-1"));
    assert!(read_request(&parts, "ITI-18").is_ok());
    parts.attributes[0] = attribute("10");
    assert_eq!(read_request(&parts, "ITI-18").unwrap_err()[0].rule, Rule::NotSupported);
    assert_eq!(read_request(&element(b"<a/>"), "ITI-18").unwrap_err()[0].rule, Rule::Structure);
}

#[test]
fn a_query_that_is_written_reads_as_the_same() {
    let query = query::by_name("FindDocuments").unwrap();
    let given = [
        ("$XDSDocumentEntryPatientId", vec!["O'Neil^^^&1.2&ISO".to_owned()]),
        (
            "$XDSDocumentEntryStatus",
            vec!["urn:oasis:names:tc:ebxml-regrep:StatusType:Approved".to_owned(); 200],
        ),
        ("$XDSDocumentEntryCreationTimeFrom", vec!["2004".to_owned()]),
        ("$XDSDocumentEntryEventCodeList", vec!["a^^1.2".to_owned(), "b^^1.2".to_owned()]),
        ("$XDSDocumentEntryEventCodeList", vec!["c^^1.2".to_owned()]),
    ];
    let xml = write_request(query, &given, Returns::References, Some("urn:oid:1.2"));
    let text = String::from_utf8(xml.clone()).unwrap();
    assert!(text.contains("<rim:Value>'O''Neil^^^&amp;1.2&amp;ISO'</rim:Value>"), "{text}");
    assert!(text.contains("<rim:Value>2004</rim:Value>"), "{text}");
    assert!(text.contains("<rim:Value>('a^^1.2','b^^1.2')</rim:Value>"), "{text}");
    let request = read_request(&element(&xml), "ITI-18").unwrap();
    let said: Vec<(&str, Vec<String>)> =
        request.given.iter().map(|one| (one.name.as_str(), one.values.clone())).collect();
    assert_eq!(said, given);
    assert_eq!((request.returns, request.home.as_deref()), (Returns::References, Some("urn:oid:1.2")));
    let limits = Limits { values: 1000, value_bytes: 1024 };
    let asked = request.query.read(&request.given, &limits).unwrap();
    assert!(matches!(asked.question, Question::Find(filters) if filters[0].all.len() == 5));
}

#[test]
fn the_parts_of_an_answer_are_one_message() {
    for ids in [&[][..], &["urn:uuid:4c5ca0e4-14d3-4b1d-9c4e-5f2c4a1d7b6a"; 2]] {
        let objects = ids.iter().map(|id| {
            let mut xml = Writer::default();
            crate::rim::write_object_reference(&mut xml, id, None);
            bytes::Bytes::from(xml.finish())
        });
        let answer = write_response(objects.collect()).concat();
        let read = read_response(&element(&answer)).expect("it says its status");
        assert_eq!(read.status, crate::response::Status::Success);
        assert_eq!((read.objects.references.len(), read.remarks.len()), (ids.len(), 0));
    }
}

proptest::proptest! {
    #[test]
    fn no_value_makes_the_reader_stumble(text in "[a'\"(), ^%\\n]{0,12}") {
        let _ = read(&[&text]);
    }

    #[test]
    fn a_text_that_is_written_reads_as_the_same(texts in proptest::collection::vec("\\PC{1,12}", 1..4)) {
        let written = syntax::write(None, &texts);
        let written: Vec<&str> = written.iter().map(String::as_str).collect();
        proptest::prop_assert_eq!(read(&written), Ok(texts));
    }
}
