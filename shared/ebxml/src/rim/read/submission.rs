//! A RegistryObjectList as a whole: which objects it holds, and what refers to what.

use std::collections::{HashMap, HashSet};

use xds::plan::{NewVersion, Trigger};
use xds::{
    Association, AssociationType, DocumentEntry, Finding, Findings, Folder, Identifier, ObjectRef, Place,
    Profile, Rule, Submission, SubmissionSet, Timestamp,
};

use super::association::{self, Read, Tie};
use super::object::{Object, is_scheme};
use super::{Column, Objects, Registered, document, given, package, standing};
use crate::element::Element;
use crate::names::namespace::{LCM, RIM};
use crate::names::{folder, submission_set};
use crate::rim::{Standing, value};

/// Bytes of an id. Places repeat it: it is a UUID or a short word.
const MAX_ID: usize = 256;

/// Objects, classifications and associations of one request.
const MAX_ELEMENTS: usize = 5_000;

/// Findings that are told at once.
const MAX_FINDINGS: usize = 1_000;

/// A metadata update as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The set, new versions, and associations.
    pub submission: Submission,
    /// What is asked for, in the order of the message.
    pub triggers: Vec<Trigger>,
}

/// Reads a submission from its `lcm:SubmitObjectsRequest`. It is worth nothing where a finding is an error.
pub fn read_submission(request: &Element, column: Column) -> (Submission, Findings) {
    let mut findings = Findings::new();
    let mut list = List::new(request, column, &mut findings);
    let ties = list.ties(&mut findings);
    let ties = ties.into_iter().filter_map(|read| match read {
        Read::Association(tie) => Some(tie),
        Read::Status { .. } | Read::Submit { .. } => None,
    });
    let ties: Vec<Tie> = ties.collect();
    let submission = list.submission(ties, &mut findings);
    (submission, told(findings))
}

/// Reads a metadata update from its `lcm:SubmitObjectsRequest` (ITI-57, ITI-92).
pub fn read_update(request: &Element) -> (Update, Findings) {
    let mut findings = Findings::new();
    let mut list = List::new(request, Column::Update, &mut findings);
    let mut triggers = Vec::new();
    let mut ties = Vec::new();
    let set = list.set_symbol();
    for read in list.ties(&mut findings) {
        match read {
            Read::Status { target, original, new, at } => match value::entry_uuid(&target) {
                Some(target) => triggers.push(Trigger::Status { target, original, new, at }),
                None => findings.push(not_registered(&target, &at)),
            },
            Read::Submit { target, at } => triggers.push(Trigger::Submit { association: target, at }),
            Read::Association(tie) => {
                triggers.extend(list.new_version(&tie, &set));
                ties.push(tie);
            }
        }
    }
    let update = Update { submission: list.submission(ties, &mut findings), triggers };
    (update, told(findings))
}

/// Reads the objects of an answer from its `rim:RegistryObjectList`.
pub fn read_objects(list: &Element) -> (Objects, Findings) {
    let mut findings = Findings::new();
    let mut objects = Objects::default();
    let mut list = List::of(list, Column::Answer, &mut findings);
    for read in list.ties(&mut findings) {
        if let Read::Association(tie) = read {
            let element = list.associations.iter().find(|(_, id)| *id == tie.symbol);
            let standing = element.map(|(element, _)| standing(element)).unwrap_or_default();
            let standing = Standing { original: tie.original, ..standing };
            let end = |text: &str| match value::entry_uuid(text) {
                Some(uuid) => ObjectRef::Registered(uuid),
                None => ObjectRef::Symbol(text.to_owned()),
            };
            objects.associations.push(Registered { object: tie.resolve(end), standing });
        }
    }
    objects.documents = list.documents;
    objects.folders = list.folders;
    objects.submission_sets = list.sets;
    objects.references = list.references;
    (objects, findings)
}

/// Findings as they are told: the worst of them, where there are very many.
pub(crate) fn told(mut findings: Findings) -> Findings {
    if findings.len() > MAX_FINDINGS {
        xds::finding::sort(&mut findings);
        findings.truncate(MAX_FINDINGS);
    }
    findings
}

/// A list while it is read.
struct List<'a> {
    column: Column,
    documents: Vec<Registered<DocumentEntry>>,
    sets: Vec<Registered<SubmissionSet>>,
    folders: Vec<Registered<Folder>>,
    /// Associations, and the id by which something may refer to them.
    associations: Vec<(&'a Element, &'a str)>,
    references: Vec<(String, Option<String>)>,
    /// Ids of all objects, as they are compared.
    ids: HashMap<String, String>,
    places: Vec<(String, String)>,
}

/// What a package is.
#[derive(Clone, Copy, PartialEq)]
enum Package {
    SubmissionSet,
    Folder,
}

impl<'a> List<'a> {
    fn new(request: &'a Element, column: Column, findings: &mut Findings) -> List<'a> {
        let request = match request.child(LCM, "SubmitObjectsRequest") {
            Some(inner) => inner,
            None => request,
        };
        if let Some(list) = request.child(RIM, "RegistryObjectList") {
            return List::of(list, column, findings);
        }
        let text = "The request holds no RegistryObjectList (urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0) with the objects to submit.";
        let place = Place::at("SubmitObjectsRequest/RegistryObjectList");
        findings.push(Finding::error(Rule::MetadataInvalid, place, text));
        List::empty(column)
    }

    fn empty(column: Column) -> List<'a> {
        List {
            column,
            documents: Vec::new(),
            sets: Vec::new(),
            folders: Vec::new(),
            associations: Vec::new(),
            references: Vec::new(),
            ids: HashMap::new(),
            places: Vec::new(),
        }
    }

    fn of(list: &'a Element, column: Column, findings: &mut Findings) -> List<'a> {
        let mut read = List::empty(column);
        let strict = column != Column::Answer;
        let (mut entries, mut packages) = (Vec::new(), Vec::new());
        if strict && list.children.len() > MAX_ELEMENTS {
            let text = format!(
                "The request holds {} objects, classifications and associations; at most {MAX_ELEMENTS} are taken at once. Submit in several requests.",
                list.children.len()
            );
            findings.push(Finding::error(Rule::MetadataInvalid, Place::at("RegistryObjectList"), text));
            return read;
        }
        for element in &list.children {
            match &*element.name {
                "ExtrinsicObject" | "RegistryPackage" | "Association" if &*element.namespace == RIM => {}
                "ObjectRef" => {
                    let home = given(element, "home").map(str::to_owned);
                    read.references.push((given(element, "id").unwrap_or_default().to_owned(), home));
                    continue;
                }
                "Classification" if &*element.namespace == RIM => continue,
                name if strict => {
                    let text = format!(
                        "{name} is not part of a submission; it has ExtrinsicObject, RegistryPackage, Classification and Association, in the namespace {RIM}."
                    );
                    findings.push(Finding::error(Rule::MetadataInvalid, Place::at(name), text));
                    continue;
                }
                _ => continue,
            }
            let Some(id) = read.identify(element, findings) else { continue };
            match &*element.name {
                "Association" => read.associations.push((element, id)),
                "RegistryPackage" => packages.push((element, id)),
                _ => entries.push((element, id)),
            }
        }
        read.packages(list, &entries, &packages, findings);
        read
    }

    /// Takes the id of an object, which only one object has.
    fn identify(&mut self, element: &'a Element, findings: &mut Findings) -> Option<&'a str> {
        let Some(id) = given(element, "id") else {
            // An association may well go without: nothing needs to refer to it.
            if &*element.name == "Association" {
                return Some("");
            }
            let text = format!("An {} has no id; memberships refer to it by its id.", element.name);
            let place = Place::at(format!("{}/@id", element.name)).of("entryUUID");
            findings.push(Finding::error(Rule::MetadataRequired, place, text));
            return None;
        };
        if id.len() > MAX_ID {
            let text = format!(
                "The id of an {} has {} bytes; an id is urn:uuid: and a UUID, or a word of at most {MAX_ID} bytes.",
                element.name,
                id.len()
            );
            let place = Place::at(format!("{}/@id (line {})", element.name, element.line)).of("entryUUID");
            findings.push(Finding::error(Rule::MetadataInvalid, place, text));
            return None;
        }
        let at = format!("{}[@id='{id}']", element.name);
        let strict = self.column != Column::Answer;
        if strict && is_uuid_like(id) && value::entry_uuid(id).is_none() {
            let text = format!(
                "{id:?} is no UUID; an id is urn:uuid: and a UUID, or a word that does not begin so."
            );
            findings.push(Finding::error(
                Rule::MetadataInvalid,
                Place::at(format!("{at}/@id")).of("entryUUID"),
                text,
            ));
        }
        if self.ids.contains_key(&key(id)) && strict {
            // Some number all memberships alike: nothing refers to them.
            if &*element.name == "Association" && !is_uuid_like(id) {
                return Some("");
            }
            let text = format!("The id {id} is given to two objects of this submission.");
            let place = Place::at(format!("{at}/@id")).of("entryUUID");
            findings.push(Finding::error(Rule::MetadataInvalid, place, text));
        }
        self.ids.insert(key(id), id.to_owned());
        self.places.push((id.to_owned(), at));
        Some(id)
    }

    /// Reads entries and packages: the submission set before what depends on whether its metadata is limited.
    fn packages(
        &mut self,
        list: &'a Element,
        entries: &[(&'a Element, &'a str)],
        packages: &[(&'a Element, &'a str)],
        findings: &mut Findings,
    ) {
        let (column, strict) = (self.column, self.column != Column::Answer);
        let beside = Beside::of(list);
        let kinds: Vec<Option<Package>> =
            packages.iter().map(|(element, id)| kind(element, id, &beside)).collect();
        let mut limited = false;
        for ((element, id), kind) in packages.iter().zip(&kinds) {
            if *kind == Some(Package::SubmissionSet) {
                let object = Object::new(element, id, strict, findings);
                let mut set = package::read_submission_set(object, column, findings);
                let node = submission_set::LIMITED_METADATA;
                let nodes = beside.siblings(id).map(|one| one.attribute("classificationNode"));
                set.limited_metadata |= nodes.into_iter().any(|given| is_scheme(given, node));
                limited |= set.limited_metadata;
                self.sets.push(Registered { object: set, standing: standing(element) });
            }
        }
        for (element, id) in entries {
            let object = Object::new(element, id, strict, findings);
            let entry = document::read(object, column, limited, findings);
            self.documents.push(Registered { object: entry, standing: standing(element) });
        }
        for ((element, id), kind) in packages.iter().zip(&kinds) {
            match kind {
                Some(Package::Folder) => {
                    let object = Object::new(element, id, strict, findings);
                    let (folder, last_update) = package::read_folder(object, column, limited, findings);
                    let standing = Standing { last_update, ..standing(element) };
                    self.folders.push(Registered { object: folder, standing });
                }
                None if strict => findings.push(neither(id)),
                Some(Package::SubmissionSet) | None => {}
            }
        }
    }

    fn ties(&mut self, findings: &mut Findings) -> Vec<Read> {
        let strict = self.column != Column::Answer;
        let read = |(element, id): &(&'a Element, &'a str)| {
            let object = Object::new(element, given(element, "id").unwrap_or_default(), strict, findings);
            association::read(object, id, self.column, findings)
        };
        self.associations.iter().filter_map(read).collect()
    }

    fn set_symbol(&self) -> String {
        self.sets.first().map(|set| set.object.symbol.clone()).unwrap_or_default()
    }

    /// What an id names.
    fn resolve(&self, id: &str) -> ObjectRef {
        match (self.ids.get(&key(id)), value::entry_uuid(id)) {
            (Some(symbol), _) => ObjectRef::Symbol(symbol.clone()),
            (None, Some(uuid)) => ObjectRef::Registered(uuid),
            (None, None) => ObjectRef::Symbol(id.to_owned()),
        }
    }

    /// The update that a membership in the set asks for.
    fn new_version(&self, tie: &Tie, set: &str) -> Option<Trigger> {
        if tie.kind != AssociationType::HasMember || key(&tie.source) != key(set) {
            return None;
        }
        let target = self.ids.get(&key(&tie.target))?;
        let version = |symbol: &str, standing: &Standing| NewVersion {
            symbol: symbol.to_owned(),
            logical_id: standing.lid.as_deref().and_then(value::entry_uuid),
            previous_version: tie.previous_version,
            propagate: tie.propagate,
            at: tie.at.clone(),
        };
        if let Some(entry) = self.documents.iter().find(|entry| entry.object.symbol == *target) {
            return Some(Trigger::Document(version(&entry.object.symbol, &entry.standing)));
        }
        let folder = self.folders.iter().find(|folder| folder.object.symbol == *target)?;
        Some(Trigger::Folder(version(&folder.object.symbol, &folder.standing)))
    }

    fn submission(mut self, ties: Vec<Tie>, findings: &mut Findings) -> Submission {
        if self.sets.len() != 1 {
            let (rule, text) = match self.sets.len() {
                0 => (
                    Rule::MetadataRequired,
                    format!(
                        "The submission holds no submission set: a RegistryPackage with a Classification whose classificationNode is {}.",
                        submission_set::NODE
                    ),
                ),
                many => (
                    Rule::MetadataInvalid,
                    format!("The submission holds {many} submission sets; it has exactly one."),
                ),
            };
            let place = Place::at("RegistryObjectList/RegistryPackage").of("SubmissionSet");
            findings.push(Finding::error(rule, place, text));
        }
        let set = key(&self.set_symbol());
        let documents: HashSet<String> =
            self.documents.iter().map(|entry| key(&entry.object.symbol)).collect();
        for tie in ties.iter().filter(|tie| tie.kind == AssociationType::HasMember && key(&tie.source) == set)
        {
            let is_document = documents.contains(&key(&tie.target));
            association::check_original(tie, is_document, findings);
        }
        let associations: Vec<Association> =
            ties.into_iter().map(|tie| tie.resolve(|id| self.resolve(id))).collect();
        let submission_set = if self.sets.is_empty() {
            let nobody = Identifier { system: String::new(), value: String::new() };
            SubmissionSet::new("", nobody, Timestamp { text: String::new(), from: 0, to: 0 })
        } else {
            self.sets.swap_remove(0).object
        };
        let profile = if submission_set.limited_metadata { Profile::Minimal } else { Profile::Comprehensive };
        Submission {
            profile,
            submission_set,
            documents: self.documents.into_iter().map(|entry| entry.object).collect(),
            folders: self.folders.into_iter().map(|folder| folder.object).collect(),
            associations,
            places: self.places,
        }
    }
}

/// An update names what changes by its entryUUID.
fn not_registered(target: &str, at: &str) -> Finding {
    let text =
        format!("{target:?} is no entryUUID; what an update changes is registered and named urn:uuid:….");
    let place = Place::at(format!("{at}/@targetObject")).of("Association.targetObject");
    Finding::error(Rule::UnresolvedReference, place, text)
}

/// A package that says nothing of what it is.
fn neither(id: &str) -> Finding {
    let text = format!(
        "This package is neither a submission set nor a folder: a Classification with classificationNode {} or {} says \
         which.",
        submission_set::NODE,
        folder::NODE
    );
    let place = Place::at(format!("RegistryPackage[@id='{id}']/Classification"));
    Finding::error(Rule::MetadataInvalid, place, text)
}

/// What a package is: its classification by node stands in it or beside it.
fn kind(element: &Element, id: &str, beside: &Beside<'_>) -> Option<Package> {
    let inside = element.children.iter().filter(|child| child.is(RIM, "Classification"));
    inside.chain(beside.siblings(id)).find_map(|one| {
        let node = one.attribute("classificationNode");
        if is_scheme(node, submission_set::NODE) {
            Some(Package::SubmissionSet)
        } else if is_scheme(node, folder::NODE) {
            Some(Package::Folder)
        } else {
            None
        }
    })
}

/// Classifications that stand beside the objects they classify, by the id of the object.
struct Beside<'a>(HashMap<String, Vec<&'a Element>>);

impl<'a> Beside<'a> {
    fn of(list: &'a Element) -> Beside<'a> {
        let mut beside: HashMap<String, Vec<&Element>> = HashMap::new();
        for one in list.children_named(RIM, "Classification") {
            if let Some(owner) = given(one, "classifiedObject") {
                beside.entry(key(owner)).or_default().push(one);
            }
        }
        Beside(beside)
    }

    fn siblings(&self, id: &str) -> impl Iterator<Item = &'a Element> {
        self.0.get(&key(id)).into_iter().flatten().copied()
    }
}

/// An id as it is compared: UUIDs in lower case, symbols as they are.
fn key(id: &str) -> String {
    match value::entry_uuid(id) {
        Some(uuid) => format!("urn:uuid:{}", uuid.as_str()),
        None => id.to_owned(),
    }
}

fn is_uuid_like(id: &str) -> bool {
    id.get(..9).is_some_and(|head| head.eq_ignore_ascii_case("urn:uuid:"))
}
