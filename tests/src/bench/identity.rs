//! The identity source with the patients of a whole region: how long feeding them takes, and how quickly they are found.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testkit::Dice;

use super::cases::Bench;
use super::load::{self, Round, Traffic};
use super::region::{self, DOMAIN};
use super::table::{Goal, Row, Table};
use crate::region::{Actor, Region};

/// How often each family name and given name is borne: the first ones by many, the last ones by few, as names are.
const FAMILIES: usize = 4_000;
const GIVENS: usize = 800;
/// Patients fed by one client after the other.
const CLIENTS: usize = 16;
/// What a search may take, milliseconds, of a hundred the slowest one left out.
const MOST: f64 = 20.0;

const ONSETS: &[&str] = &[
    "b", "br", "d", "f", "g", "gr", "h", "k", "kr", "l", "m", "n", "p", "r", "s", "sch", "st", "t", "w", "z",
];
const VOWELS: &[&str] = &["a", "e", "i", "o", "u", "au", "ei", "ö", "ü"];
const ENDS: &[&str] = &["ber", "ger", "hofer", "inger", "l", "mann", "ner", "ler", "s", "ter", "tner", "z"];
const GIVEN_ENDS: &[&str] = &["a", "anna", "bert", "fried", "ias", "ina", "mar", "o", "rich", "us"];

/// The name of a rank.
fn name(rank: usize, ends: &[&str]) -> String {
    let mut dice = Dice::new(ends.len() as u64 * 100_000 + rank as u64);
    let mut one_of =
        |list: &[&'static str]| list[usize::try_from(dice.below(list.len() as u64)).unwrap_or_default()];
    let mut name = format!("{}{}", one_of(ONSETS), one_of(VOWELS));
    if rank >= ends.len() {
        name += &format!("{}{}", one_of(ONSETS), one_of(VOWELS));
    }
    let mut dice = Dice::new(rank as u64);
    name += ends[usize::try_from(dice.below(ends.len() as u64)).unwrap_or_default()];
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A rank: low ones are drawn far more often.
fn rank(dice: &mut Dice, ranks: usize) -> usize {
    let (one, other) = (dice.below(ranks as u64), dice.below(ranks as u64));
    usize::try_from(one * other / ranks as u64).unwrap_or_default()
}

/// One patient of the population.
struct Person {
    family: String,
    given: String,
    gender: &'static str,
    born: String,
    resource: Value,
}

fn person(number: usize) -> Person {
    let mut dice = Dice::new(number as u64);
    let family = name(rank(&mut dice, FAMILIES), ENDS);
    let given = name(rank(&mut dice, GIVENS), GIVEN_ENDS);
    let gender = if dice.below(2) == 0 { "male" } else { "female" };
    let born = format!("{}-{:02}-{:02}", dice.between(1925, 2024), dice.between(1, 12), dice.between(1, 28));
    let street = name(rank(&mut dice, 500), ENDS);
    let resource = json!({
        "resourceType": "Patient",
        "identifier": [{ "system": DOMAIN, "value": format!("person-{number}") }],
        "active": true,
        "name": [{ "family": family, "given": [given] }],
        "gender": gender,
        "birthDate": born,
        "telecom": [{ "system": "phone", "value": format!("+43 1 {:07}", dice.below(10_000_000)) }],
        "address": [{
            "line": [format!("{street}gasse {}", dice.between(1, 120))],
            "city": name(rank(&mut dice, 60), ENDS),
            "postalCode": dice.between(1010, 9992).to_string(),
            "country": "AT"
        }]
    });
    Person { family, given, gender, born, resource }
}

struct Feed<'a> {
    authority: &'a str,
    next: usize,
    until: usize,
}

impl Traffic for Feed<'_> {
    fn next(&mut self, into: &mut Vec<u8>) -> bool {
        if self.next == self.until {
            return false;
        }
        let body = person(self.next).resource.to_string();
        let path = format!("/fhir/Patient?identifier={DOMAIN}%7Cperson-{}", self.next);
        region::request("PUT", &path, self.authority, body.as_bytes(), into);
        self.next += 1;
        true
    }
}

/// Feeds so many patients beside those that are there, and measures what is asked of a region of that size.
pub(super) fn measure(region: &Region, time: Duration, people: usize, table: &mut Table) -> Result<()> {
    let bench = Bench { region, time, documents: people };
    feed(region, people, table)?;
    by_identifier(&bench, people, table)?;
    by_name(&bench, people, table)?;
    without_index(&bench, table)?;
    let resident = super::cases::resident(region, Actor::Identity)?;
    table.bar(&format!("identity with {people} patients, all asked about"), resident, "MiB", 512.0);
    Ok(())
}

fn feed(region: &Region, people: usize, table: &mut Table) -> Result<()> {
    let authority = region::authority(region, Actor::Identity)?;
    let mut traffic = Feed { authority: &authority, next: 0, until: people };
    let begin = Instant::now();
    let fed = load::drive(&authority, CLIENTS, &mut traffic, None).context("feeding the population")?;
    table.add(Row::of("ITI-104, new patients", people, &fed, None));
    // What the registry has yet to hear would be measured with the searches.
    let patience = Duration::from_secs(600);
    while !is_told(region)? {
        ensure!(begin.elapsed() < patience, "the registry is told of every patient within {patience:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    eprintln!("{people} patients fed in {:.1?}, the registry told in {:.1?}", fed.elapsed, begin.elapsed());
    Ok(())
}

/// Whether the registry has heard of everybody.
fn is_told(region: &Region) -> Result<bool> {
    let authority = crate::raw::authority(&region.admin(Actor::Identity))?;
    let mut page = Page::default();
    let mut round = Round::get(&authority, ["/metrics".to_owned()]);
    page.first(&authority, &mut round)?;
    let waiting = page.body.lines().find(|line| line.starts_with("docshare_outbox_pending"));
    Ok(waiting.and_then(|line| line.rsplit(' ').next()).is_none_or(|count| count == "0"))
}

/// One page as text.
#[derive(Default)]
struct Page {
    body: String,
}

impl Page {
    fn first(&mut self, authority: &str, round: &mut Round) -> Result<()> {
        struct Once<'a>(&'a mut Round, bool, &'a mut String);
        impl Traffic for Once<'_> {
            fn next(&mut self, request: &mut Vec<u8>) -> bool {
                !std::mem::replace(&mut self.1, true) && self.0.next(request)
            }
            fn answered(&mut self, _head: &[u8], body: &[u8]) {
                *self.2 = String::from_utf8_lossy(body).into_owned();
            }
        }
        load::drive(authority, 1, &mut Once(round, false, &mut self.body), None).map(drop)
    }
}

fn by_identifier(bench: &Bench<'_>, people: usize, table: &mut Table) -> Result<()> {
    let authority = region::authority(bench.region, Actor::Identity)?;
    let path = |number: usize| format!("/fhir/Patient?identifier={DOMAIN}%7Cperson-{number}");
    let bare = bench.bare(&bench.fetch(Actor::Identity, &path(0))?)?;
    let spread = (0..10_000).map(|number| path(number * 7_919 % people));
    let mut round = Round::get(&authority, spread);
    let (row, _) = bench.measure("Patient?identifier=, everybody", Actor::Identity, &mut round)?;
    table.add(row.beside("bare handler", Some(bare), Goal::AtLeast(0.2)));
    Ok(())
}

/// By names as they are typed: common and rare beginnings, and two conditions together.
fn by_name(bench: &Bench<'_>, people: usize, table: &mut Table) -> Result<()> {
    let some: Vec<Person> = (0..500).map(|number| person(number * 101 % people)).collect();
    let begins =
        |text: &str, letters: usize| encode(&text.chars().take(letters).collect::<String>().to_lowercase());
    type Query<'q> = Box<dyn Fn(&Person, usize) -> String + 'q>;
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
        ("family:contains=", Box::new(|one, _| format!("family:contains={}", begins(&one.family[1..], 3)))),
        (
            "name= of 2 letters, of one domain",
            Box::new(|one, _| format!("name={}&identifier={DOMAIN}%7C", begins(&one.given, 2))),
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
