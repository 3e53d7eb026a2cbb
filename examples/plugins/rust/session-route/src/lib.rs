//! Persistence by the application's own session cookie: Tomcat and its like end it with the name of the
//! server that has the session, `JSESSIONID=8C2F.web-b`. Clients without a session are balanced; nothing is
//! added to answers.

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::{
    ConfigError, Found, Handle, Needs, OnAssigned, OnLookup, Persistence, Plugin, RequestEdits,
    ResponseEdits, Values,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The session cookie's name.
    #[schemars(length(min = 1))]
    cookie: String,
}

#[derive(Debug)]
pub struct SessionRoute {
    session: Handle<OnLookup>,
}

weir_sdk::export!(SessionRoute: Persistence);

impl Plugin for SessionRoute {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        needs.repeatable();
        Ok(Self {
            session: needs.cookie(&config.cookie),
        })
    }
}

impl Persistence for SessionRoute {
    fn lookup(&mut self, values: &Values<'_, OnLookup>) -> Found {
        Found {
            server: values.get(self.session).and_then(route).map(str::to_owned),
            edits: RequestEdits::none(),
        }
    }

    fn assigned(&mut self, _: &str, _: &Values<'_, OnAssigned>) -> ResponseEdits {
        ResponseEdits::none()
    }
}

/// What stands after the last dot, if anything does.
fn route(session: &str) -> Option<&str> {
    let (_, server) = session.rsplit_once('.')?;
    (!server.is_empty()).then_some(server)
}

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, request, response};

    use super::*;

    fn plugin() -> Loaded<SessionRoute> {
        Loaded::new(r#"{ "cookie": "JSESSIONID" }"#).expect("a good config")
    }

    fn found(session: &str) -> Option<String> {
        let request = request().cookie("JSESSIONID", session);
        plugin().lookup(&request).server
    }

    #[test]
    fn a_session_leads_to_the_server_that_it_ends_with() {
        assert_eq!(found("8C2F.web-b").as_deref(), Some("web-b"));
        assert_eq!(found("8C.2F.web-b").as_deref(), Some("web-b"));
    }

    #[test]
    fn without_a_session_or_with_one_that_names_nobody_the_balancer_picks() {
        assert_eq!(plugin().lookup(&request()).server, None);
        for session in ["8C2F", "8C2F."] {
            assert_eq!(found(session), None, "{session}");
        }
    }

    #[test]
    fn answers_stay_as_they_are() {
        let edits = plugin().assigned("web-a", &request(), &response(200));
        assert_eq!(edits, ResponseEdits::none());
    }
}
