//! Answers that go to another address than the one they were asked from.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::Duration;

use super::world::{ADDRESSING, addressed, envelope};
use super::{SIMPLE, actor};

fn replying_to(address: &str) -> String {
    let header = addressed("urn:test:ask").replace(&format!("{ADDRESSING}/anonymous"), address);
    envelope(&header, "<Ask xmlns='urn:test'/>")
}

#[tokio::test]
async fn an_address_nobody_configured_gets_nothing() {
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let address = format!("http://{}/", canary.local_addr().unwrap());
    let reply = actor().ask(SIMPLE, replying_to(&address)).await;
    let (name, text) = reply.fault();
    assert_eq!((reply.status, name.as_str()), (400, "OnlyAnonymousAddressSupported"));
    assert!(text.contains("soap.reply_to"), "{text}");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(canary.accept().is_err(), "nobody came");
}

/// Takes one message for each of these statuses, and answers so; gives them back as they came.
fn taking(
    listener: TcpListener,
    statuses: &'static [&'static str],
    end: &'static str,
) -> JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let take = |status: &&str| {
            let (mut connection, _) = listener.accept().unwrap();
            let mut message = Vec::new();
            while !String::from_utf8_lossy(&message).trim_end().ends_with(end) {
                let mut piece = [0; 4096];
                let read = connection.read(&mut piece).unwrap();
                assert!(read > 0, "the message came whole");
                message.extend_from_slice(&piece[..read]);
            }
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            connection.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(message).unwrap()
        };
        statuses.iter().map(take).collect()
    })
}

/// Asks, is answered 202, and waits for what comes to the address.
async fn asked(address: &str, message: String, told: JoinHandle<Vec<String>>) -> Vec<String> {
    let mut actor = actor();
    actor.settings.reply_to = vec![address.to_owned()];
    let local = tokio::task::LocalSet::new();
    let asking = async {
        let reply = actor.ask(SIMPLE, message).await;
        assert_eq!((reply.status, reply.bytes.len()), (202, 0));
        tokio::task::spawn_blocking(|| told.join().unwrap()).await.unwrap()
    };
    local.run_until(asking).await
}

#[tokio::test]
async fn a_configured_address_gets_the_answer_and_the_caller_a_202() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/answers", listener.local_addr().unwrap());
    // The first try is turned away, the second one taken.
    let told = taking(listener, &["503 No", "202 Accepted"], "</soap:Envelope>");
    let messages = asked(&address, replying_to(&address), told).await;
    let [first, second] = &messages[..] else { panic!("{messages:?}") };
    assert!(first.starts_with("POST /answers "), "{first}");
    for part in [
        "urn:test:asked",
        "<wsa:RelatesTo>urn:uuid:m1</wsa:RelatesTo>",
        &format!("<wsa:To>{address}</wsa:To>"),
    ] {
        assert!(second.contains(part), "{second}");
    }
}

#[tokio::test]
async fn documents_go_to_a_configured_address_as_a_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/answers", listener.local_addr().unwrap());
    let told = taking(listener, &["202 Accepted"], "</soap:Envelope>");
    let header = addressed("urn:test:count").replace(&format!("{ADDRESSING}/anonymous"), &address);
    let message = envelope(&header, "<Count xmlns='urn:test' do='give'/>");
    let messages = asked(&address, message, told).await;
    assert!(messages[0].contains("<t:Document>b25lLXR3bw==</t:Document>"), "{}", messages[0]);
    assert!(messages[0].to_ascii_lowercase().contains("content-length: "), "{}", messages[0]);
}
