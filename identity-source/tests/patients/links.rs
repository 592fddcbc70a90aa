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
