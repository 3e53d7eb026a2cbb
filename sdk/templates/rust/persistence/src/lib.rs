//! @summary@.

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::{
    ConfigError, Found, Handle, Needs, OnAssigned, OnLookup, Persistence, Plugin, RequestEdits,
    ResponseEdits, Values,
};

/// What weir.toml says under `config`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The cookie's name.
    cookie: String,
}

pub struct @Type@ {
    name: String,
    cookie: Handle<OnLookup>,
}

weir_sdk::export!(@Type@: Persistence);

impl Plugin for @Type@ {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        if config.cookie.is_empty() {
            return Err(ConfigError::at("/cookie", "a cookie needs a name"));
        }
        // Both answers follow from what they are given: the proxy need not ask twice.
        needs.repeatable();
        Ok(Self {
            cookie: needs.cookie(&config.cookie),
            name: config.cookie,
        })
    }
}

impl Persistence for @Type@ {
    /// The server that the client had, if it says so. The proxy uses it if it is up.
    fn lookup(&mut self, values: &Values<'_, OnLookup>) -> Found {
        Found {
            server: values.get(self.cookie).map(str::to_owned),
            edits: RequestEdits::none(),
        }
    }

    /// The client got this server, and not the one it had.
    fn assigned(&mut self, server: &str, _: &Values<'_, OnAssigned>) -> ResponseEdits {
        let mut edits = ResponseEdits::none();
        edits.add_header("set-cookie", &format!("{}={server}; Path=/", self.name));
        edits
    }
}

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, request, response};

    use super::*;

    fn plugin() -> Loaded<@Type@> {
        Loaded::new(r#"{ "cookie": "SERVER" }"#).expect("a good config")
    }

    #[test]
    fn a_client_with_a_cookie_has_its_server() {
        let found = plugin().lookup(&request().cookie("SERVER", "web-b"));
        assert_eq!(found.server.as_deref(), Some("web-b"));
        assert_eq!(plugin().lookup(&request()).server, None);
    }

    #[test]
    fn a_client_that_got_a_server_is_told() {
        let mut expected = ResponseEdits::none();
        expected.add_header("set-cookie", "SERVER=web-a; Path=/");
        let edits = plugin().assigned("web-a", &request(), &response(200));
        assert_eq!(edits, expected);
    }
}
