//! What the MHD guide asks for beyond ITI-65 to ITI-68: Simplified Publish, Generate Metadata, validation, XML, communities.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Document, Profile};

use super::world::{World, encode, id_of, text};
use super::{Case, case};
use crate::region::Actor;
use crate::wire::FHIR_JSON;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("guide-publish", simplified_publish),
        case!("guide-publish-refused", what_cannot_be_published),
        case!("guide-publish-replace", publishing_a_replacement),
        case!("guide-generate", generate_metadata),
        case!("guide-generate-refused", what_no_metadata_comes_of),
        case!("guide-validate", validation_stores_nothing),
        case!("guide-xml", answers_in_xml),
        case!("guide-profile-url", profiles_by_http_and_https),
        case!("guide-absolute-urls", urls_of_documents_are_absolute),
        case!("guide-communities", a_foreign_community_is_told),
        case!("guide-empty", nothing_found_is_a_bundle),
        case!("guide-list-parameters", list_parameters),
        case!("guide-document-parameters", documents_by_patient_and_relation),
        case!("guide-elements", elements_of_the_profiles),
        case!("guide-warnings", warnings_are_outcomes),
        case!("guide-recipients", recipients_are_taken),
        case!("guide-cda", metadata_of_cda),
    ]
}

/// A DocumentReference with its bytes inside.
fn published(world: &World, document: &Document) -> Value {
    let mut reference =
        document.reference(Profile::Comprehensive, &json!({ "reference": world.p1.reference }));
    reference["meta"] = json!({ "profile":
        ["https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.SimplifiedPublish.DocumentReference"] });
    let attachment = &mut reference["content"][0]["attachment"];
    attachment["data"] = document.binary()["data"].clone();
    if let Some(attachment) = attachment.as_object_mut() {
        attachment.remove("url");
    }
    reference
}

async fn publish(world: &World, reference: &Value) -> Result<crate::answer::Answer> {
    world.wire.post(&world.url(Actor::Repository, "DocumentReference"), reference).await
}

async fn simplified_publish(world: &World) -> Result<()> {
    let document = Document::new("published in one piece");
    let answer = publish(world, &published(world, &document)).await?;
    let created = answer.expect(201)?;
    let location = answer.header("Location").context("a Location")?;
    ensure!(
        location.starts_with("http") && location.contains("/_history/"),
        "absolute and versioned: {location}"
    );
    let attachment = &created["content"][0]["attachment"];
    ensure!(attachment["data"].is_null(), "the bytes are not given back");
    let bytes = world.wire.get(&text(&attachment["url"])).await?;
    ensure!(bytes.status == 200 && bytes.body[..] == document.bytes[..], "the bytes are retrieved");
    let id = id_of(location).context("an id")?;
    let stored = world.reference(&id).await?;
    ensure!(stored["masterIdentifier"]["value"] == document.unique_id, "it is registered: {stored}");
    let query = format!(
        "List?code=submissionset&patient={}&item=DocumentReference/{id}",
        encode(&world.p1.reference)
    );
    ensure!(world.search(Actor::Registry, &query).await?.len() == 1, "a SubmissionSet was made for it");
    Ok(())
}

async fn what_cannot_be_published(world: &World) -> Result<()> {
    let sound = published(world, &Document::new("x"));
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 4] = [
        ("no bytes", |r| {
            r["content"][0]["attachment"].as_object_mut().map(|a| a.remove("data"));
        }),
        ("no patient", |r| {
            r.as_object_mut().map(|r| r.remove("subject"));
        }),
        ("superseded from the start", |r| r["status"] = json!("superseded")),
        ("another hash", |r| r["content"][0]["attachment"]["hash"] = json!("2jmj7l5rSw0yVb/vlWAYkK/YBwk=")),
    ];
    for (what, change) in changes {
        let mut reference = sound.clone();
        change(&mut reference);
        let before = world.census().await?;
        publish(world, &reference).await?.refused(&[400, 422], &[]).with_context(|| what.to_owned())?;
        ensure!(before == world.census().await?, "{what}: nothing is stored");
    }
    Ok(())
}

async fn publishing_a_replacement(world: &World) -> Result<()> {
    let old = world.stored(world.b65().only(Document::new("to be replaced in one piece"))).await?;
    let target = format!("DocumentReference/{}", old.id);
    let new = Document::new("the replacement").relates_to("replaces", &target);
    publish(world, &published(world, &new)).await?.expect(201)?;
    ensure!(world.reference(&old.id).await?["status"] == "superseded", "the replaced document is superseded");
    Ok(())
}

async fn generate(world: &World, document: &Value) -> Result<crate::answer::Answer> {
    let body =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "document", "resource": document }] });
    world.wire.post(&world.url(Actor::Repository, "DocumentReference/$generate-metadata"), &body).await
}

fn fhir_document(world: &World, title: &str) -> Value {
    json!({ "resourceType": "Bundle", "type": "document",
        "identifier": { "system": "urn:ietf:rfc:3986", "value": testkit::urn_uuid() }, "timestamp": "2024-05-02T09:00:00Z",
        "entry": [
            { "fullUrl": "urn:uuid:0b6a2f6e-6b0e-4a44-9a06-5a4b6c7d1001", "resource": { "resourceType": "Composition",
                "identifier": { "system": "urn:ietf:rfc:3986", "value": testkit::urn_uuid() },
                "status": "final", "date": "2024-05-02T09:00:00Z", "title": title,
                "type": { "coding": [{ "system": "http://loinc.org", "code": "60591-5" }] },
                "subject": { "reference": "urn:uuid:0b6a2f6e-6b0e-4a44-9a06-5a4b6c7d1002" },
                "author": [{ "reference": "urn:uuid:0b6a2f6e-6b0e-4a44-9a06-5a4b6c7d1003" }] } },
            { "fullUrl": "urn:uuid:0b6a2f6e-6b0e-4a44-9a06-5a4b6c7d1002", "resource": { "resourceType": "Patient",
                "identifier": [{ "system": world.p1.system, "value": world.p1.value }],
                "name": [{ "family": "Quidproquo", "given": ["P1"] }] } },
            { "fullUrl": "urn:uuid:0b6a2f6e-6b0e-4a44-9a06-5a4b6c7d1003", "resource": { "resourceType": "Practitioner",
                "name": [{ "family": "Huber", "given": ["Maria"] }] } }] })
}

async fn generate_metadata(world: &World) -> Result<()> {
    let answer = generate(world, &fhir_document(world, "Patient summary")).await?;
    let out = answer.expect(200)?;
    let parameter = &out["parameter"][0];
    ensure!(out["resourceType"] == "Parameters" && parameter["name"] == "DocumentReference", "{out}");
    let reference = text(&parameter["valueReference"]["reference"]);
    let made = world.reference(&id_of(&reference).context("a reference")?).await?;
    ensure!(
        made["content"][0]["attachment"]["title"] == "Patient summary",
        "the title is that of the document: {made}"
    );
    ensure!(made["type"]["coding"][0]["code"] == "60591-5", "the type is that of the document: {made}");
    let bytes = world.wire.get(&text(&made["content"][0]["attachment"]["url"])).await?.expect(200)?;
    ensure!(bytes["resourceType"] == "Bundle" && bytes["type"] == "document", "the document is retrieved");
    Ok(())
}

async fn what_no_metadata_comes_of(world: &World) -> Result<()> {
    let before = world.census().await?;
    let picture = json!({ "resourceType": "Binary", "contentType": "image/png", "data": "iVBORw0KGgo=" });
    generate(world, &picture).await?.refused(&[400, 422], &["not-supported", "structure", "value"])?;
    let mut collection = fhir_document(world, "x");
    collection["type"] = json!("collection");
    generate(world, &collection).await?.refused(&[400, 422], &[])?;
    ensure!(before == world.census().await?, "nothing is stored");
    Ok(())
}

async fn validation_stores_nothing(world: &World) -> Result<()> {
    let url = world.url(Actor::Repository, "Bundle/$validate");
    let before = world.census().await?;
    let sound = world.b65().bundle();
    let outcome = world.wire.post(&url, &sound).await?.expect(200)?;
    let errors = |outcome: &Value| {
        let issues = outcome["issue"].as_array().into_iter().flatten();
        issues.filter(|issue| issue["severity"] == "error").count()
    };
    ensure!(outcome["resourceType"] == "OperationOutcome" && errors(&outcome) == 0, "{outcome}");
    world.nothing_stored(&before, &sound).await?;
    let mut faulty = world.b65().bundle();
    faulty["entry"][1]["resource"]["status"] = json!("nonsense");
    let outcome = world.wire.post(&url, &faulty).await?.expect(200)?;
    ensure!(errors(&outcome) > 0, "what would be refused is told: {outcome}");
    world.nothing_stored(&before, &faulty).await?;
    world
        .provide(&sound)
        .await?
        .expect(200)
        .context("what was only asked about can be submitted still")
        .map(drop)
}

async fn answers_in_xml(world: &World) -> Result<()> {
    let patient = encode(&world.p1.reference);
    let d1 = &world.d1.id;
    for (actor, path, status, root) in [
        (Actor::Registry, "metadata".to_owned(), 200, "<CapabilityStatement "),
        (Actor::Registry, format!("DocumentReference/{d1}"), 200, "<DocumentReference "),
        (Actor::Registry, format!("DocumentReference?patient={patient}&status=current"), 200, "<Bundle "),
        (
            Actor::Registry,
            format!("List?patient={patient}&code=submissionset&status=current"),
            200,
            "<Bundle ",
        ),
        (Actor::Registry, "DocumentReference".to_owned(), 400, "<OperationOutcome "),
        (Actor::Repository, "Nothing/1".to_owned(), 404, "<OperationOutcome "),
        (Actor::Identity, format!("Patient/{}", world.p1.id), 200, "<Patient "),
    ] {
        let by_parameter = if path.contains('?') { "&_format=xml" } else { "?_format=xml" };
        let requests = [
            world
                .wire
                .request(Method::GET, &world.url(actor, &path))
                .header("Accept", "application/fhir+xml"),
            world
                .wire
                .request(Method::GET, &world.url(actor, &format!("{path}{by_parameter}")))
                .header("Accept", FHIR_JSON),
        ];
        for request in requests {
            // The client of these cases reads outcomes in JSON only.
            let response = request.send().await?;
            let kind = response
                .headers()
                .get("Content-Type")
                .and_then(|kind| kind.to_str().ok())
                .unwrap_or_default()
                .to_owned();
            let got = response.status().as_u16();
            let body = response.text().await?;
            ensure!(got == status, "{path}: expected {status}, got {got}: {body}");
            ensure!(kind == "application/fhir+xml; charset=utf-8", "{path}: {kind}");
            ensure!(body.contains(root) && body.contains("http://hl7.org/fhir"), "{path}: {body:.300}");
        }
    }
    Ok(())
}

async fn profiles_by_http_and_https(world: &World) -> Result<()> {
    for scheme in ["https://", "http://"] {
        let mut bundle = world.b65().bundle();
        let profile = text(&bundle["meta"]["profile"][0]).replace("https://", scheme);
        bundle["meta"]["profile"][0] = json!(profile);
        world.provide(&bundle).await?.expect(200).context(profile)?;
    }
    Ok(())
}

async fn urls_of_documents_are_absolute(world: &World) -> Result<()> {
    let query = format!(
        "DocumentReference?patient={}&status=current,superseded&_count=1000",
        encode(&world.p1.reference)
    );
    let answer = world.wire.get(&world.url(Actor::Registry, &query)).await?;
    let bundle = answer.expect(200)?;
    ensure!(bundle["total"].as_u64().is_some_and(|total| total > 1), "a total: {}", bundle["total"]);
    // Of a document that other cases register for a repository nobody has configured, a URL is not known.
    let provided = [&world.d1, &world.d1s];
    let matches = answer.matches()?;
    for stored in provided {
        let found = matches.iter().find(|found| found["id"] == stored.id.as_str()).context("it is found")?;
        let url = text(&found["content"][0]["attachment"]["url"]);
        ensure!(url.starts_with("http"), "{url} is absolute");
    }
    let superseded = world.reference(&world.d1s.id).await?;
    ensure!(superseded["status"] == "superseded", "deprecated is told as superseded");
    let relation = &world.d1.resource["relatesTo"][0];
    ensure!(
        relation["code"] == "replaces" && text(&relation["target"]["reference"]).ends_with(&world.d1s.id),
        "{relation}"
    );
    Ok(())
}

async fn a_foreign_community_is_told(world: &World) -> Result<()> {
    for kind in ["DocumentReference", "List"] {
        let query = format!(
            "{kind}?patient={}&status=current&targetCommunityIdList=urn:oid:2.25.999",
            encode(&world.p1.reference)
        );
        let answer = world.wire.get(&world.url(Actor::Registry, &query)).await?;
        answer.refused(&[400, 404, 422], &[]).with_context(|| kind.to_owned())?;
    }
    Ok(())
}

async fn nothing_found_is_a_bundle(world: &World) -> Result<()> {
    for kind in ["DocumentReference", "List"] {
        let query = format!("{kind}?patient={}&status=current", encode(&world.p3.reference));
        let answer = world.wire.get(&world.url(Actor::Registry, &query)).await?;
        let bundle = answer.expect(200)?;
        ensure!(bundle["type"] == "searchset" && bundle["total"] == 0, "an empty searchset: {bundle}");
        ensure!(bundle["entry"].is_null(), "without entries: {bundle}");
    }
    Ok(())
}

/// Each question finds the List, and its contrary does not.
async fn list_parameters(world: &World) -> Result<()> {
    let mut provide = world.b65();
    let unique_id = testkit::urn_oid();
    provide.unique_id = Some(unique_id.clone());
    let answer = world.provide(&provide.bundle()).await?;
    answer.expect(200)?;
    let id = super::world::created(&answer, "List")?
        .into_iter()
        .next()
        .context("the SubmissionSet has a location")?;
    let source = encode(&provide.source_id);
    let known = encode(&unique_id);
    let token = world.p1.token();
    let patient = format!("patient={}", encode(&world.p1.reference));
    for (yes, no) in [
        (format!("{patient}&code=submissionset"), format!("{patient}&code=folder")),
        (format!("{patient}&date=2020-02-02"), format!("{patient}&date=gt2020-02-03")),
        (
            format!("{patient}&designationType=http://snomed.info/sct%7C225728007"),
            format!("{patient}&designationType=225728008"),
        ),
        (format!("{patient}&identifier={known}"), format!("{patient}&identifier=urn:oid:9.9")),
        (format!("{patient}&sourceId={source}"), format!("{patient}&sourceId=urn:oid:9.9")),
        (format!("{patient}&source.family=hub"), format!("{patient}&source.family=uber")),
        (format!("{patient}&source.given=Maria"), format!("{patient}&source.given=Mario")),
        (format!("{patient}&status=current"), format!("{patient}&status=superseded")),
        (format!("{patient}&_id={id}"), format!("{patient}&_id=1")),
        (format!("{patient}&_lastUpdated=ge2020"), format!("{patient}&_lastUpdated=lt2020")),
        (format!("patient.identifier={token}"), format!("patient.identifier={}", world.p2.token())),
        (patient.clone(), format!("patient={}", encode(&world.p2.reference))),
    ] {
        let has = |found: Vec<Value>| found.iter().any(|one| text(&one["id"]) == id);
        let found = world
            .search(Actor::Registry, &format!("List?{yes}&_count=1000"))
            .await
            .with_context(|| yes.clone())?;
        ensure!(has(found), "{yes} finds the SubmissionSet");
        let found = world
            .search(Actor::Registry, &format!("List?{no}&_count=1000"))
            .await
            .with_context(|| no.clone())?;
        ensure!(!has(found), "{no} excludes the SubmissionSet");
    }
    Ok(())
}

async fn documents_by_patient_and_relation(world: &World) -> Result<()> {
    let mut bundle = world.b65().bundle();
    let order = testkit::urn_uuid();
    bundle["entry"][1]["resource"]["context"]["related"] =
        json!([{ "identifier": { "system": "urn:ietf:rfc:3986", "value": order } }]);
    let answer = world.provide(&bundle).await?;
    answer.expect(200)?;
    let id = super::world::created(&answer, "DocumentReference")?.remove(0);
    let patient = format!("patient={}", encode(&world.p1.reference));
    for (yes, no) in [
        (
            format!("{patient}&related:identifier={}", encode(&order)),
            format!("{patient}&related:identifier=urn:uuid:9"),
        ),
        (
            format!("patient.identifier={}", world.p1.token()),
            format!("patient.identifier={}", world.p2.token()),
        ),
        (patient.clone(), format!("patient={}", encode(&world.p2.reference))),
        (format!("patient=Patient/{}", world.p1.id), format!("patient=Patient/{}", world.p3.id)),
    ] {
        let has = |found: Vec<Value>| found.iter().any(|one| text(&one["id"]) == id);
        let query = |condition: &str| format!("DocumentReference?{condition}&status=current&_count=1000");
        ensure!(
            has(world.search(Actor::Registry, &query(&yes)).await.with_context(|| yes.clone())?),
            "{yes} finds it"
        );
        ensure!(
            !has(world.search(Actor::Registry, &query(&no)).await.with_context(|| no.clone())?),
            "{no} excludes it"
        );
    }
    Ok(())
}

async fn elements_of_the_profiles(world: &World) -> Result<()> {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 4] = [
        ("modifierExtension", |r| {
            r["modifierExtension"] = json!([{ "url": "https://example.org/x", "valueBoolean": true }])
        }),
        ("attachment.data", |r| r["content"][0]["attachment"]["data"] = json!("SGVsbG8=")),
        ("two contents", |r| {
            let content = r["content"][0].clone();
            r["content"] = json!([content, content]);
        }),
        ("a status of its own", |r| r["status"] = json!("entered-in-error")),
    ];
    for (what, change) in changes {
        let mut bundle = world.b65().bundle();
        change(&mut bundle["entry"][1]["resource"]);
        world.refuses(&bundle, &[400, 422], &[], &[]).await.with_context(|| what.to_owned())?;
    }
    Ok(())
}

/// A wrong size beside the right hash is put right, and told.
async fn warnings_are_outcomes(world: &World) -> Result<()> {
    let mut bundle = world.b65().bundle();
    bundle["entry"][1]["resource"]["content"][0]["attachment"]["size"] = json!(12);
    let answer = world.provide(&bundle).await?.expect(200)?;
    let outcomes: Vec<&Value> =
        answer["entry"].as_array().into_iter().flatten().map(|entry| &entry["response"]["outcome"]).collect();
    let told = outcomes.iter().any(|outcome| outcome["issue"][0]["severity"] == "warning");
    ensure!(told, "an entry carries the warning: {answer}");
    Ok(())
}

async fn recipients_are_taken(world: &World) -> Result<()> {
    let mut bundle = world.b65().bundle();
    let recipient = json!({
        "url": "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-intendedRecipient",
        "valueReference": { "reference": "#recipient" }
    });
    let list = &mut bundle["entry"][0]["resource"];
    let extensions = list["extension"].as_array_mut().context("a SubmissionSet has extensions")?;
    extensions.push(recipient);
    let contained = list["contained"].as_array_mut().context("a SubmissionSet contains its author")?;
    contained.push(json!({ "resourceType": "Organization", "id": "recipient", "name": "North Hospital" }));
    let answer = world.provide(&bundle).await?;
    answer.expect(200)?;
    let id = super::world::created(&answer, "List")?.remove(0);
    let stored = world.wire.get(&world.url(Actor::Registry, &format!("List/{id}"))).await?.expect(200)?;
    ensure!(stored.to_string().contains("ihe-intendedRecipient"), "the recipient is kept: {stored}");
    Ok(())
}

async fn metadata_of_cda(world: &World) -> Result<()> {
    let root = world.p1.system.trim_start_matches("urn:oid:");
    let cda = format!(
        r#"<ClinicalDocument xmlns="urn:hl7-org:v3"><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
<id root="{}"/><code code="18842-5" codeSystem="2.16.840.1.113883.6.1" displayName="Discharge summary"/>
<title>Discharge letter</title><effectiveTime value="20240502090000+0200"/>
<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/><languageCode code="en"/>
<recordTarget><patientRole><id extension="{}" root="{root}"/><patient><name><given>P1</given><family>Quidproquo</family></name></patient></patientRole></recordTarget>
<author><time value="20240502090000+0200"/><assignedAuthor><id extension="7" root="1.2.3.4"/><assignedPerson><name><given>Maria</given><family>Huber</family></name></assignedPerson></assignedAuthor></author>
<custodian><assignedCustodian><representedCustodianOrganization><id root="1.2.3.5"/></representedCustodianOrganization></assignedCustodian></custodian>
</ClinicalDocument>"#,
        testkit::oid(),
        world.p1.value
    );
    let document = Document::new(&cda).content_type("text/xml");
    let out = generate(world, &document.binary()).await?.expect(200)?;
    let reference = text(&out["parameter"][0]["valueReference"]["reference"]);
    let made = world.reference(&id_of(&reference).context("a reference")?).await?;
    ensure!(
        made["content"][0]["attachment"]["title"] == "Discharge letter",
        "the title is that of the document: {made}"
    );
    ensure!(made["type"]["coding"][0]["code"] == "18842-5", "the type is that of the document: {made}");
    let bytes = world.wire.get(&text(&made["content"][0]["attachment"]["url"])).await?;
    ensure!(
        bytes.status == 200 && bytes.body[..] == *cda.as_bytes(),
        "the document is retrieved as it was sent"
    );
    Ok(())
}
