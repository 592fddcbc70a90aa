//! Who is told of patients beside the registry: `[[receivers]]` of the configuration.

use std::sync::Arc;

use hl7v2::Charset;
use serde::{Deserialize, Serialize};
use web::{ClientTls, PeerSettings};
use xds::Identifier;
use xds::authority::{Authorities, Authority};
use xds::hl7::Hd;

use crate::deliver::adt::party;
use crate::deliver::told::Interest;
use crate::pid::Named;

/// The registry of `registry.url`, as its messages are kept in the outbox.
pub(crate) const REGISTRY: &str = "registry";

/// The language a receiver is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// A registry of ours: FHIR, each patient under its id.
    Fhir,
    /// Patient Identity Feed: HL7 v2.3.1 over MLLP.
    #[serde(rename = "iti-8")]
    Iti8,
    /// Patient Identity Feed HL7 V3: SOAP.
    #[serde(rename = "iti-44")]
    Iti44,
    /// Mobile Patient Identity Feed: FHIR messages.
    #[serde(rename = "iti-93")]
    Iti93,
    /// PIX Update Notification: HL7 v2.5 over MLLP.
    #[serde(rename = "iti-10")]
    Iti10,
}

impl Protocol {
    /// The transaction's number.
    pub(crate) fn transaction(self) -> &'static str {
        match self {
            Protocol::Fhir => "ITI-104",
            Protocol::Iti8 => "ITI-8",
            Protocol::Iti44 => "ITI-44",
            Protocol::Iti93 => "ITI-93",
            Protocol::Iti10 => "ITI-10",
        }
    }

    fn is_mllp(self) -> bool {
        matches!(self, Protocol::Iti8 | Protocol::Iti10)
    }
}

/// A receiver, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// What operators call it: in the log, in metrics, in `/readyz`.
    pub name: String,
    /// The language it is told in.
    pub protocol: Protocol,
    /// Where it is, if it is spoken to over HTTP.
    #[serde(default)]
    pub url: String,
    /// Host and port, if it is spoken to over MLLP.
    #[serde(default)]
    pub address: String,
    /// The domains whose identifiers it is told: by name space, OID or URI, or as it wants them written,
    /// `NAMESPACE&1.2.3&ISO`. Empty: all.
    #[serde(default)]
    pub domains: Vec<String>,
    /// As whom it is told: MSH-3; an OID for ITI-44; a URL for ITI-93.
    #[serde(default)]
    pub sending_application: String,
    /// MSH-4.
    #[serde(default)]
    pub sending_facility: String,
    /// Whom it thinks it is: MSH-5; an OID for ITI-44.
    #[serde(default)]
    pub receiving_application: String,
    /// MSH-6.
    #[serde(default)]
    pub receiving_facility: String,
    /// The letters of messages of HL7 v2, as MSH-18 names them.
    #[serde(default = "utf8")]
    pub charset: String,
    /// Whom it has to prove itself to, and whom it is shown: MLLP goes through TLS if `ca` names a file.
    #[serde(default)]
    pub tls: ClientTls,
    /// Milliseconds to connect; the value has a unit.
    #[serde(default = "two_seconds", rename = "connect_timeout", with = "web::units::millis")]
    pub connect_timeout_ms: u64,
    /// Milliseconds until an answer must be complete; the value has a unit.
    #[serde(default = "fifteen_seconds", rename = "timeout", with = "web::units::millis")]
    pub timeout_ms: u64,
    /// The longest pause before a message that was refused is sent again, in milliseconds; the value has a unit.
    #[serde(default = "ten_minutes", rename = "refused_pause", with = "web::units::millis")]
    pub refused_pause_ms: u64,
}

fn utf8() -> String {
    "UNICODE UTF-8".to_owned()
}

fn two_seconds() -> u64 {
    2_000
}

fn fifteen_seconds() -> u64 {
    15_000
}

fn ten_minutes() -> u64 {
    600_000
}

impl Receiver {
    /// One of this name and language, with the defaults of everything else.
    pub fn new(name: &str, protocol: Protocol) -> Receiver {
        Receiver {
            name: name.to_owned(),
            protocol,
            url: String::new(),
            address: String::new(),
            domains: Vec::new(),
            sending_application: String::new(),
            sending_facility: String::new(),
            receiving_application: String::new(),
            receiving_facility: String::new(),
            charset: utf8(),
            tls: ClientTls::default(),
            connect_timeout_ms: two_seconds(),
            timeout_ms: fifteen_seconds(),
            refused_pause_ms: ten_minutes(),
        }
    }

    /// How it is reached over MLLP.
    pub(crate) fn line(&self) -> mllp::PeerSettings {
        mllp::PeerSettings {
            address: self.address.clone(),
            connect_timeout_ms: self.connect_timeout_ms,
            timeout_ms: self.timeout_ms,
            tls: self.tls.clone(),
        }
    }

    /// How it is reached over HTTP.
    pub(crate) fn peer(&self) -> PeerSettings {
        PeerSettings {
            url: self.url.clone(),
            connect_timeout_ms: self.connect_timeout_ms,
            timeout_ms: self.timeout_ms,
            tries: 1,
        }
    }
}

/// A receiver whose configuration was found sound.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// As it is configured; what was left out is filled in.
    pub(crate) settings: Receiver,
    /// Its name, for as long as the process lives.
    pub(crate) name: &'static str,
    /// Its name in the outbox.
    pub(crate) peer: String,
    /// The domains it is told identifiers of.
    pub(crate) interest: Interest,
    /// How its letters are written.
    pub(crate) charset: Charset,
    /// All domains that are known here.
    authorities: Arc<Authorities>,
}

impl Known {
    /// Its language.
    pub(crate) fn protocol(&self) -> Protocol {
        self.settings.protocol
    }

    /// Those of these identifiers that it is told.
    pub(crate) fn named(&self, identifiers: &[(String, String)]) -> Vec<Named> {
        self.interest.named(identifiers, &self.authorities)
    }

    /// Identifiers as they stand in a resource, those of the mother or an account's, as far as it is told them. One without a
    /// system is told as it is.
    pub(crate) fn beside(&self, identifiers: impl IntoIterator<Item = Identifier>) -> Vec<Named> {
        let one = |identifier: Identifier| {
            if identifier.system.is_empty() {
                return vec![Named { value: identifier.value, authority: Hd::default() }];
            }
            self.named(&[(self.canonical(&identifier.system), identifier.value)])
        };
        identifiers.into_iter().flat_map(one).collect()
    }

    /// The canonical spelling of a system.
    pub(crate) fn canonical(&self, system: &str) -> String {
        self.authorities.canonical(system)
    }

    /// The OID it is told identifiers of a system by, if they are told.
    pub(crate) fn root(&self, system: &str) -> Option<String> {
        let named = self.named(&[(self.canonical(system), String::new())]);
        let authority = named.into_iter().next()?.authority;
        (authority.universal_type == "ISO").then_some(authority.universal_id)
    }

    /// What decides which patients it is told of, and by which names: when that changes, it is told of all of them again.
    pub(crate) fn mark(&self) -> String {
        let Receiver { protocol, domains, .. } = &self.settings;
        format!("{} {}", protocol.transaction(), domains.join(" "))
    }
}

/// Everybody who is told of patients.
#[derive(Debug, Clone, Default)]
pub(crate) struct Receivers(Arc<Vec<Known>>);

impl Receivers {
    /// The registry of the short form and the others; refuses with words for the operator.
    pub(crate) fn read(
        registry: &PeerSettings,
        receivers: &[Receiver],
        authorities: &Arc<Authorities>,
        public_url: Option<&str>,
    ) -> Result<Receivers, String> {
        let mut all: Vec<Known> = Vec::new();
        if !registry.url.is_empty() {
            let settings = Receiver { url: registry.url.clone(), ..Receiver::new(REGISTRY, Protocol::Fhir) };
            all.push(known(settings, REGISTRY.to_owned(), Authorities::default(), authorities)?);
        }
        for (index, receiver) in receivers.iter().enumerate() {
            let at = |words: String| format!("receivers[{index}] ({}): {words}", receiver.name);
            if all.iter().any(|other| other.name == receiver.name) || receiver.name == REGISTRY {
                return Err(at("the name is taken; `registry` is the receiver of registry.url".to_owned()));
            }
            let (settings, domains) = checked(receiver, authorities, public_url).map_err(at)?;
            let peer = format!("receiver/{}", receiver.name);
            all.push(known(settings, peer, domains, authorities).map_err(at)?);
        }
        Ok(Receivers(Arc::new(all)))
    }

    /// All of them, the registry of the short form first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Known> {
        self.0.iter()
    }

    /// Whether nobody is told.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What cannot be in the settings of the registry and the receivers, in words for the operator. Certificates are read.
pub(crate) fn faults(
    registry: &PeerSettings,
    receivers: &[Receiver],
    authorities: &Arc<Authorities>,
    public_url: Option<&str>,
) -> Vec<String> {
    let mut faults = Vec::new();
    if !registry.url.is_empty() && !is_http(&registry.url) {
        faults.push(format!("registry.url: {:?} is no http or https URL", registry.url));
    }
    let known = match Receivers::read(registry, receivers, authorities, public_url) {
        Ok(known) => known,
        Err(words) => {
            faults.push(words);
            return faults;
        }
    };
    let unread = |known: &Known| {
        let read = match known.protocol().is_mllp() {
            true => mllp::Client::new(known.settings.line()).map(drop),
            false => {
                web::Peer::new(known.name, known.settings.peer()).with_tls(&known.settings.tls).map(drop)
            }
        };
        read.err().map(|words| format!("receivers ({}): {words}", known.name))
    };
    faults.extend(known.iter().filter_map(unread));
    faults
}

fn is_http(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

fn known(
    settings: Receiver,
    peer: String,
    domains: Authorities,
    authorities: &Arc<Authorities>,
) -> Result<Known, String> {
    let charset = Charset::named(&settings.charset).map_err(|refusal| {
        refusal.text.replace("MSH-18", "charset").replace("this server does not read", "is not written here")
    })?;
    Ok(Known {
        name: lasting(&settings.name),
        peer,
        interest: Interest::new(domains),
        charset,
        authorities: Arc::clone(authorities),
        settings,
    })
}

/// A receiver with everything filled in that was left out, and its domains.
fn checked(
    receiver: &Receiver,
    authorities: &Authorities,
    public_url: Option<&str>,
) -> Result<(Receiver, Authorities), String> {
    let mut settings = receiver.clone();
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if settings.name.is_empty() || settings.name.len() > 40 || !settings.name.chars().all(sound) {
        return Err("a name is 1 to 40 letters, digits, hyphens, underscores or dots".to_owned());
    }
    let (key, place, other) = match settings.protocol.is_mllp() {
        true => ("address", &settings.address, &settings.url),
        false => ("url", &settings.url, &settings.address),
    };
    if place.is_empty() || !other.is_empty() {
        let example = if key == "url" { "https://registry.example/fhir" } else { "registry.example:2575" };
        return Err(format!("{key} says where it is, and nothing else, e.g. \"{example}\""));
    }
    match settings.protocol.is_mllp() {
        true if !is_address(&settings.address) => {
            let words = "is no host with a port from 1 to 65535, e.g. registry.example:2575";
            return Err(format!("address: {:?} {words}", settings.address));
        }
        false if !is_http(&settings.url) => {
            return Err(format!("url: {:?} is no http or https URL", settings.url));
        }
        false if settings.tls != ClientTls::default() && !settings.url.starts_with("https://") => {
            return Err("tls is asked for, and url is not https".to_owned());
        }
        _ => {}
    }
    if settings.tls.certificate.as_os_str().is_empty() != settings.tls.key.as_os_str().is_empty() {
        return Err("tls.certificate and tls.key belong together".to_owned());
    }
    for (key, span) in [
        ("connect_timeout", settings.connect_timeout_ms),
        ("timeout", settings.timeout_ms),
        ("refused_pause", settings.refused_pause_ms),
    ] {
        if span == 0 {
            return Err(format!("{key} is 0; write it like \"15s\""));
        }
    }
    let mut domains = Vec::new();
    for text in &settings.domains {
        let domain = match authorities.of(text).or_else(|| authorities.by_namespace(text)) {
            Some(known) => known.clone(),
            None => Authority::read(text).map_err(|words| format!("domains: {words}"))?,
        };
        domains.push(domain);
    }
    let domains = Authorities::new(domains).map_err(|words| format!("domains: {words}"))?;
    fill(&mut settings, &domains, public_url)?;
    Ok((settings, domains))
}

fn is_address(text: &str) -> bool {
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    text.rsplit_once(':').is_some_and(|(host, number)| !host.is_empty() && port(number))
}

/// Who tells, and who is told, as the protocol names them.
fn fill(settings: &mut Receiver, domains: &Authorities, public_url: Option<&str>) -> Result<(), String> {
    let default = |place: &mut String, text: &str| {
        if place.is_empty() {
            text.clone_into(place);
        }
    };
    match settings.protocol {
        Protocol::Fhir if !domains.is_empty() => {
            return Err("a registry of ours is told all identifiers; leave domains out".to_owned());
        }
        Protocol::Fhir => {}
        Protocol::Iti8 | Protocol::Iti10 => {
            default(&mut settings.sending_application, "DOCSHARE");
            default(&mut settings.sending_facility, "DOCSHARE");
            let name = settings.name.to_uppercase();
            default(&mut settings.receiving_application, &name);
            default(&mut settings.receiving_facility, &name);
            for place in [
                &mut settings.sending_application,
                &mut settings.sending_facility,
                &mut settings.receiving_application,
                &mut settings.receiving_facility,
            ] {
                *place = party(place);
            }
        }
        Protocol::Iti44 => {
            for (key, place) in [
                ("sending_application", &mut settings.sending_application),
                ("receiving_application", &mut settings.receiving_application),
            ] {
                *place = place.strip_prefix("urn:oid:").unwrap_or(place).to_owned();
                if !xds::identifier::is_oid(place) {
                    return Err(format!("{key}: {place:?} is no OID; HL7 v3 names devices by OIDs"));
                }
            }
        }
        Protocol::Iti93 => {
            default(&mut settings.sending_application, public_url.unwrap_or_default());
            let url = settings.sending_application.trim_end_matches('/').to_owned();
            if !url.starts_with("http://") && !url.starts_with("https://") {
                return Err("sending_application, or else server.public_url, must be the FHIR base under which the receiver finds our patients".to_owned());
            }
            settings.sending_application = url;
        }
    }
    let needs_domains = matches!(settings.protocol, Protocol::Iti8 | Protocol::Iti44);
    if needs_domains && domains.is_empty() {
        return Err("domains: name those whose identifiers the receiver takes, e.g. [\"RED&1.2.3&ISO\"]; it would refuse others".to_owned());
    }
    Ok(())
}

/// Those that have a page about themselves to be asked for, registries of ours, as peers: for `doctor`. What speaks SOAP or takes
/// messages has none.
pub(crate) fn peers(receivers: &[Receiver]) -> impl Iterator<Item = (&'static str, PeerSettings)> {
    let registries = receivers.iter().filter(|receiver| receiver.protocol == Protocol::Fhir);
    registries.map(|receiver| (lasting(&receiver.name), receiver.peer()))
}

/// A name that lives as long as the process: receivers are configured once, at its start.
fn lasting(name: &str) -> &'static str {
    static NAMES: std::sync::Mutex<Vec<&'static str>> = std::sync::Mutex::new(Vec::new());
    let mut names = NAMES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = names.iter().find(|known| **known == name) {
        return known;
    }
    let lasting: &'static str = name.to_owned().leak();
    names.push(lasting);
    lasting
}

/// The words on the key.
pub(crate) const WORDS: &str = "Who else is told of patients, one table each: `name`, `protocol` (`fhir`: a registry of ours; `iti-8`, `iti-10`: HL7 v2 over MLLP; `iti-44`: HL7 v3; `iti-93`: FHIR messages), `url` or `address` (`host:port`), `domains` whose identifiers it is told (e.g. `[\"RED&1.2.3&ISO\"]`; for `iti-10` and `iti-93` empty means all), `sending_application`, `sending_facility`, `receiving_application`, `receiving_facility` (MSH-3 to MSH-6; OIDs for `iti-44`; our FHIR base for `iti-93`), `charset` (MSH-18), `tls` (`{ ca = FILE, certificate = FILE, key = FILE, server_name = NAME }`; MLLP goes through TLS if `ca` is set), `connect_timeout` (2s), `timeout` (15s), `refused_pause` (the longest pause before a refused message is sent again, 10m). A new receiver, and one whose `protocol` or `domains` change, is told of everybody.";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(receivers: &[Receiver]) -> Result<Receivers, String> {
        let red = Authority { namespace: "RED".into(), oid: "1.2.3".into(), ..Authority::default() };
        let authorities = Arc::new(Authorities::new(vec![red]).expect("is sound"));
        Receivers::read(&PeerSettings::default(), receivers, &authorities, None)
    }

    fn feed(name: &str) -> Receiver {
        Receiver {
            address: "127.0.0.1:2575".to_owned(),
            domains: vec!["RED".to_owned()],
            ..Receiver::new(name, Protocol::Iti8)
        }
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let known = read(&[feed("east")]).expect("is sound");
        let known = known.iter().next().expect("there is one");
        assert_eq!((known.peer.as_str(), known.name), ("receiver/east", "east"));
        assert_eq!(known.settings.receiving_application, "EAST");
        let named = known.named(&[("urn:oid:1.2.3".into(), "7".into()), ("urn:oid:9.9".into(), "8".into())]);
        assert_eq!(crate::pid::cxs(&named), "7^^^RED&1.2.3&ISO");
    }

    #[test]
    fn the_receivers_own_spelling_of_a_domain_is_written() {
        let own = Receiver { domains: vec!["AFFINITY&1.2.4&ISO".to_owned()], ..feed("west") };
        let known = read(&[own]).expect("is sound");
        let named = known.iter().next().expect("there is one").named(&[("urn:oid:1.2.4".into(), "7".into())]);
        assert_eq!(crate::pid::cxs(&named), "7^^^AFFINITY&1.2.4&ISO");
    }

    #[test]
    fn only_registries_of_ours_are_asked_what_they_are() {
        let web = |name, protocol| Receiver { url: "http://a".into(), ..Receiver::new(name, protocol) };
        let all = [
            web("ours", Protocol::Fhir),
            web("soap", Protocol::Iti44),
            web("apps", Protocol::Iti93),
            feed("line"),
        ];
        assert_eq!(peers(&all).map(|(name, _)| name).collect::<Vec<_>>(), ["ours"]);
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_key() {
        let cases = [
            (vec![feed("a"), feed("a")], "name"),
            (vec![feed("registry")], "name"),
            (vec![feed("with space")], "name"),
            (vec![Receiver { address: "nowhere".into(), ..feed("a") }], "address"),
            (vec![Receiver { address: ":2575".into(), ..feed("a") }], "address"),
            (vec![Receiver { address: "host:99999".into(), ..feed("a") }], "from 1 to 65535"),
            (vec![Receiver { timeout_ms: 0, ..feed("a") }], "timeout"),
            (vec![Receiver { refused_pause_ms: 0, ..feed("a") }], "refused_pause"),
            (vec![Receiver { url: "http://a".into(), ..feed("a") }], "address"),
            (vec![Receiver { domains: vec!["BLUE".into()], ..feed("a") }], "domains"),
            (vec![Receiver { domains: Vec::new(), ..feed("a") }], "domains"),
            (vec![Receiver { charset: "EBCDIC".into(), ..feed("a") }], "charset"),
            (
                vec![Receiver {
                    tls: ClientTls { certificate: "a.pem".into(), ..ClientTls::default() },
                    ..feed("a")
                }],
                "tls.key",
            ),
            (
                vec![Receiver {
                    url: "http://a".into(),
                    domains: vec!["RED".into()],
                    ..Receiver::new("a", Protocol::Iti44)
                }],
                "sending_application",
            ),
            (vec![Receiver { url: "http://a".into(), ..Receiver::new("a", Protocol::Iti93) }], "public_url"),
        ];
        for (receivers, key) in cases {
            let words = read(&receivers).expect_err(key);
            assert!(words.contains("receivers[") && words.contains(key), "{words}");
        }
    }
}
