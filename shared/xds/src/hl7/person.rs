//! People (XCN) and organizations (XON).

use std::borrow::Cow;

use super::{Cx, Hd, Parts, authority, escape, join};
use crate::identifier::is_oid;
use crate::types::Identifier;

/// A person: `id^family^given^middle^suffix^prefix^degree^^&OID&ISO`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Xcn {
    /// The id; unique within its authority.
    pub id: String,
    /// Family name.
    pub family: String,
    /// First name.
    pub given: String,
    /// Further given names, with blanks between them.
    pub middle: String,
    /// Suffix, `Jr.`.
    pub suffix: String,
    /// Prefix, `Dr.`.
    pub prefix: String,
    /// Degree, `MD`.
    pub degree: String,
    /// Who assigned the id.
    pub authority: Option<Hd>,
}

impl Xcn {
    /// Reads one. Nothing is refused: who wants to know whether all was understood compares [`Xcn::write`].
    pub fn read(text: &str) -> Xcn {
        let parts = Parts::read(text);
        Xcn {
            id: parts.text(1),
            family: parts.text(2),
            given: parts.text(3),
            middle: parts.text(4),
            suffix: parts.text(5),
            prefix: parts.text(6),
            degree: parts.text(7),
            authority: parts.authority(9),
        }
    }

    /// Writes one.
    pub fn write(&self) -> String {
        join(&[
            escape(&self.id),
            escape(&self.family),
            escape(&self.given),
            escape(&self.middle),
            escape(&self.suffix),
            escape(&self.prefix),
            escape(&self.degree),
            Cow::Borrowed(""),
            authority(self.authority.as_ref()),
        ])
    }

    /// Given names one by one.
    pub fn given_names(&self) -> impl Iterator<Item = &str> {
        Some(self.given.as_str())
            .filter(|given| !given.is_empty())
            .into_iter()
            .chain(self.middle.split_whitespace())
    }

    /// The id as an identifier of the domain.
    pub fn identifier(&self) -> Option<Identifier> {
        (!self.id.is_empty()).then(|| {
            Cx { id: self.id.clone(), authority: self.authority.clone(), ..Cx::default() }.identifier()
        })
    }

    /// Gives it an id.
    pub fn identified(&mut self, identifier: &Identifier) {
        let Cx { id, authority, .. } = Cx::of(identifier);
        (self.id, self.authority) = (id, authority);
    }
}

/// An organization: `name^^^^^&OID&ISO^^^^id`, or `name^^^^^^^^^OID`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Xon {
    /// The name.
    pub name: String,
    /// Who assigned the id.
    pub authority: Option<Hd>,
    /// The id.
    pub id: String,
}

impl Xon {
    /// Reads one. Nothing is refused: who wants to know whether all was understood compares [`Xon::write`].
    pub fn read(text: &str) -> Xon {
        let parts = Parts::read(text);
        Xon { name: parts.text(1), authority: parts.authority(6), id: parts.text(10) }
    }

    /// Writes one.
    pub fn write(&self) -> String {
        let none = Cow::Borrowed("");
        let mut components = vec![none; 10];
        components[0] = escape(&self.name);
        components[5] = authority(self.authority.as_ref());
        components[9] = escape(&self.id);
        join(&components)
    }

    /// The id as an identifier of the domain; an OID alone is one in the name space of URIs.
    pub fn identifier(&self) -> Option<Identifier> {
        (!self.id.is_empty()).then(|| {
            Cx { id: self.id.clone(), authority: self.authority.clone(), ..Cx::default() }.identifier()
        })
    }

    /// Gives it an id.
    pub fn identified(&mut self, identifier: &Identifier) {
        let Cx { id, authority, .. } = Cx::of(identifier);
        (self.id, self.authority) = (id, authority);
    }

    /// Whether the id says by itself who assigned it.
    pub fn is_globally_named(&self) -> bool {
        self.authority.is_none() && is_oid(&self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_come_back_as_they_were_written() {
        for text in [
            "11375^Welby^Marcus^J.^Jr. MD^Dr.^^^&1.2.840.113619.6.197&ISO",
            "^Smitty^Gerald",
            "pro111^Wel\\T\\by^Marcus^J B^^^MD",
            "7^^^^^^^^&1.2&ISO",
        ] {
            assert_eq!(Xcn::read(text).write(), text);
        }
        let welby = Xcn::read("11375^Welby^Marcus^J. K.^Jr. MD^Dr.^^^&1.2.840.113619.6.197&ISO");
        assert_eq!(welby.given_names().collect::<Vec<_>>(), ["Marcus", "J.", "K."]);
        assert_eq!(welby.identifier().unwrap().system, "urn:oid:1.2.840.113619.6.197");
    }

    #[test]
    fn organizations_come_back_as_they_were_written() {
        for text in [
            "Some Hospital^^^^^^^^^1.2.3.4.5.6.7.8.9.1789.45",
            "Some Hospital^^^^^&1.2.3.4.5.6.7.8.9.1789&ISO^^^^45",
            "Some Hospital",
        ] {
            assert_eq!(Xon::read(text).write(), text);
        }
        let named = Xon::read("Some Hospital^^^^^^^^^1.2.3").identifier().unwrap();
        assert_eq!(named.value, "urn:oid:1.2.3");
        let mut again = Xon { name: "Some Hospital".into(), ..Xon::default() };
        again.identified(&named);
        assert!(again.is_globally_named());
        assert_eq!(again.write(), "Some Hospital^^^^^^^^^1.2.3");
    }
}
