//! Each fault, against a server that counts.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::*;

/// A server that answers each request with its number, and says how many it got whole.
async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut buffer = Vec::new();
                while frame::read_request(&mut stream, &mut buffer).await.is_ok() {
                    let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nanswer{number:02}");
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, served)
}

/// What a client got for one request on a connection of its own.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Answer(u16, String),
    Part(String),
    Reset,
    Ended,
    Nothing,
}

const REQUEST: &[u8] = b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";

async fn ask(proxy: &Proxy) -> Got {
    ask_with(proxy, REQUEST).await
}

async fn ask_with(proxy: &Proxy, request: &[u8]) -> Got {
    let mut stream = TcpStream::connect(proxy.address()).await.expect("the proxy listens");
    if stream.write_all(request).await.is_err() {
        return Got::Reset;
    }
    let mut got = Vec::new();
    loop {
        let read = timeout(Duration::from_millis(400), stream.read_buf(&mut got)).await;
        match read {
            Err(_) if got.is_empty() => return Got::Nothing,
            Ok(Ok(0)) if got.is_empty() => return Got::Ended,
            Ok(Err(_)) if got.is_empty() => return Got::Reset,
            Err(_) | Ok(Ok(0) | Err(_)) => return Got::Part(String::from_utf8_lossy(&got).into_owned()),
            Ok(Ok(_)) => {
                if let Ok(answer) = frame::read_answer(&mut &got[..], &mut Vec::new(), request).await
                    && answer.head().windows(7).any(|window| window == b"Content")
                {
                    let body = String::from_utf8_lossy(&answer.bytes()[answer.head().len()..]).into_owned();
                    return Got::Answer(answer.status(), body);
                }
            }
        }
    }
}

async fn through(fault: Fault) -> (Got, usize, Proxy, Arc<AtomicUsize>) {
    let (address, served) = server().await;
    let proxy = Proxy::listen(address).await.expect("a proxy");
    proxy.inject("POST /fhir", fault.clone());
    let got = ask(&proxy).await;
    assert_eq!(proxy.counts().get(fault.name()), Some(&1), "{fault:?} is counted");
    let count = served.load(Ordering::SeqCst);
    let after = ask(&proxy).await;
    assert!(matches!(after, Got::Answer(200, _)), "the next request passes after {fault:?}: {after:?}");
    (got, count, proxy, served)
}

fn answer(number: usize) -> Got {
    Got::Answer(200, format!("answer{number:02}"))
}

#[tokio::test]
async fn what_no_fault_is_meant_for_passes_on_one_connection() {
    let (address, served) = server().await;
    let proxy = Proxy::listen(address).await.expect("a proxy");
    proxy.inject("POST /settle", Fault::DropAnswer);
    for number in 1..=3 {
        assert_eq!(ask(&proxy).await, answer(number));
    }
    assert_eq!((served.load(Ordering::SeqCst), proxy.requests()), (3, 3));
    assert!(proxy.counts().is_empty());
    let settle = b"POST /settle HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(ask_with(&proxy, settle).await, Got::Ended);
}

#[tokio::test]
async fn delays_come_before_the_connection_the_request_and_the_answer() {
    let delay = Duration::from_millis(120);
    for fault in [Fault::DelayConnect(delay), Fault::DelayRequest(delay), Fault::DelayAnswer(delay)] {
        let begin = Instant::now();
        let (got, served, ..) = through(fault.clone()).await;
        assert_eq!((got, served), (answer(1), 1));
        assert!(begin.elapsed() >= delay, "{fault:?} takes its time");
    }
}

#[tokio::test]
async fn a_request_that_is_reset_never_arrives_whole() {
    for at in [0, 10, 60, 10_000] {
        let (got, served, ..) = through(Fault::ResetRequest(at)).await;
        assert_eq!((got, served), (Got::Reset, 0), "reset at {at}");
    }
}

#[tokio::test]
async fn an_answer_that_is_reset_was_given() {
    let (got, served, ..) = through(Fault::ResetAnswer(0)).await;
    assert_eq!((got, served), (Got::Reset, 1));
    let (got, served, ..) = through(Fault::ResetAnswer(12)).await;
    assert_eq!((got, served), (Got::Part("HTTP/1.1 200".into()), 1));
}

#[tokio::test]
async fn silence_and_deafness_answer_nothing() {
    for fault in [Fault::Silent, Fault::Deaf] {
        let (got, served, ..) = through(fault).await;
        assert_eq!((got, served), (Got::Nothing, 0));
    }
}

#[tokio::test]
async fn a_duplicate_arrives_a_second_time_later() {
    let (got, served, proxy, count) = through(Fault::Duplicate(Duration::from_millis(50))).await;
    assert_eq!((got, served), (answer(1), 1));
    delivered(&proxy).await;
    assert_eq!((count.load(Ordering::SeqCst), proxy.late()), (3, vec![200]));
}

#[tokio::test]
async fn what_is_held_back_arrives_after_its_sender_has_given_up() {
    let (got, served, proxy, count) = through(Fault::HoldBack(Duration::from_millis(200))).await;
    assert_eq!((got, served), (Got::Reset, 0));
    delivered(&proxy).await;
    assert_eq!((count.load(Ordering::SeqCst), proxy.late()), (2, vec![200]));
}

async fn delivered(proxy: &Proxy) {
    let late = async {
        while proxy.late().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), late).await.expect("what is late arrives");
}

#[tokio::test]
async fn spoiled_answers_belong_to_requests_that_were_carried_out() {
    let (got, served, ..) = through(Fault::Rubbish).await;
    assert!(matches!(got, Got::Part(_)) && served == 1, "{got:?}");
    let (got, served, ..) = through(Fault::Nonsense).await;
    assert_eq!((got, served), (Got::Answer(200, "{\"resourceType\":\"X\"}".into()), 1));
    let (got, served, ..) = through(Fault::Truncate(20)).await;
    assert_eq!((got, served), (Got::Part("HTTP/1.1 200 OK\r\nCon".into()), 1));
    let (got, served, ..) = through(Fault::DropAnswer).await;
    assert_eq!((got, served), (Got::Ended, 1));
}

#[tokio::test]
async fn a_status_comes_in_place_of_the_answer() {
    for carried_out in [true, false] {
        let (got, served, ..) = through(Fault::Status { status: 502, carried_out }).await;
        assert_eq!((got, served), (Got::Answer(502, String::new()), usize::from(carried_out)));
    }
}

#[tokio::test]
async fn the_answer_of_another_request_comes_if_there_was_one() {
    let (address, served) = server().await;
    let proxy = Proxy::listen(address).await.expect("a proxy");
    proxy.inject_times("POST /fhir", Fault::OtherAnswer, 2);
    assert_eq!(ask(&proxy).await, answer(1), "there is no other answer yet");
    assert!(proxy.counts().is_empty());
    let settle = b"POST /settle HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(ask_with(&proxy, settle).await, answer(2));
    assert_eq!(ask(&proxy).await, answer(2), "the answer to settle");
    assert_eq!(served.load(Ordering::SeqCst), 3, "and it was carried out");
}

#[tokio::test]
async fn weather_repeats_by_its_seed_and_ends_when_it_is_cleared() {
    let runs = [7, 7, 8].map(|seed| async move {
        let (address, _) = server().await;
        let proxy = Proxy::listen(address).await.expect("a proxy");
        proxy.weather(seed, 2, Duration::from_millis(10));
        let mut got = Vec::new();
        for _ in 0..12 {
            got.push(std::mem::discriminant(&ask(&proxy).await));
        }
        proxy.clear();
        assert!(matches!(ask(&proxy).await, Got::Answer(200, _)));
        (got, proxy.counts())
    });
    let [one, two, other] = runs;
    let (one, two, other) = tokio::join!(one, two, other);
    assert_eq!(one, two);
    assert_ne!(one.1, other.1);
}

#[tokio::test]
async fn a_dropped_proxy_listens_no_more() {
    let (address, _) = server().await;
    let proxy = Proxy::listen(address).await.expect("a proxy");
    let at = proxy.address();
    let mut open = TcpStream::connect(at).await.expect("it listens");
    drop(proxy);
    assert_eq!(open.read(&mut [0; 1]).await.unwrap_or_default(), 0, "its connections end");
    assert!(TcpStream::connect(at).await.is_err());
}
