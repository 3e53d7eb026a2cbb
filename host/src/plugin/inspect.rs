//! What a plugin's file is, for an operator who has to decide whether to use it.

use std::{fmt, sync::Arc};

use crate::{
    config::{Grants, PluginSource},
    model::{Hook, Input, PluginName},
};

use super::{
    component::Digest,
    contract::{Import, Place, Role},
    counters::CounterStore,
    error::{LoadError, LoadFault},
    load,
    maps::MapStore,
    plugin::{PluginInfo, PluginSpec},
    runtime::Runtime,
    wasi::WasiImport,
};

/// What a component is and asks for. Shown by `weir plugin inspect`.
#[derive(Debug)]
pub struct Inspection {
    pub digest: Digest,
    /// Of the file, in bytes.
    pub size: usize,
    /// The contract it was written against, such as `weir:plugin@0.1.0`.
    pub contract: String,
    pub roles: Vec<Role>,
    pub imports: Vec<Import>,
    /// What it imports of WASI.
    pub wasi_imports: Vec<WasiImport>,
    /// Imports that Weir doesn't have; with any of these it can't be loaded.
    pub foreign_imports: Vec<String>,
    /// `None` if it couldn't be started; `asks` says why.
    pub info: Option<PluginInfo>,
    /// What it asks for when it is given the config.
    pub asks: Result<Asks, LoadFault>,
}

/// What a plugin asks for with one config.
#[derive(Debug, PartialEq, Eq)]
pub struct Asks {
    /// The hooks that want any.
    pub inputs: Vec<(Hook, Vec<Input>)>,
    /// The backends that it may route to, which needn't exist here.
    pub backends: Vec<String>,
    pub features: Vec<String>,
}

impl Inspection {
    /// Compiles and starts the component, with everything granted and neither maps nor counters, and configures it with
    /// `config` (JSON text). Only what isn't a plugin at all is an error.
    pub fn of(runtime: &Arc<Runtime>, bytes: &[u8], config: &str) -> Result<Self, LoadError> {
        let name = PluginName::new("inspected");
        let component = runtime.compile(bytes, &name)?;
        let grants = Grants {
            clock: true,
            random: true,
            maps: Vec::new(),
            counters: Vec::new(),
        };
        let (info, asks) = load::interrogate(
            runtime,
            Arc::clone(&component),
            &PluginSpec {
                name,
                // As if it were one of Weir's own, which may import maps without being granted one.
                source: PluginSource::Bundled(String::new()),
                place: place(component.roles()),
                config,
                grants: &grants,
                maps: &MapStore::default(),
                counters: &CounterStore::default(),
                deadline: runtime.options().setup_deadline,
                memory: runtime.options().max_memory,
                backends: &[],
            },
        );
        Ok(Self {
            digest: component.digest(),
            size: component.size(),
            contract: component.contract().to_owned(),
            roles: component.roles().to_vec(),
            imports: component.imports().to_vec(),
            wasi_imports: component.wasi_imports().to_vec(),
            foreign_imports: component.foreign_imports().to_vec(),
            info,
            asks,
        })
    }
}

/// Somewhere it can stand. One that has no role is refused there, which says what is missing.
fn place(roles: &[Role]) -> Place {
    [Place::Filter, Place::Balancer, Place::Persistence]
        .into_iter()
        .find(|place| place.suits(roles))
        .unwrap_or(Place::Filter)
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(info) = &self.info {
            writeln!(f, "name      {} {}", info.name, info.version)?;
            writeln!(f, "summary   {}", info.summary)?;
        }
        writeln!(f, "contract  {}", self.contract)?;
        let world = Role::world(&self.roles);
        writeln!(f, "world     {}", world.unwrap_or("none of the contract's"))?;
        writeln!(
            f,
            "roles     {}",
            words(self.roles.iter().map(|role| role.as_str()))
        )?;
        self.show_imports(f)?;
        match &self.asks {
            Ok(asks) => asks.show(f)?,
            Err(fault) => writeln!(f, "asks      unknown: {fault}")?,
        }
        writeln!(f, "size      {} bytes", self.size)?;
        writeln!(f, "digest    {}", self.digest)?;
        if let Some(info) = &self.info
            && !info.config_schema.is_empty()
        {
            writeln!(f, "schema    {}", info.config_schema)?;
        }
        Ok(())
    }
}

impl Inspection {
    fn show_imports(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = self.wasi_imports.is_empty() && self.foreign_imports.is_empty();
        if self.imports.is_empty() && others {
            return writeln!(f, "imports   nothing");
        }
        for import in &self.imports {
            let grant = import.grant_line().unwrap_or("always granted");
            writeln!(f, "imports   {:<8}  {grant}", import.as_str())?;
        }
        for import in &self.wasi_imports {
            let granted = import.needs.and_then(Import::grant_line);
            let access = granted.unwrap_or("linked, denied");
            writeln!(f, "imports   {}  {access}", import.name)?;
        }
        for import in &self.foreign_imports {
            writeln!(f, "imports   {import}, which Weir doesn't have")?;
        }
        Ok(())
    }
}

impl Asks {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (hook, inputs) in &self.inputs {
            let inputs: Vec<String> = inputs.iter().map(ToString::to_string).collect();
            writeln!(
                f,
                "inputs    {hook}: {}",
                words(inputs.iter().map(String::as_str))
            )?;
        }
        for (label, names) in [("backends", &self.backends), ("features", &self.features)] {
            if !names.is_empty() {
                writeln!(f, "{label}  {}", words(names.iter().map(String::as_str)))?;
            }
        }
        Ok(())
    }
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    if words.is_empty() {
        return "none".to_owned();
    }
    words.join(", ")
}
