//! Asks the same thing again and again on keep-alive connections, and tells how often a second and how much processor time the
//! answering process spent. `ask HOST:PORT PATH CONNECTIONS SECONDS [PID] [BODY_BYTES]`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |n: usize, default: &str| arguments.get(n).cloned().unwrap_or_else(|| default.to_owned());
    let number = |n: usize, default: u64| arguments.get(n).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (address, path) = (text(0, "127.0.0.1:8080"), text(1, "/empty"));
    let (connections, seconds, pid, body) = (number(2, 16), number(3, 3), number(4, 0), number(5, 0));
    let mut request = if body == 0 {
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: */*\r\nUser-Agent: ask\r\n\r\n")
            .into_bytes()
    } else {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: ask\r\nContent-Length: {body}\r\n\r\n"
        )
        .into_bytes()
    };
    request.resize(request.len() + body as usize, b'x');
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let before = cpu_ticks(pid);
    let started = Instant::now();
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let (address, request) = (address.clone(), request.clone());
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            std::thread::spawn(move || {
                let mut socket = TcpStream::connect(address).expect("the server listens");
                socket.set_nodelay(true).expect("a TCP socket has this option");
                let mut buffer = vec![0; 128 << 10];
                while !stop.load(Ordering::Relaxed) {
                    socket.write_all(&request).expect("the server reads");
                    read_answer(&mut socket, &mut buffer);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    std::thread::sleep(Duration::from_secs(seconds));
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("no thread panics");
    }
    let (took, count) = (started.elapsed().as_secs_f64(), answered.load(Ordering::Relaxed));
    let ticks = cpu_ticks(pid) - before;
    println!(
        "{:.0}/s, {:.2} us of processor time each",
        count as f64 / took,
        ticks as f64 * 10_000.0 / count as f64
    );
}

fn read_answer(socket: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    let head = loop {
        let n = socket.read(&mut buffer[filled..]).expect("the server answers");
        assert!(n > 0, "the server hung up");
        filled += n;
        if let Some(at) = buffer[..filled].windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    assert!(text.starts_with("http/1.1 200"), "{text}");
    let length: usize = text
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next())
        .and_then(|n| n.parse().ok())
        .expect("every answer has a length");
    let mut left = length - (filled - head);
    while left > 0 {
        let most = left.min(buffer.len());
        left -= socket.read(&mut buffer[..most]).expect("the server answers");
    }
}

/// User and system time of a process in ticks of 10 ms.
fn cpu_ticks(pid: u64) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or(Vec::new(), |(_, rest)| rest.split(' ').collect());
    [11, 12].iter().filter_map(|n| fields.get(*n)?.parse::<u64>().ok()).sum()
}
