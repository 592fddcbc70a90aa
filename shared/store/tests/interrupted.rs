//! What is left when a step fails in its middle. Needs the feature `failpoints`.
#![cfg(feature = "failpoints")]

use std::path::Path;

use store::point::{Plan, Point, arm};
use store::{Options, Store};

const POINTS: &[Point] =
    &[Point::shared("naming", "blob.post_rename", "files.rs", "naming a file and syncing its name")];

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of the store") {
        let entry = entry.expect("an entry");
        match entry.file_type().expect("a type").is_dir() {
            true => found.append(&mut files(&entry.path())),
            false => found.push(entry.file_name().to_string_lossy().into_owned()),
        }
    }
    found
}

#[tokio::test]
async fn a_document_whose_name_cannot_be_synced_leaves_no_file() {
    arm(Plan::read("naming=1:error", &[POINTS]).expect("a plan"));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    let store = Store::open(&Options::new(&data)).expect("an empty directory can be opened");
    let mut sink = store.stage(u64::MAX);
    sink.write(&vec![7; 1_500_000]).await.expect("the disk takes it");
    assert!(sink.finish().await.is_err());
    assert_eq!(files(&data.join("blobs")), Vec::<String>::new());
    assert_eq!(files(&data.join("staging")), Vec::<String>::new());
}
