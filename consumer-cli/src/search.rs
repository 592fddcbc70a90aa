//! Searches: POST, so that no identifier stands in a URL, page after page, never in a circle.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::Value;
use url::Url;

use crate::Context;
use crate::client::{Answer, Body, Call};
use crate::exit::{Exit, Failure};
use crate::outcome;
use crate::output::{Column, Row};

/// Pages fetched by `--all` at most.
const PAGES: usize = 10_000;

/// What is asked.
pub(crate) struct Search<'a> {
    pub(crate) base: &'a str,
    pub(crate) resource: &'static str,
    pub(crate) parameters: Vec<(String, String)>,
    /// Follow the pages to the last.
    pub(crate) all: bool,
}

/// Asks, and writes every match as a row.
pub(crate) async fn list(
    context: &Context,
    search: Search<'_>,
    columns: &[Column],
    row: impl Fn(&Value) -> Row,
) -> Result<Exit, Failure> {
    let mut listing = context.output.list(columns)?;
    let mut seen = HashSet::new();
    let mut answer = first(context, &search).await?;
    loop {
        let bundle = bundle(&answer)?;
        let matches = matches(&bundle);
        if listing.wants_bytes() {
            listing.page(&answer.body, matches.len())?;
        }
        for resource in &matches {
            if !listing.wants_bytes() {
                listing.push(&row(resource))?;
            }
        }
        for warning in warnings(&bundle) {
            context.output.remark(&format!("warning: {warning}"));
        }
        let Some(next) = link(&bundle, "next") else { break };
        if !search.all {
            context.output.remark("there are more; --all fetches every page, --count sets their size");
            break;
        }
        let next = same_origin(search.base, next)?;
        if !seen.insert(next.clone()) {
            return Err(Failure::other(format!("the server's pages go in a circle: {next} came twice"))
                .next("this is a defect of the server; without --all only the first page is asked for"));
        }
        if seen.len() >= PAGES {
            return Err(Failure::other(format!("the server has more than {PAGES} pages; stopped"))
                .next("narrow the search, or raise --count"));
        }
        answer = context.client.ask(Call::get(next, "the next page").fhir()).await?;
    }
    listing.finish()
}

/// The first page of a search.
pub(crate) async fn first(context: &Context, search: &Search<'_>) -> Result<Answer, Failure> {
    let url = format!("{}/{}/_search", search.base, search.resource);
    let call = Call::new(Method::POST, url, format!("the search for {}", search.resource))
        .fhir()
        .body(Body::Form(search.parameters.clone()), "application/x-www-form-urlencoded")?;
    context.client.ask(call).await
}

/// The answer as the searchset it must be.
pub(crate) fn bundle(answer: &Answer) -> Result<Value, Failure> {
    let bundle = answer.json("the search")?;
    if bundle["resourceType"] != "Bundle" {
        return Err(Failure::new(
            Exit::Server,
            "the search was answered with something that is not a Bundle",
        ));
    }
    Ok(bundle)
}

/// The resources that match, without included ones and outcomes.
pub(crate) fn matches(bundle: &Value) -> Vec<Value> {
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    entries
        .iter()
        .filter(|entry| entry["search"]["mode"].as_str().unwrap_or("match") == "match")
        .map(|entry| entry["resource"].clone())
        .filter(|resource| resource["resourceType"] != "OperationOutcome")
        .collect()
}

/// What the server says beside the matches.
pub(crate) fn warnings(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().flat_map(|entry| outcome::warnings(&entry["resource"])).collect()
}

fn link<'a>(bundle: &'a Value, relation: &str) -> Option<&'a str> {
    bundle["link"].as_array()?.iter().find(|link| link["relation"] == relation)?["url"].as_str()
}

/// A further page comes from where the first came from: nobody else is told what is asked.
pub(crate) fn same_origin(base: &str, next: &str) -> Result<String, Failure> {
    let foreign = || {
        Failure::other(format!("the next page is said to be on another server: {next}"))
            .next("the server's public address (server.public_url) and the one used here differ")
    };
    let base = Url::parse(&format!("{base}/")).map_err(|_| foreign())?;
    let url = base.join(next).map_err(|_| foreign())?;
    if url.origin() == base.origin() { Ok(url.to_string()) } else { Err(foreign()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_page_stays_on_its_server() {
        let next = |url| same_origin("http://h:1/fhir", url);
        assert_eq!(next("http://h:1/fhir/List?_page=x").unwrap(), "http://h:1/fhir/List?_page=x");
        assert_eq!(next("List?_page=x").unwrap(), "http://h:1/fhir/List?_page=x");
        assert!(next("http://other/fhir/List?_page=x").is_err());
    }
}
