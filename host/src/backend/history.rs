//! What has been with a server, for those who look: its last check, when it last went up or down, how long it
//! has been down in all. Nothing decides by it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    health::Health,
    probe::{CheckFailure, Passed},
};

/// The outcome of a check, in the words that HAProxy's figures have for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCheck {
    /// `L7OK`, `L4CON`, ….
    pub status: &'static str,
    pub description: &'static str,
    /// The status of the answer, if there was one.
    pub code: Option<u16>,
    /// What more there was to say.
    pub info: String,
    pub took: Duration,
    /// What is believed since.
    pub health: Health,
}

impl LastCheck {
    pub fn new(result: &Result<Passed, CheckFailure>, took: Duration, health: Health) -> Self {
        let (status, description, code, info) = match result {
            Ok(Passed::Layer4) => ("L4OK", "Layer4 check passed", None, String::new()),
            Ok(Passed::Layer6) => ("L6OK", "Layer6 check passed", None, String::new()),
            Ok(Passed::Layer7 { status }) => {
                ("L7OK", "Layer7 check passed", Some(*status), String::new())
            }
            Ok(Passed::Talk) => ("L7OK", "Layer7 check passed", None, String::new()),
            Err(failure) => of_failure(failure),
        };
        Self {
            status,
            description,
            code,
            info,
            took,
            health,
        }
    }
}

fn of_failure(failure: &CheckFailure) -> (&'static str, &'static str, Option<u16>, String) {
    const RESPONSE: (&str, &str) = ("L7RSP", "Layer7 invalid response");
    let response = |info: String| (RESPONSE.0, RESPONSE.1, None, info);
    match failure {
        CheckFailure::Connect(error) => (
            "L4CON",
            "Layer4 connection problem",
            None,
            error.to_string(),
        ),
        CheckFailure::ConnectTimeout => ("L4TOUT", "Layer4 timeout", None, String::new()),
        CheckFailure::Handshake(error) => (
            "L6RSP",
            "Layer6 invalid response",
            None,
            error.reason().to_string(),
        ),
        CheckFailure::HandshakeTimeout => ("L6TOUT", "Layer6 timeout", None, String::new()),
        CheckFailure::Status(code) => ("L7STS", "Layer7 wrong status", Some(*code), String::new()),
        CheckFailure::Response(error) => response(error.to_string()),
        CheckFailure::Content => response("HTTP content check did not match".to_owned()),
        CheckFailure::Step { step, what } => response(format!("step {step} {what}")),
        CheckFailure::NotServing(said) => response(format!("gRPC says {said}")),
        CheckFailure::ResponseTimeout => ("L7TOUT", "Layer7 timeout", None, String::new()),
        CheckFailure::Traffic(errors) => (
            "HANA",
            "Health analyze",
            None,
            format!("Detected {errors} consecutive errors"),
        ),
    }
}

/// Written when something changes and by checks, so never on the way of a request.
#[derive(Debug)]
pub struct History(Mutex<Past>);

#[derive(Debug)]
struct Past {
    changed: Instant,
    /// Since when it is down.
    down_since: Option<Instant>,
    /// All times it was down before.
    downtime: Duration,
    last_check: Option<LastCheck>,
}

impl Default for History {
    fn default() -> Self {
        Self(Mutex::new(Past {
            changed: Instant::now(),
            down_since: None,
            downtime: Duration::ZERO,
            last_check: None,
        }))
    }
}

impl History {
    /// It went up or down.
    pub(super) fn changed(&self, up: bool) {
        let mut past = self.lock();
        let now = Instant::now();
        past.changed = now;
        match up {
            true => {
                let down = past.down_since.take();
                past.downtime += down.map_or(Duration::ZERO, |since| now - since);
            }
            false => past.down_since = past.down_since.or(Some(now)),
        }
    }

    pub fn checked(&self, check: LastCheck) {
        self.lock().last_check = Some(check);
    }

    pub fn last_check(&self) -> Option<LastCheck> {
        self.lock().last_check.clone()
    }

    /// Since it last went up or down, or came to be.
    pub fn since_change(&self) -> Duration {
        self.lock().changed.elapsed()
    }

    pub fn downtime(&self) -> Duration {
        let past = self.lock();
        let now = past
            .down_since
            .map_or(Duration::ZERO, |since| since.elapsed());
        past.downtime + now
    }

    fn lock(&self) -> MutexGuard<'_, Past> {
        // Whole at any time, so a panic elsewhere does not matter.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_counted_as_down_until_it_comes_back() {
        let history = History::default();
        assert_eq!(history.downtime(), Duration::ZERO);
        history.changed(false);
        while history.downtime().is_zero() {
            std::hint::spin_loop();
        }
        history.changed(true);
        let down = history.downtime();
        assert!(!down.is_zero());
        assert_eq!(history.downtime(), down, "it is up");
    }

    #[test]
    fn a_check_is_told_as_haproxys_figures_tell_it() {
        let failed = Err(CheckFailure::Status(503));
        let check = LastCheck::new(&failed, Duration::ZERO, Health::Down { successes: 0 });
        assert_eq!((check.status, check.code), ("L7STS", Some(503)));
        let silent = Err(CheckFailure::ConnectTimeout);
        let check = LastCheck::new(&silent, Duration::ZERO, Health::Unchecked);
        assert_eq!((check.status, check.code), ("L4TOUT", None));
    }
}
