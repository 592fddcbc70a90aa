//! What an error code means, and the pages about all of them.

use std::path::{Path, PathBuf};

use clap::Args;
use fhir::outcome;

use crate::exit::{self, Exit, Failure};
use crate::output;

/// What an error code means, what usually causes it, and what to do
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The code, as an outcome or this program told it, e.g. code-invalid or XDSUnknownPatientId; none: all of them
    code: Option<String>,
    /// Write a page for each code into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "code")]
    write: Option<PathBuf>,
}

pub(crate) fn run(explain: &Explain) -> Result<Exit, Failure> {
    match (&explain.code, &explain.write) {
        (_, Some(folder)) => write(folder).map_err(|error| exit::file("writing", folder, &error)),
        (None, None) => output::text(&outcome::index()),
        (Some(code), None) => output::text(&pages(code)?),
    }
}

/// The page of a code of ours, or those of the rules that are told under a code of XDS.
fn pages(code: &str) -> Result<String, Failure> {
    if let Some(page) = outcome::page(code) {
        return Ok(page);
    }
    let of_xds = |rule: &&xds::Rule| {
        [xds::Side::Registry, xds::Side::Repository].iter().any(|side| rule.xds_code(*side) == Some(code))
    };
    let pages: Vec<String> =
        xds::Rule::ALL.iter().filter(of_xds).filter_map(|rule| outcome::page(rule.row().code)).collect();
    if pages.is_empty() {
        return Err(Failure::usage(format!("{code} is no code of ours"))
            .next("`docshare explain` without a code lists them all"));
    }
    Ok(pages.join("\n"))
}

/// All pages and their index; pages of codes that are no more are taken away.
fn write(folder: &Path) -> std::io::Result<Exit> {
    std::fs::create_dir_all(folder)?;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_page = path.extension().is_some_and(|end| end == "md") && name != "README";
        if is_page && outcome::page(&name).is_none() {
            std::fs::remove_file(&path)?;
        }
    }
    for code in outcome::codes() {
        let page = outcome::page(code).unwrap_or_default();
        std::fs::write(folder.join(format!("{code}.md")), page)?;
    }
    std::fs::write(folder.join("README.md"), outcome::index())?;
    Ok(Exit::Done)
}
