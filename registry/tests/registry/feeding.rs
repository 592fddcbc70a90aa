//! Patients told by ADT messages over MLLP [ITI-8].

use std::net::SocketAddr;

use actor::Setup;
use registry::{Identity, Settings};
use serde_json::json;
use testkit::Provide;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{IDENTITY, World, document};

/// The affinity domain of these tests.
const OID: &str = "1.3.6.1.4.1.21367.13.20.1000";

fn settings() -> Settings {
    Settings {
        identity: Identity { url: IDENTITY.to_owned(), authorities: vec![format!("RED&{OID}&ISO")] },
        mllp: mllp::Settings { listen: "127.0.0.1:0".to_owned(), ..mllp::Settings::default() },
        ..Settings::default()
    }
}

/// A registry that knows nobody, and a connection to it.
async fn world(settings: Settings) -> (World, Line) {
    let world = World::over(Setup::new(settings));
    let line = Line::to(world.doors[0].1).await;
    (world, line)
}

/// A connection.
struct Line(TcpStream);

/// An acknowledgement: its bytes, MSA-1, and the error code, if there is one.
struct Ack {
    text: String,
    code: String,
}

impl Line {
    async fn to(address: SocketAddr) -> Line {
        Line(TcpStream::connect(address).await.expect("it listens"))
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("it reads");
    }

    async fn hear(&mut self) -> Option<Ack> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(&[0x1C, 0x0D]) {
            let mut byte = [0];
            match self.0.read(&mut byte).await {
                Ok(1) => bytes.push(byte[0]),
                Ok(_) | Err(_) => return None,
            }
        }
        let text = String::from_utf8(bytes[1..bytes.len() - 2].to_vec()).expect("it is UTF-8");
        let msa = text.split('\r').find(|line| line.starts_with("MSA")).expect("it has an MSA");
        let code = msa.split('|').nth(1).expect("it has a code").to_owned();
        Some(Ack { text, code })
    }

    async fn ask(&mut self, message: &str) -> Ack {
        self.send(&hl7v2::mllp::frame(message.as_bytes())).await;
        self.hear().await.expect("it answers")
    }

    #[track_caller]
    fn taken(ack: &Ack) {
        assert_eq!(ack.code, "AA", "{}", ack.text);
    }

    #[track_caller]
    fn refused(ack: &Ack, error: &str) {
        assert!(ack.code == "AE" && ack.text.contains(error), "{}", ack.text);
    }

    async fn add(&mut self, id: &str) {
        Line::taken(&self.ask(&adt("A01", &pid(id))).await);
    }

    async fn merge(&mut self, gone: &str, kept: &str) -> Ack {
        self.ask(&adt("A40", &format!("{}\rMRG|{gone}^^^RED", pid(kept)))).await
    }
}

fn adt(event: &str, rest: &str) -> String {
    format!(
        "MSH|^~\\&|ADT|HOSPITAL|REG|DOMAIN|20260101||ADT^{event}|{event}-1|P|2.3.1\rEVN|{event}\r{rest}\r"
    )
}

fn pid(id: &str) -> String {
    format!("PID|||{id}^^^RED&{OID}&ISO||Muster^Maja||19600618|F")
}

/// Documents of a patient who is named by an identifier.
async fn found(world: &World, id: &str) -> Vec<String> {
    world
        .get(&format!("/fhir/DocumentReference?patient.identifier=urn:oid:{OID}%7C{id}"))
        .await
        .expect(200)
        .ids()
}

fn provide(id: &str) -> Provide {
    Provide::new(&format!("Patient?identifier=urn:oid:{OID}%7C{id}")).only(document("of whom it is"))
}

/// Registers a document for an identifier.
async fn register(world: &World, id: &str) -> String {
    world.register(&provide(id)).await.expect(200).located("DocumentReference").remove(0)
}

#[tokio::test]
async fn a_patient_is_known_once_it_was_fed_and_nobody_else() {
    let (world, mut line) = world(settings()).await;
    let reply = world.register(&provide("7")).await.expect(400);
    assert!(reply.codes().contains(&"XDSUnknownPatientId".to_owned()), "{}", reply.body);
    line.add("7").await;
    let id = register(&world, "7").await;
    assert_eq!(found(&world, "7").await, [id]);
    for event in ["A01", "A04", "A05", "A08"] {
        Line::taken(&line.ask(&adt(event, &pid("7"))).await);
    }
    let foreign = line.ask(&adt("A01", "PID|||8^^^&9.9&ISO")).await;
    Line::refused(&foreign, "ERR|PID^1^3^204&Unknown key identifier&HL70357");
    // A08 of somebody who is not known changes nothing.
    Line::taken(&line.ask(&adt("A08", &pid("9"))).await);
    world.register(&provide("9")).await.expect(400);
}

#[tokio::test]
async fn the_patient_is_told_of_as_the_feed_tells() {
    let (world, mut line) = world(settings()).await;
    line.add("7").await;
    register(&world, "7").await;
    Line::taken(&line.ask(&adt("A08", &pid("7").replace("Muster", "Anders"))).await);
    let query = format!(
        "/fhir/DocumentReference?patient.identifier=urn:oid:{OID}%7C7&_include=DocumentReference:patient"
    );
    let body = world.get(&query).await.expect(200).body;
    let patients: Vec<_> = body["entry"].as_array().expect("a list").iter().collect();
    let patient =
        &patients.iter().find(|entry| entry["resource"]["resourceType"] == "Patient").expect("there");
    let patient = &patient["resource"];
    assert_eq!(patient["identifier"], json!([{ "system": format!("urn:oid:{OID}"), "value": "7" }]));
    assert_eq!(
        (&patient["name"][0]["family"], &patient["birthDate"]),
        (&json!("Anders"), &json!("1960-06-18"))
    );
    let by_name = "/fhir/DocumentReference?patient.family=anders&patient.birthdate=1960-06-18";
    assert_eq!(world.get(by_name).await.expect(200).ids().len(), 1);
}

#[tokio::test]
async fn what_belongs_to_a_merged_patient_is_the_survivors() {
    let (world, mut line) = world(settings()).await;
    for id in ["A", "B", "C"] {
        line.add(id).await;
    }
    let (of_a, of_b, of_c) =
        (register(&world, "A").await, register(&world, "B").await, register(&world, "C").await);
    Line::taken(&line.merge("A", "B").await);
    Line::taken(&line.merge("B", "C").await);
    let mut all = found(&world, "C").await;
    all.sort();
    let mut expected = [of_a.clone(), of_b, of_c];
    expected.sort();
    assert_eq!(all, expected);
    for gone in ["A", "B"] {
        assert_eq!(found(&world, gone).await, Vec::<String>::new(), "{gone}");
        let reply = world.register(&provide(gone)).await.expect(400);
        assert!(reply.codes().contains(&"XDSUnknownPatientId".to_owned()), "{}", reply.body);
        Line::refused(&line.ask(&adt("A01", &pid(gone))).await, "was merged into another one");
    }
    let read = world.get(&format!("/fhir/DocumentReference/{of_a}")).await.expect(200).body;
    assert_eq!(read["subject"]["identifier"]["value"], "C");
    // What was registered before the merge can be replaced after it.
    let replacing = document("a new one").relates_to("replaces", &format!("DocumentReference/{of_a}"));
    let patient = format!("Patient?identifier=urn:oid:{OID}%7CC");
    let provide = Provide::new(&patient).only(replacing).superseding(&of_a);
    world.register(&provide).await.expect(200);
    let current = format!("/fhir/DocumentReference?patient.identifier=urn:oid:{OID}%7CC&status=current");
    assert_eq!(world.get(&current).await.expect(200).ids().len(), 3);
    // An update that says what is shown says nothing new of the patient.
    let shown = world.get(&format!("/fhir/DocumentReference/{of_a}")).await.expect(200);
    let tag = shown.header("ETag").expect("it has a version").to_owned();
    let mut body = shown.body;
    body["description"] = json!("corrected");
    let put = world
        .request(reqwest::Method::PUT, &format!("/fhir/DocumentReference/{of_a}"))
        .header("If-Match", tag)
        .json(&body);
    world.send(put).await.expect(200);
}

#[tokio::test]
async fn a_merge_that_cannot_be_is_refused_and_changes_nothing() {
    let (world, mut line) = world(settings()).await;
    for id in ["A", "B", "C"] {
        line.add(id).await;
    }
    let of_a = register(&world, "A").await;
    Line::refused(&line.merge("A", "A").await, "205");
    Line::refused(&line.merge("A", "X").await, "204");
    Line::refused(&line.merge("X", "A").await, "204");
    let foreign = line.ask(&adt("A40", &format!("{}\rMRG|A^^^&9.9&ISO", pid("B")))).await;
    Line::refused(&foreign, "ERR|MRG^1^1^204");
    let none = line.ask(&adt("A40", &pid("B"))).await;
    Line::refused(&none, "ERR|MRG^1^^100");
    assert_eq!(found(&world, "A").await, [of_a]);
    Line::taken(&line.merge("A", "B").await);
    let again = line.merge("A", "B").await;
    assert!(again.code == "AA" && again.text.contains("merged already"), "{}", again.text);
    Line::refused(&line.merge("A", "C").await, "merged into another one before");
    Line::refused(&line.merge("C", "A").await, "204");
}

#[tokio::test]
async fn two_identifiers_of_one_patient_are_merged_too() {
    let (world, mut line) = world(settings()).await;
    let both = format!("PID|||A^^^RED&{OID}&ISO~B^^^RED");
    Line::taken(&line.ask(&adt("A01", &both)).await);
    let id = register(&world, "A").await;
    assert_eq!(found(&world, "B").await, std::slice::from_ref(&id));
    Line::taken(&line.merge("B", "A").await);
    assert_eq!((found(&world, "A").await, found(&world, "B").await), (vec![id], Vec::new()));
    world.register(&provide("B")).await.expect(400);
    let again = line.merge("B", "A").await;
    assert!(again.text.contains("merged already"), "{}", again.text);
}

/// The same, where the document itself names the patient by the identifier.
async fn named(world: &World, id: &str) -> String {
    let subject = json!({ "identifier": { "system": format!("urn:oid:{OID}"), "value": id } });
    let provide = Provide::with_subject(subject).only(document("of whom it is"));
    world.register(&provide).await.expect(200).located("DocumentReference").remove(0)
}

#[tokio::test]
async fn the_identifier_by_which_a_patient_became_known_can_be_merged_into_another_of_its_own() {
    let (world, mut line) = world(settings()).await;
    Line::taken(&line.ask(&adt("A01", &format!("PID|||B^^^RED&{OID}&ISO~A^^^RED"))).await);
    let id = named(&world, "B").await;
    Line::taken(&line.merge("B", "A").await);
    assert_eq!((found(&world, "A").await, found(&world, "B").await), (vec![id.clone()], Vec::new()));
    let read = world.get(&format!("/fhir/DocumentReference/{id}")).await.expect(200).body;
    assert_eq!(read["subject"]["identifier"]["value"], "A");
    world.register(&provide("B")).await.expect(400);
    register(&world, "A").await;
    let again = line.merge("B", "A").await;
    assert!(again.text.contains("merged already"), "{}", again.text);
}

#[tokio::test]
async fn a_renaming_of_more_than_one_commit_may_hold_is_refused_with_its_limit() {
    let mut settings = settings();
    settings.merge.max_objects = 3;
    let (world, mut line) = world(settings).await;
    Line::taken(&line.ask(&adt("A01", &format!("PID|||B^^^RED&{OID}&ISO~A^^^RED"))).await);
    let mut ids = vec![named(&world, "B").await, named(&world, "B").await];
    ids.sort();
    let refused = line.merge("B", "A").await;
    assert!(refused.code == "AE" && refused.text.contains("merge.max_objects"), "{}", refused.text);
    let mut of_b = found(&world, "B").await;
    of_b.sort();
    assert_eq!(of_b, ids, "nothing is half done");
}

#[tokio::test]
async fn a_merge_against_what_this_feed_told_is_refused_and_the_documents_stay_seen() {
    let (world, mut line) = world(settings()).await;
    let feed = async |id: &str, version: u64, into: Option<&str>| {
        let mut patient = json!({
            "resourceType": "Patient", "id": id, "meta": { "versionId": version.to_string() },
            "identifier": [{ "system": format!("urn:oid:{OID}"), "value": id }], "active": into.is_none(),
        });
        if let Some(into) = into {
            patient["link"] = json!([{ "other": { "reference": format!("{IDENTITY}/Patient/{into}") }, "type": "replaced-by" }]);
        }
        world.send(world.request(reqwest::Method::PUT, &format!("/fhir/Patient/{id}")).json(&patient)).await
    };
    for id in ["A", "B", "C"] {
        feed(id, 1, None).await.expect(201);
    }
    let of_a = register(&world, "A").await;
    Line::taken(&line.merge("B", "A").await);
    let refused = feed("A", 2, Some("B")).await.expect(400);
    assert!(refused.body.to_string().contains("ITI-8"), "{}", refused.body);
    assert_eq!(found(&world, "A").await, std::slice::from_ref(&of_a));
    register(&world, "A").await;
    // Over somebody else it is the same.
    feed("A", 3, Some("C")).await.expect(200);
    feed("C", 2, Some("B")).await.expect(400);
    assert_eq!(found(&world, "C").await.len(), 2);
    // And the other way round.
    Line::refused(&line.merge("C", "A").await, "204");
    assert_eq!(found(&world, "C").await.len(), 2);
}

#[tokio::test]
async fn the_feed_of_the_identity_source_and_this_one_do_not_fight() {
    let (world, mut line) = world(settings()).await;
    let patient = |version: u64, values: &[&str]| {
        let identifiers: Vec<_> = values
            .iter()
            .map(|value| json!({ "system": format!("urn:oid:{OID}"), "value": value }))
            .collect();
        json!({
            "resourceType": "Patient", "id": "p1", "meta": { "versionId": version.to_string() },
            "identifier": identifiers, "name": [{ "family": "Quelle" }], "active": true,
        })
    };
    let put = async |body: serde_json::Value| {
        world.send(world.request(reqwest::Method::PUT, "/fhir/Patient/p1").json(&body)).await
    };
    // Told here first: the identity source takes that patient over, and what was registered stays found.
    line.add("A").await;
    let before = register(&world, "A").await;
    put(patient(1, &["A"])).await.expect(201);
    let after = register(&world, "A").await;
    let mut all = found(&world, "A").await;
    all.sort();
    let mut expected = [before.clone(), after];
    expected.sort();
    assert_eq!(all, expected);
    let read = world.get(&format!("/fhir/DocumentReference/{before}")).await.expect(200).body;
    assert_eq!(read["subject"]["reference"], format!("{IDENTITY}/Patient/p1"));
    // Told here as well: nothing new.
    Line::taken(&line.ask(&adt("A01", &pid("A"))).await);
    // A further identifier told here stays, whatever the identity source feeds later.
    Line::taken(&line.ask(&adt("A01", "PID|||A^^^RED~A2^^^RED")).await);
    put(patient(2, &["A"])).await.expect(200);
    assert_eq!(found(&world, "A2").await.len(), 2);
    // A merge told here is for good, too.
    line.add("S").await;
    Line::taken(&line.merge("A", "S").await);
    put(patient(3, &["A"])).await.expect(200);
    assert_eq!(found(&world, "S").await.len(), 2);
    assert_eq!(found(&world, "A").await, Vec::<String>::new());
}

#[tokio::test]
async fn messages_are_answered_in_order_however_they_are_cut() {
    let (_world, mut line) = world(settings()).await;
    let message = |number: u32| {
        let text = adt("A01", &pid(&number.to_string())).replace("|A01-1|", &format!("|id-{number}|"));
        hl7v2::mllp::frame(text.as_bytes())
    };
    line.send(&[b"rubbish".to_vec(), message(1), message(2)].concat()).await;
    for byte in message(3) {
        line.send(&[byte]).await;
    }
    for number in 1..=3 {
        let ack = line.hear().await.expect("it answers");
        assert!(ack.code == "AA" && ack.text.contains(&format!("MSA|AA|id-{number}")), "{}", ack.text);
    }
}

#[tokio::test]
async fn what_is_too_long_or_too_slow_is_closed() {
    let mut short = settings();
    short.mllp.max_frame_bytes = 1024;
    short.mllp.frame_timeout = 1;
    short.mllp.idle_timeout = 1;
    short.mllp.max_connections = 2;
    let (world, mut line) = world(short).await;
    line.send(&hl7v2::mllp::frame(adt("A01", &"A".repeat(2000)).as_bytes())).await;
    let ack = line.hear().await.expect("it is told why");
    assert!(
        ack.text.contains("1024 bytes (mllp.max_frame_bytes)") && ack.text.contains("A01-1"),
        "{}",
        ack.text
    );
    assert!(line.hear().await.is_none());
    let mut open = Line::to(world.doors[0].1).await;
    open.send(b"\x0BMSH|^~\\&|").await;
    assert!(open.hear().await.is_none());
    // Idle connections make room for one that has something to say.
    let _idle = (Line::to(world.doors[0].1).await, Line::to(world.doors[0].1).await);
    let mut third = Line::to(world.doors[0].1).await;
    third.add("7").await;
}

#[tokio::test]
async fn a_feed_that_would_take_nothing_is_not_begun() {
    let mut nothing = settings();
    nothing.identity.authorities.clear();
    let started = std::panic::catch_unwind(|| World::over(Setup::new(nothing)));
    assert!(started.is_err());
}

#[tokio::test]
async fn an_operator_reads_where_the_feed_is() {
    let (world, _line) = world(settings()).await;
    let ready = world.client.get(format!("{}/readyz?verbose", world.admin)).send().await.expect("it answers");
    let words = ready.text().await.expect("it has words");
    assert!(words.contains("HL7 v2 at 127.0.0.1:") && words.contains(&format!("RED&{OID}&ISO")), "{words}");
}

/// A message of ITI-44 with the ids of a patient, and of the record it replaces.
fn v3(name: &str, ids: &str, replaced: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://www.w3.org/2005/08/addressing\">\
         <s:Header><a:Action s:mustUnderstand=\"1\">urn:hl7-org:v3:{name}</a:Action><a:MessageID>urn:uuid:1</a:MessageID></s:Header>\
         <s:Body><{name} xmlns=\"urn:hl7-org:v3\" ITSVersion=\"XML_1.0\"><id root=\"1.2\" extension=\"m-1\"/>\
         <controlActProcess><subject><registrationEvent><subject1><patient>{ids}\
         <patientPerson><name><family>Muster</family><given>Maja</given></name><birthTime value=\"19600618\"/></patientPerson>\
         </patient></subject1>{replaced}</registrationEvent></subject></controlActProcess></{name}></s:Body></s:Envelope>"
    )
}

async fn tell(world: &World, body: String) -> String {
    let request = world
        .request(reqwest::Method::POST, "/xds/registry")
        .header("Content-Type", "application/soap+xml; charset=UTF-8")
        .body(body);
    request.send().await.expect("it answers").text().await.expect("it is text")
}

#[tokio::test]
async fn a_patient_is_told_of_and_merged_in_hl7_v3_as_well() {
    let (world, _line) = world(settings()).await;
    let id =
        |value: &str| format!("<id root=\"{OID}\" extension=\"{value}\"/><id root=\"9.9\" extension=\"x\"/>");
    let replaced = |value: &str| {
        format!(
            "<replacementOf><priorRegistration><subject1><priorRegisteredRole><id root=\"{OID}\" extension=\"{value}\"/>\
             </priorRegisteredRole></subject1></priorRegistration></replacementOf>"
        )
    };
    for value in ["A", "B"] {
        let answer = tell(&world, v3("PRPA_IN201301UV02", &id(value), "")).await;
        assert!(
            answer.contains("<typeCode code=\"CA\"/>") && answer.contains("extension=\"m-1\""),
            "{answer}"
        );
    }
    let of_a = register(&world, "A").await;
    let answer = tell(&world, v3("PRPA_IN201302UV02", &id("A"), "")).await;
    assert!(answer.contains("code=\"CA\""), "{answer}");
    let answer = tell(&world, v3("PRPA_IN201304UV02", &id("B"), &replaced("A"))).await;
    assert!(answer.contains("code=\"CA\""), "{answer}");
    assert_eq!((found(&world, "B").await, found(&world, "A").await), (vec![of_a], Vec::new()));
    for (body, code) in [
        (v3("PRPA_IN201304UV02", &id("B"), &replaced("X")), "KEY204"),
        (v3("PRPA_IN201304UV02", &id("B"), ""), "SYN105"),
        (v3("PRPA_IN201301UV02", "<id root=\"9.9\" extension=\"x\"/>", ""), "KEY204"),
        (v3("PRPA_IN201301UV02", "", ""), "SYN101"),
    ] {
        let answer = tell(&world, body).await;
        assert!(answer.contains("<typeCode code=\"CE\"/>") && answer.contains(code), "{code}: {answer}");
    }
}

#[tokio::test]
async fn two_members_of_a_group_may_turn_out_to_be_one_patient() {
    let (world, mut line) = world(settings()).await;
    line.add("7").await;
    line.add("8").await;
    let entity =
        |id: &str| json!({ "entity": { "reference": format!("Patient?identifier=urn:oid:{OID}|{id}") } });
    let group = json!({
        "resourceType": "Group", "id": "g", "type": "person", "actual": true,
        "member": [entity("7"), entity("8")],
    });
    world.send(world.request(reqwest::Method::PUT, "/fhir/Group/g").json(&group)).await.expect(201);
    let identifier = |id: &str| json!({ "system": format!("urn:oid:{OID}"), "value": id });
    let patient = json!({
        "resourceType": "Patient", "id": "p", "meta": { "versionId": "1" }, "active": true,
        "identifier": [identifier("7"), identifier("8")],
    });
    world.send(world.request(reqwest::Method::PUT, "/fhir/Patient/p").json(&patient)).await.expect(201);
    let group = world.get("/fhir/Group/g").await.expect(200).body;
    let members: Vec<_> = group["member"].as_array().expect("it has members").iter().collect();
    assert_eq!(members.len(), 1, "{group}");
    assert_eq!(members[0]["entity"]["reference"], format!("{IDENTITY}/Patient/p"));
}

#[tokio::test]
async fn the_audit_tells_of_who_goes_and_who_stays() {
    let setup = Setup::new(settings());
    let store = setup.store.clone();
    let world = World::over(setup);
    let mut line = Line::to(world.doors[0].1).await;
    line.add("7").await;
    line.add("9").await;
    Line::taken(&line.merge("9", "7").await);
    let lines = store.audited(0, 100).expect("can be read");
    let events = lines.iter().map(|line| serde_json::from_slice(&line.record).expect("is JSON"));
    let actions: Vec<serde_json::Value> =
        events.map(|event: serde_json::Value| event["action"].clone()).collect();
    assert_eq!(actions, ["create", "create", "update", "delete"]);
}
