//! A server that answers what a test tells it to, and the command line run against it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What is answered: a status, headers and a body, of which perhaps only the beginning is sent.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Bytes after which the connection breaks.
    pub(crate) cut: Option<usize>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply {
            status,
            headers: vec![("content-type", "application/fhir+json".into())],
            body: body.into(),
            cut: None,
        }
    }
    pub(crate) fn json(status: u16, body: serde_json::Value) -> Reply {
        Reply::new(status, body.to_string())
    }
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }
    pub(crate) fn cut(mut self, at: usize) -> Reply {
        self.cut = Some(at);
        self
    }
}

/// A server on a port of its own, until the test ends.
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` gets each request and the number of requests before it; none closes the connection without a word.
    pub(crate) fn start(answer: impl Fn(&Request, usize, &str) -> Option<Reply> + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, own) = (requests.clone(), host.clone());
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let Some(request) = read(&connection) else { continue };
                let number = {
                    let mut log = log.lock().unwrap();
                    log.push(request.clone());
                    log.len() - 1
                };
                if let Some(reply) = answer(&request, number, &own) {
                    write(connection, &reply);
                }
            }
        });
        Server { host, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(connection: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut first = head.lines().next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let mut request = Request { method, path, head, body: Vec::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn write(mut connection: TcpStream, reply: &Reply) {
    let mut head = format!(
        "HTTP/1.1 {} x\r\ncontent-length: {}\r\nconnection: close\r\n",
        reply.status,
        reply.body.len()
    );
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = &reply.body[..reply.cut.unwrap_or(reply.body.len())];
    let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(b"\r\n"));
    let _ = connection.write_all(body);
}

/// Runs `docshare` in a folder, against one host for all actors, with a home of its own.
pub(crate) fn docshare(folder: &Path, host: &str, arguments: &[&str]) -> Output {
    command(folder, host, arguments).output().unwrap()
}

pub(crate) fn command(folder: &Path, host: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_docshare"));
    command
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder.join("home"))
        .env("DOCSHARE_SERVER", format!("{host}/fhir"))
        .stdin(std::process::Stdio::null())
        .args(arguments);
    command
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
