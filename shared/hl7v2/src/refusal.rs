//! What is wrong with a message, in the words of HL7 table 0357.

use std::fmt;

/// A row of HL7 table 0357 (message error condition codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Segments are missing, or not in the order they have to be.
    SegmentSequence,
    /// A field that is required is empty.
    RequiredField,
    /// A field does not hold what its data type allows.
    DataType,
    /// A value is not in the table it is from.
    TableValue,
    /// The type of the message is not one that is taken.
    UnsupportedType,
    /// The event is not one that is taken.
    UnsupportedEvent,
    /// The version is none of 2.x.
    UnsupportedVersion,
    /// An identifier names nobody who is known, or nobody it may name.
    UnknownKey,
    /// An identifier is somebody else's already.
    DuplicateKey,
    /// The record cannot be worked on at present.
    Locked,
    /// The receiver itself failed.
    Internal,
}

impl Condition {
    /// The number.
    pub fn code(self) -> u16 {
        match self {
            Condition::SegmentSequence => 100,
            Condition::RequiredField => 101,
            Condition::DataType => 102,
            Condition::TableValue => 103,
            Condition::UnsupportedType => 200,
            Condition::UnsupportedEvent => 201,
            Condition::UnsupportedVersion => 203,
            Condition::UnknownKey => 204,
            Condition::DuplicateKey => 205,
            Condition::Locked => 206,
            Condition::Internal => 207,
        }
    }

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Condition::SegmentSequence => "Segment sequence error",
            Condition::RequiredField => "Required field missing",
            Condition::DataType => "Data type error",
            Condition::TableValue => "Table value not found",
            Condition::UnsupportedType => "Unsupported message type",
            Condition::UnsupportedEvent => "Unsupported event code",
            Condition::UnsupportedVersion => "Unsupported version id",
            Condition::UnknownKey => "Unknown key identifier",
            Condition::DuplicateKey => "Duplicate key identifier",
            Condition::Locked => "Application record locked",
            Condition::Internal => "Application internal error",
        }
    }

    /// Whether the message as such is none this receiver takes (AR), rather than one whose content is wrong (AE).
    pub fn rejects(self) -> bool {
        matches!(
            self,
            Condition::UnsupportedType | Condition::UnsupportedEvent | Condition::UnsupportedVersion
        )
    }
}

/// A place in a message; all numbers from 1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Location {
    /// The segment, e.g. `PID`.
    pub segment: String,
    /// Which of them.
    pub sequence: u32,
    /// Which field; 0: the segment as such.
    pub field: u32,
    /// Which repetition of it; 0: the field as such.
    pub repetition: u32,
    /// Which component; 0: the repetition as such.
    pub component: u32,
}

impl Location {
    /// The first segment of this name.
    pub fn segment(name: &str) -> Location {
        Location { segment: name.to_owned(), sequence: 1, ..Location::default() }
    }

    /// A field of the first segment of this name.
    pub fn field(name: &str, field: u32) -> Location {
        Location { field, ..Location::segment(name) }
    }

    /// One of its repetitions.
    pub fn repetition(self, repetition: u32) -> Location {
        Location { repetition, ..self }
    }

    /// A component of it.
    pub fn component(self, component: u32) -> Location {
        Location { component, ..self }
    }
}

/// As people write it: `PID-3`, `PID-3(2).4`.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segment)?;
        if self.sequence > 1 {
            write!(f, "[{}]", self.sequence)?;
        }
        if self.field > 0 {
            write!(f, "-{}", self.field)?;
        }
        if self.repetition > 1 {
            write!(f, "({})", self.repetition)?;
        }
        if self.component > 0 {
            write!(f, ".{}", self.component)?;
        }
        Ok(())
    }
}

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// The sort.
    pub condition: Condition,
    /// Where; none: the message as a whole.
    pub location: Option<Location>,
    /// What is wrong and what is accepted.
    pub text: String,
}

impl Refusal {
    /// A refusal of the message as a whole.
    pub fn new(condition: Condition, text: impl Into<String>) -> Refusal {
        Refusal { condition, location: None, text: text.into() }
    }

    /// The same with its place.
    pub fn at(self, location: Location) -> Refusal {
        Refusal { location: Some(location), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_people_write_it() {
        assert_eq!(Location::segment("MRG").to_string(), "MRG");
        assert_eq!(Location::field("PID", 3).to_string(), "PID-3");
        assert_eq!(Location::field("PID", 3).repetition(2).component(4).to_string(), "PID-3(2).4");
    }
}
