//! Addresses of telecommunication (XTN).

use std::borrow::Cow;

use super::{Parts, escape, join};

/// An address: `^^Internet^a@b`, `^PRN^PH^^cc^area^number^ext`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Xtn {
    /// The whole number as one text (XTN.1, older messages).
    pub formatted: String,
    /// Use code: `PRN`, `WPN`, `PRS`, `NET`.
    pub usage: String,
    /// Equipment: `PH`, `CP`, `FX`, `BP`, `Internet`.
    pub equipment: String,
    /// E-mail or other address of the internet.
    pub address: String,
    /// Country code.
    pub country: String,
    /// Area code.
    pub area: String,
    /// Local number.
    pub number: String,
    /// Extension.
    pub extension: String,
    /// Any text (XTN.9).
    pub any: String,
    /// The number in no format (XTN.12).
    pub unformatted: String,
}

impl Xtn {
    /// Reads one. Nothing is refused: who wants to know whether all was understood compares [`Xtn::write`].
    pub fn read(text: &str) -> Xtn {
        let parts = Parts::read(text);
        Xtn {
            formatted: parts.text(1),
            usage: parts.text(2),
            equipment: parts.text(3),
            address: parts.text(4),
            country: parts.text(5),
            area: parts.text(6),
            number: parts.text(7),
            extension: parts.text(8),
            any: parts.text(9),
            unformatted: parts.text(12),
        }
    }

    /// Writes one.
    pub fn write(&self) -> String {
        let none = Cow::Borrowed("");
        join(&[
            escape(&self.formatted),
            escape(&self.usage),
            escape(&self.equipment),
            escape(&self.address),
            escape(&self.country),
            escape(&self.area),
            escape(&self.number),
            escape(&self.extension),
            escape(&self.any),
            none.clone(),
            none,
            escape(&self.unformatted),
        ])
    }

    /// Whether it is an address of the internet.
    pub fn is_internet(&self) -> bool {
        self.equipment.eq_ignore_ascii_case("internet") || !self.address.is_empty()
    }

    /// The number as people dial it: `+cc area number x ext`, or as it was written in one.
    pub fn dialled(&self) -> String {
        let whole = [&self.unformatted, &self.formatted, &self.any].into_iter().find(|text| !text.is_empty());
        if self.number.is_empty() {
            return whole.cloned().unwrap_or_default();
        }
        let mut out = String::new();
        if !self.country.is_empty() {
            out.push('+');
            out.push_str(self.country.trim_start_matches('+'));
        }
        for part in [&self.area, &self.number] {
            if !part.is_empty() {
                if !out.is_empty() {
                    out.push(' ');
                }
                out.push_str(part);
            }
        }
        if !self.extension.is_empty() {
            out.push_str(" x");
            out.push_str(&self.extension);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_were_written() {
        for text in [
            "^^Internet^welby@healthcare.example.org",
            "^NET^Internet^welby@healthcare.example.org",
            "^PRS^PH^^1^555^5551212^37",
            "^WPN^PH^^^^^^^^^+41 44 123 45 67",
            "(555)555-1212",
        ] {
            assert_eq!(Xtn::read(text).write(), text);
        }
        assert_eq!(Xtn::read("^PRS^PH^^1^555^5551212^37").dialled(), "+1 555 5551212 x37");
    }
}
