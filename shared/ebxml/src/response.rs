//! RegistryResponse: how a request went, with the errors and warnings (TF-3 4.2.4).

use xds::{Finding, Findings, Rule, Severity, Side};

use crate::element::Element;
use crate::names::namespace::RS;
use crate::names::response as urn;
use crate::writer::Writer;

/// How a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All of it.
    Success,
    /// Some of it: queries and retrievals only.
    PartialSuccess,
    /// Nothing of it.
    Failure,
}

impl Status {
    /// How it is written.
    pub fn urn(self) -> &'static str {
        match self {
            Status::Success => urn::SUCCESS,
            Status::PartialSuccess => urn::PARTIAL_SUCCESS,
            Status::Failure => urn::FAILURE,
        }
    }

    /// What a submission that met these comes to: a failure, if one of them is an error.
    pub fn of(findings: &[Finding]) -> Status {
        let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
        if failed { Status::Failure } else { Status::Success }
    }

    /// Reads it; the bare word, as some samples have it, is understood.
    pub fn read(text: &str) -> Option<Status> {
        match text.trim().rsplit(':').next()? {
            "Success" => Some(Status::Success),
            "PartialSuccess" => Some(Status::PartialSuccess),
            "Failure" => Some(Status::Failure),
            _ => None,
        }
    }
}

/// An error or warning as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryError {
    /// `errorCode`.
    pub code: String,
    /// `codeContext`: the sentence for a person.
    pub context: String,
    /// `severity`: whether it is an error, not a warning.
    pub is_error: bool,
    /// `location`.
    pub location: Option<String>,
}

/// An answer as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryResponse {
    /// How it went.
    pub status: Status,
    /// Errors and warnings.
    pub errors: Vec<RegistryError>,
}

/// Writes a `rs:RegistryResponse` with its namespace.
pub fn write(out: &mut Writer, status: Status, findings: &[Finding], side: Side) {
    let errors: Vec<RegistryError> = errors(findings, side);
    out.start("rs:RegistryResponse").attribute("xmlns:rs", RS).attribute("status", status.urn());
    write_errors(out, &errors);
    out.end();
}

/// Writes the answer to a request that was refused whole: every error says that nothing came of it, as far as that is certain.
/// `done` is what was asked for: "stored", "changed".
pub fn write_refusal(out: &mut Writer, findings: &[Finding], side: Side, done: &str) {
    let uncertain = |finding: &Finding| {
        let rules = [Rule::ActorFailed, Rule::ActorBusy, Rule::OutOfResources, Rule::RegistryNotAvailable];
        rules.contains(&finding.rule)
    };
    let mut findings = findings.to_vec();
    if Status::of(&findings) == Status::Failure && !findings.iter().any(uncertain) {
        let failing = findings.iter_mut().filter(|finding| finding.severity == Severity::Error);
        for finding in failing.filter(|finding| !finding.text.to_lowercase().contains("nothing was")) {
            let text = finding.text.trim_end_matches('.');
            finding.text = format!("{text}. Nothing was {done}.");
        }
    }
    write(out, Status::of(&findings), &findings, side);
}

/// Writes a `rs:RegistryErrorList`; nothing where there are none. The prefix `rs` must be declared.
pub fn write_errors(out: &mut Writer, errors: &[RegistryError]) {
    if errors.is_empty() {
        return;
    }
    let severity = |is_error: bool| if is_error { urn::ERROR } else { urn::WARNING };
    let worst = errors.iter().any(|error| error.is_error);
    out.start("rs:RegistryErrorList").attribute("highestSeverity", severity(worst));
    for error in errors {
        out.start("rs:RegistryError").attribute("errorCode", &error.code);
        out.attribute("codeContext", &error.context).attribute("severity", severity(error.is_error));
        out.optional("location", error.location.as_deref()).end();
    }
    out.end();
}

/// Findings as XDS writes them, the worst first. What is only worth knowing has no form here.
pub fn errors(findings: &[Finding], side: Side) -> Vec<RegistryError> {
    let mut sorted: Findings = findings.to_vec();
    xds::finding::sort(&mut sorted);
    sorted
        .iter()
        .filter(|finding| finding.severity != Severity::Information)
        .map(|one| error(one, side))
        .collect()
}

/// A finding as XDS writes it.
pub fn error(finding: &Finding, side: Side) -> RegistryError {
    let any = match side {
        Side::Registry => "XDSRegistryError",
        Side::Repository => "XDSRepositoryError",
    };
    RegistryError {
        code: finding.rule.xds_code(side).unwrap_or(any).to_owned(),
        context: finding.text.clone(),
        is_error: finding.severity == Severity::Error,
        location: location(finding),
    }
}

/// Where it is: the place in the request, else the attribute. A place that goes on in words of the other face ends where
/// these begin, and names the attribute instead.
fn location(finding: &Finding) -> Option<String> {
    let (path, attribute) = (finding.at.path.as_str(), finding.at.attribute);
    let objects = ["ExtrinsicObject[", "RegistryPackage[", "Association["];
    let own = objects.iter().any(|object| path.starts_with(object));
    let path = match path.find("'].").filter(|_| own) {
        Some(end) => &path[..end + 2],
        None => path,
    };
    match (path, attribute) {
        ("", None) => None,
        ("", Some(attribute)) => Some(attribute.to_owned()),
        (path, None) => Some(path.to_owned()),
        (path, Some(attribute)) => Some(format!("{path} ({attribute})")),
    }
}

/// Reads a `rs:RegistryResponse`, or any other answer that carries a status and a RegistryErrorList. None: it says no status
/// we know.
pub fn read(response: &Element) -> Option<RegistryResponse> {
    let status = Status::read(response.attribute("status")?)?;
    Some(RegistryResponse { status, errors: read_errors(response) })
}

/// Reads the errors of an answer.
pub fn read_errors(response: &Element) -> Vec<RegistryError> {
    let Some(list) = response.child(RS, "RegistryErrorList") else { return Vec::new() };
    let own = |error: &Element, name: &str| error.attribute(name).unwrap_or_default().trim().to_owned();
    let read = |error: &Element| {
        // Some put the sentence into the element.
        let context = match own(error, "codeContext") {
            context if context.is_empty() => error.trimmed().to_owned(),
            context => context,
        };
        RegistryError {
            code: own(error, "errorCode"),
            context,
            is_error: !own(error, "severity").ends_with("Warning"),
            location: Some(own(error, "location")).filter(|location| !location.is_empty()),
        }
    };
    list.children_named(RS, "RegistryError").map(read).collect()
}

#[cfg(test)]
mod tests {
    use xds::Place;

    use super::*;
    use crate::reader::{self, Limits};

    fn finding() -> Finding {
        let place =
            Place::at("ExtrinsicObject[@id='Document01'].masterIdentifier").of("DocumentEntry.uniqueId");
        Finding::error(Rule::MetadataRequired, place, "it is \"missing\"")
    }

    #[test]
    fn who_is_refused_hears_that_nothing_came_of_it() {
        let told = |findings: &[Finding]| {
            let mut out = Writer::default();
            write_refusal(&mut out, findings, Side::Registry, "stored");
            let contexts = read(&reader::read(&out.finish(), &Limits::default()).unwrap()).unwrap().errors;
            contexts.into_iter().map(|error| error.context).collect::<Vec<_>>()
        };
        let warning = Finding::warning(Rule::RecipientNotNotified, Place::whole(), "nobody was told");
        assert_eq!(
            told(&[finding(), warning]),
            ["it is \"missing\". Nothing was stored.", "nobody was told"]
        );
        let said = Finding::error(Rule::MetadataInvalid, Place::whole(), "x; nothing was changed");
        assert_eq!(told(&[said]), ["x; nothing was changed"]);
        let uncertain = Finding::error(Rule::ActorFailed, Place::whole(), "a defect");
        assert_eq!(told(&[uncertain]), ["a defect"]);
    }

    #[test]
    fn an_answer_reads_back_as_it_was_written() {
        let warning = Finding::warning(Rule::RecipientNotNotified, Place::whole(), "nobody was told");
        let mut out = Writer::default();
        write(&mut out, Status::Failure, &[warning, finding()], Side::Repository);
        let element = reader::read(&out.finish(), &Limits::default()).unwrap();
        assert!(element.is(RS, "RegistryResponse"));
        let list = element.child(RS, "RegistryErrorList").unwrap();
        assert_eq!(list.attribute("highestSeverity"), Some(urn::ERROR));
        let response = read(&element).unwrap();
        assert_eq!(response.status, Status::Failure);
        let expected = [
            RegistryError {
                code: "XDSRepositoryMetadataError".to_owned(),
                context: "it is \"missing\"".to_owned(),
                is_error: true,
                location: Some("ExtrinsicObject[@id='Document01'] (DocumentEntry.uniqueId)".to_owned()),
            },
            RegistryError {
                code: "UnavailableRecipient".to_owned(),
                context: "nobody was told".to_owned(),
                is_error: false,
                location: None,
            },
        ];
        assert_eq!(response.errors, expected);
    }

    #[test]
    fn success_has_no_list_of_errors() {
        let mut out = Writer::default();
        write(&mut out, Status::Success, &[], Side::Registry);
        let xml = String::from_utf8(out.finish()).unwrap();
        assert_eq!(xml, format!("<rs:RegistryResponse xmlns:rs=\"{RS}\" status=\"{}\"/>", urn::SUCCESS));
    }

    #[test]
    fn a_rule_without_a_code_of_its_own_is_an_error_of_the_actor() {
        let finding = Finding::error(Rule::BusinessRule, Place::whole(), "no");
        assert_eq!(error(&finding, Side::Registry).code, "XDSRegistryError");
        assert_eq!(error(&finding, Side::Repository).code, "XDSRepositoryError");
    }

    #[test]
    fn the_status_of_the_samples_is_understood() {
        for (text, status) in [
            ("Success", Some(Status::Success)),
            (urn::PARTIAL_SUCCESS, Some(Status::PartialSuccess)),
            (
                "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:PartialSuccess",
                Some(Status::PartialSuccess),
            ),
            ("", None),
            ("urn:oasis:names:tc:ebxml-regrep:StatusType:Approved", None),
        ] {
            assert_eq!(Status::read(text), status, "{text}");
        }
    }
}
