//! The content type of a message.

/// A media type with its parameters (RFC 2045, 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// `type/subtype`, in small letters.
    pub media: String,
    parameters: Vec<(String, String)>,
}

/// Whether a message is a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// SOAP alone.
    Simple,
    /// MTOM/XOP.
    Package,
}

impl ContentType {
    /// Reads a header value.
    pub fn parse(text: &str) -> ContentType {
        let (media, mut rest) = text.split_once(';').unwrap_or((text, ""));
        let mut parameters = Vec::new();
        while let Some((name, after)) = rest.split_once('=') {
            let name = name.trim().trim_start_matches(';').trim().to_ascii_lowercase();
            let after = after.trim_start();
            let value;
            (value, rest) = match after.strip_prefix('"') {
                Some(quoted) => unquoted(quoted),
                None => {
                    let (value, rest) = after.split_once(';').unwrap_or((after, ""));
                    (value.trim().to_owned(), rest)
                }
            };
            parameters.push((name, value));
        }
        ContentType { media: media.trim().to_ascii_lowercase(), parameters }
    }

    /// A parameter, by its name in small letters.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a message may come in it, and how.
    pub fn format(&self) -> Option<Format> {
        match self.media.as_str() {
            "application/soap+xml" | "text/xml" | "application/xml" | "application/xop+xml" => {
                Some(Format::Simple)
            }
            "multipart/related" => Some(Format::Package),
            _ => None,
        }
    }
}

/// The value of a quoted string, and what stands behind it.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => {
                let rest = &text[at + 1..];
                return (value, rest.trim_start().strip_prefix(';').unwrap_or(rest));
            }
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            letter => value.push(letter),
        }
    }
    (value, "")
}
