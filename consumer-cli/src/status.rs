//! Whether the actors are there and ready, and whether those whom the identity source tells of patients keep up.

use serde_json::{Value, json};

use crate::Context;
use crate::client::Call;
use crate::config::Actor;
use crate::exit::{Exit, Failure};
use crate::output::{Column, Row, hidden, shown};

const COLUMNS: &[Column] = &[
    shown("actor"),
    shown("url"),
    shown("answers"),
    shown("ready"),
    shown("software"),
    shown("fhir"),
    hidden("admin"),
    hidden("receivers"),
    shown("remark"),
];

/// What was learned of one actor.
struct Learned {
    row: Row,
    exit: Exit,
}

pub(crate) async fn run(context: &Context) -> Result<Exit, Failure> {
    let mut listing = context.output.list(COLUMNS)?;
    let mut exits = Vec::new();
    for actor in context.settings.actors() {
        let learned = ask(context, actor).await;
        exits.push(learned.exit);
        listing.push(&learned.row)?;
    }
    listing.finish()?;
    let failures: Vec<Exit> = exits.iter().copied().filter(|exit| *exit != Exit::Done).collect();
    Ok(Exit::of_many(exits.len() - failures.len(), &failures))
}

async fn ask(context: &Context, actor: &Actor) -> Learned {
    let mut row = Row::new();
    row.insert("actor".into(), json!(actor.name));
    row.insert("url".into(), json!(actor.base));
    row.insert("admin".into(), json!(actor.admin));
    let metadata = context.client.ask(Call::get(format!("{}/metadata", actor.base), "metadata").fhir()).await;
    let (ready, not_ready) = readiness(context, actor).await;
    row.insert("ready".into(), json!(ready));
    let mut remark = not_ready;
    let mut exit = if ready == "no" { Exit::Server } else { Exit::Done };
    match metadata.and_then(|answer| answer.json("metadata")) {
        Ok(statement) => {
            row.insert("answers".into(), json!("yes"));
            row.insert("software".into(), json!(software(&statement)));
            row.insert("fhir".into(), statement["fhirVersion"].clone());
        }
        Err(failure) => {
            row.insert("answers".into(), json!("no"));
            exit = failure.exit;
            remark = failure.text;
        }
    }
    if std::ptr::eq(actor, &context.settings.identity) {
        let receivers = crate::receiver::receivers(context).await.unwrap_or_default();
        row.insert("receivers".into(), json!(receivers.iter().map(receiver).collect::<Vec<_>>()));
        // One that is away keeps nobody from working: its messages wait.
        let own = (!remark.is_empty()).then(|| remark.clone());
        remark = own.into_iter().chain(receivers.iter().filter_map(behind)).collect::<Vec<_>>().join("; ");
    }
    row.insert("remark".into(), json!(remark));
    Learned { row, exit }
}

/// `yes`, `no` or `unknown`, and why not.
async fn readiness(context: &Context, actor: &Actor) -> (&'static str, String) {
    let Some(admin) = &actor.admin else { return ("unknown", String::new()) };
    let call = Call::get(format!("{}/readyz", admin.trim_end_matches('/')), "readiness");
    match context.client.send(call).await {
        Ok(answer) if answer.status == 200 => ("yes", String::new()),
        Ok(answer) => ("no", String::from_utf8_lossy(&answer.body).trim().chars().take(200).collect()),
        Err(_) => ("unknown", String::new()),
    }
}

/// A receiver of the identity source that does not know everything, in few words; `receiver list` has more.
fn behind(receiver: &Value) -> Option<String> {
    let numbers = [
        ("waiting", receiver["waiting"].as_u64()),
        ("refused", receiver["refused"].as_array().map(|refused| refused.len() as u64)),
        ("by hand", receiver["untold"]["count"].as_u64()),
    ];
    let numbers = numbers.into_iter().filter_map(|(word, number)| Some((word, number.filter(|n| *n > 0)?)));
    let away = receiver["away"].is_string().then(|| "away".to_owned());
    let parts: Vec<String> =
        away.into_iter().chain(numbers.map(|(word, number)| format!("{word} {number}"))).collect();
    let name = receiver["name"].as_str().unwrap_or_default();
    (!parts.is_empty()).then(|| format!("{name}: {}", parts.join(", ")))
}

/// A receiver in words.
fn receiver(receiver: &Value) -> String {
    let text = |name: &str| receiver[name].as_str().unwrap_or_default();
    let mut words = format!("{} ({}): ", text("name"), text("transaction"));
    words.push_str(&match (receiver["waiting"].as_u64().unwrap_or(0), receiver["introducing"] == true) {
        (0, true) => "is being told of everybody".to_owned(),
        (0, false) => "nothing waits".to_owned(),
        (waiting, _) => format!("waiting {waiting}, the oldest for {} s", receiver["oldest_seconds"]),
    });
    if !text("away").is_empty() {
        words.push_str(&format!("; away: {}", text("away")));
    }
    match receiver["refused"].as_array().map_or(0, Vec::len) {
        0 => {}
        refused => words.push_str(&format!("; refused {refused}")),
    }
    match receiver["untold"]["count"].as_u64().unwrap_or(0) {
        0 => {}
        untold => words.push_str(&format!("; to be put right by hand {untold}")),
    }
    words
}

fn software(statement: &Value) -> String {
    let part = |name: &str| statement["software"][name].as_str().unwrap_or("").to_owned();
    format!("{} {}", part("name"), part("version")).trim().to_owned()
}
