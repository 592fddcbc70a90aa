//! A message: its separators, its segments, and what stands in them.

use crate::charset::Charset;
use crate::refusal::{Condition, Location, Refusal};

/// How much a message may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Segments, and the configuration key that says so.
    pub segments: (usize, &'static str),
    /// Fields of a segment, and the key.
    pub fields: (usize, &'static str),
    /// Bytes of a field with all its repetitions, and the key.
    pub field_bytes: (usize, &'static str),
    /// Repetitions of a field, and the key.
    pub repetitions: (usize, &'static str),
}

impl Limits {
    /// For messages whose length is limited where they come from.
    pub const AMPLE: Limits = Limits {
        segments: (10_000, ""),
        fields: (1_000, ""),
        field_bytes: (1 << 20, ""),
        repetitions: (10_000, ""),
    };
}

/// The separators a message declares in MSH-1 and MSH-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Separators {
    /// Between fields, usually `|`.
    pub field: char,
    /// Between components, usually `^`.
    pub component: char,
    /// Between repetitions, usually `~`.
    pub repetition: char,
    /// Around escapes, usually `\`.
    pub escape: char,
    /// Between subcomponents, usually `&`.
    pub subcomponent: char,
}

impl Default for Separators {
    fn default() -> Separators {
        Separators { field: '|', component: '^', repetition: '~', escape: '\\', subcomponent: '&' }
    }
}

impl Separators {
    /// Reads MSH-1 and MSH-2 from the bytes behind `MSH`.
    fn read(bytes: &[u8]) -> Result<Separators, Refusal> {
        let usual = Separators::default();
        let wrong = |field: u32, text: &str| {
            Refusal::new(Condition::RequiredField, text).at(Location::field("MSH", field))
        };
        let Some(field) = bytes.first().filter(|byte| byte.is_ascii_punctuation()) else {
            return Err(wrong(1, "MSH-1 must be the field separator, a punctuation mark, usually |"));
        };
        let end = |byte: &u8| byte == field || *byte == b'\r' || *byte == b'\n';
        let declared = &bytes[1..bytes[1..].iter().position(end).map_or(bytes.len(), |at| at + 1)];
        // Since 2.7 there may be a fifth one, which says that something was truncated.
        if !(1..=5).contains(&declared.len()) || !declared.iter().all(u8::is_ascii_punctuation) {
            let text = "MSH-2 must be the separators of components, repetitions, escapes and subcomponents, usually ^~\\&";
            return Err(wrong(2, text));
        }
        let nth = |index: usize, usual: char| declared.get(index).map_or(usual, |byte| char::from(*byte));
        let separators = Separators {
            field: char::from(*field),
            component: nth(0, usual.component),
            repetition: nth(1, usual.repetition),
            escape: nth(2, usual.escape),
            subcomponent: nth(3, usual.subcomponent),
        };
        let mut all = separators.all();
        all.sort_unstable();
        if all.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(wrong(
                2,
                "MSH-1 and MSH-2 must be different marks, each of them another one, usually | and ^~\\&",
            ));
        }
        Ok(separators)
    }

    fn all(&self) -> [char; 5] {
        [self.field, self.component, self.repetition, self.escape, self.subcomponent]
    }

    /// A text as it may stand in a field: separators escaped, line ends as `\.br\`, other control characters left out.
    pub fn escape(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            let letters = match c {
                c if c == self.field => "F",
                c if c == self.component => "S",
                c if c == self.repetition => "R",
                c if c == self.escape => "E",
                c if c == self.subcomponent => "T",
                '\n' => ".br",
                c if c.is_control() => continue,
                c => {
                    out.push(c);
                    continue;
                }
            };
            out.push(self.escape);
            out.push_str(letters);
            out.push(self.escape);
        }
        out
    }

    /// A repetition with these components, escaped; what is empty at its end is left out.
    pub fn components<T: AsRef<str>>(&self, parts: impl IntoIterator<Item = T>) -> String {
        self.joined(parts, self.component)
    }

    /// A component with these subcomponents.
    pub fn subcomponents<T: AsRef<str>>(&self, parts: impl IntoIterator<Item = T>) -> String {
        self.joined(parts, self.subcomponent)
    }

    fn joined<T: AsRef<str>>(&self, parts: impl IntoIterator<Item = T>, by: char) -> String {
        let mut out = String::new();
        for (number, part) in parts.into_iter().enumerate() {
            if number > 0 {
                out.push(by);
            }
            out.push_str(&self.escape(part.as_ref()));
        }
        out.truncate(out.trim_end_matches(by).len());
        out
    }

    /// A segment with these fields by their numbers, in order, each as it shall stand there; without its end.
    pub fn segment<T: AsRef<str>>(&self, name: &str, fields: impl IntoIterator<Item = (usize, T)>) -> String {
        let mut out = name.to_owned();
        let mut last = 0;
        for (number, field) in fields {
            if field.as_ref().is_empty() {
                continue;
            }
            (last..number).for_each(|_| out.push(self.field));
            out.push_str(field.as_ref());
            last = number;
        }
        out
    }

    /// What was written with these separators, written with others.
    pub fn translate(&self, raw: &str, others: &Separators) -> String {
        if self == others {
            return raw.to_owned();
        }
        let mut out = String::with_capacity(raw.len());
        let (ours, theirs) = (self.all(), others.all());
        for c in raw.chars() {
            match ours.iter().position(|own| *own == c) {
                Some(which) => out.push(theirs[which]),
                None => out.push_str(&others.escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
        out
    }

    /// A text as it was meant. Escapes that mean a font or a character set of their own are left as they are.
    fn unescape(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(self.escape) {
            out.push_str(&rest[..at]);
            let behind = &rest[at + self.escape.len_utf8()..];
            let Some(end) = behind.find(self.escape) else {
                out.push_str(&rest[at..]);
                return out;
            };
            let after = end + self.escape.len_utf8();
            match self.meant(&behind[..end]) {
                Some(meant) => out.push_str(&meant),
                None => out.push_str(&rest[at..at + self.escape.len_utf8() + after]),
            }
            rest = &behind[after..];
        }
        out.push_str(rest);
        out
    }

    fn meant(&self, escaped: &str) -> Option<String> {
        let one = match escaped {
            "F" => self.field,
            "S" => self.component,
            "R" => self.repetition,
            "E" => self.escape,
            "T" => self.subcomponent,
            "H" | "N" => return Some(String::new()),
            ".br" | ".sp" => '\n',
            _ => {
                let digits = escaped.strip_prefix('X')?;
                let bytes = (0..digits.len())
                    .step_by(2)
                    .map(|at| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()));
                let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
                return Charset::Unsaid.decode(&bytes).ok();
            }
        };
        Some(one.to_string())
    }
}

/// A field, or a part of it.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    raw: &'a str,
    separators: &'a Separators,
}

impl<'a> Part<'a> {
    /// As it stands in the message.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// The text that is meant.
    pub fn text(&self) -> String {
        self.separators.unescape(self.raw)
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.raw.trim().is_empty()
    }

    /// Whether it says that there is nothing: `""`.
    pub fn is_null(&self) -> bool {
        self.raw.trim() == "\"\""
    }

    /// Its repetitions; none of an empty field.
    pub fn repetitions(&self) -> impl Iterator<Item = Part<'a>> + use<'a> {
        let Part { raw, separators } = *self;
        let some = !self.is_empty();
        raw.split(separators.repetition).filter(move |_| some).map(move |raw| Part { raw, separators })
    }

    /// A component of a repetition, from 1.
    pub fn component(&self, number: usize) -> Part<'a> {
        self.nth(self.separators.component, number)
    }

    /// A subcomponent of a component, from 1.
    pub fn subcomponent(&self, number: usize) -> Part<'a> {
        self.nth(self.separators.subcomponent, number)
    }

    fn nth(&self, separator: char, number: usize) -> Part<'a> {
        let raw = self.raw.split(separator).nth(number.saturating_sub(1)).unwrap_or_default();
        Part { raw, separators: self.separators }
    }
}

/// One line of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its name: `PID`.
    pub name: String,
    fields: Vec<String>,
}

impl Segment {
    /// Its fields as they stand there, the name before them, so that each is at its number.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(String::as_str)
    }
}

/// What the receiver of a message needs to answer it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// Separators of the message, and of its answer.
    pub separators: Separators,
    /// How its letters are written, and those of its answer.
    pub charset: Charset,
    /// MSH-3 to MSH-6 as they stand there: who sent it, to whom.
    pub parties: [String; 4],
    /// MSH-9.1.
    pub message_type: String,
    /// MSH-9.2.
    pub event: String,
    /// MSH-10 as it stands there.
    pub control_id: String,
    /// MSH-11 as it stands there.
    pub processing_id: String,
    /// MSH-12.1.
    pub version: String,
}

/// A message that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    header: Header,
    segments: Vec<Segment>,
}

/// A message that cannot be read, and as much of its header as can: it is answered all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// What is wrong.
    pub refusal: Refusal,
    /// Whom to answer.
    pub header: Option<Box<Header>>,
}

impl Message {
    /// Reads a message as it came out of its frame.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Message, Unread> {
        let unread = |refusal| Unread { refusal, header: None };
        let bytes = beginning(bytes);
        let Some(behind) = bytes.strip_prefix(b"MSH") else {
            let text = match bytes.starts_with(b"FHS") || bytes.starts_with(b"BHS") {
                true => {
                    "this is a batch (FHS, BHS); batches are not taken: send each message in a frame of its own, without them"
                }
                false => "the message does not begin with an MSH segment",
            };
            return Err(unread(Refusal::new(Condition::SegmentSequence, text).at(Location::segment("MSH"))));
        };
        let separators = Separators::read(behind).map_err(unread)?;
        let lines = joined(bytes, separators.field);
        // The letters of the header are read before it is known how: its structure is ASCII in every set.
        let mut header = header(&lines[0], separators);
        let with_header =
            |refusal, header: &Header| Unread { refusal, header: Some(Box::new(header.clone())) };
        let charset = nth_field(&lines[0], separators.field, 17);
        let first = String::from_utf8_lossy(charset.unwrap_or_default());
        let first = first.split(separators.repetition).next().unwrap_or_default();
        header.charset = Charset::named(first).map_err(|refusal| with_header(refusal, &header))?;
        let segments = segments(&lines, &header, limits).map_err(|refusal| with_header(refusal, &header))?;
        let messages = segments.iter().filter(|segment| segment.name == "MSH").count();
        if messages > 1 {
            let text = format!(
                "there are {messages} messages (MSH) in one frame, and none of them was done: send each in a frame of its own"
            );
            let refusal = Refusal::new(Condition::SegmentSequence, text).at(Location::segment("MSH"));
            return Err(with_header(refusal, &header));
        }
        Ok(Message { header, segments })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The event of a message of this type, if it has all that a receiver needs to answer it; `taken` says in words what it takes.
    ///
    /// # Errors
    /// It is of another version or type, or has no control id.
    pub fn event(&self, kind: &str, taken: &str) -> Result<String, Refusal> {
        let header = &self.header;
        let wrong = |condition, field, text: String| {
            Err(Refusal::new(condition, text).at(Location::field("MSH", field)))
        };
        if !header.version.is_empty() && !header.version.starts_with("2.") {
            let text = "MSH-12 names a version that is none of HL7 2.x".to_owned();
            return wrong(Condition::UnsupportedVersion, 12, text);
        }
        if header.message_type.is_empty() {
            return wrong(Condition::RequiredField, 9, format!("MSH-9 is empty; accepted are {taken}"));
        }
        if header.message_type != kind {
            let text = format!("messages of this type are not taken here; accepted are {taken}");
            return wrong(Condition::UnsupportedType, 9, text);
        }
        if header.control_id.is_empty() {
            let text = "MSH-10 is empty; without a control id the answer cannot say which message it is to";
            return wrong(Condition::RequiredField, 10, text.to_owned());
        }
        // Older senders write `ADT` alone, and the event into EVN.
        let told = self.field("EVN", 1).text();
        Ok(if header.event.is_empty() { told.trim().to_owned() } else { header.event.clone() })
    }

    /// That there is one segment of this name, and no more.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn one(&self, name: &str) -> Result<(), Refusal> {
        let text = match self.count(name) {
            1 => return Ok(()),
            0 => format!("the {name} segment is missing; nothing was stored"),
            more => {
                format!(
                    "there are {more} {name} segments; one message tells of one patient. Nothing was stored"
                )
            }
        };
        Err(Refusal::new(Condition::SegmentSequence, text).at(Location::segment(name)))
    }

    /// How many segments of this name there are.
    pub fn count(&self, name: &str) -> usize {
        self.segments.iter().filter(|segment| segment.name == name).count()
    }

    /// All segments, in order.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter()
    }

    /// The first segment of this name.
    pub fn segment(&self, name: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.name == name)
    }

    /// The first segment of this name as it stands in the message, without its name: `QPD` of a question, for its answer.
    pub fn fields(&self, segment: &str) -> String {
        let separator = self.header.separators.field.to_string();
        self.segment(segment).map(|segment| segment.fields[1..].join(&separator)).unwrap_or_default()
    }

    /// A field of the first segment of this name, from 1; empty where there is none.
    pub fn field(&self, segment: &str, number: usize) -> Part<'_> {
        let raw = self.segment(segment).and_then(|segment| segment.fields.get(number));
        Part { raw: raw.map_or("", String::as_str), separators: &self.header.separators }
    }
}

/// Without a byte order mark and white space before it.
fn beginning(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start()
}

/// The segments as bytes, whatever ends a line. A line that is no segment belongs to the one before it.
fn joined(bytes: &[u8], field: char) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in bytes.split(|byte| *byte == b'\r' || *byte == b'\n') {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match lines.last_mut() {
            Some(before) if !is_segment(line, field) => {
                // What joins two lines is remembered, to be told of a segment that must not be guessed.
                before.push(b'\n');
                before.extend_from_slice(line);
            }
            _ => lines.push(line.to_vec()),
        }
    }
    lines
}

/// Whether a line begins as segments do: three letters or digits, the first a capital, then a field separator or nothing.
fn is_segment(line: &[u8], field: char) -> bool {
    let capital = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    line.len() >= 3
        && line[0].is_ascii_uppercase()
        && line[1..3].iter().all(capital)
        && line[3..].trim_ascii_end().first().is_none_or(|byte| char::from(*byte) == field)
}

fn nth_field(line: &[u8], field: char, number: usize) -> Option<&[u8]> {
    line.split(|byte| char::from(*byte) == field).nth(number)
}

fn header(line: &[u8], separators: Separators) -> Header {
    let text = |number: usize| {
        let field = nth_field(line, separators.field, number - 1).unwrap_or_default();
        // A header that is broken over lines goes on where it was broken.
        String::from_utf8_lossy(field).replace('\n', "").trim().to_owned()
    };
    let component = |number: usize, component: usize| {
        text(number).split(separators.component).nth(component - 1).unwrap_or_default().trim().to_owned()
    };
    Header {
        separators,
        charset: Charset::Unsaid,
        parties: [text(3), text(4), text(5), text(6)],
        message_type: component(9, 1),
        event: component(9, 2),
        control_id: text(10),
        processing_id: text(11),
        version: component(12, 1),
    }
}

fn segments(lines: &[Vec<u8>], header: &Header, limits: &Limits) -> Result<Vec<Segment>, Refusal> {
    let (most, key) = limits.segments;
    if lines.len() > most {
        let text = format!("the message has {} segments; at most {most} are read ({key})", lines.len());
        return Err(Refusal::new(Condition::SegmentSequence, text));
    }
    // The set is held to in the message as a whole, so that the place that is told is one in it.
    header.charset.decode(&lines.join(&b'\r'))?;
    lines.iter().map(|line| segment(line, header, limits)).collect()
}

fn segment(line: &[u8], header: &Header, limits: &Limits) -> Result<Segment, Refusal> {
    let mut line = header.charset.decode(line)?;
    let name = line.get(..3).unwrap_or_default().to_owned();
    if line.contains('\n') {
        if matches!(name.as_str(), "PID" | "MRG") {
            let text = format!(
                "the {name} segment goes on in a line that is none of a segment; identifiers are not put together from pieces: write it in one line"
            );
            return Err(Refusal::new(Condition::SegmentSequence, text).at(Location::segment(&name)));
        }
        line = line.replace('\n', if name == "MSH" { "" } else { " " });
    }
    let separators = &header.separators;
    let mut fields: Vec<String> = line.trim_end().split(separators.field).map(str::to_owned).collect();
    if name == "MSH" {
        // MSH-1 is the separator itself.
        fields.insert(1, separators.field.to_string());
    }
    let number = |number: usize| u32::try_from(number).unwrap_or_default();
    let (most, key) = limits.fields;
    if fields.len() - 1 > most {
        let text =
            format!("the {name} segment has {} fields; at most {most} are read ({key})", fields.len() - 1);
        return Err(Refusal::new(Condition::DataType, text).at(Location::segment(&name)));
    }
    let (most, key) = limits.field_bytes;
    if let Some(at) = fields.iter().position(|field| field.len() > most) {
        let text = format!("{name}-{at} has {} bytes; at most {most} are read ({key})", fields[at].len());
        return Err(Refusal::new(Condition::DataType, text).at(Location::field(&name, number(at))));
    }
    let (most, key) = limits.repetitions;
    let encoding = usize::from(name == "MSH") * 2;
    for (at, field) in fields.iter().enumerate().skip(1 + encoding) {
        let repetitions = field.matches(separators.repetition).count() + 1;
        if repetitions > most {
            let text = format!("{name}-{at} has {repetitions} repetitions; at most {most} are read ({key})");
            let location = Location::field(&name, number(at));
            return Err(Refusal::new(Condition::DataType, text).at(location));
        }
    }
    Ok(Segment { name, fields })
}

#[cfg(test)]
mod tests;
