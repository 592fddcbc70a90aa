//! The head of a request, read strictly. What HTTP leaves open to interpretation is refused here, so that no two parsers
//! on the way can understand it differently (RFC 9112 sections 2.2, 3.2, 5, 6, 11.2).

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::limits::Limits;
use crate::refusal::Refusal;

/// A request's head, understood in the only way it can be.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    /// Path with its percent-encoding, beginning with `/` (or `*`).
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// False for HTTP/1.0.
    pub(crate) current: bool,
    /// Whether the connection may be used again.
    pub(crate) keep: bool,
    pub(crate) continues: bool,
}

/// How the end of the body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// Looks for the end of a head in bytes that come piece by piece, and refuses early what cannot become one.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    at: usize,
    line: usize,
    lines: u64,
    first_line_end: usize,
}

impl Scanner {
    /// True while nothing has been looked at.
    pub(crate) fn is_new(&self) -> bool {
        self.at == 0
    }

    /// The length of the head with its empty line, if it is complete.
    pub(crate) fn scan(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        while let Some(found) = memchr::memchr(b'\n', &bytes[self.at..]) {
            let end = self.at + found;
            if end == 0 || bytes[end - 1] != b'\r' {
                return Err(Refusal::Malformed("a line of the head ends without CR LF"));
            }
            let empty = end - 1 == self.line;
            self.at = end + 1;
            self.line = end + 1;
            match (self.lines, empty) {
                (0, true) => return Err(Refusal::Malformed("the request line is empty")),
                (0, false) => self.first_line_end = end + 1,
                (_, true) => {
                    self.measure(end + 1, limits)?;
                    return Ok(Some(end + 1));
                }
                (_, false) => {}
            }
            self.lines += 1;
            if self.lines - 1 > limits.max_headers {
                return Err(Refusal::TooManyHeaders { limit: limits.max_headers });
            }
        }
        self.at = bytes.len();
        self.measure(bytes.len(), limits)?;
        Ok(None)
    }

    fn measure(&self, length: usize, limits: &Limits) -> Result<(), Refusal> {
        // Method and version take at most 64 bytes of the request line.
        if self.first_line_end == 0 && length as u64 > limits.max_target_bytes + 64 {
            return Err(Refusal::TargetTooLong { limit: limits.max_target_bytes });
        }
        if self.first_line_end > 0 && (length - self.first_line_end) as u64 > limits.max_header_bytes {
            return Err(Refusal::HeadTooLarge { limit: limits.max_header_bytes });
        }
        Ok(())
    }
}

/// Reads a whole head, empty line included.
pub(crate) fn parse(bytes: &Bytes, limits: &Limits) -> Result<Head, Refusal> {
    let mut lines = Lines { bytes, at: 0 };
    let (method, target, current) = request_line(lines.next().unwrap_or_default(), limits)?;
    let mut headers = HeaderMap::with_capacity(16);
    for line in lines {
        if line.is_empty() {
            break;
        }
        let (name, value) = header(bytes, line)?;
        headers.append(name, value);
    }
    let host = host(&headers, current)?;
    let (path, query) = split_target(target, host.as_deref(), &method)?;
    let framing = framing(&headers, current)?;
    let keep = keeps(&headers, current);
    let continues =
        current && headers.get(EXPECT).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    Ok(Head { method, path, query, headers, framing, current, keep, continues })
}

struct Lines<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = memchr::memchr(b'\n', rest)?;
        self.at += end + 1;
        Some(&rest[..end.saturating_sub(1)])
    }
}

fn request_line<'a>(line: &'a [u8], limits: &Limits) -> Result<(Method, &'a str, bool), Refusal> {
    let malformed = Refusal::Malformed("the request line is not method, target and version");
    let line = std::str::from_utf8(line).map_err(|_| malformed.clone())?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(malformed);
    };
    if target.len() as u64 > limits.max_target_bytes {
        return Err(Refusal::TargetTooLong { limit: limits.max_target_bytes });
    }
    let current = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        other if other.starts_with("HTTP/") => return Err(Refusal::Version),
        _ => return Err(malformed),
    };
    if method.len() > 32 {
        return Err(Refusal::Method);
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| malformed.clone())?;
    if method == Method::CONNECT {
        return Err(Refusal::Method);
    }
    if target.is_empty() || !target.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'#') {
        return Err(Refusal::Malformed("the request target holds characters that must be percent-encoded"));
    }
    Ok((method, target, current))
}

fn header(bytes: &Bytes, line: &[u8]) -> Result<(HeaderName, HeaderValue), Refusal> {
    if line[0] == b' ' || line[0] == b'\t' {
        return Err(Refusal::Malformed("a header is folded over lines"));
    }
    let colon = memchr::memchr(b':', line).ok_or(Refusal::Malformed("a header has no colon"))?;
    // A space before the colon is no token character, so it is refused here too.
    let name = HeaderName::from_bytes(&line[..colon])
        .map_err(|_| Refusal::Malformed("the name of a header is not a token"))?;
    let value = line[colon + 1..].trim_ascii();
    let value = HeaderValue::from_maybe_shared(bytes.slice_ref(value))
        .map_err(|_| Refusal::Malformed("a header has a control character in its value"))?;
    Ok((name, value))
}

fn host(headers: &HeaderMap, current: bool) -> Result<Option<String>, Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if current => Err(Refusal::Malformed("the Host header is missing")),
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Refusal::Malformed("there is more than one Host header")),
        (Some(host), None) => {
            let host = host.to_str().unwrap_or("?");
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+,;=".contains(&b);
            if host.bytes().all(fits) {
                Ok(Some(host.to_owned()))
            } else {
                Err(Refusal::Malformed("the Host header is not a host"))
            }
        }
    }
}

fn split_target(target: &str, host: Option<&str>, method: &Method) -> Result<(String, String), Refusal> {
    let local = if target.starts_with('/') {
        target
    } else if target == "*" {
        return match *method {
            Method::OPTIONS => Ok(("*".to_owned(), String::new())),
            _ => Err(Refusal::Malformed("the request target is not a path")),
        };
    } else {
        let rest = strip_scheme(target).ok_or(Refusal::Malformed("the request target is not a path"))?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if !host.is_some_and(|host| host.eq_ignore_ascii_case(authority)) {
            return Err(Refusal::Malformed("the request target names another host"));
        }
        match path {
            "" => "/",
            path => path,
        }
    };
    let (path, query) = local.split_once('?').unwrap_or((local, ""));
    let path = if path.is_empty() { "/" } else { path };
    check_path(path)?;
    Ok((path.to_owned(), query.to_owned()))
}

fn strip_scheme(target: &str) -> Option<&str> {
    ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// A path with hidden separators, dot segments or broken percent-encoding means different things to different readers.
fn check_path(path: &str) -> Result<(), Refusal> {
    let refused = |why| Err(Refusal::Path(why));
    if path.contains('%') {
        let bytes = path.as_bytes();
        for at in memchr::memchr_iter(b'%', bytes) {
            let code = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
            match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                None => return refused("the percent-encoding of the path is broken"),
                Some(0..=0x1f | 0x7f | b'/' | b'\\') => {
                    return refused("the path hides a separator or control character");
                }
                Some(_) => {}
            }
        }
    }
    if path.contains('\\') {
        return refused("the path has a backslash");
    }
    let dotted = |segment: &str| {
        let mut rest = segment;
        let mut dots = 0;
        while let Some(after) = rest.strip_prefix('.').or_else(|| strip_dot(rest)) {
            rest = after;
            dots += 1;
        }
        rest.is_empty() && (dots == 1 || dots == 2)
    };
    if path.split('/').any(dotted) {
        return refused("the path has dot segments");
    }
    Ok(())
}

fn strip_dot(text: &str) -> Option<&str> {
    let (start, rest) = text.split_at_checked(3)?;
    start.eq_ignore_ascii_case("%2e").then_some(rest)
}

fn framing(headers: &HeaderMap, current: bool) -> Result<Framing, Refusal> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Framing::None),
        (Some(_), Some(_)) => Err(Refusal::Malformed("Content-Length and Transfer-Encoding stand together")),
        (Some(length), None) => {
            if lengths.next().is_some() {
                return Err(Refusal::Malformed("there is more than one Content-Length"));
            }
            let digits = length.as_bytes();
            let sound = !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit);
            match std::str::from_utf8(digits).ok().filter(|_| sound).and_then(|d| d.parse().ok()) {
                Some(0) => Ok(Framing::None),
                Some(length) => Ok(Framing::Length(length)),
                None => Err(Refusal::Malformed("Content-Length is not a number")),
            }
        }
        (None, Some(coding)) => {
            let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
            if chunked && current {
                Ok(Framing::Chunked)
            } else {
                Err(Refusal::Malformed("Transfer-Encoding is not \"chunked\""))
            }
        }
    }
}

fn keeps(headers: &HeaderMap, current: bool) -> bool {
    let says = |word: &str| {
        headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case(word))
    };
    if current { !says("close") } else { says("keep-alive") && !says("close") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &[u8]) -> Result<Head, Refusal> {
        let limits = Limits::default();
        let length = Scanner::default().scan(head, &limits)?.expect("the head of this test is complete");
        parse(&Bytes::copy_from_slice(&head[..length]), &limits)
    }

    fn refused(head: &[u8]) -> u16 {
        read(head).expect_err("this head was taken").status().as_u16()
    }

    #[test]
    fn a_plain_head_is_understood() {
        let head = read(b"POST /fhir/List/_search?a=b HTTP/1.1\r\nHost: x:1\r\nContent-Length: 5\r\nConnection: close\r\n\r\n")
            .expect("sound");
        assert_eq!(
            (head.method, head.path.as_str(), head.query.as_str()),
            (Method::POST, "/fhir/List/_search", "a=b")
        );
        assert_eq!((head.framing, head.keep, head.current), (Framing::Length(5), false, true));
        assert_eq!(head.headers["host"], "x:1");
    }

    #[test]
    fn framing_that_can_be_read_in_two_ways_is_refused() {
        for lines in [
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            "Content-Length: 1\r\nContent-Length: 2",
            "Content-Length: 1\r\nContent-Length: 1",
            "Content-Length: +1",
            "Content-Length: 1, 1",
            "Content-Length:",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "X: a\r\n folded",
            "X: nul\0here",
            "X: bare\rreturn",
            "no colon",
            ": no name",
            "Host: second",
        ] {
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
            assert_eq!(refused(head.as_bytes()), 400, "{lines:?}");
        }
    }

    #[test]
    fn a_host_is_demanded_once() {
        assert_eq!(refused(b"GET / HTTP/1.1\r\nA: b\r\n\r\n"), 400);
        assert!(read(b"GET / HTTP/1.0\r\nA: b\r\n\r\n").is_ok());
    }

    #[test]
    fn a_target_of_another_host_is_refused() {
        assert_eq!(refused(b"GET http://evil/ HTTP/1.1\r\nHost: good\r\n\r\n"), 400);
        let head = read(b"GET http://good/a?b HTTP/1.1\r\nHost: good\r\n\r\n").expect("its own host");
        assert_eq!((head.path.as_str(), head.query.as_str()), ("/a", "b"));
    }

    #[test]
    fn a_path_that_hides_something_is_refused() {
        for path in
            ["/a/../b", "/a/%2e%2e/b", "/a/.%2E/b", "/Binary/..%2f..%2fx", "/a%00", "/a%5cb", "/a%zz", "/./a"]
        {
            let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(refused(head.as_bytes()), 400, "{path}");
        }
        for path in ["/a/...", "/a.b", "/%24x", "/Patient/$ihe-pix"] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(read(head.as_bytes()).is_ok(), "{path}");
        }
    }

    #[test]
    fn versions_and_methods_that_are_not_spoken_are_refused() {
        assert_eq!(refused(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
        assert_eq!(refused(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
        assert_eq!(refused(b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(refused(b"GET /\r\nHost: a\r\n\r\n"), 400);
    }

    fn scanned(bytes: &[u8]) -> Result<Option<usize>, u16> {
        Scanner::default().scan(bytes, &Limits::default()).map_err(|refusal| refusal.status().as_u16())
    }

    #[test]
    fn a_head_over_a_limit_is_refused_before_it_is_complete() {
        let long = |n: usize| vec![b'a'; n];
        assert_eq!(scanned(&long(9000)), Err(414));
        let mut head = b"GET / HTTP/1.1\r\nX: ".to_vec();
        head.extend(long(40_000));
        assert_eq!(scanned(&head), Err(431));
        let many = format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(65));
        assert_eq!(scanned(many.as_bytes()), Err(431));
        assert_eq!(scanned(b"GET / HTTP/1.1\nHost: a\n\n"), Err(400));
        assert_eq!(scanned(b"GET / HTTP/1.1\r\nHost: a\r\n"), Ok(None));
    }

    #[test]
    fn a_head_that_comes_byte_by_byte_is_found() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        let mut scanner = Scanner::default();
        let limits = Limits::default();
        let found = (1..=head.len()).find_map(|n| scanner.scan(&head[..n], &limits).expect("sound"));
        assert_eq!(found, Some(head.len() - 4));
    }
}
