//! Groups a merged patient is a member of: the survivor takes its place, and gives it back when the merge is undone.

use bytes::Bytes;
use serde_json::{Value, json};
use store::{Put, Row, Version};

use super::{Moving, Owner, Planned};
use crate::face::time::instant_text;
use crate::patients;
use crate::records::{GROUP, GroupRecord, Held, INCLUDES, Moved, group_put, unreadable};

impl Moving<'_> {
    /// Puts the survivor in the place of a patient in every group that includes it.
    pub(super) fn replace_member(
        &self,
        (from, into): (&str, &Owner),
        beside: &[Put],
        planned: &mut Planned,
        ledger: &mut Vec<Moved>,
    ) -> Result<(), store::Error> {
        for id in self.store.sources(GROUP, INCLUDES, from)? {
            let Some((version, mut resource, mut record)) = self.group(&id, beside)? else { continue };
            let revision = version - record.moves;
            let moved = Moved { held: Held::Group, id: id.clone(), version, revision };
            let is_there = record.members.contains(&into.id);
            let mut members = Vec::new();
            for mut member in taken(&mut resource) {
                if self.member(&member)?.as_deref() == Some(from) {
                    if is_there {
                        continue;
                    }
                    member["entity"] = into.subject.clone();
                }
                members.push(member);
            }
            resource["member"] = Value::Array(members);
            record.members.retain(|member| member != from);
            include(&mut record, &into.id);
            self.write((&id, version), resource, record, planned);
            ledger.push(moved);
        }
        Ok(())
    }

    /// Puts a patient back into a group that nobody has changed since the merge.
    pub(super) fn restore_member(
        &self,
        moved: &Moved,
        (patient, holder): (&str, &str),
        beside: &[Put],
        planned: &mut Planned,
    ) -> Result<(), store::Error> {
        let Some((version, mut resource, mut record)) = self.group(&moved.id, beside)? else { return Ok(()) };
        let before = self.store.version(GROUP, &moved.id, moved.version)?;
        let Some(before) = before.filter(|_| version - record.moves == moved.revision) else {
            return Ok(());
        };
        let (mut was, then) = read(&before)?;
        if !then.members.contains(&patient.to_owned()) {
            return Ok(());
        }
        let mut entity = None;
        for member in taken(&mut was) {
            if self.member(&member)?.as_deref() == Some(patient) {
                entity = Some(member);
            }
        }
        let mut members = taken(&mut resource);
        if !then.members.contains(&holder.to_owned()) {
            let mut kept = Vec::with_capacity(members.len());
            for member in members {
                if self.member(&member)?.as_deref() != Some(holder) {
                    kept.push(member);
                }
            }
            members = kept;
            record.members.retain(|member| member != holder);
        }
        members.extend(entity);
        resource["member"] = Value::Array(members);
        include(&mut record, patient);
        self.write((&moved.id, version), resource, record, planned);
        Ok(())
    }

    /// A group as it will stand behind what else is in the commit, with its version.
    fn group(&self, id: &str, beside: &[Put]) -> Result<Option<(Version, Value, GroupRecord)>, store::Error> {
        if let Some(put) = beside.iter().rev().find(|put| put.kind == GROUP && put.id == id) {
            let (resource, record) = parsed(id, &put.rendering, &put.body)?;
            return Ok(Some((put.version, resource, record)));
        }
        let Some(row) = self.store.get(GROUP, id)?.filter(|row| !row.deleted) else { return Ok(None) };
        let (resource, record) = read(&row)?;
        Ok(Some((row.version, resource, record)))
    }

    fn write(
        &self,
        (id, before): (&str, Version),
        mut resource: Value,
        mut record: GroupRecord,
        planned: &mut Planned,
    ) {
        record.moves += 1;
        let version = before + 1;
        resource["meta"]["versionId"] = json!(version.to_string());
        resource["meta"]["lastUpdated"] = json!(instant_text(self.now));
        let put = group_put(id, version, &record, Some(Bytes::from(resource.to_string())));
        planned.add(Held::Group, put);
    }

    /// Whom a member of a group is.
    fn member(&self, member: &Value) -> Result<Option<String>, store::Error> {
        let entity = &member["entity"];
        if let Some(reference) = entity["reference"].as_str() {
            return patients::known(self.store, self.identity, reference);
        }
        let identifier = &entity["identifier"];
        match identifier["value"].as_str() {
            Some(value) => patients::known_by(self.store, identifier["system"].as_str(), value),
            None => Ok(None),
        }
    }
}

fn taken(resource: &mut Value) -> Vec<Value> {
    match resource.get_mut("member").map(Value::take) {
        Some(Value::Array(members)) => members,
        _ => Vec::new(),
    }
}

fn include(record: &mut GroupRecord, id: &str) {
    if let Err(place) = record.members.binary_search_by(|member| member.as_str().cmp(id)) {
        record.members.insert(place, id.to_owned());
    }
}

fn read(row: &Row) -> Result<(Value, GroupRecord), store::Error> {
    parsed(&row.id, &row.rendering, &row.body)
}

fn parsed(id: &str, rendering: &[u8], body: &[u8]) -> Result<(Value, GroupRecord), store::Error> {
    let damaged = |error: serde_json::Error| unreadable(GROUP, id, &error);
    Ok((serde_json::from_slice(rendering).map_err(damaged)?, serde_json::from_slice(body).map_err(damaged)?))
}
