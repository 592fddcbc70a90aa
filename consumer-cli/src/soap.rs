//! XDS.b: a message sent, and its answer read; documents pass by in pieces.

use clap::ValueEnum;
use ebxml::addressing::Addressing;
use ebxml::mtom::{ContentType, Event, Format, Limits, Package, Piece, Reader, Source, included, package};
use ebxml::soap::{Code, Envelope};
use ebxml::{Element, mtom, response};
use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderMap};

use crate::Context;
use crate::client::{Answer, Body, Call};
use crate::exit::{Exit, Failure};
use crate::{client, outcome};

/// Which language the actors are spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Via {
    /// FHIR (MHD)
    #[default]
    Fhir,
    /// SOAP (XDS.b)
    Soap,
}

/// Errors told beside the first.
const SHOWN: usize = 20;
const ACCEPTED: &str = "application/soap+xml, multipart/related";

/// A document that goes along: a file.
#[derive(Debug, Clone)]
pub(crate) struct Enclosed {
    pub(crate) content_type: String,
    pub(crate) size: u64,
}

impl mtom::Enclosed for Enclosed {
    fn content_type(&self) -> &str {
        &self.content_type
    }
    fn length(&self) -> u64 {
        self.size
    }
}

/// A message ready to be sent, with a new id.
pub(crate) fn message(
    action: &str,
    to: &str,
    body: Vec<Piece<Enclosed>>,
    format: Format,
) -> Package<Enclosed> {
    let id = uuid::Uuid::new_v4();
    package(&Addressing::of_request(action, &format!("urn:uuid:{id}"), to), body, format, &id.to_string())
}

/// A question without documents, as a call.
pub(crate) fn question(
    action: &str,
    url: &str,
    body: Vec<u8>,
    format: Format,
    what: &str,
) -> Result<Call, Failure> {
    let message = message(action, url, vec![Piece::Xml(body.into())], format);
    let mut bytes = Vec::new();
    for frame in message.frames {
        if let mtom::Frame::Bytes(piece) = frame {
            bytes.extend_from_slice(&piece);
        }
    }
    call(url, &message.content_type, Body::Bytes(bytes.into()), what)
}

/// A message on its way.
pub(crate) fn call(url: &str, content_type: &str, body: Body, what: &str) -> Result<Call, Failure> {
    Call::new(Method::POST, url, what).header(ACCEPT, ACCEPTED)?.body(body, content_type)
}

/// Asks, and answers the element of the body of what came back.
pub(crate) async fn ask(context: &Context, call: Call) -> Result<(Element, Answer), Failure> {
    let what = call.what.clone();
    let answer = context.client.send(call).await?;
    let body = body(&answer, &what)?;
    Ok((body, answer))
}

/// The element of the body of an answer read whole; a fault is a failure.
pub(crate) fn body(answer: &Answer, what: &str) -> Result<Element, Failure> {
    let Some(mut reader) = reader(&answer.headers) else {
        return Err(foreign(answer.status, &answer.headers, &answer.body, &answer.request_id, what));
    };
    let mut events = Vec::new();
    reader
        .feed(&answer.body, &mut events)
        .and_then(|()| reader.finish(&mut events))
        .map_err(|why| broken(what, &why))?;
    let root = events.into_iter().find_map(|event| match event {
        Event::Root(root) => Some(*root),
        _ => None,
    });
    let root = root.ok_or_else(|| Failure::new(Exit::Server, format!("{what}: the answer is no message")))?;
    enclosed(root, answer.status, &answer.request_id, what)
}

/// What stands in the envelope.
fn enclosed(root: Element, status: u16, request_id: &str, what: &str) -> Result<Element, Failure> {
    let envelope = Envelope::read(root).map_err(|fault| {
        Failure::new(Exit::Server, format!("{what}: the answer is not understood: {}", fault.text))
    })?;
    let Some(fault) = envelope.fault() else { return Ok(envelope.body) };
    let unauthorized = matches!(
        fault.told.as_deref(),
        Some("InvalidSecurityToken" | "FailedAuthentication" | "FailedCheck")
    );
    let exit = match fault.code {
        _ if unauthorized => Exit::Unauthorized,
        Code::Sender => Exit::Rejected,
        _ if status == 403 || status == 401 => Exit::Unauthorized,
        _ => Exit::Server,
    };
    let words = if fault.text.is_empty() { format!("{what} was answered by a fault") } else { fault.text };
    let mut failure = Failure::new(exit, words).note("request id", request_id.to_owned());
    if let Some(told) = fault.told {
        failure = failure.note("code", told);
    }
    failure.status = Some(status);
    failure.unknown = exit == Exit::Server;
    Err(failure)
}

fn reader(headers: &HeaderMap) -> Option<Reader> {
    let content_type = ContentType::parse(headers.get("content-type")?.to_str().ok()?);
    Reader::new(&content_type, limits()).ok()
}

/// Of an answer, which is larger than a request may be.
fn limits() -> Limits {
    let xml = ebxml::reader::Limits { nodes: 5_000_000, ..ebxml::reader::Limits::default() };
    Limits {
        xml,
        root: 64 << 20,
        document: u64::MAX,
        submission: u64::MAX,
        documents: u64::MAX,
        parts: u64::MAX,
        ..Limits::default()
    }
}

/// An answer that is no SOAP.
fn foreign(status: u16, headers: &HeaderMap, body: &[u8], request_id: &str, what: &str) -> Failure {
    if (200..300).contains(&status) {
        return Failure::new(Exit::Server, format!("{what}: the answer is no SOAP message"))
            .note("request id", request_id.to_owned())
            .next("check the address: --xds-registry and --xds-repository name the doors of XDS.b");
    }
    outcome::failure(status, headers, body, request_id, what)
}

fn broken(what: &str, why: &mtom::Refusal) -> Failure {
    let mut failure = Failure::new(Exit::Server, format!("{what}: the answer cannot be read: {why}"));
    failure.unknown = true;
    failure
}

/// What a response says became of a request.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Warnings, and the errors of a partial success.
    pub(crate) warnings: Vec<String>,
    /// The failure, if it failed.
    pub(crate) failure: Option<Failure>,
}

/// Reads a RegistryResponse, or an answer that has a status and a RegistryErrorList as one has.
pub(crate) fn verdict(answer: &Element, what: &str) -> Verdict {
    let mut verdict = Verdict::default();
    let Some(response) = response::read(answer) else {
        let words = format!("{what}: the answer says no status");
        verdict.failure = Some(Failure::new(Exit::Server, words));
        return verdict;
    };
    let failed = response.status == response::Status::Failure;
    let mut failure: Option<Failure> = None;
    for (number, error) in response.errors.into_iter().enumerate() {
        let words = if error.context.is_empty() { error.code.clone() } else { error.context };
        if !failed || !error.is_error {
            verdict.warnings.push(format!("{words} ({})", error.code));
            continue;
        }
        failure = Some(match failure {
            None => {
                let mut first = Failure::new(exit_of(&error.code), words);
                first.unknown = is_passing(&error.code);
                told(first, error.location, &error.code)
            }
            Some(first) if number < SHOWN => told(first.note("also", words), error.location, &error.code),
            Some(first) => first,
        });
    }
    verdict.failure = match (failed, failure) {
        (false, _) => None,
        (true, Some(failure)) if failure.exit == Exit::Rejected => {
            Some(failure.next("mend what is named above and send it again"))
        }
        (true, Some(failure)) => Some(failure),
        (true, None) => {
            Some(Failure::new(Exit::Server, format!("{what} failed, and the answer does not say why")))
        }
    };
    verdict
}

fn told(failure: Failure, place: Option<String>, code: &str) -> Failure {
    let failure = match place {
        Some(place) => failure.note("at", place),
        None => failure,
    };
    failure.note("code", code.to_owned())
}

/// Errors of a moment: the same message may be taken later.
fn is_passing(code: &str) -> bool {
    ["XDSRegistryBusy", "XDSRepositoryBusy", "XDSRegistryNotAvailable"].contains(&code)
}

fn exit_of(code: &str) -> Exit {
    match code {
        "XDSRegistryError"
        | "XDSRepositoryError"
        | "XDSRegistryOutOfResources"
        | "XDSRepositoryOutOfResources" => Exit::Server,
        "XDSDocumentUniqueIdError" => Exit::NothingFound,
        code if is_passing(code) => Exit::Server,
        _ => Exit::Rejected,
    }
}

/// The failure of a response, if it is one; warnings are told.
pub(crate) fn accepted(context: &Context, response: &Element, what: &str) -> Result<(), Failure> {
    let verdict = verdict(response, what);
    for warning in verdict.warnings {
        context.output.remark(&format!("warning: {warning}"));
    }
    verdict.failure.map_or(Ok(()), Err)
}

/// What comes back when documents are asked for.
pub(crate) enum Incoming {
    /// A document begins: which one, by the part it is.
    Begin(Source),
    /// Its bytes.
    Bytes(bytes::Bytes),
    /// It has ended.
    End,
}

/// Asks for documents, and hands their bytes on while they come; answers the element of the body.
pub(crate) async fn receive(
    context: &Context,
    call: Call,
    mut take: impl AsyncFnMut(Incoming) -> Result<(), Failure>,
) -> Result<Element, Failure> {
    let what = call.what.clone();
    let (mut response, request_id) = context.client.open(call).await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let Some(mut reader) = reader(&headers) else {
        let body = client::piece(&mut response, &what).await?.unwrap_or_default();
        return Err(foreign(status, &headers, &body, &request_id, &what));
    };
    let (mut root, mut ended) = (None, false);
    while !ended {
        let mut events = Vec::new();
        match client::piece(&mut response, &what).await? {
            Some(bytes) => reader.feed(&bytes, &mut events).map_err(|why| broken(&what, &why))?,
            None => {
                ended = true;
                reader.finish(&mut events).map_err(|why| broken(&what, &why))?;
            }
        }
        for event in events {
            match event {
                Event::Root(element) => root = Some(*element),
                Event::Begin(source) => take(Incoming::Begin(source)).await?,
                Event::Bytes(bytes) => take(Incoming::Bytes(bytes)).await?,
                Event::End => take(Incoming::End).await?,
            }
        }
    }
    let root = root.ok_or_else(|| Failure::new(Exit::Server, format!("{what}: the answer is no message")))?;
    enclosed(root, status, &request_id, &what)
}

/// Where the bytes of an element are.
pub(crate) fn source_of(element: &Element) -> Option<Source> {
    match included(element)? {
        mtom::Reference::Here(source) => Some(source),
        mtom::Reference::Elsewhere => None,
    }
}
