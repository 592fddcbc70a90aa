//! How well records of one person are told from those of others: `$match` over a generated population, of which it is known who is who.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use actor::{Running, Setup};
use futures_util::{StreamExt as _, stream};
use identity_source::{IdentitySource, Settings};
use serde_json::{Value, json};
use testkit::Person;

/// Requests side by side.
const TOGETHER: usize = 16;
/// Scores at which precision and recall are told.
const THRESHOLDS: [f64; 6] = [0.1, 0.5, 0.9, 0.99, 0.999, 0.9995];

/// What was found of one question: by number of the record, with score and grade.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Records fed.
    pub(crate) records: usize,
    /// Records looked for.
    pub(crate) asked: usize,
    /// Pairs that are one person: the story of both, and the score, if they were found.
    truths: Vec<(&'static str, Option<f64>)>,
    /// Pairs found that are two people: what they have in common, and the score.
    falses: Vec<(&'static str, f64)>,
}

/// Feeds a population and asks for some of its records by what is known of them, without their identifiers.
pub(crate) async fn measure(records: usize, asked: usize, seed: u64) -> Report {
    let people = testkit::population(seed, records);
    let running = actor::start_with::<IdentitySource>(Setup::new(Settings::default()));
    let client = reqwest::Client::new();
    feed(&running, &client, &people).await;
    let numbers: HashMap<(&str, &str), usize> = people
        .iter()
        .enumerate()
        .map(|(number, one)| ((one.system.as_str(), one.value.as_str()), number))
        .collect();
    let mut of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, one) in people.iter().enumerate() {
        of.entry(one.truth).or_default().push(number);
    }
    // Every second question is about somebody with several records, the others about anybody.
    let several: Vec<usize> = of.values().filter(|those| those.len() > 1).flatten().copied().collect();
    let step = |list: usize| (list / (asked / 2).max(1)).max(1);
    let mut wanted: Vec<usize> = several.iter().copied().step_by(step(several.len())).collect();
    wanted.extend((0..people.len()).step_by(step(people.len())));
    wanted.sort_unstable();
    wanted.dedup();
    let mut report = Report { records, asked: wanted.len(), ..Report::default() };
    let answers = stream::iter(wanted.iter().map(|number| ask(&running, &client, &people[*number])));
    let answers: Vec<Vec<(String, String, f64)>> = answers.buffered(TOGETHER).collect().await;
    for (number, found) in wanted.iter().zip(answers) {
        let scores: HashMap<usize, f64> = found
            .iter()
            .filter_map(|(system, value, score)| {
                Some((*numbers.get(&(system.as_str(), value.as_str()))?, *score))
            })
            .collect();
        let own = &people[*number];
        for other in of[&own.truth].iter().filter(|other| *other != number) {
            let story = if own.story.is_empty() { people[*other].story } else { own.story };
            report.truths.push((story, scores.get(other).copied()));
        }
        for (other, score) in scores.iter().filter(|(other, _)| people[**other].truth != own.truth) {
            report.falses.push((kinship(own, &people[*other]), *score));
        }
    }
    (running.stop)();
    report
}

async fn feed(running: &Running, client: &reqwest::Client, people: &[Person]) {
    let fed = people.iter().map(|one| {
        let identifier = xds::Identifier { system: one.system.clone(), value: one.value.clone() };
        let url = format!("{}/fhir{}", running.host, fhir::iti104::write_path(&identifier));
        client.put(url).header("content-type", "application/fhir+json").body(one.patient.to_string()).send()
    });
    let mut fed = stream::iter(fed).buffer_unordered(TOGETHER);
    while let Some(answer) = fed.next().await {
        let answer = answer.expect("is answered");
        assert_eq!(answer.status(), 201, "a record is taken in");
    }
}

/// Identifier and score of each match for what a record says beside its identifier.
async fn ask(running: &Running, client: &reqwest::Client, one: &Person) -> Vec<(String, String, f64)> {
    let mut patient = one.patient.clone();
    patient.as_object_mut().expect("is an object").shift_remove("identifier");
    let body = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "resource", "resource": patient }, { "name": "count", "valueInteger": 100 } ] });
    let url = format!("{}/fhir/Patient/$match", running.host);
    let request = client.post(url).header("content-type", "application/fhir+json").body(body.to_string());
    let answer = request.send().await.expect("is answered");
    let bundle: Value = serde_json::from_str(&answer.text().await.expect("has a body")).expect("is JSON");
    let told = fhir::iti119::read_response(&bundle);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let read = told.iter().map(|match_| {
        let identifier = &match_.patient["identifier"][0];
        (text(&identifier["system"]), text(&identifier["value"]), match_.score.unwrap_or_default())
    });
    read.collect()
}

/// What two people have in common.
fn kinship(one: &Person, other: &Person) -> &'static str {
    let part = |person: &Person, path: &str| person.patient.pointer(path).cloned().unwrap_or_default();
    let same = |path: &str| part(one, path) == part(other, path) && !part(one, path).is_null();
    match (same("/name/0/family"), same("/name/0/given/0"), same("/birthDate")) {
        (true, false, true) => "twins",
        (true, true, false) => "the same name, born at another time",
        (true, true, true) => "the same name and date of birth",
        (true, false, false) if same("/address/0/line/0") => "one family",
        _ => "others",
    }
}

impl Report {
    /// Precision and recall at a score: of the pairs told how many are one person, and of those how many are told.
    pub(crate) fn at(&self, threshold: f64) -> (f64, f64) {
        let right =
            self.truths.iter().filter(|(_, score)| score.is_some_and(|score| score >= threshold)).count();
        let wrong = self.wrong(threshold).count();
        (share(right, right + wrong), share(right, self.truths.len()))
    }

    /// Pairs of two people told with this score or more.
    pub(crate) fn wrong(&self, threshold: f64) -> impl Iterator<Item = &(&'static str, f64)> {
        self.falses.iter().filter(move |(_, score)| *score >= threshold)
    }

    /// The tables of `docs/matching.md`.
    pub(crate) fn tables(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} records, {} questions, {} pairs of records of one person.\n",
            self.records,
            self.asked,
            self.truths.len()
        );
        out.push_str("| score from | precision | recall | pairs of two people told |\n|---|---|---|---|\n");
        for threshold in THRESHOLDS {
            let (precision, recall) = self.at(threshold);
            let wrong = self.wrong(threshold).count();
            let _ = writeln!(out, "| {threshold} | {precision:.4} | {recall:.4} | {wrong} |");
        }
        let missed = self.truths.iter().filter(|(_, score)| score.is_none()).count();
        let _ = writeln!(
            out,
            "\nNot told at all, because no key meets or less than `match.possible` speaks for it: {missed} ({:.4}).\n",
            share(missed, self.truths.len())
        );
        out.push_str("| what happened to the record | pairs | certain | at least probable | told |\n|---|---|---|---|---|\n");
        let mut stories: BTreeMap<&str, Vec<Option<f64>>> = BTreeMap::new();
        for (story, score) in &self.truths {
            stories.entry(story).or_default().push(*score);
        }
        for (story, scores) in stories {
            let from = |least: f64| {
                share(
                    scores.iter().filter(|score| score.is_some_and(|score| score >= least)).count(),
                    scores.len(),
                )
            };
            let story = if story.is_empty() { "nothing" } else { story };
            let _ = writeln!(
                out,
                "| {story} | {} | {:.3} | {:.3} | {:.3} |",
                scores.len(),
                from(0.999),
                from(0.9),
                from(0.0)
            );
        }
        out.push_str(
            "\n| two people who were told | certain | at least probable | told |\n|---|---|---|---|\n",
        );
        let mut kinds: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for (kind, score) in &self.falses {
            let counts = kinds.entry(kind).or_default();
            for (count, least) in counts.iter_mut().zip([0.999, 0.9, 0.0]) {
                *count += usize::from(*score >= least);
            }
        }
        for (kind, [certain, probable, told]) in kinds {
            let _ = writeln!(out, "| {kind} | {certain} | {probable} | {told} |");
        }
        out.push_str("\n| score | pairs | of them one person |\n|---|---|---|\n");
        for (from, to) in
            [(0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 0.99), (0.99, 0.999), (0.999, 1.01)]
        {
            let within = |score: f64| score >= from && score < to;
            let right = self.truths.iter().filter(|(_, score)| score.is_some_and(within)).count();
            let wrong = self.falses.iter().filter(|(_, score)| within(*score)).count();
            let to = f64::min(to, 1.0);
            let _ =
                writeln!(out, "| {from} to {to} | {} | {:.3} |", right + wrong, share(right, right + wrong));
        }
        out
    }
}

fn share(part: usize, whole: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of a measurement are small")]
    let share = part as f64 / whole.max(1) as f64;
    share
}
