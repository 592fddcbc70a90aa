//! An OperationOutcome, read by whoever was refused.

use serde_json::Value;

/// One issue.
#[derive(Debug, Clone)]
pub struct Issue {
    /// `severity`.
    pub severity: String,
    /// `code`.
    pub code: String,
    /// Codes of `details.coding`.
    pub details: Vec<String>,
    /// `details.text`.
    pub text: String,
    /// `diagnostics`.
    pub diagnostics: String,
    /// `expression`.
    pub expressions: Vec<String>,
}

/// The issues of an OperationOutcome; none if this is not one.
pub fn issues(resource: &Value) -> Option<Vec<Issue>> {
    if resource["resourceType"] != "OperationOutcome" {
        return None;
    }
    Some(resource["issue"].as_array()?.iter().map(issue).collect())
}

fn issue(value: &Value) -> Issue {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value, pick: fn(&Value) -> &Value| -> Vec<String> {
        value.as_array().map(|items| items.iter().map(|item| text(pick(item))).collect()).unwrap_or_default()
    };
    Issue {
        severity: text(&value["severity"]),
        code: text(&value["code"]),
        details: list(&value["details"]["coding"], |coding| &coding["code"]),
        text: text(&value["details"]["text"]),
        diagnostics: text(&value["diagnostics"]),
        expressions: list(&value["expression"], |expression| expression),
    }
}
