//! Receivers over HTTPS: whose certificate is believed, and whose own is shown.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use identity_source::{Protocol, Receiver};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use web::ClientTls;

use crate::receivers::{feeds, line, patient, says, settings};
use crate::subject::{RED, Subject};

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

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for a name or an address, and its key.
    fn signed(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let about = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = about.signed_by(&key, &self.issuer).expect("it is signed");
        let path = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        std::fs::write(path("pem"), certificate.pem()).expect("written");
        std::fs::write(path("key"), key.serialize_pem()).expect("written");
        (path("pem"), path("key"))
    }

    /// A client that believes this authority.
    fn trusted(&self) -> ClientTls {
        ClientTls { ca: self.ca(), ..ClientTls::default() }
    }

    /// What a server with a certificate of this authority speaks; with `clients`, to clients of that authority only.
    fn server(&self, clients: Option<&Authority>) -> Arc<ServerConfig> {
        let (certificate, key) = self.signed("127.0.0.1");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("there are versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                certificates(&authority.ca()).into_iter().for_each(|one| roots.add(one).expect("is sound"));
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("is sound"))
            }
        };
        let key = PrivateKeyDer::from_pem_file(key).expect("a key");
        Arc::new(builder.with_single_cert(certificates(&certificate), key).expect("go together"))
    }
}

fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    let all = CertificateDer::pem_file_iter(path).expect("is there");
    all.collect::<Result<_, _>>().expect("are certificates")
}

/// A server that takes everything it is told, in whatever language.
struct Server {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(config: Arc<ServerConfig>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("is bound");
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let hearing = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, TlsAcceptor::from(config.clone()), hearing.clone()));
            }
        });
        Server { address, heard }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// What was sent to this path.
    fn heard(&self, path: &str) -> Vec<String> {
        let all = self.heard.lock().expect("not poisoned");
        all.iter()
            .filter(|request| request.split(' ').nth(1).is_some_and(|at| at.starts_with(path)))
            .cloned()
            .collect()
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, heard: Arc<Mutex<Vec<String>>>) {
    // Who does not believe the certificate, or has none to show, does not come in.
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let Some(request) = whole(&read) else {
            match stream.read(&mut piece).await {
                Ok(bytes) if bytes > 0 => read.extend_from_slice(&piece[..bytes]),
                _ => return,
            }
            continue;
        };
        read.drain(..request.len());
        heard.lock().expect("not poisoned").push(request.clone());
        let (content_type, body) = answer(&request);
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// A request, once it is there to its end.
fn whole(read: &[u8]) -> Option<String> {
    let text = String::from_utf8(read.to_vec()).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:").map(str::to_owned));
    let length: usize = length.map_or(0, |length| length.trim().parse().expect("is a number"));
    (body.len() >= length).then(|| text[..head.len() + 4 + length].to_owned())
}

fn answer(request: &str) -> (&'static str, String) {
    if request.contains("PRPA_IN2013") {
        let id =
            request.split("<id root=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("has an id");
        let body = format!(
            "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://www.w3.org/2005/08/addressing\">\
             <s:Header><a:Action>urn:hl7-org:v3:MCCI_IN000002UV01</a:Action></s:Header><s:Body>\
             <MCCI_IN000002UV01 xmlns=\"urn:hl7-org:v3\"><acknowledgement><typeCode code=\"CA\"/><targetMessage>\
             <id root=\"{id}\"/></targetMessage></acknowledgement></MCCI_IN000002UV01></s:Body></s:Envelope>"
        );
        return ("application/soap+xml; charset=UTF-8", body);
    }
    if request.contains("MessageHeader") {
        let body = "{\"resourceType\":\"Bundle\",\"type\":\"message\",\"entry\":[{\"resource\":{\"resourceType\":\
                    \"MessageHeader\",\"response\":{\"code\":\"ok\"}}}]}";
        return ("application/fhir+json", body.to_owned());
    }
    ("application/fhir+json", "{}".to_owned())
}

/// Receivers of each protocol that goes over HTTP.
fn receivers(server: &Server, prefix: &str, tls: &ClientTls) -> Vec<Receiver> {
    let of = |name: &str, protocol| Receiver {
        tls: tls.clone(),
        timeout_ms: 2_000,
        ..Receiver::new(&format!("{prefix}-{name}"), protocol)
    };
    vec![
        Receiver { url: server.url("/fhir"), ..of("fhir", Protocol::Fhir) },
        Receiver {
            url: server.url("/messages"),
            sending_application: "https://identity.example/fhir".to_owned(),
            ..of("iti-93", Protocol::Iti93)
        },
        Receiver {
            url: server.url("/pix"),
            domains: vec!["RED".to_owned()],
            sending_application: "1.2.3.4".to_owned(),
            receiving_application: "1.2.3.5".to_owned(),
            ..of("iti-44", Protocol::Iti44)
        },
    ]
}

#[tokio::test]
async fn receivers_over_https_are_told_if_their_certificate_is_believed() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::start(authority.server(None)).await;
    let mut all = receivers(&server, "known", &authority.trusted());
    all.extend(receivers(&server, "strange", &other.trusted()));
    // Believed by nobody but who was told of the authority.
    all.extend(receivers(&server, "public", &ClientTls::default()));
    let subject = Subject::start_with(settings(all));
    feeds(&subject, "1", &patient(RED, "1")).await;
    for name in ["known-fhir", "known-iti-93", "known-iti-44"] {
        says(&subject, name, "knows every patient").await;
    }
    for path in ["/fhir/Patient/", "/messages", "/pix"] {
        let heard = server.heard(path);
        assert!(heard.len() == 1 && heard[0].contains("MOHR"), "{path}: {heard:?}");
    }
    for prefix in ["strange", "public"] {
        for name in ["fhir", "iti-93", "iti-44"] {
            let text = says(&subject, &format!("{prefix}-{name}"), "it is away").await;
            assert!(!text.contains("refused"), "{text}");
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(server.heard("/").iter().filter(|request| request.contains("MOHR")).count(), 3, "nobody else");
    let text = line(&subject, "strange-iti-93").await;
    assert!(text.contains("certificate"), "the operator is told why: {text}");
}

#[tokio::test]
async fn a_receiver_over_https_that_asks_for_a_certificate_is_shown_ours() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = Server::start(authority.server(Some(&clients))).await;
    let (certificate, key) = clients.signed("identity.example");
    let shown = ClientTls { certificate, key, ..authority.trusted() };
    let mut all = receivers(&server, "shown", &shown);
    all.extend(receivers(&server, "bare", &authority.trusted()));
    let subject = Subject::start_with(settings(all));
    feeds(&subject, "1", &patient(RED, "1")).await;
    for name in ["shown-fhir", "shown-iti-93", "shown-iti-44"] {
        says(&subject, name, "knows every patient").await;
    }
    for name in ["bare-fhir", "bare-iti-93", "bare-iti-44"] {
        says(&subject, name, "it is away").await;
    }
    assert_eq!(server.heard("/").iter().filter(|request| request.contains("MOHR")).count(), 3);
}
