//! The engine that all plugins share: its limits, the ticker that ends calls, and compiling.
//!
//! Knows nothing of what plugins are for.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

use tracing::warn;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::model::PluginName;

use super::{
    code_cache::CodeCache,
    component::{Component, Digest},
    error::{LoadError, LoadFault, RuntimeError},
    stage::Stage,
    ticker::{TICK, Ticker},
};

/// What all plugins together, and any one of them, may take.
#[derive(Debug, Clone)]
pub struct RuntimeOptions {
    /// Where compiled code is kept between runs; `None` compiles anew each time. Only this user may be
    /// able to write there, since what lies there is run unchecked.
    pub code_cache: Option<PathBuf>,
    /// Instances alive at a time: uses × workers, twice over while a new generation replaces an old
    /// one. Each takes 4 GiB of address space and only the memory that it touches.
    pub max_instances: u32,
    /// The most memory that the limit of any one instance can allow, in bytes.
    pub max_memory: usize,
    /// Of a plugin's file, in bytes.
    pub max_file: u64,
    /// What a plugin may hand over in one answer, or in one call of the proxy, in bytes.
    pub max_answer: usize,
    /// How often a plugin may call the proxy within one call.
    pub max_imports: u32,
    /// Of making machine code of one component.
    pub compile_deadline: Duration,
    /// For everything that happens while loading and starting: `describe`, `configure`, the trial
    /// calls.
    pub setup_deadline: Duration,
    /// A clock and random numbers in place of the system's, for tools.
    pub stage: Option<Arc<Stage>>,
}

impl Default for RuntimeOptions {
    fn default() -> Self {
        Self {
            code_cache: None,
            max_instances: 2_000,
            max_memory: 1024 * 1024 * 1024,
            max_file: 64 * 1024 * 1024,
            max_answer: 2 * 1024 * 1024,
            max_imports: 10_000,
            compile_deadline: Duration::from_secs(600),
            setup_deadline: Duration::from_secs(2),
            stage: None,
        }
    }
}

/// The plugin engine. Plugins keep it alive; when the last one is gone, so is its ticker thread.
pub struct Runtime {
    engine: Engine,
    options: RuntimeOptions,
    code_cache: Option<CodeCache>,
    compiled: Mutex<HashMap<Digest, Weak<Component>>>,
    ticker: Ticker,
}

impl Runtime {
    /// Fails if the code cache isn't safe to use or the system doesn't give the address space.
    pub fn new(options: RuntimeOptions) -> Result<Arc<Self>, RuntimeError> {
        let folder = options.code_cache.as_deref();
        let code_cache = folder.map(CodeCache::open).transpose()?;
        let (engine, options) = engine(options, code_cache.as_ref())?;
        Ok(Arc::new(Self {
            ticker: Ticker::start(engine.clone())?,
            engine,
            options,
            code_cache,
            compiled: Mutex::default(),
        }))
    }

    pub fn options(&self) -> &RuntimeOptions {
        &self.options
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A call begins that may take so many steps of the clock.
    pub(super) fn watch_call(&self, ticks: u64) {
        self.ticker.watch(ticks);
    }

    /// Makes machine code of a component. `name` is what errors call it.
    ///
    /// The same bytes are compiled once as long as somebody uses the result. Compiling happens one at
    /// a time, each on all CPUs, and may take seconds: not for the data path.
    pub fn compile(&self, bytes: &[u8], name: &PluginName) -> Result<Arc<Component>, LoadError> {
        self.compile_bytes(bytes).map_err(|fault| LoadError {
            plugin: name.clone(),
            fault,
        })
    }

    pub(super) fn compile_bytes(&self, bytes: &[u8]) -> Result<Arc<Component>, LoadFault> {
        if bytes.len() as u64 > self.options.max_file {
            return Err(LoadFault::TooLarge {
                limit: self.options.max_file,
            });
        }
        let digest = Digest::of(bytes);
        // Held while compiling, so that two uses of one file that load side by side compile it once.
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(component) = compiled.get(&digest).and_then(Weak::upgrade) {
            return Ok(component);
        }
        let component = self.compile_aside(bytes, digest)?;
        if let Some(code_cache) = &self.code_cache {
            code_cache.seal();
        }
        let component = Arc::new(component);
        compiled.retain(|_, component| component.strong_count() > 0);
        compiled.insert(digest, Arc::downgrade(&component));
        Ok(component)
    }

    /// Compiles on threads that the system lets run when nobody else wants to, so that traffic goes on as
    /// before. One that takes too long is left behind there: a compiler can't be stopped.
    fn compile_aside(&self, bytes: &[u8], digest: Digest) -> Result<Component, LoadFault> {
        let limit = self.options.compile_deadline;
        let compilers = rayon::ThreadPoolBuilder::new()
            .thread_name(|_| "plugin-compiler".to_owned())
            .start_handler(|_| {
                // The lowest priority of this thread alone. If it can't be had, nothing is lost but time.
                let _ = rustix::process::setpriority_process(None, 19);
            })
            // Said by the answer that doesn't come; without this the process would end.
            .panic_handler(|_| {})
            .build()
            .map_err(|error| LoadFault::NoCompiler {
                message: error.to_string(),
            })?;
        let (engine, bytes) = (self.engine.clone(), bytes.to_vec());
        let (done, compiled) = mpsc::channel();
        compilers.spawn(move || {
            // Nobody may be waiting any more.
            let _ = done.send(Component::compile(&engine, &bytes, digest));
        });
        match compiled.recv_timeout(limit) {
            Ok(compiled) => compiled,
            Err(RecvTimeoutError::Timeout) => Err(LoadFault::CompileTime { limit }),
            Err(RecvTimeoutError::Disconnected) => Err(LoadFault::NoCompiler {
                message: "it gave up".to_owned(),
            }),
        }
    }

    /// Steps of the ticker after which a call has certainly had `deadline`. The first step may come at
    /// once, hence one more. Seven weeks are as good as for ever.
    pub(super) fn ticks(deadline: Duration) -> u64 {
        let ticks = deadline.as_nanos().div_ceil(TICK.as_nanos());
        u64::from(u32::try_from(ticks).unwrap_or(u32::MAX)) + 1
    }
}

/// The fewest instances that a proxy can be of use with.
const FEWEST_INSTANCES: u32 = 4;

/// An engine, with room for fewer instances where the system doesn't give the address space for all: under a
/// limit on virtual memory, or under a tool that has part of it to itself.
fn engine(
    mut options: RuntimeOptions,
    code_cache: Option<&CodeCache>,
) -> Result<(Engine, RuntimeOptions), RuntimeError> {
    let wanted = options.max_instances;
    loop {
        match Engine::new(&engine_config(&options, code_cache)) {
            Ok(engine) => {
                if options.max_instances < wanted {
                    warn!(
                        "the system gives address space for {} plugin instances, not for {wanted}: \
                         raise the limit on virtual memory (`ulimit -v`, `LimitAS=`) if that is too few",
                        options.max_instances
                    );
                }
                return Ok((engine, options));
            }
            Err(_) if options.max_instances / 2 >= FEWEST_INSTANCES => options.max_instances /= 2,
            Err(error) => {
                return Err(RuntimeError::Engine {
                    message: format!("{error:#}"),
                });
            }
        }
    }
}

fn engine_config(options: &RuntimeOptions, code_cache: Option<&CodeCache>) -> Config {
    let mut config = Config::new();
    // Calls are synchronous. With concurrency support a flat call costs three times as much.
    config.concurrency_support(false);
    config.epoch_interruption(true);
    // Well under the 2 MiB that the stacks of worker threads have.
    config.max_wasm_stack(512 * 1024);
    config.memory_init_cow(true);

    // What no guest language needs to make a plugin is off; threads, garbage collection and
    // exceptions aren't even compiled in.
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    config.wasm_relaxed_simd(false);
    config.wasm_custom_page_sizes(false);
    config.wasm_wide_arithmetic(false);

    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(options)));
    config.cache(code_cache.map(CodeCache::cache));
    config
}

/// Slots for instances. A component made by the usual tools has a core module, two small helper modules,
/// one memory and two tables. JavaScript is like that too; Python links some twenty libraries, each a
/// module with helpers, around one memory and one big table.
fn pool(options: &RuntimeOptions) -> PoolingAllocationConfig {
    const METADATA: usize = 512 * 1024;
    let instances = options.max_instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .max_component_instance_size(METADATA)
        .max_core_instances_per_component(limits::CORE_INSTANCES)
        .max_memories_per_component(limits::MEMORIES)
        .max_tables_per_component(limits::TABLES)
        // Only counted: what a core module takes is its memories' and tables' slots.
        .total_core_instances(instances.saturating_mul(limits::CORE_INSTANCES))
        .max_core_instance_size(METADATA)
        .total_memories(instances)
        .max_memory_size(options.max_memory)
        .total_tables(instances.saturating_mul(3))
        .table_elements(limits::TABLE_ELEMENTS)
        // Instances live long, so slots that wait warm for their like would only hold memory.
        .max_unused_warm_slots(16);
    pool
}

/// Of one instance, whatever its configuration says.
pub(super) mod limits {
    pub const CORE_INSTANCES: u32 = 100;
    pub const MEMORIES: u32 = 2;
    pub const TABLES: u32 = 8;
    pub const TABLE_ELEMENTS: usize = 20_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_cut_short() {
        let step = |steps: u32| TICK * steps;
        assert_eq!(Runtime::ticks(step(10)), 11);
        assert_eq!(Runtime::ticks(step(10) + Duration::from_micros(1)), 12);
        assert_eq!(Runtime::ticks(Duration::ZERO), 1);
        assert_eq!(Runtime::ticks(Duration::MAX), 1 << 32);
    }
}
