//! Log lines: one JSON object each, or text on a terminal. Fields are a fixed list chosen where the line is written; nothing
//! here ever sees a body or a query.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock::Clock;
use crate::settings::Level;

/// Starts logging for the process.
pub(crate) fn start(level: Level, json: bool, actor: &'static str) {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    // What the HTTP library tells of its own start and end is told better by the actor.
    let filter = Targets::new().with_default(level).with_target("actix_server", level.min(LevelFilter::WARN));
    let started = if json {
        let line = Line { clock: Clock::wall(0), actor };
        let lines = tracing_subscriber::fmt::layer().event_format(line);
        tracing_subscriber::registry().with(lines).with(filter).try_init()
    } else {
        let lines = tracing_subscriber::fmt::layer().compact();
        tracing_subscriber::registry().with(lines).with(filter).try_init()
    };
    if let Err(error) = started {
        eprintln!("docshare-{actor}: logging was started before: {error}");
    }
}

struct Line {
    clock: Clock,
    actor: &'static str,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Map::new();
        let now = jiff::Timestamp::from_microsecond(self.clock.now()).unwrap_or_default();
        line.insert("ts".to_owned(), Value::String(format!("{now:.6}")));
        line.insert("level".to_owned(), Value::String(event.metadata().level().as_str().to_lowercase()));
        line.insert("target".to_owned(), Value::from(event.metadata().target()));
        line.insert("msg".to_owned(), Value::Null);
        line.insert("actor".to_owned(), Value::from(self.actor));
        event.record(&mut Fields(&mut line));
        writeln!(out, "{}", Value::Object(line))
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let name = if field.name() == "message" { "msg" } else { field.name() };
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }
}
