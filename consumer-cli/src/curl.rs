//! A request as the curl command that does the same.

use reqwest::header::HeaderMap;

use crate::client::Body;

/// One line for a shell. The bearer token is named, not shown.
pub(crate) fn line(method: &str, url: &str, headers: &HeaderMap, body: &Body) -> String {
    let mut words = vec!["curl".to_owned(), "-sS".to_owned()];
    match method {
        "GET" => {}
        "HEAD" => words.push("-I".to_owned()),
        _ => words.extend(["-X".to_owned(), method.to_owned()]),
    }
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        match name.as_str() {
            "authorization" => {
                words.extend(["-H".into(), "\"Authorization: Bearer $DOCSHARE_TOKEN\"".into()])
            }
            "x-request-id" | "content-length" | "user-agent" => {}
            "content-type" if matches!(body, Body::Form(_)) => {}
            name => words.extend(["-H".into(), quote(&format!("{name}: {value}"))]),
        }
    }
    match body {
        Body::None => {}
        Body::Form(pairs) => {
            for (name, value) in pairs {
                words.extend(["--data-urlencode".into(), quote(&format!("{name}={value}"))]);
            }
        }
        Body::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if text.len() <= 4096 => words.extend(["--data-binary".into(), quote(text)]),
            _ => words.extend(["--data-binary".into(), "@-".into()]),
        },
        Body::Submission(_) => words.extend(["--data-binary".into(), "@-".into()]),
    }
    words.push(quote(url));
    let command = words.join(" ");
    if matches!(body, Body::Submission(_)) {
        return format!("docshare doc submit --print-bundle … | {command}");
    }
    command
}

/// Quotes for a POSIX shell, where needed.
fn quote(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@,+%".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{AUTHORIZATION, HeaderValue};

    use super::*;

    #[test]
    fn a_search_reads_as_a_curl_command_without_its_secret() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"));
        let body = Body::Form(vec![("patient.identifier".into(), "urn:oid:1.2|it's".into())]);
        let line = line("POST", "http://h/fhir/DocumentReference/_search", &headers, &body);
        assert_eq!(
            line,
            "curl -sS -X POST -H \"Authorization: Bearer $DOCSHARE_TOKEN\" \
             --data-urlencode 'patient.identifier=urn:oid:1.2|it'\\''s' http://h/fhir/DocumentReference/_search"
        );
    }
}
