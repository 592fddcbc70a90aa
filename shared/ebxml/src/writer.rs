//! XML written into memory, piece by piece. Names are ours, so only values are escaped.

/// A piece of XML that grows.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    open: Vec<&'static str>,
    in_tag: bool,
}

impl Writer {
    /// An empty one with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Writer {
        Writer { out: Vec::with_capacity(bytes), open: Vec::new(), in_tag: false }
    }

    /// Begins an element; `name` carries its prefix.
    pub fn start(&mut self, name: &'static str) -> &mut Writer {
        self.close_tag();
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        self.open.push(name);
        self.in_tag = true;
        self
    }

    /// Adds an attribute to the element just begun.
    pub fn attribute(&mut self, name: &'static str, value: &str) -> &mut Writer {
        debug_assert!(self.in_tag, "an attribute belongs to a start tag");
        self.out.push(b' ');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"=\"");
        escape(&mut self.out, value, true);
        self.out.push(b'"');
        self
    }

    /// Adds an attribute, if there is a value.
    pub fn optional(&mut self, name: &'static str, value: Option<&str>) -> &mut Writer {
        if let Some(value) = value {
            self.attribute(name, value);
        }
        self
    }

    /// Adds text to the element that is open.
    pub fn text(&mut self, text: &str) -> &mut Writer {
        self.close_tag();
        escape(&mut self.out, text, false);
        self
    }

    /// Ends the element that is open.
    pub fn end(&mut self) -> &mut Writer {
        let Some(name) = self.open.pop() else { return self };
        if self.in_tag {
            self.in_tag = false;
            self.out.extend_from_slice(b"/>");
        } else {
            self.out.extend_from_slice(b"</");
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'>');
        }
        self
    }

    /// A whole element with a text.
    pub fn leaf(&mut self, name: &'static str, text: &str) -> &mut Writer {
        self.start(name).text(text).end()
    }

    /// XML that is written already, its prefixes those of the elements around it.
    pub fn raw(&mut self, xml: &[u8]) -> &mut Writer {
        self.close_tag();
        self.out.extend_from_slice(xml);
        self
    }

    /// What has been written.
    pub fn finish(mut self) -> Vec<u8> {
        while !self.open.is_empty() {
            self.end();
        }
        self.out
    }

    fn close_tag(&mut self) {
        if self.in_tag {
            self.in_tag = false;
            self.out.push(b'>');
        }
    }
}

/// Escapes a value. A carriage return, and white space other than blanks within an attribute, would be read as something else;
/// what XML cannot hold at all becomes the character that stands for such.
fn escape(out: &mut Vec<u8>, text: &str, in_attribute: bool) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, byte) in bytes.iter().enumerate() {
        match KINDS[usize::from(*byte)] {
            Kind::Plain => continue,
            Kind::InAttributes if !in_attribute => continue,
            Kind::Lead if !matches!(&bytes[at..], [_, 0xbf, 0xbe | 0xbf, ..]) => continue,
            Kind::Always | Kind::InAttributes | Kind::Lead => {}
        }
        out.extend_from_slice(&bytes[written..at]);
        let (replacement, length): (&str, usize) = match byte {
            b'&' => ("&amp;", 1),
            b'<' => ("&lt;", 1),
            b'>' => ("&gt;", 1),
            b'"' => ("&quot;", 1),
            b'\r' => ("&#13;", 1),
            b'\n' => ("&#10;", 1),
            b'\t' => ("&#9;", 1),
            0xef => ("\u{fffd}", 3),
            _ => ("\u{fffd}", 1),
        };
        out.extend_from_slice(replacement.as_bytes());
        written = at + length;
    }
    out.extend_from_slice(&bytes[written..]);
}

/// What a byte is to XML.
#[derive(Clone, Copy)]
enum Kind {
    /// Itself.
    Plain,
    /// To be escaped.
    Always,
    /// To be escaped within attributes.
    InAttributes,
    /// Perhaps the first of U+FFFE or U+FFFF, which XML cannot hold.
    Lead,
}

const KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Plain; 256];
    let mut control = 0;
    while control < 0x20 {
        kinds[control] = Kind::Always;
        control += 1;
    }
    kinds[b'\n' as usize] = Kind::InAttributes;
    kinds[b'\t' as usize] = Kind::InAttributes;
    kinds[b'"' as usize] = Kind::InAttributes;
    kinds[b'&' as usize] = Kind::Always;
    kinds[b'<' as usize] = Kind::Always;
    kinds[b'>' as usize] = Kind::Always;
    kinds[0xef] = Kind::Lead;
    kinds
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_empty_elements_closed_at_once() {
        let mut xml = Writer::default();
        xml.start("rim:Slot").attribute("name", "a\"<b>\n").leaf("rim:Value", "1^^^&1.2&ISO\r\u{1}");
        xml.start("rim:Empty").end().end();
        let expected = "<rim:Slot name=\"a&quot;&lt;b&gt;&#10;\"><rim:Value>1^^^&amp;1.2&amp;ISO&#13;\u{fffd}</rim:Value>\
                        <rim:Empty/></rim:Slot>";
        assert_eq!(String::from_utf8(xml.finish()).unwrap(), expected);
    }

    #[test]
    fn what_xml_cannot_hold_is_replaced_and_all_else_stays() {
        let mut xml = Writer::default();
        xml.start("a").attribute("b", "\u{ffff}\u{fffd}ü\t€\u{feff}").text("\u{fffe}x\ty\u{ffee}").end();
        let expected = "<a b=\"\u{fffd}\u{fffd}ü&#9;€\u{feff}\">\u{fffd}x\ty\u{ffee}</a>";
        assert_eq!(String::from_utf8(xml.finish()).unwrap(), expected);
    }
}
