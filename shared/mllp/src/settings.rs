//! The section `mllp` of a server's configuration.

use std::net::SocketAddr;
use std::path::PathBuf;

use hl7v2::Limits;
use serde::{Deserialize, Serialize};

/// The key of the address.
pub const LISTEN: &str = "mllp.listen";

/// How HL7 v2 is listened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port; empty: nothing is listened to.
    pub listen: String,
    /// Bytes of a message.
    #[serde(with = "web::units::size")]
    pub max_frame_bytes: u64,
    /// Segments of a message.
    pub max_segments: u64,
    /// Fields of a segment.
    pub max_fields: u64,
    /// Bytes of a field.
    #[serde(with = "web::units::size")]
    pub max_field_bytes: u64,
    /// Repetitions of a field.
    pub max_repetitions: u64,
    /// Seconds in which a message must be complete.
    #[serde(with = "web::units::seconds")]
    pub frame_timeout: u64,
    /// Seconds for which a connection may stay idle.
    #[serde(with = "web::units::seconds")]
    pub idle_timeout: u64,
    /// Connections at once.
    pub max_connections: u64,
    /// TLS; without a certificate connections are plain.
    pub tls: Tls,
}

/// The certificates of the listener.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The chain this server shows, in PEM; empty: connections are plain.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// Who must have signed the certificate of whoever connects, in PEM; empty: nobody is asked for one.
    pub client_ca: PathBuf,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listen: String::new(),
            max_frame_bytes: 1 << 20,
            max_segments: 500,
            max_fields: 200,
            max_field_bytes: 64 << 10,
            max_repetitions: 100,
            frame_timeout: 30,
            idle_timeout: 300,
            max_connections: 64,
            tls: Tls::default(),
        }
    }
}

impl Settings {
    /// Where to listen, if anywhere.
    ///
    /// # Errors
    /// Words for the operator.
    pub fn address(&self) -> Result<Option<SocketAddr>, String> {
        match self.listen.trim() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                format!("mllp.listen: {text:?} is no address with a port, e.g. \"127.0.0.1:2575\"")
            }),
        }
    }

    /// What cannot be, in words for the operator, each with its key. Certificates are read.
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = self.address().err().into_iter().collect();
        let counts = [
            ("max_frame_bytes", self.max_frame_bytes),
            ("max_segments", self.max_segments),
            ("max_fields", self.max_fields),
            ("max_field_bytes", self.max_field_bytes),
            ("max_repetitions", self.max_repetitions),
            ("frame_timeout", self.frame_timeout),
            ("idle_timeout", self.idle_timeout),
            ("max_connections", self.max_connections),
        ];
        let none = counts.iter().filter(|(_, value)| *value == 0);
        faults.extend(none.map(|(key, _)| format!("mllp.{key} is 0: no message would be taken")));
        faults.extend(crate::tls::server(&self.tls).err());
        faults
    }

    /// How much a message may hold.
    pub fn limits(&self) -> Limits {
        let number = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        Limits {
            segments: (number(self.max_segments), "mllp.max_segments"),
            fields: (number(self.max_fields), "mllp.max_fields"),
            field_bytes: (number(self.max_field_bytes), "mllp.max_field_bytes"),
            repetitions: (number(self.max_repetitions), "mllp.max_repetitions"),
        }
    }
}

/// The words on each key but the address, whose words say what each actor hears.
pub const KEYS: [(&str, &str); 11] = [
    ("mllp.max_frame_bytes", "Bytes of a message. Beyond: AE, and the connection is closed."),
    ("mllp.max_segments", "Segments of a message. Beyond: AE."),
    ("mllp.max_fields", "Fields of a segment. Beyond: AE."),
    ("mllp.max_field_bytes", "Bytes of a field with all its repetitions. Beyond: AE."),
    ("mllp.max_repetitions", "Repetitions of a field. Beyond: AE."),
    (
        "mllp.frame_timeout",
        "Time in which a message must be complete once it has begun, and the handshake of TLS. Beyond: the connection is closed.",
    ),
    ("mllp.idle_timeout", "Time for which a connection may say nothing. Beyond: it is closed."),
    ("mllp.max_connections", "Connections at once. Those beyond wait until one ends."),
    (
        "mllp.tls.certificate",
        "PEM file with the certificate this server shows, and the chain behind it: with it every connection is TLS (1.2 or 1.3), and plain ones are closed. Empty: connections are plain. Read again on reload.",
    ),
    ("mllp.tls.key", "PEM file with the private key of that certificate."),
    (
        "mllp.tls.client_ca",
        "PEM file with the authorities of which one must have signed the certificate of whoever connects; who shows none is not let in. Empty: nobody is asked for one.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_told_with_its_key_all_at_once() {
        assert_eq!(Settings::default().faults(), Vec::<String>::new());
        let tls = Tls { certificate: "/nowhere.pem".into(), key: "/nowhere.key".into(), ..Tls::default() };
        let wrong = Settings { listen: "nowhere".into(), max_connections: 0, tls, ..Settings::default() };
        let faults = wrong.faults();
        for (key, told) in ["mllp.listen", "mllp.max_connections", "mllp.tls.certificate"].iter().zip(&faults)
        {
            assert!(told.starts_with(key), "{told}");
        }
        assert_eq!(faults.len(), 3, "{faults:?}");
    }
}
