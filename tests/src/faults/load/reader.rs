//! A reader: asks the registry in many ways, retrieves what it found, and writes down what it saw.

use std::time::Duration;

use anyhow::Result;
use reqwest::header::{CONTENT_TYPE, IF_MATCH, RANGE};
use serde_json::Value;

use super::feed::Person;
use super::{Load, http};
use crate::faults::content::{Content, sha256};
use crate::faults::history::{Asked, Body, Kind, Read, Retrieve, Search, Seen, Update, What};
use crate::faults::resource::{remarking, seen};
use testkit::Dice;

/// Media type of a JSON Patch.
const JSON_PATCH: &str = "application/json-patch+json";
/// Pages of one search at most.
const PAGES: usize = 200;

/// A document as a reader knows it.
#[derive(Debug, Clone)]
pub(in crate::faults) struct Found {
    pub(in crate::faults) seen: Seen,
    /// Where its bytes are.
    pub(in crate::faults) url: String,
    /// How many it says they are.
    pub(in crate::faults) size: u64,
}

/// Asks, retrieves and writes down.
pub(in crate::faults) struct Finder<'a> {
    load: &'a Load,
    wire: reqwest::Client,
    client: u32,
}

/// Reads until the load ends.
pub(super) async fn run(load: &Load, client: u32, mut dice: Dice) -> Result<()> {
    let finder = Finder::new(load, client)?;
    while !load.stopped() {
        let Some(person) = load.patient(&mut dice) else { continue };
        let found = match dice.below(10) {
            0..4 => finder.documents(&person, false, dice.per_mille(500), dice.between(20, 200)).await?,
            4..6 => finder.documents(&person, true, dice.per_mille(500), 100).await?,
            6 => finder.lists(&person, Kind::Set).await?,
            7 => finder.lists(&person, Kind::Folder).await?,
            _ => match load.acknowledged(&mut dice) {
                Some(recipe) => {
                    let documents = recipe.contents(load.seed);
                    let (unique_id, _) = dice.pick(&documents).expect("every submission has a document");
                    finder.by_unique_id(unique_id).await?
                }
                None => Vec::new(),
            },
        };
        for _ in 0..3 {
            let Some(one) = dice.pick(&found) else { break };
            match dice.below(9) {
                0..2 => finder.read(one, None).await?,
                2..4 => finder.read(one, Some(dice.between(1, one.seen.version))).await?,
                _ if one.url.is_empty() => {}
                4 => finder.update(one, dice.per_mille(500)).await?,
                5..7 => finder.retrieve_part(one, &mut dice).await?,
                _ => finder.retrieve(one).await?,
            }
        }
        tokio::time::sleep(Duration::from_millis(dice.between(0, 60))).await;
    }
    Ok(())
}

/// Looks at everything there is: all objects of all patients, and the bytes of all documents.
pub(in crate::faults) async fn everything(load: &Load) -> Result<Vec<Found>> {
    let finder = Finder::new(load, 9000)?;
    let mut all = Vec::new();
    for person in load.patients() {
        finder.lists(&person, Kind::Set).await?;
        finder.lists(&person, Kind::Folder).await?;
        let documents = finder.documents(&person, false, true, 200).await?;
        for document in &documents {
            finder.retrieve(document).await?;
        }
        all.extend(documents);
    }
    Ok(all)
}

impl<'a> Finder<'a> {
    pub(in crate::faults) fn new(load: &'a Load, client: u32) -> Result<Finder<'a>> {
        Ok(Finder { load, wire: http(Duration::from_secs(20))?, client })
    }

    /// All objects of a patient.
    pub(super) async fn all(&self, person: &Person) -> Result<()> {
        self.lists(person, Kind::Set).await?;
        self.lists(person, Kind::Folder).await?;
        self.documents(person, false, true, 200).await?;
        Ok(())
    }

    async fn documents(
        &self,
        person: &Person,
        current_only: bool,
        by_reference: bool,
        page: u64,
    ) -> Result<Vec<Found>> {
        let whom = self.whom(person, by_reference);
        let status = if current_only { "&status=current" } else { "" };
        let query = format!("DocumentReference?{whom}{status}&_count={page}");
        let asked = Asked::Patient { patient: person.id.clone(), kind: Kind::Document, current_only };
        self.search(asked, &query).await
    }

    async fn lists(&self, person: &Person, kind: Kind) -> Result<Vec<Found>> {
        let code = if kind == Kind::Set { "submissionset" } else { "folder" };
        let query = format!("List?{}&code={code}&_count=200", self.whom(person, true));
        self.search(Asked::Patient { patient: person.id.clone(), kind, current_only: false }, &query).await
    }

    async fn by_unique_id(&self, unique_id: &str) -> Result<Vec<Found>> {
        let query = format!("DocumentReference?identifier={unique_id}");
        self.search(Asked::UniqueId { kind: Kind::Document, unique_id: unique_id.to_owned() }, &query).await
    }

    fn whom(&self, person: &Person, by_reference: bool) -> String {
        if by_reference {
            format!("patient={}", person.reference(&self.load.doors.identity))
        } else {
            format!("patient.identifier={}", person.token())
        }
    }

    /// A search with all its pages.
    async fn search(&self, asked: Asked, query: &str) -> Result<Vec<Found>> {
        let begin = self.load.history.now();
        let mut search = Search { asked, status: 0, complete: false, total: None, found: Vec::new() };
        let mut found = Vec::new();
        let mut next = Some(format!("{}/{query}", self.load.doors.registry));
        for _ in 0..PAGES {
            let Some(url) = next.take() else {
                search.complete = true;
                break;
            };
            let (status, bundle) = self.get(&url).await;
            search.status = status;
            if status != 200 || bundle["resourceType"] != "Bundle" {
                break;
            }
            search.total = bundle["total"].as_u64().or(search.total);
            for entry in bundle["entry"].as_array().into_iter().flatten() {
                found.extend(read_found(&entry["resource"]));
            }
            let links = bundle["link"].as_array().into_iter().flatten();
            let mut nexts = links.filter(|link| link["relation"] == "next");
            next = nexts.next().and_then(|link| link["url"].as_str()).map(str::to_owned);
        }
        search.found = found.iter().map(|found| found.seen.clone()).collect();
        self.load.record(self.client, begin, What::Search(search))?;
        Ok(found)
    }

    async fn read(&self, one: &Found, version: Option<u64>) -> Result<()> {
        let kind = if one.seen.kind == Kind::Document { "DocumentReference" } else { "List" };
        let mut url = format!("{}/{kind}/{}", self.load.doors.registry, one.seen.id);
        if let Some(version) = version {
            url += &format!("/_history/{version}");
        }
        let begin = self.load.history.now();
        let (status, resource) = self.get(&url).await;
        let seen = if status == 200 { seen(&resource) } else { None };
        let read = Read { kind: one.seen.kind, id: one.seen.id.clone(), version, status, seen };
        self.load.record(self.client, begin, What::Read(read))
    }

    /// Leaves a remark on a document; `guarded`: only on the version that was found.
    async fn update(&self, one: &Found, guarded: bool) -> Result<()> {
        let begin = self.load.history.now();
        let id = one.seen.id.clone();
        let remark = format!("{} {begin}", self.client);
        let url = format!("{}/DocumentReference/{id}", self.load.doors.registry);
        let mut request = self.wire.patch(url).header(CONTENT_TYPE, JSON_PATCH);
        if guarded {
            request = request.header(IF_MATCH, format!("W/\"{}\"", one.seen.version));
        }
        let (status, version) = match request.body(remarking(&remark).to_string()).send().await {
            Err(_) => (0, None),
            Ok(answer) => {
                let status = answer.status().as_u16();
                let body =
                    answer.bytes().await.ok().and_then(|body| serde_json::from_slice::<Value>(&body).ok());
                (status, body.filter(|_| status == 200).as_ref().and_then(seen).map(|seen| seen.version))
            }
        };
        self.load.record(self.client, begin, What::Update(Update { id, remark, status, version }))
    }

    /// All bytes of a document.
    async fn retrieve(&self, one: &Found) -> Result<()> {
        let begin = self.load.history.now();
        let (status, body) = self.fetch(one, None).await;
        let body = match body {
            Some(bytes) if status == 200 => Body::Whole { sha256: sha256(&bytes), size: bytes.len() as u64 },
            None if status == 200 => Body::Cut,
            _ => Body::Nothing,
        };
        self.retrieved(one, begin, status, body)
    }

    /// A part of a document, compared with what was submitted.
    async fn retrieve_part(&self, one: &Found, dice: &mut Dice) -> Result<()> {
        let content =
            self.load.content(&one.seen.unique_id).filter(|content| content.size as u64 == one.size);
        let Some(content) = content else { return Ok(()) };
        let from = dice.below(one.size);
        let to = dice.between(from, one.size - 1);
        let begin = self.load.history.now();
        let (status, body) = self.fetch(one, Some((from, to))).await;
        let body = match body {
            Some(bytes) if status == 206 => Body::Part { equal: is_part(content, from, to, &bytes) },
            None if status == 206 => Body::Cut,
            _ => Body::Nothing,
        };
        self.retrieved(one, begin, status, body)
    }

    fn retrieved(&self, one: &Found, begin: u64, status: u16, body: Body) -> Result<()> {
        let (id, unique_id) = (one.seen.id.clone(), one.seen.unique_id.clone());
        self.load.record(self.client, begin, What::Retrieve(Retrieve { id, unique_id, status, body }))
    }

    /// Status, and the body if it came whole.
    async fn fetch(&self, one: &Found, part: Option<(u64, u64)>) -> (u16, Option<Vec<u8>>) {
        let mut request = self.wire.get(&one.url);
        if let Some((from, to)) = part {
            request = request.header(RANGE, format!("bytes={from}-{to}"));
        }
        match request.send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                (status, answer.bytes().await.ok().map(Vec::from))
            }
            Err(_) => (0, None),
        }
    }

    /// Status (0: no answer, or half of one) and JSON of an answer.
    async fn get(&self, url: &str) -> (u16, Value) {
        let Ok(answer) = self.wire.get(url).send().await else { return (0, Value::Null) };
        let status = answer.status().as_u16();
        match answer.bytes().await.map(|body| serde_json::from_slice(&body)) {
            Ok(Ok(value)) => (status, value),
            Ok(Err(_)) if status != 200 => (status, Value::Null),
            Ok(Err(_)) | Err(_) => (0, Value::Null),
        }
    }
}

fn read_found(resource: &Value) -> Option<Found> {
    let attachment = &resource["content"][0]["attachment"];
    Some(Found {
        seen: seen(resource)?,
        url: attachment["url"].as_str().unwrap_or_default().to_owned(),
        size: attachment["size"].as_u64().unwrap_or_default(),
    })
}

fn is_part(content: Content, from: u64, to: u64, bytes: &[u8]) -> bool {
    let whole = content.bytes();
    let (from, to) = (usize::try_from(from).unwrap_or_default(), usize::try_from(to).unwrap_or_default());
    whole.get(from..=to).is_some_and(|part| part == bytes)
}
