//! How a plugin is loaded: linked with what was granted, shown its config, asked what it needs, tried out.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use wasmtime::component::{InstancePre, Linker};

use crate::{
    config::{Grants, PluginSource},
    model::{BackendName, Candidate, Hook},
};

use super::{
    component::Component,
    contract::{Import, Place, Role},
    counters::{CounterStore, Table},
    error::{CallError, LoadError, LoadFault},
    exports::{ExportIndices, WrongInterface},
    imports::{self, State, Surroundings},
    inspect::Asks,
    instance::{Deadline, Instance, StartError},
    log_gate::LogGate,
    maps::MapStore,
    needs::Needs,
    plugin::{Core, Plugin, PluginInfo, PluginSpec},
    runtime::Runtime,
    schema::{self, ConfigSchema},
    v0_1, wasi,
};

impl Plugin {
    /// Reads, compiles, links, configures and tries out a plugin. Takes as long as that takes: not for
    /// the data path.
    pub fn load(runtime: &Arc<Runtime>, spec: &PluginSpec<'_>) -> Result<Arc<Self>, LoadError> {
        let load = || {
            let bytes = runtime.read(&spec.source)?;
            let component = runtime.compile_bytes(&bytes)?;
            Self::check(runtime, component, spec)
        };
        load().map_err(|fault| LoadError {
            plugin: spec.name.clone(),
            fault,
        })
    }

    /// Like [`load`](Self::load) with bytes that are here already; the spec's source is not read.
    pub fn from_bytes(
        runtime: &Arc<Runtime>,
        bytes: &[u8],
        spec: &PluginSpec<'_>,
    ) -> Result<Arc<Self>, LoadError> {
        let component = runtime.compile(bytes, &spec.name)?;
        Self::from_component(runtime, component, spec)
    }

    /// Like [`load`](Self::load) with a component that is already compiled; the spec's source only says
    /// whether it is one of Weir's own.
    pub fn from_component(
        runtime: &Arc<Runtime>,
        component: Arc<Component>,
        spec: &PluginSpec<'_>,
    ) -> Result<Arc<Self>, LoadError> {
        Self::check(runtime, component, spec).map_err(|fault| LoadError {
            plugin: spec.name.clone(),
            fault,
        })
    }

    fn check(
        runtime: &Arc<Runtime>,
        component: Arc<Component>,
        spec: &PluginSpec<'_>,
    ) -> Result<Arc<Self>, LoadFault> {
        let core = Core::link(runtime, component, spec)?;
        let config: Value = parse_config(spec.config)?;
        let mut instance = start(&core)?;
        instance.begin_trial();
        let info = describe(&mut instance)?;
        let asked = configure(&mut instance, &info, spec.config, &config)?;
        let needs = Needs::check(&asked, core.component.roles(), spec.backends)?;
        instance.configured(needs.backends.len());
        try_out(&mut instance, spec.place, core.component.roles(), &needs)
            .map_err(while_loading)?;
        Ok(Arc::new(Self {
            core,
            info,
            config: spec.config.to_owned(),
            needs,
        }))
    }
}

impl Core {
    fn link(
        runtime: &Arc<Runtime>,
        component: Arc<Component>,
        spec: &PluginSpec<'_>,
    ) -> Result<Arc<Self>, LoadFault> {
        let limit = runtime.options().max_memory;
        if spec.memory > limit {
            return Err(LoadFault::TooMuchMemory {
                wanted: spec.memory,
                limit,
            });
        }
        if !spec.place.suits(component.roles()) {
            return Err(LoadFault::WrongRole {
                wanted: spec.place.as_str(),
                wanted_export: spec.place.wanted_export(),
                found: component.roles().iter().map(|role| role.as_str()).collect(),
            });
        }
        let surroundings = Surroundings {
            log: LogGate::new(spec.name.clone()),
            maps: find_maps(&spec.grants.maps, spec.maps)?,
            counters: find_counters(&spec.grants.counters, spec.counters)?,
            stage: runtime.options().stage.clone(),
        };
        let granted = granted(&spec.source, spec.grants);
        let pre = link(runtime, &component, &granted)?;
        Ok(Arc::new(Self {
            name: spec.name.clone(),
            exports: ExportIndices::find(&pre, component.roles(), spec.place)
                .map_err(wrong_interface)?,
            runtime: Arc::clone(runtime),
            component,
            pre,
            surroundings: Arc::new(surroundings),
            setup: deadline(runtime.options().setup_deadline),
            deadline: deadline(spec.deadline),
            memory: spec.memory,
        }))
    }
}

fn deadline(limit: Duration) -> Deadline {
    Deadline {
        limit,
        ticks: Runtime::ticks(limit),
    }
}

/// Weir's own plugins get what they import without the operator having to write it down; maps and tables of
/// counters are still those that are named.
fn granted(source: &PluginSource, grants: &Grants) -> Vec<Import> {
    let own = matches!(source, PluginSource::Bundled(_));
    let mut granted = Import::ALL.to_vec();
    granted.retain(|import| match import {
        Import::Log => true,
        Import::Clock => own || grants.clock,
        Import::Random => own || grants.random,
        Import::Maps => own || !grants.maps.is_empty(),
        Import::Counters => own || !grants.counters.is_empty(),
    });
    granted
}

fn find_maps(names: &[String], store: &MapStore) -> Result<Vec<Arc<super::maps::Map>>, LoadFault> {
    let find = |name: &String| {
        store
            .get(name)
            .cloned()
            .ok_or_else(|| LoadFault::UnknownMap {
                name: name.clone(),
                known: store.names().map(str::to_owned).collect(),
            })
    };
    names.iter().map(find).collect()
}

fn find_counters(names: &[String], store: &CounterStore) -> Result<Vec<Arc<Table>>, LoadFault> {
    let find = |name: &String| {
        let found = store.get(name).cloned();
        found.ok_or_else(|| LoadFault::UnknownCounters {
            name: name.clone(),
            known: store.names().map(str::to_owned).collect(),
        })
    };
    names.iter().map(find).collect()
}

fn link(
    runtime: &Runtime,
    component: &Component,
    granted: &[Import],
) -> Result<InstancePre<State>, LoadFault> {
    if let Some(import) = component.foreign_imports().first() {
        return Err(LoadFault::NotOffered {
            import: import.clone(),
            offered: Import::ALL.map(Import::as_str).to_vec(),
        });
    }
    for import in component.imports() {
        if let Some(line) = import.grant_line()
            && !granted.contains(import)
        {
            return Err(LoadFault::NotGranted {
                import: import.as_str().to_owned(),
                line,
            });
        }
    }
    for import in component.wasi_imports() {
        if let Some(needed) = import.needs
            && let Some(line) = needed.grant_line()
            && !granted.contains(&needed)
        {
            return Err(LoadFault::NotGranted {
                import: import.name.clone(),
                line,
            });
        }
    }
    let mut linker = Linker::new(runtime.engine());
    let linked = imports::link(&mut linker, granted)
        .and_then(|()| wasi::link(&mut linker, &component.code))
        .and_then(|()| linker.instantiate_pre(&component.code));
    linked.map_err(|error| {
        if component.is_newer() {
            // It may work, but this one uses what was added.
            return LoadFault::WrongVersion {
                found: component.contract().to_owned(),
                offered: v0_1::VERSION,
                newer: true,
            };
        }
        LoadFault::Invalid {
            message: format!("{error:#}"),
        }
    })
}

fn parse_config(text: &str) -> Result<Value, LoadFault> {
    serde_json::from_str(text).map_err(|error| LoadFault::Config {
        violations: vec![super::error::Violation {
            pointer: String::new(),
            message: format!("no JSON: {error}"),
        }],
    })
}

fn start(core: &Arc<Core>) -> Result<Instance, LoadFault> {
    Instance::start(core).map_err(|error| match error {
        StartError::Failed(error) => while_loading(error),
        StartError::Wrong(wrong) => wrong_interface(wrong),
    })
}

fn describe(instance: &mut Instance) -> Result<PluginInfo, LoadFault> {
    instance.describe().map(Into::into).map_err(while_loading)
}

/// Shows the config to the plugin once it fits the plugin's schema.
fn configure(
    instance: &mut Instance,
    info: &PluginInfo,
    text: &str,
    config: &Value,
) -> Result<v0_1::Needs, LoadFault> {
    if let Some(schema) = ConfigSchema::parse(&info.config_schema)? {
        schema.check(config)?;
    }
    instance
        .configure(text)
        .map_err(while_loading)?
        .map_err(|message| schema::refusal(&message, config))
}

/// What a plugin says of itself and asks for, whether or not it could be used here.
pub(super) fn interrogate(
    runtime: &Arc<Runtime>,
    component: Arc<Component>,
    spec: &PluginSpec<'_>,
) -> (Option<PluginInfo>, Result<Asks, LoadFault>) {
    let started = Core::link(runtime, component, spec).and_then(|core| start(&core));
    let described = started.and_then(|mut instance| Ok((describe(&mut instance)?, instance)));
    let (info, mut instance) = match described {
        Ok(described) => described,
        Err(fault) => return (None, Err(fault)),
    };
    let asks = parse_config(spec.config)
        .and_then(|config| configure(&mut instance, &info, spec.config, &config))
        .and_then(|asked| asks(asked, instance.roles()));
    (Some(info), asks)
}

fn asks(asked: v0_1::Needs, roles: &[Role]) -> Result<Asks, LoadFault> {
    let backends: Vec<BackendName> = asked
        .backends
        .iter()
        .map(|name| BackendName::new(name))
        .collect();
    let needs = Needs::check(&asked, roles, &backends)?;
    let inputs = Hook::ALL.map(|hook| (hook, needs.inputs(hook).to_vec()));
    Ok(Asks {
        inputs: inputs
            .into_iter()
            .filter(|(_, inputs)| !inputs.is_empty())
            .collect(),
        backends: asked.backends,
        features: asked.features,
    })
}

fn while_loading(error: CallError) -> LoadFault {
    LoadFault::Call {
        call: error.call,
        fault: error.fault,
    }
}

/// Calls every hook once with nothing known, so that a plugin which traps at once never gets traffic.
fn try_out(
    instance: &mut Instance,
    place: Place,
    roles: &[Role],
    needs: &Needs,
) -> Result<(), CallError> {
    let nothing = |hook| vec![None; needs.inputs(hook).len()];
    for role in roles.iter().copied().filter(|role| place.plays(*role)) {
        match role {
            Role::ConnectionFilter => {
                instance.on_connection(&nothing(Hook::OnConnection))?;
            }
            Role::RequestFilter => {
                instance.on_request(&nothing(Hook::OnRequest))?;
            }
            Role::ResponseFilter => {
                instance.on_response(&nothing(Hook::OnResponse))?;
            }
            Role::Balancer => {
                let servers = ["one", "two"].map(|name| Candidate {
                    name: name.to_owned(),
                    id: if name == "one" { 1 } else { 2 },
                    weight: 1,
                    limit: 0,
                });
                let loads: &[u32] = if needs.loads { &[0, 0] } else { &[] };
                instance.update(&servers)?;
                instance.pick(0, &nothing(Hook::Pick), loads, &[])?;
            }
            Role::BalancerAhead => {
                instance.picks(0, 1)?;
            }
            Role::BalancerFeedback => {
                instance.observe(0, crate::model::Outcome::Success, 1_000)?;
            }
            Role::Persistence => {
                instance.lookup(&nothing(Hook::Lookup))?;
                instance.assigned("one", &nothing(Hook::Assigned))?;
            }
        }
    }
    Ok(())
}

fn wrong_interface(wrong: WrongInterface) -> LoadFault {
    LoadFault::WrongType {
        interface: wrong.interface,
        offered: v0_1::VERSION,
        message: wrong.message,
    }
}
