//! Commands that only look: the process, backends, servers, figures.

use std::fmt::Write;

use super::Asked;
use crate::{
    backend::{Hindrance, LastCheck, Server, ServerAddress},
    config::{self, Address, Check, RuntimeSocket},
    frontend::Backend,
    net::BoundAddress,
    proxy::{
        admin::Admin,
        stats::{self, Kind, Row, backend_id, health_number},
    },
};

pub fn backends(admin: &Admin) -> String {
    let mut out = "# name\n".to_owned();
    for backend in &admin.current.borrow().backends {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", backend.name);
    }
    out
}

pub fn sockets(admin: &Admin) -> String {
    let mut out = "# socket lvl processes\n".to_owned();
    for (settings, bound) in admin.runtime_sockets.borrow().iter() {
        let level = settings.level.as_str();
        let _ = writeln!(out, "{} {level} all", socket_name(settings, bound));
    }
    out
}

fn socket_name(settings: &RuntimeSocket, bound: &BoundAddress) -> String {
    match (&settings.address, bound) {
        (Address::Inherited(fd), _) => format!("fd@{fd}"),
        (_, BoundAddress::Unix(path)) => format!("unix@{}", path.display()),
        (_, BoundAddress::Ip(address)) => address.to_string(),
    }
}

pub fn info(asked: &Asked<'_>) -> String {
    if let Some(form @ ("typed" | "json" | "desc")) = asked.arguments.first().map(String::as_str) {
        return format!(
            "Weir has no 'show info {form}': facts are lines of a name and a value, or at GET /metrics of the admin \
             interface.\n"
        );
    }
    let mut out = String::new();
    for (name, value) in facts(asked.admin) {
        let _ = writeln!(out, "{name}: {value}");
    }
    out
}

/// What is known of the process, by HAProxy's names and in its order.
fn facts(admin: &Admin) -> Vec<(&'static str, String)> {
    let generation = admin.current.borrow();
    let config = admin.config.borrow();
    let frontends = || generation.frontends.iter().map(|f| f.metrics.counts());
    let up = admin.started.elapsed().as_secs();
    let uptime = format!(
        "{}d {}h{:02}m{:02}s",
        up / 86_400,
        up / 3_600 % 24,
        up / 60 % 60,
        up % 60
    );
    let binds: usize = config.frontends.iter().map(|f| f.bind.len()).sum();
    let most = admin.process.connections.most();
    let most = most.unwrap_or(config.process.max_connections);
    let mut facts = vec![
        ("Name", "Weir".to_owned()),
        ("Version", env!("CARGO_PKG_VERSION").to_owned()),
        ("Nbthread", admin.workers.to_string()),
        ("Nbproc", "1".to_owned()),
        ("Process_num", "1".to_owned()),
        ("Pid", std::process::id().to_string()),
        ("Uptime", uptime),
        ("Uptime_sec", up.to_string()),
        ("Maxconn", most.to_string()),
        ("Hard_maxconn", config.process.max_connections.to_string()),
        ("CurrConns", admin.process.connections.count().to_string()),
        (
            "CumConns",
            frontends().map(|f| f.connections).sum::<u64>().to_string(),
        ),
        (
            "CumReq",
            frontends().map(|f| f.requests).sum::<u64>().to_string(),
        ),
    ];
    if let Ok(name) = rustix::system::uname().nodename().to_str() {
        facts.push(("node", name.to_owned()));
    }
    let stopping = u8::from(admin.process.is_leaving());
    facts.push(("Stopping", stopping.to_string()));
    let doors = admin.runtime_sockets.borrow().len() + usize::from(config.process.admin.is_some());
    facts.push(("Listeners", (binds + doors).to_string()));
    facts.push(("DroppedLogs", admin.log.dropped().to_string()));
    let out = frontends().map(|f| f.bytes_out).sum::<u64>();
    facts.push(("TotalBytesOut", out.to_string()));
    facts.push(("Start_time_sec", admin.started_at.to_string()));
    facts.push(("Generation", generation.number.to_string()));
    facts
}

/// `show stat [<px>|<iid> [<type> [<sid>]]] [no-maint|up]`.
pub fn stat(asked: &Asked<'_>) -> String {
    let mut only_up = false;
    let mut no_maintenance = false;
    let mut numbers: Vec<&str> = Vec::new();
    for argument in asked.arguments {
        match argument.as_str() {
            "up" => only_up = true,
            "no-maint" => no_maintenance = true,
            "typed" | "json" | "desc" => {
                return format!(
                    "Weir has no 'show stat {argument}': figures are rows of values, or at GET /metrics of the \
                     admin interface.\n"
                );
            }
            other => numbers.push(other),
        }
    }
    let number = |position: usize| {
        numbers
            .get(position)
            .and_then(|text| text.parse::<i64>().ok())
    };
    let proxy = numbers.first().copied();
    let of_proxy = |row: &Row| match (proxy, number(0)) {
        (None, _) | (_, Some(-1)) => true,
        (_, Some(id)) => i64::try_from(row.id) == Ok(id),
        (Some(name), None) => row.get("pxname") == name,
    };
    let of_kind =
        |row: &Row| number(1).is_none_or(|kinds| kinds == -1 || kinds & row.kind.bit() != 0);
    let of_server = |row: &Row| {
        let server = number(2).filter(|server| *server != -1);
        server.is_none_or(|server| row.kind != Kind::Server || i64::from(row.server) == server)
    };
    let rows = stats::rows(asked.admin);
    let shown = rows.iter().filter(|row| {
        of_proxy(row)
            && of_kind(row)
            && of_server(row)
            && (!only_up || row.up)
            && (!no_maintenance || !row.maintenance)
    });
    stats::csv(shown)
}

/// Does something for each server, or for those of the backend that is named.
fn for_servers(
    asked: &Asked<'_>,
    heading: &str,
    mut write: impl FnMut(&mut String, &ServerAt<'_>),
) -> String {
    let generation = asked.admin.current.borrow();
    let config = asked.admin.config.borrow();
    let wanted = asked.arguments.first();
    let is_wanted = |backend: &Backend| wanted.is_none_or(|wanted| backend.name.as_str() == wanted);
    if !generation.backends.iter().any(is_wanted) && wanted.is_some() {
        return "Can't find backend.\n".to_owned();
    }
    let mut out = heading.to_owned();
    let backends = generation.backends.iter().zip(&config.backends).enumerate();
    for (position, (backend, around)) in backends.filter(|(_, (backend, _))| is_wanted(backend)) {
        let id = backend_id(&config, position);
        for (server, settings) in backend.servers.iter().zip(&around.servers) {
            let at = ServerAt {
                id,
                backend,
                server,
                settings,
            };
            write(&mut out, &at);
        }
    }
    out
}

/// A server with what is around it.
struct ServerAt<'a> {
    /// The backend's.
    id: usize,
    backend: &'a Backend,
    server: &'a Server,
    settings: &'a config::Server,
}

impl ServerAt<'_> {
    /// Address and port; `-` and 0 where there is none.
    fn place(&self) -> (String, u16) {
        match &self.server.address {
            ServerAddress::Unix(path) => (path.display().to_string(), 0),
            ServerAddress::ClientPort(ip) => (ip.to_string(), 0),
            ServerAddress::Statistics => (self.server.address.to_string(), 0),
            ServerAddress::Name { port, .. } => match self.server.socket_address(0) {
                Some(address) => (address.ip().to_string(), address.port()),
                None => ("-".to_owned(), *port),
            },
            ServerAddress::Ip(address) => {
                let address = self.server.socket_address(0).unwrap_or(*address);
                (address.ip().to_string(), address.port())
            }
        }
    }
}

pub fn servers_state(asked: &Asked<'_>) -> String {
    const HEADING: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight \
        srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health \
        srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
        srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n";
    for_servers(asked, HEADING, |out, at| {
        let ServerAt {
            id,
            backend,
            server,
            settings,
        } = at;
        let state = &server.state;
        let (address, port) = at.place();
        let last = state.history().last_check();
        let check = settings.check.as_ref();
        let host = match &server.address {
            ServerAddress::Name { host, .. } => host.as_str(),
            ServerAddress::Ip(_)
            | ServerAddress::Unix(_)
            | ServerAddress::ClientPort(_)
            | ServerAddress::Statistics => "-",
        };
        let check_address = check.and_then(|check| check.endpoint.address);
        let check_address = check_address.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
        let check_port = check.and_then(|check| check.endpoint.port).unwrap_or(0);
        let _ = writeln!(
            out,
            "{id} {} {} {} {address} {} {} {} {} {} {} {} {} {} {} 0 0 {host} {port} - {} {check_port} \
             {check_address} - 0",
            backend.name,
            server.id,
            server.name,
            operation(server),
            administration(server),
            state.weight(server.weight),
            server.weight,
            state.history().since_change().as_secs(),
            check_status(last.as_ref()),
            check_result(last.as_ref()),
            check_health(check, last.as_ref()),
            // Configured and running.
            if check.is_some() { 6 } else { 0 },
            if settings.conduct.agent.is_some() {
                6
            } else {
                0
            },
            u8::from(server.tls.is_some()),
        );
    })
}

/// 0 stopped, 1 starting, 2 running; who drains still runs.
fn operation(server: &Server) -> u8 {
    let state = &server.state;
    match (state.is_up(), state.is_cold()) {
        (false, _) => 0,
        (true, true) => 1,
        (true, false) => 2,
    }
}

/// HAProxy's bits: 1 maintenance, 8 draining, 32 no address.
fn administration(server: &Server) -> u32 {
    let bits = [
        (Hindrance::Maintenance, 0x01),
        (Hindrance::AgentMaintenance, 0x01),
        (Hindrance::Drain, 0x08),
        (Hindrance::AgentDrain, 0x08),
        (Hindrance::Unresolved, 0x20),
    ];
    let set = bits
        .iter()
        .filter(|(hindrance, _)| server.state.has(*hindrance));
    set.fold(0, |all, (_, bit)| all | bit)
}

/// The number of a check's status among HAProxy's.
fn check_status(last: Option<&LastCheck>) -> u8 {
    match last.map(|last| last.status) {
        None => 1,
        Some("HANA") => 4,
        Some("L4OK") => 6,
        Some("L4TOUT") => 7,
        Some("L4CON") => 8,
        Some("L6OK") => 9,
        Some("L6TOUT") => 10,
        Some("L6RSP") => 11,
        Some("L7TOUT") => 12,
        Some("L7RSP") => 13,
        Some("L7OK") => 15,
        Some("L7STS") => 17,
        Some(_) => 0,
    }
}

/// 0 unknown, 2 failed, 3 passed.
fn check_result(last: Option<&LastCheck>) -> u8 {
    match last {
        None => 0,
        Some(last) if last.status.ends_with("OK") => 3,
        Some(_) => 2,
    }
}

fn check_health(check: Option<&Check>, last: Option<&LastCheck>) -> u32 {
    match (check, last) {
        (Some(check), Some(last)) => health_number(check, last.health),
        (Some(check), None) => check.rise,
        (None, _) => Check::plain().rise,
    }
}

pub fn servers_conn(asked: &Asked<'_>) -> String {
    const HEADING: &str = "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb \
        safe_nb idle_lim idle_cur idle_per_thr[1]\n";
    for_servers(asked, HEADING, |out, at| {
        let (address, port) = at.place();
        let ServerAt {
            id,
            backend,
            server,
            ..
        } = at;
        let purge = backend.pool.idle_timeout.as_millis();
        // Kept connections are counted by each worker for itself, so what they are in all is not known here.
        let _ = writeln!(
            out,
            "{}/{} {id}/{} {address} {port} - {purge} {} - - - - {} - -",
            backend.name,
            server.name,
            server.id,
            server.state.active(),
            backend.pool.max_idle,
        );
    })
}
