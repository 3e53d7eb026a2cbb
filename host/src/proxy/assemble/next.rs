//! The version of a plugin that is tried out beside the one in use: loaded as that one is, and refused if it
//! could not take its place.

use std::sync::Arc;

use super::{BuildError, Loader, with_cause};
use crate::{
    config::{self, Mode, NextMode},
    frontend::{NextPart, NextUse, Picks, PluginUse, Rollout, Shadow, Terms},
    model::{BackendName, Hook, PluginName},
    plugin::{Breaker, BreakerRules, Place, Plugin, PluginSpec},
    telemetry::PluginPlace,
};

impl Loader<'_> {
    /// Loads what is tried out beside `current`. If it cannot be, that was said.
    pub(super) fn next(
        &mut self,
        config: &config::Next,
        current: &PluginUse,
        place: Place,
        shown: PluginPlace,
    ) -> Option<Arc<NextUse>> {
        // What both versions are asked must not be counted twice: a shadow has tables of its own.
        let apart;
        let counters = match config.mode {
            NextMode::Shadow => {
                apart = self.counters.apart();
                &apart
            }
            NextMode::Canary => self.counters,
        };
        let spec = PluginSpec::of(&config.used, place, self.maps, counters, self.backends);
        if config.mode == NextMode::Canary
            && config.give_up.disagreements.is_some()
            && !spec.grants.counters.is_empty()
        {
            let message = format!(
                "plugin `{}`: a canary with a limit on `disagreements` has both versions asked, and each would count; \
                 leave the limit out, or try the version as a shadow, which counts in tables of its own",
                spec.name
            );
            self.refuse(&config.used, message);
            return None;
        }
        let spec = PluginSpec {
            // Its errors and what it writes to the log are not to be taken for the current version's.
            name: PluginName::new(&format!("{} ({})", spec.name, config.mode.as_str())),
            ..spec
        };
        let plugin = self.load_plugin(&config.used, &spec)?;
        if let Err(missing) = takes_over(&current.plugin, &plugin, place) {
            let message = format!(
                "plugin `{}`: it does not answer `{missing}`, which the version in use does, so it cannot take its place",
                plugin.name()
            );
            self.refuse(&config.used, message);
            return None;
        }
        let terms = Terms::new(&current.plugin, &plugin, config);
        let rollout = self.rollout(&shown, terms);
        let picks = Arc::new(Picks::of(self.servers_at(&shown)));
        let part = match config.mode {
            NextMode::Canary => NextPart::Canary,
            NextMode::Shadow => {
                let started = Shadow::start(
                    Arc::clone(&current.plugin),
                    Arc::clone(&plugin),
                    Arc::clone(&rollout),
                    Arc::clone(&picks),
                );
                match started {
                    Ok(shadow) => NextPart::Shadow(shadow),
                    Err(error) => {
                        let message = format!(
                            "plugin `{}`: no thread for a shadow: {}",
                            plugin.name(),
                            with_cause(&error)
                        );
                        self.refuse(&config.used, message);
                        return None;
                    }
                }
            }
        };
        let offload = match config.mode {
            NextMode::Canary => self.offload(&config.used, &plugin)?,
            NextMode::Shadow => None,
        };
        let used = PluginUse {
            place: shown,
            offload,
            breaker: Arc::new(Breaker::new(BreakerRules::default())),
            // It has figures of its own, beside those of the version that it is compared with.
            metrics: Arc::default(),
            plugin,
            next: None,
        };
        Some(Arc::new(NextUse {
            used,
            rollout,
            part,
            picks,
        }))
    }

    /// The try that is under way already, if nothing about it has changed, or a new one.
    fn rollout(&self, place: &PluginPlace, terms: Terms) -> Arc<Rollout> {
        let mut known = self.former.into_iter().flat_map(|former| former.uses());
        let known = known.find(|used| used.place == *place);
        let known = known.and_then(|used| Some(&used.next.as_ref()?.rollout));
        match known {
            Some(known) if *known.terms() == terms => Arc::clone(known),
            Some(known) if known.terms().is_of_same_next(&terms) => {
                Arc::new(known.beside_another(terms))
            }
            Some(_) | None => Arc::new(Rollout::new(place.clone(), terms)),
        }
    }

    /// Whether clients can be told apart by what the file says wherever the plugin is asked. If not, that was said.
    pub(super) fn tells_clients_apart(
        &mut self,
        config: &config::PluginUse,
        mode: Mode,
        used: &PluginUse,
    ) -> Option<()> {
        let Some(next) = &config.next else {
            return Some(());
        };
        let judges_connections = used
            .answering()
            .any(|plugin| plugin.has_hook(Hook::OnConnection));
        let (known, why) = match mode {
            Mode::Http if judges_connections => (
                next.on.is_of_connection(),
                "is not known yet when connections are judged",
            ),
            Mode::Http => (true, ""),
            Mode::Tcp => (
                next.on.is_of_session(),
                "is not known where there are no requests",
            ),
        };
        if known {
            return Some(());
        }
        let message = format!(
            "plugin `{}`: its clients cannot be told apart by `on = \"{}\"`, which {why}; `on = \"client-address\"` would do",
            next.used.source_text(),
            next.on
        );
        self.refuse(&next.used, message);
        None
    }

    fn refuse(&mut self, config: &config::PluginUse, message: String) {
        let error = config.places.plugin_error(message);
        self.errors.push(BuildError::Config(error));
    }

    /// How many servers a balancer at this place picks from.
    fn servers_at(&self, place: &PluginPlace) -> usize {
        match place {
            PluginPlace::Balancer(backend) => self.servers_of(backend),
            PluginPlace::Filter { .. }
            | PluginPlace::BackendFilter { .. }
            | PluginPlace::Persistence(_) => 0,
        }
    }

    fn servers_of(&self, backend: &BackendName) -> usize {
        self.sizes.get(backend).copied().unwrap_or_default()
    }
}

/// A hook that the version in use answers and the other does not. The rest of what a plugin needs to stand in a place
/// is checked when it is loaded there.
fn takes_over(current: &Plugin, next: &Plugin, place: Place) -> Result<(), Hook> {
    let hooks: &[Hook] = match place {
        Place::Filter => &[Hook::OnConnection, Hook::OnRequest, Hook::OnResponse],
        Place::TcpFilter => &[Hook::OnConnection],
        Place::Balancer => &[Hook::Pick],
        Place::Persistence => &[Hook::Lookup, Hook::Assigned],
    };
    let missing = hooks
        .iter()
        .find(|hook| current.has_hook(**hook) && !next.has_hook(**hook));
    missing.map_or(Ok(()), |hook| Err(*hook))
}
