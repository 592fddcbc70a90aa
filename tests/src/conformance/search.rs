//! Searches that ask too much, too little or the wrong thing (ITI-66, 67, 78).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::Value;
use testkit::Document;

use super::world::{World, encode, text};
use super::{Case, case};
use crate::answer::Answer;
use crate::region::Actor;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("search-01", nobody_named),
        case!("search-02", unknown_parameter_strict),
        case!("search-03", unknown_parameter_lenient),
        case!("search-04", unsupported_modifier),
        case!("search-05", impossible_date),
        case!("search-06", quotes_in_a_token),
        case!("search-07", wildcards_are_literal),
        case!("search-08", expression_bomb),
        case!("search-09", ten_thousand_values),
        case!("search-10", counts),
        case!("search-11", tampered_page),
        case!("search-13", include_outside_the_list),
        case!("search-14", reverse_chain),
        case!("search-16", contradiction),
        case!("search-17", unknown_patient_looks_empty),
        case!("search-paging", pages_hold_everything_once),
        case!("search-post", post_is_get),
        case!("search-parameters", every_parameter_finds_and_excludes),
        case!("search-chains", patients_are_found_by_who_they_are),
        case!("search-includes", answers_hold_what_is_to_be_included),
        case!("search-has", what_points_narrows),
        case!("search-parts", parts_say_that_they_are_parts),
        case!("search-docref", docref_is_a_search),
        case!("search-community", other_communities_are_refused),
    ]
}

/// `Q67`.
fn q67(world: &World) -> String {
    format!("DocumentReference?patient.identifier={}&status=current", world.p1.token())
}

async fn ask(world: &World, actor: Actor, query: &str) -> Result<Answer> {
    world.wire.get(&world.url(actor, query)).await
}

async fn ask_strictly(world: &World, query: &str) -> Result<Answer> {
    let request = world.wire.request(Method::GET, &world.url(Actor::Registry, query));
    world.wire.send(request.header("Prefer", "handling=strict")).await
}

async fn nobody_named(world: &World) -> Result<()> {
    ask(world, Actor::Registry, "DocumentReference?status=current")
        .await?
        .refused(&[400], &["required"])
        .map(drop)
}

async fn unknown_parameter_strict(world: &World) -> Result<()> {
    let answer = ask_strictly(world, &format!("{}&foo=bar", q67(world))).await?;
    answer.refused(&[400], &["not-supported", "invalid"]).map(drop)
}

async fn unknown_parameter_lenient(world: &World) -> Result<()> {
    let answer = ask(world, Actor::Registry, &format!("{}&foo=bar", q67(world))).await?;
    ensure!(!answer.matches()?.is_empty(), "the documents are found");
    let own = answer.link("self")?.context("a searchset has link self")?;
    ensure!(!own.contains("foo"), "link self leaves out what was ignored: {own}");
    ensure!(
        outcome_severity(&answer)?.as_deref() == Some("warning"),
        "an outcome entry warns: {}",
        answer.excerpt()
    );
    Ok(())
}

async fn unsupported_modifier(world: &World) -> Result<()> {
    let query = format!("{}&type:fuzzy=1", q67(world));
    ask(world, Actor::Registry, &query).await?.refused(&[400], &["not-supported", "invalid"]).map(drop)
}

async fn impossible_date(world: &World) -> Result<()> {
    let query = format!("{}&creation=ge2024-02-30", q67(world));
    ask(world, Actor::Registry, &query).await?.refused(&[400], &["value", "invalid"]).map(drop)
}

async fn quotes_in_a_token(world: &World) -> Result<()> {
    let answer = ask(world, Actor::Registry, "DocumentReference?patient.identifier=x'%20OR%20'1'='1").await?;
    ensure!(answer.matches()?.is_empty(), "nothing is found");
    quick(&answer)
}

async fn wildcards_are_literal(world: &World) -> Result<()> {
    for wildcard in ["%25", "_"] {
        let query = format!("{}&author.family={wildcard}", q67(world));
        let found = ask(world, Actor::Registry, &query).await?.matches()?;
        ensure!(found.is_empty(), "no author's name begins with {wildcard}, found {}", found.len());
    }
    Ok(())
}

async fn expression_bomb(world: &World) -> Result<()> {
    let long = "a".repeat(30 << 10);
    for query in ["Patient?family=(a%2B)%2B%24".to_owned(), format!("Patient?family={long}")] {
        let answer = ask(world, Actor::Identity, &query).await?;
        ensure!([200, 400, 414].contains(&answer.status), "answered {}: {}", answer.status, answer.excerpt());
        quick(&answer)?;
    }
    Ok(())
}

async fn ten_thousand_values(world: &World) -> Result<()> {
    let values: Vec<String> = (1..=10_000).map(|n: u32| n.to_string()).collect();
    let answer = ask(world, Actor::Registry, &format!("{}&type={}", q67(world), values.join(","))).await?;
    answer.refused(&[400, 414], &["too-costly", "too-long"])?;
    quick(&answer)?;
    // The same in the body of a POST, where the length of the target does not help.
    let url = world.url(Actor::Registry, "DocumentReference/_search");
    let form = [
        ("patient.identifier", format!("{}|{}", world.p1.system, world.p1.value)),
        ("type", values.join(",")),
    ];
    let answer = world.wire.send(world.wire.request(Method::POST, &url).form(&form)).await?;
    answer.refused(&[400, 413], &["too-costly", "too-long"])?;
    quick(&answer)
}

async fn counts(world: &World) -> Result<()> {
    for bad in ["-1", "abc"] {
        ask(world, Actor::Registry, &format!("{}&_count={bad}", q67(world))).await?.refused(&[400], &[])?;
    }
    let answer = ask(world, Actor::Registry, &format!("{}&_count=0", q67(world))).await?;
    let bundle = answer.expect(200)?;
    ensure!(
        bundle["total"].as_u64().is_some_and(|total| total > 0),
        "_count=0 tells the total: {}",
        answer.excerpt()
    );
    ensure!(answer.matches()?.is_empty(), "_count=0 gives no entries");
    let huge = ask(world, Actor::Registry, &format!("{}&_count=1000000000", q67(world))).await?;
    ensure!(huge.matches()?.len() <= world.subject.max_count, "a huge _count is clamped");
    Ok(())
}

async fn tampered_page(world: &World) -> Result<()> {
    two_documents(world).await?;
    let page = ask(world, Actor::Registry, &format!("{}&_count=1", q67(world))).await?;
    page.expect(200)?;
    let next = page.link("next")?.context("one of several documents on a page has a next link")?;
    let at = next.find("_page=").context("the next link carries a page token")? + "_page=".len() + 10;
    let mut bytes = next.into_bytes();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(bytes).context("a link is text")?;
    world.wire.get(&tampered).await?.refused(&[400], &["value", "invalid"]).map(drop)
}

async fn include_outside_the_list(world: &World) -> Result<()> {
    let query = format!("{}&_include=DocumentReference:patient:Patient&_include:iterate=*", q67(world));
    let answer = ask(world, Actor::Registry, &query).await?;
    let bundle = answer.expect(200)?;
    let included = bundle["entry"].as_array().into_iter().flatten();
    let patients = included.filter(|entry| entry["resource"]["resourceType"] == "Patient").count();
    ensure!(patients == 0, "no Patient is included");
    let strict = ask_strictly(world, &query).await?;
    ensure!([200, 400].contains(&strict.status), "answered {}", strict.status);
    Ok(())
}

async fn reverse_chain(world: &World) -> Result<()> {
    let query = "Patient?_has:DocumentReference:patient:type=http://loinc.org%7C75622-1";
    ask(world, Actor::Identity, query).await?.refused(&[400, 403], &[]).map(drop)
}

async fn contradiction(world: &World) -> Result<()> {
    let url = world
        .url(Actor::Registry, &format!("DocumentReference/_search?patient={}", encode(&world.p1.reference)));
    let request = world.wire.request(Method::POST, &url).form(&[("patient", world.p2.reference.as_str())]);
    let found = world.wire.send(request).await?.matches()?;
    ensure!(found.is_empty(), "both conditions hold together: nothing is found");
    Ok(())
}

async fn unknown_patient_looks_empty(world: &World) -> Result<()> {
    let unknown = format!(
        "DocumentReference?patient.identifier={}",
        encode(&format!("{}|nobody-at-all", world.p1.system))
    );
    let empty = format!("DocumentReference?patient.identifier={}", world.p3.token());
    let mut medians = Vec::new();
    for query in [&unknown, &empty] {
        let mut times = Vec::new();
        for _ in 0..21 {
            let begin = Instant::now();
            let answer = ask(world, Actor::Registry, query).await?;
            times.push(begin.elapsed());
            ensure!(answer.matches()?.is_empty(), "nothing is found");
        }
        times.sort();
        medians.push(times[times.len() / 2]);
    }
    let shape = |answer: &Answer| -> Result<Vec<String>> {
        Ok(answer.json()?.as_object().context("a searchset is an object")?.keys().cloned().collect())
    };
    let (one, two) =
        (ask(world, Actor::Registry, &unknown).await?, ask(world, Actor::Registry, &empty).await?);
    ensure!(
        shape(&one)? == shape(&two)?,
        "the answers have the same shape: {} {}",
        one.excerpt(),
        two.excerpt()
    );
    let apart = medians[0].abs_diff(medians[1]);
    ensure!(apart < Duration::from_millis(5), "the medians are {apart:?} apart");
    Ok(())
}

async fn pages_hold_everything_once(world: &World) -> Result<()> {
    two_documents(world).await?;
    let all = ids(&ask(world, Actor::Registry, &format!("{}&_count=1000", q67(world))).await?)?;
    let mut paged = Vec::new();
    let mut next = Some(world.url(Actor::Registry, &format!("{}&_count=2", q67(world))));
    while let Some(url) = next {
        let page = world.wire.get(&url).await?;
        paged.extend(ids(&page)?);
        next = page.link("next")?;
        ensure!(paged.len() <= all.len(), "the pages end");
    }
    ensure!(paged == all, "the pages hold what one page holds, in its order");
    Ok(())
}

async fn post_is_get(world: &World) -> Result<()> {
    let token = format!("{}|{}", world.p1.system, world.p1.value);
    let form = [("patient.identifier", token.as_str()), ("status", "current"), ("_count", "1000")];
    let url = world.url(Actor::Registry, "DocumentReference/_search");
    let posted = ids(&world.wire.send(world.wire.request(Method::POST, &url).form(&form)).await?)?;
    let got = ids(&ask(world, Actor::Registry, &format!("{}&_count=1000", q67(world))).await?)?;
    ensure!(posted == got && !got.is_empty(), "POST finds what GET finds");
    let form = [("patient.identifier", token.as_str()), ("code", "submissionset")];
    let lists = world.wire.request(Method::POST, &world.url(Actor::Registry, "List/_search")).form(&form);
    ensure!(
        !world.wire.send(lists).await?.matches()?.is_empty(),
        "POST List/_search finds the submission sets"
    );
    Ok(())
}

/// Each line: a parameter with a value that D1 has, and one that it has not.
async fn every_parameter_finds_and_excludes(world: &World) -> Result<()> {
    let patient = encode(&world.p1.reference);
    let known = encode(&world.d1.unique_id);
    let table: Vec<(String, String)> = vec![
        ("status=current".into(), "status=superseded".into()),
        (format!("identifier={known}"), "identifier=urn:oid:9.9.9".into()),
        (format!("identifier=urn:ietf:rfc:3986%7C{known}"), "identifier=urn:x%7C9.9".into()),
        ("type=http://loinc.org%7C60591-5".into(), "type=http://loinc.org%7C1-1".into()),
        ("type=60591-5".into(), "type=60591".into()),
        ("category=11369-6".into(), "category=11369-7".into()),
        ("creation=ge2020-02-01".into(), "creation=lt2020-02-01".into()),
        ("creation=2020-02".into(), "creation=2020-03".into()),
        ("date=2020-02-02".into(), "date=gt2020-02-02".into()),
        ("period=ge2020-01-31".into(), "period=lt2020-01-30".into()),
        ("setting=http://snomed.info/sct%7C408467006".into(), "setting=408467007".into()),
        ("facility=82242000".into(), "facility=82242001".into()),
        ("format=urn:ihe:iti:xds-sd:text:2008".into(), "format=urn:ihe:iti:xds-sd:pdf:2008".into()),
        ("event=35971002".into(), "event=35971003".into()),
        ("security-label=N".into(), "security-label=V".into()),
        ("author.family=hub".into(), "author.family=uber".into()),
        ("author.given=Maria".into(), "author.given=Mario".into()),
        (format!("_id={}", world.d1.id), format!("_id={}", world.d1s.id)),
        ("_lastUpdated=ge2020-01-01".into(), "_lastUpdated=lt2020-01-01".into()),
        ("type=1-1,60591-5".into(), "type=60591-5&type=1-1".into()),
        ("type:not=1-1".into(), "type:not=60591-5".into()),
        ("status:not=superseded".into(), "status:not=current".into()),
        ("event:missing=false".into(), "event:missing=true".into()),
        ("related:missing=true".into(), "related:missing=false".into()),
        ("author.name=huber".into(), "author.name=uber".into()),
        ("author:identifier=urn:oid:1.2.3.4.5%7Cdoc-7".into(), "author:identifier=doc-8".into()),
        ("author:Practitioner.family:contains=ube".into(), "author.family:exact=huber".into()),
        ("description=ein".into(), "description:exact=ein".into()),
        ("contenttype=text/plain".into(), "contenttype=application/pdf".into()),
        ("language=en".into(), "language=fr".into()),
    ];
    for (yes, no) in &table {
        let query = |condition: &str| format!("DocumentReference?patient={patient}&{condition}&_count=1000");
        let has = |found: &[Value]| found.iter().any(|one| text(&one["id"]) == world.d1.id);
        ensure!(
            has(&world.search(Actor::Registry, &query(yes)).await.with_context(|| yes.clone())?),
            "{yes} finds D1"
        );
        ensure!(
            !has(&world.search(Actor::Registry, &query(no)).await.with_context(|| no.clone())?),
            "{no} excludes D1"
        );
    }
    Ok(())
}

/// P1 by its names and its date of birth, as the identity source knows them.
async fn patients_are_found_by_who_they_are(world: &World) -> Result<()> {
    let answer = ask(world, Actor::Identity, &format!("Patient?identifier={}", world.p1.token())).await?;
    let patient = answer.matches()?.into_iter().next().context("P1 is known")?;
    let family = encode(&text(&patient["name"][0]["family"]));
    let given = encode(&text(&patient["name"][0]["given"][0]));
    let named = format!(
        "patient.family={family}&patient.given={given}&patient:Patient.identifier={}",
        world.p1.token()
    );
    let has = |found: &[Value]| found.iter().any(|one| text(&one["id"]) == world.d1.id);
    let found = world.search(Actor::Registry, &format!("DocumentReference?{named}&_count=1000")).await?;
    ensure!(has(&found), "D1 is found by the names of P1");
    let other = format!("DocumentReference?{named}&patient.family=nobody-is-called-so");
    ensure!(world.search(Actor::Registry, &other).await?.is_empty(), "both names must be those of P1");
    let broad = ask(world, Actor::Registry, "DocumentReference?patient.gender=female").await?;
    broad.refused(&[400], &["required", "too-costly"]).map(drop)
}

async fn answers_hold_what_is_to_be_included(world: &World) -> Result<()> {
    let included = async |query: &str| -> Result<Vec<Value>> {
        let answer = ask(world, Actor::Registry, query).await?;
        let bundle = answer.expect(200)?;
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        Ok(entries.into_iter().filter(|entry| entry["search"]["mode"] == "include").collect())
    };
    let document = format!("DocumentReference?_id={}", world.d1.id);
    let patients = included(&format!("{document}&_include=DocumentReference:patient")).await?;
    let [patient] = patients.as_slice() else { anyhow::bail!("one patient is included: {patients:?}") };
    ensure!(
        text(&patient["fullUrl"]).starts_with(&world.url(Actor::Identity, "Patient/")),
        "the patient is that of the identity source: {}",
        patient["fullUrl"]
    );
    let lists = included(&format!("{document}&_revinclude=List:item")).await?;
    let holds = |list: &Value| list.to_string().contains(&world.d1.id);
    ensure!(!lists.is_empty() && lists.iter().all(holds), "the lists that hold D1 are included");
    Ok(())
}

async fn what_points_narrows(world: &World) -> Result<()> {
    let patient = encode(&world.p1.reference);
    let has = |found: &[Value]| found.iter().any(|one| text(&one["id"]) == world.d1.id);
    for (condition, finds) in [("code=submissionset", true), ("code=folder&_id=nothing", false)] {
        let query = format!("DocumentReference?patient={patient}&_has:List:item:{condition}&_count=1000");
        let found = world.search(Actor::Registry, &query).await?;
        ensure!(has(&found) == finds, "_has:List:item:{condition}");
    }
    let unknown = format!("DocumentReference?patient={patient}&_has:Observation:subject:code=1");
    ask(world, Actor::Registry, &unknown).await?.refused(&[400], &["not-supported", "invalid"]).map(drop)
}

async fn parts_say_that_they_are_parts(world: &World) -> Result<()> {
    for part in ["_elements=type", "_summary=true", "_summary=text", "_summary=data"] {
        let query = format!("DocumentReference?_id={}&{part}", world.d1.id);
        let found = world.search(Actor::Registry, &query).await?;
        let document = found.first().context("D1 is found")?;
        ensure!(document["meta"]["tag"].to_string().contains("SUBSETTED"), "{part} is tagged");
        ensure!(document.get("status").is_some() && document.get("content").is_some(), "{part} is valid");
        let whole = part == "_summary=data";
        ensure!(document.get("context").is_some() == whole, "{part} holds what was asked for");
    }
    Ok(())
}

async fn docref_is_a_search(world: &World) -> Result<()> {
    let id = world.p1.reference.rsplit('/').next().context("P1 has an id")?.to_owned();
    let query = format!("DocumentReference/$docref?patient={id}&start=2020-01-01&_count=1000");
    let found = ask(world, Actor::Registry, &query).await?.matches()?;
    let ids: Vec<String> = found.iter().map(|one| text(&one["id"])).collect();
    ensure!(ids.contains(&world.d1.id) && !ids.contains(&world.d1s.id), "what is current is found");
    let nobody = ask(world, Actor::Registry, "DocumentReference/$docref?start=2020-01-01").await?;
    nobody.refused(&[400], &["required"]).map(drop)
}

async fn other_communities_are_refused(world: &World) -> Result<()> {
    let query = format!("{}&targetCommunityIdList=urn:oid:2.999.9", q67(world));
    ask(world, Actor::Registry, &query).await?.refused(&[400], &["not-found"]).map(drop)
}

/// So that there is more than one page.
async fn two_documents(world: &World) -> Result<()> {
    let provide = world.b65().documents((0..3).map(|n| Document::new(format!("page {n}"))).collect());
    world.provide(&provide.bundle()).await?.expect(200).map(drop)
}

fn ids(answer: &Answer) -> Result<Vec<String>> {
    Ok(answer.matches()?.iter().map(|resource| text(&resource["id"])).collect())
}

fn outcome_severity(answer: &Answer) -> Result<Option<String>> {
    let bundle = answer.json()?;
    let mut entries = bundle["entry"].as_array().into_iter().flatten();
    let outcome = entries.find(|entry| entry["search"]["mode"] == "outcome");
    Ok(outcome.map(|entry| text(&entry["resource"]["issue"][0]["severity"])))
}

fn quick(answer: &Answer) -> Result<()> {
    ensure!(answer.took < Duration::from_secs(1), "the answer took {:?}", answer.took);
    Ok(())
}
