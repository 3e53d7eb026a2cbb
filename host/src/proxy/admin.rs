//! The administrators' door: health, counters, state, and the wish to reload. A Unix socket for the
//! owner alone, or a loopback address; never part of the data path.

use std::{
    cell::RefCell,
    convert::Infallible,
    fmt::Write as _,
    fs, io,
    os::unix::fs::PermissionsExt,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_local,
    time::sleep,
};
use tracing::{debug, warn};

use super::{
    additions::ServersChange,
    admin_caches, admin_counters, admin_maps, admin_orders, admin_rollouts, admin_servers,
    admin_stats,
    admin_why::{self, Body},
    map_desk::MapDesk,
    operate,
    orders::Orders,
};
use crate::{
    backend::Server,
    config::{Address, Config, LogLevel, RuntimeSocket},
    frontend::{Backend, Generation, PluginUse, ProcessState},
    net::{BindError, BoundAddress, Listener, SharedListener},
    telemetry::{LogHub, Metrics},
};

/// A client of this door is a person or a scraper, and both are quick.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
const BACK_OFF: Duration = Duration::from_millis(100);

/// Asks for a reload; the answer is the generation's number or why there is none.
pub type ReloadWish = oneshot::Sender<Result<u64, String>>;

/// Asks for other servers than the file has; the answer is as for a reload.
pub struct ServersWish {
    pub change: ServersChange,
    pub tell: ReloadWish,
}

/// What can be looked at and acted on, through whichever door.
pub struct Admin {
    pub metrics: Arc<Metrics>,
    pub process: Arc<ProcessState>,
    pub current: RefCell<Arc<Generation>>,
    /// What the current generation was made of.
    pub config: RefCell<Arc<Config>>,
    pub log: Rc<LogHub>,
    pub reloads: mpsc::UnboundedSender<ReloadWish>,
    pub servers: mpsc::UnboundedSender<ServersWish>,
    pub orders_desk: admin_orders::OrderDesk,
    /// Those that hold.
    pub orders: RefCell<Orders>,
    pub desk: MapDesk,
    pub workers: usize,
    pub started: Instant,
    /// The same in seconds since 1970.
    pub started_at: u64,
    /// Where commands are taken.
    pub runtime_sockets: RefCell<Vec<(RuntimeSocket, BoundAddress)>>,
}

impl Admin {
    /// Notes in the log what an administrator did.
    pub fn notice(&self, text: String) {
        self.log.event(LogLevel::Notice, text);
    }
}

/// Listens where `address` says. A Unix socket can be used by its owner only.
pub fn bind(address: &Address) -> Result<SharedListener, BindError> {
    let listener = SharedListener::bind(address, 1)?;
    if let BoundAddress::Unix(path) = &listener.address {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(|source| {
            BindError::Bind {
                address: listener.address.to_string(),
                source,
            }
        })?;
    }
    Ok(listener)
}

/// Answers administrators for ever.
pub async fn serve(admin: Rc<Admin>, listener: Rc<SharedListener>) -> io::Result<()> {
    let open_to_all = matches!(listener.address, BoundAddress::Ip(_));
    let listener = Listener::register(own_socket(&listener)?)?;
    loop {
        let stream = match listener.accept().await {
            Ok(client) => client.stream,
            Err(error) => {
                warn!(%error, "an administrator cannot be let in now; trying again");
                sleep(BACK_OFF).await;
                continue;
            }
        };
        let admin = Rc::clone(&admin);
        let service = service_fn(move |request| answer(Rc::clone(&admin), request, open_to_all));
        spawn_local(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_LIMIT)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                debug!(%error, "an administrator's connection failed");
            }
        });
    }
}

pub(super) fn own_socket(listener: &SharedListener) -> io::Result<socket2::Socket> {
    let mut sockets = listener.of_worker(0, 1)?;
    sockets.pop().ok_or(io::ErrorKind::NotFound.into())
}

pub(super) type Answer = Response<Body>;

async fn answer(
    admin: Rc<Admin>,
    request: Request<Incoming>,
    open_to_all: bool,
) -> Result<Answer, Infallible> {
    if open_to_all && let Err(why) = check_browser(&request) {
        return Ok(text(StatusCode::FORBIDDEN, why));
    }
    if let Some(path) = request.uri().path().strip_prefix("/servers/") {
        if request.method() != Method::POST {
            return Ok(wrong_method("POST"));
        }
        let (status, said) = admin_servers::manage(&admin, path, request.uri().query());
        return Ok(text(status, said));
    }
    if let Some(path) = request.uri().path().strip_prefix("/rollouts/") {
        if request.method() != Method::POST {
            return Ok(wrong_method("POST"));
        }
        if let Some((place, word)) = path.rsplit_once('/')
            && let Some(kind) = admin_orders::Kind::of(word)
        {
            let place = place.to_owned();
            return Ok(admin_orders::serve(&admin, &place, kind, request).await);
        }
        let (status, said) = admin_rollouts::manage(&admin, path, request.uri().query());
        return Ok(text(status, said));
    }
    if let Some(path) = request.uri().path().strip_prefix("/caches/") {
        if request.method() != Method::POST {
            return Ok(wrong_method("POST"));
        }
        let (status, said) = admin_caches::manage(&admin, path);
        return Ok(text(status, said));
    }
    if let Some(path) = request.uri().path().strip_prefix("/counters") {
        return Ok(admin_counters::answer(
            &admin,
            request.method(),
            path,
            request.uri().query(),
        ));
    }
    if request.uri().path() == "/maps" || request.uri().path().starts_with("/maps/") {
        return Ok(admin_maps::serve(&admin, request).await);
    }
    let path = request.uri().path();
    if path == "/record" || path == "/why" || path.starts_with("/why/") {
        if request.method() != Method::GET {
            return Ok(wrong_method("GET"));
        }
        return Ok(admin_why::answer(&admin, path, request.uri().query()));
    }
    Ok(match (request.method(), path) {
        (&Method::GET, "/stats") => admin_stats::page(&admin, request.uri().query()),
        (&Method::GET, "/stats;csv") => admin_stats::csv(&admin),
        (_, "/stats" | "/stats;csv") => wrong_method("GET"),
        (&Method::GET, "/health") => health(&admin),
        (&Method::GET, "/metrics") => metrics(&admin),
        (&Method::GET, "/status") => status(&admin),
        (&Method::GET, "/rollouts") => json_answer(&admin_rollouts::list(&admin)),
        (&Method::POST, "/reload") => reload(&admin).await,
        (_, "/health" | "/metrics" | "/status" | "/rollouts") => wrong_method("GET"),
        (_, "/reload") => wrong_method("POST"),
        _ => text(
            StatusCode::NOT_FOUND,
            "there are GET /health, GET /metrics, GET /stats, GET /stats;csv, GET /status, GET /rollouts, GET /why, GET /why/ID, GET /record, \
             GET /counters, GET /maps and what is below it, POST /reload, POST /servers/…, POST /rollouts/…, POST /caches/… and POST /counters/…\n",
        ),
    })
}

/// A web page of somebody else's must not reach this port through its reader's browser: neither by a
/// name that resolves to loopback nor by a form that posts here.
fn check_browser(request: &Request<Incoming>) -> Result<(), &'static str> {
    if request.headers().contains_key(header::ORIGIN) {
        return Err("requests from web pages are refused\n");
    }
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    match name {
        "localhost" | "127.0.0.1" | "[::1]" => Ok(()),
        _ => Err("Host must be localhost, 127.0.0.1 or [::1]\n"),
    }
}

fn health(admin: &Admin) -> Answer {
    match admin.process.is_leaving() {
        false => text(StatusCode::OK, "ok\n"),
        true => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

async fn reload(admin: &Admin) -> Answer {
    let (wish, done) = oneshot::channel();
    let asked = admin.reloads.send(wish);
    match (asked, done.await) {
        (Ok(()), Ok(Ok(generation))) => json_answer(&json!({ "generation": generation })),
        (Ok(()), Ok(Err(why))) => text(StatusCode::CONFLICT, format!("{why}\n")),
        (Err(_), _) | (_, Err(_)) => {
            text(StatusCode::SERVICE_UNAVAILABLE, "the proxy is stopping\n")
        }
    }
}

pub(super) fn metrics(admin: &Admin) -> Answer {
    let mut out = String::new();
    admin.metrics.write_prometheus(&mut out);
    write_gauges(admin, &mut out)
        .and_then(|()| admin_rollouts::write_metrics(&admin.current.borrow(), &mut out))
        .expect("writing to a string cannot fail");
    let mut answer = text(StatusCode::OK, out);
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4"),
    );
    answer
}

/// What is, as opposed to what has happened.
fn write_gauges(admin: &Admin, out: &mut String) -> std::fmt::Result {
    let generation = admin.current.borrow();
    let mut gauge = |name: &str, help: &str, samples: &[(String, u64)]| -> std::fmt::Result {
        writeln!(out, "# HELP weir_{name} {help}\n# TYPE weir_{name} gauge")?;
        for (labels, value) in samples {
            writeln!(out, "weir_{name}{labels} {value}")?;
        }
        Ok(())
    };
    let plain = |value: u64| [(String::new(), value)];
    gauge(
        "generation",
        "Number of the generation that serves.",
        &plain(generation.number),
    )?;
    gauge(
        "connections",
        "Client connections that are open.",
        &plain(admin.process.connections.count() as u64),
    )?;
    gauge(
        "log_lines_dropped",
        "Log lines lost because a target was too slow.",
        &plain(admin.log.dropped()),
    )?;
    let per_server = |value: fn(&Server) -> u64| -> Vec<(String, u64)> {
        let backends = generation.backends.iter();
        let servers = backends.flat_map(|b| b.servers.iter().map(move |server| (b, server)));
        servers
            .map(|(backend, server)| {
                let labels = format!(
                    "{{backend=\"{}\",server=\"{}\"}}",
                    backend.name, server.name
                );
                (labels, value(server))
            })
            .collect()
    };
    gauge(
        "server_up",
        "1 if the server is taken to be up.",
        &per_server(|server| u64::from(server.state.is_up())),
    )?;
    gauge(
        "server_active",
        "Exchanges that the server is running.",
        &per_server(|server| u64::from(server.state.active())),
    )?;
    gauge(
        "server_queued",
        "Exchanges that wait for this server and no other.",
        &per_server(|server| u64::from(server.state.queued())),
    )?;
    if !generation.caches.is_empty() {
        gauge(
            "cache_answers",
            "Answers that are kept.",
            &admin_caches::samples(&generation, |cache| cache.contents().0),
        )?;
        gauge(
            "cache_bytes",
            "What they take.",
            &admin_caches::samples(&generation, |cache| cache.contents().1),
        )?;
    }
    admin_counters::write_metrics(&generation.counters, out)
}

fn status(admin: &Admin) -> Answer {
    let generation = admin.current.borrow();
    let frontends: Vec<_> = generation
        .frontends
        .iter()
        .map(|frontend| {
            let filters = frontend.filters.iter().map(|filter| plugin(&filter.used));
            json!({
                "name": frontend.name.as_str(),
                "connections": frontend.connections.count(),
                "filters": filters.collect::<Vec<_>>(),
            })
        })
        .collect();
    let backends: Vec<_> = generation.backends.iter().map(backend).collect();
    json_answer(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "generation": generation.number,
        "draining": admin.process.is_draining(),
        "connections": admin.process.connections.count(),
        "frontends": frontends,
        "backends": backends,
    }))
}

fn backend(backend: &Backend) -> Value {
    let servers = backend.servers.iter().map(|server| {
        json!({
            "name": server.name.as_str(),
            "address": server.address.to_string(),
            "resolved": server.state.resolved().map(|address| address.to_string()),
            "id": server.id,
            "weight": server.state.weight(server.weight),
            "agent_percent": server.state.agents_percent(),
            "backup": server.backup,
            "state": operate::standing(server),
            "up": server.state.is_up(),
            "active": server.state.active(),
            "queued": server.state.queued(),
        })
    });
    let filters = backend.filters.iter().map(|filter| plugin(&filter.used));
    json!({
        "name": backend.name.as_str(),
        "filters": filters.collect::<Vec<_>>(),
        "active": backend.state.active(),
        "queued": backend.state.queued(),
        "balancer": plugin(&backend.balancer),
        "former_balancer": backend.former_balancer.as_ref().map(plugin),
        "persistence": backend.persistence.as_ref().map(plugin),
        "servers": servers.collect::<Vec<_>>(),
    })
}

fn plugin(used: &PluginUse) -> Value {
    let info = used.plugin.info();
    json!({
        "plugin": used.plugin.name().as_str(),
        "version": info.version,
        "digest": used.plugin.digest().to_string(),
        "quarantined": used.breaker.is_quarantined(),
        "waiting": used.offload.as_ref().map(|offload| offload.waiting()),
        "next": used.next.as_deref().map(admin_rollouts::brief),
    })
}

pub(super) fn wrong_method(allowed: &'static str) -> Answer {
    let mut answer = text(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("only {allowed} is understood here\n"),
    );
    answer
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Body::Whole(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    answer
}

pub(super) fn json_answer(value: &Value) -> Answer {
    let mut answer = text(StatusCode::OK, format!("{value:#}\n"));
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    answer
}
