//! A server as one generation's configuration describes it, and which servers may be given clients now.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use smallvec::SmallVec;

use super::{server_state::ServerState, share::Grain};
use crate::{
    config::{Backups, Observe, SendProxy, ServerHttp2, ServerProtocol},
    model::ServerName,
    net::{Origin, TlsConnector},
};

/// Where a server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    Ip(SocketAddr),
    Unix(PathBuf),
    /// This address, at the port that the client connected to.
    ClientPort(IpAddr),
    /// Whatever address the name has at the time; the server's state knows it.
    Name {
        host: String,
        port: u16,
    },
    /// The proxy itself, which tells its figures.
    Statistics,
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::ClientPort(ip) => ip.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Statistics => f.write_str("weir:statistics"),
        }
    }
}

/// One server as a generation's config describes it.
#[derive(Debug, Clone)]
pub struct Server {
    pub name: ServerName,
    pub address: ServerAddress,
    pub id: u32,
    /// As it stands in the file.
    pub weight: u32,
    pub grain: Grain,
    /// Exchanges it takes at a time, as it stands in the file.
    pub limit: Option<u32>,
    /// It gets clients only when no other server can take any.
    pub backup: bool,
    pub observe: Option<Observe>,
    /// Its sessions may have to be ended from outside.
    pub holds_sessions: bool,
    pub persistence_key: String,
    pub protocol: ServerProtocol,
    pub http2: Arc<ServerHttp2>,
    /// The PROXY header that comes first on connections to it.
    pub send_proxy: Option<SendProxy>,
    /// Where connections to it begin.
    pub origin: Arc<Origin>,
    /// How it is made sure of; `None`: in clear text.
    pub tls: Option<Arc<TlsConnector>>,
    pub state: Arc<ServerState>,
}

impl Server {
    /// Whether it may be given clients that it does not have yet.
    pub fn is_eligible(&self) -> bool {
        self.state.takes_new() && self.weight_now() > 0
    }

    /// What balancers are told of its weight.
    pub fn weight_now(&self) -> u32 {
        self.state.share_of(self.weight, self.grain)
    }

    /// Exchanges it takes at a time: as an operator said or else the file, and no more than its agent says.
    pub fn limit_now(&self) -> Option<u32> {
        let limit = self.state.limit(self.limit);
        match self.state.agents_limit() {
            None => limit,
            Some(agents) => Some(limit.map_or(agents, |limit| limit.min(agents))),
        }
    }

    /// Whether an exchange would get a place at once.
    pub fn has_room(&self) -> bool {
        self.limit_now()
            .is_none_or(|limit| self.state.active() < limit)
    }

    /// Whether the port is the one that the client connected to.
    pub fn is_at_clients_port(&self) -> bool {
        matches!(self.address, ServerAddress::ClientPort(_))
    }

    /// Where it is now; `None` while its name has no address. `client_port` is used where the server has
    /// no port of its own.
    pub fn socket_address(&self, client_port: u16) -> Option<SocketAddr> {
        match &self.address {
            ServerAddress::Ip(address) => Some(self.state.resolved().unwrap_or(*address)),
            ServerAddress::ClientPort(ip) => Some(SocketAddr::new(*ip, client_port)),
            ServerAddress::Name { .. } => self.state.resolved(),
            ServerAddress::Unix(_) | ServerAddress::Statistics => None,
        }
    }
}

/// The servers that new clients may be given now, by position: those that are no backups; if none of
/// these can take any, the first backup that can, or all of them.
pub fn eligible(servers: &[Server], backups: Backups) -> SmallVec<[usize; 8]> {
    let able = |backup: bool| {
        let servers = servers.iter().enumerate();
        servers
            .filter(move |(_, server)| server.backup == backup && server.is_eligible())
            .map(|(position, _)| position)
    };
    let usual: SmallVec<[usize; 8]> = able(false).collect();
    if !usual.is_empty() {
        return usual;
    }
    match backups {
        Backups::First => able(true).take(1).collect(),
        Backups::All => able(true).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backend::{BackendState, Hindrance},
        model::BackendName,
    };

    fn servers(backups: &[bool]) -> Vec<Server> {
        let backend = BackendState::new(BackendName::new("b"));
        let server = |backup: &bool| Server {
            name: ServerName::new("s"),
            address: ServerAddress::ClientPort(IpAddr::from([127, 0, 0, 1])),
            id: 1,
            weight: 1,
            grain: Grain::Whole,
            limit: None,
            backup: *backup,
            observe: None,
            holds_sessions: false,
            protocol: ServerProtocol::Http1,
            http2: Arc::default(),
            persistence_key: "s".to_owned(),
            send_proxy: None,
            origin: Arc::new(Origin::default()),
            tls: None,
            state: ServerState::new(Arc::clone(&backend)),
        };
        backups.iter().map(server).collect()
    }

    #[test]
    fn backups_are_eligible_once_nobody_else_is() {
        let servers = servers(&[true, false, true]);
        let now = |backups| eligible(&servers, backups).to_vec();
        assert_eq!(now(Backups::All), [1]);
        servers[1].state.set_up(false);
        assert_eq!(now(Backups::First), [0]);
        assert_eq!(now(Backups::All), [0, 2]);
        servers[0].state.set(Hindrance::Drain, true);
        assert_eq!(now(Backups::First), [2]);
    }
}
