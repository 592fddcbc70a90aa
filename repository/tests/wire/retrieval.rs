//! Documents given out: whole, in part, by either door, or not at all.

use crate::world::World;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::{Document, Provide};

async fn with(document: Document) -> (World, String) {
    let world = World::new().await;
    let reply = world.provide(&Provide::new(&world.patient()).only(document).bundle()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let path = reply.document(2);
    (world, path)
}

#[tokio::test]
async fn a_document_says_what_it_is() {
    let (world, path) = with(Document::new("Hello World").title("Befund Müller")).await;
    let reply = world.get(&path, &[]).await;
    assert_eq!(reply.status, 200);
    let sha256 = "a591a6d40bf420404a011733cfb7b190d62c65bf0bcda32b57b277d9ad9f146e";
    assert_eq!(reply.header("etag"), Some(format!("\"{sha256}\"").as_str()));
    assert_eq!(reply.header("repr-digest"), Some("sha-256=:pZGm1Av0IEBKARczz7exkNYsZb8LzaMrV7J32a2fFG4=:"));
    assert_eq!(reply.header("accept-ranges"), Some("bytes"));
    assert_eq!(reply.header("content-security-policy"), Some("default-src 'none'; sandbox"));
    let disposition = reply.header("content-disposition").unwrap();
    assert!(disposition.starts_with("inline; filename=\"Befund M_ller.txt\"; filename*="), "{disposition}");
}

#[tokio::test]
async fn what_a_browser_could_run_is_offered_for_saving() {
    let (world, path) =
        with(Document::new("<script>alert(1)</script>").content_type("text/html").title("a\"; x")).await;
    let reply = world.get(&path, &[]).await;
    assert_eq!(reply.header("content-type"), Some("text/html"));
    let disposition = reply.header("content-disposition").unwrap();
    assert!(disposition.starts_with("attachment; filename="), "{disposition}");
    assert_eq!(disposition.matches('"').count(), 2, "{disposition}");
}

#[tokio::test]
async fn a_range_gives_these_bytes_and_a_wrong_one_none() {
    let (world, path) = with(Document::new("0123456789")).await;
    let part = world.get(&path, &[("range", "bytes=2-4")]).await;
    assert_eq!((part.status, part.bytes()), (206, &b"234"[..]));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    let tail = world.get(&path, &[("range", "bytes=-1")]).await;
    assert_eq!((tail.status, tail.bytes()), (206, &b"9"[..]));
    let beyond = world.get(&path, &[("range", "bytes=10-")]).await;
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), Some("bytes */10"));
    let many = world.get(&path, &[("range", "bytes=0-,0-,0-,0-")]).await;
    assert_eq!((many.status, many.bytes()), (200, &b"0123456789"[..]));
}

#[tokio::test]
async fn a_condition_on_the_entity_tag_is_kept() {
    let (world, path) = with(Document::new("0123456789")).await;
    let etag = world.get(&path, &[]).await.header("etag").unwrap().to_owned();
    let fresh = world.get(&path, &[("if-none-match", &etag)]).await;
    assert_eq!((fresh.status, fresh.bytes()), (304, &b""[..]));
    assert_eq!(fresh.header("etag"), Some(etag.as_str()));
    let other = world.get(&path, &[("if-none-match", "\"other\"")]).await;
    assert_eq!(other.status, 200);
    let same = world.get(&path, &[("range", "bytes=0-0"), ("if-range", &etag)]).await;
    assert_eq!(same.status, 206);
    let changed = world.get(&path, &[("range", "bytes=0-0"), ("if-range", "\"other\"")]).await;
    assert_eq!((changed.status, changed.bytes().len()), (200, 10));
}

#[tokio::test]
async fn a_head_has_the_headers_and_no_bytes() {
    let (world, path) = with(Document::new("0123456789")).await;
    let head = world.ask("HEAD", &path, &[], "").await;
    assert_eq!((head.status, head.bytes()), (200, &b""[..]));
    assert!(head.header("etag").is_some());
}

#[tokio::test]
async fn a_type_that_is_not_accepted_is_406_and_an_unknown_id_404() {
    let (world, path) = with(Document::new("text")).await;
    assert_eq!(world.get(&path, &[("accept", "application/pdf")]).await.status, 406);
    assert_eq!(world.get(&path, &[("accept", "application/pdf, */*;q=0.1")]).await.status, 200);
    for id in ["0123456789abcdef0123456789abcdef", "x", "..", "x%20y"] {
        let reply = world.get(&format!("/documents/{id}"), &[]).await;
        assert_eq!(reply.status, 404, "{id}");
        assert_eq!(reply.json()["issue"][0]["code"], "not-found");
    }
}

#[tokio::test]
async fn a_binary_is_raw_unless_a_fhir_type_is_asked_for() {
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let (world, path) = with(Document::new(&bytes).content_type("image/png")).await;
    let path = path.replace("/documents/", "/fhir/Binary/");
    let raw = world.get(&path, &[("accept", "*/*")]).await;
    assert_eq!((raw.status, raw.header("content-type")), (200, Some("image/png")));
    assert_eq!(raw.bytes(), bytes);
    for wrapped in [
        world.get(&path, &[("accept", "application/fhir+json")]).await,
        world.get(&format!("{path}?_format=json"), &[]).await,
        world.get(&format!("{path}/_history/1"), &[("accept", "application/fhir+json")]).await,
    ] {
        let binary = wrapped.json();
        assert_eq!(binary["resourceType"], "Binary");
        assert_eq!(binary["contentType"], "image/png");
        assert_eq!(binary["data"], STANDARD.encode(&bytes));
        let security = binary["securityContext"]["reference"].as_str().unwrap();
        assert!(security.starts_with(&format!("{}/fhir/DocumentReference/", world.registry.host)));
    }
    assert_eq!(world.get(&format!("{path}/_history/2"), &[]).await.status, 404);
    let xml = world.get(&path, &[("accept", "application/fhir+xml")]).await;
    assert_eq!(xml.header("content-type"), Some("application/fhir+xml; charset=utf-8"));
    let xml = fhir::xml::parse(xml.bytes(), &fhir::json::Limits::default()).unwrap();
    assert_eq!(
        (xml["resourceType"].as_str(), xml["contentType"].as_str()),
        (Some("Binary"), Some("image/png"))
    );
    assert_eq!(xml["data"], STANDARD.encode(&bytes));
    assert_eq!(world.get(&format!("{path}?_format=ttl"), &[]).await.status, 406);
}

#[tokio::test]
async fn large_documents_stream_back_as_they_came() {
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 253) as u8).collect();
    let (world, path) = with(Document::new(&bytes).content_type("application/dicom")).await;
    assert_eq!(world.get(&path, &[]).await.bytes(), bytes);
    let part = world.get(&path, &[("range", "bytes=1000000-3999999")]).await;
    assert_eq!(part.bytes(), &bytes[1_000_000..4_000_000]);
}

#[tokio::test]
async fn every_retrieval_leaves_an_audit_record() {
    let (world, path) = with(Document::new("text")).await;
    let before = world.store.sequence();
    world.get(&path, &[]).await;
    assert!(world.store.sequence() > before, "a read is noted in the journal");
}
