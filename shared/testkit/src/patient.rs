//! Patients as an identity source is fed with them (ITI-104).

use serde_json::{Value, json};

/// An active patient with one identifier.
pub fn patient(system: &str, value: &str, family: &str, given: &str) -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{ "system": system, "value": value }],
        "active": true,
        "name": [{ "family": family, "given": [given] }],
        "gender": "female",
        "birthDate": "1958-01-30",
        "telecom": [{ "system": "phone", "value": "+43 1 5550147" }],
        "address": [{ "line": ["Beispielgasse 7"], "city": "Wien", "postalCode": "1010", "country": "AT" }]
    })
}

/// A patient that was subsumed by the one this identifier names.
pub fn merged_patient(system: &str, value: &str, survivor_system: &str, survivor_value: &str) -> Value {
    let mut merged = patient(system, value, "Merged", "Away");
    merged["active"] = json!(false);
    merged["link"] = json!([{
        "other": { "identifier": { "system": survivor_system, "value": survivor_value } },
        "type": "replaced-by"
    }]);
    merged
}
