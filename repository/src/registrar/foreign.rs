//! A registry of another make (`registry.protocol = "xds.b"`): it takes registrations by ITI-42 and is asked by ITI-18 what
//! became of them. It knows nothing of attempts and promises nothing, so that an attempt it does not know is given up only
//! after a long time, and even then its bytes are kept for a while.

mod compose;
mod read;

use std::time::Duration;

use actor::Clock;
use bytes::Bytes;
use ebxml::addressing::Addressing;
use ebxml::names::namespace;
use ebxml::reader;
use ebxml::soap::{Code, Envelope, message};
use ebxml::{Element, Writer};
use http::Method;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use web::{Error, Peer, PeerAnswer};

use super::commit::is_document;
use super::{Commit, Order, Registration, Settled, unknown};
use crate::config::RegistrySettings;
use crate::records::Attempt;

/// Actions of the requests that are sent.
const REGISTER: &str = "urn:ihe:iti:2007:RegisterDocumentSet-b";
const QUERY: &str = "urn:ihe:iti:2007:RegistryStoredQuery";
/// GetSubmissionSetAndContents.
const SET_AND_CONTENTS: &str = "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83";

/// A registry of another make.
#[derive(Clone)]
pub(crate) struct Foreign {
    /// OID of the authority that its patient ids are assigned by.
    pub(crate) authority: String,
    /// How long it is not believed that it does not know an attempt.
    absent_after: Duration,
    /// How long the bytes of such an attempt are kept all the same.
    pub(crate) keep_absent: Duration,
    clock: Clock,
}

/// What such a registry holds once it has committed an attempt: ids that were made once for this key and content, and are the
/// same whenever it is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expected {
    /// Where each object is that the answer owes a receipt for, in the order of the answer: `[type]/[id]`.
    pub(crate) objects: Vec<String>,
    /// The documents.
    pub(crate) documents: Vec<Registered>,
}

/// A document as it is registered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Registered {
    /// uniqueId as XDS writes it.
    pub(crate) unique_id: String,
    /// SHA-1, hexadecimal.
    pub(crate) hash: String,
    /// Bytes.
    pub(crate) size: u64,
}

/// What such a registry has under a key.
#[derive(Debug)]
pub(super) struct Found {
    /// Ids of its objects, without scheme.
    ids: Vec<String>,
    /// Where it says that the documents are.
    addresses: Vec<String>,
    /// The documents.
    documents: Vec<Registered>,
}

impl Found {
    /// How well an attempt fits, beside its documents: attempts of one key may differ in nothing but where the bytes are, and
    /// those of another content may have the same documents.
    fn fits(&self, attempt: &Attempt) -> (bool, bool, u64) {
        let has = |place: &String| {
            let id = place.rsplit('/').next().unwrap_or_default();
            self.ids.iter().any(|found| found == id)
        };
        let by_id = attempt.expected.as_ref().is_some_and(|expected| expected.objects.iter().any(has));
        let by_place = attempt.blobs().any(|blob| self.addresses.iter().any(|url| is_document(url, blob)));
        (by_id, by_place, attempt.attempt)
    }
}

impl Foreign {
    /// As it is configured; in words, what is missing.
    pub(crate) fn new(settings: &RegistrySettings, clock: Clock) -> Result<Foreign, String> {
        let authority = settings.patient_authority.trim();
        let authority = authority.strip_prefix("urn:oid:").unwrap_or(authority);
        if !xds::identifier::is_oid(authority) {
            return Err(format!(
                "registry.patient_authority: {authority:?} is no OID; a registry that speaks XDS.b is told patients by the ids of \
                 one authority, e.g. 1.2.40.0.34.99.7"
            ));
        }
        Ok(Foreign {
            authority: authority.to_owned(),
            absent_after: Duration::from_secs(settings.absent_after),
            keep_absent: Duration::from_secs(settings.keep_absent),
            clock,
        })
    }

    /// Registers once.
    pub(super) async fn register(&self, peer: &Peer, order: &Order) -> Registration {
        let answer = match self.send(peer, REGISTER, &order.body, order).await {
            Ok(answer) => answer,
            Err(Error::NotReached { .. }) => return Registration::NotReached,
            Err(_) => return Registration::Unknown,
        };
        match answer {
            Told::Body(body) => match read::registration(&body) {
                Some(read::Response::Success(warnings)) => Registration::Committed(self.committed(
                    order.attempt,
                    &order.digest,
                    &order.expected,
                    warnings,
                )),
                Some(read::Response::Failure(findings)) => Registration::Refused(findings),
                Some(read::Response::Away) => Registration::Declined(503),
                None => Registration::Unknown,
            },
            Told::Refused(status) => Registration::Declined(status),
            Told::Nothing(_) => Registration::Unknown,
        }
    }

    /// What became of the attempts of a key. One that the registry does not know is believed to be absent only when the newest
    /// is old enough: it may still be on its way.
    pub(super) async fn settle(
        &self,
        peer: &Peer,
        key: &str,
        attempt: u64,
        open: &[Attempt],
    ) -> Result<Settled, Error> {
        let order = Order::question(key);
        let found = match self.send(peer, QUERY, &question(key), &order).await? {
            Told::Body(body) => read::contents(&body).map_err(unknown)?,
            Told::Refused(status) => {
                return Err(unknown(format!("a stored query was answered with status {status}")));
            }
            Told::Nothing(why) => return Err(unknown(why)),
        };
        let Some(found) = found else {
            let newest = open.iter().map(|open| open.instant).max().unwrap_or_default();
            let age = u64::try_from((self.clock.now() - newest) / 1_000_000).unwrap_or_default();
            if age < self.absent_after.as_secs() {
                let reason =
                    format!("it does not know the submission yet; believed after {:?}", self.absent_after);
                return Err(unknown(reason));
            }
            return Ok(Settled::Absent { fence: attempt });
        };
        let is_this =
            |open: &&Attempt| open.expected.as_ref().is_some_and(|expected| expected.is(&found.documents));
        let committed = match open.iter().filter(is_this).max_by_key(|open| found.fits(open)) {
            Some(open) => {
                let expected = open.expected.clone().unwrap_or_default();
                let mut commit = self.committed(open.attempt, &open.digest, &expected, Vec::new());
                commit.replayed = true;
                commit
            }
            // Somebody else's content: it has the digest of none.
            None => Commit {
                attempt,
                digest: Some(String::new()),
                documents: None,
                receipts: Vec::new(),
                sequence: 0,
                replayed: true,
            },
        };
        Ok(Settled::Committed(committed))
    }

    /// What is known of a commit, as a registry of our own make would tell it.
    fn committed(&self, attempt: u64, digest: &str, expected: &Expected, warnings: xds::Findings) -> Commit {
        let mut receipts: Vec<_> =
            expected.objects.iter().map(|place| compose::receipt(place, &self.clock)).collect();
        if let Some(first) = receipts.first_mut() {
            first.warnings = warnings;
        }
        Commit {
            attempt,
            digest: Some(digest.to_owned()),
            documents: None,
            receipts,
            sequence: 0,
            replayed: false,
        }
    }

    async fn send(&self, peer: &Peer, action: &str, body: &[u8], order: &Order) -> Result<Told, Error> {
        let id = format!("urn:uuid:{}", Uuid::new_v4());
        let addressing = Addressing::of_request(action, &id, peer.url());
        let mut headers =
            vec![("content-type", format!("application/soap+xml; charset=UTF-8; action=\"{action}\""))];
        if !order.trace.is_empty() {
            headers.push(("traceparent", order.trace.clone()));
        }
        let sent = Bytes::from(message(&addressing, body));
        Ok(told(&peer.send(Method::POST, "", &headers, sent).await?, &id))
    }
}

impl Expected {
    /// Whether these are the documents of the attempt: the same names with the same bytes.
    fn is(&self, found: &[Registered]) -> bool {
        let sorted = |documents: &[Registered]| {
            let mut documents = documents.to_vec();
            documents.sort();
            documents
        };
        sorted(&self.documents) == sorted(found)
    }
}

/// What an answer says.
enum Told {
    /// The element of its body.
    Body(Element),
    /// A fault of the sender's, or a status that is no answer of a registry: the submission is not at fault.
    Refused(u16),
    /// Nothing that can be relied on; why.
    Nothing(String),
}

fn told(answer: &PeerAnswer, id: &str) -> Told {
    let content_type =
        answer.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body = match read::root(content_type, &answer.body) {
        Some(body) => body,
        // 408: somebody has stopped waiting, and the message may have gone on.
        None if (400..500).contains(&answer.status) && answer.status != 408 => {
            return Told::Refused(answer.status);
        }
        None => return Told::Nothing(format!("status {} without a SOAP message", answer.status)),
    };
    let Ok(envelope) = reader::read(&body, &reader::Limits::default())
        .map_err(|broken| broken.to_string())
        .and_then(|root| Envelope::read(root).map_err(|fault| fault.text))
    else {
        return Told::Nothing(format!("status {} and no SOAP 1.2 message", answer.status));
    };
    if envelope.addressing.relates_to.as_deref().is_some_and(|relates| relates != id) {
        return Told::Nothing("its answer belongs to another request".to_owned());
    }
    match envelope.fault() {
        Some(fault) if fault.code == Code::Receiver => {
            Told::Nothing(format!("fault Receiver: {}", fault.text))
        }
        Some(fault) => {
            tracing::error!(reason = fault.text, "the registry refused a message");
            Told::Refused(400)
        }
        None if answer.status == 200 => Told::Body(envelope.body),
        None => Told::Nothing(format!("status {}", answer.status)),
    }
}

/// GetSubmissionSetAndContents, by uniqueId, with documents of both kinds.
fn question(key: &str) -> Vec<u8> {
    let unique_id = xds::identifier::unique_id_text(&xds::Identifier {
        system: xds::attribute::URI.to_owned(),
        value: key.to_owned(),
    });
    let mut xml = Writer::with_capacity(1024);
    xml.start("query:AdhocQueryRequest")
        .attribute("xmlns:query", namespace::QUERY)
        .attribute("xmlns:rim", namespace::RIM);
    xml.start("query:ResponseOption")
        .attribute("returnComposedObjects", "true")
        .attribute("returnType", "LeafClass")
        .end();
    xml.start("rim:AdhocQuery").attribute("id", SET_AND_CONTENTS);
    xml.start("rim:Slot").attribute("name", "$XDSSubmissionSetUniqueId").start("rim:ValueList");
    xml.leaf("rim:Value", &format!("'{}'", unique_id.replace('\'', "''"))).end().end();
    xml.end();
    xml.finish()
}
