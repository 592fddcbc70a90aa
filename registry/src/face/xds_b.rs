//! What is registered, changed and removed over XDS.b: ITI-42, ITI-61, ITI-57, ITI-92 and ITI-62.

use std::cell::RefCell;

use ::soap::{Call, Line};
use actor::{Codec, Context, Fault, Transaction};
use ebxml::names::namespace::LCM;
use ebxml::{Writer, iti42, iti57, iti62, response};
use fhir::iti65::{Door, Provided};
use futures_util::future::LocalBoxFuture;
use web::{Answer, Request};
use xds::plan::Trigger;
use xds::{Finding, Findings, Severity, Side, Submission};

use crate::Registry;
use crate::amend::{Amend, Amended, Amendment, Restricted};
use crate::register::{OnDemand, Register, Registered, Registration};
use crate::remove::{Remove, Removed};

const SUBMIT: (&str, &str) = (LCM, "SubmitObjectsRequest");

pub(super) const REGISTER: Line<Registry> = Line {
    action: iti42::REGISTER.0,
    reply: iti42::REGISTER.1,
    body: SUBMIT,
    transaction: "ITI-42",
    documents: false,
    refusal: |findings| refusal(findings, "stored"),
    serve: |registry, request, call| {
        walk(registry, &registry.register, request, Writing::new(registry, call))
    },
};

pub(super) const REGISTER_ON_DEMAND: Line<Registry> = Line {
    action: iti42::REGISTER_ON_DEMAND.0,
    reply: iti42::REGISTER_ON_DEMAND.1,
    transaction: "ITI-61",
    serve: |registry, request, call| {
        walk(registry, &registry.on_demand, request, Writing::new(registry, call))
    },
    ..REGISTER
};

pub(super) const UPDATE: Line<Registry> = Line {
    action: iti57::UPDATE.0,
    reply: iti57::UPDATE.1,
    transaction: "ITI-57",
    refusal: |findings| refusal(findings, "changed"),
    serve: |registry, request, call| walk(registry, &registry.amend, request, Writing::new(registry, call)),
    ..REGISTER
};

pub(super) const RESTRICTED_UPDATE: Line<Registry> = Line {
    action: iti57::RESTRICTED_UPDATE.0,
    reply: iti57::RESTRICTED_UPDATE.1,
    transaction: "ITI-92",
    refusal: |findings| refusal(findings, "changed"),
    serve: |registry, request, call| {
        walk(registry, &registry.restricted, request, Writing::new(registry, call))
    },
    ..REGISTER
};

pub(super) const REMOVE: Line<Registry> = Line {
    action: iti62::DELETE.0,
    reply: iti62::DELETE.1,
    body: (LCM, "RemoveObjectsRequest"),
    transaction: "ITI-62",
    refusal: |findings| refusal(findings, "changed"),
    serve: |registry, request, call| walk(registry, &registry.remove, request, Writing::new(registry, call)),
    ..REGISTER
};

fn refusal(findings: &[Finding], done: &str) -> Vec<u8> {
    let mut xml = Writer::default();
    response::write_refusal(&mut xml, findings, Side::Registry, done);
    xml.finish()
}

fn walk<'a, T: Transaction<Findings = Findings>>(
    registry: &'a Registry,
    transaction: &'a T,
    request: &'a mut Request,
    writing: Writing<'a>,
) -> LocalBoxFuture<'a, Answer>
where
    Writing<'a>: Codec<T>,
{
    Box::pin(async move { registry.corridor.walk(transaction, &writing, request).await })
}

/// One message that changes something.
pub(super) struct Writing<'a> {
    registry: &'a Registry,
    call: Call,
    /// What is to be said beside the answer, from reading the message.
    warnings: RefCell<Findings>,
}

impl<'a> Writing<'a> {
    fn new(registry: &'a Registry, call: Call) -> Writing<'a> {
        Writing { registry, call, warnings: RefCell::default() }
    }

    /// Refuses a message with an error in it, and keeps what is merely to be said. What is wrong with the codes is told beside
    /// what is wrong with the rest.
    fn sound(&self, submission: &Submission, mut findings: Findings) -> Result<(), Fault<Findings>> {
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            findings.extend(self.registry.domain.judge(&ebxml::rim::codes(submission)));
            xds::finding::sort(&mut findings);
            return Err(Fault::Refused(findings));
        }
        self.warnings.replace(findings);
        Ok(())
    }

    fn registration(
        &self,
        (submission, findings): (Submission, Findings),
    ) -> Result<Registration, Fault<Findings>> {
        self.sound(&submission, findings)?;
        let mut provided = Provided::of(submission, Door::Registry);
        for document in &mut provided.submission.documents {
            document.url = self.registry.places.url(document);
        }
        Ok(Registration { provided, said: None, unless: None })
    }

    fn amendment(&self) -> Result<Amendment, Fault<Findings>> {
        let (submission, mut triggers, findings) = iti57::read(self.call.body());
        self.sound(&submission, findings)?;
        let symbols = |submission: &Submission| -> (Vec<String>, Vec<String>, Vec<String>) {
            (
                submission.documents.iter().map(|document| document.symbol.clone()).collect(),
                submission.folders.iter().map(|folder| folder.symbol.clone()).collect(),
                submission.associations.iter().map(|association| association.symbol.clone()).collect(),
            )
        };
        let before = symbols(&submission);
        let provided = Provided::of(submission, Door::Registry);
        let after = symbols(&provided.submission);
        // The objects have other symbols in the form of a Bundle, in the same order.
        let renamed = |symbol: &mut String, before: &[String], after: &[String]| {
            let index = before.iter().position(|known| known == symbol);
            if let Some(new) = index.and_then(|index| after.get(index)) {
                symbol.clone_from(new);
            }
        };
        for trigger in &mut triggers {
            match trigger {
                Trigger::Document(version) => renamed(&mut version.symbol, &before.0, &after.0),
                Trigger::Folder(version) => renamed(&mut version.symbol, &before.1, &after.1),
                Trigger::Submit { association, .. } => renamed(association, &before.2, &after.2),
                Trigger::Status { .. } => {}
            }
        }
        Ok(Amendment { provided, triggers })
    }

    fn done(&self, mut findings: Findings) -> Answer {
        findings.extend(self.warnings.take());
        self.call.tell(&findings)
    }
}

/// Reads, answers and refuses as every one of these transactions does.
macro_rules! codec {
    ($transaction:ty, $request:ty, $response:ty, $read:expr, $said:expr) => {
        impl Codec<$transaction> for Writing<'_> {
            async fn read(&self, _: &mut Request, _: &Context) -> Result<$request, Fault<Findings>> {
                $read(self)
            }
            fn write(&self, response: $response, _: &Context) -> Answer {
                self.done($said(response))
            }
            fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
                self.call.refuse(&fault, context)
            }
            fn reason(&self, fault: &Fault<Findings>) -> String {
                ::soap::reason(fault)
            }
        }
    };
}

codec!(
    Register,
    Registration,
    Registered,
    |it: &Writing<'_>| it.registration(iti42::read_request(it.call.body())),
    |registered: Registered| registered.warnings
);
codec!(
    OnDemand,
    Registration,
    Registered,
    |it: &Writing<'_>| it.registration(iti42::read_on_demand(it.call.body())),
    |registered: Registered| registered.warnings
);
codec!(Amend, Amendment, Amended, Writing::amendment, |amended: Amended| amended.warnings);
codec!(Restricted, Amendment, Amended, Writing::amendment, |amended: Amended| amended.warnings);
codec!(
    Remove,
    Vec<xds::EntryUuid>,
    Removed,
    |it: &Writing<'_>| iti62::read(it.call.body()).map_err(Fault::Refused),
    |_: Removed| Findings::new()
);
