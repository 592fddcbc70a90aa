//! The journal cut, torn and flipped at every byte of its last entries.
//!
//! Three things may happen, and nothing else: everything is there; the last entry is taken for a commit that never
//! happened; or, if something after the damage tells that the damaged entry was acknowledged, the start is refused.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use store::{Batch, Error, Put, Reach, Store};

use crate::documents::files_under;
use crate::embedded::copy;
use crate::samples::{
    Engine, Home, NOTE, ask, batch, content, directory, found, kept, options, put, read, term,
};

const SEGMENT: &str = "data/journal/0000000001.segment";

/// A journal as a kill left it, and where its last entries begin and end.
struct Sample {
    home: tempfile::TempDir,
    scratch: tempfile::TempDir,
    /// Ends of the entries that matter; the first is where they begin.
    ends: Vec<usize>,
    bytes: Vec<u8>,
    document: String,
}

impl Sample {
    /// Entries: two records before, then a record, a document, a record.
    async fn new() -> Sample {
        let home = Home::new(Engine::Redb);
        let path = home.directory.path().join(SEGMENT);
        let end = |path: &Path| {
            let bytes = std::fs::read(path).unwrap();
            (bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1).next_multiple_of(8)
        };
        let record = |id: &str| Put { facts: vec![term("code", "", "x", Reach::Global)], ..put(id, 1) };
        // Ends in something that is not zero, so that the end can be seen.
        let audited =
            |puts: &[Put]| Batch { audit: vec![Bytes::from_static(b"done")], ..batch(puts.iter().cloned()) };
        home.store.apply(audited(&[record("a")])).await.unwrap();
        home.store.apply(audited(&[record("b")])).await.unwrap();
        let mut ends = vec![end(&path)];
        home.store.apply(audited(&[record("c")])).await.unwrap();
        ends.push(end(&path));
        let document = kept(&home.store, &content(50, 1)).await;
        ends.push(end(&path));
        home.store.apply(audited(&[record("d")])).await.unwrap();
        ends.push(end(&path));
        let bytes = std::fs::read(&path).unwrap();
        drop(home.store);
        Sample { home: home.directory, scratch: directory(), ends, bytes, document }
    }

    /// Opens a copy of the journal with this segment, without an index.
    fn open(&self, segment: &[u8]) -> Result<Store, Error> {
        let path = self.scratch.path().join("data");
        if path.exists() {
            std::fs::remove_dir_all(&path).unwrap();
        }
        std::fs::create_dir_all(path.join("journal")).unwrap();
        std::fs::write(self.scratch.path().join(SEGMENT), segment).unwrap();
        Store::open(&options(Engine::Redb, self.scratch.path()).unwrap())
    }

    /// Which of the entries that matter a byte belongs to.
    fn entry_of(&self, byte: usize) -> usize {
        self.ends.iter().position(|end| byte < *end).unwrap() - 1
    }

    fn places(&self) -> std::ops::Range<usize> {
        self.ends[0]..self.ends[3]
    }

    /// Checks that exactly the first so many of the entries that matter are there, and that the store can go on.
    async fn holds(&self, store: &Store, entries: usize, what: &str) {
        assert_eq!(store.sequence(), 2 + entries as u64, "{what}");
        let expected: &[&str] =
            [&["a", "b"][..], &["a", "b", "c"], &["a", "b", "c"], &["a", "b", "c", "d"]][entries];
        assert_eq!(found(store, &ask()), expected, "{what}");
        assert_eq!(store.blob(&self.document).unwrap().is_some(), entries >= 2, "{what}");
        store.apply(batch([put("next", 1)])).await.expect("the store goes on");
    }
}

#[tokio::test]
async fn a_journal_cut_anywhere_loses_only_what_was_cut() {
    let sample = Sample::new().await;
    for cut in sample.places() {
        for shorter in [true, false] {
            let mut segment = sample.bytes.clone();
            segment[cut..].fill(0);
            if shorter {
                segment.truncate(cut);
            }
            let store = sample.open(&segment).unwrap();
            // Trailing zeros of an entry are not missed.
            let entries = sample.ends[1..].iter().filter(|end| segment_holds(&sample, **end, cut)).count();
            sample.holds(&store, entries, &format!("cut at {cut}")).await;
        }
    }
}

/// Whether an entry that ends here is whole though everything from the cut on is zero.
fn segment_holds(sample: &Sample, end: usize, cut: usize) -> bool {
    end <= cut || sample.bytes[cut..end].iter().all(|byte| *byte == 0)
}

#[tokio::test]
async fn a_byte_flipped_anywhere_is_noticed() {
    let sample = Sample::new().await;
    for at in sample.places() {
        let mut segment = sample.bytes.clone();
        segment[at] ^= 0x10;
        damaged(&sample, &segment, at, "flipped").await;
    }
}

#[tokio::test]
async fn a_stretch_zeroed_anywhere_is_noticed() {
    let sample = Sample::new().await;
    for at in sample.places() {
        let mut segment = sample.bytes.clone();
        let end = (at + 24).min(sample.ends[sample.entry_of(at) + 1]);
        segment[at..end].fill(0);
        if segment != sample.bytes {
            damaged(&sample, &segment, at, "zeroed").await;
        }
    }
}

/// Something is wrong inside the entry of this byte, and only there.
async fn damaged(sample: &Sample, segment: &[u8], at: usize, how: &str) {
    let what = format!("{how} at {at}");
    let entry = sample.entry_of(at);
    match sample.open(segment) {
        Err(Error::Unusable(why)) => {
            assert!(entry < 2, "{what}: nothing tells that the last entry was acknowledged");
            let offset = format!("segment 1, offset {}", sample.ends[entry]);
            assert!(why.contains(&offset), "{what}: {why}");
        }
        Err(other) => panic!("{what}: {other}"),
        Ok(store) if store.sequence() == 4 => sample.holds(&store, 2, &what).await,
        Ok(store) => {
            // Padding matters to nobody; a damaged document is told when it is read.
            if let Ok(bytes) = read(&store, &sample.document, 0..50).await {
                assert_eq!(bytes, content(50, 1), "{what}");
            } else {
                assert_eq!(entry, 1, "{what}");
            }
            sample.holds(&store, 3, &what).await;
        }
    }
}

#[tokio::test]
async fn a_damaged_document_is_never_given_out() {
    for length in [100, 200_000, 1_500_000] {
        let home = Home::new(Engine::Redb);
        let bytes = content(length, 9);
        let id = kept(&home.store, &bytes).await;
        let path = holder(&home.directory.path().join("data"), &bytes);
        let clean = std::fs::read(&path).unwrap();
        let start = clean.windows(64).position(|window| window == &bytes[..64]).unwrap();
        for at in [0, length / 2, length - 1] {
            let mut damaged = clean.clone();
            damaged[start + at] ^= 1;
            write_over(&path, &damaged);
            if at >= 65_536 {
                assert!(
                    read(&home.store, &id, 0..1000).await.unwrap() == bytes[..1000],
                    "other chunks are whole"
                );
            }
            let outcome = read(&home.store, &id, 0..length as u64).await;
            assert!(matches!(outcome, Err(Error::Damaged(_))), "byte {at} of {length}");
            write_over(&path, &clean);
            let outcome = read(&home.store, &id, 0..1000).await;
            assert!(matches!(outcome, Err(Error::Damaged(_))), "it stays in quarantine");
            // The scrub in the background may have lifted it before.
            home.store.scrub_now().await.unwrap();
            assert!(home.store.quarantined().is_empty(), "found whole again, it is given out");
        }
        assert!(read(&home.store, &id, 0..length as u64).await.unwrap() == bytes);
    }
}

/// The file that holds these bytes.
pub(crate) fn holder(data: &Path, bytes: &[u8]) -> PathBuf {
    let mut waiting = vec![data.join("journal"), data.join("blobs")];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if std::fs::read(&path).unwrap().windows(64).any(|window| window == &bytes[..64]) {
            return path;
        }
    }
    panic!("no file holds the document");
}

pub(crate) fn write_over(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, 0).unwrap();
}

#[tokio::test]
async fn a_missing_document_is_told_and_the_others_are_read() {
    let home = Home::new(Engine::Redb);
    let large = kept(&home.store, &content(1_500_000, 1)).await;
    let small = kept(&home.store, &content(100, 2)).await;
    std::fs::remove_dir_all(home.directory.path().join("data/blobs")).unwrap();
    assert!(matches!(read(&home.store, &large, 0..10).await, Err(Error::Damaged(_))));
    assert_eq!(read(&home.store, &small, 0..100).await.unwrap(), content(100, 2));
    let scrubbed = home.store.scrub_now().await.unwrap();
    assert_eq!((scrubbed.damaged, scrubbed.whole), (vec![large], 1));
}

#[tokio::test]
async fn a_document_that_looks_like_an_entry_is_not_taken_for_one() {
    let home = Home::new(Engine::Redb);
    home.store.apply(batch([put("a", 1)])).await.unwrap();
    let journal = std::fs::read(home.directory.path().join(SEGMENT)).unwrap();
    kept(&home.store, &journal[..4096]).await;
    home.store.apply(batch([put("b", 1)])).await.unwrap();
    let home = home.reopened();
    assert_eq!(found(&home.store, &ask()), ["a", "b"]);
}

#[tokio::test]
async fn a_missing_segment_is_refused() {
    let home = Home::new(Engine::Redb);
    for number in 0..400 {
        home.store.apply(batch([put(&format!("n{number}"), 1)])).await.unwrap();
    }
    home.store.close().await.unwrap();
    let data = home.directory.path().join("data");
    assert!(files_under(&data.join("journal")) > 2, "the journal has several segments");
    for index in [true, false] {
        let other = directory();
        copy(&data, &other.path().join("data"));
        std::fs::remove_file(other.path().join(SEGMENT)).unwrap();
        if !index {
            std::fs::remove_dir_all(other.path().join("data/index")).unwrap();
        }
        let options = options(Engine::Redb, other.path()).unwrap();
        assert!(matches!(Store::open(&options), Err(Error::Unusable(_))));
    }
}

#[tokio::test]
async fn a_segment_that_cannot_be_read_is_refused_and_never_taken_for_an_empty_one() {
    let home = Home::new(Engine::Redb);
    for number in 0..400 {
        home.store.apply(batch([put(&format!("n{number}"), 1)])).await.unwrap();
    }
    home.store.close().await.unwrap();
    let data = home.directory.path().join("data");
    let mut segments: Vec<_> = std::fs::read_dir(data.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| std::fs::read(path).unwrap()[64..].iter().any(|byte| *byte != 0))
        .collect();
    segments.sort();
    assert!(segments.len() > 1, "the journal has several segments");
    let last = segments.pop().unwrap();
    let other = directory();
    let copied = other.path().join("data");
    copy(&data, &copied);
    std::fs::remove_dir_all(copied.join("index")).unwrap();
    let broken = copied.join("journal").join(last.file_name().unwrap());
    write_over(&broken, b"dxcjrnl");
    let options = options(Engine::Redb, other.path()).unwrap();
    for _ in 0..2 {
        let refused = Store::open(&options).map(drop).unwrap_err().to_string();
        assert!(refused.contains("damaged header"), "{refused}");
        let looked = store::verify::directory(&copied, false, 0).map(drop).unwrap_err().to_string();
        assert!(looked.contains("damaged header"), "{looked}");
    }
    write_over(&broken, b"docjrnl");
    let store = Store::open(&options).unwrap();
    assert_eq!(store.sequence(), 400, "nothing that was acknowledged is gone");
}

#[tokio::test]
async fn what_a_torn_group_left_is_wiped_before_the_journal_goes_on() {
    let sample = Sample::new().await;
    let mut segment = sample.bytes.clone();
    segment[sample.ends[2] + 4] ^= 1;
    let store = sample.open(&segment).unwrap();
    drop(store);
    let left = std::fs::read(sample.scratch.path().join(SEGMENT)).unwrap();
    assert!(left[sample.ends[2]..].iter().all(|byte| *byte == 0));
    let store = Store::open(&options(Engine::Redb, sample.scratch.path()).unwrap()).unwrap();
    store.apply(Batch { instant: 3, ..batch([put("e", 1)]) }).await.unwrap();
    assert_eq!(store.get(NOTE, "e").unwrap().unwrap().sequence, 5);
    assert!(sample.home.path().exists());
}
