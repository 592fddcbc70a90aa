//! The guard before actix's parser: a stream that reads each request's head itself, strictly, and lets through only a
//! plain one of ours with the same framing. The understood head goes to the handler beside the stream. So there is no second
//! opinion about where a request ends, what its host is, or which of two lengths counts; and the refusals, the time a head
//! may take and the time a caller may take nothing of an answer are ours to decide.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::chunks::{Chunks, Step};
use crate::connections::Slot;
use crate::head::{Framing, Head, Scanner, parse};
use crate::limits::Limits;
use crate::refusal::Refusal;

/// How long, and how many bytes, a closing connection is read on, so that the caller sees the answer and not a reset.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 64 << 20;
const READ: usize = 8 << 10;

/// What the guard and the handlers of one connection share.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    head: RefCell<Option<Result<Head, Refusal>>>,
    /// From a head until its answer is written: only then the next head is let through, because actix's encoder takes the last
    /// request it has seen for the one that is being answered.
    busy: Cell<bool>,
    broken: Cell<bool>,
    closing: Cell<bool>,
    in_body: Cell<bool>,
    /// Whether a further request waits for the answer under way.
    blocked: Cell<bool>,
    reader: RefCell<Option<Waker>>,
}

impl Connection {
    /// The head of the request actix has just announced.
    pub(crate) fn head(&self) -> Option<Result<Head, Refusal>> {
        self.head.borrow_mut().take()
    }

    fn announce(&self, head: Result<Head, Refusal>) {
        *self.head.borrow_mut() = Some(head);
        self.busy.set(true);
    }

    /// The answer is written.
    pub(crate) fn answered(&self) {
        self.busy.set(false);
        if self.blocked.replace(false) {
            self.wake();
        }
    }

    /// Whether the chunked coding of the current body is broken.
    pub(crate) fn broken(&self) -> bool {
        self.broken.get()
    }

    /// Whether a body is still on its way in.
    pub(crate) fn in_body(&self) -> bool {
        self.in_body.get()
    }

    /// Nothing more is read from this connection: the answer under way is its last.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.reader.borrow_mut().take() {
            waker.wake();
        }
    }
}

enum State {
    Head,
    Length(u64),
    Chunked(Chunks),
    Refused,
}

/// A connection behind its guard.
pub(crate) struct Guard<T> {
    io: T,
    connection: Rc<Connection>,
    limits: Rc<Limits>,
    state: State,
    /// Read from the caller, not yet understood.
    incoming: BytesMut,
    scanner: Scanner,
    /// Understood, not yet taken by the parser.
    outgoing: Vec<u8>,
    head_timer: Option<Pin<Box<Sleep>>>,
    first: bool,
    write_timer: Option<Pin<Box<Sleep>>>,
    linger: Option<(Pin<Box<Sleep>>, usize)>,
    _slot: Slot,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Guard<T> {
    pub(crate) fn new(io: T, limits: Rc<Limits>, slot: Slot) -> Guard<T> {
        Guard {
            io,
            connection: Rc::new(Connection::default()),
            limits,
            state: State::Head,
            incoming: BytesMut::new(),
            scanner: Scanner::default(),
            outgoing: Vec::new(),
            head_timer: None,
            first: true,
            write_timer: None,
            linger: None,
            _slot: slot,
        }
    }

    pub(crate) fn connection(&self) -> Rc<Connection> {
        Rc::clone(&self.connection)
    }

    /// Goes as far as the bytes at hand allow. True: something was written to `buf`, or more must be read.
    fn advance(&mut self, buf: &mut ReadBuf<'_>) -> Need {
        loop {
            if !self.outgoing.is_empty() {
                let n = self.outgoing.len().min(buf.remaining());
                buf.put_slice(&self.outgoing[..n]);
                self.outgoing.drain(..n);
                if buf.remaining() == 0 {
                    return Need::Room;
                }
            }
            match &mut self.state {
                State::Refused => return Need::Nothing,
                State::Head => match self.head() {
                    Need::Room => {}
                    other => return other,
                },
                State::Length(left) => {
                    if self.incoming.is_empty() {
                        return Need::Body(*left);
                    }
                    let n = pass(&mut self.incoming, buf, *left);
                    *left -= n;
                    if *left == 0 {
                        self.state = State::Head;
                        self.connection.in_body.set(false);
                    } else if buf.remaining() == 0 {
                        return Need::Room;
                    }
                }
                State::Chunked(chunks) => match chunks.step(&self.incoming) {
                    Step::More => return Need::Bytes,
                    Step::Content(left) => {
                        if self.incoming.is_empty() {
                            return Need::Bytes;
                        }
                        let n = pass(&mut self.incoming, buf, left);
                        chunks.passed(n);
                        if buf.remaining() == 0 {
                            return Need::Room;
                        }
                    }
                    Step::Replace(skip, text) => {
                        self.incoming.advance(skip);
                        self.outgoing.extend_from_slice(text.as_bytes());
                    }
                    Step::End(skip, text) => {
                        self.incoming.advance(skip);
                        self.outgoing.extend_from_slice(text.as_bytes());
                        self.state = State::Head;
                        self.connection.in_body.set(false);
                    }
                    Step::Broken(text) => {
                        self.outgoing.extend_from_slice(text.as_bytes());
                        self.state = State::Refused;
                        self.connection.broken.set(true);
                    }
                },
            }
        }
    }

    /// Understands one head. `Need::Room` means that there is something to pass on.
    fn head(&mut self) -> Need {
        // An empty line before a request is a habit of some old clients (RFC 9112 section 2.2).
        if self.scanner.is_new() && self.incoming.starts_with(b"\r\n") {
            self.incoming.advance(2);
        }
        if self.incoming.is_empty() {
            return Need::Bytes;
        }
        if self.connection.busy.get() {
            self.connection.blocked.set(true);
            return Need::Nothing;
        }
        let head = match self.scanner.scan(&self.incoming, &self.limits) {
            Ok(None) => return Need::Bytes,
            Ok(Some(length)) => parse(&self.incoming.split_to(length).freeze(), &self.limits),
            Err(refusal) => Err(refusal),
        };
        self.scanner = Scanner::default();
        self.head_timer = None;
        self.first = false;
        match head {
            Ok(head) => {
                self.state = match head.framing {
                    Framing::None => State::Head,
                    Framing::Length(length) => State::Length(length),
                    Framing::Chunked => State::Chunked(Chunks::Size),
                };
                self.connection.in_body.set(head.framing != Framing::None);
                announce(&head, &mut self.outgoing);
                self.connection.announce(Ok(head));
            }
            Err(refusal) => self.refuse(refusal),
        }
        Need::Room
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.connection.announce(Err(refusal));
        self.outgoing.extend_from_slice(b"GET / HTTP/1.1\r\nhost: -\r\nconnection: close\r\n\r\n");
        self.state = State::Refused;
        self.head_timer = None;
    }

    /// Waits for bytes; watches the time a head may take. True: the state has changed, look again.
    fn late(&mut self, cx: &mut Context<'_>) -> Late {
        if !matches!(self.state, State::Head) || (self.incoming.is_empty() && !self.first) {
            return Late::No;
        }
        let allowed = Duration::from_secs(self.limits.header_timeout_seconds);
        let timer = self.head_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(allowed)));
        match timer.as_mut().poll(cx) {
            Poll::Pending => Late::No,
            // Nothing was asked, so nothing is answered.
            Poll::Ready(()) if self.incoming.is_empty() => Late::Silent,
            Poll::Ready(()) => Late::Slow,
        }
    }
}

enum Late {
    No,
    Silent,
    Slow,
}

#[derive(Debug)]
enum Need {
    /// The parser must take what there is first.
    Room,
    /// More bytes of the caller, to be understood.
    Bytes,
    /// So many bytes of a body, which need no understanding.
    Body(u64),
    /// Nothing: wait until woken.
    Nothing,
}

fn pass(incoming: &mut BytesMut, buf: &mut ReadBuf<'_>, left: u64) -> u64 {
    let n = usize::try_from(left).unwrap_or(usize::MAX).min(incoming.len()).min(buf.remaining());
    buf.put_slice(&incoming[..n]);
    incoming.advance(n);
    n as u64
}

/// The plain head that stands for the understood one before actix's parser.
fn announce(head: &Head, out: &mut Vec<u8>) {
    let method = match (&head.method, head.framing) {
        (&http::Method::HEAD, _) => "HEAD",
        (_, Framing::None) => "GET",
        _ => "POST",
    };
    let version = if head.current { "1" } else { "0" };
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b" / HTTP/1.");
    out.extend_from_slice(version.as_bytes());
    // The parser insists on a host; the one the caller named is in the understood head.
    out.extend_from_slice(b"\r\nhost: -");
    match head.framing {
        Framing::None => {}
        Framing::Length(length) => out.extend_from_slice(format!("\r\ncontent-length: {length}").as_bytes()),
        Framing::Chunked => out.extend_from_slice(b"\r\ntransfer-encoding: chunked"),
    }
    if !head.keep {
        out.extend_from_slice(b"\r\nconnection: close");
    } else if !head.current {
        out.extend_from_slice(b"\r\nconnection: keep-alive");
    }
    if head.continues {
        out.extend_from_slice(b"\r\nexpect: 100-continue");
    }
    out.extend_from_slice(b"\r\n\r\n");
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        loop {
            if this.connection.closing.get() {
                return Poll::Ready(Ok(()));
            }
            let need = this.advance(buf);
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            let read = match need {
                Need::Room | Need::Nothing => {
                    *this.connection.reader.borrow_mut() = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Need::Body(left) => {
                    let room = usize::try_from(left).unwrap_or(usize::MAX).min(buf.remaining());
                    let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
                    let poll = Pin::new(&mut this.io).poll_read(cx, &mut part);
                    let n = part.filled().len();
                    match poll {
                        Poll::Pending => None,
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Ready(Ok(())) => {
                            buf.advance(n);
                            let left = left - n as u64;
                            this.state = if left == 0 { State::Head } else { State::Length(left) };
                            this.connection.in_body.set(left > 0);
                            return Poll::Ready(Ok(()));
                        }
                    }
                }
                Need::Bytes => {
                    if this.incoming.capacity() - this.incoming.len() < READ / 8 {
                        this.incoming.reserve(READ);
                    }
                    match tokio_util::io::poll_read_buf(Pin::new(&mut this.io), cx, &mut this.incoming) {
                        Poll::Pending => None,
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Ready(Ok(n)) => Some(n),
                    }
                }
            };
            match read {
                Some(0) => return Poll::Ready(Ok(())),
                Some(_) => {}
                None => match this.late(cx) {
                    Late::No => {
                        *this.connection.reader.borrow_mut() = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                    Late::Silent => return Poll::Ready(Ok(())),
                    Late::Slow => this.refuse(Refusal::TooSlow),
                },
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Guard<T> {
    fn written<R>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.write_timer = None;
            return result;
        }
        let allowed = Duration::from_secs(self.limits.write_stall_seconds);
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(allowed)));
        match timer.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the caller takes nothing of the answer (server.limits.write_stall)",
            ))),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.written(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Says that nothing more comes; after a refusal reads on for a moment, because a connection that is closed with bytes
    /// unread is reset, and the reset may overtake the answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            std::task::ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            if !matches!(this.state, State::Refused) && !this.connection.closing.get() {
                return Poll::Ready(Ok(()));
            }
            this.linger = Some((Box::pin(tokio::time::sleep(LINGER)), 0));
        }
        let Some((timer, read)) = &mut this.linger else { return Poll::Ready(Ok(())) };
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        loop {
            this.incoming.clear();
            this.incoming.reserve(READ);
            match tokio_util::io::poll_read_buf(Pin::new(&mut this.io), cx, &mut this.incoming) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(n)) => *read += n,
            }
            if *read > LINGER_BYTES {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
