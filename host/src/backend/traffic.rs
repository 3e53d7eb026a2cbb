//! Health as a server's traffic shows it: counting errors in a row, and raising an alarm at the limit.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Notify;

use super::{Hindrance, Server};
use crate::config::{Consequence, Layer, Observe};

/// What an exchange has met at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Connected,
    NoConnection,
    Answer {
        status: u16,
    },
    /// None, or none that makes sense.
    BadAnswer,
}

/// Errors in a row, and the bell that whoever checks the server listens to.
#[derive(Debug, Default)]
pub struct Traffic {
    errors: AtomicU32,
    bell: Notify,
}

impl Traffic {
    /// Waits until the errors have reached their limit, and takes notice of it.
    pub async fn alarm(&self) {
        self.bell.notified().await;
    }

    pub fn forget(&self) {
        self.errors.store(0, Ordering::Relaxed);
    }
}

impl Server {
    /// Notes what an exchange has met, if that means anything for this server.
    pub fn saw(&self, seen: Seen) {
        let Some(observe) = &self.observe else {
            return;
        };
        let traffic = self.state.traffic();
        match verdict(observe.layer, seen) {
            None => {}
            // Looked at first, since a store makes all other workers read anew.
            Some(true) if traffic.errors.load(Ordering::Relaxed) == 0 => {}
            Some(true) => traffic.forget(),
            Some(false) => {
                let errors = traffic.errors.fetch_add(1, Ordering::Relaxed) + 1;
                if errors == observe.errors {
                    self.too_many(observe);
                }
            }
        }
    }

    fn too_many(&self, observe: &Observe) {
        self.state.traffic().forget();
        if observe.then == Consequence::MarkDown {
            // At once, for all workers; the rest is for whoever checks it.
            self.state.set(Hindrance::Unhealthy, true);
        }
        self.state.traffic().bell.notify_one();
    }
}

/// Whether it is a good sign; `None`: it says nothing.
fn verdict(layer: Layer, seen: Seen) -> Option<bool> {
    match (layer, seen) {
        (_, Seen::NoConnection) => Some(false),
        (Layer::Connections, Seen::Connected) => Some(true),
        (Layer::Connections, Seen::Answer { .. } | Seen::BadAnswer) => None,
        // A connection alone does not make up for bad answers.
        (Layer::Answers, Seen::Connected) => None,
        (Layer::Answers, Seen::BadAnswer) => Some(false),
        // Not to know a method or version is no illness.
        (Layer::Answers, Seen::Answer { status }) => {
            Some(status < 500 || matches!(status, 501 | 505))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged_at_layer_7_only() {
        let answer = |status| Seen::Answer { status };
        assert_eq!(verdict(Layer::Answers, answer(200)), Some(true));
        assert_eq!(verdict(Layer::Answers, answer(404)), Some(true));
        assert_eq!(verdict(Layer::Answers, answer(501)), Some(true));
        assert_eq!(verdict(Layer::Answers, answer(503)), Some(false));
        assert_eq!(verdict(Layer::Answers, Seen::Connected), None);
        assert_eq!(verdict(Layer::Connections, answer(503)), None);
        assert_eq!(verdict(Layer::Connections, Seen::NoConnection), Some(false));
    }
}
