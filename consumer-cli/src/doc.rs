//! Documents: list [ITI-67], get and verify [ITI-68], submit and replace [ITI-65], update and deprecate.

pub(crate) mod bundle;
mod get;
mod list;
pub(crate) mod metadata;
pub(crate) mod pending;
mod retrieve;
mod sniff;
mod soap_get;
mod soap_list;
mod soap_submit;
mod submit;
mod update;
pub(crate) mod upload;
mod validate;

pub(crate) use get::into_folder;

use clap::Subcommand;
use serde_json::Value;

use crate::Context;
use crate::client::Call;
use crate::exit::{Exit, Failure};
use crate::patient::{nothing_found, resource_url};
use crate::search::{self, Search};
use crate::token::Identifier;

/// Documents
#[derive(Debug, Subcommand)]
pub(crate) enum DocVerb {
    /// Submit files as documents of a patient
    Submit(Box<submit::Submit>),
    /// List the documents of a patient
    List(Box<list::List>),
    /// Retrieve documents; checked against size and hash before they get their name
    Get(get::Get),
    /// Submit a file that adds to a document
    Append(Box<submit::Append>),
    /// Ask what would come of a Bundle, to the last check; nothing is stored
    Validate(validate::Validate),
    /// Submit a file that takes the place of a document
    Replace(Box<submit::Replace>),
    /// Change what is said about documents
    Update(update::Update),
    /// Take documents out of what is current, or back
    Deprecate(update::Deprecate),
    /// Retrieve documents and only check size and hash
    Verify(get::Verify),
}

impl DocVerb {
    /// Whether it can also be said over SOAP.
    pub(crate) fn is_soap(&self) -> bool {
        matches!(self, DocVerb::Submit(_) | DocVerb::List(_) | DocVerb::Get(_) | DocVerb::Verify(_))
    }
}

pub(crate) async fn run(verb: DocVerb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        DocVerb::Submit(submit) => submit::submit(*submit, context).await,
        DocVerb::List(list) => list::run(*list, context).await,
        DocVerb::Get(get) => get::get(get, context).await,
        DocVerb::Append(append) => submit::append(*append, context).await,
        DocVerb::Validate(file) => validate::run(file, context).await,
        DocVerb::Replace(replace) => submit::replace(*replace, context).await,
        DocVerb::Update(update) => update::update(update, context).await,
        DocVerb::Deprecate(deprecate) => update::deprecate(deprecate, context).await,
        DocVerb::Verify(verify) => get::verify(verify, context).await,
    }
}

/// The metadata of one document, named by id, URL, or `system|value`.
async fn read(context: &Context, name: &str) -> Result<Value, Failure> {
    let base = &context.settings.registry.base;
    if name.contains('|') {
        let identifier: Identifier = name.parse().map_err(Failure::usage)?;
        let parameters = vec![("identifier".to_owned(), identifier.token())];
        let search = Search { base, resource: "DocumentReference", parameters, all: false };
        let bundle = search::bundle(&search::first(context, &search).await?)?;
        let mut matches = search::matches(&bundle);
        return match matches.len() {
            0 => Err(Failure::new(Exit::NothingFound, format!("there is no document {name}"))),
            1 => Ok(matches.remove(0)),
            several => Err(Failure::new(
                Exit::Rejected,
                format!("{several} documents are called {name}; name one by its id"),
            )),
        };
    }
    let name = name.strip_prefix("urn:uuid:").unwrap_or(name);
    let call = Call::get(resource_url(base, "DocumentReference", name)?, format!("document {name}"));
    context.client.ask(call.fhir()).await.map_err(nothing_found)?.json("the document's metadata")
}

/// The id in a reference or location of this type: `…/Type/id/_history/1`.
pub(crate) fn id_in(location: &str, kind: &str) -> Option<String> {
    let mut segments = location.split(['/', '?']);
    segments.find(|segment| *segment == kind)?;
    segments.next().filter(|id| !id.is_empty()).map(str::to_owned)
}

/// A CodeableConcept as words: how it reads, else its code.
pub(crate) fn concept(value: Option<&Value>) -> Option<String> {
    let value = value?;
    let coding = &value["coding"][0];
    [&value["text"], &coding["display"], &coding["code"]]
        .into_iter()
        .find_map(|text| text.as_str().map(str::to_owned))
}

/// Search parameters of a stretch of time: from (inclusive) to (exclusive), as document sharing understands it.
pub(crate) fn date_range(
    name: &str,
    since: &Option<String>,
    until: &Option<String>,
) -> Vec<(String, String)> {
    let one = |prefix: &str, date: &Option<String>| {
        date.as_ref().map(|date| (name.to_owned(), format!("{prefix}{date}")))
    };
    one("ge", since).into_iter().chain(one("lt", until)).collect()
}

/// A new OID, made of a random UUID (ITU-T X.667).
pub(crate) fn new_oid() -> String {
    oid_of(uuid::Uuid::new_v4())
}

fn oid_of(uuid: uuid::Uuid) -> String {
    format!("urn:oid:2.25.{}", uuid.as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found_in_a_location() {
        assert_eq!(
            id_in("http://h/fhir/DocumentReference/a-1/_history/1", "DocumentReference").as_deref(),
            Some("a-1")
        );
        assert_eq!(id_in("DocumentReference/a-1", "DocumentReference").as_deref(), Some("a-1"));
        assert_eq!(id_in("List/a-1", "DocumentReference"), None);
    }
}
