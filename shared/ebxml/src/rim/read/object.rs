//! One object of a request while it is read: its parts are taken one by one, and what is left is metadata beyond the framework.

use std::collections::HashSet;

use xds::{Author, Code, Finding, Findings, Place, Rule, Slot, Timestamp};

use crate::element::Element;
use crate::names::namespace::RIM;
use crate::rim::{carried, value};

/// An object and what of it was not taken yet.
pub(super) struct Object<'a> {
    pub(super) element: &'a Element,
    /// Its id, as written.
    pub(super) id: &'a str,
    /// Where it stands: `ExtrinsicObject[@id='Document01']`.
    pub(super) at: String,
    /// Whether what XDS demands is demanded: not of an answer, which is taken as it is.
    pub(super) strict: bool,
    slots: Vec<SlotRead<'a>>,
    classifications: Vec<&'a Element>,
    identifiers: Vec<&'a Element>,
    leftovers: Vec<Element>,
}

/// A slot as it was written, spaces around its values aside.
struct SlotRead<'a> {
    element: &'a Element,
    name: &'a str,
    values: Vec<&'a str>,
}

impl<'a> Object<'a> {
    /// Looks at what an object holds. Slots of one name twice, and elements that are none of ebRIM's, are faults.
    pub(super) fn new(
        element: &'a Element,
        id: &'a str,
        strict: bool,
        findings: &mut Findings,
    ) -> Object<'a> {
        let at = format!("{}[@id='{id}']", element.name);
        let slots = slots(element, &at, strict, findings);
        let (mut classifications, mut identifiers) = (Vec::new(), Vec::new());
        for child in &element.children {
            match &*child.name {
                "Classification" if &*child.namespace == RIM => classifications.push(child),
                "ExternalIdentifier" if &*child.namespace == RIM => identifiers.push(child),
                "Slot" | "Name" | "Description" | "VersionInfo" | "ContentVersionInfo"
                    if &*child.namespace == RIM => {}
                name => {
                    let text = format!(
                        "{name} is not known within {}; ebRIM has Slot, Name, Description, VersionInfo, Classification \
                         and ExternalIdentifier there, in the namespace {RIM}.",
                        element.name
                    );
                    let place = Place::at(format!("{at}/{name}"));
                    findings.push(Finding::error(Rule::MetadataInvalid, place, text));
                }
            }
        }
        Object { element, id, at, strict, slots, classifications, identifiers, leftovers: Vec::new() }
    }

    /// The place of an attribute of the element.
    pub(super) fn attribute_place(&self, name: &str) -> Place {
        Place::at(format!("{}/@{name}", self.at))
    }

    /// The place of a slot.
    pub(super) fn slot_place(&self, name: &str) -> Place {
        Place::at(format!("{}/Slot[@name='{name}']", self.at))
    }

    /// The place of a classification.
    pub(super) fn classification_place(&self, scheme: &str) -> Place {
        Place::at(format!("{}/Classification[@classificationScheme='{scheme}']", self.at))
    }

    /// The place of an external identifier.
    pub(super) fn identifier_place(&self, scheme: &str) -> Place {
        Place::at(format!("{}/ExternalIdentifier[@identificationScheme='{scheme}']", self.at))
    }

    /// Takes the values of a slot; none where it is not there or holds nothing.
    pub(super) fn slot(&mut self, name: &str) -> Vec<&'a str> {
        take(&mut self.slots, name)
    }

    /// The same, owned.
    pub(super) fn values(&mut self, name: &str) -> Vec<String> {
        own(self.slot(name))
    }

    /// Takes a slot that holds one value.
    pub(super) fn single(
        &mut self,
        name: &str,
        attribute: &'static str,
        findings: &mut Findings,
    ) -> Option<&'a str> {
        let values = self.slot(name);
        if values.len() > 1 && self.strict {
            let text = format!("The slot {name} ({attribute}) holds {} values; it has one.", values.len());
            findings.push(invalid(self.slot_place(name), attribute, text));
        }
        values.first().copied()
    }

    /// Takes a slot and reads its value; what cannot be read is said, with the form that is accepted.
    pub(super) fn typed<T>(
        &mut self,
        name: &str,
        attribute: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
        accepted: &str,
        findings: &mut Findings,
    ) -> Option<T> {
        let text = self.single(name, attribute, findings)?;
        let value = read(text);
        if value.is_none() && self.strict {
            let text = format!("{text:?} in the slot {name} ({attribute}) is not {accepted}.");
            findings.push(invalid(self.slot_place(name), attribute, text));
        }
        value
    }

    /// Takes a slot that holds a point in time.
    pub(super) fn time(
        &mut self,
        name: &str,
        attribute: &'static str,
        findings: &mut Findings,
    ) -> Option<Timestamp> {
        const ACCEPTED: &str = "a point in time: YYYY[MM[DD[hh[mm[ss]]]]], in UTC";
        self.typed(name, attribute, xds::hl7::dtm::read, ACCEPTED, findings)
    }

    /// Takes a classification by node: whether it is there.
    pub(super) fn node(&mut self, node: &str) -> bool {
        let before = self.classifications.len();
        self.classifications.retain(|one| !is_scheme(one.attribute("classificationNode"), node));
        self.classifications.len() < before
    }

    /// Takes the codes of a scheme.
    pub(super) fn codes(
        &mut self,
        scheme: &str,
        attribute: &'static str,
        findings: &mut Findings,
    ) -> Vec<Code> {
        let taken = take_scheme(&mut self.classifications, "classificationScheme", scheme);
        let all = taken.into_iter().enumerate();
        all.filter_map(|(index, one)| self.code(one, scheme, index, attribute, findings)).collect()
    }

    /// Takes the one code of a scheme.
    pub(super) fn one_code(
        &mut self,
        scheme: &str,
        attribute: &'static str,
        findings: &mut Findings,
    ) -> Vec<Code> {
        let codes = self.codes(scheme, attribute, findings);
        if codes.len() > 1 && self.strict {
            let text = format!("{} codes are given for {attribute}; it has one.", codes.len());
            findings.push(invalid(self.classification_place(scheme), attribute, text));
        }
        codes
    }

    fn code(
        &mut self,
        one: &'a Element,
        scheme: &str,
        index: usize,
        attribute: &'static str,
        findings: &mut Findings,
    ) -> Option<Code> {
        let at = self.classification_place(scheme);
        let mut parts = slots(one, &at.path, self.strict, findings);
        let system = take(&mut parts, "codingScheme");
        let code = one.attribute("nodeRepresentation").unwrap_or_default().trim();
        if self.strict && code.is_empty() {
            let text =
                format!("The classification for {attribute} has no nodeRepresentation, which is the code.");
            findings.push(Finding::error(Rule::MetadataRequired, at.of(attribute), text));
            return None;
        }
        if self.strict && system.len() != 1 {
            let text = format!(
                "The classification for {attribute} names {} code systems; its slot codingScheme holds exactly one.",
                system.len()
            );
            findings.push(invalid(at, attribute, text));
        }
        self.leave(one, index, parts);
        let system = system.first().map(|system| value::read_system(system)).unwrap_or_default();
        Some(Code { system, code: code.to_owned(), display: localized(one, "Name") })
    }

    /// Takes the authors.
    pub(super) fn authors(
        &mut self,
        scheme: &str,
        attribute: &'static str,
        findings: &mut Findings,
    ) -> Vec<Author> {
        let taken = take_scheme(&mut self.classifications, "classificationScheme", scheme);
        let mut authors = Vec::with_capacity(taken.len());
        for one in taken {
            let at = self.classification_place(scheme);
            let mut parts = slots(one, &at.path, self.strict, findings);
            let persons = take(&mut parts, "authorPerson");
            if persons.len() > 1 && self.strict {
                let text = format!(
                    "authorPerson ({attribute}) holds {} persons; each author is a classification of its own.",
                    persons.len()
                );
                findings.push(invalid(at, attribute, text));
            }
            let mut specialties = own(take(&mut parts, "authorSpecialty"));
            // A spelling seen in the field.
            specialties.extend(own(take(&mut parts, "authorSpeciality")));
            let author = Author {
                person: persons.first().map(|person| (*person).to_owned()),
                institutions: own(take(&mut parts, "authorInstitution")),
                roles: own(take(&mut parts, "authorRole")),
                specialties,
                telecommunications: own(take(&mut parts, "authorTelecommunication")),
                ..Author::default()
            };
            if author != Author::default() {
                self.leave(one, authors.len(), parts);
                authors.push(author);
            }
        }
        authors
    }

    /// Keeps what a classification says beyond the framework.
    fn leave(&mut self, one: &'a Element, index: usize, parts: Vec<SlotRead<'a>>) {
        let parts = parts.into_iter().map(|slot| slot.element);
        self.leftovers.extend(carried::leftover(one, index, parts));
    }

    /// Takes the value of an external identifier.
    pub(super) fn identifier(
        &mut self,
        scheme: &str,
        attribute: &'static str,
        findings: &mut Findings,
    ) -> Option<&'a str> {
        let taken = take_scheme(&mut self.identifiers, "identificationScheme", scheme);
        if taken.len() > 1 && self.strict {
            let text = format!("{attribute} is given {} times; it has one value.", taken.len());
            findings.push(invalid(self.identifier_place(scheme), attribute, text));
        }
        taken.first().and_then(|one| one.attribute("value")).map(str::trim).filter(|value| !value.is_empty())
    }

    /// What its Name or Description says first.
    pub(super) fn localized(&self, name: &str) -> Option<String> {
        localized(self.element, name)
    }

    /// Takes everything else: extra metadata, and what only ebRIM has a form for.
    pub(super) fn rest(self, findings: &mut Findings) -> (Vec<Slot>, Option<String>) {
        let mut extra = Vec::with_capacity(self.slots.len());
        for slot in self.slots {
            if self.strict {
                check_extra(slot.name, &self.at, findings);
            }
            let kind = slot.element.attribute("slotType").map(str::to_owned);
            extra.push(Slot { name: slot.name.to_owned(), kind, values: own(slot.values) });
        }
        let classifications = self.classifications.into_iter().chain(&self.leftovers);
        (extra, carried::of_object(self.element, classifications, self.identifiers))
    }
}

fn own(values: Vec<&str>) -> Vec<String> {
    values.into_iter().map(str::to_owned).collect()
}

/// Extra metadata has a URN for its name, and not one the framework keeps for itself (TF-3 4.2.3.1.6).
fn check_extra(name: &str, at: &str, findings: &mut Findings) {
    let begins =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    let text = if !begins("urn:") || name.len() == 4 {
        format!(
            "The slot {name:?} is none of the framework, and the name of extra metadata is a URN (urn:…)."
        )
    } else if begins("urn:ihe:") {
        format!("The slot {name:?} is none of the framework, and names that begin with urn:ihe: are its own.")
    } else {
        return;
    };
    let place = Place::at(format!("{at}/Slot[@name='{name}']"));
    findings.push(Finding::error(Rule::MetadataInvalid, place, text));
}

/// The slots of an element.
fn slots<'a>(element: &'a Element, at: &str, strict: bool, findings: &mut Findings) -> Vec<SlotRead<'a>> {
    let mut slots: Vec<SlotRead<'a>> = Vec::new();
    let mut names = HashSet::new();
    for slot in element.children_named(RIM, "Slot") {
        let name = slot.attribute("name").unwrap_or_default().trim();
        let lists = slot.children.iter().filter(|list| list.is(RIM, "ValueList"));
        let values = lists.flat_map(|list| list.children.iter()).filter(|value| value.is(RIM, "Value"));
        let values = values.map(Element::trimmed).collect();
        let again = !names.insert(name);
        if strict && (again || name.is_empty()) {
            let text = match name {
                "" => "A slot has no name.".to_owned(),
                name => format!(
                    "The slot {name} is given twice in one object; all its values belong in one slot."
                ),
            };
            let place = Place::at(format!("{at}/Slot[@name='{name}']"));
            findings.push(Finding::error(Rule::MetadataInvalid, place, text));
        }
        slots.push(SlotRead { element: slot, name, values });
    }
    slots
}

fn take<'a>(slots: &mut Vec<SlotRead<'a>>, name: &str) -> Vec<&'a str> {
    let Some(at) = slots.iter().position(|slot| slot.name == name) else { return Vec::new() };
    let mut values = slots.remove(at).values;
    values.retain(|value| !value.is_empty());
    values
}

fn take_scheme<'a>(elements: &mut Vec<&'a Element>, attribute: &str, scheme: &str) -> Vec<&'a Element> {
    let mut taken = Vec::new();
    elements.retain(|element| {
        let hit = is_scheme(element.attribute(attribute), scheme);
        if hit {
            taken.push(*element);
        }
        !hit
    });
    taken
}

/// What a Name or Description says first.
fn localized(element: &Element, name: &str) -> Option<String> {
    let said = element.child(RIM, name)?.child(RIM, "LocalizedString")?;
    said.attribute("value").map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Whether a scheme, node or kind is this one. Spaces within, and capitals, have been seen.
pub(super) fn is_scheme(given: Option<&str>, scheme: &str) -> bool {
    let Some(given) = given else { return false };
    let letters = given.bytes().filter(|letter| !letter.is_ascii_whitespace());
    given == scheme
        || letters.map(|l| l.to_ascii_lowercase()).eq(scheme.bytes().map(|l| l.to_ascii_lowercase()))
}

/// A finding about a value.
pub(super) fn invalid(at: Place, attribute: &'static str, text: String) -> Finding {
    Finding::error(Rule::MetadataInvalid, at.of(attribute), text)
}
