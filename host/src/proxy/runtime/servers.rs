//! Commands that change servers and limits.

use std::net::{IpAddr, SocketAddr};

use tokio::sync::oneshot;

use super::Asked;
use crate::{
    backend::{Hindrance, Server, ServerAddress},
    config::{self, Address, AdminState, Check, is_name},
    frontend::{Backend, Generation},
    model::{BackendName, ServerName},
    proxy::{
        additions::ServersChange,
        admin::ServersWish,
        operate::{self, Change, HEAVIEST, NotFound},
    },
};

/// More than any machine has descriptors.
const MOST_CONNECTIONS: u64 = 10_000_000;
const USAGE: &str = "usage: set server <backend>/<server> addr | state | weight\n";

/// `backend/server` in two.
fn names(text: &str) -> Result<(&str, &str), String> {
    let names = text.split_once('/');
    let names = names.filter(|(backend, server)| !backend.is_empty() && !server.is_empty());
    names.ok_or_else(|| "Require 'backend/server'.\n".to_owned())
}

fn find<'g>(generation: &'g Generation, text: &str) -> Result<(&'g Backend, &'g Server), String> {
    let (backend, server) = names(text)?;
    operate::find(generation, backend, server).map_err(|not_found| {
        match not_found {
            NotFound::Backend => "No such backend.\n",
            NotFound::Server => "No such server.\n",
        }
        .to_owned()
    })
}

/// Does something with the server that the first argument names.
fn with_server(
    asked: &Asked<'_>,
    act: impl FnOnce(&Backend, &Server) -> Result<String, String>,
) -> String {
    let generation = asked.admin.current.borrow();
    let done = find(&generation, asked.argument(0)).and_then(|(backend, server)| {
        // Nothing here waits, so the generation is the current one until it is done.
        act(backend, server)
    });
    done.unwrap_or_else(|objection| objection)
}

/// Makes a change in the server that the first argument names.
fn with_change(asked: &Asked<'_>, read: impl FnOnce(&Server) -> Result<Change, String>) -> String {
    with_server(asked, |backend, server| {
        let change = read(server)?;
        operate::change(&asked.admin.log, backend, server, change);
        Ok(String::new())
    })
}

pub fn enable(asked: &Asked<'_>) -> String {
    with_change(asked, |_| Ok(Change::State(AdminState::Ready)))
}

pub fn disable(asked: &Asked<'_>) -> String {
    with_change(asked, |_| Ok(Change::State(AdminState::Maintenance)))
}

pub fn set(asked: &Asked<'_>) -> String {
    match asked.argument(1) {
        "state" => with_change(asked, |_| {
            let state = match asked.argument(2) {
                "ready" => AdminState::Ready,
                "drain" => AdminState::Drain,
                "maint" => AdminState::Maintenance,
                _ => {
                    const EXPECTED: &str =
                        "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n";
                    return Err(EXPECTED.to_owned());
                }
            };
            Ok(Change::State(state))
        }),
        "weight" => set_weight(asked, asked.argument(2)),
        "addr" => with_server(asked, |backend, server| move_server(asked, backend, server)),
        other @ ("health" | "agent" | "agent-addr" | "agent-port" | "agent-send" | "check-addr"
        | "check-port" | "fqdn" | "ssl") => with_server(asked, |_, _| {
            Err(format!(
                "Weir has no 'set server <srv> {other}': checks, agents, names and TLS are those of the \
                 configuration; 'state' takes a server out.\n"
            ))
        }),
        _ => with_server(asked, |_, _| Err(USAGE.to_owned())),
    }
}

pub fn set_weight(asked: &Asked<'_>, weight: &str) -> String {
    with_change(asked, |server| {
        read_weight(weight, server.weight).map(|weight| Change::Weight(Some(weight)))
    })
}

/// A number, or a part of what the file says.
fn read_weight(text: &str, configured: u32) -> Result<u32, String> {
    let said = |text: &str| Err(format!("{text}\n"));
    if text.is_empty() {
        return said("Require <weight> or <weight%>.");
    }
    let sign = text.strip_prefix('-');
    let digits = sign.unwrap_or(text);
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = digits.split_at(length);
    if number.is_empty() {
        return said("Empty weight string empty or preceded by garbage");
    }
    // What is longer is too much in any case.
    let number: u32 = number.parse().unwrap_or(u32::MAX);
    match (unit, sign) {
        ("%", Some(_)) => said("Relative weight must be positive."),
        ("%", None) => Ok(operate::part_of(configured, number).min(HEAVIEST)),
        ("", None) if number <= HEAVIEST => Ok(number),
        ("", _) => said("Absolute weight can only be between 0 and 256 inclusive."),
        _ => said("Trailing garbage in weight string"),
    }
}

pub fn weight(asked: &Asked<'_>) -> String {
    with_server(asked, |_, server| {
        let now = server.state.weight(server.weight);
        Ok(format!("{now} (initial {})\n", server.weight))
    })
}

/// `set server b/a addr IP [port N]`.
fn move_server(asked: &Asked<'_>, backend: &Backend, server: &Server) -> Result<String, String> {
    const BY: &str = "by 'stats socket command'\n";
    let address = asked.argument(2);
    if address.is_empty() {
        return Err(
            "set server <b>/<s> addr requires an address and optionally a port.\n".to_owned(),
        );
    }
    let ip: IpAddr = address
        .parse()
        .map_err(|_| format!("Invalid addr '{address}' {BY}"))?;
    if !operate::can_move(server) {
        return Err(
            "The address of this server is part of the configuration: it is a Unix socket, or has its \
             client's port.\n"
                .to_owned(),
        );
    }
    let now = server.socket_address(0);
    let port_now = now.map_or_else(|| configured_port(server), |now| now.port());
    let mut port = port_now;
    let mut wrong_port = None;
    if asked.argument(3) == "port" {
        match asked.argument(4).parse() {
            Ok(0) | Err(_) => wrong_port = Some(asked.argument(4)),
            Ok(number) => port = number,
        }
    }
    let mut said = match now {
        Some(now) if now.ip() == ip => "no need to change the addr".to_owned(),
        Some(now) => format!("IP changed from '{}' to '{ip}'", now.ip()),
        None => format!("IP changed from '' to '{ip}'"),
    };
    if let Some(wrong) = wrong_port {
        said.push_str(&format!(", problem converting port '{wrong}' to an int"));
        return Err(format!("{said} {BY}"));
    }
    if asked.argument(3) == "port" {
        said.push_str(&match port == port_now {
            true => ", no need to change the port".to_owned(),
            false => format!(", port changed from '{port_now}' to '{port}'"),
        });
    }
    let next = SocketAddr::new(ip, port);
    if now != Some(next) {
        operate::change(&asked.admin.log, backend, server, Change::Address(next));
    }
    Ok(format!("{said} {BY}"))
}

fn configured_port(server: &Server) -> u16 {
    match &server.address {
        ServerAddress::Ip(address) => address.port(),
        ServerAddress::Name { port, .. } => *port,
        ServerAddress::Unix(_) | ServerAddress::ClientPort(_) | ServerAddress::Statistics => 0,
    }
}

pub fn limit(asked: &Asked<'_>) -> String {
    with_change(asked, |_| match asked.argument(1) {
        "" => Err("Require <maxconn>.\n".to_owned()),
        // As in the file of HAProxy: no limit.
        "0" => Ok(Change::Limit(Some(u32::MAX - 1))),
        text => match read_count(text).and_then(|count| u32::try_from(count).ok()) {
            Some(count) => Ok(Change::Limit(Some(count))),
            None => Err("maxconn string empty or preceded by garbage\n".to_owned()),
        },
    })
}

pub fn limit_frontend(asked: &Asked<'_>) -> String {
    let generation = asked.admin.current.borrow();
    let mut frontends = generation.frontends.iter();
    let Some(frontend) = frontends.find(|known| known.name.as_str() == asked.argument(0)) else {
        return "No such frontend.\n".to_owned();
    };
    let Some(count) = read_count(asked.argument(1)) else {
        return "Integer value expected.\n".to_owned();
    };
    frontend.connections.set_most(count);
    asked.admin.notice(format!(
        "Frontend {} takes {count} connections at a time by an administrator",
        frontend.name
    ));
    String::new()
}

pub fn limit_process(asked: &Asked<'_>) -> String {
    if asked.argument(0).is_empty() {
        return "Expects an integer value.\n".to_owned();
    }
    let Some(count) = read_count(asked.argument(0)).filter(|count| *count > 0) else {
        return "Value out of range.\n".to_owned();
    };
    asked.admin.process.connections.set_most(count);
    asked.admin.notice(format!(
        "The proxy takes {count} connections at a time by an administrator"
    ));
    String::new()
}

fn read_count(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = text.parse().ok().filter(|_| digits)?;
    usize::try_from(count)
        .ok()
        .filter(|_| count <= MOST_CONNECTIONS)
}

pub fn end_sessions(asked: &Asked<'_>) -> String {
    with_server(asked, |backend, server| {
        let count = server.state.end_sessions();
        asked.admin.notice(format!(
            "Server {}/{}: {count} sessions ended by an administrator",
            backend.name, server.name
        ));
        Ok(String::new())
    })
}

/// `add server b/n ADDRESS [OPTIONS]`.
pub async fn add(asked: &Asked<'_>) -> String {
    match read_added(asked) {
        Ok(change) => carry_out(asked, change, "New server registered.\n").await,
        Err(objection) => objection,
    }
}

fn read_added(asked: &Asked<'_>) -> Result<ServersChange, String> {
    let (backend, name) = names(asked.argument(0))?;
    let config = asked.admin.config.borrow();
    let mut backends = config.backends.iter();
    let around = backends.find(|known| known.name.as_str() == backend);
    let around = around.ok_or("No such backend.\n")?;
    let mut servers = around.servers.iter();
    if servers.any(|known| known.name.as_str() == name) {
        return Err("Already exists a server with the same name in backend.\n".to_owned());
    }
    if !is_name(name) {
        return Err(format!(
            "A server cannot be called '{name}': letters, digits, '-', '_', '.' and ':' can be in a name.\n"
        ));
    }
    let Some((address, options)) = asked.arguments.get(1..).and_then(<[_]>::split_first) else {
        return Err("'server' expects <name> and <addr>[:<port>] as arguments.\n".to_owned());
    };
    let address: SocketAddr = address.parse().map_err(|_| {
        format!("'{address}' is no address with a port, such as 10.0.0.7:8080 or [fd00::7]:8080.\n")
    })?;
    let next = around.servers.iter().map(|known| known.id).max();
    let id = next.unwrap_or(0).saturating_add(1);
    let mut server = config::Server::plain(name, Address::Tcp(address), id);
    server.conduct.state = AdminState::Maintenance;
    read_options(&mut server, around, options)?;
    Ok(ServersChange::Add {
        backend: around.name.clone(),
        server: Box::new(server),
    })
}

/// What can be said of an added server, in HAProxy's words.
fn read_options(
    server: &mut config::Server,
    around: &config::Backend,
    options: &[String],
) -> Result<(), String> {
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut number = |most: u32| -> Result<u32, String> {
            let value = options.next().map(String::as_str).unwrap_or_default();
            let number = value.parse().ok().filter(|number| *number <= most);
            number.ok_or_else(|| format!("'{option}' wants a number from 0 to {most}.\n"))
        };
        match option.as_str() {
            "weight" => server.weight = number(HEAVIEST)?,
            "maxconn" => {
                server.max_connections = Some(number(MOST_CONNECTIONS as u32)?).filter(|n| *n > 0);
            }
            "id" => {
                let id = number(u32::MAX)?;
                if id == 0 || around.servers.iter().any(|known| known.id == id) {
                    return Err(format!("The id {id} is taken, or none.\n"));
                }
                server.id = id;
            }
            "backup" => server.conduct.backup = true,
            "disabled" => server.conduct.state = AdminState::Maintenance,
            "enabled" => server.conduct.state = AdminState::Ready,
            "check" => {
                let usual = around.check.clone();
                server.check = Some(usual.unwrap_or_else(Check::plain));
            }
            other => {
                return Err(format!(
                    "unknown keyword '{other}'; an added server has weight, maxconn, id, check, backup, \
                     enabled and disabled. What needs more belongs in the configuration.\n"
                ));
            }
        }
    }
    Ok(())
}

/// `del server b/n`.
pub async fn remove(asked: &Asked<'_>) -> String {
    match check_removal(asked) {
        Ok(change) => carry_out(asked, change, "Server deleted.\n").await,
        Err(objection) => objection,
    }
}

fn check_removal(asked: &Asked<'_>) -> Result<ServersChange, String> {
    let generation = asked.admin.current.borrow();
    let (backend, server) = find(&generation, asked.argument(0))?;
    if !server.state.has(Hindrance::Maintenance) {
        return Err("Only servers in maintenance mode can be deleted.\n".to_owned());
    }
    if server.state.active() > 0 || server.state.queued() > 0 {
        return Err("Server still has connections attached to it, cannot remove it.\n".to_owned());
    }
    Ok(ServersChange::Remove {
        backend: BackendName::new(backend.name.as_str()),
        server: ServerName::new(server.name.as_str()),
    })
}

/// Lets a generation be built with the change, and waits until it serves.
async fn carry_out(asked: &Asked<'_>, change: ServersChange, done: &str) -> String {
    let (tell, told) = oneshot::channel();
    let wish = ServersWish { change, tell };
    match (asked.admin.servers.send(wish), told.await) {
        (Ok(()), Ok(Ok(_generation))) => done.to_owned(),
        (Ok(()), Ok(Err(why))) => format!("{why}\n"),
        (Err(_), _) | (_, Err(_)) => "The proxy is stopping.\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_numbers_or_parts_of_the_files() {
        let read = |text| read_weight(text, 10);
        assert_eq!(read("7"), Ok(7));
        assert_eq!(read("50%"), Ok(5));
        assert_eq!(read("9999%"), Ok(256), "as much as there is");
        for (text, said) in [
            ("", "Require"),
            ("x", "Empty weight"),
            ("300", "Absolute"),
            ("-1", "Absolute"),
            ("-1%", "positive"),
            ("5x", "Trailing"),
        ] {
            assert!(read(text).unwrap_err().contains(said), "{text}");
        }
    }

    #[test]
    fn a_server_is_named_with_its_backend() {
        assert_eq!(names("b/a"), Ok(("b", "a")));
        for wrong in ["", "b", "b/", "/a"] {
            assert!(names(wrong).is_err(), "{wrong}");
        }
    }
}
