//! A message that was read, as the handler of its transaction sees it.

use std::cell::{Cell, RefCell};

use actor::{Context, Fault};
use bytes::Bytes;
use ebxml::Element;
use ebxml::addressing::Addressing;
use ebxml::mtom::{self, Format, Piece, Reference, Source};
use ebxml::soap::Envelope;
use store::blob::Staged;
use web::Answer;
use xds::{Finding, Findings, Place, Rule};

use crate::answer::{self, Document};
use crate::line::Refusing;
use crate::told;

/// A document that came with a message.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) source: Source,
    pub(crate) staged: Option<Staged>,
    pub(crate) claimed: Cell<bool>,
}

/// A message with its documents.
#[derive(Debug)]
pub struct Call {
    /// The envelope: addressing, security, body.
    pub envelope: Envelope,
    pub(crate) documents: RefCell<Vec<Received>>,
    pub(crate) format: Format,
    pub(crate) reply: &'static str,
    pub(crate) refusal: Refusing,
    pub(crate) side: xds::Side,
}

impl Call {
    /// The element of the body.
    pub fn body(&self) -> &Element {
        &self.envelope.body
    }

    /// Whether the message came as a package; its answer goes as one too.
    pub fn is_package(&self) -> bool {
        self.format == Format::Package
    }

    /// Takes the document an element (`xds:Document`) holds or points at; none: there is no such part. An element that holds
    /// nothing at all has no document either.
    ///
    /// # Errors
    /// A reference to something that is not in this message, and a document taken twice.
    pub fn take(&self, element: &Element) -> Result<Option<Staged>, Finding> {
        let place = || Place::at(format!("Document (line {})", element.line));
        let wanted = match mtom::included(element) {
            None => return Ok(None),
            Some(Reference::Elsewhere) => {
                let text = "The xop:Include of a Document names something else than a part of this message (cid:…). \
                            Nothing is fetched from anywhere. Nothing was stored.";
                return Err(Finding::error(Rule::MissingDocument, place(), text));
            }
            Some(Reference::Here(source)) => source,
        };
        let same = |source: &Source| match (source, &wanted) {
            (Source::Part(one), Source::Part(other)) => mtom::same_part(one, other),
            (one, other) => one == other,
        };
        let mut documents = self.documents.borrow_mut();
        let Some(received) = documents.iter_mut().find(|received| same(&received.source)) else {
            return Ok(None);
        };
        received.claimed.set(true);
        match received.staged.take() {
            Some(staged) => Ok(Some(staged)),
            None => {
                let text =
                    "Two Documents point at one part of the message; each needs its own. Nothing was stored.";
                Err(Finding::error(Rule::Value, place(), text))
            }
        }
    }

    /// Documents of the message that nothing has taken.
    pub fn unclaimed(&self) -> usize {
        self.documents.borrow().iter().filter(|received| !received.claimed.get()).count()
    }

    fn addressing(&self) -> Addressing {
        Addressing::of_answer(self.reply, &answer::message_id(), &self.envelope.addressing)
    }

    /// The answer: the element of its body, which declares its own namespaces.
    pub fn answer(&self, body: Vec<u8>) -> Answer {
        self.answer_with(vec![Piece::Xml(body.into())])
    }

    /// The answer, its body in parts that are sent one behind the other without being joined.
    pub fn answer_in_parts(&self, body: Vec<Bytes>) -> Answer {
        self.answer_with(body.into_iter().map(Piece::Xml).collect())
    }

    /// The answer with documents, each where its base64 would stand.
    pub fn answer_with(&self, body: Vec<Piece<Document>>) -> Answer {
        answer::message(&self.addressing(), body, self.format)
    }

    /// Tells a fault: as the transaction tells its findings where XDS has a code for it, else as a SOAP fault.
    pub fn refuse(&self, fault: &Fault<Findings>, context: &Context) -> Answer {
        told::refuse(self, fault, &context.request)
    }

    /// The answer that tells findings.
    pub fn tell(&self, findings: &[Finding]) -> Answer {
        self.answer((self.refusal)(findings))
    }

    /// Which actor answers.
    pub fn side(&self) -> xds::Side {
        self.side
    }
}
