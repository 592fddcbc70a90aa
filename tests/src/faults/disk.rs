//! A disk of its own for an actor: an ext4 image on a loop device, which can be filled, and whose power can be cut.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::compile::run;

/// How large it says it is. The image is sparse: what is not used takes no room.
const SIZE: u64 = 8 << 30;
/// Inodes: enough for the run, few enough to be used up in a moment.
const INODES: &str = "24576";

/// A mounted image. Unmounted when it is dropped.
#[derive(Debug)]
pub(super) struct Disk {
    image: PathBuf,
    mount: PathBuf,
    /// Whether it is to be full.
    filled: AtomicBool,
}

impl Disk {
    /// Makes an image and mounts it; fails where this is not allowed.
    pub(super) fn create(folder: &Path, name: &str) -> Result<Disk> {
        let disk = Disk {
            image: folder.join(format!("{name}.ext4")),
            mount: folder.join(name),
            filled: AtomicBool::new(false),
        };
        let file = File::create(&disk.image).context("making an image")?;
        file.set_len(SIZE).context("sizing an image")?;
        let lazy = "lazy_itable_init=1,lazy_journal_init=1,nodiscard";
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-m", "0", "-N", INODES, "-E", lazy])
            .arg(&disk.image))?;
        fs::create_dir_all(&disk.mount).context("making a mount point")?;
        disk.mount()?;
        Ok(disk)
    }

    pub(super) fn path(&self) -> &Path {
        &self.mount
    }

    /// The power goes: what was written and not synced is lost. Until [`Disk::restore`] every call fails.
    pub(super) fn cut(&self, program: &Path) -> Result<()> {
        run(Command::new(program).arg(&self.mount)).context("cutting the power")
    }

    /// The power is back. Nobody may use the disk at this moment.
    pub(super) fn restore(&self) -> Result<()> {
        self.unmount()?;
        self.mount()?;
        // That the ballast was removed may not have reached the disk: it must not fill it again.
        if self.filled.load(Ordering::SeqCst) { Ok(()) } else { self.free() }
    }

    /// Takes all room there is, or all inodes.
    pub(super) fn fill(&self, what: Filling) -> Result<()> {
        self.filled.store(true, Ordering::SeqCst);
        match what {
            Filling::Bytes => self.fill_bytes(),
            Filling::Inodes => self.fill_inodes(),
        }
    }

    /// Gives the room back.
    pub(super) fn free(&self) -> Result<()> {
        self.filled.store(false, Ordering::SeqCst);
        let ballast = self.ballast();
        if ballast.exists() { fs::remove_dir_all(ballast).context("removing the ballast") } else { Ok(()) }
    }

    /// The file system finds itself damaged and turns read-only, until [`Disk::restore`].
    pub(super) fn abort(&self) -> Result<()> {
        run(Command::new("mount").args(["-o", "remount,abort"]).arg(&self.mount))
            .context("aborting a file system")
    }

    fn ballast(&self) -> PathBuf {
        self.mount.join("ballast")
    }

    fn fill_bytes(&self) -> Result<()> {
        fs::create_dir_all(self.ballast()).context("making room for the ballast")?;
        let mut step = SIZE;
        for number in 0.. {
            let path = self.ballast().join(number.to_string());
            // A file gets its room whole or not at all: ever smaller ones fill the gaps.
            while step >= 4096 {
                let size = step.to_string();
                let took = Command::new("fallocate")
                    .args(["-l", &size])
                    .arg(&path)
                    .output()
                    .context("running fallocate")?;
                if took.status.success() {
                    break;
                }
                let _ = fs::remove_file(&path);
                step /= 2;
            }
            if step < 4096 {
                break;
            }
        }
        Ok(())
    }

    fn fill_inodes(&self) -> Result<()> {
        fs::create_dir_all(self.ballast()).context("making room for the ballast")?;
        for number in 0..1_000_000 {
            if File::create(self.ballast().join(number.to_string())).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn mount(&self) -> Result<()> {
        run(Command::new("mount").args(["-o", "loop,noinit_itable"]).arg(&self.image).arg(&self.mount))
            .context("mounting an image")
    }

    fn unmount(&self) -> Result<()> {
        let mut last = Ok(());
        for _ in 0..50 {
            last = run(Command::new("umount").arg(&self.mount));
            if last.is_ok() {
                return Ok(());
            }
            // A killed process may still hold it for a moment.
            std::thread::sleep(Duration::from_millis(20));
        }
        last.context("unmounting an image")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.unmount().is_err() {
            let _ = run(Command::new("umount").arg("-l").arg(&self.mount));
        }
    }
}

/// What a disk can run out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filling {
    Bytes,
    Inodes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_was_emptied_is_not_full_again_after_a_power_cut() {
        let folder = tempfile::tempdir().unwrap();
        let power = crate::faults::compile::power(folder.path());
        let (Ok(power), Ok(disk)) = (power, Disk::create(folder.path(), "disk")) else {
            eprintln!("1 case skipped: this machine has no disks whose power can be cut");
            return;
        };
        disk.fill(Filling::Inodes).unwrap();
        run(Command::new("sync").arg("-f").arg(disk.path())).unwrap();
        disk.free().unwrap();
        disk.cut(&power).unwrap();
        disk.restore().unwrap();
        File::create(disk.path().join("one more")).unwrap();
    }

    #[test]
    fn a_full_disk_is_full_after_a_power_cut() {
        let folder = tempfile::tempdir().unwrap();
        let power = crate::faults::compile::power(folder.path());
        let (Ok(power), Ok(disk)) = (power, Disk::create(folder.path(), "disk")) else {
            eprintln!("1 case skipped: this machine has no disks whose power can be cut");
            return;
        };
        disk.fill(Filling::Inodes).unwrap();
        run(Command::new("sync").arg("-f").arg(disk.path())).unwrap();
        disk.cut(&power).unwrap();
        disk.restore().unwrap();
        File::create(disk.path().join("one more")).unwrap_err();
    }
}
