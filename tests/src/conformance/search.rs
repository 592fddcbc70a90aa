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
