//! Documents asked for by ITI-43: found by their metadata [ITI-18], and held against its size and hash while they come.

use ebxml::mtom::{Format, Piece, Source};
use ebxml::names::namespace;
use ebxml::{Element, Writer};

use super::retrieve::{Promise, Received, Sink};
use crate::exit::{Exit, Failure};
use crate::query::{self, Ask, Parameter, identifier, objects, slot, text};
use crate::soap::{self, Incoming};
use crate::token::Identifier;
use crate::{Context, doc};

const ACTION: &str = "urn:ihe:iti:2007:RetrieveDocumentSet";

/// Where a document lies, besides what is promised of its bytes.
#[derive(Debug, Clone)]
pub(super) struct Place {
    repository: String,
    unique_id: String,
    home: Option<String>,
}

/// The metadata of a document named by its entryUUID, or by its unique id: `1.2.3`, `urn:oid:1.2.3`, `SYSTEM|VALUE`.
pub(super) async fn promise(context: &Context, name: &str) -> Result<(Promise, Place), Failure> {
    let parameter = if name.contains('|') {
        let identifier: Identifier = name.parse().map_err(Failure::usage)?;
        Parameter::new("UniqueId", doc::soap_list::unique_id(&identifier))
    } else if uuid::Uuid::parse_str(name.trim_start_matches("urn:uuid:")).is_ok() {
        Parameter::new("EntryUUID", name)
    } else {
        Parameter::new("UniqueId", name)
    };
    let ask = Ask {
        query: query::named("GetDocuments")?,
        references: false,
        home: None,
        parameters: vec![parameter],
    };
    let (body, _) = query::send(context, &ask).await?;
    let found = objects(&body);
    let object = match found.as_slice() {
        [] => return Err(Failure::new(Exit::NothingFound, format!("there is no document {name}"))),
        [one] => one,
        [first, rest @ ..] => {
            // Entries may share a document: its bytes are the same then.
            let (id, hash) = (identifier(first, ".uniqueId"), slot(first, "hash"));
            if rest.iter().any(|other| identifier(other, ".uniqueId") != id || slot(other, "hash") != hash) {
                return Err(Failure::new(Exit::Rejected, format!("several documents are called {name}"))
                    .next("name one by its entryUUID"));
            }
            first
        }
    };
    read(object, name)
}

fn read(object: &Element, name: &str) -> Result<(Promise, Place), Failure> {
    let lacks =
        |what: &str| Failure::new(Exit::Server, format!("the metadata of document {name} has no {what}"));
    let first = |name: &str| slot(object, name).into_iter().next();
    let hash = first("hash").and_then(|hash| super::retrieve::read_hash(&hash));
    let promise = Promise {
        id: object.attribute("id").unwrap_or(name).trim_start_matches("urn:uuid:").to_owned(),
        url: String::new(),
        size: first("size").and_then(|size| size.parse().ok()),
        sha1: hash,
        content_type: object.attribute("mimeType").map(str::to_owned),
        title: first("URI").or_else(|| text(object, "Name")),
    };
    let place = Place {
        repository: first("repositoryUniqueId").ok_or_else(|| lacks("repositoryUniqueId"))?,
        unique_id: identifier(object, ".uniqueId").ok_or_else(|| lacks("uniqueId"))?,
        home: object.attribute("home").map(str::to_owned),
    };
    Ok((promise.settled(), place))
}

fn request(place: &Place) -> Vec<u8> {
    let mut xml = Writer::with_capacity(512);
    xml.start("xds:RetrieveDocumentSetRequest")
        .attribute("xmlns:xds", namespace::XDS)
        .start("xds:DocumentRequest");
    if let Some(home) = &place.home {
        xml.leaf("xds:HomeCommunityId", home);
    }
    xml.leaf("xds:RepositoryUniqueId", &place.repository).leaf("xds:DocumentUniqueId", &place.unique_id);
    xml.end().end();
    xml.finish()
}

/// Fetches the bytes into the sink and holds them against the promise.
pub(super) async fn retrieve(
    context: &Context,
    (promise, place): (&Promise, &Place),
    sink: &mut Sink,
) -> Result<Received, Failure> {
    let url = context.settings.xds_repository.url()?;
    let what = format!("document {}", promise.id);
    sink.restart().await.map_err(super::retrieve::local)?;
    let message = soap::message(ACTION, url, vec![Piece::Xml(request(place).into())], Format::Package);
    let mut bytes = Vec::new();
    for frame in message.frames {
        if let ebxml::mtom::Frame::Bytes(piece) = frame {
            bytes.extend_from_slice(&piece);
        }
    }
    let call = soap::call(url, &message.content_type, crate::client::Body::Bytes(bytes.into()), &what)?;
    let transfer = context.progress.bytes("retrieving", promise.size);
    let mut parts: Vec<Source> = Vec::new();
    let response = soap::receive(context, call, async |event| {
        match event {
            Incoming::Begin(source) => parts.push(source),
            // One document was asked for: further parts are nobody's.
            Incoming::Bytes(piece) if parts.len() == 1 => {
                transfer.passed(piece.len() as u64);
                sink.take(&piece).await.map_err(super::retrieve::local)?;
            }
            Incoming::Bytes(_) | Incoming::End => {}
        }
        Ok(())
    })
    .await?;
    let registry = response.children.iter().find(|child| &*child.name == "RegistryResponse");
    let registry =
        registry.ok_or_else(|| Failure::new(Exit::Server, format!("{what}: the answer has no status")))?;
    let verdict = soap::verdict(registry, &what);
    for warning in &verdict.warnings {
        context.output.remark(&format!("warning: {warning}"));
    }
    if let Some(failure) = verdict.failure {
        return Err(failure);
    }
    let document = response
        .children
        .iter()
        .filter(|child| &*child.name == "DocumentResponse")
        .find(|child| named(child, "DocumentUniqueId").is_some_and(|id| id.trimmed() == place.unique_id))
        .and_then(|response| named(response, "Document"));
    let source = document.and_then(soap::source_of);
    match source {
        Some(source) if parts.first() == Some(&source) || same(&parts, &source) => {}
        _ => return Err(Failure::new(Exit::Server, format!("{what}: the answer does not hold it"))),
    }
    transfer.end();
    super::retrieve::finish(promise, sink).await
}

/// Content ids may be written in two ways.
fn same(parts: &[Source], source: &Source) -> bool {
    match (parts.first(), source) {
        (Some(Source::Part(one)), Source::Part(other)) => ebxml::mtom::same_part(one, other),
        _ => false,
    }
}

fn named<'a>(element: &'a Element, name: &str) -> Option<&'a Element> {
    element.children.iter().find(|child| &*child.name == name)
}
