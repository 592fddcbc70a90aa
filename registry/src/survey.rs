//! What stored entries would now violate: a walk through everything that is registered, judged by the codes that are accepted
//! at present. In the background, page by page, with room for so many different codes and no more.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use affinity::{Loaded, Shelf};
use http::{Method, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use store::{Kind, Store};
use tokio::sync::watch;
use web::{Answer, Request};
use xds::Place;
use xds::affinity::{Coded, Given};

use crate::read::resource_type;
use crate::records::{DOCUMENT, LIST};

/// Rows read at once.
const PAGE: usize = 128;
/// Rest between two pages: whoever asks something of the registry goes first.
const REST: Duration = Duration::from_millis(2);
/// Different codes that are kept apart; those beyond are only counted.
const MOST_CODES: usize = 5_000;
/// Entries named for each code.
const SAMPLES: usize = 5;

/// The walk, and what the last one came to.
#[derive(Clone)]
pub(crate) struct Survey {
    store: Store,
    domain: Arc<Shelf>,
    stopping: watch::Receiver<bool>,
    /// Counts the walks that were begun: a later one ends an earlier one.
    number: Arc<AtomicU64>,
    report: Arc<Mutex<Report>>,
}

#[derive(Clone, Default)]
struct Report {
    state: State,
    fingerprint: String,
    /// Entries looked at.
    looked_at: u64,
    /// Entries with at least one code that is not accepted.
    violating: u64,
    codes: HashMap<(Coded, String, String), Violation>,
    /// Values beyond [`MOST_CODES`].
    further: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Never,
    UnderWay,
    Done,
    Failed,
}

#[derive(Clone, Default)]
struct Violation {
    entries: u64,
    current: u64,
    samples: Vec<String>,
    nearest: Option<String>,
}

impl Survey {
    pub(crate) fn new(store: Store, domain: Arc<Shelf>, stopping: watch::Receiver<bool>) -> Survey {
        Survey { store, domain, stopping, number: Arc::default(), report: Arc::default() }
    }

    /// Begins a walk on a thread of its own; one that is under way ends.
    pub(crate) fn begin(&self) {
        let survey = self.clone();
        let number = self.number.fetch_add(1, Ordering::AcqRel) + 1;
        let loaded = self.domain.current();
        *self.report.lock() =
            Report { state: State::UnderWay, fingerprint: loaded.fingerprint.clone(), ..Report::default() };
        let begun =
            std::thread::Builder::new().name("survey".to_owned()).spawn(move || survey.walk(&loaded, number));
        if let Err(error) = begun {
            tracing::error!(%error, "stored entries are not compared with the codes that are accepted now");
            self.report.lock().state = State::Failed;
        }
    }

    fn walk(&self, loaded: &Loaded, number: u64) {
        let walked = [DOCUMENT, LIST].into_iter().try_for_each(|kind| self.walk_kind(kind, loaded, number));
        if self.is_over(number) {
            return;
        }
        let mut report = self.report.lock();
        match walked {
            Ok(()) => {
                report.state = State::Done;
                let (entries, violating) = (report.looked_at, report.violating);
                tracing::info!(
                    entries,
                    violating,
                    "stored entries compared with the codes that are accepted now"
                );
                for ((attribute, _, code), violation) in report.worst().into_iter().take(20) {
                    let (entries, attribute) = (violation.entries, attribute.attribute());
                    tracing::warn!(attribute, code, entries, "a stored code is not accepted any more");
                }
            }
            Err(error) => {
                report.state = State::Failed;
                tracing::error!(%error, "comparing stored entries with the codes that are accepted now ended early");
            }
        }
    }

    fn walk_kind(&self, kind: Kind, loaded: &Loaded, number: u64) -> Result<(), store::Error> {
        let mut since = 0;
        loop {
            let rows = self.store.changes(kind, since, PAGE)?;
            let Some(last) = rows.last() else { return Ok(()) };
            since = last.sequence;
            for row in rows.iter().filter(|row| !row.deleted) {
                if self.is_over(number) {
                    return Ok(());
                }
                if let Ok(resource) = serde_json::from_slice::<Value>(&row.rendering) {
                    self.look_at(kind, &row.id, &resource, loaded);
                }
            }
            std::thread::sleep(REST);
        }
    }

    /// Whether another walk was begun, or the registry stops.
    fn is_over(&self, number: u64) -> bool {
        *self.stopping.borrow() || self.number.load(Ordering::Acquire) != number
    }

    fn look_at(&self, kind: Kind, id: &str, resource: &Value, loaded: &Loaded) {
        let given = fhir::coded::of_resource(resource, &Place::whole());
        let broken: Vec<&Given> = given.iter().filter(|value| !loaded.domain.accepts(value)).collect();
        let is_current = resource["status"] == "current";
        let mut report = self.report.lock();
        report.looked_at += 1;
        report.violating += u64::from(!broken.is_empty());
        for value in broken {
            report.count(value, &format!("{}/{id}", resource_type(kind)), is_current, loaded);
        }
    }

    fn told(&self) -> Value {
        let report = self.report.lock();
        let state = match report.state {
            State::Never => "never begun; POST /affinity/diff begins one",
            State::UnderWay => "under way",
            State::Done => "done",
            State::Failed => "ended early; the log has more",
        };
        let violations: Vec<Value> = report
            .worst()
            .into_iter()
            .map(|((attribute, system, code), violation)| {
                json!({
                    "attribute": attribute.attribute(), "system": system, "code": code,
                    "entries": violation.entries, "current": violation.current,
                    "nearest": violation.nearest, "samples": violation.samples,
                })
            })
            .collect();
        json!({
            "state": state, "domain": report.fingerprint, "entries": report.looked_at,
            "violating": report.violating, "violations": violations, "further": report.further,
        })
    }
}

impl Report {
    fn count(&mut self, value: &Given, id: &str, is_current: bool, loaded: &Loaded) {
        let Some(code) = value.codings.first() else { return };
        let key = (value.attribute, code.system.clone(), code.code.clone());
        if !self.codes.contains_key(&key) && self.codes.len() >= MOST_CODES {
            self.further += 1;
            return;
        }
        let violation = self.codes.entry(key).or_insert_with(|| Violation {
            nearest: loaded
                .domain
                .set(value.attribute)
                .and_then(|set| loaded.domain.nearest(value, set))
                .map(|near| near.code.clone()),
            ..Violation::default()
        });
        violation.entries += 1;
        violation.current += u64::from(is_current);
        if violation.samples.len() < SAMPLES {
            violation.samples.push(id.to_owned());
        }
    }

    /// The codes most entries have first.
    fn worst(&self) -> Vec<(&(Coded, String, String), &Violation)> {
        let mut codes: Vec<_> = self.codes.iter().collect();
        codes.sort_by(|(a, one), (b, other)| other.entries.cmp(&one.entries).then_with(|| a.cmp(b)));
        codes
    }
}

/// `GET /affinity/diff` on the admin listener tells what the last walk came to, `POST` begins one.
pub(crate) fn admin(survey: &Survey, request: &Request) -> Option<Answer> {
    if request.path != "/affinity/diff" {
        return None;
    }
    let status = match request.method {
        Method::POST => {
            survey.begin();
            StatusCode::ACCEPTED
        }
        Method::GET | Method::HEAD => StatusCode::OK,
        _ => return None,
    };
    Some(Answer::bytes(status, "application/json", format!("{:#}\n", survey.told())))
}
