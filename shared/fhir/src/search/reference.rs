//! References in a search: `[id]`, `Type/[id]` and absolute URLs, and the types a chain passes through.

use xds::filter::Test;
use xds::{EntryUuid, Finding, Place, Rule};

use super::{Here, Parameter, Raw, shortened, unescape};

/// Whether this is an id of FHIR.
pub(super) fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

/// Whether a resource type stands there.
fn is_type(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase()) && text.bytes().all(|b| b.is_ascii_alphabetic())
}

/// Refuses a chain through a type the parameter does not refer to.
pub(super) fn through<A>(parameter: &Parameter<A>, raw: &Raw) -> Result<(), Finding> {
    match &raw.through {
        Some(kind) if !parameter.targets.contains(&kind.as_str()) => {
            let text = format!(
                "{} does not lead through {}; it leads through {}.",
                shortened(&raw.name),
                shortened(kind),
                parameter.targets.join(", ")
            );
            Err(Finding::error(Rule::Value, Place::whole(), text))
        }
        Some(_) | None => Ok(()),
    }
}

/// Every spelling under which a reference of this value may have been kept, for something that is not registered here.
pub(super) fn outside<A>(
    parameter: &Parameter<A>,
    kind: Option<&str>,
    value: &str,
    here: &Here<'_>,
) -> Result<Vec<Test>, String> {
    let value = unescape(value);
    let bare = value.split("/_history/").next().unwrap_or_default();
    if bare.is_empty() || bare.starts_with('#') {
        return Err("it is [id], [Type]/[id] or an absolute URL".to_owned());
    }
    let mut spellings = vec![bare.to_owned()];
    let own = |relative: &str| -> Vec<String> {
        let bases = here.own.iter().map(|base| format!("{}/{relative}", base.trim_end_matches('/')));
        std::iter::once(relative.to_owned()).chain(bases).collect()
    };
    if is_id(bare) {
        for target in parameter.targets.iter().filter(|target| kind.is_none_or(|kind| kind == **target)) {
            spellings.extend(own(&format!("{target}/{bare}")));
        }
    } else if bare.split_once('/').is_some_and(|(kind, id)| is_type(kind) && is_id(id)) {
        spellings.extend(own(bare));
    } else if let Some(relative) = here.own.iter().find_map(|base| under(bare, base)) {
        spellings.extend(own(relative));
    }
    Ok(spellings.into_iter().map(Test::Reference).collect())
}

/// The id of something that is registered here; none if it cannot be.
pub(super) fn registered<A>(
    parameter: &Parameter<A>,
    value: &str,
    here: &Here<'_>,
) -> Result<Option<Test>, String> {
    let value = unescape(value);
    let bare = value.split("/_history/").next().unwrap_or_default();
    let relative = here.own.iter().find_map(|base| under(bare, base)).unwrap_or(bare);
    let id = match relative.split_once('/') {
        Some((kind, id)) if parameter.targets.contains(&kind) => id,
        Some(_) if relative.contains("://") => return Ok(None),
        Some(_) => {
            let targets: Vec<String> =
                parameter.targets.iter().map(|target| format!("{target}/[id]")).collect();
            return Err(format!("it is [id], {} or the absolute URL of one", targets.join(", ")));
        }
        None => relative.strip_prefix("urn:uuid:").unwrap_or(relative),
    };
    if !is_id(id) {
        return Err("it is not an id".to_owned());
    }
    Ok(EntryUuid::parse(id).map(|id| Test::Reference(id.as_str().to_owned())))
}

/// What follows a base.
fn under<'a>(url: &'a str, base: &str) -> Option<&'a str> {
    url.strip_prefix(base.trim_end_matches('/'))?.strip_prefix('/')
}
