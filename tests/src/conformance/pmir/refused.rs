//! Messages that are not taken: told why and where, and nothing is left of them.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{entry, found, fresh, message, patient, send};
use crate::conformance::world::World;
use crate::conformance::{Case, case};
use crate::region::Actor;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("pmir-all-or-nothing", one_bad_entry_and_nothing_is_stored),
        case!("pmir-refused", what_is_no_message_is_told_why),
        case!("pmir-limits", more_entries_than_are_taken),
        case!("pmir-subscription", subscriptions_are_not_offered),
    ]
}

async fn one_bad_entry_and_nothing_is_stored(world: &World) -> Result<()> {
    let value = fresh("pmir");
    let good = entry("POST", &fresh("a"), &patient(world, &value));
    let mut impossible = patient(world, &fresh("pmir"));
    impossible["birthDate"] = json!("1999-02-30");
    let nobody = json!({
        "resourceType": "Patient", "active": false,
        "identifier": [{ "system": world.p1.system, "value": fresh("pmir") }],
        "link": [{ "other": { "identifier": { "system": world.p1.system, "value": fresh("nobody") } }, "type": "replaced-by" }]
    });
    let alone = json!({
        "resourceType": "RelatedPerson", "patient": { "reference": "Patient/elsewhere" },
        "relationship": [{ "text": "mother" }]
    });
    for bad in [impossible, nobody, alone] {
        let bad = entry("PUT", &fresh("b"), &bad);
        let answer = send(world, &message(&[good.clone(), bad])).await?;
        let issues = answer.refused(&[400, 422], &[])?;
        let named = issues
            .iter()
            .any(|issue| issue.expressions.iter().any(|at| at.contains("entry[1].resource.entry[1]")));
        ensure!(named, "the entry is named: {}", answer.excerpt());
        ensure!(
            answer.excerpt().contains("Nothing was"),
            "it says that nothing was stored: {}",
            answer.excerpt()
        );
        ensure!(found(world, &value).await?.is_none(), "nothing is stored of the message");
    }
    Ok(())
}

/// A change of a good message: a JSON pointer to an object or list, the member, and its value.
type Change = (&'static str, &'static str, Value);

async fn what_is_no_message_is_told_why(world: &World) -> Result<()> {
    let header = "/entry/0/resource";
    let history = "/entry/1/resource";
    let changes: Vec<(Change, &[u16])> = vec![
        (("", "type", json!("transaction")), &[400]),
        ((header, "eventUri", json!("urn:example:other")), &[400, 422]),
        ((header, "eventUri", json!("urn:ihe:iti:pmir:2019:patient-feed-response")), &[400, 422]),
        ((header, "destination", Value::Null), &[400, 422]),
        ((header, "focus", json!([])), &[400, 422]),
        ((header, "focus", json!([{ "reference": "Bundle/another" }])), &[400, 422]),
        ((header, "response", json!({ "identifier": "x", "code": "ok" })), &[400, 422]),
        ((history, "type", json!("collection")), &[400, 422]),
        ((history, "entry", Value::Null), &[400, 422]),
    ];
    let value = fresh("pmir");
    for ((above, member, changed), statuses) in changes {
        let mut message = message(&[entry("POST", &fresh("a"), &patient(world, &value))]);
        let place =
            message.pointer_mut(above).and_then(Value::as_object_mut).context("the place is there")?;
        match changed {
            Value::Null => place.remove(member),
            changed => place.insert(member.to_owned(), changed),
        };
        let answer = send(world, &message).await?;
        let issues = answer.refused(statuses, &[]).with_context(|| format!("{above}/{member}"))?;
        ensure!(!issues[0].expressions.is_empty(), "the place is told: {}", answer.excerpt());
        ensure!(found(world, &value).await?.is_none(), "nothing is stored ({above}/{member})");
    }
    Ok(())
}

async fn more_entries_than_are_taken(world: &World) -> Result<()> {
    let most = world.subject.max_entries;
    let value = fresh("many");
    let one = |at: usize| entry("POST", &format!("{value}-{at}"), &patient(world, &format!("{value}-{at}")));
    let entries: Vec<Value> = (0..=most).map(one).collect();
    send(world, &message(&entries)).await?.refused(&[413], &["too-costly"])?;
    ensure!(found(world, &format!("{value}-0")).await?.is_none(), "nothing is stored of it");
    Ok(())
}

async fn subscriptions_are_not_offered(world: &World) -> Result<()> {
    let subscription = json!({
        "resourceType": "Subscription", "status": "requested", "reason": "to hear of patients", "criteria": "Patient",
        "channel": { "type": "message", "endpoint": "http://here.example/", "payload": "application/fhir+json" }
    });
    let answer = world.wire.post(&world.url(Actor::Identity, "Subscription"), &subscription).await?;
    answer.refused(&[404, 405, 501], &["not-supported"])?;
    ensure!(answer.excerpt().contains("ITI-94"), "it is told what is not offered: {}", answer.excerpt());
    Ok(())
}
