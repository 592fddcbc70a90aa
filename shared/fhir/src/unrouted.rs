//! What is said where no line of an actor's table fits: another method, an unknown type, id or operation.

/// Why a request leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nowhere {
    /// HTTP status: 404, 405, or 400 for an id that cannot be one.
    pub status: u16,
    /// FHIR issue type.
    pub issue: &'static str,
    /// Our own code.
    pub code: &'static str,
    /// What is wrong and what there is instead.
    pub text: String,
}

/// A request as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// The path below the base, beginning with `/`; a path elsewhere as it is.
    pub path: &'a str,
    /// Absolute base URL of the actor.
    pub base: &'a str,
    /// Methods of the line whose path fits; none: no path does.
    pub allowed: &'a [&'static str],
}

/// Tells it. `paths` are those of the actor's table, e.g. `/fhir/List/{id}`; `hint`, a sentence or nothing, says who does what
/// the caller seems to want.
pub fn tell(asked: Asked<'_>, paths: &[&str], hint: &str) -> Nowhere {
    let types = types(paths);
    let hint = if hint.is_empty() { String::new() } else { format!(" {hint}") };
    let told = |status, issue, code, text: String| Nowhere { status, issue, code, text };
    let mut segments = asked.path.split('/').filter(|segment| !segment.is_empty());
    let (first, second) = (segments.next().unwrap_or_default(), segments.next());
    let last = asked.path.rsplit('/').find(|segment| !segment.is_empty()).unwrap_or_default();
    let shown = shortened(last);
    let has = if types.is_empty() { String::new() } else { format!(" It has {}.", types.join(", ")) };
    let known = |operation: &str| paths.iter().any(|path| path.rsplit('/').next() == Some(operation));
    if last.starts_with('$') && (asked.allowed.is_empty() || !known(last)) {
        let text = format!(
            "This server has no operation {shown} here; GET {}/metadata lists those it has.",
            asked.base
        );
        return told(404, "not-supported", "unknown-operation", text);
    }
    if !asked.allowed.is_empty() {
        let text = format!(
            "{} is not possible here; possible are {}.{hint}",
            shortened(asked.method),
            asked.allowed.join(", ")
        );
        return told(405, "not-supported", "method-not-allowed", text);
    }
    if first == ".well-known" {
        let text = "This server has no authorization server to name: it asks nobody for a token.".to_owned();
        return told(404, "not-supported", "no-authorization-server", text);
    }
    let is_type =
        first.starts_with(|c: char| c.is_ascii_uppercase()) && first.bytes().all(|b| b.is_ascii_alphabetic());
    if is_type && !types.contains(&first) {
        let meant = meant(first, &types);
        let text = format!("This server has no resources of type {}.{meant}{has}{hint}", shortened(first));
        return told(404, "not-supported", "unknown-type", text);
    }
    if is_type && second.is_some_and(|id| !id.starts_with('_') && !is_id(id)) {
        let text = format!(
            "{:?} is not the id of a resource: ids are 1 to 64 letters, digits, dots and hyphens.",
            shortened(second.unwrap_or_default())
        );
        return told(400, "value", "malformed-id", text);
    }
    let meant = if is_type { String::new() } else { meant(first, &types) };
    let text = format!(
        "There is nothing at this path.{meant}{has} The FHIR base is {}, and metadata lists what it does.{hint}",
        asked.base
    );
    told(404, "not-supported", "unknown-path", text)
}

/// The type or path that was probably meant by a name that is none.
fn meant(name: &str, types: &[&str]) -> String {
    let lower = name.to_ascii_lowercase();
    let likeness = |known: &str| strsim::jaro_winkler(&known.to_ascii_lowercase(), &lower);
    let known = types.iter().copied().chain(["metadata"]);
    let nearest = known.map(|known| (likeness(known), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, known)) if likeness >= CLOSE => {
            format!(" Did you mean {known}? Upper and lower case differ.")
        }
        Some(_) | None => String::new(),
    }
}

/// Names that are close enough to be meant.
const CLOSE: f64 = 0.92;

/// The resource types of a table, in its order.
fn types<'a>(paths: &[&'a str]) -> Vec<&'a str> {
    let mut types = Vec::new();
    for path in paths {
        let first = path.strip_prefix("/fhir/").and_then(|path| path.split('/').next()).unwrap_or_default();
        if first.starts_with(|c: char| c.is_ascii_uppercase()) && !types.contains(&first) {
            types.push(first);
        }
    }
    types
}

/// Whether this can be the id of a resource (R4 id).
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(method: &'a str, path: &'a str, allowed: &'a [&'static str]) -> Nowhere {
        let paths = ["/fhir", "/fhir/List", "/fhir/List/{id}", "/fhir/Patient/$ihe-pix", "/documents/{id}"];
        tell(Asked { method, path, base: "https://r.example/fhir", allowed }, &paths, "")
    }

    #[test]
    fn each_dead_end_has_its_own_sign() {
        for (method, path, allowed, status, code) in [
            ("GET", "/Observation/1", &[][..], 404, "unknown-type"),
            ("GET", "/List/a%20b", &[], 400, "malformed-id"),
            ("GET", "/List/$lastn", &["GET"], 404, "unknown-operation"),
            ("POST", "/$everything", &[], 404, "unknown-operation"),
            ("DELETE", "/Patient/$ihe-pix", &["GET", "POST"], 405, "method-not-allowed"),
            ("DELETE", "/List/1", &["GET", "HEAD"], 405, "method-not-allowed"),
            ("GET", "/.well-known/smart-configuration", &[], 404, "no-authorization-server"),
            ("GET", "/List/1/x/y", &[], 404, "unknown-path"),
            ("GET", "/favicon.ico", &[], 404, "unknown-path"),
            ("GET", "/list", &[], 404, "unknown-path"),
        ] {
            let told = asked(method, path, allowed);
            assert_eq!((told.status, told.code), (status, code), "{method} {path}: {}", told.text);
        }
    }

    #[test]
    fn a_name_that_is_nearly_right_is_told_what_was_meant() {
        for (path, meant) in [
            ("/list?x", Some("List")),
            ("/LIST", Some("List")),
            ("/patients/1", Some("Patient")),
            ("/Patients", Some("Patient")),
            ("/Metadata", Some("metadata")),
            ("/Observation", None),
            ("/Practitioner", None),
            ("/favicon.ico", None),
            ("/", None),
        ] {
            let told = asked("GET", path, &[]).text;
            assert_eq!(told.contains("Did you mean"), meant.is_some(), "{path}: {told}");
            assert!(meant.is_none_or(|meant| told.contains(&format!("mean {meant}?"))), "{path}: {told}");
        }
    }

    #[test]
    fn what_is_there_is_said_and_what_was_sent_is_cut_short() {
        assert!(asked("GET", "/Observation", &[]).text.contains("List, Patient"));
        let long = format!("/List/{}", "x".repeat(5000));
        assert!(asked("GET", &long, &[]).text.len() < 300);
    }
}
