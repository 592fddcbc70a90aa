//! `docshare-region`: a whole affinity domain on one machine, each actor its own process.

fn main() -> std::process::ExitCode {
    region::main()
}
