//! What else an answer holds: `_include` and `_revinclude`, with `:iterate`.

use xds::filter::Of;
use xds::{Finding, Findings, Place, Rule};

use super::{ResultParameters, shortened};

/// Where to go from what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// To the patient.
    Patient,
    /// To the documents it has relations to.
    Relations,
    /// To the members of a list.
    Members,
    /// Back to the lists it is a member of.
    Lists,
    /// Back to the documents that have relations to it.
    Relating,
}

/// One step from what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Following {
    /// From what.
    pub from: Of,
    /// Where to.
    pub to: Follow,
    /// Whether it goes on from what was included as well.
    pub iterate: bool,
}

const DOCUMENTS: &str = "DocumentReference";
const LISTS: &str = "List";

/// Every `_include` that leads somewhere: type, value, step.
pub const INCLUDES: &[(&str, &str, Follow)] = &[
    (DOCUMENTS, "DocumentReference:patient", Follow::Patient),
    (DOCUMENTS, "DocumentReference:subject", Follow::Patient),
    (DOCUMENTS, "DocumentReference:relatesto", Follow::Relations),
    (LISTS, "List:item", Follow::Members),
    (LISTS, "List:patient", Follow::Patient),
    (LISTS, "List:subject", Follow::Patient),
];

/// Every `_revinclude`: type of what was found, value, step.
pub const REVINCLUDES: &[(&str, &str, Follow)] = &[
    (DOCUMENTS, "List:item", Follow::Lists),
    (DOCUMENTS, "DocumentReference:relatesto", Follow::Relating),
    (LISTS, "List:item", Follow::Lists),
];

/// References that lead to what is contained, or to what another server keeps: nothing is added, and nothing is missed.
const LEAD_NOWHERE: &[&str] = &[
    "DocumentReference:author",
    "DocumentReference:authenticator",
    "DocumentReference:custodian",
    "DocumentReference:encounter",
    "DocumentReference:related",
    "List:source",
    "List:encounter",
];

/// The type a query is about.
fn of(kind: &str) -> Of {
    if kind == LISTS { Of::Lists } else { Of::Documents }
}

/// Reads what is to be included; answers the pairs that are honoured.
pub(super) fn read(result: &mut ResultParameters, asked: Of, doubts: &mut Findings) -> Vec<(String, String)> {
    let mut honoured = Vec::new();
    for (name, value) in std::mem::take(&mut result.include) {
        let (bare, modifier) = name.split_once(':').unwrap_or((&name, ""));
        let iterate = matches!(modifier, "iterate" | "recurse");
        let steps = if iterate || modifier.is_empty() {
            if bare == "_include" { forward(&value, iterate, asked) } else { back(&value, iterate) }
        } else {
            None
        };
        match steps {
            Some(steps) => {
                result.follow.extend(steps);
                honoured.push((name, value));
            }
            None => doubts.push(unknown(&name, bare, &value)),
        }
    }
    honoured
}

fn forward(value: &str, iterate: bool, asked: Of) -> Option<Vec<Following>> {
    let rows = |kept: &dyn Fn(&str, &str) -> bool| -> Vec<Following> {
        INCLUDES
            .iter()
            .filter(|(kind, name, _)| kept(kind, name))
            .map(|(kind, _, to)| Following { from: of(kind), to: *to, iterate })
            .collect()
    };
    match value {
        // Everything from everywhere would be the whole record of a patient: `:iterate` wants the names of its steps.
        "*" if iterate => None,
        "*" => Some(rows(&|kind, _| of(kind) == asked)),
        "DocumentReference:*" | "List:*" => Some(rows(&|kind, _| value.starts_with(kind))),
        _ if LEAD_NOWHERE.contains(&value) => Some(Vec::new()),
        _ => Some(rows(&|_, name| name.eq_ignore_ascii_case(value))).filter(|rows| !rows.is_empty()),
    }
}

fn back(value: &str, iterate: bool) -> Option<Vec<Following>> {
    let rows: Vec<Following> = REVINCLUDES
        .iter()
        .filter(|(_, name, _)| name.eq_ignore_ascii_case(value))
        .map(|(kind, _, to)| Following { from: of(kind), to: *to, iterate })
        .collect();
    Some(rows).filter(|rows| !rows.is_empty())
}

fn unknown(name: &str, bare: &str, value: &str) -> Finding {
    let table = if bare == "_include" { INCLUDES } else { REVINCLUDES };
    let mut known: Vec<&str> = table.iter().map(|(_, value, _)| *value).collect();
    known.dedup();
    let text = format!(
        "{}={} is not supported; supported are {}{}.",
        shortened(name),
        shortened(value),
        known.join(", "),
        if bare == "_include" { " and * (each without a target type; :iterate with a name)" } else { "" }
    );
    Finding::warning(Rule::UnknownParameter, Place::whole(), text)
}
