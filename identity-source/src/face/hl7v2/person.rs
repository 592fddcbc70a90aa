//! PID: what a message says of a patient, laid over what is known. A field that is empty says nothing, and what is known
//! stays; one that holds `""` says that there is nothing.

use fhir::patient::{ACCOUNT, MOTHERS_MAIDEN_NAME, mother};
use hl7v2::{Message, Part};
use serde_json::{Map, Value, json};
use xds::authority::Authorities;
use xds::hl7::{birth_date, clean};

use super::party;

/// The codes of relationships.
const ROLES: &str = "http://terminology.hl7.org/CodeSystem/v3-RoleCode";
/// The codes of HL7 table 0002 as FHIR has them.
const MARITAL: &str = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus";
/// Where somebody was born.
const BIRTH_PLACE: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";

/// What a field says.
#[derive(Debug, Clone, PartialEq, Default)]
enum Said<T> {
    /// Nothing.
    #[default]
    Unsaid,
    /// That there is nothing.
    Deleted,
    /// This.
    This(T),
}

impl<T> Said<T> {
    /// What a field says, by its repetitions; those that say nothing are left out.
    fn of(field: Part<'_>, read: impl Fn(Part<'_>) -> Option<T>) -> Said<Vec<T>> {
        if field.is_null() {
            return Said::Deleted;
        }
        let all: Vec<T> = field.repetitions().filter(|part| !part.is_null()).filter_map(read).collect();
        if all.is_empty() { Said::Unsaid } else { Said::This(all) }
    }

    fn one(field: Part<'_>, read: impl Fn(Part<'_>) -> Option<T>) -> Said<T> {
        match Said::of(field, read) {
            Said::Unsaid => Said::Unsaid,
            Said::Deleted => Said::Deleted,
            Said::This(all) => all.into_iter().next().map_or(Said::Unsaid, Said::This),
        }
    }
}

/// A member of a Patient and its value.
type Member = (&'static str, Value);

/// What a message says of a patient, identifiers apart.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct About {
    names: Said<Vec<Value>>,
    aliases: Said<Vec<Value>>,
    mothers_name: Said<Value>,
    mothers_identifiers: Said<Vec<Value>>,
    birth: Said<String>,
    gender: Said<&'static str>,
    addresses: Said<Vec<Value>>,
    phones: Said<Vec<Value>>,
    work_phones: Said<Vec<Value>>,
    language: Said<Value>,
    marital: Said<Value>,
    accounts: Said<Vec<Value>>,
    birth_place: Said<String>,
    multiple: Said<Member>,
    deceased: Said<Member>,
    /// What was said and could not be taken, in words.
    pub(super) notes: Vec<String>,
}

impl About {
    /// Reads PID.
    pub(super) fn read(message: &Message, authorities: &Authorities) -> About {
        let pid = |number: usize| message.field("PID", number);
        let mut notes = Vec::new();
        let mut about = About {
            names: Said::of(pid(5), name),
            aliases: Said::of(pid(9), |part| name(part).map(as_alias)),
            mothers_name: Said::one(pid(6), name),
            mothers_identifiers: Said::of(pid(21), |part| identifier(part, authorities)),
            birth: Said::one(pid(7), |part| birth_date(&part.component(1).text())),
            gender: Said::one(pid(8), |part| gender(part.component(1).text().trim())),
            addresses: Said::of(pid(11), address),
            phones: Said::of(pid(13), |part| party::phone(part, "home")),
            work_phones: Said::of(pid(14), |part| party::phone(part, "work")),
            language: Said::one(pid(15), |part| language(&clean(&part.component(1).text()))),
            marital: Said::one(pid(16), |part| marital(part.component(1).text().trim())),
            accounts: Said::of(pid(18), |part| account(part, authorities)),
            birth_place: Said::one(pid(23), |part| Some(clean(&part.text())).filter(|text| !text.is_empty())),
            multiple: multiple(pid(24), pid(25)),
            deceased: deceased(pid(29), pid(30)),
            notes: Vec::new(),
        };
        for (number, is_unsaid, what) in [
            (7, about.birth == Said::Unsaid, "is no date"),
            (8, about.gender == Said::Unsaid, "is no code of table 0001"),
            (
                21,
                about.mothers_identifiers == Said::Unsaid,
                "names no assigning authority that is known here",
            ),
        ] {
            if is_unsaid && !pid(number).is_empty() && !pid(number).is_null() {
                notes.push(format!("PID-{number} {what} and was left out"));
            }
        }
        about.notes = notes;
        about
    }

    /// Lays it over the members of a Patient.
    pub(super) fn lay_over(&self, patient: &mut Map<String, Value>) {
        let is_alias = |name: &Value| name["use"] == "nickname";
        let named_so = matches!(&self.names, Said::This(names) if names.iter().any(is_alias));
        let keeps_aliases = self.aliases != Said::Unsaid || !named_so;
        replace(patient, "name", &self.aliases, |name| !is_alias(name));
        replace(patient, "name", &self.names, |name| keeps_aliases && is_alias(name));
        replace(patient, "address", &self.addresses, |_| false);
        let is_work = |point: &Value| point["use"] == "work";
        replace(patient, "telecom", &self.work_phones, |point| !is_work(point));
        replace(patient, "telecom", &self.phones, is_work);
        set(patient, "birthDate", &self.birth);
        set(patient, "gender", &self.gender);
        set(patient, "maritalStatus", &self.marital);
        let languages = match &self.language {
            Said::Unsaid => Said::Unsaid,
            Said::Deleted => Said::Deleted,
            Said::This(language) => Said::This(vec![language.clone()]),
        };
        replace(patient, "communication", &languages, |_| false);
        choose(patient, &["multipleBirthBoolean", "multipleBirthInteger"], &self.multiple);
        choose(patient, &["deceasedBoolean", "deceasedDateTime"], &self.deceased);
        extend(
            patient,
            ACCOUNT,
            &self.accounts,
            |account| json!({ "url": ACCOUNT, "valueIdentifier": account }),
        );
        let place = as_list(&self.birth_place, Clone::clone);
        extend(
            patient,
            BIRTH_PLACE,
            &place,
            |text| json!({ "url": BIRTH_PLACE, "valueAddress": { "text": text } }),
        );
        self.lay_mother(patient);
    }

    /// The mother: her family name is an extension of the child; with an identifier or a given name she is somebody.
    fn lay_mother(&self, patient: &mut Map<String, Value>) {
        let family = match &self.mothers_name {
            Said::This(name) => match name["family"].as_str() {
                Some(family) => Said::This(vec![family.to_owned()]),
                None => Said::Unsaid,
            },
            Said::Deleted => Said::Deleted,
            Said::Unsaid => Said::Unsaid,
        };
        extend(
            patient,
            MOTHERS_MAIDEN_NAME,
            &family,
            |text| json!({ "url": MOTHERS_MAIDEN_NAME, "valueString": text }),
        );
        if self.mothers_name == Said::Unsaid && self.mothers_identifiers == Said::Unsaid {
            return;
        }
        let known = mother(patient).cloned();
        let mut mother = match known.clone() {
            Some(Value::Object(mother)) => mother,
            _ => fresh_mother(),
        };
        replace(&mut mother, "identifier", &self.mothers_identifiers, |_| false);
        let names = as_list(&self.mothers_name, |name| {
            let mut name = name.clone();
            name["use"] = json!("maiden");
            name
        });
        replace(&mut mother, "name", &names, |name| name["use"] != "maiden");
        let is_somebody = mother.contains_key("identifier")
            || mother
                .get("name")
                .and_then(Value::as_array)
                .is_some_and(|names| names.iter().any(|name| name.get("given").is_some()));
        let contained = match is_somebody {
            true => Said::This(vec![Value::Object(mother)]),
            false => Said::Deleted,
        };
        replace(patient, "contained", &contained, |one| known.as_ref() != Some(one));
    }
}

fn fresh_mother() -> Map<String, Value> {
    let mut mother = Map::new();
    mother.insert("resourceType".to_owned(), json!("RelatedPerson"));
    mother.insert("id".to_owned(), json!("mother"));
    mother.insert("patient".to_owned(), json!({ "reference": "#" }));
    mother.insert("relationship".to_owned(), json!([{ "coding": [{ "system": ROLES, "code": "MTH" }] }]));
    mother
}

fn as_list<T, U>(said: &Said<T>, read: impl Fn(&T) -> U) -> Said<Vec<U>> {
    match said {
        Said::Unsaid => Said::Unsaid,
        Said::Deleted => Said::Deleted,
        Said::This(one) => Said::This(vec![read(one)]),
    }
}

/// Puts what is said into a list, before what stays of it.
fn replace(
    of: &mut Map<String, Value>,
    member: &str,
    said: &Said<Vec<Value>>,
    stays: impl Fn(&Value) -> bool,
) {
    let new = match said {
        Said::Unsaid => return,
        Said::Deleted => Vec::new(),
        Said::This(new) => new.clone(),
    };
    let before = of.get(member).and_then(Value::as_array).cloned().unwrap_or_default();
    let (stay, goes): (Vec<Value>, Vec<Value>) = before.into_iter().partition(|one| stays(one));
    // What is told again leaves everything where it is.
    if goes == new {
        return;
    }
    let stay = stay.into_iter().filter(|one| !new.contains(one)).collect::<Vec<_>>();
    let all: Vec<Value> = new.into_iter().chain(stay).collect();
    if all.is_empty() {
        of.shift_remove(member);
    } else {
        of.insert(member.to_owned(), Value::Array(all));
    }
}

fn extend<T>(of: &mut Map<String, Value>, url: &str, said: &Said<Vec<T>>, write: impl Fn(&T) -> Value) {
    let extensions = match said {
        Said::Unsaid => Said::Unsaid,
        Said::Deleted => Said::Deleted,
        Said::This(all) => Said::This(all.iter().map(write).collect()),
    };
    replace(of, "extension", &extensions, |extension| extension["url"] != url);
}

fn set<T: Into<Value> + Clone>(of: &mut Map<String, Value>, member: &'static str, said: &Said<T>) {
    let said = match said {
        Said::Unsaid => Said::Unsaid,
        Said::Deleted => Said::Deleted,
        Said::This(value) => Said::This((member, value.clone().into())),
    };
    choose(of, &[member], &said);
}

/// Of several members that exclude each other, the one that is said.
fn choose(of: &mut Map<String, Value>, members: &[&str], said: &Said<Member>) {
    if *said == Said::Unsaid {
        return;
    }
    let told = match said {
        Said::This((member, value)) => of.get(*member) == Some(value),
        Said::Deleted | Said::Unsaid => false,
    };
    if told {
        return;
    }
    for member in members {
        of.shift_remove(*member);
        // What is said of an element goes with it.
        of.shift_remove(&format!("_{member}"));
    }
    if let Said::This((member, value)) = said {
        of.insert((*member).to_owned(), value.clone());
    }
}

fn text(part: Part<'_>) -> String {
    if part.is_null() { String::new() } else { clean(&part.text()) }
}

/// XPN.
fn name(part: Part<'_>) -> Option<Value> {
    let mut name = Map::new();
    // FN.1, or what stands beside it where a sender puts prefix and surname apart.
    let family = part.component(1);
    let whole = [text(family.subcomponent(1)), text(family.subcomponent(3))];
    if let Some(family) = whole.into_iter().find(|text| !text.is_empty()) {
        name.insert("family".to_owned(), json!(family));
    }
    for (member, components) in [("given", [2, 3].as_slice()), ("prefix", &[5]), ("suffix", &[4, 6])] {
        let all: Vec<String> = components
            .iter()
            .map(|number| text(part.component(*number)))
            .filter(|text| !text.is_empty())
            .collect();
        if !all.is_empty() {
            name.insert(member.to_owned(), json!(all));
        }
    }
    // A name of which only its prefix is told is none (PDQm Patient).
    if !name.contains_key("family") && !name.contains_key("given") {
        return None;
    }
    let usage = match part.component(7).raw().trim() {
        "L" => Some("official"),
        "D" => Some("usual"),
        "N" | "A" => Some("nickname"),
        "M" | "B" => Some("maiden"),
        "T" => Some("temp"),
        "S" => Some("anonymous"),
        _ => None,
    };
    if let Some(usage) = usage {
        name.insert("use".to_owned(), json!(usage));
    }
    Some(Value::Object(name))
}

fn as_alias(mut name: Value) -> Value {
    name["use"] = json!("nickname");
    name
}

/// HL7 table 0001.
fn gender(code: &str) -> Option<&'static str> {
    match code {
        "M" => Some("male"),
        "F" => Some("female"),
        "O" | "A" | "N" | "X" => Some("other"),
        "U" => Some("unknown"),
        _ => None,
    }
}

/// XAD.
fn address(part: Part<'_>) -> Option<Value> {
    let mut address = Map::new();
    let street = text(part.component(1).subcomponent(1));
    let further = [part.component(1).subcomponent(2), part.component(1).subcomponent(3)].map(text);
    let street = match street.is_empty() {
        false => street,
        // SAD.2 and SAD.3: street and number.
        true => further.join(" ").trim().to_owned(),
    };
    let lines: Vec<String> =
        [street, text(part.component(2))].into_iter().filter(|line| !line.is_empty()).collect();
    if !lines.is_empty() {
        address.insert("line".to_owned(), json!(lines));
    }
    for (member, number) in [("city", 3), ("state", 4), ("postalCode", 5), ("country", 6), ("district", 9)] {
        let text = text(part.component(number));
        if !text.is_empty() {
            address.insert(member.to_owned(), json!(text));
        }
    }
    if address.is_empty() {
        return None;
    }
    let (member, kind) = match part.component(7).raw().trim() {
        "H" | "P" => ("use", "home"),
        "B" | "O" => ("use", "work"),
        "C" => ("use", "temp"),
        "BA" => ("use", "old"),
        "M" => ("type", "postal"),
        _ => ("", ""),
    };
    if !member.is_empty() {
        address.insert(member.to_owned(), json!(kind));
    }
    Some(Value::Object(address))
}

fn language(code: &str) -> Option<Value> {
    let is_code =
        (1..=32).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let language = match (code.is_empty(), is_code) {
        (true, _) => return None,
        (false, true) => json!({ "coding": [{ "system": "urn:ietf:bcp:47", "code": code }] }),
        (false, false) => json!({ "text": code }),
    };
    Some(json!({ "language": language }))
}

/// HL7 table 0002.
fn marital(code: &str) -> Option<Value> {
    let code = match code {
        "" => return None,
        "A" | "E" => "L",
        "D" | "I" | "M" | "S" | "W" | "T" => code,
        "P" | "R" => "T",
        other => return Some(json!({ "text": clean(other) })),
    };
    Some(json!({ "coding": [{ "system": MARITAL, "code": code }] }))
}

/// CX of an authority that is known.
fn identifier(part: Part<'_>, authorities: &Authorities) -> Option<Value> {
    let cx = hl7v2::Cx::read(part);
    let system = party::system(&cx.authority, authorities)?;
    let value = clean(&cx.id);
    (!value.is_empty()).then(|| json!({ "system": system, "value": value }))
}

/// CX of an account: often nobody says who assigned it.
fn account(part: Part<'_>, authorities: &Authorities) -> Option<Value> {
    let cx = hl7v2::Cx::read(part);
    let value = clean(&cx.id);
    if value.is_empty() {
        return None;
    }
    Some(match party::system(&cx.authority, authorities) {
        Some(system) => json!({ "system": system, "value": value }),
        None => json!({ "value": value }),
    })
}

fn yes(part: Part<'_>) -> Option<bool> {
    match part.component(1).text().trim() {
        "Y" => Some(true),
        "N" => Some(false),
        _ => None,
    }
}

/// PID-24 and PID-25: the number of a birth says more than that there were several.
fn multiple(indicator: Part<'_>, order: Part<'_>) -> Said<Member> {
    let order = order.text().trim().parse::<u8>().ok().filter(|order| *order > 0);
    match (order, Said::one(indicator, yes)) {
        (Some(order), Said::This(true) | Said::Unsaid) => Said::This(("multipleBirthInteger", json!(order))),
        (_, Said::This(several)) => Said::This(("multipleBirthBoolean", json!(several))),
        (_, Said::Deleted) => Said::Deleted,
        (None, Said::Unsaid) => Said::Unsaid,
    }
}

/// PID-29 and PID-30.
fn deceased(time: Part<'_>, indicator: Part<'_>) -> Said<Member> {
    match (Said::one(time, |part| birth_date(&part.component(1).text())), Said::one(indicator, yes)) {
        (_, Said::This(false)) => Said::This(("deceasedBoolean", json!(false))),
        (Said::This(day), _) => Said::This(("deceasedDateTime", json!(day))),
        (_, Said::This(true)) => Said::This(("deceasedBoolean", json!(true))),
        (Said::Deleted, _) | (_, Said::Deleted) => Said::Deleted,
        (Said::Unsaid, Said::Unsaid) => Said::Unsaid,
    }
}

#[cfg(test)]
mod tests {
    use hl7v2::Limits;
    use xds::authority::Authority;

    use super::*;

    fn authorities() -> Authorities {
        let all = ["RED&1.2.3&ISO", "ACC&1.2.9&ISO"].map(|text| Authority::read(text).expect("an authority"));
        Authorities::new(all.to_vec()).expect("they are sound")
    }

    fn about(pid: &str) -> About {
        let text = format!("MSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5\r{pid}");
        let message = Message::read(text.as_bytes(), &Limits::AMPLE).expect("it is a message");
        About::read(&message, &authorities())
    }

    fn laid(pid: &str, over: &Value) -> Value {
        let mut patient = over.as_object().cloned().expect("an object");
        about(pid).lay_over(&mut patient);
        Value::Object(patient)
    }

    const WHOLE: &str = "PID|||7^^^RED||Washington^Mary^Rose^II^Dr.^^L~^Anne^^^^^N|Smith^Ida|19771208|F|Molly|1004-1|100 Jorie Blvd^Flat 5^Chicago^IL^60523^US^H||^PRN^PH^^^409^30495~mary@aol.example^NET^Internet~012^PRN^CP|012-2^WPN^PH|eng|M||A-1^^^ACC|||9^^^RED||Chicago|Y|2||||20200101|Y";

    #[test]
    fn a_whole_segment_becomes_a_patient() {
        let expected = json!({
            "name": [
                { "family": "Washington", "given": ["Mary", "Rose"], "prefix": ["Dr."], "suffix": ["II"], "use": "official" },
                { "given": ["Anne"], "use": "nickname" },
                { "family": "Molly", "use": "nickname" }
            ],
            "address": [{
                "line": ["100 Jorie Blvd", "Flat 5"], "city": "Chicago", "state": "IL", "postalCode": "60523",
                "country": "US", "use": "home"
            }],
            "telecom": [
                { "system": "phone", "value": "409 30495", "use": "home" },
                { "system": "email", "value": "mary@aol.example", "use": "home" },
                { "system": "phone", "value": "012", "use": "mobile" },
                { "system": "phone", "value": "012-2", "use": "work" }
            ],
            "birthDate": "1977-12-08",
            "gender": "female",
            "maritalStatus": { "coding": [{ "system": MARITAL, "code": "M" }] },
            "communication": [{ "language": { "coding": [{ "system": "urn:ietf:bcp:47", "code": "eng" }] } }],
            "multipleBirthInteger": 2,
            "deceasedDateTime": "2020-01-01",
            "extension": [
                { "url": MOTHERS_MAIDEN_NAME, "valueString": "Smith" },
                { "url": BIRTH_PLACE, "valueAddress": { "text": "Chicago" } },
                { "url": ACCOUNT, "valueIdentifier": { "system": "urn:oid:1.2.9", "value": "A-1" } }
            ],
            "contained": [{
                "resourceType": "RelatedPerson",
                "id": "mother",
                "patient": { "reference": "#" },
                "relationship": [{ "coding": [{ "system": ROLES, "code": "MTH" }] }],
                "identifier": [{ "system": "urn:oid:1.2.3", "value": "9" }],
                "name": [{ "family": "Smith", "given": ["Ida"], "use": "maiden" }]
            }]
        });
        assert_eq!(laid(WHOLE, &json!({})), expected);
        // Told again, nothing changes.
        assert_eq!(laid(WHOLE, &expected), expected);
        let whole =
            json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:oid:1.2.3", "value": "7" }] });
        fhir::patient::read(laid(WHOLE, &whole), &xds::Place::at("Patient"))
            .expect("it is a Patient of the profile");
    }

    #[test]
    fn what_is_left_empty_stays() {
        let before = laid(WHOLE, &json!({ "photo": [{ "url": "http://a.example" }] }));
        let mut expected = before.clone();
        expected["gender"] = json!("other");
        assert_eq!(laid("PID|||7^^^RED|||||O", &before), expected);
    }

    #[test]
    fn what_is_said_to_be_nothing_goes() {
        let none = "\"\"";
        let fields: Vec<&str> = (1..=30).map(|number| if number < 5 { "" } else { none }).collect();
        let gone = laid(&format!("PID|{}", fields.join("|")), &laid(WHOLE, &json!({ "active": true })));
        assert_eq!(gone, json!({ "active": true }));
    }

    #[test]
    fn one_field_of_two_that_share_a_list_leaves_the_other() {
        let before = laid(WHOLE, &json!({}));
        let after = laid("PID|||7||Jones^Jane^^^^^L|||||||||077^WPN^PH", &before);
        let uses: Vec<&Value> =
            after["telecom"].as_array().into_iter().flatten().map(|one| &one["use"]).collect();
        assert_eq!(uses, ["work", "home", "home", "mobile"]);
        assert_eq!(after["telecom"][0]["value"], "077");
        assert_eq!(after["name"][0]["family"], "Jones");
        assert_eq!(after["name"][1]["use"], "nickname");
    }

    #[test]
    fn what_cannot_be_taken_is_left_out_and_said() {
        let told = about("PID|||7^^^RED||||00000000|Z|||||||||||||9^^^BLUE");
        assert_eq!(told.notes.len(), 3, "{:?}", told.notes);
        assert_eq!(About { notes: Vec::new(), ..told }, About::default());
        assert!(about("PID|||7^^^RED||\u{1b}[2J\u{202e}|\"\"||").notes.is_empty());
    }
}
