//! A small HTTP server for fake peers: one handler decides what becomes of each request.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request as a fake peer sees it.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What a fake peer does.
pub(crate) enum Reaction {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    /// Closes the connection without an answer.
    Close,
    /// Closes the connection after so many bytes of the answer.
    BreakOff {
        after: usize,
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    /// Keeps the connection, and says nothing.
    Silence,
}

/// Serves on a free port of loopback; answers `http://127.0.0.1:port`.
pub(crate) async fn serve(handler: impl Fn(Asked) -> Reaction + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let handler = Arc::new(handler);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let handler = handler.clone();
            tokio::spawn(async move { converse(stream, handler.as_ref()).await });
        }
    });
    host
}

async fn converse(stream: TcpStream, handler: &(impl Fn(Asked) -> Reaction + ?Sized)) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let asked = read(&mut stream).await?;
        let (answer, goes_on) = match handler(asked) {
            Reaction::Answer { status, headers, body } => (written(status, &headers, &body), true),
            Reaction::BreakOff { after, status, headers, body } => {
                let mut answer = written(status, &headers, &body);
                answer.truncate(after);
                (answer, false)
            }
            Reaction::Close => return None,
            Reaction::Silence => std::future::pending().await,
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        if !goes_on {
            return None;
        }
    }
}

fn written(status: u16, headers: &[(String, String)], body: &str) -> String {
    let mut head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{head}\r\n{body}")
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse());
    let mut body = vec![0; length.transpose().ok()?.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked { method, target, headers, body })
}
