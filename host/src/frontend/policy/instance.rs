//! A worker's instance of a plugin: calling it, counting how that went, and keeping away from it if it keeps
//! failing.

use std::{
    cell::{Cell, RefCell},
    fmt,
    sync::Arc,
    time::Instant,
};

use tracing::{info, warn};

use super::{Failed, known::Known, next::LocalNext};
use crate::{
    frontend::{
        edits::{self, BadEdit},
        facts::Facts,
        generation::PluginUse,
        notes::{Asker, call_of, inputs_of},
        rollout::Rollout,
    },
    model::{Edit, Hook, Input},
    plugin::{Admission, CallError, Cause, Cost, Instance, LogRate, Offload, Plugin, Turn},
};

/// A worker's instance of a plugin.
pub struct LocalPlugin {
    pub(super) used: PluginUse,
    pub(super) instance: RefCell<Option<Instance>>,
    pub(super) known: Known,
    /// The version that is tried out beside it.
    pub(super) next: Option<Box<LocalNext>>,
    /// What it answers for if it is such a version itself.
    pub(super) candidate: Option<Arc<Rollout>>,
    /// What its positions of backends begin with, as they follow those of the current version.
    pub(super) first_backend: usize,
    /// Whether the last answer was one that it had given before.
    pub(super) from_memory: Cell<bool>,
    /// How often its failures are told: who brings one about can bring about as many as he likes.
    told: RefCell<LogRate>,
}

impl fmt::Debug for LocalPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPlugin")
            .field("plugin", &self.used.plugin)
            .finish_non_exhaustive()
    }
}

impl LocalPlugin {
    pub fn start(used: &PluginUse) -> Self {
        let next = used.next.as_ref();
        Self {
            next: next.map(|next| Box::new(LocalNext::start(used, next))),
            ..Self::alone(used)
        }
    }

    /// A version that is tried out.
    pub(super) fn candidate(used: &PluginUse, rollout: Arc<Rollout>, first_backend: usize) -> Self {
        Self {
            candidate: Some(rollout),
            first_backend,
            ..Self::alone(used)
        }
    }

    /// Whatever is tried out beside it.
    pub(super) fn alone(used: &PluginUse) -> Self {
        let instance = match &used.offload {
            // Its threads have the instances.
            Some(_) => None,
            None => match used.plugin.instantiate() {
                Ok(instance) => Some(instance),
                Err(error) => {
                    warn!(%error, "instance not started; it is tried again when it is needed");
                    None
                }
            },
        };
        Self {
            used: used.clone(),
            instance: RefCell::new(instance),
            known: Known::default(),
            next: None,
            candidate: None,
            first_backend: 0,
            from_memory: Cell::new(false),
            told: RefCell::default(),
        }
    }

    /// The threads that it is to be asked on, with the functions of [`offloaded`]; none if the worker's
    /// own instance is.
    pub fn offload(&self) -> Option<&Offload> {
        self.used.offload.as_deref()
    }

    /// Calls the instance, making one if there is none. An instance that failed is dropped, since its
    /// memory may be in any state.
    pub(super) fn call<T>(
        &self,
        facts: &Facts<'_>,
        ask: impl FnOnce(&mut Instance) -> Result<T, CallError>,
    ) -> Result<T, Failed> {
        self.admit(facts)?;
        let mut slot = self.instance.borrow_mut();
        let answer = match slot.as_mut() {
            Some(instance) => facts.notes.calling(instance, ask),
            None => match self.used.plugin.instantiate() {
                Ok(instance) => facts.notes.calling(slot.insert(instance), ask),
                Err(error) => Err(error),
            },
        };
        if answer.is_err() {
            *slot = None;
        }
        self.settle(facts, answer)
    }

    /// Fails if the plugin is in quarantine. The clock is only looked at when something is wrong.
    pub(super) fn admit(&self, facts: &Facts<'_>) -> Result<(), Failed> {
        let breaker = &self.used.breaker;
        if breaker.is_quarantined()
            && let Admission::Quarantined { .. } = breaker.admit(Instant::now())
        {
            self.used.metrics.quarantined();
            if let Some(rollout) = &self.candidate {
                rollout.next_quarantined();
            }
            let asker = Asker::of(self.plugin());
            facts.notes.quarantined(asker, facts);
            return Err(Failed);
        }
        Ok(())
    }

    /// Counts how a call went, and logs one that failed.
    pub(super) fn settle<T>(
        &self,
        facts: &Facts<'_>,
        answer: Result<T, CallError>,
    ) -> Result<T, Failed> {
        let breaker = &self.used.breaker;
        match answer {
            Ok(answer) => {
                self.used.metrics.called();
                if breaker.is_quarantined()
                    && let Some(Turn::Recovered) = breaker.succeeded(Instant::now())
                {
                    info!(plugin = %self.used.plugin.name(), "plugin works again");
                }
                Ok(answer)
            }
            Err(error) => {
                self.failed(facts, &error);
                Err(Failed)
            }
        }
    }

    fn failed(&self, facts: &Facts<'_>, error: &CallError) {
        self.used.metrics.failed(error.fault.cause().as_str());
        if error.fault.is_the_plugins() {
            self.count_failure(error.fault.cost());
            if let Some(rollout) = &self.candidate {
                rollout.next_failed(error.fault.cause());
            }
        }
        let inputs = inputs_of(self.plugin(), error.call);
        let asker = Asker::of(self.plugin());
        facts
            .notes
            .failed(asker, error.call, inputs, facts, &error.fault);
        if !self.may_tell() {
            return;
        }
        warn!(
            plugin = %error.plugin,
            hook = %error.call,
            frontend = facts.frontend,
            backend = facts.backend,
            request_id = %facts.request_id,
            "plugin failed: {}", error.fault
        );
    }

    /// The answer was well formed but asks for what must not be sent. That is no step towards a quarantine: the
    /// plugin works, and what it was asked to pass on is often the client's choice.
    pub fn refused(&self, facts: &Facts<'_>, hook: Hook, bad: &BadEdit) {
        if let Some(next) = &self.next
            && let Some(canary) = next.canary_for(facts)
        {
            return canary.refused(facts, hook, bad);
        }
        self.used.metrics.refused();
        if let Some(rollout) = &self.candidate {
            rollout.next_failed(Cause::Answer);
        }
        let inputs = self.inputs_of(hook);
        let asker = Asker::of(self.plugin());
        let why = format_args!("its answer was refused: {bad}");
        facts
            .notes
            .failed(asker, call_of(hook), inputs, facts, &why);
        if !self.may_tell() {
            return;
        }
        warn!(
            plugin = %self.used.plugin.name(),
            %hook,
            frontend = facts.frontend,
            backend = facts.backend,
            request_id = %facts.request_id,
            "plugin's answer refused: {bad}"
        );
    }

    /// Whether a failure may be told in the log, which the worker writes to itself. Metrics count them all.
    fn may_tell(&self) -> bool {
        let kept_back = self.told.borrow_mut().ask(Instant::now());
        if let Some(kept_back @ 1..) = kept_back {
            warn!(plugin = %self.used.plugin.name(), kept_back, "more failures than are told one by one");
        }
        kept_back.is_some()
    }

    fn count_failure(&self, cost: Cost) {
        let answered = self.used.metrics.answered();
        let turn = self.used.breaker.failed(Instant::now(), cost, answered);
        if let Some(Turn::Quarantined { pause }) = turn {
            warn!(
                plugin = %self.used.plugin.name(),
                "plugin failed too often, it is not asked for {pause:?}"
            );
        }
    }

    pub(in crate::frontend) fn plugin(&self) -> &Arc<Plugin> {
        &self.used.plugin
    }

    /// The version that has just answered this client: the one that is tried out, unless it failed at it.
    pub(in crate::frontend) fn answering(&self, facts: &Facts<'_>) -> &Self {
        let canary = self.next.as_ref().and_then(|next| next.canary_for(facts));
        let failed = |canary: &&Self| facts.notes.just_failed(Asker::of(canary.plugin()));
        match canary.filter(|canary| !failed(canary)) {
            Some(canary) => canary,
            None => self,
        }
    }

    /// Whether the answer that was just given was one that the plugin had given before. Said once.
    pub(in crate::frontend) fn answered_from_memory(&self) -> bool {
        self.from_memory.take()
    }

    pub(super) fn inputs_of(&self, hook: Hook) -> &[Input] {
        self.used.plugin.inputs(hook)
    }

    /// Whether the plugin has anything to say there.
    pub fn has_hook(&self, hook: Hook) -> bool {
        self.has_own_hook(hook) || self.next.as_ref().is_some_and(|next| next.has_hook(hook))
    }

    pub(super) fn has_own_hook(&self, hook: Hook) -> bool {
        self.used.plugin.has_hook(hook)
    }

    /// Whether it wants to see this client's responses even if it knows the server.
    pub fn always_assigned(&self, facts: &Facts<'_>) -> bool {
        let canary = self.next.as_ref().and_then(|next| next.canary_for(facts));
        let asked = canary.unwrap_or(self);
        asked.used.plugin.always_assigned()
    }

    /// Refuses in advance what making the edits would refuse, so that the current version can be asked instead.
    pub(super) fn check_candidate(&self, facts: &Facts<'_>, edits: &[Edit]) -> Result<(), BadEdit> {
        if self.candidate.is_none() || edits.is_empty() {
            return Ok(());
        }
        let mut vars = facts.vars.clone();
        match facts.head {
            Some(head) => edits::apply_request(&mut head.clone(), &mut vars, edits),
            None => edits::apply_session(&mut vars, edits),
        }
    }
}
