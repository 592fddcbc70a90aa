//! Promises of the embedded engine beyond those of every engine.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;
use store::{Batch, Error, IndexKind, Options, Outgoing, Reach, Store, Test};

use crate::documents::files_under;
use crate::samples::{
    Engine, Home, NOTE, ask, batch, content, everywhere, found, kept, options, put, read, term,
};

const ENGINES: [Engine; 2] = [Engine::Redb, Engine::Sled];

/// Some of everything; answers the ids of a small and a large document.
async fn filled(store: &Store) -> (String, String) {
    for version in 1..=3 {
        let facts = vec![term("code", "", &format!("v{version}"), Reach::Global)];
        store.apply(batch([store::Put { facts, ..put("a", version) }])).await.unwrap();
    }
    for number in 0..300 {
        store.apply(batch([put(&format!("n{number}"), 1)])).await.unwrap();
    }
    let outgoing =
        vec![Outgoing { peer: "east".into(), stream: "s".into(), payload: Bytes::from_static(b"m") }];
    store.apply(Batch { outgoing, ..Batch::default() }).await.unwrap();
    (kept(store, &content(100_000, 5)).await, kept(store, &content(1_200_000, 6)).await)
}

async fn everything_is_there(store: &Store, (small, large): &(String, String)) {
    assert_eq!(store.sequence(), 306);
    assert_eq!(found(store, &store::Ask { limit: 1000, ..ask() }).len(), 301);
    let code = |value: &str| Test::Term { name: "code", space: None, value: Some(value.into()) };
    assert_eq!(found(store, &everywhere([code("v3")])), ["a"]);
    assert!(found(store, &everywhere([code("v2")])).is_empty());
    assert_eq!(store.history(NOTE, "a").unwrap().len(), 3);
    assert_eq!(store.pending("east", 10).unwrap().len(), 1);
    assert_eq!(store.health().documents, 2);
    assert!(read(store, small, 0..100_000).await.unwrap() == content(100_000, 5));
    assert!(read(store, large, 0..1_200_000).await.unwrap() == content(1_200_000, 6));
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_kill() {
    for engine in ENGINES {
        let home = Home::new(engine);
        let documents = filled(&home.store).await;
        let home = home.reopened();
        everything_is_there(&home.store, &documents).await;
        let home = home.reopened();
        everything_is_there(&home.store, &documents).await;
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_clean_end_and_more_can_follow() {
    for engine in ENGINES {
        let home = Home::new(engine);
        let documents = filled(&home.store).await;
        home.store.close().await.unwrap();
        let home = home.reopened();
        everything_is_there(&home.store, &documents).await;
        home.store.apply(batch([put("a", 4)])).await.unwrap();
        assert_eq!(home.reopened().store.get(NOTE, "a").unwrap().unwrap().version, 4);
    }
}

#[tokio::test]
async fn a_lost_index_is_built_again() {
    for engine in ENGINES {
        let home = Home::new(engine);
        let documents = filled(&home.store).await;
        home.store.close().await.unwrap();
        std::fs::remove_dir_all(home.directory.path().join("data/index")).unwrap();
        let progress = store::Progress::default();
        let usual = options(engine, home.directory.path()).unwrap();
        drop(home.store);
        let store = Store::open(&Options { progress: progress.clone(), ..usual }).unwrap();
        assert_eq!(progress.entries(), 306, "{}", progress.words());
        everything_is_there(&store, &documents).await;
    }
}

#[tokio::test]
async fn an_index_that_does_not_open_is_built_again() {
    let home = Home::new(Engine::Redb);
    let documents = filled(&home.store).await;
    home.store.close().await.unwrap();
    std::fs::write(home.directory.path().join("data/index/redb/index.redb"), [7; 10_000]).unwrap();
    everything_is_there(&home.reopened().store, &documents).await;
}

#[tokio::test]
async fn an_index_that_is_behind_catches_up() {
    for engine in ENGINES {
        let home = Home::new(engine);
        home.store.apply(batch([put("first", 1)])).await.unwrap();
        home.store.close().await.unwrap();
        let (index, older) = (home.directory.path().join("data/index"), home.directory.path().join("older"));
        copy(&index, &older);
        let home = home.reopened();
        home.store.apply(batch([put("second", 1), put("first", 2)])).await.unwrap();
        home.store.close().await.unwrap();
        std::fs::remove_dir_all(&index).unwrap();
        copy(&older, &index);
        let home = home.reopened();
        assert_eq!(found(&home.store, &ask()), ["first", "second"]);
        assert_eq!(home.store.get(NOTE, "first").unwrap().unwrap().version, 2);
    }
}

#[tokio::test]
async fn an_index_that_is_ahead_is_refused() {
    let home = Home::new(Engine::Redb);
    home.store.apply(batch([put("first", 1)])).await.unwrap();
    home.store.close().await.unwrap();
    let (journal, older) = (home.directory.path().join("data/journal"), home.directory.path().join("older"));
    copy(&journal, &older);
    let home = home.reopened();
    home.store.apply(batch([put("second", 1)])).await.unwrap();
    home.store.close().await.unwrap();
    std::fs::remove_dir_all(&journal).unwrap();
    let options = options(Engine::Redb, home.directory.path()).unwrap();
    assert!(matches!(Store::open(&options), Err(Error::Unusable(_))), "the journal is gone");
    std::fs::remove_dir_all(&journal).unwrap();
    copy(&older, &journal);
    let refused = Store::open(&options).err().unwrap().to_string();
    assert!(refused.contains("segment 1, offset"), "{refused}");
}

#[tokio::test]
async fn the_other_library_takes_over_from_the_journal() {
    let home = Home::new(Engine::Redb);
    let documents = filled(&home.store).await;
    home.store.close().await.unwrap();
    let home = Home { engine: Engine::Sled, ..home }.reopened();
    everything_is_there(&home.store, &documents).await;
    home.store.close().await.unwrap();
    let home = Home { engine: Engine::Redb, ..home }.reopened();
    everything_is_there(&home.store, &documents).await;
}

#[tokio::test]
async fn sled_is_built_again_after_an_unclean_end_under_another_boot() {
    let home = Home::new(Engine::Sled);
    let documents = filled(&home.store).await;
    drop(home.store);
    let index = home.directory.path().join("data/index/sled");
    std::fs::write(index.join("written-during-boot"), "another").unwrap();
    std::fs::write(index.join("files/witness"), "").unwrap();
    let store = Store::open(&options(Engine::Sled, home.directory.path()).unwrap()).unwrap();
    everything_is_there(&store, &documents).await;
    assert!(!index.join("files/witness").exists(), "the old files are gone");
}

#[tokio::test]
async fn a_second_process_is_refused_until_the_first_has_closed() {
    let home = Home::new(Engine::Redb);
    let options = options(Engine::Redb, home.directory.path()).unwrap();
    assert!(matches!(Store::open(&options), Err(Error::Unusable(why)) if why.contains("in use")));
    home.store.close().await.unwrap();
    Store::open(&options).expect("the lock is given back");
}

#[tokio::test]
async fn nobody_else_can_read_the_data() {
    for engine in ENGINES {
        let home = Home::new(engine);
        let _ = filled(&home.store).await;
        let data = home.directory.path().join("data");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data), 0o700);
        for entry in ["journal", "index", "staging", "blobs", "trash"] {
            assert_eq!(mode(&data.join(entry)), 0o700, "{entry}");
        }
        assert_eq!(mode(&data.join("journal/0000000001.segment")), 0o600);
        assert_eq!(mode(&data.join("lock")), 0o600);
    }
}

#[tokio::test]
async fn a_start_removes_what_was_never_committed() {
    let home = Home::new(Engine::Redb);
    let documents = filled(&home.store).await;
    let data = home.directory.path().join("data");
    let staged = crate::samples::staged(&home.store, &content(1_200_000, 7)).await;
    let leaf = data.join("blobs").join(&staged.id()[..2]).join(&staged.id()[2..4]).join(staged.id());
    assert!(leaf.exists());
    std::mem::forget(staged);
    std::fs::write(data.join("staging/0123456789abcdef0123456789abcdef"), "half").unwrap();
    let home = home.reopened();
    assert_eq!((files_under(&data.join("staging")), leaf.exists()), (0, false));
    everything_is_there(&home.store, &documents).await;
}

#[tokio::test]
async fn a_note_is_in_the_journal_when_it_is_answered() {
    let home = Home::new(Engine::Redb);
    home.store.note(5, vec![Bytes::from_static(b"somebody read something")]).await.unwrap();
    let journal = std::fs::read(home.directory.path().join("data/journal/0000000001.segment")).unwrap();
    assert!(journal.windows(23).any(|window| window == b"somebody read something"));
    home.store.apply(batch([put("a", 1)])).await.unwrap();
    let home = home.reopened();
    assert_eq!((home.store.sequence(), found(&home.store, &ask())), (1, vec!["a".to_owned()]));
}

#[tokio::test]
async fn a_commit_larger_than_a_segment_gets_a_larger_one() {
    let home = Home::new(Engine::Redb);
    home.store.apply(batch([put("a", 1)])).await.unwrap();
    let ids = [kept(&home.store, &content(700_000, 1)).await, kept(&home.store, &content(900_000, 2)).await];
    home.store.apply(batch([put("b", 1)])).await.unwrap();
    let home = home.reopened();
    assert!(read(&home.store, &ids[0], 0..700_000).await.unwrap() == content(700_000, 1));
    assert!(read(&home.store, &ids[1], 0..900_000).await.unwrap() == content(900_000, 2));
    assert_eq!(found(&home.store, &ask()), ["a", "b"]);
}

#[tokio::test]
async fn commits_are_kept_with_syncs_as_without() {
    let directory = tempfile::tempdir().unwrap();
    for index in [IndexKind::Redb, IndexKind::Sled] {
        let options = Options { index, ..Options::new(directory.path().join(format!("{index:?}"))) };
        let store = Store::open(&options).unwrap();
        let names: Vec<String> = (0..50).map(|number| format!("n{number}")).collect();
        let commits = names.iter().map(|name| store.apply(batch([put(name, 1)])));
        assert!(futures_util::future::join_all(commits).await.iter().all(Result::is_ok));
        drop(store);
        assert_eq!(found(&Store::open(&options).unwrap(), &ask()).len(), 50);
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
