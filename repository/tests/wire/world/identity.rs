//! A fake identity source: looks patients up by identifier, and takes new ones.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::http::{Asked, Reaction, serve};

#[derive(Clone)]
pub(crate) struct FakeIdentity {
    pub(crate) host: String,
    /// Patients, with their ids.
    pub(crate) patients: Arc<Mutex<Vec<Value>>>,
    /// Requests, as `METHOD target`.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl FakeIdentity {
    pub(crate) async fn start() -> FakeIdentity {
        let patients = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::new(Mutex::new(Vec::new()));
        let (known, record) = (patients.clone(), log.clone());
        let host = serve(move |asked| {
            record.lock().unwrap().push(format!("{} {}", asked.method, asked.target));
            react(&mut known.lock().unwrap(), &asked)
        })
        .await;
        FakeIdentity { host, patients, asked: log }
    }

    pub(crate) fn knows(&self, id: &str, system: &str, value: &str) {
        self.patients.lock().unwrap().push(json!({
            "resourceType": "Patient", "id": id, "active": true,
            "identifier": [{ "system": system, "value": value }]
        }));
    }
}

fn react(patients: &mut Vec<Value>, asked: &Asked) -> Reaction {
    if let Some(id) = asked.target.strip_prefix("/fhir/Patient/") {
        let found = patients.iter().find(|patient| patient["id"] == id);
        let status = if found.is_some() { 200 } else { 404 };
        let body = found.map(Value::to_string).unwrap_or_default();
        return Reaction::Answer { status, headers: Vec::new(), body };
    }
    let (path, query) = asked.target.split_once('?').expect("patients are asked for by identifier");
    assert_eq!(path, "/fhir/Patient");
    let wanted = query.split('&').find_map(|parameter| parameter.strip_prefix("identifier=")).unwrap();
    let wanted = percent_encoding::percent_decode_str(wanted).decode_utf8().unwrap().into_owned();
    let found: Vec<Value> = patients
        .iter()
        .filter(|patient| {
            let identifiers = patient["identifier"].as_array().unwrap().iter();
            identifiers
                .map(|identifier| {
                    format!(
                        "{}|{}",
                        identifier["system"].as_str().unwrap(),
                        identifier["value"].as_str().unwrap()
                    )
                })
                .any(|token| token == wanted)
        })
        .cloned()
        .collect();
    if asked.method == "GET" {
        let entries: Vec<Value> = found.iter().map(|patient| json!({ "resource": patient })).collect();
        let bundle = json!({ "resourceType": "Bundle", "type": "searchset", "entry": entries });
        return Reaction::Answer { status: 200, headers: Vec::new(), body: bundle.to_string() };
    }
    assert_eq!(asked.method, "PUT");
    let mut patient: Value = serde_json::from_slice(&asked.body).unwrap();
    assert!(patient.get("id").is_none(), "the identity source gives the id");
    let id = format!("fed-{}", patients.len());
    patient["id"] = id.as_str().into();
    patients.push(patient.clone());
    let location = format!("http://identity.example/fhir/Patient/{id}/_history/1");
    Reaction::Answer {
        status: 201,
        headers: vec![("location".to_owned(), location)],
        body: patient.to_string(),
    }
}
