//! Patients told in messages of the mobile patient identity feed [ITI-93]: own ones, and those of others (`foreign`).

mod foreign;
mod refused;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::oid;
use uuid::Uuid;

use super::world::{World, encode, text};
use super::{Case, case, skip};
use crate::answer::Answer;
use crate::region::Actor;
use crate::wire::FHIR_XML;

pub(super) use foreign::cases as corpus_cases;

/// The event of the feed.
const EVENT: &str = "urn:ihe:iti:pmir:2019:patient-feed";
/// The server the messages come from.
const SOURCE: &str = "http://source.example/fhir";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case!("pmir-create", created_patients_are_found),
        case!("pmir-base", message_at_the_base),
        case!("pmir-xml", message_in_xml),
        case!("pmir-update", updated_patient_is_the_same),
        case!("pmir-merge", merged_patient_gives_way),
        case!("pmir-delete", deleted_patient_is_gone),
        case!("pmir-unmerge", unmerge_is_asked_for_in_so_many_words),
        case!("pmir-related", mother_is_kept_with_her_child),
        case!("pmir-nameless", patient_without_identifier),
        case!("pmir-again", message_is_taken_once),
    ];
    cases.extend(refused::cases());
    cases
}

/// A message with these entries.
fn message(entries: &[Value]) -> Value {
    let (header, history) = (Uuid::new_v4(), Uuid::new_v4());
    json!({
        "resourceType": "Bundle", "type": "message",
        "entry": [
            { "fullUrl": format!("{SOURCE}/MessageHeader/{header}"), "resource": {
                "resourceType": "MessageHeader", "id": header.to_string(), "eventUri": EVENT,
                "destination": [{ "endpoint": "http://here.example/fhir" }],
                "source": { "endpoint": SOURCE },
                "focus": [{ "reference": format!("{SOURCE}/Bundle/{history}") }]
            } },
            { "fullUrl": format!("{SOURCE}/Bundle/{history}"), "resource": {
                "resourceType": "Bundle", "id": history.to_string(), "type": "history", "entry": entries
            } }
        ]
    })
}

/// An entry about a resource with this id at the source.
fn entry(method: &str, id: &str, resource: &Value) -> Value {
    let mut resource = resource.clone();
    resource["id"] = json!(id);
    let kind = text(&resource["resourceType"]);
    json!({
        "fullUrl": format!("{SOURCE}/{kind}/{id}"), "resource": resource,
        "request": { "method": method, "url": format!("{kind}/{id}") }, "response": { "status": "200" }
    })
}

/// A patient of the world's domain, with a name nobody has used before.
fn patient(world: &World, value: &str) -> Value {
    let mut patient = testkit::patient(&world.p1.system, value, "Nachricht", "Nora");
    patient["active"] = json!(true);
    patient
}

fn fresh(stem: &str) -> String {
    format!("{stem}-{}", oid())
}

async fn send(world: &World, message: &Value) -> Result<Answer> {
    world.wire.post(&world.url(Actor::Identity, "$process-message"), message).await
}

/// Sends a message that must be taken; what became of each entry, in words.
async fn taken(world: &World, message: &Value) -> Result<Vec<String>> {
    let answer = send(world, message).await?;
    response(&answer, &text(&message["entry"][0]["resource"]["id"]))
}

/// What a response says of each entry; it must be one, and be to this message.
fn response(answer: &Answer, to: &str) -> Result<Vec<String>> {
    let bundle = answer.expect(200)?;
    ensure!(bundle["resourceType"] == "Bundle" && bundle["type"] == "message", "a message answers: {bundle}");
    let entries = bundle["entry"].as_array().context("the response has entries")?;
    ensure!(entries.len() == 1, "the response has the MessageHeader alone");
    let header = &entries[0]["resource"];
    ensure!(header["resourceType"] == "MessageHeader", "it is a MessageHeader: {header}");
    ensure!(header["eventUri"] == "urn:ihe:iti:pmir:2019:patient-feed-response", "of the response: {header}");
    ensure!(header.get("destination").is_none(), "a response has no destination");
    ensure!(header["response"]["code"] == "ok", "it says ok: {header}");
    ensure!(header["response"]["identifier"] == to, "it is to {to}: {header}");
    let definition =
        "https://profiles.ihe.net/ITI/PMIR/MessageDefinition/IHE.PMIR.MessageDefinition.Response";
    ensure!(header["definition"] == definition, "it names its definition: {header}");
    let issues = header["contained"][0]["issue"].as_array().cloned().unwrap_or_default();
    Ok(issues.iter().map(|issue| text(&issue["diagnostics"])).collect())
}

/// The patient with this value of the world's domain, if there is one.
async fn found(world: &World, value: &str) -> Result<Option<Value>> {
    let token = encode(&format!("{}|{value}", world.p1.system));
    let mut found = world.search(Actor::Identity, &format!("Patient?identifier={token}")).await?;
    ensure!(found.len() < 2, "an identifier names one patient");
    Ok(found.pop())
}

async fn known(world: &World, value: &str) -> Result<Value> {
    found(world, value).await?.with_context(|| format!("{value} is known"))
}

async fn created_patients_are_found(world: &World) -> Result<()> {
    let (one, two) = (fresh("pmir"), fresh("pmir"));
    let entries = [
        entry("POST", &fresh("a"), &patient(world, &one)),
        entry("POST", &fresh("b"), &patient(world, &two)),
    ];
    let said = taken(world, &message(&entries)).await?;
    ensure!(said.len() == 2 && said.iter().all(|said| said.contains("taken in")), "both are new: {said:?}");
    for value in [&one, &two] {
        let patient = known(world, value).await?;
        ensure!(patient["name"][0]["family"] == "Nachricht", "it is who was told of: {patient}");
    }
    Ok(())
}

async fn message_at_the_base(world: &World) -> Result<()> {
    let value = fresh("pmir");
    let sent = message(&[entry("POST", &fresh("a"), &patient(world, &value))]);
    let answer = world.wire.post(world.subject.base(Actor::Identity), &sent).await?;
    response(&answer, &text(&sent["entry"][0]["resource"]["id"]))?;
    known(world, &value).await.map(drop)
}

async fn message_in_xml(world: &World) -> Result<()> {
    let (value, id, header) = (fresh("pmir"), fresh("x"), Uuid::new_v4());
    let system = &world.p1.system;
    let xml = format!(
        r#"<Bundle xmlns="http://hl7.org/fhir"><type value="message"/>
        <entry><fullUrl value="{SOURCE}/MessageHeader/{header}"/><resource><MessageHeader><id value="{header}"/>
        <eventUri value="{EVENT}"/><destination><endpoint value="http://here.example/"/></destination>
        <source><endpoint value="{SOURCE}"/></source><focus><reference value="Bundle/h"/></focus>
        </MessageHeader></resource></entry>
        <entry><fullUrl value="{SOURCE}/Bundle/h"/><resource><Bundle><id value="h"/><type value="history"/>
        <entry><fullUrl value="{SOURCE}/Patient/{id}"/><resource><Patient><id value="{id}"/>
        <identifier><system value="{system}"/><value value="{value}"/></identifier>
        <name><family value="Nachricht"/></name></Patient></resource>
        <request><method value="POST"/><url value="Patient"/></request><response><status value="201"/></response></entry>
        </Bundle></resource></entry></Bundle>"#
    );
    let url = world.url(Actor::Identity, "$process-message");
    let request =
        world.wire.request(Method::POST, &url).header("Content-Type", FHIR_XML).header("Accept", FHIR_XML);
    let answer = world.wire.send(request.body(xml)).await?;
    ensure!(answer.status == 200, "the message is taken: {}", answer.excerpt());
    let kind = answer.header("Content-Type").unwrap_or_default().to_owned();
    ensure!(kind.starts_with(FHIR_XML), "the response is XML, not {kind}");
    let written = String::from_utf8_lossy(&answer.body);
    ensure!(
        written.contains(&format!("<identifier value=\"{header}\"/>")),
        "it is to the message: {written}"
    );
    known(world, &value).await.map(drop)
}

async fn updated_patient_is_the_same(world: &World) -> Result<()> {
    let (value, renamed, id) = (fresh("pmir"), fresh("pmir"), fresh("u"));
    taken(world, &message(&[entry("POST", &id, &patient(world, &value))])).await?;
    let before = known(world, &value).await?;
    let mut changed = patient(world, &value);
    changed["name"][0]["family"] = json!("Anders");
    taken(world, &message(&[entry("PUT", &id, &changed)])).await?;
    let after = known(world, &value).await?;
    ensure!(after["id"] == before["id"] && after["name"][0]["family"] == "Anders", "it was revised: {after}");
    // The source gives it another number: by its URL there it is still the same patient.
    taken(world, &message(&[entry("PUT", &id, &patient(world, &renamed))])).await?;
    let after = known(world, &renamed).await?;
    ensure!(after["id"] == before["id"], "the patient of a URL stays one patient: {after}");
    ensure!(found(world, &value).await?.is_none(), "the number it had is nobody's");
    Ok(())
}

/// The one that goes, with a link to the one that stays.
fn merged(world: &World, value: &str, other: &Value) -> Value {
    json!({
        "resourceType": "Patient", "active": false,
        "identifier": [{ "system": world.p1.system, "value": value }],
        "link": [{ "other": other, "type": "replaced-by" }]
    })
}

async fn merged_patient_gives_way(world: &World) -> Result<()> {
    let (gone, kept, gone_id, kept_id) = (fresh("gone"), fresh("kept"), fresh("g"), fresh("k"));
    taken(world, &message(&[entry("POST", &gone_id, &patient(world, &gone))])).await?;
    // The survivor comes in the same message, behind the merge that names it.
    let merge = merged(world, &gone, &json!({ "reference": format!("Patient/{kept_id}") }));
    let entries = [entry("PUT", &gone_id, &merge), entry("POST", &kept_id, &patient(world, &kept))];
    let said = taken(world, &message(&entries)).await?;
    ensure!(said.iter().any(|said| said.contains("is merged into")), "the merge is told: {said:?}");
    let (away, stays) = (known(world, &gone).await?, known(world, &kept).await?);
    ensure!(away["active"] == false, "who was merged away is out of use: {away}");
    let link = format!("Patient/{}", text(&stays["id"]));
    ensure!(away["link"][0]["other"]["reference"] == link, "and names the survivor: {away}");
    // The same by identifier, from one message to the next.
    let (third, third_id) = (fresh("third"), fresh("t"));
    taken(world, &message(&[entry("POST", &third_id, &patient(world, &third))])).await?;
    let other = json!({ "identifier": { "system": world.p1.system, "value": kept } });
    taken(world, &message(&[entry("PUT", &third_id, &merged(world, &third, &other))])).await?;
    ensure!(known(world, &third).await?["active"] == false, "merged by identifier");
    Ok(())
}

async fn deleted_patient_is_gone(world: &World) -> Result<()> {
    if !world.subject.is_own() {
        return Err(skip("whether another server lets sources remove patients is not known"));
    }
    let (value, id) = (fresh("pmir"), fresh("d"));
    taken(world, &message(&[entry("POST", &id, &patient(world, &value))])).await?;
    let before = known(world, &value).await?;
    let gone = json!({
        "fullUrl": format!("{SOURCE}/Patient/{id}"),
        "request": { "method": "DELETE", "url": format!("Patient/{id}") }, "response": { "status": "204" }
    });
    let said = taken(world, &message(std::slice::from_ref(&gone))).await?;
    ensure!(said.iter().any(|said| said.contains("is removed")), "it is told: {said:?}");
    ensure!(found(world, &value).await?.is_none(), "the patient is found no more");
    let url = world.url(Actor::Identity, &format!("Patient/{}", text(&before["id"])));
    world.wire.get(&url).await?.refused(&[404, 410], &[])?;
    let said = taken(world, &message(&[gone])).await?;
    ensure!(said.iter().any(|said| said.contains("nobody")), "nobody is there to be removed: {said:?}");
    Ok(())
}

async fn unmerge_is_asked_for_in_so_many_words(world: &World) -> Result<()> {
    let (gone, kept, id) = (fresh("gone"), fresh("kept"), fresh("g"));
    let entries =
        [entry("POST", &id, &patient(world, &gone)), entry("POST", &fresh("k"), &patient(world, &kept))];
    taken(world, &message(&entries)).await?;
    let other = json!({ "identifier": { "system": world.p1.system, "value": kept } });
    taken(world, &message(&[entry("PUT", &id, &merged(world, &gone, &other))])).await?;
    let mut again = patient(world, &gone);
    again.as_object_mut().context("a patient is an object")?.remove("active");
    let answer = send(world, &message(&[entry("PUT", &id, &again)])).await?;
    let issues = answer.refused(&[405], &["conflict"])?;
    ensure!(issues[0].expressions.iter().any(|at| at.contains("entry[0]")), "the entry is named: {issues:?}");
    ensure!(known(world, &gone).await?["active"] == false, "the merge stands");
    let said = taken(world, &message(&[entry("PUT", &id, &patient(world, &gone))])).await?;
    ensure!(said.iter().any(|said| said.contains("stands for itself again")), "it is told: {said:?}");
    let back = known(world, &gone).await?;
    ensure!(back["active"] == true && back.get("link").is_none(), "the patient has its place again: {back}");
    Ok(())
}

async fn mother_is_kept_with_her_child(world: &World) -> Result<()> {
    let (child, mother, id) = (fresh("child"), fresh("mother"), fresh("c"));
    let related = json!({
        "resourceType": "RelatedPerson", "patient": { "reference": format!("Patient/{id}") },
        "identifier": [{ "system": world.p1.system, "value": mother }],
        "relationship": [{ "coding": [
            { "system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "MTH" }
        ] }]
    });
    let related_id = fresh("r");
    let mut her = patient(world, &mother);
    let other = json!({ "reference": format!("RelatedPerson/{related_id}") });
    her["link"] = json!([{ "other": other, "type": "seealso" }]);
    let entries = [
        entry("POST", &id, &patient(world, &child)),
        entry("POST", &related_id, &related),
        entry("POST", &fresh("m"), &her),
    ];
    taken(world, &message(&entries)).await?;
    let has_mother = |patient: &Value| {
        let contained = patient["contained"].as_array().cloned().unwrap_or_default();
        contained.iter().any(|one| {
            one["resourceType"] == "RelatedPerson"
                && one["patient"]["reference"] == "#"
                && one["identifier"][0]["value"] == mother
        })
    };
    let stored = known(world, &child).await?;
    ensure!(has_mother(&stored), "the mother is kept with her child: {stored}");
    let her = known(world, &mother).await?;
    ensure!(
        her["link"][0]["other"]["identifier"]["value"] == mother,
        "her own Patient says who she is: {her}"
    );
    let mut revised = patient(world, &child);
    revised["name"][0]["given"] = json!(["James", "Michael"]);
    taken(world, &message(&[entry("PUT", &id, &revised)])).await?;
    let stored = known(world, &child).await?;
    ensure!(stored["name"][0]["given"][1] == "Michael" && has_mother(&stored), "she stays: {stored}");
    Ok(())
}

async fn patient_without_identifier(world: &World) -> Result<()> {
    let (id, family) = (fresh("n"), format!("Namenlos{}", Uuid::new_v4().simple()));
    let nameless = json!({ "resourceType": "Patient", "active": true, "name": [{ "family": family }] });
    taken(world, &message(&[entry("POST", &id, &nameless)])).await?;
    let token = encode(&format!("{SOURCE}|Patient/{id}"));
    let found = world.search(Actor::Identity, &format!("Patient?identifier={token}")).await?;
    ensure!(found.len() == 1 && found[0]["name"][0]["family"] == family, "it goes by its URL: {found:?}");
    Ok(())
}

async fn message_is_taken_once(world: &World) -> Result<()> {
    let (value, id) = (fresh("pmir"), fresh("a"));
    let first = message(&[entry("POST", &id, &patient(world, &value))]);
    taken(world, &first).await?;
    let mut changed = patient(world, &value);
    changed["name"][0]["family"] = json!("Anders");
    taken(world, &message(&[entry("PUT", &id, &changed)])).await?;
    let said = taken(world, &first).await?;
    ensure!(said.iter().any(|said| said.contains("taken before")), "it is told: {said:?}");
    let stored = known(world, &value).await?;
    ensure!(stored["name"][0]["family"] == "Anders", "an old message brings nothing back: {stored}");
    Ok(())
}
