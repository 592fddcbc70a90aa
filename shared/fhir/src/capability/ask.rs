//! The operations `$implements` and `$conforms` on CapabilityStatement: a client's requirements come in, what is unmet goes out.

use serde_json::{Value, json};
use xds::{Finding, Findings, Place, Rule};

use super::compare::{Comparison, MOST, compare};
use crate::element::{items, text};
use crate::outcome;
use crate::search;

/// Which of the two is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether this server does what a client requires; the answer is an OperationOutcome.
    Implements,
    /// What of the statement `right` the statement `left` does not offer; the answer is a Parameters.
    Conforms,
}

/// Answers. `statement` is the actor's own, `body` what was posted (a Parameters, or the bare CapabilityStatement), `id` the
/// request id. Refuses statements that are named and not sent: nothing is fetched.
pub fn answer(
    question: Question,
    statement: &Value,
    query: &str,
    body: Option<&Value>,
    elsewhere: &[(&str, &str)],
    id: &str,
) -> Result<Vec<u8>, Findings> {
    let given = Given { query: search::pairs(query), body };
    let own = |name: &str| -> Result<(), Findings> {
        match given.named(name) {
            Some(url) if !is_own(&url, statement) => Err(unknown(name, &url)),
            _ => Ok(()),
        }
    };
    let (required, offered) = match question {
        Question::Implements => {
            own("server")?;
            if let (None, Some(client)) = (given.resource("resource"), given.named("client")) {
                return claimed(statement, &client, id);
            }
            let required = given.resource("resource").ok_or_else(|| missing("resource"))?;
            (required, statement)
        }
        Question::Conforms => {
            let left = given.resource("left");
            if left.is_none() {
                own("left")?;
            }
            let right = given.resource("right");
            if right.is_none() {
                own("right")?;
                if given.named("right").is_none() {
                    return Err(missing("right"));
                }
            }
            (right.unwrap_or(statement), left.unwrap_or(statement))
        }
    };
    for statement in [required, offered] {
        if text(statement, "resourceType") != Some("CapabilityStatement") {
            return Err(missing("resource"));
        }
    }
    let outcome = told(&compare(required, offered, elsewhere), id);
    Ok(match question {
        Question::Implements => outcome,
        Question::Conforms => json!({
            "resourceType": "Parameters",
            "parameter": [{ "name": "issues", "resource": outcome }],
        }),
    }
    .to_string()
    .into_bytes())
}

struct Given<'a> {
    query: Vec<(String, String)>,
    body: Option<&'a Value>,
}

impl Given<'_> {
    fn parameter(&self, name: &str) -> Option<&Value> {
        items(self.body?, "parameter").iter().find(|parameter| text(parameter, "name") == Some(name))
    }

    /// The statement sent under this name; the body itself may be what is required.
    fn resource(&self, name: &str) -> Option<&Value> {
        let body = self.body?;
        if name != "left" && text(body, "resourceType") == Some("CapabilityStatement") {
            return Some(body);
        }
        self.parameter(name)?.get("resource")
    }

    /// The URL given under this name.
    fn named(&self, name: &str) -> Option<String> {
        let in_query = self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        in_query.or_else(|| {
            let parameter = self.parameter(name)?;
            ["valueUri", "valueCanonical", "valueUrl"]
                .iter()
                .find_map(|kind| text(parameter, kind))
                .map(str::to_owned)
        })
    }
}

fn is_own(url: &str, statement: &Value) -> bool {
    let base = text(&statement["implementation"], "url").unwrap_or_default();
    [base, &format!("{base}/metadata"), text(statement, "url").unwrap_or(base)].contains(&url)
        || items(statement, "instantiates").iter().any(|known| known == url)
}

/// Of a statement that is only named it can be said whether this server claims it.
fn claimed(statement: &Value, client: &str, id: &str) -> Result<Vec<u8>, Findings> {
    if !is_own(client, statement) {
        return Err(unknown("client", client));
    }
    let text = format!("This server says of itself that it implements {client}.");
    Ok(crate::outcome::of_success(&text, &[], id))
}

fn unknown(name: &str, url: &str) -> Findings {
    let url: String = url.chars().filter(|c| !c.is_control()).take(200).collect();
    let text = format!(
        "{name} names {url}, which is no statement of this server, and nothing is fetched: send the CapabilityStatement itself."
    );
    vec![Finding::error(Rule::Value, Place::at(name), text)]
}

fn missing(name: &str) -> Findings {
    let text = format!(
        "A CapabilityStatement to compare with is required: POST it as the body, or in a Parameters under the name {name}."
    );
    vec![Finding::error(Rule::Required, Place::at(name), text)]
}

fn told(comparison: &Comparison, id: &str) -> Value {
    let mut unmet: Vec<_> = comparison.unmet.iter().collect();
    unmet.sort_by_key(|unmet| {
        ["error", "warning"].iter().position(|known| *known == unmet.severity).unwrap_or(2)
    });
    let mut issues: Vec<Value> = unmet
        .iter()
        .take(MOST)
        .map(|unmet| {
            json!({
                "severity": unmet.severity,
                "code": "not-supported",
                "details": { "coding": [{ "system": outcome::system(), "code": "unmet-requirement" }], "text": unmet.text },
                "diagnostics": unmet.text,
                "expression": [unmet.path],
            })
        })
        .collect();
    let met = comparison.looked_at.saturating_sub(comparison.missing);
    let text = match comparison.missing {
        0 => format!("All {met} requirements are met."),
        missing if missing > MOST => {
            format!("{met} requirements are met, {missing} are not; the first {MOST} of these are listed.")
        }
        missing => format!("{met} requirements are met, {missing} are not."),
    };
    issues.push(json!({
        "severity": "information", "code": "informational", "details": { "text": text }, "diagnostics": text,
    }));
    json!({ "resourceType": "OperationOutcome", "id": id, "issue": issues })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Value {
        json!({ "resourceType": "CapabilityStatement", "implementation": { "url": "https://r/fhir" },
                "instantiates": ["https://ihe/responder"], "rest": [{ "interaction": [{ "code": "transaction" }] }] })
    }

    fn wanting(code: &str) -> Value {
        json!({ "resourceType": "CapabilityStatement", "rest": [{ "interaction": [{ "code": code }] }] })
    }

    fn asked(question: Question, query: &str, body: Option<&Value>) -> Result<Value, Findings> {
        let written = answer(question, &own(), query, body, &[], "id")?;
        Ok(serde_json::from_slice(&written).unwrap())
    }

    #[test]
    fn a_bare_statement_and_one_in_parameters_are_answered_alike() {
        let parameters = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "server", "valueUri": "https://r/fhir" }, { "name": "resource", "resource": wanting("batch") }] });
        let one = asked(Question::Implements, "", Some(&wanting("batch"))).unwrap();
        assert_eq!(one, asked(Question::Implements, "", Some(&parameters)).unwrap());
        assert_eq!(one["issue"][0]["expression"][0], "CapabilityStatement.rest[0].interaction[0]");
        let met = asked(Question::Implements, "", Some(&wanting("transaction"))).unwrap();
        assert_eq!(met["issue"][0]["severity"], "information");
    }

    #[test]
    fn what_is_only_named_is_known_or_refused() {
        assert!(asked(Question::Implements, "client=https://ihe/responder", None).is_ok());
        for query in ["client=https://other", "server=https://other&client=https://ihe/responder", ""] {
            assert!(asked(Question::Implements, query, None).is_err(), "{query}");
        }
        let refused =
            asked(Question::Conforms, "left=https://r/fhir/metadata", None).expect_err("right is missing");
        assert_eq!(refused[0].rule, Rule::Required);
        assert!(
            asked(Question::Conforms, "", Some(&wanting("batch"))).is_ok(),
            "the body itself is what is required"
        );
    }

    #[test]
    fn two_statements_are_compared() {
        let both = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "left", "resource": wanting("batch") }, { "name": "right", "valueUri": "https://r/fhir" }] });
        let answer = asked(Question::Conforms, "", Some(&both)).unwrap();
        assert_eq!(answer["parameter"][0]["resource"]["issue"][0]["severity"], "error", "{answer}");
    }
}
