//! Failpoints of an actor: armed from the environment, told by `version --json`, and what a caller meets when one strikes.

use bytes::Bytes;
use http::StatusCode;
use store::point::{self, Instead, Plan, Point};
use web::{Answer, AnswerBody, Error};

/// The variable that arms points.
const VARIABLE: &str = "DOCSHARE_FAILPOINTS";

/// Points every actor has, in the rooms they share.
const SHARED: &[Point] = &[
    Point::new(
        "audit.pre_sync",
        "store, journal/committer.rs",
        "writing the audit records of reads and syncing them",
    ),
    Point::new(
        "audit.post_sync",
        "store, journal/committer.rs",
        "syncing the audit records of reads and going on",
    ),
    Point::new("scrub.mid", "store, upkeep.rs", "two steps of reading everything that is stored"),
    Point::new("backup.mid", "store, backup.rs", "two files of a backup"),
    Point::new("backup.mid", "store, backup.rs", "copying a file of a backup and copying the next one"),
];

/// Arms what the environment says; refuses with words for whoever set it.
pub(crate) fn arm(own: &[Point]) -> Result<(), String> {
    let Some(text) = std::env::var_os(VARIABLE) else { return Ok(()) };
    let plan = Plan::read(&text.to_string_lossy(), &[SHARED, own]);
    point::arm(plan.map_err(|words| format!("{VARIABLE}: {words}"))?);
    Ok(())
}

/// All points of an actor, for machines.
pub(crate) fn list(own: &[Point]) -> serde_json::Value {
    let told = |point: &Point| serde_json::json!({ "name": point.name, "place": point.place, "between": point.between });
    SHARED.iter().chain(own).map(told).collect()
}

/// An answer as a point on its way wants it. The connection of a body that fails before its first byte is closed without
/// even a head.
pub(crate) fn instead(answer: Answer, wanted: Option<Instead>) -> Answer {
    match wanted {
        None => answer,
        Some(Instead::Status(status)) => {
            Answer::empty(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        }
        Some(Instead::Close) => {
            let broken = async { Err(Error::Source("a failpoint closes the connection".to_owned())) };
            let stream = Box::pin(futures_util::stream::once(broken));
            answer.body(AnswerBody::Stream { length: 1, stream })
        }
    }
}

/// The same answer with a point in the middle of its body.
pub fn in_the_middle(hook: &'static str, mut answer: Answer) -> Answer {
    let AnswerBody::Bytes(whole) = &answer.body else { return answer };
    if !point::is_armed(hook) {
        return answer;
    }
    let (length, half) = (whole.len() as u64, whole.len() / 2);
    let parts = [Ok(whole.slice(..half)), Err(whole.slice(half..))];
    let stream = futures_util::stream::unfold(parts.into_iter(), move |mut parts| async move {
        let part: Result<Bytes, Error> = match parts.next()? {
            Ok(first) => Ok(first),
            Err(second) => match point::reached(hook).await {
                Ok(()) => Ok(second),
                Err(error) => Err(Error::Source(error.to_string())),
            },
        };
        Some((part, parts))
    });
    answer.body = AnswerBody::Stream { length, stream: Box::pin(stream) };
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_listed_with_what_they_come_between() {
        let own = [Point::new("desk.letter.read", "desk.rs", "reading and answering")];
        let listed = list(&own);
        let names: Vec<_> = listed.as_array().into_iter().flatten().map(|point| &point["name"]).collect();
        assert_eq!(names.last().and_then(|name| name.as_str()), Some("desk.letter.read"));
        assert_eq!(names.len(), SHARED.len() + 1);
    }
}
