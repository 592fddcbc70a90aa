//! What an export goes through: patient by patient, each as it was at the moment of the order.

use std::collections::{HashSet, VecDeque};

use fhir::search::{Here, Limits};
use fhir::{iti66, iti67};
use store::{AnyOf, Ask, Cursor, Order, Row, Scope, Span, Test};

use super::Exports;
use crate::records::{DOCUMENT, ExportRecord, LIST, PATIENT, Place, Type, Whose, group_members};

/// Resources read in one go.
const PAGE: usize = 256;
/// Patients looked up in one go.
const PATIENTS: usize = 512;

/// One way for a resource to be wanted.
struct Way {
    ask: Ask,
    /// Whose; none: anybody's.
    patients: Option<Vec<String>>,
}

/// A walk through the resources of one type.
pub(super) struct Walk<'a> {
    exports: &'a Exports,
    ways: Vec<Way>,
    /// The patients, where they are a list.
    listed: Option<Vec<String>>,
    /// Patients that come next.
    ahead: VecDeque<String>,
}

impl<'a> Walk<'a> {
    /// The walk through the resources of a type, from a place on.
    pub(super) fn new(
        exports: &'a Exports,
        record: &ExportRecord,
        kind: Type,
    ) -> Result<Walk<'a>, store::Error> {
        let listed = match &record.order.of {
            Whose::Everybody => None,
            Whose::Patients(patients) => Some(patients.clone()),
            Whose::Group(id, version) => Some(group_members(&exports.store, id, *version)?),
        };
        let ways = exports.ways(record, kind)?;
        Ok(Walk { exports, ways, listed, ahead: VecDeque::new() })
    }

    /// The next resources; none at the end. `place` says where it goes on, before and after.
    pub(super) fn next(&mut self, place: &mut Place) -> Result<Option<Vec<Row>>, store::Error> {
        if self.ways.is_empty() {
            return Ok(None);
        }
        loop {
            let (patient, after) = match place.within.take() {
                Some((patient, cursor)) => (patient, Some(Cursor(cursor))),
                None => match self.next_patient(&place.patient)? {
                    Some(patient) => (patient, None),
                    None => return Ok(None),
                },
            };
            let (rows, next) = self.of(&patient, after)?;
            match next {
                Some(Cursor(cursor)) => place.within = Some((patient, cursor)),
                None => place.patient = patient,
            }
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
    }

    fn next_patient(&mut self, after: &str) -> Result<Option<String>, store::Error> {
        if self.ahead.is_empty() {
            self.ahead = match &self.listed {
                Some(listed) => {
                    let start = listed.partition_point(|id| id.as_str() <= after);
                    listed[start..].iter().cloned().collect()
                }
                // Patients stay for good, so nobody's partition can have left since.
                None => self.exports.store.partitions(PATIENT, after, PATIENTS)?.into(),
            };
        }
        Ok(self.ahead.pop_front())
    }

    fn of(&self, patient: &str, after: Option<Cursor>) -> Result<(Vec<Row>, Option<Cursor>), store::Error> {
        let concerns =
            |way: &&Way| way.patients.as_ref().is_none_or(|patients| patients.iter().any(|id| id == patient));
        if let [way] = self.ways.as_slice() {
            return if concerns(&way) { self.page(way, patient, after) } else { Ok((Vec::new(), None)) };
        }
        // What several searches find is told once; a patient's resources are few enough for that.
        let (mut seen, mut rows) = (HashSet::new(), Vec::new());
        for way in self.ways.iter().filter(concerns) {
            let mut after = None;
            loop {
                let (found, next) = self.page(way, patient, after)?;
                rows.extend(found.into_iter().filter(|row| seen.insert(row.id.clone())));
                match next {
                    Some(_) => after = next,
                    None => break,
                }
            }
        }
        Ok((rows, None))
    }

    fn page(
        &self,
        way: &Way,
        patient: &str,
        after: Option<Cursor>,
    ) -> Result<(Vec<Row>, Option<Cursor>), store::Error> {
        let scope = Scope::Partitions(vec![patient.to_owned()]);
        let page = self.exports.store.find(&Ask { scope, after, ..way.ask.clone() })?;
        Ok((page.rows, page.next))
    }
}

impl Exports {
    /// The ways a resource of this type can be wanted; none if nothing of it is.
    fn ways(&self, record: &ExportRecord, kind: Type) -> Result<Vec<Way>, store::Error> {
        let order = &record.order;
        let plain = |all: Vec<AnyOf>| Ask {
            kind: match kind {
                Type::Patient => PATIENT,
                Type::DocumentReference => DOCUMENT,
                Type::List => LIST,
            },
            scope: Scope::Partitions(Vec::new()),
            all,
            order: Order::Natural,
            after: None,
            limit: PAGE,
            as_of: Some(record.as_of),
            total: false,
        };
        let written = [order.since.map(Span::BeginsFrom), order.until.map(Span::BeginsBefore)];
        let written: Vec<AnyOf> = written
            .into_iter()
            .flatten()
            .map(|span| AnyOf { tests: vec![Test::Written(span)], negated: false })
            .collect();
        let filters: Vec<&str> =
            order.filters.iter().filter(|(of, _)| *of == kind).map(|(_, query)| query.as_str()).collect();
        if filters.is_empty() {
            return Ok(vec![Way { ask: plain(written), patients: None }]);
        }
        let mut ways = Vec::new();
        for query in filters {
            let Some(filter) = self.filter(kind, query, &order.base) else { continue };
            let Some((mut ask, patients)) = self.query.part(&filter)? else { continue };
            ask.all.extend(written.iter().cloned());
            ways.push(Way { ask: Ask { all: ask.all, ..plain(Vec::new()) }, patients });
        }
        Ok(ways)
    }

    /// A search of `_typeFilter`, which was read once when it was ordered.
    fn filter(&self, kind: Type, query: &str, base: &str) -> Option<xds::filter::Filter> {
        read_filter(kind, query, &[&self.identity, base], &self.zone).ok()
    }
}

/// Reads a search of `_typeFilter`, as that of its type is read.
pub(crate) fn read_filter(
    kind: Type,
    query: &str,
    own: &[&str],
    zone: &jiff::tz::TimeZone,
) -> Result<xds::filter::Filter, xds::Findings> {
    let here = Here { own, home_community: None, zone };
    let limits = Limits { parameters: 64, values: 100, value_bytes: 1024, count: 1000 };
    let strict = Some("handling=strict");
    let read = match kind {
        Type::DocumentReference => iti67::read_request(query, None, strict, here, &limits),
        Type::List => iti66::read_request(query, None, strict, here, &limits),
        Type::Patient => {
            let text =
                "patients are not searched for at the registry; _typeFilter takes DocumentReference and List";
            let place = xds::Place::at("_typeFilter");
            return Err(vec![xds::Finding::error(xds::Rule::NotSupported, place, text)]);
        }
    };
    let filter = read?.filter;
    if !filter.patient.is_empty() || !filter.has.is_empty() {
        let text = "_typeFilter takes neither _has nor what a patient is (patient.family and the like)";
        let place = xds::Place::at("_typeFilter");
        return Err(vec![xds::Finding::error(xds::Rule::NotSupported, place, text)]);
    }
    Ok(filter)
}
