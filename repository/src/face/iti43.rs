//! Retrieve Document Set [ITI-43] on the wire: the documents stream out as parts of a package, or in base64 where the request
//! was none.

use actor::{Codec, Context, Fault};
use bytes::Bytes;
use ebxml::iti43::{DocumentRequest, Given, read_request, write_answer};
use futures_util::stream::{self, LocalBoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use soap::{Call, Document, Piece};
use store::Store;
use web::{Answer, Request};
use xds::{Finding, Findings};

use super::soap::registry_response;
use crate::Repository;
use crate::documents::damaged;
use crate::retrieve_set::{Found, RetrieveSet, Retrieved, Wanted, content};

/// Answers one retrieval.
pub(crate) async fn serve(repository: &Repository, request: &mut Request, call: Call) -> Answer {
    let codec = Set { call, store: &repository.house.corridor.store };
    repository.house.corridor.walk(&repository.retrieve_set, &codec, request).await
}

/// How a refusal is told: as an answer without documents.
pub(crate) fn refusal(findings: &[Finding]) -> Vec<u8> {
    let pieces = write_answer::<()>(&super::soap::refusal(findings), Vec::new());
    let xml = pieces.into_iter().map(|piece| match piece {
        Piece::Xml(xml) => xml,
        Piece::Document(()) => Bytes::new(),
    });
    xml.flatten().collect()
}

struct Set<'a> {
    call: Call,
    store: &'a Store,
}

impl Codec<RetrieveSet> for Set<'_> {
    async fn read(&self, _: &mut Request, _: &Context) -> Result<Vec<Wanted>, Fault<Findings>> {
        wanted(&self.call)
    }

    fn write(&self, retrieved: Retrieved, _: &Context) -> Answer {
        let Retrieved { found, findings } = retrieved;
        let response = registry_response(&findings, !found.is_empty());
        let given = found.into_iter().map(|found| Given {
            request: request(found.wanted.clone()),
            mime_type: found.content_type.clone(),
            document: document(self.store.clone(), found),
        });
        self.call.answer_with(write_answer(&response, given.collect()))
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        self.call.refuse(&fault, context)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        soap::reason(fault)
    }
}

/// The documents a message names.
pub(super) fn wanted(call: &Call) -> Result<Vec<Wanted>, Fault<Findings>> {
    let requests = read_request(call.body());
    if requests.is_empty() {
        let text = "The request names no document: it holds a DocumentRequest for each, with RepositoryUniqueId and \
                    DocumentUniqueId as the registry tells them.";
        let place = xds::Place::at("DocumentRequest");
        return Err(Fault::Refused(vec![
            Finding::error(xds::Rule::MetadataRequired, place, text).by(call.side()),
        ]));
    }
    let wanted = requests.into_iter().map(|DocumentRequest { home, repository, unique_id }| Wanted {
        home,
        repository,
        unique_id,
    });
    Ok(wanted.collect())
}

fn request(wanted: Wanted) -> DocumentRequest {
    let Wanted { home, repository, unique_id } = wanted;
    DocumentRequest { home, repository, unique_id }
}

/// A document as it goes out: read when it is its turn, and verified while it goes.
fn document(store: Store, found: Found) -> Document {
    let (content_type, length, blob) = (found.content_type.clone(), found.blob.size, found.blob.clone());
    let told = |blob: store::blob::Blob| {
        move |error| {
            damaged(&blob, error);
            web::Error::Source("the stored bytes are damaged".to_owned())
        }
    };
    let (opening, reading) = (told(blob.clone()), told(blob));
    let stream: LocalBoxStream<'static, Result<bytes::Bytes, web::Error>> =
        stream::once(async move { content(&store, found).await.map_err(opening) })
            .map_ok(move |chunks| chunks.map_err(reading.clone()))
            .try_flatten()
            .boxed_local();
    Document { content_type, length, stream }
}
