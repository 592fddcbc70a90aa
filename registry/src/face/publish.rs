//! A DocumentReference posted to the registry [ITI-105]: what is known of a document that lies on another server. It is
//! registered as a submission of its own; its bytes are never fetched.

use actor::{Codec, Context, Fault};
use fhir::condition::{self, Identified};
use fhir::iti65::{self, Door, Origin};
use fhir::prefer::{Preferences, Return};
use fhir::{iti105, outcome};
use http::{HeaderName, HeaderValue, StatusCode, header};
use store::{Row, Store};
use web::{Answer, Request};
use xds::Findings;

use super::refusal;
use super::register::{Changing, header_text};
use super::update::Versioned;
use crate::records::DOCUMENT;
use crate::register::{Register, Registered, Registration};

/// One document entry that is published, and what its answer has to look like.
pub(super) struct Publishing<'a> {
    changing: Changing<'a>,
    store: &'a Store,
    back: Option<Return>,
}

impl<'a> Publishing<'a> {
    pub(super) fn new(changing: Changing<'a>, store: &'a Store, request: &Request) -> Publishing<'a> {
        let lines = request.headers.get_all("prefer").iter().filter_map(|line| line.to_str().ok());
        Publishing { changing, store, back: Preferences::read(lines).back }
    }

    /// The answer where a document with the identifier of the condition was there already.
    fn stands(&self, row: &Row, context: &Context) -> Answer {
        let text = format!("DocumentReference/{} meets the condition; nothing was registered.", row.id);
        let there = Versioned {
            kind: DOCUMENT,
            id: &row.id,
            version: row.version,
            instant: row.instant,
            rendering: row.rendering.clone(),
        };
        there.answer(StatusCode::OK, self.back, (&text, &[]), self.changing.pretty(), context)
    }

    /// The entry as it was registered in this version.
    fn resource(&self, id: &str, version: &str) -> Option<bytes::Bytes> {
        let row = self.store.get(DOCUMENT, id).ok()??;
        (row.version.to_string() == version && !row.rendering.is_empty()).then_some(row.rendering)
    }
}

impl Codec<Register> for Publishing<'_> {
    async fn read(&self, request: &mut Request, context: &Context) -> Result<Registration, Fault<Findings>> {
        let unless = unless(request)?;
        let mut resource = self.changing.resource(request).await?;
        iti65::local_subject(&mut resource, &[self.changing.identity()]);
        let source_id = xds::identifier::oid_of_name(&context.caller.name);
        let provided = iti105::read_request(resource, &[], Door::Registry, &source_id);
        Ok(Registration { provided: provided.map_err(Fault::Refused)?, said: None, unless })
    }

    fn write(&self, registered: Registered, context: &Context) -> Answer {
        if let Some(row) = registered.existing {
            return self.stands(&row, context);
        }
        let receipts = iti65::read_response(&registered.answer).unwrap_or_default();
        let Some(receipt) = receipts.iter().find(|one| one.location.starts_with("DocumentReference/")) else {
            return refusal::refuse(
                &Fault::Internal("no document was registered".to_owned()),
                &context.request,
            );
        };
        let (bare, version) = receipt.location.split_once("/_history/").unwrap_or((&receipt.location, "1"));
        let id = bare.rsplit('/').next().unwrap_or_default();
        let pretty = self.changing.pretty();
        let answer = match self.back {
            Some(Return::Minimal) => Answer::empty(StatusCode::CREATED),
            Some(Return::OperationOutcome) => {
                let mut warnings: Findings = receipts.iter().flat_map(|one| one.warnings.clone()).collect();
                tell(&mut warnings);
                let text = "The document entry is registered.";
                let body = outcome::of_success(text, &warnings, &context.request);
                refusal::json(StatusCode::CREATED, body.into(), pretty)
            }
            Some(Return::Representation) | None => match self.resource(id, version) {
                Some(resource) => refusal::json(StatusCode::CREATED, resource, pretty),
                None => Answer::empty(StatusCode::CREATED),
            },
        };
        let location = refusal::text(&format!("{}/{}", context.base, receipt.location));
        let mut answer = answer
            .with(header::LOCATION, location.clone())
            .with(header::CONTENT_LOCATION, location)
            .with(header::ETAG, refusal::text(&format!("W/\"{version}\"")));
        if let Some(back) = self.back {
            let name = HeaderName::from_static("preference-applied");
            answer = answer.with(name, HeaderValue::from_static(back.applied()));
        }
        if registered.replayed { refusal::with(answer, "idempotency-replayed", "true") } else { answer }
    }

    fn refuse(&self, mut fault: Fault<Findings>, context: &Context) -> Answer {
        if let Fault::Refused(findings) = &mut fault {
            tell(findings);
        }
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

/// `If-None-Exist`: nothing is registered where a document has this identifier.
fn unless(request: &Request) -> Result<Option<Identified>, Fault<Findings>> {
    let Some(condition) = header_text(&request.headers, "if-none-exist") else { return Ok(None) };
    let query = condition.trim().trim_start_matches("DocumentReference").trim_start_matches('?');
    condition::read(query).map(Some).map_err(Fault::Refused)
}

/// Says where findings are in the DocumentReference.
fn tell(findings: &mut Findings) {
    for finding in findings.iter_mut().filter(|finding| finding.at.path.starts_with("Bundle")) {
        finding.at.path = Origin::DocumentReference.path(&finding.at.path);
    }
}
