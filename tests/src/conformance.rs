//! The conformance run: it speaks only over the wire and takes the servers' addresses, so that it can judge anyone's.
//!
//! A case is a name and an async function; it fails by returning an error that says what was expected in the domain's words.
//! Adding a case: write the function in the file of its group, add a line to that file's `cases()`.

mod accept;
mod asbestos;
mod capability;
mod catalogue;
mod conventions;
mod cors;
mod document;
mod feed;
mod fill;
mod foreign;
mod guide;
mod hl7v2;
mod hl7v3;
mod http;
mod ihe;
mod json;
mod limits;
mod links;
mod manager;
mod matching;
mod openhie;
mod pdqm;
mod pixm;
mod pmir;
mod publish;
mod report;
mod requirements;
mod run;
mod search;
mod served;
mod soap;
mod ssrf;
mod subject;
mod submission;
mod tree;
mod update;
mod waiting;
mod world;
mod xds;
mod xml;

pub use report::{Report, Verdict};
pub use requirements::page;
pub use run::{Options, run};
pub use subject::Subject;
pub(crate) use world::{created, id_of};

use std::pin::Pin;

use anyhow::Result;
use world::World;

/// What a case does.
type Check = Box<dyn for<'a> Fn(&'a World) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>>;

/// One thing that is judged.
struct Case {
    id: String,
    check: Check,
}

/// A case that could not be judged here; the reason is printed.
#[derive(Debug)]
struct Skip(String);

impl std::fmt::Display for Skip {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

fn skip(why: &str) -> anyhow::Error {
    anyhow::Error::new(Skip(why.to_owned()))
}

fn make<F>(id: &str, check: F) -> Case
where
    F: for<'a> Fn(&'a World) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>> + 'static,
{
    Case { id: id.to_owned(), check: Box::new(check) }
}

/// `case!("json-01", empty_body)`.
macro_rules! case {
    ($id:expr, $function:path) => {
        $crate::conformance::make($id, |world| Box::pin($function(world)))
    };
}
use case;

/// All cases that need nothing but the servers.
fn own_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(document::cases());
    cases.extend(json::cases());
    cases.extend(limits::cases());
    cases.extend(submission::cases());
    cases.extend(ssrf::cases());
    cases.extend(soap::cases());
    cases.extend(search::cases());
    cases.extend(pdqm::cases());
    cases.extend(feed::cases());
    cases.extend(links::cases());
    cases.extend(served::cases());
    cases.extend(update::cases());
    cases.extend(publish::cases());
    cases.extend(http::cases());
    cases.extend(conventions::cases());
    cases.extend(cors::cases());
    cases.extend(capability::cases());
    cases.extend(xml::cases());
    cases.extend(guide::cases());
    cases.extend(xds::own_cases());
    cases.extend(hl7v2::cases());
    cases.extend(hl7v3::cases());
    cases.extend(manager::cases());
    cases.extend(pmir::cases());
    cases.extend(matching::cases());
    cases
}
