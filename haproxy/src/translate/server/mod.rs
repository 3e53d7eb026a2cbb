//! `server`, `default-server` and `server-template` lines.

mod address;
mod options;
mod send_proxy;

use crate::{
    problem::Problem,
    remark::Fate,
    text::Line,
    weir::{Table, Value},
};

pub use self::address::source;
use self::send_proxy::SendProxy;
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

/// Reads a whole `server` line.
pub fn server(line: &Line, defaults: &Server, site: &mut Site) -> Result<Server, Problem> {
    let mut words = Words::of(line);
    let mut server = defaults.clone();
    let name = words.need("a name")?;
    server.name.clone_from(&name.text);
    let address = words.need("an address")?;
    let (text, fate) = address::address(&address.text).map_err(|what| wrong(address, what))?;
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
    let (text, fate) = address::address(&address.text).map_err(|what| wrong(address, what))?;
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

impl Server {
    pub fn note(&mut self, fate: Fate) {
        self.fate = Some(self.fate.take().unwrap_or(Fate::Same).and(fate));
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

/// Reads a number that stands alone.
pub fn only_number(line: &Line, least: i64, most: i64) -> Result<i64, Problem> {
    let mut words = Words::of(line);
    let value = number(words.need("a number")?, least, most)?;
    words.end()?;
    Ok(value)
}
