//! OperationOutcome: what every non-2xx answer carries (rest-conventions 2).

mod pages;
mod problem;

use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use xds::{Finding, Findings, Place, Rule, Severity, Side, finding};

/// System of the XDS error codes in `details.coding`. IHE defines none; this names the table (TF-3 Table 4.2.4.1-2).
pub const XDS_CODES: &str = "urn:ihe:iti:2007:XDSErrorCode";

/// System of our own codes in `details.coding`.
pub const OUR_CODES: &str = "https://docshare.example/errors";

pub use pages::{codes, index, page};
pub use problem::{PROBLEMS, Problem, problem};

/// Where this process says its codes are documented: set once, at its start, for everything it ever answers.
static DOCUMENTED: OnceLock<String> = OnceLock::new();

/// Says where the pages of `docs/errors` are published, e.g. `https://docs.region.example/errors`: the system of our codes from
/// now on, and what `diagnostics` links to. Only the first word counts.
pub fn documented_at(errors: &str) {
    // Whoever says it a second time is another actor of the same process, which is documented in the same place.
    let _ = DOCUMENTED.set(errors.to_owned());
}

/// The system of our own codes.
pub(crate) fn system() -> &'static str {
    DOCUMENTED.get().map_or(OUR_CODES, String::as_str)
}

/// The text, and where there is more to read, if that is published anywhere.
fn diagnostics(text: &str, code: &str) -> String {
    match DOCUMENTED.get() {
        Some(errors) => format!("{text} See {errors}/{code}"),
        None => text.to_owned(),
    }
}

/// Issues in one answer; one more says that there were others.
const MOST: usize = 100;

const LINE: &str = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line";
const COLUMN: &str = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-col";

/// HTTP status of an answer that refuses for these findings: that of the worst.
pub fn status(findings: &[Finding]) -> u16 {
    worst_first(findings).first().map_or(200, |finding| finding.rule.row().status)
}

/// An OperationOutcome of findings, worst first, at most 100 and then one `incomplete`. `id` is the request id.
pub fn of_findings(findings: &[Finding], id: &str) -> Vec<u8> {
    written(id, issues(findings))
}

/// An OperationOutcome of findings for which a submission was refused: the first issue also says that nothing came of it.
pub fn of_refusal(findings: &[Finding], id: &str) -> Vec<u8> {
    let mut issues = issues(findings);
    if let Some(Value::String(said)) = issues.first_mut().and_then(|worst| worst.get_mut("diagnostics"))
        && !said.contains("was stored")
    {
        said.insert_str(0, "No document was stored. ");
    }
    written(id, issues)
}

/// An OperationOutcome of one problem that is not of the domain: its issue code, our code, a sentence.
pub fn of_problem(issue: &str, code: &str, text: &str, id: &str) -> Vec<u8> {
    let issue = json!({
        "severity": "error",
        "code": issue,
        "details": { "coding": [{ "system": system(), "code": code }], "text": text },
        "diagnostics": diagnostics(text, code),
    });
    written(id, vec![issue])
}

/// An OperationOutcome that says what was done, before whatever reservations there are.
pub fn of_success(text: &str, warnings: &[Finding], id: &str) -> Vec<u8> {
    let done = json!({
        "severity": "information",
        "code": "informational",
        "details": { "text": text },
        "diagnostics": text,
    });
    written(id, std::iter::once(done).chain(issues(warnings)).collect())
}

/// The issues of findings, worst first: for an outcome inside another resource.
pub(crate) fn issues(findings: &[Finding]) -> Vec<Value> {
    let sorted = worst_first(findings);
    let mut issues: Vec<Value> = sorted.iter().take(MOST).map(of_finding).collect();
    if sorted.len() > MOST {
        let text = format!("{} further problems are not listed.", sorted.len() - MOST);
        issues.push(json!({
            "severity": "information",
            "code": "incomplete",
            "details": { "coding": [{ "system": system(), "code": "incomplete" }], "text": text },
            "diagnostics": text,
        }));
    }
    issues
}

fn worst_first(findings: &[Finding]) -> Findings {
    let mut sorted = findings.to_vec();
    finding::sort(&mut sorted);
    sorted
}

fn written(id: &str, issues: Vec<Value>) -> Vec<u8> {
    let mut outcome = Map::new();
    outcome.insert("resourceType".to_owned(), "OperationOutcome".into());
    if !id.is_empty() {
        outcome.insert("id".to_owned(), id.into());
    }
    outcome.insert("issue".to_owned(), Value::Array(issues));
    Value::Object(outcome).to_string().into_bytes()
}

fn of_finding(finding: &Finding) -> Value {
    let row = finding.rule.row();
    let mut coding = Vec::new();
    if let Some(code) = finding.xds_code() {
        coding.push(json!({ "system": XDS_CODES, "code": code }));
    }
    coding.push(json!({ "system": system(), "code": row.code }));
    let text = match finding.at.attribute {
        Some(attribute) if !finding.text.contains(attribute) => format!("{} ({attribute})", finding.text),
        _ => finding.text.clone(),
    };
    let mut issue = Map::new();
    if let Some((line, column)) = finding.at.line {
        issue.insert(
            "extension".to_owned(),
            json!([{ "url": LINE, "valueInteger": line }, { "url": COLUMN, "valueInteger": column }]),
        );
    }
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Information => "information",
    };
    issue.insert("severity".to_owned(), severity.into());
    issue.insert("code".to_owned(), row.issue.into());
    issue.insert("details".to_owned(), json!({ "coding": coding, "text": text.as_str() }));
    issue.insert("diagnostics".to_owned(), diagnostics(&text, row.code).into());
    if !finding.at.path.is_empty() {
        issue.insert("expression".to_owned(), json!([finding.at.path]));
    }
    Value::Object(issue)
}

/// Findings of an OperationOutcome a peer sent, as far as we can read them (severity, code, text, expression).
pub fn read(bytes: &[u8]) -> Option<Findings> {
    of_value(&serde_json::from_slice(bytes).ok()?)
}

/// The same, from a parsed resource.
pub(crate) fn of_value(outcome: &Value) -> Option<Findings> {
    if outcome["resourceType"] != "OperationOutcome" {
        return None;
    }
    Some(outcome["issue"].as_array()?.iter().map(read_issue).collect())
}

fn read_issue(issue: &Value) -> Finding {
    let severity = match issue["severity"].as_str() {
        Some("information") => Severity::Information,
        Some("warning") => Severity::Warning,
        _ => Severity::Error,
    };
    let codings = issue["details"]["coding"].as_array().map(Vec::as_slice).unwrap_or_default();
    let code_in =
        |system: &str| codings.iter().find(|c| c["system"] == system).and_then(|c| c["code"].as_str());
    let xds = code_in(XDS_CODES);
    // A peer may be documented elsewhere.
    let ours =
        codings.iter().find(|c| c["system"].as_str().is_some_and(|system| system.ends_with("/errors")));
    let rule = ours
        .and_then(|coding| coding["code"].as_str())
        .and_then(|code| Rule::ALL.iter().copied().find(|rule| rule.row().code == code))
        .or_else(|| xds.and_then(|code| Rule::ALL.iter().copied().find(|rule| says(*rule, code))))
        .or_else(|| Rule::ALL.iter().copied().find(|rule| issue["code"] == rule.row().issue))
        .unwrap_or(Rule::BusinessRule);
    let side = if xds == rule.xds_code(Side::Registry) { Side::Registry } else { Side::Repository };
    let line = |url: &str| {
        let extensions = issue["extension"].as_array()?;
        extensions.iter().find(|extension| extension["url"] == url)?["valueInteger"].as_u64()
    };
    let text = issue["details"]["text"].as_str().or(issue["diagnostics"].as_str()).unwrap_or("(no text)");
    let path = issue["expression"][0].as_str().or(issue["location"][0].as_str()).unwrap_or_default();
    let place = Place { line: line(LINE).zip(line(COLUMN)), ..Place::at(path) };
    Finding { severity, side, ..Finding::error(rule, place, text) }
}

fn says(rule: Rule, code: &str) -> bool {
    [Side::Registry, Side::Repository].iter().any(|side| rule.xds_code(*side) == Some(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_says_worst_first_where_and_under_both_codes() {
        let findings = [
            Finding::warning(Rule::NotSupported, Place::whole(), "b"),
            Finding::error(
                Rule::MetadataRequired,
                Place::at("Bundle.entry[0]").of("DocumentEntry.typeCode"),
                "a is missing.",
            )
            .by(Side::Repository),
        ];
        let outcome: Value = serde_json::from_slice(&of_findings(&findings, "r-1")).unwrap();
        assert_eq!(outcome["id"], "r-1");
        let issue = &outcome["issue"][0];
        assert_eq!(issue["details"]["coding"][0]["code"], "XDSRepositoryMetadataError");
        assert_eq!(issue["details"]["coding"][1]["code"], "metadata-required");
        assert_eq!(issue["expression"][0], "Bundle.entry[0]");
        assert_eq!(issue["diagnostics"], "a is missing. (DocumentEntry.typeCode)");
        assert_eq!(status(&findings), 400);
    }

    #[test]
    fn a_refused_submission_is_told_that_nothing_came_of_it() {
        let finding = |text: &str| Finding::error(Rule::Required, Place::at("Bundle.type"), text);
        let read =
            |findings: &[Finding]| -> Value { serde_json::from_slice(&of_refusal(findings, "r-1")).unwrap() };
        let told = read(&[finding("a is missing."), finding("b is missing.")]);
        assert_eq!(told["issue"][0]["diagnostics"], "No document was stored. a is missing.");
        assert_eq!(told["issue"][0]["details"]["text"], "a is missing.");
        assert_eq!(told["issue"][1]["diagnostics"], "b is missing.");
        let once = read(&[finding("Not so. Nothing was stored.")]);
        assert_eq!(once["issue"][0]["diagnostics"], "Not so. Nothing was stored.");
    }

    #[test]
    fn findings_survive_the_trip_to_a_peer() {
        for rule in Rule::ALL {
            let place = Place { line: Some((3, 4)), ..Place::at("Bundle.type") };
            let finding = Finding::error(*rule, place, "text");
            assert_eq!(read(&of_findings(std::slice::from_ref(&finding), "x")), Some(vec![finding]));
        }
    }

    #[test]
    fn a_hundred_problems_are_listed_and_the_rest_counted() {
        let findings = vec![Finding::error(Rule::Value, Place::whole(), "x"); 130];
        let outcome: Value = serde_json::from_slice(&of_findings(&findings, "")).unwrap();
        assert_eq!(outcome["issue"].as_array().map(Vec::len), Some(101));
        assert_eq!(outcome["issue"][100]["code"], "incomplete");
    }

    #[test]
    fn a_foreign_outcome_is_read_as_far_as_possible() {
        let read =
            read(br#"{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"not-found"}]}"#)
                .unwrap();
        assert_eq!((read[0].severity, read[0].text.as_str()), (Severity::Error, "(no text)"));
        assert_eq!(read[0].rule.row().issue, "not-found");
    }
}
