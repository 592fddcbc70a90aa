//! One connection: request after request, each with its fault.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::frame::{Message, read_answer, read_head, read_request};
use super::{Fault, Shared};

/// Bytes that no server sends.
const RUBBISH: &[u8] = b"\x16\x03\x01\x00\xff\x00rubbish, and no end of a line";
/// A success that says nothing of what was asked.
const NONSENSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 20\r\n\r\n{\"resourceType\":\"X\"}";

/// How long a deaf connection stays open: longer than anybody's patience.
const DEAF: Duration = Duration::from_mins(2);

/// What becomes of a connection after a request.
enum Next {
    /// Another request may come.
    Stay,
    /// It ends orderly.
    Close,
    /// It is reset.
    Reset,
}

/// Serves one connection until either side ends it.
pub(super) async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    let mut relay = Relay { shared, target: None };
    let mut buffer = Vec::new();
    let _ = client.set_nodelay(true);
    loop {
        match relay.one(&mut client, &mut buffer).await {
            Ok(Next::Stay) => {}
            Ok(Next::Close) | Err(_) => return,
            Ok(Next::Reset) => {
                // Whoever wanted to read on finds the connection reset, and not ended.
                let _ = client.set_zero_linger();
                return;
            }
        }
    }
}

struct Relay {
    shared: Arc<Shared>,
    /// The connection to the target, and what was read behind the last answer.
    target: Option<(TcpStream, Vec<u8>)>,
}

impl Relay {
    async fn one(&mut self, client: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Next> {
        let Some(head) = read_head(client, buffer).await? else { return Ok(Next::Close) };
        let fault = self.shared.fault_for(&head);
        if let Some(fault @ Fault::Deaf) = &fault {
            self.shared.applied(fault);
            tokio::time::sleep(DEAF).await;
            return Ok(Next::Close);
        }
        let request = read_request(client, buffer).await?;
        match fault {
            None => self.pass(client, &request).await,
            Some(fault) => self.harm(client, &request, fault).await,
        }
    }

    async fn pass(&mut self, client: &mut TcpStream, request: &Message) -> io::Result<Next> {
        let answer = self.carry_out(request).await?;
        client.write_all(answer.bytes()).await?;
        Ok(Next::Stay)
    }

    async fn harm(&mut self, client: &mut TcpStream, request: &Message, fault: Fault) -> io::Result<Next> {
        if fault != Fault::OtherAnswer {
            self.shared.applied(&fault);
        }
        match fault {
            Fault::DelayConnect(delay) => {
                self.target = None;
                tokio::time::sleep(delay).await;
                self.pass(client, request).await
            }
            Fault::DelayRequest(delay) => {
                tokio::time::sleep(delay).await;
                self.pass(client, request).await
            }
            Fault::DelayAnswer(delay) => {
                let answer = self.carry_out(request).await?;
                tokio::time::sleep(delay).await;
                client.write_all(answer.bytes()).await?;
                Ok(Next::Stay)
            }
            Fault::Duplicate(after) => {
                let next = self.pass(client, request).await;
                self.shared.deliver_late(request.bytes().to_vec(), after);
                next
            }
            Fault::HoldBack(after) => {
                self.shared.deliver_late(request.bytes().to_vec(), after);
                Ok(Next::Reset)
            }
            Fault::ResetRequest(at) => self.reset_request(request, at).await,
            Fault::Silent | Fault::Deaf => {
                // Until the client has had enough.
                while client.read(&mut [0; 1024]).await? > 0 {}
                Ok(Next::Close)
            }
            Fault::Status { status, carried_out } => {
                if carried_out {
                    self.carry_out(request).await?;
                }
                let answer = format!("HTTP/1.1 {status} Fault\r\nContent-Length: 0\r\n\r\n");
                client.write_all(answer.as_bytes()).await?;
                Ok(Next::Stay)
            }
            Fault::ResetAnswer(_)
            | Fault::Rubbish
            | Fault::Nonsense
            | Fault::OtherAnswer
            | Fault::Truncate(_)
            | Fault::DropAnswer => self.spoil(client, request, fault).await,
        }
    }

    /// The request is carried out, and something else comes back.
    async fn spoil(&mut self, client: &mut TcpStream, request: &Message, fault: Fault) -> io::Result<Next> {
        let other = self.shared.other_answer(request);
        let answer = self.carry_out(request).await?;
        let upto = |at: usize| &answer.bytes()[..at.min(answer.bytes().len().saturating_sub(1))];
        let (bytes, next) = match &fault {
            Fault::ResetAnswer(at) => (upto(*at), Next::Reset),
            Fault::Truncate(at) => (upto(*at), Next::Close),
            Fault::Rubbish => (RUBBISH, Next::Close),
            Fault::Nonsense => (NONSENSE, Next::Stay),
            Fault::OtherAnswer => match &other {
                Some(other) => {
                    self.shared.applied(&fault);
                    (other.as_slice(), Next::Stay)
                }
                None => (answer.bytes(), Next::Stay),
            },
            _ => (&[][..], Next::Close),
        };
        client.write_all(bytes).await?;
        client.flush().await?;
        if let Next::Reset = next {
            // What was sent may not be overtaken by the reset, which throws away what nobody has read yet.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(next)
    }

    async fn reset_request(&mut self, request: &Message, at: usize) -> io::Result<Next> {
        self.target = None;
        if at > 0 {
            let mut target = TcpStream::connect(self.shared.target).await?;
            let bytes = request.bytes();
            target.write_all(&bytes[..at.min(bytes.len() - 1)]).await?;
            target.flush().await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = target.set_zero_linger();
        }
        Ok(Next::Reset)
    }

    /// Sends the request on, and reads the answer whole.
    async fn carry_out(&mut self, request: &Message) -> io::Result<Message> {
        // An idle connection may have been ended by the target meanwhile.
        let (mut target, mut buffer) = match self.target.take() {
            Some((target, buffer)) if is_open(&target) => (target, buffer),
            _ => (TcpStream::connect(self.shared.target).await?, Vec::new()),
        };
        target.set_nodelay(true)?;
        target.write_all(request.bytes()).await?;
        let answer = read_answer(&mut target, &mut buffer, request.bytes()).await?;
        self.shared.remember(request, answer.bytes());
        self.target = Some((target, buffer));
        Ok(answer)
    }
}

/// Whether nothing has come on an idle connection: neither bytes nor its end.
fn is_open(idle: &TcpStream) -> bool {
    matches!(idle.try_read(&mut [0; 1]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}
