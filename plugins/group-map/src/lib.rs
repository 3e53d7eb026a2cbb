//! Chooses the backend by looking up who the client is in a map: "vip → deluxe". The map is asked at each
//! request, so a changed file takes effect at once.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::{
    BackendRef, ConfigError, Decision, Handle, Input, Needs, OnRequest, Plugin, RequestFilter,
    Values, maps::Map,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The map's name; it must be granted with `maps = [..]`.
    map: String,
    /// What is looked up. Without it, the variable `user`, then each of the variable `groups`, which
    /// `basic-auth` sets.
    input: Option<Input>,
    /// The value of a client that the map does not know.
    default: Option<String>,
    /// Which backend a value of the map means.
    backends: Backends,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected the names of backends that the map's values may be, or a table from values to backends"
)]
pub enum Backends {
    /// The map's values are names of backends, these.
    Named(Vec<String>),
    /// The backend of each value.
    ByValue(BTreeMap<String, String>),
}

#[derive(Debug)]
pub struct GroupMap {
    map: Map,
    inputs: Vec<Handle<OnRequest>>,
    backends: HashMap<String, BackendRef>,
    default: Option<BackendRef>,
}

weir_sdk::export!(GroupMap: RequestFilter);

impl Plugin for GroupMap {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        needs.repeatable();
        let map = Map::named(config.map);
        if map.version() == 0 {
            let name = map.name();
            return Err(ConfigError::at(
                "/map",
                format_args!(
                    "no map `{name}` is granted; add `maps = [\"{name}\"]` beside `plugin`"
                ),
            ));
        }
        let pairs: Vec<(String, String)> = match config.backends {
            Backends::Named(names) => names.into_iter().map(|name| (name.clone(), name)).collect(),
            Backends::ByValue(pairs) => pairs.into_iter().collect(),
        };
        if pairs.is_empty() {
            return Err(ConfigError::at(
                "/backends",
                "there is no backend to choose; name at least one",
            ));
        }
        let known = listed(&pairs);
        let backends: HashMap<String, BackendRef> = pairs
            .into_iter()
            .map(|(value, backend)| (value, needs.backend(&backend)))
            .collect();
        let default = match config.default {
            None => None,
            Some(value) => Some(*backends.get(&value).ok_or_else(|| {
                ConfigError::at(
                    "/default",
                    format_args!("`{value}` has no backend; those that have: {known}"),
                )
            })?),
        };
        Ok(Self {
            map,
            inputs: match config.input {
                Some(input) => vec![needs.input(input)],
                None => vec![needs.var("user"), needs.var("groups")],
            },
            backends,
            default,
        })
    }
}

impl RequestFilter for GroupMap {
    fn on_request(&mut self, values: &Values<'_, OnRequest>) -> Decision {
        let mut given = self
            .inputs
            .iter()
            .filter_map(|&input| values.get(input))
            .peekable();
        if given.peek().is_none() {
            return Decision::pass();
        }
        given
            .find_map(|key| self.backend_of(key))
            .or(self.default)
            .map_or(Decision::pass(), Decision::use_backend)
    }
}

impl GroupMap {
    /// Of a key, or else of the first part of a comma-separated list that has one.
    fn backend_of(&self, key: &str) -> Option<BackendRef> {
        let look_up = |key: &str| self.backends.get(&self.map.lookup(key)?).copied();
        look_up(key).or_else(|| {
            let parts = key.contains(',').then(|| key.split(',').map(str::trim));
            parts?.find_map(look_up)
        })
    }
}

fn listed(pairs: &[(String, String)]) -> String {
    let values: Vec<String> = pairs
        .iter()
        .map(|(value, _)| format!("`{value}`"))
        .collect();
    values.join(", ")
}

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, Request, host, request};

    use super::*;

    const BY_VALUE: &str =
        r#"{"map": "tiers", "backends": {"gold": "deluxe", "free": "standard"}}"#;

    fn group_map(config: &str) -> Loaded<GroupMap> {
        host::set_map(
            "tiers",
            &[
                ("vip", "gold"),
                ("alice", "gold"),
                ("guest", "free"),
                ("odd", "lead"),
            ],
        );
        Loaded::new(config).expect("the config is sound")
    }

    fn backend<'a>(plugin: &'a mut Loaded<GroupMap>, request: &Request) -> Option<&'a str> {
        let decision = plugin.on_request(request);
        plugin.backend_of(&decision)
    }

    fn check(config: &str, request: &Request, expected: Option<&str>) {
        assert_eq!(
            backend(&mut group_map(config), request),
            expected,
            "{request:?}"
        );
    }

    fn refusal(config: &str) -> String {
        host::set_map("tiers", &[]);
        Loaded::<GroupMap>::new(config).unwrap_err().to_string()
    }

    #[test]
    fn a_user_in_the_map_goes_to_the_backend_of_their_value() {
        check(BY_VALUE, &request().var("user", "alice"), Some("deluxe"));
        check(BY_VALUE, &request().var("user", "guest"), Some("standard"));
    }

    #[test]
    fn the_first_known_group_decides_for_a_user_who_is_not_in_the_map() {
        let bob = |groups| request().var("user", "bob").var("groups", groups);
        check(BY_VALUE, &bob("vip"), Some("deluxe"));
        check(BY_VALUE, &bob("staff, guest,vip"), Some("standard"));
        check(BY_VALUE, &bob("staff"), None);
    }

    #[test]
    fn the_maps_values_may_be_names_of_backends() {
        host::set_map(
            "apps",
            &[("/app", "app1"), ("/app/long", "app2"), ("/", "other")],
        );
        let config = r#"{"map": "apps", "input": "path", "backends": ["app1", "app2"]}"#;
        host::set_prefix_map(
            "apps",
            &[("/app", "app1"), ("/app/long", "app2"), ("/", "other")],
        );
        let mut plugin = Loaded::<GroupMap>::new(config).expect("the config is sound");
        assert_eq!(
            backend(&mut plugin, &request().path("/app/x,y")),
            Some("app1")
        );
        assert_eq!(
            backend(&mut plugin, &request().path("/app/long/x")),
            Some("app2")
        );
        assert_eq!(backend(&mut plugin, &request().path("/x")), None);
    }

    #[test]
    fn a_changed_map_counts_from_the_next_request_on() {
        let mut plugin = group_map(BY_VALUE);
        let guest = request().var("user", "guest");
        assert_eq!(backend(&mut plugin, &guest), Some("standard"));
        host::set_map("tiers", &[("guest", "gold")]);
        assert_eq!(backend(&mut plugin, &guest), Some("deluxe"));
        host::set_map("tiers", &[]);
        assert_eq!(backend(&mut plugin, &guest), None);
    }

    #[test]
    fn a_client_that_the_map_does_not_know_has_the_default() {
        let config = r#"{"map": "tiers", "input": {"header": "X-Group"}, "default": "free",
            "backends": {"gold": "deluxe", "free": "standard"}}"#;
        check(config, &request().header("x-group", "vip"), Some("deluxe"));
        check(
            config,
            &request().header("x-group", "nobody"),
            Some("standard"),
        );
        check(
            config,
            &request().header("x-group", "odd"),
            Some("standard"),
        );
        check(config, &request().header("x-group", ""), Some("standard"));
    }

    #[test]
    fn a_request_without_the_input_is_passed_on() {
        let config = r#"{"map": "tiers", "default": "free", "backends": {"free": "standard"}}"#;
        check(config, &request(), None);
    }

    #[test]
    fn all_backends_are_named_to_the_proxy_when_loading() {
        assert_eq!(group_map(BY_VALUE).backends(), ["standard", "deluxe"]);
    }

    #[test]
    fn a_map_that_was_not_granted_is_refused_with_what_to_add() {
        assert_eq!(
            refusal(r#"{"map": "teirs", "backends": ["a"]}"#),
            r#"/map: no map `teirs` is granted; add `maps = ["teirs"]` beside `plugin`"#
        );
    }

    #[test]
    fn a_config_that_can_choose_nothing_is_refused() {
        assert_eq!(
            refusal(r#"{"map": "tiers", "backends": []}"#),
            "/backends: there is no backend to choose; name at least one"
        );
        assert_eq!(
            refusal(r#"{"map": "tiers", "default": "fre", "backends": {"free": "standard"}}"#),
            "/default: `fre` has no backend; those that have: `free`"
        );
        assert_eq!(
            refusal(r#"{"map": "tiers", "backends": "standard"}"#),
            "/backends: expected the names of backends that the map's values may be, or a table from values to backends"
        );
    }
}
