//! What `$ihe-pix` answers [ITI-83].

use crate::subject::{BLUE, GREEN, RED, Subject, Told, alice};
use identity_source::{Domain, Settings};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

fn mohrs() -> Value {
    let mut mohrs = alice();
    mohrs["identifier"] = json!([
        { "system": BLUE, "value": "IHEBLUE-994", "assigner": { "display": "Blue Hospital" } },
        { "system": GREEN, "value": "IHEGREEN-994" },
        { "system": RED, "value": "IHERED-994" }
    ]);
    mohrs
}

async fn asked(subject: &Subject, query: &str) -> Told {
    subject.get(&format!("/Patient/$ihe-pix?{query}")).await
}

fn names(told: &Told) -> (Vec<String>, Vec<String>) {
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    let found = fhir::iti83::read_response(&told.json());
    (found.patients, found.identifiers.into_iter().map(|identifier| identifier.value).collect())
}

#[tokio::test]
async fn all_other_names_are_answered() {
    let subject = Subject::start();
    let id = subject.fed(&mohrs()).await;
    let told = asked(&subject, &format!("sourceIdentifier={RED}%7CIHERED-994")).await;
    let (patients, identifiers) = names(&told);
    assert_eq!(patients, [format!("{}/Patient/{id}", subject.base())]);
    assert_eq!(identifiers, ["IHEBLUE-994", "IHEGREEN-994"]);
    assert!(told.text.contains("Blue Hospital"), "{}", told.text);
}

#[tokio::test]
async fn the_answer_keeps_to_the_domains_asked_for() {
    let subject = Subject::start();
    let id = subject.fed(&mohrs()).await;
    let told = asked(&subject, &format!("sourceIdentifier={RED}%7CIHERED-994&targetSystem={BLUE}")).await;
    assert_eq!(names(&told), (vec![format!("{}/Patient/{id}", subject.base())], vec!["IHEBLUE-994".into()]));
    let own = subject.base();
    let told = asked(&subject, &format!("sourceIdentifier={RED}%7CIHERED-994&targetSystem={own}")).await;
    assert_eq!(names(&told), (vec![format!("{own}/Patient/{id}")], vec![]));
}

#[tokio::test]
async fn a_patient_of_ours_can_be_asked_for_by_id() {
    let subject = Subject::start();
    let id = subject.fed(&mohrs()).await;
    let told = asked(&subject, &format!("sourceIdentifier={}%7CPatient/{id}", subject.base())).await;
    let (patients, identifiers) = names(&told);
    assert!(patients.is_empty(), "the name asked by is not answered");
    assert_eq!(identifiers.len(), 3);
}

#[tokio::test]
async fn no_counterpart_is_an_empty_answer() {
    let subject = Subject::start();
    subject.fed(&alice()).await;
    let mut other = alice();
    other["identifier"] = json!([{ "system": BLUE, "value": "other" }]);
    other["name"] = json!([{ "family": "SOMEBODY", "given": ["ELSE"] }]);
    subject.fed(&other).await;
    let told = asked(&subject, &format!("sourceIdentifier={RED}%7CIHERED-994&targetSystem={BLUE}")).await;
    assert_eq!((told.status, told.json()), (StatusCode::OK, json!({ "resourceType": "Parameters" })));
}

#[tokio::test]
async fn the_three_unknowns_have_their_statuses_and_words() {
    let subject = Subject::start();
    subject.fed(&alice()).await;
    let nobody = format!("sourceIdentifier={RED}%7Cnobody");
    for (query, status, code, text) in [
        (nobody.clone(), 404, "not-found", "sourceIdentifier Patient Identifier not found"),
        (
            "sourceIdentifier=urn:oid:9.9%7Cx".to_owned(),
            400,
            "code-invalid",
            "sourceIdentifier Assigning Authority not found",
        ),
        (
            format!("sourceIdentifier={RED}%7CIHERED-994&targetSystem=urn:oid:9.9"),
            403,
            "code-invalid",
            "targetSystem not found",
        ),
        (format!("{nobody}&targetSystem=urn:oid:9.9"), 403, "code-invalid", "targetSystem not found"),
        (
            "sourceIdentifier=urn:oid:9.9%7Cx&targetSystem=urn:oid:9.9".to_owned(),
            400,
            "code-invalid",
            "sourceIdentifier Assigning Authority not found",
        ),
    ] {
        let told = asked(&subject, &query).await;
        assert_eq!(told.status.as_u16(), status, "{query}: {}", told.text);
        assert_eq!(told.issue(), (code.to_owned(), text.to_owned()), "{query}");
        let issue = &told.json()["issue"][0];
        assert_eq!((&issue["severity"], &issue["details"]["text"]), (&json!("error"), &json!(text)));
    }
    for query in ["", "sourceIdentifier=x", "sourceIdentifier=urn:oid:9.9%7C"] {
        assert_eq!(asked(&subject, query).await.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn a_configured_domain_is_known_before_its_first_patient() {
    let domain = Domain { authorities: vec!["1.2.3".to_owned()], ..Domain::default() };
    let subject = Subject::start_with(Settings { domain, ..Settings::default() });
    let told = asked(&subject, "sourceIdentifier=urn:oid:1.2.3%7Cx").await;
    assert_eq!(told.status, StatusCode::NOT_FOUND, "{}", told.text);
}

#[tokio::test]
async fn the_question_can_be_posted_as_parameters() {
    let subject = Subject::start();
    subject.fed(&mohrs()).await;
    let body = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "sourceIdentifier", "valueString": format!("{RED}|IHERED-994") },
        { "name": "targetSystem", "valueUri": GREEN },
    ]});
    let headers = [("content-type", "application/fhir+json")];
    let told = subject.request(Method::POST, "/Patient/$ihe-pix", &headers, Some(body.to_string())).await;
    assert_eq!(names(&told).1, ["IHEGREEN-994"]);
}

#[tokio::test]
async fn a_posted_question_may_name_its_domains_in_the_url() {
    let subject = Subject::start();
    subject.fed(&mohrs()).await;
    let body = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "sourceIdentifier", "valueString": format!("{RED}|IHERED-994") },
    ]});
    let headers = [("content-type", "application/fhir+json")];
    let path = format!("/Patient/$ihe-pix?targetSystem={GREEN}");
    let told = subject.request(Method::POST, &path, &headers, Some(body.to_string())).await;
    assert_eq!(names(&told).1, ["IHEGREEN-994"], "no more than was asked for");
    let path = format!("/Patient/$ihe-pix?sourceIdentifier={RED}%7CIHERED-994");
    let told = subject.request(Method::POST, &path, &headers, Some(body.to_string())).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST, "two patients at once: {}", told.text);
}

#[tokio::test]
async fn an_identifier_is_escaped_here_as_in_a_feed_and_a_search() {
    let subject = Subject::start();
    let mut mohrs = mohrs();
    mohrs["identifier"][2]["value"] = json!("A,1|2");
    subject.fed(&mohrs).await;
    for value in ["A%5C,1%5C%7C2", "A,1%7C2"] {
        let told = asked(&subject, &format!("sourceIdentifier={RED}%7C{value}&targetSystem={GREEN}")).await;
        assert_eq!(names(&told).1, ["IHEGREEN-994"], "{value}");
    }
}

#[tokio::test]
async fn the_dollar_sign_of_an_operation_may_be_escaped() {
    let subject = Subject::start();
    let id = subject.fed(&mohrs()).await;
    let told = subject
        .get(&format!("/Patient/%24ihe-pix?sourceIdentifier={RED}%7CIHERED-994&targetSystem={GREEN}"))
        .await;
    assert_eq!(names(&told).1, ["IHEGREEN-994"]);
    assert_eq!(subject.get(&format!("/Patient/{id}/%24links")).await.status, StatusCode::OK);
    let told = subject.get("/Patient/%24everything").await;
    assert_eq!((told.status, told.issue().0.as_str()), (StatusCode::NOT_FOUND, "not-supported"));
}
