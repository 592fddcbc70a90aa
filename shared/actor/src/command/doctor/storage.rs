//! The data directory: is it there, is it ours, has it room, is it the right one.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use store::backup::Manifest;

use crate::clock::Clock;
use crate::command::causes;
use crate::command::doctor::Check;
use crate::run::Actor;
use crate::settings::Settings;

/// A backup older than this is told with a warning.
const OLD: i64 = 24 * 60 * 60 * 1_000_000;

pub(super) fn checks(house: &Settings) -> Vec<Check> {
    let directory = &house.storage.directory;
    let mut checks = vec![marks(directory)];
    match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => {
            checks.insert(0, access(directory, &found));
            checks.push(lock(directory));
            checks.push(format(directory));
            checks.push(room(directory));
        }
        Ok(_) => checks.insert(
            0,
            Check::fail(
                "data-directory",
                format!("{} is a file", directory.display()),
                "set storage.directory to a directory",
            ),
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => checks.insert(
            0,
            Check::warn(
                "data-directory",
                format!("{} is not there", directory.display()),
                "the first start makes it; if there was one, mount it or put it back",
            ),
        ),
        Err(error) => checks.insert(
            0,
            Check::fail(
                "data-directory",
                format!("{}: {error}", directory.display()),
                "run this as the account of the actor",
            ),
        ),
    }
    checks
}

/// Owner and modes: nobody else may look.
fn access(directory: &Path, found: &std::fs::Metadata) -> Check {
    const NAME: &str = "data-directory";
    let (own, owner) = (rustix::process::geteuid().as_raw(), found.uid());
    if own != 0 && own != owner {
        let words = format!("{} belongs to account {owner}; this is {own}", directory.display());
        return Check::fail(NAME, words, "run this, and the actor, as that account");
    }
    let open = |path: &Path, mode: u32| {
        let found = std::fs::metadata(path).ok()?;
        (found.mode() & 0o777 & !mode != 0).then(|| (path.to_owned(), found.mode() & 0o777, mode))
    };
    let files = ["secret", "incarnation", "lock"].map(|name| open(&directory.join(name), 0o600));
    let folders = ["", "journal", "blobs", "staging", "trash"].map(|name| open(&directory.join(name), 0o700));
    match folders.into_iter().chain(files).flatten().next() {
        Some((path, is, should)) => Check::warn(
            NAME,
            format!("{} has mode {is:04o}: others may look at it", path.display()),
            format!("chmod {should:04o} {}", path.display()),
        ),
        None => Check::ok(NAME, format!("{}, closed to others", directory.display())),
    }
}

/// Does the mark inside agree with the one beside?
fn marks(directory: &Path) -> Check {
    const NAME: &str = "incarnation";
    let beside = store::mark_beside(directory);
    match store::examine(directory, &beside) {
        Err(error) => Check::fail(NAME, causes(&error), "do as it says; the actor does not start until then"),
        Ok(None) => Check::ok(NAME, "none yet: the first start makes it"),
        Ok(Some(known)) if !beside.exists() => Check::warn(
            NAME,
            format!("{}, number {}, without a mark beside the directory", known.id, known.number),
            format!(
                "let the actor write {}: without it a start does not notice that the directory is missing",
                beside.display()
            ),
        ),
        Ok(Some(known)) => Check::ok(NAME, format!("{}, number {}", known.id, known.number)),
    }
}

fn lock(directory: &Path) -> Check {
    const NAME: &str = "lock";
    match std::fs::File::open(directory.join("lock")).map(|file| file.try_lock_shared()) {
        Ok(Ok(())) => Check::ok(NAME, "free: no actor runs on this directory"),
        Ok(Err(std::fs::TryLockError::WouldBlock)) => {
            Check::ok(NAME, "held: an actor runs on this directory")
        }
        Ok(Err(std::fs::TryLockError::Error(error))) => {
            Check::fail(NAME, error.to_string(), "the file system must know locks")
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Check::ok(NAME, "not made yet"),
        Err(error) => Check::fail(NAME, error.to_string(), "run this as the account of the actor"),
    }
}

fn format(directory: &Path) -> Check {
    if !directory.join("journal").exists() {
        return Check::ok("format", "nothing was stored yet");
    }
    match store::verify::readable(directory) {
        Ok(()) => Check::ok("format", "known to this program"),
        Err(error) => {
            Check::fail("format", causes(&error), "use the version that wrote it, or restore a backup")
        }
    }
}

fn room(directory: &Path) -> Check {
    const NAME: &str = "room";
    match store::verify::room(directory) {
        Err(error) => Check::fail(NAME, causes(&error), "look at the volume"),
        Ok(room) => {
            let words = format!("{} of {} bytes are free", room.free, room.all);
            let advice = "make room: old backups, replaced.* folders, logs; or give the volume more";
            match room.mark {
                store::Mark::Enough => Check::ok(NAME, words),
                store::Mark::Soft => Check::warn(NAME, words, advice),
                store::Mark::Hard => Check::fail(NAME, format!("{words}: submissions are refused"), advice),
            }
        }
    }
}

/// How old is the last backup?
pub(super) fn last_backup<A: Actor>(to: &Path) -> Check {
    const NAME: &str = "backup";
    match Manifest::read(to) {
        Err(error) => {
            Check::fail(NAME, causes(&error), format!("docshare-{} backup --to {}", A::NAME, to.display()))
        }
        Ok(manifest) if manifest.actor != A::NAME => {
            let words = format!("{} holds a backup of the {}", to.display(), manifest.actor);
            Check::fail(NAME, words, "name the directory of this actor's backups")
        }
        Ok(manifest) => {
            let age = Clock::wall(0).now() - manifest.begun;
            let words = format!(
                "{} hours old, up to commit {}, {} documents",
                age / (60 * 60 * 1_000_000),
                manifest.sequence,
                manifest.documents
            );
            if age > OLD {
                return Check::warn(
                    NAME,
                    words,
                    format!("docshare-{} backup --to {}", A::NAME, to.display()),
                );
            }
            Check::ok(NAME, words)
        }
    }
}
