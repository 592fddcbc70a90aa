//! Kills actors during a storm of submissions, for as long as wanted.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tests::storm::{Storm, run};

/// Runs a storm; the last line counts what held.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// At most so many kills.
    #[arg(long, default_value_t = usize::MAX)]
    kills: usize,
    /// Where the random moments come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Senders at once.
    #[arg(long, default_value_t = 4)]
    senders: usize,
    /// `redb` or `sled`.
    #[arg(long, default_value = "redb")]
    index: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let storm = Storm {
        index: arguments.index,
        kills: arguments.kills,
        within: Duration::from_secs(arguments.minutes * 60),
        senders: arguments.senders,
        seed: arguments.seed,
        progress: true,
    };
    println!("seed {}", storm.seed);
    match run(&storm) {
        Ok(weather) => {
            println!(
                "{} kills, {} submissions acknowledged, {} requests sent again, slowest start {:?}: all found, bytes equal",
                weather.kills, weather.acknowledged, weather.retried, weather.slowest_start
            );
            println!("1 passed, 0 failed, 0 skipped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED   storm with seed {}: {error:#}", storm.seed);
            println!("0 passed, 1 failed, 0 skipped");
            ExitCode::FAILURE
        }
    }
}
