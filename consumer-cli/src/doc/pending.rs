//! A submission under way: everything needed to send the very same again, kept until its outcome is known (reliability 4:
//! the source keeps the submission's id before the first send, and sends again under the same id).

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::upload::{Part, Upload};
use crate::config;
use crate::exit::{self, Failure};
use crate::progress::Transfer;

/// One document of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attached {
    /// What it is called to the user.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) sha1: String,
    pub(crate) unique_id: String,
}

/// A submission ready to be sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// SubmissionSet.uniqueId.
    pub(crate) submission_id: String,
    /// Where it goes.
    pub(crate) url: String,
    /// The Bundle around the documents' bytes: one more than documents.
    pub(crate) texts: Vec<String>,
    pub(crate) documents: Vec<Attached>,
    /// Content type of the package, where it goes over SOAP; the documents stand in it as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) package: Option<String>,
}

impl Pending {
    pub(crate) fn upload(&self, transfer: Transfer) -> Upload {
        let mut parts = Vec::new();
        for (number, text) in self.texts.iter().enumerate() {
            parts.push(Part::Text(text.clone().into()));
            if let Some(document) = self.documents.get(number) {
                let (path, size) = (document.path.clone(), document.size);
                parts.push(if self.package.is_some() {
                    Part::Raw(path, size)
                } else {
                    Part::File(path, size)
                });
            }
        }
        Upload { parts, transfer }
    }

    /// Keeps it, synced, readable by the user only.
    pub(crate) fn keep(&self) -> Result<(), Failure> {
        let path = path(&self.submission_id)?;
        let folder = path.parent().unwrap_or(&path).to_path_buf();
        let write = || -> std::io::Result<()> {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            let text = serde_json::to_vec(self).map_err(std::io::Error::other)?;
            let temporary = path.with_extension("new");
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)?;
            std::fs::File::open(&folder)?.sync_all()
        };
        write().map_err(|error| exit::file("keeping the submission in", &path, &error))
    }

    /// Forgets it: its outcome is known.
    pub(crate) fn forget(&self) {
        if let Ok(path) = path(&self.submission_id) {
            // A file that stays is harmless: sending it again is answered as the first time.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A submission whose outcome is not known.
pub(crate) fn find(submission_id: &str) -> Result<Pending, Failure> {
    let path = path(submission_id)?;
    let text = std::fs::read(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::usage(format!("no submission {submission_id} is waiting to be sent again"))
        }
        _ => exit::file("reading", &path, &error),
    })?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::other(format!("{} is damaged: {error}", path.display())))
}

/// All of them, as far as they can be read.
pub(crate) fn all() -> Result<Vec<Pending>, Failure> {
    let folder = folder()?;
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(exit::file("reading", &folder, &error)),
    };
    let paths = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"));
    Ok(paths.filter_map(|path| serde_json::from_slice(&std::fs::read(path).ok()?).ok()).collect())
}

fn folder() -> Result<PathBuf, Failure> {
    Ok(config::state_directory()?.join("pending"))
}

fn path(submission_id: &str) -> Result<PathBuf, Failure> {
    let name = submission_id.strip_prefix("urn:oid:").unwrap_or(submission_id);
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(Failure::usage(format!(
            "the id of a submission is an OID, urn:oid:…; this is {submission_id:?}"
        )));
    }
    Ok(folder()?.join(format!("{name}.json")))
}
