//! What a proxy is to do in a case, in no proxy's own words. Its JSON is what `gen` reads.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Model {
    pub listen: Listen,
    pub threads: usize,
    /// `http` or `tcp`.
    pub mode: String,
    #[serde(default)]
    pub tls: bool,
    #[serde(default)]
    pub h2: bool,
    /// Files in PEM, where there is TLS.
    #[serde(default)]
    pub cert: Option<String>,
    #[serde(default)]
    pub key: Option<String>,
    /// Both in one file.
    #[serde(default)]
    pub cert_and_key: Option<String>,
    /// Name of a persistence cookie: inserted, and not shown to the servers.
    pub cookie: Option<String>,
    /// Whether servers learn the client's address from X-Forwarded-For.
    pub xff: bool,
    /// Name, password, group.
    pub users: Vec<(String, String, String)>,
    /// Which backend a group's users get.
    pub groups: BTreeMap<String, String>,
    pub backends: Vec<Backend>,
    /// Path prefix, backend; the first that fits counts.
    pub rules: Vec<(String, String)>,
    pub default: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listen {
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backend {
    pub name: String,
    pub balance: Balance,
    pub servers: Vec<Server>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Balance {
    #[serde(rename = "rr")]
    RoundRobin,
    #[serde(rename = "leastconn")]
    LeastConn,
    /// Consistent, over the whole target.
    #[serde(rename = "chash")]
    Hash,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Server {
    pub name: String,
    pub port: u16,
    /// What the origin behind that port says in `x-origin`.
    pub idx: usize,
}

impl Listen {
    pub fn address(&self) -> Result<SocketAddr> {
        let text = format!("{}:{}", self.host, self.port);
        text.parse()
            .with_context(|| format!("`{text}` is no address to listen at"))
    }
}

impl Model {
    pub fn read(file: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a model", file.display()))
    }

    pub fn backend(&self, name: &str) -> &Backend {
        self.backends
            .iter()
            .find(|backend| backend.name == name)
            .expect("cases name backends that they have")
    }

    /// The backend that the rules choose for a path.
    pub fn backend_for(&self, path: &str) -> &Backend {
        let rule = self
            .rules
            .iter()
            .find(|(prefix, _)| path.starts_with(prefix.as_str()));
        self.backend(rule.map_or(&self.default, |(_, backend)| backend))
    }
}
