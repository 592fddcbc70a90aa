//! What is kept of a patient beside what readers get, to work with the record without parsing it.

use bytes::Bytes;
use fhir::patient::{Patient, read_identifier};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Row;
use xds::Identifier;
use xds::authority::Authorities;

/// What is kept of a patient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Whether the record is in use.
    pub(crate) active: bool,
    /// Id of the patient that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaced_by: Option<String>,
    /// `meta.lastUpdated` of the rendering, microseconds.
    pub(crate) updated: i64,
    /// The domain whose source it is from: that of the identifier it was first fed under. Records of old do not have it; then
    /// it is that of their first identifier.
    #[serde(default)]
    home: String,
    /// Every identifier its source states.
    pub(crate) identifiers: Vec<KeptIdentifier>,
}

/// One identifier as cross-referencing answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptIdentifier {
    /// The domain, in its canonical spelling.
    pub(crate) system: String,
    /// The name in it.
    pub(crate) value: String,
    /// How its source spells the domain, where that is not the canonical spelling.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    spelled: Vec<String>,
    /// `assigner.display`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) assigner: Option<String>,
    /// Whether it names this record. One that another record holds is only stated here.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub(crate) held: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_true(held: &bool) -> bool {
    *held
}

impl KeptIdentifier {
    /// Whether an item of `Patient.identifier` is this one.
    fn is(&self, item: &Value) -> bool {
        let text = |name| item.get(name).and_then(Value::as_str).unwrap_or_default();
        let system = text("system");
        text("value") == self.value && (system == self.system || self.spelled.iter().any(|one| one == system))
    }

    /// The identifier itself.
    pub(crate) fn identifier(&self) -> Identifier {
        Identifier { system: self.system.clone(), value: self.value.clone() }
    }
}

impl Kept {
    /// What a row keeps.
    pub(crate) fn of(row: &Row) -> Result<Kept, store::Error> {
        let mut kept: Kept = serde_json::from_slice(&row.body)
            .map_err(|error| store::Error::Damaged(format!("patient {}: {error}", row.id)))?;
        if let ("", Some(first)) = (kept.home.as_str(), kept.identifiers.first()) {
            kept.home.clone_from(&first.system);
        }
        Ok(kept)
    }

    /// The same with every system in the spelling that is canonical today: that of a domain changes when its OID is configured.
    pub(super) fn canonical(mut self, authorities: &Authorities) -> Kept {
        self.home = authorities.canonical(&self.home);
        for known in &mut self.identifiers {
            let system = authorities.canonical(&known.system);
            if system != known.system {
                known.spelled.push(std::mem::replace(&mut known.system, system));
            }
        }
        self
    }

    /// The same of a patient about to be written; `held` says of each identifier whether it names this one.
    pub(super) fn new(
        patient: &Patient,
        home: &str,
        survivor: Option<&str>,
        updated: i64,
        held: &[bool],
        authorities: &Authorities,
    ) -> Kept {
        let sent = patient.resource.get("identifier").and_then(Value::as_array).map(Vec::as_slice);
        let one = |(identifier, held): (&Identifier, &bool)| {
            let items = sent.unwrap_or_default().iter().filter(|item| {
                read_identifier(item).is_some_and(|one| authorities.identifier(&one) == *identifier)
            });
            let items: Vec<&Value> = items.collect();
            let systems = items.iter().filter_map(|item| item.get("system")?.as_str());
            let mut spelled: Vec<String> =
                systems.filter(|system| *system != identifier.system).map(str::to_owned).collect();
            spelled.dedup();
            let assigner = items.iter().find_map(|item| item.pointer("/assigner/display")?.as_str());
            KeptIdentifier {
                system: identifier.system.clone(),
                value: identifier.value.clone(),
                spelled,
                assigner: assigner.map(str::to_owned),
                held: *held,
            }
        };
        let identifiers = patient.identifiers.iter().zip(held).map(one);
        Kept {
            active: patient.active,
            replaced_by: survivor.map(str::to_owned),
            updated,
            home: home.to_owned(),
            identifiers: identifiers.collect(),
        }
    }

    /// The same of a patient who is no more: it holds nothing.
    pub(super) fn removed(&self, updated: i64) -> Kept {
        let mut kept = Kept { active: false, updated, ..self.clone() };
        kept.identifiers.iter_mut().for_each(|known| known.held = false);
        kept
    }

    /// The domain whose source this is from.
    pub(crate) fn home(&self) -> &str {
        &self.home
    }

    /// Identifiers that name this record.
    pub(crate) fn held(&self) -> impl Iterator<Item = &KeptIdentifier> {
        self.identifiers.iter().filter(|known| known.held)
    }

    /// Identifiers of its own source.
    pub(crate) fn own(&self) -> impl Iterator<Item = &KeptIdentifier> {
        self.identifiers.iter().filter(|known| known.system == self.home())
    }
}

/// A patient with the identifiers it holds only, as a registry is told of it, so that there too an identifier names one.
pub(crate) fn held_only(kept: &Kept, rendering: &Bytes) -> Bytes {
    let stated: Vec<&KeptIdentifier> = kept.identifiers.iter().filter(|known| !known.held).collect();
    if stated.is_empty() {
        return rendering.clone();
    }
    let Ok(Value::Object(mut members)) = serde_json::from_slice(rendering) else { return rendering.clone() };
    if let Some(Value::Array(list)) = members.get_mut("identifier") {
        list.retain(|item| !stated.iter().any(|known| known.is(item)));
        if list.is_empty() {
            members.shift_remove("identifier");
        }
    }
    serde_json::to_vec(&members).expect("a JSON value can always be written").into()
}

/// The same, and beside each identifier that its source spells otherwise the one in the spelling all others know: a registry
/// compares to the letter, and over XDS it is asked by OID.
pub(crate) fn for_registry(kept: &Kept, rendering: &Bytes) -> Bytes {
    let held = held_only(kept, rendering);
    if kept.held().all(|known| known.spelled.is_empty()) {
        return held;
    }
    let Ok(Value::Object(mut members)) = serde_json::from_slice(&held) else { return held };
    let Some(Value::Array(list)) = members.get_mut("identifier") else { return held };
    for known in kept.held() {
        let is_said = |item: &Value| item["system"] == *known.system && item["value"] == *known.value;
        if list.iter().any(is_said) {
            continue;
        }
        let Some(mut item) = list.iter().find(|item| known.is(item)).cloned() else { continue };
        item["system"] = Value::String(known.system.clone());
        list.push(item);
    }
    serde_json::to_vec(&members).expect("a JSON value can always be written").into()
}
