//! Asking where a new version of a plugin is tried out: whom to ask, in which order, and what is kept of it.
//!
//! A canary that fails costs its client the time that it took, for the current version is asked then. A shadow
//! costs nothing but the copy of what it is shown. What is off costs the look at one number.

use std::{
    fmt,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::{
    Failed, LocalBalancer, LocalPlugin, Pick,
    alike::{self, Difference, Versions},
    balancer::{own_observe, own_pick},
    filters::{own_on_connection, own_on_request, own_on_response},
    offloaded,
    persistence::{assigned_or_failed, lookup_or_failed},
    shadow::{BalancerSpectator, OwnValues, Question, Spectator},
};
use crate::{
    backend::Server,
    frontend::{
        facts::Facts,
        generation::{Backend, LocalBackend, PluginUse},
        rollout::{NextPart, NextUse, Picks, Rollout, Version},
    },
    model::{
        ConnectionDecision, ConnectionVerdict, Decision, Edit, Found, Held, Hook, Outcome, Verdict,
    },
};

/// What a worker has of a new version.
pub(super) struct LocalNext {
    rollout: Arc<Rollout>,
    part: Part,
}

#[expect(
    clippy::large_enum_variant,
    reason = "instances live behind a box already, one for each use with a new version"
)]
enum Part {
    Canary(LocalPlugin),
    Shadow(Spectator),
}

impl LocalNext {
    pub fn start(current: &PluginUse, next: &NextUse) -> Self {
        let part = match &next.part {
            NextPart::Canary => {
                let first_backend = current.plugin.backends().len();
                let candidate = Arc::clone(&next.rollout);
                Part::Canary(LocalPlugin::candidate(&next.used, candidate, first_backend))
            }
            NextPart::Shadow(shadow) => Part::Shadow(shadow.spectator()),
        };
        Self {
            rollout: Arc::clone(&next.rollout),
            part,
        }
    }

    /// The new version, if it is what answers this client.
    pub fn canary_for(&self, facts: &Facts<'_>) -> Option<&LocalPlugin> {
        match &self.part {
            Part::Canary(plugin) if self.rollout.takes(facts) => Some(plugin),
            Part::Canary(_) | Part::Shadow(_) => None,
        }
    }

    /// Whether the new version may answer where the current one has nothing to say.
    pub fn has_hook(&self, hook: Hook) -> bool {
        match &self.part {
            Part::Canary(plugin) => plugin.has_own_hook(hook),
            Part::Shadow(_) => false,
        }
    }

    /// Asks for the answer that counts, and has the two versions compared.
    async fn ask<T: Clone>(
        &self,
        current: &LocalPlugin,
        facts: &Facts<'_>,
        hook: Hook,
        nothing: T,
        rest: Rest<
            T,
            impl AsyncFn(&LocalPlugin) -> Result<T, Failed>,
            impl FnOnce(OwnValues, Option<T>) -> Question,
        >,
    ) -> Result<T, Failed> {
        let ask = async |plugin: &LocalPlugin| match plugin.has_own_hook(hook) {
            true => (rest.ask)(plugin).await,
            false => Ok(nothing.clone()),
        };
        let rollout = &*self.rollout;
        let of_current = || timed(rollout, Version::Current, ask(current));
        if !rollout.takes(facts) {
            return of_current().await;
        }
        match &self.part {
            Part::Canary(canary) => {
                let Ok(answer) = timed(rollout, Version::Next, ask(canary)).await else {
                    return of_current().await;
                };
                if rollout.compares()
                    && let Ok(other) = of_current().await
                {
                    let versions = Versions {
                        current: &current.used.plugin,
                        next: &canary.used.plugin,
                        first_backend: canary.first_backend,
                    };
                    rollout.compared((rest.differ)(&versions, &other, &answer));
                }
                Ok(answer)
            }
            Part::Shadow(shadow) => {
                let answer = of_current().await;
                shadow.show(facts, hook, |values| {
                    (rest.show)(values, answer.as_ref().ok().cloned())
                });
                answer
            }
        }
    }
}

/// What differs from hook to hook.
struct Rest<T, Ask, Show> {
    ask: Ask,
    differ: fn(&Versions<'_>, &T, &T) -> Option<Difference>,
    show: Show,
}

/// Has an answer counted with the time that it took. Failures of the new version are counted where they happen,
/// with their cause.
async fn timed<T>(
    rollout: &Rollout,
    version: Version,
    answer: impl Future<Output = Result<T, Failed>>,
) -> Result<T, Failed> {
    let began = Instant::now();
    let answer = answer.await;
    match (&answer, version) {
        (Ok(_), _) => rollout.answered(version, began),
        (Err(Failed), Version::Current) => rollout.current_failed(),
        (Err(Failed), Version::Next) => {}
    }
    answer
}

/// The answer of plugins that are not offloaded, which never wait.
pub(super) fn at_once<T>(answer: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        // Both versions of a use are offloaded or neither is, so this is not reached.
        Poll::Pending => Err(Failed),
    }
}

pub(super) async fn on_connection(
    current: &LocalPlugin,
    next: &LocalNext,
    facts: &Facts<'_>,
) -> Result<ConnectionDecision, Failed> {
    let nothing = ConnectionDecision {
        verdict: ConnectionVerdict::Pass,
        vars: Vec::new(),
        held: Held::default(),
    };
    let rest = Rest {
        ask: async |plugin: &LocalPlugin| match plugin.offload() {
            None => own_on_connection(plugin, facts),
            Some(offload) => offloaded::own_on_connection(plugin, offload, facts).await,
        },
        differ: alike::connections,
        show: |values, answer| Question::OnConnection { values, answer },
    };
    next.ask(current, facts, Hook::OnConnection, nothing, rest)
        .await
}

pub(super) async fn on_request(
    current: &LocalPlugin,
    next: &LocalNext,
    facts: &Facts<'_>,
) -> Result<Arc<Decision>, Failed> {
    let nothing = Arc::new(Decision {
        verdict: Verdict::Pass,
        edits: Vec::new(),
        response_edits: Vec::new(),
    });
    let rest = Rest {
        ask: async |plugin: &LocalPlugin| match plugin.offload() {
            None => own_on_request(plugin, facts),
            Some(offload) => offloaded::own_on_request(plugin, offload, facts).await,
        },
        differ: |versions, current: &Arc<Decision>, next: &Arc<Decision>| {
            alike::decisions(versions, current, next)
        },
        show: |values, answer| Question::OnRequest { values, answer },
    };
    next.ask(current, facts, Hook::OnRequest, nothing, rest)
        .await
}

pub(super) async fn on_response(
    current: &LocalPlugin,
    next: &LocalNext,
    facts: &Facts<'_>,
) -> Result<Arc<Vec<Edit>>, Failed> {
    let rest = Rest {
        ask: async |plugin: &LocalPlugin| match plugin.offload() {
            None => own_on_response(plugin, facts),
            Some(offload) => offloaded::own_on_response(plugin, offload, facts).await,
        },
        differ: |_, current: &Arc<Vec<Edit>>, next: &Arc<Vec<Edit>>| {
            alike::edits(Hook::OnResponse, current, next)
        },
        show: |values, answer| Question::OnResponse { values, answer },
    };
    next.ask(current, facts, Hook::OnResponse, Arc::default(), rest)
        .await
}

pub(super) async fn lookup(
    current: &LocalPlugin,
    next: &LocalNext,
    facts: &Facts<'_>,
) -> Result<Arc<Found>, Failed> {
    let nothing = Arc::new(Found {
        server: None,
        edits: Vec::new(),
    });
    let rest = Rest {
        ask: async |plugin: &LocalPlugin| match plugin.offload() {
            None => lookup_or_failed(plugin, facts),
            Some(offload) => offloaded::lookup_or_failed(plugin, offload, facts).await,
        },
        differ: |_, current: &Arc<Found>, next: &Arc<Found>| alike::found(current, next),
        show: |values, answer| Question::Lookup { values, answer },
    };
    next.ask(current, facts, Hook::Lookup, nothing, rest).await
}

pub(super) async fn assigned(
    current: &LocalPlugin,
    next: &LocalNext,
    server: &Server,
    facts: &Facts<'_>,
) -> Result<Arc<Vec<Edit>>, Failed> {
    let rest = Rest {
        ask: async |plugin: &LocalPlugin| match plugin.offload() {
            None => assigned_or_failed(plugin, server, facts),
            Some(offload) => offloaded::assigned_or_failed(plugin, offload, server, facts).await,
        },
        differ: |_, current: &Arc<Vec<Edit>>, next: &Arc<Vec<Edit>>| {
            alike::edits(Hook::Assigned, current, next)
        },
        show: |values, answer| Question::Assigned {
            server: server.persistence_key.clone(),
            values,
            answer,
        },
    };
    next.ask(current, facts, Hook::Assigned, Arc::default(), rest)
        .await
}

/// What a worker has of a balancer's new version.
pub(super) struct NextBalancer {
    rollout: Arc<Rollout>,
    picks: Arc<Picks>,
    part: BalancerPart,
}

#[expect(clippy::large_enum_variant, reason = "it lives behind a box already")]
enum BalancerPart {
    Canary(LocalBalancer),
    Shadow(BalancerSpectator),
}

impl fmt::Debug for NextBalancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextBalancer")
            .field("rollout", &self.rollout)
            .finish_non_exhaustive()
    }
}

impl NextBalancer {
    pub fn start(next: &NextUse, backend: &Backend) -> Self {
        let part = match &next.part {
            NextPart::Canary => {
                let candidate = Arc::clone(&next.rollout);
                let plugin = LocalPlugin::candidate(&next.used, candidate, 0);
                BalancerPart::Canary(LocalBalancer::of(plugin, backend))
            }
            NextPart::Shadow(shadow) => {
                BalancerPart::Shadow(BalancerSpectator::new(shadow.spectator()))
            }
        };
        Self {
            rollout: Arc::clone(&next.rollout),
            picks: Arc::clone(&next.picks),
            part,
        }
    }

    /// Whether the new version is told how its picks turn out.
    pub fn wants_outcomes(&self) -> bool {
        match &self.part {
            BalancerPart::Canary(balancer) => balancer.has_feedback(),
            BalancerPart::Shadow(_) => true,
        }
    }

    fn timed(
        &self,
        version: Version,
        ask: impl FnOnce() -> Result<Pick, Failed>,
    ) -> Result<Pick, Failed> {
        let picked = at_once(timed(&self.rollout, version, async { ask() }));
        if let Ok(Pick::Server(server)) = picked {
            self.picks.picked(version, server);
        }
        picked
    }
}

pub(super) fn pick(
    local: &LocalBackend,
    next: &NextBalancer,
    backend: &Backend,
    turn: u64,
    tried: &[usize],
    facts: &Facts<'_>,
) -> Result<Pick, Failed> {
    let of_current = || {
        next.timed(Version::Current, || {
            own_pick(local, backend, turn, tried, facts)
        })
    };
    if !next.rollout.takes(facts) {
        return of_current();
    }
    match &next.part {
        BalancerPart::Canary(balancer) => {
            let ask = || balancer.noted_pick(backend, turn, tried, facts);
            let Ok(picked) = next.timed(Version::Next, ask) else {
                return of_current();
            };
            if next.rollout.compares()
                && let Ok(other) = of_current()
            {
                let difference = alike::picks(server(other), server(picked));
                next.rollout.compared(difference);
            }
            Ok(picked)
        }
        BalancerPart::Shadow(shadow) => {
            let picked = of_current();
            shadow.picked(backend, turn, tried, facts, picked.ok().map(server));
            picked
        }
    }
}

fn server(picked: Pick) -> Option<usize> {
    match picked {
        Pick::Server(server) => Some(server),
        Pick::NoServer => None,
    }
}

/// Tells the version whose pick it was, and a shadow of what became of the current version's.
pub(super) fn observe(
    local: &LocalBackend,
    next: &NextBalancer,
    server: usize,
    outcome: Outcome,
    took: Duration,
    facts: &Facts<'_>,
) {
    let takes = next.rollout.takes(facts);
    match &next.part {
        BalancerPart::Canary(balancer) if takes => {
            own_observe(balancer, server, outcome, took, facts);
        }
        BalancerPart::Canary(_) => own_observe(&local.balancer, server, outcome, took, facts),
        BalancerPart::Shadow(shadow) => {
            own_observe(&local.balancer, server, outcome, took, facts);
            if takes {
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                shadow.observe(server, outcome, micros);
            }
        }
    }
}
