//! The SOAP door of the repository, `POST /xds/repository`: its table of transactions.

use ::soap::{Door, Line};
use futures_util::future::LocalBoxFuture;
use web::{Answer, Request};
use xds::Side;

use crate::Repository;

/// Where it is.
pub(super) const PATH: &str = "/xds/repository";

/// Which message is which transaction. Where two have the same element, a message without an action is for the first.
static LINES: &[Line<Repository>] = &[];

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
