//! Patients told in HL7 v3 [ITI-44] at the SOAP door of the registry: own messages, and those of others.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use testkit::oid;

use super::hl7v2::{DOMAIN, documents, fresh, is_known, submit};
use super::world::World;
use super::{Case, case, make, skip};
use crate::markup::Element;
use crate::region::Actor;
use crate::soap::{self, Reply};

/// Namespace of HL7 v3.
pub(super) const HL7: &str = "urn:hl7-org:v3";

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("iti44-add", added_patient_is_known),
        case!("iti44-merge", resolved_duplicates_are_one),
        case!("iti44-refused", what_is_wrong_is_told),
        case!("iti44-habits", habits_of_sources),
    ]
}

/// Messages of others, by the transaction they are.
pub(super) fn corpus_cases(data: &Path) -> Vec<Case> {
    let messages = [
        ("epr-by-example/ITI-44_request_raw.xml", Expected::Accepted("TestSystemId")),
        ("ipf-hl7/PIX_FEED_REG_Maximal_Request.xml", Expected::Accepted("PIX10515W3")),
        ("ipf-hl7/PDQ.xml", Expected::Fault),
        ("ipf-hl7/PDQ_unused_global_namespace_issue.xml", Expected::Fault),
        ("ipf-hl7/NistPixpdq_Mesa10501-04_Example_01.xml", Expected::Fault),
        ("ipf-hl7/type-ns-wrong.xml", Expected::Fault),
    ];
    let message = |(file, expected): (&'static str, Expected)| {
        let path = data.join("corpus").join(file);
        make(&format!("iti44/{file}"), move |world| {
            let path = path.clone();
            Box::pin(async move {
                let text =
                    std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
                of_others(world, &text, expected).await
            })
        })
    };
    messages.into_iter().map(message).collect()
}

/// What a registry says to a message.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// CA.
    Accepted(&'static str),
    /// Another transaction's message, which a registry does not answer.
    Fault,
}

async fn of_others(world: &World, text: &str, expected: Expected) -> Result<()> {
    if world.subject.admin(Actor::Registry).is_none() {
        return Err(skip("which authorities another server takes is not known"));
    }
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let is_envelope =
        text.starts_with("<env:Envelope") || text.contains("http://www.w3.org/2003/05/soap-envelope");
    let name = ["PRPA_IN201301UV02", "PRPA_IN201305UV02", "PRPA_IN201306UV02", "PRPA_IN201309UV02"];
    let name = name.into_iter().find(|name| text.contains(name)).context("it is a known interaction")?;
    let body = if is_envelope {
        text.to_owned()
    } else {
        let action = format!("{HL7}:{name}");
        String::from_utf8(soap::simple(&door(world)?, &action, text).body)?
    };
    let answer = post(world, body).await?;
    match expected {
        Expected::Accepted(id) => {
            let code = acknowledged(&answer)?.0;
            ensure!(code == "CA", "answered {code}: {}", answer.excerpt());
            ensure!(!id.is_empty(), "somebody is told of");
        }
        Expected::Fault => {
            let fault = Reply::read(&answer)?.fault();
            ensure!(fault.is_some(), "a registry answers no {name}: {}", answer.excerpt());
        }
    }
    Ok(())
}

fn door(world: &World) -> Result<String> {
    Ok(format!("{}/xds/registry", world.subject.host(Actor::Registry)?))
}

async fn post(world: &World, body: String) -> Result<crate::answer::Answer> {
    let request = world.wire.request(Method::POST, &door(world)?);
    let request = request.header("Content-Type", "application/soap+xml; charset=UTF-8").body(body);
    world.wire.send(request).await
}

/// The code of an acknowledgement, the message it is to, and the codes of its details.
pub(super) fn acknowledged(answer: &crate::answer::Answer) -> Result<(String, String, String)> {
    ensure!(answer.status == 200, "answered {}: {}", answer.status, answer.excerpt());
    let reply = Reply::read(answer)?;
    let body: &Element = reply.body()?;
    ensure!(body.local() == "MCCI_IN000002UV01", "the answer is an acknowledgement, not {}", body.name);
    let acknowledgement = body.first("acknowledgement").context("it acknowledges")?;
    let attribute = |path: &str, name: &str| {
        acknowledgement.first(path).and_then(|one| one.attribute(name)).unwrap_or_default().to_owned()
    };
    let detail = acknowledgement.first("acknowledgementDetail").and_then(|detail| detail.first("code"));
    let detail = detail.and_then(|code| code.attribute("code")).unwrap_or_default().to_owned();
    Ok((attribute("typeCode", "code"), attribute("id", "extension"), detail))
}

/// A message with these ids of a patient.
pub(super) fn message(name: &str, id: &str, ids: &str, replaced: &str) -> String {
    format!(
        "<{name} xmlns=\"{HL7}\" ITSVersion=\"XML_1.0\"><id root=\"1.2.3\" extension=\"{id}\"/>\
         <creationTime value=\"20260101120000\"/><interactionId root=\"2.16.840.1.113883.1.6\" extension=\"{name}\"/>\
         <processingCode code=\"P\"/><processingModeCode code=\"T\"/><acceptAckCode code=\"AL\"/>\
         <receiver typeCode=\"RCV\"><device><id root=\"1.2.3.4\"/></device></receiver>\
         <sender typeCode=\"SND\"><device><id root=\"1.2.3.5\"/></device></sender>\
         <controlActProcess classCode=\"CACT\" moodCode=\"EVN\"><subject typeCode=\"SUBJ\"><registrationEvent>\
         <statusCode code=\"active\"/><subject1><patient classCode=\"PAT\">{ids}<statusCode code=\"active\"/>\
         <patientPerson><name><family>Muster</family><given>Maja</given></name></patientPerson></patient></subject1>\
         {replaced}</registrationEvent></subject></controlActProcess></{name}>"
    )
}

pub(super) fn ii(id: &str) -> String {
    format!("<id root=\"{DOMAIN}\" extension=\"{id}\"/>")
}

pub(super) fn replacing(id: &str) -> String {
    format!(
        "<replacementOf><priorRegistration><statusCode code=\"obsolete\"/><subject1><priorRegisteredRole>{}\
         </priorRegisteredRole></subject1></priorRegistration></replacementOf>",
        ii(id)
    )
}

/// Sends a message under its usual action; the code and that of its first detail.
async fn tell(world: &World, name: &str, ids: &str, replaced: &str) -> Result<(String, String)> {
    if world.subject.admin(Actor::Registry).is_none() {
        return Err(skip("which authorities another server takes is not known"));
    }
    let id = oid();
    let sent = soap::simple(&door(world)?, &format!("{HL7}:{name}"), &message(name, &id, ids, replaced));
    let answer = post(world, String::from_utf8(sent.body)?).await?;
    let (code, target, detail) = acknowledged(&answer)?;
    ensure!(target == id, "the acknowledgement is to {id}, not to {target}");
    Ok((code, detail))
}

async fn taken(world: &World, name: &str, ids: &str, replaced: &str) -> Result<()> {
    let told = tell(world, name, ids, replaced).await?;
    ensure!(told.0 == "CA", "{name} is taken: {told:?}");
    Ok(())
}

async fn added_patient_is_known(world: &World) -> Result<()> {
    let id = fresh("v3");
    let ids = format!("{}<id root=\"9.9\" extension=\"elsewhere\"/>", ii(&id));
    taken(world, "PRPA_IN201301UV02", &ids, "").await?;
    ensure!(is_known(world, &id).await?, "the patient is known");
    submit(world, &id).await?.expect(200)?;
    taken(world, "PRPA_IN201302UV02", &ids, "").await?;
    ensure!(documents(world, &id).await?.len() == 1, "the document is found");
    let unknown = fresh("v3");
    taken(world, "PRPA_IN201302UV02", &ii(&unknown), "").await?;
    ensure!(!is_known(world, &unknown).await?, "a revision makes nobody known");
    Ok(())
}

async fn resolved_duplicates_are_one(world: &World) -> Result<()> {
    let (gone, kept) = (fresh("v3-gone"), fresh("v3-kept"));
    for id in [&gone, &kept] {
        taken(world, "PRPA_IN201301UV02", &ii(id), "").await?;
        submit(world, id).await?.expect(200)?;
    }
    taken(world, "PRPA_IN201304UV02", &ii(&kept), &replacing(&gone)).await?;
    ensure!(documents(world, &kept).await?.len() == 2, "the survivor has what belonged to both");
    ensure!(documents(world, &gone).await?.is_empty(), "nothing is found for who was merged away");
    submit(world, &gone).await?.refused_with(&[400], &[], &["XDSUnknownPatientId"])?;
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
    ensure!(is_known(world, &id).await?, "nothing was changed");
    Ok(())
}

/// Without an action, and with those of the operations in the WSDLs of the registry and of the PIX manager.
async fn habits_of_sources(world: &World) -> Result<()> {
    let name = "PRPA_IN201301UV02";
    for action in [
        format!("urn:ihe:iti:xds-b:2007:DocumentRegistry_{name}"),
        format!("urn:ihe:iti:pixv3:2007:PIXManager_{name}"),
        String::new(),
    ] {
        if world.subject.admin(Actor::Registry).is_none() {
            return Err(skip("which authorities another server takes is not known"));
        }
        let id = fresh("v3");
        let sent = soap::simple(&door(world)?, &action, &message(name, &oid(), &ii(&id), ""));
        let mut body = String::from_utf8(sent.body)?;
        if action.is_empty() {
            body = body.replace("<wsa:Action soap:mustUnderstand=\"true\"></wsa:Action>", "");
        }
        let (code, ..) = acknowledged(&post(world, body).await?)?;
        ensure!(code == "CA" && is_known(world, &id).await?, "taken with the action {action:?}: {code}");
    }
    Ok(())
}
