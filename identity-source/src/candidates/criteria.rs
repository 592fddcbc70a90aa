//! A description of patients, and whether one fits it.

use fhir::patient::plain_number;
use serde_json::{Map, Value};
use xds::Identifier;
use xds::attribute::fold;
use xds::authority::Authorities;

/// What is known of the patients that are looked for. All of it has to fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Criteria {
    /// An identifier of theirs.
    pub(crate) identifier: Option<Name>,
    /// One of their mother's.
    pub(crate) mother: Option<Name>,
    /// The number of an account of theirs.
    pub(crate) account: Option<Name>,
    /// Family name: fits together with the given name, in one name.
    pub(crate) family: Option<Pattern>,
    /// One of the given names.
    pub(crate) given: Option<Pattern>,
    /// A further given name.
    pub(crate) middle: Option<Pattern>,
    /// Their mother's family name.
    pub(crate) mothers_family: Option<Pattern>,
    /// Their mother's given name.
    pub(crate) mothers_given: Option<Pattern>,
    /// Date of birth, as exact as it is known: `1984` fits every day of that year.
    pub(crate) born: Option<String>,
    /// Administrative gender, as FHIR has it.
    pub(crate) gender: Option<&'static str>,
    /// Street and number, and what stands beside them.
    pub(crate) street: Option<Pattern>,
    /// City.
    pub(crate) city: Option<Pattern>,
    /// State or province.
    pub(crate) state: Option<Pattern>,
    /// Postal code.
    pub(crate) postal_code: Option<Pattern>,
    /// Country.
    pub(crate) country: Option<Pattern>,
    /// A telephone number as its digits, or an address of mail in small letters.
    pub(crate) telecom: Option<String>,
}

/// An identifier, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Name {
    /// Its value; none: any of its domain.
    pub(crate) value: Option<String>,
    /// The system of its domain; none: any.
    pub(crate) system: Option<String>,
}

impl Name {
    fn fits(&self, identifier: &Identifier) -> bool {
        self.value.as_ref().is_none_or(|value| *value == identifier.value)
            && self.system.as_ref().is_none_or(|system| *system == identifier.system)
    }
}

/// A text, without regard to case and accents, in which `*` and `%` stand for any letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// What stands between the wildcards: several, if there is one.
    parts: Vec<String>,
}

impl Pattern {
    /// Reads it; none where it says nothing but that there is something.
    pub(crate) fn read(text: &str) -> Option<Pattern> {
        let parts: Vec<String> = fold(text.trim()).split(['*', '%']).map(str::to_owned).collect();
        parts.iter().any(|part| !part.is_empty()).then_some(Pattern { parts })
    }

    /// What every text that fits begins with.
    pub(crate) fn beginning(&self) -> Option<&str> {
        self.parts.first().map(String::as_str).filter(|part| !part.is_empty())
    }

    /// The longest part that every text that fits contains.
    pub(crate) fn part(&self) -> &str {
        self.parts.iter().max_by_key(|part| part.len()).map_or("", String::as_str)
    }

    /// Whether a text fits.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let text = fold(text.trim());
        let [first, between @ .., last] = self.parts.as_slice() else {
            return self.parts.first().is_some_and(|whole| *whole == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        for part in between {
            let Some(at) = rest.find(part.as_str()) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last.as_str())
    }
}

/// Whether there is nothing to fit, or one of these does.
fn any<'t>(pattern: Option<&Pattern>, mut texts: impl Iterator<Item = &'t str>) -> bool {
    pattern.is_none_or(|pattern| texts.any(|text| pattern.fits(text)))
}

fn items(of: Option<&Value>) -> impl Iterator<Item = &Value> {
    of.and_then(Value::as_array).into_iter().flatten()
}

fn texts<'a>(of: &'a Value, member: &str) -> impl Iterator<Item = &'a str> {
    let whole = of.get(member).and_then(Value::as_str);
    whole.into_iter().chain(items(of.get(member)).filter_map(Value::as_str))
}

impl Criteria {
    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Criteria::default()
    }

    /// Whether something is known of the mother's name.
    pub(crate) fn names_mother(&self) -> bool {
        self.mothers_family.is_some() || self.mothers_given.is_some()
    }

    /// Whether a patient with these identifiers fits. `mothers` are identifiers of patients whose names fit what is known of
    /// the mother's.
    pub(crate) fn fit(
        &self,
        patient: &Map<String, Value>,
        identifiers: &[Identifier],
        mothers: &[Identifier],
        authorities: &Authorities,
    ) -> bool {
        let named = self.family.is_none() && self.given.is_none() && self.middle.is_none();
        let text = |member: &str| patient.get(member).and_then(Value::as_str);
        self.identifier.as_ref().is_none_or(|name| identifiers.iter().any(|one| name.fits(one)))
            && (named || items(patient.get("name")).any(|name| self.name_fits(name)))
            && self
                .born
                .as_ref()
                .is_none_or(|born| text("birthDate").is_some_and(|day| day.starts_with(born)))
            && self.gender.is_none_or(|gender| text("gender") == Some(gender))
            && self.lives(patient)
            && self.telecom.as_ref().is_none_or(|wanted| {
                let mut values = items(patient.get("telecom")).flat_map(|point| texts(point, "value"));
                values.any(|value| plain_number(value) == *wanted)
            })
            && self.account.as_ref().is_none_or(|account| {
                let mut accounts = fhir::patient::accounts(patient);
                accounts.any(|one| account_fits(account, one, authorities))
            })
            && self.mother_fits(patient, mothers, authorities)
    }

    fn name_fits(&self, name: &Value) -> bool {
        any(self.family.as_ref(), texts(name, "family"))
            && any(self.given.as_ref(), texts(name, "given"))
            && any(self.middle.as_ref(), texts(name, "given").skip(1))
    }

    fn lives(&self, patient: &Map<String, Value>) -> bool {
        let wanted = [
            (&self.street, "line"),
            (&self.city, "city"),
            (&self.state, "state"),
            (&self.postal_code, "postalCode"),
            (&self.country, "country"),
        ];
        wanted.iter().all(|(pattern, _)| pattern.is_none())
            || items(patient.get("address")).any(|address| {
                wanted.iter().all(|(pattern, member)| any(pattern.as_ref(), texts(address, member)))
            })
    }

    /// By an identifier of hers; by her name as this patient says it, or as that of a patient whose identifier is hers.
    fn mother_fits(
        &self,
        patient: &Map<String, Value>,
        mothers: &[Identifier],
        authorities: &Authorities,
    ) -> bool {
        let hers: Vec<Identifier> = fhir::patient::mothers_identifiers(patient)
            .iter()
            .map(|identifier| authorities.identifier(identifier))
            .collect();
        let by_identifier = self.mother.as_ref().is_none_or(|name| hers.iter().any(|one| name.fits(one)));
        if !by_identifier || !self.names_mother() {
            return by_identifier;
        }
        let maiden = items(patient.get("extension"))
            .filter(|extension| extension["url"] == fhir::patient::MOTHERS_MAIDEN_NAME)
            .flat_map(|extension| texts(extension, "valueString"));
        let names: Vec<&Value> =
            items(fhir::patient::mother(patient).and_then(|mother| mother.get("name"))).collect();
        let family = names.iter().flat_map(|name| texts(name, "family"));
        let given = names.iter().flat_map(|name| texts(name, "given"));
        let said = any(self.mothers_family.as_ref(), maiden.chain(family))
            && any(self.mothers_given.as_ref(), given);
        said || hers.iter().any(|one| mothers.contains(one))
    }

    /// What is known of the mother, as a description of her.
    pub(crate) fn of_mother(&self) -> Criteria {
        Criteria {
            family: self.mothers_family.clone(),
            given: self.mothers_given.clone(),
            ..Criteria::default()
        }
    }
}

fn account_fits(wanted: &Name, account: &Value, authorities: &Authorities) -> bool {
    let text = |member: &str| account.get(member).and_then(Value::as_str).unwrap_or_default();
    let system = authorities.canonical(text("system"));
    wanted.fits(&Identifier { system, value: text("value").to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pattern(text: &str) -> Option<Pattern> {
        Pattern::read(text)
    }

    #[test]
    fn a_pattern_fits_the_whole_text_but_for_its_wildcards() {
        for (text, fits, not) in [
            ("Müller", vec!["MULLER", "müller "], vec!["Müllers", "mul"]),
            ("MUL*", vec!["Müller", "mul"], vec!["amul"]),
            ("*ler", vec!["Müller"], vec!["Müllers"]),
            ("M%l*r", vec!["Müller", "mlr"], vec!["Müllers", "Amllr"]),
            ("*ll*", vec!["Müller"], vec!["Muler"]),
        ] {
            let pattern = pattern(text).expect("it says something");
            assert!(fits.iter().all(|one| pattern.fits(one)), "{text}");
            assert!(!not.iter().any(|one| pattern.fits(one)), "{text}");
        }
        assert_eq!((pattern("*"), pattern(" ")), (None, None));
    }

    fn infant() -> Map<String, Value> {
        let infant = json!({
            "name": [{ "family": "Jones", "given": ["Sam", "Lee"] }, { "family": "Smith", "given": ["Tom"] }],
            "birthDate": "2014-10-01",
            "gender": "male",
            "address": [
                { "line": ["1 Main Street"], "city": "Newark", "state": "NJ" },
                { "city": "Boston", "state": "MA" }
            ],
            "telecom": [{ "value": "(409) 304-95" }],
            "extension": [
                { "url": fhir::patient::MOTHERS_MAIDEN_NAME, "valueString": "Berger" },
                { "url": fhir::patient::ACCOUNT, "valueIdentifier": { "system": "1.2.9", "value": "A-1" } }
            ],
            "contained": [{
                "resourceType": "RelatedPerson",
                "patient": { "reference": "#" },
                "relationship": [{ "coding": [{ "code": "MTH" }] }],
                "identifier": [{ "system": "1.2.3", "value": "9" }],
                "name": [{ "family": "Berger", "given": ["Ida"] }]
            }]
        });
        infant.as_object().cloned().expect("an object")
    }

    fn id(system: &str, value: &str) -> Identifier {
        Identifier { system: system.to_owned(), value: value.to_owned() }
    }

    fn name(system: Option<&str>, value: &str) -> Option<Name> {
        Some(Name { value: Some(value.to_owned()), system: system.map(str::to_owned) })
    }

    #[test]
    fn all_that_is_known_has_to_fit() {
        let nothing = Criteria::default;
        let fitting = [
            Criteria { family: pattern("jones"), given: pattern("LEE"), middle: pattern("l*"), ..nothing() },
            Criteria { born: Some("2014".into()), gender: Some("male"), ..nothing() },
            Criteria {
                city: pattern("newark"),
                state: pattern("nj"),
                street: pattern("*main*"),
                ..nothing()
            },
            Criteria { telecom: Some("40930495".into()), ..nothing() },
            Criteria { account: name(None, "A-1"), ..nothing() },
            Criteria { account: name(Some("urn:oid:1.2.9"), "A-1"), ..nothing() },
            Criteria { mother: name(Some("urn:oid:1.2.3"), "9"), ..nothing() },
            Criteria { mothers_family: pattern("Berger"), mothers_given: pattern("ida"), ..nothing() },
            Criteria { identifier: name(Some("urn:oid:1.2.3"), "7"), ..nothing() },
        ];
        let others = [
            Criteria { family: pattern("jones"), given: pattern("Tom"), ..nothing() },
            Criteria { born: Some("2014-11".into()), ..nothing() },
            Criteria { city: pattern("newark"), state: pattern("ma"), ..nothing() },
            Criteria { middle: pattern("Sam"), ..nothing() },
            Criteria { telecom: Some("40930496".into()), ..nothing() },
            Criteria { account: name(Some("urn:oid:1.2.8"), "A-1"), ..nothing() },
            Criteria { mother: name(Some("urn:oid:1.2.3"), "8"), ..nothing() },
            Criteria { mothers_family: pattern("Berger"), mothers_given: pattern("Eva"), ..nothing() },
            Criteria { identifier: name(Some("urn:oid:1.2.4"), "7"), ..nothing() },
        ];
        let (own, authorities) = ([id("urn:oid:1.2.3", "7")], Authorities::default());
        let fits = |criteria: &Criteria| criteria.fit(&infant(), &own, &[], &authorities);
        assert!(fitting.iter().all(fits));
        for other in &others {
            assert!(!fits(other), "{other:?}");
        }
        let by_her_record = Criteria { mothers_family: pattern("Other"), ..nothing() };
        assert!(by_her_record.fit(&infant(), &own, &[id("urn:oid:1.2.3", "9")], &authorities));
    }
}
