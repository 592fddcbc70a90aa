//! A bare actix-web handler: what is left of a server when it does nothing.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context as _, Result, bail};

/// Serves the bytes of a file from memory at `/`, until it is killed.
pub fn serve(port: u16, file: &Path) -> Result<()> {
    let body = bytes::Bytes::from(std::fs::read(file).context("reading the body")?);
    actix_web::rt::System::new().block_on(async move {
        let app = move || {
            let body = body.clone();
            App::new().route(
                "/",
                web::get().to(move || {
                    let body = body.clone();
                    async move { HttpResponse::Ok().content_type("application/fhir+json").body(body) }
                }),
            )
        };
        HttpServer::new(app).workers(2).bind(("127.0.0.1", port))?.run().await
    })?;
    Ok(())
}

/// The handler as a process of its own.
pub(super) struct Bare {
    child: Child,
    pub(super) authority: String,
}

impl Bare {
    pub(super) fn start(folder: &Path, body: &[u8]) -> Result<Bare> {
        let file = folder.join("bare-body");
        std::fs::write(&file, body).context("writing the body")?;
        let port = super::region::free_port()?;
        let child = Command::new(std::env::current_exe().context("the own executable")?)
            .args(["bare", "--port", &port.to_string(), "--file"])
            .arg(&file)
            .stdout(Stdio::null())
            .spawn()
            .context("starting the bare handler")?;
        let bare = Bare { child, authority: format!("127.0.0.1:{port}") };
        listening(&bare.authority)?;
        Ok(bare)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until somebody listens.
pub(super) fn listening(authority: &str) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(10) {
        if std::net::TcpStream::connect(authority).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("nobody listens on {authority}")
}
