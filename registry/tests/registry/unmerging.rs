//! Whatever is submitted, merged, unmerged, replaced and decided, in whatever order: each document is one patient's, who is in use,
//! and is seen there alone by every door; and what nobody has touched is whose it was submitted for, or stands for that one.

use std::collections::BTreeSet;

use proptest::prelude::*;
use registry::Settings;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Folder;

use crate::merging::{about, feed, of, open, read, settle, sorted, subject, submitted, world};
use crate::stored_queries::{APPROVED, DEPRECATED, Given, cx};
use crate::world::{World, document, provide, settings};

async fn small(most: u64) -> World {
    let world = World::with(Settings { merge: registry::Merge { max_objects: most }, ..settings() }).await;
    for id in ["a", "b", "c"] {
        feed(&world, id, 1, None).await.expect(201);
    }
    world
}

#[tokio::test]
async fn an_undone_merge_of_more_than_one_commit_may_hold_is_refused_with_its_limit() {
    let world = small(4).await;
    let of_a = submitted(&world, &provide("a", document("a"))).await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    feed(&world, "b", 2, Some("c")).await.expect(200);
    let meanwhile = [
        submitted(&world, &provide("c", document("one"))).await,
        submitted(&world, &provide("c", document("two"))).await,
        submitted(&world, &provide("c", document("three"))).await,
    ];
    let refused = feed(&world, "a", 3, None).await.expect(413);
    assert!(refused.body.to_string().contains("merge.max_objects"), "{}", refused.body);
    assert_eq!((of(&world, "a").await.len(), of(&world, "c").await.len()), (0, 4));
    assert_eq!(open(&world).await, Vec::<Value>::new(), "nothing is half done");
    let refused = world.register(&provide("a", document("no"))).await.expect(400);
    assert!(refused.codes().contains(&"XDSUnknownPatientId".to_owned()), "{:?}", refused.codes());
    assert_eq!(read(&world, &of_a).await["subject"]["reference"], subject("c"));
    assert_eq!(read(&world, &meanwhile[0]).await["subject"]["reference"], subject("c"));
}

#[tokio::test]
async fn a_ring_of_merges_is_refused_with_words_however_long_it_is() {
    let world = world().await;
    let of_c = submitted(&world, &provide("c", document("c"))).await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    feed(&world, "b", 2, Some("c")).await.expect(200);
    for survivor in ["a", "b", "c"] {
        let refused = feed(&world, "c", 2, Some(survivor)).await.expect(400);
        assert!(refused.body.to_string().contains("Nothing was changed"), "{}", refused.body);
    }
    // Nor may one in the middle be turned to one that was merged into it.
    feed(&world, "b", 3, Some("a")).await.expect(400);
    assert_eq!(of(&world, "c").await, vec![of_c.clone()]);
    submitted(&world, &provide("c", document("still in use"))).await;
    feed(&world, "b", 4, None).await.expect(200);
    feed(&world, "c", 3, Some("a")).await.expect(200);
    assert_eq!(of(&world, "b").await.len(), 2);
}

#[tokio::test]
async fn who_left_a_chain_and_came_back_by_another_way_stays_when_the_middle_comes_apart() {
    let world = world().await;
    let of_a = submitted(&world, &provide("a", document("a"))).await;
    let of_b = submitted(&world, &provide("b", document("b"))).await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    feed(&world, "b", 2, Some("c")).await.expect(200);
    feed(&world, "a", 3, None).await.expect(200);
    feed(&world, "a", 4, Some("c")).await.expect(200);
    feed(&world, "b", 3, None).await.expect(200);
    assert_eq!((of(&world, "b").await, of(&world, "c").await), (vec![of_b], vec![of_a.clone()]));
    feed(&world, "a", 5, None).await.expect(200);
    assert_eq!(of(&world, "a").await, vec![of_a]);
}

#[tokio::test]
async fn what_was_decided_to_move_is_not_taken_along_when_another_merge_is_undone() {
    let world = world().await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    let meanwhile = submitted(&world, &provide("b", document("meanwhile"))).await;
    feed(&world, "b", 2, Some("c")).await.expect(200);
    feed(&world, "a", 3, None).await.expect(200);
    let tasks = open(&world).await;
    settle(&world, about(&tasks, &meanwhile), "moves").await.expect(200);
    assert_eq!(of(&world, "a").await, vec![meanwhile.clone()]);
    feed(&world, "a", 4, Some("c")).await.expect(200);
    feed(&world, "b", 3, None).await.expect(200);
    assert_eq!((of(&world, "b").await, of(&world, "c").await), (Vec::new(), vec![meanwhile.clone()]));
    feed(&world, "a", 5, None).await.expect(200);
    assert_eq!(of(&world, "a").await, vec![meanwhile]);
}

#[tokio::test]
async fn what_is_to_be_decided_is_so_again_once_a_second_merge_is_undone() {
    let world = world().await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    let meanwhile = submitted(&world, &provide("b", document("meanwhile"))).await;
    feed(&world, "a", 3, None).await.expect(200);
    feed(&world, "a", 4, Some("b")).await.expect(200);
    assert_eq!(open(&world).await, Vec::<Value>::new());
    feed(&world, "a", 5, None).await.expect(200);
    let tasks = open(&world).await;
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    settle(&world, about(&tasks, &meanwhile), "moves").await.expect(200);
    assert_eq!(of(&world, "a").await, vec![meanwhile]);
}

#[tokio::test]
async fn what_is_to_be_decided_of_an_object_goes_where_the_object_goes() {
    let world = world().await;
    let of_a = submitted(&world, &provide("a", document("a"))).await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    let replacing = document("new").relates_to("replaces", &format!("DocumentReference/{of_a}"));
    let new = submitted(&world, &provide("b", replacing)).await;
    feed(&world, "b", 2, Some("c")).await.expect(200);
    feed(&world, "a", 3, None).await.expect(200);
    assert_eq!(of(&world, "c").await, sorted([&of_a, &new]));
    feed(&world, "b", 3, None).await.expect(200);
    assert_eq!(of(&world, "b").await, sorted([&of_a, &new]));
    let tasks = open(&world).await;
    assert_eq!(about(&tasks, &of_a)["for"]["reference"], subject("b"), "{tasks:?}");
    settle(&world, about(&tasks, &of_a), "moves").await.expect(200);
    assert_eq!(of(&world, "a").await, sorted([&of_a, &new]));
    assert_eq!(open(&world).await, Vec::<Value>::new());
}

#[tokio::test]
async fn nothing_is_taken_under_the_old_name_by_any_door_of_fhir() {
    let world = world().await;
    let of_a = submitted(&world, &provide("a", document("a"))).await;
    let before = read(&world, &of_a).await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    let old_identifier = json!({ "identifier": { "system": crate::world::MRN, "value": "a-number" } });
    for subject in [json!({ "reference": subject("a") }), json!({ "reference": "Patient/a" }), old_identifier]
    {
        let single = json!({
            "resourceType": "DocumentReference", "status": "current", "subject": subject,
            "masterIdentifier": { "system": testkit::URI_SYSTEM, "value": testkit::urn_oid() },
            "content": [{ "attachment": { "contentType": "text/plain", "url": "http://elsewhere.example/1" } }],
        });
        let told = world.send(world.request(Method::POST, "/fhir/DocumentReference").json(&single)).await;
        let told = told.expect(400);
        assert!(told.codes().contains(&"XDSUnknownPatientId".to_owned()), "{}", told.body);
        let mut again = before.clone();
        again["subject"] = subject;
        let path = format!("/fhir/DocumentReference/{of_a}");
        let told = world.send(world.request(Method::PUT, &path).json(&again)).await;
        assert!((400..500).contains(&told.status), "{} {}", told.status, told.body);
    }
    let told = read(&world, &of_a).await;
    assert_eq!(
        (&told["meta"]["versionId"], &told["subject"]["reference"]),
        (&json!("2"), &json!(subject("b")))
    );
    for asked in [
        "DocumentReference?patient=Patient/a",
        "DocumentReference?patient.identifier=urn:oid:1.2.36.146.595.217.0.1|a-number",
        "DocumentReference?subject:identifier=urn:oid:1.2.36.146.595.217.0.1|a-number",
        "List?patient=a&code=submissionset",
        "List?patient.identifier=urn:oid:1.2.36.146.595.217.0.1|a-number",
    ] {
        let found = world.get(&format!("/fhir/{asked}")).await;
        assert_eq!((found.status, found.matches().len()), (200, 0), "{asked}: {}", found.body);
    }
}

/// What is done; the numbers choose among what is there.
#[derive(Debug, Clone)]
enum Step {
    Submit(usize),
    Merge(usize, usize),
    Unmerge(usize),
    Replace(usize),
    Amend(usize),
    Settle(usize, bool),
}

const PATIENTS: [&str; 4] = ["a", "b", "c", "d"];

fn step() -> impl Strategy<Value = Step> {
    let patient = || 0..PATIENTS.len();
    prop_oneof![
        4 => patient().prop_map(Step::Submit),
        6 => (patient(), patient()).prop_map(|(from, into)| Step::Merge(from, into)),
        4 => patient().prop_map(Step::Unmerge),
        1 => (0..100usize).prop_map(Step::Replace),
        1 => (0..100usize).prop_map(Step::Amend),
        2 => (0..100usize, any::<bool>()).prop_map(|(one, moves)| Step::Settle(one, moves)),
    ]
}

/// A document as the world should have it.
#[derive(Debug)]
struct Doc {
    id: String,
    /// The folder it came in, if it came in one, and the submission set.
    folder: Option<String>,
    set: String,
    owner: usize,
    /// Who had been merged into the owner when it was submitted: it may be theirs.
    may_be: BTreeSet<usize>,
    /// It was replaced or changed, or replaces, or people have decided whose it is.
    touched: bool,
    replaced_by: Option<usize>,
    holder: usize,
}

struct Model {
    world: World,
    versions: [u64; 4],
    into: [Option<usize>; 4],
    docs: Vec<Doc>,
}

impl Model {
    async fn new() -> Model {
        let world = world().await;
        feed(&world, "d", 1, None).await.expect(201);
        Model { world, versions: [1; 4], into: [None; 4], docs: Vec::new() }
    }

    fn stands(&self, patient: usize) -> usize {
        let mut at = patient;
        while let Some(into) = self.into[at] {
            at = into;
        }
        at
    }

    fn is_under(&self, patient: usize, other: usize) -> bool {
        let mut at = Some(patient);
        while let Some(one) = at {
            if one == other {
                return true;
            }
            at = self.into[one];
        }
        false
    }

    async fn feed(&mut self, patient: usize, into: Option<usize>) -> u16 {
        self.versions[patient] += 1;
        let survivor = into.map(|into| PATIENTS[into]);
        feed(&self.world, PATIENTS[patient], self.versions[patient], survivor).await.status
    }

    async fn submit(&mut self, patient: usize, replaces: Option<usize>) -> Result<(), TestCaseError> {
        let mut new = document("some");
        if let Some(old) = replaces {
            new = new.relates_to("replaces", &format!("DocumentReference/{}", self.docs[old].id));
        }
        // Every other one comes in a folder of its own.
        let folder = (self.docs.len() % 2 == 1).then(|| Folder::new("Ordner", &[new.url.as_str()]));
        let mut sent = provide(PATIENTS[patient], new);
        if let Some(folder) = folder.clone() {
            sent = sent.folder(folder);
        }
        let told = self.world.register(&sent).await;
        let again = replaces.is_some_and(|old| self.docs[old].replaced_by.is_some());
        if self.into[patient].is_some() || again {
            prop_assert!(told.status >= 400, "{}", told.body);
            let code = "XDSUnknownPatientId".to_owned();
            prop_assert!(again || told.codes().contains(&code), "{}", told.body);
            return Ok(());
        }
        prop_assert_eq!(told.status, 200, "{}", told.body);
        let may_be = (0..4).filter(|one| *one != patient && self.stands(*one) == patient).collect();
        let number = self.docs.len();
        if let Some(old) = replaces {
            self.docs[old].replaced_by = Some(number);
            self.docs[old].touched = true;
        }
        let id = told.located("DocumentReference").remove(0);
        let touched = replaces.is_some();
        let mut lists = (None, String::new());
        for list in told.located("List") {
            let body = self.world.get(&format!("/fhir/List/{list}")).await.expect(200).body;
            match body["code"]["coding"][0]["code"] == "folder" {
                true => lists.0 = Some(list),
                false => lists.1 = list,
            }
        }
        prop_assert_eq!(lists.0.is_some(), folder.is_some());
        let (folder, set) = lists;
        let (owner, holder) = (patient, patient);
        self.docs.push(Doc { id, folder, set, owner, may_be, touched, replaced_by: None, holder });
        Ok(())
    }

    async fn unmerge(&mut self, patient: usize) -> Result<(), TestCaseError> {
        let Some(_) = self.into[patient] else { return Ok(()) };
        let (from, before) = (self.stands(patient), self.holders());
        prop_assert_eq!(self.feed(patient, None).await, 200);
        self.into[patient] = None;
        self.look().await?;
        let tasks = self.world.get("/fhir/Task?_count=1000").await.expect(200).matches();
        for (number, doc) in self.docs.iter().enumerate() {
            let its = doc.may_be.contains(&patient) || (doc.touched && doc.owner == patient);
            if !its || before[number] != from || doc.holder != from {
                continue;
            }
            let focus = format!("DocumentReference/{}", doc.id);
            let other = subject(PATIENTS[patient]);
            let is_listed = tasks.iter().any(|task| {
                task["focus"]["reference"] == focus.as_str()
                    && (task["status"] == "requested"
                        || (task["status"] == "completed" && task["input"].to_string().contains(&other)))
            });
            prop_assert!(is_listed, "{} may be {other}'s: {tasks:?}", doc.id);
        }
        self.reviewed(patient, from, &before);
        Ok(())
    }

    /// What stayed with the survivor is reviewed as the patient's who left it, be it of one who was merged into that patient.
    fn reviewed(&mut self, patient: usize, from: usize, before: &[usize]) {
        let under: Vec<usize> = (0..4).filter(|one| self.is_under(*one, patient)).collect();
        for (number, doc) in self.docs.iter_mut().enumerate() {
            if before[number] == from && doc.holder == from {
                doc.may_be.retain(|one| *one == patient || !under.contains(one));
            }
        }
    }

    fn holders(&self) -> Vec<usize> {
        self.docs.iter().map(|doc| doc.holder).collect()
    }

    async fn settle(&mut self, which: usize, moves: bool) -> Result<(), TestCaseError> {
        let tasks = open(&self.world).await;
        if tasks.is_empty() {
            return Ok(());
        }
        let before = self.holders();
        let task = &tasks[which % tasks.len()];
        let told = settle(&self.world, task, if moves { "moves" } else { "stays" }).await;
        prop_assert!(told.status == 200 || (moves && told.status == 400), "{}", told.body);
        let (holders, _) = self.seen().await?;
        for (number, holder) in holders.into_iter().enumerate() {
            if holder != before[number] {
                prop_assert!(moves && told.status == 200, "only a decision moves");
                self.docs[number].touched = true;
                self.docs[number].owner = holder;
                self.docs[number].may_be.clear();
            }
        }
        let id = task["id"].as_str().unwrap_or_default();
        let told = told.status == 200;
        prop_assert!(!told || open(&self.world).await.iter().all(|task| task["id"] != id));
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Submit(patient) => self.submit(patient, None).await?,
            Step::Merge(from, into) => {
                let is_ring = self.is_under(into, from);
                let is_turned = self.into[from].is_some();
                let (holder, before) = (self.stands(from), self.holders());
                let status = self.feed(from, Some(into)).await;
                prop_assert_eq!(status, if is_ring { 400 } else { 200 });
                if !is_ring {
                    self.into[from] = Some(into);
                    self.look().await?;
                    self.reviewed(from, holder, &before);
                }
                // An identity source turns nobody from one survivor to another: of what came before, not all is listed.
                if is_turned && !is_ring {
                    self.docs.iter_mut().for_each(|doc| doc.may_be.clear());
                }
            }
            Step::Unmerge(patient) => self.unmerge(patient).await?,
            Step::Replace(which) if !self.docs.is_empty() => {
                let old = which % self.docs.len();
                self.submit(self.docs[old].holder, Some(old)).await?;
            }
            Step::Amend(which) if !self.docs.is_empty() => {
                let doc = which % self.docs.len();
                let path = format!("/fhir/DocumentReference/{}", self.docs[doc].id);
                let title = format!("{which}, then {}", self.versions.iter().sum::<u64>());
                let patch =
                    json!([{ "op": "replace", "path": "/content/0/attachment/title", "value": title }]);
                let request = self.world.request(Method::PATCH, &path);
                let request = request.header("content-type", "application/json-patch+json");
                let told = self.world.send(request.body(patch.to_string())).await;
                prop_assert_eq!(told.status, 200, "{}", told.body);
                self.docs[doc].touched = true;
            }
            Step::Replace(_) | Step::Amend(_) => {}
            Step::Settle(which, moves) => self.settle(which, moves).await?,
        }
        self.look().await
    }

    /// Whose each document is as a search in FHIR has it, and whether it is superseded.
    async fn seen(&self) -> Result<(Vec<usize>, Vec<bool>), TestCaseError> {
        let mut holders = vec![None; self.docs.len()];
        let mut superseded = vec![false; self.docs.len()];
        for (patient, name) in PATIENTS.iter().enumerate() {
            let path = format!(
                "/fhir/DocumentReference?patient=Patient/{name}&status=current,superseded&_count=1000"
            );
            let found = self.world.get(&path).await.expect(200).matches();
            prop_assert!(found.is_empty() || self.into[patient].is_none(), "I9: {name} was merged away");
            for one in found {
                let number = self.docs.iter().position(|doc| one["id"] == doc.id.as_str());
                let number = number.expect("a document that was submitted");
                prop_assert_eq!(holders[number], None, "one patient's alone");
                holders[number] = Some(patient);
                superseded[number] = one["status"] == "superseded";
                prop_assert_eq!(&one["subject"]["reference"], &Value::from(subject(name)));
            }
        }
        let holders: Option<Vec<usize>> = holders.into_iter().collect();
        Ok((holders.ok_or_else(|| TestCaseError::fail("a document is lost"))?, superseded))
    }

    /// Whatever may be said of it at any time.
    async fn look(&mut self) -> Result<(), TestCaseError> {
        let (holders, superseded) = self.seen().await?;
        for (number, holder) in holders.iter().enumerate() {
            self.docs[number].holder = *holder;
        }
        for (number, doc) in self.docs.iter().enumerate() {
            prop_assert_eq!(superseded[number], doc.replaced_by.is_some(), "I8");
            let by_id = read(&self.world, &doc.id).await;
            prop_assert_eq!(&by_id["subject"]["reference"], &Value::from(subject(PATIENTS[doc.holder])));
            let list = async |id: &str| {
                let body = self.world.get(&format!("/fhir/List/{id}")).await.expect(200).body;
                PATIENTS.iter().position(|one| body["subject"]["reference"] == subject(one).as_str())
            };
            if let Some(folder) = &doc.folder {
                prop_assert_eq!(list(folder).await, Some(doc.holder), "a folder and what is in it");
            }
            let set = list(&doc.set).await.expect("a patient");
            prop_assert_eq!(self.into[set], None, "I9: a submission set is with one who was merged away");
            if !doc.touched {
                prop_assert_eq!(doc.holder, self.stands(doc.owner), "untouched: {:?}", doc);
            }
            if let Some(new) = doc.replaced_by {
                prop_assert_eq!(doc.holder, self.docs[new].holder, "a document and its replacement");
            }
        }
        for (patient, name) in PATIENTS.iter().enumerate() {
            let mut expected: Vec<&str> =
                self.docs.iter().filter(|doc| doc.holder == patient).map(|doc| doc.id.as_str()).collect();
            expected.sort_unstable();
            let cx = cx(&format!("{name}-number"));
            let by_patient = [
                ("$XDSDocumentEntryPatientId", &[cx.as_str()][..]),
                ("$XDSDocumentEntryStatus", &[APPROVED, DEPRECATED]),
            ];
            let by_id = [("$XDSDocumentEntryEntryUUID", expected.as_slice())];
            let mut asked: Vec<(&str, Given<'_>)> = vec![("FindDocuments", &by_patient)];
            if !expected.is_empty() {
                asked.push(("GetDocuments", &by_id));
            }
            for (query, given) in asked {
                let answer = self.world.objects(query, given).await;
                let mut found = Vec::new();
                for one in &answer.objects.documents {
                    let entry = &one.object;
                    let of = entry.patient.identifier.as_ref().map(|identifier| identifier.value.clone());
                    prop_assert_eq!(of, Some(format!("{name}-number")));
                    let own = entry.entry_uuid.as_ref().map(|id| id.as_str());
                    let id = one.standing.lid.as_deref().or(own).expect("an id");
                    found.push(id.strip_prefix("urn:uuid:").unwrap_or(id).to_owned());
                }
                // Past versions are found, too, and have the same patient.
                found.sort();
                found.dedup();
                prop_assert_eq!(&found, &expected, "{}", query);
            }
        }
        Ok(())
    }
}

async fn plays(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut model = Model::new().await;
    for step in &steps {
        model.step(step).await?;
    }
    // In the end nobody is merged into anybody.
    for patient in 0..PATIENTS.len() {
        model.unmerge(patient).await?;
    }
    for doc in model.docs.iter().filter(|doc| !doc.touched) {
        prop_assert_eq!(doc.holder, doc.owner);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_merges_and_their_ends_loses_or_mixes_documents(
        steps in proptest::collection::vec(step(), 4..28),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(plays(steps))?;
    }
}
