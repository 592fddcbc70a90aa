//! A receiver of HL7 v2 that does as a test wants: takes messages, refuses some, loses answers, goes away.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hl7v2::mllp::{Frame, Reader, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    /// AA.
    Takes,
    /// AE with this condition, at PID-3, and the patient in its words.
    Refuses(u16),
    /// Takes it, and closes the connection before it says so.
    LosesAnswer,
    /// Takes it, after a while.
    Dawdles,
    /// Answers with what is no acknowledgement.
    Babbles,
}

type Judge = Box<dyn Fn(&str) -> Does + Send>;

/// The receiver.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    judge: Arc<Mutex<Judge>>,
}

impl Listener {
    pub(crate) async fn start(judge: impl Fn(&str) -> Does + Send + 'static) -> Listener {
        Listener::start_at("127.0.0.1:0", judge).await
    }

    /// At an address where one was before.
    pub(crate) async fn start_at(address: &str, judge: impl Fn(&str) -> Does + Send + 'static) -> Listener {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("is bound");
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let judge: Arc<Mutex<Judge>> = Arc::new(Mutex::new(Box::new(judge)));
        let (hearing, judging) = (heard.clone(), judge.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(hear(stream, hearing.clone(), judging.clone()));
            }
        });
        Listener { address, heard, judge }
    }

    /// From now on it does otherwise.
    pub(crate) fn now(&self, judge: impl Fn(&str) -> Does + Send + 'static) {
        *self.judge.lock().expect("not poisoned") = Box::new(judge);
    }

    /// Everything it has heard.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("not poisoned").clone()
    }

    /// The same in short: event, PID-3 and MRG-1.
    pub(crate) fn events(&self) -> Vec<String> {
        self.heard().iter().map(|message| short(message)).collect()
    }

    /// Waits until it has heard as many messages; what they were in short.
    pub(crate) async fn after(&self, count: usize) -> Vec<String> {
        for _ in 0..1_500 {
            let events = self.events();
            if events.len() >= count {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it heard no {count} messages but {:?}", self.events());
    }
}

async fn hear(mut stream: TcpStream, heard: Arc<Mutex<Vec<String>>>, judge: Arc<Mutex<Judge>>) {
    let mut reader = Reader::new(1 << 20);
    let mut piece = [0; 4096];
    loop {
        while let Some(Frame::Whole(message)) = reader.next_frame() {
            let message = String::from_utf8(message).expect("is UTF-8");
            let does = (judge.lock().expect("not poisoned"))(&message);
            heard.lock().expect("not poisoned").push(message.clone());
            let id = message.split('|').nth(9).expect("has MSH-10");
            let answer = match does {
                Does::LosesAnswer => return,
                Does::Takes => format!("MSA|AA|{id}\r"),
                Does::Babbles => format!("MSA|XX|{id}\r"),
                Does::Dawdles => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    format!("MSA|AA|{id}\r")
                }
                Does::Refuses(code) => {
                    format!("MSA|AE|{id}|MOHR ALICE is not known\rERR|PID^1^3^{code}&x&HL70357\r")
                }
            };
            let answer = format!("MSH|^~\\&|R|R|S|S|20260101||ACK|1|P|2.3.1\r{answer}");
            if stream.write_all(&frame(answer.as_bytes())).await.is_err() {
                return;
            }
        }
        match stream.read(&mut piece).await {
            Ok(bytes) if bytes > 0 => reader.feed(&piece[..bytes]),
            _ => return,
        }
    }
}

/// `A40 7 < 8`.
pub(crate) fn short(message: &str) -> String {
    let segment = |name: &str| message.split('\r').find(|line| line.starts_with(name));
    let event = message.split('|').nth(8).and_then(|kind| kind.split('^').nth(1)).expect("has an event");
    let ids = |field: &str| {
        let ids = field.split('~').map(|cx| cx.split('^').next().unwrap_or_default());
        ids.collect::<Vec<_>>().join(",")
    };
    let pid = segment("PID").and_then(|pid| pid.split('|').nth(3)).map(ids).expect("has PID-3");
    match segment("MRG").and_then(|mrg| mrg.split('|').nth(1)).map(ids) {
        Some(gone) => format!("{event} {pid} < {gone}"),
        None => format!("{event} {pid}"),
    }
}
