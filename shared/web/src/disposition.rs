//! `Content-Disposition` (RFC 6266, RFC 8187).

use std::fmt::Write;

use http::HeaderValue;

/// Characters of a file name, at most.
const MAX_NAME: usize = 120;

/// `inline` or `attachment` with a file name, if one is left of the title once everything that could mislead a header, a
/// shell or a file system is taken out. The name is given twice when it is not plain ASCII.
pub fn content_disposition(inline: bool, title: Option<&str>) -> HeaderValue {
    let kind = if inline { "inline" } else { "attachment" };
    let mut line = kind.to_owned();
    if let Some(name) = title.and_then(file_name) {
        let plain: String = name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
        line.push_str(&format!("; filename=\"{plain}\""));
        if plain != name {
            line.push_str("; filename*=UTF-8''");
            for byte in name.bytes() {
                if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                    line.push(char::from(byte));
                } else {
                    // Writing to a String cannot fail.
                    let _ = write!(line, "%{byte:02X}");
                }
            }
        }
    }
    HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static("attachment"))
}

fn file_name(title: &str) -> Option<String> {
    let misleading = |c: char| {
        c.is_control()
            || r#""\/:*?<>|%"#.contains(c)
            // Marks that reverse or hide text make a name look like another.
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let name: String = title.chars().map(|c| if misleading(c) { '_' } else { c }).take(MAX_NAME).collect();
    let name = name.trim().trim_start_matches('.').trim_end_matches(['.', ' ']);
    (!name.is_empty() && name.chars().any(|c| c != '_')).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(title: &str) -> String {
        content_disposition(false, Some(title)).to_str().expect("ASCII").to_owned()
    }

    #[test]
    fn a_plain_title_becomes_the_name() {
        assert_eq!(line("Letter 1.pdf"), "attachment; filename=\"Letter 1.pdf\"");
        assert_eq!(content_disposition(true, None), "inline");
    }

    #[test]
    fn a_title_in_other_letters_is_given_in_both_forms() {
        assert_eq!(
            line("Entlassung Mü.pdf"),
            "attachment; filename=\"Entlassung M_.pdf\"; filename*=UTF-8''Entlassung%20M%C3%BC.pdf"
        );
    }

    #[test]
    fn a_title_cannot_break_out_of_the_header() {
        assert_eq!(line("a\"\r\nSet-Cookie: x"), "attachment; filename=\"a___Set-Cookie_ x\"");
        assert_eq!(line("../../etc/passwd"), "attachment; filename=\"_.._etc_passwd\"");
        assert_eq!(line("\r\n"), "attachment");
        assert_eq!(line("..."), "attachment");
        assert!(line(&"ä".repeat(5000)).len() < 1000);
    }
}
