//! Which pages of other sites may read answers in a browser: those from origins the operator has listed, and no others.

use std::str::FromStr;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, AnswerBody};

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS";
const REQUEST_HEADERS: &str = "Authorization, Content-Type, Accept, Prefer, If-Match, If-None-Match, If-None-Exist, \
     If-Modified-Since, Cache-Control, Range, X-Request-Id, traceparent, X-Requested-With, x-fhir-starter, Idempotency-Key";
const EXPOSED: &str = "Location, Content-Location, ETag, Last-Modified, X-Request-Id, traceparent, Content-Disposition, \
     Content-Length, Content-Range, Accept-Ranges, Repr-Digest, Retry-After, Preference-Applied, WWW-Authenticate, \
     X-Progress, Expires, Accept-Patch, Idempotency-Replayed";
/// Seconds a browser may keep the answer to a preflight.
const MAX_AGE: &str = "600";

/// An origin as a browser writes it: `https://viewer.example`, `http://localhost:3000`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Origin(String);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Origin, String> {
        let wrong = || {
            format!(
                "{text:?} is not an origin: write scheme, host and, if it is not the usual one, the port, \
                 e.g. \"https://viewer.example\" or \"http://localhost:3000\"; each is named by itself, there is no \"*\""
            )
        };
        let url = url::Url::parse(text).map_err(|_| wrong())?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && !text.contains('*');
        let origin = url.origin();
        if plain && origin.is_tuple() { Ok(Origin(origin.ascii_serialization())) } else { Err(wrong()) }
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Origin, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a browser is to be told beside the answer to its request.
pub(crate) enum Cors {
    /// It asks beforehand whether the page may send such a request.
    Preflight(HeaderValue),
    /// It sends a page's request.
    Actual(HeaderValue),
}

impl Cors {
    /// What a request asks for; none if it comes from no page, or from one of an origin that is not listed.
    pub(crate) fn of(method: &Method, headers: &HeaderMap, listed: &[Origin]) -> Option<Cors> {
        let origin = headers.get(ORIGIN)?;
        listed.iter().find(|known| known.0.as_bytes() == origin.as_bytes())?;
        let asks = *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        Some(if asks { Cors::Preflight(origin.clone()) } else { Cors::Actual(origin.clone()) })
    }

    /// Adds what the browser waits for. A preflight asks about methods and headers only: it is answered alike on every path,
    /// so that the page gets to read the refusal of what it sends then.
    pub(crate) fn tell(self, answer: &mut Answer) {
        match self {
            Cors::Preflight(origin) => {
                answer.status = StatusCode::NO_CONTENT;
                answer.body = AnswerBody::Empty;
                answer.headers.retain(|(name, _)| *name != http::header::CONTENT_TYPE);
                answer.headers.push((ACCESS_CONTROL_ALLOW_ORIGIN, origin));
                answer.headers.push((ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS)));
                answer
                    .headers
                    .push((ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS)));
                answer.headers.push((ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE)));
            }
            Cors::Actual(origin) => {
                answer.headers.push((ACCESS_CONTROL_ALLOW_ORIGIN, origin));
                answer.headers.push((ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let lines = lines
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
        lines.collect()
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (written, origin) in [
            ("https://viewer.example", "https://viewer.example"),
            ("https://Viewer.Example:443/", "https://viewer.example"),
            ("http://localhost:3000", "http://localhost:3000"),
        ] {
            assert_eq!(written.parse(), Ok(Origin(origin.to_owned())));
        }
        for wrong in
            ["*", "null", "viewer.example", "https://a.example/app", "https://*.example", "ftp://a", ""]
        {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_listed_origins_are_told_anything() {
        let listed = ["https://viewer.example".parse().unwrap()];
        let ours = headers(&[("origin", "https://viewer.example")]);
        assert!(matches!(Cors::of(&Method::GET, &ours, &listed), Some(Cors::Actual(_))));
        assert!(Cors::of(&Method::GET, &ours, &[]).is_none(), "off until origins are listed");
        assert!(Cors::of(&Method::GET, &headers(&[]), &listed).is_none());
        for foreign in
            ["https://evil.test", "https://viewer.example.evil.test", "http://viewer.example", "null"]
        {
            assert!(Cors::of(&Method::GET, &headers(&[("origin", foreign)]), &listed).is_none(), "{foreign}");
        }
    }

    #[test]
    fn a_preflight_is_answered_whatever_lies_behind_the_path() {
        let listed = ["https://viewer.example".parse().unwrap()];
        let asking =
            headers(&[("origin", "https://viewer.example"), ("access-control-request-method", "PATCH")]);
        let mut answer = Answer::bytes(StatusCode::NOT_FOUND, "application/fhir+json", "{}");
        Cors::of(&Method::OPTIONS, &asking, &listed).unwrap().tell(&mut answer);
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        let told = |name: &str| {
            let found = answer.headers.iter().find(|(known, _)| known.as_str() == name);
            found.map(|(_, value)| value.to_str().unwrap())
        };
        assert_eq!(told("access-control-allow-origin"), Some("https://viewer.example"));
        assert!(told("access-control-allow-headers").unwrap().contains("x-fhir-starter"));
        assert_eq!((told("access-control-max-age"), told("content-type")), (Some("600"), None));
    }
}
