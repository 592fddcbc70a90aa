//! Strict reading of JSON.

use memchr::{memchr2, memrchr};
use serde_json::{Map, Value};
use xds::{Finding, Findings, Place, Rule};

/// How deep and how long JSON may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Levels of nesting.
    pub depth: usize,
    /// Bytes of a string.
    pub string: usize,
    /// Items of an array.
    pub items: usize,
    /// Values in all.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { depth: 64, string: 1 << 20, items: 10_000, nodes: 200_000 }
    }
}

/// Reads one JSON value. Refuses what serde_json lets pass: duplicate members, a second value, excess of a limit.
/// A finding names line and column.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Value, Findings> {
    read(bytes, limits).map_err(|fault| vec![fault.finding(bytes, &[])])
}

/// Why a text is not acceptable JSON, and where: the offset of the byte.
#[derive(Debug)]
pub(crate) struct Fault {
    rule: Rule,
    offset: usize,
    text: String,
}

impl Fault {
    pub(crate) fn new(rule: Rule, offset: usize, text: impl Into<String>) -> Fault {
        Fault { rule, offset, text: text.into() }
    }

    /// The finding, with line and column. `cuts` says where bytes were left out of the text (offset, how many), so that
    /// the column is that of the text as sent.
    pub(crate) fn finding(&self, bytes: &[u8], cuts: &[(usize, u64)]) -> Finding {
        let before = &bytes[..self.offset.min(bytes.len())];
        let line = memchr::memchr_iter(b'\n', before).count() as u64 + 1;
        let start = memrchr(b'\n', before).map_or(0, |at| at + 1);
        let left_out: u64 = cuts
            .iter()
            .filter(|(at, _)| (start..=self.offset).contains(at))
            .map(|(_, removed)| removed)
            .sum();
        let column = (before.len() - start) as u64 + left_out + 1;
        let text = format!("Line {line}, column {column}: {}.", self.text);
        Finding::error(self.rule, Place { line: Some((line, column)), ..Place::whole() }, text)
    }
}

/// Reads one JSON value; a fault says at which byte.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Value, Fault> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(Fault {
            rule: Rule::Structure,
            offset: error.valid_up_to(),
            text: "these bytes are not UTF-8".to_owned(),
        });
    }
    let mut parser = Parser { bytes, at: 0, nodes: 0, limits };
    if bytes.starts_with(b"\xef\xbb\xbf") {
        parser.at = 3;
    }
    parser.space();
    if parser.at == bytes.len() {
        return Err(parser.fault("the body is empty where a FHIR resource in JSON is expected"));
    }
    let value = parser.value(0)?;
    parser.space();
    if parser.at < bytes.len() {
        return Err(parser.fault("a second value follows; one resource is expected"));
    }
    Ok(value)
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: usize,
    limits: &'a Limits,
}

impl Parser<'_> {
    fn fault(&self, text: impl Into<String>) -> Fault {
        Fault { rule: Rule::Structure, offset: self.at, text: text.into() }
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            let text = format!("more than {} values in one message", self.limits.nodes);
            return Err(Fault { rule: Rule::TooCostly, offset: self.at, text });
        }
        match self.bytes.get(self.at) {
            Some(b'{') => self.object(depth + 1).map(Value::Object),
            Some(b'[') => self.array(depth + 1).map(Value::Array),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) => Err(self.fault("a JSON value is expected here")),
            None => Err(self.fault("the text ends where a value is expected")),
        }
    }

    fn enter(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > self.limits.depth {
            return Err(self.fault(format!("nested deeper than {} levels", self.limits.depth)));
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<Map<String, Value>, Fault> {
        self.enter(depth)?;
        let mut members = Map::new();
        if self.take(b'}') {
            return Ok(members);
        }
        loop {
            let start = self.at;
            if self.bytes.get(self.at) != Some(&b'"') {
                return Err(self.fault("a member name in quotes is expected here"));
            }
            let name = self.string()?;
            self.space();
            if !self.take(b':') {
                return Err(self.fault(format!("a colon is expected after \"{name}\"")));
            }
            self.space();
            let value = self.value(depth)?;
            if let Some(_earlier) = members.insert(name, value) {
                self.at = start;
                return Err(self.fault("this member is there twice in one object"));
            }
            self.space();
            if self.take(b',') {
                self.space();
            } else if self.take(b'}') {
                return Ok(members);
            } else {
                return Err(self.fault("a comma or the end of the object is expected here"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value>, Fault> {
        self.enter(depth)?;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(items);
        }
        loop {
            if items.len() == self.limits.items {
                let text = format!("more than {} items in one array", self.limits.items);
                return Err(Fault { rule: Rule::TooCostly, offset: self.at, text });
            }
            items.push(self.value(depth)?);
            self.space();
            if self.take(b',') {
                self.space();
            } else if self.take(b']') {
                return Ok(items);
            } else {
                return Err(self.fault("a comma or the end of the array is expected here"));
            }
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Fault> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(value);
        }
        Err(self.fault("a JSON value is expected here"))
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let length = self.bytes[self.at..]
            .iter()
            .take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            .count();
        let digits = std::str::from_utf8(&self.bytes[self.at..self.at + length]).unwrap_or_default();
        if length > 64 {
            return Err(self.fault("a number of more than 64 characters"));
        }
        match digits.parse::<serde_json::Number>() {
            Ok(number) => {
                self.at += length;
                Ok(Value::Number(number))
            }
            Err(_) => Err(self.fault("this is not a JSON number")),
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        let start = self.at;
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let rest = &self.bytes[self.at..];
            let Some(run) = memchr2(b'"', b'\\', rest) else {
                self.at = self.bytes.len();
                return Err(self.fault("the text ends within a string"));
            };
            if let Some(control) = rest[..run].iter().position(|b| *b < 0x20) {
                self.at += control;
                return Err(self.fault("a control character stands unescaped in a string"));
            }
            if text.len() + run > self.limits.string {
                self.at = start;
                let text = format!("a string of more than {} bytes", self.limits.string);
                return Err(Fault { rule: Rule::TooLong, offset: start, text });
            }
            text.extend_from_slice(&rest[..run]);
            self.at += run + 1;
            if rest[run] == b'"' {
                break;
            }
            self.escape(&mut text)?;
        }
        String::from_utf8(text).map_err(|_| self.fault("these bytes are not UTF-8"))
    }

    /// Resolves the escape behind the backslash that was just passed.
    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), Fault> {
        let plain = match self.bytes.get(self.at) {
            Some(b'"') => b'"',
            Some(b'\\') => b'\\',
            Some(b'/') => b'/',
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode(text),
            _ => return Err(self.fault("this escape does not exist in JSON")),
        };
        self.at += 1;
        text.push(plain);
        Ok(())
    }

    fn unicode(&mut self, text: &mut Vec<u8>) -> Result<(), Fault> {
        let unit = self.hex()?;
        let point = if (0xd800..0xdc00).contains(&unit) {
            if !(self.take(b'\\') && self.bytes.get(self.at) == Some(&b'u')) {
                return Err(self.fault("half of a surrogate pair stands alone"));
            }
            let low = self.hex()?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(self.fault("half of a surrogate pair stands alone"));
            }
            0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
        } else {
            unit
        };
        let Some(letter) = char::from_u32(point) else {
            return Err(self.fault("half of a surrogate pair stands alone"));
        };
        text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    /// Reads `uXXXX`.
    fn hex(&mut self) -> Result<u32, Fault> {
        let digits = self.bytes.get(self.at + 1..self.at + 5);
        let unit = digits.and_then(|digits| {
            digits.iter().try_fold(0, |sum, b| char::from(*b).to_digit(16).map(|digit| sum * 16 + digit))
        });
        match unit {
            Some(unit) => {
                self.at += 5;
                Ok(unit)
            }
            None => Err(self.fault("four hexadecimal digits are expected in this escape")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &[u8]) -> Finding {
        parse(text, &Limits::default()).expect_err("must be refused").remove(0)
    }

    #[test]
    fn a_value_comes_back_as_it_was_written() {
        let text = r#"{"b":[1.50,-0,1e3,true,null,"x\n\u00e9\ud83d\ude00\/"],"a":{}}"#;
        let value = parse(text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(text).unwrap());
        assert!(value.to_string().starts_with(r#"{"b":[1.50,-0,"#), "{value}");
    }

    #[test]
    fn a_bomb_of_brackets_is_refused_at_its_65th() {
        let finding = refused(&b"[".repeat(100_000));
        assert_eq!(finding.rule, Rule::Structure);
        assert_eq!(finding.at.line, Some((1, 65)));
    }

    #[test]
    fn two_members_of_one_name_are_refused_where_the_second_stands() {
        let finding = refused(b"{\"a\":1,\n \"\\u0061\":2}");
        assert_eq!((finding.rule, finding.at.line), (Rule::Structure, Some((2, 2))));
    }

    #[test]
    fn malformed_texts_are_refused() {
        for text in [
            &b""[..],
            b" ",
            b"{",
            b"{}{}",
            b"{} x",
            b"[1,]",
            b"{\"a\":1,}",
            b"{a:1}",
            b"\"\xff\"",
            b"\"abc\\ud800def\"",
            b"\"\\udc00\"",
            b"\"\\ud800\\u0041\"",
            b"\"\\x\"",
            b"\"a\nb\"",
            b"01",
            b"1.",
            b"+1",
            b"nul",
            b"\"abc",
            b"'a'",
            b"{\"a\"}",
            b"\"\\u12g4\"",
            b"-",
            b"NaN",
        ] {
            assert_eq!(refused(text).rule, Rule::Structure, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_string_over_its_limit_is_too_long() {
        let text = format!("\"{}\"", "a".repeat(2 << 20));
        assert_eq!(refused(text.as_bytes()).rule, Rule::TooLong);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert!(parse(b"\xef\xbb\xbf{}", &Limits::default()).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn what_serde_reads_without_duplicates_we_read_alike(text in r#"[\[\]{}":,0-9a-e\\u\.\- tfn]{0,24}"#) {
            if let Ok(ours) = parse(text.as_bytes(), &Limits::default()) {
                let theirs: Value = serde_json::from_str(&text).expect("we are stricter");
                proptest::prop_assert_eq!(ours, theirs);
            }
        }
    }
}
