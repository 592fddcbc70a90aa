//! Bodies that are broken, ambiguous or lie about themselves (ITI-65).

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::{Document, Provide};

use super::world::{World, created, text};
use super::{Case, case};
use crate::region::Actor;
use crate::wire::FHIR_JSON;

/// Statuses of a submission that is understood and refused.
const REFUSED: [u16; 2] = [400, 422];

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("json-01", empty_body),
        case!("json-02", truncated_body),
        case!("json-03", two_values),
        case!("json-04", nesting_bomb),
        case!("json-05", duplicate_member),
        case!("json-06", invalid_utf8),
        case!("json-07", lone_surrogate),
        case!("json-08", control_character),
        case!("json-09", number_out_of_range),
        case!("json-10", size_as_string),
        case!("json-11", unknown_member),
        case!("json-12", null_in_array),
        case!("json-13", batch),
        case!("json-14", unknown_resource_type),
        case!("json-17", invalid_base64),
        case!("json-18", base64_with_line_breaks),
        case!("json-19", json_labelled_as_xml),
        case!("json-20", utf16),
        case!("json-23", impossible_date),
        case!("json-24", script_in_narrative),
        case!("json-25", dangling_contained_reference),
    ]
}

async fn empty_body(world: &World) -> Result<()> {
    world.refuses_text(Vec::new(), &[400], &["structure"]).await.map(drop)
}

async fn truncated_body(world: &World) -> Result<()> {
    let mut body = world.b65().bundle().to_string().into_bytes();
    body.truncate(body.len() / 2);
    world.refuses_text(body, &[400], &["structure"]).await.map(drop)
}

async fn two_values(world: &World) -> Result<()> {
    let bundle = world.b65().bundle();
    let before = world.census().await?;
    let body = format!("{bundle}{{}}");
    let answer = world.wire.post_text(world.subject.base(Actor::Repository), body).await?;
    answer.refused(&[400], &["structure"])?;
    world.nothing_stored(&before, &bundle).await
}

async fn nesting_bomb(world: &World) -> Result<()> {
    let answer = world.refuses_text(vec![b'['; 100_000], &[400], &["structure"]).await?;
    ensure!(answer.took.as_secs() < 2, "the answer took {:?}", answer.took);
    Ok(())
}

async fn duplicate_member(world: &World) -> Result<()> {
    let bundle = world.b65().bundle();
    let body = bundle.to_string();
    let subject = format!("\"subject\":{}", bundle["entry"][1]["resource"]["subject"]);
    let other = format!("\"subject\":{{\"reference\":\"{}\"}}", world.p2.reference);
    let (at, _) = body.match_indices(&subject).nth(1).context("the DocumentReference has a subject")?;
    let doubled = format!("{}{other},{}", &body[..at], &body[at..]);
    let before = world.census().await?;
    let answer = world.wire.post_text(world.subject.base(Actor::Repository), doubled).await?;
    answer.refused(&[400], &["structure"])?;
    world.nothing_stored(&before, &bundle).await
}

async fn invalid_utf8(world: &World) -> Result<()> {
    let body = world.b65().title("Tagesbefunde").bundle().to_string();
    let at = body.find("Tagesbefunde").context("the title is there")?;
    let mut bytes = body.into_bytes();
    bytes[at] = 0xFF;
    world.refuses_text(bytes, &[400], &["structure"]).await.map(drop)
}

async fn lone_surrogate(world: &World) -> Result<()> {
    let body = world.b65().title("SURROGATE").bundle().to_string().replace("SURROGATE", "abc\\ud800def");
    world.refuses_text(body.into_bytes(), &[400], &["structure", "value"]).await.map(drop)
}

async fn control_character(world: &World) -> Result<()> {
    let bundle = changed(world, |reference| reference["description"] = json!("a\u{0}b"));
    world.refuses(&bundle, &REFUSED, &["value", "structure"], &[]).await.map(drop)
}

async fn number_out_of_range(world: &World) -> Result<()> {
    let bundle = changed(world, |reference| reference["content"][0]["attachment"]["size"] = json!(4_711_815));
    let body = bundle.to_string().replace("4711815", "1e400");
    world.refuses_text(body.into_bytes(), &REFUSED, &["value", "structure"]).await.map(drop)
}

async fn size_as_string(world: &World) -> Result<()> {
    let bundle = changed(world, |reference| reference["content"][0]["attachment"]["size"] = json!("5"));
    world.refuses(&bundle, &[400], &["structure", "value"], &[]).await.map(drop)
}

async fn unknown_member(world: &World) -> Result<()> {
    let bundle = changed(world, |reference| reference["dokumentType"] = json!("x"));
    let answer = world.refuses(&bundle, &[400], &["structure"], &[]).await?;
    ensure!(answer.excerpt().contains("dokumentType"), "the outcome names the member: {}", answer.excerpt());
    Ok(())
}

async fn null_in_array(world: &World) -> Result<()> {
    let bundle = changed(world, |reference| reference["author"] = json!([null]));
    world.refuses(&bundle, &[400], &["structure"], &[]).await.map(drop)
}

async fn batch(world: &World) -> Result<()> {
    let mut bundle = world.b65().bundle();
    bundle["type"] = json!("batch");
    world.refuses(&bundle, &REFUSED, &["value", "not-supported"], &[]).await.map(drop)
}

async fn unknown_resource_type(world: &World) -> Result<()> {
    let bundle = changed(world, |reference| reference["resourceType"] = json!("DocumentReferenze"));
    world.refuses(&bundle, &[400], &["structure", "not-supported"], &[]).await.map(drop)
}

async fn invalid_base64(world: &World) -> Result<()> {
    let mut bundle = world.b65().only(Document::new("Hello").unmeasured()).bundle();
    bundle["entry"][2]["resource"]["data"] = json!("SGVsbG8*");
    let answer = world.refuses(&bundle, &REFUSED, &["value"], &[]).await?;
    let issues = answer.issues()?;
    let named = issues.iter().any(|issue| issue.expressions.iter().any(|at| at.contains("entry[2]")));
    ensure!(named, "the outcome points at the Binary: {}", answer.excerpt());
    Ok(())
}

async fn base64_with_line_breaks(world: &World) -> Result<()> {
    let bytes: Vec<u8> = (0..5000_u32).map(|n| u8::try_from(n % 251).unwrap_or_default()).collect();
    let document = Document::new(&bytes).content_type("application/octet-stream");
    let mut bundle = world.b65().only(document).bundle();
    let plain = STANDARD.encode(&bytes);
    let lines: Vec<&str> =
        plain.as_bytes().chunks(76).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    bundle["entry"][2]["resource"]["data"] = json!(lines.join("\n"));
    let answer = world.provide(&bundle).await?;
    answer.expect(200)?;
    let id = created(&answer, "DocumentReference")?.remove(0);
    let reference = world.reference(&id).await?;
    let document = world.wire.get(&text(&reference["content"][0]["attachment"]["url"])).await?;
    ensure!(document.status == 200 && document.body[..] == bytes[..], "the exact bytes come back");
    Ok(())
}

/// While the server takes no XML at all, 415 says more than 400.
async fn json_labelled_as_xml(world: &World) -> Result<()> {
    labelled(world, "application/fhir+xml", |body| body, &[400, 415], &["structure", "not-supported"]).await
}

async fn utf16(world: &World) -> Result<()> {
    let encode = |body: Vec<u8>| {
        let body = String::from_utf8_lossy(&body).into_owned();
        let units = std::iter::once(0xFEFF).chain(body.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    };
    labelled(world, "application/fhir+json; charset=utf-16", encode, &[415], &["not-supported"]).await
}

async fn labelled(
    world: &World,
    content_type: &str,
    encode: impl Fn(Vec<u8>) -> Vec<u8>,
    statuses: &[u16],
    codes: &[&str],
) -> Result<()> {
    let bundle = world.b65().bundle();
    let before = world.census().await?;
    let request = world.wire.request(reqwest::Method::POST, world.subject.base(Actor::Repository));
    let request = request.header("Content-Type", content_type).header("Accept", FHIR_JSON);
    let answer = world.wire.send(request.body(encode(bundle.to_string().into_bytes()))).await?;
    answer.refused(statuses, codes)?;
    world.nothing_stored(&before, &bundle).await
}

async fn impossible_date(world: &World) -> Result<()> {
    let bundle = changed(world, |reference| {
        reference["content"][0]["attachment"]["creation"] = json!("2024-13-45T99:99:99Z")
    });
    world.refuses(&bundle, &REFUSED, &["value"], &[]).await.map(drop)
}

async fn script_in_narrative(world: &World) -> Result<()> {
    let div = "<div xmlns=\"http://www.w3.org/1999/xhtml\"><img src=\"x\" onerror=\"alert(1)\"></img></div>";
    let bundle =
        changed(world, |reference| reference["text"] = json!({ "status": "additional", "div": div }));
    let before = world.census().await?;
    let answer = world.provide(&bundle).await?;
    if answer.status == 200 {
        let id = created(&answer, "DocumentReference")?.remove(0);
        let given = world.reference(&id).await?.to_string();
        ensure!(!given.contains("onerror="), "the script is never given out");
        return Ok(());
    }
    answer.refused(&REFUSED, &["invalid", "value"])?;
    world.nothing_stored(&before, &bundle).await
}

async fn dangling_contained_reference(world: &World) -> Result<()> {
    let bundle =
        changed(world, |reference| reference["context"]["sourcePatientInfo"]["reference"] = json!("#nobody"));
    world.refuses(&bundle, &REFUSED, &["not-found", "invalid"], &[]).await.map(drop)
}

/// `B65` with its DocumentReference changed.
pub(super) fn changed(world: &World, change: impl FnOnce(&mut Value)) -> Value {
    let mut bundle = Provide::new(&world.p1.reference).bundle();
    change(&mut bundle["entry"][1]["resource"]);
    bundle
}
