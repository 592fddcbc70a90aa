//! Finds the line of a table that a request is for.

use percent_encoding::percent_decode_str;

use crate::request::Params;

/// A table of methods and paths. Variable parts of a path are written `{name}`.
pub struct Router {
    paths: matchit::Router<Vec<(&'static str, usize)>>,
}

/// What a table says about a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The number of the line, and the values of the variable parts. A `HEAD` finds the line of `GET`.
    Line(usize, Params),
    /// The path is there, the method is not: those that are, `HEAD` and `OPTIONS` included.
    OtherMethods(Vec<&'static str>),
    /// No such path.
    Nothing,
}

impl Router {
    /// A router of (method, path) lines, numbered from zero. Refuses paths that contradict each other.
    pub fn new(lines: impl IntoIterator<Item = (&'static str, &'static str)>) -> Result<Router, String> {
        let mut by_path: Vec<(&'static str, Vec<(&'static str, usize)>)> = Vec::new();
        for (number, (method, path)) in lines.into_iter().enumerate() {
            match by_path.iter_mut().find(|(known, _)| *known == path) {
                Some((_, methods)) if methods.iter().any(|(known, _)| *known == method) => {
                    return Err(format!("{method} {path} stands in the table twice"));
                }
                Some((_, methods)) => methods.push((method, number)),
                None => by_path.push((path, vec![(method, number)])),
            }
        }
        let mut paths = matchit::Router::new();
        for (path, methods) in by_path {
            paths.insert(path, methods).map_err(|error| format!("{path}: {error}"))?;
        }
        Ok(Router { paths })
    }

    /// The line for a request; one slash at the end of the path does not count.
    pub fn find(&self, method: &str, path: &str) -> Found {
        let path = match path.strip_suffix('/') {
            Some("") | None => path,
            Some(shorter) => shorter,
        };
        let Ok(found) = self.paths.at(path) else { return Found::Nothing };
        let asked = if method == "HEAD" { "GET" } else { method };
        match found.value.iter().find(|(known, _)| *known == asked) {
            Some((_, number)) => match params(&found.params) {
                Some(params) => Found::Line(*number, params),
                None => Found::Nothing,
            },
            None => Found::OtherMethods(allowed(found.value)),
        }
    }
}

fn params(found: &matchit::Params<'_, '_>) -> Option<Params> {
    let mut params = Vec::with_capacity(found.len());
    for (name, value) in found.iter() {
        let value = percent_decode_str(value).decode_utf8().ok()?;
        params.push((name.to_owned(), value.into_owned()));
    }
    Some(Params(params))
}

fn allowed(lines: &[(&'static str, usize)]) -> Vec<&'static str> {
    let mut methods: Vec<&'static str> = lines.iter().map(|(method, _)| *method).collect();
    if methods.contains(&"GET") && !methods.contains(&"HEAD") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router {
        Router::new([
            ("GET", "/fhir/Patient"),
            ("PUT", "/fhir/Patient"),
            ("GET", "/fhir/Patient/{id}"),
            ("GET", "/fhir/Patient/$ihe-pix"),
            ("POST", "/fhir"),
        ])
        .expect("the lines do not contradict each other")
    }

    #[test]
    fn a_fixed_path_goes_before_a_variable_one() {
        assert_eq!(router().find("GET", "/fhir/Patient/$ihe-pix"), Found::Line(3, Params::default()));
        let Found::Line(2, params) = router().find("HEAD", "/fhir/Patient/a%20b") else {
            panic!("not found")
        };
        assert_eq!(params.get("id"), Some("a b"));
    }

    #[test]
    fn another_method_is_told_those_that_are_there() {
        assert_eq!(
            router().find("DELETE", "/fhir/Patient"),
            Found::OtherMethods(vec!["GET", "PUT", "HEAD", "OPTIONS"])
        );
        assert_eq!(
            router().find("get", "/fhir/Patient/1"),
            Found::OtherMethods(vec!["GET", "HEAD", "OPTIONS"])
        );
    }

    #[test]
    fn a_slash_at_the_end_does_not_count() {
        assert_eq!(router().find("POST", "/fhir/"), Found::Line(4, Params::default()));
        assert_eq!(router().find("GET", "/elsewhere"), Found::Nothing);
    }

    #[test]
    fn a_line_that_stands_twice_is_refused() {
        assert!(Router::new([("GET", "/a"), ("GET", "/a")]).is_err());
    }
}
