//! A small actor behind a SOAP door: it tells what came to it, and gives documents back.

use std::net::SocketAddr;

use access::{Grant, Policy};
use actor::{Audited, Clock, Codec, Context, Corridor, Fault, Subject, Trail, Transaction};
use audit::Action;
use bytes::Bytes;
use ebxml::Element;
use ebxml::mtom::{ContentType, Event, Limits, Reader, Source};
use ebxml::reader;
use ebxml::soap::Envelope;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use http::{HeaderMap, Method};
use soap::{Call, Document, Door, Line, Piece, Settings};
use store::Store;
use web::{Answer, AnswerBody, Body, Params, Request};
use xds::{Finding, Findings, Place, Rule, Side};

pub(crate) const SPACE: &str = "urn:test";
pub(crate) const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
pub(crate) const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";

pub(crate) struct Actor {
    pub(crate) corridor: Corridor,
    pub(crate) limits: web::Limits,
    pub(crate) settings: Settings,
}

/// Tells the sizes of what came.
struct Count(Store);

impl Transaction for Count {
    type Request = Vec<Option<u64>>;
    type Response = Vec<Option<u64>>;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-0";
    const ACTION: Action = Action::Create;

    async fn run(
        &self,
        _: Grant<Count>,
        trail: Trail,
        sizes: Vec<Option<u64>>,
    ) -> Result<Audited<Vec<Option<u64>>>, Fault<Findings>> {
        Ok(trail.note(&self.0, 1, Subject::default(), sizes).await?)
    }
}

struct Counting(Call);

impl Codec<Count> for Counting {
    async fn read(&self, _: &mut Request, _: &Context) -> Result<Vec<Option<u64>>, Fault<Findings>> {
        let body = self.0.body();
        match body.attribute("do") {
            Some("panic") => panic!("as it was told to"),
            Some("busy") => return Err(Fault::Busy(std::time::Duration::from_secs(3))),
            Some("unknown") => return Err(Fault::Unknown { retry: std::time::Duration::from_secs(3) }),
            Some("refuse") => {
                return Err(Fault::Refused(vec![Finding::error(Rule::Value, Place::at("Count"), "No.")]));
            }
            _ => {}
        }
        let documents = body.children_named(SPACE, "Document");
        let sizes = documents.map(|document| {
            let staged = self.0.take(document).map_err(|finding| Fault::Refused(vec![finding]))?;
            Ok(staged.map(|staged| staged.size()))
        });
        let sizes = sizes.collect::<Result<Vec<_>, Fault<Findings>>>()?;
        if self.0.unclaimed() > 0 {
            let text = "A part belongs to nothing.";
            return Err(Fault::Refused(vec![Finding::error(
                Rule::MissingDocumentMetadata,
                Place::whole(),
                text,
            )]));
        }
        Ok(sizes)
    }

    fn write(&self, sizes: Vec<Option<u64>>, _: &Context) -> Answer {
        let sizes: Vec<String> =
            sizes.iter().map(|size| size.map_or("none".to_owned(), |size| size.to_string())).collect();
        let mut pieces =
            vec![Piece::Xml(format!("<t:Counted xmlns:t=\"{SPACE}\" sizes=\"{}\">", sizes.join(" ")).into())];
        if self.0.body().attribute("do") == Some("give") {
            let stream =
                futures_util::stream::iter(["one", "-two"]).map(|text| Ok(Bytes::from(text))).boxed_local();
            pieces.push(Piece::Xml(b"<t:Document>".as_slice().into()));
            pieces.push(Piece::Document(Document { content_type: "text/plain".into(), length: 7, stream }));
            pieces.push(Piece::Xml(b"</t:Document>".as_slice().into()));
        }
        pieces.push(Piece::Xml(b"</t:Counted>".as_slice().into()));
        self.0.answer_with(pieces)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        self.0.refuse(&fault, context)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        soap::reason(fault)
    }
}

fn refusal(findings: &[Finding]) -> Vec<u8> {
    let codes: Vec<&str> = findings.iter().map(|finding| finding.xds_code().unwrap_or("none")).collect();
    format!("<t:Refused xmlns:t=\"{SPACE}\" codes=\"{}\"/>", codes.join(" ")).into()
}

static LINES: &[Line<Actor>] = &[
    Line {
        action: "urn:test:count",
        reply: "urn:test:counted",
        body: (SPACE, "Count"),
        transaction: "ITI-0",
        documents: true,
        refusal,
        serve: |actor, request, call| {
            Box::pin(async move {
                let count = Count(actor.corridor.store.clone());
                actor.corridor.walk(&count, &Counting(call), request).await
            })
        },
    },
    Line {
        action: "urn:test:ask",
        reply: "urn:test:asked",
        body: (SPACE, "Ask"),
        transaction: "ITI-1",
        documents: false,
        refusal,
        serve: |_, _, call| {
            Box::pin(async move {
                let much = vec![b'x'; call.body().attribute("much").map_or(0, |much| much.parse().unwrap())];
                let parts = [&b"<Asked xmlns=\"urn:test\">"[..], &much, b"</Asked>"];
                call.answer_in_parts(parts.map(Bytes::copy_from_slice).into())
            })
        },
    },
];

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    pub(crate) transaction: Option<&'static str>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The envelope, and the documents behind it.
    pub(crate) fn read(&self) -> (Envelope, Vec<(Source, Vec<u8>)>) {
        let content_type = ContentType::parse(self.header("content-type"));
        let mut reader = Reader::new(&content_type, Limits::default()).unwrap();
        let mut events = Vec::new();
        reader.feed(&self.bytes, &mut events).unwrap();
        reader.finish(&mut events).unwrap();
        let (mut root, mut documents) = (None, Vec::<(Source, Vec<u8>)>::new());
        for event in events {
            match event {
                Event::Root(element) => root = Some(*element),
                Event::Begin(source) => documents.push((source, Vec::new())),
                Event::Bytes(bytes) => documents.last_mut().unwrap().1.extend_from_slice(&bytes),
                Event::End => {}
            }
        }
        (Envelope::read(root.unwrap()).unwrap(), documents)
    }

    /// Name of the subcode (or else the code) and text of the fault it is.
    pub(crate) fn fault(&self) -> (String, String) {
        let (envelope, _) = self.read();
        let fault = envelope.fault().expect("it is a fault");
        (fault.told.unwrap_or_else(|| format!("{:?}", fault.code)), fault.text)
    }

    pub(crate) fn body(&self) -> Element {
        self.read().0.body
    }
}

impl Actor {
    pub(crate) fn new(store: Store) -> Actor {
        let corridor = Corridor { policy: Policy::LocalDevelopment, store, clock: Clock::fake(1) };
        Actor { corridor, limits: web::Limits::default(), settings: Settings::default() }
    }

    pub(crate) async fn ask(&self, content_type: &str, body: impl Into<Bytes>) -> Reply {
        self.ask_from("127.0.0.1:5", content_type, Body::from_bytes(body.into())).await
    }

    pub(crate) async fn ask_from(&self, peer: &str, content_type: &str, body: Body) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().unwrap());
        let mut request = Request {
            method: Method::POST,
            path: "/xds/test".to_owned(),
            query: String::new(),
            headers,
            peer: peer.parse::<SocketAddr>().unwrap(),
            id: "r1".to_owned(),
            trace: "t".to_owned(),
            base: "http://a/fhir".to_owned(),
            params: Params::default(),
            transaction: None,
            body,
        };
        let door = Door {
            corridor: &self.corridor,
            limits: &self.limits,
            settings: &self.settings,
            side: Side::Repository,
        };
        let answer = door.serve(LINES, self, &mut request).await;
        reply(answer, request.transaction).await
    }

    /// Transaction, outcome and reason of each audit record.
    pub(crate) fn audited(&self) -> Vec<String> {
        let lines = self.corridor.store.audited(0, 100).unwrap();
        lines.iter().map(|line| String::from_utf8_lossy(&line.record).into_owned()).collect()
    }
}

async fn reply(answer: Answer, transaction: Option<&'static str>) -> Reply {
    let mut bytes = Vec::new();
    match answer.body {
        AnswerBody::Empty => {}
        AnswerBody::Bytes(all) => bytes.extend_from_slice(&all),
        AnswerBody::Parts(parts) => parts.iter().for_each(|part| bytes.extend_from_slice(part)),
        AnswerBody::Stream { length, mut stream } => {
            while let Some(chunk) = stream.next().await {
                bytes.extend_from_slice(&chunk.unwrap());
            }
            assert_eq!(bytes.len() as u64, length);
        }
    }
    let headers = answer.headers.into_iter().map(|(name, value)| (Some(name), value));
    let mut all = HeaderMap::new();
    all.extend(headers);
    Reply { status: answer.status.as_u16(), headers: all, bytes, transaction }
}

/// A body nobody may touch.
pub(crate) struct Untouched;

impl web::BodySource for Untouched {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<Result<Bytes, web::Error>>> {
        panic!("the body was touched")
    }
    fn declared(&self) -> Option<u64> {
        None
    }
}

/// A message with these headers and this body.
pub(crate) fn envelope(header: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s='{SOAP}' xmlns:a='{ADDRESSING}'><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

/// The usual headers.
pub(crate) fn addressed(action: &str) -> String {
    format!(
        "<a:Action s:mustUnderstand='1'>{action}</a:Action><a:MessageID>urn:uuid:m1</a:MessageID>\
         <a:ReplyTo><a:Address>{ADDRESSING}/anonymous</a:Address></a:ReplyTo><a:To>http://a/xds/test</a:To>"
    )
}

/// XML as the tests look at it.
pub(crate) fn xml(text: &str) -> Element {
    reader::read(text.as_bytes(), &reader::Limits::default()).unwrap()
}
