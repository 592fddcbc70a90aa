use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::subject::{BLUE, GREEN, RED, Subject, Told};

const JSON: (&str, &str) = ("content-type", "application/fhir+json");

fn person(system: &str, value: &str, given: &str, born: &str) -> Value {
    json!({
        "resourceType": "Patient", "active": true,
        "identifier": [{ "system": system, "value": value }],
        "name": [{ "family": "Mohr", "given": [given] }],
        "gender": "female", "birthDate": born
    })
}

/// The same without an identifier: what a caller knows of somebody.
fn looked_for(given: &str, born: &str) -> Value {
    let mut patient = person(RED, "x", given, born);
    patient.as_object_mut().expect("is an object").shift_remove("identifier");
    patient
}

async fn ask(subject: &Subject, patient: &Value, more: &[Value]) -> Told {
    let mut parameter = vec![json!({ "name": "resource", "resource": patient })];
    parameter.extend(more.iter().cloned());
    let body = json!({ "resourceType": "Parameters", "parameter": parameter });
    subject.request(Method::POST, "/Patient/$match", &[JSON], Some(body.to_string())).await
}

fn only_certain() -> Value {
    json!({ "name": "onlyCertainMatches", "valueBoolean": true })
}

/// Identifier and grade of each match, in order.
fn matches(told: &Told) -> Vec<(String, String)> {
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    let read = fhir::iti119::read_response(&told.json());
    let value = |patient: &Value| patient["identifier"][0]["value"].as_str().unwrap_or_default().to_owned();
    read.iter().map(|one| (value(&one.patient), one.grade.clone())).collect()
}

fn pair(value: &str, grade: &str) -> (String, String) {
    (value.to_owned(), grade.to_owned())
}

#[tokio::test]
async fn a_match_has_mode_score_grade_and_an_explanation() {
    let subject = Subject::start();
    let id = subject.fed(&person(RED, "R-1", "Alice", "1958-01-30")).await;
    let told = ask(&subject, &looked_for("Alice", "1958-01-30"), &[]).await;
    let bundle = told.json();
    assert_eq!((&bundle["type"], &bundle["total"]), (&json!("searchset"), &json!(1)), "{bundle}");
    let entry = &bundle["entry"][0];
    assert_eq!(entry["fullUrl"], format!("{}/Patient/{id}", subject.base()));
    assert_eq!(entry["search"]["mode"], "match");
    assert!(entry["search"]["score"].as_f64().is_some_and(|score| (0.999..=1.0).contains(&score)), "{entry}");
    assert!(entry.get("request").is_none() && entry.get("response").is_none(), "{entry}");
    let read = fhir::iti119::read_response(&bundle);
    assert_eq!(read[0].grade, "certain");
    let fields: Vec<&str> = read[0].fields.iter().map(|(field, ..)| field.as_str()).collect();
    assert_eq!(fields, ["family", "given", "birth-date", "gender"]);
    let xml = subject.request(Method::POST, "/Patient/$match?_format=xml", &[JSON], {
        Some(looked_for("Alice", "1958-01-30").to_string())
    });
    let xml = xml.await;
    assert!(xml.text.contains("<score value=\"0.9"), "a bare Patient, answered in XML: {}", xml.text);
}

#[tokio::test]
async fn several_are_told_best_first_and_count_cuts_the_rest_off() {
    let subject = Subject::start();
    subject.fed(&person(RED, "R-1", "Alice", "1958-01-30")).await;
    subject.fed(&person(RED, "R-2", "Alica", "1958-01-30")).await;
    subject.fed(&person(RED, "R-3", "Rosalinde", "1911-12-01")).await;
    let told = ask(&subject, &looked_for("Alice", "1958-01-30"), &[]).await;
    assert_eq!(matches(&told), [pair("R-1", "certain"), pair("R-2", "probable")]);
    let told =
        ask(&subject, &looked_for("Alice", "1958-01-30"), &[json!({ "name": "count", "valueInteger": 1 })])
            .await;
    assert_eq!(matches(&told), [pair("R-1", "certain")]);
    assert_eq!(told.json()["total"], 2);
}

#[tokio::test]
async fn only_certain_matches_are_told_where_nobody_else_is_near() {
    let subject = Subject::start();
    subject.fed(&person(RED, "R-1", "Alice", "1958-01-30")).await;
    let told = ask(&subject, &looked_for("Alice", "1958-01-30"), &[only_certain()]).await;
    assert_eq!(matches(&told), [pair("R-1", "certain")], "case 3");
    let told = ask(&subject, &looked_for("Alica", "1958-01-30"), &[only_certain()]).await;
    assert_eq!(matches(&told), [], "case 4: one that is not certain");
    let outcome = &told.json()["entry"][0];
    assert_eq!(outcome["search"]["mode"], "outcome");
    assert_eq!(outcome["resource"]["issue"][0]["severity"], "warning");
    // A second record of the same domain: nobody has said that the two are one.
    subject.fed(&person(RED, "R-2", "Alice", "1958-01-30")).await;
    let told = ask(&subject, &looked_for("Alice", "1958-01-30"), &[only_certain()]).await;
    assert_eq!(matches(&told), [], "case 5");
}

#[tokio::test]
async fn records_known_to_be_one_person_do_not_make_a_match_ambiguous() {
    let subject = Subject::start();
    subject.fed(&person(RED, "R-1", "Alice", "1958-01-30")).await;
    let mut blue = person(BLUE, "B-1", "Alice", "1958-01-30");
    let red = json!({ "system": RED, "value": "R-1" });
    blue["identifier"].as_array_mut().expect("is a list").push(red);
    subject.fed(&blue).await;
    let told = ask(&subject, &looked_for("Alice", "1958-01-30"), &[only_certain()]).await;
    let mut found = matches(&told);
    found.sort();
    assert_eq!(
        found,
        [pair("B-1", "certain"), pair("R-1", "certain")],
        "the blue source states the red identifier"
    );
}

#[tokio::test]
async fn nobody_and_those_out_of_use_are_no_matches() {
    let subject = Subject::start();
    let told = ask(&subject, &looked_for("Alice", "1958-01-30"), &[]).await;
    assert_eq!((matches(&told), &told.json()["total"]), (Vec::new(), &json!(0)), "case 7");
    let mut gone = person(GREEN, "G-1", "Alice", "1958-01-30");
    gone["active"] = json!(false);
    subject.fed(&gone).await;
    let told = ask(&subject, &looked_for("Alice", "1958-01-30"), &[]).await;
    assert_eq!(matches(&told), [], "case 8: left out");
}

#[tokio::test]
async fn an_identifier_alone_is_enough() {
    let subject = Subject::start();
    subject.fed(&person(BLUE, "761337610000000000", "Alice", "1958-01-30")).await;
    let asked = |system: &str| json!({ "resourceType": "Patient", "identifier": [{ "system": system, "value": "761337610000000000" }] });
    let told = ask(&subject, &asked(BLUE), &[only_certain()]).await;
    assert_eq!(matches(&told), [pair("761337610000000000", "certain")]);
    let told = ask(&subject, &asked("1.3.6.1.4.1.21367.13.20.3000"), &[]).await;
    assert_eq!(matches(&told), [pair("761337610000000000", "certain")], "the domain in its other spelling");
    assert_eq!(matches(&ask(&subject, &asked(RED), &[]).await), []);
}

#[tokio::test]
async fn what_cannot_be_matched_by_is_refused_in_words() {
    let subject = Subject::start();
    for (body, code, said) in [
        (json!({ "resourceType": "Patient", "gender": "female" }), "required", "says too little"),
        (json!({ "resourceType": "Patient", "shoeSize": 44 }), "structure", "shoeSize"),
        (json!({ "resourceType": "Parameters" }), "required", "resource is required"),
        (json!({ "resourceType": "Bundle", "type": "batch" }), "structure", "Parameters"),
    ] {
        let told = subject.request(Method::POST, "/Patient/$match", &[JSON], Some(body.to_string())).await;
        assert_eq!(told.status, StatusCode::BAD_REQUEST, "{body}: {}", told.text);
        assert_eq!(told.issue().0, code, "{body}: {}", told.text);
        assert!(told.text.contains(said), "{body}: {}", told.text);
    }
    // Were it passed over, uncertain matches would be taken for certain ones.
    let path = "/Patient/$match?onlyCertainMatches=true&_format=json";
    let told =
        subject.request(Method::POST, path, &[JSON], Some(person(RED, "x", "A", "1958").to_string())).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST, "{}", told.text);
    assert!(
        told.issue().1.contains("onlyCertainMatches") && told.issue().1.contains("Parameters"),
        "{}",
        told.text
    );
    let told = subject.request(Method::GET, "/Patient/$match", &[], None).await;
    assert_eq!(told.status, StatusCode::METHOD_NOT_ALLOWED, "{}", told.text);
    let told =
        subject.request(Method::POST, "/Patient/$match", &[("content-type", "text/plain")], None).await;
    assert_eq!(told.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{}", told.text);
}

#[tokio::test]
async fn a_name_too_many_have_is_not_looked_through_and_says_so() {
    let mut settings = identity_source::Settings::default();
    settings.matching.max_per_key = 5;
    let subject = Subject::start_with(settings);
    for number in 0..8 {
        subject.fed(&person(RED, &format!("R-{number}"), "Alice", &format!("19{}-01-30", 10 + number))).await;
    }
    let mut undated = looked_for("Alice", "1958-01-30");
    undated.as_object_mut().expect("is an object").shift_remove("birthDate");
    let told = ask(&subject, &undated, &[]).await;
    assert_eq!(matches(&told), []);
    let warning = &told.json()["entry"][0]["resource"]["issue"][0];
    assert_eq!(
        (&warning["severity"], &warning["code"]),
        (&json!("warning"), &json!("too-costly")),
        "{warning}"
    );
    let told = ask(&subject, &looked_for("Alice", "1910-01-30"), &[]).await;
    assert_eq!(matches(&told), [pair("R-0", "certain")], "the year of birth narrows it");
}

/// A small run of what `docs/matching.md` tells of a large one.
#[tokio::test]
async fn people_are_told_apart_as_well_as_it_is_written_down() {
    let report = crate::measure::measure(1_500, 900, 7).await;
    let tables = report.tables();
    let (precision, recall) = report.at(0.999);
    assert_eq!(
        precision,
        1.0,
        "no two people are certainly one: {:?}",
        report.wrong(0.999).collect::<Vec<_>>()
    );
    assert!(recall > 0.55, "certain: {tables}");
    let (precision, recall) = report.at(0.9);
    assert!(precision > 0.98 && recall > 0.9, "probable: {tables}");
    let (_, recall) = report.at(0.1);
    assert!(recall > 0.97, "told at all: {tables}");
}
