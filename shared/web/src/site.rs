//! What a server knows about where it stands: its public address, and whom it believes about it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::str::FromStr;

use actix_http::Payload;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, FORWARDED, HOST};
use serde::{Deserialize, Serialize};

use crate::coding::Coding;
use crate::cors::Origin;
use crate::guard::Connection;
use crate::head::{Framing, Head};
use crate::incoming::Incoming;
use crate::limits::Limits;
use crate::request::{Body, Params, Request};
use crate::server::ServerSettings;
use crate::trace;

/// Where the FHIR endpoint of every actor begins.
const FHIR: &str = "/fhir";

/// An address, or a range of them: `10.0.0.1`, `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                net.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(net), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                net.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let wrong = || format!("{text:?} is not an address or a network like \"10.0.0.0/8\"");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        match bits.unwrap_or(most) {
            bits if bits <= most => Ok(Network { address, bits }),
            _ => Err(wrong()),
        }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Network, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

pub(crate) struct Site {
    pub(crate) limits: Rc<Limits>,
    public_url: Option<String>,
    trusted_proxies: Vec<Network>,
    pub(crate) cors_origins: Vec<Origin>,
}

impl Site {
    pub(crate) fn new(settings: &ServerSettings) -> Site {
        Site {
            limits: Rc::new(settings.limits.clone()),
            public_url: settings.public_url.as_ref().map(|url| url.trim_end_matches('/').to_owned()),
            trusted_proxies: settings.trusted_proxies.clone(),
            cors_origins: settings.cors_origins.clone(),
        }
    }

    /// The request for a head and the body behind it.
    pub(crate) fn request(
        &self,
        head: Head,
        peer: SocketAddr,
        payload: Payload,
        connection: Rc<Connection>,
    ) -> Request {
        let base = self.base(&head.headers, peer);
        let body = match head.framing {
            Framing::None => Body::from_bytes(bytes::Bytes::new()),
            Framing::Length(_) | Framing::Chunked => {
                let length = match head.framing {
                    Framing::Length(length) => Some(length),
                    Framing::None | Framing::Chunked => None,
                };
                let coding = Coding::of(head.headers.get(CONTENT_ENCODING).and_then(|v| v.to_str().ok()));
                Body::new(Incoming::new(payload, connection, Rc::clone(&self.limits), length, coding))
            }
        };
        debug_assert!(head.framing != Framing::Chunked || !head.headers.contains_key(CONTENT_LENGTH));
        Request {
            method: head.method,
            path: head.path,
            query: head.query,
            id: trace::request_id(&head.headers),
            trace: trace::trace(&head.headers),
            headers: head.headers,
            peer,
            base,
            params: Params::default(),
            transaction: None,
            body,
        }
    }

    fn base(&self, headers: &HeaderMap, peer: SocketAddr) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or("localhost");
        if !self.trusted_proxies.iter().any(|network| network.contains(peer.ip())) {
            return url("http", host, "");
        }
        let forwarded = Forwarded::of(headers);
        let scheme =
            forwarded.proto.as_deref().filter(|proto| matches!(*proto, "http" | "https")).unwrap_or("http");
        let prefix = forwarded.prefix.as_deref().map_or("", |prefix| prefix.trim_end_matches('/'));
        url(scheme, forwarded.host.as_deref().unwrap_or(host), prefix)
    }
}

/// The path of a request below the FHIR endpoint, `/` for the endpoint itself; a path elsewhere as it is.
pub fn below_base(path: String) -> String {
    match path.strip_prefix(FHIR) {
        Some("") => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => path,
    }
}

fn url(scheme: &str, host: &str, prefix: &str) -> String {
    let default = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(default).unwrap_or(host);
    format!("{scheme}://{host}{prefix}{FHIR}")
}

/// What a proxy says about the address the caller used: RFC 7239, or the headers before it.
#[derive(Default)]
struct Forwarded {
    host: Option<String>,
    proto: Option<String>,
    prefix: Option<String>,
}

impl Forwarded {
    fn of(headers: &HeaderMap) -> Forwarded {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let first = |name: &str| {
            text(name).and_then(|value| value.split(',').next()).map(|value| value.trim().to_owned())
        };
        let host = |value: &String| {
            value.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b)) && !value.is_empty()
        };
        let mut known = Forwarded {
            host: first("x-forwarded-host"),
            proto: first("x-forwarded-proto"),
            prefix: first("x-forwarded-prefix").filter(|prefix| prefix.starts_with('/')),
        };
        if let (Some(name), Some(port)) = (&known.host, first("x-forwarded-port"))
            && !name.contains(':')
        {
            known.host = Some(format!("{name}:{port}"));
        }
        if let Some(line) = headers.get(FORWARDED).and_then(|value| value.to_str().ok()) {
            for pair in line.split(',').next().unwrap_or_default().split(';') {
                let Some((name, value)) = pair.split_once('=') else { continue };
                let value = value.trim().trim_matches('"').to_owned();
                match name.trim().to_ascii_lowercase().as_str() {
                    "host" => known.host = Some(value),
                    "proto" => known.proto = Some(value),
                    _ => {}
                }
            }
        }
        known.host = known.host.filter(host);
        known.proto = known.proto.map(|proto| proto.to_ascii_lowercase());
        known
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn site(public_url: Option<&str>, proxies: &[&str]) -> Site {
        Site::new(&ServerSettings {
            public_url: public_url.map(str::to_owned),
            trusted_proxies: proxies.iter().map(|p| p.parse().unwrap()).collect(),
            ..ServerSettings::default()
        })
    }

    fn base(site: &Site, lines: &[(&'static str, &str)]) -> String {
        let headers = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        site.base(&headers.collect(), ([10, 1, 2, 3], 5000).into())
    }

    #[test]
    fn the_base_follows_from_the_host_unless_it_is_configured() {
        assert_eq!(base(&site(None, &[]), &[("host", "a.example:8081")]), "http://a.example:8081/fhir");
        assert_eq!(base(&site(None, &[]), &[("host", "a.example:80")]), "http://a.example/fhir");
        assert_eq!(base(&site(Some("https://r.example/x/"), &[]), &[("host", "a")]), "https://r.example/x");
    }

    #[test]
    fn forwarding_headers_count_only_from_a_trusted_proxy() {
        let lines = [
            ("host", "inside"),
            ("x-forwarded-host", "out.example"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-prefix", "/region/"),
        ];
        assert_eq!(base(&site(None, &["10.0.0.0/8"]), &lines), "https://out.example/region/fhir");
        assert_eq!(base(&site(None, &["10.2.0.0/16"]), &lines), "http://inside/fhir");
        let lines = [("host", "inside"), ("forwarded", "for=1.2.3.4;host=\"o.example\";proto=https, for=x")];
        assert_eq!(base(&site(None, &["10.1.2.3"]), &lines), "https://o.example/fhir");
    }

    #[test]
    fn a_path_is_told_below_the_base() {
        for (path, below) in [
            ("/fhir", "/"),
            ("/fhir/", "/"),
            ("/fhir/List", "/List"),
            ("/fhirs", "/fhirs"),
            ("/documents/1", "/documents/1"),
        ] {
            assert_eq!(below_base(path.to_owned()), below);
        }
    }

    #[test]
    fn a_network_has_a_sound_width() {
        assert!("10.0.0.0/33".parse::<Network>().is_err());
        assert!("here".parse::<Network>().is_err());
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains([9, 9, 9, 9].into()));
        assert!("::1".parse::<Network>().unwrap().contains("::1".parse().unwrap()));
    }
}
