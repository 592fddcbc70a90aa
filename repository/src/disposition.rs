//! `Content-Disposition` of a document: shown or saved, and under which name (RFC 6266).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters of a file name beside the percent-encoded ones (RFC 8187 attr-char).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Characters of a file name, at most.
const LONGEST: usize = 120;

/// File name endings of common types.
const ENDINGS: &[(&str, &str)] = &[
    ("text/plain", "txt"),
    ("text/html", "html"),
    ("text/xml", "xml"),
    ("application/xml", "xml"),
    ("application/hl7-v3+xml", "xml"),
    ("application/fhir+xml", "xml"),
    ("application/fhir+json", "json"),
    ("application/json", "json"),
    ("application/pdf", "pdf"),
    ("application/rtf", "rtf"),
    ("application/dicom", "dcm"),
    ("image/png", "png"),
    ("image/jpeg", "jpg"),
    ("image/gif", "gif"),
    ("image/tiff", "tif"),
    ("image/svg+xml", "svg"),
];

/// The media type without parameters, in lower case.
pub(crate) fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The `filename` parameters for a document of this title and type: ready to stand behind `inline; ` or `attachment; `.
/// A name that is plain ASCII comes once, any other also in the extended form.
pub(crate) fn filename(title: Option<&str>, content_type: &str) -> String {
    let name = file_name(title, &essence(content_type));
    let plain: String = name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    if plain == name {
        return format!("filename=\"{plain}\"");
    }
    format!("filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(&name, ENCODED))
}

/// A name no file system, shell or header takes offence at.
fn file_name(title: Option<&str>, essence: &str) -> String {
    let mut name: String = title
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_control() || "\"\\/:*?<>|;%".contains(c) { '_' } else { c })
        .take(LONGEST)
        .collect();
    name = name.trim_matches([' ', '.', '_']).to_owned();
    if name.is_empty() {
        name.push_str("document");
    }
    let ending = ENDINGS.iter().find(|(known, _)| *known == essence).map(|(_, ending)| *ending);
    match ending {
        Some(ending) if !has_ending(&name) => format!("{name}.{ending}"),
        _ => name,
    }
}

fn has_ending(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, ending)| {
        !stem.is_empty()
            && (1..=5).contains(&ending.len())
            && ending.bytes().all(|b| b.is_ascii_alphanumeric())
            && ending.bytes().any(|b| b.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_becomes_a_file_name_with_the_ending_of_its_type() {
        assert_eq!(filename(Some("Discharge letter"), "text/plain"), "filename=\"Discharge letter.txt\"");
        assert_eq!(filename(Some("report.pdf"), "application/pdf"), "filename=\"report.pdf\"");
        assert_eq!(filename(Some("Dr. Brown 12.4"), "application/pdf"), "filename=\"Dr. Brown 12.4.pdf\"");
        assert_eq!(filename(None, "application/x-unknown"), "filename=\"document\"");
    }

    #[test]
    fn a_title_in_other_letters_comes_in_both_forms() {
        let both = filename(Some("Müller"), "text/plain; charset=utf-8");
        assert_eq!(both, "filename=\"M_ller.txt\"; filename*=UTF-8''M%C3%BCller.txt");
    }

    #[test]
    fn a_title_cannot_leave_its_quotes_or_its_line() {
        let poisoned = filename(Some("a\r\nSet-Cookie: x=y\".pdf"), "application/pdf");
        assert!(!poisoned.contains(['\r', '\n']));
        assert_eq!(poisoned.matches('"').count(), 2);
        let long = filename(Some(&"\"".repeat(4096)), "text/plain");
        assert_eq!(long, "filename=\"document.txt\"");
        assert!(filename(Some(&"x".repeat(4096)), "text/plain").len() < 200);
        assert_eq!(filename(Some("../../etc/passwd"), "a/b"), "filename=\"etc_passwd\"");
    }
}
