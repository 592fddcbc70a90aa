//! XML that would do harm, or means something else than it seems.

use anyhow::{Result, ensure};

use super::message::{REGISTER, Submission, simple};
use super::{refused, told};
use crate::canary::Canary;
use crate::conformance::world::{World, encode};
use crate::conformance::{Case, case};
use crate::region::Actor;
use crate::soap::Message;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("xml-03", parameter_entity),
        case!("xml-05", schema_location),
        case!("xml-07", many_attributes),
        case!("xml-09", wrong_encoding),
        case!("xml-10", comment_within),
        case!("xml-11", escaped_twice),
    ]
}

/// S42 with something done to its text.
fn s42(world: &World, submission: &Submission, change: impl Fn(&str) -> String) -> Result<Message> {
    let mut message = simple(world, Actor::Registry, REGISTER, &submission.registered())?;
    message.body = change(std::str::from_utf8(&message.body)?).into();
    Ok(message)
}

async fn refuses(world: &World, message: &Message) -> Result<()> {
    refused(world, Actor::Registry, message, &["Sender"]).await.map(drop)
}

async fn taken(world: &World, message: &Message) -> Result<()> {
    let answer = world.post_soap(Actor::Registry, message).await?;
    let (told, reply) = told(&answer)?;
    ensure!(told.starts_with("Success"), "{told}: {}", reply.told());
    Ok(())
}

async fn parameter_entity(world: &World) -> Result<()> {
    let canary = Canary::listen().await?;
    let kind = format!("<!DOCTYPE e [<!ENTITY % p SYSTEM \"{}/d.dtd\"> %p;]>", canary.url());
    let message = s42(world, &Submission::new(&world.p1), |text| format!("{kind}{text}"))?;
    refuses(world, &message).await?;
    ensure!(canary.seen() == 0, "nobody fetches it");
    Ok(())
}

async fn schema_location(world: &World) -> Result<()> {
    let canary = Canary::listen().await?;
    let attribute = format!(
        "<soap:Envelope xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"urn:x {}/x.xsd\"",
        canary.url()
    );
    let message =
        s42(world, &Submission::new(&world.p1), |text| text.replacen("<soap:Envelope", &attribute, 1))?;
    taken(world, &message).await?;
    ensure!(canary.seen() == 0, "nobody fetches it");
    Ok(())
}

async fn many_attributes(world: &World) -> Result<()> {
    let many: String = (0..200_000).map(|number| format!(" a{number}=\"\"")).collect();
    let message = s42(world, &Submission::new(&world.p1), |text| {
        text.replacen("<rim:Slot", &format!("<rim:Slot{many}"), 1)
    })?;
    refuses(world, &message).await
}

async fn wrong_encoding(world: &World) -> Result<()> {
    let declaration = "<?xml version=\"1.0\" encoding=\"UTF-16\"?>";
    let message = s42(world, &Submission::new(&world.p1), |text| format!("{declaration}{text}"))?;
    refuses(world, &message).await
}

async fn comment_within(world: &World) -> Result<()> {
    let submission = Submission::new(&world.p1);
    let source = format!("<rim:Value>{}", submission.patient.replace('&', "&amp;"));
    let (before, behind) = source.split_once("^^^").unwrap_or_default();
    let broken = format!("{before}^^^<!-- -->{behind}");
    let message = s42(world, &submission, |text| text.replacen(&source, &broken, 1))?;
    ensure!(memchr::memmem::find(&message.body, b"<!-- -->").is_some(), "the comment is there");
    taken(world, &message).await?;
    let query =
        format!("DocumentReference?identifier={}", encode(&format!("urn:oid:{}", submission.unique_id)));
    let found = world.search(Actor::Registry, &query).await?;
    ensure!(found.len() == 1, "the document is found");
    let told = found[0].to_string();
    ensure!(
        told.contains(world.p1.system.trim_start_matches("urn:oid:")),
        "the source's patient is told whole: {told}"
    );
    Ok(())
}

async fn escaped_twice(world: &World) -> Result<()> {
    let mut submission = Submission::new(&world.p1);
    submission.title = "&amp;lt;script&amp;gt;".to_owned();
    let message = s42(world, &submission, str::to_owned)?;
    taken(world, &message).await?;
    let query =
        format!("DocumentReference?identifier={}", encode(&format!("urn:oid:{}", submission.unique_id)));
    let found = world.search(Actor::Registry, &query).await?;
    let title = found.first().map(|found| &found["content"][0]["attachment"]["title"]);
    ensure!(title.is_some_and(|title| title == "&lt;script&gt;"), "the title is decoded once: {title:?}");
    Ok(())
}
