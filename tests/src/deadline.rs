//! Waiting that ends.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// How long anything may take that should happen at once. Long, since machines that run tests are
/// busy; a test that passes never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Awaits `future`, at most for [`DEADLINE`].
///
/// Panics with `what` if it takes longer.
#[track_caller]
pub fn within<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(DEADLINE, future).await {
            Ok(value) => value,
            Err(_) => panic!("{caller}: {what} took longer than {DEADLINE:?}"),
        }
    }
}

/// Asks `probe` again and again until it answers with a value.
///
/// Panics with `what` when [`DEADLINE`] has passed.
#[track_caller]
pub fn eventually<T, P, F>(what: &str, mut probe: P) -> impl Future<Output = T>
where
    P: FnMut() -> F,
    F: Future<Output = Option<T>>,
{
    let caller = std::panic::Location::caller();
    async move {
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            if let Some(value) = probe().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{caller}: {what} did not happen within {DEADLINE:?}");
    }
}
