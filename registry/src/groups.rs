//! Groups of patients: who belongs to one, kept for exports.

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use bytes::Bytes;
use serde_json::{Value, json};
use store::{Batch, Instant, Store, Version};
use xds::{Finding, Findings, Place, Rule};

use crate::merged;
use crate::patients;
use crate::records::{GroupRecord, group_put, group_row};

/// The use case.
#[derive(Clone)]
pub(crate) struct Groups {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    /// Public base of the identity source.
    pub(crate) identity: String,
}

/// A group as it is to stand.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// Its id.
    pub(crate) id: String,
    /// The versions one of which must stand (`If-Match`); empty: whichever does.
    pub(crate) expected: Vec<String>,
    /// The resource; none: it is to go.
    pub(crate) resource: Option<Value>,
}

/// A group as it stands now.
#[derive(Debug, Clone)]
pub(crate) struct Stands {
    /// Its version.
    pub(crate) version: Version,
    /// When that was written.
    pub(crate) updated: Instant,
    /// Whether it is new.
    pub(crate) created: bool,
    /// The resource; none: it is gone.
    pub(crate) resource: Option<Bytes>,
}

/// Writes a group, or removes it.
#[derive(Clone)]
pub(crate) struct Keep(pub(crate) Groups);

impl Transaction for Keep {
    type Request = Given;
    type Response = Stands;
    type Findings = Findings;
    const NUMBER: &'static str = "group";
    const ACTION: Action = Action::Update;

    async fn run(
        &self,
        _: Grant<Self>,
        mut trail: Trail,
        given: Given,
    ) -> Result<Audited<Stands>, Fault<Findings>> {
        let Keep(groups) = self;
        loop {
            let known = group_row(&groups.store, &given.id)?;
            let version = known.as_ref().map_or(0, |row| row.version);
            let stands = known.as_ref().is_some_and(|row| !row.deleted);
            let fits = |tag: &String| tag == "*" && stands || *tag == version.to_string();
            if !given.expected.is_empty() && !given.expected.iter().any(fits) {
                return Err(Fault::Precondition(format!("the current version is {version}")));
            }
            let now = groups.clock.now();
            let subject =
                Subject { patient: None, entities: vec![format!("Group/{}", given.id)], query: None };
            let (put, response, action) = match &given.resource {
                Some(resource) => {
                    let record = groups.members(resource)?;
                    let resource = written(resource, &given.id, version + 1, now);
                    let put = group_put(&given.id, version + 1, &record, Some(resource.clone()));
                    let action = if stands { Action::Update } else { Action::Create };
                    let stands = Stands {
                        version: version + 1,
                        updated: now,
                        created: !stands,
                        resource: Some(resource),
                    };
                    (put, stands, action)
                }
                None if !stands => {
                    let nothing = Stands { version, updated: now, created: false, resource: None };
                    return Ok(trail.note(&groups.store, now, subject, nothing).await?);
                }
                None => {
                    let put = group_put(&given.id, version + 1, &GroupRecord::default(), None);
                    let gone = Stands { version: version + 1, updated: now, created: false, resource: None };
                    (put, gone, Action::Delete)
                }
            };
            let batch = Batch { instant: now, puts: vec![put], ..Batch::default() };
            match trail.telling(action).commit(&groups.store, batch, subject, |_| response).await {
                Ok(audited) => return Ok(audited),
                Err((back, store::Error::Lost(_))) => trail = *back,
                Err((_, error)) => return Err(error.into()),
            }
        }
    }
}

impl Groups {
    /// Who belongs to a group: every member that is not marked as inactive. All that is wrong with it is told at once.
    fn members(&self, group: &Value) -> Result<GroupRecord, Fault<Findings>> {
        let mut findings = Findings::new();
        let mut wrong = |rule, at: &str, text: String| {
            findings.push(Finding::error(rule, Place::at(format!("Group{at}")), text));
        };
        if group.get("type").and_then(Value::as_str) != Some("person") {
            wrong(Rule::Value, ".type", "a group of patients has type person".to_owned());
        }
        if group.get("actual").and_then(Value::as_bool) != Some(true) {
            let text = "a group with members has actual true; one that only describes who would belong to it cannot be kept here";
            wrong(Rule::Value, ".actual", text.to_owned());
        }
        if group.get("characteristic").is_some() {
            let text = "a group is kept by its members; characteristic is not evaluated here";
            wrong(Rule::NotSupported, ".characteristic", text.to_owned());
        }
        let members = group.get("member").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut ids = Vec::with_capacity(members.len());
        for (index, member) in members.iter().enumerate() {
            let at = format!("Group.member[{index}].entity");
            let Some(entity) = member.get("entity") else {
                findings.push(Finding::error(Rule::Required, Place::at(at), "a member needs its entity"));
                continue;
            };
            let (named, known) = self.member(entity)?;
            match known {
                _ if named.is_empty() => findings.push(Finding::error(
                    Rule::Required,
                    Place::at(at),
                    "a member is named by reference (Patient/[id]) or by identifier (system and value)",
                )),
                None => findings.push(patients::unknown(&at, &named)),
                Some(_) if member.get("inactive").and_then(Value::as_bool) == Some(true) => {}
                Some(id) => match merged::survivor(&self.store, &id)? {
                    None => ids.push(id),
                    // Nothing belongs to it any more, so the group would hold nothing of this member.
                    Some(survivor) => {
                        let text = format!(
                            "{named} was merged into Patient/{survivor}; name that one as the member"
                        );
                        findings.push(Finding::error(Rule::UnknownPatient, Place::at(at), text));
                    }
                },
            }
        }
        if !findings.is_empty() {
            return Err(Fault::Refused(findings));
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(GroupRecord { members: ids, moves: 0 })
    }

    /// How a member is named, and who that is.
    fn member(&self, entity: &Value) -> Result<(String, Option<String>), store::Error> {
        if let Some(reference) = entity.get("reference").and_then(Value::as_str) {
            return Ok((reference.to_owned(), patients::known(&self.store, &self.identity, reference)?));
        }
        let text = |name: &str| {
            entity.get("identifier").and_then(|identifier| identifier.get(name)).and_then(Value::as_str)
        };
        let Some(value) = text("value") else { return Ok((String::new(), None)) };
        let system = text("system");
        let named = format!("{}|{value}", system.unwrap_or_default());
        Ok((named, patients::known_by(&self.store, system, value)?))
    }
}

/// The resource as it is given out.
fn written(resource: &Value, id: &str, version: Version, now: Instant) -> Bytes {
    let mut resource = resource.clone();
    resource["id"] = Value::from(id);
    let mut meta = resource.get("meta").cloned().filter(Value::is_object).unwrap_or_else(|| json!({}));
    meta["versionId"] = Value::from(version.to_string());
    meta["lastUpdated"] = Value::from(crate::face::time::instant_text(now));
    resource["meta"] = meta;
    Bytes::from(resource.to_string())
}

/// Reads a group.
#[derive(Clone)]
pub(crate) struct ReadGroup(pub(crate) Groups);

impl Transaction for ReadGroup {
    type Request = String;
    type Response = Stands;
    type Findings = Findings;
    const NUMBER: &'static str = "group";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        id: String,
    ) -> Result<Audited<Stands>, Fault<Findings>> {
        let ReadGroup(groups) = self;
        let row = group_row(&groups.store, &id)?.ok_or(Fault::NotFound)?;
        if row.deleted {
            return Err(Fault::Gone(row.version));
        }
        let subject = Subject { patient: None, entities: vec![format!("Group/{id}")], query: None };
        let stands = Stands {
            version: row.version,
            updated: row.instant,
            created: false,
            resource: Some(row.rendering),
        };
        Ok(trail.note(&groups.store, groups.clock.now(), subject, stands).await?)
    }
}
