//! What makes words and names from elsewhere harmless: control and bidirectional characters on a terminal, file names.

/// Whether a character may change how a terminal shows the rest.
fn hostile(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Words for one line of a terminal or table: hostile characters are shown escaped.
pub(crate) fn line(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' => " ".to_owned(),
            '\t' => " ".to_owned(),
            '\r' => String::new(),
            c if hostile(c) && (c as u32) < 0x100 => format!("\\x{:02x}", c as u32),
            c if hostile(c) => format!("\\u{{{:x}}}", c as u32),
            c => c.to_string(),
        })
        .collect()
}

/// JSON text for any place: hostile characters, which can only stand in strings, become `\u` escapes. The value stays the same.
pub(crate) fn json(text: &str) -> String {
    if !text.chars().any(|c| hostile(c) && !matches!(c, '\n' | '\r' | '\t')) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if hostile(character) && !matches!(character, '\n' | '\r' | '\t') {
            for unit in character.encode_utf16(&mut [0; 2]) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Names some systems give to devices, whatever their extension.
const DEVICES: &[&str] = &[
    "con", "prn", "aux", "nul", "com0", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt0", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// Longest name we write, in bytes.
const LONGEST: usize = 120;

/// A file name that stays in its directory, from words somebody else chose; none if nothing is left of them.
pub(crate) fn file_name(suggested: &str) -> Option<String> {
    let last = suggested.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last
        .chars()
        .map(|c| if hostile(c) || "<>:\"|?*$`'&;\u{200e}\u{200f}".contains(c) { '_' } else { c })
        .collect();
    let trimmed = plain.trim().trim_start_matches(['.', '-', '~']).trim_end_matches(['.', ' ']);
    let stem = trimmed.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let named = if DEVICES.contains(&stem.as_str()) { format!("_{trimmed}") } else { trimmed.to_owned() };
    let short = shorten(&named);
    (!short.is_empty() && short.chars().any(char::is_alphanumeric)).then_some(short)
}

/// Cuts the stem, not the extension.
fn shorten(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= 16 => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let mut end = LONGEST - extension.len();
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &stem[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_controls_and_bidirectional_overrides_are_shown_not_obeyed() {
        assert_eq!(line("a\x1b]0;pwned\x07\x1b[2J\u{202e}b\nc"), "a\\x1b]0;pwned\\x07\\x1b[2J\\u{202e}b c");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let text = "{\"title\":\"a\u{202e}\u{9b}b\"}";
        let safe = json(text);
        assert!(!safe.contains('\u{202e}') && !safe.contains('\u{9b}'));
        let (before, after): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(text).unwrap(), serde_json::from_str(&safe).unwrap());
        assert_eq!(before, after);
    }

    #[test]
    fn a_file_name_never_leaves_its_directory() {
        assert_eq!(file_name("../../.bashrc").as_deref(), Some("bashrc"));
        assert_eq!(file_name("/etc/x").as_deref(), Some("x"));
        assert_eq!(file_name("C:\\Windows\\system.ini").as_deref(), Some("system.ini"));
        assert_eq!(file_name("CON").as_deref(), Some("_CON"));
        assert_eq!(file_name("nul.txt").as_deref(), Some("_nul.txt"));
        assert_eq!(file_name("-rf").as_deref(), Some("rf"));
        assert_eq!(file_name("a\x1b[2Jb.pdf").as_deref(), Some("a_[2Jb.pdf"));
        for nothing in ["", "..", ".", "/", "...", "__"] {
            assert_eq!(file_name(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_long_file_name_keeps_its_extension() {
        let name = file_name(&format!("{}.pdf", "ä".repeat(300))).unwrap();
        assert!(name.len() <= LONGEST && name.ends_with("ä.pdf"), "{name}");
    }
}
