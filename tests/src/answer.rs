//! What a server answered, and what can be asked of it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::outcome::{self, Issue};

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// From sending to the last byte.
    pub took: Duration,
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("the answer {} is JSON: {}", self.status, self.excerpt()))
    }

    /// The body as JSON, if the status is this one.
    pub fn expect(&self, status: u16) -> Result<Value> {
        ensure!(self.status == status, "expected {status}, got {}: {}", self.status, self.excerpt());
        if self.body.is_empty() { Ok(Value::Null) } else { self.json() }
    }

    /// The issues of the OperationOutcome in the body.
    pub fn issues(&self) -> Result<Vec<Issue>> {
        let issues = outcome::issues(&self.json()?);
        let issues = issues.with_context(|| {
            format!("the answer {} is an OperationOutcome: {}", self.status, self.excerpt())
        })?;
        ensure!(!issues.is_empty(), "the OperationOutcome has an issue");
        Ok(issues)
    }

    /// Refused with one of these statuses, the first issue with one of these codes.
    pub fn refused(&self, statuses: &[u16], codes: &[&str]) -> Result<Vec<Issue>> {
        ensure!(
            statuses.contains(&self.status),
            "expected {statuses:?}, got {}: {}",
            self.status,
            self.excerpt()
        );
        let issues = self.issues()?;
        let first = &issues[0];
        ensure!(
            codes.is_empty() || codes.contains(&first.code.as_str()),
            "expected issue code {codes:?}, got {}: {}",
            first.code,
            self.excerpt()
        );
        ensure!(!first.diagnostics.is_empty(), "the first issue has diagnostics: {}", self.excerpt());
        Ok(issues)
    }

    /// Refused as `refused`, and some issue carries one of these codes in its details.
    pub fn refused_with(&self, statuses: &[u16], codes: &[&str], details: &[&str]) -> Result<Vec<Issue>> {
        let issues = self.refused(statuses, codes)?;
        let named =
            issues.iter().any(|issue| issue.details.iter().any(|code| details.contains(&code.as_str())));
        ensure!(named, "expected one of {details:?} in the details: {}", self.excerpt());
        Ok(issues)
    }

    /// The resources of a searchset that are matches.
    pub fn matches(&self) -> Result<Vec<Value>> {
        let bundle = self.expect(200)?;
        ensure!(bundle["type"] == "searchset", "the answer is a searchset: {}", self.excerpt());
        let mut found = Vec::new();
        for entry in bundle["entry"].as_array().into_iter().flatten() {
            let url = entry["fullUrl"].as_str().unwrap_or_default();
            match entry["search"]["mode"].as_str() {
                Some("match") => {
                    ensure!(url.starts_with("http"), "fullUrl of a match is absolute: {url}");
                    found.push(entry["resource"].clone());
                }
                Some("include" | "outcome") => {}
                other => bail!("search.mode is {other:?}"),
            }
        }
        Ok(found)
    }

    /// URL of a link of a Bundle.
    pub fn link(&self, relation: &str) -> Result<Option<String>> {
        let bundle = self.json()?;
        let links = bundle["link"].as_array();
        let link = links.and_then(|links| links.iter().find(|link| link["relation"] == relation));
        Ok(link.and_then(|link| link["url"].as_str()).map(str::to_owned))
    }

    /// The beginning of the body, for messages.
    pub fn excerpt(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(700).collect()
    }
}
