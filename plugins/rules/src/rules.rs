//! The rules of one filter: from a config to what answers each request.

use weir_sdk::{
    ConnectionDecision, Decision, Handle, Input, Needs, OnConnection, OnRequest, OnResponse,
    ResponseEdits, ResponseInput, Values, log, maps::Map,
};

use crate::{
    actions::{Action, ActionReader, ConnectionAction, ResponseAction},
    config::Config,
    expression,
    inputs::{Fact, Facts, Hook, Inputs, Slot},
    matchers::Matchers,
    problem::{Place, Problems},
    ruleset::Ruleset,
};

/// Compiled rules for connections, requests and responses.
#[derive(Debug)]
pub struct Rules {
    connections: Ruleset,
    connection_actions: Vec<ConnectionAction>,
    connection_handles: Vec<Handle<OnConnection>>,
    requests: Ruleset,
    actions: Vec<Action>,
    request_handles: Vec<Handle<OnRequest>>,
    responses: Ruleset,
    response_actions: Vec<ResponseAction>,
    response_handles: Vec<Handle<OnResponse>>,
}

impl Rules {
    /// Compiles a config and asks for the inputs and backends that it needs. Fails with all problems
    /// that there are.
    pub fn new(config: &Config, needs: &mut Needs) -> Result<Self, Problems> {
        let mut connections = Matchers::new(&config.matchers, Hook::Connection);
        let mut connection_conditions = Vec::new();
        let mut connection_actions = Vec::new();
        for (position, rule) in config.connection_rules.iter().enumerate() {
            let place = Place::root().key("connection_rule").index(position);
            connection_conditions.extend(connections.rule(rule.when.as_ref(), &place.key("when")));
            let (inputs, problems) = connections.templates();
            connection_actions.extend(
                ActionReader {
                    inputs,
                    problems,
                    place: &place,
                }
                .connection_action(rule, needs),
            );
        }

        let mut requests = Matchers::new(&config.matchers, Hook::Request);
        let mut conditions = Vec::new();
        let mut actions = Vec::new();
        for (position, rule) in config.rules.iter().enumerate() {
            let place = Place::root().key("rule").index(position);
            conditions.extend(requests.rule(rule.when.as_ref(), &place.key("when")));
            let (inputs, problems) = requests.templates();
            actions.extend(
                ActionReader {
                    inputs,
                    problems,
                    place: &place,
                }
                .action(rule, needs),
            );
        }

        let mut responses = Matchers::new(&config.matchers, Hook::Response);
        let mut response_conditions = Vec::new();
        let mut response_actions = Vec::new();
        for (position, rule) in config.response_rules.iter().enumerate() {
            let place = Place::root().key("response_rule").index(position);
            response_conditions.extend(responses.rule(rule.when.as_ref(), &place.key("when")));
            let (inputs, problems) = responses.templates();
            response_actions.push(
                ActionReader {
                    inputs,
                    problems,
                    place: &place,
                }
                .response_action(rule),
            );
        }
        if !response_actions.is_empty() {
            // The proxy calls a hook only if it has inputs, and rules without conditions need none.
            let _ = responses
                .templates()
                .0
                .add(Fact::Response(ResponseInput::Status));
        }

        let mut problems = check_names(config);
        check_unused(
            config,
            &[&connections, &requests, &responses],
            &mut problems,
        );
        let connections = connections.compile(connection_conditions, &mut problems);
        let requests = requests.compile(conditions, &mut problems);
        let responses = responses.compile(response_conditions, &mut problems);
        match (connections, requests, responses) {
            (
                Some((connections, connection_inputs)),
                Some((requests, inputs)),
                Some((responses, response_inputs)),
            ) if problems.is_empty() => {
                // The proxy asks about what is named; rules without conditions need no facts.
                if !config.connection_rules.is_empty() {
                    needs.connections();
                    if !config.rules.is_empty() {
                        needs.requests();
                    }
                }
                Ok(Self {
                    connections,
                    connection_actions,
                    connection_handles: connection_handles(&connection_inputs, needs),
                    requests,
                    actions,
                    request_handles: request_handles(&inputs, needs),
                    responses,
                    response_actions,
                    response_handles: response_handles(&response_inputs, needs),
                })
            }
            _ => Err(problems),
        }
    }

    /// What the rules say about a connection.
    pub fn on_connection(&mut self, values: &Values<'_, OnConnection>) -> ConnectionDecision {
        let facts = Known {
            values,
            handles: &self.connection_handles,
        };
        let mut decision = ConnectionDecision::pass();
        self.connections.each_match(&facts, |rule| {
            self.connection_actions[rule].apply(&facts, &mut decision)
        });
        decision
    }

    /// What the rules say about a request.
    pub fn on_request(&mut self, values: &Values<'_, OnRequest>) -> Decision {
        let facts = Known {
            values,
            handles: &self.request_handles,
        };
        let mut decision = Decision::pass();
        self.requests.each_match(&facts, |rule| {
            self.actions[rule].apply(&facts, &mut decision)
        });
        decision
    }

    /// What the response rules change about a response.
    pub fn on_response(&mut self, values: &Values<'_, OnResponse>) -> ResponseEdits {
        let facts = Known {
            values,
            handles: &self.response_handles,
        };
        let mut edits = ResponseEdits::none();
        self.responses.each_match(&facts, |rule| {
            self.response_actions[rule].apply(&facts, &mut edits);
            std::ops::ControlFlow::Continue(())
        });
        edits
    }
}

/// The values of a call by the slots that the rules know them by.
struct Known<'k, 'v, H: weir_sdk::Hook> {
    values: &'k Values<'v, H>,
    handles: &'k [Handle<H>],
}

impl<H: weir_sdk::Hook> Facts for Known<'_, '_, H> {
    fn value(&self, slot: Slot) -> Option<&str> {
        self.values.get(self.handles[slot.0])
    }

    fn lookup(&self, map: &str, key: &str) -> Option<String> {
        Map::named(map).lookup(key)
    }
}

fn connection_handles(inputs: &Inputs, needs: &mut Needs) -> Vec<Handle<OnConnection>> {
    let facts = inputs.facts().iter();
    facts.map(|fact| needs.input(request_input(fact))).collect()
}

fn request_handles(inputs: &Inputs, needs: &mut Needs) -> Vec<Handle<OnRequest>> {
    let facts = inputs.facts().iter();
    facts.map(|fact| needs.input(request_input(fact))).collect()
}

fn request_input(fact: &Fact) -> Input {
    match fact {
        Fact::Request(input) => input.clone(),
        Fact::Response(_) => unreachable!("only the inputs of responses take facts of responses"),
    }
}

fn response_handles(inputs: &Inputs, needs: &mut Needs) -> Vec<Handle<OnResponse>> {
    let facts = inputs.facts().iter();
    facts
        .map(|fact| match fact {
            Fact::Request(input) => needs.input(input.clone()),
            Fact::Response(input) => needs.response_input(input.clone()),
        })
        .collect()
}

fn check_names(config: &Config) -> Problems {
    let mut problems = Problems::default();
    for name in config
        .matchers
        .keys()
        .filter(|name| !expression::is_name(name))
    {
        let what = format!(
            "`{name}` cannot be a matcher's name: letters, digits, `_` and `-`, not `and`, `or` or `not`"
        );
        problems.add(Place::root().key("match").key(name).problem(what));
    }
    problems
}

/// A matcher that no rule uses is still checked, and said to be useless.
fn check_unused(config: &Config, all: &[&Matchers<'_>], problems: &mut Problems) {
    let used = |name: &str| all.iter().any(|matchers| matchers.has_used(name));
    let mut unused = Matchers::new(&config.matchers, Hook::Response);
    for name in config.matchers.keys().filter(|name| !used(name)) {
        unused.check(name);
        log::warn(format_args!("matcher `{name}` is not used by any rule"));
    }
    unused.compile(Vec::new(), problems);
}
