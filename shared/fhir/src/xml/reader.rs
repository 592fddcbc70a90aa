//! XML read into the JSON form of FHIR, led by the table.

mod attributes;
mod narrative;
mod put;
mod scanner;

use std::borrow::Cow;
use std::fmt::Write as _;

use quick_xml::events::BytesStart;
use serde_json::{Map, Number, Value};
use xds::{Findings, Place, Rule};

use crate::json::{Fault, Limits};
use crate::schema::primitive::Primitive;
use crate::schema::table::{self, Field, Kind, Shape, Table};
use attributes::Attributes;
use put::Object;
use scanner::{Scanner, Space, Token};

/// What is wrong with an XML document: where its reading ended, or all values outside their types.
#[derive(Debug)]
pub(crate) struct Wrong {
    fault: Fault,
    path: String,
}

/// The findings. `cuts` says where bytes were left out of the text (offset, how many).
pub(crate) fn faults(wrong: &[Wrong], bytes: &[u8], cuts: &[(usize, u64)]) -> Findings {
    let finding = |wrong: &Wrong| {
        let mut finding = wrong.fault.finding(bytes, cuts);
        finding.at = Place { path: wrong.path.clone(), ..finding.at };
        finding
    };
    wrong.iter().map(finding).collect()
}

/// What hangs on a primitive: id and extensions.
type Sibling = Map<String, Value>;

/// Problems of one document that are worth telling.
const MOST: usize = 200;

/// Reads one resource.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Value, Vec<Wrong>> {
    let text = scanner::text(bytes).map_err(|fault| vec![Wrong { fault, path: String::new() }])?;
    let mut reader = Reader {
        scanner: Scanner::new(text, limits),
        table: table::r4(),
        limits,
        path: Vec::new(),
        wrong: Vec::new(),
    };
    match reader.document() {
        Ok(value) if reader.wrong.is_empty() => Ok(value),
        Ok(_) => Err(reader.wrong),
        Err(fault) => {
            let path = reader.place();
            reader.wrong.insert(0, Wrong { fault, path });
            Err(reader.wrong)
        }
    }
}

struct Reader<'a> {
    scanner: Scanner<'a>,
    table: &'static Table,
    limits: &'a Limits,
    /// The way to the element that is being read: names, and the number of the item where one repeats.
    path: Vec<(Cow<'static, str>, Option<usize>)>,
    wrong: Vec<Wrong>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Value, Fault> {
        let value = match self.scanner.next()? {
            Token::Start(tag, space) => {
                let name = tag.local_name().as_ref().to_owned();
                if space != Space::Fhir {
                    return Err(self.foreign(&name));
                }
                let known = self.table.resource(&name).map_or("", |shape| shape.name);
                self.path.push((known.into(), None));
                self.resource(&tag, &name)?
            }
            Token::End => return Err(self.scanner.fault("an end tag stands alone")),
            Token::Eof => {
                return Err(self.scanner.fault("the body is empty where a FHIR resource in XML is expected"));
            }
        };
        match self.scanner.next()? {
            Token::Eof => Ok(value),
            Token::Start(..) | Token::End => {
                self.path.clear();
                Err(self.scanner.fault("a second element follows; one resource is expected"))
            }
        }
    }

    fn place(&self) -> String {
        let mut place = String::new();
        for (name, item) in self.path.iter().filter(|(name, _)| !name.is_empty()) {
            if !place.is_empty() {
                place.push('.');
            }
            place.push_str(name);
            if let Some(item) = item {
                // Writing to a String cannot fail.
                let _ = write!(place, "[{item}]");
            }
        }
        place
    }

    /// Notes what does not keep the rest from being read.
    fn say(&mut self, rule: Rule, text: impl Into<String>) {
        if self.wrong.len() < MOST {
            let fault = self.scanner.fault_of(rule, text);
            self.wrong.push(Wrong { fault, path: self.place() });
        }
    }

    fn foreign(&self, name: &str) -> Fault {
        if name == "ClinicalDocument" {
            let text = "a CDA document is no FHIR resource; it travels as the data of a Binary";
            return self.scanner.fault(text);
        }
        let name = shortened(name);
        self.scanner.fault(format!(
            "the element {name} is not in the namespace of FHIR; write xmlns=\"{}\"",
            super::FHIR
        ))
    }

    /// Reads a resource whose start tag has just been read.
    fn resource(&mut self, tag: &BytesStart<'a>, name: &str) -> Result<Value, Fault> {
        let Some(shape) = self.table.resource(name) else {
            let name = shortened(name);
            return Err(self.scanner.fault(format!("{name} is not a resource type of FHIR R4")));
        };
        let attributes = Attributes::read(&mut self.scanner, tag)?;
        if attributes.id.is_some() || attributes.url.is_some() || attributes.value.is_some() {
            return Err(self.scanner.fault("a resource has no attributes; its id is an element"));
        }
        let mut object = Object::default();
        object.members.insert("resourceType".to_owned(), Value::from(shape.name));
        self.elements(shape, &mut object)?;
        Ok(Value::Object(object.finish()))
    }

    /// Reads the elements of an object up to its end tag.
    fn elements(&mut self, shape: &'static Shape, object: &mut Object) -> Result<(), Fault> {
        loop {
            let (tag, space) = match self.scanner.next()? {
                Token::Start(tag, space) => (tag, space),
                Token::End => return Ok(()),
                Token::Eof => return Err(self.scanner.fault("the document ends within an element")),
            };
            let name = tag.local_name();
            let name: &str = name.as_ref();
            let field = shape.field(name);
            let narrative =
                field.is_some_and(|field| matches!(field.kind, Kind::Primitive(Primitive::Xhtml)));
            if space != (if narrative { Space::Xhtml } else { Space::Fhir }) {
                if narrative {
                    let text = format!("a narrative is a div in xmlns=\"{}\"", super::XHTML);
                    return Err(self.scanner.fault(text));
                }
                return Err(self.foreign(name));
            }
            match field.filter(|field| !is_attribute(shape, field)) {
                Some(field) => {
                    let item = object.next_item(field);
                    if item >= self.limits.items {
                        let text = format!("more than {} elements of one name", self.limits.items);
                        return Err(self.scanner.fault_of(Rule::TooCostly, text));
                    }
                    self.path.push((field.name.clone(), field.many.then_some(item)));
                    self.element(shape, field, &tag, object)?;
                }
                None => {
                    self.path.push((shortened(name).into(), None));
                    if !shape.strict {
                        self.say(Rule::Structure, format!("{} has no such element", shape.name));
                    }
                    let value = self.unknown(&tag)?;
                    object.put_unknown(name, value);
                }
            }
            self.path.pop();
        }
    }

    fn element(
        &mut self,
        shape: &'static Shape,
        field: &'static Field,
        tag: &BytesStart<'a>,
        object: &mut Object,
    ) -> Result<(), Fault> {
        if !shape.strict && !field.is_primitive() && object.is_repeated(field) {
            self.say(Rule::Structure, "this element may be given once");
        }
        match &field.kind {
            Kind::Primitive(Primitive::Xhtml) => {
                let text = narrative::read(&mut self.scanner, tag)?;
                object.put(field, Some(Value::String(text)), None);
            }
            Kind::Primitive(primitive) => {
                let (value, sibling) = self.primitive(tag)?;
                let value = value.map(|value| self.typed(*primitive, value, shape.strict));
                object.put(field, value, sibling);
            }
            Kind::Code(_) => {
                let (value, sibling) = self.primitive(tag)?;
                object.put(field, value.map(Value::String), sibling);
            }
            Kind::Shape(index) => {
                let value = self.object(self.table.shape(*index), tag)?;
                if value.is_empty() {
                    self.say(Rule::Structure, "this element is empty; leave it out");
                }
                object.put(field, Some(Value::Object(value)), None);
            }
            Kind::Entry | Kind::Contained => {
                let value = self.inner(tag)?;
                object.put(field, Some(value), None);
            }
        }
        Ok(())
    }

    fn object(&mut self, shape: &'static Shape, tag: &BytesStart<'a>) -> Result<Map<String, Value>, Fault> {
        let attributes = Attributes::read(&mut self.scanner, tag)?;
        if attributes.value.is_some() {
            return Err(self.scanner.fault(format!("{} has no attribute value", shape.name)));
        }
        let mut object = Object::default();
        if let Some(id) = attributes.id {
            object.members.insert("id".to_owned(), Value::String(id));
        }
        match attributes.url {
            Some(url) if shape.name == "Extension" => {
                object.members.insert("url".to_owned(), Value::String(url));
            }
            Some(_) => return Err(self.scanner.fault("only an extension has the attribute url")),
            None => {}
        }
        self.elements(shape, &mut object)?;
        Ok(object.finish())
    }

    /// The value of a primitive, and what else hangs on it.
    fn primitive(&mut self, tag: &BytesStart<'a>) -> Result<(Option<String>, Option<Sibling>), Fault> {
        let attributes = Attributes::read(&mut self.scanner, tag)?;
        if attributes.url.is_some() {
            return Err(self.scanner.fault("only an extension has the attribute url"));
        }
        let mut object = Object::default();
        if let Some(id) = attributes.id {
            object.members.insert("id".to_owned(), Value::String(id));
        }
        self.elements(self.table.element(), &mut object)?;
        let sibling = object.finish();
        if attributes.value.is_none() && sibling.is_empty() {
            self.say(Rule::Structure, "an element has a value or an extension");
        }
        Ok((attributes.value, (!sibling.is_empty()).then_some(sibling)))
    }

    /// A value in the type JSON gives it. What does not fit stays text, which the check of the shapes then refuses; where
    /// there is no such check it is told here.
    fn typed(&mut self, primitive: Primitive, text: String, checked: bool) -> Value {
        let typed = match primitive {
            Primitive::Boolean => match text.trim() {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                _ => None,
            },
            Primitive::Decimal | Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => {
                let number = Some(text.trim()).filter(|digits| digits.len() <= 64);
                number.and_then(|digits| digits.parse::<Number>().ok()).map(Value::Number)
            }
            _ => return Value::String(text),
        };
        if typed.is_none() && !checked {
            let form = if primitive == Primitive::Boolean { "true or false" } else { "a number" };
            self.say(Rule::Value, format!("{form} is expected here"));
        }
        typed.unwrap_or(Value::String(text))
    }

    /// The resource within an element that holds one.
    fn inner(&mut self, tag: &BytesStart<'a>) -> Result<Value, Fault> {
        let attributes = Attributes::read(&mut self.scanner, tag)?;
        if attributes.id.is_some() || attributes.url.is_some() || attributes.value.is_some() {
            return Err(self.scanner.fault("what holds a resource has no attributes"));
        }
        let value = match self.scanner.next()? {
            Token::Start(tag, space) => {
                let name = tag.local_name().as_ref().to_owned();
                if space != Space::Fhir {
                    return Err(self.foreign(&name));
                }
                self.resource(&tag, &name)?
            }
            Token::End | Token::Eof => {
                return Err(self.scanner.fault("a resource is expected in this element"));
            }
        };
        match self.scanner.next()? {
            Token::End => Ok(value),
            Token::Start(..) | Token::Eof => {
                Err(self.scanner.fault("one resource is expected in this element; a second follows"))
            }
        }
    }

    /// What no table knows, as one would guess. It is refused, but together with everything else.
    fn unknown(&mut self, tag: &BytesStart<'a>) -> Result<Value, Fault> {
        let attributes = Attributes::read(&mut self.scanner, tag)?;
        let mut object = Object::default();
        for (name, value) in [("id", attributes.id), ("url", attributes.url)] {
            if let Some(value) = value {
                object.members.insert(name.to_owned(), Value::String(value));
            }
        }
        loop {
            match self.scanner.next()? {
                Token::Start(tag, _) => {
                    let name = tag.local_name().as_ref().to_owned();
                    let value = self.unknown(&tag)?;
                    object.put_unknown(&name, value);
                }
                Token::End => break,
                Token::Eof => return Err(self.scanner.fault("the document ends within an element")),
            }
        }
        match attributes.value {
            Some(value) if object.members.is_empty() => Ok(Value::String(value)),
            _ => Ok(Value::Object(object.finish())),
        }
    }
}

/// Whether XML writes a field as an attribute.
fn is_attribute(shape: &Shape, field: &Field) -> bool {
    !shape.is_resource && (field.name == "id" || (field.name == "url" && shape.name == "Extension"))
}

/// A name of the sender's as it may stand in an answer.
fn shortened(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}
