//! Problems that are none of the domain: of HTTP, of the server, of its peers. One row for each code that is told.

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    /// Our own code.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// `OperationOutcome.issue.code`.
    pub issue: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// How to mend it.
    pub mend: &'static str,
}

const fn row(
    code: &'static str,
    status: u16,
    issue: &'static str,
    meaning: &'static str,
    mend: &'static str,
) -> Problem {
    Problem { code, status, issue, meaning, mend }
}

/// All of them, by status.
pub const PROBLEMS: &[Problem] = &[
    row("success", 200, "informational", "What was asked for has been done.", "Nothing is to be mended."),
    row(
        "incomplete",
        400,
        "incomplete",
        "There are more problems than one answer lists.",
        "Mend those that are listed, and send the request again.",
    ),
    row(
        "unmet-requirement",
        200,
        "not-supported",
        "A client's requirement that this server does not meet (`CapabilityStatement/$implements` and `$conforms`).",
        "See whether the client can do without, or which other actor of the domain meets it.",
    ),
    row(
        "malformed-request",
        400,
        "structure",
        "The request is not sound HTTP, so its parts could mean different things to different readers.",
        "Use an HTTP library; look at proxies in between.",
    ),
    row(
        "malformed-path",
        400,
        "invalid",
        "The path could mean different things to different readers: dots, doubled slashes, encoded slashes.",
        "Write the path plainly, and encode what belongs to a value.",
    ),
    row(
        "malformed-id",
        400,
        "value",
        "What stands in the place of an id cannot be one: ids have 1 to 64 letters, digits, hyphens and dots.",
        "Use the id of a search or of a `Location`.",
    ),
    row(
        "body-broken",
        400,
        "structure",
        "The body does not hold what its framing or its content coding says.",
        "Check `Content-Length`, chunked coding and `Content-Encoding`.",
    ),
    row(
        "caller-unknown",
        401,
        "login",
        "The server does not know who is calling. Under the local development policy it answers only callers on its own machine.",
        "Call from the machine itself.",
    ),
    row(
        "not-allowed",
        403,
        "forbidden",
        "The caller is known and may not do this.",
        "Ask the operator for the permission.",
    ),
    row(
        "not-found",
        404,
        "not-found",
        "There is nothing by this name.",
        "Check the id, and whether this is the right actor: entries and lists are at the registry, bytes at the repository, patients at the identity source.",
    ),
    row(
        "unknown-type",
        404,
        "not-supported",
        "This actor has no resources of this type.",
        "`GET metadata` lists the types it has.",
    ),
    row(
        "unknown-operation",
        404,
        "not-supported",
        "This actor has no such operation.",
        "`GET metadata` lists the operations it has.",
    ),
    row(
        "unknown-path",
        404,
        "not-supported",
        "There is nothing at this path.",
        "The FHIR base ends in `/fhir`; `GET [base]/metadata` is a good beginning.",
    ),
    row(
        "no-authorization-server",
        404,
        "not-supported",
        "A client looks for an authorization server, and there is none: nobody is asked for a token here.",
        "Configure the client for an open server.",
    ),
    row(
        "method-not-allowed",
        405,
        "not-supported",
        "The path is right, the method is not.",
        "Use one of the methods in `Allow`.",
    ),
    row(
        "not-acceptable",
        406,
        "not-supported",
        "Nothing the caller accepts can be given.",
        "Accept `application/fhir+json` or `application/fhir+xml`; a document is given in its own type.",
    ),
    row(
        "body-too-slow",
        408,
        "timeout",
        "The body stalled, came too slowly, or ended before its declared length. Nothing was stored.",
        "Send the request again, over a better line.",
    ),
    row(
        "head-too-slow",
        408,
        "timeout",
        "The head of the request was not complete in time.",
        "Send the request again, over a better line.",
    ),
    row(
        "deleted",
        410,
        "deleted",
        "It was there and was removed.",
        "Earlier versions can be read by `_history`.",
    ),
    row(
        "precondition-failed",
        412,
        "conflict",
        "A precondition of the request (`If-Match`) does not hold; nothing was changed.",
        "Read the current version, and decide again.",
    ),
    row(
        "too-large",
        413,
        "too-long",
        "The request, or what it would change at once, is larger than a limit, which the text names with its key.",
        "Send less at once, or ask the operator to raise the limit.",
    ),
    row(
        "target-too-long",
        414,
        "too-long",
        "The address is too long.",
        "Send the search by POST to `_search`.",
    ),
    row(
        "media-type",
        415,
        "not-supported",
        "The type or coding of the body is not one that is taken.",
        "Send FHIR in JSON or XML, in UTF-8, plain or as gzip, br or zstd.",
    ),
    row(
        "too-many-requests",
        429,
        "throttled",
        "Too many of these are under way.",
        "Wait as long as `Retry-After` says.",
    ),
    row(
        "head-too-large",
        431,
        "too-long",
        "The header lines are larger than a limit.",
        "Send fewer or shorter headers; large cookies are the usual cause.",
    ),
    row(
        "too-many-headers",
        431,
        "too-long",
        "There are more header lines than a limit.",
        "Send fewer headers.",
    ),
    row(
        "internal",
        500,
        "exception",
        "The server failed in a way it should not.",
        "Give the request id, which is the id of the outcome, to the operator: the cause is in the log under it.",
    ),
    row(
        "export-failed",
        500,
        "exception",
        "An export ended before it was complete.",
        "Begin it again; if it fails again, give the request id to the operator.",
    ),
    row(
        "method-unknown",
        501,
        "not-supported",
        "The method is none of HTTP.",
        "Use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.",
    ),
    row(
        "busy",
        503,
        "transient",
        "The server has too much at once, or is busy with the same thing. Nothing was stored.",
        "Send it again after `Retry-After`.",
    ),
    row(
        "starting",
        503,
        "transient",
        "The server has just been started and still reads its storage. Nothing was stored.",
        "Send it again after `Retry-After`; operators see at `/readyz` how far it is.",
    ),
    row(
        "peer-unavailable",
        503,
        "transient",
        "Another server this one depends on was not reached. Nothing was stored.",
        "Send it again after `Retry-After`; operators look at that server.",
    ),
    row(
        "outcome-unknown",
        503,
        "timeout",
        "Whether the request was carried out is not known.",
        "Send exactly the same again, with the same ids: it is carried out at most once.",
    ),
    row(
        "deadline",
        503,
        "timeout",
        "It took longer than is allowed.",
        "Ask for less, or again later; send a change again under the same identifiers.",
    ),
    row(
        "no-room",
        503,
        "no-store",
        "The server has no room to store this; reading goes on.",
        "Operators make room; nothing was stored.",
    ),
    row(
        "not-writable",
        503,
        "no-store",
        "The server cannot write to its storage; reading goes on.",
        "Operators look at the log; nothing was stored.",
    ),
    row(
        "stored-bytes-damaged",
        503,
        "exception",
        "What is stored is damaged and is not given out.",
        "Operators restore it from a backup (`verify` tells what is damaged).",
    ),
    row(
        "stored-bytes-unreadable",
        503,
        "exception",
        "What is stored cannot be read at present.",
        "Send it again later; operators look at the storage.",
    ),
    row(
        "too-many-connections",
        503,
        "throttled",
        "There are too many connections.",
        "Keep connections open and use them again; try again in a moment.",
    ),
    row("http-version", 505, "not-supported", "This version of HTTP is not spoken here.", "Use HTTP/1.1."),
];

/// The row of a code.
pub fn problem(code: &str) -> Option<&'static Problem> {
    PROBLEMS.iter().find(|problem| problem.code == code)
}

#[cfg(test)]
mod tests {
    use xds::Rule;

    use super::*;

    #[test]
    fn a_code_means_one_thing() {
        let mut codes: Vec<&str> = PROBLEMS.iter().map(|problem| problem.code).collect();
        codes.extend(Rule::ALL.iter().map(|rule| rule.row().code));
        codes.sort_unstable();
        let twice: Vec<_> = codes.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}
