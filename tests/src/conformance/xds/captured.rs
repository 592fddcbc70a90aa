//! Bodies captured from other stacks: sent as they are, but for the patient, the unique ids and the ends of lines.

use anyhow::{Context as _, Result, ensure};
use memchr::memmem;

use super::super::world::World;
use crate::markup::Element;
use crate::region::Actor;
use crate::soap::{Message, Reply, parameter};

/// Sends a multipart body whose patient is first made known; it has to be taken.
pub(super) async fn send(world: &World, actor: Actor, mut message: Message) -> Result<()> {
    let person = world.person("captured").await?;
    let cx = format!("{}^^^&amp;{}&amp;ISO", person.value, person.system.trim_start_matches("urn:oid:"));
    let text = lines(&message.body);
    let envelope = envelope(&text, &message.content_type)?;
    let mut changed = text;
    for identifier in envelope.find("ExternalIdentifier") {
        let name =
            identifier.first("LocalizedString").and_then(|name| name.attribute("value")).unwrap_or_default();
        let value = identifier.attribute("value").unwrap_or_default();
        if name.ends_with(".patientId") {
            changed = replaced(&changed, value.replace('&', "&amp;").as_bytes(), cx.as_bytes());
        } else if name.ends_with(".uniqueId") {
            changed = replaced(&changed, value.as_bytes(), testkit::oid().as_bytes());
        }
    }
    message.body = changed;
    let answer = world.post_soap(actor, &message).await?;
    let reply = Reply::read(&answer)?;
    let status = reply.registry_status()?;
    ensure!(status == "Success", "the captured body is taken: {}", reply.told());
    Ok(())
}

/// MIME lines end with CR and LF; a capture kept as text has lost the CR.
fn lines(body: &[u8]) -> Vec<u8> {
    if memmem::find(body, b"\r\n--").is_some() {
        return body.to_vec();
    }
    replaced(body, b"\n", b"\r\n")
}

fn envelope(body: &[u8], content_type: &str) -> Result<Element> {
    let boundary = parameter(content_type, "boundary").context("the capture has a boundary")?;
    let name = memmem::find(body, b":Envelope").with_context(|| format!("{boundary} holds an envelope"))?;
    let from = body[..name].iter().rposition(|byte| *byte == b'<').context("the envelope begins")?;
    let end = memmem::rfind(body, b":Envelope>").context("the envelope ends")?;
    Element::parse(&body[from..end + b":Envelope>".len()])
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for at in memmem::find_iter(bytes, old) {
        out.extend_from_slice(&bytes[from..at]);
        out.extend_from_slice(new);
        from = at + old.len();
    }
    out.extend_from_slice(&bytes[from..]);
    out
}
