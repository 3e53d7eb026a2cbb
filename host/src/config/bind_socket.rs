//! What an entry of `bind` says about the socket itself: where it lives, who may open it, how many may wait.

use super::{reach::read_namespace, read::Fields, value::shorten};

/// Longest name of a network interface.
const LONGEST_INTERFACE: usize = 15;

/// How a listening socket is made. What is not said is as the system has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SocketOptions {
    /// The network namespace that it listens in.
    pub namespace: Option<String>,
    /// The network interface that clients must come through.
    pub interface: Option<String>,
    /// Connections that may wait to be accepted, per worker.
    pub backlog: Option<u32>,
    /// An IPv6 address takes IPv4 clients as well.
    pub dual_stack: bool,
    /// Of a Unix socket's file.
    pub mode: Option<u32>,
    pub user: Option<String>,
    pub group: Option<String>,
}

/// Reads the keys of a table in `bind` that are about its socket.
pub(super) fn read_socket_options(fields: &mut Fields<'_>) -> SocketOptions {
    let interface = fields.get("interface").and_then(|node| {
        let name = node.plain_text("eth0")?;
        if name.len() > LONGEST_INTERFACE || name.contains(['/', ' ']) {
            node.wrong(
                format!("is no network interface: `{}`", shorten(name)),
                "write its name as `ip link` shows it: `interface = \"eth0\"`",
            );
            return None;
        }
        Some(name.to_owned())
    });
    let owner = read_owner(fields);
    SocketOptions {
        namespace: fields
            .get("namespace")
            .and_then(|node| read_namespace(&node)),
        interface,
        backlog: fields
            .get("backlog")
            .and_then(|node| node.small(1..=65_535)),
        dual_stack: fields
            .get("dual_stack")
            .and_then(|node| node.boolean())
            .unwrap_or(false),
        ..owner
    }
}

/// Reads the keys about who may open a Unix socket's file.
pub(super) fn read_owner(fields: &mut Fields<'_>) -> SocketOptions {
    let mut name = |key, example| {
        let node = fields.get(key)?;
        node.plain_text(example).map(str::to_owned)
    };
    let (user, group) = (name("user", "www-data"), name("group", "www-data"));
    SocketOptions {
        mode: read_mode(fields),
        user,
        group,
        ..SocketOptions::default()
    }
}

fn read_mode(fields: &mut Fields<'_>) -> Option<u32> {
    let node = fields.get("mode")?;
    let text = node.text("0660")?;
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777);
    if mode.is_none() {
        node.wrong(
            format!("is no file mode: `{}`", shorten(text)),
            "write it in octal: `mode = \"0660\"`",
        );
    }
    mode
}
