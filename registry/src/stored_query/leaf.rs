//! Registered objects as ebRIM writes them. What was written is remembered for a while: a version of an object is written the same
//! as long as its patient is the same.

use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use ebxml::Writer;
use ebxml::rim::{self, Standing};
use moka::sync::Cache;
use serde::Deserialize;
use serde::de::IgnoredAny;
use store::{Kind, Row, Store};
use xds::attribute::system;
use xds::identifier::is_oid;
use xds::ties::VersionOf;
use xds::{EntryUuid, Identifier, ObjectRef, Timestamp};

use super::item::{Item, kind_of};
use crate::authorities::Authorities;
use crate::records::association::{self, Association, Object};
use crate::records::{DOCUMENT, LIST, patient_row, unreadable};

/// Bytes of written objects that are remembered.
const REMEMBERED: u64 = 64 << 20;

/// Bytes of an object in ebRIM, about.
const ABOUT: usize = 6 << 10;

/// A version of an object, and of the patient it is shown with.
type Key = (&'static str, String, u64, u64);

/// Writes objects.
#[derive(Clone)]
pub(crate) struct Leaves {
    written: Cache<Key, Bytes>,
}

impl Default for Leaves {
    fn default() -> Leaves {
        let weight = |_: &Key, xml: &Bytes| u32::try_from(xml.len() + 256).unwrap_or(u32::MAX);
        Leaves { written: Cache::builder().weigher(weight).max_capacity(REMEMBERED).build() }
    }
}

impl Leaves {
    /// An object of an answer, whole.
    pub(super) fn write(&self, item: &Item, shown: &mut Shown<'_>) -> Result<Bytes, store::Error> {
        let (kind, row) = match item {
            Item::Association(association) => return Ok(Bytes::from(write_association(association))),
            Item::Row(kind, row) => (*kind, row),
            Item::Object(object) => (kind_of(object), object.row()),
        };
        let key = (kind.0, row.id.clone(), row.sequence, shown.sequence(&row.partition)?);
        if let Some(xml) = self.written.get(&key) {
            return Ok(xml);
        }
        let read;
        let object = match item {
            Item::Object(object) => object,
            Item::Row(kind, row) => {
                read = association::read(*kind, row.clone())?;
                match &read {
                    Some(object) => object,
                    None => return Ok(Bytes::new()),
                }
            }
            Item::Association(_) => return Ok(Bytes::new()),
        };
        let xml = Bytes::from(write(object, shown)?);
        self.written.insert(key, xml.clone());
        Ok(xml)
    }
}

fn write(object: &Object, shown: &mut Shown<'_>) -> Result<Vec<u8>, store::Error> {
    let mut xml = Writer::with_capacity(ABOUT);
    let lid = |id: &EntryUuid| Some(format!("urn:uuid:{}", id.as_str()));
    match object {
        Object::Document(row, record) => {
            let mut entry = record.entry.clone();
            entry.entry_uuid = Some(record.id().clone());
            entry.patient.identifier = shown.identifier(&row.partition, entry.patient.identifier.as_ref())?;
            let standing = Standing {
                status: Some(entry.availability),
                lid: lid(record.logical()),
                version: Some(record.version.number),
                ..Standing::default()
            };
            rim::write_document(&mut xml, &entry, &standing);
        }
        Object::Folder(row, record) => {
            let mut folder = record.folder.clone();
            folder.entry_uuid = Some(record.id().clone());
            folder.patient.identifier =
                shown.identifier(&row.partition, folder.patient.identifier.as_ref())?;
            let updated = record.updated.unwrap_or(row.instant);
            let standing = Standing {
                status: Some(record.availability()),
                lid: lid(record.logical()),
                version: Some(record.version.number),
                last_update: Some(Timestamp {
                    text: xds::hl7::dtm::of_micros(updated),
                    from: updated,
                    to: updated + 1,
                }),
                ..Standing::default()
            };
            rim::write_folder(&mut xml, &folder, &standing);
        }
        Object::Set(row, record) => {
            let mut set = record.set.clone();
            set.patient.identifier = shown.identifier(&row.partition, set.patient.identifier.as_ref())?;
            let standing = Standing { status: Some(xds::Availability::Approved), ..Standing::default() };
            rim::write_submission_set(&mut xml, &set, &standing);
        }
    }
    Ok(xml.finish())
}

fn write_association(association: &Association) -> Vec<u8> {
    let end = |id: &EntryUuid| ObjectRef::Registered(id.clone());
    let written = xds::Association {
        entry_uuid: Some(association.id.clone()),
        documentation: association.documentation.clone(),
        extra: association.extra.clone(),
        ..xds::Association::new(
            association.kind,
            end(&association.source),
            end(&association.target),
            String::new(),
        )
    };
    let standing = Standing {
        status: Some(association.availability),
        lid: Some(format!("urn:uuid:{}", association.id.as_str())),
        version: Some(1),
        original: association.original,
        ..Standing::default()
    };
    let mut xml = Writer::with_capacity(1024);
    rim::write_association(&mut xml, &written, &standing);
    xml.finish()
}

/// A reference to an object. Which version it is, is all that is looked at.
pub(super) fn reference(item: &Item) -> Result<Bytes, store::Error> {
    let id = match item {
        Item::Association(association) => association.id.as_str().to_owned(),
        Item::Object(object) => object.id().map_or(object.row().id.as_str(), EntryUuid::as_str).to_owned(),
        Item::Row(kind, row) => version_id(*kind, row)?,
    };
    let mut xml = Writer::with_capacity(96);
    rim::write_object_reference(&mut xml, &format!("urn:uuid:{id}"), None);
    Ok(Bytes::from(xml.finish()))
}

/// As much of a record as tells its version.
#[derive(Deserialize)]
struct Versioned {
    #[serde(default)]
    version: VersionOf,
}

/// The same of a list.
#[derive(Deserialize)]
enum VersionedList {
    SubmissionSet(IgnoredAny),
    Folder(Versioned),
}

fn version_id(kind: Kind, row: &Row) -> Result<String, store::Error> {
    let damaged = |error: serde_json::Error| unreadable(kind, &row.id, &error);
    let version = match kind {
        DOCUMENT => serde_json::from_slice::<Versioned>(&row.body).map_err(damaged)?.version,
        LIST => match serde_json::from_slice(&row.body).map_err(damaged)? {
            VersionedList::SubmissionSet(_) => VersionOf::default(),
            VersionedList::Folder(folder) => folder.version,
        },
        // A past version lies under its own id.
        _ => VersionOf::default(),
    };
    Ok(version.entry_uuid.map_or_else(|| row.id.clone(), |id| id.as_str().to_owned()))
}

/// The patients of an answer, each looked up once.
pub(super) struct Shown<'a> {
    store: &'a Store,
    authorities: &'a Authorities,
    patients: HashMap<String, Rc<Whose>>,
}

/// Whose the objects of a partition are.
struct Whose {
    /// The commit that last wrote the patient.
    sequence: u64,
    identifiers: Vec<Identifier>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(store: &'a Store, authorities: &'a Authorities) -> Shown<'a> {
        Shown { store, authorities, patients: HashMap::new() }
    }

    fn whose(&mut self, partition: &str) -> Result<Rc<Whose>, store::Error> {
        if let Some(whose) = self.patients.get(partition) {
            return Ok(Rc::clone(whose));
        }
        let (sequence, identifiers) = match patient_row(self.store, partition)? {
            Some((row, record)) => (row.sequence, record.identifiers),
            None => (0, Vec::new()),
        };
        let whose = Rc::new(Whose { sequence, identifiers });
        self.patients.insert(partition.to_owned(), Rc::clone(&whose));
        Ok(whose)
    }

    /// The commit that last wrote the patient.
    fn sequence(&mut self, partition: &str) -> Result<u64, store::Error> {
        Ok(self.whose(partition)?.sequence)
    }

    /// patientId of an object: as its source named the patient, if that is an identifier of the patient with an OID; else the one of
    /// the affinity domain, or the first with an OID.
    fn identifier(
        &mut self,
        partition: &str,
        named: Option<&Identifier>,
    ) -> Result<Option<Identifier>, store::Error> {
        let whose = self.whose(partition)?;
        let of_oid = |identifier: &&Identifier| is_oid(&system(&identifier.system));
        let same = |one: &Identifier, other: &Identifier| {
            system(&one.system) == system(&other.system) && one.value == other.value
        };
        let all = &whose.identifiers;
        let own = named.filter(|named| of_oid(named) && all.iter().any(|one| same(one, named)));
        let best = || {
            let of_domain = all.iter().find(|one| self.authorities.has(&one.system));
            of_domain.or_else(|| all.iter().find(of_oid)).or(all.first())
        };
        Ok(own.or_else(best).or(named).cloned())
    }
}
