//! How receivers beside our registry are told of patients.

use std::time::Duration;

use actor::Setup;
use identity_source::{Domain, Protocol, Receiver, Settings};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::listener::{Does, Listener};
use crate::subject::{BLUE, GREEN, RED, Subject, alice};

fn bare(system: &str) -> &str {
    system.trim_start_matches("urn:oid:")
}

/// The red domain under the name a receiver has for it.
fn red() -> String {
    format!("RED&{}&ISO", bare(RED))
}

fn domain() -> Domain {
    let authorities = [("RED", RED), ("GREEN", GREEN), ("BLUE", BLUE)];
    let authorities = authorities.map(|(name, system)| format!("{name}&{}&ISO", bare(system)));
    Domain { authorities: authorities.to_vec(), ..Domain::default() }
}

pub(crate) fn feed(name: &str, listener: &Listener) -> Receiver {
    Receiver {
        address: listener.address.to_string(),
        domains: vec![red()],
        timeout_ms: 2_000,
        ..Receiver::new(name, Protocol::Iti8)
    }
}

pub(crate) fn settings(receivers: Vec<Receiver>) -> Settings {
    Settings { receivers, domain: domain(), ..Settings::default() }
}

pub(crate) fn patient(system: &str, value: &str) -> Value {
    let mut patient = alice();
    patient["identifier"] = json!([{ "system": system, "value": value }]);
    patient["name"][0]["given"] = json!([value]);
    patient
}

pub(crate) fn merged(value: &str, into: &str) -> Value {
    let mut patient = patient(RED, value);
    patient["active"] = json!(false);
    patient["link"] =
        json!([{ "other": { "identifier": { "system": RED, "value": into } }, "type": "replaced-by" }]);
    patient
}

pub(crate) async fn feeds(subject: &Subject, value: &str, patient: &Value) {
    let told = subject.feed(RED, value, patient).await;
    assert!(told.status.is_success(), "{} {}", told.status, told.text);
}

/// The line of a receiver on the health page.
pub(crate) async fn line(subject: &Subject, name: &str) -> String {
    let health: Value = serde_json::from_str(&subject.admin("/readyz?verbose").await).expect("is JSON");
    assert_eq!(health["ready"], true, "receivers do not make the actor unready");
    let checks = health["checks"].as_array().expect("there are checks");
    let check = checks.iter().find(|check| check["name"] == name).expect("there is a line of it");
    check["text"].as_str().expect("is text").to_owned()
}

pub(crate) async fn operate(subject: &Subject, path: &str) -> (StatusCode, String) {
    subject.admin_post(path).await
}

/// Waits until the line of a receiver says this.
pub(crate) async fn says(subject: &Subject, name: &str, words: &str) -> String {
    for _ in 0..500 {
        let text = line(subject, name).await;
        if text.contains(words) {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the line of {name} does not say {words:?}: {}", line(subject, name).await);
}

#[tokio::test]
async fn a_registry_of_another_make_is_told_by_iti_8_of_its_own_domain() {
    let listener = Listener::start(|_| Does::Takes).await;
    let subject = Subject::start_with(settings(vec![feed("east", &listener)]));
    feeds(&subject, "1", &patient(RED, "1")).await;
    assert_eq!(listener.events(), ["A04 1"], "it knows before the source is answered");
    subject.fed(&patient(GREEN, "g")).await;
    let mut revised = patient(RED, "1");
    revised["birthDate"] = json!("1960-02-03");
    feeds(&subject, "1", &revised).await;
    feeds(&subject, "2", &patient(RED, "2")).await;
    feeds(&subject, "2", &merged("2", "1")).await;
    assert_eq!(listener.after(4).await, ["A04 1", "A08 1", "A04 2", "A40 1 < 2"]);
    let heard = listener.heard();
    let added: Vec<&str> = heard[0].split('\r').collect();
    assert!(added[0].starts_with("MSH|^~\\&|DOCSHARE|DOCSHARE|EAST|EAST|2"), "{}", added[0]);
    assert!(added[0].contains("||ADT^A04^ADT_A01|") && added[0].ends_with("|P|2.3.1||||||UNICODE UTF-8"));
    assert!(added[1].starts_with("EVN|A04|2"), "{}", added[1]);
    let pid = format!("PID|||1^^^{}||MOHR^1^^^^^L||19580130|F", red());
    assert_eq!((added[2], added[3]), (pid.as_str(), "PV1||N"));
    assert!(heard[3].contains(&format!("\rMRG|2^^^{}\r", red())), "{}", heard[3]);
    let ids: std::collections::HashSet<&str> = heard.iter().filter_map(|m| m.split('|').nth(9)).collect();
    assert!(ids.len() == 4 && ids.iter().all(|id| id.len() == 20), "{ids:?}");
    let metrics = subject.admin("/metrics").await;
    assert!(metrics.contains("docshare_outbox_pending{peer=\"east\"} 0"), "{metrics}");
    assert!(metrics.contains("docshare_peer_requests_total{peer=\"east\",result=\"success\"}"), "{metrics}");
    assert!(line(&subject, "east").await.contains("east (ITI-8) knows every patient"));
}

#[tokio::test]
async fn an_identifier_of_the_domain_that_comes_later_is_told_as_a_new_one() {
    let listener = Listener::start(|_| Does::Takes).await;
    let subject = Subject::start_with(settings(vec![feed("east", &listener)]));
    let mut known = patient(GREEN, "g");
    subject.fed(&known).await;
    assert!(listener.heard().is_empty(), "it is not told of patients without an identifier of its domain");
    known["identifier"] = json!([{ "system": GREEN, "value": "g" }, { "system": RED, "value": "r" }]);
    assert_eq!(subject.feed(GREEN, "g", &known).await.status, StatusCode::OK);
    assert_eq!(listener.after(1).await, ["A04 r"]);
    assert!(!listener.heard()[0].contains("GREEN"), "no identifier of another domain");
}

#[tokio::test]
async fn a_refused_message_holds_up_its_patient_only_and_can_be_skipped() {
    let listener =
        Listener::start(|message| if message.contains("|||1^") { Does::Refuses(204) } else { Does::Takes })
            .await;
    let subject = Subject::start_with(settings(vec![feed("skip", &listener)]));
    feeds(&subject, "1", &patient(RED, "1")).await;
    feeds(&subject, "2", &patient(RED, "2")).await;
    feeds(&subject, "3", &patient(RED, "3")).await;
    feeds(&subject, "2", &merged("2", "1")).await;
    let mut revised = patient(RED, "1");
    revised["gender"] = json!("unknown");
    feeds(&subject, "1", &revised).await;
    feeds(&subject, "4", &patient(RED, "4")).await;
    says(&subject, "skip", "messages waiting for skip (ITI-8): 3").await;
    // However often the refused one came meanwhile.
    let mut told = listener.after(4).await;
    told.sort();
    told.dedup();
    assert_eq!(told, ["A04 1", "A04 2", "A04 3", "A04 4"], "the merge waits with both");
    let text = says(&subject, "skip", "refused: 1").await;
    assert!(text.contains("messages waiting for skip (ITI-8): 3"), "{text}");
    assert!(text.contains("AE 204 (unknown key identifier) at PID-3"), "{text}");
    assert!(!text.contains("MOHR"), "no word of the patient: {text}");
    let metrics = subject.admin("/metrics").await;
    assert!(metrics.contains("docshare_outbox_refused{peer=\"skip\"} 1"), "{metrics}");
    assert!(!metrics.contains("MOHR"));

    let list: Value = serde_json::from_str(&subject.admin("/receivers").await).expect("is JSON");
    let refused = &list["receivers"][0]["refused"];
    assert_eq!(refused.as_array().map(Vec::len), Some(1), "{list}");
    let message = refused[0]["message"].as_str().expect("has a name").to_owned();
    assert!(!list.to_string().contains("MOHR"), "{list}");
    let (status, words) = operate(&subject, "/receivers/skip/skip?message=9.9").await;
    assert_eq!(status, StatusCode::CONFLICT, "{words}");
    let (status, words) = operate(&subject, "/receivers/nobody/again").await;
    assert!(status == StatusCode::NOT_FOUND && words.contains("skip"), "{words}");
    listener.now(|_| Does::Takes);
    let (status, words) = operate(&subject, &format!("/receivers/skip/skip?message={message}")).await;
    assert_eq!(status, StatusCode::OK, "{words}");
    says(&subject, "skip", "knows every patient").await;
    let told = listener.events();
    assert_eq!(told[told.len() - 2..], ["A40 1 < 2", "A08 1"]);
}

#[tokio::test]
async fn a_merge_of_what_the_receiver_was_never_told_does_not_hold_up_the_survivor() {
    // It does not know whom it was not told of.
    let listener = Listener::start(|message| {
        let is_unknown = ["MRG|2^", "MRG|3b^", "MRG|4^"].iter().any(|gone| message.contains(gone));
        if is_unknown { Does::Refuses(204) } else { Does::Takes }
    })
    .await;
    let subject = Subject::start_with(settings(vec![feed("late", &listener)]));
    feeds(&subject, "1", &patient(RED, "1")).await;
    // Merged by the very first that is said of it.
    feeds(&subject, "2", &merged("2", "1")).await;
    // By one name more than before.
    feeds(&subject, "3", &patient(RED, "3")).await;
    let mut gone = merged("3", "1");
    gone["identifier"] = json!([{ "system": RED, "value": "3" }, { "system": RED, "value": "3b" }]);
    feeds(&subject, "3", &gone).await;
    // Out of use before it was ever told.
    let mut unused = patient(RED, "4");
    unused["active"] = json!(false);
    feeds(&subject, "4", &unused).await;
    feeds(&subject, "4", &merged("4", "1")).await;
    let mut revised = patient(RED, "1");
    revised["gender"] = json!("unknown");
    feeds(&subject, "1", &revised).await;
    assert_eq!(listener.after(5).await, ["A04 1", "A04 3", "A40 1 < 3", "A40 1 < 4", "A08 1"]);
    assert!(!line(&subject, "late").await.contains("refused"), "{}", line(&subject, "late").await);
}

#[tokio::test]
async fn a_receiver_that_is_busy_is_told_soon_again_and_in_order() {
    let busy = std::sync::atomic::AtomicU32::new(3);
    let listener = Listener::start(move |_| {
        let left = busy.load(std::sync::atomic::Ordering::Relaxed);
        busy.store(left.saturating_sub(1), std::sync::atomic::Ordering::Relaxed);
        if left > 0 { Does::Refuses(206) } else { Does::Takes }
    })
    .await;
    let subject = Subject::start_with(settings(vec![feed("busy", &listener)]));
    feeds(&subject, "1", &patient(RED, "1")).await;
    let mut revised = patient(RED, "1");
    revised["gender"] = json!("unknown");
    feeds(&subject, "1", &revised).await;
    assert_eq!(listener.after(5).await, ["A04 1", "A04 1", "A04 1", "A04 1", "A08 1"]);
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_comes_again_as_the_same() {
    let lost = std::sync::atomic::AtomicBool::new(true);
    let listener = Listener::start(move |_| {
        if lost.swap(false, std::sync::atomic::Ordering::Relaxed) { Does::LosesAnswer } else { Does::Takes }
    })
    .await;
    let subject = Subject::start_with(settings(vec![feed("lossy", &listener)]));
    feeds(&subject, "1", &patient(RED, "1")).await;
    listener.after(2).await;
    let heard = listener.heard();
    assert_eq!(heard[0], heard[1], "the same to the letter, MSH-10 and time included");
    says(&subject, "lossy", "knows every patient").await;
    assert_eq!(listener.heard().len(), 2);
}

#[tokio::test]
async fn a_receiver_that_is_away_or_slow_keeps_nobody_waiting() {
    let gone = Listener::start(|_| Does::Takes).await.address;
    let slow = Listener::start(|_| Does::Dawdles).await;
    let quick = Listener::start(|_| Does::Takes).await;
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let mut away = feed("away", &quick);
    away.address = nowhere.local_addr().expect("is bound").to_string();
    drop(nowhere);
    assert_ne!(away.address, gone.to_string());
    let subject =
        Subject::start_with(settings(vec![away.clone(), feed("slow", &slow), feed("quick", &quick)]));
    for number in ["1", "2", "3"] {
        feeds(&subject, number, &patient(RED, number)).await;
    }
    assert_eq!(quick.after(3).await, ["A04 1", "A04 2", "A04 3"]);
    let text = says(&subject, "away", "messages waiting for away (ITI-8): 3").await;
    assert!(text.contains("it is away"), "{text}");
    assert_eq!(slow.after(3).await, ["A04 1", "A04 2", "A04 3"]);
    let back = Listener::start_at(&away.address, |_| Does::Takes).await;
    assert_eq!(back.after(3).await, ["A04 1", "A04 2", "A04 3"]);
}

#[tokio::test]
async fn a_feed_waits_for_a_receiver_that_was_away_only_just() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = nowhere.local_addr().expect("is bound").to_string();
    drop(nowhere);
    let elsewhere = Listener::start(|_| Does::Takes).await;
    let mut late = feed("late", &elsewhere);
    late.address.clone_from(&address);
    let subject = Subject::start_with(settings(vec![late]));
    feeds(&subject, "1", &patient(RED, "1")).await;
    let back = Listener::start_at(&address, |_| Does::Takes).await;
    feeds(&subject, "2", &patient(RED, "2")).await;
    assert_eq!(back.events(), ["A04 1", "A04 2"], "whoever fed it may go on with this patient at once");
}

#[tokio::test]
async fn a_new_receiver_is_told_of_everybody_once_and_a_restart_does_not_tell_again() {
    let directory = tempfile::tempdir().expect("there is room");
    let opened = || store::Store::open(&store::Options::new(directory.path())).expect("can be opened");
    let start = |settings: Settings| Subject::start_in(Setup { store: opened(), ..Setup::new(settings) });
    let subject = start(settings(Vec::new()));
    for number in ["1", "2", "3", "4"] {
        feeds(&subject, number, &patient(RED, number)).await;
    }
    feeds(&subject, "2", &merged("2", "1")).await;
    subject.fed(&patient(GREEN, "g")).await;
    subject.stop();

    let listener =
        Listener::start(|message| if message.contains("|||4^") { Does::Refuses(101) } else { Does::Takes })
            .await;
    let with = settings(vec![feed("late", &listener)]);
    let subject = start(with.clone());
    let mut told = listener.after(3).await;
    told.truncate(3);
    told.sort();
    assert_eq!(told, ["A04 1", "A04 3", "A04 4"], "whom the merged one names, a new receiver never knew");
    feeds(&subject, "5", &patient(RED, "5")).await;
    let mut revised = patient(RED, "4");
    revised["birthDate"] = json!("1999-09-09");
    feeds(&subject, "4", &revised).await;
    says(&subject, "late", "refused: 1").await;
    subject.stop();

    listener.now(|_| Does::Takes);
    let before = listener.heard().len();
    let subject = start(with.clone());
    let told = listener.after(before + 2).await[before..].to_vec();
    assert_eq!(
        told,
        ["A04 4", "A08 4"],
        "who was refused is told first, as things stand, then what came later"
    );
    assert!(listener.heard()[before].contains("19990909"), "{}", listener.heard()[before]);
    says(&subject, "late", "knows every patient").await;

    let before = listener.heard().len();
    let (status, words) = operate(&subject, "/receivers/late/again").await;
    assert_eq!(status, StatusCode::OK, "{words}");
    let mut told = listener.after(before + 6).await[before..].to_vec();
    told.sort();
    assert_eq!(told, ["A04 1", "A04 1", "A04 3", "A04 4", "A04 5", "A40 1 < 2"], "a merge is told again too");
    says(&subject, "late", "knows every patient").await;
    subject.stop();

    let other = Listener::start(|_| Does::Takes).await;
    let green = Receiver { domains: vec!["GREEN".to_owned()], ..feed("late", &other) };
    let _subject = start(settings(vec![green]));
    assert_eq!(other.after(1).await, ["A04 g"], "other domains than before: told of everybody again");
}

#[tokio::test]
async fn what_iti_8_has_no_word_for_is_told_to_the_operator() {
    let listener = Listener::start(|_| Does::Takes).await;
    let subject = Subject::start_with(settings(vec![feed("plain", &listener)]));
    feeds(&subject, "1", &patient(RED, "1")).await;
    feeds(&subject, "2", &patient(RED, "2")).await;
    feeds(&subject, "2", &merged("2", "1")).await;
    // The receiver does not revive an identifier, which is no reason to come again.
    listener.now(|_| Does::Refuses(204));
    feeds(&subject, "2", &patient(RED, "2")).await;
    assert_eq!(listener.after(4).await, ["A04 1", "A04 2", "A40 1 < 2", "A04 2"]);
    let text = says(&subject, "plain", "changes ITI-8 has no word for").await;
    assert!(text.ends_with("by hand: 1"), "{text}");
    let list: Value = serde_json::from_str(&subject.admin("/receivers").await).expect("is JSON");
    assert_eq!(list["receivers"][0]["untold"]["latest"][0]["what"], "a merge was undone", "{list}");
    let (status, words) = operate(&subject, "/receivers/plain/settled").await;
    assert!(status == StatusCode::OK && words.contains('1'), "{words}");
    assert!(!line(&subject, "plain").await.contains("by hand"));
}

#[tokio::test]
async fn that_an_identifier_no_longer_names_a_patient_is_told_to_the_operator() {
    let (both, red_only) = (Listener::start(|_| Does::Takes).await, Listener::start(|_| Does::Takes).await);
    let wide = Receiver { domains: vec!["RED".into(), "GREEN".into()], ..feed("wide", &both) };
    let subject = Subject::start_with(settings(vec![wide, feed("narrow", &red_only)]));
    let mut green = patient(GREEN, "g");
    green["identifier"] = json!([{ "system": GREEN, "value": "g" }, { "system": RED, "value": "r" }]);
    let green_id = subject.fed(&green).await;
    // Its own source speaks of r: that record has the name from now on.
    subject.fed(&patient(RED, "r")).await;
    assert_eq!(both.after(3).await, ["A04 g,r", "A08 g", "A04 r"]);
    assert_eq!(red_only.after(2).await, ["A04 r", "A04 r"]);
    let text = says(&subject, "wide", "changes ITI-8 has no word for").await;
    assert!(text.ends_with("by hand: 1"), "{text}");
    let untold = |list: &str, at: usize| {
        let list: Value = serde_json::from_str(list).expect("is JSON");
        list["receivers"][at]["untold"]["latest"][0].clone()
    };
    let told = untold(&subject.admin("/receivers").await, 0);
    assert_eq!(told["patient"], green_id.as_str(), "{told}");
    assert_eq!(told["what"], "a patient no longer has one of its identifiers", "{told}");
    // To who knows red identifiers only, the new owner of r is all there is to say.
    assert!(!line(&subject, "narrow").await.contains("by hand"));

    // A source that drops one of its own.
    let mut two = patient(RED, "2");
    two["identifier"] = json!([{ "system": RED, "value": "2" }, { "system": RED, "value": "2b" }]);
    feeds(&subject, "2", &two).await;
    feeds(&subject, "2", &patient(RED, "2")).await;
    says(&subject, "narrow", "by hand: 1").await;
    // And one whose name of that domain was all the receiver knew.
    green["identifier"] = json!([{ "system": GREEN, "value": "h" }, { "system": RED, "value": "q" }]);
    subject.fed(&green).await;
    assert_eq!(subject.feed(GREEN, "h", &patient(GREEN, "h")).await.status, StatusCode::OK);
    says(&subject, "narrow", "by hand: 2").await;
    says(&subject, "wide", "by hand: 3").await;
}

#[tokio::test]
async fn consumers_of_cross_references_are_told_by_which_names_a_person_goes() {
    let listener = Listener::start(|_| Does::Takes).await;
    let receiver = Receiver {
        domains: Vec::new(),
        ..Receiver { protocol: Protocol::Iti10, ..feed("names", &listener) }
    };
    let subject = Subject::start_with(settings(vec![receiver]));
    subject.fed(&patient(GREEN, "g")).await;
    assert_eq!(listener.after(1).await, ["A31 g"]);
    let mut both = patient(RED, "r");
    both["identifier"] = json!([{ "system": RED, "value": "r" }, { "system": GREEN, "value": "g" }]);
    subject.fed(&both).await;
    let mut names = Vec::new();
    for _ in 0..500 {
        names = listener.events();
        if names.iter().any(|event| event == "A31 g,r" || event == "A31 r,g") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(names.iter().any(|event| event == "A31 g,r" || event == "A31 r,g"), "{names:?}");
    let heard = listener.heard();
    let message = heard.last().expect("heard one");
    assert!(message.contains("||ADT^A31^ADT_A05|") && message.contains("|P|2.5|"), "{message}");
    assert!(message.contains("|| \rPV1||N\r"), "PID-5 is a single space: {message}");
    assert!(!message.contains("MOHR"), "{message}");
}

#[tokio::test]
async fn a_consumer_of_pmir_is_told_by_messages() {
    let (consumer, told) = crate::consumer::start();
    let receiver = Receiver {
        url: format!("{}/fhir/$process-message", consumer.host),
        sending_application: "https://identity.example/fhir".to_owned(),
        ..Receiver::new("mobile", Protocol::Iti93)
    };
    let subject = Subject::start_with(settings(vec![receiver]));
    let first = subject.fed(&patient(RED, "1")).await;
    let second = subject.fed(&patient(RED, "2")).await;
    feeds(&subject, "2", &merged("2", "1")).await;
    feeds(&subject, "2", &patient(RED, "2")).await;
    let messages = told.after(4).await;
    let entry = |message: &Value| message["entry"][1]["resource"]["entry"][0].clone();
    let methods: Vec<Value> =
        messages.iter().map(|message| entry(message)["request"]["method"].clone()).collect();
    assert_eq!(methods, ["POST", "POST", "PUT", "PUT"]);
    let header = &messages[0]["entry"][0]["resource"];
    assert_eq!(header["eventUri"], "urn:ihe:iti:pmir:2019:patient-feed");
    assert_eq!(header["focus"][0]["reference"], messages[0]["entry"][1]["fullUrl"]);
    assert_eq!(header["source"]["endpoint"], "https://identity.example/fhir");
    assert_eq!(entry(&messages[0])["resource"]["identifier"][0]["value"], "1");
    let gone = entry(&messages[2]);
    assert_eq!(gone["fullUrl"], format!("https://identity.example/fhir/Patient/{second}"));
    assert_eq!(gone["resource"]["active"], false);
    let survivor = format!("https://identity.example/fhir/Patient/{first}");
    assert_eq!(gone["resource"]["link"][0]["other"]["reference"], survivor);
    assert_eq!(entry(&messages[3])["resource"]["active"], true, "the merge is undone");
    says(&subject, "mobile", "mobile (ITI-93) knows every patient").await;

    told.refuse(StatusCode::UNPROCESSABLE_ENTITY);
    feeds(&subject, "3", &patient(RED, "3")).await;
    let text = says(&subject, "mobile", "refused: 1").await;
    assert!(text.contains("HTTP 422 business-rule"), "{text}");
}

#[tokio::test]
async fn a_receiver_that_cannot_work_is_refused_at_the_start() {
    let receiver = Receiver::new("east", Protocol::Iti8);
    let refused = std::panic::catch_unwind(|| Subject::start_with(settings(vec![receiver])));
    let words = refused.err().and_then(|panic| panic.downcast::<String>().ok()).expect("it does not start");
    assert!(words.contains("receivers[0] (east): address"), "{words}");
}
