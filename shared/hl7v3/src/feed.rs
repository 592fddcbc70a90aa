//! Patient Identity Feed HL7 V3 [ITI-44]: the three messages of a source (TF-2b 3.44), read as others write them, and written
//! in the order of the schemas.

use ebxml::{Element, Writer};
use serde_json::{Map, Value};

use crate::person::{self, Extent};
use crate::wrapper::{self, Header, INTERACTIONS, InstanceId, Sending, read_header};
use crate::{NAMESPACE, find};

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

impl Event {
    /// All of them.
    pub const ALL: [Event; 3] = [Event::Added, Event::Revised, Event::DuplicatesResolved];

    /// The element of the message.
    pub fn element(self) -> &'static str {
        match self {
            Event::Added => "PRPA_IN201301UV02",
            Event::Revised => "PRPA_IN201302UV02",
            Event::DuplicatesResolved => "PRPA_IN201304UV02",
        }
    }

    /// `wsa:Action` of the message.
    pub fn action(self) -> &'static str {
        match self {
            Event::Added => "urn:hl7-org:v3:PRPA_IN201301UV02",
            Event::Revised => "urn:hl7-org:v3:PRPA_IN201302UV02",
            Event::DuplicatesResolved => "urn:hl7-org:v3:PRPA_IN201304UV02",
        }
    }

    /// The trigger event.
    fn trigger(self) -> &'static str {
        match self {
            Event::Added => "PRPA_TE201301UV02",
            Event::Revised => "PRPA_TE201302UV02",
            Event::DuplicatesResolved => "PRPA_TE201304UV02",
        }
    }
}

/// A message of the feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What happened.
    pub event: Event,
    /// The header, as far as the answer repeats it.
    pub header: Header,
    /// Identifiers of the patient (`patient/id`).
    pub identifiers: Vec<InstanceId>,
    /// Identifiers others have given the person (`asOtherIDs/id`).
    pub others: Vec<InstanceId>,
    /// Identifiers of the record that is replaced.
    pub replaced: Vec<InstanceId>,
    /// How many records are replaced.
    pub replacements: usize,
    /// What is told of the patient: members of a Patient resource, without identifiers.
    pub about: Map<String, Value>,
}

/// Reads a message; none if its element is not one of the feed's. `system` names the system of the identifiers that a root
/// gives out, where it is known; it is asked for those of the mother.
pub fn read(message: &Element, system: &dyn Fn(&InstanceId) -> Option<String>) -> Option<Message> {
    let event = Event::ALL.into_iter().find(|event| message.is(NAMESPACE, event.element()))?;
    let registration = find(message, &["controlActProcess", "subject", "registrationEvent"]);
    let patient = registration.and_then(|event| find(event, &["subject1", "patient"]));
    let person = patient.and_then(|patient| find(patient, &["patientPerson"]));
    let others = person.into_iter().flat_map(|person| person.children_named(NAMESPACE, "asOtherIDs"));
    let replaced: Vec<&Element> = registration
        .map(|event| event.children_named(NAMESPACE, "replacementOf").collect())
        .unwrap_or_default();
    let role = |replacement: &&Element| {
        find(replacement, &["priorRegistration", "subject1", "priorRegisteredRole"])
            .map(|role| InstanceId::all(Some(role), "id"))
    };
    Some(Message {
        event,
        header: read_header(message),
        identifiers: InstanceId::all(patient, "id"),
        others: others.flat_map(|other| InstanceId::all(Some(other), "id")).collect(),
        replacements: replaced.len(),
        replaced: replaced.iter().filter_map(role).flatten().collect(),
        about: person.map(|person| person::read(person, system)).unwrap_or_default(),
    })
}

/// What a message tells.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    /// The Patient resource; of resolved duplicates the one that survives. Its identifiers are not looked at.
    pub patient: &'a Map<String, Value>,
    /// Identifiers of the patient; at least one.
    pub identifiers: &'a [InstanceId],
    /// Identifiers others have given the person.
    pub others: &'a [InstanceId],
    /// Identifiers of the record that is replaced; for resolved duplicates only.
    pub replaced: &'a [InstanceId],
    /// OID of the organization that says so and keeps the record.
    pub organization: &'a str,
    /// The OID that stands for a system of identifiers, where there is one; asked for those of the mother.
    pub roots: &'a dyn Fn(&str) -> Option<String>,
}

/// Writes a message: the body of an envelope.
pub fn write(event: Event, sending: &Sending<'_>, told: &Told<'_>) -> Vec<u8> {
    let mut xml = Writer::with_capacity(4096);
    wrapper::start(&mut xml, event.element(), (sending.id, sending.created), ("P", "AL"));
    wrapper::device(&mut xml, ("receiver", "RCV"), &InstanceId::new(sending.receiver, ""));
    wrapper::device(&mut xml, ("sender", "SND"), &InstanceId::new(sending.sender, ""));
    xml.start("controlActProcess").attribute("classCode", "CACT").attribute("moodCode", "EVN");
    xml.start("code").attribute("code", event.trigger()).attribute("codeSystem", INTERACTIONS).end();
    xml.start("subject").attribute("typeCode", "SUBJ").attribute("contextConductionInd", "false");
    xml.start("registrationEvent").attribute("classCode", "REG").attribute("moodCode", "EVN");
    xml.start("id").attribute("nullFlavor", "NA").end();
    xml.start("statusCode").attribute("code", "active").end();
    xml.start("subject1").attribute("typeCode", "SBJ");
    write_patient(&mut xml, event, told);
    xml.end();
    xml.start("custodian").attribute("typeCode", "CST");
    xml.start("assignedEntity").attribute("classCode", "ASSIGNED");
    InstanceId::new(told.organization, "").write(&mut xml);
    xml.end().end();
    if event == Event::DuplicatesResolved {
        xml.start("replacementOf").attribute("typeCode", "RPLC");
        xml.start("priorRegistration").attribute("classCode", "REG").attribute("moodCode", "EVN");
        xml.start("statusCode").attribute("code", "obsolete").end();
        xml.start("subject1").attribute("typeCode", "SBJ");
        xml.start("priorRegisteredRole").attribute("classCode", "PAT");
        for id in told.replaced {
            id.write(&mut xml);
        }
    }
    xml.finish()
}

fn write_patient(xml: &mut Writer, event: Event, told: &Told<'_>) {
    xml.start("patient").attribute("classCode", "PAT");
    for id in told.identifiers {
        id.write(xml);
    }
    xml.start("statusCode").attribute("code", "active").end();
    let extent = if event == Event::DuplicatesResolved { Extent::Names } else { Extent::Whole };
    person::write(xml, told.patient, told.others, (extent, told.roots));
    xml.start("providerOrganization").attribute("classCode", "ORG").attribute("determinerCode", "INSTANCE");
    InstanceId::new(told.organization, "").write(xml);
    xml.start("contactParty").attribute("classCode", "CON").end();
    xml.end().end();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::element;

    const MERGE: &str = r#"<h:PRPA_IN201304UV02 xmlns:h="urn:hl7-org:v3"><h:id root="1.2" extension="m"/>
        <h:controlActProcess><h:subject><h:registrationEvent>
        <h:subject1><h:patient><h:id root="1.3" extension="kept"/><h:patientPerson>
        <h:name use="L"><h:family>Muster</h:family><h:given>Maja</h:given></h:name>
        <h:birthTime value="19600618"/><h:asOtherIDs><h:id root="7.7" extension="x"/></h:asOtherIDs></h:patientPerson>
        </h:patient></h:subject1>
        <h:replacementOf><h:priorRegistration><h:subject1><h:priorRegisteredRole>
        <h:id root="1.3" extension="gone"/></h:priorRegisteredRole></h:subject1></h:priorRegistration></h:replacementOf>
        </h:registrationEvent></h:subject></h:controlActProcess></h:PRPA_IN201304UV02>"#;

    fn nobody(_: &InstanceId) -> Option<String> {
        None
    }

    #[test]
    fn a_message_is_read_whatever_its_prefix() {
        let message = read(&element(MERGE), &nobody).expect("it is one of the feed's");
        assert_eq!(message.event, Event::DuplicatesResolved);
        assert_eq!(message.identifiers, [InstanceId::new("1.3", "kept")]);
        assert_eq!(message.replaced, [InstanceId::new("1.3", "gone")]);
        assert_eq!(message.others, [InstanceId::new("7.7", "x")]);
        assert_eq!(message.about["name"][0]["family"], "Muster");
        assert_eq!(message.about["birthDate"], "1960-06-18");
        assert!(read(&element("<PRPA_IN201301UV02/>"), &nobody).is_none());
    }

    #[test]
    fn what_is_written_is_read_as_it_was_meant() {
        let patient = json!({ "name": [{ "family": "Muster" }], "gender": "female", "birthDate": "1960-06" });
        let (kept, gone) = (InstanceId::new("1.3", "kept"), InstanceId::new("1.3", "go<ne"));
        let other = InstanceId::new("7.7", "x");
        let sending = Sending { id: "u", created: "20260101120000", sender: "9.2", receiver: "9.1" };
        for event in Event::ALL {
            let is_merge = event == Event::DuplicatesResolved;
            let told = Told {
                patient: patient.as_object().expect("it is one"),
                identifiers: std::slice::from_ref(&kept),
                others: std::slice::from_ref(&other),
                replaced: std::slice::from_ref(&gone),
                organization: "9.9",
                roots: &|_| None,
            };
            let written = String::from_utf8(write(event, &sending, &told)).expect("it is UTF-8");
            let message = read(&element(&written), &nobody).expect("it is one of the feed's");
            assert_eq!((message.event, message.identifiers), (event, vec![kept.clone()]));
            assert_eq!((message.header.sender.root.as_str(), message.header.id.root.as_str()), ("9.2", "u"));
            assert_eq!(message.replaced, if is_merge { vec![gone.clone()] } else { Vec::new() });
            assert_eq!(message.others, if is_merge { Vec::new() } else { vec![other.clone()] });
            assert_eq!(message.about.contains_key("birthDate"), !is_merge);
            assert_eq!(message.about["name"], patient["name"]);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_of_a_patient_breaks_a_message(family in "\\PC{0,30}", number in "\\PC{0,30}", day in "\\PC{0,12}") {
            let patient = json!({
                "name": [{ "family": family }], "telecom": [{ "system": "phone", "value": number }], "birthDate": day
            });
            let id = InstanceId::new("1.2", number.clone());
            let sending = Sending { id: "u", created: "2026", sender: "9.2", receiver: "9.1" };
            let told = Told {
                patient: patient.as_object().expect("it is one"),
                identifiers: std::slice::from_ref(&id),
                others: &[],
                replaced: &[],
                organization: "9.9",
                roots: &|_| None,
            };
            let written = String::from_utf8(write(Event::Added, &sending, &told)).expect("it is UTF-8");
            proptest::prop_assert!(read(&element(&written), &nobody).is_some());
        }
    }
}
