//! The failpoints of a registry: where a test may interrupt a registration or a fence.

use store::point::Point;

/// All of them, in the order a registration meets them.
pub(crate) const POINTS: &[Point] = &[
    Point::new("reg.parsed", "register.rs", "reading a registration and judging it"),
    Point::new(
        "reg.tx.begin",
        "register.rs",
        "having the turn of the patient and looking at what is registered",
    ),
    Point::new("reg.tx.pre_commit", "register.rs", "deciding and committing"),
    Point::shared(
        "reg.tx.mid",
        "commit.mid",
        "store, journal/committer.rs",
        "writing a commit, of whatever, and syncing it",
    ),
    Point::new("reg.tx.post_commit", "register.rs", "committing and telling"),
    Point::new("reg.answer.pre", "register.rs", "the outcome of a registration and its answer"),
    Point::new("reg.fence.pre_commit", "settle.rs", "finding an attempt absent and fencing it"),
    Point::new("reg.fence.post_commit", "settle.rs", "fencing an attempt and telling"),
    Point::new(
        "reg.feed.pre_commit",
        "identify.rs",
        "deciding what a patient identity feed (ITI-8, ITI-44) changes and committing it",
    ),
    Point::new(
        "reg.merge.mid",
        "feed.rs, identify.rs",
        "finding out what a merge, or its end, moves and committing it",
    ),
    Point::new("reg.feed.post_commit", "identify.rs", "committing it and telling"),
    Point::new("reg.feed.pre_ack", "face/mllp.rs", "the outcome of a message and its acknowledgement"),
    Point::new(
        "reg.export.pre_commit",
        "export/work.rs",
        "writing a file of an export and committing it with its place",
    ),
    Point::new("reg.export.post_commit", "export/work.rs", "committing a file of an export and going on"),
];
