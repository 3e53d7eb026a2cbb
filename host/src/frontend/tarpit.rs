//! Answers that are held back: a filter that turns somebody away can have the client wait for it, by setting a
//! variable. How long is the frontend's to say, and no client is waited for that has left.

use std::time::Duration;

use tokio::time::Instant;

use super::{facts::Vars, side::ClientSide};
use crate::event_loop::sleep;

/// The variable, and what says that the answer is to be held back.
const VARIABLE: (&str, &str) = ("tarpit", "yes");

/// How soon it is noticed that a client of HTTP/1 has left: nobody reads from it.
const GLANCE: Duration = Duration::from_millis(200);

/// Whether a filter wants the answer held back.
pub fn is_wanted(vars: &Vars) -> bool {
    vars.get(VARIABLE.0) == Some(VARIABLE.1)
}

/// Waits for so long, or until the client says that it sends no more.
pub async fn hold_back<C: ClientSide>(client: &C, time: Duration) {
    let until = Instant::now() + time;
    while !client.has_finished() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        sleep(left.min(GLANCE)).await;
    }
}
