//! What plugins are asked in the course of an exchange: filters about the request, persistence about the server,
//! and both about the answer. Their answers are carried out here.

use std::sync::Arc;

use super::{
    answer::Answer,
    edits,
    error::ExchangeError,
    exchange::Exchange,
    generation::{Backend, Filter, Frontend, LocalBackend, LocalGeneration},
    noted,
    policy::{Failed, LocalPlugin},
    side::ClientSide,
    talk::Talk,
};
use crate::{
    http::response::ResponseHead,
    model::{Decision, Hook, Verdict},
    plugin::Offload,
};

/// What the filters made of a request.
pub(super) enum Routed {
    /// Position in the generation's backends.
    Backend(usize),
    Answer(Answer),
}

/// What some filters made of a request.
enum Heard {
    Pass { chosen: Option<usize> },
    Answer(Answer),
}

impl<C: ClientSide> Exchange<'_, C> {
    /// Asks the frontend's filters in order, and then those of the backend that comes out. The last to
    /// choose a backend wins; a reply ends the matter.
    pub(super) async fn ask_filters(
        &mut self,
        generation: &LocalGeneration,
        frontend: &Frontend,
    ) -> Result<Routed, ExchangeError> {
        let plugins = &generation.frontends[self.frontend].filters;
        let heard = self.ask_each(frontend, None, &frontend.filters, plugins);
        let chosen = match heard.await? {
            Heard::Answer(answer) => return Ok(Routed::Answer(answer)),
            Heard::Pass { chosen } => chosen
                .or_else(|| self.client.ends().chosen_backend(&generation.shared))
                .or(frontend.default_backend),
        };
        let chosen = chosen.ok_or(ExchangeError::NoBackend)?;
        let backend = &generation.shared.backends[chosen];
        if backend.filters.is_empty() {
            return Ok(Routed::Backend(chosen));
        }
        let plugins = &generation.backends[chosen].filters;
        let heard = self.ask_each(frontend, Some(backend), &backend.filters, plugins);
        match Box::pin(heard).await? {
            Heard::Answer(answer) => Ok(Routed::Answer(answer)),
            // That they choose none is seen to when they are loaded.
            Heard::Pass { chosen: _ } => Ok(Routed::Backend(chosen)),
        }
    }

    async fn ask_each(
        &mut self,
        frontend: &Frontend,
        backend: Option<&Backend>,
        filters: &[Filter],
        plugins: &[LocalPlugin],
    ) -> Result<Heard, ExchangeError> {
        let mut chosen = None;
        for (filter, plugin) in filters.iter().zip(plugins) {
            if !plugin.has_hook(Hook::OnRequest) {
                continue;
            }
            let decision = match plugin.offload() {
                None => self.ask_filter(frontend, backend, plugin),
                Some(offload) => {
                    Box::pin(self.ask_offloaded_filter(frontend, backend, plugin, offload)).await
                }
            };
            let decision = match decision {
                Ok(decision) => decision,
                Err(Failed) if filter.denies_when_failed() => {
                    return Err(ExchangeError::FilterFailed);
                }
                Err(Failed) => continue,
            };
            self.response_edits
                .extend_from_slice(&decision.response_edits);
            match &decision.verdict {
                Verdict::Pass => {}
                Verdict::UseBackend(position) => chosen = Some(filter.backends[*position]),
                Verdict::Reply(reply) => {
                    return Ok(Heard::Answer(Answer::Reply(reply.clone())));
                }
                Verdict::Deny(status) => return Ok(Heard::Answer(Answer::Denied(*status))),
            }
        }
        Ok(Heard::Pass { chosen })
    }

    /// One filter's decision, its edits of the request made.
    fn ask_filter(
        &mut self,
        frontend: &Frontend,
        backend: Option<&Backend>,
        plugin: &LocalPlugin,
    ) -> Result<Arc<Decision>, Failed> {
        let decision = noted::on_request(plugin, &self.facts(frontend, backend, None))?;
        self.make_edits(frontend, backend, plugin, decision)
    }

    async fn ask_offloaded_filter(
        &mut self,
        frontend: &Frontend,
        backend: Option<&Backend>,
        plugin: &LocalPlugin,
        offload: &Offload,
    ) -> Result<Arc<Decision>, Failed> {
        let facts = self.facts(frontend, backend, None);
        let decision = noted::offloaded::on_request(plugin, offload, &facts).await?;
        self.make_edits(frontend, backend, plugin, decision)
    }

    fn make_edits(
        &mut self,
        frontend: &Frontend,
        backend: Option<&Backend>,
        plugin: &LocalPlugin,
        decision: Arc<Decision>,
    ) -> Result<Arc<Decision>, Failed> {
        match edits::apply_request(&mut self.head, &mut self.vars, &decision.edits) {
            Ok(()) => Ok(decision),
            Err(bad) => {
                let facts = self.facts(frontend, backend, None);
                plugin.refused(&facts, Hook::OnRequest, &bad);
                Err(Failed)
            }
        }
    }

    /// The server that the client is bound to, if it can take the request.
    pub(super) async fn ask_persistence(
        &mut self,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
    ) -> Option<usize> {
        let plugin = local.persistence.as_ref()?;
        let facts = self.facts(frontend, Some(backend), None);
        let found = match plugin.offload() {
            None => noted::lookup(plugin, &facts),
            Some(offload) => Box::pin(noted::offloaded::lookup(plugin, offload, &facts)).await,
        }?;
        if let Err(bad) = edits::apply_request(&mut self.head, &mut self.vars, &found.edits) {
            let facts = self.facts(frontend, Some(backend), None);
            plugin.refused(&facts, Hook::Lookup, &bad);
        }
        let known = backend.server_by_persistence_key(found.server.as_deref()?);
        // A server that takes no new clients still serves those it has.
        let usable = known.filter(|index| backend.servers[*index].state.is_up());
        self.record.bound(known.is_some(), usable.is_some());
        usable
    }

    /// The server that a filter has named, if it can take the request.
    pub(super) fn named_server(&mut self, backend: &Backend) -> Option<usize> {
        let name = self.vars.get(backend.server_from.as_deref()?)?;
        backend.usable_server(name)
    }

    /// Lets persistence and the filters see the answer, and makes their edits and those that filters
    /// asked for with the request.
    pub(super) async fn ask_response_filters(
        &mut self,
        generation: &LocalGeneration,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
        bound: Option<usize>,
        talk: &mut Talk<'_>,
    ) -> Result<(), ExchangeError> {
        let server = talk.server();
        if let Some(plugin) = &local.persistence
            && (bound != Some(server)
                || plugin.always_assigned(&self.facts(frontend, Some(backend), None)))
        {
            let facts = self.facts(frontend, Some(backend), Some(talk.head()));
            let assigned = &backend.servers[server];
            let edits = match plugin.offload() {
                None => noted::assigned(plugin, assigned, &facts),
                Some(offload) => {
                    let edits = noted::offloaded::assigned(plugin, offload, assigned, &facts);
                    Box::pin(edits).await
                }
            };
            self.record.assigned(&edits);
            edits::apply_response(talk.head_mut(), &mut self.vars, &edits);
        }
        self.ask_filters_about(generation, frontend, backend, local, talk.head_mut())
            .await
    }

    /// Lets the filters see an answer, wherever it comes from.
    pub(super) async fn ask_filters_about(
        &mut self,
        generation: &LocalGeneration,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
        head: &mut ResponseHead,
    ) -> Result<(), ExchangeError> {
        let plugins = &generation.frontends[self.frontend].filters;
        let of_frontend = frontend.filters.iter().zip(plugins);
        let of_backend = backend.filters.iter().zip(&local.filters);
        for (filter, plugin) in of_backend.chain(of_frontend) {
            if !plugin.has_hook(Hook::OnResponse) {
                continue;
            }
            let facts = self.facts(frontend, Some(backend), Some(head));
            let edits = match plugin.offload() {
                None => noted::on_response(plugin, &facts),
                Some(offload) => {
                    Box::pin(noted::offloaded::on_response(plugin, offload, &facts)).await
                }
            };
            match edits {
                Ok(edits) => edits::apply_response(head, &mut self.vars, &edits),
                Err(Failed) if filter.denies_when_failed() => {
                    return Err(ExchangeError::FilterFailed);
                }
                Err(Failed) => {}
            }
        }
        edits::apply_response(head, &mut self.vars, &self.response_edits);
        Ok(())
    }
}
