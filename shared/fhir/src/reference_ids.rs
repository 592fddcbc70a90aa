//! referenceIdList: CXi in XDS, identifiers of `context.related` and `context.encounter` in FHIR (spec 3, rule 7).

use serde_json::{Value, json};
use xds::hl7::{ACCESSION, Cx, ENCOUNTER_ID, ORDER, UNIQUE_ID};

use crate::element::{self, URI, identifier, items, text};

/// Type of a CXi whose identifier says of no kind what it names: CXi.5 is never empty, and what is local may be anything.
const UNTYPED: &str = "https://docshare.example/untyped-identifier";
/// Types of identifiers in HL7 v2.
const V2_TYPES: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";

/// The referenceIdList of a `context`.
pub(crate) fn read(context: &Value) -> Vec<String> {
    let related = items(context, "related").iter().filter_map(|reference| reference.get("identifier"));
    let encounters = items(context, "encounter").iter().filter_map(|reference| reference.get("identifier"));
    let related = related.filter_map(|value| written(value, None));
    related.chain(encounters.filter_map(|value| written(value, Some(ENCOUNTER_ID)))).collect()
}

fn written(value: &Value, kind: Option<&str>) -> Option<String> {
    let name = identifier(value)?;
    let mut cx = Cx::of(&name);
    let said = kind.map(str::to_owned).or_else(|| kind_of(value)).or(cx.type_code.take());
    let own =
        if matches!(name.system.as_str(), "" | URI) && cx.authority.is_none() && name.value.contains(':') {
            UNIQUE_ID
        } else {
            UNTYPED
        };
    cx.type_code = Some(said.unwrap_or_else(|| own.to_owned()));
    Some(cx.write())
}

fn kind_of(value: &Value) -> Option<String> {
    let types = value.get("type").map(|kind| items(kind, "coding")).unwrap_or_default();
    types.iter().find_map(|coding| {
        let code = text(coding, "code")?;
        match (text(coding, "system"), code) {
            (Some(URI), code) => Some(code.to_owned()),
            (Some(V2_TYPES), "ACSN") => Some(ACCESSION.to_owned()),
            (Some(V2_TYPES), "PLAC" | "FILL") => Some(ORDER.to_owned()),
            _ => None,
        }
    })
}

/// Puts a referenceIdList into a `context`: encounters by themselves, all else as `related`.
pub(crate) fn write(list: &[String], related: &mut Vec<Value>, encounters: &mut Vec<Value>) {
    for cx in list.iter().filter_map(|written| Cx::read(written)) {
        let mut value = element::identifier_value(&cx.identifier());
        if cx.type_code.as_deref() == Some(ENCOUNTER_ID) {
            encounters.push(json!({ "identifier": value }));
            continue;
        }
        if let Some(kind) =
            cx.type_code.as_deref().filter(|kind| *kind != UNTYPED && !kind.contains(char::is_whitespace))
        {
            let kind = json!({ "coding": [{ "system": URI, "code": kind }] });
            element::put(&mut value, "type", Some(kind));
        }
        related.push(json!({ "identifier": value }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_ids_come_back_in_their_order() {
        let list = [
            "7^^^&1.2&ISO^urn:ihe:iti:xds:2013:accession",
            "1.2.3^^^^urn:ihe:iti:xds:2013:uniqueId",
            "urn:uuid:1^^^^urn:ihe:iti:xdw:2013:workflowInstanceId",
            "1.2.3.4^^^^urn:ihe:iti:xds:2016:studyInstanceUID",
            "9^^^&1.2&ISO^https://docshare.example/untyped-identifier",
            "e^^^&1.3&ISO^urn:ihe:iti:xds:2015:encounterId",
        ]
        .map(str::to_owned);
        let (mut related, mut encounters) = (Vec::new(), Vec::new());
        write(&list, &mut related, &mut encounters);
        assert_eq!((related.len(), encounters.len()), (5, 1));
        assert_eq!(read(&json!({ "related": related, "encounter": encounters })), list);
    }

    #[test]
    fn an_identifier_of_fhir_gets_the_type_it_has() {
        let of = |kind: Value| {
            let identifier = json!({ "system": "urn:oid:1.2", "value": "7", "type": kind });
            read(&json!({ "related": [{ "identifier": identifier }] })).remove(0)
        };
        let v2 = |code: &str| json!({ "coding": [{ "system": V2_TYPES, "code": code }] });
        assert_eq!(of(v2("ACSN")), "7^^^&1.2&ISO^urn:ihe:iti:xds:2013:accession");
        assert_eq!(of(v2("PLAC")), "7^^^&1.2&ISO^urn:ihe:iti:xds:2013:order");
        assert_eq!(of(json!({ "text": "?" })), format!("7^^^&1.2&ISO^{UNTYPED}"));
        let study =
            json!({ "related": [{ "identifier": { "system": "urn:dicom:uid", "value": "urn:oid:1.2.3" } }] });
        assert_eq!(read(&study), ["1.2.3^^^^urn:ihe:iti:xds:2016:studyInstanceUID"]);
    }
}
