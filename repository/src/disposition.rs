//! What a document is called when it is saved.

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

/// Characters of a title that make it into a file name, so that the ending survives the limit of the header.
const LONGEST: usize = 100;

/// The media type without parameters, in lower case.
pub(crate) fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A file name for a document of this title and type: the title, with the ending of its type if it has none. What could
/// mislead a header or a file system is taken out where the header is written.
pub(crate) fn file_name(title: Option<&str>, content_type: &str) -> String {
    let title: String = title.unwrap_or("document").trim().chars().take(LONGEST).collect();
    let essence = essence(content_type);
    match ENDINGS.iter().find(|(known, _)| *known == essence) {
        Some((_, ending)) if !has_ending(&title) => format!("{title}.{ending}"),
        Some(_) | None => title,
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
        assert_eq!(file_name(Some("Discharge letter"), "text/plain; charset=utf-8"), "Discharge letter.txt");
        assert_eq!(file_name(Some("report.pdf"), "application/pdf"), "report.pdf");
        assert_eq!(file_name(Some("Dr. Brown 12.4"), "application/pdf"), "Dr. Brown 12.4.pdf");
        assert_eq!(file_name(None, "application/x-unknown"), "document");
        assert_eq!(file_name(Some(&"x".repeat(4096)), "image/png").len(), 104);
    }
}
