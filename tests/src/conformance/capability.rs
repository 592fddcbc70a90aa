//! The CapabilityStatements, held against the servers both ways: what is claimed works, and what works is claimed.

mod identity;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{World, encode, text};
use super::{Case, case, skip};
use crate::answer::Answer;
use crate::region::Actor;
use crate::wire::FHIR_JSON;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("capability-elements", only_elements_of_r4),
        case!("capability-routes", interactions_are_those_of_the_paths),
        case!("capability-reads", what_can_be_read_is_read),
        case!("capability-parameters", claimed_parameters_are_known),
        case!("capability-parameters-both-ways", known_parameters_are_claimed),
        case!("capability-includes", claimed_includes_work),
        case!("capability-operations", claimed_operations_answer),
        case!("capability-formats", claimed_formats_are_given_and_taken),
        case!("capability-actors", actors_of_the_guides_are_named),
        case!("capability-modes", modes_of_the_statement),
        case!("capability-implements-itself", a_server_implements_itself),
        case!("capability-implements", requirements_are_compared),
        case!("capability-implements-ihe", requirements_of_the_guide),
        case!("capability-implements-identity", identity::requirements),
        case!("capability-identity", identity::operations),
        case!("capability-conforms", statements_are_compared),
    ]
}

async fn statement(world: &World, actor: Actor) -> Result<Value> {
    world.wire.get(&world.url(actor, "metadata")).await?.expect(200)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn resources(statement: &Value) -> &[Value] {
    list(&statement["rest"][0], "resource")
}

fn kind(resource: &Value) -> &str {
    resource["type"].as_str().unwrap_or_default()
}

fn claims(resource: &Value, code: &str) -> bool {
    list(resource, "interaction").iter().any(|interaction| interaction["code"] == code)
}

async fn only_elements_of_r4(world: &World) -> Result<()> {
    let all = [
        "resourceType",
        "id",
        "meta",
        "text",
        "url",
        "version",
        "name",
        "title",
        "status",
        "experimental",
        "date",
        "publisher",
        "contact",
        "description",
        "useContext",
        "jurisdiction",
        "purpose",
        "copyright",
        "kind",
        "instantiates",
        "imports",
        "software",
        "implementation",
        "fhirVersion",
        "format",
        "patchFormat",
        "implementationGuide",
        "rest",
        "messaging",
    ];
    let of_type = [
        "type",
        "profile",
        "supportedProfile",
        "documentation",
        "interaction",
        "versioning",
        "readHistory",
        "updateCreate",
        "conditionalCreate",
        "conditionalRead",
        "conditionalUpdate",
        "conditionalDelete",
        "referencePolicy",
        "searchInclude",
        "searchRevInclude",
        "searchParam",
        "operation",
    ];
    for actor in Actor::ALL {
        let statement = statement(world, actor).await?;
        let strange = |value: &Value, known: &[&str]| -> Vec<String> {
            let members = value.as_object().into_iter().flatten().map(|(name, _)| name.clone());
            members.filter(|name| !known.contains(&name.as_str())).collect()
        };
        ensure!(strange(&statement, &all).is_empty(), "{}: {:?}", actor.name(), strange(&statement, &all));
        for name in ["status", "date", "kind", "fhirVersion", "software", "implementation"] {
            ensure!(!statement[name].is_null(), "{}: {name} is there", actor.name());
        }
        ensure!(
            statement["implementation"]["url"] == world.subject.base(actor),
            "{}: its base",
            actor.name()
        );
        for resource in resources(&statement) {
            ensure!(
                strange(resource, &of_type).is_empty(),
                "{}: {:?}",
                kind(resource),
                strange(resource, &of_type)
            );
            let parameters: Vec<&Value> =
                list(resource, "searchParam").iter().map(|parameter| &parameter["name"]).collect();
            let distinct: BTreeSet<String> = parameters.iter().map(|name| text(name)).collect();
            ensure!(distinct.len() == parameters.len(), "{}: each parameter once", kind(resource));
            for operation in list(resource, "operation") {
                ensure!(
                    operation["definition"].is_string(),
                    "{}: {operation} has a definition",
                    kind(resource)
                );
            }
        }
    }
    Ok(())
}

/// Types that somebody might have; their paths are asked for at every actor.
const TYPES: &[&str] = &[
    "AuditEvent",
    "Binary",
    "Bundle",
    "CapabilityStatement",
    "CodeSystem",
    "CommunicationRequest",
    "ConceptMap",
    "DocumentReference",
    "Group",
    "List",
    "NamingSystem",
    "Observation",
    "OperationDefinition",
    "Organization",
    "Patient",
    "Practitioner",
    "SearchParameter",
    "StructureDefinition",
    "Task",
    "ValueSet",
];

/// Below a type: path, method, interaction.
const PATHS: &[(&str, &str, &str)] = &[
    ("", "GET", "search-type"),
    ("/_search", "POST", "search-type"),
    ("", "POST", "create"),
    ("/1", "GET", "read"),
    ("/1", "PUT", "update"),
    ("/1", "PATCH", "patch"),
    ("/1", "DELETE", "delete"),
    ("/1/_history", "GET", "history-instance"),
    ("/1/_history/1", "GET", "vread"),
];

async fn allowed(world: &World, actor: Actor, path: &str) -> Result<Vec<String>> {
    let answer = world.wire.send(world.wire.request(Method::OPTIONS, &world.url(actor, path))).await?;
    let allow = answer.header("Allow").unwrap_or_default();
    Ok(allow.split(',').map(|method| method.trim().to_owned()).collect())
}

async fn interactions_are_those_of_the_paths(world: &World) -> Result<()> {
    let mut wrong = Vec::new();
    for actor in Actor::ALL {
        let statement = statement(world, actor).await?;
        let claimed = resources(&statement);
        for kind_asked in TYPES {
            let resource = claimed.iter().find(|resource| kind(resource) == *kind_asked);
            for (path, method, code) in PATHS {
                let allowed = allowed(world, actor, &format!("{kind_asked}{path}")).await?;
                let is_there = allowed.iter().any(|known| known == method);
                let mut is_claimed = resource.is_some_and(|resource| claims(resource, code));
                // A patient is fed by condition only.
                if (*code, resource.map(|r| &r["conditionalUpdate"])) == ("update", Some(&json!(true))) {
                    is_claimed = is_there
                        || is_claimed
                            && !self::allowed(world, actor, kind_asked).await?.contains(&"PUT".to_owned());
                }
                // … and removed by condition only.
                if (*code, resource.map(|r| &r["conditionalDelete"])) == ("delete", Some(&json!("single"))) {
                    is_claimed = is_there
                        || is_claimed
                            && !self::allowed(world, actor, kind_asked).await?.contains(&"DELETE".to_owned());
                }
                if is_there != is_claimed {
                    let word = if is_there { "is there and not claimed" } else { "is claimed and not there" };
                    wrong.push(format!("{}: {method} {kind_asked}{path} ({code}) {word}", actor.name()));
                }
            }
        }
        let unknown: Vec<&str> = claimed.iter().map(kind).filter(|kind| !TYPES.contains(kind)).collect();
        ensure!(unknown.is_empty(), "types this case does not ask for yet: {unknown:?}");
        let transaction =
            list(&statement["rest"][0], "interaction").iter().any(|i| i["code"] == "transaction");
        // What is posted to the base is a transaction or, where messages are taken, one of these.
        let messages = !list(&statement, "messaging").is_empty();
        let there = allowed(world, actor, "").await?.contains(&"POST".to_owned());
        ensure!(
            (transaction || messages) == there,
            "{}: a transaction is claimed: {transaction}, messages: {messages}, a POST to the base is taken: {there}",
            actor.name()
        );
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// The id of a resource that is there, by the type.
async fn sample(world: &World, actor: Actor, kind: &str) -> Result<Option<String>> {
    let query = match (actor, kind) {
        (Actor::Registry, "DocumentReference") => return Ok(Some(world.d1.id.clone())),
        (Actor::Registry, "List") => {
            format!("List?patient={}&code=submissionset", encode(&world.p1.reference))
        }
        (Actor::Registry, "Patient") | (Actor::Identity, "Patient") => return Ok(Some(world.p1.id.clone())),
        (Actor::Repository, "Binary") => {
            let answer = world.provide(&world.b65().bundle()).await?;
            return Ok(super::world::created(&answer, "Binary")?.into_iter().next());
        }
        (Actor::Registry, "ValueSet" | "CodeSystem" | "ConceptMap" | "NamingSystem") => kind.to_owned(),
        _ => return Ok(None),
    };
    Ok(world.search(actor, &query).await?.first().map(|found| text(&found["id"])))
}

async fn what_can_be_read_is_read(world: &World) -> Result<()> {
    for actor in Actor::ALL {
        for resource in resources(&statement(world, actor).await?) {
            let kind = kind(resource);
            let Some(id) = sample(world, actor, kind).await? else { continue };
            for (code, path) in [("read", ""), ("vread", "/_history/1"), ("history-instance", "/_history")] {
                if !claims(resource, code) {
                    continue;
                }
                let request =
                    world.wire.request(Method::GET, &world.url(actor, &format!("{kind}/{id}{path}")));
                let answer = world.wire.send(request.header("Accept", FHIR_JSON)).await?;
                let read =
                    answer.expect(200).with_context(|| format!("{} {code} of {kind}", actor.name()))?;
                let expected = if code == "history-instance" { "Bundle" } else { kind };
                ensure!(
                    read["resourceType"] == expected,
                    "{code} of {kind} answers {}",
                    read["resourceType"]
                );
            }
        }
    }
    Ok(())
}

/// A search that an actor takes, for one more parameter.
fn question(world: &World, actor: Actor, kind: &str) -> String {
    match (actor, kind) {
        (Actor::Registry, "DocumentReference" | "List") => {
            format!("patient={}&_count=1", encode(&world.p1.reference))
        }
        _ => "_count=1".to_owned(),
    }
}

async fn strictly(world: &World, actor: Actor, kind: &str, query: &str) -> Result<Answer> {
    let request = world.wire.request(Method::GET, &world.url(actor, &format!("{kind}?{query}")));
    world.wire.send(request.header("Prefer", "handling=strict")).await
}

fn value(world: &World, name: &str, kind: &str) -> String {
    match (name, kind) {
        ("patient" | "subject", _) => encode(&world.p1.reference),
        ("patient.identifier", _) => world.p1.token(),
        ("code", _) => "submissionset".to_owned(),
        (_, "date") => "2020".to_owned(),
        (_, "uri") => "urn:oid:1.2.3".to_owned(),
        (_, "reference") => "DocumentReference/1".to_owned(),
        ("active" | "deceased", _) => "true".to_owned(),
        _ => "current".to_owned(),
    }
}

/// Not refused as unknown: whatever else is wrong with the value was understood to be wrong.
fn known(answer: &Answer) -> Result<bool> {
    if answer.status == 200 {
        return Ok(true);
    }
    let issues = answer.issues()?;
    Ok(!issues.iter().any(|issue| issue.details.iter().any(|code| code == "unknown-parameter")))
}

async fn claimed_parameters_are_known(world: &World) -> Result<()> {
    let mut wrong = Vec::new();
    for actor in Actor::ALL {
        for resource in resources(&statement(world, actor).await?) {
            let kind = kind(resource);
            for parameter in list(resource, "searchParam") {
                let name = text(&parameter["name"]);
                let value = value(world, &name, &text(&parameter["type"]));
                let query = format!("{}&{name}={value}", question(world, actor, kind));
                let answer = strictly(world, actor, kind, &query).await?;
                if !known(&answer)? || ![200, 400, 404].contains(&answer.status) {
                    wrong.push(format!("{} {kind}?{name}: {}", actor.name(), answer.excerpt()));
                }
                if let Some(definition) = parameter["definition"].as_str()
                    && definition.starts_with(world.subject.base(actor))
                {
                    world.wire.get(definition).await?.expect(200).context(name)?;
                }
            }
            if claims(resource, "search-type") {
                let form = world.wire.request(Method::POST, &world.url(actor, &format!("{kind}/_search")));
                let form = form.header("Content-Type", "application/x-www-form-urlencoded");
                let answer = world.wire.send(form.body(question(world, actor, kind))).await?;
                answer.expect(200).with_context(|| format!("{} {kind}/_search", actor.name()))?;
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// Search parameters R4 has for the types we know, beside those with an underscore.
const OF_R4: &[(Actor, &str, &[&str])] = &[
    (
        Actor::Registry,
        "DocumentReference",
        &[
            "authenticator",
            "author",
            "category",
            "contenttype",
            "custodian",
            "date",
            "description",
            "encounter",
            "event",
            "facility",
            "format",
            "identifier",
            "language",
            "location",
            "patient",
            "period",
            "related",
            "relatesto",
            "relation",
            "relationship",
            "security-label",
            "setting",
            "status",
            "subject",
            "type",
            "creation",
            "doc-status",
        ],
    ),
    (
        Actor::Registry,
        "List",
        &[
            "code",
            "date",
            "empty-reason",
            "encounter",
            "identifier",
            "item",
            "notes",
            "patient",
            "source",
            "status",
            "subject",
            "title",
            "designationType",
            "sourceId",
        ],
    ),
    (
        Actor::Identity,
        "Patient",
        &[
            "active",
            "address",
            "address-city",
            "address-country",
            "address-postalcode",
            "address-state",
            "address-use",
            "birthdate",
            "death-date",
            "deceased",
            "email",
            "family",
            "gender",
            "general-practitioner",
            "given",
            "identifier",
            "language",
            "link",
            "name",
            "organization",
            "phone",
            "phonetic",
            "telecom",
            "mothersMaidenName",
        ],
    ),
];

async fn known_parameters_are_claimed(world: &World) -> Result<()> {
    let mut wrong = Vec::new();
    for (actor, kind_asked, names) in OF_R4 {
        let statement = statement(world, *actor).await?;
        let resource = resources(&statement)
            .iter()
            .find(|resource| kind(resource) == *kind_asked)
            .context("it is claimed")?;
        for name in *names {
            let claimed = list(resource, "searchParam").iter().find(|parameter| parameter["name"] == *name);
            let value =
                value(world, name, &claimed.map(|parameter| text(&parameter["type"])).unwrap_or_default());
            let query = format!("{}&{name}={value}", question(world, *actor, kind_asked));
            let answer = strictly(world, *actor, kind_asked, &query).await?;
            if known(&answer)? != claimed.is_some() {
                wrong.push(format!(
                    "{kind_asked}?{name}: claimed {}, answered {}",
                    claimed.is_some(),
                    answer.status
                ));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

async fn claimed_includes_work(world: &World) -> Result<()> {
    for actor in Actor::ALL {
        for resource in resources(&statement(world, actor).await?) {
            for (element, name) in [("searchInclude", "_include"), ("searchRevInclude", "_revinclude")] {
                for include in list(resource, element) {
                    let kind = kind(resource);
                    let query = format!("{}&{name}={}", question(world, actor, kind), encode(&text(include)));
                    let answer = strictly(world, actor, kind, &query).await?;
                    answer.expect(200).with_context(|| format!("{kind}?{name}={include}"))?;
                    let own = answer.link("self")?.unwrap_or_default();
                    ensure!(own.contains(name), "{kind}?{name}={include} is honoured: {own}");
                }
            }
        }
    }
    Ok(())
}

async fn claimed_operations_answer(world: &World) -> Result<()> {
    for actor in Actor::ALL {
        let statement = statement(world, actor).await?;
        let of_system =
            list(&statement["rest"][0], "operation").iter().map(|operation| (String::new(), operation));
        let of_types = resources(&statement).iter().flat_map(|resource| {
            list(resource, "operation").iter().map(|operation| (kind(resource).to_owned(), operation))
        });
        for (kind, operation) in of_system.chain(of_types) {
            let name = text(&operation["name"]);
            let slash = if kind.is_empty() { "" } else { "/" };
            let mut methods = Vec::new();
            for path in [format!("{kind}{slash}${name}"), format!("{kind}/1/${name}")] {
                methods.extend(allowed(world, actor, &path).await?);
            }
            let served = methods.iter().any(|method| method == "GET" || method == "POST");
            ensure!(served, "{}: ${name} on {kind:?} is claimed and answers {methods:?}", actor.name());
            let definition = text(&operation["definition"]);
            if definition.starts_with(world.subject.base(actor)) {
                world.wire.get(&definition).await?.expect(200).context(definition)?;
            }
        }
    }
    Ok(())
}

async fn claimed_formats_are_given_and_taken(world: &World) -> Result<()> {
    for actor in Actor::ALL {
        let statement = statement(world, actor).await?;
        for format in list(&statement, "format") {
            let format = text(format);
            let answer =
                world.wire.get(&world.url(actor, &format!("metadata?_format={}", encode(&format)))).await?;
            let given = answer.header("Content-Type").unwrap_or_default();
            let word = if format.contains("xml") { "xml" } else { "json" };
            ensure!(answer.status == 200 && given.contains(word), "{}: {format} gives {given}", actor.name());
        }
        for format in list(&statement, "patchFormat") {
            let format = text(format);
            let url = world.url(actor, &format!("DocumentReference/{}", world.d1.id));
            let request = world.wire.request(Method::PATCH, &url).header("Content-Type", &format).body("?");
            let answer = world.wire.send(request).await?;
            ensure!(answer.status != 415, "{}: a patch in {format} is taken", actor.name());
        }
    }
    Ok(())
}

async fn actors_of_the_guides_are_named(world: &World) -> Result<()> {
    let guide = "https://profiles.ihe.net/ITI/";
    for (actor, actors, guides) in [
        (
            Actor::Registry,
            &["MHD/CapabilityStatement/IHE.MHD.DocumentResponder"][..],
            &["MHD/ImplementationGuide/ihe.iti.mhd"][..],
        ),
        (
            Actor::Repository,
            &[
                "MHD/CapabilityStatement/IHE.MHD.DocumentRecipient",
                "MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Comprehensive",
                "MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.UnContained",
                "MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Fdoc",
            ],
            &["MHD/ImplementationGuide/ihe.iti.mhd"],
        ),
        (
            Actor::Identity,
            &[
                "PIXm/CapabilityStatement/IHE.PIXm.Manager",
                "PDQm/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplier",
            ],
            &["PIXm/ImplementationGuide/ihe.iti.pixm", "PDQm/ImplementationGuide/ihe.iti.pdqm"],
        ),
    ] {
        let statement = statement(world, actor).await?;
        for (element, expected) in [("instantiates", actors), ("implementationGuide", guides)] {
            let named: Vec<String> = list(&statement, element).iter().map(text).collect();
            for canonical in expected {
                ensure!(
                    named.contains(&format!("{guide}{canonical}")),
                    "{}: {element} names {canonical}: {named:?}",
                    actor.name()
                );
            }
        }
    }
    Ok(())
}

async fn modes_of_the_statement(world: &World) -> Result<()> {
    for actor in Actor::ALL {
        let full = world.wire.get(&world.url(actor, "metadata?mode=full")).await?.expect(200)?;
        ensure!(full["resourceType"] == "CapabilityStatement", "mode=full is the statement");
        let terminology = world.wire.get(&world.url(actor, "metadata?mode=terminology")).await?;
        if resources(&full).iter().any(|resource| kind(resource) == "ValueSet") {
            ensure!(
                terminology.expect(200)?["resourceType"] == "TerminologyCapabilities",
                "{}",
                terminology.excerpt()
            );
        } else {
            terminology.refused(&[400, 404, 422, 501], &["not-supported"])?;
        }
        world.wire.get(&world.url(actor, "metadata?mode=nonsense")).await?.refused(&[400], &[])?;
    }
    Ok(())
}

async fn asked(world: &World, actor: Actor, operation: &str, body: &Value) -> Result<Answer> {
    world.wire.post(&world.url(actor, &format!("CapabilityStatement/${operation}")), body).await
}

/// Paths and severities of what is unmet.
fn unmet(outcome: &Value) -> Vec<(String, String)> {
    let issues = list(outcome, "issue").iter().filter(|issue| issue["code"] == "not-supported");
    issues.map(|issue| (text(&issue["expression"][0]), text(&issue["severity"]))).collect()
}

async fn a_server_implements_itself(world: &World) -> Result<()> {
    for actor in Actor::ALL {
        let outcome =
            asked(world, actor, "implements", &statement(world, actor).await?).await?.expect(200)?;
        ensure!(unmet(&outcome).is_empty(), "{}: {outcome}", actor.name());
        ensure!(outcome["issue"][0]["severity"] == "information", "it says that all is met: {outcome}");
    }
    Ok(())
}

async fn requirements_are_compared(world: &World) -> Result<()> {
    let wanted = json!({ "resourceType": "CapabilityStatement", "status": "active", "date": "2026-01-01", "kind": "requirements",
        "fhirVersion": "4.0.1", "format": ["json"], "rest": [{ "mode": "client",
            "security": { "service": [{ "coding": [{ "code": "SMART-on-FHIR" }] }] },
            "resource": [{ "type": "DocumentReference",
                "interaction": [{ "code": "read" }, { "code": "delete" }],
                "searchParam": [{ "name": "patient", "type": "reference" }, { "name": "mood", "type": "token" }],
                "operation": [{ "name": "frobnicate", "definition": "https://example.org/frobnicate" }] }] }] });
    let parameters =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "resource", "resource": wanted }] });
    for body in [&wanted, &parameters] {
        let outcome = asked(world, Actor::Registry, "implements", body).await?.expect(200)?;
        let paths: Vec<String> = unmet(&outcome).into_iter().map(|(path, _)| path).collect();
        let rest = "CapabilityStatement.rest[0]";
        let expected = [
            format!("{rest}.security.service[0]"),
            format!("{rest}.resource[0].interaction[1]"),
            format!("{rest}.resource[0].operation[0]"),
            format!("{rest}.resource[0].searchParam[1]"),
        ];
        ensure!(paths == expected, "unmet is {expected:?}, told is {paths:?}");
    }
    let named = world
        .wire
        .get(&world.url(Actor::Registry, "CapabilityStatement/$implements?client=https://example.org/x"))
        .await?;
    named.refused(&[400, 404], &[])?;
    asked(world, Actor::Registry, "implements", &json!({ "resourceType": "Patient" }))
        .await?
        .refused(&[400], &[])
        .map(drop)
}

async fn requirements_of_the_guide(world: &World) -> Result<()> {
    let folder = world.data.as_ref().ok_or_else(|| skip("the definitions of the guide are not here"))?;
    let folder = folder.join("ihe").join("mhd").join("definitions");
    let read = |name: &str| -> Result<Value> {
        let path = folder.join(format!("CapabilityStatement-IHE.MHD.{name}.json"));
        Ok(serde_json::from_slice(&std::fs::read(&path).with_context(|| path.display().to_string())?)?)
    };
    for (actor, name, others) in [
        // What the other actor of the domain does is told apart.
        (Actor::Registry, "DocumentResponder", &["Binary", "search-system"][..]),
        (Actor::Registry, "DocumentConsumer", &["Binary", "search-system"]),
        (Actor::Repository, "DocumentRecipient", &[]),
        (Actor::Repository, "DocumentRecipient.Comprehensive", &[]),
        (Actor::Repository, "DocumentRecipient.UnContained", &[]),
        (Actor::Repository, "DocumentRecipient.Fdoc", &[]),
        (Actor::Repository, "DocumentSource", &[]),
    ] {
        let outcome = asked(world, actor, "implements", &read(name)?).await?.expect(200)?;
        for issue in list(&outcome, "issue").iter().filter(|issue| issue["severity"] == "error") {
            let words = text(&issue["diagnostics"]);
            ensure!(
                others.iter().any(|other| words.contains(other)),
                "{} and {name}: {words} at {}",
                actor.name(),
                issue["expression"]
            );
        }
    }
    Ok(())
}

async fn statements_are_compared(world: &World) -> Result<()> {
    let registry = statement(world, Actor::Registry).await?;
    let left = json!({ "name": "left", "valueUri": world.url(Actor::Repository, "metadata") });
    let right = json!({ "name": "right", "resource": registry });
    let parameters = json!({ "resourceType": "Parameters", "parameter": [left, right] });
    let answer = asked(world, Actor::Repository, "conforms", &parameters).await?.expect(200)?;
    ensure!(answer["parameter"][0]["name"] == "issues", "the answer has issues: {answer}");
    let outcome = &answer["parameter"][0]["resource"];
    ensure!(!unmet(outcome).is_empty(), "a repository is no registry: {outcome}");
    Ok(())
}
