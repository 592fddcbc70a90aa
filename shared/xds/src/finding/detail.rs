//! What a finding about a value is made of, and the one sentence that is made of it.

use super::Place;

/// A value that was given, and what is accepted in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// What was given.
    pub value: String,
    /// What is accepted.
    pub accepted: Option<Accepted>,
    /// What the caller most likely meant.
    pub nearest: Option<String>,
}

/// The values that are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// How many there are.
    pub count: usize,
    /// Some of them; all, if there are no more.
    pub sample: Vec<String>,
    /// Who accepts them, e.g. `this affinity domain`.
    pub by: String,
}

impl Accepted {
    /// A set short enough to be named whole.
    pub fn all(by: &str, values: &[&str]) -> Accepted {
        Accepted {
            count: values.len(),
            sample: values.iter().map(|value| (*value).to_owned()).collect(),
            by: by.to_owned(),
        }
    }
}

/// Characters of a value that are repeated.
const SHOWN: usize = 400;

/// Accepted values that are named although a nearest one is known.
const FEW: usize = 4;

impl Detail {
    /// A value against a set short enough to be named whole; the nearest member is found by its spelling.
    pub fn one_of(value: &str, by: &str, values: &[&str]) -> Detail {
        // What is so much longer is near to none of them, and costs its length to compare.
        let comparable = |known: &&&str| value.chars().count() <= 2 * known.len();
        let distance = |known: &&&str| strsim::damerau_levenshtein(known, value);
        let nearest = values.iter().filter(comparable).min_by_key(distance);
        let nearest = nearest.filter(|near| distance(near) * 2 <= near.len());
        Detail {
            value: value.to_owned(),
            accepted: Some(Accepted::all(by, values)),
            nearest: nearest.map(|near| (*near).to_owned()),
        }
    }

    /// *Where (attribute) is value; who accepts what, nearest: which.*
    pub(super) fn sentence(&self, at: &Place) -> String {
        let attribute = at.attribute.map(|attribute| format!(" ({attribute})")).unwrap_or_default();
        let mut text = format!("{}{attribute} is {}", at.element(), shortened(&self.value));
        if let Some(Accepted { count, sample, by }) = &self.accepted {
            let whole = sample.len() == *count;
            if whole && (*count <= FEW || self.nearest.is_none()) {
                text.push_str(&format!("; {by} accepts {}", sample.join(", ")));
            } else {
                text.push_str(&format!("; {by} accepts {count} values for it"));
                if self.nearest.is_none() {
                    text.push_str(&format!(", such as {}", sample.join(", ")));
                }
            }
        }
        if let Some(nearest) = &self.nearest {
            text.push_str(&format!(", nearest: {nearest}"));
        }
        text.push('.');
        text
    }
}

/// A value as long as a reader needs to know it again.
fn shortened(value: &str) -> std::borrow::Cow<'_, str> {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]).into(),
        None => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_megabyte_is_compared_with_none() {
        let begun = std::time::Instant::now();
        let detail = Detail::one_of(&"x".repeat(1 << 20), "MHD", &["current", "superseded"]);
        assert_eq!(detail.nearest, None);
        assert!(detail.sentence(&Place::at("List.status")).len() < 600);
        assert!(begun.elapsed() < std::time::Duration::from_millis(200), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_sentence_says_where_what_and_what_instead() {
        let at = Place::at("Bundle.entry[1].resource.status").of("DocumentEntry.availabilityStatus");
        let detail = Detail::one_of("curent", "MHD", &["current", "superseded"]);
        assert_eq!(
            detail.sentence(&at),
            "DocumentReference.status (DocumentEntry.availabilityStatus) is curent; MHD accepts current, superseded, nearest: current."
        );
        let detail = Detail::one_of("zzzzzzz", "MHD", &["current", "superseded"]);
        assert!(detail.sentence(&at).ends_with("MHD accepts current, superseded."));
    }
}
