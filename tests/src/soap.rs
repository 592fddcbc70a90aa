//! SOAP 1.2 as a stranger's client speaks it: an envelope, with documents beside it as MTOM has it or within it, and the answer taken
//! apart again.

use anyhow::{Context as _, Result, ensure};
use memchr::memmem;
use uuid::Uuid;

use crate::answer::Answer;
use crate::markup::Element;

/// Namespace of SOAP 1.2.
pub const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
/// Namespace of WS-Addressing.
pub const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";
/// Start of the URNs of statuses of answers.
pub const RESPONSE: &str = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:";
/// Where answers go that go back on the connection.
pub const ANONYMOUS: &str = "http://www.w3.org/2005/08/addressing/anonymous";

/// A message about to be sent.
#[derive(Debug, Clone)]
pub struct Message {
    /// `Content-Type`.
    pub content_type: String,
    /// Everything behind the headers.
    pub body: Vec<u8>,
    /// What the answer has to relate to.
    pub id: String,
}

/// An envelope around a body.
pub fn envelope(to: &str, action: &str, id: &str, body: &str) -> String {
    let body = body.trim_start_matches('\u{feff}').trim_start();
    let body = match body.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or(rest, |(_, rest)| rest),
        None => body,
    };
    format!(
        "<soap:Envelope xmlns:soap=\"{SOAP}\" xmlns:wsa=\"{ADDRESSING}\"><soap:Header>\
         <wsa:Action soap:mustUnderstand=\"true\">{action}</wsa:Action><wsa:MessageID>{id}</wsa:MessageID>\
         <wsa:ReplyTo><wsa:Address>{ANONYMOUS}</wsa:Address></wsa:ReplyTo><wsa:To>{to}</wsa:To>\
         </soap:Header><soap:Body>{body}</soap:Body></soap:Envelope>"
    )
}

/// A message without attachments.
pub fn simple(to: &str, action: &str, body: &str) -> Message {
    let id = format!("urn:uuid:{}", Uuid::new_v4());
    let content_type = format!("application/soap+xml; charset=UTF-8; action=\"{action}\"");
    Message { content_type, body: envelope(to, action, &id, body).into_bytes(), id }
}

/// A message as MTOM has it: the envelope, then each part under its Content-ID.
pub fn mtom(to: &str, action: &str, body: &str, parts: &[(String, String, Vec<u8>)]) -> Message {
    let id = format!("urn:uuid:{}", Uuid::new_v4());
    let boundary = format!("MIMEBoundary_{}", Uuid::new_v4().simple());
    let mut message = format!(
        "--{boundary}\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"application/soap+xml\"\r\n\
         Content-Transfer-Encoding: binary\r\nContent-ID: <root@tests>\r\n\r\n{}",
        envelope(to, action, &id, body)
    )
    .into_bytes();
    for (cid, mime, bytes) in parts {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: {mime}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{cid}>\r\n\r\n"
        );
        message.extend_from_slice(head.as_bytes());
        message.extend_from_slice(bytes);
    }
    message.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let content_type = format!(
        "multipart/related; boundary=\"{boundary}\"; type=\"application/xop+xml\"; start=\"<root@tests>\"; \
         start-info=\"application/soap+xml\"; action=\"{action}\""
    );
    Message { content_type, body: message, id }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The envelope.
    pub envelope: Element,
    /// Parts beside the envelope: Content-ID without brackets, headers, bytes.
    pub parts: Vec<(String, String, Vec<u8>)>,
}

impl Reply {
    /// Takes an answer apart.
    pub fn read(answer: &Answer) -> Result<Reply> {
        let content_type = answer.header("Content-Type").unwrap_or_default().to_owned();
        let told = || format!("the answer {} ({content_type}) is SOAP: {}", answer.status, answer.excerpt());
        if !content_type.starts_with("multipart/related") {
            ensure!(content_type.starts_with("application/soap+xml"), "{}", told());
            let envelope = Element::parse(&answer.body).with_context(told)?;
            return Ok(Reply { status: answer.status, envelope, parts: Vec::new() });
        }
        let boundary = parameter(&content_type, "boundary").with_context(told)?;
        let mut parts = split(&answer.body, &boundary).with_context(told)?;
        let root = match parameter(&content_type, "start") {
            Some(start) => {
                let start = start.trim_matches(['<', '>']).to_owned();
                parts.iter().position(|(cid, ..)| *cid == start).with_context(told)?
            }
            None => 0,
        };
        ensure!(root < parts.len(), "{}", told());
        let (_, headers, bytes) = parts.remove(root);
        ensure!(headers.to_ascii_lowercase().contains("application/xop+xml"), "the root is XOP: {headers}");
        let envelope = Element::parse(&bytes).with_context(told)?;
        Ok(Reply { status: answer.status, envelope, parts })
    }

    /// The element in the body.
    pub fn body(&self) -> Result<&Element> {
        ensure!(self.envelope.namespace == SOAP, "the envelope is SOAP 1.2: {}", self.envelope.namespace);
        let body = self.envelope.named("Body").next().context("the envelope has a body")?;
        body.elements()
            .next()
            .with_context(|| format!("the body has an element: {:.500}", self.envelope.write()))
    }

    /// Code, subcodes and reason of a fault.
    pub fn fault(&self) -> Option<String> {
        let fault = self.envelope.first("Fault")?;
        let values = fault.find("Value").into_iter().map(|value| value.text().trim().to_owned());
        let reason = fault.first("Reason").map(Element::text).unwrap_or_default();
        Some(format!("{}: {}", values.collect::<Vec<_>>().join(" "), reason.trim()))
    }

    /// Last word of the status of the RegistryResponse, `Success`, `PartialSuccess` or `Failure`; a fault is no status.
    pub fn registry_status(&self) -> Result<String> {
        if let Some(fault) = self.fault() {
            anyhow::bail!("a fault came back ({}): {fault}", self.status);
        }
        let body = self.body()?;
        let holder = body.all().into_iter().find(|element| element.attribute("status").is_some());
        let holder = holder.with_context(|| format!("the answer has a status: {:.500}", body.write()))?;
        let status = holder.attribute("status").unwrap_or_default();
        let known = [format!("{RESPONSE}Success"), format!("{RESPONSE}Failure")];
        ensure!(
            known.iter().any(|known| known == status)
                || status == "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess",
            "the status is a URN of the framework: {status}"
        );
        Ok(status.rsplit(':').next().unwrap_or(status).to_owned())
    }

    /// Code, context and severity of every RegistryError.
    pub fn errors(&self) -> Vec<(String, String, String)> {
        let get = |error: &Element, name: &str| error.attribute(name).unwrap_or_default().to_owned();
        let errors = self.envelope.find("RegistryError");
        errors
            .iter()
            .map(|error| (get(error, "errorCode"), get(error, "codeContext"), get(error, "severity")))
            .collect()
    }

    /// The errors in words, for messages.
    pub fn told(&self) -> String {
        let errors = self.errors().into_iter().map(|(code, context, _)| format!("{code}: {context}"));
        errors.collect::<Vec<_>>().join(" | ")
    }

    /// Each DocumentResponse of ITI-43: unique id and bytes, from the part it names or from within.
    pub fn documents(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut documents = Vec::new();
        for response in self.envelope.find("DocumentResponse") {
            let id = response.first("DocumentUniqueId").context("a document has its id")?.text();
            let document = response.first("Document").context("a document has bytes")?;
            let bytes = match document.first("Include") {
                Some(include) => {
                    let href = include.attribute("href").context("an Include has an href")?;
                    let cid = href.strip_prefix("cid:").context("an Include names a part")?;
                    let cid = percent_encoding::percent_decode_str(cid).decode_utf8()?.into_owned();
                    let part = self.parts.iter().find(|(name, ..)| *name == cid);
                    part.with_context(|| format!("the part {cid} is there"))?.2.clone()
                }
                None => {
                    use base64::Engine as _;
                    let text: String = document.text().split_whitespace().collect();
                    base64::engine::general_purpose::STANDARD.decode(text).context("base64")?
                }
            };
            documents.push((id.trim().to_owned(), bytes));
        }
        Ok(documents)
    }
}

/// A parameter of a header, without quotes.
pub fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The parts of a multipart body: Content-ID, headers, bytes.
fn split(body: &[u8], boundary: &str) -> Result<Vec<(String, String, Vec<u8>)>> {
    let mark = format!("--{boundary}");
    let marked = [b"\r\n", body].concat();
    let delimiter = [b"\r\n", mark.as_bytes()].concat();
    let starts: Vec<usize> = memmem::find_iter(&marked, &delimiter).collect();
    let mut parts = Vec::new();
    for pair in starts.windows(2) {
        let part = &marked[pair[0] + delimiter.len()..pair[1]];
        let end = memmem::find(part, b"\r\n\r\n").context("a part has headers")?;
        let headers = String::from_utf8_lossy(&part[..end]).into_owned();
        let id = headers.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("Content-ID").then(|| value.trim().trim_matches(['<', '>']).to_owned())
        });
        parts.push((id.unwrap_or_default(), headers, part[end + 4..].to_vec()));
    }
    let last = starts.last().context("the multipart has boundaries")?;
    ensure!(marked[last + delimiter.len()..].starts_with(b"--"), "the multipart ends with its last boundary");
    Ok(parts)
}
