//! A search of documents or lists becomes the registry's own question: one reading for both, each with its table.

use xds::attribute::Attribute;
use xds::filter::{Clause, Has, Link, Of, Test};
use xds::{AssociationType, Availability, EntryUuid, Filter, Finding, Findings, Place, Rule, Token};

use super::patients::{self, PATIENT_PARAMETERS, Said};
use super::reference::{self, is_id, through};
use super::{
    Here, Kind, Limits, Parameter, Raw, ResultParameters, Search, date, follow, parse, shortened, token,
    unescape, wrong_value,
};

/// Which table a search is read by.
pub(crate) struct Ask {
    pub(crate) of: Of,
    pub(crate) parameters: &'static [Parameter<Attribute>],
    /// Code systems under which a status may be asked for.
    pub(crate) status_system: &'static str,
}

/// The search as it came.
pub(crate) struct Asked<'a> {
    pub(crate) query: &'a str,
    pub(crate) form: Option<&'a str>,
    pub(crate) prefer: Option<&'a str>,
    pub(crate) here: Here<'a>,
}

/// What points to what, as `_has` names it: type and parameter, what is pointed to, how.
const POINTING: &[(&str, &str, Of, Link)] = &[
    ("List", "item", Of::Documents, Link::Member),
    ("List", "item", Of::Lists, Link::Member),
    ("DocumentReference", "relatesto", Of::Documents, Link::RelatesTo),
];

/// Reads a search by its table.
pub(crate) fn ask(ask: &Ask, asked: &Asked<'_>, limits: &Limits) -> Result<Search<Filter>, Findings> {
    let (honourable, raws, result) = parse(asked.query, asked.form, asked.prefer, limits)?;
    let mut reading = Reading {
        ask,
        here: &asked.here,
        filter: Filter::of(ask.of),
        findings: Findings::new(),
        doubts: Findings::new(),
        unknown: Vec::new(),
    };
    raws.iter().for_each(|raw| reading.take(raw));
    reading.finish(honourable, result)
}

struct Reading<'a> {
    ask: &'a Ask,
    here: &'a Here<'a>,
    filter: Filter,
    findings: Findings,
    doubts: Findings,
    unknown: Vec<String>,
}

impl Reading<'_> {
    fn take(&mut self, raw: &Raw) {
        if raw.values.is_empty() {
            self.findings.push(wrong_value(&raw.name, "", "it is empty"));
        } else if raw.name == "_has" {
            match has(raw, self.ask, self.here) {
                Ok(has) => self.filter.has.push(has),
                Err(finding) => self.findings.push(finding),
            }
        } else if let Some(parameter) = PATIENT_PARAMETERS.iter().find(|parameter| parameter.name == raw.name)
        {
            match patients::read(parameter, raw, self.here.own, self.here.zone) {
                Ok(Said::OneOf(group)) => self.filter.patients.push(group),
                Ok(Said::Being(clause)) => self.filter.patient.push(clause),
                Err(finding) => self.findings.push(finding),
            }
        } else if let Some(parameter) =
            self.ask.parameters.iter().find(|parameter| parameter.name == raw.name)
        {
            match clause(parameter, raw, self.ask, self.here) {
                Ok(clause) => self.filter.all.extend(clause),
                Err(finding) => self.findings.push(finding),
            }
        } else {
            self.unknown.push(raw.name.clone());
            if NARROWING.contains(&raw.name.as_str()) {
                self.doubts.push(not_narrowed(&raw.name));
            } else if !raw.name.starts_with('_') {
                // Result parameters nobody knows are passed over without a word.
                self.doubts.push(unknown_parameter(&raw.name, self.ask));
            }
        }
    }

    fn finish(
        mut self,
        honourable: Vec<(String, String)>,
        mut result: ResultParameters,
    ) -> Result<Search<Filter>, Findings> {
        let sorted = self.sort(&mut result);
        let included = follow::read(&mut result, self.ask.of, &mut self.doubts);
        if result.strict {
            let doubts = self.doubts.drain(..);
            self.findings.extend(doubts.map(|doubt| Finding { severity: xds::Severity::Error, ..doubt }));
        }
        if !self.findings.is_empty() {
            return Err(self.findings);
        }
        let mut honoured: Vec<(String, String)> =
            honourable.into_iter().filter(|(name, _)| is_honoured(name, &self.unknown)).collect();
        honoured.extend(sorted.map(|keys| ("_sort".to_owned(), keys)));
        honoured.extend(included);
        Ok(Search { filter: self.filter, result, honoured, warnings: self.doubts })
    }

    /// Leaves out what nothing is sorted by; answers the keys that stay.
    fn sort(&mut self, result: &mut ResultParameters) -> Option<String> {
        let ask = self.ask;
        let (kept, dropped): (Vec<_>, Vec<_>) = std::mem::take(&mut result.sort)
            .into_iter()
            .partition(|(name, _)| sortable(ask.parameters, name).is_some());
        for (name, _) in dropped {
            let known: Vec<&str> = ask
                .parameters
                .iter()
                .filter(|parameter| sortable(ask.parameters, parameter.name).is_some())
                .map(|parameter| parameter.name)
                .collect();
            let text =
                format!("_sort by {} is not supported; accepted are {}.", shortened(&name), known.join(", "));
            self.doubts.push(Finding::warning(Rule::UnknownParameter, Place::whole(), text));
        }
        result.sort = kept;
        let keys: Vec<String> = result
            .sort
            .iter()
            .map(|(name, descending)| format!("{}{name}", if *descending { "-" } else { "" }))
            .collect();
        (!keys.is_empty()).then(|| keys.join(","))
    }
}

/// The attribute an answer is sorted by, if it can be sorted by this parameter.
pub fn sortable(parameters: &[Parameter<Attribute>], name: &str) -> Option<Attribute> {
    let parameter = parameters.iter().find(|parameter| parameter.name == name)?;
    let alike = matches!(parameter.asks, Attribute::HomeCommunity | Attribute::RelatesTo | Attribute::Member)
        || parameter.kind == Kind::Reference;
    // A chain is sorted by as little as a reference.
    (!alike && !name.contains('.')).then_some(parameter.asks)
}

fn is_honoured(name: &str, unknown: &[String]) -> bool {
    let bare = name.split(':').next().unwrap_or(name);
    !matches!(bare, "_sort" | "_include" | "_revinclude")
        && !unknown
            .iter()
            .any(|unknown| name == unknown || bare == unknown || unknown.starts_with(&format!("{bare}.")))
}

/// Parameters of every resource that would narrow an answer, and are not supported: whoever sends one must hear that it did not.
pub(crate) const NARROWING: &[&str] =
    &["_content", "_filter", "_list", "_profile", "_query", "_security", "_source", "_tag", "_text", "_type"];

pub(crate) fn not_narrowed(name: &str) -> Finding {
    let text = format!("The search parameter {name} is not supported; it narrows nothing here.");
    Finding::warning(Rule::UnknownParameter, Place::whole(), text)
}

/// Names that are close enough to be meant.
const CLOSE: f64 = 0.8;

/// Asks whether the nearest of the known names is meant; nothing where none is near.
pub(crate) fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let likeness =
        |known: &str| strsim::jaro_winkler(&known.to_ascii_lowercase(), &name.to_ascii_lowercase());
    let nearest = known.map(|known| (likeness(known), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, known)) if likeness >= CLOSE => format!(" Did you mean {known}?"),
        Some(_) | None => String::new(),
    }
}

fn unknown_parameter(name: &str, ask: &Ask) -> Finding {
    let known: Vec<&str> = PATIENT_PARAMETERS
        .iter()
        .map(|parameter| parameter.name)
        .chain(ask.parameters.iter().map(|parameter| parameter.name))
        .chain(["_has"])
        .collect();
    let meant = meant(name, known.iter().copied());
    let text = format!(
        "The search parameter {} is not known here.{meant} Known are {}.",
        shortened(name),
        known.join(", ")
    );
    Finding::warning(Rule::UnknownParameter, Place::whole(), text)
}

/// Refuses a modifier, naming those there are.
pub(crate) fn unsupported_modifier(raw: &Raw, supported: &[&str]) -> Finding {
    let modifier = shortened(raw.modifier.as_deref().unwrap_or_default());
    let why = match modifier.as_str() {
        "in" | "not-in" => " Ask for the codes of the value set themselves, with commas in between.",
        "above" | "below" => " Codes and URIs are compared as they are: ask for each of them.",
        _ => "",
    };
    let name = shortened(&raw.name);
    let supported: Vec<String> = supported.iter().map(|modifier| format!(":{modifier}")).collect();
    let text = if supported.is_empty() {
        format!("The modifier :{modifier} is not supported for {name}, which takes none.{why}")
    } else {
        let supported = supported.join(", ");
        format!("The modifier :{modifier} is not supported for {name}; supported are {supported}.{why}")
    };
    Finding::error(Rule::UnsupportedModifier, Place::whole(), text)
}

/// `:missing=true` or `false`.
pub(super) fn missing(attribute: Attribute, raw: &Raw) -> Result<Clause, Finding> {
    Ok(Clause { attribute, any: vec![Test::Present], negated: is_missing(raw)? })
}

/// What `:missing` asks.
pub(crate) fn is_missing(raw: &Raw) -> Result<bool, Finding> {
    match raw.values.as_slice() {
        [value] if value == "true" || value == "false" => Ok(value == "true"),
        values => Err(wrong_value(&raw.name, &values.join(","), "with :missing it is true or false")),
    }
}

/// The modifiers a parameter takes.
fn modifiers(parameter: &Parameter<Attribute>) -> &'static [&'static str] {
    match (parameter.kind, parameter.asks) {
        (_, Attribute::HomeCommunity | Attribute::LastUpdated) => &[],
        (_, Attribute::Id) => &["not"],
        (Kind::Token, attribute) if attribute.is_coded() => &["not", "text", "missing"],
        (Kind::Token, _) => &["not", "missing"],
        (Kind::String, _) => &["exact", "contains", "missing"],
        (Kind::Reference, _) => &["identifier", "missing"],
        (Kind::Date | Kind::Uri, _) => &["missing"],
    }
}

/// What a parameter asks for; nothing where it holds for everything there is.
fn clause(
    parameter: &Parameter<Attribute>,
    raw: &Raw,
    ask: &Ask,
    here: &Here<'_>,
) -> Result<Option<Clause>, Finding> {
    through(parameter, raw)?;
    let modifier = raw.modifier.as_deref();
    let a_type =
        modifier.filter(|kind| parameter.kind == Kind::Reference && parameter.targets.contains(kind));
    if modifier.is_some_and(|modifier| a_type.is_none() && !modifiers(parameter).contains(&modifier)) {
        return Err(unsupported_modifier(raw, modifiers(parameter)));
    }
    if modifier == Some("missing") {
        return missing(parameter.asks, raw).map(Some);
    }
    if parameter.asks == Attribute::HomeCommunity {
        return community(raw, here).map(|()| None);
    }
    let negated = modifier == Some("not");
    let mut attribute = parameter.asks;
    if modifier == Some("identifier") {
        attribute = attribute.identifier().unwrap_or(attribute);
    }
    let mut any = Vec::with_capacity(raw.values.len());
    for value in &raw.values {
        let tests = tests(parameter, attribute, raw, value, ask, here);
        any.extend(tests.map_err(|why| wrong_value(&raw.name, value, &why))?);
    }
    Ok(match (any.is_empty(), negated) {
        (true, true) => None,
        (true, false) => Some(nothing()),
        (false, _) => Some(Clause { attribute, any, negated }),
    })
}

/// Refuses a search that is to be answered for a community that is not this one (MHD, Target Communities option).
fn community(raw: &Raw, here: &Here<'_>) -> Result<(), Finding> {
    let own = here.home_community.map(xds::attribute::identifier_value);
    for value in &raw.values {
        let asked = xds::attribute::identifier_value(&unescape(value));
        if own.as_ref() != Some(&asked) {
            let served = match &own {
                Some(own) => format!("served is urn:oid:{own}"),
                None => {
                    "this registry serves its own alone, and domain.home_community_id names none".to_owned()
                }
            };
            let text = format!(
                "{} asks for the community {}, which is not served here; {served}.",
                raw.name,
                shortened(value)
            );
            return Err(Finding::error(Rule::UnknownCommunity, Place::whole(), text));
        }
    }
    Ok(())
}

/// A clause that holds for no object: no id is all zeros.
fn nothing() -> Clause {
    let id = EntryUuid::from(uuid::Uuid::nil());
    Clause { attribute: Attribute::Id, any: vec![Test::Id(id)], negated: false }
}

/// One alternative, as one test or several of which one must hold; none if it is sound but no object can meet it.
fn tests(
    parameter: &Parameter<Attribute>,
    attribute: Attribute,
    raw: &Raw,
    value: &str,
    ask: &Ask,
    here: &Here<'_>,
) -> Result<Vec<Test>, String> {
    let modifier = raw.modifier.as_deref();
    let text =
        || Some(unescape(value)).filter(|text| !text.trim().is_empty()).ok_or("it is empty".to_owned());
    let one = |test: Option<Test>| Ok(test.into_iter().collect());
    match (attribute, parameter.kind, modifier) {
        (Attribute::AvailabilityStatus, ..) => one(status(value, ask)?.map(Test::Status)),
        (Attribute::Id, ..) => {
            let id = unescape(value);
            if is_id(&id) {
                one(EntryUuid::parse(&id).map(Test::Id))
            } else {
                Err("it is not an id".to_owned())
            }
        }
        (Attribute::RelatesTo, Kind::Token, _) if parameter.name == "relation" => {
            relation(value).map(|t| vec![t])
        }
        (_, Kind::Date, _) => one(Some(Test::Moment(date(value, here.zone)?))),
        (_, Kind::String, Some("exact")) => one(Some(Test::Exactly(text()?))),
        (_, Kind::String, Some("contains")) => one(Some(Test::Contains(text()?))),
        (_, Kind::String, _) | (_, Kind::Token, Some("text")) => one(Some(Test::Begins(text()?))),
        (_, Kind::Uri, _) => one(Some(Test::Reference(text()?))),
        (
            Attribute::RelatesTo | Attribute::Member,
            Kind::Reference,
            None | Some("DocumentReference" | "List"),
        ) => one(reference::registered(parameter, value, here)?),
        (_, Kind::Reference, kind) if kind != Some("identifier") => {
            reference::outside(parameter, kind, value, here)
        }
        (attribute, Kind::Token | Kind::Reference, _) => {
            one(Some(Test::Token(spelled(attribute, token(value)?))))
        }
    }
}

/// Every relation that a code of FHIR stands for.
fn relation(value: &str) -> Result<Test, String> {
    let Token { code, .. } = token(value)?;
    Ok(Test::Relation(match code.as_deref() {
        Some("replaces") => vec![AssociationType::Replace, AssociationType::TransformReplace],
        Some("transforms") => vec![AssociationType::Transform, AssociationType::TransformReplace],
        Some("appends") => vec![AssociationType::Append],
        Some("signs") => vec![AssociationType::Signs],
        _ => return Err("accepted are replaces, transforms, signs and appends".to_owned()),
    }))
}

/// A token in the one spelling facts are kept in.
fn spelled(attribute: Attribute, token: Token) -> Token {
    let plain = matches!(attribute, Attribute::MimeType | Attribute::LanguageCode | Attribute::SourceId);
    Token {
        // sourceId is a plain OID: its system does not count. Media types and languages have one implied.
        system: token.system.filter(|_| !plain).map(|system| xds::attribute::system(&system)),
        code: token.code.map(
            |code| {
                if is_name(attribute) { xds::attribute::identifier_value(&code) } else { code }
            },
        ),
    }
}

/// Whether the values of an attribute are names of things, which may be written with and without `urn:oid:`.
fn is_name(attribute: Attribute) -> bool {
    matches!(
        attribute,
        Attribute::Identifier
            | Attribute::ReferenceId
            | Attribute::SourceId
            | Attribute::AuthorIdentifier
            | Attribute::AuthenticatorIdentifier
            | Attribute::CustodianIdentifier
            | Attribute::EncounterIdentifier
            | Attribute::RelatesTo
            | Attribute::Member
    )
}

fn status(value: &str, ask: &Ask) -> Result<Option<Availability>, String> {
    let Token { system, code } = token(value)?;
    if system.is_some_and(|system| !system.is_empty() && system != ask.status_system) {
        return Ok(None);
    }
    match code.as_deref() {
        Some("current") => Ok(Some(Availability::Approved)),
        Some("superseded") => Ok(Some(Availability::Deprecated)),
        Some("retired") if ask.of == Of::Lists => Ok(Some(Availability::Deprecated)),
        Some("entered-in-error") => Ok(None),
        _ => Err("accepted are current and superseded".to_owned()),
    }
}

/// `_has:List:item:code=folder`.
fn has(raw: &Raw, asked: &Ask, here: &Here<'_>) -> Result<Has, Finding> {
    let rest = raw.modifier.as_deref().unwrap_or_default();
    let parts: Vec<&str> = rest.splitn(3, ':').collect();
    let supported = || {
        let known = POINTING.iter().filter(|(_, _, of, _)| *of == asked.of);
        let known: Vec<String> =
            known.map(|(kind, link, ..)| format!("_has:{kind}:{link}:[parameter]")).collect();
        let text = format!("_has:{} is not supported; supported are {}.", shortened(rest), known.join(", "));
        Finding::error(Rule::NotSupported, Place::whole(), text)
    };
    let [kind, link, name] = parts.as_slice() else { return Err(supported()) };
    let pointing = POINTING
        .iter()
        .find(|(k, l, of, _)| k == kind && l.eq_ignore_ascii_case(link) && *of == asked.of)
        .ok_or_else(supported)?;
    let of = if pointing.0 == "List" { Of::Lists } else { Of::Documents };
    let table = match of {
        Of::Documents => &crate::iti67::ASK,
        Of::Lists => &crate::iti66::ASK,
    };
    let (name, modifier) =
        name.split_once(':').map_or((*name, None), |(name, modifier)| (name, Some(modifier)));
    let inner = Raw {
        name: name.to_owned(),
        modifier: modifier.map(str::to_owned),
        through: None,
        values: raw.values.clone(),
    };
    let parameter = table.parameters.iter().find(|parameter| parameter.name == name);
    let Some(parameter) = parameter.filter(|parameter| parameter.asks != Attribute::HomeCommunity) else {
        let text = format!(
            "{} is no search parameter of {} that _has can ask for; known are {}.",
            shortened(name),
            pointing.0,
            table.parameters.iter().map(|parameter| parameter.name).collect::<Vec<_>>().join(", ")
        );
        return Err(Finding::error(Rule::NotSupported, Place::whole(), text));
    };
    let clause = clause(parameter, &inner, table, here)?.unwrap_or_else(nothing);
    Ok(Has { of, link: pointing.3, clause })
}

/// Refuses a search that nothing narrows: a patient, an identifier, an id or a relation must be named, or only the number
/// asked for. What else is doubtful of it is told too: a misspelt name is often why.
pub fn narrow(search: &Search<Filter>) -> Result<(), Findings> {
    let filter = &search.filter;
    let named = filter.all.iter().any(names) || filter.has.iter().any(|has| names(&has.clause));
    if named || !filter.patients.is_empty() || !filter.patient.is_empty() || search.result.only_count {
        return Ok(());
    }
    let text =
        "The search names no patient; one of patient, patient.identifier, identifier or _id is needed.";
    let refused = Finding::error(Rule::SearchTooBroad, Place::whole(), text);
    Err(std::iter::once(refused).chain(search.warnings.iter().cloned()).collect())
}

/// Whether a clause names single objects.
fn names(clause: &Clause) -> bool {
    // A name space alone (`system|`) is that of most documents there are.
    let whole = |test: &Test| {
        matches!(test, Test::Token(Token { code: Some(_), .. }) | Test::Id(_) | Test::Reference(_))
    };
    let naming = matches!(
        clause.attribute,
        Attribute::Identifier | Attribute::Id | Attribute::RelatesTo | Attribute::Member
    );
    naming && !clause.negated && clause.any.iter().all(whole)
}
