use bytes::Bytes;

use super::*;
use crate::open::Options;
use crate::store::Store;
use crate::{Batch, Kind, Put};

struct Place {
    folder: tempfile::TempDir,
    store: Option<Store>,
    small: String,
    large: String,
}

async fn keep(store: &Store, length: usize) -> String {
    let mut sink = store.stage(u64::MAX);
    sink.write(&vec![7; length]).await.unwrap();
    let blob = sink.finish().await.unwrap();
    let id = blob.id().to_owned();
    store.apply(Batch { blobs: vec![blob], ..Batch::default() }).await.unwrap();
    id
}

fn put(version: u64) -> Put {
    Put {
        kind: Kind("note"),
        id: "a".into(),
        version,
        partition: "p".into(),
        order: 0,
        facts: Vec::new(),
        edges: Vec::new(),
        body: vec![b'b'; 1000].into(),
        rendering: Bytes::new(),
        deleted: false,
    }
}

impl Place {
    async fn filled() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new(folder.path().join("data"));
        let store = Store::open(&Options { segment_bytes: 64 << 10, sync: false, ..options }).unwrap();
        for version in 1..=100 {
            store.apply(Batch { puts: vec![put(version)], ..Batch::default() }).await.unwrap();
        }
        let (small, large) = (keep(&store, 100_000).await, keep(&store, 1_300_000).await);
        store.note(1, vec![Bytes::from_static(b"read")]).await.unwrap();
        store.apply(Batch { puts: vec![put(101)], ..Batch::default() }).await.unwrap();
        Place { folder, store: Some(store), small, large }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn look(&self, deep: bool) -> Inspection {
        directory(&self.data(), deep, 0).unwrap()
    }

    fn flaws(&self) -> Vec<(String, String)> {
        self.look(false).flaws.into_iter().map(|flaw| (flaw.kind, flaw.subject)).collect()
    }

    /// Changes a byte of a file.
    fn flip(&self, path: &Path, at: impl FnOnce(&[u8]) -> usize) {
        let path = self.data().join(path);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at(&bytes);
        bytes[at] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
}

fn flaw(kind: &str, subject: &str) -> (String, String) {
    (kind.to_owned(), subject.to_owned())
}

#[tokio::test]
async fn a_running_store_that_is_whole_has_no_flaws() {
    let place = Place::filled().await;
    for deep in [false, true] {
        let found = place.look(deep);
        assert!(found.flaws.is_empty(), "{:?}", found.flaws);
        assert_eq!((found.count("commits"), found.count("entries")), (103, 104));
        assert_eq!((found.count("documents"), found.count("documents_in_files")), (2, 1));
        assert_eq!(found.count("document_bytes"), 1_400_000);
    }
    drop(place.store);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_being_written_is_never_found_damaged() {
    let place = Place::filled().await;
    let store = place.store.clone().unwrap();
    let writing = tokio::spawn(async move {
        for version in 102..600 {
            store.apply(Batch { puts: vec![put(version)], ..Batch::default() }).await.unwrap();
            if version % 50 == 0 {
                let id = keep(&store, 1_100_000).await;
                store.apply(Batch { trash: vec![id], ..Batch::default() }).await.unwrap();
            }
        }
    });
    while !writing.is_finished() {
        let data = place.data();
        let found = tokio::task::spawn_blocking(move || directory(&data, false, 0)).await.unwrap().unwrap();
        assert!(found.flaws.is_empty(), "{:?}", found.flaws);
    }
    writing.await.unwrap();
}

#[tokio::test]
async fn a_large_document_that_is_damaged_cut_or_missing_is_found() {
    let mut place = Place::filled().await;
    drop(place.store.take());
    let large = place.large.clone();
    let file = files::blob_name(&large);
    let path = place.data().join(&file);
    let sound = std::fs::read(&path).unwrap();
    for at in [20, 500_000, sound.len() - 1] {
        place.flip(&file, |_| at);
        assert_eq!(place.flaws(), [flaw("document-damaged", &large)], "{at}");
        place.flip(&file, |_| at);
    }
    std::fs::write(&path, &sound[..900_000]).unwrap();
    assert_eq!(place.flaws(), [flaw("document-damaged", &large)], "it is cut");
    std::fs::write(&path, [&sound[..], b"x"].concat()).unwrap();
    assert_eq!(place.flaws(), [flaw("document-damaged", &large)], "it goes on");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(place.flaws(), [flaw("document-missing", &large)]);
    std::fs::write(&path, &sound).unwrap();
    assert!(place.flaws().is_empty());
}

#[tokio::test]
async fn a_file_nobody_cites_is_found_unless_it_is_on_its_way() {
    let mut place = Place::filled().await;
    drop(place.store.take());
    let id = "0123456789abcdef0123456789abcdef";
    let stranger = place.data().join(files::blob_name(id));
    std::fs::create_dir_all(stranger.parent().unwrap()).unwrap();
    std::fs::write(&stranger, "x").unwrap();
    assert_eq!(place.flaws(), [flaw("file-uncited", &files::blob_name(id).display().to_string())]);
    let staged = place.data().join("staging").join(id);
    std::fs::write(&staged, "x").unwrap();
    assert!(place.flaws().is_empty());
    std::fs::remove_file(stranger).unwrap();
    let much_later = directory(&place.data(), false, i64::MAX / 2).unwrap();
    assert_eq!(much_later.flaws.len(), 1);
    assert_eq!(much_later.flaws[0].kind, "staging-left");
}

#[tokio::test]
async fn damage_in_the_journal_is_found_in_a_document_and_in_the_chain() {
    let mut place = Place::filled().await;
    drop(place.store.take());
    let small = place.small.clone();
    let holds = |bytes: &[u8]| bytes.windows(1000).position(|window| window.iter().all(|byte| *byte == 7));
    let journal = files_below(&place.data().join("journal")).unwrap();
    let path = journal.iter().find(|path| holds(&std::fs::read(path).unwrap()).is_some()).unwrap();
    let at = holds(&std::fs::read(path).unwrap()).unwrap() + 50_000;
    place.flip(path, |_| at);
    assert_eq!(place.flaws(), [flaw("document-damaged", &small)]);
    place.flip(path, |_| at);
    assert!(place.flaws().is_empty());
    place.flip(Path::new("journal/0000000001.segment"), |_| 5000);
    let found = place.look(true);
    assert_eq!(found.flaws.len(), 1, "{:?}", found.flaws);
    assert_eq!(found.flaws[0].kind, "journal-broken");
    assert!(found.flaws[0].subject.starts_with("segment 1, offset "));
}

#[test]
fn what_is_no_data_directory_cannot_be_looked_through() {
    let folder = tempfile::tempdir().unwrap();
    assert!(directory(folder.path(), false, 0).is_err());
    assert!(
        matches!(backup(folder.path(), false), Err(Error::Unusable(words)) if words.contains("no backup"))
    );
}
