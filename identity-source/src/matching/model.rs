//! The model after Fellegi and Sunter: how much each way in which two records agree or differ tells for one person.
//!
//! Weights are in bits: +1 means that it is seen twice as often between two records of one person as between two people. They are
//! told twice, because there are two kinds of other people: strangers, who share little and are many; and relatives, who share
//! family name, address and telephone, and sometimes even the day of birth (twins) or the given name (father and son), and are few.
//! Scoring against both is what keeps a family from being taken for one person.

use serde::{Deserialize, Serialize};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Field {
    /// Identifiers of one domain.
    Identifier,
    /// Family name.
    Family,
    /// Given names.
    Given,
    /// Junior and senior.
    Generation,
    /// Date of birth.
    BirthDate,
    /// Administrative gender.
    Gender,
    /// Address.
    Address,
    /// Telephone and mail.
    Telecom,
    /// The mother's maiden name.
    MothersMaidenName,
    /// Which of several children of one birth.
    BirthOrder,
}

impl Field {
    /// The name of the field, as the configuration and `$match` write it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Field::Identifier => "identifier",
            Field::Family => "family",
            Field::Given => "given",
            Field::Generation => "generation",
            Field::BirthDate => "birth-date",
            Field::Gender => "gender",
            Field::Address => "address",
            Field::Telecom => "telecom",
            Field::MothersMaidenName => "mothers-maiden-name",
            Field::BirthOrder => "birth-order",
        }
    }
}

/// One way in which a field of two records can compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Level {
    /// The field.
    pub(crate) field: Field,
    /// The name of the level in the configuration.
    pub(crate) level: &'static str,
    /// Bits against a stranger; of a name in common they are added to those of its rarity.
    pub(crate) stranger: f64,
    /// Bits against a relative.
    pub(crate) relative: f64,
    /// What is told.
    pub(crate) says: &'static str,
}

const fn level(field: Field, level: &'static str, stranger: f64, relative: f64, says: &'static str) -> Level {
    Level { field, level, stranger, relative, says }
}

/// Every level with its weights, before the configuration changes some.
pub(crate) const LEVELS: &[Level] = &[
    level(Field::Identifier, "equal", 34.0, 12.0, "an identifier of the same domain is equal"),
    level(Field::Identifier, "other", -7.0, -7.0, "the same domain has given another identifier"),
    level(Field::Family, "equal", 0.0, 0.0, "family name equal"),
    level(Field::Family, "spelling", -1.0, 0.0, "family name spelled differently"),
    level(Field::Family, "part", -2.0, 0.0, "a part of the family name equal"),
    level(Field::Family, "exchanged", -2.0, 3.0, "family and given name exchanged"),
    level(Field::Family, "similar", -4.0, -0.5, "family name similar"),
    level(Field::Family, "different", -4.5, 0.0, "family name different"),
    level(Field::Given, "equal", 0.0, 6.5, "given name equal"),
    level(Field::Given, "spelling", -1.0, 5.0, "given name spelled differently"),
    level(Field::Given, "part", -1.5, 2.0, "one has fewer given names"),
    level(Field::Given, "further", -4.0, -2.0, "one given name equal, others different"),
    level(Field::Given, "exchanged", -2.0, 3.0, "given and family name exchanged"),
    level(Field::Given, "similar", -4.5, -0.3, "given name similar"),
    level(Field::Given, "initial", 2.0, -2.0, "the same initial"),
    level(Field::Given, "different", -6.0, -5.4, "given name different"),
    level(Field::Generation, "different", -7.0, -8.0, "one is the elder and one the younger of that name"),
    level(Field::BirthDate, "equal", 14.0, 6.3, "date of birth equal"),
    level(
        Field::BirthDate,
        "placeholder",
        9.0,
        3.0,
        "date of birth equal, but one that also stands for unknown",
    ),
    level(Field::BirthDate, "exchanged", 9.0, 4.3, "day and month of birth exchanged"),
    level(Field::BirthDate, "digit", 7.0, 2.5, "date of birth differs by one digit"),
    level(Field::BirthDate, "month", 9.0, 5.0, "year and month of birth equal, no day"),
    level(Field::BirthDate, "year", 5.5, 3.5, "year of birth equal, no day"),
    level(Field::BirthDate, "part", 1.5, -1.0, "year, month or day of birth different"),
    level(Field::BirthDate, "generation", -3.0, -6.0, "born a generation apart"),
    level(Field::BirthDate, "different", -8.0, -7.5, "date of birth different"),
    level(Field::Gender, "equal", 0.9, 0.9, "gender equal"),
    level(Field::Gender, "different", -6.0, -6.0, "gender different"),
    level(Field::Address, "equal", 7.0, 0.0, "street and place equal"),
    level(Field::Address, "place", 3.0, 0.0, "postal code or city equal"),
    level(Field::Address, "different", -1.0, -0.5, "address different"),
    level(Field::Telecom, "equal", 7.0, 0.0, "a telephone number or mail address equal"),
    level(Field::Telecom, "different", -0.5, 0.0, "telephone and mail different"),
    level(Field::MothersMaidenName, "equal", 6.0, 0.0, "mother's maiden name equal"),
    level(Field::MothersMaidenName, "similar", 2.0, 0.0, "mother's maiden name similar"),
    level(Field::MothersMaidenName, "different", -3.0, -1.0, "mother's maiden name different"),
    level(Field::BirthOrder, "different", -9.0, -12.0, "different children of one birth"),
];

/// How many relatives of a patient have records beside each of the patient's own, in bits.
pub(crate) const RELATIVES: f64 = 0.6;

/// How sure a match is: the codes of the value set match-grade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Grade {
    /// Somebody else.
    CertainlyNot,
    /// Perhaps.
    Possible,
    /// For a steward to look at.
    Probable,
    /// May be acted upon.
    Certain,
}

impl Grade {
    /// The code of the value set.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Grade::CertainlyNot => "certainly-not",
            Grade::Possible => "possible",
            Grade::Probable => "probable",
            Grade::Certain => "certain",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_are_those_that_are_written_down() {
        let page = include_str!("../../../docs/matching.md");
        let bits = |bits: f64| if bits == 0.0 { "0".to_owned() } else { format!("{bits:+}") };
        for level in LEVELS {
            let Level { field, level, stranger, relative, says } = level;
            let row = format!(
                "| {} | {level} | {} | {} | {says} |",
                field.word(),
                bits(*stranger),
                bits(*relative)
            );
            assert!(page.contains(&row), "docs/matching.md lacks {row}");
        }
    }
}
