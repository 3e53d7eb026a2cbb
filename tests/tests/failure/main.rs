//! Servers and clients that fail, are slow or come in crowds: who is told what, and when.

mod answering;
mod clients;
mod connecting;
mod crowds;
mod ending;
mod kept;

use std::time::Duration;

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
