//! `[[runtime_socket]]`: where the command line of the running proxy is reached, and what may be said there.

use std::{net::SocketAddr, path::Path, time::Duration};

use super::{
    Address, SocketOptions,
    address::{self, AddressError},
    bind_socket::read_owner,
    read::Fields,
    value::{Node, shorten},
};

/// Only its owner may open it, unless the file says otherwise.
const OWNER_ONLY: u32 = 0o600;

/// A socket that takes commands, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeSocket {
    pub address: Address,
    /// Mode and owner of a Unix socket's file.
    pub socket: SocketOptions,
    /// What whoever comes there may do.
    pub level: Level,
    /// Silence after which a connection is closed.
    pub timeout: Duration,
    /// Connections at a time; more wait.
    pub max_connections: usize,
}

/// How much somebody may do. Each level may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Look at figures.
    User,
    /// Look at everything; change maps.
    Operator,
    /// Change servers, limits and sessions.
    Admin,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

const LEVELS: &[(&str, Level)] = &[
    ("user", Level::User),
    ("operator", Level::Operator),
    ("admin", Level::Admin),
];

pub(super) fn read_runtime_sockets(top: &mut Fields<'_>) -> Vec<RuntimeSocket> {
    let mut sockets: Vec<RuntimeSocket> = Vec::new();
    for table in top.tables("runtime_socket", "[[runtime_socket]]") {
        let span = table.span();
        let reader = table.reader;
        let Some(socket) = read_runtime_socket(table) else {
            continue;
        };
        if sockets.iter().any(|known| known.address == socket.address) {
            reader.error_with_hint(
                span,
                "another [[runtime_socket]] has this `address`",
                "each listens on an address of its own",
            );
        }
        sockets.push(socket);
    }
    sockets
}

fn read_runtime_socket(mut fields: Fields<'_>) -> Option<RuntimeSocket> {
    fields.set_context("runtime socket: ");
    let address = fields
        .require("address", "\"unix:/run/weir/weir.sock\"")
        .and_then(|node| read_address(&node));
    let mut socket = read_owner(&mut fields);
    let level = fields.get("level").map(|node| node.choice(LEVELS));
    let timeout = fields.get("timeout").and_then(|node| node.duration());
    let most = fields.get("max_connections");
    let max_connections = most.and_then(|node| node.index(1..=1_000));
    let address = address?;
    match address {
        Address::Unix(_) => socket.mode = socket.mode.or(Some(OWNER_ONLY)),
        _ if socket != SocketOptions::default() => {
            fields.reader.error_with_hint(
                fields.span(),
                "runtime socket: `mode`, `user` and `group` are for Unix sockets",
                "leave them out, or listen on `unix:/path`",
            );
        }
        _ => {}
    }
    fields.finish(&[
        ("path", "write `address = \"unix:/run/weir/weir.sock\"`"),
        ("gid", "write `group`, which takes numbers as well"),
        ("uid", "write `user`, which takes numbers as well"),
    ]);
    Some(RuntimeSocket {
        address,
        socket,
        level: level.unwrap_or(Some(Level::Operator))?,
        timeout: timeout.unwrap_or(Duration::from_secs(10)),
        max_connections: max_connections.unwrap_or(10),
    })
}

fn read_address(node: &Node<'_>) -> Option<Address> {
    let text = node.plain_text("unix:/run/weir/weir.sock")?;
    node.address(address_of(text, node.reader.base))
}

/// A Unix socket, a loopback port, or a socket that somebody else has opened.
fn address_of(text: &str, base: &Path) -> Result<Address, AddressError> {
    const HINT: &str =
        "write `unix:/run/weir/weir.sock`, `127.0.0.1:9999`, `fd@3` or `systemd:control`";
    let refused = |message: String, hint: &str| {
        Err(AddressError {
            message,
            hint: hint.to_owned(),
        })
    };
    if ["unix:", "fd@", "systemd:"]
        .iter()
        .any(|kind| text.starts_with(kind))
    {
        let mut addresses = address::bind(text, base)?;
        return match (addresses.pop(), addresses.is_empty()) {
            (Some(address), true) => Ok(address),
            _ => refused(format!("`{}` is several addresses", shorten(text)), HINT),
        };
    }
    match text.parse::<SocketAddr>() {
        Ok(socket) if socket.ip().is_loopback() => Ok(Address::Tcp(socket)),
        Ok(socket) => refused(
            format!("commands cannot be taken at {socket}"),
            "whoever reaches it controls the proxy: use `unix:/path` or a loopback address",
        ),
        Err(_) => refused(
            format!("`{}` is not an address for commands", shorten(text)),
            HINT,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;

    const SMALL: &str = "[[frontend]]\nname = \"web\"\nbind = [\"127.0.0.1:8080\"]\ndefault_backend = \"api\"\n\
        [[backend]]\nname = \"api\"\n[[backend.server]]\nname = \"a\"\naddress = \"127.0.0.1:1\"\n";

    fn read(text: &str) -> Result<Vec<RuntimeSocket>, String> {
        let text = format!("{SMALL}[[runtime_socket]]\n{text}\n");
        parse(Path::new("/etc/weir/weir.toml"), &text)
            .map(|config| config.process.runtime_sockets)
            .map_err(|errors| errors.to_string())
    }

    #[test]
    fn what_is_not_said_is_careful() {
        let sockets = read("address = \"unix:/run/weir.sock\"").unwrap();
        assert_eq!(sockets[0].level, Level::Operator);
        assert_eq!(sockets[0].socket.mode, Some(0o600));
        assert_eq!(sockets[0].timeout, Duration::from_secs(10));
    }

    #[test]
    fn everything_can_be_said() {
        let text = "address = \"unix:/run/weir.sock\"\nmode = \"660\"\ngroup = \"ops\"\nlevel = \"admin\"\n\
            timeout = \"1m\"\nmax_connections = 3";
        let socket = read(text).unwrap().remove(0);
        assert_eq!(socket.socket.mode, Some(0o660));
        assert_eq!(socket.socket.group.as_deref(), Some("ops"));
        assert_eq!(socket.level, Level::Admin);
        assert_eq!(socket.max_connections, 3);
        let inherited = read("address = \"fd@5\"").unwrap().remove(0);
        assert_eq!(inherited.address, Address::Inherited(5));
    }

    #[test]
    fn what_others_could_reach_is_refused() {
        for (text, said) in [
            ("address = \"0.0.0.0:9999\"", "whoever reaches it"),
            ("address = \"/run/weir.sock\"", "unix:/run/weir/weir.sock"),
            (
                "address = \"127.0.0.1:9999\"\nmode = \"660\"",
                "Unix sockets",
            ),
            (
                "address = \"unix:/run/weir.sock\"\nlevel = \"root\"",
                "level",
            ),
            ("level = \"admin\"", "needs `address`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        let twice = "address = \"unix:/a\"\n[[runtime_socket]]\naddress = \"unix:/a\"";
        assert!(read(twice).unwrap_err().contains("another"));
    }
}
