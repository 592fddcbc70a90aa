//! Telephone numbers and other points of contact (TEL) as FHIR ContactPoints, and back.

use ebxml::{Element, Writer};
use serde_json::{Map, Value, json};

use crate::value;

/// How the schemes of addresses are called in FHIR.
const SCHEMES: &[(&str, &str)] =
    &[("tel:", "phone"), ("fax:", "fax"), ("x-text-fax:", "fax"), ("mailto:", "email")];

/// Reads one; none where it says nothing.
pub(crate) fn read(element: &Element) -> Option<Value> {
    let told = xds::hl7::clean(&value(element, "value"));
    if told.is_empty() {
        return None;
    }
    let scheme = SCHEMES.iter().find(|(scheme, _)| told.starts_with(scheme));
    let (system, number) = match scheme {
        Some((scheme, system)) => (*system, told[scheme.len()..].trim()),
        None if told.contains("://") => ("url", told.as_str()),
        None => ("other", told.as_str()),
    };
    if number.is_empty() {
        return None;
    }
    let mut point = Map::new();
    point.insert("system".to_owned(), json!(system));
    point.insert("value".to_owned(), json!(number));
    let usage = value(element, "use");
    // What a thing is says more than where it stands.
    let usage = ["MC", "BAD", "TMP", "HP", "H", "HV", "WP", "DIR", "PUB"]
        .into_iter()
        .find(|known| usage.split_whitespace().any(|usage| usage == *known));
    let usage = match usage {
        Some("MC") => Some("mobile"),
        Some("BAD") => Some("old"),
        Some("TMP") => Some("temp"),
        Some("HP" | "H" | "HV") => Some("home"),
        Some(_) => Some("work"),
        None => None,
    };
    if let Some(usage) = usage {
        point.insert("use".to_owned(), json!(usage));
    }
    Some(Value::Object(point))
}

/// Writes one, if it says anything.
pub(crate) fn write(xml: &mut Writer, point: &Value) {
    let text = |member: &str| point.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(number) = text("value") else { return };
    let scheme = match text("system") {
        Some("phone" | "sms") => "tel:",
        Some("fax") => "fax:",
        Some("email") => "mailto:",
        _ => "",
    };
    let usage = match text("use") {
        Some("home") => Some("HP"),
        Some("work") => Some("WP"),
        Some("mobile") => Some("MC"),
        Some("temp") => Some("TMP"),
        Some("old") => Some("BAD"),
        _ => None,
    };
    xml.start("telecom").attribute("value", &format!("{scheme}{number}")).optional("use", usage).end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NAMESPACE, element};

    #[test]
    fn a_point_of_contact_comes_back_as_it_was() {
        for point in [
            json!({ "system": "phone", "value": "+41 44 1", "use": "home" }),
            json!({ "system": "fax", "value": "012-0004", "use": "work" }),
            json!({ "system": "email", "value": "a@b.ch" }),
            json!({ "system": "url", "value": "http://a.example/x", "use": "old" }),
            json!({ "system": "phone", "value": "079", "use": "mobile" }),
        ] {
            let mut xml = Writer::default();
            xml.start("a").attribute("xmlns", NAMESPACE);
            write(&mut xml, &point);
            let written = element(&String::from_utf8(xml.finish()).expect("it is UTF-8"));
            assert_eq!(written.children.first().and_then(read), Some(point));
        }
    }

    #[test]
    fn an_empty_one_is_none() {
        for told in ["<telecom value=''/>", "<telecom nullFlavor='UNK'/>", "<telecom value='tel:'/>"] {
            assert_eq!(read(&element(told)), None, "{told}");
        }
    }
}
