//! The identity source with the patients of a whole region: how long feeding them takes, and how quickly they are found.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testkit::Person;

use super::cases::Bench;
use super::load::{self, Round, Traffic};
use super::region;
use super::table::{Goal, Row, Table};
use crate::region::{Actor, Region};

/// Patients fed by one client after the other.
const CLIENTS: usize = 16;
/// What a search may take, milliseconds, of a hundred the slowest one left out.
const MOST: f64 = 20.0;
/// Repeats the population.
const SEED: u64 = 7;
/// What a match may take.
const MOST_MATCH: f64 = 50.0;

/// What a person is asked for by.
struct Asked {
    family: String,
    given: String,
    gender: String,
    born: String,
    token: String,
    domain: String,
}

impl Asked {
    fn of(person: &Person) -> Asked {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Asked {
            family: text(&person.patient["name"][0]["family"]),
            given: text(&person.patient["name"][0]["given"][0]),
            gender: text(&person.patient["gender"]),
            born: text(&person.patient["birthDate"]),
            token: encode(&format!("{}|{}", person.system, person.value)),
            domain: encode(&format!("{}|", person.system)),
        }
    }

    /// Whether nothing is missing that is asked for.
    fn is_whole(&self) -> bool {
        self.family.chars().count() >= 4
            && self.given.chars().count() >= 3
            && !self.gender.is_empty()
            && self.born.len() == 10
    }
}

struct Feed<'a> {
    authority: &'a str,
    left: std::slice::Iter<'a, Person>,
}

impl Traffic for Feed<'_> {
    fn next(&mut self, into: &mut Vec<u8>) -> bool {
        let Some(person) = self.left.next() else { return false };
        let path = format!("/fhir/Patient?identifier={}", Asked::of(person).token);
        region::request("PUT", &path, self.authority, person.patient.to_string().as_bytes(), into);
        true
    }
}

/// Feeds so many patients, and measures what is asked of a region of that size.
pub(super) fn measure(region: &Region, time: Duration, people: usize, table: &mut Table) -> Result<()> {
    let bench = Bench { region, time, documents: people };
    let population = testkit::population(SEED, people);
    feed(region, &population, table)?;
    by_identifier(&bench, &population, table)?;
    by_name(&bench, &population, table)?;
    matches(&bench, &population, table)?;
    without_index(&bench, table)?;
    let resident = super::cases::resident(region, Actor::Identity)?;
    table.bar(&format!("identity with {people} patients, all asked about"), resident, "MiB", 512.0);
    Ok(())
}

fn feed(region: &Region, population: &[Person], table: &mut Table) -> Result<()> {
    let authority = region::authority(region, Actor::Identity)?;
    let mut traffic = Feed { authority: &authority, left: population.iter() };
    let fed = load::drive(&authority, CLIENTS, &mut traffic, None).context("feeding the population")?;
    table.add(Row::of("ITI-104, new patients", population.len(), &fed, None));
    eprintln!("{} patients fed in {:.1?}", population.len(), fed.elapsed);
    Ok(())
}

fn by_identifier(bench: &Bench<'_>, population: &[Person], table: &mut Table) -> Result<()> {
    let authority = region::authority(bench.region, Actor::Identity)?;
    let path = |person: &Person| format!("/fhir/Patient?identifier={}", Asked::of(person).token);
    let first = population.first().context("there is a population")?;
    let bare = bench.bare(&bench.fetch(Actor::Identity, &path(first))?)?;
    let spread = (0..10_000).map(|number| path(&population[number * 7_919 % population.len()]));
    let mut round = Round::get(&authority, spread);
    let (row, _) = bench.measure("Patient?identifier=, everybody", Actor::Identity, &mut round)?;
    table.add(row.beside("bare handler", Some(bare), Goal::AtLeast(0.2)));
    Ok(())
}

/// By names as they are typed: common and rare beginnings, and two conditions together.
fn by_name(bench: &Bench<'_>, population: &[Person], table: &mut Table) -> Result<()> {
    let spread = (0..1_000).map(|number| Asked::of(&population[number * 101 % population.len()]));
    let some: Vec<Asked> = spread.filter(Asked::is_whole).collect();
    let begins =
        |text: &str, letters: usize| encode(&text.chars().take(letters).collect::<String>().to_lowercase());
    type Query<'q> = Box<dyn Fn(&Asked, usize) -> String + 'q>;
    let queries: Vec<(&str, Query<'_>)> = vec![
        ("name= of 2 letters", Box::new(|one, _| format!("name={}", begins(&one.family, 2)))),
        ("name= of 3 and 4 letters", Box::new(|one, at| format!("name={}", begins(&one.given, 3 + at % 2)))),
        (
            "family= and given=",
            Box::new(|one, _| format!("family={}&given={}", begins(&one.family, 4), begins(&one.given, 3))),
        ),
        (
            "family= and gender=",
            Box::new(|one, _| format!("family={}&gender={}", begins(&one.family, 3), one.gender)),
        ),
        (
            "birthdate= and family=",
            Box::new(|one, at| {
                let born = if at % 2 == 0 { &one.born } else { &one.born[..4] };
                format!("birthdate={born}&family={}", begins(&one.family, 2))
            }),
        ),
        (
            "family:contains=",
            Box::new(|one, _| {
                format!("family:contains={}", begins(&one.family.chars().skip(1).collect::<String>(), 3))
            }),
        ),
        (
            "name= of 2 letters, of one domain",
            Box::new(|one, _| format!("name={}&identifier={}", begins(&one.given, 2), one.domain)),
        ),
        (
            "name= of 2 letters, sorted by name and date of birth",
            Box::new(|one, _| format!("name={}&_sort=family,-birthdate&_count=20", begins(&one.family, 2))),
        ),
    ];
    for (name, query) in &queries {
        let paths = some.iter().enumerate().map(|(at, one)| format!("/fhir/Patient?{}", query(one, at)));
        find(bench, name, paths.collect(), table)?;
    }
    Ok(())
}

/// `$match` by what is known of somebody: everything, with a slip, and so little that many have it.
fn matches(bench: &Bench<'_>, population: &[Person], table: &mut Table) -> Result<()> {
    let authority = region::authority(bench.region, Actor::Identity)?;
    type Known = fn(&mut Value);
    let cases: [(&str, Known, bool); 3] = [
        ("$match, all that is known", |_| {}, true),
        (
            "$match, with a slip in the name and the day",
            |patient| {
                let family = patient["name"][0]["family"].as_str().unwrap_or_default().to_owned();
                patient["name"][0]["family"] = json!(family.replacen(['e', 'a', 'i'], "", 1));
                let born = patient["birthDate"].as_str().unwrap_or_default();
                let Some(year) = born.get(..4).map(str::to_owned) else { return };
                patient["birthDate"] = json!(format!("{year}-05-17"));
            },
            true,
        ),
        (
            "$match, the name alone",
            |patient| {
                let name = patient["name"].clone();
                *patient = json!({ "resourceType": "Patient", "name": name });
            },
            false,
        ),
    ];
    for (name, known, is_found) in cases {
        let request = |number: usize| {
            let mut patient = population[number * 101 % population.len()].patient.clone();
            patient.as_object_mut().map(|members| members.shift_remove("identifier"));
            known(&mut patient);
            let mut request = Vec::new();
            region::request(
                "POST",
                "/fhir/Patient/$match",
                &authority,
                patient.to_string().as_bytes(),
                &mut request,
            );
            request
        };
        let answer = bench.first(Actor::Identity, &mut Round::new(vec![request(1)]))?;
        let bundle: Value =
            serde_json::from_slice(&answer).with_context(|| format!("{name} gives a Bundle"))?;
        let total = bundle["total"].as_u64().with_context(|| format!("{name} gives a total: {bundle}"))?;
        ensure!(total > 0 || !is_found, "{name} finds the patient: {bundle}");
        let requests = (0..500).map(request).collect();
        let (row, measured) = bench.measure(name, Actor::Identity, &mut Round::new(requests))?;
        table.bar(&format!("{name}: p99 under {CLIENTS} clients"), measured.quantile(0.99), "ms", MOST_MATCH);
        table.add(row);
    }
    Ok(())
}

/// Questions that leave half of everybody, or all.
fn without_index(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    for query in
        ["gender=male", "active=true", "", "gender:not=male&_summary=count", "_lastUpdated=gt2020-01-01"]
    {
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        find(bench, &format!("Patient{query}"), vec![format!("/fhir/Patient{query}")], table)?;
    }
    Ok(())
}

fn find(bench: &Bench<'_>, name: &str, paths: Vec<String>, table: &mut Table) -> Result<()> {
    let authority = region::authority(bench.region, Actor::Identity)?;
    let begin = Instant::now();
    let answer = bench.fetch(Actor::Identity, &paths[0])?;
    let first = begin.elapsed();
    let bundle: Value = serde_json::from_slice(&answer).with_context(|| format!("{name} gives a Bundle"))?;
    let total = bundle["total"].as_u64().with_context(|| format!("{name} gives a total"))?;
    eprintln!("{name}: the first answer, a total of {total}, after {first:.1?}");
    let (row, measured) = bench.measure(name, Actor::Identity, &mut Round::get(&authority, paths))?;
    table.bar(&format!("{name}: p99 under {CLIENTS} clients"), measured.quantile(0.99), "ms", MOST);
    table.add(row);
    Ok(())
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
