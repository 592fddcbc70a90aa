//! The narrative: formatted text and nothing that acts (FHIR R4 narrative, txt-1 and txt-2).

/// Elements a narrative may use.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "b",
    "big",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "q",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "ul",
    "var",
];

const NOT_A_DIV: &str = "A narrative is one div element.";
const MALFORMED: &str = "The narrative is not well-formed XHTML.";
const ACTIVE: &str = "The narrative holds an element or attribute that is not formatting; scripts, forms, frames and event \
                      attributes are refused.";

/// Says what is wrong with a narrative.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let text = text.trim();
    if !text.starts_with("<div") || !text.ends_with('>') {
        return Err(NOT_A_DIV);
    }
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    let mut begun = false;
    while let Some(at) = rest.find('<') {
        if begun && open.is_empty() {
            return Err(NOT_A_DIV);
        }
        begun = true;
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = &comment[comment.find("-->").ok_or(MALFORMED)? + 3..];
            continue;
        }
        let end = end_of_tag(rest).ok_or(MALFORMED)?;
        tag(&rest[1..end], &mut open)?;
        rest = &rest[end + 1..];
    }
    if open.is_empty() { Ok(()) } else { Err(MALFORMED) }
}

/// The `>` of a tag; one within quotes does not count.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    text.bytes().enumerate().find_map(|(index, byte)| {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (None, b'>') => return Some(index),
            _ => {}
        }
        None
    })
}

fn tag<'a>(text: &'a str, open: &mut Vec<&'a str>) -> Result<(), &'static str> {
    if let Some(name) = text.strip_prefix('/') {
        return if open.pop() == Some(name.trim_end()) { Ok(()) } else { Err(MALFORMED) };
    }
    let (text, empty) = text.strip_suffix('/').map_or((text, false), |text| (text, true));
    let length = text.find(char::is_whitespace).unwrap_or(text.len());
    let (name, attributes) = text.split_at(length);
    if !ELEMENTS.contains(&name) {
        return Err(ACTIVE);
    }
    check_attributes(attributes)?;
    if !empty {
        open.push(name);
    }
    Ok(())
}

fn check_attributes(text: &str) -> Result<(), &'static str> {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, tail) = rest.split_once('=').ok_or(MALFORMED)?;
        let tail = tail.trim_start();
        let quote = tail.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or(ACTIVE)?;
        let (value, tail) = tail[1..].split_once(quote).ok_or(MALFORMED)?;
        let name = name.trim().to_ascii_lowercase();
        if name.starts_with("on") || name.contains(char::is_whitespace) || !is_harmless(&name, value) {
            return Err(ACTIVE);
        }
        rest = tail.trim_start();
    }
    Ok(())
}

/// Links lead to pages, mail or within; they do not run.
fn is_harmless(name: &str, value: &str) -> bool {
    if !matches!(name, "href" | "src" | "longdesc" | "cite" | "background" | "style") {
        return true;
    }
    // Entities and space hide a scheme; a scheme has none of them.
    let bare: String = value.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let bare = bare.to_ascii_lowercase();
    let scheme = bare.split_once(':').map(|(scheme, _)| scheme);
    match name {
        "style" => !bare.contains("expression(") && !bare.contains("javascript:") && !bare.contains("url("),
        _ => scheme.is_none_or(|scheme| {
            (scheme.contains(['/', '?', '#', '.']) && !scheme.contains("&#"))
                || matches!(scheme, "http" | "https" | "mailto" | "tel" | "urn")
                || bare.starts_with("data:image/")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatted_text_passes() {
        for text in [
            "<div xmlns=\"http://www.w3.org/1999/xhtml\">Comment</div>",
            " <div xmlns='http://www.w3.org/1999/xhtml'><p class=\"a>b\">x<br/>y &amp; z</p><!-- <script> --><img src=\"#p\" alt='' /></div>",
            "<div><a href=\"https://example.org/a?b=1:2\">x</a><table><tr><td style=\"color: red\">1</td></tr></table></div>",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_acts_or_is_broken_is_refused() {
        for text in [
            "",
            "text",
            "<div>",
            "<p>x</p>",
            "<div><p></div></p>",
            "<div></div><div></div>",
            "<div><img src=x onerror=alert(1)></div>",
            "<div><img src=\"x\" onerror=\"alert(1)\"/></div>",
            "<div><script>1</script></div>",
            "<div onclick='x'>a</div>",
            "<div><a href=\" java&#x09;script:x\">a</a></div>",
            "<div><a href=\"javascript:x\">a</a></div>",
            "<div><iframe/></div>",
            "<div><SCRIPT/></div>",
            "<div><!DOCTYPE x></div>",
            "<div><a href=\"x\"onclick=\"y\">a</a></div>",
            "<div><p style=\"background:url(x)\"></p></div>",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text in "<div[a-z<>/=\"' !-]{0,40}") {
            let _ = check(&text);
        }
    }
}
