//! What networks do to messages between the actors, one thing after the other. After each, the rule of sources ends in
//! success, everything is there once, and the checker finds no promise broken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use testkit::proxy::{Fault, Proxy};
use testkit::{Document, Folder, Provide, oid};
use tests::faults::checker::judge_events;
use tests::faults::history::{self, Gauge, History, Kind, Phase, Told, What};
use tests::faults::source::{Bases, Source};
use tests::region::{Actor, Plan, Region};
use tests::wire::Wire;

const DOMAIN: &str = "urn:oid:2.25.2718281828";
/// Longer than any patience of the region below.
const LONG: Duration = Duration::from_millis(1_000);
/// In which a source has to come to an end.
const WITHIN: Duration = Duration::from_secs(20);

/// A region whose messages can be harmed on their way, and a source that writes down what it is told.
struct Town {
    region: Region,
    /// Between repository and registry.
    inner: Proxy,
    /// Between source and repository.
    outer: Proxy,
    source: Source,
    history: Arc<History>,
    folder: tempfile::TempDir,
}

impl Town {
    async fn start() -> Town {
        let plan = Plan { set: impatient(), ..Plan::default() };
        let mut region = Region::prepare(&plan).expect("a region");
        let inner = proxy(&region.host(Actor::Registry)).await;
        let outer = proxy(&region.host(Actor::Repository)).await;
        region.route(Actor::Repository, Actor::Registry, &inner.host());
        region.start_all().expect("the actors start");
        let folder = tempfile::tempdir().expect("a folder");
        let history = Arc::new(History::create(&folder.path().join("history.jsonl")).expect("a history"));
        let bases = Bases {
            repository: format!("{}/fhir", outer.host()),
            registry: region.base(Actor::Registry),
            identity: region.base(Actor::Identity),
        };
        let source = Source::new(bases, history.clone(), 1, Duration::from_millis(2_500)).expect("a client");
        Town { region, inner, outer, source, history, folder }
    }

    async fn patient(&self) -> String {
        self.source.feed(DOMAIN, &oid()).await.expect("a patient is fed")
    }

    /// A fault on one way, then a source that keeps to its rule; the patient has this submission and no other.
    async fn survives(&self, way: &Proxy, prefix: &str, fault: Fault) -> String {
        let patient = self.patient().await;
        let provide = two_documents(&self.source.reference(&patient));
        way.inject(prefix, fault.clone());
        let told = self.source.submit_until_definite(&patient, &provide, WITHIN).await;
        let told = told.unwrap_or_else(|error| panic!("{fault:?}: {error:#}"));
        assert!(
            matches!(told, Told::Acknowledged { .. }),
            "{fault:?} on the way of {prefix} ends in {told:?}"
        );
        let count = self.source.look(&patient).await.expect("the patient is looked at");
        assert_eq!(count, 2, "{fault:?} on the way of {prefix}");
        way.clear();
        patient
    }

    /// Waits until nothing is in doubt, looks at every patient once more, and judges.
    async fn is_whole(&self, patients: &[String]) {
        // One round of settling later it is told truly.
        tokio::time::sleep(Duration::from_millis(400)).await;
        let settled = async {
            while self.in_doubt().await > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(15), settled).await.expect("everything in doubt is settled");
        self.note(What::Phase(Phase::Quiet));
        for patient in patients {
            self.source.look(patient).await.expect("a patient is looked at");
        }
        let in_doubt = self.in_doubt().await;
        self.note(What::Gauge(Gauge { actor: "repository".into(), in_doubt, oldest_ms: None }));
        self.history.flush().expect("the history is written");
        let events = history::read(&self.folder.path().join("history.jsonl")).expect("a history");
        let report = judge_events(&events);
        assert!(report.is_sound(), "{report}\n{}", self.region.log(Actor::Repository));
    }

    fn note(&self, what: What) {
        self.history.record(0, self.history.now(), what).expect("the history is written");
    }

    /// How many submissions the repository is in doubt about.
    async fn in_doubt(&self) -> u64 {
        let url = format!("{}/readyz?verbose", self.region.admin(Actor::Repository));
        let answer = Wire::new().expect("a client").get(&url).await.expect("the repository tells");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let words: Vec<&str> =
            text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let number = words.windows(4).find(|words| words[1..] == ["submissions", "in", "doubt"]);
        number.and_then(|words| words[0].parse().ok()).unwrap_or_else(|| panic!("no word of doubts: {text}"))
    }
}

/// Patience in seconds that in production is measured in minutes.
fn impatient() -> Vec<(Actor, String)> {
    [
        "registry.timeout=500ms",
        "submission.deadline=2s",
        "submission.settle_interval=200ms",
        "submission.same_id_wait=2s",
    ]
    .map(|setting| (Actor::Repository, setting.to_owned()))
    .to_vec()
}

async fn proxy(host: &str) -> Proxy {
    let address: SocketAddr = host.trim_start_matches("http://").parse().expect("a host is an address");
    Proxy::listen(address).await.expect("a proxy")
}

/// Two documents, one of them too large for the journal, and a folder.
fn two_documents(patient: &str) -> Provide {
    let small = Document::new("klein");
    let folder = Folder::new("Mappe", &[&small.url]);
    let large = Document::new(vec![b'x'; 1_200_000]).title("groß");
    Provide::new(patient).documents(vec![small, large]).folder(folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_between_repository_and_registry_a_submission_ends_in_success() {
    let town = Town::start().await;
    let mut patients = Vec::new();
    for fault in Fault::each(LONG) {
        patients.push(town.survives(&town.inner, "POST /fhir", fault).await);
    }
    town.is_whole(&patients).await;
    let kinds = Fault::each(LONG).iter().map(Fault::name).collect::<std::collections::BTreeSet<_>>().len();
    assert_eq!(town.inner.counts().len(), kinds, "every fault was applied: {:?}", town.inner.counts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_between_source_and_repository_a_submission_ends_in_success() {
    let town = Town::start().await;
    let mut patients = Vec::new();
    for fault in Fault::each(LONG) {
        patients.push(town.survives(&town.outer, "POST /fhir", fault).await);
    }
    town.is_whole(&patients).await;
}

/// Every try of the repository meets this fault, so that the source is told the outcome is unknown.
async fn unknown(town: &Town, fault: Fault) -> (String, Provide) {
    let patient = town.patient().await;
    let provide = two_documents(&town.source.reference(&patient));
    town.inner.always("POST /fhir", fault.clone());
    // A machine that has no time may refuse before anything is sent.
    for _ in 0..5 {
        match town.source.submit(&patient, &provide).await.expect("the history is written") {
            Told::Unknown { .. } => break,
            Told::Declined { .. } => {}
            told => panic!("{fault:?} at every try is told as {told:?}"),
        }
    }
    town.inner.clear();
    (patient, provide)
}

async fn documents(town: &Town, patient: &str) -> usize {
    town.source.search(patient, Kind::Document).await.expect("the registry answers").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_as_unknown_is_there_wholly_or_not_at_all_and_sent_again_it_succeeds() {
    let town = Town::start().await;
    let mut patients = Vec::new();
    for (fault, committed) in [
        (Fault::DropAnswer, true),
        (Fault::Rubbish, true),
        (Fault::Nonsense, true),
        (Fault::Status { status: 500, carried_out: true }, true),
        (Fault::ResetAnswer(40), true),
        (Fault::Status { status: 502, carried_out: false }, false),
        (Fault::ResetRequest(200), false),
        (Fault::Silent, false),
    ] {
        let (patient, provide) = unknown(&town, fault.clone()).await;
        let count = documents(&town, &patient).await;
        assert_eq!(count, if committed { 2 } else { 0 }, "{fault:?}");
        let told = town.source.submit_until_definite(&patient, &provide, WITHIN).await;
        assert!(matches!(told, Ok(Told::Acknowledged { .. })), "{fault:?}: {told:?}");
        patients.push(patient);
    }
    town.is_whole(&patients).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_delivered_after_it_was_settled_as_absent_changes_nothing() {
    let town = Town::start().await;
    let (patient, provide) = unknown(&town, Fault::HoldBack(Duration::from_secs(3))).await;
    let tries = town.inner.counts()["hold-back"];
    let late = async {
        while (town.inner.late().len() as u64) < tries {
            assert_eq!(documents(&town, &patient).await, 0, "nothing of it is visible");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), late).await.expect("what was held back arrives");
    let statuses = town.inner.late();
    assert!(
        statuses.iter().all(|status| (400..500).contains(status)),
        "what is fenced is refused: {statuses:?}"
    );
    assert_eq!(documents(&town, &patient).await, 0, "a fenced attempt is never committed");
    let told = town.source.submit_until_definite(&patient, &provide, WITHIN).await;
    assert!(matches!(told, Ok(Told::Acknowledged { .. })), "{told:?}");
    town.is_whole(&[patient]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_paused_past_the_deadline_is_no_answer_and_loses_nothing() {
    let town = Town::start().await;
    let known = town.survives(&town.inner, "nothing", Fault::DropAnswer).await;
    let patient = town.patient().await;
    let provide = two_documents(&town.source.reference(&patient));
    let document = town.source.search(&known, Kind::Document).await.expect("the registry answers").remove(0);
    town.region.pause(Actor::Registry, true).expect("the registry is paused");
    let told = town.source.submit(&patient, &provide).await.expect("the history is written");
    assert!(!matches!(told, Told::Acknowledged { .. }), "{told:?}");
    let status = town.source.retrieve(&document).await.expect("the history is written");
    assert_eq!(status, 200, "what is known can be retrieved meanwhile");
    town.region.pause(Actor::Registry, false).expect("the registry goes on");
    let told = town.source.submit_until_definite(&patient, &provide, WITHIN).await;
    assert!(matches!(told, Ok(Told::Acknowledged { .. })), "{told:?}");
    town.is_whole(&[known, patient]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_swallows_everything_is_soon_asked_no_more_and_asked_again_when_it_speaks() {
    let town = Town::start().await;
    town.inner.always("", Fault::Silent);
    let patient = town.patient().await;
    let base = town.source.reference(&patient);
    let all: Vec<Provide> =
        (0..6).map(|number| Provide::new(&base).only(Document::new(format!("no {number}")))).collect();
    for provide in &all {
        let told = town.source.submit(&patient, provide).await.expect("the history is written");
        assert!(!matches!(told, Told::Acknowledged { .. }), "nobody has answered: {told:?}");
    }
    let begin = std::time::Instant::now();
    let told = town.source.submit(&patient, &all[0]).await.expect("the history is written");
    assert!(begin.elapsed() < Duration::from_millis(500), "{told:?} after {:?}", begin.elapsed());
    town.inner.clear();
    for provide in &all {
        let told = town.source.submit_until_definite(&patient, provide, WITHIN).await;
        assert!(matches!(told, Ok(Told::Acknowledged { .. })), "{told:?}");
    }
    assert_eq!(documents(&town, &patient).await, 6);
    town.is_whole(&[patient]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_any_weather_on_both_ways_every_submission_ends_in_success() {
    let town = Town::start().await;
    town.inner.weather(3, 3, LONG);
    town.outer.weather(4, 4, LONG);
    let patient = town.patient().await;
    let base = town.source.reference(&patient);
    let sending = (0..12).map(|number| {
        let (town, patient) = (&town, patient.clone());
        let provide = Provide::new(&base).only(Document::new(format!("no {number}")));
        async move { town.source.submit_until_definite(&patient, &provide, Duration::from_secs(30)).await }
    });
    for told in futures_util::future::join_all(sending).await {
        assert!(matches!(told, Ok(Told::Acknowledged { .. })), "{told:?}");
    }
    town.inner.clear();
    town.outer.clear();
    tokio::time::sleep(LONG).await;
    assert_eq!(documents(&town, &patient).await, 12);
    town.is_whole(&[patient]).await;
}
