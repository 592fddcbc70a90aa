//! References between the entries of a message.

use serde_json::Value;

use super::text;

/// The entries of a history, as references find them.
pub(super) struct Entries<'a>(pub(super) &'a [Value]);

impl<'a> Entries<'a> {
    /// The entry a reference means, said in the entry `from`: by its full URL, as it is or on the same server; else by type and
    /// id, if that is one entry.
    pub(super) fn named(&self, reference: &str, from: Option<&str>) -> Option<(usize, &'a Value)> {
        let reference = unversioned(reference);
        let absolute = from.and_then(base).map(|base| format!("{base}/{reference}"));
        let whole = |entry: &Value| {
            let url = text(entry, "fullUrl");
            url == Some(reference) || (url.is_some() && url == absolute.as_deref())
        };
        if let Some(found) = self.0.iter().enumerate().find(|(_, entry)| whole(entry)) {
            return Some(found);
        }
        let ids = |entry: &Value| {
            let resource = entry.get("resource").unwrap_or(&Value::Null);
            let name = text(resource, "resourceType").zip(text(resource, "id"));
            let is_named = name.is_some_and(|(kind, id)| format!("{kind}/{id}") == reference);
            is_named || url_ends_with(entry, reference)
        };
        let mut found = self.0.iter().enumerate().filter(|(_, entry)| ids(entry));
        let first = found.next();
        if found.next().is_some() { None } else { first }
    }

    /// The type of what an entry is about, also where it has no resource.
    pub(super) fn kind(entry: &'a Value) -> Option<&'a str> {
        let named = entry.get("resource").and_then(|resource| text(resource, "resourceType"));
        named.or_else(|| {
            let url = entry.get("request").and_then(|request| text(request, "url"));
            let url = url.or_else(|| text(entry, "fullUrl"))?;
            let kind = match url.rsplit_once('/') {
                Some((before, _)) => before.rsplit('/').next()?,
                None => url,
            };
            Some(kind.split('?').next().unwrap_or(kind))
        })
    }
}

fn url_ends_with(entry: &Value, reference: &str) -> bool {
    !reference.contains(':')
        && text(entry, "fullUrl")
            .is_some_and(|url| url.strip_suffix(reference).is_some_and(|rest| rest.ends_with('/')))
}

/// A reference without the version it may name.
fn unversioned(reference: &str) -> &str {
    reference.split("/_history/").next().unwrap_or(reference)
}

/// The base of the server in `base/Type/id`; none for anything else, `urn:uuid:` above all.
pub(super) fn base(url: &str) -> Option<&str> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return None;
    }
    let (before, id) = unversioned(url).rsplit_once('/')?;
    let (base, kind) = before.rsplit_once('/')?;
    let is_kind =
        kind.starts_with(|c: char| c.is_ascii_uppercase()) && kind.bytes().all(|b| b.is_ascii_alphabetic());
    (is_kind && !id.is_empty() && base.len() > "https://".len()).then_some(base)
}

/// The id at the end of `Type/id`, where that is its form.
pub(super) fn id_of<'a>(url: &'a str, kind: &str) -> Option<&'a str> {
    let (before, id) = unversioned(url).rsplit_once('/')?;
    let is_id = !id.is_empty()
        && id.len() <= 64
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    (is_id && before.rsplit('/').next() == Some(kind)).then_some(id)
}
