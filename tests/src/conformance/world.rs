//! The world the cases assume: patients and documents that everybody may rely on, and helpers to look at it.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use testkit::{Document, Provide};
use uuid::Uuid;

use super::Subject;
use crate::answer::Answer;
use crate::region::Actor;
use crate::wire::Wire;

/// Identifier domain of the patients.
const DOMAIN: &str = "urn:oid:2.25.271828182845904523536028747135266249775";

/// A patient the identity source knows.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// Id at the identity source.
    pub(super) id: String,
    /// Absolute URL.
    pub(super) reference: String,
    /// System of the identifier.
    pub(super) system: String,
    /// Value of the identifier.
    pub(super) value: String,
}

impl Person {
    /// `system|value`, ready for a URL.
    pub(super) fn token(&self) -> String {
        encode(&format!("{}|{}", self.system, self.value))
    }
}

/// A document that is registered.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// Id of the DocumentReference.
    pub(super) id: String,
    /// `attachment.url`.
    pub(super) url: String,
    /// Value of the masterIdentifier.
    pub(super) unique_id: String,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// The resource as the registry gives it.
    pub(super) resource: Value,
}

/// How much there is, to see whether something was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Census {
    counts: Vec<u64>,
    files: Option<usize>,
}

/// The subject with its seed.
pub(super) struct World {
    pub(super) subject: Subject,
    pub(super) wire: Wire,
    pub(super) data: Option<PathBuf>,
    /// Has documents D1, D1S, D1R.
    pub(super) p1: Person,
    /// Has document D2.
    pub(super) p2: Person,
    /// Fed, without documents.
    pub(super) p3: Person,
    /// Merged into P1.
    pub(super) p9: Person,
    /// Of P1, current.
    pub(super) d1: Stored,
    /// Of P1, superseded by D1.
    pub(super) d1s: Stored,
    /// Of P2.
    pub(super) d2: Stored,
}

impl World {
    /// Feeds the patients and submits the documents, all with ids nobody has used before.
    pub(super) async fn prepare(subject: Subject, data: Option<PathBuf>) -> Result<World> {
        let wire = Wire::new()?;
        let nobody = Person {
            id: String::new(),
            reference: String::new(),
            system: String::new(),
            value: String::new(),
        };
        let nothing = Stored {
            id: String::new(),
            url: String::new(),
            unique_id: String::new(),
            bytes: Vec::new(),
            resource: Value::Null,
        };
        let mut world = World {
            subject,
            wire,
            data,
            p1: nobody.clone(),
            p2: nobody.clone(),
            p3: nobody.clone(),
            p9: nobody,
            d1: nothing.clone(),
            d1s: nothing.clone(),
            d2: nothing,
        };
        world.p1 = world.person("P1").await.context("feeding P1")?;
        world.p2 = world.person("P2").await.context("feeding P2")?;
        world.p3 = world.person("P3").await.context("feeding P3")?;
        world.p9 = world.merged().await.context("merging P9 into P1")?;
        let (first, of_second) = (Document::new("superseded soon"), Document::new("of the second patient"));
        world.d1s =
            world.stored(Provide::new(&world.p1.reference).only(first)).await.context("submitting D1S")?;
        let target = format!("DocumentReference/{}", world.d1s.id);
        let replacing = Document::new("the current one").relates_to("replaces", &target);
        let replace = Provide::new(&world.p1.reference).only(replacing).superseding(&world.d1s.id);
        world.d1 = world.stored(replace).await.context("submitting D1, which replaces D1S")?;
        world.d2 =
            world.stored(Provide::new(&world.p2.reference).only(of_second)).await.context("submitting D2")?;
        let mut restricted = Document::new("restricted");
        restricted.confidentiality = "R".into();
        world.stored(Provide::new(&world.p1.reference).only(restricted)).await.context("submitting D1R")?;
        let wrong = world.wire.settle();
        ensure!(wrong.is_empty(), "preparing the world: {}", wrong.join("; "));
        Ok(world)
    }

    /// URL below an actor's FHIR base.
    pub(super) fn url(&self, actor: Actor, path: &str) -> String {
        format!("{}/{path}", self.subject.base(actor))
    }

    /// A new patient, fed with one identifier.
    pub(super) async fn person(&self, name: &str) -> Result<Person> {
        let value = format!("{name}-{}", Uuid::new_v4());
        self.fed(&testkit::patient(DOMAIN, &value, "Quidproquo", name)).await
    }

    /// Feeds a patient under its first identifier (ITI-104).
    pub(super) async fn fed(&self, patient: &Value) -> Result<Person> {
        let identifier = &patient["identifier"][0];
        let (system, value) = (text(&identifier["system"]), text(&identifier["value"]));
        let path = format!("Patient?identifier={}", encode(&format!("{system}|{value}")));
        let answer = self.wire.put(&self.url(Actor::Identity, &path), patient).await?;
        ensure!(
            [200, 201].contains(&answer.status),
            "feeding answers {}: {}",
            answer.status,
            answer.excerpt()
        );
        let id = match answer.header("Location").or(answer.header("Content-Location")) {
            Some(location) => id_of(location).context("the Location names a Patient")?,
            None => text(&answer.json()?["id"]),
        };
        Ok(Person { reference: self.url(Actor::Identity, &format!("Patient/{id}")), id, system, value })
    }

    async fn merged(&self) -> Result<Person> {
        let gone = self.person("P9").await?;
        let body = testkit::merged_patient(&gone.system, &gone.value, &self.p1.system, &self.p1.value);
        let path = format!("Patient?identifier={}", gone.token());
        self.wire.put(&self.url(Actor::Identity, &path), &body).await?.expect(200)?;
        Ok(gone)
    }

    /// Provides a bundle (ITI-65).
    pub(super) async fn provide(&self, bundle: &Value) -> Result<Answer> {
        self.wire.post(self.subject.base(Actor::Repository), bundle).await
    }

    /// Provides one document and reads its reference back.
    pub(super) async fn stored(&self, provide: Provide) -> Result<Stored> {
        let answer = self.provide(&provide.bundle()).await?;
        answer.expect(200)?;
        let document = &provide.documents[0];
        let id = created(&answer, "DocumentReference")?
            .into_iter()
            .next()
            .context("a DocumentReference was created")?;
        let resource = self.reference(&id).await?;
        let url = text(&resource["content"][0]["attachment"]["url"]);
        Ok(Stored { id, url, unique_id: document.unique_id.clone(), bytes: document.bytes.clone(), resource })
    }

    /// Reads a DocumentReference.
    pub(super) async fn reference(&self, id: &str) -> Result<Value> {
        self.wire.get(&self.url(Actor::Registry, &format!("DocumentReference/{id}"))).await?.expect(200)
    }

    /// Searches at an actor; the matches.
    pub(super) async fn search(&self, actor: Actor, query: &str) -> Result<Vec<Value>> {
        self.wire.get(&self.url(actor, query)).await?.matches()
    }

    /// How many a search finds, by its total.
    pub(super) async fn count(&self, query: &str) -> Result<u64> {
        let answer = self.wire.get(&self.url(Actor::Registry, &format!("{query}&_summary=count"))).await?;
        answer.expect(200)?["total"].as_u64().context("a count has a total")
    }

    /// Counts what belongs to the patients, and the files of documents.
    pub(super) async fn census(&self) -> Result<Census> {
        let mut counts = Vec::new();
        for person in [&self.p1, &self.p2, &self.p3] {
            for kind in ["DocumentReference", "List"] {
                counts.push(self.count(&format!("{kind}?patient={}", encode(&person.reference))).await?);
            }
        }
        let current = format!("DocumentReference?patient={}&status=current", encode(&self.p1.reference));
        counts.push(self.count(&current).await?);
        Ok(Census {
            counts,
            files: self.subject.data(Actor::Repository).map(|data| files(&data.join("blobs"))),
        })
    }

    /// Nothing was stored since a census, and nothing has this unique id.
    pub(super) async fn nothing_stored(&self, before: &Census, bundle: &Value) -> Result<()> {
        let after = self.census().await?;
        ensure!(*before == after, "nothing is stored: {before:?} became {after:?}");
        for unique_id in unique_ids(bundle) {
            if [&self.d1, &self.d1s, &self.d2].iter().any(|known| known.unique_id == unique_id) {
                continue;
            }
            let query = format!("DocumentReference?identifier={}", encode(&unique_id));
            ensure!(
                self.search(Actor::Registry, &query).await?.is_empty(),
                "no document has the unique id {unique_id}"
            );
        }
        Ok(())
    }

    /// A bundle is refused like this and leaves nothing.
    pub(super) async fn refuses(
        &self,
        bundle: &Value,
        statuses: &[u16],
        codes: &[&str],
        details: &[&str],
    ) -> Result<Answer> {
        let before = self.census().await?;
        let answer = self.provide(bundle).await?;
        if details.is_empty() {
            answer.refused(statuses, codes)?;
        } else {
            answer.refused_with(statuses, codes, details)?;
        }
        self.nothing_stored(&before, bundle).await?;
        Ok(answer)
    }

    /// The same for a body that is no JSON value of ours.
    pub(super) async fn refuses_text(
        &self,
        body: Vec<u8>,
        statuses: &[u16],
        codes: &[&str],
    ) -> Result<Answer> {
        let before = self.census().await?;
        let answer = self.wire.post_text(self.subject.base(Actor::Repository), body).await?;
        answer.refused(statuses, codes)?;
        self.nothing_stored(&before, &Value::Null).await?;
        Ok(answer)
    }

    /// The metrics of an actor, if its admin listener is known.
    pub(super) async fn metrics(&self, actor: Actor) -> Option<String> {
        let url = format!("{}/metrics", self.subject.admin(actor)?);
        let answer = self.wire.get(&url).await.ok()?;
        (answer.status == 200).then(|| String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// `B65` for P1.
    pub(super) fn b65(&self) -> Provide {
        Provide::new(&self.p1.reference)
    }

    /// Every actor serves a plain request.
    pub(super) async fn healthy(&self) -> Result<()> {
        let query =
            format!("DocumentReference?patient={}&status=current&_count=1", encode(&self.p1.reference));
        let found = self.search(Actor::Registry, &query).await.context("a healthy search")?;
        ensure!(!found.is_empty(), "a healthy search finds something");
        let document = self.wire.get(&self.d1.url).await.context("a healthy retrieval")?;
        ensure!(document.status == 200 && document.body[..] == self.d1.bytes[..], "D1 is retrieved");
        let patient = self.wire.get(&self.p1.reference).await.context("a healthy read of a patient")?;
        ensure!(patient.status == 200, "P1 is read");
        Ok(())
    }
}

/// Percent-encodes everything that could mean something in a URL.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A string of JSON, or nothing.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The id in a location: `…/Type/id`, `…/Type/id/_history/1`.
pub(crate) fn id_of(location: &str) -> Option<String> {
    let plain = location.split("/_history/").next()?;
    plain.rsplit('/').next().filter(|id| !id.is_empty()).map(str::to_owned)
}

/// Ids of what a transaction created of a type, in order.
pub(crate) fn created(answer: &Answer, kind: &str) -> Result<Vec<String>> {
    let bundle = answer.json()?;
    let locations =
        bundle["entry"].as_array().into_iter().flatten().map(|entry| text(&entry["response"]["location"]));
    let marker = format!("{kind}/");
    Ok(locations
        .filter(|location| location.contains(&marker))
        .filter_map(|location| id_of(&location))
        .collect())
}

/// Values of all master identifiers in a bundle.
fn unique_ids(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().into_iter().flatten();
    entries
        .filter_map(|entry| entry["resource"]["masterIdentifier"]["value"].as_str().map(str::to_owned))
        .collect()
}

fn files(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.flatten().map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}
