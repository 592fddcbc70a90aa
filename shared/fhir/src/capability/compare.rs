//! What of one CapabilityStatement another one does not offer: the answer to `$implements` and `$conforms`.

use serde_json::Value;

use crate::element::{items, text};

const EXPECTATION: &str = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-expectation";

/// Something that is required and not offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unmet {
    /// `error` for what shall be there, `warning` for what should, `information` for what may.
    pub(super) severity: &'static str,
    /// FHIRPath in the statement that requires it.
    pub(super) path: String,
    /// A sentence: what is missing, and what there is instead.
    pub(super) text: String,
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Comparison {
    /// How many single requirements were looked at.
    pub(super) looked_at: usize,
    /// How many of them are not met.
    pub(super) missing: usize,
    /// Those that are not met, in the order of the statement; of each severity no more than are told.
    pub(super) unmet: Vec<Unmet>,
}

/// Issues in one answer.
pub(super) const MOST: usize = 100;

/// Bytes of a list of names in a sentence: both statements may be a caller's.
const LONGEST_LIST: usize = 2000;

/// Compares. `elsewhere` says of resource types and interactions this server does not have who in its domain does.
pub(super) fn compare(required: &Value, offered: &Value, elsewhere: &[(&str, &str)]) -> Comparison {
    let server = &offered["rest"][0];
    let mut comparing = Comparing { server, elsewhere, found: Comparison::default() };
    comparing.formats(required, offered);
    if let Some(version) = text(required, "fhirVersion") {
        let met = offered["fhirVersion"] == version
            || (version.starts_with("4.0") && offered["fhirVersion"] == "4.0.1");
        comparing.judge(required, "CapabilityStatement.fhirVersion", met, || {
            format!("FHIR {version} is required; this server speaks 4.0.1.")
        });
    }
    for (at, rest) in items(required, "rest").iter().enumerate() {
        comparing.rest(rest, &format!("CapabilityStatement.rest[{at}]"));
    }
    for (at, element) in items(required, "document").iter().enumerate() {
        comparing.judge(element, &format!("CapabilityStatement.document[{at}]"), false, || {
            "Of a document profile this server tells nothing.".to_owned()
        });
    }
    for (at, messaging) in items(required, "messaging").iter().enumerate() {
        comparing.messaging(messaging, offered, &format!("CapabilityStatement.messaging[{at}]"));
    }
    comparing.found
}

struct Comparing<'a> {
    server: &'a Value,
    elsewhere: &'a [(&'a str, &'a str)],
    found: Comparison,
}

impl Comparing<'_> {
    fn judge(&mut self, element: &Value, path: &str, met: bool, text: impl FnOnce() -> String) {
        let severity = match expectation(element) {
            "SHALL-NOT" => return,
            "SHOULD" => "warning",
            "MAY" => "information",
            _ => "error",
        };
        self.found.looked_at += 1;
        if met {
            return;
        }
        self.found.missing += 1;
        if self.found.unmet.iter().filter(|unmet| unmet.severity == severity).count() < MOST {
            self.found.unmet.push(Unmet { severity, path: path.to_owned(), text: text() });
        }
    }

    /// A client names the formats it knows and needs one of them; a server's requirements name those it must have.
    fn formats(&mut self, required: &Value, offered: &Value) {
        let client = items(required, "rest").iter().any(|rest| text(rest, "mode") == Some("client"));
        for name in ["format", "patchFormat"] {
            let wanted = items(required, name);
            let has: Vec<&str> = items(offered, name).iter().filter_map(Value::as_str).collect();
            let met = |format: &Value| {
                format.as_str().is_some_and(|format| has.iter().any(|known| same_format(known, format)))
            };
            if client && wanted.iter().any(met) {
                self.found.looked_at += 1;
                continue;
            }
            for (at, format) in wanted.iter().enumerate() {
                self.judge(format, &format!("CapabilityStatement.{name}[{at}]"), met(format), || {
                    format!("{} cannot be had; this server has {}.", shown(format), listed(&has))
                });
            }
        }
    }

    /// A message is known by the last part of its definition: guides spell what comes before in several ways.
    fn messaging(&mut self, messaging: &Value, offered: &Value, path: &str) {
        let named = |message: &Value| {
            let definition = text(message, "definition").unwrap_or_default();
            definition
                .rsplit('/')
                .next()
                .map(|name| (text(message, "mode").map(str::to_owned), name.to_owned()))
        };
        let all = items(offered, "messaging").iter().flat_map(|one| items(one, "supportedMessage"));
        let known: Vec<_> = all.filter_map(named).collect();
        let messages = items(messaging, "supportedMessage");
        if messages.is_empty() {
            self.judge(messaging, path, !known.is_empty(), || {
                "Of FHIR messaging this server tells nothing.".to_owned()
            });
        }
        for (at, message) in messages.iter().enumerate() {
            let met = named(message).is_some_and(|name| known.contains(&name));
            self.judge(message, &format!("{path}.supportedMessage[{at}]"), met, || {
                format!(
                    "{} is no message of this server as {}.",
                    shown(&message["definition"]),
                    shown(&message["mode"])
                )
            });
        }
    }

    fn rest(&mut self, rest: &Value, path: &str) {
        let server = self.server;
        for (at, service) in items(&rest["security"], "service").iter().enumerate() {
            let known = items(&server["security"], "service");
            let code = |service: &Value| {
                items(service, "coding").first().and_then(|c| text(c, "code")).map(str::to_owned)
            };
            let met = known.iter().any(|known| code(known) == code(service));
            self.judge(service, &format!("{path}.security.service[{at}]"), met, || {
                let wanted = code(service).unwrap_or_else(|| "this way of security".to_owned());
                format!("{wanted} is not offered: this server tells of no authorization server.")
            });
        }
        self.coded(rest, server, "interaction", "code", path, "of the system");
        self.operations(rest, server, path, "on the system");
        for (at, parameter) in items(rest, "searchParam").iter().enumerate() {
            let met = items(server, "resource").iter().any(|resource| has_parameter(resource, parameter));
            self.judge(parameter, &format!("{path}.searchParam[{at}]"), met, || {
                format!("The search parameter {} is known for no type.", shown(&parameter["name"]))
            });
        }
        for (at, compartment) in items(rest, "compartment").iter().enumerate() {
            let met = items(server, "compartment").contains(compartment);
            self.judge(compartment, &format!("{path}.compartment[{at}]"), met, || {
                format!("The compartment {} is not offered; search by patient.", shown(compartment))
            });
        }
        for (at, resource) in items(rest, "resource").iter().enumerate() {
            self.resource(resource, &format!("{path}.resource[{at}]"));
        }
    }

    fn resource(&mut self, resource: &Value, path: &str) {
        let kind = text(resource, "type").unwrap_or_default().to_owned();
        let server = self.server;
        let types = items(server, "resource");
        let Some(offered) = types.iter().find(|offered| text(offered, "type") == Some(&kind)) else {
            let has: Vec<&str> = types.iter().filter_map(|offered| text(offered, "type")).collect();
            let hint = self.hint(&kind);
            self.judge(resource, path, false, || {
                format!(
                    "Resources of type {} are not here; this server has {}.{hint}",
                    shown(&resource["type"]),
                    listed(&has)
                )
            });
            return;
        };
        let of = format!("of {kind}");
        self.coded(resource, offered, "interaction", "code", path, &of);
        self.operations(resource, offered, path, &format!("on {kind}"));
        self.profiles(resource, offered, path, &kind);
        for (at, parameter) in items(resource, "searchParam").iter().enumerate() {
            let met = has_parameter(offered, parameter);
            self.judge(parameter, &format!("{path}.searchParam[{at}]"), met, || {
                let has: Vec<&str> =
                    items(offered, "searchParam").iter().filter_map(|p| text(p, "name")).collect();
                format!(
                    "The search parameter {} {of} is not known with that type; there are {}.",
                    shown(&parameter["name"]),
                    listed(&has)
                )
            });
        }
        for name in ["searchInclude", "searchRevInclude"] {
            for (at, include) in items(resource, name).iter().enumerate() {
                let known = items(offered, name);
                let met = known.contains(include) || known.contains(&Value::from("*"));
                self.judge(include, &format!("{path}.{name}[{at}]"), met, || {
                    let has: Vec<&str> = known.iter().filter_map(Value::as_str).collect();
                    format!("{} {of} is not offered; there are {}.", shown(include), listed(&has))
                });
            }
        }
        for name in ["conditionalCreate", "conditionalUpdate", "updateCreate", "readHistory"] {
            if resource[name] == true {
                self.judge(resource, &format!("{path}.{name}"), offered[name] == true, || {
                    format!("{name} {of} is not offered.")
                });
            }
        }
        let ranks: [(&str, &[&str]); 3] = [
            ("versioning", &["no-version", "versioned", "versioned-update"]),
            ("conditionalRead", &["not-supported", "modified-since", "not-match", "full-support"]),
            ("conditionalDelete", &["not-supported", "single", "multiple"]),
        ];
        for (name, ranks) in ranks {
            let rank = |value: &Value| ranks.iter().position(|rank| value == rank).unwrap_or_default();
            if rank(&resource[name]) > 0 {
                self.judge(
                    resource,
                    &format!("{path}.{name}"),
                    rank(&offered[name]) >= rank(&resource[name]),
                    || {
                        format!(
                            "{name} {of} is {}, not {}.",
                            ranks[rank(&offered[name])],
                            shown(&resource[name])
                        )
                    },
                );
            }
        }
    }

    /// Interactions: elements that are the same if one member is.
    fn coded(&mut self, required: &Value, offered: &Value, name: &str, member: &str, path: &str, of: &str) {
        let has: Vec<&str> =
            items(offered, name).iter().filter_map(|element| text(element, member)).collect();
        for (at, element) in items(required, name).iter().enumerate() {
            let wanted = text(element, member).unwrap_or_default();
            let hint = self.hint(wanted);
            self.judge(element, &format!("{path}.{name}[{at}]"), has.contains(&wanted), || {
                format!("The {name} {wanted} {of} is not offered; there are {}.{hint}", listed(&has))
            });
        }
    }

    fn operations(&mut self, required: &Value, offered: &Value, path: &str, on: &str) {
        for (at, operation) in items(required, "operation").iter().enumerate() {
            let known = items(offered, "operation");
            let met = known.iter().any(|known| {
                known["name"] == operation["name"]
                    || unversioned(&known["definition"]) == unversioned(&operation["definition"])
            });
            self.judge(operation, &format!("{path}.operation[{at}]"), met, || {
                let has: Vec<&str> = known.iter().filter_map(|known| text(known, "name")).collect();
                format!(
                    "The operation ${} {on} is not offered; there are {}.",
                    shown(&operation["name"]),
                    listed(&has)
                )
            });
        }
    }

    fn profiles(&mut self, resource: &Value, offered: &Value, path: &str, kind: &str) {
        let mut has: Vec<&str> =
            items(offered, "supportedProfile").iter().filter_map(|p| unversioned(p)).collect();
        has.extend(unversioned(&offered["profile"]));
        let base = format!("http://hl7.org/fhir/StructureDefinition/{kind}");
        let wanted = items(resource, "supportedProfile").iter().enumerate();
        let wanted = wanted.map(|(at, profile)| (profile, format!("{path}.supportedProfile[{at}]")));
        let all: Vec<(&Value, String)> = wanted
            .chain(resource.get("profile").map(|profile| (profile, format!("{path}.profile"))))
            .collect();
        for (profile, at) in all {
            let met = unversioned(profile).is_some_and(|profile| profile == base || has.contains(&profile));
            self.judge(profile, &at, met, || {
                format!("The profile {} is not named; named are {}.", shown(profile), listed(&has))
            });
        }
    }

    fn hint(&self, what: &str) -> String {
        self.elsewhere
            .iter()
            .find(|(known, _)| *known == what)
            .map_or_else(String::new, |(_, text)| format!(" {text}"))
    }
}

fn expectation(element: &Value) -> &str {
    let found =
        items(element, "extension").iter().find(|extension| text(extension, "url") == Some(EXPECTATION));
    found.and_then(|extension| text(extension, "valueCode")).unwrap_or("SHALL")
}

/// By name and type. Published statements write `_lastupdated`.
fn has_parameter(offered: &Value, parameter: &Value) -> bool {
    let name = text(parameter, "name").unwrap_or_default();
    items(offered, "searchParam").iter().any(|known| {
        let same = text(known, "name").is_some_and(|known| {
            known == name || (name.starts_with('_') && known.eq_ignore_ascii_case(name))
        });
        same && (parameter["type"].is_null() || known["type"] == parameter["type"])
    })
}

/// `json` and `application/fhir+json` are one format.
fn same_format(one: &str, other: &str) -> bool {
    let short = |format: &str| {
        let media = format.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media.as_str() {
            "application/fhir+json" | "application/json" => "json".to_owned(),
            "application/fhir+xml" | "application/xml" | "text/xml" => "xml".to_owned(),
            _ => media,
        }
    };
    short(one) == short(other)
}

fn unversioned(canonical: &Value) -> Option<&str> {
    canonical.as_str().map(|url| url.split('|').next().unwrap_or(url))
}

/// What a caller wrote, without quotes and not at length.
fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut length = 0;
    let few = names.iter().take_while(|name| {
        length += name.len() + 2;
        length <= LONGEST_LIST
    });
    let few = few.count();
    match names.len() - few {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..few].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn offered() -> Value {
        json!({ "fhirVersion": "4.0.1", "format": ["application/fhir+json", "json"], "rest": [{ "mode": "server",
            "interaction": [{ "code": "transaction" }],
            "resource": [{ "type": "List", "supportedProfile": ["https://p"], "interaction": [{ "code": "read" }],
                "versioning": "versioned", "searchInclude": ["List:item"],
                "searchParam": [{ "name": "_lastUpdated", "type": "date" }, { "name": "code", "type": "token" }],
                "operation": [{ "name": "find", "definition": "https://o" }] }] }] })
    }

    fn unmet(required: &Value) -> Vec<String> {
        compare(required, &offered(), &[("Binary", "The repository has them.")])
            .unmet
            .into_iter()
            .map(|u| u.path)
            .collect()
    }

    #[test]
    fn many_and_long_names_do_not_multiply() {
        let types = |first: char| -> Value {
            let named = |number: usize| json!({ "type": format!("{first}{number}{}", "x".repeat(300)) });
            json!({ "rest": [{ "resource": (0..2000).map(named).collect::<Vec<_>>() }] })
        };
        let found = compare(&types('a'), &types('b'), &[]);
        assert_eq!((found.looked_at, found.missing, found.unmet.len()), (2000, 2000, MOST));
        let longest = found.unmet.iter().map(|unmet| unmet.text.len()).max();
        assert!(longest < Some(3000), "{longest:?}");
    }

    #[test]
    fn what_is_offered_meets_itself() {
        let same = compare(&offered(), &offered(), &[]);
        assert_eq!(same.unmet, []);
        assert!(same.looked_at > 8, "{}", same.looked_at);
    }

    #[test]
    fn each_kind_of_requirement_is_judged_at_its_place() {
        let required = json!({ "fhirVersion": "5.0.0", "format": ["xml"], "rest": [{ "mode": "server",
            "security": { "service": [{ "coding": [{ "code": "SMART-on-FHIR" }] }] },
            "interaction": [{ "code": "transaction" }, { "code": "batch" }],
            "resource": [
                { "type": "List", "profile": "https://q", "supportedProfile": ["https://p|1.0"],
                  "interaction": [{ "code": "read" }, { "code": "search-type" }], "versioning": "versioned-update",
                  "searchInclude": ["List:subject"], "conditionalCreate": true,
                  "searchParam": [{ "name": "_lastupdated", "type": "date" }, { "name": "code", "type": "string" },
                                  { "name": "date", "type": "date" }],
                  "operation": [{ "name": "x", "definition": "https://o|2" }, { "name": "y", "definition": "https://y" }] },
                { "type": "Binary" }] }] });
        assert_eq!(
            unmet(&required),
            [
                "CapabilityStatement.format[0]",
                "CapabilityStatement.fhirVersion",
                "CapabilityStatement.rest[0].security.service[0]",
                "CapabilityStatement.rest[0].interaction[1]",
                "CapabilityStatement.rest[0].resource[0].interaction[1]",
                "CapabilityStatement.rest[0].resource[0].operation[1]",
                "CapabilityStatement.rest[0].resource[0].profile",
                "CapabilityStatement.rest[0].resource[0].searchParam[1]",
                "CapabilityStatement.rest[0].resource[0].searchParam[2]",
                "CapabilityStatement.rest[0].resource[0].searchInclude[0]",
                "CapabilityStatement.rest[0].resource[0].conditionalCreate",
                "CapabilityStatement.rest[0].resource[0].versioning",
                "CapabilityStatement.rest[0].resource[1]",
            ]
        );
        let told = compare(&required, &offered(), &[("Binary", "The repository has them.")]).unmet;
        assert!(
            told.last().is_some_and(|unmet| unmet.text.ends_with("The repository has them.")),
            "{told:?}"
        );
    }

    #[test]
    fn what_only_should_be_there_is_a_warning_and_one_format_is_enough_for_a_client() {
        let expectation = |code: &str| json!([{ "url": EXPECTATION, "valueCode": code }]);
        let required = json!({ "format": ["xml", "json"], "rest": [{ "mode": "client", "interaction": [
            { "code": "batch", "extension": expectation("SHOULD") }, { "code": "search-system", "extension": expectation("MAY") },
            { "code": "history-system", "extension": expectation("SHALL-NOT") }] }] });
        let severities: Vec<&str> =
            compare(&required, &offered(), &[]).unmet.iter().map(|unmet| unmet.severity).collect();
        assert_eq!(severities, ["warning", "information"]);
    }
}
