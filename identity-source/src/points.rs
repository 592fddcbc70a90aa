//! The failpoints of an identity source: where a test may interrupt a feed.

use store::point::Point;

/// All of them, in the order a feed meets them.
pub(crate) const POINTS: &[Point] = &[
    Point::new("id.feed.pre_commit", "feed.rs", "deciding about a patient and committing it"),
    Point::new("id.feed.post_commit", "feed.rs", "committing a patient and telling the registry"),
    Point::new(
        "id.outbox.sent",
        "deliver/courier.rs",
        "having sent messages of the outbox and marking them as delivered",
    ),
    Point::new("id.feed.pre_ack", "feed.rs", "having tried to tell the registry and answering the source"),
    Point::new(
        "id.link.pre_judge",
        "links/linker.rs",
        "committing a patient and looking whom else it is known as",
    ),
    Point::new(
        "id.link.pre_commit",
        "links/linker.rs",
        "deciding about links of a patient and committing them",
    ),
];
