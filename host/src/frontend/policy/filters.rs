//! Asking filters: about a connection, a request, a response. What they answer is checked here.

use std::sync::Arc;

use super::{
    Failed, LocalPlugin,
    next::{self, at_once},
};
use crate::{
    frontend::{
        edits,
        facts::{Facts, borrowed, texts},
    },
    model::{ConnectionDecision, ConnectionVerdict, Decision, Edit, Hook, Verdict},
};

/// Asks a filter about a connection. The variables that it sets are yet to be checked.
pub fn on_connection(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
) -> Result<ConnectionDecision, Failed> {
    match &plugin.next {
        None => own_on_connection(plugin, facts),
        Some(next) => at_once(next::on_connection(plugin, next, facts)),
    }
}

pub(super) fn own_on_connection(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
) -> Result<ConnectionDecision, Failed> {
    let values = facts.values(plugin.inputs_of(Hook::OnConnection));
    let decision = plugin.call(facts, |instance| instance.on_connection(&borrowed(&values)))?;
    checked_connection(plugin, facts, decision)
}

pub(super) fn checked_connection(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
    mut decision: ConnectionDecision,
) -> Result<ConnectionDecision, Failed> {
    if plugin.candidate.is_some() {
        let mut vars = facts.vars.clone();
        let mut set = decision.vars.iter();
        if let Err(bad) = set.try_for_each(|var| edits::set_var(&mut vars, var)) {
            plugin.refused(facts, Hook::OnConnection, &bad);
            return Err(Failed);
        }
    }
    if let ConnectionVerdict::UseBackend(position) = &mut decision.verdict {
        *position += plugin.first_backend;
    }
    Ok(decision)
}

/// Asks a filter about a request. Its edits of the request are yet to be made; the rest is checked.
pub fn on_request(plugin: &LocalPlugin, facts: &Facts<'_>) -> Result<Arc<Decision>, Failed> {
    match &plugin.next {
        None => own_on_request(plugin, facts),
        Some(next) => at_once(next::on_request(plugin, next, facts)),
    }
}

pub(super) fn own_on_request(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
) -> Result<Arc<Decision>, Failed> {
    let values = facts.values(plugin.inputs_of(Hook::OnRequest));
    let known = &plugin.known.on_request;
    let unknown = match plugin.recall(known, texts(&values)) {
        Ok(decision) => return Ok(decision),
        Err(unknown) => unknown,
    };
    let decision = plugin.call(facts, |instance| instance.on_request(&borrowed(&values)))?;
    let decision = checked_decision(plugin, facts, decision)?;
    Ok(plugin.keep(known, unknown, decision))
}

pub(super) fn checked_decision(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
    mut decision: Decision,
) -> Result<Decision, Failed> {
    if let Verdict::UseBackend(position) = &mut decision.verdict {
        *position += plugin.first_backend;
    }
    let checked = edits::check_response(&decision.response_edits)
        .and_then(|()| edits::check_verdict(&decision.verdict))
        .and_then(|()| plugin.check_candidate(facts, &decision.edits));
    match checked {
        Ok(()) => Ok(decision),
        Err(bad) => {
            plugin.refused(facts, Hook::OnRequest, &bad);
            Err(Failed)
        }
    }
}

/// Shows a filter the response. Its edits have been checked, not applied.
pub fn on_response(plugin: &LocalPlugin, facts: &Facts<'_>) -> Result<Arc<Vec<Edit>>, Failed> {
    match &plugin.next {
        None => own_on_response(plugin, facts),
        Some(next) => at_once(next::on_response(plugin, next, facts)),
    }
}

pub(super) fn own_on_response(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
) -> Result<Arc<Vec<Edit>>, Failed> {
    let values = facts.values(plugin.inputs_of(Hook::OnResponse));
    let known = &plugin.known.on_response;
    let unknown = match plugin.recall(known, texts(&values)) {
        Ok(edits) => return Ok(edits),
        Err(unknown) => unknown,
    };
    let edits = plugin.call(facts, |instance| instance.on_response(&borrowed(&values)))?;
    let edits = checked_response(plugin, facts, Hook::OnResponse, edits)?;
    Ok(plugin.keep(known, unknown, edits))
}

pub(super) fn checked_response(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
    hook: Hook,
    edits: Vec<Edit>,
) -> Result<Vec<Edit>, Failed> {
    match edits::check_response(&edits) {
        Ok(()) => Ok(edits),
        Err(bad) => {
            plugin.refused(facts, hook, &bad);
            Err(Failed)
        }
    }
}
