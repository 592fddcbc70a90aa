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
    let mut rest = text;
    while let Some(at) = rest.find(|letter| special(letter, in_attribute)) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let letter = rest[at..].chars().next().unwrap_or_default();
        let replacement: &str = match letter {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\r' => "&#13;",
            '\n' => "&#10;",
            '\t' => "&#9;",
            _ => "\u{fffd}",
        };
        out.extend_from_slice(replacement.as_bytes());
        rest = &rest[at + letter.len_utf8()..];
    }
    out.extend_from_slice(rest.as_bytes());
}

fn special(letter: char, in_attribute: bool) -> bool {
    match letter {
        '&' | '<' | '>' | '\r' | '\u{fffe}' | '\u{ffff}' => true,
        '"' | '\n' | '\t' => in_attribute,
        _ => letter < ' ' && letter != '\n' && letter != '\t',
    }
}

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
}
