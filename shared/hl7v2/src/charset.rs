//! The character sets of HL7 table 0211 that messages of patient identity come in.

use crate::refusal::{Condition, Location, Refusal};

/// How the bytes of a message are letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Charset {
    /// MSH-18 says nothing: UTF-8 where the bytes are UTF-8, else ISO 8859-1. Written as UTF-8 or ISO 8859-1 accordingly.
    #[default]
    Unsaid,
    /// `ASCII`.
    Ascii,
    /// `8859/1`.
    Latin1,
    /// `UNICODE UTF-8`.
    Utf8,
}

/// What MSH-18 may say.
const ACCEPTED: &str = "UNICODE UTF-8, 8859/1, ASCII, or nothing";

impl Charset {
    /// The character set of MSH-18, by the names that are seen in it.
    pub fn named(name: &str) -> Result<Charset, Refusal> {
        let plain: String = name
            .trim()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric())
            .map(|c| c.to_ascii_uppercase())
            .collect();
        match plain.as_str() {
            "" => Ok(Charset::Unsaid),
            "ASCII" | "USASCII" | "ISOIR6" => Ok(Charset::Ascii),
            "88591" | "ISO88591" | "LATIN1" | "ISOIR100" => Ok(Charset::Latin1),
            "UNICODEUTF8" | "UTF8" | "ISOIR192" => Ok(Charset::Utf8),
            _ => Err(unknown()),
        }
    }

    /// The text of bytes. Never guesses: bytes that are none of the set that was named are refused.
    pub fn decode(self, bytes: &[u8]) -> Result<String, Refusal> {
        let utf8 = || std::str::from_utf8(bytes).map(str::to_owned);
        let latin1 = || bytes.iter().map(|byte| char::from(*byte)).collect();
        match self {
            Charset::Unsaid => Ok(utf8().unwrap_or_else(|_| latin1())),
            Charset::Latin1 => Ok(latin1()),
            Charset::Ascii if bytes.is_ascii() => Ok(latin1()),
            Charset::Ascii => {
                let at = bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or_default();
                Err(wrong("ASCII", at))
            }
            Charset::Utf8 => utf8().map_err(|_| {
                let at = std::str::from_utf8(bytes).err().map_or(0, |error| error.valid_up_to());
                wrong("UTF-8", at)
            }),
        }
    }

    /// The bytes of a text; letters the set does not have become `?`.
    pub fn encode(self, text: &str) -> Vec<u8> {
        let limit = match self {
            Charset::Unsaid | Charset::Utf8 => return text.as_bytes().to_vec(),
            Charset::Ascii => 0x7F,
            Charset::Latin1 => 0xFF,
        };
        text.chars()
            .map(|c| u8::try_from(u32::from(c)).ok().filter(|b| *b <= limit).unwrap_or(b'?'))
            .collect()
    }
}

fn unknown() -> Refusal {
    let text = format!("MSH-18 names a character set this server does not read; accepted are {ACCEPTED}");
    Refusal::new(Condition::TableValue, text).at(Location::field("MSH", 18))
}

fn wrong(name: &str, at: usize) -> Refusal {
    let text = format!(
        "byte {} of the message is not {name}, which MSH-18 declares; accepted in MSH-18 are {ACCEPTED}",
        at + 1
    );
    Refusal::new(Condition::DataType, text).at(Location::field("MSH", 18))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_names_are_known() {
        for (name, charset) in [
            ("", Charset::Unsaid),
            ("UNICODE UTF-8", Charset::Utf8),
            ("utf-8", Charset::Utf8),
            ("8859/1", Charset::Latin1),
            ("ASCII", Charset::Ascii),
        ] {
            assert_eq!(Charset::named(name), Ok(charset), "{name}");
        }
        let refusal = Charset::named("ISO IR87").expect_err("Japanese is not read");
        assert_eq!((refusal.condition.code(), refusal.location), (103, Some(Location::field("MSH", 18))));
    }

    #[test]
    fn what_is_declared_is_believed_and_held_to() {
        assert_eq!(Charset::Latin1.decode(b"Ren\xE9"), Ok("René".to_owned()));
        assert_eq!(Charset::Unsaid.decode(b"Ren\xE9"), Ok("René".to_owned()));
        assert_eq!(Charset::Unsaid.decode("René".as_bytes()), Ok("René".to_owned()));
        let refusal = Charset::Utf8.decode(b"Ren\xE9").expect_err("a lone byte");
        assert!(refusal.text.starts_with("byte 4 of the message is not UTF-8"), "{}", refusal.text);
        assert!(Charset::Ascii.decode("é".as_bytes()).is_err());
    }
}
