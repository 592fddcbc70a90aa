//! Results on standard output: the same rows as a table, JSON, CSV, ids, or the server's own bytes.

use std::io::{IsTerminal, Write};

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::arguments::Global;
use crate::exit::{Exit, Failure};
use crate::sanitize;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people
    Table,
    /// One JSON array
    Json,
    /// One JSON object per line
    Ndjson,
    /// The FHIR resources as the server sent them
    Fhir,
    /// The SOAP message as the server sent it (`--via soap`, `query`)
    Xml,
    /// Comma separated values
    Csv,
    /// Only the ids, one per line
    Id,
}

/// The fields a verb can tell, the first being the id; `shown` in a table unless `--fields` says otherwise.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) shown: bool,
}

/// Columns whose words are copied or compared, and therefore never broken into lines.
const NARROW: &[&str] =
    &["id", "date", "creation", "birthDate", "size", "status", "active", "members", "replayed"];

/// A column that a table shows.
pub(crate) const fn shown(name: &'static str) -> Column {
    Column { name, shown: true }
}

/// A column a table shows only when asked.
pub(crate) const fn hidden(name: &'static str) -> Column {
    Column { name, shown: false }
}

/// One result.
pub(crate) type Row = Map<String, Value>;

/// The way out.
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) quiet: bool,
    pub(crate) fail_empty: bool,
    fields: Option<Vec<String>>,
    headers: bool,
    /// Whether a person reads the results as they come.
    pub(crate) terminal: bool,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Output {
        let terminal = std::io::stdout().is_terminal();
        Output {
            format: global.output.unwrap_or(if terminal { Format::Table } else { Format::Ndjson }),
            quiet: global.quiet,
            fail_empty: global.fail_empty,
            fields: global.fields.clone(),
            headers: !global.no_headers,
            terminal,
        }
    }

    /// Begins a list of rows of these columns.
    pub(crate) fn list(&self, columns: &[Column]) -> Result<Listing<'_>, Failure> {
        let wide = matches!(self.format, Format::Json | Format::Ndjson | Format::Csv);
        let names = match &self.fields {
            None => columns.iter().filter(|c| wide || c.shown).map(|c| c.name.to_owned()).collect(),
            Some(fields) => {
                if let Some(unknown) = fields.iter().find(|f| !columns.iter().any(|c| c.name == **f)) {
                    let known: Vec<&str> = columns.iter().map(|c| c.name).collect();
                    return Err(Failure::usage(format!(
                        "there is no field {unknown:?} here; there are: {}",
                        known.join(", ")
                    )));
                }
                fields.clone()
            }
        };
        let id = columns.first().map(|column| column.name.to_owned()).unwrap_or_default();
        Ok(Listing { output: self, names, id, table: Vec::new(), count: 0, open: true })
    }

    /// Words for people beside the result.
    pub(crate) fn remark(&self, words: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{}", sanitize::line(words));
        }
    }

    /// The server's bytes: as they are into a file or pipe, harmless on a terminal.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        match std::str::from_utf8(bytes) {
            Ok(text) if self.terminal => {
                let text = sanitize::json(text);
                write(text.as_bytes())?;
                if text.ends_with('\n') { Ok(()) } else { write(b"\n") }
            }
            Err(_) if self.terminal => Err(Failure::usage("this is no text, and a terminal would obey it")
                .next("send it to a file or a pipe")),
            _ => write(bytes),
        }
    }
}

/// Rows on their way out.
pub(crate) struct Listing<'a> {
    output: &'a Output,
    names: Vec<String>,
    id: String,
    table: Vec<Vec<String>>,
    count: usize,
    /// Not ended yet.
    open: bool,
}

impl Listing<'_> {
    /// Whether rows are wanted at all, or the server's bytes instead.
    pub(crate) fn wants_bytes(&self) -> bool {
        matches!(self.output.format, Format::Fhir | Format::Xml)
    }

    /// The server's bytes of a page or resource.
    pub(crate) fn page(&mut self, bytes: &[u8], results: usize) -> Result<(), Failure> {
        self.count += results;
        self.output.bytes(bytes)?;
        if self.output.terminal || bytes.ends_with(b"\n") { Ok(()) } else { write(b"\n") }
    }

    /// One result.
    pub(crate) fn push(&mut self, row: &Row) -> Result<(), Failure> {
        let first = self.count == 0;
        self.count += 1;
        match self.output.format {
            Format::Table => {
                self.table.push(self.cells(row).iter().map(|cell| sanitize::line(cell)).collect());
                Ok(())
            }
            Format::Json => {
                write(format!("{}{}", if first { "[" } else { ",\n " }, self.object(row)).as_bytes())
            }
            Format::Ndjson => write(format!("{}\n", self.object(row)).as_bytes()),
            Format::Csv => {
                if first && self.output.headers {
                    write(format!("{}\r\n", self.names.join(",")).as_bytes())?;
                }
                let cells: Vec<String> =
                    self.cells(row).iter().map(|cell| csv(&sanitize::line(cell))).collect();
                write(format!("{}\r\n", cells.join(",")).as_bytes())
            }
            Format::Id => write(format!("{}\n", sanitize::line(&words(row.get(&self.id)))).as_bytes()),
            Format::Fhir | Format::Xml => Ok(()),
        }
    }

    /// Ends the list: done, or nothing found where that is asked to count.
    pub(crate) fn finish(mut self) -> Result<Exit, Failure> {
        self.open = false;
        match self.output.format {
            Format::Json if self.count == 0 => write(b"[]\n")?,
            Format::Json => write(b"]\n")?,
            Format::Table if !self.table.is_empty() => write(self.drawn().as_bytes())?,
            Format::Table => self.output.remark("nothing found"),
            _ => {}
        }
        if self.count == 0 && self.output.fail_empty {
            return Ok(Exit::NothingFound);
        }
        Ok(Exit::Done)
    }

    fn cells(&self, row: &Row) -> Vec<String> {
        self.names.iter().map(|name| words(row.get(name))).collect()
    }

    fn object(&self, row: &Row) -> String {
        let chosen: Map<String, Value> = self
            .names
            .iter()
            .map(|name| (name.clone(), row.get(name).cloned().unwrap_or(Value::Null)))
            .collect();
        sanitize::json(&Value::Object(chosen).to_string())
    }

    fn drawn(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        let dynamic = comfy_table::ContentArrangement::Dynamic;
        table.set_content_arrangement(if self.output.terminal {
            dynamic
        } else {
            comfy_table::ContentArrangement::Disabled
        });
        if self.output.headers {
            table.set_header(self.names.iter().map(|name| name.to_uppercase()));
        }
        table.add_rows(&self.table);
        for (number, name) in self.names.iter().enumerate() {
            if NARROW.contains(&name.as_str())
                && let Some(column) = table.column_mut(number)
            {
                column.set_constraint(comfy_table::ColumnConstraint::ContentWidth);
            }
        }
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        format!("{}\n", lines.join("\n"))
    }
}

impl Drop for Listing<'_> {
    /// What was written before a failure stays JSON.
    fn drop(&mut self) {
        if self.open && self.count > 0 && self.output.format == Format::Json {
            let _ = write(b"]\n");
        }
    }
}

/// A value as words.
fn words(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => {
            values.iter().map(|value| words(Some(value))).collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    }
}

fn csv(cell: &str) -> String {
    if cell.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// Writes a text of our own.
pub(crate) fn text(text: &str) -> Result<Exit, Failure> {
    write(text.as_bytes()).map(|()| Exit::Done)
}

/// Writes to standard output. Who closed the pipe has read enough: that ends the program, but is not a failure.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::other(format!("writing to standard output: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_reads_as_words() {
        assert_eq!(words(Some(&json!(["a", 1, null]))), "a, 1, ");
        assert_eq!(words(Some(&Value::Null)), "");
    }

    #[test]
    fn a_comma_is_quoted_in_csv() {
        assert_eq!(csv("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(csv("plain"), "plain");
    }
}
