//! The media type of a file, from how it begins.

use std::path::Path;

use crate::token::Code;

/// Bytes looked at.
pub(crate) const LOOK: usize = 4096;

const MAGIC: &[(&[u8], &str)] = &[
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"PK\x03\x04", "application/zip"),
    (b"{\\rtf", "application/rtf"),
];

/// The media type of content that begins like this, in a file of this name.
pub(crate) fn media_type(head: &[u8], path: &Path) -> &'static str {
    if let Some((_, found)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return found;
    }
    if head.get(128..132) == Some(b"DICM") {
        return "application/dicom";
    }
    // A character cut in two at the end of what we look at does not make a text binary.
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if head.len() >= LOOK && error.valid_up_to() + 4 > head.len() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return "application/octet-stream",
    };
    if text.contains('\0') {
        "application/octet-stream"
    } else {
        of_text(text.trim_start_matches('\u{feff}').trim_start(), path)
    }
}

fn of_text(text: &str, path: &Path) -> &'static str {
    let extension =
        path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
    let lower = text.get(..text.len().min(256)).unwrap_or(text).to_ascii_lowercase();
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        return "text/html";
    }
    if text.starts_with("<?xml") || text.starts_with('<') {
        return if text.contains("http://hl7.org/fhir") { "application/fhir+xml" } else { "text/xml" };
    }
    if text.starts_with('{') {
        return if text.contains("\"resourceType\"") { "application/fhir+json" } else { "application/json" };
    }
    match extension.as_str() {
        "csv" => "text/csv",
        "md" => "text/markdown",
        "json" => "application/json",
        _ => "text/plain",
    }
}

/// The format code where the media type says it all; none where the content has a structure only its author can name.
pub(crate) fn format(media_type: &str) -> Option<Code> {
    let structured = matches!(
        media_type,
        "text/xml" | "application/fhir+xml" | "application/fhir+json" | "application/xml"
    );
    (!structured).then(|| Code {
        system: "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode".into(),
        code: "urn:ihe:iti:xds:2017:mimeTypeSufficient".into(),
        display: Some("mimeType Sufficient".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_follows_from_how_the_content_begins() {
        let of = |head: &[u8], name: &str| media_type(head, Path::new(name));
        assert_eq!(of(b"%PDF-1.4", "x"), "application/pdf");
        assert_eq!(of(b"\x89PNG\r\n\x1a\n..", "x.txt"), "image/png");
        assert_eq!(of(b"<?xml version='1.0'?><ClinicalDocument xmlns='urn:hl7-org:v3'/>", "x"), "text/xml");
        assert_eq!(of(b"<Bundle xmlns=\"http://hl7.org/fhir\"/>", "x"), "application/fhir+xml");
        assert_eq!(of(b"{\"resourceType\":\"Bundle\"}", "x"), "application/fhir+json");
        assert_eq!(of("Grüße".as_bytes(), "x.txt"), "text/plain");
        assert_eq!(of(b"a\0b", "x"), "application/octet-stream");
        assert_eq!(of(b"", "x"), "text/plain");
    }

    #[test]
    fn a_character_cut_in_two_is_still_text() {
        let mut head = vec![b'a'; LOOK - 1];
        head.push("ü".as_bytes()[0]);
        assert_eq!(media_type(&head, Path::new("x")), "text/plain");
    }
}
