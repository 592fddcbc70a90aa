//! The failpoints of a repository: where a test may interrupt a submission.

use store::point::Point;

/// All of them, in the order a submission meets them.
pub(crate) const POINTS: &[Point] = &[
    Point::new("repo.body.chunk", "face/iti65.rs", "two pieces of a submission's body"),
    Point::shared(
        "repo.blob.pre_sync",
        "blob.pre_sync",
        "store, files.rs",
        "writing a large document and syncing it",
    ),
    Point::shared(
        "repo.blob.post_sync",
        "blob.post_sync",
        "store, files.rs",
        "syncing a large document and naming it",
    ),
    Point::shared(
        "repo.blob.post_rename",
        "blob.post_rename",
        "store, files.rs",
        "naming a large document and syncing its directory",
    ),
    Point::shared(
        "repo.blob.post_dirsync",
        "blob.post_dirsync",
        "store, files.rs",
        "having a large document on storage and writing the intent",
    ),
    Point::new("repo.intent.pre_commit", "records.rs", "having the documents and committing the intent"),
    Point::new("repo.intent.post_commit", "records.rs", "committing the intent and asking the registry"),
    Point::new("repo.reg.pre_send", "registrar.rs", "the intent and the request to the registry"),
    Point::new("repo.reg.sent", "registrar.rs", "sending the registration and reading its answer"),
    Point::new("repo.reg.received", "registrar.rs", "the registry's answer and acting upon it"),
    Point::new(
        "repo.bind.pre_commit",
        "records/closing.rs",
        "the registry's decision and binding the documents",
    ),
    Point::new("repo.bind.post_commit", "records/closing.rs", "binding the documents and letting the key go"),
    Point::new("repo.answer.pre", "provide.rs", "the outcome and its answer to the source"),
    Point::new("repo.answer.mid", "face/iti65.rs", "the two halves of the answer to the source"),
    Point::new(
        "repo.task.pre_commit",
        "tasks.rs",
        "having a submission that is made later and committing it",
    ),
    Point::new("repo.task.post_commit", "tasks.rs", "committing a submission that is made later and telling"),
    Point::new("repo.task.made", "tasks.rs", "making such a submission and writing down what came of it"),
    Point::new(
        "repo.settle.asked",
        "registrar.rs",
        "asking what became of an attempt and reading the answer",
    ),
    Point::new(
        "repo.settle.answered",
        "registrar.rs",
        "knowing what became of an attempt and acting upon it",
    ),
    Point::shared(
        "repo.trash.moved",
        "trash.moved",
        "store, files.rs",
        "moving a document to the trash and going on",
    ),
];
