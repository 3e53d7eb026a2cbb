//! Asking persistence which server a client had, and telling it which one it has now.

use std::{iter::once, sync::Arc};

use super::{
    Failed, LocalPlugin,
    filters::checked_response,
    next::{self, at_once},
};
use crate::{
    backend::Server,
    frontend::facts::{Facts, borrowed, texts},
    model::{Edit, Found, Hook},
    plugin::Instance,
};

/// Asks persistence which server the client had. A failure is as good as no memory.
pub fn lookup(plugin: &LocalPlugin, facts: &Facts<'_>) -> Option<Arc<Found>> {
    match &plugin.next {
        None => lookup_or_failed(plugin, facts).ok(),
        Some(next) => at_once(next::lookup(plugin, next, facts)).ok(),
    }
}

pub(super) fn lookup_or_failed(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
) -> Result<Arc<Found>, Failed> {
    let values = facts.values(plugin.inputs_of(Hook::Lookup));
    let known = &plugin.known.lookup;
    let unknown = match plugin.recall(known, texts(&values)) {
        Ok(found) => return Ok(found),
        Err(unknown) => unknown,
    };
    let ask = |instance: &mut Instance| instance.lookup(&borrowed(&values));
    let found = plugin.call(facts, ask);
    let found = found.or_else(|Failed| plugin.call(facts, ask));
    let found = checked_found(plugin, facts, found?)?;
    Ok(plugin.keep(known, unknown, found))
}

pub(super) fn checked_found(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
    found: Found,
) -> Result<Found, Failed> {
    match plugin.check_candidate(facts, &found.edits) {
        Ok(()) => Ok(found),
        Err(bad) => {
            plugin.refused(facts, Hook::Lookup, &bad);
            Err(Failed)
        }
    }
}

/// Tells persistence which server the client has now.
pub fn assigned(plugin: &LocalPlugin, server: &Server, facts: &Facts<'_>) -> Arc<Vec<Edit>> {
    let edits = match &plugin.next {
        None => assigned_or_failed(plugin, server, facts),
        Some(next) => at_once(next::assigned(plugin, next, server, facts)),
    };
    edits.unwrap_or_default()
}

pub(super) fn assigned_or_failed(
    plugin: &LocalPlugin,
    server: &Server,
    facts: &Facts<'_>,
) -> Result<Arc<Vec<Edit>>, Failed> {
    let values = facts.values(plugin.inputs_of(Hook::Assigned));
    let key = server.persistence_key.as_str();
    let known = &plugin.known.assigned;
    let unknown = match plugin.recall(known, once(Some(key)).chain(texts(&values))) {
        Ok(edits) => return Ok(edits),
        Err(unknown) => unknown,
    };
    let ask = |instance: &mut Instance| instance.assigned(key, &borrowed(&values));
    let edits = plugin.call(facts, ask);
    let edits = edits.or_else(|Failed| plugin.call(facts, ask));
    let edits = checked_response(plugin, facts, Hook::Assigned, edits?)?;
    Ok(plugin.keep(known, unknown, edits))
}
