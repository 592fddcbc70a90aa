//! Bytes coming in [ITI-68]: resumed where they broke off, and held against size and hash before anybody believes them.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, HeaderMap, RANGE};
use serde_json::Value;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Context;
use crate::client::{self, Call};
use crate::exit::{self, Exit, Failure};
use crate::outcome;

/// Tries of a transfer that breaks off.
const TRIES: u32 = 5;

/// SHA-1 of no bytes: with size 0 the mark of a document that is put together when it is asked for.
const EMPTY: [u8; 20] = [
    0xda, 0x39, 0xa3, 0xee, 0x5e, 0x6b, 0x4b, 0x0d, 0x32, 0x55, 0xbf, 0xef, 0x95, 0x60, 0x18, 0x90, 0xaf,
    0xd8, 0x07, 0x09,
];

/// What the metadata promises of the bytes.
#[derive(Debug, Clone)]
pub(crate) struct Promise {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) size: Option<u64>,
    pub(crate) sha1: Option<[u8; 20]>,
    pub(crate) content_type: Option<String>,
    pub(crate) title: Option<String>,
}

impl Promise {
    pub(crate) fn of(document: &Value, registry: &str) -> Result<Promise, Failure> {
        let attachment = &document["content"][0]["attachment"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let id = text(&document["id"]).unwrap_or_default();
        let url = attachment["url"]
            .as_str()
            .and_then(|url| url::Url::parse(&format!("{registry}/")).ok()?.join(url).ok())
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| {
                Failure::new(Exit::Server, format!("document {id} has no address to retrieve it from"))
            })?;
        let sha1 = match &attachment["hash"] {
            Value::String(hash) => Some(read_hash(hash).ok_or_else(|| {
                Failure::new(Exit::Server, format!("the hash of document {id} is no SHA-1: {hash}"))
            })?),
            _ => None,
        };
        let promise = Promise {
            id,
            url: url.to_string(),
            size: attachment["size"].to_string().parse().ok(),
            sha1,
            content_type: text(&attachment["contentType"]),
            title: text(&attachment["title"]),
        };
        Ok(promise.settled())
    }

    /// Without size and hash where they only say that the document is put together when it is asked for.
    pub(crate) fn settled(mut self) -> Promise {
        if self.size == Some(0) && self.sha1 == Some(EMPTY) {
            (self.size, self.sha1) = (None, None);
        }
        self
    }
}

/// base64 as FHIR writes it, or hexadecimal as XDS does.
pub(super) fn read_hash(text: &str) -> Option<[u8; 20]> {
    if text.len() == 40 {
        let digits = (0..40).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok());
        return digits.collect::<Option<Vec<u8>>>()?.try_into().ok();
    }
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// What came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) size: u64,
    pub(crate) sha1: [u8; 20],
    /// The file name the server suggests.
    pub(crate) suggested: Option<String>,
}

/// Where bytes go while they are counted and hashed: a file, or nowhere.
pub(crate) struct Sink {
    file: Option<File>,
    size: u64,
    sha1: Sha1,
    sha256: Sha256,
    /// Whether it began with bytes of an earlier run.
    resumed: bool,
}

impl Sink {
    /// Only counts and hashes.
    pub(crate) fn nowhere() -> Sink {
        Sink { file: None, size: 0, sha1: Sha1::new(), sha256: Sha256::new(), resumed: false }
    }

    /// Goes on behind what is in the file already.
    pub(crate) async fn file(mut file: File) -> std::io::Result<Sink> {
        let mut sink = Sink::nowhere();
        let mut piece = vec![0; 256 * 1024];
        loop {
            let read = file.read(&mut piece).await?;
            if read == 0 {
                break;
            }
            sink.count(&piece[..read]);
        }
        sink.resumed = sink.size > 0;
        sink.file = Some(file);
        Ok(sink)
    }

    fn count(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.sha1.update(bytes);
        self.sha256.update(bytes);
    }

    pub(super) async fn take(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.count(bytes);
        match &mut self.file {
            Some(file) => file.write_all(bytes).await,
            None => Ok(()),
        }
    }

    pub(super) async fn restart(&mut self) -> std::io::Result<()> {
        if let Some(file) = &mut self.file {
            file.flush().await?;
            file.set_len(0).await?;
            tokio::io::AsyncSeekExt::rewind(file).await?;
        }
        *self = Sink { file: self.file.take(), ..Sink::nowhere() };
        Ok(())
    }

    async fn sync(&mut self) -> std::io::Result<()> {
        match &mut self.file {
            Some(file) => {
                file.flush().await?;
                file.sync_all().await
            }
            None => Ok(()),
        }
    }
}

/// How one try ended.
enum Try {
    Complete(HeaderMap),
    BrokenOff(Failure),
}

/// Fetches the bytes into the sink and holds them against the promise.
pub(crate) async fn retrieve(
    context: &Context,
    promise: &Promise,
    sink: &mut Sink,
) -> Result<Received, Failure> {
    let transfer = context.progress.bytes("retrieving", promise.size);
    let (mut fruitless, mut pause) = (0, Duration::from_millis(200));
    loop {
        transfer.again();
        transfer.passed(sink.size);
        let before = sink.size;
        match once(context, promise, sink, &transfer).await? {
            Try::Complete(headers) => match check(promise, sink, &headers) {
                Ok(received) => {
                    transfer.end();
                    sink.sync().await.map_err(local)?;
                    return Ok(received);
                }
                // The bytes of the earlier run may have been at fault: once more, from the beginning.
                Err(_) if sink.resumed => sink.restart().await.map_err(local)?,
                Err(failure) => return Err(failure),
            },
            Try::BrokenOff(failure) => {
                fruitless = if sink.size > before { 0 } else { fruitless + 1 };
                if fruitless >= TRIES {
                    return Err(failure);
                }
                context.output.remark(&format!("{}; going on at byte {}", failure.text, sink.size));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
}

async fn once(
    context: &Context,
    promise: &Promise,
    sink: &mut Sink,
    transfer: &crate::progress::Transfer,
) -> Result<Try, Failure> {
    if sink.size > 0 && promise.size.is_some_and(|size| sink.size >= size) {
        return Ok(Try::Complete(HeaderMap::new()));
    }
    let what = format!("document {}", promise.id);
    let mut call = Call::get(promise.url.clone(), what.clone()).header(ACCEPT, "*/*")?;
    if sink.size > 0 {
        call = call.header(RANGE, &format!("bytes={}-", sink.size))?;
    }
    let (mut response, request_id) = match context.client.open(call).await {
        Ok(opened) => opened,
        Err(failure) if failure.unknown => return Ok(Try::BrokenOff(failure)),
        Err(failure) => return Err(failure),
    };
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    match status {
        200 if sink.size > 0 => sink.restart().await.map_err(local)?,
        200 => {}
        206 if begins_at(&headers) == Some(sink.size) => {}
        206 | 416 if sink.size > 0 => {
            sink.restart().await.map_err(local)?;
            return Ok(Try::BrokenOff(Failure::new(
                Exit::Server,
                "the server cannot go on where it broke off",
            )));
        }
        _ => {
            let body = rest(&mut response, &what).await;
            let mut failure = outcome::failure(status, &headers, &body, &request_id, &what);
            failure = crate::patient::nothing_found(failure);
            let again = matches!(status, 429 | 502 | 503 | 504)
                && failure.retry_after.is_none_or(|wait| wait.as_secs() <= 2);
            return if again { Ok(Try::BrokenOff(failure)) } else { Err(failure) };
        }
    }
    loop {
        match client::piece(&mut response, &what).await {
            Ok(Some(bytes)) => {
                sink.take(&bytes).await.map_err(local)?;
                transfer.passed(bytes.len() as u64);
                if promise.size.is_some_and(|size| sink.size > size) {
                    return if sink.resumed { Ok(Try::Complete(headers)) } else { Err(longer(promise)) };
                }
            }
            Ok(None) => return Ok(Try::Complete(headers)),
            Err(failure) => return Ok(Try::BrokenOff(failure)),
        }
    }
}

pub(super) fn local(error: std::io::Error) -> Failure {
    Failure::other(format!("writing the document: {error}"))
}

/// The first bytes of an answer that is not the document.
async fn rest(response: &mut reqwest::Response, what: &str) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(bytes)) = client::piece(response, what).await {
        body.extend_from_slice(&bytes);
        if body.len() > 1 << 20 {
            break;
        }
    }
    body
}

fn begins_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get("content-range")?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split('-').next()?.trim().parse().ok()
}

/// Ends a transfer that came otherwise: holds the bytes against the promise, and syncs them.
pub(super) async fn finish(promise: &Promise, sink: &mut Sink) -> Result<Received, Failure> {
    let received = check(promise, sink, &HeaderMap::new())?;
    sink.sync().await.map_err(local)?;
    Ok(received)
}

fn longer(promise: &Promise) -> Failure {
    mismatch(
        promise,
        format!("it is longer than the {} bytes of its metadata", promise.size.unwrap_or_default()),
    )
}

fn mismatch(promise: &Promise, how: String) -> Failure {
    Failure::new(Exit::Mismatch, format!("document {} is not what its metadata promises: {how}", promise.id))
        .note("from", promise.url.clone())
        .next("nothing was kept of it; tell the operator of the repository")
}

fn check(promise: &Promise, sink: &Sink, headers: &HeaderMap) -> Result<Received, Failure> {
    let sha1: [u8; 20] = sink.sha1.clone().finalize().into();
    if let Some(size) = promise.size.filter(|size| *size != sink.size) {
        return Err(mismatch(promise, format!("{} bytes came, {size} were promised", sink.size)));
    }
    if let Some(expected) = promise.sha1.filter(|expected| *expected != sha1) {
        return Err(mismatch(
            promise,
            format!(
                "the SHA-1 of what came is {}, promised is {}",
                STANDARD.encode(sha1),
                STANDARD.encode(expected)
            ),
        ));
    }
    let sha256: [u8; 32] = sink.sha256.clone().finalize().into();
    if let Some(expected) = digest(headers).filter(|expected| *expected != sha256) {
        let (came, said) = (STANDARD.encode(sha256), STANDARD.encode(expected));
        return Err(mismatch(promise, format!("the SHA-256 of what came is {came}, the server says {said}")));
    }
    Ok(Received { size: sink.size, sha1, suggested: suggested(headers) })
}

/// The SHA-256 of the whole, where the server tells it (RFC 9530).
fn digest(headers: &HeaderMap) -> Option<[u8; 32]> {
    let value = headers.get("repr-digest")?.to_str().ok()?;
    let coded = value.split(',').find_map(|part| part.trim().strip_prefix("sha-256=:")?.strip_suffix(':'))?;
    STANDARD.decode(coded).ok()?.try_into().ok()
}

/// The name in Content-Disposition (RFC 6266): the extended form first.
fn suggested(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("content-disposition")?;
    let value = std::str::from_utf8(value.as_bytes()).ok()?;
    let parameter = |name: &str| {
        value.split(';').find_map(|part| {
            let (key, value) = part.trim().split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    if let Some(extended) = parameter("filename*") {
        let coded = extended.splitn(3, '\'').nth(2)?;
        return percent_encoding::percent_decode_str(coded).decode_utf8().ok().map(|name| name.into_owned());
    }
    parameter("filename")
}

/// Opens what an earlier run left, if it can be believed; else begins anew.
pub(crate) async fn part_file(path: &Path, promise: &Promise) -> Result<File, Failure> {
    let failed = |error: std::io::Error| exit::file("writing", path, &error);
    let believable = promise.sha1.is_some() && promise.size.is_some();
    match tokio::fs::symlink_metadata(path).await {
        Ok(facts) if facts.is_file() && believable => {}
        Ok(_) => tokio::fs::remove_file(path).await.map_err(failed)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut options = tokio::fs::OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options.open(path).await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hash_is_read_in_both_notations() {
        let hex: String = EMPTY.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(read_hash(&hex), Some(EMPTY));
        assert_eq!(read_hash("2jmj7l5rSw0yVb/vlWAYkK/YBwk="), Some(EMPTY));
        assert_eq!(read_hash("abc"), None);
    }

    #[test]
    fn a_document_put_together_on_demand_promises_nothing() {
        let document = json!({"id": "a", "content": [{"attachment":
            {"url": "http://h/documents/1", "size": 0, "hash": "2jmj7l5rSw0yVb/vlWAYkK/YBwk="}}]});
        let promise = Promise::of(&document, "http://r/fhir").unwrap();
        assert_eq!((promise.size, promise.sha1), (None, None));
    }

    #[test]
    fn an_address_that_is_no_web_address_is_refused() {
        let document = json!({"id": "a", "content": [{"attachment": {"url": "file:///etc/passwd"}}]});
        assert_eq!(Promise::of(&document, "http://r/fhir").unwrap_err().exit, Exit::Server);
    }

    #[test]
    fn the_suggested_name_is_read_in_both_forms() {
        let name = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-disposition", HeaderValue::from_bytes(value.as_bytes()).unwrap());
            suggested(&headers)
        };
        assert_eq!(name("attachment; filename=\"a.pdf\"").as_deref(), Some("a.pdf"));
        assert_eq!(name("inline; filename=\"x\"; filename*=UTF-8''%C3%A4.pdf").as_deref(), Some("ä.pdf"));
        assert_eq!(name("inline"), None);
    }
}
