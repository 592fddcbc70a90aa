//! A volume that is really full: a small one in memory, where this machine lets one be made.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use store::{Batch, Error, Options, Store};

use crate::samples::{Engine, ask, batch, content, found, kept, options, put, read};

/// A volume of 64 MiB, gone at the end.
struct Volume(PathBuf);

impl Volume {
    /// None where that is not allowed.
    fn new() -> Option<Volume> {
        let path = tempfile::tempdir().unwrap().keep();
        let made = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(&path).output();
        if made.is_ok_and(|made| made.status.success()) {
            return Some(Volume(path));
        }
        std::fs::remove_dir(&path).unwrap();
        eprintln!("no volume can be mounted here: what a full one does was not tested");
        None
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let path = self.0.join("filler");
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        let mut size = 1 << 20;
        while size > 0 {
            match std::io::Write::write_all(&mut file, &vec![1; size]) {
                Ok(()) => {}
                Err(_) => size /= 2,
            }
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        if unmounted.is_ok_and(|status| status.success()) {
            let _ = std::fs::remove_dir(&self.0);
        }
    }
}

fn on(volume: &Path, engine: Engine) -> Options {
    let usual = options(engine, volume).unwrap();
    // Segments as large as the volume has them, so that the journal soon needs another one.
    Options { segment_bytes: 1 << 20, reserve_bytes: 256 << 20, sync: true, ..usual }
}

async fn again_until<T>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T, Error>) -> T {
    for _ in 0..200 {
        if let Ok(done) = attempt().await {
            return done;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 10 s: {what}");
}

#[tokio::test]
async fn on_a_full_volume_reads_and_conclusions_go_on_and_everything_does_once_there_is_room() {
    for engine in [Engine::Redb, Engine::Sled] {
        let Some(volume) = Volume::new() else { return };
        let options = on(&volume.0, engine);
        let reserve = volume.0.join("data/reserve");
        let store = Store::open(&options).unwrap();
        let id = kept(&store, &content(2_000_000, 1)).await;
        store.apply(batch([put("a", 1)])).await.unwrap();
        again_until("room is kept back", async || std::fs::metadata(&reserve).map_err(|_| Error::BadCursor))
            .await;
        volume.fill();
        tokio::time::sleep(Duration::from_millis(1100)).await;

        assert!(matches!(store.apply(batch([put("b", 1)])).await, Err(Error::NoRoom(_))));
        let mut sink = store.stage(u64::MAX);
        assert!(matches!(sink.write(&content(3_000_000, 2)).await, Err(Error::NoRoom(_))));
        drop(sink);
        assert_eq!(std::fs::read_dir(volume.0.join("data/staging")).unwrap().count(), 0);
        // More than the segment holds: another one is needed, and comes out of the room that was kept back.
        let long = Bytes::from(content(100_000, 3));
        for number in 0..20u64 {
            store.note(1, vec![long.clone()]).await.unwrap();
            let fence = store::Put { body: long.clone(), ..put(&format!("fence {number}"), 1) };
            store.apply(Batch { concluding: true, ..batch([fence]) }).await.unwrap();
        }
        assert!(!reserve.exists());
        store.apply(Batch { trash: vec![id.clone()], ..Batch::default() }).await.unwrap();
        assert!(volume.0.join("data/trash").join(&id).exists());
        assert_eq!(found(&store, &store::Ask { limit: 1, ..ask() }).len(), 1);

        volume.free();
        again_until("what is new is taken", async || store.apply(batch([put("b", 1)])).await).await;
        again_until("room is kept back again", async || {
            std::fs::metadata(&reserve).map_err(|_| Error::BadCursor)
        })
        .await;
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_start_on_a_full_volume_reads_and_refuses_and_recovers_without_another_start() {
    for engine in [Engine::Redb, Engine::Sled] {
        for clean in [true, false] {
            for kept_back in [true, false] {
                let Some(volume) = Volume::new() else { return };
                let options = on(&volume.0, engine);
                let store = Store::open(&options).unwrap();
                let id = kept(&store, &content(2_000_000, 1)).await;
                store.apply(batch([put("a", 1)])).await.unwrap();
                let reserve = volume.0.join("data/reserve");
                let held = async || std::fs::metadata(&reserve).map_err(|_| Error::BadCursor);
                again_until("room is kept back", held).await;
                if clean {
                    store.close().await.unwrap();
                }
                drop(store);
                if !kept_back && engine == Engine::Redb {
                    std::fs::remove_file(&reserve).unwrap();
                }
                volume.fill();
                let what = format!("{engine:?}, clean {clean}, kept back {kept_back}");
                let store = Store::open(&options).unwrap_or_else(|error| panic!("{what}: {error:?}"));
                assert_eq!(found(&store, &ask()), ["a"], "{what}");
                assert_eq!(read(&store, &id, 0..2_000_000).await.unwrap(), content(2_000_000, 1), "{what}");
                let refused = store.apply(batch([put("b", 1)])).await;
                assert!(matches!(refused, Err(Error::NoRoom(_))), "{what}: {refused:?}");
                volume.free();
                again_until(&what, async || store.apply(batch([put("b", 1)])).await).await;
                store.close().await.unwrap();
            }
        }
    }
}
