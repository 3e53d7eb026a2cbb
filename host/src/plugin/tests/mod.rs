//! The plugin runtime against real components: what loads, what calls answer, and what hostile guests
//! get done.

mod calls;
mod compiling;
mod hostile;
mod imports;
mod loading;
mod offload;
mod wasi;

use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use weir_wat_guests::Guest;

use crate::{
    config::{Grants, PluginSource},
    model::{BackendName, PluginName},
};

use super::{
    Instance, LoadError, LoadFault, Place, Plugin, PluginSpec, Runtime, RuntimeOptions,
    counters::CounterStore, maps::MapStore,
};

/// Long enough that a busy machine doesn't make a harmless call fail.
const PATIENT: Duration = Duration::from_secs(5);

/// For guests that are expected to run into it.
const SHORT: Duration = Duration::from_millis(20);

const MEMORY: usize = 4 * 1024 * 1024;

static RUNTIME: LazyLock<Arc<Runtime>> = LazyLock::new(|| {
    let options = RuntimeOptions {
        max_instances: 100,
        setup_deadline: PATIENT,
        ..RuntimeOptions::default()
    };
    Runtime::new(options).unwrap()
});

/// A use of a guest, with everything as harmless guests need it.
struct Use {
    bytes: Vec<u8>,
    place: Place,
    source: PluginSource,
    config: &'static str,
    grants: Grants,
    maps: MapStore,
    counters: CounterStore,
    deadline: Duration,
    memory: usize,
}

fn used(guest: &Guest, place: Place) -> Use {
    used_bytes(guest.build(), place)
}

fn used_bytes(bytes: Vec<u8>, place: Place) -> Use {
    Use {
        bytes,
        place,
        source: PluginSource::File(PathBuf::from("guest.wasm")),
        config: "{}",
        grants: Grants::default(),
        maps: MapStore::default(),
        counters: CounterStore::default(),
        deadline: PATIENT,
        memory: MEMORY,
    }
}

impl Use {
    fn load(&self) -> Result<Arc<Plugin>, LoadFault> {
        self.load_in(&RUNTIME)
    }

    fn load_in(&self, runtime: &Arc<Runtime>) -> Result<Arc<Plugin>, LoadFault> {
        let backends = ["static", "dynamic"].map(BackendName::new);
        let spec = PluginSpec {
            name: PluginName::new("guest"),
            source: self.source.clone(),
            place: self.place,
            config: self.config,
            grants: &self.grants,
            maps: &self.maps,
            counters: &self.counters,
            deadline: self.deadline,
            memory: self.memory,
            backends: &backends,
        };
        let plugin = runtime
            .compile(&self.bytes, &spec.name)
            .and_then(|component| Plugin::from_component(runtime, component, &spec));
        plugin.map_err(|LoadError { fault, .. }| fault)
    }

    fn plugin(&self) -> Arc<Plugin> {
        self.load().unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn instance(&self) -> Instance {
        self.plugin().instantiate().unwrap()
    }

    fn refused(&self) -> LoadFault {
        match self.load() {
            Ok(_) => panic!("it was loaded"),
            Err(fault) => fault,
        }
    }
}
