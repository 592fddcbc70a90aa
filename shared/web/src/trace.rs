//! Request ids and W3C trace context.

use std::cell::Cell;

use http::HeaderMap;
use uuid::Uuid;

/// The caller's `X-Request-Id` if it is well formed, else a new one (a UUIDv7).
pub(crate) fn request_id(headers: &HeaderMap) -> String {
    match headers.get("x-request-id").and_then(|value| value.to_str().ok()) {
        Some(id) if is_request_id(id) => id.to_owned(),
        _ => new_request_id(),
    }
}

/// An id that no request has had (a UUIDv7).
pub(crate) fn new_request_id() -> String {
    Uuid::now_v7().to_string()
}

fn is_request_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

/// The caller's `traceparent` if it is well formed, else the start of a new trace.
pub(crate) fn trace(headers: &HeaderMap) -> String {
    match headers.get("traceparent").and_then(|value| value.to_str().ok()) {
        Some(trace) if is_trace(trace) => trace.to_owned(),
        _ => format!("00-{:016x}{:016x}-{:016x}-01", random(), random(), random() | 1),
    }
}

fn is_trace(trace: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let zero = |text: &str| text.bytes().all(|b| b == b'0');
    let mut parts = trace.split('-');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(version), Some(id), Some(parent), Some(flags), rest) => {
            (version.len(), id.len(), parent.len(), flags.len()) == (2, 32, 16, 2)
                && [version, id, parent, flags].into_iter().all(hex)
                && !zero(id)
                && !zero(parent)
                && version != "ff"
                && (version != "00" || rest.is_none())
                && trace.len() <= 128
        }
        _ => false,
    }
}

thread_local! {
    static SEED: Cell<u64> = Cell::new(Uuid::new_v4().as_u64_pair().0);
}

/// A trace id must be unlikely to meet its like; it need not be hard to guess. (SplitMix64.)
fn random() -> u64 {
    SEED.with(|seed| {
        let next = seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        seed.set(next);
        let mut mixed = next;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_well_formed_request_id_is_echoed_and_another_is_replaced() {
        assert_eq!(request_id(&with("x-request-id", "Abc.1-2")), "Abc.1-2");
        for wrong in ["", "a b", "<script>", &"x".repeat(65)] {
            assert_eq!(request_id(&with("x-request-id", wrong)).len(), 36, "{wrong:?}");
        }
    }

    #[test]
    fn a_well_formed_trace_is_continued_and_another_is_replaced() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace(&with("traceparent", good)), good);
        for wrong in
            ["", "00-0-0-01", &good.replace('4', "X"), &good.replace("00-", "ff-"), &format!("{good}-more")]
        {
            let new = trace(&with("traceparent", wrong));
            assert!(new != wrong && is_trace(&new), "{wrong:?} became {new:?}");
        }
    }
}
