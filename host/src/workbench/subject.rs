//! The component that is looked at, and how it is loaded for that.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    config::{Grants, PluginSource},
    model::{BackendName, PluginName},
    plugin::{
        Component, Inspection, LoadError, Place, Plugin, PluginSpec, Runtime, RuntimeError,
        RuntimeOptions, Stage, bundled, counters::CounterStore, maps::MapStore, user_code_cache,
    },
};

/// A component that a tool works with.
pub struct Subject {
    runtime: Arc<Runtime>,
    stage: Arc<Stage>,
    name: PluginName,
    bytes: Vec<u8>,
    component: Arc<Component>,
}

/// What a plugin is loaded with.
pub struct Setup<'a> {
    pub place: Place,
    /// JSON text.
    pub config: &'a str,
    /// Those that exist; `None`: whichever the plugin names.
    pub backends: Option<&'a [BackendName]>,
    /// All of them are granted, as is everything else.
    pub maps: &'a MapStore,
    /// All of them are granted, too.
    pub counters: &'a CounterStore,
    pub deadline: Duration,
    pub memory: usize,
}

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    #[error("{file}: can't be read")]
    Unreadable { file: String, source: io::Error },
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Subject {
    /// Compiles the component in `file`, or the one that comes with Weir under that name.
    pub fn open(file: &Path) -> Result<Self, SubjectError> {
        Self::with(file, read(file)?, user_code_cache())
    }

    /// Like [`open`](Self::open), and compiles for certain rather than take what an earlier run has left.
    pub fn compile_anew(file: &Path) -> Result<Self, SubjectError> {
        Self::with(file, read(file)?, None)
    }

    /// Compiles a component that is not in a file yet; `file` is what messages call it.
    pub fn of_bytes(file: &Path, bytes: Vec<u8>) -> Result<Self, SubjectError> {
        Self::with(file, bytes, user_code_cache())
    }

    fn with(
        file: &Path,
        bytes: Vec<u8>,
        code_cache: Option<PathBuf>,
    ) -> Result<Self, SubjectError> {
        let stage = Arc::new(Stage::default());
        let runtime = Runtime::new(RuntimeOptions {
            code_cache,
            stage: Some(Arc::clone(&stage)),
            ..RuntimeOptions::default()
        })?;
        let name = PluginName::new(&file.display().to_string());
        Ok(Self {
            component: runtime.compile(&bytes, &name)?,
            runtime,
            stage,
            name,
            bytes,
        })
    }

    /// The clock and the dice of its instances.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    pub fn name(&self) -> &PluginName {
        &self.name
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn component(&self) -> &Component {
        &self.component
    }

    pub fn inspect(&self, config: &str) -> Result<Inspection, LoadError> {
        Inspection::of(&self.runtime, &self.bytes, config)
    }

    /// Somewhere it can stand; `None` if it has no role at all.
    pub fn place(&self) -> Option<Place> {
        let roles = self.component.roles();
        [Place::Filter, Place::Balancer, Place::Persistence]
            .into_iter()
            .find(|place| place.suits(roles))
    }

    /// Loads it as the proxy would, trial calls included.
    pub fn load(&self, setup: &Setup<'_>) -> Result<Arc<Plugin>, LoadError> {
        let named;
        let backends = match setup.backends {
            Some(backends) => backends,
            None => {
                named = self.backends_named(setup.config);
                &named
            }
        };
        let grants = Grants {
            clock: true,
            random: true,
            maps: setup.maps.names().map(str::to_owned).collect(),
            counters: setup.counters.names().map(str::to_owned).collect(),
        };
        let spec = PluginSpec {
            name: self.name.clone(),
            // As if it were one of Weir's own, which may import maps where there are none.
            source: PluginSource::Bundled(String::new()),
            place: setup.place,
            config: setup.config,
            grants: &grants,
            maps: setup.maps,
            counters: setup.counters,
            deadline: setup.deadline,
            memory: setup.memory,
            backends,
        };
        Plugin::from_component(&self.runtime, Arc::clone(&self.component), &spec)
    }

    /// The backends that it names with this config; none if it refuses it, which loading will tell.
    fn backends_named(&self, config: &str) -> Vec<BackendName> {
        let asks = self.inspect(config).ok().and_then(|shown| shown.asks.ok());
        let names = asks.map(|asks| asks.backends).unwrap_or_default();
        names.iter().map(|name| BackendName::new(name)).collect()
    }
}

/// A name without a folder or an ending is one of Weir's own, unless there is such a file.
fn read(file: &Path) -> Result<Vec<u8>, SubjectError> {
    let own = file
        .to_str()
        .filter(|name| !file.exists() && !name.contains(['/', '.']))
        .and_then(bundled::get);
    match own {
        Some(bytes) => Ok(bytes.to_vec()),
        None => fs::read(file).map_err(|source| SubjectError::Unreadable {
            file: file.display().to_string(),
            source,
        }),
    }
}
