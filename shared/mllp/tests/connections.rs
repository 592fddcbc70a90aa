//! A listener and its clients, over plain connections and over TLS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actor::{Actor, Clock, Door, House, Route, Running};
use futures_util::future::LocalBoxFuture;
use hl7v2::{Acknowledgement, Code};
use mllp::{Client, Ear, Heard, Hearing, PeerSettings, Receiver, Settings, Tls, Unsent};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use web::{Answer, ClientTls, Request};

/// A server that takes every message it can read.
struct Patient {
    ear: Ear,
    clock: Clock,
    stopping: tokio::sync::watch::Receiver<bool>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Own {
    mllp: Settings,
}

impl Actor for Patient {
    const NAME: &'static str = "patient";
    type Settings = Own;

    async fn build(house: House<Own>) -> Result<Patient, String> {
        let ear = Ear::new(house.settings.mllp.clone(), &house, Patient::NAME)?;
        Ok(Patient { ear, clock: house.clock, stopping: house.stopping })
    }

    fn routes() -> &'static [Route<Patient>] {
        &[]
    }

    fn unrouted(&self, _: &Request, _: &[&'static str]) -> Answer {
        Answer::empty(http::StatusCode::NOT_FOUND)
    }

    fn keys() -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn doors(settings: &Own) -> Vec<Door> {
        let address = settings.mllp.address().expect("it is an address");
        address.map(|address| Door { key: mllp::LISTEN, address }).into_iter().collect()
    }

    fn background(self: Arc<Self>) -> Vec<LocalBoxFuture<'static, ()>> {
        let stopping = self.stopping.clone();
        vec![Box::pin(mllp::serve(self, stopping))]
    }
}

impl Receiver for Patient {
    fn ear(&self) -> &Ear {
        &self.ear
    }

    async fn hear(&self, message: &mut Request) -> Heard {
        let hearing = Hearing::new(self.ear.settings(), &self.clock);
        let acknowledgement = match hearing.read(message).await {
            Ok(_) => Acknowledgement::accepted(),
            Err(fault) => mllp::told(fault, |refusal| refusal)
                .map_or_else(Acknowledgement::accepted, Acknowledgement::refused),
        };
        let answer = async { hearing.answer(&acknowledgement) };
        Heard { answer: mllp::carried(self.ear.deadline(), answer).await, transaction: "ITI-8" }
    }

    fn too_long(&self, beginning: &[u8]) -> Vec<u8> {
        Hearing::new(self.ear.settings(), &self.clock).too_long(beginning)
    }
}

fn started(settings: Settings) -> (Running, SocketAddr) {
    let own = Own { mllp: Settings { listen: "127.0.0.1:0".to_owned(), ..settings } };
    let running = actor::start::<Patient>(own);
    let (_, address) = running.doors[0];
    (running, address)
}

fn client(address: SocketAddr, tls: ClientTls) -> Client {
    let settings =
        PeerSettings { address: address.to_string(), connect_timeout_ms: 5_000, timeout_ms: 5_000, tls };
    Client::new(settings).expect("its certificates can be read")
}

fn message(id: &str) -> Vec<u8> {
    format!("MSH|^~\\&|A|B|C|D|20260101||ADT^A01|{id}|P|2.3.1\rPID|||7^^^RED\r").into_bytes()
}

/// An authority, and certificates it signed.
struct Authority {
    folder: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let folder = tempfile::tempdir().expect("there is a place");
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut about = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        about.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = about.self_signed(&key).expect("it signs itself");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("written");
        Authority { folder, issuer: rcgen::Issuer::new(about, key) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate for a name or an address, and its key.
    fn signed(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let about = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = about.signed_by(&key, &self.issuer).expect("it is signed");
        let (certificate_path, key_path) =
            (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        std::fs::write(&certificate_path, certificate.pem()).expect("written");
        std::fs::write(&key_path, key.serialize_pem()).expect("written");
        (certificate_path, key_path)
    }

    fn server(&self, client_ca: &Path) -> Settings {
        let (certificate, key) = self.signed("127.0.0.1");
        Settings { tls: Tls { certificate, key, client_ca: client_ca.to_path_buf() }, ..Settings::default() }
    }

    fn trusted(&self) -> ClientTls {
        ClientTls { ca: self.path("ca.pem"), ..ClientTls::default() }
    }
}

#[tokio::test]
async fn a_message_is_answered_and_the_connection_used_again() {
    let (_running, address) = started(Settings::default());
    let client = client(address, ClientTls::default());
    for id in ["one", "two", "three"] {
        let answer = client.send(&message(id)).await.expect("it is answered");
        assert_eq!((answer.code, answer.message.field("MSA", 2).raw()), (Code::Accept, id));
    }
    let refused = client.send(b"MSH|^~\\&|A|B|C|D|||ADT^A01|4|P|2.5||||||ISO IR87\r").await;
    assert!(matches!(refused, Err(Unsent::NoMessage(_))), "{refused:?}");
}

#[tokio::test]
async fn a_connection_the_peer_closed_is_opened_again() {
    let settings = Settings { idle_timeout: 1, ..Settings::default() };
    let (_running, address) = started(settings);
    let client = client(address, ClientTls::default());
    client.send(&message("one")).await.expect("it is answered");
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    client.send(&message("two")).await.expect("it is answered");
}

#[tokio::test]
async fn a_peer_that_is_not_there_was_not_reached() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    let sent = client(nobody, ClientTls::default()).send(&message("one")).await;
    assert!(matches!(sent, Err(Unsent::NotReached(_))), "{sent:?}");
}

#[tokio::test]
async fn a_peer_that_answers_nothing_or_to_another_message_leaves_it_unknown() {
    for answer in [b"".as_slice(), b"\x0BMSH|^~\\&|||||1||ACK|9|P|2.5\rMSA|AA|another\r\x1C\r"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let peer = async {
            let (mut stream, _) = listener.accept().await.expect("it is connected to");
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes).await.expect("a message");
            stream.write_all(answer).await.expect("it is there");
        };
        let client = client(address, ClientTls::default());
        let (_, sent) = tokio::join!(peer, async { client.send(&message("one")).await });
        let is_unknown = match answer.is_empty() {
            true => matches!(sent, Err(Unsent::Unknown(_))),
            false => matches!(sent, Err(Unsent::Unreadable(_))),
        };
        assert!(is_unknown, "{sent:?}");
    }
}

#[tokio::test]
async fn tls_is_spoken_with_who_believes_the_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (_running, address) = started(authority.server(Path::new("")));
    let answer = client(address, authority.trusted()).send(&message("one")).await;
    assert_eq!(answer.expect("it is answered").code, Code::Accept);
    let sent = client(address, other.trusted()).send(&message("two")).await;
    assert!(matches!(sent, Err(Unsent::NotReached(_))), "{sent:?}");
}

#[tokio::test]
async fn a_plain_connection_is_closed_where_tls_is_spoken() {
    let authority = Authority::new();
    let (_running, address) = started(authority.server(Path::new("")));
    let mut plain = TcpStream::connect(address).await.expect("it is listened to");
    plain.write_all(&hl7v2::mllp::frame(&message("one"))).await.expect("it is sent");
    let mut answer = Vec::new();
    // Closed with what was sent unread: a reset, or an end.
    let _ = plain.read_to_end(&mut answer).await;
    assert_eq!(answer, b"");
    // Whoever says nothing at all does not keep others waiting.
    let _silent = TcpStream::connect(address).await.expect("it is listened to");
    client(address, authority.trusted()).send(&message("two")).await.expect("it is answered");
}

#[tokio::test]
async fn who_must_show_a_certificate_is_not_let_in_without_one() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (_running, address) = started(authority.server(&clients.path("ca.pem")));
    let sent = client(address, authority.trusted()).send(&message("one")).await;
    assert!(sent.is_err(), "{sent:?}");
    let shown = |by: &Authority| {
        let (certificate, key) = by.signed("adt.example");
        ClientTls { certificate, key, ..authority.trusted() }
    };
    let sent = client(address, shown(&authority)).send(&message("two")).await;
    assert!(sent.is_err(), "{sent:?}");
    let answer = client(address, shown(&clients)).send(&message("three")).await;
    assert_eq!(answer.expect("it is answered").code, Code::Accept);
}

#[test]
fn half_a_configuration_of_tls_is_refused_with_words() {
    let authority = Authority::new();
    let (certificate, key) = authority.signed("127.0.0.1");
    let (_, other_key) = authority.signed("other");
    let none = PathBuf::new;
    for (tls, words) in [
        (Tls { certificate: none(), key: key.clone(), client_ca: none() }, "mllp.tls.certificate is empty"),
        (Tls { certificate: certificate.clone(), key: none(), client_ca: none() }, "mllp.tls.key is empty"),
        (Tls { certificate: certificate.clone(), key: other_key, client_ca: none() }, "do not go together"),
        (Tls { certificate: key.clone(), key, client_ca: none() }, "no certificate"),
    ] {
        let own = Own { mllp: Settings { tls, ..Settings::default() } };
        let refused = std::panic::catch_unwind(|| actor::start::<Patient>(own)).err();
        let told =
            refused.as_ref().and_then(|told| told.downcast_ref::<String>()).expect("it does not start");
        assert!(told.contains(words), "{told}");
    }
}
