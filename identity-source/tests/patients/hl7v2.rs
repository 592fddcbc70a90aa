//! Feeds and questions in HL7 v2: ITI-8, ITI-9, ITI-21.

use hl7v2::Code;
use identity_source::{AuthoritySettings, Domain, Settings};
use mllp::{Answer, Client};
use serde_json::{Value, json};

use crate::subject::Subject;

fn authority(namespace: &str, oid: &str, senders: &[&str]) -> AuthoritySettings {
    AuthoritySettings {
        namespace: namespace.to_owned(),
        oid: oid.to_owned(),
        senders: senders.iter().map(|one| (*one).to_owned()).collect(),
        ..AuthoritySettings::default()
    }
}

/// Red, whoever feeds it; blue, which the blue hospital feeds; and a national number nobody feeds here.
fn start() -> Subject {
    Subject::start_with(settings())
}

fn settings() -> Settings {
    let authority = vec![
        authority("RED", "1.2.1", &[]),
        authority("BLUE", "1.2.2", &["ADT|BLUE"]),
        authority("NID", "1.2.3", &["NOBODY|"]),
    ];
    let listening = mllp::Settings { listen: "127.0.0.1:0".to_owned(), ..mllp::Settings::default() };
    Settings { domain: Domain { authority, ..Domain::default() }, mllp: listening, ..Settings::default() }
}

fn adt(event: &str, segments: &str) -> String {
    format!(
        "MSH|^~\\&|ADT|HOSPITAL|MPI|DOMAIN|20260101||ADT^{event}|m1|P|2.3.1\rEVN|{event}\r{segments}\rPV1||O\r"
    )
}

fn qbp(event: &str, segments: &str) -> String {
    format!("MSH|^~\\&|ASKER|HOSPITAL|MPI|DOMAIN|20260101||QBP^{event}^QBP_Q21|q1|P|2.5\r{segments}\r")
}

fn pix(identifier: &str, domains: &str) -> String {
    qbp("Q23", &format!("QPD|IHE PIX Query|T1|{identifier}|{domains}\rRCP|I"))
}

fn pdq(criteria: &str, domains: &str, rest: &str) -> String {
    qbp("Q22", &format!("QPD|IHE PDQ Query|T1|{criteria}|||||{domains}\r{rest}"))
}

async fn ask(line: &Client, message: &str) -> Answer {
    line.send(message.as_bytes()).await.unwrap_or_else(|error| panic!("{error}: {message}"))
}

async fn accepted(line: &Client, message: &str) -> Answer {
    let answer = ask(line, message).await;
    assert_eq!(answer.code, Code::Accept, "{} to {message}", answer.text);
    answer
}

/// Code, ERR-2 and ERR-3.1 of every error, in the form of 2.5.
async fn refused(line: &Client, message: &str) -> (Code, Vec<(String, String)>) {
    let answer = ask(line, message).await;
    let errors = segments(&answer, "ERR");
    let told =
        errors.iter().map(|err| (err[2].clone(), err[3].split('^').next().unwrap_or_default().to_owned()));
    (answer.code, told.collect())
}

/// The fields of all segments of a name.
fn segments(answer: &Answer, name: &str) -> Vec<Vec<String>> {
    let all = answer.message.segments().filter(|segment| segment.name == name);
    all.map(|segment| segment.fields().map(str::to_owned).collect()).collect()
}

/// PID-3 of each patient that is answered, and QAK-2.
fn found(answer: &Answer) -> (String, Vec<String>) {
    let status = answer.message.field("QAK", 2).raw().to_owned();
    (status, segments(answer, "PID").iter().map(|pid| pid[3].clone()).collect())
}

async fn patient(subject: &Subject, system: &str, value: &str) -> Value {
    let bundle = subject.get(&format!("/Patient?identifier={system}%7C{value}")).await.json();
    bundle["entry"][0]["resource"].clone()
}

const IDA: &str = "PID|||7^^^RED||MOHR^IDA^MARIA^^^^L|BERGER|19580130|F|||1 Main St^^Newark^NJ^30293||^PRN^PH^^^409^30495|||||A-1^^^RED";

#[tokio::test]
async fn a_feed_is_read_and_what_it_leaves_empty_stays() {
    let subject = start();
    let line = subject.line();
    accepted(&line, &adt("A01", IDA)).await;
    let first = patient(&subject, "urn:oid:1.2.1", "7").await;
    assert_eq!(first["name"][0]["family"], "MOHR");
    assert_eq!(first["address"][0]["city"], "Newark");
    let told = accepted(&line, &adt("A01", IDA)).await;
    assert_eq!(told.text, "known already; nothing had to be changed");
    accepted(&line, &adt("A08", "PID|||7^^^RED||MOHR^IDA^^^^^L|||\"\"|||||||||||||8^^^RED")).await;
    let then = patient(&subject, "urn:oid:1.2.1", "7").await;
    assert_eq!((&then["id"], then["meta"]["versionId"].as_str()), (&first["id"], Some("2")));
    assert_eq!(then["name"][0]["given"], json!(["IDA"]));
    assert_eq!((&then["gender"], &then["birthDate"]), (&Value::Null, &first["birthDate"]));
    assert_eq!(then["address"], first["address"]);
    assert_eq!(then["contained"][0]["identifier"][0]["value"], "8");
}

#[tokio::test]
async fn a_feed_of_fhir_and_one_of_hl7_v2_tell_of_one_patient() {
    let subject = start();
    let body = json!({
        "resourceType": "Patient",
        "identifier": [{ "system": "urn:oid:1.2.1", "value": "7" }],
        "name": [{ "family": "Mohr" }],
        "photo": [{ "title": "of her" }]
    });
    let id = subject.fed(&body).await;
    accepted(&subject.line(), &adt("A31", "PID|||7^^^&1.2.1&ISO||||19580130")).await;
    let then = patient(&subject, "urn:oid:1.2.1", "7").await;
    assert_eq!((then["id"].as_str(), &then["birthDate"]), (Some(id.as_str()), &json!("1958-01-30")));
    assert_eq!((&then["photo"], &then["name"]), (&body["photo"], &body["name"]));
}

#[tokio::test]
async fn a_sender_feeds_its_own_domains_only() {
    let subject = start();
    let line = subject.line();
    let foreign = adt("A01", "PID|||5^^^BLUE||Blue^Bob");
    let answer = ask(&line, &foreign).await;
    assert_eq!(
        (answer.code, answer.text.contains("ADT|HOSPITAL is no sender of BLUE&1.2.2&ISO")),
        (Code::Reject, true),
        "{}",
        answer.text
    );
    accepted(&line, &foreign.replacen("|HOSPITAL|", "|BLUE|", 1)).await;
    // What it knows of another domain it may state.
    accepted(&line, &adt("A01", "PID|||N-1^^^NID~8^^^RED||Red^Rob")).await;
    let rob = patient(&subject, "urn:oid:1.2.1", "8").await;
    assert_eq!(rob["identifier"][0]["value"], "N-1");
    // Merges too.
    accepted(&line, &adt("A01", "PID|||6^^^BLUE||Blue^Bill").replacen("|HOSPITAL|", "|BLUE|", 1)).await;
    let merge = adt("A40", "PID|||5^^^BLUE\rMRG|6^^^BLUE");
    assert_eq!(ask(&line, &merge).await.code, Code::Reject);
    accepted(&line, &merge.replacen("|HOSPITAL|", "|BLUE|", 1)).await;
}

#[tokio::test]
async fn the_audit_tells_of_both_who_are_merged_and_of_both_who_are_linked() {
    let setup = actor::Setup::new(settings());
    let store = setup.store.clone();
    let subject = Subject::start_in(setup);
    let line = subject.line();
    let pid = |id: &str| format!("PID|||{id}||Zimt^Zora||19610223|F|||Weg 12^^Xanten^^46509||02801-998877");
    accepted(&line, &adt("A04", &pid("1^^^RED"))).await;
    accepted(&line, &adt("A04", "PID|||2^^^RED||Other^Olga")).await;
    accepted(&line, &adt("A40", "PID|||1^^^RED\rMRG|2^^^RED")).await;
    accepted(&line, &adt("A04", &pid("3^^^BLUE")).replacen("|HOSPITAL|", "|BLUE|", 1)).await;
    let id = |system: &'static str, value: &'static str| {
        let subject = &subject;
        async move { patient(subject, system, value).await["id"].clone() }
    };
    let (kept, gone) = (id("urn:oid:1.2.1", "1").await, id("urn:oid:1.2.1", "2").await);
    let linked = id("urn:oid:1.2.2", "3").await;
    let lines = store.audited(0, 100).expect("can be read");
    let events: Vec<Value> =
        lines.iter().map(|line| serde_json::from_slice(&line.record).expect("is JSON")).collect();
    let of = |transaction: &str, id: &Value| -> Vec<&Value> {
        let is = |event: &&Value| event["transaction"] == transaction && event["patient"] == *id;
        events.iter().filter(is).collect()
    };
    let actions =
        |id: &Value| -> Value { of("ITI-8", id).iter().map(|event| event["action"].clone()).collect() };
    assert_eq!((actions(&kept), actions(&gone)), (json!(["create", "update"]), json!(["create", "delete"])));
    let by_linker = of("link", &linked);
    let entities = [&linked, &kept].map(|id| format!("Patient/{}", id.as_str().unwrap_or_default()));
    assert_eq!(by_linker.len(), 1, "{events:?}");
    assert_eq!(by_linker[0]["entities"], json!(entities));
}

#[tokio::test]
async fn a_merge_is_final_within_its_domain_and_can_be_told_twice() {
    let subject = start();
    let line = subject.line();
    for id in ["1", "2", "3"] {
        accepted(&line, &adt("A04", &format!("PID|||{id}^^^RED||Red^Rob"))).await;
    }
    let merge = |gone: &str, kept: &str| adt("A40", &format!("PID|||{kept}\rMRG|{gone}"));
    accepted(&line, &merge("1^^^RED", "N^^^NID~2^^^RED")).await;
    let again = accepted(&line, &merge("1^^^RED", "2^^^RED")).await;
    assert_eq!(again.text, "known already; nothing had to be changed");
    let gone = patient(&subject, "urn:oid:1.2.1", "1").await;
    assert_eq!((&gone["active"], &gone["link"][0]["type"]), (&json!(false), &json!("replaced-by")));
    for (message, code) in [
        (merge("2^^^RED", "2^^^RED"), Code::Error),
        (merge("9^^^RED", "2^^^RED"), Code::Error),
        (merge("2^^^RED", "9^^^RED"), Code::Error),
        (merge("1^^^RED", "3^^^RED"), Code::Error),
        (merge("2^^^RED", "5^^^BLUE"), Code::Error),
        (merge("2", "3^^^RED"), Code::Error),
        (merge("2^^^GREY", "3^^^RED"), Code::Reject),
        (adt("A40", "PID|||2^^^RED"), Code::Error),
        (adt("A08", "PID|||1^^^RED||Other^Name"), Code::Error),
    ] {
        assert_eq!(ask(&line, &message).await.code, code, "{message}");
    }
    assert_eq!(patient(&subject, "urn:oid:1.2.1", "2").await["meta"]["versionId"], "1");
    accepted(&line, &merge("2^^^RED", "3^^^RED")).await;
}

#[tokio::test]
async fn a_merge_of_several_is_done_for_all_or_for_none() {
    let subject = start();
    let line = subject.line();
    for ids in ["1^^^RED", "1b^^^RED~11^^^RED", "2^^^RED", "3^^^RED", "4^^^RED"] {
        accepted(&line, &adt("A04", &format!("PID|||{ids}||Red^Rob"))).await;
    }
    let merge = |gone: &str, kept: &str| adt("A40", &format!("PID|||{kept}\rMRG|{gone}"));
    accepted(&line, &merge("3^^^RED", "4^^^RED")).await;
    // One of them was merged into another one before.
    assert_eq!(ask(&line, &merge("2^^^RED~3^^^RED", "1^^^RED")).await.code, Code::Error);
    assert_eq!(patient(&subject, "urn:oid:1.2.1", "2").await["meta"]["versionId"], "1", "nothing was done");
    // Two patients, one of them by two of its numbers, and one number nobody ever told of.
    accepted(&line, &merge("2^^^RED~1b^^^RED~11^^^RED~nobody^^^RED", "1^^^RED")).await;
    for gone in ["2", "1b"] {
        assert_eq!(patient(&subject, "urn:oid:1.2.1", gone).await["active"], false, "{gone}");
    }
}

#[tokio::test]
async fn what_cannot_be_fed_is_refused_with_its_place() {
    let subject = start();
    let line = subject.line();
    for (message, code, errors) in [
        (adt("A01", "PID|||7"), Code::Error, "101"),
        (adt("A01", "PID|||7^^^&&"), Code::Error, "101"),
        (adt("A01", "PID|||7^^^RED&1.2.2&ISO"), Code::Error, "204"),
        (adt("A01", "PID|||7^^^GREY"), Code::Reject, "204"),
        (adt("A01", "PID|||7^^^&9.9&ISO"), Code::Reject, "204"),
        (adt("A01", "PID|||"), Code::Error, "101"),
        (adt("A01", "EVN|x"), Code::Error, "100"),
        (adt("A99", "PID|||7^^^RED"), Code::Reject, "201"),
        (adt("A01", &format!("PID|||{}^^^RED", "7".repeat(300))), Code::Error, "102"),
        (adt("A01", &format!("PID|||7^^^RED||{}", "A".repeat(900_000))), Code::Error, "102"),
        (adt("A01", &format!("PID|||7^^^RED{}", "|".repeat(300))), Code::Error, "102"),
        (qbp("Q24", "QPD|x|T1"), Code::Reject, "200"),
    ] {
        let message = message.replacen("|2.3.1\r", "|2.5\r", 1);
        let (told, all) = refused(&line, &message).await;
        let conditions: Vec<&str> = all.iter().map(|(_, condition)| condition.as_str()).collect();
        assert_eq!(
            (told, conditions.as_slice()),
            (code, [errors].as_slice()),
            "{}",
            &message[..message.len().min(200)]
        );
    }
    assert!(patient(&subject, "urn:oid:1.2.1", "7").await.is_null());
}

#[tokio::test]
async fn pix_query_case_1_others_are_told_and_the_one_asked_by_is_not() {
    let subject = start();
    let line = subject.line();
    accepted(&line, &adt("A01", "PID|||7^^^RED~8^^^RED~N-1^^^NID||Red^Rob")).await;
    let answer = accepted(&line, &pix("7^^^RED", "")).await;
    assert_eq!(answer.message.field("MSH", 9).raw(), "RSP^K23^RSP_K23");
    assert_eq!(found(&answer), ("OK".to_owned(), vec!["8^^^RED&1.2.1&ISO~N-1^^^NID&1.2.3&ISO".to_owned()]));
    let pid = &segments(&answer, "PID")[0];
    assert_eq!(pid[5], "~^^^^^^S");
    assert_eq!(answer.message.field("QAK", 1).raw(), "T1");
    assert_eq!(answer.message.fields("QPD"), "IHE PIX Query|T1|7^^^RED|");
    let some = accepted(&line, &pix("7^^^RED&1.2.1&ISO", "^^^NID")).await;
    assert_eq!(found(&some).1, ["N-1^^^NID&1.2.3&ISO"]);
}

#[tokio::test]
async fn pix_query_case_2_nobody_else_is_no_error() {
    let subject = start();
    let line = subject.line();
    accepted(&line, &adt("A01", "PID|||7^^^RED||Red^Rob")).await;
    assert_eq!(found(&accepted(&line, &pix("7^^^RED", "")).await), ("NF".to_owned(), vec![]));
    assert_eq!(found(&accepted(&line, &pix("7^^^RED", "^^^BLUE")).await), ("NF".to_owned(), vec![]));
}

#[tokio::test]
async fn pix_query_cases_3_to_5_unknown_names_are_told_at_their_places() {
    let subject = start();
    let line = subject.line();
    accepted(&line, &adt("A01", "PID|||7^^^RED||Red^Rob")).await;
    for (message, places) in [
        (pix("9^^^RED", ""), vec!["QPD^1^3^1^1"]),
        (pix("7^^^GREY", ""), vec!["QPD^1^3^1^4"]),
        (pix("7^^^&9.9&ISO", "^^^GREY"), vec!["QPD^1^3^1^4"]),
        (pix("9^^^RED", "^^^GREY~^^^BLUE~^^^&9.9&ISO"), vec!["QPD^1^4^1", "QPD^1^4^3"]),
    ] {
        let (code, all) = refused(&line, &message).await;
        let expected: Vec<_> = places.into_iter().map(|place| (place.to_owned(), "204".to_owned())).collect();
        assert_eq!((code, all), (Code::Error, expected), "{message}");
        assert_eq!(found(&ask(&line, &message).await), ("AE".to_owned(), vec![]));
    }
}

#[tokio::test]
async fn pix_query_case_6_identifiers_of_one_domain_stand_together() {
    let subject = start();
    let line = subject.line();
    accepted(&line, &adt("A01", "PID|||7^^^RED~N-1^^^NID~8^^^RED~N-2^^^NID||Red^Rob")).await;
    let answer = accepted(&line, &pix("7^^^RED", "")).await;
    assert_eq!(found(&answer).1, ["8^^^RED&1.2.1&ISO~N-1^^^NID&1.2.3&ISO~N-2^^^NID&1.2.3&ISO"]);
}

#[tokio::test]
async fn pix_query_of_a_merged_patient_finds_nobody() {
    let subject = start();
    let line = subject.line();
    for id in ["1", "2"] {
        accepted(&line, &adt("A01", &format!("PID|||{id}^^^RED||Red^Rob"))).await;
    }
    accepted(&line, &adt("A40", "PID|||2^^^RED\rMRG|1^^^RED")).await;
    assert_eq!(refused(&line, &pix("1^^^RED", "")).await.1, [("QPD^1^3^1^1".to_owned(), "204".to_owned())]);
}

/// Ida, her son, and two who are called like her.
async fn family(line: &Client) {
    accepted(line, &adt("A01", IDA)).await;
    accepted(line, &adt("A01", "PID|||8^^^RED||||20141001|M|||||||||||||7^^^RED")).await;
    accepted(line, &adt("A01", "PID|||9^^^RED~N-9^^^NID||Möhr^Ina^^^^^L||1958|F")).await;
    accepted(line, &adt("A01", "PID|||10^^^RED||Mohrs^Max^^^^^L||19600101|M")).await;
}

#[tokio::test]
async fn demographics_are_asked_for_in_every_field() {
    let subject = start();
    let line = subject.line();
    family(&line).await;
    for (criteria, ids) in [
        ("@PID.3.1^7~@PID.3.4.1^RED", vec!["7"]),
        ("@PID.3.1^7~@PID.3.4.2^1.2.1~@PID.3.4.3^ISO", vec!["7"]),
        ("@PID.3.1^77~@PID.3.4.1^RED", vec![]),
        ("@PID.3.4.1^NID", vec!["9"]),
        ("@PID.5.1^mohr", vec!["7", "9"]),
        ("@PID.5.1.1^mohr*", vec!["7", "9", "10"]),
        ("@PID.5.1^M*R", vec!["7", "9"]),
        ("@PID.5.1^mohr~@PID.5.2^I*", vec!["7", "9"]),
        ("@PID.5.1^mohr~@PID.5.2^ida", vec!["7"]),
        ("@PID.5.2^ida~@PID.5.3^maria", vec!["7"]),
        ("@PID.7^1958", vec!["7", "9"]),
        ("@PID.7^19580130", vec!["7"]),
        ("@PID.8^M", vec!["8", "10"]),
        ("@PID.7^1958~@PID.8^M", vec![]),
        ("@PID.11.1^1 main st~@PID.11.3^newark~@PID.11.4^NJ~@PID.11.5^30293", vec!["7"]),
        ("@PID.13.1^40930495", vec!["7"]),
        ("@PID.18.1^A-1", vec!["7"]),
        ("@PID.18.1^A-1~@PID.18.4.1^BLUE", vec![]),
        ("@PID.21.1^7~@PID.21.4.1^RED", vec!["8"]),
        ("@PID.6.1^BERGER", vec!["7"]),
        ("@PID.6.1^MOHR~@PID.6.2^IDA", vec!["8"]),
        ("@PID.6.1^MOHR~@PID.6.2^EVA", vec![]),
    ] {
        let answer = accepted(&line, &pdq(criteria, "", "RCP|I")).await;
        let (status, mut all) = found(&answer);
        all.iter_mut().for_each(|one| one.truncate(one.find('^').unwrap_or_default()));
        all.sort_by_key(|id| (id.len(), id.clone()));
        let expected = if ids.is_empty() { "NF" } else { "OK" };
        assert_eq!(
            (status.as_str(), all),
            (expected, ids.iter().map(|id| (*id).to_owned()).collect()),
            "{criteria}"
        );
    }
}

#[tokio::test]
async fn a_patient_is_answered_with_what_is_known_of_it() {
    let subject = start();
    let line = subject.line();
    family(&line).await;
    let answer = accepted(&line, &pdq("@PID.3.1^7~@PID.3.4.1^RED", "", "RCP|I|5^RD")).await;
    assert_eq!(answer.message.field("MSH", 9).raw(), "RSP^K22^RSP_K21");
    let [pid] = segments(&answer, "PID").try_into().expect("one patient");
    let at = |number: usize| pid.get(number).map(String::as_str).unwrap_or_default();
    assert_eq!((at(3), at(7), at(8), at(18)), ("7^^^RED&1.2.1&ISO", "19580130", "F", "A-1^^^RED&1.2.1&ISO"));
    assert!(at(5).starts_with("MOHR^IDA^MARIA") && at(6).starts_with("BERGER"), "{pid:?}");
    assert!(at(11).starts_with("1 Main St^^Newark^NJ^30293") && at(13).contains("409 30495"), "{pid:?}");
    assert_eq!(answer.message.fields("QAK"), "T1|OK|IHE PDQ Query|1|1|0");
    let son = accepted(&line, &pdq("@PID.21.1^7~@PID.21.4^RED&1.2.1&ISO", "", "RCP|I")).await;
    assert_eq!(segments(&son, "PID")[0][21], "7^^^RED&1.2.1&ISO");
}

#[tokio::test]
async fn domains_strip_identifiers_and_leave_out_who_has_none() {
    let subject = start();
    let line = subject.line();
    family(&line).await;
    let answer = accepted(&line, &pdq("@PID.5.1^mohr", "^^^NID", "RCP|I")).await;
    assert_eq!(found(&answer), ("OK".to_owned(), vec!["N-9^^^NID&1.2.3&ISO".to_owned()]));
    assert_eq!(found(&accepted(&line, &pdq("@PID.5.1^mohr", "^^^BLUE", "RCP|I")).await).0, "NF");
    let (code, all) = refused(&line, &pdq("@PID.5.1^mohr", "^^^GREY~^^^NID~^^^&9.9&ISO", "RCP|I")).await;
    let unknown = |place: &str| (place.to_owned(), "204".to_owned());
    assert_eq!((code, all), (Code::Error, vec![unknown("QPD^1^8^1"), unknown("QPD^1^8^3")]));
}

#[tokio::test]
async fn a_question_that_cannot_be_asked_is_refused_with_its_place() {
    let subject = start();
    let line = subject.line();
    for (criteria, place, condition) in [
        ("@PID.3.1^7", "QPD^1^3^1", "101"),
        ("@PID.3.1^7~@PID.3.4.99^X", "QPD^1^3^2^1", "103"),
        ("@PID.3.1^7~@PID.3.4.1^GREY", "QPD^1^3^1", "204"),
        ("@PID.5.1^Mohr~@OBX.5^7", "QPD^1^3^2^1", "103"),
        ("@PID.7^30.1.1958", "QPD^1^3^1^2", "102"),
        ("@PID.8^W", "QPD^1^3^1^2", "102"),
        ("@PID.5.1^*", "QPD^1^3^1", "101"),
        ("", "QPD^1^3", "101"),
    ] {
        let expected = (Code::Error, vec![(place.to_owned(), condition.to_owned())]);
        assert_eq!(refused(&line, &pdq(criteria, "", "RCP|I")).await, expected, "{criteria}");
    }
}

#[tokio::test]
async fn an_answer_comes_in_increments_and_survives_a_restart_of_the_connection() {
    let subject = start();
    let line = subject.line();
    for number in 0..25 {
        accepted(&line, &adt("A01", &format!("PID|||{number}^^^RED||Many^Max{number:02}"))).await;
    }
    let question = |rest: &str| pdq("@PID.5.1^MANY", "", rest);
    let mut all = Vec::new();
    let mut rest = "RCP|I|10^RD".to_owned();
    for sizes in [10, 10, 5] {
        let line = subject.line();
        let answer = accepted(&line, &question(&rest)).await;
        let (status, mut some) = found(&answer);
        assert_eq!((status.as_str(), some.len()), ("OK", sizes));
        all.append(&mut some);
        let pointer = answer.message.field("DSC", 1).text();
        assert_eq!(pointer.is_empty(), sizes == 5);
        assert!(pointer.len() <= 180, "DSC-1 has room for 180 letters: {pointer}");
        rest = format!("RCP|I|10^RD\rDSC|{pointer}|I");
        if sizes == 10 {
            let other = pdq("@PID.5.1^OTHER", "", &rest);
            assert_eq!(refused(&line, &other).await.1, [("DSC^1^1".to_owned(), "204".to_owned())]);
        }
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 25);
    let (_, told) = refused(&line, &question("RCP|I|10^RD\rDSC|made up|I")).await;
    assert_eq!(told, [("DSC^1^1".to_owned(), "204".to_owned())]);
    let end =
        "MSH|^~\\&|ASKER|HOSPITAL|MPI|DOMAIN|20260101||QCN^J01^QCN_J01|q9|P|2.5\rQID|T1|IHE PDQ Query\r";
    assert_eq!(accepted(&line, end).await.message.field("MSH", 9).raw(), "ACK^J01^ACK");
}

#[tokio::test]
async fn who_was_merged_away_is_no_candidate() {
    let subject = start();
    let line = subject.line();
    family(&line).await;
    accepted(&line, &adt("A40", "PID|||7^^^RED\rMRG|9^^^RED")).await;
    assert_eq!(found(&accepted(&line, &pdq("@PID.5.1^mohr", "", "RCP|I")).await).1, ["7^^^RED&1.2.1&ISO"]);
}

#[tokio::test]
async fn every_message_leaves_its_record() {
    let subject = start();
    let line = subject.line();
    accepted(&line, &adt("A01", IDA)).await;
    accepted(&line, &pix("7^^^RED", "")).await;
    accepted(&line, &pdq("@PID.5.1^mohr", "", "RCP|I")).await;
    ask(&line, &adt("A01", "PID|||7^^^GREY")).await;
    let metrics = subject.admin("/metrics").await;
    for (transaction, code) in [("ITI-8", "AA"), ("ITI-9", "AA"), ("ITI-21", "AA"), ("ITI-8", "AR")] {
        let counted = metrics.lines().any(|one| {
            one.starts_with("docshare_mllp_messages_total")
                && one.contains(&format!("\"{transaction}\""))
                && one.contains(&format!("\"{code}\""))
        });
        assert!(counted, "{transaction} {code}: {metrics}");
    }
    assert!(subject.admin("/readyz?verbose").await.contains("HL7 v2 at 127.0.0.1:"));
}
