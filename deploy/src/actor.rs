//! The actors as processes: started, watched, ended.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::plan::{Actor, Plan};
use crate::steps::Steps;
use crate::wire;
use crate::{Outcome, compile};

/// Until an actor must be ready; replaying a long journal takes its time.
const READY: Duration = Duration::from_secs(300);
/// Between two questions whether it is.
const PULSE: Duration = Duration::from_millis(50);
/// Until an actor that was asked to end is made to.
const GRACE: Duration = Duration::from_secs(40);
/// Lines of a log that are shown when its actor died.
const TAIL: usize = 20;

/// One running actor.
struct Process {
    name: &'static str,
    child: Child,
    log: std::path::PathBuf,
}

/// All that run.
#[derive(Default)]
pub(crate) struct Running(Vec<Process>);

impl Running {
    /// Starts all, and waits until each is ready.
    pub(crate) async fn start(&mut self, plan: &Plan, steps: &Steps) -> Outcome<()> {
        plan.write()?;
        for actor in plan.actors() {
            self.0.push(spawn(plan, actor)?);
        }
        for actor in plan.actors() {
            steps
                .step(&format!("start the {} on port {}", actor.name, actor.port), self.ready(actor))
                .await?;
        }
        Ok(())
    }

    /// Waits until an actor says it is ready, or one of them ends.
    async fn ready(&mut self, actor: &Actor) -> Outcome<()> {
        let url = format!("{}/readyz", actor.admin());
        let asking = async {
            let client = wire::client()?;
            loop {
                let answer = client.get(&url).timeout(Duration::from_secs(2)).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return Ok(());
                }
                tokio::time::sleep(PULSE).await;
            }
        };
        match tokio::time::timeout(READY, self.beside(asking)).await {
            Ok(ended) => ended,
            Err(_) => Err(format!("the {} is not ready after {} s", actor.name, READY.as_secs())),
        }
    }

    /// Does something while all actors live; if one ends, that is the outcome.
    pub(crate) async fn beside<T>(&mut self, doing: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        tokio::select! {
            done = doing => done,
            words = self.ended() => Err(words),
        }
    }

    /// Waits until one ends by itself, and tells of it.
    pub(crate) async fn ended(&mut self) -> String {
        loop {
            for process in &mut self.0 {
                match process.child.try_wait() {
                    Ok(None) => {}
                    Ok(Some(status)) => return process.died(&status.to_string()),
                    Err(error) => return process.died(&error.to_string()),
                }
            }
            tokio::time::sleep(PULSE).await;
        }
    }

    /// Asks each to end, the ones who depend on others first, and waits.
    pub(crate) async fn stop(&mut self, steps: &Steps) -> Outcome<()> {
        let mut outcome = Ok(());
        while let Some(process) = self.0.last_mut() {
            let what = format!("end the {}", process.name);
            let ended = steps.step(&what, process.stop()).await;
            self.0.pop();
            outcome = outcome.and(ended);
        }
        outcome
    }

    /// Ends all at once.
    pub(crate) async fn kill(&mut self) {
        for process in &mut self.0 {
            // One that has ended already is what we want.
            let _ = process.child.kill().await;
        }
    }
}

fn spawn(plan: &Plan, actor: &Actor) -> Outcome<Process> {
    let log = plan.log(actor);
    let open = || OpenOptions::new().create(true).append(true).open(&log);
    let failed = |error: std::io::Error| format!("starting the {}: {error}", actor.name);
    let mut command = Command::new(compile::own()?);
    // What this program decides stands in the file it wrote; the environment would lie over that, the same for all actors.
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(decided) {
            command.env_remove(variable);
        }
    }
    let child = command
        .args(["guard", &std::process::id().to_string()])
        .arg(&actor.program)
        .args(["serve", "--config"])
        .arg(plan.config(actor))
        .stdin(Stdio::null())
        .stdout(open().map_err(failed)?)
        .stderr(open().map_err(failed)?)
        // A group of its own: Ctrl-C reaches this program only, which then ends the actors in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    Ok(Process { name: actor.name, child, log })
}

/// Whether a variable of the environment would set a key the launcher decides.
fn decided(variable: &str) -> bool {
    let ours = [
        "SERVER__LISTEN",
        "SERVER__PUBLIC_URL",
        "ADMIN__LISTEN",
        "STORAGE__DIRECTORY",
        "STORAGE__INDEX",
        "REGISTRY__URL",
        "IDENTITY__URL",
    ];
    let key = variable.strip_prefix("DOCSHARE__");
    key.is_some_and(|key| ours.iter().any(|ours| ours.eq_ignore_ascii_case(key)))
}

impl Process {
    async fn stop(&mut self) -> Outcome<()> {
        let Some(pid) =
            self.child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?))
        else {
            // It has ended by itself; whoever saw that told of it.
            return Ok(());
        };
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .map_err(|error| format!("asking the {} to end: {error}", self.name))?;
        match tokio::time::timeout(GRACE, self.child.wait()).await {
            Ok(Ok(status)) => self.clean(status),
            Ok(Err(error)) => Err(format!("waiting for the {} to end: {error}", self.name)),
            Err(_) => {
                let _ = self.child.kill().await;
                Err(format!("the {} did not end within {} s and was killed", self.name, GRACE.as_secs()))
            }
        }
    }

    fn clean(&self, status: ExitStatus) -> Outcome<()> {
        if status.success() { Ok(()) } else { Err(self.died(&status.to_string())) }
    }

    fn died(&self, how: &str) -> String {
        let tail = tail(&self.log).unwrap_or_default();
        format!("the {} ended ({how}); the end of {}:\n{tail}", self.name, self.log.display())
    }
}

/// The last lines of a log.
fn tail(path: &std::path::Path) -> std::io::Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(16 * 1024)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = VecDeque::new();
    for line in text.lines() {
        lines.push_back(format!("  {line}"));
        if lines.len() > TAIL {
            lines.pop_front();
        }
    }
    Ok(Vec::from(lines).join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_log_only_the_end_is_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.log");
        let text: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        std::fs::write(&path, text).unwrap();
        let tail = tail(&path).unwrap();
        assert_eq!(tail.lines().count(), TAIL);
        assert!(tail.ends_with("line 999"));
    }
}
