//! MCCI_IN000002UV01, the answer to every message of the feed (TF-2b 3.44.4.1.3, TF-2x O.2.1).

use ebxml::{Element, Writer};

use crate::wrapper::{self, Header, InstanceId};
use crate::{NAMESPACE, find, value};

/// `wsa:Action` of the acknowledgement.
pub const ACTION: &str = "urn:hl7-org:v3:MCCI_IN000002UV01";
/// Its element.
const NAME: &str = "MCCI_IN000002UV01";
/// The code system of AcknowledgementDetailCode.
const DETAILS: &str = "2.16.840.1.113883.5.1100";

/// `acknowledgement/typeCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// `CA`: taken.
    Accept,
    /// `CE`: its content is wrong, or it could not be done.
    Error,
    /// `CR`: it is none this receiver takes.
    Reject,
}

impl Code {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Accept => "CA",
            Code::Error => "CE",
            Code::Reject => "CR",
        }
    }

    /// As others write it; the application acknowledgements AA, AE and AR say the same.
    fn read(text: &str) -> Option<Code> {
        match text {
            "CA" | "AA" => Some(Code::Accept),
            "CE" | "AE" => Some(Code::Error),
            "CR" | "AR" => Some(Code::Reject),
            _ => None,
        }
    }
}

/// One thing an acknowledgement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// Whether it is why the message was not taken; else it is worth knowing.
    pub is_error: bool,
    /// A code of AcknowledgementDetailCode, e.g. `KEY204`; none: there is none.
    pub code: Option<&'static str>,
    /// In words.
    pub text: String,
    /// Where, as a path in the message; none: as a whole.
    pub location: Option<String>,
}

/// Writes the answer to a message with this header. `id` is a UUID, `created` is `YYYYMMDDHHMMSS`.
pub fn write(to: &Header, code: Code, details: &[Detail], id: &str, created: &str) -> Vec<u8> {
    let mut xml = Writer::with_capacity(2048);
    let processing = if to.processing.is_empty() { "P" } else { &to.processing };
    wrapper::start(&mut xml, NAME, (id, created), (processing, "NE"));
    wrapper::device(&mut xml, ("receiver", "RCV"), &to.sender);
    wrapper::device(&mut xml, ("sender", "SND"), &to.receiver);
    xml.start("acknowledgement");
    xml.start("typeCode").attribute("code", code.as_str()).end();
    xml.start("targetMessage");
    to.id.write(&mut xml);
    xml.end();
    for detail in details {
        xml.start("acknowledgementDetail").attribute("typeCode", if detail.is_error { "E" } else { "I" });
        if let Some(code) = detail.code {
            xml.start("code").attribute("code", code).attribute("codeSystem", DETAILS).end();
        }
        xml.leaf("text", &detail.text);
        if let Some(location) = &detail.location {
            xml.leaf("location", location);
        }
        xml.end();
    }
    xml.finish()
}

/// What a receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Whether it took the message.
    pub code: Code,
    /// The message it speaks of.
    pub target: InstanceId,
    /// What it says about it: codes and texts, each as `KEY204: text`, in order.
    pub details: Vec<String>,
}

/// Reads an answer; none if the element is not an acknowledgement, or says neither yes nor no.
pub fn read(message: &Element) -> Option<Acknowledgement> {
    if !message.is(NAMESPACE, NAME) {
        return None;
    }
    let acknowledgement = find(message, &["acknowledgement"])?;
    let code = find(acknowledgement, &["typeCode"])?;
    let target = find(acknowledgement, &["targetMessage", "id"]).map(InstanceId::read);
    let told = acknowledgement.children_named(NAMESPACE, "acknowledgementDetail").filter_map(|detail| {
        let code = find(detail, &["code"]).map(|code| value(code, "code")).unwrap_or_default();
        let text = find(detail, &["text"]).map(|text| xds::hl7::clean(&text.text)).unwrap_or_default();
        match (code.is_empty(), text.is_empty()) {
            (true, true) => None,
            (true, false) => Some(text),
            (false, true) => Some(code),
            (false, false) => Some(format!("{code}: {text}")),
        }
    });
    Some(Acknowledgement {
        code: Code::read(&value(code, "code"))?,
        target: target.unwrap_or_default(),
        details: told.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{element, read_header};

    const ASKED: &str = r#"<h:PRPA_IN201304UV02 xmlns:h="urn:hl7-org:v3"><h:id root="1.2" extension="m"/>
        <h:processingCode code="T"/>
        <h:receiver><h:device><h:id root="9.1"/></h:device></h:receiver>
        <h:sender><h:device><h:id root="9.2"/></h:device></h:sender></h:PRPA_IN201304UV02>"#;

    #[test]
    fn it_names_the_message_and_goes_back_and_is_read_as_it_was_written() {
        let header = read_header(&element(ASKED));
        assert_eq!((header.sender.root.as_str(), header.receiver.root.as_str()), ("9.2", "9.1"));
        let detail = Detail {
            is_error: true,
            code: Some("KEY204"),
            text: "no <such>".to_owned(),
            location: Some("//patient/id".to_owned()),
        };
        let written = write(&header, Code::Error, &[detail], "new", "2026");
        let written = element(&String::from_utf8(written).expect("it is UTF-8"));
        let told = read(&written).expect("it is an acknowledgement");
        assert_eq!(told.code, Code::Error);
        assert_eq!(told.target, InstanceId::new("1.2", "m"));
        assert_eq!(told.details, ["KEY204: no <such>"]);
        assert_eq!(read_header(&written).receiver.root, "9.2");
        assert_eq!(read_header(&written).processing, "T");
    }

    #[test]
    fn the_answer_of_another_manager_is_read() {
        let theirs = element(
            r#"<hl7:MCCI_IN000002UV01 xmlns:hl7="urn:hl7-org:v3"><hl7:acknowledgement><hl7:typeCode code="AA"/>
            <hl7:targetMessage><hl7:id root="6"/></hl7:targetMessage><hl7:acknowledgementDetail/></hl7:acknowledgement>
            </hl7:MCCI_IN000002UV01>"#,
        );
        let told = read(&theirs).expect("it is an acknowledgement");
        assert_eq!((told.code, told.details.len(), told.target.root.as_str()), (Code::Accept, 0, "6"));
        for other in ["<a/>", r#"<MCCI_IN000002UV01 xmlns="urn:hl7-org:v3"/>"#] {
            assert_eq!(read(&element(other)), None, "{other}");
        }
    }
}
