//! A plugin under test, as the proxy would have loaded it.

use std::{fmt, num::NonZeroU32, time::Duration};

use crate::{
    balancing::{Outcome, Pick, Server},
    config,
    connection::{ConnectionDecision, ConnectionVerdict},
    contract::lifecycle::exports::weir::plugin::lifecycle as contract,
    decision::{Decision, Verdict},
    edits::ResponseEdits,
    hook::{
        Hook, NAMES, OnAssigned, OnConnection, OnLookup, OnPick, OnRequest, OnResponse,
        sealed::Hook as _,
    },
    needs::Needs,
    plugin::{
        Balancer, ConnectionFilter, FeedbackBalancer, Found, Persistence, Plugin, RequestFilter,
        ResponseFilter,
    },
    test::{Connection, Request, Response},
    values::Values,
};

/// A configured plugin. Its hooks are called with what it asked for, taken from the given exchange.
#[derive(Debug)]
pub struct Loaded<P> {
    plugin: P,
    needs: contract::Needs,
    /// How many servers the balancer was last told of.
    servers: usize,
}

/// The plugin did not take its config. Holds the text that an operator would see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError(pub String);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LoadError {}

/// Servers with these names and weights, with the ids 1, 2, 3 and without limits.
pub fn servers(names_and_weights: &[(&str, u32)]) -> Vec<Server> {
    (1..)
        .zip(names_and_weights)
        .map(|(id, &(name, weight))| Server {
            name: name.to_owned(),
            id,
            weight,
            limit: None,
        })
        .collect()
}

impl Server {
    /// Takes this many exchanges at a time; 0 is no limit.
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = NonZeroU32::new(limit);
        self
    }
}

impl<P: Plugin> Loaded<P> {
    /// Configures a plugin with JSON: a text, or a `serde_json::Value`.
    pub fn new(config: impl fmt::Display) -> Result<Self, LoadError> {
        let mut needs = Needs::default();
        let plugin = config::parse(&config.to_string())
            .and_then(|config| P::configure(config, &mut needs))
            .map_err(|error| LoadError(error.to_string()))?;
        Ok(Self {
            plugin,
            needs: needs.into_contract(),
            servers: 0,
        })
    }

    /// The inputs that the plugin asked for, over all hooks, as the contract names them.
    pub fn inputs(&self) -> Vec<&str> {
        let hooks = self.needs.inputs.iter();
        hooks
            .flat_map(|hook| hook.inputs.iter().map(String::as_str))
            .collect()
    }

    /// The backends that the plugin may route to.
    pub fn backends(&self) -> &[String] {
        &self.needs.backends
    }

    /// Which backend the decision chose; none if it did not choose one.
    pub fn backend_of(&self, decision: &Decision) -> Option<&str> {
        match decision.verdict {
            Verdict::UseBackend(backend) => Some(&self.needs.backends[backend.0 as usize]),
            Verdict::Pass | Verdict::Reply(_) | Verdict::Deny(_) => None,
        }
    }

    /// Whether the plugin said that its answers can be given again.
    pub fn is_repeatable(&self) -> bool {
        self.asked_for("repeatable")
    }

    fn asked_for(&self, feature: &str) -> bool {
        self.needs.features.iter().any(|asked| asked == feature)
    }

    fn facts<H: Hook>(
        &self,
        request: &Request,
        response: Option<&Response>,
    ) -> Vec<Option<String>> {
        let hooks = &mut self.needs.inputs.iter();
        let asked = hooks.find(|hook| hook.hook == NAMES[H::POSITION]);
        asked
            .map_or(&[][..], |hook| &hook.inputs)
            .iter()
            .map(|input| {
                let of_response = response.and_then(|response| response.fact(input));
                of_response.unwrap_or_else(|| request.fact(input))
            })
            .collect()
    }
}

impl<P: ConnectionFilter> Loaded<P> {
    pub fn on_connection(&mut self, connection: &Connection) -> ConnectionDecision {
        let hooks = &mut self.needs.inputs.iter();
        let asked = hooks.find(|hook| hook.hook == NAMES[OnConnection::POSITION]);
        let inputs = asked.map_or(&[][..], |hook| &hook.inputs);
        let facts: Vec<_> = inputs.iter().map(|input| connection.fact(input)).collect();
        self.plugin.on_connection(&Values::new(&facts))
    }

    /// Which backend the decision on a connection chose; none if it did not choose one.
    pub fn backend_of_connection(&self, decision: &ConnectionDecision) -> Option<&str> {
        match decision.verdict {
            ConnectionVerdict::UseBackend(backend) => {
                Some(&self.needs.backends[backend.0 as usize])
            }
            ConnectionVerdict::Pass | ConnectionVerdict::Refuse(_) => None,
        }
    }
}

impl<P: RequestFilter> Loaded<P> {
    pub fn on_request(&mut self, request: &Request) -> Decision {
        let facts = self.facts::<OnRequest>(request, None);
        self.plugin.on_request(&Values::new(&facts))
    }
}

impl<P: ResponseFilter> Loaded<P> {
    pub fn on_response(&mut self, request: &Request, response: &Response) -> ResponseEdits {
        let facts = self.facts::<OnResponse>(request, Some(response));
        self.plugin.on_response(&Values::new(&facts))
    }
}

impl<P: Balancer> Loaded<P> {
    pub fn update(&mut self, servers: &[Server]) {
        self.servers = servers.len();
        self.plugin.update(servers);
    }

    /// One pick. `loads` is only passed on if the plugin asked for it. Panics if the plugin answers with
    /// a position that there is not.
    pub fn pick(
        &mut self,
        turn: u64,
        request: &Request,
        loads: &[u32],
        tried: &[u32],
    ) -> Option<usize> {
        let facts = self.facts::<OnPick>(request, None);
        let wants_loads = self.asked_for("loads");
        let picked = self.plugin.pick(&Pick {
            turn,
            values: Values::new(&facts),
            loads: if wants_loads { loads } else { &[] },
            tried,
        });
        assert!(
            picked.is_none_or(|server| server < self.servers),
            "picked {picked:?} of {} servers",
            self.servers
        );
        picked
    }

    /// The picks of this many turns from 0, one digit per pick counted from 1 and `-` for none: `123123`.
    /// For at most nine servers, all idle.
    pub fn picks(&mut self, turns: u64) -> String {
        let loads = vec![0; self.servers];
        (0..turns)
            .map(
                |turn| match self.pick(turn, &super::request(), &loads, &[]) {
                    Some(server) => {
                        char::from_digit(server as u32 + 1, 10).expect("at most nine servers")
                    }
                    None => '-',
                },
            )
            .collect()
    }
}

impl<P: FeedbackBalancer> Loaded<P> {
    pub fn observe(&mut self, server: usize, outcome: Outcome, took: Duration) {
        self.plugin.observe(server, outcome, took);
    }
}

impl<P: Persistence> Loaded<P> {
    pub fn lookup(&mut self, request: &Request) -> Found {
        let facts = self.facts::<OnLookup>(request, None);
        self.plugin.lookup(&Values::new(&facts))
    }

    pub fn assigned(
        &mut self,
        server: &str,
        request: &Request,
        response: &Response,
    ) -> ResponseEdits {
        let facts = self.facts::<OnAssigned>(request, Some(response));
        self.plugin.assigned(server, &Values::new(&facts))
    }

    /// Whether the plugin wants `assigned` for every response.
    pub fn wants_all_assigned(&self) -> bool {
        self.asked_for("always-assigned")
    }
}
