//! Figures of frontends, servers and backends in the rows and columns of HAProxy's statistics. What Weir does
//! not count is empty.

use std::fmt::Write;

use super::admin::Admin;
use crate::{
    backend::{Health, Hindrance, LastCheck, Server, ServerAddress},
    config::{self, Check, Config},
    frontend::{Backend, Frontend},
    telemetry::ByClass,
};

/// As HAProxy 2.6 has them, so that whoever reads these by position finds the same.
const COLUMNS: &str = "pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,\
    wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,\
    type,rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,\
    hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,\
    comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,agent_status,agent_code,agent_duration,\
    check_desc,agent_desc,check_rise,check_fall,check_health,agent_rise,agent_fall,agent_health,addr,cookie,\
    mode,algo,conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,connect,reuse,cache_lookups,\
    cache_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,idle_conn_cur,safe_conn_cur,\
    used_conn_cur,need_conn_est,uweight,agg_server_status,agg_server_check_status,agg_check_status,-,\
    ssl_sess,ssl_reused_sess,ssl_failed_handshake,h2_headers_rcvd,h2_data_rcvd,h2_settings_rcvd,\
    h2_rst_stream_rcvd,h2_goaway_rcvd,h2_detected_conn_protocol_errors,h2_detected_strm_protocol_errors,\
    h2_rst_stream_resp,h2_goaway_resp,h2_open_connections,h2_backend_open_streams,h2_total_connections,\
    h2_backend_total_streams,h1_open_connections,h1_open_streams,h1_total_connections,h1_total_streams,\
    h1_bytes_in,h1_bytes_out,h1_spliced_bytes_in,h1_spliced_bytes_out";

/// HAProxy's own, which has the statistics, is the first.
const FIRST_ID: usize = 2;
/// Frontends and backends are one process's; HAProxy could have several.
const PROCESS: usize = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Frontend,
    Backend,
    Server,
}

impl Kind {
    /// The number in the column `type`.
    fn number(self) -> u32 {
        match self {
            Self::Frontend => 0,
            Self::Backend => 1,
            Self::Server => 2,
        }
    }

    /// What asks for it in `show stat`.
    pub fn bit(self) -> i64 {
        1 << self.number()
    }
}

/// Figures of one thing.
#[derive(Debug, Clone)]
pub struct Row {
    pub kind: Kind,
    /// Of its frontend or backend.
    pub id: usize,
    /// The server's; 0 for what is no server.
    pub server: u32,
    /// Whether it takes part.
    pub up: bool,
    pub maintenance: bool,
    values: Vec<String>,
}

impl Row {
    fn new(kind: Kind, id: usize, server: u32, proxy: &str, name: &str, status: &str) -> Self {
        let mut row = Self {
            kind,
            id,
            server,
            up: true,
            maintenance: false,
            values: vec![String::new(); columns().count()],
        };
        row.set("pxname", proxy);
        row.set("svname", name);
        row.set("status", status);
        row.set("pid", PROCESS);
        row.set("iid", id);
        row.set("sid", server);
        row.set("type", kind.number());
        row.set("-", "-");
        row
    }

    fn set(&mut self, column: &str, value: impl ToString) {
        let position = columns().position(|known| known == column);
        self.values[position.expect("columns are named here alone")] = value.to_string();
    }

    fn set_some(&mut self, column: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.set(column, value);
        }
    }

    fn answers(&mut self, answers: &ByClass) {
        let columns = [
            "hrsp_1xx",
            "hrsp_2xx",
            "hrsp_3xx",
            "hrsp_4xx",
            "hrsp_5xx",
            "hrsp_other",
        ];
        for (column, count) in columns.into_iter().zip(answers) {
            self.set(column, count);
        }
    }

    /// The value in the column of this name; empty if Weir does not know it.
    pub fn get(&self, column: &str) -> &str {
        let position = columns().position(|known| known == column);
        position.map_or("", |position| &self.values[position])
    }
}

pub fn columns() -> impl Iterator<Item = &'static str> {
    COLUMNS.split(',')
}

/// The number of a frontend by its position.
pub fn frontend_id(position: usize) -> usize {
    FIRST_ID + position
}

/// The number of a backend by its position.
pub fn backend_id(config: &Config, position: usize) -> usize {
    FIRST_ID + config.frontends.len() + position
}

/// All rows: frontends, and for each backend its servers and then itself.
pub fn rows(admin: &Admin) -> Vec<Row> {
    let generation = admin.current.borrow();
    let config = admin.config.borrow();
    let draining = admin.process.is_leaving();
    let frontends = config.frontends.iter().zip(&generation.frontends);
    let mut rows: Vec<Row> = frontends
        .enumerate()
        .map(|(position, (config, frontend))| {
            frontend_row(frontend_id(position), config, frontend, draining)
        })
        .collect();
    for (position, backend) in generation.backends.iter().enumerate() {
        let id = backend_id(&config, position);
        let Some(config) = config.backends.get(position) else {
            continue;
        };
        let servers = config.servers.iter().zip(&backend.servers).enumerate();
        rows.extend(servers.map(|(position, (settings, server))| {
            server_row(id, config, backend, position, settings, server)
        }));
        rows.push(backend_row(id, config, backend));
    }
    rows
}

fn frontend_row(id: usize, config: &config::Frontend, frontend: &Frontend, draining: bool) -> Row {
    let status = if draining { "STOP" } else { "OPEN" };
    let name = frontend.name.as_str();
    let mut row = Row::new(Kind::Frontend, id, 0, name, "FRONTEND", status);
    let counts = frontend.metrics.counts();
    row.set("scur", frontend.connections.count());
    row.set_some("slim", frontend.connections.most());
    row.set("stot", counts.connections);
    row.set("conn_tot", counts.connections);
    row.set("bin", counts.bytes_in);
    row.set("bout", counts.bytes_out);
    row.set("dreq", counts.denied);
    row.set("ereq", counts.bad_requests);
    row.set("dcon", counts.refused);
    row.set("req_tot", counts.requests);
    row.set("mode", config.mode.as_str());
    row.answers(&counts.answers);
    row
}

fn backend_row(id: usize, config: &config::Backend, backend: &Backend) -> Row {
    let usable = |backup: bool| {
        let servers = backend.servers.iter();
        let able = servers.filter(move |server| server.backup == backup && server.is_eligible());
        able.count()
    };
    let (active, backups) = (usable(false), usable(true));
    // As the data path has it: whoever is bound to a server that drains is still served.
    let up = backend.servers.iter().any(|server| server.state.is_up());
    let status = if up { "UP" } else { "DOWN" };
    let name = backend.name.as_str();
    let mut row = Row::new(Kind::Backend, id, 0, name, "BACKEND", status);
    row.up = up;
    let counts = backend.metrics.counts();
    row.set("qcur", backend.state.queued());
    row.set("scur", backend.state.active());
    row.set_some("slim", backend.limit);
    row.set("stot", counts.sessions);
    row.set("lbtot", counts.sessions);
    row.set("wredis", counts.redispatches);
    let servers = backend.server_metrics.iter().map(|server| server.counts());
    let (mut econ, mut eresp, mut retries, mut downs) = (0, 0, 0, 0);
    for server in servers {
        econ += server.connect_failures;
        eresp += server.response_errors;
        retries += server.retries;
        downs += server.downs;
    }
    row.set("econ", econ);
    row.set("eresp", eresp);
    row.set("wretr", retries);
    row.set("chkdown", downs);
    row.set("weight", total_weight(backend));
    row.set("uweight", total_weight(backend));
    row.set("act", active);
    row.set("bck", backups);
    row.set("mode", config.mode.as_str());
    row.set("algo", backend.balancer.plugin.name().as_str());
    row.answers(&counts.answers);
    row
}

fn total_weight(backend: &Backend) -> u32 {
    let eligible = backend.eligible();
    let weights = eligible.iter().map(|position| {
        let server = &backend.servers[*position];
        server.state.weight(server.weight)
    });
    weights.sum()
}

fn server_row(
    id: usize,
    around: &config::Backend,
    backend: &Backend,
    position: usize,
    config: &config::Server,
    server: &Server,
) -> Row {
    let state = &server.state;
    let last = state.history().last_check();
    let status = server_status(server, config.check.as_ref(), last.as_ref());
    let mut row = Row::new(
        Kind::Server,
        id,
        server.id,
        backend.name.as_str(),
        server.name.as_str(),
        &status,
    );
    row.up = state.is_up();
    row.maintenance = state.has(Hindrance::Maintenance);
    let counts = backend.server_metrics[position].counts();
    row.set("qcur", state.queued());
    row.set("scur", state.active());
    row.set_some("slim", server.limit_now());
    row.set("stot", counts.sessions);
    row.set("lbtot", counts.sessions);
    row.set("econ", counts.connect_failures);
    row.set("eresp", counts.response_errors);
    row.set("wretr", counts.retries);
    row.set("chkfail", counts.checks_failed);
    row.set("chkdown", counts.downs);
    row.set("lastchg", state.history().since_change().as_secs());
    row.set("downtime", state.history().downtime().as_secs());
    let weight = state.weight(server.weight);
    row.set("weight", weight);
    row.set("uweight", weight);
    row.set("act", u8::from(!server.backup));
    row.set("bck", u8::from(server.backup));
    if state.is_cold() {
        // What it has of its share.
        row.set("throttle", (state.warmth() * 100.0) as u32);
    }
    let track = config.conduct.track.as_ref();
    let tracked = track.map(|track| format!("{}/{}", track.backend, track.server));
    row.set_some("tracked", tracked);
    row.set_some("addr", address(server));
    if backend.persistence.is_some() {
        row.set("cookie", &server.persistence_key);
    }
    row.set("mode", around.mode.as_str());
    row.answers(&counts.answers);
    if let (Some(check), Some(last)) = (&config.check, &last) {
        set_check(&mut row, check, last);
    }
    row
}

fn set_check(row: &mut Row, check: &Check, last: &LastCheck) {
    row.set("check_status", last.status);
    row.set_some("check_code", last.code);
    row.set("check_duration", last.took.as_millis());
    row.set("last_chk", &last.info);
    row.set("check_desc", last.description);
    row.set("check_rise", check.rise);
    row.set("check_fall", check.fall);
    row.set("check_health", health_number(check, last.health));
}

/// From 0, for down, to `rise` + `fall` - 1; from `rise` on it is up.
pub fn health_number(check: &Check, health: Health) -> u32 {
    match health {
        Health::Unchecked => check.rise,
        Health::Up { failures } => (check.rise + check.fall - 1).saturating_sub(failures),
        Health::Down { successes } => successes,
    }
}

/// Where a server is reached now.
pub fn address(server: &Server) -> Option<String> {
    match server.address {
        ServerAddress::Unix(_) | ServerAddress::ClientPort(_) | ServerAddress::Statistics => {
            Some(server.address.to_string())
        }
        ServerAddress::Ip(_) | ServerAddress::Name { .. } => {
            let address = server.socket_address(0);
            address.map(|address| address.to_string())
        }
    }
}

/// `UP`, `UP 2/3`, `DOWN 1/2`, `MAINT`, `DRAIN`, `no check` and so on, as HAProxy calls them.
fn server_status(server: &Server, check: Option<&Check>, last: Option<&LastCheck>) -> String {
    let has = |hindrance| server.state.has(hindrance);
    if has(Hindrance::Maintenance) || has(Hindrance::AgentMaintenance) {
        return "MAINT".to_owned();
    }
    if has(Hindrance::Unresolved) {
        return "MAINT (resolution)".to_owned();
    }
    if has(Hindrance::AgentDown) {
        return "DOWN (agent)".to_owned();
    }
    let health = last.map(|last| last.health);
    if has(Hindrance::Unhealthy) {
        return match (check, health) {
            (Some(check), Some(Health::Down { successes: n @ 1.. })) => {
                format!("DOWN {n}/{}", check.rise)
            }
            _ => "DOWN".to_owned(),
        };
    }
    if has(Hindrance::Drain) || has(Hindrance::AgentDrain) {
        return "DRAIN".to_owned();
    }
    match (check, health) {
        (None, _) => "no check".to_owned(),
        (Some(check), Some(Health::Up { failures: n @ 1.. })) => {
            format!("UP {}/{}", check.fall.saturating_sub(n), check.fall)
        }
        (Some(_), _) => "UP".to_owned(),
    }
}

/// Rows as text separated by commas, the names of the columns first.
pub fn csv<'r>(rows: impl Iterator<Item = &'r Row>) -> String {
    let mut out = format!("# {COLUMNS},\n");
    for row in rows {
        for value in &row.values {
            push_value(&mut out, value);
            out.push(',');
        }
        out.push('\n');
    }
    out
}

/// In quotes where it would not be one value otherwise.
fn push_value(out: &mut String, value: &str) {
    if !value.contains([',', '"', '\n', '\r']) {
        out.push_str(value);
        return;
    }
    // Writing to a string cannot fail.
    let _ = write!(out, "\"{}\"", value.replace('"', "\"\""));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_where_readers_look_for_them() {
        let position = |name| columns().position(|known| known == name);
        for (name, wanted) in [
            ("pxname", 0),
            ("status", 17),
            ("weight", 18),
            ("check_status", 36),
            ("check_desc", 65),
            ("addr", 73),
            ("-", 103),
        ] {
            assert_eq!(position(name), Some(wanted), "{name}");
        }
    }

    #[test]
    fn a_row_has_a_value_for_each_column() {
        let mut row = Row::new(Kind::Server, 3, 1, "b", "a", "UP");
        row.set("last_chk", "he said \"no\", twice");
        let text = csv(std::iter::once(&row));
        let mut lines = text.lines();
        let heading = lines.next().unwrap();
        assert_eq!(heading.matches(',').count(), columns().count());
        let line = lines.next().unwrap();
        assert!(line.starts_with("b,a,,,"), "{line}");
        assert!(line.contains(",\"he said \"\"no\"\", twice\","), "{line}");
        assert_eq!(line.matches(',').count(), columns().count() + 1);
    }

    #[test]
    fn health_is_a_number_that_grows_with_it() {
        let check = Check::plain();
        let number = |health| health_number(&check, health);
        assert_eq!(number(Health::Down { successes: 0 }), 0);
        assert_eq!(number(Health::Down { successes: 1 }), 1);
        assert_eq!(number(Health::Up { failures: 2 }), 2);
        assert_eq!(number(Health::Up { failures: 0 }), 4);
    }
}
