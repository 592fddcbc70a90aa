//! Progress of what takes a while: a bar on a terminal after a second, or JSON lines for wrappers.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::arguments::{Global, ProgressForm};

/// Nothing is shown of what is over before this.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two JSON lines.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy)]
enum Form {
    None,
    Bar,
    Json,
}

/// How progress is told in this run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    form: Form,
}

impl Progress {
    pub(crate) fn new(global: &Global) -> Progress {
        let form = match global.progress {
            _ if global.no_progress => Form::None,
            ProgressForm::Json => Form::Json,
            ProgressForm::Bar if global.quiet || !std::io::stderr().is_terminal() => Form::None,
            ProgressForm::Bar => Form::Bar,
        };
        Progress { form }
    }

    /// Begins a transfer.
    pub(crate) fn bytes(&self, what: &'static str, total: Option<u64>) -> Transfer {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = match total {
            Some(_) => "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            None => "{msg} {spinner} {bytes} {bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        let state = State { form: self.form, bar, what, total, done: 0, started: Instant::now(), told: None };
        Transfer(Arc::new(Mutex::new(state)))
    }
}

struct State {
    form: Form,
    bar: ProgressBar,
    what: &'static str,
    total: Option<u64>,
    done: u64,
    started: Instant,
    told: Option<Instant>,
}

/// One transfer under way. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Transfer(Arc<Mutex<State>>);

impl std::fmt::Debug for Transfer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Transfer")
    }
}

impl Transfer {
    /// More bytes have passed.
    pub(crate) fn passed(&self, bytes: u64) {
        let Ok(mut state) = self.0.lock() else { return };
        state.done += bytes;
        state.bar.inc(bytes);
        match state.form {
            Form::None => {}
            Form::Bar if state.told.is_none() && state.started.elapsed() >= PATIENCE => {
                state.bar.set_draw_target(ProgressDrawTarget::stderr());
                state.told = Some(Instant::now());
            }
            Form::Bar => {}
            Form::Json if state.told.is_none_or(|told| told.elapsed() >= PAUSE) => {
                state.line("progress");
                state.told = Some(Instant::now());
            }
            Form::Json => {}
        }
    }

    /// Begins again: the transfer is repeated.
    pub(crate) fn again(&self) {
        if let Ok(mut state) = self.0.lock() {
            state.done = 0;
            state.bar.set_position(0);
        }
    }

    /// It is over.
    pub(crate) fn end(&self) {
        let Ok(state) = self.0.lock() else { return };
        if matches!(state.form, Form::Json) {
            state.line("end");
        }
        state.bar.finish_and_clear();
    }
}

impl State {
    fn line(&self, event: &str) {
        let line = serde_json::json!({
            "event": event, "what": self.what, "bytes": self.done, "total": self.total,
            "elapsed_ms": u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// A transfer nobody watches, for tests of other files.
#[cfg(test)]
pub(crate) fn tests_transfer() -> Transfer {
    Progress { form: Form::None }.bytes("test", None)
}
