//! Binds a client to its server with a cookie, as HAProxy's `cookie` line does. What a cookie field looks
//! like is the proxy's business; this asks for single cookies and edits single cookies.

mod cacheable;
mod config;
mod dated;

use weir_sdk::{
    ConfigError, Found, Handle, Input, Needs, OnAssigned, OnLookup, Persistence, Plugin,
    RequestEdits, ResponseEdits, ResponseInput, Values, clock, log,
};

use crate::{
    cacheable::Cacheability,
    config::{Config, Mode, SameSite},
    dated::Dated,
};

/// Between the server's key and the server's own value in the mode `prefix`.
const PREFIX_END: char = '~';

#[derive(Debug)]
pub struct Cookie {
    config: Config,
    looked_up: Handle<OnLookup>,
    /// What follows the value in a cookie of the proxy's own.
    attributes: String,
    /// What the client sent, if the cookie carries dates.
    sent: Option<Handle<OnAssigned>>,
    /// What the server sets, if that matters.
    of_server: Option<Handle<OnAssigned>>,
    cacheability: Option<Cacheability>,
}

weir_sdk::export!(Cookie: Persistence);

impl Plugin for Cookie {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        config.check()?;
        if config.same_site == Some(SameSite::None) && !config.secure {
            log::warn(
                "browsers refuse a cookie with `same_site = \"none\"` unless it is `secure` too",
            );
        }
        let bound_clients_matter = config.is_dated() || config.mode != Mode::Insert;
        if bound_clients_matter {
            needs.always_assigned();
        }
        if !config.is_dated() {
            // Dates are compared with the clock; without them the values say it all.
            needs.repeatable();
        }
        let name = &config.name;
        let sent = config
            .is_dated()
            .then(|| needs.input(Input::Cookie(name.clone())));
        let of_server = (config.preserve || config.mode == Mode::Prefix)
            .then(|| needs.response_input(ResponseInput::Cookie(name.clone())));
        Ok(Self {
            looked_up: needs.cookie(name),
            attributes: config.attributes(),
            sent,
            of_server,
            cacheability: config.nocache.then(|| Cacheability::new(needs)),
            config,
        })
    }
}

impl Persistence for Cookie {
    fn lookup(&mut self, values: &Values<'_, OnLookup>) -> Found {
        match (values.get(self.looked_up), self.config.mode) {
            (None, _) => Found::default(),
            (Some(value), Mode::Prefix) => self.lookup_prefix(value),
            (Some(value), Mode::Insert | Mode::Rewrite) => self.lookup_whole(value),
        }
    }

    fn assigned(&mut self, server: &str, values: &Values<'_, OnAssigned>) -> ResponseEdits {
        let mut edits = ResponseEdits::none();
        match self.config.mode {
            Mode::Insert => self.insert(server, values, &mut edits),
            Mode::Rewrite => {
                edits.replace_set_cookie_value(&self.config.name, server);
            }
            Mode::Prefix => {
                if let Some(value) = self.set_by_server(values) {
                    let prefixed = format!("{server}{PREFIX_END}{value}");
                    edits.replace_set_cookie_value(&self.config.name, &prefixed);
                }
            }
        }
        edits
    }
}

impl Cookie {
    /// The server gets its own value back, whether or not the key is any good.
    fn lookup_prefix(&self, value: &str) -> Found {
        let Some((server, own)) = value.split_once(PREFIX_END) else {
            return Found::default();
        };
        let mut edits = RequestEdits::none();
        edits.set_cookie_value(&self.config.name, own);
        Found {
            server: key(server),
            edits,
        }
    }

    fn lookup_whole(&self, value: &str) -> Found {
        let mut edits = RequestEdits::none();
        if self.config.indirect {
            edits.remove_cookie(&self.config.name);
        }
        let sent = Dated::parse(value);
        let has_expired = self.config.is_dated() && sent.has_expired(&self.config, now());
        Found {
            server: if has_expired { None } else { key(sent.server) },
            edits,
        }
    }

    fn insert(&self, server: &str, values: &Values<'_, OnAssigned>, edits: &mut ResponseEdits) {
        let name = &self.config.name;
        let value = match self.sent {
            None => server.to_owned(),
            Some(sent) => {
                let now = now();
                let good = values
                    .get(sent)
                    .map(Dated::parse)
                    .filter(|sent| !sent.has_expired(&self.config, now));
                let is_bound = |sent: &Dated<'_>| sent.server == server;
                if good.is_some_and(|sent| {
                    is_bound(&sent) && !sent.wants_refreshing(&self.config, now)
                }) {
                    return;
                }
                dated::value(server, &self.config, good.and_then(|sent| sent.first), now)
            }
        };
        if self.config.preserve && self.set_by_server(values).is_some() {
            return;
        }
        if !self.config.preserve {
            edits.remove_set_cookie(name);
        }
        edits.add_header("set-cookie", &format!("{name}={value}{}", self.attributes));
        if self
            .cacheability
            .as_ref()
            .is_some_and(|cacheable| cacheable.is_given(values))
        {
            edits.add_header("cache-control", "private");
        }
    }

    fn set_by_server<'a>(&self, values: &Values<'a, OnAssigned>) -> Option<&'a str> {
        values.get(self.of_server?)
    }
}

/// An empty key is nobody's.
fn key(server: &str) -> Option<String> {
    (!server.is_empty()).then(|| server.to_owned())
}

fn now() -> u64 {
    dated::seconds(clock::now())
}

#[cfg(test)]
mod tests;
