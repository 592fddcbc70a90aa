//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// A whole affinity domain on one machine: registry, repository and patient identity source, each its own process.
#[derive(Debug, Parser)]
#[command(name = "docshare-region", version, max_term_width = 120)]
pub(crate) struct Arguments {
    /// Folder of data, configuration and logs
    #[arg(long, value_name = "DIR", default_value = "./docshare-data")]
    pub(crate) dir: PathBuf,
    /// The actors listen on N+1, N+2, N+3, their admin ports are N+11, N+12, N+13, HL7 v2 is N+21 [default: that of the folder, or 8080]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=65_522))]
    pub(crate) base_port: Option<u16>,
    /// Index of the journals
    #[arg(long, value_enum, default_value = "redb")]
    pub(crate) index: Index,
    /// Do all that, then stop; status 0 only if every step held
    #[arg(long)]
    pub(crate) exit: bool,
    /// No sample patients and documents
    #[arg(long)]
    pub(crate) no_samples: bool,
    #[command(subcommand)]
    pub(crate) hidden: Option<Hidden>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Index {
    Redb,
    Sled,
}

impl Index {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Index::Redb => "redb",
            Index::Sled => "sled",
        }
    }
}

/// What this program says to itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Hidden {
    /// Become a program that ends when its parent does
    #[command(hide = true)]
    Guard {
        parent: i32,
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<std::ffi::OsString>,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
        let defaults = Arguments::parse_from(["docshare-region"]);
        assert_eq!((defaults.base_port, defaults.index), (None, Index::Redb));
    }
}
