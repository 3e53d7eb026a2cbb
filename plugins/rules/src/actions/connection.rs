//! What a rule does with a connection. There is nothing to edit yet and nobody to answer, so there is little.

use std::{collections::HashMap, ops::ControlFlow};

use weir_sdk::{BackendRef, ConnectionDecision, ConnectionVerdict, Needs, Refusal};

use super::ActionReader;
use crate::{
    config,
    inputs::Facts,
    template::{self, Template},
};

/// What a rule does with a connection.
#[derive(Debug)]
pub struct ConnectionAction {
    vars: Vec<(String, Template)>,
    ending: Option<Ending>,
}

/// What ends the search for rules.
#[derive(Debug)]
enum Ending {
    Use(BackendRef),
    /// If the name is none of these, the search goes on.
    UseOneOf {
        name: Template,
        backends: HashMap<String, BackendRef>,
    },
    Stop,
    Refuse(Refusal),
}

impl ConnectionAction {
    /// Sets the variables, and breaks if the rule has the last word.
    pub fn apply(&self, facts: &impl Facts, decision: &mut ConnectionDecision) -> ControlFlow<()> {
        for (name, value) in &self.vars {
            decision.vars.push((name.clone(), value.fill(facts)));
        }
        let verdict = match &self.ending {
            None => return ControlFlow::Continue(()),
            Some(Ending::Stop) => return ControlFlow::Break(()),
            Some(Ending::Use(backend)) => ConnectionVerdict::UseBackend(*backend),
            Some(Ending::Refuse(refusal)) => ConnectionVerdict::Refuse(*refusal),
            Some(Ending::UseOneOf { name, backends }) => {
                let name = name.fill_whole(facts);
                match name.and_then(|name| backends.get(&name).copied()) {
                    Some(backend) => ConnectionVerdict::UseBackend(backend),
                    None => return ControlFlow::Continue(()),
                }
            }
        };
        decision.verdict = verdict;
        ControlFlow::Break(())
    }
}

impl ActionReader<'_> {
    /// Reads a rule about connections. What is wrong with it is noted.
    pub fn connection_action(
        &mut self,
        rule: &config::ConnectionRule,
        needs: &mut Needs,
    ) -> Option<ConnectionAction> {
        // Taken apart, so that a new key cannot be forgotten here.
        let config::ConnectionRule {
            when: _,
            use_backend,
            use_one_of,
            stop,
            refuse,
            set_var,
        } = rule;
        let endings = [
            ("use", use_backend.is_some()),
            ("use_one_of", use_one_of.is_some()),
            ("stop", *stop),
            ("refuse", refuse.is_some()),
        ];
        let said = endings.into_iter().filter(|(_, is_there)| *is_there);
        let said: Vec<&str> = said.map(|(key, _)| key).collect();
        if let [first, second, ..] = said.as_slice() {
            let what = format!("`{first}` and `{second}`: a rule has one outcome");
            self.problems.add(self.place.problem(what));
            return None;
        }
        if said.is_empty() && set_var.is_empty() {
            let what = "a rule that does nothing; add `use`, `refuse`, `stop` or `set_var`";
            self.problems.add(self.place.problem(what));
            return None;
        }
        let vars = set_var.iter().filter_map(|(name, value)| {
            let place = self.place.key("set_var").key(name);
            if name.is_empty() {
                self.problems.add(place.problem("a variable needs a name"));
            }
            let value = self.template(value, template::Place::Field, &place)?;
            Some((name.clone(), value))
        });
        let vars = vars.collect();
        let ending = match (use_backend, use_one_of, refuse) {
            _ if *stop => Some(Ending::Stop),
            (Some(backend), ..) => Some(Ending::Use(needs.backend(backend))),
            (_, Some(one_of), _) => {
                let (name, backends) = self.one_of(one_of, needs)?;
                Some(Ending::UseOneOf { name, backends })
            }
            (_, _, Some(refuse)) => Some(Ending::Refuse((*refuse).into())),
            (None, None, None) => None,
        };
        Some(ConnectionAction { vars, ending })
    }
}
