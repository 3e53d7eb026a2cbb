//! The keys at the top of the file, and the defaults that sections below may change.

use std::{net::SocketAddr, path::Path, time::Duration};

use super::{
    Address, ClientTimeouts, Limits, Process, ServerTimeouts,
    address::{self, AddressError},
    read::Fields,
    runtime_socket::read_runtime_sockets,
    value::Node,
};

/// Keys that people put below a heading by mistake.
pub(super) const TOP_KEYS: &[&str] = &[
    "workers",
    "max_connections",
    "drain_timeout",
    "watch",
    "code_cache",
    "component_cache",
    "admin",
    "user",
    "group",
    "chroot",
    "pid_file",
];

/// What holds where a section says nothing else.
pub(super) struct Defaults {
    pub client: ClientTimeouts,
    pub server: ServerDefaults,
    pub limits: Limits,
    pub plugin: PluginDefaults,
}

/// [`ServerTimeouts`] before it is known what `queue` falls back to.
pub(super) struct ServerDefaults {
    connect: Duration,
    server: Duration,
    queue: Option<Duration>,
    tunnel: Duration,
    server_fin: Option<Duration>,
}

pub(super) struct PluginDefaults {
    pub deadline: Duration,
    pub memory: usize,
}

pub(super) fn read_process(top: &mut Fields<'_>) -> Process {
    let base = top.reader.base;
    let mut text = |key, example| {
        let node = top.get(key)?;
        node.plain_text(example)
    };
    let (user, group) = (text("user", "weir"), text("group", "weir"));
    let (chroot, pid_file) = (
        text("chroot", "/var/lib/weir"),
        text("pid_file", "/run/weir.pid"),
    );
    Process {
        workers: top.get("workers").and_then(|node| node.index(1..=1024)),
        max_connections: top
            .get("max_connections")
            .and_then(|node| node.index(1..=10_000_000))
            .unwrap_or(10_000),
        drain_timeout: top
            .get("drain_timeout")
            .and_then(|node| node.duration())
            .unwrap_or(Duration::from_secs(30)),
        watch: top
            .get("watch")
            .and_then(|node| node.boolean())
            .unwrap_or(true),
        code_cache: top
            .get("code_cache")
            .and_then(|node| node.plain_text("/var/cache/weir"))
            .map(|path| address::resolve(path, base)),
        component_cache: top
            .get("component_cache")
            .and_then(|node| node.plain_text("/var/cache/weir-components"))
            .map(|path| address::resolve(path, base)),
        admin: top.get("admin").and_then(|node| read_admin(&node)),
        runtime_sockets: read_runtime_sockets(top),
        user: user.map(str::to_owned),
        group: group.map(str::to_owned),
        chroot: chroot.map(|path| address::resolve(path, base)),
        pid_file: pid_file.map(|path| address::resolve(path, base)),
    }
}

fn read_admin(node: &Node<'_>) -> Option<Address> {
    let text = node.plain_text("unix:/run/weir/admin.sock")?;
    node.address(admin_address(text, node.reader.base))
}

fn admin_address(text: &str, base: &Path) -> Result<Address, AddressError> {
    let refused = |message: String, hint: &str| {
        Err(AddressError {
            message,
            hint: hint.to_owned(),
        })
    };
    if text.starts_with("unix:") {
        return address::server(text, base);
    }
    match text.parse::<SocketAddr>() {
        Ok(socket) if socket.ip().is_loopback() => Ok(Address::Tcp(socket)),
        Ok(socket) => refused(
            format!("`admin` cannot be {socket}"),
            "whoever reaches it controls the proxy: use `unix:/path` or a loopback address",
        ),
        Err(_) => refused(
            format!("`{text}` is not an address for `admin`"),
            "write `unix:/run/weir/admin.sock` or `127.0.0.1:9000`",
        ),
    }
}

/// Reads `[timeouts]`, `[limits]` and `[plugins]`.
pub(super) fn read_defaults(top: &mut Fields<'_>) -> Defaults {
    let mut client = ClientTimeouts {
        client: Duration::from_secs(50),
        http_request: Duration::from_secs(10),
        http_keep_alive: Duration::from_secs(30),
        inspect: Duration::from_secs(5),
        tarpit: Duration::from_secs(10),
        client_fin: None,
    };
    let mut server = ServerDefaults {
        connect: Duration::from_secs(5),
        server: Duration::from_secs(50),
        queue: None,
        tunnel: Duration::from_secs(3_600),
        server_fin: None,
    };
    if let Some(mut fields) = top.table("timeouts", "[timeouts]") {
        client = client_timeouts(&mut fields, &client);
        server = server_defaults(&mut fields, &server);
        fields.finish(&[(
            "check",
            "the time limit of checks is `timeout` in a backend's `check`",
        )]);
    }

    let limits = Limits {
        header_bytes: 15_360,
        header_count: 100,
        uri_length: 8_192,
        body: None,
    };
    Defaults {
        client,
        server,
        limits: read_limits(top, "[limits]", &limits),
        plugin: read_plugin_defaults(top),
    }
}

fn read_plugin_defaults(top: &mut Fields<'_>) -> PluginDefaults {
    let defaults = PluginDefaults {
        deadline: Duration::from_millis(100),
        memory: 32 << 20,
    };
    let Some(mut fields) = top.table("plugins", "[plugins]") else {
        return defaults;
    };
    let read = plugin_limits(&mut fields, &defaults);
    fields.finish(&[]);
    read
}

/// Reads `deadline` and `memory`, which stand in `[plugins]` and at each use of a plugin.
pub(super) fn plugin_limits(fields: &mut Fields<'_>, base: &PluginDefaults) -> PluginDefaults {
    PluginDefaults {
        deadline: fields
            .get("deadline")
            .and_then(|node| {
                let deadline = node.duration()?;
                if deadline < Duration::from_millis(1) || deadline > Duration::from_secs(60) {
                    node.wrong("is out of range", "from \"1ms\" to \"60s\"");
                    return None;
                }
                Some(deadline)
            })
            .unwrap_or(base.deadline),
        memory: fields
            .get("memory")
            .and_then(|node| node.size(64 << 10..=1 << 30))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(base.memory),
    }
}

/// Reads `[frontend.timeouts]`; what it does not say is as in `base`.
pub(super) fn client_timeouts(fields: &mut Fields<'_>, base: &ClientTimeouts) -> ClientTimeouts {
    ClientTimeouts {
        client: duration_or(fields, "client", base.client),
        http_request: duration_or(fields, "http_request", base.http_request),
        http_keep_alive: duration_or(fields, "http_keep_alive", base.http_keep_alive),
        inspect: duration_or(fields, "inspect", base.inspect),
        tarpit: duration_or(fields, "tarpit", base.tarpit),
        client_fin: fields
            .get("client_fin")
            .and_then(|node| node.duration())
            .or(base.client_fin),
    }
}

fn server_defaults(fields: &mut Fields<'_>, base: &ServerDefaults) -> ServerDefaults {
    ServerDefaults {
        connect: duration_or(fields, "connect", base.connect),
        server: duration_or(fields, "server", base.server),
        queue: fields
            .get("queue")
            .and_then(|node| node.duration())
            .or(base.queue),
        tunnel: duration_or(fields, "tunnel", base.tunnel),
        server_fin: fields
            .get("server_fin")
            .and_then(|node| node.duration())
            .or(base.server_fin),
    }
}

/// Reads `[backend.timeouts]`; what it does not say is as in `base`.
pub(super) fn server_timeouts(fields: Option<Fields<'_>>, base: &ServerDefaults) -> ServerTimeouts {
    let read = match fields {
        Some(mut fields) => {
            let read = server_defaults(&mut fields, base);
            const FRONTEND: &str = "it is the client's: write it in `[frontend.timeouts]`";
            fields.finish(&[
                ("client", FRONTEND),
                ("http_request", FRONTEND),
                ("http_keep_alive", FRONTEND),
                ("inspect", FRONTEND),
                ("tarpit", FRONTEND),
                ("client_fin", FRONTEND),
                ("check", "the time limit of checks is `timeout` in `check`"),
            ]);
            read
        }
        None => ServerDefaults { ..*base },
    };
    ServerTimeouts {
        connect: read.connect,
        server: read.server,
        queue: read.queue.unwrap_or(read.connect),
        tunnel: read.tunnel,
        server_fin: read.server_fin,
    }
}

fn duration_or(fields: &mut Fields<'_>, key: &'static str, default: Duration) -> Duration {
    fields
        .get(key)
        .and_then(|node| node.duration())
        .unwrap_or(default)
}

/// Reads the `limits` table of `parent`; what it does not say is as in `base`.
pub(super) fn read_limits(parent: &mut Fields<'_>, section: &'static str, base: &Limits) -> Limits {
    let Some(mut fields) = parent.table("limits", section) else {
        return base.clone();
    };
    let bytes = |node: Node<'_>, most: u64| {
        node.size(256..=most)
            .and_then(|size| usize::try_from(size).ok())
    };
    let limits = Limits {
        header_bytes: fields
            .get("header_bytes")
            .and_then(|node| bytes(node, 128 << 10))
            .unwrap_or(base.header_bytes),
        header_count: fields
            .get("header_count")
            .and_then(|node| node.index(1..=10_000))
            .unwrap_or(base.header_count),
        uri_length: fields
            .get("uri_length")
            .and_then(|node| bytes(node, 128 << 10))
            .unwrap_or(base.uri_length),
        body: match fields.get("body") {
            Some(node) => read_body_limit(&node),
            None => base.body,
        },
    };
    fields.finish(&[]);
    limits
}

fn read_body_limit(node: &Node<'_>) -> Option<u64> {
    if node.value().as_str() == Some("unlimited") {
        return None;
    }
    node.size(0..=i64::MAX as u64)
}
