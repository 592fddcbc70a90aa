//! nginx, serving the same bytes as files.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// A running nginx.
pub(super) struct Nginx {
    child: Child,
    pub(super) authority: String,
}

impl Nginx {
    /// Starts it over files named `0`, `1`, …; none if it is not installed.
    pub(super) fn start(folder: &Path, bodies: &[Vec<u8>]) -> Result<Option<Nginx>> {
        let Some(binary) = installed() else { return Ok(None) };
        let folder = folder.join("nginx");
        fs::create_dir_all(folder.join("files")).context("making a folder for nginx")?;
        for (number, body) in bodies.iter().enumerate() {
            fs::write(folder.join("files").join(number.to_string()), body)
                .context("writing a file for nginx")?;
        }
        let port = super::region::free_port()?;
        fs::write(folder.join("nginx.conf"), configuration(&folder, port)).context("configuring nginx")?;
        let child = Command::new(binary)
            .arg("-e")
            .arg(folder.join("error.log"))
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(folder.join("nginx.conf"))
            .stdout(Stdio::null())
            .spawn()
            .context("starting nginx")?;
        let nginx = Nginx { child, authority: format!("127.0.0.1:{port}") };
        super::bare::listening(&nginx.authority)?;
        Ok(Some(nginx))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master takes its workers along when it is asked, not when it is killed.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

fn installed() -> Option<&'static str> {
    ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| Path::new(path).is_file())
}

fn configuration(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    format!(
        "{user}daemon off;\nworker_processes 2;\npid {folder}/nginx.pid;\nevents {{ worker_connections 256; }}\nhttp {{\n\
         access_log off;\nsendfile on;\ntcp_nopush on;\nkeepalive_requests 100000000;\nopen_file_cache max=1000;\n\
         client_body_temp_path {folder}/b;\nproxy_temp_path {folder}/p;\nfastcgi_temp_path {folder}/f;\n\
         uwsgi_temp_path {folder}/u;\nscgi_temp_path {folder}/s;\n\
         server {{ listen 127.0.0.1:{port}; root {folder}/files; }}\n}}\n"
    )
}
