//! Bytes on a socket, for what no HTTP library would send.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream as BlockingStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What came back on a socket until it was closed or fell silent.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Everything received.
    pub bytes: Vec<u8>,
    /// Whether the server closed the connection.
    pub closed: bool,
    /// From the last byte sent to the end.
    pub took: Duration,
}

impl Exchange {
    /// Status codes of all responses, in order.
    pub fn statuses(&self) -> Vec<u16> {
        let text = String::from_utf8_lossy(&self.bytes);
        text.split("HTTP/1.").skip(1).filter_map(|rest| rest.get(2..5)?.parse().ok()).collect()
    }

    /// The first status, if there was a response.
    pub fn status(&self) -> Option<u16> {
        self.statuses().first().copied()
    }

    /// As text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// `host:port` of an `http://` URL.
pub fn authority(url: &str) -> Result<String> {
    let url = url::Url::parse(url).with_context(|| format!("{url} is a URL"))?;
    let host = url.host_str().context("the URL names a host")?;
    Ok(format!("{host}:{}", url.port_or_known_default().context("the URL names a port")?))
}

/// Sends bytes and collects what comes back until the server closes or says nothing for `silence`.
pub async fn exchange(url: &str, bytes: &[u8], silence: Duration) -> Result<Exchange> {
    let mut stream = TcpStream::connect(authority(url)?).await.context("connecting")?;
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    collect(&mut stream, silence).await
}

/// Collects what comes back on an open connection.
pub async fn collect(stream: &mut TcpStream, silence: Duration) -> Result<Exchange> {
    let begin = Instant::now();
    let mut received = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        match timeout(silence, stream.read(&mut chunk)).await {
            Ok(Ok(0)) | Ok(Err(_)) => {
                return Ok(Exchange { bytes: received, closed: true, took: begin.elapsed() });
            }
            Ok(Ok(count)) => received.extend_from_slice(&chunk[..count]),
            Err(_) => return Ok(Exchange { bytes: received, closed: false, took: begin.elapsed() }),
        }
    }
}

/// Whether the admin listener on this port says the actor is ready.
pub(crate) fn ready(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    ask(address, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Head and body of an answer on this machine, without anything asynchronous.
pub(crate) fn get_blocking(host: &str, path: &str) -> Result<String> {
    let address = authority(host)?.parse().with_context(|| format!("{host} is an address and a port"))?;
    ask(address, path)
}

fn ask(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream =
        BlockingStream::connect_timeout(&address, Duration::from_millis(200)).context("connecting")?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).context("limiting the wait")?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .context("asking")?;
    let mut answer = String::new();
    // Whatever came until the time was over has to do.
    let _ = stream.read_to_string(&mut answer);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_response_of_an_exchange_is_counted() {
        let exchange = Exchange {
            bytes: b"HTTP/1.1 200 OK\r\n\r\nxHTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            closed: true,
            took: Duration::ZERO,
        };
        assert_eq!(exchange.statuses(), [200, 400]);
    }

    #[test]
    fn the_authority_of_a_url_holds_its_port() {
        assert_eq!(authority("http://127.0.0.1:8081/fhir").unwrap(), "127.0.0.1:8081");
    }
}
