//! Plugins: loaded for where they are used, and refused where they would be of no use.

use std::sync::Arc;

use super::{BuildError, Loader, errors::located, with_cause};
use crate::{
    config::{self, Mode},
    frontend::{Filter, PluginUse},
    model::Hook,
    plugin::{Breaker, BreakerRules, LoadError, Offload, Place, Plugin, PluginSpec},
    telemetry::PluginPlace,
};

impl Loader<'_> {
    pub(super) fn filter(
        &mut self,
        config: &config::PluginUse,
        mode: Mode,
        shown: PluginPlace,
    ) -> Option<Filter> {
        let place = match mode {
            Mode::Http => Place::Filter,
            Mode::Tcp => Place::TcpFilter,
        };
        let used = self.plugin(config, place, shown)?;
        self.suits(config, mode, &used)?;
        let mut backends = Vec::new();
        for (config, plugin) in config.with_next().zip(used.versions()) {
            let named = plugin.backends();
            if let Some(other) = named
                .iter()
                .find(|name| self.modes.get(*name) != Some(&mode))
            {
                let message = format!(
                    "plugin `{}`: it routes to the backend `{other}`, whose `mode` is not \"{}\" as this frontend's",
                    plugin.name(),
                    mode.as_str()
                );
                let error = config.places.plugin_error(message);
                self.errors.push(BuildError::Config(error));
                return None;
            }
            backends.extend(named.iter().map(|name| self.position(name)));
        }
        Some(Filter {
            backends: backends.into_iter().collect::<Option<_>>()?,
            used,
            on_failure: config.on_failure,
        })
    }

    /// A filter that is asked when the backend is chosen already, so it may not choose one. In front of TCP it
    /// judges connections, and otherwise what comes later.
    pub(super) fn backend_filter(
        &mut self,
        backend: &config::Backend,
        used: &config::PluginUse,
        position: usize,
    ) -> Option<Filter> {
        let mode = backend.mode;
        let backend = backend.name.clone();
        let filter = self.filter(used, mode, PluginPlace::BackendFilter { backend, position })?;
        for (config, plugin) in used.with_next().zip(filter.used.versions()) {
            let objection = if mode == Mode::Http && plugin.has_hook(Hook::OnConnection) {
                "as the filter of a backend it would never be asked about connections; use it in a frontend, or have it judge requests"
            } else if !plugin.backends().is_empty() {
                "as the filter of a backend it cannot choose another one; let a filter of the frontend choose"
            } else {
                continue;
            };
            let message = format!("plugin `{}`: {objection}", plugin.name());
            let error = BuildError::Config(config.places.plugin_error(message));
            self.errors.push(error);
            return None;
        }
        Some(filter)
    }

    /// Whether a plugin asks for nothing that there is not with this mode. If not, that was said.
    pub(super) fn suits(
        &mut self,
        config: &config::PluginUse,
        mode: Mode,
        used: &PluginUse,
    ) -> Option<()> {
        for (config, plugin) in config.with_next().zip(used.versions()) {
            let checked = match mode {
                Mode::Http => Ok(()),
                Mode::Tcp => plugin.check_without_requests(),
            };
            if let Err(fault) = checked {
                let plugin = plugin.name().clone();
                self.errors
                    .extend(located(config, &LoadError { plugin, fault }));
                return None;
            }
        }
        self.tells_clients_apart(config, mode, used)
    }

    pub(super) fn plugin(
        &mut self,
        config: &config::PluginUse,
        place: Place,
        shown: PluginPlace,
    ) -> Option<PluginUse> {
        let spec = PluginSpec::of(config, place, self.maps, self.counters, self.backends);
        let plugin = self.load_plugin(config, &spec)?;
        let used = PluginUse {
            offload: self.offload(config, &plugin)?,
            metrics: self.builder.metrics.plugin(shown.clone(), plugin.name()),
            place: shown.clone(),
            breaker: Arc::new(Breaker::new(BreakerRules::default())),
            plugin,
            next: None,
        };
        let next = match &config.next {
            Some(next) => Some(self.next(next, &used, place, shown)?),
            None => None,
        };
        Some(PluginUse { next, ..used })
    }

    /// The plugin alone. If it does not load, that was said.
    pub(super) fn load_plugin(
        &mut self,
        config: &config::PluginUse,
        spec: &PluginSpec<'_>,
    ) -> Option<Arc<Plugin>> {
        let loaded = match self.store.obtain(config) {
            Ok(Some(bytes)) => Plugin::from_bytes(&self.builder.runtime, &bytes, spec),
            Ok(None) => Plugin::load(&self.builder.runtime, spec),
            Err(error) => {
                let message = format!("plugin `{}`: {}", spec.name, with_cause(&error));
                let error = config.places.plugin_error(message);
                self.errors.push(BuildError::Config(error));
                return None;
            }
        };
        match loaded {
            Ok(plugin) => {
                self.has_asked_sensibly(config, &plugin)?;
                Some(plugin)
            }
            Err(error) => {
                self.errors.extend(located(config, &error));
                None
            }
        }
    }

    /// The threads of a use that asks for some. None in the outer sense if there are none to be had.
    pub(super) fn offload(
        &mut self,
        config: &config::PluginUse,
        plugin: &Arc<Plugin>,
    ) -> Option<Option<Arc<Offload>>> {
        let Some(sizes) = config.offload else {
            return Some(None);
        };
        match Offload::start(Arc::clone(plugin), sizes) {
            Ok(offload) => Some(Some(offload)),
            Err(error) => {
                let message = format!("plugin `{}`: {}", plugin.name(), with_cause(&error));
                let error = BuildError::Config(config.places.plugin_error(message));
                self.errors.push(error);
                None
            }
        }
    }
}
