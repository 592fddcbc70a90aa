//! The body of a submission as it streams: text, and files as base64, never held whole.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use crate::progress::Transfer;

/// Bytes of a file read at once: a multiple of three, so that pieces of base64 fit together.
const PIECE: usize = 3 * 64 * 1024;

/// One part of a body.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// As it is.
    Text(Bytes),
    /// The base64 of a file of this size.
    File(PathBuf, u64),
    /// A file of this size as it is.
    Raw(PathBuf, u64),
}

/// A body that can be sent again and again.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) parts: Vec<Part>,
    pub(crate) transfer: Transfer,
}

impl Upload {
    /// Bytes of the body.
    pub(crate) fn length(&self) -> u64 {
        self.parts.iter().map(Part::length).sum()
    }

    /// The body, from its beginning.
    pub(crate) fn stream(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
        let transfer = self.transfer;
        let state = State { parts: self.parts.into_iter(), file: None };
        stream::try_unfold((state, transfer), |(mut state, transfer)| async move {
            let piece = state.next().await?;
            Ok(piece.map(|piece| {
                transfer.passed(piece.len() as u64);
                (piece, (state, transfer))
            }))
        })
    }
}

impl Part {
    fn length(&self) -> u64 {
        match self {
            Part::Text(text) => text.len() as u64,
            Part::File(_, size) => size.div_ceil(3) * 4,
            Part::Raw(_, size) => *size,
        }
    }
}

struct State {
    parts: std::vec::IntoIter<Part>,
    /// The file being read, how much of it is still to come, and whether as base64.
    file: Option<(File, u64, bool)>,
}

impl State {
    async fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        loop {
            if let Some((file, left, base64)) = &mut self.file {
                if *left > 0 {
                    let mut raw = vec![0; PIECE.min(usize::try_from(*left).unwrap_or(PIECE))];
                    // A file that became shorter ends the request: its hash is already promised.
                    file.read_exact(&mut raw).await?;
                    *left -= raw.len() as u64;
                    return Ok(Some(if *base64 { STANDARD.encode(&raw).into() } else { raw.into() }));
                }
                self.file = None;
            }
            match self.parts.next() {
                None => return Ok(None),
                Some(Part::Text(text)) => return Ok(Some(text)),
                Some(Part::File(path, size)) => self.file = Some((File::open(path).await?, size, true)),
                Some(Part::Raw(path, size)) => self.file = Some((File::open(path).await?, size, false)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_file_of_any_length_is_one_run_of_base64_between_its_texts() {
        let directory = tempfile::tempdir().unwrap();
        for size in [0, 1, 2, 3, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 2] {
            let path = directory.path().join("f");
            let content: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            std::fs::write(&path, &content).unwrap();
            let global = crate::progress::tests_transfer();
            let parts =
                vec![Part::Text("a\"".into()), Part::File(path, size as u64), Part::Text("\"z".into())];
            let upload = Upload { parts, transfer: global };
            let length = upload.length();
            let body: Vec<Bytes> = upload.stream().try_collect().await.unwrap();
            let body = body.concat();
            assert_eq!(body.len() as u64, length);
            assert_eq!(STANDARD.decode(&body[2..body.len() - 2]).unwrap(), content);
        }
    }
}
