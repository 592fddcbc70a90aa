//! An actor as a process: its ready line, its signals, its exit codes. Uses the example `bare`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

fn command() -> Command {
    let test = std::env::current_exe().expect("a test knows where it is");
    let built =
        test.ancestors().nth(2).map(|folder| folder.join("examples/bare")).expect("target/debug/deps/…");
    let mut command = Command::new(built);
    for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("DOCSHARE__")) {
        command.env_remove(variable);
    }
    command
}

struct Process {
    child: Child,
    host: String,
    admin: String,
    _directory: tempfile::TempDir,
}

impl Process {
    fn start() -> Process {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut child = command()
            .args(["--set", "storage.engine=memory", "--set", "log.level=warn"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example is built beside this test");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says that it is ready");
        let ready: serde_json::Value = serde_json::from_str(&line).expect("one JSON object");
        assert_eq!((ready["event"].as_str(), ready["actor"].as_str()), (Some("ready"), Some("bare")));
        let address =
            |name: &str| ready[name].as_str().expect("an address").trim_start_matches("http://").to_owned();
        Process { child, host: address("listen"), admin: address("admin"), _directory: directory }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
    }

    fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the process did not end");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn get(address: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).expect("it listens");
    socket
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes())
        .expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("it answers in text");
    answer
}

#[test]
fn an_actor_tells_where_it_listens_serves_and_ends_when_asked() {
    let mut process = Process::start();
    assert!(get(&process.host, "/empty").starts_with("HTTP/1.1 200"));
    for path in ["/livez", "/readyz", "/startupz", "/readyz?verbose"] {
        assert!(get(&process.admin, path).starts_with("HTTP/1.1 200"), "{path}");
    }
    let metrics = get(&process.admin, "/metrics");
    for name in [
        "docshare_build_info{actor=\"bare\"",
        "docshare_http_requests_total{actor=\"bare\"",
        "process_resident_memory_bytes ",
    ] {
        assert!(metrics.contains(name), "{name} is missing in {metrics}");
    }
    assert!(get(&process.admin, "/version").contains("\"actor\":\"bare\""));
    assert!(get(&process.admin, "/config").contains("engine = \"memory\""));
    process.signal(Signal::HUP);
    assert!(get(&process.host, "/empty").starts_with("HTTP/1.1 200"), "a hang-up is no reason to end");
    process.signal(Signal::TERM);
    assert_eq!(process.wait(), Some(0));
}

#[test]
fn a_request_under_way_is_finished_before_the_end() {
    let mut process = Process::start();
    let mut socket = TcpStream::connect(&process.host).expect("it listens");
    socket.write_all(b"POST /bytes HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc").expect("it reads");
    // The first half has arrived once the metric counts the request as under way.
    let deadline = Instant::now() + Duration::from_secs(5);
    while !get(&process.admin, "/metrics").contains("docshare_http_requests_in_flight{actor=\"bare\"} 1") {
        assert!(Instant::now() < deadline, "the request did not arrive");
    }
    process.signal(Signal::INT);
    while TcpStream::connect(&process.host).is_ok() && Instant::now() < deadline {}
    socket.write_all(b"def").expect("the connection is still served");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("it answers in text");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with('6'), "{answer}");
    assert_eq!(process.wait(), Some(0));
}

fn refused(arguments: &[&str]) -> Output {
    command().args(arguments).output().expect("the example is built beside this test")
}

#[test]
fn an_actor_that_cannot_start_says_why_by_its_code() {
    let usage = refused(&["--nonsense"]);
    assert_eq!(usage.status.code(), Some(64));
    let open = refused(&["--set", "storage.engine=memory", "--set", "server.listen=0.0.0.0:0"]);
    assert_eq!(open.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&open.stderr).contains("only loopback"), "{open:?}");
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let listen = format!("server.listen={}", taken.local_addr().expect("an address"));
    let busy = refused(&["--set", "storage.engine=memory", "--set", &listen]);
    assert_eq!(busy.status.code(), Some(69));
    let file = tempfile::NamedTempFile::new().expect("a file");
    let directory = format!("storage.directory={}/under-a-file", file.path().display());
    let storage = refused(&["--set", &directory]);
    assert_eq!(storage.status.code(), Some(74), "{storage:?}");
}

#[test]
fn the_verbs_answer_without_serving() {
    let text = |arguments: &[&str]| {
        let output = refused(arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(text(&["config", "reference"]).contains("| `server.limits.max_document_bytes` | `\"100MiB\"` |"));
    assert!(text(&["config", "print", "--set", "log.level=debug"]).contains("level = \"debug\""));
    assert!(text(&["config", "check"]).contains("sound"));
    assert!(text(&["version", "--json"]).contains("\"product\":\"docshare\""));
    let help = text(&["--help"]);
    assert!(help.contains("docshare-bare") && help.contains("reconcile"), "{help}");
}

#[test]
fn a_variable_that_is_no_text_is_a_fault_only_if_it_is_ours() {
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"\xff");
    let check = |variable: &str| {
        command().args(["config", "check"]).env(variable, odd).output().expect("the example is built")
    };
    assert_eq!(check("SOMEBODY_ELSES").status.code(), Some(0));
    let ours = check("DOCSHARE__LOG__LEVEL");
    assert_eq!(ours.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&ours.stderr).contains("DOCSHARE__LOG__LEVEL"), "{ours:?}");
}

#[test]
fn an_actor_that_does_not_run_or_has_nothing_to_compare_says_so() {
    let gone = refused(&["reconcile", "--plan", "--set", "admin.listen=127.0.0.1:1"]);
    assert_eq!(gone.status.code(), Some(69), "{gone:?}");
    assert!(String::from_utf8_lossy(&gone.stderr).contains("start it first"), "{gone:?}");
    assert_eq!(refused(&["reconcile"]).status.code(), Some(64), "it must be told what to do");
    let process = Process::start();
    let nothing = refused(&["reconcile", "--apply", "--set", &format!("admin.listen={}", process.admin)]);
    assert_eq!(nothing.status.code(), Some(64), "{nothing:?}");
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("nothing to reconcile"), "{nothing:?}");
}

/// The arguments that name a data directory and ports nobody listens on.
fn of(directory: &std::path::Path) -> Vec<String> {
    let free = || TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("an address");
    let set = |key: &str, value: String| ["--set".to_owned(), format!("{key}={value}")];
    [
        set("storage.directory", directory.join("data").display().to_string()),
        set("server.listen", free().to_string()),
        set("admin.listen", free().to_string()),
        set("log.level", "warn".to_owned()),
    ]
    .concat()
}

/// The code and what was printed on standard output, and on standard error.
fn told(verb: &[&str], configuration: &[String]) -> (Option<i32>, String, String) {
    let output = command().args(verb).args(configuration).output().expect("the example is built");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A process on a data directory, once it is ready.
fn served(configuration: &[String]) -> Child {
    let mut child = command().args(configuration).stdout(Stdio::piped()).spawn().expect("it is built");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it was piped")).read_line(&mut line).expect("a line");
    assert!(line.contains("ready"), "{line}");
    child
}

fn end(mut child: Child) {
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    let status = child.wait().expect("it is our child");
    assert!(status.success(), "{status}");
}

#[test]
fn a_data_directory_is_backed_up_while_it_is_used_and_comes_back_from_the_backup() {
    let folder = tempfile::tempdir().expect("a folder");
    let configuration = of(folder.path());
    let to = folder.path().join("backup").display().to_string();
    let child = served(&configuration);
    let (code, text, error) = told(&["backup", "--to", &to], &configuration);
    assert_eq!(code, Some(0), "{error}");
    assert!(text.starts_with("backed up the bare to "), "{text}");
    let (code, text, _) = told(&["verify", "-o", "json"], &configuration);
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &report["clean"], &report["counts"]["segments"]), (Some(0), &true.into(), &2.into()));
    let (code, _, error) = told(&["restore", "--force", "--from", &to], &configuration);
    assert_eq!(code, Some(74));
    assert!(error.contains("in use by another process"), "{error}");
    end(child);
    std::fs::remove_dir_all(folder.path().join("data")).expect("it is there");
    let (code, _, error) = told(&["serve"], &configuration);
    assert_eq!(code, Some(74), "a missing directory is not made anew");
    assert!(error.contains("restore --from"), "{error}");
    assert_eq!(told(&["verify", "--deep", "--from", &to], &configuration).0, Some(0));
    let (code, text, error) = told(&["restore", "--from", &to], &configuration);
    assert_eq!(code, Some(0), "{error}");
    assert!(text.contains("number 2"), "{text}");
    end(served(&configuration));
    assert_eq!(told(&["verify"], &configuration).0, Some(0));
    std::fs::remove_file(folder.path().join("backup/backup.json")).expect("it is there");
    let (code, _, error) = told(&["restore", "--force", "--from", &to], &configuration);
    assert_eq!(code, Some(74));
    assert!(error.contains("not completed"), "{error}");
    end(served(&configuration));
}

#[test]
fn the_doctor_tells_what_is_well_and_what_to_do_where_it_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let configuration = of(folder.path());
    let child = served(&configuration);
    let (code, text, _) = told(&["doctor", "-o", "json"], &configuration);
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &report["ok"]), (Some(0), &true.into()), "{text}");
    let verdict = |name: &str| {
        let checks = report["checks"].as_array().expect("checks");
        let found = checks.iter().find(|check| check["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is missing in {text}"))["verdict"].clone()
    };
    for name in ["data-directory", "incarnation", "lock", "format", "admin.listen", "running-actor"] {
        assert_eq!(verdict(name), "ok", "{name}: {text}");
    }
    end(child);
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let listen = format!("server.listen={}", taken.local_addr().expect("an address"));
    let other = [&configuration[..], &["--set".to_owned(), listen]].concat();
    let (code, text, _) = told(&["doctor", "--backup", "/nowhere"], &other);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("not this actor that answers") && text.contains("-> docshare-bare backup"),
        "{text}"
    );
    std::fs::remove_dir_all(folder.path().join("data")).expect("it is there");
    let (code, text, _) = told(&["doctor"], &configuration);
    assert_eq!(code, Some(1));
    assert!(text.contains("fail  incarnation") && text.contains("is missing"), "{text}");
}
