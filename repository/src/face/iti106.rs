//! Generate Metadata [ITI-106] on the wire: Parameters with one document, whose bytes stream into the store where it is a
//! Binary.

use actor::{Codec, Context, Fault};
use fhir::iti65::Form;
use fhir::iti105::BINARY;
use fhir::iti106::{self, Document, Maps};
use fhir::negotiate::Format;
use http::StatusCode;
use jiff::tz::TimeZone;
use serde_json::json;
use web::{Answer, Request};
use xds::Findings;

use super::body::Intake;
use super::iti65::{check, replayed};
use super::iti105::source_id;
use crate::Repository;
use crate::face::fhir as face;
use crate::generate::Generate;
use crate::provide::Received;
use crate::publish::Published;

/// Answers one document.
pub(crate) async fn serve(repository: &Repository, request: &mut Request) -> Answer {
    let codec = Generating {
        intake: repository.intake(),
        format: face::format(request),
        source_id: &repository.house.settings.publish.source_id,
        maps: &repository.maps,
        zone: &repository.house.time_zone,
    };
    repository.house.corridor.walk(&repository.generate, &codec, request).await
}

struct Generating<'a> {
    intake: Intake<'a>,
    format: Result<Format, String>,
    /// OID of the sourceId of what is published; empty: one is made of the caller's name.
    source_id: &'a str,
    maps: &'a Maps,
    /// The zone of times that name none.
    zone: &'a TimeZone,
}

impl Codec<Generate> for Generating<'_> {
    async fn read(&self, request: &mut Request, context: &Context) -> Result<Received, Fault<Findings>> {
        let look = usize::try_from(self.intake.limits.max_body_bytes).unwrap_or(usize::MAX);
        let (mut parameters, mut documents) =
            self.intake.read(request, &self.format, Form::Parameters, look).await?;
        let document = iti106::document_of(&mut parameters).map_err(Fault::Refused)?;
        documents.renumber(0, BINARY);
        let head = std::mem::take(&mut documents.head);
        let whole = documents.measured.first().is_none_or(|measured| measured.size == head.len() as u64);
        let content_type = document["contentType"].as_str().unwrap_or_default().to_owned();
        let document = if document["resourceType"] == "Binary" {
            Document::Binary { content_type: &content_type, head: &head, whole }
        } else {
            Document::Bundle(document, documents.syntax)
        };
        let source_id = source_id(self.source_id, context);
        let provided = iti106::read_request(document, &documents.measured, self.maps, &source_id, self.zone)
            .map_err(Fault::Refused)?;
        check(&provided)?;
        documents.take_fhir_documents(&provided).await?;
        let idempotency_key = face::idempotency_key(request)?;
        Ok(Received { provided, staged: documents.staged, measured: documents.measured, idempotency_key })
    }

    fn write(&self, published: Published, _: &Context) -> Answer {
        let bare = published.location.split("/_history/").next().unwrap_or(&published.location);
        let parameters = json!({
            "resourceType": "Parameters",
            "parameter": [{ "name": "DocumentReference", "valueReference": { "reference": bare } }],
        });
        let format = self.format.clone().unwrap_or_default();
        let answer = face::json(StatusCode::OK, parameters.to_string(), format);
        #[cfg(feature = "failpoints")]
        let answer = actor::points::in_the_middle("repo.answer.mid", answer);
        replayed(answer, published.replayed)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        face::refuse_submission(&fault, face::id(context), self.format.clone().unwrap_or_default())
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        face::reason(fault)
    }
}
