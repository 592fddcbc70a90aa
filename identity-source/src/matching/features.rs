//! What of a Patient is compared: taken out once, in the forms the comparators want.

use fhir::patient::{MOTHERS_MAIDEN_NAME, canonical_system};
use serde_json::{Map, Value};
use xds::Identifier;

use super::letters::{self, Word};

/// Members of one list that are looked at.
const MANY: usize = 8;

/// What of a Patient is compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Features {
    /// Identifiers in use, domains in canonical form.
    pub(crate) identifiers: Vec<Identifier>,
    /// Family names, each by its words: present, former, of birth.
    pub(crate) families: Vec<Vec<Word>>,
    /// Given names, each list by its words.
    pub(crate) givens: Vec<Vec<Word>>,
    /// What tells father from son in the name itself: `jr`, `sr`, `ii`.
    pub(crate) generation: Option<String>,
    /// Date of birth, as far as it is known.
    pub(crate) born: Option<Born>,
    /// Administrative gender.
    pub(crate) sex: Option<Sex>,
    /// Addresses.
    pub(crate) addresses: Vec<Address>,
    /// Telephone numbers (their last digits) and mail addresses.
    pub(crate) contacts: Vec<String>,
    /// The mother's maiden name.
    pub(crate) mother: Vec<Word>,
    /// Which of several children of one birth.
    pub(crate) birth_order: Option<u64>,
}

/// A date of birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Born {
    /// Year.
    pub(crate) year: u16,
    /// Month, if it is known.
    pub(crate) month: Option<u8>,
    /// Day, if it is known.
    pub(crate) day: Option<u8>,
}

/// Administrative gender, where it says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
    /// Neither.
    Other,
}

/// An address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Address {
    /// Postal code, letters and digits.
    pub(crate) postal_code: String,
    /// City, letters.
    pub(crate) city: String,
    /// Street, letters.
    pub(crate) street: String,
    /// The first number of the street lines.
    pub(crate) number: String,
}

impl Features {
    /// What can be compared of a Patient. What is not there, or not of the shape R4 gives it, is left out.
    pub(crate) fn of(patient: &Map<String, Value>) -> Features {
        let mut features = Features {
            born: text(patient.get("birthDate")).and_then(born),
            sex: match text(patient.get("gender")) {
                Some("female") => Some(Sex::Female),
                Some("male") => Some(Sex::Male),
                Some("other") => Some(Sex::Other),
                _ => None,
            },
            birth_order: patient.get("multipleBirthInteger").and_then(Value::as_u64),
            ..Features::default()
        };
        for item in items(patient.get("identifier")) {
            features.identify(item);
        }
        for name in items(patient.get("name")) {
            features.name(name);
        }
        for address in items(patient.get("address")) {
            features.addresses.extend(read_address(address));
        }
        for point in items(patient.get("telecom")) {
            features.contacts.extend(text(point.get("value")).and_then(contact));
        }
        features.contacts.sort();
        features.contacts.dedup();
        for extension in items(patient.get("extension")) {
            if text(extension.get("url")) == Some(MOTHERS_MAIDEN_NAME) {
                features.mother =
                    significant(letters::words(text(extension.get("valueString")).unwrap_or("")));
            }
        }
        features
    }

    fn identify(&mut self, item: &Value) {
        let (Some(system), Some(value)) = (text(item.get("system")), text(item.get("value"))) else { return };
        // What was replaced says nothing about who has which identifier now.
        if text(item.get("use")) == Some("old") || value.trim().is_empty() {
            return;
        }
        let identifier = Identifier { system: canonical_system(system), value: value.trim().to_owned() };
        if !self.identifiers.contains(&identifier) {
            self.identifiers.push(identifier);
        }
    }

    fn name(&mut self, name: &Value) {
        let family = text(name.get("family")).map(letters::words).unwrap_or_default();
        let given: Vec<Word> = items(name.get("given"))
            .iter()
            .filter_map(|one| text(Some(one)))
            .flat_map(letters::words)
            .collect();
        let (family, given) = match text(name.get("text")) {
            Some(whole) if family.is_empty() && given.is_empty() => of_text(whole),
            _ => (family, given),
        };
        for suffix in items(name.get("suffix")).iter().filter_map(|one| text(Some(one))) {
            self.generation = self.generation.take().or_else(|| generation(suffix));
        }
        keep(&mut self.families, significant(family));
        keep(&mut self.givens, significant(given));
    }

    /// Whether there is nothing candidates could be looked for by.
    pub(crate) fn says_nothing(&self) -> bool {
        super::keys(self).is_empty() && self.identifiers.is_empty()
    }
}

/// Keeps a name that is not there yet.
fn keep(names: &mut Vec<Vec<Word>>, name: Vec<Word>) {
    if !name.is_empty() && !names.contains(&name) && names.len() < MANY {
        names.push(name);
    }
}

/// A name that was given as one text: `Family, Given` or `Given Family`.
fn of_text(text: &str) -> (Vec<Word>, Vec<Word>) {
    if let Some((family, given)) = text.split_once(',') {
        return (letters::words(family), letters::words(given));
    }
    let mut words = letters::words(text);
    let family = words.pop();
    (family.into_iter().collect(), words)
}

/// Words that belong to a name and tell nobody apart, and words that stand where no name is known.
const INSIGNIFICANT: &[&str] = &[
    "von", "vom", "van", "der", "den", "de", "da", "dos", "del", "della", "di", "du", "la", "le", "zu",
    "zum", "zur", "al", "el", "bin", "ibn", "dr", "prof", "mag", "dipl", "ing", "med", "mmag", "bsc", "msc",
    "phd",
];
/// Words that stand where no name is known.
const PLACEHOLDERS: &[&str] = &[
    "unbekannt",
    "unbekannter",
    "unbekannte",
    "unknown",
    "nn",
    "none",
    "noname",
    "anonym",
    "anonymous",
    "baby",
    "babyboy",
    "babygirl",
    "boy",
    "girl",
    "knabe",
    "bub",
    "maedchen",
    "madchen",
    "sohn",
    "tochter",
    "neugeborenes",
    "neugeborener",
    "newborn",
    "infant",
    "xx",
    "xxx",
];

/// The words of a name that tell people apart.
fn significant(words: Vec<Word>) -> Vec<Word> {
    let known: Vec<Word> =
        words.into_iter().filter(|word| !PLACEHOLDERS.contains(&word.plain.as_str())).collect();
    let has_more = known.iter().any(|word| !INSIGNIFICANT.contains(&word.plain.as_str()));
    let mut kept: Vec<Word> = Vec::new();
    for word in known.into_iter().filter(|word| !has_more || !INSIGNIFICANT.contains(&word.plain.as_str())) {
        if !kept.iter().any(|other| other.sound == word.sound) {
            kept.push(word);
        }
    }
    kept
}

/// Which of several bearers of one name, from a suffix; none of titles.
fn generation(suffix: &str) -> Option<String> {
    let word = letters::row(suffix);
    let which = match word.as_str() {
        "jr" | "jun" | "junior" | "ii" | "dj" | "juengere" | "jungere" => "junior",
        "sr" | "sen" | "senior" | "dae" | "da" => "senior",
        "iii" | "iv" => word.as_str(),
        _ => return None,
    };
    Some(which.to_owned())
}

fn born(text: &str) -> Option<Born> {
    let mut parts = text.get(..10).unwrap_or(text).split('-');
    let year = parts.next().filter(|part| part.len() == 4)?.parse().ok()?;
    let month = parts.next().and_then(|part| part.parse().ok()).filter(|month| (1..=12).contains(month));
    let day = month.and(parts.next()).and_then(|part| part.parse().ok()).filter(|day| (1..=31).contains(day));
    Some(Born { year, month, day })
}

fn read_address(address: &Value) -> Option<Address> {
    let lines: Vec<&str> = items(address.get("line")).iter().filter_map(|line| text(Some(line))).collect();
    let whole = lines.join(" ");
    let mut street = String::new();
    let mut number = String::new();
    for part in
        whole.split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | '/' | '-')).take(12)
    {
        let part = letters::row(part);
        if part.starts_with(|letter: char| letter.is_ascii_digit()) {
            if number.is_empty() {
                number = part;
            }
        } else {
            street.push_str(&part.replace("strasse", "str"));
        }
    }
    let read = Address {
        postal_code: text(address.get("postalCode")).map(letters::row).unwrap_or_default(),
        city: text(address.get("city")).map(letters::row).unwrap_or_default(),
        street,
        number,
    };
    (read != Address::default()).then_some(read)
}

/// A telephone number by its last digits, however it is written; a mail address without case.
fn contact(value: &str) -> Option<String> {
    if value.len() > 200 {
        return None;
    }
    if value.contains('@') {
        return Some(value.trim().trim_start_matches("mailto:").to_lowercase());
    }
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    (digits.len() >= 6).then(|| digits[digits.len().saturating_sub(8)..].to_owned())
}

fn items(list: Option<&Value>) -> &[Value] {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    &list[..list.len().min(MANY)]
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(patient: &Value) -> Features {
        Features::of(patient.as_object().expect("is an object"))
    }

    fn plain(words: &[Word]) -> Vec<&str> {
        words.iter().map(|word| word.plain.as_str()).collect()
    }

    #[test]
    fn placeholders_are_no_names_and_particles_tell_nobody_apart() {
        let read = of(&json!({ "name": [
            { "family": "von der Tann", "given": ["Baby"] }, { "family": "Unbekannt" }, { "text": "Dr. Eva De La Cruz" } ] }));
        assert_eq!(read.families.iter().map(|name| plain(name)).collect::<Vec<_>>(), [["tann"], ["cruz"]]);
        assert_eq!(read.givens.iter().map(|name| plain(name)).collect::<Vec<_>>(), [["eva"]]);
    }

    #[test]
    fn dates_are_read_as_far_as_they_go() {
        let date = |text: &str| of(&json!({ "birthDate": text })).born;
        assert_eq!(date("1958-01-30"), Some(Born { year: 1958, month: Some(1), day: Some(30) }));
        assert_eq!(date("1958-01"), Some(Born { year: 1958, month: Some(1), day: None }));
        assert_eq!(date("1958"), Some(Born { year: 1958, month: None, day: None }));
        assert_eq!(date("30.1.1958"), None);
        assert_eq!(date("1958-99-99"), Some(Born { year: 1958, month: None, day: None }));
    }

    #[test]
    fn numbers_compare_however_they_are_written() {
        let read = of(&json!({ "telecom": [{ "value": "+43 1 555-01 47" }, { "value": "0043 (1) 5550147" },
            { "value": "A@B.example" }, { "value": "12" }] }));
        assert_eq!(read.contacts, ["15550147", "a@b.example"]);
    }
}
