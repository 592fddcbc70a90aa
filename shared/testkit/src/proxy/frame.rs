//! Where a message of HTTP/1.1 ends.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A request or an answer, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    bytes: Vec<u8>,
    head: usize,
}

impl Message {
    /// The bytes of the head, with the empty line.
    pub(crate) fn head(&self) -> &[u8] {
        &self.bytes[..self.head]
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The status of an answer; 0: this is none.
    pub(crate) fn status(&self) -> u16 {
        let text = self.bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
        text.and_then(|digits| digits.parse().ok()).unwrap_or_default()
    }
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(usize),
    Chunks,
    UntilClosed,
}

/// The head of the next request, its bytes left in `buffer`; none if the connection ended before it.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(head) = head_end(buffer) {
            return Ok(Some(buffer[..head].to_vec()));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// The next request. What came behind it stays in `buffer`.
pub(crate) async fn read_request<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
) -> io::Result<Message> {
    let head = read_head(stream, buffer).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    // A request without a length has no body.
    let body = match body_of(&head) {
        Body::UntilClosed => Body::Length(0),
        other => other,
    };
    complete(stream, buffer, head.len(), body).await
}

/// The answer to a request. What came behind it stays in `buffer`.
pub(crate) async fn read_answer<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    request: &[u8],
) -> io::Result<Message> {
    let head = read_head(stream, buffer).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let bare = Message { bytes: head.clone(), head: head.len() };
    let body = match bare.status() {
        _ if request.starts_with(b"HEAD ") => Body::Length(0),
        100..=199 | 204 | 304 => Body::Length(0),
        _ => body_of(&head),
    };
    complete(stream, buffer, head.len(), body).await
}

async fn complete<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    head: usize,
    body: Body,
) -> io::Result<Message> {
    let end = loop {
        let end = match body {
            Body::Length(length) => Some(head + length).filter(|end| *end <= buffer.len()),
            Body::Chunks => chunks_end(&buffer[head..]).map(|length| head + length),
            Body::UntilClosed => None,
        };
        if let Some(end) = end {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            if body == Body::UntilClosed {
                break buffer.len();
            }
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let rest = buffer.split_off(end);
    Ok(Message { bytes: std::mem::replace(buffer, rest), head })
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn body_of(head: &[u8]) -> Body {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(|value| value.trim().to_owned())
    };
    if value("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
        return Body::Chunks;
    }
    value("content-length").and_then(|length| length.parse().ok()).map_or(Body::UntilClosed, Body::Length)
}

/// How many bytes the chunks take, if all of them are there. Trailers are not expected.
fn chunks_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = bytes.get(at..)?.windows(2).position(|window| window == b"\r\n")?;
        let digits = std::str::from_utf8(&bytes[at..at + line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(digits, 16).ok()?;
        at += line + 2 + size + 2;
        if size == 0 {
            return (at <= bytes.len()).then_some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn requests(bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut stream, mut buffer, mut found) = (bytes, Vec::new(), Vec::new());
        while let Ok(message) = read_request(&mut stream, &mut buffer).await {
            found.push(message.bytes().to_vec());
        }
        found
    }

    #[tokio::test]
    async fn requests_end_where_their_length_says() {
        let one = b"POST /fhir HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello".to_vec();
        let two = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
        assert_eq!(requests(&[one.clone(), two.clone()].concat()).await, [one, two]);
    }

    #[tokio::test]
    async fn chunks_end_with_an_empty_one() {
        let chunked =
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec();
        let next = b"GET / HTTP/1.1\r\n\r\n".to_vec();
        assert_eq!(requests(&[chunked.clone(), next.clone()].concat()).await, [chunked, next]);
    }

    #[tokio::test]
    async fn an_answer_without_a_length_ends_with_its_connection() {
        let mut stream: &[u8] = b"HTTP/1.1 200 OK\r\n\r\nall the rest";
        let answer =
            read_answer(&mut stream, &mut Vec::new(), b"GET / HTTP/1.1\r\n\r\n").await.expect("an answer");
        assert_eq!((answer.status(), answer.bytes().len()), (200, 31));
        let mut stream: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
        let answer = read_answer(&mut stream, &mut Vec::new(), b"HEAD / HTTP/1.1\r\n\r\n").await;
        assert!(answer.is_ok(), "an answer to HEAD has no body");
    }

    #[tokio::test]
    async fn half_a_body_is_no_answer() {
        let mut stream: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
        assert!(read_answer(&mut stream, &mut Vec::new(), b"GET / HTTP/1.1\r\n\r\n").await.is_err());
    }
}
