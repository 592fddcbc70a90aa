//! PID: what is known of a patient, as HL7 v2 writes it.

use hl7v2::Separators;
use serde_json::{Map, Value};
use xds::hl7::Hd;

/// An identifier with who assigned it, complete (CX.1 and CX.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// The identifier.
    pub(crate) value: String,
    /// Who assigned it.
    pub(crate) authority: Hd,
}

/// Identifiers beside the patient's own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside {
    /// The mother's: PID-21.
    pub(crate) mother: Vec<Named>,
    /// Accounts: PID-18.
    pub(crate) accounts: Vec<Named>,
}

/// CX: `7^^^RED&1.2.3&ISO`.
pub(crate) fn cx(named: &Named) -> String {
    let escape = |text: &str| Separators::default().escape(text);
    let Hd { namespace, universal_id, universal_type } = &named.authority;
    let mut authority = [namespace, universal_id, universal_type].map(|part| escape(part)).join("&");
    authority.truncate(authority.trim_end_matches('&').len());
    let mut out = format!("{}^^^{authority}", escape(&named.value));
    out.truncate(out.trim_end_matches('^').len());
    out
}

/// Several, as repetitions of a field.
pub(crate) fn cxs(identifiers: &[Named]) -> String {
    identifiers.iter().map(cx).collect::<Vec<_>>().join("~")
}

/// The segment, from PID-3 on as far as something is known: identifiers, names, mother's maiden name, birth, sex, addresses,
/// phones, marital status, account, mother's identifiers, multiple birth, death.
pub(crate) fn segment(patient: &Map<String, Value>, identifiers: &[Named], beside: &Beside) -> String {
    let mut fields = vec![String::new(); 31];
    fields[0] = "PID".to_owned();
    fields[3] = cxs(identifiers);
    fields[5] = joined(items(patient, "name").iter().map(name));
    fields[6] = mothers_name(patient).map(|name| format!("{}^^^^^^M", escape(&name))).unwrap_or_default();
    fields[7] = patient.get("birthDate").and_then(Value::as_str).map(day).unwrap_or_default();
    fields[8] = sex(patient).to_owned();
    fields[11] = joined(items(patient, "address").iter().map(address));
    let phones = |work: bool| {
        let points = items(patient, "telecom").iter();
        joined(points.filter(|point| (text(point, "use") == "work") == work).map(phone))
    };
    (fields[13], fields[14]) = (phones(false), phones(true));
    fields[16] = marital(patient).unwrap_or_default();
    // PID-18 does not repeat.
    fields[18] = beside.accounts.first().map(cx).unwrap_or_default();
    fields[21] = cxs(&beside.mother);
    match (patient.get("multipleBirthBoolean"), patient.get("multipleBirthInteger")) {
        (Some(Value::Bool(several)), _) => fields[24] = yes(*several),
        (_, Some(Value::Number(order))) => (fields[24], fields[25]) = (yes(true), order.to_string()),
        _ => {}
    }
    match (patient.get("deceasedBoolean"), patient.get("deceasedDateTime")) {
        (Some(Value::Bool(dead)), _) => fields[30] = yes(*dead),
        (_, Some(Value::String(when))) => (fields[29], fields[30]) = (moment(when), yes(true)),
        _ => {}
    }
    let mut out = fields.join("|");
    out.truncate(out.trim_end_matches('|').len());
    out
}

fn yes(yes: bool) -> String {
    if yes { "Y" } else { "N" }.to_owned()
}

fn escape(text: &str) -> String {
    Separators::default().escape(text)
}

fn items<'a>(patient: &'a Map<String, Value>, member: &str) -> &'a [Value] {
    patient.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// The texts of a list.
fn texts(value: &Value, member: &str) -> Vec<String> {
    let list = value.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(escape).collect()
}

/// Components with nothing behind the last that says something.
fn components(parts: &[String]) -> String {
    let mut out = parts.join("^");
    out.truncate(out.trim_end_matches('^').len());
    out
}

fn joined(repetitions: impl Iterator<Item = String>) -> String {
    repetitions.filter(|one| !one.is_empty()).collect::<Vec<_>>().join("~")
}

/// XPN: family, given, further given, suffix, prefix, degree (none), use.
fn name(name: &Value) -> String {
    let given = texts(name, "given");
    let (first, further) = given
        .split_first()
        .map_or((String::new(), String::new()), |(first, further)| (first.clone(), further.join(" ")));
    let family = match text(name, "family") {
        // A name that is only known as a whole stands where receivers look first.
        "" if first.is_empty() => text(name, "text"),
        family => family,
    };
    if family.is_empty() && first.is_empty() {
        return String::new();
    }
    let usage = match text(name, "use") {
        "nickname" => "N",
        "maiden" => "M",
        "anonymous" => "S",
        "usual" => "D",
        _ => "L",
    };
    let (suffix, prefix) = (texts(name, "suffix").join(" "), texts(name, "prefix").join(" "));
    components(&[escape(family), first, further, suffix, prefix, String::new(), usage.to_owned()])
}

fn mothers_name(patient: &Map<String, Value>) -> Option<String> {
    let of = items(patient, "extension").iter();
    let mut of = of.filter(|extension| text(extension, "url") == fhir::patient::MOTHERS_MAIDEN_NAME);
    of.find_map(|extension| extension.get("valueString")?.as_str().map(str::to_owned))
}

/// `YYYY[MM[DD]]` of a FHIR date.
fn day(date: &str) -> String {
    date.chars().filter(char::is_ascii_digit).take(8).collect()
}

/// `YYYYMMDDHHMMSS` of a FHIR dateTime, as far as it goes; a zone comes after it.
fn moment(when: &str) -> String {
    let (date, time) = when.split_once('T').unwrap_or((when, ""));
    let digits: String = date.chars().chain(time.chars().take(8)).filter(char::is_ascii_digit).collect();
    let zone =
        match time.get(8..).map(|rest| rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit())) {
            Some("Z") => "+0000".to_owned(),
            Some(zone) => zone.chars().filter(|c| matches!(c, '+' | '-') || c.is_ascii_digit()).collect(),
            None => String::new(),
        };
    digits + &zone
}

/// Table 0001.
fn sex(patient: &Map<String, Value>) -> &'static str {
    match patient.get("gender").and_then(Value::as_str) {
        Some("male") => "M",
        Some("female") => "F",
        Some("other") => "O",
        Some("unknown") => "U",
        _ => "",
    }
}

/// XAD: street, other designation, city, state, postal code, country, type.
fn address(address: &Value) -> String {
    let lines = texts(address, "line");
    let (street, other) = lines
        .split_first()
        .map_or((String::new(), String::new()), |(street, others)| (street.clone(), others.join(" ")));
    let part = |member: &str| escape(text(address, member));
    let mut parts =
        [street, other, part("city"), part("state"), part("postalCode"), part("country"), String::new()];
    if parts.iter().all(String::is_empty) {
        parts[0] = part("text");
    }
    if parts.iter().all(String::is_empty) {
        return String::new();
    }
    parts[6] = match (text(address, "use"), text(address, "type")) {
        ("home", _) => "H",
        ("work", _) => "O",
        ("temp", _) => "C",
        ("old", _) => "BA",
        (_, "postal") => "M",
        _ => "",
    }
    .to_owned();
    components(&parts)
}

/// XTN: number, use, equipment, mail address.
fn phone(point: &Value) -> String {
    let value = escape(text(point, "value"));
    if value.is_empty() {
        return String::new();
    }
    let home = if text(point, "use") == "work" { "WPN" } else { "PRN" };
    match text(point, "system") {
        "email" => format!("^NET^Internet^{value}"),
        "fax" => format!("{value}^{home}^FX"),
        "pager" => format!("{value}^BPN^BP"),
        "" | "phone" | "sms" if text(point, "use") == "mobile" => format!("{value}^{home}^CP"),
        "" | "phone" | "sms" => format!("{value}^{home}^PH"),
        _ => String::new(),
    }
}

fn marital(patient: &Map<String, Value>) -> Option<String> {
    let coding = patient.get("maritalStatus")?.get("coding")?.as_array()?.first()?;
    coding.get("code")?.as_str().map(escape)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(value: &str) -> Named {
        let authority =
            Hd { namespace: "RED".into(), universal_id: "1.2.3".into(), universal_type: "ISO".into() };
        Named { value: value.into(), authority }
    }

    #[test]
    fn a_patient_is_written_field_by_field() {
        let patient = json!({
            "name": [
                { "use": "official", "family": "Mohr|Berg", "given": ["Alice", "Zoë", "M."], "prefix": ["Dr."] },
                { "use": "maiden", "family": "Berger" },
            ],
            "birthDate": "1958-01-30", "gender": "female",
            "address": [{ "use": "home", "line": ["Main St 7", "Flat 2"], "city": "Bern", "postalCode": "3000", "country": "CH" }],
            "telecom": [
                { "system": "phone", "value": "031 1", "use": "home" },
                { "system": "email", "value": "a@b.ch" },
                { "system": "phone", "value": "031 2", "use": "work" },
            ],
            "maritalStatus": { "coding": [{ "code": "M" }] },
            "multipleBirthInteger": 2, "deceasedDateTime": "2020-05-06T07:08:09.12+02:00",
            "extension": [{ "url": fhir::patient::MOTHERS_MAIDEN_NAME, "valueString": "Kern" }],
        });
        let patient = patient.as_object().expect("is an object");
        let account = Named { value: "A-5".into(), authority: Hd::default() };
        let beside = Beside { mother: vec![named("M-1")], accounts: vec![account] };
        let written = segment(patient, &[named("7"), named("8&9")], &beside);
        let expected = "PID|||7^^^RED&1.2.3&ISO~8\\T\\9^^^RED&1.2.3&ISO||Mohr\\F\\Berg^Alice^Zoë M.^^Dr.^^L~Berger^^^^^^M|\
                        Kern^^^^^^M|19580130|F|||Main St 7^Flat 2^Bern^^3000^CH^H||031 1^PRN^PH~^NET^Internet^a@b.ch|031 2^WPN^PH||M||A-5|||\
                        M-1^^^RED&1.2.3&ISO|||Y|2||||20200506070809+0200|Y";
        assert_eq!(written, expected);
    }

    #[test]
    fn nothing_of_a_patient_ends_its_field() {
        let evil = "2020-05-06T07:08:09|X\rMRG|9^^^RED";
        let patient = json!({
            "name": [{ "family": evil, "given": [evil], "suffix": [evil] }], "birthDate": evil, "gender": evil,
            "address": [{ "line": [evil, evil], "city": evil, "use": evil }], "telecom": [{ "value": evil, "use": evil }],
            "maritalStatus": { "coding": [{ "code": evil }] }, "multipleBirthInteger": evil, "deceasedDateTime": evil,
            "extension": [{ "url": fhir::patient::MOTHERS_MAIDEN_NAME, "valueString": evil }],
        });
        let written = segment(patient.as_object().expect("is an object"), &[named(evil)], &Beside::default());
        assert!(!written.contains('\r') && written.split('|').count() <= 31, "{written:?}");
    }

    #[test]
    fn little_is_written_of_one_of_whom_little_is_known() {
        let patient = json!({ "name": [{ "text": "Unknown Male" }], "deceasedBoolean": false });
        let written = segment(patient.as_object().expect("is an object"), &[named("7")], &Beside::default());
        assert_eq!(written, "PID|||7^^^RED&1.2.3&ISO||Unknown Male^^^^^^L|||||||||||||||||||||||||N");
    }
}
