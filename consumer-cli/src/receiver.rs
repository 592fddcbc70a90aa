//! Receivers of the patient feed: who is told by the identity source, what waits and what was refused, and what an operator can do.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::Context;
use crate::client::Call;
use crate::exit::{Exit, Failure};
use crate::output::{Column, Row, hidden, shown, text};

/// Who the identity source tells of patients, at its admin listener
#[derive(Debug, Subcommand)]
pub(crate) enum ReceiverVerb {
    /// List receivers, and what waits for each
    List,
    /// List messages that were refused, and changes that could not be told
    Open,
    /// Do not send a message that is refused; what waits behind it goes on
    Skip(Skip),
    /// Tell a receiver of every patient again
    Again(Name),
    /// Say that what could not be told was put right by hand
    Settled(Name),
}

#[derive(Debug, Args)]
pub(crate) struct Name {
    /// The receiver, as it is configured
    receiver: String,
}

#[derive(Debug, Args)]
pub(crate) struct Skip {
    /// The receiver, as it is configured
    receiver: String,
    /// The message, as `receiver open` shows it
    message: String,
}

const COLUMNS: &[Column] = &[
    shown("name"),
    shown("transaction"),
    shown("waiting"),
    shown("oldest_seconds"),
    shown("refused"),
    shown("untold"),
    shown("away"),
    hidden("place"),
    hidden("introducing"),
];

const OPEN: &[Column] = &[
    shown("receiver"),
    shown("message"),
    shown("patients"),
    shown("reason"),
    shown("tries"),
    shown("since"),
];

pub(crate) async fn run(verb: ReceiverVerb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        ReceiverVerb::List => list(context).await,
        ReceiverVerb::Open => open(context).await,
        ReceiverVerb::Skip(Skip { receiver, message }) => {
            order(context, &receiver, &format!("skip?message={message}")).await
        }
        ReceiverVerb::Again(Name { receiver }) => order(context, &receiver, "again").await,
        ReceiverVerb::Settled(Name { receiver }) => order(context, &receiver, "settled").await,
    }
}

/// The admin listener of the identity source.
fn admin(context: &Context) -> Result<&str, Failure> {
    let admin = context.settings.identity.admin.as_deref().map(|admin| admin.trim_end_matches('/'));
    admin.ok_or_else(|| {
        Failure::usage("the admin listener of the identity source is not known")
            .next("say where it is: admin.identity in the profile, e.g. \"http://127.0.0.1:8093\"")
    })
}

/// The receivers as the admin listener of the identity source tells of them.
pub(crate) async fn receivers(context: &Context) -> Result<Vec<Value>, Failure> {
    let url = format!("{}/receivers", admin(context)?);
    let answer = context.client.ask(Call::get(url, "the receivers")).await?;
    let told = answer.json("the receivers")?;
    Ok(told["receivers"].as_array().cloned().unwrap_or_default())
}

async fn list(context: &Context) -> Result<Exit, Failure> {
    let mut listing = context.output.list(COLUMNS)?;
    for receiver in receivers(context).await? {
        let mut row = Row::new();
        for name in ["name", "transaction", "waiting", "oldest_seconds", "away", "place", "introducing"] {
            row.insert(name.into(), receiver[name].clone());
        }
        let refused = receiver["refused"].as_array().map_or(0, Vec::len);
        row.insert("refused".into(), json!(refused));
        row.insert("untold".into(), receiver["untold"]["count"].clone());
        listing.push(&row)?;
    }
    listing.finish()
}

async fn open(context: &Context) -> Result<Exit, Failure> {
    let mut listing = context.output.list(OPEN)?;
    for receiver in receivers(context).await? {
        let items = |of: &Value| of.as_array().cloned().unwrap_or_default();
        for refused in ["refused", "unanswered"].iter().flat_map(|list| items(&receiver[*list])) {
            let patients: Vec<String> =
                items(&refused["patients"]).iter().filter_map(Value::as_str).map(str::to_owned).collect();
            let mut row = Row::new();
            row.insert("receiver".into(), receiver["name"].clone());
            row.insert("message".into(), refused["message"].clone());
            row.insert("patients".into(), json!(patients.join(" ")));
            row.insert("reason".into(), refused["answer"].clone());
            row.insert("tries".into(), refused["tries"].clone());
            row.insert("since".into(), refused["since"].clone());
            listing.push(&row)?;
        }
        for untold in items(&receiver["untold"]["latest"]) {
            let mut row = Row::new();
            row.insert("receiver".into(), receiver["name"].clone());
            row.insert("patients".into(), untold["patient"].clone());
            row.insert("reason".into(), untold["what"].clone());
            row.insert("since".into(), untold["when"].clone());
            listing.push(&row)?;
        }
    }
    listing.finish()
}

async fn order(context: &Context, receiver: &str, verb: &str) -> Result<Exit, Failure> {
    let url = format!("{}/receivers/{receiver}/{verb}", admin(context)?);
    let answer = context.client.send(Call::new(Method::POST, url, "the order")).await?;
    let words = String::from_utf8_lossy(&answer.body).trim().chars().take(500).collect::<String>();
    match answer.status {
        200 | 202 => text(&format!("{}\n", crate::sanitize::line(&words))),
        status => Err(Failure::new(Exit::of_status(status), words)
            .next("docshare receiver list, and docshare receiver open, show what there is")),
    }
}
