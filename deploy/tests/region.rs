//! The launcher as its user meets it: a domain that comes up with data, is found again, and leaves nothing running.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Where the next domain of these tests has its ports, beyond what the process adds of its own.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// Ports nobody listens on: this one and those the region makes of it. They lie below those that the system gives to callers,
/// and no two tests get the same.
fn base_port() -> u16 {
    let own = u16::try_from(std::process::id() % 400).unwrap();
    loop {
        let base = 8_200 + NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(own) % 400 * 28;
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if [1, 2, 3, 11, 12, 13, 21].into_iter().all(|n| free(base + n)) {
            return base;
        }
    }
}

fn region(dir: &Path, base: u16, arguments: &[&str]) -> Command {
    programs();
    let mut command = Command::new(env!("CARGO_BIN_EXE_docshare-region"));
    command
        .arg("--dir")
        .arg(dir)
        .args(["--base-port", &base.to_string()])
        .args(arguments)
        .stdin(Stdio::null());
    // They are built already.
    command.env_remove("CARGO");
    command
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A running region, once it says it is up.
fn up(dir: &Path, base: u16) -> Child {
    let mut child = region(dir, base, &["--no-samples"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("The domain is up")), "it ended before it was up");
    // Somebody must go on reading, or the region could not write.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

fn gone(base: u16) -> bool {
    let until = Instant::now() + Duration::from_secs(20);
    let listening = || (1..=3).any(|n| TcpStream::connect(("127.0.0.1", base + n)).is_ok());
    while Instant::now() < until {
        if !listening() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

#[test]
fn every_step_holds_and_a_second_start_finds_everything_and_adds_nothing() {
    for index in ["redb", "sled"] {
        let (folder, base) = (tempfile::tempdir().unwrap(), base_port());
        for start in ["first", "second"] {
            let output = region(folder.path(), base, &["--exit", "--index", index]).output().unwrap();
            assert!(output.status.success(), "{start} start with {index}:\n{}", told(&output));
            assert!(told(&output).contains(&format!("http://127.0.0.1:{}/fhir", base + 1)));
            assert!(gone(base));
        }
    }
}

#[test]
fn the_environment_changes_what_actors_do_but_not_where_they_are() {
    let (folder, base) = (tempfile::tempdir().unwrap(), base_port());
    let output = region(folder.path(), base, &["--exit", "--no-samples"])
        .env("DOCSHARE__SERVER__LISTEN", "127.0.0.1:1")
        .env("DOCSHARE__STORAGE__directory", "/proc/nowhere")
        .env("DOCSHARE__LOG__LEVEL", "error")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let log = std::fs::read_to_string(folder.path().join("logs/registry.log")).unwrap();
    assert!(!log.contains("\"level\":\"info\""), "{log}");
}

#[test]
fn a_polite_signal_ends_everything_and_counts_as_success() {
    let (folder, base) = (tempfile::tempdir().unwrap(), base_port());
    let mut child = up(folder.path(), base);
    signal(&child, "-TERM");
    assert!(child.wait().unwrap().success());
    assert!(gone(base));
}

#[cfg(target_os = "linux")]
#[test]
fn no_actor_outlives_a_launcher_that_is_killed() {
    let (folder, base) = (tempfile::tempdir().unwrap(), base_port());
    let mut child = up(folder.path(), base);
    signal(&child, "-KILL");
    child.wait().unwrap();
    assert!(gone(base), "an actor still listens");
}

#[test]
fn a_port_that_is_taken_is_named_before_anything_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let base = base_port();
    let _taken = TcpListener::bind(("127.0.0.1", base + 2)).unwrap();
    let output = region(folder.path(), base, &["--exit"]).output().unwrap();
    assert!(!output.status.success());
    assert!(told(&output).contains(&format!("port {}", base + 2)), "{}", told(&output));
    assert!(!folder.path().join("logs").exists());
}

/// A cargo that never ends, with a compiler that never ends; both tell their process ids.
fn endless_cargo(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let script = folder.join("cargo");
    let pids = folder.join("pids");
    let text = format!(
        "#!/bin/sh\nsleep 60 > /dev/null 2>&1 &\necho $$ $! > {0}.new && mv {0}.new {0}\nwait\n",
        pids.display()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    script
}

fn within_ten_seconds<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if let Some(found) = found() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} did not happen within ten seconds")
}

#[cfg(target_os = "linux")]
#[test]
fn a_polite_signal_during_the_build_ends_the_build() {
    for (arguments, code) in [(&[][..], 0), (&["--exit"][..], 1)] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_docshare-region"))
            .arg("--dir")
            .arg(folder.path().join("data"))
            .args(arguments)
            .env("CARGO", endless_cargo(folder.path()))
            .env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pids =
            within_ten_seconds("the build", || std::fs::read_to_string(folder.path().join("pids")).ok());
        signal(&child, "-TERM");
        let status = within_ten_seconds("the end", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(code), "{arguments:?}");
        for pid in pids.split_whitespace() {
            let state = format!("/proc/{pid}/stat");
            // One that has ended may still wait for somebody to take note of it.
            let ended = || !std::fs::read_to_string(&state).is_ok_and(|text| !text.contains(") Z "));
            within_ten_seconds("the end of the build", || ended().then_some(()));
        }
    }
}

/// The actors' programs, built as this test was, once.
fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_docshare-region")).parent().unwrap().to_path_buf();
        if let Some(cargo) = std::env::var_os("CARGO") {
            let mut build = Command::new(cargo);
            build.args(["build", "--quiet", "-p", "registry", "-p", "repository", "-p", "identity-source"]);
            build.arg("--target-dir").arg(folder.parent().unwrap());
            if !cfg!(debug_assertions) {
                build.arg("--release");
            }
            assert!(build.status().unwrap().success());
        }
        folder
    })
}

#[test]
fn every_sample_configuration_is_valid_for_its_actor() {
    let programs = programs();
    for name in ["registry", "repository", "identity"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("config/{name}.toml"));
        let program = programs.join(format!("docshare-{name}"));
        let output = Command::new(program).args(["config", "check", "--config"]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{}:\n{}", file.display(), told(&output));
    }
}

#[test]
fn the_log_of_an_actor_that_dies_is_shown() {
    let (folder, base) = (tempfile::tempdir().unwrap(), base_port());
    let mut child = region(folder.path(), base, &["--no-samples"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("The domain is up")));
    // Only ours: the actor whose configuration lies in our folder.
    let pattern = folder.path().join("config/registry.toml");
    let found = Command::new("pgrep")
        .arg("-f")
        .arg(format!("serve --config {}", pattern.display()))
        .output()
        .unwrap();
    let pid = String::from_utf8_lossy(&found.stdout).lines().next().unwrap().to_owned();
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let mut words = String::new();
    child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
    assert!(words.contains("the registry ended"), "{words}");
    assert!(gone(base));
}
