//! The index in `redb`.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use redb::{
    Database, DatabaseError, Durability, ReadOnlyTable, ReadableDatabase, StorageError, TableDefinition,
    TableError,
};

use crate::error::Error;
use crate::index::overlay::{Run, Visit};
use crate::index::view::Base;
use crate::journal::index::Library;

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("index");

pub(crate) struct Redb {
    database: Database,
}

impl Redb {
    pub(crate) fn open(directory: &Path, cache_bytes: u64) -> Result<Redb, Error> {
        let cache = usize::try_from(cache_bytes).unwrap_or(usize::MAX);
        let opened = Database::builder().set_cache_size(cache).create(directory.join("index.redb"));
        let database = opened.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => {
                Error::Unusable("the index is open in another process".into())
            }
            DatabaseError::Storage(StorageError::Io(source))
                if source.kind() != std::io::ErrorKind::InvalidData =>
            {
                Error::io("opening the index")(source)
            }
            other => Error::Damaged(other.to_string()),
        })?;
        let redb = Redb { database };
        redb.restrict(directory)?;
        if !redb.has_its_table()? {
            // Only then: on a full volume nothing can be written, and what is there can be read all the same.
            redb.write(&Run::default())?;
        }
        Ok(redb)
    }

    fn restrict(&self, directory: &Path) -> Result<(), Error> {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(directory.join("index.redb"), mode)
            .map_err(Error::io("restricting the index"))
    }

    fn has_its_table(&self) -> Result<bool, Error> {
        let transaction = self.database.begin_read().map_err(failed)?;
        match transaction.open_table(TABLE) {
            Ok(_) => Ok(true),
            Err(TableError::TableDoesNotExist(_)) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    fn write(&self, run: &Run) -> Result<(), Error> {
        let mut transaction = self.database.begin_write().map_err(failed)?;
        transaction.set_durability(Durability::Immediate).map_err(failed)?;
        transaction.set_quick_repair(true);
        {
            let mut table = transaction.open_table(TABLE).map_err(failed)?;
            for (key, value) in run.entries() {
                match value {
                    Some(value) => table.insert(key.as_ref(), value.as_ref()).map_err(failed)?,
                    None => table.remove(key.as_ref()).map_err(failed)?,
                };
            }
        }
        transaction.commit().map_err(failed)
    }
}

impl Library for Redb {
    fn base(&self) -> Result<Arc<dyn Base>, Error> {
        let transaction = self.database.begin_read().map_err(failed)?;
        Ok(Arc::new(Snapshot { table: transaction.open_table(TABLE).map_err(failed)? }))
    }
    fn write(&mut self, run: &Run) -> Result<(), Error> {
        Redb::write(self, run)
    }
    fn shows_writes_at_once(&self) -> bool {
        false
    }
    fn close(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

/// The index as of one checkpoint.
struct Snapshot {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Base for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.table.get(key).map_err(failed)?.map(|value| Bytes::copy_from_slice(value.value())))
    }
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<ControlFlow<()>, Error> {
        if from >= to {
            return Ok(ControlFlow::Continue(()));
        }
        for entry in self.table.range::<&[u8]>(from..to).map_err(failed)? {
            let (key, value) = entry.map_err(failed)?;
            if visit(key.value(), value.value())?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn failed(error: impl Into<redb::Error>) -> Error {
    match error.into() {
        redb::Error::Io(source) => Error::io("using the index")(source),
        other => Error::Damaged(format!("the index: {other}")),
    }
}
