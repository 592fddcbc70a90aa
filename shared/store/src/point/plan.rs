//! What is to happen at which point, and when: `name=3:action;name=1%action;name=action`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::point::Point;

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The process is killed.
    Kill,
    /// The process stands still for this time.
    Stop(Duration),
    /// The step fails with this code of the system, or HTTP status.
    Error(i32),
    /// The step waits for this time.
    Delay(Duration),
    /// The thread or task panics.
    Panic,
    /// The connection is closed without an answer.
    Close,
}

/// A device that failed, where no code is given.
const FAILED: i32 = 5;

#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Always,
    At(u64),
    /// Of a thousand hits.
    Chance(u64),
}

#[derive(Debug)]
struct Rule {
    name: &'static str,
    when: When,
    action: Action,
    hits: AtomicU64,
}

/// What is armed.
#[derive(Debug, Default)]
pub struct Plan {
    rules: HashMap<&'static str, Rule>,
}

impl Plan {
    /// Reads a plan for points of these tables; refuses with words for whoever wrote it.
    pub fn read(text: &str, tables: &[&[Point]]) -> Result<Plan, String> {
        let mut plan = Plan::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, rule) = part.split_once('=').ok_or_else(|| format!("{part:?} is not name=action"))?;
            let (name, rule) = (name.trim(), rule.trim());
            let point = tables.iter().copied().flatten().find(|point| point.name == name);
            let point = point.ok_or_else(|| {
                format!("there is no point {name} in this actor; version --json names those there are")
            })?;
            if plan.rules.insert(point.hook, read_rule(point.name, rule)?).is_some() {
                return Err(format!("{name} is armed twice"));
            }
        }
        Ok(plan)
    }

    pub(super) fn holds(&self, hook: &str) -> bool {
        self.rules.contains_key(hook)
    }

    /// Counts a hit; what to do now, at which point by its name, and which hit it is.
    pub(super) fn strike(&self, hook: &str) -> Option<(Action, &'static str, u64)> {
        let rule = self.rules.get(hook)?;
        let hit = rule.hits.fetch_add(1, Ordering::Relaxed) + 1;
        let now = match rule.when {
            When::Always => true,
            When::At(wanted) => hit == wanted,
            When::Chance(chance) => dice() % 1000 < chance,
        };
        now.then_some((rule.action, rule.name, hit))
    }
}

/// A number nobody foresees.
fn dice() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1 & 0xFFFF_FFFF
}

fn read_rule(name: &'static str, text: &str) -> Result<Rule, String> {
    let count = |text: &str| text.trim().parse::<u64>().ok();
    let (when, action) = if let Some((hit, action)) = text.split_once(':') {
        let hit = count(hit).filter(|hit| *hit > 0);
        (When::At(hit.ok_or_else(|| format!("{text:?}: hits are counted from 1"))?), action)
    } else if let Some((chance, action)) = text.split_once('%') {
        let chance = chance.trim().parse::<f64>().ok().filter(|chance| (0.0..=100.0).contains(chance));
        let chance = chance.ok_or_else(|| format!("{text:?}: a chance is a percentage"))?;
        (When::Chance((chance * 10.0).round() as u64), action)
    } else {
        (When::Always, text)
    };
    Ok(Rule { name, when, action: read_action(action.trim())?, hits: AtomicU64::new(0) })
}

fn read_action(text: &str) -> Result<Action, String> {
    let unknown = || {
        format!(
            "{text:?} is no action; actions are kill, stop(seconds), error, error(code), delay(milliseconds), panic, close"
        )
    };
    let (word, value) = match text.split_once('(') {
        None => (text, None),
        Some((word, rest)) => {
            let value = rest.strip_suffix(')').and_then(|value| value.trim().parse::<u32>().ok());
            (word, Some(value.ok_or_else(unknown)?))
        }
    };
    Ok(match (word, value) {
        ("kill", None) => Action::Kill,
        ("panic", None) => Action::Panic,
        ("close", None) => Action::Close,
        ("error", None) => Action::Error(FAILED),
        ("error", Some(code)) => Action::Error(i32::try_from(code).map_err(|_| unknown())?),
        ("stop", Some(seconds)) => Action::Stop(Duration::from_secs(seconds.into())),
        ("delay", Some(milliseconds)) => Action::Delay(Duration::from_millis(milliseconds.into())),
        _ => return Err(unknown()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINTS: &[Point] = &[
        Point::new("desk.letter.read", "here", "reading and answering"),
        Point::shared("desk.drawer.shut", "drawer.shut", "there", "shutting and locking"),
    ];

    fn strikes(plan: &Plan, hook: &str, hits: usize) -> Vec<Option<Action>> {
        (0..hits).map(|_| plan.strike(hook).map(|(action, ..)| action)).collect()
    }

    #[test]
    fn a_point_is_struck_always_or_at_one_hit_only() {
        let plan =
            Plan::read("desk.letter.read=error(28); desk.drawer.shut=2:kill;", &[POINTS]).expect("a plan");
        assert_eq!(strikes(&plan, "desk.letter.read", 2), [Some(Action::Error(28)); 2]);
        assert_eq!(strikes(&plan, "drawer.shut", 3), [None, Some(Action::Kill), None]);
        assert_eq!(strikes(&plan, "desk.drawer.shut", 1), [None], "the place knows only its own name");
    }

    #[test]
    fn a_chance_strikes_about_as_often_as_it_says() {
        let plan = Plan::read("desk.letter.read=25%panic", &[POINTS]).expect("a plan");
        let struck = strikes(&plan, "desk.letter.read", 2000).into_iter().flatten().count();
        assert!((300..700).contains(&struck), "{struck} of 2000");
        let never = Plan::read("desk.letter.read=0%panic", &[POINTS]).expect("a plan");
        assert_eq!(strikes(&never, "desk.letter.read", 100), [None; 100]);
    }

    #[test]
    fn every_action_is_read() {
        let read = |text| read_action(text).expect(text);
        assert_eq!(read("kill"), Action::Kill);
        assert_eq!(read("stop(3)"), Action::Stop(Duration::from_secs(3)));
        assert_eq!(read("error"), Action::Error(5));
        assert_eq!(read("error(503)"), Action::Error(503));
        assert_eq!(read("delay(250)"), Action::Delay(Duration::from_millis(250)));
        assert_eq!(read("panic"), Action::Panic);
        assert_eq!(read("close"), Action::Close);
    }

    #[test]
    fn what_is_no_plan_is_refused_with_words() {
        for (text, words) in [
            ("desk.letter.read", "is not name=action"),
            ("desk.chair=kill", "there is no point desk.chair"),
            ("drawer.shut=kill", "there is no point drawer.shut"),
            ("desk.letter.read=explode", "is no action"),
            ("desk.letter.read=delay", "is no action"),
            ("desk.letter.read=kill(3)", "is no action"),
            ("desk.letter.read=delay(x)", "is no action"),
            ("desk.letter.read=0:kill", "counted from 1"),
            ("desk.letter.read=200%kill", "percentage"),
            ("desk.letter.read=kill;desk.letter.read=panic", "armed twice"),
        ] {
            let refused = Plan::read(text, &[POINTS]).expect_err(text);
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }
}
