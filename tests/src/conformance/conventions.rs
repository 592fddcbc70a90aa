//! What holds of every answer of every actor, whatever was asked: headers, methods, formats, entity tags, dead ends.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Document;
use uuid::Uuid;

use super::world::{World, encode};
use super::{Case, case};
use crate::answer::Answer;
use crate::region::Actor;
use crate::wire::FHIR_JSON;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("conventions-base", base_with_and_without_slash),
        case!("conventions-headers", headers_of_every_answer),
        case!("conventions-forwarded", forwarding_headers_of_strangers),
        case!("conventions-head", head_wherever_get),
        case!("conventions-options", options_tell_the_methods),
        case!("conventions-methods", other_methods_are_refused),
        case!("conventions-dead-ends", dead_ends),
        case!("conventions-entity-tags", entity_tags),
        case!("conventions-request-types", request_types),
        case!("conventions-codings", request_codings),
        case!("conventions-formats", answer_formats),
        case!("conventions-empty", empty_bodies),
        case!("conventions-prefer", preferences),
        case!("conventions-created", where_something_was_created),
        case!("conventions-compression", compressed_answers),
    ]
}

fn at(answer: &Answer, name: &str) -> String {
    answer.header(name).unwrap_or_default().to_owned()
}

async fn base_with_and_without_slash(world: &World) -> Result<()> {
    for actor in Actor::ALL {
        for path in ["metadata", "metadata/"] {
            world.wire.get(&world.url(actor, path)).await?.expect(200).context(actor.name())?;
        }
    }
    for slash in ["", "/"] {
        let url = format!("{}{slash}", world.subject.base(Actor::Repository));
        world.wire.post(&url, &world.b65().bundle()).await?.expect(200).context(url)?;
    }
    Ok(())
}

async fn headers_of_every_answer(world: &World) -> Result<()> {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for actor in Actor::ALL {
        for (method, path) in [
            (Method::GET, "metadata"),
            (Method::GET, "Nothing/1"),
            (Method::DELETE, "metadata"),
            (Method::OPTIONS, "metadata"),
        ] {
            let what = format!("{} {method} {path}", actor.name());
            let request =
                world.wire.request(method, &world.url(actor, path)).header("X-Request-Id", "Caller.1-2");
            let request = request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
            let answer = world.wire.send(request).await?;
            ensure!(at(&answer, "X-Request-Id") == "Caller.1-2", "{what}: the request id is echoed");
            ensure!(at(&answer, "traceparent").contains(trace), "{what}: the trace is continued");
            ensure!(at(&answer, "Date").ends_with("GMT"), "{what}: Date");
            let vary = at(&answer, "Vary");
            ensure!(vary == "Accept, Accept-Encoding, Prefer, Origin", "{what}: Vary is {vary:?}");
            ensure!(at(&answer, "X-Content-Type-Options") == "nosniff", "{what}: nosniff");
            let kept = if answer.status == 200 { "public, max-age=300" } else { "no-store" };
            ensure!(
                at(&answer, "Cache-Control") == kept,
                "{what}: Cache-Control is {:?}",
                answer.header("Cache-Control")
            );
            if answer.status >= 400 {
                ensure!(answer.json()?["id"] == "Caller.1-2", "{what}: the outcome carries the request id");
            }
        }
        for wrong in ["a b", "<x>", &"x".repeat(65)] {
            let request = world.wire.request(Method::GET, &world.url(actor, "metadata"));
            let answer = world.wire.send(request.header("X-Request-Id", wrong)).await?;
            ensure!(Uuid::parse_str(&at(&answer, "X-Request-Id")).is_ok(), "{wrong:?} is replaced by a UUID");
        }
    }
    Ok(())
}

async fn forwarding_headers_of_strangers(world: &World) -> Result<()> {
    let query = format!("DocumentReference?patient={}&status=current", encode(&world.p1.reference));
    for (name, value) in [
        ("X-Forwarded-Host", "evil.test"),
        ("X-Forwarded-Prefix", "/evil.test"),
        ("Forwarded", "host=evil.test;proto=https"),
    ] {
        let request =
            world.wire.request(Method::GET, &world.url(Actor::Registry, &query)).header(name, value);
        let answer = world.wire.send(request).await?;
        answer.expect(200)?;
        ensure!(!answer.excerpt().contains("evil.test"), "{name} of a stranger changes no address");
        let own = answer.link("self")?.context("a searchset links to itself")?;
        ensure!(own.starts_with(world.subject.base(Actor::Registry)), "the self link is {own}");
    }
    Ok(())
}

async fn head_wherever_get(world: &World) -> Result<()> {
    let mut urls: Vec<String> = Actor::ALL.iter().map(|actor| world.url(*actor, "metadata")).collect();
    urls.push(world.url(Actor::Registry, &format!("DocumentReference/{}", world.d1.id)));
    urls.push(world.url(Actor::Registry, &format!("DocumentReference/{}/_history/1", world.d1.id)));
    urls.push(
        world.url(Actor::Registry, &format!("DocumentReference?identifier={}", encode(&world.d1.unique_id))),
    );
    urls.push(world.p1.reference.clone());
    urls.push(world.d1.url.clone());
    for url in urls {
        let get = world.wire.get(&url).await?;
        let head = world.wire.send(world.wire.request(Method::HEAD, &url)).await?;
        ensure!((get.status, head.status) == (200, 200), "{url}: {} and {}", get.status, head.status);
        ensure!(head.body.is_empty(), "{url}: HEAD has no body");
        for name in ["Content-Type", "ETag", "Last-Modified"] {
            ensure!(get.header(name) == head.header(name), "{url}: {name} is the same");
        }
    }
    Ok(())
}

async fn options_tell_the_methods(world: &World) -> Result<()> {
    for (actor, path, methods) in [
        (Actor::Registry, "metadata", &["GET", "HEAD", "OPTIONS"][..]),
        (Actor::Registry, "DocumentReference", &["GET", "HEAD", "OPTIONS"]),
        (Actor::Repository, "", &["POST", "OPTIONS"]),
        (Actor::Identity, "Patient", &["GET", "PUT", "HEAD", "OPTIONS"]),
    ] {
        let answer = world.wire.send(world.wire.request(Method::OPTIONS, &world.url(actor, path))).await?;
        ensure!([200, 204].contains(&answer.status), "{} {path}: {}", actor.name(), answer.status);
        let allow = at(&answer, "Allow");
        let told: Vec<&str> = allow.split(',').map(str::trim).collect();
        ensure!(
            methods.iter().all(|method| told.contains(method)),
            "{} {path}: Allow is {allow:?}",
            actor.name()
        );
        ensure!(answer.header("Access-Control-Allow-Origin").is_none(), "nothing is said to no origin");
    }
    Ok(())
}

async fn other_methods_are_refused(world: &World) -> Result<()> {
    for (actor, method, path) in [
        (Actor::Registry, Method::DELETE, "DocumentReference".to_owned()),
        (Actor::Registry, Method::POST, "metadata".to_owned()),
        (Actor::Registry, Method::DELETE, "CapabilityStatement/$implements".to_owned()),
        (Actor::Repository, Method::GET, String::new()),
        (Actor::Repository, Method::DELETE, "Binary/1".to_owned()),
        (Actor::Identity, Method::DELETE, format!("Patient/{}", world.p3.id)),
        (Actor::Identity, Method::DELETE, "Patient/$ihe-pix".to_owned()),
    ] {
        let answer = world.wire.send(world.wire.request(method.clone(), &world.url(actor, &path))).await?;
        answer
            .refused(&[405], &["not-supported"])
            .with_context(|| format!("{} {method} {path}", actor.name()))?;
        ensure!(!at(&answer, "Allow").is_empty(), "{} {method} {path}: Allow", actor.name());
    }
    Ok(())
}

async fn dead_ends(world: &World) -> Result<()> {
    for actor in Actor::ALL {
        for (path, status, code) in [
            ("Observation", 404, "unknown-type"),
            ("Observation/1", 404, "unknown-type"),
            ("$nothing", 404, "unknown-operation"),
            ("nothing", 404, "unknown-path"),
            (".well-known/smart-configuration", 404, "no-authorization-server"),
        ] {
            let answer = world.wire.get(&world.url(actor, path)).await?;
            answer
                .refused_with(&[status], &["not-supported"], &[code])
                .with_context(|| format!("{} {path}", actor.name()))?;
        }
    }
    for (actor, kind) in [
        (Actor::Registry, "DocumentReference"),
        (Actor::Registry, "List"),
        (Actor::Identity, "Patient"),
        (Actor::Repository, "Binary"),
    ] {
        let unknown = world.wire.get(&world.url(actor, &format!("{kind}/{}", Uuid::new_v4()))).await?;
        unknown.refused(&[404], &["not-found"]).context(kind)?;
        for id in ["a%20b", "a_b", &"x".repeat(65), "..%2f1"] {
            let answer = world.wire.get(&world.url(actor, &format!("{kind}/{id}"))).await?;
            answer.refused(&[400], &["value", "invalid"]).with_context(|| format!("{kind}/{id}"))?;
        }
        let operation = world.wire.get(&world.url(actor, &format!("{kind}/$nothing"))).await?;
        operation.refused_with(&[404], &["not-supported"], &["unknown-operation"]).context(kind)?;
    }
    Ok(())
}

async fn entity_tags(world: &World) -> Result<()> {
    for url in [
        world.url(Actor::Registry, &format!("DocumentReference/{}", world.d1.id)),
        world.url(Actor::Identity, &format!("Patient/{}", world.p1.id)),
    ] {
        let get = world.wire.get(&url).await?;
        let resource = get.expect(200)?;
        let version = resource["meta"]["versionId"].as_str().context("meta.versionId")?;
        ensure!(at(&get, "ETag") == format!("W/\"{version}\""), "{url}: the ETag is that of the version");
        let (modified, updated) = (at(&get, "Last-Modified"), resource["meta"]["lastUpdated"].is_string());
        ensure!(modified.ends_with("GMT") && updated, "{url}: Last-Modified and meta.lastUpdated");
        let list = format!("W/\"0\", \"{version}\"");
        for tag in
            [format!("W/\"{version}\""), format!("\"{version}\""), version.to_owned(), list, "*".to_owned()]
        {
            let answer =
                world.wire.send(world.wire.request(Method::GET, &url).header("If-None-Match", &tag)).await?;
            ensure!(
                answer.status == 304 && answer.body.is_empty(),
                "{url}: {tag} is 304, got {}",
                answer.status
            );
            ensure!(answer.header("ETag") == get.header("ETag"), "{url}: 304 carries the ETag");
        }
        let other = world.wire.request(Method::GET, &url).header("If-None-Match", "W/\"0\"");
        ensure!(world.wire.send(other).await?.status == 200, "{url}: another version is not the same");
        let since = world.wire.request(Method::GET, &url).header("If-Modified-Since", modified);
        ensure!(world.wire.send(since).await?.status == 304, "{url}: nothing is new since then");
        let before = world
            .wire
            .request(Method::GET, &url)
            .header("If-Modified-Since", "Mon, 01 Jan 2001 00:00:00 GMT");
        ensure!(world.wire.send(before).await?.status == 200, "{url}: it is news since 2001");
    }
    Ok(())
}

async fn request_types(world: &World) -> Result<()> {
    for kind in [
        "application/fhir+json",
        "application/json",
        "text/json",
        "application/json+fhir",
        "application/fhir+json; charset=utf-8",
        "application/fhir+json;charset=\"UTF-8\"",
        "application/fhir+json; fhirVersion=4.0",
        "APPLICATION/FHIR+JSON",
    ] {
        let request = world.wire.request(Method::POST, world.subject.base(Actor::Repository));
        let body = world.b65().bundle().to_string();
        world.wire.send(request.header("Content-Type", kind).body(body)).await?.expect(200).context(kind)?;
    }
    for kind in [
        "text/plain",
        "application/fhir+json; charset=utf-16",
        "application/fhir+json; fhirVersion=3.0",
        "image/png",
    ] {
        for (method, url) in [
            (Method::POST, world.subject.base(Actor::Repository).to_owned()),
            (Method::PUT, world.url(Actor::Identity, &format!("Patient?identifier={}", world.p3.token()))),
            (Method::POST, world.url(Actor::Registry, "DocumentReference/_search")),
        ] {
            let request = world.wire.request(method, &url).header("Content-Type", kind).body("{}");
            world
                .wire
                .send(request)
                .await?
                .refused(&[415], &["not-supported"])
                .with_context(|| format!("{kind} at {url}"))?;
        }
    }
    Ok(())
}

async fn request_codings(world: &World) -> Result<()> {
    let body = world.b65().bundle().to_string();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(body.as_bytes())?;
    let sent = [("gzip", gzip.finish()?), ("identity", world.b65().bundle().to_string().into_bytes())];
    for (coding, body) in sent {
        let request = world.wire.request(Method::POST, world.subject.base(Actor::Repository));
        let request = request.header("Content-Type", FHIR_JSON).header("Content-Encoding", coding).body(body);
        world.wire.send(request).await?.expect(200).context(coding)?;
    }
    let request = world.wire.request(Method::POST, world.subject.base(Actor::Repository));
    let request = request.header("Content-Type", FHIR_JSON).header("Content-Encoding", "rot13").body(body);
    world.wire.send(request).await?.refused(&[415], &["not-supported"]).map(drop)
}

async fn answer_formats(world: &World) -> Result<()> {
    for actor in Actor::ALL {
        for (query, accept) in [
            ("", "*/*"),
            ("", "text/html,application/xhtml+xml,*/*;q=0.8"),
            ("", "application/json"),
            ("?_format=json", "application/fhir+xml"),
            ("?_format=application/fhir+json", "image/png"),
            ("?_format=application%2Ffhir%2Bjson", "*/*"),
            ("?_pretty=true", "application/fhir+json; fhirVersion=4.0"),
        ] {
            let request = world.wire.request(Method::GET, &world.url(actor, &format!("metadata{query}")));
            let answer = world.wire.send(request.header("Accept", accept)).await?;
            let what = format!("{} {query} {accept}", actor.name());
            answer.expect(200).context(what.clone())?;
            ensure!(
                at(&answer, "Content-Type") == "application/fhir+json; charset=utf-8",
                "{what}: {:?}",
                answer.header("Content-Type")
            );
            let lines = answer.body.iter().filter(|byte| **byte == b'\n').count();
            ensure!((lines > 10) == query.contains("_pretty"), "{what}: {lines} lines");
        }
        for accept in ["image/png", "application/fhir+json; fhirVersion=3.0", "application/fhir+json;q=0"] {
            let request =
                world.wire.request(Method::GET, &world.url(actor, "metadata")).header("Accept", accept);
            world
                .wire
                .send(request)
                .await?
                .refused(&[406], &["not-supported"])
                .with_context(|| accept.to_owned())?;
        }
    }
    Ok(())
}

async fn empty_bodies(world: &World) -> Result<()> {
    for (method, url) in [
        (Method::POST, world.subject.base(Actor::Repository).to_owned()),
        (Method::POST, world.subject.base(Actor::Registry).to_owned()),
        (Method::PUT, world.url(Actor::Identity, &format!("Patient?identifier={}", world.p3.token()))),
        (Method::POST, world.url(Actor::Identity, "Patient/$ihe-pix")),
    ] {
        let request = world.wire.request(method, &url).header("Content-Type", FHIR_JSON);
        world.wire.send(request).await?.refused(&[400], &[]).context(url)?;
    }
    Ok(())
}

async fn preferences(world: &World) -> Result<()> {
    let person = world.person("Prefer").await?;
    let url = world.url(Actor::Identity, &format!("Patient?identifier={}", person.token()));
    let mut patient = world.wire.get(&person.reference).await?.expect(200)?;
    for (day, (prefer, kind)) in [
        (None, Some("Patient")),
        (Some("return=representation"), Some("Patient")),
        (Some("return=minimal"), None),
        (Some("return=OperationOutcome"), Some("OperationOutcome")),
        (Some("return=presentation"), Some("Patient")),
        (Some("handling=lenient, return=minimal"), None),
        (Some("handling=strict; return=minimal"), None),
    ]
    .into_iter()
    .enumerate()
    {
        patient["birthDate"] = json!(format!("1958-02-{:02}", day + 1));
        let request = world.wire.request(Method::PUT, &url).header("Content-Type", FHIR_JSON);
        let request = prefer.into_iter().fold(request, |request, value| request.header("Prefer", value));
        let answer = world.wire.send(request.body(patient.to_string())).await?;
        ensure!([200, 204].contains(&answer.status), "{prefer:?}: {}", answer.excerpt());
        let got = if answer.body.is_empty() { Value::Null } else { answer.json()?["resourceType"].clone() };
        ensure!(got.as_str() == kind, "{prefer:?} brings back {got}, expected {kind:?}");
        if let Some(word) =
            prefer.and_then(|prefer| prefer.split([',', ';']).find(|word| word.contains("return=")))
        {
            let applied = at(&answer, "Preference-Applied");
            let known = !word.contains("=presentation");
            ensure!(applied.contains(word.trim()) == known, "{prefer:?}: Preference-Applied is {applied:?}");
        }
    }
    Ok(())
}

async fn where_something_was_created(world: &World) -> Result<()> {
    let answer = world.provide(&world.b65().bundle()).await?;
    for entry in answer.expect(200)?["entry"].as_array().context("entries")? {
        let response = &entry["response"];
        let location = response["location"].as_str().context("a location")?;
        // What was made at another actor is named absolutely: below the repository's own base there is nothing by that name.
        let parts: Vec<&str> = location.rsplitn(5, '/').collect();
        let versioned = parts.len() >= 4 && parts[..2] == ["1", "_history"];
        let elsewhere = parts.len() == 5 && location.starts_with("http");
        ensure!(versioned && (parts.len() == 4 || elsewhere), "versioned: {location}");
        ensure!(
            response["status"].as_str().is_some_and(|status| status.starts_with("201")),
            "created: {response}"
        );
        ensure!(
            response["etag"] == "W/\"1\"" && response["lastModified"].is_string(),
            "etag, lastModified: {response}"
        );
    }
    let value = format!("created-{}", Uuid::new_v4());
    let system = "urn:oid:2.25.271828182845904523536028747135266249775";
    let patient = testkit::patient(system, &value, "Quidproquo", "Created");
    let path = format!("Patient?identifier={}", encode(&format!("{system}|{value}")));
    let answer = world.wire.put(&world.url(Actor::Identity, &path), &patient).await?;
    let id = answer.expect(201)?["id"].as_str().context("an id")?.to_owned();
    let expected = world.url(Actor::Identity, &format!("Patient/{id}/_history/1"));
    for name in ["Location", "Content-Location"] {
        ensure!(at(&answer, name) == expected, "{name} is {:?}, expected {expected}", answer.header(name));
    }
    ensure!(at(&answer, "ETag") == "W/\"1\"", "the ETag of what was created");
    Ok(())
}

async fn compressed_answers(world: &World) -> Result<()> {
    for coding in ["gzip", "br", "zstd"] {
        for actor in Actor::ALL {
            let request = world
                .wire
                .request(Method::GET, &world.url(actor, "metadata"))
                .header("Accept-Encoding", coding);
            let answer = world.wire.send(request).await?;
            ensure!(
                at(&answer, "Content-Encoding") == coding,
                "{} {coding}: {:?}",
                actor.name(),
                answer.header("Content-Encoding")
            );
        }
    }
    let long = world.stored(world.b65().only(Document::new("x".repeat(5000)))).await?;
    for range in [None, Some("bytes=0-4000")] {
        let request = world.wire.request(Method::GET, &long.url).header("Accept-Encoding", "gzip");
        let request = range.into_iter().fold(request, |request, range| request.header("Range", range));
        let answer = world.wire.send(request).await?;
        ensure!(
            answer.header("Content-Encoding").is_none(),
            "documents and parts of them go out as they are"
        );
    }
    let small = world
        .wire
        .request(Method::GET, &world.url(Actor::Registry, "Nothing"))
        .header("Accept-Encoding", "gzip");
    ensure!(
        world.wire.send(small).await?.header("Content-Encoding").is_none(),
        "less than 1 KiB is not compressed"
    );
    Ok(())
}
