//! A history on disk: written by many tasks at once, read again to be judged.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::{Event, What};

/// A history being written.
pub struct History {
    start: Instant,
    file: Mutex<BufWriter<File>>,
}

impl History {
    /// A new history; the run begins now.
    pub fn create(path: &Path) -> Result<History> {
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        Ok(History { start: Instant::now(), file: Mutex::new(BufWriter::new(file)) })
    }

    /// Nanoseconds since the run began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).expect("a run is shorter than 584 years")
    }

    /// Writes down what began at `begin` and is over now.
    pub fn record(&self, client: u32, begin: u64, what: What) -> Result<()> {
        self.append(&Event { client, begin, end: self.now(), what })
    }

    /// Writes down an event.
    pub fn append(&self, event: &Event) -> Result<()> {
        let mut line = serde_json::to_vec(event).context("writing an event")?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).context("writing the history")
    }

    /// Hands everything to the system.
    pub fn flush(&self) -> Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).flush().context("writing the history")
    }
}

/// All events of a history. A last line without its end, as a killed run leaves it, is passed over.
pub fn read(path: &Path) -> Result<Vec<Event>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut file = BufReader::new(file);
    let mut events = Vec::new();
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line).with_context(|| format!("reading {}", path.display()))? > 0 {
        if line.last() == Some(&b'\n') {
            let number = events.len() + 1;
            let event = serde_json::from_slice(&line)
                .with_context(|| format!("line {number} of {} is no event", path.display()))?;
            events.push(event);
        }
        line.clear();
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::super::{Asked, Body, Kind, Phase, Retrieve, Search, Seen, Sent, Submit, Told};
    use super::*;

    fn all() -> Vec<What> {
        let seen = Seen {
            kind: Kind::Document,
            id: "d".into(),
            unique_id: "u".into(),
            patient: "p".into(),
            version: 2,
            superseded: true,
            updated: 1_700_000_000_000_000,
            attributes: "a".into(),
            remark: "r".into(),
            hash: "h".into(),
            replaces: vec!["c".into()],
            members: vec!["m".into()],
        };
        let sent = Sent {
            kind: Kind::Document,
            unique_id: "u".into(),
            attributes: "a".into(),
            sha256: "00".into(),
            size: 7,
            replaces: Some("c".into()),
        };
        let asked = Asked::Patient { patient: "p".into(), kind: Kind::Document, current_only: true };
        vec![
            What::Submit(Submit {
                key: "k".into(),
                content: "c".into(),
                patient: "p".into(),
                objects: vec![sent],
                told: Told::Acknowledged { ids: vec!["d".into()], replayed: false },
            }),
            What::Search(Search { asked, status: 200, complete: true, total: Some(1), found: vec![seen] }),
            What::Retrieve(Retrieve {
                id: "d".into(),
                unique_id: "u".into(),
                status: 200,
                body: Body::Whole { sha256: "00".into(), size: 7 },
            }),
            What::Phase(Phase::Quiet),
        ]
    }

    #[test]
    fn what_was_written_down_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("history.jsonl");
        let history = History::create(&path).expect("a history");
        for what in all() {
            history.record(3, history.now(), what).expect("an event is written");
        }
        history.flush().expect("it is written");
        let events = read(&path).expect("it is read");
        assert_eq!(events.iter().map(|event| event.what.clone()).collect::<Vec<_>>(), all());
        assert!(events.iter().all(|event| event.begin <= event.end && event.client == 3));
    }

    #[test]
    fn a_line_the_run_could_not_end_is_passed_over_and_a_broken_one_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("history.jsonl");
        let history = History::create(&path).expect("a history");
        history.record(0, 0, What::Phase(Phase::Storm)).expect("an event is written");
        history.flush().expect("it is written");
        let mut file = OpenOptions::new().append(true).open(&path).expect("the history");
        file.write_all(b"{\"client\":1,").expect("half a line");
        assert_eq!(read(&path).expect("it is read").len(), 1);
        file.write_all(b"\n").expect("the end of the line");
        let error = read(&path).expect_err("half an event is no event");
        assert!(format!("{error:#}").contains("line 2"), "{error:#}");
    }
}
