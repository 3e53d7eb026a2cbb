//! `[[backend]]` and `[[backend.server]]`.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::{
    Address, Backend, Check, PluginSource, Pool, Redispatch, Server, address,
    check::read_check,
    error_page::read_error_pages,
    name::{Unique, read_name},
    plugin_use::{Surroundings, plugin_use, read_short_or_table},
    process::server_timeouts,
    read::Fields,
    value::{Node, shorten},
};
use crate::model::{BackendName, ServerName};

pub(super) fn read_backends(top: &mut Fields<'_>, around: &Surroundings<'_>) -> Vec<Backend> {
    let mut names = Unique::new("backend");
    top.tables("backend", "[[backend]]")
        .into_iter()
        .filter_map(|fields| read_backend(fields, around, &mut names))
        .collect()
}

fn read_backend(
    mut fields: Fields<'_>,
    around: &Surroundings<'_>,
    names: &mut Unique,
) -> Option<Backend> {
    let name = read_name(&mut fields, "backend", names);
    let balancer = match fields.get("balance") {
        Some(node) => read_short_or_table(&node, "balance", "\"round-robin\"", around),
        None => {
            let source = PluginSource::Bundled("round-robin".to_owned());
            Some(plugin_use(source, fields.span(), around))
        }
    };
    let persistence = fields
        .get("persistence")
        .map(|node| read_short_or_table(&node, "persistence", "\"cookie\"", around));
    let check = fields
        .get("check")
        .and_then(|node| read_check(&node, "check", None));
    let retries = fields.get("retries").and_then(|node| node.small(0..=100));
    let redispatch = fields
        .get("redispatch")
        .and_then(|node| read_redispatch(&node));
    let max_queue = fields
        .get("max_queue")
        .and_then(|node| node.index(0..=10_000_000));
    let pool = read_pool(&mut fields);
    let timeouts = fields.table("timeouts", "[backend.timeouts]");
    let timeouts = server_timeouts(timeouts, &around.defaults.server);
    let error_pages = read_error_pages(&mut fields, "[backend.error_pages]");
    let servers = read_servers(&mut fields, check.as_ref());
    const FRONTEND: &str = "it belongs to a `[[frontend]]`";
    fields.finish(&[
        ("bind", FRONTEND),
        ("filter", FRONTEND),
        ("forwarded_for", FRONTEND),
        ("limits", FRONTEND),
        ("max_connections", "write it in `[[backend.server]]`"),
        ("mode", "backends speak HTTP; leave it out"),
    ]);
    Some(Backend {
        name: BackendName::new(&name?),
        balancer: balancer?,
        persistence: persistence.flatten(),
        servers,
        check,
        timeouts,
        retries: retries.unwrap_or(3),
        redispatch: redispatch.unwrap_or(Redispatch::Never),
        pool,
        error_pages,
        max_queue: max_queue.unwrap_or(10_000),
    })
}

fn read_redispatch(node: &Node<'_>) -> Option<Redispatch> {
    const HINT: &str = "write `false`, \"last-retry\" or \"always\"";
    match node.value().as_bool() {
        Some(false) => return Some(Redispatch::Never),
        Some(true) => {
            node.wrong(
                "cannot be `true`",
                "write \"last-retry\" (as in HAProxy) or \"always\"",
            );
            return None;
        }
        None => {}
    }
    if !node.value().is_str() {
        node.wrong_type("`false` or a string", HINT);
        return None;
    }
    node.choice(&[
        ("last-retry", Redispatch::LastRetry),
        ("always", Redispatch::Always),
    ])
}

fn read_pool(fields: &mut Fields<'_>) -> Pool {
    let defaults = Pool {
        max_idle: 256,
        idle_timeout: Duration::from_secs(5),
    };
    let Some(mut pool) = fields.table("pool", "[backend.pool]") else {
        return defaults;
    };
    let read = Pool {
        max_idle: pool
            .get("max_idle")
            .and_then(|node| node.index(0..=1_000_000))
            .unwrap_or(defaults.max_idle),
        idle_timeout: pool
            .get("idle_timeout")
            .and_then(|node| node.duration())
            .unwrap_or(defaults.idle_timeout),
    };
    pool.finish(&[]);
    read
}

/// What must not occur twice among a backend's servers.
struct Taken {
    names: Unique,
    ids: HashSet<u32>,
    /// And whether the key was given rather than taken from the name.
    keys: HashMap<String, Key>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Given,
    FromName,
}

fn read_servers(fields: &mut Fields<'_>, check: Option<&Check>) -> Vec<Server> {
    let mut taken = Taken {
        names: Unique::new("server"),
        ids: HashSet::new(),
        keys: HashMap::new(),
    };
    let tables = fields.tables("server", "[[backend.server]]");
    if tables.is_empty() {
        fields.reader.warning(
            fields.span(),
            format!("{}it has no server and answers 503", fields.context()),
            "add a `[[backend.server]]` with `name` and `address`",
        );
    }
    tables
        .into_iter()
        .enumerate()
        .filter_map(|(index, server)| {
            let position = u32::try_from(index + 1).ok()?;
            read_server(server, position, check, &mut taken)
        })
        .collect()
}

fn read_server(
    mut fields: Fields<'_>,
    position: u32,
    backend_check: Option<&Check>,
    taken: &mut Taken,
) -> Option<Server> {
    let name = read_name(&mut fields, "server", &mut taken.names);
    let address = fields
        .require("address", "\"127.0.0.1:5001\"")
        .and_then(|node| read_address(&node));
    let id = read_id(&mut fields, position, taken);
    let weight = fields.get("weight").and_then(|node| node.small(0..=256));
    let max_connections = fields
        .get("max_connections")
        .and_then(|node| node.small(1..=10_000_000));
    let persistence_key = read_persistence_key(&mut fields, name.as_deref(), taken);
    let check = match fields.get("check") {
        Some(node) => {
            let check = read_check(&node, "check", backend_check);
            if check.is_some() && matches!(address, Some(Address::ClientPort(_))) {
                node.wrong(
                    "needs a port to ask at, and this server has none of its own",
                    "write one after the address, or `check = false`",
                );
            }
            check
        }
        // The backend's check is for the servers that can be asked.
        None if matches!(address, Some(Address::ClientPort(_))) => None,
        None => backend_check.cloned(),
    };
    fields.finish(&[
        (
            "port",
            "write it after the address: `address = \"10.0.0.2:80\"`",
        ),
        (
            "backup",
            "no server is a backup as such: which one is preferred is for the balancer to say",
        ),
        ("cookie", "write `persistence_key`"),
        ("fall", "write `check = { fall = 3 }`"),
        ("rise", "write `check = { rise = 2 }`"),
        ("interval", "write `check = { interval = \"2s\" }`"),
        ("inter", "write `check = { interval = \"2s\" }`"),
    ]);
    Some(Server {
        name: ServerName::new(name.as_deref()?),
        address: address?,
        id: id?,
        weight: weight.unwrap_or(1),
        max_connections,
        persistence_key: persistence_key?,
        check,
    })
}

fn read_address(node: &Node<'_>) -> Option<Address> {
    let text = node.plain_text("127.0.0.1:5001")?;
    node.address(address::server(text, node.reader.base))
}

/// The id as given, else the position. Either way no two servers may have the same.
fn read_id(fields: &mut Fields<'_>, position: u32, taken: &mut Taken) -> Option<u32> {
    let node = fields.get("id");
    let id = match &node {
        Some(node) => node.small(1..=u64::from(u32::MAX))?,
        None => position,
    };
    if !taken.ids.insert(id) {
        let span = node.map_or(fields.span(), |node| node.span());
        fields.reader.error_with_hint(
            span,
            format!("{}another server already has the id {id}", fields.context()),
            "a server without `id` has its position, counted from 1; give every server one",
        );
    }
    Some(id)
}

/// The key as given, else the name. Two servers with one key could not be told apart.
fn read_persistence_key(
    fields: &mut Fields<'_>,
    name: Option<&str>,
    taken: &mut Taken,
) -> Option<String> {
    let node = fields.get("persistence_key");
    let (key, origin) = match &node {
        Some(node) => (node.plain_text("web-a")?, Key::Given),
        None => (name?, Key::FromName),
    };
    let other = taken.keys.insert(key.to_owned(), origin);
    // Two servers of one name were complained about already.
    let complain = matches!(
        (origin, other),
        (Key::Given, Some(_)) | (_, Some(Key::Given))
    );
    if complain {
        let span = node.map_or(fields.span(), |node| node.span());
        fields.reader.error_with_hint(
            span,
            format!(
                "{}another server already has the persistence key `{}`",
                fields.context(),
                shorten(key)
            ),
            "without `persistence_key` a server has its name",
        );
    }
    Some(key.to_owned())
}
