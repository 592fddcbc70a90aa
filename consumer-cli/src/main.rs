//! `docshare`: submit, find and retrieve documents from a command line.

fn main() -> std::process::ExitCode {
    consumer_cli::main()
}
