//! Searches, reads and history: what a consumer sees.

use actor::{Clock, Setup};

use crate::world::{IDENTITY, MRN, World, document, provide, settings};
use testkit::{Document, Provide};

async fn ids(world: &World, query: &str) -> Vec<String> {
    world.get(&format!("/fhir/DocumentReference?{query}")).await.expect(200).ids()
}

#[tokio::test]
async fn a_document_is_found_by_every_attribute_it_has() {
    let world = World::new().await;
    let entry = document("Befund");
    let unique_id = entry.unique_id.clone();
    let bare = unique_id.trim_start_matches("urn:oid:").to_owned();
    let id = world.register(&provide("p1", entry)).await.expect(200).located("DocumentReference").remove(0);
    world.register(&provide("p2", document("other"))).await.expect(200);
    let patient = format!("patient.identifier={MRN}%7Cone");
    for query in [
        "status=current",
        "type=http://loinc.org|60591-5",
        "type=60591-5",
        "type=urn:oid:2.16.840.1.113883.6.1|60591-5",
        "category=http://loinc.org|11369-6",
        "creation=2020-02-02",
        "creation=ge2020-02-01&creation=lt2020-03",
        "date=2020-02-02",
        "period=ge2020-01-31",
        "event=http://snomed.info/sct|35971002",
        "security-label=N",
        "format=urn:ihe:iti:xds-sd:text:2008",
        "author.family=hub",
        "author.given=maria",
        "author.family=H%C3%BCber,Huber",
        &format!("identifier={unique_id}"),
        &format!("identifier={bare}"),
        &format!("identifier=urn:ietf:rfc:3986|{unique_id}"),
        &format!("identifier=urn:uuid:{id}"),
        &format!("_id={id}"),
        "_lastUpdated=ge2020",
    ] {
        assert_eq!(ids(&world, &format!("{patient}&{query}")).await, [id.as_str()], "{query}");
    }
    for query in [
        "status=superseded",
        "type=http://snomed.info/sct|60591-5",
        "type=|60591-5",
        "creation=lt2020-02-01",
        "period=gt2021",
        "author.family=uber",
        "author.family=%25",
        "author.family=_",
        "identifier=1.2.3",
    ] {
        assert_eq!(ids(&world, &format!("{patient}&{query}")).await, Vec::<String>::new(), "{query}");
    }
    assert_eq!(
        ids(&world, &format!("identifier={unique_id}")).await,
        [id.as_str()],
        "an identifier needs no patient"
    );
    assert_eq!(ids(&world, &format!("_id={id}")).await, [id.as_str()], "nor does an id");
}

#[tokio::test]
async fn a_patient_is_named_in_several_ways_and_all_must_hold() {
    let world = World::new().await;
    let id = world
        .register(&provide("p1", document("x")))
        .await
        .expect(200)
        .located("DocumentReference")
        .remove(0);
    for patient in [
        "patient=p1",
        "patient=Patient/p1",
        &format!("patient={IDENTITY}/Patient/p1"),
        "subject=Patient/p1",
        &format!("patient.identifier={MRN}|one"),
        &format!("subject.identifier={MRN}|one"),
        "patient.identifier=one",
        "patient=p2,p1",
        "patient=p1&patient.identifier=one",
    ] {
        assert_eq!(ids(&world, patient).await, [id.as_str()], "{patient}");
    }
    assert_eq!(ids(&world, "patient=p1&patient=p2").await, Vec::<String>::new());
}

#[tokio::test]
async fn an_unknown_patient_looks_like_one_without_documents() {
    let world = World::new().await;
    let mut unknown =
        world.get("/fhir/DocumentReference?patient.identifier=urn:oid:9.9|x").await.expect(200).body;
    let mut empty =
        world.get(&format!("/fhir/DocumentReference?patient.identifier={MRN}|two")).await.expect(200).body;
    for body in [&mut unknown, &mut empty] {
        assert_eq!(body["total"].to_string(), "0");
        assert!(body.get("entry").is_none());
        for member in ["link", "id", "meta"] {
            body.as_object_mut().expect("a Bundle").remove(member);
        }
    }
    assert_eq!(unknown, empty);
}

#[tokio::test]
async fn a_search_by_post_asks_the_same() {
    let world = World::new().await;
    let id = world
        .register(&provide("p1", document("x")))
        .await
        .expect(200)
        .located("DocumentReference")
        .remove(0);
    let request = world
        .request(reqwest::Method::POST, "/fhir/DocumentReference/_search?status=current")
        .form(&[("patient.identifier", format!("{MRN}|one"))]);
    assert_eq!(world.send(request).await.expect(200).ids(), [id]);
    let contradiction = world
        .request(reqwest::Method::POST, "/fhir/DocumentReference/_search?patient=p1")
        .form(&[("patient", "p2")]);
    assert!(world.send(contradiction).await.expect(200).ids().is_empty());
}

#[tokio::test]
async fn a_form_and_the_pages_behind_it_come_in_the_format_it_asks_for() {
    let world = World::new().await;
    for name in ["x", "y", "z"] {
        world.register(&provide("p1", document(name))).await.expect(200);
    }
    let told = async |request: reqwest::RequestBuilder| {
        let answer = request.send().await.expect("is answered");
        let kind = answer.headers()["content-type"].to_str().expect("is text").to_owned();
        assert!(kind.starts_with("application/fhir+xml"), "{kind}");
        answer.text().await.expect("has a body")
    };
    let mut page = told(world.request(reqwest::Method::POST, "/fhir/DocumentReference/_search").form(&[
        ("patient", "p1"),
        ("_count", "1"),
        ("_format", "xml"),
    ]))
    .await;
    for _ in 0..2 {
        let (_, behind) =
            page.split_once("<relation value=\"next\"/><url value=\"").expect("has a next page");
        let (url, _) = behind.split_once('"').expect("ends");
        let path = url.replace("&amp;", "&");
        let path = &path[path.find("/fhir/").expect("is below the base")..];
        page = told(world.request(reqwest::Method::GET, path)).await;
    }
    let wrong = world.request(reqwest::Method::POST, "/fhir/DocumentReference/_search");
    world.send(wrong.form(&[("patient", "p1"), ("_format", "text/turtle")])).await.expect(406);
}

fn dated(day: u32) -> Document {
    Document { creation: format!("2020-01-{day:02}T12:00:00Z"), ..document(&format!("day {day}")) }
}

#[tokio::test]
async fn pages_are_stable_while_others_write() {
    let world = World::new().await;
    // An id that does not turn up in a sealed token by chance.
    let patient = "patient-of-seven-documents";
    world.feed(patient, 1, "seven", true).await.expect(201);
    let mut registered = Vec::new();
    for day in 1..=7 {
        let reply = world.register(&provide(patient, dated(day))).await.expect(200);
        registered.extend(reply.located("DocumentReference"));
    }
    let mut seen = Vec::new();
    let mut page = world
        .get(&format!("/fhir/DocumentReference?patient={patient}&_sort=creation&_count=3"))
        .await
        .expect(200);
    let first = page.ids();
    let mut pages = 1;
    loop {
        assert_eq!(page.body["total"].to_string(), "7");
        seen.extend(page.ids());
        world.register(&provide(patient, dated(15))).await.expect(200);
        let Some(next) = page.link("next") else { break };
        assert!(next.len() <= 1024, "the address of a page is short");
        assert!(!next.contains(patient), "and tells nothing");
        page = world.get(&next).await.expect(200);
        pages += 1;
    }
    assert_eq!((pages, seen), (3, registered));
    let previous = page.link("previous").expect("there is a page before the last");
    let middle = world.get(&previous).await.expect(200);
    let back = world.get(&middle.link("previous").expect("and one before")).await.expect(200);
    assert_eq!(back.ids(), first);
    assert_eq!(world.get(&page.link("first").expect("a first page")).await.ids(), first);
}

#[tokio::test]
async fn an_exactly_full_last_page_has_no_next() {
    let world = World::new().await;
    for day in 1..=4 {
        world.register(&provide("p1", dated(day))).await.expect(200);
    }
    let page = world.get("/fhir/DocumentReference?patient=p1&_count=4").await.expect(200);
    assert_eq!((page.ids().len(), page.link("next")), (4, None));
}

#[tokio::test]
async fn a_page_link_that_was_changed_is_refused() {
    let world = World::new().await;
    for day in 1..=2 {
        world.register(&provide("p1", dated(day))).await.expect(200);
    }
    let page = world.get("/fhir/DocumentReference?patient=p1&_count=1").await.expect(200);
    let next = page.link("next").expect("a second page");
    let middle = next.len() - 12;
    let other = if next[middle..].starts_with('A') { 'B' } else { 'A' };
    let changed = format!("{}{other}{}", &next[..middle], &next[middle + 1..]);
    assert!(changed != next);
    world.get(&changed).await.expect(400);
}

#[tokio::test]
async fn the_total_alone_can_be_asked_for() {
    let world = World::new().await;
    world.register(&provide("p1", document("x"))).await.expect(200);
    for query in ["_count=0", "_summary=count"] {
        let reply = world.get(&format!("/fhir/DocumentReference?patient=p1&{query}")).await.expect(200);
        assert_eq!((reply.body["total"].to_string(), reply.ids().len()), ("1".to_owned(), 0), "{query}");
    }
}

#[tokio::test]
async fn a_search_that_names_nothing_is_refused() {
    let world = World::new().await;
    let reply = world.get("/fhir/DocumentReference?status=current").await.expect(400);
    assert_eq!(reply.body["issue"][0]["code"], "required");
    world.get("/fhir/List?code=folder").await.expect(400);
}

#[tokio::test]
async fn an_unknown_parameter_is_left_out_or_refused() {
    let world = World::new().await;
    let lenient = world.get("/fhir/DocumentReference?patient=p1&foo=bar").await.expect(200);
    assert!(!lenient.link("self").expect("a self link").contains("foo"));
    let entries = lenient.body["entry"].as_array().cloned().unwrap_or_default();
    assert!(entries.iter().any(|entry| entry["search"]["mode"] == "outcome"), "{}", lenient.body);
    let strict = world
        .request(reqwest::Method::GET, "/fhir/DocumentReference?patient=p1&foo=bar")
        .header("Prefer", "handling=strict");
    world.send(strict).await.expect(400);
}

#[tokio::test]
async fn a_page_of_one_type_is_none_of_another() {
    let world = World::new().await;
    for _ in 0..2 {
        world.register(&provide("p1", document("x"))).await.expect(200);
    }
    let page = world.get("/fhir/DocumentReference?patient=p1&_count=1").await.expect(200);
    let next = page.link("next").expect("there are two");
    world.get(&next).await.expect(200);
    let reply = world.get(&next.replace("/DocumentReference?", "/List?")).await.expect(400);
    assert_eq!(reply.codes(), ["page-invalid"]);
}

#[tokio::test]
async fn a_name_space_without_a_value_is_too_broad() {
    let world = World::new().await;
    let reply = world.get("/fhir/DocumentReference?identifier=urn:ietf:rfc:3986%7C").await.expect(400);
    assert_eq!(reply.codes(), ["search-too-broad"]);
    world.get("/fhir/DocumentReference?patient=p1&identifier=urn:ietf:rfc:3986%7C").await.expect(200);
}

#[tokio::test]
async fn the_preference_that_was_applied_is_told() {
    let world = World::new().await;
    for handling in ["handling=strict", "handling=lenient"] {
        let request = world
            .request(reqwest::Method::GET, "/fhir/DocumentReference?patient=p1")
            .header("Prefer", format!("return=representation; {handling}"));
        let reply = world.send(request).await.expect(200);
        assert_eq!(reply.header("preference-applied"), Some(handling));
    }
    let plain = world.get("/fhir/DocumentReference?patient=p1").await.expect(200);
    assert_eq!(plain.header("preference-applied"), None);
}

#[tokio::test]
async fn a_search_sent_as_json_is_told_what_a_search_is_sent_as() {
    let world = World::new().await;
    for kind in ["DocumentReference", "List"] {
        let request = world
            .request(reqwest::Method::POST, &format!("/fhir/{kind}/_search"))
            .header("Content-Type", "application/json")
            .body("{}");
        let reply = world.send(request).await.expect(415);
        let text = reply.body["issue"][0]["details"]["text"].as_str().expect("a text");
        assert!(text.contains("a search is sent as application/x-www-form-urlencoded"), "{text}");
    }
}

#[tokio::test]
async fn a_domain_without_value_sets_says_so() {
    let world = World::new().await;
    for path in ["$expand", "$expand?url=http://v.example/x", "$validate-code?code=a"] {
        let reply = world.get(&format!("/fhir/ValueSet/{path}")).await.expect(404);
        assert_eq!(reply.codes(), ["unknown-value-set"], "{path}");
        let text = reply.body["issue"][0]["details"]["text"].as_str().expect("a text");
        assert!(text.contains("domain.files"), "{path}: {text}");
    }
}

#[tokio::test]
async fn an_operation_that_is_not_there_is_not_found() {
    let world = World::new().await;
    for path in
        ["/fhir/DocumentReference/$docrefs", "/fhir/List/$find", "/fhir/List/_history", "/fhir/$import"]
    {
        world.get(path).await.expect(404);
    }
}

#[tokio::test]
async fn refusals_are_pretty_where_that_is_asked_for() {
    let world = World::new().await;
    for path in ["/fhir/DocumentReference/none", "/fhir/DocumentReference", "/fhir/Nothing", "/fhir"] {
        let lines = async |query: &str| {
            let request = world.request(reqwest::Method::GET, &format!("{path}{query}"));
            request.send().await.expect("an answer").text().await.expect("a text").lines().count()
        };
        assert_eq!(lines("?_pretty=false").await, 1, "{path}");
        assert!(lines("?_pretty=true").await > 5, "{path}");
    }
}

/// What is stored without zone and what is asked without zone are read alike; what names its zone is left alone.
#[tokio::test]
async fn a_date_without_zone_is_one_of_the_servers_zone() {
    let mut setup = actor::Setup::new(crate::world::settings());
    setup.time_zone = jiff::tz::TimeZone::get("Europe/Berlin").expect("a zone");
    let world = World::over(setup);
    world.feed("p1", 1, "one", true).await.expect(201);
    let mut bundle = provide("p1", document("x")).bundle();
    for entry in bundle["entry"].as_array_mut().expect("entries") {
        if entry["resource"]["resourceType"] == "DocumentReference" {
            entry["resource"]["date"] = "2024-06-30T22:30:00Z".into();
            entry["resource"]["content"][0]["attachment"]["creation"] = "2024-03-10".into();
            entry["resource"]["context"]["period"] =
                serde_json::json!({ "start": "2024-03-01", "end": "2024-03-02" });
        }
    }
    world.post(&bundle).await.expect(200);
    for (query, found) in [
        ("date=2024-07-01", 1),
        ("date=2024-06-30", 0),
        ("date=2024-07-01T00:30", 1),
        ("date=2024-06-30T22:30Z", 1),
        ("creation=2024-03-10", 1),
        ("creation=ge2024-03-11", 0),
        ("creation=lt2024-03-10", 0),
        ("creation=ge2024-03-09T23:00:00Z&creation=lt2024-03-10T23:00:00Z", 1),
        ("period=2024-03", 1),
        ("period=ge2024-03-03", 0),
    ] {
        let reply = world.get(&format!("/fhir/DocumentReference?patient=p1&{query}")).await.expect(200);
        assert_eq!(reply.ids().len(), found, "{query}");
    }
}

#[tokio::test]
async fn lists_are_found_by_what_they_say() {
    let world = World::new().await;
    let submission = provide("p1", document("x"));
    let unique_id = submission.unique_id.clone().expect("the set has a uniqueId");
    let source_id = submission.bundle()["entry"]
        .as_array()
        .and_then(|entries| entries.iter().find(|entry| entry["resource"]["resourceType"] == "List"))
        .and_then(|entry| {
            let extensions = entry["resource"]["extension"].as_array()?;
            let source = extensions
                .iter()
                .find(|e| e["url"].as_str().is_some_and(|url| url.ends_with("ihe-sourceId")))?;
            source["valueIdentifier"]["value"].as_str().map(str::to_owned)
        })
        .expect("the set has a sourceId");
    let id = world.register(&submission).await.expect(200).located("List").remove(0);
    for query in [
        "code=submissionset&status=current",
        "code=https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes|submissionset",
        &format!("code=submissionset&identifier={unique_id}&status=current"),
        &format!("sourceId={source_id}"),
        &format!("sourceId={}", source_id.trim_start_matches("urn:oid:")),
        "date=ge2000",
    ] {
        let found = world.get(&format!("/fhir/List?patient=p1&{query}")).await.expect(200);
        assert_eq!(found.ids(), [id.as_str()], "{query}");
    }
    assert!(world.get("/fhir/List?patient=p1&code=folder").await.expect(200).ids().is_empty());
}

#[tokio::test]
async fn a_read_honours_conditions_and_ids() {
    let world = World::new().await;
    let id = world
        .register(&provide("p1", document("x")))
        .await
        .expect(200)
        .located("DocumentReference")
        .remove(0);
    let path = format!("/fhir/DocumentReference/{id}");
    let get = || world.request(reqwest::Method::GET, &path);
    world.send(get().header("If-None-Match", "W/\"1\"")).await.expect(304);
    world.send(get().header("If-None-Match", "\"2\"")).await.expect(200);
    let modified = world.get(&path).await.header("last-modified").expect("Last-Modified").to_owned();
    world.send(get().header("If-Modified-Since", modified)).await.expect(304);
    world.get("/fhir/DocumentReference/no_such_id").await.expect(400);
    world.get("/fhir/DocumentReference/00000000-0000-0000-0000-000000000000").await.expect(404);
    world.get(&format!("{path}/_history/7")).await.expect(404);
    assert_eq!(world.get(&format!("{path}/_history/1")).await.expect(200).body["id"], id.as_str());
    let unknown = world.get("/fhir/Observation/1").await.expect(404);
    assert_eq!(unknown.body["issue"][0]["code"], "not-supported");
    let wrong = world.send(world.request(reqwest::Method::DELETE, &path)).await.expect(405);
    assert!(wrong.header("allow").is_some_and(|methods| methods.contains("GET")));
}

#[tokio::test]
async fn a_history_holds_every_version() {
    let world = World::new().await;
    let old = world
        .register(&provide("p1", document("a")))
        .await
        .expect(200)
        .located("DocumentReference")
        .remove(0);
    let target = format!("DocumentReference/{old}");
    world.register(&provide("p1", document("b").relates_to("replaces", &target))).await.expect(200);
    let history = world.get(&format!("/fhir/{target}/_history")).await.expect(200);
    assert_eq!(history.body["type"], "history");
    let versions: Vec<_> = history.body["entry"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| entry["resource"]["meta"]["versionId"].as_str().expect("a version").to_owned())
        .collect();
    assert_eq!(versions, ["2", "1"]);
}

#[tokio::test]
async fn the_feed_keeps_the_newest_version_of_a_patient() {
    let world = World::new().await;
    world.feed("p1", 3, "uno", true).await.expect(200);
    world.feed("p1", 2, "one", true).await.expect(200);
    world
        .register(&Provide::new(&format!("Patient?identifier={MRN}|uno")).only(document("x")))
        .await
        .expect(200);
    world
        .register(&Provide::new(&format!("Patient?identifier={MRN}|one")).only(document("x")))
        .await
        .expect(400);
    let wrong = serde_json::json!({ "resourceType": "Patient", "id": "other", "meta": { "versionId": "1" } });
    world.send(world.request(reqwest::Method::PUT, "/fhir/Patient/p1").json(&wrong)).await.expect(400);
}

#[tokio::test]
async fn metadata_claims_what_the_table_routes() {
    let world = World::new().await;
    let statement = world.get("/fhir/metadata").await.expect(200).body;
    assert_eq!(statement["resourceType"], "CapabilityStatement");
    let resources = statement["rest"][0]["resource"].as_array().expect("resources");
    let documents = resources.iter().find(|r| r["type"] == "DocumentReference").expect("DocumentReference");
    let codes: Vec<_> =
        documents["interaction"].as_array().expect("interactions").iter().map(|i| &i["code"]).collect();
    assert_eq!(codes, ["search-type", "create", "read", "history-instance", "vread", "update", "patch"]);
}

#[tokio::test]
async fn a_page_link_is_valid_for_an_hour() {
    let start = 1_700_000_000_000_000;
    let clock = Clock::fake(start);
    let world = World::over(Setup { clock: clock.clone(), ..Setup::new(settings()) });
    world.feed("p1", 1, "one", true).await.expect(201);
    for day in 1..=2 {
        world.register(&provide("p1", dated(day))).await.expect(200);
    }
    let page = world.get("/fhir/DocumentReference?patient=p1&_count=1").await.expect(200);
    let next = page.link("next").expect("a second page");
    clock.set(start + 3_599_000_000);
    assert_eq!(world.get(&next).await.expect(200).ids().len(), 1);
    clock.set(start + 3_601_000_000);
    world.get(&next).await.expect(410);
}
