//! Text between the escapes of JSON and those of XML.

use std::borrow::Cow;

/// Bytes of a JSON string that cannot be copied into an attribute as they are.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        special[byte] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'&' as usize] = true;
    special[b'<' as usize] = true;
    special[b'>' as usize] = true;
    special[b'\\' as usize] = true;
    // The first byte of the two letters of the base plane that XML has not: U+FFFE and U+FFFF.
    special[0xef] = true;
    special
};

/// Appends the text of a JSON string, escapes and all, as the value of an attribute.
pub(super) fn attribute(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut kept = 0;
    let mut at = 0;
    while at < bytes.len() {
        if !SPECIAL[usize::from(bytes[at])] {
            at += 1;
            continue;
        }
        out.extend_from_slice(&bytes[kept..at]);
        at += one(&bytes[at..], out);
        kept = at;
    }
    out.extend_from_slice(&bytes[kept..]);
}

/// Writes the special letter the bytes begin with; answers how many bytes it had.
fn one(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    match bytes {
        [b'\\', ..] => {
            let (letter, used) = unescape(bytes);
            push(letter, out);
            used
        }
        [0xef, 0xbf, 0xbe | 0xbf, ..] => {
            push(char::REPLACEMENT_CHARACTER, out);
            3
        }
        [byte, ..] if byte.is_ascii() => {
            push(char::from(*byte), out);
            1
        }
        _ => {
            out.extend(bytes.first());
            1
        }
    }
}

/// The letter of the JSON escape the bytes begin with, and its length.
fn unescape(bytes: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    match bytes.get(1) {
        Some(b'n') => ('\n', 2),
        Some(b't') => ('\t', 2),
        Some(b'r') => ('\r', 2),
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'u') => match (unit(2), unit(8)) {
            (Some(high @ 0xd800..0xdc00), Some(low @ 0xdc00..0xe000)) if bytes[6..].starts_with(b"\\u") => {
                let point = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                (char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
            }
            (Some(point), _) => (char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            (None, _) => (char::REPLACEMENT_CHARACTER, bytes.len().min(6)),
        },
        Some(other) if other.is_ascii() => (char::from(*other), 2),
        _ => (char::REPLACEMENT_CHARACTER, 1),
    }
}

/// Appends a letter as it stands in an attribute. What XML cannot hold becomes a sign that something was there.
fn push(letter: char, out: &mut Vec<u8>) {
    let plain = match letter {
        '&' => return out.extend_from_slice(b"&amp;"),
        '<' => return out.extend_from_slice(b"&lt;"),
        '>' => return out.extend_from_slice(b"&gt;"),
        '"' => return out.extend_from_slice(b"&quot;"),
        '\n' => return out.extend_from_slice(b"&#10;"),
        '\t' => return out.extend_from_slice(b"&#9;"),
        '\r' => return out.extend_from_slice(b"&#13;"),
        letter if is_xml(letter) => letter,
        _ => char::REPLACEMENT_CHARACTER,
    };
    out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Whether XML 1.0 has this letter.
pub(super) fn is_xml(letter: char) -> bool {
    !matches!(letter, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// The text of a JSON string without its escapes.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let (letter, used) = unescape(&rest.as_bytes()[at..]);
        plain.push(letter);
        rest = rest.get(at + used..).unwrap_or_default();
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// The value of an attribute as it was meant: references resolved, line ends and tabs as spaces (XML 1.0, 3.3.3). Refuses
/// entities beyond the five of XML, letters it has not, and `<`.
pub(super) fn value(raw: &str) -> Result<Cow<'_, str>, String> {
    if !raw.bytes().any(|byte| matches!(byte, b'&' | b'<' | b'\n' | b'\r' | b'\t')) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '<', '\n', '\r', '\t']) {
        value.push_str(&rest[..at]);
        rest = &rest[at..];
        match rest.as_bytes()[0] {
            b'&' => {
                let end = rest.find(';').ok_or("an ampersand stands alone; write &amp;")?;
                value.push(reference(&rest[1..end])?);
                rest = &rest[end + 1..];
            }
            b'<' => return Err("'<' stands in the value of an attribute; write &lt;".to_owned()),
            _ => {
                // A line end of two letters is one.
                rest = rest.strip_prefix("\r\n").unwrap_or(&rest[1..]);
                value.push(' ');
            }
        }
    }
    value.push_str(rest);
    Ok(Cow::Owned(value))
}

/// The letter a reference (without `&` and `;`) stands for.
pub(super) fn reference(name: &str) -> Result<char, String> {
    let point = match name.strip_prefix('#') {
        None => {
            return match name {
                "amp" => Ok('&'),
                "lt" => Ok('<'),
                "gt" => Ok('>'),
                "quot" => Ok('"'),
                "apos" => Ok('\''),
                _ => Err("an entity that is none of XML's five (amp, lt, gt, quot, apos)".to_owned()),
            };
        }
        // A sign before the digits is a number to the library, and nothing to XML.
        Some(digits) if digits.contains('+') => None,
        Some(digits) => match digits.strip_prefix('x') {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => digits.parse().ok(),
        },
    };
    let letter = point.and_then(char::from_u32).filter(|letter| is_xml(*letter));
    letter.ok_or_else(|| "a reference to a letter that XML does not have".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_digits_or_one_of_five_names() {
        for (name, letter) in [("#65", 'A'), ("#x41", 'A'), ("amp", '&')] {
            assert_eq!(reference(name), Ok(letter), "{name}");
        }
        for name in ["#+65", "#x+41", "#0", "#", "#x", "nbsp", "#x110000"] {
            assert!(reference(name).is_err(), "{name}");
        }
    }
}
