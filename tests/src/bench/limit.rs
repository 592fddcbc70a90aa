//! The limit of any journal on this disk: 64 KiB records, preallocated, 16 writers, one sync for all that wait.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

const RECORD: usize = 64 << 10;
const SEGMENT: u64 = 64 << 20;

/// Records in a second.
pub(super) fn measure(folder: &Path, writers: usize, time: Duration) -> Result<f64> {
    let path = folder.join("limit");
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&path)
        .context("opening a segment")?;
    let zeros = vec![0; 1 << 20];
    for at in (0..SEGMENT).step_by(1 << 20) {
        file.write_all_at(&zeros, at).context("preallocating")?;
    }
    file.sync_all().context("syncing the preallocated segment")?;
    let (sender, receiver) = mpsc::channel::<mpsc::Sender<()>>();
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let elapsed = thread::scope(|scope| -> Result<Duration> {
        for _ in 0..writers {
            let (sender, stop, written) = (sender.clone(), &stop, &written);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let (done, wait) = mpsc::channel();
                    if sender.send(done).is_err() || wait.recv().is_err() {
                        return;
                    }
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        drop(sender);
        let begin = Instant::now();
        commit(&file, &receiver, &stop, begin + time)?;
        Ok(begin.elapsed())
    })?;
    drop(file);
    std::fs::remove_file(&path).context("removing the segment")?;
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are small")]
    let written = written.into_inner() as f64;
    Ok(written / elapsed.as_secs_f64())
}

/// Gathers who waits, writes their records at once, syncs once, answers them.
fn commit(
    file: &std::fs::File,
    waiting: &mpsc::Receiver<mpsc::Sender<()>>,
    stop: &AtomicBool,
    end: Instant,
) -> Result<()> {
    let mut at = 0;
    let mut group = Vec::new();
    let mut bytes = Vec::with_capacity(RECORD * 32);
    while let Ok(first) = waiting.recv() {
        group.push(first);
        group.extend(waiting.try_iter());
        bytes.resize(group.len() * RECORD, 0x5A);
        let length = u64::try_from(bytes.len()).context("a group has a length")?;
        if at + length > SEGMENT {
            at = 0;
        }
        file.write_all_at(&bytes, at).context("writing a group")?;
        file.sync_data().context("syncing a group")?;
        at += length;
        for writer in group.drain(..) {
            // A writer that has gone needs no answer.
            let _ = writer.send(());
        }
        if Instant::now() >= end {
            stop.store(true, Ordering::Relaxed);
        }
    }
    Ok(())
}
