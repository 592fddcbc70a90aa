//! What can be said on the command line.

use clap::{ArgAction, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::affinity::AffinityVerb;
use crate::config::ConfigVerb;
use crate::doc::DocVerb;
use crate::explain::Explain;
use crate::export::Export;
use crate::folder::FolderVerb;
use crate::output::Format;
use crate::patient::PatientVerb;
use crate::query::QueryVerb;
use crate::raw::RawVerb;
use crate::receiver::ReceiverVerb;
use crate::soap::Via;
use crate::submission::SubmissionVerb;
use crate::task::TaskVerb;

const AFTER: &str = "\
Exit codes: 0 done, 1 other failure, 2 usage, 3 nothing found (for get, and with --fail-empty), 4 rejected (4xx),
5 server (5xx), 6 not authorized, 7 network or TLS, 8 integrity mismatch, 9 partly done, 130 interrupted.

Results go to standard output, everything else to standard error.";

/// Submit, find and retrieve documents of a document sharing domain (IHE MHD and XDS.b).
#[derive(Debug, Parser)]
#[command(name = "docshare", version, after_help = AFTER, max_term_width = 120, propagate_version = false)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// Flags of every verb.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Profile of the configuration file
    #[arg(long, short = 'p', global = true, env = "DOCSHARE_PROFILE", value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Configuration file instead of the user's own
    #[arg(long, global = true, env = "DOCSHARE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<std::path::PathBuf>,
    /// One FHIR base that answers for all actors (a gateway)
    #[arg(long, global = true, env = "DOCSHARE_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
    /// FHIR base of the registry [default: http://127.0.0.1:8081/fhir]
    #[arg(long, global = true, env = "DOCSHARE_REGISTRY", value_name = "URL")]
    pub(crate) registry: Option<String>,
    /// FHIR base of the repository [default: http://127.0.0.1:8082/fhir]
    #[arg(long, global = true, env = "DOCSHARE_REPOSITORY", value_name = "URL")]
    pub(crate) repository: Option<String>,
    /// FHIR base of the patient identity source [default: http://127.0.0.1:8083/fhir]
    #[arg(long, global = true, env = "DOCSHARE_IDENTITY", value_name = "URL")]
    pub(crate) identity: Option<String>,
    /// Which language the actors are spoken to in: submissions, lists and documents may also go over SOAP
    #[arg(long, global = true, env = "DOCSHARE_VIA", value_name = "FACE", default_value = "fhir")]
    pub(crate) via: Via,
    /// Where the registry takes XDS.b [default: /xds/registry beside its FHIR base]
    #[arg(long, global = true, env = "DOCSHARE_XDS_REGISTRY", value_name = "URL")]
    pub(crate) xds_registry: Option<String>,
    /// Where the repository takes XDS.b [default: /xds/repository beside its FHIR base]
    #[arg(long, global = true, env = "DOCSHARE_XDS_REPOSITORY", value_name = "URL")]
    pub(crate) xds_repository: Option<String>,
    /// Certificate authority (PEM) to trust besides those of the system
    #[arg(long, global = true, env = "DOCSHARE_CA", value_name = "FILE")]
    pub(crate) ca: Option<std::path::PathBuf>,
    /// How results are written [default: table on a terminal, else ndjson]
    #[arg(long, short = 'o', global = true, env = "DOCSHARE_OUTPUT", value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
    /// Which fields, in this order
    #[arg(long, global = true, value_delimiter = ',', value_name = "A,B")]
    pub(crate) fields: Option<Vec<String>>,
    /// No heading line (table, csv)
    #[arg(long, global = true)]
    pub(crate) no_headers: bool,
    /// Less on standard error
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// More on standard error: each request, its status and duration
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// No progress bars
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// How progress is told
    #[arg(long, global = true, value_name = "FORM", default_value = "bar")]
    pub(crate) progress: ProgressForm,
    /// Also print each request as a curl command on standard error, secrets replaced
    #[arg(long, global = true)]
    pub(crate) curl: bool,
    /// Exit with 3 if nothing is found
    #[arg(long, global = true)]
    pub(crate) fail_empty: bool,
    /// Do not ask; what cannot be undone needs it where nobody can be asked
    #[arg(long, short = 'y', global = true)]
    pub(crate) yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressForm {
    /// A bar, on a terminal, for what takes over a second.
    Bar,
    /// A JSON object per line on standard error.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Who is who: find, get and feed patients
    #[command(subcommand)]
    Patient(PatientVerb),
    /// Documents: list, get, submit, replace and verify
    #[command(subcommand)]
    Doc(DocVerb),
    /// Folders: list, get, create, add documents
    #[command(subcommand)]
    Folder(FolderVerb),
    /// Submission sets: what was sent together
    #[command(subcommand)]
    Submission(SubmissionVerb),
    /// The codes a document sharing domain has agreed on
    #[command(subcommand)]
    Affinity(AffinityVerb),
    /// What an error code means
    Explain(Explain),
    /// Submissions that are made later, and what became of them
    #[command(subcommand)]
    Task(TaskVerb),
    /// Export what the registry has, as NDJSON files
    Export(Export),
    /// Who the identity source tells of patients: what waits, what was refused
    #[command(subcommand)]
    Receiver(ReceiverVerb),
    /// Whether the actors are there and ready
    Status,
    /// Stored queries of XDS.b: list, describe, run
    #[command(subcommand)]
    Query(QueryVerb),
    /// Requests as they are: answer bytes go to standard output
    #[command(subcommand)]
    Raw(RawVerb),
    /// The configuration of this program
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// The version of this program
    Version,
}

/// The completion script of a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "docshare", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
