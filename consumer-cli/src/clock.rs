//! The time of day: the one place of this program that asks for it.

/// Now, to the millisecond.
#[expect(
    clippy::disallowed_methods,
    reason = "a command line has no clock handed in; this is its only reading"
)]
pub(crate) fn now() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
