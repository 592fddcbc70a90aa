//! Patients told in HL7 v3 [ITI-44] at the identity source: own messages, and those of others.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::Value;
use testkit::oid;

use super::hl7v2::{DOMAIN, fresh};
use super::hl7v3::{HL7, acknowledged, ii, message, replacing};
use super::world::{World, encode, text};
use super::{Case, case, make, skip};
use crate::answer::Answer;
use crate::region::Actor;
use crate::soap::{self, Reply};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("iti44-manager-add", added_patient_is_found),
        case!("iti44-manager-revise", revised_patient_is_the_same),
        case!("iti44-manager-merge", resolved_duplicates_are_one),
        case!("iti44-manager-mother", mother_is_told_by_her_identifier),
        case!("iti44-manager-refused", what_is_wrong_is_told),
        case!("iti44-manager-habits", habits_of_sources),
    ]
}

/// Messages of others, and whom they tell of; none: another transaction's message.
const MESSAGES: &[(&str, Option<&str>)] = &[
    ("epr-by-example/ITI-44_request_raw.xml", Some("urn:oid:1.3.6.1.4.1.21367.2017.2.5.89|TestSystemId")),
    ("ipf-hl7/PIX_FEED_REG_Maximal_Request.xml", Some("urn:oid:1.3.6.1.4.1.21367.2005.1.1|PIX10515W3")),
    ("ipf-hl7/PDQ.xml", None),
    ("ipf-hl7/NistPixpdq_Mesa10501-04_Example_01.xml", None),
    ("ipf-hl7/type-ns-wrong.xml", None),
];

pub(super) fn corpus_cases(data: &Path) -> Vec<Case> {
    let one = |(file, told): &(&'static str, Option<&'static str>)| {
        let (path, told) = (data.join("corpus").join(file), *told);
        make(&format!("iti44-manager/{file}"), move |world| {
            let path = path.clone();
            Box::pin(async move { of_others(world, &path, told).await })
        })
    };
    MESSAGES.iter().map(one).collect()
}

async fn of_others(world: &World, path: &Path, told: Option<&str>) -> Result<()> {
    only_own(world)?;
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let body = if text.contains("http://www.w3.org/2003/05/soap-envelope") {
        text.to_owned()
    } else {
        let names = ["PRPA_IN201301UV02", "PRPA_IN201305UV02", "PRPA_IN201306UV02", "PRPA_IN201309UV02"];
        let name = names.into_iter().find(|name| text.contains(name)).context("it is a known interaction")?;
        String::from_utf8(soap::simple(&door(world)?, &format!("{HL7}:{name}"), text).body)?
    };
    let answer = post(world, body).await?;
    let Some(token) = told else {
        ensure!(Reply::read(&answer)?.fault().is_some(), "it is not answered here: {}", answer.excerpt());
        return Ok(());
    };
    let code = acknowledged(&answer)?.0;
    ensure!(code == "CA", "answered {code}: {}", answer.excerpt());
    let found = world.search(Actor::Identity, &format!("Patient?identifier={}", encode(token))).await?;
    let patient = found.first().context("the patient is known")?;
    for member in ["name", "gender", "birthDate", "address"] {
        ensure!(patient.get(member).is_some(), "{member} is kept: {patient}");
    }
    Ok(())
}

fn only_own(world: &World) -> Result<()> {
    if world.subject.is_own() {
        return Ok(());
    }
    Err(skip("which authorities another server takes is not known"))
}

fn door(world: &World) -> Result<String> {
    Ok(format!("{}/pix/manager", world.subject.host(Actor::Identity)?))
}

async fn post(world: &World, body: String) -> Result<Answer> {
    let request = world.wire.request(Method::POST, &door(world)?);
    world.wire.send(request.header("Content-Type", "application/soap+xml; charset=UTF-8").body(body)).await
}

/// Sends a message under its usual action; the code and that of its first detail.
async fn tell(world: &World, name: &str, ids: &str, replaced: &str) -> Result<(String, String)> {
    tell_whole(world, name, |id| message(name, id, ids, replaced)).await
}

async fn tell_whole(world: &World, name: &str, message: impl Fn(&str) -> String) -> Result<(String, String)> {
    only_own(world)?;
    let id = oid();
    let sent = soap::simple(&door(world)?, &format!("{HL7}:{name}"), &message(&id));
    let (code, target, detail) = acknowledged(&post(world, String::from_utf8(sent.body)?).await?)?;
    ensure!(target == id, "the acknowledgement is to {id}, not to {target}");
    Ok((code, detail))
}

async fn taken(world: &World, name: &str, ids: &str, replaced: &str) -> Result<()> {
    let told = tell(world, name, ids, replaced).await?;
    ensure!(told.0 == "CA", "{name} is taken: {told:?}");
    Ok(())
}

async fn known(world: &World, id: &str) -> Result<Option<Value>> {
    let token = encode(&format!("urn:oid:{DOMAIN}|{id}"));
    Ok(world.search(Actor::Identity, &format!("Patient?identifier={token}")).await?.pop())
}

async fn added_patient_is_found(world: &World) -> Result<()> {
    let id = fresh("v3");
    let ids = format!("{}<id root=\"9.9\" extension=\"elsewhere\"/>", ii(&id));
    taken(world, "PRPA_IN201301UV02", &ids, "").await?;
    let patient = known(world, &id).await?.context("the patient is known")?;
    ensure!(patient["name"][0]["family"] == "Muster", "by name: {patient}");
    ensure!(
        !patient.to_string().contains("elsewhere"),
        "an authority nobody knows gives no identifier: {patient}"
    );
    let (code, _) = tell(world, "PRPA_IN201301UV02", &ids, "").await?;
    ensure!(code == "CA", "told again it is taken again: {code}");
    ensure!(
        known(world, &id).await?.context("known")?["meta"]["versionId"] == "1",
        "and makes no new version"
    );
    Ok(())
}

async fn revised_patient_is_the_same(world: &World) -> Result<()> {
    let id = fresh("v3");
    taken(world, "PRPA_IN201301UV02", &ii(&id), "").await?;
    let before = known(world, &id).await?.context("the patient is known")?;
    let name = "PRPA_IN201302UV02";
    let told = tell_whole(world, name, |message_id| {
        message(name, message_id, &ii(&id), "").replace("Muster", "Anders")
    });
    ensure!(told.await?.0 == "CA", "the revision is taken");
    let after = known(world, &id).await?.context("the patient is known")?;
    ensure!(after["id"] == before["id"] && after["name"][0]["family"] == "Anders", "it was revised: {after}");
    Ok(())
}

async fn resolved_duplicates_are_one(world: &World) -> Result<()> {
    let (gone, kept) = (fresh("v3-gone"), fresh("v3-kept"));
    for id in [&gone, &kept] {
        taken(world, "PRPA_IN201301UV02", &ii(id), "").await?;
    }
    for _ in 0..2 {
        taken(world, "PRPA_IN201304UV02", &ii(&kept), &replacing(&gone)).await?;
        let (away, stays) =
            (known(world, &gone).await?, known(world, &kept).await?.context("the survivor is known")?);
        let away = away.context("who was merged away is shown, out of use")?;
        ensure!(away["active"] == false, "out of use: {away}");
        let link = format!("Patient/{}", text(&stays["id"]));
        ensure!(away["link"][0]["other"]["reference"] == link, "with its survivor: {away}");
    }
    let told = tell(world, "PRPA_IN201301UV02", &ii(&gone), "").await?;
    ensure!(told == ("CE".to_owned(), "KEY204".to_owned()), "this feed cannot undo a merge: {told:?}");
    ensure!(known(world, &gone).await?.context("known")?["active"] == false, "the merge stands");
    Ok(())
}

async fn mother_is_told_by_her_identifier(world: &World) -> Result<()> {
    let (id, mother, name) = (fresh("v3"), fresh("v3-mother"), "PRPA_IN201301UV02");
    let relation = format!(
        "<personalRelationship classCode=\"PRS\"><code code=\"MTH\"/><relationshipHolder1>{}\
         <name><family>Berger</family></name></relationshipHolder1></personalRelationship></patientPerson>",
        ii(&mother)
    );
    let told = tell_whole(world, name, |message_id| {
        message(name, message_id, &ii(&id), "").replace("</patientPerson>", &relation)
    });
    ensure!(told.await?.0 == "CA", "the message is taken");
    let patient = known(world, &id).await?.context("the patient is known")?;
    ensure!(patient["contained"][0]["identifier"][0]["value"] == mother, "her identifier is kept: {patient}");
    ensure!(patient["extension"][0]["valueString"] == "Berger", "and her name: {patient}");
    Ok(())
}

async fn what_is_wrong_is_told(world: &World) -> Result<()> {
    let id = fresh("v3");
    taken(world, "PRPA_IN201301UV02", &ii(&id), "").await?;
    for (name, ids, replaced, expected) in [
        ("PRPA_IN201301UV02", "<id root=\"9.9\" extension=\"x\"/>".to_owned(), String::new(), "KEY204"),
        ("PRPA_IN201301UV02", String::new(), String::new(), "SYN101"),
        ("PRPA_IN201304UV02", ii(&id), String::new(), "SYN105"),
        ("PRPA_IN201304UV02", ii(&id), replacing(&id), "KEY205"),
        ("PRPA_IN201304UV02", ii(&id), replacing("nobody"), "KEY204"),
        ("PRPA_IN201304UV02", ii("nobody"), replacing(&id), "KEY204"),
    ] {
        let told = tell(world, name, &ids, &replaced).await?;
        ensure!(
            told == ("CE".to_owned(), expected.to_owned()),
            "{name} is refused with {expected}: {told:?}"
        );
    }
    ensure!(known(world, &id).await?.context("known")?["active"] != false, "nothing was changed");
    Ok(())
}

/// Without an action, and with that of the operation in the WSDL of the PIX manager.
async fn habits_of_sources(world: &World) -> Result<()> {
    only_own(world)?;
    let name = "PRPA_IN201301UV02";
    for action in [format!("urn:ihe:iti:pixv3:2007:PIXManager_{name}"), String::new()] {
        let id = fresh("v3");
        let sent = soap::simple(&door(world)?, &action, &message(name, &oid(), &ii(&id), ""));
        let mut body = String::from_utf8(sent.body)?;
        if action.is_empty() {
            body = body.replace("<wsa:Action soap:mustUnderstand=\"true\"></wsa:Action>", "");
        }
        let (code, ..) = acknowledged(&post(world, body).await?)?;
        ensure!(
            code == "CA" && known(world, &id).await?.is_some(),
            "taken with the action {action:?}: {code}"
        );
    }
    Ok(())
}
