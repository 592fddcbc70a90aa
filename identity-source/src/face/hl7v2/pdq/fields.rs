//! QPD-3: the names of fields by which a patient is described.

use hl7v2::{Condition, Criterion, Refusal};
use xds::hl7::{Hd, birth_date};

use crate::candidates::{Criteria, Name, Pattern};
use crate::records::Records;

/// What can be asked for.
const ACCEPTED: &str = "@PID.3.1 with @PID.3.4 (or .4.1, .4.2, .4.3), @PID.5.1, .5.2 and .5.3, @PID.6.1 and .6.2, @PID.7, @PID.8, @PID.11.1 \
                        to .11.6, @PID.13.1 and .13.4, @PID.18.1 with @PID.18.4, @PID.21.1 with @PID.21.4; a further .1 at the end of each is the same";

/// An identifier in pieces, as senders write it.
#[derive(Debug, Default)]
struct Pieces<'c> {
    /// Where it was first told of.
    first: Option<&'c Criterion>,
    value: Option<String>,
    authority: Hd,
}

/// Reads a description.
pub(super) fn criteria(told: &[Criterion], records: &Records) -> Result<Criteria, Refusal> {
    let mut criteria = Criteria::default();
    let [mut own, mut account, mut mother] = <[Pieces<'_>; 3]>::default();
    for one in told {
        let Some((segment, numbers)) = &one.field else { return Err(unknown(one)) };
        if segment != "PID" {
            return Err(unknown(one));
        }
        // A subcomponent 1 is the component itself, but for an assigning authority, of which it is the name space.
        let numbers = match numbers.as_slice() {
            [3 | 18 | 21, 4, ..] => numbers.as_slice(),
            [whole @ .., 1] if whole.len() == 2 => whole,
            all => all,
        };
        match numbers {
            [3] | [3, 1] => piece(&mut own, one, |pieces, text| pieces.value = Some(text)),
            [18] | [18, 1] => piece(&mut account, one, |pieces, text| pieces.value = Some(text)),
            [21] | [21, 1] => piece(&mut mother, one, |pieces, text| pieces.value = Some(text)),
            [3, 4, rest @ ..] => authority(&mut own, one, rest)?,
            [18, 4, rest @ ..] => authority(&mut account, one, rest)?,
            [21, 4, rest @ ..] => authority(&mut mother, one, rest)?,
            [5] | [5, 1] => criteria.family = Pattern::read(&one.value),
            [5, 2] => criteria.given = Pattern::read(&one.value),
            [5, 3] => criteria.middle = Pattern::read(&one.value),
            [6] | [6, 1] => criteria.mothers_family = Pattern::read(&one.value),
            [6, 2] => criteria.mothers_given = Pattern::read(&one.value),
            [7] | [7, 1] => criteria.born = Some(born(one)?),
            [8] | [8, 1] => criteria.gender = Some(gender(one)?),
            [11, 1] => criteria.street = Pattern::read(&one.value),
            [11, 2] => criteria.street = Pattern::read(&one.value),
            [11, 3] => criteria.city = Pattern::read(&one.value),
            [11, 4] => criteria.state = Pattern::read(&one.value),
            [11, 5] => criteria.postal_code = Pattern::read(&one.value),
            [11, 6] => criteria.country = Pattern::read(&one.value),
            [13] | [13, 1 | 4 | 12] => criteria.telecom = Some(fhir::patient::plain_number(&one.value)),
            _ => return Err(unknown(one)),
        }
    }
    if own.value.is_some() && own.authority == Hd::default() {
        let text = "an identifier is asked for without who assigned it; name its authority too: @PID.3.4.1 (name space) or @PID.3.4.2 (OID)";
        let place = own.first.map(Criterion::place).unwrap_or_default();
        return Err(Refusal::new(Condition::RequiredField, text).at(place));
    }
    criteria.identifier = own.name(records)?;
    criteria.account = account.name(records)?;
    criteria.mother = mother.name(records)?;
    if criteria.is_empty() {
        let text = "QPD-3 says nothing of the patients that are looked for but that they have something";
        let place = told.first().map(Criterion::place).unwrap_or_default();
        return Err(Refusal::new(Condition::RequiredField, text).at(place));
    }
    Ok(criteria)
}

fn unknown(one: &Criterion) -> Refusal {
    let text = format!("{:?} is no field that can be asked for; accepted are {ACCEPTED}", one.written);
    Refusal::new(Condition::TableValue, text).at(one.place().component(1))
}

fn wrong(one: &Criterion, text: &str) -> Refusal {
    Refusal::new(Condition::DataType, format!("{}: {text}", one.written)).at(one.place().component(2))
}

fn piece<'c>(pieces: &mut Pieces<'c>, one: &'c Criterion, put: impl FnOnce(&mut Pieces<'c>, String)) {
    pieces.first.get_or_insert(one);
    put(pieces, one.value.trim().to_owned());
}

/// Component 4, or one of its parts.
fn authority<'c>(pieces: &mut Pieces<'c>, one: &'c Criterion, rest: &[u32]) -> Result<(), Refusal> {
    if !matches!(rest, [] | [1..=3]) {
        return Err(unknown(one));
    }
    piece(pieces, one, |pieces, text| {
        let hd = &mut pieces.authority;
        match rest {
            [2] => hd.universal_id = text,
            [3] => hd.universal_type = text,
            [1] => hd.namespace = text,
            _ => *hd = Hd::read(&text),
        }
    });
    Ok(())
}

impl Pieces<'_> {
    /// The identifier; one of a domain that is not known is nobody's, and that is said.
    fn name(self, records: &Records) -> Result<Option<Name>, Refusal> {
        let Some(first) = self.first else { return Ok(None) };
        let value = self.value.filter(|value| !value.is_empty());
        if self.authority == Hd::default() {
            return Ok(value.map(|value| Name { value: Some(value), system: None }));
        }
        let internal =
            |error: store::Error| Refusal::new(Condition::Internal, error.to_string()).at(first.place());
        match records.domain_of(&self.authority).map_err(internal)? {
            Some(system) => Ok(Some(Name { value, system: Some(system) })),
            None => {
                let known = records.authorities().words();
                let text =
                    format!("the assigning authority that is asked for is not known here; known are {known}");
                Err(Refusal::new(Condition::UnknownKey, text).at(first.place()))
            }
        }
    }
}

fn born(one: &Criterion) -> Result<String, Refusal> {
    birth_date(&one.value).ok_or_else(|| wrong(one, "a date is written YYYY, YYYYMM or YYYYMMDD"))
}

fn gender(one: &Criterion) -> Result<&'static str, Refusal> {
    match one.value.trim() {
        "M" | "m" => Ok("male"),
        "F" | "f" => Ok("female"),
        "O" | "A" | "N" => Ok("other"),
        "U" => Ok("unknown"),
        _ => Err(wrong(one, "sex is a code of HL7 table 0001: M, F, O, U, A or N")),
    }
}
