use super::*;

fn parsed(xml: &str) -> Element {
    read(xml.as_bytes(), &Limits::default()).unwrap()
}

fn refused(xml: &[u8]) -> Broken {
    read(xml, &Limits::default()).unwrap_err()
}

#[test]
fn an_element_is_read_with_its_namespaces_resolved() {
    let xml = "<?xml version='1.0' encoding='UTF-8'?>\n<a:x xmlns:a='urn:a' xmlns='urn:d' k='1&amp;2'\n a:k='3'><y>one<!-- no -->\
               &lt;two<![CDATA[<3>]]></y></a:x>\n";
    let root = parsed(xml);
    assert!(root.is("urn:a", "x"));
    assert_eq!((root.attribute("k"), root.attribute_in("urn:a", "k")), (Some("1&2"), Some("3")));
    let y = root.child("urn:d", "y").unwrap();
    assert_eq!((y.text.as_str(), y.line), ("one<two<3>", 3));
}

#[test]
fn markup_is_unescaped_once() {
    assert_eq!(parsed("<a t='&amp;lt;b&amp;gt;'>&amp;lt;b&amp;gt;</a>").text, "&lt;b&gt;");
}

#[test]
fn utf16_is_read_where_it_is_utf16_and_refused_where_it_is_only_said() {
    let xml = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a>\u{e4}\u{1f600}</a>";
    for (big, mark) in [(true, true), (false, true), (true, false), (false, false)] {
        let units = mark.then_some(0xfeff).into_iter().chain(xml.encode_utf16());
        let order = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        let bytes: Vec<u8> = units.flat_map(order).collect();
        assert_eq!(read(&bytes, &Limits::default()).unwrap().text, "\u{e4}\u{1f600}");
    }
    assert!(refused(xml.as_bytes()).text.contains("UTF-16"));
    let latin = refused(b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>");
    assert!(latin.text.contains("send UTF-8 or UTF-16"));
    assert!(refused(b"<a>\xe4</a>").text.contains("not UTF-8"));
    assert_eq!(parsed("\u{feff}<a>1</a>").text, "1");
}

#[test]
fn a_document_type_and_foreign_entities_are_refused() {
    assert!(refused(b"<!DOCTYPE a><a/>").text.contains("document type"));
    assert!(
        refused(b"<!DOCTYPE e [<!ENTITY % p SYSTEM \"http://127.0.0.1/d\"> %p;]><a/>")
            .text
            .contains("document type")
    );
    assert!(refused(b"<a>&x;</a>").text.contains("entity"));
    assert!(refused(b"<a b='&x;'/>").text.contains("entity"));
    assert!(refused(b"<a>&#0;</a>").text.contains("letter"));
}

#[test]
fn what_is_not_one_well_formed_element_is_refused() {
    for xml in [
        "",
        "  ",
        "<a>",
        "<a/><b/>",
        "<a></b>",
        "text",
        "<a/>text",
        "<a b='1' b='2'/>",
        "<p:a/>",
        "<a b='<'/>",
        "<a><b></a></b>",
    ] {
        let broken = refused(xml.as_bytes());
        assert!(!broken.text.is_empty(), "{xml}");
    }
    let twice = refused(b"<x xmlns:a='u' xmlns:b='u' a:k='1' b:k='2'/>");
    assert!(twice.text.contains("twice"));
    assert_eq!(refused(b"<a>\n\n<b></c></a>").line, 3);
}

#[test]
fn each_limit_is_named_by_its_key() {
    let deep = "<a>".repeat(100_000);
    let many = format!("<a {}/>", (0..200_000).map(|n| format!("a{n}='' ")).collect::<String>());
    let spaces = format!("<a {}/>", (0..33).map(|n| format!("xmlns:a{n}='u' ")).collect::<String>());
    let long = format!("<a>{}</a>", "x".repeat((1 << 20) + 1));
    let wide = format!("<a>{}</a>", "<b/>".repeat(200_000));
    let value = format!("<a b='{}'/>", "x".repeat((1 << 20) + 1));
    for (xml, key) in [
        (deep, key::DEPTH),
        (many, key::ATTRIBUTES),
        (spaces, key::NAMESPACES),
        (long, key::TEXT),
        (wide, key::NODES),
        (value, key::TEXT),
    ] {
        let broken = refused(xml.as_bytes());
        assert!(broken.text.contains(key), "{key}: {broken}");
    }
}

#[test]
fn ends_of_lines_are_one_and_references_stay() {
    assert_eq!(parsed("<a>1\r\n2\r3&#13;4</a>").text, "1\n2\n3\r4");
}

#[test]
fn the_name_of_a_namespace_is_kept_once_and_is_not_endless() {
    let long = "u".repeat(1 << 20);
    for xml in [format!("<a xmlns='{long}'><b/></a>"), format!("<p:a xmlns:p='{long}' p:k=''/>")] {
        assert!(refused(xml.as_bytes()).text.contains("namespace"));
    }
    let two = parsed("<a xmlns='urn:u'><b/></a>");
    assert!(std::sync::Arc::ptr_eq(&two.namespace, &two.children[0].namespace));
}
