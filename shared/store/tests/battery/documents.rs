//! Promises about documents.

use store::{Batch, Error};

use crate::samples::{Engine, Home, content, kept, read, staged};

const KIB: usize = 1 << 10;

pub(crate) async fn a_document_is_read_as_it_was_given(home: Home) {
    for length in [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 1024 * KIB, 1024 * KIB + 1, 3000 * KIB] {
        let bytes = content(length, length as u64);
        let id = kept(&home.store, &bytes).await;
        let blob = home.store.blob(&id).unwrap().unwrap();
        assert_eq!(blob.size, length as u64);
        assert_eq!(blob.sha256, <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(&bytes)));
        assert_eq!(blob.sha1, <[u8; 20]>::from(<sha1::Sha1 as sha1::Digest>::digest(&bytes)));
        assert!(read(&home.store, &id, 0..length as u64).await.unwrap() == bytes, "{length} bytes come back");
    }
}

pub(crate) async fn a_document_is_not_there_before_its_commit(home: Home) {
    for length in [10, 2000 * KIB] {
        let blob = staged(&home.store, &content(length, 1)).await;
        let id = blob.id().to_owned();
        assert_eq!(home.store.blob(&id).unwrap(), None);
        drop(blob);
        let mut unfinished = home.store.stage(u64::MAX);
        unfinished.write(&content(length, 2)).await.unwrap();
        drop(unfinished);
    }
    if home.engine != Engine::Memory {
        assert_eq!(files_under(&home.directory.path().join("data/staging")), 0);
        assert_eq!(files_under(&home.directory.path().join("data/blobs")), 0);
    }
}

pub(crate) fn files_under(path: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_under(&path) } else { 1 }).sum()
}

/// However many documents wait for their commit, a bounded part of them is in memory.
pub(crate) async fn many_documents_at_once_do_not_all_wait_in_memory(home: Home) {
    let document = |number: u64| content(700 * KIB, number + 1);
    let mut blobs = Vec::new();
    for number in 0..40 {
        blobs.push(staged(&home.store, &document(number)).await);
    }
    let ids: Vec<_> = blobs.iter().map(|blob| blob.id().to_owned()).collect();
    if home.engine != Engine::Memory {
        assert_eq!(files_under(&home.directory.path().join("data/blobs")), 8, "the others are in memory");
    }
    home.store.apply(Batch { blobs, ..Batch::default() }).await.unwrap();
    let blob = staged(&home.store, &document(40)).await;
    if home.engine != Engine::Memory {
        assert_eq!(
            files_under(&home.directory.path().join("data/blobs")),
            8,
            "there is room in memory again"
        );
    }
    drop(blob);
    for (number, id) in (0..).zip(&ids) {
        assert!(read(&home.store, id, 0..u64::MAX).await.unwrap() == document(number));
    }
}

pub(crate) async fn any_range_of_a_document_is_exact(home: Home) {
    for length in [200 * KIB + 7, 1500 * KIB + 7] {
        let bytes = content(length, 3);
        let id = kept(&home.store, &bytes).await;
        let chunk = 64 * KIB;
        let bounds = [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, length - 1, length];
        for (index, from) in bounds.iter().enumerate() {
            for to in &bounds[index..] {
                let part = read(&home.store, &id, *from as u64..*to as u64).await.unwrap();
                assert!(part == bytes[*from..*to], "{from}..{to} of {length}");
            }
        }
        assert!(read(&home.store, &id, length as u64..u64::MAX).await.unwrap().is_empty());
    }
}

pub(crate) async fn a_document_over_the_limit_is_refused(home: Home) {
    for limit in [100, 1_500_000] {
        let mut sink = home.store.stage(limit as u64);
        sink.write(&content(limit, 1)).await.unwrap();
        let refused = sink.write(b"x").await.unwrap_err();
        assert!(matches!(refused, Error::TooLarge { limit: named } if named == limit as u64));
    }
}

pub(crate) async fn a_document_in_the_trash_is_not_there(home: Home) {
    for length in [10, 2000 * KIB] {
        let id = kept(&home.store, &content(length, 1)).await;
        home.store
            .apply(Batch { trash: vec![id.clone(), "unknown".into()], ..Batch::default() })
            .await
            .unwrap();
        assert_eq!(home.store.blob(&id).unwrap(), None);
    }
    if home.engine != Engine::Memory {
        assert_eq!(files_under(&home.directory.path().join("data/blobs")), 0);
        assert_eq!(files_under(&home.directory.path().join("data/trash")), 1);
    }
}

pub(crate) async fn the_health_counts_documents(home: Home) {
    let first = kept(&home.store, &content(100, 1)).await;
    kept(&home.store, &content(50, 2)).await;
    let health = home.store.health();
    assert_eq!((health.documents, health.document_bytes, health.sequence), (2, 150, 2));
    assert!(health.writable && health.free_bytes > 0);
    home.store.apply(Batch { trash: vec![first], ..Batch::default() }).await.unwrap();
    assert_eq!((home.store.health().documents, home.store.health().document_bytes), (1, 50));
}

pub(crate) async fn what_is_let_go_soon_lies_apart_and_is_deleted_at_once(home: Home) {
    let mut ids = Vec::new();
    for length in [0, 100, 1500 * KIB] {
        let bytes = content(length, 3);
        let mut sink = home.store.stage_apart(u64::MAX);
        sink.write(&bytes).await.unwrap();
        let blob = sink.finish().await.unwrap();
        let id = blob.id().to_owned();
        home.store.apply(Batch { blobs: vec![blob], ..Batch::default() }).await.unwrap();
        assert!(read(&home.store, &id, 0..length as u64).await.unwrap() == bytes, "{length} bytes come back");
        ids.push(id);
    }
    let files = |folder: &str| files_under(&home.directory.path().join("data").join(folder));
    if home.engine != Engine::Memory {
        assert_eq!(files("blobs"), 3, "none of them is in the journal");
    }
    home.store.discard(&ids).unwrap();
    assert!(home.store.blob(&ids[0]).unwrap().is_some(), "what is kept stays");
    home.store.apply(Batch { trash: ids.clone(), ..Batch::default() }).await.unwrap();
    home.store.discard(&ids).unwrap();
    assert!(ids.iter().all(|id| home.store.blob(id).unwrap().is_none()));
    if home.engine != Engine::Memory {
        assert_eq!((files("blobs"), files("trash")), (0, 0));
    }
}
