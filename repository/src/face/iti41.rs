//! Provide and Register Document Set-b [ITI-41] on the wire. The documents have streamed into the store when the metadata is
//! looked at; from there on it is a submission like any other.

use actor::{Codec, Context, Fault};
use ebxml::Element;
use ebxml::iti41::read_request;
use ebxml::rim::codes;
use fhir::iti65::{Door, Measured, Provided};
use soap::Call;
use store::blob::Staged;
use web::{Answer, Request};
use xds::{Finding, Findings, Place, Rule, Severity, Side};

use super::body::Intake;
use super::soap::registry_response;
use crate::Repository;
use crate::provide::Received;
use crate::provide_set::{ProvideSet, Registered};

/// Answers one submission.
pub(crate) async fn serve(repository: &Repository, request: &mut Request, call: Call) -> Answer {
    let codec = Set { call, intake: repository.intake() };
    repository.house.corridor.walk(&repository.provide_set, &codec, request).await
}

struct Set<'a> {
    call: Call,
    intake: Intake<'a>,
}

impl Codec<ProvideSet> for Set<'_> {
    async fn read(&self, _: &mut Request, _: &Context) -> Result<Received, Fault<Findings>> {
        received(&self.call, self.intake).map_err(|mut findings| {
            findings.iter_mut().for_each(|finding| finding.side = Side::Repository);
            xds::finding::sort(&mut findings);
            Fault::Refused(findings)
        })
    }

    fn write(&self, registered: Registered, _: &Context) -> Answer {
        let answer = self.call.answer(registry_response(&registered.warnings, true));
        #[cfg(feature = "failpoints")]
        let answer = actor::points::in_the_middle("repo.answer.mid", answer);
        super::iti65::replayed(answer, registered.replayed)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        self.call.refuse(&fault, context)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        soap::reason(fault)
    }
}

/// A message that came in, read and judged as far as that needs nobody else: everything that is wrong with it at once.
fn received(call: &Call, intake: Intake<'_>) -> Result<Received, Findings> {
    let (request, mut findings) = read_request(call.body());
    if intake.domain.judges() {
        findings.extend(intake.domain.judge(&codes(&request.submission)));
    }
    if has_errors(&findings) {
        return Err(findings);
    }
    let symbols = request.submission.documents.iter().map(|entry| entry.symbol.clone());
    let elements = symbols.filter_map(|symbol| request.document(&symbol).map(|element| (symbol, element)));
    let elements: Vec<(String, &Element)> = elements.collect();
    let mut provided = Provided::of(request.submission, Door::Repository);
    let (mut staged, mut measured): (Vec<(usize, Staged)>, Vec<Measured>) = (Vec::new(), Vec::new());
    for (symbol, element) in elements {
        let Some(entry) = provided.bytes_of(&symbol) else { continue };
        match call.take(element) {
            Ok(Some(document)) => {
                measured.push(Measured {
                    entry,
                    size: document.size(),
                    sha1: document.sha1(),
                    sha256: document.sha256(),
                });
                staged.push((entry, document));
            }
            // It names a part that did not come: the entry is without its document.
            Ok(None) => {}
            Err(finding) => findings.push(finding),
        }
    }
    findings.extend(provided.verify(&measured));
    // Where a document is missing, its part is most likely there under another name: that is the one fault.
    if !findings.iter().any(|finding| finding.rule == Rule::MissingDocument) {
        findings.extend(unclaimed(call));
    }
    findings.extend(provided.check());
    if has_errors(&findings) {
        return Err(findings);
    }
    provided.warnings.extend(findings);
    Ok(Received { provided, staged, measured, idempotency_key: None })
}

/// Parts that no Document names: somebody meant them to be kept, and said not as what (ITI TF-2 3.41.4.1.3).
fn unclaimed(call: &Call) -> Option<Finding> {
    let text = match call.unclaimed() {
        0 => return None,
        1 => "1 part of the message is".to_owned(),
        many => format!("{many} parts of the message are"),
    };
    let text = format!(
        "{text} named by no Document; the xop:Include of a Document names the Content-ID of its part, without < and >."
    );
    Some(Finding::error(Rule::MissingDocumentMetadata, Place::at("Document"), text))
}

fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}
