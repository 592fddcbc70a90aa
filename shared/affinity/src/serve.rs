//! The value sets as FHIR asks for them: `$expand` and `$validate-code` (R4 ValueSet operations).

use serde_json::{Value, json};
use xds::Code;
use xds::affinity::{Enforce, Enforcement, Given};
use xds::{Detail, Finding, Place, Rule};

use crate::file::{Loaded, Shown};
use crate::terminology::text;

/// What `$expand` is asked.
#[derive(Debug, Clone, Default)]
pub struct Expansion {
    /// Words that must stand in code or display, in any case.
    pub filter: Option<String>,
    /// Codes to leave out at the beginning.
    pub offset: usize,
    /// Codes at most.
    pub count: Option<usize>,
}

/// What `$validate-code` is asked.
#[derive(Debug, Clone, Default)]
pub struct Validation {
    /// The codings; one of them must be in the set.
    pub codings: Vec<Code>,
    /// The display that was given beside a bare code.
    pub display: Option<String>,
}

impl Shown {
    /// The resource; one that came without a canonical URL gets the one it has below this base.
    pub fn resource_at(&self, base: &str) -> Value {
        let mut resource = self.resource.clone();
        if text(&resource, "url").is_none()
            && let Some(members) = resource.as_object_mut()
        {
            members.insert("url".to_owned(), self.url_at(base).into());
        }
        resource
    }

    /// The canonical URL, at this base.
    pub fn url_at(&self, base: &str) -> String {
        text(&self.resource, "url").map_or_else(|| format!("{base}/ValueSet/{}", self.id), str::to_owned)
    }

    /// The codes that match, with how many there are in all.
    pub fn expand(&self, asked: &Expansion, base: &str, now: &str) -> Result<Value, Finding> {
        if let Some(system) = self.set.whole_systems.first() {
            let words = format!(
                "The value set {} holds every code of {system}, which is not among the files of this domain; it can be asked by $validate-code, but not listed.",
                self.id
            );
            return Err(Finding::error(Rule::NotSupported, Place::at("ValueSet.compose.include"), words));
        }
        let wanted = asked.filter.as_deref().map(str::to_lowercase).unwrap_or_default();
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        let matches =
            |code: &&Code| wanted.is_empty() || has(&code.code) || code.display.as_deref().is_some_and(has);
        let found: Vec<&Code> = self.set.codes.iter().filter(matches).collect();
        let page = found.iter().skip(asked.offset).take(asked.count.unwrap_or(usize::MAX));
        let contains: Vec<Value> = page.map(|code| contained(code)).collect();
        let mut resource = self.resource_at(base);
        if let Some(members) = resource.as_object_mut() {
            members.shift_remove("compose");
        }
        let mut expansion = json!({
            "identifier": format!("{}#{}-{}", self.url_at(base), asked.offset, wanted.replace(|c: char| !c.is_ascii_alphanumeric(), "-")),
            "timestamp": now, "total": found.len(), "offset": asked.offset,
        });
        if let Some(filter) = &asked.filter {
            expansion["parameter"] = json!([{ "name": "filter", "valueString": filter }]);
        }
        if !contains.is_empty() {
            expansion["contains"] = contains.into();
        }
        resource["expansion"] = expansion;
        Ok(resource)
    }
}

fn contained(code: &Code) -> Value {
    let mut item = json!({});
    if !code.system.is_empty() {
        item["system"] = code.system.as_str().into();
    }
    item["code"] = code.code.as_str().into();
    if let Some(display) = &code.display {
        item["display"] = display.as_str().into();
    }
    item
}

impl Loaded {
    /// The value set of this id.
    pub fn value_set(&self, id: &str) -> Option<&Shown> {
        self.value_sets.iter().find(|shown| shown.id == id)
    }

    /// The value set of this canonical URL, with or without version.
    pub fn value_set_of(&self, url: &str, base: &str) -> Option<&Shown> {
        let bare = url.split('|').next().unwrap_or(url);
        self.value_sets.iter().find(|shown| shown.url_at(base) == bare)
    }

    /// Whether one of the codings is in the set: `Parameters` with `result`, `message` and `display`.
    pub fn validate(&self, shown: &Shown, asked: &Validation) -> Value {
        let systems = self.domain.systems();
        let plain = shown.attribute.is_some_and(xds::affinity::Coded::is_plain);
        let known = |code: &Code| -> Option<Option<String>> {
            if plain {
                return shown.set.accepts_word(&code.code).then_some(None);
            }
            match shown.set.find(&code.system, &code.code, systems) {
                Some(found) => Some(found.display.clone()),
                None => shown.set.has_whole(&code.system, systems).then_some(None),
            }
        };
        let found = asked.codings.iter().find_map(known);
        let mut parameters = vec![json!({ "name": "result", "valueBoolean": found.is_some() })];
        match found {
            None => {
                parameters.push(json!({ "name": "message", "valueString": self.why_not(shown, asked) }));
            }
            Some(display) => {
                if let (Some(given), Some(known)) = (&asked.display, &display)
                    && !given.eq_ignore_ascii_case(known)
                {
                    let words = format!(
                        "The code is in the value set; its display there is {known:?}, not {given:?}."
                    );
                    parameters.push(json!({ "name": "message", "valueString": words }));
                }
                if let Some(display) = display {
                    parameters.push(json!({ "name": "display", "valueString": display }));
                }
            }
        }
        json!({ "resourceType": "Parameters", "parameter": parameters })
    }

    /// The sentence a refused submission would get; without an attribute, the same about the set.
    fn why_not(&self, shown: &Shown, asked: &Validation) -> String {
        if let Some(attribute) = shown.attribute {
            let given =
                Given { attribute, at: Place::at(attribute.element()), codings: asked.codings.clone() };
            let findings = self.domain.check(&[given], &Enforcement::all(Enforce::Reject));
            if let Some(finding) = findings.into_iter().next() {
                return finding.text;
            }
        }
        let codes: Vec<&str> = shown.set.codes.iter().map(|code| code.code.as_str()).collect();
        let value = asked.codings.iter().map(|code| code.code.as_str()).collect::<Vec<_>>().join(" and ");
        let few = if codes.len() > 8 { &codes[..8] } else { &codes[..] };
        let detail = Detail::one_of(&value, &format!("ValueSet/{}", shown.id), few);
        Finding::not_accepted(Rule::CodeInvalid, Place::at("code"), detail).text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::read;

    fn loaded() -> Loaded {
        let xml = br#"<Codes><CodeType name="classCode">
            <Code code="consult" display="Consultation" codingScheme="1.2.3" system="http://region.example/c"/>
            <Code code="report" display="Report" codingScheme="1.2.3" system="http://region.example/c"/></CodeType></Codes>"#;
        read(&[("codes.xml".to_owned(), xml.to_vec())], &[]).unwrap()
    }

    #[test]
    fn an_expansion_is_filtered_and_paged() {
        let loaded = loaded();
        let shown = loaded.value_set("classCode").unwrap();
        let all = shown.expand(&Expansion::default(), "http://r/fhir", "2026-01-01T00:00:00Z").unwrap();
        assert_eq!(all["expansion"]["contains"].as_array().map(Vec::len), Some(2));
        assert_eq!(all["url"], "http://r/fhir/ValueSet/classCode");
        let asked = Expansion { filter: Some("CONSULT".into()), ..Expansion::default() };
        let one = shown.expand(&asked, "http://r/fhir", "2026-01-01T00:00:00Z").unwrap();
        assert_eq!(one["expansion"]["contains"][0]["display"], "Consultation");
        let asked = Expansion { offset: 1, count: Some(5), ..Expansion::default() };
        let rest = shown.expand(&asked, "http://r/fhir", "2026-01-01T00:00:00Z").unwrap();
        assert_eq!(
            (&rest["expansion"]["total"], &rest["expansion"]["contains"][0]["code"]),
            (&json!(2), &json!("report"))
        );
    }

    #[test]
    fn a_code_is_validated_in_every_spelling_of_its_system() {
        let loaded = loaded();
        let shown = loaded.value_set("classCode").unwrap();
        let asked = |system: &str, code: &str| Validation {
            codings: vec![Code { system: system.into(), code: code.into(), display: None }],
            display: Some("consultation".into()),
        };
        let yes = loaded.validate(shown, &asked("urn:oid:1.2.3", "consult"));
        assert_eq!(yes["parameter"][0]["valueBoolean"], true);
        assert_eq!(yes["parameter"][1]["valueString"], "Consultation");
        let no = loaded.validate(shown, &asked("urn:oid:1.2.3", "konsult"));
        assert_eq!(no["parameter"][0]["valueBoolean"], false);
        let words = no["parameter"][1]["valueString"].as_str().unwrap();
        assert!(words.contains("DocumentEntry.classCode") && words.contains("nearest: consult"), "{words}");
    }
}
