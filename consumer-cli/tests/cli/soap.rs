//! XDS.b spoken by the command line: what is sent, and how the answers are told.

use crate::scripted::{Reply, Request, Server, code, docshare, err, out};

const SOAP: &str = "application/soap+xml; charset=UTF-8";
const RS: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0";
const RIM: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0";
const QUERY: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0";
const STATUS: &str = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:";

fn envelope(body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Header/><s:Body>{body}</s:Body></s:Envelope>"
    )
}

fn soap(status: u16, body: &str) -> Reply {
    let mut reply = Reply::new(status, envelope(body));
    reply.headers = vec![("content-type", SOAP.to_owned())];
    reply
}

fn errors(code: &str, words: &str) -> String {
    format!(
        "<rs:RegistryErrorList xmlns:rs=\"{RS}\"><rs:RegistryError errorCode=\"{code}\" codeContext=\"{words}\" \
         severity=\"urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error\" location=\"Document01\"/></rs:RegistryErrorList>"
    )
}

fn found(objects: &str) -> Reply {
    soap(
        200,
        &format!(
            "<q:AdhocQueryResponse xmlns:q=\"{QUERY}\" status=\"{STATUS}Success\"><rim:RegistryObjectList xmlns:rim=\"{RIM}\">{objects}\
             </rim:RegistryObjectList></q:AdhocQueryResponse>"
        ),
    )
}

/// SHA-1 of `hello`.
const HELLO: &str = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d";

fn entry(hash: &str) -> String {
    let slot = |name: &str, value: &str| {
        format!(
            "<rim:Slot name=\"{name}\"><rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList></rim:Slot>"
        )
    };
    format!(
        "<rim:ExtrinsicObject id=\"urn:uuid:11111111-2222-4333-8444-555555555555\" mimeType=\"text/plain\" \
         status=\"urn:oasis:names:tc:ebxml-regrep:StatusType:Approved\">{}{}{}{}<rim:Name><rim:LocalizedString value=\"A title\"/></rim:Name>\
         <rim:ExternalIdentifier identificationScheme=\"urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab\" value=\"1.2.3\">\
         <rim:Name><rim:LocalizedString value=\"XDSDocumentEntry.uniqueId\"/></rim:Name></rim:ExternalIdentifier></rim:ExtrinsicObject>",
        slot("creationTime", "20240506"),
        slot("hash", hash),
        slot("size", "5"),
        slot("repositoryUniqueId", "9.8.7"),
    )
}

fn retrieved(bytes: &str) -> Reply {
    let root = envelope(&format!(
        "<x:RetrieveDocumentSetResponse xmlns:x=\"urn:ihe:iti:xds-b:2007\"><rs:RegistryResponse xmlns:rs=\"{RS}\" status=\"{STATUS}Success\"/>\
         <x:DocumentResponse><x:RepositoryUniqueId>9.8.7</x:RepositoryUniqueId><x:DocumentUniqueId>1.2.3</x:DocumentUniqueId>\
         <x:mimeType>text/plain</x:mimeType><x:Document><xop:Include xmlns:xop=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:one%40x\"/></x:Document>\
         </x:DocumentResponse></x:RetrieveDocumentSetResponse>"
    ));
    let body = format!(
        "--b\r\nContent-Type: application/xop+xml; type=\"application/soap+xml\"\r\nContent-ID: <root@x>\r\n\r\n{root}\r\n--b\r\n\
         Content-Type: text/plain\r\nContent-ID: <one@x>\r\n\r\n{bytes}\r\n--b--\r\n"
    );
    let mut reply = Reply::new(200, body);
    let kind = "multipart/related; boundary=b; type=\"application/xop+xml\"; start=\"<root@x>\"; start-info=\"application/soap+xml\"";
    reply.headers = vec![("content-type", kind.to_owned())];
    reply
}

fn sent(request: &Request) -> String {
    String::from_utf8_lossy(&request.body).into_owned()
}

#[test]
fn a_stored_query_is_asked_and_its_objects_are_rows() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _, _| Some(found(&entry(HELLO))));
    let arguments = [
        "query",
        "run",
        "FindDocuments",
        "PatientId=urn:oid:1.2|7",
        "Status=approved",
        "-o",
        "json",
        "--fields",
        "id,object,status,title",
    ];
    let output = docshare(folder.path(), &server.host, &arguments);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let rows: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    let expected = serde_json::json!([{
        "id": "urn:uuid:11111111-2222-4333-8444-555555555555", "object": "DocumentEntry", "status": "Approved", "title": "A title"
    }]);
    assert_eq!(rows, expected);
    let request = &server.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/xds/registry"));
    assert!(request.header("content-type").unwrap().contains("RegistryStoredQuery"), "{}", request.head);
    assert!(sent(request).contains("'7^^^&amp;1.2&amp;ISO'"), "{}", sent(request));
    let raw = docshare(
        folder.path(),
        &server.host,
        &["query", "run", "FindDocuments", "PatientId=x", "Status=approved", "-o", "xml"],
    );
    assert!(out(&raw).starts_with("<s:Envelope"), "{}", out(&raw));
}

#[test]
fn references_alone_can_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _, _| {
        Some(found("<rim:ObjectRef id=\"urn:uuid:a\"/><rim:ObjectRef id=\"urn:uuid:b\"/>"))
    });
    let arguments =
        ["query", "run", "GetAssociations", "uuid=urn:uuid:c", "--return", "objectref", "-o", "id"];
    let output = docshare(folder.path(), &server.host, &arguments);
    assert_eq!((code(&output), out(&output).as_str()), (0, "urn:uuid:a\nurn:uuid:b\n"), "{}", err(&output));
    assert!(sent(&server.requests()[0]).contains("returnType=\"ObjectRef\""));
}

#[test]
fn the_queries_are_listed_and_described_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let list = docshare(folder.path(), "http://127.0.0.1:1", &["query", "list", "-o", "id"]);
    assert!(out(&list).lines().any(|line| line == "FindDocumentsByReferenceId"), "{}", out(&list));
    let described =
        docshare(folder.path(), "http://127.0.0.1:1", &["query", "describe", "FindFolders", "-o", "id"]);
    assert!(
        out(&described).lines().any(|line| line == "$XDSFolderLastUpdateTimeFrom"),
        "{}",
        out(&described)
    );
    let unknown = docshare(folder.path(), "http://127.0.0.1:1", &["query", "describe", "FindEverything"]);
    assert_eq!(code(&unknown), 2);
    assert!(err(&unknown).contains("FindDocuments"), "{}", err(&unknown));
}

#[test]
fn a_registry_error_list_is_told_like_an_outcome() {
    let folder = tempfile::tempdir().unwrap();
    for (xds, exit) in [("XDSUnknownPatientId", 4), ("XDSRegistryBusy", 5), ("XDSRegistryError", 5)] {
        let list = errors(xds, "so it is");
        let server = Server::start(move |_, _, _| {
            let body = format!(
                "<q:AdhocQueryResponse xmlns:q=\"{QUERY}\" status=\"{STATUS}Failure\">{list}</q:AdhocQueryResponse>"
            );
            Some(soap(200, &body))
        });
        let output = docshare(
            folder.path(),
            &server.host,
            &["query", "run", "FindDocuments", "PatientId=x", "Status=approved"],
        );
        assert_eq!(code(&output), exit, "{xds}: {}", err(&output));
        let told = err(&output);
        assert!(told.starts_with("error: so it is\n") && told.contains(&format!("code: {xds}")), "{told}");
        assert!(told.contains("at: Document01"), "{told}");
    }
}

#[test]
fn a_fault_and_an_answer_that_is_no_soap_have_their_exits() {
    let folder = tempfile::tempdir().unwrap();
    let fault = |code: &str| {
        format!(
            "<s:Fault xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Code><s:Value>s:{code}</s:Value></s:Code>\
             <s:Reason><s:Text xml:lang=\"en\">words of the server</s:Text></s:Reason></s:Fault>"
        )
    };
    for (status, name, exit) in [(400, "Sender", 4), (500, "Receiver", 5)] {
        let body = fault(name);
        let server = Server::start(move |_, _, _| Some(soap(status, &body)));
        let output = docshare(
            folder.path(),
            &server.host,
            &["query", "run", "FindDocuments", "PatientId=x", "Status=approved"],
        );
        assert_eq!(code(&output), exit, "{}", err(&output));
        assert!(err(&output).contains("words of the server"), "{}", err(&output));
    }
    let server = Server::start(|_, _, _| Some(Reply::new(200, "hello")));
    let output = docshare(
        folder.path(),
        &server.host,
        &["query", "run", "FindDocuments", "PatientId=x", "Status=approved"],
    );
    assert_eq!(code(&output), 5);
    assert!(err(&output).contains("no SOAP"), "{}", err(&output));
}

#[test]
fn documents_are_listed_over_soap() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _, _| Some(found(&entry(HELLO))));
    let arguments = [
        "--via",
        "soap",
        "doc",
        "list",
        "--patient",
        "1.2|7",
        "--since",
        "2024-01-31",
        "--type",
        "http://loinc.org|60591-5",
        "-o",
        "json",
    ];
    let output = docshare(folder.path(), &server.host, &arguments);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let rows: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(
        (&rows[0]["creation"], &rows[0]["size"], &rows[0]["status"]),
        (&"20240506".into(), &5.into(), &"current".into())
    );
    let text = sent(&server.requests()[0]);
    assert!(text.contains("<rim:Value>20240131</rim:Value>"), "{text}");
    assert!(text.contains("('60591-5^^2.16.840.1.113883.6.1')"), "{text}");
    let refused = docshare(
        folder.path(),
        &server.host,
        &["--via", "soap", "doc", "list", "--patient", "http://x/Patient/1"],
    );
    assert_eq!(code(&refused), 2, "{}", err(&refused));
}

#[test]
fn a_document_is_retrieved_over_soap_and_held_against_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, exit) in [("hello", 0), ("jello", 8)] {
        let server = Server::start(move |request, _, _| {
            Some(if request.path == "/xds/registry" { found(&entry(HELLO)) } else { retrieved(bytes) })
        });
        let output = docshare(
            folder.path(),
            &server.host,
            &["--via", "soap", "doc", "get", "urn:oid:1.2.3", "-O", "got.txt", "--force"],
        );
        assert_eq!(code(&output), exit, "{}", err(&output));
        let requests = server.requests();
        assert_eq!(requests[1].path, "/xds/repository");
        assert!(
            sent(&requests[1]).contains(
                "<xds:RepositoryUniqueId>9.8.7</xds:RepositoryUniqueId><xds:DocumentUniqueId>1.2.3<"
            )
        );
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("got.txt")).unwrap(), "hello");
    let server = Server::start(|_, _, _| Some(found("")));
    let output = docshare(folder.path(), &server.host, &["--via", "soap", "doc", "get", "1.2.4"]);
    assert_eq!(code(&output), 3, "{}", err(&output));
}

#[test]
fn documents_are_submitted_as_a_package() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "hello").unwrap();
    let server = Server::start(|_, number, _| {
        let status = if number == 0 { "Failure" } else { "Success" };
        let list = if number == 0 { errors("XDSRegistryNotAvailable", "not now") } else { String::new() };
        Some(soap(
            200,
            &format!(
                "<rs:RegistryResponse xmlns:rs=\"{RS}\" status=\"{STATUS}{status}\">{list}</rs:RegistryResponse>"
            ),
        ))
    });
    let arguments = [
        "--via",
        "soap",
        "doc",
        "submit",
        "a.txt",
        "--patient",
        "urn:oid:1.2|7",
        "--minimal",
        "--type",
        "http://loinc.org|60591-5|Summary",
        "--author",
        "Muster, Anna",
        "-o",
        "json",
    ];
    let output = docshare(folder.path(), &server.host, &arguments);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let requests = server.requests();
    assert_eq!(requests.len(), 2, "what passes is tried again");
    assert_eq!(requests[0].body, requests[1].body, "as the very same message");
    let request = &requests[0];
    assert_eq!(request.path, "/xds/repository");
    assert!(request.header("content-type").unwrap().starts_with("multipart/related;"), "{}", request.head);
    let text = sent(request);
    for expected in [
        "\r\n\r\nhello\r\n--",
        "7^^^&amp;1.2&amp;ISO",
        HELLO,
        "^Muster^Anna",
        "nodeRepresentation=\"60591-5\"",
        "<xds:Document id=\"Document01\">",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let rows: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!((&rows[0]["file"], &rows[0]["status"]), (&"a.txt".into(), &"registered".into()));
}

#[test]
fn what_soap_cannot_say_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["--via", "soap", "patient", "find", "x"][..],
        &["--via", "soap", "doc", "deprecate", "x"],
        &["--via", "soap", "doc", "list", "--patient", "1.2|7", "--sort", "-date"],
        &["doc", "list", "--patient", "1.2|7", "-o", "xml"],
        &["query", "run", "FindDocuments", "PatientId=x", "Status=approved", "-o", "fhir"],
    ] {
        let output = docshare(folder.path(), "http://127.0.0.1:1", arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", err(&output));
    }
}
