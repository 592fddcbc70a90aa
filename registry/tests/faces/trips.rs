//! Trips of a submission through both languages, and what must be equal after them.

use ebxml::rim::{Column, read_submission, write_submission};
use ebxml::{Writer, reader};
use fhir::iti65::{Door, Provided, read_request, write_registration};
use xds::hl7::dtm;
use xds::{Author, Code, Findings, Patient, Severity, Submission, Timestamp};

/// Whose documents they are, once that is known.
const PATIENT: &str = "http://identity.example/fhir/Patient/p1";

/// A submission written as ebRIM and read again; none where ebRIM cannot say it, with the reason.
pub(crate) fn through_ebxml(submission: &Submission) -> Result<Submission, String> {
    let mut out = Writer::with_capacity(16 << 10);
    write_submission(&mut out, submission).map_err(|finding| finding.text)?;
    let written = out.finish();
    let element = reader::read(&written, &reader::Limits::default()).expect("what is written is XML");
    // As it would be told by a registry: what a source must give besides is another matter.
    let (read, findings) = read_submission(&element, Column::Answer);
    let errors = errors(&findings);
    if errors.is_empty() {
        Ok(read)
    } else {
        Err(format!("{errors:?}\n{}", String::from_utf8_lossy(&written)))
    }
}

/// A submission sent to the registry as FHIR and read there.
pub(crate) fn through_fhir(submission: &Submission) -> Result<Submission, String> {
    let mut provided = Provided::of(submission.clone(), Door::Repository);
    provided.set_patient("p1", PATIENT, None);
    let mut again = Provided::of(submission.clone(), Door::Repository);
    again.set_patient("p1", PATIENT, None);
    assert_eq!(
        again.digest(&[]),
        provided.digest(&[]),
        "a submission that is sent again has the same digest"
    );
    for (index, document) in provided.submission.documents.clone().iter().enumerate() {
        let (size, hash) = (document.size.unwrap_or(7), document.hash.map_or([1; 20], |hash| hash.0));
        let url = format!("http://repository.example/documents/{index}");
        provided.set_document(&document.symbol, &url, size, hash, [2; 32]);
    }
    let written = write_registration(&provided);
    let bundle =
        fhir::json::parse(&written, &fhir::json::Limits::default()).expect("what is written is JSON");
    let read = read_request(bundle, &[], Door::Registry);
    read.map(|read| read.submission).map_err(|findings| format!("{:?}", errors(&findings)))
}

pub(crate) fn errors(findings: &Findings) -> Vec<String> {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| format!("{}: {}", finding.at.path, finding.text)).collect()
}

/// What XDS says of a submission: ids of this trip, places and the forms that are carried left out, each value in one spelling.
pub(crate) fn in_xds(submission: &Submission) -> Vec<String> {
    let mut submission = submission.clone();
    xds::hl7::fill(&mut submission);
    let symbols = symbols(&submission);
    let named = |symbol: &str| symbols.iter().find(|(s, _)| s == symbol).map(|(_, name)| name.clone());
    submission.places.clear();
    let mut out = Vec::new();
    let set = &mut submission.submission_set;
    set.symbol.clear();
    set.patient = Patient::default();
    set.carried.fhir = None;
    in_dtm(&mut set.submission_time);
    set.authors = set.authors.iter().filter_map(of_xds).collect();
    one_concept(&mut set.content_type_codes);
    set.encounter = None;
    set.source_id.value = xds::attribute::identifier_value(&set.source_id.value);
    set.source_id.system.clear();
    say("SubmissionSet", &submission.submission_set, &mut out);
    for (number, document) in submission.documents.iter_mut().enumerate() {
        document.symbol.clear();
        document.patient = Patient::default();
        document.carried.fhir = None;
        let times = [&mut document.creation_time, &mut document.service_start, &mut document.service_stop];
        times.into_iter().flatten().for_each(in_dtm);
        document.authors = document.authors.iter().filter_map(of_xds).collect();
        one_concept(&mut document.class_codes);
        one_concept(&mut document.facility_codes);
        one_concept(&mut document.practice_setting_codes);
        document.type_codes.truncate(1);
        one_concept(&mut document.type_codes);
        document.type_code = document.type_codes.first().cloned();
        document.confidentiality_codes.iter_mut().for_each(one_code);
        document.event_codes.iter_mut().for_each(one_code);
        document.format_code.iter_mut().for_each(one_code);
        document.source_patient_ids.truncate(1);
        // Sent on as it was measured.
        (document.size, document.hash, document.sha256) = (None, None, None);
        document.url.clear();
        // No attributes of XDS.
        document.date = None;
        (document.authenticator, document.custodian) = (None, None);
        document.identifiers.clear();
        document.related.clear();
        document.reference_ids.clear();
        document.encounters.clear();
        document.has_source_patient_info = false;
        document.unique_id =
            xds::identifier::unique_id_of(&xds::identifier::unique_id_text(&document.unique_id));
        say(&format!("DocumentEntry {number}"), document, &mut out);
    }
    for (number, folder) in submission.folders.iter_mut().filter(|folder| !folder.update).enumerate() {
        folder.symbol.clear();
        folder.patient = Patient::default();
        folder.carried.fhir = None;
        folder.encounter = None;
        folder.codes.iter_mut().for_each(one_code);
        say(&format!("Folder {number}"), folder, &mut out);
    }
    let end = |end: &xds::ObjectRef| match end {
        xds::ObjectRef::Symbol(symbol) => named(symbol).unwrap_or_else(|| "a membership".to_owned()),
        other => format!("{other:?}"),
    };
    let mut associations: Vec<String> = submission
        .associations
        .iter()
        .map(|one| {
            let (id, why, extra) = (&one.entry_uuid, &one.documentation, &one.extra);
            let why = why.clone().map(|mut code| {
                one_code(&mut code);
                code
            });
            format!("{:?} {} -> {} {id:?} {why:?} {extra:?}", one.kind, end(&one.source), end(&one.target))
        })
        // That a set holds the memberships of its folders goes without saying in FHIR.
        .filter(|said| !said.contains("-> a membership"))
        .collect();
    associations.sort();
    out.extend(associations);
    out
}

fn symbols(submission: &Submission) -> Vec<(String, String)> {
    let set = (submission.submission_set.symbol.clone(), "the set".to_owned());
    let documents = submission.documents.iter().enumerate();
    let documents = documents.map(|(number, d)| (d.symbol.clone(), format!("document {number}")));
    let folders = submission.folders.iter().enumerate();
    let folders = folders.map(|(number, f)| (f.symbol.clone(), format!("folder {number}")));
    std::iter::once(set).chain(documents).chain(folders).collect()
}

fn say<T: serde::Serialize>(what: &str, object: &T, out: &mut Vec<String>) {
    let serde_json::Value::Object(members) = serde_json::to_value(object).expect("it is writable") else {
        return;
    };
    for (name, value) in members {
        let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if !is_empty && name != "carried" {
            out.push(format!("{what}.{name}: {value}"));
        }
        if name == "carried" && value.get("ebxml").is_some_and(|xml| !xml.is_null()) {
            out.push(format!("{what}.{name}: {value}"));
        }
    }
}

fn in_dtm(time: &mut Timestamp) {
    time.text = dtm::write(time);
    if let Some(read) = dtm::read(&time.text) {
        *time = read;
    }
}

/// An author as XDS knows it; none of whom it knows nothing.
fn of_xds(author: &Author) -> Option<Author> {
    let known =
        author.person.is_some() || !author.institutions.is_empty() || !author.telecommunications.is_empty();
    known.then(|| Author {
        person: author.person.clone(),
        institutions: author.institutions.clone(),
        roles: author.roles.clone(),
        specialties: author.specialties.clone(),
        telecommunications: author.telecommunications.clone(),
        ..Author::default()
    })
}

/// An attribute that XDS gives one code: the first coding of FHIR.
fn one_concept(codes: &mut Vec<Code>) {
    codes.truncate(1);
    codes.iter_mut().for_each(one_code);
}

/// The system in its one spelling, and a display where none was given: XDS demands one, and says the code again.
fn one_code(code: &mut Code) {
    code.system = xds::attribute::system(&code.system);
    code.display.get_or_insert_with(|| code.code.clone());
}
