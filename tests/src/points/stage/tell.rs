//! Patients told of in HL7 v2 while the registry dies of it: what is acknowledged stays, and a merge happens wholly or not at all.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testkit::{Document, Provide, oid};

use super::Stage;
use crate::region::Actor;

/// Whose identifiers are told.
pub(super) const AUTHORITY: &str = "2.25.2718281828";
/// How long an acknowledgement may take.
const WITHIN: Duration = Duration::from_secs(5);

impl Stage {
    /// Tells of two patients and merges one into the other, each message until it is acknowledged.
    pub(super) fn tell(&mut self) -> Result<()> {
        let (gone, kept) = (oid(), oid());
        for id in [&gone, &kept] {
            self.until_taken("A01", &pid(id))?;
        }
        ensure!(self.whom(&gone)?.is_some(), "who was acknowledged is known");
        let document = self.registered(&gone)?;
        self.until_taken("A40", &format!("{}\rMRG|{gone}^^^&{AUTHORITY}&ISO", pid(&kept)))?;
        ensure!(self.whom(&gone)?.is_none(), "who was merged away is known no more");
        ensure!(self.whom(&kept)?.is_some(), "the survivor is known");
        ensure!(self.found(&gone)?.is_empty(), "nothing is found for who was merged away");
        ensure!(self.found(&kept)? == [document], "what belonged to it is the survivor's");
        Ok(())
    }

    /// Registers a document for a patient; its id.
    fn registered(&mut self, id: &str) -> Result<String> {
        let subject = json!({ "identifier": { "system": format!("urn:oid:{AUTHORITY}"), "value": id } });
        let document =
            Document::new("told").elsewhere(&format!("http://elsewhere.example/documents/{}", oid()));
        let bundle = Provide::with_subject(subject).only(document).bundle();
        let begin = Instant::now();
        loop {
            let url = self.region.base(Actor::Registry);
            if let Ok(answer) = self.runtime.block_on(self.wire.post(&url, &bundle))
                && answer.status == 200
            {
                let told: Value = serde_json::from_slice(&answer.body)?;
                let entries = told["entry"].as_array().cloned().unwrap_or_default();
                let mut locations = entries.iter().filter_map(|entry| entry["response"]["location"].as_str());
                let at = locations.find_map(|at| at.split("DocumentReference/").nth(1)?.split('/').next());
                return at.map(str::to_owned).context("a document is located");
            }
            self.again(begin, "a registration")?;
        }
    }

    /// Documents of a patient.
    fn found(&mut self, id: &str) -> Result<Vec<String>> {
        let begin = Instant::now();
        loop {
            let base = self.region.base(Actor::Registry);
            let url = format!("{base}/DocumentReference?patient.identifier=urn:oid:{AUTHORITY}%7C{id}");
            if let Ok(answer) = self.runtime.block_on(self.wire.get(&url))
                && answer.status == 200
            {
                let bundle: Value = serde_json::from_slice(&answer.body)?;
                let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
                let ids = entries.iter().filter_map(|entry| entry["resource"]["id"].as_str());
                return Ok(ids.map(str::to_owned).collect());
            }
            self.again(begin, "a search")?;
        }
    }

    fn until_taken(&mut self, event: &str, segments: &str) -> Result<()> {
        let message = format!(
            "MSH|^~\\&|A|B|C|D|20260101||ADT^{event}|{}|P|2.5\rEVN|{event}\r{segments}\r",
            &oid()[5..20]
        );
        let begin = Instant::now();
        loop {
            match self.ask(&message) {
                Ok(answer) if answer.contains("MSA|AA|") => return Ok(()),
                // Nothing but trouble of its own may keep the registry from taking a sound message.
                Ok(answer) => {
                    let own = ["|206^", "|207^"].iter().any(|code| answer.contains(code));
                    ensure!(own, "a sound {event} is refused: {answer}");
                }
                Err(_) => {}
            }
            self.again(begin, "a message of HL7 v2")?;
        }
    }

    /// One message, one answer.
    fn ask(&self, message: &str) -> Result<String> {
        let admin = self.region.admin(Actor::Registry);
        let ready = self.runtime.block_on(self.wire.get(&format!("{admin}/readyz?verbose")))?;
        let ready = String::from_utf8_lossy(&ready.body).into_owned();
        let rest = ready.split("HL7 v2 at ").nth(1).context("the registry listens")?;
        let mut line = TcpStream::connect(rest.split([',', '"']).next().unwrap_or_default())?;
        line.set_read_timeout(Some(WITHIN))?;
        line.write_all(&[&[0x0B], message.as_bytes(), &[0x1C, 0x0D]].concat())?;
        let mut answer = Vec::new();
        let mut piece = [0; 1024];
        while !answer.ends_with(&[0x1C, 0x0D]) {
            let read = line.read(&mut piece)?;
            ensure!(read > 0, "the connection was closed");
            answer.extend_from_slice(&piece[..read]);
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Whom an identifier names at the registry.
    fn whom(&mut self, id: &str) -> Result<Option<String>> {
        let begin = Instant::now();
        loop {
            let host = self.region.host(Actor::Registry);
            let url = format!("{host}/patients?system=urn:oid:{AUTHORITY}&value={id}");
            if let Ok(answer) = self.runtime.block_on(self.wire.get(&url))
                && answer.status == 200
            {
                let known: Value = serde_json::from_slice(&answer.body)?;
                return Ok(known["id"].as_str().map(str::to_owned));
            }
            self.again(begin, "a look at who is known")?;
        }
    }
}

fn pid(id: &str) -> String {
    format!("PID|||{id}^^^&{AUTHORITY}&ISO||Punkt^Paula")
}
