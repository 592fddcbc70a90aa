//! The SOAP door of the repository, `POST /xds/repository`: its table of transactions.

use ::soap::{Door, Line};
use ebxml::Writer;
use ebxml::iti41::PROVIDE;
use ebxml::iti43::{REMOVE, RETRIEVE};
use ebxml::names::namespace::XDS;
use ebxml::response::{self, Status};
use futures_util::future::LocalBoxFuture;
use web::{Answer, Request};
use xds::{Finding, Side};

use super::{iti41, iti43, iti86};
use crate::Repository;

/// Where it is.
pub(super) const PATH: &str = "/xds/repository";

/// Which message is which transaction. Where two have the same element, a message without an action is for the first.
static LINES: &[Line<Repository>] = &[
    Line {
        action: PROVIDE.0,
        reply: PROVIDE.1,
        body: (XDS, "ProvideAndRegisterDocumentSetRequest"),
        transaction: "ITI-41",
        documents: true,
        refusal: not_stored,
        serve: |repository, request, call| Box::pin(iti41::serve(repository, request, call)),
    },
    Line {
        action: "urn:ihe:iti:2007:RetrieveDocumentSet",
        reply: "urn:ihe:iti:2007:RetrieveDocumentSetResponse",
        body: RETRIEVE,
        transaction: "ITI-43",
        documents: false,
        refusal: iti43::refusal,
        serve: |repository, request, call| Box::pin(iti43::serve(repository, request, call)),
    },
    Line {
        action: "urn:ihe:iti:2017:RemoveDocuments",
        reply: "urn:ihe:iti:2017:RemoveDocumentsResponse",
        body: REMOVE,
        transaction: "ITI-86",
        documents: false,
        refusal,
        serve: |repository, request, call| Box::pin(iti86::serve(repository, request, call)),
    },
];

/// A RegistryResponse. `given` says whether anything was done of what was asked.
pub(super) fn registry_response(findings: &[Finding], given: bool) -> Vec<u8> {
    let status = match (Status::of(findings), given) {
        (Status::Failure, true) => Status::PartialSuccess,
        (status, _) => status,
    };
    let mut xml = Writer::with_capacity(1024);
    response::write(&mut xml, status, findings, Side::Repository);
    xml.finish()
}

/// The same of what was refused whole.
pub(super) fn refusal(findings: &[Finding]) -> Vec<u8> {
    registry_response(findings, false)
}

/// The same of a submission.
fn not_stored(findings: &[Finding]) -> Vec<u8> {
    let mut xml = Writer::with_capacity(1024);
    response::write_refusal(&mut xml, findings, Side::Repository, "stored");
    xml.finish()
}

/// Answers a message.
pub(super) fn serve<'a>(repository: &'a Repository, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let door = Door {
            corridor: &repository.house.corridor,
            limits: &repository.house.limits,
            settings: &repository.house.settings.soap,
            side: Side::Repository,
        };
        door.serve(LINES, repository, request).await
    })
}

/// Answers whoever looks at the door with a browser, or asks it for a WSDL.
pub(super) fn look<'a>(_: &'a Repository, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move { ::soap::elsewhere(LINES, request) })
}
