//! The table: which line answers which request. `/metadata` is printed from it.

use std::sync::LazyLock;

use actor::Route;
use fhir::capability::{self, Interaction, Question};
use fhir::unrouted::{self, Asked};

use futures_util::future::LocalBoxFuture;
use web::{Answer, Request};
use xds::filter::Of;

use super::export::{Following, Level, Ordering};
use super::group::Grouping;
use super::publish::Publishing;
use super::read::{Part, Reading};
use super::reconcile::{self, INCARNATION, Reconciling};
use super::refusal;
use super::register::Changing;
use super::review::{Deciding, Reviewing};
use super::search::Searching;
use super::terminology;
use super::update::{Updating, Written};
use crate::Registry;
use crate::export::{Cancel, Fetch, Look, Start};
use crate::groups::{Keep, ReadGroup};
use crate::records::{DOCUMENT, LIST};
use crate::review::{FindReviews, SettleReview};

/// One line of the table.
pub(super) struct Line {
    method: &'static str,
    path: &'static str,
    transaction: &'static str,
    serve: for<'a> fn(&'a Registry, &'a mut Request) -> LocalBoxFuture<'a, Answer>,
    /// What `/metadata` says of it: resource type (none: the system), code, one line.
    claims: Option<(Option<&'static str>, &'static str, &'static str)>,
    /// Canonical of the OperationDefinition, for operations.
    definition: Option<&'static str>,
}

const fn line(
    method: &'static str,
    path: &'static str,
    transaction: &'static str,
    serve: for<'a> fn(&'a Registry, &'a mut Request) -> LocalBoxFuture<'a, Answer>,
) -> Line {
    Line { method, path, transaction, serve, claims: None, definition: None }
}

impl Line {
    const fn says(
        mut self,
        resource: Option<&'static str>,
        code: &'static str,
        documentation: &'static str,
    ) -> Line {
        self.claims = Some((resource, code, documentation));
        self
    }

    const fn defined(mut self, definition: &'static str) -> Line {
        self.definition = Some(definition);
        self
    }
}

const DOCUMENTS: Option<&str> = Some("DocumentReference");
const LISTS: Option<&str> = Some("List");
const STATEMENTS: Option<&str> = Some("CapabilityStatement");
const GROUPS: Option<&str> = Some("Group");
const TASKS: Option<&str> = Some("Task");
const VALUE_SETS: Option<&str> = Some("ValueSet");
const CODE_SYSTEMS: Option<&str> = Some("CodeSystem");
const CONCEPT_MAPS: Option<&str> = Some("ConceptMap");
const NAMING_SYSTEMS: Option<&str> = Some("NamingSystem");

static LINES: &[Line] = &[
    line("GET", "/fhir/metadata", "none", metadata),
    line("GET", "/fhir/CapabilityStatement/$implements", "none", implements),
    line("POST", "/fhir/CapabilityStatement/$implements", "none", implements)
        .says(STATEMENTS, "$implements", "Whether this server does what a client's statement requires.")
        .defined(capability::IMPLEMENTS),
    line("GET", "/fhir/CapabilityStatement/$conforms", "none", conforms),
    line("POST", "/fhir/CapabilityStatement/$conforms", "none", conforms)
        .says(STATEMENTS, "$conforms", "What of one statement another one does not offer.")
        .defined(capability::CONFORMS),
    line("POST", "/fhir", "ITI-42", register).says(
        None,
        "transaction",
        "Registers documents whose bytes are elsewhere: an MHD Provide Document Bundle without its Binaries.",
    ),
    line("POST", "/fhir/", "ITI-42", register),
    line("GET", "/fhir/DocumentReference", "ITI-67", find_documents).says(
        DOCUMENTS,
        "search-type",
        "Find Document References [ITI-67], by GET and by POST to _search.",
    ),
    line("POST", "/fhir/DocumentReference/_search", "ITI-67", find_documents),
    line("POST", "/fhir/DocumentReference", "ITI-105", publish).says(
        DOCUMENTS,
        "create",
        "Registers a document that lies on another server, as attachment.url names it; a SubmissionSet is made for it.",
    ),
    line("GET", "/fhir/DocumentReference/$docref", "ITI-67", docref)
        .says(DOCUMENTS, "$docref", "The current documents of a patient: patient, start, end, type, on-demand.")
        .defined(::fhir::docref::DEFINITION),
    line("POST", "/fhir/DocumentReference/$docref", "ITI-67", docref),
    line("GET", "/fhir/DocumentReference/{id}", "read", read_document).says(
        DOCUMENTS,
        "read",
        "Reads a document entry.",
    ),
    line("GET", "/fhir/DocumentReference/{id}/_history", "read", history_of_document).says(
        DOCUMENTS,
        "history-instance",
        "Its versions, newest first; _since, _at and _count.",
    ),
    line("GET", "/fhir/DocumentReference/{id}/_history/{version}", "read", vread_document).says(
        DOCUMENTS,
        "vread",
        "Reads one version.",
    ),
    line("PUT", "/fhir/DocumentReference/{id}", "ITI-92", put_document).says(
        DOCUMENTS,
        "update",
        "Metadata update: the whole resource, with If-Match; identifiers, patient, relations and what belongs to the bytes stay.",
    ),
    line("PATCH", "/fhir/DocumentReference/{id}", "ITI-92", patch_document).says(
        DOCUMENTS,
        "patch",
        "Metadata update by JSON Patch or FHIRPath Patch, also by PATCH DocumentReference?identifier=system|value.",
    ),
    line("PATCH", "/fhir/DocumentReference", "ITI-92", patch_document),
    line("GET", "/fhir/List", "ITI-66", find_lists).says(
        LISTS,
        "search-type",
        "Find Document Lists [ITI-66], by GET and by POST to _search.",
    ),
    line("POST", "/fhir/List/_search", "ITI-66", find_lists),
    line("GET", "/fhir/List/{id}", "read", read_list).says(
        LISTS,
        "read",
        "Reads a submission set or folder.",
    ),
    line("GET", "/fhir/List/{id}/_history", "read", history_of_list).says(
        LISTS,
        "history-instance",
        "Its versions, newest first; _since, _at and _count.",
    ),
    line("GET", "/fhir/List/{id}/_history/{version}", "read", vread_list).says(
        LISTS,
        "vread",
        "Reads one version.",
    ),
    line("PUT", "/fhir/List/{id}", "ITI-92", put_list).says(
        LISTS,
        "update",
        "Metadata update of a folder: title, codes, comments; with If-Match.",
    ),
    line("PATCH", "/fhir/List/{id}", "ITI-92", patch_list).says(
        LISTS,
        "patch",
        "Metadata update of a folder by JSON Patch or FHIRPath Patch.",
    ),
    line("PUT", "/fhir/Patient/{id}", "ITI-104", feed).says(
        Some("Patient"),
        "update",
        "The feed of the identity source; meta.versionId is its version, and an older one changes nothing.",
    ),
    line("GET", "/fhir/Task", "merge-review", find_reviews).says(
        TASKS,
        "search-type",
        "What has to be decided after a merge of patients was undone: patient, status.",
    ),
    line("POST", "/fhir/Task/_search", "merge-review", find_reviews),
    line("GET", "/fhir/Task/{id}", "merge-review", find_reviews).says(TASKS, "read", "Reads one of these."),
    line("POST", "/fhir/Task/{id}/$settle", "merge-review", settle_review),
    line("GET", "/fhir/Group/{id}", "group", read_group).says(
        GROUPS,
        "read",
        "Reads a group of patients.",
    ),
    line("PUT", "/fhir/Group/{id}", "group", keep_group).says(
        GROUPS,
        "update",
        "Keeps a group of patients under the id of the caller's choice: type person, actual, members known here.",
    ),
    line("DELETE", "/fhir/Group/{id}", "group", keep_group).says(GROUPS, "delete", "Removes a group."),
    line("GET", "/fhir/$export", "export", export_all)
        .says(None, "$export", "Everything: Patient, DocumentReference and List, as NDJSON.")
        .defined("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"),
    line("POST", "/fhir/$export", "export", export_all),
    line("GET", "/fhir/Patient/$export", "export", export_patients)
        .says(
            Some("Patient"),
            "$export",
            "What belongs to all patients or, by POST, to those named; Patient/[id]/$export: to one.",
        )
        .defined("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export"),
    line("POST", "/fhir/Patient/$export", "export", export_patients),
    line("GET", "/fhir/Patient/{id}/$export", "export", export_patient),
    line("POST", "/fhir/Patient/{id}/$export", "export", export_patient),
    line("GET", "/fhir/Group/{id}/$export", "export", export_group)
        .says(GROUPS, "$export", "What belongs to the members of a group.")
        .defined("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export"),
    line("POST", "/fhir/Group/{id}/$export", "export", export_group),
    line("GET", "/fhir/export/{id}", "export", look_at_export),
    line("DELETE", "/fhir/export/{id}", "export", cancel_export),
    line("GET", "/fhir/export/{id}/{file}", "export", fetch_export),
    line("POST", "/validate", "validate", validate),
    line("POST", "/fhir/ValueSet/_search", "terminology", terminology::find_value_sets),
    line("GET", "/fhir/ValueSet", "terminology", terminology::find_value_sets).says(
        VALUE_SETS,
        "search-type",
        "The codes this affinity domain accepts.",
    ),
    line("GET", "/fhir/ValueSet/{id}", "terminology", terminology::read_value_set).says(
        VALUE_SETS,
        "read",
        "Reads a value set.",
    ),
    line("GET", "/fhir/ValueSet/$expand", "terminology", terminology::expand)
        .says(VALUE_SETS, "$expand", "The codes of a value set: url (or ValueSet/[id]/$expand), filter, offset, count.")
        .defined("http://hl7.org/fhir/OperationDefinition/ValueSet-expand"),
    line("POST", "/fhir/ValueSet/$expand", "terminology", terminology::expand),
    line("GET", "/fhir/ValueSet/{id}/$expand", "terminology", terminology::expand),
    line("POST", "/fhir/ValueSet/{id}/$expand", "terminology", terminology::expand),
    line("GET", "/fhir/ValueSet/$validate-code", "terminology", terminology::validate_code)
        .says(
            VALUE_SETS,
            "$validate-code",
            "Whether a code is accepted: url (or ValueSet/[id]/$validate-code), code with system, coding, codeableConcept, display.",
        )
        .defined("http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code"),
    line("POST", "/fhir/ValueSet/$validate-code", "terminology", terminology::validate_code),
    line("GET", "/fhir/ValueSet/{id}/$validate-code", "terminology", terminology::validate_code),
    line("POST", "/fhir/ValueSet/{id}/$validate-code", "terminology", terminology::validate_code),
    line("POST", "/fhir/CodeSystem/_search", "terminology", terminology::find_code_systems),
    line("GET", "/fhir/CodeSystem", "terminology", terminology::find_code_systems).says(
        CODE_SYSTEMS,
        "search-type",
        "Code systems the files of the affinity domain hold.",
    ),
    line("GET", "/fhir/CodeSystem/{id}", "terminology", terminology::read_code_system).says(
        CODE_SYSTEMS,
        "read",
        "Reads a code system.",
    ),
    line("POST", "/fhir/ConceptMap/_search", "terminology", terminology::find_concept_maps),
    line("GET", "/fhir/ConceptMap", "terminology", terminology::find_concept_maps).says(
        CONCEPT_MAPS,
        "search-type",
        "Concept maps the files of the affinity domain hold.",
    ),
    line("GET", "/fhir/ConceptMap/{id}", "terminology", terminology::read_concept_map).says(
        CONCEPT_MAPS,
        "read",
        "Reads a concept map.",
    ),
    line("POST", "/fhir/NamingSystem/_search", "terminology", terminology::find_naming_systems),
    line("GET", "/fhir/NamingSystem", "terminology", terminology::find_naming_systems).says(
        NAMING_SYSTEMS,
        "search-type",
        "Spellings of code systems and assigning authorities the files of the affinity domain hold.",
    ),
    line("GET", "/fhir/NamingSystem/{id}", "terminology", terminology::read_naming_system).says(
        NAMING_SYSTEMS,
        "read",
        "Reads a naming system.",
    ),
    line("POST", "/settle", "settle", settle),
    line("GET", "/bindings", "bindings", bindings),
    line("POST", "/submissions", "submissions", submissions),
    line("GET", "/patients", "patients", whom),
    line("GET", "/incarnation", "none", incarnation),
];

static ROUTES: LazyLock<Vec<Route<Registry>>> = LazyLock::new(|| {
    let route = |line: &Line| Route {
        method: line.method,
        path: line.path,
        transaction: line.transaction,
        serve: line.serve,
    };
    let soap = super::soap::ROUTES.iter().map(|route| Route { ..*route });
    LINES.iter().map(route).chain(soap).collect()
});

/// The table as the runner wants it.
pub(crate) fn routes() -> &'static [Route<Registry>] {
    &ROUTES
}

/// The interactions the table serves.
pub(super) fn interactions() -> Vec<Interaction> {
    let interaction = |line: &Line| {
        line.claims.map(|(resource, code, documentation)| Interaction {
            resource,
            code,
            definition: line.definition,
            documentation,
        })
    };
    LINES.iter().filter_map(interaction).collect()
}

/// What is answered where no line fits.
pub(crate) fn unrouted(request: &Request, allowed: &[&'static str]) -> Answer {
    let paths: Vec<&str> = LINES.iter().map(|line| line.path).collect();
    let asked = Asked { method: request.method.as_str(), path: &request.path, base: &request.base, allowed };
    let hint = match request.path.split('/').nth(1) {
        Some("Binary") => "Documents and Binaries are at the repository of this domain.",
        Some("Bundle") => "A transaction is sent to the base itself, not to Bundle.",
        Some("Patient") => "Patients are found at the identity source of this domain.",
        Some("Task" | "CommunicationRequest") => {
            "Tasks of submissions are kept by the repository of this domain; those here are read, and settled by POST Task/[id]/$settle."
        }
        _ => "",
    };
    let told = unrouted::tell(asked, &paths, hint);
    refusal::problem(told.status, ::fhir::outcome::of_problem(told.issue, told.code, &told.text, &request.id))
}

fn metadata<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move { super::metadata::answer(registry, request) })
}

fn implements<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(super::metadata::ask(registry, request, Question::Implements))
}

fn conforms<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(super::metadata::ask(registry, request, Question::Conforms))
}

fn register<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = changing(registry);
        telling(registry, registry.corridor.walk(&registry.register, &codec, request).await)
    })
}

fn publish<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = Publishing::new(changing(registry), &registry.corridor.store, request);
        telling(registry, registry.corridor.walk(&registry.register, &codec, request).await)
    })
}

fn validate<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = changing(registry);
        telling(registry, registry.corridor.walk(&registry.validate, &codec, request).await)
    })
}

fn feed<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = changing(registry);
        telling(registry, registry.corridor.walk(&registry.feed, &codec, request).await)
    })
}

fn put_document<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    update(registry, request, DOCUMENT, Written::Whole)
}

fn patch_document<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    update(registry, request, DOCUMENT, Written::Patch)
}

fn put_list<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    update(registry, request, LIST, Written::Whole)
}

fn patch_list<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    update(registry, request, LIST, Written::Patch)
}

fn update<'a>(
    registry: &'a Registry,
    request: &'a mut Request,
    kind: store::Kind,
    written: Written,
) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = Updating::new(changing(registry), &registry.limits, kind, written);
        registry.corridor.walk(&registry.update, &codec, request).await
    })
}

fn settle<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = changing(registry);
        telling(registry, registry.corridor.walk(&registry.settle, &codec, request).await)
    })
}

fn bindings<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = Reconciling { incarnation: &registry.incarnation };
        telling(registry, registry.corridor.walk(&registry.bindings, &codec, request).await)
    })
}

fn whom<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = Reconciling { incarnation: &registry.incarnation };
        registry.corridor.walk(&registry.whom, &codec, request).await
    })
}

fn submissions<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = Reconciling { incarnation: &registry.incarnation };
        telling(registry, registry.corridor.walk(&registry.submissions, &codec, request).await)
    })
}

fn incarnation<'a>(registry: &'a Registry, _: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move { telling(registry, reconcile::incarnation(&registry.incarnation)) })
}

fn export_all<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    export(registry, request, Level::System)
}

fn export_patients<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    export(registry, request, Level::Patients)
}

fn export_patient<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    export(registry, request, Level::Patient)
}

fn export_group<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    export(registry, request, Level::Group)
}

fn export<'a>(registry: &'a Registry, request: &'a mut Request, level: Level) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = Ordering {
            changing: changing(registry),
            exports: &registry.exports,
            level,
            max_bytes: registry.limits.max_body_bytes,
            preferred: std::cell::Cell::new(false),
        };
        registry.corridor.walk(&Start(registry.exports.clone()), &codec, request).await
    })
}

fn look_at_export<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(
        async move { registry.corridor.walk(&Look(registry.exports.clone()), &Following, request).await },
    )
}

fn cancel_export<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(
        async move { registry.corridor.walk(&Cancel(registry.exports.clone()), &Following, request).await },
    )
}

fn fetch_export<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(
        async move { registry.corridor.walk(&Fetch(registry.exports.clone()), &Following, request).await },
    )
}

fn read_group<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let transaction = ReadGroup(registry.groups.clone());
        registry.corridor.walk(&transaction, &grouping(registry), request).await
    })
}

fn keep_group<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        registry.corridor.walk(&Keep(registry.groups.clone()), &grouping(registry), request).await
    })
}

fn find_reviews<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = Reviewing::new(&registry.desk, &registry.limits, registry.corridor.clock.now());
        registry.corridor.walk(&FindReviews(registry.reviews.clone()), &codec, request).await
    })
}

fn settle_review<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = Deciding {
            changing: changing(registry),
            identity: &registry.desk.identity,
            max_bytes: registry.limits.max_body_bytes,
        };
        registry.corridor.walk(&SettleReview(registry.reviews.clone()), &codec, request).await
    })
}

fn grouping(registry: &Registry) -> Grouping<'_> {
    Grouping { changing: changing(registry), max_bytes: registry.limits.max_body_bytes }
}

pub(super) fn changing(registry: &Registry) -> Changing<'_> {
    Changing::new(&registry.limits, &registry.desk.identity, &registry.incarnation, &registry.domain)
}

/// An answer, refusals too, that says which life of this registry gives it.
fn telling(registry: &Registry, answer: Answer) -> Answer {
    refusal::with(answer, INCARNATION, &registry.incarnation)
}

fn find_documents<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let now = registry.corridor.clock.now();
        let codec = Searching::new(&registry.desk, &registry.limits, Of::Documents, now);
        registry.corridor.walk(&registry.find_documents, &codec, request).await
    })
}

fn docref<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let now = registry.corridor.clock.now();
        let codec = Searching::new(&registry.desk, &registry.limits, Of::Documents, now).by_operation();
        registry.corridor.walk(&registry.find_documents, &codec, request).await
    })
}

fn find_lists<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let now = registry.corridor.clock.now();
        let codec = Searching::new(&registry.desk, &registry.limits, Of::Lists, now);
        registry.corridor.walk(&registry.find_lists, &codec, request).await
    })
}

fn read_document<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    read(registry, request, DOCUMENT, Part::Current)
}

fn vread_document<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    read(registry, request, DOCUMENT, Part::Version)
}

fn history_of_document<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    read(registry, request, DOCUMENT, Part::History)
}

fn read_list<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    read(registry, request, LIST, Part::Current)
}

fn vread_list<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    read(registry, request, LIST, Part::Version)
}

fn history_of_list<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    read(registry, request, LIST, Part::History)
}

fn read<'a>(
    registry: &'a Registry,
    request: &'a mut Request,
    kind: store::Kind,
    part: Part,
) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = Reading::new(kind, part, &registry.desk.time_zone);
        registry.corridor.walk(&registry.read, &codec, request).await
    })
}
