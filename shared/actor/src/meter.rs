//! What is counted: one registry for the process, in the words of Prometheus. A name must stand in [`METRICS`].
//! Labels never name a patient, a document or a user.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in buckets.
    Histogram,
    /// Numbers of things in buckets.
    Sizes,
}

/// Every metric: name, sort, words.
pub const METRICS: &[(&str, Sort, &str)] = &[
    ("docshare_build_info", Sort::Gauge, "Which actor in which version this is."),
    ("docshare_http_requests_total", Sort::Counter, "Requests answered."),
    (
        "docshare_http_request_duration_seconds",
        Sort::Histogram,
        "Time from a request's head to its answer's.",
    ),
    ("docshare_http_requests_in_flight", Sort::Gauge, "Requests being served."),
    ("docshare_submissions_total", Sort::Counter, "Submissions by result."),
    ("docshare_documents_stored", Sort::Gauge, "Documents kept."),
    ("docshare_document_bytes_stored", Sort::Gauge, "Bytes of all documents kept."),
    ("docshare_storage_free_bytes", Sort::Gauge, "Free bytes on the volume of the data directory."),
    (
        "docshare_storage_below_mark",
        Sort::Gauge,
        "Whether the free room is below its soft mark (a tenth) or its hard mark (nothing new is accepted).",
    ),
    ("docshare_storage_reserve_held", Sort::Gauge, "Whether room is kept back for a full volume."),
    ("docshare_search_results", Sort::Sizes, "Matches on a page of a search."),
    ("docshare_search_scanned_rows", Sort::Sizes, "Rows looked at for a page of a search."),
    ("docshare_match_candidates", Sort::Sizes, "Patients compared to find the records of one."),
    ("docshare_peer_requests_total", Sort::Counter, "Requests to peers by result."),
    (
        "docshare_linker_behind_commits",
        Sort::Gauge,
        "Commits behind the last one whose patients were looked at for whom else they are.",
    ),
    (
        "docshare_links_refused_total",
        Sort::Counter,
        "Links that feeds state and that were not made, because too many records would be one person.",
    ),
    ("docshare_outbox_pending", Sort::Gauge, "Messages not yet delivered to a peer."),
    ("docshare_outbox_oldest_seconds", Sort::Gauge, "Age of the oldest of them."),
    (
        "docshare_outbox_refused",
        Sort::Gauge,
        "Messages a peer has refused; they are sent again, and what concerns the same patient waits.",
    ),
    (
        "docshare_patients_behind_registry_total",
        Sort::Counter,
        "Patients fed to a registry that knows a newer version: it ignores what it is fed.",
    ),
    (
        "docshare_storage_fsync_duration_seconds",
        Sort::Histogram,
        "Time storage took to report the journal synced.",
    ),
    (
        "docshare_integrity_failures_total",
        Sort::Counter,
        "Stored bytes found damaged: by readers that were refused them, and by the scrub.",
    ),
    (
        "docshare_documents_in_quarantine",
        Sort::Gauge,
        "Documents not given out because they were found damaged.",
    ),
    (
        "docshare_orphan_documents",
        Sort::Gauge,
        "Files of documents that no commit cites, found by the last scrub; they are in the trash.",
    ),
    (
        "docshare_documents_not_registered",
        Sort::Gauge,
        "Documents that are bound here and unknown to the registry, by the last comparison.",
    ),
    ("docshare_documents_lost", Sort::Gauge, "Registered documents whose bytes a restore has lost."),
    (
        "docshare_tasks_open",
        Sort::Gauge,
        "Submissions that were taken in to be made later and are not at their end.",
    ),
    ("docshare_submissions_in_doubt", Sort::Gauge, "Submissions whose outcome is not known."),
    ("docshare_submissions_in_doubt_oldest_seconds", Sort::Gauge, "Age of the oldest of them."),
    (
        "docshare_submissions_not_taken_back",
        Sort::Gauge,
        "Submissions a restored registry has lost and does not take back.",
    ),
    ("docshare_mllp_messages_total", Sort::Counter, "HL7 v2 messages answered, by acknowledgement code."),
    ("docshare_mllp_connections", Sort::Gauge, "Open MLLP connections."),
    ("docshare_audit_events_total", Sort::Counter, "Audit records by result."),
    ("process_resident_memory_bytes", Sort::Gauge, "Resident memory."),
    ("process_cpu_seconds_total", Sort::Counter, "Processor time, user and system."),
    ("process_open_fds", Sort::Gauge, "Open file descriptors."),
    ("process_start_time_seconds", Sort::Gauge, "Start of the process in seconds since 1970."),
];

const BUCKETS: &[(f64, &str)] = &[
    (0.001, "0.001"),
    (0.0025, "0.0025"),
    (0.005, "0.005"),
    (0.01, "0.01"),
    (0.025, "0.025"),
    (0.05, "0.05"),
    (0.1, "0.1"),
    (0.25, "0.25"),
    (0.5, "0.5"),
    (1.0, "1"),
    (2.5, "2.5"),
    (5.0, "5"),
    (10.0, "10"),
];

const SIZES: &[(u64, &str)] = &[
    (0, "0"),
    (1, "1"),
    (10, "10"),
    (50, "50"),
    (100, "100"),
    (500, "500"),
    (1_000, "1000"),
    (5_000, "5000"),
    (10_000, "10000"),
    (100_000, "100000"),
    (1_000_000, "1000000"),
];

type Labels = Vec<(&'static str, String)>;

type Family<T> = RwLock<BTreeMap<(&'static str, Labels), Arc<T>>>;

static NUMBERS: LazyLock<Family<AtomicU64>> = LazyLock::new(Default::default);
static COUNTS: LazyLock<Family<Sizes>> = LazyLock::new(Default::default);
static TIMES: LazyLock<Family<Times>> = LazyLock::new(Default::default);

/// Adds to a counter.
pub fn count(name: &'static str, labels: &[(&'static str, &str)], by: u64) {
    number(name, labels).fetch_add(by, Ordering::Relaxed);
}

/// Sets a gauge.
pub fn set(name: &'static str, labels: &[(&'static str, &str)], value: u64) {
    number(name, labels).store(value, Ordering::Relaxed);
}

/// The number behind a counter or gauge, for those who change it often.
pub fn number(name: &'static str, labels: &[(&'static str, &str)]) -> Arc<AtomicU64> {
    debug_assert!(
        METRICS.iter().any(|(known, ..)| *known == name),
        "{name} stands not in the table of metrics"
    );
    let key = (name, owned(labels));
    if let Some(number) = NUMBERS.read().get(&key) {
        return Arc::clone(number);
    }
    Arc::clone(NUMBERS.write().entry(key).or_default())
}

pub(crate) fn times(name: &'static str, labels: &[(&'static str, &str)]) -> Arc<Times> {
    debug_assert!(
        METRICS.iter().any(|(known, ..)| *known == name),
        "{name} stands not in the table of metrics"
    );
    Arc::clone(TIMES.write().entry((name, owned(labels))).or_default())
}

static SYNCS: LazyLock<Arc<Times>> = LazyLock::new(|| times("docshare_storage_fsync_duration_seconds", &[]));

/// The journal was synced.
pub(crate) fn record_sync(took: Duration) {
    SYNCS.record(took);
}

fn owned(labels: &[(&'static str, &str)]) -> Labels {
    labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

/// The histogram of a number of things, for those who add to it often.
pub fn sizes(name: &'static str, labels: &[(&'static str, &str)]) -> Arc<Sizes> {
    debug_assert!(
        METRICS.iter().any(|(known, ..)| *known == name),
        "{name} stands not in the table of metrics"
    );
    Arc::clone(COUNTS.write().entry((name, owned(labels))).or_default())
}

/// A histogram of numbers of things.
#[derive(Debug, Default)]
pub struct Sizes {
    buckets: [AtomicU64; SIZES.len()],
    count: AtomicU64,
    sum: AtomicU64,
}

impl Sizes {
    /// Takes one more number in.
    pub fn record(&self, size: u64) {
        if let Some(bucket) = SIZES.iter().position(|(limit, _)| size <= *limit) {
            self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(size, Ordering::Relaxed);
    }
}

/// A histogram of durations.
#[derive(Debug, Default)]
pub(crate) struct Times {
    buckets: [AtomicU64; BUCKETS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

impl Times {
    pub(crate) fn record(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(bucket) = BUCKETS.iter().position(|(limit, _)| seconds <= *limit) {
            self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Everything, in the text format of Prometheus.
pub fn render() -> String {
    let mut out = String::new();
    for (name, sort, words) in METRICS {
        let word = match sort {
            Sort::Counter => "counter",
            Sort::Gauge => "gauge",
            Sort::Histogram | Sort::Sizes => "histogram",
        };
        let start = out.len();
        let _ = writeln!(out, "# HELP {name} {words}\n# TYPE {name} {word}");
        let empty = out.len();
        match sort {
            Sort::Histogram => write_times(&mut out, name),
            Sort::Sizes => write_sizes(&mut out, name),
            Sort::Counter | Sort::Gauge => write_numbers(&mut out, name),
        }
        if out.len() == empty {
            out.truncate(start);
        }
    }
    out
}

fn write_numbers(out: &mut String, name: &str) {
    for ((_, labels), value) in NUMBERS.read().iter().filter(|((known, _), _)| *known == name) {
        let value = value.load(Ordering::Relaxed);
        let _ = writeln!(out, "{name}{} {value}", braces(labels, None));
    }
}

fn write_times(out: &mut String, name: &str) {
    for ((_, labels), times) in TIMES.read().iter().filter(|((known, _), _)| *known == name) {
        let mut below = 0;
        for ((_, limit), bucket) in BUCKETS.iter().zip(&times.buckets) {
            below += bucket.load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}_bucket{} {below}", braces(labels, Some(limit)));
        }
        let count = times.count.load(Ordering::Relaxed);
        let seconds = times.micros.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(out, "{name}_bucket{} {count}", braces(labels, Some("+Inf")));
        let _ = writeln!(out, "{name}_sum{} {seconds}", braces(labels, None));
        let _ = writeln!(out, "{name}_count{} {count}", braces(labels, None));
    }
}

fn write_sizes(out: &mut String, name: &str) {
    for ((_, labels), sizes) in COUNTS.read().iter().filter(|((known, _), _)| *known == name) {
        let mut below = 0;
        for ((_, limit), bucket) in SIZES.iter().zip(&sizes.buckets) {
            below += bucket.load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}_bucket{} {below}", braces(labels, Some(limit)));
        }
        let count = sizes.count.load(Ordering::Relaxed);
        let _ = writeln!(out, "{name}_bucket{} {count}", braces(labels, Some("+Inf")));
        let _ = writeln!(out, "{name}_sum{} {}", braces(labels, None), sizes.sum.load(Ordering::Relaxed));
        let _ = writeln!(out, "{name}_count{} {count}", braces(labels, None));
    }
}

fn braces(labels: &Labels, limit: Option<&str>) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let mut parts: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    parts.extend(limit.map(|limit| format!("le=\"{limit}\"")));
    if parts.is_empty() { String::new() } else { format!("{{{}}}", parts.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        count("docshare_submissions_total", &[("result", "a \"test\"")], 2);
        count("docshare_submissions_total", &[("result", "a \"test\"")], 1);
        times("docshare_http_request_duration_seconds", &[("actor", "test")])
            .record(Duration::from_millis(3));
        let text = render();
        assert!(text.contains("docshare_submissions_total{result=\"a \\\"test\\\"\"} 3\n"), "{text}");
        assert!(
            text.contains("docshare_http_request_duration_seconds_bucket{actor=\"test\",le=\"0.0025\"} 0\n")
        );
        assert!(
            text.contains("docshare_http_request_duration_seconds_bucket{actor=\"test\",le=\"0.005\"} 1\n")
        );
        assert!(text.contains("docshare_http_request_duration_seconds_count{actor=\"test\"} 1\n"));
    }
}
