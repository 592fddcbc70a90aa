//! The codes of the affinity domain as FHIR shows them: ValueSet with `$expand` and `$validate-code`, and CodeSystem, ConceptMap
//! and NamingSystem as their files say them. Like `/metadata`, they are for everybody: nothing of a patient is in them.

use affinity::{Expansion, Loaded, Shown, Validation};
use bytes::Bytes;
use fhir::negotiate;
use fhir::when;
use futures_util::future::LocalBoxFuture;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use web::{Answer, Request};
use xds::{Code, Finding, Findings, Place, Rule};

use super::{fhir as table, refusal};
use crate::Registry;

const FORM: &str = "application/x-www-form-urlencoded";

type Refused = actor::Fault<Findings>;
type Answering<'a> = LocalBoxFuture<'a, Answer>;

pub(super) fn find_value_sets<'a>(registry: &'a Registry, request: &'a mut Request) -> Answering<'a> {
    find(registry, request, "ValueSet")
}

pub(super) fn find_code_systems<'a>(registry: &'a Registry, request: &'a mut Request) -> Answering<'a> {
    find(registry, request, "CodeSystem")
}

pub(super) fn find_concept_maps<'a>(registry: &'a Registry, request: &'a mut Request) -> Answering<'a> {
    find(registry, request, "ConceptMap")
}

pub(super) fn find_naming_systems<'a>(registry: &'a Registry, request: &'a mut Request) -> Answering<'a> {
    find(registry, request, "NamingSystem")
}

pub(super) fn read_value_set<'a>(registry: &'a Registry, request: &'a mut Request) -> Answering<'a> {
    read(registry, request, "ValueSet")
}

pub(super) fn read_code_system<'a>(registry: &'a Registry, request: &'a mut Request) -> Answering<'a> {
    read(registry, request, "CodeSystem")
}

pub(super) fn read_concept_map<'a>(registry: &'a Registry, request: &'a mut Request) -> Answering<'a> {
    read(registry, request, "ConceptMap")
}

pub(super) fn read_naming_system<'a>(registry: &'a Registry, request: &'a mut Request) -> Answering<'a> {
    read(registry, request, "NamingSystem")
}

pub(super) fn expand<'a>(registry: &'a Registry, request: &'a mut Request) -> Answering<'a> {
    Box::pin(async move {
        let asked = match asked(registry, request).await {
            Ok(asked) => asked,
            Err(fault) => return refusal::refuse(&fault, &request.id),
        };
        let loaded = registry.domain.current();
        let now = when::instant(registry.corridor.clock.now());
        let expanded = value_set(&loaded, &asked, request, registry)
            .and_then(|shown| shown.expand(&asked.expansion()?, base(registry, request), &now).map_err(one));
        written(expanded, request)
    })
}

pub(super) fn validate_code<'a>(registry: &'a Registry, request: &'a mut Request) -> Answering<'a> {
    Box::pin(async move {
        let asked = match asked(registry, request).await {
            Ok(asked) => asked,
            Err(fault) => return refusal::refuse(&fault, &request.id),
        };
        let loaded = registry.domain.current();
        let validated = value_set(&loaded, &asked, request, registry)
            .and_then(|shown| Ok(loaded.validate(shown, &asked.validation()?)));
        written(validated, request)
    })
}

fn base<'a>(registry: &'a Registry, request: &'a Request) -> &'a str {
    registry.public_url.as_deref().unwrap_or(&request.base)
}

fn one(finding: Finding) -> Refused {
    actor::Fault::Refused(vec![finding])
}

/// What an operation is asked, by its URL or by a Parameters resource.
#[derive(Default)]
struct Asked {
    values: Vec<(String, Value)>,
}

/// What `$expand` and `$validate-code` take. Others, which a client may send beside them, say nothing here.
const EXPAND: &[&str] = &["filter", "offset", "count"];

async fn asked(registry: &Registry, request: &mut Request) -> Result<Asked, Refused> {
    let mut asked = Asked::default();
    let query = url::form_urlencoded::parse(request.query.as_bytes());
    asked.values.extend(query.map(|(name, value)| (name.into_owned(), Value::from(value.into_owned()))));
    if request.method == Method::POST {
        let codec = table::changing(registry);
        let (limit, key) = (registry.limits.max_body_bytes, "server.limits.max_body_bytes");
        let body = codec.body(request, limit, key).await?;
        if body["resourceType"] != "Parameters" {
            let text = "A Parameters resource is expected here.";
            return Err(one(Finding::error(Rule::Structure, Place::at("resourceType"), text)));
        }
        for parameter in body["parameter"].as_array().into_iter().flatten() {
            let value =
                parameter.as_object().and_then(|p| p.iter().find(|(name, _)| name.starts_with("value")));
            if let (Some(name), Some((_, value))) = (parameter["name"].as_str(), value) {
                asked.values.push((name.to_owned(), value.clone()));
            }
        }
    }
    Ok(asked)
}

impl Asked {
    fn value(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(given, _)| given == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str()
    }

    fn number(&self, name: &str) -> Result<Option<usize>, Refused> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let number = number.and_then(|number| usize::try_from(number).ok());
        number.map(Some).ok_or_else(|| {
            let text = format!("{name} is a whole number from 0 on.");
            one(Finding::error(Rule::Value, Place::at(name), text))
        })
    }

    fn expansion(&self) -> Result<Expansion, Refused> {
        let [filter, offset, count] = [EXPAND[0], EXPAND[1], EXPAND[2]];
        Ok(Expansion {
            filter: self.text(filter).map(str::to_owned),
            offset: self.number(offset)?.unwrap_or(0),
            count: self.number(count)?,
        })
    }

    /// `code` with `system`, or `coding`, or `codeableConcept`.
    fn validation(&self) -> Result<Validation, Refused> {
        let coding = |value: &Value| {
            let text = |name: &str| value[name].as_str().map(str::to_owned);
            Some(Code {
                system: text("system").unwrap_or_default(),
                code: text("code")?,
                display: text("display"),
            })
        };
        let mut codings = Vec::new();
        if let Some(code) = self.text("code") {
            codings.push(Code {
                system: self.text("system").unwrap_or_default().to_owned(),
                code: code.to_owned(),
                display: None,
            });
        }
        codings.extend(self.value("coding").and_then(coding));
        let concept = self.value("codeableConcept").and_then(|concept| concept["coding"].as_array());
        codings.extend(concept.into_iter().flatten().filter_map(coding));
        if codings.is_empty() {
            let text = "There is no code to validate: give code (with system), coding or codeableConcept.";
            return Err(one(Finding::error(Rule::Required, Place::at("code"), text)));
        }
        let display = self.text("display").map(str::to_owned).or_else(|| codings[0].display.clone());
        Ok(Validation { codings, display })
    }
}

/// The value set meant: that of the path, or the one `url` names.
fn value_set<'a>(
    loaded: &'a Loaded,
    asked: &Asked,
    request: &Request,
    registry: &Registry,
) -> Result<&'a Shown, Refused> {
    if let Some(id) = request.params.get("id") {
        return loaded.value_set(id).ok_or(actor::Fault::NotFound);
    }
    let base = base(registry, request);
    let known: Vec<String> = loaded.value_sets.iter().map(|shown| shown.url_at(base)).collect();
    if known.is_empty() {
        let text =
            "This affinity domain has no value sets: domain.files names none, and every code is taken.";
        return Err(one(Finding::error(Rule::UnknownValueSet, Place::at("url"), text)));
    }
    let Some(url) = asked.text("url") else {
        let text = format!("url says which value set is meant; there are {}.", known.join(", "));
        return Err(one(Finding::error(Rule::Required, Place::at("url"), text)));
    };
    loaded.value_set_of(url, base).ok_or_else(|| {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let detail = xds::Detail::one_of(url, "this affinity domain", &known);
        one(Finding::not_accepted(Rule::UnknownValueSet, Place::at("url"), detail))
    })
}

fn resources(registry: &Registry, kind: &str, base: &str) -> Vec<Value> {
    let loaded = registry.domain.current();
    if kind == "ValueSet" {
        return loaded.value_sets.iter().map(|shown| shown.resource_at(base)).collect();
    }
    loaded.others.iter().filter(|resource| resource["resourceType"] == kind).cloned().collect()
}

fn read<'a>(registry: &'a Registry, request: &'a mut Request, kind: &'static str) -> Answering<'a> {
    Box::pin(async move {
        let id = request.params.get("id").unwrap_or_default();
        let mut all = resources(registry, kind, base(registry, request)).into_iter();
        written(all.find(|resource| resource["id"] == id).ok_or(actor::Fault::NotFound), request)
    })
}

/// All of a kind, or those of an id, a URL or a name that begins so.
fn find<'a>(registry: &'a Registry, request: &'a mut Request, kind: &'static str) -> Answering<'a> {
    Box::pin(async move {
        let searched = match searched(registry, request).await {
            Ok(searched) => searched,
            Err(fault) => return refusal::refuse(&fault, &request.id),
        };
        let base = base(registry, request).to_owned();
        let mut all = resources(registry, kind, &base);
        let mut honoured = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in url::form_urlencoded::parse(searched.as_bytes()) {
            let wanted: Vec<&str> = value.split(',').collect();
            let matches = |resource: &Value| match name.as_ref() {
                "_id" => wanted.iter().any(|wanted| resource["id"] == *wanted),
                "url" => wanted.iter().any(|wanted| resource["url"] == *wanted),
                _ => wanted.iter().any(|wanted| {
                    let name = resource["name"].as_str().unwrap_or_default().to_lowercase();
                    name.starts_with(&wanted.to_lowercase())
                }),
            };
            if matches!(name.as_ref(), "_id" | "url" | "name") {
                all.retain(matches);
                honoured.append_pair(&name, &value);
            }
        }
        let honoured = honoured.finish();
        let link =
            if honoured.is_empty() { format!("{base}/{kind}") } else { format!("{base}/{kind}?{honoured}") };
        let total = all.len();
        let entries: Vec<Value> = all
            .into_iter()
            .map(|resource| {
                let id = resource["id"].as_str().unwrap_or_default();
                json!({ "fullUrl": format!("{base}/{kind}/{id}"), "resource": resource, "search": { "mode": "match" } })
            })
            .collect();
        let mut bundle = json!({
            "resourceType": "Bundle", "type": "searchset", "total": total,
            "link": [{ "relation": "self", "url": link }],
        });
        if !entries.is_empty() {
            bundle["entry"] = entries.into();
        }
        written(Ok(bundle), request)
    })
}

/// The parameters of a search: those of the address, and those of a form.
async fn searched(registry: &Registry, request: &mut Request) -> Result<String, Refused> {
    let mut asked = request.query.clone();
    if request.method == Method::POST {
        let content_type = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = content_type.map(|text| text.split(';').next().unwrap_or(text).trim());
        if media.is_some_and(|media| !media.eq_ignore_ascii_case(FORM)) {
            return Err(Refused::UnsupportedMedia(format!("a search is sent as {FORM}")));
        }
        let key = "server.limits.max_form_bytes";
        let form = request.body.whole(registry.limits.max_form_bytes, key).await?;
        asked = format!("{asked}&{}", String::from_utf8_lossy(&form));
    }
    Ok(asked)
}

fn written(answer: Result<Value, Refused>, request: &Request) -> Answer {
    let accept = request.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let format = match negotiate::answer(&request.query, accept) {
        Ok(format) => format,
        Err(text) => return refusal::refuse(&actor::Fault::NotAcceptable(text), &request.id),
    };
    match answer {
        Ok(resource) => refusal::json(StatusCode::OK, Bytes::from(resource.to_string()), format.pretty),
        Err(fault) => refusal::refuse(&fault, &request.id),
    }
}
