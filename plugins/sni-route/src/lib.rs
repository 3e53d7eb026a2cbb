//! Chooses the backend by the host name in the client's TLS hello. TLS is not ended for that: the servers do.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::{
    BackendRef, ConfigError, ConnectionDecision, ConnectionFilter, Handle, Input, Needs,
    OnConnection, Plugin, Values,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Backends by host name: `shop.example`, or `*.shop.example` for every name below it.
    routes: BTreeMap<String, String>,
    /// The backend of clients that name another host, or none.
    default: Option<String>,
    /// What becomes of them where there is no such backend.
    #[serde(default)]
    unknown: Unknown,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// The next filter decides, then the frontend's default backend.
    #[default]
    Pass,
    Close,
    Reset,
}

#[derive(Debug)]
pub struct SniRoute {
    name: Handle<OnConnection>,
    exact: HashMap<String, BackendRef>,
    /// By what stands behind `*.`.
    below: HashMap<String, BackendRef>,
    otherwise: ConnectionDecision,
}

weir_sdk::export!(SniRoute: ConnectionFilter);

impl Plugin for SniRoute {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        if config.routes.is_empty() {
            return Err(ConfigError::at(
                "/routes",
                "there is no route; name at least one host",
            ));
        }
        if config.default.is_some() && config.unknown != Unknown::Pass {
            return Err(ConfigError::at(
                "/unknown",
                "with a `default` backend nobody is unknown; leave one of the two out",
            ));
        }
        let (mut exact, mut below) = (HashMap::new(), HashMap::new());
        for (host, backend) in &config.routes {
            let at = format!("/routes/{}", host.replace('~', "~0").replace('/', "~1"));
            let name = host.to_ascii_lowercase();
            let (routes, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut below, parent),
                None => (&mut exact, name.as_str()),
            };
            if !is_host_name(name) {
                return Err(ConfigError::at(
                    &at,
                    format_args!(
                        "`{host}` is no host name; write `shop.example` or `*.shop.example`"
                    ),
                ));
            }
            let known = routes.insert(name.to_owned(), needs.backend(backend));
            if known.is_some() {
                return Err(ConfigError::at(
                    &at,
                    format_args!("`{host}` is there twice, as letters count in either case"),
                ));
            }
        }
        Ok(Self {
            name: needs.input(Input::TlsSni),
            exact,
            below,
            otherwise: match (config.default, config.unknown) {
                (Some(backend), _) => ConnectionDecision::use_backend(needs.backend(&backend)),
                (None, Unknown::Pass) => ConnectionDecision::pass(),
                (None, Unknown::Close) => ConnectionDecision::close(),
                (None, Unknown::Reset) => ConnectionDecision::reset(),
            },
        })
    }
}

/// As certificates write them; an address is none, and a hello must not name one.
fn is_host_name(text: &str) -> bool {
    let label = |part: &str| {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&part.len()) && part.bytes().all(sound)
    };
    let numeric = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.len() <= 253 && !numeric && text.split('.').all(label)
}

impl ConnectionFilter for SniRoute {
    fn on_connection(&mut self, values: &Values<'_, OnConnection>) -> ConnectionDecision {
        let route = values.get(self.name).and_then(|name| self.route(name));
        match route {
            Some(backend) => ConnectionDecision::use_backend(backend),
            None => self.otherwise.clone(),
        }
    }
}

impl SniRoute {
    /// The whole name first, then the nearest name above it that has a `*.`.
    fn route(&self, name: &str) -> Option<BackendRef> {
        if let Some(backend) = self.exact.get(name) {
            return Some(*backend);
        }
        let dots = name.match_indices('.');
        dots.into_iter()
            .find_map(|(at, _)| self.below.get(&name[at + 1..]).copied())
    }
}

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, connection};

    use super::*;

    const ROUTES: &str = r#"{"routes": {"shop.example": "shop", "*.example": "rest",
        "*.Shop.Example": "shops"}}"#;

    fn route(config: &str, name: Option<&str>) -> Option<String> {
        let mut plugin = Loaded::<SniRoute>::new(config).expect("the config is sound");
        let connection = name.map_or(connection(), |name| connection().sni(name));
        let decision = plugin.on_connection(&connection);
        plugin.backend_of_connection(&decision).map(str::to_owned)
    }

    fn refusal(config: &str) -> String {
        Loaded::<SniRoute>::new(config).unwrap_err().to_string()
    }

    #[test]
    fn the_most_exact_name_decides() {
        for (name, expected) in [
            ("shop.example", Some("shop")),
            ("a.shop.example", Some("shops")),
            ("a.b.shop.example", Some("shops")),
            ("other.example", Some("rest")),
            ("a.other.example", Some("rest")),
            ("example", None),
            ("example.com", None),
            ("myshop.example", Some("rest")),
        ] {
            assert_eq!(route(ROUTES, Some(name)).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn whoever_names_no_known_host_gets_what_is_configured() {
        let config = r#"{"routes": {"a.example": "a"}, "default": "rest"}"#;
        assert_eq!(route(config, None).as_deref(), Some("rest"));
        assert_eq!(route(config, Some("b.example")).as_deref(), Some("rest"));
        assert_eq!(route(ROUTES, None), None);
        for (unknown, expected) in [
            ("pass", ConnectionDecision::pass()),
            ("close", ConnectionDecision::close()),
            ("reset", ConnectionDecision::reset()),
        ] {
            let config = format!(r#"{{"routes": {{"a.example": "a"}}, "unknown": "{unknown}"}}"#);
            let mut plugin = Loaded::<SniRoute>::new(config).expect("the config is sound");
            assert_eq!(plugin.on_connection(&connection()), expected);
        }
    }

    #[test]
    fn mistakes_are_shown_at_their_place() {
        assert_eq!(
            refusal(r#"{"routes": {"a b": "x"}}"#),
            "/routes/a b: `a b` is no host name; write `shop.example` or `*.shop.example`"
        );
        for host in ["*", "*.", "a.*.b", "", "192.0.2.1", "a..b", "https://a"] {
            let config = format!(r#"{{"routes": {{"{host}": "x"}}}}"#);
            assert!(refusal(&config).contains("is no host name"), "{host}");
        }
        assert!(refusal(r#"{"routes": {"A.b": "x", "a.b": "x"}}"#).contains("there twice"));
        assert!(refusal(r#"{"routes": {}}"#).contains("there is no route"));
        let both = r#"{"routes": {"a.b": "x"}, "default": "x", "unknown": "close"}"#;
        assert!(refusal(both).starts_with("/unknown: "));
    }
}
