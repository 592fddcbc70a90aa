use super::*;

/// What a message came to: its root, and each document with where it came from.
type Read = (Element, Vec<(Source, Vec<u8>)>);

fn read_in(pieces: usize, content_type: &str, body: &[u8], limits: Limits) -> Result<Read, Refusal> {
    let mut reader = Reader::new(&ContentType::parse(content_type), limits)?;
    let mut events = Vec::new();
    for piece in body.chunks(pieces) {
        reader.feed(piece, &mut events)?;
    }
    reader.finish(&mut events)?;
    let (mut root, mut documents, mut ended) = (None, Vec::<(Source, Vec<u8>)>::new(), true);
    for event in events {
        match event {
            Event::Root(element) => root = Some(*element),
            Event::Begin(source) => {
                assert!(std::mem::replace(&mut ended, false), "documents do not lie in each other");
                documents.push((source, Vec::new()));
            }
            Event::Bytes(bytes) => documents.last_mut().unwrap().1.extend_from_slice(&bytes),
            Event::End => ended = true,
        }
    }
    assert!(ended);
    Ok((root.expect("a message has a root"), documents))
}

/// The same however it is cut.
fn read(content_type: &str, body: &[u8]) -> Result<Read, Refusal> {
    let whole = read_in(body.len().max(1), content_type, body, Limits::default());
    for pieces in [1, 2, 3, 7, 64] {
        let cut = read_in(pieces, content_type, body, Limits::default());
        assert_eq!(cut.is_ok(), whole.is_ok());
        if let (Ok(cut), Ok(whole)) = (cut, &whole) {
            assert_eq!(&cut, whole, "in pieces of {pieces}");
        }
    }
    whole
}

const PACKAGE: &str = "multipart/related; boundary=\"b\"; type=\"application/xop+xml\"; start=\"<r@x>\"; start-info=\"application/soap+xml\"";

fn include(href: &str) -> String {
    format!("<D xmlns='urn:d'><Document id='1'><i:Include xmlns:i='{XOP}' href='{href}'/></Document></D>")
}

fn body(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend_from_slice(b"--b\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    body
}

fn document(root: &Element) -> &Element {
    root.child("urn:d", "Document").unwrap()
}

#[test]
fn a_part_is_found_by_its_content_id_however_it_is_written() {
    for (href, id) in
        [("cid:1@x", "<1@x>"), ("cid:1%40x", "<1@x>"), ("CID:a%3Cb%3E", "<a<b>>"), ("cid:1%2540x", "<1%40x>")]
    {
        let (root, documents) = read(
            PACKAGE,
            &body(&[
                ("Content-ID: <r@x>", include(href).as_bytes()),
                (&format!("content-id: {id}"), b"bytes"),
            ]),
        )
        .unwrap();
        let Some(Reference::Here(Source::Part(wanted))) = included(document(&root)) else { panic!("{href}") };
        let [(Source::Part(id), bytes)] = &documents[..] else { panic!("{documents:?}") };
        assert!(same_part(&wanted, id), "{wanted} {id}");
        assert_eq!(bytes, b"bytes");
    }
}

#[test]
fn content_that_looks_like_a_boundary_is_content() {
    let tricky: [&[u8]; 8] =
        [b"x--b--y", b"\r\n--bb\r\n", b"\r\n--b-x", b"\n--", b"\r\n\r\n", b"", b"\r", b"\r\n-"];
    for content in tricky {
        let (_, documents) = read(
            PACKAGE,
            &body(&[("Content-ID: <r@x>", include("cid:1").as_bytes()), ("Content-ID: <1>", content)]),
        )
        .unwrap();
        assert_eq!(documents[0].1, content, "{}", String::from_utf8_lossy(content));
    }
}

#[test]
fn the_root_may_stand_behind_its_documents_and_bare_line_feeds_are_taken() {
    let root = include("cid:1");
    let text = format!("--b\nContent-ID: <1>\n\nbytes\n--b  \nContent-ID: <r@x>\n\n{root}\n--b--");
    let (root, documents) = read(PACKAGE, text.as_bytes()).unwrap();
    assert!(included(document(&root)).is_some());
    assert_eq!(documents, [(Source::Part("1".into()), b"bytes".to_vec())]);
}

#[test]
fn without_a_start_the_first_part_is_the_root() {
    let content_type = "Multipart/Related;boundary=b ;type=\"application/xop+xml\"";
    let whole = body(&[("Content-Type: application/xop+xml", b"<a/>"), ("Content-ID: <1>", b"")]);
    let (root, documents) = read(content_type, &whole).unwrap();
    assert_eq!((&*root.name, documents), ("a", vec![(Source::Part("1".into()), Vec::new())]));
    // A part without an empty line of its own: RFC 2046 lets the boundary follow the head.
    let (_, documents) =
        read(content_type, b"preamble\r\n--b\r\n\r\n<a/>\r\n--b\r\nContent-ID: <1>\r\n\r\n--b--epilogue")
            .unwrap();
    assert_eq!(documents, [(Source::Part("1".into()), Vec::new())]);
}

#[test]
fn transfer_encodings_are_taken_away() {
    for (encoding, content) in [
        ("base64", "Ynl0\r\nZXM9\r\n"),
        ("BASE64", "Ynl0ZXM9"),
        ("quoted-printable", "byt=\r\nes=3D"),
        ("binary", "bytes="),
        ("8bit", "bytes="),
    ] {
        let head = format!("Content-ID: <1>\r\nContent-Transfer-Encoding: {encoding}");
        let whole = body(&[("Content-ID: <r@x>", b"<a/>"), (&head, content.as_bytes())]);
        assert_eq!(read(PACKAGE, &whole).unwrap().1[0].1, b"bytes=", "{encoding}");
    }
    for (encoding, content) in
        [("base64", "Ynl*"), ("base64", "Ynl"), ("quoted-printable", "=ZZ"), ("x-gzip", "")]
    {
        let head = format!("Content-ID: <1>\r\nContent-Transfer-Encoding: {encoding}");
        let whole = body(&[("Content-ID: <r@x>", b"<a/>"), (&head, content.as_bytes())]);
        assert!(read(PACKAGE, &whole).is_err(), "{encoding} {content}");
    }
}

#[test]
fn base64_within_the_message_passes_by() {
    let simple = "application/soap+xml; charset=utf-8";
    for text in [
        "Ynl0ZXM=",
        "\n  Ynl0\n ZXM= ",
        "Ynl0&#13;&#xA;ZXM=",
        "<![CDATA[Ynl0ZXM=]]>",
        "<!-- c -->Ynl0ZXM=",
        "Ynl0ZXM&#x3D;",
    ] {
        let xml = format!(
            "<D xmlns='urn:d' a='>'><!-- <Document>no</Document> --><Document id='1'>{text}</Document><x>Ynl0</x></D>"
        );
        let (root, documents) = read(simple, xml.as_bytes()).unwrap();
        assert_eq!(documents, [(Source::Inline(0), b"bytes".to_vec())], "{text}");
        assert_eq!(included(document(&root)), Some(Reference::Here(Source::Inline(0))));
        assert_eq!(root.child("urn:d", "x").unwrap().text, "Ynl0");
    }
    let (_, documents) =
        read(simple, b"<D><Document></Document><Document/><p:Document xmlns:p='u'>YQ==</p:Document></D>")
            .unwrap();
    assert_eq!(documents, [(Source::Inline(0), Vec::new()), (Source::Inline(1), b"a".to_vec())]);
    for wrong in ["Ynl", "Y*nl", "YQ==YQ==", "&amp;", "YQ==<x/>", "<x/>YQ=="] {
        assert!(read(simple, format!("<D><Document>{wrong}</Document></D>").as_bytes()).is_err(), "{wrong}");
    }
    let plain = Limits { inline: false, ..Limits::default() };
    let (root, documents) =
        read_in(3, simple, b"<D xmlns='urn:d'><Document>Ynl0</Document></D>", plain).unwrap();
    assert_eq!((document(&root).text.as_str(), documents.len()), ("Ynl0", 0));
}

#[test]
fn a_web_address_is_no_reference_to_a_part() {
    let (root, _) = read("text/xml", include("http://127.0.0.1:1/x").as_bytes()).unwrap();
    assert_eq!(included(document(&root)), Some(Reference::Elsewhere));
}

#[test]
fn what_is_no_package_is_refused_with_words() {
    let whole = body(&[("Content-ID: <r@x>", b"<a/>")]);
    for (content_type, bytes) in [
        ("multipart/related; type=\"application/xop+xml\"", whole.clone()),
        (&format!("multipart/related; boundary={}", "x".repeat(4096)), whole.clone()),
        ("multipart/related; boundary=b; start=\"<nobody>\"", whole.clone()),
        ("multipart/related; boundary=other", whole.clone()),
        (PACKAGE, whole[..whole.len() - 6].to_vec()),
        (PACKAGE, Vec::new()),
        ("application/json", whole.clone()),
        ("application/soap+xml; charset=utf-16", b"<a/>".to_vec()),
        ("application/soap+xml", b"<D><Document>YQ==".to_vec()),
    ] {
        let refused = read_in(5, content_type, &bytes, Limits::default());
        assert!(matches!(refused, Err(Refusal::Broken(_))), "{content_type}");
    }
}

#[test]
fn each_limit_is_named_by_its_key() {
    let limits = Limits {
        root: 100,
        document: 4,
        submission: 6,
        documents: 2,
        parts: 4,
        part_header: 40,
        ..Limits::default()
    };
    let root = ("Content-ID: <r@x>", &b"<a/>"[..]);
    let long = format!("Content-ID: <{}>", "i".repeat(50));
    let big = format!("<a>{}</a>", "x".repeat(100));
    for (parts, key) in [
        (vec![("Content-ID: <r@x>", big.as_bytes())], key::ROOT),
        (vec![root, ("Content-ID: <1>", b"12345")], key::DOCUMENT),
        (vec![root, ("Content-ID: <1>", b"1234"), ("Content-ID: <2>", b"123")], key::SUBMISSION),
        (
            vec![root, ("Content-ID: <1>", b""), ("Content-ID: <2>", b""), ("Content-ID: <3>", b"")],
            key::DOCUMENTS,
        ),
        (vec![root, (&long, b"1")], key::PART_HEADER),
    ] {
        let Err(Refusal::TooLarge { key: told, .. }) = read_in(3, PACKAGE, &body(&parts), limits) else {
            panic!("{key}")
        };
        assert_eq!(told, key);
    }
    let mut many = vec![root];
    many.resize(6, ("Content-ID: <1>", &b""[..]));
    let limits = Limits { documents: 100, ..limits };
    assert_eq!(
        read_in(1000, PACKAGE, &body(&many), limits).unwrap_err(),
        Refusal::TooLarge { limit: 4, key: key::PARTS }
    );
}

/// A document at hand.
struct Whole(&'static str, &'static [u8]);

impl Enclosed for Whole {
    fn content_type(&self) -> &str {
        self.0
    }
    fn length(&self) -> u64 {
        self.1.len() as u64
    }
}

#[test]
fn what_is_written_is_read_back_in_either_format() {
    use crate::addressing::Addressing;
    for format in [Format::Package, Format::Simple] {
        let addressing = Addressing::of_request("urn:do", "urn:uuid:1", "http://there");
        let pieces = vec![
            Piece::Xml(b"<D xmlns='urn:d'><Document>".as_slice().into()),
            Piece::Document(Whole("text/plain", b"bytes of one")),
            Piece::Xml(b"</Document><Document>".as_slice().into()),
            Piece::Document(Whole("bad\r\nX: y/z", b"")),
            Piece::Xml(b"</Document></D>".as_slice().into()),
        ];
        let package = package(&addressing, pieces, format, "5cf0");
        let mut bytes = Vec::new();
        for frame in package.frames {
            match frame {
                Frame::Bytes(more) => bytes.extend_from_slice(&more),
                Frame::Document { document, base64: false } => bytes.extend_from_slice(document.1),
                Frame::Document { document, base64: true } => {
                    let mut encoder = Encoder::default();
                    let (one, other) = document.1.split_at(document.1.len() / 3);
                    bytes.extend(encoder.feed(one));
                    bytes.extend(encoder.feed(other));
                    bytes.extend(encoder.finish());
                }
            }
        }
        assert_eq!(bytes.len() as u64, package.length);
        assert!(!String::from_utf8_lossy(&bytes).contains("X: y/z"));
        let (root, documents) = read(&package.content_type, &bytes).unwrap();
        let envelope = crate::soap::Envelope::read(root).unwrap();
        let wanted: Vec<_> =
            envelope.body.children.iter().map(|document| included(document).unwrap()).collect();
        for (wanted, (source, bytes)) in wanted.iter().zip(&documents) {
            assert_eq!(wanted, &Reference::Here(source.clone()));
            assert!(bytes.is_empty() || bytes == b"bytes of one");
        }
        assert_eq!((documents.len(), documents[0].1.len()), (2, 12));
    }
}
