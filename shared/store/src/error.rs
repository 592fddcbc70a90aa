//! What can go wrong between a caller and storage.

use crate::record::{Kind, Version};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else was first: nothing of the batch was written.
    #[error("the commit lost a race: {0}")]
    Lost(Lost),
    /// No room: watermark, full disk, quota.
    #[error("no room to write: {0}")]
    NoRoom(String),
    /// The data directory cannot be written at present: it is gone, its volume can only be read, or the operating system
    /// refuses. Nothing was written.
    #[error("the data directory cannot be written: {0}")]
    Unwritable(String),
    /// A document is larger than the limit given when it was staged (bytes).
    #[error("the document is larger than {limit} bytes")]
    TooLarge {
        /// The limit that was passed.
        limit: u64,
    },
    /// Stored bytes do not have their check sum.
    #[error("stored bytes are damaged: {0}")]
    Damaged(String),
    /// The place of a cursor cannot be read.
    #[error("the cursor does not belong to this question")]
    BadCursor,
    /// No index narrows a question that has to be narrowed: more records than this would have to be looked at.
    #[error("more than {most} records would have to be looked at")]
    TooBroad {
        /// How many were allowed.
        most: usize,
    },
    /// The store has stopped after a failed sync and must be opened again.
    #[error("the store has stopped: {0}")]
    Stopped(String),
    /// The data directory cannot be used: locked, of a newer format, broken before its tail.
    #[error("the data directory cannot be used: {0}")]
    Unusable(String),
    /// The operating system refused, to read; one that refused to write what was given is told as `Unwritable`.
    #[error("{attempt}")]
    Io {
        /// What was attempted.
        attempt: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Which precondition did not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// A record is not at the version the put builds on.
    #[error("{kind:?} {id} is at version {current}, not {expected}")]
    Version {
        /// The sort of the record.
        kind: Kind,
        /// The record.
        id: String,
        /// The version the put expected.
        expected: Version,
        /// The version there is.
        current: Version,
    },
    /// A name is taken for another value.
    #[error("the name {name} is taken")]
    Claim {
        /// The name.
        name: String,
        /// What it stands for.
        holder: Vec<u8>,
    },
}

impl Error {
    /// The error of something that was to be written and certainly was not.
    pub(crate) fn unwritten(self) -> Error {
        match self {
            Error::Io { attempt, source } => Error::Unwritable(format!("{attempt}: {source}")),
            other => other,
        }
    }

    /// An error of the operating system, with what was attempted.
    pub(crate) fn io(attempt: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
        let attempt = attempt.into();
        move |source| {
            if source.kind() == std::io::ErrorKind::StorageFull
                || source.kind() == std::io::ErrorKind::QuotaExceeded
            {
                Error::NoRoom(format!("{attempt}: {source}"))
            } else if source.kind() == std::io::ErrorKind::ReadOnlyFilesystem {
                Error::Unwritable(format!("{attempt}: {source}"))
            } else {
                Error::Io { attempt, source }
            }
        }
    }
}
