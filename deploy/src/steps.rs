//! What is going on, for whoever watches: silent for a second, then a word, and how long it took.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Nothing is said of what is over before this.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two words where there is no terminal.
const PAUSE: Duration = Duration::from_secs(10);

/// The steps of this run, told on standard error.
pub(crate) struct Steps {
    terminal: bool,
}

impl Steps {
    pub(crate) fn new() -> Steps {
        Steps { terminal: std::io::stderr().is_terminal() }
    }

    /// Does one step, telling of it while it lasts, and when it is done.
    pub(crate) async fn step<T, E>(
        &self,
        what: &str,
        doing: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.done(what, async {
            tokio::select! {
                biased;
                ended = doing => ended,
                never = self.tell(what) => match never {},
            }
        })
        .await
    }

    /// Does one step that tells of itself, and says when it is done.
    pub(crate) async fn done<T, E>(
        &self,
        what: &str,
        doing: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let started = Instant::now();
        let ended = doing.await;
        let mark = if ended.is_ok() { "ok  " } else { "FAIL" };
        eprintln!("{mark} {what} ({:.1} s)", started.elapsed().as_secs_f64());
        ended
    }

    async fn tell(&self, what: &str) -> std::convert::Infallible {
        tokio::time::sleep(PATIENCE).await;
        if self.terminal {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner}    {msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            // Dropped with this future, which clears the line.
            let _clears = Clears(bar);
            std::future::pending().await
        }
        loop {
            eprintln!("...  {what}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

struct Clears(ProgressBar);

impl Drop for Clears {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
