//! Reads what a source submits, updates or is answered.

mod association;
mod document;
mod object;
mod package;
mod submission;

use xds::affinity::{Coded, Given};
use xds::{
    Association, Availability, Code, DocumentEntry, Finding, Findings, Folder, Place, Rule, Submission,
    SubmissionSet,
};

use self::object::{Object, invalid, is_scheme};
use super::{Standing, value};
use crate::element::Element;
use crate::names::status as word;

pub(crate) use submission::told;
pub use submission::{Update, read_objects, read_submission, read_update};

/// Which column of the framework's tables counts (TF-3 4.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// A document source to a repository: ITI-41.
    Source,
    /// A repository to a registry: ITI-42.
    Repository,
    /// An on-demand document source to a registry: ITI-61.
    OnDemand,
    /// A metadata update: ITI-57, ITI-92. All attributes are given, not only those that change.
    Update,
    /// What a registry answers: taken as it is.
    Answer,
}

impl Column {
    fn demands(self) -> &'static str {
        match self {
            Column::Source => "a submission (ITI-41) requires it",
            Column::Repository => "a registration (ITI-42) requires it",
            Column::OnDemand => "an on-demand entry (ITI-61) requires it",
            Column::Update => "a metadata update gives every required attribute",
            Column::Answer => "it is required",
        }
    }
}

/// An object as a registry answered it.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered<T> {
    /// The object.
    pub object: T,
    /// What the registry says beside it.
    pub standing: Standing,
}

/// The objects of an answer, each kind in the order of the message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Objects {
    /// DocumentEntries.
    pub documents: Vec<Registered<DocumentEntry>>,
    /// SubmissionSets.
    pub submission_sets: Vec<Registered<SubmissionSet>>,
    /// Folders.
    pub folders: Vec<Registered<Folder>>,
    /// Associations.
    pub associations: Vec<Registered<Association>>,
    /// Ids without their objects (`ObjectRef`), with the community they are of.
    pub references: Vec<(String, Option<String>)>,
}

/// The coded values of a submission, each with its place, for an affinity domain to judge.
pub fn codes(submission: &Submission) -> Vec<Given> {
    use crate::names::{document_entry, folder, submission_set};
    let mut all = Vec::new();
    let mut add = |at: String, attribute, codes: &[Code]| {
        let place = Place::at(at);
        let each =
            codes.iter().map(|code| Given { attribute, at: place.clone(), codings: vec![code.clone()] });
        all.extend(each);
    };
    let scheme = |at: &str, scheme: &str| format!("{at}/Classification[@classificationScheme='{scheme}']");
    let word = |text: &str| Code { system: String::new(), code: text.to_owned(), display: None };
    let set = &submission.submission_set;
    let at = scheme(submission.place(&set.symbol), submission_set::CONTENT_TYPE_CODE);
    add(at, Coded::ContentTypeCode, &set.content_type_codes);
    for entry in &submission.documents {
        use document_entry as name;
        let at = submission.place(&entry.symbol);
        add(scheme(at, name::CLASS_CODE), Coded::ClassCode, &entry.class_codes);
        add(scheme(at, name::TYPE_CODE), Coded::TypeCode, &entry.type_codes);
        add(scheme(at, name::FORMAT_CODE), Coded::FormatCode, entry.format_code.as_slice());
        add(scheme(at, name::FACILITY_TYPE_CODE), Coded::HealthcareFacilityTypeCode, &entry.facility_codes);
        add(
            scheme(at, name::PRACTICE_SETTING_CODE),
            Coded::PracticeSettingCode,
            &entry.practice_setting_codes,
        );
        add(scheme(at, name::CONFIDENTIALITY_CODE), Coded::ConfidentialityCode, &entry.confidentiality_codes);
        add(scheme(at, name::EVENT_CODE_LIST), Coded::EventCodeList, &entry.event_codes);
        add(format!("{at}/@mimeType"), Coded::MimeType, &[word(&entry.mime_type)]);
        let language: Vec<Code> = entry.language.iter().map(|language| word(language)).collect();
        add(format!("{at}/Slot[@name='languageCode']"), Coded::LanguageCode, &language);
    }
    for folder in &submission.folders {
        add(
            scheme(submission.place(&folder.symbol), folder::CODE_LIST),
            Coded::FolderCodeList,
            &folder.codes,
        );
    }
    all
}

/// Findings among which those of one object are looked for.
const MAX_LATEST: usize = 200;

/// Says what is missing, unless what stands there was found to be wrong already.
struct Missing<'a> {
    column: Column,
    findings: &'a mut Findings,
}

impl Missing<'_> {
    fn unless(&mut self, given: bool, at: Place, attribute: &'static str) {
        // What was found about an object was found last.
        let mut found = self.findings.iter().rev().take(MAX_LATEST);
        if given || found.any(|finding| finding.at.path == at.path) {
            return;
        }
        let text = format!("{attribute} is missing; {}.", self.column.demands());
        self.findings.push(Finding::error(Rule::MetadataRequired, at.of(attribute), text));
    }
}

/// An attribute that says something.
fn given<'a>(element: &'a Element, name: &str) -> Option<&'a str> {
    element.attribute(name).map(str::trim).filter(|text| !text.is_empty())
}

/// availabilityStatus as written.
fn status(element: &Element) -> Option<Availability> {
    status_of(given(element, "status")?)
}

fn status_of(text: &str) -> Option<Availability> {
    [(word::APPROVED, Availability::Approved), (word::DEPRECATED, Availability::Deprecated)]
        .into_iter()
        .find_map(|(urn, availability)| is_scheme(Some(text), urn).then_some(availability))
}

/// homeCommunityId of an object.
fn home(object: &Object<'_>, attribute: &'static str, findings: &mut Findings) -> Option<String> {
    let text = given(object.element, "home")?;
    let home = value::read_home(text);
    if home.is_none() && object.strict {
        let text = format!("home ({attribute}) is {text:?}; it is urn:oid: and an OID.");
        findings.push(invalid(object.attribute_place("home"), attribute, text));
    }
    home
}

/// What an object says of its standing.
fn standing(element: &Element) -> Standing {
    let version = element.child(crate::names::namespace::RIM, "VersionInfo");
    Standing {
        status: status(element),
        lid: given(element, "lid").map(str::to_owned),
        version: version.and_then(|version| given(version, "versionName")).and_then(|text| text.parse().ok()),
        ..Standing::default()
    }
}
