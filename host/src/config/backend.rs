//! `[[backend]]` and `[[backend.server]]`.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::{
    Address, Alpn, Backend, Check, PluginSource, Pool, Redispatch, Server, ServerCertificates,
    ServerProtocol, ServerTls, address,
    cache::read_cache_use,
    check::read_check,
    compression::read_compression,
    conduct::{
        Conduct, check_conduct, check_observe, read_backups, read_conduct, read_own_conduct,
    },
    error_page::read_error_pages,
    http2::{read_server_http2, read_server_protocol},
    name::{Unique, read_name},
    plugin_use::{Surroundings, plugin_use, read_balancer, read_filter, read_persistence},
    process::server_timeouts,
    reach::{Reach, Resolvers, Slot, read_reach, read_slots},
    read::Fields,
    tcp::{read_mode, refuse_http_keys},
    tls::read_server_tls,
    value::{Node, shorten},
};
use crate::model::{BackendName, ServerName};

pub(super) fn read_backends(
    top: &mut Fields<'_>,
    around: &Surroundings<'_>,
    resolvers: &Resolvers,
) -> Vec<Backend> {
    let mut names = Unique::new("backend");
    top.tables("backend", "[[backend]]")
        .into_iter()
        .filter_map(|fields| read_backend(fields, around, resolvers, &mut names))
        .collect()
}

fn read_backend(
    mut fields: Fields<'_>,
    around: &Surroundings<'_>,
    resolvers: &Resolvers,
    names: &mut Unique,
) -> Option<Backend> {
    let name = read_name(&mut fields, "backend", names);
    let mode = read_mode(&mut fields);
    refuse_http_keys(
        &fields,
        mode,
        &[
            "pool",
            "error_pages",
            "protocol",
            "http2",
            "compression",
            "cache",
        ],
    );
    let balancer = match fields.get("balance") {
        Some(node) => read_balancer(&node, around),
        None => {
            let source = PluginSource::Bundled("round-robin".to_owned());
            Some(plugin_use(source, fields.span(), around))
        }
    };
    let filters: Vec<_> = fields
        .tables("filter", "[[backend.filter]]")
        .into_iter()
        .map(|filter| read_filter(filter, around))
        .collect();
    let persistence = fields
        .get("persistence")
        .map(|node| read_persistence(&node, around));
    let check = fields
        .get("check")
        .and_then(|node| read_check(&node, "check", None));
    let server_from = fields.get("server_from").and_then(|node| {
        let name = node.plain_text("use-server")?;
        (!name.is_empty()).then(|| name.to_owned())
    });
    let retries = fields.get("retries").and_then(|node| node.small(0..=100));
    let redispatch = fields
        .get("redispatch")
        .and_then(|node| read_redispatch(&node));
    let max_queue = fields
        .get("max_queue")
        .and_then(|node| node.index(0..=10_000_000));
    let max_connections = fields
        .get("max_connections")
        .and_then(|node| node.index(1..=10_000_000));
    let pool = read_pool(&mut fields);
    let timeouts = fields.table("timeouts", "[backend.timeouts]");
    let timeouts = server_timeouts(timeouts, &around.defaults.server);
    let error_pages = read_error_pages(&mut fields, "[backend.error_pages]");
    let compression = read_compression(&mut fields);
    let cache = read_cache_use(&mut fields, &around.caches);
    let tls = fields
        .get("tls")
        .and_then(|node| read_server_tls(&node, None, around));
    let reach = read_reach(&mut fields, &Reach::default(), resolvers);
    let conduct = read_conduct(&mut fields, &Conduct::default());
    let backups = read_backups(&mut fields);
    let http2 = read_server_http2(&mut fields);
    let protocol = read_server_protocol(&mut fields, ServerProtocol::Http1);
    let usual = Usual {
        protocol,
        check: check.as_ref(),
        tls: tls.as_ref(),
        reach: &reach,
        conduct: &conduct,
        resolvers,
        around,
    };
    let servers = read_servers(&mut fields, &usual);
    if conduct.observe.is_some() && servers.iter().all(|server| server.check.is_none()) {
        check_observe(&fields);
    }
    const FRONTEND: &str = "it belongs to a `[[frontend]]`";
    fields.finish(&[
        ("bind", FRONTEND),
        ("forwarded_for", FRONTEND),
        ("limits", FRONTEND),
    ]);
    Some(Backend {
        name: BackendName::new(&name?),
        mode,
        filters: filters.into_iter().flatten().collect(),
        balancer: balancer?,
        persistence: persistence.flatten(),
        servers,
        check,
        backups,
        timeouts,
        retries: retries.unwrap_or(3),
        redispatch: redispatch.unwrap_or(Redispatch::Never),
        pool,
        http2,
        error_pages,
        compression,
        cache,
        server_from,
        max_queue: max_queue.unwrap_or(10_000),
        max_connections,
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
    /// So many servers so far, slots counted one by one.
    positions: u32,
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

/// What holds for servers that say nothing else.
struct Usual<'a> {
    protocol: ServerProtocol,
    check: Option<&'a Check>,
    tls: Option<&'a ServerTls>,
    reach: &'a Reach,
    conduct: &'a Conduct,
    resolvers: &'a Resolvers,
    around: &'a Surroundings<'a>,
}

fn read_servers(fields: &mut Fields<'_>, usual: &Usual<'_>) -> Vec<Server> {
    let mut taken = Taken {
        positions: 0,
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
    let mut servers = Vec::new();
    for table in tables {
        read_server(table, usual, &mut taken, &mut servers);
    }
    servers
}

/// Adds what a table describes: one server, or as many as it has slots.
fn read_server(
    mut fields: Fields<'_>,
    usual: &Usual<'_>,
    taken: &mut Taken,
    servers: &mut Vec<Server>,
) -> Option<()> {
    let name = read_name(&mut fields, "server", &mut taken.names);
    let address = fields
        .require("address", "\"127.0.0.1:5001\"")
        .and_then(|node| read_address(&node));
    let reach = read_reach(&mut fields, usual.reach, usual.resolvers);
    let protocol = read_server_protocol(&mut fields, usual.protocol);
    let slots = read_slots(&mut fields, &reach, address.as_ref());
    let conduct = read_own_conduct(&mut fields, usual.conduct);
    let id = read_id(&mut fields, slots, taken);
    let weight = fields.get("weight").and_then(|node| node.small(0..=256));
    let max_connections = fields
        .get("max_connections")
        .and_then(|node| node.small(1..=10_000_000));
    let names = slot_names(name.as_deref(), slots, &fields, taken);
    let keys = read_persistence_keys(&mut fields, &names, taken);
    let check = match fields.get("check") {
        Some(node) => {
            let check = read_check(&node, "check", usual.check);
            let portless = check.as_ref().is_some_and(|c| c.endpoint.port.is_none());
            if portless && matches!(address, Some(Address::ClientPort(_))) {
                node.wrong(
                    "needs a port to ask at, and this server has none of its own",
                    "write one after the address, `port` into the check, or `check = false`",
                );
            }
            check
        }
        // The backend's check is for the servers that can be asked.
        None if matches!(address, Some(Address::ClientPort(_)))
            && usual.check.is_some_and(|c| c.endpoint.port.is_none()) =>
        {
            None
        }
        None => usual.check.cloned(),
    };
    let check = match conduct.track {
        Some(_) if fields.key_span("check").is_none() => None,
        _ => check,
    };
    let mut conduct = conduct;
    if check.is_none() && fields.key_span("observe").is_none() {
        // The backend's is for the servers that can come back.
        conduct.observe = None;
    }
    if let Some(address) = &address {
        check_conduct(&fields, &conduct, check.is_some(), address);
    }
    if protocol == ServerProtocol::Http2 && reach.send_proxy.is_some() {
        fields.reader.error_with_hint(
            fields.span(),
            format!(
                "{}`send_proxy` names one client, and a connection of HTTP/2 is shared by many",
                fields.context()
            ),
            "use `forwarded_for` of the frontend, or leave `protocol` out",
        );
    }
    let tls = match fields.get("tls") {
        Some(node) => read_server_tls(&node, usual.tls, usual.around),
        None => usual.tls.cloned(),
    };
    let tls = tls.map(|mut tls| {
        if protocol == ServerProtocol::Http2 && tls.alpn.is_empty() {
            tls.alpn = vec![Alpn::H2];
        }
        tls
    });
    if let Some(tls) = &tls
        && matches!(address, Some(Address::Unix(_)))
        && tls.sni.is_none()
        && tls.verify != ServerCertificates::Unchecked
    {
        fields.reader.error_with_hint(
            fields.span(),
            format!(
                "{}its certificate is checked, and a Unix socket has no name",
                fields.context()
            ),
            "add `tls = { sni = \"app.internal\" }`",
        );
    }
    fields.finish(&[
        (
            "port",
            "write it after the address: `address = \"10.0.0.2:80\"`",
        ),
        ("disabled", "write `state = \"maintenance\"`"),
        ("slowstart", "write `slow_start = \"10s\"`"),
        ("cookie", "write `persistence_key`"),
        ("fall", "write `check = { fall = 3 }`"),
        ("rise", "write `check = { rise = 2 }`"),
        ("interval", "write `check = { interval = \"2s\" }`"),
        ("ssl", "write `tls = true` or `tls = { … }`"),
        ("inter", "write `check = { interval = \"2s\" }`"),
    ]);
    let (address, id, keys) = (address?, id?, keys?);
    for (position, (name, persistence_key)) in (0..).zip(names.iter().zip(keys)) {
        servers.push(Server {
            name: ServerName::new(name),
            address: address.clone(),
            reach: Reach {
                slot: Slot {
                    position,
                    of: slots,
                },
                ..reach.clone()
            },
            conduct: conduct.clone(),
            protocol,
            id: id + position,
            weight: weight.unwrap_or(1),
            max_connections,
            persistence_key,
            check: check.clone(),
            tls: tls.clone(),
        });
    }
    Some(())
}

/// A server's own name, or `app1` to `app9` for the slots of `app`.
fn slot_names(
    name: Option<&str>,
    slots: u32,
    fields: &Fields<'_>,
    taken: &mut Taken,
) -> Vec<String> {
    let Some(name) = name else {
        return Vec::new();
    };
    if slots == 1 {
        return vec![name.to_owned()];
    }
    let names: Vec<String> = (1..=slots).map(|slot| format!("{name}{slot}")).collect();
    if let Some(double) = names.iter().find(|name| !taken.names.add(name)) {
        fields.reader.error_with_hint(
            fields.span(),
            format!(
                "{}another server is already called `{double}`",
                fields.context()
            ),
            "slots are numbered from 1 behind the name; choose another name",
        );
    }
    names
}

fn read_address(node: &Node<'_>) -> Option<Address> {
    let text = node.plain_text("127.0.0.1:5001")?;
    node.address(address::server(text, node.reader.base))
}

/// The id as given, else the position; slots have this one and those after it. No two servers may have
/// the same.
fn read_id(fields: &mut Fields<'_>, slots: u32, taken: &mut Taken) -> Option<u32> {
    let node = fields.get("id");
    let position = taken.positions + 1;
    taken.positions += slots;
    let id = match &node {
        Some(node) => node.small(1..=u64::from(u32::MAX - (slots - 1)))?,
        None => position,
    };
    for id in id..=id + (slots - 1) {
        if !taken.ids.insert(id) {
            let span = node.map_or(fields.span(), |node| node.span());
            fields.reader.error_with_hint(
                span,
                format!("{}another server already has the id {id}", fields.context()),
                "a server without `id` has its position, counted from 1; give every server one",
            );
            break;
        }
    }
    Some(id)
}

/// The key as given, else the name. Two servers with one key could not be told apart.
fn read_persistence_keys(
    fields: &mut Fields<'_>,
    names: &[String],
    taken: &mut Taken,
) -> Option<Vec<String>> {
    let node = fields.get("persistence_key");
    let (keys, origin) = match &node {
        Some(node) => {
            let key = node.plain_text("web-a")?;
            if names.len() > 1 {
                node.wrong(
                    "would be the same for all slots",
                    "leave it out: each slot has its own name",
                );
            }
            (vec![key.to_owned()], Key::Given)
        }
        None => (names.to_owned(), Key::FromName),
    };
    for key in &keys {
        let other = taken.keys.insert(key.clone(), origin);
        // Two servers of one name were complained about already.
        let complain = matches!(
            (origin, other),
            (Key::Given, Some(_)) | (_, Some(Key::Given))
        );
        if complain {
            let span = node.as_ref().map_or(fields.span(), |node| node.span());
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
    }
    Some(keys)
}
