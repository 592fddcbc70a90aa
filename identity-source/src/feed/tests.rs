//! Several changes in one commit.

use std::sync::Arc;

use fhir::patient;
use serde_json::{Value, json};
use store::Store;
use xds::{Identifier, Place, Rule};

use super::*;
use crate::config::Domain;
use crate::domains::Domains;
use crate::links::Judge;
use crate::matching::Matcher;

const RED: &str = "urn:oid:1.2.3";
const BASE: &str = "http://localhost:8083/fhir";

struct Subject {
    feeding: Feeding,
}

impl Subject {
    fn new(store: Store) -> Subject {
        let domains = Domains::read(&Domain { remove: true, ..Domain::default() }).expect("is sound");
        let (records, clock) = (Records::new(store, domains), Clock::fake(1_000_000));
        let delivery = Arc::new(Delivery::default());
        let matcher = Matcher::new(records.clone(), &Default::default());
        let judge = Judge::new(records.clone(), matcher, &Default::default());
        let linker = Linker::new(records.clone(), judge, clock.clone(), delivery.clone(), Arc::default());
        let linker = Arc::new(linker);
        Subject { feeding: Feeding::new(records, clock, delivery, linker) }
    }

    /// Decides these and commits them.
    async fn feed(&self, changes: Vec<Change>) -> Result<Vec<Fed>, Fault<Findings>> {
        let mut draft = Draft::new(&self.feeding.records, self.feeding.clock.now());
        let request = Request { changes, if_match: None, only_new: false, once: None, message: None };
        let fed = self.feeding.decide(&mut draft, &request, BASE)?;
        let batch = draft.batch(self.feeding.delivery.receivers());
        self.feeding.records.store().apply(batch).await.expect("nobody else is there");
        Ok(fed)
    }

    fn read(&self, id: &str) -> (u64, bool, Value) {
        let row = self.feeding.records.patient(id).expect("can be read").expect("is there");
        (row.version, row.deleted, serde_json::from_slice(&row.rendering).expect("is JSON"))
    }

    fn named(&self, value: &str) -> Option<String> {
        self.feeding.records.holder(&red(value)).expect("can be read")
    }
}

fn red(value: &str) -> Identifier {
    Identifier { system: RED.to_owned(), value: value.to_owned() }
}

fn put(value: &str, more: Value) -> Change {
    let mut body = json!({
        "resourceType": "Patient", "identifier": [{ "system": RED, "value": value }], "name": [{ "family": "Rot" }]
    });
    body.as_object_mut().expect("is an object").extend(more.as_object().expect("is one too").clone());
    let at = Place::at(format!("Bundle.{value}"));
    let patient = Box::new(patient::read(body, &at).expect("is a patient"));
    Change::Put { condition: red(value), patient, unmerges: true, keeps_mother: true, at }
}

fn merge(gone: &str, into: &str) -> Change {
    Change::Merge {
        subsumed: red(gone),
        survivor: red(into),
        at: Place::at("MRG-1"),
        survivor_at: Place::at("PID-3"),
    }
}

fn stores() -> (tempfile::TempDir, [Store; 2]) {
    let directory = tempfile::tempdir().expect("there is room");
    let mut options = store::Options::new(directory.path().join("data"));
    options.reserve_bytes = 0;
    let embedded = Store::open(&options).expect("opens");
    (directory, [Store::memory(), embedded])
}

#[tokio::test]
async fn each_change_sees_those_before_it() {
    let (_directory, stores) = stores();
    for store in stores {
        let subject = Subject::new(store);
        // Created, revised, merged and removed in one commit, two of them the same record.
        let changes = vec![
            put("a", json!({})),
            put("b", json!({})),
            put("a", json!({ "birthDate": "1958-01-30" })),
            merge("a", "b"),
            put("c", json!({})),
            Change::Remove { identifier: red("c"), at: Place::whole() },
        ];
        let fed = subject.feed(changes).await.expect("all fit");
        let versions: Vec<u64> = fed.iter().map(|fed| fed.stamp.version).collect();
        assert_eq!(versions, [1, 1, 2, 3, 1, 2]);
        assert_eq!((&fed[0].id, &fed[4].id), (&fed[3].id, &fed[5].id));
        let (version, _, a) = subject.read(&fed[0].id);
        assert_eq!((version, &a["active"], &a["birthDate"]), (3, &json!(false), &json!("1958-01-30")));
        assert_eq!(a["link"][0]["other"]["reference"], format!("Patient/{}", fed[1].id));
        assert!(subject.read(&fed[4].id).1, "removed");
        assert_eq!(subject.named("a"), Some(fed[0].id.clone()));
        assert_eq!(subject.named("c"), None);
        let history = subject.feeding.records.store().history(crate::records::PATIENT, &fed[0].id);
        assert_eq!(history.expect("can be read").len(), 3, "every version is there");
    }
}

#[tokio::test]
async fn one_change_that_is_refused_refuses_all_and_names_its_place() {
    let subject = Subject::new(Store::memory());
    let changes = vec![put("a", json!({})), put("b", json!({})), merge("a", "nobody")];
    let Err(Fault::Refused(findings)) = subject.feed(changes).await else { panic!("is refused") };
    assert_eq!((findings[0].rule, findings[0].at.path.as_str()), (Rule::UnresolvedReference, "PID-3"));
    assert_eq!((subject.named("a"), subject.named("b")), (None, None));
    let again =
        put("b", json!({ "identifier": [{ "system": RED, "value": "b" }, { "system": RED, "value": "a" }] }));
    let Err(Fault::Refused(findings)) = subject.feed(vec![put("a", json!({})), again]).await else {
        panic!("is refused")
    };
    assert_eq!(findings[0].at.path, "Bundle.b.identifier[1]");
}

#[tokio::test]
async fn a_merge_by_identifiers_keeps_what_is_known_of_who_goes() {
    let subject = Subject::new(Store::memory());
    let fed =
        subject.feed(vec![put("a", json!({})), put("b", json!({})), merge("a", "b")]).await.expect("all fit");
    let again = subject.feed(vec![merge("a", "b")]).await.expect("it may be said twice");
    assert_eq!((again[0].stamp.version, &again[0].happened), (fed[2].stamp.version, &None));
    let (_, _, a) = subject.read(&fed[0].id);
    assert_eq!(a["name"][0]["family"], "Rot");
    let Err(Fault::Refused(findings)) = subject.feed(vec![merge("z", "b")]).await else {
        panic!("is refused")
    };
    assert_eq!(findings[0].rule, Rule::UnresolvedReference);
    // A feed that cannot undo a merge does not, whatever it says.
    let Change::Put { condition, patient, at, .. } = put("a", json!({ "active": true })) else { return };
    let silent = Change::Put { condition, patient, unmerges: false, keeps_mother: false, at };
    let Err(Fault::Refused(findings)) = subject.feed(vec![silent]).await else { panic!("is refused") };
    assert_eq!(findings[0].rule, Rule::MergeIsFinal);
}

#[tokio::test]
async fn a_mother_stays_known_where_nothing_is_said_of_one() {
    let subject = Subject::new(Store::memory());
    let mother =
        json!([{ "resourceType": "RelatedPerson", "id": "mother", "patient": { "reference": "#" } }]);
    let fed = subject.feed(vec![put("a", json!({ "contained": mother }))]).await.expect("fits");
    subject.feed(vec![put("a", json!({ "birthDate": "2026-01-01" }))]).await.expect("fits");
    let (version, _, child) = subject.read(&fed[0].id);
    assert_eq!((version, &child["contained"], &child["birthDate"]), (2, &mother, &json!("2026-01-01")));
}

#[tokio::test]
async fn a_request_is_taken_once() {
    let subject = Subject::new(Store::memory());
    let mut draft = Draft::new(&subject.feeding.records, 1);
    assert!(draft.take_once("message/1").expect("can be read"));
    assert!(!draft.is_empty(), "the name alone is worth a commit");
    let mut beside = Draft::new(&subject.feeding.records, 1);
    assert!(beside.take_once("message/1").expect("can be read"));
    let receivers = subject.feeding.delivery.receivers();
    let store = subject.feeding.records.store();
    store.apply(draft.batch(receivers)).await.expect("nobody has it");
    assert!(store.apply(beside.batch(receivers)).await.is_err(), "the second of two at once loses");
    let mut after = Draft::new(&subject.feeding.records, 1);
    assert!(!after.take_once("message/1").expect("can be read"));
}
