//! Asking plugins by `policy`, and taking notes of what they answer. Failures are noted where they are logged.

use std::sync::Arc;

use super::{
    facts::Facts,
    notes::{Answer, Asker},
    policy::{self, Failed, LocalPlugin},
};
use crate::{
    backend::Server,
    model::{ConnectionDecision, Decision, Edit, Found, Hook},
    plugin::Offload,
};

pub fn on_request(plugin: &LocalPlugin, facts: &Facts<'_>) -> Result<Arc<Decision>, Failed> {
    facts.notes.asking();
    let decision = policy::on_request(plugin, facts)?;
    answered(plugin, Hook::OnRequest, facts, || (&decision).into());
    Ok(decision)
}

pub fn on_response(plugin: &LocalPlugin, facts: &Facts<'_>) -> Result<Arc<Vec<Edit>>, Failed> {
    facts.notes.asking();
    let edits = policy::on_response(plugin, facts)?;
    answered(plugin, Hook::OnResponse, facts, || (&edits).into());
    Ok(edits)
}

pub fn lookup(plugin: &LocalPlugin, facts: &Facts<'_>) -> Option<Arc<Found>> {
    facts.notes.asking();
    let found = policy::lookup(plugin, facts)?;
    answered(plugin, Hook::Lookup, facts, || (&found).into());
    Some(found)
}

pub fn assigned(plugin: &LocalPlugin, server: &Server, facts: &Facts<'_>) -> Arc<Vec<Edit>> {
    facts.notes.asking();
    let edits = policy::assigned(plugin, server, facts);
    told_of(plugin, server, facts, &edits);
    edits
}

/// Asks a filter about a connection, on whichever thread it is to be asked.
pub async fn on_connection(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
) -> Result<ConnectionDecision, Failed> {
    facts.notes.asking();
    let decision = match plugin.offload() {
        None => policy::on_connection(plugin, facts),
        Some(offload) => policy::offloaded::on_connection(plugin, offload, facts).await,
    }?;
    answered(plugin, Hook::OnConnection, facts, || {
        Answer::Connection(Box::new(decision.clone()))
    });
    Ok(decision)
}

/// The same of plugins whose calls are made on threads of their own.
pub mod offloaded {
    use super::*;

    pub async fn on_request(
        plugin: &LocalPlugin,
        offload: &Offload,
        facts: &Facts<'_>,
    ) -> Result<Arc<Decision>, Failed> {
        facts.notes.asking();
        let decision = policy::offloaded::on_request(plugin, offload, facts).await?;
        answered(plugin, Hook::OnRequest, facts, || (&decision).into());
        Ok(decision)
    }

    pub async fn on_response(
        plugin: &LocalPlugin,
        offload: &Offload,
        facts: &Facts<'_>,
    ) -> Result<Arc<Vec<Edit>>, Failed> {
        facts.notes.asking();
        let edits = policy::offloaded::on_response(plugin, offload, facts).await?;
        answered(plugin, Hook::OnResponse, facts, || (&edits).into());
        Ok(edits)
    }

    pub async fn lookup(
        plugin: &LocalPlugin,
        offload: &Offload,
        facts: &Facts<'_>,
    ) -> Option<Arc<Found>> {
        facts.notes.asking();
        let found = policy::offloaded::lookup(plugin, offload, facts).await?;
        answered(plugin, Hook::Lookup, facts, || (&found).into());
        Some(found)
    }

    pub async fn assigned(
        plugin: &LocalPlugin,
        offload: &Offload,
        server: &Server,
        facts: &Facts<'_>,
    ) -> Arc<Vec<Edit>> {
        facts.notes.asking();
        let edits = policy::offloaded::assigned(plugin, offload, server, facts).await;
        told_of(plugin, server, facts, &edits);
        edits
    }
}

fn told_of(plugin: &LocalPlugin, server: &Server, facts: &Facts<'_>, edits: &Arc<Vec<Edit>>) {
    let by = Asker::of(plugin.answering(facts).plugin());
    if edits.is_empty() && facts.notes.just_failed(by) {
        // That there is no answer was noted.
        return;
    }
    answered(plugin, Hook::Assigned, facts, || edits.into());
    facts.notes.detail(|detail| {
        detail.assigned = Some(server.persistence_key.clone());
    });
}

fn answered(plugin: &LocalPlugin, hook: Hook, facts: &Facts<'_>, answer: impl FnOnce() -> Answer) {
    // Both are asked where versions are compared, and both may have said that they remembered.
    let own = plugin.answered_from_memory();
    let by = plugin.answering(facts);
    let from_memory = match std::ptr::eq(by, plugin) {
        true => own,
        false => by.answered_from_memory(),
    };
    facts.notes.answered(
        Asker::of(by.plugin()),
        super::notes::call_of(hook),
        from_memory,
        by.plugin().inputs(hook),
        facts,
        answer,
    );
}
