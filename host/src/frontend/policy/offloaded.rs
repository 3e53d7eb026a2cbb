//! Asking plugins whose calls are made on threads of their own: the same questions and the same rules for
//! failures as above, awaited.

use smallvec::SmallVec;

use super::{
    Decision, Edit, Failed, Found, Hook, LocalPlugin, NO_MEMORY, checked_decision, checked_response,
};
use crate::{
    backend::Server,
    frontend::facts::Facts,
    plugin::{Call, CallError, Instance, Offload},
};

/// The values of a hook's inputs, for another thread.
struct Values(Vec<Option<String>>);

impl Values {
    fn of(plugin: &LocalPlugin, hook: Hook, facts: &Facts<'_>) -> Self {
        let values = facts.values(plugin.inputs_of(hook));
        let owned = values.into_iter().map(|value| Some(value?.into_owned()));
        Self(owned.collect())
    }

    fn borrowed(&self) -> SmallVec<[Option<&str>; 8]> {
        self.0.iter().map(Option::as_deref).collect()
    }
}

impl LocalPlugin {
    async fn call_offloaded<T: Send + 'static>(
        &self,
        offload: &Offload,
        call: Call,
        facts: &Facts<'_>,
        ask: impl FnOnce(&mut Instance) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, Failed> {
        self.admit()?;
        let answer = offload.call(call, ask).await;
        self.settle(facts, answer)
    }
}

pub async fn on_request(
    plugin: &LocalPlugin,
    offload: &Offload,
    facts: &Facts<'_>,
) -> Result<Decision, Failed> {
    let values = Values::of(plugin, Hook::OnRequest, facts);
    let ask = move |instance: &mut Instance| instance.on_request(&values.borrowed());
    let decision = plugin.call_offloaded(offload, Call::OnRequest, facts, ask);
    checked_decision(plugin, facts, decision.await?)
}

pub async fn on_response(
    plugin: &LocalPlugin,
    offload: &Offload,
    facts: &Facts<'_>,
) -> Result<Vec<Edit>, Failed> {
    let values = Values::of(plugin, Hook::OnResponse, facts);
    let ask = move |instance: &mut Instance| instance.on_response(&values.borrowed());
    let edits = plugin.call_offloaded(offload, Call::OnResponse, facts, ask);
    checked_response(plugin, facts, Hook::OnResponse, edits.await?)
}

/// Asked once: the next instance would have to wait for its turn again.
pub async fn lookup(plugin: &LocalPlugin, offload: &Offload, facts: &Facts<'_>) -> Found {
    let values = Values::of(plugin, Hook::Lookup, facts);
    let ask = move |instance: &mut Instance| instance.lookup(&values.borrowed());
    let found = plugin.call_offloaded(offload, Call::Lookup, facts, ask);
    found.await.unwrap_or(NO_MEMORY)
}

pub async fn assigned(
    plugin: &LocalPlugin,
    offload: &Offload,
    server: &Server,
    facts: &Facts<'_>,
) -> Vec<Edit> {
    let values = Values::of(plugin, Hook::Assigned, facts);
    let key = server.persistence_key.clone();
    let ask = move |instance: &mut Instance| instance.assigned(&key, &values.borrowed());
    let edits = plugin.call_offloaded(offload, Call::Assigned, facts, ask);
    edits
        .await
        .and_then(|edits| checked_response(plugin, facts, Hook::Assigned, edits))
        .unwrap_or_default()
}
