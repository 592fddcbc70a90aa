//! Failpoints: places where a test can make this process die, wait, fail or hang up. Only in builds with the feature
//! `failpoints`; in all others [`failpoint!`](crate::failpoint) expands to nothing.
//!
//! `DOCSHARE_FAILPOINTS="name=action;name=3:action;name=1%action"` arms points by their names: at every hit, at the third
//! one only, or with a chance of one in a hundred. An action is one of `kill`, `stop(seconds)`, `error` (as if the device
//! had failed), `error(code)` (a number of the system, or an HTTP status from 400), `delay(milliseconds)`, `panic` and
//! `close` (the caller's connection is closed without an answer, and the step fails).

mod caller;
mod plan;

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

pub use caller::{Instead, with_caller};
pub use plan::{Action, Plan};

use crate::error::Error;

/// A place where a test can interfere.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// Its name, as an actor calls it.
    pub name: &'static str,
    /// Its name at the place itself: another one where the place serves several actors.
    pub hook: &'static str,
    /// Where it is.
    pub place: &'static str,
    /// What an interruption there comes between.
    pub between: &'static str,
}

impl Point {
    /// A point of an actor's own.
    pub const fn new(name: &'static str, place: &'static str, between: &'static str) -> Point {
        Point { name, hook: name, place, between }
    }

    /// A point of a shared room, under the name an actor gives to it.
    pub const fn shared(
        name: &'static str,
        hook: &'static str,
        place: &'static str,
        between: &'static str,
    ) -> Point {
        Point { name, hook, place, between }
    }
}

/// What a connection that is reset says.
const RESET: i32 = 104;

/// After this time what was sent has left the process, and hardly anything can have been answered.
const UNDER_WAY: Duration = Duration::from_millis(5);

static PLAN: OnceLock<Plan> = OnceLock::new();

/// Puts a plan into effect, for the rest of this process; a second one is ignored.
pub fn arm(plan: Plan) {
    drop(PLAN.set(plan));
}

/// Whether anything is planned for a point.
pub fn is_armed(hook: &str) -> bool {
    PLAN.get().is_some_and(|plan| plan.holds(hook))
}

/// What is to be done at a point that is passed now.
fn strike(hook: &str) -> Option<Action> {
    let (action, name, hit) = PLAN.get()?.strike(hook)?;
    // Not a line of the log: a process that dies of it must still have said it.
    eprintln!("failpoint {name}, hit {hit}: {action:?}");
    Some(action)
}

/// A point in code that may wait on its thread; fails as a device fails.
pub fn hit(hook: &str) -> io::Result<()> {
    match strike(hook) {
        None => Ok(()),
        Some(Action::Delay(time)) => {
            std::thread::sleep(time);
            Ok(())
        }
        Some(action) => act(hook, action, true),
    }
}

/// The same, failing as the store fails.
pub fn pass(hook: &str) -> Result<(), Error> {
    hit(hook).map_err(Error::io(format!("passing the failpoint {hook}")))
}

/// A point in code that must not hold up its thread.
pub async fn reached(hook: &str) -> io::Result<()> {
    wait(hook, true).await
}

/// The same, failing as the store fails.
pub async fn passed(hook: &str) -> Result<(), Error> {
    reached(hook).await.map_err(Error::io(format!("passing the failpoint {hook}")))
}

/// A point between this actor and a peer: to close means the connection to the peer.
pub async fn peer(hook: &str) -> io::Result<()> {
    wait(hook, false).await
}

/// A point while a peer is being asked: the question has left, the answer is not read.
pub async fn during<T>(hook: &str, asking: impl Future<Output = T>) -> io::Result<T> {
    if !is_armed(hook) {
        return Ok(asking.await);
    }
    let mut asking = std::pin::pin!(asking);
    let early = tokio::time::timeout(UNDER_WAY, &mut asking).await;
    peer(hook).await?;
    Ok(match early {
        Ok(answer) => answer,
        Err(_) => asking.await,
    })
}

async fn wait(hook: &str, of_caller: bool) -> io::Result<()> {
    match strike(hook) {
        None => Ok(()),
        Some(Action::Delay(time)) => {
            tokio::time::sleep(time).await;
            Ok(())
        }
        Some(action) => act(hook, action, of_caller),
    }
}

fn act(hook: &str, action: Action, of_caller: bool) -> io::Result<()> {
    match action {
        Action::Kill => loop {
            kill_process(getpid(), Signal::KILL)?;
            std::thread::park();
        },
        Action::Stop(time) => stop(time),
        Action::Panic => panic!("failpoint {hook}"),
        Action::Close => {
            if of_caller {
                caller::set(Instead::Close);
            }
            Err(io::Error::from_raw_os_error(RESET))
        }
        Action::Error(code) => {
            if let (true, Ok(status @ 400..=599)) = (of_caller, u16::try_from(code)) {
                caller::set(Instead::Status(status));
            }
            Err(io::Error::from_raw_os_error(code))
        }
        Action::Delay(time) => {
            std::thread::sleep(time);
            Ok(())
        }
    }
}

/// Stops the whole process; a shell that is not stopped with it lets it go on.
fn stop(time: Duration) -> io::Result<()> {
    let (seconds, own) = (time.as_secs_f64(), getpid().as_raw_nonzero());
    let later = format!("(sleep {seconds}; kill -CONT {own}) >/dev/null 2>&1 &");
    let told = std::process::Command::new("sh").arg("-c").arg(later).status()?;
    if !told.success() {
        return Err(io::Error::other("nobody would let the process go on"));
    }
    Ok(kill_process(getpid(), Signal::STOP)?)
}
