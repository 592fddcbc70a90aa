//! What ITI-78 finds, and how patients are read.

use crate::subject::{BLUE, GREEN, RED, Subject, alice, ids};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::patient;

fn mohrs() -> Value {
    let mut mohrs = alice();
    mohrs["identifier"] = json!([
        { "system": BLUE, "value": "IHEBLUE-994" },
        { "system": GREEN, "value": "IHEGREEN-994" },
        { "system": RED, "value": "IHERED-994" }
    ]);
    mohrs["address"] = json!([{ "line": ["820 JORIE BLVD."], "city": "OAK BROOK", "state": "IL",
        "postalCode": "60523", "country": "USA" }]);
    mohrs["telecom"] = json!([{ "system": "email", "value": "Alice@Example.org" }]);
    mohrs["extension"] = json!([{
        "url": fhir::patient::MOTHERS_MAIDEN_NAME, "valueString": "Pérez"
    }]);
    mohrs
}

#[tokio::test]
async fn a_patient_is_found_by_every_parameter() {
    let subject = Subject::start();
    let id = subject.fed(&mohrs()).await;
    let mut somebody = patient("urn:oid:9.8.7", "x", "Somebody", "Else");
    somebody["birthDate"] = json!("1971-12-01");
    subject.fed(&somebody).await;
    for query in [
        format!("identifier={RED}%7CIHERED-994"),
        "identifier=1.3.6.1.4.1.21367.13.20.1000%7CIHERED-994".to_owned(),
        "identifier=IHERED-994".to_owned(),
        format!("identifier={RED}%7C"),
        format!("identifier={RED}%7Cnobody,{BLUE}%7CIHEBLUE-994"),
        format!("_id={id}"),
        "family=mo".to_owned(),
        "family:exact=MOHR".to_owned(),
        "family:contains=oh".to_owned(),
        "given=alice".to_owned(),
        "name=alice".to_owned(),
        "family=MOHR&given=ALICE&active=true&gender=female".to_owned(),
        "family=mohr&birthdate=1958".to_owned(),
        "birthdate=1958-01-30".to_owned(),
        "birthdate=lt1958-02&birthdate=ge1958-01-30".to_owned(),
        "address=jorie,820".to_owned(),
        "address=oak".to_owned(),
        "address-city=oak%20brook".to_owned(),
        "address-state=IL".to_owned(),
        "address-postalcode=60523".to_owned(),
        "address-country=us".to_owned(),
        "telecom=email%7Calice@example.org".to_owned(),
        "telecom=alice@example.org".to_owned(),
        "mothersMaidenName=perez".to_owned(),
        "mothersMaidenName:exact=P%C3%A9rez".to_owned(),
        "family=mohr&_lastUpdated=gt2020-01-01".to_owned(),
    ] {
        assert_eq!(subject.found(&query).await, [id.as_str()], "{query}");
    }
    for query in [
        format!("identifier={RED}%7Cihered-994"),
        format!("identifier={GREEN}%7CIHERED-994"),
        "family:exact=mohr".to_owned(),
        "family=ohr".to_owned(),
        "family=mohr&gender=male".to_owned(),
        "family=mohr&active=false".to_owned(),
        "birthdate=1958-01-31".to_owned(),
        "mothersMaidenName:exact=Perez".to_owned(),
        "family=mohr&_lastUpdated=lt2020-01-01".to_owned(),
    ] {
        assert!(subject.found(&query).await.is_empty(), "{query}");
    }
}

#[tokio::test]
async fn the_answer_says_how_many_and_what_was_asked() {
    let subject = Subject::start();
    let id = subject.fed(&alice()).await;
    let told = subject.get(&format!("/Patient?identifier={RED}%7CIHERED-994&shoe-size=44")).await;
    assert!(told.header("content-type").starts_with("application/fhir+json"));
    let bundle = told.json();
    assert_eq!((&bundle["type"], &bundle["total"]), (&json!("searchset"), &json!(1)));
    assert_eq!(bundle["entry"][0]["fullUrl"], format!("{}/Patient/{id}", subject.base()));
    let own = bundle["link"][0]["url"].as_str().expect("has a self link");
    assert!(own.contains("IHERED-994") && !own.contains("shoe-size"), "{own}");
    assert_eq!(bundle["entry"][1]["search"]["mode"], "outcome");
    assert_eq!(bundle["entry"][1]["resource"]["issue"][0]["severity"], "warning");
}

#[tokio::test]
async fn nobody_found_is_an_answer() {
    let subject = Subject::start();
    let bundle = subject.get("/Patient?family=nobody").await.json();
    assert_eq!((&bundle["total"], &bundle["entry"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn a_search_can_be_posted() {
    let subject = Subject::start();
    let id = subject.fed(&alice()).await;
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let form = Some(format!("identifier={RED}%7CIHERED-994"));
    let told = subject.request(Method::POST, "/Patient/_search", &headers, form).await;
    assert_eq!(ids(&told.json()), [id.as_str()]);
    let form = Some("family=mohr".to_owned());
    let told = subject.request(Method::POST, "/Patient/_search?gender=male", &headers, form).await;
    assert!(ids(&told.json()).is_empty(), "parameters of the URL count too");
}

#[tokio::test]
async fn identifiers_of_domains_that_were_not_asked_for_are_taken_out() {
    let subject = Subject::start();
    subject.fed(&mohrs()).await;
    let told = subject.get(&format!("/Patient?family=mohr&identifier={BLUE}%7C,{RED}%7C")).await;
    let shown = &told.json()["entry"][0]["resource"]["identifier"];
    let systems: Vec<&str> =
        shown.as_array().expect("has some").iter().filter_map(|item| item["system"].as_str()).collect();
    assert_eq!(systems, [BLUE, RED]);
    // Fed back, it would lose the identifier that is not shown.
    let told = subject.feed(RED, "IHERED-994", &told.json()["entry"][0]["resource"]).await;
    assert_eq!((told.status, told.issue().0.as_str()), (StatusCode::BAD_REQUEST, "business-rule"));
    let told = subject.get(&format!("/Patient?family=mohr&identifier={BLUE}%7C&_elements=identifier")).await;
    let tags = &told.json()["entry"][0]["resource"]["meta"]["tag"];
    assert_eq!(tags.as_array().map(Vec::len), Some(1), "{tags}");
}

#[tokio::test]
async fn an_unknown_domain_is_not_found() {
    let subject = Subject::start();
    subject.fed(&alice()).await;
    let told = subject.get("/Patient?family=mohr&identifier=urn:oid:9.9%7C").await;
    assert_eq!(told.status, StatusCode::NOT_FOUND);
    assert_eq!(told.issue(), ("not-found".to_owned(), "targetSystem not found".to_owned()));
    assert_eq!(told.json()["issue"][0]["severity"], "warning");
}

#[tokio::test]
async fn pages_follow_one_another_and_stay_as_they_were() {
    let subject = Subject::start();
    for number in 0..7 {
        subject.fed(&patient(RED, &format!("p{number}"), &format!("Page{number}"), "Patient")).await;
    }
    let mut seen = Vec::new();
    let mut url = format!("{}/Patient?_count=3&_sort=family", subject.base());
    let mut pages = 0;
    loop {
        let path = url.strip_prefix(&subject.base()).expect("is absolute").to_owned();
        let bundle = subject.get(&path).await.json();
        assert_eq!(bundle["total"], 7, "{bundle}");
        for entry in bundle["entry"].as_array().expect("has entries") {
            seen.push(entry["resource"]["name"][0]["family"].as_str().expect("has a name").to_owned());
        }
        pages += 1;
        if pages == 1 {
            subject.fed(&patient(RED, "late", "Page1b", "Patient")).await;
        }
        let links = bundle["link"].as_array().expect("has links");
        let Some(next) = links.iter().find(|link| link["relation"] == "next") else { break };
        next["url"].as_str().expect("is a URL").clone_into(&mut url);
        assert!(!url.contains("family"), "no question is readable in {url}");
    }
    assert_eq!(pages, 3);
    assert_eq!(seen, ["Page0", "Page1", "Page2", "Page3", "Page4", "Page5", "Page6"]);
}

#[tokio::test]
async fn one_can_go_back_to_the_page_before() {
    let subject = Subject::start();
    for number in 0..4 {
        subject.fed(&patient(RED, &format!("p{number}"), &format!("Page{number}"), "Patient")).await;
    }
    let link = |bundle: &Value, relation: &str| {
        let links = bundle["link"].as_array().expect("has links").clone();
        let link = links.iter().find(|link| link["relation"] == relation).expect(relation);
        link["url"].as_str().expect("is a URL").strip_prefix(&subject.base()).expect("is ours").to_owned()
    };
    let first = subject.get("/Patient?_count=2&_sort=family").await.json();
    let second = subject.get(&link(&first, "next")).await.json();
    let again = subject.get(&link(&second, "previous")).await.json();
    assert_eq!(ids(&again), ids(&first));
    assert_eq!(ids(&subject.get(&link(&second, "first")).await.json()), ids(&first));
    assert_eq!(ids(&subject.get(&link(&second, "self")).await.json()), ids(&second));
}

#[tokio::test]
async fn sorts_go_both_ways() {
    let subject = Subject::start();
    for family in ["Bauer", "Ärmel", "Cerny"] {
        subject.fed(&patient(RED, family, family, "X")).await;
    }
    for (sort, expected) in
        [("family", ["Ärmel", "Bauer", "Cerny"]), ("-family", ["Cerny", "Bauer", "Ärmel"])]
    {
        let bundle = subject.get(&format!("/Patient?_sort={sort}")).await.json();
        let families: Vec<Value> = bundle["entry"]
            .as_array()
            .expect("has entries")
            .iter()
            .map(|entry| entry["resource"]["name"][0]["family"].clone())
            .collect();
        assert_eq!(families, expected, "{sort}");
    }
}

#[tokio::test]
async fn the_total_alone_can_be_asked_for() {
    let subject = Subject::start();
    subject.fed(&alice()).await;
    for query in ["_summary=count", "_count=0", "family=mohr&_summary=count"] {
        let bundle = subject.get(&format!("/Patient?{query}")).await.json();
        assert_eq!((&bundle["total"], &bundle["entry"]), (&json!(1), &Value::Null), "{query}");
    }
}

#[tokio::test]
async fn a_removed_patient_is_found_by_nothing_and_reads_as_gone() {
    let domain = identity_source::Domain { remove: true, ..Default::default() };
    let subject = Subject::start_with(identity_source::Settings { domain, ..Default::default() });
    let id = subject.fed(&mohrs()).await;
    let path = format!("/Patient?identifier={BLUE}%7CIHEBLUE-994");
    let told = subject.request(Method::DELETE, &path, &[], None).await;
    assert!(told.status.is_success(), "{}", told.text);
    for query in [
        "family=mohr",
        "_id=",
        "gender=female",
        "active=true",
        "identifier=IHERED-994",
        "_lastUpdated=gt2020",
    ] {
        let query = if query == "_id=" { format!("_id={id}") } else { query.to_owned() };
        assert!(subject.found(&query).await.is_empty(), "{query}");
    }
    assert_eq!(subject.get(&format!("/Patient/{id}")).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn an_identifier_names_one_record_and_a_value_everybody_who_states_it() {
    let subject = Subject::start();
    let red = subject.fed(&alice()).await;
    let mut at_blue = patient(BLUE, "IHEBLUE-994", "Mohr", "Alice");
    at_blue["identifier"] = json!([
        { "system": BLUE, "value": "IHEBLUE-994" },
        { "system": RED, "value": "IHERED-994" }
    ]);
    let blue = subject.fed(&at_blue).await;
    assert_eq!(subject.found(&format!("identifier={RED}%7CIHERED-994")).await, [red.as_str()]);
    assert_eq!(subject.found(&format!("identifier={RED}%7CIHERED-994&family=mohr")).await, [red.as_str()]);
    assert_eq!(
        subject.found("identifier=IHERED-994&_sort=_lastUpdated").await,
        [red.as_str(), blue.as_str()]
    );
    let own = format!("identifier={}%7CPatient/{red}&family=mohr", subject.base());
    assert_eq!(subject.found(&own).await, [red.as_str()]);
}

#[tokio::test]
async fn a_domain_is_known_by_every_spelling() {
    let domain = identity_source::Domain {
        authorities: vec![format!("RED&{}&ISO", RED.trim_start_matches("urn:oid:"))],
        ..Default::default()
    };
    let subject = Subject::start_with(identity_source::Settings { domain, ..Default::default() });
    let id = subject.fed(&mohrs()).await;
    for system in [RED, RED.trim_start_matches("urn:oid:")] {
        assert_eq!(subject.found(&format!("identifier={system}%7CIHERED-994")).await, [id.as_str()]);
        let told = subject.get(&format!("/Patient?family=mohr&identifier={system}%7C")).await;
        let shown = &told.json()["entry"][0]["resource"]["identifier"];
        assert_eq!(*shown, json!([{ "system": RED, "value": "IHERED-994" }]), "as its source spelled it");
    }
}

#[tokio::test]
async fn what_leaves_many_is_counted_and_only_the_page_is_read() {
    let setup = actor::Setup::new(identity_source::Settings::default());
    let store = setup.store.clone();
    let subject = Subject::start_in(setup);
    for number in 0..300 {
        let mut one = patient(RED, &format!("m{number}"), &format!("Many{}", number % 7), "Patient");
        one["gender"] = json!(if number % 2 == 0 { "male" } else { "female" });
        subject.fed(&one).await;
    }
    for (query, total) in [
        ("name=man&_count=5", 300),
        ("family=many1&given=pat&_count=5", 43),
        ("family=man&gender=male&_count=5", 150),
        ("birthdate=1958&family=many2&_count=5", 43),
        ("gender=male&_count=5", 150),
        ("active=true&_count=5", 300),
        ("_count=5", 300),
        ("_lastUpdated=gt2020&_count=5", 300),
        ("gender:not=male&_summary=count", 150),
    ] {
        let before = store.looked_at();
        let bundle = subject.get(&format!("/Patient?{query}")).await.json();
        assert_eq!(bundle["total"], total, "{query}");
        let looked = store.looked_at() - before;
        // A few are read rather than counted; the linker may look at one meanwhile.
        let most = if total > 256 { 5 } else { total } + 5;
        assert!(looked <= most, "{query} looked at {looked} rows");
    }
}

#[tokio::test]
async fn a_patient_and_those_found_come_in_xml_and_nothing_else_comes() {
    let subject = Subject::start();
    let id = subject.fed(&alice()).await;
    for path in [format!("/Patient/{id}"), "/Patient?family=mohr".to_owned()] {
        let told = subject.request(Method::GET, &path, &[("accept", "application/fhir+xml")], None).await;
        assert!(told.header("content-type").starts_with("application/fhir+xml"), "{path}");
        assert!(told.text.contains("<family value=\"MOHR\"/>"), "{}", told.text);
        let told = subject.request(Method::GET, &path, &[("accept", "text/turtle")], None).await;
        assert_eq!((told.status, told.issue().0.as_str()), (StatusCode::NOT_ACCEPTABLE, "not-supported"));
    }
}

#[tokio::test]
async fn a_question_that_lost_its_value_is_not_answered_with_everybody() {
    let subject = Subject::start();
    let id = subject.fed(&alice()).await;
    for query in [
        "identifier=",
        "_id=",
        "family=&given=&birthdate=",
        "identifier=&active=true&gender=female&_count=10",
        "family:exact=&_lastUpdated=gt2020",
    ] {
        let told = subject.get(&format!("/Patient?{query}")).await;
        assert_eq!(told.status, StatusCode::BAD_REQUEST, "{query}: {}", told.text);
        let (code, text) = told.issue();
        assert_eq!(code, "required", "{query}");
        assert!(text.contains("has no value") && text.contains("leave it out"), "{text}");
    }
    let told = subject.get(&format!("/Patient?identifier=&identifier={RED}%7C")).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST, "a whole domain names nobody either: {}", told.text);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let told =
        subject.request(Method::POST, "/Patient/_search", &headers, Some("identifier=".to_owned())).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST, "{}", told.text);
    // A mask that sends all its fields, and whoever wants all and says so.
    for query in ["family=mohr&given=&identifier=&birthdate=", "", "active=true", "active=true&_lastUpdated="]
    {
        assert_eq!(subject.found(query).await, [id.as_str()], "{query}");
    }
}

#[tokio::test]
async fn a_form_may_say_in_which_format_the_answer_comes() {
    let subject = Subject::start();
    subject.fed(&alice()).await;
    let post = async |form: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        subject.request(Method::POST, "/Patient/_search", &headers, Some(form.to_owned())).await
    };
    for form in ["family=mohr&_format=xml", "_format=application%2Ffhir%2Bxml&family=mohr&_pretty=true"] {
        let told = post(form).await;
        assert!(told.header("content-type").starts_with("application/fhir+xml"), "{form}: {}", told.text);
        assert!(told.text.contains("<family value=\"MOHR\"/>"), "{}", told.text);
    }
    assert_eq!(post("family=mohr&_format=text/turtle").await.status, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn a_further_page_comes_in_the_format_of_the_first() {
    let subject = Subject::start();
    for number in 0..3 {
        subject.fed(&patient(RED, &format!("p{number}"), &format!("Page{number}"), "Patient")).await;
    }
    let told = subject.get("/Patient?_count=1&_format=xml").await;
    let next = |text: &str| {
        let (_, behind) =
            text.split_once("<relation value=\"next\"/><url value=\"").expect("has a next link");
        let (url, _) = behind.split_once('"').expect("ends");
        url.replace("&amp;", "&").strip_prefix(&subject.base()).expect("is ours").to_owned()
    };
    let second = subject.get(&next(&told.text)).await;
    assert!(second.header("content-type").starts_with("application/fhir+xml"), "{}", second.text);
    let third = subject.get(&next(&second.text)).await;
    assert!(third.header("content-type").starts_with("application/fhir+xml"), "{}", third.text);
}

#[tokio::test]
async fn bad_questions_are_refused() {
    let subject = Subject::start();
    for (query, code) in [
        ("_has:DocumentReference:patient:type=http://loinc.org%7C75622-1", "not-supported"),
        ("birthdate=2021-02-30", "value"),
        ("gender=x", "value"),
    ] {
        let told = subject.get(&format!("/Patient?{query}")).await;
        assert_eq!((told.status, told.issue().0.as_str()), (StatusCode::BAD_REQUEST, code), "{query}");
    }
    let told = subject.get("/Patient?_page=nonsense").await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST, "{}", told.text);
    let strict = [("prefer", "handling=strict")];
    let told = subject.request(Method::GET, "/Patient?shoe-size=44", &strict, None).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
    assert!(told.issue().1.contains("birthdate"), "{}", told.text);
}

#[tokio::test]
async fn a_patient_the_caller_has_is_not_sent_again() {
    let subject = Subject::start();
    let id = subject.fed(&alice()).await;
    let path = format!("/Patient/{id}");
    let first = subject.get(&path).await;
    for headers in [
        [("if-none-match", first.header("etag"))],
        [("if-none-match", "\"9\", 1")],
        [("if-none-match", "*")],
        [("if-modified-since", first.header("last-modified"))],
    ] {
        let told = subject.request(Method::GET, &path, &headers, None).await;
        assert_eq!((told.status, told.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{headers:?}");
    }
    for tags in ["W/\"2\"", "W/\"\"", ""] {
        let told = subject.request(Method::GET, &path, &[("if-none-match", tags)], None).await;
        assert_eq!(told.status, StatusCode::OK, "{tags:?} is no version the caller has");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let subject = Subject::start();
    let id = subject.fed(&alice()).await;
    for (path, status) in [
        ("/Patient/nobody".to_owned(), StatusCode::NOT_FOUND),
        ("/Patient/nobody/_history".to_owned(), StatusCode::NOT_FOUND),
        (format!("/Patient/{id}/_history/2"), StatusCode::NOT_FOUND),
        (format!("/Patient/{id}/_history/x"), StatusCode::NOT_FOUND),
        ("/Patient/a_b".to_owned(), StatusCode::BAD_REQUEST),
        ("/Practitioner/1".to_owned(), StatusCode::NOT_FOUND),
        ("/Patient/$everything".to_owned(), StatusCode::NOT_FOUND),
        // Messages are posted there.
        ("/".to_owned(), StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let told = subject.get(&path).await;
        assert_eq!(told.status, status, "{path}: {}", told.text);
        assert!(!told.issue().1.is_empty(), "{path}");
    }
    let told = subject.request(Method::POST, "/Patient/$everything", &[], Some("{}".to_owned())).await;
    assert_eq!((told.status, told.issue().0.as_str()), (StatusCode::NOT_FOUND, "not-supported"));
}

#[tokio::test]
async fn the_capability_statement_lists_what_routes() {
    let subject = Subject::start();
    let told = subject.get("/metadata").await;
    let statement = told.json();
    assert_eq!(
        (&statement["resourceType"], &statement["kind"]),
        (&json!("CapabilityStatement"), &json!("instance"))
    );
    let patient = &statement["rest"][0]["resource"][0];
    assert_eq!((&patient["type"], &patient["conditionalUpdate"]), (&json!("Patient"), &json!(true)));
    let parameters = patient["searchParam"].as_array().expect("lists parameters");
    assert!(parameters.iter().any(|parameter| parameter["name"] == "mothersMaidenName"));
    assert!(told.text.contains("ihe-pix"));
}
