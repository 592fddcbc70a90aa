//! The attributes of an element: FHIR has three.

use quick_xml::events::BytesStart;
use xds::Rule;

use super::scanner::Scanner;
use crate::json::Fault;
use crate::xml::escape;

/// More than anybody needs, and few enough to look for doubles in.
const MOST: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) id: Option<String>,
    pub(super) url: Option<String>,
    pub(super) value: Option<String>,
}

impl Attributes {
    pub(super) fn read(scanner: &mut Scanner<'_>, tag: &BytesStart<'_>) -> Result<Attributes, Fault> {
        let mut attributes = Attributes::default();
        for (number, attribute) in tag.attributes().enumerate() {
            if number == MOST {
                return Err(scanner.fault(format!("more than {MOST} attributes in one element")));
            }
            let attribute =
                attribute.map_err(|_| scanner.fault("an attribute is not well formed, or is there twice"))?;
            let name: &str = attribute.key.as_ref();
            let slot = match name {
                "value" => &mut attributes.value,
                "id" => &mut attributes.id,
                "url" => &mut attributes.url,
                name if is_about_xml(name) => continue,
                _ => {
                    return Err(
                        scanner.fault("an attribute that FHIR does not have; it has id, url and value")
                    );
                }
            };
            if attribute.value.len() > scanner.limits.string {
                let text = format!("a value of more than {} bytes", scanner.limits.string);
                return Err(scanner.fault_of(Rule::TooLong, text));
            }
            let value = escape::value(&attribute.value).map_err(|why| scanner.fault(why))?;
            *slot = Some(value.into_owned());
            scanner.count()?;
        }
        Ok(attributes)
    }
}

/// Attributes that say nothing about the resource: namespaces, and hints where a schema lies (which is not fetched).
fn is_about_xml(name: &str) -> bool {
    name == "xmlns" || ["xmlns:", "xml:", "xsi:"].iter().any(|prefix| name.starts_with(prefix))
}
