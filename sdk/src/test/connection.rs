//! Made-up connections, and the facts that the proxy would take from them.

use super::live::Live;

/// A connection of `127.0.0.1`, to be built upon.
pub fn connection() -> Connection {
    Connection {
        client_address: "127.0.0.1".to_owned(),
        listener_port: 8080,
        frontend: "web".to_owned(),
        sni: None,
        alpn: Vec::new(),
        first_bytes: Vec::new(),
        proxy: Vec::new(),
        vars: Vec::new(),
        live: Live::default(),
    }
}

/// What a plugin under test sees of a connection.
#[derive(Debug, Clone)]
pub struct Connection {
    client_address: String,
    listener_port: u16,
    frontend: String,
    sni: Option<String>,
    alpn: Vec<String>,
    first_bytes: Vec<u8>,
    proxy: Vec<(String, String)>,
    vars: Vec<(String, String)>,
    live: Live,
}

impl Connection {
    /// The client's IP address.
    pub fn client(mut self, address: &str) -> Self {
        self.client_address = address.to_owned();
        self
    }

    pub fn listener_port(mut self, port: u16) -> Self {
        self.listener_port = port;
        self
    }

    pub fn frontend(mut self, name: &str) -> Self {
        self.frontend = name.to_owned();
        self
    }

    /// The host name in the TLS hello.
    pub fn sni(mut self, name: &str) -> Self {
        self.sni = Some(name.to_owned());
        self
    }

    /// The protocols that the TLS hello offers.
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(|&name| name.to_owned()).collect();
        self
    }

    pub fn first_bytes(mut self, bytes: &[u8]) -> Self {
        self.first_bytes = bytes.to_vec();
        self
    }

    /// Something that a trusted PROXY header said.
    pub fn proxy(mut self, name: &str, value: &str) -> Self {
        self.proxy.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A variable that an earlier filter has set.
    pub fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What holds at the moment about something that weir.toml names, by the fact's name in the contract:
    /// `live("usable-servers(app)", "0")`. Panics if the contract has no such fact.
    pub fn live(mut self, input: &str, value: &str) -> Self {
        self.live.set(input, value);
        self
    }

    /// The fact of that name in the contract. Panics if the contract has no such fact of a connection.
    pub(super) fn fact(&self, input: &str) -> Option<String> {
        let (kind, name) = input.split_once('(').unwrap_or((input, ""));
        let name = name.trim_end_matches(')');
        match kind {
            "client-address" => Some(self.client_address.clone()),
            "client-port" => Some("40000".to_owned()),
            "listener-address" => Some("127.0.0.1".to_owned()),
            "listener-port" => Some(self.listener_port.to_string()),
            "frontend-name" => Some(self.frontend.clone()),
            "request-id" => Some("01H000000000".to_owned()),
            "tls-sni" => self.sni.clone(),
            "tls-alpn" => (!self.alpn.is_empty()).then(|| self.alpn.join(",")),
            "first-bytes" => {
                let most = name.parse().expect("first-bytes(N) has a number");
                let bytes = self.first_bytes.iter().take(most);
                (!self.first_bytes.is_empty())
                    .then(|| bytes.map(|byte| char::from(*byte)).collect())
            }
            "proxy" => last(&self.proxy, name),
            "var" => last(&self.vars, name),
            _ => match self.live.fact(input) {
                Some(fact) => fact,
                None => panic!("the contract has no input `{input}` of a connection"),
            },
        }
    }
}

fn last(pairs: &[(String, String)], name: &str) -> Option<String> {
    let named = pairs.iter().rev().find(|(known, _)| known == name);
    named.map(|(_, value)| value.clone())
}
