//! Who is the same person: links by feed and by a steward, and what `$ihe-pix` answers of them.

use std::time::Duration;

use crate::subject::{BLUE, GREEN, RED, Subject, Told, alice};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Alice as one hospital knows her.
fn alice_in(system: &str, value: &str) -> Value {
    let mut alice = alice();
    alice["identifier"] = json!([{ "system": system, "value": value }]);
    alice
}

/// A person nobody would take for Alice.
fn somebody_in(system: &str, value: &str, family: &str) -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{ "system": system, "value": value }],
        "active": true,
        "name": [{ "family": family, "given": [format!("{family}-given")] }],
        "gender": "male",
        "birthDate": "1931-11-02"
    })
}

async fn decide(subject: &Subject, id: &str, verb: &str, other: &str, reason: &str) -> Told {
    let body = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "other", "valueReference": { "reference": format!("Patient/{other}") } },
        { "name": "reason", "valueString": reason },
    ]});
    let headers = [("content-type", "application/fhir+json")];
    subject.request(Method::POST, &format!("/Patient/{id}/{verb}"), &headers, Some(body.to_string())).await
}

async fn done(subject: &Subject, id: &str, verb: &str, other: &str) -> Value {
    let told = decide(subject, id, verb, other, "seen both").await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    told.json()
}

/// What the source identifier is cross-referenced with.
async fn names(subject: &Subject, system: &str, value: &str) -> (Vec<String>, Vec<String>) {
    let told = subject.get(&format!("/Patient/$ihe-pix?sourceIdentifier={system}%7C{value}")).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    let found = fhir::iti83::read_response(&told.json());
    let ids = found.patients.iter().filter_map(|url| Some(url.rsplit_once('/')?.1.to_owned()));
    let mut values: Vec<String> = found.identifiers.into_iter().map(|identifier| identifier.value).collect();
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    values.sort();
    (ids, values)
}

/// Waits until the names are these.
async fn becomes(subject: &Subject, system: &str, value: &str, expected: &[&str]) {
    let mut found = Vec::new();
    for _ in 0..200 {
        found = names(subject, system, value).await.1;
        if found == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{system}|{value} is cross-referenced with {found:?}, not with {expected:?}");
}

/// The parts of each link of a patient.
async fn links(subject: &Subject, id: &str) -> Vec<Value> {
    let told = subject.get(&format!("/Patient/{id}/$links")).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    let parameters = told.json()["parameter"].as_array().cloned().unwrap_or_default();
    parameters.into_iter().filter(|parameter| parameter["name"] == "link").collect()
}

/// The first part of this name, without its type.
fn part(parameter: &Value, name: &str) -> Value {
    let parts = parameter["part"].as_array().expect("has parts");
    let found = parts.iter().find(|part| part["name"] == name);
    let value = found.and_then(|part| part.as_object()?.iter().find(|(name, _)| name.starts_with("value")));
    value.map_or(Value::Null, |(_, value)| value.clone())
}

/// Verdicts and who gave them, newest first.
fn decisions(link: &Value) -> Vec<(String, String)> {
    let parts = link["part"].as_array().expect("has parts").iter();
    let of = |decision: &Value, name| part(decision, name).as_str().expect("is a code").to_owned();
    parts
        .filter(|part| part["name"] == "decision")
        .map(|decision| (of(decision, "by"), of(decision, "verdict")))
        .collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(by, verdict)| ((*by).to_owned(), (*verdict).to_owned())).collect()
}

#[tokio::test]
async fn a_steward_links_two_records_and_each_answers_for_the_other() {
    let subject = Subject::start();
    let red = subject.fed(&somebody_in(RED, "R", "Rosso")).await;
    let blue = subject.fed(&somebody_in(BLUE, "B", "Azzurro")).await;
    assert_eq!(names(&subject, RED, "R").await, (vec![], vec![]), "nobody has said so yet");
    let told = done(&subject, &red, "$link", &blue).await;
    let persons: Vec<&Value> =
        told["parameter"].as_array().unwrap().iter().filter(|part| part["name"] == "person").collect();
    assert_eq!(persons.len(), 2, "{told}");
    assert_eq!(names(&subject, RED, "R").await, (vec![blue.clone()], vec!["B".into()]));
    assert_eq!(names(&subject, BLUE, "B").await, (vec![red.clone()], vec!["R".into()]));
    let links = links(&subject, &blue).await;
    assert_eq!(links.len(), 1);
    assert_eq!((part(&links[0], "state"), part(&links[0], "by")), (json!("linked"), json!("steward")));
    assert_eq!(decisions(&links[0]), pairs(&[("steward", "linked")]));
}

#[tokio::test]
async fn every_decision_is_a_version_that_can_be_read_and_reversed() {
    let subject = Subject::start();
    let red = subject.fed(&somebody_in(RED, "R", "Rosso")).await;
    let blue = subject.fed(&somebody_in(BLUE, "B", "Azzurro")).await;
    for verb in ["$link", "$link", "$unlink", "$link"] {
        done(&subject, &red, verb, &blue).await;
    }
    let link = links(&subject, &red).await.remove(0);
    let expected = [("steward", "linked"), ("steward", "apart"), ("steward", "linked")];
    assert_eq!(decisions(&link), pairs(&expected), "the same word twice is one decision");
    assert_eq!(names(&subject, RED, "R").await.1, ["B"]);
    done(&subject, &red, "$unlink", &blue).await;
    assert_eq!(names(&subject, RED, "R").await, (vec![], vec![]));
}

#[tokio::test]
async fn a_person_is_linked_over_however_many_records() {
    let subject = Subject::start();
    let red = subject.fed(&somebody_in(RED, "R", "Rosso")).await;
    let blue = subject.fed(&somebody_in(BLUE, "B", "Azzurro")).await;
    let green = subject.fed(&somebody_in(GREEN, "G", "Verde")).await;
    done(&subject, &red, "$link", &blue).await;
    done(&subject, &blue, "$link", &green).await;
    assert_eq!(names(&subject, RED, "R").await.1, ["B", "G"]);
    let told =
        subject.get(&format!("/Patient/$ihe-pix?sourceIdentifier={RED}%7CR&targetSystem={GREEN}")).await;
    let found = fhir::iti83::read_response(&told.json());
    assert_eq!(found.identifiers.iter().map(|found| found.value.as_str()).collect::<Vec<_>>(), ["G"]);
    assert_eq!(
        found.patients,
        [format!("{}/Patient/{green}", subject.base())],
        "only whose name is answered"
    );

    // Held apart from one, but still linked over another: the steward is told.
    done(&subject, &red, "$link", &green).await;
    let told = done(&subject, &red, "$unlink", &blue).await;
    let warning = told["parameter"].as_array().unwrap().iter().find(|part| part["name"] == "warning");
    let warning = warning.expect("is warned")["valueString"].as_str().expect("in words").to_owned();
    assert!(warning.contains(&green), "{warning}");
}

#[tokio::test]
async fn two_records_of_one_domain_are_merged_and_not_linked() {
    let subject = Subject::start();
    let one = subject.fed(&somebody_in(RED, "R-1", "Rosso")).await;
    let other = subject.fed(&somebody_in(RED, "R-2", "Azzurro")).await;
    let told = decide(&subject, &one, "$link", &other, "").await;
    assert_eq!((told.status, told.issue().0), (StatusCode::BAD_REQUEST, "business-rule".to_owned()));
    assert!(told.issue().1.contains("merge"), "{}", told.text);
    assert!(links(&subject, &one).await.is_empty());
    done(&subject, &one, "$unlink", &other).await;
}

#[tokio::test]
async fn decisions_that_cannot_be_made_say_why() {
    let subject = Subject::start();
    let red = subject.fed(&somebody_in(RED, "R", "Rosso")).await;
    for (id, other, status) in [(&*red, &*red, 400), (&*red, "nobody", 400), ("nobody", &*red, 404)] {
        let told = decide(&subject, id, "$link", other, "").await;
        assert_eq!(told.status.as_u16(), status, "{id} {other}: {}", told.text);
    }
    let told = subject.request(Method::POST, &format!("/Patient/{red}/$link"), &[], None).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST, "{}", told.text);
    assert!(told.issue().1.contains("other"), "{}", told.text);
}

#[tokio::test]
async fn the_other_record_can_be_named_by_its_identifier() {
    let subject = Subject::start();
    let red = subject.fed(&somebody_in(RED, "R", "Rosso")).await;
    subject.fed(&somebody_in(BLUE, "B", "Azzurro")).await;
    let path = format!("/Patient/{red}/$link?other={BLUE}%7CB&reason=same+card");
    let told = subject.request(Method::POST, &path, &[], None).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    assert_eq!(names(&subject, RED, "R").await.1, ["B"]);
}

#[tokio::test]
async fn two_stewards_at_once_leave_one_word() {
    let subject = Subject::start();
    let red = subject.fed(&somebody_in(RED, "R", "Rosso")).await;
    let blue = subject.fed(&somebody_in(BLUE, "B", "Azzurro")).await;
    let decide = |verb| decide(&subject, &red, verb, &blue, "");
    let told = futures_util::future::join_all((0..10).map(|n| decide(["$link", "$unlink"][n % 2]))).await;
    assert!(told.iter().all(|told| told.status == StatusCode::OK));
    let link = links(&subject, &red).await.remove(0);
    let is_linked = part(&link, "state") == "linked";
    assert_eq!(decisions(&link)[0].1, if is_linked { "linked" } else { "apart" });
    assert_eq!(!names(&subject, RED, "R").await.1.is_empty(), is_linked);
}

#[tokio::test]
async fn links_can_be_had_in_xml() {
    let subject = Subject::start();
    let red = subject.fed(&somebody_in(RED, "R", "Rosso")).await;
    let blue = subject.fed(&somebody_in(BLUE, "B", "Azzurro")).await;
    let body = format!(
        "<Parameters xmlns=\"http://hl7.org/fhir\"><parameter><name value=\"other\"/><valueReference>\
         <reference value=\"Patient/{blue}\"/></valueReference></parameter></Parameters>"
    );
    let headers = [("content-type", "application/fhir+xml"), ("accept", "application/fhir+xml")];
    let told = subject.request(Method::POST, &format!("/Patient/{red}/$link"), &headers, Some(body)).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    assert!(told.text.contains("<valueCode value=\"linked\"/>"), "{}", told.text);
}

#[tokio::test]
async fn a_merged_record_is_stood_for_by_its_survivor() {
    let subject = Subject::start();
    let maiden = subject.fed(&somebody_in(RED, "R-maiden", "Rosso")).await;
    let married = subject.fed(&somebody_in(RED, "R", "Bianchi")).await;
    let blue = subject.fed(&somebody_in(BLUE, "B", "Azzurro")).await;
    done(&subject, &maiden, "$link", &blue).await;
    let mut merged = somebody_in(RED, "R-maiden", "Rosso");
    merged["active"] = json!(false);
    merged["link"] =
        json!([{ "other": { "identifier": { "system": RED, "value": "R" } }, "type": "replaced-by" }]);
    assert_eq!(subject.feed(RED, "R-maiden", &merged).await.status, StatusCode::OK);
    assert_eq!(names(&subject, BLUE, "B").await, (vec![married.clone()], vec!["R".into()]));
    assert_eq!(names(&subject, RED, "R").await, (vec![blue.clone()], vec!["B".into()]));
    let told = decide(&subject, &maiden, "$link", &blue, "").await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
    assert!(told.issue().1.contains(&married), "{}", told.text);
}

#[tokio::test]
async fn the_example_of_the_guide_is_answered_to_the_letter() {
    let subject = Subject::start();
    let red = subject.fed(&alice_in(RED, "IHERED-994")).await;
    let blue = subject.fed(&alice_in(BLUE, "IHEBLUE-994")).await;
    let green = subject.fed(&alice_in(GREEN, "IHEGREEN-994")).await;
    done(&subject, &red, "$link", &blue).await;
    done(&subject, &red, "$link", &green).await;
    becomes(&subject, RED, "IHERED-994", &["IHEBLUE-994", "IHEGREEN-994"]).await;
    let told = subject.get(&format!("/Patient/$ihe-pix?sourceIdentifier={RED}%7CIHERED-994")).await;
    let parameters = told.json()["parameter"].as_array().cloned().expect("has some");
    let written: Vec<String> = parameters
        .iter()
        .map(|parameter| match parameter["valueReference"]["reference"].as_str() {
            Some(url) => url.to_owned(),
            None => parameter["valueIdentifier"]["value"].as_str().expect("is one of the two").to_owned(),
        })
        .collect();
    let url = |id: &str| format!("{}/Patient/{id}", subject.base());
    let mut expected = [[url(&blue), "IHEBLUE-994".to_owned()], [url(&green), "IHEGREEN-994".to_owned()]];
    if written[0] != expected[0][0] {
        expected.reverse();
    }
    assert_eq!(written, expected.concat(), "a resource and its identifier for each other domain");
}

/// A source's patient who is known to another source by the second identifier.
fn known_elsewhere(own: (&str, &str), other: (&str, &str), family: &str) -> Value {
    let mut patient = somebody_in(own.0, own.1, family);
    let identifiers = patient["identifier"].as_array_mut().expect("has some");
    identifiers.push(json!({ "system": other.0, "value": other.1 }));
    patient
}

#[tokio::test]
async fn a_source_that_states_another_sources_identifier_links_the_two() {
    let subject = Subject::start();
    let red = subject.fed(&somebody_in(RED, "R", "Rosso")).await;
    let blue = subject.fed(&known_elsewhere((BLUE, "B"), (RED, "R"), "Azzurro")).await;
    assert_eq!(names(&subject, RED, "R").await, (vec![blue.clone()], vec!["B".into()]));
    assert_eq!(names(&subject, BLUE, "B").await, (vec![red.clone()], vec!["R".into()]));
    let link = links(&subject, &red).await.remove(0);
    assert_eq!((part(&link, "state"), part(&link, "by")), (json!("linked"), json!("feed")));
    assert_eq!(part(&link, "identifier"), json!({ "system": RED, "value": "R" }));
}

#[tokio::test]
async fn a_statement_that_is_taken_back_takes_its_link_with_it() {
    let subject = Subject::start();
    let red = subject.fed(&somebody_in(RED, "R", "Rosso")).await;
    subject.fed(&known_elsewhere((BLUE, "B"), (RED, "R"), "Azzurro")).await;
    assert_eq!(subject.feed(BLUE, "B", &somebody_in(BLUE, "B", "Azzurro")).await.status, StatusCode::OK);
    assert_eq!(names(&subject, RED, "R").await, (vec![], vec![]));
    let link = links(&subject, &red).await.remove(0);
    assert_eq!(decisions(&link), pairs(&[("feed", "withdrawn"), ("feed", "linked")]));
}

#[tokio::test]
async fn a_source_that_comes_after_it_was_spoken_of_is_linked_too() {
    let subject = Subject::start();
    let blue = subject.fed(&known_elsewhere((BLUE, "B"), (RED, "R"), "Azzurro")).await;
    let red = subject.fed(&somebody_in(RED, "R", "Rosso")).await;
    assert_ne!(red, blue, "the red source speaks of its own patient");
    assert_eq!(names(&subject, RED, "R").await, (vec![blue], vec!["B".into()]));
    assert_eq!(names(&subject, BLUE, "B").await, (vec![red], vec!["R".into()]));
}

#[tokio::test]
async fn what_a_steward_holds_apart_no_feed_puts_together() {
    let subject = Subject::start();
    let red = subject.fed(&somebody_in(RED, "R", "Rosso")).await;
    let blue = subject.fed(&known_elsewhere((BLUE, "B"), (RED, "R"), "Azzurro")).await;
    done(&subject, &red, "$unlink", &blue).await;
    assert_eq!(names(&subject, RED, "R").await, (vec![], vec![]));
    let mut again = known_elsewhere((BLUE, "B"), (RED, "R"), "Azzurro");
    again["birthDate"] = json!("1931-11-03");
    assert_eq!(subject.feed(BLUE, "B", &again).await.status, StatusCode::OK);
    assert_eq!(names(&subject, RED, "R").await, (vec![], vec![]), "the steward's word stays");

    // Taken back, the feed's word counts again.
    let path = format!("/Patient/{red}/$unlink?other=Patient/{blue}&withdraw=true");
    let told = subject.request(Method::POST, &path, &[], None).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    assert_eq!(names(&subject, RED, "R").await.1, ["B"]);
}

#[tokio::test]
async fn an_unmerge_brings_the_links_back() {
    let subject = Subject::start();
    let maiden = subject.fed(&known_elsewhere((RED, "R-maiden"), (GREEN, "G"), "Rosso")).await;
    let green = subject.fed(&somebody_in(GREEN, "G", "Verde")).await;
    subject.fed(&somebody_in(RED, "R", "Bianchi")).await;
    assert_eq!(names(&subject, GREEN, "G").await.1, ["R-maiden"]);
    // The merge says nothing of the green domain.
    let mut merged = somebody_in(RED, "R-maiden", "Rosso");
    merged["active"] = json!(false);
    merged["link"] =
        json!([{ "other": { "identifier": { "system": RED, "value": "R" } }, "type": "replaced-by" }]);
    assert_eq!(subject.feed(RED, "R-maiden", &merged).await.status, StatusCode::OK);
    assert_eq!(names(&subject, GREEN, "G").await.1, ["R"]);
    let unmerged = known_elsewhere((RED, "R-maiden"), (GREEN, "G"), "Rosso");
    assert_eq!(subject.feed(RED, "R-maiden", &unmerged).await.status, StatusCode::OK);
    assert_eq!(names(&subject, GREEN, "G").await, (vec![maiden.clone()], vec!["R-maiden".into()]));
    assert_eq!(names(&subject, RED, "R").await, (vec![], vec![]));
    assert_eq!(names(&subject, RED, "R-maiden").await, (vec![green], vec!["G".into()]));
}

#[tokio::test]
async fn the_links_of_a_removed_record_are_gone() {
    let domain = identity_source::Domain { remove: true, ..Default::default() };
    let subject = Subject::start_with(identity_source::Settings { domain, ..Default::default() });
    let red = subject.fed(&somebody_in(RED, "R", "Rosso")).await;
    let blue = subject.fed(&known_elsewhere((BLUE, "B"), (RED, "R"), "Azzurro")).await;
    let green = subject.fed(&somebody_in(GREEN, "G", "Verde")).await;
    done(&subject, &blue, "$link", &green).await;
    assert_eq!(names(&subject, RED, "R").await.1, ["B", "G"]);
    let told = subject.request(Method::DELETE, &format!("/Patient?identifier={BLUE}%7CB"), &[], None).await;
    assert!(told.status.is_success(), "{}", told.text);
    assert_eq!(names(&subject, RED, "R").await, (vec![], vec![]));
    let link = links(&subject, &red).await.remove(0);
    assert_eq!((part(&link, "state"), decisions(&link).len()), (json!("withdrawn"), 2));
    // Whoever comes under that identifier later is somebody else, until it is said anew.
    subject.fed(&somebody_in(BLUE, "B", "Azzurro")).await;
    assert_eq!(names(&subject, GREEN, "G").await, (vec![], vec![]));
}

#[tokio::test]
async fn sources_that_speak_of_each_other_at_once_are_linked() {
    let subject = Subject::start();
    for round in 0..5 {
        let (r, b) = (format!("R-{round}"), format!("B-{round}"));
        let (red, blue) = (
            known_elsewhere((RED, &r), (BLUE, &b), "Rosso"),
            known_elsewhere((BLUE, &b), (RED, &r), "Azzurro"),
        );
        let (one, other) = tokio::join!(subject.feed(RED, &r, &red), subject.feed(BLUE, &b, &blue));
        assert!(one.status.is_success() && other.status.is_success(), "{} {}", one.text, other.text);
        becomes(&subject, RED, &r, &[&b]).await;
        becomes(&subject, BLUE, &b, &[&r]).await;
    }
}

/// A whole person, so that two records of hers certainly match.
fn ottilie_in(system: &str, value: &str) -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{ "system": system, "value": value }],
        "active": true,
        "name": [{ "family": "Quittenbaum", "given": ["Ottilie"] }],
        "gender": "female",
        "birthDate": "1947-03-19",
        "telecom": [{ "system": "phone", "value": "+43 662 8044 5512" }],
        "address": [{
            "line": ["Erlengasse 14"], "city": "Hallein", "postalCode": "5400", "country": "AT"
        }]
    })
}

/// The pairs a steward is asked about: ids of both.
async fn duplicates(subject: &Subject, query: &str) -> (Vec<[String; 2]>, Option<String>) {
    let told = subject.get(&format!("/Patient/$duplicates?{query}")).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    let parameters = told.json()["parameter"].as_array().cloned().unwrap_or_default();
    let next = parameters.iter().find(|parameter| parameter["name"] == "next");
    let next = next.map(|next| next["valueUri"].as_str().expect("is a URL").to_owned());
    let id = |part: &Value| {
        let url = part["valueReference"]["reference"].as_str().expect("is a URL").to_owned();
        url.rsplit_once('/').expect("is a URL").1.to_owned()
    };
    let pairs = parameters.iter().filter(|parameter| parameter["name"] == "pair").map(|pair| {
        let parts = pair["part"].as_array().expect("has parts");
        let of: Vec<String> = parts.iter().filter(|part| part["name"] == "patient").map(id).collect();
        of.try_into().expect("a pair is two")
    });
    (pairs.collect(), next)
}

/// Waits until there are so many pairs for a steward.
async fn pairs_become(subject: &Subject, count: usize) -> Vec<[String; 2]> {
    let mut found = Vec::new();
    for _ in 0..200 {
        found = duplicates(subject, "").await.0;
        if found.len() == count {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("a steward is asked about {found:?}, and not about {count} pairs");
}

#[tokio::test]
async fn records_that_certainly_match_are_linked_behind_the_feed() {
    let subject = Subject::start();
    let red = subject.fed(&ottilie_in(RED, "R")).await;
    let blue = subject.fed(&ottilie_in(BLUE, "B")).await;
    becomes(&subject, RED, "R", &["B"]).await;
    let link = links(&subject, &red).await.remove(0);
    assert_eq!((part(&link, "by"), part(&link, "grade")), (json!("match"), json!("certain")));
    assert!(part(&link, "explanation").is_string(), "{link}");
    assert!(!link.to_string().contains("Ottilie"), "an explanation says nothing of anybody: {link}");
    assert_eq!(names(&subject, BLUE, "B").await.0, [red]);
    assert_eq!(duplicates(&subject, "").await.0, Vec::<[String; 2]>::new());
    let _ = blue;
}

#[tokio::test]
async fn two_feeds_at_once_do_not_miss_each_other() {
    let subject = Subject::start();
    let (red, blue, green) = (ottilie_in(RED, "R"), ottilie_in(BLUE, "B"), ottilie_in(GREEN, "G"));
    let told = tokio::join!(
        subject.feed(RED, "R", &red),
        subject.feed(BLUE, "B", &blue),
        subject.feed(GREEN, "G", &green)
    );
    assert!([&told.0, &told.1, &told.2].iter().all(|told| told.status == StatusCode::CREATED));
    becomes(&subject, RED, "R", &["B", "G"]).await;
    becomes(&subject, GREEN, "G", &["B", "R"]).await;
}

#[tokio::test]
async fn what_a_steward_holds_apart_no_match_puts_together() {
    let subject = Subject::start();
    let red = subject.fed(&ottilie_in(RED, "R")).await;
    let blue = subject.fed(&ottilie_in(BLUE, "B")).await;
    becomes(&subject, RED, "R", &["B"]).await;
    done(&subject, &red, "$unlink", &blue).await;
    let mut moved = ottilie_in(BLUE, "B");
    moved["address"][0]["line"] = json!(["Erlengasse 15"]);
    assert_eq!(subject.feed(BLUE, "B", &moved).await.status, StatusCode::OK);
    // A third record that matches both belongs to one of them at most, and to none without a steward.
    subject.fed(&ottilie_in(GREEN, "G")).await;
    let asked = pairs_become(&subject, 1).await;
    assert_eq!(names(&subject, RED, "R").await.1.len() + names(&subject, BLUE, "B").await.1.len(), 1);
    assert!(!asked.contains(&[red.clone(), blue.clone()]) && !asked.contains(&[blue.clone(), red.clone()]));
    let between = links(&subject, &red).await.into_iter().find(|link| part(link, "state") == "apart");
    assert!(between.is_some(), "the steward's word stays");
    // Taken back, the matcher decides anew.
    let path = format!("/Patient/{red}/$unlink?other=Patient/{blue}&withdraw=true");
    assert_eq!(subject.request(Method::POST, &path, &[], None).await.status, StatusCode::OK);
    becomes(&subject, RED, "R", &["B", "G"]).await;
}

#[tokio::test]
async fn a_link_by_match_is_judged_again_when_a_record_changes() {
    let subject = Subject::start();
    let red = subject.fed(&ottilie_in(RED, "R")).await;
    subject.fed(&ottilie_in(BLUE, "B")).await;
    becomes(&subject, RED, "R", &["B"]).await;
    // It was another person's form.
    assert_eq!(subject.feed(BLUE, "B", &somebody_in(BLUE, "B", "Azzurro")).await.status, StatusCode::OK);
    becomes(&subject, RED, "R", &[]).await;
    let link = links(&subject, &red).await.remove(0);
    assert_eq!(decisions(&link), pairs(&[("match", "withdrawn"), ("match", "linked")]));
}

#[tokio::test]
async fn a_stewards_link_stands_though_the_records_come_to_differ() {
    let subject = Subject::start();
    let red = subject.fed(&ottilie_in(RED, "R")).await;
    let blue = subject.fed(&ottilie_in(BLUE, "B")).await;
    becomes(&subject, RED, "R", &["B"]).await;
    done(&subject, &red, "$link", &blue).await;
    assert_eq!(subject.feed(BLUE, "B", &somebody_in(BLUE, "B", "Azzurro")).await.status, StatusCode::OK);
    let green = subject.fed(&somebody_in(GREEN, "G", "Verde")).await;
    done(&subject, &green, "$unlink", &red).await;
    assert_eq!(names(&subject, RED, "R").await.1, ["B"]);
}

#[tokio::test]
async fn two_records_of_one_domain_that_match_are_a_stewards_to_see() {
    let subject = Subject::start();
    let one = subject.fed(&ottilie_in(RED, "R-1")).await;
    let other = subject.fed(&ottilie_in(RED, "R-2")).await;
    let asked = pairs_become(&subject, 1).await;
    assert!(asked[0].contains(&one) && asked[0].contains(&other));
    // A record of another domain that is like both is linked with neither.
    let blue = subject.fed(&ottilie_in(BLUE, "B")).await;
    pairs_become(&subject, 3).await;
    assert_eq!(names(&subject, BLUE, "B").await, (vec![], vec![]));
    let told = subject.get("/Patient/$duplicates").await;
    assert!(told.text.contains("Quittenbaum"), "a steward sees who it is: {}", told.text);
    assert_eq!(duplicates(&subject, &format!("patient=Patient/{blue}")).await.0.len(), 2);
    // Merged, one is left to link with.
    let mut merged = ottilie_in(RED, "R-2");
    merged["active"] = json!(false);
    merged["link"] =
        json!([{ "other": { "identifier": { "system": RED, "value": "R-1" } }, "type": "replaced-by" }]);
    assert_eq!(subject.feed(RED, "R-2", &merged).await.status, StatusCode::OK);
    becomes(&subject, BLUE, "B", &["R-1"]).await;
    pairs_become(&subject, 0).await;
}

#[tokio::test]
async fn duplicates_are_told_a_page_at_a_time_and_a_decision_takes_a_pair_off() {
    let subject = Subject::start();
    let mut ids = Vec::new();
    for number in 0..4 {
        ids.push(subject.fed(&ottilie_in(RED, &format!("R-{number}"))).await);
    }
    assert_eq!(pairs_become(&subject, 6).await.len(), 6);
    let (mut seen, mut next) = duplicates(&subject, "_count=4").await;
    assert_eq!(seen.len(), 4);
    let (_, in_json) = duplicates(&subject, "_count=4&_format=json").await;
    assert!(
        in_json.is_some_and(|url| url.ends_with("&_format=json")),
        "the next page comes in the same format"
    );
    while let Some(url) = next {
        let query = url.split_once('?').expect("has a query").1;
        let page = duplicates(&subject, query).await;
        seen.extend(page.0);
        next = page.1;
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6);
    done(&subject, &ids[0], "$unlink", &ids[1]).await;
    assert_eq!(duplicates(&subject, "").await.0.len(), 5);
    for query in ["_count=0", "_count=x", "_page=rubbish", "patient=a/b/c"] {
        let told = subject.get(&format!("/Patient/$duplicates?{query}")).await;
        assert_eq!(told.status, StatusCode::BAD_REQUEST, "{query}: {}", told.text);
    }
}

#[tokio::test]
async fn matches_are_left_to_a_steward_where_the_domain_wants_it() {
    let by_hand = identity_source::LinkSettings { by_match: false };
    let settings = identity_source::Settings { links: by_hand, ..Default::default() };
    let subject = Subject::start_with(settings);
    let red = subject.fed(&ottilie_in(RED, "R")).await;
    let blue = subject.fed(&ottilie_in(BLUE, "B")).await;
    pairs_become(&subject, 1).await;
    assert_eq!(names(&subject, RED, "R").await, (vec![], vec![]));
    done(&subject, &red, "$link", &blue).await;
    assert_eq!(duplicates(&subject, "").await.0.len(), 0);
    assert_eq!(names(&subject, RED, "R").await.1, ["B"]);
}

#[tokio::test]
async fn many_feeds_at_once_leave_the_links_that_one_after_the_other_would() {
    let subject = Subject::start();
    let families = ["Quittenbaum", "Oberdorfer", "Zwickel", "Hrdlicka", "Maringer", "Pospischil"];
    let somebody = |system: &str, number: usize| {
        let mut patient = ottilie_in(system, &number.to_string());
        patient["name"][0]["family"] = json!(families[number]);
        patient["birthDate"] = json!(format!("{}-0{}-1{number}", 1941 + 7 * number, 1 + number));
        patient["telecom"][0]["value"] = json!(format!("+43 662 {number}044 551{number}"));
        patient["address"][0]["line"] = json!([format!("Erlengasse {number}4")]);
        patient
    };
    let all = (0..families.len()).flat_map(|number| [RED, BLUE, GREEN].map(|system| (system, number)));
    let feeds = all.map(|(system, number)| {
        let (subject, patient) = (&subject, somebody(system, number));
        async move { subject.feed(system, &number.to_string(), &patient).await.status }
    });
    let told = futures_util::future::join_all(feeds).await;
    assert!(told.iter().all(|status| *status == StatusCode::CREATED), "{told:?}");
    for number in (0..families.len()).map(|number| number.to_string()) {
        becomes(&subject, RED, &number, &[&number, &number]).await;
        becomes(&subject, GREEN, &number, &[&number, &number]).await;
    }
}

#[tokio::test]
async fn a_linker_that_was_interrupted_goes_on_where_it_was() {
    let directory = tempfile::tempdir().expect("there is room");
    let opened = || store::Store::open(&store::Options::new(directory.path())).expect("can be opened");
    let settings = || identity_source::Settings::default();
    let subject = Subject::start_in(actor::Setup { store: opened(), ..actor::Setup::new(settings()) });
    subject.fed(&ottilie_in(RED, "R")).await;
    subject.fed(&ottilie_in(BLUE, "B")).await;
    becomes(&subject, RED, "R", &["B"]).await;
    subject.stop();
    let subject = Subject::start_in(actor::Setup { store: opened(), ..actor::Setup::new(settings()) });
    subject.fed(&ottilie_in(GREEN, "G")).await;
    becomes(&subject, RED, "R", &["B", "G"]).await;
    for _ in 0..200 {
        let health = subject.admin("/readyz?verbose").await;
        if health.contains("every patient has been looked at") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the linker does not come to an end");
}
