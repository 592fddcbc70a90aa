//! The documents of a patient, asked for by a stored query [ITI-18].

use serde_json::json;

use super::list::List;
use crate::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Column, Row};
use crate::query::{self, Ask, Parameter, cell, classification, identifier, objects, slot};
use crate::token::PatientName;

const TYPE: &str = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983";
const CLASS: &str = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a";
const FORMAT: &str = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d";
const AUTHOR: &str = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d";

pub(super) async fn run(list: &List, context: &Context, columns: &[Column]) -> Result<Exit, Failure> {
    let ask = question(list)?;
    let (body, answer) = query::send(context, &ask).await?;
    let mut listing = context.output.list(columns)?;
    let found = objects(&body);
    if listing.wants_bytes() {
        listing.page(&answer.body, found.len())?;
        return listing.finish();
    }
    for object in found {
        listing.push(&row(object))?;
    }
    listing.finish()
}

fn question(list: &List) -> Result<Ask, Failure> {
    let unspoken = [
        ("--sort", list.sort.is_some()),
        ("--where", !list.wheres.is_empty()),
        ("--count", list.count.is_some()),
    ];
    if let Some((flag, _)) = unspoken.iter().find(|(_, given)| *given) {
        return Err(Failure::usage(format!("{flag} cannot be said over SOAP"))
            .next("docshare query run takes every parameter of a stored query"));
    }
    let ask = |name: &str, parameters| {
        Ok(Ask { query: query::named(name)?, references: false, home: None, parameters })
    };
    let Some(patient) = &list.patient else {
        let ids = list.identifier.iter().map(|identifier| Parameter::new("UniqueId", unique_id(identifier)));
        return ask("GetDocuments", ids.collect());
    };
    if !list.identifier.is_empty() {
        return Err(Failure::usage(
            "over SOAP documents are asked for by their patient or by --identifier, not by both",
        ));
    }
    let PatientName::Identifier(patient) = patient else {
        return Err(Failure::usage("over SOAP a patient is named by an identifier")
            .next("write --patient urn:oid:1.2.3|VALUE"));
    };
    let mut parameters = vec![Parameter::new("PatientId", format!("{}|{}", patient.system, patient.value))];
    let statuses: &[&str] = match list.status.as_str() {
        "current" => &["approved"],
        "superseded" => &["deprecated"],
        "" => &["approved", "deprecated"],
        other => {
            return Err(Failure::usage(format!(
                "there is no status {other:?}; there are current and superseded"
            )));
        }
    };
    parameters.extend(statuses.iter().map(|status| Parameter::new("$XDSDocumentEntryStatus", *status)));
    let codes = [
        ("TypeCode", &list.r#type),
        ("ClassCode", &list.category),
        ("FormatCode", &list.format),
        ("PracticeSettingCode", &list.setting),
        ("HealthcareFacilityTypeCode", &list.facility),
        ("EventCodeList", &list.event),
    ];
    for (name, code) in codes {
        let Some(code) = code else { continue };
        if !code.contains(['|', '^']) {
            return Err(Failure::usage(format!("over SOAP a code needs its system; this is {code:?}"))
                .next("write SYSTEM|CODE"));
        }
        parameters.push(Parameter::new(name, code.clone()));
    }
    parameters.extend(list.author.iter().map(|name| Parameter::new("AuthorPerson", format!("%{name}%"))));
    parameters.extend(list.since.iter().map(|time| Parameter::new("CreationTimeFrom", time.clone())));
    parameters.extend(list.until.iter().map(|time| Parameter::new("CreationTimeTo", time.clone())));
    ask("FindDocuments", parameters)
}

/// A unique id as XDS writes it.
pub(super) fn unique_id(identifier: &crate::token::Identifier) -> String {
    xds::identifier::unique_id_text(&xds::Identifier {
        system: identifier.system.clone(),
        value: identifier.value.clone(),
    })
}

fn row(object: &ebxml::Element) -> Row {
    let reads = |scheme: &str| {
        classification(object, scheme).into_iter().next().map(|(code, display)| display.unwrap_or(code))
    };
    let code = |scheme: &str| classification(object, scheme).into_iter().next().map(|(code, _)| code);
    let authors: Vec<String> = object
        .children
        .iter()
        .filter(|class| class.attribute("classificationScheme") == Some(AUTHOR))
        .flat_map(|class| slot(class, "authorPerson"))
        .collect();
    let status = match object.attribute("status").unwrap_or_default().rsplit(':').next() {
        Some("Approved") => "current",
        Some("Deprecated") => "superseded",
        _ => "",
    };
    let cells = [
        ("id", json!(object.attribute("id").map(|id| id.trim_start_matches("urn:uuid:")))),
        ("creation", cell(slot(object, "creationTime"))),
        ("type", json!(reads(TYPE))),
        ("title", json!(crate::query::text(object, "Name"))),
        ("contentType", json!(object.attribute("mimeType"))),
        ("size", json!(slot(object, "size").first().and_then(|size| size.parse::<u64>().ok()))),
        ("status", json!(status)),
        ("category", json!(reads(CLASS))),
        ("format", json!(code(FORMAT))),
        ("language", cell(slot(object, "languageCode"))),
        ("author", cell(authors)),
        ("uniqueId", json!(identifier(object, ".uniqueId"))),
        ("patient", json!(identifier(object, ".patientId"))),
        ("hash", cell(slot(object, "hash"))),
        ("url", cell(slot(object, "URI"))),
    ];
    cells.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
