//! The narrative of a resource, as the text it is in JSON.

use quick_xml::escape::escape;
use quick_xml::events::{BytesStart, Event};

use super::scanner::Scanner;
use crate::json::Fault;
use crate::xml::XHTML;

/// Reads the narrative whose start tag has been read. It comes out as it stood there, unless it relies on what is outside of
/// it (a prefix), or on what JSON's readers do not expect (marked sections): then it is written anew.
pub(super) fn read<'a>(scanner: &mut Scanner<'a>, tag: &BytesStart<'a>) -> Result<String, Fault> {
    let mut anew = Anew { text: String::new(), needed: tag.name().as_ref().contains(':') };
    anew.start(tag, true);
    let text = scanner.narrative(|event| anew.see(event))?;
    Ok(if anew.needed { anew.text } else { text.to_owned() })
}

struct Anew {
    text: String,
    needed: bool,
}

impl Anew {
    fn start(&mut self, tag: &BytesStart<'_>, root: bool) {
        let name = tag.local_name();
        self.text.push('<');
        self.text.push_str(name.as_ref());
        if root {
            self.text.push_str(" xmlns=\"");
            self.text.push_str(XHTML);
            self.text.push('"');
        }
        for attribute in tag.attributes().filter_map(Result::ok) {
            let key: &str = attribute.key.as_ref();
            if key == "xmlns" || key.contains(':') {
                continue;
            }
            self.text.push(' ');
            self.text.push_str(key);
            self.text.push_str("=\"");
            self.text.push_str(&attribute.value.replace('"', "&quot;"));
            self.text.push('"');
        }
        self.text.push('>');
    }

    fn see(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(tag) => {
                self.needed |= tag.name().as_ref().contains(':');
                self.start(tag, false);
            }
            Event::End(tag) => {
                self.text.push_str("</");
                self.text.push_str(tag.local_name().as_ref());
                self.text.push('>');
            }
            Event::Text(text) => self.text.push_str(text),
            Event::CData(text) => {
                self.needed = true;
                self.text.push_str(&escape(&**text));
            }
            Event::GeneralRef(name) => {
                self.text.push('&');
                self.text.push_str(name);
                self.text.push(';');
            }
            Event::PI(_) => self.needed = true,
            Event::Comment(_) | Event::Empty(_) | Event::Decl(_) | Event::DocType(_) | Event::Eof => {}
        }
    }
}
