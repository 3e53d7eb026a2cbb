//! `[[frontend]]`: where clients connect, who judges them, and the default backend.

use std::{ops::Range, sync::Arc};

use super::{
    Backend, ForwardedFor, Frontend, LogTemplate,
    address::{self, AddressError},
    bind::{Listeners, read_bind},
    cache::read_cache_use,
    compression::read_compression,
    error_page::{is_framing, is_token, read_error_pages},
    http2::read_http2,
    log_format::BadFormat,
    name::{Unique, read_name},
    plugin_use::{Surroundings, hint_among, read_filter},
    process::{client_timeouts, read_limits},
    read::Fields,
    tcp::{Mode, check_mode, read_mode, read_trusted_proxies, refuse_http_keys},
    value::{Node, shorten},
};
use crate::model::{BackendName, FrontendName};

/// What a frontend says about requests.
const HTTP_KEYS: &[&str] = &[
    "forwarded_for",
    "trusted_proxies",
    "request_id_header",
    "limits",
    "error_pages",
    "compression",
    "cache",
    "ignore_probes",
];

/// Reads all frontends. At least one is needed. `read` are the backends that are sound, `listeners` the
/// addresses that are taken already.
pub(super) fn read_frontends(
    top: &mut Fields<'_>,
    around: &Surroundings<'_>,
    backends: &[(&str, Range<usize>)],
    read: &[Backend],
    mut listeners: Listeners,
) -> Vec<Frontend> {
    let mut names = Unique::new("frontend");
    let said = top.key_span("frontend").is_some();
    let tables = top.tables("frontend", "[[frontend]]");
    if !said {
        top.reader.error_with_hint(
            0..0,
            "there is no frontend, so nothing would be listened on",
            "add `[[frontend]]` with `name` and `bind`",
        );
    }
    tables
        .into_iter()
        .filter_map(|fields| {
            read_frontend(fields, around, backends, read, &mut names, &mut listeners)
        })
        .collect()
}

fn read_frontend(
    mut fields: Fields<'_>,
    around: &Surroundings<'_>,
    backends: &[(&str, Range<usize>)],
    read: &[Backend],
    names: &mut Unique,
    listeners: &mut Listeners,
) -> Option<Frontend> {
    let name = read_name(&mut fields, "frontend", names);
    let mode = read_mode(&mut fields);
    refuse_http_keys(&fields, mode, HTTP_KEYS);
    let bind = read_bind(
        &mut fields,
        name.as_deref().unwrap_or("?"),
        listeners,
        around,
    );
    let default_backend = fields.get("default_backend");
    let has_default = default_backend.is_some();
    let default_backend = default_backend.and_then(|node| {
        let name = read_backend_name(&node, backends)?;
        if let Some(backend) = read.iter().find(|backend| backend.name == name) {
            check_mode(&node, name.as_str(), mode, backend.mode);
        }
        Some(name)
    });
    let max_connections = fields
        .get("max_connections")
        .and_then(|node| node.index(1..=10_000_000));
    let per_client = fields
        .get("max_connections_per_client")
        .and_then(|node| node.small(1..=10_000_000));
    let filters: Vec<_> = fields
        .tables("filter", "[[frontend.filter]]")
        .into_iter()
        .map(|filter| read_filter(filter, around))
        .collect();
    if !has_default && filters.is_empty() {
        fields.reader.warning(
            fields.span(),
            format!(
                "{}every {}",
                fields.context(),
                match mode {
                    Mode::Http => "request will be answered with 503",
                    Mode::Tcp => "connection will be closed",
                }
            ),
            "add `default_backend`, or a filter that chooses a backend",
        );
    }
    let forwarded_for = fields
        .get("forwarded_for")
        .and_then(|node| read_forwarded_for(&node));
    let trusted_proxies = fields
        .get("trusted_proxies")
        .and_then(|node| read_trusted_proxies(&node));
    let log_empty_connections = fields
        .get("log_empty_connections")
        .and_then(|node| node.boolean());
    let ignore_probes = fields.get("ignore_probes").and_then(|node| node.boolean());
    let log_normal = fields.get("log_normal").and_then(|node| node.boolean());
    let log_format = fields
        .get("log_format")
        .and_then(|node| read_log_format(&node));
    let request_id_header = fields
        .get("request_id_header")
        .and_then(|node| read_header_name(&node, "X-Request-Id"));
    let timeouts = match fields.table("timeouts", "[frontend.timeouts]") {
        Some(mut timeouts) => {
            let read = client_timeouts(&mut timeouts, &around.defaults.client);
            const BACKEND: &str = "it is the server's: write it in `[backend.timeouts]`";
            timeouts.finish(&[
                ("connect", BACKEND),
                ("server", BACKEND),
                ("queue", BACKEND),
                ("tunnel", BACKEND),
                ("server_fin", BACKEND),
            ]);
            read
        }
        None => around.defaults.client.clone(),
    };
    let limits = read_limits(&mut fields, "[frontend.limits]", &around.defaults.limits);
    let http2 = read_http2(&mut fields);
    let error_pages = read_error_pages(&mut fields, "[frontend.error_pages]");
    let compression = read_compression(&mut fields);
    let cache = read_cache_use(&mut fields, &around.caches);
    const BACKEND: &str = "it belongs to a `[[backend]]`";
    fields.finish(&[
        ("balance", BACKEND),
        ("server", BACKEND),
        ("check", BACKEND),
        ("persistence", BACKEND),
        ("retries", BACKEND),
        (
            "acl",
            "conditions and routes are a filter's: `plugin = \"rules\"`",
        ),
        ("use_backend", "routes are a filter's: `plugin = \"rules\"`"),
    ]);
    Some(Frontend {
        name: FrontendName::new(&name?),
        mode,
        bind,
        default_backend,
        max_connections,
        max_connections_per_client: per_client,
        filters: filters.into_iter().flatten().collect(),
        forwarded_for,
        trusted_proxies,
        log_empty_connections: log_empty_connections.unwrap_or(true),
        ignore_probes: ignore_probes.unwrap_or(false),
        log_normal: log_normal.unwrap_or(true),
        log_format,
        request_id_header,
        timeouts,
        limits,
        http2,
        error_pages,
        compression,
        cache,
    })
}

fn read_log_format(node: &Node<'_>) -> Option<Arc<LogTemplate>> {
    let text = node.text("{client} {status} \"{request}\"")?;
    match LogTemplate::parse(text) {
        Ok(template) => Some(Arc::new(template)),
        Err(BadFormat { what, hint }) => {
            node.wrong(what, hint);
            None
        }
    }
}

fn read_backend_name(node: &Node<'_>, backends: &[(&str, Range<usize>)]) -> Option<BackendName> {
    let name = node.plain_text("api")?;
    let names = backends.iter().map(|(name, _)| *name);
    if names.clone().all(|known| known != name) {
        node.complain(
            format!("no backend named `{}`", shorten(name)),
            hint_among("backend", name, names),
        );
        return None;
    }
    Some(BackendName::new(name))
}

fn read_forwarded_for(node: &Node<'_>) -> Option<ForwardedFor> {
    const DEFAULT: &str = "X-Forwarded-For";
    if let Some(wanted) = node.value().as_bool() {
        return wanted.then(|| ForwardedFor {
            header: DEFAULT.to_owned(),
            except: Vec::new(),
        });
    }
    if !node.value().is_table() {
        node.wrong_type(
            "`true`, `false` or a table",
            "write `forwarded_for = true` or `{ header = \"X-Client\", except = [\"127.0.0.0/8\"] }`",
        );
        return None;
    }
    let mut fields = node.fields("forwarded_for")?;
    let header = fields
        .get("header")
        .map(|node| read_header_name(&node, DEFAULT));
    let except = fields.get("except").and_then(|node| node.list("networks"));
    let except = except
        .into_iter()
        .flatten()
        .filter_map(|node| {
            let text = node.plain_text("127.0.0.0/8")?;
            node.address(address::network(text))
        })
        .collect();
    fields.finish(&[]);
    Some(ForwardedFor {
        header: header.unwrap_or_else(|| Some(DEFAULT.to_owned()))?,
        except,
    })
}

pub(super) fn read_header_name(node: &Node<'_>, example: &str) -> Option<String> {
    let text = node.plain_text(example)?;
    let problem = if !is_token(text) {
        Some("is no header name")
    } else if is_framing(&text.to_ascii_lowercase()) || text.eq_ignore_ascii_case("host") {
        Some("is a field that the proxy itself needs")
    } else {
        None
    };
    match problem {
        None => Some(text.to_owned()),
        Some(problem) => node.address(Err(AddressError {
            message: format!("`{}` {problem}", shorten(text)),
            hint: format!("write something like `{example}`"),
        })),
    }
}
