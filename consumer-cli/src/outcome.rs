//! What a server said went wrong, from an OperationOutcome or whatever came instead.

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::exit::{Exit, Failure};

/// Issues told beside the first.
const SHOWN: usize = 20;

/// The failure an answer that is not a success stands for. `sent_id` is the request id this program sent.
pub(crate) fn failure(status: u16, headers: &HeaderMap, body: &[u8], sent_id: &str, what: &str) -> Failure {
    let outcome = serde_json::from_slice::<Value>(body).ok();
    let issues = outcome.as_ref().map(issues).unwrap_or_default();
    let mut failure = match issues.split_first() {
        None => Failure::new(Exit::of_status(status), format!("{what} was answered {}", reason(status))),
        Some((first, rest)) => {
            let mut failure = Failure::new(Exit::of_status(status), first.text.clone());
            failure = with_place(failure, first);
            for issue in rest.iter().take(SHOWN) {
                failure = with_place(failure.note("also", issue.text.clone()), issue);
            }
            if rest.len() > SHOWN {
                failure = failure.note("also", format!("{} more", rest.len() - SHOWN));
            }
            failure.note("status", reason(status))
        }
    };
    let id = headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or(sent_id);
    failure = failure.note("request id", id.to_owned());
    failure.status = Some(status);
    failure.unknown = matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504);
    failure.retry_after = headers
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(std::time::Duration::from_secs);
    match next(status) {
        Some(next) => failure.next(next),
        None => failure,
    }
}

fn with_place(mut failure: Failure, issue: &Issue) -> Failure {
    for place in &issue.places {
        failure = failure.note("at", place.clone());
    }
    if issue.codes.is_empty() { failure } else { failure.note("code", issue.codes.join(", ")) }
}

/// Warnings of an outcome that came with a success.
pub(crate) fn warnings(outcome: &Value) -> Vec<String> {
    issues(outcome).into_iter().map(|issue| issue.text).collect()
}

struct Issue {
    text: String,
    places: Vec<String>,
    codes: Vec<String>,
}

fn issues(outcome: &Value) -> Vec<Issue> {
    if outcome["resourceType"] != "OperationOutcome" {
        return Vec::new();
    }
    outcome["issue"].as_array().map(|issues| issues.iter().map(issue).collect()).unwrap_or_default()
}

fn issue(issue: &Value) -> Issue {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().map(|values| values.iter().filter_map(text).collect()).unwrap_or_default()
    };
    let mut codes: Vec<String> = issue["details"]["coding"]
        .as_array()
        .map(|codings| codings.iter().filter_map(|coding| text(&coding["code"])).collect())
        .unwrap_or_default();
    codes.extend(text(&issue["code"]).filter(|code| !codes.contains(code)));
    let places = texts(&issue["expression"]);
    Issue {
        text: text(&issue["details"]["text"])
            .or_else(|| text(&issue["diagnostics"]))
            .or_else(|| text(&issue["code"]))
            .unwrap_or_else(|| "no words".to_owned()),
        places: if places.is_empty() { texts(&issue["location"]) } else { places },
        codes,
    }
}

fn reason(status: u16) -> String {
    let words = reqwest::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    format!("{status} {}", words.unwrap_or("")).trim_end().to_owned()
}

fn next(status: u16) -> Option<&'static str> {
    match status {
        401 => Some("give a valid token: DOCSHARE_TOKEN, or token_file in the profile"),
        403 => Some("ask the operator for the permission; this request was understood and denied"),
        404 => Some("check the id, and with `docshare status` that this is the right server"),
        409 | 412 => Some("look at what is there already; send something new under a new unique id"),
        410 => Some("it was here and is removed; earlier versions may still be readable"),
        413 => Some("send less at once; the limit is named above"),
        429 | 503 => Some("try again in a while; `docshare status` tells when the actors are ready"),
        400 | 415 | 422 => Some("mend what is named above and send it again"),
        500..=599 => Some("give the request id to the operator of the server"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_told_with_place_code_and_request_id() {
        let body = br#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"required",
            "details":{"coding":[{"code":"XDSRegistryMetadataError"}],"text":"format is missing"},
            "expression":["Bundle.entry[0].resource.content[0].format"]}]}"#;
        let failure = failure(400, &HeaderMap::new(), body, "r-1", "the submission");
        assert_eq!((failure.exit, failure.text.as_str()), (Exit::Rejected, "format is missing"));
        assert_eq!(
            failure.notes,
            [
                ("at", "Bundle.entry[0].resource.content[0].format".to_owned()),
                ("code", "XDSRegistryMetadataError, required".to_owned()),
                ("status", "400 Bad Request".to_owned()),
                ("request id", "r-1".to_owned()),
            ]
        );
        assert!(failure.next.is_some() && !failure.unknown);
    }

    #[test]
    fn an_answer_that_is_no_outcome_is_told_by_its_status() {
        let failure = failure(502, &HeaderMap::new(), b"<html>oops</html>", "r", "the search");
        assert_eq!(
            (failure.exit, failure.text.as_str()),
            (Exit::Server, "the search was answered 502 Bad Gateway")
        );
        assert!(failure.unknown);
    }
}
