//! The part of XPath 1.0 that the assertions of the toolkit are written in: paths from the root with predicates, comparisons,
//! `count`, `string`, `substring`, `local-name`, `and`.

use anyhow::{Context as _, Result, bail, ensure};

use crate::markup::Element;

/// Whether an expression holds for a document.
pub fn holds(document: &Element, expression: &str) -> Result<bool> {
    let tokens = tokens(expression)?;
    let mut parser = Parser { tokens: &tokens, at: 0 };
    let value = parser.either(&Place { root: document, element: None, position: 0 })?;
    ensure!(parser.at == tokens.len(), "the rest of {expression} is not understood");
    Ok(value.truth())
}

/// Where an expression is judged.
struct Place<'a> {
    root: &'a Element,
    /// None: at the root, above the first element.
    element: Option<&'a Element>,
    /// From one, among those the step selected below the same parent.
    position: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Literal(String),
    Number(f64),
    Name(String),
    Sign(&'static str),
}

const SIGNS: [&str; 14] = ["//", "!=", "/", "[", "]", "(", ")", "@", "=", "<", ">", ",", "*", "."];

fn tokens(expression: &str) -> Result<Vec<Token>> {
    let (mut rest, mut tokens) = (expression.trim_start(), Vec::new());
    while let Some(first) = rest.chars().next() {
        let taken = if first == '\'' || first == '"' {
            let end = rest[1..].find(first).context("a literal ends")?;
            tokens.push(Token::Literal(rest[1..=end].to_owned()));
            end + 2
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            tokens.push(Token::Number(rest[..end].parse()?));
            end
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            sign.len()
        } else {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').unwrap_or(rest.len());
            ensure!(end > 0, "{rest} is not understood");
            tokens.push(Token::Name(rest[..end].to_owned()));
            end
        };
        rest = rest[taken..].trim_start();
    }
    Ok(tokens)
}

enum Value<'a> {
    Elements(Vec<&'a Element>),
    /// Attributes, by their values.
    Strings(Vec<String>),
    Text(String),
    Number(f64),
    Truth(bool),
}

impl Value<'_> {
    fn truth(&self) -> bool {
        match self {
            Value::Elements(found) => !found.is_empty(),
            Value::Strings(found) => !found.is_empty(),
            Value::Text(text) => !text.is_empty(),
            Value::Number(number) => *number != 0.0,
            Value::Truth(truth) => *truth,
        }
    }

    fn strings(&self) -> Vec<String> {
        match self {
            Value::Elements(found) => found.iter().map(|element| element.text()).collect(),
            Value::Strings(found) => found.clone(),
            Value::Text(text) => vec![text.clone()],
            Value::Number(number) => vec![number.to_string()],
            Value::Truth(truth) => vec![truth.to_string()],
        }
    }

    fn string(&self) -> String {
        self.strings().into_iter().next().unwrap_or_default()
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Sign(given)) if *given == sign);
        self.at += usize::from(is);
        is
    }

    fn needs(&mut self, sign: &str) -> Result<()> {
        ensure!(self.takes(sign), "{sign} is expected, not {:?}", self.peek());
        Ok(())
    }

    fn either<'a>(&mut self, place: &Place<'a>) -> Result<Value<'a>> {
        let mut value = self.comparison(place)?;
        while matches!(self.peek(), Some(Token::Name(name)) if name == "and") {
            self.at += 1;
            let other = self.comparison(place)?;
            value = Value::Truth(value.truth() && other.truth());
        }
        Ok(value)
    }

    fn comparison<'a>(&mut self, place: &Place<'a>) -> Result<Value<'a>> {
        let left = self.operand(place)?;
        let Some(sign) = ["=", "!=", "<", ">"].into_iter().find(|sign| self.takes(sign)) else {
            return Ok(left);
        };
        let right = self.operand(place)?;
        Ok(Value::Truth(compare(&left, sign, &right)))
    }

    fn operand<'a>(&mut self, place: &Place<'a>) -> Result<Value<'a>> {
        let value = match self.peek().cloned() {
            Some(Token::Literal(text)) => Value::Text(text),
            Some(Token::Number(number)) => Value::Number(number),
            Some(Token::Name(name)) if self.tokens.get(self.at + 1) == Some(&Token::Sign("(")) => {
                self.at += 2;
                return self.function(&name, place);
            }
            _ => return self.path(place),
        };
        self.at += 1;
        Ok(value)
    }

    fn function<'a>(&mut self, name: &str, place: &Place<'a>) -> Result<Value<'a>> {
        let mut given = Vec::new();
        while !self.takes(")") {
            given.push(self.either(place)?);
            self.takes(",");
        }
        let number = |at: usize| -> Result<usize> {
            let text = given.get(at).context("an argument is missing")?.string();
            Ok(text.parse()?)
        };
        Ok(match (name, given.first()) {
            ("local-name", None) => {
                Value::Text(place.element.map(Element::local).unwrap_or_default().to_owned())
            }
            ("count", Some(found)) => {
                Value::Number(f64::from(u32::try_from(found.strings().len()).unwrap_or(u32::MAX)))
            }
            ("string", Some(found)) => Value::Text(found.string()),
            ("substring", Some(found)) => {
                let (from, length) = (number(1)?, number(2)?);
                Value::Text(found.string().chars().skip(from.saturating_sub(1)).take(length).collect())
            }
            _ => bail!("the function {name} is not known here"),
        })
    }

    fn path<'a>(&mut self, place: &Place<'a>) -> Result<Value<'a>> {
        let relative = matches!(self.peek(), Some(Token::Sign("@")));
        let mut found: Vec<Option<&'a Element>> = vec![if relative { place.element } else { None }];
        loop {
            if self.takes("@") {
                let name = self.name()?;
                let values = found.iter().flatten().filter_map(|element| element.attribute(&name));
                return Ok(Value::Strings(values.map(str::to_owned).collect()));
            }
            let deep = self.takes("//");
            if !deep && !self.takes("/") {
                return Ok(Value::Elements(found.into_iter().flatten().collect()));
            }
            if !deep && matches!(self.peek(), Some(Token::Sign("@"))) {
                continue;
            }
            found = self.step(place.root, &found, deep)?;
        }
    }

    fn name(&mut self) -> Result<String> {
        let Some(Token::Name(name)) = self.peek().cloned() else {
            bail!("a name is expected, not {:?}", self.peek())
        };
        self.at += 1;
        Ok(name)
    }

    /// One step: a name or `*`, with its predicates; each is judged among the children of one parent.
    fn step<'a>(
        &mut self,
        root: &'a Element,
        from: &[Option<&'a Element>],
        deep: bool,
    ) -> Result<Vec<Option<&'a Element>>> {
        let wanted = if self.takes("*") { None } else { Some(self.name()?) };
        let mut parents: Vec<Option<&'a Element>> = Vec::new();
        for start in from {
            match (deep, *start) {
                (false, start) => parents.push(start),
                (true, None) => {
                    parents.push(None);
                    parents.extend(root.all().into_iter().map(Some));
                }
                (true, Some(element)) => parents.extend(element.all().into_iter().map(Some)),
            }
        }
        let begin = self.at;
        let mut selected = Vec::new();
        let mut end = begin;
        // Also without a parent the predicates have to be passed over.
        if parents.is_empty() {
            end = self.predicates(root, &mut Vec::new())?;
        }
        for parent in parents {
            self.at = begin;
            let mut children: Vec<&'a Element> = match parent {
                None => vec![root],
                Some(element) => element.elements().collect(),
            };
            children.retain(|child| wanted.as_ref().is_none_or(|name| child.local() == name));
            end = self.predicates(root, &mut children)?;
            selected.extend(children.into_iter().map(Some));
        }
        self.at = end;
        Ok(selected)
    }

    fn predicates<'a>(&mut self, root: &'a Element, children: &mut Vec<&'a Element>) -> Result<usize> {
        while self.takes("[") {
            let begin = self.at;
            let mut kept = Vec::new();
            for (index, child) in children.iter().enumerate() {
                self.at = begin;
                let place = Place { root, element: Some(child), position: index + 1 };
                let holds = match self.either(&place)? {
                    Value::Number(number) => number == f64::from(u32::try_from(place.position)?),
                    other => other.truth(),
                };
                if holds {
                    kept.push(*child);
                }
            }
            if children.is_empty() {
                self.at = begin;
                self.skip()?;
            }
            *children = kept;
            self.needs("]")?;
        }
        Ok(self.at)
    }

    /// Passes over a predicate nobody is there to be judged by.
    fn skip(&mut self) -> Result<()> {
        let mut depth = 0_usize;
        while let Some(token) = self.peek() {
            match token {
                Token::Sign("[") => depth += 1,
                Token::Sign("]") if depth == 0 => return Ok(()),
                Token::Sign("]") => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
        bail!("a predicate ends")
    }
}

/// Sets are compared as XPath does: one pair that fits is enough.
fn compare(left: &Value<'_>, sign: &str, right: &Value<'_>) -> bool {
    let numeric = matches!((left, right), (Value::Number(_), _) | (_, Value::Number(_)));
    let (left, right) = (left.strings(), right.strings());
    left.iter().any(|left| {
        right.iter().any(|right| match (sign, left.trim().parse::<f64>(), right.trim().parse::<f64>()) {
            ("<", Ok(left), Ok(right)) => left < right,
            (">", Ok(left), Ok(right)) => left > right,
            ("<" | ">", ..) => false,
            ("=", Ok(left), Ok(right)) if numeric => left == right,
            ("!=", Ok(left), Ok(right)) if numeric => left != right,
            ("=", ..) => left == right,
            _ => left != right,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_the_toolkit_are_judged() {
        let document = b"<q:a xmlns:q='urn:q'><q:o id='1' lid='1' status='ok'><v n='2'>20240506</v></q:o><q:o id='2' lid='1'/></q:a>";
        let document = Element::parse(document).expect("sound");
        for (expression, expected) in [
            ("//*[local-name()='o']/@status = 'ok'", true),
            ("//*[local-name()='o']/@status = 'no'", false),
            ("count(//*[local-name()='o'][@lid=\"1\"]) = 2", true),
            ("count(//*[local-name()='o'][@lid=\"1\" and @status='ok']) = '1'", true),
            ("count(//*[local-name()='o']/*[local-name()='v'][@n = 2]) = 1", true),
            ("count(//*[local-name()='x']/*[local-name()='v'][@n = 2]) = 0", true),
            ("'1' != //*[local-name()='o'][@id='2']/@lid", false),
            ("//*[local-name()='o']/@id != //*[local-name()='o']/@lid", true),
            ("string(//*[local-name()='o'][2]/@id) = \"2\"", true),
            ("substring(//*[local-name()='v'],1,4) = \"2024\"", true),
            ("substring(\"20240506\",1,8) = \"20240506\"", true),
            ("'20240506' < '20240507'", true),
            ("'20240507' < '20240507'", false),
            ("//*[local-name()='o']//*[local-name()='v'] = '20240506'", true),
        ] {
            assert_eq!(holds(&document, expression).expect(expression), expected, "{expression}");
        }
        assert!(holds(&document, "sum(//*) = 1").is_err());
    }
}
