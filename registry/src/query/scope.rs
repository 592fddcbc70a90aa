//! Whose objects a question is about: found out before anything is looked at, from our own records of patients.

use std::collections::HashSet;

use actor::Fault;
use store::{Order, Scope, Sequence};
use xds::filter::{Clause, Filter, Of, PatientIs, Test};
use xds::{Attribute, EntryUuid, Finding, Findings, Place, Rule};

use super::{Query, is_named, kind};
use crate::merged;
use crate::records::{self, patient_rows_by_identifier, patients_being};

/// Patients that may be looked at to find out who is meant.
const MAX_PATIENTS: usize = 1000;

/// Objects that one identifier may name.
const MAX_NAMESAKES: usize = 1000;

impl Query {
    /// Whose objects: those of the patients who are named and of whom all holds that is said.
    pub(crate) fn scope(&self, filter: &Filter, as_of: Option<Sequence>) -> Result<Scope, Fault<Findings>> {
        if filter.patient.is_empty() {
            return Ok(self.places(filter, as_of)?);
        }
        let named = match self.places(filter, Some(0))? {
            Scope::Partitions(named) => Some(named),
            Scope::Everywhere | Scope::Indexed(_) => None,
        };
        let patients = patients_being(&self.store, &filter.patient, named, MAX_PATIENTS).map_err(
            |error| match error {
                store::Error::TooBroad { most } => Fault::Refused(vec![too_many(&filter.patient, most)]),
                other => Fault::from(other),
            },
        )?;
        let mut ids = Vec::with_capacity(patients.len());
        for id in patients {
            self.standing(id, &mut ids)?;
        }
        Ok(Scope::Partitions(ids))
    }

    /// Whose objects: the patients that every group names (AND), any one of a group (OR); where none is named, those whose
    /// objects are.
    pub(super) fn places(&self, filter: &Filter, as_of: Option<Sequence>) -> Result<Scope, store::Error> {
        let mut named: Option<Vec<String>> = None;
        for group in &filter.patients {
            let group = self.patients(group)?;
            named = Some(match named {
                None => group,
                Some(before) => before.into_iter().filter(|id| group.contains(id)).collect(),
            });
        }
        match named {
            Some(named) => Ok(Scope::Partitions(named)),
            None => self.scope_of_names(filter, as_of),
        }
    }

    fn patients(&self, group: &[PatientIs]) -> Result<Vec<String>, store::Error> {
        let mut ids = Vec::with_capacity(group.len());
        for patient in group {
            match patient {
                PatientIs::Id(id) => self.standing(id.clone(), &mut ids)?,
                PatientIs::Identifier { system, value } => {
                    self.namesakes(system.as_deref(), value, &mut ids)?
                }
                PatientIs::Known(identifier) => {
                    self.namesakes(Some(&identifier.system), &identifier.value, &mut ids)?
                }
            }
        }
        let mut seen = HashSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        Ok(ids)
    }

    fn namesakes(
        &self,
        system: Option<&str>,
        value: &str,
        ids: &mut Vec<String>,
    ) -> Result<(), store::Error> {
        for row in patient_rows_by_identifier(&self.store, system, value)? {
            self.standing(row.id, ids)?;
        }
        Ok(())
    }

    /// One who was merged away names nobody any more.
    fn standing(&self, id: String, ids: &mut Vec<String>) -> Result<(), store::Error> {
        if !merged::is_away(&self.store, &id)? {
            ids.push(id);
        }
        Ok(())
    }

    /// A question that names objects is one for the partitions they are in. One that names them otherwise than by id is
    /// answered from an index at first; where it goes on (`as_of`), what has changed since is looked for in those
    /// partitions alone.
    fn scope_of_names(&self, filter: &Filter, as_of: Option<Sequence>) -> Result<Scope, store::Error> {
        let mut partitions = Vec::new();
        let mut add = |partition: String| {
            if !partitions.contains(&partition) {
                partitions.push(partition);
            }
        };
        if let Some(clause) = filter.all.iter().find(|c| c.attribute == Attribute::Id && !c.negated) {
            for test in &clause.any {
                if let Test::Id(id) = test
                    && let Some(row) = self.store.get(kind(filter.of), id.as_str())?
                {
                    add(row.partition);
                }
            }
        } else if as_of.is_some() && is_named(filter) {
            let mut filter = Filter { patient: Vec::new(), ..filter.clone() };
            let ask = self.asking(&mut filter, Scope::Everywhere, Order::Natural, MAX_NAMESAKES, None)?;
            if let Some(ask) = ask {
                let page = self.store.find(&store::Ask { total: false, ..ask })?;
                page.rows.into_iter().for_each(|row| add(row.partition));
            }
        } else {
            return Ok(Scope::Everywhere);
        }
        Ok(Scope::Partitions(partitions))
    }

    /// The objects that a clause names, by its index.
    fn named(&self, of: Of, clause: &Clause, scope: Scope) -> Result<Vec<store::Row>, store::Error> {
        let filter = Filter { all: vec![clause.clone()], ..Filter::of(of) };
        let Some(ask) = records::ask(&filter, Vec::new(), scope, Order::Natural, MAX_NAMESAKES) else {
            return Ok(Vec::new());
        };
        Ok(self.store.find(&store::Ask { total: false, ..ask })?.rows)
    }

    /// Puts ids where a relation or a membership is asked for by the identifier of its other end.
    pub(super) fn name_targets(&self, filter: &mut Filter, scope: &Scope) -> Result<(), store::Error> {
        for clause in &mut filter.all {
            let ends: &[Of] = match clause.attribute {
                Attribute::RelatesTo => &[Of::Documents],
                Attribute::Member => &[Of::Documents, Of::Lists],
                _ => continue,
            };
            let (tokens, mut any): (Vec<Test>, Vec<Test>) =
                std::mem::take(&mut clause.any).into_iter().partition(|test| matches!(test, Test::Token(_)));
            if !tokens.is_empty() {
                let identifier = Clause { attribute: Attribute::Identifier, any: tokens, negated: false };
                for of in ends {
                    let rows = self.named(*of, &identifier, scope.clone())?;
                    any.extend(rows.into_iter().map(|row| Test::Reference(row.id)));
                }
                if any.is_empty() {
                    // No object is that of the nil UUID.
                    any.push(Test::Reference(EntryUuid::from(uuid::Uuid::nil()).as_str().to_owned()));
                }
            }
            clause.any = any;
        }
        Ok(())
    }
}

fn too_many(clauses: &[Clause], most: usize) -> Finding {
    let word = |attribute: Attribute| {
        attribute.name().replacen("patient-", "patient.", 1).replace("birth-date", "birthdate")
    };
    let given: Vec<String> = clauses.iter().map(|clause| word(clause.attribute)).collect();
    let text = format!(
        "{} names no patients, or more than {most}: add patient.identifier, or patient.family with patient.birthdate (gender, active, :contains, :not and :missing narrow a choice and make none).",
        given.join(" with ")
    );
    Finding::error(Rule::SearchTooBroad, Place::whole(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_that_is_not_narrowed_is_told_what_to_add() {
        let clause = |attribute| Clause { attribute, any: vec![Test::Present], negated: false };
        let finding = too_many(&[clause(Attribute::PatientGender), clause(Attribute::PatientBirthDate)], 7);
        assert!(
            finding.text.starts_with("patient.gender with patient.birthdate names no"),
            "{}",
            finding.text
        );
    }
}
