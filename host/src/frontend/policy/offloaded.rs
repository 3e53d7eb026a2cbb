//! Asking plugins whose calls are made on threads of their own: the same questions and the same rules for
//! failures as above, awaited.

use std::{iter::once, sync::Arc};

use smallvec::SmallVec;

use super::{
    Failed, LocalPlugin,
    filters::{checked_connection, checked_decision, checked_response},
    next,
    persistence::checked_found,
};
use crate::{
    backend::Server,
    frontend::facts::Facts,
    model::{ConnectionDecision, Decision, Edit, Found, Hook},
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
        self.admit(facts)?;
        let answer = offload.call(call, ask).await;
        self.settle(facts, answer)
    }
}

pub async fn on_connection(
    plugin: &LocalPlugin,
    offload: &Offload,
    facts: &Facts<'_>,
) -> Result<ConnectionDecision, Failed> {
    match &plugin.next {
        None => own_on_connection(plugin, offload, facts).await,
        Some(next) => next::on_connection(plugin, next, facts).await,
    }
}

pub(super) async fn own_on_connection(
    plugin: &LocalPlugin,
    offload: &Offload,
    facts: &Facts<'_>,
) -> Result<ConnectionDecision, Failed> {
    let values = Values::of(plugin, Hook::OnConnection, facts);
    let ask = move |instance: &mut Instance| instance.on_connection(&values.borrowed());
    let decision = plugin.call_offloaded(offload, Call::OnConnection, facts, ask);
    checked_connection(plugin, facts, decision.await?)
}

pub async fn on_request(
    plugin: &LocalPlugin,
    offload: &Offload,
    facts: &Facts<'_>,
) -> Result<Arc<Decision>, Failed> {
    match &plugin.next {
        None => own_on_request(plugin, offload, facts).await,
        Some(next) => next::on_request(plugin, next, facts).await,
    }
}

pub(super) async fn own_on_request(
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
    match &plugin.next {
        None => own_on_response(plugin, offload, facts).await,
        Some(next) => next::on_response(plugin, next, facts).await,
    }
}

pub(super) async fn own_on_response(
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
    match &plugin.next {
        None => lookup_or_failed(plugin, offload, facts).await.ok(),
        Some(next) => next::lookup(plugin, next, facts).await.ok(),
    }
}

pub(super) async fn lookup_or_failed(
    plugin: &LocalPlugin,
    offload: &Offload,
    facts: &Facts<'_>,
) -> Result<Arc<Found>, Failed> {
    let values = Values::of(plugin, Hook::Lookup, facts);
    let known = &plugin.known.lookup;
    let unknown = match plugin.recall(known, values.texts()) {
        Ok(found) => return Ok(found),
        Err(unknown) => unknown,
    };
    let ask = move |instance: &mut Instance| instance.lookup(&values.borrowed());
    let found = plugin.call_offloaded(offload, Call::Lookup, facts, ask);
    let found = checked_found(plugin, facts, found.await?)?;
    Ok(plugin.keep(known, unknown, found))
}

pub async fn assigned(
    plugin: &LocalPlugin,
    offload: &Offload,
    server: &Server,
    facts: &Facts<'_>,
) -> Arc<Vec<Edit>> {
    let edits = match &plugin.next {
        None => assigned_or_failed(plugin, offload, server, facts).await,
        Some(next) => next::assigned(plugin, next, server, facts).await,
    };
    edits.unwrap_or_default()
}

pub(super) async fn assigned_or_failed(
    plugin: &LocalPlugin,
    offload: &Offload,
    server: &Server,
    facts: &Facts<'_>,
) -> Result<Arc<Vec<Edit>>, Failed> {
    let values = Values::of(plugin, Hook::Assigned, facts);
    let known = &plugin.known.assigned;
    let question = once(Some(server.persistence_key.as_str())).chain(values.texts());
    let unknown = match plugin.recall(known, question) {
        Ok(edits) => return Ok(edits),
        Err(unknown) => unknown,
    };
    let key = server.persistence_key.clone();
    let ask = move |instance: &mut Instance| instance.assigned(&key, &values.borrowed());
    let edits = plugin.call_offloaded(offload, Call::Assigned, facts, ask);
    let edits = checked_response(plugin, facts, Hook::Assigned, edits.await?)?;
    Ok(plugin.keep(known, unknown, edits))
}
