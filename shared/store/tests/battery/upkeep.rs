//! Quarantine, the scrub, the trash, and a data directory that goes away.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use store::{Batch, Claim, Error, Options, Store};

use crate::damage::{holder, write_over};
use crate::documents::files_under;
use crate::samples::{Engine, Home, ask, batch, content, found, kept, options, put, read, staged};

const ENGINES: [Engine; 2] = [Engine::Redb, Engine::Sled];

fn data(home: &Home) -> PathBuf {
    home.directory.path().join("data")
}

fn file_of(home: &Home, id: &str) -> PathBuf {
    data(home).join("blobs").join(&id[..2]).join(&id[2..4]).join(id)
}

fn damaged<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Damaged(_)))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 20 s: {what}");
}

#[tokio::test]
async fn a_document_found_damaged_is_in_quarantine_until_a_scrub_finds_it_whole() {
    for engine in ENGINES {
        let home = Home::new(engine);
        let (large, small) = (content(1_500_000, 1), content(300_000, 2));
        let ids = [kept(&home.store, &large).await, kept(&home.store, &small).await];
        let other = kept(&home.store, b"healthy").await;
        let paths = [holder(&data(&home), &large), holder(&data(&home), &small)];
        let clean = paths.each_ref().map(|path| std::fs::read(path).unwrap());
        for (path, bytes) in paths.iter().zip([&large, &small]) {
            let mut broken = std::fs::read(path).unwrap();
            let at = broken.windows(64).position(|window| window == &bytes[..64]).unwrap();
            broken[at + 200_000] ^= 4;
            write_over(path, &broken);
        }
        for id in &ids {
            assert!(damaged(&read(&home.store, id, 0..300_000).await));
        }
        paths.iter().zip(&clean).for_each(|(path, bytes)| write_over(path, bytes));
        assert!(damaged(&read(&home.store, &ids[0], 0..10).await), "nobody looks at it again");
        let home = home.reopened();
        assert_eq!(home.store.health().quarantined, 2, "the list outlives the process");
        assert!(damaged(&read(&home.store, &ids[1], 0..10).await));
        assert_eq!(read(&home.store, &other, 0..7).await.unwrap(), b"healthy");
        let scrubbed = home.store.scrub_now().await.unwrap();
        assert!(scrubbed.is_clean() && scrubbed.lifted.len() == 2, "{scrubbed:?}");
        assert!(home.store.quarantined().is_empty());
        assert!(read(&home.store, &ids[0], 0..1_500_000).await.unwrap() == large);
        assert!(read(&home.store, &ids[1], 0..300_000).await.unwrap() == small);
        assert_eq!(files_under(&data(&home).join("quarantine")), 0);
    }
}

#[tokio::test]
async fn a_scrub_finds_every_sort_of_damage_to_a_file_before_a_reader_does() {
    let home = Home::new(Engine::Redb);
    let mut ids = Vec::new();
    for seed in 1..=7 {
        ids.push(kept(&home.store, &content(1_200_000 + seed as usize, seed)).await);
    }
    let path = |number: usize| file_of(&home, &ids[number]);
    let flip = |number: usize, at: usize| {
        let mut bytes = std::fs::read(path(number)).unwrap();
        let at = if at == usize::MAX { bytes.len() - 1 } else { at };
        bytes[at] ^= 1;
        write_over(&path(number), &bytes);
    };
    flip(0, 500_000);
    flip(1, 20);
    flip(2, usize::MAX);
    std::fs::OpenOptions::new().write(true).open(path(3)).unwrap().set_len(900_000).unwrap();
    std::fs::remove_file(path(4)).unwrap();
    std::fs::copy(path(6), path(5)).unwrap();
    let scrubbed = home.store.scrub_now().await.unwrap();
    let mut expected = ids[..6].to_vec();
    expected.sort();
    assert_eq!(scrubbed.damaged, expected);
    assert_eq!((scrubbed.whole, home.store.health().integrity_failures), (1, 6));
    for id in &ids[..6] {
        assert!(damaged(&read(&home.store, id, 0..10).await));
    }
    read(&home.store, &ids[6], 0..10).await.unwrap();
    let again = home.store.scrub_now().await.unwrap();
    assert_eq!((again.damaged.len(), home.store.health().integrity_failures), (6, 6), "told once");
}

#[tokio::test]
async fn what_the_system_does_not_write_is_told_as_unwritable_and_what_it_does_not_read_as_such() {
    let home = Home::new(Engine::Redb);
    let id = kept(&home.store, &content(1_500_000, 1)).await;
    let staging = data(&home).join("staging");
    std::fs::remove_dir(&staging).unwrap();
    std::fs::write(&staging, "in the way").unwrap();
    let mut sink = home.store.stage(u64::MAX);
    let outcome = sink.write(&content(3_000_000, 2)).await;
    assert!(matches!(&outcome, Err(Error::Unwritable(why)) if why.contains("a document")), "{outcome:?}");
    home.store.apply(batch([put("a", 1)])).await.expect("the store has not stopped");
    // A directory opens like a file and cannot be read like one.
    let path = file_of(&home, &id);
    std::fs::rename(&path, path.with_extension("aside")).unwrap();
    std::fs::create_dir(&path).unwrap();
    let outcome = read(&home.store, &id, 0..10).await;
    assert!(matches!(&outcome, Err(Error::Io { .. })), "{:?}", outcome.map(drop));
    assert!(home.store.quarantined().is_empty(), "that it cannot be read does not say that it is damaged");
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(path.with_extension("aside"), &path).unwrap();
    assert_eq!(read(&home.store, &id, 0..10).await.unwrap(), content(10, 1));
}

/// A store of several segments with something of everything.
async fn filled(home: &Home) {
    for number in 0..200 {
        home.store.apply(batch([put(&format!("n{number}"), 1)])).await.unwrap();
        kept(&home.store, &content(2000, number + 1)).await;
    }
    home.store.apply(batch([put("n1", 2), put("n2", 2)])).await.unwrap();
    home.store.apply(batch([store::Put { deleted: true, ..put("n3", 2) }])).await.unwrap();
    let claim = |name: &str| Claim { name: name.into(), value: b"x".to_vec() };
    let claims = vec![claim("stays"), claim("goes")];
    home.store.apply(Batch { claims, ..Batch::default() }).await.unwrap();
    home.store.apply(Batch { releases: vec!["goes".into()], ..Batch::default() }).await.unwrap();
    let id = kept(&home.store, &content(1_100_000, 9)).await;
    home.store.apply(Batch { trash: vec![id], ..Batch::default() }).await.unwrap();
    home.store.note(3, vec![Bytes::from_static(b"read")]).await.unwrap();
}

#[tokio::test]
async fn a_scrub_of_what_is_whole_finds_nothing() {
    for engine in ENGINES {
        let home = Home::new(engine);
        filled(&home).await;
        let scrubbed = home.store.scrub_now().await.unwrap();
        assert!(scrubbed.is_clean(), "{scrubbed:?}");
        assert_eq!((scrubbed.whole, scrubbed.uncited), (200, 0));
        assert!(scrubbed.entries >= 405, "{scrubbed:?}");
        let home = home.reopened();
        let scrubbed = home.store.scrub_now().await.unwrap();
        assert!(scrubbed.is_clean(), "after a replay too: {scrubbed:?}");
        assert_eq!(home.store.health().damage, None);
    }
}

#[tokio::test]
async fn damage_to_a_sealed_segment_is_told_and_the_rest_is_served_and_scrubbed() {
    for whole_stretch in [false, true] {
        let home = Home::new(Engine::Redb);
        filled(&home).await;
        let journal = data(&home).join("journal");
        assert!(files_under(&journal) > 4);
        let path = journal.join("0000000002.segment");
        let mut bytes = std::fs::read(&path).unwrap();
        match whole_stretch {
            // Inside of a record, and a stretch that goes over heads.
            false => {
                let at = bytes.windows(6).position(|window| window == b" at 1\0" || &window[1..] == b" at 1");
                bytes[at.unwrap() + 2] ^= 1;
            }
            true => bytes[10_000..30_000].fill(0xee),
        }
        write_over(&path, &bytes);
        let scrubbed = home.store.scrub_now().await.unwrap();
        assert!(scrubbed.broken[0].contains("segment 2, offset"), "{scrubbed:?}");
        assert!(scrubbed.missing.is_empty(), "{scrubbed:?}");
        assert!(scrubbed.entries > 250, "it goes on behind: {}", scrubbed.entries);
        let health = home.store.health();
        assert!(health.writable && health.damage.is_some_and(|words| words.contains("segment 2")));
        assert_eq!(found(&home.store, &store::Ask { limit: 1000, ..ask() }).len(), 199);
        home.store.apply(batch([put("more", 1)])).await.unwrap();
    }
}

#[tokio::test]
async fn the_scrub_runs_by_itself_and_a_document_damaged_in_the_journal_leaves_the_others_alone() {
    for engine in ENGINES {
        let home = Home::new(engine);
        let bytes = content(5000, 3);
        let id = kept(&home.store, &bytes).await;
        let other = kept(&home.store, &content(5000, 4)).await;
        let path = holder(&data(&home), &bytes);
        let mut broken = std::fs::read(&path).unwrap();
        let at = broken.windows(64).position(|window| window == &bytes[..64]).unwrap();
        broken[at + 100] ^= 1;
        write_over(&path, &broken);
        let usual = options(engine, home.directory.path()).unwrap();
        drop(home.store);
        let store = Store::open(&Options { scrub_period: Duration::from_secs(1), ..usual }).unwrap();
        until("the scrub has come by", || store.health().quarantined == 1).await;
        assert_eq!(store.quarantined()[0].id, id);
        assert!(read(&store, &other, 0..5000).await.is_ok());
    }
}

#[tokio::test]
async fn what_a_crash_left_in_its_place_is_moved_to_the_trash_and_what_is_kept_stays() {
    for engine in ENGINES {
        let home = Home::new(engine);
        let removed = kept(&home.store, &content(1_500_000, 1)).await;
        let stays = kept(&home.store, &content(1_500_000, 2)).await;
        home.store.apply(Batch { trash: vec![removed.clone()], ..Batch::default() }).await.unwrap();
        let trash = data(&home).join("trash");
        // As if the process had been killed between the commit and the move, with a checkpoint between them.
        std::fs::rename(trash.join(&removed), file_of(&home, &removed)).unwrap();
        home.store.close().await.unwrap();
        let stray = "0123456789abcdef0123456789abcdef";
        std::fs::create_dir_all(file_of(&home, stray).parent().unwrap()).unwrap();
        std::fs::write(file_of(&home, stray), "nobody's").unwrap();
        let home = home.reopened();
        let waiting = staged(&home.store, &content(1_500_000, 3)).await;
        until("both are in the trash", || trash.join(&removed).exists() && trash.join(stray).exists()).await;
        let scrubbed = home.store.scrub_now().await.unwrap();
        assert_eq!((scrubbed.uncited, scrubbed.whole), (0, 1), "{scrubbed:?}");
        assert!(file_of(&home, &stays).exists() && file_of(&home, waiting.id()).exists());
    }
}

#[tokio::test]
async fn the_trash_is_emptied_when_its_time_has_come_and_not_before() {
    let home = Home::new(Engine::Redb);
    let id = kept(&home.store, &content(1_500_000, 1)).await;
    home.store.apply(Batch { trash: vec![id.clone()], ..Batch::default() }).await.unwrap();
    let lies = |home: &Home| data(home).join("trash").join(&id).exists();
    let home = home.reopened();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(lies(&home), "seven days have not passed");
    let usual = options(home.engine, home.directory.path()).unwrap();
    drop(home.store);
    let store = Store::open(&Options { trash_period: Duration::ZERO, ..usual }).unwrap();
    let home = Home { store, ..home };
    until("it is deleted", || !lies(&home)).await;
    assert!(home.store.scrub_now().await.unwrap().is_clean(), "nobody misses it");
}

#[tokio::test]
async fn a_data_directory_that_is_taken_away_is_not_made_again_and_takes_no_more_writes() {
    for engine in ENGINES {
        let home = Home::new(engine);
        home.store.apply(batch([put("a", 1)])).await.unwrap();
        let id = kept(&home.store, &content(1_500_000, 1)).await;
        let away = home.directory.path().join("away");
        let unwritable = |outcome: Result<(), Error>| matches!(outcome, Err(Error::Unwritable(_)));
        std::fs::rename(data(&home), &away).unwrap();
        for replaced in [false, true] {
            if replaced {
                copied(&away, &data(&home));
            }
            assert!(unwritable(home.store.room()));
            assert!(unwritable(home.store.apply(batch([put("b", 1)])).await.map(drop)));
            assert!(unwritable(home.store.apply(batch([put("a", 2)])).await.map(drop)));
            assert!(unwritable(home.store.note(1, vec![Bytes::from_static(b"x")]).await));
            let mut sink = home.store.stage(u64::MAX);
            assert!(unwritable(sink.write(&content(2_000_000, 2)).await));
            let health = home.store.health();
            assert!(!health.writable && !health.stopped, "{health:?}");
            assert_eq!(found(&home.store, &ask()), ["a"], "what is known is still known");
            let _ = read(&home.store, &id, 0..10).await;
            assert!(home.store.quarantined().is_empty(), "a document is not damaged because all are gone");
            assert_eq!(data(&home).exists(), replaced);
        }
        std::fs::remove_dir_all(data(&home)).unwrap();
        std::fs::rename(&away, data(&home)).unwrap();
        home.store.apply(batch([put("b", 1)])).await.unwrap();
        assert_eq!(read(&home.store, &id, 0..10).await.unwrap().len(), 10);
    }
}

fn copied(from: &Path, to: &Path) {
    crate::embedded::copy(from, to);
}
