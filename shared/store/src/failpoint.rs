//! The mark of a failpoint in code: one line, and nothing at all in builds without the feature `failpoints`.

/// Marks a failpoint. Without the feature `failpoints` nothing is left of it.
///
/// - `failpoint!("name")` in code that may wait on its thread, `failpoint!(async "name")` in code that may not: the step
///   fails by `?`, from a [`store::Error`](crate::Error).
/// - `failpoint!("name", error => …)`, `failpoint!(async "name", error => …)`: the step fails as the expression says,
///   from a [`std::io::Error`].
/// - `failpoint!(peer "name", error => …)`: between this actor and a peer.
/// - `failpoint!(during "name", future, error => …)`: while the future, which asks a peer, is under way; gives its output.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        $crate::point::pass($name)?
    };
    ($name:literal, $error:ident => $failed:expr) => {
        if let Err($error) = $crate::point::hit($name) {
            $failed
        }
    };
    (async $name:literal) => {
        $crate::point::passed($name).await?
    };
    (async $name:literal, $error:ident => $failed:expr) => {
        if let Err($error) = $crate::point::reached($name).await {
            $failed
        }
    };
    (peer $name:literal, $error:ident => $failed:expr) => {
        if let Err($error) = $crate::point::peer($name).await {
            $failed
        }
    };
    (during $name:literal, $asking:expr, $error:ident => $failed:expr) => {
        match $crate::point::during($name, $asking).await {
            Ok(answer) => answer,
            Err($error) => $failed,
        }
    };
}

/// Marks a failpoint; this build has none.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! failpoint {
    (during $name:literal, $asking:expr, $error:ident => $failed:expr) => {
        $asking.await
    };
    ($($nothing:tt)*) => {};
}
