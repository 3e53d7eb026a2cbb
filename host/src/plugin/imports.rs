//! What plugins may call: `log`, and what was granted of `clock`, `random`, `maps` and `counters`; and the state
//! that each instance's calls are counted against.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use wasmtime::{
    ResourceLimiter, StoreContextMut,
    component::{ComponentType, Lift, Linker, WasmStr},
};

use super::{
    contract::{Import, full_name},
    counters::{self, Consulted, Hold, Question, Table, Told},
    log_gate::{Level, LogGate},
    maps::{Entry, Map},
    runtime::limits,
    stage::Stage,
    wasi::{Stream, WasiState},
};
use crate::model::Held;

/// Random numbers of one call that are kept, and questions about counters.
const MOST_HANDED: usize = 256;

/// What the proxy gave a plugin within one call besides the call's own values.
#[derive(Debug, Default)]
pub struct Handed {
    /// Random numbers.
    pub rolls: Vec<u64>,
    pub consulted: Vec<Consulted>,
}

/// What instances of one plugin use share and see.
pub(super) struct Surroundings {
    pub log: LogGate,
    /// The maps that were granted.
    pub maps: Vec<Arc<Map>>,
    /// The tables of counters that were granted.
    pub counters: Vec<Arc<Table>>,
    pub stage: Option<Arc<Stage>>,
}

/// The host's side of one instance.
pub(super) struct State {
    surroundings: Arc<Surroundings>,
    random: Random,
    /// What the running call was given, where that is kept.
    handed: Option<Box<Handed>>,
    memory: Memory,
    imports_left: u32,
    /// None for a component that imports nothing of WASI.
    wasi: Option<Box<WasiState>>,
    /// Whether the calls are only to see if the plugin works: they leave nothing in what others share.
    on_trial: bool,
    /// What is counted for as long as the connection lasts that the running call is about; `None`: it is about none.
    holds: Option<Vec<Hold>>,
    /// The limit that the running call has hit, which explains the trap that most likely follows.
    overrun: Option<Overrun>,
}

/// A limit that isn't the engine's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overrun {
    Memory,
    Imports,
}

impl State {
    pub fn new(surroundings: Arc<Surroundings>, memory: usize, wasi: Option<WasiState>) -> Self {
        Self {
            surroundings,
            random: Random::default(),
            handed: None,
            memory: Memory {
                limit: memory,
                used: 0,
                granted: 0,
            },
            imports_left: 0,
            wasi: wasi.map(Box::new),
            on_trial: false,
            holds: None,
            overrun: None,
        }
    }

    /// Before each call: the plugin may call the proxy `imports` times.
    pub fn begin_call(&mut self, imports: u32) {
        self.imports_left = imports;
        self.overrun = None;
    }

    /// All calls from now on are trials.
    pub fn begin_trial(&mut self) {
        self.on_trial = true;
    }

    pub fn is_on_trial(&self) -> bool {
        self.on_trial
    }

    /// The next call is about a connection.
    pub fn begin_connection(&mut self) {
        self.holds = Some(Vec::new());
    }

    /// That call is over. What it had counted for the connection.
    pub fn end_connection(&mut self) -> Held {
        match self.holds.take() {
            Some(holds) if !holds.is_empty() => Held::new(holds),
            Some(_) | None => Held::default(),
        }
    }

    /// Whether what is added can last as long as a connection.
    pub fn can_hold(&self) -> bool {
        self.holds.is_some() && !self.on_trial
    }

    pub fn hold(&mut self, hold: Hold) {
        if let Some(holds) = &mut self.holds {
            holds.push(hold);
        }
    }

    pub fn overrun(&self) -> Option<Overrun> {
        self.overrun
    }

    /// After a failed call: what was printed without an end of line is the last that will be heard.
    pub fn end_output(&mut self) {
        if let Some(wasi) = &mut self.wasi {
            wasi.end_output(&self.surroundings.log);
        }
    }

    /// What a function of WASI works on.
    pub fn wasi(&mut self) -> &mut WasiState {
        let wasi = self.wasi.as_deref_mut();
        wasi.expect("WASI is linked only for components that import it, and these have it")
    }

    /// Takes what was printed, to the log once its lines have ended.
    pub fn print(&mut self, stream: Stream, bytes: &[u8]) {
        let wasi = self.wasi.as_deref_mut();
        let wasi = wasi.expect("only a component that imports WASI can print");
        wasi.print(stream, bytes, &self.surroundings.log);
    }

    /// The time since 1970. A clock set before that is shown as 1970.
    pub fn wall_clock(&self) -> Duration {
        match &self.surroundings.stage {
            Some(stage) => Duration::from_millis(stage.now()),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    /// The time since some moment in the past; it never goes back.
    pub fn monotonic_clock(&self) -> Duration {
        // None of a plugin's business is when the machine was started.
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        match &self.surroundings.stage {
            Some(stage) => Duration::from_millis(stage.now()),
            None => START.elapsed(),
        }
    }

    /// The time that tables of counters go by, in milliseconds.
    pub fn counting_clock(&self) -> u64 {
        match &self.surroundings.stage {
            Some(stage) => stage.now(),
            None => counters::clock(),
        }
    }

    /// The next of the numbers that nobody can guess.
    pub fn random(&mut self) -> wasmtime::Result<u64> {
        let rolled = match &self.surroundings.stage {
            Some(stage) => stage.roll(),
            None => self.random.next()?,
        };
        if let Some(handed) = &mut self.handed
            && handed.rolls.len() < MOST_HANDED
        {
            handed.rolls.push(rolled);
        }
        Ok(rolled)
    }

    /// Keeps what is given out from now on.
    pub fn keep_handed(&mut self) {
        self.handed = Some(Box::default());
    }

    /// What was, and keeps no more.
    pub fn take_handed(&mut self) -> Handed {
        self.handed.take().map(|handed| *handed).unwrap_or_default()
    }

    /// Whether somebody wants to know what counters are asked, or has answers from a recording.
    pub fn is_watched(&self) -> bool {
        self.handed.is_some() || self.surroundings.stage.is_some()
    }

    /// What a recording that is replayed has as the answer to a question about counters.
    pub fn recorded(&self, question: &Question) -> Option<Told> {
        self.surroundings.stage.as_ref()?.told(question)
    }

    /// Takes note of what counters were asked.
    pub fn consulted(&mut self, consulted: Consulted) {
        if let Some(handed) = &mut self.handed
            && handed.consulted.len() < MOST_HANDED
        {
            handed.consulted.push(consulted);
        }
    }

    pub fn count_import(&mut self) -> wasmtime::Result<()> {
        match self.imports_left.checked_sub(1) {
            Some(left) => {
                self.imports_left = left;
                Ok(())
            }
            None => {
                self.overrun = Some(Overrun::Imports);
                Err(wasmtime::Error::msg("too many calls of the proxy"))
            }
        }
    }

    /// What its linear memories take, in bytes.
    pub fn memory(&self) -> usize {
        self.memory.used
    }

    /// A table of counters that was granted.
    pub fn counters(&self, name: &str) -> Option<&Arc<Table>> {
        let mut tables = self.surroundings.counters.iter();
        tables.find(|table| table.name() == name)
    }

    fn map(&self, name: &str) -> Option<&Arc<Map>> {
        self.surroundings.maps.iter().find(|map| map.name() == name)
    }
}

/// Memory of all of an instance's linear memories together, in bytes.
struct Memory {
    limit: usize,
    used: usize,
    /// What the last growth added, to be taken back if it fails after all.
    granted: usize,
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let memory = &mut self.memory;
        memory.granted = 0;
        let more = desired.saturating_sub(current);
        let used = memory.used.saturating_add(more);
        if used > memory.limit {
            self.overrun = Some(Overrun::Memory);
            return Ok(false);
        }
        memory.used = used;
        memory.granted = more;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory.used -= std::mem::take(&mut self.memory.granted);
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= limits::TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        limits::CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        limits::TABLES as usize
    }

    fn memories(&self) -> usize {
        limits::MEMORIES as usize
    }
}

/// Random numbers that nobody can guess, fetched from the system in portions.
struct Random {
    portion: [u8; 256],
    taken: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self {
            portion: [0; 256],
            taken: 256,
        }
    }
}

impl Random {
    fn next(&mut self) -> wasmtime::Result<u64> {
        if self.taken == self.portion.len() {
            getrandom::fill(&mut self.portion)
                .map_err(|error| wasmtime::Error::msg(format!("no random numbers: {error}")))?;
            self.taken = 0;
        }
        let bytes = self.portion[self.taken..]
            .first_chunk()
            .expect("a portion is a multiple of eight bytes");
        self.taken += bytes.len();
        Ok(u64::from_le_bytes(*bytes))
    }
}

/// Makes `granted` available, and the types that exports are written with.
pub(super) fn link(linker: &mut Linker<State>, granted: &[Import]) -> wasmtime::Result<()> {
    linker.instance(&full_name("types"))?;
    for import in granted {
        match import {
            Import::Log => link_log(linker)?,
            Import::Clock => link_clock(linker)?,
            Import::Random => link_random(linker)?,
            Import::Maps => link_maps(linker)?,
            Import::Counters => counters::link(linker)?,
        }
    }
    Ok(())
}

fn link_log(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(&full_name("log"))?.func_wrap(
        "write",
        |mut store: StoreContextMut<'_, State>, (level, message): (WitLevel, WasmStr)| {
            store.data_mut().count_import()?;
            let surroundings = Arc::clone(&store.data().surroundings);
            let message = message.to_str(&store)?;
            surroundings.log.write(level.into(), &message);
            Ok(())
        },
    )
}

fn link_clock(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(&full_name("clock"))?.func_wrap(
        "now",
        |mut store: StoreContextMut<'_, State>, (): ()| {
            store.data_mut().count_import()?;
            let now = store.data().wall_clock().as_millis();
            Ok((u64::try_from(now).unwrap_or(u64::MAX),))
        },
    )
}

fn link_random(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(&full_name("random"))?.func_wrap(
        "get-u64",
        |mut store: StoreContextMut<'_, State>, (): ()| {
            let state = store.data_mut();
            state.count_import()?;
            Ok((state.random()?,))
        },
    )
}

fn link_maps(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut maps = linker.instance(&full_name("maps"))?;
    maps.func_wrap(
        "lookup",
        |mut store: StoreContextMut<'_, State>, (name, key): (WasmStr, WasmStr)| {
            store.data_mut().count_import()?;
            let name = name.to_str(&store)?;
            let key = key.to_str(&store)?;
            let value = store.data().map(&name).and_then(|map| map.lookup(&key));
            Ok((value,))
        },
    )?;
    maps.func_wrap(
        "version",
        |mut store: StoreContextMut<'_, State>, (name,): (WasmStr,)| {
            store.data_mut().count_import()?;
            let name = name.to_str(&store)?;
            Ok((store.data().map(&name).map_or(0, |map| map.version()),))
        },
    )?;
    maps.func_wrap(
        "entries",
        |mut store: StoreContextMut<'_, State>, (name,): (WasmStr,)| {
            store.data_mut().count_import()?;
            let name = name.to_str(&store)?;
            let entries: Arc<[Entry]> = match store.data().map(&name) {
                Some(map) => map.entries(),
                None => Arc::default(),
            };
            Ok((entries,))
        },
    )
}

/// The contract's `log.level`.
#[derive(Debug, Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "plugins make them")]
enum WitLevel {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

impl From<WitLevel> for Level {
    fn from(level: WitLevel) -> Self {
        match level {
            WitLevel::Debug => Self::Debug,
            WitLevel::Info => Self::Info,
            WitLevel::Warn => Self::Warn,
            WitLevel::Error => Self::Error,
        }
    }
}
