//! Words of names and addresses in the forms in which they are compared: the letters a to z, and how they sound.

use unicode_normalization::UnicodeNormalization as _;

/// Characters of one text that are looked at: names are shorter, and an attack is longer.
const TEXT: usize = 160;
/// Letters of one word that count.
const WORD: usize = 40;
/// Words of one text that count.
const WORDS: usize = 6;

/// A word of a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Word {
    /// Without case, accents and marks, in the letters a to z (or in its own where those say nothing).
    pub(crate) plain: String,
    /// The same with spellings of one sound made one: Stephan and Stefan, Müller and Mueller, Meyer and Maier.
    pub(crate) sound: String,
}

/// The words of a text.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in text.chars().take(TEXT).nfc().chain(std::iter::once(' ')) {
        if matches!(letter, '\'' | '’' | '‘' | '`' | '´') {
            continue;
        }
        if letter.is_alphanumeric() {
            if word.chars().count() < WORD {
                word.push(letter);
            }
        } else if !word.is_empty() {
            let plain = plain(&std::mem::take(&mut word));
            words.push(Word { sound: sound(&plain), plain });
        }
    }
    words.truncate(WORDS);
    words
}

/// The letters and digits of a text in one row, for addresses.
pub(crate) fn row(text: &str) -> String {
    let letters = text.chars().take(TEXT).filter(|letter| letter.is_alphanumeric());
    letters.flat_map(ascii).collect()
}

fn plain(word: &str) -> String {
    let letters: String = word.chars().flat_map(ascii).filter(char::is_ascii_lowercase).take(WORD).collect();
    if letters.is_empty() { word.to_lowercase() } else { letters }
}

/// A character of any script in lower-case letters and digits of ours; nothing if there are none.
fn ascii(letter: char) -> impl Iterator<Item = char> {
    let written = deunicode::deunicode_char(letter).unwrap_or_default();
    written.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase())
}

/// Spellings of one sound, the longer ones first.
const SOUNDS: &[(&str, &str)] = &[
    ("sch", "s"),
    ("tsch", "ts"),
    ("dsch", "ts"),
    ("ph", "f"),
    ("th", "t"),
    ("sh", "s"),
    ("ck", "k"),
    ("dt", "t"),
    ("tz", "s"),
    ("ts", "s"),
    ("ae", "a"),
    ("oe", "o"),
    ("ue", "u"),
    ("ey", "ai"),
    ("ay", "ai"),
    ("ei", "ai"),
    ("ie", "i"),
    ("ce", "se"),
    ("ci", "si"),
    ("qu", "kw"),
    ("c", "k"),
    ("q", "k"),
    ("x", "ks"),
    ("y", "i"),
    ("j", "i"),
    ("v", "f"),
    ("z", "s"),
];

/// How a word sounds, roughly and in any language: good enough to tell a way of spelling from another name.
fn sound(plain: &str) -> String {
    let mut out = String::with_capacity(plain.len());
    let mut rest = plain;
    while let Some(letter) = rest.chars().next() {
        let known = SOUNDS.iter().find(|(written, _)| rest.starts_with(written));
        let (taken, sounds) = match known {
            Some((written, sounds)) => (written.len(), *sounds),
            None => (letter.len_utf8(), &rest[..letter.len_utf8()]),
        };
        for letter in sounds.chars() {
            // An h that only lengthens a vowel, and the second of two equal letters, are not heard.
            let is_silent = letter == 'h' && !out.is_empty() || out.ends_with(letter);
            if !is_silent {
                out.push(letter);
            }
        }
        rest = &rest[taken..];
    }
    out
}

impl Word {
    /// The consonants by which candidates are looked for: near spellings and most slips of the pen fall together.
    pub(crate) fn code(&self) -> String {
        let mut code = String::new();
        for letter in self.sound.chars() {
            let class = match letter {
                'a' | 'e' | 'i' | 'o' | 'u' | 'h' if code.is_empty() => 'a',
                'a' | 'e' | 'i' | 'o' | 'u' | 'h' => continue,
                'b' | 'p' => 'b',
                'd' | 't' => 'd',
                'g' | 'k' => 'g',
                'f' | 'v' | 'w' => 'f',
                's' | 'z' => 's',
                'm' | 'n' => 'm',
                other => other,
            };
            if !code.ends_with(class) && code.len() < 8 {
                code.push(class);
            }
        }
        code
    }

    /// Whether this is a single letter.
    pub(crate) fn is_initial(&self) -> bool {
        self.plain.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Word {
        words(text).swap_remove(0)
    }

    #[test]
    fn spellings_of_one_name_sound_alike() {
        for (one, other) in [
            ("Müller", "Mueller"),
            ("Müller", "MULLER"),
            ("Meier", "Mayer"),
            ("Stephan", "Stefan"),
            ("Schmidt", "Schmitt"),
            ("Jannik", "Yannick"),
            ("Groß", "Gross"),
            ("Иванов", "Ivanov"),
        ] {
            assert_eq!(word(one).sound, word(other).sound, "{one} and {other}");
        }
    }

    #[test]
    fn names_of_twins_do_not_sound_alike() {
        for (one, other) in [("Lena", "Lina"), ("Jan", "Jana"), ("Marie", "Maria"), ("Tim", "Tom")] {
            assert_ne!(word(one).sound, word(other).sound, "{one} and {other}");
        }
    }

    #[test]
    fn words_end_at_hyphens_and_not_at_apostrophes() {
        let plain = |text: &str| words(text).into_iter().map(|word| word.plain).collect::<Vec<_>>();
        assert_eq!(plain("Neff-Wingeier"), ["neff", "wingeier"]);
        assert_eq!(plain("O’Brien d'Angelo"), ["obrien", "dangelo"]);
        assert_eq!(plain(" \u{0} 🦀 "), [""; 0]);
        assert_eq!(plain(&"x".repeat(30_000)).first().map(String::len), Some(WORD));
    }
}
