//! Packages that are not what they should be.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;

use super::message::{PROVIDE, Submission, simple};
use super::query::bytes_of;
use super::{refused, told};
use crate::canary::Canary;
use crate::conformance::world::World;
use crate::conformance::{Case, case};
use crate::raw;
use crate::region::Actor;
use crate::soap::{self, Message};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("mtom-01", no_boundary),
        case!("mtom-02", long_boundary),
        case!("mtom-03", start_of_nobody),
        case!("mtom-04", missing_part),
        case!("mtom-05", extra_part),
        case!("mtom-06", document_without_metadata),
        case!("mtom-07", web_address),
        case!("mtom-08", ten_thousand_parts),
        case!("mtom-09", cut_off),
        case!("mtom-10", boundary_within),
        case!("mtom-11", base64_part),
        case!("mtom-12", inline),
        case!("mtom-13", over_the_limit),
        case!("soap-mtom-tolerance", tolerance),
    ]
}

const CID: &str = "d1@tests";

fn include(href: &str) -> String {
    format!("<xop:Include xmlns:xop=\"http://www.w3.org/2004/08/xop/include\" href=\"{href}\"/>")
}

type Part = (String, String, Vec<u8>);

fn part(cid: &str, bytes: &[u8]) -> Part {
    (cid.to_owned(), "text/plain".to_owned(), bytes.to_vec())
}

/// S41.
fn s41(world: &World, submission: &Submission, parts: &[Part]) -> Result<Message> {
    let body = submission.provided(&include(&format!("cid:{}", CID.replace('@', "%40"))));
    Ok(soap::mtom(&world.soap_url(Actor::Repository)?, PROVIDE, &body, parts))
}

/// S41 with this as its document.
fn with(world: &World, submission: &Submission, bytes: &[u8]) -> Result<Message> {
    s41(world, submission, &[part(CID, bytes)])
}

async fn refuses(world: &World, message: &Message, kinds: &[&str]) -> Result<String> {
    refused(world, Actor::Repository, message, kinds).await
}

/// A message is taken, and ITI-43 gives these bytes back.
async fn taken(world: &World, submission: &Submission, message: &Message, bytes: &[u8]) -> Result<()> {
    let answer = world.post_soap(Actor::Repository, message).await?;
    let (told, reply) = told(&answer)?;
    ensure!(told.starts_with("Success"), "{told}: {}", reply.told());
    ensure!(bytes_of(world, &submission.unique_id).await? == bytes, "the bytes come back as they were");
    Ok(())
}

fn replaced(mut message: Message, from: &str, to: &str) -> Message {
    let at = memchr::memmem::find(&message.body, from.as_bytes());
    if let Some(at) = at {
        message.body.splice(at..at + from.len(), to.bytes());
    }
    message
}

async fn no_boundary(world: &World) -> Result<()> {
    let mut message = with(world, &Submission::new(&world.p1), b"bytes")?;
    message.content_type =
        "multipart/related; type=\"application/xop+xml\"; start-info=\"application/soap+xml\"".into();
    refuses(world, &message, &["Sender"]).await.map(drop)
}

async fn long_boundary(world: &World) -> Result<()> {
    let mut message = with(world, &Submission::new(&world.p1), b"bytes")?;
    let boundary = soap::parameter(&message.content_type, "boundary").context("a boundary")?;
    let long = "b".repeat(4096);
    message.content_type = message.content_type.replace(&boundary, &long);
    message.body = String::from_utf8(message.body)?.replace(&boundary, &long).into();
    refuses(world, &message, &["Sender"]).await.map(drop)
}

async fn start_of_nobody(world: &World) -> Result<()> {
    let mut message = with(world, &Submission::new(&world.p1), b"bytes")?;
    message.content_type = message.content_type.replace("<root@tests>", "<nobody>");
    refuses(world, &message, &["Sender"]).await.map(drop)
}

async fn missing_part(world: &World) -> Result<()> {
    let message = s41(world, &Submission::new(&world.p1), &[])?;
    refuses(world, &message, &["XDSMissingDocument", "Sender"]).await.map(drop)
}

async fn extra_part(world: &World) -> Result<()> {
    let submission = Submission::new(&world.p1);
    let message = s41(world, &submission, &[part(CID, b"bytes"), part("extra@tests", b"of nobody")])?;
    let answer = world.post_soap(Actor::Repository, &message).await?;
    let (told, _) = told(&answer)?;
    ensure!(told.starts_with("Success") || told.contains("XDSMissingDocumentMetadata"), "{told}");
    Ok(())
}

async fn document_without_metadata(world: &World) -> Result<()> {
    let message = with(world, &Submission::new(&world.p1), b"bytes")?;
    let end = "</xds:ProvideAndRegisterDocumentSetRequest>";
    let message =
        replaced(message, end, &format!("<xds:Document id=\"Document99\">YWJj</xds:Document>{end}"));
    refuses(world, &message, &["XDSMissingDocumentMetadata"]).await.map(drop)
}

async fn web_address(world: &World) -> Result<()> {
    let canary = Canary::listen().await?;
    let body = Submission::new(&world.p1).provided(&include(&format!("{}/x", canary.url())));
    let message = soap::mtom(&world.soap_url(Actor::Repository)?, PROVIDE, &body, &[]);
    refuses(world, &message, &["XDSMissingDocument", "Sender"]).await?;
    ensure!(canary.seen() == 0, "nobody goes there");
    Ok(())
}

async fn ten_thousand_parts(world: &World) -> Result<()> {
    let parts: Vec<Part> = (0..10_000).map(|number| part(&format!("{number}@tests"), b"x")).collect();
    let message = s41(world, &Submission::new(&world.p1), &parts)?;
    let told = refuses(world, &message, &["Sender"]).await?;
    ensure!(told.contains("server.limits.max_"), "it names the key: {told}");
    Ok(())
}

async fn cut_off(world: &World) -> Result<()> {
    let submission = Submission::new(&world.p1);
    let message = with(world, &submission, &[b'x'; 1000])?;
    let before = world.census().await?;
    let url = world.soap_url(Actor::Repository)?;
    let head = format!(
        "POST /xds/repository HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        raw::authority(&url)?,
        message.content_type,
        message.body.len()
    );
    let cut = [head.as_bytes(), &message.body[..message.body.len() - 100]].concat();
    raw::exchange(&url, &cut, Duration::from_millis(500)).await?;
    ensure!(before == world.census().await?, "nothing is stored");
    Ok(())
}

async fn boundary_within(world: &World) -> Result<()> {
    let submission = Submission::new(&world.p1);
    let mut message = with(world, &submission, b"PLACE")?;
    let boundary = soap::parameter(&message.content_type, "boundary").context("a boundary")?;
    let document = format!("x--{boundary}--y\r\n--{boundary}more\r\n");
    message = replaced(message, "PLACE", &document);
    taken(world, &submission, &message, document.as_bytes()).await
}

async fn base64_part(world: &World) -> Result<()> {
    let submission = Submission::new(&world.p1);
    let message = with(world, &submission, b"Ynl0ZXM=")?;
    let from = "Content-Type: text/plain\r\nContent-Transfer-Encoding: binary";
    let message = replaced(message, from, "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64");
    taken(world, &submission, &message, b"bytes").await
}

async fn inline(world: &World) -> Result<()> {
    let submission = Submission::new(&world.p1);
    let body = submission.provided("Ynl0ZXM=");
    let message = soap::mtom(&world.soap_url(Actor::Repository)?, PROVIDE, &body, &[]);
    taken(world, &submission, &message, b"bytes").await?;
    // The same without a package around it.
    let submission = Submission::new(&world.p1);
    let message = simple(world, Actor::Repository, PROVIDE, &submission.provided("Ynl0\r\nZXM="))?;
    taken(world, &submission, &message, b"bytes").await
}

async fn over_the_limit(world: &World) -> Result<()> {
    let submission = Submission::new(&world.p1);
    let mut message = with(world, &submission, b"PLACE")?;
    let at = memchr::memmem::find(&message.body, b"PLACE").context("the place of the document")?;
    let tail = Bytes::from(message.body.split_off(at + 5));
    message.body.truncate(at);
    let (head, piece) = (Bytes::from(message.body), Bytes::from(vec![b'x'; 1 << 20]));
    let before = world.census().await?;
    let pieces =
        std::iter::once(head).chain(std::iter::repeat_n(piece, 100)).chain([Bytes::from_static(b"x"), tail]);
    let stream = futures_util::stream::iter(pieces.map(Ok::<_, std::io::Error>));
    let request = world.wire.request(reqwest::Method::POST, &world.soap_url(Actor::Repository)?);
    let request =
        request.header("Content-Type", &message.content_type).body(reqwest::Body::wrap_stream(stream));
    let answer = world.wire.send(request).await?;
    let (told, _) = told(&answer)?;
    ensure!(told.contains("Sender") && told.contains("server.limits.max_document_bytes"), "{told}");
    ensure!(before == world.census().await?, "nothing is stored");
    Ok(())
}

async fn tolerance(world: &World) -> Result<()> {
    // No action, no start, brackets within the reference, line feeds alone.
    let submission = Submission::new(&world.p1);
    let body = submission.provided(&include("cid:%3C7%40tests%3E"));
    let url = world.soap_url(Actor::Repository)?;
    let mut message = soap::mtom(&url, "None", &body, &[part("7@tests", b"bytes")]);
    let boundary = soap::parameter(&message.content_type, "boundary").context("a boundary")?;
    message.content_type = format!("multipart/related;boundary={boundary};type=\"application/xop+xml\"");
    message.body = String::from_utf8(message.body)?.replace("\r\n", "\n").into();
    taken(world, &submission, &message, b"bytes").await
}
