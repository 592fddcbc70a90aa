//! The door: a request becomes a message, the message finds its line, the line answers.

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;

use actor::{Context, Corridor, Fault, Opening, failpoint};
use ebxml::addressing::Addressing;
use ebxml::mtom::{ContentType, Event, Format, Limits, Piece, Reader, Refusal, Source};
use ebxml::reader as xml;
use ebxml::soap::{self, Envelope};
use futures_util::FutureExt;
use http::{HeaderValue, StatusCode, header};
use store::blob::Sink;
use web::{Answer, Request};

use crate::answer;
use crate::call::{Call, Received};
use crate::later::{self, Settings};
use crate::line::{self, Line};
use crate::told;

/// The door of an actor.
pub struct Door<'a> {
    /// The corridor.
    pub corridor: &'a Corridor,
    /// Limits of requests.
    pub limits: &'a web::Limits,
    /// Where answers may be sent later.
    pub settings: &'a Settings,
    /// Which actor it is.
    pub side: xds::Side,
}

impl Door<'_> {
    /// Answers one request.
    pub async fn serve<A>(&self, lines: &'static [Line<A>], actor: &A, request: &mut Request) -> Answer {
        let reading = Reading {
            door: self,
            lines,
            known: RefCell::default(),
            line: Cell::new(None),
            format: Cell::new(Format::Simple),
        };
        let opened = self.corridor.open(&reading, request).await;
        request.transaction = Some(reading.transaction());
        let (line, call) = match opened {
            Ok(opened) => opened,
            Err(refused) => return refused,
        };
        let (addressing, request_id) = (call.envelope.addressing.clone(), request.id.clone());
        // A handler that panics is our defect; its caller is told so in the language it speaks.
        let served = AssertUnwindSafe((line.serve)(actor, request, call)).catch_unwind().await;
        let answer = served.unwrap_or_else(|_| {
            tracing::error!(request_id, transaction = line.transaction, "a handler panicked");
            told::of(&Fault::<()>::Internal(String::new()), &request_id, &addressing)
        });
        match addressing.reply_to {
            Some(address) => later::send(address, answer),
            None => answer,
        }
    }
}

/// A message on its way in.
struct Reading<'a, A: 'static> {
    door: &'a Door<'a>,
    lines: &'static [Line<A>],
    /// The addressing, once it is read: what a fault answers.
    known: RefCell<Addressing>,
    /// The line it is for, once that is known.
    line: Cell<Option<&'static Line<A>>>,
    format: Cell<Format>,
}

/// What has come so far.
struct Coming<A: 'static> {
    found: Option<(&'static Line<A>, Envelope)>,
    open: Option<(Source, Box<dyn Sink>)>,
    documents: Vec<Received>,
}

impl<A: 'static> Opening for Reading<'_, A> {
    type Opened = (&'static Line<A>, Call);
    type Findings = soap::Fault;

    fn transaction(&self) -> &'static str {
        self.line.get().map_or("soap", |line| line.transaction)
    }

    async fn read(&self, request: &mut Request, _: &Context) -> Result<Self::Opened, Fault<soap::Fault>> {
        let content_type = ContentType::parse(&request.header(header::CONTENT_TYPE).unwrap_or_default());
        if content_type.format().is_none() {
            return Err(Fault::UnsupportedMedia(
                "application/soap+xml, or multipart/related with application/xop+xml (MTOM)".to_owned(),
            ));
        }
        let most = self.most();
        self.within(request.body.declared().unwrap_or_default(), most)?;
        let mut reader = Reader::new(&content_type, self.limits()).map_err(fault)?;
        let mut coming = Coming { found: None, open: None, documents: Vec::new() };
        self.format.set(reader.format());
        let (mut events, mut received) = (Vec::new(), 0_u64);
        while let Some(chunk) = request.body.next().await.transpose()? {
            if self.takes_documents() {
                failpoint!(async "repo.body.chunk");
            }
            // Before, between and behind the parts of a package may stand what nobody reads: not without end.
            received += chunk.len() as u64;
            self.within(received, most)?;
            let fed = reader.feed(&chunk, &mut events);
            self.take_all(&mut events, &mut coming).await?;
            fed.map_err(fault)?;
        }
        let finished = reader.finish(&mut events);
        self.take_all(&mut events, &mut coming).await?;
        finished.map_err(fault)?;
        let Some((line, envelope)) = coming.found else {
            return Err(Fault::Refused(soap::Fault::sender(
                "There is no message in the request. Nothing was stored.",
            )));
        };
        let call = Call {
            envelope,
            documents: RefCell::new(coming.documents),
            format: reader.format(),
            reply: line.reply,
            refusal: line.refusal,
            side: self.door.side,
        };
        Ok((line, call))
    }

    fn refuse(&self, fault: Fault<soap::Fault>, context: &Context) -> Answer {
        let known = self.known.borrow();
        match &fault {
            Fault::Refused(told) => {
                let mut answer = answer::fault(told, &known);
                // The rest of the body was not read.
                answer.close = true;
                answer
            }
            Fault::UnsupportedMedia(_) => {
                let answer = told::of(&fault, &context.request, &known);
                Answer { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, ..answer }
            }
            other => {
                let finding = told::finding(other, &context.request, self.door.side);
                let (Some(line), Some((finding, retry))) = (self.line.get(), finding) else {
                    return told::of(other, &context.request, &known);
                };
                // The transaction is known by now, and has a way to say it.
                let addressing = Addressing::of_answer(line.reply, &answer::message_id(), &known);
                let body = vec![Piece::Xml((line.refusal)(&[finding]).into())];
                let mut answer = told::retrying(answer::message(&addressing, body, self.format.get()), retry);
                answer.close = true;
                answer
            }
        }
    }

    fn reason(&self, fault: &Fault<soap::Fault>) -> String {
        let word = match fault {
            Fault::Refused(fault) => match (fault.code, fault.subcode) {
                (_, Some(soap::Subcode::ActionNotSupported)) => "action-not-supported",
                (_, Some(soap::Subcode::OnlyAnonymousAddressSupported)) => "reply-to-not-allowed",
                (soap::Code::MustUnderstand, _) => "must-understand",
                (soap::Code::VersionMismatch, _) => "version-mismatch",
                _ => "structure",
            },
            other => other.told().map_or("refused", |told| told.code),
        };
        word.to_owned()
    }
}

impl<A: 'static> Reading<'_, A> {
    fn limits(&self) -> Limits {
        let limits = self.door.limits;
        Limits {
            xml: xml::Limits {
                depth: limits.max_xml_depth,
                attributes: limits.max_xml_attributes,
                namespaces: limits.max_xml_namespaces,
                text: limits.max_xml_text_bytes,
                nodes: limits.max_xml_nodes,
            },
            root: limits.max_body_bytes,
            document: limits.max_document_bytes,
            submission: limits.max_submission_bytes,
            documents: limits.max_documents,
            parts: limits.max_parts,
            part_header: limits.max_part_header_bytes,
            inline: self.takes_documents(),
        }
    }

    fn takes_documents(&self) -> bool {
        self.lines.iter().any(|line| line.documents)
    }

    /// Bytes of the largest message there can be within the limits. Documents may be written in base64, which makes four
    /// bytes of three, and its lines may be broken; the XML may be UTF-16; each part has a head.
    fn most(&self) -> u64 {
        let limits = self.door.limits;
        let documents = if self.takes_documents() { limits.max_submission_bytes } else { 0 };
        (documents / 3 * 4 + documents / 16)
            .saturating_add(limits.max_body_bytes.saturating_mul(2))
            .saturating_add(limits.max_parts.saturating_mul(limits.max_part_header_bytes))
    }

    /// Refuses a message that says it is larger, before a byte of it is read, or turns out to be.
    fn within(&self, bytes: u64, most: u64) -> Result<(), Fault<soap::Fault>> {
        let limits = self.door.limits;
        if bytes <= most {
            return Ok(());
        }
        Err(if self.takes_documents() {
            Fault::TooLarge { limit: limits.max_submission_bytes, key: "server.limits.max_submission_bytes" }
        } else {
            Fault::TooLarge { limit: limits.max_body_bytes, key: "server.limits.max_body_bytes" }
        })
    }

    async fn take_all(
        &self,
        events: &mut Vec<Event>,
        coming: &mut Coming<A>,
    ) -> Result<(), Fault<soap::Fault>> {
        for event in events.drain(..) {
            self.take(event, coming).await?;
        }
        Ok(())
    }

    async fn take(&self, event: Event, coming: &mut Coming<A>) -> Result<(), Fault<soap::Fault>> {
        match event {
            Event::Root(root) => {
                let envelope = Envelope::read(*root).map_err(Fault::Refused)?;
                *self.known.borrow_mut() = Addressing { reply_to: None, ..envelope.addressing.clone() };
                let line = line::find(self.lines, &envelope).map_err(Fault::Refused)?;
                self.line.set(Some(line));
                later::allowed(self.door.settings, &envelope.addressing).map_err(Fault::Refused)?;
                coming.found = Some((line, envelope));
                if !coming.documents.is_empty() {
                    self.documents_belong(coming)?;
                }
            }
            Event::Begin(source) => {
                self.documents_belong(coming)?;
                let limit = self.door.limits.max_document_bytes;
                coming.open = Some((source, self.door.corridor.store.stage(limit)));
            }
            Event::Bytes(bytes) => {
                if let Some((_, sink)) = &mut coming.open {
                    sink.write(&bytes).await?;
                }
            }
            Event::End => {
                if let Some((source, sink)) = coming.open.take() {
                    let staged = Some(sink.finish().await?);
                    coming.documents.push(Received { source, staged, claimed: Cell::new(false) });
                }
            }
        }
        Ok(())
    }

    /// Refuses documents where none belong, before they are read.
    fn documents_belong(&self, coming: &Coming<A>) -> Result<(), Fault<soap::Fault>> {
        let taken = coming.found.as_ref().map_or_else(|| self.takes_documents(), |(line, _)| line.documents);
        if taken {
            return Ok(());
        }
        let what = coming.found.as_ref().map_or("this endpoint", |(line, _)| line.transaction);
        let text = format!(
            "The message brings documents, and {what} takes none: send them to the repository [ITI-41]. Nothing was stored."
        );
        Err(Fault::Refused(soap::Fault::sender(text)))
    }
}

fn fault(refusal: Refusal) -> Fault<soap::Fault> {
    match refusal {
        Refusal::Broken(text) => Fault::Refused(soap::Fault::sender(format!("{text} Nothing was stored."))),
        Refusal::TooLarge { limit, key } => Fault::TooLarge { limit, key },
    }
}

/// What is answered to another method than POST at a SOAP endpoint.
pub fn elsewhere<A>(lines: &'static [Line<A>], request: &Request) -> Answer {
    let mut text = format!(
        "This is a SOAP 1.2 endpoint: send messages by POST, as application/soap+xml or as an MTOM package \
         (multipart/related). It has no WSDL of its own; the WSDL of the IHE ITI Technical Framework describes it, with this \
         address as its location:\n{}{}\n\nTransactions:\n",
        request.base.trim_end_matches("/fhir"),
        request.path
    );
    for line in lines {
        text.push_str(&format!("{}  {}  ({})\n", line.transaction, line.action, line.body.1));
    }
    Answer::bytes(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", text)
        .with(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"))
}
