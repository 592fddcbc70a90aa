//! People who do not exist, as several hospitals know them: families with twins, and with father and son of one name; names as common
//! or rare as names are; and the same person again with what happens to records. Who is who is known.

mod names;

use serde_json::{Value, json};

use crate::Dice;
use names::{BEGINNINGS, CITIES, ENDINGS, FAMILIES, FEMALE, MALE, SHORT, SPELLINGS, STREETS, TWINS};

/// One record of one person.
#[derive(Debug, Clone)]
pub struct Person {
    /// As a source feeds it: a Patient with one identifier.
    pub patient: Value,
    /// The domain of that identifier.
    pub system: String,
    /// Its value.
    pub value: String,
    /// Which hospital's record this is, from 0.
    pub domain: usize,
    /// Who it is. Two records with the same number are of one person, all others of two.
    pub truth: usize,
    /// What happened to this record; empty for the first one of a person.
    pub story: &'static str,
}

/// Hospitals.
const DOMAINS: u64 = 3;

/// The first so many records of a population: the same for the same seed.
pub fn population(seed: u64, count: usize) -> Vec<Person> {
    let mut world = World { dice: Dice::new(seed), records: Vec::with_capacity(count + 16), people: 0 };
    while world.records.len() < count {
        world.household();
    }
    world.records.truncate(count);
    world.records
}

#[derive(Debug, Clone)]
struct Human {
    truth: usize,
    family: String,
    born_as: String,
    given: Vec<String>,
    male: bool,
    born: (u64, u64, u64),
    street: String,
    number: u64,
    postal_code: u32,
    city: String,
    phone: String,
    mail: Option<String>,
}

struct World {
    dice: Dice,
    records: Vec<Person>,
    people: usize,
}

impl World {
    /// One of a list whose first are the commonest.
    fn common(&mut self, list: &[&str]) -> String {
        let length = list.len() as u64;
        let place = self.dice.below(length).min(self.dice.below(length)).min(self.dice.below(length));
        list.get(usize::try_from(place).unwrap_or_default()).copied().unwrap_or_default().to_owned()
    }

    fn family_name(&mut self) -> String {
        if self.dice.per_mille(450) {
            return self.common(FAMILIES);
        }
        let (Some(one), Some(other)) = (self.dice.pick(BEGINNINGS), self.dice.pick(ENDINGS)) else {
            return String::new();
        };
        format!("{one}{other}")
    }

    fn given(&mut self, male: bool) -> Vec<String> {
        let list = if male { MALE } else { FEMALE };
        let mut given = vec![self.common(list)];
        if self.dice.per_mille(200) {
            let second = self.common(list);
            given.extend((second != given[0]).then_some(second));
        }
        given
    }

    fn date(&mut self, from: u64, to: u64) -> (u64, u64, u64) {
        (self.dice.between(from, to), self.dice.between(1, 12), self.dice.between(1, 28))
    }

    fn phone(&mut self) -> String {
        format!("+43 6{} {:07}", self.dice.between(50, 99), self.dice.below(10_000_000))
    }

    fn human(&mut self, home: &Human, male: bool, born: (u64, u64, u64)) -> Human {
        self.people += 1;
        let phone = if self.dice.per_mille(500) { self.phone() } else { home.phone.clone() };
        Human {
            truth: self.people,
            given: self.given(male),
            male,
            born,
            phone,
            mail: None,
            born_as: home.family.clone(),
            ..home.clone()
        }
    }

    /// A couple or a single with children, and all records of each of them.
    fn household(&mut self) {
        let (city, first) = self.dice.pick(CITIES).copied().unwrap_or_default();
        let family = self.family_name();
        let nobody = Human {
            truth: 0,
            born_as: family.clone(),
            family,
            given: Vec::new(),
            male: true,
            born: (1900, 1, 1),
            street: self.common(STREETS),
            number: self.dice.between(1, 120),
            postal_code: first + u32::try_from(self.dice.below(12)).unwrap_or_default() * 10,
            city: city.to_owned(),
            phone: self.phone(),
            mail: None,
        };
        let first_born = self.dice.per_mille(550);
        let born = self.date(1932, 1996);
        let one = self.human(&nobody, first_born, born);
        let mut members = vec![one.clone()];
        if self.dice.per_mille(650) {
            let born = self.date(one.born.0.saturating_sub(6), one.born.0 + 6);
            let mut other = self.human(&nobody, !one.male, born);
            other.born_as = self.family_name();
            match self.dice.below(10) {
                0 => other.family = format!("{}-{}", one.family, other.born_as),
                1 | 2 => other.family.clone_from(&other.born_as),
                _ => {}
            }
            members.push(other);
            for _ in 0..self.dice.below(4) {
                self.child(&one, &mut members);
            }
        }
        for member in &mut members {
            if self.dice.per_mille(350) {
                member.mail = Some(format!("{}.{}@mail.example", member.truth, self.dice.below(100)));
            }
            self.records_of(member);
        }
    }

    fn child(&mut self, parent: &Human, members: &mut Vec<Human>) {
        let born = self.date(parent.born.0 + 21, (parent.born.0 + 38).min(2024));
        let male = self.dice.per_mille(510);
        let mut child = self.human(parent, male, born);
        if male && parent.male && self.dice.per_mille(60) {
            child.given.clone_from(&parent.given);
        }
        // More twins than there are, so that there are enough to judge by.
        if self.dice.per_mille(40) {
            let male = self.dice.per_mille(500);
            let mut twin = self.human(parent, male, born);
            while twin.given[0] == child.given[0] {
                twin.given = self.given(male);
            }
            if self.dice.per_mille(500)
                && let Some((one, other)) = self.dice.pick(TWINS)
            {
                child.given = vec![(*one).to_owned()];
                twin.given = vec![(*other).to_owned()];
                let is_of = |name: &str, list: &[&str]| list.contains(&name);
                child.male = !is_of(one, FEMALE) && !matches!(*one, "Hanna");
                twin.male = !is_of(other, FEMALE)
                    && !matches!(*other, "Hanna" | "Sofia" | "Jana" | "Daniela" | "Simone");
            }
            members.push(twin);
        }
        members.push(child);
    }

    /// The first record, and those of other hospitals or of the same one by mistake.
    fn records_of(&mut self, human: &Human) {
        let domain = self.dice.below(DOMAINS);
        let patient = write(human);
        self.record(human.truth, domain, patient, "");
        while self.dice.per_mille(300) {
            let domain = if self.dice.per_mille(150) { domain } else { self.dice.below(DOMAINS) };
            let (patient, story) = self.again(human);
            self.record(human.truth, domain, patient, story);
        }
    }

    fn record(&mut self, truth: usize, domain: u64, mut patient: Value, story: &'static str) {
        let system = format!("urn:oid:2.25.31415.{}", domain + 1);
        let value = format!("H{}-{}", domain + 1, self.records.len() + 1);
        patient["identifier"] = json!([{ "system": system, "value": value }]);
        let domain = usize::try_from(domain).unwrap_or_default();
        self.records.push(Person { patient, system, value, domain, truth, story });
    }

    /// The person again, with what happened to the record.
    fn again(&mut self, human: &Human) -> (Value, &'static str) {
        let mut human = human.clone();
        // Half of those who come again have moved, or changed their number.
        if self.dice.per_mille(250) {
            human.street = self.common(STREETS);
            human.number = self.dice.between(1, 120);
            let (city, first) = self.dice.pick(CITIES).copied().unwrap_or_default();
            (human.city, human.postal_code) = (city.to_owned(), first);
        }
        if self.dice.per_mille(250) {
            human.phone = self.phone();
        }
        let story = self.slip(&mut human);
        let mut patient = write(&human);
        match story {
            "no address and no telephone" => {
                drop(patient.as_object_mut().map(|members| {
                    members.shift_remove("address");
                    members.shift_remove("telecom")
                }));
            }
            "no date of birth" => {
                drop(patient.as_object_mut().map(|members| members.shift_remove("birthDate")))
            }
            "only the year of birth" => patient["birthDate"] = json!(format!("{:04}", human.born.0)),
            "capitals" => {
                patient["name"][0]["family"] = json!(human.family.to_uppercase());
                patient["name"][0]["given"] = json!([human.given.join(" ").to_uppercase()]);
            }
            _ => {}
        }
        (patient, story)
    }

    fn slip(&mut self, human: &mut Human) -> &'static str {
        let swap = |list: &[(&str, &str)], name: &str| {
            list.iter().find_map(|(one, other)| match name {
                name if name == *one => Some((*other).to_owned()),
                name if name == *other => Some((*one).to_owned()),
                _ => None,
            })
        };
        match self.dice.below(22) {
            0..=3 => return "the same again",
            4 => return "capitals",
            5 => return "no address and no telephone",
            6 => return "no date of birth",
            7 => return "only the year of birth",
            8 | 9 => {
                human.family = self.typo(&human.family);
                return "a slip in the family name";
            }
            10 | 11 => {
                human.given[0] = self.typo(&human.given[0]);
                return "a slip in the given name";
            }
            12 if human.born.1 != human.born.2 && human.born.2 <= 12 => {
                human.born = (human.born.0, human.born.2, human.born.1);
                return "day and month exchanged";
            }
            13 => {
                human.born.2 = if human.born.2 == 11 { 17 } else { (human.born.2 + 10 - 1) % 28 + 1 };
                return "another day of birth";
            }
            14 => {
                let years = human.born.0;
                human.born.0 = years / 100 * 100 + years % 10 * 10 + years / 10 % 10;
                return "two digits of the year exchanged";
            }
            15 => {
                let given = human.given.join(" ");
                human.given = vec![std::mem::replace(&mut human.family, given)];
                return "names exchanged";
            }
            16 if !human.male => {
                human.family =
                    if human.family == human.born_as { self.family_name() } else { human.born_as.clone() };
                return "another family name";
            }
            17 if human.family.contains('-') => {
                human.family = human.family.split('-').next().unwrap_or_default().to_owned();
                return "half of a double name";
            }
            18 if human.given.len() > 1 => {
                human.given.truncate(1);
                return "fewer given names";
            }
            _ => {}
        }
        if let Some(other) = swap(SHORT, &human.given[0]).filter(|_| self.dice.per_mille(250)) {
            human.given[0] = other;
            return "a short form";
        }
        if let Some(other) = swap(SPELLINGS, &human.given[0]) {
            human.given[0] = other;
            return "another spelling";
        }
        let (family, given) = (transliterated(&human.family), transliterated(&human.given[0]));
        if family != human.family || given != human.given[0] {
            human.family = family;
            human.given[0] = given;
            return "no umlauts";
        }
        "the same again"
    }

    /// A letter left out, doubled, changed, or exchanged with its neighbour.
    fn typo(&mut self, name: &str) -> String {
        let mut letters: Vec<char> = name.chars().collect();
        if letters.len() < 3 {
            return name.to_owned();
        }
        let place = usize::try_from(self.dice.between(1, letters.len() as u64 - 2)).unwrap_or(1);
        match self.dice.below(4) {
            0 => drop(letters.remove(place)),
            1 => letters.insert(place, letters[place]),
            2 => letters[place] = *self.dice.pick(&['a', 'e', 'i', 'n', 'r', 's', 't']).unwrap_or(&'e'),
            _ => letters.swap(place, place + 1),
        }
        letters.into_iter().collect()
    }
}

/// A name as it is written where a keyboard lacks letters.
fn transliterated(name: &str) -> String {
    let pairs = [
        ("ä", "ae"),
        ("ö", "oe"),
        ("ü", "ue"),
        ("Ä", "Ae"),
        ("Ö", "Oe"),
        ("Ü", "Ue"),
        ("ß", "ss"),
        ("é", "e"),
        ("è", "e"),
        ("ć", "c"),
        ("č", "c"),
        ("ş", "s"),
        ("ı", "i"),
        ("ø", "oe"),
        ("Ł", "L"),
        ("ë", "e"),
        ("á", "a"),
        ("í", "i"),
    ];
    pairs.iter().fold(name.to_owned(), |name, (letter, plain)| name.replace(letter, plain))
}

fn write(human: &Human) -> Value {
    let mut telecom = vec![json!({ "system": "phone", "value": human.phone })];
    telecom.extend(human.mail.iter().map(|mail| json!({ "system": "email", "value": mail })));
    json!({
        "resourceType": "Patient",
        "active": true,
        "identifier": [],
        "name": [{ "family": human.family, "given": human.given }],
        "gender": if human.male { "male" } else { "female" },
        "birthDate": format!("{:04}-{:02}-{:02}", human.born.0, human.born.1, human.born.2),
        "telecom": telecom,
        "address": [{
            "line": [format!("{} {}", human.street, human.number)],
            "city": human.city, "postalCode": human.postal_code.to_string(), "country": "AT"
        }]
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_people_and_a_longer_population_begins_the_same() {
        let names = |people: &[Person]| people.iter().map(|one| one.patient.to_string()).collect::<Vec<_>>();
        let some = names(&population(7, 300));
        assert_eq!(some, names(&population(7, 300)));
        assert_eq!(some[..200], names(&population(7, 1_000))[..200]);
        assert_ne!(some, names(&population(8, 300)));
    }

    #[test]
    fn every_story_happens_and_identifiers_are_nobody_elses() {
        let people = population(1, 20_000);
        let mut stories = BTreeMap::new();
        let mut identifiers = std::collections::BTreeSet::new();
        for one in &people {
            *stories.entry(one.story).or_insert(0) += 1;
            assert!(identifiers.insert((one.system.clone(), one.value.clone())));
        }
        assert!(stories.len() >= 18, "{stories:?}");
    }
}
