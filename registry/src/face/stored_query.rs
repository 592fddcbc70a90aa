//! Registry Stored Query [ITI-18] and Multi-Patient Stored Query [ITI-51] at the SOAP door.

use std::fmt::Write as _;

use ::soap::{Call, Line};
use actor::{Codec, Context, Fault, Transaction};
use ebxml::iti18::{self, Request as Message};
use ebxml::names::namespace;
use futures_util::future::LocalBoxFuture;
use web::{Answer, Request};
use xds::Findings;
use xds::query::Limits;

use crate::Registry;
use crate::stored_query::{Asking, Written};

/// Its lines in the table of the door.
pub(super) const REGISTRY: Line<Registry> = Line {
    action: "urn:ihe:iti:2007:RegistryStoredQuery",
    reply: "urn:ihe:iti:2007:RegistryStoredQueryResponse",
    body: (namespace::QUERY, "AdhocQueryRequest"),
    transaction: "ITI-18",
    documents: false,
    refusal: iti18::write_refusal,
    serve: registry,
};

/// The line of ITI-51.
pub(super) const MULTI_PATIENT: Line<Registry> = Line {
    action: "urn:ihe:iti:2009:MultiPatientStoredQuery",
    reply: "urn:ihe:iti:2009:MultiPatientStoredQueryResponse",
    transaction: "ITI-51",
    serve: multi_patient,
    ..REGISTRY
};

fn registry<'a>(registry: &'a Registry, request: &'a mut Request, call: Call) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = Asked { call, limits: limits(registry) };
        registry.corridor.walk(&registry.stored_query, &codec, request).await
    })
}

fn multi_patient<'a>(
    registry: &'a Registry,
    request: &'a mut Request,
    call: Call,
) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let codec = Asked { call, limits: limits(registry) };
        registry.corridor.walk(&registry.multi_patient_query, &codec, request).await
    })
}

fn limits(registry: &Registry) -> Limits {
    Limits {
        values: registry.stored_query.0.settings.max_values,
        value_bytes: usize::try_from(registry.limits.max_search_value_bytes).unwrap_or(usize::MAX),
    }
}

/// One query.
struct Asked {
    call: Call,
    limits: Limits,
}

impl<T> Codec<T> for Asked
where
    T: Transaction<Request = Asking, Response = Written, Findings = Findings>,
{
    async fn read(&self, _: &mut Request, _: &Context) -> Result<Asking, Fault<Findings>> {
        let message = iti18::read_request(self.call.body(), T::NUMBER).map_err(Fault::Refused)?;
        let asked = message.query.read(&message.given, &self.limits).map_err(Fault::Refused)?;
        Ok(Asking { asked, returns: message.returns, text: text(&message) })
    }

    fn write(&self, response: Written, _: &Context) -> Answer {
        self.call.answer_in_parts(iti18::write_response(response))
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        self.call.refuse(&fault, context)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        ::soap::reason(fault)
    }
}

/// The query as an auditor reads it: its name, and the parameters it knows.
fn text(message: &Message) -> String {
    let mut text = message.query.name.to_owned();
    let known = message.given.iter().filter(|given| message.query.parameter(&given.name).is_some());
    for (at, given) in known.enumerate() {
        let separator = if at == 0 { '?' } else { '&' };
        let _ = write!(text, "{separator}{}=({})", given.name, given.values.join(","));
    }
    text
}
