//! Host names to addresses: once, as the system does it, when a configuration is loaded, and again and
//! again over DNS while the proxy runs. Knows nothing of who is behind the addresses.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
};

use crate::config;

#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("host name `{host}` does not resolve")]
    Failed { host: String, source: io::Error },
    #[error("host name `{host}` has no address")]
    Empty { host: String },
    #[error("host name `{host}` does not resolve")]
    Dns { host: String, source: NetError },
    #[error("the resolver cannot be set up")]
    SetUp(#[source] NetError),
}

impl ResolveError {
    /// Whether a server of names has said that there is no such address, as opposed to nobody having
    /// said anything.
    pub fn is_denial(&self) -> bool {
        match self {
            Self::Empty { .. } => true,
            Self::Dns { source, .. } => source.is_no_records_found(),
            Self::Failed { .. } | Self::SetUp(_) => false,
        }
    }
}

/// Asks the system's resolver for all addresses. Blocks, so it is for loading, never for a worker. IPv4
/// comes first where a name has both, as servers are more often bound to it alone.
pub fn resolve(host: &str) -> Result<Vec<IpAddr>, ResolveError> {
    let addresses = (host, 0)
        .to_socket_addrs()
        .map_err(|source| ResolveError::Failed {
            host: host.to_owned(),
            source,
        })?;
    in_order(host, addresses.map(|address| address.ip()))
}

fn in_order(
    host: &str,
    addresses: impl Iterator<Item = IpAddr>,
) -> Result<Vec<IpAddr>, ResolveError> {
    let mut found: Vec<IpAddr> = Vec::new();
    for address in addresses {
        if !found.contains(&address) {
            found.push(address);
        }
    }
    if found.is_empty() {
        return Err(ResolveError::Empty {
            host: host.to_owned(),
        });
    }
    found.sort_by_key(IpAddr::is_ipv6);
    Ok(found)
}

/// What DNS says of a name, and for how long that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// IPv4 first, otherwise in the answer's order; at least one.
    pub all: Vec<IpAddr>,
    pub valid_for: Duration,
}

/// Asks servers of names, without a memory of its own.
pub struct Resolver(TokioResolver);

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolver {
    /// Asks those that `settings` name, or those of the system (`/etc/resolv.conf`, and `/etc/hosts`
    /// before them). Must be called within a runtime.
    pub fn new(settings: &config::Resolver) -> Result<Self, ResolveError> {
        let mut builder = if settings.nameservers.is_empty() {
            TokioResolver::builder_tokio().map_err(ResolveError::SetUp)?
        } else {
            let servers = settings.nameservers.iter().copied().map(name_server);
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = settings.timeout;
        options.attempts = settings.attempts;
        options.cache_size = 0;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        builder.build().map(Self).map_err(ResolveError::SetUp)
    }

    /// Dropping the future gives the question up.
    pub async fn lookup(&self, host: &str) -> Result<Addresses, ResolveError> {
        let found = self
            .0
            .lookup_ip(host)
            .await
            .map_err(|source| ResolveError::Dns {
                host: host.to_owned(),
                source,
            })?;
        Ok(Addresses {
            all: in_order(host, found.iter())?,
            valid_for: found
                .valid_until()
                .saturating_duration_since(Instant::now()),
        })
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections)
}
