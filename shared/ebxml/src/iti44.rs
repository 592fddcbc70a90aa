//! Patient Identity Feed HL7 V3 [ITI-44]: the three messages of a source, and the acknowledgement (TF-2b 3.44).

use crate::element::Element;
use crate::names::namespace::HL7;
use crate::writer::Writer;

/// What happened to a patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// PRPA_IN201301UV02: a patient was added.
    Added,
    /// PRPA_IN201302UV02: what is known of a patient was revised.
    Revised,
    /// PRPA_IN201304UV02: two records turned out to be of one patient.
    DuplicatesResolved,
}

/// The events, with the elements and actions that name them; the first action is that of the standard.
pub const EVENTS: [(Event, &str); 3] = [
    (Event::Added, "PRPA_IN201301UV02"),
    (Event::Revised, "PRPA_IN201302UV02"),
    (Event::DuplicatesResolved, "PRPA_IN201304UV02"),
];

/// `wsa:Action` of the acknowledgement.
pub const ACKNOWLEDGED: &str = "urn:hl7-org:v3:MCCI_IN000002UV01";

/// An instance identifier (II).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstanceId {
    /// `root`: an OID.
    pub root: String,
    /// `extension`: the identifier itself.
    pub extension: String,
    /// `assigningAuthorityName`.
    pub authority: String,
}

/// A name of a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Name {
    /// `use`, e.g. `L`.
    pub usage: String,
    /// Family names, in order.
    pub family: Vec<String>,
    /// Given names, in order.
    pub given: Vec<String>,
    /// Prefixes.
    pub prefix: Vec<String>,
    /// Suffixes.
    pub suffix: Vec<String>,
}

/// A message of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What happened.
    pub event: Event,
    /// The header, as far as the answer repeats it.
    pub header: Header,
    /// Identifiers of the patient.
    pub identifiers: Vec<InstanceId>,
    /// Identifiers of the record that is replaced.
    pub replaced: Vec<InstanceId>,
    /// How many records are replaced.
    pub replacements: usize,
    /// Names of the patient.
    pub names: Vec<Name>,
    /// `administrativeGenderCode`.
    pub gender: String,
    /// `birthTime`.
    pub born: String,
}

/// What the acknowledgement repeats of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// The message.
    pub id: InstanceId,
    /// `processingCode`.
    pub processing: String,
    /// The device that sent it.
    pub sender: InstanceId,
    /// The device it was sent to.
    pub receiver: InstanceId,
}

/// Reads the header of any HL7 v3 message.
pub fn read_header(message: &Element) -> Header {
    let device = |party: &str| find(message, &[party, "device", "id"]).map(instance).unwrap_or_default();
    Header {
        id: message.child(HL7, "id").map(instance).unwrap_or_default(),
        processing: find(message, &["processingCode"]).map_or_else(String::new, |code| value(code, "code")),
        sender: device("sender"),
        receiver: device("receiver"),
    }
}

/// Reads a message; none if its element is not one of the feed's.
pub fn read(message: &Element) -> Option<Message> {
    let (event, _) = EVENTS.iter().find(|(_, name)| message.is(HL7, name))?;
    let registration = find(message, &["controlActProcess", "subject", "registrationEvent"]);
    let patient = registration.and_then(|event| find(event, &["subject1", "patient"]));
    let person = patient.and_then(|patient| patient.child(HL7, "patientPerson"));
    let all = |element: Option<&Element>, name: &str| -> Vec<InstanceId> {
        element.into_iter().flat_map(|element| element.children_named(HL7, name)).map(instance).collect()
    };
    let replaced: Vec<&Element> =
        registration.map(|event| event.children_named(HL7, "replacementOf").collect()).unwrap_or_default();
    let role = |replacement: &&Element| {
        find(replacement, &["priorRegistration", "subject1", "priorRegisteredRole"]).cloned()
    };
    let of_person = |name: &str, attribute: &str| {
        person.and_then(|person| person.child(HL7, name)).map_or_else(String::new, |e| value(e, attribute))
    };
    Some(Message {
        event: *event,
        header: read_header(message),
        identifiers: all(patient, "id"),
        replacements: replaced.len(),
        replaced: replaced.iter().filter_map(role).flat_map(|role| all(Some(&role), "id")).collect(),
        names: person.into_iter().flat_map(|person| person.children_named(HL7, "name")).map(name).collect(),
        gender: of_person("administrativeGenderCode", "code"),
        born: of_person("birthTime", "value"),
    })
}

fn find<'a>(element: &'a Element, path: &[&str]) -> Option<&'a Element> {
    path.iter().try_fold(element, |element, name| element.child(HL7, name))
}

fn value(element: &Element, attribute: &str) -> String {
    element.attribute(attribute).unwrap_or_default().trim().to_owned()
}

fn instance(element: &Element) -> InstanceId {
    InstanceId {
        root: value(element, "root"),
        extension: value(element, "extension"),
        authority: value(element, "assigningAuthorityName"),
    }
}

fn name(element: &Element) -> Name {
    let all = |part: &str| -> Vec<String> {
        let parts = element.children_named(HL7, part).map(|part| part.trimmed().to_owned());
        parts.filter(|text| !text.is_empty()).collect()
    };
    Name {
        usage: value(element, "use"),
        family: all("family"),
        given: all("given"),
        prefix: all("prefix"),
        suffix: all("suffix"),
    }
}

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
    fn as_str(self) -> &'static str {
        match self {
            Code::Accept => "CA",
            Code::Error => "CE",
            Code::Reject => "CR",
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

/// Writes MCCI_IN000002UV01, the answer to a message with this header. `id` is a UUID, `created` is `YYYYMMDDHHMMSS`.
pub fn write_acknowledgement(
    to: &Header,
    code: Code,
    details: &[Detail],
    id: &str,
    created: &str,
) -> Vec<u8> {
    let mut xml = Writer::with_capacity(2048);
    xml.start("MCCI_IN000002UV01").attribute("xmlns", HL7).attribute("ITSVersion", "XML_1.0");
    xml.start("id").attribute("root", id).end();
    xml.start("creationTime").attribute("value", created).end();
    xml.start("interactionId")
        .attribute("root", "2.16.840.1.113883.1.6")
        .attribute("extension", "MCCI_IN000002UV01")
        .end();
    let processing = if to.processing.is_empty() { "P" } else { &to.processing };
    xml.start("processingCode").attribute("code", processing).end();
    xml.start("processingModeCode").attribute("code", "T").end();
    xml.start("acceptAckCode").attribute("code", "NE").end();
    device(&mut xml, ("receiver", "RCV"), &to.sender);
    device(&mut xml, ("sender", "SND"), &to.receiver);
    xml.start("acknowledgement");
    xml.start("typeCode").attribute("code", code.as_str()).end();
    xml.start("targetMessage");
    write_id(&mut xml, &to.id);
    xml.end();
    for detail in details {
        xml.start("acknowledgementDetail").attribute("typeCode", if detail.is_error { "E" } else { "I" });
        if let Some(code) = detail.code {
            xml.start("code")
                .attribute("code", code)
                .attribute("codeSystem", "2.16.840.1.113883.5.1100")
                .end();
        }
        xml.leaf("text", &detail.text);
        if let Some(location) = &detail.location {
            xml.leaf("location", location);
        }
        xml.end();
    }
    xml.end();
    xml.end();
    xml.finish()
}

fn device(xml: &mut Writer, (party, code): (&'static str, &str), id: &InstanceId) {
    xml.start(party).attribute("typeCode", code);
    xml.start("device").attribute("classCode", "DEV").attribute("determinerCode", "INSTANCE");
    write_id(xml, id);
    xml.end();
    xml.end();
}

fn write_id(xml: &mut Writer, id: &InstanceId) {
    xml.start("id");
    if id.root.is_empty() && id.extension.is_empty() {
        xml.attribute("nullFlavor", "NI");
    }
    xml.optional("root", Some(id.root.as_str()).filter(|root| !root.is_empty()));
    xml.optional("extension", Some(id.extension.as_str()).filter(|extension| !extension.is_empty()));
    xml.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::{self, Limits};

    fn element(xml: &str) -> Element {
        reader::read(xml.as_bytes(), &Limits::default()).expect("it is XML")
    }

    const MERGE: &str = r#"<h:PRPA_IN201304UV02 xmlns:h="urn:hl7-org:v3"><h:id root="1.2" extension="m"/>
        <h:processingCode code="T"/>
        <h:receiver><h:device><h:id root="9.1"/></h:device></h:receiver>
        <h:sender><h:device><h:id root="9.2"/></h:device></h:sender>
        <h:controlActProcess><h:subject><h:registrationEvent>
        <h:subject1><h:patient><h:id root="1.3" extension="kept"/><h:patientPerson>
        <h:name use="L"><h:family>Muster</h:family><h:given>Maja</h:given></h:name>
        <h:birthTime value="19600618"/></h:patientPerson></h:patient></h:subject1>
        <h:replacementOf><h:priorRegistration><h:subject1><h:priorRegisteredRole>
        <h:id root="1.3" extension="gone"/></h:priorRegisteredRole></h:subject1></h:priorRegistration></h:replacementOf>
        </h:registrationEvent></h:subject></h:controlActProcess></h:PRPA_IN201304UV02>"#;

    #[test]
    fn a_message_is_read_whatever_its_prefix() {
        let message = read(&element(MERGE)).expect("it is one of the feed's");
        assert_eq!(message.event, Event::DuplicatesResolved);
        let ids = |ids: &[InstanceId]| ids.iter().map(|id| id.extension.clone()).collect::<Vec<_>>();
        assert_eq!(
            (ids(&message.identifiers), ids(&message.replaced)),
            (vec!["kept".into()], vec!["gone".into()])
        );
        assert_eq!((message.names[0].family[0].as_str(), message.born.as_str()), ("Muster", "19600618"));
        assert_eq!(
            (message.header.sender.root.as_str(), message.header.receiver.root.as_str()),
            ("9.2", "9.1")
        );
        assert!(read(&element("<PRPA_IN201301UV02/>")).is_none());
    }

    #[test]
    fn the_acknowledgement_names_the_message_and_goes_back() {
        let header = read_header(&element(MERGE));
        let detail = Detail {
            is_error: true,
            code: Some("KEY204"),
            text: "no <such>".to_owned(),
            location: Some("//patient/id".to_owned()),
        };
        let written = element(
            &String::from_utf8(write_acknowledgement(&header, Code::Error, &[detail], "new", "2026"))
                .expect("it is UTF-8"),
        );
        assert!(written.is(HL7, "MCCI_IN000002UV01"));
        let code = find(&written, &["acknowledgement", "typeCode"]).map(|code| value(code, "code"));
        assert_eq!(code.as_deref(), Some("CE"));
        let target = find(&written, &["acknowledgement", "targetMessage", "id"]).map(instance);
        assert_eq!(
            target,
            Some(InstanceId { root: "1.2".into(), extension: "m".into(), ..InstanceId::default() })
        );
        assert_eq!(read_header(&written).receiver.root, "9.2");
        let text =
            find(&written, &["acknowledgement", "acknowledgementDetail", "text"]).map(Element::trimmed);
        assert_eq!(text, Some("no <such>"));
    }
}
