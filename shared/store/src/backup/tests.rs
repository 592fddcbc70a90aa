use std::path::PathBuf;

use bytes::Bytes;

use super::*;
use crate::incarnation::mark_beside;
use crate::open::{IndexKind, Options};
use crate::record::Kind;
use crate::restore::{self, Restore};
use crate::store::Store;
use crate::{Batch, Put, verify};

/// A data directory, a place for its backups, and an actor over it.
struct Place {
    folder: tempfile::TempDir,
    index: IndexKind,
}

const NOTE: Kind = Kind("note");

fn put(id: &str, version: u64) -> Put {
    Put {
        kind: NOTE,
        id: id.to_owned(),
        version,
        partition: "p".into(),
        order: 0,
        facts: Vec::new(),
        edges: Vec::new(),
        body: format!("{id} {version}").into(),
        rendering: Bytes::new(),
        deleted: false,
    }
}

fn content(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ seed).collect()
}

async fn keep(store: &Store, bytes: &[u8]) -> String {
    let mut sink = store.stage(u64::MAX);
    sink.write(bytes).await.unwrap();
    let blob = sink.finish().await.unwrap();
    let id = blob.id().to_owned();
    store.apply(Batch { instant: 5, blobs: vec![blob], ..Batch::default() }).await.unwrap();
    id
}

async fn read(store: &Store, id: &str) -> Vec<u8> {
    use futures_util::TryStreamExt as _;
    let blob = store.blob(id).unwrap().expect("it is kept");
    let chunks: Vec<Bytes> = store.read(&blob, 0..u64::MAX).await.unwrap().try_collect().await.unwrap();
    chunks.concat()
}

impl Place {
    fn new(index: IndexKind) -> Place {
        Place { folder: tempfile::tempdir().unwrap(), index }
    }
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
    fn to(&self) -> PathBuf {
        self.folder.path().join("backup")
    }
    fn beside(&self) -> PathBuf {
        mark_beside(&self.data())
    }
    fn open(&self) -> Result<Store, Error> {
        let options = Options::new(self.data());
        Store::open(&Options {
            mark: Some(self.beside()),
            index: self.index,
            segment_bytes: 64 << 10,
            sync: false,
            ..options
        })
    }
    fn back_up(&self) -> Result<Taken, Error> {
        let (directory, to) = (self.data(), self.to());
        Backup { directory: &directory, to: &to, actor: "registry", version: "1", now: 9 }.take()
    }
    fn restore(&self, force: bool) -> Result<restore::Outcome, Error> {
        let (from, directory, mark) = (self.to(), self.data(), self.beside());
        Restore { from: &from, directory: &directory, mark: Some(&mark), actor: "registry", force }.make()
    }
    fn wipe(&self) {
        std::fs::remove_dir_all(self.data()).unwrap();
    }
    fn verified(&self) -> verify::Inspection {
        verify::directory(&self.data(), true, 0).unwrap()
    }
}

fn words<T>(outcome: Result<T, Error>) -> String {
    match outcome {
        Ok(_) => panic!("it should have been refused"),
        Err(error) => error.to_string(),
    }
}

/// A few segments of records, and documents in the journal and in files.
async fn filled(store: &Store) -> (String, String) {
    for version in 1..=50 {
        store.apply(Batch { instant: 5, ..batch([put("a", version)]) }).await.unwrap();
    }
    (keep(store, &content(100_000, 5)).await, keep(store, &content(1_200_000, 6)).await)
}

fn batch(puts: impl IntoIterator<Item = Put>) -> Batch {
    Batch { puts: puts.into_iter().collect(), ..Batch::default() }
}

#[tokio::test]
async fn what_was_backed_up_from_a_running_store_comes_back_as_it_was() {
    for index in [IndexKind::Redb, IndexKind::Sled] {
        let place = Place::new(index);
        let store = place.open().unwrap();
        let (small, large) = filled(&store).await;
        let first = store.incarnation();
        let taken = place.back_up().unwrap();
        assert_eq!((taken.manifest.sequence, taken.manifest.documents), (52, 2));
        store.apply(batch([put("later", 1)])).await.unwrap();
        drop(store);
        place.wipe();
        assert!(words(place.open()).contains("is missing"));
        let outcome = place.restore(false).unwrap();
        assert_eq!((outcome.incarnation.number, outcome.replaced), (2, None));
        assert!(place.verified().flaws.is_empty(), "{:?}", place.verified().flaws);
        let store = place.open().unwrap();
        let incarnation = store.incarnation();
        assert_eq!((&incarnation.id, incarnation.number), (&first.id, 2));
        assert_eq!(incarnation.restored_sequence, Some(52));
        assert_eq!(store.get(NOTE, "a").unwrap().unwrap().version, 50);
        assert_eq!(store.history(NOTE, "a").unwrap().len(), 50);
        assert!(store.get(NOTE, "later").unwrap().is_none());
        assert!(read(&store, &small).await == content(100_000, 5));
        assert!(read(&store, &large).await == content(1_200_000, 6));
        // Life goes on, over the end of the last segment.
        for version in 51..=400 {
            store.apply(batch([put("a", version)])).await.unwrap();
        }
        keep(&store, &content(90_000, 7)).await;
        drop(store);
        let store = place.open().unwrap();
        assert_eq!(store.get(NOTE, "a").unwrap().unwrap().version, 400);
        drop(store);
        assert!(place.verified().flaws.is_empty());
    }
}

#[tokio::test]
async fn a_backup_taken_again_copies_only_what_is_new_and_the_one_before_stays_whole_until_then() {
    let place = Place::new(IndexKind::Redb);
    let store = place.open().unwrap();
    let (_, large) = filled(&store).await;
    let first = place.back_up().unwrap();
    let other = keep(&store, &content(1_300_000, 9)).await;
    store.apply(Batch { trash: vec![large.clone()], ..batch([put("b", 1)]) }).await.unwrap();
    let before = std::fs::read(place.to().join(manifest::NAME)).unwrap();
    let second = place.back_up().unwrap();
    assert!(second.copied < first.copied + 1, "{} files after {}", second.copied, first.copied);
    assert!(!place.to().join(files::blob_name(&large)).exists(), "what was let go is not kept");
    // The manifest before holds for the segments all the same: they were only continued.
    std::fs::write(place.to().join(manifest::NAME), before).unwrap();
    let flaws = verify::backup(&place.to(), false).unwrap().flaws;
    assert!(flaws.iter().all(|flaw| flaw.subject.contains(&large)), "{flaws:?}");
    let third = place.back_up().unwrap();
    assert!(verify::backup(&place.to(), true).unwrap().flaws.is_empty());
    assert_eq!(third.manifest.documents, 2);
    drop(store);
    place.wipe();
    place.restore(false).unwrap();
    let store = place.open().unwrap();
    assert!(read(&store, &other).await == content(1_300_000, 9));
    assert_eq!(store.blob(&large).unwrap(), None);
}

#[tokio::test]
async fn a_document_that_goes_to_the_trash_while_it_is_copied_is_taken_from_there() {
    let place = Place::new(IndexKind::Redb);
    let store = place.open().unwrap();
    let (_, large) = filled(&store).await;
    drop(store);
    // As if the commit that lets it go came behind the last entry that is copied.
    let name = files::blob_name(&large);
    std::fs::rename(place.data().join(&name), place.data().join("trash").join(&large)).unwrap();
    let taken = place.back_up().unwrap();
    assert!(taken.manifest.damaged.is_empty(), "{:?}", taken.manifest.damaged);
    assert!(verify::backup(&place.to(), true).unwrap().flaws.is_empty());
}

#[tokio::test]
async fn documents_that_are_deleted_while_others_are_copied_are_not_told_as_damaged() {
    let place = Place::new(IndexKind::Redb);
    let store = place.open().unwrap();
    filled(&store).await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    // What serves for a moment only, as the bodies of tasks do.
    let letting_go = tokio::spawn(async move {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            let mut sink = store.stage_apart(u64::MAX);
            sink.write(b"for a moment").await.unwrap();
            let blob = sink.finish().await.unwrap();
            let id = blob.id().to_owned();
            store.apply(Batch { instant: 5, blobs: vec![blob], ..Batch::default() }).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            let trash = Batch { instant: 5, trash: vec![id.clone()], concluding: true, ..Batch::default() };
            store.apply(trash).await.unwrap();
            store.discard(&[id]).unwrap();
        }
    });
    for _ in 0..20 {
        let (directory, to) = (place.data(), place.to());
        let taken = tokio::task::spawn_blocking(move || {
            Backup { directory: &directory, to: &to, actor: "registry", version: "1", now: 9 }.take()
        });
        let taken = taken.await.unwrap().unwrap();
        assert!(taken.manifest.damaged.is_empty(), "{:?}", taken.manifest.damaged);
        assert_eq!(verify::backup(&place.to(), true).unwrap().flaws, []);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    letting_go.await.unwrap();
}

#[tokio::test]
async fn a_damaged_document_is_told_and_does_not_keep_the_others_from_being_backed_up() {
    let place = Place::new(IndexKind::Redb);
    let store = place.open().unwrap();
    let (_, large) = filled(&store).await;
    drop(store);
    let path = place.data().join(files::blob_name(&large));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[70_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let taken = place.back_up().unwrap();
    assert_eq!(taken.manifest.damaged.len(), 1);
    assert_eq!(taken.manifest.damaged[0].subject, large);
    assert_eq!(verify::backup(&place.to(), false).unwrap().flaws.len(), 1, "told, and only that");
    place.wipe();
    place.restore(false).unwrap();
    place.open().unwrap();
}

#[tokio::test]
async fn a_backup_that_was_not_completed_or_is_damaged_is_not_restored_and_changes_nothing() {
    let place = Place::new(IndexKind::Redb);
    let store = place.open().unwrap();
    filled(&store).await;
    place.back_up().unwrap();
    drop(store);
    place.wipe();
    let whole = std::fs::read(place.to().join(manifest::NAME)).unwrap();
    std::fs::remove_file(place.to().join(manifest::NAME)).unwrap();
    assert!(words(place.restore(false)).contains("not completed"));
    std::fs::write(place.to().join(manifest::NAME), whole).unwrap();
    for file in crate::verify::files_below(&place.to()).unwrap() {
        let name = file.strip_prefix(place.to()).unwrap().display().to_string();
        if name == LOCK || name == manifest::NAME {
            continue;
        }
        let sound = std::fs::read(&file).unwrap();
        let mut bytes = sound.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        std::fs::write(&file, bytes).unwrap();
        assert!(words(place.restore(false)).contains("nothing was changed"), "{name}");
        assert!(!place.data().exists(), "{name}");
        std::fs::write(&file, sound).unwrap();
    }
    place.restore(false).unwrap();
}

#[tokio::test]
async fn a_restore_refuses_what_is_there_unless_it_is_told_to_keep_it_aside() {
    let place = Place::new(IndexKind::Redb);
    let store = place.open().unwrap();
    filled(&store).await;
    place.back_up().unwrap();
    store.apply(batch([put("later", 1)])).await.unwrap();
    assert!(words(place.restore(true)).contains("in use"));
    drop(store);
    assert!(words(place.restore(false)).contains("--force"));
    let outcome = place.restore(true).unwrap();
    let replaced = outcome.replaced.unwrap();
    assert!(replaced.ends_with("replaced.1") && replaced.join("journal").exists());
    let store = place.open().unwrap();
    assert!(store.get(NOTE, "later").unwrap().is_none());
    drop(store);
    let again = place.restore(true).unwrap();
    assert_eq!(again.incarnation.number, 3);
    assert!(again.replaced.unwrap().ends_with("replaced.2"));
}

#[tokio::test]
async fn a_restore_that_was_broken_off_leaves_nothing_that_starts_and_can_be_done_again() {
    let place = Place::new(IndexKind::Redb);
    let store = place.open().unwrap();
    filled(&store).await;
    place.back_up().unwrap();
    drop(store);
    let notes = [r#"{"step":"moving","to":"replaced.1"}"#, r#"{"step":"copying","replaced":null}"#, ""];
    for note in notes {
        std::fs::write(place.data().join("restoring"), note).unwrap();
        std::fs::remove_dir_all(place.data().join("index")).unwrap();
        assert!(words(place.open()).contains("was not completed"), "{note}");
        assert!(words(place.back_up()).contains("was not completed"), "{note}");
        place.restore(false).unwrap();
        assert_eq!(place.open().unwrap().sequence(), 52, "{note}");
    }
    assert!(place.data().join("replaced.1").join("journal").exists());
}

#[tokio::test]
async fn a_life_that_was_already_put_aside_counts_when_the_next_one_is_numbered() {
    let place = Place::new(IndexKind::Redb);
    let store = place.open().unwrap();
    filled(&store).await;
    place.back_up().unwrap();
    drop(store);
    place.restore(true).unwrap();
    assert_eq!(place.restore(true).unwrap().incarnation.number, 3);
    // Killed when the mark was moved and the rest was not, in a directory whose mark beside is lost.
    let aside = place.data().join("replaced.3");
    std::fs::create_dir(&aside).unwrap();
    std::fs::rename(place.data().join("incarnation"), aside.join("incarnation")).unwrap();
    std::fs::write(place.data().join("restoring"), r#"{"step":"moving","to":"replaced.3"}"#).unwrap();
    std::fs::remove_file(place.beside()).unwrap();
    assert_eq!(place.restore(false).unwrap().incarnation.number, 4);
    assert!(aside.join("journal").exists());
}

#[tokio::test]
async fn an_older_copy_that_was_put_back_by_hand_can_be_adopted() {
    let place = Place::new(IndexKind::Redb);
    let store = place.open().unwrap();
    filled(&store).await;
    let first = store.incarnation();
    drop(store);
    let mark = Mark { id: first.id.clone(), number: 4, restored: None };
    mark.write(&place.beside()).unwrap();
    assert!(words(place.open()).contains("--adopt"));
    let adopted = restore::adopt(&place.data(), Some(&place.beside())).unwrap();
    assert_eq!((adopted.id, adopted.number, adopted.restored_sequence), (first.id, 5, Some(52)));
    assert_eq!(place.open().unwrap().incarnation().number, 5);
}

#[tokio::test]
async fn a_directory_that_holds_something_else_is_not_taken_for_a_place_of_backups() {
    let place = Place::new(IndexKind::Redb);
    let store = place.open().unwrap();
    filled(&store).await;
    std::fs::create_dir(place.to()).unwrap();
    std::fs::write(place.to().join("letter"), "dear").unwrap();
    assert!(words(place.back_up()).contains("no backup"));
    let inside = place.data().join("backup");
    let (directory, now) = (place.data(), 1);
    let order = Backup { directory: &directory, to: &inside, actor: "registry", version: "1", now };
    assert!(words(order.take()).contains("lie in each other"));
    let other = Place::new(IndexKind::Redb);
    let elsewhere = other.open().unwrap();
    filled(&elsewhere).await;
    other.back_up().unwrap();
    let to = other.to();
    let order = Backup { directory: &directory, to: &to, actor: "registry", version: "1", now };
    assert!(words(order.take()).contains("holds a backup of"));
}

#[tokio::test]
async fn an_empty_store_can_be_backed_up_and_restored() {
    let place = Place::new(IndexKind::Redb);
    drop(place.open().unwrap());
    place.back_up().unwrap();
    place.wipe();
    place.restore(false).unwrap();
    let store = place.open().unwrap();
    store.apply(batch([put("a", 1)])).await.unwrap();
}

#[tokio::test]
async fn what_an_administrator_restores_belongs_to_the_account_of_the_actor() {
    use std::os::unix::fs::MetadataExt as _;

    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new(IndexKind::Redb);
    let store = place.open().unwrap();
    // Nothing has a file of its own: the backup has no `blobs`.
    store.apply(batch([put("a", 1)])).await.unwrap();
    drop(store);
    place.back_up().unwrap();
    place.wipe();
    std::fs::create_dir(place.data()).unwrap();
    std::os::unix::fs::chown(place.data(), Some(4321), Some(4322)).unwrap();
    let all_are_theirs = || {
        let owner = |path: &Path| std::fs::metadata(path).map(|found| (found.uid(), found.gid())).unwrap();
        assert_eq!(owner(&place.beside()), (4321, 4322), "a start must be able to read it");
        for path in verify::files_below(&place.data()).unwrap() {
            assert_eq!(owner(&path), (4321, 4322), "{}", path.display());
        }
        assert_eq!(owner(&place.data().join("journal")), (4321, 4322));
    };
    place.restore(false).unwrap();
    all_are_theirs();
    std::fs::remove_file(place.beside()).unwrap();
    restore::adopt(&place.data(), Some(&place.beside())).unwrap();
    all_are_theirs();
}

#[tokio::test]
async fn what_was_damaged_in_a_backup_and_is_mended_now_is_copied_again() {
    use std::os::unix::fs::FileExt as _;

    let place = Place::new(IndexKind::Redb);
    let store = place.open().unwrap();
    let id = keep(&store, &content(5000, 3)).await;
    store.apply(batch([put("a", 1)])).await.unwrap();
    let path = place.data().join(segment_path(1));
    let bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(64).position(|window| window == &content(5000, 3)[..64]).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[!bytes[at]], at as u64).unwrap();
    assert_eq!(place.back_up().unwrap().manifest.damaged.len(), 1);
    file.write_all_at(&[bytes[at]], at as u64).unwrap();
    assert!(place.back_up().unwrap().manifest.damaged.is_empty());
    assert!(verify::backup(&place.to(), false).unwrap().flaws.is_empty());
    drop(store);
    place.wipe();
    place.restore(false).unwrap();
    assert_eq!(read(&place.open().unwrap(), &id).await, content(5000, 3));
}

#[tokio::test]
async fn a_backup_with_a_damaged_document_nobody_told_of_is_not_restored() {
    use std::os::unix::fs::FileExt as _;

    let place = Place::new(IndexKind::Redb);
    let store = place.open().unwrap();
    keep(&store, &content(5000, 3)).await;
    store.apply(batch([put("a", 1)])).await.unwrap();
    drop(store);
    let path = place.data().join(segment_path(1));
    let bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(64).position(|window| window == &content(5000, 3)[..64]).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[!bytes[at]], at as u64).unwrap();
    let mut manifest = place.back_up().unwrap().manifest;
    manifest.damaged.clear();
    manifest.write(&place.to()).unwrap();
    assert_eq!(verify::backup(&place.to(), false).unwrap().flaws.len(), 1);
    place.wipe();
    assert!(words(place.restore(false)).contains("nothing was changed"));
}

#[tokio::test]
async fn a_manifest_that_names_files_elsewhere_is_refused() {
    let place = Place::new(IndexKind::Redb);
    filled(&place.open().unwrap()).await;
    let manifest = place.back_up().unwrap().manifest;
    place.wipe();
    for path in ["/tmp/elsewhere", "journal/../../elsewhere", "../elsewhere", "lock", "blobs//a/b", ""] {
        let mut tampered = manifest.clone();
        tampered.files[0].path = path.to_owned();
        tampered.write(&place.to()).unwrap();
        assert!(words(place.restore(false)).contains("belongs to no backup"), "{path}");
    }
    manifest.write(&place.to()).unwrap();
    place.restore(false).unwrap();
}
