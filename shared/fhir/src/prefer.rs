//! `Prefer` (RFC 7240): what a caller would like, read in one way at every endpoint (rest-conventions 1).

/// What an answer to a change brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    /// Nothing but the head.
    Minimal,
    /// The resource.
    Representation,
    /// A word on what was done.
    OperationOutcome,
}

/// What becomes of a search parameter nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// The request is refused.
    Strict,
    /// It is left out.
    Lenient,
}

/// Everything a caller prefers that anybody here honours. What is unknown is passed over: one popular client asks for
/// `return=presentation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preferences {
    /// `return=…`.
    pub back: Option<Return>,
    /// `handling=…`.
    pub handling: Option<Handling>,
    /// `respond-async`.
    pub respond_async: bool,
}

impl Preferences {
    /// Reads the lines of the header. Preferences are divided by `,` or `;`; of two that contradict the first counts.
    pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Preferences {
        let mut read = Preferences::default();
        for word in lines.into_iter().flat_map(|line| line.split([',', ';'])) {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "return" if read.back.is_none() => read.back = Return::named(value),
                "handling" if read.handling.is_none() => read.handling = Handling::named(value),
                "respond-async" => read.respond_async = true,
                _ => {}
            }
        }
        read
    }
}

impl Return {
    const ALL: [Return; 3] = [Return::Minimal, Return::Representation, Return::OperationOutcome];

    fn named(word: &str) -> Option<Return> {
        Return::ALL.into_iter().find(|known| known.word().eq_ignore_ascii_case(word))
    }

    fn word(self) -> &'static str {
        match self {
            Return::Minimal => "minimal",
            Return::Representation => "representation",
            Return::OperationOutcome => "OperationOutcome",
        }
    }

    /// What `Preference-Applied` says of it.
    pub fn applied(self) -> &'static str {
        match self {
            Return::Minimal => "return=minimal",
            Return::Representation => "return=representation",
            Return::OperationOutcome => "return=OperationOutcome",
        }
    }
}

impl Handling {
    fn named(word: &str) -> Option<Handling> {
        match word.to_ascii_lowercase().as_str() {
            "strict" => Some(Handling::Strict),
            "lenient" => Some(Handling::Lenient),
            _ => None,
        }
    }

    /// What `Preference-Applied` says of it.
    pub fn applied(self) -> &'static str {
        match self {
            Handling::Strict => "handling=strict",
            Handling::Lenient => "handling=lenient",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_read_in_every_spelling() {
        let all = Preferences {
            back: Some(Return::Minimal),
            handling: Some(Handling::Strict),
            respond_async: true,
        };
        for lines in [
            &["return=minimal, handling=strict, respond-async"][..],
            &["respond-async; Return=\"minimal\";handling = strict"],
            &["return=minimal", "handling=strict", "respond-async", "return=representation"],
        ] {
            assert_eq!(Preferences::read(lines.iter().copied()), all, "{lines:?}");
        }
    }

    #[test]
    fn what_nobody_knows_is_passed_over() {
        assert_eq!(Preferences::read(["return=presentation, wait=10, x"]), Preferences::default());
        let outcome = Preferences::read(["return=presentation, return=operationoutcome"]);
        assert_eq!(outcome.back.map(Return::applied), Some("return=OperationOutcome"));
    }
}
