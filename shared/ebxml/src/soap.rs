//! SOAP 1.2: the envelope of a message read, answers and faults written.

use crate::addressing::{self, Addressing, is_addressing, must_be_understood};
use crate::element::Element;
use crate::names::namespace::{ADDRESSING, SOAP};
use crate::writer::Writer;

/// Media type of a message that is no package.
pub const MEDIA_TYPE: &str = "application/soap+xml";
/// The namespace of SOAP 1.1.
const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// WS-Security. Its block is carried, not judged here.
const SECURITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";

/// A message: its addressing, and the one element of its body.
#[derive(Debug, Clone, Default)]
pub struct Envelope {
    /// WS-Addressing.
    pub addressing: Addressing,
    /// `wsse:Security`, as it came.
    pub security: Option<Element>,
    /// The first element of the body.
    pub body: Element,
}

impl Envelope {
    /// Reads the root of a message.
    ///
    /// # Errors
    /// What is no envelope, has no body, or has a block that must be understood and is not.
    pub fn read(root: Element) -> Result<Envelope, Fault> {
        if root.is(SOAP_11, "Envelope") {
            return Err(Fault::new(
                Code::VersionMismatch,
                "This is a SOAP 1.1 envelope; XDS.b speaks SOAP 1.2. Send the namespace \
                 http://www.w3.org/2003/05/soap-envelope and the content type application/soap+xml. Nothing was stored.",
            ));
        }
        if &*root.name != "Envelope" {
            return Err(Fault::sender(
                "The root element is not a SOAP Envelope (http://www.w3.org/2003/05/soap-envelope). Nothing was stored.",
            ));
        }
        if &*root.namespace != SOAP {
            return Err(Fault::new(
                Code::VersionMismatch,
                "The Envelope is in a namespace that is not known; send http://www.w3.org/2003/05/soap-envelope. Nothing was stored.",
            ));
        }
        let (mut header, mut body) = (None, None);
        for part in root.children {
            match &*part.name {
                "Header" if &*part.namespace == SOAP && header.is_none() && body.is_none() => {
                    header = Some(part)
                }
                "Body" if &*part.namespace == SOAP && body.is_none() => body = Some(part),
                _ => {
                    return Err(Fault::sender(
                        "The Envelope holds something else than one Header and one Body, in this order. Nothing was stored.",
                    ));
                }
            }
        }
        let blocks = header.map(|header| header.children).unwrap_or_default();
        if let Some(block) = blocks.iter().find(|block| must_be_understood(block) && !is_understood(block)) {
            let text = format!(
                "The header block {} of namespace {} must be understood, and is not known here; WS-Addressing and WS-Security \
                 are. Nothing was stored.",
                shown(&block.name),
                shown(&block.namespace)
            );
            return Err(Fault::new(Code::MustUnderstand, text));
        }
        let addressing = Addressing::read(&blocks);
        let security = blocks.into_iter().find(|block| block.is(SECURITY, "Security"));
        let body = body.and_then(|body| body.children.into_iter().next());
        let body = body.ok_or_else(|| {
            Fault::sender("The Envelope has no Body with an element in it. Nothing was stored.")
        })?;
        Ok(Envelope { addressing, security, body })
    }

    /// The fault a message is, if it is one: what a client is told.
    pub fn fault(&self) -> Option<Fault> {
        let fault = self.body.is(SOAP, "Fault").then_some(&self.body)?;
        let code = fault.child(SOAP, "Code");
        let value = |of: Option<&Element>| {
            let text = of?.child(SOAP, "Value")?.trimmed();
            Some(text.rsplit(':').next().unwrap_or(text).to_owned())
        };
        let subcode = value(code.and_then(|code| code.child(SOAP, "Subcode")));
        let code = match value(code).as_deref() {
            Some("Sender") => Code::Sender,
            Some("MustUnderstand") => Code::MustUnderstand,
            Some("VersionMismatch") => Code::VersionMismatch,
            _ => Code::Receiver,
        };
        let reason = fault.child(SOAP, "Reason").and_then(|reason| reason.child(SOAP, "Text"));
        let text = reason.map(Element::trimmed).unwrap_or_default().to_owned();
        Some(Fault { code, subcode: None, told: subcode, text, detail: None })
    }
}

fn is_understood(block: &Element) -> bool {
    is_addressing(block) || &*block.namespace == SECURITY
}

/// A name as a fault repeats it: short, and nothing but name letters.
fn shown(name: &str) -> String {
    let sound = |letter: char| if letter.is_ascii_graphic() { letter } else { '?' };
    format!("\"{}\"", name.chars().take(80).map(sound).collect::<String>())
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The message cannot be taken as it is: 400.
    Sender,
    /// The message is sound, and could not be served: 500.
    Receiver,
    /// A header block is not known: 500.
    MustUnderstand,
    /// Not SOAP 1.2: 500.
    VersionMismatch,
}

impl Code {
    /// The HTTP status of a fault.
    pub fn status(self) -> u16 {
        match self {
            Code::Sender => 400,
            Code::Receiver | Code::MustUnderstand | Code::VersionMismatch => 500,
        }
    }

    fn value(self) -> &'static str {
        match self {
            Code::Sender => "soap:Sender",
            Code::Receiver => "soap:Receiver",
            Code::MustUnderstand => "soap:MustUnderstand",
            Code::VersionMismatch => "soap:VersionMismatch",
        }
    }
}

/// What more is said of a fault, where a standard has a name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subcode {
    /// The action is not one of this endpoint.
    ActionNotSupported,
    /// The answer may go back on this connection only.
    OnlyAnonymousAddressSupported,
    /// A header WS-Addressing needs is missing.
    MessageAddressingHeaderRequired,
    /// It cannot be served at present.
    EndpointUnavailable,
    /// The caller is not known.
    InvalidSecurityToken,
    /// The caller may not.
    FailedAuthentication,
}

impl Subcode {
    fn value(self) -> &'static str {
        match self {
            Subcode::ActionNotSupported => "wsa:ActionNotSupported",
            Subcode::OnlyAnonymousAddressSupported => "wsa:OnlyAnonymousAddressSupported",
            Subcode::MessageAddressingHeaderRequired => "wsa:MessageAddressingHeaderRequired",
            Subcode::EndpointUnavailable => "wsa:EndpointUnavailable",
            Subcode::InvalidSecurityToken => "wsse:InvalidSecurityToken",
            Subcode::FailedAuthentication => "wsse:FailedAuthentication",
        }
    }
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    /// Whose it is.
    pub code: Code,
    /// What more is said of it.
    pub subcode: Option<Subcode>,
    /// Of a fault that was read: the local name of its subcode.
    pub told: Option<String>,
    /// What is wrong, what is accepted, whether anything was stored.
    pub text: String,
    /// A value a program may look at: the action that is not supported, the request id.
    pub detail: Option<(&'static str, String)>,
}

impl Fault {
    /// A fault.
    pub fn new(code: Code, text: impl Into<String>) -> Fault {
        Fault { code, subcode: None, told: None, text: text.into(), detail: None }
    }

    /// A fault of the caller's.
    pub fn sender(text: impl Into<String>) -> Fault {
        Fault::new(Code::Sender, text)
    }

    /// The same, named more closely.
    pub fn named(mut self, subcode: Subcode) -> Fault {
        self.subcode = Some(subcode);
        self
    }

    /// The same, with a value: the name of its element, without prefix, and its text.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Fault {
        self.detail = Some((name, value.into()));
        self
    }

    /// Of a caller who is not known, or may not.
    fn action(&self) -> &'static str {
        match self.subcode {
            Some(
                Subcode::ActionNotSupported
                | Subcode::OnlyAnonymousAddressSupported
                | Subcode::MessageAddressingHeaderRequired
                | Subcode::EndpointUnavailable,
            ) => addressing::FAULT,
            Some(Subcode::InvalidSecurityToken | Subcode::FailedAuthentication) | None => {
                addressing::SOAP_FAULT
            }
        }
    }

    /// The whole message. `message_id` names it, `request` is what it answers, as far as that could be read.
    pub fn write(&self, message_id: &str, request: &Addressing) -> Vec<u8> {
        let mut xml = Writer::with_capacity(1024);
        open(&mut xml);
        xml.start("soap:Header");
        Addressing::of_answer(self.action(), message_id, request).write(&mut xml);
        if self.code == Code::VersionMismatch {
            xml.start("soap:Upgrade")
                .start("soap:SupportedEnvelope")
                .attribute("qname", "soap:Envelope")
                .end()
                .end();
        }
        xml.end().start("soap:Body").start("soap:Fault");
        xml.start("soap:Code").leaf("soap:Value", self.code.value());
        if let Some(subcode) = self.subcode {
            xml.start("soap:Subcode").leaf("soap:Value", subcode.value()).end();
        }
        xml.end().start("soap:Reason");
        xml.start("soap:Text").attribute("xml:lang", "en").text(&self.text).end().end();
        if let Some((name, value)) = &self.detail {
            let name = match *name {
                "ProblemAction" => {
                    xml.start("soap:Detail").start("wsa:ProblemAction").leaf("wsa:Action", value).end().end();
                    None
                }
                "ProblemIRI" => Some("wsa:ProblemIRI"),
                other => Some(other),
            };
            if let Some(name) = name {
                xml.start("soap:Detail").leaf(name, value).end();
            }
        }
        xml.finish()
    }
}

fn open(xml: &mut Writer) {
    xml.raw(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>").start("soap:Envelope");
    xml.attribute("xmlns:soap", SOAP).attribute("xmlns:wsa", ADDRESSING).attribute("xmlns:wsse", SECURITY);
}

/// What stands before and behind the element of the body in a message with this addressing.
pub fn around(addressing: &Addressing) -> (Vec<u8>, &'static [u8]) {
    let mut xml = Writer::with_capacity(1024);
    xml.raw(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>").start("soap:Envelope");
    xml.attribute("xmlns:soap", SOAP).attribute("xmlns:wsa", ADDRESSING);
    xml.start("soap:Header");
    addressing.write(&mut xml);
    xml.end().start("soap:Body").text("");
    let mut head = xml.finish();
    let tail: &'static [u8] = b"</soap:Body></soap:Envelope>";
    head.truncate(head.len() - tail.len());
    (head, tail)
}

/// A whole message: the element of the body between what stands around it.
pub fn message(addressing: &Addressing, body: &[u8]) -> Vec<u8> {
    let (mut message, tail) = around(addressing);
    message.extend_from_slice(body);
    message.extend_from_slice(tail);
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::{self, Limits};

    fn envelope(xml: &str) -> Result<Envelope, Fault> {
        Envelope::read(reader::read(xml.as_bytes(), &Limits::default()).unwrap())
    }

    fn with_header(header: &str) -> Result<Envelope, Fault> {
        envelope(&format!(
            "<s:Envelope xmlns:s='{SOAP}' xmlns:a='{ADDRESSING}'><s:Header>{header}</s:Header><s:Body>\
             <x xmlns='urn:x'/></s:Body></s:Envelope>"
        ))
    }

    #[test]
    fn a_message_says_what_it_wants_and_where_the_answer_goes() {
        let message = with_header(
            "<a:Action s:mustUnderstand='1'> urn:do </a:Action><a:MessageID>urn:uuid:1</a:MessageID>\
             <a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>\
             <a:To s:mustUnderstand='true'>http://here</a:To>\
             <VsDebuggerCausalityData xmlns='http://schemas.microsoft.com/vstudio/diagnostics/servicemodelsink'>x</VsDebuggerCausalityData>",
        )
        .unwrap();
        assert_eq!(message.addressing.action.as_deref(), Some("urn:do"));
        assert_eq!(message.addressing.message_id.as_deref(), Some("urn:uuid:1"));
        assert_eq!(message.addressing.reply_to, None);
        assert!(message.body.is("urn:x", "x"));
        let elsewhere = with_header(
            "<a:ReplyTo><a:Address>http://there/</a:Address></a:ReplyTo><a:Action>None</a:Action>",
        );
        let elsewhere = elsewhere.unwrap().addressing;
        assert_eq!((elsewhere.reply_to.as_deref(), elsewhere.action), (Some("http://there/"), None));
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_a_fault() {
        let fault = with_header("<x:Foo s:mustUnderstand='1' xmlns:x='urn:x'/>").unwrap_err();
        assert_eq!((fault.code, fault.code.status()), (Code::MustUnderstand, 500));
        assert!(fault.text.contains("\"Foo\""));
        let elsewhere = "<x:Foo s:mustUnderstand='1' s:role='urn:somebody-else' xmlns:x='urn:x'/>";
        assert!(with_header(elsewhere).is_ok());
        assert!(with_header("<x:Foo s:mustUnderstand='0' xmlns:x='urn:x'/>").is_ok());
        let security = format!("<w:Security s:mustUnderstand='1' xmlns:w='{SECURITY}'><w:T/></w:Security>");
        assert!(with_header(&security).unwrap().security.is_some());
    }

    #[test]
    fn another_version_is_told_what_to_send() {
        let old = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><x/></s:Body></s:Envelope>";
        let fault = envelope(old).unwrap_err();
        assert_eq!(fault.code, Code::VersionMismatch);
        let written = String::from_utf8(fault.write("urn:uuid:2", &Addressing::default())).unwrap();
        assert!(written.contains("soap:VersionMismatch") && written.contains("soap:Upgrade"), "{written}");
        for xml in ["<a/>", "<Envelope xmlns='http://www.w3.org/2003/05/soap-envelope'/>"] {
            assert_eq!(envelope(xml).unwrap_err().code, Code::Sender);
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let request = Addressing::of_request("urn:do", "urn:uuid:1", "http://there");
        let answer = Addressing::of_answer("urn:done", "urn:uuid:2", &request);
        let bytes = message(&answer, b"<x xmlns=\"urn:x\">1</x>");
        let read = envelope(std::str::from_utf8(&bytes).unwrap()).unwrap();
        assert_eq!(read.addressing.action.as_deref(), Some("urn:done"));
        assert_eq!(read.addressing.relates_to.as_deref(), Some("urn:uuid:1"));
        assert_eq!(read.body.text, "1");
        assert!(read.fault().is_none());

        let fault =
            Fault::sender("No & never").named(Subcode::ActionNotSupported).with("ProblemAction", "urn:do");
        let bytes = fault.write("urn:uuid:3", &request);
        let read = envelope(std::str::from_utf8(&bytes).unwrap()).unwrap();
        assert_eq!(read.addressing.action.as_deref(), Some(addressing::FAULT));
        let told = read.fault().unwrap();
        assert_eq!((told.code, told.told.as_deref()), (Code::Sender, Some("ActionNotSupported")));
        assert_eq!(told.text, "No & never");
    }
}
