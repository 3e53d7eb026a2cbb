//! `server`, `default-server` and `server-template` lines.

use crate::{
    problem::Problem,
    remark::Fate,
    text::{self, Line, Word},
    weir::{Table, Value},
};

use super::{
    draft::Mode,
    site::Site,
    strength::Strength,
    words::{Words, number, wrong},
};

/// What a line, or the defaults before it, say about a server.
#[derive(Debug, Clone, Default)]
pub struct Server {
    pub name: String,
    pub address: String,
    pub check: bool,
    pub inter: Option<String>,
    pub fall: Option<i64>,
    pub rise: Option<i64>,
    pub weight: Option<i64>,
    pub maxconn: Option<i64>,
    pub id: Option<i64>,
    pub cookie: Option<String>,
    pub max_queue: Option<i64>,
    /// `fast_interval`, `down_interval`, `port` and `address` of its check.
    pub check_more: Table,
    /// Keys of the server that stand as they are in weir.toml.
    pub more: Table,
    pub agent: Option<Table>,
    pub observe: Table,
    pub tls: Option<Table>,
    /// What is said of TLS before it is known whether there is any.
    pub tls_more: Table,
    pub strength: Strength,
    pub send_proxy: Option<SendProxy>,
    /// Whether checks begin with the header, too, wherever they go.
    pub check_send_proxy: bool,
    /// Keywords without equivalent, or with a difference.
    pub fate: Option<Fate>,
}

/// The PROXY header that a server is sent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

/// With what is added to it.
#[derive(Debug, Clone)]
pub struct SendProxy {
    pub version: Version,
    pub add: Vec<&'static str>,
}

impl SendProxy {
    fn of(version: Version) -> Self {
        Self {
            version,
            add: Vec::new(),
        }
    }

    fn add(&mut self, what: &'static str) {
        if !self.add.contains(&what) {
            self.add.push(what);
        }
    }

    fn value(&self) -> Value {
        let version = match self.version {
            Version::V1 => "v1",
            Version::V2 => "v2",
        };
        if self.add.is_empty() || self.version == Version::V1 {
            return version.into();
        }
        let add: Vec<Value> = self.add.iter().map(|what| Value::from(*what)).collect();
        Table::of("version", version).with("add", add).into()
    }
}

/// Reads a whole `server` line.
pub fn server(line: &Line, defaults: &Server, site: &mut Site) -> Result<Server, Problem> {
    let mut words = Words::of(line);
    let mut server = defaults.clone();
    let name = words.need("a name")?;
    server.name.clone_from(&name.text);
    let address = words.need("an address")?;
    let (text, fate) = self::address(&address.text).map_err(|what| wrong(address, what))?;
    server.address = text;
    server.note(fate);
    server.options(&mut words, site)?;
    Ok(server)
}

/// Reads what a `default-server` line adds.
pub fn default_server(line: &Line, defaults: &Server, site: &mut Site) -> Result<Server, Problem> {
    let mut server = Server {
        fate: None,
        ..defaults.clone()
    };
    server.options(&mut Words::of(line), site)?;
    Ok(server)
}

/// What a `server-template` line stands for: a server with slots.
pub fn server_template(line: &Line, defaults: &Server, site: &mut Site) -> Result<Server, Problem> {
    let mut words = Words::of(line);
    let prefix = words.need("a prefix for the names")?;
    let count = words.need("a number")?;
    let (first, last) = match count.text.split_once('-') {
        None => ("1", count.text.as_str()),
        Some(range) => range,
    };
    let parse = |text: &str| {
        text.parse::<i64>()
            .ok()
            .filter(|number| (1..=1000).contains(number))
    };
    let range = parse(first)
        .zip(parse(last))
        .filter(|(first, last)| first <= last);
    let (first, last) = range.ok_or_else(|| {
        wrong(
            count,
            format!("`{}` is no number or range of servers", count.text),
        )
    })?;
    let address = words.need("an address")?;
    let (text, fate) = self::address(&address.text).map_err(|what| wrong(address, what))?;
    let mut one = Server {
        address: text,
        ..defaults.clone()
    };
    one.note(fate);
    one.options(&mut words, site)?;
    if first != 1 {
        one.note(Fate::nearly("they are numbered from 1"));
    }
    one.name.clone_from(&prefix.text);
    one.more.set("slots", last - first + 1);
    Ok(one)
}

/// An address in weir.toml's form.
fn address(text: &str) -> Result<(String, Fate), String> {
    if let Some(path) = text
        .strip_prefix("unix@")
        .or(text.starts_with('/').then_some(text))
    {
        return Ok((format!("unix:{path}"), Fate::Same));
    }
    if text.starts_with("abns@") || text.starts_with("fd@") || text.starts_with("sockpair@") {
        return Err(format!(
            "`{text}`: only addresses, names and Unix sockets can be connected to"
        ));
    }
    let text = text.split_once('@').map_or(text, |(_, rest)| rest);
    // Several colons and no brackets: an IPv6 address, whose last part is the port.
    let (host, port) = match text.rsplit_once(':') {
        None => (text, None),
        Some((host, port)) => (host, Some(port)),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host == "*" || host == "0.0.0.0" {
        return Err(
            "a server needs an address; the client's own destination is not connected to"
                .to_owned(),
        );
    }
    let bracketed = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    match port {
        None | Some("") => Ok((bracketed, Fate::Same)),
        Some(port) if port.starts_with(['+', '-']) => Ok((
            bracketed,
            Fate::nearly(format!("the port is the client's own, without `{port}`")),
        )),
        Some(port) => match port.parse::<u16>() {
            Ok(0) => Ok((bracketed, Fate::Same)),
            Ok(port) => Ok((format!("{bracketed}:{port}"), Fate::Same)),
            Err(_) => Err(format!("`{port}` is no port")),
        },
    }
}

impl Server {
    pub fn note(&mut self, fate: Fate) {
        self.fate = Some(self.fate.take().unwrap_or(Fate::Same).and(fate));
    }

    fn dropped(&mut self, what: &str) {
        self.note(Fate::dropped(what));
    }

    fn options(&mut self, words: &mut Words<'_>, site: &mut Site) -> Result<(), Problem> {
        while let Some(word) = words.next() {
            self.option(word, words, site)?;
        }
        Ok(())
    }

    fn option(
        &mut self,
        word: &Word,
        words: &mut Words<'_>,
        site: &mut Site,
    ) -> Result<(), Problem> {
        if let Some(fate) = self.strength.option(word, words)? {
            self.note(fate);
            return Ok(());
        }
        let time = |words: &mut Words<'_>| -> Result<String, Problem> {
            let word = words.need("a time")?;
            let time = text::duration(&word.text, "ms").map_err(|what| wrong(word, what))?;
            if time.microseconds == 0 {
                return Err(wrong(word, "a time of 0"));
            }
            Ok(time.to_string())
        };
        match word.text.as_str() {
            "check" => self.check = true,
            "no-check" => self.check = false,
            "inter" => self.inter = Some(time(words)?),
            "fastinter" => {
                let time = time(words)?;
                self.check_more.set("fast_interval", time);
            }
            "downinter" => {
                let time = time(words)?;
                self.check_more.set("down_interval", time);
            }
            "fall" => self.fall = Some(super::check::count(words)?),
            "rise" => self.rise = Some(super::check::count(words)?),
            "weight" => self.weight = Some(words.number(0, 256)?),
            "maxconn" => {
                self.maxconn = Some(words.number(0, i64::from(u32::MAX))?).filter(|most| *most > 0)
            }
            "maxqueue" => self.max_queue = Some(words.number(0, i64::from(u32::MAX))?),
            "minconn" => {
                words.number(0, i64::from(u32::MAX))?;
                self.note(Fate::nearly("the limit is `maxconn` at any time"));
            }
            "id" => self.id = Some(words.number(1, i64::from(u32::MAX))?),
            "cookie" => self.cookie = Some(words.need("a value")?.text.clone()),
            // Whether a name must resolve is said of the resolver.
            "init-addr" => {
                let how = words.need("a list")?;
                if how.text.split(',').next_back() != Some("none") && !how.text.contains("libc") {
                    self.note(Fate::nearly("addresses come from the name alone"));
                }
            }
            "backup" => self.more.set("backup", true),
            "no-backup" => {
                self.more.remove("backup");
            }
            "disabled" => self.more.set("state", "maintenance"),
            "non-stick" => self.dropped("it can be stuck to like the others"),
            "ssl" => {
                self.tls.get_or_insert_default();
            }
            "no-ssl" => self.tls = None,
            "send-proxy" => self.send_proxy = Some(SendProxy::of(Version::V1)),
            "send-proxy-v2" => self.send_proxy_v2(None),
            "send-proxy-v2-ssl" => self.send_proxy_v2(Some("tls")),
            "send-proxy-v2-ssl-cn" => self.send_proxy_v2(Some("tls")),
            "no-send-proxy" | "no-send-proxy-v2" => self.send_proxy = None,
            "check-send-proxy" => self.check_send_proxy = true,
            "proxy-v2-options" => {
                let options = words.need("a list of options")?;
                for option in options.text.split(',') {
                    self.proxy_option(option)
                        .map_err(|what| wrong(options, what))?;
                }
            }
            "no-check-ssl" => self.check_more.set("tls", false),
            "check-ssl" => {
                self.note(Fate::nearly(
                    "checks are made in TLS if the server is spoken to in TLS",
                ));
            }
            "check-via-socks4" => self.dropped("there are no SOCKS proxies on the way"),
            "tfo" | "no-tfo" | "enabled" | "stick" | "no-verifyhost" | "ssl-reuse"
            | "no-ssl-reuse" | "allow-0rtt" => {}
            "verify" => {
                let how = words.need("`none` or `required`")?;
                match how.text.as_str() {
                    how @ ("none" | "required") => self.tls_more.set("verify", how),
                    other => return Err(wrong(how, format!("`{other}` is no way to verify"))),
                }
            }
            key @ ("ca-file" | "crl-file" | "crt") => {
                let key = match key {
                    "ca-file" => "ca",
                    "crl-file" => "crl",
                    _ => "certificate",
                };
                let file = words.need("a file")?.text.as_str();
                match (key, file) {
                    // What the system trusts is what Weir trusts if nothing is said.
                    ("ca", "@system-ca") => {}
                    ("certificate", file) => self.tls_more.set(key, site.certificate(file)),
                    (key, file) => self.tls_more.set(key, site.authority(file)),
                }
            }
            "sni" | "verifyhost" => {
                let name = words.need("a name")?;
                let fixed = name
                    .text
                    .strip_prefix("str(")
                    .and_then(|rest| rest.strip_suffix(')'));
                match fixed.or((word.text == "verifyhost").then_some(name.text.as_str())) {
                    Some(name) => self.tls_more.set("sni", name),
                    None => self.note(Fate::nearly(format!(
                        "the server is asked for the name in its address, not for `{}`",
                        name.text
                    ))),
                }
            }
            "alpn" => {
                let protocols = words.need("protocols")?;
                match protocols.text.as_str() {
                    "h2" => self.more.set("protocol", "h2"),
                    both if both.split(',').any(|protocol| protocol == "h2") => {
                        self.note(Fate::nearly(
                            "it is spoken to in HTTP/1; say `protocol = \"h2\"` for the other",
                        ))
                    }
                    _ => {}
                }
            }
            "npn" | "check-sni" | "check-alpn" => {
                words.need("a value")?;
                self.dropped(&format!("`{}`", word.text));
            }
            "proto" => match words.need("a protocol")?.text.as_str() {
                "h1" | "none" => {}
                "h2" => self.more.set("protocol", "h2"),
                other => self.dropped(&format!("servers are not spoken to in `{other}`")),
            },
            "check-proto" => match words.need("a protocol")?.text.as_str() {
                "h1" | "none" => {}
                "h2" => self.check_more.set("http2", true),
                other => self.dropped(&format!("servers are not asked in `{other}`")),
            },
            "namespace" => {
                let name = words.need("a namespace")?;
                self.more.set("namespace", name.text.as_str());
            }
            "slowstart" => self.more.set("slow_start", time(words)?),
            "observe" => {
                let layer = words.need("a layer")?;
                match layer.text.as_str() {
                    layer @ ("layer4" | "layer7") => self.observe.set("layer", layer),
                    other => {
                        return Err(wrong(
                            layer,
                            format!("`{other}` is neither layer4 nor layer7"),
                        ));
                    }
                }
            }
            "error-limit" => self.observe.set("errors", words.number(1, 1_000_000)?),
            "on-error" => {
                let how = words.need("what to do")?;
                match how.text.as_str() {
                    "fastinter" => self.observe.set("then", "fast-interval"),
                    then @ ("fail-check" | "sudden-death" | "mark-down") => {
                        self.observe.set("then", then)
                    }
                    other => {
                        return Err(wrong(
                            how,
                            format!("`{other}` is nothing to do on an error"),
                        ));
                    }
                }
            }
            "on-marked-down" => {
                let how = words.need("what to do")?;
                match how.text.as_str() {
                    "shutdown-sessions" => self.more.set("on_marked_down", "shutdown-sessions"),
                    other => return Err(wrong(how, format!("`{other}` is nothing to do there"))),
                }
            }
            "on-marked-up" => {
                let how = words.need("what to do")?;
                match how.text.as_str() {
                    "shutdown-backup-sessions" => {
                        self.more.set("on_marked_up", "shutdown-backup-sessions")
                    }
                    other => return Err(wrong(how, format!("`{other}` is nothing to do there"))),
                }
            }
            "resolve-opts" | "resolve-net" | "resolve-prefer" | "pool-low-conn" | "max-reuse"
            | "log-proto" | "log-bufsize" | "ws" | "tcp-ut" | "shard" => {
                words.need("a value")?;
            }
            "pool-max-conn" | "pool-purge-delay" => {
                words.need("a value")?;
                self.note(Fate::nearly(format!(
                    "`{}` is said of the backend's pool, if at all",
                    word.text
                )));
            }
            "resolvers" => {
                let name = words.need("a name")?;
                self.more.set("resolver", name.text.as_str());
            }
            "track" => self
                .more
                .set("track", words.need("a server")?.text.as_str()),
            "source" => {
                let address = words.need("an address")?;
                match source(&address.text) {
                    Some(source) => self.more.set("source", source),
                    None => self.dropped(&format!(
                        "connections come from an address, and `{}` is none",
                        address.text
                    )),
                }
            }
            "usesrc" | "interface" | "mark" | "tos" | "socks4" | "redir" => {
                words.need("a value")?;
                self.dropped(&format!("`{}`", word.text));
            }
            "port" => self.check_more.set("port", words.number(1, 65_535)?),
            "addr" => {
                let address = words.need("an address")?;
                match address.text.parse::<std::net::IpAddr>() {
                    Ok(address) => self.check_more.set("address", address.to_string()),
                    Err(_) => self.dropped("checks go to an address, not to a name"),
                }
            }
            "agent-check" => {
                self.agent.get_or_insert_default();
            }
            "agent-port" => {
                let port = words.number(1, 65_535)?;
                self.agent.get_or_insert_default().set("port", port);
            }
            "agent-inter" => {
                let interval = time(words)?;
                self.agent.get_or_insert_default().set("interval", interval);
            }
            "agent-send" => {
                let text = words.need("a text")?;
                self.agent
                    .get_or_insert_default()
                    .set("send", text.text.as_str());
            }
            "agent-addr" => {
                let address = words.need("an address")?;
                self.agent
                    .get_or_insert_default()
                    .set("address", address.text.as_str());
            }
            "no-agent-check" => self.agent = None,
            "set-proxy-v2-tlv-fmt" => {
                words.need("a value")?;
                self.dropped("additions to PROXY headers are those that the protocol names");
            }
            other => {
                const KNOWN: [&str; 24] = [
                    "check",
                    "inter",
                    "fall",
                    "rise",
                    "weight",
                    "maxconn",
                    "maxqueue",
                    "id",
                    "cookie",
                    "backup",
                    "disabled",
                    "ssl",
                    "verify",
                    "ca-file",
                    "sni",
                    "alpn",
                    "proto",
                    "send-proxy",
                    "namespace",
                    "slowstart",
                    "observe",
                    "resolvers",
                    "track",
                    "source",
                ];
                let problem = wrong(word, format!("unknown option `{other}` of a server"));
                return Err(match crate::nearest::nearest(other, KNOWN) {
                    Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
                    None => problem,
                });
            }
        }
        Ok(())
    }

    fn send_proxy_v2(&mut self, add: Option<&'static str>) {
        let mut header = match self.send_proxy.take() {
            Some(header) if header.version == Version::V2 => header,
            _ => SendProxy::of(Version::V2),
        };
        if let Some(add) = add {
            header.add(add);
        }
        self.send_proxy = Some(header);
    }

    /// One of `proxy-v2-options`.
    fn proxy_option(&mut self, option: &str) -> Result<(), String> {
        let add = match option {
            "ssl" | "cert-cn" | "ssl-cipher" | "cert-sig" | "cert-key" => "tls",
            "authority" => "authority",
            "crc32c" => "crc32c",
            "unique-id" => "unique-id",
            other => return Err(format!("`{other}` is no addition to a PROXY header")),
        };
        // They may stand before the word that asks for a header; without that word they mean nothing.
        let header = self.send_proxy.get_or_insert(SendProxy::of(Version::V2));
        header.add(add);
        Ok(())
    }

    /// Takes out what a backend of this mode cannot use.
    pub fn fit(&mut self, mode: Mode) {
        if mode == Mode::Tcp && self.more.remove("protocol").is_some() {
            self.note(Fate::nearly(
                "in TCP mode it is spoken to in whatever the client speaks",
            ));
        }
        if self.send_proxy.is_some() && self.more.remove("protocol").is_some() {
            self.note(Fate::nearly(
                "it is spoken to in HTTP/1: a connection of HTTP/2 is many clients' and has no PROXY header",
            ));
        }
        if self.check_send_proxy && self.send_proxy.is_none() {
            self.note(Fate::nearly(
                "checks begin with a PROXY header only if connections do (`send-proxy`)",
            ));
        }
    }

    /// What is said of its check besides how and how often.
    pub fn check_table(&self) -> Table {
        let mut table = self.check_more.clone();
        let elsewhere = table.get("port").is_some() || table.get("address").is_some();
        if self.send_proxy.is_some() && elsewhere && !self.check_send_proxy {
            table.set("send_proxy", false);
        }
        table
    }

    /// Its table in weir.toml, without what is said of its check.
    pub fn table(&self) -> Table {
        let mut table =
            Table::of("name", self.name.as_str()).with("address", self.address.as_str());
        if let Some(id) = self.id {
            table.set("id", id);
        }
        if let Some(weight) = self.weight.filter(|weight| *weight != 1) {
            table.set("weight", weight);
        }
        if let Some(most) = self.maxconn {
            table.set("max_connections", most);
        }
        if let Some(cookie) = self.cookie.as_ref().filter(|cookie| **cookie != self.name) {
            table.set("persistence_key", cookie.as_str());
        }
        for (key, value) in self.more.iter() {
            table.set(key, value.clone());
        }
        if self.observe.get("layer").is_some() {
            match self.observe.len() {
                1 => table.set(
                    "observe",
                    self.observe
                        .get("layer")
                        .cloned()
                        .unwrap_or(Value::Bool(false)),
                ),
                _ => table.set("observe", self.observe.clone()),
            }
        }
        if let Some(header) = &self.send_proxy {
            table.set("send_proxy", header.value());
        }
        if self.tls.is_some() {
            let mut tls = self.tls_more.clone();
            self.strength.write(&mut tls);
            match tls.is_empty() {
                true => table.set("tls", true),
                false => table.set("tls", tls),
            }
        }
        if let Some(agent) = &self.agent {
            table.set("agent", agent.clone());
        }
        table
    }

    /// Whether it is reached at the port that the client connected to.
    pub fn is_portless(&self) -> bool {
        !self.address.starts_with("unix:") && {
            let after = self.address.rsplit(']').next().unwrap_or(&self.address);
            !after.contains(':')
        }
    }
}

/// Where connections come from: an address, perhaps with a port or a range of ports.
pub fn source(text: &str) -> Option<&str> {
    let text = text.trim_end_matches(":0");
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Some(text);
    }
    let (address, ports) = text.rsplit_once(':')?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let sound = match ports.split_once('-') {
        None => is_port(ports),
        Some((first, last)) => is_port(first) && is_port(last),
    };
    (sound && address.parse::<std::net::IpAddr>().is_ok()).then_some(text)
}

/// Reads a number that stands alone.
pub fn only_number(line: &Line, least: i64, most: i64) -> Result<i64, Problem> {
    let mut words = Words::of(line);
    let value = number(words.need("a number")?, least, most)?;
    words.end()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_meaning() {
        let text = |written: &str| address(written).map(|(text, _)| text);
        for (written, wanted) in [
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("app1:5001", "app1:5001"),
            ("10.0.0.2", "10.0.0.2"),
            ("10.0.0.2:0", "10.0.0.2"),
            ("[::1]:80", "[::1]:80"),
            ("ipv4@app:80", "app:80"),
            ("/run/a.sock", "unix:/run/a.sock"),
            ("unix@/run/a.sock", "unix:/run/a.sock"),
        ] {
            assert_eq!(text(written).as_deref(), Ok(wanted), "{written}");
        }
        assert!(matches!(
            address("10.0.0.1:+1000"),
            Ok((_, Fate::Nearly(_)))
        ));
        assert!(
            address("*:80").is_err() && address("a:99999").is_err() && address("abns@x").is_err()
        );
    }
}
