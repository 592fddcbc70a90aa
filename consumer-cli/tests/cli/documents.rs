//! Documents going out and coming in, against servers that are helpful, slow, broken, or hostile.

use crate::scripted::{Reply, Request, Server, code, command, docshare, err, out};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

const CODES: &[&str] = &[
    "--type",
    "http://loinc.org|34133-9|Summary",
    "--category",
    "http://loinc.org|11503-0|Records",
    "--facility",
    "http://snomed.info/sct|22232009|Hospital",
    "--practice-setting",
    "http://snomed.info/sct|394802001|General",
];

fn sha1(bytes: &[u8]) -> String {
    STANDARD.encode(Sha1::digest(bytes))
}

fn document(host: &str, promised: &[u8], title: &str) -> Value {
    json!({"resourceType": "DocumentReference", "id": "d1", "status": "current",
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.25.1"},
        "subject": {"reference": "http://127.0.0.1:1/fhir/Patient/p1"},
        "content": [{"attachment": {"contentType": "text/plain", "url": format!("{host}/documents/1"),
            "size": promised.len(), "hash": sha1(promised), "title": title}}]})
}

/// A repository and registry of one document: its metadata promise `promised`, its bytes come as `reply` says.
fn one_document(
    promised: &'static [u8],
    title: &'static str,
    reply: impl Fn(&Request, usize) -> Reply + Send + 'static,
) -> Server {
    Server::start(move |request: &Request, number, host| {
        Some(match request.path.as_str() {
            "/fhir/DocumentReference/d1" => Reply::json(200, document(host, promised, title)),
            _ => reply(request, number),
        })
    })
}

fn files(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "home");
    names.sort();
    names
}

fn receipt(host: &str, documents: usize) -> Value {
    let mut entries = vec![
        json!({"response": {"status": "201 Created", "location": format!("{host}/fhir/List/s1/_history/1")}}),
    ];
    entries.extend((0..documents).map(|n| {
        json!({"response": {"status": "201 Created", "location": format!("{host}/fhir/DocumentReference/d{n}/_history/1")}})
    }));
    json!({"resourceType": "Bundle", "type": "transaction-response", "entry": entries})
}

fn submit<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["doc", "submit", "--patient", "1.2|7"];
    arguments.extend_from_slice(CODES);
    arguments.extend_from_slice(more);
    arguments
}

#[test]
fn files_are_submitted_as_one_bundle_with_their_measures_and_bytes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "hello").unwrap();
    std::fs::write(folder.path().join("b.pdf"), "%PDF-1.4 …").unwrap();
    let server = Server::start(|_: &Request, _, host| Some(Reply::json(200, receipt(host, 2))));
    let run = docshare(folder.path(), &server.host, &submit(&["a.txt", "b.pdf", "-o", "id"]));
    assert_eq!((code(&run), out(&run).as_str()), (0, "d0\nd1\n"), "{}", err(&run));
    let bundle: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    let resource = |n: usize| &bundle["entry"][n]["resource"];
    let attachment = &resource(2)["content"][0]["attachment"];
    assert_eq!(attachment["contentType"], "application/pdf");
    assert_eq!(attachment["hash"], json!(sha1("%PDF-1.4 …".as_bytes())));
    assert_eq!(STANDARD.decode(resource(3)["data"].as_str().unwrap()).unwrap(), b"hello");
    assert_eq!(resource(0)["subject"]["identifier"], json!({"system": "urn:oid:1.2", "value": "7"}));
    assert!(resource(0)["identifier"][0]["value"].as_str().unwrap().starts_with("urn:oid:2.25."));
}

#[test]
fn an_id_that_names_nothing_for_ever_is_refused_before_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "hello").unwrap();
    let server = Server::start(|_: &Request, _, host| Some(Reply::json(200, receipt(host, 1))));
    for (flag, wrong) in [("--unique-id", "letter 7"), ("--submission-id", "urn:uuid:7")] {
        let run = docshare(folder.path(), &server.host, &submit(&["a.txt", flag, wrong]));
        assert_eq!(code(&run), 2, "{}", err(&run));
        assert!(err(&run).contains("urn:oid:"), "{}", err(&run));
    }
    assert!(server.requests().is_empty());
    let run = docshare(folder.path(), &server.host, &submit(&["a.txt", "--submission-id", "1.2.3"]));
    assert_eq!(code(&run), 0, "{}", err(&run));
    let bundle: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(bundle["entry"][0]["resource"]["identifier"][0]["value"], "urn:oid:1.2.3");
}

#[test]
fn a_comprehensive_submission_without_its_codes_is_refused_before_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "hello").unwrap();
    let server = Server::start(|_: &Request, _, host| Some(Reply::json(200, receipt(host, 1))));
    let run = docshare(folder.path(), &server.host, &["doc", "submit", "a.txt", "--patient", "1.2|7"]);
    assert_eq!(code(&run), 2);
    assert!(
        err(&run).contains("--type, --category, --facility, --practice-setting of a.txt"),
        "{}",
        err(&run)
    );
    assert!(server.requests().is_empty());
    let run =
        docshare(folder.path(), &server.host, &["doc", "submit", "a.txt", "--patient", "1.2|7", "--minimal"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
}

#[test]
fn an_unknown_outcome_is_tried_again_with_the_very_same_submission() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "hello").unwrap();
    let server = Server::start(|_: &Request, number, host| match number {
        0 => None,
        1 => Some(Reply::json(503, json!({}))),
        _ => Some(Reply::json(200, receipt(host, 1)).header("idempotency-replayed", "true")),
    });
    let run = docshare(folder.path(), &server.host, &submit(&["a.txt", "-o", "json"]));
    assert_eq!(code(&run), 0, "{}", err(&run));
    let rows: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(rows[0]["replayed"], true);
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.body == requests[0].body), "the three sends differ");
}

#[test]
fn an_outcome_that_stays_unknown_can_be_resumed_later_under_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "hello").unwrap();
    let server = Server::start(|_: &Request, number, host| match number {
        0 => Some(Reply::json(503, json!({}))),
        _ => Some(Reply::json(200, receipt(host, 1))),
    });
    let run = docshare(folder.path(), &server.host, &submit(&["a.txt", "--deadline", "0"]));
    assert_eq!(code(&run), 5);
    let words = err(&run);
    let id = words.split("--resume ").nth(1).unwrap().trim().to_owned();
    let waiting = docshare(folder.path(), &server.host, &["submission", "pending", "-o", "id"]);
    assert_eq!(out(&waiting), format!("{id}\n"));
    let run = docshare(folder.path(), &server.host, &["doc", "submit", "--resume", &id, "-o", "id"]);
    assert_eq!((code(&run), out(&run).as_str()), (0, "d0\n"), "{}", err(&run));
    let requests = server.requests();
    assert_eq!(requests[0].body, requests[1].body);
    let again = docshare(folder.path(), &server.host, &["doc", "submit", "--resume", &id]);
    assert_eq!(code(&again), 2, "a known outcome is forgotten");
}

#[test]
fn a_refused_submission_is_not_sent_twice() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "hello").unwrap();
    let server = Server::start(|_: &Request, _, _| Some(Reply::json(409, json!({}))));
    assert_eq!(code(&docshare(folder.path(), &server.host, &submit(&["a.txt"]))), 4);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_printed_bundle_is_what_would_be_sent() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "hello").unwrap();
    let run = docshare(folder.path(), "http://127.0.0.1:9", &submit(&["a.txt", "--print-bundle"]));
    assert_eq!(code(&run), 0, "{}", err(&run));
    let bundle: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(bundle["entry"][2]["resource"]["data"], STANDARD.encode("hello"));
}

#[test]
fn a_replacement_inherits_names_its_target_and_supersedes_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.txt"), "new").unwrap();
    let server = Server::start(|request: &Request, _, host| {
        Some(match request.method.as_str() {
            "GET" => Reply::json(200, document(host, b"old", "Letter")),
            _ => Reply::json(200, receipt(host, 1)),
        })
    });
    let run = docshare(folder.path(), &server.host, &["doc", "replace", "d1", "b.txt", "--minimal"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let bundle: Value = serde_json::from_slice(&server.requests()[1].body).unwrap();
    let new = &bundle["entry"][1]["resource"];
    assert_eq!(
        new["relatesTo"][0]["target"]["reference"],
        format!("{}/fhir/DocumentReference/d1", server.host)
    );
    assert_eq!(new["content"][0]["attachment"]["title"], "Letter");
    assert_eq!(new["subject"]["reference"], "http://127.0.0.1:1/fhir/Patient/p1");
    assert_eq!(bundle["entry"][2]["request"]["method"], "PATCH");
}

#[test]
fn a_document_gets_its_name_once_complete_and_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let server = one_document(b"hello", "Letter", |_, _| Reply::new(200, "hello"));
    let run = docshare(folder.path(), &server.host, &["doc", "get", "d1", "-o", "json"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let rows: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&rows[0]["file"], &rows[0]["checked"]), (&json!("Letter.txt"), &json!("size and hash")));
    assert_eq!(std::fs::read(folder.path().join("Letter.txt")).unwrap(), b"hello");
    std::fs::write(folder.path().join("Letter.txt"), "mine").unwrap();
    assert_eq!(code(&docshare(folder.path(), &server.host, &["doc", "get", "d1"])), 2);
    assert_eq!(std::fs::read(folder.path().join("Letter.txt")).unwrap(), b"mine");
    assert_eq!(code(&docshare(folder.path(), &server.host, &["doc", "get", "d1", "--force"])), 0);
    assert_eq!(files(folder.path()), ["Letter.txt"]);
}

#[test]
fn standard_output_gets_the_bytes_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = one_document(b"hello", "Letter", |_, _| Reply::new(200, "hello"));
    let run = docshare(folder.path(), &server.host, &["doc", "get", "d1", "--out", "-"]);
    assert_eq!((code(&run), out(&run).as_str()), (0, "hello"), "{}", err(&run));
    assert!(files(folder.path()).is_empty());
}

#[test]
fn a_transfer_that_breaks_off_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let server = one_document(b"hello world", "Letter", |request, _| match request.header("range") {
        None => Reply::new(200, "hello world").cut(5),
        Some("bytes=5-") => Reply::new(206, " world").header("content-range", "bytes 5-10/11"),
        Some(other) => panic!("asked for {other}"),
    });
    let run = docshare(folder.path(), &server.host, &["doc", "get", "d1", "--out", "x"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    assert_eq!(std::fs::read(folder.path().join("x")).unwrap(), b"hello world");
}

#[test]
fn a_later_run_resumes_what_an_earlier_one_left_and_begins_anew_if_that_was_wrong() {
    for (left, asked) in [(&b"hello"[..], true), (&b"HELLO"[..], true), (&b""[..], false)] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".d1.docshare-part"), left).unwrap();
        let server = one_document(b"hello world", "Letter", |request, _| match request.header("range") {
            None => Reply::new(200, "hello world"),
            Some(_) => Reply::new(206, " world").header("content-range", "bytes 5-10/11"),
        });
        let run = docshare(folder.path(), &server.host, &["doc", "get", "d1", "--out", "x"]);
        assert_eq!(code(&run), 0, "{}", err(&run));
        assert_eq!(std::fs::read(folder.path().join("x")).unwrap(), b"hello world");
        assert_eq!(server.requests()[1].header("range").is_some(), asked);
        assert_eq!(files(folder.path()), ["x"]);
    }
}

/// cli-01
#[test]
fn terminal_controls_in_a_title_are_shown_escaped_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let title = "a\u{1b}]0;pwned\u{7}\u{1b}[2J\u{202e}b";
    let server = Server::start(move |_: &Request, _, host| {
        let document = document(host, b"x", title);
        Some(Reply::json(
            200,
            json!({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": document}]}),
        ))
    });
    for format in ["table", "json", "ndjson", "csv"] {
        let run = docshare(folder.path(), &server.host, &["doc", "list", "--patient", "p1", "-o", format]);
        assert_eq!(code(&run), 0, "{}", err(&run));
        let shown = out(&run);
        assert!(shown.contains("pwned"), "{shown}");
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{format}: {shown:?}");
    }
}

/// cli-01, of what a server says went wrong
#[test]
fn terminal_controls_in_an_outcome_are_shown_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_: &Request, _, _| {
        Some(Reply::json(
            400,
            json!({"resourceType": "OperationOutcome", "issue": [{"diagnostics": "no\u{1b}[2J\u{202e}"}]}),
        ))
    });
    let run = docshare(folder.path(), &server.host, &["doc", "list", "--patient", "p1"]);
    assert!(err(&run).contains("no\\x1b[2J\\u{202e}"), "{}", err(&run));
}

/// cli-02
#[test]
fn a_suggested_file_name_never_leaves_the_chosen_folder() {
    for suggested in ["../../.bashrc", "/etc/x", "CON", "..", "a/../../b", ".ssh/authorized_keys"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        let header = format!("attachment; filename=\"{suggested}\"");
        let server = one_document(b"hello", "../../title", move |_, _| {
            Reply::new(200, "hello").header("content-disposition", header.clone())
        });
        let run = docshare(folder.path(), &server.host, &["doc", "get", "d1", "--out", "in"]);
        assert_eq!(code(&run), 0, "{suggested}: {}", err(&run));
        assert_eq!(files(folder.path()), ["in"], "{suggested}");
        let written = files(&folder.path().join("in"));
        assert!(written.len() == 1 && !written[0].starts_with('.'), "{suggested}: {written:?}");
    }
}

/// cli-03
#[test]
fn other_bytes_than_promised_exit_with_8_and_leave_no_file() {
    for body in [&b"HELLO"[..], b"hell", b"hello!"] {
        let folder = tempfile::tempdir().unwrap();
        let server = one_document(b"hello", "Letter", move |_, _| Reply::new(200, body));
        for arguments in
            [&["doc", "get", "d1"][..], &["doc", "get", "d1", "--out", "-"], &["doc", "verify", "d1"]]
        {
            let run = docshare(folder.path(), &server.host, arguments);
            assert_eq!(code(&run), 8, "{arguments:?}: {}", err(&run));
            assert_eq!(out(&run), "");
            assert!(files(folder.path()).is_empty(), "{:?}", files(folder.path()));
        }
    }
}

#[test]
fn a_wrong_digest_of_the_server_itself_is_a_mismatch_too() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = format!("sha-256=:{}:", STANDARD.encode([7; 32]));
    let server = one_document(b"hello", "Letter", move |_, _| {
        Reply::new(200, "hello").header("repr-digest", wrong.clone())
    });
    assert_eq!(code(&docshare(folder.path(), &server.host, &["doc", "verify", "d1"])), 8);
}

/// cli-04
#[test]
fn pages_that_go_in_a_circle_end_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_: &Request, _, host| {
        let link = json!([{"relation": "next", "url": format!("{host}/fhir/DocumentReference?_page=x")}]);
        Some(Reply::json(
            200,
            json!({"resourceType": "Bundle", "type": "searchset", "link": link,
            "entry": [{"resource": document(host, b"x", "t")}]}),
        ))
    });
    let run = docshare(folder.path(), &server.host, &["doc", "list", "--patient", "p1", "--all"]);
    assert_eq!(code(&run), 1, "{}", err(&run));
    assert!(server.requests().len() < 5);
}

#[test]
fn all_pages_are_fetched_when_asked_for_and_only_the_first_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request: &Request, _, host| {
        let next = json!([{"relation": "next", "url": format!("{host}/fhir/DocumentReference?_page=2")}]);
        let link = if request.method == "POST" { next } else { json!([]) };
        Some(Reply::json(
            200,
            json!({"resourceType": "Bundle", "type": "searchset", "link": link,
                "entry": [{"resource": document(host, b"x", "t")}]}),
        ))
    });
    let run = docshare(folder.path(), &server.host, &["doc", "list", "--patient", "p1", "-o", "id"]);
    assert_eq!((code(&run), out(&run).as_str()), (0, "d1\n"));
    assert!(err(&run).contains("--all"), "{}", err(&run));
    let run = docshare(folder.path(), &server.host, &["doc", "list", "--patient", "p1", "-o", "id", "--all"]);
    assert_eq!((code(&run), out(&run).as_str()), (0, "d1\nd1\n"));
}

#[test]
fn pages_on_another_server_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_: &Request, _, _| {
        let link = json!([{"relation": "next", "url": "http://127.0.0.1:9/fhir/x"}]);
        Some(Reply::json(200, json!({"resourceType": "Bundle", "type": "searchset", "link": link})))
    });
    assert_eq!(code(&docshare(folder.path(), &server.host, &["doc", "list", "--patient", "p1", "--all"])), 1);
}

#[test]
fn a_document_on_another_server_is_fetched_without_our_token() {
    let folder = tempfile::tempdir().unwrap();
    let other = Server::start(|_: &Request, _, _| Some(Reply::new(200, "hello")));
    let address = other.host.clone();
    let server =
        Server::start(move |_: &Request, _, _| Some(Reply::json(200, document(&address, b"hello", "t"))));
    let run = command(folder.path(), &server.host, &["doc", "verify", "d1"])
        .env("DOCSHARE_TOKEN", "s3cret")
        .output()
        .unwrap();
    assert_eq!(code(&run), 0, "{}", err(&run));
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer s3cret"));
    assert_eq!(other.requests()[0].header("authorization"), None);
}

#[test]
fn several_of_which_one_is_missing_are_partly_done() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request: &Request, _, host| {
        Some(match request.path.as_str() {
            "/fhir/DocumentReference/d1" => Reply::json(200, document(host, b"hello", "t")),
            "/documents/1" => Reply::new(200, "hello"),
            _ => Reply::json(404, json!({})),
        })
    });
    let run = docshare(folder.path(), &server.host, &["doc", "get", "d1", "d2", "--out", "in/"]);
    assert_eq!(code(&run), 9, "{}", err(&run));
    assert_eq!(files(&folder.path().join("in")), ["t.txt"]);
}
