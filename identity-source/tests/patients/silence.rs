//! Receivers that do not answer: to one message, or to all.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::listener::{Does, Listener};
use crate::receivers::{feed, feeds, line, merged, operate, patient, says, settings};
use crate::subject::{GREEN, RED, Subject};

/// The message that no answer comes to, as operators see it.
async fn refused(subject: &Subject) -> Value {
    let list: Value = serde_json::from_str(&subject.admin("/receivers").await).expect("is JSON");
    let refused = list["receivers"][0]["refused"].as_array().expect("is a list").clone();
    assert_eq!(refused.len(), 1, "{list}");
    refused[0].clone()
}

fn is_first_of_1(message: &str) -> bool {
    message.contains("ADT^A04") && message.contains("|||1^")
}

#[tokio::test]
async fn a_message_that_is_never_answered_holds_up_its_patient_only() {
    for silent in [Does::LosesAnswer, Does::Babbles] {
        let listener =
            Listener::start(move |message| if is_first_of_1(message) { silent } else { Does::Takes }).await;
        let subject = Subject::start_with(settings(vec![feed("mute", &listener)]));
        feeds(&subject, "1", &patient(RED, "1")).await;
        let text = says(&subject, "mute", "it is away").await;
        assert!(!text.contains("refused"), "one message alone says nothing of the receiver: {text}");
        listener.after(4).await;
        let list: Value = serde_json::from_str(&subject.admin("/receivers").await).expect("is JSON");
        let unanswered = &list["receivers"][0]["unanswered"][0];
        assert!(unanswered["answer"].as_str().is_some_and(|text| text.starts_with("none: ")), "{list}");
        feeds(&subject, "2", &patient(RED, "2")).await;
        feeds(&subject, "3", &patient(RED, "3")).await;
        feeds(&subject, "2", &merged("2", "1")).await;
        let text = says(&subject, "mute", "refused: 1").await;
        assert!(text.contains("messages waiting for mute (ITI-8): 2"), "the merge waits with it: {text}");
        assert!(text.contains("no answer that can be understood"), "{text}");
        assert!(!text.contains("it is away"), "it answers others: {text}");
        let mut others = listener.events();
        others.retain(|event| event != "A04 1");
        assert_eq!(others, ["A04 2", "A04 3"]);
        // It stays so when it is tried again, and nobody waits for that.
        feeds(&subject, "4", &patient(RED, "4")).await;
        assert!(listener.events().contains(&"A04 4".to_owned()));

        let message = refused(&subject).await["message"].as_str().expect("has a name").to_owned();
        let (status, words) = operate(&subject, &format!("/receivers/mute/skip?message={message}")).await;
        assert!(status.is_success(), "{words}");
        says(&subject, "mute", "knows every patient").await;
        assert_eq!(listener.events().last().map(String::as_str), Some("A40 1 < 2"));
    }
}

#[tokio::test]
async fn a_receiver_that_answers_nobody_is_away_and_is_told_everything_later() {
    let listener = Listener::start(|_| Does::LosesAnswer).await;
    let subject = Subject::start_with(settings(vec![feed("dead", &listener)]));
    for number in ["1", "2", "3"] {
        feeds(&subject, number, &patient(RED, number)).await;
    }
    let mut revised = patient(RED, "1");
    revised["birthDate"] = json!("1960-02-03");
    feeds(&subject, "1", &revised).await;
    feeds(&subject, "2", &merged("2", "1")).await;
    listener.after(12).await;
    let text = line(&subject, "dead").await;
    assert!(text.contains("it is away") && !text.contains("refused"), "{text}");
    assert!(text.contains("messages waiting for dead (ITI-8): 5"), "{text}");
    let before = listener.heard().len();
    listener.now(|_| Does::Takes);
    says(&subject, "dead", "knows every patient").await;
    let told = listener.events()[before..].to_vec();
    let at = |event: &str| told.iter().position(|told| told == event).expect("was told");
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(at("A04 1") < at("A08 1") && at("A08 1") < at("A40 1 < 2"), "{told:?}");
    assert!(at("A04 2") < at("A40 1 < 2"), "{told:?}");
}

#[tokio::test]
async fn a_new_receiver_that_never_answers_to_one_patient_is_told_of_the_others() {
    let directory = tempfile::tempdir().expect("there is room");
    let start = |receivers| {
        let store = store::Store::open(&store::Options::new(directory.path())).expect("can be opened");
        Subject::start_in(actor::Setup { store, ..actor::Setup::new(settings(receivers)) })
    };
    let subject = start(Vec::new());
    for number in ["1", "2", "3"] {
        feeds(&subject, number, &patient(RED, number)).await;
    }
    subject.stop();
    let listener =
        Listener::start(|message| if message.contains("|||2^") { Does::LosesAnswer } else { Does::Takes })
            .await;
    let subject = start(vec![feed("new", &listener)]);
    let text = says(&subject, "new", "refused: 1").await;
    assert!(text.contains("messages waiting for new (ITI-8): 1"), "{text}");
    assert!(listener.events().contains(&"A04 3".to_owned()), "{:?}", listener.events());
}

#[tokio::test]
async fn feeds_do_not_hurry_a_receiver_that_is_away() {
    let listener = Listener::start(|_| Does::LosesAnswer).await;
    let subject = Subject::start_with(settings(vec![feed("tired", &listener)]));
    let began = Instant::now();
    let mut number = 0;
    while began.elapsed() < Duration::from_millis(1_500) {
        number += 1;
        let value = number.to_string();
        // Of a domain it is told nothing of too.
        feeds(&subject, &value, &patient(RED, &value)).await;
        subject.fed(&patient(GREEN, &value)).await;
    }
    let tries = listener.heard().len();
    // A round may try one message more than the one that fell silent.
    let most = 2 * (began.elapsed().as_millis() / 200 + 1);
    assert!(number > 10 && tries as u128 <= most, "{tries} tries in {:?}, {number} feeds", began.elapsed());
    let asked = Instant::now();
    let (status, words) = operate(&subject, "/receivers/tired/settled").await;
    assert!(status.is_success() && asked.elapsed() < Duration::from_secs(1), "{words}");
}
