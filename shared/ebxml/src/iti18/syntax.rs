//! How values of stored queries are written (ITI TF-2 3.18.4.1.2.3.5): `'text'`, with quotes within doubled; lists in
//! parentheses; numbers and times bare.

use xds::query::{Means, Parameter, Takes};

/// Bytes of a list that are written into one `Value`, which ebRIM holds to 256 characters in older registries.
const VALUE_BYTES: usize = 4096;

/// Why a value could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A quote is not closed.
    #[error("a quote is not closed; a quote within a text is doubled: 'Children''s'")]
    Quote,
    /// A parenthesis is not closed.
    #[error("a parenthesis is not closed; lists are written ('a','b')")]
    Parenthesis,
    /// Something stands where a comma or the end belongs.
    #[error("something stands behind a value; values are written 'a', lists ('a','b')")]
    Behind,
}

/// Reads one `Value` and adds what it says.
pub(super) fn read(text: &str, into: &mut Vec<String>) -> Result<(), Wrong> {
    let text = text.trim();
    let Some(rest) = text.strip_prefix('(') else {
        // A single text without quotes is what it is, commas included.
        if !text.starts_with(['\'', '"']) {
            into.extend((!text.is_empty()).then(|| text.to_owned()));
            return Ok(());
        }
        return match list(text, into)? {
            "" => Ok(()),
            _ => Err(Wrong::Behind),
        };
    };
    let rest = list(rest, into)?;
    match rest.strip_prefix(')') {
        Some(rest) if rest.trim().is_empty() => Ok(()),
        Some(_) => Err(Wrong::Behind),
        None if rest.is_empty() => Err(Wrong::Parenthesis),
        None => Err(Wrong::Behind),
    }
}

/// Reads values with commas in between; answers what follows them.
fn list<'a>(text: &'a str, into: &mut Vec<String>) -> Result<&'a str, Wrong> {
    let mut rest = text.trim_start();
    loop {
        rest = match rest.chars().next() {
            Some(quote @ ('\'' | '"')) => quoted(&rest[1..], quote, into)?,
            _ => bare(rest, into),
        };
        rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => return Ok(rest),
        }
    }
}

fn quoted<'a>(text: &'a str, quote: char, into: &mut Vec<String>) -> Result<&'a str, Wrong> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(quote).ok_or(Wrong::Quote)?;
        value.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix(quote) {
            Some(doubled) => {
                value.push(quote);
                rest = doubled;
            }
            None => {
                into.push(value);
                return Ok(rest);
            }
        }
    }
}

/// A value without quotes ends where the next one begins, or the list ends.
fn bare<'a>(text: &'a str, into: &mut Vec<String>) -> &'a str {
    let end = text.find([',', ')']).unwrap_or(text.len());
    let value = text[..end].trim_end();
    into.extend((!value.is_empty()).then(|| value.to_owned()));
    &text[end..]
}

/// Writes values as a parameter takes them; of a parameter nobody knows as a list of texts.
pub(super) fn write(parameter: Option<&Parameter>, values: &[String]) -> Vec<String> {
    let bare = parameter
        .is_some_and(|known| matches!(known.means, Means::From(_) | Means::To(_) | Means::MetadataLevel));
    let one = parameter.is_some_and(|known| known.takes == Takes::One);
    let written = |value: &String| {
        if bare { value.clone() } else { format!("'{}'", value.replace('\'', "''")) }
    };
    if one {
        return values.iter().map(written).collect();
    }
    let mut lists: Vec<String> = Vec::new();
    for value in values.iter().map(written) {
        match lists.last_mut() {
            Some(list) if list.len() + value.len() < VALUE_BYTES => {
                list.push(',');
                list.push_str(&value);
            }
            _ => lists.push(format!("({value}")),
        }
    }
    lists.iter_mut().for_each(|list| list.push(')'));
    lists
}
