//! Small files that are there wholly or not at all: written aside, synced, and named last.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Puts a file in the place of the one before, readable by its owner only.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let aside = aside(path);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let named = written.and_then(|()| std::fs::rename(&aside, path));
    if named.is_err() {
        // What it took of a disk that is nearly full is given back.
        let _ = std::fs::remove_file(&aside);
    }
    named?;
    sync_above(path)
}

/// Syncs the name of a file or directory.
pub(crate) fn sync_above(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(above) if above.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(above) => File::open(above)?.sync_all(),
        None => Ok(()),
    }
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, ToOwned::to_owned);
    name.push(".new");
    path.with_file_name(name)
}
