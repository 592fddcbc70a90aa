//! FHIR in XML: the same doors, the same answers, the same refusals; and documents that would do harm.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Document;

use super::accept::held;
use super::world::{World, encode, text};
use super::{Case, case};
use crate::answer::Answer;
use crate::canary::Canary;
use crate::region::Actor;
use crate::wire::{FHIR_JSON, FHIR_XML};
use crate::xml;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("xml-01", billion_laughs),
        case!("xml-02", external_entity),
        case!("xml-04", any_document_type),
        case!("xml-06", nesting_bomb),
        case!("xml-08", wrong_namespace),
        case!("xml-12", stylesheet),
        case!("fhir-xml-submission", submission),
        case!("fhir-xml-answers", answers),
        case!("fhir-xml-refusals", refusals),
        case!("fhir-xml-negotiation", negotiation),
        case!("fhir-xml-feed", feed),
        case!("fhir-xml-binary", binary),
        case!("fhir-xml-document", fhir_document),
        case!("fhir-xml-mistakes", mistakes),
    ]
}

/// Provides a bundle written in XML; the answer is asked for in JSON.
pub(super) async fn provide(world: &World, body: impl Into<reqwest::Body>) -> Result<Answer> {
    let request = world.wire.request(Method::POST, world.subject.base(Actor::Repository));
    let request = request.header("Content-Type", FHIR_XML).header("Accept", FHIR_JSON);
    world.wire.send(request.body(body)).await
}

/// A bundle in XML for P1, and the same with something done to its text.
fn x65(world: &World, change: impl Fn(String) -> String) -> (Value, String) {
    let bundle = world.b65().title("Tagesbefunde").bundle();
    let text = change(xml::write(&bundle));
    (bundle, text)
}

fn with_type(text: &str, document_type: &str) -> String {
    text.replacen("?>", &format!("?>{document_type}"), 1)
}

async fn refused(world: &World, (bundle, body): (Value, String), codes: &[&str]) -> Result<Answer> {
    let before = world.census().await?;
    let answer = provide(world, body).await?;
    answer.refused(&[400], codes)?;
    ensure!(answer.took.as_secs() < 2, "the answer took {:?}", answer.took);
    world.nothing_stored(&before, &bundle).await?;
    Ok(answer)
}

async fn billion_laughs(world: &World) -> Result<()> {
    let mut entities = String::from("<!ENTITY l0 \"lol\">");
    for level in 1..10 {
        entities += &format!("<!ENTITY l{level} \"{}\">", format!("&l{};", level - 1).repeat(10));
    }
    let body = x65(world, |text| {
        with_type(&text.replace("Tagesbefunde", "&l9;"), &format!("<!DOCTYPE Bundle [{entities}]>"))
    });
    refused(world, body, &["structure"]).await.map(drop)
}

async fn external_entity(world: &World) -> Result<()> {
    let kind = "<!DOCTYPE b [<!ENTITY x SYSTEM \"file:///etc/hostname\">]>";
    let body = x65(world, |text| with_type(&text.replace("Tagesbefunde", "&x;"), kind));
    let answer = refused(world, body, &["structure"]).await?;
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let host = host.trim();
    ensure!(host.is_empty() || !answer.excerpt().contains(host), "the file's content is not in the answer");
    Ok(())
}

async fn any_document_type(world: &World) -> Result<()> {
    let body = x65(world, |text| with_type(&text, "<!DOCTYPE Bundle>"));
    refused(world, body, &["structure"]).await.map(drop)
}

async fn nesting_bomb(world: &World) -> Result<()> {
    let bomb = "<extension url=\"u\">".repeat(100_000);
    let body = x65(world, |text| text.replacen("<entry>", &format!("{bomb}<entry>"), 1));
    refused(world, body, &["structure"]).await.map(drop)
}

async fn wrong_namespace(world: &World) -> Result<()> {
    let body = x65(world, |text| text.replacen("http://hl7.org/fhir", "http://hl7.org/fhir2", 1));
    refused(world, body, &["structure"]).await.map(drop)
}

async fn stylesheet(world: &World) -> Result<()> {
    let canary = Canary::listen().await?;
    let sheet = format!("<?xml-stylesheet href=\"{}/x.xsl\"?>", canary.url());
    let (bundle, body) = x65(world, |text| with_type(&text, &sheet));
    let answer = provide(world, body).await?;
    ensure!([200, 400].contains(&answer.status), "answered {}: {}", answer.status, answer.excerpt());
    ensure!(canary.seen() == 0, "nobody fetches the stylesheet");
    ensure!(!answer.excerpt().contains("x.xsl"), "the instruction is not echoed");
    if answer.status == 200 {
        held(world, &bundle, &world.p1, &answer).await?;
    }
    Ok(())
}

async fn submission(world: &World) -> Result<()> {
    let bytes: Vec<u8> = (0..50_000_u32).map(|n| (n % 251) as u8).collect();
    let provide_65 = world.b65().only(Document::new(&bytes)).title("Größe & \"Maß\" <1>");
    let bundle = provide_65.bundle();
    let answer = provide(world, xml::write(&bundle)).await?;
    held(world, &bundle, &world.p1, &answer).await?;
    // Again, and answered in XML: the first answer.
    let request = world.wire.request(Method::POST, world.subject.base(Actor::Repository));
    let request = request.header("Content-Type", "text/xml; charset=utf-8").header("Accept", FHIR_XML);
    let again = world.wire.send(request.body(xml::write(&bundle))).await?;
    ensure!(again.status == 200, "answered {}: {}", again.status, again.excerpt());
    ensure!(
        xml::said_in_xml(&again.body)? == xml::said_in_json(&answer.json()?),
        "the answer in XML says what the one in JSON says: {}",
        again.excerpt()
    );
    Ok(())
}

/// Every kind of answer says in XML what it says in JSON.
async fn answers(world: &World) -> Result<()> {
    let patient = encode(&world.p1.reference);
    let token = world.p1.token();
    let own = encode(world.subject.base(Actor::Identity));
    let urls = [
        world.url(Actor::Registry, &format!("DocumentReference?patient={patient}&status=current,superseded")),
        world.url(Actor::Registry, &format!("DocumentReference?patient={patient}&_summary=count")),
        world.url(Actor::Registry, &format!("List?patient={patient}&code=submissionset&status=current")),
        world.url(Actor::Registry, &format!("DocumentReference/{}", world.d1.id)),
        world.url(Actor::Registry, &format!("DocumentReference/{}/_history", world.d1s.id)),
        world.url(Actor::Registry, "metadata"),
        world.url(Actor::Repository, "metadata"),
        world.url(Actor::Identity, "metadata"),
        world.url(Actor::Identity, &format!("Patient?identifier={token}")),
        world.url(Actor::Identity, &format!("Patient/{}", world.p1.id)),
        // Of the record asked by, the resource is told where our own domain is asked for.
        world.url(Actor::Identity, &format!("Patient/$ihe-pix?sourceIdentifier={token}&targetSystem={own}")),
    ];
    for url in urls {
        let mark = if url.contains('?') { '&' } else { '?' };
        let as_json = world.wire.get(&url).await?;
        let told = as_json.expect(200).with_context(|| url.clone())?;
        let accepted = world.wire.request(Method::GET, &url).header("Accept", FHIR_XML);
        for (request, lines) in [
            (accepted, false),
            (world.wire.request(Method::GET, &format!("{url}{mark}_format=xml")), false),
            (world.wire.request(Method::GET, &format!("{url}{mark}_format=xml&_pretty=true")), true),
        ] {
            let answer = world.wire.send(request).await?;
            in_xml(&answer, 200).with_context(|| url.clone())?;
            let many = answer.body.iter().filter(|byte| **byte == b'\n').count() > 3;
            ensure!(many == lines, "{url}: _pretty decides on lines");
            let same = |lines: Vec<String>| {
                // Times of the answer itself, links to it and its request id differ.
                let own = ["/Bundle/id=", "/Bundle/timestamp=", "/Bundle/meta/", "/Bundle/link/url="];
                let kept = lines.into_iter().filter(|line| !own.iter().any(|own| line.starts_with(own)));
                kept.filter(|line| !line.contains("/date=")).collect::<Vec<_>>()
            };
            let (given, wanted) = (same(xml::said_in_xml(&answer.body)?), same(xml::said_in_json(&told)));
            ensure!(given == wanted, "{url}: XML says {given:?}, JSON {wanted:?}");
        }
    }
    Ok(())
}

fn in_xml(answer: &Answer, status: u16) -> Result<()> {
    ensure!(answer.status == status, "expected {status}, got {}: {}", answer.status, answer.excerpt());
    let given = answer.header("Content-Type").unwrap_or_default();
    ensure!(given == "application/fhir+xml; charset=utf-8", "the content type is {given}");
    Ok(())
}

async fn refusals(world: &World) -> Result<()> {
    for actor in [Actor::Registry, Actor::Repository, Actor::Identity] {
        for (method, path, status) in [
            (Method::GET, "Nothing", 404),
            (Method::GET, "Patient/$nothing", 404),
            (Method::DELETE, "metadata", 405),
        ] {
            let request = world.wire.request(method.clone(), &world.url(actor, path));
            let answer = world.wire.send(request.header("Accept", FHIR_XML)).await?;
            in_xml(&answer, status).with_context(|| format!("{actor:?} {method} {path}"))?;
        }
    }
    let request =
        world.wire.request(Method::GET, &world.url(Actor::Registry, "DocumentReference?_format=xml"));
    in_xml(&world.wire.send(request).await?, 400)?;
    let request = world.wire.request(Method::POST, world.subject.base(Actor::Repository));
    let request = request.header("Content-Type", "text/plain").header("Accept", FHIR_XML);
    in_xml(&world.wire.send(request.body("x")).await?, 415)?;
    let request = world.wire.request(Method::POST, world.subject.base(Actor::Repository));
    let request = request.header("Content-Type", FHIR_XML).header("Accept", FHIR_XML);
    in_xml(&world.wire.send(request.body("<Bundle")).await?, 400)
}

/// What cannot be answered is refused before anything is done.
async fn negotiation(world: &World) -> Result<()> {
    let bundle = world.b65().bundle();
    let before = world.census().await?;
    let request = world.wire.request(Method::POST, world.subject.base(Actor::Repository));
    let request = request.header("Content-Type", FHIR_XML).header("Accept", "application/pdf");
    let answer = world.wire.send(request.body(xml::write(&bundle))).await?;
    answer.refused(&[406], &[])?;
    world.nothing_stored(&before, &bundle).await?;
    let url = world.url(Actor::Registry, "metadata");
    for (accept, wanted) in [
        ("application/fhir+xml, application/fhir+json", FHIR_JSON),
        ("application/fhir+xml;q=0.9, application/fhir+json;q=0.1", FHIR_XML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", FHIR_JSON),
        ("application/xml", FHIR_XML),
        ("*/*", FHIR_JSON),
    ] {
        let answer = world.wire.send(world.wire.request(Method::GET, &url).header("Accept", accept)).await?;
        let given = answer.header("Content-Type").unwrap_or_default();
        ensure!(given.starts_with(wanted), "{accept} is answered as {given}");
    }
    Ok(())
}

async fn feed(world: &World) -> Result<()> {
    let value = format!("xml-{}", testkit::oid());
    let patient = testkit::patient(&world.p1.system, &value, "Größer", "Xaver & Söhne");
    let token = encode(&format!("{}|{value}", world.p1.system));
    let url = world.url(Actor::Identity, &format!("Patient?identifier={token}"));
    let request = world.wire.request(Method::PUT, &url);
    let request = request.header("Content-Type", FHIR_XML).header("Accept", FHIR_XML);
    let answer = world.wire.send(request.body(xml::write(&patient))).await?;
    in_xml(&answer, 201)?;
    let found = world.search(Actor::Identity, &format!("Patient?identifier={token}")).await?;
    ensure!(found.len() == 1 && found[0]["name"] == patient["name"], "the patient is as sent: {found:?}");
    let question = json!({
        "resourceType": "Parameters",
        "parameter": [
            { "name": "sourceIdentifier", "valueIdentifier": { "system": world.p1.system, "value": value } },
            { "name": "targetSystem", "valueUri": world.subject.base(Actor::Identity) },
        ],
    });
    let request = world.wire.request(Method::POST, &world.url(Actor::Identity, "Patient/$ihe-pix"));
    let request = request.header("Content-Type", FHIR_XML).header("Accept", FHIR_XML);
    let answer = world.wire.send(request.body(xml::write(&question))).await?;
    in_xml(&answer, 200)?;
    ensure!(
        xml::said_in_xml(&answer.body)?
            .iter()
            .any(|line| line.starts_with("/Parameters/parameter/name=targetId")),
        "the patient is told: {}",
        answer.excerpt()
    );
    Ok(())
}

async fn binary(world: &World) -> Result<()> {
    let id = world.d1.url.rsplit('/').next().context("a document's URL ends with an id")?;
    let request = world.wire.request(Method::GET, &world.url(Actor::Repository, &format!("Binary/{id}")));
    let answer = world.wire.send(request.header("Accept", FHIR_XML)).await?;
    if answer.status == 404 {
        return Err(super::skip("the server offers no Binary"));
    }
    in_xml(&answer, 200)?;
    let said = xml::said_in_xml(&answer.body)?;
    let data = format!("/Binary/data={}", base64(&world.d1.bytes));
    ensure!(said.contains(&data), "the bytes are in the Binary: {}", answer.excerpt());
    Ok(())
}

/// The standard alphabet with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A FHIR document stays in the syntax it came in, and is had in both.
async fn fhir_document(world: &World) -> Result<()> {
    let document = Document::new("x").unmeasured();
    let mut bundle = world.b65().only(document).bundle();
    let inner = json!({
        "resourceType": "Bundle", "type": "document", "timestamp": "2024-02-07T13:28:17Z",
        "identifier": { "system": "urn:ietf:rfc:3986", "value": testkit::urn_uuid() },
        "entry": [{ "fullUrl": testkit::urn_uuid(), "resource": {
            "resourceType": "Composition", "status": "final", "type": { "text": "Brief" }, "date": "2024-02-07",
            "author": [{ "display": "Dr. Größer" }], "title": "a < b",
            "text": { "status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">a &lt; b</div>" },
        } }],
    });
    let attachment = &mut bundle["entry"][1]["resource"]["content"][0]["attachment"];
    attachment["contentType"] = json!(FHIR_XML);
    for name in ["hash", "size"] {
        attachment.as_object_mut().context("an attachment")?.remove(name);
    }
    bundle["entry"][2]["resource"] = inner.clone();
    bundle["entry"][2]["request"]["url"] = json!("Bundle");
    let answer = provide(world, xml::write(&bundle)).await?;
    answer.expect(200)?;
    let id = super::created(&answer, "DocumentReference")?.into_iter().next().context("a document")?;
    let attachment = world.reference(&id).await?["content"][0]["attachment"].clone();
    ensure!(attachment["contentType"] == FHIR_XML, "the document is kept in XML: {attachment}");
    let url = text(&attachment["url"]);
    let wanted = xml::said_in_json(&inner);
    let own = world.wire.get(&url).await?;
    ensure!(own.header("Content-Type") == Some(FHIR_XML), "the document is its own type");
    ensure!(xml::said_in_xml(&own.body)? == wanted, "the document says what was sent: {}", own.excerpt());
    let request = world.wire.request(Method::GET, &url).header("Accept", FHIR_JSON);
    let other = world.wire.send(request).await?;
    ensure!(other.header("Content-Type") == Some(FHIR_JSON), "the other syntax is had on demand");
    ensure!(xml::said_in_json(&other.expect(200)?) == wanted, "it says the same: {}", other.excerpt());
    ensure!(own.header("ETag") != other.header("ETag"), "each has its own entity tag");
    let request = world.wire.request(Method::GET, &url).header("Accept", "application/pdf");
    ensure!(world.wire.send(request).await?.status == 406, "a third type is not had");
    Ok(())
}

/// A stranger's mistakes are told all at once, with their places.
async fn mistakes(world: &World) -> Result<()> {
    let body = x65(world, |text| {
        text.replacen("<status value=\"current\">", "<statuss value=\"current\">", 1)
            .replacen("</status>", "</statuss>", 1)
            .replacen("<type value=\"transaction\"></type>", "<type value=\"batch\"></type>", 1)
    });
    let answer = refused(world, body, &[]).await?;
    let issues = answer.issues()?;
    let named = |what: &str| issues.iter().any(|issue| issue.expressions.iter().any(|at| at.contains(what)));
    ensure!(named("statuss") && named("Bundle.type"), "both mistakes are named: {}", answer.excerpt());
    Ok(())
}
