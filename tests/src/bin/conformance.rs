//! Judges three actors over the wire; without URLs it starts a region of its own and judges that.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use tests::conformance::{Options, Subject, page, run};
use tests::corpus;

/// Runs the conformance cases; the last line counts them.
#[derive(Debug, Parser)]
struct Arguments {
    /// FHIR base of the Document Registry.
    #[arg(long)]
    registry: Option<String>,
    /// FHIR base of the Document Repository.
    #[arg(long)]
    repository: Option<String>,
    /// FHIR base of the Patient Identity Source.
    #[arg(long)]
    identity: Option<String>,
    /// Index of the own region: redb or sled.
    #[arg(long, default_value = "redb")]
    index: String,
    /// Folder with the foreign corpus, the catalogue of bad input and the examples of the guides
    /// [default: ../shared/data, if it is there].
    #[arg(long, env = "DOCSHARE_CORPUS")]
    data: Option<PathBuf>,
    /// Only cases whose name begins like this.
    #[arg(long, default_value = "")]
    filter: String,
    /// Writes the tables of the requirements of MHD and XDS.b to this file, with what became of the cases that show them.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Prints the report as JSON instead of lines.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match judge(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

fn judge(arguments: &Arguments) -> Result<bool> {
    let subject = match (&arguments.registry, &arguments.repository, &arguments.identity) {
        (Some(registry), Some(repository), Some(identity)) => {
            Subject::elsewhere(registry, repository, identity)
        }
        (None, None, None) => Subject::own(&arguments.index)?,
        _ => bail!("give all three of --registry, --repository and --identity, or none"),
    };
    let data = corpus::folder(arguments.data.clone(), Path::new("."));
    if data.is_none() {
        eprintln!("the foreign corpus is not here: only the own cases run");
    }
    let options = Options { data, filter: arguments.filter.clone(), progress: !arguments.json };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let report = runtime.block_on(run(subject, &options))?;
    if let Some(path) = &arguments.write {
        std::fs::write(path, page(&report)?).with_context(|| format!("writing {}", path.display()))?;
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.summary());
    }
    Ok(report.counts().1 == 0)
}
