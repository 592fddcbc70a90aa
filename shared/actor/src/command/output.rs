//! How a verb prints.

use crate::report::Report;

/// The form of what is printed on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Output {
    /// For reading.
    #[default]
    Text,
    /// One JSON object, its names stable.
    Json,
}

impl Output {
    /// Prints what there is to say in the form asked for.
    pub(crate) fn print(self, json: &serde_json::Value, text: impl FnOnce() -> String) {
        match self {
            Output::Json => println!("{json:#}"),
            Output::Text => print!("{}", text()),
        }
    }

    /// Prints a report; answers the exit code.
    pub(crate) fn report(self, report: &Report) -> u8 {
        self.print(&report.json(), || report.text());
        report.code()
    }
}
