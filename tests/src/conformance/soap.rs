//! Messages of XDS.b as a hostile, broken or unlucky peer sends them.

mod message;
mod mtom;
mod query;
mod xml;

use anyhow::{Result, ensure};

use super::world::World;
use super::{Case, case};
use crate::answer::Answer;
use crate::canary::Canary;
use crate::region::Actor;
use crate::soap::{Message, Reply};
use message::{ASK, REGISTER, Submission, simple};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case!("soap-01", soap_11),
        case!("soap-02", must_understand),
        case!("soap-03", no_action),
        case!("soap-04", unknown_action),
        case!("ssrf-06", reply_to),
    ];
    cases.extend(query::cases());
    cases.extend(mtom::cases());
    cases.extend(xml::cases());
    cases
}

/// What an answer says: its fault, or else its status and codes.
fn told(answer: &Answer) -> Result<(String, Reply)> {
    let reply = Reply::read(answer)?;
    let told = match reply.fault() {
        Some(fault) => {
            let sender = fault.contains("Sender");
            ensure!(
                sender == (answer.status == 400) || answer.status == 415,
                "{} for {fault}",
                answer.status
            );
            fault
        }
        None => {
            let codes: Vec<String> = reply.errors().into_iter().map(|(code, ..)| code).collect();
            format!("{} {}", reply.registry_status()?, codes.join(" "))
        }
    };
    Ok((told, reply))
}

/// A message gets a fault of this kind.
async fn faulted(world: &World, actor: Actor, message: &Message, kinds: &[&str]) -> Result<String> {
    let answer = world.post_soap(actor, message).await?;
    let (told, reply) = told(&answer)?;
    ensure!(reply.fault().is_some(), "a fault comes back: {told}");
    ensure!(kinds.iter().any(|kind| told.contains(kind)), "the fault is one of {kinds:?}: {told}");
    ensure!(told.contains("stored"), "it says whether anything was stored: {told}");
    Ok(told)
}

/// A message is refused, one way or another, and leaves nothing.
async fn refused(world: &World, actor: Actor, message: &Message, kinds: &[&str]) -> Result<String> {
    let before = world.census().await?;
    let answer = world.post_soap(actor, message).await?;
    ensure!(answer.took.as_secs() < 3, "the answer took {:?}", answer.took);
    let (told, _) = told(&answer)?;
    ensure!(kinds.iter().any(|kind| told.contains(kind)), "refused as one of {kinds:?}: {told}");
    ensure!(!told.starts_with("Success"), "it is refused");
    ensure!(before == world.census().await?, "nothing is stored");
    Ok(told)
}

async fn soap_11(world: &World) -> Result<()> {
    let mut message = simple(world, Actor::Registry, ASK, &query::of_patient(&world.p1))?;
    let text = String::from_utf8(message.body)?;
    message.body = text.replace(crate::soap::SOAP, "http://schemas.xmlsoap.org/soap/envelope/").into();
    message.content_type = "text/xml; charset=utf-8".to_owned();
    faulted(world, Actor::Registry, &message, &["VersionMismatch"]).await.map(drop)
}

async fn must_understand(world: &World) -> Result<()> {
    let mut message = simple(world, Actor::Registry, ASK, &query::of_patient(&world.p1))?;
    let block = "<x:Foo soap:mustUnderstand=\"1\" xmlns:x=\"urn:x\"/></soap:Header>";
    message.body = String::from_utf8(message.body)?.replace("</soap:Header>", block).into();
    faulted(world, Actor::Registry, &message, &["MustUnderstand"]).await.map(drop)
}

async fn no_action(world: &World) -> Result<()> {
    let message = simple(world, Actor::Registry, "None", &query::of_patient(&world.p1))?;
    let answer = world.post_soap(Actor::Registry, &message).await?;
    let (told, _) = told(&answer)?;
    ensure!(told.starts_with("Success"), "it is dispatched by the element of its body: {told}");
    Ok(())
}

async fn unknown_action(world: &World) -> Result<()> {
    let body = Submission::new(&world.p1).registered();
    let message = simple(world, Actor::Registry, "urn:ihe:iti:2007:DropAllTables", &body)?;
    let told = refused(world, Actor::Registry, &message, &["ActionNotSupported"]).await?;
    ensure!(told.contains(REGISTER), "it says what is supported: {told}");
    Ok(())
}

async fn reply_to(world: &World) -> Result<()> {
    let canary = Canary::listen().await?;
    let mut message = simple(world, Actor::Registry, ASK, &query::of_patient(&world.p1))?;
    let address = format!("{}/", canary.url());
    message.body = String::from_utf8(message.body)?.replace(crate::soap::ANONYMOUS, &address).into();
    let told = faulted(world, Actor::Registry, &message, &["OnlyAnonymousAddressSupported"]).await?;
    ensure!(told.contains("soap.reply_to"), "it names the key: {told}");
    ensure!(canary.seen() == 0, "nobody goes there");
    Ok(())
}
