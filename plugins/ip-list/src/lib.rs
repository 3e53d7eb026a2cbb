//! Lets clients in or turns them away by their address: networks in the config, in a map that can change while
//! the proxy runs, or both.

mod networks;

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::{
    ConfigError, ConnectionDecision, ConnectionFilter, Decision, Handle, Input, Needs, Network,
    OnConnection, OnRequest, Plugin, RequestFilter, Values, log, maps::Map,
};

use networks::Networks;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Networks whose clients are let in.
    #[serde(default)]
    allow: Vec<String>,
    /// Networks whose clients are turned away.
    #[serde(default)]
    deny: Vec<String>,
    /// A map with `match = "cidr"` from networks to `allow` or `deny`; it must be granted with `maps = [..]`.
    /// What it knows goes before the lists.
    map: Option<String>,
    /// What becomes of clients in none of the networks. Without it, `deny` if anybody is allowed by name, else
    /// `allow`.
    default: Option<Rule>,
    /// When clients are looked at: once per connection, or at each request.
    #[serde(default)]
    at: At,
    /// How a connection is ended.
    #[serde(default)]
    refuse: Refuse,
    /// What a request is answered with.
    #[serde(default = "forbidden")]
    #[schemars(range(min = 200, max = 599))]
    status: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    Allow,
    Deny,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum At {
    #[default]
    Connection,
    Request,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Refuse {
    #[default]
    Reset,
    Close,
}

fn forbidden() -> u16 {
    403
}

#[derive(Debug)]
pub struct IpList {
    networks: Networks<Rule>,
    map: Option<Map>,
    default: Rule,
    refuse: Refuse,
    status: u16,
    client: Client,
}

/// Where the client's address is found.
#[derive(Debug, Clone, Copy)]
enum Client {
    OfConnection(Handle<OnConnection>),
    OfRequest(Handle<OnRequest>),
}

weir_sdk::export!(IpList: ConnectionFilter + RequestFilter);

impl Plugin for IpList {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        let mut networks = Networks::default();
        add(&mut networks, "allow", &config.allow, Rule::Allow)?;
        add(&mut networks, "deny", &config.deny, Rule::Deny)?;
        let map = config.map.map(read_map).transpose()?;
        if networks.is_empty() && map.is_none() && config.default.is_none() {
            return Err(ConfigError::new(
                "nobody is named, so everybody would be let in; give `allow`, `deny` or `map`",
            ));
        }
        let allows_some = !config.allow.is_empty() || map.as_ref().is_some_and(allows);
        let default = config.default.unwrap_or(match allows_some {
            true => Rule::Deny,
            false => Rule::Allow,
        });
        Ok(Self {
            networks,
            map,
            default,
            refuse: config.refuse,
            status: config.status,
            client: match config.at {
                At::Connection => Client::OfConnection(needs.input(Input::ClientAddress)),
                At::Request => Client::OfRequest(needs.input(Input::ClientAddress)),
            },
        })
    }
}

/// Reads one of the lists. Of a network in both it could not be told what is meant.
fn add(
    networks: &mut Networks<Rule>,
    list: &str,
    texts: &[String],
    rule: Rule,
) -> Result<(), ConfigError> {
    for (index, text) in texts.iter().enumerate() {
        let at = format!("/{list}/{index}");
        let network: Network = text
            .parse()
            .map_err(|error| ConfigError::at(&at, format_args!("`{text}`: {error}")))?;
        if networks
            .insert(network, rule)
            .is_some_and(|other| other != rule)
        {
            return Err(ConfigError::at(
                &at,
                format_args!("`{text}` is both allowed and denied; leave it in one of the lists"),
            ));
        }
    }
    Ok(())
}

fn read_map(name: String) -> Result<Map, ConfigError> {
    let map = Map::named(name);
    let name = map.name();
    if map.version() == 0 {
        return Err(ConfigError::at(
            "/map",
            format_args!("no map `{name}` is granted; add `maps = [\"{name}\"]` beside `plugin`"),
        ));
    }
    for (network, value) in map.entries() {
        if rule(&value).is_none() {
            return Err(ConfigError::at(
                "/map",
                format_args!(
                    "the map `{name}` has `{value}` for {network}; write `allow` or `deny`"
                ),
            ));
        }
    }
    Ok(map)
}

/// Whether a map lets anybody in by name.
fn allows(map: &Map) -> bool {
    let entries = map.entries();
    entries
        .iter()
        .any(|(_, value)| rule(value) == Some(Rule::Allow))
}

fn rule(text: &str) -> Option<Rule> {
    match text {
        "allow" => Some(Rule::Allow),
        "deny" => Some(Rule::Deny),
        _ => None,
    }
}

impl IpList {
    fn judge(&self, client: Option<&str>) -> Rule {
        let Some(client) = client else {
            return self.default;
        };
        if let Some(map) = &self.map
            && let Some(value) = map.lookup(client)
        {
            // The map may have changed since it was looked through.
            return rule(&value).unwrap_or_else(|| {
                let name = map.name();
                log::error(format_args!(
                    "the map `{name}` has `{value}` for {client}, neither `allow` nor `deny`; denied"
                ));
                Rule::Deny
            });
        }
        let address: Option<IpAddr> = client.parse().ok();
        let known = address.and_then(|address| self.networks.smallest_with(address));
        known.unwrap_or(self.default)
    }
}

impl ConnectionFilter for IpList {
    fn on_connection(&mut self, values: &Values<'_, OnConnection>) -> ConnectionDecision {
        let Client::OfConnection(client) = self.client else {
            return ConnectionDecision::pass();
        };
        match (self.judge(values.get(client)), self.refuse) {
            (Rule::Allow, _) => ConnectionDecision::pass(),
            (Rule::Deny, Refuse::Reset) => ConnectionDecision::reset(),
            (Rule::Deny, Refuse::Close) => ConnectionDecision::close(),
        }
    }
}

impl RequestFilter for IpList {
    fn on_request(&mut self, values: &Values<'_, OnRequest>) -> Decision {
        let Client::OfRequest(client) = self.client else {
            return Decision::pass();
        };
        match self.judge(values.get(client)) {
            Rule::Allow => Decision::pass(),
            Rule::Deny => Decision::deny(self.status),
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, connection, host, request};

    use super::*;

    fn ip_list(config: &str) -> Loaded<IpList> {
        Loaded::new(config).expect("the config is sound")
    }

    fn refusal(config: &str) -> String {
        Loaded::<IpList>::new(config).unwrap_err().to_string()
    }

    /// Those of `clients` that are let in.
    fn let_in<'a>(plugin: &mut Loaded<IpList>, clients: &[&'a str]) -> Vec<&'a str> {
        let passes = |client: &&&str| {
            plugin.on_connection(&connection().client(client)) == ConnectionDecision::pass()
        };
        clients.iter().filter(passes).copied().collect()
    }

    #[test]
    fn with_an_allow_list_nobody_else_comes_in() {
        let mut list = ip_list(r#"{"allow": ["10.0.0.0/8", "2001:db8::/32"]}"#);
        assert_eq!(
            let_in(&mut list, &["10.1.2.3", "192.0.2.1", "2001:db8::1", "::1"]),
            ["10.1.2.3", "2001:db8::1"]
        );
    }

    #[test]
    fn with_a_deny_list_everybody_else_comes_in() {
        let mut list = ip_list(r#"{"deny": ["192.0.2.7", "198.51.100.0/24"]}"#);
        assert_eq!(
            let_in(&mut list, &["192.0.2.7", "192.0.2.8", "198.51.100.9"]),
            ["192.0.2.8"]
        );
    }

    #[test]
    fn the_smallest_network_decides() {
        let config = r#"{"allow": ["10.0.0.0/8", "10.1.2.3"], "deny": ["10.1.0.0/16"]}"#;
        assert_eq!(
            let_in(&mut ip_list(config), &["10.0.0.1", "10.1.0.1", "10.1.2.3"]),
            ["10.0.0.1", "10.1.2.3"]
        );
    }

    #[test]
    fn the_default_can_be_said() {
        let config = r#"{"allow": ["10.0.0.1"], "default": "allow", "deny": ["10.0.0.0/8"]}"#;
        assert_eq!(
            let_in(&mut ip_list(config), &["10.0.0.1", "10.0.0.2", "192.0.2.1"]),
            ["10.0.0.1", "192.0.2.1"]
        );
    }

    #[test]
    fn a_map_goes_before_the_lists_and_counts_as_it_is_now() {
        host::set_map("clients", &[("192.0.2.7", "deny")]);
        let mut list = ip_list(r#"{"map": "clients", "deny": ["192.0.2.8"]}"#);
        let clients = ["192.0.2.7", "192.0.2.8", "192.0.2.9"];
        assert_eq!(let_in(&mut list, &clients), ["192.0.2.9"]);
        host::set_map("clients", &[("192.0.2.8", "allow"), ("192.0.2.9", "dney")]);
        assert_eq!(let_in(&mut list, &clients), ["192.0.2.7", "192.0.2.8"]);
    }

    #[test]
    fn an_unwelcome_connection_is_reset_or_closed() {
        let judge = |config| ip_list(config).on_connection(&connection().client("192.0.2.7"));
        assert_eq!(
            judge(r#"{"deny": ["192.0.2.7"]}"#),
            ConnectionDecision::reset()
        );
        assert_eq!(
            judge(r#"{"deny": ["192.0.2.7"], "refuse": "close"}"#),
            ConnectionDecision::close()
        );
    }

    #[test]
    fn requests_are_looked_at_if_that_is_asked_for_and_connections_then_not() {
        let mut list = ip_list(r#"{"deny": ["192.0.2.7"], "at": "request", "status": 404}"#);
        let denied = list.on_request(&request().client("192.0.2.7"));
        assert_eq!(denied, Decision::deny(404));
        assert_eq!(
            list.on_request(&request().client("192.0.2.8")),
            Decision::pass()
        );
        assert_eq!(list.inputs(), ["client-address"]);
        assert_eq!(
            list.on_connection(&connection().client("192.0.2.7")),
            ConnectionDecision::pass()
        );
    }

    #[test]
    fn mistakes_are_shown_at_their_place() {
        assert_eq!(
            refusal(r#"{"allow": ["10.0.0.0/8", "10.0.0.1/8"]}"#),
            "/allow/1: `10.0.0.1/8`: the address has bits after the prefix; the network is `10.0.0.0/8`"
        );
        assert_eq!(
            refusal(r#"{"allow": ["10.0.0.0/8"], "deny": ["10.0.0.0/8"]}"#),
            "/deny/0: `10.0.0.0/8` is both allowed and denied; leave it in one of the lists"
        );
        assert_eq!(
            refusal(r#"{"map": "nets"}"#),
            r#"/map: no map `nets` is granted; add `maps = ["nets"]` beside `plugin`"#
        );
        host::set_map("nets", &[("10.0.0.1", "yes")]);
        assert_eq!(
            refusal(r#"{"map": "nets"}"#),
            "/map: the map `nets` has `yes` for 10.0.0.1; write `allow` or `deny`"
        );
        assert!(refusal("{}").contains("everybody would be let in"));
    }
}
