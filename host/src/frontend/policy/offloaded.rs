//! Asking plugins whose calls are made on threads of their own: the same questions and the same rules for
//! failures as above, awaited.

use std::{iter::once, sync::Arc};

use smallvec::SmallVec;

use super::{
    ConnectionDecision, Decision, Edit, Failed, Found, Hook, LocalPlugin, checked_decision,
    checked_response,
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
        self.texts().collect()
    }

    fn texts(&self) -> impl Iterator<Item = Option<&str>> {
        self.0.iter().map(Option::as_deref)
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

pub async fn on_connection(
    plugin: &LocalPlugin,
    offload: &Offload,
    facts: &Facts<'_>,
) -> Result<ConnectionDecision, Failed> {
    let values = Values::of(plugin, Hook::OnConnection, facts);
    let ask = move |instance: &mut Instance| instance.on_connection(&values.borrowed());
    plugin
        .call_offloaded(offload, Call::OnConnection, facts, ask)
        .await
}

pub async fn on_request(
    plugin: &LocalPlugin,
    offload: &Offload,
    facts: &Facts<'_>,
) -> Result<Arc<Decision>, Failed> {
    let values = Values::of(plugin, Hook::OnRequest, facts);
    let known = &plugin.known.on_request;
    let unknown = match plugin.recall(known, values.texts()) {
        Ok(decision) => return Ok(decision),
        Err(unknown) => unknown,
    };
    let ask = move |instance: &mut Instance| instance.on_request(&values.borrowed());
    let decision = plugin.call_offloaded(offload, Call::OnRequest, facts, ask);
    let decision = checked_decision(plugin, facts, decision.await?)?;
    Ok(plugin.keep(known, unknown, decision))
}

pub async fn on_response(
    plugin: &LocalPlugin,
    offload: &Offload,
    facts: &Facts<'_>,
) -> Result<Arc<Vec<Edit>>, Failed> {
    let values = Values::of(plugin, Hook::OnResponse, facts);
    let known = &plugin.known.on_response;
    let unknown = match plugin.recall(known, values.texts()) {
        Ok(edits) => return Ok(edits),
        Err(unknown) => unknown,
    };
    let ask = move |instance: &mut Instance| instance.on_response(&values.borrowed());
    let edits = plugin.call_offloaded(offload, Call::OnResponse, facts, ask);
    let edits = checked_response(plugin, facts, Hook::OnResponse, edits.await?)?;
    Ok(plugin.keep(known, unknown, edits))
}

/// Asked once: the next instance would have to wait for its turn again.
pub async fn lookup(
    plugin: &LocalPlugin,
    offload: &Offload,
    facts: &Facts<'_>,
) -> Option<Arc<Found>> {
    let values = Values::of(plugin, Hook::Lookup, facts);
    let known = &plugin.known.lookup;
    let unknown = match plugin.recall(known, values.texts()) {
        Ok(found) => return Some(found),
        Err(unknown) => unknown,
    };
    let ask = move |instance: &mut Instance| instance.lookup(&values.borrowed());
    let found = plugin.call_offloaded(offload, Call::Lookup, facts, ask);
    Some(plugin.keep(known, unknown, found.await.ok()?))
}

pub async fn assigned(
    plugin: &LocalPlugin,
    offload: &Offload,
    server: &Server,
    facts: &Facts<'_>,
) -> Arc<Vec<Edit>> {
    let values = Values::of(plugin, Hook::Assigned, facts);
    let known = &plugin.known.assigned;
    let question = once(Some(server.persistence_key.as_str())).chain(values.texts());
    let unknown = match plugin.recall(known, question) {
        Ok(edits) => return edits,
        Err(unknown) => unknown,
    };
    let key = server.persistence_key.clone();
    let ask = move |instance: &mut Instance| instance.assigned(&key, &values.borrowed());
    let edits = plugin.call_offloaded(offload, Call::Assigned, facts, ask);
    let edits = edits.await;
    match edits.and_then(|edits| checked_response(plugin, facts, Hook::Assigned, edits)) {
        Ok(edits) => plugin.keep(known, unknown, edits),
        Err(Failed) => Arc::default(),
    }
}
