//! A plugin as one place in weir.toml uses it, once it is loaded. Instances are made from it.

use std::{fmt, sync::Arc, time::Duration};

use wasmtime::component::InstancePre;

use crate::{
    config::{CounterTable, Grants, PluginSource, PluginUse},
    model::{BackendName, Hook, Input, PluginName},
};

use super::{
    component::{Component, Digest},
    contract::{Place, Role},
    counters::CounterStore,
    error::{Call, CallError, CallFault, LoadFault},
    exports::ExportIndices,
    imports::{State, Surroundings},
    instance::{Deadline, Instance, StartError},
    maps::MapStore,
    needs::Needs,
    runtime::Runtime,
    v0_1,
};

/// A use of a plugin to be loaded.
#[derive(Debug, Clone)]
pub struct PluginSpec<'a> {
    /// What logs and errors call it.
    pub name: PluginName,
    pub source: PluginSource,
    /// Where it stands, which says what it must be able to do.
    pub place: Place,
    /// JSON text.
    pub config: &'a str,
    pub grants: &'a Grants,
    pub maps: &'a MapStore,
    pub counters: &'a CounterStore,
    /// Of one call.
    pub deadline: Duration,
    /// Of one instance, in bytes.
    pub memory: usize,
    /// The backends that there are.
    pub backends: &'a [BackendName],
}

impl<'a> PluginSpec<'a> {
    /// The spec of a use in weir.toml. The plugin is called what its source is written as.
    pub fn of(
        used: &'a PluginUse,
        place: Place,
        maps: &'a MapStore,
        counters: &'a CounterStore,
        backends: &'a [BackendName],
    ) -> Self {
        let name = PluginName::new(&used.source_text());
        Self {
            name,
            source: used.source.clone(),
            place,
            config: &used.config,
            grants: &used.grants,
            maps,
            counters,
            deadline: used.deadline,
            memory: used.memory,
            backends,
        }
    }
}

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginInfo {
    pub name: String,
    pub version: String,
    pub summary: String,
    /// JSON Schema as JSON text; may be empty.
    pub config_schema: String,
}

/// A plugin that is known to work with its config. Shared by all workers.
pub struct Plugin {
    pub(super) core: Arc<Core>,
    pub(super) info: PluginInfo,
    pub(super) config: String,
    pub(super) needs: Needs,
}

/// What instances are made of.
pub(super) struct Core {
    pub name: PluginName,
    pub runtime: Arc<Runtime>,
    pub component: Arc<Component>,
    pub pre: InstancePre<State>,
    pub exports: ExportIndices,
    pub surroundings: Arc<Surroundings>,
    pub setup: Deadline,
    pub deadline: Deadline,
    pub memory: usize,
}

impl Plugin {
    /// Makes an instance that is ready to be called. Takes what `configure` takes.
    pub fn instantiate(&self) -> Result<Instance, CallError> {
        let mut instance = Instance::start(&self.core).map_err(|error| match error {
            StartError::Failed(error) => error,
            StartError::Wrong(wrong) => {
                let message = wrong.message;
                self.core
                    .error(Call::Instantiate, CallFault::Answer { message })
            }
        })?;
        let fault = match instance.configure(&self.config)? {
            Err(message) => CallFault::Refused { message },
            Ok(asked) => {
                let backends = &self.needs.backends;
                match Needs::check(&asked, self.core.component.roles(), backends) {
                    Ok(needs) if needs == self.needs => {
                        instance.configured(backends.len());
                        instance.ready();
                        return Ok(instance);
                    }
                    // Values are passed in the order that was asked for when the plugin was loaded.
                    Ok(_) | Err(_) => CallFault::Answer {
                        message: "it asked for other things than when it was loaded".to_owned(),
                    },
                }
            }
        };
        Err(self.core.error(Call::Configure, fault))
    }

    /// The tables of counters that it was granted.
    pub fn counters(&self) -> impl Iterator<Item = &CounterTable> {
        let tables = self.core.surroundings.counters.iter();
        tables.map(|table| table.declared())
    }

    /// Like [`instantiate`](Self::instantiate), for an instance whose answers are only compared: it leaves
    /// nothing in what others share.
    pub fn rehearse(&self) -> Result<Instance, CallError> {
        let mut instance = self.instantiate()?;
        instance.begin_trial();
        Ok(instance)
    }

    pub fn name(&self) -> &PluginName {
        &self.core.name
    }

    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// All that the component can be used as, not only what it is used as here.
    pub fn roles(&self) -> &[Role] {
        self.core.component.roles()
    }

    pub fn has(&self, role: Role) -> bool {
        self.roles().contains(&role)
    }

    /// Whether a hook is to be called. A plugin that judges both directions is spared the calls about
    /// responses unless it named inputs for them, be it none: most such plugins have nothing to say there.
    pub fn has_hook(&self, hook: Hook) -> bool {
        match hook {
            Hook::OnConnection => {
                self.has(Role::ConnectionFilter)
                    && (self.needs.names(hook) || !self.judges_more_than_connections())
            }
            Hook::OnRequest => {
                self.has(Role::RequestFilter)
                    && (self.needs.names(hook) || !self.needs.names(Hook::OnConnection))
            }
            Hook::OnResponse => {
                self.has(Role::ResponseFilter)
                    && (self.needs.names(hook) || !self.has(Role::RequestFilter))
            }
            Hook::Pick => self.has(Role::Balancer),
            Hook::Lookup | Hook::Assigned => self.has(Role::Persistence),
        }
    }

    fn judges_more_than_connections(&self) -> bool {
        self.has(Role::RequestFilter) || self.has(Role::ResponseFilter)
    }

    /// Whether it can be used where there are no requests: it must not ask for what only they have.
    pub fn check_without_requests(&self) -> Result<(), LoadFault> {
        let hooks = [Hook::OnConnection, Hook::Pick, Hook::Lookup, Hook::Assigned];
        for hook in hooks.into_iter().filter(|hook| self.has_hook(*hook)) {
            let wrong = self
                .inputs(hook)
                .iter()
                .find(|input| !input.is_of_session());
            if let Some(input) = wrong {
                return Err(LoadFault::NoRequests {
                    hook,
                    input: input.to_string(),
                });
            }
        }
        if self.has(Role::ConnectionFilter) && !self.has_hook(Hook::OnConnection) {
            return Err(LoadFault::NothingToJudge);
        }
        Ok(())
    }

    /// The values that a hook is to be called with, in this order.
    pub fn inputs(&self, hook: Hook) -> &[Input] {
        self.needs.inputs(hook)
    }

    /// The backends that a verdict chooses from by position.
    pub fn backends(&self) -> &[BackendName] {
        &self.needs.backends
    }

    /// Whether `pick` is to be given the servers' loads.
    pub fn wants_loads(&self) -> bool {
        self.needs.loads
    }

    /// Whether `assigned` is to be called for every response.
    pub fn always_assigned(&self) -> bool {
        self.needs.always_assigned
    }

    /// Whether an answer can be given again as long as parameters and maps are the same.
    pub fn is_repeatable(&self) -> bool {
        self.needs.repeatable
    }

    /// Changes whenever one of the maps that were granted does.
    pub fn maps_version(&self) -> u64 {
        let maps = &self.core.surroundings.maps;
        // Each only counts up, so no two changes make up for each other.
        maps.iter().map(|map| map.version()).sum()
    }

    /// Whether picks can be asked for ahead, with the turn alone.
    pub fn picks_ahead(&self) -> bool {
        self.has(Role::BalancerAhead) && !self.needs.loads && self.inputs(Hook::Pick).is_empty()
    }

    /// Whether `observe` is to be called.
    pub fn has_feedback(&self) -> bool {
        self.has(Role::BalancerFeedback)
    }

    /// Its config as JSON text.
    pub fn config(&self) -> &str {
        &self.config
    }

    /// How long one call may take.
    pub fn deadline(&self) -> Duration {
        self.core.deadline.limit
    }

    pub fn digest(&self) -> Digest {
        self.core.component.digest()
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.core.name)
            .field("component", &self.core.component)
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn error(&self, call: Call, fault: CallFault) -> CallError {
        CallError {
            plugin: self.name.clone(),
            call,
            fault,
        }
    }
}

impl From<v0_1::PluginInfo> for PluginInfo {
    fn from(info: v0_1::PluginInfo) -> Self {
        Self {
            name: info.name,
            version: info.version,
            summary: info.summary,
            config_schema: info.config_schema,
        }
    }
}
