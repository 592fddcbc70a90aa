//! Rows of the catalogue of bad input that wait for a part of the product, each with its reason.

use std::ops::RangeInclusive;

/// Group, numbers, what it waits for.
const WAITING: &[(&str, RangeInclusive<u8>, &str)] = &[
    (
        "soap",
        12..=12,
        "tested in the registry's own tests (stored_queries::limits): over the wire it would take thousands of documents",
    ),
    ("soap", 17..=17, "waiting for tokens: nothing is hidden from the one principal"),
    ("jwt", 1..=18, "waiting for tokens"),
    ("tls-saml", 1..=6, "waiting for TLS and assertions"),
    ("ssrf", 4..=4, "waiting for an allow-list of hosts: nothing is fetched from anywhere"),
    ("ssrf", 7..=7, "waiting for tokens"),
    ("http", 14..=14, "waiting for TLS"),
    ("http", 16..=16, "waiting for HTTP/2, which is not offered"),
    ("search", 12..=12, "waiting for tokens: there is one principal"),
    ("search", 15..=15, "waiting for tokens: nothing is hidden from the one principal"),
    ("cli", 1..=5, "tested with the command line itself, in its own package"),
];

/// Name and reason of each waiting row.
pub(super) fn rows() -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for (group, numbers, why) in WAITING {
        rows.extend(numbers.clone().map(|number| (format!("{group}-{number:02}"), (*why).to_owned())));
    }
    rows
}
