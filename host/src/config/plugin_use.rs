//! A plugin where a frontend or backend uses it: `[[frontend.filter]]`, `balance`, `persistence`.

use std::{ops::Range, path::Path, sync::Arc, thread::available_parallelism};

use super::{
    ConfigPlaces, Grants, Offload, OnFailure, PluginSource, PluginUse,
    acme::Issuer,
    address::resolve,
    next::read_next,
    places::read_config,
    process::{Defaults, PluginDefaults, plugin_limits},
    read::Fields,
    sharing::Sharing,
    suggest::{nearest, one_of},
    value::{Node, shorten},
};

/// What the uses of plugins in one file have in common.
pub(super) struct Surroundings<'a> {
    pub file: &'a Path,
    pub source: Arc<str>,
    pub defaults: &'a Defaults,
    pub sharing: &'a Sharing,
    /// Names of the `[[map]]`s.
    pub maps: Vec<&'a str>,
    pub caches: Vec<&'a str>,
    /// Names of the `[[counters]]`.
    pub counters: Vec<&'a str>,
    pub issuer: &'a Issuer,
}

const ON_FAILURE: &[(&str, OnFailure)] = &[("deny", OnFailure::Deny), ("skip", OnFailure::Skip)];

/// Reads `[[frontend.filter]]` or `[[backend.filter]]`.
pub(super) fn read_filter(mut fields: Fields<'_>, around: &Surroundings<'_>) -> Option<PluginUse> {
    let on_failure = fields.get("on_failure").map(|node| node.choice(ON_FAILURE));
    let plugin = read_plugin(fields, "\"rules\"", around, &[])?;
    Some(PluginUse {
        on_failure: on_failure.unwrap_or(Some(OnFailure::Deny))?,
        ..plugin
    })
}

/// Reads `balance`: a plugin's name, or a table.
pub(super) fn read_balancer(node: &Node<'_>, around: &Surroundings<'_>) -> Option<PluginUse> {
    const WORKERS_OWN: &str = "only filters and persistence can be; a balancer's pick is the worker's own, made in no time from what `update` prepared";
    let elsewhere = [("on_failure", NO_CHOICE), ("offload", WORKERS_OWN)];
    read_short_or_table(node, "balance", "\"round-robin\"", around, &elsewhere)
}

/// Reads `persistence`: a plugin's name, or a table.
pub(super) fn read_persistence(node: &Node<'_>, around: &Surroundings<'_>) -> Option<PluginUse> {
    let elsewhere = [("on_failure", NO_CHOICE)];
    read_short_or_table(node, "persistence", "\"cookie\"", around, &elsewhere)
}

const NO_CHOICE: &str = "only filters have this choice; a failing balancer means 503, failing persistence no stickiness";

fn read_short_or_table(
    node: &Node<'_>,
    section: &'static str,
    example: &str,
    around: &Surroundings<'_>,
    elsewhere: &[(&str, &str)],
) -> Option<PluginUse> {
    if node.value().is_str() {
        let source = read_source(node, around.sharing)?;
        return Some(plugin_use(source, node.span(), around));
    }
    if !node.value().is_table() {
        node.wrong_type(
            "a plugin's name or a table",
            &format!("write `{example}` or `{{ plugin = {example}, config = {{ … }} }}`"),
        );
        return None;
    }
    read_plugin(node.fields(section)?, example, around, elsewhere)
}

/// A use that says no more than which plugin, and where it is named.
pub(super) fn plugin_use(
    source: PluginSource,
    named: Range<usize>,
    around: &Surroundings<'_>,
) -> PluginUse {
    PluginUse {
        signed_by: around.sharing.signed_by(&source),
        source,
        config: "{}".to_owned(),
        places: ConfigPlaces {
            file: around.file.to_owned(),
            source: Arc::clone(&around.source),
            plugin: named,
            ..ConfigPlaces::default()
        },
        grants: Grants::default(),
        on_failure: OnFailure::Deny,
        deadline: around.defaults.plugin.deadline,
        memory: around.defaults.plugin.memory,
        offload: None,
        next: None,
    }
}

fn read_plugin(
    mut fields: Fields<'_>,
    example: &str,
    around: &Surroundings<'_>,
    elsewhere: &[(&str, &str)],
) -> Option<PluginUse> {
    let named = fields.require("plugin", example);
    let source = named
        .as_ref()
        .and_then(|node| read_source(node, around.sharing));
    let may_offload = elsewhere.iter().all(|(key, _)| *key != "offload");
    let offload = may_offload.then(|| fields.get("offload")).flatten();
    let offload = offload.and_then(|node| read_offload(&node));
    let begun = named
        .zip(source)
        .map(|(named, source)| plugin_use(source, named.span(), around));
    let next = fields.get("next");

    let usual = plugin_use(PluginSource::Bundled(String::new()), 0..0, around);
    let read = rest_of_plugin(&mut fields, begun, &usual, around)
        .map(|read| PluginUse { offload, ..read });
    // Read even if the plugin's own entry is wrong, for the sake of what is wrong in it.
    let next = next.map(|node| read_next(&node, read.as_ref().unwrap_or(&usual), around));
    fields.finish(elsewhere);
    Some(PluginUse {
        next: match next {
            Some(next) => Some(Box::new(next?)),
            None => None,
        },
        ..read?
    })
}

/// Reads what a use says of its plugin besides the name into `begun`, which is none if the name is wrong. What it
/// does not say is as in `usual`.
pub(super) fn rest_of_plugin(
    fields: &mut Fields<'_>,
    begun: Option<PluginUse>,
    usual: &PluginUse,
    around: &Surroundings<'_>,
) -> Option<PluginUse> {
    let mut read = begun;
    if let Some(config) = fields.get("config") {
        // Read even if the plugin's name is wrong, for the sake of what is wrong in it.
        let mut places = ConfigPlaces {
            plugin: read
                .as_ref()
                .map_or(0..0, |read| read.places.plugin.clone()),
            file: around.file.to_owned(),
            source: Arc::clone(&around.source),
            ..ConfigPlaces::default()
        };
        let json = read_config(&config, &mut places).to_string();
        if let Some(read) = &mut read {
            read.config = json;
            read.places = places;
        }
    }
    let grants = read_grants(fields, around, &usual.grants);
    let usual = PluginDefaults {
        deadline: usual.deadline,
        memory: usual.memory,
    };
    let PluginDefaults { deadline, memory } = plugin_limits(fields, &usual);
    Some(PluginUse {
        grants,
        deadline,
        memory,
        ..read?
    })
}

/// Reads `offload`: `true`, or a table that says how many threads.
fn read_offload(node: &Node<'_>) -> Option<Offload> {
    // Where they would take every CPU, workers would have to wait for one of them.
    let cpus = available_parallelism().map_or(1, usize::from);
    let usual = Offload {
        threads: (cpus / 2).clamp(1, 2),
        queue: 128,
    };
    if let Some(wanted) = node.value().as_bool() {
        return wanted.then_some(usual);
    }
    if !node.value().is_table() {
        node.wrong_type(
            "a boolean or a table",
            "write `true` or `{ threads = 4, queue = 128 }`",
        );
        return None;
    }
    let mut fields = node.fields("offload")?;
    let read = Offload {
        threads: fields
            .get("threads")
            .and_then(|node| node.index(1..=64))
            .unwrap_or(usual.threads),
        queue: fields
            .get("queue")
            .and_then(|node| node.index(1..=100_000))
            .unwrap_or(usual.queue),
    };
    fields.finish(&[]);
    Some(read)
}

pub(super) fn read_source(node: &Node<'_>, sharing: &Sharing) -> Option<PluginSource> {
    const HINT: &str = "name a plugin that Weir ships, or write a path such as `./my.wasm`";
    let text = node.plain_text("rules")?;
    if text.starts_with("oci://") {
        return sharing.source(node, text);
    }
    if text.contains("://") {
        node.wrong(
            format!("cannot be fetched from `{}`", shorten(text)),
            "out of a registry it is \"oci://host/team/name:tag\"; from elsewhere, download it and write its path",
        );
        return None;
    }
    if text.contains('/') || text.ends_with(".wasm") {
        return Some(PluginSource::File(resolve(text, node.reader.base)));
    }
    let is_bare = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if !is_bare(text) || text.len() > 64 {
        let meant = text.to_ascii_lowercase().replace('_', "-");
        let hint = match is_bare(&meant) && meant.len() <= 64 {
            true => format!("names are in small letters, with `-`: write \"{meant}\""),
            false => HINT.to_owned(),
        };
        node.wrong(format!("cannot be `{}`", shorten(text)), hint);
        return None;
    }
    Some(PluginSource::Bundled(text.to_owned()))
}

fn read_grants(fields: &mut Fields<'_>, around: &Surroundings<'_>, usual: &Grants) -> Grants {
    let mut grants = usual.clone();
    let granted = fields.get("grant");
    if granted.is_some() {
        (grants.clock, grants.random) = (false, false);
    }
    let listed = granted.and_then(|node| node.list("strings"));
    for node in listed.into_iter().flatten() {
        let choices = [("clock", false), ("random", true)];
        if node.value().as_str() == Some("log") {
            node.wrong("need not be granted: `log` always is", "leave it out");
            continue;
        }
        if node.value().as_str() == Some("maps") {
            node.wrong(
                "cannot be `maps`",
                "list the maps by name: `maps = [\"tiers\"]`",
            );
            continue;
        }
        if node.value().as_str() == Some("counters") {
            node.wrong(
                "cannot be `counters`",
                "list the tables by name: `counters = [\"clients\"]`",
            );
            continue;
        }
        match node.choice(&choices) {
            Some(false) => grants.clock = true,
            Some(true) => grants.random = true,
            None => {}
        }
    }
    if let Some(names) = read_names(fields, "maps", ("map", "tiers"), &around.maps) {
        grants.maps = names;
    }
    let known = &around.counters;
    if let Some(names) = read_names(fields, "counters", ("counters", "clients"), known) {
        grants.counters = names;
    }
    grants
}

/// The names under `key`, each of which must be one of `known`: a `[[SECTION]]` of the file. None if there is
/// no such key.
fn read_names(
    fields: &mut Fields<'_>,
    key: &'static str,
    (section, example): (&str, &str),
    known: &[&str],
) -> Option<Vec<String>> {
    let (what, list) = match section {
        "map" => ("map", "names of maps"),
        _ => ("table of counters", "names of tables of counters"),
    };
    let listed = fields.get(key)?.list(list);
    let mut names = Vec::new();
    for node in listed.into_iter().flatten() {
        let Some(name) = node.plain_text(example) else {
            continue;
        };
        if known.contains(&name) {
            names.push(name.to_owned());
        } else {
            node.complain(
                format!("no {what} named `{}`", shorten(name)),
                hint_among(section, name, known.iter().copied()),
            );
        }
    }
    Some(names)
}

/// The way out when something of the file's own is referred to that does not exist.
pub(super) fn hint_among<'n>(
    kind: &str,
    name: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> String {
    const LISTED: usize = 8;
    if let Some(near) = nearest(name, names.clone()) {
        return format!("did you mean `{near}`?");
    }
    let listed: Vec<&str> = names.clone().take(LISTED).collect();
    if listed.is_empty() {
        return format!("add a `[[{kind}]]` with that name");
    }
    let more = if names.count() > LISTED { ", …" } else { "" };
    format!(
        "there is {}{more}",
        one_of(&listed).replace(" or ", " and ")
    )
}
