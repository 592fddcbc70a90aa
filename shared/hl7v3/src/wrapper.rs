//! What every message has around what it tells: ids, times, and who speaks to whom (the transmission wrapper MCCI_MT000100UV01).

use ebxml::{Element, Writer};

use crate::{NAMESPACE, find, value};

/// The OID of the interactions and trigger events of HL7 v3.
pub(crate) const INTERACTIONS: &str = "2.16.840.1.113883.1.6";

/// An instance identifier (II).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstanceId {
    /// `root`: an OID, or a UUID where there is no extension.
    pub root: String,
    /// `extension`: the identifier itself.
    pub extension: String,
    /// `assigningAuthorityName`.
    pub authority: String,
}

impl InstanceId {
    /// An identifier given out by an OID.
    pub fn new(root: impl Into<String>, extension: impl Into<String>) -> InstanceId {
        InstanceId { root: root.into(), extension: extension.into(), authority: String::new() }
    }

    pub(crate) fn read(element: &Element) -> InstanceId {
        InstanceId {
            root: value(element, "root"),
            extension: value(element, "extension"),
            authority: value(element, "assigningAuthorityName"),
        }
    }

    pub(crate) fn all(element: Option<&Element>, name: &str) -> Vec<InstanceId> {
        let found = element.into_iter().flat_map(|element| element.children_named(NAMESPACE, name));
        found.map(InstanceId::read).collect()
    }

    pub(crate) fn write(&self, xml: &mut Writer) {
        xml.start("id");
        if self.root.is_empty() && self.extension.is_empty() {
            xml.attribute("nullFlavor", "NI");
        }
        xml.optional("root", Some(self.root.as_str()).filter(|root| !root.is_empty()));
        xml.optional("extension", Some(self.extension.as_str()).filter(|extension| !extension.is_empty()));
        xml.optional("assigningAuthorityName", Some(self.authority.as_str()).filter(|name| !name.is_empty()));
        xml.end();
    }
}

/// What an answer repeats of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// The message.
    pub id: InstanceId,
    /// `processingCode`: `P` production, `T` training, `D` debugging.
    pub processing: String,
    /// The device that sent it.
    pub sender: InstanceId,
    /// The device it was sent to.
    pub receiver: InstanceId,
}

/// Reads the header of any HL7 v3 message; what is missing is empty.
pub fn read_header(message: &Element) -> Header {
    let device =
        |party: &str| find(message, &[party, "device", "id"]).map(InstanceId::read).unwrap_or_default();
    Header {
        id: message.child(NAMESPACE, "id").map(InstanceId::read).unwrap_or_default(),
        processing: find(message, &["processingCode"]).map_or_else(String::new, |code| value(code, "code")),
        sender: device("sender"),
        receiver: device("receiver"),
    }
}

/// A message about to be sent: its name and time, and who speaks to whom.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    /// A UUID, plain.
    pub id: &'a str,
    /// `YYYYMMDDHHMMSS`, UTC.
    pub created: &'a str,
    /// OID of the sending device.
    pub sender: &'a str,
    /// OID of the receiving device.
    pub receiver: &'a str,
}

/// Begins a message; what it tells comes next, and `end` closes it.
pub(crate) fn start(
    xml: &mut Writer,
    name: &'static str,
    (id, created): (&str, &str),
    (processing, accept): (&str, &'static str),
) {
    xml.start(name).attribute("xmlns", NAMESPACE).attribute("ITSVersion", "XML_1.0");
    xml.start("id").attribute("root", id).end();
    xml.start("creationTime").attribute("value", created).end();
    xml.start("interactionId").attribute("root", INTERACTIONS).attribute("extension", name).end();
    xml.start("processingCode").attribute("code", processing).end();
    xml.start("processingModeCode").attribute("code", "T").end();
    xml.start("acceptAckCode").attribute("code", accept).end();
}

/// One of the two parties.
pub(crate) fn device(xml: &mut Writer, (party, code): (&'static str, &str), id: &InstanceId) {
    xml.start(party).attribute("typeCode", code);
    xml.start("device").attribute("classCode", "DEV").attribute("determinerCode", "INSTANCE");
    id.write(xml);
    xml.end();
    xml.end();
}
