//! One live copy of a plugin, and the calls into it. The one place where wasm runs.
//!
//! Every call is armed first: a deadline, a number of calls back into the proxy, a number of bytes that
//! may be handed over. After a failed call the instance is spent, since its memory is as the failure
//! left it.

use std::{sync::Arc, time::Duration};

use wasmtime::{Store, Trap, WasmBacktrace};

use crate::model::{
    Candidate, ConnectionDecision, ConnectionVerdict, Decision, Edit, Found, Outcome, Verdict,
};

use super::{
    contract::Role,
    error::{Call, CallError, CallFault},
    exports::{Exports, WrongInterface},
    imports::{Handed, Overrun, State},
    log_gate::printable,
    plugin::Core,
    runtime::Runtime,
    v0_1,
    wasi::WasiState,
};

/// Edits that one answer may ask for.
const EDITS_LIMIT: usize = 1_000;

/// One copy of a plugin, configured and ready. For one thread at a time.
///
/// A call takes at most the deadline of the plugin use (plus the ticker's step of a millisecond). After
/// a call has failed, all further ones answer [`CallFault::Poisoned`]; drop the instance and take a new
/// one from [`Plugin::instantiate`](super::Plugin::instantiate).
pub struct Instance {
    store: Store<State>,
    exports: Exports,
    core: Arc<Core>,
    /// How many backends a verdict can choose from.
    backends: usize,
    /// How many servers the last `update` had.
    servers: usize,
    /// Of the next call: the time for setting up until the instance is ready, then the use's own.
    deadline: Deadline,
    poisoned: bool,
}

/// Why there is no instance.
pub(super) enum StartError {
    Failed(CallError),
    /// Found when the first instance is made, so while loading.
    Wrong(WrongInterface),
}

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub limit: Duration,
    pub ticks: u64,
}

/// `update` may take this many times as long as other calls: it builds tables for all servers so that
/// `pick` need not, and it is called when a server comes or goes, not for requests.
const UPDATE_PATIENCE: u32 = 10;

impl Deadline {
    fn times(self, factor: u32) -> Self {
        Self {
            limit: self.limit.saturating_mul(factor),
            ticks: self.ticks.saturating_mul(u64::from(factor)),
        }
    }
}

impl Instance {
    /// Makes memory and tables, runs the component's start functions and finds its exports. What is
    /// left to do is `configure`.
    pub(super) fn start(core: &Arc<Core>) -> Result<Self, StartError> {
        let wasi = (!core.component.wasi_imports().is_empty()).then(WasiState::default);
        let state = State::new(Arc::clone(&core.surroundings), core.memory, wasi);
        let mut store = Store::new(core.runtime.engine(), state);
        store.limiter(|state| state);
        let options = core.runtime.options();
        store.set_hostcall_fuel(options.max_answer);
        core.runtime.watch_call(core.setup.ticks);
        store.set_epoch_deadline(core.setup.ticks);
        store.data_mut().begin_call(options.max_imports);

        let instance = core.pre.instantiate(&mut store).map_err(|error| {
            let fault = fault(&error, core, &store, core.setup.limit);
            StartError::Failed(core.error(Call::Instantiate, fault))
        })?;
        let exports = core
            .exports
            .bind(&mut store, &instance)
            .map_err(StartError::Wrong)?;
        Ok(Self {
            store,
            exports,
            core: Arc::clone(core),
            backends: 0,
            servers: 0,
            deadline: core.setup,
            poisoned: false,
        })
    }

    /// What is called from now on is only to see whether the plugin works.
    pub(super) fn begin_trial(&mut self) {
        self.store.data_mut().begin_trial();
    }

    pub(super) fn describe(&mut self) -> Result<v0_1::PluginInfo, CallError> {
        let (info,) = self.call(Call::Describe, |store, exports| {
            exports.describe.call(store, ())
        })?;
        Ok(info)
    }

    /// The inner error is the plugin's own refusal.
    pub(super) fn configure(
        &mut self,
        config: &str,
    ) -> Result<Result<v0_1::Needs, String>, CallError> {
        let (answer,) = self.call(Call::Configure, |store, exports| {
            exports.configure.call(store, (config,))
        })?;
        Ok(answer)
    }

    pub(super) fn roles(&self) -> &[Role] {
        self.core.component.roles()
    }

    /// After `configure`, with what it asked for checked: a verdict may choose from `backends`.
    pub(super) fn configured(&mut self, backends: usize) {
        self.backends = backends;
    }

    /// Ends the time for setting up; from now on calls have the use's own deadline.
    pub(super) fn ready(&mut self) {
        self.deadline = self.core.deadline;
    }

    /// What its linear memories take now, in bytes.
    pub fn memory(&self) -> usize {
        self.store.data().memory()
    }

    /// Has `ask` make a call, and says what the plugin was given by the proxy meanwhile.
    pub fn watched<T>(&mut self, ask: impl FnOnce(&mut Self) -> T) -> (T, Handed) {
        self.store.data_mut().keep_handed();
        let answer = ask(self);
        (answer, self.store.data_mut().take_handed())
    }

    /// Has `ask` make a call that may take `left` and no longer than usual.
    pub(super) fn within<T>(
        &mut self,
        left: Duration,
        ask: impl FnOnce(&mut Self) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let usual = self.deadline;
        self.deadline.ticks = usual.ticks.min(Runtime::ticks(left));
        let answer = ask(self);
        self.deadline = usual;
        answer
    }

    /// Asks a connection filter. `values` are those of `inputs(Hook::OnConnection)`, in that order.
    ///
    /// A backend's position in the answer has been checked.
    pub fn on_connection(
        &mut self,
        values: &[Option<&str>],
    ) -> Result<ConnectionDecision, CallError> {
        let call = Call::OnConnection;
        self.store.data_mut().begin_connection();
        let decided = self.call(call, |store, exports| {
            let on_connection = exports
                .on_connection
                .ok_or_else(|| no_role(Role::ConnectionFilter))?;
            on_connection.call(store, (values,))
        });
        // Of a call that failed nothing is held.
        let held = self.store.data_mut().end_connection();
        let (decision,) = decided?;
        let mut decision: ConnectionDecision = decision.into();
        decision.held = held;
        let checked = match decision.verdict {
            ConnectionVerdict::UseBackend(index) => check_backend(index, self.backends),
            ConnectionVerdict::Pass | ConnectionVerdict::Refuse(_) => Ok(()),
        };
        let checked = checked.and_then(|()| check_count(decision.vars.len()));
        self.checked(call, checked)?;
        Ok(decision)
    }

    /// Asks a request filter. `values` are those of `inputs(Hook::OnRequest)`, in that order.
    ///
    /// A backend's position and the statuses in the answer have been checked; headers haven't.
    pub fn on_request(&mut self, values: &[Option<&str>]) -> Result<Decision, CallError> {
        let call = Call::OnRequest;
        let (decision,) = self.call(call, |store, exports| {
            let on_request = exports
                .on_request
                .ok_or_else(|| no_role(Role::RequestFilter))?;
            on_request.call(store, (values,))
        })?;
        let decision = decision.into();
        let checked = check_decision(&decision, self.backends);
        self.checked(call, checked)?;
        Ok(decision)
    }

    /// Asks a response filter. `values` are those of `inputs(Hook::OnResponse)`, in that order.
    pub fn on_response(&mut self, values: &[Option<&str>]) -> Result<Vec<Edit>, CallError> {
        let call = Call::OnResponse;
        let (edits,) = self.call(call, |store, exports| {
            let on_response = exports
                .on_response
                .ok_or_else(|| no_role(Role::ResponseFilter))?;
            on_response.call(store, (values,))
        })?;
        self.checked_edits(call, v0_1::edits(edits))
    }

    /// Tells a balancer which servers it can pick from. Needed before the first `pick` and whenever
    /// they change.
    pub fn update(&mut self, candidates: &[Candidate]) -> Result<(), CallError> {
        let servers: Vec<v0_1::Server> = candidates.iter().map(v0_1::server).collect();
        let usual = self.deadline;
        self.deadline = usual.times(UPDATE_PATIENCE);
        let updated = self.call(Call::Update, |store, exports| {
            let balancer = exports.balancer.ok_or_else(|| no_role(Role::Balancer))?;
            balancer.update.call(store, (&servers,))
        });
        self.deadline = usual;
        updated?;
        self.servers = candidates.len();
        Ok(())
    }

    /// Asks a balancer for a position in the last `update`, which the answer is checked to be;
    /// `None` if it wants no server used.
    ///
    /// `loads` has an entry per server if the plugin wants loads and is empty otherwise; `tried` are
    /// positions that this exchange has failed on. What is empty is passed as none.
    pub fn pick(
        &mut self,
        turn: u64,
        values: &[Option<&str>],
        loads: &[u32],
        tried: &[u32],
    ) -> Result<Option<usize>, CallError> {
        let asked = (
            turn,
            v0_1::filled(values),
            v0_1::filled(loads),
            v0_1::filled(tried),
        );
        let (picked,) = self.call(Call::Pick, |store, exports| {
            let balancer = exports.balancer.ok_or_else(|| no_role(Role::Balancer))?;
            balancer.pick.call(store, asked)
        })?;
        let picked = picked.map(v0_1::position);
        let checked = check_pick(picked, self.servers);
        self.checked(Call::Pick, checked)?;
        Ok(picked)
    }

    /// Asks a balancer that goes by the turn alone for its picks in `count` turns from `first` on. They are
    /// checked as those of [`pick`](Self::pick) are.
    pub fn picks(&mut self, first: u64, count: u32) -> Result<Vec<Option<usize>>, CallError> {
        let (picks,) = self.call(Call::Picks, |store, exports| {
            let picks = exports.picks.ok_or_else(|| no_role(Role::BalancerAhead))?;
            picks.call(store, (first, count))
        })?;
        let picks: Vec<_> = picks
            .into_iter()
            .map(|picked| picked.map(v0_1::position))
            .collect();
        let checked = match picks.len() {
            found if found != count as usize => {
                Err(format!("{found} picks, and it was asked for {count}"))
            }
            _ => picks
                .iter()
                .try_for_each(|picked| check_pick(*picked, self.servers)),
        };
        self.checked(Call::Picks, checked)?;
        Ok(picks)
    }

    /// Tells a balancer that learns how a pick turned out.
    pub fn observe(
        &mut self,
        index: usize,
        outcome: Outcome,
        microseconds: u64,
    ) -> Result<(), CallError> {
        // An exchange can end after an update that left fewer servers; the plugin isn't told of those.
        let Some(index) = u32::try_from(index).ok().filter(|_| index < self.servers) else {
            return Ok(());
        };
        self.call(Call::Observe, |store, exports| {
            let observe = exports
                .observe
                .ok_or_else(|| no_role(Role::BalancerFeedback))?;
            observe.call(store, (index, outcome.into(), microseconds))
        })
    }

    /// Asks persistence which server the client had. `values` are those of `inputs(Hook::Lookup)`.
    pub fn lookup(&mut self, values: &[Option<&str>]) -> Result<Found, CallError> {
        let (found,) = self.call(Call::Lookup, |store, exports| {
            let persistence = exports
                .persistence
                .ok_or_else(|| no_role(Role::Persistence))?;
            persistence.lookup.call(store, (values,))
        })?;
        let found: Found = found.into();
        let checked = check_edits(&found.edits);
        self.checked(Call::Lookup, checked)?;
        Ok(found)
    }

    /// Tells persistence which server was used, by its persistence key. `values` are those of
    /// `inputs(Hook::Assigned)`.
    pub fn assigned(
        &mut self,
        server: &str,
        values: &[Option<&str>],
    ) -> Result<Vec<Edit>, CallError> {
        let call = Call::Assigned;
        let (edits,) = self.call(call, |store, exports| {
            let persistence = exports
                .persistence
                .ok_or_else(|| no_role(Role::Persistence))?;
            persistence.assigned.call(store, (server, values))
        })?;
        self.checked_edits(call, v0_1::edits(edits))
    }

    fn call<R>(
        &mut self,
        call: Call,
        run: impl FnOnce(&mut Store<State>, &Exports) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        if self.poisoned {
            return Err(self.core.error(call, CallFault::Poisoned));
        }
        self.core.runtime.watch_call(self.deadline.ticks);
        self.store.set_epoch_deadline(self.deadline.ticks);
        self.store
            .data_mut()
            .begin_call(self.core.runtime.options().max_imports);
        run(&mut self.store, &self.exports).map_err(|error| {
            self.poisoned = true;
            self.store.data_mut().end_output();
            let fault = fault(&error, &self.core, &self.store, self.deadline.limit);
            self.core.error(call, fault)
        })
    }

    fn checked_edits(&mut self, call: Call, edits: Vec<Edit>) -> Result<Vec<Edit>, CallError> {
        let checked = check_edits(&edits);
        self.checked(call, checked)?;
        Ok(edits)
    }

    /// A plugin that gives answers that can't be is broken, so its instance is spent too.
    fn checked(&mut self, call: Call, checked: Result<(), String>) -> Result<(), CallError> {
        checked.map_err(|message| {
            self.poisoned = true;
            self.core.error(call, CallFault::Answer { message })
        })
    }
}

fn no_role(role: Role) -> wasmtime::Error {
    wasmtime::Error::msg(format!("it isn't used as a {}", role.as_str()))
}

fn check_decision(decision: &Decision, backends: usize) -> Result<(), String> {
    match &decision.verdict {
        Verdict::Pass => {}
        Verdict::UseBackend(index) => check_backend(*index, backends)?,
        Verdict::Reply(reply) => check_status(reply.status)?,
        Verdict::Deny(status) => check_status(*status)?,
    }
    check_edits(&decision.edits)?;
    check_edits(&decision.response_edits)
}

fn check_pick(picked: Option<usize>, servers: usize) -> Result<(), String> {
    match picked {
        Some(index) if index >= servers => {
            Err(format!("server {index}, and the last update had {servers}"))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_backend(index: usize, backends: usize) -> Result<(), String> {
    if index < backends {
        return Ok(());
    }
    Err(format!("backend {index}, and it named {backends}"))
}

fn check_count(edits: usize) -> Result<(), String> {
    if edits <= EDITS_LIMIT {
        return Ok(());
    }
    Err(format!("{edits} edits, and {EDITS_LIMIT} is the limit"))
}

fn check_edits(edits: &[Edit]) -> Result<(), String> {
    check_count(edits.len())?;
    edits.iter().try_for_each(|edit| match edit {
        Edit::SetStatus(status) => check_status(*status),
        Edit::SetHeader(_)
        | Edit::AddHeader(_)
        | Edit::RemoveHeader(_)
        | Edit::SetPath(_)
        | Edit::SetQuery(_)
        | Edit::SetMethod(_)
        | Edit::RemoveCookie(_)
        | Edit::SetCookieValue(_)
        | Edit::SetVar(_) => Ok(()),
    })
}

fn check_status(status: u16) -> Result<(), String> {
    if (200..=599).contains(&status) {
        return Ok(());
    }
    Err(format!("status {status}, which isn't between 200 and 599"))
}

/// What a failed call means. The limit that was hit explains more than the trap that came of it.
#[cold]
fn fault(
    error: &wasmtime::Error,
    core: &Core,
    store: &Store<State>,
    deadline: Duration,
) -> CallFault {
    let options = core.runtime.options();
    let trap = error.downcast_ref::<Trap>().copied();
    if trap == Some(Trap::Interrupt) {
        return CallFault::Deadline { limit: deadline };
    }
    match store.data().overrun() {
        Some(Overrun::Imports) => CallFault::Imports {
            limit: options.max_imports,
        },
        Some(Overrun::Memory) => CallFault::Memory { limit: core.memory },
        None if error.is::<wasmtime::PoolConcurrencyLimitError>() => CallFault::NoRoom {
            limit: options.max_instances,
        },
        None if is_data_overrun(error) => CallFault::Data {
            limit: options.max_answer,
        },
        None => CallFault::Trap {
            message: trap_message(error, trap),
        },
    }
}

/// The engine's error for this has no public type; a test holds the text still.
fn is_data_overrun(error: &wasmtime::Error) -> bool {
    error
        .root_cause()
        .to_string()
        .contains("fuel allocated for hostcalls has been exhausted")
}

fn trap_message(error: &wasmtime::Error, trap: Option<Trap>) -> String {
    let cause = match trap {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    let cause = printable(cause.trim_start_matches("wasm trap: "));
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    let function = backtrace
        .and_then(|backtrace| backtrace.frames().first())
        .and_then(|frame| frame.func_name());
    match function {
        Some(function) => format!("{cause}, in {}", printable(function)),
        None => cause,
    }
}
