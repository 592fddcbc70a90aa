//! The parts of an object: slots, names, classifications, external identifiers.

use xds::{Author, Availability, Code, EntryUuid, Slot, Timestamp};

use crate::element::Element;
use crate::names::{object_type, status};
use crate::rim::carried::{self, Kept};
use crate::rim::{Standing, value};
use crate::writer::Writer;

/// An object while it is written.
pub(super) struct Parts<'a> {
    pub(super) out: &'a mut Writer,
    id: &'a str,
    /// What the ids of its parts are made of.
    seed: Option<u128>,
    count: u32,
    kept: Option<Kept>,
}

/// Spreads the numbers of parts over all bits of a UUID.
const PART: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

impl<'a> Parts<'a> {
    /// Begins an object; what only ebRIM has a form for comes in `carried`.
    pub(super) fn new(out: &'a mut Writer, id: &'a str, carried: Option<&str>) -> Parts<'a> {
        let seed = id.strip_prefix("urn:uuid:").and_then(number);
        Parts { out, id, seed, count: 0, kept: carried.map(carried::read) }
    }

    /// The attributes that objects of every kind have.
    pub(super) fn head(&mut self, standing: &Standing, home: Option<&str>) {
        self.out.attribute("id", self.id).optional("lid", standing.lid.as_deref()).optional("home", home);
        let word = standing.status.map(|status| match status {
            Availability::Approved => status::APPROVED,
            Availability::Deprecated => status::DEPRECATED,
        });
        self.out.optional("status", word);
    }

    /// A slot; nothing where there is no value.
    pub(super) fn slot<S: AsRef<str>>(&mut self, name: &str, values: &[S]) {
        if !values.is_empty() {
            slot(self.out, name, None, values);
        }
    }

    /// A slot with one value, if there is one.
    pub(super) fn single(&mut self, name: &str, value: Option<&str>) {
        self.slot(name, value.as_slice());
    }

    /// A slot with a point in time.
    pub(super) fn time(&mut self, name: &str, time: Option<&Timestamp>) {
        let Some(time) = time else { return };
        if time.text.bytes().all(|byte| byte.is_ascii_digit()) {
            self.slot(name, &[&time.text]);
        } else {
            self.slot(name, &[xds::hl7::dtm::write(time)]);
        }
    }

    /// Extra metadata.
    pub(super) fn extra(&mut self, extra: &[Slot]) {
        for extra in extra {
            slot(self.out, &extra.name, extra.kind.as_deref(), &extra.values);
        }
    }

    /// Name, Description and VersionInfo.
    pub(super) fn names(&mut self, title: Option<&str>, comments: Option<&str>, version: Option<u64>) {
        let kept = self.kept.as_mut().map(|kept| (kept.name.take(), kept.description.take()));
        let (name, description) = kept.unwrap_or_default();
        self.text("rim:Name", title, name.as_ref());
        self.text("rim:Description", comments, description.as_ref());
        if let Some(version) = version {
            self.out.start("rim:VersionInfo").attribute("versionName", &version.to_string()).end();
        }
    }

    /// A text; in all its languages, as long as the first still says the same.
    fn text(&mut self, name: &'static str, text: Option<&str>, kept: Option<&Element>) {
        let first = kept.and_then(|kept| kept.children.first()).and_then(|first| first.attribute("value"));
        match (text, kept) {
            (_, Some(kept)) if first.map(str::trim).unwrap_or_default() == text.unwrap_or_default() => {
                carried::write(self.out, kept);
            }
            (Some(text), _) => localized(self.out, name, text),
            (None, _) => {}
        }
    }

    /// A classification by node.
    pub(super) fn node(&mut self, node: &str) {
        self.begin("rim:Classification");
        self.out.attribute("classificationNode", node).attribute("classifiedObject", self.id);
        self.out.attribute("objectType", object_type::CLASSIFICATION).end();
    }

    /// The codes of an attribute.
    pub(super) fn codes(&mut self, scheme: &str, codes: &[Code]) {
        for (index, code) in codes.iter().enumerate() {
            self.classification(scheme, &code.code);
            slot(self.out, "codingScheme", None, &[value::write_system(&code.system)]);
            // A name is demanded; where the source gave none, the code is all there is to read.
            self.more(scheme, index, Some(code.display.as_deref().unwrap_or(&code.code)));
            self.out.end();
        }
    }

    /// The authors.
    pub(super) fn authors(&mut self, scheme: &str, authors: &[Author]) {
        // One of whom FHIR knows but a URL is nobody in XDS.
        let is_somebody = |author: &Author| {
            let lists =
                [&author.institutions, &author.roles, &author.specialties, &author.telecommunications];
            author.person.is_some() || lists.iter().any(|list| !list.is_empty())
        };
        for (index, author) in authors.iter().enumerate().filter(|(_, author)| is_somebody(author)) {
            self.classification(scheme, "");
            self.single("authorPerson", author.person.as_deref());
            self.slot("authorInstitution", &author.institutions);
            self.slot("authorRole", &author.roles);
            self.slot("authorSpecialty", &author.specialties);
            self.slot("authorTelecommunication", &author.telecommunications);
            self.more(scheme, index, None);
            self.out.end();
        }
    }

    fn classification(&mut self, scheme: &str, code: &str) {
        self.begin("rim:Classification");
        self.out.attribute("classificationScheme", scheme).attribute("classifiedObject", self.id);
        self.out.attribute("nodeRepresentation", code);
        self.out.attribute("objectType", object_type::CLASSIFICATION);
    }

    /// The rest of a classification: its name, and what was kept of it beside.
    fn more(&mut self, scheme: &str, index: usize, display: Option<&str>) {
        let position = index.to_string();
        let mine = |one: &&Element| {
            one.attribute("classificationScheme") == Some(scheme)
                && one.attribute("index") == Some(position.as_str())
        };
        let leftover = self.kept.as_ref().and_then(|kept| kept.leftovers.iter().find(mine));
        let Some(leftover) = leftover else {
            if let Some(display) = display {
                localized(self.out, "rim:Name", display);
            }
            return;
        };
        for name in ["Slot", "Name", "Description", "Classification"] {
            let mut own = leftover.children.iter().filter(|child| *child.name == *name).peekable();
            match display {
                Some(display) if name == "Name" && own.peek().is_none() => {
                    localized(self.out, "rim:Name", display);
                }
                _ => own.for_each(|child| carried::write(self.out, child)),
            }
        }
    }

    /// An external identifier.
    pub(super) fn identifier(&mut self, scheme: &str, name: &str, value: &str) {
        self.begin("rim:ExternalIdentifier");
        self.out.attribute("identificationScheme", scheme).attribute("registryObject", self.id);
        self.out.attribute("value", value).attribute("objectType", object_type::EXTERNAL_IDENTIFIER);
        localized(self.out, "rim:Name", name);
        self.out.end();
    }

    /// Classifications in schemes nobody knows: they follow the others.
    pub(super) fn kept_classifications(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        for element in std::mem::take(&mut kept.classifications) {
            self.begin("rim:Classification");
            carried::attributes(self.out, &element);
            self.out.attribute("classifiedObject", self.id);
            self.out.attribute("objectType", object_type::CLASSIFICATION);
            carried::content(self.out, &element);
            self.out.end();
        }
    }

    /// Identifiers in schemes nobody knows, and what stands at the end of the object.
    pub(super) fn kept_identifiers(&mut self) {
        let Some(kept) = self.kept.take() else { return };
        for element in &kept.identifiers {
            self.begin("rim:ExternalIdentifier");
            carried::attributes(self.out, element);
            self.out.attribute("registryObject", self.id);
            self.out.attribute("objectType", object_type::EXTERNAL_IDENTIFIER);
            carried::content(self.out, element);
            self.out.end();
        }
        if let Some(version) = &kept.content_version {
            carried::write(self.out, version);
        }
    }

    /// Begins a part. Its id is made of that of its owner and a number, so that it stays the same.
    fn begin(&mut self, name: &'static str) {
        self.count += 1;
        self.out.start(name);
        match self.seed {
            Some(seed) => {
                let mut text = [0; 45];
                let id = uuid(seed ^ PART.wrapping_mul(u128::from(self.count)), &mut text);
                self.out.attribute("id", id);
            }
            None => {
                self.out.attribute("id", &format!("{}.{}", self.id, self.count));
            }
        }
    }
}

/// Writes a slot.
fn slot<S: AsRef<str>>(out: &mut Writer, name: &str, kind: Option<&str>, values: &[S]) {
    out.start("rim:Slot").attribute("name", name).optional("slotType", kind).start("rim:ValueList");
    for value in values {
        out.leaf("rim:Value", value.as_ref());
    }
    out.end().end();
}

/// Writes a text in the language ebRIM takes for granted.
fn localized(out: &mut Writer, name: &'static str, text: &str) {
    out.start(name).start("rim:LocalizedString").attribute("value", text).end().end();
}

/// An entryUUID as an id.
pub(super) fn urn(uuid: &EntryUuid) -> String {
    format!("urn:uuid:{}", uuid.as_str())
}

/// The number a UUID is.
fn number(uuid: &str) -> Option<u128> {
    let digits = uuid.bytes().filter(|byte| *byte != b'-');
    digits
        .map(|digit| char::from(digit).to_digit(16))
        .try_fold(0, |sum: u128, digit| Some((sum << 4) | u128::from(digit?)))
}

/// A number as a UUID of version 8, which is whatever its maker says.
fn uuid(number: u128, text: &mut [u8; 45]) -> &str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let number = (number & !(0xf << 76) & !(0x3 << 62)) | (0x8 << 76) | (0x2 << 62);
    text[..9].copy_from_slice(b"urn:uuid:");
    let mut at = 9;
    for index in 0..32_usize {
        if matches!(index, 8 | 12 | 16 | 20) {
            text[at] = b'-';
            at += 1;
        }
        let digit = (number >> (124 - 4 * index)) & 15;
        text[at] = DIGITS[usize::try_from(digit).unwrap_or_default()];
        at += 1;
    }
    std::str::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_part_is_a_uuid_and_depends_on_its_owner_and_number() {
        let seed = number("4c5ca0e4-14d3-4b1d-9c4e-5f2c4a1d7b6a").unwrap();
        let id = |count: u128| {
            let mut text = [0; 45];
            uuid(seed ^ PART.wrapping_mul(count), &mut text).to_owned()
        };
        assert!(EntryUuid::parse(&id(1)).is_some(), "{}", id(1));
        assert_eq!(&id(1)[23..24], "8");
        assert_ne!(id(1), id(2));
        assert_eq!(id(1), id(1));
    }
}
