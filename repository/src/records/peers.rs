//! Which lives this repository has reconciled itself with: the registry's, and its own.

use store::{Batch, Error, Kind, Put};

use super::Records;

/// Lives, by whose they are.
const LIFE: Kind = Kind("reconciled-life");

/// Whose life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The registry's.
    Registry,
    /// Our own: another one than the last time means that this data directory was restored from a backup.
    Own,
    /// The registry's whose changes are followed, and up to which commit.
    Followed,
}

impl Whose {
    fn id(self) -> &'static str {
        match self {
            Whose::Registry => "registry",
            Whose::Own => "own",
            Whose::Followed => "followed",
        }
    }
}

impl Records {
    /// The life that was reconciled with last.
    pub(crate) fn life(&self, whose: Whose) -> Result<Option<String>, Error> {
        let row = self.store.get(LIFE, whose.id())?;
        Ok(row.map(|row| String::from_utf8_lossy(&row.body).into_owned()))
    }

    /// From now on this life is the reconciled one.
    pub(crate) async fn reconciled(&self, whose: Whose, life: &str) -> Result<(), Error> {
        let version = self.store.get(LIFE, whose.id())?.map_or(0, |row| row.version);
        let put = Put {
            kind: LIFE,
            id: whose.id().to_owned(),
            version: version + 1,
            partition: String::new(),
            order: 0,
            facts: Vec::new(),
            edges: Vec::new(),
            body: life.to_owned().into(),
            rendering: bytes::Bytes::new(),
            deleted: false,
        };
        let batch = Batch { instant: self.now(), puts: vec![put], ..Batch::default() };
        self.store.apply(batch).await.map(|_| ())
    }
}
