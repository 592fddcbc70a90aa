use super::*;
use crate::open::Options;
use crate::store::Store;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn beside(&self) -> PathBuf {
        mark_beside(&self.directory())
    }

    fn open(&self) -> Result<Store, Error> {
        let options = Options::new(self.directory());
        Store::open(&Options { mark: Some(self.beside()), sync: false, segment_bytes: 64 << 10, ..options })
    }

    async fn opened_and_closed(&self) -> Incarnation {
        let store = self.open().unwrap();
        let incarnation = store.incarnation();
        store.close().await.unwrap();
        incarnation
    }

    fn refusal(&self) -> String {
        match self.open() {
            Ok(_) => panic!("the start should have been refused"),
            Err(Error::Unusable(words)) => words,
            Err(error) => panic!("refused for another reason: {error}"),
        }
    }
}

#[tokio::test]
async fn a_new_directory_is_marked_inside_and_beside_and_keeps_its_incarnation() {
    let place = Place::new();
    let first = place.opened_and_closed().await;
    assert_eq!((first.number, first.restored_sequence), (1, None));
    let inside = std::fs::read(place.directory().join(NAME)).unwrap();
    assert_eq!(inside, std::fs::read(place.beside()).unwrap());
    assert_eq!(place.opened_and_closed().await, first);
    let other = Place::new().opened_and_closed().await;
    assert_ne!(other.id, first.id);
}

#[tokio::test]
async fn a_directory_that_is_missing_or_empty_though_it_was_there_is_refused_and_not_touched() {
    let place = Place::new();
    let first = place.opened_and_closed().await;
    std::fs::remove_dir_all(place.directory()).unwrap();
    let words = place.refusal();
    assert!(words.contains("is missing") && words.contains(&first.id), "{words}");
    assert!(!place.directory().exists());
    std::fs::create_dir(place.directory()).unwrap();
    let words = place.refusal();
    assert!(words.contains("is empty") && words.contains("restore --from"), "{words}");
    assert_eq!(std::fs::read_dir(place.directory()).unwrap().count(), 0, "nothing was made there");
    std::fs::remove_file(place.beside()).unwrap();
    assert_ne!(place.opened_and_closed().await.id, first.id, "begun anew, as the words say");
}

#[tokio::test]
async fn a_directory_of_the_version_before_gets_its_marks_at_the_start() {
    let place = Place::new();
    place.opened_and_closed().await;
    std::fs::remove_file(place.directory().join(NAME)).unwrap();
    std::fs::remove_file(place.beside()).unwrap();
    let incarnation = place.opened_and_closed().await;
    assert_eq!(incarnation.number, 1);
    assert!(place.beside().exists());
}

#[tokio::test]
async fn a_journal_that_is_gone_from_a_marked_directory_is_not_begun_anew() {
    let place = Place::new();
    place.opened_and_closed().await;
    for name in ["journal", "index"] {
        std::fs::remove_dir_all(place.directory().join(name)).unwrap();
    }
    assert!(place.refusal().contains("the journal is gone"));
    assert!(!place.directory().join("journal/0000000001.segment").exists());
}

#[tokio::test]
async fn another_directory_or_an_older_copy_of_this_one_is_refused() {
    let place = Place::new();
    let first = place.opened_and_closed().await;
    let mark = |id: &str, number| Mark { id: id.to_owned(), number, restored: None };
    mark(&first.id, 2).write(&place.beside()).unwrap();
    let words = place.refusal();
    assert!(words.contains("older copy") && words.contains("restore --adopt"), "{words}");
    mark("somebody-else", 1).write(&place.beside()).unwrap();
    assert!(place.refusal().contains("another one"));
    std::fs::remove_file(place.directory().join(NAME)).unwrap();
    assert!(place.refusal().contains("has no incarnation mark"));
}

#[tokio::test]
async fn the_mark_beside_follows_the_one_inside() {
    let place = Place::new();
    let first = place.opened_and_closed().await;
    let restored = Some(Restored { from: 7, lost_after: 8 });
    let raised = Mark { id: first.id.clone(), number: 2, restored };
    raised.write(&place.directory().join(NAME)).unwrap();
    let incarnation = place.opened_and_closed().await;
    assert_eq!((incarnation.number, incarnation.restored_sequence), (2, Some(7)));
    assert_eq!(Mark::read(&place.beside()).unwrap(), Some(raised));
}

#[tokio::test]
async fn a_mark_that_cannot_be_written_beside_the_directory_stops_nothing() {
    let place = Place::new();
    // Nobody can put a file in the place of a directory that holds something.
    std::fs::create_dir_all(place.beside().join("x")).unwrap();
    let options = Options::new(place.directory());
    let beside = place.beside().join("x").join("not-there").join("mark");
    let store = Store::open(&Options { mark: Some(beside), sync: false, ..options }).unwrap();
    assert_eq!(store.incarnation().number, 1);
}

#[test]
fn the_mark_lies_beside_the_directory_however_it_is_named() {
    let beside = |name: &str| mark_beside(Path::new(name));
    assert_eq!(beside("/var/lib/docshare/registry"), Path::new("/var/lib/docshare/registry.incarnation"));
    assert_eq!(beside("data/"), Path::new("data.incarnation"));
    let folder = tempfile::tempdir().unwrap();
    let dot = folder.path().join("data").join("..").join("data").join("x").join("..");
    std::fs::create_dir_all(folder.path().join("data/x")).unwrap();
    assert_eq!(mark_beside(&dot), folder.path().canonicalize().unwrap().join("data.incarnation"));
}
