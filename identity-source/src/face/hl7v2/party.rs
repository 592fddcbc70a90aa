//! Small data types of HL7 v2: who assigned something, and where somebody is reached.

use hl7v2::{Authority, Part};
use serde_json::{Map, Value, json};
use xds::authority::Authorities;
use xds::hl7::{Hd, clean};

/// An authority as the configuration is asked for it.
pub(super) fn hd(authority: &Authority) -> Hd {
    Hd {
        namespace: authority.namespace.clone(),
        universal_id: authority.universal_id.clone(),
        universal_type: authority.universal_id_type.clone(),
    }
}

/// The same, the other way round.
pub(super) fn authority(hd: Hd) -> Authority {
    let Hd { namespace, universal_id, universal_type } = hd;
    Authority { namespace, universal_id, universal_id_type: universal_type }
}

/// The system of the identifiers of an authority, if it is a configured one.
pub(super) fn system(authority: &Authority, authorities: &Authorities) -> Option<String> {
    if authority.is_empty() {
        return None;
    }
    authorities.named(&hd(authority)).map(|known| known.system())
}

/// XTN: a number or an address of mail, at home or at work.
pub(super) fn phone(part: Part<'_>, place: &str) -> Option<Value> {
    let text = |number: usize| {
        let part = part.component(number);
        if part.is_null() { String::new() } else { clean(&part.text()) }
    };
    let (usage, equipment) = (text(2), text(3));
    let mail = text(4);
    let is_mail = usage == "NET" || matches!(equipment.as_str(), "Internet" | "X.400");
    let first = text(1);
    let (system, value) = if !mail.is_empty() {
        ("email", mail)
    } else if is_mail || first.contains('@') {
        ("email", first)
    } else {
        let kind = match equipment.as_str() {
            "FX" => "fax",
            "BP" => "pager",
            _ => "phone",
        };
        let number = if first.is_empty() { composed(&[text(5), text(6), text(7), text(8)]) } else { first };
        (kind, if number.is_empty() { text(12) } else { number })
    };
    if value.is_empty() {
        return None;
    }
    let place = if equipment == "CP" && place == "home" { "mobile" } else { place };
    let mut point = Map::new();
    point.insert("system".to_owned(), json!(system));
    point.insert("value".to_owned(), json!(value));
    point.insert("use".to_owned(), json!(place));
    Some(Value::Object(point))
}

/// A number in pieces: country, area, number, extension.
fn composed([country, area, number, extension]: &[String; 4]) -> String {
    let country =
        if country.is_empty() { String::new() } else { format!("+{}", country.trim_start_matches('+')) };
    let extension = if extension.is_empty() { String::new() } else { format!("ext. {extension}") };
    let all = [country.as_str(), area, number, &extension];
    if number.is_empty() {
        return String::new();
    }
    all.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
