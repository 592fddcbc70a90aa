//! The table of shapes, and how it is read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use super::primitive::Primitive;

/// Every data type and resource of R4, one shape a line: its sort, its name, its elements in their order as `name:type`.
///
/// Sorts: `E` element, `B` backbone element, `R` resource, `D` domain resource; each brings what all of its sort have. A
/// small letter says that we do not look into it: what is below is kept as it came, and only written in another form.
/// Marks: `!` required, `*` repeated, `+` both. `code(a|b)` lists the codes of a required binding. `name[x]:A|B` is a
/// choice, of any type where it says `ANY`. `entry` and `contained` are resources.
///
/// Made from HL7's `profiles-types.json`, `profiles-resources.json` and the value sets of R4 4.0.1 (CC0): for each
/// `snapshot.element` its last step, `min`, `max`, type or contentReference, in their order, and the codes of required
/// bindings of the shapes we look into. Age, Count, Distance and Duration are written like the Quantity they are. What the
/// profiles of MHD demand (status and content of a DocumentReference) is not marked: the codec says it under the name of
/// the XDS attribute.
const TABLE: &str = include_str!("r4.txt");

const ANY: &str = "base64Binary|boolean|canonical|code|date|dateTime|decimal|id|instant|integer|markdown|oid|positiveInt|string|time|unsignedInt|uri|url|uuid|Address|Age|Annotation|Attachment|CodeableConcept|Coding|ContactPoint|Count|Distance|Duration|HumanName|Identifier|Money|Period|Quantity|Range|Ratio|Reference|SampledData|Signature|Timing|ContactDetail|Contributor|DataRequirement|Expression|ParameterDefinition|RelatedArtifact|TriggerDefinition|UsageContext|Dosage|Meta";

const ELEMENT: &str = "id:string extension*:Extension";
const BACKBONE: &str = "modifierExtension*:Extension";
const RESOURCE: &str = "id:id meta:Meta implicitRules:uri language:code";
const DOMAIN: &str = "text:Narrative contained*:contained extension*:Extension modifierExtension*:Extension";

/// What an element holds.
#[derive(Debug)]
pub(crate) enum Kind {
    Primitive(Primitive),
    /// One of these codes.
    Code(Vec<&'static str>),
    /// The shape at this index.
    Shape(usize),
    /// A resource of a Bundle.
    Entry,
    /// A contained resource.
    Contained,
}

/// An element of a shape.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: Kind,
    pub(crate) many: bool,
    pub(crate) required: bool,
    /// Number of the choice it is one form of.
    pub(crate) choice: Option<u16>,
}

impl Field {
    pub(crate) fn is_primitive(&self) -> bool {
        matches!(self.kind, Kind::Primitive(_) | Kind::Code(_))
    }
}

/// A resource or a data type.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) is_resource: bool,
    /// Whether values are held to it; else they are looked through only.
    pub(crate) strict: bool,
    /// In their order.
    pub(crate) fields: Vec<Field>,
    /// Numbers of the fields, by name.
    by_name: Vec<u16>,
}

impl Shape {
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.position(name).map(|position| &self.fields[position])
    }

    /// The number of an element in their order.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        let found = self.by_name.binary_search_by(|number| {
            let field: &str = &self.fields[usize::from(*number)].name;
            field.cmp(name)
        });
        found.ok().map(|index| usize::from(self.by_name[index]))
    }

    /// The same, where the element is looked for behind another: most are the next ones.
    pub(crate) fn position_behind(&self, before: usize, name: &str) -> Option<usize> {
        let near = self.fields.iter().enumerate().skip(before).take(6);
        let near = near.filter(|(_, field)| field.name == name).map(|(position, _)| position).next();
        near.or_else(|| self.position(name))
    }

    pub(super) fn required(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.required)
    }
}

/// The table as it is read once.
#[derive(Debug)]
pub(crate) struct Table {
    shapes: Vec<Shape>,
    resources: HashMap<&'static str, usize>,
}

impl Table {
    /// The shape of a resource type of R4.
    pub(crate) fn resource(&self, name: &str) -> Option<&Shape> {
        self.resources.get(name).map(|index| &self.shapes[*index])
    }

    pub(crate) fn shape(&self, index: usize) -> &Shape {
        &self.shapes[index]
    }

    /// What extensions of a primitive hang on.
    pub(crate) fn element(&self) -> &Shape {
        &self.shapes[0]
    }
}

/// The table of R4.
pub(crate) fn r4() -> &'static Table {
    static READ: LazyLock<Table> = LazyLock::new(read);
    &READ
}

fn read() -> Table {
    let lines: Vec<(&str, &str, &str)> = TABLE.lines().filter_map(split_line).collect();
    let numbers: HashMap<&str, usize> =
        lines.iter().enumerate().map(|(n, (_, name, _))| (*name, n)).collect();
    let shapes: Vec<Shape> =
        lines.iter().map(|(sort, name, own)| read_shape(sort, name, own, &numbers)).collect();
    let resources = shapes.iter().enumerate().filter(|(_, shape)| shape.is_resource);
    let resources = resources.map(|(number, shape)| (shape.name, number)).collect();
    Table { shapes, resources }
}

fn split_line(line: &'static str) -> Option<(&'static str, &'static str, &'static str)> {
    let (sort, rest) = line.split_once(' ')?;
    let (name, own) = rest.split_once(' ').unwrap_or((rest, ""));
    Some((sort, name, own))
}

fn read_shape(sort: &str, name: &'static str, own: &'static str, numbers: &HashMap<&str, usize>) -> Shape {
    let common: &[&str] = match sort.to_ascii_uppercase().as_str() {
        "E" => &[ELEMENT],
        "B" => &[ELEMENT, BACKBONE],
        "D" => &[RESOURCE, DOMAIN],
        _ => &[RESOURCE],
    };
    let mut fields = Vec::new();
    for line in common.iter().chain(std::iter::once(&own)) {
        for word in line.split(' ').filter(|word| !word.is_empty()) {
            read_field(word, numbers, &mut fields);
        }
    }
    let mut by_name: Vec<u16> = (0..).take(fields.len()).collect();
    by_name.sort_unstable_by_key(|number| &fields[usize::from(*number)].name);
    let is_resource = sort.eq_ignore_ascii_case("R") || sort.eq_ignore_ascii_case("D");
    let strict = sort.chars().all(char::is_uppercase);
    Shape { name, is_resource, strict, fields, by_name }
}

fn read_field(word: &'static str, numbers: &HashMap<&str, usize>, fields: &mut Vec<Field>) {
    let Some((name, kind)) = word.split_once(':') else { return };
    if let Some(stem) = name.strip_suffix("[x]") {
        let choice = u16::try_from(fields.len()).ok();
        let types = if kind == "ANY" { ANY } else { kind };
        for kind in types.split('|') {
            let (head, tail) = kind.split_at(1);
            let name = Cow::from(format!("{stem}{}{tail}", head.to_ascii_uppercase()));
            let Some(kind) = read_kind(kind, numbers) else { continue };
            fields.push(Field { name, kind, many: false, required: false, choice });
        }
        return;
    }
    let bare = name.trim_end_matches(['!', '*', '+']);
    let many = name.ends_with(['*', '+']);
    let required = name.ends_with(['!', '+']);
    if let Some(kind) = read_kind(kind, numbers) {
        fields.push(Field { name: Cow::from(bare), kind, many, required, choice: None });
    }
}

/// What a word of the table means; none for a word the table does not know, which a test rules out.
fn read_kind(kind: &'static str, numbers: &HashMap<&str, usize>) -> Option<Kind> {
    if let Some(codes) = kind.strip_prefix("code(") {
        return Some(Kind::Code(codes.trim_end_matches(')').split('|').collect()));
    }
    if let Some(primitive) = Primitive::named(kind) {
        return Some(Kind::Primitive(primitive));
    }
    let shape = match kind {
        "entry" => return Some(Kind::Entry),
        "contained" => return Some(Kind::Contained),
        "Age" | "Count" | "Distance" | "Duration" => "Quantity",
        other => other,
    };
    numbers.get(shape).map(|number| Kind::Shape(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_the_table_names_has_a_line() {
        let read: HashMap<&str, usize> =
            TABLE.lines().filter_map(split_line).enumerate().map(|(n, (_, name, _))| (name, n)).collect();
        for (_, name, own) in TABLE.lines().filter_map(split_line) {
            for word in own.split(' ').filter(|word| !word.is_empty()) {
                let (_, kinds) = word.split_once(':').unwrap();
                let kinds: Vec<&str> =
                    if kinds.starts_with("code(") { vec![kinds] } else { kinds.split('|').collect() };
                for kind in kinds {
                    assert!(kind == "ANY" || read_kind(kind, &read).is_some(), "{name}: {word}");
                }
            }
        }
    }

    #[test]
    fn choices_have_a_name_for_each_type() {
        let patient = r4().resource("Patient").unwrap();
        assert!(patient.field("deceasedBoolean").is_some() && patient.field("deceasedDateTime").is_some());
        assert!(patient.field("deceased").is_none());
    }

    #[test]
    fn no_element_has_two_lines() {
        for shape in &r4().shapes {
            let mut names: Vec<&str> = shape.fields.iter().map(|field| &*field.name).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{}", shape.name);
        }
    }
}
