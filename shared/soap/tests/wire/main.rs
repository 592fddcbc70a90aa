//! The door as callers meet it: messages in, answers, faults and findings out.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod later;
mod world;

use store::Store;
use web::Body;
use world::{Actor, Untouched, addressed, envelope, xml};

const SIMPLE: &str = "application/soap+xml; charset=UTF-8";
const PACKAGE: &str = "multipart/related; boundary=b; type=\"application/xop+xml\"; start=\"<r@x>\"; start-info=\"application/soap+xml\"";

fn actor() -> Actor {
    Actor::new(Store::memory())
}

fn count(body: &str) -> String {
    envelope(&addressed("urn:test:count"), body)
}

fn package(root: &str, documents: &[(&str, &str)]) -> String {
    let mut text = format!("--b\r\nContent-ID: <r@x>\r\nContent-Type: application/xop+xml\r\n\r\n{root}\r\n");
    for (id, content) in documents {
        text.push_str(&format!(
            "--b\r\nContent-ID: <{id}>\r\nContent-Transfer-Encoding: binary\r\n\r\n{content}\r\n"
        ));
    }
    text + "--b--\r\n"
}

const INCLUDING: &str = "<Count xmlns='urn:test'><Document><x:Include xmlns:x='http://www.w3.org/2004/08/xop/include' href='cid:1@x'/></Document>\
                         <Document>YWJj</Document><Document/></Count>";

#[tokio::test]
async fn an_answer_comes_in_the_format_of_its_request() {
    let actor = actor();
    let simple =
        actor.ask(SIMPLE, count("<Count xmlns='urn:test' do='give'><Document>YWJj</Document></Count>")).await;
    assert_eq!(simple.status, 200);
    assert!(
        simple
            .header("content-type")
            .starts_with("application/soap+xml; charset=UTF-8; action=\"urn:test:counted\"")
    );
    assert!(String::from_utf8_lossy(&simple.bytes).contains("<t:Document>b25lLXR3bw==</t:Document>"));

    let whole = package(&count(&INCLUDING.replace("<Count ", "<Count do='give' ")), &[("1@x", "four")]);
    let packed = actor.ask(PACKAGE, whole).await;
    assert_eq!(packed.status, 200);
    assert!(packed.header("content-type").starts_with("multipart/related; type=\"application/xop+xml\""));
    let (message, documents) = packed.read();
    assert_eq!(message.body.attribute("sizes"), Some("4 3 none"));
    assert_eq!(documents[0].1, b"one-two");
    for reply in [&simple, &packed] {
        let (message, _) = reply.read();
        assert_eq!(message.addressing.action.as_deref(), Some("urn:test:counted"));
        assert_eq!(message.addressing.relates_to.as_deref(), Some("urn:uuid:m1"));
        assert_eq!(reply.transaction, Some("ITI-0"));
    }
}

#[tokio::test]
async fn an_answer_in_parts_is_one_message_however_long() {
    for much in [0, 40_000] {
        let body = format!("<Ask xmlns='urn:test' much='{much}'/>");
        let whole = envelope(&addressed("urn:test:ask"), &body);
        for (content_type, message) in [(SIMPLE, whole.clone()), (PACKAGE, package(&whole, &[]))] {
            let reply = actor().ask(content_type, message).await;
            assert_eq!((reply.status, reply.body().text.len()), (200, much));
        }
    }
}

#[tokio::test]
async fn habits_of_other_stacks_are_taken() {
    let actor = actor();
    let body = "<Ask xmlns='urn:test'/>";
    for (content_type, header) in [
        ("text/xml; charset=utf-8", addressed("urn:test:ask")),
        ("application/soap+xml; action=\"urn:something-else\"", addressed("urn:test:ask")),
        (SIMPLE, addressed("None")),
        (SIMPLE, String::new()),
        (SIMPLE, addressed("urn:test:ask").replace("<a:To>", "<a:To s:mustUnderstand='1'>")),
        (
            SIMPLE,
            addressed("urn:test:ask")
                + "<w:Security s:mustUnderstand='1' xmlns:w='http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd'>\
                   <u:Timestamp xmlns:u='urn:u'/></w:Security>",
        ),
    ] {
        let reply = actor.ask(content_type, envelope(&header, body)).await;
        assert_eq!((reply.status, reply.transaction), (200, Some("ITI-1")), "{content_type} {header}");
    }
    // An old client of WS-Addressing, and no header at all.
    let old = "<a:Action xmlns:a='http://schemas.xmlsoap.org/ws/2004/08/addressing'>urn:test:ask</a:Action>";
    assert_eq!(actor.ask(SIMPLE, envelope(old, body)).await.status, 200);
    let bare = format!("<e:Envelope xmlns:e='{}'><e:Body>{body}</e:Body></e:Envelope>", world::SOAP);
    assert_eq!(actor.ask(SIMPLE, bare).await.status, 200);
}

#[tokio::test]
async fn what_is_no_message_for_this_door_is_a_fault_that_says_what_is() {
    let actor = actor();
    let ask = "<Ask xmlns='urn:test'/>";
    let eleven = envelope("", ask).replace(world::SOAP, "http://schemas.xmlsoap.org/soap/envelope/");
    let cases = [
        (
            SIMPLE,
            envelope(&addressed("urn:test:drop-all"), ask),
            400,
            "ActionNotSupported",
            "urn:test:ask (ITI-1)",
        ),
        (
            SIMPLE,
            envelope("", "<Drop xmlns='urn:test'/>"),
            400,
            "MessageAddressingHeaderRequired",
            "urn:test:count",
        ),
        (
            SIMPLE,
            envelope(&addressed("urn:test:count"), ask),
            400,
            "Sender",
            "Count of urn:test; Ask of urn:test was sent",
        ),
        (
            SIMPLE,
            envelope("<x:F xmlns:x='urn:x' s:mustUnderstand='1'/>", ask),
            500,
            "MustUnderstand",
            "urn:x",
        ),
        ("text/xml", eleven, 500, "VersionMismatch", "application/soap+xml"),
        (
            SIMPLE,
            "<!DOCTYPE e [<!ENTITY % p SYSTEM 'http://127.0.0.1:1/'> %p;]>".to_owned() + &envelope("", ask),
            400,
            "Sender",
            "document type",
        ),
        (SIMPLE, "not xml".to_owned(), 400, "Sender", "XML"),
        (SIMPLE, String::new(), 400, "Sender", "XML"),
        ("application/json", envelope("", ask), 415, "Sender", "application/soap+xml"),
        ("multipart/related", envelope("", ask), 400, "Sender", "boundary"),
        (
            PACKAGE,
            package(&envelope(&addressed("urn:test:ask"), ask), &[("1", "x")]),
            400,
            "Sender",
            "takes none",
        ),
        (
            PACKAGE,
            package(&count(INCLUDING), &[("1@x", "four")]).replace("--b--", ""),
            400,
            "Sender",
            "last boundary",
        ),
    ];
    for (content_type, body, status, name, words) in cases {
        let reply = actor.ask(content_type, body.clone()).await;
        assert_eq!(reply.status, status, "{body}");
        let (told, text) = reply.fault();
        assert_eq!(told, name, "{text}");
        assert!(text.contains(words) && text.contains("Nothing was stored"), "{text}");
    }
    assert!(actor.audited().iter().any(|line| line.contains("action-not-supported")));
}

#[tokio::test]
async fn nothing_is_read_of_an_unknown_caller() {
    let reply = actor().ask_from("10.0.0.1:5", SIMPLE, Body::new(Untouched)).await;
    assert_eq!((reply.status, reply.fault().0.as_str()), (400, "InvalidSecurityToken"));
}

#[tokio::test]
async fn what_the_transaction_refuses_is_told_in_its_own_words() {
    let actor = actor();
    for (order, codes) in [("refuse", "none"), ("busy", "XDSRepositoryBusy")] {
        let reply = actor.ask(SIMPLE, count(&format!("<Count xmlns='urn:test' do='{order}'/>"))).await;
        assert_eq!((reply.status, reply.body().attribute("codes")), (200, Some(codes)), "{order}");
        assert_eq!(reply.read().0.addressing.action.as_deref(), Some("urn:test:counted"));
    }
    for order in ["unknown", "panic"] {
        let reply = actor.ask(SIMPLE, count(&format!("<Count xmlns='urn:test' do='{order}'/>"))).await;
        assert_eq!((reply.status, reply.fault().0.as_str()), (500, "Receiver"), "{order}");
        assert_eq!(reply.read().0.addressing.relates_to.as_deref(), Some("urn:uuid:m1"));
    }
    for (root, documents, code) in [
        (INCLUDING.replace("cid:1@x", "http://127.0.0.1:1/x"), vec![], "XDSMissingDocument"),
        (INCLUDING.to_owned(), vec![("1@x", "1"), ("2@x", "2")], "XDSMissingDocumentMetadata"),
    ] {
        let reply = actor.ask(PACKAGE, package(&count(&root), &documents)).await;
        assert_eq!((reply.status, reply.body().attribute("codes")), (200, Some(code)));
    }
}

#[tokio::test]
async fn a_limit_is_told_by_its_key_and_nothing_is_kept() {
    let mut actor = actor();
    actor.limits.max_document_bytes = 3;
    actor.limits.max_parts = 3;
    let large = package(&count(INCLUDING), &[("1@x", "four")]);
    let many = package(&count(INCLUDING), &[("1@x", "1"), ("2@x", "2"), ("3@x", "3")]);
    let deep = count(&("<a>".repeat(100) + &"</a>".repeat(100)));
    for (content_type, body, key) in [
        (PACKAGE, large, "server.limits.max_document_bytes"),
        (PACKAGE, many, "server.limits.max_parts"),
        (SIMPLE, deep, "server.limits.max_xml_depth"),
        (
            SIMPLE,
            count("<Count xmlns='urn:test'><Document>YWJjZA==</Document></Count>"),
            "server.limits.max_document_bytes",
        ),
    ] {
        let reply = actor.ask(content_type, body).await;
        let (name, text) = reply.fault();
        assert_eq!((reply.status, name.as_str()), (400, "Sender"));
        assert!(text.contains(key), "{text}");
    }
}

#[test]
fn the_tests_read_what_they_write() {
    assert!(xml(&count("<x/>")).is(world::SOAP, "Envelope"));
}

/// A body whose end the store cannot take any more.
struct Closing(Store, Vec<String>);

impl web::BodySource for Closing {
    fn next(&mut self) -> futures_util::future::LocalBoxFuture<'_, Option<Result<bytes::Bytes, web::Error>>> {
        Box::pin(async move {
            if self.1.len() == 1 {
                self.0.close().await.unwrap();
            }
            let piece = (!self.1.is_empty()).then(|| self.1.remove(0));
            piece.map(|piece| Ok(piece.into()))
        })
    }
    fn declared(&self) -> Option<u64> {
        None
    }
}

#[tokio::test]
async fn a_store_that_fails_under_a_document_is_told() {
    let actor = actor();
    let whole = package(&count(INCLUDING), &[("1@x", "four")]);
    let (head, tail) = whole.split_at(whole.find("four").unwrap());
    let body = Closing(actor.corridor.store.clone(), vec![head.to_owned(), tail.to_owned()]);
    let reply = actor.ask_from("127.0.0.1:5", PACKAGE, Body::new(body)).await;
    assert!(!String::from_utf8_lossy(&reply.bytes).contains("Counted"), "nothing is told as done");
    assert_eq!(reply.read().0.addressing.relates_to.as_deref(), Some("urn:uuid:m1"), "{reply:?}");
    assert_eq!(reply.transaction, Some("ITI-0"));
}
