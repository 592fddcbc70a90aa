//! What waits for the committer. Bounded: a caller beyond the bound waits for room.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::batch::Applied;
use crate::commit::Prepared;
use crate::error::Error;
use crate::record::Instant;

/// So many callers may wait at once.
const ROOM: usize = 1024;

/// One thing to be written.
pub(crate) enum Request {
    Commit { prepared: Prepared, answer: oneshot::Sender<Result<Applied, Error>> },
    Note { instant: Instant, audit: Vec<Bytes>, answer: oneshot::Sender<Result<(), Error>> },
}

struct Waiting {
    request: Request,
    _room: OwnedSemaphorePermit,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    closed: bool,
}

/// The queue between callers and the committer.
pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    room: std::sync::Arc<Semaphore>,
}

/// What the committer got.
pub(crate) enum Work {
    Requests(Vec<Request>),
    /// Nothing came within the time.
    Nothing,
    /// Nothing will come any more.
    End,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            state: Mutex::default(),
            arrived: Condvar::new(),
            room: std::sync::Arc::new(Semaphore::new(ROOM)),
        }
    }
}

impl Queue {
    /// Adds a request, waiting for room.
    pub(crate) async fn push(&self, request: Request) -> Result<(), Error> {
        let closed = || Error::Stopped("it was closed".into());
        let room = self.room.clone().acquire_owned().await.map_err(|_| closed())?;
        let mut state = self.state.lock();
        if state.closed {
            return Err(closed());
        }
        state.waiting.push_back(Waiting { request, _room: room });
        if state.waiting.len() == 1 {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Everything that waits, after at most this time if nothing does.
    pub(crate) fn take(&self, within: Option<Duration>) -> Work {
        let mut state = self.state.lock();
        while state.waiting.is_empty() && !state.closed {
            match within {
                None => self.arrived.wait(&mut state),
                Some(time) => {
                    if self.arrived.wait_for(&mut state, time).timed_out() {
                        break;
                    }
                }
            }
        }
        if state.waiting.is_empty() {
            return if state.closed { Work::End } else { Work::Nothing };
        }
        Work::Requests(state.waiting.drain(..).map(|waiting| waiting.request).collect())
    }

    /// Whether nothing more is let in.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Lets nothing more in and lets go what waits: it will never be answered.
    pub(crate) fn abandon(&self) {
        self.close();
        self.state.lock().waiting.clear();
    }

    /// Lets nothing more in.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.room.close();
        self.arrived.notify_all();
    }
}
