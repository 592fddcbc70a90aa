//! The region a bench runs against, and what is loaded into it through its own doors.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testkit::{Document, Provide};

use super::load::{self, Traffic};
use crate::raw;
use crate::region::{Actor, Region};

/// Identifier domain of the patients.
pub(super) const DOMAIN: &str = "urn:oid:2.25.271828";
/// Patients with 20 documents each, whom the searches ask for.
pub(super) const PROBES: usize = 100;
/// Documents of 64 KiB, which are retrieved.
pub(super) const LARGE: usize = 200;
/// Documents of the one patient who has many; the last one that is fed.
pub(super) const MANY: usize = 1000;
/// Documents of one submission while loading.
const TOGETHER: usize = 20;

/// A port nobody listens on.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr().context("asking for a port")?.port())
}

/// What has been loaded.
#[derive(Default)]
pub(super) struct Loaded {
    /// Ids at the identity source; patient `n` has the identifier value `bench-n`.
    pub(super) patients: Vec<String>,
    /// How many documents there are.
    pub(super) documents: usize,
    /// Paths of the documents of 64 KiB on the repository.
    pub(super) large: Vec<String>,
    counter: u64,
}

/// `host:port` of an actor.
pub(super) fn authority(region: &Region, actor: Actor) -> Result<String> {
    raw::authority(&region.host(actor))
}

/// A `POST` or `PUT` as it goes over the wire.
pub(super) fn request(method: &str, path: &str, authority: &str, body: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/fhir+json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .as_bytes(),
    );
    into.extend_from_slice(body);
}

struct Feed<'a> {
    authority: &'a str,
    next: usize,
    until: usize,
    ids: Vec<(usize, String)>,
}

impl Traffic for Feed<'_> {
    fn next(&mut self, into: &mut Vec<u8>) -> bool {
        if self.next == self.until {
            return false;
        }
        let value = format!("bench-{}", self.next);
        let body = testkit::patient(DOMAIN, &value, &format!("Bench{}", self.next), "Bea").to_string();
        let path = format!("/fhir/Patient?identifier={DOMAIN}%7C{value}");
        request("PUT", &path, self.authority, body.as_bytes(), into);
        self.next += 1;
        true
    }

    fn answered(&mut self, head: &[u8], body: &[u8]) {
        let resource: Value = serde_json::from_slice(body).unwrap_or_default();
        let number =
            resource["identifier"][0]["value"].as_str().and_then(|value| value.strip_prefix("bench-"));
        let number = number.and_then(|number| number.parse().ok());
        let id = resource["id"].as_str().map(str::to_owned);
        debug_assert!(id.is_some(), "{}", String::from_utf8_lossy(head));
        if let (Some(number), Some(id)) = (number, id) {
            self.ids.push((number, id));
        }
    }
}

/// FindDocuments [ITI-18] for the current documents of a patient, whole.
pub(super) fn find_documents(authority: &str, number: usize) -> Vec<u8> {
    let domain = DOMAIN.trim_start_matches("urn:oid:");
    let slot = |name: &str, value: &str| {
        format!(
            "<rim:Slot name=\"{name}\"><rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList></rim:Slot>"
        )
    };
    let slots = [
        slot("$XDSDocumentEntryPatientId", &format!("'bench-{number}^^^&amp;{domain}&amp;ISO'")),
        slot("$XDSDocumentEntryStatus", "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"),
    ];
    let body = format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header><a:Action s:mustUnderstand=\"1\">urn:ihe:iti:2007:RegistryStoredQuery</a:Action><a:MessageID>urn:uuid:7f4a8c1e-0000-4000-8000-{number:012}</a:MessageID><a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo><a:To>http://{authority}/xds/registry</a:To></s:Header><s:Body><q:AdhocQueryRequest xmlns:q=\"urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0\" xmlns:rim=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\"><q:ResponseOption returnComposedObjects=\"true\" returnType=\"LeafClass\"/><rim:AdhocQuery id=\"urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d\">{}</rim:AdhocQuery></q:AdhocQueryRequest></s:Body></s:Envelope>",
        slots.concat()
    );
    format!(
        "POST /xds/registry HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/soap+xml; charset=UTF-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Feeds patients until there are this many.
pub(super) fn feed(region: &Region, loaded: &mut Loaded, patients: usize) -> Result<()> {
    let authority = authority(region, Actor::Identity)?;
    let known = loaded.patients.len();
    let mut traffic = Feed { authority: &authority, next: known, until: patients, ids: Vec::new() };
    let begin = Instant::now();
    load::drive(&authority, 16, &mut traffic, None).context("feeding patients")?;
    let mut ids = traffic.ids;
    ids.sort();
    ensure!(ids.len() == patients - known, "{} of {} patients told their id", ids.len(), patients - known);
    loaded.patients.extend(ids.into_iter().map(|(_, id)| id));
    eprintln!("{} patients fed in {:.1?}", patients - known, begin.elapsed());
    Ok(())
}

struct Submissions<'a> {
    authority: &'a str,
    identity: String,
    patients: &'a [String],
    counter: &'a mut u64,
    left: usize,
    done: usize,
    began: Instant,
    told: Instant,
}

impl Traffic for Submissions<'_> {
    fn next(&mut self, into: &mut Vec<u8>) -> bool {
        if self.left == 0 {
            return false;
        }
        let count = self.left.min(TOGETHER);
        self.left -= count;
        // The first submissions go to the probes, one each; the others to everybody behind them in turn.
        let number = usize::try_from(*self.counter).unwrap_or_default();
        *self.counter += 1;
        let patient = if number < PROBES || self.patients.len() <= PROBES {
            number % self.patients.len()
        } else {
            PROBES + (number - PROBES) % (self.patients.len() - PROBES)
        };
        let reference = format!("{}/Patient/{}", self.identity, self.patients[patient]);
        let documents =
            (0..count).map(|n| Document::new(format!("document {n} of submission {number}"))).collect();
        let bundle = Provide::new(&reference).documents(documents).bundle().to_string();
        request("POST", "/fhir", self.authority, bundle.as_bytes(), into);
        true
    }

    fn answered(&mut self, _head: &[u8], _body: &[u8]) {
        self.done += TOGETHER;
        if self.told.elapsed() > Duration::from_secs(10) {
            self.told = Instant::now();
            eprintln!("{} documents loaded in {:.0?}", self.done, self.began.elapsed());
        }
    }
}

/// Submits documents until there are this many.
pub(super) fn submit(region: &Region, loaded: &mut Loaded, documents: usize) -> Result<()> {
    let authority = authority(region, Actor::Repository)?;
    let missing = documents.saturating_sub(loaded.documents);
    let now = Instant::now();
    let mut traffic = Submissions {
        authority: &authority,
        identity: region.base(Actor::Identity),
        patients: &loaded.patients,
        counter: &mut loaded.counter,
        left: missing,
        done: 0,
        began: now,
        told: now,
    };
    load::drive(&authority, 16, &mut traffic, None).context("loading documents")?;
    loaded.documents += missing;
    eprintln!("{missing} documents loaded in {:.1?}", now.elapsed());
    Ok(())
}

/// Submits the documents of 64 KiB, each for another patient behind the probes.
pub(super) fn submit_large(region: &Region, loaded: &mut Loaded) -> Result<()> {
    struct Large<'a> {
        authority: &'a str,
        identity: String,
        patients: &'a [String],
        next: usize,
        paths: Vec<String>,
    }
    impl Traffic for Large<'_> {
        fn next(&mut self, into: &mut Vec<u8>) -> bool {
            if self.next == LARGE {
                return false;
            }
            let patient = &self.patients[self.patients.len() - 1 - self.next % (self.patients.len() / 2)];
            let reference = format!("{}/Patient/{patient}", self.identity);
            let document = Document::new(large(self.next)).content_type("application/octet-stream");
            let bundle = Provide::new(&reference).only(document).bundle().to_string();
            request("POST", "/fhir", self.authority, bundle.as_bytes(), into);
            self.next += 1;
            true
        }
        fn answered(&mut self, _head: &[u8], body: &[u8]) {
            let response: Value = serde_json::from_slice(body).unwrap_or_default();
            let entries = response["entry"].as_array().into_iter().flatten();
            let locations = entries.filter_map(|entry| entry["response"]["location"].as_str());
            let binary =
                locations.filter_map(|location| location.split_once("/Binary/")).map(|(_, rest)| rest);
            let ids = binary.filter_map(|rest| rest.split('/').next());
            self.paths.extend(ids.map(|id| format!("/documents/{id}")));
        }
    }
    let authority = authority(region, Actor::Repository)?;
    let identity = region.base(Actor::Identity);
    let mut traffic =
        Large { authority: &authority, identity, patients: &loaded.patients, next: 0, paths: Vec::new() };
    load::drive(&authority, 8, &mut traffic, None).context("submitting documents of 64 KiB")?;
    ensure!(traffic.paths.len() == LARGE, "{} of {LARGE} documents told where they are", traffic.paths.len());
    loaded.large = traffic.paths;
    loaded.documents += LARGE;
    Ok(())
}

/// Submits many documents for the last patient, each by itself; every other one is of another type.
pub(super) fn submit_many(region: &Region, loaded: &mut Loaded) -> Result<()> {
    struct Many<'a> {
        authority: &'a str,
        reference: String,
        next: usize,
    }
    impl Traffic for Many<'_> {
        fn next(&mut self, into: &mut Vec<u8>) -> bool {
            if self.next == MANY {
                return false;
            }
            let mut document = Document::new(format!("one of many: {}", self.next));
            document.creation = format!("{}-02-01T23:50:50-05:00", 2010 + self.next % 10);
            if self.next % 2 == 1 {
                document.type_code = "11488-4".into();
            }
            let bundle = Provide::new(&self.reference).only(document).bundle().to_string();
            request("POST", "/fhir", self.authority, bundle.as_bytes(), into);
            self.next += 1;
            true
        }
    }
    let authority = authority(region, Actor::Repository)?;
    let patient = loaded.patients.last().context("patients are fed")?;
    let reference = format!("{}/Patient/{patient}", region.base(Actor::Identity));
    let mut traffic = Many { authority: &authority, reference, next: 0 };
    load::drive(&authority, 8, &mut traffic, None).context("submitting many documents of one patient")?;
    loaded.documents += MANY;
    Ok(())
}

/// 64 KiB that do not compress and are not all alike.
pub(super) fn large(seed: usize) -> Vec<u8> {
    let mut state = u64::try_from(seed).unwrap_or_default().wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(64 << 10);
    while bytes.len() < 64 << 10 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

/// One Comprehensive submission of 64 KiB after the other, each with ids of its own.
pub(super) struct Provides<'a> {
    authority: String,
    patients: &'a [String],
    template: Vec<u8>,
    marks: Vec<usize>,
    subjects: Vec<usize>,
    number: u64,
}

/// Stands where the id of a patient goes; as long as one.
const PATIENT: &str = "00000000-0000-4000-8000-00000000beef";
/// Stand where unique ids go.
const UNIQUE: &str = "2.25.19999999999999999999";

impl<'a> Provides<'a> {
    pub(super) fn new(region: &Region, patients: &'a [String], first: u64) -> Result<Provides<'a>> {
        let body = bundle(&region.base(Actor::Identity));
        let places = |needle: &str| -> Vec<usize> { body.match_indices(needle).map(|(at, _)| at).collect() };
        let (marks, subjects) = (places(UNIQUE), places(PATIENT));
        ensure!(marks.len() == 2 && subjects.len() == 2, "the template has two unique ids and two subjects");
        let authority = authority(region, Actor::Repository)?;
        Ok(Provides { authority, patients, template: body.into_bytes(), marks, subjects, number: first })
    }
}

/// The bundle all of these are made of.
pub(super) fn bundle(identity: &str) -> String {
    let unique = format!("urn:oid:{UNIQUE}");
    let document = Document::new(large(7)).content_type("application/octet-stream").unique_id(&unique);
    let provide = Provide::new(&format!("{identity}/Patient/{PATIENT}")).only(document).unique_id(&unique);
    let mut bundle = provide.bundle();
    // Without extras of the sample that no typical source sends.
    bundle["timestamp"] = json!("2024-05-06T07:08:09Z");
    bundle.to_string()
}

impl Traffic for Provides<'_> {
    fn next(&mut self, into: &mut Vec<u8>) -> bool {
        request("POST", "/fhir", &self.authority, &self.template, into);
        let body = into.len() - self.template.len();
        for mark in &self.marks {
            self.number += 1;
            let unique = format!("2.25.1{:019}", self.number);
            into[body + mark..body + mark + unique.len()].copy_from_slice(unique.as_bytes());
        }
        let behind = self.patients.len().saturating_sub(PROBES).max(1);
        let number = usize::try_from(self.number / 2).unwrap_or_default();
        let patient = &self.patients[self.patients.len() - 1 - number % behind];
        for subject in &self.subjects {
            into[body + subject..body + subject + patient.len()].copy_from_slice(patient.as_bytes());
        }
        true
    }
}
