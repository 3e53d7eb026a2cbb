//! Keeps in a table that all workers share which server a client has, so that it goes there again. What a
//! client is known by can be anything a request or its connection shows; nothing is sent to it.

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::{
    ConfigError, Found, Handle, Hook, Input, Needs, OnAssigned, OnLookup, Persistence, Plugin,
    RequestEdits, ResponseEdits, ResponseInput, Values, counters::Table,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The table of `[[counters]]` to keep servers in; it must be granted with `counters = [..]`.
    table: String,
    /// What clients are known by: each of these facts that there is, the first that is known counts.
    on: Option<Vec<Input>>,
    /// Facts that are looked up after those of `on`, and not kept.
    #[serde(default)]
    look_up: Vec<Input>,
    /// Facts that are kept beside those of `on`, and not looked up.
    #[serde(default)]
    keep: Vec<Input>,
    /// Facts of answers that are kept, to be looked up in later requests.
    #[serde(default)]
    keep_answer: Vec<ResponseInput>,
}

#[derive(Debug)]
pub struct Stick {
    table: Table,
    looked_up: Vec<Handle<OnLookup>>,
    kept: Vec<Handle<OnAssigned>>,
}

weir_sdk::export!(Stick: Persistence);

impl Plugin for Stick {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        let table =
            Table::granted(&config.table).map_err(|error| ConfigError::at("/table", error))?;
        let by_address = || vec![Input::ClientAddress];
        let says_more = [&config.look_up, &config.keep]
            .iter()
            .any(|list| !list.is_empty())
            || !config.keep_answer.is_empty();
        let on = config
            .on
            .unwrap_or_else(|| if says_more { Vec::new() } else { by_address() });
        let looked_up = handles(on.iter().chain(&config.look_up), needs);
        let mut kept: Vec<_> = handles(on.iter().chain(&config.keep), needs);
        let of_answers = config.keep_answer.iter();
        kept.extend(of_answers.map(|input| needs.response_input(input.clone())));
        if looked_up.is_empty() {
            let why = "nothing would be looked up; write `on = [\"client_address\"]`, or `look_up`";
            return Err(ConfigError::at("/on", why));
        }
        // Who is found by one fact may not be known yet by the others.
        let is_simple = kept.len() == 1 && looked_up.len() == 1 && !says_more;
        if !is_simple && !kept.is_empty() {
            needs.always_assigned();
        }
        Ok(Self {
            table,
            looked_up,
            kept,
        })
    }
}

fn handles<'i, H: Hook>(
    inputs: impl Iterator<Item = &'i Input>,
    needs: &mut Needs,
) -> Vec<Handle<H>> {
    inputs.map(|input| needs.input(input.clone())).collect()
}

impl Persistence for Stick {
    fn lookup(&mut self, values: &Values<'_, OnLookup>) -> Found {
        let known = self.looked_up.iter().filter_map(|fact| values.get(*fact));
        let mut servers = known.filter_map(|key| self.table.value(key));
        Found {
            server: servers.next(),
            edits: RequestEdits::none(),
        }
    }

    fn assigned(&mut self, server: &str, values: &Values<'_, OnAssigned>) -> ResponseEdits {
        for key in self.kept.iter().filter_map(|fact| values.get(*fact)) {
            // In a full table that takes nobody, the client goes on without being known.
            self.table.set_value(key, server);
        }
        ResponseEdits::none()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use weir_sdk::test::{
        Loaded, Request,
        counters::{kept, set_counters, set_expire},
        host::set_clock,
        request, response,
    };

    use super::*;

    fn stick(config: &str) -> Loaded<Stick> {
        set_counters("sticky", &[]);
        set_expire("sticky", Duration::from_secs(60));
        Loaded::new(config).expect("the config is sound")
    }

    fn at(seconds: u64) {
        set_clock(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    }

    fn server(plugin: &mut Loaded<Stick>, request: &Request) -> Option<String> {
        plugin.lookup(request).server
    }

    const BY_ADDRESS: &str = r#"{"table": "sticky"}"#;

    #[test]
    fn a_client_is_known_by_its_address_once_it_had_a_server() {
        let mut plugin = stick(BY_ADDRESS);
        let client = request().client("192.0.2.1");
        assert_eq!(server(&mut plugin, &client), None);
        let edits = plugin.assigned("web2", &client, &response(200));
        assert!(edits.is_empty(), "nothing is sent to the client");
        assert_eq!(server(&mut plugin, &client).as_deref(), Some("web2"));
        assert_eq!(server(&mut plugin, &request().client("192.0.2.2")), None);
        assert!(!plugin.wants_all_assigned(), "once is enough");
    }

    #[test]
    fn a_client_that_got_another_server_has_that_one_from_then_on() {
        let mut plugin = stick(BY_ADDRESS);
        let client = request();
        plugin.assigned("web1", &client, &response(200));
        plugin.assigned("web2", &client, &response(200));
        assert_eq!(server(&mut plugin, &client).as_deref(), Some("web2"));
    }

    #[test]
    fn a_client_is_forgotten_when_it_did_not_come_for_so_long() {
        at(0);
        let mut plugin = stick(BY_ADDRESS);
        plugin.assigned("web1", &request(), &response(200));
        for now in [59, 118, 177] {
            at(now);
            assert!(server(&mut plugin, &request()).is_some(), "after {now} s");
        }
        at(237);
        assert_eq!(server(&mut plugin, &request()), None);
    }

    #[test]
    fn of_several_facts_the_first_that_is_known_counts_and_all_are_kept() {
        let config = r#"{"table": "sticky", "on": [{"cookie": "id"}, "client_address"]}"#;
        let mut plugin = stick(config);
        assert!(plugin.wants_all_assigned());
        plugin.assigned("web1", &request().client("192.0.2.1"), &response(200));
        let with_cookie = request().client("192.0.2.1").cookie("id", "abc");
        assert_eq!(server(&mut plugin, &with_cookie).as_deref(), Some("web1"));
        plugin.assigned("web1", &with_cookie, &response(200));
        let elsewhere = request().client("198.51.100.9").cookie("id", "abc");
        assert_eq!(server(&mut plugin, &elsewhere).as_deref(), Some("web1"));
    }

    #[test]
    fn what_a_server_hands_out_can_be_kept_and_looked_up_later() {
        let config = r#"{"table": "sticky", "look_up": [{"cookie": "JSESSIONID"}],
            "keep_answer": [{"cookie": "JSESSIONID"}]}"#;
        let mut plugin = stick(config);
        let answer = response(200).header("set-cookie", "JSESSIONID=x1; path=/");
        plugin.assigned("web3", &request(), &answer);
        plugin.assigned("web4", &request(), &response(200));
        let later = request().cookie("JSESSIONID", "x1");
        assert_eq!(server(&mut plugin, &later).as_deref(), Some("web3"));
        assert_eq!(kept("sticky"), [("x1".to_owned(), Some("web3".to_owned()))]);
    }

    #[test]
    fn facts_can_be_looked_up_alone_and_kept_alone() {
        let only_looked_up = r#"{"table": "sticky", "look_up": ["client_address"]}"#;
        let mut plugin = stick(only_looked_up);
        plugin.assigned("web1", &request(), &response(200));
        assert_eq!(kept("sticky"), []);
        let config =
            r#"{"table": "sticky", "on": [{"cookie": "id"}], "keep": [{"header": "x-id"}]}"#;
        let mut plugin = stick(config);
        let both = request().header("x-id", "7").cookie("id", "8");
        plugin.assigned("web1", &both, &response(200));
        assert_eq!(kept("sticky").len(), 2);
        assert_eq!(server(&mut plugin, &request().header("x-id", "7")), None);
    }

    #[test]
    fn in_front_of_tcp_nothing_of_requests_is_asked_for() {
        assert_eq!(
            stick(BY_ADDRESS).inputs(),
            ["client-address", "client-address"]
        );
    }

    #[test]
    fn mistakes_are_shown_at_their_place() {
        let refusal = |config: &str| {
            set_counters("sticky", &[]);
            Loaded::<Stick>::new(config).unwrap_err().to_string()
        };
        assert!(
            refusal(r#"{"table": "s"}"#).starts_with("/table: no table of counters `s` is granted")
        );
        let nothing = r#"{"table": "sticky", "keep": ["client_address"]}"#;
        assert!(refusal(nothing).starts_with("/on: nothing would be looked up"));
    }
}
