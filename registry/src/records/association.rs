//! Associations as registered objects (TF-3 4.2.2): each is kept with the object it begins at, and found by its id, by what it
//! begins at and by what it ends at. Their logicalID is their id, their version 1.

use store::{AnyOf, Ask, Kind, Order, Row, Scope, Store, Test};
use xds::attribute::{Attribute, identifier_value};
use xds::{AssociationType, Availability, Code, EntryUuid, Slot};

use super::{
    ASSOCIATION, DOCUMENT, DOCUMENT_PAST, DocumentRecord, FolderRecord, HAS_MEMBER, HOLDS, LIST, LIST_PAST,
    ListRecord, RELATION_EDGES, SUBMITS, SetRecord, document_row, list_row, unreadable,
};

/// A registered association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Association {
    /// entryUUID, and logicalID.
    pub(crate) id: EntryUuid,
    /// What it says.
    pub(crate) kind: AssociationType,
    /// entryUUID of the version it begins at.
    pub(crate) source: EntryUuid,
    /// entryUUID of the version, or of the association, it ends at.
    pub(crate) target: EntryUuid,
    /// availabilityStatus.
    pub(crate) availability: Availability,
    /// SubmissionSetStatus, from a submission set to a document: whether it was submitted with it (`Original`).
    pub(crate) original: Option<bool>,
    /// Association documentation.
    pub(crate) documentation: Option<Code>,
    /// Extra metadata.
    pub(crate) extra: Vec<Slot>,
    /// The patient of the object it begins at, by the id of this domain.
    pub(crate) patient: String,
}

/// A version of an object, current or past.
#[derive(Debug, Clone)]
pub(crate) enum Object {
    /// A document entry.
    Document(Row, Box<DocumentRecord>),
    /// A folder.
    Folder(Row, Box<FolderRecord>),
    /// A submission set.
    Set(Row, Box<SetRecord>),
}

impl Object {
    fn of_list(row: Row, record: ListRecord) -> Object {
        match record {
            ListRecord::SubmissionSet(record) => Object::Set(row, Box::new(record)),
            ListRecord::Folder(record) => Object::Folder(row, Box::new(record)),
        }
    }

    /// entryUUID of this version.
    pub(crate) fn id(&self) -> Option<&EntryUuid> {
        match self {
            Object::Document(_, record) => Some(record.id()),
            Object::Folder(_, record) => Some(record.id()),
            Object::Set(_, record) => record.set.entry_uuid.as_ref(),
        }
    }

    /// Its row.
    pub(crate) fn row(&self) -> &Row {
        match self {
            Object::Document(row, _) | Object::Folder(row, _) | Object::Set(row, _) => row,
        }
    }

    /// Whether another version has taken its place: such a one has nothing for a reader of FHIR, who never sees it.
    pub(crate) fn is_past(&self) -> bool {
        self.row().rendering.is_empty()
    }

    /// The associations that begin at it.
    pub(crate) fn begun(&self) -> Vec<Association> {
        match self {
            Object::Document(row, record) => of_document(&row.partition, record),
            Object::Folder(row, record) => of_folder(&row.partition, record),
            Object::Set(row, record) => of_set(&row.partition, record),
        }
    }
}

/// The version with this entryUUID, current or past; none if it is not there, or has been removed.
pub(crate) fn object(store: &Store, id: &EntryUuid) -> Result<Option<Object>, store::Error> {
    if let Some((row, record)) = document_row(store, id.as_str())? {
        if record.id() == id {
            return Ok(Some(Object::Document(row, Box::new(record))));
        }
    } else if let Some((row, record)) = list_row(store, id.as_str())? {
        let object = Object::of_list(row, record);
        if object.id() == Some(id) {
            return Ok(Some(object));
        }
    }
    if let Some((row, record)) = past_document(store, id)? {
        return Ok(Some(Object::Document(row, Box::new(record))));
    }
    if let Some((row, record)) = past_list(store, id.as_str())? {
        return Ok(Some(Object::of_list(row, record)));
    }
    current(store, id)
}

/// The object whose current version has this entryUUID, where that is not its logicalID.
pub(crate) fn current(store: &Store, id: &EntryUuid) -> Result<Option<Object>, store::Error> {
    for row in named(store, DOCUMENT, id)? {
        let record: DocumentRecord =
            serde_json::from_slice(&row.body).map_err(|e| unreadable(DOCUMENT, &row.id, &e))?;
        if record.id() == id {
            return Ok(Some(Object::Document(row, Box::new(record))));
        }
    }
    for row in named(store, LIST, id)? {
        let record = serde_json::from_slice(&row.body).map_err(|e| unreadable(LIST, &row.id, &e))?;
        let object = Object::of_list(row, record);
        if object.id() == Some(id) {
            return Ok(Some(object));
        }
    }
    Ok(None)
}

/// The current version of a document or folder, by logicalID.
pub(crate) fn standing(store: &Store, logical: &EntryUuid) -> Result<Option<Object>, store::Error> {
    if let Some((row, record)) = document_row(store, logical.as_str())? {
        return Ok(Some(Object::Document(row, Box::new(record))));
    }
    Ok(list_row(store, logical.as_str())?.map(|(row, record)| Object::of_list(row, record)))
}

/// The logicalID of the object this entryUUID is a version of, and whether that version is the current one.
pub(crate) fn logical(store: &Store, id: &EntryUuid) -> Result<Option<(EntryUuid, bool)>, store::Error> {
    if let Some((_, record)) = document_row(store, id.as_str())? {
        return Ok(Some((id.clone(), record.id() == id)));
    }
    if let Some((row, record)) = list_row(store, id.as_str())? {
        let object = Object::of_list(row, record);
        return Ok(Some((id.clone(), object.id() == Some(id))));
    }
    let found = object(store, id)?;
    let is_current = found.as_ref().is_some_and(|object| !object.is_past());
    Ok(found.map(|object| match object {
        Object::Document(_, record) => (record.logical().clone(), is_current),
        Object::Folder(_, record) => (record.logical().clone(), is_current),
        Object::Set(..) => (id.clone(), is_current),
    }))
}

/// A version of a document that another one has taken the place of.
pub(crate) fn past_document(
    store: &Store,
    id: &EntryUuid,
) -> Result<Option<(Row, DocumentRecord)>, store::Error> {
    let row = store.get(DOCUMENT_PAST, id.as_str())?.filter(|row| !row.deleted);
    let Some(row) = row else { return Ok(None) };
    let record = serde_json::from_slice(&row.body).map_err(|e| unreadable(DOCUMENT_PAST, &row.id, &e))?;
    Ok(Some((row, record)))
}

fn past_list(store: &Store, id: &str) -> Result<Option<(Row, ListRecord)>, store::Error> {
    let Some(row) = store.get(LIST_PAST, id)?.filter(|row| !row.deleted) else { return Ok(None) };
    let record = serde_json::from_slice(&row.body).map_err(|e| unreadable(LIST_PAST, &row.id, &e))?;
    Ok(Some((row, record)))
}

fn named(store: &Store, kind: Kind, id: &EntryUuid) -> Result<Vec<Row>, store::Error> {
    let value = Some(identifier_value(id.as_str()));
    let test = Test::Term { name: Attribute::Identifier.name(), space: None, value };
    let ask = Ask {
        kind,
        scope: Scope::Everywhere,
        all: vec![AnyOf { tests: vec![test], negated: false }],
        order: Order::Natural,
        after: None,
        limit: 8,
        as_of: None,
        total: false,
    };
    Ok(store.find(&ask)?.rows)
}

/// Whether anything has this entryUUID, or had it: also a version, an association, or what was removed.
pub(crate) fn is_taken(store: &Store, id: &EntryUuid) -> Result<bool, store::Error> {
    const KINDS: [Kind; 4] = [DOCUMENT, LIST, DOCUMENT_PAST, LIST_PAST];
    for kind in KINDS {
        if store.get(kind, id.as_str())?.is_some() {
            return Ok(true);
        }
    }
    for kind in KINDS {
        if !store.sources(kind, ASSOCIATION, id.as_str())?.is_empty() {
            return Ok(true);
        }
    }
    Ok(current(store, id)?.is_some())
}

/// The association with this id.
pub(crate) fn by_id(store: &Store, id: &EntryUuid) -> Result<Option<Association>, store::Error> {
    Ok(holder(store, id)?.and_then(|holder| holder.begun().into_iter().find(|one| one.id == *id)))
}

/// The object that an association is kept with: the one it begins at.
pub(crate) fn holder(store: &Store, id: &EntryUuid) -> Result<Option<Object>, store::Error> {
    for kind in [LIST, DOCUMENT, DOCUMENT_PAST, LIST_PAST] {
        for source in store.sources(kind, ASSOCIATION, id.as_str())? {
            if let Some(object) = row_of(store, kind, &source)? {
                return Ok(Some(object));
            }
        }
    }
    Ok(None)
}

/// The object of a row; none if it was removed.
pub(crate) fn row_of(store: &Store, kind: Kind, id: &str) -> Result<Option<Object>, store::Error> {
    match store.get(kind, id)? {
        Some(row) => read(kind, row),
        None => Ok(None),
    }
}

/// The same of a row at hand.
pub(crate) fn read(kind: Kind, row: Row) -> Result<Option<Object>, store::Error> {
    if row.deleted {
        return Ok(None);
    }
    let damaged = |error: serde_json::Error| unreadable(kind, &row.id, &error);
    Ok(Some(match kind {
        DOCUMENT | DOCUMENT_PAST => {
            let record = serde_json::from_slice(&row.body).map_err(damaged)?;
            Object::Document(row, Box::new(record))
        }
        _ => {
            let record = serde_json::from_slice(&row.body).map_err(damaged)?;
            Object::of_list(row, record)
        }
    }))
}

/// Every association that begins or ends at one of these: versions of objects, or associations.
pub(crate) fn touching(store: &Store, ids: &[EntryUuid]) -> Result<Vec<Association>, store::Error> {
    let mut found = Found::default();
    for id in ids {
        match object(store, id)? {
            Some(object) => {
                found.extend(object.begun());
                ending_at(store, &object, id, &mut found)?;
            }
            None => holding(store, id, &mut found)?,
        }
    }
    Ok(found.all)
}

#[derive(Default)]
struct Found {
    all: Vec<Association>,
    seen: std::collections::HashSet<EntryUuid>,
}

impl Found {
    fn extend(&mut self, associations: impl IntoIterator<Item = Association>) {
        for association in associations {
            if self.seen.insert(association.id.clone()) {
                self.all.push(association);
            }
        }
    }
}

/// The objects at which something may begin that ends at any version of this one.
pub(crate) fn pointing(store: &Store, object: &Object) -> Result<Vec<Object>, store::Error> {
    let Some(logical) = logical_of(object) else { return Ok(Vec::new()) };
    let mut objects = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (kind, edge) in edges_to(object) {
        for source in store.sources(kind, edge, logical.as_str())? {
            if seen.insert((kind, source.clone()))
                && let Some(object) = row_of(store, kind, &source)?
            {
                objects.push(object);
            }
        }
    }
    Ok(objects)
}

/// logicalID of what an association can end at; a submission set is no such thing.
pub(crate) fn logical_of(object: &Object) -> Option<&EntryUuid> {
    match object {
        Object::Document(_, record) => Some(record.logical()),
        Object::Folder(_, record) => Some(record.logical()),
        Object::Set(..) => None,
    }
}

/// The edges by which records point to an object of this sort.
pub(crate) fn edges_to(object: &Object) -> Vec<(Kind, &'static str)> {
    match object {
        Object::Document(..) => {
            let relations =
                RELATION_EDGES.iter().flat_map(|edge| [(DOCUMENT, *edge), (DOCUMENT_PAST, *edge)]);
            let members = [(LIST, SUBMITS), (LIST, HAS_MEMBER), (LIST_PAST, HAS_MEMBER)];
            members.into_iter().chain(relations).collect()
        }
        Object::Folder(..) => vec![(LIST, SUBMITS)],
        Object::Set(..) => Vec::new(),
    }
}

fn ending_at(store: &Store, object: &Object, id: &EntryUuid, found: &mut Found) -> Result<(), store::Error> {
    for other in pointing(store, object)? {
        found.extend(other.begun().into_iter().filter(|association| association.target == *id));
    }
    Ok(())
}

/// Where the id is that of an association: the submission sets that hold it.
fn holding(store: &Store, id: &EntryUuid, found: &mut Found) -> Result<(), store::Error> {
    for source in store.sources(LIST, HOLDS, id.as_str())? {
        if let Some(set) = row_of(store, LIST, &source)? {
            found.extend(set.begun().into_iter().filter(|association| association.target == *id));
        }
    }
    Ok(())
}

/// The relations of a document.
pub(crate) fn of_document(patient: &str, record: &DocumentRecord) -> Vec<Association> {
    let source = record.id();
    let relations = record.relations.iter();
    relations
        .map(|relation| {
            let target = relation.target.entry_uuid();
            association((relation.kind, source, target), &relation.tie, None, patient)
        })
        .collect()
}

/// The memberships of a folder.
pub(crate) fn of_folder(patient: &str, record: &FolderRecord) -> Vec<Association> {
    let members = record.members.iter().map(|member| &member.document);
    members.map(|tied| member(record.id(), tied, None, patient)).collect()
}

/// What a submission set holds: documents, folders, and memberships of folders.
pub(crate) fn of_set(patient: &str, record: &SetRecord) -> Vec<Association> {
    let Some(source) = &record.set.entry_uuid else { return Vec::new() };
    let documents = record.documents.iter().map(|tied| member(source, tied, Some(!tied.reference), patient));
    let folders = record.folders.iter().map(|tied| member(source, tied, None, patient));
    let holdings = record.holdings.iter().map(|holding| {
        let ends = (AssociationType::HasMember, source, &holding.association);
        association(ends, &holding.tie, None, patient)
    });
    documents.chain(folders).chain(holdings).collect()
}

fn member(source: &EntryUuid, tied: &xds::ties::Tied, original: Option<bool>, patient: &str) -> Association {
    let ends = (AssociationType::HasMember, source, tied.target.entry_uuid());
    association(ends, &tied.tie, original, patient)
}

fn association(
    (kind, source, target): (AssociationType, &EntryUuid, &EntryUuid),
    tie: &xds::ties::Tie,
    original: Option<bool>,
    patient: &str,
) -> Association {
    Association {
        id: tie.id(kind, source, target),
        kind,
        source: source.clone(),
        target: target.clone(),
        availability: if tie.deprecated { Availability::Deprecated } else { Availability::Approved },
        original,
        documentation: tie.documentation.clone(),
        extra: tie.extra.clone(),
        patient: patient.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use xds::ties::{End, Relation, Tie, Tied};

    use super::*;

    fn uuid(number: u128) -> EntryUuid {
        EntryUuid::from(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn what_says_nothing_of_itself_is_written_as_it_always_was() {
        let plain = Relation::new(AssociationType::Append, uuid(7).into());
        let text = serde_json::to_string(&plain).unwrap();
        assert_eq!(text, r#"["Append","00000000-0000-0000-0000-000000000007"]"#);
        let tie = Tie { deprecated: true, ..Tie::default() };
        let said = Relation { target: End::at(uuid(7), uuid(8)), tie: tie.clone(), ..plain.clone() };
        for relation in [plain, said] {
            let text = serde_json::to_string(&relation).unwrap();
            assert_eq!(serde_json::from_str::<Relation>(&text).unwrap(), relation);
        }
        let plain = Tied::new(uuid(7));
        assert_eq!(serde_json::to_string(&plain).unwrap(), r#""00000000-0000-0000-0000-000000000007""#);
        for tied in [plain.clone(), Tied { reference: true, tie, ..plain }] {
            let text = serde_json::to_string(&tied).unwrap();
            assert_eq!(serde_json::from_str::<Tied>(&text).unwrap(), tied);
        }
    }
}
