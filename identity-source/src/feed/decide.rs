//! What a change comes to, as things stand.

use actor::Fault;
use fhir::patient::{Patient, Survivor};
use serde_json::{Value, json};
use xds::{Finding, Findings, Identifier, Place, Rule};

use super::{Change, Fed, Feeding, Over, Request};
use crate::events::{Happened, Stood};
use crate::records::{Draft, Writing};

type Decided<T> = Result<T, Fault<Findings>>;

/// What a source says of a patient, read.
struct Said<'s> {
    condition: Identifier,
    patient: Patient,
    unmerges: bool,
    keeps_mother: bool,
    at: &'s Place,
}

/// Who takes a patient's place.
struct Successor {
    /// Id of the patient the source names.
    named: String,
    /// Who stands for that one after all merges.
    survivor: Stood,
}

impl Feeding {
    /// Decides all changes of a request.
    pub(super) fn decide(&self, draft: &mut Draft<'_>, request: &Request, base: &str) -> Decided<Vec<Fed>> {
        let mut fed = Vec::with_capacity(request.changes.len());
        for change in &request.changes {
            let matching =
                Matching { if_match: request.if_match.as_deref(), only_new: request.only_new, base };
            fed.push(match change {
                Change::Put { condition, patient, unmerges, keeps_mother, at } => {
                    let said = Said {
                        condition: self.records.authorities().identifier(condition),
                        patient: self.records.canonical(Patient::clone(patient)),
                        unmerges: *unmerges,
                        keeps_mother: *keeps_mother,
                        at,
                    };
                    self.put(draft, &matching, said)?
                }
                Change::Told { condition, stated, over, at } => {
                    let condition = self.records.authorities().identifier(condition);
                    let patient = self.laid_over(draft, &matching, &condition, stated, over.as_ref())?;
                    let said = Said { condition, patient, unmerges: false, keeps_mother: false, at };
                    self.put(draft, &matching, said)?
                }
                Change::Merge { subsumed, survivor, at, survivor_at } => {
                    self.merge(draft, &matching, (subsumed, at), (survivor, survivor_at))?
                }
                Change::Remove { identifier, at } => self.remove(draft, &matching, identifier, at)?,
            });
        }
        Ok(fed)
    }

    fn put(&self, draft: &mut Draft<'_>, matching: &Matching<'_>, mut said: Said<'_>) -> Decided<Fed> {
        let Said { condition, patient, at, .. } = &said;
        let by_resource = condition.system == matching.base;
        let found = draft.identified(condition, matching.base)?;
        // The source of the domain speaks itself: it is not what another source says that is revised.
        let current = found.filter(|found| {
            let home = found.kept.home();
            let is_own = |known: &Identifier| patient.identifiers.contains(known);
            by_resource
                || home == condition.system
                || found.kept.own().any(|known| known.held && is_own(&known.identifier()))
        });
        matching.check_version(current.as_ref())?;
        if current.is_none() && by_resource {
            let text = "there is no Patient with this id here";
            return Err(refused(Rule::UnresolvedReference, at.member("identifier"), text));
        }
        if let Some(current) = current.as_ref().filter(|_| said.keeps_mother) {
            keep_mother(&mut said.patient, current);
        }
        let Said { patient, at, .. } = &said;
        let home = match &current {
            Some(current) => current.kept.home().to_owned(),
            None => said.condition.system.clone(),
        };
        if !self.records.domains().takes(&home) {
            return Err(self.domain_not_taken(&home, at));
        }
        if by_resource && !patient.identifiers.iter().any(|identifier| identifier.system == home) {
            let text = format!(
                "the Patient is that of the domain {home} and needs an identifier of it; one of another domain alone makes it \
                 another source's"
            );
            return Err(refused(Rule::Value, at.member("identifier"), text));
        }
        let id = match &current {
            Some(current) => current.id.clone(),
            None => uuid::Uuid::new_v4().to_string(),
        };
        let handed = self.own_held_elsewhere(draft, &said, &home, &id)?;
        let successor = self.survivor(draft, matching, &said, &home, &id)?;
        let undone = self.check_merge(draft, current.as_ref(), successor.as_ref(), &said)?;
        let mut touches = Vec::with_capacity(handed.len());
        for (holder, identifiers) in handed {
            draft.hand_over(&holder, &identifiers, &id)?;
            touches.push(holder.id);
        }
        let before = current.as_ref().and_then(|current| current.kept.replaced_by.clone());
        let revised = |current: &Stood| Happened::Revised { before: Box::new(current.clone()) };
        let (survivor_id, happened) = match (successor, undone, &current) {
            // A merge that is told again stays as it is, though who took the place was merged meanwhile: undoing that one leaves
            // this one.
            (Some(successor), _, Some(current)) if before.as_ref() == Some(&successor.named) => {
                (before, revised(current))
            }
            (Some(successor), _, Some(current)) if before.is_some() => {
                (Some(successor.survivor.id), revised(current))
            }
            (Some(Successor { survivor, .. }), _, _) => {
                let before = current.clone().map(Box::new);
                (Some(survivor.id.clone()), Happened::Merged { survivor: Box::new(survivor), before })
            }
            (None, Some(from), _) => (None, Happened::Unmerged { from: Box::new(from) }),
            (None, None, None) => (None, Happened::Created),
            (None, None, Some(current)) => (None, revised(current)),
        };
        let writing = Writing {
            id: &id,
            patient,
            home: &home,
            survivor: survivor_id.as_deref(),
            happened: happened.clone(),
            touches,
        };
        Ok(match (draft.write(writing)?, current) {
            (Some(stood), _) => Fed::of(happened, stood),
            (None, Some(current)) => Fed::stands(current),
            (None, None) => return Err(Fault::Internal("a new patient stood already".to_owned())),
        })
    }

    /// What is told of a patient, laid over what stands of the same source.
    fn laid_over(
        &self,
        draft: &Draft<'_>,
        matching: &Matching<'_>,
        condition: &Identifier,
        stated: &[Identifier],
        over: &Over,
    ) -> Decided<Patient> {
        let stated: Vec<Identifier> =
            stated.iter().map(|identifier| self.records.authorities().identifier(identifier)).collect();
        let found = draft.identified(condition, matching.base)?.filter(|found| {
            found.kept.home() == condition.system
                || found.kept.own().any(|known| known.held && stated.contains(&known.identifier()))
        });
        let members = found.map(|found| {
            let mut members = self.records.as_fed(&found).resource;
            // Of a merge this says nothing; whether it may speak of one who was merged away is judged below.
            if found.kept.replaced_by.is_some() {
                members.shift_remove("active");
                members.shift_remove("link");
            }
            members
        });
        let patient = over(members.as_ref()).map_err(Fault::Refused)?;
        Ok(self.records.canonical(patient))
    }

    /// An identifier of the source's own domain names one patient of it. One that another patient of this source has makes the
    /// feed match several, which is refused; one that another source's record holds is answered, to be handed over.
    fn own_held_elsewhere(
        &self,
        draft: &Draft<'_>,
        said: &Said<'_>,
        home: &str,
        id: &str,
    ) -> Decided<Vec<(Stood, Vec<Identifier>)>> {
        let mut findings = Findings::new();
        let mut handed: Vec<(Stood, Vec<Identifier>)> = Vec::new();
        for identifier in said.patient.identifiers.iter().filter(|identifier| identifier.system == home) {
            let Some(holder) = draft.holder(identifier)?.filter(|holder| holder != id) else { continue };
            let Some(holder) = draft.patient(&holder)? else { continue };
            if holder.kept.home() == home {
                // Whose place this one took stays among its names at many sources; the merged record keeps holding it.
                if holder.kept.replaced_by.is_some() && draft.final_survivor(holder.clone())?.id == id {
                    continue;
                }
                let text = format!(
                    "identifier {}|{} belongs to another Patient, so this feed matches several; merge them first (link replaced-by)",
                    identifier.system, identifier.value
                );
                let place = self.place_of(identifier, said);
                findings.push(Finding::error(Rule::MultipleMatches, place, text));
                continue;
            }
            match handed.iter_mut().find(|(known, _)| known.id == holder.id) {
                Some((_, identifiers)) => identifiers.push(identifier.clone()),
                None => handed.push((holder, vec![identifier.clone()])),
            }
        }
        if findings.is_empty() { Ok(handed) } else { Err(Fault::Refused(findings)) }
    }

    /// Where in the Patient an identifier stands.
    fn place_of(&self, identifier: &Identifier, said: &Said<'_>) -> Place {
        let items = said.patient.resource.get("identifier").and_then(Value::as_array);
        let is_it = |item: &Value| {
            let read = fhir::patient::read_identifier(item);
            read.is_some_and(|one| self.records.authorities().identifier(&one) == *identifier)
        };
        let place = said.at.member("identifier");
        match items.and_then(|items| items.iter().position(is_it)) {
            Some(index) => place.item(index),
            None => place,
        }
    }

    /// The patient that finally takes the place of this one.
    fn survivor(
        &self,
        draft: &Draft<'_>,
        matching: &Matching<'_>,
        said: &Said<'_>,
        home: &str,
        id: &str,
    ) -> Decided<Option<Successor>> {
        let Some(named) = &said.patient.replaced_by else { return Ok(None) };
        let place = || said.at.member("link");
        let itself = || refused(Rule::Invariant, place(), "a Patient cannot be replaced by itself");
        let by_identifier =
            named.identifier.as_ref().map(|identifier| self.records.authorities().identifier(identifier));
        if by_identifier.as_ref().is_some_and(|identifier| said.patient.identifiers.contains(identifier)) {
            return Err(itself());
        }
        let Some(found) = self.named(draft, matching, by_identifier, named)? else {
            let text = "the surviving Patient named by link.other is not known here; feed it first. Nothing was stored";
            return Err(refused(Rule::UnresolvedReference, place(), text));
        };
        let named = found.id.clone();
        let survivor = draft.final_survivor(found)?;
        if survivor.id == id && named != id {
            let text = "the surviving Patient named by link.other was itself merged into this one; undo that merge first, by a feed \
                        of it with active true and without a link replaced-by. Nothing was stored";
            return Err(refused(Rule::Invariant, place(), text));
        }
        if survivor.id == id {
            return Err(itself());
        }
        if !survivor.kept.active {
            let text = "the surviving Patient named by link.other is not active";
            return Err(refused(Rule::BusinessRule, place(), text));
        }
        // A source that tells of several domains knows both patients by an identifier of one.
        let of_home = survivor.kept.identifiers.iter().any(|known| known.system == home);
        let of_survivor =
            said.patient.identifiers.iter().any(|identifier| identifier.system == survivor.kept.home());
        if !of_home && !of_survivor {
            let text = format!(
                "the surviving Patient named by link.other is one of the domain {}, this one of {home}; a merge is for duplicates \
                 within a domain, and that Patients of two domains are one person is said by a link between them, not by a merge",
                survivor.kept.home()
            );
            return Err(refused(Rule::BusinessRule, place(), text));
        }
        Ok(Some(Successor { named, survivor }))
    }

    /// The patient a link names: by identifier, by reference to us, or by reference to the server that counts as its domain.
    fn named(
        &self,
        draft: &Draft<'_>,
        matching: &Matching<'_>,
        identifier: Option<Identifier>,
        named: &Survivor,
    ) -> Decided<Option<Stood>> {
        let base = matching.base;
        if let Some(identifier) = identifier {
            return Ok(draft.identified(&identifier, base)?);
        }
        let Some(reference) = &named.reference else { return Ok(None) };
        let Some(start) = reference.rfind("Patient/") else { return Ok(None) };
        let (server, local) = reference.split_at(start);
        let local = local.split("/_history/").next().unwrap_or(local);
        let server = server.trim_end_matches('/');
        let system =
            if server.is_empty() { base.to_owned() } else { self.records.authorities().canonical(server) };
        Ok(draft.identified(&Identifier { system, value: local.to_owned() }, base)?)
    }

    /// A merge stays until it is undone in so many words: by a feed that says `active` true. Answers whose place the patient
    /// had lost, if it is undone.
    fn check_merge(
        &self,
        draft: &Draft<'_>,
        current: Option<&Stood>,
        successor: Option<&Successor>,
        said: &Said<'_>,
    ) -> Decided<Option<Stood>> {
        let Some(current) = current else { return Ok(None) };
        let Some(before) = &current.kept.replaced_by else { return Ok(None) };
        // One that was removed meanwhile stands for nobody, and can be left like any other.
        let lost_to = draft.patient(before)?;
        let lasting = match &lost_to {
            Some(stood) => draft.final_survivor(stood.clone())?.id,
            None => before.clone(),
        };
        let says_active = said.patient.resource.get("active") == Some(&Value::Bool(true));
        match successor {
            Some(successor) if successor.survivor.id == lasting => Ok(None),
            None if said.unmerges && says_active => Ok(Some(lost_to.unwrap_or_else(|| current.clone()))),
            Some(_) => {
                let text = "this Patient was merged into another one; before it can be merged into a third, the merge must be \
                            undone: feed it with active true and without a link replaced-by. Nothing was stored";
                Err(refused(Rule::MergeIsFinal, said.at.member("link"), text))
            }
            None if said.unmerges => {
                let text = "this Patient was merged into another one; a feed that says nothing of it leaves it so. To undo the merge, \
                            feed the Patient with active true and without a link replaced-by. Nothing was stored";
                Err(refused(Rule::MergeIsFinal, said.at.member("link"), text))
            }
            None => {
                let text = "this Patient was merged into another one, which this feed cannot undo; send the surviving one. Nothing \
                            was stored";
                Err(refused(Rule::MergeIsFinal, said.at.clone(), text))
            }
        }
    }

    /// A merge of which only the two identifiers are said: the one that goes stays as it is kept, with the link.
    fn merge(
        &self,
        draft: &mut Draft<'_>,
        matching: &Matching<'_>,
        (subsumed, at): (&Identifier, &Place),
        (survivor, survivor_at): (&Identifier, &Place),
    ) -> Decided<Fed> {
        let (subsumed, survivor) = (
            self.records.authorities().identifier(subsumed),
            self.records.authorities().identifier(survivor),
        );
        let Some(stood) = draft.identified(&subsumed, matching.base)? else {
            let text = format!(
                "{}|{}, which is to be merged away, names no Patient here. Nothing was stored",
                subsumed.system, subsumed.value
            );
            return Err(refused(Rule::UnresolvedReference, at.clone(), text));
        };
        if draft.identified(&survivor, matching.base)?.is_none() {
            let text = format!(
                "{}|{}, which shall survive, names no Patient here; send that patient first. Nothing was stored",
                survivor.system, survivor.value
            );
            return Err(refused(Rule::UnresolvedReference, survivor_at.clone(), text));
        }
        let named = Survivor { identifier: Some(survivor.clone()), reference: None };
        let mut patient = self.records.as_fed(&stood);
        if stood.kept.replaced_by.is_none() {
            let other = json!({ "identifier": { "system": survivor.system, "value": survivor.value } });
            let link = json!({ "other": other, "type": "replaced-by" });
            match patient.resource.get_mut("link") {
                Some(Value::Array(links)) => links.push(link),
                _ => {
                    patient.resource.insert("link".to_owned(), json!([link]));
                }
            }
        }
        patient.active = false;
        patient.resource.insert("active".to_owned(), Value::Bool(false));
        patient.replaced_by = Some(named);
        // It is this record that goes, whoever else might speak under the identifier.
        let condition =
            Identifier { system: matching.base.to_owned(), value: format!("Patient/{}", stood.id) };
        self.put(draft, matching, Said { condition, patient, unmerges: false, keeps_mother: false, at })
    }

    fn remove(
        &self,
        draft: &mut Draft<'_>,
        matching: &Matching<'_>,
        identifier: &Identifier,
        at: &Place,
    ) -> Decided<Fed> {
        let identifier = self.records.authorities().identifier(identifier);
        let found = draft.identified(&identifier, matching.base)?;
        let by_resource = identifier.system == matching.base;
        let domain = match &found {
            Some(found) if by_resource => found.kept.home().to_owned(),
            _ => identifier.system.clone(),
        };
        if !self.records.domains().may_remove(&domain) {
            let text = format!(
                "Patients of the domain {domain} are not removed by their source here; domain.remove, or `remove` of the \
                 authority in domain.authority, allows it. Nothing was changed"
            );
            return Err(refused(Rule::RemovalNotAllowed, at.clone(), text));
        }
        let Some(found) = found else {
            matching.check_version(None)?;
            return Ok(Fed {
                id: String::new(),
                stamp: fhir::document_reference::Stamp { version: 0, updated: 0 },
                happened: None,
                rendering: bytes::Bytes::new(),
            });
        };
        if found.kept.home() != domain {
            let text = format!(
                "the Patient who has this identifier is fed by the source of the domain {}; who removes it names it by an \
                 identifier of that domain. Nothing was changed",
                found.kept.home()
            );
            return Err(refused(Rule::RemovalNotAllowed, at.clone(), text));
        }
        matching.check_version(Some(&found))?;
        let before = Box::new(found.clone());
        let stood = draft.remove(found)?;
        Ok(Fed::of(Happened::Removed { before }, stood))
    }

    fn domain_not_taken(&self, system: &str, at: &Place) -> Fault<Findings> {
        let known = self.records.authorities().words();
        let known = if known.is_empty() { "none".to_owned() } else { known };
        let text = format!(
            "{system} is not an assigning authority of this identity source, which takes configured ones only (domain.strict); \
             known are: {known}. Nothing was stored"
        );
        refused(Rule::AuthorityNotTaken, at.member("identifier"), text)
    }
}

/// A feed that says nothing of the mother leaves what is known of her.
fn keep_mother(patient: &mut Patient, current: &Stood) {
    let is_related = |one: &Value| one.get("resourceType").and_then(Value::as_str) == Some("RelatedPerson");
    let contained =
        |of: &serde_json::Map<String, Value>| of.get("contained").and_then(Value::as_array).cloned();
    let said = contained(&patient.resource).unwrap_or_default();
    if said.iter().any(is_related) {
        return;
    }
    let Ok(Value::Object(before)) = serde_json::from_slice(&current.rendering) else { return };
    let mothers = contained(&before).unwrap_or_default().into_iter().filter(is_related);
    let all: Vec<Value> = said.into_iter().chain(mothers).collect();
    if !all.is_empty() {
        patient.resource.insert("contained".to_owned(), Value::Array(all));
    }
}

/// What a change is matched by.
struct Matching<'m> {
    if_match: Option<&'m [String]>,
    only_new: bool,
    base: &'m str,
}

impl Matching<'_> {
    fn check_version(&self, current: Option<&Stood>) -> Decided<()> {
        if let (true, Some(stood)) = (self.only_new, current) {
            let text = format!("there is such a Patient already, at version {}", stood.version);
            return Err(Fault::Precondition(text));
        }
        let Some(wanted) = self.if_match else { return Ok(()) };
        match current {
            Some(stood) if wanted.is_empty() || wanted.contains(&stood.version.to_string()) => Ok(()),
            Some(stood) => Err(Fault::Precondition(format!("the current version is {}", stood.version))),
            None => Err(Fault::Precondition("there is no such Patient yet".to_owned())),
        }
    }
}

fn refused(rule: Rule, at: Place, text: impl Into<String>) -> Fault<Findings> {
    Fault::Refused(vec![Finding::error(rule, at, text)])
}
