//! Registry Stored Query [ITI-18] and Multi-Patient Stored Query [ITI-51]: the message around a stored query.
//!
//! What a query takes and what it asks is said in `xds::query`; here is how names and values are written in ebRIM.

mod answer;
mod syntax;

use xds::query::{self, Given, StoredQuery};
use xds::{Finding, Findings, Place, Rule};

use crate::names::namespace;
use crate::{Element, Writer};

pub use answer::{Response, read_response, write_refusal, write_response};
pub use syntax::Wrong;

/// What the caller wants of the objects that are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Returns {
    /// The objects themselves (`LeafClass`).
    #[default]
    Objects,
    /// References to them (`ObjectRef`).
    References,
}

impl Returns {
    /// The word of `returnType`.
    pub fn word(self) -> &'static str {
        match self {
            Returns::Objects => "LeafClass",
            Returns::References => "ObjectRef",
        }
    }
}

/// A query as it was asked, its values not yet held to what the query takes.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which query.
    pub query: &'static StoredQuery,
    /// Its parameters.
    pub given: Vec<Given>,
    /// What is wanted of the objects found.
    pub returns: Returns,
    /// homeCommunityId the caller got with the ids it names.
    pub home: Option<String>,
}

/// Reads an AdhocQueryRequest of this transaction. Values are taken in every writing that has one meaning: with and without
/// quotes, in double quotes, lists with and without parentheses.
///
/// # Errors
/// A query that is not one of this transaction, a `returnType` that is not given out, parts of an answer (`startIndex`), and
/// values that cannot be read: all of them.
pub fn read_request(body: &Element, transaction: &str) -> Result<Request, Findings> {
    let Some(asked) = body.child(namespace::RIM, "AdhocQuery") else {
        let text =
            "The request has no AdhocQuery in the namespace urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0.";
        return Err(vec![Finding::error(Rule::Structure, Place::at("AdhocQueryRequest"), text)]);
    };
    let mut findings = Findings::new();
    let returns = returns(body).unwrap_or_else(|finding| {
        findings.push(finding);
        Returns::Objects
    });
    findings.extend(parts(body));
    let query = match known(asked, transaction) {
        Ok(query) => query,
        Err(finding) => return Err([vec![finding], findings].concat()),
    };
    let mut given = Vec::new();
    for slot in asked.children_named(namespace::RIM, "Slot") {
        let name = slot.attribute("name").unwrap_or_default().trim();
        let at = format!("AdhocQuery/Slot[@name='{}']", shortened(name));
        match values(slot) {
            Ok(values) => given.push(Given { name: name.to_owned(), at, values }),
            // A value that nobody looks at need not be readable.
            Err(_) if query.parameter(name).is_none() => {}
            Err(wrong) => {
                let text = format!("A value of {} cannot be read: {wrong}.", shortened(name));
                findings.push(Finding::error(Rule::StoredQueryParameter, Place::at(at), text));
            }
        }
    }
    let home = asked.attribute("home").map(str::trim).filter(|home| !home.is_empty()).map(str::to_owned);
    if findings.is_empty() { Ok(Request { query, given, returns, home }) } else { Err(findings) }
}

fn known(asked: &Element, transaction: &str) -> Result<&'static StoredQuery, Finding> {
    let id = asked.attribute("id").unwrap_or_default();
    let place = Place::at("AdhocQuery/@id");
    let Some(query) = query::by_id(id) else {
        let text = format!(
            "There is no stored query {}; the queries of this server with their ids are those of ITI TF-2 3.18.4.1.2.4 and 3.51, printed by `docshare query list`.",
            shortened(id)
        );
        return Err(Finding::error(Rule::UnknownStoredQuery, place, text));
    };
    if query.transaction != transaction {
        let action = match query.transaction {
            "ITI-51" => "urn:ihe:iti:2009:MultiPatientStoredQuery",
            _ => "urn:ihe:iti:2007:RegistryStoredQuery",
        };
        let text = format!(
            "{} is a query of {}, not of {transaction}; send it with the wsa:Action {action}.",
            query.name, query.transaction
        );
        return Err(Finding::error(Rule::UnknownStoredQuery, place, text));
    }
    Ok(query)
}

/// `returnType`; the objects themselves where nothing is said.
fn returns(body: &Element) -> Result<Returns, Finding> {
    let option = body.child(namespace::QUERY, "ResponseOption");
    match option.and_then(|option| option.attribute("returnType")).map(str::trim) {
        None | Some("LeafClass") => Ok(Returns::Objects),
        Some("ObjectRef") => Ok(Returns::References),
        Some(other) => {
            let text = format!("returnType is LeafClass or ObjectRef, not {}.", shortened(other));
            Err(Finding::error(Rule::Value, Place::at("ResponseOption/@returnType"), text))
        }
    }
}

/// An answer in parts would look like a whole one to whoever did not mean it: it is refused instead.
fn parts(body: &Element) -> Option<Finding> {
    let asks = |name: &str, whole: &str| {
        body.attribute(name).map(str::trim).filter(|value| !value.is_empty() && *value != whole).is_some()
    };
    (asks("startIndex", "0") || asks("maxResults", "-1")).then(|| {
        let text = "Answers in parts (startIndex, maxResults) are not given; ask with returnType=\"ObjectRef\", then for the objects by GetDocuments, as many at once as you like.";
        Finding::error(Rule::NotSupported, Place::at("AdhocQueryRequest"), text)
    })
}

/// The values of all `Value` elements of a slot.
fn values(slot: &Element) -> Result<Vec<String>, Wrong> {
    let mut values = Vec::new();
    for list in slot.children_named(namespace::RIM, "ValueList") {
        for value in list.children_named(namespace::RIM, "Value") {
            syntax::read(&value.text, &mut values)?;
        }
    }
    Ok(values)
}

/// A name as it may stand in an answer.
fn shortened(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(64).collect()
}

/// Writes an AdhocQueryRequest. Each parameter may be given several times; its values are written as the query takes them.
pub fn write_request(
    query: &StoredQuery,
    given: &[(&str, Vec<String>)],
    returns: Returns,
    home: Option<&str>,
) -> Vec<u8> {
    let mut xml = Writer::with_capacity(512 + 256 * given.len());
    xml.start("query:AdhocQueryRequest")
        .attribute("xmlns:query", namespace::QUERY)
        .attribute("xmlns:rim", namespace::RIM);
    xml.start("query:ResponseOption").attribute("returnComposedObjects", "true");
    xml.attribute("returnType", returns.word()).end();
    xml.start("rim:AdhocQuery").attribute("id", query.id).optional("home", home);
    for (name, values) in given {
        xml.start("rim:Slot").attribute("name", name).start("rim:ValueList");
        for value in syntax::write(query.parameter(name), values) {
            xml.leaf("rim:Value", &value);
        }
        xml.end().end();
    }
    xml.finish()
}

#[cfg(test)]
mod tests;
