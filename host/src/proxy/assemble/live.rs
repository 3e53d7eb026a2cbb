//! Whether there is what plugins ask for facts of the moment about: a wrong name is an error when it is
//! loaded, not a fact that is never there.

use super::{BuildError, Loader};
use crate::{
    config::{self, Config, nearest},
    model::{Hook, Input, LiveFact},
    plugin::Plugin,
};

impl Loader<'_> {
    /// Whether all that a plugin asks about is in the configuration. If not, that was said.
    pub(super) fn has_asked_sensibly(
        &mut self,
        used: &config::PluginUse,
        plugin: &Plugin,
    ) -> Option<()> {
        let inputs = Hook::ALL.iter().flat_map(|hook| plugin.inputs(*hook));
        let mut missing: Vec<String> = inputs
            .filter_map(|input| match input {
                Input::Live(fact) => missing(self.config, fact),
                _ => None,
            })
            .collect();
        missing.dedup();
        for what in &missing {
            let message = format!("plugin `{}`: {what}", plugin.name());
            let error = used.places.plugin_error(message);
            self.errors.push(BuildError::Config(error));
        }
        missing.is_empty().then_some(())
    }
}

/// What is wrong with the name that a fact has; `None` if it is there.
fn missing(config: &Config, fact: &LiveFact) -> Option<String> {
    let backend_of = |name: &str| config.backends.iter().find(|it| it.name.as_str() == name);
    let no_backend = |name: &str| {
        let known = config.backends.iter().map(|it| it.name.as_str());
        unknown(fact, "backend", name, known)
    };
    match fact {
        LiveFact::Backend(_, name) => match backend_of(name.as_str()) {
            Some(_) => None,
            None => Some(no_backend(name.as_str())),
        },
        LiveFact::Server(_, name, server) => {
            let Some(backend) = backend_of(name.as_str()) else {
                return Some(no_backend(name.as_str()));
            };
            let known = backend.servers.iter().map(|it| it.name.as_str());
            let is_there = backend.servers.iter().any(|it| it.name == *server);
            let kind = format!("server of `{name}`");
            (!is_there).then(|| unknown(fact, &kind, server.as_str(), known))
        }
        LiveFact::FrontendConnections(name) => {
            let known = config.frontends.iter().map(|it| it.name.as_str());
            let is_there = config.frontends.iter().any(|it| it.name == *name);
            (!is_there).then(|| unknown(fact, "frontend", name.as_str(), known))
        }
    }
}

fn unknown<'k>(
    fact: &LiveFact,
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'k str>,
) -> String {
    let known: Vec<&str> = known.collect();
    let hint = match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are: {}", known.join(", ")),
    };
    format!("it asks for `{fact}`, and no {kind} is called `{name}`; {hint}")
}
