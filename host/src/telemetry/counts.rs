//! Counters as figures, for those who show them in a form of their own.

use super::metrics::{BackendMetrics, Counted, FrontendMetrics, STATUS_CLASSES, ServerMetrics};

/// Answers by the class of their status: 1xx to 5xx, and what is no status.
pub type ByClass = [u64; STATUS_CLASSES.len()];

/// What clients did at a frontend so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrontendCounts {
    pub connections: u64,
    pub requests: u64,
    pub denied: u64,
    pub bad_requests: u64,
    pub refused: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub answers: ByClass,
}

/// What happened to exchanges that a backend got so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackendCounts {
    pub sessions: u64,
    pub redispatches: u64,
    pub no_server: u64,
    pub answers: ByClass,
}

/// What happened at a server so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerCounts {
    pub sessions: u64,
    pub connect_failures: u64,
    pub retries: u64,
    pub response_errors: u64,
    pub checks_failed: u64,
    pub downs: u64,
    pub answers: ByClass,
}

fn by_class(metrics: &impl Counted) -> ByClass {
    std::array::from_fn(|class| metrics.count_class(class))
}

impl FrontendMetrics {
    pub fn counts(&self) -> FrontendCounts {
        FrontendCounts {
            connections: self.count(Self::CONNECTIONS),
            requests: self.count(Self::REQUESTS),
            denied: self.count(Self::DENIED),
            bad_requests: self.count(Self::BAD_REQUESTS),
            refused: self.count(Self::REFUSED),
            bytes_in: self.count(Self::BYTES_IN),
            bytes_out: self.count(Self::BYTES_OUT),
            answers: by_class(self),
        }
    }
}

impl BackendMetrics {
    pub fn counts(&self) -> BackendCounts {
        BackendCounts {
            sessions: self.count(Self::SESSIONS),
            redispatches: self.count(Self::REDISPATCHES),
            no_server: self.count(Self::NO_SERVER),
            answers: by_class(self),
        }
    }
}

impl ServerMetrics {
    pub fn counts(&self) -> ServerCounts {
        ServerCounts {
            sessions: self.count(Self::SESSIONS),
            connect_failures: self.count(Self::CONNECT_FAILURES),
            retries: self.count(Self::RETRIES),
            response_errors: self.count(Self::RESPONSE_ERRORS),
            checks_failed: self.count(Self::CHECKS_FAILED),
            downs: self.count(Self::DOWNS),
            answers: by_class(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_read() {
        let frontend = FrontendMetrics::default();
        frontend.connected();
        frontend.sent(7);
        frontend.answered(404);
        let counts = frontend.counts();
        assert_eq!((counts.connections, counts.bytes_out), (1, 7));
        assert_eq!(counts.answers, [0, 0, 0, 1, 0, 0]);
    }
}
