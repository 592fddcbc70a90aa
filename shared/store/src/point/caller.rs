//! The caller at the other end: what happens to it instead of being answered.

use std::cell::Cell;

/// What a caller gets instead of the answer that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// Its connection is closed.
    Close,
    /// This HTTP status.
    Status(u16),
}

tokio::task_local! {
    static INSTEAD: Cell<Option<Instead>>;
}

/// Serves a caller; answers also what a point on the way wants the caller to get instead.
pub async fn with_caller<T>(serving: impl Future<Output = T>) -> (T, Option<Instead>) {
    let work = async {
        let served = serving.await;
        (served, INSTEAD.with(Cell::get))
    };
    INSTEAD.scope(Cell::new(None), work).await
}

/// Nobody is called back from threads of the store; there a point only fails.
pub(super) fn set(instead: Instead) {
    let _ = INSTEAD.try_with(|caller| caller.set(Some(instead)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_word_of_a_point_reaches_the_caller() {
        let served = with_caller(async { set(Instead::Status(503)) }).await;
        assert_eq!(served, ((), Some(Instead::Status(503))));
        assert_eq!(with_caller(async { 1 }).await, (1, None));
        set(Instead::Close);
    }
}
