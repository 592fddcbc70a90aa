//! `codes.xml`, the form in which the framework's test tools and many products exchange the codes of a domain.
//!
//! ```xml
//! <Codes>
//!   <CodeType name="classCode" classScheme="urn:uuid:…">
//!     <Code code="…" display="…" codingScheme="1.2.3" system="http://…"/>
//!   </CodeType>
//!   <AssigningAuthority id="&amp;1.2.3&amp;ISO" display="…"/>
//! </Codes>
//! ```

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use xds::Code;
use xds::affinity::{Authority, CodeSet, Coded, Domain};

use crate::file::Draft;

/// Codes in one file.
const MOST_CODES: usize = 500_000;

/// Reads a file into what has been gathered so far. Refuses what is not well-formed, a document type, and an unknown element.
pub(crate) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("the file is not UTF-8: {error}"))?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let line = |at: u64| text[..(at as usize).min(text.len())].matches('\n').count() + 1;
    let mut open: Option<(Option<Coded>, CodeSet)> = None;
    let (mut depth, mut codes, mut root) = (0usize, 0usize, false);
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|error| format!("line {}: {error}", line(at)))?;
        let fault = |words: String| Err(format!("line {}: {words}", line(at)));
        let (element, empty) = match event {
            Event::Eof if depth == 0 && root => return Ok(()),
            Event::Eof => return fault("the file ends before its elements do".to_owned()),
            Event::DocType(_) => return fault("a document type has no place in a codes.xml".to_owned()),
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                if depth == 1
                    && let Some((attribute, set)) = open.take()
                {
                    draft.add_list(attribute, set);
                }
                continue;
            }
            Event::Start(element) => (element, false),
            Event::Empty(element) => (element, true),
            Event::Text(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::CData(_) => continue,
            Event::GeneralRef(_) => continue,
        };
        let attributes = attributes(&element).map_err(|words| format!("line {}: {words}", line(at)))?;
        let named = |name: &str| attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.trim());
        match (element.name().as_ref(), depth) {
            ("Codes", 0) => root = true,
            ("CodeType", 1) => {
                let Some(name) = named("name") else { return fault("a CodeType has no name".to_owned()) };
                let attribute = Coded::named(name);
                if attribute.is_none() {
                    draft.remark(format!(
                        "line {}: the code type {name} restricts nothing that is known here",
                        line(at)
                    ));
                }
                let set = CodeSet::new(name, Vec::new());
                if empty {
                    draft.add_list(attribute, set);
                } else {
                    open = Some((attribute, set));
                }
            }
            ("Code", 2) => {
                let Some((_, set)) = &mut open else {
                    return fault("a Code stands outside of a CodeType".to_owned());
                };
                let Some(code) = named("code").filter(|code| !code.is_empty()) else {
                    return fault("a Code has no code".to_owned());
                };
                codes += 1;
                if codes > MOST_CODES {
                    return fault(format!("there are more than {MOST_CODES} codes"));
                }
                let scheme = named("codingScheme").filter(|scheme| !scheme.is_empty());
                let system = named("system").filter(|system| !system.is_empty());
                if let (Some(scheme), Some(system)) = (scheme, system) {
                    draft.learn(scheme, system);
                }
                set.codes.push(Code {
                    system: system.map(str::to_owned).or_else(|| scheme.map(urn)).unwrap_or_default(),
                    code: code.to_owned(),
                    display: named("display").filter(|display| !display.is_empty()).map(str::to_owned),
                });
            }
            ("AssigningAuthority", 1) => {
                let id = named("id").unwrap_or_default();
                let oid = id.split('&').find(|part| xds::identifier::is_oid(part));
                let Some(oid) = oid else {
                    return fault(format!("the assigning authority {id:?} has no OID"));
                };
                let display = named("display").unwrap_or_default().to_owned();
                draft.authorities.push(Authority { oid: oid.to_owned(), display });
            }
            (name, _) => {
                return fault(format!(
                    "the element {name} has no place here; a codes.xml has Codes, CodeType, Code, AssigningAuthority"
                ));
            }
        }
        depth += usize::from(!empty);
    }
}

/// An OID as FHIR writes it; anything else as it is.
fn urn(scheme: &str) -> String {
    if xds::identifier::is_oid(scheme) { format!("urn:oid:{scheme}") } else { scheme.to_owned() }
}

fn attributes(element: &BytesStart<'_>) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let name = attribute.key.as_ref().to_owned();
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
        found.push((name, value.into_owned()));
    }
    Ok(found)
}

/// Writes a domain as a codes.xml.
pub fn write(domain: &Domain) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Codes>\n");
    for (attribute, set) in domain.sets() {
        let scheme =
            attribute.scheme().map(|scheme| format!(" classScheme=\"{scheme}\"")).unwrap_or_default();
        out.push_str(&format!("    <CodeType name=\"{}\"{scheme}>\n", attribute.name()));
        for code in &set.codes {
            out.push_str(&format!("        <Code code=\"{}\"", escaped(&code.code)));
            if let Some(display) = &code.display {
                out.push_str(&format!(" display=\"{}\"", escaped(display)));
            }
            if !code.system.is_empty() {
                let scheme = domain.systems().canonical(&code.system);
                out.push_str(&format!(" codingScheme=\"{}\"", escaped(&scheme)));
                if let Some(url) = url_of(domain, &code.system) {
                    out.push_str(&format!(" system=\"{}\"", escaped(&url)));
                }
            }
            out.push_str("/>\n");
        }
        out.push_str("    </CodeType>\n");
    }
    for authority in domain.authorities() {
        let (oid, display) = (escaped(&authority.oid), escaped(&authority.display));
        out.push_str(&format!("    <AssigningAuthority id=\"&amp;{oid}&amp;ISO\" display=\"{display}\"/>\n"));
    }
    out.push_str("</Codes>\n");
    out
}

/// The URL of a system: as it is written, or one that was learned.
fn url_of(domain: &Domain, system: &str) -> Option<String> {
    let is_url = |name: &str| name.contains("://");
    if is_url(system) {
        return Some(system.to_owned());
    }
    domain.systems().spellings(system).into_iter().find(|name| is_url(name))
}

fn escaped(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"<?xml version="1.0"?>
<!-- a comment -->
<Codes>
  <CodeType name="classCode" classScheme="urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a">
    <Code code="R&amp;D" display="&quot;Report&quot;" codingScheme="1.2.3" system="http://region.example/class"/>
    <Code code="x" codingScheme="1.2.4"/>
  </CodeType>
  <CodeType name="mimeType"><Code code="text/plain" ext="txt"/></CodeType>
  <CodeType name="colour"><Code code="red"/></CodeType>
  <AssigningAuthority id="&amp;1.3.6.1&amp;ISO" display="RED"/>
</Codes>"#;

    fn domain(text: &str) -> Result<(Domain, Vec<String>), String> {
        let mut draft = Draft::default();
        read(text.as_bytes(), &mut draft)?;
        let loaded = draft.finish(&[])?;
        Ok((loaded.domain, loaded.remarks))
    }

    #[test]
    fn a_codes_xml_is_read_whole() {
        let (domain, remarks) = domain(SAMPLE).unwrap();
        let classes = domain.set(Coded::ClassCode).unwrap();
        assert_eq!(classes.codes[0].code, "R&D");
        assert_eq!(classes.codes[0].display.as_deref(), Some("\"Report\""));
        assert_eq!(classes.codes[0].system, "http://region.example/class");
        assert_eq!(classes.codes[1].system, "urn:oid:1.2.4");
        assert_eq!(domain.systems().canonical("http://region.example/class"), "1.2.3");
        assert_eq!(domain.set(Coded::MimeType).unwrap().codes[0].code, "text/plain");
        assert_eq!(domain.authorities()[0].oid, "1.3.6.1");
        assert!(remarks.iter().any(|remark| remark.contains("colour")), "{remarks:?}");
    }

    #[test]
    fn what_was_written_is_read_again_as_it_was() {
        let (before, _) = domain(SAMPLE).unwrap();
        let (after, _) = domain(&write(&before)).unwrap();
        assert!(xds::affinity::compare(&before, &after).is_empty());
        assert_eq!(before.authorities(), after.authorities());
        assert_eq!(after.systems().canonical("http://region.example/class"), "1.2.3");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, words) in [
            (
                "<Codes>\n<CodeType name='classCode'>\n<Code/></CodeType></Codes>",
                "line 3: a Code has no code",
            ),
            ("<Codes>\n<Kode/></Codes>", "line 2: the element Kode"),
            ("<!DOCTYPE x [<!ENTITY a 'b'>]><Codes/>", "document type"),
            ("<Codes><CodeType name='classCode'>", "ends before"),
            ("<Codes><CodeType name='classCode'></Codes>", "line 1"),
        ] {
            let told = domain(text).unwrap_err();
            assert!(told.contains(words), "{told}");
        }
    }
}
