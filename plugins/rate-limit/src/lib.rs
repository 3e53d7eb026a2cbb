//! Counts requests or connections by client, path or whatever else in a table that all workers share, and
//! turns away those that are too many.

mod config;
mod key;
mod limits;

use weir_sdk::{
    ConfigError, ConnectionDecision, ConnectionFilter, Decision, Handle, Hook, Input, Needs,
    OnConnection, OnRequest, OnResponse, Plugin, RequestFilter, ResponseEdits, ResponseFilter,
    ResponseInput, Values, counters::Table,
};

use crate::{
    config::{At, Config, Of, Refuse},
    key::{Key, Prefixes},
    limits::{Limits, Outcome},
};

#[derive(Debug)]
pub struct RateLimit {
    limits: Limits,
    connections: Option<Key<OnConnection>>,
    requests: Option<Keyed<OnRequest>>,
    responses: Option<(Handle<OnResponse>, Keyed<OnResponse>)>,
    status: u16,
    retry_after: bool,
    refuse: Refuse,
}

weir_sdk::export!(RateLimit: ConnectionFilter + RequestFilter + ResponseFilter);

/// A key, and the paths that are looked at.
#[derive(Debug)]
struct Keyed<H: Hook> {
    key: Key<H>,
    paths: Option<(Handle<H>, Vec<String>)>,
}

impl Plugin for RateLimit {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        check_paths(&config)?;
        let table =
            Table::granted(&config.table).map_err(|error| ConfigError::at("/table", error))?;
        let limits = Limits::new(&config, &table)?;
        let prefixes = Prefixes {
            ipv4: config.ipv4_prefix,
            ipv6: config.ipv6_prefix,
        };
        let by = config.by.as_slice();
        let (mut connections, mut requests, mut responses) = (None, None, None);
        match config.at {
            At::Connection => {
                needs.connections();
                connections = Some(Key::new(by, prefixes, needs));
            }
            At::Request => {
                needs.requests();
                requests = Some(Keyed::new(by, prefixes, &config.paths, needs));
                if limits.count_answers() {
                    let status = needs.response_input(ResponseInput::Status);
                    let keyed = Keyed::new(by, prefixes, &config.paths, needs);
                    responses = Some((status, keyed));
                }
            }
        }
        Ok(Self {
            limits,
            connections,
            requests,
            responses,
            status: config.status,
            retry_after: config.retry_after,
            refuse: config.refuse,
        })
    }
}

/// Refuses what would never match, or where there are no paths.
fn check_paths(config: &Config) -> Result<(), ConfigError> {
    if config.at == At::Connection && !config.paths.is_empty() {
        let why = "a connection has no path; count requests, or leave `paths` out";
        return Err(ConfigError::at("/paths", why));
    }
    let wrong = config.paths.iter().position(|path| !path.starts_with('/'));
    match wrong {
        Some(index) => Err(ConfigError::at(
            &format!("/paths/{index}"),
            format_args!("`{}` is no path: those begin with `/`", config.paths[index]),
        )),
        None => Ok(()),
    }
}

impl<H: Hook> Keyed<H> {
    fn new(by: &[Input], prefixes: Prefixes, paths: &[String], needs: &mut Needs) -> Self {
        Self {
            key: Key::new(by, prefixes, needs),
            paths: (!paths.is_empty()).then(|| (needs.input(Input::Path), paths.to_vec())),
        }
    }

    /// None if it is not to be counted.
    fn key(&self, values: &Values<'_, H>) -> Option<String> {
        if let Some((path, paths)) = &self.paths {
            let path = values.get(*path)?;
            paths
                .iter()
                .find(|start| path.starts_with(start.as_str()))?;
        }
        self.key.of(values)
    }
}

impl ConnectionFilter for RateLimit {
    fn on_connection(&mut self, values: &Values<'_, OnConnection>) -> ConnectionDecision {
        let key = self.connections.as_ref().and_then(|key| key.of(values));
        let Some(key) = key else {
            return ConnectionDecision::pass();
        };
        let Outcome { too_many, vars } = self.limits.judge(&key);
        let decision = match (too_many, self.refuse) {
            (None, _) => ConnectionDecision::pass(),
            (Some(_), Refuse::Reset) => ConnectionDecision::reset(),
            (Some(_), Refuse::Close) => ConnectionDecision::close(),
        };
        vars.iter().fold(decision, |decision, (name, count)| {
            decision.with_var(name, &count.to_string())
        })
    }
}

impl RequestFilter for RateLimit {
    fn on_request(&mut self, values: &Values<'_, OnRequest>) -> Decision {
        let key = self.requests.as_ref().and_then(|keyed| keyed.key(values));
        let Some(key) = key else {
            return Decision::pass();
        };
        let Outcome { too_many, vars } = self.limits.judge(&key);
        let mut decision = match too_many {
            None => Decision::pass(),
            Some(_) => Decision::deny(self.status),
        };
        for (name, count) in vars {
            decision.edits.set_var(&name, &count.to_string());
        }
        let wait = too_many.filter(|_| self.retry_after);
        if let Some(wait) = wait.and_then(|over| over.seconds(&key, &self.limits)) {
            let wait = wait.to_string();
            decision.response_edits.set_header("retry-after", &wait);
        }
        decision
    }
}

impl ResponseFilter for RateLimit {
    fn on_response(&mut self, values: &Values<'_, OnResponse>) -> ResponseEdits {
        if let Some((status, keyed)) = &self.responses
            && let Some(of) = values.get(*status).and_then(of_status)
            && let Some(key) = keyed.key(values)
        {
            self.limits.count_answer(of, &key);
        }
        ResponseEdits::none()
    }
}

/// What an answer with this status counts as, if it is an error.
fn of_status(status: &str) -> Option<Of> {
    match status.as_bytes() {
        [b'4', ..] => Some(Of::ClientErrors),
        [b'5', ..] => Some(Of::ServerErrors),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
