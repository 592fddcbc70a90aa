//! Authors and other people: how a contained Practitioner, PractitionerRole or Organization is what XDS writes as one string
//! each (XCN, XON, XTN, coded strings), and back (spec 4.4).

use serde_json::{Value, json};
use xds::hl7::{self, Xcn, Xon, Xtn};
use xds::{Author, Code, Identifier};

use crate::element::{self, coding, contained, identifier, items, text};

/// An author: the reference, followed into what is contained.
pub(crate) fn author(resource: &Value, reference: &Value) -> Author {
    let mut author = Author::default();
    follow(resource, reference, &mut author, 0);
    outside(reference, &mut author);
    author
}

/// How deep references between contained resources are followed: a role names its person and its organization.
const DEPTH: usize = 2;

fn follow(resource: &Value, reference: &Value, author: &mut Author, depth: usize) {
    if let Some(identifier) = reference.get("identifier").and_then(identifier) {
        author.identifiers.push(identifier);
    }
    let Some(target) = text(reference, "reference") else { return };
    let Some(found) = contained(resource, target) else {
        if !target.starts_with('#') && depth == 0 {
            author.reference = Some(target.to_owned());
        }
        return;
    };
    author.identifiers.extend(items(found, "identifier").iter().filter_map(identifier));
    author.telecommunications.extend(items(found, "telecom").iter().filter_map(telecommunication));
    match text(found, "resourceType") {
        Some("Organization") => {
            author.institution.extend(text(found, "name").map(str::to_owned));
            author.institutions.extend(organization(found));
        }
        Some("PractitionerRole") if depth < DEPTH => {
            author.roles.extend(items(found, "code").iter().filter_map(coded_string));
            author.specialties.extend(items(found, "specialty").iter().filter_map(coded_string));
            for part in ["practitioner", "organization"] {
                if let Some(part) = found.get(part) {
                    follow(resource, part, author, depth + 1);
                    outside(part, author);
                }
            }
        }
        _ => {
            for name in items(found, "name") {
                author.family.extend(text(name, "family").map(str::to_owned));
                author.given.extend(texts(name, "given").map(str::to_owned));
                author.names.extend(text(name, "text").map(str::to_owned));
                for part in ["prefix", "suffix"] {
                    author.names.extend(texts(name, part).map(str::to_owned));
                }
            }
            if author.person.is_none() {
                author.person = person(found);
            }
        }
    }
}

fn texts<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    items(value, name).iter().filter_map(Value::as_str)
}

/// What a reference itself says of somebody who is not contained: a name to show, an identifier.
fn outside(reference: &Value, author: &mut Author) {
    let target = text(reference, "reference").unwrap_or_default();
    if author.person.is_some() || !author.institutions.is_empty() || target.starts_with('#') {
        return;
    }
    let (shown, named) = (text(reference, "display"), reference.get("identifier").and_then(identifier));
    if shown.is_none() && named.is_none() {
        return;
    }
    let is_organization = text(reference, "type") == Some("Organization")
        || target.starts_with("Organization/")
        || target.contains("/Organization/");
    if is_organization {
        let mut organization = Xon { name: shown.unwrap_or_default().to_owned(), ..Xon::default() };
        if let Some(named) = &named {
            organization.identified(named);
            if organization.name.is_empty() {
                organization.name.clone_from(&named.value);
            }
        }
        author.institutions.push(organization.write());
    } else {
        let mut person = Xcn { family: shown.unwrap_or_default().to_owned(), ..Xcn::default() };
        if let Some(named) = &named {
            person.identified(named);
        }
        author.person = Some(person.write());
    }
}

/// The identifier a person or organization is best known by: one with a name space.
fn best(resource: &Value) -> Option<Identifier> {
    let names: Vec<Identifier> = items(resource, "identifier").iter().filter_map(identifier).collect();
    names.iter().find(|name| !name.system.is_empty()).or(names.first()).cloned()
}

/// A Practitioner, Patient, RelatedPerson or Device as XCN; none where nothing names it.
fn person(found: &Value) -> Option<String> {
    let mut person = Xcn::default();
    if let Some(name) = items(found, "name").first() {
        person = name_of(name);
    } else if let Some(name) = items(found, "deviceName").first() {
        text(name, "name").unwrap_or_default().clone_into(&mut person.family);
    }
    if let Some(name) = best(found) {
        person.identified(&name);
    }
    let written = person.write();
    (!written.is_empty()).then_some(written)
}

/// The parts of a HumanName. A name that is one text only stands in the place of the family name.
pub(crate) fn name_of(name: &Value) -> Xcn {
    let given: Vec<&str> = texts(name, "given").collect();
    let joined = |member: &str| texts(name, member).collect::<Vec<_>>().join(" ");
    let mut person = Xcn {
        family: text(name, "family").unwrap_or_default().to_owned(),
        given: given.first().copied().unwrap_or_default().to_owned(),
        middle: given.get(1..).unwrap_or_default().join(" "),
        suffix: joined("suffix"),
        prefix: joined("prefix"),
        ..Xcn::default()
    };
    if person.family.is_empty() && person.given.is_empty() {
        text(name, "text").unwrap_or_default().clone_into(&mut person.family);
    }
    person
}

/// The HumanName of a person; none where only an id is given.
pub(crate) fn human_name(person: &Xcn) -> Option<Value> {
    let mut name = json!({});
    let list = |parts: Vec<&str>| {
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.trim().is_empty()).collect();
        (!parts.is_empty()).then(|| json!(parts))
    };
    element::put(&mut name, "family", said(&person.family));
    element::put(&mut name, "given", list(person.given_names().collect()));
    element::put(&mut name, "prefix", list(vec![&person.prefix]));
    element::put(&mut name, "suffix", list(vec![&person.suffix, &person.degree]));
    name.as_object().is_some_and(|members| !members.is_empty()).then_some(name)
}

fn organization(found: &Value) -> Option<String> {
    let named = best(found);
    let name = text(found, "name")
        .or_else(|| texts(found, "alias").next())
        .or(named.as_ref().map(|name| name.value.as_str()))?;
    let mut organization = Xon { name: name.to_owned(), ..Xon::default() };
    if let Some(named) = &named {
        organization.identified(named);
    }
    Some(organization.write())
}

/// A ContactPoint as XTN; none without a value.
fn telecommunication(contact: &Value) -> Option<String> {
    let value = text(contact, "value")?.to_owned();
    let usage = match text(contact, "use") {
        Some("work") => "WPN",
        Some("home") => "PRN",
        _ => "",
    };
    let equipment = match (text(contact, "system"), text(contact, "use")) {
        (Some("email" | "url"), _) => "Internet",
        (Some("fax"), _) => "FX",
        (Some("pager"), _) => "BP",
        (_, Some("mobile")) => "CP",
        _ => "PH",
    };
    let mut address = Xtn { usage: usage.to_owned(), equipment: equipment.to_owned(), ..Xtn::default() };
    if equipment == "Internet" {
        address.address = value;
    } else {
        address.unformatted = value;
    }
    Some(address.write())
}

/// The ContactPoint of an XTN; none where it holds no address.
pub(crate) fn contact_point(written: &str) -> Option<Value> {
    let address = Xtn::read(written);
    let (system, value) = if address.is_internet() {
        (if address.address.contains('@') { "email" } else { "url" }, address.address.clone())
    } else {
        let system = match address.equipment.as_str() {
            "FX" => "fax",
            "BP" => "pager",
            _ => "phone",
        };
        (system, address.dialled())
    };
    let value = said(&value)?;
    let mut contact = json!({ "system": system, "value": value });
    let usage = match (address.equipment.as_str(), address.usage.as_str()) {
        ("CP", "") => Some("mobile"),
        (_, "WPN") => Some("work"),
        (_, "PRN") => Some("home"),
        _ => None,
    };
    element::put(&mut contact, "use", usage);
    Some(contact)
}

/// A concept as a coded string; none where it says nothing.
fn coded_string(concept: &Value) -> Option<String> {
    let codes: Vec<Code> = items(concept, "coding").iter().filter_map(coding).collect();
    let written = match codes.iter().find(|code| !code.system.is_empty()).or(codes.first()) {
        Some(code) => hl7::write_coded(code),
        None => hl7::escape(text(concept, "text")?).into_owned(),
    };
    (!written.is_empty()).then_some(written)
}

/// The concept of a coded string; none where it says nothing.
fn concept_of(written: &str) -> Option<Value> {
    let code = hl7::coded(written);
    if said(&code.code).is_none() {
        let words = said(code.display.as_deref().unwrap_or_default())?;
        return Some(json!({ "text": words }));
    }
    Some(json!({ "coding": [crate::document_reference::code(&code)] }))
}

/// A text that FHIR can say: not only white space.
pub(crate) fn said(text: &str) -> Option<&str> {
    (!text.trim().is_empty()).then_some(text)
}

/// Writes an author: what it is made of goes among the contained resources, under ids that begin with `id`; answers the
/// reference to it. None where XDS says nothing of it that FHIR could.
pub(crate) fn reference_to(author: &Author, id: &str, contained: &mut Vec<Value>) -> Option<Value> {
    let person = author.person.as_deref().filter(|person| !person.is_empty());
    let in_roles = !author.roles.is_empty()
        || !author.specialties.is_empty()
        || (person.is_some() && !author.institutions.is_empty())
        || author.institutions.len() > 1;
    let telecom: Vec<Value> =
        author.telecommunications.iter().filter_map(|address| contact_point(address)).collect();
    let mut telecom = Some(telecom).filter(|telecom| !telecom.is_empty());
    let own = |part: &str| if in_roles { format!("{id}-{part}") } else { id.to_owned() };
    let reference = |id: &str| json!({ "reference": format!("#{id}") });
    let mut first = None;
    let mut practitioner = None;
    if let Some(person) = person {
        let id = own("person");
        let telecom = if in_roles { None } else { telecom.take() };
        contained.push(practitioner_of(person, &id, telecom));
        practitioner = Some(reference(&id));
        first = practitioner.clone();
    }
    let mut organizations = Vec::new();
    for (index, institution) in author.institutions.iter().enumerate() {
        let id = if index == 0 { own("organization") } else { own(&format!("organization{index}")) };
        let telecom = if in_roles { None } else { telecom.take() };
        if index == 0 {
            contained.push(organization_of(institution, &id, telecom));
            organizations.push(reference(&id));
        }
        first = first.or_else(|| Some(reference(&id)));
    }
    if in_roles {
        let mut role = json!({ "resourceType": "PractitionerRole", "id": id });
        let concepts = |written: &[String]| {
            let concepts: Vec<Value> = written.iter().filter_map(|one| concept_of(one)).collect();
            (!concepts.is_empty()).then_some(concepts)
        };
        element::put(&mut role, "practitioner", practitioner);
        element::put(&mut role, "organization", organizations.into_iter().next());
        element::put(&mut role, "code", concepts(&author.roles));
        element::put(&mut role, "specialty", concepts(&author.specialties));
        element::put(&mut role, "telecom", telecom.take());
        contained.push(role);
        first = Some(reference(id));
    } else if let (None, Some(telecom)) = (&first, telecom) {
        contained.push(json!({ "resourceType": "Practitioner", "id": id, "telecom": telecom }));
        first = Some(reference(id));
    }
    first.or_else(|| author.reference.as_ref().map(|url| json!({ "reference": url })))
}

fn practitioner_of(written: &str, id: &str, telecom: Option<Vec<Value>>) -> Value {
    let person = Xcn::read(written);
    let mut practitioner = json!({ "resourceType": "Practitioner", "id": id });
    if written.contains('^') {
        let name = person.identifier().filter(|name| said(&name.value).is_some());
        element::put(
            &mut practitioner,
            "identifier",
            name.map(|name| json!([element::identifier_value(&name)])),
        );
        element::put(&mut practitioner, "name", human_name(&person).map(|name| json!([name])));
    } else {
        // A name without structure, as the oldest messages have it.
        let name = said(&person.id).map(|words| json!([{ "text": words }]));
        element::put(&mut practitioner, "name", name);
    }
    element::put(&mut practitioner, "telecom", telecom);
    practitioner
}

pub(crate) fn organization_of(written: &str, id: &str, telecom: Option<Vec<Value>>) -> Value {
    let organization = Xon::read(written);
    let mut value = json!({ "resourceType": "Organization", "id": id });
    let name = organization.identifier().filter(|name| said(&name.value).is_some());
    element::put(&mut value, "identifier", name.map(|name| json!([element::identifier_value(&name)])));
    element::put(&mut value, "name", said(&organization.name));
    element::put(&mut value, "telecom", telecom);
    value
}

/// What XDS says of an author; the rest is derived from it.
pub(crate) fn strings(author: &Author) -> (Option<&str>, [&[String]; 4]) {
    let lists = [&author.institutions, &author.roles, &author.specialties, &author.telecommunications];
    (author.person.as_deref(), lists.map(Vec::as_slice))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(author: &Author) -> Author {
        let mut contained = Vec::new();
        let reference = reference_to(author, "author0", &mut contained).unwrap();
        super::author(&json!({ "contained": contained }), &reference)
    }

    #[test]
    fn a_role_gives_person_and_organization() {
        let resource = json!({"contained": [
            {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "#p"}, "organization": {"reference": "#o"},
             "code": [{"coding": [{"system": "urn:oid:1.2", "code": "doc"}]}], "specialty": [{"text": "Surgery"}]},
            {"resourceType": "Practitioner", "id": "p", "name": [{"family": "Careful", "given": ["Adam", "B."]}],
             "telecom": [{"system": "email", "value": "a@b"}]},
            {"resourceType": "Organization", "id": "o", "name": "Clinic"}]});
        let author = author(&resource, &json!({"reference": "#r"}));
        assert_eq!(author.family, ["Careful"]);
        assert_eq!(author.given, ["Adam", "B."]);
        assert_eq!(author.institution, ["Clinic"]);
        assert_eq!(author.person.as_deref(), Some("^Careful^Adam^B."));
        assert_eq!(author.institutions, ["Clinic"]);
        assert_eq!(author.roles, ["doc^^^&1.2&ISO"]);
        assert_eq!(author.specialties, ["Surgery"]);
        assert_eq!(author.telecommunications, ["^^Internet^a@b"]);
    }

    #[test]
    fn what_xds_says_of_an_author_comes_back() {
        let all = Author {
            person: Some("7^Welby^Marcus^J. K.^Jr.^Dr.^^^&1.2&ISO".to_owned()),
            institutions: vec!["Some Hospital^^^^^^^^^1.2.3".to_owned()],
            roles: vec!["Attending".to_owned(), "1^^^&1.2&ISO".to_owned()],
            specialties: vec!["Orthopedic".to_owned()],
            telecommunications: vec!["^^Internet^a@b".to_owned(), "^WPN^PH^^^^^^^^^+1 555".to_owned()],
            ..Author::default()
        };
        assert_eq!(strings(&back(&all)), strings(&all));
        let person = Author { person: all.person.clone(), ..Author::default() };
        assert_eq!(strings(&back(&person)), strings(&person));
        let institution = Author { institutions: all.institutions.clone(), ..Author::default() };
        assert_eq!(strings(&back(&institution)), strings(&institution));
        let telecom = Author { telecommunications: all.telecommunications.clone(), ..Author::default() };
        assert_eq!(strings(&back(&telecom)), strings(&telecom));
    }

    #[test]
    fn somebody_elsewhere_is_known_by_what_the_reference_says() {
        let doctor = author(&json!({}), &json!({"reference": "Practitioner/7", "display": "Dr. Welby"}));
        assert_eq!(
            (doctor.person.as_deref(), doctor.reference.as_deref()),
            (Some("^Dr. Welby"), Some("Practitioner/7"))
        );
        let house = json!({"type": "Organization", "identifier": {"system": "urn:oid:1.2", "value": "9"}});
        assert_eq!(author(&json!({}), &house).institutions, ["9^^^^^&1.2&ISO^^^^9"]);
        assert_eq!(author(&json!({}), &json!({"reference": "Practitioner/7"})).person, None);
    }
}
