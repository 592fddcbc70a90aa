//! The narrative of a resource within an XML document.

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

use super::escape::{is_xml, reference};

/// Appends a narrative. One that is no well-formed element, or uses entities XML does not know, is written as its text: a
/// document that cannot be read would lose the rest too.
pub(super) fn write(text: &str, namespace: &str, out: &mut Vec<u8>) {
    let text = text.trim();
    let Some(end) = text.strip_prefix("<div").and_then(|rest| rest.find(['>', '/', ' ', '\n', '\t', '\r']))
    else {
        return write_text(text, namespace, out);
    };
    if end != 0 || !is_well_formed(text) {
        return write_text(text, namespace, out);
    }
    let tag = &text[..text.find('>').unwrap_or(text.len())];
    if tag.contains("xmlns") {
        out.extend_from_slice(text.as_bytes());
    } else {
        out.extend_from_slice(format!("<div xmlns=\"{namespace}\"").as_bytes());
        out.extend_from_slice(&text.as_bytes()[4..]);
    }
}

fn write_text(text: &str, namespace: &str, out: &mut Vec<u8>) {
    let text: String =
        text.chars().map(|c| if is_xml(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
    out.extend_from_slice(format!("<div xmlns=\"{namespace}\">{}</div>", escape(&text)).as_bytes());
}

/// Whether a text is one element, all of it, that an XML parser takes.
fn is_well_formed(text: &str) -> bool {
    let mut reader = Reader::from_str(text);
    reader.config_mut().enable_all_checks(true);
    let mut open = 0_usize;
    let mut begun = false;
    if !text.chars().all(is_xml) {
        return false;
    }
    loop {
        let sound = match reader.read_event() {
            Ok(Event::Start(tag)) => {
                let first = !begun;
                begun = true;
                open += 1;
                (first || open > 1) && has_sound_attributes(&tag)
            }
            Ok(Event::Empty(tag)) => {
                let first = !begun;
                begun = true;
                (first || open > 0) && has_sound_attributes(&tag)
            }
            Ok(Event::End(_)) => {
                open -= 1;
                true
            }
            Ok(Event::Text(_)) => open > 0,
            Ok(Event::GeneralRef(name)) => open > 0 && reference(&name).is_ok(),
            Ok(Event::Comment(_)) => open > 0,
            Ok(Event::Eof) => return begun && open == 0,
            Ok(Event::CData(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_)) | Err(_) => false,
        };
        if !sound {
            return false;
        }
    }
}

fn has_sound_attributes(tag: &quick_xml::events::BytesStart<'_>) -> bool {
    // A prefix would have to be declared.
    !tag.name().as_ref().contains(':')
        && tag.attributes().all(|attribute| {
            attribute.is_ok_and(|attribute| {
                let key: &str = attribute.key.as_ref();
                (!key.contains(':') || key.starts_with("xml:"))
                    && super::escape::value(&attribute.value).is_ok()
            })
        })
}
