//! The body of a request on the server: decoded, counted and timed while it is read.

use std::rc::Rc;
use std::time::Duration;

use actix_http::Payload;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use crate::coding::{Coding, Decoder};
use crate::error::Error;
use crate::guard::Connection;
use crate::limits::Limits;
use crate::request::BodySource;

/// A body must keep the minimum rate only after this time.
const GRACE: Duration = Duration::from_secs(10);

/// A body on its way in.
pub(crate) struct Incoming {
    payload: Payload,
    connection: Rc<Connection>,
    limits: Rc<Limits>,
    declared: Option<u64>,
    decoder: Option<Decoder>,
    /// Set when the content coding is one we do not take: told when the body is asked for.
    unknown: Option<String>,
    received: u64,
    decoded: u64,
    waited: Duration,
    done: bool,
}

impl Incoming {
    pub(crate) fn new(
        payload: Payload,
        connection: Rc<Connection>,
        limits: Rc<Limits>,
        length: Option<u64>,
        coding: Result<Option<Coding>, String>,
    ) -> Incoming {
        let (decoder, unknown) = match coding {
            Ok(coding) => (coding.map(Decoder::new), None),
            Err(name) => (None, Some(name)),
        };
        let declared = length.filter(|_| decoder.is_none());
        Incoming {
            payload,
            connection,
            limits,
            declared,
            decoder,
            unknown,
            received: 0,
            decoded: 0,
            waited: Duration::ZERO,
            done: false,
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Error> {
        let started = Instant::now();
        let stall = Duration::from_secs(self.limits.body_stall_seconds);
        let next = match futures_util::poll!(self.payload.next()) {
            std::task::Poll::Ready(next) => next,
            std::task::Poll::Pending => {
                tokio::time::timeout(stall, self.payload.next()).await.map_err(|_| Error::Slow)?
            }
        };
        self.waited += started.elapsed();
        match next {
            Some(Ok(bytes)) => {
                self.received += bytes.len() as u64;
                self.keep_rate()?;
                Ok(Some(bytes))
            }
            Some(Err(_)) => Err(Error::Gone),
            None if self.connection.broken() => {
                Err(Error::Broken("its chunked coding does not hold".to_owned()))
            }
            None => Ok(None),
        }
    }

    fn keep_rate(&self) -> Result<(), Error> {
        let seconds = self.waited.as_secs();
        let enough = self.waited < GRACE || self.received / seconds.max(1) >= self.limits.min_body_rate;
        if enough { Ok(()) } else { Err(Error::Slow) }
    }

    fn keep_ratio(&self) -> Result<(), Error> {
        // Small bodies may grow by any factor: the limits of size hold for them anyway.
        let limit = self.received.saturating_mul(self.limits.max_compression_ratio).max(64 << 10);
        if self.decoded > limit {
            return Err(Error::TooLarge { limit, key: "server.limits.max_compression_ratio" });
        }
        Ok(())
    }

    async fn decode(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(name) = &self.unknown {
            return Err(Error::Coding(format!("{name}; accepted are gzip, br, zstd and identity")));
        }
        loop {
            let Some(decoder) = &mut self.decoder else { return self.receive().await };
            if let Some(bytes) = decoder.next().map_err(broken)? {
                self.decoded += bytes.len() as u64;
                self.keep_ratio()?;
                return Ok(Some(bytes));
            }
            if self.done {
                return Ok(None);
            }
            let more = self.receive().await?;
            let Some(decoder) = &mut self.decoder else { return Ok(None) };
            match more {
                Some(bytes) => decoder.feed(bytes),
                None => {
                    self.done = true;
                    decoder.finish().map_err(broken)?;
                }
            }
        }
    }
}

fn broken(why: String) -> Error {
    Error::Broken(format!("its content coding does not hold, {why}"))
}

impl BodySource for Incoming {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<Result<Bytes, Error>>> {
        Box::pin(async move { self.decode().await.transpose() })
    }

    fn declared(&self) -> Option<u64> {
        self.declared
    }
}
